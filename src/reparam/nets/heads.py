"""Last layers: they turn features into the distribution, the image or the judgement that a player returns."""

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.distributions import (
    Bernoulli,
    ContinuousBernoulli,
    Delta,
    DiscretisedLogistic,
    FullGaussian,
    Gaussian,
    Judgement,
    LogNormal,
)
from reparam.errors import ReparamError
from reparam.nets.batch_norm import BatchNorm
from reparam.spheres import UNIFORMS, PowerSpherical, VonMisesFisher


class Body(Protocol):
    """A network that says how many features it makes: (n, …) → (n, features)."""

    features: int

    def __call__(self, x: Tensor) -> Tensor: ...


def exact(x: Tensor) -> Tensor:
    """Half precision up to float32: densities summed over thousands of pixels need the digits."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


# Encoders' heads


class GaussianCode(nn.Module):
    """(n, features) → N(mean, std²) over codes (n, latent)."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * latent)

    def forward(self, features: Tensor) -> Gaussian:
        mean, log_std = exact(self.linear(features)).chunk(2, 1)
        # A bound that no trained code comes near; without it an outlier at the start ends in infinities.
        return Gaussian(mean, log_std.clamp(-10, 5))


class SharedGaussianCode(nn.Module):
    """(n, features) → N(mean, std²) over codes (n, latent), one learned std for all examples."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, latent)
        self.log_std = nn.Parameter(torch.zeros(latent))

    def forward(self, features: Tensor) -> Gaussian:
        mean = exact(self.linear(features))
        return Gaussian(mean, self.log_std.clamp(-10, 5).expand_as(mean))


class FullGaussianCode(nn.Module):
    """(n, features) → a normal law of any covariance over codes (n, latent)."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.linear, self.latent = nn.Linear(features, latent * (latent + 3) // 2), latent

    def forward(self, features: Tensor) -> FullGaussian:
        below = self.latent * (self.latent - 1) // 2
        mean, log_std, rest = exact(self.linear(features)).split([self.latent, self.latent, below], 1)
        rows, columns = torch.tril_indices(self.latent, self.latent, -1, device=rest.device)
        factor = torch.diag_embed(torch.exp(log_std.clamp(-10, 5)))
        examples = torch.arange(len(rest), device=rest.device)[:, None]
        return FullGaussian(mean, factor.index_put((examples, rows, columns), rest))


class LogNormalCode(nn.Module):
    """(n, features) → log-normal codes (n, latent): softplus features times noise.

    Achille & Soatto 2018 (arXiv:1611.01353). `most` bounds the deviation of the noise's logarithm.
    """

    def __init__(self, features: int, latent: int, most: float = 0.7) -> None:
        super().__init__()
        if not most > 0:
            raise ReparamError(f"the noise's largest deviation is {most:g}; give a number above 0.")
        self.linear, self.most = nn.Linear(features, 2 * latent), most

    def forward(self, features: Tensor) -> LogNormal:
        feature, noise = exact(self.linear(features)).chunk(2, 1)
        # Floors as in the authors' code: neither logarithm may become infinite.
        std = 0.001 + self.most * torch.sigmoid(noise)
        return LogNormal(F.softplus(feature).clamp_min(1e-4).log(), std.log())


class BatchNormalisedCode(nn.Module):
    """(n, features) → N(mean, std²) over codes (n, latent); each mean has the deviation γ over the batch.

    Then the batch's mean KL is at least γ²/2 nats a dimension. Zhu et al. 2020, A Batch Normalized Inference
    Network Keeps the KL Vanishing Away, arXiv:2004.12585.
    """

    def __init__(self, features: int, latent: int, gamma: float = 0.7) -> None:
        super().__init__()
        if not gamma > 0:
            raise ReparamError(f"the deviation γ of the codes' means is {gamma:g}; give a number above 0.")
        # Of a bias the normalisation would leave nothing but rounding, for an optimiser to follow.
        self.mean = nn.Linear(features, latent, bias=False)
        self.log_std = nn.Linear(features, latent)
        self.norm = BatchNorm(latent)
        self.norm.scale.requires_grad_(False).fill_(gamma)

    def forward(self, features: Tensor) -> Gaussian:
        return Gaussian(self.norm(exact(self.mean(features))), exact(self.log_std(features)).clamp(-10, 5))


class Code(nn.Module):
    """(n, features) → a deterministic code (n, latent)."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, latent)

    def forward(self, features: Tensor) -> Delta:
        return Delta(exact(self.linear(features)))


class Given(nn.Module):
    """Features that are a deterministic code already: (n, latent)."""

    def forward(self, features: Tensor) -> Delta:
        return Delta(exact(features))


class CubeCode(nn.Module):
    """(n, features) → a deterministic code in (−1, 1)^latent."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, latent)

    def forward(self, features: Tensor) -> Delta:
        return Delta(torch.tanh(exact(self.linear(features))))


class VonMisesFisherCode(nn.Module):
    """(n, features) → von Mises–Fisher over codes (n, latent) of length 1, κ = 1 + softplus."""

    uniforms = UNIFORMS  # of the noise that the law is pushed from

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, latent + 1)

    def forward(self, features: Tensor) -> VonMisesFisher:
        return VonMisesFisher(*_direction_and_kappa(exact(self.linear(features))))


