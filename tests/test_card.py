"""The card: it validates, says what the code says, disturbs nothing, and can be read in a terminal."""

import io
from dataclasses import replace

import pytest
import torch
from rich.cells import cell_len
from rich.console import Console
from torch import Tensor, nn

from reparam import build, registry
from reparam.card import UNDOCUMENTED, card, render_terminal
from reparam.data.text import SPECIALS, Writing
from reparam.errors import ReparamError
from reparam.model import Model, Move, Terms, Turn
from reparam.noise import Normal, Permutation, Source, Uniform
from reparam.registry import DataFacts
from reparam.report import cards
from reparam.report.schema import Card, NoiseCard
from reparam.schedules import Ramp

IMAGE = DataFacts("images", "image", (1, 12, 12), "grey", ("a", "b"), 100, ("images", "others"))
VECTOR = DataFacts("vectors", "vector", (3,), "real", None, 100)
SIDE = (*SPECIALS, "one", "other"), Writing()
TEXT = DataFacts("lines", "tokens", (8,), "tokens", None, 100, vocabulary=SIDE[0], writing=SIDE[1])
PAIRS = replace(
    TEXT, domains=("one", "another"), aligned=True, other_vocabulary=SIDE[0], other_writing=SIDE[1]
)
BAGS = DataFacts("tastes", "bag", (8,), "counts", None, 100, vocabulary=tuple("abcdefgh"))
RATINGS = replace(BAGS, levels="ratings")


def fitting(name: str) -> tuple[DataFacts, Model]:
    """The first of these data that a recipe takes, and its model, small."""
    small = {"width": 16} if "width" in registry.settings(name) else {}
    for about in (IMAGE, replace(IMAGE, labelled=10), TEXT, PAIRS, BAGS, RATINGS):
        try:
            model = registry.recipe(name)(about, **small).model
        except ReparamError:
            continue
        if about.kind in model.takes:
            return about, model
    raise AssertionError(f"{name} takes none of these data")


def model_of(name: str, about: DataFacts = IMAGE, **settings: object) -> Model:
    small = {"width": 16} if "width" in registry.settings(name) else {}
    return registry.recipe(name)(about, **small, **settings).model


def card_of(name: str, about: DataFacts | None = None, **settings: object) -> Card:
    if about is None and not settings:
        about, model = fitting(name)
        return card(model, about.shape, kind=about.kind)
    about = about or IMAGE
    return card(model_of(name, about, **settings), about.shape)


def source(made: Card, name: str) -> NoiseCard:
    return next(each for each in made.noise if each.name == name)


def text(made: Card, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render_terminal(made))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("name", registry.recipes())
def test_every_recipe_has_a_whole_card(name: str) -> None:
    made = card_of(name)
    assert Card.model_validate_json(made.model_dump_json()) == made
    assert made.flow
    assert made.paper
    assert all(loss.summary for loss in made.losses)
    formulas = {f"{loss.name}.{t}": f for loss in made.losses for t, f in loss.terms.items()}
    assert UNDOCUMENTED not in formulas.values(), formulas
    for player in made.players:
        assert player.parameters > 0
        assert player.shapes, player.name
    # Every source enters something.
    assert all(each.enters for each in made.noise)


@pytest.mark.parametrize("name", registry.recipes())
def test_readable_at_80_columns_in_three_parts(name: str) -> None:
    shown = text(card_of(name))
    assert max(map(cell_len, shown.splitlines())) <= 80
    heads = [shown.index(h) for h in ("1. Structure and training flow", "2. Loss", "3. Randomness")]
    assert heads == sorted(heads)


def test_vectors() -> None:
    made = card_of("vae", VECTOR)
    assert made.players[0].shapes[-1].output == "Gaussian: mean (32), log_std (32)"
    assert made.players[1].shapes[-1].output == "Gaussian: mean (3), log_std shared"


def test_nothing_is_disturbed() -> None:
    model = model_of("vae-gan")
    before = {name: t.clone() for name, t in model.state_dict().items()}
    torch.manual_seed(1)
    state = torch.get_rng_state()
    card(model, IMAGE.shape)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_repeats_weights_and_conditions() -> None:
    made = card_of("wgan-gp", penalty=7.0)
    assert made.turns[0].repeats == 5
    assert made.turns[0].moves[0].lowers == {"real": "1", "fake": "1", "penalty": "7"}
    assert "fresh for each of its 5 repetitions" in source(made, "z_fake").redrawn
    moves = card_of("vae-gan").turns[0].moves
    assert moves[0].players == ["encoder"]
    assert moves[0].when is None
    assert moves[1].players == ["decoder"]
    assert "while the discriminator loses" in (moves[1].when or "")
    assert moves[1].lowers["generated"] == "-0.5"


