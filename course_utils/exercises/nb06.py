"""Exercises of notebook 06: striding, the averaging head, shared gradients, a choice, silent faults."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Set
from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, Mistake, expect, to_numpy

# --- 06.1 ----------------------------------------------------------------------------------------------

FIRST, SECOND = 9 * 96 * 96 + 96, 9 * 192 * 192 + 192

ADDED = Exercise(
    id="06.1",
    title="what striding adds",
    name="added",
    hint="Two layers are new: 3x3 from 96 maps to 96, and from 192 to 192. Weights and biases of both.",
    after="83,040 and 331,968: striding costs parameters. It saves a kind of layer.",
    solution="added = (9 * 96 * 96 + 96) + (9 * 192 * 192 + 192)",
    mistakes={
        "A pooling has no weights, so what takes its place can't make the network smaller or leave it equal: "
        "count the new layers.": 0,
        "That is what the article says, with its sign: fewer. The new layers have weights, the poolings "
        "that they replace had none.": -(FIRST + SECOND),
        "That is the first of the two layers; there is another one, from 192 maps to 192.": FIRST,
        "That is the second of the two layers; there is another one, from 96 maps to 96.": SECOND,
        "The biases are missing: one for each filter of the new layers.": 9 * (96**2 + 192**2),
        "One bias too many for each layer, or a few: a layer has as many as filters.": FIRST + SECOND + 2,
        "That is the whole of All-CNN-C. By how much is it larger than Model C?": 1_369_738,
        "That is the whole of Model C. By how much is All-CNN-C larger?": 954_730,
        "A kernel has 3 by 3 places, nine; you count three.": 3 * (96**2 + 192**2) + 288,
        "A kernel reaches through all maps that come in: 9 times 96 for each filter, not 9.": 10 * (96 + 192),
        "The second new layer takes 192 maps and gives 192; you count 96 coming in.": (
            FIRST + 9 * 96 * 192 + 192
        ),
        "The first new layer takes 96 maps, not the 3 colours of the picture.": 9 * 3 * 96 + 96 + SECOND,
    },
    right=[415_008, np.int64(83_040 + 331_968), 415_008.0, np.float32(415_008), [1_369_738 - 954_730]],
)

# --- 06.2 ----------------------------------------------------------------------------------------------


def head(maps):
    logits = maps.mean(axis=(0, 1))
    scores = np.exp(logits - logits.max())
    return scores / scores.sum()


def some_maps(random: np.random.Generator) -> Iterator[tuple[np.ndarray]]:
    for height, width in ((6, 8), (3, 5), (9, 4)):
        yield (random.normal(0, 2, (height, width, 10)) + random.normal(0, 1.5, 10),)
    yield (random.normal(-3, 2, (5, 5, 10)).astype(np.float32),)


def _softmax(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    scores = np.exp(values - values.max(axis=axis, keepdims=True))
    return scores / scores.sum(axis=axis, keepdims=True)


def _of(pick: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """The softmax of ten numbers that something other than the mean makes of the maps."""
    return lambda maps: _softmax(pick(maps))


def _mean(maps: np.ndarray) -> np.ndarray:
    return maps.mean(axis=(0, 1))


HEAD = Exercise(
    id="06.2",
    title="average instead of dense",
    name="head",
    hint="`maps.mean(axis=(0, 1))` gives ten numbers. Softmax: exponentials, divided by their sum.",
    after="No weights at all, and it takes maps of any size. Subtracting the largest first keeps exp finite.",
    solution=head,
    inputs=some_maps,
    mistakes={
        "These are the averages. The softmax is missing: they are no probabilities yet.": _mean,
        "Averages of exponentials: take the mean of the maps first, then the softmax of the ten means.": (
            lambda maps: _softmax(maps, -1).mean(axis=(0, 1))
        ),
        "Exponentials before the mean: take the mean of the maps first.": lambda maps: (
            np.exp(maps).mean(axis=(0, 1)) / np.exp(maps).mean(axis=(0, 1)).sum()
        ),
        "That is the largest value of each map, as a pooling would take it. The net averages.": _of(
            lambda maps: maps.max(axis=(0, 1))
        ),
        "You add the places up without dividing by their number, so the answer is far too sure of itself.": (
            _of(lambda maps: maps.sum(axis=(0, 1)))
        ),
        "Divided by 36, the places of a picture of 32 by 32; maps of another size have others.": _of(
            lambda maps: maps.sum(axis=(0, 1)) / 36
        ),
        "Exponentials without dividing by their sum: probabilities add up to 1.": lambda maps: np.exp(
            _mean(maps)
        ),
        "Divided by their sum without the exponential: some of these are negative or above 1.": (
            lambda maps: _mean(maps) / _mean(maps).sum()
        ),
        "Divided by the largest: probabilities add up to 1, so divide by the sum.": lambda maps: np.exp(
            _mean(maps) - _mean(maps).max()
        ),
        "That is the logarithm of the probabilities.": lambda maps: np.log(head(maps)),
        "A sigmoid judges each class for itself; a softmax shares one unit among all ten.": lambda maps: (
            1 / (1 + np.exp(-_mean(maps)))
        ),
        "A ReLU came before the average; the maps go in as they are.": _of(
            lambda maps: _mean(np.maximum(maps, 0))
        ),
        "The median is another middle; the mean is asked for.": _of(lambda maps: np.median(maps, (0, 1))),
        "Only the place in the middle has a say; all places are averaged.": _of(
            lambda maps: maps[maps.shape[0] // 2, maps.shape[1] // 2]
        ),
        "Only the place in the corner has a say; all places are averaged.": _of(lambda maps: maps[0, 0]),
        "The sign is turned: the class with the largest mean is the likeliest.": _of(
            lambda maps: -_mean(maps)
        ),
        "That is an answer at every place. Average over the places first.": lambda maps: _softmax(maps, -1),
        "You average over the ten classes; average over height and width, the first two axes.": (
            lambda maps: maps.mean(axis=-1)
        ),
        "Only one of the two directions is averaged.": lambda maps: _softmax(maps.mean(axis=0), -1),
        "A softmax over the whole is one answer for all places together; average first.": lambda maps: (
            _softmax(maps)
        ),
        "The name of the class is not asked for: return all ten probabilities.": lambda maps: int(
            _mean(maps).argmax()
        ),
    },
    right=[
        lambda maps: np.exp(maps.mean((0, 1))) / np.exp(maps.mean((0, 1))).sum(),
        lambda maps: _softmax(maps.reshape(-1, 10).mean(axis=0)).astype(np.float32),
        lambda maps: np.exp(maps.mean(1).mean(0) - np.logaddexp.reduce(maps.mean((0, 1)))),
        lambda maps: _softmax(np.float32(maps).mean((0, 1))),
        lambda maps: list(head(maps)),
    ],
)

# --- 06.3 ----------------------------------------------------------------------------------------------


def together(gradients, counts):
    total = sum(count * gradient for count, gradient in zip(counts, gradients, strict=True))
    return total / sum(counts)


def shares(random: np.random.Generator) -> Iterator[tuple[list[np.ndarray], list[int]]]:
    for shape, counts in [
        ((3, 2), [32, 32, 8]),
        ((5,), [7, 20]),
        ((3, 3, 2, 4), [16, 4, 12, 9]),
        ((4, 3), [5, 5, 5, 5, 5]),
        ((2, 6), [3, 40, 11]),
    ]:
        yield [random.normal(0.5, 1, shape) for _ in counts], counts


def _weighed(gradients: list[np.ndarray], counts: list[int]) -> Any:
    return sum(count * gradient for count, gradient in zip(counts, gradients, strict=True))


def overwrites(gradients: list[np.ndarray], counts: list[int]) -> Any:
    """The right result, made in the arrays that were given."""
    for gradient, count in zip(gradients, counts, strict=True):
        gradient *= count
    return sum(gradients) / sum(counts)


TOGETHER = Exercise(
    id="06.3",
    title="one gradient from many",
    name="together",
    hint="Each device's gradient is a mean over its own pictures. Make sums of the means, add, divide once.",
    after="With equal parts this is the plain mean: all that data parallelism is.",
    solution=together,
    inputs=shares,
    mistakes={
        "A plain mean: a device with few pictures is heard as loudly as one with many.": (
            lambda gradients, counts: np.mean(gradients, axis=0)
        ),
        "A plain sum: with more devices the steps would grow.": lambda gradients, counts: np.sum(
            gradients, axis=0
        ),
        "Each gradient is weighed by its number of pictures; now divide by all of them.": _weighed,
        "Divided by the number of devices; divide by the number of pictures.": lambda gradients, counts: (
            _weighed(gradients, counts) / len(counts)
        ),
        "Divided by the largest part; divide by the number of all pictures.": lambda gradients, counts: (
            _weighed(gradients, counts) / max(counts)
        ),
        "That is the first device alone; the work of the others is lost.": lambda gradients, counts: (
            gradients[0]
        ),
        "That is the last device alone; add the devices up.": lambda gradients, counts: gradients[-1],
        "That is the device with the most pictures alone.": lambda gradients, counts: gradients[
            int(np.argmax(counts))
        ],
        "Weighed the wrong way round: the device with the fewest pictures is heard most.": (
            lambda gradients, counts: np.average(gradients, axis=0, weights=1 / np.array(counts))
        ),
        "The counts were squared: weigh by the number of pictures itself.": lambda gradients, counts: (
            np.average(gradients, axis=0, weights=np.square(counts))
        ),
        "The counts are in the wrong order: each gradient goes with its own.": lambda gradients, counts: (
            together(gradients[::-1], counts)
        ),
        "Only the first two devices are counted; there may be more.": lambda gradients, counts: together(
            gradients[:2], counts[:2]
        ),
        "The last device is left out.": lambda gradients, counts: together(gradients[:-1], counts[:-1]),
        "Divided by the batch of 32 that each device was meant to have; divide by the counts.": (
            lambda gradients, counts: _weighed(gradients, counts) / (32 * len(counts))
        ),
        "The gradient points the other way: the optimizer subtracts it, you need not.": (
            lambda gradients, counts: -together(gradients, counts)
        ),
        "One number for all: a gradient has the shape of the weights.": lambda gradients, counts: np.average(
            [gradient.mean() for gradient in gradients], weights=counts
        ),
        "The gradients stand beside each other, weighed; add them up.": lambda gradients, counts: (
            np.array([g * c for g, c in zip(gradients, counts, strict=True)]) / sum(counts)
        ),
        "writes into the array that it is given": overwrites,
    },
    right=[
        lambda gradients, counts: np.average(gradients, axis=0, weights=counts),
        lambda gradients, counts: np.tensordot(np.array(counts) / np.sum(counts), np.array(gradients), 1),
        lambda gradients, counts: sum(
            gradients.pop() * (counts[len(gradients)] / sum(counts)) for _ in range(len(counts))
        ),
        lambda gradients, counts: together([np.float32(g) for g in gradients], counts),
        lambda gradients, counts: np.einsum(
            "n,n...->...", np.divide(counts, sum(counts)), np.stack(gradients)
        ),
    ],
)

# --- 06.5 ----------------------------------------------------------------------------------------------


def choose(validation, test):
    epoch = int(np.argmax(validation))
    return epoch, test[epoch]


def two_curves(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Accuracies of which the best validation and the best test are different; both may be at an end."""
    for length, best, other in ((7, 4, 2), (9, 1, 6), (5, 3, 0), (8, 0, 5), (6, 5, 2)):
        while True:
            validation = _with_its_peak(random, np.linspace(0.31, 0.7, length).round(3), best)
            test = _with_its_peak(random, np.linspace(0.3, 0.68, length).round(3), other)
            if int(np.argmax(validation + test)) not in (best, other):
                break
        yield validation, test


