"""BiVAE."""

from collections.abc import Sequence

from torch import nn

from reparam.models.bivae import BiVAE
from reparam.nets.bags import BagDecoder, PairEncoder, SampledBagDecoder
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Cosine


def bivae(
    data: DataFacts,
    *,
    latent: int = 300,
    width: int = 300,
    negatives: int = 1000,
    hide: float = 1.0,
    beta: float = 0.1,
    lr: float = 5e-3,
    steps: int = 4000,
    encoder: nn.Module | None = None,
) -> Recipe:
    """Tables of both languages; a vocabulary of at most `negatives` words has an exact softmax.

    hide=1 shows the encoder one language at a time, never both. With beta=1 the code of a sentence
    told 4 nats on English and German, its topic; at 0.1 it tells its words, and keeps words of a topic apart.
    """
    words, other_words = data.require_pairs("bivae")
    decoder = _decoder(latent, data.counts or [0] * words, negatives)
    other = _decoder(latent, data.other_counts or [0] * other_words, negatives)
    encoder = encoder or PairEncoder(words, other_words, latent, width)
    noise = (decoder.source, other.source)
    model = BiVAE(encoder, decoder, other, latent, noise=noise, hide=hide, beta=beta)
    return Recipe(model, {"default": Adam(Cosine(steps, lr))}, batch_size=512, steps=steps)


def _decoder(latent: int, counts: Sequence[int], negatives: int) -> BagDecoder | SampledBagDecoder:
    if len(counts) <= negatives:
        return BagDecoder(latent, counts)
    return SampledBagDecoder(latent, counts, negatives)
