"""Exercises of notebook 00, convolution basics. The pattern for all the others: see `frame`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, array, expect

# --- 00.1 ----------------------------------------------------------------------------------------------

BY_HAND = Exercise(
    id="00.1",
    title="one answer by hand",
    name="by_hand",
    hint="Row 1, column 0: the window is [[0, 2, 5], [4, 0, 1], [1, 2, 0]]. Multiply place by place.",
    after="Nine multiplications and a sum: all the arithmetic there is in a convolutional layer.",
    solution="by_hand = 5 * -1 + 4 * 2 + 2 * 3",
    mistakes={
        "7 is what the filter gives turned upside down and back to front; lay it on as it is printed.": 7,
        "6 comes out with the filter's rows and columns exchanged.": 6,
        "1 belongs to row 0, column 0: rows are counted from 0, so row 1 is the second.": 1,
        "0 belongs to row 0, column 1: the row is named first.": 0,
        "-11 belongs to row 1, column 1: column 0 starts at the left border.": -11,
        "19 counts the -1 and the -2 as if they were positive.": 19,
        "15 is the sum of the window alone; each value is multiplied by the filter first.": 15,
    },
    right=[9, 9.0, np.float32(9)],
)

# --- 00.2 ----------------------------------------------------------------------------------------------


def my_convolve(picture, kernel):
    size = len(kernel)
    height, width = picture.shape
    answer = np.zeros((height - size + 1, width - size + 1))
    for row in range(answer.shape[0]):
        for column in range(answer.shape[1]):
            window = picture[row : row + size, column : column + size]
            answer[row, column] = (window * kernel).sum()
    return answer


def pictures_and_filters(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for size, height, width in [(3, 6, 8), (3, 8, 6), (2, 4, 7), (4, 9, 6)]:
        more = random.integers(0, 3)
        picture = random.integers(-4, 10, (height + more, width + more)) + 0.5
        yield picture, random.integers(-3, 4, (size, size)) + np.arange(size)[:, None] + 0.25
    whole, filter_ = random.integers(0, 10, (5, 7)), random.integers(-3, 4, (3, 3))  # as the notebook's are
    yield whole, filter_ + 0.25
    yield whole + random.random(whole.shape).round(2), filter_ + np.arange(3)


STANDING = np.array([[-1, 0, 1]] * 3)


def _copied(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The notebook's loop, word for word but for the filter's name."""
    answer = np.zeros((3, 3), dtype=int)
    for row in range(3):
        for column in range(3):
            window = picture[row : row + 3, column : column + 3]
            answer[row, column] = (window * kernel).sum()
    return answer


