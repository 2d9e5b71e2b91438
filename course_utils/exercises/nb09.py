"""Exercises of notebook 09, colour from grey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, expect, with_gaps


def _quiet(way: Callable[..., Any]) -> Callable[..., Any]:
    """A function that may overflow or divide by 0 without a warning."""

    def answer(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return way(*arguments)

    return answer


# --- 09.1 ----------------------------------------------------------------------------------------------


def psnr(picture, true):
    error = np.mean((picture.astype(float) - true) ** 2)
    return 10 * np.log10(255**2 / error)


def some_pictures(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs that differ a little, in the dark, and as much as can be; in eight bits and as floats."""
    for height, width, brightest, away in [(5, 7, 256, 40), (8, 3, 120, 30)]:
        true = random.integers(0, brightest, (height, width, 3))
        picture = np.clip(true + random.integers(-away, away + 1, true.shape), 0, brightest)
        yield np.minimum(picture, 255).astype(np.uint8), true.astype(np.uint8)
        yield np.minimum(picture, 255).astype(np.float32), true.astype(np.float32)
    picture, true = random.choice([0, 30, 200, 255], (2, 4, 6, 3)).astype(np.uint8)
    yield picture, true


def _decibels(ratio: Callable[[np.ndarray], Any], log: Any = np.log10, times: float = 10) -> Any:
    """A variant of `psnr` with another ratio, made of the differences as floats, or another logarithm."""
    return _quiet(lambda picture, true: times * log(ratio(picture.astype(float) - true)))


def _stored(kind: Any, again: Any = float) -> Any:
    """Subtracts in one kind of number and squares in another."""
    return _quiet(
        lambda p, t: (
            10 * np.log10(255**2 / np.mean((p.astype(kind or p.dtype) - t).astype(again or p.dtype) ** 2))
        )
    )


PSNR = Exercise(
    id="09.1",
    title="how right is a picture?",
    name="psnr",
    hint="The mean of `(picture - true) ** 2` as float; then `10 * np.log10(255**2 / it)`.",
    after="Half the squared error is 3 decibels more; a tenth of it, 10.",
    solution=psnr,
    inputs=some_pictures,
    mistakes={
        "That is the mean squared error itself; put it under 255², and take the logarithm.": lambda p, t: (
            np.mean((p.astype(float) - t) ** 2)
        ),
        "255 is squared, because the error is.": _decibels(lambda d: 255 / np.mean(d**2)),
        "The logarithm is the one to base 10: np.log10.": _decibels(lambda d: 255**2 / np.mean(d**2), np.log),
        "20 goes with the root of the error; with the squared error it is 10.": _decibels(
            lambda d: 255**2 / np.mean(d**2), times=20
        ),
        "The root is taken of the error, but not of 255²; leave it out.": _decibels(
            lambda d: 255**2 / np.sqrt(np.mean(d**2))
        ),
        "The error is squared before the mean is taken; you took its absolute value.": _decibels(
            lambda d: 255**2 / np.mean(np.abs(d))
        ),
        "The squares are added up; divide by their number.": _decibels(lambda d: 255**2 / np.sum(d**2)),
        "The mean comes after the squares: differences of both signs have cancelled.": _decibels(
            lambda d: 255**2 / np.mean(d) ** 2
        ),
        "The mean is taken off first: that is a variance. A picture that is too bright is an error, too.": (
            _decibels(lambda d: 255**2 / np.var(d))
        ),
        "The fraction stands on its head: a better picture gets a larger number.": _decibels(
            lambda d: np.mean(d**2) / 255**2
        ),
        "10 is missing: a decibel is a tenth of a bel.": _decibels(lambda d: 255**2 / np.mean(d**2), times=1),
        "The pictures may hold uint8, and their differences wrap around at 256. Make them float first.": (
            _stored(None)
        ),
        "In uint8 both differences and squares wrap around at 256. Make the pictures float first.": (
            _stored(None, None)
        ),
        "Sixteen bits hold differences, but not the squares of large ones. Make the pictures float first.": (
            _stored(np.int16, np.int16)
        ),
        "Values from 0 to 255 have the peak 255, not 1.": _decibels(lambda d: 1 / np.mean(d**2)),
        "The peak is what a pixel can hold, 255, and not the picture's own largest value.": lambda p, t: (
            10 * np.log10(float(p.max()) ** 2 / np.mean((p.astype(float) - t) ** 2))
        ),
        "The peak is what a pixel can hold, 255, and not the true picture's largest value.": lambda p, t: (
            10 * np.log10(float(t.max()) ** 2 / np.mean((p.astype(float) - t) ** 2))
        ),
        "Each channel has its own ratio in yours, and they are averaged; take one mean over all values.": (
            lambda p, t: np.mean([psnr(p[..., c], t[..., c]) for c in range(3)])
        ),
    },
    right=[
        lambda p, t: 20 * np.log10(255 / np.sqrt(np.mean((p.astype(float) - t) ** 2))),
        lambda p, t: -10 * np.log10(np.mean((p / 255 - t / 255) ** 2)),
        lambda p, t: 10 * np.log10(65025 / np.mean(np.subtract(p, t, dtype=np.float32) ** 2)),
        lambda p, t: 10 * np.log10(255**2 / (np.mean((p * 1.0 - t) ** 2) + 1e-10)),
    ],
)

