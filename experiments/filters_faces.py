"""Which maps of the original answer to faces, though no class of it is called face? Notebook 08.

    python -m experiments.filters_faces --data DIR        # DIR: Caltech-101's faces, motorcycles, airplanes

Of every layer the one filter is chosen whose strongest value ranks faces highest in one half of the
photographs, and judged on the other half; a random network chooses its own in the same way. Numbers only: the
photographs show private persons.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np

from course_utils import runs, runtime
from course_utils.features.maps import tap
from course_utils.features.receptive_field import receptive_field
from course_utils.networks import pretrained, vgg16
from course_utils.networks.gradients import forward
from course_utils.pictures import images

LAYERS = ("block3_conv3", "block4_conv3", "block5_conv3")
EACH, SIDE = 24, 112


def ranking(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of every column: how often a positive's score is above a negative's."""
    above = scores[positive][:, None] > scores[~positive][None]
    equal = scores[positive][:, None] == scores[~positive][None]
    return (above + 0.5 * equal).mean((0, 1))


def photographs(data: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Pictures, their classes, and boxes x1, y1, x2, y2 as shares of the sides."""
    with (data / "boxes.csv").open() as file:
        rows = [row for row in csv.reader(file) if row[2].replace(".", "").isdigit()]
    rng = np.random.default_rng(0)
    chosen = []
    for name in sorted({row[0] for row in rows}):
        own = [row for row in rows if row[0] == name]
        chosen += [own[k] for k in rng.permutation(len(own))[:EACH]]
    pictures = [images.resize(images.read(data / row[0] / row[1]), SIDE) for row in chosen]
    boxes = np.array([[float(v) for v in row[2:6]] for row in chosen])
    sides = np.array([[float(v) for v in row[6:8]] * 2 for row in chosen])
    return pictures, np.array([row[0] for row in chosen]), boxes / sides


def look(model: object, pictures: list[np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For every layer the strongest value of each filter in each picture (N, C), and its place (N, C, 2)."""
    part = tap(model, LAYERS)
    found: dict[str, list] = {layer: [] for layer in LAYERS}
    for first in range(0, len(pictures), 8):
        x = pretrained.about(model).preprocess(np.stack(pictures[first : first + 8]))
        for layer, maps in zip(LAYERS, forward(part, x), strict=True):
            flat = maps.reshape(len(maps), -1, maps.shape[-1])
            field = receptive_field(model, layer)
            places = np.stack(np.unravel_index(flat.argmax(1), maps.shape[1:3]), axis=-1)
            found[layer].append((flat.max(1), (field.offset + places * field.stride) / SIDE))
    return {layer: tuple(map(np.concatenate, zip(*rows, strict=True))) for layer, rows in found.items()}


def judge(found: dict, classes: np.ndarray, boxes: np.ndarray, wanted: str) -> dict[str, dict[str, float]]:
    """The filter chosen on even pictures, judged on odd ones."""
    positive, odd = classes == wanted, np.arange(len(classes)) % 2 == 1
    answers = {}
    for layer, (values, places) in found.items():
        best = int(ranking(values[~odd], positive[~odd]).argmax())
        shown = positive & odd
        x1, y1, x2, y2 = boxes[shown].T
        y, x = places[shown, best].T
        answers[layer] = {
            "filter": best,
            "ranking": round(float(ranking(values[odd][:, [best]], positive[odd])[0]), 3),
            "inside": round(float(((x > x1) & (x < x2) & (y > y1) & (y < y2)).mean()), 3),
            "height": round(float(np.median((y - y1) / (y2 - y1))), 2),
        }
    return answers


def _shares(classes: np.ndarray, boxes: np.ndarray) -> dict[str, float]:
    """Mean share of the picture that a class's box covers: what a place picked blindly hits."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return {str(name): round(float(areas[classes == name].mean()), 3) for name in np.unique(classes)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Faces among the maps.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="original")
    options = parser.parse_args()
    runtime.start(seed=0)
    begun = time.perf_counter()
    pictures, classes, boxes = photographs(options.data)
    networks = {
        "trained": pretrained.load_vgg16(options.weights, until=LAYERS[-1]),
        "random": vgg16.build(until=LAYERS[-1]),
    }
    results = {}
    for name, model in networks.items():
        found = look(model, pictures)
        kinds = map(str, np.unique(classes))
        results[name] = {wanted: judge(found, classes, boxes, wanted) for wanted in kinds}
        print(name, results[name], flush=True)
    run = runs.record(
        "filters_faces",
        command="python -m experiments.filters_faces --data caltech_boxes",
        seed=0,
        precision="float32",
        minutes=(time.perf_counter() - begun) / 60,
        data={
            "name": "Caltech-101: faces, motorcycles, airplanes",
            "sha256": runs.fingerprint(options.data / "boxes.csv"),
        },
        metrics={"photographs": len(pictures), "side": SIDE, **results["trained"]},
        baselines={"chance": 0.5, "box / picture": _shares(classes, boxes), "random": results["random"]},
    )
    print(run.folder)


if __name__ == "__main__":
    main()
