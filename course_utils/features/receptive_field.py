"""How much of the picture one value of a feature map has seen. Notebooks 00, 02 and 08."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from course_utils.features.layers import Layer, layer_name
from course_utils.networks import vgg16

if TYPE_CHECKING:
    import keras

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
