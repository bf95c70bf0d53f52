"""Models of text: poems decoded at once, sentences decoded word by word."""

from typing import Literal

from torch import nn

from reparam.models.free_bits_vae import FreeBitsVAE
from reparam.models.poem_vae import PoemVAE
from reparam.models.sentence_vae import SentenceVAE
from reparam.nets.heads import GaussianCode
from reparam.nets.text import (
    ConvReader,
    ParallelWriter,
    PlacedReader,
    RecurrentReader,
    RecurrentWriter,
    TransformerWriter,
)
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Cyclical, Ramp

Reader = Literal["pooled", "placed"]
Writer = Literal["recurrent", "transformer"]


def poem_vae(
    data: DataFacts,
    *,
    latent: int = 64,
    width: int = 64,
    reader: Reader = "pooled",
    beta: float = 1.0,
    warm_up: int = 0,
    temperature: float = 0.0,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """As published: gated convolutions, the mean over positions, weight 1 of the rate from the first step.

    beta = 0 makes it an autoencoder. The placed reader keeps what each position holds.
    """
    size, (length, *_) = data.require_vocabulary("poem-vae"), data.shape
    encoder = encoder or _reader(reader, size, length, width, latent)
    decoder = decoder or ParallelWriter(latent, length, size, width)
    weight = Ramp(warm_up, end=beta) if warm_up else beta
    model = PoemVAE(encoder, decoder, latent, length, beta=weight, temperature=temperature)
    return Recipe(model, {"default": Adam(lr)}, batch_size=64, steps=20_000)


def poem_free_bits(
    data: DataFacts,
    *,
    latent: int = 64,
    width: int = 64,
    reader: Reader = "placed",
    nats: float = 0.3,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The poem VAE that does not collapse: the encoder keeps every position, and a little KL is free."""
    size, (length, *_) = data.require_vocabulary("poem-free-bits"), data.shape
    encoder = encoder or _reader(reader, size, length, width, latent)
    decoder = decoder or ParallelWriter(latent, length, size, width)
    model = FreeBitsVAE(encoder, decoder, latent, nats=nats)
    return Recipe(model, {"default": Adam(lr)}, batch_size=64, steps=20_000)


def sentence_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    width: int = 128,
    writer: Writer = "recurrent",
    word_dropout: float = 0.3,
    nats: float = 0.0,
    warm_up: int = 2_000,
    cycles: int = 1,
    steps: int = 10_000,
    temperature: float = 1.0,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """A recurrent encoder; a decoder of either kind; the rate's weight rises over the first `warm_up` steps.

    In several `cycles` of the run's steps it rises anew in each (Fu et al. 2019, arXiv:1903.10145).
    """
    size, (length, *_) = data.require_vocabulary("sentence-vae"), data.shape
    if encoder is None:
        body = RecurrentReader(size, width)
        encoder = nn.Sequential(body, GaussianCode(body.features, latent))
    if decoder is None and writer == "recurrent":
        decoder = RecurrentWriter(latent, size, width)
    elif decoder is None:
        decoder = TransformerWriter(latent, size, length + 1, width)
    rising = Ramp(warm_up) if warm_up else 1.0
    beta = Cyclical(steps // cycles, rising) if callable(rising) and cycles > 1 else rising
    model = SentenceVAE(
        encoder,
        decoder,
        latent,
        length,
        beta=beta,
        nats=nats,
        word_dropout=word_dropout,
        temperature=temperature,
    )
    return Recipe(model, {"default": Adam(lr)}, batch_size=32, steps=steps)


def _reader(kind: Reader, size: int, length: int, width: int, latent: int) -> nn.Module:
    body = ConvReader(size, width) if kind == "pooled" else PlacedReader(size, length, width)
    return nn.Sequential(body, GaussianCode(body.features, latent))
