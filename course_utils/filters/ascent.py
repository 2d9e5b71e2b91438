"""Gradient ascent on the input: the pictures that excite filters most, many at once. Notebook 08.

The loss is one number for each picture of a batch, the mean activation of that picture's own filter. The
gradient of their sum gives every picture its own gradient, because no picture touches another's number.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from scipy import fft

from course_utils import runtime
from course_utils.features.layers import layer_name
from course_utils.features.receptive_field import receptive_field
from course_utils.networks import gradients, pretrained

if TYPE_CHECKING:
    import keras

Array = np.ndarray
TOGETHER = 16  # pictures in one batch, where memory allows
SHARE = 0.25  # of the free memory that a batch may take
CONTRAST = 38.0  # standard deviation, in levels of 0..255, of a picture made presentable


@dataclass(frozen=True)
class Recipe:
    """How a picture climbs.

    Attributes:
        steps: how many.
        step: length of each, in levels of 0..255: the root of the mean square over the picture's values.
        noise: width of the uniform noise around grey at the start, in levels.
        leak: how much of what is below zero counts. 0: activation after the ReLU, as in the document;
            1: the sums before the ReLU; between: mostly the activation, but a silent filter has a slope.
        jitter: the picture is moved by up to so many pixels before each look, then moved back.
        turn: the same with a rotation of up to so many degrees.
        smooth: exponent a of the slope 1/f**a that the gradient's spectrum is multiplied with: large
            structures grow first. Equals ascent in a Fourier parametrization (Olah et al. 2017). 0: none.
        coarse: share of the steps in which fine frequencies are let in one after the other.
        variation: weight of the total variation (Mahendran and Vedaldi 2015), relative to the gradient.
        legal: keep every value within 0..255, so that the result is a real picture.
    """

    name: str
    steps: int = 20
    step: float = 1.0
    noise: float = 20.0
    leak: float = 0.0
    jitter: int = 0
    turn: float = 0.0
    smooth: float = 0.0
    coarse: float = 0.0
    variation: float = 0.0
    legal: bool = False


RECIPES: dict[str, Recipe] = {
    "blog": Recipe("blog"),
    "clear": Recipe(
        "clear",
        steps=40,
        step=6.0,
        leak=0.1,
        jitter=6,
        turn=4.0,
        smooth=1.0,
        coarse=0.5,
        variation=0.15,
        legal=True,
    ),
}

# What "clear" changes for layers that see a few pixels only, where nothing is coarse and a turn blurs.
NEAR = {"noise": 100.0, "turn": 0.0, "smooth": 0.3, "coarse": 0.0, "variation": 0.3}

# Covariance of red, green and blue in the photographs of `images.SAMPLES`, divided by its largest value.
COLOURS = np.array([[1.00, 0.68, 0.52], [0.68, 0.68, 0.64], [0.52, 0.64, 0.72]], np.float32)


@dataclass(frozen=True)
class Optima:
    """What the ascent found; everything in the order in which the filters were asked for.

    Attributes:
        layer: where the filters are.
        filters: their indices, or -1 for a mix of several.
        titles: a short name for each.
        images: (N, H, W, 3) float32 RGB, as the network saw them; with a recipe that is not `legal` some
            values may lie outside 0..255. `shown` is for looking at.
        activation: (N,) mean activation at the end (after the ReLU; a class: its score).
        history: (steps + 1, N) what was climbed, before each step and at the end.
        alive: (N,) False where the filter stayed silent to the end: its picture shows noise, not a wish.
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


def between(first: int, second: int, count: int, channels: int) -> Array:
    """Mixes on the way from one filter to another: weights (count, channels), each of length 1."""
    angles = np.linspace(0, np.pi / 2, count)
    mixes = np.zeros((count, channels), np.float32)
    mixes[:, first] += np.cos(angles)
    mixes[:, second] += np.sin(angles)
    return mixes


