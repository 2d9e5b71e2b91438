"""Exercises of notebook 08, what the filters want to see."""

from __future__ import annotations

from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, array, call, expect, match, number

# --- 08.1 ----------------------------------------------------------------------------------------------


def check_levels(answer: Any) -> None:
    given = number(answer)
    mistakes = {
        "That is one step; there are twenty, and at best all go the same way.": 1,
        "Steps that went to and fro at random would come that far; these all climb one hill.": np.sqrt(20),
        "One factor of 20 too many: each of the 20 steps is 1 level long.": 400,
        "255 is the whole range of a pixel. Count the steps and how long each is.": 255,
        "The values are levels of 0..255 here, they were not divided by 255.": 20 / 255,
        "That is where the grey picture starts. How far can it move from there?": 128,
        "That is how wide the noise is at the start. How far do the steps lead?": 10,
    }
    match(given, 20, mistakes, f"{given:g} levels? Number of steps times the length of one.", within=0.01)


LEVELS = Exercise(
    id="08.1",
    title="how far can it go?",
    name="levels",
    hint="Every step has a root mean square of 1 level. Twenty of them go farthest when all agree.",
    after="So twenty steps repaint a grey picture only faintly; what you see is stretched for the eye.",
    check=check_levels,
    solution="levels = 20 * 1",
    wrong=lambda: {
        "That is one step": 1,
        "to and fro at random": np.sqrt(20),
        "One factor of 20": 400,
        "whole range of a pixel": 255,
        "not divided by 255": 20 / 255,
        "where the grey picture starts": 128,
        "how wide the noise": 10,
        "times the length of one": 42,
        "should be one number": "20 levels",
    },
    right=lambda: [20, 20.0, np.int64(20)],
)

# --- 08.2 ----------------------------------------------------------------------------------------------


def excitement(maps, index):
    return maps[..., index].mean(axis=(1, 2))


def check_excitement(answer: Any) -> None:
    maps = np.random.default_rng(1).uniform(0, 3, (4, 5, 6, 7)).astype(np.float32)
    raw = call(answer, maps, 2)
    one = np.asarray(raw)
    text = "One number comes back for the whole batch; keep one for each picture: axis=(1, 2)."
    expect(one.shape != () or np.ndim(raw) != 0, text)
    expect(
        one.shape != (4, 7), "That is the mean of every filter of the layer; pick the one with this index."
    )
    given = array(raw, (4,), "The result")
    own = maps[..., 2]
    mistakes = {
        "That is the sum over the places; divided by their number it does not depend on the size.": own.sum(
            (1, 2)
        ),
        "That is the strongest place only; the mean asks for excitement everywhere.": own.max((1, 2)),
        "You average over all filters; only the one with this index shall count.": maps.mean((1, 2, 3)),
        "That is the mean of the filter before this one; indices count from 0.": maps[..., 1].mean((1, 2)),
        "That is the mean of the squares, which lets strong places count more.": (own**2).mean((1, 2)),
        "The sign is turned: an ascent on this would make the filter silent.": -own.mean((1, 2)),
        "That is the place in the middle only; average over all places.": own[:, 2, 3],
    }
    match(
        given, own.mean((1, 2)), mistakes, "The numbers are not the means of this filter's maps.", within=1e-3
    )


EXCITEMENT = Exercise(
    id="08.2",
    title="one number for each picture",
    name="excitement",
    hint="maps[..., index] has shape (pictures, height, width). Over which two axes should the mean go?",
    after="One number for each picture: that is what lets a whole batch climb at once.",
    check=check_excitement,
    solution=excitement,
    wrong=lambda: {
        "whole batch": lambda maps, index: maps[..., index].mean(),
        "every filter of the layer": lambda maps, index: maps.mean((1, 2)),
        "sum over the places": lambda maps, index: maps[..., index].sum((1, 2)),
        "strongest place": lambda maps, index: maps[..., index].max((1, 2)),
        "average over all filters": lambda maps, index: maps.mean((1, 2, 3)),
        "count from 0": lambda maps, index: maps[..., index - 1].mean((1, 2)),
        "mean of the squares": lambda maps, index: (maps[..., index] ** 2).mean((1, 2)),
        "sign is turned": lambda maps, index: -maps[..., index].mean((1, 2)),
        "the place in the middle": lambda maps, index: maps[:, 2, 3, index],
        "has shape (4, 5)": lambda maps, index: maps[..., index].mean(2),
    },
    right=lambda: [
        lambda maps, index: maps[:, :, :, index].mean(2).mean(1),
        lambda maps, index: np.array([one[..., index].mean() for one in maps]),
        lambda maps, index: maps.mean((1, 2))[:, index],
    ],
)

