"""What every model must hold to, as a public check: `check(system)`, or `check(model, batch)` of your own.

    reparam.contract.check(MyModel(…), {"x": x}, optimisers={"default": Adam(1e-3)})

Each clause is one function of a `Case`; `clauses()` names them, so that a test can be made of each.
Nothing is trained for long and nothing given is changed: every clause works on copies, on the CPU.
That a model learns cannot be asked of every model on every batch; it is left to a test with data.
"""

import inspect
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from reparam.data import Data, Split
from reparam.engine import Engine
from reparam.errors import ReparamError, unknown
from reparam.model import Average, Model, Move, Terms, Turn, asks
from reparam.noise import Dirac, Streams
from reparam.optimisers import Adam, Optimiser
from reparam.samplers import Mover
from reparam.schedules import at
from reparam.system import System
from reparam.trainer import Trainer

BANNERS = ("# Structure and training flow", "# Loss", "# Randomness")
# Sources that runs and data have already.
RESERVED = (
    "order", "weights", "flip", "flip_other", "partner", "labelled", "binarise",
    "proposal", "decision", "rows",
)  # fmt: skip
ABILITIES = (
    "sample",
    "score",
    "log_weights",
    "encode",
    "translate",
    "translate_back",
    "rank",
    "style_of",
    "style_of_back",
    "impute",
    "impute_once",
)
ROWS = 8  # of a system's own data, where no batch is given
STEP = 1000  # at which schedules are read: at step 0 a ramp is 0 and would hide its term
LR = 1e-3  # of the plain steps by which moves are told apart


class ContractBroken(AssertionError):
    """A clause that does not hold: what was expected, what was found, and what to do."""

    def __init__(self, clause: str, expected: str, found: str, remedy: str) -> None:
        self.clause = clause
        super().__init__(f"[{clause}] expected: {expected}\n  found: {found}\n  to do: {remedy}")


