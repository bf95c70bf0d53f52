"""reparam: latent-variable generative models, VAE, GAN and everything between.

>>> import reparam
>>> system = reparam.build("vae", "digits")
>>> reparam.train(system, out="runs/vae", budget=60)    # doctest: +SKIP
>>> reparam.load("runs/vae").sample(64)                 # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

# Loading a subpackage binds its name here, once. `models` is to be the function, so that is over with first.
import reparam.models

del reparam.models

if TYPE_CHECKING:
    from reparam.errors import ReparamError
    from reparam.registry import models
    from reparam.run import resume, train
    from reparam.system import System, build, load

__version__ = "0.1.0"
__all__ = ["ReparamError", "System", "build", "load", "models", "resume", "train"]

_HOMES = {
    "ReparamError": "errors",
    "System": "system",
    "build": "system",
    "load": "system",
    "models": "registry",
    "resume": "run",
    "train": "run",
}


def __getattr__(name: str) -> Any:
    """On first use, because it brings torch: `reparam --help` answers without."""
    if name not in _HOMES:
        raise AttributeError(f"module 'reparam' has no attribute {name!r}")
    return getattr(importlib.import_module(f"reparam.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
