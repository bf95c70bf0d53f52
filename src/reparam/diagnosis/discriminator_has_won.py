"""Has a discriminator become so sure that its opponent learns nothing from it any more?

Found by no model's or term's name: a discriminator is a player that returns one logit, or a map of them, for
an example. Its terms are those that change when its logits are set to 0, and their values at 0 are what it
pays when it cannot tell.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from reparam.diagnosis.case import Case, Evidence, State, Verdict
from reparam.model import Move, Turn, move_name, player_names
from reparam.optimisers import Optimiser
from reparam.schedules import at

NAME = "discriminator has won"
SURE = 0.1  # of what a discriminator pays that cannot tell: below it, it is right 93 times of 100
ROWS = 8  # of the log, for its first and last quarter to be means of several


def discriminator_has_won(case: Case) -> Verdict | None:
    """For adversarial games with a floor; a critic's difference has none, and it cannot be too good."""
    found = [verdict for name, player in _judges(case) if (verdict := _verdict(case, name, player))]
    worst = ("ill", "unclear", "well")
    return min(found, key=lambda verdict: worst.index(verdict.state)) if found else None


def _verdict(case: Case, name: str, judge: nn.Module) -> Verdict | None:
    now = case.terms()
    with _silenced(judge):
        silent = case.terms()
    touched = {term for term in now if not now[term].equal(silent[term])}
    own, others = _Side(), _Side()
    for turn in case.system.model.turns():
        for move in turn.moves:
            lowered = {term: w for term, w in _lowered(turn, move, now).items() if term in touched}
            if lowered:
                side = own if judge in move.players else others
                side.terms |= lowered
                side.moves.append(move_name(case.system.model, turn, move))
    unsure = {term: silent[term].mean().item() for term in own.terms}
    if not (own.terms and others.terms and case.log) or min(unsure.values()) <= 0:
        return None
    if len(case.log) < ROWS:
        words = f"{name}: the log has {len(case.log)} rows, too few to say."
        return Verdict(NAME, "unclear", words, (), ("Train longer.",))
    quarter = len(case.log) // 4
    first, last = case.log[:quarter], case.log[-quarter:]
    pays = {term: _mean(last, {term: 1.0}) for term in own.terms}
    if min(pays.values()) < 0:
        return None
    start, end = _mean(first, others.terms), _mean(last, others.terms)
    state: State = "well"
    if all(pays[term] < SURE * unsure[term] for term in pays):
        state = "ill" if end > start else "unclear"
    evidence = (
        *(Evidence(paid, f"{term}, last quarter; {unsure[term]:.3g} if it could not tell")
          for term, paid in pays.items()),
        Evidence(start, f"what its opponent lowers ({', '.join(others.terms)}), first quarter of the run"),
        Evidence(end, "the same, last quarter"),
    )  # fmt: skip
    heads = {
        "ill": f"{name} is sure of everything, and its opponent only loses",
        "unclear": f"{name} is sure of everything, but its opponent does not lose more and more",
        "well": f"{name} is not sure of everything",
    }
    losses = ", ".join(f"{term.split('.', 1)[1]} {paid:.2g}" for term, paid in pays.items())
    asked = ", ".join(sorted({f"{value:.2g}" for value in unsure.values()}))
    finding = (
        f"{heads[state]}: it pays {losses} ({asked} if it could not tell); its opponent's loss went from "
        f"{start:.3g} to {end:.3g}."
    )
    change = () if state == "well" else (
        f"Bring the learning rates together: {_rates(case, own)}, against {_rates(case, others)}.",
        "Or make the discriminator smaller, or take a critic with a gradient penalty, which cannot be too "
        "good (wgan-gp).",
    )  # fmt: skip
    return Verdict(NAME, state, finding, evidence, change)


@dataclass
class _Side:
    """What one side of the game lowers, with the weights of the first step, and the names of its moves."""

    terms: dict[str, float] = field(default_factory=dict)
    moves: list[str] = field(default_factory=list)


def _rates(case: Case, side: _Side) -> str:
    optimisers = case.system.recipe.optimisers
    rules = {name: optimisers.get(name) or optimisers["default"] for name in side.moves}
    lowering = {name: rule.lr for name, rule in rules.items() if isinstance(rule, Optimiser)}
    return ", ".join(f"{at(lr, 0):g} in `{name}`" for name, lr in lowering.items())


def _lowered(turn: Turn, move: Move, terms: Any) -> dict[str, float]:
    """The terms that a move lowers, `turn.term`, with the weights of the first step."""
    names = move.weights or {
        name.removeprefix(f"{turn.name}."): 1.0 for name in terms if name.startswith(f"{turn.name}.")
    }
    return {f"{turn.name}.{name}": at(weight, 0) for name, weight in names.items()}


def _mean(rows: list[dict[str, Any]], weights: dict[str, float]) -> float:
    return sum(w * row["terms"][term] for row in rows for term, w in weights.items()) / len(rows)


def _judges(case: Case) -> Iterator[tuple[str, nn.Module]]:
    """The players that return logits, and the names of their attributes."""
    logits: set[str] = set()
    players = player_names(case.system.model)

    def watch(name: str, output: Any) -> None:
        logit = output if isinstance(output, Tensor) else getattr(output, "logit", None)
        if logit is not None and _one_channel(logit) and tuple(logit.shape[1:]) != case.data.shape:
            logits.add(name)

    hooks = [
        player.register_forward_hook(lambda _, __, output, name=name: watch(name, output))
        for name, player in players.items()
    ]
    try:
        case.terms()
    finally:
        for hook in hooks:
            hook.remove()
    return ((name, player) for name, player in players.items() if name in logits)


def _one_channel(logit: Tensor) -> bool:
    return logit.dim() == 1 or logit.shape[1] == 1


@contextmanager
def _silenced(judge: nn.Module) -> Iterator[None]:
    """Its logits at 0, with their graph; the features that it may hand out too as they are."""

    def silence(_: nn.Module, __: Any, output: Any) -> Any:
        return 0 * output if isinstance(output, Tensor) else output._replace(logit=0 * output.logit)

    hook = judge.register_forward_hook(silence)
    try:
        yield
    finally:
        hook.remove()
