"""One window at every place, at every scale: by crops, and in one pass. Notebook 04.

OverFeat (Sermanet et al. 2014): a network trained on windows of one size is slid over larger pictures.
Cropping each window computes what neighbours share again and again; with the dense layers turned into
convolutions (`networks.convert`) the whole picture goes through once. For a network without padding both
give the same numbers; with padding, crops see zeros where the whole picture has more picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from course_utils.datasets.labelled import LabelledImages
from course_utils.localization.boxes import Found, from_window, greedy_merge, to_window
from course_utils.localization.regression import train_heads
from course_utils.localization.views import window_maps
from course_utils.networks import convert, gradients, localizer, pretrained, weight_files
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

WINDOW = 48
"""Side of the windows that `train_window` learns from."""
SCALES = (0.5, 0.65, 0.8, 1.0, 1.3)
"""Sizes in which scenes of 96 pixels are searched."""


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
    sliding = convert.dense_to_convolutional(classifier)
    pretrained.remember(sliding, pretrained.about(classifier))  # it takes the same input
    return Slider(sliding, height, stride_of(classifier))


def stride_of(model: keras.Model) -> int:
    """How many pixels of the input one step in the last maps is: the product of all strides."""
    strides = [layer.strides for layer in model.layers if len(getattr(layer, "strides", ())) == 2]
    return int(np.prod([first for first, _ in strides])) if strides else 1


def branch(model: keras.Model, output: int) -> keras.Model:
    """One of several outputs as a chain of its own; the layers stay shared."""
    from keras import Model

    one = Model(model.input, model.outputs[output], name=f"{model.name}_{output}")
    return pretrained.remember(one, pretrained.about(model))


def slide_scores(slide: Slider, x: np.ndarray) -> np.ndarray:
    """Scores of every window in one pass: (H, W, 3) -> float32 (rows, columns, classes).

    The slow way to the same is `convert.crop_scores`.

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
    return merged(*scan(slide, image, scales, regress), background, least, merge)


