"""Turning, scaling and shifting pictures, with the same bits on every machine.

OpenCV's warps round differently from one version and processor to another. This is plain NumPy: every
step is one addition, subtraction, multiplication or rounding of numbers, which IEEE 754 fixes, and no
sum runs over an axis, where the order of additions could vary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Placement:
    """Where a picture lands: (x, y) -> (a x - b y + left, b x + a y + top), mirrored before if asked.

    In pixels; pixel i reaches from i to i + 1.
    """

    a: float
    b: float
    left: float
    top: float
    mirrored_at: float | None = None
    """The width of the picture if x is replaced by width - x first."""

    @property
    def scale(self) -> float:
        """By how much lengths grow."""
        return math.sqrt(self.a * self.a + self.b * self.b)

    def forward(self, points: np.ndarray) -> np.ndarray:
        """Where points (N, 2) of the picture land."""
        x, y = points[:, 0], points[:, 1]
        if self.mirrored_at is not None:
            x = self.mirrored_at - x
        return np.stack([self.a * x - self.b * y + self.left, self.b * x + self.a * y + self.top], axis=-1)

    def backward(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where places come from; x and y of shapes that broadcast."""
        square = self.a * self.a + self.b * self.b
        a, b = self.a / square, self.b / square
        x, y = x - self.left, y - self.top
        u, v = a * x + b * y, a * y - b * x
        return (u if self.mirrored_at is None else self.mirrored_at - u), v


def placement(
    centre: tuple[float, float],
    goes_to: tuple[float, float],
    scale: float,
    degrees: float = 0.0,
    mirrored_at: float | None = None,
) -> Placement:
    """Scale and turn (clockwise on the screen) about `centre`, which then lies at `goes_to`."""
    turn = degrees * math.pi / 180
    # libraries differ in the last bit of a cosine; 30 bits are the same everywhere
    a, b = (round(scale * f(turn) * 2**30) / 2**30 for f in (math.cos, math.sin))
    x = centre[0] if mirrored_at is None else mirrored_at - centre[0]
    return Placement(
        a, b, goes_to[0] - (a * x - b * centre[1]), goes_to[1] - (b * x + a * centre[1]), mirrored_at
    )


def pyramid(picture: np.ndarray, smallest: int = 4) -> list[np.ndarray]:
    """The picture and its halves, quarters, … as uint8 (H, W, C); each pixel the mean of four."""
    levels = [np.ascontiguousarray(picture)]
    while min(levels[-1].shape[:2]) >= 2 * smallest:
        fine = levels[-1]
        odd = [(0, side % 2) for side in fine.shape[:2]]
        fine = np.pad(fine, [*odd, (0, 0)], mode="edge").astype(np.uint16)
        four = fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]
        levels.append(((four + 2) >> 2).astype(np.uint8))
    return levels


def sample(
    levels: list[np.ndarray], placed: Placement, window: tuple[int, int, int, int], blur: float = 1.0
) -> np.ndarray:
    """The placed picture in a window of the canvas; beyond its border the border's pixels go on.

    Args:
        levels: of `pyramid`.
        placed: where the picture lands on the canvas.
        window: left, top, width, height in pixels of the canvas.
        blur: 2 takes a picture of half the resolution, and so on.

    Returns:
        float32 (height, width, C), 0..255, bilinear between the pixels of the fitting level.
    """
    left, top, width, height = window
    level, shrunk = 0, 1.0
    while level + 1 < len(levels) and placed.scale * shrunk * 1.5 < blur:
        level, shrunk = level + 1, shrunk * 2
    x = np.arange(left, left + width, dtype=np.float64) + 0.5
    y = (np.arange(top, top + height, dtype=np.float64) + 0.5)[:, None]
    u, v = placed.backward(x, y)
    u, v = np.broadcast_to(u, (height, width)), np.broadcast_to(v, (height, width))
    return _bilinear(levels[level], u / shrunk - 0.5, v / shrunk - 0.5)


def _bilinear(picture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Values between pixel centres at column u and row v (H, W), float32 (H, W, C)."""
    rows, columns, channels = picture.shape
    u, v = np.clip(u, 0, columns - 1), np.clip(v, 0, rows - 1)
    left, top = np.minimum(u.astype(np.int64), columns - 2), np.minimum(v.astype(np.int64), rows - 2)
    right_share = (u - left).astype(np.float32)[..., None]
    lower_share = (v - top).astype(np.float32)[..., None]
    flat = picture.reshape(-1, channels)
    corner = top * columns + left
    a, b, c, d = (
        np.take(flat, corner + step, axis=0).astype(np.float32) for step in (0, 1, columns, columns + 1)
    )
    upper = a + (b - a) * right_share
    lower = c + (d - c) * right_share
    return upper + (lower - upper) * lower_share
