"""Do clusters of codes agree with classes? Accuracy under the best matching, normalised information."""

import numpy as np
import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, vectors
from reparam.metrics.bootstrap import TIMES, recentred, resampled, share
from reparam.metrics.kmeans import kmeans
from reparam.metrics.measure import Measure


def whitened(x: Tensor) -> Tensor:
    """Codes (n, d) turned by their SVD and scaled to unit variance: (n, r), r their rank."""
    u, s, _ = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    return u[:, s > 1e-10 * s.max()] * len(x) ** 0.5


def matching(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows and columns, none twice, of the largest sum over a table of counts (Kuhn 1955)."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as missing:
        raise ReparamError(
            'clustering: matching clusters to classes needs scipy: pip install "reparam[measures]".'
        ) from missing
    return linear_sum_assignment(table, maximize=True)


def normalised_information(table: np.ndarray) -> np.ndarray:
    """I(a; b) over the mean of H(a) and H(b), of tables of counts (…, a, b) → (…); 1 where both are 0."""
    p = table / table.sum((-2, -1), keepdims=True)
    a, b, both = (_entropy(q) for q in (p.sum(-1), p.sum(-2), p.reshape(*p.shape[:-2], -1)))
    return np.where(a + b > 0, 2 * (a + b - both) / np.where(a + b > 0, a + b, 1), 1.0)


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def clustering(
    codes: Array,
    labels: Array,
    *,
    clusters: int | None = None,
    whiten: bool = False,
    starts: int = 20,
    seed: int = 0,
) -> dict[str, Measure]:
    """Accuracy and normalised mutual information of k-means on codes (n, d) against labels (n,), 0 … C − 1.

    `clusters` is C if not given. `whiten` first, as Berthelot et al. 2019 (ACAI) do; they take 1,000 starts.
    Accuracy is the share of points in the cluster matched to their class, one to one (Hungarian method); with
    more clusters than classes those left over count as wrong. The intervals resample the points, clusters and
    matching held fixed. Raises ReparamError if codes and labels do not match, there is one class only, or
    scipy is missing.
    """
    x, y = vectors(codes, "codes"), torch.as_tensor(labels).long().cpu()
    if y.shape != (len(x),) or y.min() < 0 or len(y.unique()) < 2:
        raise ReparamError(
            f"clustering: {len(x)} codes with labels of shape {tuple(y.shape)}; expected one label 0 … C − 1 "
            "for each, and at least two classes."
        )
    classes = int(y.max()) + 1
    k = clusters or classes
    found = kmeans(whitened(x) if whiten else x, k, starts=starts, seed=seed).of
    table = np.bincount((found * classes + y).numpy(), minlength=k * classes).reshape(k, classes)
    rows, columns = matching(table)
    matched = torch.full((k,), -1)
    matched[torch.from_numpy(rows)] = torch.from_numpy(columns)
    right = (matched[found] == y).double()
    rng = np.random.default_rng(seed)
    redrawn = rng.multinomial(len(x), table.ravel() / len(x), size=TIMES).reshape(-1, k, classes)
    how = (
        f"{{}} of {k} k-means clusters ({'whitened' if whiten else 'as they are'}; best of {starts} starts, "
        f"seed {seed}) and {classes} classes, {len(x)} codes; {resampled(seed)}, clusters held fixed."
    )
    nmi = float(normalised_information(table))
    return {
        "cluster_accuracy": Measure(
            right.mean().item(),
            *share(right, seed=seed),
            len(x),
            "share",
            "higher",
            how.format("Accuracy under the best one-to-one matching"),
        ),
        "cluster_nmi": Measure(
            nmi,
            *recentred(normalised_information(redrawn), nmi, 0, 1),
            len(x),
            "share",
            "higher",
            how.format("Normalised mutual information (arithmetic mean of entropies)"),
        ),
    }
