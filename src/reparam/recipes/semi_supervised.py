"""Semi-supervised VAEs: M2, and M2 over the codes of a finished VAE (M1)."""

from typing import Any

from torch import nn

from reparam.errors import ReparamError
from reparam.models.m1_m2 import M1M2
from reparam.models.m2 import M2
from reparam.nets import choose, heads
from reparam.nets.choose import Network
from reparam.nets.conditional import Conditioned
from reparam.optimisers import Adam
from reparam.recipes.stage import Stage, same_shape
from reparam.recipes.vae import Likelihood, noise_of, vae
from reparam.registry import DataFacts, Recipe


def m2(
    data: DataFacts,
    *,
    latent: int = 16,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    alpha: float = 0.1,
    lr: float = 1e-3,
) -> Recipe:
    """On data with --labels N: the labelled minibatch is drawn among them alone.

    A labelled example's own loss is its bound and alpha · (examples / labelled) times −log q(y|x), as in the
    paper; the two minibatches are of one size and weigh the same.
    """
    classes, weight = _labelled(data, "m2", alpha)
    decoder = nn.Sequential(
        choose.generator(latent + classes, data.shape, network, width), noise_of(likelihood, std, data)
    )
    model = _m2(data.shape, decoder, latent, classes, network, width, weight)
    return Recipe(model, {"default": Adam(lr)}, batch_size=100)


def m1_m2(
    data: DataFacts,
    *,
    stage1: Stage | None = None,
    latent: int = 16,
    width: int = 256,
    alpha: float = 0.1,
    lr: float = 1e-3,
) -> Recipe:
    """M2 over the codes of a finished VAE, given by its run: stage1=RUN; on data with --labels N.

    M1 alone is that VAE and any classifier of its codes: `reparam evaluate RUN` has a probe of them.
    """
    classes, weight = _labelled(data, "m1-m2", alpha)
    first: Any = vae(data, latent=8, width=32).model if stage1 is None else same_shape(stage1, data).model
    if stage1 is not None and stage1.name != "vae":
        raise ReparamError(f"stage1 is a {stage1.name}; m1-m2 goes on from the run of a vae.")
    generator = choose.generator(latent + classes, (first.latent,), "mlp", width)
    decoder = nn.Sequential(generator, heads.LearnedGaussianNoise(bounded=False))
    second = _m2((first.latent,), decoder, latent, classes, "mlp", width, weight)
    lacks = "the run of a finished vae, whose codes it learns: set stage1=RUN" if stage1 is None else None
    model = M1M2(first, second, first.latent)
    return Recipe(model, {"default": Adam(lr)}, batch_size=100, lacks=lacks)


def _m2(
    shape: tuple[int, ...],
    decoder: nn.Module,
    latent: int,
    classes: int,
    network: Network,
    width: int,
    weight: float,
) -> M2:
    body = choose.body(shape, network, width)
    classifier = nn.Sequential(body, nn.Linear(body.features, classes))  # pyright: ignore[reportArgumentType]
    told = (shape[0] + classes, *shape[1:])
    encoder = Conditioned(choose.encoder(told, latent, network, width), classes)
    return M2(classifier, encoder, decoder, latent, classes, ignorance=weight)


def _labelled(data: DataFacts, who: str, alpha: float) -> tuple[int, float]:
    """The number of classes, and the weight of the classifier's loss."""
    classes = data.require_classes(who)
    if data.labelled is None:
        raise ReparamError(
            f"{who} learns from some labels among many examples: say how many, such as --labels "
            f"{10 * classes} (in Python, load(…, labels={10 * classes}))."
        )
    return classes, alpha * data.examples / data.labelled
