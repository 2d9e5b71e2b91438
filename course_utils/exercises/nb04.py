"""Exercises of notebook 04, localization."""

from __future__ import annotations

from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, array, call, expect, match, number
from course_utils.localization import boxes as box_tools

# --- 04.1 ----------------------------------------------------------------------------------------------


def iou(a, b):
    wide = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    high = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    shared = wide * high
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def _shared(a: Any, b: Any) -> tuple[float, float]:
    """How wide and how high the common part is; below 0 where there is a gap."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    return wide, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])


def _as_corners(a: Any, b: Any) -> float:
    """What comes out when w and h are taken for the right and lower border."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0, wide) * max(0, high)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def check_iou(answer: Any) -> None:
    pairs = [
        ((6, 5, 20, 9), (2, 3, 10, 8)),
        ((0, 0, 4, 6), (1, 2, 3, 3)),
        ((5, 5, 7, 7), (5, 5, 7, 7)),
        ((0, 0, 5, 5), (9, 8, 12, 14)),  # apart in both directions: a product of two negative sides
    ]
    for a, b in pairs:
        given = number(call(answer, a, b), "The result")
        (wide, high), areas = _shared(a, b), (a[2] * a[3], b[2] * b[3])
        common, right = max(0, wide) * max(0, high), iou(a, b)
        case = f"{given:.3g} for {a} and {b}: "
        mistakes = {
            case + "these do not touch; a negative width times a negative height is no common part.": (
                wide * high / (sum(areas) - wide * high)
            ),
            case + "the sum of both areas counts the common part twice; subtract it once.": (
                common / sum(areas)
            ),
            case + "the boxes are x, y, width, height; you read them as two corners.": _as_corners(a, b),
            case + "that is the common part in pixels; divide it by the union.": common,
            case + "divided by the smaller box: a tiny box inside a large one would get 1.": (
                common / min(areas)
            ),
            case + "divided by the first box alone; the second counts as well.": common / areas[0],
            case + "twice the common part over the sum is Dice's coefficient.": 2 * common / sum(areas),
        }
        named = {text: value for text, value in mistakes.items() if not np.isclose(value, right)}
        match(given, right, named, f"{case}it should be {right:.3g}.")


IOU = Exercise(
    id="04.1",
    title="intersection over union",
    name="iou",
    hint="The common part goes from the larger left border to the smaller right one. What if it is negative?",
    after="One number for 'how right is this box', the one that the whole notebook is judged by.",
    check=check_iou,
    solution=iou,
    wrong=lambda: {
        "a negative width times": lambda a, b: (
            np.prod(_shared(a, b)) / (a[2] * a[3] + b[2] * b[3] - np.prod(_shared(a, b)))
        ),
        "subtract it once": lambda a, b: np.prod(np.maximum(_shared(a, b), 0)) / (a[2] * a[3] + b[2] * b[3]),
        "you read them as two corners": _as_corners,
        "common part in pixels": lambda a, b: np.prod(np.maximum(_shared(a, b), 0)),
        "divided by the smaller box": lambda a, b: (
            np.prod(np.maximum(_shared(a, b), 0)) / min(a[2] * a[3], b[2] * b[3])
        ),
        "divided by the first box": lambda a, b: np.prod(np.maximum(_shared(a, b), 0)) / (a[2] * a[3]),
        "Dice's coefficient": lambda a, b: (
            2 * np.prod(np.maximum(_shared(a, b), 0)) / (a[2] * a[3] + b[2] * b[3])
        ),
        "it should be": lambda a, b: 1.5,
        "should be one number": lambda a, b: [iou(a, b)] * 2,
    },
    right=lambda: [lambda a, b: box_tools.iou(a, b)[0, 0], lambda a, b: iou(b, a)],
)

# --- 04.2 ----------------------------------------------------------------------------------------------


