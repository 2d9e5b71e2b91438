"""Where an object may be: boxes without a learned network, and how many objects they reach. Notebook 04.

A detector that looks at every box looks at millions. Proposals are the few hundred worth a look:
`selective_search` grows them from regions that belong together (module `selective_search`),
`edge_boxes` looks for outlines that end inside a box (module `edge_boxes`). Beside both stand what
needs no picture at all: `grid` and `random_boxes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from course_utils.localization.boxes import iou
from course_utils.localization.edge_boxes import edge_boxes
from course_utils.localization.selective_search import selective_search

__all__ = ["edge_boxes", "grid", "random_boxes", "recall", "selective_search"]

GOLDEN = (np.sqrt(5) - 1) / 2


def grid(count: int, height: int, width: int) -> np.ndarray:
    """`count` boxes of several sizes and shapes spread evenly over a picture, the coarsest first.

    Args:
        count: how many; fewer are the first of more.
        height, width: of the picture.

    Returns:
        float64 (count, 4) inside the picture.
    """
    found = np.zeros((0, 4))
    step = 1.0
    while len(found) < count:
        level = _grid_level(step)
        scattered = np.argsort((np.arange(len(level)) * GOLDEN) % 1)  # a part of a level is spread, too
        found = np.concatenate([found, level[scattered]])
        _, first = np.unique(found.round(6), axis=0, return_index=True)
        found, step = found[np.sort(first)], step * 0.75
    return found[:count] * np.array([width, height, width, height])


def _grid_level(step: float) -> np.ndarray:
    """Boxes in shares of the picture; neighbours of one size lie about `step` of their side apart."""
    rows = []
    for area in (0.6, 0.4, 0.25, 0.12):
        for aspect in (1.0, 2.0, 0.5) if step < 0.8 else (1.0,):
            w, h = min(1.0, np.sqrt(area * aspect)), min(1.0, np.sqrt(area / aspect))
            places = [np.linspace(0, 1 - side, 1 + round((1 - side) / (step * side))) for side in (w, h)]
            rows += [(x, y, w, h) for y in places[1] for x in places[0]]
    return np.array(rows)


def random_boxes(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """`count` boxes anywhere: area 5 to 80 % of the picture, up to twice as wide as high or the reverse.

    Returns:
        float64 (count, 4) inside the picture.
    """
    rng = np.random.default_rng(seed)
    area, aspect = rng.uniform(0.05, 0.8, count), np.exp(rng.uniform(-1, 1, count) * np.log(2))
    w, h = np.minimum(1, np.sqrt(area * aspect)), np.minimum(1, np.sqrt(area / aspect))
    x, y = rng.random(count) * (1 - w), rng.random(count) * (1 - h)
    return np.stack([x, y, w, h], axis=1) * np.array([width, height, width, height])


def recall(
    proposals: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    counts: Iterable[int] = (10, 50, 100, 300),
    overlap: float = 0.5,
) -> dict[int, float]:
    """Share of the objects that at least one of the first n proposals of their picture reaches.

    Args:
        proposals: for each picture (n, 4), best first.
        truth: for each picture (m, 4).
        counts: how many proposals are looked at.
        overlap: the IoU that counts as reached.

    Returns:
        {count: share}; not a number where there is no object at all.

    Raises:
        ValueError: not one entry a picture each.

    Hosang et al. (2016), section 4.
    """
    if len(proposals) != len(truth):
        raise ValueError(f"proposals for {len(proposals)} pictures, true boxes for {len(truth)}")
    overlaps = [iou(t, p) for p, t in zip(proposals, truth, strict=True)]
    objects = sum(len(each) for each in overlaps)
    if not objects:
        return {n: float("nan") for n in counts}
    reached = {n: sum(int((each[:, :n] >= overlap).any(axis=1).sum()) for each in overlaps) for n in counts}
    return {n: hits / objects for n, hits in reached.items()}
