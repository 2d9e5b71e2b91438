"""Resampling: the one definition of "bilinear" and of "nearest" in the course. Notebooks 02, 03 and 05.

Pixel i reaches from i to i + 1, so its centre lies at i + 1/2. A value between centres is the mean of those
around it, weighted by a `tent`; where a picture shrinks, the tent is wider, so that every pixel counts.
`images.resize` and `augment.axis_matrices` make their weights of it. `Axis` is the same for maps that are
only ever enlarged: two weights a place, so that what works with them never builds the enlarged map.

`Placement` and `sample` turn, too, and give the same bits on every machine, as the scenes need them
(OpenCV's warps round differently from one version and processor to another): every step is one addition,
subtraction, multiplication or rounding of numbers, which IEEE 754 fixes, and no sum runs over an axis,
where the order of additions could vary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import scipy.sparse as sp


def tent(distance: np.ndarray, reach: float | np.ndarray = 1.0) -> np.ndarray:
    """Weights that fall from 1 at a place to 0 at `reach` pixels from it, scaled to add up to 1.

    Args:
        distance: (..., n) from the place to the n pixels' centres, in pixels; the weights are
            scaled along this last axis, and an infinite distance leaves a pixel out.
        reach: half the tent's width; 1 is linear interpolation. Broadcasts against `distance`.
    """
    weights = np.maximum(0, 1 - np.abs(distance) / reach)
    return weights / weights.sum(axis=-1, keepdims=True)


# --- one axis, enlarged ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """How `size` places along one axis are read from `source` values, with half-pixel centres.

    Place i of the stretched axis lies at (i + 1/2) * source / size - 1/2 of the source; its value is
    a mean of the two values around it, weighted by nearness. Beyond the last centres the outermost
    value is kept. This is OpenCV's INTER_LINEAR, and TensorFlow's, Keras' and (where it enlarges)
    Pillow's bilinear.
    """

    size: int
    source: int

    @cached_property
    def _position(self) -> np.ndarray:
        place = (np.arange(self.size) + 0.5) * (self.source / self.size) - 0.5
        return np.clip(place, 0, self.source - 1)

    @cached_property
    def lower(self) -> np.ndarray:
        """Index of the value before each place, int (size,)."""
        return np.minimum(self._position.astype(np.int64), max(self.source - 2, 0))

    @cached_property
    def upper(self) -> np.ndarray:
        """Index of the value after each place, int (size,)."""
        return np.minimum(self.lower + 1, self.source - 1)

    @cached_property
    def weight(self) -> np.ndarray:
        """Share of the value after, float32 (size,), 0 to 1; the value before has the rest."""
        return (self._position - self.lower).astype(np.float32)

    @cached_property
    def matrix(self) -> sp.csr_array:
        """The (size, source) matrix that stretches a column of values, float32."""
        return two_entries(1 - self.weight, self.weight, self.lower, self.upper, self.source)

    @cached_property
    def squares(self) -> sp.csr_array:
        """Squared weights: (size, source)."""
        return two_entries((1 - self.weight) ** 2, self.weight**2, self.lower, self.upper, self.source)

    @cached_property
    def products(self) -> sp.csr_array:
        """Weight before times weight after, for each pair of neighbours: (size, source - 1)."""
        import scipy.sparse as sp

        pairs = max(self.source - 1, 0)
        both = self.weight * (1 - self.weight) * (self.lower < self.upper)
        matrix = sp.csr_array(
            (both, (np.arange(self.size), np.minimum(self.lower, max(pairs - 1, 0)))),
            shape=(self.size, max(pairs, 1)),
        )
        matrix.eliminate_zeros()
        return matrix[:, :pairs]


def two_entries(
    first: np.ndarray, second: np.ndarray, lower: np.ndarray, upper: np.ndarray, source: int
) -> sp.csr_array:
    """A sparse matrix with `first` at the columns `lower` and `second` at `upper`."""
    import scipy.sparse as sp

    rows = np.arange(len(first))
    values = np.concatenate([first, second]).astype(np.float32)
    where = (np.concatenate([rows, rows]), np.concatenate([lower, upper]))
    matrix = sp.csr_array((values, where), shape=(len(first), source))  # doubled entries are added
    matrix.eliminate_zeros()
    return matrix


def stretch(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize feature maps bilinearly, half-pixel centres, no antialiasing.

    Args:
        maps: (h, w, c) or (h, w), any float type.
        size: (H, W) of the result.

    Returns:
        (H, W, c) or (H, W), float32.
    """
    rows, columns = Axis(size[0], maps.shape[0]), Axis(size[1], maps.shape[1])
    maps = np.asarray(maps, np.float32)
    t = rows.weight.reshape(-1, *[1] * (maps.ndim - 1))
    tall = maps[rows.lower] * (1 - t) + maps[rows.upper] * t
    t = columns.weight.reshape(1, -1, *[1] * (maps.ndim - 2))
    return tall[:, columns.lower] * (1 - t) + tall[:, columns.upper] * t


# --- labels ---------------------------------------------------------------------------------------------


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize labels (H, W) or (N, H, W) to (height, width) by nearest neighbour, the only way.

    Between class 2 and class 6 there is no class 4: interpolated labels are wrong ones.
    """
    mask = np.asarray(mask)
    rows, columns = (
        ((2 * np.arange(after) + 1) * before) // (2 * after)
        for before, after in zip(mask.shape[-2:], size, strict=True)
    )
    return mask[..., rows[:, None], columns]


# --- turning, scaling, shifting -------------------------------------------------------------------------


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
