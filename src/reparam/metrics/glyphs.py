"""Content of glyphs: does a reader of print read the character that was meant? By RapidOCR, offline."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
from torch.nn import functional as F

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, images
from reparam.metrics.bootstrap import resampled, share
from reparam.metrics.measure import Measure

MARGIN = 1 / 8  # of the side, on each side; on `hanzi` 0 and ¼ read nearly as well, ½ clearly worse


@cache
def _reader() -> Any:
    try:
        from rapidocr_onnxruntime import RapidOCR  # pyright: ignore[reportMissingImports]
    except ImportError as missing:
        raise ReparamError(
            f'reading glyphs needs the package {missing.name!r}: pip install "reparam[glyphs]".'
        ) from missing
    # One thread: sums of several would not be added in one order.
    return RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1).text_rec


def read(glyphs: Array, *, ink: str = "bright") -> list[str]:
    """What the reader sees in each glyph (n, 1 or 3, h, w) in [0, 1]: n strings, "" where it sees nothing.

    `ink` is "bright" (1 on 0, as `hanzi`) or "dark"; the reader is shown dark ink on a light page with a
    margin. About 30 ms a glyph; its weights are inside the package. Raises ReparamError on other images,
    or if rapidocr-onnxruntime is missing.
    """
    x = images(glyphs, "glyphs").float()
    if ink not in ("bright", "dark"):
        raise ReparamError(f'read: ink is {ink!r}, expected "bright" or "dark".')
    page = 1 - x if ink == "bright" else x
    edge = round(MARGIN * max(page.shape[2:]))
    page = F.pad(page.expand(-1, 3, -1, -1), (edge,) * 4, value=1.0)
    shown = (255 * page.clamp(0, 1)).round().byte().permute(0, 2, 3, 1).numpy()
    answers, _ = _reader()([np.ascontiguousarray(glyph) for glyph in shown])
    return [text.strip() for text, _ in answers]


def content_kept(glyphs: Array, characters: Sequence[str], *, ink: str = "bright", seed: int = 0) -> Measure:
    """Share of glyphs (n, 1 or 3, h, w) in [0, 1] in which the reader reads the character that was meant.

    The reader errs on real glyphs too (of `hanzi` it reads 98 % in print, 25 % in cursive): quote its share
    on the real glyphs of the same characters and style, which is what a perfect model would reach. Raises
    ReparamError unless there is one character for each glyph, and what `read` raises.
    """
    if len(characters) != len(glyphs) or any(len(c) != 1 for c in characters):
        raise ReparamError(
            f"content_kept: {len(glyphs)} glyphs and {len(characters)} characters; expected one each."
        )
    right = np.array([a == c for a, c in zip(read(glyphs, ink=ink), characters, strict=True)], float)
    how = (
        f"Share of {len(right)} glyphs read as the character meant, by RapidOCR "
        f"{version('rapidocr-onnxruntime')} (recognition alone, no detection); {resampled(seed)}."
    )
    return Measure(right.mean().item(), *share(right, seed=seed), len(right), "share", "higher", how)
