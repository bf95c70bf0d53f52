"""Every recipe against every clause of the contract; broken models, each caught by its clause; learning."""

import inspect
import random
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reparam
from reparam import contract, registry
from reparam.contract import ContractBroken
from reparam.data import Data, load
from reparam.distributions import Gaussian
from reparam.engine import Engine
from reparam.errors import ReparamError
from reparam.evaluate import other_examples
from reparam.evaluate_ranking import rating_errors
from reparam.losses import NON_SATURATING, squared_error
from reparam.model import Average, Model, Replace, Rule, Terms, Turn, asks
from reparam.models.autoencoder import Autoencoder
from reparam.models.vae import VAE
from reparam.nets import heads
from reparam.noise import Control, Normal, Source, Streams
from reparam.optimisers import Adam
from reparam.schedules import at
from reparam.system import System
from reparam.trainer import Trainer


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# Small data


def _data(kind: str, labels: int | None = None) -> Data:
    draw = np.random.default_rng(0)
    y = np.arange(60) % 3
    grey = draw.integers(0, 256, (60, 3, 13, 9)).astype(np.uint8)
    return load(
        {
            "vector": {"x": draw.normal(size=(60, 5)).astype(np.float32), "y": y},
            "bits": {"x": (draw.random((60, 6)) < 0.5).astype(np.float32)},
            "grey": {"x": grey[:, :1, :12, :].repeat(2, -1)[..., :12], "y": y},
            "binary": {"x": np.where(grey[:, :1] > 127, 255, 0).astype(np.uint8)},
            "colour": {"x": grey},
        }[kind],
        labels=labels,
    )


DATA = {kind: _data(kind) for kind in ("vector", "bits", "grey", "binary", "colour")}
REORDER = DATA["lines"] = load("reorder")
DATA |= {f"{kind}, few labels": _data(kind, labels=12) for kind in ("vector", "grey")}
DATA |= {
    f"{kind} pair": load(x := DATA[kind].train.x, to=x.flip(0)[:40]) for kind in ("vector", "grey", "colour")
}
holes = torch.rand(DATA["vector"].train.x.shape, generator=torch.Generator().manual_seed(0)) < 0.3
DATA["vector, holes"] = load(torch.where(holes, torch.nan, DATA["vector"].train.x), missing=True)
DATA["text"] = load([f"{a} {b} {n}" for a in "abcd" for b in "xy" for n in range(5)], min_count=1)
BAGS = {"user": np.arange(60).repeat(7), "item": np.arange(420) * 5 % 13}
DATA["bag"] = load(BAGS)
DATA["ratings"] = load({**BAGS, "rating": 1 + np.arange(420) % 5}, rated=True)
SIZES = {"width": 16, "latent": 3, "clusters": 4, "size": 24, "dim": 4, "blocks": 1}


def _small(name: str, kind: str, settings: dict) -> System:
    own = {k: v for k, v in SIZES.items() if k in registry.settings(name)}
    return reparam.build(name, DATA[kind], **own | settings)


def _takes(name: str, kind: str) -> bool:
    if kind not in DATA:
        return False
    try:
        _small(name, kind, {})
    except ReparamError:
        return False
    return True


PLAIN = ("vector", "grey", "text", "lines", "bag", "ratings")
KINDS = {
    name: next(
        found
        # Where nothing is missing, or all labels are known, some noise has nothing to do.
        for more in (", holes", ", few labels", "", " pair")
        if (found := [kind + more for kind in PLAIN if _takes(name, kind + more)])
    )
    for name in registry.recipes()
}

