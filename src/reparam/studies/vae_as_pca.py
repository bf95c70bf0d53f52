"""What has a VAE to do with principal component analysis?"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import reparam
from reparam.data import Data
from reparam.data import load as load_data
from reparam.metrics.active_units import active_units
from reparam.metrics.principal_angles import principal_angles
from reparam.models.ppca import active, affine, fit, spectrum
from reparam.noise import Normal, Streams
from reparam.optimisers import Adam
from reparam.report.pictures import grid
from reparam.report.plots import Line, lines
from reparam.schedules import Cosine
from reparam.studies.study import Study, play, spaced, trainer
from reparam.system import System
from reparam.trainer import Trainer

EIGENVALUES = (4.855, 3.020, 1.537, 1.103, 0.416, 0.299, 0.205, 0.101)
LATENT = 4
VARIANCES = (0.5, 1.0, 1.3, 2.0, 4.0, 6.0)  # of noise, between the eigenvalues and beyond them


def vae_as_pca(*, steps: int = 3000, examples: int = 4000, seed: int = 0) -> Study:
    """What has a VAE to do with principal component analysis?

    A linear VAE learns from data of a known covariance, and from digits; its columns are laid beside the
    principal directions. Then σ² is held, and counted which directions collapse. Last, a VAE of hidden
    layers: are the columns of its decoder's slope orthogonal, as those of PCA are? Under a posterior of full
    covariance nothing asks it to be.

    Args:
        steps: of each training.
        examples: of the known covariance.
        seed: of everything random.

    Raises ReparamError for too few steps or examples.
    """
    if steps < 10 or examples < 100:
        raise reparam.ReparamError(
            f"vae-as-pca: steps={steps} and examples={examples}; give 10 and 100 at least."
        )
    x = known_covariance(examples, seed)
    data = load_data(x, standardise=False, seed=seed)
    learned, angles = _subspace(data, steps, seed)
    collapse, counts = _collapse(data, steps, seed)
    digits, directions = _digits(steps, seed)
    slopes, matrices = _slopes(steps, seed)
    answer = (
        f"The space that the linear VAE's decoder spans is PCA's: the largest principal angle is "
        f"{learned['largest_angle']:.2g}°. Its ELBO, {learned['elbo']:.4f} nats, has reached the highest "
        f"log-likelihood of any such model, {learned['log_likelihood']:.4f}: its posterior is exact.",
        f"Its columns are the principal directions themselves, to {learned['largest_turn']:.2g}°: PCA's "
        "likelihood does not mind a rotation of the code, but a posterior of independent dimensions does.",
        "A direction is used where its eigenvalue is above σ², and collapses where it is not: with σ² "
        f"{', '.join(f'{v:g}' for v in VARIANCES)} it uses {', '.join(map(str, collapse['used']))} of "
        f"{LATENT}; the rule says {', '.join(map(str, collapse['predicted']))}.",
        f"On digits the largest angle between {digits['latent']} learned directions and as many principal "
        f"ones is {digits['largest_angle']:.2g}°.",
        "With hidden layers something of this is left: the columns of the decoder's slope at a code have a "
        f"mean |cosine| of {slopes['diagonal']:.2f} under a posterior of independent dimensions, and of "
        f"{slopes['full']:.2f} under one of full covariance; turned at random the first has "
        f"{slopes['turned']:.2f} (Rolínek et al. 2019, arXiv:1812.06775).",
    )
    return Study(
        "vae-as-pca",
        "What has a VAE to do with principal component analysis?",
        answer,
        {"steps": steps, "examples": examples, "seed": seed},
        {"subspace": learned, "collapse": collapse, "digits": digits, "slopes": slopes},
        {"angles": angles, "collapse": counts, "directions": directions, "slopes": matrices},
    )


def known_covariance(examples: int, seed: int) -> Tensor:
    """Data whose covariance has exactly these eigenvalues, in directions that are drawn: (examples, 8)."""
    d, streams = len(EIGENVALUES), Streams(seed)
    u = streams.draw("data", Normal((d,)), examples, 0).double()
    u -= u.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(u.T @ u / examples), u.T, upper=False).T
    turn = torch.linalg.qr(streams.draw("directions", Normal((d,)), d, 0).double()).Q
    return (white * torch.tensor(EIGENVALUES).double().sqrt() @ turn.T).float()


def _subspace(data: Data, steps: int, seed: int) -> tuple[dict[str, Any], Any]:
    """σ learned: how the decoder's columns come to lie."""
    x, system = data.train.x, reparam.build("linear-vae", data, latent=LATENT, seed=seed)
    directions = _principal(x)
    best = fit(x, LATENT).log_prob(x).mean().item()
    rows: list[dict[str, float]] = []
    playing = _whole(system, data, steps, seed)
    for step in spaced(steps, 12):
        play(playing, step)
        columns = _columns(system)
        rows.append(
            {
                "step": step,
                "largest_angle": _degrees(principal_angles(columns, directions[:, :LATENT]).max()),
                "largest_turn": _degrees(_turns(columns, directions).max()),
                "elbo": system.score(x).mean().item(),
            }
        )
    taken = [row["step"] for row in rows]
    picture = lines(
        {
            "subspace": Line(taken, [row["largest_angle"] for row in rows]),
            "single columns": Line(taken, [row["largest_turn"] for row in rows]),
        },
        across="step", up="largest angle to PCA's, degrees", log=True, floor=0,
    )  # fmt: skip
    return {**rows[-1], "log_likelihood": best, "rows": rows}, picture