def together(groups: Sequence[Sequence[int]], channels: int) -> Array:
    """Mixes in which the filters of a group count equally: weights (groups, channels), each of sum 1."""
    mixes = np.zeros((len(groups), channels), np.float32)
    for mix, group in zip(mixes, groups, strict=True):
        mix[list(group)] = 1 / len(group)
    return mixes


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
            total variation, coarse to fine, before the ReLU; adapted to layers that see less than eight
            pixels), or a `Recipe` of your own.
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
    target = _Target.of(model, layer)
    rule = _recipe(recipe, _near(target, recipe) | changes)
    weights, indices, titles = _wanted(target, model, filters)
    shape = _checked_size(target, size, start, len(titles))
    climb = _Climb(target, rule, shape, precision, restarts, seed)
    parts = []
    for chosen in _batches(len(titles), batch or climb.affordable(), progress):
        first = None if start is None else np.asarray(start, np.float32)[chosen]
        parts.append(climb.run(weights[chosen], indices[chosen], chosen, first))
    images, activation, history, alive, again = (
        np.concatenate([part[k] for part in parts], axis=1 if k == 2 else 0)[..., : len(titles)]
        if k == 2
        else np.concatenate([part[k] for part in parts])[: len(titles)]
        for k in range(5)
    )
    return Optima(target.name, indices, titles, images, activation, history, alive, again, rule)


# --- what is asked for ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Target:
    """A layer whose filters can be maximized."""

    model: Any
    name: str
    layer: Any
    dense: bool

    @classmethod
    def of(cls, model: keras.Model, layer: str | int) -> _Target:
        from keras import layers

        name = layer_name(layer, model)
        found = model.get_layer(name)
        if not isinstance(found, layers.Conv2D | layers.Dense):
            able = [each.name for each in model.layers if isinstance(each, layers.Conv2D | layers.Dense)]
            raise ValueError(
                f"{name} has no filters of its own (it is a {type(found).__name__}); "
                f"layers with filters: {', '.join(able)}"
            )
        return cls(model, name, found, isinstance(found, layers.Dense))

    @property
    def channels(self) -> int:
        return int(self.layer.kernel.shape[-1])


def _recipe(recipe: str | Recipe, changes: dict[str, Any]) -> Recipe:
    if isinstance(recipe, str) and recipe not in RECIPES:
        raise ValueError(f"recipe={recipe!r}: there are {', '.join(RECIPES)}, or a Recipe of your own")
    rule = RECIPES[recipe] if isinstance(recipe, str) else recipe
    known = {field.name for field in dataclasses.fields(Recipe)}
    if unknown := sorted(set(changes) - known):
        raise ValueError(f"a recipe has no entry {unknown[0]!r}; it has {', '.join(sorted(known))}")
    rule = dataclasses.replace(rule, **changes)
    if rule.steps < 0 or not np.isfinite(rule.step) or not 0 <= rule.leak <= 1:
        raise ValueError(f"steps={rule.steps}, step={rule.step}, leak={rule.leak}: these make no ascent")
    return rule


def _near(target: _Target, recipe: str | Recipe) -> dict[str, Any]:
    """Changes to the recipe "clear" where a filter sees less than eight pixels."""
    near = not target.dense and receptive_field(target.model, target.name).size < 8
    return dict(NEAR) if near and recipe == "clear" else {}


def _wanted(target: _Target, model: keras.Model, filters: Any) -> tuple[Array, Array, tuple[str, ...]]:
    """Weights (N, C), indices (N,) with -1 for mixes, and titles."""
    count = target.channels
    asked: Any = np.arange(count) if filters is None else np.asarray(filters)
    if asked.ndim == 2:
        if asked.shape[1] != count or not np.isfinite(asked).all():
            raise ValueError(
                f"mixes of {target.name} need (N, {count}) finite weights, these are {asked.shape}"
            )
        return asked.astype(np.float32), np.full(len(asked), -1), ("mix",) * len(asked)
    asked = np.atleast_1d(asked)
    if asked.size == 0 or asked.ndim != 1 or asked.dtype.kind not in "iu":
        raise ValueError(f"filters={filters!r}: give indices such as [0, 5, 17], or None for all")
    outside = asked[(asked < 0) | (asked >= count)]
    if outside.size:
        raise ValueError(
            f"{target.name} has {count} filters, 0 to {count - 1}; there is no filter {outside[0]}"
        )
    names = pretrained.about(model).class_names if target.dense else ()
    known = len(names) == count
    titles = tuple(names[i].split(",")[0] if known else str(i) for i in asked)
    return np.eye(count, dtype=np.float32)[asked], asked.astype(int), titles


