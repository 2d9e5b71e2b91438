"""Photographs that are stored turned: what their EXIF data say, and how labels are turned along.

A phone held upright often stores the picture lying on its side, with a note how to turn it. `images.read`
turns it; a mask or a box drawn on the pixels as they are stored must be turned in the same way.
"""

from __future__ import annotations

import os
from contextlib import suppress

import numpy as np
from PIL import Image

TAG = 274  # EXIF's Orientation
UPRIGHT = 1
LYING = (5, 6, 7, 8)  # height and width change places
_LEFT_RIGHT, _UPSIDE_DOWN = (2, 3, 6, 7), (3, 4, 7, 8)  # what is mirrored, after rows and columns


def of(path: str | os.PathLike[str]) -> int:
    """How a picture is stored: 1 upright, 2 to 8 as EXIF counts; 1 where it says nothing that makes sense."""
    with suppress(Exception), Image.open(path) as picture:  # damaged EXIF data is common
        found = picture.getexif().get(TAG, UPRIGHT)
        return int(found) if found in range(1, 9) else UPRIGHT
    return UPRIGHT


def stored_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Height and width as stored, from those of the upright picture, or the other way round."""
    return (size[1], size[0]) if orientation in LYING else size


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """An array (H, W) or (H, W, C) of stored pixels, turned as a viewer turns the picture."""
    turned = array.swapaxes(0, 1) if orientation in LYING else array
    turned = turned[::-1] if orientation in _UPSIDE_DOWN else turned
    return turned[:, ::-1] if orientation in _LEFT_RIGHT else turned


def upright_box(
    box: tuple[float, float, float, float], orientation: int, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """A box x, y, w, h on stored pixels, on the upright picture of that height and width."""
    x, y, w, h = box
    if orientation in LYING:
        x, y, w, h = y, x, h, w
    height, width = size
    x = width - x - w if orientation in _LEFT_RIGHT else x
    y = height - y - h if orientation in _UPSIDE_DOWN else y
    return x, y, w, h
