"""pythae's side: its own trainers, on networks that reparam's side has too."""

import math
import time
from typing import Any

import numpy as np
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
from pythae.data.datasets import BaseDataset
from pythae.models import (
    IWAE,
    SVAE,
    VAE,
    VAEGAN,
    VQVAE,
    WAE_MMD,
    Adversarial_AE,
    Adversarial_AE_Config,
    BetaTCVAE,
    BetaTCVAEConfig,
    FactorVAE,
    FactorVAEConfig,
    IWAEConfig,
    SVAEConfig,
    VAEConfig,
    VAEGANConfig,
    VQVAEConfig,
    WAE_MMD_Config,
)
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
from pythae.trainers import (
    AdversarialTrainer,
    AdversarialTrainerConfig,
    BaseTrainer,
    BaseTrainerConfig,
    CoupledOptimizerAdversarialTrainer,
    CoupledOptimizerAdversarialTrainerConfig,
)
from torch import Tensor, nn

PIXELS = math.prod(SHAPE)
Parts = tuple[Any, Any, Any, dict[str, Any]]  # a model, its trainer, the trainer's settings and options


class Encoder(BaseEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT)
        )

    def forward(self, x: Tensor) -> ModelOutput:
        mean, log_std = self.layers(x).chunk(2, 1)
        return ModelOutput(embedding=mean, log_covariance=2 * log_std)


class PointEncoder(BaseEncoder):
    """A deterministic code."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, LATENT)
        )

    def forward(self, x: Tensor) -> ModelOutput:
        return ModelOutput(embedding=self.layers(x))


class SphereEncoder(BaseEncoder):
    """A direction, and what its concentration is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, LATENT + 1)
        )

    def forward(self, x: Tensor) -> ModelOutput:
        kappa, direction = self.layers(x).split([1, LATENT], 1)
        return ModelOutput(embedding=direction, log_concentration=kappa)


class GridEncoder(BaseEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.layers = grid_encoder()

    def forward(self, x: Tensor) -> ModelOutput:
        return ModelOutput(embedding=self.layers(x))


class GridDecoder(BaseDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(grid_decoder(), nn.Sigmoid())

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z))


class Decoder(BaseDecoder):
    def __init__(self) -> None:
        super().__init__()
        out = nn.Linear(HIDDEN, PIXELS)  # first, as the other side's: from one seed come the same weights
        self.layers = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), nn.ReLU(), out, nn.Unflatten(1, SHAPE), nn.Sigmoid()
        )

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z))


class CodeDiscriminator(BaseDiscriminator):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(LATENT, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1), nn.Sigmoid()
        )

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(embedding=self.layers(z))


class LayeredDiscriminator(BaseDiscriminator):
    """Features after the first of its two layers, the probability after the second."""

    depth = 2

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, HIDDEN))
        self.judge = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Linear(HIDDEN, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor, output_layer_levels: list[int] | None = None) -> ModelOutput:
        features = self.body(x)
        if output_layer_levels == [1]:
            return ModelOutput(embedding_layer_1=features)
        return ModelOutput(embedding=self.judge(features))


FUSED = {"fused": True, "weight_decay": 0.0}  # what reparam's Adam is


def vae(equal: bool) -> Parts:
    """½‖x − x̂‖² + KL, its default, and reparam's Gaussian of σ = 1 up to a constant."""
    model = VAE(VAEConfig(SHAPE, LATENT), Encoder(), Decoder())
    options = {"optimizer_cls": "AdamW", "optimizer_params": FUSED} if equal else {}
    return model, BaseTrainer, BaseTrainerConfig, {"learning_rate": 1e-3, **options}


def aae(equal: bool) -> Parts:
    """One joint step of the encoder on reconstruction + ½ deception, where reparam takes two turns."""
    model = Adversarial_AE(Adversarial_AE_Config(SHAPE, LATENT), Encoder(), Decoder(), CodeDiscriminator())
    rates = {"autoencoder_learning_rate": 1e-3, "discriminator_learning_rate": 2e-4}
    options = {
        "autoencoder_optimizer_cls": "AdamW",
        "autoencoder_optimizer_params": FUSED,
        "discriminator_optimizer_cls": "AdamW",
        "discriminator_optimizer_params": {**FUSED, "betas": (0.5, 0.999)},
    }
    return model, AdversarialTrainer, AdversarialTrainerConfig, rates | (options if equal else {})


