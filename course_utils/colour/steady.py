"""Colours of a film that stay with the things they belong to. Notebook 09.

A network that colours frame by frame changes its mind from one frame to the next: the film flickers. So the
colour of the frame before is carried along the motion, and the new answer only corrects it a little; where
the motion is not to be trusted, the new answer stands alone.
"""

from __future__ import annotations

import cv2
import numpy as np

from course_utils import hypercolumns


class Steady:
    """Colours, frame after frame.

    Args:
        keep: the share of the carried colour where the motion is certain, 0..1; 0 is frame by frame.
    """

    def __init__(self, keep: float = 0.92) -> None:
        if not 0 <= keep < 1:
            raise ValueError(f"keep {keep}: from 0 to less than 1")
        self.keep = keep
        self.before: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, grey: np.ndarray, ab: np.ndarray) -> np.ndarray:
        """The colours of the next frame.

        Args:
            grey: uint8 (h, w), the frame, small.
            ab: (h', w', 2) float32, what the network says about it.

        Returns:
            (h, w, 2) float32.
        """
        ab = hypercolumns.stretch(ab, grey.shape)
        if self.before is not None and self.before[0].shape == grey.shape and self.keep:
            old_grey, old_ab = self.before
            motion = flow(grey, old_grey)
            share = self.keep * confidence(grey, old_grey, motion)[..., None]
            ab = ab + share * (carried(old_ab, motion) - ab)
        self.before = grey, ab
        return ab


def flow(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Where each pixel of a frame was in the frame before: float32 (h, w, 2), x and y in pixels.

    Dense inverse search (Kroeger, Timofte, Dai and Van Gool 2016), as OpenCV has it.

    Args:
        now, before: uint8 (h, w).
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    if min(now.shape) < 32:  # the search starts on a picture reduced several times
        return np.zeros((*now.shape, 2), np.float32)
    return search.calc(now, before, None)


def carried(values: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Values of the frame before, (h, w) or (h, w, c), brought to where they are now."""
    height, width = motion.shape[:2]
    x = motion[..., 0] + np.arange(width, dtype=np.float32)
    y = motion[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(
        np.ascontiguousarray(values, np.float32), x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )


def confidence(
    now: np.ndarray, before: np.ndarray, motion: np.ndarray, tolerance: float = 16.0
) -> np.ndarray:
    """How far a motion is to be trusted: float32 (h, w), 0..1.

    1 where the carried frame looks like the present one, falling with the difference of lightness around
    the pixel; 0 where the motion points out of the picture. After a cut nothing agrees.

    Args:
        now, before: uint8 (h, w).
        tolerance: grey levels at which the confidence is 1/e.
    """
    height, width = now.shape
    difference = np.abs(carried(before, motion) - now)
    difference = cv2.blur(difference, (5, 5))
    sure = np.exp(-np.square(difference / tolerance))
    x = motion[..., 0] + np.arange(width, dtype=np.float32)
    y = motion[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    sure[(x < -1) | (x > width) | (y < -1) | (y > height)] = 0
    return sure


def flicker(colours: np.ndarray, motions: np.ndarray, sure: np.ndarray) -> float:
    """How much the colours of things change from frame to frame.

    Args:
        colours: (N, h, w, 2), a and b.
        motions: (N - 1, h, w, 2), where each pixel of frame i + 1 was in frame i.
        sure: bool (N - 1, h, w): the pixels that are judged.

    Returns:
        The mean distance in ab between each thing's colour and its colour one frame before.
    """
    changes = [
        np.linalg.norm(now - carried(before, motion), axis=-1)[known]
        for before, now, motion, known in zip(colours[:-1], colours[1:], motions, sure, strict=True)
    ]
    return float(np.concatenate(changes).mean())
