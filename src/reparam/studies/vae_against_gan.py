"""Where a model cannot have everything, what does a VAE give up, and what a GAN?"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import reparam
from reparam.data import Data
from reparam.data import load as load_data
from reparam.metrics.modes import modes
from reparam.noise import Categorical, Normal, Streams
from reparam.report.pictures import scatter
from reparam.studies.study import Study, play, trainer
from reparam.system import System

APART, STD = 2.0, 0.15  # half the way between the two modes that one Gaussian is to fit, and the σ of all
TWO = torch.tensor([[-APART, 0.0], [APART, 0.0]])
TURN = torch.arange(8) * (torch.pi / 4)
RING = 3 * torch.stack([TURN.cos(), TURN.sin()], 1)
RATES: dict[str, Any] = {"lr": 3e-3, "generator_lr": 3e-3}  # slower ones stay long on the way to one mode
SAMPLES, SHOWN = 10_000, 1500


class Contest(NamedTuple):
    """Centres of modes, (k, 2), and what builds both systems for data of them by a seed."""

    centres: Tensor
    built: Callable[[Data, int], dict[str, System]]


def vae_against_gan(*, steps: int = 3000, seeds: int = 3, seed: int = 0) -> Study:
    """Where a model cannot have everything, what does a VAE give up, and what a GAN?

    First each is one Gaussian, and the data have two modes: a bound on the likelihood makes the VAE cover
    both, and with them the gap, while the GAN's adversary lets it pick one. Then both have the same hidden
    layers, and the data are a ring of eight modes. Samples of the VAE are draws of p(x), noise included.

    Args:
        steps: of each training.
        seeds: how many trainings of each, from `seed` on.
        seed: the first.

    Raises ReparamError for fewer than one of either.
    """
    if min(steps, seeds) < 1:
        raise reparam.ReparamError(f"vae-against-gan: steps={steps}, seeds={seeds}; give 1 at least.")
    contests = {"gaussian": Contest(TWO, _gaussians), "ring": Contest(RING, _hidden)}
    numbers, pictures = {}, {}
    for contest, (centres, built) in contests.items():
        data, rows = mixture(centres, seed), list[dict[str, Any]]()
        for s in range(seed, seed + seeds):
            for name, system in built(data, s).items():
                play(trainer(system, batch_size=128, seed=s), steps)
                x = samples(system, SAMPLES, s)
                found = {key: m.value for key, m in modes(x, centres, sigma=STD, seed=s).items()}
                rows.append({"model": name, "seed": s, **found, "between": _between(x)})
                if s == seed:
                    pictures[f"{contest}-{name}"] = scatter(
                        x[:SHOWN], prior=data.train.x[:SHOWN], under="data", limits=(-5, 5, -5, 5), size=280
                    )
        numbers[contest] = {
            "modes_of_data": len(centres),
            "between_in_data": _between(data.train.x),
            "rows": rows,
        }
    question = "Where a model cannot have everything, what does a VAE give up, and what a GAN?"
    told = {"steps": steps, "seeds": seeds, "seed": seed, "samples": SAMPLES}
    return Study("vae-against-gan", question, _answer(numbers), told, numbers, pictures)


def mixture(centres: Tensor, seed: int, n: int = 10_000) -> Data:
    """Gaussians of one σ about centres (k, 2), all equally likely."""
    streams = Streams(seed)
    mode = streams.draw("mode", Categorical((), len(centres)), n, 0)
    return load_data(centres[mode] + STD * streams.draw("around", Normal((2,)), n, 0), standardise=False)


def samples(system: System, n: int, seed: int) -> Tensor:
    """Draws of p(x): (n, 2); of a decoder with noise, noise included."""
    if not system.can("decoder"):
        return system.sample(n, seed)
    model: Any = system.model
    streams = Streams(seed)
    z, noise = (streams.draw(name, Normal((d,)), n, -1) for name, d in (("z", model.latent), ("noise", 2)))
    with torch.no_grad():
        return model.decoder(z).at(noise)


def _gaussians(data: Data, seed: int) -> dict[str, System]:
    """One Gaussian each: a linear map of a normal code, with noise in the VAE and without in the GAN."""
    with Streams(seed).ambient("generator"):
        linear = nn.Linear(2, 2)
    return {
        "vae": reparam.build("linear-vae", data, latent=1, seed=seed),
        "gan": reparam.build("gan", data, latent=2, generator=linear, width=64, seed=seed, **RATES),
    }


def _hidden(data: Data, seed: int) -> dict[str, System]:
    """The same hidden layers for the VAE's decoder and for the GAN's generator."""
    common: dict[str, Any] = {"latent": 2, "width": 64, "seed": seed}
    return {
        "vae": reparam.build("vae", data, lr=3e-3, **common),
        "gan": reparam.build("gan", data, **RATES, **common),
    }


def _between(x: Tensor) -> float:
    """The share of points nearer to the middle between the two modes than to either."""
    return (x[:, 0].abs() < APART / 2).double().mean().item()


def _answer(numbers: dict[str, Any]) -> tuple[str, ...]:
    def mean(contest: str, model: str, key: str) -> float:
        values = [row[key] for row in numbers[contest]["rows"] if row["model"] == model]
        return sum(values) / len(values)

    def both(contest: str) -> str:
        return "; ".join(
            f"the {model.upper()} finds {mean(contest, model, 'modes'):.1f} of "
            f"{numbers[contest]['modes_of_data']} modes, and {mean(contest, model, 'quality'):.0%} of its "
            "samples lie at one"
            for model in ("vae", "gan")
        )

    gap = {model: mean("gaussian", model, "between") for model in ("vae", "gan")}
    return (
        f"One Gaussian for two modes: {both('gaussian')}. The VAE covers and averages: {gap['vae']:.0%} of "
        f"its samples lie in the gap, where {numbers['gaussian']['between_in_data']:.1%} of the data are; of "
        f"the GAN's, {gap['gan']:.0%}.",
        f"Hidden layers for a ring of eight: {both('ring')}.",
    )
