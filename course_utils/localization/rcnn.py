"""R-CNN: proposals, features of each from a network, one linear classifier a class. Notebook 04.

Girshick, Donahue, Darrell and Malik (2014). A picture of each proposal goes through the network, a linear SVM
a class judges its maps, a linear regression moves the box, and non-maximum suppression leaves one box an
object. Here the network stays as ImageNet left it; the paper first fine-tunes it on warped proposals, which
is the second of the two things it is known for, and worth eight points of mean average precision there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from course_utils.datasets.labelled import LabelledImages
from course_utils.localization import proposals
from course_utils.localization.boxes import (
    Found,
    clip,
    decode,
    encode,
    enlarged,
    iou,
    non_maximum_suppression,
    precision_recall,
)
from course_utils.localization.selective_search import STRATEGIES
from course_utils.localization.views import view
from course_utils.networks import gradients, pretrained

if TYPE_CHECKING:
    import keras

POSITIVE, NEGATIVE, MOVED = 0.6, 0.3, 0.6
"""IoU with an object from which a proposal is one of its class, below which it is none, and from which the
regression learns. (The paper takes true boxes alone as positives; few pictures need more of them.)"""


WINDOW = 48
"""Side of the squares into which `train_on_scenes` warps proposals."""
FEW = STRATEGIES[:4]
"""The strategies of selective search that are enough on scenes."""


@dataclass(frozen=True)
class Regions:
    """Proposals of one picture: boxes (n, 4) in pixels and their features (n, d)."""

    boxes: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class Detector:
    """What R-CNN learns on top of a network's features.

    Attributes:
        mean, deviation: (d,), to standardize features.
        weights: (d + 1, classes), the linear SVMs, the last row their thresholds.
        moves: (classes, d + 1, 4), the linear regressions to targets as in `boxes.encode`.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weights: np.ndarray
    moves: np.ndarray

    def standardized(self, features: np.ndarray) -> np.ndarray:
        """Features with mean 0 and mean square 1 / d, and a one at the end: (n, d) -> (n, d + 1)."""
        return _with_one((features - self.mean) / self.deviation)


def warped(image: np.ndarray, boxes: np.ndarray, size: int, context: float = 1.25) -> np.ndarray:
    """Each box with some of what is around it, squeezed into a square (appendix A of the paper).

    Args:
        image: (H, W, 3), RGB 0..255; context: factor on the sides.

    Returns:
        float32 (N, size, size, 3).
    """
    crops = [view(image, window, size) for window in enlarged(boxes, context)]
    return np.stack(crops) if crops else np.zeros((0, size, size, 3), np.float32)


def pooled(maps: np.ndarray, cells: int = 2) -> np.ndarray:
    """Maps (N, H, W, C) averaged over cells x cells parts -> (N, cells * cells * C)."""
    rows, columns = (np.array_split(np.arange(side), cells) for side in maps.shape[1:3])
    parts = [maps[:, r][:, :, c].mean(axis=(1, 2)) for r in rows for c in columns]
    return np.concatenate(parts, axis=1)


def regions(
    model: keras.Model,
    image: np.ndarray,
    boxes: np.ndarray,
    size: int = 64,
    context: float = 1.25,
    batch: int = 64,
) -> Regions:
    """Features of the proposals of one picture.

    Args:
        model: from x (N, size, size, 3) to maps (N, h, w, c).
        image: (H, W, 3), RGB 0..255; boxes: (n, 4).
        size: of the squares that the network sees.

    Returns:
        `Regions` with their `features`, float32.
    """
    squares = warped(image, boxes, size, context)
    if not len(squares):
        return Regions(np.zeros((0, 4)), np.zeros((0, 4 * model.output_shape[-1]), np.float32))
    return Regions(np.asarray(boxes, np.float64), features(model, squares, batch))


def features(model: keras.Model, squares: np.ndarray, batch: int = 64) -> np.ndarray:
    """Square roots of the maps of warped proposals (N, size, size, 3), averaged over 2x2 parts."""
    about = pretrained.about(model)
    return np.sqrt(
        np.maximum(gradients.forward(model, squares, batch, before=about.preprocess, after=pooled), 0)
    )


