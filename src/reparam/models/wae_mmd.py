"""The Wasserstein autoencoder whose codes are held to the prior by MMD."""

from torch import Tensor, nn

from reparam.coupling import gather
from reparam.losses import inverse_multiquadratic, mmd, squared_error
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source


class WAEMMD(Model):
    """x ─encoder→ z ─decoder→ x̂;  MMD between the batch's codes and as many draws of the prior"""

    name = "wae-mmd"
    paper = "Tolstikhin et al. 2018, Wasserstein Auto-Encoders, arXiv:1711.01558"
    couples_batch = True  # the MMD compares all codes with one another

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, *, penalty: float = 200.0
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.penalty = latent, penalty

    def turns(self) -> list[Turn]:
        weights = {"cost": 1.0, "mmd": self.penalty}
        return [Turn(self.encoder, self.decoder, lowers=self.transport, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def transport(self, x: Tensor, *, z: Tensor) -> Terms:
        """Tolstikhin et al. 2018, eq. 4 and algorithm 2; k sums seven inverse multiquadratics, C = 2d.

        cost = ‖x − x̂‖²
        mmd = unbiased MMD²ₖ of the batch's codes and z; it can be negative

        The paper's text weighs one kernel (C = 2d) by λ = 10; the authors' code 0.05 · cost and seven kernels
        by 10 (MNIST) or 100 (CelebA), which is 200 or 2,000 here.
        """
        code = self.encoder(x).mean
        return {
            "cost": squared_error(x, self.decoder(code)),
            "mmd": mmd(code, z, self._kernel, gather(code), gather(z)),
        }

    def _kernel(self, a: Tensor, b: Tensor) -> Tensor:
        return inverse_multiquadratic(a, b, 2 * self.latent)

    def score(self, x: Tensor) -> Tensor:
        """Minus the squared error of the reconstruction: (n,). Not a likelihood."""
        return -squared_error(x, self.decode(self.encode(x)))

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {"z": Normal((self.latent,))}  # prior: what the codes are held against, and samples

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
