"""The head that gives colour to hypercolumns, and how to run it without building them. Notebook 09.

A frozen VGG-16 looks at the grey picture. Each pixel's hypercolumn, and behind it the mean of the last maps
over the whole picture, goes through two small dense layers to three answers: a colour by regression (as in
Ryan Dahl's automatic colourization, 2016), a score for each of some 250 colours (Larsson, Maire and
Shakhnarovich 2016, who take exactly such hypercolumns), and such scores learnt with rare colours counting
more (Zhang, Isola and Efros 2016).

The first layer is a product with a matrix, so it is taken on the small maps, and its results are stretched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import hypercolumns
from course_utils.networks import gradients, pretrained, weight_files
from course_utils.networks import heads as trunks
from course_utils.pictures import images

from . import lab
from .bins import Bins

if TYPE_CHECKING:
    import keras

LAYERS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3")
"""The layers 3, 8, 15, 22 and 29 of Perone's post."""
DEPTH = 64 + 128 + 256 + 512 + 512
WHOLE = "mean of block 5"
ANSWERS, PARTS = ("ab", "bins", "vivid"), ("kernel", "bias")
SCALE = 30.0
"""The regression's outputs are a and b divided by this, so that they are of the order of 1."""
UNIT = 64.0
"""The first layer takes hypercolumns divided by this, so that float16 can hold its kernel."""
MULTIPLE = 16
"""Sides of what the trunk sees are multiples of this: then every map covers exactly the picture."""


@dataclass(frozen=True)
class Answer:
    """What the head says about a grid of places on a picture.

    Attributes:
        ab: (h, w, 2) float32, the regression's colour.
        scores: (h, w, Q) float32, logits of the bins.
        vivid: (h, w, Q) float32, logits of the bins for which rare colours counted more.
    """

    ab: np.ndarray
    scores: np.ndarray
    vivid: np.ndarray


def build(bins: int, units: int = 256, hidden: int = 128, dropout: float = 0.0) -> keras.Model:
    """The head as a network of its own: (N, 1984) -> (N, 2 + 2 bins).

    Args:
        bins: the number Q of colours.
        units, hidden: of the two layers.
        dropout: of the means over the picture (or the head learns pictures by heart), and behind the first
            layer; in training.

    Returns:
        A Keras model with the layers "mix", "hidden", "ab", "bins" and "vivid"; the output is a and b over
        `SCALE`, then both sets of logits.
    """
    from keras import Input, Model, layers

    inputs = Input((DEPTH + 512,), name="hypercolumn")
    x = layers.Rescaling(1 / UNIT)(inputs)
    if dropout:
        x = layers.Concatenate()([x[:, :DEPTH], layers.Dropout(dropout)(x[:, DEPTH:])])
    x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name="mix")(x)
    x = layers.Dropout(dropout)(x) if dropout else x
    x = layers.Dense(hidden, activation="relu", kernel_initializer="he_normal", name="hidden")(x)
    sizes = {"ab": 2, "bins": bins, "vivid": bins}
    outputs = [layers.Dense(size, name=name, dtype="float32")(x) for name, size in sizes.items()]
    return Model(inputs, layers.Concatenate(name="answer", dtype="float32")(outputs), name="colours")


def load(weights: str | Path = "colours") -> keras.Model:
    """The trained head.

    Args:
        weights: the name of weights that ship, or the `weights.npz` of a run of `course train colour`.

    Returns:
        The model of `build`; `pretrained.about(model).card` is its card.

    Raises:
        FileNotFoundError: there are none.
        ValueError: the file is damaged, holds another network, or was trained on another trunk.
    """
    values, card = trunks.read(weights)
    if "mix_kernel" not in values or "bins" not in card:
        raise ValueError(f"{weights} is no head that colours: `course train colour` makes one")
    model = build(len(card["bins"]["prior"]), values["mix_bias"].size, values["hidden_bias"].size)
    weight_files.put(model, values, weights)
    facts = pretrained.About(
        name=str(card.get("title", weights)), weights=str(weights), card=MappingProxyType(card)
    )
    return pretrained.remember(model, facts)