# --- 08.3 ----------------------------------------------------------------------------------------------


def climb(pictures, gradient, step):
    length = np.sqrt(np.mean(gradient**2, axis=(1, 2, 3), keepdims=True))
    return pictures + step * gradient / (length + 1e-8)


def check_climb(answer: Any) -> None:
    rng = np.random.default_rng(2)
    pictures = rng.uniform(100, 150, (3, 4, 5, 3))
    gradient = rng.normal(0.3, 1, pictures.shape) * np.array([1e-3, 1.0, 50.0]).reshape(3, 1, 1, 1)
    given = array(call(answer, pictures, gradient, 2.0), pictures.shape, "The result") - pictures

    def over(length: Any) -> Any:
        return 2.0 * gradient / length

    own, axes = {"axis": (1, 2, 3), "keepdims": True}, (1, 2, 3)
    rms = np.sqrt((gradient**2).mean(**own))
    flat = np.abs(gradient).mean(**own)
    mistakes = {
        "The gradient is not divided by anything: one picture runs away, one stays where it is.": over(1.0),
        "You go downhill: add the step, don't subtract it.": -over(rms),
        "One length for the whole batch: the third picture takes nearly all of it. One each.": (
            over(np.sqrt((gradient**2).mean()))
        ),
        "You divide by the square root of the sum; by that of the mean, size does not matter.": (
            over(np.sqrt((gradient**2).sum(**own)))
        ),
        "The square root is missing: that is the mean square.": over(rms**2),
        "That is the mean absolute value: steady as well, but not what is asked for.": over(flat),
        "The standard deviation takes the mean away first; a gradient is measured from 0.": (
            over(gradient.std(**own))
        ),
        "Only the signs are left: every value moves as far as every other.": 2.0 * np.sign(gradient),
        "The step's length is not used.": gradient / rms,
        "You divide by the largest value: one outlier and nothing else moves.": (
            over(np.abs(gradient).max(axis=axes, keepdims=True))
        ),
        "Three lengths meet three colours: NumPy pairs them up. keepdims=True keeps each with its picture.": (
            over(np.sqrt((gradient**2).mean(axis=axes)))
        ),
        "Only the step comes back; add it to the pictures.": over(rms) - pictures,
    }
    match(
        given,
        over(rms),
        mistakes,
        "The step has another length than asked for, or another direction.",
        within=1e-3,
    )


def _climb(length: Any, sign: float = 1.0) -> Any:
    return lambda pictures, gradient, step: pictures + sign * step * gradient / length(gradient)


CLIMB = Exercise(
    id="08.3",
    title="a step of known length",
    name="climb",
    hint="np.sqrt(np.mean(gradient**2, axis=(1, 2, 3), keepdims=True)) is one length for each picture.",
    after="Gradients of different filters differ by orders of magnitude; now all climb at one pace.",
    check=check_climb,
    solution=climb,
    wrong=lambda: {
        "not divided by anything": _climb(lambda g: 1.0),
        "downhill": _climb(lambda g: np.sqrt((g**2).mean((1, 2, 3), keepdims=True)), -1.0),
        "whole batch": _climb(lambda g: np.sqrt((g**2).mean())),
        "root of the sum": _climb(lambda g: np.sqrt((g**2).sum((1, 2, 3), keepdims=True))),
        "root is missing": _climb(lambda g: (g**2).mean((1, 2, 3), keepdims=True)),
        "mean absolute value": _climb(lambda g: np.abs(g).mean((1, 2, 3), keepdims=True)),
        "standard deviation": _climb(lambda g: g.std((1, 2, 3), keepdims=True)),
        "Only the signs": lambda pictures, gradient, step: pictures + step * np.sign(gradient),
        "length is not used": lambda pictures, gradient, step: climb(pictures, gradient, 1.0),
        "largest value": _climb(lambda g: np.abs(g).max((1, 2, 3), keepdims=True)),
        "Only the step comes back": lambda pictures, gradient, step: climb(0 * pictures, gradient, step),
        "meet three colours": lambda pictures, gradient, step: (
            pictures + step * gradient / np.sqrt((gradient**2).mean((1, 2, 3)))
        ),
    },
    right=lambda: [
        _climb(lambda g: (g**2).mean((1, 2, 3), keepdims=True) ** 0.5 + 1e-7),
        lambda pictures, gradient, step: np.stack(
            [p + step * g / np.sqrt(np.mean(g * g)) for p, g in zip(pictures, gradient, strict=True)]
        ),
    ],
)

