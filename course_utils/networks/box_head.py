"""The head `boxes`: one name and one box from two blocks of a frozen VGG-16. Notebook 04.

A border of a box is a place along one axis, so it can be asked for as a class is: which of the columns is it?
The maps of blocks 5 and 4 are reduced to their principal components, which are computed, not learnt, and
added up, the coarse ones enlarged. What is found at all places of a column is pooled; a small network
over the columns gives each of them a score for "the left border is here" and one for "the right", and the
mean place under a softmax is the answer (a soft argmax). Rows do the same for upper and lower border.

`reduction` (picture -> components) never changes, so its answers are kept while `decoder` learns from them;
`build` is both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.networks import vgg16, weight_files

if TYPE_CHECKING:
    import keras

COMPONENTS: dict[str, int] = {"block4_conv3": 128, "block5_conv3": 192}
"""The maps that take part, and how many principal components of each; the finest first."""
WIDTHS: tuple[int, ...] = (64, 96)
"""Filters of the 3x3 convolution over each of them."""
STRIDE = 8
"""Pixels from one column of the finest maps to the next."""


def is_head(names: Sequence[str]) -> bool:
    """Whether layers of these names are a head of this kind, without its trunk."""
    own = {"columns_score", "rows_score", *(f"reduce_{layer}" for layer in COMPONENTS)}
    return "block1_conv1" not in names and own <= set(names)


def middles(columns: int) -> np.ndarray:
    """Where the middles of the columns lie, in shares of the picture, with one more beyond each end.

    So that a border at 0 or 1, as of an object that is cut off, lies between two of them.
    """
    return ((np.arange(columns + 2) - 0.5) / columns).astype(np.float32)


def between(boxes: np.ndarray, columns: int) -> np.ndarray:
    """What the scores should say: each border shared by the two middles that it lies between.

    Args:
        boxes: (N, 4), x, y, w, h in shares of the picture.

    Returns:
        float32 (N, columns + 2, 4), for left, right, upper, lower border; each sums to 1, and its mean place
        is the border.
    """
    x, y, w, h = np.clip(boxes, 0, 1).astype(np.float64).T
    place = np.stack([x, np.minimum(x + w, 1), y, np.minimum(y + h, 1)], axis=1)[:, None] * columns + 0.5
    apart = np.abs(np.arange(columns + 2)[:, None] - place)
    return np.maximum(1 - apart, 0).astype(np.float32)


def reduction(size: int, components: Mapping[str, np.ndarray] | None = None) -> keras.Model:
    """From pictures to the principal components of two blocks of the original VGG-16.

    Args:
        size: side of the pictures, a multiple of 16.
        components: `reduce_LAYER_kernel` (1, 1, channels, n) and `reduce_LAYER_bias` (n,) for each layer of
            `COMPONENTS`. Without them the maps themselves come out.

    Returns:
        A model from float32 (N, size, size, 3), BGR minus the mean, to a list of maps, the finest first.
    """
    from keras import Input, Model

    inputs = Input((size, size, 3), name="image")
    maps = _trunk(inputs)
    if components is None:
        return _filled(Model(inputs, maps, name="trunk"))
    return _filled(Model(inputs, _components(maps), name="reduction"), components)


def _trunk(x: Any) -> list[Any]:
    """The maps of `COMPONENTS`, with VGG-16's layers copied onto x."""
    found: dict[str, Any] = {}
    for layer in vgg16.build(1.0, until=vgg16.LAYERS[-1], initializer="zeros").layers[1:]:
        x = found[layer.name] = type(layer).from_config(layer.get_config())(x)
    return [found[layer] for layer in COMPONENTS]


def _components(maps: Sequence[Any]) -> list[Any]:
    from keras import layers

    return [
        layers.Conv2D(n, 1, name=f"reduce_{layer}")(each)
        for (layer, n), each in zip(COMPONENTS.items(), maps, strict=True)
    ]


def _filled(model: keras.Model, head: Mapping[str, np.ndarray] | None = None) -> keras.Model:
    """The model with the original's convolutions and a head's layers in it, frozen."""
    source = weight_files.shipped("vgg16")
    weight_files.put(model, {**weight_files.read(source), **(head or {})}, source)
    model.trainable = False
    return model


