"""BiVAE, English and German: words translated by their vectors, and sentences classified across languages."""

import time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from common import cpu_seconds, record, trained
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.linear_model import LogisticRegression

from reparam.data import load
from reparam.data.named import shared_file
from reparam.data.tables import read_parquet
from reparam.data.text import SPECIALS
from reparam.metrics.bootstrap import share
from reparam.metrics.dictionary import precision, read_dictionary
from reparam.system import facts

WORDS, DIMENSIONS, STEPS = 2000, 300, 4000
PACKAGES = 10  # classes of sentences: the packages with most of them
OPTIONS: dict[str, Any] = {"lower": True, "min_count": 3, "length": 40}
Vectors = tuple[np.ndarray, np.ndarray]


def figure() -> None:
    """Trains, measures on the test words and sentences, and records."""
    data = load("en_de", **OPTIONS)
    about = facts(data)
    listed = _dictionary()
    english: tuple[str, ...] = (about.vocabulary or ())[len(SPECIALS) :]
    german: tuple[str, ...] = (about.other_vocabulary or ())[len(SPECIALS) :]
    commonest = np.argsort(-np.array((about.counts or ())[len(SPECIALS) :]), kind="stable")
    asked = [int(i) for i in commonest if english[i] in listed][:WORDS]

    def translated(score: np.ndarray) -> dict[str, Any]:
        best = np.argsort(-score, 1)[:, :5]
        induced = {english[i]: [str(german[j]) for j in row] for i, row in zip(asked, best, strict=True)}
        return {k: [m.value, m.low, m.high] for k, m in precision(induced, listed, ks=(1, 5)).items()}

    bags = _bags(data.train.x, len(english)), _bags(data.train.other, len(german))
    rows = []
    for name, dice in (("Dice association", True), (f"truncated SVD ({DIMENSIONS})", False)):
        began = time.process_time()
        together = (bags[0].T @ bags[1]).tocsr()
        counts = np.asarray(bags[0].sum(0)).ravel(), np.asarray(bags[1].sum(0)).ravel()
        if dice:
            score = 2 * together[asked].toarray() / (counts[0][asked][:, None] + counts[1] + 1e-9)
            rows.append({"model": name, **translated(score)})
        else:
            vectors = _svd(together, counts, data.train.n)
            rows.append(
                {
                    "model": name,
                    **translated(_cosine(vectors, asked)),
                    **_classified(vectors, english, german),
                }
            )
        rows[-1]["cpu_minutes"] = (time.process_time() - began) / 60
        print(rows[-1], flush=True)
    system = trained("en-de-bivae", "bivae", data, steps=STEPS, latent=DIMENSIONS)
    vectors = system.word_vectors("en")[1].numpy(), system.word_vectors("de")[1].numpy()
    rows.append(
        {
            "model": "bivae",
            **translated(_cosine(vectors, asked)),
            **_classified(vectors, english, german),
            "cpu_minutes": cpu_seconds("en-de-bivae") / 60,
            "examples": {word: system.nearest(word, 5) for word in ("file", "window", "cannot", "default")},
        }
    )
    record(
        "bivae",
        {
            "target": "precision@1 and @5 at least the SVD's; stretch: Dice's",
            "data": data.name,
            "n": len(asked),
            "classes": PACKAGES,
            "reachable": float(np.mean([bool(listed[english[i]] & set(german)) for i in asked])),
            "rows": rows,
        },
    )


def _dictionary() -> dict[str, set[str]]:
    """Cases folded, as in the data."""
    folded: dict[str, set[str]] = {}
    for word, found in read_dictionary(shared_file("dictionary_en_de.tsv")).items():
        folded.setdefault(word.lower(), set()).update(each.lower() for each in found)
    return folded


def _bags(ids: torch.Tensor | None, words: int) -> sparse.csr_matrix:
    """Which words stand in each line: (n, words) of 0 and 1."""
    assert ids is not None
    row, place = (ids >= len(SPECIALS)).nonzero(as_tuple=True)
    word = ids[row, place].numpy() - len(SPECIALS)
    found = sparse.csr_matrix((np.ones(len(word), np.float32), (row.numpy(), word)), (len(ids), words))
    found.data[:] = 1
    return found


def _svd(together: sparse.csr_matrix, counts: Vectors, n: int) -> Vectors:
    """Of the positive pointwise mutual information of words in aligned lines."""
    cells = together.tocoo()
    information = np.log(cells.data * n / (counts[0][cells.row] * counts[1][cells.col]))
    kept = information > 0
    matrix = sparse.csr_matrix((information[kept], (cells.row[kept], cells.col[kept])), cells.shape)
    u, s, v = svds(matrix.astype(np.float32), DIMENSIONS, v0=np.ones(min(map(len, counts)), np.float32))
    return u * s, v.T * s


def _cosine(vectors: Vectors, asked: list[int]) -> np.ndarray:
    source, target = (F.normalize(torch.as_tensor(v.copy()), dim=1) for v in vectors)
    return (source[asked] @ target.T).numpy()


def _classified(vectors: Vectors, english: tuple[str, ...], german: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy of naming a sentence's package: fitted on English training, tested on German test sentences.

    A sentence is the mean of its words' vectors of length 1, each weighed by log (n / lines that hold it).
    """
    table = read_parquet(shared_file("en_de.parquet"))
    package, split = table["package"].astype(str), table["split"].astype(str)
    names, counts = np.unique(package[split == "train"], return_counts=True)
    kept = np.isin(package, names[np.argsort(-counts)[:PACKAGES]])
    told = {}
    for language, words, points in (("en", english, vectors[0]), ("de", german, vectors[1])):
        texts = _known(table[language], words)
        lines = _bags(texts, len(words))
        rarity = np.log(len(package) / (1 + np.asarray(lines[split == "train"].sum(0)).ravel()))
        means = lines @ (F.normalize(torch.as_tensor(points.copy()), dim=1).numpy() * rarity[:, None])
        told[language] = F.normalize(torch.as_tensor(means, dtype=torch.float32), dim=1).numpy()
    train, test = kept & (split == "train"), kept & (split == "test")
    judge = LogisticRegression(max_iter=200).fit(told["en"][train], package[train])
    commonest = names[np.argsort(-counts)[0]]

    def right(language: str) -> np.ndarray:
        return (judge.predict(told[language][test]) == package[test]).astype(float)

    low, high = share(right("de"), seed=0)
    return {
        "accuracy_de": [right("de").mean().item(), low, high],
        "accuracy_en": right("en").mean().item(),
        "commonest": float((package[test] == commonest).mean()),
        "sentences": int(test.sum()),
    }


def _known(lines: np.ndarray, words: tuple[str, ...]) -> torch.Tensor:
    """Ids of lines, specials' places included; words that are not known are left out."""
    from reparam.data.text import Writing, ids, padded

    found = ids([str(line) for line in lines], (*SPECIALS, *words), Writing(lower=True))
    return torch.from_numpy(padded(found, max(map(len, found))))


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        one, five = (
            f"{v[0]:.3f} ({v[1]:.3f} – {v[2]:.3f})" for v in (row["precision@1"], row["precision@5"])
        )
        classified = ""
        if "accuracy_de" in row:
            v, low, high = row["accuracy_de"]
            classified = (
                f"; packages of German sentences named by a judge of English ones {v:.3f} "
                f"({low:.3f} – {high:.3f}), "
                f"of English ones {row['accuracy_en']:.3f}, the commonest {row['commonest']:.3f}"
            )
        found.append((f"{row['model']}, English – German", f"precision@1 {one}, @5 {five}{classified}"))
    return found
