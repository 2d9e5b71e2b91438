"""How much of the picture one value of a feature map has seen. Notebooks 00, 02 and 08."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from course_utils.features.layers import Layer, layer_name
from course_utils.networks import graphs, vgg16

if TYPE_CHECKING:
    import keras

TRANSPARENT = frozenset(
    [
        "InputLayer",
        "Dropout",
        "SpatialDropout2D",
        "GaussianNoise",
        "GaussianDropout",
        "BatchNormalization",
        "Rescaling",
        "Normalization",
        "Identity",
        "ReLU",
        "LeakyReLU",
        "PReLU",
        "ELU",
        "Activation",
        "Softmax",
        "Add",
        "Subtract",
        "Multiply",
        "Average",
        "Maximum",
        "Minimum",
        "Concatenate",
        "Divide",
        "TrueDivide",
        "Relu",
        "Relu6",
        "Sigmoid",
        "HardSigmoid",
        "Silu",
        "Tanh",
        "Cast",
    ]
)
"""Layers and operations of which each value looks at one place."""
WHOLE = frozenset(
    ["GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten", "Reshape", "Dense", "Mean", "Sum"]
)


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

    Where branches meet, it is the smallest square around the fields of all of them.

    Args:
        model: any functional or sequential model; VGG-16 if None.
        layer: its name, or its number in the 2016 post.

    Raises:
        ValueError: there is no such layer, or it sees the whole picture (a dense layer, or what is scaled by
            a mean over all places), or it is of a kind that is not known here.
    """
    name = layer_name(layer, model)
    field = receptive_fields(vgg16.build(1 / 64, include_top=False) if model is None else model)[name]
    if isinstance(field, str):
        raise ValueError(field)
    return field


def receptive_fields(model: keras.Model) -> dict[str, ReceptiveField | str]:
    """The receptive field of every layer by its name; or the sentence why it has none."""
    spans: dict[int, _Spans | str] = {}
    found: dict[str, ReceptiveField | str] = {}
    for name, step in graphs.of(model).steps.items():
        before = [spans[id(tensor)] for tensor in step.inputs]
        now = _seen(step, before) if before else (_Span(0, 0, 1), _Span(0, 0, 1))
        spans[id(step.output)] = now
        if isinstance(now, str):
            found[name] = now if now.startswith(name) else f"{name} sees what another layer sees: {now}"
            continue
        widest = max(now, key=lambda span: span.last - span.first)
        middle = (widest.first + widest.last) / 2
        found[name] = ReceptiveField(widest.last - widest.first + 1, widest.step, middle)
    return found


@dataclass(frozen=True)
class _Span:
    """Along one axis: value 0 depends on pixels `first` to `last`, value i on those `step` * i further."""

    first: int
    last: int
    step: int


_Spans = tuple[_Span, ...]


def _seen(step: graphs.Step, before: list[_Spans | str]) -> _Spans | str:
    """What a layer's values depend on, along rows and columns; or the sentence why that is no square."""
    layer = step.layer
    known: list[_Spans] = []
    for each in before:
        if isinstance(each, str):
            return each
        known.append(each)
    axes = [[each[axis] for each in known] for axis in (0, 1)]
    if any(len({span.step for span in spans}) > 1 for spans in axes):
        return f"{layer.name} joins maps of different strides: their values have no common field"
    merged = [_Span(min(s.first for s in spans), max(s.last for s in spans), spans[0].step) for spans in axes]
    if type(layer).__name__ in TRANSPARENT:
        return tuple(merged)
    sides = step.inputs[0].shape[1:3]
    if len(step.output.shape) != 4 or len(sides) != 2 or type(layer).__name__ in WHOLE:
        return f"{layer.name} sees the whole picture: it has no receptive field of its own"
    windows = [_window(layer, axis, sides[axis]) for axis in (0, 1)]
    after = []
    for span, window in zip(merged, windows, strict=True):
        if window is None:
            return (
                f"{layer.name} is a {type(layer).__name__}: how much of the picture it sees is not known here"
            )
        extent, stride, front = window
        first = span.first - front * span.step
        last = span.last + (extent - 1 - front) * span.step
        after.append(_Span(first, last, span.step * stride))
    return tuple(after)


def _window(layer: keras.Layer, axis: int, side: int | None) -> tuple[int, int, int] | None:
    """Extent, stride and padding in front of one layer along one axis; None where it is of no known kind."""
    from keras import layers

    if isinstance(layer, layers.ZeroPadding2D):
        return 1, 1, layer.padding[axis][0]
    if isinstance(layer, layers.Cropping2D):
        return 1, 1, -layer.cropping[axis][0]
    if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.SeparableConv2D):
        extent = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
        step = layer.strides[axis]
    elif isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
        extent, step = layer.pool_size[axis], layer.strides[axis]
    else:
        return None
    if layer.padding == "valid":
        return extent, step, 0
    # "same" pads what is needed, the odd one behind; with a stride that depends on the side (even if unknown)
    known = side or 2 * step * extent
    out = -(-known // step)
    return extent, step, max(0, (out - 1) * step + extent - known) // 2


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
