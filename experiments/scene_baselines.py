"""What answers without any learning reach on scenes: every result stands beside them.

`python -m experiments.scene_baselines` measures them on the test split and writes the record
`scenes_baselines`, from which the notebooks take them. Notebook 04.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass

import numpy as np

from course_utils import runs
from course_utils.datasets import LabelledImages, scenes
from course_utils.datasets.labelled import IGNORED
from course_utils.localization.boxes import class_median_boxes, median_box, pair_iou
from course_utils.localization.parts import pck
from course_utils.localization.trivial import largest_blob
from course_utils.segmentation.metrics import confusion_matrix, position_prior, quality
from experiments.localization_heads import FRESH
from experiments.localization_methods import MEDIAN_FROM

TEST = 300


@dataclass(frozen=True)
class Baseline:
    """How far one trivial answer gets; None where it does not answer the question."""

    pictures: str
    """"scenes" of one object at 96x96, or "thumbnails"."""
    answer: str
    mean_iou: float | None = None
    over_half: float | None = None
    """Share of boxes with an intersection over union of at least one half."""
    accuracy: float | None = None
    """Of the class."""
    mean_iu: float | None = None
    """Of the masks: the mean over background and classes of intersection over union."""
    pck: float | None = None
    """Share of visible key points within a tenth of the box's longer side."""


def measure(split: str = "test", n: int = 300, seed: int = 0, made_from: int = 600) -> list[Baseline]:
    """Trivial answers, made from some training scenes, on n scenes and n thumbnails of a split.

    Args:
        split: "train", "validation" or "test"; n: how many pictures of it are answered; seed: of these.
        made_from: how many pictures of the train split (seed 0) the answers are made from.

    Returns:
        One `Baseline` for each answer. Where it says so, the class is given to it.
    """
    seen, asked = scenes(made_from, split="train"), scenes(n, seed=seed, split=split)
    small_seen = scenes.thumbnails(made_from, split="train")
    small_asked = scenes.thumbnails(n, seed=seed, split=split)
    return [
        *_boxes(seen, asked),
        *_classes("scenes", seen, asked),
        *_classes("thumbnails", small_seen, small_asked),
        *_masks(seen, asked),
        _keypoints(seen, asked),
    ]


def _boxes(seen: LabelledImages, asked: LabelledImages) -> list[Baseline]:
    truth, labels = asked.boxes[:, 0], asked.classes[:, 0]
    of_class = class_median_boxes(seen.boxes[:, 0], seen.classes[:, 0], len(seen.class_names))
    answers = {
        "one box for all (median)": np.tile(median_box(seen.boxes[:, 0]), (len(truth), 1)),
        "median box of the class, class given": of_class[labels],
        "largest colour blob": np.array([largest_blob(image) for image in asked.images], np.float32),
    }
    found = {name: pair_iou(boxes, truth) for name, boxes in answers.items()}
    return [
        Baseline("scenes", name, mean_iou=float(iou.mean()), over_half=float((iou >= 0.5).mean()))
        for name, iou in found.items()
    ]


def _classes(pictures: str, seen: LabelledImages, asked: LabelledImages) -> list[Baseline]:
    labels, known = asked.classes[:, 0], seen.classes[:, 0]
    most = np.bincount(known).argmax()
    means = seen.images.mean(axis=(1, 2))
    centres = np.stack([means[known == c].mean(axis=0) for c in range(len(seen.class_names))])
    apart = ((asked.images.mean(axis=(1, 2))[:, None] - centres) ** 2).sum(axis=-1)
    nearest = apart.argmin(axis=1)
    return [
        Baseline(pictures, "majority class", accuracy=float((labels == most).mean())),
        Baseline(pictures, "class of the nearest mean colour", accuracy=float((labels == nearest).mean())),
    ]


def _masks(seen: LabelledImages, asked: LabelledImages) -> list[Baseline]:
    count = len(asked.mask_names)
    of_colour = np.zeros((16**3, count), np.int64)
    labelled = seen.masks != IGNORED
    np.add.at(of_colour, (_colour_number(seen.images)[labelled], seen.masks[labelled]), 1)
    answers = {
        "every pixel background": np.zeros(asked.masks.shape, np.int64),
        "most frequent label of the place": np.broadcast_to(
            position_prior(seen.masks, count), asked.masks.shape
        ),
        "most frequent label of the pixel's colour": of_colour.argmax(axis=1)[_colour_number(asked.images)],
    }
    return [
        Baseline("scenes", name, mean_iu=quality(confusion_matrix(asked.masks, answer, count)).mean_iu)
        for name, answer in answers.items()
    ]


def _colour_number(pictures: np.ndarray) -> np.ndarray:
    """Which of 16 x 16 x 16 colours a pixel has, (n, H, W)."""
    red, green, blue = np.moveaxis(pictures.astype(np.int64) // 16, -1, 0)
    return (red * 16 + green) * 16 + blue


def _keypoints(seen: LabelledImages, asked: LabelledImages) -> Baseline:
    points, known = seen.keypoints[:, 0], seen.classes[:, 0]
    medians = np.stack([np.median(points[known == c], axis=0) for c in range(len(seen.class_names))])
    near = pck(medians[asked.classes[:, 0]], asked.keypoints[:, 0], asked.visible[:, 0], asked.boxes[:, 0])
    return Baseline("scenes", "median key points of the class, class given", pck=near)


def write_record() -> None:
    """Measure on the scenes on which `localization_methods` judges, and write the record."""
    start = time.perf_counter()
    rows = measure("test", TEST, FRESH, MEDIAN_FROM)
    test = scenes(TEST, seed=FRESH, split="test")
    digest = hashlib.sha256(test.images.tobytes() + test.masks.tobytes() + test.boxes.tobytes())
    baselines = {
        f"{row.pictures}: {row.answer}": {
            name: round(value, 3) for name, value in asdict(row).items() if isinstance(value, float)
        }
        for row in rows
    }
    name = f"scenes, test split, {TEST} pictures 96x96; answers made from {MEDIAN_FROM}"
    runs.record(
        "scenes_baselines",
        command="python -m experiments.scene_baselines",
        seed=FRESH,
        precision="float32",
        minutes=(time.perf_counter() - start) / 60,
        data={"name": name, "sha256": digest.hexdigest()},
        metrics={},
        baselines=baselines,
    )
    for name, values in baselines.items():
        print(f"{name:60s} {values}")


if __name__ == "__main__":
    write_record()
