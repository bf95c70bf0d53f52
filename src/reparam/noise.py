"""What is random, and how it is drawn.

A `Source` is a law: what one draw for one example looks like. `Streams` draws it from the key
(seed, name, step), and from nothing else: no stream depends on another or on what was drawn
before, a resumed run needs only its step, and one source can be frozen or pinned while every
other stays bitwise as it was. PyTorch's global generators are never touched.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from reparam.errors import ReparamError, unknown

Shape = tuple[int, ...]


class Rng(Protocol):
    """The elementary draws of which every law is made, all float32 or int64."""

    def normal(self, shape: Shape) -> Tensor: ...
    def uniform(self, shape: Shape) -> Tensor: ...
    def integers(self, high: int, shape: Shape) -> Tensor: ...
    def permutation(self, n: int) -> Tensor: ...


class HostRng:
    """Draws on the CPU by Philox: the same numbers on every machine and for every device.

    A 128-bit key, because PyTorch's CPU generator keeps 32 bits of its seed only, and a long run
    has enough (name, step) pairs to make two of them collide there.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._bits = np.random.Philox(key=0)
        self._state: Any = self._bits.state
        self._draw = np.random.Generator(self._bits)

    def seeded(self, key: bytes) -> "HostRng":
        # Setting the state of one generator costs half of making a new one.
        self._state["state"]["key"][:] = np.frombuffer(key, np.uint64)
        self._state["state"]["counter"][:] = 0
        self._state["buffer_pos"] = 4
        self._state["has_uint32"] = 0
        self._bits.state = self._state
        return self

    def normal(self, shape: Shape) -> Tensor:
        return self._place(self._draw.standard_normal(shape, dtype=np.float32))

    def uniform(self, shape: Shape) -> Tensor:
        return self._place(self._draw.random(shape, dtype=np.float32))

    def integers(self, high: int, shape: Shape) -> Tensor:
        return self._place(self._draw.integers(high, size=shape))

    def permutation(self, n: int) -> Tensor:
        return self._place(self._draw.permutation(n))

    def _place(self, draw: Any) -> Tensor:
        tensor = torch.as_tensor(draw)
        return tensor if self.device.type == "cpu" else tensor.to(self.device, non_blocking=True)


class DeviceRng:
    """Draws where the model lives: no copy, but the numbers depend on the kind of device."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def seeded(self, key: bytes) -> "DeviceRng":
        self._generator.manual_seed(int.from_bytes(key[:8], "little") >> 1)
        return self

    def normal(self, shape: Shape) -> Tensor:
        return torch.randn(shape, generator=self._generator, device=self._generator.device)

    def uniform(self, shape: Shape) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self._generator.device)

    def integers(self, high: int, shape: Shape) -> Tensor:
        return torch.randint(high, shape, generator=self._generator, device=self._generator.device)

    def permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self._generator, device=self._generator.device)


# Laws


@dataclass(frozen=True)
class Source:
    """The law of one draw for one example, of the given shape; a `shared` one serves the whole batch."""

    shape: Shape = ()
    shared: ClassVar[bool] = False

    def draw(self, rng: Rng, n: int) -> Tensor:
        """n independent draws: (n, *shape), or (*shape) where the law is shared."""
        raise NotImplementedError

    @property
    def law(self) -> str:
        """The law in the field's notation, for the card."""
        raise NotImplementedError


@dataclass(frozen=True)
class Normal(Source):
    """Standard normal."""

    def draw(self, rng: Rng, n: int) -> Tensor:
        return rng.normal((n, *self.shape))

    @property
    def law(self) -> str:
        return f"N(0, I), shape {_of(self.shape)}"


@dataclass(frozen=True)
class Uniform(Source):
    """Uniform on [low, high)."""

    low: float = 0.0
    high: float = 1.0

    def draw(self, rng: Rng, n: int) -> Tensor:
        unit = rng.uniform((n, *self.shape))
        return unit if (self.low, self.high) == (0.0, 1.0) else self.low + (self.high - self.low) * unit

    @property
    def law(self) -> str:
        return f"U[{self.low:g}, {self.high:g}), shape {_of(self.shape)}"