VARIANTS = [
    *((name, kind, {}) for name, kinds in KINDS.items() for kind in kinds),
    *(
        ("vae", "grey", {"likelihood": law})
        for law in ("gaussian", "learned-gaussian", "continuous-bernoulli", "discretised-logistic")
    ),
    ("vae", "binary", {"likelihood": "bernoulli"}),
    ("vae", "bits", {}),
    ("vae", "vector", {"draws": 3, "beta": 4.0}),
    ("vae", "vector", {"prior": "mixture", "posterior": "full", "draws": 2}),
    ("vae", "vector", {"prior": "flow", "posterior": "flow"}),
    ("vae", "grey", {"prior": "vamp", "components": 5}),
    ("iwae", "vector", {"prior": "vamp", "components": 5}),
    ("miwae", "grey", {"likelihood": "discretised-logistic"}),
    ("aae", "vector", {"posterior": "gaussian"}),
    ("aae", "vector", {"prior": "ring", "latent": 2}),
    ("aae", "vector", {"prior": "swiss-roll", "latent": 2, "posterior": "gaussian"}),
    ("dip-vae", "vector", {"covariance": "means"}),
    ("spherical-vae", "vector", {"posterior": "power-spherical"}),
    ("spherical-vae", "vector", {"kappa": 20.0}),
    ("spherical-vae", "vector", {"latent": 2}),
    ("vq-prior", "grey", {"network": "transformer"}),
    ("poem-vae", "text", {"temperature": 0.5, "warm_up": 10}),
    ("sentence-vae", "text", {"writer": "transformer", "cycles": 2}),
    ("rae", "vector", {"smooth": "slope"}),
    ("rae", "grey", {"smooth": "spectral"}),
    ("latent-density", "vector", {"density": "flow"}),
    ("bivae", "lines", {"negatives": 16, "hide": 0.5}),
    ("rec-vae", "bag", {"prior": "joint"}),
    ("cvae-gan", "grey", {"norm": "batch", "discriminator_lr": 1e-4}),
    ("gan", "vector", {"game": "hinge"}),
    ("gan", "grey", {"game": "hinge"}),
    *(
        (name, "grey", {"network": network})
        for name in ("vae", "vae-gan", "wgan-gp")
        for network in ("mlp", "residual")
    ),
    *(
        (name, "colour", {"network": network})
        for name in ("vae", "vae-gan", "gan")
        for network in ("conv", "residual")
    ),
    *((name, "colour pair", {}) for name in ("u-gat-it", "munit")),
    *((name, "colour", {"halvings": 2}) for name in ("vqvae", "vqvae-ema")),
]


def _label(variant: tuple[str, str, dict]) -> str:
    name, kind, settings = variant
    return "-".join([name, kind, *map(str, settings.values())])


@pytest.mark.parametrize("clause", contract.clauses())
@pytest.mark.parametrize("variant", VARIANTS, ids=_label)
def test_clause(variant: tuple[str, str, dict], clause: str):
    name, kind, settings = variant
    contract.check(_small(name, kind, settings), clauses=[clause])


def test_the_model_is_left_as_it_was():
    system = reparam.build("sigma-vae", DATA["vector"], width=16, latent=3)
    system.model.eval()
    before = {name: t.clone() for name, t in system.model.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    contract.check(system)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in system.model.modules())
    for name, t in system.model.state_dict().items():
        assert torch.equal(t, before[name]), name


def test_what_is_missing_is_said():
    model = Sound(5, 2)
    with pytest.raises(ReparamError, match="give a batch"):
        contract.check(model)
    with pytest.raises(ReparamError, match="at least 4"):
        contract.check(model, torch.zeros(2, 5))
    with pytest.raises(ReparamError, match="did you mean 'gradcheck'"):
        contract.check(model, X, clauses=["gradchek"])
    with pytest.raises(ReparamError, match="the field 'x'"):
        contract.check(model, {"image": X}, clauses=["determinism"])


# Models of one's own: one that is sound, and the ways to break it


class Encoder(nn.Module):
    """(n, d) → N(mean, std²) over (n, latent)."""

    def __init__(self, d: int, latent: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d, 8), nn.Tanh(), heads.GaussianCode(8, latent))

    def forward(self, x: Tensor) -> Gaussian:
        return self.net(x)


class Sound(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ x̂;  discriminator: x or x̂?"""

    name = "sound"
    paper = "Nobody 2024, A Sound Model"

    # Structure and training flow

    def __init__(self, d: int, latent: int) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(d, latent), nn.Linear(latent, d)
        self.discriminator = heads.Discriminator(nn.Linear(d, 4), 4)
        self.latent = latent

    def turns(self) -> list[Turn]:
        return [
            Turn(self.encoder, self.decoder, lowers=self.bound),
            Turn(self.discriminator, lowers=self.discrimination),
        ]

    # Loss

    def bound(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Nobody 2024, eq. 1.

        distortion = ½ ‖x − x̂‖²
        rate = KL(q(z|x) ‖ N(0, I))
        """
        q = self.encoder(x)
        return {"distortion": 0.5 * squared_error(x, self.decoder(q.at(eps))), "rate": q.kl()}

    def discrimination(self, x: Tensor, *, z: Tensor) -> Terms:
        """Nobody 2024, eq. 2.

        real = −log D(x)
        fake = −log(1 − D(decoder(z)))
        """
        with torch.no_grad():
            fake = self.decoder(z)
        return {
            "real": NON_SATURATING.real(self.discriminator(x)),
            "fake": NON_SATURATING.fake(self.discriminator(fake)),
        }

    def score(self, x: Tensor) -> Tensor:
        """Minus the squared error: (n,)."""
        return -squared_error(x, self.decoder(self.encoder(x).mean))

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {"eps": Normal((self.latent,)), "z": Normal((self.latent,))}

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decoder(z)


X = torch.from_numpy(np.random.default_rng(1).normal(size=(8, 5))).float()


def broken(model: Model, clause: str, saying: str) -> None:
    """The clause, and nothing before it in a whole check, catches the model."""
    with pytest.raises(ContractBroken, match=saying) as caught:
        contract.check(model, X)
    assert caught.value.clause == clause


@pytest.mark.parametrize("clause", contract.clauses())
def test_a_sound_model_of_ones_own_passes(clause: str):
    contract.check(Sound(5, 2), X, optimisers={"default": Adam(1e-3)}, clauses=[clause])


def _with(**parts: object) -> Model:
    """The sound model with methods (or attributes of the class) of a broken one."""
    model = Sound(5, 2)
    model.__class__ = type("Sound", (Sound,), {**parts, "__doc__": Sound.__doc__})
    return model


def unsourced(clause: str, saying: str, **parts: object) -> None:
    """Broken by parts written here, whose source stands in no class: every clause but `order` is checked."""
    rest = [name for name in contract.clauses() if name != "order"]
    with pytest.raises(ContractBroken, match=saying) as caught:
        contract.check(_with(**parts), X, clauses=rest)
    assert caught.value.clause == clause


# 1. Order


class NoBanners(Autoencoder):
    def noise(self) -> dict[str, Source]:
        return super().noise()


class LossLast(Model):
    """z ─net→ x"""

    name = "loss-last"
    paper = "Nobody 2024"

    # Structure and training flow

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 5)

    def turns(self) -> list[Turn]:
        return [Turn(self.net, lowers=self.error)]

    # Loss

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {"z": Normal((2,))}

    def sample(self, *, z: Tensor) -> Tensor:
        return self.net(z)

    def error(self, x: Tensor, *, z: Tensor) -> Terms:
        """error = ‖x − net(z)‖²"""
        return {"error": squared_error(x, self.net(z))}


