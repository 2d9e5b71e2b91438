"""The problem at one size: targets from the photograph and the artworks, a compiled loss, what it needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runtime
from course_utils.pictures import images as pictures

from .colours import recoloured
from .losses import NORMALIZATIONS, mean_gram, total_variation, weigh
from .networks import chain, is_normalized, normalize, once, twin
from .optimizers import Limits, grey_level
from .settings import Settings, check_masks, check_pictures, check_settings

if TYPE_CHECKING:
    import keras

Array = np.ndarray
COPIES = 2.0  # bytes of a step as a multiple of those of all maps; 1.2 to 1.4 were measured from 512 px up


@dataclass(frozen=True)
class _Graph:
    """The compiled loss of a network for some layers; everything else is an argument of it."""

    part: keras.Model
    evaluate: Callable[..., tuple[Any, Any]]
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]


def _graph(
    model: keras.Model, content: Sequence[str], style: Sequence[str], precision: str, calm: bool
) -> _Graph:
    """The compiled loss, made once for each network, choice of layers, precision and penalty on noise."""
    from course_utils.features.layers import layer_name
    from course_utils.features.maps import tap

    names = [layer_name(layer, model) for layer in (*content, *style)]
    count = len(content)

    def make() -> _Graph:
        from keras import ops

        from course_utils.networks import gradients

        order = [layer.name for layer in chain(model)]
        part = tap(twin(model, max(names, key=order.index), precision), names)

        def losses(x: Any, factors: Any, variation: Any, *wanted: Any) -> Any:
            maps = part(x, training=False)
            maps = maps if isinstance(maps, list | tuple) else [maps]
            noise = variation * total_variation(x) if calm else ops.zeros(())
            targets, masks = wanted[: len(names)], wanted[len(names) :]
            return ops.stack([*weigh(maps, factors, targets, count, masks), noise])

        evaluate = gradients.value_and_gradient(losses)
        return _Graph(part, evaluate, tuple(names[:count]), tuple(names[count:]))

    return once(model, (tuple(names), count, precision, calm), make)


class Problem:
    """Photograph, artworks, network and settings; `at(size)` is the loss at one size. Made by `pose`."""

    def __init__(
        self,
        model: keras.Model,
        content: Array | None,
        styles: list[tuple[Array, float]],
        settings: Settings,
    ) -> None:
        from course_utils.networks import pretrained

        self.model, self.content, self.styles, self.settings = model, content, styles, settings
        self.about = pretrained.about(model)
        if settings.normalized and not is_normalized(model):
            model = once(model, "normalized", lambda: normalize(model))
        auto = settings.precision == "auto"
        self.precision = runtime.best_precision() if auto else settings.precision
        layers = settings.content_layers if content is not None else ()
        strokes = settings.style_layers if styles else ()
        self.weights = [*_weights(layers), *_weights(strokes)]
        self.graph = _graph(model, list(layers), list(strokes), self.precision, settings.variation > 0)
        ends = self.about.preprocess(np.stack([np.zeros((1, 1, 3)), np.full((1, 1, 3), 255.0)]))
        self.limits: Limits = np.sort(ends, axis=0).astype(np.float64)

    def exactly(self) -> Problem:
        """The same problem in float32."""
        return Problem(self.model, self.content, self.styles, replace(self.settings, precision="float32"))

    def shape(self, size: int) -> tuple[int, int]:
        """Height and width of the result: those of the photograph, or a square."""
        if self.content is None:
            return size, size
        return fitted(self.content, size)

    def style_size(self, size: int) -> int:
        """The longer side of the artworks, when that of the result is `size`."""
        return max(1, round(size * self.settings.style_scale))

    def x(self, image: Array) -> Array:
        """A picture as the network takes it, (1, h, w, 3)."""
        return self.about.preprocess(image)[None]

    def picture(self, x: Any) -> Array:
        """Back to RGB, clipped to 0..255."""
        return self.about.deprocess(np.asarray(x, np.float32)[0])

    def base(self, size: int) -> Array:
        """The picture to start from at this size, as x."""
        shape, start = self.shape(size), self.settings.start
        if not isinstance(start, str):
            return self.x(pictures.resize(start, shape))
        if start == "photo" and self.content is not None:
            return self.x(pictures.resize(self.content, shape))
        if start == "artwork":
            return self.x(_covering(self.styles[0][0], shape))
        grey = np.random.default_rng(self.settings.seed).normal(128, 20, (*shape, 3))
        return self.x(np.clip(grey, 0, 255).astype(np.float32))

    def maps(self, image: Array) -> list[Array]:
        """What the chosen layers make of a picture."""
        from course_utils.networks import gradients

        found = gradients.forward(self.graph.part, self.x(image))
        return found if isinstance(found, list) else [found]

    def at(self, size: int) -> Callable[[Any], tuple[Any, Any]]:
        """x, (1, h, w, 3) -> the three losses, and the gradient of their sum."""
        shape, count = self.shape(size), len(self.graph.content_layers)
        targets: list[Array] = []
        if self.content is not None:
            targets += self.maps(pictures.resize(self.content, shape))[:count]
        artworks = []
        for image, _ in self.styles:
            strokes = self.maps(pictures.fit(image, self.style_size(size)))[count:]
            artworks.append([np.asarray(mean_gram(each)) for each in strokes])
        masks = self._masks(shape)
        for grams in zip(*artworks, strict=True):
            mixed = sum(share * each for (_, share), each in zip(self.styles, grams, strict=True))
            targets.append(np.stack(grams) if masks else mixed)
        self._finite(targets)
        factors, variation = self._factors(shape, size), self._variation()
        return lambda x: self.graph.evaluate(x, factors, variation, *targets, *masks)

    def _masks(self, shape: tuple[int, int]) -> list[Array]:
        """The masks in the sizes of the style layers: for each (regions, h, w, 1), or nothing."""
        masks = [np.asarray(mask, np.float32)[..., None] for mask in self.settings.masks or ()]
        sizes = self.sizes(shape)[len(self.graph.content_layers) :] if masks else []
        return [np.stack([pictures.resize(mask, size[:2]) for mask in masks]) for size in sizes]

    def _factors(self, shape: tuple[int, int], size: int) -> Array:
        """alpha or beta times the layer's weight times its normalization, for each layer."""
        settings, count = self.settings, len(self.graph.content_layers)
        rule, beta = NORMALIZATIONS[settings.normalization], self.beta()
        factors = []
        for i, (channels, places) in enumerate(self.extents(shape)):
            known = (channels, places, shape[0] * shape[1])
            factor = settings.alpha * rule.content(*known) if i < count else beta * rule.style(*known)
            if i < count and settings.normalization in ("paper", "keras"):
                factor *= (settings.size / size) ** 2  # their sum over places grows with the picture
            factors.append(factor * self.weights[i])
        return np.array(factors, np.float32)

    def _variation(self) -> np.float32:
        """The weight of the total variation, which counts in grey values."""
        return np.float32(self.settings.variation / grey_level(self.limits) ** 2)

    def extents(self, shape: tuple[int, int]) -> list[tuple[int, int]]:
        """Channels and places of each chosen layer, for a picture of a shape."""
        return [(channels, height * width) for height, width, channels in self.sizes(shape)]

    def sizes(self, shape: tuple[int, int]) -> list[tuple[int, int, int]]:
        """Height, width and channels of each chosen layer, for a picture of a shape."""
        found = self.graph.part.compute_output_shape((1, *shape, 3))
        return [tuple(each[1:]) for each in (found if isinstance(found, list) else [found])]

    def beta(self) -> float:
        """The weight of the style, found where none was given (see `Settings`)."""
        settings, count = self.settings, len(self.graph.content_layers)
        if settings.beta is not None:
            return settings.beta
        values = [c * places for c, places in self.extents(self.shape(settings.size))[:count]]
        return settings.strength * settings.alpha * (sum(values) / len(values)) if values else 1.0

    def _finite(self, targets: Sequence[Array]) -> None:
        names = (*self.graph.content_layers, *self.graph.style_layers)
        bad = {name for name, each in zip(names, targets, strict=True) if not np.isfinite(each).all()}
        if bad:
            first = next(layer.name for layer in self.graph.part.layers if layer.name in bad)
            raise ValueError(f"these weights give values that are not finite in {first}: they are damaged")


