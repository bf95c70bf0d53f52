"""What inference loses: log p(x) − ELBO, split into approximation and amortisation.

Cremer, Li & Duvenaud 2018, Inference Suboptimality in Variational Autoencoders (arXiv:1801.03558).
"""

import math

import torch
from torch import Tensor

from reparam.distributions import Gaussian, total
from reparam.errors import ReparamError
from reparam.metrics.ais import LogJoint
from reparam.metrics.arrays import Array, vector
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.measure import Measure


def elbo(log_joint: LogJoint, q: Gaussian, *, draws: int = 100, seed: int = 0) -> Tensor:
    """E_q[log p(x, z) − log q(z)] of each example, (n,) float64 in nats: the mean of `draws` draws.

    The entropy is estimated by the same draws, so that an exact posterior gives log p(x) without variance.
    Raises ReparamError for draws below 1.
    """
    if draws < 1:
        raise ReparamError(f"elbo: draws is {draws}, expected at least 1.")
    generator = torch.Generator().manual_seed(seed)
    sums = torch.zeros(len(q.mean), dtype=torch.float64)
    with torch.no_grad():
        for _ in range(draws):
            sums += _path_bound(log_joint, q, _noise(q.mean, generator)).double().cpu()
    return sums / draws


def optimised(
    log_joint: LogJoint, q: Gaussian, *, steps: int = 500, lr: float = 0.05, draws: int = 8, seed: int = 0
) -> Gaussian:
    """For each example the diagonal Gaussian of highest ELBO that Adam finds from q: (n, latent).

    The gradient is that along the draws alone (Roeder et al. 2017, arXiv:1703.09194): it has no variance
    where q is the exact posterior, so that nothing moves there. `lr` is in units of q's standard deviation
    and falls to 0 by a cosine. Raises ReparamError for steps or draws below 1.
    """
    if steps < 1 or draws < 1:
        raise ReparamError(f"inference_gap: steps is {steps} and draws {draws}, expected at least 1.")
    generator = torch.Generator().manual_seed(seed)
    mean, log_std = q.mean.detach(), q.log_std.detach().expand_as(q.mean)
    with torch.enable_grad():
        # In units of q one rate serves all directions, however narrow, and Adam's floor under the slope (nats
        # per standard deviation) lets it come to rest: at the optimum it would else step at its full rate.
        shift = torch.zeros_like(mean, requires_grad=True)
        widen = torch.zeros_like(mean, requires_grad=True)
        optimiser = torch.optim.Adam([shift, widen], lr, eps=0.1)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            now = Gaussian(mean + log_std.exp() * shift, log_std + widen)
            still = Gaussian(now.mean.detach(), now.log_std.detach())
            eps = _noise(mean, generator, draws)
            z = now.mean[:, None] + now.log_std.exp()[:, None] * eps
            back = (z - still.mean[:, None]) * torch.exp(-still.log_std)[:, None]
            objective = (0.5 * back.square().sum(2) + log_joint(z)).mean(1).sum()
            gradients = torch.autograd.grad(-objective, [shift, widen])
            shift.grad, widen.grad = gradients
            optimiser.step()
            decay.step()
    return Gaussian((mean + log_std.exp() * shift).detach(), (log_std + widen).detach())


def inference_gap(
    best: Array,
    log_joint: LogJoint,
    q: Gaussian,
    *,
    of: str,
    steps: int = 500,
    draws: int = 100,
    seed: int = 0,
) -> dict[str, Measure]:
    """`gap` = `approximation` + `amortisation`, means over n examples in nats, all 0 on a linear VAE.

    Args:
        best: log p(x) as well as it is known, (n,).
        log_joint: of the model at the examples.
        q: what the encoder gives for them, (n, latent).
        of: what `best` is, for the statement.
        steps: of Adam for each example's own Gaussian.
        draws: behind each ELBO.
        seed: of all draws and of the bootstrap over the examples.

    `approximation` is log p(x) less the ELBO of the best diagonal Gaussian that was found for each example,
    `amortisation` that ELBO less the encoder's. Raises ReparamError if shapes do not fit.
    """
    truth = vector(best, "likelihoods")
    if len(truth) != len(q.mean):
        raise ReparamError(f"inference_gap: {len(truth)} likelihoods for {len(q.mean)} posteriors.")
    amortised = elbo(log_joint, q, draws=draws, seed=seed)
    own = elbo(log_joint, optimised(log_joint, q, steps=steps, seed=seed), draws=draws, seed=seed)
    parts = {"gap": truth - amortised, "approximation": truth - own, "amortisation": own - amortised}
    how = (
        f"log p(x) by {of}; each example's Gaussian by {steps} steps of Adam; ELBO of {draws} draws; "
        f"mean of {len(truth)} examples; {resampled(seed)}."
    )
    return {
        name: Measure(x.mean().item(), *interval(mean, x, seed=seed), len(x), "nats", "zero", how)
        for name, x in parts.items()
    }


def _path_bound(log_joint: LogJoint, q: Gaussian, eps: Tensor) -> Tensor:
    z = q.mean[:, None] + q.log_std.exp()[:, None] * eps
    log_q = -0.5 * (eps.square() + math.log(2 * math.pi)).sum(2) - total(q.log_std.expand_as(q.mean))[:, None]
    return (log_joint(z) - log_q).mean(1)


def _noise(like: Tensor, generator: torch.Generator, draws: int = 1) -> Tensor:
    n, latent = like.shape
    return torch.randn(n, draws, latent, generator=generator, dtype=like.dtype).to(like.device)
