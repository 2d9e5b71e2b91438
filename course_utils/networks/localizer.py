"""A network with two heads: what is in the picture, and where. Notebook 04.

VGG-16 without its classifier, then one head with a softmax over the classes and one with four numbers for
a box. Both heads can sit behind the last convolution (OverFeat, VGG) or behind one more dense layer
(DeepPose, R-CNN); there can be one box for all classes or one for each (Simonyan and Zisserman 2014,
appendix A).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import keras

HEADS = ("convolution", "dense")
CENTRAL = (0.25, 0.25, 0.5, 0.5)
"""The box that an untrained network answers with: the middle, in shares of the picture."""


@dataclass(frozen=True)
class Heads:
    """How the heads look; see `build`."""

    head: Literal["convolution", "dense"] = "dense"
    per_class: bool = False
    channels: int = 16
    units: int = 160
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f"head={self.head!r}: 'convolution' and 'dense' exist")


def build(
    backbone: keras.Model,
    classes: int,
    heads: Heads = Heads(),
    *,
    size: int = 128,
    train_backbone: bool = True,
    scale: float = 1.0,
    name: str = "localizer",
) -> keras.Model:
    """Put two heads on a backbone.

    A box needs to know *where* in the maps something is, so they are not averaged: a 1x1 convolution
    makes them few, and all their places go into the heads.

    Args:
        backbone: a chain from x (N, H, W, 3) to maps, for any input size; its layers are copied.
        classes: how many, at least two.
        heads: `head`: "convolution", right behind the reduced maps, or "dense", behind one more layer of
            `units`; `per_class`: one box for each class instead of one for all; `channels` of the 1x1
            convolution; `dropout` before the heads.
        size: side in pixels of the square input.
        train_backbone: False freezes it.
        scale: the maps are multiplied by it before the heads, see `map_scale`.
        name: the model's name.

    Returns:
        A model from x (N, size, size, 3), BGR minus the mean, to a list: softmax values (N, classes) and
        boxes (N, 4) or (N, classes * 4), x, y, w, h in shares of the picture. Both float32.
    """
    from keras import Input, Model

    inputs = Input((size, size, 3), name="image")
    maps, copies = _copied(backbone, inputs, train_backbone)
    model = Model(inputs, _attached(maps, classes, heads, scale), name=name)
    _start(model, backbone, copies)
    return model


def build_heads(
    map_shape: tuple[int, int, int],
    classes: int,
    heads: Heads = Heads(),
    scale: float = 1.0,
) -> keras.Model:
    """The two heads alone, on maps computed once: with a frozen backbone they train in seconds.

    Args:
        map_shape: (h, w, c) of the backbone's maps; the rest as in `build`.
    """
    from keras import Input, Model

    maps = Input(map_shape, name="maps")
    model = Model(maps, _attached(maps, classes, heads, scale), name="localizer_heads")
    _start(model)
    return model


def build_points(map_shape: tuple[int, int, int], points: int, units: int = 256) -> keras.Model:
    """A head for key points on maps (DeepPose, Toshev and Szegedy 2014): (N, h, w, c) -> (N, points, 2).

    The answers are x, y in shares of the picture, at first all in the middle.
    """
    from keras import Input, Model, layers

    maps = Input(map_shape, name="maps")
    x = layers.Conv2D(32, 1, activation="relu", kernel_initializer="he_normal", name="reduce")(maps)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name="fc")(x)
    x = layers.Dense(2 * points, kernel_initializer="zeros", dtype="float32", name="points")(x)
    model = Model(maps, layers.Reshape((points, 2), dtype="float32", name="xy")(x), name="key_points")
    model.get_layer("points").bias.assign(np.full(2 * points, 0.5))
    return model


def build_part_maps(map_shape: tuple[int, int, int], points: int, channels: int = 64) -> keras.Model:
    """A head in which every place votes for every point: (N, h, w, c) -> (N, points, 2).

    For each point a map of scores; the mean place under its softmax is the answer, x, y in shares of the
    picture (a soft argmax; Sun et al. 2018, Integral human pose regression). A rule found at one place holds
    at all of them, which a dense layer (`build_points`) must learn anew for each.
    """
    from keras import Input, Model, layers, ops

    maps = Input(map_shape, name="maps")
    kernel: dict[str, Any] = {"kernel_initializer": "he_normal", "activation": "relu"}
    x = layers.Conv2D(channels, 1, name="reduce", **kernel)(maps)
    for name, rate in (("look", 1), ("around", 2)):
        x = layers.Conv2D(channels, 3, padding="same", dilation_rate=rate, name=name, **kernel)(x)
    scores = layers.Conv2D(points, 1, dtype="float32", name="points")(x)
    height, width = map_shape[:2]
    odds = ops.softmax(ops.reshape(scores, (-1, height * width, points)), axis=1)
    rows, columns = np.indices((height, width)).reshape(2, -1)
    place = np.stack([(columns + 0.5) / width, (rows + 0.5) / height], axis=1).astype(np.float32)
    return Model(maps, ops.matmul(ops.transpose(odds, (0, 2, 1)), place), name="part_maps")


def _copied(backbone: keras.Model, x: Any, trainable: bool) -> tuple[Any, list[Any]]:
    copies = []
    for layer in backbone.layers[1:]:
        copy = type(layer).from_config(layer.get_config())
        copy.trainable = trainable
        x = copy(x)
        copies.append(copy)
    return x, copies


def _attached(x: Any, classes: int, heads: Heads, scale: float) -> list[Any]:
    """The layers of both heads behind the maps x."""
    from keras import initializers, layers

    if classes < 2:
        raise ValueError(f"{classes} classes: there must be at least 2 to tell apart")
    if scale != 1:
        x = layers.Rescaling(scale, name="map_scale")(x)
    x = layers.Conv2D(heads.channels, 1, activation="relu", kernel_initializer="he_normal", name="reduce")(x)
    x = layers.Flatten(name="flatten")(x)
    if heads.head == "dense":
        x = layers.Dense(heads.units, activation="relu", kernel_initializer="he_normal", name="fc")(x)
    if heads.dropout:
        x = layers.Dropout(heads.dropout, name="dropout")(x)
    answers = layers.Dense(classes, activation="softmax", dtype="float32", name="classes")(x)
    numbers = 4 * classes if heads.per_class else 4
    small = initializers.RandomNormal(stddev=0.01)
    return [answers, layers.Dense(numbers, kernel_initializer=small, dtype="float32", name="box")(x)]


def _start(model: keras.Model, backbone: keras.Model | None = None, copies: list[Any] | None = None) -> None:
    """The backbone's weights, and a box head that answers with the middle whatever the picture."""
    for copy, layer in zip(copies or [], backbone.layers[1:] if backbone else [], strict=True):
        copy.set_weights(layer.get_weights())
    bias = model.get_layer("box").bias
    bias.assign(np.tile(CENTRAL, bias.shape[0] // 4))


def map_scale(backbone: keras.Model, x: np.ndarray) -> float:
    """What to multiply the maps of a backbone with so that their mean square is 1 on pictures x.

    Weights folded for unscaled input give maps of any size; heads learn best from values near 1.
    """
    maps = np.asarray(backbone.predict_on_batch(x), np.float32)
    return float(1 / max(math.sqrt(float(np.mean(maps**2))), 1e-6))


def reduced(weights: dict[str, np.ndarray], scale: float) -> dict[str, np.ndarray]:
    """Weights of the same network without its `map_scale`, which goes into the next kernel."""
    return {
        key: value * np.float32(scale) if key == "reduce_kernel" else value for key, value in weights.items()
    }
