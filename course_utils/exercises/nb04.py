"""Exercises of notebook 04, localization."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, array, expect
from course_utils.localization import boxes as box_tools

# --- 04.1 ----------------------------------------------------------------------------------------------


def iou(a, b):
    wide = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    high = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    shared = wide * high
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def some_pairs(random: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """Boxes that overlap, hold one another, are the same, touch, or lie apart in one direction or both."""
    left, top, wide, high = (int(v) for v in random.integers((1, 1, 8, 5), (9, 9, 14, 8)))
    a = (left, top, wide, high)
    yield a, (left + 3, top + 2, wide + 4, high - 1)
    yield (left, top, wide + 9, high + 6), (left + 2, top + 1, 4, 3)
    yield a, a
    yield a, (left + 1, top + high + 5, wide, high + 1)  # apart: below
    yield (left + wide + 7, top, wide + 2, high), a  # apart: beside
    yield a, (left + wide + 2, top + high + 4, wide, high)  # in both: two negative sides
    yield (left + wide, top, 5, 6), a  # only touching
    yield a, (left, top, wide - 3, high + 2)  # from one corner
    for _ in range(3):
        first = np.append(random.uniform(-20, 20, 2), random.uniform(5, 30, 2))
        yield first, first + random.uniform(1, 4, 4) * random.choice([-1, 1], 4)


Sides = Callable[[float, float], float]


def _sides(a: Any, b: Any) -> tuple[float, float]:
    """How wide and how high the common part is; below 0 where there is a gap."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    return wide, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])


def _with_common(common: Sides) -> Callable[[Any, Any], float]:
    """A variant of `iou` with another common part of two boxes, from its width and height."""

    def variant(a: Any, b: Any) -> float:
        shared = common(*_sides(a, b))
        return shared / (a[2] * a[3] + b[2] * b[3] - shared)

    return variant


def _divided(by: Callable[[float, float, float], float]) -> Callable[[Any, Any], float]:
    """A variant of `iou` that divides the common part by something of the two areas and of itself."""

    def variant(a: Any, b: Any) -> float:
        wide, high = _sides(a, b)
        shared = max(0, wide) * max(0, high)
        return shared / by(a[2] * a[3], b[2] * b[3], shared)

    return variant