def test_a_move_that_samples_says_so_and_what_it_draws() -> None:
    recipe = registry.recipe("bayesian-decoder")(VECTOR, width=16)
    made = card(recipe.model, VECTOR.shape, movers=recipe.optimisers, examples=100)
    (move,) = made.turns[0].moves
    assert move.sampled == "Metropolis–Hastings, langevin, tests of 50 examples or more"
    assert "decoder is sampled by exp(−N · (surprise + 0.01·prior))" in text(made)
    assert "is sampled by exp" in cards._turn(made.turns[0])
    assert source(made, "rows").law == "uniform over 100 categories, shape scalar"
    assert source(made, "proposal").enters == ["the chain of negative_log_joint"]
    assert card(recipe.model, VECTOR.shape).turns[0].moves[0].sampled is None


def test_noise_says_where_when_and_at_evaluation() -> None:
    made = card_of("vae")
    eps, z = source(made, "eps"), source(made, "z")
    assert eps.enters == ["negative_elbo", "score", "log_weights"]
    assert eps.redrawn == "every step"
    assert "the score's seed" in eps.evaluation
    assert z.enters == ["sample"]
    assert z.redrawn == "never in training"
    assert z.evaluation == "drawn for every sample"
    assert source(card_of("aae", posterior="gaussian"), "eps").redrawn.endswith(
        "one draw serves reconstruction, discrimination and deception"
    )
    assert source(card_of("aae"), "eps").redrawn == "nothing to draw"


def test_noise_of_the_data() -> None:
    system = build("vae", "digits", width=16)
    noise = {"binarise": Uniform((1, 28, 28))}
    made = card(system.model, system.data.shape, data_noise=noise, examples=8000)
    assert [each.name for each in made.noise] == ["eps", "z", "binarise", "order", "weights"]
    assert "fixed seed" in source(made, "binarise").evaluation
    assert source(made, "order").law == "uniform permutation of 8000"


def test_state_is_shown_and_not_lowered() -> None:
    made = card_of("sigma-vae")
    assert "variance" not in made.turns[0].moves[0].lowers
    assert made.losses[0].terms["variance"].startswith("(state, not lowered")


class Odd(Model):
    """x ─net→ y, by foreign code"""

    name, paper = "odd", "nobody"

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))

    def turns(self) -> list[Turn]:
        move = Move(self.net, weights={"a": Ramp(10)}, when=self.may_move)
        return [Turn(move, lowers=self.loss)]

    def may_move(self, means: object) -> bool:
        """On odd days."""
        return True

    def loss(self, x: Tensor, y: Tensor, *, shuffle: Tensor) -> Terms:
        """Squares.

        a = net(x)²
        """
        return {"a": self.net(x + torch.rand(())).square().sum(1), "b": y.float()}

    def noise(self) -> dict[str, Source]:
        return {"shuffle": Permutation(size=4), "unused": Normal((1,))}

    def sample(self) -> Tensor:
        return torch.zeros(1, 3)


def test_foreign_code_schedules_labels_and_shared_noise() -> None:
    model = Odd()
    state = torch.get_rng_state()
    made = card(model, (3,))
    assert torch.equal(state, torch.get_rng_state())
    net = model.net[1]
    assert isinstance(net, nn.BatchNorm1d)
    assert net.running_mean is not None
    assert net.running_mean.eq(0).all()
    assert made.turns[0].moves[0].players == ["net"]
    assert made.turns[0].moves[0].when == "On odd days."
    assert "On odd days." in text(made)
    assert "On odd days." in cards._turn(made.turns[0])
    assert made.turns[0].moves[0].lowers == {"a": "Ramp(steps=10, start=0.0, end=1.0)"}
    assert made.losses[0].terms == {"a": "net(x)²", "b": UNDOCUMENTED}
    assert source(made, "shuffle").law.endswith("one for the whole batch")
    assert source(made, "unused").enters == []
    assert "enters      nothing" in text(made)
