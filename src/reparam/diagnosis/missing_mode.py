"""Are there kinds of data that no sample is of? Kinds are the classes that the data are labelled with."""

from collections.abc import Callable

import torch
from torch import Tensor

from reparam.data import Data
from reparam.diagnosis.case import MOST, Case, Evidence, Verdict
from reparam.evaluate import examples
from reparam.metrics import classifier
from reparam.metrics.arrays import squared_distances

NAME = "missing mode"
TAUGHT = 3000  # training examples that the judge learns from
TELLS = 0.7  # accuracy on held-out data, below which the judge is not believed
DOUBT = 0.5  # above it, and above that of 95 % of the data, a sample is of no class
RARE = 0.1  # of its share in the data: a class that samples show more rarely is missing
EXPECTED = (
    20  # samples of a class, below which its absence may be chance; of 20 expected, 2 are never seen so
)
NAMED = 3  # missing classes in the sentence; the evidence has all

Judge = Callable[[Tensor], tuple[Tensor, Tensor]]
"""(n, *shape) → classes (n,), and how doubtful each is, 0 to 1: (n,)."""


def missing_mode(case: Case) -> Verdict | None:
    """For labelled data: a classifier of images, or the nearest training examples, say what is what."""
    if not case.system.can("sample") or case.data.kind == "tokens":  # ids have no distances
        return None
    data, classes = case.data, case.data.classes
    if classes is None or data.train.y is None or data.validation.y is None or len(classes) < 2:
        change = ("Give labelled data: --data, with y beside x, or one folder a class.",)
        return Verdict(NAME, "unclear", "the data have no classes to count samples by.", (), change)
    judge = _image_judge(data, data.train.y) if data.kind == "image" else _vector_judge(data, data.train.y)
    (seen, usual), (said, doubt) = judge(case.held_out), judge(case.samples)
    right = (seen == data.validation.y[:MOST]).double().mean().item()
    plain = doubt <= max(DOUBT, usual.quantile(0.95).item())
    # The data are judged too, so that the judge's own leanings cancel.
    expected, found = _shares(seen, len(classes)), _shares(said[plain], len(classes))
    common = [c for c in range(len(classes)) if expected[c] * int(plain.sum()) >= EXPECTED]
    missing = [c for c in common if found[c] < RARE * expected[c]]
    shown = missing or sorted(common, key=lambda c: found[c] / expected[c])[:1]
    evidence = (
        Evidence(right, "accuracy of the judge on held-out data"),
        Evidence(plain.double().mean().item(), "share of samples that are plainly of one class"),
        Evidence(len(missing), f"classes missing, of {len(common)} that are frequent enough to be missed"),
        *(Evidence(found[c], f"share of {classes[c]} in these; {expected[c]:.3g} in data") for c in shown),
    )
    if right < TELLS:
        finding = f"the judge of the {len(classes)} classes is right on {right:.0%} of held-out data only."
        return Verdict(NAME, "unclear", finding, evidence, ("Judge with more, or better labelled, data.",))
    if plain.double().mean() < 0.5 or not common:
        finding = (
            f"only {plain.double().mean():.0%} of samples are plainly of one of the {len(classes)} classes."
        )
        return Verdict(NAME, "unclear", finding, evidence, ("Train longer: samples are no data yet.",))
    words = [f"{classes[c]} ({found[c]:.1%} of samples, {expected[c]:.1%} of data)" for c in shown[:NAMED]]
    if not missing:
        finding = f"all {len(common)} classes are among the samples; the rarest is {words[0]}."
        return Verdict(NAME, "well", finding, evidence)
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    finding = f"{len(missing)} of {len(common)} classes are missing in samples: {', '.join(words)}{more}."
    return Verdict(NAME, "ill", finding, evidence, _change(case, [classes[c] for c in missing]))


def _change(case: Case, missing: list[str]) -> tuple[str, ...]:
    known = case.system.data.classes
    if known is not None and (never := [name for name in missing if name not in known]):
        return (f"The run's own training data hold no {', '.join(never)}: train on data that do.",)
    return (
        "Train longer, if samples are nothing like data yet.",
        "A fast generator jumps from mode to mode: lower its learning rate"
        f"{case.settings('generator_lr') or case.settings('lr')}.",
        "Take larger batches (--batch-size), averaged weights (--average 0.995), or a model whose loss "
        "punishes what is left out: a Wasserstein critic (wgan-gp) or a likelihood (vae).",
    )


def _image_judge(data: Data, labels: Tensor) -> Judge:
    net = classifier.train(examples(data, data.train, TAUGHT), labels[:TAUGHT])

    def judge(x: Tensor) -> tuple[Tensor, Tensor]:
        largest, label = net(x).max(1)
        return label, 1 - largest

    return judge


def _vector_judge(data: Data, labels: Tensor) -> Judge:
    """The nearest training example; its distance over that of the nearest of another class is the doubt."""
    known, labels = examples(data, data.train, TAUGHT).flatten(1).double(), labels[:TAUGHT]

    def judge(x: Tensor) -> tuple[Tensor, Tensor]:
        distances = squared_distances(x.flatten(1).double(), known)
        nearest, at = distances.min(1)
        others = distances.masked_fill(labels[at][:, None] == labels, torch.inf).min(1).values
        return labels[at], (nearest / others).sqrt()

    return judge


def _shares(labels: Tensor, classes: int) -> list[float]:
    return (torch.bincount(labels, minlength=classes).double() / max(len(labels), 1)).tolist()