def check_parameters(answer: Any) -> None:
    given = number(answer, "The number of parameters")
    kernel = 5 * 5 * 1024 * 4096
    mistakes = {
        "the 4,096 biases are missing: one for each filter.": kernel,
        "4,069 is the document's figure, with two digits swapped. Count the weights.": 4069,
        "4,096 counts the answers of the layer. Each has weights to every value it sees.": 4096,
        "that is a 1x1 convolution. The first layer sees all 5 x 5 places.": 1024 * 4096 + 4096,
        "one filter has so many weights; there are 4,096 of them.": 5 * 5 * 1024,
        "one bias for each weight of a filter? There is one for each filter.": kernel + 5 * 5 * 1024,
        "the size of the map is no part of it: the same weights are used at every place.": 4
        * (kernel + 4096),
    }
    match(
        given, kernel + 4096, mistakes, f"{given:,.0f}: height x width x channels x filters, and the biases."
    )


PARAMETERS = Exercise(
    id="04.2",
    title="how many parameters has the convolution?",
    name="parameters",
    hint="Each of the 4,096 filters is 5 x 5 x 1,024 large, and has one bias.",
    after="Exactly as many as the dense layer: nothing was saved but repeated computation.",
    check=check_parameters,
    solution="parameters = 5 * 5 * 1024 * 4096 + 4096",
    wrong=lambda: {
        "biases are missing": 5 * 5 * 1024 * 4096,
        "the document's figure": 4069,
        "counts the answers": 4096,
        "that is a 1x1 convolution": 1024 * 4096 + 4096,
        "one filter has so many": 5 * 5 * 1024,
        "There is one for each filter": 5 * 5 * 1024 * 4096 + 5 * 5 * 1024,
        "no part of it": 4 * (5 * 5 * 1024 * 4096 + 4096),
        "and the biases": 12345,
        "should be one number": "a lot",
    },
    right=lambda: [104_861_696, np.int64(5 * 5 * 1024 + 1) * 4096],
)

# --- 04.3 ----------------------------------------------------------------------------------------------


def as_kernel(weights, height, width, channels):
    return weights.reshape(height, width, channels, -1)


def check_as_kernel(answer: Any) -> None:
    height, width, channels, units = 3, 4, 5, 6
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(height * width * channels, units))
    given = array(call(answer, weights, height, width, channels), None, "The kernel")
    right = as_kernel(weights, height, width, channels)
    expect(
        given.shape != weights.shape,
        "The weights came back as they are. A kernel has four axes: height, width, channels, filters.",
    )
    expect(
        given.shape != (units, height, width, channels),
        "The filters come first in your kernel; Keras wants (height, width, channels, filters).",
    )
    expect(
        given.shape != (channels, height, width, units),
        "Channels first is how Theano and Caffe stored maps. Keras flattens (height, width, channels).",
    )
    expect(
        given.shape != (width, height, channels, units),
        "Width and height are swapped: rows come first. With square maps nobody would have noticed.",
    )
    expect(
        given.shape == right.shape,
        f"The kernel has shape {given.shape}; {right.shape} is asked for: height, width, channels, filters.",
    )
    theano = weights.reshape(channels, height, width, units).transpose(1, 2, 0, 3)
    by_columns = weights.reshape(width, height, channels, units).transpose(1, 0, 2, 3)
    mistakes = {
        "The shape is right, but you unrolled the weights channel by channel; here channels run fastest.": (
            theano
        ),
        "The shape is right, but the weights were dealt out column by column; rows come first.": by_columns,
        "The kernel is turned around, as a convolution in mathematics would have it. Networks don't turn.": (
            right[::-1, ::-1]
        ),
        "The shape is right, but filters were read first: transposing before reshaping mixes all up.": (
            weights.T.reshape(right.shape)
        ),
    }
    match(given, right, mistakes, "The shape is right, the numbers are not at their places.")


