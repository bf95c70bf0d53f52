"""Does an evaluation of recommendations mask what was seen, and divide by the right number?"""

from collections.abc import Callable, Mapping

import numpy as np

from reparam.errors import ReparamError
from reparam.metrics.ranking import WORDS, per_user, top

Evaluation = Callable[[np.ndarray, list[list[int]], list[list[int]], int], Mapping[str, float]]
"""(scores (users, items), held-out, seen, k) → means over users, some of `ndcg`, `recall`, `map`."""


def check(evaluate: Evaluation) -> None:
    """Hold an evaluation to figures that are known: perfect lists, seen items on top, one late hit, no hit.

    Users have fewer, as many and more held-out items than k: a wrong normaliser is right for one kind of user
    and wrong for another. Give it `ours`, or the evaluation of another library, before its figures are set
    beside ours. Raises ReparamError that names the case, the figure, and what is likely wrong.
    """
    k, items, size = 4, 20, 4
    held = [[3], [0, 7, 9], [1, 2, 4, 8], [0, 5, 6, 10, 11, 12, 13]]  # 1, 3, k and more than k
    seen = [[19, 18], [17, 3, 4], [16], [15, 14, 19]]
    noise = np.random.default_rng(0).random((size, items))
    perfect = noise.copy()
    for user, own in enumerate(held):
        perfect[user, own] += 1
    tempting = perfect.copy()
    for user, own in enumerate(seen):
        tempting[user, own] += 2
    one = -np.arange(20.0)[None]  # item 0 first, 1 second, …
    log = np.log2
    cases = [
        ("perfect lists", "the normaliser", perfect, held, [[]] * size, dict.fromkeys(WORDS, 1.0)),
        ("seen items on top", "the mask of seen items", tempting, held, seen, dict.fromkeys(WORDS, 1.0)),
        ("no hit", "the order of the scores", -perfect, held, [[]] * size, dict.fromkeys(WORDS, 0.0)),
        (
            "one of two found, at the second place of four", "the discount or the normaliser", one,
            [[1, 9]], [[]], {"ndcg": (1 / log(3)) / (1 + 1 / log(3)), "recall": 1 / 2, "map": 1 / 4},
        ),
        (
            "one of two found, at the first place behind a seen item", "the mask of seen items", one,
            [[1, 9]], [[0]], {"ndcg": 1 / (1 + 1 / log(3)), "recall": 1 / 2, "map": 1 / 2},
        ),
    ]  # fmt: skip
    for case, likely, scores, of_users, known, expected in cases:
        got = evaluate(scores.copy(), [list(x) for x in of_users], [list(x) for x in known], k)
        if not set(got) & set(WORDS):
            raise ReparamError(
                f"check: the evaluation gave {sorted(got)}, expected some of {', '.join(WORDS)}."
            )
        for key in WORDS:
            if key in got and not abs(got[key] - expected[key]) < 1e-6:  # NaN fails too
                raise ReparamError(
                    f"check: {key}@{k} of {case} is {got[key]:.4f}, expected {expected[key]:.4f}; "
                    f"look at {likely}."
                )


def ours(scores: np.ndarray, held_out: list[list[int]], seen: list[list[int]], k: int) -> dict[str, float]:
    """The evaluation of this file, in the form that `check` takes."""
    lists = top(scores, held_out, seen, k=k)
    return {key: float(values.mean()) for key, values in per_user(lists.hit, lists.held_out, k).items()}
