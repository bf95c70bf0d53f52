"""The semi-supervised VAE over the codes of a finished VAE."""

from typing import Any

import torch
from torch import Tensor

from reparam.model import Model, Terms, Turn
from reparam.models.m2 import M2
from reparam.nets.frozen import Frozen
from reparam.noise import Normal, Source


class M1M2(Model):
    """x ─M1, frozen→ z₁ ~ q(z₁|x);  M2 of z₁ and its class, known of few;  z₁ ─M1→ x̃"""

    name = "m1-m2"
    paper = "Kingma et al. 2014, Semi-supervised Learning with Deep Generative Models, arXiv:1406.5298, §3.1"

    # Structure and training flow

    def __init__(self, first: Model, second: M2, codes: int) -> None:
        super().__init__()
        self.frozen, self.second, self.codes = Frozen(first), second, codes

    @property
    def first(self) -> Any:
        """M1."""
        return self.frozen.model

    def turns(self) -> list[Turn]:
        (turn,) = self.second.turns()
        (move,) = turn.moves
        return [Turn(*move.players, lowers=self.negative_elbo, weights=move.weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.second.encode(self.first.encode(x))

    def decode(self, z: Tensor) -> Tensor:
        return self.first.decode(self.second.decode(z))

    def classify(self, x: Tensor) -> Tensor:
        """The class of each example: (n,) int64."""
        return self.second.classify(self.first.encode(x))

    # Loss

    def negative_elbo(
        self,
        x: Tensor,
        x_labelled: Tensor,
        y_labelled: Tensor,
        *,
        eps1: Tensor,
        eps1_labelled: Tensor,
        eps: Tensor,
        eps_labelled: Tensor,
    ) -> Terms:
        """Kingma et al. 2014, §3.1: M2's bound on the draws of M1's posterior, in nats of z₁.

        unlabelled = Σ over y of q(y|z₁) (L(z₁, y) + log q(y|z₁)), one eps for all y
        labelled = L(z₁, y) of the labelled minibatch
        ignorance = −log q(y|z₁) of the labelled minibatch
        """
        with torch.no_grad():
            code = self.first.encoder(x).at(eps1)
            labelled = self.first.encoder(x_labelled).at(eps1_labelled)
        return self.second.negative_elbo(code, labelled, y_labelled, eps=eps, eps_labelled=eps_labelled)

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """M2's bound at the mean code of x, in nats of z₁: (n,). No bound on log p(x)."""
        return self.second.score(self.first.encode(x), eps=eps)

    # Randomness

    def noise(self) -> dict[str, Source]:
        drawn = Normal((self.codes,))  # M1's posterior
        return {"eps1": drawn, "eps1_labelled": drawn, **self.second.noise()}

    def sample(self, *, z: Tensor, y: Tensor) -> Tensor:
        return self.first.decode(self.second.sample(z=z, y=y))
