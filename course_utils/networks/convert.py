"""Dense layers as convolutions, and convolutions as dense layers. Notebook 05.

A dense layer on a (7, 7, 512) map is a 7x7 convolution without padding, seen at one place only: the same
weights in another shape (Sermanet et al. 2014; Long, Shelhamer and Darrell 2015, section 3.1). Converted,
a classifier takes pictures of any size at least its own and answers at many places in one pass.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.networks import gradients

if TYPE_CHECKING:
    import keras

SKIPPED = ("Dropout", "InputLayer")
LARGE = 4_000_000
"""Values of a kernel from which on `kernel_as_it_lies` is quicker than a convolution."""


def dense_to_convolutional(model: keras.Model, name: str | None = None) -> keras.Model:
    """The same network with convolutions in place of its dense layers.

    A Flatten and the Dense behind it become one convolution as large as the map; each further Dense a
    1x1 convolution. A global average with its Dense becomes an average over windows as large as the map
    was at the model's own size (needs a model with a fixed input size), then a 1x1 convolution. Softmax is
    taken over the classes at each place. On the original input size the answer is the same.

    Args:
        model: a chain of layers that ends in Flatten or GlobalAveragePooling2D and Dense layers.
        name: of the new model.

    Returns:
        A model (N, H, W, 3) -> (N, h, w, classes) for any H, W of at least the original's; it has its own
        weights, equal to the old ones, in the precision that it computes in: it is there to answer.

    Raises:
        ValueError: the model has no dense part, or is no chain, or its input size is needed and open.
    """
    from keras import Input, Model, ops

    chain = _chain(model)
    start = next((i for i, layer in enumerate(chain) if _kind(layer) in HEADS), None)
    if start is None:
        raise ValueError(f"{model.name} has no Flatten or GlobalAveragePooling2D with Dense layers behind it")
    before = chain[start - 1].output.shape[1:]  # the map that the dense part sees
    if None in before[:2]:
        raise ValueError(
            f"{model.name} takes any input size, so the map that {chain[start].name} sees has no size. "
            "Build it with input_shape=(H, W, 3), the size it was trained at, and convert that"
        )
    x = inputs = Input((None, None, model.input_shape[-1]), name="image")
    copied: list[tuple[Any, Any]] = []
    for layer in chain[1:start]:
        x, copied = _again(layer, x, copied)
    for layer in chain[start:]:
        if _kind(layer) not in SKIPPED:
            x, copied = _converted(layer, x, tuple(before), copied)
    converted = Model(inputs, x, name=name or f"{model.name}_convolutional")
    for new, old in copied:
        for variable, value in zip(new.weights, old.weights, strict=True):
            # Through NumPy this would copy: 411 MB, twice, for the first dense layer of VGG-16.
            variable.assign(ops.reshape(value, variable.shape))
    return converted


HEADS = ("Flatten", "GlobalAveragePooling2D")


def _kind(layer: Any) -> str:
    return type(layer).__name__


def _chain(model: keras.Model) -> list[Any]:
    """The layers in order, checked to be one behind the other."""
    layers = list(model.layers)
    if _kind(layers[0]) != "InputLayer":  # a Sequential model does not list its input
        from keras.layers import InputLayer

        layers.insert(0, InputLayer(batch_shape=model.input_shape))
    for layer, following in pairwise(layers[1:]):
        if following.input is not layer.output:
            raise ValueError(
                f"{model.name} is no chain of layers: {following.name} does not follow {layer.name}"
            )
    return layers


def _again(layer: Any, x: Any, copied: list[tuple[Any, Any]]) -> tuple[Any, list[tuple[Any, Any]]]:
    """The same layer once more, for any input size."""
    if _kind(layer) in SKIPPED:
        return x, copied
    config = layer.get_config() | {"dtype": layer.dtype_policy.compute_dtype}
    if "kernel_initializer" in config:
        config |= {"kernel_initializer": "zeros"}  # for a moment; random numbers would take time and memory
    new = type(layer).from_config(config)
    return new(x), [*copied, (new, layer)] if layer.weights else copied


def _converted(
    layer: Any, x: Any, before: tuple[int, ...], copied: list[tuple[Any, Any]]
) -> tuple[Any, list[tuple[Any, Any]]]:
    """The convolution or pooling that stands for one layer of the dense part."""
    from keras import layers

    kind = _kind(layer)
    if kind == "Flatten":
        return x, copied
    if kind == "GlobalAveragePooling2D":
        return layers.AveragePooling2D(before[:2], strides=1, name=layer.name)(x), copied
    if kind == "Activation" or kind == "ReLU":
        return type(layer).from_config(layer.get_config())(x), copied
    if kind != "Dense":
        raise ValueError(f"{layer.name} is a {kind}; only Dense layers can be turned into convolutions")
    values = layer.get_weights()[0].shape[0]
    size = before[:2] if values == int(np.prod(before)) and x.shape[-1] != values else (1, 1)
    large = size != (1, 1) and values * layer.units >= LARGE
    new = (kernel_as_it_lies() if large else layers.Conv2D)(
        layer.units,
        size,
        activation=layer.activation,
        use_bias=layer.use_bias,
        kernel_initializer="zeros",
        name=layer.name,
        dtype=layer.dtype_policy.compute_dtype,
    )
    return new(x), [*copied, (new, layer)]


@cache
def kernel_as_it_lies() -> type[keras.layers.Conv2D]:
    """The layer class `WindowConvolution`: a convolution for few places and a very large kernel.

    Convolution routines first bring a kernel into an order that suits the processor. For VGG-16's first
    dense layer, 7x7x512x4096, that takes three times as long as what follows. Here the windows are gathered
    instead, and multiplied with the kernel in the order it has: the matrix of the dense layer it was.
    """
    import keras
    from keras import layers, ops

    @keras.saving.register_keras_serializable("course")
    class WindowConvolution(layers.Conv2D):
        """Conv2D without padding and with stride 1, as one matrix product."""

        def call(self, inputs: Any) -> Any:
            rows, columns = self.kernel_size
            _, height, width, _ = ops.shape(inputs)
            down, right = height - rows + 1, width - columns + 1
            parts = [inputs[:, i : i + down, j : j + right] for i in range(rows) for j in range(columns)]
            windows = ops.concatenate(parts, axis=-1)
            matrix = ops.reshape(self.kernel, (-1, self.filters))
            flat = ops.matmul(ops.reshape(windows, (-1, matrix.shape[0])), matrix)
            flat = flat + self.bias if self.use_bias else flat
            return self.activation(ops.reshape(flat, (-1, down, right, self.filters)))

    return WindowConvolution


def convolution_to_dense(kernel: np.ndarray, height: int, width: int, padding: str = "valid") -> np.ndarray:
    """The matrix of the dense layer that a convolution is: nearly all zeros, with shared entries.

    Args:
        kernel: (kh, kw, in, out), cross-correlation as in Keras, stride 1.
        height, width: of the input map.
        padding: "valid" or "same" (zeros).

    Returns:
        (height * width * in, out_height * out_width * out): `x.reshape(-1) @ matrix` is the convolution,
        flattened.

    Raises:
        ValueError: an unknown padding, or a kernel larger than the map.
    """
    kh, kw, channels, filters = kernel.shape
    if padding not in ("valid", "same"):
        raise ValueError(f"padding={padding!r}: 'valid' and 'same' exist")
    top, left = ((kh - 1) // 2, (kw - 1) // 2) if padding == "same" else (0, 0)
    out_h, out_w = (height, width) if padding == "same" else (height - kh + 1, width - kw + 1)
    if out_h < 1 or out_w < 1:
        raise ValueError(f"a {kh}x{kw} kernel does not fit into a {height}x{width} map without padding")
    matrix = np.zeros((height, width, channels, out_h, out_w, filters), kernel.dtype)
    for i in range(out_h):
        for j in range(out_w):
            for a in range(kh):
                for b in range(kw):
                    y, x = i + a - top, j + b - left
                    if 0 <= y < height and 0 <= x < width:
                        matrix[y, x, :, i, j, :] = kernel[a, b]
    return matrix.reshape(height * width * channels, out_h * out_w * filters)


def crop_scores(classifier: keras.Model, x: np.ndarray, stride: int, batch: int = 64) -> np.ndarray:
    """What a converted classifier gives in one pass, the slow way: on every crop of its own input size.

    Args:
        classifier: from x (N, h, w, 3) to (N, classes).
        x: one preprocessed picture (H, W, 3), at least h x w.
        stride: pixels from one crop to the next.
        batch: crops in one step.

    Returns:
        float32 (rows, columns, classes): the crop of (i, j) begins at pixel (i * stride, j * stride).

    Raises:
        ValueError: the picture is smaller than a crop.

    Notebooks 04 and 05.
    """
    height, width = classifier.input_shape[1:3]
    if x.shape[0] < height or x.shape[1] < width:
        raise ValueError(f"a picture of {x.shape[0]} x {x.shape[1]} has no crop of {height} x {width}")
    every = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(0, 1))[::stride, ::stride]
    rows, columns = every.shape[:2]
    row, column = np.indices((rows, columns)).reshape(2, -1)

    def cut(some: np.ndarray) -> np.ndarray:
        return every[row[some], column[some]].transpose(0, 2, 3, 1)

    answers = gradients.forward(classifier, np.arange(rows * columns), batch, before=cut)
    return answers.reshape(rows, columns, -1)
