"""One table: every way of notebook 04 to find one object, on the same scenes.

`python -m experiments.localization_methods` measures all of it in a few minutes and writes the
record `localization_methods`. The notebook does the same on fewer scenes.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.datasets import LabelledImages, scenes
from course_utils.localization import proposals, rcnn, windows
from course_utils.localization.boxes import Found, median_box
from course_utils.localization.rcnn import WINDOW, proposed, truth_of
from course_utils.localization.regression import learned_maps, located, maps_of, quality, train_heads
from course_utils.localization.trivial import largest_blob
from course_utils.localization.windows import SCALES

if TYPE_CHECKING:
    import keras

LAYER = "block4_conv3"
SIDE = 96
WINDOWED = 600
"""Scenes that windows are learned from: two windows on the object and two beside it from each."""
FRESH = 7
"""Seed of the scenes that are judged on; settings were chosen on others, of the validation split."""


@dataclass(frozen=True)
class Size:
    """How many scenes are learned from and judged on."""

    train: int = 4000
    rcnn_train: int = 120
    test: int = 300
    several: int = 120
    """Test scenes of one to three objects."""
    proposals: int = 50
    epochs: int = 20


# --- the table ------------------------------------------------------------------------------------------

Way = Callable[[np.ndarray], Found]


def judge(way: Way, data: LabelledImages, passes: float) -> dict[str, float]:
    """A way of finding, on scenes of one object: the best-scored box, and all of them for the mAP."""
    way(data.images[0])
    start = time.perf_counter()
    found = [way(image) for image in data.images]
    seconds = time.perf_counter() - start
    best = np.array([f.boxes[0] if len(f.boxes) else np.zeros(4) for f in found])
    boxes, classes = truth_of(data)
    facts = quality(best, data.boxes[:, 0], data.classes[:, 0], ())
    mean, _ = rcnn.mean_average_precision(found, boxes, classes, len(data.class_names))
    return {**facts, "map": mean, "milliseconds": 1000 * seconds / len(data), "passes": passes}


def one(box: np.ndarray, label: int, score: float = 1.0) -> Found:
    """A single answer."""
    return Found(np.reshape(box, (1, 4)), np.array([label]), np.array([score]))


def trivial(seen: LabelledImages, asked: LabelledImages) -> dict[str, dict[str, float]]:
    """Answers without a network: one box for all, and the largest blob; the class is the most frequent."""
    box, label = median_box(seen.boxes[:, 0]), int(np.bincount(seen.classes[:, 0]).argmax())
    return {
        "one box for all (median)": judge(lambda image: one(box, label), asked, 0),
        "largest colour blob": judge(lambda image: one(np.array(largest_blob(image)), label), asked, 0),
    }


def recalls(data: LabelledImages) -> tuple[dict[str, Any], dict[str, Any]]:
    """The share of objects that the first n proposals reach; the same for boxes that need no picture."""
    boxes, _ = truth_of(data)
    ways: dict[str, Callable[..., np.ndarray]] = {
        "selective search": proposals.selective_search,
        "edge boxes": proposals.edge_boxes,
    }
    blind = {"grid": proposals.grid, "random boxes": proposals.random_boxes}
    counts = (10, 50, 100, 300)
    seen = {
        name: proposals.recall([make(image, counts[-1]) for image in data.images], boxes, counts)
        for name, make in ways.items()
    }
    unseen = {
        name: {n: proposals.recall([make(n, SIDE, SIDE)] * len(data), boxes, [n])[n] for n in counts}
        for name, make in blind.items()
    }
    return seen, unseen


def detections(
    backbone: keras.Model, detector: rcnn.Detector, data: LabelledImages, most: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The mAP of R-CNN on scenes of several objects; that of naming the largest proposal."""
    boxes, classes = truth_of(data)
    asked = proposed(data.images, most)
    seen = [rcnn.regions(backbone, im, b, WINDOW) for im, b in zip(data.images, asked, strict=True)]

    def score(**how: Any) -> dict[str, float]:
        return precision([rcnn.detect(detector, each, SIDE, SIDE, **how) for each in seen])

    def precision(found: list[Found]) -> dict[str, float]:
        judged = functools.partial(rcnn.mean_average_precision, found, boxes, classes, len(data.class_names))
        return {f"map_{share}": judged(share)[0] for share in (0.5, 0.7)}

    results = {
        "R-CNN without suppression": score(regress=False, overlap=1.0),
        "R-CNN": score(regress=False),
        "R-CNN with box regression": score(),
    }
    return results, {"largest proposal": precision([rcnn.largest(detector, each) for each in seen])}


