"""reparam's side: `reparam.train` as it ships, on networks that the other side has too."""

import time
from typing import Any

import torch
from common import (
    BATCH,
    BETA,
    CHANNELS,
    DRAWS,
    ENTRIES,
    GAMMA,
    HIDDEN,
    LATENT,
    PENALTY,
    SHAPE,
    Job,
    Trained,
    grid_decoder,
    grid_encoder,
    weighed,
)
from torch import nn

import reparam
from reparam.data import load
from reparam.nets import heads
from reparam.nets.mlp import MLPBody, MLPGenerator


def networks(model: str) -> dict[str, nn.Module]:
    """784-512-16 and back; where there is a likelihood σ = 1, so that −log p(x|z) is ½‖x − x̂‖² + const.

    The VQ-VAE's are convolutions to a grid of 7 × 7 and back.
    """
    if model == "vqvae":
        encoder = grid_encoder()
        return {"encoder": encoder, "decoder": nn.Sequential(grid_decoder(), heads.FixedGaussianNoise(1.0))}
    if model == "wae-mmd":
        encoder = nn.Sequential(MLPBody(SHAPE, [HIDDEN]), heads.Code(HIDDEN, LATENT))
        return {
            "encoder": encoder,
            "decoder": nn.Sequential(MLPGenerator(LATENT, SHAPE, [HIDDEN]), heads.Image()),
        }
    if model == "spherical-vae":
        encoder = nn.Sequential(MLPBody(SHAPE, [HIDDEN]), heads.VonMisesFisherCode(HIDDEN, LATENT))
        generator = MLPGenerator(LATENT, SHAPE, [HIDDEN])
        return {"encoder": encoder, "decoder": nn.Sequential(generator, heads.FixedGaussianNoise(1.0))}
    encoder = nn.Sequential(MLPBody(SHAPE, [HIDDEN]), heads.GaussianCode(HIDDEN, LATENT))
    generator = MLPGenerator(LATENT, SHAPE, [HIDDEN])
    gaussian = nn.Sequential(generator, heads.FixedGaussianNoise(1.0))
    match model:
        case "vae" | "iwae" | "beta-tc-vae":
            return {"encoder": encoder, "decoder": gaussian}
        case "factor-vae":
            body = MLPBody((LATENT,), [1000] * 5, lambda: nn.LeakyReLU(0.2))
            judge = heads.Discriminator(body, body.features)
            return {"encoder": encoder, "decoder": gaussian, "discriminator": judge}
        case "aae":
            judge = heads.Discriminator(MLPBody((LATENT,), [256, 256]), 256)
            return {"encoder": encoder, "decoder": gaussian, "discriminator": judge}
        case "vae-gan":
            judge = heads.Judge(MLPBody(SHAPE, [HIDDEN], raw=True), HIDDEN)
            decoder = nn.Sequential(generator, heads.Image())
            return {"encoder": encoder, "decoder": decoder, "discriminator": judge}
    raise ValueError(model)


SETTINGS: dict[str, dict[str, Any]] = {
    "aae": {"posterior": "gaussian"},
    "iwae": {"draws": DRAWS},
    "wae-mmd": {"penalty": PENALTY},
    "beta-tc-vae": {"beta": BETA},
    "factor-vae": {"gamma": GAMMA},
    "vqvae": {"size": ENTRIES, "dim": CHANNELS, "halvings": 2},
}


def train(job: Job) -> Trained:
    """The first two settings are the same here: the other side is given our optimisers in the second."""
    torch.manual_seed(job.seed)
    players = networks(job.model)
    shared = (net for name, net in players.items() if (job.model, name) != ("factor-vae", "discriminator"))
    parameters, checksum = weighed(*shared)
    settings = SETTINGS.get(job.model, {}) | ({} if job.model == "vqvae" else {"latent": LATENT})
    system = reparam.build(job.model, load(job.digits), seed=job.seed, **settings, **players)
    began = time.perf_counter()
    precision = "bf16" if job.setting == "ours in bf16" else "float32"
    system = reparam.train(system, job.folder, epochs=job.epochs, batch_size=BATCH, precision=precision)
    seconds = time.perf_counter() - began
    sample = None if job.model == "vqvae" else system.sample  # there is no prior yet to draw codes from
    return Trained(seconds, parameters, checksum, sample, system.reconstruct)
