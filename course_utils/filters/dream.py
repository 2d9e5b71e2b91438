"""Deep dream (Mordvintsev, Olah and Tyka 2015): ascent from a photograph, on all filters of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.features.layers import layer_name
from course_utils.features.maps import check_size, tap
from course_utils.filters.losses import affine
from course_utils.filters.optima import Array
from course_utils.networks import gradients
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras


def energy_gradient(model: keras.Model, layer: str | int) -> Any:
    """`fn(image) -> gradient` of the layer's mean squared activation, (H, W, 3) RGB 0..255 each.

    Squares let the strong become stronger: whatever the layer has begun to see, it shall see more of.
    """
    from keras import ops

    part = tap(model, layer)
    matrix, offset = affine(model)
    fn = gradients.value_and_gradient(
        lambda picture: ops.mean(ops.square(part(ops.add(ops.matmul(picture, matrix), offset))[0]))
    )
    return lambda image: np.asarray(fn(np.asarray(image, np.float32)[None])[1])[0]


def dream(
    model: keras.Model,
    image: Array,
    layer: str | int,
    *,
    steps: int = 12,
    step: float = 2.0,
    octaves: int = 3,
    scale: float = 1.4,
    jitter: int = 16,
    seed: int = 0,
) -> Array:
    """Let a network see more of what it sees in a photograph. Notebook 08.

    Args:
        image: (H, W, 3) RGB 0..255.
        layer: shallow for strokes, deep for parts of things.
        steps: in each octave.
        step: root mean square of what each adds, in levels.
        octaves: how many sizes, each `scale` times the one before, the last the picture's own.
        jitter: pixels by which the picture is shifted around the edge before each step.

    Returns:
        (H, W, 3) float32 RGB 0..255.

    Raises:
        ValueError: the smallest octave is too small for the layer.
    """
    image = np.asarray(image, np.float32)
    shapes = [
        tuple(max(1, round(side / scale**k)) for side in image.shape[:2]) for k in reversed(range(octaves))
    ]
    check_size(model, (*shapes[0], 3), [layer_name(layer, model)])
    slope, rng = energy_gradient(model, layer), np.random.default_rng(seed)
    added = np.zeros((*shapes[0], 3), np.float32)
    for shape in shapes:
        base = images.resize(image, shape)
        current = np.clip(base + images.resize(added, shape), 0, 255)
        for _ in range(steps):
            by = tuple(rng.integers(-jitter, jitter + 1, 2))
            gradient = np.roll(slope(np.roll(current, by, (0, 1))), (-by[0], -by[1]), (0, 1))
            length = np.sqrt(np.mean(np.square(gradient)))
            current = np.clip(current + step * gradient / (length + 1e-12), 0, 255)
        added = current - base
    return current.astype(np.float32)
