"""Exercises of notebook 06: striding's price, the averaging head, shared gradients, six bugs, a choice."""

from __future__ import annotations

from typing import Any

import numpy as np

from course_utils.exercises.frame import (
    Exercise,
    Mistake,
    array,
    call,
    expect,
    match,
    number,
    to_numpy,
)

# --- 06.1 ----------------------------------------------------------------------------------------------

FIRST, SECOND = 9 * 96 * 96 + 96, 9 * 192 * 192 + 192


def check_added(answer: Any) -> None:
    given = number(answer)
    mistakes = {
        "A pooling has no weights, so what takes its place can't make the network smaller or leave it equal: "
        "count the new layers.": 0,
        "That is what the document says, with its sign: fewer. The new layers have weights, the poolings "
        "that they replace had none.": -(FIRST + SECOND),
        "That is the first of the two layers; there is another one, from 192 maps to 192.": FIRST,
        "That is the second of the two layers; there is another one, from 96 maps to 96.": SECOND,
        "The biases are missing: one for each filter of the new layers.": 9 * (96**2 + 192**2),
        "That is the whole of All-CNN-C. By how much is it larger than Model C?": 1_369_738,
        "That is the whole of Model C. By how much is All-CNN-C larger?": 954_730,
        "A kernel has 3 by 3 places, nine; you count three.": 3 * (96**2 + 192**2) + 288,
        "The second new layer takes 192 maps and gives 192; you count 96 coming in.": FIRST
        + 9 * 96 * 192
        + 192,
    }
    otherwise = (
        f"It should be more than 400,000; you have {given:,.0f}. A 3x3 convolution from a maps to b maps has "
        "9 a b weights and b biases."
    )
    match(given, FIRST + SECOND, mistakes, otherwise, within=0.4)


ADDED = Exercise(
    id="06.1",
    title="what striding adds",
    name="added",
    hint="Two layers are new: 3x3 from 96 maps to 96, and from 192 to 192. Weights and biases of both.",
    after="83,040 and 331,968: striding costs parameters. It saves a kind of layer.",
    check=check_added,
    solution="added = (9 * 96 * 96 + 96) + (9 * 192 * 192 + 192)",
    wrong=lambda: {
        "can't make the network smaller": 0,
        "with its sign": -415_008,
        "the first of the two": 83_040,
        "the second of the two": 331_968,
        "biases are missing": 414_720,
        "the whole of All-CNN-C": 1_369_738,
        "the whole of Model C": 954_730,
        "you count three": 138_528,
        "96 coming in": 249_120,
        "more than 400,000": 96 + 192,
        "should be one number": [83_040, 331_968],
    },
    right=lambda: [415_008, np.int64(83_040 + 331_968), 415_008.0],
)

# --- 06.2 ----------------------------------------------------------------------------------------------


def head(maps):
    logits = maps.mean(axis=(0, 1))
    scores = np.exp(logits - logits.max())
    return scores / scores.sum()


