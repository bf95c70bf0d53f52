"""Priors of codes, as players: each returns its law, given the encoder, which the VampPrior alone asks."""

from typing import Any

import torch
from torch import Tensor, nn

from reparam.distributions import FullGaussianMixture, GaussianMixture, LogNormal, Prior, StandardNormal
from reparam.errors import ReparamError
from reparam.nets.flows import CouplingFlow, Flow
from reparam.noise import Choosing, Normal, Shape, Source


class PriorNetwork(nn.Module):
    """What a prior is: a module that gives its law, and the source of the noise of its draws."""

    source: Source

    def forward(self, encoder: nn.Module | None = None) -> Prior:
        raise NotImplementedError


class StandardNormalPrior(PriorNetwork):
    """N(0, I)."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.source = Normal((latent,))

    def forward(self, encoder: nn.Module | None = None) -> StandardNormal:
        return StandardNormal()


class MixturePrior(PriorNetwork):
    """K normal laws of diagonal covariance, everything learned; their means begin as draws of N(0, I)."""

    def __init__(self, latent: int, components: int = 10) -> None:
        super().__init__()
        self.source = Choosing.of(latent)
        self.logits = nn.Parameter(torch.zeros(_at_least_one(components)))
        self.means = nn.Parameter(torch.randn(components, latent))
        self.log_std = nn.Parameter(torch.zeros(components, latent))

    def forward(self, encoder: nn.Module | None = None) -> GaussianMixture:
        return GaussianMixture(self.logits, self.means, self.log_std.clamp(-10, 5))


class LogNormalPrior(PriorNetwork):
    """One log-normal law, learned, for every dimension; it begins as that of exp(u), u ~ N(0, 1).

    Achille & Soatto 2018 (arXiv:1611.01353), for features of softplus.
    """

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.source, self.latent = Normal((latent,)), latent
        self.location, self.log_std = nn.Parameter(torch.zeros(1, 1)), nn.Parameter(torch.zeros(1, 1))

    def forward(self, encoder: nn.Module | None = None) -> LogNormal:
        return LogNormal(*(p.expand(1, self.latent) for p in (self.location, self.log_std.clamp(-10, 5))))


class FullMixturePrior(PriorNetwork):
    """K normal laws of any covariance, everything learned; their means begin as draws of N(0, I)."""

    def __init__(self, latent: int, components: int = 10) -> None:
        super().__init__()
        self.source = Choosing.of(latent)
        self.logits = nn.Parameter(torch.zeros(_at_least_one(components)))
        self.means = nn.Parameter(torch.randn(components, latent))
        self.log_std = nn.Parameter(torch.zeros(components, latent))
        self.below = nn.Parameter(torch.zeros(components, latent, latent))

    def forward(self, encoder: nn.Module | None = None) -> FullGaussianMixture:
        diagonal = torch.diag_embed(torch.exp(self.log_std.clamp(-10, 5)))
        return FullGaussianMixture(self.logits, self.means, diagonal + self.below.tril(-1))


class VampPrior(PriorNetwork):
    """The mixture, in equal parts, of the posteriors of K pseudo-inputs, which are learned.

    Tomczak & Welling 2018 (arXiv:1705.07120), eq. 9. Pseudo-inputs of bounded data pass a sigmoid in the
    place of the paper's hard bounds, beyond which one would not move any more.
    """

    def __init__(self, shape: Shape, latent: int, components: int = 50, *, bounded: bool = True) -> None:
        super().__init__()
        self.source, self.bounded = Choosing.of(latent), bounded
        self.pseudo = nn.Parameter(torch.randn(_at_least_one(components), *shape))

    def inputs(self) -> Tensor:
        """The pseudo-inputs, as data: (K, *shape)."""
        return torch.sigmoid(self.pseudo) if self.bounded else self.pseudo

    def forward(self, encoder: nn.Module | None = None) -> GaussianMixture:
        assert encoder is not None
        q: Any = encoder(self.inputs())
        return GaussianMixture(q.mean.new_zeros(len(q.mean)), q.mean, q.log_std)


class FlowPrior(PriorNetwork):
    """The law of z = f(u), u ~ N(0, I), f a learned coupling flow, which begins as the identity."""

    def __init__(self, latent: int, layers: int = 6, hidden: int = 128) -> None:
        super().__init__()
        self.source = Normal((latent,))
        self.flow = CouplingFlow(latent, layers, hidden)

    def forward(self, encoder: nn.Module | None = None) -> Flow:
        return Flow(self.flow)


def _at_least_one(components: int) -> int:
    if components < 1:
        raise ReparamError(f"components={components}: a mixture needs at least one.")
    return components
