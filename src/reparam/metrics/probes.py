"""Probes: how well a class can be read from codes, by a linear map and by the nearest neighbours."""

import torch
from torch import Tensor
from torch.nn import functional as F

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, squared_distances, two
from reparam.metrics.bootstrap import resampled, share
from reparam.metrics.measure import Measure


def _labelled(
    train: Array, train_labels: Array, test: Array, test_labels: Array
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, z = two(train, test, ("training codes", "test codes"), least=1)
    y, t = torch.as_tensor(train_labels).long().cpu(), torch.as_tensor(test_labels).long().cpu()
    if y.shape != (len(x),) or t.shape != (len(z),) or min(y.min(), t.min()) < 0:
        raise ReparamError(
            f"codes: {len(x)} and {len(z)} codes with labels of shapes {tuple(y.shape)} and "
            f"{tuple(t.shape)}; expected one label 0 … C−1 for each."
        )
    return x, y, z, t


def _accuracy(right: Tensor, what: str, trained_on: int, seed: int) -> Measure:
    how = f"Accuracy of {what} fitted to {trained_on} codes, on {len(right)} others; {resampled(seed)}."
    low, high = share(right.double(), seed=seed)
    return Measure(right.double().mean().item(), low, high, len(right), "share", "higher", how)


def knn_accuracy(
    train: Array, train_labels: Array, test: Array, test_labels: Array, *, k: int = 5, seed: int = 0
) -> Measure:
    """Accuracy of the k nearest neighbours' vote: codes (n, d), (m, d), labels (n,), (m,); ties: lower label.

    Raises ReparamError if codes and labels do not match or k is not 1 … n.
    """
    x, y, z, t = _labelled(train, train_labels, test, test_labels)
    if not 1 <= k <= len(x):
        raise ReparamError(f"knn_accuracy: k is {k}, expected 1 to {len(x)}.")
    near = torch.cat([squared_distances(rows, x).topk(k, largest=False).indices for rows in z.split(1024)])
    votes = F.one_hot(y[near], int(y.max()) + 1).sum(1)
    return _accuracy(votes.argmax(1) == t, f"{k} nearest neighbours (Euclidean)", len(x), seed)


def probe_accuracy(
    train: Array,
    train_labels: Array,
    test: Array,
    test_labels: Array,
    *,
    penalty: float = 1e-3,
    seed: int = 0,
) -> Measure:
    """Accuracy of a linear probe: logistic regression on standardised codes, L-BFGS from zero, float64.

    Lowers mean cross-entropy + `penalty`/2 · ‖W‖². Codes (n, d), (m, d), labels (n,), (m,). `seed` is the
    bootstrap's alone. Raises ReparamError if codes and labels do not match.
    """
    x, y, z, t = _labelled(train, train_labels, test, test_labels)
    centre, scale = x.mean(0), x.std(0, correction=0)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))  # a constant code says nothing
    x, z = (x - centre) / scale, (z - centre) / scale
    classes = int(y.max()) + 1
    weight = torch.zeros(x.shape[1], classes, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(x @ weight + bias, y) + penalty / 2 * weight.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimiser.step(loss)
    right = (z @ weight + bias).argmax(1) == t
    return _accuracy(right, f"a linear probe (logistic, L2 penalty {penalty:g})", len(x), seed)
