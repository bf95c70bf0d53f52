"""Translators with attention and with a style code: their norms in closed form, and the style as noise."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import reparam
from reparam.card import card
from reparam.data import load
from reparam.errors import ReparamError
from reparam.models.munit import MUNIT
from reparam.models.u_gat_it import UGATIT
from reparam.nets.attention import AdaLIN, Attention, SpectralNorm, normalise
from reparam.nets.styled import StyledDecoder
from reparam.nets.translation import NORMS, ResidualTranslator
from reparam.optimisers import Adam

DRAW = torch.Generator().manual_seed(0)
X = torch.rand(20, 1, 9, 12, generator=DRAW)
PAIR = load(X, to=1 - X)


@pytest.mark.parametrize("logit", [-40.0, 40.0])
def test_adalin_lies_between_layer_and_instance_norm(logit: float):
    x = torch.randn(5, 3, 6, 4, generator=DRAW)
    norm, scale, shift = AdaLIN(3), torch.full((5, 3), 2.0), torch.ones(5, 3)
    norm.share.data.fill_(logit)
    axes = (2, 3) if logit > 0 else (1, 2, 3)
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True)
    assert_close(norm(x, scale, shift), 2 * (x - mean) / (variance + 1e-5).sqrt() + 1)


def test_the_share_of_instance_norm_begins_at_nine_tenths():
    assert_close(torch.sigmoid(AdaLIN(4).share), torch.full((4, 1, 1), 0.9))


def test_spectral_norm_divides_by_about_the_largest_singular_value():
    torch.manual_seed(0)
    weight = torch.diag(torch.tensor([5.0, 1.0, 0.5])) @ torch.linalg.qr(torch.randn(3, 3))[0]
    assert_close(torch.linalg.matrix_norm(SpectralNorm(3)(weight), 2), torch.tensor(1.0), rtol=1e-3, atol=0)
    layer = nn.Conv2d(8, 16, 4)
    normalise(layer)
    largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
    assert 1 <= largest < 1.25  # an estimate is never too large


def test_instance_norm_loses_a_picture_s_tint_and_group_norm_keeps_it():
    x, tint = 0.5 * torch.rand(2, 3, 8, 8, generator=DRAW), torch.tensor([0.3, 0.0, 0.1])[:, None, None]
    for name, norm in NORMS.items():
        network = ResidualTranslator((3, 8, 8), 16, 1, norm=norm, halvings=1)
        moved = (network(x + tint) - network(x)).abs().max().item()
        assert moved < 1e-4 if name == "instance" else moved > 1e-3


def test_attention_weighs_maps_by_what_they_tell_its_classifiers():
    attention = Attention(2)
    attention.of_mean.weight.data, attention.of_largest.weight.data = (
        torch.tensor([[3.0, 0.0]]),
        torch.tensor([[0.0, -2.0]]),
    )
    attention.mix.weight.data = torch.eye(4).view(2, 2, 4).sum(1).view(2, 4, 1, 1)
    attention.mix.bias.data.zero_()  # pyright: ignore[reportOptionalMemberAccess]
    x = torch.rand(3, 2, 4, 4, generator=DRAW)
    made, logits = attention(x)
    assert_close(logits, torch.stack([3 * x[:, 0].mean((1, 2)), -2 * x[:, 1].amax((1, 2))], 1))
    # mix adds the first two of four weighed maps, and the last two.
    assert_close(made, torch.relu(torch.stack([3 * x[:, 0], -2 * x[:, 1]], 1)))


@pytest.mark.parametrize("name", ["cyclegan", "u-gat-it"])
def test_a_translation_has_the_picture_s_size_after_any_number_of_halvings(name: str):
    x = torch.rand(20, 3, 9, 14, generator=DRAW)
    for halvings in (1, 2, 3):
        system = reparam.build(name, load(x, to=1 - x), width=16, blocks=1, halvings=halvings)
        assert system.translate(x[:2]).shape == (2, 3, 9, 14)


def test_critics_may_learn_at_a_rate_of_their_own():
    rules = reparam.build("cyclegan", PAIR, width=16, blocks=1, lr=4e-4, critic_lr=1e-4).recipe.optimisers
    rates = [rule.lr(0) for rule in rules.values() if isinstance(rule, Adam) and callable(rule.lr)]
    assert rates == [4e-4, 1e-4]


def test_attention_s_loss_is_two_cross_entropies():
    """A translator's classifiers say 1 to the domain it is given to translate, and 0 to the other."""
    model = reparam.build("u-gat-it", PAIR, width=16, blocks=1).model
    assert isinstance(model, UGATIT)
    x, y = X[:4], 1 - X[4:8]
    terms = model.translation(x, y)
    told = torch.stack([model.forth(x).logits, model.forth(y).logits])
    right = torch.stack([torch.ones(4, 2), torch.zeros(4, 2)])
    each = nn.functional.binary_cross_entropy_with_logits(told, right, reduction="none")
    assert_close(terms["attention_y"], each.sum(0).mean(1))


def test_the_style_of_an_example_rebuilds_it():
    """What the style encoder finds and what the prior draws are one thing to the decoder."""
    model = reparam.build("munit", PAIR, width=16, blocks=1).model
    assert isinstance(model, MUNIT)
    y = 1 - X[:4]
    content = model.encoder_y(y).content
    rebuilt = model.decoder_y(content, model.style_of(y))
    terms = model.translation(X[:4], y, style_x=torch.zeros(4, 8), style_y=torch.zeros(4, 8))
    assert_close(terms["reconstruction_y"], (rebuilt - y).abs().mean((1, 2, 3)))


def test_the_style_alone_changes_the_statistics_of_the_decoder():
    decoder = StyledDecoder((1, 8, 8), style=2, base=4, blocks=1)
    content = torch.randn(2, 16, 2, 2, generator=DRAW)
    one, two = decoder(content, torch.zeros(2, 2)), decoder(content, torch.ones(2, 2))
    assert not torch.allclose(one, two)


def test_the_card_says_that_the_style_is_drawn_for_a_translation():
    made = card(reparam.build("munit", PAIR, width=16, blocks=1).model, PAIR.shape)
    drawn = {source.name: source.evaluation for source in made.noise}
    assert drawn["style_y"] == "drawn for every translation"
    assert drawn["style_x"] == "drawn for every translation back"


@pytest.mark.parametrize("name", ["munit", "u-gat-it"])
def test_what_is_no_pair_of_pictures_is_refused(name: str):
    with pytest.raises(ReparamError, match="name the other with --to"):
        reparam.build(name, X)
    for bad in (torch.rand(20, 5), torch.rand(20, 1, 5, 6)):
        with pytest.raises(ReparamError, match="pictures of at least 8 × 8"):
            reparam.build(name, load(bad, to=bad))
