"""Exercises of notebook 07, neural style: Gram matrices, the losses, total variation, colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, judge

Array = np.ndarray

# --- 07.1 ----------------------------------------------------------------------------------------------


def content_loss(own, target):
    return 0.5 * ((own - target) ** 2).sum()


def two_stacks(random: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    yield np.array([[[3.0, 0.0], [1.0, 2.0]]]), np.array([[[1.0, 1.0], [4.0, 2.0]]])
    for shape in [(3, 4, 5), (6, 2, 3), (1, 7, 2), (5, 3, 8)]:
        yield random.normal(1, 2, shape), random.normal(0.2, 1, shape)


CONTENT_LOSS = Exercise(
    id="07.1",
    title="the content loss",
    name="content_loss",
    hint="Subtract, square, sum over everything, halve (equation 1 of the paper).",
    after="Its gradient is F - P wherever a map is active: the pull back towards the photograph.",
    solution=content_loss,
    inputs=two_stacks,
    mistakes={
        "The sum of squares is right; the paper takes half of it, and the gradient becomes plain F - P.": (
            lambda own, target: ((own - target) ** 2).sum()
        ),
        "That is a mean. The paper sums, so a larger picture has a larger loss.": (
            lambda own, target: ((own - target) ** 2).mean()
        ),
        "Half of a mean. The paper sums, so a larger picture has a larger loss.": (
            lambda own, target: ((own - target) ** 2).mean() / 2
        ),
        "Those are absolute differences: large ones should count more than that. Square them.": (
            lambda own, target: np.abs(own - target).sum()
        ),
        "Half of the absolute differences: square them instead.": (
            lambda own, target: np.abs(own - target).sum() / 2
        ),
        "Differences of both signs cancel here: square each before you sum.": (
            lambda own, target: (own - target).sum() / 2
        ),
        "You sum first and square then: differences of both signs have cancelled.": (
            lambda own, target: (own - target).sum() ** 2 / 2
        ),
        "That is the length of the difference: leave out the square root, and take half.": (
            lambda own, target: np.linalg.norm(own - target)
        ),
        "Half of the length: leave out the square root.": (
            lambda own, target: np.linalg.norm(own - target) / 2
        ),
        "Each is squared by itself; square the *difference*.": (
            lambda own, target: 0.5 * ((own**2).sum() - (target**2).sum())
        ),
        "The target plays no part in it yet: subtract it first.": lambda own, target: 0.5 * (own**2).sum(),
        "One number is asked for: sum over height, width and maps.": (
            lambda own, target: 0.5 * (own - target) ** 2
        ),
        "You have one number for each map: sum over the maps, too.": (
            lambda own, target: 0.5 * ((own - target) ** 2).sum(axis=(0, 1))
        ),
    },
    right=[
        lambda own, target: np.linalg.norm(own - target) ** 2 / 2,
        lambda own, target: np.vdot(own - target, own - target) / 2,
        lambda own, target: 0.5 * np.square((own - target).astype(np.float32)).sum(),
        lambda own, target: sum(float(each) ** 2 for each in (own - target).ravel()) / 2,
    ],
)

# --- 07.2 ----------------------------------------------------------------------------------------------

ENTRIES = Exercise(
    id="07.2",
    title="how many numbers are a style",
    name="entries",
    hint="Count pairs of maps, each pair once, and each map with itself. For 3 maps there are 6.",
    after="64 * 65 / 2. And none of them knows where anything was, or how large the picture is.",
    solution="entries = 64 * (64 + 1) // 2",
    mistakes={
        "4096 is the whole matrix. Entry (3, 5) and entry (5, 3) are the same number: count it once.": 4096,
        "2016 are the pairs of two different maps. A map also goes with itself: the diagonal.": 2016,
        "2048 is half of 4096, but the diagonal has no twin on the other side: half of it was lost.": 2048,
        "64 is the diagonal alone. What about map 3 with map 5?": 64,
        "128 is the number of maps twice. Draw it for 3 maps: 3 on the diagonal, 3 above it, 6 in all.": 128,
        "50,176 is the number of places. The Gram matrix adds them up and forgets them.": 224 * 224,
        "That is the number of values in the maps themselves; none of the places are left.": 64 * 224 * 224,
        "4160 is 64 times 65: each pair of maps is in it twice.": 4160,
        "4032 is 64 times 63: it counts each pair twice, and no map with itself.": 4032,
    },
    right=[2080, 2080.0, sum(range(65)), np.int64(2080)],
)

# --- 07.3 ----------------------------------------------------------------------------------------------


def gram(maps):
    places = maps.reshape(-1, maps.shape[-1])
    return places.T @ places


def stacks(random: np.random.Generator) -> Iterator[tuple[Array]]:
    yield (np.array([[[1.0, 2.0, 0.0], [3.0, -1.0, 1.0]]]),)
    for shape in [(4, 5, 3), (2, 6, 4), (7, 3, 2), (1, 9, 5)]:
        yield (random.normal(0.4, 1, shape),)


def _flat(maps: Array) -> Array:
    return maps.reshape(-1, maps.shape[-1])


def _gram_by_loops(maps: Array) -> Any:
    count = maps.shape[-1]
    return [[(maps[..., i] * maps[..., j]).sum() for j in range(count)] for i in range(count)]


def _mixed(maps: Array) -> Array:
    mixed = maps.reshape(maps.shape[-1], -1)
    return mixed @ mixed.T


def _lengths(maps: Array) -> Array:
    length = np.sqrt((_flat(maps) ** 2).sum(0))
    return gram(maps) / np.outer(length, length)


GRAM = Exercise(
    id="07.3",
    title="the Gram matrix",
    name="gram",
    hint="Reshape to one row for each place and one column for each map. Then one matrix product.",
    after="One reshape, one product. The reshape is where the places are forgotten.",
    solution=gram,
    inputs=stacks,
    mistakes={
        "That is every place with every place. Turn the product around: every map with every map.": (
            lambda maps: _flat(maps) @ _flat(maps).T
        ),
        "Each map with itself only. The others tell what goes together.": lambda maps: (maps**2).sum((0, 1)),
        "Only one axis of places is summed; both have to go. Reshape first.": (
            lambda maps: np.tensordot(maps, maps, axes=(0, 0))
        ),
        "Divided by the number of places: a useful version, but here the plain sum is asked for.": (
            lambda maps: gram(maps) / (maps.shape[0] * maps.shape[1])
        ),
        "Divided by the number of all values: here the plain sum is asked for.": (
            lambda maps: gram(maps) / maps.size
        ),
        "The means are subtracted: that is a covariance. Gram matrices keep them.": (
            lambda maps: gram(maps - maps.mean((0, 1)))
        ),
        "That is NumPy's covariance, centred and divided. Gram matrices are neither.": (
            lambda maps: np.cov(_flat(maps).T)
        ),
        "That is a correlation: means and strengths are gone. Gram matrices keep both.": (
            lambda maps: np.corrcoef(_flat(maps).T)
        ),
        "Each map is brought to length 1, so how strong it is gets lost.": _lengths,
        "`reshape(channels, -1)` mixes the maps: the last axis holds them. Reshape to (places, channels).": (
            _mixed
        ),
        "Only the diagonal is filled: what goes together stands beside it.": (
            lambda maps: np.diag((maps**2).sum((0, 1)))
        ),
        "You sum each map first and multiply then: which places they share is lost.": (
            lambda maps: np.outer(maps.sum((0, 1)), maps.sum((0, 1)))
        ),
    },
    right=[
        _gram_by_loops,
        lambda maps: np.einsum("hwi,hwj->ij", maps, maps),
        lambda maps: np.tensordot(maps, maps, axes=((0, 1), (0, 1))),
        lambda maps: gram(maps.astype(np.float32)),
    ],
)

# --- 07.4 ----------------------------------------------------------------------------------------------


def style_loss(own, target, places):
    count = len(own)
    return ((own - target) ** 2).sum() / (4 * count**2 * places**2)


def two_grams(random: np.random.Generator) -> Iterator[tuple[Array, Array, int]]:
    yield np.array([[4.0, 2.0], [2.0, 8.0]]), np.array([[2.0, 1.0], [1.0, 4.0]]), 3
    for count, places in ((3, 50), (8, 12), (5, 7)):
        maps = random.normal(0.5, 1, (2, places, count))
        yield maps[0].T @ maps[0], maps[1].T @ maps[1], places


STYLE_LOSS = Exercise(
    id="07.4",
    title="the style loss of one layer",
    name="style_loss",
    hint="Sum the squared differences of the entries, then divide by 4 N^2 M^2. N is len(own).",
    after="Dividing by M^2 makes small and large pictures comparable. What happens without it, the first "
    "broken program at the end of the notebook shows.",
    solution=style_loss,
    inputs=two_grams,
    mistakes={
        "The sum of squares is right; it still has to be divided by 4 N^2 M^2.": (
            lambda own, target, places: ((own - target) ** 2).sum()
        ),
        "The 4 is missing below.": lambda own, target, places: 4 * style_loss(own, target, places),
        "N and M are squared below: the matrix has N^2 entries, each a sum over M places, squared.": (
            lambda own, target, places: ((own - target) ** 2).sum() / (4 * len(own) * places)
        ),
        "N, the number of maps, is squared below.": (
            lambda own, target, places: len(own) * style_loss(own, target, places)
        ),
        "M, the number of places, is squared below: the difference is, too.": (
            lambda own, target, places: places * style_loss(own, target, places)
        ),
        "M, the number of places, is missing below.": (
            lambda own, target, places: places**2 * style_loss(own, target, places)
        ),
        "4 N^2 M^2 belongs below the line: divide. Watch the brackets: `/ (4 * …)`.": (
            lambda own, target, places: ((own - target) ** 2).sum() / 4 * len(own) ** 2 * places**2
        ),
        "4 N^2 M^2 belongs below the line: divide by it.": (
            lambda own, target, places: ((own - target) ** 2).sum() * 4 * len(own) ** 2 * places**2
        ),
        "That is the mean square: right up to the 4 and the M^2.": (
            lambda own, target, places: ((own - target) ** 2).mean()
        ),
        "N is the number of maps, not of entries of the matrix: len(own).": (
            lambda own, target, places: ((own - target) ** 2).sum() / (4 * own.size**2 * places**2)
        ),
        "Those are absolute differences: square them before you sum.": (
            lambda own, target, places: np.abs(own - target).sum() / (4 * len(own) ** 2 * places**2)
        ),
        "You sum first and square then: differences of both signs have cancelled.": (
            lambda own, target, places: (own - target).sum() ** 2 / (4 * len(own) ** 2 * places**2)
        ),
    },
    right=[
        lambda own, target, places: ((own / places - target / places) ** 2).mean() / 4,
        lambda own, target, places: (np.linalg.norm(own - target) / (2 * len(own) * places)) ** 2,
        lambda own, target, places: float(style_loss(np.float32(own), np.float32(target), places)),
    ],
)

# --- 07.5 ----------------------------------------------------------------------------------------------


def variation(image):
    down = image[1:] - image[:-1]
    across = image[:, 1:] - image[:, :-1]
    return (down**2).sum() + (across**2).sum()


def small_pictures(random: np.random.Generator) -> Iterator[tuple[Array]]:
    yield (np.array([[[1.0, 1, 1], [2, 3, 1], [2, 3, 5]], [[1, 1, 1], [0, 3, 1], [4, 0, 1]]]),)
    for shape in [(4, 6, 3), (7, 3, 3), (2, 5, 3)]:
        yield (random.uniform(0, 255, shape),)
    yield (random.uniform(0, 255, (1, 4, 3)),)  # one row: there is nothing below


def _steps(image: Array, *axes: int) -> list[Array]:
    return [np.diff(image, axis=axis) for axis in axes]


def _diagonal(image: Array) -> Any:
    down, across = image[1:, :-1] - image[:-1, :-1], image[:-1, 1:] - image[:-1, :-1]
    return (down**2).sum() + (across**2).sum()


def _pairs(image: Array) -> float:
    height, width = image.shape[:2]
    return sum(
        float(((image[i, j] - image[k, m]) ** 2).sum())
        for i in range(height)
        for j in range(width)
        for k, m in ((i + 1, j), (i, j + 1))
        if k < height and m < width
    )


VARIATION = Exercise(
    id="07.5",
    title="total variation",
    name="variation",
    hint="`image[1:] - image[:-1]` are all steps down at once. Do the same across; square and sum both.",
    after="A smooth picture has little of it, noise a great deal: a small weight on it calms a result.",
    solution=variation,
    inputs=small_pictures,
    mistakes={
        "Neighbours below each other are counted, those beside each other aren't yet.": (
            lambda image: (np.diff(image, axis=0) ** 2).sum()
        ),
        "Neighbours beside each other are counted, those below each other aren't yet.": (
            lambda image: (np.diff(image, axis=1) ** 2).sum()
        ),
        "The differences are summed without a square: steps up and down cancel.": (
            lambda image: sum(each.sum() for each in _steps(image, 0, 1))
        ),
        "Those are absolute differences, a variant in use, too; here they are squared.": (
            lambda image: sum(np.abs(each).sum() for each in _steps(image, 0, 1))
        ),
        "The last axis is red, green, blue: those are no neighbours.": (
            lambda image: sum((each**2).sum() for each in _steps(image, 0, 1, 2))
        ),
        "np.roll makes the left edge a neighbour of the right edge, and the top of the bottom.": (
            lambda image: sum(((image - np.roll(image, 1, axis)) ** 2).sum() for axis in (0, 1))
        ),
        "You square the sum; the sum of squares is asked for.": (
            lambda image: sum(each.sum() ** 2 for each in _steps(image, 0, 1))
        ),
        "Every pair is counted twice.": lambda image: 2 * variation(image),
        "Half of it is there: the sum as such is asked for.": lambda image: variation(image) / 2,
        "The last row and column lose their neighbours: slice each direction by itself.": _diagonal,
        "A mean instead of a sum: a larger picture would count no more than a small one.": (
            lambda image: variation(image) / image.size
        ),
        "That is the variance of all values: far from their mean, not from their neighbours.": (
            lambda image: image.var()
        ),
        "Take the squares without the root.": lambda image: np.sqrt(variation(image)),
    },
    right=[
        lambda image: sum((np.diff(image, axis=axis) ** 2).sum() for axis in (0, 1)),
        _pairs,
        lambda image: variation(image.astype(np.float32)),
    ],
)

# --- 07.6 ----------------------------------------------------------------------------------------------


def recolour(image, like):
    own, other = image.reshape(-1, 3), like.reshape(-1, 3)
    centred = (image - own.mean(axis=0)) / own.std(axis=0)
    return centred * other.std(axis=0) + other.mean(axis=0)


def pictures_to_recolour(random: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Large enough that n or n - 1 below the deviation makes no difference; some results leave 0..255."""
    for shape, other in [((40, 50, 3), (45, 52, 3)), ((60, 36, 3), (33, 71, 3)), ((38, 55, 3), (64, 37, 3))]:
        image = random.normal(random.uniform(70, 180, 3), random.uniform(8, 30, 3), shape)
        like = random.normal(random.permutation([60.0, 130, 235]), random.uniform(35, 60, 3), other)
        yield np.clip(image, 0, 255), np.clip(like, 0, 255)


