"""What short chains from q(z|x) to p(z|x) add to the bound on log p(x).

A chain that keeps p(z|x) from its first move on (Hoffman 2017, Learning Deep Latent Gaussian Models with
Markov Chain Monte Carlo) brings the code nearer to it, but no bound: the density of where it ends is not
known. One that passes through the temperatures between q and the posterior carries a weight whose mean is
p(x) (Neal 2001), however short and badly mixed it is. So the log mean weight of K chains is a lower bound in
expectation, and where nothing moves it is the importance-weighted bound of K draws: of the two bounds at the
same K, the difference is what the moves are worth.
"""

import math
from typing import Any

from reparam.distributions import Gaussian
from reparam.errors import ReparamError
from reparam.metrics.ais import LogJoint, annealed
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.likelihood import log_likelihood
from reparam.metrics.measure import Measure


def refinement(
    log_joint: LogJoint,
    q: Gaussian,
    *,
    temperatures: int = 10,
    chains: int = 8,
    leapfrog: int = 3,
    seed: int = 0,
) -> dict[str, Measure]:
    """`refined`, the bound by chains, and `refinement`, that less the bound of as many draws, in nats.

    Args:
        log_joint: of the model at the examples.
        q: what the encoder gives for them, (n, latent). Where it is p(z|x) itself, there is nothing to gain.
        temperatures: of one chain, which makes a move less than that; at least 2.
        chains: K, for each example.
        leapfrog: steps of a move by Hamiltonian Monte Carlo; 1 is Langevin's.
        seed: of all draws and of the bootstrap over the examples.

    Raises ReparamError for smaller numbers, and where `ais.annealed` does.
    """
    if temperatures < 2:
        raise ReparamError(
            f"refinement: temperatures is {temperatures}; between q and p there is one from 2 on."
        )
    still = annealed(log_joint, q, temperatures=1, chains=chains, seed=seed).lower
    settings: dict[str, Any] = {"temperatures": temperatures, "leapfrog": leapfrog, "longest": math.pi / 2}
    moved = annealed(log_joint, q, **settings, chains=chains, seed=seed).lower
    gain = moved - still
    what = f"{chains} chains of {temperatures - 1} moves from q(z|x), {leapfrog} leapfrog steps each"
    how = (
        f"Lower bound by {what}, less the importance-weighted bound, K = {chains}; "
        f"mean of {len(gain)} examples; {resampled(seed)}."
    )
    return {
        "refined": log_likelihood(moved, f"Lower bound by {what}", seed=seed),
        "refinement": Measure(
            gain.mean().item(), *interval(mean, gain, seed=seed), len(gain), "nats", "zero", how
        ),
    }
