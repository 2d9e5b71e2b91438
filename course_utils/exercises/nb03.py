"""Exercises of notebook 03, hypercolumns."""

from __future__ import annotations

from typing import Any

import numpy as np

from course_utils import hypercolumns
from course_utils.exercises.frame import Exercise, array, call, expect, match, number
from course_utils.networks import vgg16
from course_utils.pictures.resampling import Axis

# --- 03.1 ----------------------------------------------------------------------------------------------


def check_values(answer: Any) -> None:
    values = number(answer, "The number of values")
    mistakes = {
        "192 is layers 3 and 8 alone; 15, 22 and 29 come on top.": 192,
        "736 is the course's own network, which has half the filters. The original has twice as many.": 736,
        "4224 counts all thirteen convolutions; only the last one of each block is asked for.": 4224,
        "77 is the sum of the layers' numbers. Each layer gives as many values as it has filters.": 77,
        "960 leaves one layer with 512 filters out: both 22 and 29 have so many.": 960,
        "512 is the deepest layer alone. A hypercolumn stacks all five.": 512,
        "That is the whole picture; one pixel is asked for.": 1472 * 224 * 224,
        "Five is the number of layers; each of them has many maps.": 5,
    }
    match(values, 1472, mistakes, f"{values:,.0f}: go through 64, 128, and so on, one number for each block.")


VALUES = Exercise(
    id="03.1",
    title="how long is a hypercolumn?",
    name="values",
    hint="Each of the five layers adds as many values as it has filters: 64 + 128 + …",
    after="1,472 values of four bytes for each of 50,176 pixels: 295 MB for one small photograph.",
    check=check_values,
    solution="values = 64 + 128 + 256 + 512 + 512",
    wrong=lambda: {
        "layers 3 and 8 alone": 192,
        "half the filters": 736,
        "all thirteen convolutions": sum(vgg16.CHANNELS.values()),
        "sum of the layers' numbers": 77,
        "leaves one layer with 512 filters out": 960,
        "deepest layer alone": 512,
        "That is the whole picture": 1472 * 224 * 224,
        "number of layers": 5,
        "go through 64, 128": 1500,
        "should be one number": "1472 values",
    },
    right=lambda: [1472, 64 + 128 + 256 + 512 + 512, np.float32(1472)],
)

# --- 03.2 ----------------------------------------------------------------------------------------------


def similarity(column, a, b):
    x, y = column[a], column[b]
    return x @ y / (np.linalg.norm(x) * np.linalg.norm(y))


def check_similarity(answer: Any) -> None:
    column = np.maximum(np.random.default_rng(0).normal(0.5, 1, (5, 6, 7)), 0)
    for a, b in [((0, 4), (3, 1)), ((4, 5), (2, 0)), ((1, 2), (1, 2))]:
        given = number(call(answer, column, a, b), "The similarity")
        x, y = column[a], column[b]
        product, lengths = x @ y, np.linalg.norm(x) * np.linalg.norm(y)
        what = "a pixel with itself" if a == b else f"{a} and {b}"
        one = "; a cosine with itself is 1" if a == b else ""
        mistakes = {
            f"Your value for {what} is {given:.3g}{one}. Did you divide by both lengths?": product,
            f"divided by one length; the other one is missing{one}.": product / np.linalg.norm(x),
            "that is a distance. Near pixels should get a large value.": np.linalg.norm(x - y),
            "divide by the lengths themselves, not by their squares.": product / lengths**2,
            "you return 1 minus the cosine, which grows with the angle; return the cosine.": 1
            - product / lengths,
            "a correlation. Nothing is subtracted for a cosine.": np.corrcoef(x, y)[0, 1],
            "a product divided by its number of values; divide by the lengths.": product / len(x),
            "row and column are swapped.": cosine(column[a[1] % 5, a[0]], column[b[1] % 5, b[0]]),
        }
        case = f"{given:.3g} for {what}: "
        named = {text if text[0] == "Y" else case + text: value for text, value in mistakes.items()}
        named = {text: value for text, value in named.items() if not np.isclose(value, product / lengths)}
        match(given, product / lengths, named, f"{case}it should be {product / lengths:.3g}.")


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


