"""25 Gaussians for ALI and BiGAN; 10 seeds, the networks, rate and steps of the GAN's figure."""

from gaussians import on_gaussians, words

__all__ = ["figure", "words"]

PICTURES = {name: [f"25gaussians-{name}-0.png"] for name in ("ali", "bigan")}


def figure() -> None:
    """Trains, measures and records."""
    common = {"steps": 20_000, "latent": 2, "width": 128, "lr": 1e-3}
    target = "shown beside the GAN's; the paper's ALI covers 13.4 ± 5.8 over random settings"
    on_gaussians("gaussians-pairs", target, {"ali": common, "bigan": common}, seeds=10)
