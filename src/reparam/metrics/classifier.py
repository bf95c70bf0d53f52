"""An independent judge: a small classifier of the training split, asked about samples and reconstructions."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, images
from reparam.metrics.bootstrap import TIMES, interval, mean, percentiles, resampled, share
from reparam.metrics.measure import Measure


@dataclass(frozen=True)
class Judge:
    """A trained classifier and how good it is; `accuracy` is on `held_out` examples it never saw."""

    net: nn.Module
    classes: int
    accuracy: float
    held_out: int
    seed: int

    def __call__(self, x: Array) -> Tensor:
        """Class probabilities of images (n, c, h, w) in [0, 1]: (n, classes) float64."""
        with torch.no_grad():
            return torch.cat([self.net(part.float()).double().softmax(1) for part in images(x).split(256)])

    def __str__(self) -> str:
        return (
            f"judged by a small convolutional classifier of {self.classes} classes, seed {self.seed}, "
            f"with {self.accuracy:.1%} accuracy on {self.held_out} held-out training examples"
        )


def train(
    x: Array, labels: Array, *, epochs: int = 5, batch: int = 64, rate: float = 2e-3, seed: int = 0
) -> Judge:
    """A judge trained on nine tenths of images (n, c, h, w) and labels (n,) 0 … C−1; a tenth tests it.

    Takes seconds for a few thousand small images, is deterministic given `seed`; the global generator is
    left as it was. Raises ReparamError if images and labels do not match, or there are fewer than 20 or
    one class.
    """
    x, y = images(x).float(), torch.as_tensor(labels).long().cpu()
    if y.shape != (len(x),) or len(x) < 20 or y.min() < 0 or y.max() < 1:
        raise ReparamError(
            f"classifier: {len(x)} images with labels of shape {tuple(y.shape)}; expected "
            "at least 20 images, one label 0 … C−1 each, and two classes."
        )
    classes = int(y.max()) + 1
    rng = np.random.default_rng(seed)
    order = torch.from_numpy(rng.permutation(len(x)))
    held_out, kept = order[: len(x) // 10], order[len(x) // 10 :]
    with torch.random.fork_rng(devices=[]):  # layers initialise from the global generator
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(x.shape[1], 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64 * 16, classes),
        )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(epochs):
        for rows in kept[torch.from_numpy(rng.permutation(len(kept)))].split(batch):
            optimiser.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            optimiser.step()
    net.eval().requires_grad_(False)
    judge = Judge(net, classes, 0.0, len(held_out), seed)
    accuracy = (judge(x[held_out]).argmax(1) == y[held_out]).double().mean().item()
    return Judge(net, classes, accuracy, len(held_out), seed)


def _entropy(counts: np.ndarray) -> np.ndarray:
    """Entropy in nats of histograms (…, classes) → (…,)."""
    p = counts / counts.sum(-1, keepdims=True)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def balance(judge: Judge, samples: Array, data: Array, *, seed: int = 0) -> Measure:
    """Entropy in nats of the classes the judge sees in samples, less that in data; below 0: some are rare.

    The data are judged too, so that the judge's own leanings cancel. Entropies of small n are biased down
    by about (C − 1) / 2n (Miller 1955): give as many data as samples.
    """
    histograms = [np.bincount(judge(z).argmax(1).numpy(), minlength=judge.classes) for z in (samples, data)]
    value = _entropy(histograms[0]) - _entropy(histograms[1])
    rng = np.random.default_rng(seed)
    ours, theirs = (_entropy(rng.multinomial(h.sum(), h / h.sum(), size=TIMES)) for h in histograms)
    how = (
        f"Entropy of the predicted classes of {len(samples)} samples less that of {len(data)} data, {judge}; "
        f"{resampled(seed)}."
    )
    return Measure(float(value), *percentiles(ours - theirs), len(samples), "nats", "zero", how)


def confidence(judge: Judge, samples: Array, *, seed: int = 0) -> Measure:
    """Mean of the judge's largest class probability over samples (n, c, h, w); quote that of the data too."""
    largest = judge(samples).max(1).values
    how = f"Mean largest class probability of {len(largest)} samples, {judge}; {resampled(seed)}."
    low, high = interval(mean, largest, seed=seed)
    return Measure(largest.mean().item(), low, high, len(largest), "probability", "higher", how)


def faithful(judge: Judge, x: Array, reconstructions: Array, *, seed: int = 0) -> Measure:
    """Share of reconstructions in which the judge sees the class it sees in the image; both (n, c, h, w)."""
    if len(x) != len(reconstructions):
        raise ReparamError(
            f"faithful: {len(x)} images and {len(reconstructions)} reconstructions; expected as many."
        )
    same = (judge(x).argmax(1) == judge(reconstructions).argmax(1)).double()
    how = (
        f"Share of {len(same)} reconstructions that keep the predicted class of their image, {judge}; "
        f"{resampled(seed)}."
    )
    return Measure(same.mean().item(), *share(same, seed=seed), len(same), "share", "higher", how)


def accuracy(judge: Judge, samples: Array, asked: Array, *, seed: int = 0) -> Measure:
    """Share of conditional samples (n, c, h, w) in which the judge sees the class asked for, labels (n,).

    The judge errs too: `judge.accuracy`, on real images, is what a perfect model would reach.
    Raises ReparamError unless there is one label 0 … C−1 for each sample.
    """
    labels = torch.as_tensor(asked).cpu()
    if labels.shape != (len(samples),) or labels.min() < 0 or labels.max() >= judge.classes:
        raise ReparamError(
            f"accuracy: {len(samples)} samples with labels of shape {tuple(labels.shape)}; expected one "
            f"label 0 … {judge.classes - 1} for each."
        )
    right = (judge(samples).argmax(1) == labels).double()
    how = f"Share of {len(right)} samples of the class that was asked for, {judge}; {resampled(seed)}."
    low, high = share(right, seed=seed)
    return Measure(right.mean().item(), low, high, len(right), "share", "higher", how)
