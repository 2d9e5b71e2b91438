"""Convolution written out in NumPy. Notebook 00.

What networks call convolution slides the filter without flipping it (a cross-correlation); so does this
module. Arrays are (height, width) or (height, width, channels), float32; borders are padded with zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import hsv_to_rgb
from numpy.lib.stride_tricks import sliding_window_view


def windows(picture: Any, size: int, stride: int = 1) -> np.ndarray:
    """Every place where a `size` x `size` window fits: a view, nothing is copied. Notebook 00.

    Args:
        picture: (H, W) or (H, W, C).
        size, stride: side of the window, and pixels between two of them.

    Returns:
        (rows, columns, size, size) or (rows, columns, size, size, C).

    Raises:
        ValueError: if the window is larger than the picture, or the stride is below 1.
    """
    picture = np.asarray(picture)
    if picture.ndim not in (2, 3):
        raise ValueError(
            f"a picture is (height, width) or (height, width, channels), this is {picture.shape}"
        )
    if stride < 1 or size < 1:
        raise ValueError(f"size {size} and stride {stride} must be at least 1")
    if size > min(picture.shape[:2]):
        raise ValueError(f"a window of {size} x {size} does not fit on a picture of {picture.shape[:2]}")
    view = sliding_window_view(picture, (size, size), axis=(0, 1))[::stride, ::stride]
    return view if picture.ndim == 2 else np.moveaxis(view, 2, -1)


def convolve(picture: Any, kernel: Any, padding: int = 0, stride: int = 1) -> np.ndarray:
    """Slide a filter over a picture: at each place multiply, then add up. Notebook 00.

    Args:
        picture: (H, W) or (H, W, C).
        kernel: (k, k) for (H, W); (k, k, C) or (k, k, C, F) for (H, W, C).
        padding: zeros put around the picture, in pixels.
        stride: pixels from one place to the next.

    Returns:
        (rows, columns), with a last axis F when the kernel has one; rows = (H + 2 padding - k) // stride + 1.

    Raises:
        ValueError: if the kernel is not square, does not fit, or has another number of channels.
    """
    picture, kernel = _with_channels(picture, kernel)
    size = len(kernel)
    picture = np.pad(picture, ((padding, padding), (padding, padding), (0, 0)))
    rows, columns = ((side - size) // stride + 1 for side in picture.shape[:2])
    if min(rows, columns) < 1:
        raise ValueError(f"a kernel of {size} does not fit on a picture of {picture.shape[:2]}")
    answer = np.zeros((rows, columns, *kernel.shape[3:]), np.float32)
    for i, j in np.ndindex(size, size):  # one number of the filter at a time, for all places at once
        below, right = i + stride * (rows - 1) + 1, j + stride * (columns - 1) + 1
        answer += np.tensordot(picture[i:below:stride, j:right:stride], kernel[i, j], 1)
    return answer


def _with_channels(picture: Any, kernel: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as float32 with an axis for the channels; ValueError where they don't belong together."""
    picture, kernel = np.asarray(picture, np.float32), np.asarray(kernel, np.float32)
    if kernel.ndim < 2 or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(f"a kernel is square, this one is {kernel.shape}")
    if picture.ndim == 2 and kernel.ndim == 2:
        return picture[..., None], kernel[..., None]
    if picture.ndim == 2:
        raise ValueError(f"a picture of shape {picture.shape} needs a (k, k) kernel, not {kernel.shape}")
    if picture.ndim != 3:
        raise ValueError(f"a picture is (height, width) or (height, width, channels), not {picture.shape}")
    if kernel.ndim not in (3, 4) or kernel.shape[2] != picture.shape[2]:
        raise ValueError(f"the picture has {picture.shape[2]} channels, the kernel is {kernel.shape}")
    return picture, kernel


def as_matrix(kernel: Any, height: int, width: int) -> np.ndarray:
    """The same filter as a dense layer's weights. Notebook 00.

    Returns:
        (places, height * width): one row for each place of the filter, zeros outside the window. Times the
        picture, row after row in one vector, it gives what `convolve` gives.
    """
    kernel = np.asarray(kernel, np.float32)
    size = len(kernel)
    rows = []
    for top in range(height - size + 1):
        for left in range(width - size + 1):
            sheet = np.zeros((height, width), np.float32)
            sheet[top : top + size, left : left + size] = kernel
            rows.append(sheet.ravel())
    return np.stack(rows)


def directions(lying: Any, standing: Any, strongest: float | None = None) -> np.ndarray:
    """Two edge maps as one picture: hue says which way the brightness rises, brightness how steeply.

    Args:
        lying, standing: (H, W), what the filters for lying and for standing edges answered.
        strongest: the steepness shown at full brightness; by default exceeded by one pixel in fifty.

    Returns:
        (H, W, 3) float32, RGB 0..255.
    """
    steep = np.hypot(lying, standing)
    top = strongest or float(np.quantile(steep, 0.98)) or 1.0
    hue = (np.arctan2(lying, standing) / (2 * np.pi)) % 1
    value = np.clip(steep / top, 0, 1) ** 0.8
    return (255 * hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.62), value], axis=-1))).astype(np.float32)
