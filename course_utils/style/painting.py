"""From start to end: sizes from coarse to fine, and at each of them the steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.pictures import images as pictures

from . import margins, optimizers
from .colours import keep_colours
from .problem import Problem, check_memory, narrowest_side, pose, stride
from .recorder import Enough, Recorder, Say
from .settings import Result, Settings, check_settings

if TYPE_CHECKING:
    import keras

Array = np.ndarray
COARSEST = 64  # pixels; below that a photograph has no shapes left
# Of the steps, for each number of sizes: a coarse step costs a quarter of one at twice the size.
SHARES = {1: (1.0,), 2: (0.4, 0.6), 3: (0.3, 0.3, 0.4), 4: (0.25, 0.25, 0.25, 0.25)}


def transfer(
    model: keras.Model,
    content: Array | None,
    style: Array | Sequence[tuple[Array, float]] | None,
    settings: Settings | None = None,
    *,
    say: Say | None = None,
    **changes: Any,
) -> Result:
    """Paint a picture that has the content of one and the style of another. Notebook 07.

    Args:
        model: a chain of layers: VGG-16 with any weights and width, All-CNN, or your own.
        content: the photograph, RGB 0..255 (H, W, 3); None gives a square texture of the style alone.
        style: the artwork, or a sequence of (artwork, share) to mix; None inverts the content alone.
        settings: see `Settings`; `changes` replaces some of them, as in `transfer(…, size=160, beta=1e4)`.
        say: is told every few seconds how far it is, and how long it will take.

    Returns:
        `Result`. Interrupted (Ctrl-C, or the notebook's stop button), it holds the best picture so far.

    Raises:
        ValueError: unknown names, a picture too small for the layers, weights that give NaN, or more memory
            needed than is free (says the size that fits).
    """
    asked = replace(settings or Settings(), **changes)
    check_settings(asked)
    wide, settings = margins.widened(content, asked)
    problem = pose(model, wide, style, settings)
    sizes = _sizes(problem)
    check_memory(problem)
    note = Recorder(problem.picture, sum(n * size**2 for size, n in sizes), _keep_at(settings), say)
    ended = "finished"
    try:
        for level, (size, steps) in enumerate(sizes):
            x = _start(problem, size, note)
            note.level(size, steps)
            # From the third size on only what is fine is missing: smaller steps bring less noise in.
            ended = _descend(problem, size, x, note, settings.rate * 0.5 ** max(0, level - 1))
    except KeyboardInterrupt:
        ended = "interrupted"
    seconds = time.perf_counter() - note.began
    image = margins.cut(_full_size(problem, note), content, asked)
    if settings.colours == "luminance" and content is not None:
        image = keep_colours(image, np.asarray(content))
    moments = tuple((step, margins.cut(each, content, asked)) for step, each in note.thumbnails)
    return Result(image, note.loss, note.history(), moments, seconds, ended)


def loss(
    model: keras.Model,
    image: Array,
    content: Array | None,
    style: Array | Sequence[tuple[Array, float]] | None,
    settings: Settings | None = None,
    **changes: Any,
) -> dict[str, float]:
    """The losses of any picture, in float32 at `settings.size`; arguments as for `transfer`.

    Returns:
        {"content", "style", "variation", "total"}, weighted as they are minimized.
    """
    settings = replace(settings or Settings(), **{**changes, "precision": "float32"})
    problem = pose(model, content, style, settings)
    x = problem.x(pictures.resize(image, problem.shape(settings.size)))
    parts, _ = problem.at(settings.size)(x)
    content_loss, style_loss, variation = (float(part) for part in np.asarray(parts))
    total = content_loss + style_loss + variation
    return {"content": content_loss, "style": style_loss, "variation": variation, "total": total}


def invert(model: keras.Model, image: Array, layer: str, **changes: Any) -> Result:
    """A picture, from noise, that a layer can't tell from this one: what the layer has kept of it.

    Args:
        model, image: as in `transfer`.
        layer: its name.
        changes: of `Settings`.

    Mahendran and Vedaldi (2015); Gatys et al. (2015), figure 1 below. Notebook 07.
    """
    return transfer(model, image, None, **{"start": "noise", "content_layers": (layer,), **changes})


def texture(model: keras.Model, style: Array, layers: Sequence[str], **changes: Any) -> Result:
    """A square, from noise, with the Gram matrices of an artwork: its texture without its places.

    Gatys, Ecker and Bethge (2015), "Texture Synthesis Using Convolutional Neural Networks". Notebook 07.
    """
    return transfer(model, None, style, **{"start": "noise", "style_layers": tuple(layers), **changes})


def _sizes(problem: Problem) -> list[tuple[int, int]]:
    """Sizes from coarse to fine, and the steps spent on each.

    Raises:
        ValueError: even at full size the deepest layer has nothing left.
    """
    settings = problem.settings
    needs, layer = stride(problem)
    narrowest = narrowest_side(problem, settings.size)
    if narrowest < needs:
        fits = math.ceil(settings.size * needs / narrowest)
        raise ValueError(
            f"at size={settings.size} the shorter side of a picture is {narrowest} pixels, and {layer} needs "
            f"{needs}: choose size={fits} or more, or layers before the deeper poolings"
        )
    sizes = [settings.size]
    while settings.coarse_to_fine and sizes[0] >= 2 * COARSEST and len(sizes) < len(SHARES):
        if narrowest_side(problem, sizes[0] // 2) < needs:
            break
        sizes.insert(0, sizes[0] // 2)
    steps = [max(1, round(settings.steps * share)) for share in SHARES[len(sizes)]]
    if settings.stop_at is not None:
        steps[-1] = settings.steps
    return list(zip(sizes, steps, strict=True))


def _keep_at(settings: Settings) -> set[int]:
    """Steps whose picture is kept: close together at first, where most happens."""
    if settings.thumbnails < 1:
        return set()
    places = np.linspace(0, 1, settings.thumbnails) ** 2
    return {1 + round(place * (settings.steps - 1)) for place in places}


def _start(problem: Problem, size: int, note: Recorder) -> Array:
    """Where the optimizer starts at a size: the chosen picture, with what the coarser size changed in it."""
    base = problem.base(size)
    if note.best is None:
        return base
    if isinstance(problem.settings.start, str) and problem.settings.start == "noise":
        return pictures.resize(note.best, base.shape[1:3])
    return base + pictures.resize(note.best - problem.base(note.size), base.shape[1:3])


def _descend(problem: Problem, size: int, x: Array, note: Recorder, rate: float) -> str:
    """Optimize at one size until its steps are used; returns how it ended."""
    settings = problem.settings
    note.best = np.array(x, np.float32)  # interrupted before the first step, what is there so far remains
    last = size == settings.size and settings.stop_at is not None
    note.enough = _low_enough(problem, size) if last else None
    try:
        if settings.optimizer == "adam":
            optimizers.adam(problem.at(size), x, problem.limits, note.step, note.budget, rate)
        else:
            optimizers.lbfgs(problem.at(size), x, problem.limits, note.step)
            # No step lowers the loss any more, mostly for rounding: the rest goes in float32.
            optimizers.lbfgs(problem.exactly().at(size), note.best, problem.limits, note.step)
    except FloatingPointError:
        return "diverged"
    except Enough:
        pass
    return "reached" if note.reached else "finished"


def _low_enough(problem: Problem, size: int) -> Callable[[float, Any], bool]:
    """Whether the float32 loss of the picture one would see is at most `stop_at`."""
    goal = problem.settings.stop_at or 0.0
    if problem.precision == "float32":
        return lambda total, x: total <= goal
    exact = problem.exactly().at(size)

    def enough(total: float, x: Any) -> bool:
        if total > 1.003 * goal:  # asked only when it is near: it takes as long as a step
            return False
        parts, _ = exact(problem.x(problem.picture(x)))
        return float(np.sum(np.asarray(parts))) <= goal

    return enough


def _full_size(problem: Problem, note: Recorder) -> Array:
    """The best picture at the size asked for, also when it was interrupted before reaching it."""
    x = _start(problem, problem.settings.size, note) if note.size != problem.settings.size else note.best
    return problem.picture(problem.base(problem.settings.size) if x is None else x)


def deepest(layers: Sequence[str]) -> str:
    """Which of some layers of VGG-16 comes last: what a network has to be loaded until."""
    from course_utils.features.layers import layer_name
    from course_utils.networks import vgg16

    order = vgg16.stops_in_order()
    return max((layer_name(layer) for layer in layers), key=order.index)