def test_order_needs_the_banners():
    broken(NoBanners(Encoder(5, 2), nn.Linear(2, 5), 2), "order", "three banners")


def test_order_needs_each_part_in_its_place():
    broken(LossLast(), "order", r"error\(\) under # Loss")


# 2. Determinism


def test_a_counter_breaks_determinism():
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        self.calls = getattr(self, "calls", 0) + 1
        return {k: v * self.calls for k, v in Sound.bound(self, x, eps=eps).items()}

    bound.__doc__ = Sound.bound.__doc__
    unsourced("determinism", "two calls", bound=bound)


def test_an_unseeded_generator_breaks_determinism():
    def sample(self: Sound, *, z: Tensor) -> Tensor:
        return self.decoder(z) + float(np.random.default_rng().normal())

    unsourced("determinism", "sample is a function", sample=sample)


def test_a_loss_that_writes_its_state_breaks_determinism():
    encoder = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), heads.GaussianCode(8, 2))
    with pytest.raises(ContractBroken, match="num_batches_tracked") as caught:
        contract.check(VAE(encoder, nn.Sequential(nn.Linear(2, 5), heads.BernoulliNoise()), 2), X)
    assert caught.value.clause == "determinism"


# 3. No ambient randomness


@pytest.mark.parametrize(
    ("library", "draw"),
    [
        ("torch", lambda: float(torch.randn(()))),
        ("numpy", lambda: float(np.random.standard_normal())),  # noqa: NPY002
        ("Python", random.random),
    ],
)
def test_ambient_noise(library: str, draw):
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        return Sound.bound(self, x + draw(), eps=eps)

    bound.__doc__ = Sound.bound.__doc__
    unsourced("ambient", f"global generator of {library}", bound=bound)


def test_dropout_is_ambient_noise():
    encoder = nn.Sequential(nn.Linear(5, 8), nn.Dropout(), heads.GaussianCode(8, 2))
    decoder = nn.Sequential(nn.Linear(2, 5), heads.BernoulliNoise())
    broken(VAE(encoder, decoder, 2), "ambient", "negative_elbo draws nothing itself")


# 4. Own players only


def _accumulating(self: Trainer, play, i: int, given, drawn) -> dict[str, Tensor]:
    """How a well-known library steps: one backward() after another, and nothing cleared in between."""
    means = {name: term.mean() for name, term in play.loss(*given, **drawn).items()}
    for move, *_ in play.moves:
        weights = move.weights or dict.fromkeys(means, 1.0)
        torch.stack([w * means[name] for name, w in weights.items()]).sum().backward(retain_graph=True)
    for _, _, _, optimiser, _ in play.moves:
        optimiser.step()
    self.model.zero_grad()
    return {f"{play.turn.name}.{name}": mean.detach() for name, mean in means.items()}


def test_a_decoder_that_helps_the_discriminator_is_caught(monkeypatch: pytest.MonkeyPatch):
    # The bug that VAE/GANs in the wild have: the discriminator's backward() also fills the decoder's
    # gradient, which then lowers what it ought to raise.
    monkeypatch.setattr(Trainer, "_move", _accumulating)
    system = reparam.build("vae-gan", DATA["vector"], width=16, latent=3)
    with pytest.raises(ContractBroken, match=r"(?s)encoder.*off by") as caught:
        contract.check(system)
    assert caught.value.clause == "own-players"