AS_KERNEL = Exercise(
    id="04.3",
    title="a dense layer as a convolution",
    name="as_kernel",
    hint="Flatten wrote row by row, in a row place by place, there channel by channel. Undo that.",
    after="That is the whole conversion: not a number changes, only the shape of the array.",
    check=check_as_kernel,
    solution=as_kernel,
    wrong=lambda: {
        "came back as they are": lambda weights, h, w, c: weights,
        "filters come first": lambda weights, h, w, c: np.moveaxis(as_kernel(weights, h, w, c), -1, 0),
        "Theano and Caffe": lambda weights, h, w, c: weights.reshape(c, h, w, -1),
        "Width and height are swapped": lambda weights, h, w, c: weights.reshape(w, h, c, -1),
        "channel by channel": lambda weights, h, w, c: weights.reshape(c, h, w, -1).transpose(1, 2, 0, 3),
        "column by column": lambda weights, h, w, c: weights.reshape(w, h, c, -1).transpose(1, 0, 2, 3),
        "turned around": lambda weights, h, w, c: as_kernel(weights, h, w, c)[::-1, ::-1],
        "mixes all up": lambda weights, h, w, c: weights.T.reshape(h, w, c, -1),
        "not at their places": lambda weights, h, w, c: 0 * as_kernel(weights, h, w, c),
        "has shape (12, 5, 6)": lambda weights, h, w, c: weights.reshape(h * w, c, -1),
    },
    right=lambda: [
        lambda weights, h, w, c: np.reshape(weights, (h, w, c, weights.shape[1])),
        lambda weights, h, w, c: np.stack([column.reshape(h, w, c) for column in weights.T], axis=-1),
    ],
)

# --- 04.4 ----------------------------------------------------------------------------------------------


def decode(target, proposal):
    tx, ty, tw, th = target
    x, y, w, h = proposal
    wide, high = w * np.exp(tw), h * np.exp(th)
    return [x + w / 2 + tx * w - wide / 2, y + h / 2 + ty * h - high / 2, wide, high]


def check_decode(answer: Any) -> None:
    cases = [((0.0, 0.0, 0.0, 0.0), (4, 6, 10, 20)), ((0.25, -0.5, 0.7, -0.4), (4, 6, 10, 20))]
    for target, proposal in cases:
        (tx, ty, tw, th), (x, y, w, h) = target, proposal
        right = np.array(decode(target, proposal))
        wide, high = w * np.exp(tw), h * np.exp(th)
        given = array(call(answer, np.array(target), np.array(proposal, float)), (4,), "The box")
        place = "an all-zero target must give the proposal back" if not any(target) else f"for {target}"
        mistakes = {
            f"Your box begins at its centre ({place}): subtract half its width and height at the end.": [
                x + w / 2 + tx * w,
                y + h / 2 + ty * h,
                wide,
                high,
            ],
            f"The move starts at the corner, not at the proposal's centre ({place}).": [
                x + tx * w - wide / 2,
                y + ty * h - high / 2,
                wide,
                high,
            ],
            "The corner was moved and the width changed: then the centre slips. Move the centre.": [
                x + tx * w,
                y + ty * h,
                wide,
                high,
            ],
            "tx and ty are shares of the proposal's width and height, not pixels.": [
                x + w / 2 + tx - wide / 2,
                y + h / 2 + ty - high / 2,
                wide,
                high,
            ],
            "The logarithm was not undone: the width is multiplied by e to the power tw.": [
                x + w / 2 + tx * w - w * (1 + tw) / 2,
                y + h / 2 + ty * h - h * (1 + th) / 2,
                w * (1 + tw),
                h * (1 + th),
            ],
            "tx is a share of the proposal's width; you took the new one.": [
                x + w / 2 + tx * wide - wide / 2,
                y + h / 2 + ty * high - high / 2,
                wide,
                high,
            ],
            "Half the proposal's size was taken away at the end; the new box has another size.": [
                x + tx * w,
                y + ty * h,
                wide,
                high,
            ],
            "Width and height are multiplied by tw and th themselves; they are logarithms.": [
                x + w / 2 + tx * w - w * tw / 2,
                y + h / 2 + ty * h - h * th / 2,
                w * tw,
                h * th,
            ],
        }
        named = {text: np.array(v) for text, v in mistakes.items() if not np.allclose(v, right)}
        match(given, right, named, f"{np.round(given, 2)} {place}; it should be {np.round(right, 2)}.")


