"""Latent alignment: translation whose attention is a random variable, and the ways to learn it.

zₜ is the source word that target word yₜ translates; p(zₜ | x, y₍<ₜ₎) is the attention, and alignments are
independent given the words before. Below, one class a way to learn: attention as a mean, the exact
marginal, and bounds by a posterior q(zₜ | x, y) that has seen the whole translation.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam import simplex
from reparam.data.text import END
from reparam.model import Model, Move, Terms, Turn
from reparam.nets.alignment import Seen, before, ended
from reparam.noise import Gumbel, Source, Uniform

PAPER = "Deng et al. 2018, Latent Alignment and Variational Attention, arXiv:1807.03756"


class Translation(Model):
    """What all ways share: networks, and how they are used once they have learned."""

    takes = ("tokens",)

    def __init__(self, translator: nn.Module, speaker: nn.Module, length: int, words: int) -> None:
        """length and words: of a sentence of the second language, and of its vocabulary."""
        super().__init__()
        self.translator, self.speaker = translator, speaker
        self.length, self.words = length, words

    def log_words(self, seen: Seen) -> Tensor:
        """log p(yₜ | x, y₍<ₜ₎) of every word: (n, T, V)."""
        raise NotImplementedError

    def log_conditional(self, x: Tensor, other: Tensor) -> Tensor:
        """log p(other | x), alignments summed out under the prior, the end counted, in nats: (n,)."""
        raise NotImplementedError

    def translate(self, x: Tensor, *, gumbel: Tensor) -> Tensor:
        """A translation word by word, argmax(log p + gumbel): a draw, and at gumbel = 0 the greedy one.

        x (n, length) → (n, length'), from the first end on padding.
        """
        target = x.new_zeros(len(x), self.length)
        for t in range(self.length):
            seen: Seen = self.translator(x, before(F.pad(target, (0, 1)))[:, : t + 1])
            here = Seen(seen.states[:, -1:], seen.memory, seen.log_prior[:, -1:])
            target[:, t] = (self.log_words(here)[:, 0] + gumbel[:, t]).argmax(1)
        over = (target == END).cumsum(1) > 0
        return target.masked_fill(over, 0)

    def word(self, seen: Seen, weights: Tensor, target: Tensor) -> Tensor:
        """log p(yₜ | Σ weights · memory): weights (n, T, S) → (n, T), 0 at padding."""
        return _real(self.speaker(seen.states, weights @ seen.memory).log_prob(target), target)

    def word_noise(self) -> dict[str, Source]:
        """The noise of a translation."""
        return {"gumbel": Gumbel((self.length, self.words))}  # each word that is chosen


class MeanAttention(Translation):
    """What the ways share whose weights lie inside the simplex: they speak of the prior's mean."""

    def log_words(self, seen: Seen) -> Tensor:
        return self.speaker(seen.states, seen.log_prior.exp() @ seen.memory).log_probs

    def log_conditional(self, x: Tensor, other: Tensor) -> Tensor:
        target = ended(other)
        seen: Seen = self.translator(x, before(target))
        return self.word(seen, seen.log_prior.exp(), target).sum(1)


class SoftAttention(MeanAttention):
    """x ─translator→ states, memory, p(z);  Σ p(z) memory ─speaker→ p(y);  the mean is taken of the memory"""

    name = "soft-attention"
    paper = (
        "Bahdanau, Cho & Bengio 2015, Neural Machine Translation by Jointly Learning to Align and Translate"
    )

    # Structure and training flow

    def turns(self) -> list[Turn]:
        return [Turn(self.translator, self.speaker, lowers=self.negative_log_likelihood)]

    def align(self, x: Tensor, other: Tensor) -> Tensor:
        """The attention, (n, T, S), T with the end's."""
        return self.translator(x, before(ended(other))).log_prior.exp()

    # Loss

    def negative_log_likelihood(self, x: Tensor, other: Tensor) -> Terms:
        """Deng et al. 2018, §2: the baseline, in nats.

        distortion = −Σₜ log p(yₜ | Σ_z p(z) memory_z)
        """
        return {"distortion": -self.log_conditional(x, other)}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return self.word_noise()


class LatentAlignment(Translation):
    """What the ways with a latent alignment share: its sum, and the posterior that the sum gives."""

    def log_words(self, seen: Seen) -> Tensor:
        each = self.speaker(seen.states[:, :, None], seen.memory[:, None]).log_probs
        return (seen.log_prior[..., None] + each).logsumexp(2)

    def log_conditional(self, x: Tensor, other: Tensor) -> Tensor:
        target = ended(other)
        seen: Seen = self.translator(x, before(target))
        return _marginal(seen, self.each_word(seen, x, target), target).sum(1)

    def align(self, x: Tensor, other: Tensor) -> Tensor:
        """The exact posterior p(z | x, y), (n, T, S), T with the end's."""
        target = ended(other)
        seen: Seen = self.translator(x, before(target))
        return (seen.log_prior + self.each_word(seen, x, target)).softmax(2)

    def each_word(self, seen: Seen, x: Tensor, target: Tensor) -> Tensor:
        """log p(yₜ | zₜ = s): (n, T, S), 0 where either is padding, for which nothing is computed."""
        row, t, s = ((target != 0)[:, :, None] & (x != 0)[:, None]).nonzero(as_tuple=True)
        values = self.speaker(seen.states[row, t], seen.memory[row, s]).log_prob(target[row, t])
        return values.new_zeros(seen.log_prior.shape).index_put((row, t, s), values)


class MarginalAttention(LatentAlignment):
    """x ─translator→ states, memory, p(z);  memory of each z ─speaker→ p(y|z);  p(y) = Σ p(z) p(y|z)"""

    name = "marginal-attention"
    paper = PAPER

    # Structure and training flow

    def turns(self) -> list[Turn]:
        return [Turn(self.translator, self.speaker, lowers=self.negative_log_marginal)]

    # Loss

    def negative_log_marginal(self, x: Tensor, other: Tensor) -> Terms:
        """Deng et al. 2018, eq. 1, in nats.

        distortion = −Σₜ log Σ_z p(z) p(yₜ|z)
        """
        return {"distortion": -self.log_conditional(x, other)}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return self.word_noise()


class VariationalAttention(LatentAlignment):
    """x, y ─aligner→ q(z);  x ─translator→ states, memory, p(z);  memory of each z ─speaker→ p(y|z)"""

    name = "variational-attention"
    paper = PAPER

    # Structure and training flow

    def __init__(
        self, translator: nn.Module, speaker: nn.Module, aligner: nn.Module, length: int, words: int
    ) -> None:
        super().__init__(translator, speaker, length, words)
        self.aligner = aligner

    def turns(self) -> list[Turn]:
        return [Turn(self.translator, self.speaker, self.aligner, lowers=self.negative_elbo)]

    # Loss

    def negative_elbo(self, x: Tensor, other: Tensor) -> Terms:
        """Deng et al. 2018, eq. 4, every alignment enumerated: no variance. In nats.

        distortion = −Σₜ Σ_z q(z) log p(yₜ|z)
        rate = Σₜ KL(q(z) ‖ p(z))
        """
        target = ended(other)
        seen: Seen = self.translator(x, before(target))
        log_q = self.aligner(x, target)
        each = self.each_word(seen, x, target)
        return {"distortion": -(log_q.exp() * each).sum((1, 2)), "rate": _rate(log_q, seen.log_prior, target)}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return self.word_noise()


class SampledAttention(LatentAlignment):
    """x, y ─aligner→ q(z) ─g→ one z ─speaker→ p(y|z);  the aligner learns from p(y|z) against soft"""

    name = "sampled-attention"
    paper = PAPER
    surrogates = ("credit",)  # its gradient, not its value, is meant: the score function's

    # Structure and training flow

    def __init__(
        self,
        translator: nn.Module,
        speaker: nn.Module,
        aligner: nn.Module,
        length: int,
        words: int,
        source: int,
    ) -> None:
        """source: the length of a sentence of the first language."""
        super().__init__(translator, speaker, length, words)
        self.aligner, self.source = aligner, source

    def turns(self) -> list[Turn]:
        return [Turn(self.translator, self.speaker, self.aligner, lowers=self.negative_elbo)]

    # Loss

    def negative_elbo(self, x: Tensor, other: Tensor, *, g: Tensor) -> Terms:
        """Deng et al. 2018, algorithm 1, with its baseline: the word's log-probability under soft attention.

        distortion = −Σₜ log p(yₜ|zₜ), zₜ = argmax(log q + g)
        rate = Σₜ KL(q(z) ‖ p(z))
        credit = −Σₜ [log p(yₜ|zₜ) − log p(yₜ|Σ_z p(z) memory_z)] log q(zₜ), the bracket held still
        """
        target = ended(other)
        seen: Seen = self.translator(x, before(target))
        log_q = self.aligner(x, target)
        z = (log_q + g).argmax(2)
        told = self.word(seen, F.one_hot(z, x.shape[1]).to(log_q.dtype), target)
        better = (told - self.word(seen, seen.log_prior.exp(), target)).detach()
        return {
            "distortion": -told.sum(1),
            "rate": _rate(log_q, seen.log_prior, target),
            "credit": -(better * _picked(log_q, z)).sum(1),
        }

    # Randomness

    def noise(self) -> dict[str, Source]:
        return self.word_noise() | {"g": Gumbel((self.length + 1, self.source))}  # the alignment of each word


class GumbelAttention(LatentAlignment):
    """x, y ─aligner→ q(z) ─g→ a relaxed z: weights w near a corner of the simplex ─speaker→ p(y|w)"""

    name = "gumbel-attention"
    paper = PAPER + "; Jang, Gu & Poole 2017, arXiv:1611.01144"

    # Structure and training flow

    def __init__(
        self,
        translator: nn.Module,
        speaker: nn.Module,
        aligner: nn.Module,
        length: int,
        words: int,
        source: int,
        *,
        temperature: float = 0.5,
    ) -> None:
        super().__init__(translator, speaker, length, words)
        self.aligner, self.source, self.temperature = aligner, source, temperature

    def turns(self) -> list[Turn]:
        return [Turn(self.translator, self.speaker, self.aligner, lowers=self.negative_relaxed_elbo)]

    # Loss

    def negative_relaxed_elbo(self, x: Tensor, other: Tensor, *, g: Tensor) -> Terms:
        """Jang, Gu & Poole 2017, eq. 2: the draw is relaxed and the rate is not, which is biased, and usual.

        distortion = −Σₜ log p(yₜ | Σ_z wₜ memory_z), wₜ = softmax((log q + g) / temperature)
        rate = Σₜ KL(q(z) ‖ p(z))
        """
        target = ended(other)
        seen: Seen = self.translator(x, before(target))
        log_q = self.aligner(x, target)
        weights = ((log_q + g) / self.temperature).softmax(2)
        return {
            "distortion": -self.word(seen, weights, target).sum(1),
            "rate": _rate(log_q, seen.log_prior, target),
        }

    # Randomness

    def noise(self) -> dict[str, Source]:
        return self.word_noise() | {"g": Gumbel((self.length + 1, self.source))}  # the alignment of each word


class WakeSleepAttention(LatentAlignment):
    """x, y ─aligner→ q(z) ─g→ K draws of z, each weighed by p(z) p(y|z) / q(z);  all learn from these"""

    name = "wake-sleep-attention"
    paper = PAPER + "; Bornschein & Bengio 2015, Reweighted Wake-Sleep, arXiv:1406.2751"
    surrogates = ("wake", "wake_q")  # the weights are held still

    # Structure and training flow

    def __init__(
        self,
        translator: nn.Module,
        speaker: nn.Module,
        aligner: nn.Module,
        length: int,
        words: int,
        source: int,
        *,
        draws: int = 5,
    ) -> None:
        super().__init__(translator, speaker, length, words)
        self.aligner, self.source, self.draws = aligner, source, draws

    def turns(self) -> list[Turn]:
        return [
            Turn(
                Move(self.translator, self.speaker, weights={"wake": 1.0}),
                Move(self.aligner, weights={"wake_q": 1.0}),
                lowers=self.negative_bound,
            )
        ]

    # Loss

    def negative_bound(self, x: Tensor, other: Tensor, *, g: Tensor) -> Terms:
        """Bornschein & Bengio 2015, eq. 7 and 9, at each target word; the bound is only logged.

        bound = −Σₜ log (1/K) Σₖ wₖ, wₖ = p(zₖ) p(yₜ|zₖ) / q(zₖ), zₖ = argmax(log q + gₖ)
        wake = −Σₜ Σₖ w̃ₖ log p(zₖ) p(yₜ|zₖ), w̃ = w / Σ w
        wake_q = −Σₜ Σₖ w̃ₖ log q(zₖ)
        """
        target = ended(other)
        seen: Seen = self.translator(x, before(target))
        log_q = self.aligner(x, target)
        z = (log_q[:, None] + g).argmax(3)
        told = [self.word(seen, F.one_hot(each, x.shape[1]).to(log_q.dtype), target) for each in z.unbind(1)]
        joint = torch.stack(told, 1) + _real(
            _picked(seen.log_prior[:, None].expand_as(g), z), target[:, None]
        )
        proposed = _real(_picked(log_q[:, None].expand_as(g), z), target[:, None])
        log_w = joint - proposed
        share = log_w.detach().softmax(1)
        return {
            "bound": (math.log(self.draws) - log_w.logsumexp(1)).sum(1),
            "wake": -(share * joint).sum((1, 2)),
            "wake_q": -(share * proposed).sum((1, 2)),
        }

    # Randomness

    def noise(self) -> dict[str, Source]:
        shape = (self.draws, self.length + 1, self.source)
        return self.word_noise() | {"g": Gumbel(shape)}  # K alignments of each word


class RelaxedAttention(MeanAttention):
    """x, y ─aligner→ Dirichlet q(z) ─u→ z on the simplex ─speaker→ p(y|Σ z memory);  Dirichlet prior p(z)"""

    name = "relaxed-attention"
    paper = PAPER + ", algorithm 2"

    # Structure and training flow

    def __init__(
        self,
        translator: nn.Module,
        speaker: nn.Module,
        aligner: nn.Module,
        length: int,
        words: int,
        source: int,
        *,
        concentration: float = 10.0,
    ) -> None:
        super().__init__(translator, speaker, length, words)
        self.aligner, self.source, self.concentration = aligner, source, concentration

    def turns(self) -> list[Turn]:
        return [Turn(self.translator, self.speaker, self.aligner, lowers=self.negative_elbo)]

    def align(self, x: Tensor, other: Tensor) -> Tensor:
        """The posterior's weights, (n, T, S), T with the end's."""
        return self.aligner(x, ended(other)).exp()

    def alpha(self, log_weights: Tensor) -> Tensor:
        """A Dirichlet law about weights; the floor keeps every corner within reach."""
        return self.concentration * log_weights.exp() + 0.05

    # Loss

    def negative_elbo(self, x: Tensor, other: Tensor, *, u: Tensor) -> Terms:
        """Deng et al. 2018, algorithm 2, which their code does not hold; α = concentration · weights + 0.05.

        distortion = −Σₜ log p(yₜ | Σ_s zₜₛ memory_s), zₜ ~ Dirichlet(α_q) by its quantiles at u
        rate = Σₜ KL(Dirichlet(α_q) ‖ Dirichlet(α_p))
        """
        target, real = ended(other), (x != 0)[:, None]
        seen: Seen = self.translator(x, before(target))
        q, p = self.alpha(self.aligner(x, target)), self.alpha(seen.log_prior)
        rate = _real(simplex.dirichlet_kl(q, p, real), target).sum(1)
        return {"distortion": -self.word(seen, simplex.dirichlet(q, u, real), target).sum(1), "rate": rate}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return self.word_noise() | {"u": Uniform((self.length + 1, self.source))}  # quantiles of the gammas


def _picked(values: Tensor, places: Tensor) -> Tensor:
    """The value at a place of the last dimension: (…, V), (…) → (…)."""
    return values.gather(-1, places[..., None]).squeeze(-1)


def _real(values: Tensor, target: Tensor) -> Tensor:
    """Values of target words, 0 at padding."""
    return values.masked_fill(target == 0, 0)


def _marginal(seen: Seen, each: Tensor, target: Tensor) -> Tensor:
    return _real((seen.log_prior + each).logsumexp(2), target)


def _rate(log_q: Tensor, log_p: Tensor, target: Tensor) -> Tensor:
    """Σₜ KL(q ‖ p) over real target words: (n,)."""
    return _real((log_q.exp() * (log_q - log_p)).sum(2), target).sum(1)