# --- 08.4 ----------------------------------------------------------------------------------------------


def stuck(gradient):
    return np.abs(gradient).max(axis=(1, 2, 3)) == 0


def check_stuck(answer: Any) -> None:
    gradient = np.random.default_rng(3).normal(0, 1, (6, 4, 5, 3))
    gradient[1] = 0
    gradient[2, :2] = 0  # half of it
    gradient[3] -= gradient[3].mean()  # cancels in the mean
    gradient[4] = -np.abs(gradient[4])
    gradient[5] = 1e-12 * np.abs(gradient[5])
    raw = call(answer, gradient)
    expect(np.shape(raw) != (), "One answer for the whole batch; each picture needs its own: axis=(1, 2, 3).")
    given = array(raw, (6,), "The result").astype(bool).astype(int)
    right = np.array([0, 1, 0, 0, 0, 0])
    mistakes = {
        "Turned over: these are the pictures that still move.": 1 - right,
        "A picture of which only a part has no gradient can still climb: ask whether *all* are 0.": (
            np.array([0, 1, 1, 0, 0, 0])
        ),
        "In one picture positive and negative values cancel in the mean, and it does move. "
        "Take the absolute value first.": np.array([0, 1, 0, 1, 0, 0]),
        "Negative gradients move a picture, too: the largest value is no test without np.abs.": (
            np.array([0, 1, 0, 0, 1, 0])
        ),
        "One gradient is tiny, but not 0, and divided by its length it is as good as any.": (
            np.array([0, 1, 0, 0, 0, 1])
        ),
        "No picture is found, but the second one has no gradient at all.": np.zeros(6, int),
    }
    match(given, right, mistakes, "Another picture than the second is stuck, or the second is not found.")


STUCK = Exercise(
    id="08.4",
    title="who is stuck?",
    name="stuck",
    hint="A picture is stuck when all of its gradient is exactly 0: np.all(…, axis=(1, 2, 3)).",
    after="A gradient of 0 is no small slope, it is none: no step size helps, only another start.",
    check=check_stuck,
    solution=stuck,
    wrong=lambda: {
        "Turned over": lambda g: np.abs(g).max((1, 2, 3)) > 0,
        "whether *all* are 0": lambda g: (g == 0).any((1, 2, 3)),
        "cancel in the mean": lambda g: np.isclose(g.mean((1, 2, 3)), 0, atol=1e-14),
        "without np.abs": lambda g: g.max((1, 2, 3)) <= 0,
        "is tiny, but not 0": lambda g: np.abs(g).max((1, 2, 3)) < 1e-6,
        "No picture is found": lambda g: np.zeros(len(g), bool),
        "whole batch": lambda g: bool((g == 0).all()),
        "Another picture": lambda g: np.arange(len(g)) == 0,
        "has shape": lambda g: (g == 0).all((1, 2)),
    },
    right=lambda: [
        lambda g: (g == 0).all(axis=(1, 2, 3)),
        lambda g: ~np.any(g, axis=(1, 2, 3)),
        lambda g: np.sum(g**2, axis=(1, 2, 3)) == 0,
    ],
)

# --- 08.5 ----------------------------------------------------------------------------------------------


def dream(image, slope, steps, step):
    for _ in range(steps):
        gradient = slope(image)
        length = np.sqrt(np.mean(gradient**2))
        image = np.clip(image + step * gradient / (length + 1e-8), 0, 255)
    return image


class _Hill:
    """A slope to test a dream on: uphill towards a goal, stronger in some pixels than in others."""

    def __init__(self, goal: Any) -> None:
        self.goal, self.calls = goal, 0

    def __call__(self, image: Any) -> Any:
        self.calls += 1
        return 3.0 * (self.goal - image)


