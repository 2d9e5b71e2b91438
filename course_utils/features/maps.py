"""Feature maps by layer, and how much of the picture each of their values has seen. Notebook 02."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.networks import vgg16
from course_utils.pictures import images as pictures

if TYPE_CHECKING:
    import keras

Layer = str | int
LAST_OLD_INDEX = 31
TRANSPARENT = ("InputLayer", "Dropout", "BatchNormalization", "ReLU", "Activation", "Softmax")


@dataclass(frozen=True)
class ReceptiveField:
    """Which input pixels one value of a feature map depends on: a square.

    Attributes:
        size: its side in pixels.
        stride: how far it moves between neighbouring values.
        offset: index of the pixel on which the field of value (0, 0) is centred; .5 is between two.
    """

    size: int
    stride: int
    offset: float

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """The field of value (row, column) as x, y, w, h in pixels; it may reach over the edges."""
        first = self.offset - (self.size - 1) / 2
        return (
            round(first + column * self.stride),
            round(first + row * self.stride),
            self.size,
            self.size,
        )

    def centre(self, row: int, column: int) -> tuple[float, float]:
        """Row and column of the pixel under value (row, column)."""
        return self.offset + row * self.stride, self.offset + column * self.stride


def layer_name(layer: Layer, model: keras.Model | None = None) -> str:
    """The name of a layer, given its name or its number in the 2016 post.

    Args:
        layer: "block3_conv3", or 15, the same layer in a numbering that counts padding layers.
        model: where the name must exist; VGG-16 if None.

    Raises:
        ValueError: there is no such layer; the message lists those that are.
    """
    known = vgg16.stops_in_order() if model is None else [each.name for each in model.layers]
    if isinstance(layer, int | np.integer) and not isinstance(layer, bool):
        if layer not in vgg16.OLD_INDEX:
            raise ValueError(_no_such_number(int(layer)))
        layer = vgg16.OLD_INDEX[int(layer)]
    if layer not in known:
        raise ValueError(f"there is no layer {layer!r}; there are {', '.join(known)}")
    return str(layer)


def _no_such_number(index: int) -> str:
    numbers = ", ".join(f"{number} {name}" for number, name in vgg16.OLD_INDEX.items() if "conv" in name)
    padding = index + 1 in vgg16.OLD_INDEX and 0 <= index < LAST_OLD_INDEX
    what = f"a padding layer, the one before {vgg16.OLD_INDEX[index + 1]}" if padding else "no layer"
    return f"number {index} is {what}. The convolutions are {numbers}"


def patch(image: np.ndarray, field: ReceptiveField, row: int, column: int) -> np.ndarray:
    """The piece of a picture that value (row, column) of a map has seen. Notebooks 02 and 08.

    Args:
        image: (H, W, 3) RGB 0..255, as it went into the network.
        field: of the map's layer.

    Returns:
        (size, size, 3); what lies beyond the edges of the picture is mid-grey.
    """
    x, y, size, _ = field.box(row, column)
    edge = field.size
    padded = np.pad(image, ((edge, edge), (edge, edge), (0, 0)), constant_values=128)
    return padded[y + edge : y + edge + size, x + edge : x + edge + size]


def _names(model: keras.Model, layers: Layer | Sequence[Layer]) -> list[str]:
    several = [layers] if isinstance(layers, str | int | np.integer) else list(layers)
    if not several:
        raise ValueError("no layers were asked for")
    return [layer_name(layer, model) for layer in several]


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

    chosen = [model.get_layer(name) for name in _names(model, layers)]
    return Taps(model.input, [_before(layer) if before_relu else layer.output for layer in chosen])


def _before(layer: keras.Layer) -> keras.KerasTensor:
    """What a convolution gives before its activation."""
    from keras import layers, ops

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

    return BeforeActivation(layer)(layer.input)


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
    from course_utils.networks import gradients, pretrained

    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"expected one picture (height, width, 3), found shape {image.shape}")
    if size is not None:
        image = pictures.resize(image, size)
    part = tap(model, layers, before_relu=before_relu)
    names = _names(model, layers)
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
    for name in names:
        if len(model.get_layer(name).output.shape) != 4:
            continue
        smallest = receptive_field(model, name).stride
        if min(shape[:2]) < smallest:
            raise ValueError(
                f"a picture of {shape[0]} x {shape[1]} is too small for {name}: "
                f"it needs {smallest} pixels each way; size=… enlarges it"
            )


def receptive_field(model: keras.Model | None, layer: Layer) -> ReceptiveField:
    """How much of the picture one value of a layer's maps depends on. Notebooks 00 and 02.

    Args:
        model: a chain of layers without branches; VGG-16 if None.
        layer: its name, or its number in the 2016 post.

    Raises:
        ValueError: there is no such layer, or it sees the whole picture (a dense layer).
    """
    name = layer_name(layer, model)
    if model is None:
        model = vgg16.build(1 / 64, include_top=False)
    size, stride, first, side = 1, 1, 0, model.input_shape[1]
    for each in model.layers:
        extent, step, before, side = _geometry(each, side)
        first -= before * stride
        size += (extent - 1) * stride
        stride *= step
        if each.name == name:
            break
    return ReceptiveField(size, stride, first + (size - 1) / 2)


def _geometry(layer: keras.Layer, side: int | None) -> tuple[int, int, int, int | None]:
    """Extent, stride, padding in front and output side of one layer (along one axis)."""
    from keras import layers

    if isinstance(layer, layers.ZeroPadding2D):
        front, back = layer.padding[0]
        return 1, 1, front, None if side is None else side + front + back
    if type(layer).__name__ in TRANSPARENT:
        return 1, 1, 0, side
    if isinstance(layer, layers.Conv2D):
        extent, step = (layer.kernel_size[0] - 1) * layer.dilation_rate[0] + 1, layer.strides[0]
    elif isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
        extent, step = layer.pool_size[0], layer.strides[0]
    else:
        raise ValueError(f"{layer.name} sees the whole picture: it has no receptive field of its own")
    if layer.padding == "valid":
        return extent, step, 0, None if side is None else (side - extent) // step + 1
    # "same" pads what is needed, the odd one behind; with a stride that depends on the side (even if unknown)
    known = side or 2 * step * extent
    out = -(-known // step)
    return extent, step, max(0, (out - 1) * step + extent - known) // 2, None if side is None else out
