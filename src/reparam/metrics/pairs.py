"""Weighted means over pairs: the U-statistics under MMD and diversity, and their bootstrap."""

from collections.abc import Callable

from torch import Tensor

Pairwise = Callable[[Tensor, Tensor], Tensor]
"""(n, d) and (m, d) → (n, m)."""

BLOCK = 1024  # rows of the pairwise matrix held at once


def within(f: Pairwise, x: Tensor, weights: Tensor) -> Tensor:
    """Mean of f(xᵢ, xⱼ) over i ≠ j, example i counted `weights[r, i]` times: (n, d), (r, n) → (r,).

    A resample holds copies of an example. A pair of copies is no pair of independent draws: it would add
    the diagonal f(x, x) and bias the mean, so it is left out and the weights that remain are normalised.
    Weights of one give the U-statistic itself.
    """
    total = weights.new_zeros(len(weights))
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        values = f(x[rows], x)
        values.diagonal(start).zero_()
        total += (weights[:, rows] * (weights @ values.T)).sum(1)
    return total / (weights.sum(1).square() - weights.square().sum(1))


def between(f: Pairwise, x: Tensor, y: Tensor, x_weights: Tensor, y_weights: Tensor) -> Tensor:
    """Mean of f(xᵢ, yⱼ) over all pairs: (n, d), (m, d), (r, n), (r, m) → (r,)."""
    total = x_weights.new_zeros(len(x_weights))
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        total += (x_weights[:, rows] * (y_weights @ f(x[rows], y).T)).sum(1)
    return total / (x_weights.sum(1) * y_weights.sum(1))
