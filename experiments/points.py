"""Key points by hypercolumns: mark a pixel on one picture, find it on another. Notebook 03.

`python -m experiments.points --data caltech_boxes` takes the wheels of ten motorcycles from photograph
to photograph (Caltech-101; the hubs in `HUBS` were marked by eye) and the key points of the six objects
from their photographs into `scenes`, and writes the record `hypercolumns_points`: the share of points found
within a tenth of the longer side of the object's box (PCK@0.1). Mirrored, the front wheel is where the rear
one was: there position cannot help.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from course_utils import hypercolumns, runs, runtime
from course_utils.datasets import cutouts, scenes
from course_utils.hypercolumns import Factored
from course_utils.pictures import images
from experiments.clusters import ALL, networks, places

if TYPE_CHECKING:
    import keras

HUBS: Mapping[str, tuple[tuple[float, float] | None, tuple[float, float]]] = {
    "image_0001.jpg": ((0.283, 0.737), (0.797, 0.728)),
    "image_0089.jpg": ((0.217, 0.590), (0.764, 0.636)),
    "image_0177.jpg": ((0.275, 0.669), (0.775, 0.669)),
    "image_0265.jpg": (None, (0.747, 0.682)),  # the rear one is hidden
    "image_0353.jpg": ((0.291, 0.681), (0.772, 0.573)),
    "image_0441.jpg": ((0.277, 0.655), (0.714, 0.650)),
    "image_0529.jpg": ((0.261, 0.690), (0.761, 0.695)),
    "image_0617.jpg": ((0.255, 0.657), (0.731, 0.661)),
    "image_0705.jpg": ((0.258, 0.609), (0.761, 0.681)),
    "image_0793.jpg": ((0.338, 0.620), (0.747, 0.620)),
}
"""Hubs of the rear and the front wheel, x and y as shares of width and height."""

Marked = tuple[np.ndarray, np.ndarray, float]  # picture, points (K, 2) in pixels (NaN: none), longer side
Describe = Callable[[np.ndarray], Factored]


def motorcycles(folder: Path) -> list[Marked]:
    """The photographs of `HUBS` with both hubs; the longer side is that of the motorcycle's box."""
    import csv

    with (folder / "boxes.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row[0] == "motorcycle"]
    sides = {row[1]: max(float(row[4]) - float(row[2]), float(row[5]) - float(row[3])) for row in rows}
    marked = []
    for name, hubs in HUBS.items():
        image = images.read(folder / "motorcycle" / name)
        points = np.array([hub or (np.nan, np.nan) for hub in hubs]) * (image.shape[1], image.shape[0])
        marked.append((image, points, sides[name]))
    return marked


def mirrored(marked: Marked) -> Marked:
    """The same, left and right exchanged."""
    image, points, side = marked
    return np.ascontiguousarray(image[:, ::-1]), points * (-1, 1) + (image.shape[1], 0), side


def objects(count: int, side: int) -> list[tuple[Marked, Marked]]:
    """(photograph, scene) of the six objects in turn, each scene with one object and other surroundings."""
    pairs = []
    for number, thing in enumerate(cutouts.shipped_objects()):
        high, wide = thing.image.shape[:2]
        scale = 0.8 * side / max(high, wide)
        size = round(high * scale), round(wide * scale)
        photo = images.resize(thing.image, size), thing.points * scale, float(max(size))
        found = scenes(count, size=side, seed=number, split="test", classes=[thing.name])
        for i in range(count):
            points = np.where(found.visible[i, 0, :, None], found.keypoints[i, 0], np.nan)
            pairs.append((photo, (found.images[i].astype(np.float32), points, max(found.boxes[i, 0, 2:]))))
    return pairs


def ways(models: Mapping[str, keras.Model]) -> dict[str, Describe]:
    """What stands for a pixel."""
    from skimage.color import rgb2lab

    def colour(image: np.ndarray) -> Factored:
        import cv2

        lab = rgb2lab(image / 255).astype(np.float32)
        return Factored({"lab": lab, "around": cv2.blur(lab, (9, 9))}, image.shape[:2]).standardized()

    def of(model: keras.Model) -> Describe:
        return lambda image: Factored.from_model(model, image, ALL).standardized()

    position: dict[str, Describe] = {"position": lambda image: Factored({"place": places(image.shape[:2])},
                                                                       image.shape[:2])}  # fmt: skip
    return position | {"Lab": colour} | {name: of(model) for name, model in models.items()}


def hits(source: Marked, from_: Factored, target: Marked, to: Factored, name: str) -> Iterator[bool]:
    """For every point of both pictures: is the best match within a tenth of the target's longer side?"""
    for (x, y), truth in zip(source[1], target[1], strict=True):
        if np.isnan([x, y, *truth]).any():
            continue
        row, column = (int(np.clip(v, 0, n - 1)) for v, n in zip((y, x), from_.size, strict=True))
        kind = "distance" if name in ("position", "Lab") else "cosine"
        found = hypercolumns.match(from_, row, column, to, kind)
        yield bool(np.hypot(found[1] + 0.5 - truth[0], found[0] + 0.5 - truth[1]) <= 0.1 * target[2])


def measure(pairs: list[tuple[Marked, Marked]], name: str, describe: Describe) -> float:
    """Share of the points found."""
    known: dict[int, Factored] = {}
    for picture in {id(one): one for pair in pairs for one in pair}.values():
        known[id(picture)] = describe(picture[0])
    found = [hit for a, b in pairs for hit in hits(a, known[id(a)], b, known[id(b)], name)]
    return round(float(np.mean(found)), 3)


def write_record(data: Path, count: int = 3, side: int = 160) -> runs.Run:
    """Measure all ways and write the record."""
    runtime.start(seed=0)
    start = time.perf_counter()
    bikes = motorcycles(data)
    turned = [mirrored(bike) for bike in bikes]
    groups = {
        "wheels": [(a, b) for a in bikes for b in bikes if a is not b],
        "wheels, mirrored": [(a, b) for i, a in enumerate(bikes) for j, b in enumerate(turned) if i != j],
        "six objects in scenes": objects(count, side),
    }
    chosen = {name: model for name, model in networks().items() if "half" not in name}
    metrics: dict[str, dict[str, float]] = {group: {} for group in groups}
    for name, describe in ways(chosen).items():
        for group, pairs in groups.items():
            metrics[group][name] = measure(pairs, name, describe)
            print(f"{group:<24} {name:<32} {metrics[group][name]:.3f}", flush=True)
    trivial = {
        group: {way: found.pop(way) for way in ("position", "Lab")} for group, found in metrics.items()
    }
    return runs.record(
        "hypercolumns_points",
        command="python -m experiments.points --data caltech_boxes",
        seed=0,
        precision="float32",
        minutes=(time.perf_counter() - start) / 60,
        data={
            "name": f"{len(bikes)} motorcycles, each with each; {6 * count} scenes of {side} pixels",
            "sha256": runs.fingerprint(data / "boxes.csv"),
        },
        metrics=metrics,
        baselines=trivial,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of caltech_boxes")
    write_record(parser.parse_args().data)