def vae_gan(equal: bool) -> Parts:
    """Its fakes are decoded prior draws alone; reparam's are reconstructions too, at half the weight each."""
    weights = {"adversarial_loss_scale": 1 / 1.01, "equilibrium": math.log(2), "margin": 0.5}  # γ = 0.01
    config = VAEGANConfig(SHAPE, LATENT, reconstruction_layer=1, **(weights if equal else {}))
    model = VAEGAN(config, Encoder(), Decoder(), LayeredDiscriminator())
    rates = {"encoder": 5e-4, "decoder": 3e-3, "discriminator": 5e-4}
    options = {f"{player}_learning_rate": rate for player, rate in rates.items()}
    if equal:
        options |= {f"{player}_optimizer_cls": "RMSprop" for player in rates}
    return model, CoupledOptimizerAdversarialTrainer, CoupledOptimizerAdversarialTrainerConfig, options


def _single(model: Any, equal: bool) -> Parts:
    """One optimiser of everything."""
    options = {"optimizer_cls": "AdamW", "optimizer_params": FUSED} if equal else {}
    return model, BaseTrainer, BaseTrainerConfig, {"learning_rate": 1e-3, **options}


def iwae(equal: bool) -> Parts:
    """The bound of as many draws as reparam's."""
    return _single(IWAE(IWAEConfig(SHAPE, LATENT, number_samples=DRAWS), Encoder(), Decoder()), equal)


def wae_mmd(equal: bool) -> Parts:
    """The same weight of the penalty."""
    config = WAE_MMD_Config(SHAPE, LATENT, reg_weight=PENALTY)
    return _single(WAE_MMD(config, PointEncoder(), Decoder()), equal)


def beta_tc_vae(equal: bool) -> Parts:
    """The same β."""
    return _single(BetaTCVAE(BetaTCVAEConfig(SHAPE, LATENT, beta=BETA), Encoder(), Decoder()), equal)


def spherical_vae(equal: bool) -> Parts:
    """Codes on the same sphere; its rejection loop, and a KL through scipy on the CPU."""
    return _single(SVAE(SVAEConfig(SHAPE, LATENT), SphereEncoder(), Decoder()), equal)


def vqvae(equal: bool) -> Parts:
    """A codebook moved by gradient, on a grid of 7 × 7."""
    config = VQVAEConfig(SHAPE, CHANNELS, num_embeddings=ENTRIES)
    return _single(VQVAE(config, GridEncoder(), GridDecoder()), equal)


def factor_vae(equal: bool) -> Parts:
    """The same γ. It halves a batch, one half for each side of its game; reparam plays both on the whole."""
    model = FactorVAE(FactorVAEConfig(SHAPE, LATENT, gamma=GAMMA), Encoder(), Decoder())
    rates = {"autoencoder_learning_rate": 1e-3, "discriminator_learning_rate": 1e-4}
    options = {
        "autoencoder_optimizer_cls": "AdamW",
        "autoencoder_optimizer_params": FUSED,
        "discriminator_optimizer_cls": "AdamW",
        "discriminator_optimizer_params": {**FUSED, "betas": (0.5, 0.9)},
    }
    return model, AdversarialTrainer, AdversarialTrainerConfig, rates | (options if equal else {})


MODELS = {
    "vae": vae,
    "aae": aae,
    "vae-gan": vae_gan,
    "iwae": iwae,
    "wae-mmd": wae_mmd,
    "beta-tc-vae": beta_tc_vae,
    "factor-vae": factor_vae,
    "spherical-vae": spherical_vae,
    "vqvae": vqvae,
}


def train(job: Job) -> Trained:
    """Timed from `train()` on: its loader and its sanity check are made before."""
    torch.manual_seed(job.seed)
    model, trainer_class, config_class, options = MODELS[job.model](job.setting == "equal optimisers")
    # What both sides have: codebooks start apart, and its FactorVAE's discriminator has two logits.
    shared = (model,) if job.model not in ("vqvae", "factor-vae") else (model.encoder, model.decoder)
    parameters, checksum = weighed(*shared)
    with np.load(job.digits) as file:
        x = torch.from_numpy(file["x_train"]).float() / 255
    config = config_class(
        output_dir=str(job.folder),
        num_epochs=job.epochs,
        per_device_train_batch_size=BATCH,
        seed=job.seed,
        **options,
    )
    trainer = trainer_class(model, BaseDataset(x, torch.ones(len(x))), training_config=config)
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    model.eval()

    on_sphere = job.model == "spherical-vae"

    def sample(n: int) -> Tensor:
        z = torch.randn(n, LATENT, generator=torch.Generator().manual_seed(job.seed))
        return model.decoder(nn.functional.normalize(z) if on_sphere else z).reconstruction.detach()

    def reconstruct(x: Tensor) -> Tensor:
        if job.model == "vqvae":
            return model({"data": x}).recon_x.detach()
        z = model.encoder(x).embedding
        return model.decoder(nn.functional.normalize(z) if on_sphere else z).reconstruction.detach()

    return Trained(seconds, parameters, checksum, None if job.model == "vqvae" else sample, reconstruct)
