"""How a move samples its players instead of lowering what they lower: a Markov chain of their weights.

The chain keeps the law exp(−N · objective / temperature), N examples, which is p(θ|data) where the objective
is a mean −log p(x|θ) and a term −log p(θ) of weight 1/N. It remembers nothing but the weights.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from reparam import barker
from reparam.model import Move
from reparam.noise import Categorical, Choosing, Normal, Source
from reparam.optimisers import Optimiser
from reparam.schedules import Weight, at

AT_ONCE = 500  # examples in one evaluation of a loss

Slope = Callable[[Tensor], Tensor]
"""Weights (d,) → the gradient of the log law there, (d,), estimated from the step's batch."""


class Proposed(NamedTuple):
    """Weights (d,), and log q(now|proposed) − log q(proposed|now)."""

    weights: Tensor
    gain: float


@runtime_checkable  # settings that hold a system are validated, and its optimisers with it
class Proposal(Protocol):
    """Where to go from the weights `now`, with u ~ N(0, I) of their shape."""

    def __call__(self, now: Tensor, u: Tensor, step: float, slope: Slope) -> Proposed: ...


@dataclass(frozen=True)
class RandomWalk:
    """Normal steps of that standard deviation, the same there and back."""

    def __call__(self, now: Tensor, u: Tensor, step: float, slope: Slope) -> Proposed:
        return Proposed(now + step * u, 0.0)


@dataclass(frozen=True)
class Langevin:
    """Normal steps, and ½ step² up the slope; Roberts & Tweedie 1996, Bernoulli 2(4).

    The way back is by the slope of the same batch, so that the law is kept whichever batch it is.
    """

    def __call__(self, now: Tensor, u: Tensor, step: float, slope: Slope) -> Proposed:
        proposed = now + 0.5 * step**2 * slope(now) + step * u
        back = (now - proposed - 0.5 * step**2 * slope(proposed)) / step
        return Proposed(proposed, 0.5 * float(u.double().square().sum() - back.double().square().sum()))


@dataclass(frozen=True)
class MetropolisHastings:
    """A rule for a move, in the place of an optimiser: proposals, and Barker's test of each on few examples.

    Seita et al. 2017 (arXiv:1610.06848). The test's examples are independent of the step's batch, from which
    a proposal may be made. A loss that draws noise is sampled by its mean over the noise, and the same draws
    serve both of the weights that are compared.
    """

    step: Weight = 1e-2  # standard deviation of a proposal
    proposal: Proposal = Langevin()
    batch: int = 50  # examples that a test begins with
    temperature: float = 1.0  # above 1 the law is flattened, below it sharpened, the prior with it
    sources: ClassVar[tuple[str, ...]] = ("proposal", "decision", "rows")

    @property
    def words(self) -> str:
        """The rule, for the card."""
        of = re.sub(r"(?<!^)(?=[A-Z])", " ", type(self.proposal).__name__).lower()
        warm = f", temperature {self.temperature:g}" if self.temperature != 1 else ""
        return f"Metropolis–Hastings, {of}, tests of {self.batch} examples or more{warm}"

    def noise(self, weights: int, examples: int) -> dict[str, Source]:
        """What a step draws, for so many weights and examples."""
        return {
            "proposal": Normal((weights,)),  # where to go
            "decision": Choosing((2,)),  # whether
            "rows": Categorical((), examples),  # which examples a test looks at
        }


Mover = Optimiser | MetropolisHastings
"""How a move is made: its players lower what it names, or are sampled."""


class Game(Protocol):
    """What a chain needs of the step that it is a part of."""

    def draw(self, name: str, n: int, *key: int) -> Tensor:
        """n draws of one of the rule's sources, of this step and move."""
        ...

    def gradient(self) -> Sequence[Tensor | None]:
        """Of the objective on the step's batch, at the present weights: one for each parameter."""
        ...

    def objective(self, rows: Tensor, key: int) -> Callable[[], Tensor]:
        """What of each of these rows is lowered, (n,), at the weights at which it is called."""
        ...


class Chain:
    """The weights of one move's players as a point that moves; exact: the objective draws no noise."""

    def __init__(
        self,
        move: Move,
        name: str,
        parameters: list[nn.Parameter],
        rule: MetropolisHastings,
        examples: int,
        exact: bool,
    ) -> None:
        self.move, self.name, self.parameters, self.rule = move, name, parameters, rule
        self.examples, self.exact = examples, exact
        self.sources = rule.noise(sum(p.numel() for p in parameters), examples)

    def advance(self, step: int, game: Game) -> barker.Decision:
        """One step of the chain: the weights are what was proposed, or stay as they were."""
        rule, now = self.rule, self._flat(self.parameters)

        def slope(weights: Tensor) -> Tensor:
            self._go(weights)
            return -self.examples / rule.temperature * self._flat(game.gradient())

        u = game.draw("proposal", 1)[0].to(now.dtype)
        proposed, gain = rule.proposal(now, u, at(rule.step, step), slope)
        keys = count()

        def ratios(parts: Iterable[Tensor]) -> Tensor:
            found = []
            for rows in parts:
                objective = game.objective(rows, next(keys))
                with torch.no_grad():
                    self._go(now)
                    before = objective()
                    self._go(proposed)
                    found.append(before - objective())
            return torch.cat(found)

        def some(n: int) -> Tensor:
            sizes = (min(AT_ONCE, n - start) for start in range(0, n, AT_ONCE))
            return ratios(game.draw("rows", size, next(keys)) for size in sizes)

        def every() -> Tensor:
            return ratios(torch.arange(self.examples).split(AT_ONCE))

        decision = barker.accepts(
            some,
            self.examples,
            game.draw("decision", 1)[0],
            every=every if self.exact else None,
            gain=gain,
            batch=rule.batch,
            temperature=rule.temperature,
        )
        self._go(proposed if decision.accepted else now)
        return decision

    def _flat(self, tensors: Sequence[Tensor | None]) -> Tensor:
        zeros = map(torch.zeros_like, self.parameters)
        each = [zero if t is None else t for t, zero in zip(tensors, zeros, strict=True)]
        return torch.cat([t.detach().flatten() for t in each])

    @torch.no_grad()
    def _go(self, weights: Tensor) -> None:
        for p, part in zip(self.parameters, weights.split([p.numel() for p in self.parameters]), strict=True):
            p.copy_(part.view_as(p))
