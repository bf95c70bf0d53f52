"""Which measures of codes a system and its data allow, each ready to be taken."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reparam.data import Data, Split
from reparam.data.text import PAD
from reparam.distributions import Gaussian, StandardNormal
from reparam.errors import ReparamError
from reparam.metrics.active_units import active_units
from reparam.metrics.aggregate_posterior import aggregate_posterior
from reparam.metrics.beta_vae_score import beta_vae_score
from reparam.metrics.clustering import clustering
from reparam.metrics.code_use import code_use
from reparam.metrics.codebook import codebook
from reparam.metrics.dci import dci
from reparam.metrics.dimension_kl import dimension_kl
from reparam.metrics.factor_vae_score import factor_vae_score
from reparam.metrics.factors import Factors
from reparam.metrics.measure import Measure
from reparam.metrics.mig import mig
from reparam.metrics.mmd import inverse_multiquadratic, mmd
from reparam.metrics.probes import knn_accuracy, probe_accuracy
from reparam.metrics.sap import sap
from reparam.model import asks
from reparam.noise import Control, Normal
from reparam.report.schema import Sampling
from reparam.system import CHUNK, System

ORDERED_FROM = 11  # values, from which SAP takes a factor for ordered: a line cannot pick one of so many


class Planned(NamedTuple):
    """The keys of what `take` measures, and what the model is asked for. `take` may raise ReparamError."""

    keys: tuple[str, ...]
    sampling: Sampling
    take: Callable[[], Measure | Mapping[str, Measure]]


def measures_of_codes(
    system: System, data: Data, train: Tensor, held_out: Tensor, *, split: str = "test", seed: int = 0
) -> Iterator[Planned]:
    """The measures of the codes of `held_out`, (m, *shape), with `train`, (n, *shape), to fit what is fitted.

    Both are the first rows of their splits. Probes and clusters need labels, disentanglement attributes. What
    a user would miss (of a model without encoder, of one without density) is there and raises why.
    """
    if not system.can("encode"):
        yield _refused("mutual_information", f"{system.name} has no encoder, so it has no codes.")
        return
    if system.conditional:
        why = f"the codes of {system.name} hold the class that they are told: it is no find in them."
        yield _refused("mutual_information", why)
        return
    theirs, whole = system.encode(train).cpu().flatten(1), system.encode(held_out).cpu()
    own = whole.flatten(1)
    if len(data.classes or ()) > 1:
        yield from _of_classes(theirs, data.train, own, getattr(data, split), seed)
    yield from _of_laws(system, held_out, own, f"the {split} split", seed)
    if system.can("decode"):
        yield Planned(("code_use",), "posterior mean", lambda: _use(system, held_out, whole, seed))
    if system.can("indices"):
        keys = ("codebook_used", "codebook_perplexity")
        yield Planned(keys, "posterior mean", lambda: _entries(system, train, seed))
    if data.attributes:
        known, those = (
            {name: values[s][:n] for name, values in data.attributes.items()}
            for s, n in (("train", len(theirs)), (split, len(own)))
        )
        yield from _of_factors(theirs, known, own, those, seed)


def posterior(system: System, x: Tensor) -> Gaussian | None:
    """q(z|x) of data (n, *shape) where it is a diagonal Gaussian, mean and log deviation (n, d).

    None where it is not.
    """
    encoder = getattr(system.model, "encoder", None)
    if encoder is None:
        return None
    with torch.inference_mode():
        parts = [encoder(part.to(system.device)) for part in x.split(CHUNK)]
    if not all(isinstance(part, Gaussian) for part in parts):
        return None
    mean = torch.cat([q.mean for q in parts]).flatten(1).cpu()
    log_std = torch.cat([q.log_std.expand_as(q.mean) for q in parts]).flatten(1).cpu()
    return Gaussian(mean, log_std)


def _refused(key: str, why: str) -> Planned:
    def take() -> Measure:
        raise ReparamError(why)

    return Planned((key,), "posterior mean", take)


def _of_classes(theirs: Tensor, train: Split, own: Tensor, held_out: Split, seed: int) -> Iterator[Planned]:
    """Probes and clusters: codes (n, d), (m, d) of the first rows of two splits that have labels."""
    assert train.y is not None
    assert held_out.y is not None
    y, t = train.y[: len(theirs)].cpu(), held_out.y[: len(own)].cpu()
    yield Planned(("probe",), "posterior mean", lambda: probe_accuracy(theirs, y, own, t, seed=seed))
    yield Planned(("knn",), "posterior mean", lambda: knn_accuracy(theirs, y, own, t, seed=seed))
    keys = ("cluster_accuracy", "cluster_nmi")
    yield Planned(keys, "posterior mean", lambda: clustering(own, t, seed=seed))


def _of_laws(system: System, x: Tensor, own: Tensor, of: str, seed: int) -> Iterator[Planned]:
    """The codes as a law: what they tell, and how they lie to the prior."""
    q, prior = posterior(system, x), _prior(system, tuple(own.shape[1:]))
    if q is None:
        yield _refused("mutual_information", f"{system.name} gives no density of the codes of an example.")
    else:
        source = prior and system.model.noise()[prior]
        normal = isinstance(source, Normal) and isinstance(system.prior_law(), StandardNormal)
        keys = ("mutual_information", "aggregate_kl") if normal else ("mutual_information",)
        yield Planned(
            keys, "posterior sample", lambda: aggregate_posterior(q.mean, q.log_std, of=of, seed=seed)
        )
        if normal:
            yield Planned(
                ("dimension_kl",), "posterior mean", lambda: dimension_kl(q.mean, q.log_std, of=of, seed=seed)
            )
    yield Planned(("active_units",), "posterior mean", lambda: active_units(own, of=of, seed=seed))
    if prior:
        drawn: tuple[Tensor, Sampling] = (own, "posterior mean")
        if q is not None:
            eps = torch.randn(q.mean.shape, generator=torch.Generator().manual_seed(seed))
            drawn = q.at(eps), "posterior sample"
        with torch.inference_mode():
            theirs = system.prior_law().at(system.draw((prior,), len(own), Control(seed))[prior]).cpu()
        what = f"codes of {of} and draws of the prior"
        kernel = inverse_multiquadratic()
        yield Planned(("code_mmd",), drawn[1], lambda: mmd(drawn[0], theirs, kernel, of=what, seed=seed))


def _prior(system: System, shape: tuple[int, ...]) -> str | None:
    """The source that gives the codes of samples, where it is one, and of the codes' shape or made to be."""
    if not system.can("sample"):
        return None
    sources = asks(system.model.sample).noise  # pyright: ignore[reportArgumentType]
    laws = system.model.noise()
    if hasattr(system.model, "prior_law"):
        return sources[0] if len(sources) == 1 else None
    found = [name for name in sources if laws[name].shape == shape]
    # A choice of tokens comes after the code.
    alone = system.data.kind == "tokens" or len(found) == len(sources)
    return found[0] if len(found) == 1 and alone else None


