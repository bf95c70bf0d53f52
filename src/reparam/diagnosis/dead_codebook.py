"""How much of a codebook is used."""

import torch

from reparam.diagnosis.case import Case, Evidence, State, Verdict
from reparam.metrics.codebook import codebook

NAME = "dead codebook"
# Used below a quarter of the entries, every position wastes two bits; above a half, less than one.
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
    evidence = (
        Evidence(used, f"share of the {size} entries that {positions:,} positions of held-out data use"),
        Evidence(perplexity, f"perplexity of their use; {size} if all were used alike"),
    )
    words = f"{used:.0%} of {size} entries are used, with a perplexity of {perplexity:.3g}"
    state: State = "ill" if used < DEAD else "unclear" if used < ALIVE else "well"
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
