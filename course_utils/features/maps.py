"""Feature maps by layer: what some layers of a network make of a picture. Notebook 02."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.features.layers import Layer, layer_names
from course_utils.features.receptive_field import receptive_fields
from course_utils.networks import gradients, graphs, pretrained
from course_utils.pictures import images as pictures

if TYPE_CHECKING:
    import keras


def tap(model: keras.Model, layers: Layer | Sequence[Layer], *, before_relu: bool = False) -> keras.Model:
    """A model that shares the other's weights and ends in the maps of some layers. Notebooks 02, 07, 08.

    Args:
        layers: names or old numbers.
        before_relu: the convolutions' sums before the ReLU cuts off what is negative.

    Returns:
        A model from x (N, H, W, 3), preprocessed, to a list of maps (N, h, w, c), in the order of `layers`.
    """
    from keras import Model

    class Taps(Model):
        """Always answers with a list, where Keras would unwrap a list of one."""

        def call(self, x: Any, training: bool | None = None, mask: Any = None) -> list[Any]:
            maps = super().call(x, training=training, mask=mask)
            return maps if isinstance(maps, list) else [maps]

    graph = graphs.of(model)
    chosen = [graph.steps[name] for name in layer_names(model, layers)]
    return Taps(graph.input, [_before(step) if before_relu else step.output for step in chosen])


def _before(step: graphs.Step) -> keras.KerasTensor:
    """What a convolution gives before its activation."""
    from keras import layers, ops

    layer = step.layer
    if not isinstance(layer, layers.Conv2D):
        raise ValueError(f"{layer.name} is no convolution: before_relu makes no sense there")

    class BeforeActivation(layers.Layer):
        """The same convolution, with the same variables, without the activation."""

        def __init__(self, convolution: keras.layers.Conv2D) -> None:
            super().__init__(name=f"{convolution.name}_before_relu")
            self.convolution = convolution

        def call(self, x: Any) -> Any:
            own = self.convolution
            sums = ops.conv(x, own.kernel, own.strides, own.padding, dilation_rate=own.dilation_rate)
            return sums + own.bias if own.use_bias else sums

    return BeforeActivation(layer)(step.inputs[0])


def feature_maps(
    model: keras.Model,
    image: np.ndarray,
    layers: Layer | Sequence[Layer],
    *,
    size: int | tuple[int, int] | None = None,
    before_relu: bool = False,
) -> dict[str, np.ndarray]:
    """What some layers make of a picture, in one pass through the network. Notebook 02.

    Args:
        image: (H, W, 3) RGB 0..255, used at its own size; preprocessed as the model needs it.
        layers: names, or numbers of the 2016 post (3 is "block1_conv2").
        size: resize the picture first: (height, width), or one number for a square.
        before_relu: the sums before the ReLU.

    Returns:
        `{name: (h, w, c) float32}` in the order of `layers`; a dense layer gives (1, 1, c).

    Raises:
        ValueError: no such layer, no picture, a picture too small for the deepest layer, or one of another
            size than the model was built for.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"expected one picture (height, width, 3), found shape {image.shape}")
    if size is not None:
        image = pictures.resize(image, size)
    part = tap(model, layers, before_relu=before_relu)
    names = layer_names(model, layers)
    check_size(model, image.shape, names)
    x = pretrained.about(model).preprocess(image)[None]
    outputs = gradients.forward(part, x)
    return {
        name: maps[0] if maps.ndim == 4 else maps.reshape(1, 1, -1)
        for name, maps in zip(names, outputs, strict=True)
    }


def check_size(model: keras.Model, shape: tuple[int, ...], names: Sequence[str]) -> None:
    """ValueError where a picture of this shape is too small for a layer, or unfit for a fixed-size model."""
    needed = model.input_shape[1:3]
    if None not in needed and shape[:2] != needed:
        raise ValueError(
            f"this model takes pictures of {needed[0]} x {needed[1]}, this one has {shape[0]} x {shape[1]}: "
            f"give size={needed[0]}, or load the model with include_top=False"
        )
    fields = receptive_fields(model)
    for name in names:
        field = fields[name]
        smallest = 1 if isinstance(field, str) else field.stride
        if min(shape[:2]) < smallest:
            raise ValueError(
                f"a picture of {shape[0]} x {shape[1]} is too small for {name}: "
                f"it needs {smallest} pixels each way; size=… enlarges it"
            )
