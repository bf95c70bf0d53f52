"""Measures a trained system on held-out data: how blurred, faithful, diverse, steady, costly, likely."""

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reparam import checkpoint, evaluate_likelihood
from reparam.data import Data, Split, toys
from reparam.data.dataset import real
from reparam.engine import versions
from reparam.errors import ReparamError
from reparam.evaluate_codes import measures_of_codes
from reparam.metrics import bootstrap, classifier, coverage, features
from reparam.metrics.diversity import diversity
from reparam.metrics.features import EfficientNetLite0, Extractor, extractor
from reparam.metrics.frechet import frechet, frechet_floor
from reparam.metrics.kernel_distance import kernel_distance
from reparam.metrics.measure import Better, Measure
from reparam.metrics.memorisation import memorisation
from reparam.metrics.mmd import median_distance, mmd, rbf
from reparam.metrics.modes import modes
from reparam.metrics.reconstruction import reconstruction
from reparam.metrics.sharpness import sharpness
from reparam.metrics.sliced_wasserstein import sliced_wasserstein
from reparam.metrics.steadiness import LEAST as PROBES_LEAST
from reparam.metrics.steadiness import steadiness
from reparam.noise import Streams
from reparam.report.schema import (
    Checkpoint,
    Conditions,
    Cost,
    Evaluation,
    HeldOut,
    Machine,
    MeasureRecord,
    Question,
    Sampling,
)
from reparam.run import read_log, read_settings, reload_data
from reparam.system import System, load, write_json

if TYPE_CHECKING:
    from reparam.evaluate_missing import MissingYardstick
    from reparam.evaluate_ranking import RankingYardstick
    from reparam.evaluate_text import TextYardstick

MOST = 1000  # examples measured, of the held-out split and of samples alike
LEAST = 6  # precision, recall and coverage look at five neighbours
PROBE = 256  # samples and validation examples of the measure that is repeated along the run
DRAWS = 50  # importance samples for the likelihood
MODES_OF = 10_000  # samples of a toy, on which modes are counted by custom
LIKELIHOOD_OF = 100  # held-out examples for the likelihood


class Label(NamedTuple):
    """What a measure is called, the question it answers, and where good values lie."""

    words: str
    question: Question
    better: Better