# --- 09.2 ----------------------------------------------------------------------------------------------


def greying(ab):
    return np.linalg.norm(ab.mean(axis=0)) / np.linalg.norm(ab, axis=1).mean()


def some_colours(random: np.random.Generator) -> Iterator[tuple[np.ndarray]]:
    for count, middle in [(40, (20.0, -8.0)), (25, (-5.0, 14.0)), (2, (10.0, 10.0)), (60, (-30.0, -12.0))]:
        yield (random.normal(middle, 30, (count, 2)).astype(random.choice(["float32", "float64"])),)


def _lengths(ab: np.ndarray) -> np.ndarray:
    return np.linalg.norm(ab, axis=1)


GREYING = Exercise(
    id="09.2",
    title="what a mean does to colours",
    name="greying",
    hint="`np.linalg.norm(ab, axis=1)` is the vividness of each pixel, `ab.mean(axis=0)` the mean colour.",
    after="Colours that point different ways cancel: the mean of red, green and blue cars is a grey car.",
    solution=greying,
    inputs=some_colours,
    mistakes={
        "That is the vividness of the mean colour; divide it by the mean vividness.": lambda ab: (
            np.linalg.norm(ab.mean(axis=0))
        ),
        "That is the mean vividness; it stands below the line.": lambda ab: _lengths(ab).mean(),
        "The fraction stands on its head: a share of 1 means that nothing was lost.": lambda ab: (
            1 / greying(ab)
        ),
        "What is lost is 1 minus the share; the share that is left is asked for.": lambda ab: 1 - greying(ab),
        "The difference of the two; a share divides.": lambda ab: (
            _lengths(ab).mean() - np.linalg.norm(ab.mean(axis=0))
        ),
        "Vividness is the length of (a, b), the root of the sum of their squares, not their sum.": (
            lambda ab: np.abs(ab.mean(axis=0)).sum() / np.abs(ab).sum(axis=1).mean()
        ),
        "Vividness is the length of (a, b), not its square.": lambda ab: (
            (ab.mean(axis=0) ** 2).sum() / (ab**2).sum(axis=1).mean()
        ),
        "Below the line stands the mean length, not the root of the mean square.": lambda ab: (
            np.linalg.norm(ab.mean(axis=0)) / np.sqrt((ab**2).sum(axis=1).mean())
        ),
        "Below the line stands the length of the whole array, one number for all pixels: axis=1.": (
            lambda ab: np.linalg.norm(ab.mean(axis=0)) / np.linalg.norm(ab)
        ),
        "Below the line stand the lengths of the two columns; each pixel has its own: axis=1.": lambda ab: (
            np.linalg.norm(ab.mean(axis=0)) / np.linalg.norm(ab, axis=0).mean()
        ),
        "Above the line stands the length of the mean, not the mean of the lengths: 1 always.": lambda ab: (
            1.0
        ),
        "The lengths are added up; take their mean.": lambda ab: (
            np.linalg.norm(ab.mean(axis=0)) / _lengths(ab).sum()
        ),
        "The mean is taken over the pixels, the first axis.": lambda ab: (
            np.linalg.norm(ab.mean(axis=1)) / _lengths(ab).mean()
        ),
        "a and b are mixed into one mean; the mean colour has two numbers.": lambda ab: (
            abs(ab.mean()) / _lengths(ab).mean()
        ),
        "The signs are lost: red and green no longer cancel.": lambda ab: (
            np.linalg.norm(np.abs(ab).mean(axis=0)) / _lengths(ab).mean()
        ),
        "Each colour is brought to length 1 first; a vivid one should weigh more in the mean.": lambda ab: (
            np.linalg.norm((ab / _lengths(ab)[:, None]).mean(axis=0))
        ),
        "Those are per cent; a share lies between 0 and 1.": lambda ab: 100 * greying(ab),
    },
    right=[
        lambda ab: np.hypot(*ab.mean(axis=0)) / np.hypot(ab[:, 0], ab[:, 1]).mean(),
        lambda ab: float(np.sqrt((ab.sum(axis=0) ** 2).sum()) / np.sqrt((ab**2).sum(axis=1)).sum()),
        lambda ab: abs((ab @ [1, 1j]).mean()) / abs(ab @ [1, 1j]).mean(),
        lambda ab: np.linalg.norm(ab.mean(axis=0)) / (_lengths(ab).mean() + 1e-6),
    ],
)

