"""Names of layers, and the numbers that the 2016 post gave them. Notebook 02."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from course_utils.networks import graphs, vgg16

if TYPE_CHECKING:
    import keras

Layer = str | int
LAST_OLD_INDEX = 31


def layer_name(layer: Layer, model: keras.Model | None = None) -> str:
    """The name of a layer, given its name or its number in the 2016 post.

    Args:
        layer: "block3_conv3", or 15, the same layer in a numbering that counts padding layers.
        model: where the name must exist; VGG-16 if None.

    Raises:
        ValueError: there is no such layer; the message lists those that are. Or the model is of a kind that
            can't be looked into.
    """
    known = vgg16.stops_in_order() if model is None else graphs.of(model).names
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


def layer_names(model: keras.Model, layers: Layer | Sequence[Layer]) -> list[str]:
    """The names of one layer or several; ValueError as `layer_name`, and for none."""
    several = [layers] if isinstance(layers, str | int | np.integer) else list(layers)
    if not several:
        raise ValueError("no layers were asked for")
    return [layer_name(layer, model) for layer in several]