def _collapse(data: Data, steps: int, seed: int) -> tuple[dict[str, Any], Any]:
    """σ² held: how many directions are used."""
    x, used = data.train.x, []
    for variance in VARIANCES:
        system = reparam.build("linear-vae", data, latent=LATENT, std=math.sqrt(variance), seed=seed)
        play(_whole(system, data, steps, seed), steps)
        used.append(round(active_units(system.encode(x)).value))
    eigenvalues = spectrum(x)
    predicted = [min(active(eigenvalues, variance), LATENT) for variance in VARIANCES]
    falls = [float(v) for v in eigenvalues[:LATENT].flip(0)]
    corners = [VARIANCES[0], *(v for v in falls for _ in range(2)), VARIANCES[-1]]
    heights = [k for k in range(LATENT, -1, -1) for _ in range(2)]
    picture = lines(
        {"eigenvalue > variance": Line(corners, heights), "found": Line(VARIANCES, used, dots=True)},
        across="variance of the noise, held", up="directions in use", floor=0,
    )  # fmt: skip
    return {"variance": list(VARIANCES), "used": used, "predicted": predicted}, picture


def _digits(steps: int, seed: int, latent: int = 8) -> tuple[dict[str, Any], Any]:
    """Principal directions of digits, above what the linear VAE learned, in their order."""
    data = small_digits()
    system = reparam.build("linear-vae", data, latent=latent, seed=seed)
    playing = trainer(system, batch_size=500, seed=seed, optimisers={"default": Adam(Cosine(steps, 1e-2))})
    play(playing, steps)
    x = data.batch(data.train, torch.arange(data.train.n))["x"]
    principal, columns = _principal(x)[:, :latent], _columns(system)
    angles = principal_angles(columns, principal)
    # Each column below the direction that it is nearest to, and as it is turned.
    cosines = F.normalize(columns, dim=0).T @ principal
    order = cosines.abs().argmax(0)
    signs = cosines[order, torch.arange(latent)].sign()
    shown = torch.cat([principal, F.normalize(columns, dim=0)[:, order] * signs], 1).T
    picture = grid((0.5 + 2 * shown).float().view(-1, *data.shape), latent)
    return {"latent": latent, "largest_angle": _degrees(angles.max())}, picture


def _slopes(steps: int, seed: int, latent: int = 6, codes: int = 100) -> tuple[dict[str, float], Any]:
    """Mean |cosine| of the columns of the decoder's slope, by the posterior's family."""
    data, found, matrices = small_digits(), dict[str, float](), []
    off = ~torch.eye(latent, dtype=torch.bool)
    for posterior in ("diagonal", "full"):
        system = reparam.build(
            "vae", data, latent=latent, posterior=posterior, network="mlp", width=128, seed=seed
        )
        play(trainer(system, batch_size=100, seed=seed), steps)
        z = system.encode(data.batch(data.validation, torch.arange(codes))["x"])
        slopes = jacobians(system, z)
        cosines = _cosines(slopes)
        found[posterior] = cosines[:, off].mean().item()
        matrices.append(cosines.mean(0))
        if posterior == "diagonal":
            normal = Streams(seed).draw("turn", Normal((latent, latent)), codes, 0)
            found["turned"] = _cosines(slopes @ torch.linalg.qr(normal).Q)[:, off].mean().item()
    return found, grid(1 - torch.stack(matrices)[:, None], 2, gap=8, scale=20)


def small_digits() -> Data:
    """The digits at 14 × 14."""
    whole = load_data("digits")
    x = whole.batch(whole.train, torch.arange(whole.train.n))["x"]
    return load_data(F.avg_pool2d(x, 2))


def jacobians(system: System, z: Tensor) -> Tensor:
    """The slope of the decoder's mean at codes (n, latent): (n, d, latent)."""
    model: Any = system.model
    one = torch.func.jacfwd(lambda code: model.decoder(code[None]).mean.flatten())
    return torch.func.vmap(one)(z.clone()).detach()


def _cosines(slopes: Tensor) -> Tensor:
    """|cosine| of every two columns: (n, d, latent) → (n, latent, latent)."""
    columns = F.normalize(slopes, dim=1)
    return (columns.mT @ columns).abs()


def _whole(system: System, data: Data, steps: int, seed: int) -> Trainer:
    """Adam on all data at once, at a rate that falls to 0: what is left is the optimum's."""
    rule = {"default": Adam(Cosine(steps, 0.1))}
    return trainer(system, batch_size=data.train.n, seed=seed, optimisers=rule)


def _columns(system: System) -> Tensor:
    """W of the linear decoder: (d, latent) float64."""
    model: Any = system.model
    with torch.no_grad():
        return affine(model.decoder, model.latent, torch.zeros(1))[0].T.double()


def _principal(x: Tensor) -> Tensor:
    """Eigenvectors of the covariance, those of the largest eigenvalues first: (d, d) float64."""
    return torch.linalg.eigh(x.flatten(1).double().T.cov()).eigenvectors.flip(1)


def _turns(columns: Tensor, directions: Tensor) -> Tensor:
    """The angle of each column to the principal direction that is nearest: (latent,)."""
    cosines = (F.normalize(columns, dim=0).T @ directions).abs().amax(1)
    return torch.arccos(cosines.clamp_max(1))


def _degrees(angle: Tensor) -> float:
    return math.degrees(float(angle))
