"""Which layer, which filters, which size: checked before anything is computed. Notebook 08."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.features.layers import layer_name
from course_utils.features.receptive_field import ReceptiveField, receptive_fields
from course_utils.filters.optima import Array
from course_utils.networks import graphs, pretrained

if TYPE_CHECKING:
    import keras

NEAR_FIELD = 8  # pixels: a layer that sees less has nothing coarse to find


def between(first: int, second: int, count: int, channels: int) -> Array:
    """Mixes on the way from one filter to another: weights (count, channels), each of length 1."""
    angles = np.linspace(0, np.pi / 2, count)
    mixes = np.zeros((count, channels), np.float32)
    mixes[:, first] += np.cos(angles)
    mixes[:, second] += np.sin(angles)
    return mixes


def together(groups: Sequence[Sequence[int]], channels: int) -> Array:
    """Mixes in which the filters of a group count equally: weights (groups, channels), each of sum 1."""
    mixes = np.zeros((len(groups), channels), np.float32)
    for mix, group in zip(mixes, groups, strict=True):
        mix[list(group)] = 1 / len(group)
    return mixes


def evenly(channels: int, count: int) -> Array:
    """Indices of `count` filters out of so many, evenly from the first to the last."""
    return np.linspace(0, channels - 1, min(count, channels)).round().astype(int)


@dataclass(frozen=True)
class Target:
    """A layer whose filters can be maximized."""

    model: Any
    name: str
    layer: Any
    dense: bool
    before: Any
    """The tensor that goes into the layer."""

    @classmethod
    def of(cls, model: keras.Model, layer: str | int) -> Target:
        """By name or old number; ValueError where the layer has no filters."""
        from keras import layers

        name, graph = layer_name(layer, model), graphs.of(model)
        found = graph.steps[name].layer
        if not isinstance(found, layers.Conv2D | layers.Dense):
            kinds = layers.Conv2D | layers.Dense
            able = [each for each in graph.names if isinstance(graph.steps[each].layer, kinds)]
            raise ValueError(
                f"{name} has no filters of its own (it is a {type(found).__name__}); "
                f"layers with filters: {', '.join(able)}"
            )
        return cls(model, name, found, isinstance(found, layers.Dense), graph.steps[name].inputs[0])

    @property
    def channels(self) -> int:
        return int(self.layer.kernel.shape[-1])

    @property
    def near(self) -> bool:
        """Whether its filters see a few pixels only."""
        return self.field is not None and self.field.size < NEAR_FIELD

    @property
    def field(self) -> ReceptiveField | None:
        """How much of the picture a value sees; None for the whole of it."""
        found = receptive_fields(self.model)[self.name]
        return None if isinstance(found, str) else found

    @property
    def options(self) -> dict[str, Any] | None:
        """Of the convolution; None for a dense layer."""
        if self.dense:
            return None
        names = ("strides", "padding", "dilation_rate")
        return {name: getattr(self.layer, name) for name in names}

    @property
    def simple(self) -> bool:
        """Whether `one_filter_each` can stand in for the convolution."""
        if self.dense:
            return False
        layer = self.layer
        square = layer.kernel_size[0] == layer.kernel_size[1] and layer.kernel_size[0] in (1, 3, 5)
        plain = tuple(layer.strides) == (1, 1) == tuple(layer.dilation_rate)
        return square and plain and layer.padding == "same" and getattr(layer, "groups", 1) == 1


def wanted(target: Target, filters: Any) -> tuple[Array, Array, tuple[str, ...]]:
    """Weights (N, C), indices (N,) with -1 for mixes, and titles.

    Raises:
        ValueError: no such filter, or weights of another shape.
    """
    count = target.channels
    asked: Any = np.arange(count) if filters is None else np.asarray(filters)
    if asked.ndim == 2:
        if asked.shape[1] != count or not np.isfinite(asked).all():
            raise ValueError(
                f"mixes of {target.name} need (N, {count}) finite weights, these are {asked.shape}"
            )
        return asked.astype(np.float32), np.full(len(asked), -1), ("mix",) * len(asked)
    asked = np.atleast_1d(asked)
    if asked.size == 0 or asked.ndim != 1 or asked.dtype.kind not in "iu":
        raise ValueError(f"filters={filters!r}: give indices such as [0, 5, 17], or None for all")
    outside = asked[(asked < 0) | (asked >= count)]
    if outside.size:
        raise ValueError(
            f"{target.name} has {count} filters, 0 to {count - 1}; there is no filter {outside[0]}"
        )
    return np.eye(count, dtype=np.float32)[asked], asked.astype(int), _titles(target, asked)


def _titles(target: Target, indices: Array) -> tuple[str, ...]:
    names = pretrained.about(target.model).class_names if target.dense else ()
    known = len(names) == target.channels
    return tuple(names[i].split(",")[0] if known else str(i) for i in indices)


def checked_shape(
    target: Target, size: int | tuple[int, int], start: Array | None, count: int
) -> tuple[int, int]:
    """The pictures' height and width, after all complaints.

    Raises:
        ValueError: a start of another shape, or a size that the model can't take.
    """
    if start is not None:
        if np.shape(start)[0] != count or np.ndim(start) != 4 or np.shape(start)[-1] != 3:
            raise ValueError(
                f"start: expected ({count}, height, width, 3), one for each filter, found {np.shape(start)}"
            )
        size = np.shape(start)[1:3]
    sides = (size, size) if isinstance(size, int | np.integer) else tuple(size)
    shape = (int(sides[0]), int(sides[1]))
    fixed = target.model.input_shape[1:3]
    if target.dense and None not in fixed and shape != fixed:
        raise ValueError(f"{target.name} takes pictures of {fixed[0]} x {fixed[1]}: give size={fixed[0]}")
    return shape


def check_smallest(target: Target, shape: tuple[int, int]) -> None:
    """ValueError where even one value of the layer's map needs a larger picture."""
    if target.dense:
        return
    field = target.field
    least = max(field.stride if field else 1, target.layer.kernel_size[0])
    if min(shape) < least:
        raise ValueError(
            f"{shape[0]} x {shape[1]} pixels leave {target.name} no place to look at: {least} is the least"
        )


def warn_of_border(target: Target, shape: tuple[int, int]) -> None:
    """UserWarning where pictures are smaller than the receptive field."""
    seen = target.field
    field = seen.size if seen else 1
    if min(shape) < field:
        warnings.warn(
            f"{target.name} looks at {field} x {field} pixels, the pictures have {shape[0]} x {shape[1]}: "
            f"every value also sees the border. size={field} shows all of it.",
            stacklevel=3,
        )
