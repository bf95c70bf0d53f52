"""Measures a trained system on held-out data: how blurred, faithful, diverse, steady, costly, likely."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reparam.data import Data, Split
from reparam.errors import ReparamError
from reparam.metrics import bootstrap, classifier, codes, coverage, likelihood
from reparam.metrics.diversity import diversity
from reparam.metrics.features import EfficientNetLite0, Extractor, extractor
from reparam.metrics.kernel_distance import kernel_distance
from reparam.metrics.measure import Measure
from reparam.metrics.memorisation import memorisation
from reparam.metrics.reconstruction import reconstruction
from reparam.metrics.sharpness import sharpness
from reparam.metrics.steadiness import steadiness
from reparam.noise import Streams
from reparam.report.schema import Cost, MeasureRecord, Question
from reparam.run import read_log, read_settings, reload_data
from reparam.system import System, load, write_json

MOST = 1000  # examples measured, of the test split and of samples alike
PROBE = 256  # samples and validation examples of the measure that is repeated along the run
DRAWS = 50  # importance samples for the likelihood
LIKELIHOOD_OF = 100  # test examples for the likelihood

Records = dict[str, MeasureRecord]


class Yardstick:
    """Held-out data, features and a classifier, made once for all the systems that are compared."""

    def __init__(self, data: Data, *, seed: int = 0) -> None:
        self.data, self.seed = data, seed
        self.test = examples(data, data.test, MOST)
        self.labels = None if data.test.y is None else data.test.y[:MOST]
        self.train = examples(data, data.train, 3 * MOST)
        self.extract, self.of = _features(data)
        self.test_features, self.train_features = self.extract(self.test), self.extract(self.train)
        self.judge = self._judge()
        self._probe = _probe_features(data)
        self._probed = self._probe(examples(data, data.validation, PROBE))

    def _judge(self) -> classifier.Judge | None:
        if self.data.kind != "image" or self.data.train.y is None or len(self.data.classes or ()) < 2:
            return None
        try:
            return classifier.train(self.train, self.data.train.y[: 3 * MOST], seed=self.seed)
        except ReparamError:
            return None  # too few labelled images for a judge worth asking

    def probe(self, system: System) -> float:
        """Kernel distance of a few samples to validation data: cheap enough to be repeated along a run."""
        training = system.model.training
        samples = system.model.eval() and system.sample(PROBE, self.seed)
        system.model.train(training)
        return kernel_distance(self._probe(samples.cpu()), self._probed, times=2).value

    def measure(self, system: System, probes: Sequence[float] = ()) -> Records:
        """Every measure that the system and the data allow."""
        n, found = len(self.test), {}
        samples = system.sample(n, self.seed).cpu()
        if self.data.kind == "image":
            found["sharpness"] = _record("Sharpness of samples", "blurred", sharpness(samples, self.test))
        found |= self._faithful(system)
        found |= self._of_samples(samples)
        if len(probes) >= 8:
            found["steadiness"] = _record("Swing of sample quality", "steady", steadiness(np.array(probes)))
        return found | self._likelihood(system)

    def _faithful(self, system: System) -> Records:
        if not (system.can("encode") and system.can("decode")):
            why = f"{system.name} has no encoder, so it cannot reconstruct."
            return {"mse": _missing("Reconstruction error", "faithful", "lower", why)}
        made = system.reconstruct(self.test).cpu()
        if self.data.kind == "image":
            labels = {"mse": "Reconstruction error", "psnr": "Reconstruction PSNR", "ssim": "SSIM"}
            found = {k: _record(labels[k], "faithful", m) for k, m in reconstruction(self.test, made).items()}
        else:
            found = {"mse": _record("Reconstruction error", "faithful", _mean_square(self.test, made))}
        if self.judge:
            kept = classifier.faithful(self.judge, self.test, made)
            found["class_kept"] = _record("Class kept in reconstruction", "faithful", kept)
        if self.labels is not None and self.data.train.y is not None and len(self.data.classes or ()) > 1:
            own = [system.encode(x).cpu().flatten(1) for x in (self.train, self.test)]
            probe = codes.probe_accuracy(own[0], self.data.train.y[: len(own[0])], own[1], self.labels)
            found["probe"] = _record("Linear probe of the codes", "faithful", probe)
        return found

    def _of_samples(self, samples: Tensor) -> Records:
        features, of, found = self.extract(samples), self.of, {}
        balls = coverage.coverage(features, self.test_features, of=of)
        found["recall"] = _record("Recall", "diverse", balls["recall"])
        found["coverage"] = _record("Coverage", "diverse", balls["coverage"])
        found["diversity"] = _record(
            "Spread of samples", "diverse", diversity(features, self.test_features, of=of)
        )
        if self.judge:
            found["balance"] = _record(
                "Balance of classes", "diverse", classifier.balance(self.judge, samples, self.test)
            )
        distance = kernel_distance(features, self.test_features, of=of)
        found["kernel_distance"] = _record("Kernel distance", "quality", distance)
        found["precision"] = _record("Precision", "quality", balls["precision"])
        copied = memorisation(features, self.test_features, self.train_features, of=of)
        found["memorisation"] = _record("Distance to training data", "quality", copied)
        return found

    def _likelihood(self, system: System) -> Records:
        if not system.can("log_weights"):
            why = f"{system.name} gives no bound on log p(x)."
            return {"likelihood": _missing("Log-likelihood bound", "likelihood", "higher", why)}
        shape = system.model.noise()["eps"].shape[1:]
        x = self.test[:LIKELIHOOD_OF]
        with torch.inference_mode():
            bounds = likelihood.importance_weighted(
                lambda part, eps: system.model.log_weights(part, eps=eps),  # pyright: ignore[reportCallIssue]
                x.to(system.device),
                likelihood.standard_normal(*shape),
                draws=DRAWS,
                seed=self.seed,
            )
        measure = likelihood.likelihood(bounds.cpu(), draws=DRAWS)
        return {"likelihood": _record("Log-likelihood bound", "likelihood", measure)}


def evaluate(run: str | Path, *, data: Data | None = None, device: str = "cpu") -> dict[str, Any]:
    """Measures a finished run on its test split, writes `measures.json` into it and returns that.

    Raises ReparamError if there is no run, or its data cannot be had.
    """
    run = Path(run)
    system = load(run, device)
    records = Yardstick(data or reload_data(system)).measure(system)
    content = {
        "run": str(run),
        "model": system.name,
        "split": "test",
        "measures": {name: record.model_dump() for name, record in records.items()},
        "cost": cost(system, run).model_dump(),
    }
    write_json(run / "measures.json", content)
    return content


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


def _features(data: Data) -> tuple[Extractor | Any, str]:
    if data.kind != "image":
        return _flat, "the vectors themselves"
    try:
        # 128 pixels: a sixth of the time of 224, and another extractor by another name.
        net: Extractor = EfficientNetLite0(128)
    except ReparamError:
        net = extractor("random-conv")
    return net, f"{net.name} features, test split"


def _probe_features(data: Data) -> Any:
    return extractor("pixels") if data.kind == "image" else _flat


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1).double()


def _mean_square(x: Tensor, y: Tensor) -> Measure:
    error = (x - y).double().square().flatten(1).mean(1).numpy()
    low, high = bootstrap.interval(bootstrap.mean, error)
    return Measure(
        float(error.mean()), low, high, len(error), "squared units", "lower", "Mean over dimensions."
    )


def _record(label: str, question: Question, measure: Measure) -> MeasureRecord:
    return MeasureRecord(label=label, question=question, **asdict(measure))


def _missing(label: str, question: Question, better: Any, why: str) -> MeasureRecord:
    return MeasureRecord(label=label, question=question, value=None, n=0, better=better, how=why)
