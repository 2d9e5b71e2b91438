"""Boxes: overlap, regression targets, merging, and how a detector is scored. Notebook 04.

A box is x, y, w, h in pixels: the left upper corner, width and height. `boxes` is (N, 4), any number of
them, none included. Boxes without area overlap with nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def _rows(boxes: np.ndarray) -> np.ndarray:
    """Boxes as float64 (N, 4); ValueError says what came instead."""
    array = np.asarray(boxes, np.float64)
    if array.size == 0:
        return array.reshape(0, 4)
    array = np.atleast_2d(array)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes must be (N, 4): x, y, w, h; this has shape {np.shape(boxes)}")
    return array


def to_corners(boxes: np.ndarray) -> np.ndarray:
    """x, y, w, h -> x1, y1, x2, y2; (N, 4)."""
    b = _rows(boxes)
    return np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1)


def from_corners(corners: np.ndarray) -> np.ndarray:
    """x1, y1, x2, y2 -> x, y, w, h; (N, 4)."""
    c = _rows(corners)
    return np.concatenate([c[:, :2], c[:, 2:] - c[:, :2]], axis=1)


def area(boxes: np.ndarray) -> np.ndarray:
    """Area in square pixels, (N,); 0 for a box with no or negative width or height."""
    return np.prod(np.maximum(_rows(boxes)[:, 2:], 0), axis=1)


def clip(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """The parts of boxes inside a picture; what lies outside becomes a box without area at the edge."""
    corners = to_corners(boxes)
    limits = np.array([width, height, width, height])
    return from_corners(np.clip(corners, 0, limits))


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of each box of `first` (N, 4) with each of `second` (M, 4).

    Returns:
        float64 (N, M), 0..1; 0 where both have no area.
    """
    a, b = to_corners(first), to_corners(second)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    union = area(first)[:, None] + area(second)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def pair_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of box i with the other box i, (N, 4) each -> (N,)."""
    return np.array([iou(a, b)[0, 0] for a, b in zip(first, second, strict=True)])


def enlarged(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes (N, 4) with the same centres and sides longer by a factor: the thing and what is around it."""
    b = np.asarray(boxes, np.float64)
    sides = b[:, 2:] * factor
    return np.concatenate([b[:, :2] + (b[:, 2:] - sides) / 2, sides], axis=1)


def from_window(shares: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) in shares of windows (N, 4) -> in pixels."""
    sides = np.asarray(windows)[:, [2, 3, 2, 3]]
    return np.asarray(shares) * sides + np.pad(np.asarray(windows)[:, :2], ((0, 0), (0, 2)))


def to_window(boxes: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) in pixels -> in shares of windows (N, 4); the inverse of `from_window`."""
    moved = np.asarray(boxes) - np.pad(np.asarray(windows)[:, :2], ((0, 0), (0, 2)))
    return moved / np.asarray(windows)[:, [2, 3, 2, 3]]


def median_box(boxes: np.ndarray) -> np.ndarray:
    """One box for all of (N, 4): the medians of their four borders, (4,).

    (The median of x, y, w, h would be a box less in the middle, and a weaker trivial answer.) Notebook 04.

    Raises:
        ValueError: there is no box.
    """
    corners = to_corners(boxes)
    if not len(corners):
        raise ValueError("there is no box to take the median of")
    return from_corners(np.median(corners, axis=0))[0]