SIMILARITY = Exercise(
    id="03.2",
    title="the pixel next door",
    name="similarity",
    hint="`column[a]` is the hypercolumn at pixel a. `x @ y` is a product, `np.linalg.norm(x)` a length.",
    after="More light makes a column longer and leaves its direction; the cosine sees the direction only.",
    check=check_similarity,
    solution=similarity,
    wrong=lambda: {
        "Did you divide by both lengths?": lambda column, a, b: column[a] @ column[b],
        "divided by one length": lambda column, a, b: column[a] @ column[b] / np.linalg.norm(column[a]),
        "that is a distance": lambda column, a, b: np.linalg.norm(column[a] - column[b]),
        "not by their squares": lambda column, a, b: (
            column[a] @ column[b] / (np.sum(column[a] ** 2) * np.sum(column[b] ** 2))
        ),
        "return the cosine": lambda column, a, b: 1 - cosine(column[a], column[b]),
        "a correlation": lambda column, a, b: np.corrcoef(column[a], column[b])[0, 1],
        "divided by its number of values": lambda column, a, b: (column[a] * column[b]).mean(),
        "row and column are swapped": lambda column, a, b: cosine(
            column[a[1] % 5, a[0]], column[b[1] % 5, b[0]]
        ),
        "should be one number": lambda column, a, b: column[a] * column[b],
        "it should be": lambda column, a, b: 1.0,
    },
    right=lambda: [
        lambda column, a, b: (
            np.sum(column[a] * column[b]) / np.sqrt(np.sum(column[a] ** 2) * np.sum(column[b] ** 2))
        ),
        lambda column, a, b: float(
            (column[a] / np.linalg.norm(column[a])) @ (column[b] / np.linalg.norm(column[b]))
        ),
    ],
)

# --- 03.3 ----------------------------------------------------------------------------------------------


def products(maps, weights, size):
    total, start = 0, 0
    for stack in maps:
        count = stack.shape[-1]
        total = total + hypercolumns.stretch(stack @ weights[start : start + count], size)
        start += count
    return total


def check_products(answer: Any) -> None:
    rng = np.random.default_rng(1)
    size = (12, 16)
    maps = [rng.normal(size=shape).astype(np.float32) for shape in ((12, 16, 4), (6, 8, 4), (3, 4, 4))]
    weights = rng.normal(size=12).astype(np.float32)
    big = [hypercolumns.stretch(stack, size) for stack in maps]
    parts = [each @ weights[4 * i : 4 * i + 4] for i, each in enumerate(big)]
    mistakes = {
        "Every layer meets the first weights. Each has its own part: move on by its number of maps.": sum(
            each @ weights[:4] for each in big
        ),
        "Only the first layer is in your sum.": parts[0],
        "Only the last layer is left: add the layers up, don't replace one by the next.": parts[-1],
        "The weights are dealt out from the end: the first stack takes the first ones.": sum(
            each @ weights[8 - 4 * i : 12 - 4 * i] for i, each in enumerate(big)
        ),
        "Divided by the number of layers: a product is a sum, not a mean.": sum(parts) / 3,
    }
    given, most = watched(answer, maps, weights, size)
    given = array(given, None, "The result")
    kept = given.ndim == 3 and given.shape[:2] == size
    expect(not kept, "These are stretched stacks, with all their maps: each map's weight goes in before.")
    expect(given.shape == size, f"The result has shape {given.shape}; {size} is asked for, a number a pixel.")
    match(given, sum(parts), mistakes, "The shape is right, the numbers are not. Weigh, stretch, add.", 1e-3)
    expect(
        most <= 1, f"The numbers are right, but you stretch {most} maps at once. Weigh first, stretch one."
    )
    uneven = [rng.normal(size=shape).astype(np.float32) for shape in ((10, 7, 5), (5, 3, 2))]
    given = array(call(answer, uneven, weights[:7], (10, 7)), (10, 7), "The result")
    right = products(uneven, weights[:7], (10, 7))
    match(given, right, {}, "Right for stacks of four maps each, wrong for one of 5 and one of 2.", 1e-3)


