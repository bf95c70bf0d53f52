"""Two domains: the data, the pool of fakes, and one game that holds four systems."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import reparam
from reparam.data import Data, load
from reparam.distributions import Delta, Gaussian, Judgement
from reparam.errors import ReparamError
from reparam.losses import MINIMAX, NON_SATURATING, squared_error
from reparam.models.aae import AAE
from reparam.models.cyclegan import CycleGAN
from reparam.models.ganvae import GANVAE
from reparam.models.vae_gan import VAEGAN
from reparam.noise import Normal

# Data of two domains


def pair(**options: bool) -> Data:
    """Pictures of one grey each; those of the second domain are 128 levels lighter than their twins."""
    x = torch.arange(100, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    return load(x.clone(), to=x + 128, **options)


def test_a_batch_has_both_domains_and_the_second_s_order_is_drawn():
    data = pair()
    rows = torch.arange(8)
    batch = data.batch(data.train, rows, partner=torch.linspace(0, 1, 8))
    assert batch["x"].max() < 0.5 < batch["other"].min()
    last = data.train.other
    assert last is not None
    assert_close(batch["other"][-1], last[-1].float() / 255)  # the very end of [0, 1) is the last row
    assert "other" not in data.batch(data.train, rows)
    assert data.domains == ("memory", "memory")


def test_disjoint_rows_are_nobody_s_twin():
    data = pair(disjoint=True)
    assert data.train.other is not None
    ours, theirs = (set(x[:, 0, 0, 0].tolist()) for x in (data.train.x, data.train.other))
    assert not ours & {level - 128 for level in theirs}
    assert data.validation.other is not None
    assert data.validation.n == len(data.validation.other)


def test_what_makes_no_pair_is_refused():
    x = torch.rand(20, 1, 8, 8)
    with pytest.raises(ReparamError, match="one shape"):
        load(x, to=torch.rand(20, 3, 8, 8))
    with pytest.raises(ReparamError, match="equally many"):
        load(x, to=torch.rand(30, 1, 8, 8), disjoint=True)
    with pytest.raises(ReparamError, match="name the second one"):
        load(x, disjoint=True)
    with pytest.raises(ReparamError, match="name the other with --to"):
        reparam.build("cyclegan", x, width=16, blocks=1)


# The pool


def pooled(n: int = 4, pool: int = 6) -> CycleGAN:
    return CycleGAN(*(nn.Identity() for _ in range(4)), ((2,), (2,)), pool=pool)  # pyright: ignore[reportArgumentType]


def fakes(start: int, n: int = 4) -> Tensor:
    return torch.arange(start, start + n).float()[:, None].expand(n, 2)


def test_the_first_batch_fills_the_pool():
    model, no = pooled(), torch.zeros(4)
    shown, pool = model._shown(fakes(0), model.pool_x, no, torch.zeros(4, dtype=torch.int64))
    assert_close(shown, fakes(0))
    assert_close(pool[:, 0], torch.tensor([0.0, 1, 2, 3, 0, 1]))


def test_where_the_coin_falls_a_fake_is_exchanged():
    model = pooled()
    model.filled.fill_(1)
    pool = fakes(100, 6)
    coin, place = torch.tensor([1.0, 0, 1, 1]), torch.tensor([5, 2, 0, 5])
    shown, after = model._shown(fakes(0), pool, coin, place)
    assert_close(shown[:, 0], torch.tensor([105.0, 1, 100, 105]))
    # Two put theirs in place 5: the last one stays.
    assert_close(after[:, 0], torch.tensor([2.0, 101, 102, 103, 104, 3]))


def test_a_pool_keeps_fakes_about_as_long_as_it_is_large():
    """A place is taken over with probability 1/2 · 1/50 by each fake: half of them are gone after 69."""
    model, ages = pooled(pool=50), []
    model.filled.fill_(1)
    draw = torch.Generator().manual_seed(0)
    pool = torch.zeros(50, 2)
    for step in range(4000):
        coin = (torch.rand(1, generator=draw) < 0.5).float()
        place = torch.randint(50, (1,), generator=draw)
        shown, pool = model._shown(torch.full((1, 2), float(step)), pool, coin, place)
        if step > 1000 and coin:
            ages.append(step - float(shown[0, 0]))
    assert_close(sum(ages) / len(ages), 100.0, rtol=0.1, atol=0)


# One game, four systems: a domain may be that of the codes


class Generator(nn.Module):
    """Codes (n, 3) → x (n, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3, 3)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.map(z))