@dataclass(frozen=True)
class SharedUniform(Uniform):
    """Uniform on [low, high), one draw for the whole batch: which of its rows are taken, however many."""

    shared: ClassVar[bool] = True

    def draw(self, rng: Rng, n: int) -> Tensor:
        return super().draw(rng, 1)[0]


@dataclass(frozen=True)
class Bernoulli(Source):
    """1 with the given probability, else 0."""

    probability: float = 0.5

    def draw(self, rng: Rng, n: int) -> Tensor:
        return (rng.uniform((n, *self.shape)) < self.probability).float()

    @property
    def law(self) -> str:
        return f"Bernoulli({self.probability:g}), shape {_of(self.shape)}"


@dataclass(frozen=True)
class Gumbel(Source):
    """Standard Gumbel: −log(−log u)."""

    def draw(self, rng: Rng, n: int) -> Tensor:
        # u can be exactly 0 in 24-bit arithmetic; the smallest step above keeps the draw finite.
        u = rng.uniform((n, *self.shape)).clamp_min(2.0**-25)
        return -torch.log(-torch.log(u))

    @property
    def law(self) -> str:
        return f"Gumbel(0, 1), shape {_of(self.shape)}"


@dataclass(frozen=True)
class Categorical(Source):
    """One of `categories` integers, all equally likely."""

    categories: int = 2

    def draw(self, rng: Rng, n: int) -> Tensor:
        return rng.integers(self.categories, (n, *self.shape))

    @property
    def law(self) -> str:
        return f"uniform over {self.categories} categories, shape {_of(self.shape)}"


@dataclass(frozen=True)
class Permutation(Source):
    """A uniform permutation of `size` things, shared by the batch."""

    size: int = 1
    shared: ClassVar[bool] = True

    def draw(self, rng: Rng, n: int) -> Tensor:
        return rng.permutation(self.size)

    @property
    def law(self) -> str:
        return f"uniform permutation of {self.size}"


@dataclass(frozen=True)
class Dirac(Source):
    """No noise at all: what a deterministic network declares in the place of a stochastic one's source."""

    def draw(self, rng: Rng, n: int) -> Tensor:
        return rng.uniform((n, *self.shape)).zero_()

    @property
    def law(self) -> str:
        return "none (deterministic)"


@dataclass(frozen=True)
class GaussianRing(Source):
    """A mixture of Gaussians in the plane, each stretched along its ray, equally spaced on a ring.

    The ten-leaved prior of Makhzani et al. 2015 (arXiv:1511.05644), §2.3.
    """

    shape: Shape = (2,)
    components: int = 10
    radius: float = 1.4
    radial_std: float = 0.5
    tangential_std: float = 0.05

    def draw(self, rng: Rng, n: int) -> Tensor:
        u = rng.normal((n, 2))
        return self.of(rng.integers(self.components, (n,)), u)

    def of(self, component: Tensor, u: Tensor) -> Tensor:
        """The draw of each component, (n,), that standard normal u, (n, 2), stands for: (n, 2)."""
        angle = component * (2 * math.pi / self.components)
        along, across = self.radius + self.radial_std * u[:, 0], self.tangential_std * u[:, 1]
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([along * cos - across * sin, along * sin + across * cos], 1)

    @property
    def law(self) -> str:
        return f"mixture of {self.components} Gaussians on a ring of radius {self.radius:g}, shape (2)"


@dataclass(frozen=True)
class Chain(Source):
    """A stationary chain along the last dimension: each N(0, 1), neighbours correlated."""

    shape: Shape = (2,)
    correlation: float = 0.5

    def draw(self, rng: Rng, n: int) -> Tensor:
        steps = list(rng.normal((n, *self.shape)).unbind(-1))
        fresh = math.sqrt(1 - self.correlation**2)
        for t in range(1, len(steps)):
            steps[t] = self.correlation * steps[t - 1] + fresh * steps[t]
        return torch.stack(steps, -1)

    @property
    def law(self) -> str:
        return f"N(0, 1) in a chain of correlation {self.correlation:.4g}, shape {_of(self.shape)}"


