"""What a training step costs beside a hand-written PyTorch loop: `python benchmarks/step.py`.

The two are timed in turn, in one process, on the same networks, data, batch size and optimisers; the
ratio is taken pair by pair. Writes `benchmarks/results/step.json` (`step-cuda.json` on a CUDA device).
"""

import argparse
import itertools
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import reparam
from reparam.data import Data
from reparam.data import load as load_data
from reparam.engine import Engine, versions
from reparam.nets import choose, heads
from reparam.nets.mlp import MLPBody, MLPGenerator
from reparam.noise import Streams
from reparam.trainer import Trainer

RESULTS = Path(__file__).parent / "results"
LIMITS = {"vae": 1.05, "gan": 1.05, "aae": 1.05, "vae-gan": 1.10}
LATENT, BATCH = 16, {"mlp": 100, "conv": 32}
STEPS = {"mlp": 100, "conv": 10}  # in one timing

Step = Callable[[], Any]


# The hand-written loops: what an experienced user of PyTorch would write for this one model.


def batches(x: Tensor, size: int) -> Iterator[Tensor]:
    """Shuffled batches of resident uint8 data, for ever."""
    while True:
        order = torch.randperm(len(x), device=x.device)
        for start in range(0, len(x) - size + 1, size):
            yield x[order[start : start + size]].float() / 255


def adam(
    *players: nn.Module, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999)
) -> torch.optim.Optimizer:
    parameters = [p for player in players for p in player.parameters()]
    return torch.optim.AdamW(parameters, lr, betas, weight_decay=0.0, fused=True)


def vae(model: Any, data: Iterator[Tensor], size: int) -> Step:
    optimiser = adam(model.encoder, model.decoder)

    def step() -> None:
        x = next(data)
        mean, log_std = model.encoder(x)
        z = mean + torch.exp(log_std) * torch.randn_like(mean)
        p = model.decoder(z)
        standard = (x - p.mean) * torch.exp(-p.log_std)
        distortion = (0.5 * (standard.square() + math.log(2 * math.pi)) + p.log_std).flatten(1).sum(1)
        rate = 0.5 * (mean.square() + torch.exp(2 * log_std) - 1 - 2 * log_std).sum(1)
        loss = distortion.mean() + rate.mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def gan(model: Any, data: Iterator[Tensor], size: int) -> Step:
    g, d = model.generator, model.discriminator
    g_optimiser, d_optimiser = (adam(net, lr=2e-4, betas=(0.5, 0.999)) for net in (g, d))

    def step() -> None:
        x = next(data)
        with torch.no_grad():
            fake = g(torch.randn(size, LATENT, device=x.device))
        loss = F.softplus(-d(x)).mean() + F.softplus(d(fake)).mean()
        d_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        d_optimiser.step()
        # A careful loop spares the discriminator's weight gradients here, which it would throw away.
        d.requires_grad_(False)
        loss = F.softplus(-d(g(torch.randn(size, LATENT, device=x.device)))).mean()
        g_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        g_optimiser.step()
        d.requires_grad_(True)

    return step


def aae(model: Any, data: Iterator[Tensor], size: int) -> Step:
    encoder, decoder, d = model.encoder, model.decoder, model.discriminator
    together = adam(encoder, decoder)
    d_optimiser, e_optimiser = (adam(net, lr=2e-4, betas=(0.5, 0.999)) for net in (d, encoder))

    def step() -> None:
        x = next(data)
        p = decoder(encoder(x).mean)
        standard = (x - p.mean) * torch.exp(-p.log_std)
        loss = (0.5 * (standard.square() + math.log(2 * math.pi)) + p.log_std).flatten(1).sum(1).mean()
        together.zero_grad(set_to_none=True)
        loss.backward()
        together.step()
        with torch.no_grad():
            code = encoder(x).mean
        loss = F.softplus(-d(torch.randn_like(code))).mean() + F.softplus(d(code)).mean()
        d_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        d_optimiser.step()
        d.requires_grad_(False)
        loss = F.softplus(-d(encoder(x).mean)).mean()
        e_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        e_optimiser.step()
        d.requires_grad_(True)

    return step


def vae_gan(model: Any, data: Iterator[Tensor], size: int) -> Step:
    encoder, decoder, d = model.encoder, model.decoder, model.discriminator
    players = [[*net.parameters()] for net in (encoder, decoder, d)]
    optimisers = [torch.optim.RMSprop(parameters, 3e-4) for parameters in players]

    def step() -> None:
        x = next(data)
        mean, log_std = encoder(x)
        z = mean + torch.exp(log_std) * torch.randn_like(mean)
        made = decoder(z)
        drawn = decoder(torch.randn_like(z))
        true, remade, generated = d(x), d(made), d(drawn)
        rate = 0.5 * (mean.square() + torch.exp(2 * log_std) - 1 - 2 * log_std).sum(1).mean()
        likeness = 0.5 * (true.features - remade.features).square().flatten(1).sum(1).mean()
        real = F.softplus(-true.logit).mean()
        fakes = 0.5 * (F.softplus(remade.logit).mean() + F.softplus(generated.logit).mean())
        objectives = (rate + likeness, model.gamma * likeness - fakes, real + fakes)
        gradients = [
            torch.autograd.grad(objective, parameters, retain_graph=k < 2, allow_unused=True)
            for k, (objective, parameters) in enumerate(zip(objectives, players, strict=True))
        ]
        for optimiser, parameters, each in zip(optimisers, players, gradients, strict=True):
            for parameter, gradient in zip(parameters, each, strict=True):
                parameter.grad = gradient
            optimiser.step()

    return step


