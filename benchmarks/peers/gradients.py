"""Which gradient pythae's VAE-GAN gives its decoder, by its own trainer's step: `python gradients.py`.

Of a = adversarial_loss_scale, the decoder should descend (1 − a) · likeness − a · game, where the game is the
discriminator's loss, which the decoder means to raise.
"""

import json
from typing import Any

import torch
from common import BATCH, LATENT, SHAPE
from pythae.models import VAEGAN, VAEGANConfig
from pythae.trainers import CoupledOptimizerAdversarialTrainer
from torch import Tensor
from with_pythae import Decoder, Encoder, LayeredDiscriminator


def vae_gan(scale: float = 0.8) -> dict[str, Any]:
    """‖applied − expected‖ / ‖expected‖ of the decoder's gradient: for what it should be, and what it is."""
    torch.manual_seed(0)
    config = VAEGANConfig(
        SHAPE,
        LATENT,
        reconstruction_layer=1,
        adversarial_loss_scale=scale,
        margin=100.0,  # all may move
    )
    model = VAEGAN(config, Encoder(), Decoder(), LayeredDiscriminator())
    output = model({"data": torch.rand(BATCH, *SHAPE)})
    weights = list(model.decoder.parameters())

    def gradient(loss: Tensor) -> Tensor:
        found = torch.autograd.grad(loss, weights, retain_graph=True)
        return torch.cat([g.flatten() for g in found])

    likeness, game = gradient(output.recon_loss), gradient(output.discriminator_loss)
    trainer = CoupledOptimizerAdversarialTrainer.__new__(CoupledOptimizerAdversarialTrainer)
    for player in ("encoder", "decoder", "discriminator"):  # a rate of 0: only the gradients are looked at
        optimiser = torch.optim.SGD(getattr(model, player).parameters(), lr=0.0)
        setattr(trainer, f"{player}_optimizer", optimiser)
    trainer._optimizers_step(output)
    applied = torch.cat([p.grad.flatten() for p in weights if p.grad is not None])

    def residual(expected: Tensor) -> float:
        return ((applied - expected).norm() / expected.norm()).item()

    return {
        "adversarial_loss_scale": scale,
        "residual against (1 - a) likeness - a game": residual((1 - scale) * likeness - scale * game),
        "residual against (1 - a) likeness + (1 - a) game": residual((1 - scale) * (likeness + game)),
        "meaning": "the decoder lowers the discriminator's loss, which it should raise",
    }


if __name__ == "__main__":
    print(json.dumps(vae_gan(), indent=1))
