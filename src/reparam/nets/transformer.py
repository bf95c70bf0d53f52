"""The causal transformer: a law of a sequence of categories, each given those before it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.nets.heads import exact


class Block(nn.Module):
    """Causal self-attention and a perceptron, each normalised before and added: (n, L, c) → (n, L, c).

    Vaswani et al. 2017, arXiv:1706.03762, in the order of Xiong et al. 2020, arXiv:2002.04745.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.project = nn.LayerNorm(channels), nn.Linear(channels, 3 * channels)
        self.mix = nn.Linear(channels, channels)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            each.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for each in self.project(self.before(x)).chunk(3, 2)
        )
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.mix(seen.transpose(1, 2).flatten(2))
        return x + self.perceptron(x)


class CausalTransformer(nn.Module):
    """Indices (n, L), L ≤ length → logits (n, L, size), each of the indices before it alone."""

    def __init__(self, size: int, length: int, channels: int = 64, layers: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size + 1, channels)  # the last one says that nothing came before
        self.position = nn.Parameter(torch.zeros(length, channels))
        self.blocks = nn.Sequential(*(Block(channels, heads) for _ in range(layers)))
        self.logits = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, size))

    def forward(self, indices: Tensor) -> Tensor:
        before = F.pad(indices[:, :-1], (1, 0), value=self.embedding.num_embeddings - 1)
        return exact(self.logits(self.blocks(self.embedding(before) + self.position[: indices.shape[1]])))
