"""How large should a picture be? Names right by the size at which the network sees it. Notebook 01.

    python -m experiments.input_sizes --data DIR --run FOLDER

FOLDER is that of a run of `course train names`: the averages of its crops are kept there, so that the head is
solved once more in seconds, without the pictures that are judged here. The trunk never changes; of each
photograph it sees the square in the middle, at every size. Photographs of 240 and of 144 pixels stand apart:
beyond its own size a picture is enlarged, and nothing is added but scale.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from course_utils import runs, runtime
from course_utils.networks import gradients, pretrained, vgg16
from course_utils.training import names

if TYPE_CHECKING:
    import keras

SIDES = (48, 64, 96, 128, 160, 192, 224, 288, 352)
FOLDERS = {"one_a_class": "photographs of 240 pixels", "imagenette": "photographs of 144 pixels"}

Head = tuple[np.ndarray, np.ndarray]


def head_without(photographs: Mapping[str, names.Folder], run: Path, recipe: names.Recipe) -> Head:
    """The dense layer that saw none of the pictures kept out, from the averages that a run left."""
    crops = names.plan({name: len(folder.pictures) for name, folder in photographs.items()}, recipe.seed)
    known = names.look(photographs, crops[: recipe.crops], {}, run / "state")
    masks = names.held_out(photographs, recipe.seed)
    kept = np.array([bool(masks[crop.folder][crop.picture]) for crop in known.crops])
    return names.fit(known.part(~kept), recipe)


def averages(trunk: keras.Model, pictures: Sequence[np.ndarray], side: int) -> np.ndarray:
    """Of each picture's middle square, seen at `side` pixels: float32 (n, 512)."""
    pretrained.remember(trunk, replace(pretrained.about(trunk), input_size=side))
    some = [pictures[start : start + 4] for start in range(0, len(pictures), 4)]
    return np.concatenate([gradients.forward(trunk, pretrained.prepare(trunk, x)).mean((1, 2)) for x in some])


def by_side(trunk: keras.Model, head: Head, folder: names.Folder, rows: np.ndarray) -> dict[str, float]:
    """{size in pixels: the share of first answers that are right}"""
    kernel, bias = head
    pictures, labels = [folder.pictures[row] for row in rows], folder.labels[rows]
    found = {}
    for side in SIDES:
        logits = averages(trunk, pictures, side) @ kernel + bias
        found[str(side)] = names.rates(logits, labels)["first"]
    return found


def run(data: Path, kept: Path, judged: int = 100, seed: int = 0) -> runs.Run:
    """Measure and record it as "names_sizes"."""
    runtime.start(seed)
    began, recipe = time.monotonic(), names.Recipe(seed=seed)
    photographs = names.read(data)
    head = head_without(photographs, kept, recipe)
    trunk = pretrained.load_vgg16(until=vgg16.LAYERS[-1])
    masks = names.held_out(photographs, seed)
    rows = {name: np.flatnonzero(masks[name]) for name in FOLDERS if name in photographs}
    rows = {name: each[:: max(1, len(each) // judged)][:judged] for name, each in rows.items()}
    majority = {
        FOLDERS[name]: float(np.bincount(photographs[name].labels[each]).max() / len(each))
        for name, each in rows.items()
    }
    found = {FOLDERS[name]: by_side(trunk, head, photographs[name], each) for name, each in rows.items()}
    return runs.record(
        "names_sizes",
        command="python -m experiments.input_sizes --data DIR --run FOLDER",
        seed=seed,
        precision="float32",
        minutes=(time.monotonic() - began) / 60,
        data={
            "name": ", ".join(f"{len(each)} {FOLDERS[name]}" for name, each in rows.items()),
            "sha256": runs.fingerprint(data),
        },
        metrics=found,
        baselines={"the commonest class": majority},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Names right by the size of the picture.")
    parser.add_argument("--data", type=Path, required=True, help="folder with one_a_class and imagenette")
    parser.add_argument("--run", type=Path, required=True, help="folder of a run of `course train names`")
    parser.add_argument("--judged", type=int, default=100, help="pictures of each folder")
    given = parser.parse_args()
    print(run(given.data, given.run, given.judged).metrics)