class Encoder(nn.Module):
    """x (n, 3) → codes (n, 3), as many as x has numbers, so that the identity terms have a meaning."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x)


class Sure(nn.Module):
    """The encoder, as a law without width."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Delta:
        return Delta(self.encoder(x))


class Critic(nn.Module):
    """(n, d) → logits (n,); `features` are the layer before."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.features, self.logit = nn.Sequential(nn.Linear(d, 5), nn.Tanh()), nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.logit(self.features(x)).squeeze(1)


torch.manual_seed(0)
FORTH, BACK, CRITIC_Z, CRITIC_X = Generator(), Encoder(), Critic(3), Critic(3)
Z, X = torch.randn(6, 3), torch.rand(6, 3)
NOBODY = {"coin": torch.zeros(6, 2), "place": torch.zeros(6, 2, dtype=torch.int64)}


def game(**options: object) -> dict[str, Tensor]:
    """The two-domain game's terms: its first domain that of the codes, its second that of the data."""
    model = CycleGAN(FORTH, BACK, CRITIC_Z, CRITIC_X, ((3,), (3,)), **options)  # pyright: ignore[reportArgumentType]
    return model.translation(Z, X, **NOBODY)


def test_ganvae_is_one_arm_of_it():
    """The GAN of the data, and the way from codes to data and back."""
    whole = game(game=NON_SATURATING, distance=squared_error)
    part = GANVAE(FORTH, Sure(BACK), CRITIC_X, 3).regression(X, z=Z)
    names = {"deception": "deception_y", "code": "cycle_x", "real": "real_y", "fake": "fake_y"}
    for ours, theirs in names.items():
        assert torch.equal(part[ours], whole[theirs])


def test_aae_is_the_other_arm_with_the_critic_of_codes():
    """The way from data to codes and back, and the GAN of the codes."""

    class Decoder(nn.Module):
        def forward(self, z: Tensor) -> Gaussian:
            return Gaussian(FORTH(z), torch.tensor(-0.5 * math.log(2)))  # σ² = ½: the squared error itself

    whole = game(game=NON_SATURATING, distance=squared_error)
    aae = AAE(Sure(BACK), Decoder(), CRITIC_Z, Normal((3,)))
    constant = 3 * 0.5 * math.log(math.pi)
    assert_close(aae.reconstruction(X, eps=Z)["distortion"], whole["cycle_y"] + constant)
    assert torch.equal(aae.deception(X, eps=Z)["deception"], whole["deception_x"])
    assert torch.equal(aae.discrimination(X, eps=Z, prior=Z)["real"], whole["real_x"])
    assert torch.equal(aae.discrimination(X, eps=Z, prior=Z)["fake"], whole["fake_x"])


def test_vae_gan_is_that_arm_with_the_critic_of_data_and_its_distance():
    """The way from data to codes and back, in the critic's features; the KL is the critic of codes."""

    class Judge(nn.Module):
        def forward(self, x: Tensor) -> Judgement:
            return Judgement(CRITIC_X.features(x), CRITIC_X(x))

    class Narrow(nn.Module):
        def forward(self, x: Tensor) -> Gaussian:
            return Gaussian(BACK(x), torch.full((), -torch.inf))

    def likeness(x: Tensor, y: Tensor) -> Tensor:
        return 0.5 * squared_error(CRITIC_X.features(x), CRITIC_X.features(y))

    whole = game(game=MINIMAX, distance=likeness)
    part = VAEGAN(Narrow(), FORTH, Judge(), 3).likeness_and_game(X, eps=torch.zeros(6, 3), z=Z)
    assert_close(part["likeness"], whole["cycle_y"])
    assert torch.equal(part["real"], whole["real_y"])
    assert torch.equal(part["generated"], whole["fake_y"])
    assert torch.equal(-part["generated"], whole["deception_y"])


def test_the_masks_are_the_weights_of_the_moves():
    """What a system leaves out of the whole game is a term that no move lowers."""
    whole = game(game=NON_SATURATING, distance=squared_error)
    arm = whole["deception_y"].mean() + 0.25 * whole["cycle_x"].mean()
    model = GANVAE(FORTH, Sure(BACK), CRITIC_X, 3)
    part = model.regression(X, z=Z)
    weights = model.turns()[0].moves[0].weights or {}
    objective = torch.stack([float(w) * part[name].mean() for name, w in weights.items()]).sum()  # pyright: ignore[reportArgumentType]
    players = [*FORTH.parameters(), *BACK.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(objective, players), torch.autograd.grad(arm, players), strict=True
    ):
        assert_close(ours, theirs)
