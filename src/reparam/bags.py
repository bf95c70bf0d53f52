"""Laws of bags of words: every word of a sentence drawn by itself from one softmax.

Words are ids (n, length), of which 0 is padding: no word, and never drawn.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Bag(NamedTuple):
    """Words drawn independently from softmax(point · weightᵀ + bias) over V words.

    point (n, d), one an example; weight (V, d) and bias (V,), the words'.
    """

    point: Tensor
    weight: Tensor
    bias: Tensor

    @property
    def logits(self) -> Tensor:
        """(n, V)."""
        return F.linear(self.point, self.weight, self.bias)

    @property
    def mean(self) -> Tensor:
        """The probability of each word, (n, V); that of padding is 0."""
        return F.pad(self.logits[:, 1:].softmax(1), (1, 0))

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ over words of log p(word), in nats: (n,). The order of the words is not counted."""
        logits = self.logits
        real = x != 0
        found = logits.gather(1, x).masked_fill(~real, 0).sum(1)
        return found - real.sum(1) * logits[:, 1:].logsumexp(1)

    def estimate(self, x: Tensor, negatives: Tensor) -> Tensor:
        """The log-probability, whatever the negatives: this law needs none."""
        return self.log_prob(x)

    def at(self, noise: Tensor) -> Tensor:
        """Words by the inverse distribution function at noise (n, length) ~ U[0, 1): (n, length)."""
        # Padding is left out of the sums: rounding must not make it an answer.
        rising = self.mean[:, 1:].cumsum(1)
        return torch.searchsorted(rising, noise.clamp_max(1 - 1e-6) * rising[:, -1:], right=True) + 1


class SampledBag(NamedTuple):
    """A bag whose normaliser is estimated in training from some of the V words: sampled softmax.

    rising (V,) are the partial sums of the law q from which the negatives are drawn.
    """

    point: Tensor
    weight: Tensor
    bias: Tensor
    rising: Tensor

    @property
    def exact(self) -> Bag:
        """The same law, normalised over all words."""
        return Bag(self.point, self.weight, self.bias)

    @property
    def logits(self) -> Tensor:
        """(n, V)."""
        return self.exact.logits

    @property
    def mean(self) -> Tensor:
        """The probability of each word, (n, V)."""
        return self.exact.mean

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ over words of log p(word), exact, in nats: (n,)."""
        return self.exact.log_prob(x)

    def estimate(self, x: Tensor, negatives: Tensor) -> Tensor:
        """log_prob(x) with an estimated normaliser; negatives (K,) ~ U[0, 1) serve all examples: (n,).

        Z ≈ Σ of exp logit over the example's own words + (1/K) Σₖ exp(logit of wₖ) / q(wₖ) over those wₖ ~ q
        that are not among them. Its mean is Z, so by Jensen's inequality the mean estimate is not below
        log_prob, and nears it as K grows. Bengio & Senécal 2008, IEEE Trans. Neural Networks 19(4).
        """
        drawn = torch.searchsorted(self.rising, negatives * self.rising[-1], right=True)
        drawn = drawn.clamp_max(len(self.rising) - 1)
        q = self.rising.diff(prepend=self.rising.new_zeros(1)) / self.rising[-1]
        correction = torch.log(q[drawn]) + math.log(len(drawn))
        others = F.linear(self.point, F.embedding(drawn, self.weight), self.bias[drawn] - correction)
        own = (F.embedding(x, self.weight) * self.point[:, None]).sum(2) + self.bias[x]
        real = x != 0
        again = (x[:, :, None] == x[:, None]).tril(-1).any(2)
        among = (drawn == x[:, :, None]).any(1)
        hidden = torch.cat([again | ~real, among], 1)
        normaliser = torch.cat([own, others], 1).masked_fill(hidden, -math.inf).logsumexp(1)
        return own.masked_fill(~real, 0).sum(1) - real.sum(1) * normaliser

    def at(self, noise: Tensor) -> Tensor:
        """Words by the inverse distribution function at noise (n, length) ~ U[0, 1): (n, length)."""
        return self.exact.at(noise)
