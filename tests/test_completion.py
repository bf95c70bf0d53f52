"""Filling in what is missing: against an exact conditional mean, and what is a mask."""

import pytest
import torch
from torch.testing import assert_close

import reparam
from reparam.data import load
from reparam.errors import ReparamError
from reparam.masks import missing
from reparam.models.ppca import PPCA
from reparam.noise import Control

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))


def test_the_chain_of_a_linear_model_ends_at_the_conditional_mean():
    """Probabilistic PCA's p(x) is a Gaussian, whose E[missing | known] has a closed form."""
    system = reparam.build("ppca", load(X, standardise=False), latent=2)
    model = system.model.double()
    assert isinstance(model, PPCA)
    gone = torch.tensor([True, True, False, False, False, False])
    x = X.double()
    # The law itself, from what the decoder does to codes.
    mean = system.decode(torch.zeros(1, 2).double())[0]
    w = (system.decode(torch.eye(2).double()) - mean).T
    noise = torch.exp(2 * model.decoder(torch.zeros(1, 2).double()).log_std.flatten()[0])
    joint = w @ w.T + noise * torch.eye(6)
    known = torch.linalg.solve(joint[~gone][:, ~gone], (x - mean)[:, ~gone].T)
    expected = mean[gone] + (joint[gone][:, ~gone] @ known).T
    for seed in (0, 1):  # wherever it starts
        made = system.complete(x, gone, rounds=500, seed=seed)
        assert_close(made[:, gone], expected, rtol=1e-4, atol=1e-6)
        assert torch.equal(made[:, ~gone], x[:, ~gone])


def test_fill_is_where_a_chain_starts():
    system = reparam.build("autoencoder", load(X), latent=2, width=8)
    one, other = (system.complete(X, torch.arange(6) < 3, rounds=1, seed=seed) for seed in (0, 1))
    assert not torch.equal(one, other)
    held = [system.complete(X, torch.arange(6) < 3, rounds=1, seed=s, pin={"fill": 0.5}) for s in (0, 1)]
    assert torch.equal(*held)


def test_what_cannot_be_completed_is_refused():
    system = reparam.build("autoencoder", load(X), latent=2, width=8)
    for bad in (torch.zeros(6), torch.ones(6)):
        with pytest.raises(ReparamError, match="must be missing"):
            system.complete(X, bad)
    with pytest.raises(ReparamError, match=r"missing has shape \(5,\)"):
        system.complete(X, torch.ones(5))
    with pytest.raises(ReparamError, match="gan has no encoder"):
        reparam.build("gan", load(X), latent=2, width=8).complete(X, torch.arange(6) < 3)


@pytest.mark.parametrize("where", ["left", "right", "top", "bottom", "center", "box"])
@pytest.mark.parametrize("shape", [(1, 8, 12), (3, 7, 5)])
def test_a_mask_takes_a_half_or_a_quarter(where: str, shape: tuple[int, ...]):
    height, width = shape[1:]
    gone = missing(where, 50, shape)
    assert gone.shape == (50, 1, height, width)
    area = {"left": height * (width // 2), "right": height * (width - width // 2)}
    area |= {"top": width * (height // 2), "bottom": width * (height - height // 2)}
    assert (gone.flatten(1).sum(1) == area.get(where, (height // 2) * (width // 2))).all()
    if where == "box":  # every place can be drawn, and none is out of the picture
        assert gone.any(0).all()
        assert torch.equal(missing(where, 50, shape, Control(0)), gone)
