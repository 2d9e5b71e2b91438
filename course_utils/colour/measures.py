"""How right a colour is: errors in RGB and in ab, shares within a threshold, and flicker. Notebook 09."""

from __future__ import annotations

import numpy as np

from . import lab
from .bins import Bins

FARTHEST = 150
"""Thresholds go from 0 to this distance in ab (Zhang, Isola and Efros 2016, section 3.1)."""


def psnr(picture: np.ndarray, true: np.ndarray) -> float:
    """Peak signal to noise ratio in decibels: 10 log10(255² / mean squared error). Both 0..255."""
    error = np.square(np.asarray(picture, np.float64) - true).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-12)))


def ab_rmse(ab: np.ndarray, true: np.ndarray) -> float:
    """Root of the mean squared error of a and b, (…, 2) each."""
    return float(np.sqrt(np.square(np.asarray(ab, np.float64) - true).mean()))


def within(distances: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The share of pixels whose colour is at most 0, 1, …, 150 from the true one.

    Args:
        distances: (N,) in ab.
        weights: (N,), how much each pixel counts; alike if None.

    Returns:
        (151,) float64, rising to at most 1. Its mean is the area under the curve.
    """
    steps = np.ceil(np.clip(distances, 0, FARTHEST + 1)).astype(int)
    counts = np.bincount(steps, weights, FARTHEST + 2)
    return np.cumsum(counts)[: FARTHEST + 1] / counts.sum()


def area(ab: np.ndarray, true: np.ndarray, bins: Bins | None = None) -> float:
    """Area under the curve of `within`, 0..1.

    Args:
        ab, true: (N, 2).
        bins: with them, pixels count by the rarity of their true colour ("class-balanced").
    """
    distances = np.linalg.norm(np.asarray(ab, np.float64) - true, axis=-1)
    return float(within(distances, None if bins is None else bins.rarity(true)).mean())


def judge(ab: np.ndarray, image: np.ndarray, bins: Bins) -> dict[str, float]:
    """All measures of one picture.

    Args:
        ab: (H, W, 2), the answer.
        image: (H, W, 3) RGB 0..255, the photograph in its own colours.
        bins: for the rarity of colours.

    Returns:
        "psnr" (dB, after rounding to whole values), "rgb_error" (mean squared), "ab_rmse", "area",
        "balanced", and "chroma": the mean distance of the answer from grey.
    """
    true = lab.to_lab(image)
    answer = np.rint(lab.with_colour(true[..., 0], ab))
    flat, wanted = np.reshape(ab, (-1, 2)), true[..., 1:].reshape(-1, 2)
    return {
        "psnr": psnr(answer, image),
        "rgb_error": float(np.square(answer - image).mean()),
        "ab_rmse": ab_rmse(flat, wanted),
        "area": area(flat, wanted),
        "balanced": area(flat, wanted, bins),
        "chroma": float(np.linalg.norm(flat, axis=-1).mean()),
    }
