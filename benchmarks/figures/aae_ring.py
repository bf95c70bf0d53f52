"""AAE with the prior of ten Gaussians in the plane: aggregated posterior against prior, n = 2,000."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained

from reparam.data import Data
from reparam.data import load as load_data
from reparam.metrics.mmd import inverse_multiquadratic, mmd, null_quantile
from reparam.nets import choose
from reparam.noise import Normal, Source, Streams
from reparam.report.pictures import save, scatter
from reparam.system import System

RING_STEPS = 1600


def ring_system(name: str, seed: int, data: Data) -> System:
    """The AAE or the VAE with codes in the plane: the same encoder and decoder, steps and averaging."""
    settings: dict[str, Any] = {"network": "conv", "width": 128, "decay_steps": RING_STEPS}
    if name == "aae":
        # A discriminator faster than the codes, or they run before it, all in one place; and a game faster
        # than reconstruction, as in the paper, or that holds the codes off the prior.
        settings |= {"prior": "ring", "lr": 3e-5, "adversarial_lr": 2e-4, "discriminator_lr": 2e-3}
        with Streams(seed).ambient("weights"):
            settings["discriminator"] = choose.discriminator((2,), "mlp", 512)
    options = {"batch_size": 100, "average": 0.995}
    run = f"ring-{name}-{seed}"
    return trained(run, name, data, steps=RING_STEPS, seed=seed, options=options, latent=2, **settings)


def ring_codes(system: System, x: torch.Tensor, seed: int) -> torch.Tensor:
    """Draws from the aggregated posterior, one for each example."""
    if system.name == "aae":
        return system.encode(x)
    with torch.inference_mode():
        q: Any = system.model.get_submodule("encoder")(x)
        return q.at(Streams(seed).draw("posterior", Normal((2,)), len(x), 0))


PICTURES = {"aae": ["ring-aae-0.png"], "vae": ["ring-vae-0.png"]}


def figure() -> None:
    """Trains, measures and records."""
    data = load_data("mnist")
    n, kernel = 2000, inverse_multiquadratic(1.0)
    # Rows 0 – 2,000 of the test split had been measured while networks were still being chosen.
    measured = torch.arange(n, 2 * n)
    x = data.batch(data.test, measured)["x"]
    validation = data.batch(data.validation, torch.arange(n))["x"]
    labels = None if data.test.y is None else data.test.y[measured]
    rows = []
    for name in ("aae", "vae"):
        null = None
        for seed in range(3):
            run = f"ring-{name}-{seed}"
            system = ring_system(name, seed, data)
            source = system.model.noise()["prior" if name == "aae" else "z"]

            def prior(count: int, generator: torch.Generator, source: Source = source) -> torch.Tensor:
                drawn = int(torch.randint(2**31, (), generator=generator))
                return Streams(drawn).draw("prior", source, count, 0)

            null = null or null_quantile(prior, n, kernel, times=60)
            against = Streams(seed).draw("against", source, n, 0)
            codes = ring_codes(system, x, seed)
            value = mmd(codes, against, kernel, seed=seed)
            before = mmd(ring_codes(system, validation, seed), against, kernel, seed=seed, times=2)
            rows.append(
                {
                    "model": name,
                    "seed": seed,
                    "prior": source.law,
                    "mmd2": value.value,
                    "interval": [value.low, value.high],
                    "null_95": null.value,
                    "ratio": value.value / null.value,
                    "validation_mmd2": before.value,
                    "kernel": kernel.name,
                    "distortion": -system.score(x).mean().item() if name == "aae" else None,
                    "settings": {
                        key: each
                        for key, each in system.settings.items()
                        if not isinstance(each, torch.nn.Module)
                    },
                    "steps": RING_STEPS,
                    "cpu_minutes": cpu_seconds(run) / 60,
                }
            )
            print(rows[-1], flush=True)
            if seed == 0:
                save(scatter(codes, labels, against), RESULTS / f"{run}.png")
    record(
        "aae-ring",
        {
            "target": "MMD² ≤ 3 × the 95 % quantile of prior against prior, and below the VAE's",
            "split": "rows 2,000 – 4,000 of the test split, measured once; rows 0 – 2,000 had been seen with "
            "other settings (3.8, 0.066, 0.047) before these were chosen, and are not measured again",
            "rows": rows,
        },
    )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for model in ("aae", "vae"):
        rows = [row for row in content["rows"] if row["model"] == model]
        words = "; ".join(f"{row['mmd2']:.5f} ({row['ratio']:.1f} ×)" for row in rows)
        found.append(
            (f"Codes against prior in the plane, {model}, MNIST, {len(rows)} seeds", f"MMD² {words}")
        )
    return found