def _as_corners(a: Any, b: Any) -> float:
    """What comes out when w and h are taken for the right and lower border."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0, wide) * max(0, high)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def _around(a: Any, b: Any) -> float:
    """The box around both, in place of their union."""
    wide = max(a[0] + a[2], b[0] + b[2]) - min(a[0], b[0])
    return wide * (max(a[1] + a[3], b[1] + b[3]) - min(a[1], b[1]))


IOU = Exercise(
    id="04.1",
    title="intersection over union",
    name="iou",
    hint="The common part goes from the larger left border to the smaller right one. What if it is negative?",
    after="One number for 'how right is this box', the one that the whole notebook is judged by.",
    solution=iou,
    inputs=some_pairs,
    mistakes={
        "A negative width is no common part: neither a product of two of them, nor a negative area.": (
            _with_common(lambda wide, high: wide * high)
        ),
        "0 only where there is a gap both ways; a gap in one direction is enough.": _with_common(
            lambda wide, high: 0 if wide < 0 and high < 0 else wide * high
        ),
        "The width is kept from being negative, the height is not.": _with_common(
            lambda wide, high: max(0, wide) * high
        ),
        "The height is kept from being negative, the width is not.": _with_common(
            lambda wide, high: wide * max(0, high)
        ),
        "Apart in both directions, two negative sides have a positive product: cut each off at 0.": (
            _with_common(lambda wide, high: max(0, wide * high))
        ),
        "A gap is taken for a common part: no absolute values here.": _with_common(
            lambda wide, high: abs(wide * high)
        ),
        "A box from 3 that is 4 wide ends at 7: no pixel is to be added.": _with_common(
            lambda wide, high: max(0, wide + 1) * max(0, high + 1)
        ),
        "The sum of both areas counts the common part twice; subtract it once.": _divided(
            lambda a, b, shared: a + b
        ),
        "The boxes are x, y, width, height; you read them as two corners.": _as_corners,
        "That is the common part in pixels; divide it by the union.": _divided(lambda a, b, shared: 1),
        "Divided by the smaller box: a tiny box inside a large one would get 1.": _divided(
            lambda a, b, shared: min(a, b)
        ),
        "Divided by the larger box; the union is larger still.": _divided(lambda a, b, shared: max(a, b)),
        "Divided by the first box alone; the second counts as well.": _divided(lambda a, b, shared: a),
        "Divided by the second box alone; the first counts as well.": _divided(lambda a, b, shared: b),
        "Twice the common part over the sum is Dice's coefficient.": _divided(
            lambda a, b, shared: (a + b) / 2
        ),
        "The box around both is larger than their union.": lambda a, b: (
            max(0, _sides(a, b)[0]) * max(0, _sides(a, b)[1]) / _around(a, b)
        ),
        "Left and upper border of the common part are the larger ones, not those of the first box.": (
            lambda a, b: _with_common(
                lambda wide, high: (
                    max(0, min(a[0] + a[2], b[0] + b[2]) - a[0])
                    * max(0, min(a[1] + a[3], b[1] + b[3]) - a[1])
                )
            )(a, b)
        ),
        "What is left of 1 is the distance of the boxes; the share that agrees is asked for.": lambda a, b: (
            1 - iou(a, b)
        ),
    },
    right=[
        lambda a, b: box_tools.iou(a, b)[0, 0],
        lambda a, b: iou(b, a),
        _with_common(lambda wide, high: 0.0 if wide <= 0 or high <= 0 else wide * high),
        lambda a, b: np.float32(iou(np.float32(a), np.float32(b))),
        lambda a, b: [iou(a, b)],
    ],
)

# --- 04.2 ----------------------------------------------------------------------------------------------

KERNEL = 5 * 5 * 1024 * 4096

PARAMETERS = Exercise(
    id="04.2",
    title="how many parameters has the convolution?",
    name="parameters",
    hint="Each of the 4,096 filters is 5 x 5 x 1,024 large, and has one bias.",
    after="Exactly as many as the dense layer: nothing was saved but repeated computation.",
    solution="parameters = 5 * 5 * 1024 * 4096 + 4096",
    mistakes={
        "The 4,096 biases are missing: one for each filter.": KERNEL,
        "4,069 is the notes' figure, with two digits swapped. Count the weights.": 4069,
        "The biases are as many as the filters, 4,096; two digits are swapped.": KERNEL + 4069,
        "4,096 counts the answers of the layer. Each has weights to every value it sees.": 4096,
        "That is a 1x1 convolution. The first layer sees all 5 x 5 places.": 1024 * 4096 + 4096,
        "One filter has so many weights; there are 4,096 of them.": 5 * 5 * 1024,
        "One filter has so many parameters; there are 4,096 of them.": 5 * 5 * 1024 + 1,
        "One bias for each weight of a filter? There is one for each filter.": KERNEL + 5 * 5 * 1024,
        "One bias for each channel of the maps? There is one for each filter.": KERNEL + 1024,
        "The size of the map is no part of it: the same weights are used at every place.": 4
        * (KERNEL + 4096),
        "5 is one side of the kernel; it has 5 x 5 places.": 5 * 1024 * 4096 + 4096,
        "One too many: the layer has 4,096 biases and no other one.": KERNEL + 4097,
        "Rounded. Count them all.": 104.86e6,
        "One filter has one bias, not one for each of its 25 places.": KERNEL + 25 * 4096,
    },
    right=[104_861_696, np.int64(5 * 5 * 1024 + 1) * 4096, np.float32(104_861_696), [104_861_696.0]],
)

# --- 04.3 ----------------------------------------------------------------------------------------------


def as_kernel(weights, height, width, channels):
    return weights.reshape(height, width, channels, -1)


def some_dense_layers(random: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    for height, width, channels, units in [(2, 3, 4, 5), (4, 3, 2, 6), (3, 3, 5, 2), (1, 4, 3, 7)]:
        yield random.normal(size=(height * width * channels, units)), height, width, channels


def four_axes(value: Any) -> np.ndarray:
    """An array with four axes, or what is wrong with it."""
    given = array(value, None, "The kernel")
    expect(
        given.ndim == 4,
        f"A kernel has four axes: height, width, channels, filters; yours has shape {given.shape}.",
    )
    return given


AS_KERNEL = Exercise(
    id="04.3",
    title="a dense layer as a convolution",
    name="as_kernel",
    hint="Flatten wrote row by row, in a row place by place, there channel by channel. Undo that.",
    after="That is the whole conversion: not a number changes, only the shape of the array.",
    solution=as_kernel,
    inputs=some_dense_layers,
    read=four_axes,
    mistakes={
        "The weights came back as they are.": lambda weights, h, w, c: weights,
        "The filters come first in your kernel; Keras wants (height, width, channels, filters).": (
            lambda weights, h, w, c: np.moveaxis(as_kernel(weights, h, w, c), -1, 0)
        ),
        "Channels first is how Theano and Caffe stored maps. Keras flattens (height, width, channels).": (
            lambda weights, h, w, c: weights.reshape(c, h, w, -1)
        ),
        "Width and height are swapped: rows come first. With square maps nobody would have noticed.": (
            lambda weights, h, w, c: weights.reshape(w, h, c, -1)
        ),
        "The shape is right, but you unrolled the weights channel by channel; here channels run fastest.": (
            lambda weights, h, w, c: weights.reshape(c, h, w, -1).transpose(1, 2, 0, 3)
        ),
        "The shape is right, but the weights were dealt out column by column; rows come first.": (
            lambda weights, h, w, c: weights.reshape(w, h, c, -1).transpose(1, 0, 2, 3)
        ),
        "The kernel is turned around, as a convolution in mathematics would have it. Networks don't turn.": (
            lambda weights, h, w, c: as_kernel(weights, h, w, c)[::-1, ::-1]
        ),
        "The shape is right, but filters were read first: transposing before reshaping mixes all up.": (
            lambda weights, h, w, c: weights.T.reshape(h, w, c, -1)
        ),
        "Fortran's order lets rows run fastest; Flatten lets channels.": lambda weights, h, w, c: (
            weights.reshape((h, w, c, weights.shape[1]), order="F")
        ),
        "One place holds all of it: that is a 1x1 convolution on the flattened map.": (
            lambda weights, h, w, c: weights.reshape(1, 1, h * w * c, -1)
        ),
        "Height and width came back as one axis.": lambda weights, h, w, c: weights.reshape(h * w, c, -1),
    },
    right=[
        lambda weights, h, w, c: np.reshape(weights, (h, w, c, weights.shape[1])),
        lambda weights, h, w, c: np.stack([column.reshape(h, w, c) for column in weights.T], axis=-1),
        lambda weights, h, w, c: weights.T.reshape(-1, h, w, c).transpose(1, 2, 3, 0).astype(np.float32),
        lambda weights, h, w, c: weights.reshape(h, w, c, weights.shape[-1]).tolist(),
    ],
)

# --- 04.4 ----------------------------------------------------------------------------------------------


def decode(target, proposal):
    tx, ty, tw, th = target
    x, y, w, h = proposal
    wide, high = w * np.exp(tw), h * np.exp(th)
    return [x + w / 2 + tx * w - wide / 2, y + h / 2 + ty * h - high / 2, wide, high]


def some_moves(random: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """No move at all, one of each kind, all together, and out of the picture; as tuples, lists and arrays."""
    yield np.zeros(4), (4, 6, 10, 20)
    yield (0.25, 0.0, 0.0, 0.0), [8, 3, 12, 7]
    yield np.array([0.0, 0.0, 0.5, -0.6]), np.array([40.0, 10, 16, 30])
    yield (-0.5, -0.4, 0.3, 0.2), (2, 3, 20, 10)  # beyond the left and upper border
    for _ in range(3):
        size = random.uniform(8, 50, 2)
        move = np.concatenate([random.uniform(0.1, 0.6, 2), random.uniform(0.2, 0.8, 2)])
        yield move * random.choice([-1, 1], 4), np.concatenate([random.uniform(0, 60, 2), size])


def _decoded(centre: Any, size: Any = None, half: float = 0.5) -> Any:
    """A variant of `decode`: the centre, from target, proposal and new size, and the size by other rules."""
    size = size or (lambda t, s: s * np.exp(t))

    def variant(target: Any, proposal: Any) -> np.ndarray:
        t, p = np.asarray(target, float), np.asarray(proposal, float)
        new = size(t[2:], p[2:])
        return np.concatenate([centre(t[:2], p, new) - half * new, new])

    return variant


def _moved(t: np.ndarray, p: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Where the centre belongs."""
    return p[:2] + p[2:] / 2 + t * p[2:]