def _decoded(centre: Any, size: Any, half: float = 0.5) -> Any:
    """A variant of `decode`: the centre and the size by other rules."""

    def variant(target: Any, proposal: Any) -> np.ndarray:
        t, p = np.asarray(target), np.asarray(proposal, float)
        new = size(t[2:], p[2:])
        return np.concatenate([centre(t[:2], p, new) - half * new, new])

    return variant


DECODE = Exercise(
    id="04.4",
    title="move and scale a box",
    name="decode",
    hint="Find the proposal's centre, move it by (tx * w, ty * h), scale the size, go back to the corner.",
    after="The network says the same numbers for a small and a large object that are off alike.",
    check=check_decode,
    solution=decode,
    wrong=lambda: {
        "begins at its centre": _decoded(
            lambda t, p, n: p[:2] + p[2:] / 2 + t * p[2:], lambda t, s: s * np.exp(t), 0
        ),
        "starts at the corner": _decoded(lambda t, p, n: p[:2] + t * p[2:], lambda t, s: s * np.exp(t)),
        "Move the centre": _decoded(lambda t, p, n: p[:2] + t * p[2:], lambda t, s: s * np.exp(t), 0),
        "not pixels": _decoded(lambda t, p, n: p[:2] + p[2:] / 2 + t, lambda t, s: s * np.exp(t)),
        "logarithm was not undone": _decoded(
            lambda t, p, n: p[:2] + p[2:] / 2 + t * p[2:], lambda t, s: s * (1 + t)
        ),
        "you took the new one": _decoded(
            lambda t, p, n: p[:2] + p[2:] / 2 + t * n, lambda t, s: s * np.exp(t)
        ),
        "they are logarithms": _decoded(lambda t, p, n: p[:2] + p[2:] / 2 + t * p[2:], lambda t, s: s * t),
        "it should be": lambda t, p: [1, 1, 1, 1],
        "has shape": lambda t, p: p[:2],
    },
    right=lambda: [
        lambda t, p: box_tools.decode(t, p)[0],
        _decoded(lambda t, p, n: p[:2] + p[2:] / 2 + t * p[2:], lambda t, s: s * np.exp(t)),
    ],
)

# --- 04.5 ----------------------------------------------------------------------------------------------


def suppress(boxes, scores, overlap=0.3):
    order, kept = list(np.argsort(-scores)), []
    while order:
        best = order.pop(0)
        kept.append(best)
        order = [i for i in order if box_tools.iou(boxes[best], boxes[i])[0, 0] <= overlap]
    return kept


