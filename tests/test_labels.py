"""Labels of which some are known, and the adversarial autoencoders that make do with them."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import reparam
from reparam.data import load
from reparam.distributions import Delta, Gaussian
from reparam.errors import ReparamError
from reparam.models.aae_clustering import ClusteringAAE
from reparam.models.aae_labels import LabelledAAE
from reparam.models.aae_reduction import ReducingAAE
from reparam.models.aae_semi_supervised import SemiSupervisedAAE
from reparam.nets.clusters import Clustered, ClusteredCode, Heads
from reparam.noise import GaussianRing

X, Y = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), torch.arange(200) % 4


# Data


def test_as_many_labels_of_each_class_are_known():
    data = load({"x": X, "y": Y}, labels=20)
    known = data.train.known
    assert known is not None
    assert data.train.y is not None
    assert torch.bincount(data.train.y[known]).tolist() == [5, 5, 5, 5]
    batch = data.batch(data.train, torch.arange(data.train.n), labelled=torch.linspace(0, 1, data.train.n))
    assert (batch["y"] >= 0).nonzero()[:, 0].tolist() == known.tolist()
    assert_close(batch["y"][known], data.train.y[known])
    shown = {tuple(row) for row in batch["x_labelled"].tolist()}
    assert shown == {tuple(row) for row in data.train.x[known].tolist()}
    by_row = {tuple(x): int(y) for x, y in zip(data.train.x.tolist(), data.train.y, strict=True)}
    assert [by_row[tuple(x)] for x in batch["x_labelled"].tolist()] == batch["y_labelled"].tolist()


def test_validation_keeps_its_labels():
    data = load({"x": X, "y": Y}, labels=20)
    batch = data.batch(data.validation, torch.arange(data.validation.n))
    assert set(batch) == {"x", "y"}
    assert batch["y"].min() >= 0


def test_which_labels_are_known_is_drawn_by_the_seed_of_the_data():
    one, again, other = (load({"x": X, "y": Y}, labels=8, seed=s).train.known for s in (0, 0, 1))
    assert one is not None
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("given", "labels", "saying"),
    [
        ({"x": X}, 8, "has no labels"),
        ({"x": X, "y": Y}, 6, "as many of each of the 4 classes"),
        ({"x": X, "y": Y}, 2, "as many of each"),
        ({"x": X, "y": Y}, 400, "fewer of 0, 1, 2, 3"),
    ],
)
def test_labels_that_cannot_be_known_are_refused(given: dict, labels: int, saying: str):
    with pytest.raises(ReparamError, match=saying):
        load(given, labels=labels)


def test_models_say_what_labels_they_need():
    with pytest.raises(ReparamError, match="aae-labels needs labels, and memory has none"):
        reparam.build("aae-labels", X)
    with pytest.raises(ReparamError, match="--labels 40"):
        reparam.build("aae-semi-supervised", {"x": X, "y": Y})
    with pytest.raises(ReparamError, match="needs every label: leave --labels out"):
        reparam.build("aae-supervised", load({"x": X, "y": Y}, labels=8))


# Models


class Told(nn.Module):
    """A discriminator that returns what it was told: the number of the class in its one-hot input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 2:].argmax(1).float()


class Code(nn.Module):
    """x → its first two numbers."""

    def forward(self, x: torch.Tensor) -> Delta:
        return Delta(x[:, :2])


def test_unknown_labels_are_a_class_of_their_own():
    model = LabelledAAE(Code(), nn.Identity(), Told(), GaussianRing(components=4))
    y = torch.tensor([0, 3, -1])
    terms = model.deception(X[:3], y)
    assert_close(terms["deception"], F.softplus(-torch.tensor([0.0, 3.0, 4.0])))


def test_a_known_label_s_draw_lies_on_its_leaf():
    class Where(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.atan2(x[:, 1], x[:, 0])

    model = LabelledAAE(Code(), nn.Identity(), Where(), GaussianRing(components=4))
    y, leaf, spread = torch.tensor([1, 1, -1, -1]), torch.tensor([0, 3, 0, 1]), torch.zeros(4, 2)
    angle = torch.tensor([1.0, 1.0, 0.0, 1.0]) * (math.pi / 2)
    assert_close(model.discrimination(X[:4], y, leaf=leaf, spread=spread)["real"], F.softplus(-angle))


class Choosing(nn.Module):
    """x (n, 3) → logits x, style the first two."""

    def forward(self, x: torch.Tensor) -> Clustered:
        return Clustered(x, x[:, :2])


def clustering(decoder: nn.Module, std: float = 0.0) -> ClusteringAAE:
    return ClusteringAAE(Choosing(), decoder, nn.Linear(3, 1), nn.Linear(2, 1), 3, 2, (3,), std=std)


def test_a_code_is_the_choice_beside_the_style():
    model = clustering(nn.Identity())
    assert_close(model.encode(X), torch.cat([X.softmax(1), X[:, :2]], 1))
    assert_close(model.cluster(X), X.argmax(1))


def test_the_encoder_alone_sees_the_corruption():
    class Law(nn.Module):
        def forward(self, z: torch.Tensor) -> Gaussian:
            return Gaussian(z[:, :3], torch.zeros(()))

    model, noise = SemiSupervisedAAE(clustering(Law(), std=0.5)), torch.randn_like(X)
    terms = model.unlabelled.reconstruction(X, corruption=noise)
    assert_close(terms["distortion"], -Gaussian((X + noise / 2).softmax(1), torch.zeros(())).log_prob(X))
    y = torch.arange(len(X)) % 3
    terms = model.classification(X, y, corruption=noise)
    assert_close(terms["ignorance"], F.cross_entropy(X + noise / 2, y, reduction="none"))
    assert_close(model.encode(X), torch.cat([X.softmax(1), X[:, :2]], 1))


def test_a_spread_leaves_no_cluster_out_at_the_start():
    torch.manual_seed(0)
    x = 5 + X  # whose features, all much alike, would choose one cluster
    plain, spread = ClusteredCode(3, 8, 2), ClusteredCode(3, 8, 2, spread=3.0)
    assert len(plain(x).logits.argmax(1).unique()) <= 2
    logits = spread(x).logits
    assert_close(logits.std(0, correction=0), torch.full((8,), 3.0), rtol=1e-3, atol=0)
    assert logits.argmax(1).bincount(minlength=8).min() > 0


def test_the_decoder_of_the_reduction_sees_the_head_moved_by_the_style():
    class Law(nn.Module):
        def forward(self, z: torch.Tensor) -> Gaussian:
            return Gaussian(z, torch.zeros(()))

    heads = Heads(3, 2)
    model = ReducingAAE(clustering(nn.Sequential(heads, Law())), apart=2.0)
    assert_close(model.encode(X), X.softmax(1) @ heads.places + X[:, :2])
    assert_close(model.decode(model.encode(X)), model.encode(X))
    choice, style = torch.tensor([2, 0]), torch.randn(2, 2)
    assert_close(model.sample(choice=choice, style=style), heads.places[choice] + style)


def test_heads_are_pushed_only_while_they_are_near():
    heads = Heads(3, 2)
    heads.places.data = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 5.0]])
    model = ReducingAAE(clustering(nn.Sequential(heads)), apart=2.0)
    assert_close(model.crowding(X[:4])["nearness"], torch.full((4,), 1.0))
    (push,) = torch.autograd.grad(model.crowding(X[:4])["nearness"].mean(), [heads.places])
    assert_close(push, torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]))