def _deviations(image: Array, like: Array) -> tuple[Array, Array, Array, Array]:
    return image.mean((0, 1)), image.std((0, 1)), like.mean((0, 1)), like.std((0, 1))


def _put(formula: Any) -> Any:
    """A mistaken answer from (image, own mean, own deviation, other mean, other deviation)."""
    return lambda image, like: formula(image, *_deviations(image, like))


def _per_channel(image: Array, like: Array) -> Array:
    pairs = zip(np.moveaxis(image, -1, 0), np.moveaxis(like, -1, 0), strict=True)
    return np.stack([(c - c.mean()) / c.std() * d.std() + d.mean() for c, d in pairs], axis=-1)


def _sample_deviation(image: Array, like: Array) -> Array:
    ratio = like.std((0, 1), ddof=1) / image.std((0, 1), ddof=1)
    return (image - image.mean((0, 1))) * ratio + like.mean((0, 1))


RECOLOUR = Exercise(
    id="07.6",
    title="another picture's colours",
    name="recolour",
    hint="`image.mean(axis=(0, 1))` gives one mean for each channel, and `.std` one deviation.",
    after="`style.match_colours` goes one step further: channels that vary together keep doing so.",
    solution=recolour,
    inputs=pictures_to_recolour,
    within=5e-4,
    mistakes={
        "The picture came back as it was.": lambda image, like: image,
        "The means fit now; how far the colours spread does not yet.": _put(lambda x, m, s, n, t: x - m + n),
        "The spread fits, the means don't: take your own mean off first, add the other's last.": _put(
            lambda x, m, s, n, t: x * t / s
        ),
        "Own mean off, spread changed, and the other's mean forgotten.": _put(
            lambda x, m, s, n, t: (x - m) * t / s
        ),
        "The ratio is upside down: multiply by the other's deviation, divide by your own.": _put(
            lambda x, m, s, n, t: (x - m) * s / t + n
        ),
        "One mean and one deviation for everything. Each channel has its own: `image.mean(axis=(0, 1))`.": (
            lambda image, like: (image - image.mean()) * like.std() / image.std() + like.mean()
        ),
        "Variances where deviations belong: take the square root, or use .std.": _put(
            lambda x, m, s, n, t: (x - m) * t**2 / s**2 + n
        ),
        "Your own mean was put back, not the other's.": _put(lambda x, m, s, n, t: (x - m) * t / s + m),
        "Don't clip: values below 0 and above 255 may stay, or mean and deviation no longer fit.": _put(
            lambda x, m, s, n, t: np.clip((x - m) * t / s + n, 0, 255)
        ),
        "Don't round or turn into whole numbers: what lies beyond 0 to 255 wraps around.": _put(
            lambda x, m, s, n, t: ((x - m) * t / s + n).astype(np.int64).astype(np.uint8)
        ),
        "You multiply by the other's deviation, but never divide by your own.": _put(
            lambda x, m, s, n, t: (x - m) * t + n
        ),
        "You divide by your own deviation, but never multiply by the other's.": _put(
            lambda x, m, s, n, t: (x - m) / s + n
        ),
        "The two pictures have changed places: `image` is to be recoloured.": (
            lambda image, like: recolour(like, image)
        ),
        "The channels of the other picture are taken in the wrong order.": (
            lambda image, like: recolour(image, like[..., ::-1])
        ),
    },
    right=[
        lambda image, like: (
            (image - image.mean((0, 1))) / image.std((0, 1)) * like.std((0, 1)) + like.mean((0, 1))
        ),
        _per_channel,
        _sample_deviation,
        lambda image, like: recolour(image.astype(np.float32), like.astype(np.float32)),
    ],
)

