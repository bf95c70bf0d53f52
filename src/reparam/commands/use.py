"""A trained model in use: samples, reconstructions, walks, codes and scores."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from reparam.commands.options import (
    Count,
    File,
    Flag,
    Frozen,
    OtherData,
    Pinned,
    Run,
    Seeds,
    control,
    place,
    positive,
    table,
    without,
)
from reparam.commands.output import checked, say, target, write, write_csv, write_npz
from reparam.errors import ReparamError, unknown

if TYPE_CHECKING:
    from torch import Tensor

    from reparam.data import Data
    from reparam.noise import Control
    from reparam.system import System

LISTED = 5  # items of a user that is drawn
SplitName = Literal["train", "validation", "test", "all"]
Number = Annotated[int, tyro.conf.arg(metavar="N")]


def sample(
    run: Run,
    n: Number = 64,
    out: File = None,
    seed: Seeds = (),
    freeze: Frozen = (),
    pin: Pinned = (),
    label: Annotated[str | None, tyro.conf.arg(metavar="L")] = None,
    npz: File = None,
    starts: Annotated[str, tyro.conf.arg(metavar="TEXT")] = "",
    no_repeats: Flag = False,
    device: str = "auto",
) -> None:
    """Draw samples from a trained model. Text is printed.

    Args:
        run: the folder of the run.
        n: how many.
        out: a .png, a .npz, or a .csv of vectors; without it, a file in the run's folder, and for ratings a
            table of the most probable items. Of text a .txt.
        seed: of the draws, or of one source: 3, z=5.
        freeze: draw a source once for all samples.
        pin: hold a source at a number, or at a list of numbers: z=0.
        label: of this class only, by its name or number, in a model that samples by class.
        npz: write the arrays here too.
        starts: an acrostic: as many lines as this has characters (or words), each begun with its own.
        no_repeats: of text: nothing twice in a line.
        device: auto, cpu, cuda, cuda:1.
    """
    from reparam.report import pictures

    positive(n=n)
    asked = control(seed, freeze, pin)
    system = _load(run, device)
    if system.data.kind == "tokens" or starts or no_repeats:
        if starts or no_repeats:
            from reparam import verse

            x = verse.lines(system, n, asked.seed, starts=starts, no_repeats=no_repeats)
        else:
            x = system.sample(n, asked.seed, freeze=asked.freeze, pin=asked.pin)
        say(system.data.text(x), out)
        _too(npz, {"x": x})
        return
    listed = system.data.kind == "bag" and out is None
    out = target(system, run, out, "samples")
    x = system.sample(n, asked, label=label)
    x = _in_units(system, x)
    if listed:
        names = list(system.data.vocabulary or ())
        best = (
            ", ".join(names[i] for i in row) for row in x.topk(min(LISTED, len(names)), 1).indices.tolist()
        )
        table(("user", "most probable items"), enumerate(best, 1))
        _too(npz, {"x": x})
        return
    if system.data.kind == "image":
        write(out, {"x": x}, lambda: pictures.grid(x))
    else:
        write(out, {"x": x}, lambda: pictures.scatter(x))
    _too(npz, {"x": x})


def reconstruct(
    run: Run,
    data: OtherData = None,
    n: Number = 32,
    out: File = None,
    npz: File = None,
    device: str = "auto",
) -> None:
    """Encode and decode test examples, and set both side by side.

    Args:
        run: the folder of the run.
        data: other data than the run's.
        n: how many of the test examples.
        out: a .png, a .npz, or a .csv of vectors; without it, a file in the run's folder.
        npz: write the arrays here too.
        device: auto, cpu, cuda, cuda:1.
    """
    import torch

    from reparam.report import pictures

    positive(n=n)
    system = _load(run, device)
    _no_bags(system)
    _needs(system, "encode", "encoder")
    text = system.data.kind == "tokens"
    place_of = None if text else target(system, run, out, "reconstructions")
    _needs(system, "decode", "decoder")
    read = read_data(system, data)
    x = _examples(read, "test")[:n]
    if place_of is None:
        made = system.reconstruct(x).cpu()
        both = zip(system.data.text(x), system.data.text(made), strict=True)
        say([line for original, again in both for line in (original, f"  → {again}")], out)
        _too(npz, {"x": x, "reconstruction": made})
        return
    made = _in_units(system, system.reconstruct(x, _labels(read, "test", n)).cpu())
    x = _in_units(system, x)
    arrays = {"x": x, "reconstruction": made}
    if system.data.kind == "image":
        write(place_of, arrays, lambda: pictures.pairs(x, made))
    else:
        labels = torch.arange(2).repeat_interleave(len(x))
        names = ["data", "decoded"]
        write(place_of, arrays, lambda: pictures.scatter(torch.cat([x, made]), labels, names=names))
    _too(npz, arrays)


def interpolate(
    run: Run,
    rows: Number = 8,
    steps: Number = 8,
    out: File = None,
    npz: File = None,
    seed: Annotated[int, tyro.conf.arg(metavar="S")] = 0,
    device: str = "auto",
) -> None:
    """Walk between the codes of test examples; in a model without an encoder, between draws of its noise.

    Args:
        run: the folder of the run.
        rows: how many walks.
        steps: pictures in each, its ends among them.
        out: a .png, a .npz, or a .csv of vectors; without it, a file in the run's folder.
        npz: write the arrays here too.
        seed: of the draws, in a model without an encoder.
        device: auto, cpu, cuda, cuda:1.
    """
    import torch

    from reparam.report import pictures

    positive(rows=rows, steps=steps)
    system = _load(run, device)
    _no_bags(system)
    text = system.data.kind == "tokens"
    place_of = None if text else target(system, run, out, "interpolation")
    if system.can("encode") and system.can("decode"):
        read = read_data(system, None)
        x, y = _examples(read, "test"), _labels(read, "test")
        rows = min(rows, len(x) // 2)
        if not rows:
            raise ReparamError("a walk needs two test examples, and there is only one.")
        told = (None, None) if y is None else (y[:rows], y[rows : 2 * rows])
        walks = system.interpolate(x[:rows], x[rows : 2 * rows], steps, labels=told)
    else:
        walks = system.interpolate_noise(rows, steps, seed)
    walks = _in_units(system, walks.cpu())
    if place_of is None:
        each = ("\n".join(system.data.text(walk)) for walk in walks)
        say("\n\n".join(each).split("\n"), out)
    elif system.data.kind == "image":
        write(place_of, {"x": walks}, lambda: pictures.interpolation(walks))
    else:
        labels = torch.arange(rows).repeat_interleave(steps)
        write(place_of, {"x": walks}, lambda: pictures.scatter(walks.flatten(0, 1), labels))
    _too(npz, {"x": walks})


def translate(
    run: Run,
    to: Annotated[str, tyro.conf.arg(metavar="DOMAIN")],
    data: OtherData = None,
    n: Number = 32,
    out: File = None,
    npz: File = None,
    seed: Seeds = (),
    freeze: Frozen = (),
    pin: Pinned = (),
    like: OtherData = None,
    device: str = "auto",
) -> None:
    """Translate test examples of one domain into the other, and set both side by side; text is printed.

    Args:
        run: the folder of the run.
        to: the domain to translate into, by its name or the end of it: pixelArt for avatars:pixelArt.
        data: other data than the run's, of the domain to translate from.
        n: how many of the test examples.
        out: a .png, a .npz, or a .csv of vectors; without it, a file in the run's folder.
        npz: write the arrays here too.
        seed: of the look, where it is drawn, or of one source: 3, style_y=5.
        freeze: draw a source once for all: style_y gives all one look.
        pin: hold a source at a number, or at a list of numbers: style_y=0; gumbel=0 makes a translator
            of text take the likeliest word.
        like: data of the domain to translate into, whose test examples lend their look, each to one.
        device: auto, cpu, cuda, cuda:1.
    """
    import dataclasses

    import torch

    from reparam.report import pictures

    positive(n=n)
    asked = control(seed, freeze, pin)
    system = _load(run, device)
    _needs(system, "translate", "translator")
    back = _direction(system, to)
    if back:
        _needs(system, "translate_back", "translator back")
    if system.data.kind == "tokens":
        _translate_text(system, data, n, asked, out)
        return
    out = target(system, run, out, f"to-{to.replace(':', '-').replace('/', '-')}")
    read = read_data(system, data)
    if data is None and back and read.test.other is not None:
        read = dataclasses.replace(read, test=read.test._replace(x=read.test.other, y=None))
    x, shown = _examples(read, "test")[:n], None
    if like is not None:
        _needs(system, "style_of", "style")
        shown = _examples(read_data(system, like), "test")
        x = x[: len(shown)]
        shown = shown[: len(x)]
    made = _in_units(system, system.translate(x, back=back, seed=asked, like=shown).cpu())
    x = _in_units(system, x)
    arrays = {"x": x, "translation": made} | ({} if shown is None else {"like": shown})
    if system.data.kind == "image":
        write(out, arrays, lambda: pictures.stacked(*(t for t in (x, shown, made) if t is not None)))
    else:
        labels = torch.arange(2).repeat_interleave(len(x))
        points = torch.cat([x, made])
        write(out, arrays, lambda: pictures.scatter(points, labels, names=["data", "translated"]))
    _too(npz, arrays)


def _translate_text(system: "System", data: str | None, n: int, asked: "Control", out: Path | None) -> None:
    """Prints sentences, translations, and what the data say themselves; the same as a table in a .csv."""
    read = read_data(system, data)
    x = _examples(read, "test")[:n]
    made = system.translate(x, seed=asked).cpu()
    columns = [system.data.text(x), system.data.text(made, other=True)]
    if read.test.other is not None:
        columns.append(read.text(read.test.other[:n], other=True))
    names = ("sentence", "translation", "in the data")[: len(columns)]
    rows = list(zip(*columns, strict=True))
    for row in rows:
        print("\n".join(f"{name + ':':13}{text}" for name, text in zip(names, row, strict=True)), end="\n\n")
    if out is not None:
        write_csv(checked(out, (".csv",)), names, rows)
        print(f"wrote {out}")


def _direction(system: "System", to: str) -> bool:
    """Whether a domain is the first, into which one translates back."""
    names = system.data.domains or ()
    found = [i for i, name in enumerate(names) if to in (name, name.rpartition(":")[2], Path(name).stem)]
    if len(found) != 1:
        raise unknown("domain", to, names)
    return found[0] == 0


def complete(
    run: Run,
    data: OtherData = None,
    mask: Annotated[str | None, tyro.conf.arg(metavar="WHERE|FILE")] = None,
    n: Count = None,
    split: SplitName = "test",
    rounds: Number = 30,
    draws: Number = 1000,
    once: Flag = False,
    out: File = None,
    npz: File = None,
    seed: Seeds = (),
    freeze: Frozen = (),
    pin: Pinned = (),
    device: str = "auto",
) -> None:
    """Fill in what is missing: the holes of data that have some, or a part of pictures that a mask hides.

    A model of data with holes (miwae) weighs draws of the code by what is known; of vectors all rows are
    written. Any other with encoder and decoder goes from one to the other and back; pictures are shown
    masked, completed, and as they were.

    Args:
        run: the folder of the run.
        data: other data than the run's.
        mask: of pictures: left, right (if not given), top, bottom (half), center (the middle half of the
            sides), box (the same size, at a place drawn for each picture), or a picture of the same size,
            white where data are missing.
        n: how many of the examples; 32 pictures, or all vectors.
        split: which part of the data.
        rounds: how often the picture is encoded and decoded.
        draws: of the code of each example, which are weighed.
        once: take a draw of what is missing, in the place of its expectation; another seed gives another.
        out: a .png of pictures, a .csv of vectors, or a .npz; without it, a file in the run's folder.
        npz: write the arrays here too.
        seed: of the draws, or of one source: fill (what is there at first), box (where the box is); eps, pick
            and grain where draws are weighed.
        freeze: draw a source once for all examples.
        pin: hold a source at a number: fill=0.5.
        device: auto, cpu, cuda, cuda:1.
    """
    import torch

    from reparam.masks import SOURCES, missing
    from reparam.model import asks
    from reparam.report import pictures

    positive(n=1 if n is None else n, rounds=rounds, draws=draws)
    asked = control(seed, freeze, pin)
    system = _load(run, device)
    image, sources = system.data.kind == "image", ("fill",)
    if system.can("impute"):
        sources = asks(getattr(system.model, "impute_once" if once else "impute")).noise
    elif image:
        _needs(system, "encode", "encoder")
        _needs(system, "decode", "decoder")
    else:
        raise ReparamError(f"{run} is of {system.data.kind}s; a mask is for pictures.")
    out = target(system, run, out, "completions")
    asked.check((*sources, *(SOURCES if image else ())))
    x, y = _part(read_data(system, data), split, n or (32 if image else None))
    if image:
        gone = missing(mask or "right", len(x), system.data.shape, asked)
    elif mask is not None:
        raise ReparamError("a mask is for pictures; of vectors what is filled in is NaN, or an empty cell.")
    elif not (gone := torch.isnan(x)).any():
        raise ReparamError("nothing is missing in these data: there is nothing to fill in.")
    plain = without(asked, SOURCES)
    if system.can("impute"):
        made = system.impute(torch.where(gone, torch.nan, x), draws=draws, once=once, seed=plain).cpu()
    else:
        made = system.complete(x, gone, y, rounds=rounds, seed=plain).cpu()
    if image:
        arrays = {"x": x, "missing": gone, "completed": made}
        masked = torch.where(gone, 0.5, x)
        write(out, arrays, lambda: pictures.stacked(masked, made, x))
    else:
        arrays = {"x": _in_units(system, x), "completed": _in_units(system, made)}
        write(out, arrays, lambda: pictures.scatter(arrays["completed"]))
    _too(npz, arrays)


def encode(
    run: Run,
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")],
    data: OtherData = None,
    device: str = "auto",
) -> None:
    """Write the codes of data. The file is a dataset itself: `reparam train MODEL --data codes.npz`.

    Args:
        run: the folder of the run.
        out: a .npz with x_train, x_validation, x_test, each (n, latent), and y_… where there are labels.
        data: other data than the run's.
        device: auto, cpu, cuda, cuda:1.
    """
    checked(out, (".npz",))
    system = _load(run, device)
    _needs(system, "encode", "encoder")
    read = read_data(system, data)
    arrays = {}
    for split in ("train", "validation", "test"):
        arrays[f"x_{split}"] = system.encode(_examples(read, split), _labels(read, split)).flatten(1)
        if (y := getattr(read, split).y) is not None:
            arrays[f"y_{split}"] = y
    write_npz(out, arrays)
    n, latent = sum(len(a) for name, a in arrays.items() if name[0] == "x"), arrays["x_test"].shape[1]
    print(f"wrote {out}: {n:,} codes of {latent} numbers")


def score(
    run: Run,
    data: OtherData = None,
    split: SplitName = "test",
    out: File = None,
    show: Number = 10,
    seed: Annotated[int, tyro.conf.arg(metavar="S")] = 0,
    device: str = "auto",
) -> None:
    """Rank data by how typical the model finds them, the least typical first.

    Args:
        run: the folder of the run.
        data: other data than the run's.
        split: which part of the data.
        out: a .csv of all scores, in the order of the data.
        show: how many to print.
        seed: of the score's draws, where it has some.
        device: auto, cpu, cuda, cuda:1.
    """
    import inspect

    import torch

    if out is not None:
        checked(out, (".csv",))
    positive(show=show)
    system = _load(run, device)
    _needs(system, "score", "score")
    read = read_data(system, data)
    rows = []
    for name in ("train", "validation", "test") if split == "all" else (split,):
        scores = system.score(_examples(read, name), seed, y=_labels(read, name)).cpu()
        labels = getattr(read, name).y
        words = [""] * len(scores) if labels is None else [(read.classes or ())[int(y)] for y in labels]
        rows += [(name, i, s, w) for i, (s, w) in enumerate(zip(scores.tolist(), words, strict=True))]
    order = torch.tensor([row[2] for row in rows]).argsort(stable=True).tolist()
    meaning = (inspect.getdoc(system.model.score) or "").split("\n", 1)[0]
    print(meaning.replace(": (n,)", ""))
    table(
        ("rank", "split", "row", "score", "label"),
        (
            (rank, rows[i][0], rows[i][1], f"{rows[i][2]:.6g}", rows[i][3])
            for rank, i in enumerate(order[:show], 1)
        ),
    )
    if out is not None:
        write_csv(out, ("split", "row", "score", "label"), rows)
        print(f"wrote {out}")


def recommend(
    run: Run,
    items: Annotated[str, tyro.conf.arg(metavar="TITLES")],
    n: Number = 10,
    device: str = "auto",
) -> None:
    """Print what else to choose, given some items that were liked; the best first.

    Args:
        run: the folder of a run on ratings.
        items: titles with commas between them, without the year, or a part of each that no other has.
        n: how many to recommend.
        device: auto, cpu, cuda, cuda:1.
    """
    from reparam import titles
    from reparam.data import Bags

    positive(n=n)
    system = _load(run, device)
    _needs(system, "rank", "ranking of items")
    names = system.data.vocabulary or ()
    liked = titles.find(items, names)
    best = system.recommend(Bags.of([liked], len(names)), n)[0]
    print("given " + ", ".join(names[i] for i in liked))
    table(("rank", "item"), ((rank, names[i]) for rank, i in enumerate(best.tolist(), 1)))


def _load(run: Path, device: str) -> "System":
    from reparam.system import load

    if not run.exists():
        raise ReparamError(f"{run} does not exist; give the folder of a run.")
    return load(run, place(device))


def _needs(system: "System", ability: str, part: str) -> None:
    # Asked before the data is read: the answer of `System` would come after.
    if not system.can(ability):
        system._ability(ability, part)


def _no_bags(system: "System") -> None:
    if system.data.kind == "bag":
        raise ReparamError(
            f"{system.data.name} holds bags of items, not pictures or vectors; take recommend."
        )


def read_data(system: "System", data: str | None) -> "Data":
    """The run's data, or other data prepared in the same way.

    Raises ReparamError if the model cannot take them.
    """
    import dataclasses

    from reparam.data import Split, load
    from reparam.run import reload_data

    if data is None:
        return reload_data(system)
    vectors = system.data.kind == "vector"
    if system.data.kind == "tokens":  # read with the run's own vocabulary
        alone = {"to": None, "aligned": False, "labels": None, "spec": data}
        return load(**{**(system.data_spec or {}), **alone}, like=system.data)
    plain = {"mirror": False, "labels": None, "to": None, "disjoint": False}
    options = {} if vectors else {**(system.data_spec or {}), "spec": data, **plain}
    holes = system.model.takes_missing
    read = load(data, standardise=False, missing=holes) if vectors else load(**options)
    if system.data.kind == "bag" and read.vocabulary != system.data.vocabulary:
        known, names = set(system.data.vocabulary or ()), read.vocabulary or ()
        strange = next((name for name in names if name not in known), None)
        raise ReparamError(
            f"{data}: the items are not the {len(known):,} that this {system.name} learned"
            + (f"; it does not know {strange!r}" if strange else f", but {len(names):,} of them")
            + ". A model of ratings knows its own catalogue alone."
        )
    if system.data.levels == "binary" and read.levels != "binary":
        raise ReparamError(
            f"this {system.name} was trained on binary data, and {read.name} is {read.levels}."
        )
    if vectors and read.shape == system.data.shape:
        scale = reload_data(system).scale
        if scale is not None:  # in the units that the model knows, those of its own training data
            mean, std = scale
            splits = {
                name: Split((getattr(read, name).x - mean) / std, getattr(read, name).y)
                for name in ("train", "validation", "test")
            }
            read = dataclasses.replace(read, scale=scale, **splits)
    return read


def _examples(data: "Data", split: str) -> "Tensor":
    """x of a whole split: (n, *shape). Binarised by one fixed draw where that is dynamic; never mirrored."""
    import torch

    from reparam.noise import Streams

    part = getattr(data, split)
    noise = {
        name: Streams().draw(name, source, part.n, -1)
        for name, source in data.noise().items()
        if name == "binarise" and split == "train"
    }
    return data.batch(part, torch.arange(part.n), **noise)["x"]


def _part(data: "Data", split: str, most: int | None) -> "tuple[Tensor, Tensor | None]":
    """The first rows of a split, or of all three in turn, and their classes, where there are any."""
    import torch

    names = ("train", "validation", "test") if split == "all" else (split,)
    x = torch.cat([_examples(data, name) for name in names])
    y = [y for name in names if (y := _labels(data, name)) is not None]
    return x[:most], torch.cat(y)[:most] if y else None


def _labels(data: "Data", split: str, most: int | None = None) -> "Tensor | None":
    """The classes of a whole split, or of its first rows, (n,); None where there are none."""
    y = getattr(data, split).y
    return None if y is None else y[:most]


def _in_units(system: "System", x: "Tensor") -> "Tensor":
    """Vectors in the units of the file they came from, images as they are."""
    x = x.cpu()
    if system.data.kind != "vector" or system.data_spec is None:
        return x
    from reparam.run import reload_data

    return reload_data(system).destandardise(x)


def _too(npz: Path | None, arrays: "dict[str, Tensor]") -> None:
    if npz is not None:
        write_npz(checked(npz, (".npz",)), arrays)
        print(f"wrote {npz}")
