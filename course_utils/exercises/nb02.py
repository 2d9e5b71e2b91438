"""Exercises of notebook 02, feature maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, array, expect, number

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

# --- 02.2 ----------------------------------------------------------------------------------------------


def one_map(x, kernel, bias):
    height, width, _ = x.shape
    padded = np.pad(x, [(1, 1), (1, 1), (0, 0)])
    total = np.full((height, width), bias)
    for row in range(3):
        for column in range(3):
            window = padded[row : row + height, column : column + width]
            total = total + window @ kernel[row, column]
    return np.maximum(total, 0)


def _sums(x: np.ndarray, kernel: np.ndarray, mode: str = "constant") -> np.ndarray:
    """Convolution as networks do it, before bias and ReLU; the reference of the check."""
    from scipy.ndimage import correlate

    parts = [correlate(x[..., c], kernel[..., c], mode=mode) for c in range(x.shape[-1])]
    return np.sum(parts, axis=0)


def some_maps(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    for height, width, bias in [(6, 7, 30.0), (5, 4, -20.0), (8, 6, 12.5)]:
        yield random.normal(0, 50, (height, width, 3)), random.normal(0, 1, (3, 3, 3)), bias


def _by_hand(
    relu: bool = True, bias: float = 1, turn: bool = False, channels: int = 3, mode: str = "constant"
) -> Any:
    def answer(x: np.ndarray, kernel: np.ndarray, b: float) -> np.ndarray:
        kernel = kernel[::-1, ::-1] if turn else kernel
        total = _sums(x[..., :channels], kernel[..., :channels], mode) + bias * b
        return np.maximum(total, 0) if relu else total

    return answer


def _with_scipy(x: np.ndarray, kernel: np.ndarray, bias: float) -> np.ndarray:
    from scipy.signal import correlate2d

    parts = [correlate2d(x[..., c], kernel[..., c], mode="same") for c in range(3)]
    return np.clip(sum(parts) + bias, 0, None)


def _in_loops(x: np.ndarray, kernel: np.ndarray, bias: float) -> np.ndarray:
    height, width, _ = x.shape
    out = np.zeros((height, width))
    for r in range(height):
        for c in range(width):
            total = bias
            for i in range(3):
                for j in range(3):
                    if 0 <= r + i - 1 < height and 0 <= c + j - 1 < width:
                        total += (x[r + i - 1, c + j - 1] * kernel[i, j]).sum()
            out[r, c] = max(0, total)
    return out


ONE_MAP = Exercise(
    id="02.2",
    title="one map by hand",
    name="one_map",
    hint="np.pad puts a border of zeros around. For each of the nine places of the kernel, take the picture "
    "moved by it and multiply with `@ kernel[row, column]`: that adds up the channels.",
    after="One convolution of the network is this, once for each of its filters.",
    solution=one_map,
    inputs=some_maps,
    mistakes={
        "Some values are negative: the ReLU is missing.": _by_hand(relu=False),
        "The bias is missing.": _by_hand(bias=0),
        "The bias is taken off; it should be added.": _by_hand(bias=-1),
        "The ReLU comes last: you add the bias after it.": lambda x, kernel, bias: (
            _by_hand(bias=0)(x, kernel, bias) + bias
        ),
        "The kernel is turned over. Networks slide it as it is.": _by_hand(turn=True),
        "Only the first channel counts in your map; the kernel has a slice for each.": _by_hand(channels=1),
        "The border repeats the edge of the picture; it should be zeros.": _by_hand(mode="nearest"),
        "The border mirrors the picture; it should be zeros.": _by_hand(mode="mirror"),
        "The bias is added once for each channel; once is enough.": _by_hand(bias=3),
        "The bias is added once for each of the nine places; once is enough.": _by_hand(bias=9),
        "The map is smaller than the picture: a border of zeros is missing.": lambda x, kernel, bias: (
            _by_hand()(x, kernel, bias)[1:-1, 1:-1]
        ),
        "Three maps came out: one kernel adds up all three channels to one map.": lambda x, kernel, bias: (
            np.stack([_by_hand(channels=1)(x[..., c:], kernel[..., c:], bias) for c in range(3)], axis=-1)
        ),
        "Only the middle place of the kernel counts: the sum goes over all nine.": lambda x, kernel, bias: (
            np.maximum(x @ kernel[1, 1] + bias, 0)
        ),
        "The channels meet the kernel in another order: blue's and red's are exchanged.": (
            lambda x, kernel, bias: _by_hand()(x[..., ::-1], kernel, bias)
        ),
        "Rows and columns of the kernel are exchanged.": lambda x, kernel, bias: _by_hand()(
            x, kernel.swapaxes(0, 1), bias
        ),
    },
    right=[_with_scipy, _in_loops, lambda x, kernel, bias: one_map(x, kernel, bias).astype(np.float32)],
)

# --- 02.3 ----------------------------------------------------------------------------------------------


def field(steps):
    size, stride = 1, 1
    for kernel, step in steps:
        size = size + (kernel - 1) * stride
        stride = stride * step
    return size


def chains(random: np.random.Generator) -> Iterator[tuple[list[tuple[int, int]]]]:
    yield ([(3, 1), (3, 1)],)
    yield ([(3, 1)],)
    yield ([(3, 1), (3, 1), (2, 2), (3, 1), (3, 1)],)
    yield ([(5, 2), (1, 1), (3, 2), (2, 2), (3, 1)],)
    kernels, strides = random.integers(2, 8, 4), random.permutation([1, 2, 3, 4])
    yield ([(int(k), int(s)) for k, s in zip(kernels, strides, strict=True)],)


def _walk(steps: Sequence[tuple[int, int]], start: int = 1, less: int = 1, late: bool = False) -> int:
    """The recursion of the field, and its usual slips."""
    size, stride = start, 1
    for kernel, step in steps:
        stride = stride * step if late else stride
        size += (kernel - less) * stride
        stride = stride if late else stride * step
    return size


def _backwards(steps: Sequence[tuple[int, int]]) -> int:
    size = 1
    for kernel, step in reversed(steps):
        size = (size - 1) * step + kernel
    return size


def _by_trying(steps: Sequence[tuple[int, int]]) -> int:
    """Which pixels does the first value read? Sets instead of a formula."""
    seen = {0}
    for kernel, step in reversed(steps):
        seen = {place * step + k for place in seen for k in range(kernel)}
    return max(seen) - min(seen) + 1


FIELD = Exercise(
    id="02.3",
    title="the size of a receptive field",
    name="field",
    hint="Start with size = 1 and stride = 1. Each layer adds (kernel - 1) steps on the map that it looks "
    "at; how long is such a step in pixels of the picture?",
    after="The strides make it grow: each pool doubles what every later convolution adds.",
    solution=field,
    inputs=chains,
    mistakes={
        "The kernels' sizes cannot be added: two of 3 see 5 pixels, not 6.": lambda steps: sum(
            kernel for kernel, _ in steps
        ),
        "After a pool, one step on the map is two on the picture: count the strides.": lambda steps: (
            1 + sum(kernel - 1 for kernel, _ in steps)
        ),
        "A layer's own stride counts only for the layers behind it.": lambda steps: _walk(steps, late=True),
        "The first value sees one pixel, not none: start from 1.": lambda steps: _walk(steps, start=0),
        "A layer adds kernel - 1 steps, not kernel: the first pixel of its window is there already.": (
            lambda steps: _walk(steps, less=0)
        ),
        "That is how far one step on the last map goes, the stride.": lambda steps: int(
            np.prod([step for _, step in steps])
        ),
        "A stride of 3 makes a step three times as long, not twice.": lambda steps: _walk(
            [(kernel, min(step, 2)) for kernel, step in steps]
        ),
        "The first layer has to be read first.": lambda steps: _walk(steps[::-1]),
        "Kernels of 3 are frequent, not given: each step brings its own.": lambda steps: _walk(
            [(3 if step == 1 else 2, step) for _, step in steps]
        ),
    },
    right=[_backwards, _by_trying],
)

# --- 02.4 ----------------------------------------------------------------------------------------------


def peak(stack, channel):
    one = stack[..., channel]
    row, column = np.unravel_index(one.argmax(), one.shape)
    return row, column


def some_stacks(random: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
    """A peak inside, never on the diagonal, not where the whole stack or the mean is highest."""
    for height, width, maps in [(5, 8, 3), (9, 4, 5), (6, 7, 4)]:
        stack = random.uniform(0.1, 5, (height, width, maps))
        channel = int(random.integers(0, maps)) if maps == 4 else 1
        row, column = int(random.integers(2, height)), int(random.integers(0, 2))
        stack[row, column, channel] = 6
        stack[row - 1, :, channel] += 0.9  # the strongest row on average is another one
        stack[0, 3, random.choice([k for k in range(1, maps) if k != channel])] = 9
        yield stack, channel


def place(value: Any) -> np.ndarray:
    """A row and a column; anything else keeps its shape."""
    return array(list(value) if isinstance(value, (tuple, set)) else value, what="The place")


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
        "Rows and columns are counted from 0.": lambda stack, channel: (
            np.array(_place(stack[..., channel])) + 1
        ),
        "The first map is asked whatever `channel` says.": lambda stack, channel: _place(stack[..., 0]),
    },
    right=[
        lambda stack, channel: divmod(int(stack[..., channel].argmax()), stack.shape[1]),
        lambda stack, channel: np.argwhere(stack[..., channel] == stack[..., channel].max())[0],
        lambda stack, channel: [int(i) for i in _place(stack[..., channel])],
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
            stack[1, 2], stack[0, 0] = (
                random.uniform(1e-3, 2, maps),
                0,
            )  # each speaks somewhere, none everywhere
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

EXERCISES = (FIND_THE_LAYER, ONE_MAP, FIELD, PEAK, SILENT)
