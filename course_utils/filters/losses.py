"""One number for each picture, and its gradient: the graph behind the ascent. Notebook 08.

The loss is one number for each picture of a batch, how much that picture excites its own filter. The
gradient of their sum gives every picture its own gradient, because no picture touches another's number.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.filters.optima import Array
from course_utils.filters.recipes import Recipe
from course_utils.filters.targets import Target
from course_utils.networks import gradients, graphs, pretrained

if TYPE_CHECKING:
    import keras

_GRAPHS: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


def affine(model: keras.Model) -> tuple[Array, Array]:
    """A model's preprocessing as x = image @ matrix + offset, which a gradient passes through.

    Raises:
        ValueError: it does not treat every pixel alike.
    """
    prepare = pretrained.about(model).preprocess
    probes = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)])[:, None, None, :].astype(np.float32)
    answers = np.stack([np.asarray(prepare(probe), np.float32)[0, 0] for probe in probes])
    matrix, offset = (answers[1:] - answers[0]) / 255, answers[0]
    test = np.random.default_rng(0).uniform(0, 255, (4, 4, 3)).astype(np.float32)
    if not np.allclose(prepare(test), test @ matrix + offset, atol=1e-2):
        raise ValueError("this model's preprocessing mixes pixels: no gradient can be passed through it here")
    return matrix, offset


def one_filter_each(maps: Any, kernels: Any, biases: Any) -> Any:
    """Convolve every picture of a batch with a filter of its own; stride 1, padded to the same size.

    A convolution would compute all filters of the layer for all pictures, and one of each is wanted. Here
    each kernel is taken apart into its places: one matrix product for all of them, then each product is
    shifted to where it belongs.

    Args:
        maps: (N, h, w, C).
        kernels: (k, k, C, N), k odd.
        biases: (N,).

    Returns:
        (N, h, w).
    """
    from keras import ops

    side, _, channels, count = kernels.shape
    height, width = maps.shape[1:3]
    reach = side // 2
    columns = ops.transpose(ops.reshape(kernels, (side * side, channels, count)), (2, 1, 0))
    flat = ops.reshape(maps, (count, height * width, channels))
    products = ops.reshape(ops.matmul(flat, columns), (count, height, width, side * side))
    products = ops.pad(products, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    total = biases[:, None, None]
    for place in range(side * side):
        row, column = divmod(place, side)
        total = total + products[:, row : row + height, column : column + width, place]
    return total


class Hill:
    """What a batch of pictures climbs: its filters' values, their gradient, and what counts at the end."""

    def __init__(
        self, target: Target, recipe: Recipe, shape: tuple[int, int], precision: str, chosen: Any
    ) -> None:
        """`chosen` is (weights (N, C), indices (N,)) of the batch's filters."""
        from keras import ops

        weights, indices = chosen
        self.target, self.recipe = target, recipe
        self.single = bool(indices.min() >= 0) and target.simple
        self.trunk, self.fn = _graph(target, recipe, shape, precision, self.single)
        self.matrix, self.offset = affine(target.model)
        layer = target.layer
        self.picks = ops.convert_to_tensor(indices.astype(np.int32) if self.single else weights)
        self.kernel = ops.convert_to_tensor(layer.kernel)
        self.bias = ops.convert_to_tensor(layer.bias) if layer.use_bias else ops.zeros(target.channels)

    def look(self, images: Array) -> tuple[Array, Array]:
        """Values (N,), and the gradient with respect to the images, RGB 0..255."""
        from keras import ops

        leak = np.float32(self.recipe.leak)
        values, gradient = self.fn(self._prepared(images), self.picks, leak, self.kernel, self.bias)
        return ops.convert_to_numpy(values), ops.convert_to_numpy(gradient) @ self.matrix.T

    def measure(self, images: Array) -> tuple[Array, Array, Array]:
        """What was climbed, the activation after the ReLU, is the inner half awake; (N,) each."""
        from keras import ops

        x = self._prepared(images)
        below = gradients.forward(self.trunk, x) if hasattr(self.trunk, "layers") else x
        sums = _sums(below, self.kernel, self.bias, self.picks, self.target.options, self.single)
        if self.target.dense:
            scores = ops.convert_to_numpy(ops.sum(sums * self.picks, axis=1))
            return scores, scores, np.ones(len(images), bool)
        weights = None if self.single else self.picks[:, None, None, :]
        leaky, awake = (
            ops.convert_to_numpy(_mixed(_leaky(sums, leak), weights)) for leak in (self.recipe.leak, 0.0)
        )
        rows, columns = awake.shape[1] // 4, awake.shape[2] // 4
        inner = awake[:, rows : awake.shape[1] - rows, columns : awake.shape[2] - columns]
        climbed, activation = (_pooled(each, self.recipe.middle) for each in (leaky, awake))
        return climbed, activation, inner.max((1, 2)) > 0

    def _prepared(self, images: Array) -> Array:
        return (images @ self.matrix + self.offset).astype(np.float32)