def decoder(classes: int, size: int, dropout: float = 0.0) -> keras.Model:
    """From the components to a name and a box.

    Args:
        classes: how many.
        size: side of the pictures.
        dropout: rate at which whole maps are left out in training.

    Returns:
        A model from a list of two maps, the finest first, to probabilities (N, classes), boxes (N, 4) in
        shares of the picture, and the scores of the borders, (N, columns + 2, 4).
    """
    from keras import Input, Model

    sides = {layer: size // STRIDE // 2**k for k, layer in enumerate(COMPONENTS)}
    inputs = [Input((sides[layer], sides[layer], n), name=f"{layer}_in") for layer, n in COMPONENTS.items()]
    return Model(inputs, _answers(inputs, classes, dropout), name="decoder")


def build(head: Mapping[str, np.ndarray], size: int) -> keras.Model:
    """The whole network from a head's weights: pictures (N, size, size, 3) to probabilities and boxes.

    Raises:
        ValueError: the layers do not fit each other.
    """
    from keras import Input, Model

    inputs = Input((size, size, 3), name="image")
    answers = _answers(_components(_trunk(inputs)), len(head["classes_bias"]), 0.0)
    return _filled(Model(inputs, answers[:2], name="boxes"), head)


def _answers(maps: Sequence[Any], classes: int, dropout: float) -> list[Any]:
    """Probabilities, boxes, and the scores of the borders."""
    from keras import layers, ops

    seen = [layers.SpatialDropout2D(dropout)(each) for each in maps] if dropout else list(maps)
    every = _mixed(seen)
    average = layers.GlobalAveragePooling2D()(every[-1])
    odds = layers.Dense(classes, activation="softmax", dtype="float32", name="classes")(average)
    scores = [_borders(every, axis) for axis in (1, 2)]
    place = ops.reshape(middles(maps[0].shape[1]), (1, -1, 1))
    x, y = (ops.sum(ops.softmax(each, axis=1) * place, axis=1) for each in scores)
    box = ops.stack([x[:, 0], y[:, 0], x[:, 1] - x[:, 0], y[:, 1] - y[:, 0]], axis=1)
    return [odds, layers.Identity(name="box")(box), layers.Concatenate(name="borders")(scores)]


def _mixed(maps: Sequence[Any]) -> list[Any]:
    """What was found in each block and the coarser ones, the finest first."""
    from keras import layers

    def convolution(x: Any, filters: int, size: int, name: str, **options: Any) -> Any:
        options = {"padding": "same", "kernel_initializer": "he_normal", **options}
        return layers.Conv2D(filters, size, name=name, **options)(x)

    names, (*finer, last) = list(COMPONENTS), maps
    x = convolution(last, WIDTHS[-1], 3, f"look_{names[-1]}", activation="relu")
    found = [layers.Add()([x, convolution(x, WIDTHS[-1], 3, "context", activation="relu", dilation_rate=3)])]
    for layer, fine, width in zip(names[-2::-1], finer[::-1], WIDTHS[-2::-1], strict=True):
        above = convolution(found[0], width, 1, f"narrow_{layer}")
        above = layers.UpSampling2D(2, interpolation="bilinear")(above)
        x = layers.ReLU()(layers.Add()([above, convolution(fine, width, 1, f"side_{layer}")]))
        found.insert(0, convolution(x, width, 3, f"look_{layer}", activation="relu"))
    return found


def _borders(found: Sequence[Any], axis: int, width: int = 64) -> Any:
    """Scores of two borders at each column (axis 1 is pooled) or row (axis 2), one more beyond each end."""
    from keras import layers, ops

    word = "columns" if axis == 1 else "rows"
    pooled = []
    for k, maps in enumerate(found):
        both = layers.Concatenate()([ops.max(maps, axis=axis), ops.mean(maps, axis=axis)])
        pooled.append(layers.UpSampling1D(2**k)(both) if k else both)
    x = layers.ZeroPadding1D(1)(layers.Concatenate()(pooled))
    for name, size, rate in ((f"{word}_1", 5, 1), (f"{word}_2", 5, 3)):
        options: Any = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
        x = layers.Conv1D(width, size, dilation_rate=rate, name=name, **options)(x)
    return layers.Conv1D(2, 5, padding="same", dtype="float32", name=f"{word}_score")(x)