def watched(answer: Any, *arguments: Any) -> tuple[Any, int]:
    """What the learner's function returns, and how many maps it stretched at once."""
    most, plain = [0], hypercolumns.stretch

    def stretch(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        most.append(np.shape(maps)[2] if np.ndim(maps) == 3 else 1)
        return plain(maps, size)

    hypercolumns.stretch = stretch
    try:
        return call(answer, *arguments), max(most)
    finally:
        hypercolumns.stretch = plain


def _products(pick: Any, factor: float = 1.0) -> Any:
    """A variant of `products`: `pick(i)` says where the weights of stack i (of four maps) begin."""

    def variant(maps: list[np.ndarray], weights: np.ndarray, size: tuple[int, int]) -> Any:
        found: Any = 0
        for i, stack in enumerate(maps):
            part = weights[pick(i) : pick(i) + stack.shape[-1]]
            found = found + hypercolumns.stretch(stack @ part, size)
        return found * factor

    return variant


def _by_dense(maps: list[np.ndarray], weights: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.concatenate([hypercolumns.stretch(stack, size) for stack in maps], axis=-1) @ weights


PRODUCTS = Exercise(
    id="03.3",
    title="project first",
    name="products",
    hint="For each stack: `stack @ its_part_of_the_weights` is one small map. Stretch it, add it up.",
    after="One stretched map for each layer instead of hundreds: the first half of the trick.",
    check=check_products,
    solution=products,
    wrong=lambda: {
        "meets the first weights": _products(lambda i: 0),
        "Only the first layer": lambda maps, weights, size: products(maps[:1], weights, size),
        "Only the last layer": lambda maps, weights, size: products(maps[-1:], weights[8:], size),
        "dealt out from the end": _products(lambda i: 8 - 4 * i),
        "a product is a sum, not a mean": _products(lambda i: 4 * i, 1 / 3),
        "wrong for one of 5 and one of 2": _products(lambda i: 4 * i),
        "stretch 4 maps at once": _by_dense,
        "with all their maps": lambda maps, weights, size: (
            np.concatenate([hypercolumns.stretch(stack, size) for stack in maps], axis=-1) * weights
        ),
        "has shape (3, 4)": lambda maps, weights, size: maps[2] @ weights[8:],
        "the numbers are not": lambda maps, weights, size: -products(maps, weights, size),
        "stopped": lambda maps, weights, size: sum(stack @ weights for stack in maps),
    },
    right=lambda: [
        lambda maps, weights, size: sum(
            hypercolumns.stretch(stack @ part, size)
            for stack, part in zip(
                maps, np.split(weights, np.cumsum([m.shape[-1] for m in maps])[:-1]), strict=True
            )
        ),
        lambda maps, weights, size: sum(
            Axis(size[0], m.shape[0]).matrix @ (m @ w) @ Axis(size[1], m.shape[1]).matrix.T
            for m, w in zip(maps, np.split(weights, np.cumsum([m.shape[-1] for m in maps])[:-1]), strict=True)
        ),
    ],
)

# --- 03.4 ----------------------------------------------------------------------------------------------


def region_mean(maps, mask, tall, wide):
    shrunk = tall.T @ mask @ wide
    return np.tensordot(shrunk, maps, axes=2) / mask.sum()


def check_region_mean(answer: Any) -> None:
    rng = np.random.default_rng(2)
    tall, wide = Axis(8, 4).matrix.toarray(), Axis(12, 3).matrix.toarray()
    maps = rng.normal(3, 1, (4, 3, 5))
    mask = np.zeros((8, 12), bool)
    mask[1:6, 2:7] = True
    mask[0, 0] = True
    shrunk = tall.T @ mask @ wide
    right = np.tensordot(shrunk, maps, axes=2) / mask.sum()
    mistakes = {
        "That is the sum over the region; a mean divides it by the number of pixels in the mask.": right
        * mask.sum(),
        "Divide by the pixels inside the mask, not by those of the whole picture.": right * mask.mean(),
        "That is the mean over all places of the maps: the mask has no say in it.": maps.mean(axis=(0, 1)),
        "The shrunken mask was rounded to yes or no; its fractions are the weights of the border.": maps[
            shrunk > 0.5 * shrunk.max()
        ].mean(axis=0),
        "That is the mean outside the mask.": region_mean(maps, ~mask, tall, wide),
        "Divide by the pixels of the mask, not by the places of the maps.": right * mask.sum() / shrunk.size,
        "Every second or fourth pixel of the mask was picked; the rest has a say, too.": maps[
            mask[::2, ::4]
        ].mean(axis=0),
    }
    given = array(call(answer, maps, mask, tall, wide), None, "The result")
    whole = given.shape[:-1] in ((4, 3), (8, 12))
    expect(
        not whole, f"The result has shape {given.shape}: a value at every place. Add them up to 5 numbers."
    )
    expect(given.shape == (5,), f"The result has shape {given.shape}; (5,) is asked for, one number a map.")
    match(given, right, mistakes, f"Your first value is {given[0]:.3f}; it should be {right[0]:.3f}.")


REGION_MEAN = Exercise(
    id="03.4",
    title="the mean of a region",
    name="region_mean",
    hint="`tall.T @ mask @ wide` is the mask on the small grid. Multiply, add up, divide by its pixels.",
    after="This is how k-means moves its centres, and how a standard deviation is found, on small maps only.",
    check=check_region_mean,
    solution=region_mean,
    wrong=lambda: {
        "the sum over the region": lambda m, mask, t, w: np.tensordot(t.T @ mask @ w, m, axes=2),
        "not by those of the whole picture": lambda m, mask, t, w: (
            np.tensordot(t.T @ mask @ w, m, axes=2) / mask.size
        ),
        "the mask has no say": lambda m, mask, t, w: m.mean(axis=(0, 1)),
        "rounded to yes or no": lambda m, mask, t, w: m[t.T @ mask @ w > 0.5 * (t.T @ mask @ w).max()].mean(
            axis=0
        ),
        "the mean outside": lambda m, mask, t, w: region_mean(m, ~mask, t, w),
        "not by the places of the maps": lambda m, mask, t, w: (
            np.tensordot(t.T @ mask @ w, m, axes=2) / m[..., 0].size
        ),
        "Every second or fourth pixel": lambda m, mask, t, w: m[mask[::2, ::4]].mean(axis=0),
        "a value at every place": lambda m, mask, t, w: (t.T @ mask @ w)[..., None] * m / mask.sum(),
        "has shape ()": lambda m, mask, t, w: region_mean(m, mask, t, w).mean(),
        "it should be": lambda m, mask, t, w: 2 * region_mean(m, mask, t, w),
        "stopped": lambda m, mask, t, w: t @ mask @ w,
    },
    right=lambda: [
        lambda m, mask, t, w: np.einsum("Hh,HW,Ww,hwc->c", t, mask, w, m) / mask.sum(),
        lambda m, mask, t, w: np.average(
            m.reshape(-1, m.shape[-1]), axis=0, weights=(t.T @ mask @ w).ravel()
        ),
    ],
)

# --- 03.5 ----------------------------------------------------------------------------------------------


def best_iou(labels, mask):
    scores = []
    for number_ in np.unique(labels):
        cluster = labels == number_
        scores.append((cluster & mask).sum() / (cluster | mask).sum())
    return max(scores)


def check_best_iou(answer: Any) -> None:
    rng = np.random.default_rng(3)
    mask = np.zeros((10, 12), bool)
    mask[2:8, 3:9] = True
    two = np.where(rng.random(mask.shape) < 0.8, ~mask, mask).astype(int)  # cluster 0 is the object
    three = np.where(mask, 2, rng.integers(0, 2, mask.shape))
    three[0:3, 0:6] = 2
    for labels in (1 - two, two, three):
        given = number(call(answer, labels, mask), "The result")
        clusters = [labels == j for j in np.unique(labels)]
        common = np.array([(c & mask).sum() for c in clusters])
        sizes, either = np.array([c.sum() for c in clusters]), np.array([(c | mask).sum() for c in clusters])
        right = (common / either).max()
        case = f"{given:.3f} for {len(clusters)} clusters"
        mistakes = {
            f"{case}: that is cluster 1. The names mean nothing: try every cluster, keep the best.": (
                (common / either)[1]
            ),
            f"{case}: the mean over the clusters; keep the best one.": (common / either).mean(),
            f"{case}: the share of pixels that agree; the many background pixels flatter it.": max(
                (c == mask).mean() for c in clusters
            ),
            f"{case}: divided by the mask alone. A cluster of everything would get 1.": (
                common / mask.sum()
            ).max(),
            f"{case}: divided by the cluster alone. A single right pixel would get 1.": (
                common / sizes
            ).max(),
            f"{case}: twice the common part over the sum of both is Dice's coefficient, larger than IoU.": (
                (2 * common / (sizes + mask.sum())).max()
            ),
            f"{case}: the sum of both counts what they share twice; subtract it once.": (
                (common / (sizes + mask.sum())).max()
            ),
            f"{case}: the worst cluster; keep the best.": (common / either).min(),
        }
        mistakes = {text: value for text, value in mistakes.items() if not np.isclose(value, right)}
        match(given, right, mistakes, f"{case}: it should be {right:.3f}.")


def _over(rule: Any, choose: Any = max) -> Any:
    """A variant of `best_iou` with another measure, or another choice among the clusters."""
    return lambda labels, mask: choose([rule(labels == j, mask) for j in np.unique(labels)])


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


BEST_IOU = Exercise(
    id="03.5",
    title="which pile is the object?",
    name="best_iou",
    hint="For one cluster: `(labels == j) & mask` is in both, `|` in either. Then the largest over all j.",
    after="Choosing with the mask in hand is generous, so it must be done for every method alike.",
    check=check_best_iou,
    solution=best_iou,
    wrong=lambda: {
        "The names mean nothing": lambda labels, mask: _iou(labels == 1, mask),
        "the mean over the clusters": _over(_iou, np.mean),
        "the share of pixels that agree": _over(lambda a, b: (a == b).mean()),
        "divided by the mask alone": _over(lambda a, b: (a & b).sum() / b.sum()),
        "divided by the cluster alone": _over(lambda a, b: (a & b).sum() / a.sum()),
        "Dice's coefficient": _over(lambda a, b: 2 * (a & b).sum() / (a.sum() + b.sum())),
        "subtract it once": _over(lambda a, b: (a & b).sum() / (a.sum() + b.sum())),
        "the worst cluster": _over(_iou, min),
        "for 3 clusters": lambda labels, mask: max(_iou(labels == j, mask) for j in (0, 1)),
        "it should be": lambda labels, mask: 0.5,
        "should be one number": lambda labels, mask: [_iou(labels == j, mask) for j in np.unique(labels)],
    },
    right=lambda: [
        _over(_iou),
        hypercolumns.best_iou,
        lambda labels, mask: max(
            np.sum((labels == j) * mask) / np.sum(((labels == j) + mask) > 0) for j in range(labels.max() + 1)
        ),
    ],
)

EXERCISES = (VALUES, SIMILARITY, PRODUCTS, REGION_MEAN, BEST_IOU)
