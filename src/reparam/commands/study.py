"""Small experiments that teach, each with its pictures and a record."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from reparam.commands.options import Flag, Run, Seed, as_json

if TYPE_CHECKING:
    from reparam.studies import Study

Number = Annotated[int, tyro.conf.arg(metavar="N")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]


def one_sample(
    run: Run, steps: Number = 1000, out: Folder = None, seed: Seed = 0, json: Flag = False
) -> None:
    """Why one draw of the code a step suffices: measured while a run's first part is played again.

    How log p(x|z) varies over draws, the bound by 1, 5 and 50 of them, and how much of a gradient's noise is
    theirs.

    Args:
        run: the folder of the run.
        steps: how many are played again, at most all that the run has.
        out: where the record and the pictures go; without, RUN/studies/one-sample.
        seed: of what is drawn to measure.
        json: print the record.
    """
    from reparam.studies import one_sample as study

    _shown(lambda: study(run, seed=seed, steps=steps), out or run / "studies" / "one-sample", json)


def vae_as_pca(out: Folder = None, seed: Seed = 0, json: Flag = False) -> None:
    """What a VAE has to do with principal components: its space, its axes, and which of them collapse.

    Args:
        out: where the record and the pictures go; without, studies/vae-as-pca.
        seed: of everything random.
        json: print the record.
    """
    from reparam.studies import vae_as_pca as study

    _shown(lambda: study(seed=seed), out or Path("studies") / "vae-as-pca", json)


def vae_against_gan(out: Folder = None, seed: Seed = 0, json: Flag = False) -> None:
    """Where a model cannot have everything: the VAE covers and averages, the GAN picks.

    Args:
        out: where the record and the pictures go; without, studies/vae-against-gan.
        seed: of everything random.
        json: print the record.
    """
    from reparam.studies import vae_against_gan as study

    _shown(lambda: study(seed=seed), out or Path("studies") / "vae-against-gan", json)


def _shown(study: "Callable[[], Study]", out: Path, json: bool) -> None:
    found: Any = study()
    path = found.save(out)
    if json:
        print(as_json(found.record()))
        return
    print(found.question + "\n")
    for sentence in found.answer:
        print(f"- {sentence}")
    print(f"\nwrote {path}, and beside it {', '.join(f'{name}.png' for name in found.pictures)}")
