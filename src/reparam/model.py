"""What a model is: a game. Players (networks) take turns; a turn lowers a loss over its players alone.

A VAE is one turn with two players, a GAN two turns with one each. When players move simultaneously,
from one shared forward pass, the turn has several moves, and each says which terms it lowers.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from reparam.noise import Source
from reparam.schedules import Weight

Terms = dict[str, Tensor]
Loss = Callable[..., Terms]


class Move:
    """Some players lower some terms.

    `weights` names exactly the terms that are lowered, each with a number or a schedule of the step;
    None lowers every term with weight 1. `when`, given the batch means of all the turn's terms, says
    whether the move is made at this step.
    """

    def __init__(
        self,
        *players: nn.Module,
        weights: Mapping[str, Weight] | None = None,
        when: Callable[[Mapping[str, float]], bool] | None = None,
    ) -> None:
        self.players = players
        self.weights = weights
        self.when = when


class Turn:
    """One evaluation of a loss, and the moves made from it.

    `Turn(a, b, lowers=loss)` is one move of two players. `Turn(Move(a), Move(b), lowers=loss)` is two
    moves made simultaneously: all gradients are taken at one point before anyone steps.
    `repeat` plays the turn several times a step, each on a fresh batch with fresh noise.
    `second_order` says that the loss contains a gradient (a gradient penalty).
    """

    def __init__(
        self,
        *who: nn.Module | Move,
        lowers: Loss,
        weights: Mapping[str, Weight] | None = None,
        repeat: int = 1,
        second_order: bool = False,
    ) -> None:
        moves = tuple(each for each in who if isinstance(each, Move))
        players = tuple(each for each in who if isinstance(each, nn.Module))
        if bool(moves) == bool(players) or (moves and weights is not None):
            raise TypeError("a turn takes either players (and weights), or moves that have their own")
        self.loss = lowers
        self.moves = moves or (Move(*players, weights=weights),)
        self.repeat = repeat
        self.second_order = second_order

    @property
    def name(self) -> str:
        """The loss's name."""
        return self.loss.__name__


@dataclass(frozen=True)
class Average:
    """A running average of what the loss proposes for each example, (n, *buffer's shape).

    decay · old + (1 − decay) · the mean over the joint batch of all processes.
    """

    decay: float = 0.99

    @property
    def formula(self) -> str:
        """The rule in words, for the card."""
        return f"{self.decay:g} · old + {1 - self.decay:g} · the batch's"


@dataclass(frozen=True)
class Replace:
    """The proposal, of the buffer's own shape, is the new value: the first process's, for all.

    One that is made of the batch is made of the joint one, by `coupling.gather`.
    """

    @property
    def formula(self) -> str:
        """The rule in words, for the card."""
        return "what the loss proposes takes its place"


Rule = Average | Replace


class Model(nn.Module):
    """A generative model: its players, its turns and losses, and its randomness; nothing else.

    A loss is a method. Its positional arguments name fields of the batch (`x`, `y`), its keyword-only
    arguments the noise it asks for. It returns unweighted per-example terms (n,), and under the name of
    a declared state what it proposes for it. The first line of its docstring cites the paper; lines
    `term = formula` are the terms of the card.

    Optional abilities, found by their presence: `sample(*, …)` → data made from the noise it asks for,
    `encode(x)` → codes, `decode(z)` → data, `translate(x, *, …)` → the other domain's data, `style_of(other)`
    → what takes the place of its noise for an example's look, `translate_back` and `style_of_back`,
    `rank(x)` → (n, items) larger for what is rather chosen next, `impute(x, *, eps)` and
    `impute_once(x, *, …)` → x with the missing filled in, by its expectation and by a draw,
    `score(x, *, …)` → (n,) larger for more typical data; for a likelihood `log_weights(x, *, eps)` →
    (n, k) log importance weights, `log_joint(x, z)` → (n, k) log p(x, z), `log_prob(x)` → (n,) exact; for
    discrete codes `indices(x)` → their numbers, `elbo(x)` → (n,) the bound, which needs no draws, and
    `likelihood(x)` → p(·|z) at the code of x; `prior_law()` → the law of codes that the noise of samples is
    pushed through, where it is not N(0, I).
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    takes: ClassVar[tuple[str, ...]] = ("image", "vector")
    couples_batch: ClassVar[bool] = False
    takes_missing: ClassVar[bool] = False  # x may hold NaN, which marks what was not observed

    def turns(self) -> list[Turn]:
        """The turns of one step, in order."""
        raise NotImplementedError

    def noise(self) -> dict[str, Source]:
        """Every source of randomness of the model. Each is drawn once a step."""
        raise NotImplementedError

    def state(self) -> Mapping[str, Rule]:
        """What changes outside the gradient: names of buffers, and how each takes a proposal."""
        return {}


class Asks(NamedTuple):
    """What a function asks for: fields of the batch, and sources of noise."""

    fields: tuple[str, ...]
    noise: tuple[str, ...]


def asks(function: Callable[..., Any]) -> Asks:
    """Read off the signature: positional arguments are fields, keyword-only ones are noise."""
    return _asks(getattr(function, "__func__", function), hasattr(function, "__self__"))


@cache
def _asks(function: Callable[..., Any], bound: bool) -> Asks:
    parameters = list(inspect.signature(function).parameters.values())[bound:]
    return Asks(
        tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD),
        tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY),
    )


def player_names(model: Model) -> dict[str, nn.Module]:
    """The modules that move in some turn, by the name of their attribute."""
    moving = {id(player) for turn in model.turns() for move in turn.moves for player in move.players}
    return {name: module for name, module in model.named_modules() if id(module) in moving}


def move_name(model: Model, turn: Turn, move: Move) -> str:
    """`loss`, or `loss.player` where several moves are made from one loss: the key of its optimiser."""
    if len(turn.moves) == 1:
        return turn.name
    names = {id(module): name for name, module in player_names(model).items()}
    return f"{turn.name}.{'+'.join(names[id(player)] for player in move.players)}"
