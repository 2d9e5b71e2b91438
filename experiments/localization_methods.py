"""One table: every way of notebook 04 to find things, learned from the same scenes, judged on the same.

`python -m experiments.localization_methods` writes the record `localization_methods`. Three rounds, each with
other scenes to learn from and other random numbers, but within a round the same scenes for every way; the
record holds the mean of the rounds and their spread, largest less smallest. A round takes about a quarter of
an hour of one core; what ships is one larger round, more than an hour on two cores that had other work, too.
With a GPU (`KERAS_BACKEND=jax` will do) more is possible, in some five minutes a round:
`--train 600 --test 300 --several 200 --proposals 50 --steps 500`.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.datasets import LabelledImages, scenes
from course_utils.localization import proposals, rcnn, windows
from course_utils.localization.boxes import Found, iou, median_box, non_maximum_suppression
from course_utils.localization.rcnn import WINDOW, truth_of
from course_utils.localization.regression import learned_maps, located, maps_of, quality, train_heads
from course_utils.localization.trivial import largest_blob
from course_utils.localization.windows import SCALES
from course_utils.networks import gradients, pretrained
from course_utils.pictures import images
from experiments.localization_costs import BATCH, CORES, COUNTS, equal, recalls, spread_out
from experiments.localization_heads import FRESH, LAYER, SIDE, by_place, rounded, scaled, with_spread

if TYPE_CHECKING:
    import keras

MEDIAN_FROM = 4000
"""Scenes that the constant answers are made from; they cost nothing, so they are given many."""
SURE = 0.5
"""Score from which a window takes part in the merging."""


@dataclass(frozen=True)
class Size:
    """How many scenes are learned from in a round and judged on, and how long is learned."""

    train: int = 100
    test: int = 60
    several: int = 40
    """Test scenes of one to three objects."""
    proposals: int = 20
    epochs: int = 20
    steps: int = 40
    """Of fine-tuning, 64 proposals each."""
    rounds: int = 3
    timed: int = 3
    """Scenes that are answered one by one, to be timed."""


# --- scenes and their proposals -----------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """Scenes, for each its proposals (n, 4) and the same warped, uint8 (n, WINDOW, WINDOW, 3)."""

    data: LabelledImages
    boxes: list[np.ndarray]
    squares: list[np.ndarray]


def propose(image: np.ndarray, most: int, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Proposals of one scene, with true boxes in front, and their pictures."""
    found = proposals.selective_search(image, most, strategies=rcnn.FEW)
    boxes = np.concatenate([true.reshape(-1, 4), found])
    return boxes, rcnn.warped(image, boxes, WINDOW).round().astype(np.uint8)


def asked(data: LabelledImages, most: int, learn: bool = False) -> Asked:
    """Scenes with proposals; of those to learn from the true boxes are proposals, too."""
    true = truth_of(data)[0] if learn else [np.zeros((0, 4))] * len(data)
    both = spread_out(propose, [(image, most, t) for image, t in zip(data.images, true, strict=True)])
    return Asked(data, *map(list, zip(*both, strict=True)))


# --- the ways: each answers all scenes of a kind --------------------------------------------------------

Way = Callable[[Asked], list[Found]]


def one_box(boxes: np.ndarray, classes: np.ndarray, scores: np.ndarray) -> list[Found]:
    """A single answer for each scene."""
    rows = zip(boxes, classes, scores, strict=True)
    return [Found(np.reshape(b, (1, 4)), np.array([c]), np.array([s])) for b, c, s in rows]


def regressions(trunk: keras.Model, learn: LabelledImages, epochs: int) -> dict[str, Way]:
    """Idea 1: two heads behind a dense layer, and at every place; both learn from mirror images, too."""
    raw, classes, boxes = learned_maps(trunk, learn)
    maps, _ = scaled(raw, raw[:1])
    heads = train_heads(maps, classes, boxes, len(learn.class_names), epochs=epochs)

    def seen(scene: Asked) -> np.ndarray:
        return np.sqrt(maps_of(trunk, scene.data.images) / raw.mean())

    def dense(scene: Asked) -> list[Found]:
        said = located(heads, seen(scene), SIDE)
        return one_box(said.boxes, said.classes, said.scores)

    def places(scene: Asked) -> list[Found]:
        said = by_place(maps, classes, boxes.astype(np.float32), seen(scene), epochs, 16)
        return one_box(said.boxes, said.classes, said.scores)

    return {"two heads behind a dense layer": dense, "two heads at every place": places}


