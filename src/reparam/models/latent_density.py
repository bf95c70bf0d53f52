"""The density of a finished autoencoder's codes, fitted afterwards."""

from typing import Any

import torch
from torch import Tensor

from reparam.coupling import gather
from reparam.distributions import Moved, Prior
from reparam.model import Model, Replace, Rule, Terms, Turn
from reparam.nets.frozen import Frozen
from reparam.nets.priors import PriorNetwork
from reparam.noise import Source


class LatentDensity(Model):
    """x ─first stage, frozen→ z ─prior→ p(z);  noise ─prior→ z ─first stage→ x̃"""

    name = "latent-density"
    paper = "Ghosh et al. 2020, From Variational to Deterministic Autoencoders, arXiv:1903.12436, §4"

    prior: PriorNetwork
    shift: Tensor
    scale: Tensor

    # Structure and training flow

    def __init__(self, first: Model, prior: PriorNetwork, latent: int, posterior: Source) -> None:
        super().__init__()
        self.frozen, self.prior, self.posterior = Frozen(first), prior, posterior
        # The prior learns codes of mean 0 and deviation 1: those of a first batch say where they lie.
        self.register_buffer("shift", torch.zeros(latent))
        self.register_buffer("scale", torch.zeros(latent))

    @property
    def first(self) -> Any:
        """The first stage."""
        return self.frozen.model

    def turns(self) -> list[Turn]:
        return [Turn(self.prior, lowers=self.cross_entropy)]

    def state(self) -> dict[str, Rule]:
        return {"shift": Replace(), "scale": Replace()}

    def encode(self, x: Tensor) -> Tensor:
        return self.first.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.first.decode(z)

    def prior_law(self) -> Prior:
        """p(z): the prior's law, moved to where the codes lie."""
        return Moved(self.prior(), self.shift, torch.where(self.scale > 0, self.scale, 1))

    # Loss

    def cross_entropy(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Ghosh et al. 2020, §4: maximum likelihood of the codes z of x, drawn where q(z|x) is a law.

        surprise = −log p(z)
        """
        with torch.no_grad():
            z = self.first.encoder(x).at(eps)
            codes = gather(z)
            std = codes.std(0, correction=0)
            begun = self.scale > 0
        return {
            "surprise": -self.prior_law().log_prob(z),
            "shift": torch.where(begun, self.shift, codes.mean(0)),
            # A dimension in which nothing happens is left as it is.
            "scale": torch.where(begun, self.scale, torch.where(std > 1e-6, std, 1)),
        }

    def score(self, x: Tensor) -> Tensor:
        """log p(z) at the code of x, in nats: (n,). No bound on log p(x)."""
        return self.prior_law().log_prob(self.encode(x))

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": self.posterior,  # posterior of the first stage: none where it is deterministic
            "z": self.prior.source,  # what a code of the fitted density is made of
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(self.prior_law().at(z))
