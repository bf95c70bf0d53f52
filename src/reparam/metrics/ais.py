"""Annealed importance sampling by HMC, forwards and backwards: bounds on log p(x) from below and above.

Neal 2001, Annealed Importance Sampling; Wu et al. 2017, On the Quantitative Analysis of Decoder-Based Models
(arXiv:1611.04273); both directions on simulated data: Grosse, Ghahramani & Adams 2015 (arXiv:1511.02543).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from reparam.distributions import LOG_2PI, Gaussian
from reparam.errors import ReparamError
from reparam.hmc import transition
from reparam.metrics.arrays import Array, vector
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.measure import Measure

SCOUTS = 4  # chains of the run beforehand, at most
ACCEPTED = 0.65  # the share of accepted trajectories that costs least (Neal 2011, §4.4)

LogJoint = Callable[[Tensor], Tensor]
"""z (n, k, latent) → log p(xᵢ, z) (n, k), in nats: k codes for each of n examples."""


class Annealed(NamedTuple):
    """What the chains gave: log weights (n, chains) float64, the share of accepted trajectories, their ends.

    The ends (n, chains, latent) of forward chains, weighed, are codes refined from the start towards p(z|x).
    """

    log_weights: Tensor
    accepted: float
    codes: Tensor

    @property
    def lower(self) -> Tensor:
        """log (1/C) Σ w of forward chains: a lower bound on log p(x) in expectation, (n,) in nats."""
        return self.log_weights.logsumexp(1) - math.log(self.log_weights.shape[1])

    @property
    def upper(self) -> Tensor:
        """−log (1/C) Σ 1/w of backward chains: an upper bound on log p(x) in expectation, (n,) in nats."""
        return math.log(self.log_weights.shape[1]) - (-self.log_weights).logsumexp(1)


def annealed(
    log_joint: LogJoint,
    start: Gaussian,
    *,
    temperatures: int = 1000,
    chains: int = 16,
    leapfrog: int = 10,
    longest: float = math.inf,
    posterior: Tensor | None = None,
    seed: int = 0,
) -> Annealed:
    """Log weights of chains between `start` and the posterior along start^(1−β) · joint^β.

    A forward chain begins with a draw of `start`, and the mean of its weight is p(x). A backward chain
    begins with a draw of the exact posterior, which is known of data that the model made itself: then the
    mean of 1/weight is 1/p(x). The step sizes are those at which a run beforehand, with other draws, accepted
    65 %: fixed in the run that counts, so that these means are exact.

    Args:
        log_joint: of the model at the examples.
        start: the prior, or q(z|x), for each example: (n, latent).
        temperatures: intervals of the sigmoidal schedule of β from 0 to 1. One is importance sampling.
        chains: for each example.
        leapfrog: steps of each trajectory.
        longest: no trajectory is longer, in the start's standard deviations; a quarter turn of N(0, 1), π/2,
            ends far from where it began, and a whole one there.
        posterior: where all chains of an example begin, (n, latent), to go backwards.
        seed: of all draws.

    Raises ReparamError for numbers below 1, shapes that do not fit, and weights that are no numbers.
    """
    for name, value in {"temperatures": temperatures, "chains": chains, "leapfrog": leapfrog}.items():
        if value < 1:
            raise ReparamError(f"ais: {name} is {value}, expected at least 1.")
    if posterior is not None and posterior.shape != start.mean.shape:
        raise ReparamError(
            f"ais: posterior draws {tuple(posterior.shape)} for a start {tuple(start.mean.shape)}; "
            "expected one draw (n, latent) for each example."
        )
    generator = torch.Generator().manual_seed(seed)
    path = _Path(log_joint, start, chains)
    betas = schedule(temperatures)
    steps = path.adapted(betas, leapfrog, longest, generator)
    found = path.walk(betas, steps, leapfrog, generator, posterior)
    if bad := int((~torch.isfinite(found.log_weights)).any(1).sum()):
        raise ReparamError(
            f"ais: the weights of {bad} of {len(found.log_weights)} examples are infinite or no numbers; "
            "look at log_joint there, or take more temperatures."
        )
    return found


def schedule(temperatures: int, sharpness: float = 4.0) -> Tensor:
    """β from 0 to 1 along a sigmoid, dense at both ends: (temperatures + 1,) float64."""
    s = torch.sigmoid(torch.linspace(-sharpness, sharpness, temperatures + 1, dtype=torch.float64))
    return (s - s[0]) / (s[-1] - s[0])


class _Path:
    """The densities between start and joint, in codes made standard: u with z = mean + std · u.

    There the start is N(0, I), so that one step size serves all directions of it.
    """

    def __init__(self, log_joint: LogJoint, start: Gaussian, chains: int) -> None:
        self.log_joint, self.chains = log_joint, chains
        self.mean, std = start.mean.detach()[:, None], start.log_std.detach().exp()[:, None]
        self.std = std.expand_as(self.mean)
        self.log_volume = self.std.log().sum(-1)

    def log_ratio(self, u: Tensor) -> Tensor:
        """log joint − log start: (n, chains, latent) → (n, chains)."""
        log_start = -0.5 * (u.square() + LOG_2PI).sum(-1)
        return self.log_joint(self.mean + self.std * u) + self.log_volume - log_start

    def bridge(self, beta: float) -> Callable[[Tensor], Tensor]:
        """The log density at a temperature, up to a constant."""
        return lambda u: beta * self.log_ratio(u) - 0.5 * u.square().sum(-1)

    def drawn(self, generator: torch.Generator, chains: int) -> Tensor:
        n, _, latent = self.mean.shape
        draw = torch.randn(n, chains, latent, generator=generator, dtype=self.mean.dtype)
        return draw.to(self.mean.device)

    def adapted(self, betas: Tensor, leapfrog: int, longest: float, generator: torch.Generator) -> Tensor:
        """Step sizes for inner temperatures and examples, by a run of its own: (temperatures − 1, n, 1)."""
        u = self.drawn(generator, min(self.chains, SCOUTS))
        most = longest / leapfrog
        step = torch.full_like(self.mean[..., 0], min(0.5, most))
        steps = []
        for beta in betas[1:-1].tolist():
            u, probability = transition(self.bridge(beta), u, step, leapfrog, generator)
            step = step * torch.exp(0.3 * (probability.mean(1, keepdim=True) - ACCEPTED))
            step = step.clamp_max(most)
            steps.append(step)
        return torch.stack(steps) if steps else step.new_zeros(0, *step.shape)

    def walk(
        self,
        betas: Tensor,
        steps: Tensor,
        leapfrog: int,
        generator: torch.Generator,
        posterior: Tensor | None,
    ) -> Annealed:
        """The chains' weights and ends, from the start or from exact draws of the end."""
        u = self.drawn(generator, self.chains)
        gaps, inner = betas.diff().tolist(), list(zip(betas[1:-1].tolist(), steps, strict=True))
        if posterior is not None:
            u = ((posterior[:, None] - self.mean) / self.std).expand_as(u)
            gaps, inner = gaps[::-1], inner[::-1]
        log_weights = torch.zeros(u.shape[:2], dtype=torch.float64)
        accepted = []
        with torch.no_grad():
            for gap, (beta, step) in zip(gaps, inner, strict=False):  # after the last gap nothing moves
                log_weights += gap * self.log_ratio(u).double().cpu()
                u, probability = transition(self.bridge(beta), u, step, leapfrog, generator)
                accepted.append(probability.mean())
            log_weights += gaps[-1] * self.log_ratio(u).double().cpu()
        share = float(torch.stack(accepted).mean()) if accepted else 1.0
        return Annealed(log_weights, share, self.mean + self.std * u)


def sandwich(lower: Array, upper: Array, *, how: str, seed: int = 0) -> Measure:
    """Mean of upper − lower (n,) of the same simulated examples, in nats: by how much either can be wrong."""
    a, b = vector(lower, "lower bounds"), vector(upper, "upper bounds")
    if len(a) != len(b):
        raise ReparamError(f"ais: {len(a)} lower and {len(b)} upper bounds; expected one of each an example.")
    gap = b - a
    how = f"Upper − lower bound by annealed importance sampling, {how}; {resampled(seed)}."
    return Measure(gap.mean().item(), *interval(mean, gap, seed=seed), len(gap), "nats", "zero", how)
