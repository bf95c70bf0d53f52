"""Pure functions that losses are made of: the halves of each adversarial game, penalties.

All take and return per-example tensors; what is averaged, and with which weight, is not theirs to say.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.coupling import gather
from reparam.distributions import total

Half = Callable[[Tensor], Tensor]


class Adversarial(NamedTuple):
    """A two-player game on a discriminator's logits (n,): each half is lowered by one side.

    `real` and `fake` are the discriminator's on real and generated data, `fool` the generator's.
    """

    name: str
    real: Half
    fake: Half
    fool: Half


def _minus_softplus(logit: Tensor) -> Tensor:
    return -F.softplus(logit)


def _softplus_of_minus(logit: Tensor) -> Tensor:
    return F.softplus(-logit)


def _below_one(logit: Tensor) -> Tensor:
    return F.relu(1 - logit)


def _above_minus_one(logit: Tensor) -> Tensor:
    return F.relu(1 + logit)


def _from_one(logit: Tensor) -> Tensor:
    return (logit - 1).square()


MINIMAX = Adversarial("minimax", _softplus_of_minus, F.softplus, _minus_softplus)
"""Goodfellow et al. 2014, eq. 1: the generator raises the discriminator's loss."""

NON_SATURATING = Adversarial("non-saturating", _softplus_of_minus, F.softplus, _softplus_of_minus)
"""Goodfellow et al. 2014, §3: the generator lowers −log D(G(z)), whose gradient does not vanish."""

HINGE = Adversarial("hinge", _below_one, _above_minus_one, torch.neg)
"""Lim & Ye 2017 (arXiv:1705.02894)."""

WASSERSTEIN = Adversarial("wasserstein", torch.neg, torch.Tensor.clone, torch.neg)
"""Arjovsky et al. 2017 (arXiv:1701.07875): the critic's difference in means."""

LEAST_SQUARES = Adversarial("least-squares", _from_one, torch.square, _from_one)
"""Mao et al. 2017 (arXiv:1611.04076), with labels 1 and 0, and without their factor of one half."""

GAMES = {game.name: game for game in (NON_SATURATING, HINGE, MINIMAX)}


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    """(‖∇ critic‖₂ − 1)² at real + u (fake − real), norm over all dimensions of an example: (n,).

    u (n,) is uniform, one per example. Gulrajani et al. 2017 (arXiv:1704.00028), eq. 3.
    """
    u = u.view(-1, *[1] * (real.dim() - 1))
    between = (real + u * (fake - real)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    # The square root's slope is infinite at 0, where a critic that is still flat would give NaN.
    norm = torch.sqrt(total(gradient.square()) + 1e-12)
    return (norm - 1).square()


def straight_through(value: Tensor, carrier: Tensor) -> Tensor:
    """The value, exactly; its gradient goes to the carrier unchanged. Bengio et al. 2013, arXiv:1308.3432."""
    return value.detach() + (carrier - carrier.detach())


def free_bits(kl: Tensor, nats: float) -> Tensor:
    """Each example's part of Σ over groups of max(nats, the group's mean KL): (n, groups) → (n,).

    The mean is the joint batch's, and so is what is cut: a group whose mean is below `nats` gets no gradient.
    Cut example by example, it would still be held down by those above. Whoever calls this says
    `couples_batch = True`. Kingma et al. 2016 (arXiv:1606.04934), eq. 15.
    """
    above = gather(kl).mean(0) > nats
    return torch.where(above, kl, nats).sum(1)


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """‖x − y‖², summed over all but the batch: (n,)."""
    return total((x - y).square())


def mean_absolute_error(x: Tensor, y: Tensor) -> Tensor:
    """|x − y|, averaged over all but the batch: (n,)."""
    return (x - y).abs().flatten(1).mean(1)


def per_example(x: Tensor) -> Tensor:
    """Mean over all but the batch, such as over the patches that a discriminator judges: (n, …) → (n,)."""
    return x.flatten(1).mean(1) if x.dim() > 1 else x


def judged(half: Half, logits: Iterable[Tensor]) -> Tensor:
    """One half of the game, summed over several judges' logits, each the mean of its patches: (n,)."""
    return torch.stack([per_example(half(each)) for each in logits]).sum(0)


SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def inverse_multiquadratic(x: Tensor, y: Tensor, c: float) -> Tensor:
    """Σ over scales s of s·c / (s·c + ‖x − y‖²): (n, d), (m, d) → (n, m); at x = y the number of scales.

    Several scales, because no single width sees both far and near codes: Tolstikhin et al. 2018's code.
    """
    squared = (x[:, None] - y).square().sum(2)
    return torch.stack([s * c / (s * c + squared) for s in SCALES]).sum(0)


def mmd(
    x: Tensor, y: Tensor, kernel: Callable[[Tensor, Tensor], Tensor], joint_x: Tensor, joint_y: Tensor
) -> Tensor:
    """Each example's part of the unbiased MMD² of two samples; the mean of the parts is the estimate, (n,).

    x and y (n, d) are this process's rows of joint_x and joint_y (m, d), the samples of all. The kernel must
    be constant on the diagonal. Gretton et al. 2012, eq. 3; like any unbiased estimate of a square it can be
    negative.
    """
    m = len(joint_x)
    same = kernel(x[:1], x[:1])[0, 0].detach()
    within = (kernel(x, joint_x).sum(1) + kernel(y, joint_y).sum(1) - 2 * same) / (m - 1)
    return within - (kernel(x, joint_y).sum(1) + kernel(y, joint_x).sum(1)) / m
