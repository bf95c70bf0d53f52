"""The card of a model: its structure and training flow, its losses, its randomness; read off the model.

Nothing is typed twice. Structure comes from running the model's own losses once on two examples, formulas
from the losses' docstrings, and the place of each source of noise from the signatures that ask for it.
"""

import copy
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from torch import Tensor, nn

from reparam.data import Kind
from reparam.data.bags import Bags
from reparam.model import Model, Move, Turn, asks, move_name, player_names
from reparam.noise import Dirac, Permutation, Source, Streams
from reparam.report.schema import Card, Layer, LossCard, NoiseCard, Player, TurnCard
from reparam.report.schema import Move as MoveCard
from reparam.samplers import MetropolisHastings, Mover
from reparam.schedules import Weight

ROWS = 2  # examples in the trial batch
# Abilities that ask for noise.
DRAWING = ("sample", "translate", "translate_back", "score", "log_weights", "impute", "impute_once")
UNDOCUMENTED = "(its loss gives no formula)"
DATA_NOISE = {  # law, where it enters, and what stands for it at evaluation
    "labelled": ("training batches: which example with a known label", "not drawn"),
    "partner": ("training batches: which example of the second domain", "not drawn: rows keep their order"),
    "flip_other": (
        "training batches: the second domain's picture is mirrored where it is 1",
        "not drawn: nothing is mirrored",
    ),
    "flip": ("training batches: x is mirrored where it is 1", "not drawn: nothing is mirrored"),
    "binarise": (
        "training batches: x = 1 where the draw lies below the grey level",
        "not drawn: validation and test were binarised once, by a fixed seed",
    ),
}


def card(
    model: Model,
    shape: tuple[int, ...],
    *,
    movers: Mapping[str, Mover] | None = None,
    data_noise: Mapping[str, Source] | None = None,
    examples: int | None = None,
    batch: Mapping[str, Tensor] | None = None,
    kind: Kind | None = None,
) -> Card:
    """The card of a model for data of this shape.

    Args:
        model: any model; it is copied, and neither it nor any global generator is touched.
        shape: of one example.
        movers: how its moves are made, by their names or `default`: which players are sampled.
        data_noise: the sources that the data draw, `Data.noise()`.
        examples: in the training data.
        batch: fields of two examples, where x of zeros (and y, class 0) is not something the losses take.
        kind: of the data; if not given, the first that the model takes.
    """
    layers, terms = _trial(model, shape, kind or model.takes[0], batch or {})
    made_of = type(model)
    module = inspect.getdoc(sys.modules.get(made_of.__module__)) or made_of.__name__
    return Card(
        name=made_of.name,
        title=_title(_first_line(module)),
        paper=made_of.paper,
        flow=_flow(model),
        players=[
            Player(
                name=name,
                description=type(player).__name__,
                shapes=layers[name],
                parameters=sum(p.numel() for p in player.parameters()),
            )
            for name, player in player_names(model).items()
        ],
        turns=[
            _turn(model, turn, [t for t in terms[turn.name] if t not in model.state()], movers or {})
            for turn in model.turns()
        ],
        losses=[_loss(model, turn, terms[turn.name]) for turn in _distinct(model)],
        noise=[
            *(_source(model, name, source) for name, source in model.noise().items()),
            *_of_chains(model, movers or {}, examples),
            *_around(model, data_noise or {}, examples),
        ],
        takes=list(made_of.takes),
    )


def render_terminal(card: Card) -> RenderableType:
    """The card in three headed parts, readable at 80 columns."""
    parts: list[RenderableType] = [
        Text.assemble((card.name, "bold"), "  ", card.title),
        Text(card.paper, "dim"),
    ]
    parts += [_heading("1. Structure and training flow"), Text(card.flow, "italic"), Text()]
    for number, turn in enumerate(card.turns, 1):
        parts += _turn_lines(number, turn)
    for player in card.players:
        parts += [Text(), *_player_lines(player)]
    parts.append(_heading("2. Loss"))
    for i, loss in enumerate(card.losses):
        if i:
            parts.append(Text())
        parts += [Text(loss.name, "bold"), _indented(Text(loss.summary, "dim"))]
        parts.append(_indented(_columns((f"{term} =", formula) for term, formula in loss.terms.items())))
    parts.append(_heading("3. Randomness"))
    for i, source in enumerate(card.noise):
        if i:
            parts.append(Text())
        parts.append(Text.assemble((source.name, "bold"), " ~ ", source.law))
        facts = (
            ("enters", ", ".join(source.enters) or "nothing"),
            ("redrawn", source.redrawn),
            ("evaluation", source.evaluation),
        )
        parts.append(_indented(_columns(facts)))
    return Group(*parts)


