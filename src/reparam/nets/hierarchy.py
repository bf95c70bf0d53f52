"""Layers of codes z₁ … z_L, side by side as one code (n, Σ latents), the one next to the data first."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reparam.distributions import LOG_2PI, Gaussian, total
from reparam.nets.heads import Body, GaussianCode
from reparam.nets.mlp import mlp
from reparam.nets.priors import PriorNetwork
from reparam.noise import Normal

Latents = tuple[int, ...]


class Bottom(nn.Module):
    """The layer next to the data, of all: (n, Σ latents) → (n, latents[0])."""

    def __init__(self, latents: Latents) -> None:
        super().__init__()
        self.first = latents[0]

    def forward(self, z: Tensor) -> Tensor:
        return z[:, : self.first]


def conditionals(inputs: Sequence[int], outputs: Sequence[int], width: int) -> nn.ModuleList:
    """Of each pair a network (n, input) → N(mean, std²) over (n, output)."""
    return nn.ModuleList(
        nn.Sequential(mlp([a, width, width]), GaussianCode(width, b))
        for a, b in zip(inputs, outputs, strict=True)
    )


class Chain(NamedTuple):
    """p(z) = N(z_L; 0, I) Π p(zₗ | zₗ₊₁); maps[l] gives the law of layer l from the layer above."""

    maps: nn.ModuleList
    latents: Latents

    def log_prob(self, x: Tensor) -> Tensor:
        z = x.split(self.latents, 1)
        top = -0.5 * total(z[-1].square() + LOG_2PI)
        return top + sum(
            p(above).log_prob(below) for p, below, above in zip(self.maps, z, z[1:], strict=False)
        )

    def at(self, noise: Tensor) -> Tensor:
        """From the top down, noise ~ N(0, I) of all layers."""
        *below, z = noise.split(self.latents, 1)
        layers = [z]
        for p, u in zip(reversed(self.maps), reversed(below), strict=True):
            layers.insert(0, p(layers[0]).at(u))
        return torch.cat(layers, 1)


class ChainPrior(PriorNetwork):
    """The prior that is a chain from the highest layer down to the data's."""

    def __init__(self, latents: Latents, width: int) -> None:
        super().__init__()
        self.source, self.latents = Normal((sum(latents),)), latents
        self.maps = conditionals(latents[1:], latents[:-1], width)

    def forward(self, encoder: nn.Module | None = None) -> Chain:
        return Chain(self.maps, self.latents)


class Upward(NamedTuple):
    """q(z|x) = q(z₁|x) Π q(zₗ₊₁ | zₗ): each layer is inferred from the draw below it."""

    first: Gaussian
    maps: nn.ModuleList
    latents: Latents

    @property
    def mean(self) -> Tensor:
        """Each layer's mean at the mean below it: no expectation but in the first layer."""
        return self.at(torch.zeros_like(self.first.mean[:, :1]).expand(-1, sum(self.latents)))

    def at(self, noise: Tensor) -> Tensor:
        """From the data up: (n, Σ latents)."""
        return self.draws(noise[:, None])[0][:, 0]

    def draws(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """k draws an example and their log densities: (n, k, Σ latents) → the same shape and (n, k)."""
        u, shape = noise.split(self.latents, 2), noise.shape[:2]
        z, log_q = self.first.draws(u[0])
        layers = [z]
        for q, eps in zip(self.maps, u[1:], strict=True):
            z, log = q(layers[-1].flatten(0, 1)).draws(eps.flatten(0, 1)[:, None])
            layers.append(z.view(*shape, -1))
            log_q = log_q + log.view(shape)
        return torch.cat(layers, 2), log_q


class UpwardEncoder(nn.Module):
    """An encoder of the first layer, and networks from each layer to the next."""

    def __init__(self, encoder: nn.Module, latents: Latents, width: int) -> None:
        super().__init__()
        self.encoder, self.latents = encoder, latents
        self.maps = conditionals(latents[:-1], latents[1:], width)

    def forward(self, x: Tensor) -> Upward:
        return Upward(self.encoder(x), self.maps, self.latents)


class Layered(NamedTuple):
    """One layer's draws (m, d), the law they are of, and the prior of it given the layer above."""

    z: Tensor
    q: Gaussian
    p: Gaussian

    def rate(self) -> Tensor:
        """KL(q ‖ p), in closed form: (m,)."""
        ratio = torch.exp(2 * (self.q.log_std - self.p.log_std))
        away = (self.q.mean - self.p.mean).square() * torch.exp(-2 * self.p.log_std)
        return 0.5 * total(ratio + away - 1) + total(self.p.log_std - self.q.log_std)


class Ladder(NamedTuple):
    """q(z|x) = Π q(zₗ | zₗ₊₁, x), what the data say of a layer merged with what the prior says of it.

    Sønderby et al. 2016 (arXiv:1602.02282), eq. 17–19: precisions add, means are weighed by them.
    """

    evidence: tuple[Gaussian, ...]
    prior: Chain

    @property
    def mean(self) -> Tensor:
        """Each layer's mean at the mean above it: no expectation but in the highest layer."""
        n, latents = len(self.evidence[0].mean), self.prior.latents
        layers = self.layers(self.evidence[0].mean.new_zeros(n, 1, sum(latents)))
        return torch.cat([layer.z for layer in layers], 1)

    def layers(self, noise: Tensor) -> list[Layered]:
        """The layers at noise (n, k, Σ latents), the data's first, their rows the n · k draws."""
        k, u = noise.shape[1], noise.flatten(0, 1).split(self.prior.latents, 1)
        seen = [Gaussian(*(t.repeat_interleave(k, 0) for t in each)) for each in self.evidence]
        top, zero = seen[-1], torch.zeros_like(seen[-1].mean)
        found = [Layered(top.at(u[-1]), top, Gaussian(zero, zero))]
        for p_of, said, eps in zip(reversed(self.prior.maps), seen[-2::-1], u[-2::-1], strict=True):
            p = p_of(found[0].z)
            q = merged(said, p)
            found.insert(0, Layered(q.at(eps), q, p))
        return found


def merged(a: Gaussian, b: Gaussian) -> Gaussian:
    """The normal law whose precision is the sum of both, and whose mean is theirs, weighed by precision."""
    log_precision = torch.logaddexp(-2 * a.log_std, -2 * b.log_std)
    weight = torch.sigmoid(2 * (b.log_std - a.log_std))  # of a
    return Gaussian(b.mean + weight * (a.mean - b.mean), -0.5 * log_precision)


class LadderEncoder(nn.Module):
    """A body, a network on top of it for each layer above, and of each its layer's evidence."""

    def __init__(self, body: Body, latents: Latents, width: int) -> None:
        super().__init__()
        self.body = body
        sizes = [body.features, *[width] * (len(latents) - 1)]
        self.stages = nn.ModuleList(mlp([size, width]) for size in sizes[:-1])
        self.heads = nn.ModuleList(GaussianCode(size, d) for size, d in zip(sizes, latents, strict=True))

    def forward(self, x: Tensor) -> tuple[Gaussian, ...]:
        features = [self.body(x)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return tuple(head(h) for head, h in zip(self.heads, features, strict=True))
