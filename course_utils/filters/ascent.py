"""Gradient ascent on the input: the pictures that excite filters most, many at once. Notebook 08."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runtime
from course_utils.features.receptive_field import receptive_fields
from course_utils.filters import moves, recipes, targets
from course_utils.filters.losses import Hill
from course_utils.filters.optima import Array, Optima
from course_utils.filters.recipes import Recipe
from course_utils.filters.targets import Target
from course_utils.networks import graphs
from course_utils.pictures import images as pictures

if TYPE_CHECKING:
    import keras

TOGETHER = 16  # pictures in one batch, where memory allows
SHARE = 0.25  # of the free memory that a batch may take


def maximize(
    model: keras.Model,
    layer: str | int,
    filters: Sequence[int] | Array | None = None,
    *,
    recipe: str | Recipe = "blog",
    size: int | tuple[int, int] = 128,
    seed: int = 0,
    start: Array | None = None,
    batch: int | None = None,
    precision: str = "auto",
    restarts: int = 3,
    progress: bool = False,
    **changes: Any,
) -> Optima:
    """Find the pictures that excite filters most, many at once (Erhan et al. 2009). Notebook 08.

    Args:
        model: any chain of layers; only what lies before `layer` is computed.
        layer: a convolution by name or old number, or a dense layer ("predictions": class scores before
            the softmax).
        filters: indices, weights (N, channels) of mixes (see `between`, `together`), or None for all.
        recipe: "blog" (Chollet 2016: 20 steps of 1 from grey with noise), "clear" (jitter, rotation,
            total variation, coarse to fine, colours of photographs, before the ReLU; adapted to layers
            that see less than eight pixels), or a `Recipe` of your own.
        size: of the pictures, height and width or one number, in pixels.
        seed: filter k starts from the same noise whichever others are asked for.
        start: pictures (N, H, W, 3), RGB 0..255, to start from instead of noise.
        batch: pictures at once; by default 16, fewer where memory is short.
        precision: "auto" (bfloat16 where the processor is faster with it), "float32", "mixed_bfloat16".
        restarts: how often a start on which a filter has no gradient at all is replaced by a louder one.
        progress: show the time left on stderr.
        changes: single entries of the recipe, such as `steps=40`.

    Returns:
        `Optima`, in the order of `filters`.

    Raises:
        ValueError: no such layer or filter, a layer without filters, a size below the layer's stride, a
            start of another shape, an unknown recipe, or a gradient that is not finite.

    Warns:
        UserWarning: pictures smaller than the receptive field: no filter sees all it could see.
    """
    target = Target.of(model, layer)
    rule = recipes.chosen(recipe, changes, near=target.near)
    weights, indices, titles = targets.wanted(target, filters)
    shape = targets.checked_shape(target, size, start, len(titles))
    targets.check_smallest(target, recipes.stages(rule, shape)[0][0])
    targets.warn_of_border(target, shape)
    climb = _Climb(target, rule, shape, precision, restarts, seed)
    parts = []
    for chosen in _batches(len(titles), batch or affordable(target, shape), progress):
        first = None if start is None else np.asarray(start, np.float32)[chosen]
        parts.append(climb.run(weights[chosen], indices[chosen], chosen, first))
    found = _Part.joined(parts, len(titles))
    return Optima(
        target.name,
        indices,
        titles,
        images=found.images,
        activation=found.activation,
        history=found.history.T,
        alive=found.alive,
        restarts=found.restarts,
        recipe=rule,
    )


def _batches(count: int, batch: int, progress: bool) -> Iterator[Array]:
    """Positions in batches of one size, which one graph fits; the last is filled up with the first."""
    parts = math.ceil(count / max(1, batch))
    each = math.ceil(count / parts)
    places = np.arange(parts * each) % count
    rows: Any = places.reshape(parts, each)
    if progress:
        from tqdm import tqdm

        rows = tqdm(rows, desc="filters", unit="batch", leave=False)
    yield from rows


def affordable(target: Target, shape: tuple[int, int]) -> int:
    """How many pictures fit into a share of the free memory, 16 at most."""
    import psutil

    values = 0.0
    fields = receptive_fields(target.model)
    for name, step in graphs.of(target.model).steps.items():
        if len(step.output.shape) == 4:
            field = fields[name]
            stride = 1 if isinstance(field, str) else field.stride
            values += shape[0] * shape[1] / stride**2 * step.output.shape[-1]
        if name == target.name:
            break
    needed = 4 * 3 * values  # float32; a map, its gradient and a copy on the way
    return int(np.clip(SHARE * psutil.virtual_memory().available / needed, 1, TOGETHER))


@dataclass
class _Part:
    """What one batch gives: as in `Optima`, but every array has a row for each picture."""

    images: Array
    activation: Array
    history: Array
    alive: Array
    restarts: Array

    @classmethod
    def joined(cls, parts: Sequence[_Part], count: int) -> _Part:
        """All batches one after the other, without what the last was filled up with."""
        return cls(*(np.concatenate(rows)[:count] for rows in zip(*map(_Part._arrays, parts), strict=True)))

    def _arrays(self) -> tuple[Array, ...]:
        return self.images, self.activation, self.history, self.alive, self.restarts


class _Climb:
    """One recipe for one layer; `run` takes a batch of pictures up the hill."""

    def __init__(
        self,
        target: Target,
        recipe: Recipe,
        shape: tuple[int, int],
        precision: str,
        restarts: int,
        seed: int,
    ) -> None:
        self.target, self.recipe = target, recipe
        self.stages = recipes.stages(recipe, shape)
        self.precision = runtime.best_precision() if precision == "auto" else precision
        self.restarts, self.seed = restarts, seed

    def run(self, weights: Array, indices: Array, places: Array, start: Array | None) -> _Part:
        """Take one batch up; `places` name its pictures where indices don't."""
        rule, first = self.recipe, self.stages[0][0]
        names = indices if indices[0] >= 0 else places
        rng = np.random.default_rng([self.seed, int(names[0])])
        images = np.stack([self._noise(k, first) for k in names]) if start is None else start
        history: list[Array] = []
        sloped, restarts = np.zeros(len(names), bool), np.zeros(len(names), int)
        for shape, steps in self.stages:
            hill = Hill(self.target, rule, shape, self.precision, (weights, indices))
            images = _resized(images, shape)
            for _ in range(steps):
                away, back = moves.moved(images, rule, rng)
                values, gradient = hill.look(away)
                if not history and (moves.length(gradient) == 0).any():
                    images, values, gradient, restarts = self._awakened(hill, images, names)
                    back = _as_it_is
                sloped |= moves.length(gradient) > 0
                images = self._stepped(images, back(gradient), len(history))
                history.append(values)
        climbed, activation, awake = hill.measure(images)
        alive = awake & (sloped | (rule.steps == 0))
        rows = np.stack([*history, climbed], axis=1)
        return _Part(images.astype(np.float32), activation, rows, alive, restarts)

    def _stepped(self, images: Array, gradient: Array, number: int) -> Array:
        rule = self.recipe
        uphill = moves.direction(images, gradient, rule, (number + 1) / rule.steps)
        # With moved looks long steps come first, to find the place; then short ones, to settle.
        fade = 1 - 0.7 * number / rule.steps if rule.jitter or rule.turn else 1.0
        images = images + rule.step * fade * uphill
        return np.clip(images, 0, 255) if rule.legal else images

    def _noise(self, name: int, shape: tuple[int, int], attempt: int = 0) -> Array:
        """Grey with noise; louder with every attempt."""
        random = np.random.default_rng([self.seed, attempt, int(name)]).random((*shape, 3), np.float32)
        return 128 + (random - 0.5) * min(255.0, self.recipe.noise * 3.0**attempt)

    def _awakened(self, hill: Hill, images: Array, names: Array) -> tuple[Array, Array, Array, Array]:
        """Replace starts whose gradient is zero everywhere by louder ones; says how often for each."""
        values, gradient = hill.look(images)
        restarts = np.zeros(len(names), int)
        for attempt in range(1, self.restarts + 1):
            flat = moves.length(gradient) == 0
            if self.target.dense or not flat.any():
                break
            images = images.copy()
            for k in np.flatnonzero(flat):
                images[k] = self._noise(names[k], images.shape[1:3], attempt)
            restarts += flat
            values, gradient = hill.look(images)
        return images, values, gradient, restarts


def _as_it_is(gradient: Array) -> Array:
    return gradient


def _resized(images: Array, shape: tuple[int, int]) -> Array:
    return images if images.shape[1:3] == shape else pictures.resize(images, shape)
