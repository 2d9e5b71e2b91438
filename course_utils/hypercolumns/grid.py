"""Stacks of feature maps on one picture, and the few products that everything else is made of. Notebook 03.

Stretching a map is linear. So the product of every pixel with a weight vector is *project the small
maps, then stretch one map*; and a weighted sum of pixels is *shrink the weights by the transposed
stretching, then weigh the small maps* (Hariharan et al. 2015 use the first half, for classifiers).
Both run over bands of rows, so that the memory stays near that of the maps themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from course_utils.pictures.resampling import Axis

BAND = 8192
"""Pixels worked on at a time: what they need stays in a processor's cache."""


@dataclass(frozen=True)
class Stack:
    """The maps of one layer, and how they are stretched."""

    name: str
    values: np.ndarray  # (h * w, c) float32
    rows: Axis
    columns: Axis
    channels: slice  # their place in the hypercolumn

    @property
    def maps(self) -> np.ndarray:
        """The maps as (h, w, c)."""
        return self.values.reshape(self.rows.source, self.columns.source, -1)

    @property
    def whole(self) -> bool:
        """Whether the maps have the picture's size already, so that nothing is stretched."""
        return self.rows.source == self.rows.size and self.columns.source == self.columns.size


@dataclass(frozen=True)
class Band:
    """A few rows of pixels, and how they are read from the coarse maps stretched in width."""

    rows: slice
    pixels: slice  # the same among all pixels, row by row
    read: sp.csr_array  # (rows of the band, heights of all coarse stacks one under the other)
    used: np.ndarray  # the coarse rows that it touches
    spread: sp.csr_array  # `read` transposed, without the rows that it does not touch