# Of several that answer one question, the first decides.
LABELS = {
    "ndcg@100": Label("NDCG@100", "recommended", "higher"),
    "recall@20": Label("Recall@20", "recommended", "higher"),
    "recall@50": Label("Recall@50", "recommended", "higher"),
    "map@100": Label("Mean average precision@100", "recommended", "higher"),
    "coverage@100": Label("Items recommended to someone", "diverse", "higher"),
    "rmse": Label("Error of ratings (RMSE)", "recommended", "lower"),
    "mae": Label("Error of ratings (mean absolute)", "recommended", "lower"),
    "sharpness": Label("Sharpness of samples", "blurred", "one"),
    "mse": Label("Reconstruction error", "faithful", "lower"),
    "token_accuracy": Label("Tokens that come back", "faithful", "higher"),
    "psnr": Label("Reconstruction PSNR", "faithful", "higher"),
    "ssim": Label("SSIM", "faithful", "higher"),
    "imputation": Label("Error of imputed numbers", "faithful", "lower"),
    "class_kept": Label("Class kept in reconstruction", "faithful", "higher"),
    "probe": Label("Linear probe of the codes", "codes", "higher"),
    "knn": Label("Nearest-neighbour probe of the codes", "codes", "higher"),
    "cluster_accuracy": Label("Clustering accuracy", "codes", "higher"),
    "cluster_nmi": Label("Clustering information", "codes", "higher"),
    "mutual_information": Label("Information of codes on data", "codes", "higher"),
    "aggregate_kl": Label("KL of all codes to the prior", "codes", "lower"),
    "code_mmd": Label("Codes against the prior", "codes", "lower"),
    "dimension_kl": Label("Dimensions that carry information", "codes", "higher"),
    "active_units": Label("Active units", "codes", "higher"),
    "code_use": Label("Use of the code by the decoder", "codes", "higher"),
    "mig": Label("Mutual information gap", "codes", "higher"),
    "sap": Label("Separated attributes (SAP)", "codes", "higher"),
    "disentanglement": Label("Disentanglement (DCI)", "codes", "higher"),
    "completeness": Label("Completeness (DCI)", "codes", "higher"),
    "informativeness": Label("Informativeness (DCI)", "codes", "higher"),
    "factor_vae_score": Label("FactorVAE score", "codes", "higher"),
    "beta_vae_score": Label("β-VAE score", "codes", "higher"),
    "codebook_used": Label("Entries of the codebook used", "codes", "higher"),
    "codebook_perplexity": Label("Perplexity of the codebook", "codes", "higher"),
    "modes": Label("Modes covered", "diverse", "higher"),
    "recall": Label("Recall", "diverse", "higher"),
    "coverage": Label("Coverage", "diverse", "higher"),
    "diversity": Label("Spread of samples", "diverse", "one"),
    "balance": Label("Balance of classes", "diverse", "zero"),
    "distinct": Label("Different pairs of tokens", "diverse", "higher"),
    "copied": Label("Lines copied from the training data", "quality", "lower"),
    "kernel_distance": Label("Kernel distance", "quality", "lower"),
    "mmd": Label("Maximum mean discrepancy", "quality", "lower"),
    "sliced_wasserstein": Label("Sliced Wasserstein distance", "quality", "lower"),
    "frechet": Label("Fréchet distance", "quality", "lower"),
    "quality": Label("Share near a mode", "quality", "higher"),
    "precision": Label("Precision", "quality", "higher"),
    "density": Label("Density", "quality", "one"),
    "memorisation": Label("Distance to training data", "quality", "one"),
    "steadiness": Label("Swing of sample quality", "steady", "lower"),
    "perplexity": Label("Perplexity per token", "likelihood", "lower"),
    "likelihood": Label("Log-likelihood bound", "likelihood", "higher"),
    "bits": Label("Bits per dimension", "likelihood", "lower"),
    "elbo": Label("Evidence lower bound", "likelihood", "higher"),
    "rate": Label("Rate", "likelihood", "lower"),
    "distortion": Label("Distortion", "likelihood", "lower"),
    "annealed": Label("Log-likelihood by annealing", "likelihood", "higher"),
    "annealed_error": Label("Annealing's upper − lower bound", "likelihood", "zero"),
    "refined": Label("Log-likelihood by short chains", "likelihood", "higher"),
    "refinement": Label("What short chains add", "likelihood", "zero"),
    "gap": Label("Inference gap", "likelihood", "zero"),
    "approximation": Label("Approximation gap", "likelihood", "zero"),
    "amortisation": Label("Amortisation gap", "likelihood", "zero"),
}

Records = dict[str, MeasureRecord]


