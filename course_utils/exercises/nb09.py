"""Exercises of notebook 09, colour from grey."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, array, call, expect, match, number

# --- 09.1 ----------------------------------------------------------------------------------------------


def psnr(picture, true):
    error = np.mean((picture.astype(float) - true) ** 2)
    return 10 * np.log10(255**2 / error)


def _errors(picture: np.ndarray, true: np.ndarray) -> np.ndarray:
    return picture.astype(float) - true


def check_psnr(answer: Any) -> None:
    rng = np.random.default_rng()
    for height, width in ((5, 7), (8, 3)):
        true = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        picture = np.clip(true + rng.integers(-40, 41, true.shape), 0, 255).astype(np.uint8)
        away = _errors(picture, true)
        error = np.mean(away**2)
        right = 10 * np.log10(255**2 / error)
        given = number(call(answer, picture, true), "The ratio")
        mistakes = {
            "that is the mean squared error itself; put it under 255², and take the logarithm.": error,
            "255 is squared, because the error is.": 10 * np.log10(255 / error),
            "the logarithm is the one to base 10: np.log10.": 10 * np.log(255**2 / error),
            "20 goes with the root of the error; with the squared error it is 10.": 20
            * np.log10(255**2 / error),
            "the error is squared before the mean is taken; you took its absolute value.": 10
            * np.log10(255**2 / np.mean(np.abs(away))),
            "the squares are added up; divide by their number.": 10 * np.log10(255**2 / np.sum(away**2)),
            "the fraction stands on its head: a better picture gets a larger number.": -right,
            "10 is missing: a decibel is a tenth of a bel.": right / 10,
            "the pictures hold uint8: their differences wrap around at 256. Make them float first.": 10
            * np.log10(255**2 / np.mean((picture - true).astype(float) ** 2)),
            "values from 0 to 255 have the peak 255, not 1.": 10 * np.log10(1 / error),
        }
        match(
            given,
            right,
            {f"{given:.4g}: {text}": value for text, value in mistakes.items()},
            f"{given:.4g}, where {right:.4g} is right: the mean of the squared differences, under 255².",
            1e-3,
        )


PSNR = Exercise(
    id="09.1",
    title="how right is a picture?",
    name="psnr",
    hint="The mean of `(picture - true) ** 2` as float; then `10 * np.log10(255**2 / it)`.",
    after="Half the squared error is 3 decibels more; a tenth of it, 10.",
    check=check_psnr,
    solution=psnr,
    wrong=lambda: {
        "mean squared error itself": lambda p, t: np.mean(_errors(p, t) ** 2),
        "255 is squared": lambda p, t: 10 * np.log10(255 / np.mean(_errors(p, t) ** 2)),
        "base 10": lambda p, t: 10 * np.log(255**2 / np.mean(_errors(p, t) ** 2)),
        "20 goes with the root": lambda p, t: 20 * np.log10(255**2 / np.mean(_errors(p, t) ** 2)),
        "absolute value": lambda p, t: 10 * np.log10(255**2 / np.mean(np.abs(_errors(p, t)))),
        "divide by their number": lambda p, t: 10 * np.log10(255**2 / np.sum(_errors(p, t) ** 2)),
        "stands on its head": lambda p, t: 10 * np.log10(np.mean(_errors(p, t) ** 2) / 255**2),
        "10 is missing": lambda p, t: np.log10(255**2 / np.mean(_errors(p, t) ** 2)),
        "wrap around at 256": lambda p, t: 10 * np.log10(255**2 / np.mean((p - t).astype(float) ** 2)),
        "not 1": lambda p, t: 10 * np.log10(1 / np.mean(_errors(p, t) ** 2)),
        "is right": lambda p, t: 30.0,
    },
    right=lambda: [
        lambda p, t: 20 * np.log10(255 / np.sqrt(np.mean(_errors(p, t) ** 2))),
        lambda p, t: -10 * np.log10(np.mean((_errors(p, t) / 255) ** 2)),
    ],
)

# --- 09.2 ----------------------------------------------------------------------------------------------


def greying(ab):
    return np.linalg.norm(ab.mean(axis=0)) / np.linalg.norm(ab, axis=1).mean()


def check_greying(answer: Any) -> None:
    rng = np.random.default_rng()
    for count, middle in ((40, (20.0, -8.0)), (25, (-5.0, 14.0))):
        ab = rng.normal(middle, 30, (count, 2)).astype(np.float32)
        mean, each = ab.mean(axis=0), np.linalg.norm(ab, axis=1)
        right = float(np.linalg.norm(mean) / each.mean())
        given = number(call(answer, ab), "The share")
        mistakes = {
            "that is the vividness of the mean colour; divide it by the mean vividness.": np.linalg.norm(
                mean
            ),
            "that is the mean vividness; it stands below the line.": each.mean(),
            "the fraction stands on its head: a share of 1 means that nothing was lost.": 1 / right,
            "what is lost is 1 minus the share; the share that is left is asked for.": 1 - right,
            "vividness is the length of (a, b), the root of the sum of their squares, not their sum.": np.abs(
                mean
            ).sum()
            / np.abs(ab).sum(axis=1).mean(),
            "below the line stands the mean length, not the root of the mean square.": np.linalg.norm(mean)
            / np.sqrt((each**2).mean()),
            "above the line stands the length of the mean, not the mean of the lengths: 1 always.": 1.0,
            "the mean is taken over the pixels, the first axis.": np.linalg.norm(ab.mean(axis=1))
            / each.mean(),
        }
        named = {f"{given:.4g}: {text}": value for text, value in mistakes.items()}
        match(given, right, named, f"{given:.4g}, where {right:.4g} is right.", 1e-4)


GREYING = Exercise(
    id="09.2",
    title="what a mean does to colours",
    name="greying",
    hint="`np.linalg.norm(ab, axis=1)` is the vividness of each pixel, `ab.mean(axis=0)` the mean colour.",
    after="Colours that point different ways cancel: the mean of red, green and blue cars is a grey car.",
    check=check_greying,
    solution=greying,
    wrong=lambda: {
        "divide it by the mean vividness": lambda ab: np.linalg.norm(ab.mean(axis=0)),
        "it stands below the line": lambda ab: np.linalg.norm(ab, axis=1).mean(),
        "stands on its head": lambda ab: 1 / greying(ab),
        "the share that is left": lambda ab: 1 - greying(ab),
        "not their sum": lambda ab: np.abs(ab.mean(axis=0)).sum() / np.abs(ab).sum(axis=1).mean(),
        "root of the mean square": lambda ab: (
            np.linalg.norm(ab.mean(axis=0)) / np.sqrt((ab**2).sum(axis=1).mean())
        ),
        "1 always": lambda ab: 1.0,
        "the first axis": lambda ab: np.linalg.norm(ab.mean(axis=1)) / np.linalg.norm(ab, axis=1).mean(),
        "is right": lambda ab: 0.5 * greying(ab),
    },
    right=lambda: [
        lambda ab: np.hypot(*ab.mean(axis=0)) / np.hypot(ab[:, 0], ab[:, 1]).mean(),
        lambda ab: float(np.sqrt((ab.sum(axis=0) ** 2).sum()) / np.sqrt((ab**2).sum(axis=1)).sum()),
    ],
)

# --- 09.3 ----------------------------------------------------------------------------------------------


def class_weights(prior, balance):
    weights = 1 / (balance * prior + (1 - balance) / len(prior))
    return weights / (weights * prior).sum()


def check_class_weights(answer: Any) -> None:
    rng = np.random.default_rng()
    for count, balance in ((6, 0.5), (9, 0.8), (5, 0.0)):
        prior = rng.dirichlet(np.full(count, 0.8)) + 0.01
        prior = prior / prior.sum()
        mixture = balance * prior + (1 - balance) / count
        right = class_weights(prior, balance)
        given = array(call(answer, prior, balance), (count,), "The result")
        mistakes = {
            "These are 1 over the mixture. Scale them so that their mean over the pixels is 1.": 1 / mixture,
            "The mixture is large for frequent colours. Rare ones shall count more: 1 over it.": mixture
            / (mixture * prior).sum(),
            "Their mean over the *bins* is 1. Over the pixels each bin counts with its prior.": (1 / mixture)
            / (1 / mixture).mean(),
            "They add up to 1. Their mean over the pixels, `(weights * prior).sum()`, shall be 1.": (
                1 / mixture
            )
            / (1 / mixture).sum(),
            "`balance` has changed places: at 1 each colour counts as much as any other, at 0 nothing "
            "is changed.": class_weights(prior, 1 - balance),
            "You don't use `balance`: 1 over the prior alone lets a single odd pixel decide.": (1 / prior)
            / count,
            "The uniform share of one bin is 1 over their number.": _scaled(
                1 / (balance * prior + (1 - balance)), prior
            ),
            "The root is not asked for.": _scaled(1 / np.sqrt(mixture), prior),
        }
        mistakes = {text: value for text, value in mistakes.items() if not np.allclose(value, right)}
        text = f"With balance {balance} your first weight is {given[0]:.3f}; it should be {right[0]:.3f}."
        match(given, right, mistakes, text, 1e-4)


def _scaled(weights: np.ndarray, prior: np.ndarray) -> np.ndarray:
    return weights / (weights * prior).sum()


def _mixture(prior: np.ndarray, balance: float) -> np.ndarray:
    return balance * prior + (1 - balance) / len(prior)


CLASS_WEIGHTS = Exercise(
    id="09.3",
    title="rare colours count more",
    name="class_weights",
    hint="1 over `balance * prior + (1 - balance) / len(prior)`; then divide by `(weights * prior).sum()`.",
    after="Without the uniform share a colour that was seen once would outweigh a whole sky.",
    check=check_class_weights,
    solution=class_weights,
    wrong=lambda: {
        "Scale them": lambda prior, balance: 1 / _mixture(prior, balance),
        "1 over it": lambda prior, balance: _scaled(_mixture(prior, balance), prior),
        "Over the pixels each bin": lambda prior, balance: (
            1 / _mixture(prior, balance) / (1 / _mixture(prior, balance)).mean()
        ),
        "They add up to 1": lambda prior, balance: (
            1 / _mixture(prior, balance) / (1 / _mixture(prior, balance)).sum()
        ),
        "changed places": lambda prior, balance: (
            class_weights(prior, 1 - balance) if balance != 0.5 else class_weights(prior, balance)
        ),
        "a single odd pixel": lambda prior, balance: 1 / prior / len(prior),
        "is 1 over their number": lambda prior, balance: _scaled(
            1 / (balance * prior + (1 - balance)), prior
        ),
        "The root is not asked for": lambda prior, balance: _scaled(
            1 / np.sqrt(_mixture(prior, balance)), prior
        ),
        "it should be": lambda prior, balance: np.ones(len(prior)),
    },
    right=lambda: [
        lambda prior, balance: (
            1 / _mixture(prior, balance) / np.average(1 / _mixture(prior, balance), weights=prior)
        ),
        lambda prior, balance: _scaled(len(prior) / (balance * prior * len(prior) + 1 - balance), prior),
    ],
)

# --- 09.4 ----------------------------------------------------------------------------------------------


def annealed_mean(scores, centres, temperature):
    power = np.exp((scores - scores.max(axis=-1, keepdims=True)) / temperature)
    return power @ centres / power.sum(axis=-1, keepdims=True)


def _softmax(scores: np.ndarray) -> np.ndarray:
    power = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


def check_annealed_mean(answer: Any) -> None:
    rng = np.random.default_rng()
    for shape, temperature in (((3, 4, 6), 0.4), ((5, 2, 9), 0.7)):
        scores = rng.normal(0, 1.5, shape)
        centres = rng.integers(-6, 7, (shape[-1], 2)) * 10.0 + rng.normal(0, 0.1, (shape[-1], 2))
        right = annealed_mean(scores, centres, temperature)
        given = array(call(answer, scores, centres, temperature), (*shape[:2], 2), "The result")
        plain = _softmax(scores)
        mistakes = {
            "That is the mean without the temperature: divide the scores by it first.": plain @ centres,
            "You multiply by the temperature: below 1 that makes the distribution flatter, not sharper.": (
                _softmax(scores * temperature) @ centres
            ),
            "That is the colour with the highest score, the limit for temperature 0.": centres[
                scores.argmax(axis=-1)
            ],
            "The weights don't add up to 1: divide by their sum over the bins.": np.exp(scores / temperature)
            @ centres,
            "The mean was divided by the temperature, not the scores.": plain @ centres / temperature,
            "The softmax runs over the wrong axis: the bins lie along the last one.": np.exp(
                scores / temperature
            )
            @ centres
            / np.exp(scores / temperature).sum(axis=0)[..., :1].mean(),
            "The probabilities were divided by the temperature: a division that the mean takes out "
            "again, or doubles.": (plain / temperature) @ centres,
            "Scores are no weights: they can be negative. Take the exponential first.": scores @ centres,
        }
        away = np.abs(given - right).max()
        text = f"Up to {away:.2g} away from the right colour. Divide, take the softmax, weigh the centres."
        match(given, right, mistakes, text, 1e-3)
    large = array(call(answer, np.array([[[900.0, 0.0]]]), np.eye(2), 0.5), (1, 1, 2), "The result")
    match(large, np.array([[[1.0, 0.0]]]), {}, "Right for small scores; a score of 900 becomes too large.")


ANNEALED_MEAN = Exercise(
    id="09.4",
    title="one colour from many scores",
    name="annealed_mean",
    hint="Divide by the temperature, subtract the largest score (large ones overflow), `np.exp`, "
    "divide by the sum, `@ centres`.",
    after="Temperature 1 is the mean, careful and grey; near 0 the favourite, vivid and spotty.",
    check=check_annealed_mean,
    solution=annealed_mean,
    wrong=lambda: {
        "without the temperature": lambda s, c, t: _softmax(s) @ c,
        "flatter, not sharper": lambda s, c, t: _softmax(s * t) @ c,
        "the highest score": lambda s, c, t: c[s.argmax(axis=-1)],
        "don't add up to 1": lambda s, c, t: np.exp(s / t) @ c,
        "not the scores": lambda s, c, t: _softmax(s) @ c / t,
        "they can be negative": lambda s, c, t: s @ c,
        "a score of 900": lambda s, c, t: (
            np.exp(np.minimum(s / t, 700)) @ c / np.exp(np.minimum(s / t, 700)).sum(-1, keepdims=True) * 0.5
            if s.max() > 100
            else annealed_mean(s, c, t)
        ),
        "has shape": lambda s, c, t: _softmax(s / t),
        "Up to": lambda s, c, t: annealed_mean(s, c, t) + 5,
    },
    right=lambda: [
        lambda s, c, t: _softmax(s / t) @ c,
        lambda s, c, t: np.einsum("hwq,qk->hwk", _softmax(s / t), c),
    ],
)

# --- 09.5 ----------------------------------------------------------------------------------------------


def hear(ab, voices, colours):
    total = ab + voices @ colours
    return total / (1 + voices.sum(axis=-1, keepdims=True))


def check_hear(answer: Any) -> None:
    rng = np.random.default_rng()
    for height, width, count in ((4, 5, 3), (3, 2, 1), (2, 6, 4)):
        ab = rng.normal(0, 20, (height, width, 2))
        voices = rng.exponential(1.0, (height, width, count))
        colours = rng.normal(0, 40, (count, 2))
        sums = voices @ colours
        loud = voices.sum(axis=-1, keepdims=True)
        right = (ab + sums) / (1 + loud)
        given = array(call(answer, ab, voices, colours), (height, width, 2), "The result")
        mistakes = {
            "The network's own voice is missing: it says `ab`, as loud as 1.": sums / loud,
            "A sum is no mean: divide by the loudness of all voices together.": ab + sums,
            "The network counts above the line, but not below it: add its 1.": (ab + sums) / loud,
            "Divide by how loud the voices are, not by how many there are.": (ab + sums) / (1 + count),
            "The network's 1 stands below the line; above it, its `ab` is missing.": sums / (1 + loud),
            "Only the loudest hint is heard; all are, each as loud as it is.": (
                ab + voices.max(axis=-1, keepdims=True) * colours[voices.argmax(axis=-1)]
            )
            / (1 + voices.max(axis=-1, keepdims=True)),
            "The hints' colours are added up unweighted.": (ab + colours.sum(axis=0)) / (1 + loud),
            "The loudness is added up over the picture; each pixel has its own.": (ab + sums)
            / (1 + voices.sum()),
        }
        mistakes = {text: value for text, value in mistakes.items() if not np.allclose(value, right)}
        match(given, right, mistakes, "Not the mean of all voices. The network's is 1 loud everywhere.", 1e-4)


HEAR = Exercise(
    id="09.5",
    title="hear all voices",
    name="hear",
    hint="`voices @ colours` adds up the hints, each with its loudness. The network adds `ab`, with 1.",
    after="A hint that is loud only where pixels look like its own needs no outline.",
    check=check_hear,
    solution=hear,
    wrong=lambda: {
        "own voice is missing": lambda ab, v, c: v @ c / v.sum(axis=-1, keepdims=True),
        "A sum is no mean": lambda ab, v, c: ab + v @ c,
        "add its 1": lambda ab, v, c: (ab + v @ c) / v.sum(axis=-1, keepdims=True),
        "not by how many there are": lambda ab, v, c: (ab + v @ c) / (1 + len(c)),
        "its `ab` is missing": lambda ab, v, c: v @ c / (1 + v.sum(axis=-1, keepdims=True)),
        "Only the loudest": lambda ab, v, c: (
            (ab + v.max(axis=-1, keepdims=True) * c[v.argmax(axis=-1)]) / (1 + v.max(axis=-1, keepdims=True))
        ),
        "unweighted": lambda ab, v, c: (ab + c.sum(axis=0)) / (1 + v.sum(axis=-1, keepdims=True)),
        "over the picture": lambda ab, v, c: (ab + v @ c) / (1 + v.sum()),
        "Not the mean of all voices": lambda ab, v, c: ab,
    },
    right=lambda: [
        lambda ab, v, c: (ab + np.einsum("hwk,kc->hwc", v, c)) / (1 + np.einsum("hwk->hw", v))[..., None],
        lambda ab, v, c: ab + (v[..., None] * (c - ab[..., None, :])).sum(-2) / (1 + v.sum(-1))[..., None],
    ],
)

# --- 09.6 ----------------------------------------------------------------------------------------------


def steady(now, carried, sure, keep):
    share = keep * sure[..., None]
    return (1 - share) * now + share * carried


def check_steady(answer: Any) -> None:
    rng = np.random.default_rng()
    for height, width, keep in ((4, 6, 0.8), (5, 3, 0.6)):
        now, carried = rng.normal(0, 20, (2, height, width, 2))
        sure = rng.random((height, width))
        share = keep * sure[..., None]
        right = (1 - share) * now + share * carried
        given = array(call(answer, now, carried, sure, keep), (height, width, 2), "The result")
        mistakes = {
            "The confidence has no say: where the motion is wrong, old colours are smeared.": (1 - keep) * now
            + keep * carried,
            "`keep` has no say: where the motion is certain, no new answer ever comes in.": (
                1 - sure[..., None]
            )
            * now
            + sure[..., None] * carried,
            "The two have changed places: `keep` is the share of what was carried along.": share * now
            + (1 - share) * carried,
            "The shares don't add up to 1: the new answer has 1 minus the share of the old one.": now
            + share * carried,
            "The new answer has its share of 1 - keep even where the motion is not to be trusted; "
            "there it should have all.": (1 - keep) * now + share * carried,
            "That is the frame before, carried along; the new answer is not in it.": carried,
            "That is frame by frame: the old colours are not in it.": now,
        }
        match(given, right, mistakes, "Not the mixture: the old colours have the share keep x sure.", 1e-4)


STEADY = Exercise(
    id="09.6",
    title="a colour that stays",
    name="steady",
    hint="The share of the old colours is `keep * sure[..., None]`; the new ones have the rest.",
    after="Each frame corrects a little; where nothing is known about the motion, it stands alone.",
    check=check_steady,
    solution=steady,
    wrong=lambda: {
        "The confidence has no say": lambda n, c, s, k: (1 - k) * n + k * c,
        "`keep` has no say": lambda n, c, s, k: (1 - s[..., None]) * n + s[..., None] * c,
        "changed places": lambda n, c, s, k: steady(c, n, s, k),
        "don't add up to 1": lambda n, c, s, k: n + k * s[..., None] * c,
        "it should have all": lambda n, c, s, k: (1 - k) * n + k * s[..., None] * c,
        "the new answer is not in it": lambda n, c, s, k: c,
        "That is frame by frame": lambda n, c, s, k: n,
        "Not the mixture": lambda n, c, s, k: 0.5 * (n + c),
        "stopped": lambda n, c, s, k: n + k * s[:, :, :, None] * (c - n),
    },
    right=lambda: [
        lambda n, c, s, k: n + (k * s)[..., None] * (c - n),
        lambda n, c, s, k: c + (1 - k * s[:, :, None]) * (n - c),
    ],
)

# --- 09.7 ----------------------------------------------------------------------------------------------

BUGS = {"first": "ranges", "second": "channels", "third": "gamma"}
"""What is wrong with the pictures of notebook 09's clinic."""
TELLS = {
    "ranges": "Lab of 8-bit pictures counts a and b from 128: as they are, everything is pushed one way.",
    "channels": "red and blue have changed places: skin is blue, sky is orange.",
    "gamma": "lightness was taken as light: what is dark becomes much darker.",
}


