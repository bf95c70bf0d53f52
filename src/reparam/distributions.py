"""What networks return: a conditional law (or a judgement) as a named tuple of tensors.

A distribution draws nothing: `at(noise)` pushes a given noise forward. Tensors have the batch
first; `log_prob` and `kl` sum over all other dimensions and return (n,), in nats.
Named tuples, because engines that hook a module's output find tensors only by walking tuples.
"""

import math
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from reparam.data.bags import Bags

LOG_2PI = math.log(2 * math.pi)


class Distribution(Protocol):
    """What every law here offers; `mean` is a field or a property of it."""

    @property
    def mean(self) -> Tensor: ...
    def log_prob(self, x: Tensor) -> Tensor: ...
    def at(self, noise: Tensor) -> Tensor: ...


class Independent(Protocol):
    """A law of independent dimensions: to leave some of them out is to integrate them out."""

    @property
    def mean(self) -> Tensor: ...
    def of_each(self, x: Tensor) -> Tensor: ...
    def at(self, noise: Tensor) -> Tensor: ...


class Posterior(Protocol):
    """What a stochastic encoder returns for a bound with any prior; `kl` to N(0, I) where it is known."""

    @property
    def mean(self) -> Tensor: ...
    def at(self, noise: Tensor) -> Tensor: ...
    def draws(self, noise: Tensor) -> tuple[Tensor, Tensor]: ...


class Prior(Protocol):
    """A law of codes (n, latent) that no example conditions; `at` takes the noise of its own source."""

    def log_prob(self, x: Tensor) -> Tensor: ...
    def at(self, noise: Tensor) -> Tensor: ...


def total(x: Tensor) -> Tensor:
    """Sum over all but the batch: (n, …) → (n,)."""
    return x.flatten(1).sum(1)


