"""Contrast normalization and whitening of small pictures, as the paper prepared CIFAR-10. Notebook 06.

Neighbouring pixels are nearly equal, so most of what a small picture says is said many times. Whitening
(Goodfellow et al. 2013, whom Springenberg et al. 2015 follow) turns a picture into the numbers that are left
when this is taken out: all of deviation 1, no two of them correlated over the training pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course_utils import files

LEAST_VARIANCE = 0.1
"""Added to every variance, so that what is nearly constant, mostly noise, is not blown up."""


@dataclass(frozen=True)
class Whitening:
    """`whitening(pictures)`: (N, H, W, 3), 0..255 -> float32 of the same shape, zero mean, whitened.

    Attributes:
        mean: (H, W, 3) of the contrast-normalized training pictures.
        matrix: (H * W * 3, H * W * 3), symmetric.
    """

    mean: np.ndarray
    matrix: np.ndarray

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        if np.shape(pictures)[1:] != self.mean.shape:
            raise ValueError(
                f"whitened for pictures of shape {self.mean.shape}; these have {np.shape(pictures)[1:]}"
            )
        flat = (contrast_normalized(pictures) - self.mean).reshape(len(pictures), -1)
        return (flat @ self.matrix).reshape(np.shape(pictures))


def contrast_normalized(pictures: np.ndarray) -> np.ndarray:
    """Each picture (H, W, 3) with mean 0 and deviation 1 over all its values; a plain one becomes 0."""
    values = np.asarray(pictures, np.float32)
    values = values - values.mean(axis=(1, 2, 3), keepdims=True)
    deviation = values.std(axis=(1, 2, 3), keepdims=True)
    return values / np.where(deviation > 1e-3, deviation, 1)


def fit(pictures: np.ndarray) -> Whitening:
    """Find the whitening (ZCA) of training pictures (N, H, W, 3), 0..255; half a minute for CIFAR-10."""
    values = contrast_normalized(pictures)
    mean = values.mean(axis=0)
    flat = (values - mean).reshape(len(values), -1)
    variances, directions = np.linalg.eigh(flat.T @ flat / len(flat))
    scale = 1 / np.sqrt(np.maximum(variances, 0) + LEAST_VARIANCE)
    return Whitening(mean, ((directions * scale) @ directions.T).astype(np.float32))


def save(path: str | Path, whitening: Whitening) -> None:
    """Write `mean` and `matrix` as an `.npz`."""
    with files.replacing(path) as file:
        np.savez_compressed(file, mean=whitening.mean, matrix=whitening.matrix)


def load(path: str | Path) -> Whitening:
    """Read what `save` wrote.

    Raises:
        FileNotFoundError, ValueError: no such file, or another one.
    """
    with files.reading_npz(path) as arrays:
        return Whitening(arrays["mean"], arrays["matrix"])