class Yardstick:
    """Held-out data, features and a classifier, made once for all the systems that are compared.

    `extractor` is a name, `module:function` or a function (`metrics.features`); by default
    EfficientNet-Lite0 where it is installed. Raises ReparamError if there are too few examples.
    """

    probed = "kernel distance to validation"

    def __init__(
        self,
        data: Data,
        *,
        split: HeldOut = "test",
        n: int = MOST,
        extractor: str | Callable[[Tensor], Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        part: Split = getattr(data, split)
        if min(n, part.n) < LEAST:
            raise ReparamError(
                f"{min(n, part.n)} examples of the {split} split of {data.name} are too few to measure with: "
                f"precision, recall and coverage look at five neighbours and need {LEAST}."
            )
        self.data, self.seed = data, seed
        self.split: HeldOut = split
        self.held_out = examples(data, part, n)
        self.labels = None if part.y is None else part.y[:n]
        self.train = examples(data, data.train, 3 * MOST)
        # What is made is held against data of the domain that it is made for.
        self.goal, goal = self.held_out, self.train
        if data.domains:
            self.goal, goal = (other_examples(s, k) for s, k in ((part, n), (data.train, 3 * MOST)))
        self.extract = _extractor(data, extractor)
        self.of = f"{self.extract.name} features" if self.extract else "the vectors themselves"
        self.features, self.train_features = self.look(self.goal), self.look(goal)
        self.floor = frechet_floor(self.train_features, min(len(self.goal), len(goal) // 2), seed=seed)
        self.judge = self._judge()
        # Cheap features: they are taken anew all along a run.
        self._probe = features.extractor("pixels") if data.kind == "image" else _flat
        validation = data.validation
        self._watched = examples(data, validation, PROBE)
        self._probed = self._probe(other_examples(validation, PROBE) if data.domains else self._watched)

    def look(self, x: Tensor) -> Tensor:
        """What sample measures compare: features, or the vectors themselves, (n, …) → (n, d) float64."""
        return self.extract(x) if self.extract else _flat(x)

    def conditions(self, device: torch.device) -> Conditions:
        """What holds for every measure taken with this yardstick."""
        extra = features.versions(self.extract) if self.extract else {}
        return conditions(self.data, self.split, len(self.held_out), self.seed, device, extra)

    def made(self, system: System, x: Tensor) -> tuple[Tensor, Sampling] | None:
        """What a system makes, as many as x (n, …): translations of x, or samples; None if nothing."""
        if system.can("translate"):
            return system.translate(x, seed=self.seed).cpu(), "translations"
        return (system.sample(len(x), self.seed).cpu(), "prior draws") if system.can("sample") else None

    def probe(self, system: System) -> float:
        """Kernel distance of a few samples to validation data: cheap enough to be repeated along a run.

        Not a number of a system that makes none.
        """
        training = system.model.training
        made = system.model.eval() and self.made(system, self._watched)
        system.model.train(training)
        return kernel_distance(self._probe(made[0]), self._probed, times=2).value if made else math.nan

    def measure(self, system: System, probes: Sequence[float] = ()) -> Records:
        """Every measure that the system and the data allow."""
        found = self._faithful(system) | self._codes(system) | likely(system, self.held_out, self.seed)
        if made := self.made(system, self.held_out):
            found |= self._of_samples(*made) | self._modes(system)
        else:
            key = "kernel_distance" if self.data.kind == "image" else "mmd"
            found |= missing(f"{system.name} makes no data.", key)
        if made and len(probes) >= PROBES_LEAST:
            look = "pixels" if self.data.kind == "image" else None
            series = np.array(probes)
            found |= taken(lambda: steadiness(series), "steadiness", sampling=made[1], extractor=look)
        return in_order(found)

    def _judge(self) -> classifier.Judge | None:
        if self.data.kind != "image" or self.data.train.y is None or len(self.data.classes or ()) < 2:
            return None
        try:
            return classifier.train(self.train, self.data.train.y[: 3 * MOST], seed=self.seed)
        except ReparamError:
            return None  # too few labelled images for a judge worth asking

    def _faithful(self, system: System) -> Records:
        if not (system.can("encode") and system.can("decode")):
            return missing(f"{system.name} has no encoder, so it cannot reconstruct.", "mse")
        x, judge, seed = self.held_out, self.judge, self.seed
        facts = {"sampling": "posterior mean"}
        made = system.reconstruct(x, self.labels).cpu()
        if self.data.kind == "image":
            found = taken(lambda: reconstruction(x, made, seed=seed), "mse", "psnr", "ssim", **facts)
        else:
            found = taken(lambda: _mean_square(x, made, seed), "mse", **facts)
        if judge:
            found |= taken(lambda: classifier.faithful(judge, x, made, seed=seed), "class_kept", **facts)
        return found

    def _codes(self, system: System) -> Records:
        found: Records = {}
        for keys, sampling, take in measures_of_codes(
            system, self.data, self.train, self.held_out, split=self.split, seed=self.seed
        ):
            found |= taken(take, *keys, sampling=sampling)
        return found

    def _of_samples(self, samples: Tensor, sampling: Sampling) -> Records:
        real, judge, image = self.features, self.judge, self.data.kind == "image"
        try:
            made = self.look(samples)
        except ReparamError as refusal:  # pictures outside [0, 1], numbers that are not finite
            return missing(str(refusal), "recall", "kernel_distance" if image else "mmd")
        common: dict[str, Any] = {"of": f"{self.of}, {self.split} split", "seed": self.seed}
        found: Records = {}

        def take(
            measure: Callable[[], Measure | Mapping[str, Measure]], *keys: str, on_features: bool = True
        ):
            name = self.extract.name if self.extract and on_features else None
            found.update(taken(measure, *keys, sampling=sampling, extractor=name))

        if image:
            take(lambda: sharpness(samples, self.goal, seed=self.seed), "sharpness", on_features=False)
            take(lambda: kernel_distance(made, real, **common), "kernel_distance")
        else:
            take(lambda: mmd(made, real, rbf(median_distance(real)), **common), "mmd")
        take(lambda: sliced_wasserstein(made, real, **common), "sliced_wasserstein")
        take(lambda: self._frechet(made), "frechet")
        take(lambda: coverage.coverage(made, real, **common), "recall", "coverage", "precision", "density")
        take(lambda: diversity(made, real, **common), "diversity")
        take(lambda: memorisation(made, real, self.train_features, **common), "memorisation")
        if judge and not self.data.domains:  # it judges the first domain
            take(
                lambda: classifier.balance(judge, samples, self.held_out, seed=self.seed),
                "balance",
                on_features=False,
            )
        return found

    def _frechet(self, made: Tensor) -> Measure:
        found = frechet(made, self.features, of=f"{self.of}, {self.split} split")
        floor = f"{self.floor.n} training examples are {self.floor.value:.3g} from {self.floor.n} others"
        return replace(found, how=f"{found.how} It has no interval; {floor}: its bias at that n.")

    def _modes(self, system: System) -> Records:
        toy = self.data.spec.get("spec")
        if toy not in toys.MODES or not system.can("sample"):
            return {}
        centres, sigma = toys.MODES[toy]
        samples = system.sample(MODES_OF, self.seed).cpu()
        return taken(
            lambda: modes(samples, centres, sigma=sigma, seed=self.seed),
            "modes",
            "quality",
            sampling="prior draws",
        )

    def annealed(self, system: System) -> Records:
        """Annealed importance sampling, its error on simulated data, what inference loses: takes minutes."""
        return annealed(system, self.held_out, self.seed)


def evaluate(
    run: str | Path,
    *,
    data: Data | None = None,
    device: str = "cpu",
    split: HeldOut = "test",
    n: int = MOST,
    extractor: str | Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
    ais: bool = False,
) -> Evaluation:
    """Measures a finished run on n examples of a held-out split, and as many samples.

    The record is written into the run, to `measures.json` or for validation to `measures-validation.json`,
    and returned. Choose on validation data; the test split is for the figure that is reported.
    `ais` adds annealed importance sampling. Raises ReparamError if there is no run, if its data cannot be
    had or are not what it was trained on, if there are too few, or if the model cannot be annealed.
    """
    run, began = Path(run), time.perf_counter()
    system = load(run, device)
    if ais:
        evaluate_likelihood.check_annealed(system)
    data = data or reload_data(system)
    check_data(run, data)
    yardstick = yardstick_for(data, split=split, n=n, extractor=extractor, seed=seed)
    found = Evaluation(
        run=str(run),
        model=system.name,
        conditions=yardstick.conditions(system.device),
        checkpoint=measured_checkpoint(run),
        seeds=seeds(system, run),
        measures=yardstick.measure(system) | (yardstick.annealed(system) if ais else {}),
        seconds=time.perf_counter() - began,
        cost=cost(system, run),
    )
    write_json(run / record_name(split), found.model_dump(mode="json"))
    return found


def yardstick_for(
    data: Data,
    *,
    split: HeldOut,
    n: int,
    extractor: str | Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
) -> "Yardstick | TextYardstick | RankingYardstick | MissingYardstick":
    """What measures systems on these data: text, ratings and data with holes have measures of their own."""
    if data.kind == "bag":
        from reparam.evaluate_ranking import RankingYardstick

        if extractor is not None:
            raise ReparamError(
                f"{data.name} holds ratings, which no extractor looks at; leave --extractor out."
            )
        return RankingYardstick(data, split=split, n=n, seed=seed)
    if data.missing:
        from reparam.evaluate_missing import MissingYardstick

        if extractor is not None:
            raise ReparamError(f"{data.name} has holes: no extractor looks at it; leave --extractor out.")
        return MissingYardstick(data, split=split, n=n, seed=seed)
    if data.kind != "tokens":
        return Yardstick(data, split=split, n=n, extractor=extractor, seed=seed)
    from reparam.evaluate_text import TextYardstick

    if extractor is not None:
        raise ReparamError(f"{data.name} is text, which no extractor looks at; leave --extractor out.")
    return TextYardstick(data, split=split, n=n, seed=seed)


def conditions(
    data: Data, split: HeldOut, n: int, seed: int, device: torch.device, extra: dict[str, str]
) -> Conditions:
    """What holds for every measure of an evaluation; `extra` are versions of what looks at the data."""
    found = versions()
    packages = {name: found[name] for name in ("reparam", "torch", "numpy")}
    return Conditions(
        data=data.name,
        fingerprint=data.fingerprint,
        split=split,
        n=n,
        binarisation=data.spec.get("binarise", "none"),
        seed=seed,
        machine=Machine(
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            threads=found["threads"],
            platform=found["platform"],
            python=found["python"],
            versions=packages | extra,
        ),
    )


def record_name(split: HeldOut) -> str:
    """The file of an evaluation: one on validation data does not take the place of that on test data."""
    return "measures.json" if split == "test" else f"measures-{split}.json"


def check_data(run: Path, data: Data) -> None:
    """Raises ReparamError unless the data are those that a run was trained on, to the byte."""
    if read_settings(run).fingerprint != data.fingerprint:
        raise ReparamError(
            f"{run} was trained on other data than {data!r}: the contents, their split or their "
            "binarisation differ. Only on its own data can a run be measured, or compared with another."
        )


def measured_checkpoint(run: Path) -> Checkpoint:
    """Which of a run's weights `load` takes."""
    return Checkpoint(step=checkpoint.load(run / "checkpoints").step, averaged=read_settings(run).average)


def seeds(system: System, run: Path) -> dict[str, int]:
    """The seeds of a run's training."""
    settings = read_settings(run)
    return {"weights": system.seed, "run": settings.seed, **settings.seeds}


def cost(system: System, run: Path) -> Cost:
    """What a run's training took, by its log; the time per step has an interval over the log's windows."""
    rows = read_log(run)
    if not rows:
        raise ReparamError(f"{run} has no log of its training, so its cost is not known.")
    marks = [(0, 0.0), *((row["step"], row["seconds"]) for row in rows)]
    # The first window holds the warming up of caches and threads.
    windows = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(marks) if b[0] > a[0]]
    each = 1000 * np.array(windows[1:] or windows)
    low, high = bootstrap.interval(bootstrap.mean, each) if len(each) > 4 else (None, None)
    steps, seconds = rows[-1]["step"], rows[-1]["seconds"]
    repeats = max(turn.repeat for turn in system.model.turns())
    return Cost(
        seconds=seconds,
        steps=steps,
        parameters=sum(p.numel() for p in system.model.parameters()),
        ms_per_step=float(each.mean()),
        ms_per_step_low=low,
        ms_per_step_high=high,
        peak_memory_mib=checkpoint.load(run / "checkpoints").facts.get("peak_mib"),
        examples=steps * repeats * read_settings(run).batch_size,
    )


def examples(data: Data, split: Split, most: int) -> Tensor:
    """The first rows of a split as a batch holds them, made binary by a fixed draw where that is dynamic."""
    rows = torch.arange(min(most, len(split.x)))
    streams = Streams(0)
    noise = {
        name: streams.draw(name, source, len(rows), -1)
        for name, source in data.noise().items()
        if name == "binarise"
    }
    return data.batch(split, rows, **noise)["x"]


def likely(system: System, held_out: Tensor, seed: int) -> Records:
    """How likely a system finds the first of the held-out data."""
    if not evaluate_likelihood.bounded(system):
        return missing(f"{system.name} gives no bound on log p(x).", "likelihood")
    x = held_out[:LIKELIHOOD_OF]
    facts = {"sampling": "posterior sample", "importance_samples": DRAWS}
    found = taken(
        lambda: evaluate_likelihood.likelihoods(system, x, draws=DRAWS, seed=seed),
        "likelihood",
        "bits",
        **(facts if evaluate_likelihood.sampled(system) else {}),
    )
    parts = ("elbo", "rate", "distortion")
    return found | taken(
        lambda: evaluate_likelihood.parts(system, x, seed=seed), *parts, sampling="posterior sample"
    )


def annealed(system: System, held_out: Tensor, seed: int) -> Records:
    """Annealed importance sampling on the first of the held-out data."""
    return taken(
        lambda: evaluate_likelihood.annealed(system, held_out, draws=DRAWS, seed=seed),
        *("annealed", "annealed_error", "refined", "refinement", "gap", "approximation", "amortisation"),
    )


def in_order(found: Records) -> Records:
    """The records in the order of the labels."""
    return {key: found[key] for key in LABELS if key in found}


def other_examples(split: Split, most: int) -> Tensor:
    """The first examples of the second domain, in the order of the data."""
    if split.other is None:
        raise ReparamError("these data have one domain; name the other (load(…, to=…)).")
    return real(split.other[:most])


def _extractor(data: Data, asked: str | Callable[[Tensor], Tensor] | None) -> Extractor | None:
    """What looks at the data; None for vectors, which are compared as they are."""
    if asked is not None:
        if data.kind != "image" and asked in features.EXTRACTORS:
            raise ReparamError(
                f"extractor {asked!r} looks at images and {data.name} holds vectors, which are compared as "
                "they are; leave --extractor out, or give a function of your own, module:function."
            )
        return extractor(asked)
    if data.kind != "image":
        return None
    try:
        return EfficientNetLite0(128)  # a sixth of the time of 224, and another extractor by another name
    except ReparamError:
        return extractor("random-conv")


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1).double()


def _mean_square(x: Tensor, y: Tensor, seed: int) -> Measure:
    error = (x - y).double().square().flatten(1).mean(1).numpy()
    low, high = bootstrap.interval(bootstrap.mean, error, seed=seed)
    how = f"Mean over dimensions and {len(error)} reconstructions; {bootstrap.resampled(seed)}."
    return Measure(float(error.mean()), low, high, len(error), "squared units", "lower", how)


def taken(measure: Callable[[], Measure | Mapping[str, Measure]], *keys: str, **facts: Any) -> Records:
    """Takes a measure, or several at once, and makes records of those keys it gives; the time is of all.

    One that refuses what it is shown (data without any detail, numbers that are not finite) says so in its
    record: the others, and hours of training, are not lost with it.
    """
    began = time.perf_counter()
    try:
        found = measure()
    except ReparamError as refusal:
        return missing(str(refusal), *keys)
    facts["seconds"] = time.perf_counter() - began
    found = {keys[0]: found} if isinstance(found, Measure) else found
    return {key: _record(key, **facts, **asdict(found[key])) for key in keys if key in found}


def missing(why: str, *keys: str) -> Records:
    return {key: _record(key, value=None, n=0, better=LABELS[key].better, how=why) for key in keys}


def _record(key: str, **fields: Any) -> MeasureRecord:
    label = LABELS[key]
    return MeasureRecord(label=label.words, question=label.question, **fields)
