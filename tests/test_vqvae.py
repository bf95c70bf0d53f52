"""VQ-VAE and the prior of its codes: gradients, averages, k-means, causal laws, and two stages."""

import itertools
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.testing import assert_close

import reparam
from _recipes import assert_same_run, built, datasets, resumed
from reparam.cli import main
from reparam.errors import ReparamError
from reparam.evaluate import Yardstick
from reparam.losses import straight_through
from reparam.models.code_prior import CodePrior
from reparam.models.vqvae import VQVAE
from reparam.nets import heads
from reparam.nets.codebook import DEAD, AveragedCodebook, Codebook, LearnedCodebook
from reparam.nets.frozen import Frozen
from reparam.nets.grid import GridDecoder, GridEncoder, halved
from reparam.nets.pixelcnn import PixelCNN
from reparam.nets.transformer import CausalTransformer
from reparam.system import System

K, DIM, GRID = 6, 3, (2, 2)
DECAY = 0.9


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pictures(n: int) -> Tensor:
    data = datasets()[1]
    return data.batch(data.train, torch.arange(n))["x"]


def running(kind: type[Codebook], entries: Tensor, counts: Tensor) -> Codebook:
    """A codebook in the middle of its training."""
    codebook = kind(len(entries), entries.shape[1], decay=DECAY).double()
    with torch.no_grad():
        codebook.counts.copy_(counts)
        if isinstance(codebook, LearnedCodebook):
            codebook.start.copy_(entries - codebook.learned)
        else:
            codebook.sums.copy_(entries * counts[:, None])
    return codebook


def stepped(codebook: Any, z: Tensor, picks: Tensor) -> Any:
    """The codebook after its state has taken what is proposed for it, as the trainer does it."""
    proposals = codebook.proposals(z, codebook(z).indices, picks)
    if isinstance(codebook, LearnedCodebook):
        codebook.start.copy_(proposals["start"])
    else:
        codebook.sums.lerp_(proposals["sums"].mean(0), 1 - DECAY)
    codebook.counts.lerp_(proposals["counts"].mean(0), 1 - DECAY)
    return codebook


def linear(codebook: Codebook) -> VQVAE:
    encoder = nn.Conv2d(1, DIM, 2, stride=2, dtype=torch.float64)
    decoder = nn.Sequential(
        nn.ConvTranspose2d(DIM, 1, 2, stride=2, dtype=torch.float64), heads.FixedGaussianNoise(0.5, False)
    )
    return VQVAE(encoder, codebook, decoder, GRID, beta=0.25, weight=0.1).double()


# Gradients


def test_the_straight_through_value_is_exact_and_its_gradient_the_carrier_s() -> None:
    value, carrier = numbers(5).requires_grad_(), (1e9 * numbers(5, seed=1)).requires_grad_()
    through = straight_through(value, carrier)
    assert torch.equal(through, value)
    through.square().sum().backward()
    assert value.grad is None
    assert_close(carrier.grad, 2 * value.detach())


def test_every_player_s_gradient_is_the_paper_s() -> None:
    model = linear(running(LearnedCodebook, numbers(K, DIM, seed=1), torch.ones(K)))
    x, picks = numbers(5, 1, 4, 4, seed=2), torch.zeros(K).double()
    terms = model.negative_elbo(x, picks=picks)
    weights: dict[str, float] = model.turns()[0].moves[0].weights
    objective = sum((w * terms[name].mean() for name, w in weights.items()), torch.zeros(()))
    parameters = [model.encoder.weight, model.codebook.learned, model.decoder[0].weight]
    got = torch.autograd.grad(objective, parameters)
    # By hand: the decoder at e as if e were its input; ∂/∂z = that at e, plus 2β (z − e) / N.
    z: Tensor = model.encoder(x)
    e, indices = model.codebook(z.detach())
    leaf = e.detach().requires_grad_()
    distortion = -0.1 * model.decoder(leaf).log_prob(x).mean()
    to_decoder, to_e = torch.autograd.grad(distortion, [parameters[2], leaf])
    positions = math.prod(GRID)
    pull = 2 * 0.25 * (z - e).detach() / (positions * len(x))
    (to_encoder,) = torch.autograd.grad(z, parameters[0], to_e + pull)
    apart = (e - z).detach().flatten(2).transpose(1, 2).flatten(0, 1)
    to_entries = torch.zeros(K, DIM).double().index_add(0, indices.flatten(), 2 * apart)
    assert_close(got[0], to_encoder)
    assert_close(got[1], to_entries / (positions * len(x)))
    assert_close(got[2], to_decoder)


