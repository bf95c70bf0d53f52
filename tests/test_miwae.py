"""MIWAE: its bound against the ELBO and IWAE, its imputations against closed forms; data with holes."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import reparam
from reparam import cli
from reparam.data import load
from reparam.distributions import Bernoulli, ContinuousBernoulli, DiscretisedLogistic, Gaussian
from reparam.errors import ReparamError
from reparam.evaluate import evaluate
from reparam.models.iwae import IWAE
from reparam.models.miwae import MIWAE
from reparam.models.ppca import PPCA
from reparam.models.ppca_em import fit_missing, log_prob_observed
from reparam.models.vae import VAE
from reparam.nets import heads
from reparam.nets.missing import ZeroFilled

D, LATENT = 5, 2


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def holed(x: Tensor, share: float = 0.3, seed: int = 0) -> Tensor:
    """x with holes; the first number of each row stays."""
    gone = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < share
    gone[:, 0] = False
    return torch.where(gone, torch.nan, x)


def plane(n: int, seed: int = 0) -> Tensor:
    """Data near a plane in D dimensions."""
    return randn(n, LATENT, seed=seed) @ randn(LATENT, D, seed=9) + 0.3 * randn(n, D, seed=seed + 1) + 0.5


def model(decoder: nn.Module, draws: int = 5) -> MIWAE:
    """An encoder that nobody trained, wider than any posterior, and that decoder."""
    code = heads.SharedGaussianCode(D, LATENT).double()
    with torch.no_grad():
        code.linear.weight.copy_(0.1 * randn(LATENT, D, seed=8))
        code.linear.bias.zero_()
    return MIWAE(nn.Sequential(ZeroFilled(), code), decoder, LATENT, (D,), draws=draws)


def linear(x: Tensor) -> tuple[MIWAE, PPCA]:
    """The linear model of highest likelihood of data with holes, as a MIWAE and as itself."""
    ppca = fit_missing(x, LATENT)
    return model(ppca.decoder), ppca


def conditional(ppca: PPCA, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """E[x | what is known], and the covariance of what is not, by the joint Gaussian."""
    mean = ppca.decode(torch.zeros(1, LATENT).double()).detach()[0]
    w = (ppca.decode(torch.eye(LATENT).double()).detach() - mean).T
    noise = torch.exp(2 * ppca.decoder(torch.zeros(1, LATENT).double()).log_std.flatten()[0]).detach()
    joint = w @ w.T + noise * torch.eye(D)
    filled, spreads = x.clone(), []
    for row in filled:
        gone = row.isnan()
        share = torch.linalg.solve(joint[~gone][:, ~gone], joint[~gone][:, gone]).T
        row[gone] = mean[gone] + share @ (row - mean)[~gone]
        spreads.append(joint[gone][:, gone] - share @ joint[~gone][:, gone])
    return filled, spreads


class Given(nn.Module):
    """An encoder of one answer."""

    def __init__(self, q: Gaussian) -> None:
        super().__init__()
        self.q = q

    def forward(self, x: Tensor) -> Gaussian:
        return self.q


# The bound


def test_where_nothing_is_missing_it_is_iwae():
    miwae = model(fit_missing(plane(50), LATENT).decoder, draws=7)
    iwae = IWAE(miwae.encoder, miwae.decoder, LATENT, draws=7)
    x, eps = plane(20, seed=3), randn(20, 7, LATENT)
    ours, theirs = miwae.negative_bound(x, eps=eps), iwae.negative_bound(x, eps=eps)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert_close(ours[name], theirs[name])
    assert_close(miwae.log_weights(x, eps=eps), iwae.log_weights(x, eps=eps))


def test_one_draw_is_the_elbo_of_what_was_observed():
    """That of a VAE of the observed dimensions alone, whose decoder makes no others."""
    miwae, ppca = linear(holed(plane(100)))
    x = plane(6, seed=5)
    seen = torch.tensor([True, False, True, True, False])
    first = ppca.decoder[0]  # pyright: ignore[reportIndexIssue]
    small = nn.Linear(LATENT, 3).double()
    with torch.no_grad():
        small.weight.copy_(first.weight[seen])
        small.bias.copy_(first.bias[seen])
    x_holed, eps = torch.where(seen, x, torch.nan), randn(6, 1, LATENT)
    noise = ppca.decoder[2]  # pyright: ignore[reportIndexIssue]
    vae = VAE(Given(miwae.encoder(x_holed)), nn.Sequential(small, noise), LATENT)
    ours = miwae.negative_bound(x_holed, eps=eps)
    theirs = vae.negative_elbo(x[:, seen], eps=eps)
    assert_close(ours["distortion"], theirs["distortion"])
    assert_close(ours["rate"], theirs["rate"])
    assert_close(-ours["bound"], vae.log_weights(x[:, seen], eps=eps)[:, 0])


def test_the_bound_grows_with_the_draws_up_to_the_likelihood_of_what_was_observed():
    x = holed(plane(200))
    miwae, ppca = linear(x)
    exact = float(log_prob_observed(ppca, x).mean())
    found = [
        float(miwae.score(x, eps=randn(200, k, LATENT, seed=k)).mean().detach()) for k in (1, 5, 50, 2000)
    ]
    assert found == sorted(found)
    assert found[0] < exact - 0.3
    assert_close(found[-1], exact, rtol=0, atol=0.1)


def test_no_hole_comes_back_in_a_gradient():
    miwae, _ = linear(holed(plane(50)))
    x, eps = holed(plane(8, seed=2)), randn(8, 5, LATENT)
    term = miwae.negative_bound(x, eps=eps)["bound"].mean()
    for gradient in torch.autograd.grad(term, [p for p in miwae.parameters() if p.requires_grad]):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("law", [Gaussian, Bernoulli, ContinuousBernoulli, DiscretisedLogistic])
def test_the_densities_of_each_dimension_add_up(law: type):
    x = torch.rand(4, 1, 3, 2, generator=torch.Generator().manual_seed(0))
    p = law(0.3 * x) if law in (Bernoulli, ContinuousBernoulli) else law(x.flip(3), torch.tensor(-1.0))
    each = p.of_each(x)
    assert each.shape == x.shape
    assert_close(each.flatten(1).sum(1), p.log_prob(x))


# Imputation


def test_imputations_are_the_conditional_mean():
    x = holed(plane(30, seed=4))
    miwae, ppca = linear(holed(plane(400)))
    expected, _ = conditional(ppca, x)
    made = miwae.impute(x, eps=randn(30, 50_000, LATENT))
    assert_close(made, expected, rtol=0, atol=0.05)
    assert torch.equal(made[~x.isnan()], x[~x.isnan()])


def test_single_imputations_are_draws_of_the_conditional_law():
    one = torch.tensor([[0.8, torch.nan, torch.nan, -0.5, 1.1]]).double()
    miwae, ppca = linear(holed(plane(400)))
    expected, (spread,) = conditional(ppca, one)
    n = 4000
    pick = torch.rand(n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x, eps, grain = one.expand(n, -1), randn(n, 200, LATENT, seed=2), randn(n, D, seed=3)
    made = miwae.impute_once(x, eps=eps, pick=pick, grain=grain)
    gone = one[0].isnan()
    assert_close(made.mean(0), expected[0], rtol=0, atol=0.05)
    assert_close(made[:, gone].T.cov(), spread, rtol=0.1, atol=0.03)
    assert torch.equal(made[:, ~gone], x[:, ~gone])


def test_a_system_imputes_in_pieces_and_by_its_seed(monkeypatch: pytest.MonkeyPatch):
    data = load(holed(plane(100)).numpy(), missing=True)
    system, x = reparam.build("miwae", data, latent=2, width=8), data.train.x[:10]
    made = system.impute(x, draws=50, seed=1)
    assert torch.equal(made, system.impute(x, draws=50, seed=1))
    assert not torch.equal(made, system.impute(x, draws=50, seed=2))
    assert not torch.equal(*(system.impute(x, draws=50, once=True, seed=seed) for seed in (1, 2)))
    assert not made.isnan().any()
    monkeypatch.setattr("reparam.system.AT_ONCE", 600)
    assert_close(system.impute(x, draws=50, seed=1).nan_to_num(9), made, rtol=0, atol=2.0)
    with pytest.raises(ReparamError, match="draws=0"):
        system.impute(x, draws=0)
    with pytest.raises(ReparamError, match=r"vae has no imputation; systems that have one: miwae\."):
        reparam.build("vae", load(plane(100).numpy()), latent=2, width=8).impute(x)


def test_training_comes_near_the_best_linear_model(tmp_path: Path):
    """Of data that are linear: near the likelihood of EM's optimum, and of its imputations."""
    whole = plane(2000)
    data = load(
        {"x_train": holed(whole).numpy(), "x_test": holed(plane(200, 7), seed=7).numpy()}, missing=True
    )
    system = reparam.build("miwae", data, latent=2, width=32, draws=5, lr=1e-2)
    reparam.train(system, tmp_path / "run", steps=400, batch_size=100)
    best = fit_missing(data.train.x.double(), LATENT)
    x = data.test.x
    reached = system.model.score(x, eps=randn(200, 200, LATENT).float()).mean().item()  # pyright: ignore
    assert reached > float(log_prob_observed(best, x.double()).mean()) - 0.4
    expected, _ = conditional(best, x.double())
    gone = x.isnan()
    off = (system.impute(x, draws=200) - expected)[gone].square().mean()
    assert off < 0.1 * expected[gone].square().mean()