def windows_way(backbone: keras.Model, data: LabelledImages) -> Way:
    """Idea 2: learn windows from scenes, then slide over pictures in several sizes and merge."""
    _, slide, regress = windows.train_window(backbone, data)
    return lambda image: windows.detect(slide, image, SCALES, background=6, least=0.7, regress=regress)


def rcnn_ways(backbone: keras.Model, detector: rcnn.Detector, most: int) -> dict[str, Way]:
    """R-CNN on a picture, without and with box regression, and naming the largest proposal."""

    def regions(image: np.ndarray) -> rcnn.Regions:
        return rcnn.regions(backbone, image, proposed([image], most)[0], WINDOW)

    def largest(image: np.ndarray) -> Found:
        boxes = proposed([image], most)[0]
        best = boxes[np.argmax(boxes[:, 2] * boxes[:, 3])][None]
        return rcnn.largest(detector, rcnn.regions(backbone, image, best, WINDOW))

    return {
        "R-CNN": lambda image: rcnn.detect(detector, regions(image), SIDE, SIDE, regress=False),
        "R-CNN with box regression": lambda image: rcnn.detect(detector, regions(image), SIDE, SIDE),
        "largest proposal": largest,
    }


def single(
    backbone: keras.Model, detector: rcnn.Detector, size: Size, test: LabelledImages
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every way on scenes of one object: results, and trivial answers."""
    learn = scenes(size.train, SIDE, seed=0, split="train")
    maps, classes, boxes = learned_maps(backbone, learn)
    scale = float(1 / np.sqrt(np.mean(maps**2)))
    maps *= scale
    heads = train_heads(maps, classes, boxes, len(learn.class_names), epochs=size.epochs)
    del maps

    def regression(image: np.ndarray) -> Found:
        said = located(heads, maps_of(backbone, image[None]) * scale, SIDE)
        return Found(said.boxes, said.classes, said.scores)

    regions = rcnn_ways(backbone, detector, size.proposals)
    passes = {"R-CNN": size.proposals, "R-CNN with box regression": size.proposals}
    table = {
        "regression (idea 1)": judge(regression, test, 1),
        "sliding window, one pass a scale (idea 2)": judge(
            windows_way(backbone, learn.subset(slice(0, WINDOWED))), test, 2 * len(SCALES)
        ),
        **{name: judge(way, test, passes.get(name, 1)) for name, way in regions.items()},
    }
    return {"methods": table}, trivial(learn, test)


def write_record(size: Size = Size(), seed: int = 0, precision: str = "float32") -> None:
    """Measure everything and write the record."""
    from course_utils import runs, runtime
    from course_utils.networks import pretrained

    start = time.perf_counter()
    runtime.start(seed, precision)
    backbone = pretrained.load_vgg16("course", until=LAYER)
    detector = rcnn.train_on_scenes(
        backbone, scenes(size.rcnn_train, SIDE, seed=1, split="train", objects=(1, 3)), size.proposals
    )
    several = scenes(size.several, SIDE, seed=FRESH, split="test", objects=(1, 3))
    recall, unseen = recalls(several)
    detection, largest = detections(backbone, detector, several, size.proposals)
    test = scenes(size.test, SIDE, seed=FRESH, split="test")
    alone, blind = single(backbone, detector, size, test)
    digest = hashlib.sha256(test.images.tobytes() + test.boxes.tobytes()).hexdigest()
    runs.record(
        "localization_methods",
        command="python -m experiments.localization_methods",
        seed=seed,
        precision=precision,
        minutes=(time.perf_counter() - start) / 60,
        data={
            "name": f"{size.test} test scenes of one object, {size.several} of one to three, 96x96; "
            f"trained on {size.train} and {size.rcnn_train} (R-CNN)",
            "sha256": digest,
        },
        metrics=rounded(alone | {"detection": detection, "recall": recall}),
        baselines=rounded({"methods": blind, "recall": unseen} | largest),
    )


def rounded(facts: Any) -> Any:
    """The same figures with four digits."""
    if isinstance(facts, dict):
        return {str(key): rounded(value) for key, value in facts.items()}
    return round(float(facts), 4)


if __name__ == "__main__":
    write_record()