@dataclass(frozen=True)
class SwissRoll(Source):
    """A spiral in the plane, uniform in area: (r cos θ, r sin θ), r = radius √u, θ = 2π·turns·√u.

    Makhzani et al. 2015 (arXiv:1511.05644), §2.3.
    """

    shape: Shape = (2,)
    radius: float = 3.0
    turns: float = 2.0

    def draw(self, rng: Rng, n: int) -> Tensor:
        root = rng.uniform((n,)).sqrt()
        angle = 2 * math.pi * self.turns * root
        return self.radius * root[:, None] * torch.stack([angle.cos(), angle.sin()], 1)

    @property
    def law(self) -> str:
        return f"swiss roll of radius {self.radius:g} and {self.turns:g} turns, shape (2)"


@dataclass(frozen=True)
class Choosing(Source):
    """What a draw of a mixture in d dimensions is made of: a uniform number, which chooses, and d normals."""

    shape: Shape = (2,)

    @classmethod
    def of(cls, dimensions: int) -> "Choosing":
        """For a mixture in so many dimensions."""
        return cls((1 + dimensions,))

    def draw(self, rng: Rng, n: int) -> Tensor:
        return torch.cat([rng.uniform((n, 1)), rng.normal((n, self.shape[0] - 1))], 1)

    @property
    def law(self) -> str:
        return f"U[0, 1), which chooses a component, and N(0, I), shape {_of((self.shape[0] - 1,))}"


@dataclass(frozen=True)
class Sphere(Source):
    """Uniform on the unit sphere in as many dimensions as the shape says: a normal draw at length 1."""

    shape: Shape = (3,)

    def __post_init__(self) -> None:
        if self.shape[0] < 2:
            raise ReparamError(
                "a sphere needs at least 2 dimensions (2 make a circle): in one there are two points. "
                "Give latent=2 or more."
            )

    def draw(self, rng: Rng, n: int) -> Tensor:
        return _normalised(rng.normal((n, *self.shape)))

    @property
    def law(self) -> str:
        return f"uniform on the unit sphere, shape {_of(self.shape)}"


@dataclass(frozen=True)
class Around(Source):
    """What a law about a direction is drawn from.

    Uniform numbers, of which its angle is made, and beside them its bearing: a uniform point of the sphere in
    one dimension less. The numbers of one draw are the last dimension.
    """

    shape: Shape = (3,)
    uniforms: int = 1

    @classmethod
    def of(cls, dimensions: int, uniforms: int, *draws: int) -> "Around":
        """For a sphere in so many dimensions; so many draws for each example, or one."""
        return cls((*draws, uniforms + dimensions - 1), uniforms)

    def draw(self, rng: Rng, n: int) -> Tensor:
        *draws, numbers = self.shape
        bearing = rng.normal((n, *draws, numbers - self.uniforms))
        x = bearing.new_empty(n, *draws, numbers)
        x[..., : self.uniforms] = rng.uniform((n, *draws, self.uniforms))
        torch.div(bearing, _length(bearing), out=x[..., self.uniforms :])
        return x

    @property
    def law(self) -> str:
        bearing = self.shape[-1] - self.uniforms
        return f"{self.uniforms} × U[0, 1) and uniform on the unit sphere, shape ({bearing})"


