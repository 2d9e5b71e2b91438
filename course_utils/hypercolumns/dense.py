"""Hypercolumns as one large array, the plain way (Hariharan et al. 2015, section 3). Notebook 03."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from course_utils.features.layers import layer_name
from course_utils.features.maps import check_size
from course_utils.networks import pretrained
from course_utils.pictures import images
from course_utils.pictures.resampling import stretch

from .grid import checked
from .strips import Padding, chain_until, maps_in_strips, run_tail

if TYPE_CHECKING:
    import keras

Layers = str | int | Sequence[str | int]
Size = int | tuple[int, int] | None


def extract(
    model: keras.Model,
    image: np.ndarray,
    layers: Layers,
    size: Size = None,
    *,
    padding: Padding = "zeros",
) -> np.ndarray:
    """The hypercolumn of every pixel: the activations of all units above it.

    Each layer's maps are stretched bilinearly (half-pixel centres) to the size of the picture and laid
    behind one another. A dense layer counts as a 1x1 map: every pixel gets the same values.

    Args:
        model: a network, such as `pretrained.load_vgg16()`.
        image: (H, W, 3) RGB 0..255, any size and shape; preprocessed as the model needs it.
        layers: names, or numbers of the 2016 post (3 is "block1_conv2").
        size: resize the picture first: (height, width), or one number for a square.
        padding: what a convolution finds beyond the edge: "zeros", as the post had it and as the network was
            trained, or "mirror", which leaves no frame around the picture (`Factored.from_model`).

    Returns:
        (H, W, D) float32, in the order of `layers`; D is the sum of the layers' filters: 64 + 128 = 192
        for [3, 8] of the original VGG-16, 1,472 for [3, 8, 15, 22, 29].

    Raises:
        ValueError: no such layer (the message lists those that are), or a picture too small for it.
    """
    maps, (height, width) = maps_for(model, image, layers, size, padding)
    depth = sum(each.shape[-1] for each in maps.values())
    out, start = np.empty((height, width, depth), np.float32), 0
    for each in maps.values():
        out[..., start : start + each.shape[-1]] = stretch(each, (height, width))
        start += each.shape[-1]
    return out


def maps_for(
    model: keras.Model, image: np.ndarray, layers: Layers, size: Size, padding: Padding
) -> tuple[dict[str, np.ndarray], tuple[int, int]]:
    """The maps that hypercolumns are made of, and the size (H, W) of the picture; see `extract`."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"expected one picture (height, width, 3), found shape {image.shape}")
    if size is not None:
        image = images.resize(image, size)
    if padding not in ("mirror", "zeros"):
        raise ValueError(f"padding={padding!r}: 'mirror' and 'zeros' exist")
    several = [layers] if isinstance(layers, str | int | np.integer) else list(layers)
    names = [layer_name(layer, model) for layer in several]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"layers {names}: at least one layer, and each only once")
    check_size(model, image.shape, names)
    chain, tail = chain_until(model, names)
    before = [name for name in names if name not in {layer.name for layer in tail}]
    wanted = before if not tail else list(dict.fromkeys([*before, chain[-1].name]))
    maps = maps_in_strips(chain, pretrained.about(model).preprocess(image), wanted, padding)
    if tail:
        maps |= run_tail(tail, maps[chain[-1].name], names)
    return {name: checked(name, maps[name]) for name in names}, image.shape[:2]
