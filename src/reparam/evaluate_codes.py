"""Every measure of a system's codes that the system and the data allow; why not, where one is not."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from reparam.data import Data, Split
from reparam.distributions import Gaussian
from reparam.errors import ReparamError
from reparam.metrics.active_units import active_units
from reparam.metrics.aggregate_posterior import aggregate_posterior
from reparam.metrics.clustering import clustering
from reparam.metrics.code_use import code_use
from reparam.metrics.dci import dci
from reparam.metrics.dimension_kl import dimension_kl
from reparam.metrics.factor_vae_score import factor_vae_score
from reparam.metrics.measure import Measure
from reparam.metrics.mig import mig
from reparam.metrics.mmd import inverse_multiquadratic, mmd
from reparam.metrics.probes import knn_accuracy, probe_accuracy
from reparam.metrics.sap import sap
from reparam.model import asks
from reparam.noise import Control, Normal
from reparam.system import CHUNK, System

LABELS = {
    "probe": "Linear probe of the codes",
    "knn": "Nearest-neighbour probe of the codes",
    "cluster_accuracy": "Clustering accuracy",
    "cluster_nmi": "Clustering information",
    "mutual_information": "Information of codes on data",
    "aggregate_kl": "KL of all codes to the prior",
    "code_mmd": "Codes against the prior",
    "dimension_kl": "Dimensions that carry information",
    "active_units": "Active units",
    "code_use": "Use of the code by the decoder",
    "mig": "Mutual information gap",
    "sap": "Separated attributes (SAP)",
    "disentanglement": "Disentanglement (DCI)",
    "completeness": "Completeness (DCI)",
    "informativeness": "Informativeness (DCI)",
    "factor_vae_score": "FactorVAE score",
}
ORDERED_FROM = 11  # values, from which SAP takes a factor for ordered: a line cannot pick one of so many

Found = dict[str, Measure | str]
"""By the keys of `LABELS`: a measure, or why there is none."""


def measure_codes(
    system: System, data: Data, train: Tensor, held_out: Tensor, *, split: str = "test", seed: int = 0
) -> Found:
    """By the keys of `LABELS`: measures of the codes of `held_out`, or the reason why there is none.

    `train` and `held_out` are the first rows of their splits, (n, *shape) and (m, *shape). Probes need
    labels, disentanglement attributes; both are left out of the answer where the data have none.
    """
    if not system.can("encode"):
        return {"mutual_information": f"{system.name} has no encoder, so it has no codes."}
    theirs, own = (system.encode(x).cpu().flatten(1) for x in (train, held_out))
    of, part = f"the {split} split", getattr(data, split)
    found: Found = {}

    def take(measure: Callable[[], Measure | Mapping[str, Measure]], *keys: str) -> None:
        try:
            taken = measure()
        except ReparamError as reason:
            found.update(dict.fromkeys(keys, str(reason)))
            return
        found.update({keys[0]: taken} if isinstance(taken, Measure) else {key: taken[key] for key in keys})

    if len(data.classes or ()) > 1:
        y, t = _labels(data.train, len(theirs)), _labels(part, len(own))
        take(lambda: probe_accuracy(theirs, y, own, t, seed=seed), "probe")
        take(lambda: knn_accuracy(theirs, y, own, t, seed=seed), "knn")
        take(lambda: clustering(own, t, seed=seed), "cluster_accuracy", "cluster_nmi")
    try:
        found |= _information(system, held_out, own, of, seed)
    except ReparamError as reason:  # codes that are not finite
        found["mutual_information"] = str(reason)
    take(lambda: active_units(own, of=of, seed=seed), "active_units")
    if system.can("decode"):
        # The next example's code: a fixed order without anyone's own.
        errors = [
            (system.decode(z).cpu() - held_out).square().flatten(1).mean(1) for z in (own, own.roll(1, 0))
        ]
        take(lambda: code_use(*errors, of="squared error", seed=seed), "code_use")
    if data.attributes:
        known, those = (
            {name: values[s][:n] for name, values in data.attributes.items()}
            for s, n in (("train", len(theirs)), (split, len(own)))
        )
        ordered = [name for name, values in those.items() if len(values.unique()) >= ORDERED_FROM]
        take(lambda: mig(own, those, seed=seed), "mig")
        take(lambda: sap(theirs, known, own, those, ordered=ordered, seed=seed), "sap")
        dci_keys = ("disentanglement", "completeness", "informativeness")
        take(lambda: dci(theirs, known, own, those, seed=seed), *dci_keys)
        take(lambda: factor_vae_score(own, those, seed=seed), "factor_vae_score")
    return found


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


def _prior(system: System, shape: tuple[int, ...]) -> str | None:
    """The source that gives the codes of samples, where it is one and of the codes' shape."""
    sources = asks(system.model.sample).noise
    return sources[0] if len(sources) == 1 and system.model.noise()[sources[0]].shape == shape else None


def _information(system: System, x: Tensor, own: Tensor, of: str, seed: int) -> Found:
    """The codes as a law: what they tell, and how they lie to the prior."""
    q, found = posterior(system, x), Found()
    prior = _prior(system, tuple(own.shape[1:]))
    if q is None:
        found["mutual_information"] = f"{system.name} gives no density of the codes of an example."
        drawn, means = own, "posterior means"
    else:
        generator = torch.Generator().manual_seed(seed)
        drawn, means = q.at(torch.randn(q.mean.shape, generator=generator)), "one draw of each posterior"
        laws = aggregate_posterior(q.mean, q.log_std, of=of, seed=seed)
        found["mutual_information"] = laws["mutual_information"]
        if prior and isinstance(system.model.noise()[prior], Normal):
            found["aggregate_kl"] = laws["aggregate_kl"]
            found["dimension_kl"] = dimension_kl(q.mean, q.log_std, of=of, seed=seed)
    if prior:
        theirs = system.draw((prior,), len(own), Control(seed))[prior].cpu()
        what = f"{means} over {of}, and draws of the prior"
        found["code_mmd"] = mmd(drawn, theirs, inverse_multiquadratic(), of=what, seed=seed)
    return found


def _labels(split: Split, n: int) -> Tensor:
    assert split.y is not None
    return split.y[:n]