def _sums(below: Any, kernel: Any, bias: Any, picks: Any, options: Any, single: bool) -> Any:
    """Before the ReLU: (N, h, w, C), or (N, h, w, 1) of each picture's own filter; a dense layer (N, C)."""
    from keras import ops

    if options is None:
        return ops.cast(ops.matmul(below, kernel) + bias, "float32")
    if single:
        own = one_filter_each(below, ops.take(kernel, picks, axis=-1), ops.take(bias, picks))
        return ops.cast(own, "float32")[..., None]
    return ops.cast(ops.conv(below, kernel, **options) + bias, "float32")


def _leaky(sums: Any, leak: Any) -> Any:
    """After the ReLU, of what is below zero a part."""
    from keras import ops

    return ops.relu(sums) - leak * ops.relu(-sums)


def _mixed(maps: Any, weights: Any) -> Any:
    """(N, h, w, C) to (N, h, w): the one filter, or a weighted sum of all."""
    from keras import ops

    return maps[..., 0] if weights is None else ops.sum(maps * weights, axis=-1)


def _pooled(maps: Any, middle: bool) -> Any:
    """(N, h, w) to (N,): the mean of all places, or the one in the middle."""
    from keras import ops

    if middle:
        return maps[:, maps.shape[1] // 2, maps.shape[2] // 2]
    return maps.mean((1, 2)) if isinstance(maps, np.ndarray) else ops.mean(maps, axis=(1, 2))


def _likeness(maps: Any) -> Any:
    """How much each picture of a batch shares its texture with the others, 0..1: cosines of Gram matrices."""
    from keras import ops

    count, height, width, channels = maps.shape
    flat = ops.reshape(ops.cast(maps, "float32"), (count, height * width, channels))
    grams = ops.reshape(ops.matmul(ops.transpose(flat, (0, 2, 1)), flat), (count, channels * channels))
    grams = grams / (ops.sqrt(ops.sum(ops.square(grams), axis=1, keepdims=True)) + 1e-6)
    cosines = ops.matmul(grams, ops.transpose(grams))
    return (ops.sum(cosines, axis=1) - 1) / max(1, count - 1)


def _graph(
    target: Target, recipe: Recipe, shape: tuple[int, int], precision: str, single: bool
) -> tuple[Any, Callable[..., Any]]:
    """What lies before the layer, and `fn(x, picks, leak, kernel, bias)`, both made once for each model."""
    import keras

    made = _GRAPHS.setdefault(target.model, {})
    fits = target.model.input_shape[1:3] in ((None, None), shape)
    key = (target.name, precision, single, fits, recipe.middle, recipe.diverse)
    if key not in made:
        trunk = _trunk(target, shape, precision)
        made[key] = trunk, _compile(trunk, target.options, precision, single, recipe)
    trunk, fn = made[key]
    if isinstance(trunk, keras.Model) and trunk.layers[-1] is not target.before._keras_history.operation:
        now = keras.Model(graphs.of(target.model).input, target.before)
        trunk.set_weights(now.get_weights())  # a twin: the model may have been trained since
    return trunk, fn


def _trunk(target: Target, shape: tuple[int, int], precision: str) -> Any:
    """The model's own layers before this one, or a twin in another precision or for any size."""
    import keras

    picture = graphs.of(target.model).input
    if target.before is picture:
        return lambda x: x
    part = keras.Model(picture, target.before)
    fits = part.input_shape[1:3] in ((None, None), shape)
    if precision == "float32" and fits and all(layer.dtype_policy.name == "float32" for layer in part.layers):
        return part

    def same(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "dtype": precision})

    free = None if target.dense else keras.Input((None, None, 3))
    return keras.models.clone_model(part, input_tensors=free, clone_function=same)


def _compile(
    trunk: Any, options: dict[str, Any] | None, precision: str, single: bool, recipe: Recipe
) -> Callable[..., Any]:
    """The loss of every picture, and its gradient. (Holds no reference to the whole model.)"""
    from keras import ops

    dtype = "bfloat16" if precision == "mixed_bfloat16" else "float32"

    def loss(x: Any, picks: Any, leak: Any, kernel: Any, bias: Any) -> Any:
        below = ops.cast(trunk(x), dtype)
        sums = _sums(below, ops.cast(kernel, dtype), ops.cast(bias, dtype), picks, options, single)
        if options is None:
            return ops.sum(sums * picks, axis=1)
        maps = _mixed(_leaky(sums, leak), None if single else picks[:, None, None, :])
        values = _pooled(maps, recipe.middle)
        if not recipe.diverse:
            return values
        worth = ops.stop_gradient(ops.abs(values))
        return values - recipe.diverse * worth * _likeness(below)

    return gradients.value_and_gradient(loss)