def merged(
    boxes: np.ndarray, scores: np.ndarray, background: int | None, least: float, merge: float = 0.3
) -> Found:
    """What windows (N, 4) with scores (N, classes) say together; the arguments are those of `detect`."""
    parts = []
    for number in range(scores.shape[1]):
        chosen = scores[:, number] >= least
        if number != background and chosen.any():
            found, sums = greedy_merge(boxes[chosen], scores[chosen, number], merge)
            parts.append((found, np.full(len(found), number), sums))
    if not parts:
        return Found(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    every = [np.concatenate(part) for part in zip(*parts, strict=True)]
    order = np.argsort(-every[2], kind="stable")
    return Found(*(part[order] for part in every))


def scan(
    slide: Slider, image: np.ndarray, scales: Sequence[float], regress: Slider | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """All windows of all scales: boxes (N, 4) in pixels of the picture, scores (N, classes)."""
    boxes, scores = scan_all(slide, np.asarray(image)[None], scales, regress)
    return boxes[0], scores[0]


def scan_all(
    slide: Slider,
    pictures: np.ndarray,
    scales: Sequence[float],
    regress: Slider | None = None,
    batch: int = 25,
) -> tuple[np.ndarray, np.ndarray]:
    """`scan` of pictures (P, H, W, 3) of one size: boxes (P, N, 4) and scores (P, N, classes).

    Raises:
        ValueError: at no scale is a picture as large as the window.
    """
    height, width = pictures.shape[1:3]
    preprocess = pretrained.about(slide.model).preprocess
    boxes, scores = [], []
    for scale in scales:
        size = round(height * scale), round(width * scale)
        if min(size) < slide.window:
            continue

        def enlarged(some: np.ndarray, size: tuple[int, int] = size) -> np.ndarray:
            return preprocess(np.stack([images.resize(image, size) for image in some]))

        found = gradients.forward(slide.model, pictures, batch, before=enlarged)
        _, rows, columns, _ = found.shape
        at = np.tile(places(rows, columns, slide), (len(pictures), 1))
        if regress is not None:
            shares = gradients.forward(regress.model, pictures, batch, before=enlarged)
            at = from_window(shares.reshape(-1, 4), at)
        at = at * (np.array([width, height, width, height]) / np.array(size[::-1] * 2))
        boxes.append(at.reshape(len(pictures), -1, 4))
        scores.append(found.reshape(len(pictures), -1, found.shape[-1]))
    if not boxes:
        raise ValueError(f"at no scale is a picture of {height} x {width} as large as the window")
    return np.concatenate(boxes, axis=1), np.concatenate(scores, axis=1)


# --- learning from windows ------------------------------------------------------------------------------


def training_windows(
    data: LabelledImages, each: int = 2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Square windows around objects, as many beside them, and as many that hold only a part of one.

    Without the last a wheel is a motorcycle, and many windows on one thing agree on something false: these
    are the negatives that a window finds hardest.

    Returns:
        the pictures' numbers (N,), windows (N, 4), classes (N,), where the last class is "nothing", and
        boxes (N, 4) in shares of the windows; for nothing the whole window.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for i, (box, label) in enumerate(zip(data.boxes[:, 0], data.classes[:, 0], strict=True)):
        for _ in range(each):
            side = max(box[2:]) / rng.uniform(0.55, 0.95)
            corner = box[:2] - rng.random(2) * (side - box[2:])
            rows.append((i, *corner, side, side, label))
            side = rng.uniform(0.35, 0.95) * data.images.shape[1]
            window = np.array([*rng.uniform(-0.1, 1, 2) * (data.images.shape[1] - side), side, side])
            if _seen(box, window) < 0.4:
                rows.append((i, *window, len(data.class_names)))
            side = rng.uniform(0.25, 0.5) * max(box[2:])
            corner = box[:2] + rng.random(2) * (box[2:] - side)
            rows.append((i, *corner, side, side, len(data.class_names)))
    table = np.array(rows)
    number, windows, labels = table[:, 0].astype(int), table[:, 1:5], table[:, 5].astype(int)
    shares = to_window(data.boxes[number, 0], windows)
    return number, windows, labels, np.where(labels[:, None] < len(data.class_names), shares, [[0, 0, 1, 1]])


def _seen(box: np.ndarray, window: np.ndarray) -> float:
    """The share of a box inside a window, or of the window inside the box, whichever is larger."""
    low = np.maximum(box[:2], window[:2])
    common = np.prod(np.maximum(np.minimum(box[:2] + box[2:], window[:2] + window[2:]) - low, 0))
    return float(common / min(np.prod(box[2:]), np.prod(window[2:])))


def hard_windows(
    slide: Slider, data: LabelledImages, most: int = 3, least: float = 0.2
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Windows in which a trained network sees a thing where there is none, or hardly any of one.

    They are of use as negatives of a next training ("hard negatives"; Felzenszwalb et al. 2010, section 4):
    few negatives drawn at random look like a thing.

    Args:
        most: windows of each picture; least: their score for some thing.

    Returns:
        as `training_windows`, all of the class "nothing".
    """
    boxes, scores = scan_all(slide, data.images, SCALES)
    nothing = len(data.class_names)
    number, windows = [], []
    for i, (every, sure) in enumerate(zip(boxes, scores[..., :nothing].max(axis=-1), strict=True)):
        within = _covered(data.boxes[i, 0], every)
        wrong = np.flatnonzero((sure >= least) & (within < 0.4))
        wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:most]
        number.append(np.full(len(wrong), i))
        windows.append(every[wrong])
    count = sum(map(len, windows))
    labels, shares = np.full(count, nothing), np.tile([0.0, 0.0, 1.0, 1.0], (count, 1))
    return np.concatenate(number), np.concatenate(windows), labels, shares


def _covered(box: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """The share of a box (4,) that lies inside each of windows (N, 4)."""
    low = np.maximum(box[:2], windows[:, :2])
    high = np.minimum(box[:2] + box[2:], windows[:, :2] + windows[:, 2:])
    return np.prod(np.maximum(high - low, 0), axis=1) / np.prod(box[2:])


def train_window(
    backbone: keras.Model, data: LabelledImages, epochs: int = 20, rounds: int = 0
) -> tuple[keras.Model, Slider, Slider]:
    """A network for windows of 48 pixels: the model itself, and both heads ready to slide.

    Args:
        rounds: how often it slides over the pictures it learned from, to learn again with what it got wrong.
    """
    rows = training_windows(data)
    model, slide, regress = _window_network(backbone, data, rows, epochs)
    for _ in range(rounds):
        hard = hard_windows(slide, data)
        rows = tuple(np.concatenate(pair) for pair in zip(rows, hard, strict=True))  # type: ignore[assignment]
        model, slide, regress = _window_network(backbone, data, rows, epochs)
    return model, slide, regress


def _window_network(
    backbone: keras.Model,
    data: LabelledImages,
    rows: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    epochs: int,
) -> tuple[keras.Model, Slider, Slider]:
    number, windows, labels, shares = rows
    maps = window_maps(backbone, data.images[number], windows, WINDOW)
    scale = float(1 / np.sqrt(np.mean(maps**2)))
    count = len(data.class_names) + 1
    flat = localizer.Heads("dense", channels=32, units=128, dropout=0.3)
    heads = train_heads(maps * scale, labels, shares, count, heads=flat, epochs=epochs)
    model = localizer.build(backbone, count, flat, size=WINDOW)
    known = localizer.reduced(weight_files.of(heads), scale)
    weight_files.put(model, known, "the heads", only=["reduce", "fc", "classes", "box"])
    slides = [slider(branch(model, i)) for i in (0, 1)]
    return model, slides[0], slides[1]
