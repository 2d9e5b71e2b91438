"""Selective search: regions that look alike grow together, and each on the way is a proposal. Notebook 04.

Uijlings, van de Sande, Gevers and Smeulders (2013). A picture is cut into many small regions; then, again
and again, the two neighbours most alike in colour, texture, size and fit become one, until one region is
left. The box around every region that ever was is a proposal. Because no single notion of "alike" fits all
objects, this is done several times with others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from course_utils.localization.boxes import non_maximum_suppression

COLOUR_BINS, TEXTURE_BINS, DIRECTIONS = 25, 10, 8
MEASURES = ("colour", "texture", "size", "fill")


@dataclass(frozen=True)
class Strategy:
    """One notion of "alike"."""

    colours: str = "lab"
    """"rgb", "lab", "hsv", "rgi" (red and green share, intensity) or "grey"."""
    scale: float = 50.0
    """Of the first regions (Felzenszwalb and Huttenlocher 2004): larger means larger ones."""
    measures: tuple[str, ...] = MEASURES


STRATEGIES: tuple[Strategy, ...] = tuple(
    Strategy(colours, scale, measures)
    for scale in (50.0, 150.0)
    for colours in ("lab", "hsv", "rgi")
    for measures in (MEASURES, ("texture", "size", "fill"))
)


@dataclass(frozen=True)
class Grouping:
    """What happened to the regions of a picture: n small ones, n - 1 merges.

    Attributes:
        labels: int (H, W), the small region 0..n-1 of each pixel.
        merges: int (n-1, 2): merge i made region n + i of these two.
        boxes: float64 (2n-1, 4), the box around every region, in the order of their numbers.
    """

    labels: np.ndarray
    merges: np.ndarray
    boxes: np.ndarray = field(repr=False)

    def after(self, merges: int) -> np.ndarray:
        """The region of each pixel, int (H, W), when so many merges are done: the growth, to be shown."""
        small = self.labels.max() + 1
        names = np.arange(len(self.boxes))
        for i, (a, b) in enumerate(self.merges[: max(0, merges)]):
            names[(names == a) | (names == b)] = small + i
        return names[self.labels]


def in_colours(image: np.ndarray, colours: str) -> np.ndarray:
    """A picture (H, W, 3), RGB 0..255, in another colour space, float64 (H, W, C), about 0..1.

    Raises:
        ValueError: no such colour space.
    """
    from skimage import color

    rgb = np.asarray(image, np.float64)[..., :3] / 255
    if colours == "rgb":
        return rgb
    if colours == "lab":
        return (color.rgb2lab(rgb) + np.array([0, 100, 100])) / np.array([100, 200, 200])
    if colours == "hsv":
        return np.asarray(color.rgb2hsv(rgb))
    if colours == "grey":
        return rgb.mean(axis=-1, keepdims=True)
    if colours == "rgi":
        total = rgb.sum(axis=-1, keepdims=True)
        return np.concatenate([rgb[..., :2] / np.maximum(total, 1e-6), total / 3], axis=-1)
    raise ValueError(f"colours={colours!r}: rgb, lab, hsv, rgi and grey exist")


def texture(values: np.ndarray) -> np.ndarray:
    """How strongly each channel rises in eight directions, (H, W, C) -> float64 (H, W, 8 C), at least 0."""
    across, down = (
        ndimage.gaussian_filter(values, 1, order=order, axes=(0, 1)) for order in ((0, 1), (1, 0))
    )
    angles = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    slopes = [np.maximum(0, np.cos(angle) * across + np.sin(angle) * down) for angle in angles]
    return np.concatenate(slopes, axis=-1)


def histograms(values: np.ndarray, labels: np.ndarray, bins: int, most: float) -> np.ndarray:
    """For each region the histograms of all channels side by side, as shares that add up to 1.

    Args:
        values: (H, W, C), 0..most; labels: int (H, W).

    Returns:
        float64 (regions, C * bins).
    """
    count = labels.max() + 1
    flat = labels.reshape(-1) * bins
    columns = np.clip((values * (bins / most)).astype(int), 0, bins - 1).reshape(-1, values.shape[-1])
    parts = [np.bincount(flat + c, minlength=count * bins).reshape(count, bins) for c in columns.T]
    whole = np.concatenate(parts, axis=1).astype(np.float64)
    return whole / whole.sum(axis=1, keepdims=True)


class _Regions:
    """The regions that are there now, in rows; a merged one takes the row of its first part."""

    def __init__(self, values: np.ndarray, labels: np.ndarray, measures: Sequence[str]) -> None:
        count = labels.max() + 1
        self.measures, self.area = set(measures), float(labels.size)
        self.sizes = np.bincount(labels.reshape(-1), minlength=count).astype(np.float64)
        places = ndimage.find_objects(labels + 1)
        self.corners = np.array([(x.start, y.start, x.stop, y.stop) for y, x in places], np.float64)
        slopes = texture(values) if "texture" in self.measures else None
        self.shares = {
            "colour": histograms(values, labels, COLOUR_BINS, 1.0) if "colour" in self.measures else None,
            "texture": None if slopes is None else histograms(slopes, labels, TEXTURE_BINS, 0.25),
        }

    def alike(self, one: int, others: np.ndarray) -> np.ndarray:
        """How much region `one` is like others, each measure 0..1, added up (section 3.2)."""
        total = np.zeros(len(others))
        for name, shares in self.shares.items():
            if shares is not None and name in self.measures:
                total += np.minimum(shares[one], shares[others]).sum(axis=1)
        together = self.sizes[one] + self.sizes[others]
        if "size" in self.measures:  # small regions first, so that none eats up its neighbours
            total += 1 - together / self.area
        if "fill" in self.measures:  # regions that fit into each other leave little of their box empty
            low = np.minimum(self.corners[one, :2], self.corners[others, :2])
            high = np.maximum(self.corners[one, 2:], self.corners[others, 2:])
            total += 1 - (np.prod(high - low, axis=1) - together) / self.area
        return total

    def merge(self, one: int, other: int) -> None:
        """Put `other` into `one`: histograms are means weighted by size, so no pixel is looked at again."""
        weights = self.sizes[[one, other]]
        for shares in self.shares.values():
            if shares is not None:
                shares[one] = weights @ shares[[one, other]] / weights.sum()
        self.sizes[one] += self.sizes[other]
        self.corners[one, :2] = np.minimum(self.corners[one, :2], self.corners[other, :2])
        self.corners[one, 2:] = np.maximum(self.corners[one, 2:], self.corners[other, 2:])


def neighbours(labels: np.ndarray) -> np.ndarray:
    """bool (n, n): which regions touch along a pixel's side."""
    count = labels.max() + 1
    touch = np.zeros((count, count), bool)
    touch[labels[:, :-1], labels[:, 1:]] = True
    touch[labels[:-1], labels[1:]] = True
    touch |= touch.T
    np.fill_diagonal(touch, False)
    return touch


