"""Hypercolumns without building them (Hariharan et al. 2015, on efficient classifiers). Notebook 03."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from course_utils.pictures.resampling import stretch

from .grid import Grid, Sums

if TYPE_CHECKING:
    import keras

    from .dense import Layers, Size
    from .strips import Padding


class Factored:
    """The hypercolumns of a picture as one linear object, never built.

    Every method gives what the same operation gives on the dense (H, W, D) array, to rounding; the
    work happens on the small maps.

    Args:
        maps: {layer: (h, w, c)}; the layers' order is that of the channels in a hypercolumn. Float32
            maps are used where they lie, not copied. A vector (c,) counts as a 1x1 map: every pixel
            has the same values.
        size: (H, W) of the picture that the pixels belong to.

    Raises:
        ValueError: no maps, maps of another rank or without values, values that are not finite.
    """

    def __init__(self, maps: Mapping[str, np.ndarray], size: tuple[int, int]) -> None:
        self.grid = Grid(maps, size)
        self.shift = np.zeros(self.grid.depth)
        self.scale = np.ones(self.grid.depth)

    @classmethod
    def from_model(
        cls,
        model: keras.Model,
        image: np.ndarray,
        layers: Layers,
        size: Size = None,
        *,
        padding: Padding = "mirror",
    ) -> Factored:
        """The hypercolumns of a picture under a model; arguments as those of `extract`.

        The network was trained with zeros around its maps, and its deep layers see that frame: clusters
        of their own lie along the edge. So every convolution mirrors its maps at the edge instead, unless
        `padding` is "zeros".
        """
        from .dense import maps_for

        return cls(*maps_for(model, image, layers, size, padding))

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.grid.size

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, D) of the dense array that is not built."""
        return (*self.grid.size, self.grid.depth)

    @property
    def layers(self) -> dict[str, slice]:
        """{layer: its channels in the hypercolumn}."""
        return {stack.name: stack.channels for stack in self.grid.stacks}

    @property
    def maps(self) -> dict[str, np.ndarray]:
        """{layer: (h, w, c)}, the maps as they were given, unscaled."""
        return {stack.name: stack.maps for stack in self.grid.stacks}

    @property
    def map_bytes(self) -> int:
        """Memory of the maps themselves, in bytes."""
        return sum(stack.values.nbytes for stack in self.grid.stacks)

    def dense(self) -> np.ndarray:
        """Build the array after all: (H, W, D) float32."""
        out = np.empty(self.shape, np.float32)
        for stack in self.grid.stacks:
            out[..., stack.channels] = stretch(stack.maps, self.size)
        if self.shift.any() or (self.scale != 1).any():
            out -= self.shift.astype(np.float32)
            out /= self.scale.astype(np.float32)
        return out

    # --- scaling --------------------------------------------------------------------------------------

    def scaled(self, shift: np.ndarray | float, scale: np.ndarray | float) -> Factored:
        """The hypercolumns with every channel shifted and scaled: (x - shift) / scale.

        Args:
            shift, scale: a number or (D,); scale above 0.

        Returns:
            Another view of the same maps; nothing is copied.
        """
        shift, scale = (np.broadcast_to(np.asarray(v, float), (self.grid.depth,)) for v in (shift, scale))
        if not np.all(scale > 0):
            raise ValueError("every channel's scale must be above 0")
        other = object.__new__(type(self))
        other.grid = self.grid
        other.shift, other.scale = self.shift + self.scale * shift, self.scale * scale
        return other

    def standardized(self) -> Factored:
        """Every channel with mean 0 and standard deviation 1 over the pixels.

        A channel that is the same everywhere becomes 0, as scikit-learn's StandardScaler does it.
        """
        mean, deviation = self.mean(), self.std()
        constant = deviation <= 1e-6 * np.abs(mean)
        return self.scaled(mean, np.where(constant, 1.0, deviation))

    # --- the two products -----------------------------------------------------------------------------

    def raw(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights (D, K) for the unscaled channels, float32, and the (K,) that the shift takes away."""
        weights = weights / self.scale[:, None]
        return np.ascontiguousarray(weights, np.float32), (self.shift @ weights).astype(np.float32)

    def dot(self, weights: np.ndarray) -> np.ndarray:
        """The product of every pixel's hypercolumn with one or several weight vectors.

        Args:
            weights: (D,) or (D, K).

        Returns:
            (H, W) or (H, W, K) float32.
        """
        weights = np.asarray(weights)
        depth = self.grid.depth
        if weights.ndim not in (1, 2) or len(weights) != depth:
            raise ValueError(f"weights of shape {weights.shape}: ({depth},) or ({depth}, K) expected")
        raw, away = self.raw(weights.reshape(depth, -1))
        out = np.empty((self.grid.pixels, raw.shape[1]), np.float32)
        wide = self.grid.widen(raw)
        for band in self.grid.bands:
            np.subtract(self.grid.products(band, wide, raw), away, out=out[band.pixels])
        return out.reshape(*self.size, *weights.shape[1:])

    def sums(self, weights: np.ndarray) -> np.ndarray:
        """Weighted sums of all pixels' hypercolumns: the transposed of `dot`.

        Args:
            weights: (H, W) or (H, W, K), K weights for every pixel.

        Returns:
            (D,) or (D, K) float64.
        """
        weights = np.asarray(weights)
        if weights.ndim not in (2, 3) or weights.shape[:2] != self.size:
            raise ValueError(
                f"weights of shape {weights.shape}: (H, W) or (H, W, K) with {self.size} expected"
            )
        flat = weights.reshape(self.grid.pixels, -1)
        total = Sums(self.grid, flat.shape[1])
        for band in self.grid.bands:
            total.add(band, np.ascontiguousarray(flat[band.pixels], np.float32))
        out = total.result() - self.shift[:, None] * flat.sum(axis=0, dtype=np.float64)
        return (out / self.scale[:, None]).reshape(-1, *weights.shape[2:])

    # --- what follows from them -----------------------------------------------------------------------

    def mean(self) -> np.ndarray:
        """Mean of every channel over the pixels: (D,) float64."""
        return (self.grid.mean() - self.shift) / self.scale

    def std(self) -> np.ndarray:
        """Standard deviation of every channel over the pixels: (D,) float64."""
        return np.sqrt(self.grid.variances()) / self.scale

    def covariance(self) -> np.ndarray:
        """Covariance of the channels over the pixels, divided by their number: (D, D) float64."""
        out = self.grid.covariance()
        out /= self.scale
        out /= self.scale[:, None]
        return out

    def region_means(self, regions: np.ndarray) -> np.ndarray:
        """Mean hypercolumn of every region.

        Args:
            regions: (H, W) bool for one region, or int with the regions numbered from 0; negative
                numbers belong to none.

        Returns:
            (D,) for a bool mask, (K, D) for numbers 0 to K - 1, float64; NaN where a region is empty.
        """
        regions = np.asarray(regions)
        if regions.shape != self.size:
            raise ValueError(f"regions of shape {regions.shape} on a picture of {self.size}")
        numbers = np.where(regions, 0, -1) if regions.dtype == bool else regions
        count = max(int(numbers.max()) + 1, 1)
        flat, kinds = numbers.reshape(-1, 1), np.arange(count)
        total = Sums(self.grid, count)
        for band in self.grid.bands:
            total.add(band, (flat[band.pixels] == kinds).astype(np.float32))
        with np.errstate(invalid="ignore", divide="ignore"):
            means = total.result() / np.bincount(flat[flat >= 0], minlength=count)
        means = (means.T - self.shift) / self.scale
        return means[0] if regions.dtype == bool else means

    def pixels(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The hypercolumns of N pixels at (rows, columns): (N, D) float32."""
        rows, columns = np.atleast_1d(rows), np.atleast_1d(columns)
        for places, count, what in ((rows, self.size[0], "row"), (columns, self.size[1], "column")):
            if places.size and (places.min() < 0 or places.max() >= count):
                raise ValueError(f"a pixel outside the picture: {what}s go from 0 to {count - 1}")
        out = self.grid.read(rows, columns)
        out -= self.shift.astype(np.float32)
        out /= self.scale.astype(np.float32)
        return out

    def pixel(self, row: int, column: int) -> np.ndarray:
        """One pixel's hypercolumn: (D,) float32."""
        return self.pixels(np.array([row]), np.array([column]))[0]

    # --- lengths and distances ------------------------------------------------------------------------

    @cached_property
    def spread(self) -> np.ndarray:
        """Squared distance of every pixel from the mean pixel: (H, W) float32."""
        return self.grid.squared_norms(self.grid.mean(), self.scale)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Length of every pixel's hypercolumn: (H, W) float32."""
        return np.sqrt(self.grid.squared_norms(self.shift, self.scale))

    def squared_distances(self, vectors: np.ndarray) -> np.ndarray:
        """Squared distance of every pixel from one or several vectors.

        Args:
            vectors: (D,) or (K, D).

        Returns:
            (H, W) or (H, W, K) float32. Taken about the mean pixel, so that a large common part of
            all activations costs no precision.
        """
        vectors = np.asarray(vectors, np.float64)
        away = np.atleast_2d(vectors) - self.mean()
        out = self.dot(away.T)
        out -= (away @ self.mean() + np.einsum("kd,kd->k", away, away) / 2).astype(np.float32)
        out *= -2
        out += self.spread[..., None]
        return np.maximum(out, 0, out=out).reshape(*self.size, *vectors.shape[:-1])

    def similarity(self, row: int, column: int, kind: Literal["cosine", "distance"] = "cosine") -> np.ndarray:
        """How similar every pixel is to one pixel.

        Args:
            row, column: the pixel.
            kind: "cosine" of the angle between the hypercolumns, -1 to 1 (0 where one has length 0), or
                "distance", the negative Euclidean distance (0 is the most similar).

        Returns:
            (H, W) float32.
        """
        if kind not in ("cosine", "distance"):
            raise ValueError(f"kind={kind!r}: 'cosine' and 'distance' exist")
        vector = self.pixel(row, column)
        return self.cosines(vector) if kind == "cosine" else -np.sqrt(self.squared_distances(vector))

    def cosines(self, vector: np.ndarray) -> np.ndarray:
        """Cosine of the angle between every pixel's hypercolumn and a vector, such as one of another picture.

        Args:
            vector: (D,).

        Returns:
            (H, W) float32, -1 to 1; 0 where one of the two has length 0.
        """
        lengths = self.lengths * np.float32(np.linalg.norm(vector))
        out = np.divide(self.dot(vector), lengths, out=np.zeros(self.size, np.float32), where=lengths > 0)
        return np.clip(out, -1, 1, out=out)
