"""Agreement between neighbours, which a network that judges every pixel for itself lacks. Notebook 05."""

from __future__ import annotations

import cv2
import numpy as np

from course_utils.pictures import images


def superpixel_vote(
    scores: np.ndarray, image: np.ndarray, scale: float = 40.0, smallest: int = 12
) -> np.ndarray:
    """Let the pixels of one patch of colour agree on a class.

    Args:
        scores: (H, W, classes): logits or probabilities; the mean of each superpixel decides.
        image: (H, W, 3), RGB 0..255.
        scale: larger makes larger superpixels.
        smallest: pixels of a superpixel, at least.

    Returns:
        uint8 (H, W) labels.

    Felzenszwalb and Huttenlocher (2004) for the superpixels; Farabet et al. (2013), section IV.A, for the
    vote. Notebook 05.
    """
    from skimage.segmentation import felzenszwalb

    _same_size(scores, image)
    patches = felzenszwalb(images.to_uint8(image), scale=scale, sigma=0.5, min_size=smallest, channel_axis=-1)
    count = int(patches.max()) + 1
    flat = patches.ravel()
    sums = [np.bincount(flat, scores[..., c].ravel(), count) for c in range(scores.shape[-1])]
    return np.argmax(sums, axis=0).astype(np.uint8)[patches]


def guided_filter(
    scores: np.ndarray, image: np.ndarray, radius: int = 4, evenness: float = 1e-3
) -> np.ndarray:
    """Smooth each class's scores, but not across the edges of the picture.

    Within each window the scores are replaced by the straight line of the picture's brightness that fits
    them best: where brightness is even, this is their mean; where it jumps, they may jump with it.

    Args:
        scores: float (H, W, classes).
        image: (H, W, 3), RGB 0..255.
        radius: half a window's side in pixels.
        evenness: variance of the brightness (0..1) under which a window counts as even.

    Returns:
        float32 (H, W, classes); take its argmax.

    He, Sun and Tang (2010), section 3. Notebook 05.
    """
    _same_size(scores, image)
    guide = (np.asarray(image, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)) / 255

    def mean(values: np.ndarray) -> np.ndarray:
        side = 2 * radius + 1
        return cv2.blur(np.ascontiguousarray(values), (side, side), borderType=cv2.BORDER_REFLECT)

    middle = mean(guide)
    variance = mean(guide * guide) - middle * middle
    out = np.empty(scores.shape, np.float32)
    for c in range(scores.shape[-1]):
        channel = np.asarray(scores[..., c], np.float32)
        level = mean(channel)
        slope = (mean(guide * channel) - middle * level) / (variance + evenness)
        out[..., c] = mean(slope) * guide + mean(level - slope * middle)
    return out


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Softmax over the last axis of logits."""
    power = np.exp(scores - scores.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)


def _same_size(scores: np.ndarray, image: np.ndarray) -> None:
    if scores.ndim != 3 or scores.shape[:2] != image.shape[:2]:
        raise ValueError(f"scores {scores.shape} do not belong to a picture of {image.shape[:2]}")
