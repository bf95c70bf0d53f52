"""The adversarial autoencoder for dimension reduction: clusters have places among the codes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.model import Model, Terms, Turn
from reparam.models.aae_clustering import ClusteringAAE
from reparam.noise import Source


class ReducingAAE(Model):
    """The clustering AAE whose decoder begins with heads: W ŷ + z; and a turn that keeps the heads W apart"""

    name = "aae-reduction"
    paper = "Makhzani et al. 2015, Adversarial Autoencoders, arXiv:1511.05644, §6"

    # Structure and training flow

    def __init__(self, clustering: ClusteringAAE, *, apart: float = 4.0) -> None:
        super().__init__()
        self.clustering, self.apart = clustering, apart

    @property
    def heads(self) -> nn.Module:
        """The decoder's first layer: (n, clusters + latent) → (n, latent)."""
        return self.clustering.decoder.get_submodule("0")

    def turns(self) -> list[Turn]:
        return [*self.clustering.turns(), Turn(self.heads, lowers=self.crowding)]

    def encode(self, x: Tensor) -> Tensor:
        """W ŷ + z: (n, latent)."""
        return self.heads(self.clustering.encode(x))

    def decode(self, z: Tensor) -> Tensor:
        # A place is a choice of no head and a style.
        return self.clustering.decode(F.pad(z, (self.clustering.clusters, 0)))

    def cluster(self, x: Tensor) -> Tensor:
        """The cluster of each example: (n,) int64."""
        return self.clustering.cluster(x)

    # Loss

    def crowding(self, x: Tensor) -> Terms:
        """Makhzani et al. 2015, §6: the cost of heads that are nearer than a threshold.

        nearness = Σ over pairs of heads of max(0, apart − ‖wᵢ − wⱼ‖)
        """
        k, latent = self.clustering.clusters, self.clustering.latent
        w = self.heads(torch.eye(k, k + latent, dtype=x.dtype, device=x.device))
        nearness = F.relu(self.apart - torch.pdist(w)).sum()
        return {"nearness": nearness.expand(len(x))}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return self.clustering.noise()

    def sample(self, *, choice: Tensor, style: Tensor) -> Tensor:
        return self.clustering.sample(choice=choice, style=style)