def class_median_boxes(boxes: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """The median box of each class, (count, 4); of a class without a box, that of all."""
    each = [_rows(boxes)[np.asarray(classes) == number] for number in range(count)]
    return np.stack([median_box(mine if len(mine) else boxes) for mine in each])


def encode(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Regression targets (N, 4) of R-CNN (Girshick et al. 2014, appendix C).

    tx, ty: how far the centre must move, in widths and heights of the anchor; tw, th: the logarithm of
    the factor on its width and height. All are near 0 for an anchor that nearly fits.

    Raises:
        ValueError: a box or an anchor has no area.
    """
    b, a = _rows(boxes), _rows(anchors)
    if (b[:, 2:] <= 0).any() or (a[:, 2:] <= 0).any():
        raise ValueError("boxes and anchors need a width and a height above 0 to be encoded")
    centre = (b[:, :2] + b[:, 2:] / 2 - a[:, :2] - a[:, 2:] / 2) / a[:, 2:]
    return np.concatenate([centre, np.log(b[:, 2:] / a[:, 2:])], axis=1)


def decode(targets: np.ndarray, anchors: np.ndarray, largest: float = 4.0) -> np.ndarray:
    """The inverse of `encode`; a predicted factor above e**largest is cut, so that none overflows."""
    t, a = _rows(targets), _rows(anchors)
    size = a[:, 2:] * np.exp(np.minimum(t[:, 2:], largest))
    centre = a[:, :2] + a[:, 2:] / 2 + t[:, :2] * a[:, 2:]
    return np.concatenate([centre - size / 2, size], axis=1)


def non_maximum_suppression(boxes: np.ndarray, scores: np.ndarray, overlap: float = 0.3) -> np.ndarray:
    """Keep the best box, drop those that overlap it by more than `overlap` IoU, and so on.

    Args:
        boxes: (N, 4); scores: (N,); equal scores keep the order given.
        overlap: IoU, R-CNN uses .3.

    Returns:
        Indices of the kept boxes, best first.
    """
    b, scores = _rows(boxes), np.asarray(scores, np.float64).reshape(-1)
    if len(b) != len(scores):
        raise ValueError(f"{len(b)} boxes but {len(scores)} scores")
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        order = order[iou(b[best], b[order])[0] <= overlap]
    return np.array(kept, int)


def greedy_merge(
    boxes: np.ndarray, scores: np.ndarray, threshold: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Merge boxes instead of dropping them, as OverFeat does (Sermanet et al. 2014, section 4.3).

    Again and again the two boxes that fit best become one: its corners are the mean of theirs, weighted
    by the scores, and its score is their sum. Unlike suppression, many weak windows that agree make one
    strong answer. (The paper's match score is a sum of distances; here it is the IoU.)

    Args:
        boxes: (N, 4); scores: (N,) above 0.
        threshold: IoU under which two boxes stay apart.

    Returns:
        boxes (M, 4) and scores (M,), best first.
    """
    corners, scores = to_corners(boxes), np.asarray(scores, np.float64).reshape(-1).copy()
    if len(corners) != len(scores):
        raise ValueError(f"{len(corners)} boxes but {len(scores)} scores")
    while len(corners) > 1:
        overlaps = np.triu(iou(from_corners(corners), from_corners(corners)), k=1)
        i, j = np.unravel_index(np.argmax(overlaps), overlaps.shape)
        if overlaps[i, j] < threshold:
            break
        corners[i] = np.average(corners[[i, j]], axis=0, weights=scores[[i, j]])
        scores[i] += scores[j]
        corners, scores = np.delete(corners, j, axis=0), np.delete(scores, j)
    order = np.argsort(-scores, kind="stable")
    return from_corners(corners[order]), scores[order]


@dataclass(frozen=True)
class Found:
    """What a detector finds in one picture, best first (modules `windows` and `rcnn`).

    Attributes:
        boxes: (N, 4) in pixels of the picture; classes: int (N,); scores: (N,).
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class PrecisionRecall:
    """The curve of a detector: after each detection, best first, the precision and recall so far."""

    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray
    average_precision: float


def precision_recall(
    detections: list[np.ndarray],
    scores: list[np.ndarray],
    truth: list[np.ndarray],
    overlap: float = 0.5,
) -> PrecisionRecall:
    """Score the detections of one class over many pictures, as PASCAL VOC does since 2010.

    Best score first, a detection is right when its best-overlapping true box has at least `overlap` IoU and
    was not found before; a second detection of the same box is wrong (Everingham et al. 2010).

    Args:
        detections: for each picture (n, 4); scores: for each picture (n,); truth: for each picture (m, 4).

    Returns:
        The curve and its average precision: the area under it after precision is made monotone. With no
        true box at all the average precision is not a number.
    """
    if not len(detections) == len(scores) == len(truth):
        raise ValueError("detections, scores and truth need one entry a picture each")
    everything = [
        (float(s), picture, i)
        for picture, of_picture in enumerate(scores)
        for i, s in enumerate(np.asarray(of_picture).reshape(-1))
    ]
    everything.sort(key=lambda item: -item[0])  # stable: equal scores stay in the order given
    overlaps = [iou(d, t) for d, t in zip(detections, truth, strict=True)]
    found = [np.zeros(len(_rows(t)), bool) for t in truth]
    right = np.zeros(len(everything))
    for rank, (_, picture, i) in enumerate(everything):
        row = overlaps[picture][i]
        best = int(np.argmax(row)) if len(row) else -1
        if best >= 0 and row[best] >= overlap and not found[picture][best]:
            found[picture][best] = True
            right[rank] = 1
    total = sum(len(f) for f in found)
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    recall = hits / total if total else np.zeros_like(hits)
    ordered = np.array([s for s, _, _ in everything])
    return PrecisionRecall(precision, recall, ordered, _area_under(precision, recall) if total else np.nan)


def _area_under(precision: np.ndarray, recall: np.ndarray) -> float:
    """Area under the monotone envelope of a precision-recall curve."""
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(np.concatenate([[0.0], recall]))
    return float(np.sum(steps * envelope))