def _with_its_peak(random: np.random.Generator, rising: np.ndarray, place: int) -> np.ndarray:
    return np.insert(random.permutation(rising[:-1]), place, rising[-1])


def pair(value: Any) -> np.ndarray:
    """The answer as [epoch, accuracy]."""
    if isinstance(value, (tuple, list)) and len(value) == 2:
        value = [each.item() if getattr(each, "size", 0) == 1 else each for each in value]
    plain = to_numpy(value)
    if plain is None or plain.shape != (2,) or plain.dtype.kind not in "iuf":
        raise Mistake("Two things are asked for: return epoch, accuracy.")
    expect(np.isfinite(plain).all(), "One of the two is not finite.")
    return plain


def _at(pick: Callable[[np.ndarray, np.ndarray], Any], shift: int = 0) -> Callable[..., Any]:
    """An epoch chosen in some way, and the test accuracy there."""
    return lambda validation, test: (
        int(pick(validation, test)) + shift,
        test[int(pick(validation, test))],
    )


CHOOSE = Exercise(
    id="06.5",
    title="an honest choice",
    name="choose",
    hint="`np.argmax(validation)` is the epoch. The test accuracy is only read off, there.",
    after="Three parts: one to train, one to choose, one to report. The article's heading promised them.",
    solution=choose,
    inputs=two_curves,
    read=pair,
    mistakes={
        "The epoch was chosen on the test pictures. Whoever judges at the end must not choose.": _at(
            lambda v, t: np.argmax(t)
        ),
        "The epoch is right, but its validation accuracy is what it was chosen by, and too good. Report the "
        "test accuracy.": lambda v, t: (int(np.argmax(v)), v.max()),
        "That is the last epoch. It needs no choice, but the validation pictures know better.": _at(
            lambda v, t: len(t) - 1
        ),
        "The epoch is right, the accuracy is the best on the test pictures, of another epoch.": (
            lambda v, t: (int(np.argmax(v)), t.max())
        ),
        "The epoch is right, the accuracy is the mean over all epochs.": lambda v, t: (
            int(np.argmax(v)),
            t.mean(),
        ),
        "The epoch is right, the accuracy is that of the last one.": lambda v, t: (int(np.argmax(v)), t[-1]),
        "Epochs count from 0 here, as in the list.": _at(lambda v, t: np.argmax(v), 1),
        "The last epoch is one to choose from, like the others.": _at(lambda v, t: np.argmax(v[:-1])),
        "That is the lowest; an accuracy should be high.": _at(lambda v, t: np.argmin(v)),
        "Both lists were averaged: the test pictures have a say in the choice again.": _at(
            lambda v, t: np.argmax(v + t)
        ),
        "The two are exchanged: first the epoch, then the accuracy.": lambda v, t: choose(v, t)[::-1],
        "The two lists are exchanged: the first one chooses, the second one reports.": lambda v, t: choose(
            t, v
        ),
        "Two things are asked for": lambda v, t: int(np.argmax(v)),
    },
    right=[
        lambda v, t: (list(v).index(max(v)), t[list(v).index(max(v))]),
        lambda v, t: [v.argmax(), t[v.argmax()]],
        lambda v, t: np.array(choose(v, t)),
        lambda v, t: (e := max(range(len(v)), key=lambda i: v[i]), float(t[e])),
        lambda v, t: (np.flatnonzero(v == v.max()), t[v == v.max()]),
    ],
)