@dataclass(frozen=True)
class Case:
    """What the clauses look at: a model, fields of a batch (n, …) each, and how its moves are made."""

    model: Model
    batch: Mapping[str, Tensor]
    optimisers: Mapping[str, Mover] = field(default_factory=lambda: {"default": Adam()})

    @property
    def n(self) -> int:
        """Rows of the batch."""
        return len(next(iter(self.batch.values())))

    @property
    def couples(self) -> bool:
        """Whether some module declares that the rows of a batch affect each other."""
        return any(getattr(module, "couples_batch", False) for module in self.model.modules())

    def copy(self, dtype: torch.dtype | None = None) -> Model:
        """A copy of the model to work on, in training mode."""
        return deepcopy(self.model).to("cpu", dtype).train()

    def fields(self, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """The batch, real numbers in the dtype."""
        return {name: _cast(value, dtype) for name, value in self.batch.items()}

    def noise(self, *key: int, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """One draw of every declared source; another key gives another draw."""
        streams = Streams(0)
        return {
            name: _cast(streams.draw(name, law, self.n, *key), dtype)
            for name, law in self.model.noise().items()
        }

    def shared(self) -> set[str]:
        """Sources of which one draw serves the whole batch."""
        return {name for name, law in self.model.noise().items() if law.shared}


Clause = Callable[[Case], None]


def clauses() -> dict[str, Clause]:
    """Every clause by its name, in the order in which `check` goes through them."""
    return dict(_CLAUSES)


def check(
    subject: System | Model,
    batch: Tensor | Mapping[str, Tensor] | None = None,
    *,
    optimisers: Mapping[str, Mover] | None = None,
    clauses: Iterable[str] | None = None,
) -> None:
    """Holds a system or a model to the contract; silent if it keeps it.

    Args:
        subject: a system, or a model of your own.
        batch: x, (n, …), or a dict of such fields, at least 4 rows; a system takes rows of its own data.
        optimisers: by the name of the move, or `default`; a system has its own.
        clauses: names of the only ones to check.

    Raises ContractBroken for the first clause that does not hold.
    """
    case = _case(subject, batch, optimisers)
    for name in _CLAUSES if clauses is None else clauses:
        if name not in _CLAUSES:
            raise unknown("clause", name, _CLAUSES)
        _CLAUSES[name](case)


def _case(
    subject: System | Model,
    batch: Tensor | Mapping[str, Tensor] | None,
    optimisers: Mapping[str, Mover] | None,
) -> Case:
    model = subject.model if isinstance(subject, System) else subject
    if isinstance(subject, System):
        optimisers = optimisers or subject.recipe.optimisers
        data = subject.training_data
        if batch is None and data is not None:
            rows = torch.arange(min(ROWS, data.train.n))
            draws = {name: Streams(0).draw(name, law, len(rows)) for name, law in data.noise().items()}
            batch = data.batch(data.train, rows, **draws)
    if batch is None:
        raise ReparamError(
            "a contract is checked on data: give a batch, x of shape (n, …) or a dict of fields."
        )
    case = Case(
        model, {"x": batch} if isinstance(batch, Tensor) else batch, optimisers or {"default": Adam()}
    )
    if case.n < 4:
        raise ReparamError(f"the batch has {case.n} rows; give at least 4, so that rows can be told apart.")
    return case


# The clauses


def order(case: Case) -> None:
    """Structure and training flow, then the loss, then randomness: in the source, under their banners."""
    losses = {turn.name for turn in case.model.turns()}
    section = {"turns": 0, **dict.fromkeys(losses, 1), "noise": 2, "sample": 2}
    for cls in type(case.model).__mro__:
        own = [name for name in section if name in vars(cls)]
        if not issubclass(cls, Model) or cls is Model or not own:
            continue
        try:
            lines, first = inspect.getsourcelines(cls)
        except (OSError, TypeError):
            raise ContractBroken(
                "order", "source that can be read", f"none of {cls.__name__}", "define the class in a file"
            ) from None
        found = [(line.strip(), i) for i, line in enumerate(lines) if line.strip() in BANNERS]
        if tuple(banner for banner, _ in found) != BANNERS:
            raise ContractBroken(
                "order",
                f"the three banners {', '.join(BANNERS)} in the class, once each and in this order",
                f"{[banner for banner, _ in found]} in {cls.__name__}",
                "put turns() under the first, losses under the second, noise() and sample() under the third",
            )
        for name in own:
            line = inspect.unwrap(vars(cls)[name]).__code__.co_firstlineno - first
            under = sum(line > i for _, i in found) - 1
            if under != section[name]:
                where = BANNERS[under] if under >= 0 else "no banner"
                raise ContractBroken(
                    "order",
                    f"{name}() under {BANNERS[section[name]]}",
                    f"{cls.__name__}.{name} (line {first + line}) under {where}",
                    "move it there",
                )


def determinism(case: Case) -> None:
    """The same weights, state, batch and noise give the same values bitwise, and a loss changes no state."""
    model, batch, noise = case.copy(), case.fields(), case.noise(0)
    before = _snapshot(model)
    for name, function in _functions(model).items():
        runs = []
        for _ in range(2):
            # The global generators start alike both times: what draws from them is the next clause's.
            with _ambient_seeded():
                runs.append(_evaluate(model, name, function, batch, noise))
        if changed := _changed(before, _snapshot(model)):
            raise ContractBroken(
                "determinism",
                f"{name} leaves weights and buffers as they are",
                f"it changed {', '.join(changed)}",
                "declare the buffer in state() and return what is proposed for it under its name",
            )
        if unequal := _changed(*runs):
            raise ContractBroken(
                "determinism",
                f"{name} is a function of weights, state, batch and noise alone",
                f"two calls with the same differ in {', '.join(unequal)}",
                "look for unseeded generators, counters and caches",
            )


def ambient(case: Case) -> None:
    """No ambient randomness: the global generators of torch, numpy and Python are left as they were."""
    model, batch, noise = case.copy(), case.fields(), case.noise(0)
    for name, function in _functions(model).items():
        before = _global_states()
        _evaluate(model, name, function, batch, noise)
        after = _global_states()
        if drawn := [library for library in before if before[library] != after[library]]:
            raise ContractBroken(
                "ambient",
                f"{name} draws nothing itself",
                f"it used the global generator of {', '.join(drawn)}",
                "declare a source in noise() and take its draw as a keyword-only argument",
            )


def own_players(case: Case) -> None:
    """Each player gets the gradient of its own move's objective; nobody else gets one; all are reached.

    The gradients and steps of the trainer, watched in float64, against `torch.autograd.grad` of the
    objective computed anew from the loss. Moves that wait for a condition are made all the same.
    """
    model, reference = case.copy(torch.float64), case.copy(torch.float64)
    turns = model.turns()
    for turn in turns:
        for move in turn.moves:
            move.when = None
    setattr(model, "turns", lambda: turns)  # noqa: B010 - an instance's own, so that these moves are played
    log: list[_Played] = []
    trainer = _trainer(case, model, {"default": _Recorded(LR, log)}, _Watching.of(model, turns, log), case.n)
    trainer.step = STEP
    for turn in reference.turns():  # a weight of no term is told as such, before the trainer stumbles on it
        terms = _terms(
            _call(turn.loss, case.fields(torch.float64), case.noise(dtype=torch.float64)), reference
        )
        _ = [_objective(turn, move, terms) for move in turn.moves]
    trainer.take_step()
    names = {id(p): name for name, p in model.named_parameters()}
    reached: set[str] = set()
    for played, after in zip(log, [*(p.before for p in log[1:]), _snapshot(model)], strict=True):
        _load(reference, played.before)
        expected = dict(played.before)
        mirrored = reference.turns()[played.turn]
        terms = _terms(mirrored.loss(*played.fields, **played.noise), reference)
        for move, steps in zip(mirrored.moves, played.steps, strict=True):
            applied = {names[key]: gradient for key, gradient in steps.items()}
            reached |= {name for name, gradient in applied.items() if gradient is not None}
            _same_gradients(reference, mirrored, move, terms, applied)
            expected |= {k: expected[k] - LR * g for k, g in applied.items() if g is not None}
        moved = {k: v for k, v in after.items() if k in names.values()}
        if touched := _changed({k: expected[k] for k in moved}, moved):
            raise ContractBroken(
                "own-players",
                f"{mirrored.name} moves its own players only",
                f"it also changed {', '.join(touched)}",
                "no loss may step, clip or write weights; add the player to the turn if it is meant to move",
            )
    if stray := [*(name for played in log for name in played.stray), *_with_gradients(model)]:
        raise ContractBroken(
            "own-players",
            "no gradient outlives its step, and nobody but the players gets one",
            f"gradients on {', '.join(stray)}",
            "no loss may call backward(); take gradients by torch.autograd.grad",
        )
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    if trainable - reached:
        raise ContractBroken(
            "own-players",
            "the turns together reach every trainable parameter",
            f"none reaches {', '.join(sorted(trainable - reached))}",
            "give them to a turn, connect them to its loss, or freeze them by requires_grad_(False)",
        )


def noise(case: Case) -> None:
    """Noise is closed: what is declared is what is asked for, and matters to whoever asks for it."""
    declared = case.model.noise()
    functions = _functions(case.model)
    asked = {name: who for who, function in functions.items() for name in asks(function).noise}
    if undeclared := sorted(asked.keys() - declared.keys()):
        raise _undeclared(asked[undeclared[0]], undeclared[0])
    if unused := sorted(declared.keys() - asked.keys()):
        raise ContractBroken(
            "noise",
            "every declared source is asked for by a loss, sample or score",
            f"nothing asks for {', '.join(unused)}",
            "remove it from noise(), or take it as a keyword-only argument",
        )
    if taken := sorted(declared.keys() & set(RESERVED)):
        raise ContractBroken(
            "noise",
            f"source names other than {', '.join(RESERVED)}, which runs and data use themselves",
            ", ".join(taken),
            "rename the source",
        )
    model, batch = _shaken(case.copy(torch.float64)), case.fields(torch.float64)
    base = case.noise(0, dtype=torch.float64)
    others = [case.noise(i, dtype=torch.float64) for i in range(1, 9)]
    for name, function in functions.items():
        function = _functions(model)[name]
        if name.startswith("impute") and not batch["x"].isnan().any():
            continue  # where nothing is missing there is nothing to draw
        values = _evaluate(model, name, function, batch, base)
        for source in asks(function).noise:
            # A law of few values can fall the same way several times; eight times is no chance.
            matters = isinstance(declared[source], Dirac) or any(
                _changed(values, _evaluate(model, name, function, batch, base | {source: other[source]}))
                for other in others
            )
            if not matters:
                raise ContractBroken(
                    "noise",
                    f"{name} depends on {source}, for which it asks",
                    "other draws change none of its values",
                    f"use {source}, or do not ask for it",
                )


def per_example(case: Case) -> None:
    """Terms have shape (n,), and row i depends on row i of batch and noise only (unless declared)."""
    model, batch = case.copy(torch.float64), case.fields(torch.float64)
    base, other = case.noise(0, dtype=torch.float64), case.noise(1, dtype=torch.float64)
    second_twice = torch.tensor([1, *range(1, case.n)])
    changed_batch = {name: value[second_twice] for name, value in batch.items()}
    changed = {
        name: draw if name in case.shared() else _first_row_from(draw, other[name][0])
        for name, draw in base.items()
    }
    for name, function in _functions(model).items():
        values = _evaluate(model, name, function, batch, base)
        for key, value in values.items():
            rule = model.state().get(key)
            if rule is not None:
                shape = model.get_buffer(key).shape
                whole = (case.n, *shape) if isinstance(rule, Average) else shape
                if value.shape != whole:
                    raise ContractBroken(
                        "per-example",
                        f"{name} proposes for {key}, by {type(rule).__name__}, a shape of {tuple(whole)}",
                        f"{tuple(value.shape)}",
                        "propose for each example what is averaged, and a whole buffer that replaces it",
                    )
                continue
            one = name == "score" or name not in ABILITIES
            if value.shape[:1] != (case.n,) or (one and value.dim() != 1):
                raise ContractBroken(
                    "per-example",
                    f"{name}: {key} of shape ({case.n}{',' if one else ', …'}), one value per example",
                    f"shape {tuple(value.shape)}",
                    "sum over the dimensions of an example and leave the batch: the trainer takes its mean",
                )
        if case.couples:
            continue
        moved = _evaluate(model, name, function, changed_batch, changed)
        for key, value in values.items():
            if key not in model.state() and not torch.allclose(
                value[1:], moved[key][1:], rtol=1e-9, atol=1e-12, equal_nan=True
            ):
                raise ContractBroken(
                    "per-example",
                    f"{name}: row i of {key} depends on row i of batch and noise only",
                    "changing row 0 changed other rows",
                    "use no statistic of the batch, or declare couples_batch = True and use coupling.gather",
                )


def gradcheck(case: Case) -> None:
    """Each move's gradient is the slope of its objective: central differences in float64, noise fixed.

    Terms named in the model's `surrogates` (straight-through, score function, stopped gradients) have
    another gradient on purpose: moves that lower one are left to the model's own test.
    """
    model = case.copy(torch.float64)
    surrogates = set(getattr(model, "surrogates", ()))
    generator = torch.Generator().manual_seed(0)
    batch, draws = case.fields(torch.float64), case.noise(0, dtype=torch.float64)
    moves = [(turn, move) for turn in model.turns() for move in turn.moves]
    for turn, move in moves:

        def objective(turn: Turn = turn, move: Move = move) -> Tensor:
            return _objective(turn, move, _terms(_call(turn.loss, batch, draws), model))

        lowered = move.weights or _terms(_call(turn.loss, batch, draws), model)
        if surrogates & set(lowered):
            continue
        parameters = _trainable(move)
        gradients = torch.autograd.grad(objective(), parameters, allow_unused=True)
        slopes: list[tuple[float, float]] = []
        # A step across the kink of a ReLU is rare, a wrong gradient is wrong in every direction. A shorter
        # step crosses fewer of them, and is blinder: it is for networks of very many.
        for step in (1e-6, 1e-6, 1e-7, 1e-7):
            direction = [_unit(p, generator) for p in parameters]
            slope = sum(
                (float((g * d).sum()) for g, d in zip(gradients, direction, strict=True) if g is not None),
                0.0,
            )
            with _along(parameters, direction, step):
                ahead = float(objective().detach())
            with _along(parameters, direction, -step):
                behind = float(objective().detach())
            measured = (ahead - behind) / (2 * step)
            # Rounding of the two values is what the difference cannot see below.
            blind = 1e-14 * max(abs(ahead), 1.0) / step
            if abs(slope - measured) <= 1e-5 * abs(measured) + 10 * blind:
                break
            slopes.append((slope, measured))
        else:
            raise ContractBroken(
                "gradcheck",
                f"the gradient of {turn.name} over {_names(model, move)} is the slope of its objective",
                "autograd against measured, four directions: "
                + "; ".join(f"{a:.6g} and {b:.6g}" for a, b in slopes),
                "look for detach, no_grad and rounding on the players' path; "
                "name the term in `surrogates` if the gradient is meant to be another",
            )


def resume(case: Case, k: int = 3) -> None:
    """k steps, saved, and k more are 2k steps, bitwise: weights, state and the optimisers' memories."""
    rows = max(case.n // 2, 1)  # batches that cross the epochs' borders

    def begin() -> Trainer:
        model = case.copy()
        return _trainer(case, model, case.optimisers, Engine(torch.device("cpu")), rows, average=0.9)

    def everything(trainer: Trainer) -> dict[str, Tensor]:
        return {k: v.clone() for k, v in {**trainer.model.state_dict(), **trainer.tensors()}.items()}

    whole, first, second = begin(), begin(), begin()
    for _ in range(2 * k):
        whole.take_step()
    for _ in range(k):
        first.take_step()
    second.model.load_state_dict(deepcopy(first.model.state_dict()))
    second.restore(k, {name: t.clone() for name, t in first.tensors().items()})
    for _ in range(k):
        second.take_step()
    if differing := _changed(everything(whole), everything(second)):
        raise ContractBroken(
            "resume",
            f"{k} + {k} steps are {2 * k}, bitwise",
            f"they differ in {', '.join(differing[:5])}",
            "keep what training depends on in parameters and buffers, not in plain attributes",
        )


def scale(case: Case) -> None:
    """A row's terms are the same in a batch of any size; a `distortion` doubles with tiled data."""
    model, batch = case.copy(torch.float64), case.fields(torch.float64)
    draws = case.noise(0, dtype=torch.float64)
    for name, function in {} if case.couples else _functions(model).items():
        values = _evaluate(model, name, function, batch, draws)
        for rows in (1, case.n // 2):
            part = {key: value[:rows] for key, value in batch.items()}
            few = {key: d if key in case.shared() else d[:rows] for key, d in draws.items()}
            for key, value in _terms(_evaluate(model, name, function, part, few), model).items():
                whole = values[key][:rows]
                if value.shape != whole.shape or not torch.allclose(value, whole, rtol=1e-9, atol=1e-12):
                    raise ContractBroken(
                        "scale",
                        f"{name}: {key} of a row is the same in batches of {rows} and of {case.n}",
                        f"{_brief(value)} and {_brief(whole)}",
                        "divide by no batch size, and squeeze no dimension that can be the batch",
                    )
    _distortion_doubles(case)


def card(case: Case) -> None:
    """What the card is made of: the paper, each loss's terms as lines `term = formula`, each source's law."""
    model = case.model
    cls = type(model)
    for attribute, what in (("name", "a short name"), ("paper", "authors, year, title and where to find it")):
        if not isinstance(getattr(cls, attribute, None), str):
            raise ContractBroken(
                "card", f"{cls.__name__}.{attribute}: {what}", "none", f"set {attribute} = …"
            )
    if not re.search(r"\b(1[89]|20)\d\d\b", cls.paper):
        raise ContractBroken(
            "card", "a paper with its year", repr(cls.paper), "cite it: authors, year, title"
        )
    if not cls.__doc__:
        raise ContractBroken("card", "the data flow in the class's docstring", "none", "write x ─net→ …")
    batch, draws, copy = case.fields(), case.noise(0), case.copy()
    for turn in copy.turns():
        text = inspect.getdoc(turn.loss) or ""
        written = re.findall(r"^(\w+) = \S", text, re.MULTILINE)
        returned = _terms(_call(turn.loss, batch, draws), copy)
        if set(written) != set(returned) or len(written) != len(returned):
            raise ContractBroken(
                "card",
                f"a line `term = formula` in the docstring of {turn.name} for each of {', '.join(returned)}",
                f"lines for {', '.join(written) or 'none'}",
                "write one line for every term that is returned, and for no other",
            )
    for name, law in model.noise().items():
        if not law.law:
            raise ContractBroken(
                "card", f"the law of {name}", "an empty one", f"write {type(law).__name__}.law"
            )


_CLAUSES: dict[str, Clause] = {
    "order": order,
    "determinism": determinism,
    "ambient": ambient,
    "own-players": own_players,
    "noise": noise,
    "per-example": per_example,
    "gradcheck": gradcheck,
    "resume": resume,
    "scale": scale,
    "card": card,
}


# Calling a model


def _functions(model: Model) -> dict[str, Callable[..., Any]]:
    """The losses and the abilities that ask for a batch or noise, by name."""
    losses = {turn.name: turn.loss for turn in model.turns()}
    return losses | {name: getattr(model, name) for name in ABILITIES if hasattr(model, name)}


def _call(function: Callable[..., Any], batch: Mapping[str, Tensor], draws: Mapping[str, Tensor]) -> Any:
    wants = asks(function)
    for name in wants.fields:
        if name not in batch:
            raise ReparamError(
                f"{function.__name__} asks for the field {name!r}; the batch has {', '.join(batch)}."
            )
    for name in wants.noise:
        if name not in draws:
            raise _undeclared(function.__name__, name)
    return function(*(batch[name] for name in wants.fields), **{name: draws[name] for name in wants.noise})


def _evaluate(
    model: Model,
    name: str,
    function: Callable[..., Any],
    batch: Mapping[str, Tensor],
    draws: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """The values of a loss by term, or of an ability by its own name. Abilities are used after training."""
    model.train(name not in ABILITIES)
    value = _call(function, batch, draws)
    model.train()
    return {k: v.detach() for k, v in (value if isinstance(value, dict) else {name: value}).items()}


def _terms(values: Terms, model: Model) -> Terms:
    return {name: value for name, value in values.items() if name not in model.state()}


def _undeclared(who: str, source: str) -> ContractBroken:
    return ContractBroken(
        "noise",
        "every source that is asked for is declared",
        f"{who} asks for {source}, and noise() has none of that name",
        f"add {source!r} and its law to noise()",
    )


# Playing a model


class _Rows:
    """The rows of a batch, as data to train on."""

    def __init__(self, batch: Mapping[str, Tensor]) -> None:
        self.fields = batch
        self.train = Split(next(iter(batch.values())), None)

    def noise(self) -> dict[str, Any]:
        return {}

    def batch(self, split: Split, rows: Tensor) -> dict[str, Tensor]:
        return {name: value[rows] for name, value in self.fields.items()}


@dataclass
class _Played:
    """One evaluation of a turn's loss, and the gradients of the moves made from it, by parameter's id."""

    turn: int
    fields: tuple[Tensor, ...]
    noise: dict[str, Tensor]
    before: dict[str, Tensor]
    stray: list[str]
    steps: list[dict[int, Tensor | None]]


@dataclass(frozen=True)
class _Watching(Engine):
    """An engine that notes what each loss was called with."""

    watch: Any = None

    @classmethod
    def of(cls, model: Model, turns: list[Turn], log: list[_Played]) -> "_Watching":
        def watch(turn: Turn, given: tuple[Tensor, ...], draws: dict[str, Tensor]) -> Terms:
            log.append(_Played(turns.index(turn), given, draws, _snapshot(model), [], []))
            terms = turn.loss(*given, **draws)
            log[-1].stray = _with_gradients(model)
            return terms

        return cls(torch.device("cpu"), "float64", watch=watch)

    def loss(self, turn: Turn) -> Callable[..., Terms]:
        return lambda *given, **draws: self.watch(turn, given, draws)


@dataclass(frozen=True)
class _Recorded(Optimiser):
    """Plain gradient descent that notes the gradients it is given."""

    log: Any = None

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        log, lr = self.log, cast(float, self.lr)

        class Recording(torch.optim.Optimizer):
            @torch.no_grad()
            def step(self, closure: Any = None) -> Any:
                own = [p for group in self.param_groups for p in group["params"]]
                log[-1].steps.append({id(p): None if p.grad is None else p.grad.clone() for p in own})
                for p in own:
                    if p.grad is not None:
                        p.copy_(p - lr * p.grad)

        return Recording(list(parameters), {})


def _trainer(
    case: Case,
    model: Model,
    optimisers: Mapping[str, Mover],
    engine: Engine,
    rows: int,
    average: float | None = None,
) -> Trainer:
    data = cast(Data, _Rows(case.batch))
    return Trainer(
        model, data, optimisers, batch_size=rows, streams=Streams(0), engine=engine, average=average
    )


def _objective(turn: Turn, move: Move, terms: Terms) -> Tensor:
    """Σ weight · mean of term: what a move lowers."""
    weights = move.weights or dict.fromkeys(terms, 1.0)
    if absent := [name for name in weights if name not in terms]:
        raise ContractBroken(
            "own-players",
            f"weights of terms that {turn.name} returns: {', '.join(terms)}",
            f"a weight of {', '.join(absent)}",
            "correct the name in turns()",
        )
    return sum((at(w, STEP) * terms[name].mean() for name, w in weights.items()), torch.zeros(()))


def _same_gradients(
    model: Model, turn: Turn, move: Move, terms: Terms, applied: Mapping[str, Tensor | None]
) -> None:
    objective, ids = _objective(turn, move, terms), {id(p) for p in _trainable(move)}
    own = {name: p for name, p in model.named_parameters() if id(p) in ids}
    gradients = torch.autograd.grad(objective, list(own.values()), retain_graph=True, allow_unused=True)
    for (name, p), gradient in zip(own.items(), gradients, strict=True):
        wanted = torch.zeros_like(p) if gradient is None else gradient
        given = applied[name]
        given = torch.zeros_like(p) if given is None else given
        size = float(wanted.abs().max()) if wanted.numel() else 0.0
        off = float((given - wanted).norm() / (wanted.norm() + 1e-300))
        if not torch.allclose(given, wanted, rtol=1e-7, atol=1e-10 * size + 1e-14):
            raise ContractBroken(
                "own-players",
                f"{name} gets the gradient of what {turn.name} gives {_names(model, move)} to lower",
                f"one that is off by {off:.2g} of its length",
                "keep every other player's objective out of it",
            )


def _trainable(move: Move) -> list[nn.Parameter]:
    return [p for player in move.players for p in player.parameters() if p.requires_grad]


def _names(model: Model, move: Move) -> str:
    players = {id(player) for player in move.players}
    return " and ".join(name for name, module in model.named_modules() if id(module) in players)


# Tiled data


class _Half(nn.Module):
    """A network that sees the first half of each example's last dimension."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, *more: Tensor) -> Any:
        return self.net(x[..., : x.shape[-1] // 2], *more)


class _Twice(nn.Module):
    """A network whose output, a tensor or a distribution over examples of a width, stands there twice."""

    def __init__(self, net: nn.Module, width: int) -> None:
        super().__init__()
        self.net, self.width = net, width

    def forward(self, z: Tensor) -> Any:
        out = self.net(z)
        return self._tiled(out) if isinstance(out, Tensor) else type(out)(*map(self._tiled, out))

    def _tiled(self, t: Tensor) -> Tensor:
        whole = t.dim() > 1 and t.shape[-1] == self.width
        return torch.cat([t, t], -1) if whole else t


def _distortion_doubles(case: Case) -> None:
    """Tested where an encoder and a decoder can be given tiled data, and no noise has the data's shape."""
    model, batch = case.copy(torch.float64), case.fields(torch.float64)
    encoder, decoder = getattr(model, "encoder", None), getattr(model, "decoder", None)
    if not (isinstance(encoder, nn.Module) and isinstance(decoder, nn.Module)):
        return
    if not isinstance(batch.get("x"), Tensor):  # bags have no last dimension to tile
        return
    draws = case.noise(0, dtype=torch.float64)
    # A loss of ids says in another way that two lengths do not fit.
    refusals = RuntimeError if batch["x"].is_floating_point() else (RuntimeError, ValueError)
    losses = [turn.loss for turn in model.turns()]
    once = [_call(loss, batch, draws).get("distortion") for loss in losses]
    model.encoder, model.decoder = _Half(encoder), _Twice(decoder, batch["x"].shape[-1])
    tiled = batch | {"x": torch.cat([batch["x"], batch["x"]], -1)}
    for loss, single in zip(losses, once, strict=True):
        if single is None or any(draws[name].shape == batch["x"].shape for name in asks(loss).noise):
            continue
        try:
            double = _call(loss, tiled, draws)["distortion"]
        except refusals:  # networks that cannot take the wider data: nothing to be tested
            continue
        if not torch.allclose(double, 2 * single, rtol=1e-7, atol=1e-9):
            raise ContractBroken(
                "scale",
                f"{loss.__name__}: the distortion of data tiled twice is doubled",
                f"{_brief(double.detach())} for {_brief(single.detach())}",
                "sum the distortion over data dimensions, in nats; take no mean over them",
            )


# Small tools


def _with_gradients(model: Model) -> list[str]:
    return [name for name, p in model.named_parameters() if p.grad is not None]


def _cast(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    x = x.detach().cpu()
    return x.to(dtype) if dtype is not None and x.is_floating_point() else x


def _first_row_from(x: Tensor, row: Tensor) -> Tensor:
    return torch.cat([row[None], x[1:]])


def _snapshot(model: Model) -> dict[str, Tensor]:
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: t.detach().clone() for name, t in tensors.items()}


@torch.no_grad()
def _load(model: Model, tensors: Mapping[str, Tensor]) -> None:
    for name, t in {**dict(model.named_parameters()), **dict(model.named_buffers())}.items():
        t.copy_(tensors[name])


def _changed(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that are not bitwise the same; of all that one of the two lacks."""
    return [
        name
        for name in sorted(a.keys() | b.keys())
        if name not in a or name not in b or not _bitwise(a[name], b[name])
    ]


def _bitwise(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a == b) | (a.isnan() & b.isnan())).all())


@torch.no_grad()
def _shaken(model: Model) -> Model:
    """The model off its initial weights, where zeros may hide that something matters."""
    generator = torch.Generator().manual_seed(0)
    for p in model.parameters():
        p += 0.05 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return model


def _unit(p: Tensor, generator: torch.Generator) -> Tensor:
    d = torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return d / d.norm()


@contextmanager
def _along(parameters: list[nn.Parameter], direction: list[Tensor], step: float) -> Iterator[None]:
    """The parameters a step further in a direction, and back."""
    old = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for p, d in zip(parameters, direction, strict=True):
            p += step * d
    try:
        yield
    finally:
        with torch.no_grad():
            for p, value in zip(parameters, old, strict=True):
                p.copy_(value)


def _global_states() -> dict[str, object]:
    _, keys, position, gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 - it is watched
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (np.asarray(keys).tobytes(), position, gauss, cached),
        "Python": random.getstate(),
    }


@contextmanager
def _ambient_seeded() -> Iterator[None]:
    """The global generators at a fixed seed, and then back as they were."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def _brief(x: Tensor) -> str:
    return f"{x.flatten()[:3].tolist()} of shape {tuple(x.shape)}"