# Data with holes


def table(n: int = 60) -> np.ndarray:
    return holed(plane(n)).numpy()


def test_loading_data_with_holes():
    x = 3 * table(200) + 1
    data = load(x, missing=True)
    rows = torch.cat([data.train.x, data.validation.x, data.test.x])
    assert_close(data.missing, float(np.isnan(x).mean()))
    assert_close(float(rows.isnan().double().mean()), data.missing)
    assert "missing)" in repr(data)
    assert_close(data.train.x.nanmean(0), torch.zeros(D), rtol=0, atol=1e-6)
    assert_close(data.destandardise(rows).nanmean(0), torch.tensor(np.nanmean(x, 0)).float())
    assert load(x, missing=True).fingerprint == data.fingerprint
    bits = np.where(np.isnan(x), np.nan, x > 0)
    assert load(bits, missing=True).levels == "binary"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda x: x.__setitem__(np.s_[:, 1:], np.nan),
            "80% of the numbers are missing, more than",
        ),
        (lambda x: x.__setitem__(7, np.nan), r"nothing was observed of row 7 \(from 0\) of train"),
        (lambda x: x.__setitem__((2, 1), np.inf), "holds inf in row 2"),
    ],
)
def test_holes_that_are_too_many(spoil, message: str):
    x = plane(50).numpy()
    spoil(x)
    with pytest.raises(ReparamError, match=message):
        load(x, missing=True)


