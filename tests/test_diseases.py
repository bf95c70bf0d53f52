"""Each measure ranks a model that is broken on purpose below a good one, by the rule of the page itself.

The good model gives images that nobody has seen; the broken ones are made of them, or of the training data.
A row of the table says which diseases a measure is there to see: intervals apart, the good one ahead.
"""

from collections.abc import Callable
from dataclasses import asdict

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from reparam.data import load
from reparam.metrics import classifier
from reparam.metrics.coverage import coverage
from reparam.metrics.diversity import diversity
from reparam.metrics.features import extractor
from reparam.metrics.frechet import frechet, frechet_floor
from reparam.metrics.kernel_distance import kernel_distance
from reparam.metrics.measure import Measure
from reparam.metrics.memorisation import memorisation
from reparam.metrics.mmd import median_distance, mmd, rbf
from reparam.metrics.modes import modes
from reparam.metrics.reconstruction import reconstruction
from reparam.metrics.sharpness import sharpness
from reparam.metrics.sliced_wasserstein import sliced_wasserstein
from reparam.report.ranking import leaders
from reparam.report.schema import MeasureRecord

N = 300


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def blur(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 5, 1, 2)


def noise(x: Tensor) -> Tensor:
    return (x + 0.3 * drawn(*x.shape)).clamp(0, 1)


class Digits:
    """Real digits, and what a model with each disease would make of them; features taken once."""

    def __init__(self) -> None:
        data = load("digits")

        def part(split: str, n: int) -> tuple[Tensor, Tensor]:
            batch = data.batch(getattr(data, split), torch.arange(n))
            return batch["x"], batch["y"]

        (self.real, _), (good, self.asked), (train, labels) = (
            part("test", N), part("validation", N), part("train", 1200)
        )  # fmt: skip
        few = good[self.asked < 3]
        self.models = {
            "good": good,
            "blur": blur(good),
            "noise": noise(good),
            "mode drop": few.repeat(4, 1, 1, 1)[:N],
            "memorised": (train[:N] + 0.01 * drawn(*good.shape)).clamp(0, 1),
            "collapsed": good[:1].expand(N, -1, -1, -1),
        }
        self.look = extractor("pixels")
        self.features = {name: self.look(x) for name, x in self.models.items()}
        self.of_real, self.of_train = self.look(self.real), self.look(train)
        self.judge = classifier.train(train, labels, epochs=3)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


def on_features(measure: Callable[..., Measure]) -> Callable[[Digits, str], Measure]:
    return lambda d, model: measure(d.features[model], d.of_real)


def of_coverage(key: str) -> Callable[[Digits, str], Measure]:
    return lambda d, model: coverage(d.features[model], d.of_real)[key]


# a measure of a model's samples, and the diseases it is there to see
SAMPLES: dict[str, tuple[Callable[[Digits, str], Measure], tuple[str, ...]]] = {
    "kernel distance": (on_features(kernel_distance), ("blur", "noise", "mode drop", "collapsed")),
    "MMD": (
        on_features(lambda x, y: mmd(x, y, rbf(median_distance(y)))),
        ("blur", "noise", "mode drop", "collapsed"),
    ),
    "sliced Wasserstein": (on_features(sliced_wasserstein), ("blur", "noise", "mode drop", "collapsed")),
    "precision": (of_coverage("precision"), ("noise",)),
    "density": (of_coverage("density"), ("blur", "noise")),
    "recall": (of_coverage("recall"), ("blur", "mode drop", "collapsed")),
    "coverage": (of_coverage("coverage"), ("noise", "mode drop", "collapsed")),
    "diversity": (on_features(diversity), ("blur", "collapsed")),
    "memorisation": (
        lambda d, model: memorisation(d.features[model], d.of_real, d.of_train),
        ("memorised", "noise"),
    ),
    "sharpness": (lambda d, model: sharpness(d.models[model], d.real), ("blur", "noise")),
    "balance": (
        lambda d, model: classifier.balance(d.judge, d.models[model], d.real),
        ("mode drop", "collapsed"),
    ),
    "confidence": (lambda d, model: classifier.confidence(d.judge, d.models[model]), ("blur", "noise")),
    "class accuracy": (
        lambda d, model: classifier.accuracy(d.judge, d.models[model], d.asked),
        ("noise", "mode drop", "collapsed"),
    ),
}  # fmt: skip


