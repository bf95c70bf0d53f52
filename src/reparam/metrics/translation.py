"""BLEU (Papineni et al. 2002) and chrF (Popović 2015) by sacrebleu, with its signature (Post 2018)."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from reparam.errors import ReparamError
from reparam.metrics.bootstrap import percentiles, resampled, weights
from reparam.metrics.measure import Measure

Tokenizer = Literal["13a", "intl", "zh", "char", "none"]


def _library() -> Any:
    try:
        import sacrebleu  # pyright: ignore[reportMissingImports]
    except ImportError as missing:
        raise ReparamError(
            f'BLEU and chrF need the package {missing.name!r}: pip install "reparam[text]".'
        ) from missing
    return sacrebleu


def _streams(hypotheses: Sequence[str], references: Sequence[str | Sequence[str]]) -> list[list[str | None]]:
    """References of each sentence as the library wants them: streams, None where there is none."""
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise ReparamError("translation: a string was given, expected a list of sentences.")
    if not hypotheses or len(hypotheses) != len(references):
        raise ReparamError(
            f"translation: {len(hypotheses)} hypotheses and references of {len(references)} sentences; give "
            "as many, at least 1: references[i] is the reference, or the list of them, of hypotheses[i]."
        )
    each = [[r] if isinstance(r, str) else list(r) for r in references]
    empty = next((i for i, refs in enumerate(each) if not refs), None)
    if empty is not None:
        raise ReparamError(f"translation: sentence {empty} has no reference.")
    return [[refs[i] if i < len(refs) else None for refs in each] for i in range(max(map(len, each)))]


def _scored(
    metric: Any, name: str, hypotheses: Sequence[str], references: Sequence[str | Sequence[str]], seed: int
) -> Measure:
    # The library's own bootstrap keeps half a width and takes its seed from the environment; its counts of
    # each sentence are what both bootstraps add up.
    streams = _streams(hypotheses, references)
    counts = np.array(metric._extract_corpus_statistics(list(hypotheses), streams), dtype=np.float64)

    def score(summed: np.ndarray) -> float:
        return float(metric._compute_score_from_stats(summed.astype(int).tolist()).score)

    drawn = np.array([score(s) for s in weights(len(counts), seed=seed).numpy() @ counts])
    how = (
        f"{name} by sacrebleu of {len(counts)} sentences, signature {metric.get_signature()}; "
        f"{resampled(seed)}."
    )
    return Measure(score(counts.sum(0)), *percentiles(drawn), len(counts), "0 to 100", "higher", how)


def bleu(
    hypotheses: Sequence[str],
    references: Sequence[str | Sequence[str]],
    *,
    tokenize: Tokenizer = "13a",
    seed: int = 0,
) -> Measure:
    """Corpus BLEU of n sentences, 0 … 100; references[i] is the one, or the list, of hypotheses[i].

    Both are plain text: the library tokenises ("zh" or "char" for Chinese). Raises ReparamError if sacrebleu
    is missing, the counts differ, or a sentence has no reference.
    """
    library = _library()
    return _scored(library.BLEU(tokenize=tokenize, force=True), "BLEU", hypotheses, references, seed)


def chrf(
    hypotheses: Sequence[str], references: Sequence[str | Sequence[str]], *, words: int = 0, seed: int = 0
) -> Measure:
    """Corpus chrF of n sentences, 0 … 100: characters up to 6-grams, β = 2; `words` = 2 gives chrF++.

    Arguments and errors as those of `bleu`.
    """
    library = _library()
    name = "chrF" + "+" * words
    return _scored(library.CHRF(word_order=words), name, hypotheses, references, seed)
