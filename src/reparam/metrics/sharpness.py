"""Sharpness: variance of the Laplacian, as in WAE (Tolstikhin et al. 2018), against that of the data."""

import torch
from torch import Tensor
from torch.nn import functional as F

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, images
from reparam.metrics.bootstrap import interval, ratio, resampled
from reparam.metrics.measure import Measure

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601
LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


def laplacian_variance(x: Array) -> Tensor:
    """Variance over inner pixels of the luminance's Laplacian: (n, 1 or 3, h, w) in [0, 1] → (n,)."""
    pixels = images(x).double()
    if min(pixels.shape[2:]) < 3:
        raise ReparamError(
            f"laplacian_variance: images of {tuple(pixels.shape[2:])} pixels; at least 3×3 are needed."
        )
    if pixels.shape[1] == 3:
        pixels = (pixels * pixels.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
    return F.conv2d(pixels, pixels.new_tensor(LAPLACIAN)[None, None]).flatten(1).var(1, correction=0)


def sharpness(samples: Array, data: Array, *, seed: int = 0) -> Measure:
    """Mean Laplacian variance of samples over that of data; below 1 is blurred, above 1 noisy or too crisp.

    Both (n, c, h, w) in [0, 1] and of one size: the Laplacian depends on the resolution.
    Raises ReparamError on other shapes and on data without any detail.
    """
    if tuple(samples.shape[1:]) != tuple(data.shape[1:]):
        raise ReparamError(
            f"sharpness: samples {tuple(samples.shape[1:])}, data {tuple(data.shape[1:])}; both need one."
        )
    top, bottom = laplacian_variance(samples), laplacian_variance(data)
    if bottom.mean() == 0:
        raise ReparamError(
            "sharpness: every image of the data is flat; there is no sharpness to compare with."
        )
    low, high = interval(ratio, top, bottom, seed=seed)
    how = (
        f"Mean variance of the 3×3 Laplacian of the luminance, {len(top)} samples over {len(bottom)} data; "
        f"{resampled(seed)}."
    )
    value = torch.mean(top) / torch.mean(bottom)
    return Measure(value.item(), low, high, len(top), "ratio to data", "one", how)
