"""How a picture climbs: the recipes "blog" and "clear", and what each entry forbids. Notebook 08."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Recipe:
    """How a picture climbs.

    Attributes:
        steps: how many.
        step: length of each, in levels of 0..255: the root of the mean square over the picture's values.
        noise: width of the uniform noise around grey at the start, in levels.
        middle: climb the value in the middle of the map alone, instead of the mean of all its places.
        leak: how much of what is below zero counts. 0: activation after the ReLU, as in the document;
            1: the sums before the ReLU; between: mostly the activation, but a silent filter has a slope.
        jitter: the picture is moved by up to so many pixels before each look, then moved back.
        turn: the same with a rotation of up to so many degrees.
        smooth: exponent a of the slope 1/f**a that the gradient's spectrum is multiplied with: large
            structures grow first. Equals ascent in a Fourier parametrization (Olah et al. 2017). 0: none.
        coarse: share of the steps in which fine frequencies are let in one after the other.
        octaves: sizes to go through, each 1.5 times the one before, the last the picture's own. Each gets
            the same share of the work, so most steps happen where they are cheap.
        colours: mix the gradient's colours as photographs mix theirs: neighbouring channels move together.
        variation: weight of the total variation (Mahendran and Vedaldi 2015), relative to the gradient.
        diverse: pictures of one batch avoid each other's textures (Olah et al. 2017): how many times its
            activation a picture loses that has the same Gram matrix as the others. 0: none.
        legal: keep every value within 0..255, so that the result is a real picture.
    """

    name: str
    steps: int = 20
    step: float = 1.0
    noise: float = 20.0
    middle: bool = False
    leak: float = 0.0
    jitter: int = 0
    turn: float = 0.0
    smooth: float = 0.0
    coarse: float = 0.0
    octaves: int = 1
    colours: bool = False
    variation: float = 0.0
    diverse: float = 0.0
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
        colours=True,
        variation=0.15,
        legal=True,
    ),
}

# What "clear" changes for layers that see a few pixels only, where nothing is coarse and a turn blurs.
NEAR: dict[str, Any] = {"noise": 100.0, "turn": 0.0, "smooth": 0.3, "coarse": 0.0, "variation": 0.3}
OCTAVE = 1.5

# Covariance of red, green and blue in the photographs of `images.SAMPLES`, divided by its largest value.
COLOURS = np.array([[1.00, 0.68, 0.52], [0.68, 0.68, 0.64], [0.52, 0.64, 0.72]], np.float32)


def chosen(recipe: str | Recipe, changes: dict[str, Any], *, near: bool = False) -> Recipe:
    """A recipe by name, or one of the reader's own, with changes.

    Args:
        near: the layer sees a few pixels only; "clear" adapts to that before the changes.

    Raises:
        ValueError: an unknown recipe or entry, or values that make no ascent.
    """
    if isinstance(recipe, str) and recipe not in RECIPES:
        raise ValueError(f"recipe={recipe!r}: there are {', '.join(RECIPES)}, or a Recipe of your own")
    rule = RECIPES[recipe] if isinstance(recipe, str) else recipe
    known = {field.name for field in dataclasses.fields(Recipe)}
    if unknown := sorted(set(changes) - known):
        raise ValueError(f"a recipe has no entry {unknown[0]!r}; it has {', '.join(sorted(known))}")
    adapted = NEAR if near and recipe == "clear" else {}
    rule = dataclasses.replace(rule, **(adapted | changes))
    if rule.steps < 0 or not np.isfinite(rule.step) or not 0 <= rule.leak <= 1 or rule.octaves < 1:
        raise ValueError(
            f"steps={rule.steps}, step={rule.step}, leak={rule.leak}, octaves={rule.octaves}: "
            "these make no ascent"
        )
    return rule


def stages(rule: Recipe, shape: tuple[int, int]) -> list[tuple[tuple[int, int], int]]:
    """The sizes to go through and the steps at each, `rule.steps` in all, equal work at every size."""
    scales = [OCTAVE ** (k - rule.octaves + 1) for k in range(rule.octaves)]
    shares = np.array([1 / scale**2 for scale in scales])
    ends = np.round(rule.steps * np.cumsum(shares) / shares.sum()).astype(int)
    steps = np.diff(ends, prepend=0)
    sizes = [(round(shape[0] * scale), round(shape[1] * scale)) for scale in scales]
    return [(size, int(number)) for size, number in zip(sizes, steps, strict=True)]