# --- 07.7 ----------------------------------------------------------------------------------------------


def region_gram(maps, mask):
    inside = maps * mask[..., None]
    return np.tensordot(inside, maps, axes=((0, 1), (0, 1))) / mask.sum()


def regions(random: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    yield np.array([[[1.0, 2.0], [3.0, 1.0], [5.0, 5.0]]]), np.array([[1.0, 0.5, 0.0]])
    for height, width, count in [(4, 6, 3), (7, 3, 2), (5, 5, 4)]:
        mask = random.uniform(0, 1, (height, width))
        mask[:, width - 2 :] = 0
        yield random.normal(0.4, 1, (height, width, count)), mask
    yield random.normal(0.4, 1, (3, 6, 2)), random.uniform(0, 1, (3, 6)) > 0.4  # yes or no


REGION_GRAM = Exercise(
    id="07.7",
    title="the Gram matrix of a region",
    name="region_gram",
    hint="`maps * mask[..., None]` fades one factor out where the mask is 0; the other factor stays whole.",
    after="With it the loss can ask for one style here and another there; the network need not know. "
    "(Gatys et al. 2017 multiply both factors by the mask and choose its scale to fit; where it is 0 or 1 "
    "the two are the same.)",
    solution=region_gram,
    inputs=regions,
    mistakes={
        "The mask plays no part in it: that is the mean over the whole picture.": (
            lambda maps, mask: gram(maps) / mask.size
        ),
        "The mask plays no part in it, and nothing is divided.": lambda maps, mask: gram(maps),
        "The mask counts below only: multiply one factor by it, too.": (
            lambda maps, mask: gram(maps) / mask.sum()
        ),
        "The sum is right; divide by how many places the mask holds, `mask.sum()`.": (
            lambda maps, mask: region_gram(maps, mask) * mask.sum()
        ),
        "Divided by all places: a small region would weigh next to nothing. Take `mask.sum()`.": (
            lambda maps, mask: region_gram(maps, mask) * mask.mean()
        ),
        "Divided by the number of places that the mask touches: half a place counts half.": (
            lambda maps, mask: region_gram(maps, mask) * mask.sum() / np.count_nonzero(mask)
        ),
        "Both factors are multiplied by the mask, as in Gatys et al. (2017). Here a place counts as much as "
        "the mask says: at 0.5 a half, not a quarter. One factor is enough.": (
            lambda maps, mask: gram(maps * mask[..., None]) / mask.sum()
        ),
        "Both factors are multiplied by the mask, and its squares stand below, as in Gatys et al. (2017). "
        "Here a place counts as much as the mask says: at 0.5 a half, not a quarter.": (
            lambda maps, mask: gram(maps * mask[..., None]) / (mask * mask).sum()
        ),
        "Outside and inside are exchanged.": lambda maps, mask: region_gram(maps, 1 - mask),
        "The mask is cut at a half: a place counts as much as the mask says, also 0.3.": (
            lambda maps, mask: region_gram(maps, mask > 0.5)
        ),
        "Those are the maps inside; their products, summed over the places, are asked for.": (
            lambda maps, mask: maps * mask[..., None]
        ),
        "Each map with itself only. The others tell what goes together.": (
            lambda maps, mask: (maps**2 * mask[..., None]).sum((0, 1)) / mask.sum()
        ),
    },
    right=[
        lambda maps, mask: gram(maps * np.sqrt(mask)[..., None]) / mask.sum(),
        lambda maps, mask: np.einsum("hwi,hwj,hw->ij", maps, maps, mask) / mask.sum(),
        lambda maps, mask: region_gram(np.float32(maps), np.float32(mask)),
    ],
)

# --- the whole algorithm from the learner's own functions ------------------------------------------------


def yours_or_ours(*answers: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The learner's `content_loss`, `gram` and `style_loss`, each if its check finds it right, else ours."""
    chosen, said = [], []
    for exercise, yours in zip((CONTENT_LOSS, GRAM, STYLE_LOSS), answers, strict=True):
        right = judge(exercise.id, yours).state == "right"
        assert callable(exercise.solution)
        chosen.append(yours if right else exercise.solution)
        said.append(f"{exercise.name}: {'yours' if right else 'ours'}")
    print("; ".join(said))
    return chosen


EXERCISES = (CONTENT_LOSS, ENTRIES, GRAM, STYLE_LOSS, VARIATION, RECOLOUR, REGION_GRAM)
