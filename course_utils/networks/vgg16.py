"""VGG-16 in any width, layer by layer (Simonyan and Zisserman 2014, configuration D). Notebook 01.

Thirteen 3x3 convolutions in five blocks, a 2x2 max pooling after each block, then a head. The
original's input convention holds for every width: BGR minus 103.939/116.779/123.68.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from course_utils.networks import folding

if TYPE_CHECKING:
    import keras

BLOCKS: dict[str, tuple[int, int]] = {  # block -> (convolutions, channels at width 1)
    "block1": (2, 64),
    "block2": (2, 128),
    "block3": (3, 256),
    "block4": (3, 512),
    "block5": (3, 512),
}
CHANNELS: dict[str, int] = {
    f"{block}_conv{i}": channels for block, (n, channels) in BLOCKS.items() for i in range(1, n + 1)
}
LAYERS: tuple[str, ...] = tuple(CHANNELS)
HEADS = ("dense", "average", "average_conv")


def _old_indices() -> dict[int, str]:
    """Number the layers as a Keras 0.x Sequential did: padding, convolution, padding, …, pooling."""
    table, index = {}, 0
    for block, (n, _) in BLOCKS.items():
        for i in range(1, n + 1):
            table[index + 1] = f"{block}_conv{i}"  # the ZeroPadding2D before it takes a number, too
            index += 2
        table[index] = f"{block}_pool"
        index += 1
    return table


OLD_INDEX: dict[int, str] = _old_indices()
"""Layer numbers of the 2016 post, which counts padding layers: 3, 8, 15, 22, 29 close the blocks."""


def channels_of(layer: str, width: float) -> int:
    """Number of filters of a convolution at a width: half width halves each."""
    return max(1, round(CHANNELS[layer] * width))


def _convolution(
    x: keras.KerasTensor, name: str, width: float, batch_norm: Any, initializer: str
) -> keras.KerasTensor:
    from keras import layers

    x = layers.Conv2D(
        channels_of(name, width),
        3,
        padding="same",
        use_bias=not batch_norm,
        activation=None if batch_norm else "relu",
        kernel_initializer=initializer,
        name=name,
    )(x)
    if batch_norm:
        norm = layers.BatchNormalization if batch_norm is True else batch_norm
        x = norm(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
    return x


def _head(
    x: keras.KerasTensor, head: str, classes: int, width: float, dropout: float, initializer: str
) -> keras.KerasTensor:
    from keras import layers

    options: Any = {"kernel_initializer": "zeros"} if initializer == "zeros" else {}

    if head in ("average", "average_conv"):
        x = layers.GlobalAveragePooling2D(name="average_pool")(x)
        if dropout:
            x = layers.Dropout(dropout, name="dropout")(x)
    else:
        x = layers.Flatten(name="flatten")(x)
        for name in ("fc1", "fc2"):
            x = layers.Dense(max(1, round(4096 * width)), activation="relu", name=name, **options)(x)
            if dropout:
                x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return layers.Dense(classes, activation="softmax", dtype="float32", name="predictions", **options)(x)


def build(
    width: float = 1.0,
    *,
    include_top: bool = True,
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int = 1000,
    head: Literal["dense", "average", "average_conv"] = "dense",
    batch_norm: bool | type[keras.layers.Layer] = False,
    dropout: float = 0.0,
    until: str | None = None,
    pooling: Literal["max", "average"] = "max",
    initializer: Literal["he_normal", "zeros"] = "he_normal",
    name: str = "vgg16",
) -> keras.Model:
    """Build VGG-16 with random (He-normal) weights.

    Args:
        width: factor on every number of filters; 1 is the original, 0.5 the course's own.
        include_top: with the classifier on top.
        input_shape: (H, W, 3); defaults to (224, 224, 3) with the dense head, to any size otherwise.
        classes: number of classes of the softmax.
        head: "dense", the original's Flatten and 4096-4096-classes; "average", global average
            pooling and one dense softmax, which takes any input size; "average_conv", the same
            straight on block5_conv3, without the last pooling.
        batch_norm: put batch normalization between convolution and ReLU, for training; `fold`
            turns the result into the plain network. May be a layer class that behaves alike.
        dropout: rate before the dense layers (the original trains with .5).
        until: stop after this layer (a convolution or a pooling), without a top.
        pooling: "max" as in the original, or "average" as Gatys et al. (2015) use for style.
        initializer: "zeros" is quicker where a file's weights follow.
        name: the model's name.

    Returns:
        A functional model from float32 (N, H, W, 3), BGR minus the mean, to softmax values
        (N, classes) or to the last feature maps (N, H/32, W/32, round(512 * width)).

    Raises:
        ValueError: an unknown layer, head or pooling, or a dense head without a fixed input size.
    """
    from keras import Input, Model, layers

    stops = [*LAYERS, *(f"{block}_pool" for block in BLOCKS)]
    if until is not None and until not in stops:
        raise ValueError(f"until={until!r} is no layer of VGG-16; choose one of {', '.join(sorted(stops))}")
    if head not in HEADS or pooling not in ("max", "average"):
        raise ValueError(f"head={head!r}, pooling={pooling!r}: {', '.join(HEADS)} and max, average exist")
    include_top = include_top and until is None
    dense = include_top and head == "dense"
    shape = input_shape or ((224, 224, 3) if dense else (None, None, 3))
    if dense and None in shape:
        raise ValueError("the dense head needs a fixed input size, such as input_shape=(224, 224, 3)")

    pool = layers.MaxPooling2D if pooling == "max" else layers.AveragePooling2D
    x = inputs = Input(shape, name="image")
    order = stops_in_order()
    for layer in order[:-1] if include_top and head == "average_conv" else order:
        if layer.endswith("_pool"):
            x = pool(2, strides=2, name=layer)(x)
        else:
            x = _convolution(x, layer, width, batch_norm, initializer)
        if layer == until:
            return Model(inputs, x, name=name)
    if include_top:
        x = _head(x, head, classes, width, dropout, initializer)
    return Model(inputs, x, name=name)


def stops_in_order() -> list[str]:
    """Convolutions and poolings in the order of the network."""
    order: list[str] = []
    for block, (n, _) in BLOCKS.items():
        order += [f"{block}_conv{i}" for i in range(1, n + 1)] + [f"{block}_pool"]
    return order


def fold(model: keras.Model, *, scale: float = 1.0) -> dict[str, np.ndarray]:
    """Fold batch normalization, and the scaling of the input, into the convolutions.

    A trained BN layer is a fixed scale and shift for each channel, so convolution + BN equals one
    convolution with another kernel and bias (the answers agree to rounding, a test holds it).
    A network trained on `scale * x` takes `x` itself once `scale` is in the first kernel. (A
    subtracted mean cannot be folded where the padding is zeros, which is why training already
    subtracts the original's.)

    Args:
        model: built by `build(batch_norm=True)`.
        scale: what the training multiplied its BGR-minus-mean input with.

    Returns:
        `{"LAYER_kernel": HWIO, "LAYER_bias": (C,), …}` float32, for a model without batch
        normalization of the same width.
    """
    weights = folding.folded(model)
    weights[f"{LAYERS[0]}_kernel"] *= np.float32(scale)
    return weights