def _checked_size(
    target: _Target, size: int | tuple[int, int], start: Array | None, count: int
) -> tuple[int, int]:
    """The pictures' height and width, after all complaints."""
    if start is not None:
        if np.shape(start)[0] != count or np.ndim(start) != 4 or np.shape(start)[-1] != 3:
            raise ValueError(
                f"start: expected ({count}, height, width, 3), one for each filter, found {np.shape(start)}"
            )
        size = np.shape(start)[1:3]
    sides = (size, size) if isinstance(size, int | np.integer) else tuple(size)
    shape = (int(sides[0]), int(sides[1]))
    fixed = target.model.input_shape[1:3]
    if target.dense:
        if None not in fixed and shape != fixed:
            raise ValueError(f"{target.name} takes pictures of {fixed[0]} x {fixed[1]}: give size={fixed[0]}")
        return shape
    field = receptive_field(target.model, target.name)
    if min(shape) < max(field.stride, target.layer.kernel_size[0]):
        least = max(field.stride, target.layer.kernel_size[0])
        raise ValueError(
            f"{shape[0]} x {shape[1]} pixels leave {target.name} no place to look at: {least} is the least"
        )
    if min(shape) < field.size:
        warnings.warn(
            f"{target.name} looks at {field.size} x {field.size} pixels, the pictures have {shape[0]} x "
            f"{shape[1]}: every value also sees the border. size={field.size} shows all of it.",
            stacklevel=3,
        )
    return shape


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


# --- the graph --------------------------------------------------------------------------------------------

_GRAPHS: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


def affine(model: keras.Model) -> tuple[Array, Array]:
    """A model's preprocessing as x = image @ matrix + offset, which a gradient passes through.

    Raises:
        ValueError: it does not treat every pixel alike.
    """
    prepare = pretrained.about(model).preprocess
    probes = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)])[:, None, None, :].astype(np.float32)
    answers = np.stack([np.asarray(prepare(probe), np.float32)[0, 0] for probe in probes])
    matrix, offset = (answers[1:] - answers[0]) / 255, answers[0]
    test = np.random.default_rng(0).uniform(0, 255, (4, 4, 3)).astype(np.float32)
    if not np.allclose(prepare(test), test @ matrix + offset, atol=1e-2):
        raise ValueError("this model's preprocessing mixes pixels: no gradient can be passed through it here")
    return matrix, offset


def _trunk(target: _Target, shape: tuple[int, int], precision: str) -> Any:
    """What lies before the layer: the model's own layers, or a twin in another precision or for any size."""
    import keras

    if target.layer.input is target.model.input:
        return lambda x: x
    part = keras.Model(target.model.input, target.layer.input)
    fits = part.input_shape[1:3] in ((None, None), shape)
    if precision == "float32" and fits and all(_is_float32(layer) for layer in part.layers):
        return part

    def same(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "dtype": precision})

    free = None if target.dense else keras.Input((None, None, 3))
    return keras.models.clone_model(part, input_tensors=free, clone_function=same)


def _is_float32(layer: Any) -> bool:
    return layer.dtype_policy.name == "float32"


def _graph(target: _Target, shape: tuple[int, int], precision: str, single: bool) -> Any:
    """`fn(x, picks, leak, kernel, bias) -> (values (N,), gradient)`, made once for each model."""
    import keras

    made = _GRAPHS.setdefault(target.model, {})
    fits = target.model.input_shape[1:3] in ((None, None), shape)
    key = (target.name, precision, single, fits)
    if key not in made:
        trunk = _trunk(target, shape, precision)
        made[key] = (
            trunk,
            _compile(trunk, _convolution(target.layer), precision, single),
        )
    trunk, fn = made[key]
    if isinstance(trunk, keras.Model) and trunk.layers[-1] is not target.layer.input._keras_history.operation:
        now = keras.Model(target.model.input, target.layer.input)
        trunk.set_weights(now.get_weights())  # a twin: the model may have been trained since
    return fn


