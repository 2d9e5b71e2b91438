"""What the pictures seem to show, in numbers: waves, selectivity, how far a value looks. Notebook 08."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from course_utils.features.maps import tap
from course_utils.features.receptive_field import receptive_field
from course_utils.filters.optima import Array, Optima
from course_utils.networks import gradients, pretrained
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Wave:
    """The strongest wave in a picture.

    Attributes:
        frequency: periods to a pixel, 0 (a plain colour) to .71 (a fine checkerboard).
        angle: direction in which it repeats, degrees 0..180: 0 to the right (upright stripes), 90 downwards.
        share: of all power that is not a plain colour, how much lies within a small disc around the wave.
    """

    frequency: float
    angle: float
    share: float


BLUR = 0.02  # periods to a pixel: width over which a picture's spectrum is smoothed
PLAIN = np.pi**2 / 2  # power that a wave needs to excite as much, on average, as a plain colour of power 1


def spectrum_peak(picture: Array, *, size: int = 128, plain: bool = False, lowest: float = 0.0) -> Wave:
    """The strongest wave of a picture or a kernel, from its Fourier spectrum.

    Args:
        picture: (H, W) or (H, W, 3); channels add their power. A kernel is enlarged with zeros, which
            refines its spectrum and adds nothing.
        size: side of the spectrum's grid; larger pictures use their own.
        plain: let a plain colour be the answer, too (frequency 0), if it excites a filter with this kernel
            more than any wave of the same strength: it does so everywhere, a wave only where it is positive.
            Otherwise the mean is taken away.
        lowest: leave out longer waves (in periods to a pixel): shading, rather than a pattern.
    """
    picture = np.atleast_3d(np.asarray(picture, float))
    small = min(picture.shape[:2]) < 16
    if not plain:
        picture = picture - picture.mean((0, 1))
    if not small:  # soft edges, so that the picture's frame makes no waves of its own
        height, width = picture.shape[:2]
        picture = picture * np.hanning(height)[:, None, None] * np.hanning(width)[None, :, None]
    shape = [max(size, side) for side in picture.shape[:2]]
    power = (np.abs(np.fft.fft2(picture, s=shape, axes=(0, 1))) ** 2).sum(-1)
    if not small:  # a grown picture holds many patches of one wave: their neighbouring peaks count together
        power = gaussian_filter(power, [BLUR * side for side in shape], mode="wrap")
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :]
    frequency = np.hypot(rows, columns)
    power = np.where(frequency > max(lowest, 1.5 / max(shape)), power, 0)
    if plain:
        power[0, 0] = PLAIN * (np.abs(picture.sum((0, 1))) ** 2).sum()
    row, column = np.unravel_index(power.argmax(), power.shape)
    y, x = rows[row, 0], columns[0, column]
    near = np.minimum(np.hypot(rows - y, columns - x), np.hypot(rows + y, columns + x)) < 0.05
    share = power[near].sum() / max(power.sum(), 1e-30)
    return Wave(float(frequency[row, column]), float(np.degrees(np.arctan2(y, x)) % 180), float(share))


def angle_between(first: float, second: float) -> float:
    """The angle between two directions of stripes, 0..90 degrees (a half turn changes nothing)."""
    apart = abs(first - second) % 180
    return min(apart, 180 - apart)


@dataclass(frozen=True)
class Selectivity:
    """How much more a filter likes its optimum than anything real; arrays of one entry for each filter.

    Attributes:
        on_optimum: the filter's value in the middle of its own picture, if that is what was climbed; else its
            highest value there (the border left out where possible).
        on_photographs: highest value anywhere in the photographs.
        ratio: the first divided by the second; infinite where the photographs leave it silent.
        rank: how many filters of the layer are excited even more by this picture, each measured by its own
            highest value on the photographs; 0 is perfect.
        busy: share of all places in the photographs where it exceeds half its highest value there.
    """

    on_optimum: Array
    on_photographs: Array
    ratio: Array
    rank: Array
    busy: Array


def selectivity(model: keras.Model, optima: Optima, photographs: Sequence[Array]) -> Selectivity:
    """Compare optima with photographs, filter by filter (single filters, no mixes). Notebook 08.

    Args:
        optima: of one layer; climbed with `middle` and `legal` if the comparison shall be fair, because a
            photograph is judged by its best place, and its values end at 0 and 255.
        photographs: (H, W, 3) of any sizes, RGB 0..255.
    """
    part = tap(model, optima.layer)
    prepare = pretrained.about(model).preprocess

    def answers(picture: Array) -> Array:
        return np.maximum(gradients.forward(part, prepare(picture)[None])[0][0], 0)

    maps = [answers(np.asarray(photo, np.float32)).reshape(-1, _channels(part)) for photo in photographs]
    usual = np.concatenate(maps)
    highest = usual.max(0)
    own, rank = np.zeros(len(optima)), np.zeros(len(optima), int)
    for k, (picture, index) in enumerate(zip(optima.images, optima.filters, strict=True)):
        seen = answers(picture)
        middle = seen[seen.shape[0] // 2, seen.shape[1] // 2]
        excited = middle if optima.recipe.middle else _inner(seen).max((0, 1))
        own[k] = excited[index]
        relative = excited / np.maximum(highest, 1e-6)
        rank[k] = int((relative > relative[index]).sum())
    best = highest[optima.filters]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(best > 0, own / best, np.inf)
    busy = (usual[:, optima.filters] > 0.5 * np.maximum(best, 1e-12)).mean(0)
    return Selectivity(own, best, ratio, rank, busy)


def matched(blank: keras.Model, model: keras.Model, photographs: Sequence[Array]) -> keras.Model:
    """Scale a network's filters until each has its namesake's mean and spread on photographs. Notebook 08.

    With random weights that is the fair rival of a trained network: the first two moments before every ReLU
    are the same, so nothing is left but the patterns.

    Args:
        blank: changed in place; its layers have the names and the numbers of filters of `model`'s.
        photographs: (H, W, 3) of any sizes, RGB 0..255; looked at in 96 by 96 pixels.

    Returns:
        `blank`.
    """
    from keras import layers

    small = np.stack([images.resize(photo, 96) for photo in photographs])
    x = pretrained.about(model).preprocess(small)
    for layer in blank.layers:
        if not isinstance(layer, layers.Conv2D):
            continue
        goal, own = (
            gradients.forward(tap(network, layer.name, before_relu=True), x)[0] for network in (model, blank)
        )
        kernel, bias = layer.get_weights()
        scale = goal.std((0, 1, 2)) / np.maximum(own.std((0, 1, 2)), 1e-12)
        shift = goal.mean((0, 1, 2)) - scale * (own.mean((0, 1, 2)) - bias)
        layer.set_weights([kernel * scale, shift])
    return blank


def _channels(part: Any) -> int:
    return int(part.outputs[0].shape[-1])


def _inner(maps: Array) -> Array:
    """Without the outer quarter on each side, where the padding of zeros shows."""
    rows, columns = maps.shape[0] // 4, maps.shape[1] // 4
    return maps[rows : maps.shape[0] - rows, columns : maps.shape[1] - columns]


def effective_field(
    model: keras.Model, layer: str, size: int | None = None, looks: int = 16, seed: int = 0
) -> Array:
    """How strongly each pixel moves the value in the middle of a layer, on average (Luo et al. 2016).

    Args:
        size: side of the pictures; by default the receptive field.
        looks: noise pictures that are averaged, each with a filter picked at random.

    Returns:
        (size, size) float32, mean absolute gradient, of sum 1. The receptive field says which pixels
        *can* count, this says which do.
    """
    from keras import ops

    part = tap(model, layer, before_relu=True)
    size = size or receptive_field(model, layer).size
    rng = np.random.default_rng(seed)
    x = pretrained.about(model).preprocess(rng.uniform(0, 255, (looks, size, size, 3)).astype(np.float32))
    picks = np.eye(_channels(part), dtype=np.float32)[rng.integers(0, _channels(part), looks)]

    def middle(x: Any, picks: Any) -> Any:
        maps = part(x)[0]
        return ops.sum(maps[:, maps.shape[1] // 2, maps.shape[2] // 2] * picks, axis=1)

    _, gradient = gradients.value_and_gradient(middle)(x, picks)
    strength = np.abs(np.asarray(gradient)).mean((0, 3))
    return (strength / max(strength.sum(), 1e-30)).astype(np.float32)


def width_of(field: Array, share: float = 0.9) -> int:
    """Side of the smallest square around the middle that holds this share of an effective field."""
    middle = np.array(field.shape) // 2
    for reach in range(max(field.shape)):
        rows = slice(max(0, middle[0] - reach), middle[0] + reach + 1)
        columns = slice(max(0, middle[1] - reach), middle[1] + reach + 1)
        if field[rows, columns].sum() >= share * field.sum():
            return 2 * reach + 1
    return max(field.shape)
