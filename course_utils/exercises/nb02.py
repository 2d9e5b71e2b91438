"""Exercises of notebook 02, feature maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, array, expect, number, with_gaps

# --- 02.1 ----------------------------------------------------------------------------------------------

PADDING = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def check_layer(answer: Any) -> None:
    expect(not isinstance(answer, str), "The name is a good start, but the number of 2016 is asked for.")
    given = number(answer, "The layer")
    expect(given == int(given) and 0 <= given <= 30, f"The post numbers its layers 0 to 30, not {given:g}.")
    given = int(given)
    expect(given != 22, "22 gives 28 x 28 for a picture of 224. This one is twice as large: 56 x 56 there.")
    expect(given not in PADDING, f"{given} is a padding layer; the convolution it belongs to is {given + 1}.")
    expect(given != 30, "30 is the pool behind it: 14 x 14 are left. One step back.")
    expect(given != 23, "23 gives 28 x 28, but it is a pool; convolutions follow it at the same size.")
    expect(given not in (25, 27), f"{given} has the right size, but it is not the last of its block.")
    pools = sum(given >= pool for pool in (4, 9, 16, 23))
    side = 448 >> pools
    expect(given == 29, f"{given} gives {side} x {side} for a picture of 448; 28 x 28, last of its block?")


FIND_THE_LAYER = Exercise(
    id="02.1",
    title="find the layer",
    name="layer",
    hint="How often is 448 halved until it is 28? So many pools lie before the layer.",
    after="Four pools lie before block 5. The size tells how many pools, and nothing else about a layer.",
    check=check_layer,  # nearly every wrong number has a reason of its own
    solution="layer = 29",
    mistakes={
        "28 x 28 for a picture of 224": 22,
        "28 is a padding layer": 28,
        "the pool behind it": 30,
        "27 has the right size": 27,
        "the number of 2016 is asked for": "block5_conv3",
        "gives 112 x 112": 15,
        "23 gives 28 x 28": 23,
        "layers 0 to 30": 31,
    },
    right=[np.int64(29), 29.0],
)

# --- 02.4 ----------------------------------------------------------------------------------------------


def peak(stack, channel):
    one = stack[..., channel]
    row, column = np.unravel_index(one.argmax(), one.shape)
    return row, column


def some_stacks(random: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
    """A peak inside, never on the diagonal, not where the whole stack or the mean is highest."""
    for height, width, maps, channel in [(5, 8, 3, 1), (9, 4, 5, 3), (6, 7, 4, int(random.choice([0, 2])))]:
        stack = random.uniform(0.1, 5, (height, width, maps))
        row, column = int(random.integers(2, height)), int(random.integers(0, 2))
        if height == 6:  # in a corner
            row, column = height - 1, width - 1
        stack[row, column, channel] = 6
        stack[row - 1, :, channel] += 0.9  # the strongest row on average is another one
        stack[0, 3, random.choice([k for k in range(1, maps) if k != channel])] = 9
        yield stack - (20 if channel == 3 else 0), channel  # before a ReLU all of a map may lie below 0


def place(value: Any) -> np.ndarray:
    """A row and a column, also as np.argwhere and np.where give them; anything else keeps its shape."""
    plain = array(list(value) if isinstance(value, (tuple, set)) else value, what="The place")
    return plain.ravel() if plain.shape in ((1, 2), (2, 1)) else plain


def _place(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(values.argmax(), values.shape))


PEAK = Exercise(
    id="02.4",
    title="where is a map strongest",
    name="peak",
    hint="Take the one map, ask its argmax, and turn the single number that comes back into a row and a "
    "column with np.unravel_index.",
    after="From the place on the map, the receptive field leads back to the place on the photograph.",
    solution=peak,
    inputs=some_stacks,
    read=place,
    mistakes={
        "That counts the places in one line: np.unravel_index makes two of it.": lambda stack, channel: stack[
            ..., channel
        ].argmax(),
        "That is the column and the row; the row comes first.": lambda stack, channel: _place(
            stack[..., channel]
        )[::-1],
        "That is the weakest place.": lambda stack, channel: _place(-stack[..., channel]),
        "The strongest of all maps is there; ask only the one.": lambda stack, channel: _place(stack)[:2],
        "The place in the whole stack has a third number; ask only the one map.": lambda stack, channel: (
            _place(stack)
        ),
        "stack[channel] is a row of all maps; the maps are the last axis.": lambda stack, channel: _place(
            stack[channel]
        ),
        "The strongest row and column, each on average, need not cross at the peak.": (
            lambda stack, channel: (
                stack[..., channel].mean(axis=1).argmax(),
                stack[..., channel].mean(axis=0).argmax(),
            )
        ),
        "That is the value at the place; the place itself is asked for.": lambda stack, channel: stack[
            ..., channel
        ].max(),
        "The largest in size, without the sign: before a ReLU maps have values below 0.": (
            lambda stack, channel: _place(np.abs(stack[..., channel]))
        ),
        "Rows and columns are counted from 0.": lambda stack, channel: (
            np.array(_place(stack[..., channel])) + 1
        ),
        "A row has as many values as the map is wide: divide by the width, not by the height.": (
            lambda stack, channel: divmod(int(stack[..., channel].argmax()), stack.shape[0])
        ),
        "The second map is asked whatever `channel` says.": lambda stack, channel: _place(stack[..., 1]),
        "The first map is asked whatever `channel` says.": lambda stack, channel: _place(stack[..., 0]),
    },
    right=[
        lambda stack, channel: divmod(int(stack[..., channel].argmax()), stack.shape[1]),
        lambda stack, channel: np.argwhere(stack[..., channel] == stack[..., channel].max())[0],
        lambda stack, channel: [int(i) for i in _place(stack[..., channel])],
        lambda stack, channel: np.argwhere(stack[..., channel] == stack[..., channel].max()),
        lambda stack, channel: np.where(stack[..., channel] == stack[..., channel].max()),
        lambda stack, channel: map(int, _place(stack[..., channel])),
    ],
)

# --- 02.5 ----------------------------------------------------------------------------------------------


def silent(stacks):
    highest = [stack.max(axis=(0, 1)) for stack in stacks]
    return np.flatnonzero(np.max(highest, axis=0) == 0)


def photographs(random: np.random.Generator) -> Iterator[tuple[list[np.ndarray]]]:
    """Maps of pictures of several sizes: some silent always, for each picture one that speaks only there."""
    for count, maps in [(3, 6), (4, 9), (2, 7)]:
        order = random.permutation(maps)
        always = order[:2] if count != 4 else order[:3]
        sides = [(int(random.integers(3, 7)), 5 + k) for k in range(count)]
        stacks = [np.maximum(random.normal(0, 1, (*side, maps)), 0) for side in sides]
        for k, stack in enumerate(stacks):
            # each speaks somewhere, none everywhere, one at a single place, and softly
            row = int(random.choice([row for row in range(1, len(stack)) if row != len(stack) // 2]))
            stack[row, 2], stack[0, 0] = random.uniform(1e-3, 2, maps), 0
            stack[..., order[3]], stack[row, 2, order[3]] = 0, random.uniform(1e-5, 1e-4)
            stack[..., [*always, *(order[3 + other] for other in range(count) if other != k)]] = 0
        yield (stacks,)


def numbers_of_maps(value: Any) -> np.ndarray:
    """The numbers in order, in whatever they come."""
    plain = array(sorted(value) if isinstance(value, set) else value, what="The answer").ravel()
    return plain if plain.dtype == bool else np.sort(plain)


def _highest(stacks: list[np.ndarray]) -> np.ndarray:
    return np.array([stack.max(axis=(0, 1)) for stack in stacks])


SILENT = Exercise(
    id="02.5",
    title="maps that never speak",
    name="silent",
    hint="A map is silent for a picture if its maximum is 0. Then ask the same over the pictures.",
    after="A map that is silent for eight photographs may wake up for a ninth: silent is not yet dead.",
    solution=silent,
    inputs=photographs,
    read=numbers_of_maps,
    mistakes={
        "That is how many maps are silent; which ones?": lambda stacks: int(
            (_highest(stacks).max(axis=0) == 0).sum()
        ),
        "Those are silent for the first picture; some of them wake up for another one.": lambda stacks: (
            np.flatnonzero(_highest(stacks)[0] == 0)
        ),
        "Those are silent for the second picture; the others have a say, too.": lambda stacks: np.flatnonzero(
            _highest(stacks)[1] == 0
        ),
        "Those are silent for the last picture; the others have a say, too.": lambda stacks: np.flatnonzero(
            _highest(stacks)[-1] == 0
        ),
        "The first two pictures decide in your answer; there may be more.": lambda stacks: np.flatnonzero(
            _highest(stacks)[:2].max(axis=0) == 0
        ),
        "The first and the last picture decide in your answer; those between have a say, too.": (
            lambda stacks: np.flatnonzero(_highest(stacks)[[0, -1]].max(axis=0) == 0)
        ),
        "Silent for one picture is enough in your answer; it should be for all of them.": lambda stacks: (
            np.flatnonzero(_highest(stacks).min(axis=0) == 0)
        ),
        "Those are the maps that answer; the others are asked for.": lambda stacks: np.flatnonzero(
            _highest(stacks).max(axis=0) > 0
        ),
        "Every map has a zero somewhere, behind a ReLU; silent means zero everywhere.": lambda stacks: (
            np.flatnonzero(np.min([stack.min(axis=(0, 1)) for stack in stacks], axis=0) == 0)
        ),
        "That is a yes or no for each map; np.flatnonzero turns it into numbers.": lambda stacks: (
            _highest(stacks).max(axis=0) == 0
        ),
        "A map that speaks softly is not silent: it has values above 0.": lambda stacks: np.flatnonzero(
            _highest(stacks).max(axis=0) < 1e-3
        ),
        "The maps are counted from 0.": lambda stacks: silent(stacks) + 1,
    },
    right=[
        lambda stacks: [
            c for c in range(stacks[0].shape[-1]) if not any(stack[..., c].any() for stack in stacks)
        ],
        lambda stacks: np.flatnonzero(sum(stack.sum(axis=(0, 1)) for stack in stacks) == 0),
        lambda stacks: {int(c) for c in silent(stacks)},
        lambda stacks: silent([stacks.pop() for _ in range(len(stacks))]),
    ],
)

# --- 02.6 ----------------------------------------------------------------------------------------------


def to_show(one, percent):
    top = np.percentile(one, percent)
    if top == 0:
        top = one.max() or 1
    return np.minimum(one / top, 1)


def maps_to_show(random: np.random.Generator) -> Iterator[tuple[np.ndarray, float]]:
    """Maps behind a ReLU with one value far above the others; one of few values, and one of none."""
    for height, width, percent, mean in [(9, 12, 95, 0.6), (11, 7, 80, 5), (8, 8, 99, 1), (10, 13, 60, 0.8)]:
        one = np.maximum(random.normal(mean, 1, (height, width)), 0) * random.uniform(0.05, 9)
        one[int(random.integers(height)), int(random.integers(width))] = 40 * one.max()
        yield one, percent
    few = np.zeros((12, 9))
    few[3, int(random.integers(9))], few[7, 2] = 2.5, 1.25  # the percentile is 0
    yield few, 90
    yield 0.04 * few, 90
    yield np.zeros((4, 5)), 99


def _toned(top: Any, low: Any = lambda one: 0.0, cut: bool = True) -> Any:
    """A map on a scale between two values of its own; where there is no room between them, zeros."""

    def toned(one: np.ndarray, percent: float) -> np.ndarray:
        least, most = low(one), top(one, percent)
        if most <= least:
            most = float(one.max()) or 1.0
        drawn = (one - least) / (most - least)
        return np.clip(drawn, 0, 1) if cut else drawn

    return toned


def _bare(one: np.ndarray, percent: float) -> np.ndarray:
    """Without a thought for percentiles of 0."""
    with np.errstate(all="ignore"):
        return np.minimum(one / np.percentile(one, percent), 1)


TO_SHOW = Exercise(
    id="02.6",
    title="a scale that can be read",
    name="to_show",
    hint="np.percentile(one, percent) is the value that becomes 1; np.minimum cuts off what is above. And if "
    "that value is 0? Then take the largest, and if that is 0 as well, anything but 0.",
    after="One glaring value no longer darkens the rest. `scaled` of the course draws the maps below so.",
    solution=to_show,
    inputs=maps_to_show,
    read=with_gaps,
    mistakes={
        "Right as long as there is something to divide by: the percentile of a map may be 0.": _bare,
        "The percentile may be 0 though the map is not: then its largest value takes its place.": (
            lambda one, percent: to_show(one, percent) if np.percentile(one, percent) > 0 else 0 * one
        ),
        "A square root, as the notebook draws its maps, is not asked for here.": lambda one, percent: np.sqrt(
            to_show(one, percent)
        ),
        "A map that is 0 everywhere has nothing to divide by, not even its largest value: it stays 0.": (
            lambda one, percent: to_show(one, percent) if one.any() else np.full(one.shape, np.nan)
        ),
        "Your scale is at least 1, so a faint map stays dark: its own values make the scale.": (
            lambda one, percent: np.minimum(one / max(np.percentile(one, percent) or one.max(), 1), 1)
        ),
        "That is the scale of the largest value; one glaring spot, and the rest is dark.": _toned(
            lambda one, percent: one.max()
        ),
        "The percentile is 99 in yours; `percent` has a say.": lambda one, percent: to_show(one, 99),
        "Values above the percentile are above 1: cut them off.": _toned(
            lambda one, percent: np.percentile(one, percent), cut=False
        ),
        "Values above the percentile have become 0; they are the strongest, so 1.": lambda one, percent: (
            np.where(to_show(one, percent) < 1, to_show(one, percent), 0.0)
        ),
        "np.quantile takes shares, 0 to 1; np.percentile takes per cent.": lambda one, percent: to_show(
            one, percent / 100
        ),
        "The percentile is taken off; the map should be divided by it.": lambda one, percent: np.maximum(
            one - np.percentile(one, percent), 0
        ),
        "That is `percent` per cent of the largest value; a percentile counts values.": _toned(
            lambda one, percent: one.max() * percent / 100
        ),
        "Each row has its own scale in yours; one for the whole map.": lambda one, percent: np.stack(
            [to_show(row, percent) for row in one]
        ),
        "Each column has its own scale in yours; one for the whole map.": lambda one, percent: np.stack(
            [to_show(column, percent) for column in one.T], axis=1
        ),
        "A yes or no for each place; what lies between should be kept.": lambda one, percent: (
            one >= max(np.percentile(one, percent), 1e-9)
        ),
        "The zeros are left out of the count; all values of the map count.": lambda one, percent: to_show(
            one, percent if not one.any() else 100 * (1 - (one > 0).mean() * (1 - percent / 100))
        ),
        "Upside down in brightness: the strongest should be 1.": lambda one, percent: (
            1 - to_show(one, percent)
        ),
        "The map is stretched from its lowest value on; 0 should stay 0.": _toned(
            lambda one, percent: np.percentile(one, percent),
            low=lambda one: float(one[one > 0].min()) if one.any() else 0.0,
        ),
    },
    right=[
        lambda one, percent: np.clip(one / (np.quantile(one, percent / 100) or one.max() or 1.0), 0, 1),
        lambda one, percent: to_show(one, percent).astype(np.float32),
        lambda one, percent: (
            np.minimum(one, top) / top
            if (top := np.percentile(one, percent) or one.max())
            else np.zeros_like(one)
        ),
    ],
)

# --- 02.7 ----------------------------------------------------------------------------------------------


def choose_and_judge(scores):
    best = scores[0].argmax()
    return best, scores[1:, best].mean()


def some_scores(random: np.random.Generator) -> Iterator[tuple[np.ndarray]]:
    """Scores (photographs, maps): one map is the first photograph's best, one the others', one of all."""
    for photographs, maps, low in [(3, 8, -5.3), (5, 6, -3.6), (2, 7, -5.3), (4, 11, -3.6)]:
        scores = random.normal(0, 1, (photographs, maps))
        first, later, whole, lowest, second = random.permutation(maps)[:5]
        scores[0, [first, later, whole, lowest, second]] = 4.1, -3.0, 3.9, low, 2.9
        scores[1:, first] = random.uniform(0.3, 1.5, photographs - 1)
        scores[1:, later] = random.uniform(8, 8.5, photographs - 1)
        scores[1:, whole] = 7.6
        scores[-1, second] = -9.5
        yield (scores + np.round(random.uniform(0.01, 0.2), 3),)


def pair(value: Any) -> np.ndarray:
    """A map's number and a score, or whatever else came."""
    return array([*value] if isinstance(value, (tuple, list)) else value, what="The answer")