def _compile(trunk: Any, options: dict[str, Any] | None, precision: str, single: bool) -> Any:
    """The loss of every picture, and its gradient. (Holds no reference to the whole model.)"""
    from keras import ops

    dtype = "bfloat16" if precision == "mixed_bfloat16" else "float32"

    def loss(x: Any, picks: Any, leak: Any, kernel: Any, bias: Any) -> Any:
        below = ops.cast(trunk(x), dtype)
        kernel, bias = ops.cast(kernel, dtype), ops.cast(bias, dtype)
        if options is None:  # a dense layer: scores
            return ops.sum(ops.cast(ops.matmul(below, kernel) + bias, "float32") * picks, axis=1)
        if single:
            own = one_filter_each(below, ops.take(kernel, picks, axis=-1), ops.take(bias, picks))
            sums, picks = own[..., None], ops.ones((1, 1))
        else:
            sums = ops.conv(below, kernel, **options) + bias
        sums = ops.cast(sums, "float32")
        leaky = ops.relu(sums) - leak * ops.relu(-sums)
        return ops.sum(ops.mean(leaky, axis=(1, 2)) * picks, axis=1)

    return gradients.value_and_gradient(loss)


def _convolution(layer: Any) -> dict[str, Any] | None:
    if not hasattr(layer, "strides"):
        return None
    return {"strides": layer.strides, "padding": layer.padding, "dilation_rate": layer.dilation_rate}


