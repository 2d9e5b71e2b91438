"""Which maps find eyes and wheels in photographs for which they were not chosen? Notebook 02.

    python -m experiments.maps_found --data DIR        # Caltech-101: faces and motorcycles, with boxes.csv

Of all maps of blocks 3 to 5 the one is chosen that singles the thing out best in some photographs; it is
judged on the others. Then the others choose. Six networks with random weights do the same, each with its own
maps, and so does the place alone: a spot where the thing was in the photographs of the choice. Numbers only:
some of the photographs show private persons.

Photographers put things in the same place again and again, and there the place alone would win. So every
photograph is cropped to a part of it, at random, with the thing inside.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runs, runtime
from course_utils.features.maps import feature_maps
from course_utils.networks import pretrained, vgg16
from course_utils.pictures import images
from experiments.points import HUBS

if TYPE_CHECKING:
    import keras

LAYERS = ("block3_conv3", "block4_conv3", "block5_conv3")
SIDE, SEEDS = 336, 6

EYES: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "image_0005.jpg": ((0.490, 0.587), (0.494, 0.715)),
    "image_0041.jpg": ((0.444, 0.278), (0.450, 0.417)),
    "image_0077.jpg": ((0.490, 0.473), (0.490, 0.620)),
    "image_0113.jpg": ((0.429, 0.406), (0.429, 0.558)),
    "image_0149.jpg": ((0.436, 0.452), (0.436, 0.576)),
    "image_0185.jpg": ((0.440, 0.267), (0.444, 0.404)),
    "image_0221.jpg": ((0.452, 0.419), (0.452, 0.584)),
    "image_0257.jpg": ((0.475, 0.311), (0.475, 0.427)),
    "image_0329.jpg": ((0.463, 0.404), (0.444, 0.566)),
    "image_0365.jpg": ((0.514, 0.466), (0.498, 0.609)),
}
"""Row and column of the two eyes as shares of height and width, marked by eye."""


@dataclass(frozen=True)
class Marked:
    """A photograph and the points (row, column) of the thing in it, as shares; `radius` likewise."""

    image: np.ndarray
    points: tuple[tuple[float, float], ...]
    radius: float

    def inside(self, shape: Sequence[int]) -> np.ndarray:
        """Which values of a map of this shape lie on the thing; the nearest to each point always does."""
        rows, columns = ((np.indices(shape[:2])[k] + 0.5) / shape[k] for k in range(2))
        found = np.zeros(shape[:2], bool)
        for row, column in self.points:
            far = np.hypot(rows - row, columns - column)
            found |= far <= max(self.radius, float(far.min()))
        return found


@dataclass(frozen=True)
class Thing:
    """Photographs of a thing, in groups: each group judges the map that all others have chosen."""

    pictures: tuple[Marked, ...]
    groups: int

    def judges(self) -> list[np.ndarray]:
        """The numbers of each group's photographs."""
        return np.array_split(np.arange(len(self.pictures)), self.groups)


def framed(marked: Marked, random: np.random.Generator, part: float) -> Marked:
    """A random part of the photograph with the thing inside, `part` of each side, enlarged."""
    points = np.array(marked.points)
    low = np.clip(points.max(axis=0) + 0.04 - part, 0, 1 - part)
    high = np.clip(points.min(axis=0) - 0.04, low, 1 - part)
    corner, sides = random.uniform(low, high), np.array(marked.image.shape[:2])
    (y, x), (tall, wide) = np.round(corner * sides).astype(int), np.round(part * sides).astype(int)
    image = images.fit(marked.image[y : y + tall, x : x + wide], SIDE)
    moved = tuple((float(row), float(column)) for row, column in (points - corner) / part)
    return Marked(image, moved, marked.radius / part)


def things(data: Path) -> dict[str, Thing]:
    """Eyes and wheels, each in random parts of photographs."""
    random, wheels = np.random.default_rng(0), []
    eyes = [Marked(images.read(data / "face" / name), points, 0.05) for name, points in EYES.items()]
    for name, hubs in HUBS.items():
        points = tuple((y, x) for x, y in filter(None, hubs))
        if len(points) == 2:
            wheels.append(Marked(images.read(data / "motorcycle" / name), points, 0.1))
    parts = {"eyes": (eyes, 0.6), "wheels": (wheels, 0.8)}
    return {
        name: Thing(tuple(framed(each, random, part) for each in some), 2)
        for name, (some, part) in parts.items()
    }


