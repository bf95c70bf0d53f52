"""The semi-supervised adversarial autoencoder: clusters that a few labels name."""

import torch.nn.functional as F
from torch import Tensor

from reparam.model import Model, Terms, Turn
from reparam.models.aae_clustering import ClusteringAAE
from reparam.noise import Source


class SemiSupervisedAAE(Model):
    """The clustering AAE with a cluster a class, and a fourth turn: labelled x ─encoder→ ŷ, is it y?"""

    name = "aae-semi-supervised"
    paper = "Makhzani et al. 2015, Adversarial Autoencoders, arXiv:1511.05644, §4"

    # Structure and training flow

    def __init__(self, unlabelled: ClusteringAAE) -> None:
        super().__init__()
        self.unlabelled = unlabelled

    def turns(self) -> list[Turn]:
        return [*self.unlabelled.turns(), Turn(self.unlabelled.encoder, lowers=self.classification)]

    def encode(self, x: Tensor) -> Tensor:
        return self.unlabelled.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.unlabelled.decode(z)

    def classify(self, x: Tensor) -> Tensor:
        """The class of each example: (n,) int64."""
        return self.unlabelled.cluster(x)

    # Loss

    def classification(self, x_labelled: Tensor, y_labelled: Tensor, *, corruption: Tensor) -> Terms:
        """Makhzani et al. 2015, §4.2: the semi-supervised classification phase, on a labelled minibatch.

        ignorance = −log ŷ of the class y
        """
        logits = self.unlabelled.encoder(x_labelled + self.unlabelled.std * corruption).logits
        return {"ignorance": F.cross_entropy(logits, y_labelled, reduction="none")}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return self.unlabelled.noise()  # which labelled examples are seen is the data's source `labelled`

    def sample(self, *, choice: Tensor, style: Tensor) -> Tensor:
        return self.unlabelled.sample(choice=choice, style=style)
