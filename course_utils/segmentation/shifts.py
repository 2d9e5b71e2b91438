"""A coarse network's answer made dense: shifted passes stitched, passes averaged. Notebook 05."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from course_utils.networks import gradients, pretrained
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras


def shift_and_stitch(model: keras.Model, x: np.ndarray, stride: int, step: int) -> np.ndarray:
    """A coarse network's answer at every `step` pixels, from passes over shifted pictures.

    A network of stride 32 sees crops at 0, 32, 64, …; on the picture without its first 16 rows, those at
    16, 48, 80, …. Four such passes (rows and columns), interleaved, are the answer at stride 16. It equals
    the answer on each shifted crop, except for what a network's zero padding changes: the crops end where
    the picture goes on.

    Args:
        model: (N, H, W, 3) -> (N, h, w, classes), a converted classifier without its own enlarging.
        x: (H, W, 3), preprocessed.
        stride: the model's.
        step: pixels between answers; divides the stride.

    Returns:
        float32 (h, w, classes), in the order of the places.

    Raises:
        ValueError: the step does not divide the stride, or the picture is too small for every shift.

    Sermanet et al. (2014), section 3.3; Long, Shelhamer and Darrell (2015), section 3.2. Notebook 05.
    """
    if step < 1 or stride % step:
        raise ValueError(f"step={step} does not divide stride={stride}")
    passes = {
        (i, j): gradients.forward(model, x[None, i * step :, j * step :])[0]
        for i in range(stride // step)
        for j in range(stride // step)
    }
    factor = stride // step
    if any(0 in one.shape for one in passes.values()):
        raise ValueError(
            f"a picture of {x.shape[0]} x {x.shape[1]} is too small to be shifted by {stride - step}"
        )
    height = sum(passes[i, 0].shape[0] for i in range(factor))
    width = sum(passes[0, j].shape[1] for j in range(factor))
    out = np.empty((height, width, passes[0, 0].shape[-1]), np.float32)
    for (i, j), one in passes.items():
        out[i::factor, j::factor] = one
    return out


def averaged_scores(model: keras.Model, pictures: np.ndarray, size: int) -> np.ndarray:
    """Better classification with a converted network: enlarge, one pass, average over the places.

    Args:
        model: a converted classifier, (N, H, W, 3) -> (N, h, w, classes).
        pictures: (N, H, W, 3), RGB 0..255.
        size: side to which they are resized, at least the classifier's own.

    Returns:
        float32 (N, classes).

    Simonyan and Zisserman (2014), section 3.2, "dense evaluation". Notebook 05.
    """
    prepare = pretrained.about(model).preprocess
    maps = [gradients.forward(model, prepare(images.resize(one, size))[None])[0] for one in pictures]
    return np.stack([one.mean((0, 1)) for one in maps])
