"""reparam's side: `reparam.train` as it ships, on networks that the other side has too."""

import time
from typing import Any

import torch
from common import BATCH, HIDDEN, LATENT, SHAPE, Job, Trained, weighed
from torch import nn

import reparam
from reparam.data import load
from reparam.nets import heads
from reparam.nets.mlp import MLPBody, MLPGenerator


def networks(model: str) -> dict[str, nn.Module]:
    """784-512-16 and back; the VAE and the AAE have σ = 1, so that −log p(x|z) is ½‖x − x̂‖² + const."""
    encoder = nn.Sequential(MLPBody(SHAPE, [HIDDEN]), heads.GaussianCode(HIDDEN, LATENT))
    generator = MLPGenerator(LATENT, SHAPE, [HIDDEN])
    gaussian = nn.Sequential(generator, heads.FixedGaussianNoise(1.0))
    match model:
        case "vae":
            return {"encoder": encoder, "decoder": gaussian}
        case "aae":
            judge = heads.Discriminator(MLPBody((LATENT,), [256, 256]), 256)
            return {"encoder": encoder, "decoder": gaussian, "discriminator": judge}
        case "vae-gan":
            judge = heads.Judge(MLPBody(SHAPE, [HIDDEN], raw=True), HIDDEN)
            decoder = nn.Sequential(generator, heads.Image())
            return {"encoder": encoder, "decoder": decoder, "discriminator": judge}
    raise ValueError(model)


SETTINGS: dict[str, dict[str, Any]] = {"aae": {"posterior": "gaussian"}}


def train(job: Job) -> Trained:
    """Both settings are the same here: the other side is given our optimisers in the second."""
    torch.manual_seed(job.seed)
    players = networks(job.model)
    parameters, checksum = weighed(*players.values())
    settings = SETTINGS.get(job.model, {})
    system = reparam.build(job.model, load(job.digits), seed=job.seed, latent=LATENT, **settings, **players)
    began = time.perf_counter()
    system = reparam.train(system, job.folder, epochs=job.epochs, batch_size=BATCH)
    seconds = time.perf_counter() - began
    return Trained(seconds, parameters, checksum, system.sample, system.reconstruct)
