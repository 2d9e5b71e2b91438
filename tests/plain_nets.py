"""Networks in plain NumPy, maps first and in float64: what the loaded ones are compared with."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def convolve(x: Array, kernel: Array, bias: Array, stride: int = 1, pad: int = 0, groups: int = 1) -> Array:
    """x (C, H, W), kernel (out, in, h, w): correlation, as Caffe and PyTorch compute it."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    parts = []
    for part, own in zip(np.split(x, groups), np.split(kernel, groups), strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(part, kernel.shape[2:], (1, 2))
        parts.append(np.einsum("cyxij,ocij->oyx", windows[:, ::stride, ::stride], own, optimize=True))
    return np.concatenate(parts) + bias.reshape(-1, 1, 1)


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def pool(x: Array, size: int = 2, stride: int = 2, up: bool = True) -> Array:
    """Largest values; a window that hangs over the border counts where `up`."""
    over = [-(n - size) % stride if up else 0 for n in x.shape[1:]]
    x = np.pad(x, ((0, 0), (0, over[0]), (0, over[1])), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))
    return windows[:, ::stride, ::stride].max(axis=(3, 4))


def spread(x: Array, kernel: Array, stride: int) -> Array:
    """A transposed convolution, value by value; kernel (in, out, h, w)."""
    size = kernel.shape[-1]
    out = np.zeros((kernel.shape[1], *((n - 1) * stride + size for n in x.shape[1:])))
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            part = out[:, row * stride : row * stride + size, column * stride : column * stride + size]
            part += np.tensordot(x[:, row, column], kernel, 1)
    return out


def crop(x: Array, like: Array, offset: int) -> Array:
    height, width = like.shape[1:]
    return x[:, offset : offset + height, offset : offset + width]


def softmax(x: Array) -> Array:
    x = np.exp(x - x.max())
    return x / x.sum()


BLOCKS = ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3))
VGG = [f"conv{block}_{i}" for block, n in BLOCKS for i in range(1, n + 1)]


def vgg16_weights(
    rng: np.random.Generator, width: int = 4, side: int = 1, units: int = 256, classes: int = 7
):
    """Random weights by Caffe's names, kernels (out, in, h, w) and (out, in)."""
    weights, before = {}, 3
    for name in VGG:
        filters = width * min(8, 2 ** (int(name[4]) - 1))
        weights[name] = [rng.normal(0, (2 / (9 * before)) ** 0.5, (filters, before, 3, 3))]
        before = filters
    for name, inputs, outputs in (
        ("fc6", before * side * side, units),
        ("fc7", units, units),
        ("fc8", units, classes),
    ):
        scale = (2 / inputs) ** 0.5 * (0.01 if name == "fc8" else 1)  # else one class would get all
        weights[name] = [rng.normal(0, scale, (outputs, inputs))]
    for arrays in weights.values():
        arrays.append(rng.normal(0, 0.2, arrays[0].shape[0]))
    return {name: [a.astype(np.float32) for a in arrays] for name, arrays in weights.items()}


def vgg16_maps(weights: dict[str, list[Array]], x: Array, pad: int = 1) -> dict[str, Array]:
    """The five poolings; the first convolution pads by `pad`."""
    maps = {}
    for block, n in BLOCKS:
        for i in range(1, n + 1):
            name = f"conv{block}_{i}"
            x = relu(convolve(x, *weights[name], pad=pad if name == "conv1_1" else 1))
        x = maps[f"pool{block}"] = pool(x)
    return maps


def vgg16(weights: dict[str, list[Array]], x: Array) -> Array:
    """Softmax values of one x (3, H, W)."""
    x = vgg16_maps(weights, x)["pool5"].ravel()
    for name in ("fc6", "fc7", "fc8"):
        kernel, bias = weights[name]
        x = kernel @ x + bias
        x = x if name == "fc8" else relu(x)
    return softmax(x)
