"""k-means of a picture's hypercolumns, exact, without building them (Lloyd 1982). Notebook 03.

Assigning pixels needs their products with the centres; moving a centre needs a sum of pixels. Both are
products of `grid`, and all starts share them: ten starts are ten more columns of the same matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .factored import Factored
from .grid import Sums


@dataclass(frozen=True)
class Clusters:
    """The best clustering of several starts.

    Attributes:
        labels: (H, W) int32, 0 to k - 1.
        centers: (k, D) float32, the mean hypercolumn of each cluster.
        inertia: sum of the squared distances of all pixels to their centres.
        iterations: of the winning start.
        start: which start won.
    """

    labels: np.ndarray
    centers: np.ndarray
    inertia: float
    iterations: int
    start: int


def kmeans(
    factored: Factored,
    clusters: int,
    *,
    n_init: int = 10,
    starts: np.ndarray | None = None,
    max_iter: int = 300,
    tol: float = 0.0,
    seed: int = 0,
) -> Clusters:
    """Cluster the pixels by their hypercolumns: Lloyd's algorithm, the best of several starts.

    From the same starts it gives the labels of scikit-learn's `KMeans(algorithm="lloyd")` on the dense
    array, apart from pixels that lie between two centres to within float32; an empty cluster moves to
    the pixel farthest from its centre, as there.

    Args:
        factored: the hypercolumns.
        clusters: number k of clusters.
        n_init: number of k-means++ starts (`plus_plus`); without meaning if `starts` are given.
        starts: centres to start from, (k, D) or (n, k, D) float; or int (n, k), the pixels that are
            the first centres, numbered row by row.
        max_iter: rounds at most.
        tol: stop when the centres move less than this, in units of the mean variance of the
            channels; 0 goes on until no pixel changes.
        seed: for the starts.

    Returns:
        `Clusters`.

    Raises:
        ValueError: k below 1 or above the number of pixels, or starts of another shape.
    """
    pixels = factored.grid.pixels
    if not 1 <= clusters <= pixels:
        raise ValueError(f"{clusters} clusters of {pixels} pixels: choose from 1 to {pixels}")
    if starts is None:
        starts = plus_plus(factored, clusters, n_init, seed)
    centers = first_centers(factored, clusters, np.asarray(starts))
    together = starts_together(factored, clusters)
    groups = np.array_split(np.arange(len(centers)), -(-len(centers) // together))
    best: Clusters | None = None
    for group in groups:
        run = Lloyd(factored, centers[group])
        for found in run.run(max_iter, tol, first=int(group[0])):
            if best is None or (found.inertia < best.inertia and not same(found.labels, best.labels)):
                best = found
    assert best is not None
    return best


def starts_together(factored: Factored, clusters: int) -> int:
    """How many starts to run at once, so that their work arrays stay at a twentieth of the dense array."""
    grid = factored.grid
    column = 4 * (3 * grid.size[1] * sum(s.rows.source for s in grid.coarse) + grid.pixels // 4)
    return max(1, grid.pixels * grid.depth * 4 // 20 // (column * max(1, clusters - 1)))


def plus_plus(factored: Factored, clusters: int, n_init: int = 10, seed: int = 0) -> np.ndarray:
    """k-means++ starts (Arthur and Vassilvitskii 2007) among sampled pixels.

    Args:
        factored: the hypercolumns.
        clusters: number k of clusters.
        n_init: number of starts.
        seed: for the sample and the choice.

    Returns:
        (n_init, k) int, pixels numbered row by row.
    """
    from sklearn.cluster import kmeans_plusplus

    pixels, rng = factored.grid.pixels, np.random.RandomState(seed)
    count = min(pixels, max(8 * clusters, min(2048, pixels // 64)))
    sample = rng.choice(pixels, count, replace=False)
    columns = factored.pixels(*np.divmod(sample, factored.size[1]))
    return np.stack([sample[kmeans_plusplus(columns, clusters, random_state=rng)[1]] for _ in range(n_init)])


def first_centers(factored: Factored, clusters: int, starts: np.ndarray) -> np.ndarray:
    """Starts as centres less the mean pixel: (n, k, D) float64."""
    if starts.dtype.kind in "iu":
        starts = np.atleast_2d(starts)
        vectors = factored.pixels(*np.divmod(starts.ravel(), factored.size[1]))
        starts = vectors.reshape(*starts.shape, -1)
    starts = starts[None] if starts.ndim == 2 else starts
    if starts.ndim != 3 or starts.shape[1:] != (clusters, factored.grid.depth):
        raise ValueError(f"starts of shape {starts.shape}: (n, {clusters}, {factored.grid.depth}) expected")
    return starts - factored.mean()


class Lloyd:
    """Several runs of Lloyd's algorithm side by side.

    Args:
        factored: the hypercolumns.
        centers: (n, k, D) float64, centres less the mean pixel.
        labels: (pixels, n), the clusters of the round before; None before the first.
    """

    def __init__(self, factored: Factored, centers: np.ndarray, labels: np.ndarray | None = None) -> None:
        self.factored, self.grid, self.centers = factored, factored.grid, centers
        self.n, self.k, _ = centers.shape
        self.fresh = labels is None
        kind = np.uint8 if self.k <= 256 else np.int32
        self.labels = np.zeros((self.grid.pixels, self.n), kind) if labels is None else labels

    def only(self, which: np.ndarray) -> Lloyd:
        """Some of the runs, (n,) bool, to go on with."""
        return Lloyd(self.factored, self.centers[which], np.ascontiguousarray(self.labels[:, which]))

    def run(self, max_iter: int, tol: float, first: int = 0) -> list[Clusters]:
        """Run all to the end; the results in the order of the starts, which are numbered from `first`."""
        going, names = self, np.arange(self.n)
        limit = tol * self.total / self.grid.pixels / self.grid.depth
        found: dict[int, Clusters] = {}
        for rounds in range(1, max_iter + 1):
            sums, counts, changed = going.assign()
            moved = going.move(sums, counts)
            settled = {i: (sums[i], counts[i]) for i in np.flatnonzero(~changed)}
            stopped = changed & ((moved <= limit) | (rounds == max_iter))
            if stopped.any():  # labels that fit the last centres
                last = going.only(stopped)
                sums, counts, _ = last.assign()
                going.labels[:, stopped] = last.labels
                settled |= dict(zip(np.flatnonzero(stopped), zip(sums, counts, strict=True), strict=True))
            for i, (total, count) in settled.items():
                found[names[i]] = going.state(int(i), total, count, rounds, first + int(names[i]))
            left = changed & ~stopped
            if not left.any():
                break
            going, names = (going, names) if left.all() else (going.only(left), names[left])
        return [found[name] for name in sorted(found)]

    def assign(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give every pixel to the nearest centre.

        Returns:
            sums (n, k, D) of each cluster's pixels less the mean pixel, counts (n, k), and which starts
            changed (n,).
        """
        grid, n, k = self.grid, self.n, self.k
        weights, border = self.borders()
        wide = grid.widen(weights)
        others, counts = Sums(grid, n * (k - 1)), np.zeros(n * (k - 1))
        changed, names = np.full(n, self.fresh), np.arange(1, k, dtype=self.labels.dtype)
        for band in grid.bands:
            scores = grid.products(band, wide, weights)
            scores -= border
            labels = winners(scores.reshape(len(scores), k - 1, n), self.labels.dtype)
            changed |= (labels != self.labels[band.pixels]).any(axis=0)
            self.labels[band.pixels] = labels
            members = (labels[:, None] == names[:, None]).astype(np.float32).reshape(len(labels), len(counts))
            counts += members.sum(axis=0)
            others.add(band, members)
        self.fresh = False
        away = (others.result() - grid.mean()[:, None] * counts) / self.factored.scale[:, None]
        away, counts = away.T.reshape(k - 1, n, grid.depth), counts.reshape(k - 1, n)
        # Cluster 0 has what the others leave: all pixels less the mean pixel add up to nothing.
        sums = np.concatenate([-away.sum(axis=0, keepdims=True), away]).transpose(1, 0, 2)
        counts = np.concatenate([grid.pixels - counts.sum(axis=0, keepdims=True), counts]).T
        return sums, counts, changed

    def borders(self) -> tuple[np.ndarray, np.ndarray]:
        """The planes half-way between centre 0 and each other one.

        Returns:
            weights (D, (k - 1) * n) float32 and borders ((k - 1) * n,): a pixel is nearer to the other
            centre by as much as its product with the weights exceeds the border.
        """
        apart = (self.centers[:, 1:] - self.centers[:, :1]).transpose(1, 0, 2)  # (k - 1, n, D)
        norms = np.einsum("nkd,nkd->kn", self.centers, self.centers)
        weights = np.ascontiguousarray(apart.reshape(-1, self.grid.depth).T) / self.factored.scale[:, None]
        border = ((norms[1:] - norms[0]) / 2).ravel() + self.grid.mean() @ weights
        return weights.astype(np.float32), border.astype(np.float32)

    def move(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Move the centres to the means of their clusters; returns how far in all, (n,) squared."""
        sums, counts = sums.copy(), counts.copy()
        for i in np.flatnonzero((counts == 0).any(axis=1)):
            self.refill(int(i), sums[i], counts[i])
        means = sums / np.maximum(counts, 1)[..., None]
        for i, j in np.argwhere(counts == 0):
            means[i, j] = means[i, counts[i].argmax()]
        old, self.centers = self.centers, means
        return ((means - old) ** 2).sum(axis=(1, 2))

    def refill(self, i: int, sums: np.ndarray, counts: np.ndarray) -> None:
        """Give each empty cluster of start i a pixel that is far from its centre."""
        centers, labels = self.centers[i], self.labels[:, i]
        distances = self.factored.squared_distances(centers + self.factored.mean()).reshape(-1, self.k)
        distances = np.take_along_axis(distances, labels[:, None].astype(np.int64), axis=1)[:, 0]
        empty = np.flatnonzero(counts == 0)
        far = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
        if distances.max() == 0:
            return
        vectors = self.factored.pixels(*np.divmod(far, self.grid.size[1])) - self.factored.mean()
        for j, pixel, vector in zip(empty, far, vectors, strict=True):
            sums[labels[pixel]] -= vector
            counts[labels[pixel]] -= 1
            sums[j], counts[j] = vector, 1

    @property
    def total(self) -> float:
        """Sum of the squared distances of all pixels from the mean pixel."""
        return float(self.factored.spread.sum(dtype=np.float64))

    def state(self, i: int, sums: np.ndarray, counts: np.ndarray, rounds: int, start: int) -> Clusters:
        """What run i has come to, given the sums and counts of its labels."""
        centers = self.centers[i]
        squares = np.einsum("kd,kd->k", centers, centers)
        inertia = self.total - 2 * np.einsum("kd,kd->", centers, sums) + squares @ counts
        labels = self.labels[:, i].astype(np.int32).reshape(self.grid.size)
        center = (centers + self.factored.mean()).astype(np.float32)
        return Clusters(labels, center, max(float(inertia), 0.0), rounds, start)


def winners(scores: np.ndarray, kind: np.dtype) -> np.ndarray:
    """The best cluster of every pixel, given by how much each beats cluster 0.

    Args:
        scores: (pixels, k - 1, n); the first of equal ones wins.
        kind: dtype of the labels.

    Returns:
        (pixels, n) labels, 0 where no score is above 0.
    """
    pixels, others, n = scores.shape
    if not others:
        return np.zeros((pixels, n), kind)
    labels = (scores[:, 0] > 0).astype(kind)
    best = np.maximum(scores[:, 0], 0)
    for j in range(1, others):
        better = scores[:, j] > best
        labels[better] = j + 1
        np.maximum(best, scores[:, j], out=best)
    return labels


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two labellings are the same up to the names of the clusters."""
    pairs = np.bincount(a.ravel() * (int(b.max()) + 1) + b.ravel())
    return np.count_nonzero(pairs) == np.count_nonzero(np.bincount(a.ravel())) == len(np.unique(b))


def best_iou(labels: np.ndarray, mask: np.ndarray) -> float:
    """How well one of the clusters fits an object: the best intersection over union of any cluster.

    Args:
        labels: (H, W) int, cluster numbers from 0.
        mask: (H, W) bool, the object; or uint8 with 0 background, 255 not judged, anything else the object.

    Returns:
        0 to 1. Which cluster is the object is chosen with the mask in hand, as a person would.
    """
    judged = np.ones(mask.shape, bool) if mask.dtype == bool else mask != 255
    truth, found = mask[judged] > 0, labels[judged]
    sizes = np.bincount(found)
    common = np.bincount(found[truth], minlength=len(sizes))
    return float((common / np.maximum(sizes + truth.sum() - common, 1)).max())