def test_steps_taken_before_all_gradients_are_caught(monkeypatch: pytest.MonkeyPatch):
    original = Trainer._move

    def eager(self: Trainer, play, i: int, given, drawn) -> dict[str, Tensor]:
        moves, loss = play.moves, play.loss
        for each in moves:
            play.moves = [each]
            original(self, play, i, given, drawn)
            play.loss = getattr(self.model, play.turn.name)
        play.moves, play.loss = moves, loss
        return {}

    monkeypatch.setattr(Trainer, "_move", eager)
    system = reparam.build("vae-gan", DATA["vector"], width=16, latent=3)
    with pytest.raises(ContractBroken, match="off by"):
        contract.check(system, clauses=["own-players"])


def test_backward_inside_a_loss_is_caught():
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        self.discriminator(self.decoder(eps)).sum().backward()
        return Sound.bound(self, x, eps=eps)

    bound.__doc__ = Sound.bound.__doc__
    unsourced("own-players", "no gradient outlives", bound=bound)


def test_a_player_that_no_turn_reaches_is_caught():
    def turns(self: Sound) -> list[Turn]:
        return Sound.turns(self)[:1]

    def noise(self: Sound) -> dict[str, Source]:
        return Sound.noise(self)

    unsourced("own-players", "none reaches discriminator", turns=turns, noise=noise)


def test_clipping_another_players_weights_is_caught():
    def turns(self: Sound) -> list[Turn]:
        return Sound.turns(self)

    def discrimination(self: Sound, x: Tensor, *, z: Tensor) -> Terms:
        with torch.no_grad():
            self.decoder.weight.clamp_(-0.01, 0.01)
        return Sound.discrimination(self, x, z=z)

    discrimination.__doc__ = Sound.discrimination.__doc__
    unsourced("determinism", "decoder.weight", turns=turns, discrimination=discrimination)
    with pytest.raises(ContractBroken, match=r"also changed decoder\.weight"):
        contract.check(_with(discrimination=discrimination), X, clauses=["own-players"])


def test_a_weight_of_no_term_is_caught():
    def turns(self: Sound) -> list[Turn]:
        first, second = Sound.turns(self)
        return [Turn(*first.moves[0].players, lowers=self.bound, weights={"distorsion": 1.0}), second]

    unsourced("own-players", "distorsion", turns=turns)


# 5. Noise closed


def test_undeclared_noise_is_caught():
    def noise(self: Sound) -> dict[str, Source]:
        return {"z": Normal((2,))}

    unsourced("noise", "bound asks for eps", noise=noise)


def test_declared_noise_that_nobody_asks_for_is_caught():
    def noise(self: Sound) -> dict[str, Source]:
        return {**Sound.noise(self), "extra": Normal()}

    unsourced("noise", "nothing asks for extra", noise=noise)


def test_noise_that_does_not_matter_is_caught():
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        return Sound.bound(self, x, eps=0 * eps)

    bound.__doc__ = Sound.bound.__doc__
    unsourced("noise", "bound depends on eps", bound=bound)


def test_names_of_the_run_s_own_sources_are_reserved():
    def noise(self: Sound) -> dict[str, Source]:
        return {**Sound.noise(self), "order": Normal()}

    def score(self: Sound, x: Tensor, *, order: Tensor) -> Tensor:
        return Sound.score(self, x) + order

    unsourced("noise", "rename the source", noise=noise, score=score)


# 6. Per example


@pytest.mark.parametrize(
    ("name", "form", "saying"),
    [
        ("averaged", lambda t: t.mean(), "shape"),
        ("averaged and spread", lambda t: t.mean().expand(len(t)), "row i"),
        ("not summed", lambda t: t[:, None].expand(-1, 3), "one value per example"),
    ],
)
def test_terms_that_are_not_per_example(name: str, form, saying: str):
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        terms = Sound.bound(self, x, eps=eps)
        return {**terms, "distortion": form(terms["distortion"])}

    bound.__doc__ = Sound.bound.__doc__
    unsourced("per-example", saying, bound=bound)


