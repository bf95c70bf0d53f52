"""Words of a model that has learned vectors for them: their neighbours, and a file for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from reparam.commands.options import Run, place, positive, table
from reparam.errors import ReparamError

if TYPE_CHECKING:
    from reparam.system import System

Domain = Annotated[str | None, tyro.conf.arg(metavar="LANGUAGE")]


def nearest(
    run: Run,
    word: tyro.conf.Positional[str],
    to: Domain = None,
    of: Domain = None,
    n: Annotated[int, tyro.conf.arg(metavar="N")] = 10,
    device: str = "auto",
) -> None:
    """Print the words nearest to a word, by the cosine of their vectors.

    Args:
        run: the folder of the run.
        word: a word of the training data's vocabulary.
        to: the language of the neighbours, by its name in the data; without it, the second.
        of: the language of the word; without it, the one that `to` is not.
        n: how many.
        device: auto, cpu, cuda, cuda:1.
    """
    from reparam.system import load

    positive(n=n)
    found = load(run, place(device)).nearest(word, n, to=to, of=of)
    table(
        ("rank", "word", "cosine"),
        ((rank, near, f"{cosine:.3f}") for rank, (near, cosine) in enumerate(found, 1)),
    )


def export(
    run: Run,
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")],
    device: str = "auto",
) -> None:
    """Write word vectors as text that word2vec's readers take: a file for each language.

    Args:
        run: the folder of the run.
        out: a .txt or .vec; vectors.txt becomes vectors.en.txt and vectors.de.txt.
        device: auto, cpu, cuda, cuda:1.
    """
    from reparam.commands.output import checked
    from reparam.system import load

    checked(out, (".txt", ".vec"))
    if not out.parent.is_dir():
        raise ReparamError(f"{out.parent} is no folder; make it first, or give another place.")
    system = load(run, place(device))
    for language in system.data.domains or ():
        path = out.with_suffix(f".{language}{out.suffix}")
        _write(path, system, language)


def _write(path: Path, system: "System", language: str) -> None:
    """First line: words and dimensions; then a word a line and its numbers. Specials are left out."""
    words, vectors = system.word_vectors(language)
    rows = [
        f"{word} {' '.join(f'{number:.6g}' for number in vector)}"
        for word, vector in zip(words, vectors.tolist(), strict=True)
    ]
    draft = path.with_name(path.name + ".draft")
    draft.write_text("\n".join([f"{len(words)} {vectors.shape[1]}", *rows]) + "\n", encoding="utf-8")
    draft.replace(path)
    print(f"wrote {path}: {len(words):,} words of {vectors.shape[1]} numbers")
