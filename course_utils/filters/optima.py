"""What an ascent found: pictures, how high each came, and which of them show nothing. Notebook 08."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from course_utils.filters.recipes import Recipe

Array = np.ndarray
CONTRAST = 38.0  # standard deviation, in levels of 0..255, of a picture made presentable
FLAT = 3.0  # a picture whose values stray less from their mean colour, in levels, is a plain colour
CLIPPED = 0.8  # share of values at 0 or 255 from which a picture counts as saturated


@dataclass(frozen=True)
class Optima:
    """What the ascent found; everything in the order in which the filters were asked for.

    Attributes:
        layer: where the filters are.
        filters: their indices, or -1 for a mix of several.
        titles: a short name for each.
        images: (N, H, W, 3) float32 RGB, as the network saw them; with a recipe that is not `legal` some
            values may lie outside 0..255. `shown` is for looking at.
        activation: (N,) mean activation at the end (after the ReLU; of the middle alone if the recipe climbs
            that; a class: its score).
        history: (steps + 1, N) what was climbed, before each step and at the end.
        alive: (N,) False where the filter had no slope to climb, or is silent in the inner half of its
            map, where the padded border does not reach: its picture shows noise, not a wish.
        restarts: (N,) how often a start without any gradient was replaced.
        recipe: what was followed.
    """

    layer: str
    filters: Array
    titles: tuple[str, ...]
    images: Array
    activation: Array
    history: Array
    alive: Array
    restarts: Array
    recipe: Recipe

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: Sequence[int] | slice | Array) -> Optima:
        """Some of them, as `Optima`."""
        chosen = np.arange(len(self))[which].reshape(-1)
        rows = {
            name: getattr(self, name)[chosen]
            for name in ("filters", "images", "activation", "alive", "restarts")
        }
        titles = tuple(self.titles[i] for i in chosen)
        return dataclasses.replace(self, titles=titles, history=self.history[:, chosen], **rows)

    def best(self, count: int = 64) -> Optima:
        """Those with the highest activation, silent ones last."""
        return self[np.argsort(np.where(self.alive, -self.activation, np.inf), kind="stable")[:count]]

    @property
    def shown(self) -> Array:
        """The pictures to look at, (N, H, W, 3) float32 RGB 0..255."""
        return self.images if self.recipe.legal else presentable(self.images)

    @property
    def marks(self) -> tuple[str, ...]:
        """For each "silent", "plain" (one colour), "clipped" (nearly all at 0 or 255), or nothing."""
        away = self.images - self.images.mean((1, 2), keepdims=True)
        flat = np.sqrt(np.mean(away**2, axis=(1, 2, 3))) < FLAT
        ends = ((self.images <= 0) | (self.images >= 255)).mean((1, 2, 3)) > CLIPPED
        return tuple(
            "silent" if not alive else "plain" if plain else "clipped" if clipped else ""
            for alive, plain, clipped in zip(self.alive, flat, ends, strict=True)
        )

    @property
    def note(self) -> str:
        """One sentence about silent filters and restarts."""
        silent, again = int((~self.alive).sum()), int((self.restarts > 0).sum())
        return f"{len(self)} filters of {self.layer}: {again} started again, {silent} silent to the end"


def presentable(images: Array) -> Array:
    """Give each picture the mean 128 and the same contrast, then clip to 0..255.

    Args:
        images: (..., H, W, 3) of any range; the blog post of 2016 shows its results in this way.
    """
    axes = (-3, -2, -1)
    centred = images - images.mean(axes, keepdims=True)
    spread = centred.std(axes, keepdims=True)
    return np.clip(128 + CONTRAST * centred / np.maximum(spread, 1e-5), 0, 255).astype(np.float32)
