"""The variational fair autoencoder: codes that are alike whatever the sensitive attribute."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.coupling import gather
from reparam.distributions import Gaussian
from reparam.losses import inverse_multiquadratic
from reparam.model import Model, Terms, Turn
from reparam.noise import Categorical, Normal, Source


class VFAE(Model):
    """(x, y) ─encoder→ q(z|x, y) ─eps→ z;  (z, y) ─decoder→ p(x|z, y);  z is not to know y"""

    name = "vfae"
    paper = "Louizos et al. 2016, The Variational Fair Autoencoder, arXiv:1511.00830"
    couples_batch = True  # the codes of each group are compared with all others

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, classes: int, *, penalty: float = 100.0
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.classes, self.penalty = latent, classes, penalty

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "rate": 1.0, "mmd": self.penalty}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor, y: Tensor) -> Tensor:
        """The mean of q(z|x, y), and the attribute, one-hot: (n, latent + classes)."""
        return torch.cat([self.encoder(x, y).mean, F.one_hot(y, self.classes)], 1)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, y: Tensor, *, eps: Tensor) -> Terms:
        """Louizos et al. 2016, eq. 3 and 8, of one layer and without a label to be told, in nats.

        distortion = −log p(x|z, y), z = mean + std · eps
        rate = KL(q(z|x, y) ‖ N(0, I))
        mmd = Σ over values of y of MMD² of the codes with it and those without, both sums over the batch

        The kernel is the WAE's, seven inverse multiquadratics with C = 2d, in the place of one Gaussian's
        random features. A value that none or all of the batch have is left out.
        """
        q: Gaussian = self.encoder(x, y)
        z, told = q.at(eps), F.one_hot(y, self.classes).to(x)
        codes, groups = gather(z), gather(told)
        kernel = inverse_multiquadratic(codes, codes, 2 * self.latent)
        count = groups.sum(0)
        there = (count > 0) & (count < len(groups))
        apart = groups / count.clamp_min(1) - (1 - groups) / (len(groups) - count).clamp_min(1)
        apart = apart * there
        return {
            "distortion": -self.decoder(torch.cat([z, told], 1)).log_prob(x),
            "rate": q.kl(),
            "mmd": (apart * (kernel @ apart)).sum().expand(len(x)),
        }

    def score(self, x: Tensor, y: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example given its attribute, in nats: (n,)."""
        q: Gaussian = self.encoder(x, y)
        told = torch.cat([q.at(eps), F.one_hot(y, self.classes).to(x)], 1)
        return self.decoder(told).log_prob(x) - q.kl()

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: drawn only to sample
            "y": Categorical((), self.classes),  # the attribute of a sample; pinned, it is the one asked for
        }

    def sample(self, *, z: Tensor, y: Tensor) -> Tensor:
        return self.decode(torch.cat([z, F.one_hot(y, self.classes).to(z)], 1))