def _loops(size: int | None = None, extra: int = 1, how: Callable = np.sum, only: int | None = None) -> Any:
    """A convolution with something to get wrong: a fixed size, the number of places, what is done at each."""

    def convolved(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        k = size or len(kernel)
        rows, columns = only or picture.shape[0] - k + extra, only or picture.shape[1] - k + extra
        result = np.zeros((rows, columns))
        for row, column in np.ndindex(rows, columns):
            result[row, column] = how(picture[row : row + k, column : column + k] * kernel)
        return result

    return convolved


def _square(side: int) -> Any:
    return lambda p, k: _loops(only=p.shape[side] - len(k) + 1)(p, k)


def _by_shifts(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    height, width = (side - len(kernel) + 1 for side in picture.shape)
    return sum(weight * picture[i : i + height, j : j + width] for (i, j), weight in np.ndenumerate(kernel))


def _by_windows(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    view = np.lib.stride_tricks.sliding_window_view(picture, kernel.shape)
    return np.einsum("hwij,ij->hw", view, kernel)


CONVOLVE = Exercise(
    id="00.2",
    title="write the convolution yourself",
    name="my_convolve",
    hint="Two loops, as above; but the picture need not be square, and the filter may be 2 by 2. How many "
    "places are there along a side of `height` pixels for a window of `size`?",
    after="These few lines are the heart of every network in this course.",
    solution=my_convolve,
    inputs=pictures_and_filters,
    mistakes={
        "The loop above has 3 by 3 places and a filter of 3 by 3; here both follow from what comes in.": (
            _loops(size=3, only=3)
        ),
        "The loop as it stands above: 3 by 3 places, a filter of 3 by 3, whole numbers. Here places and "
        "filter follow from what comes in, and fractions are to be kept.": _copied,
        "The loop as it stands above, with `standing`: the filter that comes in has no say.": (
            lambda p, k: _copied(p, STANDING)
        ),
        "Any picture, but always the filter `standing`: take the one that comes in.": (
            lambda p, k: my_convolve(p, STANDING)
        ),
        "The answer has 3 by 3 places whatever comes in: their number follows from picture and filter.": (
            _loops(only=3)
        ),
        "The filter is 3 by 3 in your loops; take its size from the filter that comes in.": _loops(size=3),
        "The filter is turned over in both directions. Mathematics calls that convolution; networks lay the "
        "filter on as it is.": lambda p, k: my_convolve(p, k[::-1, ::-1]),
        "Without padding the window fits at fewer places than the picture has pixels.": (
            lambda p, k: my_convolve(np.pad(p, ((0, len(k) - 1), (0, len(k) - 1))), k)
        ),
        "A border is added; here the window stays inside the picture.": (
            lambda p, k: my_convolve(np.pad(p, len(k) // 2), k)
        ),
        "One row and one column short: the last place is missing. + 1 in the range?": _loops(extra=0),
        "Two rows and two columns short: size - 1 of them are lost on a side, not more.": _loops(extra=-1),
        "The products of one window alone: add them up, and do it at every place.": (
            lambda p, k: p[: len(k), : len(k)] * k
        ),
        "One number is needed for each place of the window, not one in all.": (
            lambda p, k: (p[: len(k), : len(k)] * k).sum()
        ),
        "Rows and columns of the answer are exchanged.": lambda p, k: my_convolve(p, k).T,
        "The picture is not square: rows and columns have their own number.": _square(0),
        "The picture is not square: columns and rows have their own number.": _square(1),
        "The filter's rows and columns are exchanged.": lambda p, k: my_convolve(p, k.T),
        "That is the mean of the products; it should be their sum.": _loops(how=np.mean),
        "That is the largest of the products; it should be their sum.": _loops(how=np.max),
        "Window and filter are summed each by itself; multiply place by place, then add up.": (
            lambda p, k: my_convolve(p, np.ones_like(k)) * k.sum()
        ),
        "The filter has no say: these are sums of the windows.": lambda p, k: my_convolve(p, np.ones_like(k)),
        "The fractions are lost. Make the answer an array of floats: np.zeros without a dtype.": (
            lambda p, k: my_convolve(p, k).astype(int)
        ),
        "The answer has the picture's kind of numbers, and a picture of whole ones loses the filter's "
        "fractions.": lambda p, k: my_convolve(p, k).astype(p.dtype),
        "The answer has the filter's kind of numbers, and a filter of whole ones loses the picture's "
        "fractions.": lambda p, k: my_convolve(p, k).astype(k.dtype),
        "Every value is the first one: the window does not move.": lambda p, k: np.full_like(
            my_convolve(p, k), my_convolve(p, k)[0, 0]
        ),
        "Row times column, as `@` does, is another product: multiply place by place with `*`.": lambda p, k: (
            np.einsum("hwij,jk->hw", np.lib.stride_tricks.sliding_window_view(p, k.shape), k)
        ),
    },
    right=[_by_shifts, _by_windows, lambda p, k: my_convolve(p, k).astype(np.float32)],
)

# --- 00.3 ----------------------------------------------------------------------------------------------


def _edge(kind: str) -> np.ndarray:
    """A 3x3 picture of an edge through the middle: 1 on the bright side, 0.5 on the edge itself."""
    row, column = np.indices((3, 3)) - 1
    return 0.5 + 0.5 * np.sign({"/": row + column, "\\": column - row, "|": column, "-": row}[kind])


def check_diagonal(answer: Any) -> None:
    kernel = array(answer, (3, 3), "The filter").astype(float)
    expect(np.any(kernel), "All nine numbers are 0: this filter answers 0 to everything.")
    total = kernel.sum()
    text = f"The nine numbers add up to {total:g}, so a flat wall gives an answer too. It should be 0."
    expect(abs(total) < 1e-6 * np.abs(kernel).max(), text)
    wanted, other, standing, lying = (float((kernel * _edge(kind)).sum()) for kind in "/\\|-")
    told = f"To this edge your filter answers {wanted:g}"
    expect(
        wanted > -1e-6, f"{told}: it has found it, with the wrong sign. Bright is below right: plus there."
    )
    expect(
        wanted > 1e-6 or abs(other) < 1e-6,
        f"{told}, and to the other diagonal, \\, {other:g}. The numbers are mirrored, left for right.",
    )
    expect(wanted > 1e-6, f"{told}. Minus numbers belong on its dark side, plus numbers on its bright one.")
    expect(abs(standing) <= wanted, f"{told}, but {standing:g} to a standing one: that is what it looks for.")
    expect(abs(lying) <= wanted, f"{told}, but {lying:g} to a lying one: that is what it looks for.")
    expect(
        abs(other) < wanted / 3, f"{told}, and {other:g} to the other diagonal, \\: it should hardly notice."
    )


DIAGONAL = Exercise(
    id="00.3",
    title="a filter of your own",
    name="diagonal",
    hint="Draw the edge / into a 3 by 3 square: three places lie on it, three above left, three below right.",
    after="A filter is a small picture of what it looks for. In a network nobody draws it; it is learned.",
    check=check_diagonal,  # many filters are right
    solution="diagonal = [[-1, -1, 0], [-1, 0, 1], [0, 1, 1]]",
    mistakes={
        "answers 0 to everything": np.zeros((3, 3)),
        "add up to 1": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
        "with the wrong sign": [[1, 1, 0], [1, 0, -1], [0, -1, -1]],
        "mirrored, left for right": [[0, 1, 1], [-1, 0, 1], [-1, -1, 0]],
        "to a standing one": [[-1, 0, 1]] * 3,
        "to a lying one": [[-1] * 3, [0] * 3, [1] * 3],
        "Minus numbers belong": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
        "it should hardly notice": [[-2, -1, 1], [-2, 0, 2], [-1, 1, 2]],
        "has shape (2, 2)": [[-1, 0], [0, 1]],
        "has shape (9,)": [-1, -1, 0, -1, 0, 1, 0, 1, 1],
    },
    right=[
        np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]]),
        [[-1, 0, 0], [0, 0, 0], [0, 0, 1]],
        np.array([[-0.5, -0.5, 0], [-0.5, 0, 0.5], [0, 0.5, 0.5]], np.float32),
    ],
)

# --- 00.4 ----------------------------------------------------------------------------------------------


def output_size(size, kernel, padding, stride):
    return (size + 2 * padding - kernel) // stride + 1


def sides(random: np.random.Generator) -> Iterator[tuple[int, int, int, int]]:
    yield from [(28, 5, 0, 1), (224, 5, 2, 1), (224, 3, 1, 2), (227, 11, 0, 4), (13, 4, 1, 6)]
    for stride in (2, 3, 4, 5):
        kernel, padding, rest = (int(random.integers(*pair)) for pair in [(2, 8), (1, 4), (1, stride)])
        steps = int(random.integers(5, 40))
        yield stride * steps + rest - 2 * padding + kernel, kernel, padding, stride


OUTPUT_SIZE = Exercise(
    id="00.4",
    title="how large is the answer",
    name="output_size",
    hint="The window's left edge can start at 0, stride, 2 * stride, … as long as its right edge still fits. "
    "How much room is there to move?",
    after="One formula for convolution and pooling, for every layer of every network here.",
    solution=output_size,
    inputs=sides,
    mistakes={
        "The first place counts as well: one more.": lambda size, kernel, padding, stride: (
            (size + 2 * padding - kernel) // stride
        ),
        "Padding is put on both sides.": lambda size, kernel, padding, stride: (
            (size + padding - kernel) // stride + 1
        ),
        "The padding is left out.": lambda size, kernel, padding, stride: (size - kernel) // stride + 1,
        "That is without the stride.": lambda size, kernel, padding, stride: size + 2 * padding - kernel + 1,
        "The window's own width has to go first.": lambda size, kernel, padding, stride: (
            (size + 2 * padding) // stride + 1
        ),
        "A last step that sticks out does not count: round down, not up.": (
            lambda size, kernel, padding, stride: -(-(size + 2 * padding - kernel) // stride) + 1
        ),
        "Half a place or more is no place either: round down, always.": (
            lambda size, kernel, padding, stride: round((size + 2 * padding - kernel) / stride + 1)
        ),
        "That need not be a whole number. Round down: part of a place is no place.": (
            lambda size, kernel, padding, stride: (size + 2 * padding - kernel) / stride + 1
        ),
        "The one for the first place is added after dividing by the stride, not before.": (
            lambda size, kernel, padding, stride: (size + 2 * padding - kernel + 1) // stride
        ),
        "The window's size has no say in yours beyond its middle: `padding` need not be half of it.": (
            lambda size, kernel, padding, stride: (size - 1) // stride + 1
        ),
    },
    right=[
        lambda size, kernel, padding, stride: int((size + 2 * padding - kernel) / stride) + 1,
        lambda size, kernel, padding, stride: (size + 2 * padding - kernel + stride) // stride,
        lambda size, kernel, padding, stride: len(range(0, size + 2 * padding - kernel + 1, stride)),
    ],
)

# --- 00.5 ----------------------------------------------------------------------------------------------


def my_max_pool(picture, size):
    height, width = picture.shape[0] // size, picture.shape[1] // size
    answer = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            top, left = row * size, column * size
            answer[row, column] = picture[top : top + size, left : left + size].max()
    return answer


def pictures_and_blocks(random: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
    for height, width, size in [(4, 6, 2), (5, 7, 2), (9, 6, 3), (11, 9, 4), (8, 13, 3)]:
        picture = random.permutation(height * width).reshape(height, width)
        yield picture - (random.uniform(0.2, 0.6) + 0.01) * height * width, size
    yield -1 - random.random((6, 8)), 2


def _pool(how: Callable, step: int | None = None, size: int | None = None) -> Any:
    """A pooling with something to get wrong: what is kept, the step, a fixed size."""

    def pooled(picture: np.ndarray, asked: int) -> np.ndarray:
        k = size or asked
        move = step or k
        rows, columns = ((side - k) // move + 1 for side in picture.shape)
        places = np.ndindex(rows, columns)
        values = [how(picture[r * move : r * move + k, c * move : c * move + k]) for r, c in places]
        return np.reshape(values, (rows, columns))

    return pooled


def _exchanged(picture: np.ndarray, size: int) -> np.ndarray:
    height, width = picture.shape[0] // size, picture.shape[1] // size
    blocks = picture[: height * size, : width * size].reshape(size, height, size, width)
    return blocks.max(axis=(0, 2))


def _side_by_side(picture: np.ndarray, size: int) -> np.ndarray:
    height, width = picture.shape[0] // size, picture.shape[1] // size
    return picture[: height * size, : width * size].reshape(height, width, size, size).max(axis=(2, 3))


def _farthest(block: np.ndarray) -> float:
    return block.flat[np.abs(block).argmax()]


def _with_the_rest(picture: np.ndarray, size: int) -> np.ndarray:
    extra = [(0, -side % size) for side in picture.shape]
    return my_max_pool(np.pad(picture, extra, constant_values=-np.inf), size)


def _whole_blocks(picture: np.ndarray, size: int) -> np.ndarray:
    height, width = picture.shape[0] // size, picture.shape[1] // size
    return picture[: height * size, : width * size].reshape(height, size, width, size)


MAX_POOL = Exercise(
    id="00.5",
    title="write max pooling",
    name="my_max_pool",
    hint="The same two loops; the window moves by `size` at a time, and `.max()` takes the place of the sum.",
    after="No weights, nothing to learn: one rule, the largest of each block.",
    solution=my_max_pool,
    inputs=pictures_and_blocks,
    mistakes={
        "That is the mean of each block; the largest is wanted.": _pool(np.mean),
        "That is the smallest of each block.": _pool(np.min),
        "That is the sum of each block.": _pool(np.sum),
        "That keeps the first of each block, whatever the others are.": _pool(lambda block: block[0, 0]),
        "The blocks are not blocks: in `reshape` the axes go (rows, size, columns, size).": _exchanged,
        "Your blocks are pieces of rows, one behind the other: in `reshape` the axes go (rows, size, "
        "columns, size), and the largest is over the second and the fourth.": _side_by_side,
        "The blocks overlap; they should lie side by side.": _pool(np.max, step=1),
        "The blocks move by 2 whatever their size is.": _pool(np.max, step=2),
        "The blocks are 2 by 2 whatever is asked for: `size` has a say.": _pool(np.max, size=2),
        "Rows and columns that fill no block are dropped.": _with_the_rest,
        "Rows and columns of the answer are exchanged.": lambda picture, size: my_max_pool(picture, size).T,
        "Values below 0 have become 0: start from the block, not from 0.": lambda picture, size: np.maximum(
            my_max_pool(picture, size), 0
        ),
        "The largest without its sign; take the largest as it is.": _pool(lambda block: np.abs(block).max()),
        "The value farthest from 0, with its sign; the largest is asked for: 3 is larger than -5.": _pool(
            _farthest
        ),
        "One number is too few: one for each block.": lambda picture, size: picture.max(),
        "The largest of each row of a block is not yet that of the block.": lambda picture, size: (
            _whole_blocks(picture, size).max(axis=3).reshape(-1, picture.shape[1] // size)
        ),
        "The fractions are lost: an array of whole numbers cannot hold them.": lambda picture, size: (
            my_max_pool(picture, size).astype(int)
        ),
    },
    right=[_pool(np.max), lambda picture, size: _whole_blocks(picture, size).max(axis=(1, 3))],
)

# --- 00.6 ----------------------------------------------------------------------------------------------


def my_layer(image, kernels, biases):
    size, _, _, filters = kernels.shape
    height, width = image.shape[0] - size + 1, image.shape[1] - size + 1
    answer = np.zeros((height, width, filters))
    for row in range(height):
        for column in range(width):
            window = image[row : row + size, column : column + size, :]
            for f in range(filters):
                answer[row, column, f] = (window * kernels[:, :, :, f]).sum() + biases[f]
    return answer


def layers(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for size, channels, filters in [(3, 3, 4), (2, 3, 2), (3, 2, 5), (4, 4, 3)]:
        height, width = size + 2 + random.permutation(2)
        image = random.integers(0, 9, (height, width, channels)) + 0.5
        kernels = random.integers(-3, 4, (size, size, channels, filters)) + 0.25
        yield image, kernels, 10.0 * random.permutation(np.arange(-1, filters - 1)) + 5.25


def _each_pair(image: np.ndarray, kernels: np.ndarray, biases: np.ndarray) -> np.ndarray:
    view = np.lib.stride_tricks.sliding_window_view(image, kernels.shape[:2], axis=(0, 1))
    return np.einsum("hwcij,ijcf->hwcf", view, kernels) + biases


def _by_einsum(image: np.ndarray, kernels: np.ndarray, biases: np.ndarray) -> np.ndarray:
    return _each_pair(image, kernels, 0 * biases).sum(axis=2) + biases


def _channel_by_channel(image: np.ndarray, kernels: np.ndarray, biases: np.ndarray) -> np.ndarray:
    maps = [
        sum(my_convolve(image[..., c], kernels[..., c, f]) for c in range(image.shape[-1])) + biases[f]
        for f in range(kernels.shape[-1])
    ]
    return np.stack(maps, axis=-1)


def _three_by_three(image: np.ndarray, kernels: np.ndarray, biases: np.ndarray) -> np.ndarray:
    answer = np.zeros((image.shape[0] - 2, image.shape[1] - 2, kernels.shape[-1]))
    for row, column, f in np.ndindex(*answer.shape):
        answer[row, column, f] = (image[row : row + 3, column : column + 3] * kernels[..., f]).sum() + biases[
            f
        ]
    return answer


LAYER = Exercise(
    id="00.6",
    title="a whole layer",
    name="my_layer",
    hint="The window now has a depth: (3, 3, 3). Multiply it by one filter, `kernels[..., f]`, of the same "
    "shape, and `.sum()` adds up all 27 products. Then the bias; then the next filter.",
    after="This is `keras.layers.Conv2D`, slower. The next cell compares the two.",
    solution=my_layer,
    inputs=layers,
    mistakes={
        "The window is 3 by 3 in your loops; take its size from the kernels.": _three_by_three,
        "The channels are still apart, one map for each pair of channel and filter: add them up.": (
            _each_pair
        ),
        "There is a map for each pair of channel and filter; the sum over the channels is missing.": (
            lambda i, k, b: _each_pair(i, k, b).reshape(*_by_einsum(i, k, b).shape[:2], -1)
        ),
        "The answers of the filters have to stay apart, one map each.": lambda i, k, b: my_layer(i, k, b).sum(
            axis=-1
        ),
        "One map for each channel: the channels are added up, the filters stay apart.": lambda i, k, b: (
            _each_pair(i, k, b).sum(axis=-1)
        ),
        "Only the first channel counts here; all channels are added up.": lambda i, k, b: my_layer(
            i[..., :1], k[:, :, :1], b
        ),
        "That is the mean over the channels; it should be their sum.": lambda i, k, b: (
            my_layer(i, k, b * 0) / i.shape[-1] + b
        ),
        "The biases are missing: one number for each filter, added at every place.": lambda i, k, b: my_layer(
            i, k, b * 0
        ),
        "The bias is added once for each channel; a filter has one.": lambda i, k, b: _each_pair(i, k, b).sum(
            axis=2
        ),
        "The bias is added to every product; it comes once, after the sum.": lambda i, k, b: my_layer(
            i, k, k[..., 0].size * b
        ),
        "The bias is taken off; it should be added.": lambda i, k, b: my_layer(i, k, -b),
        "All maps are the same: each has its own filter.": lambda i, k, b: my_layer(i, 0 * k + k[..., :1], b),
        "All maps have the first bias: each filter has its own.": lambda i, k, b: my_layer(
            i, k, 0 * b + b[0]
        ),
        "The filters are turned over; a layer lays them on as they are.": lambda i, k, b: my_layer(
            i, k[::-1, ::-1], b
        ),
        "Rows and columns of the filters are exchanged.": lambda i, k, b: my_layer(i, k.swapaxes(0, 1), b),
        "Each channel meets another channel's kernel: their order is turned over.": lambda i, k, b: my_layer(
            i[..., ::-1], k, b
        ),
        "Negative answers have become 0. The ReLU comes afterwards, not here.": lambda i, k, b: np.maximum(
            my_layer(i, k, b), 0
        ),
        "The maps come first here; they are the last axis.": lambda i, k, b: np.moveaxis(
            my_layer(i, k, b), -1, 0
        ),
        "A border is added; no padding is asked for.": lambda i, k, b: my_layer(
            np.pad(i, ((1, 1), (1, 1), (0, 0))), k, b
        ),
    },
    right=[_by_einsum, _channel_by_channel, lambda i, k, b: my_layer(i, k, b).astype(np.float32)],
)

# --- 00.7 ----------------------------------------------------------------------------------------------


def my_receptive_field(layers):
    size, step = 1, 1
    for kernel, stride in layers:
        size = size + (kernel - 1) * step
        step = step * stride
    return size


def chains(random: np.random.Generator) -> Iterator[tuple[list[tuple[int, int]]]]:
    yield ([(3, 1)],)
    yield ([(3, 1)] * 4,)
    yield ([(5, 1), (3, 1)],)
    yield ([(3, 1), (2, 2), (3, 1)],)
    yield ([(11, 4), (3, 2), (5, 1), (2, 3), (3, 1)],)
    kernels, strides = random.integers(2, 8, 4), random.permutation([1, 2, 3, 4])
    yield ([(int(k), int(s)) for k, s in zip(kernels, strides, strict=True)],)


def _from_the_top(layers: Any) -> int:
    size = 1
    for kernel, stride in reversed(list(layers)):
        size = (size - 1) * stride + kernel
    return size


def _used_up(layers: Any) -> int:
    size, step = 1, 1
    while layers:
        kernel, stride = layers.pop(0)
        size, step = size + (kernel - 1) * step, step * stride
    return size


def _field(start: int = 1, less: int = 1, own: bool = False, jump: Callable = lambda a, b: a * b) -> Any:
    """The recursion of the field, and its usual slips."""

    def field(layers: Any) -> int:
        size, step = start, 1
        for kernel, stride in layers:
            step = jump(step, stride) if own else step
            size += (kernel - less) * step
            step = step if own else jump(step, stride)
        return size

    return field


RECEPTIVE_FIELD = Exercise(
    id="00.7",
    title="how far does a layer see",
    name="my_receptive_field",
    hint="Keep two numbers: the size seen so far, and how many pixels one step is worth. A layer adds "
    "(kernel - 1) steps to the size; its stride then makes the step larger.",
    after="In notebook 02 the same count is drawn on a photograph, for a network of thirteen convolutions.",
    solution=my_receptive_field,
    inputs=chains,
    mistakes={
        "Windows overlap, so their sizes do not simply add up.": lambda layers: sum(k for k, _ in layers),
        "Sizes do not multiply; each layer adds a border.": lambda layers: int(
            np.prod([k for k, _ in layers])
        ),
        "Strides are left out: after one, a step is worth several pixels.": _field(jump=lambda a, b: 1),
        "A layer's own stride counts only for the layers after it.": _field(own=True),
        "The one pixel that we start from is missing.": _field(start=0),
        "Each layer adds kernel - 1, not kernel.": _field(less=0),
        "Strides multiply from layer to layer; they do not add up.": _field(jump=lambda a, b: a + b),
        "A step grows by the stride, whatever that is: not every stride above 1 is a 2.": (
            _field(jump=lambda a, b: a * min(b, 2))
        ),
        "Only the last stride counts in yours; strides multiply from layer to layer.": (
            _field(jump=lambda a, b: b)
        ),
        "The first layer has to be read first.": lambda layers: my_receptive_field(layers[::-1]),
        "That is the number of layers.": len,
        "That is the last layer alone.": lambda layers: layers[-1][0],
        "That is how many pixels a last step is worth.": lambda layers: int(np.prod([s for _, s in layers])),
    },
    right=[_from_the_top, _field(), _used_up],
)

EXERCISES = (BY_HAND, CONVOLVE, DIAGONAL, OUTPUT_SIZE, MAX_POOL, LAYER, RECEPTIVE_FIELD)
