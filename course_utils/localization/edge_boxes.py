"""Edge boxes: a box that holds whole outlines probably holds an object. Notebook 04.

Zitnick and Dollár (2014). Edge pixels that follow one another in nearly the same direction form groups. A
box scores the strength of the groups inside it, without those that a chain of groups ties to its border:
such an outline goes on outside. What is in the box's middle is not counted, and larger boxes must hold more.
(The paper takes learned edges; here they are steep places of the colours.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from course_utils.localization.boxes import clip, non_maximum_suppression

STEP = 0.65  # IoU of neighbouring windows of the first look (alpha in the paper)
APART = 0.75  # IoU above which the weaker of two boxes goes (beta)
LARGER = 1.5  # by which power of its perimeter a box's score is divided (kappa)
SHARPNESS = 2.0  # power of the affinity (gamma)
ASPECTS = (1 / 3, 0.42, 0.55, 0.75, 1.0, 1.33, 1.8, 2.4, 3.0)


@dataclass(frozen=True)
class EdgeGroups:
    """The outlines of a picture in pieces.

    Attributes:
        strength: float64 (H, W), of the thinned edges, 0 elsewhere.
        labels: int (H, W), the group 0..n-1 of each edge pixel, -1 elsewhere.
        mass: (n,) the groups' total strength.
        corners: (n, 4) x1, y1, x2, y2 of the box around each.
        affinity: (n, n), 0..1: how well the best chain of groups continues from one to the other.
    """

    strength: np.ndarray
    labels: np.ndarray
    mass: np.ndarray
    corners: np.ndarray
    affinity: np.ndarray


def thin_edges(image: np.ndarray, sigma: float = 1.0, least: float = 0.12) -> tuple[np.ndarray, np.ndarray]:
    """Where colours change steeply, one pixel thin (Canny 1986), and in which direction the edge runs.

    Args:
        image: (H, W, 3), RGB 0..255.
        sigma: of the blur before, in pixels.
        least: share of the strongest edges (99 % quantile) under which one is left out.

    Returns:
        strength, float64 (H, W), 0..1, and direction, 0..pi; both (H, W).
    """
    values = np.asarray(image, np.float64)[..., :3]
    across, down = (
        ndimage.gaussian_filter(values, sigma, order=order, axes=(0, 1)) for order in ((0, 1), (1, 0))
    )
    steep = np.hypot(across, down)
    channel = steep.argmax(axis=-1)[..., None]
    strength, gx, gy = (np.take_along_axis(a, channel, -1)[..., 0] for a in (steep, across, down))
    length = np.maximum(strength, 1e-9)
    rows, columns = np.indices(strength.shape)
    ahead, behind = (
        ndimage.map_coordinates(
            strength, [rows + s * gy / length, columns + s * gx / length], order=1, mode="nearest"
        )
        for s in (1, -1)
    )
    top = max(float(np.quantile(strength, 0.99)), 1e-9)
    keep = (strength > ahead) & (strength >= behind) & (strength > least * top)
    return np.where(keep, np.minimum(strength / top, 1), 0), (np.arctan2(gy, gx) + np.pi / 2) % np.pi


def turn(a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """The angle between two directions without a sense, 0..pi/2."""
    apart = np.abs(np.asarray(a) - b) % np.pi
    return np.minimum(apart, np.pi - apart)


def follow(strength: np.ndarray, direction: np.ndarray, bend: float = np.pi / 2) -> np.ndarray:
    """Number the groups: go from pixel to the neighbour that turns least, until the turns exceed `bend`.

    Returns:
        int (H, W): the group of each edge pixel, from 0, and -1 elsewhere.
    """
    height, width = strength.shape
    labels = np.full((height + 2, width + 2), -2)  # -2 no edge, -1 not yet numbered
    labels[1:-1, 1:-1][strength > 0] = -1
    angle = np.pad(direction, 1)
    around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    count = 0
    for y, x in zip(*np.nonzero(labels == -1), strict=True):
        if labels[y, x] != -1:
            continue
        turned = 0.0
        while turned <= bend:
            labels[y, x] = count
            free = [(y + i, x + j) for i, j in around if labels[y + i, x + j] == -1]
            if not free:
                break
            steps = [float(turn(angle[y, x], angle[place])) for place in free]
            best = int(np.argmin(steps))
            turned += steps[best]
            y, x = free[best]
        count += 1
    return np.maximum(labels[1:-1, 1:-1], -1)


def groups(image: np.ndarray) -> EdgeGroups:
    """The edges of a picture (H, W, 3), RGB 0..255, in groups. Zitnick and Dollár (2014), section 3.1."""
    strength, direction = thin_edges(image)
    labels = follow(strength, direction)
    count = int(labels.max()) + 1
    on = labels >= 0
    of, mass_of = labels[on], strength[on]

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(of, values, minlength=count)

    mass = total(mass_of)
    rows, columns = np.nonzero(on)
    centre = np.stack([total(columns * mass_of), total(rows * mass_of)], axis=1) / mass[:, None]
    double = 2 * direction[on]  # directions have no sense: their mean is taken at twice the angle
    angle = np.arctan2(total(np.sin(double) * mass_of), total(np.cos(double) * mass_of)) / 2
    places = ndimage.find_objects(labels + 1)
    corners = np.array([(x.start, y.start, x.stop, y.stop) for y, x in places], np.float64).reshape(-1, 4)
    return EdgeGroups(strength, labels, mass, corners, _chains(_affinity(labels, centre, angle)))


def _affinity(labels: np.ndarray, centre: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Of groups within two pixels of each other: how straight one continues the other, 0..1."""
    count = len(centre)
    near = np.zeros((count, count), bool)
    padded = np.pad(labels, 2, constant_values=-1)
    for i in range(-2, 3):
        for j in range(-2, 3):
            other = padded[2 + i : 2 + i + labels.shape[0], 2 + j : 2 + j + labels.shape[1]]
            both = (labels >= 0) & (other >= 0)
            near[labels[both], other[both]] = True
    along = centre[None] - centre[:, None]
    between = np.arctan2(along[..., 1], along[..., 0])
    straight = np.abs(np.cos(angle[:, None] - between) * np.cos(angle[None] - between)) ** SHARPNESS
    return np.where(near & ~np.eye(count, dtype=bool), straight, 0)


