"""What tames a step: moved pictures, smoothed gradients, less variation. Notebook 08."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from scipy import fft

from course_utils.filters.optima import Array
from course_utils.filters.recipes import COLOURS, Recipe


def length(gradient: Array) -> Array:
    """Root of the mean square of every picture's gradient, (N,).

    Raises:
        ValueError: one of them is not finite; says which.
    """
    squares = np.mean(np.square(gradient), axis=(1, 2, 3))
    if not np.isfinite(squares).all():
        worst = int(np.argmin(np.isfinite(squares)))
        raise ValueError(f"the gradient of picture {worst} is not finite: are all weights finite?")
    return np.sqrt(squares)


def unit(gradient: Array) -> Array:
    """Each picture's gradient with a root mean square of 1 (0 where there is none)."""
    return gradient / (length(gradient)[:, None, None, None] + 1e-12)


def moved(images: Array, rule: Recipe, rng: np.random.Generator) -> tuple[Array, Callable[[Array], Array]]:
    """The pictures shifted (around the edge) and turned, and the way back for their gradient."""
    if not (rule.jitter or rule.turn):
        return images, lambda gradient: gradient
    by = tuple(int(k) for k in rng.integers(-rule.jitter, rule.jitter + 1, 2))
    angle = float(rng.uniform(-rule.turn, rule.turn))
    away = _turned(np.roll(images, by, axis=(1, 2)).astype(np.float32), angle)
    return away, lambda gradient: np.roll(_turned(gradient, -angle), (-by[0], -by[1]), axis=(1, 2))


def _turned(batch: Array, angle: float) -> Array:
    if not angle:
        return batch
    height, width = batch.shape[1:3]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    border = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
    return np.stack([cv2.warpAffine(each, matrix, (width, height), **border) for each in batch])


def direction(images: Array, gradient: Array, rule: Recipe, done: float) -> Array:
    """Where the next step goes, about of length 1 for each picture.

    Args:
        images: where the pictures are, (N, H, W, 3).
        gradient: uphill, of the same shape.
        done: share of the steps made, this one included, 0..1.
    """
    if rule.smooth or rule.coarse:
        gradient = _filtered(gradient, rule, done)
    if rule.colours:
        gradient = gradient @ COLOURS
    uphill = unit(gradient)
    return uphill - rule.variation * unit(variation(images)) if rule.variation else uphill


def _filtered(gradient: Array, rule: Recipe, done: float) -> Array:
    """Fine frequencies damped, and the finest left out while the way is young."""
    shape = gradient.shape[1:3]
    rows, columns = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None, :]
    frequency = np.hypot(rows, columns)
    kept = 1 / np.maximum(frequency, 1 / max(shape)) ** rule.smooth
    if rule.coarse:
        kept = kept * (frequency <= 0.05 + 0.7 * done / rule.coarse)
    spectrum = fft.rfft2(gradient, axes=(1, 2)) * kept[..., None].astype(np.float32)
    return fft.irfft2(spectrum, s=shape, axes=(1, 2)).astype(np.float32)


def variation(images: Array) -> Array:
    """Gradient of the total variation: the sizes of all differences to the right and below, smoothed."""
    away = np.zeros_like(images)
    for axis in (1, 2):
        steps = np.diff(images, axis=axis)
        steps = steps / np.sqrt(steps**2 + 4.0)
        before = [slice(None)] * 4
        after = [slice(None)] * 4
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        away[tuple(before)] -= steps
        away[tuple(after)] += steps
    return away