# --- learning -------------------------------------------------------------------------------------------


def train(
    pictures: Sequence[Regions],
    boxes: Sequence[np.ndarray],
    classes: Sequence[np.ndarray],
    count: int,
    *,
    rounds: int = 2,
    seed: int = 0,
) -> Detector:
    """Learn the SVMs, with hard negatives, and the box regressions.

    Args:
        pictures: regions of each training picture; add the true boxes to the proposals, they are the best
            positives.
        boxes, classes: for each picture the true boxes (m, 4) and their classes int (m,).
        count: how many classes.
        rounds: how often the negatives that the SVM finds hardest join its training.
        seed: of the first choice of negatives.

    Raises:
        ValueError: a class has no proposal that fits one of its objects.
    """
    features = np.concatenate([each.features for each in pictures])
    mean, deviation = features.mean(axis=0), features.std(axis=0) * np.sqrt(features.shape[1]) + 1e-6
    x = _with_one((features - mean) / deviation)
    proposed_boxes = np.concatenate([each.boxes for each in pictures])
    weights, moves = [], []
    for number in range(count):
        overlap, target = _best_of_class(pictures, boxes, classes, number)
        good = overlap >= POSITIVE
        if not good.any():
            raise ValueError(f"no proposal fits an object of class {number}: add the true boxes to them")
        weights.append(_svm(x, good, overlap < NEGATIVE, rounds, np.random.default_rng([seed, number])))
        near = overlap >= MOVED
        moves.append(_regression(x[near], encode(target[near], proposed_boxes[near])))
    return Detector(mean, deviation, np.stack(weights, axis=1), np.stack(moves))


def _with_one(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features, np.ones((len(features), 1), features.dtype)], axis=1)


def _best_of_class(
    pictures: Sequence[Regions], boxes: Sequence[np.ndarray], classes: Sequence[np.ndarray], number: int
) -> tuple[np.ndarray, np.ndarray]:
    """For every proposal the IoU with the best-overlapping object of a class, and that object's box."""
    overlaps, targets = [], []
    for each, truth, labels in zip(pictures, boxes, classes, strict=True):
        mine = np.asarray(truth, np.float64)[np.asarray(labels) == number].reshape(-1, 4)
        if len(mine):
            table = iou(each.boxes, mine)
            overlaps.append(table.max(axis=1))
            targets.append(mine[table.argmax(axis=1)])
        else:
            overlaps.append(np.zeros(len(each.boxes)))
            targets.append(np.ones((len(each.boxes), 4)))
    return np.concatenate(overlaps), np.concatenate(targets)


def _svm(
    x: np.ndarray, good: np.ndarray, bad: np.ndarray, rounds: int, rng: np.random.Generator
) -> np.ndarray:
    """A linear SVM (d + 1,): first against some negatives, then also against those it gets wrong.

    Most negatives are easy and teach nothing; the hard ones are found by asking (section 2.3).
    """
    from sklearn.svm import LinearSVC

    positives, negatives = np.flatnonzero(good), np.flatnonzero(bad)
    chosen = rng.permutation(negatives)[: max(20, 3 * len(positives))]
    weights = np.zeros(x.shape[1])
    for step in range(rounds + 1):
        rows = np.concatenate([positives, chosen])
        labels = np.concatenate([np.ones(len(positives)), -np.ones(len(chosen))])
        machine = LinearSVC(C=1.0, fit_intercept=False, class_weight="balanced", random_state=0)
        weights = machine.fit(x[rows], labels).coef_[0]
        hard = negatives[x[negatives] @ weights > -1]
        if step == rounds or np.isin(hard, chosen).all():
            break
        chosen = np.union1d(chosen, hard)
    return weights


