"""Finds the systems: every `Model` in `reparam.models`, and every recipe in `reparam.recipes`."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from reparam.data import text as writings
from reparam.data.text import Writing
from reparam.errors import ReparamError, unknown
from reparam.model import Model
from reparam.samplers import Mover


@dataclass(frozen=True)
class DataFacts:
    """What a recipe may know of the data: enough to choose networks, and kept in the run."""

    name: str
    kind: Literal["image", "vector", "tokens", "bag"]
    shape: tuple[int, ...]
    levels: Literal["binary", "grey", "real", "tokens", "counts", "ratings"]
    classes: tuple[str, ...] | None
    examples: int
    domains: tuple[str, str] | None = None
    labelled: int | None = None  # examples whose label is known, where not all are
    vocabulary: tuple[str, ...] | None = None
    writing: Writing | None = None
    aligned: bool = False  # row i of both domains says the same
    other_vocabulary: tuple[str, ...] | None = None
    other_writing: Writing | None = None
    counts: tuple[int, ...] | None = None  # of each entry of the vocabulary, in the training part
    other_counts: tuple[int, ...] | None = None
    missing: float = 0.0  # the share of the numbers that were not observed

    def tokens(self, lines: Sequence[str], *, other: bool = False) -> Tensor:
        """Lines as the ids that a model of these data takes: (n, length) int64.

        Raises ReparamError for lines that are empty, too long or unknown to the vocabulary.
        """
        return writings.encode(lines, *writings.side(self, other), self.shape[0])

    def text(self, tokens: Tensor, *, other: bool = False) -> list[str]:
        """The lines that token ids (n, length) stand for."""
        return writings.decode(tokens, *writings.side(self, other))

    def require_classes(self, who: str) -> int:
        """The number of classes, or a ReparamError that says `who` needs labels."""
        if self.classes is None:
            raise ReparamError(
                f"{who} needs labels, and {self.name} has none: give `y` beside `x`, a column `label`, "
                "or one subfolder per class."
            )
        return len(self.classes)

    def require_all_labels(self, who: str) -> int:
        """The number of classes, or a ReparamError where labels are not there or not all known."""
        classes = self.require_classes(who)
        if self.labelled is not None:
            raise ReparamError(f"{who} needs every label: leave --labels out. aae-semi-supervised needs few.")
        return classes

    def require_domains(self, who: str) -> tuple[str, str]:
        """The names of the two domains, or a ReparamError that says `who` needs them."""
        if self.domains is None:
            raise ReparamError(
                f"{who} translates between two domains, and {self.name} is one: name the other with --to "
                "(in Python, load(…, to=…))."
            )
        return self.domains

    def require_picture(self, who: str, least: int) -> None:
        """Raises a ReparamError that says `who` needs pictures, of at least so many pixels to a side."""
        if self.kind != "image" or min(self.shape[1:]) < least:
            what = f"{self.kind}s of shape {self.shape}"
            raise ReparamError(
                f"{who} takes pictures of at least {least} × {least} pixels, and {self.name} holds {what}."
            )

    def require_numbers(self, who: str, instead: str) -> None:
        """Raises a ReparamError that says `who` is not for text, and which system is."""
        if self.kind == "tokens":
            raise ReparamError(f"{who} has networks of pictures and vectors; {instead} is for text.")

    def require_choices(self, who: str) -> int:
        """The number of items, or a ReparamError that says `who` takes what was liked, and not ratings."""
        if self.levels == "ratings":
            raise ReparamError(
                f"{who} takes which items were liked, and {self.name} keeps how each was rated: leave "
                "--rated out (in Python, rated=False). autorec is for ratings."
            )
        return self.shape[0]

    def require_ratings(self, who: str) -> int:
        """The number of items, or a ReparamError that says `who` needs how each was rated."""
        if self.levels != "ratings":
            raise ReparamError(
                f"{who} learns how items are rated, and {self.name} holds {self.kind}s without ratings: give "
                "ratings and --rated (in Python, rated=True). mult-vae takes what was liked."
            )
        return self.shape[0]

    def require_vocabulary(self, who: str) -> int:
        """The number of entries of the vocabulary, or a ReparamError that says `who` needs one."""
        if self.vocabulary is None:
            raise ReparamError(
                f"{who} is a model of text, and {self.name} holds {self.kind}s: give a .txt or .jsonl "
                "file, or a table with a column `text`."
            )
        return len(self.vocabulary)

    def require_pairs(self, who: str) -> tuple[int, int]:
        """The sizes of both vocabularies, or a ReparamError that says `who` needs aligned pairs."""
        if not self.aligned or self.vocabulary is None or self.other_vocabulary is None:
            raise ReparamError(
                f"{who} learns from pairs of lines that say the same, and {self.name} has none: give two "
                "files of equally many lines, --data A.txt --to B.txt --aligned (in Python, load(…, to=…, "
                "aligned=True))."
            )
        return len(self.vocabulary), len(self.other_vocabulary)


@dataclass(frozen=True)
class Recipe:
    """A model ready to be trained: how it moves by the name of the move (or `default`), batch size, steps."""

    model: Model
    optimisers: dict[str, Mover] = field(default_factory=dict)
    batch_size: int = 64
    steps: int = 5000
    average: float | None = None  # decay of the averaged weights that are sampled from; None keeps none
    lacks: str | None = None  # what must be given before it can be trained; it can be looked at without


RecipeMaker = Callable[..., Recipe]


@cache
def models() -> dict[str, type[Model]]:
    """Every system by its name."""
    found = {
        cls.name: cls
        for module in _modules("reparam.models")
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, Model) and cls.__module__ == module.__name__ and "name" in vars(cls)
    }
    return dict(sorted(found.items()))


@cache
def recipes() -> dict[str, RecipeMaker]:
    """Every recipe by its name; a model's own recipe has the model's name."""
    found = {
        name.replace("_", "-"): function
        for module in _modules("reparam.recipes")
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and inspect.signature(function).return_annotation is Recipe
        and not name.startswith("_")
    }
    return dict(sorted(found.items()))


def recipe(name: str) -> RecipeMaker:
    """The recipe of that name. Raises ReparamError, with the nearest name, if there is none."""
    if name not in recipes():
        raise unknown("model", name, recipes())
    return recipes()[name]


def takes_missing(name: str) -> bool:
    """Whether the recipe of that name makes a model of data with holes."""
    return name in models() and models()[name].takes_missing


def settings(name: str) -> dict[str, inspect.Parameter]:
    """What a recipe can be told: its keyword arguments."""
    parameters = inspect.signature(recipe(name)).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


def validated(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Settings checked and converted by the recipe's signature.

    Raises ReparamError for an unknown name or a value of the wrong type.
    """
    known, checked = settings(name), {}
    for key, value in given.items():
        if key not in known:
            raise unknown(f"setting of {name}", key, known)
        adapter = TypeAdapter(known[key].annotation, config={"arbitrary_types_allowed": True})
        try:
            checked[key] = adapter.validate_python(value)
        except ValidationError as error:
            reasons = (e["msg"].removeprefix("Value error, ").rstrip(".") for e in error.errors())
            raise ReparamError(f"setting {key}={value!r} of {name}: {'; '.join(reasons)}.") from None
    return checked


def _modules(name: str) -> Iterator[ModuleType]:
    package = importlib.import_module(name)
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        yield importlib.import_module(info.name)
