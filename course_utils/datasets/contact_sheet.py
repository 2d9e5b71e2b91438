"""Many labelled pictures on one sheet, with what is known of them drawn in. Notebooks 04 and 05."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from course_utils.datasets.labelled import IGNORED, LabelledImages
from course_utils.pictures.palette import class_colours, mask_palette

GAP = 4


def contact_sheet(
    data: LabelledImages, columns: int = 6, scale: int = 2, *, labels: bool = True, most: int = 12
) -> np.ndarray:
    """The first pictures side by side, with masks, boxes and key points unless `labels` is false.

    Args:
        data: pictures with labels.
        columns: pictures in a row.
        scale: how much larger the pictures are drawn.
        labels: draw masks as a tint (ignored pixels white), boxes in the same colour, the points that
            can be seen as dots, joined by the skeleton.
        most: how many pictures.

    Returns:
        uint8 (H, W, 3), white between the pictures.
    """
    count = min(len(data), most)
    if not count:
        raise ValueError("there is no picture to show")
    return sheet([np.asarray(_tile(data, i, scale, labels)) for i in range(count)], columns)


def sheet(tiles: Sequence[np.ndarray], columns: int = 6) -> np.ndarray:
    """Pictures of any sizes side by side, row by row, white between them: uint8 (h, w, 3) each."""
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    whole = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = i // columns * (height + GAP), i % columns * (width + GAP)
        whole[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return whole


def _tile(data: LabelledImages, i: int, scale: int, labels: bool) -> Image.Image:
    height, width = data.images.shape[1:3]
    size = width * scale, height * scale
    picture = Image.fromarray(data.images[i]).resize(size, Image.Resampling.BICUBIC)
    if not labels:
        return picture
    known = bool((data.masks[i] != IGNORED).any())
    if known:
        tint = Image.fromarray(mask_palette(data.mask_names)[data.masks[i]]).resize(
            size, Image.Resampling.NEAREST
        )
        strength = np.where(data.masks[i] == IGNORED, 150, np.where(data.masks[i] > 0, 70, 0))
        where = Image.fromarray(strength.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
        picture.paste(tint, mask=where)
    pen, of_class = ImageDraw.Draw(picture), class_colours(data.class_names)
    for j in np.flatnonzero(data.classes[i] >= 0):
        label = int(data.classes[i, j])
        x, y, w, h = (float(value) * scale for value in data.boxes[i, j])
        pen.rectangle((x, y, x + w - 1, y + h - 1), outline=of_class[label], width=scale)
        _draw_points(pen, data, i, int(j), label, scale)
    return picture


def _draw_points(
    pen: ImageDraw.ImageDraw, data: LabelledImages, i: int, j: int, label: int, scale: int
) -> None:
    points = [tuple(map(float, point)) for point in data.keypoints[i, j] * scale]
    seen = data.visible[i, j]
    for a, b in data.skeletons[label] if data.skeletons else ():
        if seen[a] and seen[b]:
            pen.line((*points[a], *points[b]), fill="black", width=scale + 2)
            pen.line((*points[a], *points[b]), fill="white", width=scale)
    for place, there in zip(points, seen, strict=True):
        if there:
            x, y = place
            r = scale + 0.5
            pen.ellipse((x - r, y - r, x + r, y + r), fill="white", outline="black")
