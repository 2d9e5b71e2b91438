"""Colours kept: an artwork recoloured before, or only the lightness taken afterwards."""

from __future__ import annotations

import numpy as np

from course_utils.pictures import images as pictures

Array = np.ndarray
LIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)  # of R, G, B in Y (ITU-R BT.601)


def match_colours(image: Array, like: Array) -> Array:
    """A picture recoloured so that its colours have the mean and covariance of another's.

    Args:
        image, like: (H, W, 3) RGB 0..255, of any two sizes.

    Returns:
        float32, clipped to 0..255.

    Gatys et al. (2016), "Preserving Color in Neural Artistic Style Transfer", section 3. Notebook 07.
    """
    own, other = (np.asarray(p, np.float64).reshape(-1, 3) for p in (image, like))
    whiten, tint = _root(np.cov(own.T), -0.5), _root(np.cov(other.T), 0.5)
    matched = (own - own.mean(0)) @ (tint @ whiten).T + other.mean(0)
    return np.clip(matched.reshape(np.shape(image)), 0, 255).astype(np.float32)


def _root(covariance: Array, power: float) -> Array:
    """A symmetric matrix to a power; directions without any spread (a grey picture) stay out of it."""
    values, vectors = np.linalg.eigh(covariance)
    safe = np.where(values > 1e-3, np.maximum(values, 1e-3) ** power, 0.0)
    return (vectors * safe) @ vectors.T


def lightness(image: Array) -> Array:
    """How light a picture is, Y of YIQ: (H, W, 3) RGB 0..255 -> (H, W, 1)."""
    return (np.asarray(image, np.float32) @ LIGHTNESS)[..., None]


def keep_colours(image: Array, like: Array) -> Array:
    """The lightness of one picture with the colours of another, resized to it; RGB 0..255.

    Gatys et al. (2016), section 4. Notebook 07.
    """
    like = pictures.resize(like, image.shape[:2])
    return np.clip(like + lightness(image) - lightness(like), 0, 255)


def recoloured(
    content: Array | None, styles: list[tuple[Array, float]], colours: str
) -> tuple[Array | None, list[tuple[Array, float]]]:
    """Photograph and artworks as the network should see them."""
    if content is None or not styles or colours == "artwork":
        return content, styles
    if colours == "recoloured":
        return match_colours(content, styles[0][0]), styles
    if colours == "matched":
        return content, [(match_colours(image, content), share) for image, share in styles]
    own = lightness(content)
    grey = [((lightness(image) - lightness(image).mean()), share) for image, share in styles]
    grey = [(each * (own.std() / max(float(each.std()), 1.0)) + own.mean(), share) for each, share in grey]
    return np.repeat(own, 3, -1), [(np.clip(np.repeat(each, 3, -1), 0, 255), share) for each, share in grey]
