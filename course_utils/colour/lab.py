"""Colour and lightness apart: the Lab space, in which a grey photograph is one channel of three. Notebook 09.

L is lightness, 0 black to 100 white; a runs from green to red, b from blue to yellow, 0 is grey in both.
Equal distances look about equally large to the eye (CIE 1976), which RGB values do not.
"""

from __future__ import annotations

import numpy as np

# sRGB (IEC 61966-2-1): from linear light to X, Y, Z, divided by those of its white (D65)
WHITE = np.array([0.95047, 1.0, 1.08883])
TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
FORWARD = (TO_XYZ / WHITE[:, None]).T.astype(np.float32)
BACKWARD = np.linalg.inv(FORWARD).astype(np.float32)


def to_lab(image: np.ndarray) -> np.ndarray:
    """RGB to Lab.

    Args:
        image: (H, W, 3) or (N, 3), RGB 0..255.

    Returns:
        float32 of the same shape: L 0..100, a and b about -110..110.
    """
    value = _checked(image) / 255
    light = np.where(value > 0.04045, ((np.maximum(value, 0) + 0.055) / 1.055) ** 2.4, value / 12.92)
    share = light @ FORWARD
    x, y, z = np.moveaxis(np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """Lab to RGB; colours that no screen can show are cut off at 0 and 255.

    Args:
        lab: (H, W, 3) or (N, 3): L 0..100, a, b.

    Returns:
        float32 of the same shape, 0..255.
    """
    lightness, a, b = np.moveaxis(_checked(lab), -1, 0)
    y = (lightness + 16) / 116
    root = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    light = np.where(root > 0.2068966, root**3, (root - 16 / 116) / 7.787) @ BACKWARD
    value = np.where(light > 0.0031308, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055, 12.92 * light)
    return np.clip(value, 0, 1) * 255


def _checked(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float32)
    if values.ndim not in (2, 3) or values.shape[-1] != 3:
        raise ValueError(f"(H, W, 3) or (N, 3) expected, found an array of shape {values.shape}")
    return values


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