def ranked(good: Measure, broken: Measure) -> list[str]:
    """The marks of the page: `best` where the intervals are apart."""
    records = [MeasureRecord(label="", question="quality", **asdict(m)) for m in (good, broken)]
    return list(leaders(records))


@pytest.mark.parametrize(("name", "diseases"), [(name, seen) for name, (_, seen) in SAMPLES.items()])
def test_broken_models_rank_below_the_good_one(digits: Digits, name: str, diseases: tuple[str, ...]) -> None:
    measure, _ = SAMPLES[name]
    good = measure(digits, "good")
    for disease in diseases:
        broken = measure(digits, disease)
        assert ranked(good, broken) == ["best", ""], f"{disease}:\n{good}\n{broken}"


def test_every_disease_is_seen_by_something() -> None:
    seen = {disease for _, diseases in SAMPLES.values() for disease in diseases}
    assert seen == {"blur", "noise", "mode drop", "memorised", "collapsed"}


def test_frechet_distance_is_far_above_its_floor(digits: Digits) -> None:
    """It has no interval: it is held against what two sets of real digits give."""
    floor = frechet_floor(digits.of_train, N).value
    found = {model: frechet(x, digits.of_real).value for model, x in digits.features.items()}
    assert found["good"] < 1.2 * floor
    assert min(found[disease] for disease in ("blur", "noise", "mode drop", "collapsed")) > 2 * floor


def test_no_measure_sees_everything(digits: Digits) -> None:
    """Why there are many: copies of the data are sharp and of every class, and blur lies amid the data."""
    for name, disease in [
        ("kernel distance", "memorised"), ("recall", "memorised"), ("sharpness", "mode drop"),
        ("precision", "mode drop"), ("balance", "blur"),
    ]:  # fmt: skip
        measure, _ = SAMPLES[name]
        assert ranked(measure(digits, "good"), measure(digits, disease)) == ["", ""], (name, disease)
    precision, _ = SAMPLES["precision"]
    assert ranked(precision(digits, "good"), precision(digits, "blur")) == ["", "best"]


GRID = torch.cartesian_prod(*[torch.arange(-2.0, 3.0)] * 2)  # 25 modes
MODES = {
    "mode drop": GRID[torch.arange(5000) % 20] + 0.05 * drawn(5000, 2),
    "noise": GRID[torch.arange(5000) % 25] + 0.3 * drawn(5000, 2),
    "collapsed": GRID[:1].expand(5000, 2),
}


@pytest.mark.parametrize(
    ("key", "disease"), [("modes", "mode drop"), ("modes", "collapsed"), ("quality", "noise")]
)
def test_modes_of_a_toy(key: str, disease: str) -> None:
    good = GRID[torch.arange(5000) % 25] + 0.05 * drawn(5000, 2, seed=1)
    assert ranked(modes(good, GRID)[key], modes(MODES[disease], GRID)[key]) == ["best", ""]


def test_reconstructions(digits: Digits) -> None:
    good = (digits.real + 0.02 * drawn(*digits.real.shape)).clamp(0, 1)
    mean = digits.real.mean(0, keepdim=True).expand_as(digits.real)  # what a collapsed posterior gives
    for broken in (blur(digits.real), noise(digits.real), mean):
        ours, theirs = (reconstruction(digits.real, made) for made in (good, broken))
        for key in ("mse", "psnr", "ssim"):
            assert ranked(ours[key], theirs[key]) == ["best", ""], key


def test_reconstructions_of_another_class(digits: Digits) -> None:
    kept = classifier.faithful(digits.judge, digits.real, digits.real)
    swapped = classifier.faithful(digits.judge, digits.real, digits.real.roll(1, 0))
    assert ranked(kept, swapped) == ["best", ""]