def _chains(affinity: np.ndarray, least: float = 0.05) -> np.ndarray:
    """The best product of affinities over all chains (Floyd 1962, with products in place of sums)."""
    best = np.where(affinity < least, 0, affinity)
    for middle in np.flatnonzero(best.any(axis=0)):
        to = np.flatnonzero(best[middle])
        start = np.flatnonzero(best[:, middle])
        here = best[np.ix_(start, to)]
        best[np.ix_(start, to)] = np.maximum(here, best[start, middle, None] * best[None, middle, to])
    np.fill_diagonal(best, 1)
    return best


def windows(height: int, width: int, smallest: float = 0.16) -> np.ndarray:
    """All windows of the first look, so close that neighbours overlap by an IoU of `STEP`; (N, 4)."""
    rows = []
    side, grow = smallest * min(height, width), np.sqrt(1 / STEP)
    while side <= max(height, width):
        for aspect in ASPECTS:
            w, h = side * np.sqrt(aspect), side / np.sqrt(aspect)
            if w <= width and h <= height and min(w, h) >= 0.7 * smallest * min(height, width):
                x, y = (_places(length, inside) for length, inside in ((w, width), (h, height)))
                across, down = np.meshgrid(x, y)
                rows.append(np.stack([across, down, np.full_like(across, w), np.full_like(down, h)], -1))
        side *= grow
    return np.concatenate([each.reshape(-1, 4) for each in rows])


def _places(length: float, inside: float) -> np.ndarray:
    step = length * (1 - STEP) / (1 + STEP)
    return np.linspace(0, inside - length, 1 + int(np.ceil((inside - length) / step)))