# --- 09.3 ----------------------------------------------------------------------------------------------


def class_weights(prior, balance):
    weights = 1 / (balance * prior + (1 - balance) / len(prior))
    return weights / (weights * prior).sum()


def some_shares(random: np.random.Generator) -> Iterator[tuple[np.ndarray, float]]:
    for count, balance in [(6, 0.5), (9, 0.8), (5, 0.0), (30, float(random.uniform(0.3, 0.45)))]:
        prior = random.dirichlet(np.full(count, 0.8)) + 0.01
        if count == 9:
            prior[random.integers(9)] = 0  # a colour that no pixel has
        yield prior / prior.sum(), balance


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
    solution=class_weights,
    inputs=some_shares,
    mistakes={
        "These are 1 over the mixture. Scale them so that their mean over the pixels is 1.": lambda p, b: (
            1 / _mixture(p, b)
        ),
        "That is the mixture itself: the weights are 1 over it, scaled.": lambda p, b: _mixture(p, b),
        "The mixture is large for frequent colours. Rare ones shall count more: 1 over it.": lambda p, b: (
            _scaled(_mixture(p, b), p)
        ),
        "Their mean over the *bins* is 1. Over the pixels each bin counts with its prior.": lambda p, b: (
            1 / _mixture(p, b) / (1 / _mixture(p, b)).mean()
        ),
        "They add up to 1. Their mean over the pixels, `(weights * prior).sum()`, shall be 1.": lambda p, b: (
            1 / _mixture(p, b) / (1 / _mixture(p, b)).sum()
        ),
        "The prior has weighed them already: the mean over the pixels is a sum, `(weights * prior).sum()`.": (
            lambda p, b: 1 / _mixture(p, b) / (p / _mixture(p, b)).mean()
        ),
        "The largest is 1. Their mean over the pixels shall be.": lambda p, b: (
            _mixture(p, b).min() / _mixture(p, b)
        ),
        "`balance` has changed places: at 1 each colour counts as much as any other, at 0 nothing "
        "is changed.": _quiet(lambda p, b: class_weights(p, 1 - b)),
        "`balance` is a half in yours, whatever is asked for.": lambda p, b: class_weights(p, 0.5),
        "You don't use `balance`: 1 over the prior alone lets a single odd pixel decide.": _quiet(
            lambda p, b: _scaled(1 / p, p)
        ),
        "The uniform share of one bin is 1 over their number.": lambda p, b: _scaled(1 / (b * p + 1 - b), p),
        "The root is not asked for.": lambda p, b: _scaled(1 / np.sqrt(_mixture(p, b)), p),
        "The mixture is made of the shares, and then it is turned over; not 1 over each of the two.": _quiet(
            lambda p, b: _scaled(b / p + (1 - b) * len(p), p)
        ),
        "A colour that no pixel has gets a weight as well, from its uniform share.": lambda p, b: np.where(
            p > 0, class_weights(p, b), 0.0
        ),
    },
    right=[
        lambda p, b: 1 / _mixture(p, b) / np.average(1 / _mixture(p, b), weights=p),
        lambda p, b: _scaled(len(p) / (b * p * len(p) + 1 - b), p),
        lambda p, b: class_weights(p.astype(np.float32), b).tolist(),
    ],
)

