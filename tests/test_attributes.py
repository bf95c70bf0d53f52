"""PixelVAE, VIB, information dropout, fader networks, VFAE, HSIC: whole sums, terms written out."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import LogNormal, Normal, kl_divergence
from torch.testing import assert_close

import reparam
from reparam.data import load
from reparam.distributions import Delta, Gaussian
from reparam.errors import ReparamError
from reparam.losses import inverse_multiquadratic
from reparam.models.fader import Fader
from reparam.models.hsic_vae import HSICVAE, hsic
from reparam.models.information_dropout import InformationDropout
from reparam.models.pixel_gan import PixelGAN
from reparam.models.pixel_vae import PixelVAE
from reparam.models.vae import VAE
from reparam.models.vfae import VFAE
from reparam.models.vib import VIB
from reparam.nets.heads import FixedGaussianNoise, LogNormalCode
from reparam.nets.pixelcnn import PixelCNN
from reparam.nets.priors import LogNormalPrior


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Say(nn.Module):
    """x → N(the first two numbers of x, 1)."""

    def forward(self, x: Tensor) -> Gaussian:
        mean = x.flatten(1)[:, :2]
        return Gaussian(mean, torch.zeros_like(mean))


# PixelVAE

EVERY = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)), dtype=torch.float64).view(-1, 1, 2, 3)


def _pixel_vae() -> PixelVAE:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, 4 * 6), nn.Unflatten(1, (4, 2, 3)))
    return PixelVAE(Say(), generator, PixelCNN(2, (2, 3), 4, 2), 2, (2, 3), 2).double()


def test_the_probabilities_of_all_pictures_sum_to_one():
    model, z = _pixel_vae(), numbers(1, 3, 2)
    log_p = model.log_likelihood(EVERY, z.expand(len(EVERY), -1, -1))
    assert_close(log_p.logsumexp(0), torch.zeros(3).double())
    assert log_p.std(0).min() > 0.01
    assert not torch.allclose(log_p[:, 0], log_p[:, 1])  # the code has a say


def test_pictures_are_drawn_as_often_as_they_are_likely():
    model, n = _pixel_vae(), 20_000
    z = numbers(1, 2)
    u = torch.rand(n, 6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = model.sample(z=z.expand(n, 2), gumbel=-torch.log(-torch.log(u)))
    number = (x.flatten(1) * 2 ** torch.arange(5, -1, -1)).sum(1).long()
    p = model.log_likelihood(EVERY, z[:, None].expand(len(EVERY), -1, -1)).squeeze(1).exp()
    found = torch.bincount(number, minlength=len(EVERY)) / n
    assert ((found - p).abs() < 5 * (p * (1 - p) / n).sqrt()).all()


def test_the_bound_of_the_pixel_vae():
    model, x, eps = _pixel_vae(), EVERY[[3, 17, 40]], numbers(3, 1, 2)
    terms = model.negative_elbo(x, eps=eps)
    z = Say()(x).mean[:, None] + eps
    assert_close(terms["distortion"], -model.log_likelihood(x, z)[:, 0])
    kl = kl_divergence(Normal(Say()(x).mean, 1.0), Normal(0.0, 1.0)).sum(1)
    assert_close(terms["rate"], kl)
    log_q = Normal(0.0, 1.0).log_prob(eps).sum(2)
    prior = Normal(0.0, 1.0).log_prob(z).sum(2)
    assert_close(model.log_weights(x, eps=eps), model.log_likelihood(x, z) + prior - log_q)


def test_the_terms_of_the_pixel_gan():
    judge = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)).double()
    model, x, eps, z = PixelGAN(_pixel_vae(), judge), EVERY[[3, 17, 40]], numbers(3, 2), numbers(3, 2, seed=1)
    code = Say()(x).mean + eps
    found = model.reconstruction(x, eps=eps)["distortion"]
    assert_close(found, -model.autoencoder.log_likelihood(x, code[:, None])[:, 0])
    terms = model.discrimination(x, eps=eps, z=z)
    assert_close(terms["real"], -torch.sigmoid(judge(z)).log())
    assert_close(terms["fake"], -(1 - torch.sigmoid(judge(code))).log())
    assert_close(model.deception(x, eps=eps)["deception"], -torch.sigmoid(judge(code)).log())


@pytest.mark.parametrize("name", ["pixel-vae", "pixel-gan"])
def test_colour_is_refused(name: str):
    with pytest.raises(ReparamError, match="one channel"):
        reparam.build(name, load({"x": np.zeros((20, 3, 8, 8), np.uint8)}))


# VIB


def test_the_terms_of_the_bottleneck():
    classifier, x, y = nn.Linear(2, 3).double(), numbers(4, 5), torch.tensor([2, 0, 1, 1])
    eps = numbers(4, 6, 2, seed=1)
    terms = VIB(Say(), classifier, 2, draws=6).bottleneck(x, y, eps=eps)
    each = [-classifier(x[i, :2] + eps[i, k]).log_softmax(0)[y[i]] for i in range(4) for k in range(6)]
    assert_close(terms["ignorance"], torch.stack(each).view(4, 6).mean(1))
    assert_close(terms["rate"], kl_divergence(Normal(x[:, :2], 1.0), Normal(0.0, 1.0)).sum(1))


def test_a_tighter_bottleneck_tells_less(tmp_path):
    draw = np.random.default_rng(0)
    y = np.arange(600) % 3
    x = np.eye(3)[y] * 3 + draw.normal(size=(600, 3))
    data, rates = load({"x": x.astype(np.float32), "y": y}), []
    for beta in (1e-3, 0.3):
        system = reparam.build("vib", data, latent=2, width=16, beta=beta, lr=1e-2)
        system = reparam.train(system, tmp_path / str(beta), data=data, steps=150)
        rates.append(-system.score(data.test.x).mean())
        if beta < 0.1:
            assert (system.model.classify(data.test.x) == data.test.y).float().mean() > 0.8
    assert rates[1] < rates[0] / 2


# Information dropout


def test_the_terms_of_information_dropout():
    draw = torch.Generator().manual_seed(0)
    encoder, classifier = nn.Sequential(nn.Linear(5, 4), LogNormalCode(4, 2)), nn.Linear(2, 3)
    prior = LogNormalPrior(2)
    with torch.no_grad():
        prior.location.fill_(0.3)
        prior.log_std.fill_(-0.5)
    model = InformationDropout(encoder, classifier, prior, 2, draws=6).double()
    x, y, eps = numbers(4, 5), torch.tensor([2, 0, 1, 1]), torch.randn(4, 6, 2, generator=draw).double()
    feature, noise = encoder[1].linear(encoder[0](x)).chunk(2, 1)
    f, alpha = nn.functional.softplus(feature), 0.001 + 0.7 * torch.sigmoid(noise)
    terms = model.bottleneck(x, y, eps=eps)
    z = f[:, None] * torch.exp(alpha[:, None] * eps)
    each = -classifier(z).log_softmax(2)[torch.arange(4), :, y]
    assert_close(terms["ignorance"], each.mean(1))
    law = LogNormal(0.3 * torch.ones(2).double(), np.exp(-0.5) * torch.ones(2).double())
    assert_close(terms["rate"], kl_divergence(LogNormal(f.log(), alpha), law).sum(1))
    assert_close(model.encode(x), f)
    assert_close(model.score(x), -terms["rate"])


def test_noisier_features_tell_less(tmp_path):
    draw = np.random.default_rng(0)
    y = np.arange(600) % 3
    x = np.eye(3)[y] * 3 + draw.normal(size=(600, 3))
    data, rates = load({"x": x.astype(np.float32), "y": y}), []
    for beta in (1e-3, 0.3):
        system = reparam.build("information-dropout", data, latent=4, width=16, beta=beta, lr=1e-2)
        system = reparam.train(system, tmp_path / str(beta), data=data, steps=150)
        rates.append(-system.score(data.test.x).mean())
        if beta < 0.1:
            assert (system.model.classify(data.test.x) == data.test.y).float().mean() > 0.8
    assert rates[1] < rates[0] / 2


def test_without_labels_information_dropout_is_a_vae():
    encoder = nn.Sequential(nn.Linear(5, 4), LogNormalCode(4, 2))
    model = VAE(encoder, nn.Sequential(nn.Linear(2, 5), FixedGaussianNoise(1.0, False)), 2, draws=4000)
    model.prior = LogNormalPrior(2)
    x = numbers(3, 5).float()
    terms = model.negative_elbo(x, eps=numbers(3, 4000, 2, seed=1).float())
    exact = encoder(x).kl(model.prior())
    assert_close(terms["rate"], exact, rtol=0.1, atol=0.05)


def test_noise_without_a_bound_is_refused():
    data = load({"x": np.zeros((20, 3), np.float32) + np.arange(20)[:, None], "y": np.arange(20) % 2})
    with pytest.raises(ReparamError, match="largest deviation"):
        reparam.build("information-dropout", data, most=0.0)


# Fader networks


class Point(nn.Module):
    """x → its first two numbers."""

    def forward(self, x: Tensor) -> Delta:
        return Delta(x[:, :2])


def test_the_two_sides_of_a_fader_network():
    torch.manual_seed(0)
    x, y = numbers(5, 4), torch.tensor([0, 1, 1, 0, 1])
    decoder, discriminator = nn.Linear(4, 4).double(), nn.Linear(2, 2).double()
    model = Fader(Point(), decoder, discriminator, 2)
    log_p = discriminator(x[:, :2]).log_softmax(1)
    rows = torch.arange(5)
    assert_close(model.discrimination(x, y)["ignorance"], -log_p[rows, y])
    terms = model.reconstruction(x, y)
    assert_close(terms["deception"], -log_p[rows, 1 - y])
    told = torch.cat([x[:, :2], torch.eye(2)[y].double()], 1)
    assert_close(terms["error"], (x - decoder(told)).square().sum(1))


def test_of_many_classes_any_other_deceives():
    discriminator, x, y = nn.Linear(2, 4).double(), numbers(3, 4), torch.tensor([0, 3, 2])
    terms = Fader(Point(), nn.Linear(6, 4).double(), discriminator, 4).reconstruction(x, y)
    p = discriminator(x[:, :2]).softmax(1)[torch.arange(3), y]
    assert_close(terms["deception"], -torch.log(1 - p))


# VFAE


class Told(nn.Module):
    """(x, y) → N(the first two numbers of x, 1)."""

    def forward(self, x: Tensor, y: Tensor) -> Gaussian:
        return Gaussian(x[:, :2], torch.zeros_like(x[:, :2]))


class First(nn.Module):
    """(n, 2 + classes) → N((z, z), 1) over (n, 4)."""

    def forward(self, z: Tensor) -> Gaussian:
        return Gaussian(z[:, :2].repeat(1, 2), z.new_zeros(()))


def test_each_group_is_compared_with_the_rest():
    x, y, eps = numbers(7, 4), torch.tensor([0, 1, 1, 0, 3, 1, 0]), numbers(7, 2, seed=1)
    model = VFAE(Told(), First(), 2, 4)
    z, expected = x[:, :2] + eps, 0.0
    for group in (0, 1, 3):  # nobody is of group 2
        a, b = z[y == group], z[y != group]
        k = [inverse_multiquadratic(u, v, 4.0).mean() for u, v in ((a, a), (b, b), (a, b))]
        expected = expected + k[0] + k[1] - 2 * k[2]
    assert_close(model.negative_elbo(x, y, eps=eps)["mmd"], expected.expand(7))
    alone = model.negative_elbo(x, torch.zeros_like(y), eps=eps)
    assert_close(alone["mmd"], torch.zeros(7).double())


# HSIC


def test_hsic_is_the_trace_of_centred_kernels():
    a, b, n = numbers(9, 2).numpy(), numbers(9, 3, seed=1).numpy(), 9
    k, other = (np.exp(-((x[:, None] - x[None]) ** 2).sum(2) / (2 * x.shape[1])) for x in (a, b))
    h = np.eye(n) - 1 / n
    expected = np.trace(k @ h @ other @ h) / (n - 1) ** 2
    assert_close(hsic(torch.from_numpy(a), torch.from_numpy(b)), torch.tensor(expected))


def test_dependence_is_seen_where_correlation_is_none():
    a, b = numbers(400, 1), numbers(400, 1, seed=1)
    assert hsic(a, a.square()) > 10 * hsic(a, b)


def test_the_dependence_of_a_vae_is_that_of_its_groups():
    x, eps = numbers(6, 4), numbers(6, 2, seed=1)
    terms = HSICVAE(Say(), First(), 2, 1).negative_elbo(x, eps=eps)
    z = x[:, :2] + eps
    assert_close(terms["dependence"], hsic(z[:, :1], z[:, 1:]).expand(6))
    with pytest.raises(ReparamError, match="both groups"):
        reparam.build("hsic-vae", load(np.eye(20, dtype=np.float32)), latent=1)