def test_the_averaged_codebook_has_no_gradient() -> None:
    model = linear(running(AveragedCodebook, numbers(K, DIM), torch.ones(K)))
    assert list(model.codebook.parameters()) == []
    terms = model.negative_elbo(numbers(5, 1, 4, 4), picks=torch.zeros(K).double())
    assert not terms["codebook"].requires_grad
    assert_close(terms["codebook"], terms["commitment"])


def test_terms_are_nats_and_the_score_is_the_bound() -> None:
    model = linear(running(AveragedCodebook, numbers(K, DIM), torch.ones(K)))
    x = numbers(5, 1, 4, 4, seed=3)
    terms = model.negative_elbo(x, picks=torch.zeros(K).double())
    assert_close(terms["rate"], torch.full((5,), 4 * math.log(K)).double())
    assert_close(model.score(x), -terms["distortion"] - terms["rate"])
    z, (e, _) = model.encoder(x), model.quantise(x)
    assert_close(terms["commitment"], (z - e).square().sum(1).mean((1, 2)))


# State


def test_averages_are_the_paper_s() -> None:
    entries, counts = numbers(K, DIM, seed=4), torch.rand(K).double() + 0.5
    codebook = running(AveragedCodebook, entries, counts)
    n, m = counts.numpy().copy(), (entries * counts[:, None]).numpy().copy()
    for step in range(3):
        z = numbers(8, DIM, *GRID, seed=5 + step)
        vectors = z.flatten(2).transpose(1, 2).flatten(0, 1).numpy()
        own = np.square(vectors[:, None] - (m / n[:, None])[None]).sum(2).argmin(1)
        one = np.eye(K)[own]
        n, m = DECAY * n + (1 - DECAY) * one.sum(0) / 8, DECAY * m + (1 - DECAY) * one.T @ vectors / 8
        stepped(codebook, z, torch.zeros(K).double())
        assert_close(codebook.entries(), torch.from_numpy(m / n[:, None]))


@pytest.mark.parametrize("kind", [LearnedCodebook, AveragedCodebook])
def test_the_batch_size_changes_nothing(kind: type[Codebook]) -> None:
    z = numbers(8, DIM, *GRID, seed=5)
    once, twice = (running(kind, numbers(K, DIM, seed=4), torch.ones(K)) for _ in range(2))
    if isinstance(twice, LearnedCodebook) and isinstance(once, LearnedCodebook):
        twice.load_state_dict(once.state_dict())
    picks = torch.zeros(K).double()
    stepped(once, z, picks)
    stepped(twice, torch.cat([z, z]), picks)
    for name, value in once.state_dict().items():
        assert_close(twice.state_dict()[name], value)


def test_sums_are_exact_under_autocast() -> None:
    z, picks = numbers(8, DIM, *GRID).float(), torch.zeros(K)
    codebook: Any = running(AveragedCodebook, numbers(K, DIM), torch.ones(K)).float()
    _, indices = codebook(z)
    plain = codebook.proposals(z, indices, picks)["sums"]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(codebook.proposals(z, indices, picks)["sums"], plain)


@pytest.mark.parametrize("kind", [LearnedCodebook, AveragedCodebook])
def test_the_start_is_k_means(kind: type[Codebook]) -> None:
    codebook = kind(K, DIM).double()
    centres = 4 * numbers(K, DIM, seed=6)
    z = centres[torch.arange(40 * 4) % K] + 0.1 * numbers(160, DIM, seed=7)
    z = z.view(40, 4, DIM).transpose(1, 2).reshape(40, DIM, *GRID)
    picks = torch.rand(K, generator=torch.Generator().manual_seed(1)).double()
    codebook.decay = DECAY
    stepped(codebook, z, picks)
    vectors = z.flatten(2).transpose(1, 2).flatten(0, 1)
    rows = ((picks.argsort() + picks) * 160 / K).long()
    reference = KMeans(K, init=vectors[rows].numpy(), n_init=1, max_iter=10, tol=0).fit(vectors.numpy())
    assert_close(codebook.entries().detach(), torch.from_numpy(reference.cluster_centers_))
    assert_close(codebook.counts.sum(), torch.tensor(4.0).double())  # positions an example


