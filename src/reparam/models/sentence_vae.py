"""The VAE of sentences: a code, and a decoder that writes word by word."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from reparam import bounds
from reparam.data.text import END, PAD, UNKNOWN
from reparam.distributions import Gaussian, Tokens
from reparam.errors import ReparamError
from reparam.losses import free_bits
from reparam.model import Model, Terms, Turn
from reparam.nets.text import begun
from reparam.noise import Bernoulli, Normal, Source, Uniform
from reparam.schedules import Weight


class SentenceVAE(Model):
    """sentence ─encoder→ q(z|x) ─eps→ z;  z, words so far ─decoder→ the law of the next word

    In training the decoder is shown unknowns in the place of some words, so that it must ask z.
    """

    name = "sentence-vae"
    paper = "Bowman et al. 2016, Generating Sentences from a Continuous Space, arXiv:1511.06349"
    takes = ("tokens",)
    couples_batch = True  # what is free is the mean rate over the batch

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        length: int,
        *,
        beta: Weight = 1.0,
        nats: float = 0.0,
        word_dropout: float = 0.0,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 <= word_dropout < 1 or temperature <= 0 or nats < 0:
            raise ReparamError(
                f"word_dropout={word_dropout:g}, temperature={temperature:g}, nats={nats:g}: a share of the "
                "words, above 0, and not below 0."
            )
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.length, self.beta, self.nats = latent, length, beta, nats
        self.word_dropout, self.temperature = word_dropout, temperature

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "paid": self.beta}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        """Word by word, the likeliest each time: (n, latent) → ids (n, length)."""
        return self._written(z, lambda law, _: law.mean)

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor, dropped: Tensor) -> Terms:
        """Bowman et al. 2016, §3; eps (n, 1, latent). A sum over words, the end among them, in nats.

        distortion = −Σ over words of log p(word|z, words before, `dropped` of them unknown)
        rate = KL(q(z|x) ‖ N(0, I)), which is logged and not lowered
        paid = Σ over dimensions of max(λ, the batch's mean KL of it); λ = 0: the rate
        """
        q: Gaussian = self.encoder(x)
        return {
            "distortion": -self._log_likelihood(x, q.at(eps[:, 0]), dropped),
            "rate": q.kl(),
            "paid": free_bits(q.kl_of_each(), self.nats),
        }

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, latent) → (n, k), in nats; no word dropped."""
        q: Gaussian = self.encoder(x)
        z = bounds.draw(q, eps)
        n, k = z.shape[:2]
        repeated = x[:, None].expand(n, k, -1).flatten(0, 1)
        return self._log_likelihood(repeated, z.flatten(0, 1)).view(n, k) + bounds.log_ratio(q, z, eps)

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each sentence, in nats: (n,)."""
        q: Gaussian = self.encoder(x)
        return self._log_likelihood(x, q.at(eps[:, 0])) - q.kl()

    def _log_likelihood(self, x: Tensor, z: Tensor, dropped: Tensor | None = None) -> Tensor:
        """log p(x|z) of sentences (n, length), their ends counted, the pads behind them not: (n,)."""
        shown = x if dropped is None else torch.where((dropped > 0) & (x != PAD), UNKNOWN, x)
        long = (x != PAD).sum(1, keepdim=True)
        said = nn.functional.pad(x, (0, 1)).scatter(1, long, END)
        each = self.decoder(z, begun(shown)).of_each(said)
        return torch.where(said != PAD, each, 0.0).sum(1)

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((1, self.latent)),  # posterior: z = mean + std · eps
            "dropped": Bernoulli((self.length,), self.word_dropout),  # words that the decoder is not shown
            "z": Normal((self.latent,)),  # prior: drawn only to sample
            "choice": Uniform((self.length,)),  # of each word, when sampling
        }

    def sample(self, *, z: Tensor, choice: Tensor) -> Tensor:
        def chosen(law: Tokens, i: int) -> Tensor:
            return Tokens(law.logits / self.temperature).at(choice[:, i : i + 1])

        return self._written(z, chosen)

    def _written(self, z: Tensor, choose: Callable[[Tokens, int], Tensor]) -> Tensor:
        """Sentences of which each word is chosen from its law; pads behind the end: (n, length)."""
        words = begun(torch.zeros(len(z), 0, dtype=torch.long, device=z.device))
        ended = torch.zeros(len(z), 1, dtype=torch.bool, device=z.device)
        for i in range(self.length):
            word = choose(Tokens(self.decoder(z, words).logits[:, -1:]), i)
            word = torch.where(ended, PAD, word)
            ended |= (word == END) | (word == PAD)  # a pad that is drawn ends it too
            words = torch.cat([words, word], 1)
        return words[:, 1:].masked_fill(words[:, 1:] == END, PAD)
