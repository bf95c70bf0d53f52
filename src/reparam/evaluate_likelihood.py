"""How likely held-out data are under a trained system: those measures that its abilities allow."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from reparam.distributions import Bernoulli, DiscretisedLogistic, Gaussian, Tokens
from reparam.errors import ReparamError
from reparam.metrics import ais, dequantisation
from reparam.metrics.inference_gap import inference_gap
from reparam.metrics.likelihood import (
    Noise,
    importance_weighted,
    likelihood,
    log_likelihood,
    one_draw,
    standard_normal,
)
from reparam.metrics.measure import Measure
from reparam.metrics.rate_distortion import rate_distortion
from reparam.metrics.refinement import refinement
from reparam.model import Terms, asks
from reparam.noise import Control, Normal, Streams
from reparam.system import System

REPEATS = 10  # draws of z behind a distortion
ANNEALED_OF = 16  # examples that are annealed, and simulated ones


def exact(system: System) -> bool:
    """Whether log p(x) itself is known."""
    return system.can("log_prob")


def sampled(system: System) -> bool:
    """Whether the bound on log p(x) is one of importance samples."""
    return not exact(system) and system.can("log_weights")


def bounded(system: System) -> bool:
    """Whether log p(x) is known, or has a bound."""
    return any(map(system.can, ("log_prob", "log_weights", "elbo")))


def likelihoods(system: System, x: Tensor, *, draws: int, seed: int = 0) -> dict[str, Measure]:
    """`likelihood`, and of discrete data `bits`, of data x (n, …) under a system that is `bounded`.

    The likelihood is exact where that is known, else the bound of K = `draws` importance samples, or of a
    code without noise the model's own. Bits are those of a probability of the levels itself, and by
    dequantisation of a density on grey levels.
    """
    x = x.to(system.device)
    each = bounds(system, x, draws, seed)
    if sampled(system):
        found = {"likelihood": likelihood(each, draws=draws, seed=seed)}
    else:
        how = "Exact log p(x)" if exact(system) else "Lower bound, with the cost of the codes"
        found = {"likelihood": log_likelihood(each, how, seed=seed)}
    return found | _bits(system, x, each, draws, seed)


def parts(system: System, x: Tensor, *, seed: int = 0) -> dict[str, Measure]:
    """`elbo`, and the `rate` and `distortion` it is made of, where a loss of the model returns these."""
    terms = _rate_and_distortion(system, x.to(system.device), seed)
    if terms is None:
        return {}
    rate, distortion = terms
    found = rate_distortion(rate, distortion, d=x[0].numel(), draws=REPEATS, seed=seed)
    how = f"Minus rate, minus distortion of {REPEATS} draws: the bound of K = 1"
    elbo = log_likelihood(-rate - distortion, how, seed=seed)
    return {"elbo": elbo, "rate": found["rate"], "distortion": found["distortion"]}


def annealed(
    system: System, x: Tensor, *, draws: int, temperatures: int = 200, chains: int = 8, seed: int = 0
) -> dict[str, Measure]:
    """`annealed`, `annealed_error`, and where there is an encoder `refined`, `refinement`, `gap`,
    `approximation` and `amortisation`.

    Of the first rows of x, and of as many simulated ones: minutes of work. Chains start from q(z|x), which is
    nearer than N(0, I), where it is a diagonal Gaussian; there alone is anything refined, or a gap measured.
    The gap of inference is to log p(x) where that is known, else to the larger of the two bounds on it.
    Raises ReparamError for a model without `log_joint`, or whose prior is not known.
    """
    check_annealed(system)
    x = x[:ANNEALED_OF].to(system.device)
    made, codes = _simulated(system, x, seed)
    settings: dict[str, Any] = {"temperatures": temperatures, "chains": chains, "leapfrog": 5}
    q, q_made = _start(system, x, codes), _start(system, made, codes)
    lower = ais.annealed(_joint(system, x), q, **settings, seed=seed).lower
    below = ais.annealed(_joint(system, made), q_made, **settings, seed=seed + 1).lower
    above = ais.annealed(_joint(system, made), q_made, **settings, posterior=codes, seed=seed + 2).upper
    known = _posterior(system, x) is not None
    began = "q(z|x)" if known else "N(0, I)"
    how = f"{temperatures} temperatures, {chains} chains from {began}"
    error = f"{how}, on {len(made)} simulated examples"
    found = {
        "annealed": log_likelihood(lower, f"Lower bound by annealed importance sampling, {how}", seed=seed),
        "annealed_error": ais.sandwich(below, above, how=error, seed=seed),
    }
    if not known:
        return found
    found |= refinement(_joint(system, x), q, chains=chains, seed=seed)
    if not bounded(system):
        return found
    other = bounds(system, x, draws, seed)
    best = other if exact(system) else torch.maximum(lower, other)
    of = "the closed form" if exact(system) else f"annealing or K = {draws}, whichever is larger"
    return found | inference_gap(best, _joint(system, x), q, of=of, seed=seed)


def check_annealed(system: System) -> None:
    """Raises ReparamError for a model without `log_joint`, or whose prior is not known."""
    normal = isinstance(system.model.noise().get("z"), Normal)
    if not system.can("log_joint") or not (normal or system.can("prior_law")):
        raise ReparamError(
            f"{system.name} cannot be annealed: that takes log p(x, z) (`log_joint`) and a normal prior, or "
            "another that is known (`prior_law`)."
        )


def _weights(system: System) -> Callable[[Tensor, Tensor], Tensor]:
    """(x (n, …), eps (n, k, latent)) → (n, k): log weights, or what needs no draws for each of them."""
    model: Any = system.model
    if sampled(system):
        return lambda x, eps: model.log_weights(x, eps=eps)
    bound = model.log_prob if exact(system) else model.elbo
    return lambda x, eps: bound(x)[:, None].expand(len(x), eps.shape[1])


def _eps(system: System, dtype: torch.dtype) -> Noise:
    """What a draw of q(z|x) is made of; nothing, where the bound needs none."""
    return one_draw(system.model.noise()["eps"], dtype=dtype) if sampled(system) else standard_normal(0)


@torch.no_grad()
def _law(system: System, x: Tensor) -> Any:
    """p(x|z) at the code of an example: what matters is its kind."""
    model: Any = system.model
    return model.likelihood(x[:1]) if system.can("likelihood") else model.decoder(model.encode(x[:1]))


def bounds(system: System, x: Tensor, draws: int, seed: int) -> Tensor:
    """The bound on log p(x) of each example, of `draws` importance samples where it takes any: (n,) nats."""
    dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
    draws = draws if sampled(system) else 1
    return importance_weighted(_weights(system), x, _eps(system, dtype), draws=draws, seed=seed)


@torch.no_grad()
def _rate_and_distortion(system: System, x: Tensor, seed: int) -> tuple[Tensor, Tensor] | None:
    """The terms of these names that a loss of the model returns, (n,) each, averaged over draws."""
    model, streams = system.model, Streams(seed, system.device)
    if model.couples_batch:  # the other examples of the held-out data would set a term's scale
        return None
    for turn in model.turns():
        wants = asks(turn.loss)
        if wants.fields != ("x",):
            continue
        sums: list[Terms] = []
        for i in range(REPEATS):
            noise = {name: streams.draw(name, model.noise()[name], len(x), -2, i) for name in wants.noise}
            terms = turn.loss(x, **noise)
            if not {"rate", "distortion"} <= terms.keys():
                break
            sums.append(terms)
        if sums:
            rate, distortion = (
                torch.stack([t[name] for t in sums]).mean(0) for name in ("rate", "distortion")
            )
            return rate.cpu(), distortion.cpu()
    return None


def _bits(system: System, x: Tensor, bounds: Tensor, draws: int, seed: int) -> dict[str, Measure]:
    if system.data.levels == "tokens":
        return {}  # what a token is differs from text to text: its cost is a perplexity
    d = x[0].numel()
    if isinstance(_law(system, x), Bernoulli | DiscretisedLogistic | Tokens):
        how = "Probability of the levels themselves" + f", K = {draws}" * sampled(system)
        return {"bits": dequantisation.bits(bounds, d=d, how=how, seed=seed)}
    if system.data.levels != "grey":
        return {}  # a density of real numbers, or one of two numbers, has no bits
    weights, noise = dequantisation.dequantised(_weights(system), x, _eps(system, x.dtype))
    levels = importance_weighted(weights, x, noise, draws=draws, chunk=4, seed=seed)
    how = f"Density dequantised uniformly over 256 levels, K = {draws} draws of noise and code"
    return {"bits": dequantisation.bits(levels, d=d, how=how, seed=seed)}


def _joint(system: System, x: Tensor) -> ais.LogJoint:
    model: Any = system.model
    return lambda z: model.log_joint(x, z)


@torch.no_grad()
def _posterior(system: System, x: Tensor) -> Gaussian | None:
    """q(z|x) where it is a diagonal Gaussian."""
    q = system.model.encoder(x) if hasattr(system.model, "encoder") else None  # pyright: ignore
    return q if isinstance(q, Gaussian) else None


def _start(system: System, x: Tensor, codes: Tensor) -> Gaussian:
    """q(z|x), or N(0, I) where it is no diagonal Gaussian."""
    return _posterior(system, x) or Gaussian(torch.zeros_like(codes), torch.zeros_like(codes))


@torch.no_grad()
def _simulated(system: System, like: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """As many data drawn from p(x|z), and the codes (n, latent): exact draws of their posteriors."""
    generator = torch.Generator().manual_seed(seed)
    z = system.prior_law().at(system.draw(("z",), len(like), Control(seed))["z"].to(like.dtype))
    law: Any = system.model.decoder(z)  # pyright: ignore
    draw = torch.randn if isinstance(law, Gaussian) else torch.rand
    return law.at(draw(law.mean.shape, generator=generator, dtype=like.dtype).to(like.device)), z
