"""The losses of the systems between VAE and GAN against closed forms and written-out gradients."""

import math

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from reparam.coupling import reversed_rows
from reparam.distributions import Delta, Gaussian
from reparam.losses import SCALES, inverse_multiquadratic, mmd
from reparam.models.acai import ACAI
from reparam.models.ali import ALI
from reparam.models.bigan import BiGAN
from reparam.models.intro_vae import IntroVAE
from reparam.models.soft_intro_vae import SoftIntroVAE
from reparam.nets.batch_norm import BatchNorm, PlainBatchNorm
from reparam.nets.joint import InjectedDiscriminator, injected_conv, injected_mlp
from reparam.optimisers import Adam


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Encoder(nn.Module):
    """x (n, 3) → N(Ax, exp(Bx)²) over (n, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.log_std = nn.Parameter(numbers(3, 2)), nn.Parameter(0.1 * numbers(3, 2, seed=1))

    def forward(self, x: Tensor) -> Gaussian:
        return Gaussian(x @ self.mean, x @ self.log_std)


class Decoder(nn.Module):
    """z (n, 2) → Cz (n, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Parameter(0.5 * numbers(2, 3, seed=2))

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.map


X, Z, EPS, OTHER, THIRD = (numbers(6, d, seed=s) for d, s in ((3, 3), (2, 4), (2, 5), (2, 6), (2, 7)))


# MMD


def test_the_parts_of_the_mmd_average_to_the_u_statistic():
    x, y, c = numbers(7, 4), 0.5 + numbers(7, 4, seed=1), 8.0

    def k(a: Tensor, b: Tensor) -> float:
        return sum(s * c / (s * c + float((a - b).square().sum())) for s in SCALES)

    pairs = [(i, j) for i in range(7) for j in range(7)]
    within = [k(u[i], u[j]) for u in (x, y) for i, j in pairs if i != j]
    between = [k(x[i], y[j]) for i, j in pairs]
    expected = sum(within) / 42 - 2 * sum(between) / 49
    parts = mmd(x, y, lambda a, b: inverse_multiquadratic(a, b, c), x, y)
    assert_close(parts.mean().item(), expected)


def test_the_mmd_is_unbiased_and_can_be_negative():
    values = torch.stack(
        [
            mmd(x, y, lambda a, b: inverse_multiquadratic(a, b, 4.0), x, y).mean()
            for x, y in ((numbers(20, 2, seed=2 * i), numbers(20, 2, seed=2 * i + 1)) for i in range(200))
        ]
    )
    assert (values < 0).any()
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(len(values))


def test_the_mmd_falls_as_codes_near_the_prior():
    z = numbers(200, 2, seed=1)
    kernel = lambda a, b: inverse_multiquadratic(a, b, 4.0)  # noqa: E731
    far, near = (mmd(numbers(200, 2) + d, z, kernel, numbers(200, 2) + d, z).mean() for d in (2.0, 0.2))
    assert far > 10 * near


# ALI and BiGAN


class Undecided(nn.Module):
    """A discriminator that cannot tell."""

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return x.new_zeros(len(x))


def test_an_undecided_discriminator_costs_log_two_a_pair():
    ali = ALI(Encoder(), Decoder(), Undecided(), 2)
    terms = ali.matching(X, eps=EPS, z=Z)
    assert all(torch.allclose(term, torch.tensor(math.log(2)).double()) for term in terms.values())
    bigan = BiGAN(Encoder(), Decoder(), Undecided(), 2)
    means = {name: float(term.mean()) for name, term in bigan.matching(X, z=Z).items()}
    for move in bigan.turns()[0].moves:  # the paper's initial losses are log 2 for every player
        assert_close(sum(w * means[name] for name, w in (move.weights or {}).items()), math.log(2))


def test_plain_batch_norm_learns_no_scale():
    norm = PlainBatchNorm(3).double().train()
    variance, mean = torch.var_mean(norm(7 * numbers(50, 3) + 2), 0, correction=0)
    assert_close(mean, torch.zeros(3).double(), atol=1e-5, rtol=0)
    assert_close(variance, torch.ones(3).double(), atol=1e-5, rtol=0)
    assert not any(p.requires_grad for p in norm.parameters())


def test_every_layer_of_the_injected_discriminator_sees_the_code():
    for shape, made in (
        ((5,), injected_mlp((5,), 2, 8)),
        ((5,), injected_mlp((5,), 2, 8, BatchNorm)),
        ((5,), injected_mlp((5,), 2, 8, PlainBatchNorm)),
        ((2, 13, 9), injected_conv((2, 13, 9), 2, 8)),
    ):
        discriminator: InjectedDiscriminator = made.double()
        x, z = numbers(4, *shape), numbers(4, 2)
        for injection in [*discriminator.injections, discriminator.last]:
            others = [m for m in [*discriminator.injections, discriminator.last] if m is not injection]
            kept = [m.weight.detach().clone() for m in others]
            for m in others:
                m.weight.data.zero_()
            assert not torch.allclose(discriminator(x, z), discriminator(x, z.flip(0)))
            for m, weight in zip(others, kept, strict=True):
                m.weight.data.copy_(weight)


def test_an_l2_penalty_is_in_the_gradient_that_adam_scales_and_decay_is_not():
    moved = []
    for rule in (Adam(0.1, l2=1e-3), Adam(0.1, weight_decay=1e-3)):
        weight = nn.Parameter(torch.tensor([2.0, -3.0]))
        weight.grad = torch.zeros(2)
        rule.make([weight]).step()
        moved.append(weight.detach())
    assert_close(moved[0], torch.tensor([1.9, -2.9]), rtol=0, atol=1e-5)  # a first step is the sign's
    assert_close(moved[1], torch.tensor([2.0, -3.0]) * (1 - 1e-4))


# Introspective VAEs: what is held fixed, written out


def gradients(loss: Tensor, module: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(module.parameters()), retain_graph=True))


