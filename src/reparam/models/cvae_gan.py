"""The CVAE-GAN: a conditional VAE whose decoder matches features of a discriminator and a classifier."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.coupling import gather
from reparam.distributions import Gaussian, Judgement
from reparam.losses import NON_SATURATING, squared_error
from reparam.model import Average, Model, Move, Terms, Turn
from reparam.noise import Categorical, Normal, Source


class CVAEGAN(Model):
    """(x, y) ─encoder→ q(z|x, y) ─eps→ z;  (z, y) or (z_prior, y) ─generator→ x̂ or x̃;  two judges of each"""

    name = "cvae-gan"
    paper = (
        "Bao et al. 2017, CVAE-GAN: Fine-Grained Image Generation through Asymmetric Training, "
        "arXiv:1703.10155"
    )
    couples_batch = True  # features are matched in their means
    surrogates = ("class_means",)  # the centres are averages over many batches, of which one can be moved

    counts: Tensor
    real_sums: Tensor
    made_sums: Tensor

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        generator: nn.Module,
        discriminator: nn.Module,
        classifier: nn.Module,
        latent: int,
        classes: int,
        features: int,
        *,
        rate: float = 3.0,
        pixels: float = 1.0,
        pairwise: float = 1.0,
        means: float = 1e-3,
        decay: float = 0.9,
    ) -> None:
        super().__init__()
        self.encoder, self.generator = encoder, generator
        self.discriminator, self.classifier = discriminator, classifier
        self.latent, self.classes, self.decay = latent, classes, decay
        self.rate, self.pixels, self.pairwise, self.means = rate, pixels, pairwise, means
        self.register_buffer("counts", torch.zeros(classes))
        self.register_buffer("real_sums", torch.zeros(classes, features))
        self.register_buffer("made_sums", torch.zeros(classes, features))

    def turns(self) -> list[Turn]:
        features = dict.fromkeys(("critic_features", "class_features"), self.pairwise)
        pairwise = {"pixels": self.pixels, **features}
        # The generator lowers neither −log D nor −log P(y|x̃): it matches what the two look at.
        return [
            Turn(
                Move(self.encoder, weights={"rate": self.rate, **pairwise}),
                Move(
                    self.generator,
                    weights={**pairwise, "critic_means": self.means, "class_means": self.means},
                ),
                Move(self.discriminator, weights={"real": 1.0, "reconstructed": 0.5, "generated": 0.5}),
                Move(self.classifier, weights={"ignorance": 1.0}),
                lowers=self.asymmetric,
            )
        ]

    def state(self) -> Mapping[str, Average]:
        return dict.fromkeys(("counts", "real_sums", "made_sums"), Average(self.decay))

    def encode(self, x: Tensor, y: Tensor) -> Tensor:
        """What is x's own, and its class: the mean of q(z|x, y) and y, one-hot, (n, latent + classes)."""
        return self._told(self.encoder(x, y).mean, y)

    def decode(self, z: Tensor) -> Tensor:
        """Half of one class and half of another is a morph."""
        return self.generator(z)

    def classify(self, x: Tensor) -> Tensor:
        """The class of each example: (n,) int64."""
        return self.classifier(x).logit.argmax(1)

    # Loss

    def asymmetric(self, x: Tensor, y: Tensor, *, eps: Tensor, z: Tensor) -> Terms:
        """Bao et al. 2017, eq. 2–8; f_D and f_C are the features of the discriminator and the classifier.

        rate = KL(q(z|x, y) ‖ N(0, I))
        pixels = ½ ‖x − x̂‖²
        critic_features = ½ ‖f_D(x) − f_D(x̂)‖²
        class_features = ½ ‖f_C(x) − f_C(x̂)‖²
        critic_means = ½ ‖mean f_D(x) − mean f_D(x̃)‖²
        class_means = ½ Σ over classes of ‖centre of f_C(x) − centre of f_C(x̃)‖²
        real = −log D(x)
        reconstructed = −log(1 − D(x̂))
        generated = −log(1 − D(x̃))
        ignorance = −log P(y|x)

        A batch holds few of each class: the centres are averages over many batches, and state.
        """
        q: Gaussian = self.encoder(x, y)
        # One batch: norms that look at it must not treat codes of data and of the prior apart.
        codes = torch.cat([self._told(q.at(eps), y), self._told(z, y)])
        reconstruction, drawn = self.generator(codes).chunk(2)
        true, remade, made = (self._look(each) for each in (x, reconstruction, drawn))
        proposals = self._proposals(y, true[1].features, made[1].features)
        return {
            "rate": q.kl(),
            "pixels": 0.5 * squared_error(x, reconstruction),
            "critic_features": 0.5 * squared_error(true[0].features, remade[0].features),
            "class_features": 0.5 * squared_error(true[1].features, remade[1].features),
            "critic_means": self._between_means(true[0].features, made[0].features),
            "class_means": self._between_centres(y, made[1].features, proposals),
            "real": NON_SATURATING.real(true[0].logit.squeeze(1)),
            "reconstructed": NON_SATURATING.fake(remade[0].logit.squeeze(1)),
            "generated": NON_SATURATING.fake(made[0].logit.squeeze(1)),
            "ignorance": F.cross_entropy(true[1].logit, y, reduction="none"),
            **proposals,
        }

    def _look(self, x: Tensor) -> tuple[Judgement, Judgement]:
        return self.discriminator(x), self.classifier(x)

    def _told(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.cat([z, F.one_hot(y, self.classes).to(z)], 1)

    def _proposals(self, y: Tensor, real: Tensor, made: Tensor) -> Terms:
        of = F.one_hot(y, self.classes).to(real)
        sums = {"real_sums": of[:, :, None] * real[:, None], "made_sums": of[:, :, None] * made[:, None]}
        return {"counts": of, **{name: each.detach() for name, each in sums.items()}}

    @staticmethod
    def _between_means(real: Tensor, made: Tensor) -> Tensor:
        gap = gather(real).mean(0) - gather(made).mean(0)
        return 0.5 * gap.square().sum().expand(len(real))

    def _between_centres(self, y: Tensor, made: Tensor, proposals: Terms) -> Tensor:
        """The centres as they will be after this step; their gradient is that of this batch's own."""
        counts, real_sums, made_sums = (
            torch.lerp(gather(proposals[name]).mean(0), self.get_buffer(name), self.decay)
            for name in ("counts", "real_sums", "made_sums")
        )
        gap = (made_sums - real_sums) / counts.clamp_min(1e-6)[:, None]
        of, made = gather(F.one_hot(y, self.classes).to(made)), gather(made)
        own = of.T @ made / of.sum(0).clamp_min(1)[:, None]
        gap = gap + own - own.detach()
        return 0.5 * gap.square().sum().expand(len(y))

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: the generated fakes, and samples
            "y": Categorical((), self.classes),  # the class of a sample; fakes have that of the batch
        }

    def sample(self, *, z: Tensor, y: Tensor) -> Tensor:
        return self.decode(self._told(z, y))