# --- 09.4 ----------------------------------------------------------------------------------------------


def annealed_mean(scores, centres, temperature):
    power = np.exp((scores - scores.max(axis=-1, keepdims=True)) / temperature)
    return power @ centres / power.sum(axis=-1, keepdims=True)


def _softmax(scores: np.ndarray) -> np.ndarray:
    power = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


def some_scores(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Small scores first, then large ones, which differ much from pixel to pixel."""
    for shape, temperature, level in [((3, 4, 6), 0.4, 0), ((5, 2, 9), 0.7, 0), ((2, 3, 5), 0.5, 900)]:
        scores = random.normal(0, 1.5, shape)
        levels = random.permutation(np.linspace(-level, level, shape[0] * shape[1]))
        centres = random.integers(-6, 7, (shape[-1], 2)) * 10.0 + random.normal(0, 0.1, (shape[-1], 2))
        yield scores + levels.reshape(*shape[:2], 1), centres, temperature
    # one score far above the others
    yield random.permutation([900.0, 0.0, 30.0]).reshape(1, 1, 3), random.normal(0, 40, (3, 2)), 0.5


def _annealed(shares: Callable[[np.ndarray, float], np.ndarray]) -> Callable[..., np.ndarray]:
    """A variant of `annealed_mean` with other shares (H, W, Q) of the colours."""
    return _quiet(lambda scores, centres, temperature: shares(scores, temperature) @ centres)


def _shares_of(power: np.ndarray, axis: Any = -1) -> np.ndarray:
    return power / power.sum(axis=axis, keepdims=True)


ANNEALED_MEAN = Exercise(
    id="09.4",
    title="one colour from many scores",
    name="annealed_mean",
    hint="Divide by the temperature, subtract the largest score (large ones overflow), `np.exp`, "
    "divide by the sum, `@ centres`.",
    after="Temperature 1 is the mean, careful and grey; near 0 the favourite, vivid and spotty.",
    solution=annealed_mean,
    inputs=some_scores,
    read=with_gaps,
    within=1e-3,
    mistakes={
        "That is the mean without the temperature: divide the scores by it first.": _annealed(
            lambda s, t: _softmax(s)
        ),
        "You multiply by the temperature: below 1 that makes the distribution flatter, not sharper.": (
            _annealed(lambda s, t: _softmax(s * t))
        ),
        "That is the colour with the highest score, the limit for temperature 0.": lambda s, c, t: c[
            s.argmax(axis=-1)
        ],
        "The weights don't add up to 1: divide by their sum over the bins.": _annealed(
            lambda s, t: np.exp((s - s.max(axis=-1, keepdims=True)) / t)
        ),
        "The weights don't add up to 1, and large ones overflow: divide by their sum over the bins.": (
            _annealed(lambda s, t: np.exp(s / t))
        ),
        "The mean was divided by the temperature, not the scores.": _annealed(lambda s, t: _softmax(s) / t),
        "The temperature comes before the softmax: it divides scores, not shares.": _annealed(
            lambda s, t: _softmax(_softmax(s) / t)
        ),
        "The softmax runs over the wrong axis: the bins lie along the last one.": _annealed(
            lambda s, t: _shares_of(np.exp((s - s.max(axis=0)) / t), 0)
        ),
        "The shares of all pixels together add up to 1; those of each pixel should.": _annealed(
            lambda s, t: _shares_of(np.exp((s - s.max(axis=-1, keepdims=True)) / t), None)
        ),
        "Scores are no weights: they can be negative. Take the exponential first.": _annealed(
            lambda s, t: s / t
        ),
        "Those are the shares of the colours; take the mean of `centres` with them.": lambda s, c, t: (
            _softmax(s / t)
        ),
        "Right for small scores; large ones overflow. Subtract each pixel's largest score first.": _annealed(
            lambda s, t: _shares_of(np.exp(s / t))
        ),
        "The largest score is subtracted after the division: divide it by the temperature as well.": (
            _annealed(lambda s, t: _shares_of(np.exp(s / t - s.max(axis=-1, keepdims=True))))
        ),
        "The largest score of the whole picture is subtracted; a pixel far below it has 0 over 0. Each has "
        "its own largest.": _annealed(lambda s, t: _shares_of(np.exp((s - s.max()) / t))),
        "Cut off at 700, all large scores count the same. Subtract each pixel's largest score instead.": (
            _annealed(lambda s, t: _shares_of(np.exp(np.clip(s / t, -700, 700))))
        ),
        "No overflow any more, but what overflowed has become 0. Subtract each pixel's largest score.": (
            _annealed(lambda s, t: np.nan_to_num(_shares_of(np.exp(s / t))))
        ),
        "a and b have changed places.": lambda s, c, t: annealed_mean(s, c[:, ::-1], t),
    },
    right=[
        lambda s, c, t: _softmax(s / t) @ c,
        lambda s, c, t: np.einsum("hwq,qk->hwk", _softmax(s / t), c),
        lambda s, c, t: annealed_mean(s.astype(np.float32), c.astype(np.float32), t),
        lambda s, c, t: [[_softmax(pixel / t) @ c for pixel in row] for row in s],
    ],
)

# --- 09.5 ----------------------------------------------------------------------------------------------


def hear(ab, voices, colours):
    total = ab + voices @ colours
    return total / (1 + voices.sum(axis=-1, keepdims=True))


def some_voices(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for height, width, count in [(4, 5, 3), (3, 2, 1), (2, 6, 4)]:
        ab = random.normal(0, 40, (height, width, 2))
        yield ab, random.exponential(1.0, (height, width, count)), random.normal(0, 60, (count, 2))


def _loud(voices: np.ndarray) -> np.ndarray:
    return voices.sum(axis=-1, keepdims=True)


def _in_turn(ab: np.ndarray, voices: np.ndarray, colours: np.ndarray) -> np.ndarray:
    for k, colour in enumerate(colours):
        ab = (ab + voices[..., k, None] * colour) / (1 + voices[..., k, None])
    return ab


HEAR = Exercise(
    id="09.5",
    title="hear all voices",
    name="hear",
    hint="`voices @ colours` adds up the hints, each with its loudness. The network adds `ab`, with 1.",
    after="A hint that is loud only where pixels look like its own needs no outline.",
    solution=hear,
    inputs=some_voices,
    mistakes={
        "The network's own voice is missing: it says `ab`, as loud as 1.": lambda ab, v, c: v @ c / _loud(v),
        "A sum is no mean: divide by the loudness of all voices together.": lambda ab, v, c: ab + v @ c,
        "The network counts above the line, but not below it: add its 1.": lambda ab, v, c: (
            (ab + v @ c) / _loud(v)
        ),
        "Divide by how loud the voices are, not by how many there are.": lambda ab, v, c: (
            (ab + v @ c) / (1 + len(c))
        ),
        "The network's 1 stands below the line; above it, its `ab` is missing.": lambda ab, v, c: (
            v @ c / (1 + _loud(v))
        ),
        "Only the loudest hint is heard; all are, each as loud as it is.": lambda ab, v, c: (
            (ab + v.max(axis=-1, keepdims=True) * c[v.argmax(axis=-1)]) / (1 + v.max(axis=-1, keepdims=True))
        ),
        "Only the first hint is heard; all are.": lambda ab, v, c: hear(ab, v[..., :1], c[:1]),
        "The loudest hint has it all to itself; a mean hears everybody.": lambda ab, v, c: c[
            v.argmax(axis=-1)
        ],
        "The hints' colours are added up unweighted.": lambda ab, v, c: (ab + c.sum(axis=0)) / (1 + _loud(v)),
        "The loudness is added up over the picture; each pixel has its own.": lambda ab, v, c: (
            (ab + v @ c) / (1 + v.sum())
        ),
        "Divided by the loudest voice; divide by the loudness of all together.": lambda ab, v, c: (
            (ab + v @ c) / (1 + v.max(axis=-1, keepdims=True))
        ),
        "Loudness is no share: together the hints may be louder than 1, and then the network's is below 0.": (
            lambda ab, v, c: (1 - _loud(v)) * ab + v @ c
        ),
        "The network has half of it, however loud the hints are: its voice is as loud as 1.": (
            lambda ab, v, c: (ab + v @ c / _loud(v)) / 2
        ),
        "The network counts once for each hint; it has one voice.": lambda ab, v, c: (
            (len(c) * ab + v @ c) / (len(c) + _loud(v))
        ),
        "Each hint is mixed with what the ones before it made of `ab`: all speak at once.": _in_turn,
        "The loudness is squared.": lambda ab, v, c: hear(ab, v**2, c),
        "a and b of the hints have changed places.": lambda ab, v, c: hear(ab, v, c[:, ::-1]),
        "That is the network's answer; the hints are not heard.": lambda ab, v, c: ab,
    },
    right=[
        lambda ab, v, c: (ab + np.einsum("hwk,kc->hwc", v, c)) / (1 + np.einsum("hwk->hw", v))[..., None],
        lambda ab, v, c: ab + (v[..., None] * (c - ab[..., None, :])).sum(-2) / (1 + v.sum(-1))[..., None],
        lambda ab, v, c: [
            [(a + w @ c) / (1 + w.sum()) for a, w in zip(*row, strict=True)]
            for row in zip(ab, v, strict=True)
        ],
        lambda ab, v, c: hear(ab, v.astype(np.float32), c.astype(np.float32)),
    ],
)

# --- 09.6 ----------------------------------------------------------------------------------------------


def steady(now, carried, sure, keep):
    share = keep * sure[..., None]
    return (1 - share) * now + share * carried


def some_frames(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    for height, width in [(4, 6), (5, 3), (2, 7)]:
        now, carried = random.normal(0, 40, (2, height, width, 2))
        sure = random.random((height, width))
        sure[0, 0], sure[-1, -1] = 0, 1
        yield now, carried, sure, round(float(random.uniform(0.3, 0.9)), 2)


def _with_share(share: Callable[[np.ndarray, float], Any], rest: Any = None) -> Callable[..., np.ndarray]:
    """A variant of `steady` with another share of the old colours, and of the new."""

    def answer(now: np.ndarray, carried: np.ndarray, sure: np.ndarray, keep: float) -> np.ndarray:
        old = share(sure[..., None], keep)
        return old * carried + (1 - old if rest is None else rest(sure[..., None], keep)) * now

    return answer


STEADY = Exercise(
    id="09.6",
    title="a colour that stays",
    name="steady",
    hint="The share of the old colours is `keep * sure[..., None]`; the new ones have the rest.",
    after="Each frame corrects a little; where nothing is known about the motion, it stands alone.",
    solution=steady,
    inputs=some_frames,
    mistakes={
        "The confidence has no say: where the motion is wrong, old colours are smeared.": _with_share(
            lambda s, k: k
        ),
        "`keep` has no say: where the motion is certain, no new answer ever comes in.": _with_share(
            lambda s, k: s
        ),
        "The two have changed places: `keep` is the share of what was carried along.": (
            lambda n, c, s, k: steady(c, n, s, k)
        ),
        "The confidence is turned round: where it is 0, the old colours have no share.": _with_share(
            lambda s, k: k * (1 - s)
        ),
        "The shares don't add up to 1: the new answer has 1 minus the share of the old one.": _with_share(
            lambda s, k: k * s, lambda s, k: 1
        ),
        "The new answer has its share of 1 - keep even where the motion is not to be trusted; "
        "there it should have all.": _with_share(lambda s, k: k * s, lambda s, k: 1 - k),
        "The new answer's share is 1 - sure; where the motion is certain, 1 - keep of it is lacking.": (
            _with_share(lambda s, k: k * s, lambda s, k: 1 - s)
        ),
        "The new answer's share is (1 - keep) x (1 - sure): with the old one's that does not make 1.": (
            _with_share(lambda s, k: k * s, lambda s, k: (1 - k) * (1 - s))
        ),
        "The confidence is cut to yes or no at a half; in between it counts as much as it is.": _with_share(
            lambda s, k: k * (s > 0.5)
        ),
        "The old colours count wherever the confidence is not 0; they should count the more, the more "
        "certain it is.": _with_share(lambda s, k: k * (s > 0)),
        "The smaller of `keep` and the confidence; at 0.5 the old colours have half of `keep`.": _with_share(
            lambda s, k: np.minimum(s, k)
        ),
        "The larger of `keep` and the confidence; where that is 0, the old colours have no share.": (
            _with_share(lambda s, k: np.maximum(s, k))
        ),
        "One confidence for the whole picture; each pixel has its own.": _with_share(
            lambda s, k: k * s.mean()
        ),
        "The confidence is squared.": _with_share(lambda s, k: k * s**2),
        "That is the frame before, carried along; the new answer is not in it.": lambda n, c, s, k: c,
        "That is frame by frame: the old colours are not in it.": lambda n, c, s, k: n,
    },
    right=[
        lambda n, c, s, k: n + (k * s)[..., None] * (c - n),
        lambda n, c, s, k: c + (1 - k * s[:, :, None]) * (n - c),
        lambda n, c, s, k: np.stack([k * s * c[..., i] + (1 - k * s) * n[..., i] for i in (0, 1)], axis=-1),
        lambda n, c, s, k: steady(n, c, s.astype(np.float32), k).tolist(),
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
    given = {name: str(answer[name]).strip().lower() for name in BUGS}
    unknown = [name for name, bug in given.items() if bug not in TELLS]
    expect(not unknown, f"What the {unknown[0] if unknown else None} is, choose among {', '.join(TELLS)}.")
    said = {name: bug for name, bug in given.items() if bug != BUGS[name]}
    reasons = " ".join(f"The {name} is not {bug}: with that, {TELLS[bug]}" for name, bug in said.items())
    expect(not said, reasons)


CLINIC = Exercise(
    id="09.7",
    title="which mistake is which?",
    name="mistakes",
    hint="Look at something whose colour you know, then at the grey of something that was grey.",
    after="Three mistakes that raise no error. Look at your pictures before you look at your losses.",
    check=check_bugs,
    solution='mistakes = {"first": "ranges", "second": "channels", "third": "gamma"}',
    mistakes=(
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
    right=[
        dict(sorted(BUGS.items())),
        {**BUGS, "third": " Gamma"},
    ],
)

EXERCISES = (PSNR, GREYING, CLASS_WEIGHTS, ANNEALED_MEAN, HEAR, STEADY, CLINIC)