def brief(model: Model) -> dict[str, list[str]]:
    """The three points in a few lines, from declarations and docstrings alone: no network is run."""
    flow, losses = [_flow(model)], []
    for turn in _distinct(model):
        formulas = _formulas(turn)
        card = _turn(model, turn, [term for term in formulas if term not in model.state()], {})
        times = f" ({turn.repeat} times a step)" if turn.repeat > 1 else ""
        flow += [f"{turn.name}{times}: {', '.join(move.players)} {_lowers(move)}" for move in card.moves]
        losses += [f"{term} = {formula}" for term, formula in formulas.items()]
    noise = [f"{name} ~ {source.law}" for name, source in model.noise().items()]
    return {"Structure and training flow": flow, "Loss": losses, "Randomness": noise or ["none"]}


# Structure: one trial of every loss, on a copy


def _trial(
    model: Model, shape: tuple[int, ...], kind: str, batch: Mapping[str, Tensor]
) -> tuple[dict[str, list[Layer]], dict[str, list[str]]]:
    """The layers of each player in the order of their first use, and the terms of each loss."""
    model = copy.deepcopy(model).cpu().eval()
    like = next((p for p in model.parameters()), torch.zeros(()))
    zeros = torch.zeros(ROWS, *shape, dtype=torch.int64 if kind == "tokens" else like.dtype)
    given: dict[str, Any] = {
        "x": Bags.of([[0]] * ROWS, shape[0]).to(like.dtype) if kind == "bag" else zeros,
        "y": torch.zeros(ROWS, dtype=torch.int64),
        "user": torch.zeros(ROWS, dtype=torch.int64),
        "other": zeros,
        "x_labelled": zeros,
        "y_labelled": torch.zeros(ROWS, dtype=torch.int64),
        **batch,
    }
    sources, streams = model.noise(), Streams(0)
    terms: dict[str, list[str]] = {}
    # Foreign code may draw (dropout): the global generators are put back as they were.
    with streams.ambient("card"), torch.enable_grad(), _watched(model) as layers:
        for turn in model.turns():
            wants = asks(turn.loss)
            noise = {name: streams.draw(name, sources[name], ROWS, 0) for name in wants.noise}
            noise = {name: u.to(like.dtype) if u.is_floating_point() else u for name, u in noise.items()}
            terms[turn.name] = list(turn.loss(*(given[name] for name in wants.fields), **noise))
    return layers, terms


@contextmanager
def _watched(model: Model) -> Iterator[dict[str, list[Layer]]]:
    """Notes the output shapes of the players' layers: of each leaf, and of all that return a distribution."""
    layers: dict[str, list[Layer]] = {name: [] for name in player_names(model)}
    hooks, seen = [], set()
    outputs: list[Any] = []  # kept alive, so that no id is used twice

    def note(player: str, module: nn.Module, output: Any) -> None:
        leaf = not any(True for _ in module.children())
        named = (
            isinstance(output, tuple) and hasattr(output, "_fields") and id(output) not in map(id, outputs)
        )
        if (player, id(module)) not in seen and (leaf or named):
            layers[player].append(Layer(layer=_layer_name(module), output=_shape(output)))
        seen.add((player, id(module)))
        outputs.append(output)

    for name, player in player_names(model).items():
        for module in player.modules():
            hooks.append(module.register_forward_hook(lambda m, _, out, player=name: note(player, m, out)))
    try:
        yield layers
    finally:
        for hook in hooks:
            hook.remove()


def _layer_name(module: nn.Module) -> str:
    """The class, and of a convolution what its output shape does not say."""
    size, stride = getattr(module, "kernel_size", None), getattr(module, "stride", None)
    name = type(module).__name__
    if isinstance(size, tuple):
        name += " " + "×".join(map(str, size))
    if isinstance(stride, tuple) and any(s != 1 for s in stride):
        name += f", stride {stride[0]}"
    return name