@pytest.mark.parametrize("kind", [LearnedCodebook, AveragedCodebook])
def test_dead_entries_are_put_on_different_vectors_of_the_batch(kind: type[Codebook]) -> None:
    entries, counts = numbers(K, DIM, seed=4), torch.ones(K).double()
    share = 4 / K
    entries[[1, 4]] += 100  # nobody chooses them
    counts[[1, 4]] = 0.9 * DEAD * share
    codebook = running(kind, entries, counts)
    z, picks = numbers(8, DIM, *GRID, seed=8), torch.rand(K).double()
    stepped(codebook, z, picks)
    vectors = z.flatten(2).transpose(1, 2).flatten(0, 1)
    apart, which = torch.cdist(codebook.entries()[[1, 4]], vectors).min(1)
    assert_close(apart, torch.zeros(2).double(), rtol=0, atol=1e-6)
    assert which[0] != which[1]
    assert_close(codebook.counts[[1, 4]], torch.full((2,), share).double())
    if kind is LearnedCodebook:
        alive = [0, 2, 3, 5]
        assert_close(codebook.entries()[alive], entries[alive])


def test_dead_entries_come_to_life_in_training(tmp_path: Path) -> None:
    data = datasets()[1]
    system = reparam.build("vqvae-ema", data, size=16, dim=4, width=16, decay=0.5)
    codebook: Any = system.model.codebook
    codebook.counts.fill_(1.0)  # started, and nobody is near it
    codebook.sums.add_(100)
    x = pictures(48)
    assert len(system.model.indices(x).unique()) < 8
    reparam.train(system, tmp_path / "run", steps=30, batch_size=20, device="cpu")
    assert len(system.model.indices(x).unique()) > 12


def test_evaluation_moves_no_codebook() -> None:
    system = built("vqvae-ema")
    before = {name: t.clone() for name, t in system.model.state_dict().items()}
    x = pictures(8)
    for use in (system.score, system.reconstruct, system.encode):
        use(x)
    system.sample(4)
    for name, t in system.model.state_dict().items():
        assert torch.equal(t, before[name])


# Networks


@pytest.mark.parametrize("size", [(13, 9), (12, 12), (64, 64), (5, 7)])
def test_grids_of_any_image(size: tuple[int, int]) -> None:
    sizes = halved(size)
    assert min(sizes[-1]) <= 8
    x = torch.rand(2, 3, *size)
    z = GridEncoder((3, *size), sizes, DIM, 8)(x)
    assert z.shape == (2, DIM, *sizes[-1])
    assert GridDecoder((3, *size), sizes, DIM, 8)(z).shape == x.shape
    assert len(halved(size, 2)) == 3


