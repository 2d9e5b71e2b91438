"""An FCN whose VGG-16 is the original's, frozen: only a small head above its blocks is learnt. Notebook 05.

FCN-8s scores pools 3, 4 and 5. Here the trunk cannot change to suit the scores, so the head has layers of its
own: each block's maps are reduced to their principal components, which are computed, not learnt; then, from
the coarsest to the finest, what was found so far is enlarged bilinearly, the next block's components are
added through a 1x1 convolution, and a 3x3 convolution looks at the sum. Blocks 2 to 5 take part, before
their poolings, so the scores have half of the picture's resolution.

In three parts, since the first never changes and its answers are kept while the last learns:
`reduction` (picture -> components), `decoder` (components -> scores), and `build`, which is both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.networks import fcn, vgg16, weight_files

if TYPE_CHECKING:
    import keras

COMPONENTS: dict[str, int] = {
    "block2_conv2": 32,
    "block3_conv3": 96,
    "block4_conv3": 192,
    "block5_conv3": 192,
}
"""The maps that take part, and how many principal components of each."""
WIDTHS: tuple[int, ...] = (32, 48, 96, 128)
"""Filters of the 3x3 convolution over each of them."""


def is_head(names: Sequence[str]) -> bool:
    """Whether layers of these names are a head of this kind, without its trunk."""
    return "block1_conv1" not in names and all(f"reduce_{layer}" in names for layer in COMPONENTS)


def reduction(components: Mapping[str, np.ndarray] | None = None) -> keras.Model:
    """From pictures to the principal components of four blocks of the original VGG-16.

    Args:
        components: `reduce_LAYER_kernel` (1, 1, channels, n) and `reduce_LAYER_bias` (n,) for each layer of
            `COMPONENTS`. Without them the maps themselves come out.

    Returns:
        A model from float32 (N, H, W, 3), BGR minus the mean, to a list of maps, the finest first: (N, H / 2,
        W / 2, 32) and so on, rounded up.
    """
    from keras import Input, Model

    inputs = Input((None, None, 3), name="image")
    maps = fcn.trunk(inputs, 1.0, until=vgg16.LAYERS[-1])
    if components is None:
        return _filled(Model(inputs, [maps[layer] for layer in COMPONENTS], name="trunk"))
    return _filled(Model(inputs, _components(maps, components), name="reduction"), components)


def _components(maps: Mapping[str, Any], values: Mapping[str, np.ndarray]) -> list[Any]:
    from keras import layers

    return [
        layers.Conv2D(len(values[f"reduce_{layer}_bias"]), 1, name=f"reduce_{layer}")(maps[layer])
        for layer in COMPONENTS
    ]


def _filled(model: keras.Model, head: Mapping[str, np.ndarray] | None = None) -> keras.Model:
    """The model with the original's convolutions and a head's layers in it, frozen."""
    source = weight_files.shipped("vgg16")
    weight_files.put(model, {**weight_files.read(source), **(head or {})}, source)
    model.trainable = False
    return model


def principal(maps: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The principal components of maps as a 1x1 convolution.

    Args:
        maps: float (…, channels).
        n: how many components.

    Returns:
        Kernel (1, 1, channels, n) and bias (n,), float32: behind it, the components of `maps` have mean 0;
        the first has standard deviation 1, weak ones keep a part of their weakness: each is divided by the
        root of what its deviation and the first's have as their product.
    """
    values = maps.reshape(-1, maps.shape[-1]).astype(np.float64)
    mean = values.mean(0)
    squares, vectors = np.linalg.eigh(np.cov(values - mean, rowvar=False))
    largest = np.argsort(-squares)[:n]
    deviations = np.sqrt(np.maximum(squares[largest], 1e-12))
    kernel = vectors[:, largest] / np.sqrt(deviations * deviations[0])
    return kernel[None, None].astype(np.float32), (-mean @ kernel).astype(np.float32)


def decoder(
    classes: int, channels: Sequence[int], widths: Sequence[int] = WIDTHS, dropout: float = 0.0
) -> keras.Model:
    """From the components of four blocks to class scores.

    Args:
        classes: number of classes.
        channels: of each input, the finest first.
        widths: filters of the 3x3 convolution over each.
        dropout: rate at which whole maps of the inputs are left out in training.

    Returns:
        A model from a list of four maps to logits float32 (N, h, w, classes), h and w those of the finest.
    """
    from keras import Input, Model

    inputs = [
        Input((None, None, n), name=f"{layer}_in") for layer, n in zip(COMPONENTS, channels, strict=True)
    ]
    return Model(inputs, _decoded(inputs, classes, widths, dropout), name="decoder")


def _decoded(maps: Sequence[Any], classes: int, widths: Sequence[int], dropout: float) -> Any:
    from keras import layers

    def convolution(x: Any, filters: int, size: int, name: str, **options: Any) -> Any:
        options = {"padding": "same", "kernel_initializer": "he_normal", **options}
        return layers.Conv2D(filters, size, name=name, **options)(x)

    def left_out(x: Any) -> Any:
        return layers.SpatialDropout2D(dropout)(x) if dropout else x

    names, (*finer, last) = list(COMPONENTS), maps
    x = convolution(left_out(last), widths[-1], 3, f"look_{names[-1]}", activation="relu")
    around = convolution(x, widths[-1], 3, "context", activation="relu", dilation_rate=3)
    x = layers.Add()([x, around])
    for layer, fine, width in zip(names[-2::-1], finer[::-1], widths[-2::-1], strict=True):
        side = convolution(left_out(fine), x.shape[-1], 1, f"side_{layer}")
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        x = layers.Add()([fcn.crop_like()()([x, side]), side])
        x = convolution(layers.ReLU()(x), width, 3, f"look_{layer}", activation="relu")
    return layers.Conv2D(classes, 1, kernel_initializer="zeros", dtype="float32", name="score")(x)


def on_maps(head: Mapping[str, np.ndarray], source: str = "a head") -> keras.Model:
    """The head alone, for maps that are there already.

    Args:
        head: see `build`.
        source: the file's name, for messages.

    Returns:
        A model from the maps of the layers of `COMPONENTS`, (N, h, w, channels) each, the finest first, to
        logits (N, h, w, classes) at the places of the finest.
    """
    from keras import Input, Model

    inputs = {layer: Input((None, None, vgg16.CHANNELS[layer])) for layer in COMPONENTS}
    widths = [len(head[f"look_{layer}_bias"]) for layer in COMPONENTS]
    model = Model(
        list(inputs.values()), _decoded(_components(inputs, head), len(head["score_bias"]), widths, 0.0)
    )
    return weight_files.put(model, head, source)


def build(head: Mapping[str, np.ndarray], source: str = "a head") -> keras.Model:
    """The whole network from a head's weights: pictures in, logits of the picture's size out.

    Args:
        head: `{"LAYER_kernel": …, "LAYER_bias": …}` of `reduce_…` and of the decoder.
        source: the file's name, for messages.

    Raises:
        ValueError: the layers do not fit each other.
    """
    from keras import Input, Model, layers

    inputs = Input((None, None, 3), name="image")
    maps = _components(fcn.trunk(inputs, 1.0, until=vgg16.LAYERS[-1]), head)
    widths = [len(head[f"look_{layer}_bias"]) for layer in COMPONENTS]
    logits = _decoded(maps, len(head["score_bias"]), widths, 0.0)
    logits = layers.UpSampling2D(2, interpolation="bilinear", dtype="float32")(logits)
    logits = fcn.crop_like()(dtype="float32", name="logits")([logits, inputs])
    return _filled(Model(inputs, logits, name="fcn_head"), head)