# --- 06.6 ----------------------------------------------------------------------------------------------

SILENT = {
    9: "One is in the network, between two convolutions: what follows the strided one, and what not?",
    16: "One is where the model is compiled: look for what line 15 made.",
    17: "One is in how the pictures are prepared: how large is a pixel when it reaches the network?",
    20: "One is in the training: which pictures decide what the best state is, and which report it?",
    22: "One is at the end: which object is saved there, the network or what line 14 has put around it?",
}
LOUD = {
    3: "Line 3 has a fault, but it is not silent: Y_test is missing, and line 20 stops. Python said so.",
    5: "Line 5 is not silent: with channels last, 3 rows and 32 channels stop with an error of the shapes.",
    14: "Line 14 is not silent: make_parallel stops. And to share a batch is no fault in itself.",
}
FINE = {
    15: "Line 15 is fine: these settings are sensible. Is the object used?",
    18: "Line 18 moves the pictures by a tenth, as was wanted. It changes no other thing.",
    19: "Line 19 is careless, it watches one quantity and names files by another, but it breaks nothing.",
}


def check_faults(answer: Any) -> None:
    if isinstance(answer, dict):  # {9: "why"}, or {"layers": 9}
        answer = list(answer if all(isinstance(line, (int, float)) for line in answer) else answer.values())
    if isinstance(answer, (Set, Iterator)):
        answer = sorted(itertools.islice(answer, 100), key=str)
    plain = to_numpy(answer)
    expect(
        plain is not None and plain.dtype.kind in "iuf" and plain.ndim == 1 and plain.size,
        "A list of line numbers is asked for, such as [1, 2].",
    )
    assert plain is not None
    expect((plain == np.rint(plain)).all(), "Lines have whole numbers.")
    lines = {int(line) for line in plain}
    odd = sorted(lines - set(range(1, 23)))
    expect(not odd, f"There is no line {odd[0] if odd else 0}: they go from 1 to 22.")
    for line in sorted(lines - set(SILENT)):
        right = len(lines & set(SILENT))
        raise Mistake(
            LOUD.get(line)
            or FINE.get(line)
            or f"Line {line} does what it should. {right} of yours are right."
        )
    missing = [line for line in SILENT if line not in lines]
    if missing:
        left = "One fault is" if len(missing) == 1 else f"{len(missing)} faults are"
        raise Mistake(f"{left} left. {SILENT[missing[0]]}", close=len(missing) == 1)