@dataclass(frozen=True)
class Everywhere(Source):
    """A uniform number at every index of a set that is too large to draw for, as the few items of a bag need.

    What is drawn are the coefficients of a polynomial over the field of the prime 2³¹ − 1. Its values at
    distinct indices, divided by the prime, are uniform, and as many of them as there are coefficients are
    independent (Joffe 1974, Ann. Probab. 2(1)): sums over items have the moments, up to that order, of
    independent draws. An index's number depends on nothing but the draw and the index.
    """

    shape: Shape = (4,)

    PRIME: ClassVar[int] = 2**31 - 1

    def draw(self, rng: Rng, n: int) -> Tensor:
        return rng.integers(self.PRIME, (n, *self.shape))

    @classmethod
    def at(cls, draw: Tensor, row: Tensor, index: Tensor) -> Tensor:
        """The number, in [0, 1) and float64, of each row (m,) of a draw (n, k) at an index (m,): (m,)."""
        index, value = index.long(), torch.zeros_like(row)
        for coefficient in draw.long()[row].unbind(1):
            value = (value * index + coefficient) % cls.PRIME
        return value.double() / cls.PRIME

    @property
    def law(self) -> str:
        return f"U[0, 1) at every item, any {self.shape[0]} independent, from {self.shape[0]} coefficients"


def _normalised(x: Tensor) -> Tensor:
    return x / _length(x)


def _length(x: Tensor) -> Tensor:
    # A draw of zeros alone is no direction; it would be no number either.
    return x.norm(dim=-1, keepdim=True).clamp_min(1e-30)


# Streams


@dataclass(frozen=True)
class Control:
    """What a user asks of the randomness: seeds, and which sources are held still.

    A *frozen* source is drawn once, for one example at step 0, and that draw serves every example
    and every step. A *pinned* source is a constant. `seeds` gives single sources a seed of their own.
    """

    seed: int = 0
    seeds: Mapping[str, int] = field(default_factory=dict)
    freeze: tuple[str, ...] = ()
    pin: Mapping[str, float | list[float]] = field(default_factory=dict)

    def check(self, known: Iterable[str]) -> None:
        """Raises ReparamError for a name that is no source."""
        known = list(known)
        for name in (*self.seeds, *self.freeze, *self.pin):
            if name not in known:
                raise unknown("noise source", name, known)


class Streams:
    """Draws every source from the key (seed, name, step).

    `where="host"` draws on the CPU and copies: the same numbers on every device.
    `where="device"` draws where the model lives.
    """

    def __init__(
        self, control: Control | int = 0, device: torch.device | str = "cpu", where: str = "host"
    ) -> None:
        self.control = Control(control) if isinstance(control, int) else control
        self.device = torch.device(device)
        self._rng = HostRng(self.device) if where == "host" else DeviceRng(torch.Generator(self.device))

    def draw(self, name: str, source: Source, n: int, *step: int) -> Tensor:
        """n draws of a source at a step: (n, *shape), or (*shape) of a shared one.

        Raises ReparamError if a pinned value does not fit the source's shape.
        """
        if name in self.control.pin:
            return self._pinned(name, source, n)
        if name in self.control.freeze:
            one = source.draw(self._rng.seeded(self._key(name, (0,))), 1)
            return one if source.shared else one.expand(n, *one.shape[1:])
        return source.draw(self._rng.seeded(self._key(name, step)), n)

    @contextmanager
    def ambient(self, name: str, *step: int) -> Iterator[None]:
        """Seeds the global generators for foreign code, and puts them back as they were.

        For what takes no generator: initial weights, and networks of others that call `nn.Dropout`.
        """
        seed = int.from_bytes(self._key(name, step)[:8], "little") >> 1
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            yield

    def _key(self, name: str, step: tuple[int, ...]) -> bytes:
        seed = self.control.seeds.get(name, self.control.seed)
        return hashlib.blake2b(f"{seed}/{name}/{step}".encode(), digest_size=16).digest()

    def _pinned(self, name: str, source: Source, n: int) -> Tensor:
        value = torch.tensor(self.control.pin[name], device=self.device)
        value = value.long() if isinstance(source, Categorical | Permutation | Everywhere) else value.float()
        one = (source.size,) if isinstance(source, Permutation) else source.shape
        try:
            return value.expand(one if source.shared else (n, *one))
        except RuntimeError:
            raise ReparamError(
                f"noise source {name!r} cannot be pinned to a value of shape {tuple(value.shape)}; "
                f"one draw has shape {_of(one)}: give one number or a list that fits."
            ) from None


def _of(shape: Shape) -> str:
    return "(" + ", ".join(map(str, shape)) + ")" if shape else "scalar"