def _shape(output: Any) -> str:
    """The shape for one example."""
    if isinstance(output, Tensor):
        return "(" + ", ".join(map(str, output.shape[1:])) + ")" if output.dim() > 1 else "scalar"
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        parts = zip(output._fields, output, strict=True)  # pyright: ignore[reportAttributeAccessIssue]
        inside = ", ".join(f"{name} {_field_shape(value)}" for name, value in parts)
        return f"{type(output).__name__}: {inside}"
    if isinstance(output, (tuple, list)):
        return ", ".join(_shape(each) for each in output)
    return type(output).__name__


def _field_shape(value: Any) -> str:
    # A distribution's field without rows is shared by all examples, like a learned σ.
    if isinstance(value, Tensor) and (value.dim() == 0 or value.shape[0] != ROWS):
        return "shared"
    return _shape(value)


# Turns and losses


def _turn(model: Model, turn: Turn, terms: list[str], movers: Mapping[str, Mover]) -> TurnCard:
    names = {id(module): name for name, module in player_names(model).items()}
    moves = [
        _move(move, terms, names, movers.get(move_name(model, turn, move), movers.get("default")))
        for move in turn.moves
    ]
    return TurnCard(name=turn.name, repeats=turn.repeat, moves=moves)


def _move(move: Move, terms: list[str], names: Mapping[int, str], mover: Mover | None) -> MoveCard:
    weights = move.weights or dict.fromkeys(terms, 1.0)
    when = move.when and _first_line(inspect.getdoc(move.when) or move.when.__name__)
    return MoveCard(
        players=[names[id(player)] for player in move.players],
        lowers={term: _weight(weight) for term, weight in weights.items()},
        sampled=mover.words if isinstance(mover, MetropolisHastings) else None,
        when=when,
    )


def _weight(weight: Weight) -> str:
    if not callable(weight):
        return f"{weight:g}"
    return weight.__name__ if inspect.isroutine(weight) else repr(weight)


def _distinct(model: Model) -> list[Turn]:
    return list({turn.name: turn for turn in model.turns()}.values())


def _loss(model: Model, turn: Turn, terms: list[str]) -> LossCard:
    formulas = _formulas(turn)
    for name, rule in model.state().items():
        formulas[name] = f"(state, not lowered: {rule.formula})"
    return LossCard(
        name=turn.name,
        summary=_first_line(inspect.getdoc(turn.loss) or ""),
        terms={term: formulas.get(term, UNDOCUMENTED) for term in terms},
    )


def _formulas(turn: Turn) -> dict[str, str]:
    return dict(re.findall(r"^(\w+) = (.+)$", inspect.getdoc(turn.loss) or "", re.MULTILINE))


def _flow(model: Model) -> str:
    """The first paragraph of the class's docstring, on one line."""
    return " ".join((inspect.getdoc(type(model)) or "").split("\n\n", 1)[0].split())


def _title(line: str) -> str:
    words = re.sub(r"^(The|A|An) ", "", line).rstrip(".")
    return words[:1].upper() + words[1:]


def _first_line(doc: str) -> str:
    return doc.strip().split("\n", 1)[0]


# Randomness


def _source(model: Model, name: str, source: Source) -> NoiseCard:
    turns = [turn for turn in model.turns() if name in asks(turn.loss).noise]
    asking = [ability for ability in DRAWING if _asked_by(model, ability, name)]
    return NoiseCard(
        name=name,
        law=source.law + (", one for the whole batch" if source.shared else ""),
        enters=[*dict.fromkeys(turn.name for turn in turns), *asking],
        redrawn="nothing to draw" if isinstance(source, Dirac) else _redrawn(turns),
        evaluation=_at_evaluation(asking),
    )


def _asked_by(model: Model, ability: str, name: str) -> bool:
    function = getattr(model, ability, None)
    return function is not None and name in asks(function).noise


def _redrawn(turns: list[Turn]) -> str:
    if not turns:
        return "never in training"
    words = "every step"
    repeats = max(turn.repeat for turn in turns)
    if repeats > 1:
        words += f", fresh for each of its {repeats} repetitions"
    if len(turns) > 1:
        *most, last = (turn.name for turn in turns)
        words += f"; one draw serves {', '.join(most)} and {last}"
    return words