def test_the_intro_vae_judges_its_fakes_as_they_are():
    encoder, decoder = Encoder(), Decoder()
    model = IntroVAE(encoder, decoder, 2, margin=50.0)
    terms = model.inspection(X, eps=EPS, z=Z)
    with torch.no_grad():
        reconstruction = decoder(encoder(X).at(EPS))
        drawn = decoder(Z)
    for name, fake in (("reconstructed", reconstruction), ("generated", drawn)):
        assert_close(terms[name], (50 - encoder(fake).kl().mean()).expand(6))
        ours = gradients(terms[name].mean(), encoder)
        assert_close(ours, [-g for g in gradients(encoder(fake).kl().mean(), encoder)])


def test_the_intro_vae_s_hinge_is_of_the_mean():
    model = IntroVAE(Encoder(), Decoder(), 2, margin=0.0)
    terms = model.inspection(X, eps=EPS, z=Z)
    assert not terms["reconstructed"].any()
    assert not terms["generated"].any()


def test_the_soft_exponential_pushes_like_its_formula():
    encoder, decoder = Encoder(), Decoder()
    model = SoftIntroVAE(encoder, decoder, 2, fidelity=0.7, repulsion=0.3, scale=0.4)
    terms = model.inspection(X, eps=EPS, z=Z, eps_hat=OTHER, eps_tilde=THIRD)
    with torch.no_grad():
        reconstruction = decoder(encoder(X).at(EPS))
    q = encoder(reconstruction)
    energy = 0.7 * (reconstruction - decoder(q.at(OTHER))).square().sum(1) + 0.3 * q.kl()
    assert_close(terms["reconstructed"], torch.exp(-0.8 * energy))
    ours = gradients(terms["reconstructed"].mean(), encoder)
    assert_close(ours, gradients(torch.exp(-0.8 * energy).mean(), encoder))


def test_the_soft_decoder_s_second_look_moves_only_the_second_look():
    encoder, decoder = Encoder(), Decoder()
    model = SoftIntroVAE(encoder, decoder, 2)
    terms = model.creation(X, eps=EPS, z=Z, eps_hat=OTHER, eps_tilde=THIRD)
    with torch.no_grad():
        fake = decoder(Z)
        code = encoder(fake).at(THIRD)
    expected = (fake - decoder(code)).square().sum(1)
    assert_close(terms["generated_again"], expected)
    assert_close(gradients(terms["generated_again"].mean(), decoder), gradients(expected.mean(), decoder))


# ACAI


class Code(nn.Module):
    """x → its first two numbers."""

    def forward(self, x: Tensor) -> Delta:
        return Delta(x[:, :2])


class Mean(nn.Module):
    """x → the mean of its numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def test_acai_mixes_with_the_row_from_the_other_end():
    assert_close(reversed_rows(X), X.flip(0))
    decoder = nn.Linear(2, 3).double()
    model = ACAI(Code(), decoder, Mean(), 2, 3)
    alpha = torch.linspace(0, 0.5, 6).double()
    mixture = alpha[:, None] * X[:, :2] + (1 - alpha)[:, None] * X[:, :2].flip(0)
    assert_close(model.reconstruction(X, alpha=alpha)["realism"], decoder(mixture).mean(1).square())
    terms = model.criticism(X, alpha=alpha)
    assert_close(terms["mixed"], (decoder(mixture).mean(1) - alpha).square())
    near = 0.2 * X + 0.8 * decoder(X[:, :2])
    assert_close(terms["unmixed"], near.mean(1).square())
