"""Exercises of notebook 01, VGG-16."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, expect, number, with_gaps

# --- 01.1 ----------------------------------------------------------------------------------------------


def check_size(answer: Any) -> None:
    size = number(answer, "The input size")
    expect(size == int(size), f"{size} is not a whole number of pixels.")
    sides = [int(size) // 2**pools for pools in range(6)]
    expect(sides[4] != 10, f"{int(size)} pixels are 10 after four pools, and there is a fifth: {sides[5]}.")
    expect(size != 70, "70 is 7 times 10. The 7 is what 224 pixels become; ask how often they are halved.")
    expect(size != 10, "10 pixels are 0 after five halvings: work backwards, up.")
    walk = " -> ".join(map(str, sides))
    expect(sides[5] >= 10, f"Too small: {walk} pixels along the five pools.")
    expect(sides[5] == 10, f"Too large: {walk} pixels along the five pools.")


INPUT_SIZE = Exercise(
    id="01.1",
    title="change one number",
    name="size",
    hint="Each of the five pools halves the side. Start from 10 and walk back to the input.",
    after="Five halvings are a division by 32, and what is left over is dropped: 320 to 351 all give 10.",
    check=check_size,  # many sizes are right
    solution="size = 10 * 2**5",
    mistakes={
        "there is a fifth: 5": 160,
        "7 times 10": 70,
        "Too large: 352": 352,
        "Too small: 224": 224,
        "Too large: 640": 640,
        "work backwards": 10,
        "Too small: 0": 0,
        "not a whole number": 312.5,
    },
    right=[320, 351, np.int64(335)],
)

# --- 01.2 ----------------------------------------------------------------------------------------------


def parameters(size, inputs, filters):
    weights = size * size * inputs * filters
    biases = filters
    return weights + biases


def some_layers(random: np.random.Generator) -> Iterator[tuple[int, int, int]]:
    yield 3, 64, 128
    yield 1, 512, 1000
    for _ in range(4):
        yield int(random.integers(2, 8)), int(random.integers(2, 300)), int(random.integers(5, 600))


PARAMETERS = Exercise(
    id="01.2",
    title="how many numbers are in a convolution",
    name="parameters",
    hint="A filter: a kernel of size x size for each map that comes in, and one bias. How many filters?",
    after="Notice what is missing from the formula: the size of the picture. That is why any picture fits.",
    solution=parameters,
    inputs=some_layers,
    mistakes={
        "That leaves the biases out: one for each filter.": lambda size, inputs, filters: (
            size**2 * inputs * filters
        ),
        "One bias for the whole layer is too few; each filter has its own.": lambda size, inputs, filters: (
            size**2 * inputs * filters + 1
        ),
        "There are as many biases as maps that come out, not in.": lambda size, inputs, filters: (
            size**2 * inputs * filters + inputs
        ),
        "Every filter looks at all maps that come in, with a kernel for each.": (
            lambda size, inputs, filters: size**2 * filters + filters
        ),
        "A kernel is as high as it is wide; one side was counted.": lambda size, inputs, filters: (
            size * inputs * filters + filters
        ),
        "The kernels are 3 by 3 in many layers, not in all: `size` has a say.": (
            lambda size, inputs, filters: (9 * inputs + 1) * filters
        ),
        "A bias belongs to a filter, not to each of its kernels.": lambda size, inputs, filters: (
            (size**2 + 1) * inputs * filters
        ),
    },
    right=[
        lambda size, inputs, filters: (size * size * inputs + 1) * filters,
        lambda size, inputs, filters: np.prod([size, size, inputs, filters]) + filters,
    ],
)

# --- 01.3 ----------------------------------------------------------------------------------------------


def old_number(block, convolution):
    before = sum(2 * convolutions + 1 for convolutions in (2, 2, 3, 3, 3)[: block - 1])
    return before + 2 * convolution - 1


def all_convolutions(random: np.random.Generator) -> list[tuple[int, int]]:
    every = [(block, k) for block in range(1, 6) for k in range(1, 3 if block < 3 else 4)]
    return [(4, 3), *(every[i] for i in random.permutation(len(every)))]


def _old(padding: int, pool: int, shift: int, blocks: Sequence[int] = (2, 2, 3, 3, 3)) -> Any:
    def count(block: int, convolution: int) -> int:
        before = blocks[: block - 1]
        return sum(before) * padding + len(before) * pool + padding * convolution + shift

    return count


def _by_listing(block: int, convolution: int) -> int:
    layers = []
    for number_, convolutions in enumerate((2, 2, 3, 3, 3), start=1):
        for each in range(1, convolutions + 1):
            layers += ["padding", (number_, each)]
        layers.append("pool")
    return layers.index((block, convolution))


OLD_NUMBER = Exercise(
    id="01.3",
    title="the numbers of 2016",
    name="old_number",
    hint="A convolution took two places in the list (padding, convolution), a pool one. Count from 0.",
    after="Now 3, 8, 15, 22 and 29 are no longer magic: they are the last convolutions of the five blocks.",
    solution=old_number,
    inputs=all_convolutions,
    mistakes={
        "The first layer of the list is number 0.": _old(2, 1, 0),
        "That is the padding in front of it.": _old(2, 1, -2),
        "That is its place today, from 1; in 2016 the padding layers counted as well.": _old(1, 1, 0),
        "That is its place today, from 0; in 2016 the padding layers counted as well.": _old(1, 1, -1),
        "Each block before it ends in a pool, which counts.": _old(2, 0, -1),
        "Blocks 3 to 5 have three convolutions, not two.": _old(2, 1, -1, blocks=(2, 2, 2, 2, 2)),
        "Blocks 1 and 2 have two convolutions, not three.": _old(2, 1, -1, blocks=(3, 3, 3, 3, 3)),
        "A pool has no padding: it takes one place.": _old(2, 2, -1),
    },
    right=[_by_listing, _old(2, 1, -1), lambda b, c: {1: -1, 2: 4, 3: 9, 4: 16, 5: 23}[b] + 2 * c],
)

# --- 01.4 ----------------------------------------------------------------------------------------------

BGR = np.array([103.939, 116.779, 123.68])


def prepare(image):
    blue_first = image[..., ::-1]
    return blue_first - np.array([103.939, 116.779, 123.68])


def some_pictures(random: np.random.Generator) -> Iterator[tuple[np.ndarray]]:
    for height, width in [(4, 5), (3, 3), *random.integers(3, 9, (2, 2))]:
        yield (random.uniform(0, 255, (height, width, 3)).astype(np.float32),)  # as resizing leaves them


PREPARE = Exercise(
    id="01.4",
    title="prepare a picture yourself",
    name="prepare",
    hint="`image[..., ::-1]` turns the last axis over: blue comes first. Then subtract three numbers.",
    after="Two operations, and forgetting either raises no error at all: the answer is quietly worse.",
    solution=prepare,
    inputs=some_pictures,
    mistakes={
        "This is the picture as it was; nothing has happened to it yet.": lambda image: image,
        "The channels are turned; now the mean of each channel has to go.": lambda image: image[..., ::-1],
        "The means are right, each for its channel; but red still comes first.": lambda image: (
            image - BGR[::-1]
        ),
        "Red loses blue's mean here: turn the channels first, then subtract.": lambda image: image - BGR,
        "Blue comes first, but loses red's mean: 103.939 is for blue.": lambda image: (
            image[..., ::-1] - BGR[::-1]
        ),
        "The mean is added; the values should end up around 0.": lambda image: image[..., ::-1] + BGR,
        "Rows and channels are mixed up: the channels are the last axis, not the first.": lambda image: (
            image[::-1] - BGR
        ),
        "Left and right are swapped: the channels are the last axis.": lambda image: image[:, ::-1] - BGR,
        "All is turned over, rows and columns as well: the channels alone should be.": lambda image: (
            image[::-1, ::-1, ::-1] - BGR
        ),
        "This network wants no scaling to 0..1.": lambda image: (image[..., ::-1] - BGR) / 255,
        "Values below 0 are cut off; half of what the network knows lies there.": lambda image: np.maximum(
            image[..., ::-1] - BGR, 0
        ),
        "Whole numbers from 0 to 255 cannot hold what lies below 0: leave the answer as floats.": (
            lambda image: (image[..., ::-1] - BGR).astype(np.int64).astype(np.uint8)
        ),
        "One mean for all is not what the network was trained with: each channel has its own.": (
            lambda image: image[..., ::-1] - image.mean()
        ),
        "The axes have changed places.": lambda image: (image[..., ::-1] - BGR).transpose(1, 0, 2),
        "The fractions of the pixels are lost: don't make whole numbers of them.": lambda image: (
            image.astype(np.uint8)[..., ::-1] - BGR
        ),
        "The means are rounded to whole numbers; take them as they are.": lambda image: (
            image[..., ::-1] - np.round(BGR)
        ),
    },
    right=[
        lambda image: image[:, :, [2, 1, 0]] - BGR.astype(np.float32),
        lambda image: (image - np.array([123.68, 116.779, 103.939]))[..., ::-1],
        lambda image: np.stack([image[..., 2 - c] - BGR[c] for c in range(3)], axis=-1),
    ],
)

# --- 01.5 ----------------------------------------------------------------------------------------------


def softmax(scores):
    grown = np.exp(scores - np.max(scores))
    return grown / grown.sum()


def some_scores(random: np.random.Generator) -> Iterator[tuple[np.ndarray]]:
    for count, around in [(4, 0), (3, -40), (5, 1000), (3, -1000), (int(random.integers(6, 12)), 5)]:
        yield (around + np.round(random.normal(0, 2, count), 2),)
    for first in range(3):  # the largest in every place: less any other, it overflows
        yield (np.roll([3.0, 803.0, 1.5], first),)
    yield (np.array([-1500.0, 1499.0, 1500.0])[random.permutation(3)],)


def _quiet(way: Any) -> Any:
    """A function that may overflow without a warning; what overflows is named like any other result."""

    def answer(scores: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return way(scores)

    return answer


def _shares(grown: np.ndarray) -> np.ndarray:
    return grown / grown.sum()


SOFTMAX = Exercise(
    id="01.5",
    title="from scores to shares",
    name="softmax",
    hint="Take np.exp of every score, then divide by the sum. What happens at a score of 1000?",
    after="Subtracting the largest score changes nothing in the shares, and nothing overflows any more.",
    solution=softmax,
    inputs=some_scores,
    read=with_gaps,
    within=1e-3,  # at 1000 a float32 has four digits behind the point
    mistakes={
        "All are positive now, but they are no shares yet: divide by their sum.": _quiet(np.exp),
        "Positive and small enough, but they are no shares yet: divide by their sum.": lambda scores: np.exp(
            scores - scores.max()
        ),
        "Shares of a whole are not negative. The exponential comes first.": lambda scores: (
            scores / scores.sum()
        ),
        "Lifted above 0, but the smallest score has no chance at all. Use np.exp.": lambda scores: _shares(
            scores - scores.min()
        ),
        "You divide by the largest; by the sum, and they add up to 1.": _quiet(
            lambda scores: np.exp(scores) / np.exp(scores).max()
        ),
        "Those are shares of powers of 2; the base is e, as in np.exp.": _quiet(
            lambda scores: _shares(2.0**scores)
        ),
        "Right for small scores; around 1000 the exponential overflows. Subtract the largest first.": _quiet(
            lambda scores: _shares(np.exp(scores))
        ),
        "The largest score has to be subtracted; less the smallest, they still overflow.": _quiet(
            lambda scores: _shares(np.exp(scores - scores.min()))
        ),
        "The largest score has to be subtracted; less the mean, they may still overflow.": _quiet(
            lambda scores: _shares(np.exp(scores - scores.mean()))
        ),
        "The largest score has to be subtracted; less the first, they may still overflow.": _quiet(
            lambda scores: _shares(np.exp(scores - scores[0]))
        ),
        "The largest score has to be subtracted; less the last, they may still overflow.": _quiet(
            lambda scores: _shares(np.exp(scores - scores[-1]))
        ),
        "Each score has the same share here; a higher score has a larger one.": lambda scores: np.full(
            scores.shape, 1 / scores.size
        ),
        "The shares add up to 2.": lambda scores: 2 * softmax(scores),
        "One share for each score is asked for.": lambda scores: softmax(scores).sum(),
    },
    right=[
        lambda scores: np.exp(scores - np.logaddexp.reduce(scores)),
        lambda scores: 1 / np.exp(scores[None, :] - scores[:, None]).sum(axis=1),
        lambda scores: softmax(scores.astype(np.float32)),
    ],
)

# --- 01.6 ----------------------------------------------------------------------------------------------


def class_map(maps, kernel, index):
    return maps @ kernel[:, index]


def some_heads(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    for height, width, channels, classes, index in [
        (2, 3, 4, 5, 1),
        (5, 4, 3, 3, 2),
        (1, 6, 7, 9, 0),
        (4, 4, 4, 4, 2),
    ]:
        maps = np.round(random.uniform(0, 3, (height, width, channels)), 1)
        kernel = np.round(random.normal(0, 1, (channels, classes)), 1)
        kernel[0] = np.round(random.uniform(0.5, 2, classes), 1) * random.choice([-1, 1], classes)
        yield maps, kernel, index


CLASS_MAP = Exercise(
    id="01.6",
    title="the class activation map",
    name="class_map",
    hint="`kernel[:, index]` has a weight for each channel. Weigh the channels at each place, add them.",
    after="No gradient, no second network: where the head averages, the explanation is one product.",
    solution=class_map,
    inputs=some_heads,
    mistakes={
        "That is the score, a single number: the places are averaged away.": lambda maps, kernel, index: (
            maps.mean(axis=(0, 1)) @ kernel[:, index]
        ),
        "These are the maps of all classes; one column of the kernel is asked for.": (
            lambda maps, kernel, index: maps @ kernel
        ),
        "The channels are weighed; now add them up at each place.": lambda maps, kernel, index: (
            maps * kernel[:, index]
        ),
        "The largest of the weighed channels is taken; their sum is the share in the score.": (
            lambda maps, kernel, index: (maps * kernel[:, index]).max(axis=-1)
        ),
        "The mean over the channels is taken; their sum is the share in the score.": (
            lambda maps, kernel, index: (maps * kernel[:, index]).mean(axis=-1)
        ),
        "The kernel's last column is taken, whatever the index.": lambda maps, kernel, index: (
            maps @ kernel[:, -1]
        ),
        "The kernel's first column is taken, whatever the index.": lambda maps, kernel, index: (
            maps @ kernel[:, 0]
        ),
        "What speaks against the class is part of the map; nothing is cut off at 0.": (
            lambda maps, kernel, index: np.maximum(maps @ kernel[:, index], 0)
        ),
        "All channels count the same here; the class weighs them.": lambda maps, kernel, index: maps.sum(-1),
        "Rows and columns have changed places.": lambda maps, kernel, index: (maps @ kernel[:, index]).T,
        "Only the sizes of the weights are used; their signs matter.": lambda maps, kernel, index: (
            maps @ np.abs(kernel[:, index])
        ),
    },
    right=[
        lambda maps, kernel, index: np.einsum("hwc,c->hw", maps, kernel[:, index]),
        lambda maps, kernel, index: np.tensordot(maps, kernel, axes=1)[..., index],
        lambda maps, kernel, index: (maps.astype(np.float32) * kernel[:, index]).sum(axis=2),
    ],
)

EXERCISES = (INPUT_SIZE, PARAMETERS, OLD_NUMBER, PREPARE, SOFTMAX, CLASS_MAP)