def priors(size: int, grid: tuple[int, int]) -> list[nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = [PixelCNN(size, grid, 8, 4), CausalTransformer(size, math.prod(grid), 8, 2, 2)]
        for p in (p for net in made for p in net.parameters()):
            p.data += 0.3 * torch.randn_like(p)
    return [net.double() for net in made]


@pytest.mark.parametrize("which", [0, 1], ids=["pixelcnn", "transformer"])
def test_logits_see_all_that_came_before_and_nothing_else(which: int) -> None:
    net = priors(5, (4, 3))[which]
    codes = torch.arange(12)[None] * 7 % 5
    logits = net(codes)
    for j in range(12):
        other = codes.clone()
        other[0, j] = (other[0, j] + 1) % 5
        moved = (net(other) - logits).abs().amax(2)[0] > 0
        assert moved.tolist() == [i > j for i in range(12)], j
    assert_close(net(codes[:, :6]), logits[:, :6])  # the first rows alone give the same


@pytest.mark.parametrize("which", [0, 1], ids=["pixelcnn", "transformer"])
def test_the_prior_is_a_law_and_samples_follow_it(which: int) -> None:
    """Its probabilities over all 3⁴ grids add to one, and are the frequencies of samples."""

    class Labels(nn.Module):
        grid, size = (2, 2), 3

        def indices(self, x: Tensor) -> Tensor:
            return x.long()

        def of_indices(self, indices: Tensor) -> Tensor:
            return indices

    model = CodePrior(Labels(), priors(3, (2, 2))[which])
    every = torch.tensor(list(itertools.product(range(3), repeat=4)))
    law = torch.exp(-model.cross_entropy(every)["rate"]).detach()
    assert_close(law.sum(), torch.tensor(1.0).double())
    n = 20_000
    gumbel = reparam.noise.Streams(0).draw("gumbel", model.noise()["gumbel"], n, 0).double()
    with torch.no_grad():
        drawn = model.sample(gumbel=gumbel)
    counts = (drawn @ torch.tensor([27, 9, 3, 1])).bincount(minlength=81)
    deviation = (counts - n * law) / (n * law * (1 - law)).sqrt()
    assert float(deviation.abs().max()) < 5


# Two stages


@pytest.fixture
def first(tmp_path: Path) -> Path:
    reparam.train(built("vqvae-ema"), tmp_path / "first", steps=3, batch_size=16, device="cpu")
    return tmp_path / "first"


def second(stage1: object, network: str = "pixelcnn", seed: int = 3) -> System:
    return reparam.build("vq-prior", datasets()[1], stage1=stage1, network=network, width=16, seed=seed)


@pytest.mark.parametrize("network", ["pixelcnn", "transformer"])
def test_the_second_stage_stands_alone(first: Path, tmp_path: Path, network: str) -> None:
    weights = reparam.load(first).model.state_dict()
    whole = reparam.train(second(first, network), tmp_path / "whole", steps=6, batch_size=16, device="cpu")
    reparam.train(second(str(first), network), tmp_path / "parts", steps=3, batch_size=16, device="cpu")
    shutil.rmtree(first)
    resumed(second(whole.settings["stage1"], network), tmp_path / "parts", steps=6)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    loaded = reparam.load(tmp_path / "whole")
    assert torch.equal(loaded.sample(5, 2), whole.sample(5, 2))
    for name, t in weights.items():
        assert torch.equal(loaded.model.state_dict()[f"frozen.model.{name}"], t), name
    kept = json.loads((tmp_path / "whole" / "system.json").read_text())["settings"]["stage1"]
    assert (kept["name"], kept["settings"]["width"]) == ("vqvae-ema", 16)


def test_the_second_stage_encodes_as_the_first(first: Path) -> None:
    one, two = reparam.load(first), second(first)
    x = pictures(6)
    assert torch.equal(two.encode(x), one.encode(x))
    assert torch.equal(two.reconstruct(x), one.reconstruct(x))
    between = two.interpolate(x[:3], x[3:])
    assert_close(between[:, 0], one.reconstruct(x[:3]))
    assert_close(between[:, -1], one.reconstruct(x[3:]))


def test_a_prior_that_knows_nothing_costs_what_the_uniform_one_does(first: Path) -> None:
    one, two = reparam.load(first), second(first)
    two.model.prior.logits.weight.data.zero_()
    two.model.prior.logits.bias.data.zero_()
    x = pictures(6)
    assert_close(two.score(x), one.score(x))


def test_a_frozen_model_stays_as_it_is_while_others_train() -> None:
    frozen = Frozen(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))
    nn.ModuleList([frozen]).train()
    assert not any(module.training for module in frozen.modules())
    assert not any(p.requires_grad for p in frozen.parameters())


def test_two_stages_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*words: object) -> int:
        return main([str(word) for word in words])

    small = ("--data", "digits", "--steps", "2", "--batch-size", "8", "--set", "width=8")
    one, two = tmp_path / "one", tmp_path / "two"
    assert told("train", "vqvae", "--out", one, *small, "size=16", "dim=4") == 0
    assert told("train", "vq-prior", "--out", two, *small, f"stage1={one}") == 0
    shutil.rmtree(one)
    assert told("sample", two, "--n", 4, "--npz", tmp_path / "x.npz") == 0
    assert np.load(tmp_path / "x.npz")["x"].shape == (4, 1, 28, 28)
    assert told("train", "vq-prior", "--out", tmp_path / "three", *small, f"stage1={one}") == 2
    assert "there is no system.json" in capsys.readouterr().err
    assert told("train", "vq-prior", "--out", tmp_path / "three", *small) == 2
    assert "set stage1=RUN" in capsys.readouterr().err


def test_what_is_no_first_stage_is_said(tmp_path: Path) -> None:
    data = datasets()[1]
    with pytest.raises(ReparamError, match=r"cannot be trained without .*stage1=RUN"):
        reparam.train(reparam.build("vq-prior", data, width=16), tmp_path / "run", steps=2)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ReparamError, match=r"there is no system\.json"):
        second(tmp_path)
    with pytest.raises(ReparamError, match="5 is no first stage"):
        second(5)
    with pytest.raises(ReparamError, match="a vae, which has no discrete codes"):
        reparam.build("vq-prior", datasets()[0], stage1=built("vae"))
    other = reparam.data.load({"x": np.zeros((20, 1, 9, 9), np.uint8)})
    with pytest.raises(ReparamError, match="give the data of the first stage"):
        reparam.build("vq-prior", other, stage1=built("vqvae"))
    with pytest.raises(ReparamError, match="a grid over an image"):
        reparam.build("vqvae", datasets()[0])


def test_evaluation_takes_codes_that_are_grids(first: Path) -> None:
    found = Yardstick(datasets()[1]).measure(reparam.load(first))
    assert found["code_use"].value is not None
    assert found["probe"].value is not None
