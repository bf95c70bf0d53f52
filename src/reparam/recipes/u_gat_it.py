"""U-GAT-IT, the light one."""

from functools import partial
from typing import Literal

from reparam.models.u_gat_it import UGATIT
from reparam.nets.attention import AttentiveTranslator, LocalAndGlobal
from reparam.nets.translation import NORMS, NormName
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Fall


def u_gat_it(
    data: DataFacts,
    *,
    width: int = 256,
    blocks: int = 4,
    norm: NormName = "instance",
    halvings: Literal[1, 2, 3] = 2,
    patches: int = 2,
    cycle: float = 20.0,
    identity: float = 20.0,
    attention: float = 1000.0,
    lr: float = 1e-4,
    steps: int = 20_000,
) -> Recipe:
    """The paper's light networks; width is of the deepest maps, patches the local critic's strided layers.

    The rate is constant over the first half of the steps and falls to 0 over the second, as the paper's. It
    has a million steps, batches of 1 and pictures of 256 pixels; its local critic has three strided layers.
    norm is the encoding half's; the paper's loses the tint of flat grounds. One halving before the blocks,
    not two, is for pictures of 32 pixels.
    """
    data.require_domains("u-gat-it")
    data.require_picture("u-gat-it", 8)
    base = max(width // 2**halvings, 4)
    bounded = data.levels != "real"
    translator = partial(
        AttentiveTranslator, data.shape, base, blocks, bounded=bounded, norm=NORMS[norm], halvings=halvings
    )
    model = UGATIT(
        translator(),
        translator(),
        LocalAndGlobal(data.shape, base, patches),
        LocalAndGlobal(data.shape, base, patches),
        cycle=cycle,
        identity=identity,
        attention=attention,
    )
    rule = Adam(Fall(steps, lr), betas=(0.5, 0.999), l2=1e-4)
    return Recipe(model, {"default": rule}, batch_size=4, steps=steps)
