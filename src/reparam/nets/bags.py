"""Networks of bags of words, of which word 0 is padding."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.bags import Bag, SampledBag
from reparam.distributions import Gaussian
from reparam.nets.heads import GaussianCode, exact
from reparam.noise import Dirac, SharedUniform, Source


class PairEncoder(nn.Module):
    """Words of two languages (n, length), (n, length') → a Gaussian over one code (n, latent).

    The mean of all words' vectors, so that a sentence in one language and its pair lie at one scale.
    """

    def __init__(self, words: int, other_words: int, latent: int, width: int) -> None:
        super().__init__()
        self.words, self.other_words = nn.Embedding(words, width), nn.Embedding(other_words, width)
        for table in (self.words, self.other_words):
            nn.init.normal_(table.weight, std=width**-0.5)
        self.head = GaussianCode(width, latent)

    def forward(self, x: Tensor, other: Tensor) -> Gaussian:
        total = sum(_summed(table, ids) for table, ids in ((self.words, x), (self.other_words, other)))
        count = (x != 0).sum(1) + (other != 0).sum(1)
        return self.head(total / count.clamp_min(1)[:, None])


def _summed(table: nn.Embedding, ids: Tensor) -> Tensor:
    return F.embedding_bag(ids, table.weight, mode="sum", padding_idx=0)


class WordTable(nn.Module):
    """What a code is held against, word by word: the rows of its weight are the words' embeddings.

    frequencies (V,) are the words' counts: the bias begins as the law of words without a code, so that the
    code need not tell it.
    """

    def __init__(self, latent: int, frequencies: Sequence[float]) -> None:
        super().__init__()
        counts = torch.as_tensor(frequencies, dtype=torch.float32) + 1
        self.weight = nn.Parameter(torch.randn(len(counts), latent) * latent**-0.5)
        self.bias = nn.Parameter(torch.log(counts / counts.sum()))


class BagDecoder(WordTable):
    """A code (n, latent) → a bag of words, exact."""

    @property
    def source(self) -> Source:
        """The noise of its training: none."""
        return Dirac()

    def forward(self, z: Tensor) -> Bag:
        return Bag(exact(z), self.weight, self.bias)


class SampledBagDecoder(WordTable):
    """A code (n, latent) → a bag of words, whose loss looks at some words, drawn in proportion to count^¾.

    The power is word2vec's (Mikolov et al. 2013, arXiv:1310.4546).
    """

    rising: Tensor

    def __init__(self, latent: int, frequencies: Sequence[float], negatives: int) -> None:
        super().__init__(latent, frequencies)
        self.negatives = negatives
        # Counted from 1, so that every word can be drawn; padding alone never is.
        flattened = (torch.as_tensor(frequencies, dtype=torch.float64) + 1) ** 0.75
        flattened[0] = 0
        self.register_buffer("rising", (flattened.cumsum(0) / flattened.sum()).float())

    @property
    def source(self) -> Source:
        """The places of the negatives in the law they are drawn from: one draw for the whole batch."""
        return SharedUniform((self.negatives,))

    def forward(self, z: Tensor) -> SampledBag:
        return SampledBag(exact(z), self.weight, self.bias, self.rising)