def check_bugs(answer: Any) -> None:
    expect(isinstance(answer, dict), 'A dictionary such as {"first": "gamma", …} is asked for.')
    missing = [name for name in BUGS if name not in answer]
    expect(not missing, f"An entry for {' and '.join(missing)} is missing.")
    unknown = [value for value in answer.values() if value not in TELLS]
    expect(not unknown, f"{unknown[:1]}: choose among {', '.join(TELLS)}.")
    off = [name for name, bug in BUGS.items() if answer[name] != bug]
    said = {name: str(answer[name]) for name in off}
    reasons = " ".join(f"The {name} is not {bug}: with that, {TELLS[bug]}" for name, bug in said.items())
    expect(not off, reasons)


CLINIC = Exercise(
    id="09.7",
    title="which mistake is which?",
    name="mistakes",
    hint="Look at something whose colour you know, then at the grey of something that was grey.",
    after="Three mistakes that raise no error. Look at your pictures before you look at your losses.",
    check=check_bugs,
    solution='mistakes = {"first": "ranges", "second": "channels", "third": "gamma"}',
    wrong=lambda: (
        {
            f"The {next(name for name in BUGS if dict(zip(BUGS, order, strict=True))[name] != BUGS[name])} "
            f"is not {next(v for k, v in zip(BUGS, order, strict=True) if v != BUGS[k])}": dict(
                zip(BUGS, order, strict=True)
            )
            for order in permutations(TELLS)
            if dict(zip(BUGS, order, strict=True)) != BUGS
        }
        | {
            "A dictionary": ["ranges", "channels", "gamma"],
            "third is missing": {"first": "ranges", "second": "channels"},
            "choose among": {"first": "blur", "second": "channels", "third": "gamma"},
        }
    ),
    right=lambda: [
        dict(sorted(BUGS.items())),
        {**BUGS, "third": "".join(["gam", "ma"])},
    ],
)

EXERCISES = (PSNR, GREYING, CLASS_WEIGHTS, ANNEALED_MEAN, HEAR, STEADY, CLINIC)
