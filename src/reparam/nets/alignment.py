"""A small translation model whose attention is laid open: what is read, what is written, what is aligned.

Sentences are ids (n, length), 0 padding; masked places get a log-probability so low that its exponential is
0, and finite, so that 0 times it is 0.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.data.text import BEGIN, END
from reparam.nets.heads import exact

NEVER = -1e4


class Seen(NamedTuple):
    """What a translator makes of a sentence and the words before each place of its translation.

    states (n, T, d), memory (n, S, d), log_prior (n, T, S): the law of which source word is translated next.
    """

    states: Tensor
    memory: Tensor
    log_prior: Tensor


def ended(other: Tensor) -> Tensor:
    """Sentences with their end: (n, length) → (n, length + 1)."""
    longer = F.pad(other, (0, 1))
    return longer.scatter(1, (other != 0).sum(1, keepdim=True), END)


def before(target: Tensor) -> Tensor:
    """The word before each word, the begin before the first: (n, T) → (n, T)."""
    return F.pad(target[:, :-1], (1, 0), value=BEGIN)


class Reader(nn.Module):
    """Ids (n, L) → a vector for each place (n, L, 2 · width), which knows the words on both sides."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.states = nn.LSTM(width, width, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.states(self.embedding(x))[0]


class Translator(nn.Module):
    """A sentence x (n, S) and the words before each place (n, T) → `Seen`.

    A recurrent reader, a recurrent writer and bilinear attention. The writer is not fed the attention's
    context (the paper feeds it the soft one), so that the states of all places come from one pass.
    """

    def __init__(self, words: int, other_words: int, width: int) -> None:
        super().__init__()
        self.reader = Reader(words, width)
        self.embedding = nn.Embedding(other_words, width)
        self.first = nn.Linear(2 * width, width)
        self.states = nn.LSTM(width, width, batch_first=True)
        self.query = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor, words_before: Tensor) -> Seen:
        memory, real = self.reader(x), x != 0
        mean = (memory * real[:, :, None]).sum(1) / real.sum(1).clamp_min(1)[:, None]
        h = torch.tanh(self.first(mean))[None]
        states, _ = self.states(self.embedding(words_before), (h, torch.zeros_like(h)))
        return Seen(states, memory, _aligned(self.query(states), memory, real))


class Aligner(nn.Module):
    """Both sentences, the translation whole, x (n, S) and target (n, T) → log q(alignment) (n, T, S)."""

    def __init__(self, words: int, other_words: int, width: int) -> None:
        super().__init__()
        self.reader, self.other_reader = Reader(words, width), Reader(other_words, width)
        self.query = nn.Linear(2 * width, 2 * width)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return _aligned(self.query(self.other_reader(target)), self.reader(x), x != 0)


def _aligned(queries: Tensor, memory: Tensor, real: Tensor) -> Tensor:
    scores = exact(queries @ memory.transpose(1, 2)) * memory.shape[2] ** -0.5
    return scores.masked_fill(~real[:, None], NEVER).log_softmax(2)


class Spoken(NamedTuple):
    """The law of a word, softmax of hidden · weightᵀ + bias over V words, of which padding is none.

    hidden (…, d), weight (V, d), bias (V,): kept apart, since most who ask want the probability of one word.
    """

    hidden: Tensor
    weight: Tensor
    bias: Tensor

    @property
    def log_probs(self) -> Tensor:
        """log p of every word, (…, V)."""
        return self._logits().log_softmax(-1)

    def log_prob(self, words: Tensor) -> Tensor:
        """log p of a word each, (…,) → (…,)."""
        chosen = (self.hidden * F.embedding(words, self.weight)).sum(-1) + self.bias[words]
        return chosen - self._logits().logsumexp(-1)

    def _logits(self) -> Tensor:
        return exact(F.linear(self.hidden, self.weight, self.bias))


class Speaker(nn.Module):
    """States (…, d) and contexts (…, 2 · d), shapes that broadcast → the law of a word."""

    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.state, self.context = nn.Linear(width, width), nn.Linear(2 * width, width)
        self.logits = nn.Linear(width, words)

    def forward(self, states: Tensor, contexts: Tensor) -> Spoken:
        bias = F.pad(self.logits.bias[1:], (1, 0), value=NEVER)
        hidden = torch.tanh(self.state(states) + self.context(contexts))
        return Spoken(exact(hidden), self.logits.weight, bias)