def _without(line: int) -> list[int]:
    return [each for each in SILENT if each != line]


FAULTS = Exercise(
    id="06.6",
    title="five silent faults",
    name="faults",
    hint="Between two layers, compiling, preparing the pictures, training, saving: one each.",
    after="None of them raises an error, and some hold each other up; see below.",
    check=check_faults,
    solution="faults = [9, 16, 17, 20, 22]",
    mistakes={
        "what follows the strided one": _without(9),
        "look for what line 15 made": _without(16),
        "how large is a pixel": _without(17),
        "which pictures decide": _without(20),
        "which object is saved": _without(22),
        "4 faults are left": [9],
        "Line 19 is careless": [*SILENT, 19],
        "these settings are sensible": [*SILENT, 15],
        "moves the pictures by a tenth": [*SILENT, 18],
        "Y_test is missing": [*SILENT, 3],
        "with channels last": [*SILENT, 5],
        "make_parallel stops": [*SILENT, 14],
        "does what it should": [*SILENT, 12],
        "There is no line 23": [*SILENT, 23],
        "whole numbers": [9.5, 16, 17, 20, 22],
        "A list of line numbers": "9, 16, 17",
    },
    right=[
        {22, 20, 17, 16, 9},
        (22, 9, 16, 17, 20, 20),
        np.array([9, 16, 17, 20, 22]),
        [9.0, 16.0, 17.0, 20.0, 22.0],
        dict.fromkeys(SILENT, "why"),
        dict.fromkeys(SILENT).keys(),
        dict(zip(["layers", "compiling", "preparing", "training", "saving"], SILENT, strict=True)),
    ],
)

EXERCISES = (ADDED, HEAD, TOGETHER, CHOOSE, FAULTS)