def check_suppress(answer: Any) -> None:
    # 1 is best and drops 0 and 2; 3 overlaps 2 alone by more than the limit, 5 overlaps 4 by less
    boxes = np.array(
        [[0, 0, 10, 10], [3, 0, 10, 10], [6, 0, 10, 10], [9, 0, 10, 10], [40, 0, 10, 10], [46, 0, 10, 10]]
    ).astype(float)
    scores = np.array([0.6, 0.9, 0.8, 0.7, 0.5, 0.4])
    given = call(answer, boxes.copy(), scores.copy(), 0.3)
    given = array(given, None, "The result")
    expect(given.ndim == 1, "Return the indices of the kept boxes, not the boxes themselves.")
    expect(given.dtype != bool, "Return indices, best first; a mask of yes and no has lost the order.")
    expect(
        np.allclose(given, np.rint(given)),
        "Return the places of the kept boxes, whole numbers; these look like scores.",
    )
    kept = [int(i) for i in given]
    right = [1, 3, 4, 5]
    mistakes = {
        "3 is missing: only box 2 stands in its way, and 2 was dropped before. The dropped drop nobody.": [
            *(1, 4, 5)
        ],
        "3 and 5 are missing: they overlap 1 and 4 by .25, which is not above the limit of .3.": [1, 4],
        "You begin with the worst score; the best box must come first.": _by_worst(boxes, scores),
        "These are the boxes that were dropped.": [2, 0],
        "Only the best of all: the boxes it does not overlap must go on.": [1],
        "Nothing was dropped.": [1, 2, 3, 0, 4, 5],
        "The boxes were taken in the order given, not from the best to the worst score.": _in_order(boxes),
    }
    for text, value in mistakes.items():
        expect(kept != value, text)
    expect(sorted(kept) != right or kept == right, "The right boxes, but not with the best one first.")
    expect(kept == right, f"Kept {kept}; it should be {right}. After each choice, look at the rest again.")
    none = call(answer, np.zeros((0, 4)), np.zeros(0), 0.3)
    expect(len(none) == 0, "With no box at all, nothing is kept.")


def _greedy(boxes: np.ndarray, order: Any) -> list[int]:
    kept: list[int] = []
    for i in order:
        if all(box_tools.iou(boxes[i], boxes[j])[0, 0] <= 0.3 for j in kept):
            kept.append(int(i))
    return kept


def _by_worst(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    return _greedy(boxes, np.argsort(scores))


def _in_order(boxes: np.ndarray) -> list[int]:
    return _greedy(boxes, range(len(boxes)))


def _without_state(boxes: np.ndarray, scores: np.ndarray, overlap: float = 0.3) -> list[int]:
    """Drops what any better box overlaps, whether that was dropped itself or not."""
    table = box_tools.iou(boxes, boxes)
    return [int(i) for i in np.argsort(-scores) if not (table[i, scores > scores[i]] > overlap).any()]


SUPPRESS = Exercise(
    id="04.5",
    title="one box an object",
    name="suppress",
    hint="Sort by score. Take the first, drop all with an IoU above the limit with it, and so on.",
    after="Ten lines that every detector of the following decade ended with.",
    check=check_suppress,
    solution=suppress,
    wrong=lambda: {
        "The dropped drop nobody": _without_state,
        "3 and 5 are missing": lambda boxes, scores, overlap: suppress(boxes, scores, 0.2),
        "begin with the worst": lambda boxes, scores, overlap: _by_worst(boxes, scores),
        "that were dropped": lambda boxes, scores, overlap: [2, 0],
        "must go on": lambda boxes, scores, overlap: [int(np.argmax(scores))][: len(scores)],
        "Nothing was dropped": lambda boxes, scores, overlap: list(np.argsort(-scores)),
        "in the order given": lambda boxes, scores, overlap: _in_order(boxes),
        "not with the best one first": lambda boxes, scores, overlap: suppress(boxes, scores)[::-1],
        "not the boxes themselves": lambda boxes, scores, overlap: boxes[suppress(boxes, scores)],
        "has lost the order": lambda boxes, scores, overlap: np.isin(
            np.arange(len(boxes)), suppress(boxes, scores)
        ),
        "these look like scores": lambda boxes, scores, overlap: scores[suppress(boxes, scores)],
        "it should be": lambda boxes, scores, overlap: [0, 5],
    },
    right=lambda: [
        lambda boxes, scores, overlap: box_tools.non_maximum_suppression(boxes, scores, overlap),
        lambda boxes, scores, overlap: np.array(_greedy(boxes, np.argsort(-scores)), int),
    ],
)

EXERCISES = (IOU, PARAMETERS, AS_KERNEL, DECODE, SUPPRESS)
