"""How much of a codebook is used."""

import torch

from reparam.diagnosis.case import Case, Evidence, State, Verdict
from reparam.metrics.codebook import codebook

NAME = "dead codebook"
LEAST = 0.1  # of an even share of the positions, below which an entry is dead; codebooks restart it there
# Alive below a quarter of the entries, every position wastes two bits; above a half, less than one.
DEAD, ALIVE = 0.25, 0.5
ENOUGH = 10  # positions an entry, below which one may be unseen by chance


def dead_codebook(case: Case) -> Verdict | None:
    """For models with `indices(x)` → (n, …), whole numbers below their `size`."""
    model = case.system.model
    indices, size = getattr(model, "indices", None), getattr(model, "size", None)
    if indices is None or not isinstance(size, int):
        return None
    with torch.inference_mode():
        parts = [indices(x.to(case.system.device)).cpu() for x in case.held_out.split(100)]
    found = torch.cat(parts)
    measures = codebook(found, size)
    used, perplexity = measures["codebook_used"].value, measures["codebook_perplexity"].value
    positions = found.numel()
    counts = torch.bincount(found.flatten(), minlength=size)
    alive = (counts >= LEAST * positions / size).double().mean().item()
    evidence = (
        Evidence(alive, f"share of the {size} entries that are used a tenth of an even share at least"),
        Evidence(used, f"share of them that {positions:,} positions of held-out data use at all"),
        Evidence(perplexity, f"perplexity of their use; {size} if all were used alike"),
    )
    words = f"{alive:.0%} of {size} entries are alive, and the perplexity of all is {perplexity:.3g}"
    state: State = "ill" if alive < DEAD else "unclear" if alive < ALIVE else "well"
    if state != "well" and positions < ENOUGH * size:
        state, words = "unclear", f"{words}; {positions} positions are too few to say that the rest is dead"
    change = ()
    if state != "well":
        change = (
            "Restart dead entries on vectors of the batch, or start them by k-means of the encoder's output.",
            "Let them be running means of the vectors that choose them, or raise the weight of the commitment"
            f"{case.settings('beta')}.",
            f"Or take fewer entries than {size}.",
        )
    return Verdict(NAME, state, words + ".", evidence, change)