def _softmax(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    scores = np.exp(values - values.max(axis=axis, keepdims=True))
    return scores / scores.sum(axis=axis, keepdims=True)


def check_head(answer: Any) -> None:
    maps = np.random.default_rng(0).normal(0, 2, (6, 8, 10))
    given = array(call(answer, maps), None, "The result")
    expect(
        given.ndim != 3,
        f"The result has shape {given.shape}: an answer at every place. Average over the places first.",
    )
    expect(
        given.shape == (10,), f"The result has shape {given.shape}; (10,) is asked for, one number a class."
    )
    mean = maps.mean(axis=(0, 1))
    mistakes = {
        "These are the averages. The softmax is missing: they are no probabilities yet.": mean,
        "Averages of exponentials: take the mean of the maps first, then the softmax of the ten means.": (
            _softmax(maps, -1).mean(axis=(0, 1))
        ),
        "That is the largest value of each map, as a pooling would take it. The net averages.": _softmax(
            maps.max(axis=(0, 1))
        ),
        "You add the places up without dividing by their number, so the answer is far too sure of itself.": (
            _softmax(maps.sum(axis=(0, 1)))
        ),
        "Exponentials without dividing by their sum: probabilities add up to 1.": np.exp(mean),
        "Divided by their sum without the exponential: some of these are negative or above 1.": mean
        / mean.sum(),
        "Only the place in the middle has a say; all places are averaged.": _softmax(maps[3, 4]),
        "Only the place in the corner has a say; all places are averaged.": _softmax(maps[0, 0]),
    }
    match(
        given,
        head(maps),
        mistakes,
        f"Your first value is {given[0]:.3f}; it should be {head(maps)[0]:.3f}.",
        1e-6,
    )
    large = array(call(answer, maps + 1000), (10,), "The result")
    match(
        large,
        head(maps),
        {},
        "Right here, but maps that are larger by 1000 everywhere must give the same answer.",
        1e-6,
    )


HEAD = Exercise(
    id="06.2",
    title="average instead of dense",
    name="head",
    hint="`maps.mean(axis=(0, 1))` gives ten numbers. Softmax: exponentials, divided by their sum.",
    after="No weights at all, and it takes maps of any size. Subtracting the largest keeps exp finite.",
    check=check_head,
    solution=head,
    wrong=lambda: {
        "The softmax is missing": lambda maps: maps.mean(axis=(0, 1)),
        "Averages of exponentials": lambda maps: _softmax(maps, -1).mean(axis=(0, 1)),
        "as a pooling would": lambda maps: _softmax(maps.max(axis=(0, 1))),
        "far too sure of itself": lambda maps: _softmax(maps.sum(axis=(0, 1))),
        "without dividing by their sum": lambda maps: np.exp(maps.mean(axis=(0, 1))),
        "without the exponential": lambda maps: maps.mean(axis=(0, 1)) / maps.mean(axis=(0, 1)).sum(),
        "in the middle": lambda maps: _softmax(maps[maps.shape[0] // 2, maps.shape[1] // 2]),
        "in the corner": lambda maps: _softmax(maps[0, 0]),
        "an answer at every place": lambda maps: _softmax(maps, -1),
        "has shape (6, 8)": lambda maps: maps.mean(axis=-1),
        "it should be": lambda maps: np.full(10, 0.1),
        "values that are not finite": lambda maps: np.full(10, np.nan),
    },
    right=lambda: [
        lambda maps: _softmax(maps.reshape(-1, 10).mean(axis=0)),
        lambda maps: np.exp(maps.mean((0, 1)) - np.logaddexp.reduce(maps.mean((0, 1)))),
    ],
)

# --- 06.3 ----------------------------------------------------------------------------------------------


def together(gradients, counts):
    total = sum(count * gradient for count, gradient in zip(counts, gradients, strict=True))
    return total / sum(counts)


def check_together(answer: Any) -> None:
    rng = np.random.default_rng(0)
    gradients, counts = [rng.normal(size=(3, 2)) for _ in range(3)], [32, 32, 8]
    given = array(call(answer, gradients, counts), None, "The result")
    expect(
        given.shape == (3, 2),
        f"The result has shape {given.shape}; a gradient has the shape of the weights, here (3, 2).",
    )
    weighed = [count * gradient for count, gradient in zip(counts, gradients, strict=True)]
    mistakes = {
        "A plain mean: the device with 8 pictures is heard as loudly as one with 32.": sum(gradients) / 3,
        "A plain sum: with more devices the steps would grow.": sum(gradients),
        "Each gradient is weighed by its number of pictures; now divide by all of them.": sum(weighed),
        "Divided by the number of devices; divide by the number of pictures.": sum(weighed) / 3,
        "That is the first device alone; the work of the others is lost.": gradients[0],
        "Weighed the wrong way round: the device with the fewest pictures is heard most.": (
            sum(g / c for g, c in zip(gradients, counts, strict=True)) / sum(1 / c for c in counts)
        ),
        "Divided by the largest part; divide by the number of all pictures.": sum(weighed) / 32,
        "The gradient points the other way: the optimizer subtracts it, you need not.": -together(
            gradients, counts
        ),
    }
    right = together(gradients, counts)
    match(given, right, mistakes, f"Your first value is {given[0, 0]:.4f}; it should be {right[0, 0]:.4f}.")


TOGETHER = Exercise(
    id="06.3",
    title="one gradient from many",
    name="together",
    hint="Each device's gradient is a mean over its own pictures. Make sums of the means, add, divide once.",
    after="With equal parts this is the plain mean: all that data parallelism is.",
    check=check_together,
    solution=together,
    wrong=lambda: {
        "heard as loudly": lambda gradients, counts: np.mean(gradients, axis=0),
        "the steps would grow": lambda gradients, counts: np.sum(gradients, axis=0),
        "now divide by all of them": lambda gradients, counts: sum(
            c * g for c, g in zip(counts, gradients, strict=True)
        ),
        "Divided by the number of devices": lambda gradients, counts: (
            sum(c * g for c, g in zip(counts, gradients, strict=True)) / len(counts)
        ),
        "the first device alone": lambda gradients, counts: gradients[0],
        "the wrong way round": lambda gradients, counts: np.average(
            gradients, axis=0, weights=1 / np.array(counts)
        ),
        "Divided by the largest part": lambda gradients, counts: (
            sum(c * g for c, g in zip(counts, gradients, strict=True)) / max(counts)
        ),
        "points the other way": lambda gradients, counts: -np.average(gradients, axis=0, weights=counts),
        "has the shape of the weights": lambda gradients, counts: np.average(
            [g.mean() for g in gradients], weights=counts
        ),
        "it should be": lambda gradients, counts: gradients[0] * 0,
        "stopped": lambda gradients, counts: gradients / counts,
    },
    right=lambda: [
        lambda gradients, counts: np.average(gradients, axis=0, weights=counts),
        lambda gradients, counts: np.tensordot(np.array(counts) / np.sum(counts), np.array(gradients), 1),
    ],
)

# --- 06.4 ----------------------------------------------------------------------------------------------

MISSED = {
    3: "One is in how the data are read: a pixel is still a number up to 255 when it reaches the network.",
    7: "One is in the network's first layer: which of its three numbers is the count of colours?",
    11: "One is in the network, between two convolutions: what follows the strided one, and what not?",
    19: "One is where the model is compiled: look for what line 18 made.",
    21: "One is in the training: which pictures decide what the best state is, and which report it?",
    22: "One is at the end: which object is saved there, the network or what line 16 has put around it?",
}
FINE = {
    16: "Line 16 is no mistake in itself: to share the batch is what was wanted. What becomes of it later?",
    18: "Line 18 is fine: these settings are sensible. Is the object used?",
    20: "Line 20 is careless, it watches one quantity and names files by another, but it breaks nothing.",
}


def check_bugs(answer: Any) -> None:
    given = to_numpy(sorted(answer) if isinstance(answer, (set, frozenset)) else answer)
    if given is None or given.dtype.kind not in "iu" or given.ndim != 1:
        raise Mistake("A list of line numbers is asked for, such as [1, 2].")
    lines = {int(line) for line in given}
    odd = sorted(lines - set(range(1, 23)))
    expect(not odd, f"There is no line {odd[0] if odd else 0}: they go from 1 to 22.")
    for line in sorted(lines - set(MISSED)):
        raise Mistake(
            FINE.get(line, f"Line {line} does what it should. {len(lines & set(MISSED))} are right.")
        )
    missing = [line for line in MISSED if line not in lines]
    if missing:
        left = "One bug is" if len(missing) == 1 else f"{len(missing)} bugs are"
        raise Mistake(f"{left} left. {MISSED[missing[0]]}")


def _without(line: int) -> list[int]:
    return [each for each in MISSED if each != line]


BUGS = Exercise(
    id="06.4",
    title="six bugs of 2016",
    name="bugs",
    hint="Data, first layer, between two layers, compile, training, saving: one each. None raises an error.",
    after="Some cost a little accuracy, some all of it; the next cells measure which.",
    check=check_bugs,
    solution="bugs = [3, 7, 11, 19, 21, 22]",
    wrong=lambda: {
        "how the data are read": _without(3),
        "the network's first layer": _without(7),
        "what follows the strided one": _without(11),
        "look for what line 18 made": _without(19),
        "which pictures decide": _without(21),
        "which object is saved": _without(22),
        "5 bugs are left": [3],
        "Line 20 is careless": [*MISSED, 20],
        "these settings are sensible": [*MISSED, 18],
        "to share the batch": [*MISSED, 16],
        "does what it should": [*MISSED, 14],
        "There is no line 23": [*MISSED, 23],
        "A list of line numbers": "3, 7, 11",
    },
    right=lambda: [
        {22, 21, 19, 11, 7, 3},
        (22, 3, 7, 11, 19, 21, 21),
        np.array([3, 7, 11, 19, 21, 22]),
    ],
)

# --- 06.5 ----------------------------------------------------------------------------------------------


def choose(validation, test):
    epoch = int(np.argmax(validation))
    return epoch, test[epoch]


def check_choose(answer: Any) -> None:
    validation = np.array([0.30, 0.52, 0.61, 0.58, 0.66, 0.64, 0.63])
    test = np.array([0.31, 0.50, 0.62, 0.67, 0.60, 0.65, 0.59])
    result = call(answer, validation, test)
    plain = to_numpy(result)
    expect(
        plain is not None and plain.shape == (2,),
        "Two things are asked for: return epoch, accuracy.",
    )
    epoch, reported = (
        number(each, what) for each, what in zip(result, ("The epoch", "The accuracy"), strict=True)
    )
    mistakes = {
        "The epoch was chosen on the test pictures. Whoever judges at the end must not choose.": (3, 0.67),
        "The epoch is right, but its validation accuracy is what it was chosen by, and too good. Report the "
        "test accuracy.": (4, 0.66),
        "That is the last epoch. It needs no choice, but the validation pictures know better.": (
            6,
            0.59,
        ),
        "The epoch is right, the accuracy is the best on the test pictures, of another epoch.": (4, 0.67),
        "Epochs count from 0 here, as in the list.": (5, 0.60),
        "That is the lowest; an accuracy should be high.": (0, 0.31),
        "Both lists were averaged: the test pictures have a say in the choice again.": (
            int(np.argmax(validation + test)),
            test[np.argmax(validation + test)],
        ),
    }
    match(
        np.array([epoch, reported]),
        (4, 0.60),
        {text: pair for text, pair in mistakes.items() if pair != (4, 0.60)},
        f"You have epoch {epoch:.0f} and {reported:.2f}; it should be 4 and 0.60.",
    )


CHOOSE = Exercise(
    id="06.5",
    title="an honest choice",
    name="choose",
    hint="`np.argmax(validation)` is the epoch. The test accuracy is only read off, there.",
    after="Three parts: one to train, one to choose, one to report. The document's heading promised them.",
    check=check_choose,
    solution=choose,
    wrong=lambda: {
        "must not choose": lambda v, t: (int(np.argmax(t)), t.max()),
        "what it was chosen by": lambda v, t: (int(np.argmax(v)), v.max()),
        "That is the last epoch": lambda v, t: (len(t) - 1, t[-1]),
        "of another epoch": lambda v, t: (int(np.argmax(v)), t.max()),
        "count from 0": lambda v, t: (int(np.argmax(v)) + 1, t[np.argmax(v)]),
        "That is the lowest": lambda v, t: (int(np.argmin(v)), t[np.argmin(v)]),
        "have a say in the choice": lambda v, t: (int(np.argmax(v + t)), t[np.argmax(v + t)]),
        "Two things": lambda v, t: int(np.argmax(v)),
        "it should be 4 and 0.60": lambda v, t: (2, t[2]),
    },
    right=lambda: [
        lambda v, t: (list(v).index(max(v)), t[list(v).index(max(v))]),
        lambda v, t: [v.argmax(), t[v.argmax()]],
    ],
)

EXERCISES = (ADDED, HEAD, TOGETHER, BUGS, CHOOSE)
