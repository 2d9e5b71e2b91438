"""Colour and lightness apart: the Lab space, in which a grey photograph is one channel of three. Notebook 09.

L is lightness, 0 black to 100 white; a runs from green to red, b from blue to yellow, 0 is grey in both.
Equal distances look about equally large to the eye (CIE 1976), which RGB values do not.
"""

from __future__ import annotations

import cv2
import numpy as np


def to_lab(image: np.ndarray) -> np.ndarray:
    """RGB to Lab.

    Args:
        image: (H, W, 3) or (N, 3), RGB 0..255.

    Returns:
        float32 of the same shape: L 0..100, a and b about -110..110.
    """
    return _converted(np.asarray(image, np.float32) / 255, cv2.COLOR_RGB2LAB)


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """Lab to RGB; colours that no screen can show are cut off at 0 and 255.

    Args:
        lab: (H, W, 3) or (N, 3): L 0..100, a, b.

    Returns:
        float32 of the same shape, 0..255.
    """
    return np.clip(_converted(np.asarray(lab, np.float32), cv2.COLOR_LAB2RGB), 0, 1) * 255


def _converted(values: np.ndarray, code: int) -> np.ndarray:
    if values.ndim not in (2, 3) or values.shape[-1] != 3:
        raise ValueError(f"(H, W, 3) or (N, 3) expected, found an array of shape {values.shape}")
    flat = np.ascontiguousarray(values.reshape(-1, 1, 3))
    return cv2.cvtColor(flat, code).reshape(values.shape)


def lightness(image: np.ndarray) -> np.ndarray:
    """L of a picture (H, W, 3) RGB 0..255: float32 (H, W), 0..100."""
    return to_lab(image)[..., 0]


def with_colour(lightness: np.ndarray, ab: np.ndarray | float) -> np.ndarray:
    """A picture of given lightness and colour.

    Args:
        lightness: (H, W) or (N,), 0..100.
        ab: (…, 2) of the same size, or a number for all: 0 makes it grey.

    Returns:
        RGB float32 (H, W, 3) or (N, 3), 0..255.
    """
    lab = np.empty((*lightness.shape, 3), np.float32)
    lab[..., 0], lab[..., 1:] = lightness, ab
    return to_rgb(lab)


def grey(image: np.ndarray) -> np.ndarray:
    """The grey picture of the same lightness: (H, W, 3) RGB, three equal channels 0..255."""
    return with_colour(lightness(image), 0.0)