def scores(found: EdgeGroups, boxes: np.ndarray, chains: bool = True) -> np.ndarray:
    """How much whole outline each box holds, (N, 4) -> (N,). Section 3.2, equations 2 to 4.

    Args:
        chains: also leave out groups that others tie to the border; without it the answer is quick and
            at most too high.
    """
    b = np.asarray(boxes, np.float64)
    low, high = b[:, :2], b[:, :2] + b[:, 2:]
    first, last = found.corners[:, :2], found.corners[:, 2:]
    inside = np.ones((len(b), len(found.mass)), bool)
    touching = inside.copy()
    for axis in (0, 1):
        start, end = low[:, None, axis], high[:, None, axis]
        inside &= (first[None, :, axis] >= start - 0.5) & (last[None, :, axis] <= end + 0.5)
        touching &= (first[None, :, axis] < end) & (last[None, :, axis] > start)
    if chains:
        weight = inside.astype(np.float64)
        crossing = touching & ~inside
        for i in range(len(b)):
            within, cut = np.flatnonzero(inside[i]), np.flatnonzero(crossing[i])
            if len(within) and len(cut):
                weight[i, within] -= found.affinity[np.ix_(within, cut)].max(axis=1)
        sums = weight @ found.mass
    else:
        sums = inside.astype(np.float32) @ found.mass
    return (sums - _middle(found.strength, b)) / (2 * b[:, 2:].sum(axis=1)) ** LARGER


def _middle(strength: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The strength in the middle half of each box, from a table of sums."""
    table = np.pad(strength, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    limits = np.array(strength.shape[::-1])
    low = np.clip(np.rint(boxes[:, :2] + boxes[:, 2:] / 4), 0, limits).astype(int)
    high = np.clip(np.rint(boxes[:, :2] + boxes[:, 2:] * 0.75), 0, limits).astype(int)
    return (
        table[high[:, 1], high[:, 0]]
        - table[low[:, 1], high[:, 0]]
        - table[high[:, 1], low[:, 0]]
        + table[low[:, 1], low[:, 0]]
    )


def _climb(found: EdgeGroups, boxes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move one side of each box at a time while that makes it better, by smaller and smaller steps."""
    height, width = found.strength.shape
    moves = np.array([(s, 0, -s, 0) for s in (1, -1)] + [(0, s, 0, -s) for s in (1, -1)])
    moves = np.concatenate([moves, [(0, 0, s, 0) for s in (1, -1)], [(0, 0, 0, s) for s in (1, -1)]])
    for step in (0.12, 0.06, 0.03):
        sizes = np.tile(boxes[:, 2:], 2)
        tried = clip((boxes[:, None] + moves[None] * step * sizes[:, None]).reshape(-1, 4), height, width)
        better = scores(found, tried).reshape(len(boxes), -1)
        best = better.argmax(axis=1)
        chosen = tried.reshape(len(boxes), -1, 4)[np.arange(len(boxes)), best]
        gains = better.max(axis=1) > values
        boxes = np.where(gains[:, None], chosen, boxes)
        values = np.where(gains, better.max(axis=1), values)
    return boxes, values


def edge_boxes(
    image: np.ndarray, most: int | None = None, look_at: int = 2000, climb: int = 150
) -> np.ndarray:
    """Proposals by outlines, best first.

    Args:
        image: (H, W, 3), RGB 0..255.
        most: how many at most.
        look_at: how many windows, after a quick look at all, get the exact score.
        climb: how many of the best are then moved side by side while that helps.

    Returns:
        float64 (N, 4), x, y, w, h in pixels; without any edge in the picture, none.

    Zitnick and Dollár (2014). Notebook 04.
    """
    found = groups(image)
    if not len(found.mass):
        return np.zeros((0, 4))
    boxes = windows(*np.shape(image)[:2])
    quick = scores(found, boxes, chains=False)
    boxes = boxes[np.argsort(-quick, kind="stable")[:look_at]]
    values = scores(found, boxes)
    kept = _spread(boxes, values, None)
    boxes, values = boxes[kept], values[kept]
    boxes[:climb], values[:climb] = _climb(found, boxes[:climb], values[:climb])
    return boxes[_spread(boxes, values, most)]


def _spread(boxes: np.ndarray, values: np.ndarray, most: int | None) -> Sequence[int] | np.ndarray:
    """The best ones that differ enough."""
    return non_maximum_suppression(boxes, values, APART)[:most]