def _at_evaluation(asking: list[str]) -> str:
    words = {
        "sample": "drawn for every sample",
        "translate": "drawn for every translation",
        "translate_back": "drawn for every translation back",
        "score": "drawn with the score's seed",
        "log_weights": "k draws an example for the likelihood",
        "impute": "k draws an example for an imputation",
        "impute_once": "drawn for a single imputation",
    }
    return "; ".join(words[ability] for ability in asking) or "not drawn"


def _of_chains(model: Model, movers: Mapping[str, Mover], examples: int | None) -> Iterator[NoiseCard]:
    """What is random in moves that sample."""
    for turn in model.turns():
        for move in turn.moves:
            name = move_name(model, turn, move)
            mover = movers.get(name, movers.get("default"))
            if isinstance(mover, MetropolisHastings):
                weights = sum(p.numel() for player in move.players for p in player.parameters())
                for source, law in mover.noise(weights, examples or 1).items():
                    yield NoiseCard(
                        name=source,
                        law=law.law if examples or source != "rows" else "uniform over the training examples",
                        enters=[f"the chain of {name}"],
                        redrawn="every step",
                        evaluation="not drawn",
                    )


def _around(model: Model, data_noise: Mapping[str, Source], examples: int | None) -> Iterator[NoiseCard]:
    """What is random around the model: the data's noise, their order and the initial weights."""
    repeats = max(turn.repeat for turn in model.turns())
    batches = "every step" + (f", fresh for each of the step's {repeats} batches" if repeats > 1 else "")
    for name, source in data_noise.items():
        enters, evaluation = DATA_NOISE.get(name, ("training batches", "not drawn"))
        yield NoiseCard(name=name, law=source.law, enters=[enters], redrawn=batches, evaluation=evaluation)
    yield NoiseCard(
        name="order",
        law=Permutation(size=examples).law if examples else "uniform permutation of the training examples",
        enters=["which examples a batch holds"],
        redrawn="every epoch",
        evaluation="not drawn: rows in their order",
    )
    yield NoiseCard(
        name="weights",
        law="each layer's own initialisation",
        enters=["the initial weights"],
        redrawn="never: drawn once, before the first step",
        evaluation="not drawn",
    )


# The terminal


def _turn_lines(number: int, turn: TurnCard) -> Iterator[RenderableType]:
    repeats = f", {turn.repeats} times a step" if turn.repeats > 1 else ""
    together = ", moves made at once" if len(turn.moves) > 1 else ""
    yield Text.assemble(f"turn {number}  ", (turn.name, "bold"), repeats, together)
    for move in turn.moves:
        yield _indented(Text.assemble((", ".join(move.players), "cyan"), f" {_lowers(move)}"))
        if move.sampled:
            yield _indented(_indented(Text(move.sampled, "dim")))
        if move.when:
            yield _indented(_indented(Text(move.when, "dim")))


def _lowers(move: MoveCard) -> str:
    terms = " + ".join(_weighted(term, weight) for term, weight in move.lowers.items())
    terms = terms.replace("+ −", "− ")
    alone = len(move.players) == 1
    if move.sampled:
        return f"{'is' if alone else 'are'} sampled by exp(−N · ({terms}))"
    return f"{'lowers' if alone else 'lower'} {terms}"


def _weighted(term: str, weight: str) -> str:
    if weight == "1":
        return term
    return f"−{_weighted(term, weight[1:])}" if weight.startswith("-") else f"{weight}·{term}"


def _player_lines(player: Player) -> Iterator[RenderableType]:
    yield Text.assemble(
        (player.name, "bold cyan"), f"  {player.description}, {player.parameters:,} parameters"
    )
    yield _indented(_columns((layer.layer, layer.output) for layer in player.shapes))


def _columns(rows: Any) -> Table:
    """Two columns without lines; the second takes what is left of the width."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for left, right in rows:
        # Text, not a string: brackets such as U[0, 1) are no markup.
        table.add_row(Text(left), Text(right))
    return table


def _heading(words: str) -> RenderableType:
    return Padding(Rule(Text(words, "bold"), align="left", characters="─"), (1, 0, 0, 0))


def _indented(what: RenderableType) -> Padding:
    return Padding(what, (0, 0, 0, 2))
