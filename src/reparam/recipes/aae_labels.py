"""Adversarial autoencoders with classes: told, half told, or found."""

from torch import nn

from reparam.errors import ReparamError
from reparam.models.aae_clustering import ClusteringAAE
from reparam.models.aae_labels import LabelledAAE
from reparam.models.aae_reduction import ReducingAAE
from reparam.models.aae_semi_supervised import SemiSupervisedAAE
from reparam.models.aae_supervised import SupervisedAAE
from reparam.nets import choose
from reparam.nets.choose import Network
from reparam.nets.clusters import ClusteredCode, Heads
from reparam.noise import GaussianRing
from reparam.optimisers import Adam
from reparam.recipes.vae import Likelihood, noise_of
from reparam.registry import DataFacts, Recipe
from reparam.samplers import Mover
from reparam.schedules import Fall, Weight


def aae_labels(
    data: DataFacts,
    *,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 3e-4,
    adversarial_lr: float = 1e-3,
) -> Recipe:
    """A leaf of the ring for each class; with --labels N, the others go wherever there is room.

    The game is played faster than the reconstruction, as in the paper; slower, codes run away from the ring.
    """
    classes = data.require_classes("aae-labels")
    model = LabelledAAE(
        choose.encoder(data.shape, 2, network, width, stochastic=False),
        _decoder(2, data, network, width, likelihood, std),
        choose.discriminator((2 + classes + 1,), "mlp", width),
        GaussianRing(components=classes),
    )
    return Recipe(model, _optimisers(lr, adversarial_lr), batch_size=100)


def aae_supervised(
    data: DataFacts,
    *,
    latent: int = 8,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    adversarial_lr: float = 2e-4,
) -> Recipe:
    """The class goes into the decoder: `reparam sample RUN --pin y=3` draws it in every style."""
    classes = data.require_all_labels("aae-supervised")
    model = SupervisedAAE(
        choose.encoder(data.shape, latent, network, width, stochastic=False),
        _decoder(latent + classes, data, network, width, likelihood, std),
        choose.discriminator((latent,), "mlp", width),
        latent,
        classes,
    )
    return Recipe(model, _optimisers(lr, adversarial_lr), batch_size=100)


def aae_clustering(
    data: DataFacts,
    *,
    clusters: int = 16,
    latent: int = 8,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    corruption: float = 0.0,
    spread: float | None = 3.0,
    lr: float = 3e-4,
    adversarial_lr: float = 1e-3,
    steps: int | None = None,
) -> Recipe:
    """More clusters than classes find purer ones: the paper has 16 and 30 for ten digits.

    corruption is the deviation of the noise on the encoder's input; with steps, all rates fall to 0 over
    the second half of them. spread is the deviation that batch norm gives the clusters' logits at the start;
    without it (None) all examples run into one corner, where softmax has no slope left to leave by. And the
    game must be faster than the reconstruction, which else takes the choice for one more part of the style.
    """
    decoder = _decoder(clusters + latent, data, network, width, likelihood, std)
    model = _clustering(data, decoder, clusters, latent, network, width, corruption, spread)
    return Recipe(model, _optimisers(lr, adversarial_lr, steps), batch_size=100, steps=steps or 5000)


def aae_semi_supervised(
    data: DataFacts,
    *,
    latent: int = 10,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    corruption: float = 0.3,
    spread: float | None = None,
    lr: float = 1e-3,
    adversarial_lr: float = 2e-4,
    steps: int | None = None,
) -> Recipe:
    """On data with --labels N, 100 for instance: the labelled minibatch is drawn among them alone.

    corruption is the deviation of the noise on the encoder's input, the paper's for MNIST; with steps, all
    rates fall to 0 over the second half of them. spread is as for aae-clustering.
    """
    classes = data.require_classes("aae-semi-supervised")
    if data.labelled is None:
        raise ReparamError(
            "aae-semi-supervised learns from some labels among many examples: say how many, such as "
            f"--labels {10 * classes} (in Python, load(…, labels={10 * classes}))."
        )
    decoder = _decoder(classes + latent, data, network, width, likelihood, std)
    model = SemiSupervisedAAE(_clustering(data, decoder, classes, latent, network, width, corruption, spread))
    rules = _optimisers(lr, adversarial_lr, steps)
    rules["classification"] = rules["reconstruction"]
    return Recipe(model, rules, batch_size=100, steps=steps or 5000)


def aae_reduction(
    data: DataFacts,
    *,
    clusters: int = 20,
    latent: int = 2,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    apart: float = 4.0,
    lr: float = 1e-3,
    adversarial_lr: float = 2e-4,
) -> Recipe:
    """Codes in the plane, in clusters whose heads keep `apart`, four deviations of the style."""
    decoder = nn.Sequential(
        Heads(clusters, latent, apart), *_decoder(latent, data, network, width, likelihood, std)
    )
    model = ReducingAAE(_clustering(data, decoder, clusters, latent, network, width), apart=apart)
    rules = _optimisers(lr, adversarial_lr) | {"crowding": Adam(lr)}
    return Recipe(model, rules, batch_size=100)


def _clustering(
    data: DataFacts,
    decoder: nn.Module,
    clusters: int,
    latent: int,
    network: Network,
    width: int,
    corruption: float = 0.0,
    spread: float | None = None,
) -> ClusteringAAE:
    body = choose.body(data.shape, network, width)
    return ClusteringAAE(
        nn.Sequential(body, ClusteredCode(body.features, clusters, latent, spread)),  # pyright: ignore[reportArgumentType]
        decoder,
        choose.discriminator((clusters,), "mlp", width),
        choose.discriminator((latent,), "mlp", width),
        clusters,
        latent,
        data.shape,
        std=corruption,
    )


def _decoder(
    latent: int, data: DataFacts, network: Network, width: int, likelihood: Likelihood, std: float
) -> nn.Sequential:
    return nn.Sequential(
        choose.generator(latent, data.shape, network, width), noise_of(likelihood, std, data)
    )


def _optimisers(lr: float, adversarial_lr: float, steps: int | None = None) -> dict[str, Mover]:
    def rate(start: float) -> Weight:
        return Fall(steps, start) if steps else start

    adversarial = Adam(rate(adversarial_lr), betas=(0.5, 0.999))
    return {"reconstruction": Adam(rate(lr)), "discrimination": adversarial, "deception": adversarial}