def merged(boxes: np.ndarray, scores: np.ndarray) -> list[Found]:
    """What the windows of each scene say together."""
    nothing = scores.shape[-1] - 1
    return spread_out(windows.merged, [(b, s, nothing, SURE) for b, s in zip(boxes, scores, strict=True)])


def sliding(trunk: keras.Model, learn: LabelledImages, epochs: int) -> dict[str, Way]:
    """Idea 2: one window at every place and in several sizes."""
    _, first, move = windows.train_window(trunk, learn, epochs)
    _, slide, regress = windows.train_window(trunk, learn, epochs, rounds=1)
    return {
        "sliding window": lambda s: merged(*windows.scan_all(first, s.data.images, SCALES, move)),
        "sliding window, hard negatives": lambda s: merged(
            *windows.scan_all(slide, s.data.images, SCALES, regress)
        ),
    }


def fine_tuned(trunk: keras.Model, learn: Asked, steps: int, seed: int) -> keras.Model:
    """The network itself learns to name warped proposals, "nothing" included (section 2.3 of the paper).

    An IoU of one half makes a proposal one of its object's class; a quarter of each batch are such. Blocks 1
    and 2 stay as they are (as in Fast R-CNN, section 4.5).
    """
    import keras
    from keras import layers

    truth, count = truth_of(learn.data), len(learn.data.class_names)
    labels, squares = [], np.concatenate(learn.squares)
    for boxes, true, classes in zip(learn.boxes, *truth, strict=True):
        table = iou(boxes, true)
        labels.append(np.where(table.max(axis=1) >= 0.5, classes[table.argmax(axis=1)], count))
    label = np.concatenate(labels)
    things, nothing = np.flatnonzero(label < count), np.flatnonzero(label == count)
    copy = keras.models.clone_model(trunk)
    copy.set_weights(trunk.get_weights())
    for layer in copy.layers:
        layer.trainable = not layer.name.startswith(("block1", "block2"))
    size = np.sqrt(np.mean(gradients.forward(trunk, images.preprocess(squares[:BATCH])) ** 2))
    inputs = keras.Input((WINDOW, WINDOW, 3))
    x = layers.AveragePooling2D(3)(layers.Rescaling(1 / float(size))(copy(inputs)))
    x = layers.Dense(count + 1, activation="softmax")(layers.Dropout(0.5)(layers.Flatten()(x)))
    model = keras.Model(inputs, x)
    rate = keras.optimizers.schedules.CosineDecay(3e-5, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(seed)

    def batches() -> Any:
        while True:
            rows = np.concatenate([rng.choice(things, 16), rng.choice(nothing, 48)])
            yield images.preprocess(squares[rows]), label[rows]

    model.fit(batches(), steps_per_epoch=steps, epochs=1, verbose=0)
    return pretrained.remember(copy, pretrained.about(trunk))


def regions_of(trunk: keras.Model, scene: Asked) -> list[rcnn.Regions]:
    """Features of all proposals, in batches of one size, which a GPU likes."""
    squares = np.concatenate(scene.squares)
    padded = np.pad(squares, ((0, -len(squares) % BATCH), (0, 0), (0, 0), (0, 0)))
    cuts = np.cumsum([len(boxes) for boxes in scene.boxes])[:-1]
    parts = np.split(rcnn.features(trunk, padded, BATCH)[: len(squares)], cuts)
    return [rcnn.Regions(boxes, part) for boxes, part in zip(scene.boxes, parts, strict=True)]


def nameless(found: Found) -> Found:
    """The same answers without their names: one box an object, whatever it is called."""
    kept = non_maximum_suppression(found.boxes, found.scores)
    return Found(found.boxes[kept], np.zeros(len(kept), int), found.scores[kept])


# --- judging --------------------------------------------------------------------------------------------


def judge(found: list[Found], data: LabelledImages) -> dict[str, float]:
    """Scenes of one object: the best-scored box; and all boxes with their names for the mAP."""
    best = np.array([f.boxes[0] if len(f.boxes) else np.zeros(4) for f in found])
    facts = quality(best, data.boxes[:, 0], data.classes[:, 0], ())
    return facts | {"map": precision(found, data)["map_0.5"]}


def precision(found: list[Found], data: LabelledImages, named: bool = True) -> dict[str, float]:
    """Mean average precision at two overlaps; without names all things are of one class."""
    boxes, classes = truth_of(data)
    if not named:
        found, classes = [nameless(each) for each in found], [0 * each for each in classes]
    count = len(data.class_names) if named else 1
    return {f"map_{o}": rcnn.mean_average_precision(found, boxes, classes, count, o)[0] for o in (0.5, 0.7)}


def trivial(seen: LabelledImages, data: LabelledImages) -> dict[str, dict[str, float]]:
    """Answers without a network: one box for all, and the largest blob; the class is the most frequent."""
    labels = np.full(len(data), np.bincount(seen.classes[:, 0]).argmax())
    median = np.tile(median_box(seen.boxes[:, 0]), (len(data), 1))
    blob = np.array([largest_blob(image) for image in data.images])
    answers = {"one box for all (median)": median, "largest colour blob": blob}
    return {name: judge(one_box(b, labels, np.ones(len(b))), data) for name, b in answers.items()}


# --- a round, and all of them ---------------------------------------------------------------------------


Answers = dict[str, tuple[list[Found], list[Found] | None]]
"""Of every way the answers to scenes of one object and, where it can give several, of several."""
Truth = tuple[list[np.ndarray], list[np.ndarray]]


def learned(
    trunk: keras.Model, size: Size, seed: int, tests: Sequence[Asked]
) -> tuple[Answers, dict[str, list[list[rcnn.Regions]]], Truth]:
    """What needs the network in a round: answers of ideas 1 and 2, and features for R-CNN."""
    import keras

    learn = asked(scenes(size.train, SIDE, seed=seed, split="train", workers=CORES), size.proposals, True)
    keras.utils.set_random_seed(seed)
    alone, several = tests
    answers: Answers = {}
    for name, way in regressions(trunk, learn.data, size.epochs).items():
        answers[name] = (way(alone), None)
    for name, way in sliding(trunk, learn.data, size.epochs).items():
        answers[name] = (way(alone), way(several))
    trunks = {"": trunk, ", fine-tuned": fine_tuned(trunk, learn, size.steps, seed)}
    seen = {name: [regions_of(each, s) for s in (learn, alone, several)] for name, each in trunks.items()}
    return answers, seen, truth_of(learn.data)


def svm_answers(
    regions: list[list[rcnn.Regions]], truth: Truth, count: int
) -> dict[str, tuple[list[Found], list[Found]]]:
    """R-CNN's answers to both sets of test scenes; with `count` 1 there is one SVM, "object or not"."""
    boxes, classes = truth
    detector = rcnn.train(regions[0], boxes, [np.minimum(c, count - 1) for c in classes], count)
    hows: dict[str, dict[str, Any]] = {
        "": {"regress": False},
        " with box regression": {},
        " without suppression": {"regress": False, "overlap": 1.0},
    }
    found = {
        how: tuple([rcnn.detect(detector, r, SIDE, SIDE, **given) for r in part] for part in regions[1:])
        for how, given in hows.items()
    }
    big = {"largest proposal": tuple([rcnn.largest(detector, r) for r in part] for part in regions[1:])}
    return found | big  # type: ignore[return-value]


def tables(alone_or_all: Answers, svms: dict[tuple[str, int], Any], tests: Sequence[Asked]) -> dict[str, Any]:
    """The figures of one round: scenes of one object, of several, and of both kinds of SVM."""
    answers = dict(alone_or_all)
    for (trunk, count), found in svms.items():
        if count > 1:
            for how, both in found.items():
                answers[how if how == "largest proposal" else f"R-CNN{trunk}{how}"] = both
    kinds = {
        f"{'one SVM a class' if count > 1 else 'one SVM, object or not'}{trunk}": found[""][1]
        for (trunk, count), found in svms.items()
    }
    alone, several = (each.data for each in tests)
    return {
        "methods": {name: judge(found[0], alone) for name, found in answers.items()},
        "detection": {n: precision(found[1], several) for n, found in answers.items() if found[1]},
        "svms": {name: precision(found, several, named=False) for name, found in kinds.items()},
    }


def all_rounds(
    trunk: keras.Model, size: Size, tests: Sequence[Asked], start: float, minutes: float
) -> Iterator[dict[str, Any]]:
    """The tables of one round after the other; SVMs learn beside what the network does next."""
    count = len(tests[0].data.class_names)
    waiting: list[tuple[Answers, dict[tuple[str, int], Future[Any]]]] = []
    with ThreadPoolExecutor(CORES) as pool:
        for seed in range(size.rounds):
            if seed and time.perf_counter() - start > 60 * minutes:
                break
            found, regions, truth = learned(trunk, size, seed, tests)
            work = [(name, n) for name in regions for n in (count, 1)]
            svms = {each: pool.submit(svm_answers, regions[each[0]], truth, each[1]) for each in work}
            waiting.append((found, svms))
            print(f"{time.perf_counter() - start:6.0f} s  networks of round {seed}", flush=True)
            if seed:
                yield finished(*waiting.pop(0), tests)
        for each in waiting:
            yield finished(*each, tests)


def finished(
    answers: Answers, svms: dict[tuple[str, int], Future[Any]], tests: Sequence[Asked]
) -> dict[str, Any]:
    """The tables of a round whose SVMs are waited for."""
    return tables(answers, {kind: future.result() for kind, future in svms.items()}, tests)


def write_record(size: Size = Size(), minutes: float = 40) -> None:
    """Measure everything; the record is written anew after each round.

    Args:
        minutes: after so many no further round begins.
    """
    from course_utils import runtime

    start = time.perf_counter()
    runtime.start(0)
    trunk = pretrained.load_vgg16(until=LAYER)
    asked_of: dict[str, Any] = {"seed": FRESH, "split": "test", "workers": CORES}
    alone = asked(scenes(size.test, SIDE, **asked_of), size.proposals)
    several = asked(scenes(size.several, SIDE, objects=(1, 3), **asked_of), size.proposals)
    searched = spread_out(proposals.selective_search, [(image, COUNTS[-1]) for image in several.data.images])
    learn = scenes(size.train, SIDE, seed=0, split="train", workers=CORES)
    recall, unseen = recalls(several.data, searched)
    costs = equal(trunk, learn, several.data, searched, size.epochs, size.timed)
    blind = trivial(scenes(MEDIAN_FROM, SIDE, split="train", workers=CORES), alone.data)
    print(f"{time.perf_counter() - start:6.0f} s  proposals, recall and cost", flush=True)
    rounds: list[dict[str, Any]] = []
    for one in all_rounds(trunk, size, (alone, several), start, minutes):
        rounds.append(one)
        metrics = {table: {name: over(rounds, table, name) for name in one[table]} for table in one}
        largest = {part: metrics[part].pop("largest proposal") for part in ("methods", "detection")}
        save(
            size,
            alone.data,
            len(rounds),
            (time.perf_counter() - start) / 60,
            metrics | {"recall": recall, "equal recall": costs},
            {
                "methods": {"largest proposal": largest["methods"]} | blind,
                "detection": {"largest proposal": largest["detection"]},
                "recall": unseen,
            },
        )


def changed(size: Size) -> str:
    """The options that differ from what is usual, as they are typed."""
    usual = Size()
    both = ((f.name, getattr(size, f.name), getattr(usual, f.name)) for f in fields(Size))
    return "".join(f" --{name} {asked}" for name, asked, plain in both if asked != plain)


def over(rounds: Sequence[dict[str, Any]], table: str, name: str) -> dict[str, float]:
    """The figures of a way over all rounds; of a single one there is no spread."""
    figures = [each[table][name] for each in rounds]
    return with_spread(figures) if len(figures) > 1 else figures[0]


def save(size: Size, data: LabelledImages, rounds: int, minutes: float, metrics: Any, baselines: Any) -> None:
    """Write the record of so many rounds."""
    from course_utils import runs

    name = (
        f"{size.test} test scenes of one object, {size.several} of one to three, {SIDE}x{SIDE}; "
        f"every way trained on the same {size.train} scenes of one object"
        + (f", {rounds} times on others" if rounds > 1 else ", once")
    )
    runs.record(
        "localization_methods",
        command=f"python -m experiments.localization_methods{changed(size)}",
        seed=0,
        precision="float32",
        minutes=minutes,
        data={
            "name": name,
            "sha256": hashlib.sha256(data.images.tobytes() + data.boxes.tobytes()).hexdigest(),
        },
        metrics=rounded(metrics),
        baselines=rounded(baselines),
    )
    print(f"{60 * minutes:6.0f} s  recorded {rounds} rounds", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for each in fields(Size):
        parser.add_argument(f"--{each.name}", type=int, default=each.default)
    parser.add_argument("--minutes", type=float, default=40.0, help="after so many no further round begins")
    given = vars(parser.parse_args())
    limit = given.pop("minutes")
    write_record(Size(**given), limit)
