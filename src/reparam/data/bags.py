"""Bags: which items each example holds, without an order, as sparse rows of a catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from reparam.errors import ReparamError
from reparam.noise import Everywhere


@dataclass(frozen=True, eq=False, repr=False)
class Bags:
    """n bags of items of a catalogue, flat: bag i holds items[offsets[i] : offsets[i + 1]].

    offsets (n + 1,) int64 from 0; items (entries,) int32 or int64, all below `catalogue`, each once in a bag;
    values (entries,) floats, or None where each is 1. Stands for the dense matrix (n, catalogue), and offers
    of a tensor what batches are asked for: rows by slice or index, `to`, `shape`, a product.
    """

    offsets: Tensor
    items: Tensor
    values: Tensor | None
    catalogue: int

    @classmethod
    def of(cls, bags: Sequence[Sequence[int]], catalogue: int) -> "Bags":
        """From a list of items a bag. Raises ReparamError for items outside the catalogue, or held twice."""
        for i, bag in enumerate(bags):
            if strange := [item for item in bag if not 0 <= item < catalogue]:
                raise ReparamError(f"bag {i} holds item {strange[0]}; the catalogue has 0 … {catalogue - 1}.")
            if len(set(bag)) < len(bag):
                raise ReparamError(f"bag {i} holds an item twice; give it once, with a value.")
        lengths = torch.tensor([len(bag) for bag in bags], dtype=torch.int64)
        items = torch.tensor([item for bag in bags for item in bag], dtype=torch.int64)
        return cls(_ends(lengths), items, None, catalogue)

    # What a tensor offers

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """(n, catalogue), of the matrix that it stands for."""
        return len(self), self.catalogue

    @property
    def dtype(self) -> torch.dtype:
        """Of the values."""
        return torch.float32 if self.values is None else self.values.dtype

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.items.device

    def __getitem__(self, rows: slice | Tensor) -> "Bags":
        """Some of the bags: a slice in steps of 1, or row numbers (m,) int64."""
        if isinstance(rows, Tensor):
            return self.index_select(0, rows)
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self.index_select(0, torch.arange(start, stop, step, device=self.device))
        offsets = self.offsets[start : max(start, stop) + 1]
        part = slice(int(offsets[0]), int(offsets[-1]))
        values = None if self.values is None else self.values[part]
        return replace(self, offsets=offsets - offsets[0], items=self.items[part], values=values)

    def index_select(self, dim: int, rows: Tensor) -> "Bags":
        """The bags of row numbers (m,) int64; dim is 0."""
        lengths = self.lengths[rows]
        offsets = _ends(lengths)
        shift = (self.offsets[rows] - offsets[:-1]).repeat_interleave(lengths)
        at = shift + torch.arange(len(shift), device=self.device)
        values = None if self.values is None else self.values[at]
        return replace(self, offsets=offsets, items=self.items[at], values=values)

    def to(self, where: torch.device | str | torch.dtype) -> "Bags":
        """On another device, or with values of another floating type."""
        if isinstance(where, torch.dtype):
            return replace(self, values=self.each().to(where))
        values = None if self.values is None else self.values.to(where)
        return replace(self, offsets=self.offsets.to(where), items=self.items.to(where), values=values)

    def double(self) -> "Bags":
        """With float64 values."""
        return self.to(torch.float64)

    def cpu(self) -> "Bags":
        """On the CPU."""
        return self.to("cpu")

    def detach(self) -> "Bags":
        """Itself: a bag has no gradient."""
        return self

    def is_floating_point(self) -> bool:
        """True: its values are real numbers."""
        return True

    # What it holds

    @property
    def lengths(self) -> Tensor:
        """Items in each bag, (n,) int64."""
        return self.offsets.diff()

    @property
    def rows(self) -> Tensor:
        """The bag of each entry, (entries,) int64."""
        n = torch.arange(len(self), device=self.device)
        return n.repeat_interleave(self.lengths, output_size=len(self.items))

    def tensors(self) -> tuple[Tensor, ...]:
        """All that it is made of."""
        return (self.offsets, self.items) if self.values is None else (self.offsets, self.items, self.values)

    def dense(self) -> Tensor:
        """The matrix, (n, catalogue): for small ones."""
        full = torch.zeros(self.shape, dtype=self.dtype, device=self.device)
        full[self.rows, self.items.long()] = 1.0 if self.values is None else self.values
        return full

    def each(self) -> Tensor:
        """The value of each entry, (entries,)."""
        return torch.ones(self.items.shape, device=self.device) if self.values is None else self.values

    # What is computed of it

    def __matmul__(self, weight: Tensor) -> Tensor:
        """The sparse product with a matrix (catalogue, k): (n, k), and nothing of the matrix's own size."""
        weights = None if self.values is None else self.values.to(weight.dtype)
        return F.embedding_bag(
            self.items.long(),
            weight,
            self.offsets,
            mode="sum",
            per_sample_weights=weights,
            include_last_offset=True,
        )

    def sums(self) -> Tensor:
        """Of each bag's values: (n,)."""
        return self.lengths.to(self.dtype) if self.values is None else self.summed(self.values)

    def summed(self, of_entries: Tensor) -> Tensor:
        """A number of each entry, (entries,), summed over each bag: (n,)."""
        return of_entries.new_zeros(len(self)).index_add(0, self.rows, of_entries)

    def unit(self) -> "Bags":
        """Each bag's values at length 1 (the root of their squares); an empty bag stays empty."""
        values = self.each()
        return replace(self, values=values * self.summed(values.square()).clamp_min(1e-30).rsqrt()[self.rows])

    def dropout(self, rate: float, draw: Tensor) -> "Bags":
        """Entries kept with probability 1 − rate, and then divided by it; draw (n, k) is of `Everywhere`."""
        kept = Everywhere.at(draw, self.rows, self.items) >= rate
        return replace(self, values=self.each() * kept / (1 - rate))

    def __repr__(self) -> str:
        return f"Bags({len(self):,} × {self.catalogue:,}, {len(self.items):,} entries)"


def _ends(lengths: Tensor) -> Tensor:
    return F.pad(lengths.cumsum(0), (1, 0))
