"""Collaborative filtering: what people choose next, from what they chose."""

from typing import Literal

from torch import nn

from reparam.models.autorec import AutoRec
from reparam.models.cdae import CDAE
from reparam.models.ease import EASE, Others
from reparam.models.mult_dae import MultDAE
from reparam.models.mult_vae import MultVAE
from reparam.models.rec_vae import RecVAE, joint, per_dimension
from reparam.nets.catalogue import (
    DenseFromBag,
    FromBag,
    FromBagOfUser,
    GaussianFromBag,
    ToBag,
    ToScores,
    dense,
)
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Cosine, Ramp


def mult_vae(
    data: DataFacts,
    *,
    latent: int = 200,
    width: int = 600,
    dropout: float = 0.5,
    beta: float = 0.2,
    anneal: int = 1000,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The published networks; β rises to its end over `anneal` steps (the paper's 40,000 are for ML-20M)."""
    items = data.require_choices("mult-vae")
    encoder = encoder or nn.Sequential(FromBag(items, width), nn.Tanh(), GaussianFromBag(width, latent))
    decoder = decoder or nn.Sequential(dense(latent, width), nn.Tanh(), ToBag(width, items))
    model = MultVAE(encoder, decoder, latent, beta=Ramp(anneal, end=beta), dropout=dropout)
    return Recipe(model, {"default": Adam(lr)}, batch_size=500, steps=1000)


def mult_dae(
    data: DataFacts,
    *,
    latent: int = 200,
    dropout: float = 0.5,
    decay: float = 2e-5,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The published networks, I → 200 → I; decay is the paper's 0.01 / 500."""
    items = data.require_choices("mult-dae")
    model = MultDAE(
        encoder or nn.Sequential(FromBag(items, latent), nn.Tanh()),
        decoder or ToBag(latent, items),
        decay=decay,
        dropout=dropout,
    )
    return Recipe(model, {"default": Adam(lr)}, batch_size=500, steps=1000)


def rec_vae(
    data: DataFacts,
    *,
    latent: int = 200,
    width: int = 600,
    prior: Literal["per-dimension", "joint"] = "per-dimension",
    gamma: float = 0.005,
    dropout: float = 0.5,
    lr: float = 5e-4,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The published networks, a linear decoder among them. The prior is that of the code, or of the paper.

    The old posterior is renewed after three epochs of the encoder.
    """
    items, batch = data.require_choices("rec-vae"), 500
    encoder = encoder or nn.Sequential(DenseFromBag(items, width), GaussianFromBag(width, latent))
    model = RecVAE(
        encoder,
        decoder or ToBag(latent, items),
        latent,
        mixture=joint if prior == "joint" else per_dimension,
        gamma=gamma,
        dropout=dropout,
        period=max(3 * data.examples // batch, 1),
    )
    return Recipe(model, {"default": Adam(lr)}, batch_size=batch, steps=1000)


def ease(data: DataFacts, *, penalty: float = 300.0, lr: float = 1e-2, decay_steps: int = 300) -> Recipe:
    """Adam on the exact objective, which comes near to the closed form of `reparam.models.ease.fit`."""
    model = EASE(Others(data.require_choices("ease")), data.examples, penalty=penalty)
    return Recipe(model, {"default": Adam(Cosine(decay_steps, lr))}, batch_size=1000, steps=decay_steps)


def autorec(
    data: DataFacts,
    *,
    latent: int = 500,
    penalty: float = 3.0,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The published networks, I → 500 → I with a sigmoid, of users; of items it is the same, transposed.

    Settings by validation on movielens100k, where it overfits after 200 steps.
    """
    items = data.require_ratings("autorec")
    encoder = encoder or nn.Sequential(FromBag(items, latent), nn.Sigmoid())
    model = AutoRec(encoder, decoder or ToScores(latent, items), data.examples, penalty=penalty)
    return Recipe(model, {"default": Adam(lr)}, batch_size=100, steps=200)


def cdae(
    data: DataFacts,
    *,
    latent: int = 200,
    decay: float = 1e-3,
    dropout: float = 0.2,
    lr: float = 1e-2,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The published networks, I → latent → I with a sigmoid, and a node for each user of the training part.

    Settings by validation on movielens100k, where 200 steps were best; the paper has 50 units.
    """
    items = data.require_choices("cdae")
    model = CDAE(
        encoder or FromBagOfUser(items, data.examples, latent),
        decoder or ToScores(latent, items),
        items,
        decay=decay,
        dropout=dropout,
    )
    return Recipe(model, {"default": Adam(lr)}, batch_size=100, steps=200)
