"""Exercises of notebook 05, fully convolutional segmentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, array, call, expect, match, number

# --- 05.1 ----------------------------------------------------------------------------------------------

VALUES = 500 * 375 * 3


def check_megabytes(answer: Any) -> None:
    given = number(answer, "The number of megabytes")
    mistakes = {
        "2.25 MB is the picture alone; each pixel brings its 15 x 15 neighbours along.": VALUES * 4 / 1e6,
        "Each value takes four bytes as float32; you count one.": VALUES * 225 / 1e6,
        "A pixel has three colours.": VALUES * 75 * 4 / 1e6,
        "15 neighbours each are one row of the patch; it has 15 rows.": VALUES * 15 * 4 / 1e6,
        "That is the number of bytes; a megabyte has a million of them.": VALUES * 225 * 4,
        "Bits, not bytes: eight of them are one byte.": VALUES * 225 * 32 / 1e6,
        "225 times a small picture of 15 x 15; there are 500 x 375 patches.": 225 * 225 * 3 * 4 / 1e6,
        "Patches side by side hold no more than the picture. Here one lies around every pixel.": round(
            500 * 375 / 225
        ),
        "That is in gigabytes; take a thousand times as many megabytes.": VALUES * 225 * 4 / 1e9,
    }
    in_binary = VALUES * 225 * 4 / 2**20  # accepted, too, and either rounded
    if min(abs(given - in_binary), abs(given - VALUES * 225 * 4 / 1e6)) > 4:
        match(given, VALUES * 225 * 4 / 1e6, mistakes, f"{given:,.4g}: pixels x patch x colours x bytes.")


MEGABYTES = Exercise(
    id="05.1",
    title="how much would all patches take?",
    name="megabytes",
    hint="The picture has 500 x 375 x 3 values of four bytes. Each is stored for every patch it lies in.",
    after="Half a gigabyte for one photograph of a quarter of a megapixel.",
    check=check_megabytes,
    solution="megabytes = 500 * 375 * 15 * 15 * 3 * 4 / 1e6",
    wrong=lambda: {
        "the picture alone": 2.25,
        "you count one": VALUES * 225 / 1e6,
        "three colours": 500 * 375 * 225 * 4 / 1e6,
        "one row of the patch": VALUES * 15 * 4 / 1e6,
        "number of bytes": VALUES * 225 * 4,
        "Bits, not bytes": 4050.0,
        "in gigabytes": 0.50625,
        "pixels x patch x colours x bytes": 1000,
        "should be one number": "506 MB",
    },
    right=lambda: [506.25, 506, 506.25e6 / 2**20],
)

# --- 05.2 ----------------------------------------------------------------------------------------------


def as_convolution(matrix, height, width):
    return matrix.reshape(height, width, -1, matrix.shape[-1])


def check_as_convolution(answer: Any) -> None:
    rng = np.random.default_rng(0)
    height, width, channels, units = 2, 3, 4, 5
    matrix = rng.normal(size=(height * width * channels, units))
    given = array(call(answer, matrix, height, width), None, "The kernel")
    right = as_convolution(matrix, height, width)
    expect(
        given.shape != right.shape[::-1],
        "All axes are turned around: a kernel in Keras is (height, width, channels, filters).",
    )
    expect(
        given.shape != (units, channels, height, width),
        "Filters first is the order of Caffe and PyTorch; Keras has (height, width, channels, filters).",
    )
    expect(
        given.shape != (width, height, channels, units),
        "Width and height are swapped: rows come first.",
    )
    expect(
        given.shape != (1, 1, height * width * channels, units),
        "A 1 x 1 kernel sees one place only. This one must see the whole map: height x width.",
    )
    expect(
        given.shape == right.shape,
        f"The kernel has shape {given.shape}; for a map of 2 x 3 x 4 and 5 units it is {right.shape}.",
    )
    mistakes = {
        "Right shape, but channels were taken for the slowest axis. Flatten runs through the channels first, "
        "then the columns, then the rows.": matrix.reshape(channels, height, width, units).transpose(
            1, 2, 0, 3
        ),
        "Right shape, but rows and columns are exchanged within.": matrix.reshape(
            width, height, channels, units
        ).transpose(1, 0, 2, 3),
        "The kernel is turned around. Keras's convolution doesn't flip its kernel; no flip is needed.": right[
            ::-1, ::-1
        ],
        "Right shape, but the matrix was read column by column (transposed first).": matrix.T.reshape(
            right.shape
        ),
    }
    match(given, right, mistakes, "The shape is right, the numbers lie in other places: only reshape.")


AS_CONVOLUTION = Exercise(
    id="05.2",
    title="a dense layer becomes a convolution",
    name="as_convolution",
    hint="Not one number changes, and none moves: `reshape` to (height, width, channels, units).",
    after="The same numbers in the same order, and the layer can now stand anywhere on a larger map.",
    check=check_as_convolution,
    solution=as_convolution,
    wrong=lambda: {
        "All axes are turned around": lambda m, h, w: as_convolution(m, h, w).T,
        "order of Caffe": lambda m, h, w: as_convolution(m, h, w).transpose(3, 2, 0, 1),
        "Width and height are swapped": lambda m, h, w: m.reshape(w, h, -1, m.shape[1]),
        "sees one place only": lambda m, h, w: m.reshape(1, 1, *m.shape),
        "slowest axis": lambda m, h, w: m.reshape(-1, h, w, m.shape[1]).transpose(1, 2, 0, 3),
        "exchanged within": lambda m, h, w: m.reshape(w, h, -1, m.shape[1]).transpose(1, 0, 2, 3),
        "turned around. Keras": lambda m, h, w: as_convolution(m, h, w)[::-1, ::-1],
        "column by column": lambda m, h, w: m.T.reshape(h, w, -1, m.shape[1]),
        "has shape (24, 5)": lambda m, h, w: m,
        "lie in other places": lambda m, h, w: as_convolution(m, h, w) * 2,
        "stopped": lambda m, h, w: m.reshape(h, w, m.shape[1]),
    },
    right=lambda: [
        lambda m, h, w: np.reshape(m, (h, w, m.shape[0] // (h * w), m.shape[1])),
        lambda m, h, w: np.stack(np.split(m, h * w)).reshape(h, w, m.shape[0] // (h * w), m.shape[1]),
    ],
)

# --- 05.3 ----------------------------------------------------------------------------------------------


def places(side):
    return (side - 224) // 32 + 1


SIDES = (384, 500, 224, 256, 400)


def check_places(answer: Any) -> None:
    for side in SIDES:
        given = number(call(answer, side), "The number of places")
        what = f"{given:g} for a picture of {side}: "
        before = {
            f"{what}that is the map of block 5. The 7 x 7 convolution on it loses 6.": side // 32,
            f"{what}a window of 7 fits into n places n - 7 + 1 times; the 1 is missing.": side // 32 - 7,
            f"{what}pools leave no half places; round down.": side / 32 - 6,
            f"{what}that counts crops side by side; the windows start every 32 pixels.": side // 224,
            f"{what}VGG-16 has five pools, and each halves: the stride is 32, not 16.": (side - 224) // 16
            + 1,
            f"{what}that is where the last window starts, in pixels.": side - 224,
            f"{what}that counts all windows; asked for is how many lie along one side.": places(side) ** 2,
            f"{what}pools round down, so count only windows that fit as a whole.": -(-(side - 224) // 32) + 1,
        }
        right = places(side)
        named = {text: value for text, value in before.items() if value != right}
        match(given, right, named, f"{what}it should be {right}.")


PLACES = Exercise(
    id="05.3",
    title="how many answers along one side?",
    name="places",
    hint="Five pools halve the side. Then a window of 7 slides over what is left.",
    after="224 gives 1, 384 gives 6: thirty-six answers from one pass.",
    check=check_places,
    solution=places,
    wrong=lambda: {
        "map of block 5": lambda side: side // 32,
        "the 1 is missing": lambda side: (side - 224) // 32,
        "no half places": lambda side: side / 32 - 6,
        "crops side by side": lambda side: side // 224,
        "not 16": lambda side: (side - 224) // 16 + 1,
        "in pixels": lambda side: side - 224,
        "counts all windows": lambda side: places(side) ** 2,
        "fit as a whole": lambda side: -(-(side - 224) // 32) + 1,
        "it should be": lambda side: 7,
        "without parentheses": 6,
    },
    right=lambda: [lambda side: side // 32 - 6, lambda side: len(range(0, side - 224 + 1, 32))],
)

# --- 05.4 ----------------------------------------------------------------------------------------------


def stitch(a, b, c, d):
    out = np.empty((2 * a.shape[0], 2 * a.shape[1]))
    out[0::2, 0::2], out[0::2, 1::2] = a, b
    out[1::2, 0::2], out[1::2, 1::2] = c, d
    return out


def check_stitch(answer: Any) -> None:
    rng = np.random.default_rng(0)
    a, b, c, d = (rng.normal(size=(3, 2)) for _ in range(4))
    given = array(call(answer, a, b, c, d), None, "The map")
    small = given.shape == (3, 2)
    expect(not small, "The map is as small as one of the four; its places must lie between theirs.")
    expect(given.shape == (6, 4), f"The map has shape {given.shape}; four maps of 3 x 2 make one of 6 x 4.")
    mistakes = {
        "The four maps stand side by side. Neighbours in the result come from different passes.": np.block(
            [[a, b], [c, d]]
        ),
        "b and c are swapped: b saw the picture shifted to the right, so it fills columns between columns.": (
            stitch(a, c, b, d)
        ),
        "The shifted passes come after the others: a belongs to the even rows and columns.": stitch(
            d, c, b, a
        ),
        "a is written four times; each place has its own pass.": stitch(a, a, a, a),
        "b and d only are exchanged: d is shifted both ways.": stitch(a, d, c, b),
        "Rows are interleaved, columns stand side by side.": np.stack(
            [np.hstack([a, b]), np.hstack([c, d])], axis=1
        ).reshape(6, 4),
        "Columns are interleaved, rows stand one below the other.": np.vstack(
            [np.stack([a, b], axis=2).reshape(3, 4), np.stack([c, d], axis=2).reshape(3, 4)]
        ),
    }
    match(given, stitch(a, b, c, d), mistakes, "The shape is right, but some values lie elsewhere.")


STITCH = Exercise(
    id="05.4",
    title="stitch four passes",
    name="stitch",
    hint="`out[0::2, 1::2]` are the even rows and odd columns of `out`.",
    after="Four passes, twice the resolution, and no crop was computed twice.",
    check=check_stitch,
    solution=stitch,
    wrong=lambda: {
        "side by side. Neighbours": lambda a, b, c, d: np.block([[a, b], [c, d]]),
        "b and c are swapped": lambda a, b, c, d: stitch(a, c, b, d),
        "come after the others": lambda a, b, c, d: stitch(d, c, b, a),
        "written four times": lambda a, b, c, d: np.repeat(np.repeat(a, 2, 0), 2, 1),
        "b and d only": lambda a, b, c, d: stitch(a, d, c, b),
        "Rows are interleaved": lambda a, b, c, d: np.stack(
            [np.hstack([a, b]), np.hstack([c, d])], axis=1
        ).reshape(6, 4),
        "Columns are interleaved": lambda a, b, c, d: np.vstack(
            [np.stack([a, b], axis=2).reshape(3, 4), np.stack([c, d], axis=2).reshape(3, 4)]
        ),
        "as small as one of the four": lambda a, b, c, d: (a + b + c + d) / 4,
        "has shape (4, 3, 2)": lambda a, b, c, d: np.stack([a, b, c, d]),
        "lie elsewhere": lambda a, b, c, d: stitch(a, b, d, c),
    },
    right=lambda: [
        lambda a, b, c, d: (
            np.array([[a, b], [c, d]]).transpose(2, 0, 3, 1).reshape(2 * a.shape[0], 2 * a.shape[1])
        ),
        lambda a, b, c, d: (
            np.kron(a, [[1, 0], [0, 0]])
            + np.kron(b, [[0, 1], [0, 0]])
            + np.kron(c, [[0, 0], [1, 0]])
            + np.kron(d, [[0, 0], [0, 1]])
        ),
    ],
)

# --- 05.5 ----------------------------------------------------------------------------------------------


def tent(stride):
    places = np.arange(2 * stride) + 0.5
    return 1 - abs(places / stride - 1)


def check_tent(answer: Any) -> None:
    for stride in (2, 4, 8):
        given = array(call(answer, stride), None, "The tent")
        right, n = tent(stride), 2 * stride
        expect(
            given.shape != (n - 1,),
            f"{n - 1} weights fit where pixels lie on the values. Here each lies between two: {n}.",
        )
        expect(
            given.shape != (n, n),
            "That is the kernel in two dimensions; a row of it, the tent, is asked for.",
        )
        expect(given.shape == (n,), f"The tent for stride {stride} has shape {given.shape}, not ({n},).")
        peaked = 1 - np.abs(np.arange(n) / stride - 1)
        mistakes = {
            "Every weight is the same: that repeats values, it doesn't blend them.": np.ones(n),
            "Divided by the sum. Each place gets two weights, and those must add up to 1.": right
            / right.sum(),
            "That tent has its top on a pixel and is not symmetric; take the middles (+ 0.5).": peaked,
            "Upside down: the nearest value counts most.": 1 - right,
            "A tent with feet at the outermost pixels; they lie half a pixel from the ends.": 1
            - np.abs(np.linspace(-1, 1, n)),
            "Half a tent only: it must fall again.": (np.arange(n) + 0.5) / n,
            "The top is 1, but no pixel lies on the top of the tent.": right / right.max(),
            "That is the square of the tent: the kernel's diagonal. A row is asked for.": right**2,
        }
        text = f"For stride {stride} your tent begins {given[0]:.3g}, {given[1]:.3g}; "
        match(given, right, mistakes, f"{text}it should begin {right[0]:.3g}, {right[1]:.3g}.")


TENT = Exercise(
    id="05.5",
    title="the bilinear tent",
    name="tent",
    hint="Pixel k has its middle at k + 0.5. The tent is 1 at `stride`, the middle, and 0 at both ends.",
    after="Outer product of two tents: the kernel with which every FCN begins.",
    check=check_tent,
    solution=tent,
    wrong=lambda: {
        "weights fit where": lambda stride: 1 - abs(np.arange(1 - stride, stride) / stride),
        "in two dimensions": lambda stride: np.outer(tent(stride), tent(stride)),
        "doesn't blend": lambda stride: np.ones(2 * stride),
        "Divided by the sum": lambda stride: tent(stride) / tent(stride).sum(),
        "top on a pixel": lambda stride: 1 - abs(np.arange(2 * stride) / stride - 1),
        "Upside down": lambda stride: 1 - tent(stride),
        "feet at the outermost": lambda stride: 1 - abs(np.linspace(-1, 1, 2 * stride)),
        "Half a tent": lambda stride: (np.arange(2 * stride) + 0.5) / (2 * stride),
        "The top is 1": lambda stride: tent(stride) / tent(stride).max(),
        "square of the tent": lambda stride: tent(stride) ** 2,
        "has shape (2,)": lambda stride: np.array([0.25, 0.75]),
        "it should begin": lambda stride: tent(stride) + 1,
    },
    right=lambda: [
        lambda stride: (
            np.minimum(np.arange(2 * stride) + 0.5, 2 * stride - np.arange(2 * stride) - 0.5) / stride
        ),
        lambda stride: np.concatenate([np.arange(0.5, stride), np.arange(0.5, stride)[::-1]]) / stride,
    ],
)

# --- 05.6 ----------------------------------------------------------------------------------------------


def mean_iu(confusion):
    right = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    return (right[union > 0] / union[union > 0]).mean()


def check_mean_iu(answer: Any) -> None:
    cases = {
        "three classes": np.array([[50.0, 3, 2], [6, 20, 4], [1, 5, 9]]),
        "a class that never occurs": np.array([[50.0, 3, 0], [6, 20, 0], [0, 0, 0]]),
        "a class that was only imagined": np.array([[50.0, 3, 4], [6, 20, 1], [0, 0, 0]]),
    }
    for name, matrix in cases.items():
        result = call(answer, matrix)
        expect(
            np.ndim(result) != 1,
            "Those are the classes one by one. Their mean is asked for, one number.",
        )
        lost = np.size(result) == 1 and np.asarray(result).dtype.kind == "f" and np.isnan(result)
        expect(not lost, f"nan for {name}: 0 / 0 has got in. Leave out classes that occur nowhere.")
        given = number(result, "The mean IU")
        right, truth, answered = np.diag(matrix), matrix.sum(1), matrix.sum(0)
        union, there = truth + answered - right, truth > 0
        with np.errstate(all="ignore"):
            mistakes = {
                "the share of right pixels (pixel accuracy). A large class hides the small ones in it.": (
                    right.sum() / matrix.sum()
                ),
                "the mean of the recalls (mean accuracy). The union also holds what was wrongly said.": (
                    np.nanmean(right / truth)
                ),
                "the mean of the precisions. The union also holds what was missed.": np.nanmean(
                    right / answered
                ),
                "the intersection is in your union twice; subtract it once.": np.nanmean(
                    right / (truth + answered)
                ),
                "F1, twice the intersection over the sum: a relative of the IU, but larger.": np.nanmean(
                    2 * right / (truth + answered)
                ),
                "weighted by how frequent the classes are; here each counts the same.": (
                    np.nansum(truth * right / union) / truth.sum()
                ),
                "the class that occurs nowhere counts as 0. It is neither right nor wrong: leave it out.": (
                    np.nan_to_num(right / union).mean()
                ),
                "the absent class counts as 1: a reward for nothing. Leave it out.": np.nan_to_num(
                    right / union, nan=1
                ).mean(),
                "one IU of all classes together; take each class's first, then the mean.": right.sum()
                / union.sum(),
                "the imagined class is left out. Its pixels were said wrongly: it counts, with 0.": (
                    (right / union)[there].mean()
                ),
            }
        wanted = mean_iu(matrix)
        case = f"{given:.4f} for {name}: "
        named = {case + text: v for text, v in mistakes.items() if not np.isclose(v, wanted)}
        match(given, wanted, named, f"{case}it should be {wanted:.4f}.", 1e-6)


def _mean(of: Any) -> Any:
    """A variant from a function of (right, truth, answered), the mean of whose numbers is taken."""

    def variant(confusion: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            return float(np.nanmean(of(np.diag(confusion), confusion.sum(1), confusion.sum(0))))

    return variant


MEAN_IU = Exercise(
    id="05.6",
    title="the mean IU",
    name="mean_iu",
    hint="The diagonal is the intersection. Row sum + column sum counts it twice. Mind a union of 0.",
    after="One wrong pixel costs two classes: the one that lost it, and the one that was given it.",
    check=check_mean_iu,
    solution=mean_iu,
    wrong=lambda: {
        "pixel accuracy": lambda c: np.trace(c) / c.sum(),
        "mean of the recalls": _mean(lambda right, truth, answered: right / truth),
        "mean of the precisions": _mean(lambda right, truth, answered: right / answered),
        "union twice": _mean(lambda right, truth, answered: right / (truth + answered)),
        "F1": _mean(lambda right, truth, answered: 2 * right / (truth + answered)),
        "weighted by how frequent": lambda c: (
            np.nansum(c.sum(1) * np.diag(c) / (c.sum(0) + c.sum(1) - np.diag(c))) / c.sum()
        ),
        "counts as 0": lambda c: (np.diag(c) / np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1)).mean(),
        "a reward for nothing": lambda c: np.where(
            c.sum(0) + c.sum(1) > 0, np.diag(c) / np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1), 1
        ).mean(),
        "all classes together": lambda c: np.trace(c) / (2 * c.sum() - np.trace(c)),
        "left out. Its pixels": lambda c: (
            mean_iu(c)
            if (c.sum(1) > 0).all()
            else (np.diag(c) / np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1))[c.sum(1) > 0].mean()
        ),
        "0 / 0 has got in": lambda c: float(
            np.mean(
                [c[i, i] / (c[i].sum() + c[:, i].sum() - c[i, i]) if c[i].sum() else np.nan for i in range(3)]
            )
        ),
        "one by one": lambda c: np.diag(c) / np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1),
        "it should be": lambda c: 0.5,
    },
    right=lambda: [
        lambda c: float(
            np.mean(
                [
                    c[i, i] / (c[i].sum() + c[:, i].sum() - c[i, i])
                    for i in range(len(c))
                    if c[i].sum() + c[:, i].sum() > 0
                ]
            )
        ),
        _mean(lambda right, truth, answered: right / (truth + answered - right)),
    ],
)

EXERCISES = (MEGABYTES, AS_CONVOLUTION, PLACES, STITCH, TENT, MEAN_IU)
