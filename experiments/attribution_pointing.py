"""Does the class activation map point at the object? The pointing game (Zhang et al., 2016). Notebook 01.

    python -m experiments.attribution_pointing [--caltech DIR]

The map of the first answer, whatever it is, on scenes of one object and, with `--caltech`, on photographs of
Caltech-101 with boxes; beside it the middle of the picture, and the same head on random convolutions.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runs, runtime
from course_utils.datasets import boxes_from_csv, scenes
from course_utils.features import attribution
from course_utils.networks import gradients, pretrained, vgg16
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

    from course_utils.datasets import LabelledImages

LAYER, SIDE = "block5_conv3", 224


def hits(convolutions: keras.Model, head: keras.layers.Layer, data: LabelledImages, batch: int = 8) -> float:
    """The share of pictures whose map has its peak in the box."""
    kernel, bias = (np.asarray(weight, np.float32) for weight in head.get_weights())
    found = []
    for start in range(0, len(data), batch):
        some = data.images[start : start + batch].astype(np.float32)
        answers = gradients.forward(convolutions, images.preprocess(some))
        for maps, box in zip(answers, data.boxes[start : start + batch, 0], strict=True):
            first = int((maps.mean((0, 1)) @ kernel + bias).argmax())
            heat = attribution.class_activation_map(maps, kernel, first)
            found.append(attribution.points_at(heat, box, (SIDE, SIDE)))
    return float(np.mean(found))


def centre(data: LabelledImages) -> float:
    """The share of pictures whose middle lies in the box."""
    x, y, wide, high = data.boxes[:, 0].T
    middle = SIDE / 2
    return float(np.mean((x <= middle) & (middle <= x + wide) & (y <= middle) & (middle <= y + high)))


def run(caltech: Path | None = None, pictures: int = 100, seed: int = 0) -> runs.Run:
    """Play the game and record it as "attribution_pointing"."""
    runtime.start(seed)
    began = time.monotonic()
    sets: dict[str, Any] = {"scenes": scenes(pictures, size=SIDE, seed=7, split="test")}
    if caltech is not None:
        photographs = boxes_from_csv(caltech, caltech / "boxes.csv", size=SIDE, skip=True)
        sets["caltech"] = photographs.subset(slice(None, None, max(1, len(photographs) // pictures)))
    model = pretrained.load_vgg16()
    trained = pretrained.load_vgg16(until=LAYER)
    random = vgg16.build(1.0, until=LAYER)
    head = model.get_layer("predictions")
    metrics = {name: hits(trained, head, data) for name, data in sets.items()}
    baselines = {
        "middle of the picture": {name: centre(data) for name, data in sets.items()},
        "random convolutions": {name: hits(random, head, data) for name, data in sets.items()},
    }
    return runs.record(
        "attribution_pointing",
        command="python -m experiments.attribution_pointing" + (" --caltech DIR" if caltech else ""),
        seed=seed,
        precision="float32",
        minutes=(time.monotonic() - began) / 60,
        data={
            "name": ", ".join(f"{name}: {len(data)} pictures" for name, data in sets.items()),
            "sha256": hashlib.sha256(b"".join(data.boxes.tobytes() for data in sets.values())).hexdigest(),
        },
        metrics=metrics,
        baselines=baselines,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Does the class activation map point at the object?")
    parser.add_argument("--caltech", type=Path, help="folder with boxes.csv and the photographs it names")
    parser.add_argument("--pictures", type=int, default=100)
    given = parser.parse_args()
    found = run(given.caltech, given.pictures)
    print(found.metrics, found.baselines)
