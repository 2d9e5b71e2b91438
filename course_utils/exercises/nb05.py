"""Exercises of notebook 05, fully convolutional segmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise

# --- 05.1 ----------------------------------------------------------------------------------------------

VALUES = 500 * 375 * 3

MEGABYTES = Exercise(
    id="05.1",
    title="how much would all patches take?",
    name="megabytes",
    hint="The picture has 500 x 375 x 3 values of four bytes. Each is stored for every patch it lies in.",
    after="Half a gigabyte for one photograph of a fifth of a megapixel.",
    solution="megabytes = 500 * 375 * 15 * 15 * 3 * 4 / 1e6",
    within=1e-3,  # rounded to whole megabytes
    mistakes={
        "2.25 MB is the picture alone; each pixel brings its 15 x 15 neighbours along.": VALUES * 4 / 1e6,
        "Each value takes four bytes as float32; you count one.": VALUES * 225 / 1e6,
        "float32 has 32 bits, which are four bytes; you count eight.": VALUES * 225 * 8 / 1e6,
        "A pixel has three colours.": 500 * 375 * 225 * 4 / 1e6,
        "15 neighbours each are one row of the patch; it has 15 rows.": VALUES * 15 * 4 / 1e6,
        "15 + 15 is not the number of pixels in a patch.": VALUES * 30 * 4 / 1e6,
        "That is the number of bytes; a megabyte has a million of them.": VALUES * 225 * 4,
        "That is in kilobytes; a megabyte has a thousand of them.": VALUES * 225 * 4 / 1e3,
        "Bits, not bytes: eight of them are one byte.": VALUES * 225 * 32 / 1e6,
        "225 times a small picture of 15 x 15; there are 500 x 375 patches.": 225 * 225 * 3 * 4 / 1e6,
        "That is one patch; there is one around every pixel.": 225 * 3 * 4 / 1e6,
        "Patches that fit as a whole; here one lies around every pixel, beyond the border, too.": 486
        * 361
        * 225
        * 12
        / 1e6,
        "That is in gigabytes; take a thousand times as many megabytes.": VALUES * 225 * 4 / 1e9,
        "Divided by 1,048,576. A megabyte is a million bytes here.": VALUES * 225 * 4 / 2**20,
    },
    right=[506.25, 506, np.float32(506.3), np.array(506.25), 506_250_000 / 1e6],
)

# --- 05.2 ----------------------------------------------------------------------------------------------


def as_convolution(matrix, height, width):
    return matrix.reshape(height, width, -1, matrix.shape[-1])


def matrices(random: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    for height, width, channels, units in [
        (2, 3, 4, 5),
        (3, 2, 4, 6),
        (2, 2, 3, 7),
        (1, 4, 2, 3),
        (4, 3, 1, 2),
    ]:
        yield random.normal(size=(height * width * channels, units)), height, width


def _kernel(change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    """A variant of `as_convolution` that does something to the right kernel."""
    return lambda matrix, height, width: change(as_convolution(matrix, height, width))


AS_CONVOLUTION = Exercise(
    id="05.2",
    title="a dense layer becomes a convolution",
    name="as_convolution",
    hint="Not one number changes, and none moves: `reshape` to (height, width, channels, units).",
    after="The same numbers in the same order, and the layer can now stand anywhere on a larger map.",
    solution=as_convolution,
    inputs=matrices,
    mistakes={
        "All axes are turned around: a kernel in Keras is (height, width, channels, filters).": _kernel(
            lambda kernel: kernel.T
        ),
        "Filters first is the order of Caffe and PyTorch; Keras has them last.": _kernel(
            lambda kernel: kernel.transpose(3, 2, 0, 1)
        ),
        "Width and height are swapped: rows come first.": lambda m, h, w: m.reshape(w, h, -1, m.shape[1]),
        "A 1 x 1 kernel sees one place only. This one must see the whole map: height x width.": (
            lambda m, h, w: m.reshape(1, 1, *m.shape)
        ),
        "Channels were taken for the slowest axis. Flatten runs through the channels first, then columns, "
        "then rows.": lambda m, h, w: m.reshape(-1, h, w, m.shape[1]).transpose(1, 2, 0, 3),
        "Right shape, but rows and columns are exchanged within.": (
            lambda m, h, w: m.reshape(w, h, -1, m.shape[1]).transpose(1, 0, 2, 3)
        ),
        "The kernel is turned around. Keras's convolution doesn't flip its kernel; no flip is needed.": (
            _kernel(lambda kernel: kernel[::-1, ::-1])
        ),
        "The matrix was read column by column (transposed first).": (
            lambda m, h, w: m.T.reshape(h, w, -1, m.shape[1])
        ),
        "Read in Fortran's order, the first axis fastest; Flatten runs through the last one first.": (
            lambda m, h, w: m.reshape((h, w, -1, m.shape[1]), order="F")
        ),
        "That is the matrix as it came.": lambda m, h, w: m,
        "The units are missing: each of them is a filter, on the last axis.": lambda m, h, w: m.reshape(
            h, w, -1
        ),
        "Units come last, channels before them.": _kernel(lambda kernel: kernel.swapaxes(2, 3)),
    },
    right=[
        lambda m, h, w: np.reshape(m, (h, w, m.shape[0] // (h * w), m.shape[1])),
        lambda m, h, w: np.stack(np.split(m, h * w)).reshape(h, w, m.shape[0] // (h * w), m.shape[1]),
        lambda m, h, w: np.asarray(m, np.float32).reshape(h, w, len(m) // (h * w), -1),
        lambda m, h, w: np.stack([filter.reshape(h, w, -1) for filter in m.T], axis=-1),
        lambda m, h, w: as_convolution(m, h, w).tolist(),
    ],
)

# --- 05.3 ----------------------------------------------------------------------------------------------


def places(side):
    return (side - 224) // 32 + 1


def sides(random: np.random.Generator) -> Iterator[tuple[int]]:
    for side in (384, 500, 392, 224, 256, 255, 1024):
        yield (side,)
    for side in random.integers(225, 900, 4):
        yield (int(side),)


PLACES = Exercise(
    id="05.3",
    title="how many answers along one side?",
    name="places",
    hint="Five pools halve the side. Then a window of 7 slides over what is left.",
    after="224 gives 1, 384 gives 6: thirty-six answers from one pass.",
    solution=places,
    inputs=sides,
    mistakes={
        "That is the map of block 5. The 7 x 7 convolution on it loses 6.": lambda side: side // 32,
        "A window of 7 fits into n places n - 7 + 1 times; the 1 is missing.": lambda side: (
            (side - 224) // 32
        ),
        "A window of 7 fits into n places n - 7 + 1 times, not n - 7 + 2.": lambda side: side // 32 - 5,
        "There are no half places; round down.": lambda side: side / 32 - 6,
        "To the nearest; pools round down.": lambda side: round((side - 224) / 32) + 1,
        "Pools round down, so count only windows that fit as a whole.": lambda side: (
            -(-(side - 224) // 32) + 1
        ),
        "That counts crops side by side; the windows start every 32 pixels.": lambda side: side // 224,
        "VGG-16 has five pools, and each halves: the stride is 32, not 16.": lambda side: (
            (side - 224) // 16 + 1
        ),
        "VGG-16 has five pools, and each halves: the stride is 32, not 64.": lambda side: (
            (side - 224) // 64 + 1
        ),
        "That is where the last window starts, in pixels.": lambda side: side - 224,
        "That counts all windows of the picture; along one side are fewer.": lambda side: places(side) ** 2,
        "That is right for 384 alone. The side is an argument.": lambda side: 6,
    },
    right=[
        lambda side: side // 32 - 6,
        lambda side: len(range(0, side - 224 + 1, 32)),
        lambda side: np.floor((side - 224) / 32) + 1,
        lambda side: (side - 192) // 32,
        lambda side: int(side / 32) - 7 + 1,
    ],
)

# --- 05.4 ----------------------------------------------------------------------------------------------


def stitch(a, b, c, d):
    out = np.empty((2 * a.shape[0], 2 * a.shape[1]))
    out[0::2, 0::2], out[0::2, 1::2] = a, b
    out[1::2, 0::2], out[1::2, 1::2] = c, d
    return out


def four_maps(random: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    for shape in [(3, 2), (2, 4), (3, 3), (1, 5)]:
        yield tuple(random.normal(size=shape) for _ in range(4))


def _halves(rows: bool) -> Callable[..., Any]:
    """Interleaved along one axis only."""

    def variant(a: Any, b: Any, c: Any, d: Any) -> Any:
        h, w = a.shape
        if rows:
            pairs = np.stack([np.hstack([a, b]), np.hstack([c, d])], axis=1)
            return pairs.reshape(2 * h, 2 * w)
        return np.vstack([np.stack(pair, axis=2).reshape(h, 2 * w) for pair in ((a, b), (c, d))])

    return variant


STITCH = Exercise(
    id="05.4",
    title="stitch four passes",
    name="stitch",
    hint="`out[0::2, 1::2]` are the even rows and odd columns of `out`.",
    after="Four passes, twice the resolution, and no crop was computed twice.",
    solution=stitch,
    inputs=four_maps,
    mistakes={
        "The four maps stand side by side. Neighbours in the result come from different passes.": (
            lambda a, b, c, d: np.block([[a, b], [c, d]])
        ),
        "b and c are swapped: without its first columns, a picture moves along columns, so b fills the "
        "columns between columns.": lambda a, b, c, d: stitch(a, c, b, d),
        "The shifted passes come after the others: a belongs to the even rows and columns.": (
            lambda a, b, c, d: stitch(d, c, b, a)
        ),
        "a is written four times; each place has its own pass.": lambda a, b, c, d: stitch(a, a, a, a),
        "a and d are exchanged: d is shifted both ways.": lambda a, b, c, d: stitch(d, b, c, a),
        "b and d are exchanged: d is shifted both ways.": lambda a, b, c, d: stitch(a, d, c, b),
        "c and d are exchanged: d is shifted both ways.": lambda a, b, c, d: stitch(a, b, d, c),
        "Columns are shifted the other way: b lies to the right of a.": lambda a, b, c, d: stitch(b, a, d, c),
        "Rows are shifted the other way: c lies below a.": lambda a, b, c, d: stitch(c, d, a, b),
        "Rows are interleaved, columns stand side by side.": _halves(True),
        "Columns are interleaved, rows stand one below the other.": _halves(False),
        "The map is as small as one of the four; its places must lie between theirs.": (
            lambda a, b, c, d: (a + b + c + d) / 4
        ),
        "The four maps lie one on the other; they must lie in one plane.": lambda a, b, c, d: np.stack(
            [a, b, c, d]
        ),
        "Only a is in its place; the other three are missing.": lambda a, b, c, d: stitch(
            a, 0 * b, 0 * c, 0 * d
        ),
    },
    right=[
        lambda a, b, c, d: (
            np.array([[a, b], [c, d]]).transpose(2, 0, 3, 1).reshape(2 * a.shape[0], 2 * a.shape[1])
        ),
        lambda a, b, c, d: (
            np.kron(a, [[1, 0], [0, 0]])
            + np.kron(b, [[0, 1], [0, 0]])
            + np.kron(c, [[0, 0], [1, 0]])
            + np.kron(d, [[0, 0], [0, 1]])
        ),
        lambda a, b, c, d: stitch(a, b, c, d).astype(np.float32),
        lambda a, b, c, d: np.stack([np.stack([a, b], -1), np.stack([c, d], -1)], 1).reshape(2 * len(a), -1),
    ],
)

# --- 05.5 ----------------------------------------------------------------------------------------------


def tent(stride):
    places = np.arange(2 * stride) + 0.5
    return 1 - abs(places / stride - 1)


def strides(random: np.random.Generator) -> Iterator[tuple[int]]:
    for stride in (2, 4, int(random.choice([3, 5, 7])), int(random.choice([6, 10, 12])), 16):
        yield (stride,)


TENT = Exercise(
    id="05.5",
    title="the bilinear tent",
    name="tent",
    hint="Pixel k has its middle at k + 0.5. The tent is 1 at `stride`, the middle, and 0 at both ends.",
    after="Outer product of two tents: the kernel with which every FCN begins.",
    solution=tent,
    inputs=strides,
    mistakes={
        "One weight less fits where pixels lie on the values. Here each value lies between two pixels.": (
            lambda stride: 1 - abs(np.arange(1 - stride, stride) / stride)
        ),
        "That is the kernel in two dimensions; a row of it, the tent, is asked for.": lambda stride: np.outer(
            tent(stride), tent(stride)
        ),
        "That begins at 0 and ends there: the middles of the outer pixels lie half a step inside.": (
            lambda stride: np.concatenate([np.linspace(0, 1, stride), np.linspace(1, 0, stride)])
        ),
        "Every weight is the same: that repeats values, it doesn't blend them.": lambda stride: np.ones(
            2 * stride
        ),
        "Divided by the sum. Each place gets two weights, and those must add up to 1.": lambda stride: (
            tent(stride) / tent(stride).sum()
        ),
        "That tent has its top on a pixel and is not symmetric; take the middles (+ 0.5).": lambda stride: (
            1 - abs(np.arange(2 * stride) / stride - 1)
        ),
        "Upside down: the nearest value counts most.": lambda stride: 1 - tent(stride),
        "A tent with feet at the outermost pixels; they lie half a pixel from the ends.": lambda stride: (
            1 - abs(np.linspace(-1, 1, 2 * stride))
        ),
        "It never falls again: half a tent, drawn out over all the pixels.": lambda stride: (
            (np.arange(2 * stride) + 0.5) / (2 * stride)
        ),
        "Half of it: it must fall again.": lambda stride: tent(stride)[:stride],
        "The top is 1, but no pixel lies on the top of the tent.": lambda stride: (
            tent(stride) / tent(stride).max()
        ),
        "That is the square of the tent: the kernel's diagonal. A row is asked for.": lambda stride: (
            tent(stride) ** 2
        ),
        "Right for a stride of 2 alone. The stride is an argument.": lambda stride: tent(2),
        "That falls below 0: a tent of half the width.": lambda stride: (
            1 - 2 * abs((np.arange(2 * stride) + 0.5) / stride - 1)
        ),
    },
    right=[
        lambda stride: (
            np.minimum(np.arange(2 * stride) + 0.5, 2 * stride - np.arange(2 * stride) - 0.5) / stride
        ),
        lambda stride: np.concatenate([np.arange(0.5, stride), np.arange(0.5, stride)[::-1]]) / stride,
        lambda stride: [float(v) for v in tent(stride)],
        lambda stride: np.interp(np.arange(2 * stride) + 0.5, [0, stride, 2 * stride], [0, 1, 0]),
        lambda stride: np.bartlett(4 * stride + 1)[1::2],
    ],
)

# --- 05.6 ----------------------------------------------------------------------------------------------


def mean_iu(confusion):
    right = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    return (right[union > 0] / union[union > 0]).mean()


def confusions(random: np.random.Generator) -> Iterator[tuple[np.ndarray]]:
    """Tables of counts: whole; with a class that occurs nowhere, first, in the middle or last; with one that
    was only imagined, one that was never found, one that was always mistaken, and with all of these."""

    def table(n: int, nowhere: int = -1, imagined: int = -1, missed: int = -1) -> tuple[np.ndarray]:
        counts = random.integers(1, 9, (n, n)) + np.diag(random.integers(5, 60, n))
        for k in {nowhere, imagined} - {-1}:
            counts[k] = 0
        for k in {nowhere, missed} - {-1}:
            counts[:, k] = 0
        return (counts,)

    yield table(3)
    yield table(4, nowhere=2)
    yield table(3, imagined=2)
    yield table(4, missed=1)
    yield table(3, nowhere=0)
    mistaken = table(4)[0]
    mistaken[2, 2] = 0
    yield (mistaken,)
    yield table(6, nowhere=5, imagined=1, missed=3)
    yield (table(2)[0] / 10,)


def _classes(
    of: Callable[..., Any], keep: Callable[..., Any] | None = None, nowhere: float | None = None
) -> Callable[[np.ndarray], float]:
    """A variant from a function of (right, truth, answered), the mean of whose numbers is taken.

    Args:
        keep: of the same, which classes count; by default those where there is a number.
        nowhere: the number of a class that has none.
    """

    def variant(confusion: np.ndarray) -> float:
        parts = np.diag(confusion), confusion.sum(1), confusion.sum(0)
        with np.errstate(all="ignore"):
            values = of(*parts)
        if nowhere is not None:
            values = np.where(np.isnan(values), nowhere, values)
        chosen = np.ones(len(values), bool) if keep is None else keep(*parts)
        return float(np.nanmean(values[chosen]))

    return variant


def _unions(confusion: np.ndarray) -> np.ndarray:
    return confusion.sum(axis=0) + confusion.sum(axis=1) - np.diag(confusion)


def _iu(right: np.ndarray, truth: np.ndarray, answered: np.ndarray) -> np.ndarray:
    return right / (truth + answered - right)


MEAN_IU = Exercise(
    id="05.6",
    title="the mean IU",
    name="mean_iu",
    hint="The diagonal is the intersection. Row sum + column sum counts it twice. Mind a union of 0.",
    after="One wrong pixel costs two classes: the one that lost it, and the one that was given it.",
    solution=mean_iu,
    inputs=confusions,
    mistakes={
        "The share of right pixels (pixel accuracy). A large class hides the small ones in it.": (
            lambda c: np.trace(c) / c.sum()
        ),
        "The mean of the recalls (mean accuracy). The union also holds what was wrongly said.": _classes(
            lambda right, truth, answered: right / truth
        ),
        "The mean of the precisions. The union also holds what was missed.": _classes(
            lambda right, truth, answered: right / answered
        ),
        "The intersection is in your union twice; subtract it once.": _classes(
            lambda right, truth, answered: right / (truth + answered)
        ),
        "F1, twice the intersection over the sum: a relative of the IU, but larger.": _classes(
            lambda right, truth, answered: 2 * right / (truth + answered)
        ),
        "Weighted by how frequent the classes are; here each counts the same.": lambda c: float(
            np.nansum(c.sum(1) * np.diag(c) / np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1e-9)) / c.sum()
        ),
        "The class that occurs nowhere counts as 0. It is neither right nor wrong: leave it out.": _classes(
            _iu, nowhere=0
        ),
        "The absent class counts as 1: a reward for nothing. Leave it out.": _classes(_iu, nowhere=1),
        "One IU of all classes together; take each class's first, then the mean.": lambda c: (
            np.trace(c) / (2 * c.sum() - np.trace(c))
        ),
        "An imagined class is left out. Its pixels were said wrongly: it counts, with 0.": _classes(
            _iu, lambda right, truth, answered: truth > 0
        ),
        "A class that was never answered is left out. Its pixels were missed: it counts, with 0.": _classes(
            _iu, lambda right, truth, answered: answered > 0
        ),
        "Classes never there or never answered are left out. If one of the two is, they are 0.": _classes(
            _iu, lambda right, truth, answered: (truth > 0) & (answered > 0)
        ),
        "Classes without a right pixel are left out; where there was something to find, they count as 0.": (
            _classes(_iu, lambda right, truth, answered: right > 0)
        ),
        "0 / 0 has got in: leave out classes that occur nowhere.": lambda c: float(
            np.mean(
                [
                    np.float64(c[i, i]) / u if (u := c[i].sum() + c[:, i].sum() - c[i, i]) else np.nan
                    for i in range(len(c))
                ]
            )
        ),
        "The first class is left out. Background is a class like the others.": lambda c: float(
            np.mean([c[i, i] / u for i in range(1, len(c)) if (u := c[i].sum() + c[:, i].sum() - c[i, i])])
        ),
        "Those are the classes one by one. Their mean is asked for, one number.": lambda c: (
            np.diag(c) / np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1)
        ),
        "The median of the classes; the mean is asked for.": lambda c: float(
            np.median([c[i, i] / u for i in range(len(c)) if (u := c[i].sum() + c[:, i].sum() - c[i, i])])
        ),
    },
    right=[
        lambda c: float(
            np.mean([c[i, i] / u for i in range(len(c)) if (u := c[i].sum() + c[:, i].sum() - c[i, i])])
        ),
        _classes(_iu),
        lambda c: np.float32(mean_iu(c)),
        lambda c: (np.diag(c) / np.maximum(_unions(c), 1e-12)).sum() / np.count_nonzero(_unions(c)),
    ],
)

# --- 05.7 ----------------------------------------------------------------------------------------------


def fuse(coarse, fine):
    larger = coarse.repeat(2, axis=0).repeat(2, axis=1)
    return larger[: fine.shape[0], : fine.shape[1]] + fine


def two_scores(random: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """Scores of two maps; where the finer one has an odd side, its pool has rounded up."""
    for height, width, classes in [(4, 6, 3), (6, 4, 2), (5, 7, 3), (6, 5, 4), (3, 8, 2), (2, 2, 5)]:
        coarse = random.normal(size=(-(-height // 2), -(-width // 2), classes))
        yield coarse, random.normal(size=(height, width, classes))


def _fused(enlarge: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    """A variant of `fuse` with another way to enlarge."""

    def variant(coarse: np.ndarray, fine: np.ndarray) -> np.ndarray:
        return enlarge(coarse)[: fine.shape[0], : fine.shape[1]] + fine

    return variant


def _larger(coarse: np.ndarray) -> np.ndarray:
    return coarse.repeat(2, axis=0).repeat(2, axis=1)


def _with_zeros(coarse: np.ndarray) -> np.ndarray:
    out = np.zeros((2 * coarse.shape[0], 2 * coarse.shape[1], coarse.shape[2]))
    out[::2, ::2] = coarse
    return out


def _last_rows(coarse: np.ndarray, fine: np.ndarray) -> np.ndarray:
    return _larger(coarse)[-fine.shape[0] :, -fine.shape[1] :] + fine


FUSE = Exercise(
    id="05.7",
    title="one skip connection",
    name="fuse",
    hint="`repeat(2, axis=0)` doubles every row. Then cut: `[:height, :width]`. Then add.",
    after="Coarse scores say what, finer ones correct where: a sum, class by class.",
    solution=fuse,
    inputs=two_scores,
    mistakes={
        "Not cut to size: a pool rounds up, so twice its map may be a row or a column too large.": (
            lambda coarse, fine: _larger(coarse) + fine
        ),
        "The last rows and columns were kept. What is over lies below and at the right.": _last_rows,
        "Whole maps side by side: `np.tile` repeats the map, `repeat` each of its values.": _fused(
            lambda coarse: np.tile(coarse, (2, 2, 1))
        ),
        "Zeros lie between the values: a score for every fourth place only.": _fused(_with_zeros),
        "The mean of both; scores are added.": lambda coarse, fine: (
            (_larger(coarse)[: fine.shape[0], : fine.shape[1]] + fine) / 2
        ),
        "The larger one of both; scores are added.": lambda coarse, fine: np.maximum(
            _larger(coarse)[: fine.shape[0], : fine.shape[1]], fine
        ),
        "A product; scores are added.": lambda coarse, fine: (
            _larger(coarse)[: fine.shape[0], : fine.shape[1]] * fine
        ),
        "The difference; scores are added.": lambda coarse, fine: (
            _larger(coarse)[: fine.shape[0], : fine.shape[1]] - fine
        ),
        "Put one behind the other, the maps have twice as many classes. They are added, class by class.": (
            lambda coarse, fine: np.concatenate(
                [_larger(coarse)[: fine.shape[0], : fine.shape[1]], fine], axis=-1
            )
        ),
        "The finer map was shrunk; the coarse one must grow.": lambda coarse, fine: coarse + fine[::2, ::2],
        "The fine scores are not in it.": lambda coarse, fine: _larger(coarse)[
            : fine.shape[0], : fine.shape[1]
        ],
        "The coarse scores are not in it.": lambda coarse, fine: fine,
        "Shared out over four places; each of them takes the whole score.": _fused(lambda c: _larger(c) / 4),
    },
    right=[
        _fused(lambda coarse: np.kron(coarse, np.ones((2, 2, 1)))),
        lambda coarse, fine: coarse[np.arange(fine.shape[0]) // 2][:, np.arange(fine.shape[1]) // 2] + fine,
        lambda coarse, fine: fuse(coarse, fine).astype(np.float32),
        lambda coarse, fine: coarse[tuple(np.indices(fine.shape[:2]) // 2)] + fine,
        lambda coarse, fine: fuse(coarse, fine).tolist(),
    ],
)

EXERCISES = (MEGABYTES, AS_CONVOLUTION, PLACES, STITCH, TENT, MEAN_IU, FUSE)