def _coupling(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
    return Sound.bound(self, x - x.mean(0), eps=eps)


_coupling.__doc__ = Sound.bound.__doc__


def test_undeclared_coupling_of_rows_is_caught():
    unsourced("per-example", "changing row 0 changed other rows", bound=_coupling)


def test_declared_coupling_is_none():
    rest = [name for name in contract.clauses() if name != "order"]
    contract.check(_with(bound=_coupling, couples_batch=True), X, clauses=rest)


# 7. Gradcheck


def _straight_through(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
    q = self.encoder(x)
    z = q.at(eps)
    code = z + (z.round() - z).detach()
    return {"distortion": 0.5 * squared_error(x, self.decoder(code)), "rate": q.kl()}


_straight_through.__doc__ = Sound.bound.__doc__


def test_a_surrogate_gradient_must_be_declared():
    unsourced("gradcheck", "encoder and decoder", bound=_straight_through)
    rest = [name for name in contract.clauses() if name != "order"]
    contract.check(_with(bound=_straight_through, surrogates=("distortion",)), X, clauses=rest)


def test_a_detached_path_is_caught():
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        q = self.encoder(x)
        return {
            "distortion": 0.5 * squared_error(x, self.decoder(q.mean.detach() + eps)) + 0 * q.mean.sum(1),
            "rate": q.kl(),
        }

    bound.__doc__ = Sound.bound.__doc__
    unsourced("gradcheck", "slope", bound=bound)


# 8. Resume


def test_state_outside_the_buffers_is_caught():
    class Remembering(nn.Linear):
        seen = 0.0

        def forward(self, x: Tensor) -> Tensor:
            # Changes by steps, not by calls, so that two calls in a row agree.
            self.seen = max(self.seen, float(self.weight.detach().abs().sum()) - 1e-3)
            return super().forward(x) * (1 + self.seen)

    model = Sound(5, 2)
    model.decoder = Remembering(2, 5)
    with pytest.raises(ContractBroken, match=r"3 \+ 3 steps are 6"):
        contract.check(model, X, optimisers={"default": Adam(1e-1)}, clauses=["resume"])


# 9. Scale


def test_terms_that_change_with_the_batch_size_are_caught():
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        return {k: v / len(x) for k, v in Sound.bound(self, x, eps=eps).items()}

    bound.__doc__ = Sound.bound.__doc__
    unsourced("scale", "divide by no batch size", bound=bound)


def test_a_batch_of_one_must_keep_its_dimension():
    def score(self: Sound, x: Tensor) -> Tensor:
        return Sound.score(self, x).squeeze()

    unsourced("scale", "squeeze no dimension", score=score)


def test_a_distortion_averaged_over_dimensions_is_caught():
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        terms = Sound.bound(self, x, eps=eps)
        return {**terms, "distortion": terms["distortion"] / x[0].numel()}

    bound.__doc__ = Sound.bound.__doc__
    unsourced("scale", "tiled twice", bound=bound)


# 10. Card


def test_a_term_that_the_docstring_lacks_is_caught():
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        """Nobody 2024.

        distortion = ½ ‖x − x̂‖²
        """
        return Sound.bound(self, x, eps=eps)

    unsourced("card", "lines for distortion", bound=bound)


def test_a_term_that_is_not_returned_is_caught():
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        return Sound.bound(self, x, eps=eps)

    bound.__doc__ = f"{inspect.getdoc(Sound.bound)}\nprior = −log p(z)\n"
    unsourced("card", "for no other", bound=bound)


def test_a_state_s_proposal_is_no_term():
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        terms = Sound.bound(self, x, eps=eps)
        return {**terms, "level": terms["rate"].detach()}

    def state(self: Sound) -> dict[str, Average]:
        return {"level": Average(0.9)}

    bound.__doc__ = Sound.bound.__doc__
    model = _with(bound=bound, state=state)
    model.register_buffer("level", torch.zeros(()))
    contract.check(model, X, clauses=[name for name in contract.clauses() if name != "order"])


@pytest.mark.parametrize("rule", [Average(0.9), Replace()], ids=["average", "replace"])
def test_a_proposal_of_another_shape_than_its_rule_s_is_caught(rule: Rule):
    def bound(self: Sound, x: Tensor, *, eps: Tensor) -> Terms:
        terms = Sound.bound(self, x, eps=eps)
        proposal = terms["rate"].detach()
        return {**terms, "level": proposal.mean() if isinstance(rule, Average) else proposal}

    bound.__doc__ = Sound.bound.__doc__
    model = _with(bound=bound, state=lambda self: {"level": rule})
    model.register_buffer("level", torch.zeros(()))
    with pytest.raises(ContractBroken, match=f"level, by {type(rule).__name__}"):
        contract.check(model, X, clauses=["per-example"])


@pytest.mark.parametrize(("paper", "saying"), [("somebody", "its year"), (None, "paper")])
def test_a_paper_must_be_cited(paper: str | None, saying: str):
    unsourced("card", saying, paper=paper)


# It learns


def _energy(x: Tensor, y: Tensor) -> float:
    """Energy distance of two samples (n, d), Székely & Rizzo 2013, without the self-pairs."""
    n, m = len(x), len(y)
    within = torch.cdist(x, x).sum() / (n * (n - 1)) + torch.cdist(y, y).sum() / (m * (m - 1))
    return float(2 * torch.cdist(x, y).mean() - within)


def _ring(labels: int | None = None) -> Data:
    draw = np.random.default_rng(2)
    y = draw.integers(0, 8, 2000)
    angle = y * (np.pi / 4)
    x = 2 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.05 * draw.normal(size=(2000, 2))
    return load({"x": x.astype(np.float32), "y": y}, standardise=False, labels=labels)


def _bars() -> Data:
    """Images 1 × 12 × 12 of one horizontal and one vertical bar."""
    draw = np.random.default_rng(3)
    x = np.zeros((400, 1, 12, 12), np.uint8)
    for image, (row, column) in zip(x, draw.integers(0, 12, (400, 2)), strict=True):
        image[0, row], image[0, :, column] = 200, 255
    return load({"x": x})


def _hooks() -> Data:
    """Images 1 × 12 × 12 of one hook in many shades: how it is turned can be seen."""
    x = np.zeros((400, 1, 12, 12), np.uint8)
    shade = np.random.default_rng(4).integers(150, 256, 400)[:, None]
    x[:, 0, 3:9, 5] = x[:, 0, 3, 5:9] = shade
    return load({"x": x})


def _stars() -> Data:
    """Everybody gives 24 of 30 films five stars or one: those of one half are what they like."""
    draw = np.random.default_rng(5)
    item = draw.permuted(np.tile(np.arange(30), (300, 1)), axis=1)[:, :24]
    rating = np.where(item % 2 == draw.integers(0, 2, (300, 1)), 5, 1)
    return load(
        {"user": np.arange(300).repeat(24), "item": item.ravel(), "rating": rating.ravel()}, rated=True
    )


STARS = _stars()


def _patterns() -> Data:
    """Either of two patterns of bits, of which each is flipped one time in ten."""
    draw = np.random.default_rng(0)
    one = (draw.random((600, 1)) < 0.5) == np.array([1, 1, 1, 0, 0, 0], bool)
    x = (one != (draw.random((600, 6)) < 0.1)).astype(np.float32)
    return load({"x_train": x[:200], "x_validation": x[200:400], "x_test": x[400:]})


RING, BARS, HOOKS = _ring(), _bars(), _hooks()
FEW = _ring(labels=80)
# Two words that say the same, and a third that says nothing of them.
VERSE = load([f"{a} {b} {c}" for a, b in zip("abcd", "wxyz", strict=True) for c in 20 * "ef"], min_count=1)
INVERTED = load(HOOKS.train.x, to=255 - HOOKS.train.x.flip(0))
FAR = load(RING.train.x, to=RING.train.x + 3, standardise=False)
TASTES = load("tastes")
PATTERNS = _patterns()
LEARNING = {
    "autorec": (STARS, {"latent": 8, "penalty": 0.1, "lr": 1e-2}, 200),
    "cdae": (TASTES, {"latent": 16, "decay": 1e-5, "dropout": 0.2, "lr": 3e-2}, 250),
    "mult-vae": (TASTES, {"latent": 8, "width": 32, "lr": 1e-2}, 150),
    "mult-dae": (TASTES, {"latent": 8, "lr": 1e-2}, 150),
    "rec-vae": (TASTES, {"latent": 8, "width": 32, "lr": 1e-2}, 60),
    "ease": (TASTES, {"penalty": 100.0}, 60),
    "poem-vae": (VERSE, {"latent": 8, "width": 16, "lr": 1e-2}, 200),
    "poem-free-bits": (VERSE, {"latent": 8, "width": 16, "lr": 1e-2}, 200),
    "sentence-vae": (VERSE, {"latent": 8, "width": 32, "lr": 1e-2, "warm_up": 50, "word_dropout": 0.0}, 150),
    "vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3}, 600),
    "iwae": (RING, {"latent": 2, "width": 32, "lr": 3e-3}, 600),
    "dreg": (RING, {"latent": 2, "width": 32, "lr": 3e-3}, 600),
    "miwae": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "draws": 5}, 600),
    "ppca": (BARS, {"latent": 16}, 150),
    "bayesian-decoder": (
        PATTERNS,
        {"latent": 1, "points": 16, "width": 8, "step": 0.7, "warm_up": 100, "keep": 10, "every": 20},
        1000,
    ),
    "linear-vae": (BARS, {"latent": 16}, 150),
    # Not the ring: there both variances of the data equal the first σ², the very edge of collapse.
    "sigma-vae": (BARS, {"latent": 4, "width": 32}, 150),
    "aae": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "adversarial_lr": 1e-3}, 600),
    "gan": (RING, {"latent": 2, "width": 32, "lr": 2e-3, "generator_lr": 2e-3}, 800),
    "wgan-gp": (RING, {"latent": 2, "width": 32, "lr": 2e-3, "penalty": 1.0}, 400),
    "vae-gan": (RING, {"latent": 2, "width": 32, "lr": 1e-3, "gamma": 1.0}, 800),
    "autoencoder": (BARS, {"latent": 8, "width": 32}, 150),
    "denoising-autoencoder": (BARS, {"latent": 8, "width": 32}, 150),
    "faces": (BARS, {"latent": 8, "width": 64}, 100),
    "vqvae": (BARS, {"size": 32, "dim": 8, "width": 32, "halvings": 2, "lr": 3e-3}, 100),
    "vqvae-ema": (BARS, {"size": 32, "dim": 8, "width": 32, "halvings": 2, "lr": 3e-3}, 200),
    "vq-prior": (BARS, {"width": 32, "layers": 3, "lr": 3e-3}, 150),
    "wae-mmd": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "penalty": 10.0}, 200),
    "wae-gan": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "adversarial_lr": 2e-3, "penalty": 1.0}, 200),
    "ali": (RING, {"latent": 2, "width": 32, "lr": 2e-3}, 800),
    "bigan": (RING, {"latent": 2, "width": 32, "lr": 3e-3}, 800),
    "bigan-mlp": (RING, {"latent": 2, "width": 32, "lr": 1e-3, "steps": 800}, 800),
    "intro-vae": (RING, {"latent": 2, "width": 32, "lr": 1e-3, "margin": 4.0, "fidelity": 3.0}, 450),
    "soft-intro-vae": (RING, {"latent": 2, "width": 32, "lr": 1e-3, "repulsion": 1.0}, 400),
    "acai": (BARS, {"latent": 16, "width": 32, "penalty": 0.05}, 150),
    "ganvae": (RING, {"latent": 2, "width": 32, "lr": 2e-3}, 800),
    "cyclegan": (FAR, {"width": 32, "lr": 2e-3, "cycle": 1.0, "identity": 0.0}, 300),
    "u-gat-it": (INVERTED, {"width": 16, "blocks": 1, "lr": 3e-3, "attention": 1.0}, 20),
    "munit": (INVERTED, {"width": 16, "blocks": 1, "lr": 3e-3}, 30),
    "cvae": (RING, {"latent": 2, "width": 32, "lr": 3e-3}, 400),
    "cvae-gan": (RING, {"latent": 2, "width": 32, "lr": 2e-3, "rate": 0.3}, 400),
    "aae-labels": (RING, {"width": 32, "lr": 1e-3, "adversarial_lr": 3e-3}, 300),
    "aae-supervised": (RING, {"latent": 1, "width": 32, "lr": 3e-3}, 300),
    "aae-clustering": (RING, {"clusters": 8, "latent": 2, "width": 32, "lr": 3e-3}, 600),
    "aae-semi-supervised": (FEW, {"latent": 1, "width": 32, "lr": 3e-3}, 600),
    "aae-reduction": (RING, {"clusters": 8, "width": 32, "lr": 3e-3}, 600),
    "aet": (HOOKS, {"latent": 16, "width": 32, "lr": 3e-3}, 200),
    "avt": (HOOKS, {"latent": 16, "width": 32, "lr": 3e-3}, 300),
    "spherical-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3}, 300),
    "beta-tc-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "beta": 2.0}, 400),
    "hfvae": (RING, {"latent": 2, "group": 1, "width": 32, "lr": 3e-3, "beta": 2.0}, 400),
    "factor-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "gamma": 2.0}, 400),
    "dip-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "off_diagonal": 1.0}, 400),
    "info-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "penalty": 10.0}, 400),
    "free-bits-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3}, 600),
    "cyclical-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "period": 200, "restarts": True}, 600),
    "hierarchical-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3}, 500),
    "ladder-vae": (RING, {"latent": 2, "layers": 2, "width": 32, "lr": 3e-3, "warm_up": 100}, 500),
    "joint-vae": (
        RING,
        {"latent": 1, "categories": 8, "width": 32, "lr": 3e-3, "rising": 200, "capacity": 2.0, "gamma": 3.0},
        400,
    ),
    "pixel-vae": (BARS, {"latent": 8, "width": 32, "channels": 8, "layers": 2, "lr": 1e-2}, 40),
    "pixel-gan": (BARS, {"latent": 8, "width": 32, "channels": 8, "layers": 2, "lr": 1e-2}, 40),
    "information-dropout": (RING, {"latent": 8, "width": 32, "lr": 3e-3}, 200),
    "vib": (RING, {"latent": 2, "width": 32, "lr": 3e-3}, 200),
    "fader": (RING, {"latent": 2, "width": 32, "rising": 100, "weight": 0.1}, 200),
    "vfae": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "penalty": 10.0}, 400),
    "hsic-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "penalty": 100.0}, 400),
    "rae": (BARS, {"latent": 8, "width": 32}, 150),
    "latent-density": (RING, {"components": 8}, 300),
    "m2": (FEW, {"latent": 2, "width": 32, "lr": 3e-3}, 300),
    "m1-m2": (FEW, {"latent": 2, "width": 32, "lr": 3e-3}, 300),
    "bivae": (REORDER, {"latent": 16, "width": 16, "lr": 0.05, "steps": 80}, 80),
    "soft-attention": (REORDER, {"width": 32, "lr": 1e-2}, 60),
    "marginal-attention": (REORDER, {"width": 32, "lr": 1e-2}, 60),
    "variational-attention": (REORDER, {"width": 32, "lr": 1e-2}, 60),
    "sampled-attention": (REORDER, {"width": 32, "lr": 1e-2}, 100),
    "gumbel-attention": (REORDER, {"width": 32, "lr": 1e-2}, 60),
    "wake-sleep-attention": (REORDER, {"width": 32, "lr": 1e-2}, 100),
    "relaxed-attention": (REORDER, {"width": 32, "lr": 1e-2}, 80),
    "delta-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "delta": 0.1}, 600),
    "lagging-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3, "repeat": 1}, 600),
    "batch-norm-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3}, 600),
    "skip-vae": (RING, {"latent": 2, "width": 32, "lr": 3e-3}, 600),
    "capacity-vae": (
        RING,
        {"latent": 2, "width": 32, "lr": 3e-3, "rising": 200, "capacity": 4.0, "gamma": 10.0},
        400,
    ),
}
FIRST = {
    "vq-prior": ("vqvae-ema", *LEARNING["vqvae-ema"]),
    "latent-density": ("autoencoder", RING, {"latent": 2, "width": 32, "lr": 3e-3}, 300),
    "m1-m2": ("vae", RING, {"latent": 2, "width": 32, "lr": 3e-3}, 300),
}