class Gaussian(NamedTuple):
    """Independent normals; `log_std` has the mean's shape or broadcasts to it."""

    mean: Tensor
    log_std: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        standard = (x - self.mean) * torch.exp(-self.log_std)
        # Summed apart: the constants in one pass with the square cost a third more.
        return -0.5 * total(standard.square()) - total((self.log_std + 0.5 * LOG_2PI).expand_as(standard))

    def of_each(self, x: Tensor) -> Tensor:
        """The log density of each dimension, in x's shape."""
        return -0.5 * ((x - self.mean) * torch.exp(-self.log_std)).square() - self.log_std - 0.5 * LOG_2PI

    def kl(self) -> Tensor:
        """KL to N(0, I); Kingma & Welling 2014, appendix B."""
        return total(self.kl_of_each())

    def kl_of_each(self) -> Tensor:
        """KL to N(0, 1) of each dimension, in the mean's shape."""
        return 0.5 * (self.mean.square() + torch.exp(2 * self.log_std) - 1 - 2 * self.log_std)

    def at(self, noise: Tensor) -> Tensor:
        """mean + std · noise, noise ~ N(0, I)."""
        return self.mean + torch.exp(self.log_std) * noise

    def draws(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """k draws an example and their log densities: (n, k, latent) → (n, k, latent) and (n, k)."""
        z = self.mean[:, None] + torch.exp(self.log_std)[:, None] * noise
        return z, -0.5 * (noise.square() + LOG_2PI).sum(2) - total(self.log_std.expand_as(self.mean))[:, None]


class LogNormal(NamedTuple):
    """Independent log-normals: exp(location) times noise of median 1; `log_std` is of the logarithm."""

    location: Tensor
    log_std: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.exp(self.location + 0.5 * torch.exp(2 * self.log_std))

    @property
    def median(self) -> Tensor:
        return torch.exp(self.location)

    def log_prob(self, x: Tensor) -> Tensor:
        log_x = x.log()
        return Gaussian(self.location, self.log_std).log_prob(log_x) - total(log_x)

    def kl(self, prior: "LogNormal") -> Tensor:
        """KL to another, (n,): that of the logarithms' normal laws, as both are pushed through exp."""
        spread = torch.exp(2 * self.log_std) + (self.location - prior.location).square()
        return total(prior.log_std - self.log_std + 0.5 * spread * torch.exp(-2 * prior.log_std) - 0.5)

    def at(self, noise: Tensor) -> Tensor:
        """exp(location + std · noise), noise ~ N(0, I)."""
        return torch.exp(Gaussian(self.location, self.log_std).at(noise))

    def draws(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """k draws an example and their log densities: (n, k, latent) → (n, k, latent) and (n, k)."""
        log_z, log_q = Gaussian(self.location, self.log_std).draws(noise)
        return torch.exp(log_z), log_q - log_z.sum(2)


class FullGaussian(NamedTuple):
    """A normal law with any covariance L Lᵀ: mean (n, d), L (n, d, d) lower triangular, diagonal positive."""

    mean: Tensor
    factor: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        standard = torch.linalg.solve_triangular(self.factor, (x - self.mean)[..., None], upper=False)
        return -0.5 * total(standard.square() + LOG_2PI) - self._log_det()

    def kl(self) -> Tensor:
        """KL to N(0, I): ½ (‖mean‖² + tr LLᵀ − d − log |LLᵀ|)."""
        return 0.5 * (total(self.mean.square() - 1) + total(self.factor.square())) - self._log_det()

    def at(self, noise: Tensor) -> Tensor:
        """mean + L · noise, noise ~ N(0, I)."""
        return self.mean + (self.factor @ noise[..., None]).squeeze(-1)

    def draws(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """k draws an example and their log densities: (n, k, d) → (n, k, d) and (n, k)."""
        z = self.mean[:, None] + noise @ self.factor.mT
        return z, -0.5 * (noise.square() + LOG_2PI).sum(2) - self._log_det()[:, None]

    def _log_det(self) -> Tensor:
        return total(self.factor.diagonal(dim1=1, dim2=2).log())


class StandardNormal(NamedTuple):
    """N(0, I) over codes, which needs no numbers of its own."""

    def log_prob(self, x: Tensor) -> Tensor:
        return -0.5 * total(x.square() + LOG_2PI)

    def at(self, noise: Tensor) -> Tensor:
        """The noise itself."""
        return noise


class GaussianMixture(NamedTuple):
    """A mixture of K normal laws of diagonal covariance: logits (K,), mean and log_std (K, d)."""

    logits: Tensor
    means: Tensor
    log_std: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        standard = (x[:, None] - self.means) * torch.exp(-self.log_std)
        each = -0.5 * (standard.square() + LOG_2PI).sum(2) - self.log_std.sum(1)
        return (each + self.logits.log_softmax(0)).logsumexp(1)

    def at(self, noise: Tensor) -> Tensor:
        """The draw at noise of `Choosing`: its first number chooses the component."""
        k = chosen(self.logits, noise[:, 0])
        return self.means[k] + torch.exp(self.log_std[k]) * noise[:, 1:]


class FullGaussianMixture(NamedTuple):
    """A mixture of K normal laws of any covariance L Lᵀ: logits (K,), means (K, d), factor L (K, d, d)."""

    logits: Tensor
    means: Tensor
    factor: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        away = (x - self.means[:, None]).mT  # (K, d, n)
        standard = torch.linalg.solve_triangular(self.factor, away, upper=False)
        log_det = total(self.factor.diagonal(dim1=1, dim2=2).log())
        each = -0.5 * (standard.square() + LOG_2PI).sum(1) - log_det[:, None]
        return (each + self.logits.log_softmax(0)[:, None]).logsumexp(0)

    def at(self, noise: Tensor) -> Tensor:
        """The draw at noise of `Choosing`: its first number chooses the component."""
        k = chosen(self.logits, noise[:, 0])
        return self.means[k] + (self.factor[k] @ noise[:, 1:, None]).squeeze(2)


class Moved(NamedTuple):
    """A law of codes moved and stretched: shift + scale · z, each (latent,)."""

    law: Prior
    shift: Tensor
    scale: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        return self.law.log_prob((x - self.shift) / self.scale) - self.scale.log().sum()

    def at(self, noise: Tensor) -> Tensor:
        return self.shift + self.scale * self.law.at(noise)


def chosen(logits: Tensor, u: Tensor) -> Tensor:
    """The category that uniform numbers u (n,) fall on, of logits (K,): (n,) int64."""
    return torch.searchsorted(logits.softmax(0).cumsum(0), u.contiguous(), right=True).clamp_max(
        len(logits) - 1
    )


class Delta(NamedTuple):
    """All mass on one point: what a deterministic network returns where a law is asked for."""

    mean: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        raise TypeError("a point mass has no density")

    def at(self, noise: Tensor) -> Tensor:
        """The point, whatever the noise."""
        return self.mean


class Bernoulli(NamedTuple):
    """Independent bits. A likelihood for binary data only."""

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.sigmoid(self.logits)

    def log_prob(self, x: Tensor) -> Tensor:
        return total(self.of_each(x))

    def of_each(self, x: Tensor) -> Tensor:
        """log p of each bit, in x's shape."""
        return -F.binary_cross_entropy_with_logits(self.logits, x, reduction="none")

    def at(self, noise: Tensor) -> Tensor:
        """noise < p, noise ~ U[0, 1)."""
        return (noise < self.mean).to(self.logits.dtype)


class ContinuousBernoulli(NamedTuple):
    """The Bernoulli's exponential family on [0, 1], normalised; Loaiza-Ganem & Cunningham 2019, eq. 7."""

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """λ / (2λ − 1) + 1 / (2 artanh(1 − 2λ)); ½ at λ = ½."""
        near = self.logits.abs() < 1e-2
        safe = torch.where(near, torch.ones_like(self.logits), self.logits)
        exact = 1 / (-torch.expm1(-safe)) - 1 / safe
        return torch.where(near, 0.5 + self.logits / 12, exact)

    def log_prob(self, x: Tensor) -> Tensor:
        return total(self.of_each(x))

    def of_each(self, x: Tensor) -> Tensor:
        """The log density of each dimension, in x's shape."""
        return self._log_constant() - F.binary_cross_entropy_with_logits(self.logits, x, reduction="none")

    def at(self, noise: Tensor) -> Tensor:
        """The inverse distribution function at noise ~ U[0, 1)."""
        near = self.logits.abs() < 1e-2
        safe = torch.where(near, torch.ones_like(self.logits), self.logits)
        # F(x) = (e^{ℓx} − 1)/(e^ℓ − 1); for positive ℓ the mirrored form avoids the overflow.
        size, mirrored = safe.abs(), torch.where(safe > 0, 1 - noise, noise)
        x = -torch.log1p(mirrored * torch.expm1(-size)) / size
        x = torch.where(safe > 0, 1 - x, x)
        return torch.where(near, noise + self.logits * noise * (1 - noise) / 2, x).clamp(0, 1)

    def _log_constant(self) -> Tensor:
        # In logits: log C = log(ℓ / tanh(ℓ/2)) = log ℓ + log(1 + e^−ℓ) − log(1 − e^−ℓ), even in ℓ;
        # near 0 it is 0/0 and a Taylor series takes over (error below 1e-10 where it is used).
        size = self.logits.abs()
        near = size < 1e-1
        safe = torch.where(near, torch.ones_like(size), size)
        exact = torch.log(safe) + F.softplus(-safe) - torch.log(-torch.expm1(-safe))
        square = self.logits.square()
        series = math.log(2) + square / 12 - 7 * square.square() / 1440 + 31 * square**3 / 90720
        return torch.where(near, series, exact)


class DiscretisedLogistic(NamedTuple):
    """A logistic law integrated over the 256 grey levels of [0, 1]; Kingma et al. 2016, appendix C."""

    mean: Tensor
    log_scale: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability of the levels nearest to x; over all levels it sums to one."""
        return total(self.of_each(x))

    def of_each(self, x: Tensor) -> Tensor:
        """The same of each dimension, in x's shape."""
        half = 0.5 / 255
        inverse = torch.exp(-self.log_scale)
        upper, lower = (x - self.mean + half) * inverse, (x - self.mean - half) * inverse
        # log(σ(u) − σ(l)) = log σ(u) + log σ(−l) + log(1 − e^{l−u}); the end levels take the tails.
        middle = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper))
        edges = torch.where(x < half, F.logsigmoid(upper), F.logsigmoid(-lower))
        return torch.where((x < half) | (x > 1 - half), edges, middle)

    def at(self, noise: Tensor) -> Tensor:
        """The inverse distribution function at noise ~ U[0, 1), on the nearest level."""
        x = self.mean + torch.exp(self.log_scale) * torch.logit(noise, eps=1e-6)
        return (x.clamp(0, 1) * 255).round() / 255


class Tokens(NamedTuple):
    """An independent choice of one of V tokens at each of L positions; logits (n, L, V)."""

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """The likeliest token of each position, (n, L) int64: what stands for a mean of categories."""
        return self.logits.argmax(-1)

    def of_each(self, x: Tensor) -> Tensor:
        """log p of the token at each position: ids (n, L) → (n, L), in nats."""
        n, length = x.shape
        chosen = -F.cross_entropy(self.logits.flatten(0, 1), x.flatten(), reduction="none")
        return chosen.view(n, length)

    def log_prob(self, x: Tensor) -> Tensor:
        return total(self.of_each(x))

    def at(self, noise: Tensor) -> Tensor:
        """The inverse distribution function at noise ~ U[0, 1), (n, L): ids (n, L)."""
        steps = self.logits.softmax(-1).cumsum(-1)
        # Rounding can leave the last step below 1.
        return (steps <= noise[..., None]).sum(-1).clamp_max(self.logits.shape[-1] - 1)


class Multinomial(NamedTuple):
    """Items chosen from a catalogue with probabilities softmax(hidden @ weightᵀ + bias).

    hidden (n, h), weight (items, h), bias (items,): kept apart, since the logits (n, items) of a large
    catalogue need not exist at once.
    """

    hidden: Tensor
    weight: Tensor
    bias: Tensor

    @property
    def logits(self) -> Tensor:
        """(n, items)."""
        return F.linear(self.hidden, self.weight, self.bias)

    @property
    def mean(self) -> Tensor:
        """The probability of each item, (n, items)."""
        return self.logits.softmax(1)

    def log_prob(self, x: Bags) -> Tensor:
        """Σ_i x_i log softmax_i, in nats: (n,); without the coefficient, which has no parameter."""
        chosen = (self.hidden * (x @ self.weight)).sum(1) + (x @ self.bias[:, None])[:, 0]
        return chosen - x.sums() * log_normaliser(self.hidden, self.weight, self.bias)


class Scores(NamedTuple):
    """A number for every item of a catalogue, hidden · weightᵢ + biasᵢ, made where it is asked for.

    hidden (n, h), weight (items, h), bias (items,).
    """

    hidden: Tensor
    weight: Tensor
    bias: Tensor

    @property
    def all(self) -> Tensor:
        """(n, items)."""
        return F.linear(self.hidden, self.weight, self.bias)

    def of(self, rows: Tensor, items: Tensor) -> Tensor:
        """Of some rows and an item of each, (m,) and (m,): (m,)."""
        vectors = F.embedding(items.long(), self.weight)
        return (self.hidden.index_select(0, rows) * vectors).sum(1) + self.bias[items.long()]


AT_ONCE = 2**24  # logits, 64 MiB in float32; of more, blocks


def log_normaliser(hidden: Tensor, weight: Tensor, bias: Tensor, at_once: int = AT_ONCE) -> Tensor:
    """log Σ_i exp(hidden · weight_i + bias_i), exact: (n,); no more than so many logits exist at once."""
    if len(hidden) * len(weight) <= at_once:
        return F.linear(hidden, weight, bias).logsumexp(1)
    return _InBlocks.apply(hidden, weight, bias, max(at_once // len(hidden), 1))  # pyright: ignore[reportReturnType]


class _InBlocks(torch.autograd.Function):
    """The log-normaliser block by block of the catalogue; the backward pass makes the logits anew."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, block: int) -> Tensor:
        value = hidden.new_full(hidden.shape[:1], -torch.inf)
        for w, b in zip(weight.split(block), bias.split(block), strict=True):
            value = torch.logaddexp(value, torch.addmm(b, hidden, w.T).logsumexp(1))
        ctx.save_for_backward(hidden, weight, bias, value)
        ctx.block = block
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        hidden, weight, bias, value = ctx.saved_tensors
        of_hidden, of_weight, of_bias = torch.zeros_like(hidden), [], []
        for w, b in zip(weight.split(ctx.block), bias.split(ctx.block), strict=True):
            share = torch.addmm(b, hidden, w.T).sub_(value[:, None]).exp_().mul_(gradients[0][:, None])
            of_hidden.addmm_(share, w)
            of_weight.append(share.T @ hidden)
            of_bias.append(share.sum(0))
        return of_hidden, torch.cat(of_weight), torch.cat(of_bias), None


class Quantised(NamedTuple):
    """What a codebook returns: for each of the N positions of a grid its entry, and that entry's number.

    vectors (n, dim, h, w), indices (n, N) in the order of reading.
    """

    vectors: Tensor
    indices: Tensor


class Attended(NamedTuple):
    """What a network with an auxiliary classifier makes, (n, …), and the classifier's logits, (n, heads)."""

    made: Tensor
    logits: Tensor


class Factored(NamedTuple):
    """A picture taken apart: maps of what it shows (n, c, h, w), and a code of how it looks (n, style)."""

    content: Tensor
    style: Tensor


class Judgement(NamedTuple):
    """What a discriminator with a metric returns: features (n, …) of a hidden layer, and the logit (n,).

    A classifier's logits are (n, classes).
    """

    features: Tensor
    logit: Tensor
