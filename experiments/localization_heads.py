"""Two heads on the frozen trunk, and what changes when one thing about them is changed. Notebook 04.

`python -m experiments.localization_heads` trains every variant three times, from different random numbers,
on the same stored maps, and writes the record `localization_heads`: the mean of the three and their spread,
largest less smallest. A difference below the spread is none. Then two objects by one regression of eight
numbers, with three ways to say which of them comes first.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.datasets import LabelledImages, scenes
from course_utils.localization.boxes import median_box, pair_iou
from course_utils.localization.regression import Located, located, maps_of, quality, train_heads
from course_utils.localization.trivial import largest_blob
from course_utils.networks import localizer

if TYPE_CHECKING:
    import keras

LAYER = "block4_conv3"
SIDE = 96
FRESH = 7
"""Seed of the scenes that are judged on; settings were chosen on others, of the validation split."""
RATE = 2e-3
SHOWN = 4
"""Test scenes whose answers are kept in the record, to be drawn."""


@dataclass(frozen=True)
class Size:
    """How many scenes are learned from and judged on, and how long."""

    train: int = 240
    test: int = 120
    epochs: int = 10
    pairs: int = 1000
    """Scenes of two objects to learn from; a tenth as many to judge on."""
    pair_epochs: int = 30
    seeds: tuple[int, ...] = (0, 1, 2)
    heads: localizer.Heads = field(
        default_factory=lambda: localizer.Heads("dense", channels=32, units=256, dropout=0.3)
    )


def variants(heads: localizer.Heads) -> dict[str, dict[str, Any]]:
    """What is compared: one thing changed each time."""
    convolution = localizer.Heads("convolution", False, heads.channels, heads.units, heads.dropout)
    per_class = localizer.Heads("dense", True, heads.channels, heads.units, heads.dropout)
    return {
        "L2, by SGD": {"loss": "l2", "box_weight": 10.0, "plain": True, "rate": 7e-4},
        "L2": {"loss": "l2", "box_weight": 10.0},
        "smooth L1": {"loss": "smooth_l1"},
        "generalized IoU": {"loss": "iou"},
        "generalized IoU and smooth L1": {},
        "the same, behind the convolution": {"heads": convolution},
        "the same, one box a class": {"heads": per_class},
    }


def by_place(
    maps: np.ndarray, classes: np.ndarray, boxes: np.ndarray, asked: np.ndarray, epochs: int, batch: int = 8
) -> Located:
    """The notebook's own cell: every place says what it sees, and how far the four borders are from it."""
    from keras import Input, Model, layers, ops, optimizers

    side, count = maps.shape[1], int(classes.max()) + 1
    place = (np.indices((side, side))[::-1].transpose(1, 2, 0) + 0.5) / side
    low, high = boxes[:, None, None, :2], (boxes[:, :2] + boxes[:, 2:])[:, None, None]
    inside = ((place > low) & (place < high)).all(axis=-1)
    what = np.where(inside, classes[:, None, None], count)
    where = np.concatenate([place - low, high - place, inside[..., None]], axis=-1)

    def distances(true: Any, said: Any) -> Any:
        return true[..., 4] * ops.sum(ops.abs(true[..., :4] - said), axis=-1)

    seen = Input(maps.shape[1:])
    x = layers.Conv2D(64, 1, activation="relu")(layers.Dropout(0.1)(seen))
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = layers.Dropout(0.1)(x)
    model = Model(seen, [layers.Conv2D(count + 1, 1, activation="softmax")(x), layers.Conv2D(4, 1)(x)])
    rate = optimizers.schedules.CosineDecay(RATE, epochs * -(-len(maps) // batch))
    losses = ["sparse_categorical_crossentropy", distances]
    model.compile(optimizers.AdamW(rate), loss=losses, loss_weights=[1, 3])
    model.fit(maps, [what, where], batch_size=batch, epochs=epochs, verbose=0)
    odds, far = model.predict(asked, verbose=0)
    trust = (1 - odds[..., count:]) ** 8
    trust = trust / trust.sum(axis=(1, 2), keepdims=True)
    corner = (trust * (place - far[..., :2])).sum(axis=(1, 2))
    other = (trust * (place + far[..., 2:])).sum(axis=(1, 2))
    names = (odds[..., :count] ** 4).sum(axis=(1, 2))
    return Located(
        names.argmax(axis=1),
        names.max(axis=1),
        np.concatenate([corner, other - corner], axis=1) * SIDE,
        names,
    )


def with_spread(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of every figure the mean over the runs, and the largest less the smallest."""
    facts: dict[str, float] = {}
    for key in runs[0]:
        values = [each[key] for each in runs]
        facts |= {key: float(np.mean(values)), f"{key}_spread": float(np.ptp(values))}
    return facts


def compare(
    maps: np.ndarray, data: LabelledImages, asked: np.ndarray, test: LabelledImages, size: Size
) -> dict[str, dict[str, float]]:
    """Every variant, once for each seed, on the same maps."""
    import keras

    classes, boxes, count = data.classes[:, 0], data.boxes[:, 0] / SIDE, len(data.class_names)

    def once(how: dict[str, Any] | None, seed: int) -> dict[str, float]:
        keras.utils.set_random_seed(seed)
        if how is None:
            said = by_place(maps, classes, boxes, asked, size.epochs)
        else:
            given = {"heads": size.heads, "epochs": size.epochs, "batch": 8} | how
            said = located(train_heads(maps, classes, boxes, count, **given), asked, SIDE)
        return quality(said, test.boxes[:, 0], test.classes[:, 0], ())

    cases: dict[str, dict[str, Any] | None] = {"a box from every place, L1": None, **variants(size.heads)}
    return {name: with_spread([once(how, seed) for seed in size.seeds]) for name, how in cases.items()}


# --- two objects by regression --------------------------------------------------------------------------


def pair_head(map_shape: tuple[int, ...], heads: localizer.Heads) -> keras.Model:
    """Maps to eight numbers, two boxes in shares of the picture."""
    from keras import Input, Model, layers

    maps = Input(map_shape)
    x = layers.Conv2D(heads.channels, 1, activation="relu", kernel_initializer="he_normal")(maps)
    x = layers.Dense(heads.units, activation="relu", kernel_initializer="he_normal")(layers.Flatten()(x))
    return Model(maps, layers.Dense(8, name="boxes")(layers.Dropout(heads.dropout)(x)))


def matched(y_true: Any, y_pred: Any) -> Any:
    """Smooth L1 of two boxes in the order that fits better: nobody has to say which comes first."""
    from keras import ops

    def apart(first: Any, second: Any) -> Any:
        off = ops.abs(first - second)
        return ops.sum(ops.where(off < 0.05, off**2 / 0.1, off - 0.025), axis=-1)

    turned = ops.concatenate([y_true[:, 4:], y_true[:, :4]], axis=-1)
    return ops.minimum(apart(y_true, y_pred), apart(turned, y_pred))


def as_given(y_true: Any, y_pred: Any) -> Any:
    """Smooth L1 of two boxes, the first answered against the first true one."""
    from keras import ops

    off = ops.abs(y_true - y_pred)
    return ops.sum(ops.where(off < 0.05, off**2 / 0.1, off - 0.025), axis=-1)


def pair_quality(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Boxes (n, 2, 4) against true ones, in the better order: mean IoU, and how often both are over half."""
    straight = np.stack([pair_iou(found[:, k], truth[:, k]) for k in (0, 1)])
    crossed = np.stack([pair_iou(found[:, k], truth[:, 1 - k]) for k in (0, 1)])
    best = np.where(straight.sum(axis=0) >= crossed.sum(axis=0), straight, crossed)
    return {"mean_iou": float(best.mean()), "both_over_half": float((best >= 0.5).all(axis=0).mean())}


def pairs(
    maps: np.ndarray, data: LabelledImages, asked: np.ndarray, test: LabelledImages, size: Size
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two boxes from one head, for each rule of order; and the answers of each for some test scenes."""
    import keras

    boxes = data.boxes[:, :2] / SIDE
    swap = np.random.default_rng(0).random(len(boxes)) < 0.5
    mixed = np.where(swap[:, None, None], boxes[:, ::-1], boxes)
    cases: dict[str, tuple[np.ndarray, Callable[..., Any]]] = {
        "in any order": (mixed, as_given),
        "from left to right": (boxes, as_given),
        "the better of both orders": (mixed, matched),
    }
    facts, shown = {}, {}
    for name, (truth, loss) in cases.items():
        runs = []
        for seed in size.seeds:
            keras.utils.set_random_seed(seed)
            model = pair_head(maps.shape[1:], size.heads)
            schedule = keras.optimizers.schedules.CosineDecay(1e-3, size.pair_epochs * -(-len(maps) // 8))
            model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.01), loss)
            model.fit(maps, truth.reshape(-1, 8).astype(np.float32), 8, size.pair_epochs, verbose=0)
            found = model.predict(asked, verbose=0).reshape(-1, 2, 4) * SIDE
            runs.append(pair_quality(found, test.boxes[:, :2]))
            if seed == size.seeds[0]:
                shown[name] = {str(i): found[i].ravel().round(1).tolist() for i in range(SHOWN)}
        facts[name] = with_spread(runs)
    return facts, shown


def write_record(size: Size = Size(), precision: str = "float32") -> None:
    """Measure everything and write the record."""
    from course_utils import runs, runtime
    from course_utils.networks import pretrained

    start = time.perf_counter()
    runtime.start(0, precision)
    trunk = pretrained.load_vgg16(until=LAYER)
    learn, test = (scenes(n, SIDE, seed=s, split=p) for n, s, p in _asked(size.train, size.test))
    maps, asked = scaled(maps_of(trunk, learn.images), maps_of(trunk, test.images))
    heads = compare(maps, learn, asked, test, size)
    two, two_test = (
        scenes(n, SIDE, seed=s, split=p, objects=2) for n, s, p in _asked(size.pairs, size.pairs // 10)
    )
    maps, asked = scaled(maps_of(trunk, two.images), maps_of(trunk, two_test.images))
    both, shown = pairs(maps, two, asked, two_test, size)
    each = np.stack([median_box(two.boxes[:, k]) for k in (0, 1)])
    digest = hashlib.sha256(test.images.tobytes() + test.boxes.tobytes()).hexdigest()
    runs.record(
        "localization_heads",
        command="python -m experiments.localization_heads",
        seed=0,
        precision=precision,
        minutes=(time.perf_counter() - start) / 60,
        data={
            "name": f"{size.test} test scenes of one object, {len(two_test)} of two, {SIDE}x{SIDE}; trained "
            f"on {size.train} and {size.pairs}, {len(size.seeds)} times each",
            "sha256": digest,
        },
        metrics=rounded({"heads": heads, "pairs": both}) | {"shown": shown},
        baselines=rounded(trivial(learn, test) | {"two median boxes": _constant(each, two_test)}),
    )


def trivial(learn: LabelledImages, test: LabelledImages) -> dict[str, dict[str, float]]:
    """The median box, and the largest patch of colour."""
    answers = {
        "one box for all (median)": np.tile(median_box(learn.boxes[:, 0]), (len(test), 1)),
        "largest colour blob": np.array([largest_blob(image) for image in test.images]),
    }
    return {name: quality(found, test.boxes[:, 0], test.classes[:, 0], ()) for name, found in answers.items()}


def _constant(pair: np.ndarray, test: LabelledImages) -> dict[str, float]:
    return pair_quality(np.tile(pair, (len(test), 1, 1)), test.boxes[:, :2])


def _asked(train: int, test: int) -> tuple[tuple[int, int, str], tuple[int, int, str]]:
    return (train, 0, "train"), (test, FRESH, "test")


def rounded(facts: Any) -> Any:
    """The same figures with four digits."""
    if isinstance(facts, dict):
        return {str(key): rounded(value) for key, value in facts.items()}
    return round(float(facts), 4)


def scaled(maps: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square roots of both, so that few large values do not count for everything; mean square 1."""
    mean = maps.mean()
    return np.sqrt(maps / mean), np.sqrt(asked / mean)


if __name__ == "__main__":
    write_record()
