"""CycleGAN."""

from functools import partial
from typing import Literal

from torch import nn

from reparam.models.cyclegan import CycleGAN
from reparam.nets import choose
from reparam.nets.translation import NORMS, MLPTranslator, NormName, PatchDiscriminator, ResidualTranslator
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe
from reparam.samplers import Mover
from reparam.schedules import Fall


def cyclegan(
    data: DataFacts,
    *,
    width: int = 256,
    blocks: int = 6,
    norm: NormName = "instance",
    halvings: Literal[1, 2, 3] = 2,
    patches: int = 2,
    cycle: float = 20.0,
    identity: float = 10.0,
    pool: int = 50,
    lr: float = 2e-4,
    critic_lr: float | None = None,
    steps: int = 20_000,
    forth: nn.Module | None = None,
    back: nn.Module | None = None,
    critic_x: nn.Module | None = None,
    critic_y: nn.Module | None = None,
) -> Recipe:
    """The paper's networks; width is that of the deepest maps, patches the strided layers of a critic.

    The rate is constant over the first half of the steps and falls to 0 over the second, as the paper's. The
    paper's critic has three strided layers and judges patches of 70 pixels of 256; two judge 34. Group
    norm is for drawings: the paper's instance norm loses the tint of flat grounds. One halving before the
    blocks, not two, is for pictures of 32 pixels. Critics that win too easily can be given a lower rate.
    """
    data.require_domains("cyclegan")
    if choose.resolve(data.shape, "auto") == "conv":
        base = max(width // 2**halvings, 4)
        translator = partial(
            ResidualTranslator, data.shape, base, blocks, norm=NORMS[norm], halvings=halvings
        )
        critic = partial(PatchDiscriminator, data.shape, base, patches)
    else:
        translator = partial(MLPTranslator, data.shape, width)
        critic = partial(choose.discriminator, data.shape, "mlp", width)
    model = CycleGAN(
        forth or translator(),
        back or translator(),
        critic_x or critic(),
        critic_y or critic(),
        (data.shape, data.shape),
        cycle=cycle,
        identity=identity,
        pool=pool,
    )
    optimisers: dict[str, Mover] = {
        "translation.forth+back": Adam(Fall(steps, lr), betas=(0.5, 0.999)),
        "translation.critic_x+critic_y": Adam(Fall(steps, critic_lr or lr), betas=(0.5, 0.999)),
    }
    return Recipe(model, optimisers, batch_size=4, steps=steps)
