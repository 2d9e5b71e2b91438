"""Networks for style: the same chain of layers for pictures of any size, with every filter on one scale."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.pictures import images as pictures

if TYPE_CHECKING:
    import keras

Array = np.ndarray
DEAD = 0.1  # of its layer's mean activation: a filter below that would drown the others if raised to 1

_NORMALIZED: weakref.WeakSet[Any] = weakref.WeakSet()
_KEPT: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


def chain(model: keras.Model) -> list[keras.Layer]:
    """The layers of a model without branches, in order.

    Raises:
        ValueError: a layer has several inputs or outputs, or is not fed by the one before it.
    """
    layers = list(model.layers)
    for before, layer in itertools.pairwise(layers):
        if isinstance(layer.input, list) or layer.input is not before.output:
            raise ValueError(
                f"{model.name} is not a plain chain: {layer.name} isn't fed by {before.name} alone"
            )
    return layers


def twin(model: keras.Model, until: str | None = None, precision: str = "float32") -> keras.Model:
    """The same chain of layers with weights of its own, for pictures of any size.

    Args:
        until: the last layer wanted; all if None.
        precision: "float32" or "mixed_bfloat16" (the weights stay float32).
    """
    import keras

    layers = chain(model)
    fixed = any(type(layer).__name__ == "Flatten" for layer in layers)
    inputs = keras.Input(model.input_shape[1:] if fixed and until is None else (None, None, 3))
    x, made = inputs, []
    for layer in layers[1:]:
        same = type(layer).from_config({**layer.get_config(), "dtype": precision})
        x = same(x)
        made.append((same, layer))
        if layer.name == until:
            break
    twins = keras.Model(inputs, x, name=model.name)
    for same, layer in made:
        same.set_weights([np.asarray(value) for value in layer.get_weights()])
    return twins


def mean_activations(model: keras.Model, images: Sequence[Array]) -> dict[str, Array]:
    """For each convolution the mean of every filter's activations over pictures and places, (c,) float64.

    Where the ReLU is a layer of its own, as in All-CNN, its output counts.
    """
    from course_utils.features.maps import tap
    from course_utils.networks import gradients, pretrained

    layers = chain(model)
    ends = {}
    for layer, following in zip(layers, [*layers[1:], layers[-1]], strict=True):
        if type(layer).__name__ == "Conv2D":
            ends[layer.name] = (following if type(following).__name__ == "ReLU" else layer).name
    part = tap(model, list(ends.values()))
    sums: dict[str, Any] = dict.fromkeys(ends, 0.0)
    for image in images:
        maps = gradients.forward(part, pretrained.about(model).preprocess(image)[None])
        for name, each in zip(ends, maps if isinstance(maps, list) else [maps], strict=True):
            sums[name] = sums[name] + each.mean(axis=(0, 1, 2), dtype=np.float64) / len(images)
    return sums


def normalize(model: keras.Model, images: Sequence[Array] | None = None) -> keras.Model:
    """Rescale weights so that every filter's mean activation is 1, without changing the network's answer.

    A ReLU network can be rescaled freely: divide a filter's kernel and bias by its mean activation, multiply
    what the next layer reads from it by the same number. Max and average pooling pass such factors on.

    Args:
        model: a chain of convolutions (each with its ReLU), pooling, and perhaps a classifier.
        images: pictures to average over, RGB 0..255; by default the course's photographs.

    Returns:
        A new model; `about(model)` holds for it, too. A filter that is (almost) never
        active is scaled as its layer is on average: raised to 1 it would drown the others. With a classifier
        on top the answer stays the same; without one the last maps are rescaled as well.

    Raises:
        ValueError: batch normalization is not folded, or activations are not finite.

    Gatys et al. (2016), section 2. Notebook 07.
    """
    from course_utils.networks import pretrained

    images = _photographs() if images is None else list(images)
    new = twin(model)
    scales = _scales(new, mean_activations(model, images))
    carried: Array | float = 1.0  # what the maps at hand were divided by
    for layer in new.layers[1:]:
        kind = type(layer).__name__
        if kind == "BatchNormalization":
            raise ValueError(f"{layer.name}: fold batch normalization into the convolutions first")
        if kind == "Flatten":
            carried = np.tile(carried, layer.output.shape[-1] // np.size(carried))
        if kind in ("Conv2D", "Dense"):
            kernel, bias = layer.get_weights() if layer.use_bias else (*layer.get_weights(), None)
            scale = scales.get(layer.name, np.ones(kernel.shape[-1]))
            kernel = kernel * np.reshape(carried, (-1, 1)) / scale
            layer.set_weights([kernel] if bias is None else [kernel, bias / scale])
            carried = scale
    _NORMALIZED.add(new)
    return pretrained.remember(new, pretrained.about(model))


def _scales(model: keras.Model, means: Mapping[str, Array]) -> dict[str, Array]:
    """What each filter is divided by: 1 where it is dead, or where the answer would change."""
    weighted = [layer.name for layer in model.layers if layer.weights]
    answers = len(model.output_shape) != 4  # a classifier: its last weighted layer has to stay
    scales = {}
    for name, mean in means.items():
        if not np.isfinite(mean).all():
            raise ValueError(f"these weights give values that are not finite in {name}: they are damaged")
        usual = float(mean.mean()) or 1.0
        stays = answers and name == weighted[-1]
        scales[name] = np.ones_like(mean) if stays else np.where(mean > DEAD * usual, mean, usual)
    return scales


@cache
def _photographs() -> tuple[Array, ...]:
    return tuple(pictures.fit(pictures.sample(name), 224) for name in pictures.SAMPLES)


def once(model: keras.Model, key: Any, make: Callable[[], Any]) -> Any:
    """What belongs to a model and is costly to make: graphs, copies."""
    kept = _KEPT.setdefault(model, {})
    if key not in kept:
        kept[key] = make()
    return kept[key]


def is_normalized(model: keras.Model) -> bool:
    """Whether `normalize` has made this model."""
    return model in _NORMALIZED
