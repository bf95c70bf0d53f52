"""Probabilistic principal component analysis: the latent-variable model whose likelihood is exact."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reparam.distributions import LOG_2PI, Gaussian
from reparam.errors import ReparamError
from reparam.model import Model, Terms, Turn
from reparam.nets import heads
from reparam.noise import Normal, Shape, Source


class PPCA(Model):
    """z ─decoder→ p(x|z) = N(Wz + µ, σ²I);  p(x) = N(µ, WWᵀ + σ²I)"""

    name = "ppca"
    paper = "Tipping & Bishop 1999, Probabilistic Principal Component Analysis, J. R. Stat. Soc. B 61(3)"

    # Structure and training flow

    def __init__(self, decoder: nn.Module, latent: int) -> None:
        super().__init__()
        self.decoder, self.latent = decoder, latent

    def turns(self) -> list[Turn]:
        return [Turn(self.decoder, lowers=self.negative_log_likelihood)]

    def encode(self, x: Tensor) -> Tensor:
        """The mean of p(z|x), M⁻¹Wᵀ(x − µ) with M = WᵀW + σ²I; Tipping & Bishop 1999, eq. 6."""
        return self._explained(x).code.to(x.dtype)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_log_likelihood(self, x: Tensor) -> Terms:
        """Tipping & Bishop 1999, eq. 4, for each example; exact.

        surprise = −log N(x; µ, WWᵀ + σ²I)
        """
        return {"surprise": -self.log_prob(x)}

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), exact, in nats: (n,)."""
        residual, code, log_std, root = self._explained(x)
        d = residual.shape[1]
        # The Mahalanobis distance in the form that subtracts no large numbers, and log det C by that of M.
        distance = residual.square().sum(1) * torch.exp(-2 * log_std) + code.square().sum(1)
        log_det = 2 * (root.diagonal().log().sum() + (d - self.latent) * log_std)
        return (-0.5 * (distance + log_det + d * LOG_2PI)).to(x.dtype)

    def score(self, x: Tensor) -> Tensor:
        """log p(x), exact, in nats: (n,)."""
        return self.log_prob(x)

    def posterior(self, x: Tensor) -> torch.distributions.MultivariateNormal:
        """p(z|x), exact, in float64: N(M⁻¹Wᵀ(x − µ), σ²M⁻¹)."""
        _, code, log_std, root = self._explained(x)
        precision = root @ root.T * torch.exp(-2 * log_std)
        return torch.distributions.MultivariateNormal(code, precision_matrix=precision)

    def _explained(self, x: Tensor) -> "_Explained":
        # Float64: with little noise the k × k system is badly conditioned.
        w, mean, log_std = (t.double() for t in affine(self.decoder, self.latent, x))
        centred = x.flatten(1).double() - mean
        m = w @ w.T + torch.exp(2 * log_std) * torch.eye(self.latent).to(w)
        root = torch.linalg.cholesky(m)
        code = torch.cholesky_solve(w @ centred.T, root).T
        return _Explained(centred - code @ w, code, log_std, root)

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {"z": Normal((self.latent,))}  # prior: drawn only to sample; training draws nothing

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)


class _Explained(NamedTuple):
    """Data as a model explains them: residual (n, d), code (n, k), log σ, M's Cholesky root, in float64."""

    residual: Tensor
    code: Tensor
    log_std: Tensor
    root: Tensor


def affine(decoder: nn.Module, latent: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What z → N(Wz + µ, σ²I) is made of, by its values at 0 and unit codes: Wᵀ (k, d), µ (d,), log σ."""
    origin, units = like.new_zeros(1, latent), torch.eye(latent).to(like)
    p: Gaussian = decoder(torch.cat([origin, units]))
    at = p.mean.flatten(1)
    return at[1:] - at[0], at[0], p.log_std


def spectrum(x: Tensor) -> Tensor:
    """Eigenvalues of the maximum-likelihood covariance of data (n, …), descending, float64: (min(n, d),)."""
    return _eigen(x)[1]


def active(eigenvalues: Tensor, variance: float) -> int:
    """How many directions the best linear model of that noise σ² uses: those whose eigenvalue is above it.

    A direction with λ ≤ σ² is explained by the noise alone, and its posterior collapses onto the prior, in
    PPCA and in the linear VAE alike (Lucas et al. 2019, arXiv:1911.02469): for k active directions choose
    σ² below the k-th eigenvalue.
    """
    return int((eigenvalues > variance).sum())


def fit(x: Tensor, latent: int, *, variance: float | None = None) -> PPCA:
    """The model of highest likelihood, in closed form and in float64; Tipping & Bishop 1999, eq. 7–8.

    Args:
        x: data (n, …), at least 2 examples.
        latent: directions, 1 … d − 1.
        variance: a fixed σ² in the place of the mean of the discarded eigenvalues.

    Raises ReparamError for other shapes, and where the best σ² is 0: data that lie in `latent` directions.
    """
    if x.dim() < 2 or len(x) < 2 or not x.is_floating_point() or not torch.isfinite(x).all():
        raise ReparamError(
            f"ppca: expected finite floats (n, …) with n ≥ 2, got {x.dtype} of shape {tuple(x.shape)}."
        )
    d = x[0].numel()
    if not 1 <= latent < d:
        raise ReparamError(f"ppca: latent={latent} for data of {d} dimensions; give 1 … {d - 1}.")
    if variance is not None and not variance > 0:
        raise ReparamError(f"ppca: variance={variance}; the noise σ² must be above 0.")
    mean, eigenvalues, directions = _eigen(x)
    kept, directions = eigenvalues[:latent], directions[:, :latent]
    if variance is None:
        variance = float(eigenvalues[latent:].sum() / (d - latent))
        if variance <= 1e-12 * float(eigenvalues[0]):
            raise ReparamError(
                f"ppca: the data lie in {latent} directions, so that the best σ² is 0 and the likelihood "
                "infinite; take a smaller latent, or give variance."
            )
    w = torch.zeros(d, latent).to(directions)
    w[:, : kept.numel()] = directions * (kept - variance).clamp_min(0).sqrt()
    return of(w, mean, variance, x.shape[1:]).to(x.dtype)


def of(w: Tensor, mean: Tensor, variance: float, shape: Shape) -> PPCA:
    """The model of W (d, latent), µ (d,) and σ², for data of the shape."""
    linear = nn.Linear(w.shape[1], len(w), device="meta")  # without a draw of initial weights
    linear.weight, linear.bias = nn.Parameter(w), nn.Parameter(mean)
    noise = heads.FixedGaussianNoise(math.sqrt(variance), bounded=False).to(w)
    noise.log_std.fill_(0.5 * math.log(variance))  # all its digits
    return PPCA(nn.Sequential(linear, nn.Unflatten(1, shape), noise), w.shape[1])


def _eigen(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (d,), eigenvalues (min(n, d),) descending and directions (d, min(n, d)) of the covariance."""
    flat = x.flatten(1).double()
    n, d = flat.shape
    mean = flat.mean(0)
    centred = (flat - mean) / math.sqrt(n)
    if n >= d:
        values, vectors = torch.linalg.eigh(centred.T @ centred)
        return mean, values.flip(0).clamp_min(0), vectors.flip(1)
    _, roots, rows = torch.linalg.svd(centred, full_matrices=False)
    return mean, roots.square(), rows.T
