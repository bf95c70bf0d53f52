"""Losses against closed forms: what a number must be when the answer is known."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

import reparam
from reparam.data import load
from reparam.distributions import Gaussian, Judgement
from reparam.engine import Engine
from reparam.losses import GAMES, HINGE, MINIMAX, NON_SATURATING, gradient_penalty, squared_error
from reparam.models.aae import AAE
from reparam.models.gan import GAN
from reparam.models.sigma_vae import SigmaVAE
from reparam.models.vae import VAE
from reparam.models.vae_gan import VAEGAN
from reparam.models.wgan_gp import WGANGP
from reparam.nets import heads
from reparam.noise import Normal, Streams
from reparam.optimisers import Optimiser
from reparam.trainer import Trainer


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, float64."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def mean(x: Tensor) -> float:
    return float(x.detach().mean())


# The linear VAE is probabilistic PCA: Tipping & Bishop 1999, https://doi.org/10.1111/1467-9868.00196

D, K, SIGMA = 6, 2, 0.5


class LinearDecoder(nn.Module):
    """z → N(Wz + µ, σ²)."""

    def __init__(self, w: Tensor, mu: Tensor) -> None:
        super().__init__()
        self.w, self.mu = nn.Parameter(w), nn.Parameter(mu)

    def forward(self, z: Tensor) -> Gaussian:
        x = z @ self.w.T + self.mu
        return Gaussian(x, torch.tensor(math.log(SIGMA), dtype=x.dtype))


class ExactPosterior(nn.Module):
    """x → N(M⁻¹Wᵀ(x − µ), σ²M⁻¹), M = WᵀW + σ²: diagonal where W's columns are orthogonal."""

    def __init__(self, w: Tensor, mu: Tensor, shift: float = 0.0) -> None:
        super().__init__()
        m = w.T @ w + SIGMA**2 * torch.eye(K, dtype=w.dtype)
        self.gain, self.mu, self.shift = torch.linalg.solve(m, w.T), mu, shift
        self.log_std = 0.5 * torch.log(SIGMA**2 / m.diagonal())

    def forward(self, x: Tensor) -> Gaussian:
        code = (x - self.mu) @ self.gain.T + self.shift
        return Gaussian(code, self.log_std.expand_as(code))


def linear_vae(draws: int = 1, shift: float = 0.0) -> tuple[VAE, torch.distributions.MultivariateNormal]:
    """A VAE with the exact posterior (or one that is shifted), and the law of its data."""
    columns = torch.linalg.qr(numbers(D, K)).Q * torch.tensor([2.0, 0.7], dtype=torch.float64)
    mu = numbers(D, seed=1)
    law = torch.distributions.MultivariateNormal(
        mu, columns @ columns.T + SIGMA**2 * torch.eye(D, dtype=torch.float64)
    )
    vae = VAE(ExactPosterior(columns, mu, shift), LinearDecoder(columns, mu), K, draws=draws)
    return vae, law


def test_the_linear_vae_s_weights_are_the_exact_likelihood():
    vae, law = linear_vae()
    x = numbers(9, D, seed=2)
    weights = vae.log_weights(x, eps=numbers(9, 50, K, seed=3))
    # With the exact posterior every draw gives log p(x), so the estimate has no variance at all.
    assert_close(weights, law.log_prob(x)[:, None].expand(9, 50), rtol=0, atol=1e-10)


def test_the_linear_vae_s_bound_is_the_likelihood():
    vae, law = linear_vae(draws=2)
    x = numbers(9, D, seed=2)
    # ½ ‖·‖² over a Gaussian is integrated exactly by its ±√K points: both signs, each axis.
    points = math.sqrt(K) * torch.cat([torch.eye(K), -torch.eye(K)]).double()
    bound = -sum(vae.negative_elbo(x, eps=points.expand(9, 2 * K, K)).values())
    assert_close(bound, law.log_prob(x), rtol=0, atol=1e-6)
    assert_close(vae.score(x, eps=points.expand(9, 2 * K, K)), bound)
    # By draws of eps instead, the mean over many is the same.
    drawn = [vae.negative_elbo(x, eps=numbers(9, 1, K, seed=i)) for i in range(400)]
    many = torch.stack([-sum(terms.values(), torch.zeros(9)) for terms in drawn]).detach()
    assert_close(many.mean(0), law.log_prob(x), rtol=0, atol=5 * float(many.std(0).max()) / 20)


