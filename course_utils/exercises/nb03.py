"""Exercises of notebook 03, hypercolumns."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from course_utils import hypercolumns
from course_utils.exercises import frame
from course_utils.exercises.frame import Exercise, Mistake
from course_utils.pictures.resampling import Axis

# --- 03.1 ----------------------------------------------------------------------------------------------

VALUES = Exercise(
    id="03.1",
    title="how long is a hypercolumn?",
    name="values",
    hint="Each of the five layers adds as many values as it has filters: 64 + 128 + …",
    after="1,472 values of four bytes for each of 50,176 pixels: 295 MB for one small photograph.",
    solution="values = 64 + 128 + 256 + 512 + 512",
    mistakes={
        "192 is layers 3 and 8 alone; 15, 22 and 29 come on top.": 192,
        "736 is a network with half the filters. The original has twice as many.": 736,
        "4224 counts all thirteen convolutions; only the last one of each block is asked for.": 4224,
        "77 is the sum of the layers' numbers. Each layer gives as many values as it has filters.": 77,
        "960 leaves one layer with 512 filters out: both 22 and 29 have so many.": 960,
        "1984 doubles once too often: the fifth block has 512 filters, like the fourth.": 1984,
        "512 is the deepest layer alone. A hypercolumn stacks all five.": 512,
        "That is the whole picture; one pixel is asked for.": 1472 * 224 * 224,
        "Five is the number of layers; each of them has many maps.": 5,
    },
    right=[1472, np.float32(1472), np.int64(1472)],
)

# --- 03.2 ----------------------------------------------------------------------------------------------


def similarity(column, a, b):
    x, y = column[a], column[b]
    return x @ y / (np.linalg.norm(x) * np.linalg.norm(y))


def two_pixels(random: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    for height, width, depth, a, b in [
        (5, 6, 7, (0, 4), (3, 1)),
        (7, 5, 3, (4, 3), (2, 0)),
        (5, 5, 9, (1, 2), (1, 2)),
        (6, 8, 4, (5, 1), (0, 4)),
    ]:
        yield np.maximum(random.normal(0.5, 1, (height, width, depth)), 0) + 0.01, a, b
    column = random.normal(size=(4, 6, 5))  # standardized ones have both signs; these two point away
    column[3, 1] = random.normal(0, 0.3, 5) - column[0, 2]
    yield column, (0, 2), (3, 1)


def _pair(rule: Callable[[np.ndarray, np.ndarray], Any]) -> Callable[..., Any]:
    """A variant of `similarity` with another rule for two hypercolumns."""
    return lambda column, a, b: rule(column[a], column[b])


def _cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


SIMILARITY = Exercise(
    id="03.2",
    title="the pixel next door",
    name="similarity",
    hint="`column[a]` is the hypercolumn at pixel a. `x @ y` is a product, `np.linalg.norm(x)` a length.",
    after="More light makes a column longer and leaves its direction; the cosine sees the direction only.",
    solution=similarity,
    inputs=two_pixels,
    mistakes={
        "A cosine with itself is 1. Did you divide by both lengths?": _pair(lambda x, y: x @ y),
        "Divided by one length; the other one is missing.": _pair(lambda x, y: x @ y / np.linalg.norm(x)),
        "That is a distance. Near pixels should get a large value.": _pair(
            lambda x, y: np.linalg.norm(x - y)
        ),
        "A distance with its sign turned grows with the likeness, but it is no cosine.": _pair(
            lambda x, y: -np.linalg.norm(x - y)
        ),
        "Divide by the lengths themselves, not by their squares.": _pair(
            lambda x, y: x @ y / ((x @ x) * (y @ y))
        ),
        "You return 1 minus the cosine, which grows with the angle; return the cosine.": _pair(
            lambda x, y: 1 - _cosine(x, y)
        ),
        "Columns that point away from each other have a cosine below 0: keep its sign.": _pair(
            lambda x, y: abs(_cosine(x, y))
        ),
        "Columns that point away from each other have a cosine below 0: don't cut it off.": _pair(
            lambda x, y: max(_cosine(x, y), 0)
        ),
        "That is the angle itself; return its cosine.": _pair(
            lambda x, y: np.arccos(np.clip(_cosine(x, y), -1, 1))
        ),
        "A correlation. Nothing is subtracted for a cosine.": _pair(lambda x, y: np.corrcoef(x, y)[0, 1]),
        "A product divided by its number of values; divide by the lengths.": _pair(
            lambda x, y: (x * y).mean()
        ),
        "Row and column are swapped: a pixel is (row, column).": lambda column, a, b: _cosine(
            column[a[::-1]], column[b[::-1]]
        ),
        "The product has one value a map; a cosine adds them up.": _pair(
            lambda x, y: x * y / (np.linalg.norm(x) * np.linalg.norm(y))
        ),
    },
    right=[
        lambda column, a, b: (
            np.sum(column[a] * column[b]) / np.sqrt(np.sum(column[a] ** 2) * np.sum(column[b] ** 2))
        ),
        _pair(lambda x, y: float((x / np.linalg.norm(x)) @ (y / np.linalg.norm(y)))),
        lambda column, a, b: np.float32(_cosine(column[a[0], a[1]], column[b[0], b[1]])),
    ],
)

# --- 03.3 ----------------------------------------------------------------------------------------------


def best_iou(labels, mask):
    scores = []
    for cluster in range(labels.max() + 1):
        pixels = labels == cluster
        scores.append((pixels & mask).sum() / (pixels | mask).sum())
    return max(scores)


def clusterings(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    mask = np.zeros((10, 12), bool)
    mask[2:8, 3:9] = True
    two = np.where(random.random(mask.shape) < 0.75, ~mask, mask).astype(int)  # 0 is the object
    yield two, mask
    yield 1 - two, mask
    for count, best in ((3, 2), (4, 1), (5, 0), (5, 4)):  # the object may be the first or the last cluster
        object = np.zeros((9, 14), bool)
        object[1:6, 2 : 8 + count] = True
        others = np.array([j for j in range(count) if j != best])
        labels = others[random.integers(0, count - 1, object.shape)]
        labels[object & (random.random(object.shape) < 0.7)] = best
        labels[7:, :3] = best
        yield labels, object
    split = np.zeros((9, 14), bool)
    split[2:7, 3:11] = True  # 40 pixels, of which no cluster has much more than half
    order, pieces = random.permutation(3), np.where(split, 1, 0)
    pieces[2:7, 3:7] = 2
    yield order[pieces], split  # what is not in the cluster around it would fit best
    pieces = np.zeros(split.shape, int)  # holds most of the mask, and all else
    pieces[2:4, 3:11], pieces[0, :2], pieces[2, 3] = 1, 1, 2  # fits best; lies in it altogether
    yield order[pieces], split


def _over(rule: Any, choose: Any = max) -> Any:
    """A variant of `best_iou` with another measure, or another choice among the clusters."""
    return lambda labels, mask: choose([rule(labels == j, mask) for j in np.unique(labels)])


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


BEST_IOU = Exercise(
    id="03.3",
    title="which pile is the object?",
    name="best_iou",
    hint="For one cluster: `(labels == j) & mask` is in both, `|` in either. Then the largest over all j.",
    after="Choosing with the mask in hand is generous, so it must be done for every method alike.",
    solution=best_iou,
    inputs=clusterings,
    mistakes={
        "That is cluster 1. The names mean nothing: try every cluster, keep the best.": lambda labels, mask: (
            _iou(labels == 1, mask)
        ),
        "That is cluster 0. The names mean nothing: try every cluster, keep the best.": lambda labels, mask: (
            _iou(labels == 0, mask)
        ),
        "The last cluster is never tried: `range(labels.max())` stops one before it.": lambda labels, mask: (
            max(_iou(labels == j, mask) for j in range(labels.max()))
        ),
        "Only clusters 0 and 1 are tried; there may be more.": lambda labels, mask: max(
            _iou(labels == j, mask) for j in (0, 1)
        ),
        "Cluster 0 is never tried; it is a cluster like the others.": lambda labels, mask: max(
            _iou(labels == j, mask) for j in range(1, labels.max() + 1)
        ),
        "The mean over the clusters; keep the best one.": _over(_iou, np.mean),
        "The worst cluster; keep the best.": _over(_iou, min),
        "The largest cluster need not be the object: keep the one that fits best.": lambda labels, mask: _iou(
            labels == np.bincount(labels.ravel()).argmax(), mask
        ),
        "What lies outside a cluster is no cluster: only each one itself is tried.": lambda labels, mask: max(
            max(_iou(labels == j, mask), _iou(labels != j, mask)) for j in np.unique(labels)
        ),
        "The cluster with most of the mask may hold much else as well: compare the IoU of all.": (
            lambda labels, mask: _iou(labels == np.bincount(labels[mask]).argmax(), mask)
        ),
        "The share of pixels that agree; the many background pixels flatter it.": _over(
            lambda a, b: (a == b).mean()
        ),
        "Divided by the mask alone. A cluster of everything would get 1.": _over(
            lambda a, b: (a & b).sum() / b.sum()
        ),
        "Divided by the cluster alone. A single right pixel would get 1.": _over(
            lambda a, b: (a & b).sum() / a.sum()
        ),
        "Twice the common part over the sum of both is Dice's coefficient, larger than IoU.": _over(
            lambda a, b: 2 * (a & b).sum() / (a.sum() + b.sum())
        ),
        "The sum of both counts what they share twice; subtract it once.": _over(
            lambda a, b: (a & b).sum() / (a.sum() + b.sum())
        ),
        "That is the number of the best cluster; how well it fits is asked for.": lambda labels, mask: int(
            np.argmax([_iou(labels == j, mask) for j in range(labels.max() + 1)])
        ),
        "One value for each cluster; keep the best.": lambda labels, mask: [
            _iou(labels == j, mask) for j in range(labels.max() + 1)
        ],
    },
    right=[
        _over(_iou),
        hypercolumns.best_iou,
        lambda labels, mask: max(
            np.sum((labels == j) * mask) / np.sum(((labels == j) + mask) > 0) for j in range(labels.max() + 1)
        ),
    ],
)

# --- 03.4 ----------------------------------------------------------------------------------------------


def nearest_stroke(labels):
    rows, columns = np.nonzero(labels >= 0)
    height, width = labels.shape
    answer = np.empty((height, width), int)
    for row in range(height):
        for column in range(width):
            distances = (rows - row) ** 2 + (columns - column) ** 2
            nearest = distances.argmin()
            answer[row, column] = labels[rows[nearest], columns[nearest]]
    return answer


def dotted(random: np.random.Generator) -> Iterator[tuple[np.ndarray]]:
    """Dots of which no two classes are equally far from any pixel.

    Where row + column is even for one class and odd for another, their squared distances are never the same.
    """
    for height, width, count, classes in ((7, 11, 3, 2), (12, 9, 5, 2), (10, 13, 6, 3)):
        while True:
            labels = np.full((height, width), -1)
            odd = np.indices(labels.shape).sum(axis=0) % 2
            for label in (np.arange(count) + random.integers(classes)) % classes:
                places = np.argwhere((odd == label % 2) & (labels < 0))
                labels[tuple(random.choice(places))] = label
            if _clear(labels):
                yield (labels,)
                break


def _distances(labels: np.ndarray, rule: Callable[..., Any]) -> np.ndarray:
    """(classes, H, W): how far every pixel is from the nearest mark of each class."""
    y, x = np.indices(labels.shape)
    found = []
    for label in range(labels.max() + 1):
        marks = np.argwhere(labels == label)
        found.append(np.min([rule(np.abs(y - row), np.abs(x - column)) for row, column in marks], axis=0))
    return np.array(found)


def _squares(down: np.ndarray, across: np.ndarray) -> np.ndarray:
    return down**2 + across**2


def _clear(labels: np.ndarray) -> bool:
    first, second = np.sort(_distances(labels, _squares), axis=0)[:2]
    return bool((first < second).all())


def _nearest(
    rule: Callable[..., Any] = _squares, choose: Callable[..., Any] = np.argmin
) -> Callable[..., Any]:
    """A variant of `nearest_stroke` with another distance."""
    return lambda labels: choose(_distances(labels, rule), axis=0)


def _to_centres(labels: np.ndarray) -> np.ndarray:
    y, x = np.indices(labels.shape)
    centres = [np.argwhere(labels == j).mean(axis=0) for j in range(labels.max() + 1)]
    return np.argmin([(y - row) ** 2 + (x - column) ** 2 for row, column in centres], axis=0)


NEAREST = Exercise(
    id="03.4",
    title="an answer without looking",
    name="nearest_stroke",
    hint="`rows, columns = np.nonzero(labels >= 0)` are the marked pixels. For a pixel, the squared "
    "distance to each is `(rows - row) ** 2 + (columns - column) ** 2`; `argmin` says which one is nearest.",
    after="It never saw the picture. Whatever scribbles achieve has to be compared with this.",
    solution=nearest_stroke,
    inputs=dotted,
    mistakes={
        "These are the marks themselves; every other pixel is to get a class as well.": lambda labels: labels,
        "Unmarked pixels are -1, and -1 is no class: look for the nearest mark with `labels >= 0`.": (
            lambda labels: np.full(labels.shape, -1)
        ),
        "That is the farthest mark, not the nearest.": lambda labels: _farthest(labels),
        "Rows alone decide in your answer; columns count as much.": _nearest(lambda down, across: down),
        "Columns alone decide in your answer; rows count as much.": _nearest(lambda down, across: across),
        "Steps down plus steps across: as the crow flies is asked for, squares added.": _nearest(
            lambda down, across: down + across
        ),
        "The larger of both steps: as the crow flies is asked for, squares added.": _nearest(np.maximum),
        "Distance to the middle of each class's marks; the nearest single mark is asked for.": _to_centres,
        "Class 0 everywhere: the index of the nearest mark is not its class. Read `labels` there.": (
            lambda labels: np.zeros_like(labels)
        ),
        "That is the distance to the nearest mark; its class is asked for.": lambda labels: np.sqrt(
            _distances(labels, _squares).min(axis=0)
        ),
        "Those are the places of the nearest marks; their classes are `labels` at these places.": (
            lambda labels: distance_transform_edt(labels < 0, return_distances=False, return_indices=True)
        ),
        "That is the squared distance to the nearest mark; its class is asked for.": lambda labels: (
            _distances(labels, _squares).min(axis=0)
        ),
    },
    right=[hypercolumns.nearest_stroke, _nearest(), lambda labels: nearest_stroke(labels).astype(np.float32)],
)


def _farthest(labels: np.ndarray) -> np.ndarray:
    y, x = np.indices(labels.shape)
    marks = np.argwhere(labels >= 0)
    far = np.argmax([(y - row) ** 2 + (x - column) ** 2 for row, column in marks], axis=0)
    return labels[tuple(marks[far].transpose(2, 0, 1))]


# --- 03.5 ----------------------------------------------------------------------------------------------


def products(maps, weights, size):
    total, start = 0, 0
    for stack in maps:
        count = stack.shape[-1]
        total = total + hypercolumns.stretch(stack @ weights[start : start + count], size)
        start += count
    return total


def stacked(random: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    for size, shapes in [
        ((12, 16), [(12, 16, 4), (6, 8, 4), (3, 4, 4)]),
        ((10, 7), [(10, 7, 5), (5, 3, 2)]),
        ((9, 14), [(3, 5, 3), (9, 14, 2), (4, 7, 6), (2, 2, 5)]),
    ]:
        stacks = [random.normal(size=shape).astype(np.float32) for shape in shapes]
        yield stacks, random.normal(size=sum(s[-1] for s in shapes)).astype(np.float32), size


def _products(pick: Callable[[int, list[np.ndarray]], int], factor: float = 1.0) -> Callable[..., Any]:
    """A variant of `products`: `pick(i, maps)` says where the weights of stack i begin."""

    def variant(maps: list[np.ndarray], weights: np.ndarray, size: tuple[int, int]) -> Any:
        found: Any = 0
        for i, stack in enumerate(maps):
            part = weights[pick(i, maps) :][: stack.shape[-1]]
            found = found + hypercolumns.stretch(stack @ part, size)
        return found * (factor or 1 / len(maps))

    return variant


def _before(i: int, maps: list[np.ndarray]) -> int:
    return sum(stack.shape[-1] for stack in maps[:i])


def _behind(i: int, maps: list[np.ndarray]) -> int:
    return sum(stack.shape[-1] for stack in maps[i + 1 :])


def _by_dense(maps: list[np.ndarray], weights: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.concatenate([hypercolumns.stretch(stack, size) for stack in maps], axis=-1) @ weights


def _parts(maps: list[np.ndarray], weights: np.ndarray) -> list[np.ndarray]:
    return np.split(weights, np.cumsum([stack.shape[-1] for stack in maps])[:-1])


def _used_up(maps: list[np.ndarray], weights: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    total: Any = 0
    while maps:
        stack = maps.pop()
        total = total + hypercolumns.stretch(stack @ weights[-stack.shape[-1] :], size)
        weights = weights[: -stack.shape[-1]]
    return total


_NUMBERS = Exercise(
    id="03.5",
    title="project first",
    name="products",
    hint="For each stack: `stack @ its_part_of_the_weights` is one small map. Stretch it, add it up.",
    after="One stretched map for each layer instead of hundreds: the first half of the trick.",
    solution=products,
    inputs=stacked,
    within=1e-3,
    mistakes={
        "Every layer meets the first weights. Each has its own part: move on.": _products(lambda i, maps: 0),
        "Each layer's part begins four weights after the last: move on by the number of maps.": _products(
            lambda i, maps: 4 * i
        ),
        "Only the first layer is in your sum.": lambda maps, weights, size: products(maps[:1], weights, size),
        "Only the last layer is left: add the layers up, don't replace one by the next.": (
            lambda maps, weights, size: products(maps[-1:], weights[_before(len(maps) - 1, maps) :], size)
        ),
        "The weights are dealt out from the end: the first stack takes the first ones.": _products(_behind),
        "Divided by the number of layers: a product is a sum, not a mean.": _products(_before, 0),
        "The sign is turned.": _products(_before, -1),
        "These are stretched stacks, with all their maps: each map's weight goes in before.": (
            lambda maps, weights, size: (
                np.concatenate([hypercolumns.stretch(stack, size) for stack in maps], axis=-1) * weights
            )
        ),
        "Height and width of the size are exchanged.": lambda maps, weights, size: products(
            maps, weights, size[::-1]
        ),
        "One map for each layer; add them up.": lambda maps, weights, size: [
            hypercolumns.stretch(stack @ part, size)
            for stack, part in zip(maps, _parts(maps, weights), strict=True)
        ],
    },
    right=[
        lambda maps, weights, size: sum(
            hypercolumns.stretch(stack @ part, size)
            for stack, part in zip(maps, _parts(maps, weights), strict=True)
        ),
        lambda maps, weights, size: sum(
            Axis(size[0], m.shape[0]).matrix @ (m @ w) @ Axis(size[1], m.shape[1]).matrix.T
            for m, w in zip(maps, _parts(maps, weights), strict=True)
        ),
        _used_up,
    ],
)


def one_at_a_time(answer: Any) -> None:
    """Check `products`: first what comes out, then that no more than one map a layer was stretched."""
    frame.compare_function(_NUMBERS, answer)
    most, plain = [0], hypercolumns.stretch

    def stretch(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        most[0] += np.shape(maps)[2] if np.ndim(maps) == 3 else 1
        return plain(maps, size)

    maps, weights, size = next(stacked(np.random.default_rng()))
    hypercolumns.stretch = stretch
    try:
        frame.call(answer, maps, weights, size)
    finally:
        hypercolumns.stretch = plain
    if most[0] > len(maps):
        raise Mistake(
            f"The numbers are right, but {most[0]} maps are stretched for {len(maps)} layers. Weigh first: "
            "then one map a layer is left to stretch.",
            close=True,
        )


PRODUCTS = dataclasses.replace(
    _NUMBERS,
    check=one_at_a_time,
    mistakes={
        **(_NUMBERS.mistakes or {}),
        "maps are stretched for 3 layers": _by_dense,
    },
)

# --- 03.6 ----------------------------------------------------------------------------------------------


def region_mean(maps, mask, tall, wide):
    shrunk = tall.T @ mask @ wide
    return np.tensordot(shrunk, maps, axes=2) / mask.sum()


def regions(random: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
    for (height, width), (h, w, c) in [((8, 12), (4, 3, 5)), ((9, 7), (3, 7, 2)), ((6, 10), (2, 5, 4))]:
        mask = np.zeros((height, width), bool)
        mask[1 : height - 2, 2 : width // 2 + 1] = True
        mask[0, 0] = mask[height - 1, random.integers(1, width)] = True
        tall, wide = Axis(height, h).matrix.toarray(), Axis(width, w).matrix.toarray()
        yield random.normal(3, 1, (h, w, c)), mask, tall, wide


def _shrunk(mask: np.ndarray, tall: np.ndarray, wide: np.ndarray) -> np.ndarray:
    return tall.T @ mask @ wide


_MEANS = Exercise(
    id="03.6",
    title="the mean of a region",
    name="region_mean",
    hint="`tall.T @ mask @ wide` is the mask on the small grid. Multiply, add up, divide by its pixels.",
    after="This is how k-means moves its centres, and how a standard deviation is found, on small maps only.",
    solution=region_mean,
    inputs=regions,
    mistakes={
        "That is the sum over the region; a mean divides it by the number of pixels in the mask.": (
            lambda m, mask, t, w: np.tensordot(_shrunk(mask, t, w), m, axes=2)
        ),
        "Divide by the pixels inside the mask, not by those of the whole picture.": lambda m, mask, t, w: (
            np.tensordot(_shrunk(mask, t, w), m, axes=2) / mask.size
        ),
        "That is the mean over all places of the maps: the mask has no say in it.": lambda m, mask, t, w: (
            m.mean(axis=(0, 1))
        ),
        "The shrunken mask was rounded to yes or no; its fractions are the weights of the border.": (
            lambda m, mask, t, w: m[_shrunk(mask, t, w) > 0.5 * _shrunk(mask, t, w).max()].mean(axis=0)
        ),
        "That is the mean outside the mask.": lambda m, mask, t, w: region_mean(m, ~mask, t, w),
        "Divide by the pixels of the mask, not by the places of the maps.": lambda m, mask, t, w: (
            np.tensordot(_shrunk(mask, t, w), m, axes=2) / m[..., 0].size
        ),
        "A value at every place. Add them up to one number a map.": lambda m, mask, t, w: (
            _shrunk(mask, t, w)[..., None] * m / mask.sum()
        ),
        "One number for all maps; each map has its own mean.": lambda m, mask, t, w: region_mean(
            m, mask, t, w
        ).mean(),
        "The sums over the maps have been added as well as those over the places.": lambda m, mask, t, w: (
            region_mean(m, mask, t, w).sum()
        ),
    },
    right=[
        lambda m, mask, t, w: np.einsum("Hh,HW,Ww,hwc->c", t, mask, w, m) / mask.sum(),
        lambda m, mask, t, w: np.average(
            m.reshape(-1, m.shape[-1]), axis=0, weights=_shrunk(mask, t, w).ravel()
        ),
        lambda m, mask, t, w: sum(_line(m, mask[i], t[i], w) for i in range(len(mask))) / mask.sum(),
        lambda m, mask, t, w: np.einsum("HW,Hh,Ww,hwc->c", mask, t, w, m, optimize=True) / mask.sum(),
        lambda m, mask, t, w: [
            (_shrunk(mask, t, w) * one).sum() / mask.sum() for one in np.moveaxis(m, -1, 0)
        ],
    ],
)


def _line(maps: np.ndarray, marked: np.ndarray, down: np.ndarray, wide: np.ndarray) -> np.ndarray:
    return np.einsum("h,hwc,w->c", down, maps, marked @ wide)


class _Watched(np.ndarray):
    """Maps that remember how large what is made of them becomes."""

    largest = 0

    def __array_finalize__(self, _: Any) -> None:
        _Watched.largest = max(_Watched.largest, self.size)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        result = super().__array_function__(func, types, args, kwargs)
        if isinstance(result, np.ndarray):  # a plain one, after einsum
            _Watched.largest = max(_Watched.largest, result.size)
        return result


def on_small_maps(answer: Any) -> None:
    """Check `region_mean`: first what comes out, then that no map was stretched on the way."""
    frame.compare_function(_MEANS, answer)
    tall, wide = (Axis(*sides).matrix.toarray() for sides in ((23, 3), (29, 4)))
    mask = np.zeros((23, 29), bool)
    mask[5:9, 7:12] = True
    maps = np.random.default_rng().normal(size=(3, 4, 5)).view(_Watched)
    _Watched.largest = 0
    with contextlib.suppress(Mistake):  # what cannot take these maps has given the right numbers already
        frame.call(answer, maps, mask, tall, wide)
    if _Watched.largest >= mask.size:
        raise Mistake(
            "The numbers are right, but a stretched map was made for them. Shrink the mask instead: "
            "`tall.T @ mask @ wide`.",
            close=True,
        )


REGION_MEAN = dataclasses.replace(
    _MEANS,
    check=on_small_maps,
    mistakes={
        **(_MEANS.mistakes or {}),
        "a stretched map was made": lambda m, mask, t, w: (t @ m.transpose(2, 0, 1) @ w.T)[:, mask].mean(
            axis=1
        ),
    },
)

EXERCISES = (VALUES, SIMILARITY, BEST_IOU, NEAREST, PRODUCTS, REGION_MEAN)
