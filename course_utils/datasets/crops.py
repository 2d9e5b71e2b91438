"""From pictures with masks to crops with one class each: what a classifier learns from. Notebook 05."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from course_utils.datasets.labelled import IGNORED, tight_box

LEAST = 0.002  # share of a picture; smaller pieces of a class are no object
AROUND = 0.2  # of the object's longer side, left around it
EMPTY = 0.03  # a crop with less of every class is background


def crops(
    image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, empty: int = 2, tries: int = 40
) -> Iterator[tuple[int, np.ndarray]]:
    """The objects of a picture, each in a square, and some squares without any.

    Args:
        image: (H, W, 3).
        mask: (H, W), 0 background, 255 ignored.
        rng: chooses the empty squares.
        empty: how many of these at most; in a full picture fewer are found.
        tries: places looked at for each.

    Yields:
        The class, and the crop (h, w, 3): a square, but for what the picture's border cuts off.
    """
    from scipy import ndimage

    for value in np.unique(mask[(mask > 0) & (mask != IGNORED)]):
        pieces, count = ndimage.label(mask == value)
        for number in range(1, count + 1):
            piece = pieces == number
            if piece.mean() >= LEAST:
                yield int(value), image[_square(tight_box(piece), piece.shape)]
    height, width = mask.shape
    for _ in range(empty):
        for _ in range(tries):
            side = int(rng.uniform(0.25, 0.6) * min(height, width))
            top, left = (int(rng.integers(0, n - side + 1)) for n in (height, width))
            there = np.s_[top : top + side, left : left + side]
            if side and (mask[there] != 0).mean() < EMPTY:
                yield 0, image[there]
                break


def _square(box: tuple[int, int, int, int], shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the square around a box, as far as there is a picture."""
    x, y, w, h = box
    half = (0.5 + AROUND) * max(w, h)
    spans = []
    for middle, length in ((y + h / 2, shape[0]), (x + w / 2, shape[1])):
        spans.append(slice(max(0, round(middle - half)), min(length, round(middle + half))))
    return spans[0], spans[1]
