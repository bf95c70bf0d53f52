"""MUNIT."""

from reparam.models.munit import MUNIT
from reparam.nets.styled import ContentAndStyle, Scales, StyledDecoder
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Fall


def munit(
    data: DataFacts,
    *,
    width: int = 256,
    blocks: int = 4,
    style: int = 8,
    patches: int = 2,
    scales: int = 2,
    reconstruction: float = 20.0,
    codes: float = 1.0,
    cycle: float = 20.0,
    lr: float = 1e-4,
    steps: int = 20_000,
) -> Recipe:
    """The paper's networks; width is that of the deepest maps, patches the strided layers of a critic.

    The paper's critics look at three scales of 256 pixels with three strided layers. Its rate halves every
    100,000 steps of a million; here it is constant over the first half and falls to 0 over the second.
    """
    data.require_domains("munit")
    data.require_picture("munit", 8)
    base, bounded = max(width // 4, 4), data.levels != "real"
    model = MUNIT(
        ContentAndStyle(data.shape, style, base, blocks),
        ContentAndStyle(data.shape, style, base, blocks),
        StyledDecoder(data.shape, style, base, blocks, bounded=bounded),
        StyledDecoder(data.shape, style, base, blocks, bounded=bounded),
        Scales(data.shape, base, patches, scales),
        Scales(data.shape, base, patches, scales),
        style,
        reconstruction=reconstruction,
        codes=codes,
        cycle=cycle,
    )
    rule = Adam(Fall(steps, lr), betas=(0.5, 0.999), l2=1e-4)
    return Recipe(model, {"default": rule}, batch_size=4, steps=steps)
