"""What several commands are told, and how the words become values."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
import yaml

from reparam.errors import ReparamError

if TYPE_CHECKING:
    from reparam.noise import Control

Words = tuple[tuple[str, ...], ...]
"""`--set a=1 b=2 --set c=3`, as it was typed."""

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
Settings = Annotated[
    Words, tyro.conf.UseAppendAction, tyro.conf.arg(name="set", metavar="NAME=VALUE [NAME=VALUE …]")
]
Seeds = Annotated[Words, tyro.conf.UseAppendAction, tyro.conf.arg(metavar="S|SOURCE=S [SOURCE=S …]")]
Frozen = Annotated[Words, tyro.conf.UseAppendAction, tyro.conf.arg(metavar="SOURCE [SOURCE …]")]
Pinned = Annotated[Words, tyro.conf.UseAppendAction, tyro.conf.arg(metavar="SOURCE=VALUE [SOURCE=VALUE …]")]
Model = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
Run = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
DataName = Annotated[str, tyro.conf.arg(metavar="NAME|PATH")]
OtherData = Annotated[str | None, tyro.conf.arg(metavar="NAME|PATH")]
Budget = Annotated[str | None, tyro.conf.arg(metavar="60s|5m|1h")]
Count = Annotated[int | None, tyro.conf.arg(metavar="N")]
Real = Annotated[float | None, tyro.conf.arg(metavar="X")]
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Binarise = Literal["none", "static", "dynamic", "threshold"]
HeldOut = Literal["validation", "test"]
Seed = Annotated[int, tyro.conf.arg(metavar="S")]
ExtractorName = Annotated[str | None, tyro.conf.arg(metavar="NAME|MODULE:FUNCTION")]
Precision = Literal["float32", "bf16", "float64"]

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class TextOptions:
    """How text is read.

    Attributes:
        aligned: line i of the data and of --to say the same, in two languages.
        units: what text is cut into; words, unless a dataset says otherwise.
        length: the most tokens in a row; longer lines are left out.
        min_count: how often a token must occur in the training lines to be in the vocabulary.
        vocabulary_size: the most entries of the vocabulary, four specials among them.
        lower: make text lower case.
    """

    aligned: Flag = False
    units: Literal["characters", "words", "bpe"] | None = None
    length: Count = None
    min_count: Annotated[int, tyro.conf.arg(metavar="N")] = 2
    vocabulary_size: Count = None
    lower: Flag = False


Text = Annotated[TextOptions, tyro.conf.arg(name="")]
AS_IT_IS = TextOptions()


@dataclass(frozen=True)
class RatingOptions:
    """How ratings are read.

    Attributes:
        rated: keep every rating with its value, as autorec needs, and not only which items are liked.
        threshold: the rating from which on an item is liked; 4 where the data say no other.
        per_user: how many liked items a user must have to be kept.
        per_item: and how many users an item.
    """

    rated: Flag = False
    threshold: Real = None
    per_user: Annotated[int, tyro.conf.arg(metavar="N")] = 5
    per_item: Annotated[int, tyro.conf.arg(metavar="N")] = 0


Ratings = Annotated[RatingOptions, tyro.conf.arg(name="")]
AS_THE_PAPER = RatingOptions()


def seconds(budget: str | None) -> float | None:
    """`60s`, `5m`, `1.5h` or plain seconds. Raises ReparamError for anything else."""
    if budget is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", budget.strip())
    found = float(match[1]) * UNITS[match[2]] if match else 0.0
    if found <= 0:
        raise ReparamError(
            f"--budget {budget!r} is no length of time; write a number and s, m or h: 60s, 5m, 1h."
        )
    return found


def pairs(words: Words, flag: str) -> dict[str, Any]:
    """`name=value` words, the values read as YAML: numbers, true, null, [1, 2], or else a string."""
    found = {}
    for word in flat(words):
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise ReparamError(f"--{flag} {word!r}: write name=value, without spaces around the =.")
        try:
            found[name.replace("-", "_") if flag == "set" else name] = _number(yaml.safe_load(value))
        except yaml.YAMLError:
            raise ReparamError(f"--{flag} {word}: {value!r} cannot be read as a value (YAML).") from None
    return found


def by_model(words: Words) -> dict[str, dict[str, Any]]:
    """`model.name=value` words as {model: {name: value}}."""
    found: dict[str, dict[str, Any]] = {}
    for word in flat(words):
        name, _, rest = word.partition(".")
        if not rest or "=" in name:
            raise ReparamError(f"--set {word!r}: say whose setting it is, model.name=value: vae.latent=16.")
        found.setdefault(name, {}).update(pairs(((rest,),), "set"))
    return found


def control(seed: Words, freeze: Words = (), pin: Words = ()) -> "Control":
    """The randomness asked for: one seed for all, seeds of single sources, and what is held still."""
    from reparam.noise import Control

    plain = [word for word in flat(seed) if "=" not in word]
    single = pairs(tuple((word,) for word in flat(seed) if "=" in word), "seed")
    if len(plain) > 1:
        raise ReparamError(f"--seed {' '.join(plain)}: give one seed for all; order=5 is that of one source.")
    pinned = pairs(pin, "pin")
    for name, value in pinned.items():
        if not _numeric(value):
            raise ReparamError(f"--pin {name}={value}: give a number, or a list of numbers like [0.5,-1].")
    return Control(
        _seed("", plain[0]) if plain else 0,
        {name: _seed(f"{name}=", value) for name, value in single.items()},
        tuple(flat(freeze)),
        pinned,
    )


def without(asked: "Control", names: Iterable[str]) -> "Control":
    """The same for all sources but these, which another function draws."""
    from reparam.noise import Control

    gone = set(names)
    return Control(
        asked.seed,
        {name: seed for name, seed in asked.seeds.items() if name not in gone},
        tuple(name for name in asked.freeze if name not in gone),
        {name: value for name, value in asked.pin.items() if name not in gone},
    )


def data_options(
    binarise: str,
    size: int | None,
    mirror: bool,
    skip_bad: bool,
    labels: int | None,
    to: str | None,
    disjoint: bool,
    text: TextOptions,
    ratings: RatingOptions,
) -> dict[str, Any]:
    """What `reparam.data.load` is told besides the data."""
    return {
        "binarise": binarise,
        "size": size,
        "mirror": mirror,
        "skip_bad": skip_bad,
        "labels": labels,
        "to": to,
        "disjoint": disjoint,
        **asdict(text),
        **asdict(ratings),
    }


def place(device: str) -> str:
    """The device's name, `auto` resolved. Raises ReparamError if it is not there."""
    from reparam.engine import Engine

    return str(Engine.start(device).device)