def _use(system: System, x: Tensor, own: Tensor, seed: int) -> Measure:
    """With the next example's code as another's: a fixed order in which nobody has its own."""
    of = "share of wrong tokens" if system.data.kind == "tokens" else "squared error"
    return code_use(*(errors(system, z, x) for z in (own, own.roll(1, 0))), of=of, seed=seed)


def errors(system: System, z: Tensor, x: Tensor) -> Tensor:
    """How wrong decoded codes are for data x (n, …): mean squares, of what is known, or the share of wrong
    tokens: (n,)."""
    made = system.decode(z).cpu()
    if system.data.kind == "tokens":
        return ((made != x) & (x != PAD)).sum(1) / (x != PAD).sum(1).double()
    return (made - x).square().flatten(1).nanmean(1)


def _entries(system: System, x: Tensor, seed: int) -> dict[str, Measure]:
    """Of training examples: dead entries are those that training left unused."""
    model: Any = system.model
    with torch.inference_mode():
        indices = torch.cat([model.indices(part.to(system.device)).cpu() for part in x.split(CHUNK)])
    return codebook(indices, model.size, seed=seed)


def _of_factors(theirs: Tensor, known: Factors, own: Tensor, those: Factors, seed: int) -> Iterator[Planned]:
    """Disentanglement: codes (n, d), (m, d) and their factors."""
    counts = {name: len(torch.as_tensor(values).unique()) for name, values in those.items()}
    ordered = [name for name, count in counts.items() if count >= ORDERED_FROM]
    yield Planned(("mig",), "posterior mean", lambda: mig(own, those, seed=seed))
    yield Planned(
        ("sap",), "posterior mean", lambda: sap(theirs, known, own, those, ordered=ordered, seed=seed)
    )
    keys = ("disentanglement", "completeness", "informativeness")
    yield Planned(keys, "posterior mean", lambda: dci(theirs, known, own, those, seed=seed))
    yield Planned(("factor_vae_score",), "posterior mean", lambda: factor_vae_score(own, those, seed=seed))
    yield Planned(("beta_vae_score",), "posterior mean", lambda: beta_vae_score(own, those, seed=seed))
