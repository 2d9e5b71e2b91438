"""Batch normalization helps training and is gone afterwards (Ioffe and Szegedy 2015). Notebook 06."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


def folded(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of the same network without its batch normalizations.

    A trained normalization is a fixed scale and shift for each channel, so a convolution and what
    normalizes it equal one convolution with another kernel and bias.

    Args:
        model: each layer NAME with a kernel is followed by a layer `NAME_bn`, or is not normalized.

    Returns:
        `{"LAYER_kernel": HWIO, "LAYER_bias": (C,), …}` float32.
    """
    weights: dict[str, np.ndarray] = {}
    norms = {layer.name: layer for layer in model.layers if layer.name.endswith("_bn")}
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        kernel = np.asarray(layer.kernel, np.float64)
        bias = 0.0 if layer.bias is None else np.asarray(layer.bias, np.float64)
        if norm := norms.get(f"{layer.name}_bn"):
            gamma, beta, mean, variance = (
                np.asarray(v, np.float64)
                for v in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
            )
            factor = gamma / np.sqrt(variance + norm.epsilon)
            kernel, bias = kernel * factor, beta + (bias - mean) * factor
        weights[f"{layer.name}_kernel"] = kernel.astype(np.float32)
        weights[f"{layer.name}_bias"] = np.broadcast_to(bias, kernel.shape[-1:]).astype(np.float32)
    return weights