def test_the_gap_of_the_bound_is_the_posterior_s_divergence():
    shift = 0.3
    vae, law = linear_vae(shift=shift)
    x = numbers(9, D, seed=2)
    points = math.sqrt(K) * torch.cat([torch.eye(K), -torch.eye(K)]).double()
    bound = -sum(vae.negative_elbo(x, eps=points.expand(9, 2 * K, K)).values())
    # KL between Gaussians of one covariance: half the squared Mahalanobis distance of the means.
    gap = 0.5 * (shift**2 * torch.exp(-2 * vae.encoder.log_std)).sum()  # pyright: ignore
    assert_close(law.log_prob(x) - bound, gap.expand(9), rtol=0, atol=1e-8)


def test_more_importance_draws_give_a_higher_bound():
    vae, law = linear_vae(shift=0.25)
    x = numbers(500, D, seed=2)
    weights = vae.log_weights(x, eps=numbers(500, 64, K, seed=3)).detach()
    bounds = [
        float((weights[:, :k].unfold(1, k, k).logsumexp(2) - math.log(k)).mean()) for k in (1, 4, 16, 64)
    ]
    assert bounds == sorted(bounds)
    assert bounds[-1] > bounds[0] + 0.1
    exact = mean(law.log_prob(x))
    assert bounds[-1] < exact + 0.05
    assert_close(bounds[-1], exact, rtol=0, atol=0.1)


def test_several_draws_are_the_mean_of_single_ones():
    vae, _ = linear_vae(draws=3, shift=0.2)
    x, eps = numbers(5, D, seed=2), numbers(5, 3, K, seed=3)
    three = vae.negative_elbo(x, eps=eps)
    singles = [vae.negative_elbo(x, eps=eps[:, i : i + 1]) for i in range(3)]
    for name in ("distortion", "rate"):
        assert_close(three[name], torch.stack([single[name] for single in singles]).mean(0))


def test_a_bernoulli_vae_is_binary_cross_entropy():
    latent = 2
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), heads.GaussianCode(4, latent)).double()
    decoder = nn.Sequential(
        nn.Linear(latent, 12), nn.Unflatten(1, (1, 3, 4)), heads.BernoulliNoise()
    ).double()
    x, eps = (numbers(5, 1, 3, 4) > 0).double(), numbers(5, 1, latent, seed=1)
    terms = VAE(encoder, decoder, latent).negative_elbo(x, eps=eps)
    q = encoder(x)
    z = q.mean + q.log_std.exp() * eps[:, 0]
    logits = decoder[1](decoder[0](z))
    assert_close(terms["distortion"].sum(), F.binary_cross_entropy_with_logits(logits, x, reduction="sum"))
    expected = -0.5 * (1 + 2 * q.log_std - q.mean**2 - (2 * q.log_std).exp()).sum(1)
    assert_close(terms["rate"], expected)


# σ-VAE


def test_the_optimal_variance_makes_the_distortion_a_function_of_the_error():
    encoder = nn.Sequential(nn.Linear(D, 4), heads.GaussianCode(4, K)).double()
    model = SigmaVAE(encoder, nn.Linear(K, D).double(), K)
    x, eps = numbers(8, D), numbers(8, K, seed=1)
    terms = model.negative_elbo(x, eps=eps)
    error = squared_error(x, model.decode(encoder(x).at(eps))).mean() / D
    assert_close(terms["distortion"].mean(), 0.5 * D * (torch.log(2 * math.pi * error) + 1))
    assert_close(terms["variance"], error.detach().expand(8))
    # It is the best of all variances: no fixed one has less.
    for variance in error.detach() * torch.tensor([0.5, 0.9, 1.1, 2.0]):
        fixed = 0.5 * D * (error / variance + torch.log(2 * math.pi * variance))
        assert fixed > terms["distortion"].mean()