def four_numbers(value: Any) -> np.ndarray:
    return array(value, (4,), "The box")


DECODE = Exercise(
    id="04.4",
    title="move and scale a box",
    name="decode",
    hint="Find the proposal's centre, move it by (tx * w, ty * h), scale the size, go back to the corner.",
    after="The network says the same numbers for a small and a large object that are off alike.",
    solution=decode,
    inputs=some_moves,
    read=four_numbers,
    mistakes={
        "Your box begins at its centre: subtract half its width and height at the end.": _decoded(
            _moved, half=0
        ),
        "The move starts at the corner, not at the proposal's centre.": _decoded(
            lambda t, p, new: p[:2] + t * p[2:]
        ),
        "The corner was moved and the width changed: then the centre slips. Move the centre.": _decoded(
            lambda t, p, new: p[:2] + t * p[2:], half=0
        ),
        "tx and ty are shares of the proposal's width and height, not pixels.": _decoded(
            lambda t, p, new: p[:2] + p[2:] / 2 + t
        ),
        "The logarithm was not undone: the width is multiplied by e to the power tw, not by 1 + tw.": (
            _decoded(_moved, lambda t, s: s * (1 + t))
        ),
        "Width and height are multiplied by tw and th themselves; they are logarithms.": _decoded(
            _moved, lambda t, s: s * t
        ),
        "Added: tw and th say by which factor the size changes, as its logarithm.": _decoded(
            _moved, lambda t, s: s + np.exp(t)
        ),
        "tx is a share of the proposal's width; you took the new one.": _decoded(
            lambda t, p, new: p[:2] + p[2:] / 2 + t * new
        ),
        "The size stays as it was: tw and th are not used.": _decoded(_moved, lambda t, s: s * 1.0),
        "The box stays where it was: tx and ty are not used.": _decoded(lambda t, p, new: p[:2] + p[2:] / 2),
        "tw and th are swapped: the first of them is for the width.": _decoded(
            _moved, lambda t, s: s * np.exp(t[::-1])
        ),
        "The box is moved the other way: add tx widths to the centre.": _decoded(
            lambda t, p, new: p[:2] + p[2:] / 2 - t * p[2:]
        ),
        "The size is divided by e to the power tw; multiply.": _decoded(_moved, lambda t, s: s * np.exp(-t)),
        "e, not 2, is what is raised to the power tw.": _decoded(_moved, lambda t, s: s * 2**t),
        "Return the corner; that is the box with its centre first.": lambda t, p: np.concatenate(
            [np.asarray(p[:2], float), np.asarray(p[2:], float) * np.exp(t[2:])]
        ),
        "Two numbers are missing: x, y, width and height.": lambda t, p: np.asarray(p)[:2],
        "A box may begin before the picture does; nothing is to be cut off here.": lambda t, p: np.maximum(
            decode(t, p), 0
        ),
        "The same factor for both sides: th is for the height.": _decoded(
            _moved, lambda t, s: s * np.exp(t[:1])
        ),
        "The right and lower border came back in place of width and height.": lambda t, p: (
            box_tools.to_corners(np.array(decode(t, p)))[0]
        ),
    },
    right=[
        lambda t, p: box_tools.decode(t, p)[0],
        _decoded(_moved),
        lambda t, p: tuple(np.float32(v) for v in decode(t, p)),
        lambda t, p: [np.array(v) for v in decode(t, p)],
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


def some_detections(random: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """A chain in which what is dropped would drop others, an exact limit, crowds, and nothing at all."""
    # the second is best and drops its neighbours; the fourth overlaps a dropped one by more than the limit
    chain = np.array([[x, 0, 10, 10] for x in (0, 3, 6, 9, 40, 46)], float)
    yield chain, np.array([0.6, 0.9, 0.8, 0.7, 0.5, 0.4]), 0.3
    half = np.array([[0, 0, 10, 10], [20, 0, 8, 8], [0, 0, 10, 5], [20, 0, 8, 7]], float)
    yield half, np.array([0.3, 0.7, 0.8, 0.2]), 0.5  # one pair at exactly .5, which is not above it
    yield np.zeros((0, 4)), np.zeros(0), 0.3
    pile = np.array([[x, 2, 20, 20] for x in (0, 1, 2, 1, 3)], float)  # one drops all the others
    yield pile, np.array([0.5, 0.9, 0.6, 0.8, 0.7]), 0.5
    for limit in (0.15, 0.45, 0.6):
        centres = random.uniform(10, 60, (3, 2))[random.integers(0, 3, 9)] + random.normal(0, 5, (9, 2))
        crowd = np.concatenate([centres, random.uniform(14, 24, (9, 2))], axis=1)
        # scores of any scale: a classifier's before the softmax may all lie below 0
        yield crowd, random.permutation(9) / 10 + random.uniform(0.01, 0.08) - 2 * limit, limit


def indices(value: Any) -> np.ndarray:
    """The places of boxes as whole numbers, or what is wrong with them."""
    given = array(value, None, "The result")
    expect(given.ndim > 0, "Return the indices of the kept boxes as a list; this is one number.")
    expect(given.ndim == 1, "Return the indices of the kept boxes, not the boxes themselves.")
    expect(given.dtype != bool, "Return indices, best first; a mask of yes and no has lost the order.")
    whole = np.array_equal(given, np.rint(given))
    expect(whole, "Return the places of the kept boxes, whole numbers; these look like scores.")
    return given.astype(int)


def _greedy(
    boxes: np.ndarray | list[Any], order: Iterable[int], limit: float, overlap: Any = None
) -> list[int]:
    """The greedy rule for boxes in an order; `overlap(kept, box)` in place of the IoU."""
    overlap = overlap or (lambda kept, box: box_tools.iou(kept, box)[0, 0])
    kept: list[int] = []
    for i in order:
        if all(overlap(boxes[j], boxes[i]) <= limit for j in kept):
            kept.append(int(i))
    return kept


def _of_the_smaller(a: np.ndarray, b: np.ndarray) -> float:
    wide, high = _sides(a, b)
    return max(0, wide) * max(0, high) / min(a[2] * a[3], b[2] * b[3])


def _without_state(boxes: np.ndarray, scores: np.ndarray, overlap: float = 0.3) -> list[int]:
    """Drops what any better box overlaps, whether that was dropped itself or not."""
    table = box_tools.iou(boxes, boxes)
    return [int(i) for i in np.argsort(-scores) if not (table[i, scores > scores[i]] > overlap).any()]


def _last_only(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> list[int]:
    """Asks each box only about the one kept last."""
    kept: list[int] = []
    for i in np.argsort(-scores):
        if not kept or box_tools.iou(boxes[kept[-1]], boxes[i])[0, 0] <= overlap:
            kept.append(int(i))
    return kept


def _removes_on_the_way(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> list[int]:
    """Takes members out of the list over which it goes, and so passes over the next one."""
    order, kept = list(np.argsort(-scores)), []
    while order:
        kept.append(order.pop(0))
        for i in order:
            if box_tools.iou(boxes[kept[-1]], boxes[i])[0, 0] > overlap:
                order.remove(i)
    return kept


def _strict(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> list[int]:
    return _greedy(boxes, np.argsort(-scores), overlap - 1e-9)


SUPPRESS = Exercise(
    id="04.5",
    title="one box an object",
    name="suppress",
    hint="Sort by score. Take the first, drop all with an IoU above the limit with it, and so on.",
    after="Ten lines that every detector of the following decade ended with.",
    solution=suppress,
    inputs=some_detections,
    read=indices,
    mistakes={
        "A box that was dropped drops nobody: only kept ones stand in the way.": _without_state,
        "A limit of .3 is built in; `overlap` says which it is.": lambda boxes, scores, overlap: suppress(
            boxes, scores, 0.3
        ),
        "A limit of .5 is built in; `overlap` says which it is.": lambda boxes, scores, overlap: suppress(
            boxes, scores, 0.5
        ),
        "A box at exactly the limit stays: only what overlaps by more is dropped.": _strict,
        "You begin with the worst score; the best box must come first.": lambda boxes, scores, overlap: (
            _greedy(boxes, np.argsort(scores), overlap)
        ),
        "The boxes were taken in the order given, not from the best to the worst score.": (
            lambda boxes, scores, overlap: _greedy(boxes, range(len(boxes)), overlap)
        ),
        "These are the boxes that were dropped.": lambda boxes, scores, overlap: [
            int(i) for i in np.argsort(-scores) if i not in suppress(boxes, scores, overlap)
        ],
        "Only the best of all: the boxes it does not overlap must go on.": lambda boxes, scores, overlap: (
            np.argsort(-scores)[:1]
        ),
        "Only the best box suppresses here; each one that is kept must.": lambda boxes, scores, overlap: [
            int(i)
            for n, i in enumerate(np.argsort(-scores))
            if not n or box_tools.iou(boxes[np.argmax(scores)], boxes[i])[0, 0] <= overlap
        ],
        "Each box was compared with the one kept last alone; all that are kept count.": _last_only,
        "A list that loses a member while a loop goes over it skips the next one: make a new list.": (
            _removes_on_the_way
        ),
        "The places are asked for, not how many there are.": lambda boxes, scores, overlap: len(
            suppress(boxes, scores, overlap)
        ),
        "Nothing was dropped.": lambda boxes, scores, overlap: np.argsort(-scores),
        "The right boxes, but in the order of their places; the best one comes first.": (
            lambda boxes, scores, overlap: sorted(suppress(boxes, scores, overlap))
        ),
        "The right boxes, but with the worst one first.": lambda boxes, scores, overlap: suppress(
            boxes, scores, overlap
        )[::-1],
        "What overlaps by more than the limit was kept, and the rest dropped.": (
            lambda boxes, scores, overlap: _greedy(
                boxes, np.argsort(-scores), -overlap, lambda a, b: -box_tools.iou(a, b)[0, 0]
            )
        ),
        "The overlap is the IoU; you divide by the smaller box.": lambda boxes, scores, overlap: _greedy(
            boxes, np.argsort(-scores), overlap, _of_the_smaller
        ),
        "The places were counted among the sorted boxes; give those in `boxes`.": (
            lambda boxes, scores, overlap: _greedy(boxes[np.argsort(-scores)], range(len(boxes)), overlap)
        ),
        "Indices, not boxes.": lambda boxes, scores, overlap: boxes[suppress(boxes, scores, overlap)],
        "A mask does not say which is best.": lambda boxes, scores, overlap: np.isin(
            np.arange(len(boxes)), suppress(boxes, scores, overlap)
        ),
        "Indices, not scores.": lambda boxes, scores, overlap: scores[suppress(boxes, scores, overlap)],
    },
    right=[
        lambda boxes, scores, overlap: box_tools.non_maximum_suppression(boxes, scores, overlap),
        lambda boxes, scores, overlap: np.array(_greedy(boxes, np.argsort(-scores), overlap), int),
        lambda boxes, scores, overlap: tuple(float(i) for i in suppress(boxes, scores, overlap)),
        lambda boxes, scores, overlap: _greedy(list(boxes), np.argsort(scores)[::-1], overlap),
    ],
)

EXERCISES = (IOU, PARAMETERS, AS_KERNEL, DECODE, SUPPRESS)