def test_a_column_without_numbers_is_named(tmp_path: Path):
    path = tmp_path / "holes.csv"
    path.write_text("a,b,c\n" + "1,,2\n3,,4\n" * 10)
    with pytest.raises(ReparamError, match="nothing was observed of column b"):
        load(path, missing=True)


def test_models_that_take_no_holes_say_so():
    with pytest.raises(ReparamError, match=r"vae takes no data with holes: take miwae"):
        reparam.build("vae", load(table(), missing=True))
    with pytest.raises(ReparamError, match="or train a model of data with holes"):
        load(table())
    assert reparam.build("miwae", table(), width=8).data.missing > 0.1


def test_a_table_with_holes_from_training_to_completion(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path, run, out = tmp_path / "table.csv", str(tmp_path / "run"), tmp_path / "filled.csv"
    rows = [",".join("" if math.isnan(v) else f"{v:.6f}" for v in row) for row in 10 + table(100)]
    path.write_text("a,b,c,d,e\n" + "\n".join(rows) + "\n")
    settings = ["latent=2", "width=8", "draws=3"]
    assert (
        cli.main(["train", "miwae", "--data", str(path), "--out", run, "--steps", "5", "--set", *settings])
        == 0
    )
    assert cli.main(["complete", run, "--split", "all", "--draws", "20", "--out", str(out)]) == 0
    filled = np.genfromtxt(out, delimiter=",", names=True)
    assert len(filled) == 100
    x, made = (np.stack([filled[f"{what}{i}"] for i in range(D)], 1) for what in ("x", "completed"))
    assert not np.isnan(made).any()
    np.testing.assert_allclose(made[~np.isnan(x)], x[~np.isnan(x)], rtol=0, atol=1e-4)
    assert 5 < made.mean() < 15  # in the units of the file
    assert cli.main(["complete", run, "--mask", "left"]) == 2
    assert "a mask is for pictures" in capsys.readouterr().err
    assert cli.main(["train", "vae", "--data", str(path), "--out", str(tmp_path / "other")]) == 2
    assert "holds nan in row" in capsys.readouterr().err
    found = evaluate(run, n=8).measures
    assert {"imputation", "likelihood", "elbo", "rate", "distortion"} <= set(found)
    assert found["imputation"].n > 0
    assert found["likelihood"].value is not None
    assert cli.main(["diagnose", run]) in (0, 1)
    assert cli.main(["data", "show", str(path)]) == 0
    said = capsys.readouterr().out
    assert "errors with own codes" not in said
    assert f"{np.isnan(x).mean():.1%} of the numbers" in said


def test_a_mask_of_pictures_is_filled_by_weighed_draws(tmp_path: Path):
    pictures = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)).round()
    data, run = load(pictures), tmp_path / "run"
    np.savez(tmp_path / "x.npz", x=pictures.numpy())
    reparam.train(reparam.build("miwae", data, latent=2, width=16, draws=2), run, steps=3)
    asked = ["complete", str(run), "--data", str(tmp_path / "x.npz"), "--draws", "10", "--n", "3", "--once"]
    assert cli.main([*asked, "--out", str(tmp_path / "filled.npz")]) == 0
    with np.load(tmp_path / "filled.npz") as file:
        assert np.isin(file["completed"], (0, 1)).all()  # draws of bits
        assert (file["completed"][..., :4] == file["x"][..., :4]).all()
