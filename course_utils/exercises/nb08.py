"""Exercises of notebook 08, what the filters want to see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise

# --- 08.1 ----------------------------------------------------------------------------------------------

LEVELS = Exercise(
    id="08.1",
    title="how far can it go?",
    name="levels",
    hint="Every step has a root mean square of 1 level. Twenty of them go farthest when all agree.",
    after="So twenty steps repaint a grey picture only faintly; what you see is stretched for the eye.",
    solution="levels = 20 * 1",
    mistakes={
        "That is one step; there are twenty, and at best all go the same way.": 1,
        "Steps that went to and fro at random would come that far; these all climb one hill.": np.sqrt(20),
        "One factor of 20 too many: each of the 20 steps is 1 level long.": 400,
        "255 is the whole range of a pixel. Count the steps and how long each is.": 255,
        "The values are levels of 0..255 here, they were not divided by 255.": 20 / 255,
        "That is where the grey picture starts. How far can it move from there?": 128,
        "That is how wide the noise is at the start. How far do the steps lead?": 10,
    },
    right=[20, 20.0, np.int64(20)],
)

# --- 08.2 ----------------------------------------------------------------------------------------------


def excitement(maps, index):
    return maps[..., index].mean(axis=(1, 2))


def some_maps(random: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
    for shape, index in [((2, 3, 4, 5), 1), ((4, 6, 5, 7), 3), ((3, 5, 8, 6), 4), ((1, 4, 7, 9), 2)]:
        low = -3 if index == 2 else -1  # with a leak, or before the ReLU
        yield random.uniform(low, low + 4, shape).astype(np.float32), index


EXCITEMENT = Exercise(
    id="08.2",
    title="one number for each picture",
    name="excitement",
    hint="maps[..., index] has shape (pictures, height, width). Over which two axes should the mean go?",
    after="One number for each picture: that is what lets a whole batch climb at once.",
    solution=excitement,
    inputs=some_maps,
    mistakes={
        "One number comes back for the whole batch; keep one for each picture: axis=(1, 2).": (
            lambda maps, index: maps[..., index].mean()
        ),
        "That is the mean of every filter of the layer; pick the one with this index.": (
            lambda maps, index: maps.mean((1, 2))
        ),
        "That is the sum over the places; divided by their number it does not depend on the size.": (
            lambda maps, index: maps[..., index].sum((1, 2))
        ),
        "That is the strongest place only; the mean asks for excitement everywhere.": (
            lambda maps, index: maps[..., index].max((1, 2))
        ),
        "You average over all filters; only the one with this index shall count.": (
            lambda maps, index: maps.mean((1, 2, 3))
        ),
        "That is the filter before this one; indices count from 0.": (
            lambda maps, index: maps[..., index - 1].mean((1, 2))
        ),
        "That is the mean of the squares, which lets strong places count more.": (
            lambda maps, index: (maps[..., index] ** 2).mean((1, 2))
        ),
        "The sign is turned: an ascent on this would make the filter silent.": (
            lambda maps, index: -maps[..., index].mean((1, 2))
        ),
        "That is the place in the middle only; average over all places.": (
            lambda maps, index: maps[:, maps.shape[1] // 2, maps.shape[2] // 2, index]
        ),
        "Only one of the two directions is averaged; what is left has one number for each row.": (
            lambda maps, index: maps[..., index].mean(2)
        ),
        "The median is another middle; the mean is asked for.": (
            lambda maps, index: np.median(maps[..., index], axis=(1, 2))
        ),
        "Values below 0 are cut off before the mean; they count as well.": (
            lambda maps, index: np.maximum(maps[..., index], 0).mean((1, 2))
        ),
        "Values below 0 lose their sign before the mean; they keep it.": (
            lambda maps, index: np.abs(maps[..., index]).mean((1, 2))
        ),
    },
    right=[
        lambda maps, index: maps[:, :, :, index].mean(2).mean(1),
        lambda maps, index: np.array([one[..., index].mean() for one in maps]),
        lambda maps, index: maps.mean((1, 2))[:, index],
        lambda maps, index: [float(one[..., index].mean()) for one in maps],
    ],
)

# --- 08.3 ----------------------------------------------------------------------------------------------


def climb(pictures, gradient, step):
    length = np.sqrt(np.mean(gradient**2, axis=(1, 2, 3), keepdims=True))
    return pictures + step * gradient / (length + 1e-8)


def some_gradients(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    for shape, step in [((3, 4, 5, 3), 30.0), ((2, 6, 4, 3), 12.0), ((4, 3, 7, 3), 1.5)]:
        sizes = random.permutation(np.geomspace(0.05, 50, shape[0])).reshape(-1, 1, 1, 1)
        yield random.uniform(-20, 20, shape), random.normal(0.3, 1, shape) * sizes, step


def _climb(length: Callable[[np.ndarray], Any], sign: float = 1.0) -> Callable[..., np.ndarray]:
    return lambda pictures, gradient, step: pictures + sign * step * gradient / length(gradient)


def _rms(gradient: np.ndarray) -> np.ndarray:
    return np.sqrt((gradient**2).mean((1, 2, 3), keepdims=True))


CLIMB = Exercise(
    id="08.3",
    title="a step of known length",
    name="climb",
    hint="np.sqrt(np.mean(gradient**2, axis=(1, 2, 3), keepdims=True)) is one length for each picture.",
    after="Gradients of different filters differ by orders of magnitude; now all climb at one pace.",
    solution=climb,
    inputs=some_gradients,
    within=1e-3,
    mistakes={
        "The gradient is not divided by anything: one picture runs away, one stays where it is.": (
            _climb(lambda g: 1.0)
        ),
        "You go downhill: add the step, don't subtract it.": _climb(_rms, -1.0),
        "One length for the whole batch: the largest gradient takes nearly all of it. One each.": (
            _climb(lambda g: np.sqrt((g**2).mean()))
        ),
        "You divide by the square root of the sum; by that of the mean, size does not matter.": (
            _climb(lambda g: np.sqrt((g**2).sum((1, 2, 3), keepdims=True)))
        ),
        "The square root is missing: that is the mean square.": (
            _climb(lambda g: (g**2).mean((1, 2, 3), keepdims=True))
        ),
        "That is the mean absolute value: steady as well, but not what is asked for.": (
            _climb(lambda g: np.abs(g).mean((1, 2, 3), keepdims=True))
        ),
        "The standard deviation takes the mean away first; a gradient is measured from 0.": (
            _climb(lambda g: g.std((1, 2, 3), keepdims=True))
        ),
        "Only the signs are left: every value moves as far as every other.": (
            lambda pictures, gradient, step: pictures + step * np.sign(gradient)
        ),
        "The step's length is not used.": lambda pictures, gradient, step: climb(pictures, gradient, 1.0),
        "You divide by the largest value: one outlier and nothing else moves.": (
            _climb(lambda g: np.abs(g).max((1, 2, 3), keepdims=True))
        ),
        "One length for each pixel or colour: the picture's own direction is lost. axis=(1, 2, 3).": (
            _climb(lambda g: np.sqrt((g**2).mean(3, keepdims=True)))
        ),
        "The lengths of the pictures meet the colours: NumPy pairs them up, or refuses. keepdims=True.": (
            _climb(lambda g: np.sqrt((g**2).mean((1, 2, 3))))
        ),
        "Only the step comes back; add it to the pictures.": (
            lambda pictures, gradient, step: climb(0 * pictures, gradient, step)
        ),
        "Values are clipped to 0..255; that was not asked for here, and this recipe does not do it.": (
            lambda pictures, gradient, step: np.clip(climb(pictures, gradient, step), 0, 255)
        ),
    },
    right=[
        _climb(lambda g: _rms(g) + 1e-5),  # as the notebook's own loop has it
        _climb(lambda g: (g**2).mean((1, 2, 3), keepdims=True) ** 0.5 + 1e-7),
        lambda pictures, gradient, step: np.stack(
            [p + step * g / np.sqrt(np.mean(g * g)) for p, g in zip(pictures, gradient, strict=True)]
        ),
        lambda pictures, gradient, step: climb(pictures, gradient.astype(np.float32), step),
    ],
)

# --- 08.4 ----------------------------------------------------------------------------------------------


def stuck(gradient):
    return np.abs(gradient).max(axis=(1, 2, 3)) == 0


def some_slopes(random: np.random.Generator) -> Iterator[tuple[np.ndarray]]:
    """Batches with every kind of gradient that a slip takes for none; whole numbers: sums are exact."""
    for height, width in [(4, 5), (6, 3), (5, 8)]:
        usual, sparse = (random.integers(1, 9, (height, width, 3)) * 1.0 for _ in range(2))
        sparse[: height // 2] = 0
        half = np.where(random.random((height, width, 3)) < 0.5, -usual, usual)
        cancelling = np.zeros((height, width, 3))
        cancelling[0], cancelling[1] = usual[0], -usual[0]
        coloured, opposed = np.zeros((2, height, width, 3))
        coloured[..., random.integers(1, 3)] = usual[..., 0]
        opposed[..., :2] = usual[..., :1] * (1, -1)
        kinds = [half, 0 * usual, sparse, cancelling, -sparse, -usual, usual * 1e-12]
        kinds += [0 * usual + 2, coloured, opposed]
        yield (np.stack([kinds[k] for k in random.permutation(len(kinds))]),)
    yield (np.zeros((1, 3, 4, 3)),)


AXES = (1, 2, 3)
STUCK = Exercise(
    id="08.4",
    title="who is stuck?",
    name="stuck",
    hint="A picture is stuck when all of its gradient is exactly 0: np.all(…, axis=(1, 2, 3)).",
    after="A gradient of 0 is no small slope, it is none: no step size helps, only another start.",
    solution=stuck,
    inputs=some_slopes,
    mistakes={
        "Turned over: these are the pictures that still move.": lambda g: (g != 0).any(AXES),
        "A picture of which only a part has no gradient can still climb: ask whether *all* are 0.": (
            lambda g: (g == 0).any(AXES)
        ),
        "In one picture positive and negative values cancel in the sum or mean, and it does move. "
        "Take the absolute value first.": lambda g: np.abs(g.sum(AXES)) < 1e-13,
        "Negative gradients move a picture, too: the largest value may be 0 where others are not.": (
            lambda g: g.max(AXES) == 0
        ),
        "A largest value below zero is a slope as well: take the absolute value first.": (
            lambda g: g.max(AXES) <= 0
        ),
        "The smallest value may be 0 where others are not.": lambda g: g.min(AXES) == 0,
        "A smallest value above zero is a slope as well: take the absolute value first.": (
            lambda g: g.min(AXES) >= 0
        ),
        "One gradient is tiny, but not 0, and divided by its length it is as good as any.": (
            lambda g: np.abs(g).max(AXES) < 1e-6
        ),
        "One gradient is the same everywhere, and lifts the whole picture: no spread is not no slope.": (
            lambda g: g.max(AXES) == g.min(AXES)
        ),
        "Red alone is looked at; another colour may have a gradient.": lambda g: (g[..., 0] == 0).all((1, 2)),
        "In one picture the colours cancel at every place, and it does move. Don't add them up.": (
            lambda g: (g.sum(-1) == 0).all((1, 2))
        ),
        "These are the numbers of the pictures; a yes or no for each is asked for.": (
            lambda g: np.flatnonzero((g == 0).all(AXES))
        ),
        "No picture is found, but one has no gradient at all.": lambda g: np.zeros(len(g), bool),
        "One answer for the whole batch; each picture needs its own: axis=(1, 2, 3).": (
            lambda g: bool((g == 0).all())
        ),
        "One answer for each colour of a picture; take all three together: axis=(1, 2, 3).": (
            lambda g: (g == 0).all((1, 2))
        ),
    },
    right=[
        lambda g: (g == 0).all(axis=AXES),
        lambda g: ~np.any(g, axis=AXES),
        lambda g: np.sum(g**2, axis=AXES) == 0,
        lambda g: np.abs(g).mean(axis=AXES) == 0,
        lambda g: [not one.any() for one in g],
    ],
)

# --- 08.5 ----------------------------------------------------------------------------------------------


def dream(image, slope, steps, step):
    for _ in range(steps):
        gradient = slope(image)
        length = np.sqrt(np.mean(gradient**2))
        image = np.clip(image + step * gradient / (length + 1e-8), 0, 255)
    return image


def some_hills(random: np.random.Generator) -> Iterator[tuple[np.ndarray, Any, int, float]]:
    """Uphill towards a goal of which a part lies beyond what a picture can hold."""
    hills = [((4, 5, 3), 6, 20.0, 1.0, 300), ((7, 3, 3), 4, 32.5, 3e-3, 300), ((5, 6, 3), 9, 12.0, 1.0, 300)]
    hills += [((6, 4, 3), 3, 5.0, 1.0, -80)]  # nothing reaches 0 or 255
    for shape, steps, step, steep, beyond in hills:  # on a gentle one all that is added to its length shows
        goal, pull = random.uniform(-beyond, 255 + beyond, shape), steep * random.uniform(0.3, 6.0, shape)

        def slope(image: np.ndarray, goal: np.ndarray = goal, pull: np.ndarray = pull) -> np.ndarray:
            return pull * (goal - image)

        yield random.uniform(20, 235, shape), slope, steps, step


def _walk(
    once: bool = False, clip: bool = True, measure: bool = True, keep: bool = True
) -> Callable[..., np.ndarray]:
    def answer(image: np.ndarray, slope: Any, steps: int, step: float) -> np.ndarray:
        gradient = slope(image)
        for _ in range(steps):
            gradient = gradient if once else slope(image)
            length = np.sqrt(np.mean(gradient**2)) if measure else 1.0
            moved = image + step * gradient / length
            moved = np.clip(moved, 0, 255) if clip else moved
            image = moved if keep else image
        return image

    return answer


def _step_by_step(image: np.ndarray, slope: Any, steps: int, step: float) -> np.ndarray:
    image = np.array(image, np.float32)
    while steps:
        gradient = slope(image)
        image += step * gradient / (np.sqrt((gradient * gradient).mean()) + 1e-5)
        np.clip(image, 0, 255, out=image)
        steps -= 1
    return image


DREAM = Exercise(
    id="08.5",
    title="a dream of your own",
    name="dream",
    hint="A loop: gradient = slope(image); divide by its root mean square; add step times that; np.clip.",
    after="The same ascent as for a filter, from a photograph: the network paints what it believes to see.",
    solution=dream,
    inputs=some_hills,
    within=1e-3,
    mistakes={
        "The picture comes back as it was: is the result of the step kept, and `slope` asked?": (
            _walk(keep=False)
        ),
        "The gradient was asked for once; after each step the picture is another one: ask again.": (
            _walk(once=True)
        ),
        "Some values lie outside 0..255: that is no picture any more. Clip after each step.": (
            _walk(clip=False)
        ),
        "Clipped, but only at the end: meanwhile it was no picture. Clip each step.": (
            lambda *given: np.clip(_walk(clip=False)(*given), 0, 255)
        ),
        "The result is stretched to reach from 0 to 255; clip it, and leave the rest as it is.": (
            lambda *given: 255 * (dream(*given) - dream(*given).min()) / np.ptp(dream(*given))
        ),
        "It walks downhill: add the step.": (
            lambda image, slope, steps, step: dream(image, slope, steps, -step)
        ),
        "One step is missing.": lambda image, slope, steps, step: dream(image, slope, steps - 1, step),
        "One step too many.": lambda image, slope, steps, step: dream(image, slope, steps + 1, step),
        "The gradient's length decides how far you go; divide by it.": _walk(measure=False),
        "The step's length is not used.": lambda image, slope, steps, step: dream(image, slope, steps, 1.0),
        "Each step has half the length that was asked for.": (
            lambda image, slope, steps, step: dream(image, slope, steps, step / 2)
        ),
        "The batch axis is too much: one picture goes in, (height, width, 3), and one comes out.": (
            lambda *given: dream(*given)[None]
        ),
    },
    right=[
        _step_by_step,
        lambda image, slope, steps, step: (
            image if steps == 0 else dream(dream(image, slope, 1, step), slope, steps - 1, step)
        ),
    ],
)

EXERCISES = (LEVELS, EXCITEMENT, CLIMB, STUCK, DREAM)