def group(image: np.ndarray, strategy: Strategy = STRATEGIES[0]) -> Grouping:
    """Cut a picture into regions and let them grow together, the most alike neighbours first.

    Args:
        image: (H, W, 3), RGB 0..255.

    Returns:
        The whole sequence, a `Grouping`.

    Raises:
        ValueError: no such colour space or measure.

    Uijlings et al. (2013), algorithm 1. Notebook 04.
    """
    from skimage.segmentation import felzenszwalb

    if unknown := set(strategy.measures) - set(MEASURES):
        raise ValueError(f"no measure {', '.join(sorted(unknown))}: there are {', '.join(MEASURES)}")
    values = in_colours(image, strategy.colours)
    smallest = max(10, values.shape[0] * values.shape[1] // 600)
    raw = felzenszwalb(values, scale=strategy.scale, sigma=0.8, min_size=smallest, channel_axis=-1)
    labels = np.unique(raw, return_inverse=True)[1].reshape(raw.shape)
    return _grow(_Regions(np.clip(values, 0, 1), labels, strategy.measures), labels)


def _grow(regions: _Regions, labels: np.ndarray) -> Grouping:
    touch = neighbours(labels)
    count = len(touch)
    likeness = np.full((count, count), -np.inf)
    for one in range(count):
        near = np.flatnonzero(touch[one])
        likeness[one, near] = regions.alike(one, near)
    number = np.arange(count)  # of the region that is in a row now
    corners, merges = [regions.corners.copy()], []
    for made in range(count, 2 * count - 1):
        one, other = map(int, np.unravel_index(np.argmax(likeness), likeness.shape))
        merges.append((number[one], number[other]))
        regions.merge(one, other)
        number[one] = made
        corners.append(regions.corners[one : one + 1].copy())
        _join(touch, likeness, int(one), int(other))
        near = np.flatnonzero(touch[one])
        likeness[one, near] = likeness[near, one] = regions.alike(int(one), near)
    boxes = np.concatenate(corners)
    boxes[:, 2:] -= boxes[:, :2]
    return Grouping(labels, np.array(merges, int).reshape(-1, 2), boxes)


def _join(touch: np.ndarray, likeness: np.ndarray, one: int, other: int) -> None:
    """The neighbours of `other` become those of `one`; `other` has none any more."""
    touch[one] |= touch[other]
    touch[:, one] |= touch[:, other]
    touch[other] = touch[:, other] = False
    touch[one, one] = False
    likeness[other] = likeness[:, other] = -np.inf


def selective_search(
    image: np.ndarray,
    most: int | None = None,
    strategies: Sequence[Strategy] = STRATEGIES,
    seed: int = 0,
    smallest: float = 0.12,
    apart: float = 0.8,
) -> np.ndarray:
    """Proposals of all strategies, those first that came late in a hierarchy: large, whole regions.

    Args:
        image: (H, W, 3), RGB 0..255.
        most: how many at most.
        strategies: notions of "alike"; more give more proposals.
        seed: an element of chance lets no single strategy come first (section 3.4).
        smallest: boxes with a side below this share of the picture's are left out.
        apart: of boxes that overlap more than this IoU the first is kept.

    Returns:
        float64 (N, 4), x, y, w, h in pixels, best first.

    Uijlings et al. (2013). Notebook 04.
    """
    height, width = np.shape(image)[:2]
    rng = np.random.default_rng(seed)
    boxes, ranks = [], []
    for strategy in strategies:
        found = group(image, strategy).boxes
        boxes.append(found)
        place = np.arange(len(found), 0, -1)  # 1 is the whole picture, the last merge
        ranks.append(place * rng.random(len(found)))
    every, rank = np.concatenate(boxes), np.concatenate(ranks)
    sides = every[:, 2:] / np.array([width, height])
    fits = (sides >= smallest).all(axis=1) & (sides.prod(axis=1) < 0.95)
    every, rank = every[fits], rank[fits]
    return every[non_maximum_suppression(every, -rank, apart)][:most]
