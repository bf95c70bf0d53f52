"""Words and lines by a model's own representation: their neighbours, and word vectors for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from reparam.commands.options import OtherData, Run, place, positive, table
from reparam.errors import ReparamError

if TYPE_CHECKING:
    from reparam.system import System

Domain = Annotated[str | None, tyro.conf.arg(metavar="LANGUAGE")]


def nearest(
    run: Run,
    text: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TEXT")],
    to: Domain = None,
    of: Domain = None,
    data: OtherData = None,
    n: Annotated[int, tyro.conf.arg(metavar="N")] = 10,
    device: str = "auto",
) -> None:
    """Print what is nearest to a text: words by their vectors, or training lines by their codes.

    A model that has learned vectors of words takes a word, any other model of text a line.

    Args:
        run: the folder of the run.
        text: a word of the training data's vocabulary, or a line.
        to: of words: the language of the neighbours, by its name in the data; without it, the second.
        of: of words: the language of the word; without it, the one that `to` is not.
        data: of lines: other data than the run's to look in.
        n: how many.
        device: auto, cpu, cuda, cuda:1.
    """
    from reparam.system import load

    positive(n=n)
    system = load(run, place(device))
    if system.can("word_vectors"):
        if data is not None:
            raise ReparamError(f"{system.name} has vectors of words: they are the run's; leave --data out.")
        found = ((near, f"{cosine:.3f}") for near, cosine in system.nearest(text, n, to=to, of=of))
        table(("rank", "word", "cosine"), ((i, *each) for i, each in enumerate(found, 1)))
        return
    if to or of:
        raise ReparamError(f"{system.name} has no vectors of words, so no languages of them; leave --to out.")
    lines = ((near, f"{distance:.3f}") for near, distance in _lines(system, text, n, data))
    table(("rank", "line", "distance"), ((i, *each) for i, each in enumerate(lines, 1)))


def _lines(system: "System", line: str, n: int, data: str | None) -> list[tuple[str, float]]:
    """The n training lines whose codes are nearest to the code of a line, and how far they are."""
    from reparam.commands.use import read_data
    from reparam.evaluate import examples

    if system.data.kind != "tokens":
        raise ReparamError(f"{system.name} was trained on {system.data.kind}s, and nearest is for text.")
    code = system.encode(system.data.tokens([line]))
    found = read_data(system, data)
    x = examples(found, found.train, found.train.n)
    distance = (system.encode(x) - code).flatten(1).norm(dim=1)
    rows = distance.argsort(stable=True)[:n].cpu()
    return list(zip(system.data.text(x[rows]), distance[rows].tolist(), strict=True))


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