def test_every_recipe_is_asked_to_learn():
    assert set(LEARNING) == set(registry.recipes())


def _teach(system: System, steps: int) -> None:
    data, rules = system.training_data, system.recipe.optimisers
    assert data is not None
    engine = Engine(torch.device("cpu"))
    trainer = Trainer(system.model, data, rules, batch_size=64, streams=Streams(0), engine=engine)
    system.model.train()
    for _ in range(steps):
        trainer.take_step()
    system.model.eval()


def _distance(system: System, x: Tensor) -> float:
    """From data, of what the system makes: translations, reconstructions, samples; else its first loss.

    Of a system that ranks, the part of the catalogue that stands no lower than a held-out item; of ratings,
    the error of those held out, in stars.
    """
    data = system.training_data
    if data is not None and data.levels == "ratings":
        return rating_errors(system, data, data.validation, len(x), seed=0)["rmse"].value
    if system.can("rank") and data is not None and data.validation.held_out is not None:
        scores, asked = system.rank(cast(Any, x)), data.validation.held_out[: len(x)].dense().bool()
        above = (scores[:, None, :] >= scores[:, :, None]).float().mean(2)
        return float(above[asked].mean())
    if system.data.kind == "tokens" and system.can("translate") and data is not None:
        batch = data.batch(data.validation, torch.arange(len(x)))
        return float((system.translate(x, pin={"gumbel": 0.0}) != batch["other"]).float().mean())
    if system.can("translate") and data is not None:
        return _energy(system.translate(x).flatten(1), other_examples(data.validation, len(x)).flatten(1))
    if system.can("word_vectors"):
        words = system.word_vectors("one")[0]
        return sum(system.nearest(word, 1)[0][0] != word.upper() for word in words) / len(words)
    if not system.can("sample") and data is not None:
        turn = system.model.turns()[0]
        batch = data.batch(data.validation, torch.arange(len(x)))
        given = (batch[name] for name in asks(turn.loss).fields)
        terms = turn.loss(*given, **system.draw(asks(turn.loss).noise, len(x), Control(0)))
        lowered = turn.moves[0].weights or dict.fromkeys(terms, 1.0)
        return sum(at(w, contract.STEP) * terms[name].detach().mean().item() for name, w in lowered.items())
    if system.data.kind == "tokens":
        return float((system.reconstruct(x) != x).float().mean())
    if system.data.kind == "image" and system.can("encode") and "stage1" not in system.settings:
        return float((system.reconstruct(x) - x).square().mean())
    return _energy(system.sample(500).flatten(1), x.flatten(1))


@pytest.mark.parametrize("name", LEARNING)
def test_learns(name: str):
    """The distance of what it makes from data is more than halved."""
    data, settings, steps = LEARNING[name]
    if "stage1" in registry.settings(name):
        stage1, first, own, before = FIRST[name]
        settings = {**settings, "stage1": reparam.build(stage1, first, **own)}
        _teach(settings["stage1"], before)
    system = reparam.build(name, data, **settings)
    x = data.batch(data.validation, torch.arange(min(200, data.validation.n)))["x"]
    before = _distance(system, x)
    _teach(system, steps)
    after = _distance(system, x)
    assert after < before / 2, f"{before} before, {after} after"
