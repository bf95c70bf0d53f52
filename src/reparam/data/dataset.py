"""What every dataset is once loaded: three splits in memory, and batches as pure functions of them."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from reparam.data import text as writings
from reparam.data.bags import Bags
from reparam.data.text import Writing
from reparam.errors import ReparamError, unknown
from reparam.noise import Bernoulli, Source, Uniform

Kind = Literal["image", "vector", "tokens", "bag"]
Levels = Literal["binary", "grey", "real", "tokens", "counts", "ratings"]
Binarise = Literal["none", "static", "dynamic", "threshold"]


class Split(NamedTuple):
    """x: (n, c, h, w) uint8 for images, (n, d) float32 for vectors, (n, length) int32 for token ids, padded
    with 0; y: (n,) int64 class indices, or None.

    x may be n `Bags`, which stand for (n, items) and offer of a tensor what batches are asked for.

    other: (m, …) like x, the examples of a second domain, in no order that has to do with x's; in aligned
    data row i of both says the same.
    known: (l,) int64, the rows whose label a batch may show, where it may not show all.
    held_out: n bags, what else each of the x holds: what a recommendation is judged by.
    """

    x: Tensor
    y: Tensor | None
    other: Tensor | None = None
    known: Tensor | None = None
    held_out: Bags | None = None

    @property
    def n(self) -> int:
        """The number of rows."""
        return self.x.shape[0]


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """A dataset, resident where its tensors are. `reparam.data.load` makes one.

    `levels` says what a batch holds: exactly 0 and 1 (binary), [0, 1] (grey), any number (real), how much of
    each item of a catalogue (counts), how it was rated, in parts of the highest rating (ratings), or token
    ids (tokens); `vocabulary` names items and tokens, and `writing` makes text.
    `spec` is JSON and rebuilds the same data by `load(spec)`; `fingerprint` is a hash of the contents.
    `attributes` maps a name to {split name: (n,) int64}. `scale` is the (mean, std), each (d,) float32,
    by which vectors were standardised, of ratings 0 and the highest, (1,), or None. `domains` names the
    domains of x and of other, if there are two; `aligned` says that row i of both says the same, and other
    has a vocabulary of its own.
    `missing` is the share of the numbers of vectors that were not observed: they are NaN, in batches too.
    """

    name: str
    spec: dict[str, Any]
    kind: Kind
    shape: tuple[int, ...]
    levels: Levels
    classes: tuple[str, ...] | None
    train: Split
    validation: Split
    test: Split
    fingerprint: str
    licence: str
    source: str
    attributes: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    scale: tuple[Tensor, Tensor] | None = None
    domains: tuple[str, str] | None = None
    vocabulary: tuple[str, ...] | None = None
    writing: Writing | None = None
    aligned: bool = False
    other_vocabulary: tuple[str, ...] | None = None
    other_writing: Writing | None = None
    missing: float = 0.0

    def noise(self) -> dict[str, Source]:
        """The randomness a training batch asks for: one draw per example of each source."""
        sources: dict[str, Source] = {}
        if self.spec.get("mirror"):
            sources["flip"] = Bernoulli((), 0.5)
        if self.spec.get("labels"):
            sources["labelled"] = Uniform()
        if self.domains and not self.aligned:
            sources["partner"] = Uniform()
            if self.spec.get("mirror"):
                sources["flip_other"] = Bernoulli((), 0.5)
        if self.spec.get("binarise") == "dynamic":
            sources["binarise"] = Uniform(self.shape)
        return sources

    def batch(self, split: Split, rows: Tensor, **noise: Tensor) -> dict[str, Tensor]:
        """{"x": (m, *shape) float32, and "y": (m,) int64 where there are labels} for `rows`, (m,) int64;
        x are m `Bags` where the data are, and "user" (m,) int64 says whose: the row in train, −1 elsewhere.

        Token ids are (m, length) int64, and so is "other" in aligned data, the same rows of the other side.
        A pure function of its arguments. `flip` (m,) mirrors where it is 1; without it nothing is mirrored.
        Where some labels alone are known, y is −1 for the others, and `labelled` (m,), uniform on [0, 1),
        picks rows with a known one for the fields "x_labelled" and "y_labelled".
        `partner` (m,), uniform on [0, 1), picks rows of the second domain for the field "other" (m, *shape).
        `binarise` (m, *shape), uniform on [0, 1), gives x = 1 where it lies below the grey level. That
        leaves 0 and 1 as they are, so it may be passed with a split that is already binary, or left out.
        """
        sources = self.noise()
        for name, draw in noise.items():
            if name not in sources:
                raise unknown(f"noise of the dataset {self.name!r}:", name, sources)
            if draw.shape != (wanted := (len(rows), *sources[name].shape)):
                raise ReparamError(
                    f"noise {name!r} has shape {tuple(draw.shape)}; a batch of {len(rows)} needs {wanted}."
                )
        rows = rows.to(split.x.device)
        x = _mirrored(real(split.x.index_select(0, rows)), noise.get("flip"))
        if "binarise" in noise:
            x = (noise["binarise"].to(x.device) < x).to(torch.float32)
        elif "binarise" in sources and bool(((x > 0) & (x < 1)).any()):
            raise ReparamError(
                f"{self.name} is binarised dynamically and this split is grey: pass the noise `binarise` "
                f"of shape {(len(rows), *self.shape)} (Data.noise() declares it)."
            )
        batch = {"x": x} if split.y is None else {"x": x, "y": split.y.index_select(0, rows)}
        if split.y is not None and split.known is not None:
            batch["y"] = torch.where(torch.isin(rows, split.known), batch["y"], -1)
        if "labelled" in noise and split.y is not None and split.known is not None:
            picked = split.known[_places(noise["labelled"], len(split.known))]
            batch |= {"x_labelled": real(split.x[picked]), "y_labelled": split.y[picked]}
        if "partner" in noise and split.other is not None:
            picked = _places(noise["partner"], len(split.other))
            batch["other"] = _mirrored(real(split.other[picked]), noise.get("flip_other"))
        if self.kind == "bag":
            batch["user"] = rows if split is self.train else torch.full_like(rows, -1)
        if self.aligned and split.other is not None:
            batch["other"] = real(split.other.index_select(0, rows))
        return batch

    def to(self, device: torch.device | str) -> "Data":
        """The same data on another device."""

        def move(split: Split) -> Split:
            return Split(*(None if t is None else t.to(device) for t in split))  # pyright: ignore[reportArgumentType]

        return dataclasses.replace(
            self,
            train=move(self.train),
            validation=move(self.validation),
            test=move(self.test),
            attributes={k: {s: t.to(device) for s, t in v.items()} for k, v in self.attributes.items()},
            scale=self.scale and (self.scale[0].to(device), self.scale[1].to(device)),
        )

    def destandardise(self, x: Tensor) -> Tensor:
        """Vectors (…, d), or ratings, back in the units of the file; what never was scaled comes as it is."""
        if self.scale is None:
            return x
        mean, std = (s.to(x.device) for s in self.scale)
        return x * std + mean

    def text(self, tokens: Tensor, *, other: bool = False) -> list[str]:
        """The lines that token ids (n, length) stand for, of x or of the other side.

        Raises ReparamError where the data are no text.
        """
        return writings.decode(tokens, *writings.side(self, other))

    def require_labels(self, who: str) -> tuple[str, ...]:
        """The class names, or an error that says `who` needs them."""
        if self.classes is None:
            raise ReparamError(
                f"{who} needs labels, and {self.name!r} has none: give `y` beside `x` in an npz or dict, "
                "a column `label` in a table, or one subfolder per class in a folder of pictures."
            )
        return self.classes

    def __repr__(self) -> str:
        sizes = "/".join(f"{s.n:,}" for s in (self.train, self.validation, self.test))
        holes = f", {self.missing:.1%} missing" if self.missing else ""
        return f"Data({self.name!r}, {self.kind} {self.shape}, {self.levels}, {sizes}{holes})"


def _places(u: Tensor, n: int) -> Tensor:
    """Uniform numbers in [0, 1) as uniform rows of n; their product can round up to n."""
    return (u * n).long().clamp_max(n - 1)


def real(x: Tensor) -> Tensor:
    """Bytes as numbers in [0, 1]; token ids as int64; vectors as they are."""
    if x.dtype == torch.int32:
        return x.long()
    return x.to(torch.float32).div_(255) if x.dtype == torch.uint8 else x


def _mirrored(x: Tensor, flip: Tensor | None) -> Tensor:
    """Pictures, those whose flip is 1 mirrored."""
    return x if flip is None else torch.where(flip.to(x.device).view(-1, 1, 1, 1) > 0.5, x.flip(-1), x)