def _judged(choose: Any, judge: Any = lambda scores, k: scores[1:, k].mean()) -> Any:
    def answer(scores: np.ndarray) -> tuple[int, float]:
        best = int(choose(scores))
        return best, float(judge(scores, best))

    return answer


def _first(scores: np.ndarray) -> int:
    return int(scores[0].argmax())


CHOOSE_AND_JUDGE = Exercise(
    id="02.7",
    title="choose, then judge",
    name="choose_and_judge",
    hint="Row 0 chooses: its argmax. The other rows, `scores[1:]`, judge: their mean in that one column.",
    after="The photograph that chose a map has no say in how good it is: the rule behind every test set.",
    solution=choose_and_judge,
    inputs=some_scores,
    read=pair,
    mistakes={
        "The map is chosen on all photographs, and so on those that should judge it, too.": _judged(
            lambda scores: scores.mean(axis=0).argmax()
        ),
        "The map is chosen on the photographs that should judge it.": _judged(
            lambda scores: scores[1:].mean(axis=0).argmax()
        ),
        "The photograph that chose the map judges as well: leave row 0 out of the mean.": _judged(
            _first, lambda scores, k: scores[:, k].mean()
        ),
        "That is its score where it was chosen; the others are asked.": _judged(
            _first, lambda scores, k: scores[0, k]
        ),
        "Judged are the best maps of the other photographs, not the one that was chosen.": _judged(
            _first, lambda scores, k: scores[1:].max(axis=1).mean()
        ),
        "Judged are all maps of the other photographs, not the one that was chosen.": _judged(
            _first, lambda scores, k: scores[1:].mean()
        ),
        "Only one of the other photographs judges; all of them should.": _judged(
            _first, lambda scores, k: scores[1, k]
        ),
        "Only the last photograph judges; all but the first should.": _judged(
            _first, lambda scores, k: scores[-1, k]
        ),
        "The best of the other scores is taken; their mean is fairer.": _judged(
            _first, lambda scores, k: scores[1:, k].max()
        ),
        "The sum depends on how many photographs there are; take the mean.": _judged(
            _first, lambda scores, k: scores[1:, k].sum()
        ),
        "The last photograph chooses in yours; the first should.": _judged(
            lambda scores: scores[-1].argmax(), lambda scores, k: scores[:-1, k].mean()
        ),
        "The lowest score is chosen; the highest stands out.": _judged(lambda scores: scores[0].argmin()),
        "The sign does not count in your choice; a map that is dark there is not wanted.": _judged(
            lambda scores: np.abs(scores[0]).argmax()
        ),
        "Maps are counted from 0.": lambda scores: (_first(scores) + 1, scores[1:, _first(scores)].mean()),
        "The number of the map comes first, the score second.": lambda scores: (
            scores[1:, _first(scores)].mean(),
            _first(scores),
        ),
        "The score alone came back; which map is it?": lambda scores: scores[1:, _first(scores)].mean(),
        "The map's number alone came back; how does it do on the other photographs?": _first,
        "One score for each of the other photographs; their mean is asked for.": lambda scores: np.array(
            [_first(scores), *scores[1:, _first(scores)]]
        ),
        "Rows and columns are exchanged: a row is a photograph, a column a map.": lambda scores: (
            (best := int(scores[:, 0].argmax())),
            float(scores[best, 1:].mean()),
        ),
    },
    right=[
        lambda scores: (int(np.argsort(scores[0])[-1]), float(np.mean(scores[1:, np.argmax(scores[0])]))),
        lambda scores: [*choose_and_judge(scores)],
        lambda scores: np.array(choose_and_judge(scores), np.float32),
    ],
)

EXERCISES = (FIND_THE_LAYER, PEAK, SILENT, TO_SHOW, CHOOSE_AND_JUDGE)
