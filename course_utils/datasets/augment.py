"""Random crops, flips, sharpness, colour and JPEG noise for a whole batch at once. Notebook 06.

Crop, zoom, flip, blur and sharpening are all linear and separable, so one small matrix an axis and
picture does them together: `out = rows @ picture @ columns.T`.
"""

from __future__ import annotations

import cv2
import numpy as np

from course_utils.pictures.resampling import tent


def axis_matrices(
    centre: np.ndarray, extent: np.ndarray, size: int, source: int, sharpness: np.ndarray
) -> np.ndarray:
    """Resampling along one axis, one matrix a picture.

    Args:
        centre: (N,) middle of the window in pixels of the source, half-pixel convention.
        extent: (N,) its length in pixels; negative mirrors it.
        size: output pixels.
        source: input pixels.
        sharpness: (N,) 0 is plain linear interpolation, below it blurs, above it sharpens.

    Returns:
        float32 (N, size, source); every row sums to 1. Outside the picture its edge is repeated.
    """
    steps = (np.arange(size) + 0.5) / size - 0.5
    at = np.clip(centre[:, None] + extent[:, None] * steps, 0.5, source - 0.5)
    distance = at[:, :, None] - (np.arange(source) + 0.5)
    finest = np.maximum(1.0, np.abs(extent) / size)[:, None, None]  # wider where it shrinks: no aliasing
    plain = tent(distance, finest + 1.2 * np.maximum(0, -sharpness)[:, None, None])
    amount = np.maximum(0, sharpness)[:, None, None]
    out = plain if not amount.any() else (1 + amount) * plain - amount * tent(distance, 2 * finest)
    return out.astype(np.float32)


def resample(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Apply one row matrix and one column matrix to each picture.

    Args:
        images: (N, H, W, 3); rows: (N, h, H); columns: (N, w, W).

    Returns:
        float32 (N, h, w, 3).
    """
    n, height, width, _ = images.shape
    tall = rows @ np.asarray(images, np.float32).reshape(n, height, width * 3)
    planes = tall.reshape(n, -1, width, 3).transpose(0, 1, 3, 2).reshape(n, -1, width)
    wide = planes @ columns.transpose(0, 2, 1)
    return np.ascontiguousarray(wide.reshape(n, rows.shape[1], 3, -1).transpose(0, 1, 3, 2))


def jpeg(images: np.ndarray, quality: int) -> np.ndarray:
    """Compress and read back a stack of uint8 pictures, as one strip (sizes that are multiples of 8)."""
    n, height, width, _ = images.shape
    strip = images.reshape(n * height, width, 3)
    _, data = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)).reshape(images.shape)


def colours(images: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Vary brightness, contrast and saturation of each picture; float32 in, clipped to 0..255."""
    n = len(images)
    brightness, contrast, saturation = rng.uniform(-strength, strength, (3, n, 1, 1, 1)).astype(np.float32)
    saturation = np.where(rng.random((n, 1, 1, 1)) < 0.05, -1, 1.5 * saturation).astype(np.float32)
    grey = images @ np.array([0.299, 0.587, 0.114], np.float32)
    images = grey[..., None] + (1 + saturation) * (images - grey[..., None])
    middle = images.mean((1, 2, 3), keepdims=True)
    return np.clip(middle + (1 + contrast) * (images - middle) + 100 * brightness, 0, 255)


def augment(images: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random view of each picture: what `course train vgg16` trains on.

    Sharpness varies on purpose: thumbnails made with a softer or sharper filter are the same things,
    and a network that never saw both takes "sharp" for a clue to the class.

    Args:
        images: uint8 (N, S, S, 3) RGB.
        size: side of the result.
        rng: all randomness comes from here.

    Returns:
        float32 (N, size, size, 3) RGB 0..255.
    """
    n, source = len(images), images.shape[1]
    groups = np.array_split(images, max(1, n // 16))
    images = np.concatenate([jpeg(g, int(rng.integers(30, 95))) if rng.random() < 0.2 else g for g in groups])
    area = rng.uniform(0.45, 1.1, n)
    aspect = np.exp(rng.uniform(-0.25, 0.25, n))
    height, width = (source * np.sqrt(area * a) for a in (aspect, 1 / aspect))
    at = [source / 2 + rng.uniform(-0.5, 0.5, n) * np.abs(source - e) for e in (height, width)]
    width = np.where(rng.random(n) < 0.5, -width, width)
    sharpness = np.where(rng.random(n) < 0.5, rng.uniform(-0.7, 1.2, n), 0)
    rows = axis_matrices(at[0], height, size, source, sharpness)
    columns = axis_matrices(at[1], width, size, source, sharpness)
    return colours(resample(images, rows, columns), rng, 0.15)


def enlarge(images: np.ndarray, size: int) -> np.ndarray:
    """Bilinear resizing without any randomness; uint8 or float (N, S, S, 3) -> float32."""
    n, source = len(images), images.shape[1]
    centre, extent = np.full(n, source / 2), np.full(n, float(source))
    matrix = axis_matrices(centre[:1], extent[:1], size, source, np.zeros(1))
    matrices = np.broadcast_to(matrix, (n, size, source))
    return resample(images, matrices, matrices)


def disturbed(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Small pictures made harder: other colours, a piece of another picture, something in front.

    Args:
        images: uint8 (N, S, S, 3) RGB, such as `scenes.thumbnails` makes.
        rng: all randomness comes from here.

    Returns:
        uint8 (N, S, S, 3). Every channel has another gain, a third of the pictures are grey; then come, at
        random places, a square from another of the pictures, a third as wide, and a plain rectangle.
    """
    n, size = images.shape[:2]
    tinted = np.asarray(images, np.float32) * rng.uniform(0.5, 1.3, (n, 1, 1, 3)).astype(np.float32)
    grey = tinted.mean(axis=-1, keepdims=True)
    out = np.where(rng.random((n, 1, 1, 1)) < 1 / 3, grey, tinted)
    out = np.clip(out + rng.uniform(-30, 30, (n, 1, 1, 1)), 0, 255).astype(np.uint8)
    piece, others, clean = round(size / 3), rng.permutation(n), out.copy()
    for i in range(n):
        row, column, y, x = rng.integers(0, size - piece + 1, 4)
        out[i, y : y + piece, x : x + piece] = clean[others[i], row : row + piece, column : column + piece]
        height, width = rng.integers(size // 8, size // 2, 2)
        y, x = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
        out[i, y : y + height, x : x + width] = rng.integers(0, 256, 3)
    return out