def bins_of(head: keras.Model) -> Bins:
    """The colours that a head's scores stand for."""
    return Bins.from_card(pretrained.about(head).card)


def load_trunk(weights: str | Path = "original") -> keras.Model:
    """The frozen network below the head: VGG-16 up to its last convolution, for pictures of any size."""
    return pretrained.load_vgg16(weights, until=LAYERS[-1])


# --- hypercolumns of grey pictures ----------------------------------------------------------------------


def working_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The size at which the trunk sees a picture: its longer side about `side`, both multiples of 16."""
    scale = side / max(size)
    height, width = (max(2, round(n * scale / MULTIPLE)) * MULTIPLE for n in size)
    return height, width


def maps_of(trunk: keras.Model, pictures: np.ndarray) -> list[dict[str, np.ndarray]]:
    """The maps that a head needs, of pictures of one size.

    Args:
        trunk: of `load_trunk`.
        pictures: (N, H, W, 3) RGB 0..255; only their lightness is used. H and W multiples of 16.

    Returns:
        For each picture {layer: (h, w, c)} and, as `WHOLE`, the mean of the last maps (512,).
    """
    x = np.stack([images.preprocess(lab.grey(picture)) for picture in pictures])
    stacks = gradients.forward(_taps(trunk), x)
    means = stacks[-1].mean(axis=(1, 2))
    return [
        dict(zip((*LAYERS, WHOLE), (*(stack[i] for stack in stacks), means[i]), strict=True))
        for i in range(len(pictures))
    ]


def _taps(trunk: keras.Model) -> Any:
    from course_utils.features import maps

    return maps.tap(trunk, LAYERS)


def columns(trunk: keras.Model, picture: np.ndarray, side: int = 224, grid: int = 2) -> hypercolumns.Factored:
    """The hypercolumns of a grey picture, not built.

    Args:
        trunk: of `load_trunk`.
        picture: (H, W, 3) RGB 0..255, or (H, W) grey 0..255.
        side: the longer side at which the trunk sees it.
        grid: every so many of these pixels have a place of their own.

    Returns:
        A `Factored` of 1,984 channels with the grid's size.
    """
    small = working_size(picture.shape[:2], side)
    maps = maps_of(trunk, images.resize(images.read(picture), small)[None])[0]
    return on_grid(maps, (small[0] // grid, small[1] // grid))


def on_grid(maps: dict[str, np.ndarray], size: tuple[int, int]) -> hypercolumns.Factored:
    """The hypercolumns of a grid of places; maps that are finer than the grid are read at its places."""
    fine = {name: each for name, each in maps.items() if each.ndim == 3 and len(each) > size[0]}
    return hypercolumns.Factored(
        maps | {name: hypercolumns.stretch(each, size) for name, each in fine.items()}, size
    )


# --- the head on them -----------------------------------------------------------------------------------


def answer(head: keras.Model, factored: hypercolumns.Factored) -> Answer:
    """Run the head on every place of a picture.

    The first layer's products are taken on the small maps and stretched band by band: neither the
    hypercolumns nor the layer's values for the whole picture are ever in memory.

    Args:
        head: of `load`.
        factored: of `columns`.
    """
    values = weight_files.of(head)
    raw, away = factored.raw(values["mix_kernel"] / UNIT)
    bias = values["mix_bias"] - away
    grid = factored.grid
    wide = grid.widen(raw)
    last = [np.concatenate([values[f"{name}_{part}"] for name in ANSWERS], axis=-1) for part in PARTS]
    out = np.empty((grid.pixels, last[1].size), np.float32)
    for band in grid.bands:
        x = np.maximum(grid.products(band, wide, raw) + bias, 0)
        x = np.maximum(x @ values["hidden_kernel"] + values["hidden_bias"], 0)
        out[band.pixels] = x @ last[0] + last[1]
    whole = out.reshape(*factored.size, -1)
    half = 2 + (out.shape[1] - 2) // 2
    return Answer(whole[..., :2] * SCALE, whole[..., 2:half], whole[..., half:])