def one_filter_each(maps: Any, kernels: Any, biases: Any) -> Any:
    """Convolve every picture of a batch with a filter of its own; stride 1, padded to the same size.

    A convolution would compute all filters of the layer for all pictures, and one of each is wanted. Here
    each kernel is taken apart into its places: one matrix product for all of them, then each product is
    shifted to where it belongs.

    Args:
        maps: (N, h, w, C).
        kernels: (k, k, C, N), k odd.
        biases: (N,).

    Returns:
        (N, h, w).
    """
    from keras import ops

    side, _, channels, count = kernels.shape
    height, width = maps.shape[1:3]
    reach = side // 2
    columns = ops.transpose(ops.reshape(kernels, (side * side, channels, count)), (2, 1, 0))
    flat = ops.reshape(maps, (count, height * width, channels))
    products = ops.reshape(ops.matmul(flat, columns), (count, height, width, side * side))
    products = ops.pad(products, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    total = biases[:, None, None]
    for place in range(side * side):
        row, column = divmod(place, side)
        total = total + products[:, row : row + height, column : column + width, place]
    return total


# --- the climb --------------------------------------------------------------------------------------------


class _Climb:
    """One recipe for one layer; `run` takes a batch of pictures up the hill."""

    def __init__(
        self,
        target: _Target,
        recipe: Recipe,
        shape: tuple[int, int],
        precision: str,
        restarts: int,
        seed: int,
    ) -> None:
        if precision == "auto":
            precision = runtime.best_precision()
        self.target, self.recipe, self.shape, self.precision = target, recipe, shape, precision
        self.restarts, self.seed = restarts, seed
        self.matrix, self.offset = affine(target.model)
        moving = recipe.jitter or recipe.turn or recipe.smooth or recipe.variation or recipe.legal
        turns_only = np.allclose(self.matrix @ self.matrix.T, np.eye(3), atol=1e-4)  # as VGG's BGR
        self.plain = not moving and turns_only
        self.low = _slope(shape, recipe.smooth) if recipe.smooth else None

    def affordable(self) -> int:
        """How many pictures fit into a share of the free memory, 16 at most."""
        import psutil

        values = 0.0
        for layer in self.target.model.layers:
            if len(layer.output.shape) == 4:
                stride = 1
                if not self.target.dense:
                    stride = receptive_field(self.target.model, layer.name).stride
                values += self.shape[0] * self.shape[1] / stride**2 * layer.output.shape[-1]
            if layer.name == self.target.name:
                break
        needed = 4 * 3 * values  # float32; a map, its gradient and a copy on the way
        return int(np.clip(SHARE * psutil.virtual_memory().available / needed, 1, TOGETHER))

    def run(
        self, weights: Array, indices: Array, places: Array, start: Array | None
    ) -> tuple[Array, Array, Array, Array, Array]:
        """Images, activation, history, alive, restarts of one batch."""
        inner = self._look(weights, indices)
        look = self._on_images(inner)
        names = indices if indices[0] >= 0 else places
        images = np.stack([self._noise(k) for k in names]) if start is None else start
        images, again = self._with_slope(look, images, names)
        if self.plain:
            images, history = self._straight(inner, images)
        else:
            images, history = self._carefully(look, images, np.random.default_rng([self.seed, int(names[0])]))
        activation = history[-1] if self.recipe.leak == 0 else np.asarray(look(images, 0.0)[0])
        alive = np.ones(len(names), bool) if self.target.dense else activation > 0
        return images, activation, np.stack(history), alive, again

    def _look(self, weights: Array, indices: Array) -> Any:
        """`inner(x, leak) -> (values, gradient)` for this batch's filters; x is the network's input."""
        from keras import ops

        layer = self.target.layer
        single = bool(indices.min() >= 0) and not self.target.dense and _simple(layer)
        fn = _graph(self.target, self.shape, self.precision, single)
        picks = ops.convert_to_tensor(indices.astype(np.int32) if single else weights)
        kernel = ops.convert_to_tensor(layer.kernel)
        bias = ops.convert_to_tensor(layer.bias) if layer.use_bias else ops.zeros(self.target.channels)
        return lambda x, leak: fn(x, picks, np.float32(leak), kernel, bias)

    def _on_images(self, inner: Any) -> Any:
        """The same for pictures: `look(images, leak) -> (values, gradient)`, RGB, NumPy."""

        def look(images: Array, leak: float) -> tuple[Array, Array]:
            values, gradient = inner((images @ self.matrix + self.offset).astype(np.float32), leak)
            return np.asarray(values), np.asarray(gradient) @ self.matrix.T

        return look

    def _straight(self, inner: Any, images: Array) -> tuple[Array, list[Array]]:
        """Nothing but steps along the gradient; the pictures stay in the backend."""
        rule, history = self.recipe, []
        x: Any = (images @ self.matrix + self.offset).astype(np.float32)
        for number in range(rule.steps):
            values, gradient = inner(x, rule.leak)
            length = _length(gradient, self.target.name, number)[:, None, None, None]
            x = x + gradient * (rule.step / (length + 1e-12))
            history.append(np.asarray(values))
        history.append(np.asarray(inner(x, rule.leak)[0]))
        return ((np.asarray(x) - self.offset) @ self.matrix.T).astype(np.float32), history

    def _carefully(self, look: Any, images: Array, rng: np.random.Generator) -> tuple[Array, list[Array]]:
        """Each look from a slightly different place, each step along a tamed gradient."""
        rule, history = self.recipe, []
        for number in range(rule.steps):
            moved, back = _moved(images, rule, rng)
            values, gradient = look(moved, rule.leak)
            direction = self._direction(images, back(gradient), number)
            fade = 1 - 0.7 * number / rule.steps  # long steps first, to find the place; then to settle
            images = images + rule.step * fade * direction
            images = np.clip(images, 0, 255) if rule.legal else images
            history.append(values)
        history.append(look(images, rule.leak)[0])
        return images.astype(np.float32), history

    def _noise(self, name: int, attempt: int = 0) -> Array:
        """Grey with noise; louder with every attempt."""
        random = np.random.default_rng([self.seed, attempt, int(name)]).random((*self.shape, 3), np.float32)
        return 128 + (random - 0.5) * min(255.0, self.recipe.noise * 3.0**attempt)

    def _with_slope(self, look: Any, images: Array, names: Array) -> tuple[Array, Array]:
        """Replace starts on which the gradient is zero everywhere; says how often for each."""
        again = np.zeros(len(names), int)
        for attempt in range(1, self.restarts + 1):
            if self.target.dense or self.recipe.leak > 0 or self.recipe.steps == 0:
                break
            flat = _length(look(images, self.recipe.leak)[1], names, 0) == 0
            if not flat.any():
                break
            images = images.copy()
            for k in np.flatnonzero(flat):
                images[k] = self._noise(names[k], attempt)
            again = again + flat
        return images, again

    def _direction(self, images: Array, gradient: Array, number: int) -> Array:
        """The gradient, smoothed and with less variation, of length 1 for each picture."""
        rule = self.recipe
        if self.low is not None:
            slope, frequency = self.low
            done = (number + 1) / max(1.0, rule.coarse * rule.steps)
            kept = slope * (frequency <= 0.05 + 0.7 * done)
            spectrum = fft.rfft2(gradient, axes=(1, 2)) * kept[..., None]
            gradient = fft.irfft2(spectrum, s=self.shape, axes=(1, 2)).astype(np.float32) @ COLOURS
        unit = gradient / (_length(gradient, self.target.name, number)[:, None, None, None] + 1e-12)
        if rule.variation:
            away = _variation(images)
            unit = unit - rule.variation * away / (_length(away, "", number)[:, None, None, None] + 1e-12)
        return unit


def _simple(layer: Any) -> bool:
    """Whether `one_filter_each` can stand in for the convolution."""
    square = layer.kernel_size[0] == layer.kernel_size[1] and layer.kernel_size[0] in (1, 3, 5)
    plain = tuple(layer.strides) == (1, 1) == tuple(layer.dilation_rate)
    return square and plain and layer.padding == "same" and getattr(layer, "groups", 1) == 1


def _length(gradient: Any, layer: Any, number: int) -> Array:
    """Root of the mean square of every picture's gradient, (N,); ValueError where it is not finite."""
    from keras import ops

    squares = (
        np.mean(np.square(gradient), axis=(1, 2, 3))
        if isinstance(gradient, np.ndarray)
        else ops.convert_to_numpy(ops.mean(ops.square(gradient), axis=(1, 2, 3)))
    )
    if not np.isfinite(squares).all():
        raise ValueError(
            f"{layer}: the gradient is not finite at step {number} (picture "
            f"{int(np.argmin(np.isfinite(squares)))} of the batch): are all weights finite?"
        )
    return np.sqrt(squares)


def _slope(shape: tuple[int, int], exponent: float) -> tuple[Array, Array]:
    """1/f**exponent on the grid of `rfft2`, flat below one period a picture, and the frequency itself."""
    rows, columns = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None, :]
    frequency = np.hypot(rows, columns).astype(np.float32)
    return (1 / np.maximum(frequency, 1 / max(shape)) ** exponent).astype(np.float32), frequency