def flat(words: Words) -> list[str]:
    """The words of every use of a flag, in one list."""
    return [word for each in words for word in each]


def positive(**counts: int) -> None:
    """Raises ReparamError, naming the flag, for a count below 1."""
    for name, count in counts.items():
        if count < 1:
            raise ReparamError(f"--{name.replace('_', '-')} {count}: it must be at least 1.")


def table(columns: Iterable[str], rows: Iterable[Iterable[object]], *, header: bool = True) -> None:
    """Prints a plain table; the last column wraps, the others do not."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = list(columns)
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=header)
    for name in names:
        made.add_column(name, no_wrap=name != names[-1], overflow="fold")
    for row in rows:
        made.add_row(*(Text(str(cell)) for cell in row))
    Console().print(made)


def as_json(value: object) -> str:
    """JSON of anything made of dataclasses, pydantic models and plain values; no number becomes null."""
    from pydantic_core import to_json

    return to_json(value, indent=1, inf_nan_mode="null", fallback=str).decode()


def facts(rows: Mapping[str, object]) -> None:
    """Prints names and values in two columns."""
    table(("name", "value"), rows.items(), header=False)


def _seed(name: str, value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ReparamError(f"--seed {name}{value}: a seed is a whole number.") from None


def _number(value: Any) -> Any:
    # YAML 1.1 takes 1e-4 (without a point) for a string; people write it for a number.
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)
    return value


def _numeric(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_numeric(each) and not isinstance(each, list) for each in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)
