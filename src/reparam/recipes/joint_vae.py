"""JointVAE."""

from torch import nn

from reparam.errors import ReparamError
from reparam.models.joint_vae import JointVAE, MixedCode
from reparam.nets import choose
from reparam.nets.choose import Network
from reparam.optimisers import Adam
from reparam.recipes.vae import Likelihood, noise_of
from reparam.registry import DataFacts, Recipe


def joint_vae(
    data: DataFacts,
    *,
    latent: int = 10,
    categories: int = 10,
    temperature: float = 0.67,
    capacity: float = 5.0,
    choice_capacity: float = 5.0,
    rising: int = 5000,
    gamma: float = 30.0,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 5e-4,
) -> Recipe:
    """The paper's settings for MNIST, with capacities that rise over 5,000 steps in the place of 25,000."""
    if capacity < 0 or choice_capacity < 0 or rising < 1 or temperature <= 0 or categories < 2:
        raise ReparamError(
            f"capacities are {capacity:g} and {choice_capacity:g}, rising {rising}, temperature "
            f"{temperature:g}, categories {categories}; give ≥ 0, ≥ 1, > 0 and ≥ 2."
        )
    body = choose.body(data.shape, network, width)
    encoder = nn.Sequential(body, MixedCode(body.features, latent, categories))  # pyright: ignore[reportArgumentType]
    generator = choose.generator(categories + latent, data.shape, network, width)
    model = JointVAE(
        encoder,
        nn.Sequential(generator, noise_of(likelihood, std, data)),
        latent,
        categories,
        temperature=temperature,
        capacities=(capacity, choice_capacity),
        rising=rising,
        gamma=gamma,
    )
    return Recipe(model, {"default": Adam(lr)}, steps=2 * rising)
