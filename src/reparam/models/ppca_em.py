"""Probabilistic PCA of data with holes, by expectation-maximisation: Tipping & Bishop 1999."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from reparam.distributions import LOG_2PI
from reparam.errors import ReparamError
from reparam.models.ppca import PPCA, affine, of


def fit_missing(x: Tensor, latent: int, *, iterations: int = 1000, tolerance: float = 1e-9) -> PPCA:
    """The model of highest likelihood of what was observed; NaN marks what was not.

    Args:
        x: data (n, d), at least half of it observed, and every row and column somewhere.
        latent: directions, 1 … d − 1.
        iterations: of EM at most, none of which lowers the likelihood.
        tolerance: of an example's log-likelihood, in nats, below whose gain EM stops.

    What is missing must be so at random. Raises ReparamError for other data, and where σ² goes to 0.
    """
    if x.dim() != 2 or not x.is_floating_point() or torch.isinf(x).any():
        raise ReparamError(
            f"ppca: expected floats (n, d), NaN where missing; got {x.dtype} of shape {tuple(x.shape)}."
        )
    seen = ~torch.isnan(x)
    for axis, what in ((1, "rows"), (0, "columns")):
        if empty := int((~seen.any(axis)).sum()):
            raise ReparamError(f"ppca: nothing was observed of {empty} {what}; leave them out.")
    if (missing := 1 - float(seen.double().mean())) > 0.5:
        raise ReparamError(f"ppca: {missing:.0%} of the data is missing; more must be observed than missing.")
    n, d = x.shape
    if not 1 <= latent < min(n, d):
        raise ReparamError(f"ppca: latent={latent} for data of shape {(n, d)}; give 1 … {min(n, d) - 1}.")
    mask, filled = seen.double(), x.double().nan_to_num()
    mean = (mask * filled).sum(0) / mask.sum(0)
    # Where there is no hole EM starts at the optimum: principal directions of the data, holes at the mean.
    _, roots, rows = torch.linalg.svd(mask * (filled - mean) / math.sqrt(n), full_matrices=False)
    variance = float((roots[latent:].square().sum() / (d - latent)).clamp_min(1e-3 * roots[0].square()))
    w = rows[:latent].T * (roots[:latent].square() - variance).clamp_min(1e-2 * variance).sqrt()
    last = -math.inf
    for _ in range(iterations):
        e = _expected(filled, mask, w, mean, variance)
        likelihood = float(e.log_prob.mean())
        if likelihood - last < tolerance:
            break
        last = likelihood
        w, mean, variance = _maximised(filled, mask, e)
        if variance < 1e-12 * float(roots[0].square()):
            raise ReparamError(
                f"ppca: the observed data lie in {latent} directions, so that σ² goes to 0; lower latent."
            )
    return of(w, mean, variance, (d,)).to(x.dtype)


def log_prob_observed(model: PPCA, x: Tensor) -> Tensor:
    """log p of what was observed in x (n, d), NaN elsewhere, exact, in nats: (n,) float64."""
    w, mean, log_std = (t.detach().double() for t in affine(model.decoder, model.latent, x.nan_to_num()))
    mask = (~torch.isnan(x)).double()
    return _expected(x.double().nan_to_num(), mask, w.T, mean, float(torch.exp(2 * log_std))).log_prob


class _Expected(NamedTuple):
    """Of the codes given what was observed: mean (n, k) and covariance (n, k, k); and log p of it (n,)."""

    mean: Tensor
    covariance: Tensor
    log_prob: Tensor


def _expected(x: Tensor, mask: Tensor, w: Tensor, mean: Tensor, variance: float) -> _Expected:
    k = w.shape[1]
    m = torch.einsum("nd,dk,dl->nkl", mask, w, w) + variance * torch.eye(k).to(w)
    root = torch.linalg.cholesky(m)
    centred = mask * (x - mean)
    code = torch.cholesky_solve((centred @ w)[..., None], root)[..., 0]
    residual = mask * (centred - code @ w.T)
    distance = residual.square().sum(1) / variance + code.square().sum(1)
    observed = mask.sum(1)
    log_det = 2 * root.diagonal(dim1=1, dim2=2).log().sum(1) + (observed - k) * math.log(variance)
    return _Expected(
        code, variance * torch.cholesky_inverse(root), -0.5 * (distance + log_det + observed * LOG_2PI)
    )


def _maximised(x: Tensor, mask: Tensor, e: _Expected) -> tuple[Tensor, Tensor, float]:
    """W and µ: for each dimension the regression of what was observed of it on (z, 1); then σ²."""
    n, k = e.mean.shape
    ones = torch.cat([e.mean, e.mean.new_ones(n, 1)], 1)
    second = ones[:, :, None] * ones[:, None, :]
    second[:, :k, :k] += e.covariance
    gram = torch.einsum("nd,nkl->dkl", mask, second)
    both = torch.linalg.solve(gram, (mask * x).T @ ones)
    w, mean = both[:, :k], both[:, k]
    error = mask * (x - ones @ both.T).square() + mask * torch.einsum("dk,nkl,dl->nd", w, e.covariance, w)
    return w, mean, float(error.sum() / mask.sum())
