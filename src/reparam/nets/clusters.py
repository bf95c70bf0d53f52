"""Codes of two parts, a choice among clusters and a style: the encoder's head and the decoder's heads."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from reparam.nets.batch_norm import BatchNorm
from reparam.nets.heads import exact


class Clustered(NamedTuple):
    """logits (n, clusters) of the choice, and the style (n, latent)."""

    logits: Tensor
    style: Tensor


class ClusteredCode(nn.Module):
    """(n, features) → the two parts of a code.

    With spread, batch norm gives every cluster's logit this deviation at the start: then no cluster begins
    as every example's, or as nobody's.
    """

    def __init__(self, features: int, clusters: int, latent: int, spread: float | None = None) -> None:
        super().__init__()
        self.logits = nn.Linear(features, clusters, bias=spread is None)
        self.style = nn.Linear(features, latent)
        self.norm = None
        if spread is not None:
            self.norm = BatchNorm(clusters)
            self.norm.scale.data.fill_(spread)

    def forward(self, features: Tensor) -> Clustered:
        logits = exact(self.logits(features))
        return Clustered(self.norm(logits) if self.norm else logits, exact(self.style(features)))


class Heads(nn.Module):
    """Choice and style side by side (n, clusters + latent) → W · choice + style, (n, latent).

    The columns of W, the clusters' heads, start on a circle (a sphere) of the given radius.
    """

    def __init__(self, clusters: int, latent: int, radius: float = 4.0) -> None:
        super().__init__()
        self.clusters = clusters
        places = torch.randn(clusters, latent)
        self.places = nn.Parameter(radius * places / places.norm(dim=1, keepdim=True))

    def forward(self, code: Tensor) -> Tensor:
        return code[:, : self.clusters] @ self.places + code[:, self.clusters :]
