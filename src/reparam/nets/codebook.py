"""Codebooks: a grid of vectors to the nearest of K entries, which learn by gradient or by averaging.

Both start from k-means of the first batch, and both restart dead entries: one that is used less than a tenth
of an even share is put on a vector of the batch. Which vector, is a draw that the model declares. All of it
is state that is proposed and never written here; what is made of the batch is made of the joint one, so
every process has the same entries.
"""

from collections.abc import Callable, Mapping
from functools import wraps

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.coupling import gather
from reparam.distributions import Quantised
from reparam.model import Average, Replace, Rule

DEAD = 0.1  # of an even share of the positions, below which an entry is restarted
LLOYD = 10  # iterations of k-means


def _exactly(proposals: Callable[..., dict[str, Tensor]]) -> Callable[..., dict[str, Tensor]]:
    """Without gradients, and in full precision: half of it would round every sum to three digits."""

    @wraps(proposals)
    def exact(self: "Codebook", z: Tensor, indices: Tensor, picks: Tensor) -> dict[str, Tensor]:
        with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
            return proposals(self, z, indices, picks)

    return exact


class Codebook(nn.Module):
    """z (n, dim, h, w) to the nearest of `size` entries.

    `counts` says how many positions of an example choose each, averaged over the steps with `decay`.
    """

    counts: Tensor

    def __init__(self, size: int, decay: float) -> None:
        super().__init__()
        self.size, self.decay = size, decay
        self.register_buffer("counts", torch.zeros(size))

    def forward(self, z: Tensor) -> Quantised:
        entries = self.entries()
        with torch.no_grad():
            distances = torch.cdist(_vectors(z).flatten(0, 1).to(entries), entries)
        indices = distances.argmin(1).view(len(z), -1)
        return Quantised(F.embedding(indices, entries).transpose(1, 2).reshape(z.shape), indices)

    def entries(self) -> Tensor:
        """All of them: (size, dim)."""
        raise NotImplementedError

    def state(self) -> Mapping[str, Rule]:
        """Its buffers and their rules, as a model's `state`."""
        raise NotImplementedError

    def proposals(self, z: Tensor, indices: Tensor, picks: Tensor) -> dict[str, Tensor]:
        """What is proposed for them, given z, the entries it chose, and picks (size,) in [0, 1)."""
        raise NotImplementedError


class LearnedCodebook(Codebook):
    """Entries that are moved by the gradient of their distance to the vectors that chose them.

    entry = start + learned: `start` is state, which k-means and restarts set, `learned` a parameter. So no
    step of an optimiser is undone behind its back.
    """

    start: Tensor

    def __init__(self, size: int, dim: int, *, decay: float = 0.99) -> None:
        super().__init__(size, decay)
        self.learned = nn.Parameter(torch.randn(size, dim))
        self.register_buffer("start", torch.zeros(size, dim))

    def entries(self) -> Tensor:
        return self.start + self.learned

    def state(self) -> Mapping[str, Rule]:
        return {"counts": Average(self.decay), "start": Replace()}

    @_exactly
    def proposals(self, z: Tensor, indices: Tensor, picks: Tensor) -> dict[str, Tensor]:
        mass, centres = _renewed(z, self.counts, picks)
        counts = _chosen(indices, self.size).to(z).sum(1)
        return {
            "counts": torch.where(mass > 0, _aimed(mass, self.counts, self.decay), counts),
            "start": torch.where(mass[:, None] > 0, centres - self.learned, self.start),
        }


class AveragedCodebook(Codebook):
    """Entries that are running means of the vectors that chose them; van den Oord et al. 2017, appendix A.1.

    N ← decay · N + (1 − decay) · count, m ← decay · m + (1 − decay) · Σ z, entry = m / N, with the counts and
    sums of an example in the place of the batch's: their ratio does not depend on the batch size. N needs no
    smoothing, because an entry is restarted long before it comes near 0.
    """

    sums: Tensor

    def __init__(self, size: int, dim: int, *, decay: float = 0.99) -> None:
        super().__init__(size, decay)
        self.register_buffer("sums", torch.randn(size, dim))  # before the start, the entries themselves

    def entries(self) -> Tensor:
        return self.sums / torch.where(self.counts > 0, self.counts, 1)[:, None]

    def state(self) -> Mapping[str, Rule]:
        return {"counts": Average(self.decay), "sums": Average(self.decay)}

    @_exactly
    def proposals(self, z: Tensor, indices: Tensor, picks: Tensor) -> dict[str, Tensor]:
        mass, centres = _renewed(z, self.counts, picks)
        chosen = _chosen(indices, self.size).to(z)
        counts, sums = chosen.sum(1), chosen.transpose(1, 2) @ _vectors(z)
        new, heavy = mass > 0, mass[:, None] * centres
        return {
            "counts": torch.where(new, _aimed(mass, self.counts, self.decay), counts),
            "sums": torch.where(new[:, None], _aimed(heavy, self.sums, self.decay), sums),
        }


def _vectors(z: Tensor) -> Tensor:
    """(n, dim, h, w) → (n, N, dim)."""
    return z.flatten(2).transpose(1, 2)


def _chosen(indices: Tensor, size: int) -> Tensor:
    """1 where a position chose an entry: (n, N, size)."""
    return F.one_hot(indices, size)


def _aimed(target: Tensor, old: Tensor, decay: float) -> Tensor:
    """The proposal with which a running average arrives at the target in one step."""
    return (target - decay * old) / (1 - decay)


def _renewed(z: Tensor, counts: Tensor, picks: Tensor) -> tuple[Tensor, Tensor]:
    """Counts that entries are given anew, 0 for those left alone, and where they are put: (K,), (K, dim)."""
    size, positions = len(counts), z[0, 0].numel()
    vectors, share = gather(_vectors(z).flatten(0, 1)), positions / len(counts)
    # Each entry picks from a part of the batch of its own, drawn too: no vector is taken twice.
    rows = ((picks.argsort() + picks) * (len(vectors) / size)).long()
    centres = vectors[rows.clamp_max(len(vectors) - 1)]
    if counts.any():
        return torch.where(counts < DEAD * share, share, torch.zeros_like(counts)), centres
    mass = torch.zeros_like(counts)
    for _ in range(LLOYD):
        chosen = F.one_hot(torch.cdist(vectors, centres).argmin(1), size).to(vectors)
        mass = chosen.sum(0)
        centres = torch.where(mass[:, None] > 0, chosen.t() @ vectors / mass.clamp_min(1)[:, None], centres)
    return torch.where(mass > 0, mass * (positions / len(vectors)), share), centres