HAND_WRITTEN = {"vae": vae, "gan": gan, "aae": aae, "vae-gan": vae_gan}


# The same players for both sides


def players(name: str, network: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Networks 784-512-16 and back, or small convolutional ones."""
    if network == "conv":
        body, generator = (
            (lambda: choose.body(shape, "conv", 128)),
            (lambda: choose.generator(LATENT, shape, "conv", 128)),
        )
    else:
        body, generator = (lambda: MLPBody(shape, [512])), (lambda: MLPGenerator(LATENT, shape, [512]))
    gaussian = nn.Sequential(generator(), heads.LearnedGaussianNoise())
    image = nn.Sequential(generator(), heads.Image())
    features: Any = body()
    match name:
        case "vae":
            return {
                "encoder": nn.Sequential(features, heads.GaussianCode(features.features, LATENT)),
                "decoder": gaussian,
            }
        case "gan":
            return {"generator": image, "discriminator": heads.Discriminator(features, features.features)}
        case "aae":
            encoder = nn.Sequential(features, heads.Code(features.features, LATENT))
            code = MLPBody((LATENT,), [256, 256])
            return {"encoder": encoder, "decoder": gaussian, "discriminator": heads.Discriminator(code, 256)}
        case _:
            other: Any = body()
            encoder = nn.Sequential(features, heads.GaussianCode(features.features, LATENT))
            return {"encoder": encoder, "decoder": image, "discriminator": heads.Judge(other, other.features)}


def timed(step: Step, steps: int, device: torch.device) -> tuple[float, float]:
    """Wall and CPU milliseconds a step."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - wall) / steps * 1e3, (time.process_time() - cpu) / steps * 1e3


def compare(name: str, network: str, data: Data, pairs: int, device: torch.device) -> dict[str, Any]:
    """Medians over pairs of timings, ours and the hand-written loop's in turn."""
    data, size, steps = data.to(device), BATCH[network], STEPS[network]
    settings: dict[str, Any] = {"latent": LATENT}
    if name == "vae-gan":
        settings["balance"] = 10.0  # both sides always move: the same work at every step
    ours = reparam.build(name, data, **settings, **players(name, network, data.shape))
    theirs = reparam.build(name, data, **settings, **players(name, network, data.shape))
    engine = Engine(device)
    engine.place(theirs.model)
    where = "device" if device.type == "cuda" else "host"
    trainer = Trainer(
        engine.place(ours.model),
        data,
        ours.recipe.optimisers,
        batch_size=size,
        streams=Streams(0, device, where),
        engine=engine,
    )
    by_hand = HAND_WRITTEN[name](theirs.model.train(), batches(data.train.x, size), size)
    for step in (trainer.take_step, by_hand):
        timed(step, max(steps // 4, 3), device)
    rows = []
    for pair in range(pairs):
        order = (trainer.take_step, by_hand) if pair % 2 == 0 else (by_hand, trainer.take_step)
        times = {step: timed(step, steps, device) for step in order}
        rows.append((times[trainer.take_step], times[by_hand]))
    wall, cpu = ([a[k] / b[k] for a, b in rows] for k in (0, 1))
    return {
        "model": name,
        "network": network,
        "batch": size,
        "ours_ms": statistics.median(a[0] for a, _ in rows),
        "hand_written_ms": statistics.median(b[0] for _, b in rows),
        "ratio": statistics.median(wall),
        "ratios": sorted(round(r, 4) for r in wall),
        "cpu_ratio": statistics.median(cpu),
        "limit": LIMITS[name],
        "pairs": pairs,
        "steps_a_timing": steps,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1, help="one is steadiest on a busy machine")
    parser.add_argument("--networks", nargs="*", default=["mlp", "conv"])
    parser.add_argument("--only", nargs="*", default=list(HAND_WRITTEN))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    sets = {"mlp": load_data("digits"), "conv": load_data("avatars")}
    rows = []
    for network, name in itertools.product(arguments.networks, arguments.only):
        row = compare(name, network, sets[network], arguments.pairs, device)
        rows.append(row)
        times = f"{row['ours_ms']:8.2f} ms {row['hand_written_ms']:8.2f} by hand"
        ratios = f"× {row['ratio']:.3f} (CPU × {row['cpu_ratio']:.3f}; limit {row['limit']})"
        print(f"{name:8} {network:5} {times}  {ratios}", flush=True)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / ("step.json" if device.type == "cpu" else f"step-{device.type}.json")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    content = {
        "figure": "step",
        "device": name,
        "threads": arguments.threads,
        "rows": rows,
        "versions": versions(),
    }
    target.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