def contrast(stack: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How far each map's mean on the thing lies above the mean elsewhere, in its standard deviations."""
    difference = stack[inside].mean(axis=0) - stack[~inside].mean(axis=0)
    return np.asarray(difference / (stack.std(axis=(0, 1)) + 1e-6))


def peaks(stack: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """For each map whether its highest value lies on the thing."""
    return inside.reshape(-1)[stack.reshape(-1, stack.shape[-1]).argmax(axis=0)]


Stacks = Sequence[dict[str, np.ndarray]]  # of each photograph, the maps (h, w, c) by layer


def choose(thing: Thing, stacks: Stacks, by: Sequence[int]) -> tuple[float, str, int]:
    """The map that these photographs choose: its mean contrast on them, its layer, its number."""
    best: tuple[float, str, int] = (-np.inf, "", 0)
    for layer in stacks[0]:
        scores = [contrast(stacks[i][layer], thing.pictures[i].inside(stacks[i][layer].shape)) for i in by]
        mean = np.mean(scores, axis=0)
        best = max(best, (float(mean.max()), layer, int(mean.argmax())))
    return best


def judge(thing: Thing, stacks: Stacks) -> dict[str, Any]:
    """Choose and judge, once for each group."""
    chosen, others, hit, maps = [], [], [], {}
    for number, judges in enumerate(thing.judges(), start=1):
        by = [i for i in range(len(stacks)) if i not in judges]
        score, layer, k = choose(thing, stacks, by)
        asked = [(stacks[i][layer][..., [k]], thing.pictures[i]) for i in judges]
        chosen.append(score)
        others += [float(contrast(one, marked.inside(one.shape))[0]) for one, marked in asked]
        hit += [bool(peaks(one, marked.inside(one.shape))[0]) for one, marked in asked]
        maps[f"choice {number}"] = {"block": int(layer[5]), "map": k}
    return {
        "chosen": float(np.mean(chosen)),
        "others": float(np.mean(others)),
        "peaks": float(np.mean(hit)),
        "maps": maps,
    }


def place_alone(thing: Thing, cells: int = 28) -> dict[str, float]:
    """The same for one map that is bright where the thing was in the photographs of the choice."""
    others, hit = [], []
    for judges in thing.judges():
        by = [marked for i, marked in enumerate(thing.pictures) if i not in judges]
        mean = np.mean([marked.inside((cells, cells)) for marked in by], axis=0, dtype=np.float32)
        for i in judges:
            marked = thing.pictures[i]
            high, wide = marked.image.shape[:2]
            spot = images.resize(mean, (cells * high // max(high, wide), cells * wide // max(high, wide)))
            inside = marked.inside(spot.shape)
            others.append(float(contrast(spot[..., None], inside)[0]))
            hit.append(bool(peaks(spot[..., None], inside)[0]))
    return {"others": float(np.mean(others)), "peaks": float(np.mean(hit))}


def look(model: keras.Model, thing: Thing) -> list[dict[str, np.ndarray]]:
    """The maps of every photograph."""
    return [feature_maps(model, marked.image, LAYERS) for marked in thing.pictures]


def band(found: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean, lowest and highest of several random networks."""
    others, hit = ([each[key] for each in found] for key in ("others", "peaks"))
    return {
        "chosen": float(np.mean([each["chosen"] for each in found])),
        "others": float(np.mean(others)),
        "lowest": min(others),
        "highest": max(others),
        "peaks": float(np.mean(hit)),
        "peaks, highest": max(hit),
    }


def run(data: Path) -> runs.Run:
    """Measure and write the record "maps_found"."""
    runtime.start(seed=0)
    import keras

    began, wanted = time.perf_counter(), things(data)
    trained = pretrained.load_vgg16(until=LAYERS[-1])
    metrics: dict[str, Any] = {name: judge(thing, look(trained, thing)) for name, thing in wanted.items()}
    print(metrics, flush=True)
    luck: dict[str, list[dict[str, Any]]] = {name: [] for name in wanted}
    for seed in range(SEEDS):
        keras.utils.set_random_seed(seed)
        random = vgg16.build(1.0, until=LAYERS[-1])
        for name, thing in wanted.items():
            luck[name].append(judge(thing, look(random, thing)))
        print(seed, {name: found[-1]["others"] for name, found in luck.items()}, flush=True)
    baselines = {
        "random weights": {name: band(found) for name, found in luck.items()},
        "place alone": {name: place_alone(thing) for name, thing in wanted.items()},
    }
    counts = ", ".join(f"{name}: {len(thing.pictures)} photographs" for name, thing in wanted.items())
    return runs.record(
        "maps_found",
        command="python -m experiments.maps_found --data caltech_boxes",
        seed=0,
        precision="float32",
        minutes=(time.perf_counter() - began) / 60,
        data={"name": f"{counts}; {SEEDS} random networks", "sha256": runs.fingerprint(data / "boxes.csv")},
        metrics=metrics,
        baselines=baselines,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Which maps find eyes, faces and wheels?")
    parser.add_argument("--data", type=Path, required=True, help="folder of caltech_boxes")
    found = run(parser.parse_args().data)
    print(found.metrics, found.baselines)
