"""Why did it say that? Which places of a picture an answer rests on. Notebook 01.

Four answers to the same question: the class activation map (Zhou et al., 2016), Grad-CAM (Selvaraju et al.,
2017), the gradient with respect to the pixels (Simonyan, Vedaldi and Zisserman, 2013), and occlusion (Zeiler
and Fergus, 2014). The scores meant are those before the softmax. None of them says that the network is right;
and a map that looks the same with random weights says nothing at all (Adebayo et al., 2018).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.networks import gradients
from course_utils.pictures import images as pictures

if TYPE_CHECKING:
    import keras


def class_activation_map(maps: np.ndarray, kernel: np.ndarray, index: int) -> np.ndarray:
    """Each place's share in a class's score, for a network whose head averages and has one dense layer.

    Args:
        maps: (h, w, c), what is averaged.
        kernel: (c, classes) of the dense layer.
        index: of the class.

    Returns:
        (h, w) float32; its mean is the class's score without the bias. Zhou et al. 2016, section 2.
    """
    return np.asarray(maps, np.float32) @ np.asarray(kernel, np.float32)[:, index]


def grad_cam(model: keras.Model, x: np.ndarray, layer: str, index: int | None = None) -> np.ndarray:
    """Which places of a layer raise a class's score (Selvaraju et al. 2017, section 3).

    Works for every Keras model and every layer with maps, also inside another model: the layer is watched
    while the model runs, its graph is not taken apart.

    Args:
        x: (1, H, W, channels), preprocessed.
        layer: its name.
        index: of the class; the likeliest without it.

    Returns:
        (h, w) float32, 0 and above (the ReLU of section 3); the layer's size.

    Raises:
        ValueError: no such layer, or one without maps.
    """
    watched = _find(model, layer)
    with _scores(model), _watch(watched) as seen:
        scores = gradients.forward(model, x)
        maps = seen.maps
        if np.ndim(maps) != 4:
            raise ValueError(f"{layer} gives {np.shape(maps)}: Grad-CAM needs maps (1, h, w, channels)")
        k = int(scores[0].argmax()) if index is None else index

        def score(shift: Any) -> Any:
            seen.shift = shift
            return model(x, training=False)[0, k]

        _, gradient = gradients.value_and_gradient(score, compile=False)(np.zeros_like(maps))
    weights = _array(gradient).mean((1, 2), keepdims=True)
    return np.maximum((weights * maps).sum(-1)[0], 0.0)


def gradient_map(model: keras.Model, x: np.ndarray, index: int | None = None) -> np.ndarray:
    """How strongly each pixel moves a class's score: the largest of its channels' absolute gradients.

    Args:
        x: (1, H, W, channels), preprocessed.
        index: of the class; the likeliest without it.

    Returns:
        (H, W) float32. Simonyan et al. 2013, section 3.
    """
    with _scores(model):
        k = int(gradients.forward(model, x)[0].argmax()) if index is None else index
        score = gradients.value_and_gradient(lambda x: model(x, training=False)[0, k], compile=False)
        _, gradient = score(np.asarray(x, np.float32))
    return np.abs(_array(gradient)[0]).max(-1)


def occlusion_map(
    score: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    side: int = 32,
    stride: int = 16,
    batch: int = 16,
) -> np.ndarray:
    """How much a score falls when a grey square hides a place. Zeiler and Fergus 2014, section 4.2.

    Args:
        score: pictures (n, H, W, 3), 0..255 -> (n,) scores.
        image: (H, W, 3), 0..255.
        side: of the square, in pixels.
        stride: between two squares; squares also stand at the far borders.
        batch: squares tried at once.

    Returns:
        (H, W) float32: for each pixel, the mean fall over the squares that hid it; negative where hiding
        raises the score. Costs one pass for each square.

    Raises:
        ValueError: a square larger than the picture, or a stride that leaves pixels out.
    """
    image = np.asarray(image, np.float32)
    height, width = image.shape[:2]
    if not 0 < side <= min(height, width) or not 0 < stride <= side:
        raise ValueError(f"a square of {side} pixels every {stride} does not fit {height} x {width}")
    corners = [(top, left) for top in _starts(height, side, stride) for left in _starts(width, side, stride)]
    whole = float(score(image[None])[0])
    grey = image.mean((0, 1))
    fall, seen = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for start in range(0, len(corners), batch):
        some = corners[start : start + batch]
        hidden = np.repeat(image[None], len(some), axis=0)
        for each, (top, left) in zip(hidden, some, strict=True):
            each[top : top + side, left : left + side] = grey
        for value, (top, left) in zip(score(hidden), some, strict=True):
            fall[top : top + side, left : left + side] += whole - float(value)
            seen[top : top + side, left : left + side] += 1
    return fall / seen


def peak(heat: np.ndarray, size: tuple[int, int]) -> tuple[float, float]:
    """Where a map is highest, (x, y) in pixels of a picture of `size` = (height, width)."""
    heat = np.asarray(heat, np.float32)
    large = pictures.resize(heat[..., None], size)[..., 0]
    row, column = np.unravel_index(int(large.argmax()), large.shape)
    return float(column) + 0.5, float(row) + 0.5


def points_at(heat: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> bool:
    """The pointing game (Zhang et al., 2016): does the map's peak lie in the box?

    Args:
        heat: (h, w), of any resolution.
        box: (4,) x, y, w, h in pixels of the picture.
        size: (height, width) of the picture.
    """
    x, y = peak(heat, size)
    left, top, wide, high = np.asarray(box, float)
    return bool(left <= x <= left + wide and top <= y <= top + high)


# ---- watching a model at work ----------------------------------------------------------------------------


class _Seen:
    """What a watched layer gave, and what is added to it."""

    maps: Any = None
    shift: Any = None


@contextlib.contextmanager
def _watch(layer: keras.layers.Layer) -> Iterator[_Seen]:
    """Keep what a layer gives while a model runs, and add `shift` to it where there is one."""
    seen, usual = _Seen(), layer.call

    def call(*arguments: Any, **options: Any) -> Any:
        maps = usual(*arguments, **options)
        if seen.shift is None:
            seen.maps = _array(maps)
            return maps
        return maps + seen.shift

    layer.call = call
    try:
        yield seen
    finally:
        layer.call = usual


@contextlib.contextmanager
def _scores(model: keras.Model) -> Iterator[None]:
    """Let a model answer with its scores: without the softmax or sigmoid at its end."""
    import keras

    last = model
    while isinstance(last, keras.Model) and last.layers:
        last = last.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        usual, last.call = last.call, lambda x, **_: x
        try:
            yield
        finally:
            last.call = usual
        return
    activation = getattr(last, "activation", None)
    if activation in (keras.activations.softmax, keras.activations.sigmoid):
        last.activation = keras.activations.linear
    try:
        yield
    finally:
        if activation is not None:
            last.activation = activation


def _find(model: keras.Model, name: str) -> keras.layers.Layer:
    """A layer by its name, also in a model inside the model."""
    import keras

    names = []
    waiting = [model]
    while waiting:
        for layer in waiting.pop().layers:
            if layer.name == name:
                return layer
            names.append(layer.name)
            if isinstance(layer, keras.Model):
                waiting.append(layer)
    raise ValueError(f"no layer {name!r}; there are {', '.join(names)}")


def _array(tensor: Any) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def _starts(length: int, side: int, stride: int) -> list[int]:
    """Where squares begin along an axis; the last one ends at the border."""
    return sorted({*range(0, length - side + 1, stride), length - side})
