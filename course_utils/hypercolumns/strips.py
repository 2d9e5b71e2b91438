"""Feature maps of a large picture strip by strip, in little more memory than they take. Notebook 03."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import keras

Padding = Literal["mirror", "zeros"]

WORK_BYTES = 64_000_000
"""About what the activations of one strip may take."""


def chain_until(model: keras.Model, names: Sequence[str]) -> tuple[list[keras.Layer], list[keras.Layer]]:
    """The layers up to the last of `names`, in two parts: a plain chain of small windows, and the rest."""
    chain: list[keras.Layer] = []
    missing = set(names)
    for layer in model.layers:
        if not missing:
            break
        chain.append(layer)
        missing.discard(layer.name)
    whole = next((i for i, layer in enumerate(chain) if not works_on_strips(layer)), len(chain))
    return chain[:whole], chain[whole:]


def works_on_strips(layer: keras.Layer) -> bool:
    """Whether a layer's value at a place depends on its close neighbours only, in a way known here."""
    from keras import layers

    if isinstance(layer, layers.Conv2D):
        plain = layer.padding == "same" and set(layer.strides) == set(layer.dilation_rate) == {1}
        return plain and layer.kernel_size[0] % 2 == 1
    if isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
        return layer.padding == "valid" and layer.pool_size == layer.strides
    same = (layers.InputLayer, layers.ReLU, layers.Activation, layers.BatchNormalization, layers.Dropout)
    return isinstance(layer, same)


def maps_in_strips(
    chain: Sequence[keras.Layer], x: np.ndarray, names: Sequence[str], padding: Padding = "zeros"
) -> dict[str, np.ndarray]:
    """Run a chain of layers block by block, each block in strips of rows.

    A strip is computed with as many more rows above and below as its convolutions reach over, which are
    then cut off; at the edges of the picture its padding gives the right neighbours.

    Args:
        chain: of `chain_until`.
        x: (H, W, 3) float32, preprocessed.
        names: the layers whose maps are wanted.
        padding: what a convolution finds beyond the edge of its maps: "zeros", as in training, or "mirror",
            the maps mirrored at their edge, in front of every convolution.

    Returns:
        {name: (h, w, c) float32}, with zeros as one pass over the whole picture gives them.
    """
    from keras import layers

    maps: dict[str, np.ndarray] = {}
    block: list[keras.Layer] = []
    for i, layer in enumerate(chain):
        if isinstance(layer, layers.InputLayer):
            continue
        block.append(layer)
        pooling = isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D)
        if pooling or i == len(chain) - 1:
            found = run_block(block, x, {*names, layer.name}, padding)
            x, block = found[layer.name], []
            maps |= {name: found[name] for name in names if name in found}
    return {name: maps[name] for name in names}


def run_block(
    block: Sequence[keras.Layer], x: np.ndarray, names: set[str], padding: Padding
) -> dict[str, np.ndarray]:
    """The maps of one block of convolutions, with or without a pooling at its end."""
    from keras import ops

    reach = sum(layer.kernel_size[0] // 2 for layer in block if hasattr(layer, "kernel_size"))
    factor = block[-1].strides[0] if hasattr(block[-1], "pool_size") else 1
    channels = max(layer.output.shape[-1] for layer in block)
    rows = WORK_BYTES // (4 * 4 * channels * x.shape[1])
    rows = max(factor, 4 * reach, rows // factor * factor)
    rows -= rows % factor
    edges = [i * rows for i in range(max(1, len(x) // rows))] + [len(x)]
    out: dict[str, np.ndarray] = {}
    for start, stop in itertools.pairwise(edges):
        top = max(0, start - reach)
        y = ops.convert_to_tensor(x[None, top : stop + reach])
        for layer in block:
            scale = 1
            if hasattr(layer, "pool_size"):
                y, scale = y[:, start - top : stop - top], factor
            mirror = padding == "mirror" and hasattr(layer, "kernel_size")
            y = mirrored(layer, y) if mirror else layer(y, training=False)
            if layer.name in names:
                values = ops.convert_to_numpy(y)[0]
                if scale == 1:
                    values = values[start - top : stop - top]
                store(out, layer.name, values, start // scale, len(x) // scale)
    return out


def mirrored(layer: keras.Layer, y: Any) -> Any:
    """A convolution of maps (1, h, w, c) that go on beyond their edges as in a mirror."""
    from keras import ops

    high, wide = (size // 2 for size in layer.kernel_size)
    y = ops.pad(y, ((0, 0), (high, high), (wide, wide), (0, 0)), mode="symmetric")
    y = ops.conv(y, layer.kernel, 1, "valid")
    return layer.activation(y + layer.bias if layer.use_bias else y)


def run_tail(tail: Sequence[keras.Layer], maps: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The layers behind the chain, on all of its last maps (h, w, c); a dense layer gives (1, 1, c)."""
    from keras import ops

    y, out = ops.convert_to_tensor(maps[None]), {}
    for layer in tail:
        y = layer(y, training=False)
        if layer.name in names:
            values = ops.convert_to_numpy(y)[0]
            out[layer.name] = values if values.ndim == 3 else values.reshape(1, 1, -1)
    return out


def store(out: dict[str, np.ndarray], name: str, values: np.ndarray, row: int, height: int) -> None:
    """Put some rows of a layer's maps in their place."""
    if name not in out:
        out[name] = np.empty((height, *values.shape[1:]), np.float32)
    out[name][row : row + len(values)] = values
