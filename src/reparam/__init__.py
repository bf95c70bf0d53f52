"""reparam: latent-variable generative models, VAE, GAN and everything between.

>>> import reparam
>>> system = reparam.build("vae", "digits")
>>> reparam.train(system, out="runs/vae", budget=60)    # doctest: +SKIP
>>> reparam.load("runs/vae").sample(64)                 # doctest: +SKIP
"""

__version__ = "0.1.0"

from reparam.errors import ReparamError
from reparam.registry import models
from reparam.run import resume, train
from reparam.system import System, build, load

__all__ = ["ReparamError", "System", "build", "load", "models", "resume", "train"]
