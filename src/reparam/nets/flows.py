"""Invertible networks of codes, whose Jacobian's determinant is known, and the laws that they make."""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.distributions import LOG_2PI, Gaussian, total
from reparam.errors import ReparamError
from reparam.nets.heads import GaussianCode, exact

# Affine coupling: as fast in one direction as in the other, so that it can be a prior


class Coupling(nn.Module):
    """The second half of a vector scaled and shifted by what a network reads in the first.

    Dinh et al. 2017 (arXiv:1605.08803), eq. 4–5. It begins as the identity.
    """

    def __init__(self, dimensions: int, hidden: int) -> None:
        super().__init__()
        self.first = dimensions // 2
        out = nn.Linear(hidden, 2 * (dimensions - self.first))
        nn.init.zeros_(out.weight)
        nn.init.zeros_(out.bias)
        self.net = nn.Sequential(
            nn.Linear(self.first, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), out
        )

    def forward(self, first: Tensor) -> tuple[Tensor, Tensor]:
        """The logarithm of the scale, and the shift, of the second half: (n, d − ⌊d/2⌋) each."""
        log_scale, shift = exact(self.net(first)).chunk(2, 1)
        return 2 * torch.tanh(log_scale / 2), shift  # within e^±2 a layer, so that no code is thrown far out


class CouplingFlow(nn.Module):
    """u (n, d) ↔ z (n, d): couplings, the dimensions reversed after each, and a scale and shift at the end.

    Raises ReparamError for one dimension, which has no halves.
    """

    def __init__(self, dimensions: int, layers: int = 6, hidden: int = 128) -> None:
        super().__init__()
        if dimensions < 2:
            raise ReparamError("a coupling flow needs codes of at least 2 dimensions; take another prior.")
        self.couplings = nn.ModuleList(Coupling(dimensions, hidden) for _ in range(layers))
        self.first = dimensions // 2
        self.log_scale, self.shift = (
            nn.Parameter(torch.zeros(dimensions)),
            nn.Parameter(torch.zeros(dimensions)),
        )

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """z, and log |dz/du|, (n,)."""
        log_det = self.log_scale.sum()
        for coupling in self.couplings:
            first, second = u[:, : self.first], u[:, self.first :]
            log_scale, shift = coupling(first)
            u = torch.cat([first, second * torch.exp(log_scale) + shift], 1).flip(1)
            log_det = log_det + log_scale.sum(1)
        return u * torch.exp(self.log_scale) + self.shift, log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """u, and log |dz/du|, (n,)."""
        z, log_det = (z - self.shift) * torch.exp(-self.log_scale), self.log_scale.sum()
        for coupling in reversed(self.couplings):
            z = z.flip(1)
            first, second = z[:, : self.first], z[:, self.first :]
            log_scale, shift = coupling(first)
            z = torch.cat([first, (second - shift) * torch.exp(-log_scale)], 1)
            log_det = log_det + log_scale.sum(1)
        return z, log_det


class Flow(NamedTuple):
    """The law of z = f(u), u ~ N(0, I), f a coupling flow."""

    flow: CouplingFlow

    def log_prob(self, x: Tensor) -> Tensor:
        u, log_det = self.flow.inverse(x)
        return -0.5 * total(u.square() + LOG_2PI) - log_det

    def at(self, noise: Tensor) -> Tensor:
        """f(noise), noise ~ N(0, I)."""
        return self.flow(noise)[0]


# Inverse autoregressive: fast from noise to code only, so that it can be a posterior


class MaskedLinear(nn.Linear):
    """A linear layer of which only the connections in the mask (outputs, inputs) are there."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    """Vectors (n, d) and a context (n, c) → two numbers for each dimension, read from those before it alone.

    Germain et al. 2015 (arXiv:1502.03509), §4; every hidden unit sees the whole context.
    """

    def __init__(self, dimensions: int, context: int, hidden: int, layers: int = 2) -> None:
        super().__init__()
        # A unit of degree k sees dimensions 1 … k; one of degree 0 the context alone.
        degrees = [torch.arange(1, dimensions + 1), *[torch.arange(hidden) % dimensions] * layers]
        masks = [(b[:, None] >= a).float() for a, b in pairwise(degrees)]
        self.hidden = nn.ModuleList(map(MaskedLinear, masks))
        self.context = nn.ModuleList(nn.Linear(context, hidden, bias=False) for _ in masks)
        self.out = MaskedLinear((degrees[0][:, None] > degrees[-1]).float().repeat(2, 1))

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        for layer, given in zip(self.hidden, self.context, strict=True):
            x = F.elu(layer(x) + given(context))
        first, second = exact(self.out(x)).chunk(2, 1)
        return first, second


class InverseAutoregressiveFlow(nn.Module):
    """z₀ (n, d) and a context (n, c) → z (n, d) and log |dz/dz₀|, (n,).

    Kingma et al. 2016 (arXiv:1606.04934), eq. 12–14: z ← σ(s) z + (1 − σ(s)) m, of which the gate begins
    nearly open, and the order of dimensions is reversed after each step.
    """

    def __init__(self, dimensions: int, context: int, steps: int = 2, hidden: int = 128) -> None:
        super().__init__()
        self.steps = nn.ModuleList(MADE(dimensions, context, hidden) for _ in range(steps))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        log_det = z.new_zeros(len(z))
        for step in self.steps:
            m, s = step(z, context)
            s = s + 2  # the paper's forget gate
            z = (m + torch.sigmoid(s) * (z - m)).flip(1)
            log_det = log_det + F.logsigmoid(s).sum(1)
        return z, log_det


class Flowed(NamedTuple):
    """The law of a flow's output for a normal input: an encoder's autoregressive posterior."""

    base: Gaussian
    context: Tensor
    flow: InverseAutoregressiveFlow

    @property
    def mean(self) -> Tensor:
        """Where the flow takes the base's mean: a code in the middle, but no expectation."""
        return self.flow(self.base.mean, self.context)[0]

    def at(self, noise: Tensor) -> Tensor:
        """The code that noise ~ N(0, I), (n, latent), becomes."""
        return self.draws(noise[:, None])[0][:, 0]

    def draws(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """k draws an example and their log densities: (n, k, latent) → (n, k, latent) and (n, k)."""
        z, log_q = self.base.draws(noise)
        k = noise.shape[1]
        flowed, log_det = self.flow(z.flatten(0, 1), self.context.repeat_interleave(k, 0))
        return flowed.view_as(z), log_q - log_det.view_as(log_q)


class FlowedCode(nn.Module):
    """(n, features) → a normal law over codes (n, latent), and the context of the flow that bends it."""

    def __init__(self, features: int, latent: int, steps: int = 2, hidden: int = 128) -> None:
        super().__init__()
        self.base, self.context = GaussianCode(features, latent), nn.Linear(features, hidden)
        self.flow = InverseAutoregressiveFlow(latent, hidden, steps, hidden)

    def forward(self, features: Tensor) -> Flowed:
        return Flowed(self.base(features), exact(self.context(features)), self.flow)
