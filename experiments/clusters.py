"""Do hypercolumns find an object better than colours do? Two clusters, judged by the true mask. Notebook 03.

`python -m experiments.clusters` clusters pictures of `scenes` and the photographs whose objects have
a GrabCut mask, by colour, by colour and position, by the hypercolumns of the original VGG-16, of random
weights and of the half-width network, and writes the record `hypercolumns_clusters`. The cluster that fits
the object better counts. With `speed` behind it, it writes the record `hypercolumns_speed` from the results
of `course bench hypercolumns`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import harness as bench
from course_utils import hypercolumns, runs, runtime
from course_utils.datasets import cutouts, scenes
from course_utils.hypercolumns import Factored
from course_utils.networks import pretrained
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

ALL = (3, 8, 15, 22, 29)
STARTS = 3


def ways(image: np.ndarray, models: Mapping[str, keras.Model]) -> dict[str, Factored]:
    """What is clustered: a name, and the values of every pixel.

    Args:
        models: {name: network}; the first is clustered in other ways, too.
    """
    from skimage.color import rgb2lab

    size = image.shape[:2]
    columns = {name: Factored.from_model(model, image, ALL) for name, model in models.items()}
    first = next(iter(models))
    zeros = Factored.from_model(models[first], image, ALL, padding="zeros")
    lab = rgb2lab(image / 255)
    return {
        "RGB": Factored({"rgb": image}, size),
        "Lab": Factored({"lab": lab}, size),
        "Lab and position, standardized": Factored({"lab": lab, "place": places(size)}, size).standardized(),
        f"{first}, as they are": columns[first],
        f"{first}, zeros at the border": zeros.standardized(),
        **{name: each.standardized() for name, each in columns.items()},
    }


def places(size: tuple[int, int]) -> np.ndarray:
    """Every pixel's row and column as shares of the picture: (H, W, 2) float32."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.stack([rows / size[0], columns / size[1]], axis=-1).astype(np.float32)


def trivial(mask: np.ndarray) -> dict[str, float]:
    """IoU of answers that do not look at the picture: all of it, and an ellipse in the middle."""
    height, width = mask.shape
    y, x = np.mgrid[:height, :width]
    middle = ((y + 0.5) / height - 0.5) ** 2 + ((x + 0.5) / width - 0.5) ** 2 < 0.3**2
    everything = hypercolumns.best_iou(np.zeros(mask.shape, int), mask)
    judged, truth = mask != 255, (mask > 0) & (mask != 255)
    common = (middle & truth).sum()
    return {
        "the whole picture": everything,
        "an ellipse in the middle": float(common / ((middle & judged).sum() + truth.sum() - common)),
    }


def pictures(scene_count: int, side: int, seed: int) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """(image, mask) of scenes and of photographs; masks uint8 with 255 where nothing is judged."""
    composed = scenes(scene_count, size=side, seed=seed, split="test")
    pairs = [
        (image.astype(np.float32), mask) for image, mask in zip(composed.images, composed.masks, strict=True)
    ]
    photographs = []
    for drawn in cutouts.outlines():
        photo = images.fit(images.sample(drawn["photograph"]), side)
        mask = images.read(runtime.shipped(f"outlines/{drawn['name']}.png"))[..., 0]
        photographs.append((photo, (images.resize(mask, photo.shape[:2]) > 127).astype(np.uint8)))
    return {"scenes": pairs, "photographs": photographs}


def measure(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], describe: Callable[[np.ndarray], dict[str, Factored]]
) -> dict[str, float]:
    """Mean IoU over the pictures, for each way that `describe` makes of a picture."""
    found: dict[str, list[float]] = {}
    for image, mask in pairs:
        for name, factored in describe(image).items():
            labels = hypercolumns.kmeans(factored, 2, n_init=STARTS, tol=1e-4, seed=0).labels
            found.setdefault(name, []).append(hypercolumns.best_iou(labels, mask))
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}


def networks() -> dict[str, keras.Model]:
    """The original VGG-16, the same with random weights, and the course's half-width network."""
    return {
        "hypercolumns": pretrained.load_vgg16(until="block5_conv3"),
        "hypercolumns of random weights": pretrained.load_vgg16(None, until="block5_conv3"),
        "hypercolumns of half width": pretrained.load_vgg16("course", until="block5_conv3"),
    }


def write_record(scene_count: int = 20, side: int = 160, seed: int = 0) -> runs.Run:
    """Measure all ways on both kinds of picture and write the record."""
    runtime.start(seed=seed)
    start = time.perf_counter()
    models = networks()
    groups = pictures(scene_count, side, seed)
    digest = hashlib.sha256(
        b"".join(part.tobytes() for pairs in groups.values() for pair in pairs for part in pair)
    )
    metrics, baselines = {}, {}
    for group, pairs in groups.items():
        metrics[group] = measure(pairs, lambda image: ways(image, models))
        answers = [trivial(mask) for _, mask in pairs]
        baselines[group] = {name: round(float(np.mean([a[name] for a in answers])), 3) for name in answers[0]}
    counts = ", ".join(f"{len(pairs)} {group}" for group, pairs in groups.items())
    return runs.record(
        "hypercolumns_clusters",
        command="python -m experiments.clusters",
        seed=seed,
        precision="float32",
        minutes=(time.perf_counter() - start) / 60,
        data={"name": f"{counts}, {side} pixels", "sha256": digest.hexdigest()},
        metrics=metrics,
        baselines=baselines,
    )


def write_speed_record() -> runs.Run:
    """Turn what `course bench hypercolumns` recorded last into the record `hypercolumns_speed`."""
    path = bench.FOLDER / "results" / "hypercolumns.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    cases: dict[str, dict[str, dict[str, float]]] = {}
    for row in result["rows"]:
        figures = {key: row[key] for key in ("seconds", "peak_mb", "ratio")}
        cases.setdefault(row["case"], {})[row["way"]] = figures
    return runs.record(
        "hypercolumns_speed",
        command="course bench hypercolumns",
        seed=0,
        precision="float32",
        minutes=sum(row["seconds"] for row in result["rows"]) / 60,  # of one timed run of each
        data={"name": "chelsea, He-initialized weights of seed 0", "sha256": runs.fingerprint(path)},
        metrics=cases,
        baselines={"document": "a resize for each map, KMeans", "plain": "a resize for each layer, KMeans"},
        made_in=result["environment"],
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["speed"]:
        write_speed_record()
        sys.exit()
    run = write_record()
    for group in run.metrics:
        for name, value in (run.metrics[group] | run.baselines[group]).items():
            print(f"{group:<12} {name:<42} {value:.3f}")
