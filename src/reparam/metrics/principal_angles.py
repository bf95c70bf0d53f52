"""Principal angles between two subspaces: Björck & Golub 1973, exact for small angles too."""

import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, vectors


def principal_angles(a: Array, b: Array) -> Tensor:
    """Angles between the column spaces of (d, k) and (d, l), in radians, ascending: (min(k, l),) float64.

    All are 0 where one space holds the other. Raises ReparamError if the columns are linearly dependent or
    the two lie in different spaces.
    """
    p, q = _basis(a, "the first columns"), _basis(b, "the second columns")
    if len(p) != len(q):
        raise ReparamError(
            f"principal_angles: columns of {len(p)} and {len(q)} entries; both need the same number of rows."
        )
    if p.shape[1] < q.shape[1]:
        p, q = q, p
    cosines = torch.linalg.svdvals(p.T @ q).clamp(0, 1)
    # A cosine near 1 has lost a small angle's digits; the sine of what p does not reach has them.
    sines = torch.linalg.svdvals(q - p @ (p.T @ q)).flip(0).clamp(0, 1)
    return torch.where(cosines.square() < 0.5, torch.arccos(cosines), torch.arcsin(sines))


def _basis(columns: Array, what: str) -> Tensor:
    x = vectors(columns, what, least=1)
    rank = int(torch.linalg.matrix_rank(x))
    if rank < x.shape[1]:
        raise ReparamError(f"{what}: {x.shape[1]} of rank {rank}; angles need independent columns.")
    return torch.linalg.qr(x).Q
