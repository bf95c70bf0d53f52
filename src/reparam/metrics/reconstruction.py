"""Per-example error of reconstructions: mean squared error, PSNR, and SSIM (Wang et al. 2004)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, images
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.measure import Better, Measure

WINDOW, SIGMA = 11, 1.5  # the window of Wang et al., section III-C

SSIM = (
    f"Mean SSIM, Gaussian window {WINDOW} × {WINDOW}, σ {SIGMA}, K 0.01 and 0.03, range 1, mean over "
    "channels and whole windows"
)


def _pair(x: Array, y: Array) -> tuple[Tensor, Tensor]:
    a, b = images(x, "images").double(), images(y, "reconstructions").double()
    if a.shape != b.shape:
        raise ReparamError(
            f"images are {tuple(a.shape)} and reconstructions {tuple(b.shape)}; expected one shape."
        )
    return a, b


def squared_error(x: Array, y: Array) -> Tensor:
    """Mean squared error over channels and pixels, intensities in [0, 1]: (n, c, h, w) twice → (n,)."""
    a, b = _pair(x, y)
    return (a - b).square().flatten(1).mean(1)


def psnr(x: Array, y: Array) -> Tensor:
    """Peak signal-to-noise ratio −10 log₁₀ MSE in dB: (n, c, h, w) twice → (n,).

    Capped at 100 dB: an identical image would make the mean infinite.
    """
    return -10 * squared_error(x, y).clamp(min=1e-10).log10()


def ssim(x: Array, y: Array) -> Tensor:
    """Structural similarity, Gaussian window 11 × 11, σ 1.5, mean over channels and whole windows: → (n,).

    Wang et al., eq. 13, with K₁ = 0.01, K₂ = 0.03, range L = 1, variances over the window's weights (n, not
    n − 1). Each channel by itself, no grey conversion; windows that would cross the edge do not count, and
    images are taken at their own size (the authors' code shrinks large ones first). Raises ReparamError on
    images smaller than the window.
    """
    a, b = _pair(x, y)
    if min(a.shape[2:]) < WINDOW:
        raise ReparamError(
            f"ssim: images of {tuple(a.shape[2:])} pixels; the window needs {WINDOW} × {WINDOW}."
        )
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    taps = torch.exp(-offsets.square() / (2 * SIGMA**2))
    taps /= taps.sum()

    def local(z: Tensor) -> Tensor:
        z = z.flatten(0, 1)[:, None]
        return F.conv2d(F.conv2d(z, taps[None, None, None]), taps[None, None, :, None])

    mean_a, mean_b = local(a), local(b)
    var_a, var_b = local(a * a) - mean_a**2, local(b * b) - mean_b**2
    cov = local(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    similarity /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return similarity.reshape(len(a), -1).mean(1)


def reconstruction(x: Array, y: Array, *, seed: int = 0) -> dict[str, Measure]:
    """Means over n pairs of `squared_error`, `psnr` and, where its window fits, `ssim`."""
    per_example: dict[str, tuple[Tensor, str, Better, str]] = {
        "mse": (
            squared_error(x, y),
            "squared intensity",
            "lower",
            "Mean squared error per pixel, range [0, 1]",
        ),
        "psnr": (psnr(x, y), "dB", "higher", "Mean PSNR per image, peak 1, capped at 100 dB"),
    }
    if min(x.shape[2:]) >= WINDOW:
        per_example["ssim"] = (ssim(x, y), "1", "higher", SSIM)
    return {
        name: Measure(
            values.mean().item(),
            *interval(mean, values, seed=seed),
            len(values),
            unit,
            better,
            f"{what}, {len(values)} reconstructions; {resampled(seed)}.",
        )
        for name, (values, unit, better, what) in per_example.items()
    }