def test_the_score_uses_the_variance_kept_in_training():
    encoder = nn.Sequential(nn.Linear(D, 4), heads.GaussianCode(4, K)).double()
    model = SigmaVAE(encoder, nn.Linear(K, D).double(), K).double()
    model.variance.fill_(0.3)
    x, eps = numbers(8, D), numbers(8, K, seed=1)
    q = encoder(x)
    p = Gaussian(model.decode(q.at(eps)), torch.tensor(0.5 * math.log(0.3)).double())
    assert_close(model.score(x, eps=eps), p.log_prob(x) - q.kl(), rtol=1e-6, atol=1e-6)


# Games


class Undecided(nn.Module):
    """A discriminator at the equilibrium: D = ½ everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return 0 * x.flatten(1).sum(1)


def test_an_undecided_discriminator_costs_two_log_two():
    x, z = numbers(4, 3), numbers(4, 2)
    gan = GAN(nn.Linear(2, 3).double(), Undecided(), 2)
    terms = gan.discrimination(x, z_fake=z)
    assert_close(terms["real"] + terms["fake"], torch.full((4,), 2 * math.log(2)).double())
    assert_close(gan.deception(z=z)["deception"], torch.full((4,), math.log(2)).double())
    encoder = nn.Sequential(nn.Linear(3, 2), heads.Code(2, 2)).double()
    aae = AAE(
        encoder, nn.Sequential(nn.Linear(2, 3), heads.BernoulliNoise()).double(), Undecided(), Normal((2,))
    )
    terms = aae.discrimination(x, eps=z, prior=z)
    assert_close(terms["real"] + terms["fake"], torch.full((4,), 2 * math.log(2)).double())
    assert_close(aae.deception(x, eps=z)["deception"], torch.full((4,), math.log(2)).double())


@pytest.mark.parametrize("game", [NON_SATURATING, MINIMAX])
def test_the_cross_entropy_games_halves(game):
    logit = torch.tensor([-50.0, -3.0, 0.0, 2.0, 50.0], dtype=torch.float64)
    d = torch.sigmoid(logit)
    assert_close(game.real(logit), -torch.log(d), rtol=1e-9, atol=1e-12)
    assert_close(game.fake(logit), F.softplus(logit))
    assert_close(game.fake(logit[1:4]), -torch.log(1 - d[1:4]))
    expected = -torch.log(d) if game is NON_SATURATING else -F.softplus(logit)
    assert_close(game.fool(logit), expected, rtol=1e-9, atol=1e-12)


def test_the_hinge_s_halves():
    logit = torch.tensor([-2.0, -1.0, 0.5, 1.0, 3.0])
    assert_close(HINGE.real(logit), torch.tensor([3.0, 2.0, 0.5, 0.0, 0.0]))
    assert_close(HINGE.fake(logit), torch.tensor([0.0, 0.0, 1.5, 2.0, 4.0]))
    assert_close(HINGE.fool(logit), -logit)


@pytest.mark.parametrize("game", GAMES.values(), ids=lambda game: game.name)
def test_each_side_pulls_its_own_way(game):
    logit = torch.zeros(1, dtype=torch.float64, requires_grad=True)

    def slope(half) -> float:
        return float(torch.autograd.grad(half(logit).sum(), logit)[0])

    assert slope(game.real) < 0  # lowering it raises D on data,
    assert slope(game.fake) > 0  # lowers D on fakes,
    assert slope(game.fool) < 0  # and the generator raises D on its own


# The gradient penalty


class LinearCritic(nn.Module):
    """x → w·x + ½ a‖x‖²: its slope at x is w + a x."""

    def __init__(self, w: Tensor, a: float = 0.0) -> None:
        super().__init__()
        self.w, self.a = nn.Parameter(w), a

    def forward(self, x: Tensor) -> Tensor:
        return (self.w * x).flatten(1).sum(1) + 0.5 * self.a * x.flatten(1).square().sum(1)


def test_the_penalty_of_a_linear_critic():
    w = numbers(3, 4, 5)
    x, fake = numbers(6, 3, 4, 5, seed=1), numbers(6, 3, 4, 5, seed=2)
    critic, u = LinearCritic(w), torch.rand(6, generator=torch.Generator().manual_seed(0)).double()
    penalty = gradient_penalty(critic, x, fake, u)
    # One norm over channels, rows and columns together.
    assert_close(penalty, (w.norm() - 1).square().expand(6))
    (gradient,) = torch.autograd.grad(penalty.mean(), critic.w)
    assert_close(gradient, 2 * (w.norm() - 1) * w / w.norm())


def test_the_penalty_is_taken_at_one_point_for_each_example():
    w, a = numbers(2, 3), 0.7
    x, fake = numbers(4, 2, 3, seed=1), numbers(4, 2, 3, seed=2)
    u = torch.tensor([0.0, 1.0, 0.25, 0.9], dtype=torch.float64)
    at = torch.stack([a_ + t * (b - a_) for a_, b, t in zip(x, fake, u, strict=True)])
    expected = ((w + a * at).flatten(1).norm(dim=1) - 1).square()
    assert_close(gradient_penalty(LinearCritic(w, a), x, fake, u), expected)


def test_a_flat_critic_has_a_finite_gradient():
    critic = LinearCritic(torch.zeros(3))
    penalty = gradient_penalty(critic, torch.ones(2, 3), torch.zeros(2, 3), torch.tensor([0.1, 0.9]))
    assert_close(penalty, torch.ones(2), rtol=1e-4, atol=1e-4)
    assert torch.isfinite(torch.autograd.grad(penalty.sum(), critic.w)[0]).all()


def test_the_critic_s_terms_are_the_wasserstein_estimate():
    generator, w = nn.Linear(2, 3).double(), numbers(3)
    model = WGANGP(generator, LinearCritic(w), 2)
    x, z = numbers(5, 3, seed=1), numbers(5, 2, seed=2)
    terms = model.criticism(x, z_fake=z, between=torch.full((5,), 0.5).double())
    assert_close(-(terms["real"] + terms["fake"]).mean(), (x @ w).mean() - (generator(z) @ w).mean())
    assert_close(terms["penalty"], (w.norm() - 1).square().expand(5))


# VAE/GAN: who lowers what. Larsen et al. 2016, algorithm 1


class Kept(Optimiser):
    """Gradient descent at rate 0 that keeps the gradients it was given."""

    def make(self, parameters) -> torch.optim.Optimizer:
        kept = self

        class Keeping(torch.optim.SGD):
            def step(self, closure=None) -> None:
                store = vars(kept).setdefault("gradients", [])
                store.append([p.grad.clone() for group in self.param_groups for p in group["params"]])

        return Keeping(parameters, 0.0)


def test_each_player_of_the_vae_gan_gets_what_algorithm_1_says():
    latent, gamma = 2, 0.3
    data = load({"x": numbers(40, 5).numpy()})
    system = reparam.build("vae-gan", data, width=8, latent=latent, gamma=gamma, balance=100.0)
    model = system.model.double()
    assert isinstance(model, VAEGAN)
    names = ("encoder", "decoder", "discriminator")
    kept = {name: Kept(0.0) for name in names}
    rules = {f"likeness_and_game.{name}": kept[name] for name in names}
    engine = Engine(torch.device("cpu"), "float64")
    trainer = Trainer(model, data, rules, batch_size=10, streams=Streams(0), engine=engine)
    trainer.take_step()

    x = data.batch(data.train, trainer.order.rows(0))["x"].double()
    laws = model.noise()
    eps, z = (Streams(0).draw(name, laws[name], 10, 0, 0).double() for name in ("eps", "z"))
    q = model.encoder(x)
    x_hat, x_prior = model.decoder(q.at(eps)), model.decoder(z)
    true, made, drawn = (model.discriminator(v) for v in (x, x_hat, x_prior))

    def slopes(player: nn.Module, of: Tensor) -> list[Tensor]:
        own = list(player.parameters())
        found = torch.autograd.grad(of, own, retain_graph=True, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(own, found, strict=True)]

    likeness = 0.5 * (true.features - made.features).square().sum(1).mean()
    d = {
        name: torch.sigmoid(judged.logit) for name, judged in (("real", true), ("rec", made), ("gen", drawn))
    }
    real, rec, gen = -d["real"].log().mean(), -(1 - d["rec"]).log().mean(), -(1 - d["gen"]).log().mean()
    rate = q.kl().mean()
    expected = {
        "encoder": slopes(model.encoder, rate + likeness),
        "decoder": slopes(model.decoder, gamma * likeness - 0.5 * rec - 0.5 * gen),
        "discriminator": slopes(model.discriminator, real + 0.5 * rec + 0.5 * gen),
    }
    for name in names:
        (found,) = vars(kept[name])["gradients"]
        for a, b in zip(found, expected[name], strict=True):
            assert_close(a, b, rtol=1e-7, atol=1e-12)
    # The error of the wild: a decoder whose gradient helps the discriminator.
    helping = slopes(model.decoder, gamma * likeness + 0.5 * rec + 0.5 * gen)
    (found,) = vars(kept["decoder"])["gradients"]
    assert not all(torch.allclose(a, b) for a, b in zip(found, helping, strict=True))
    # Following it makes the fakes pass for more real, for it raises the discriminator's cost.
    game = slopes(model.decoder, 0.5 * rec + 0.5 * gen)
    pull = [a - gamma * b for a, b in zip(found, slopes(model.decoder, likeness), strict=True)]
    for a, b in zip(pull, game, strict=True):
        assert_close(a, -b, rtol=1e-6, atol=1e-12)


class Judge(nn.Module):
    """Features x itself, logit 0."""

    def forward(self, x: Tensor) -> Judgement:
        return Judgement(x, 0 * x.sum(1))


def test_likeness_is_half_the_squared_distance_of_features():
    encoder = nn.Sequential(nn.Linear(3, 2), heads.GaussianCode(2, 2)).double()
    decoder = nn.Linear(2, 3).double()
    model = VAEGAN(encoder, decoder, Judge(), 2)
    x, eps, z = numbers(4, 3), numbers(4, 2, seed=1), numbers(4, 2, seed=2)
    terms = model.likeness_and_game(x, eps=eps, z=z)
    assert_close(terms["likeness"], 0.5 * (x - decoder(encoder(x).at(eps))).square().sum(1))
    for name in ("real", "reconstructed", "generated"):
        assert_close(terms[name], torch.full((4,), math.log(2)).double())


@pytest.mark.parametrize(
    ("real", "fake", "decoder", "discriminator"),
    [
        (math.log(2), math.log(2), True, True),
        (0.1, 0.1, True, False),  # the discriminator wins: it waits
        (2.0, 2.0, False, True),  # it loses: the decoder waits
        (0.1, 2.0, True, True),  # both at once: neither may wait alone, so both move
    ],
)
def test_the_balance_rule(real: float, fake: float, decoder: bool, discriminator: bool):
    model = VAEGAN(nn.Identity(), nn.Identity(), nn.Identity(), 2)
    means = {"real": real, "reconstructed": fake, "generated": fake}
    assert model.decoder_may_move(means) is decoder
    assert model.discriminator_may_move(means) is discriminator
