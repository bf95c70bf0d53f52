"""Lines under conditions, of models that write every place at once: first characters given, none twice."""

import inspect
from typing import Any

import torch
from torch import Tensor

from reparam.data.text import BEGIN, END, SPECIALS, UNKNOWN
from reparam.distributions import Tokens
from reparam.errors import ReparamError
from reparam.noise import Control
from reparam.system import System

TRIED = 256  # codes of the prior among which a line's is chosen that is to begin with a given character


@torch.inference_mode()
def lines(
    system: System, n: int = 64, seed: int = 0, *, starts: str = "", no_repeats: bool = False
) -> Tensor:
    """n lines as token ids, (n, length): of each place the likeliest token that the conditions leave.

    starts: an acrostic, as many lines as it has tokens, each begun with its own: from the code, of 256 drawn
    from the prior, that makes this token likeliest there. no_repeats: no token twice in a line; the surest
    places choose first. Raises ReparamError for a model that writes word by word, or an unknown token.
    """
    model: Any = system.model
    if "z" not in model.noise() or len(inspect.signature(model.decoder.forward).parameters) != 1:
        raise ReparamError(
            f"{system.name} does not write every place of a line at once, so that no place can be given "
            "before the others; poem-vae and poem-free-bits do."
        )
    first = _tokens(system, starts)
    n = len(first) or n
    z = system.draw(("z",), n * (TRIED if starts else 1), Control(seed))["z"]
    if starts:
        at_first = torch.cat([model.decoder(part).logits[:, 0].log_softmax(-1) for part in z.split(TRIED)])
        rows = torch.arange(n, device=z.device)
        best = at_first.unflatten(0, (n, TRIED))[rows, :, first].argmax(1)
        z = z.unflatten(0, (n, TRIED))[rows, best]
    law: Tokens = model.decoder(z)
    logits = law.logits.clone()
    logits[..., [UNKNOWN, BEGIN, END]] = -torch.inf
    if starts:
        given = torch.full_like(logits[:, 0], -torch.inf)
        logits[:, 0] = given.scatter(1, first[:, None], 0.0)
    return _once(logits) if no_repeats else Tokens(logits).mean


def _tokens(system: System, starts: str) -> Tensor:
    vocabulary = system.data.vocabulary or ()
    found = [] if not starts or not system.data.writing else system.data.writing.cut([starts])[0]
    if strange := [token for token in found if token not in vocabulary[len(SPECIALS) :]]:
        raise ReparamError(f"{', '.join(strange)}: not in the vocabulary of {system.data.name}.")
    return torch.tensor([vocabulary.index(token) for token in found], dtype=torch.long, device=system.device)


def _once(logits: Tensor) -> Tensor:
    """The likeliest tokens of each line (n, L) without one twice, places that are surest first."""
    chosen = torch.zeros(logits.shape[:2], dtype=torch.long, device=logits.device)
    left = logits.log_softmax(-1)
    rows = torch.arange(len(left), device=left.device)
    for _ in range(left.shape[1]):
        place = left.amax(2).argmax(1)
        token = left[rows, place].argmax(1)
        chosen[rows, place] = token
        left[rows, place] = -torch.inf
        left[rows, :, token] = -torch.inf
    return chosen