class Grid:
    """Maps of several layers over the pixels of one picture; never stretched as a whole.

    Args:
        maps: {layer: (h, w, c) or (c,)}; see `Factored`.
        size: (H, W) of the picture.
    """

    def __init__(self, maps: Mapping[str, np.ndarray], size: tuple[int, int]) -> None:
        if not maps:
            raise ValueError("a hypercolumn needs the maps of at least one layer")
        if min(size) < 1:
            raise ValueError(f"size {size}: height and width must be at least 1")
        self.size = (int(size[0]), int(size[1]))
        self.stacks: list[Stack] = []
        self.depth = 0
        for name, values in maps.items():
            values = checked(name, values)
            height, width, channels = values.shape
            place = slice(self.depth, self.depth + channels)
            rows, columns = Axis(self.size[0], height), Axis(self.size[1], width)
            self.stacks.append(Stack(name, values.reshape(-1, channels), rows, columns, place))
            self.depth += channels
        self.coarse = [stack for stack in self.stacks if not stack.whole]
        self.whole = [stack for stack in self.stacks if stack.whole]

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.size[0] * self.size[1]

    @cached_property
    def bands(self) -> list[Band]:
        """The picture's rows, cut into bands of about `BAND` pixels."""
        height, width = self.size
        nothing = sp.csr_array((height, 0), dtype=np.float32)
        read = sp.csr_array(sp.hstack([nothing, *(stack.rows.matrix for stack in self.coarse)]))
        step = max(1, BAND // width)
        out = []
        for start in range(0, height, step):
            stop = min(start + step, height)
            part = read[start:stop]
            used = np.unique(part.indices)
            spread = sp.csr_array(part[:, used].T)
            out.append(Band(slice(start, stop), slice(start * width, stop * width), part, used, spread))
        return out

    # --- project, then stretch ------------------------------------------------------------------------

    def widen(self, weights: np.ndarray) -> np.ndarray:
        """Project the coarse maps on K weight vectors, and stretch the results in width only.

        Args:
            weights: (D, K) float32.

        Returns:
            (heights of all coarse stacks, W * K) float32, what `products` reads from.
        """
        count, width = weights.shape[1], self.size[1]
        out = np.empty((sum(s.rows.source for s in self.coarse), width * count), np.float32)
        start = 0
        for stack in self.coarse:
            height, narrow = stack.rows.source, stack.columns.source
            small = (stack.values @ weights[stack.channels]).reshape(height, narrow, count)
            wide = stack.columns.matrix @ swap(small).reshape(narrow, height * count)
            out[start : start + height] = swap(wide.reshape(width, height, count)).reshape(height, -1)
            start += height
        return out

    def products(self, band: Band, wide: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Products of a band's pixels with the K weight vectors that `wide` was made with: (pixels, K)."""
        out = (band.read @ wide).reshape(band.pixels.stop - band.pixels.start, weights.shape[1])
        for stack in self.whole:
            out += stack.values[band.pixels] @ weights[stack.channels]
        return out

    # --- shrink, then weigh ---------------------------------------------------------------------------

    def mean(self) -> np.ndarray:
        """Mean of every channel: (D,) float64."""
        return self._mean

    @cached_property
    def _mean(self) -> np.ndarray:
        total = Sums(self, 1)
        for band in self.bands:
            total.add(band, np.ones((band.pixels.stop - band.pixels.start, 1), np.float32))
        return total.result()[:, 0] / self.pixels

    # --- single pixels --------------------------------------------------------------------------------

    def read(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The hypercolumns of N pixels: (N, D) float32."""
        out = np.empty((len(rows), self.depth), np.float32)
        for stack in self.stacks:
            a, b = stack.rows, stack.columns
            t, u = a.weight[rows, None], b.weight[columns, None]
            top, bottom = a.lower[rows], a.upper[rows]
            left, right = b.lower[columns], b.upper[columns]
            maps = stack.maps
            above = maps[top, left] * (1 - u) + maps[top, right] * u
            below = maps[bottom, left] * (1 - u) + maps[bottom, right] * u
            out[:, stack.channels] = above * (1 - t) + below * t
        return out

    # --- second moments -------------------------------------------------------------------------------

    def squared_norms(self, shift: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Squared length of (x - shift) / scale at every pixel: (H, W) float32.

        A stretched value is a mean of four neighbours; its square needs their products with each
        other, which are small maps too, stretched with squared and mixed weights.
        """
        out = np.zeros(self.size, np.float32)
        for stack in self.stacks:
            alone, beside, below, across = neighbour_products(stack, shift, scale)
            if stack.whole:
                out += alone
                continue
            a, b = stack.rows, stack.columns
            out += spread_out(a.squares, alone, b.squares)
            out += spread_out(a.squares, 2 * beside, b.products)
            out += spread_out(a.products, 2 * below, b.squares)
            out += spread_out(a.products, 2 * across, b.products)
        return np.maximum(out, 0, out=out)

    def variances(self) -> np.ndarray:
        """Variance of every channel: (D,) float64."""
        out = np.zeros(self.depth)
        for stack in self.stacks:
            for mine, shrunk in self.overlap(stack, stack):
                out[stack.channels] += np.einsum("pc,pc->c", mine, shrunk)
        return np.maximum(out, 0) / self.pixels

    def covariance(self) -> np.ndarray:
        """Covariance of the channels over the pixels: (D, D) float64, divided by their number.

        For every pair of layers the finer one is shrunk to the coarser one's grid by the product of
        the two stretchings (a matrix of overlaps on each axis), and multiplied there.
        """
        out = np.zeros((self.depth, self.depth))
        by_size = sorted(self.stacks, key=lambda stack: len(stack.values))
        for i, coarse in enumerate(by_size):
            for fine in by_size[i:]:
                block = sum(mine.T @ shrunk for mine, shrunk in self.overlap(coarse, fine))
                out[coarse.channels, fine.channels] = block
                out[fine.channels, coarse.channels] = np.transpose(block)
        out /= self.pixels
        return out

    def overlap(self, coarse: Stack, fine: Stack) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Bands of one stack beside another shrunk to the same grid, both less their means.

        Summed over the grid, products of the two are products of the stretched maps summed over
        the pixels. Yields ((positions, c), (positions, c')) float32.
        """
        mean = self.mean().astype(np.float32)
        rows = sp.csr_array(coarse.rows.matrix.T @ fine.rows.matrix)
        columns = sp.csr_array(coarse.columns.matrix.T @ fine.columns.matrix)
        height, width = coarse.rows.source, coarse.columns.source
        step = max(1, BAND // 8 // max(width, fine.columns.source))
        for start in range(0, height, step):
            part = rows[start : start + step]
            low, high = part.indices.min(), part.indices.max() + 1
            block = fine.maps[low:high] - mean[fine.channels]
            if not (coarse is fine and fine.whole):
                tall = part[:, low:high] @ block.reshape(high - low, -1)
                block = np.stack([columns @ row for row in tall.reshape(-1, *block.shape[1:])])
            mine = coarse.maps[start : start + step] - mean[coarse.channels]
            yield mine.reshape(-1, mine.shape[-1]), block.reshape(-1, block.shape[-1])


class Sums:
    """Weighted sums of pixels, collected band by band: the transposed of `widen` and `products`.

    Args:
        grid: whose pixels.
        count: number K of weights for each pixel.
    """

    def __init__(self, grid: Grid, count: int) -> None:
        self.grid, self.count = grid, count
        self.wide = np.zeros((sum(s.rows.source for s in grid.coarse), grid.size[1] * count), np.float32)
        self.fine = [np.zeros((stack.values.shape[1], count)) for stack in grid.whole]

    def add(self, band: Band, weights: np.ndarray) -> None:
        """Add a band's pixels with these weights, (pixels, K) float32."""
        self.wide[band.used] += band.spread @ weights.reshape(band.spread.shape[1], self.wide.shape[1])
        for stack, total in zip(self.grid.whole, self.fine, strict=True):
            total += stack.values[band.pixels].T @ weights

    def result(self) -> np.ndarray:
        """The sums, (D, K) float64."""
        grid, count, width = self.grid, self.count, self.grid.size[1]
        out = np.empty((grid.depth, count))
        for stack, total in zip(grid.whole, self.fine, strict=True):
            out[stack.channels] = total
        start = 0
        for stack in grid.coarse:
            height, narrow = stack.rows.source, stack.columns.source
            wide = self.wide[start : start + height].reshape(height, width, count)
            small = stack.columns.matrix.T @ swap(wide).reshape(width, height * count)
            small = swap(small.reshape(narrow, height, count)).reshape(height * narrow, count)
            out[stack.channels] = stack.values.T @ small
            start += height
        return out


def swap(block: np.ndarray) -> np.ndarray:
    """(a, b, k) -> (b, a, k)."""
    return block.transpose(1, 0, 2)


def spread_out(rows: sp.csr_array, small: np.ndarray, columns: sp.csr_array) -> np.ndarray:
    """rows @ small @ columns.T for sparse `rows` and `columns`."""
    return (columns @ (rows @ small).T).T


def neighbour_products(stack: Stack, shift: np.ndarray, scale: np.ndarray) -> list[np.ndarray]:
    """Products of (map - shift) / scale with itself and with its neighbours, summed over the channels.

    Returns:
        (h, w) of each place with itself, (h, w - 1) with the next one beside it, (h - 1, w) with the
        next one below, (h - 1, w - 1) of both diagonals; the last three are zeros for whole stacks.
    """
    height, width = stack.rows.source, stack.columns.source
    out = [np.zeros((height - i, width - j), np.float32) for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))]
    alone, beside, below, across = out
    shift = shift[stack.channels].astype(np.float32)
    factor = (1 / scale[stack.channels]).astype(np.float32)
    step = max(1, BAND // 8 // width)
    for start in range(0, height, step):
        stop = min(start + step, height)
        block = stack.maps[start : stop + 1] - shift
        block *= factor
        mine = block[: stop - start]
        alone[start:stop] = channel_product(mine, mine)
        if stack.whole:
            continue
        beside[start:stop] = channel_product(mine[:, :-1], mine[:, 1:])
        upper, lower = block[:-1], block[1:]
        rows = slice(start, start + len(lower))
        below[rows] = channel_product(upper, lower)
        across[rows] = channel_product(upper[:, :-1], lower[:, 1:]) + channel_product(
            upper[:, 1:], lower[:, :-1]
        )
    return out


def channel_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sum of a * b over the last axis."""
    return np.einsum("ijc,ijc->ij", a, b)


def checked(name: str, values: np.ndarray) -> np.ndarray:
    """One layer's maps as contiguous float32 (h, w, c), or a sentence about what is wrong with them."""
    values = np.asarray(values)
    if values.ndim == 1:  # a dense layer: one place that all pixels share
        values = values.reshape(1, 1, -1)
    if values.ndim != 3:
        raise ValueError(f"maps of {name} have shape {values.shape}: (h, w, c) expected")
    if values.size == 0:
        raise ValueError(f"maps of {name} are empty, {values.shape}: the picture is too small for this layer")
    values = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(values.sum(dtype=np.float64)):
        bad = int(values.size - np.isfinite(values).sum())
        raise ValueError(f"maps of {name}: {bad} of {values.size} values are not finite (NaN or infinite)")
    return values