def _regression(x: np.ndarray, targets: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """Ridge regression from features to the four targets, (d + 1, 4) (appendix C)."""
    if not len(x):
        return np.zeros((x.shape[1], 4))
    middle = targets.mean(axis=0)  # in the row of the ones, which has no penalty this way
    kernel = x[:, :-1] @ x[:, :-1].T + penalty * np.eye(len(x))
    slopes = x[:, :-1].T @ np.linalg.solve(kernel, targets - middle)
    return np.concatenate([slopes, middle[None]])


def truth_of(data: LabelledImages) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For each picture its boxes (m, 4) and classes (m,)."""
    there = data.classes >= 0
    boxes = [b[k].astype(np.float64) for b, k in zip(data.boxes, there, strict=True)]
    return boxes, [c[k] for c, k in zip(data.classes, there, strict=True)]


def proposed(pictures: Sequence[np.ndarray] | np.ndarray, most: int) -> list[np.ndarray]:
    """Proposals of selective search for each picture."""
    return [proposals.selective_search(image, most, strategies=FEW) for image in pictures]


def train_on_scenes(backbone: keras.Model, data: LabelledImages, most: int = 60) -> Detector:
    """R-CNN on scenes, the true boxes added to the proposals."""
    boxes, classes = truth_of(data)
    found = [np.concatenate(pair) for pair in zip(proposed(data.images, most), boxes, strict=True)]
    seen = [regions(backbone, im, b, WINDOW) for im, b in zip(data.images, found, strict=True)]
    return train(seen, boxes, classes, len(data.class_names))


# --- answering ------------------------------------------------------------------------------------------


def detect(
    detector: Detector,
    picture: Regions,
    height: int,
    width: int,
    *,
    regress: bool = True,
    least: float = -1.0,
    overlap: float = 0.3,
) -> Found:
    """Objects of one picture.

    Args:
        picture: its proposals with their features; height, width: of the picture, in pixels.
        regress: move each box by its class's regression.
        least: score under which a proposal is dropped.
        overlap: IoU with a better box of the same class above which one is dropped.
    """
    x = detector.standardized(picture.features)
    scores = x @ detector.weights
    parts = []
    for number in range(scores.shape[1]):
        chosen = np.flatnonzero(scores[:, number] >= least)
        kept = chosen[non_maximum_suppression(picture.boxes[chosen], scores[chosen, number], overlap)]
        boxes = picture.boxes[kept]
        if regress and len(kept):
            boxes = clip(decode(x[kept] @ detector.moves[number], boxes, largest=1.0), height, width)
        parts.append((boxes, np.full(len(kept), number), scores[kept, number]))
    every = [np.concatenate(part) for part in zip(*parts, strict=True)]
    order = np.argsort(-every[2], kind="stable")
    return Found(*(part[order] for part in every))


def largest(detector: Detector, picture: Regions) -> Found:
    """The trivial answer: the largest proposal is the object, its class the one that scores best."""
    if not len(picture.boxes):
        return Found(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    best = int(np.argmax(picture.boxes[:, 2] * picture.boxes[:, 3]))
    scores = (detector.standardized(picture.features[best : best + 1]) @ detector.weights)[0]
    number = int(scores.argmax())
    return Found(picture.boxes[best : best + 1], np.array([number]), scores[number : number + 1])


def mean_average_precision(
    found: Sequence[Found],
    boxes: Sequence[np.ndarray],
    classes: Sequence[np.ndarray],
    count: int,
    overlap: float = 0.5,
) -> tuple[float, np.ndarray]:
    """The mean over the classes of the average precision, and that of each class (count,).

    Args:
        found: for each picture; boxes, classes: for each picture the truth, (m, 4) and int (m,).

    Classes without an object are not a number and left out of the mean. See `boxes.precision_recall`.
    """
    each = []
    for number in range(count):
        mine = [f.classes == number for f in found]
        truth = [np.asarray(b)[np.asarray(c) == number] for b, c in zip(boxes, classes, strict=True)]
        curve = precision_recall(
            [f.boxes[m] for f, m in zip(found, mine, strict=True)],
            [f.scores[m] for f, m in zip(found, mine, strict=True)],
            truth,
            overlap,
        )
        each.append(curve.average_precision)
    return float(np.nanmean(each)), np.array(each)
