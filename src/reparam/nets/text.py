"""Networks of text: rows of token ids in, laws of tokens out."""

import torch
from torch import Tensor, nn

from reparam.data.text import BEGIN, PAD
from reparam.distributions import Tokens
from reparam.nets.heads import exact
from reparam.nets.transformer import Block


def embedding(size: int, channels: int) -> nn.Embedding:
    """Vectors of tokens; small at first, as Keras makes them: U(−0.05, 0.05)."""
    made = nn.Embedding(size, channels)
    nn.init.uniform_(made.weight, -0.05, 0.05)
    return made


class GatedConv(nn.Module):
    """x + a · σ(b), both convolutions of width 3 over the line: (n, c, L) → (n, c, L).

    Dauphin et al. 2017, arXiv:1612.08083, with a residual.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, 2 * channels, 3, padding=1, bias=False)
        nn.init.xavier_uniform_(self.convolution.weight)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.convolution(x).chunk(2, 1)
        return x + a * torch.sigmoid(b)


class ConvReader(nn.Module):
    """Ids (n, L) → features (n, c): embedded, `layers` gated convolutions, the mean over positions."""

    def __init__(self, size: int, channels: int = 64, layers: int = 2) -> None:
        super().__init__()
        self.features = channels
        self.embedding = embedding(size, channels)
        self.convolutions = nn.Sequential(*(GatedConv(channels) for _ in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        return self.convolutions(self.embedding(x).transpose(1, 2)).mean(2)


class PlacedReader(nn.Module):
    """Ids (n, L) → features (n, L · c): as `ConvReader`, but every position keeps its own."""

    def __init__(self, size: int, length: int, channels: int = 64, layers: int = 2) -> None:
        super().__init__()
        self.features = length * channels
        self.embedding = embedding(size, channels)
        self.convolutions = nn.Sequential(*(GatedConv(channels) for _ in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        return self.convolutions(self.embedding(x).transpose(1, 2)).flatten(1)


class ParallelWriter(nn.Module):
    """Codes (n, latent) → an independent law of each token of a line (n, L)."""

    def __init__(self, latent: int, length: int, size: int, channels: int = 64, layers: int = 1) -> None:
        super().__init__()
        self.spread = nn.Linear(latent, length * channels)
        self.convolutions = nn.Sequential(*(GatedConv(channels) for _ in range(layers)))
        self.logits = nn.Linear(channels, size)
        self.channels = channels

    def forward(self, z: Tensor) -> Tokens:
        x = self.spread(z).unflatten(1, (self.channels, -1))
        return Tokens(exact(self.logits(self.convolutions(x).transpose(1, 2))))


class RecurrentReader(nn.Module):
    """Ids (n, L), padded with 0 → features (n, 2 · c): a GRU's last states in both directions."""

    def __init__(self, size: int, channels: int = 128) -> None:
        super().__init__()
        self.features = 2 * channels
        self.embedding = nn.Embedding(size, channels)
        self.forwards = nn.GRU(channels, channels, batch_first=True)
        self.backwards = nn.GRU(channels, channels, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        long = (x != PAD).sum(1)
        place = torch.arange(x.shape[1], device=x.device)
        # The line alone is turned round, so that its pads stay behind it.
        turned = x.gather(1, torch.where(place < long[:, None], long[:, None] - 1 - place, place))
        last = (long - 1).clamp_min(0)[:, None, None].expand(-1, 1, self.forwards.hidden_size)
        states = [
            network(self.embedding(each))[0].gather(1, last).squeeze(1)
            for network, each in ((self.forwards, x), (self.backwards, turned))
        ]
        return torch.cat(states, 1)


class RecurrentWriter(nn.Module):
    """Codes (n, latent) and the words so far (n, T) → the law of the word after each of them: (n, T).

    A GRU that begins with the code as its state and is given it beside every word. Bowman et al. 2016,
    arXiv:1511.06349, give it at the beginning alone; Dieng et al. 2019, arXiv:1807.04863, at every word.
    """

    def __init__(self, latent: int, size: int, channels: int = 128) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, channels)
        self.begin = nn.Linear(latent, channels)
        self.network = nn.GRU(channels + latent, channels, batch_first=True)
        self.logits = nn.Linear(channels, size)

    def forward(self, z: Tensor, words: Tensor) -> Tokens:
        beside = z[:, None].expand(-1, words.shape[1], -1)
        given = torch.cat([self.embedding(words), beside], 2)
        states, _ = self.network(given, torch.tanh(self.begin(z))[None])
        return Tokens(exact(self.logits(states)))


class TransformerWriter(nn.Module):
    """Codes (n, latent) and the words so far (n, T), T ≤ length → the law of the word after each: (n, T)."""

    def __init__(
        self, latent: int, size: int, length: int, channels: int = 128, layers: int = 2, heads: int = 4
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, channels)
        self.position = nn.Parameter(torch.zeros(length, channels))
        self.beside = nn.Linear(latent, channels)
        self.blocks = nn.Sequential(*(Block(channels, heads) for _ in range(layers)))
        self.logits = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, size))

    def forward(self, z: Tensor, words: Tensor) -> Tokens:
        x = self.embedding(words) + self.position[: words.shape[1]] + self.beside(z)[:, None]
        return Tokens(exact(self.logits(self.blocks(x))))


def begun(x: Tensor) -> Tensor:
    """Lines with BEGIN before them: (n, L) → (n, L + 1)."""
    return torch.nn.functional.pad(x, (1, 0), value=BEGIN)