def check_dream(answer: Any) -> None:
    rng = np.random.default_rng(4)
    start, goal = rng.uniform(0, 255, (4, 5, 3)), rng.uniform(-200, 455, (4, 5, 3))
    hill = _Hill(goal)
    given = array(call(answer, start, hill, 6, 20.0), start.shape, "The result")
    expect(hill.calls > 0, "`slope` was never asked; call slope(image) for the gradient.")
    expect(
        hill.calls != 1,
        "The gradient was asked for once; after each step the picture is another one: ask again.",
    )
    right = dream(start, _Hill(goal), 6, 20.0)
    free = start
    for _ in range(6):
        free = _free(free, goal, 20.0)
    mistakes = {
        "Some values lie outside 0..255: that is no picture any more. Clip after each step.": free,
        "Clipped, but only at the end: meanwhile it was no picture. Clip each step.": (np.clip(free, 0, 255)),
        "The picture comes back as it was: is the result of the step kept?": start,
        "It walks downhill: add the step.": _walk(start, goal, 6, -20.0),
        "One step is missing.": dream(start, _Hill(goal), 5, 20.0),
        "One step too many.": dream(start, _Hill(goal), 7, 20.0),
        "The gradient's length decides how far you go; divide by it.": _rough(start, goal, 6, 20.0),
        "The step's length is not used.": dream(start, _Hill(goal), 6, 1.0),
    }
    match(
        given,
        right,
        mistakes,
        f"On a test hill some value is {np.abs(given - right).max():.0f} off.",
        within=0.01,
    )


def _free(image: Any, goal: Any, step: float) -> Any:
    gradient = 3.0 * (goal - image)
    return image + step * gradient / np.sqrt(np.mean(gradient**2))


def _walk(image: Any, goal: Any, steps: int, step: float) -> Any:
    for _ in range(steps):
        image = np.clip(_free(image, goal, step), 0, 255)
    return image


def _rough(image: Any, goal: Any, steps: int, step: float) -> Any:
    for _ in range(steps):
        image = np.clip(image + step * 3.0 * (goal - image), 0, 255)
    return image


def _once(image: Any, slope: Any, steps: int, step: float) -> Any:
    gradient = slope(image)
    for _ in range(steps):
        image = np.clip(image + step * gradient / np.sqrt(np.mean(gradient**2)), 0, 255)
    return image


def _unclipped(image: Any, slope: Any, steps: int, step: float) -> Any:
    for _ in range(steps):
        gradient = slope(image)
        image = image + step * gradient / np.sqrt(np.mean(gradient**2))
    return image


def _forgetful(image: Any, slope: Any, steps: int, step: float) -> Any:
    for _ in range(steps):
        np.clip(image + step * slope(image), 0, 255)
    return image


def _unmeasured(image: Any, slope: Any, steps: int, step: float) -> Any:
    for _ in range(steps):
        image = np.clip(image + step * slope(image), 0, 255)
    return image


def _in_place(image: Any, slope: Any, steps: int, step: float) -> Any:
    image, left = image.copy(), steps
    while left:
        gradient = slope(image)
        image += step * gradient / np.sqrt((gradient * gradient).mean())
        np.clip(image, 0, 255, out=image)
        left -= 1
    return image


DREAM = Exercise(
    id="08.5",
    title="a dream of your own",
    name="dream",
    hint="A loop: gradient = slope(image); divide by its root mean square; add step times that; np.clip.",
    after="The same ascent as for a filter, from a photograph: the network paints what it believes to see.",
    check=check_dream,
    solution=dream,
    wrong=lambda: {
        "never asked": lambda image, slope, steps, step: image,
        "asked for once": _once,
        "outside 0..255": _unclipped,
        "only at the end": lambda *given: np.clip(_unclipped(*given), 0, 255),
        "comes back as it was": _forgetful,
        "downhill": lambda image, slope, steps, step: dream(image, slope, steps, -step),
        "step is missing": lambda image, slope, steps, step: dream(image, slope, steps - 1, step),
        "One step too many": lambda image, slope, steps, step: dream(image, slope, steps + 1, step),
        "length decides": _unmeasured,
        "length is not used": lambda image, slope, steps, step: dream(image, slope, steps, 1.0),
        "On a test hill": lambda image, slope, steps, step: dream(image, slope, steps, step / 2),
        "has shape (1, 4, 5, 3)": lambda *given: dream(*given)[None],
    },
    right=lambda: [
        _in_place,
        lambda image, slope, steps, step: (
            image if steps == 0 else dream(dream(image, slope, 1, step), slope, steps - 1, step)
        ),
    ],
)

EXERCISES = (LEVELS, EXCITEMENT, CLIMB, STUCK, DREAM)