def _moved(images: Array, rule: Recipe, rng: np.random.Generator) -> tuple[Array, Any]:
    """The pictures shifted (around the edge) and turned, and the way back for their gradient."""
    by = tuple(int(k) for k in rng.integers(-rule.jitter, rule.jitter + 1, 2))
    angle = float(rng.uniform(-rule.turn, rule.turn))

    def turned(batch: Array, angle: float) -> Array:
        if not rule.turn:
            return batch
        height, width = batch.shape[1:3]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
        border = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
        return np.stack([cv2.warpAffine(each, matrix, (width, height), **border) for each in batch])

    moved = turned(np.roll(images, by, axis=(1, 2)).astype(np.float32), angle)
    return moved, lambda gradient: np.roll(turned(gradient, -angle), (-by[0], -by[1]), axis=(1, 2))


def _variation(images: Array) -> Array:
    """Gradient of the total variation, sum of |difference to the right| + |difference below|, smoothed."""
    away = np.zeros_like(images)
    for axis in (1, 2):
        steps = np.diff(images, axis=axis)
        steps = steps / np.sqrt(steps**2 + 4.0)
        before = [slice(None)] * 4
        after = [slice(None)] * 4
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        away[tuple(before)] -= steps
        away[tuple(after)] += steps
    return away
