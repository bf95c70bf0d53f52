"""Small experiments that teach, each in a minute or two on one core: a question, measured, with pictures.

One study a file: a function that returns a `Study`, found here by its name.
"""

from collections.abc import Callable

from reparam.studies.one_sample import one_sample
from reparam.studies.study import Study
from reparam.studies.vae_against_gan import vae_against_gan
from reparam.studies.vae_as_pca import vae_as_pca

__all__ = ["STUDIES", "Study", "one_sample", "vae_against_gan", "vae_as_pca"]

STUDIES: dict[str, Callable[..., Study]] = {
    function.__name__.replace("_", "-"): function for function in (one_sample, vae_as_pca, vae_against_gan)
}
