"""Attention as a mean, as an exact mixture, and as a latent variable with a posterior.

The learning rate falls to 0 over `steps`, half a cosine; the paper halves it epoch by epoch.
"""

from reparam.models import variational_attention as attention
from reparam.nets.alignment import Aligner, Speaker, Translator
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Cosine


def soft_attention(data: DataFacts, *, width: int = 128, lr: float = 1e-3, steps: int = 5000) -> Recipe:
    """The baseline: the same networks, without a latent."""
    translator, speaker, _, sizes = _networks(data, width, "soft-attention")
    return _recipe(attention.SoftAttention(translator, speaker, *sizes), lr, steps)


def marginal_attention(data: DataFacts, *, width: int = 128, lr: float = 1e-3, steps: int = 5000) -> Recipe:
    """Alignments summed out."""
    translator, speaker, _, sizes = _networks(data, width, "marginal-attention")
    return _recipe(attention.MarginalAttention(translator, speaker, *sizes), lr, steps)


def variational_attention(
    data: DataFacts, *, width: int = 128, lr: float = 1e-3, steps: int = 5000
) -> Recipe:
    """A posterior of alignments, enumerated."""
    translator, speaker, aligner, sizes = _networks(data, width, "variational-attention")
    return _recipe(attention.VariationalAttention(translator, speaker, aligner, *sizes), lr, steps)


def sampled_attention(data: DataFacts, *, width: int = 128, lr: float = 1e-3, steps: int = 5000) -> Recipe:
    """A posterior of alignments, one draw each, with the soft context's baseline."""
    translator, speaker, aligner, sizes = _networks(data, width, "sampled-attention")
    return _recipe(attention.SampledAttention(translator, speaker, aligner, *sizes, data.shape[0]), lr, steps)


def gumbel_attention(
    data: DataFacts, *, temperature: float = 0.5, width: int = 128, lr: float = 1e-3, steps: int = 5000
) -> Recipe:
    """A posterior of alignments, its draws relaxed."""
    translator, speaker, aligner, sizes = _networks(data, width, "gumbel-attention")
    model = attention.GumbelAttention(
        translator, speaker, aligner, *sizes, data.shape[0], temperature=temperature
    )
    return _recipe(model, lr, steps)


def wake_sleep_attention(
    data: DataFacts, *, draws: int = 5, width: int = 128, lr: float = 1e-3, steps: int = 5000
) -> Recipe:
    """A posterior of alignments, learned from weighed draws."""
    translator, speaker, aligner, sizes = _networks(data, width, "wake-sleep-attention")
    model = attention.WakeSleepAttention(translator, speaker, aligner, *sizes, data.shape[0], draws=draws)
    return _recipe(model, lr, steps)


def relaxed_attention(
    data: DataFacts, *, concentration: float = 10.0, width: int = 128, lr: float = 1e-3, steps: int = 5000
) -> Recipe:
    """A posterior on the simplex. Its authors found it below soft attention."""
    translator, speaker, aligner, sizes = _networks(data, width, "relaxed-attention")
    model = attention.RelaxedAttention(
        translator, speaker, aligner, *sizes, data.shape[0], concentration=concentration
    )
    return _recipe(model, lr, steps)


def _networks(data: DataFacts, width: int, who: str) -> tuple[Translator, Speaker, Aligner, tuple[int, int]]:
    words, other_words = data.require_pairs(who)
    networks = Translator(words, other_words, width), Speaker(width, other_words)
    return *networks, Aligner(words, other_words, width), (data.shape[0], other_words)


def _recipe(model: attention.Translation, lr: float, steps: int) -> Recipe:
    return Recipe(model, {"default": Adam(Cosine(steps, lr))}, batch_size=64, steps=steps)
