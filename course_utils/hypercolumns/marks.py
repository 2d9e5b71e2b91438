"""Marks on a picture: strokes that say which pixel is what, and one pixel to compare with. Notebook 03."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from .factored import Factored

Stroke = Sequence[tuple[float, float]]


def scribble(
    size: tuple[int, int], strokes: Mapping[str, Sequence[Stroke]], thickness: int = 3
) -> np.ndarray:
    """Draw strokes as labels, for `logistic`.

    Args:
        size: (H, W) of the picture.
        strokes: {class: strokes}; a stroke is a list of corners (x, y), as shares of width and height
            from the left and the top: (0.5, 0.5) is the middle. One corner alone makes a dot.
        thickness: in pixels.

    Returns:
        (H, W) int64: 0, 1, … in the order of `strokes`, -1 where nothing was drawn.

    Raises:
        ValueError: a corner outside the picture, which also happens when pixels were given.
    """
    import cv2

    height, width = size
    labels = np.full(size, -1, np.int16)
    for number, (name, lines) in enumerate(strokes.items()):
        for line in lines:
            corners = np.asarray(line, float).reshape(-1, 2)
            if not len(corners) or corners.min() < 0 or corners.max() > 1:
                raise ValueError(f"a stroke of {name!r} leaves the picture: x and y are shares from 0 to 1")
            places = np.rint(corners * (width - 1, height - 1)).astype(np.int32)
            places = places[[0, 0]] if len(places) == 1 else places  # a line of one corner draws nothing
            cv2.polylines(labels, [places.reshape(-1, 1, 2)], False, number, thickness)
    return labels.astype(np.int64)


def nearest_stroke(labels: np.ndarray) -> np.ndarray:
    """Every pixel gets the class of the nearest marked one: what scribbles say without the picture.

    Args:
        labels: (H, W) int, of `scribble`; negative where nothing was drawn.

    Returns:
        (H, W), the classes.

    Raises:
        ValueError: nothing was drawn.
    """
    from scipy.ndimage import distance_transform_edt

    if (labels < 0).all():
        raise ValueError("no pixel is marked")
    rows, columns = distance_transform_edt(labels < 0, return_distances=False, return_indices=True)
    return labels[rows, columns]


def match(
    source: Factored, row: int, column: int, target: Factored, kind: Literal["cosine", "distance"] = "cosine"
) -> tuple[int, int]:
    """Find a pixel of one picture on another: the pixel there with the most similar hypercolumn.

    Args:
        source: the picture that the pixel is marked on.
        row, column: the pixel.
        target: the other picture, described by the same layers; each standardized by itself, or neither.
        kind: as for `Factored.similarity`.

    Returns:
        (row, column) on the target.
    """
    vector = source.pixel(row, column)
    likeness = target.cosines(vector) if kind == "cosine" else -target.squared_distances(vector)
    found = np.unravel_index(int(likeness.argmax()), target.size)
    return int(found[0]), int(found[1])


def show_likeness(image: np.ndarray, likeness: np.ndarray, row: int, column: int) -> None:
    """Show a picture with one pixel marked, and beside it how similar all others are; quick, for sliders.

    Args:
        image: (H, W, 3) RGB 0..255.
        likeness: (H, W), of `Factored.similarity`. The colours reach from its lowest value to the highest but
            half a per cent, so that the pixel and its close neighbours don't outshine all others.
        row, column: the pixel.
    """
    from IPython.display import display
    from PIL import Image

    alt, buffer = f"How similar all pixels are to the one at row {row}, column {column}", io.BytesIO()
    both = beside(image, likeness, row, column)
    Image.fromarray(both).save(buffer, format="JPEG", quality=82)
    data = {"image/jpeg": buffer.getvalue(), "text/plain": alt}
    shown = {"alt": alt, "width": round(1.4 * both.shape[1])}  # 256 pixels of a photograph as 358 on the page
    display(data, metadata={"image/jpeg": shown, "alt": alt}, raw=True)


def beside(image: np.ndarray, likeness: np.ndarray, row: int, column: int) -> np.ndarray:
    """Picture and likeness side by side, the pixel marked in both: uint8 (H, 2 W + 8, 3)."""
    from course_utils.pictures.images import to_uint8

    marked = to_uint8(image).copy()
    cross(marked, row, column)
    gap = np.full((len(image), 8, 3), 255, np.uint8)
    return np.concatenate([marked, gap, likeness_map(likeness, row, column)], axis=1)


def likeness_map(likeness: np.ndarray, row: int, column: int) -> np.ndarray:
    """A likeness (H, W) in viridis, scaled as in `show_likeness`, the pixel marked: uint8 (H, W, 3)."""
    import matplotlib

    low, high = np.percentile(likeness, (0, 99.5))
    scaled = np.clip((likeness - low) / ((high - low) or 1), 0, 1)
    coloured = matplotlib.colormaps["viridis"](scaled, bytes=True)[..., :3].copy()
    cross(coloured, row, column)
    return coloured


def cross(panel: np.ndarray, row: int, column: int, reach: int = 7) -> None:
    """Draw a white cross with a dark rim around a pixel, leaving the pixel itself free."""
    for rim, colour in ((1, 28), (0, 255)):
        for step in range(3, reach + 1):
            for y, x in (
                (row - step, column),
                (row + step, column),
                (row, column - step),
                (row, column + step),
            ):
                panel[max(0, y - rim) : max(0, y + rim + 1), max(0, x - rim) : max(0, x + rim + 1)] = colour
