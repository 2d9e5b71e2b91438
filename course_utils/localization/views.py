"""Windows of pictures, squeezed into squares for a network; also beyond the border. Notebook 04."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from course_utils.datasets import augment
from course_utils.networks import gradients
from course_utils.pictures import images as pictures

if TYPE_CHECKING:
    import keras


def view(image: np.ndarray, window: np.ndarray, size: int, mirrored: bool = False) -> np.ndarray:
    """A window of a picture, squeezed into a square; beyond the picture its edge is repeated.

    Args:
        image: (H, W, 3); window: x, y, w, h in its pixels.

    Returns:
        float32 (size, size, 3).
    """
    x, y, w, h = (np.array([v], np.float64) for v in window)
    plain = np.zeros(1)
    rows = augment.axis_matrices(y + h / 2, h, size, image.shape[0], plain)
    columns = augment.axis_matrices(x + w / 2, -w if mirrored else w, size, image.shape[1], plain)
    return augment.resample(image[None], rows, columns)[0]


def whole(image: np.ndarray) -> np.ndarray:
    """The window that is all of a picture: x, y, w, h."""
    return np.array([0.0, 0.0, image.shape[1], image.shape[0]])


def window_maps(
    backbone: keras.Model,
    images: Sequence[np.ndarray] | np.ndarray,
    windows: np.ndarray,
    size: int,
    batch: int = 32,
) -> np.ndarray:
    """The maps of a window of each picture, (N, h, w, c) float32; the windows are squeezed to size x size."""

    def seen(some: np.ndarray) -> np.ndarray:
        return pictures.preprocess(np.stack([view(images[i], windows[i], size) for i in some]))

    return gradients.forward(backbone, np.arange(len(windows)), batch, before=seen)