class FixedVonMisesFisherCode(nn.Module):
    """(n, features) → von Mises–Fisher of one given κ: its KL is a constant, and cannot vanish."""

    uniforms = UNIFORMS
    kappa: Tensor

    def __init__(self, features: int, latent: int, kappa: float) -> None:
        super().__init__()
        if not (math.isfinite(kappa) and kappa > 0):
            raise ReparamError(f"the concentration κ is {kappa}; give a finite number above 0.")
        self.linear = nn.Linear(features, latent)
        self.register_buffer("kappa", torch.full((1, 1), float(kappa)))

    def forward(self, features: Tensor) -> VonMisesFisher:
        direction = F.normalize(exact(self.linear(features)))
        return VonMisesFisher(direction, self.kappa.expand(len(direction), 1))


class PowerSphericalCode(nn.Module):
    """(n, features) → Power Spherical over codes (n, latent) of length 1, κ = 1 + softplus."""

    uniforms = 1

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, latent + 1)

    def forward(self, features: Tensor) -> PowerSpherical:
        return PowerSpherical(*_direction_and_kappa(exact(self.linear(features))))


def _direction_and_kappa(x: Tensor) -> tuple[Tensor, Tensor]:
    # Davidson et al. 2018's 1 keeps κ from 0; the bound is where the laws were checked to.
    return F.normalize(x[:, 1:]), (1 + F.softplus(x[:, :1])).clamp_max(1e5)


# Decoders' heads: the noise of p(x|z)


class Image(nn.Module):
    """No noise: values in [0, 1] by a sigmoid, or unbounded."""

    def __init__(self, bounded: bool = True) -> None:
        super().__init__()
        self.bounded = bounded

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(exact(x)) if self.bounded else exact(x)


class Cut(nn.Module):
    """No noise: unbounded in training, and in use cut to [0, 1], which has no slope to learn by outside.

    A sigmoid saturates on pictures that are nearly all black, and the network never leaves the blank one.
    """

    def forward(self, x: Tensor) -> Tensor:
        return exact(x) if self.training else exact(x).clamp(0, 1)


class BernoulliNoise(nn.Module):
    """Bits, for binary data."""

    def forward(self, x: Tensor) -> Bernoulli:
        return Bernoulli(exact(x))


class ContinuousBernoulliNoise(nn.Module):
    """The continuous Bernoulli, for grey values."""

    def forward(self, x: Tensor) -> ContinuousBernoulli:
        return ContinuousBernoulli(exact(x))


class FixedGaussianNoise(nn.Module):
    """A Gaussian of one fixed standard deviation."""

    log_std: Tensor

    def __init__(self, std: float, bounded: bool = True) -> None:
        super().__init__()
        self.image = Image(bounded)
        self.register_buffer("log_std", torch.tensor(math.log(std)))

    def forward(self, x: Tensor) -> Gaussian:
        return Gaussian(self.image(x), self.log_std)


class LearnedGaussianNoise(nn.Module):
    """A Gaussian of one standard deviation for all dimensions, learned."""

    def __init__(self, bounded: bool = True) -> None:
        super().__init__()
        self.image = Image(bounded)
        self.log_std = nn.Parameter(torch.tensor(math.log(0.3)))

    def forward(self, x: Tensor) -> Gaussian:
        # log σ ≥ −6: data that is reproduced exactly must not make the density infinite.
        return Gaussian(self.image(x), self.log_std.clamp_min(-6))


class DiscretisedLogisticNoise(nn.Module):
    """A logistic law over the 256 grey levels with one learned scale."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(0.1)))

    def forward(self, x: Tensor) -> DiscretisedLogistic:
        return DiscretisedLogistic(torch.sigmoid(exact(x)), self.log_scale.clamp_min(-7))


# Discriminators' heads


class Discriminator(nn.Module):
    """A body and one logit: (n, …) → (n,)."""

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body, self.logit = body, nn.Linear(features, 1)

    def forward(self, x: Tensor) -> Tensor:
        return exact(self.logit(self.body(x))).squeeze(1)


class Reader(nn.Module):
    """A body, a hidden layer handed out as features, and logits: (n, …) → (n, hidden), (n, outputs)."""

    def __init__(self, body: nn.Module, features: int, outputs: int, hidden: int = 256) -> None:
        super().__init__()
        self.body = body
        self.hidden = nn.Sequential(nn.Linear(features, hidden), nn.LeakyReLU(0.2))
        self.logits = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Judgement:
        features = exact(self.hidden(self.body(x)))
        return Judgement(features, exact(self.logits(features)))


class Averaged(nn.Module):
    """The mean of a body's features, for one number each: (n, …) → (n,)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return exact(self.body(x)).flatten(1).mean(1)


class Judge(nn.Module):
    """A body whose output is also handed out as features: (n, …) → features (n, f), logit (n,)."""

    def __init__(self, body: nn.Module, features: int, hidden: int = 256) -> None:
        super().__init__()
        self.body = body
        self.judge = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Linear(features, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1)
        )

    def forward(self, x: Tensor) -> Judgement:
        features = exact(self.body(x))
        return Judgement(features, exact(self.judge(features)).squeeze(1))
