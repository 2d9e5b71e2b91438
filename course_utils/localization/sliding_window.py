"""One window at every place, at every scale: by crops, and in one pass. Notebook 04.

OverFeat (Sermanet et al. 2014): a network trained on windows of one size is slid over larger pictures.
Cropping each window computes what neighbours share again and again; with the dense layers turned into
convolutions (`models.convert`) the whole picture goes through once. For a network without padding both
give the same numbers; with padding, crops see zeros where the whole picture has more picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from course_utils.localization.boxes import greedy_merge
from course_utils.localization.regression import Found
from course_utils.networks import convert, gradients, pretrained
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Slider:
    """A classifier of windows in its convolutional form.

    Attributes:
        model: from x (N, H, W, 3) to scores (N, rows, columns, classes).
        window: side of the window in pixels; stride: how far two neighbouring windows lie apart.
    """

    model: keras.Model
    window: int
    stride: int


def slider(classifier: keras.Model) -> Slider:
    """Turn a classifier with a fixed square input into one that slides.

    Raises:
        ValueError: its input has no fixed size, or its dense part can't be converted.
    """
    height, width = classifier.input_shape[1:3]
    if height is None or height != width:
        raise ValueError(f"the window must be a square of fixed size; this network takes {height} x {width}")
    return Slider(convert.dense_to_convolutional(classifier), height, stride_of(classifier))


def stride_of(model: keras.Model) -> int:
    """How many pixels of the input one step in the last maps is: the product of all strides."""
    strides = [layer.strides for layer in model.layers if len(getattr(layer, "strides", ())) == 2]
    return int(np.prod([first for first, _ in strides])) if strides else 1


def branch(model: keras.Model, output: int) -> keras.Model:
    """One of several outputs as a chain of its own; the layers stay shared."""
    from keras import Model

    return Model(model.input, model.outputs[output], name=f"{model.name}_{output}")


def crop_scores(classifier: keras.Model, x: np.ndarray, stride: int, batch: int = 64) -> np.ndarray:
    """Scores of every window by cropping it: the slow way.

    Args:
        classifier: from x (N, S, S, 3) to (N, classes).
        x: one preprocessed picture (H, W, 3), at least S each way.

    Returns:
        float32 (rows, columns, classes): the window of (i, j) begins at pixel (i * stride, j * stride).
    """
    side = classifier.input_shape[1]
    every = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(0, 1))[::stride, ::stride]
    rows, columns = every.shape[:2]
    crops = every.reshape(-1, x.shape[-1], side, side).transpose(0, 2, 3, 1)
    answers = [
        gradients.forward(classifier, np.ascontiguousarray(crops[i : i + batch]))
        for i in range(0, len(crops), batch)
    ]
    return np.concatenate(answers).reshape(rows, columns, -1)


def slide_scores(slide: Slider, x: np.ndarray) -> np.ndarray:
    """The same in one pass: (H, W, 3) -> float32 (rows, columns, classes).

    Raises:
        ValueError: the picture is smaller than the window.
    """
    if min(x.shape[:2]) < slide.window:
        raise ValueError(
            f"a picture of {x.shape[0]} x {x.shape[1]} is smaller than the window of {slide.window} pixels"
        )
    return gradients.forward(slide.model, x[None])[0]


def places(rows: int, columns: int, slide: Slider) -> np.ndarray:
    """The windows of a map of scores, (rows * columns, 4) in pixels, row by row."""
    y, x = np.indices((rows, columns)).reshape(2, -1) * float(slide.stride)
    side = np.full(len(x), float(slide.window))
    return np.stack([x, y, side, side], axis=1)


def detect(
    slide: Slider,
    image: np.ndarray,
    scales: Sequence[float] = (1.0, 1.4, 2.0),
    *,
    background: int | None = None,
    least: float = 0.5,
    merge: float = 0.3,
    regress: Slider | None = None,
) -> Found:
    """Look with one window at a picture in several sizes, and merge what agrees.

    Args:
        slide: the classifier; a picture enlarged twice is searched for objects half as large.
        image: (H, W, 3), RGB 0..255.
        scales: factors on the picture's size; those that make it smaller than the window are left out.
        background: the class that means nothing, if there is one.
        least: score under which a window is not looked at any further.
        merge: IoU above which two boxes of a class become one (`boxes.greedy_merge`).
        regress: gives four numbers for each window, a box in shares of it; without, windows are boxes.

    Returns:
        What is left, scores added up over the merged windows.

    Sermanet et al. (2014), section 4.
    """
    boxes, scores = windows(slide, image, scales, regress)
    parts = []
    for number in range(scores.shape[1]):
        chosen = scores[:, number] >= least
        if number != background and chosen.any():
            merged, sums = greedy_merge(boxes[chosen], scores[chosen, number], merge)
            parts.append((merged, np.full(len(merged), number), sums))
    if not parts:
        return Found(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    every = [np.concatenate(part) for part in zip(*parts, strict=True)]
    order = np.argsort(-every[2], kind="stable")
    return Found(*(part[order] for part in every))


def windows(
    slide: Slider, image: np.ndarray, scales: Sequence[float], regress: Slider | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """All windows of all scales: boxes (N, 4) in pixels of the picture, scores (N, classes)."""
    height, width = np.shape(image)[:2]
    boxes, scores = [], []
    preprocess = pretrained.about(slide.model).preprocess
    for scale in scales:
        size = round(height * scale), round(width * scale)
        if min(size) < slide.window:
            continue
        x = preprocess(images.resize(image, size))
        found = slide_scores(slide, x)
        at = places(found.shape[0], found.shape[1], slide)
        if regress is not None:
            shares = slide_scores(regress, x).reshape(-1, 4)
            at = np.concatenate([at[:, :2] + shares[:, :2] * at[:, 2:], shares[:, 2:] * at[:, 2:]], axis=1)
        boxes.append(at * (np.array([width, height, width, height]) / np.array(size[::-1] * 2)))
        scores.append(found.reshape(-1, found.shape[-1]))
    if not boxes:
        raise ValueError(f"at no scale is a picture of {height} x {width} as large as the window")
    return np.concatenate(boxes), np.concatenate(scores)