def pose(model: keras.Model, content: Array | None, style: Any, settings: Settings) -> Problem:
    """The problem that `transfer` solves, its arguments checked; `pose(…).at(size)` is the loss alone."""
    check_settings(settings)
    content, styles = check_pictures(content, style, settings)
    check_masks(settings.masks, len(styles))
    return Problem(model, *recoloured(content, styles, settings.colours), settings)


def fitted(image: Array, size: int) -> tuple[int, int]:
    """Height and width of a picture whose longer side becomes `size`."""
    scale = size / max(image.shape[:2])
    return max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))


def _covering(image: Array, shape: tuple[int, int]) -> Array:
    """The middle of a picture, resized to cover a shape."""
    scale = max(shape[0] / image.shape[0], shape[1] / image.shape[1])
    size = [max(shape[i], round(image.shape[i] * scale)) for i in (0, 1)]
    top, left = ((size[i] - shape[i]) // 2 for i in (0, 1))
    return pictures.resize(image, (size[0], size[1]))[top : top + shape[0], left : left + shape[1]]


def _weights(layers: Sequence[str] | Mapping[str, float]) -> list[float]:
    """A weight for each layer: the mapping's, or equal shares of 1 (w_l in the paper)."""
    if isinstance(layers, Mapping):
        return [float(weight) for weight in layers.values()]
    return [1 / len(layers) for _ in layers]


def narrowest_side(problem: Problem, size: int) -> int:
    """The shortest side of any picture that goes through the network at a size."""
    shapes = [problem.shape(size), *(fitted(image, problem.style_size(size)) for image, _ in problem.styles)]
    return min(min(shape) for shape in shapes)


def stride(problem: Problem) -> tuple[int, str]:
    """By how much the poolings before the deepest layer shrink a picture, and that layer."""
    from course_utils.features.receptive_field import receptive_field

    layers = (*problem.graph.content_layers, *problem.graph.style_layers)
    fields = {layer: receptive_field(problem.graph.part, layer).stride for layer in layers}
    return max((stride, layer) for layer, stride in fields.items())


def memory_needed(problem: Problem, size: int) -> float:
    """About how many bytes a step takes: all maps are kept for the gradient, and there are copies."""
    shape, values = (1, *problem.shape(size), 3), 0
    for layer in problem.graph.part.layers[1:]:
        shape = layer.compute_output_shape(shape)
        values += math.prod(shape)
    return 4.0 * COPIES * values


def check_memory(problem: Problem) -> None:
    """Refuse a size that can't fit, and say one that does (on a CPU; a GPU tells by itself)."""
    import psutil

    size, free = problem.settings.size, psutil.virtual_memory().available
    needed = memory_needed(problem, size)
    if needed > free and not runtime.gpus():
        fits = int(size * math.sqrt(free / needed) * 0.9) // 16 * 16
        raise ValueError(
            f"size={size} needs about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free: "
            f"size={fits} fits"
        )
