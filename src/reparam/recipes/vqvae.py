"""The VQ-VAE, its codebook moved by gradient or by averaging, and the prior over its codes."""

import math
from typing import Any, Literal

from torch import nn

from reparam.errors import ReparamError
from reparam.models.code_prior import CodePrior
from reparam.models.vqvae import VQVAE
from reparam.nets.codebook import AveragedCodebook, LearnedCodebook
from reparam.nets.grid import GridDecoder, GridEncoder, halved
from reparam.nets.pixelcnn import PixelCNN
from reparam.nets.transformer import CausalTransformer
from reparam.optimisers import Adam
from reparam.recipes.stage import Stage, same_shape
from reparam.recipes.vae import Likelihood, noise_of
from reparam.registry import DataFacts, Recipe
from reparam.system import System


def vqvae(
    data: DataFacts,
    *,
    size: int = 512,
    dim: int = 64,
    halvings: int | None = None,
    width: int = 128,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    beta: float = 0.25,
    balance: float = 1.0,
    decay: float = 0.99,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """A codebook of `size` entries of `dim` numbers, moved by gradient, as in the paper's experiments.

    The image is halved until its shorter side is at most 8, or `halvings` times. The distortion is lowered at
    `balance` nats a dimension: beside it the codebook's terms, of a few dimensions, would count for nothing.
    decay is of how often each entry is used, by which dead ones are known. The learning rate of the paper,
    2e-4, is for runs of 250,000 steps.
    """
    encoder, decoder, grid = _networks(data, dim, halvings, width, likelihood, std, encoder, decoder)
    codebook, weight = LearnedCodebook(size, dim, decay=decay), balance / math.prod(data.shape)
    model = VQVAE(encoder, codebook, decoder, grid, beta=beta, weight=weight)
    return Recipe(model, {"default": Adam(lr)}, batch_size=32)


def vqvae_ema(
    data: DataFacts,
    *,
    size: int = 512,
    dim: int = 64,
    halvings: int | None = None,
    width: int = 128,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    beta: float = 0.25,
    balance: float = 1.0,
    decay: float = 0.99,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VQ-VAE whose entries are running means of what chose them, as in the paper's appendix A.1."""
    encoder, decoder, grid = _networks(data, dim, halvings, width, likelihood, std, encoder, decoder)
    codebook, weight = AveragedCodebook(size, dim, decay=decay), balance / math.prod(data.shape)
    model = VQVAE(encoder, codebook, decoder, grid, beta=beta, weight=weight)
    return Recipe(model, {"default": Adam(lr)}, batch_size=32)


def vq_prior(
    data: DataFacts,
    *,
    stage1: Stage | None = None,
    network: Literal["pixelcnn", "transformer"] = "pixelcnn",
    width: int = 64,
    layers: int = 6,
    lr: float = 1e-3,
    prior: nn.Module | None = None,
) -> Recipe:
    """The prior over the codes of a finished VQ-VAE, given by its run: stage1=RUN.

    prior is a network (n, L) → (n, L, size) whose logits at a position see the indices before it alone.
    """
    first: Any = vqvae(data, width=width).model if stage1 is None else _first(stage1, data)
    grid, size = first.grid, first.size
    if prior is None and network == "pixelcnn":
        prior = PixelCNN(size, grid, width, layers)
    elif prior is None:
        prior = CausalTransformer(size, math.prod(grid), width, layers)
    lacks = "the run of a finished vqvae, whose codes it learns: set stage1=RUN" if stage1 is None else None
    return Recipe(CodePrior(first, prior), {"default": Adam(lr)}, batch_size=32, lacks=lacks)


def _first(stage1: System, data: DataFacts) -> Any:
    """The model of a first stage. Raises ReparamError where it has no such codes, or is of other data."""
    if not hasattr(stage1.model, "of_indices"):
        raise ReparamError(f"stage1 is a {stage1.name}, which has no discrete codes; give a vqvae's run.")
    return same_shape(stage1, data).model


def _networks(
    data: DataFacts,
    dim: int,
    halvings: int | None,
    width: int,
    likelihood: Likelihood,
    std: float,
    encoder: nn.Module | None,
    decoder: nn.Module | None,
) -> tuple[nn.Module, nn.Module, tuple[int, int]]:
    if data.kind != "image":
        raise ReparamError(
            f"the codes of a vqvae are a grid over an image, and {data.name} holds {data.kind}s."
        )
    sizes = halved((data.shape[1], data.shape[2]), halvings)
    decoder = decoder or nn.Sequential(
        GridDecoder(data.shape, sizes, dim, width), noise_of(likelihood, std, data)
    )
    return encoder or GridEncoder(data.shape, sizes, dim, width), decoder, sizes[-1]
