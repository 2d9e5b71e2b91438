"""The head `scenes_dense`: Flatten and Dense on the original VGG-16, to be made convolutional. Notebook 05.

64x64 pixels -> block 5, 2x2x512 -> 128 -> background or one of the six objects of `scenes`. Converted, it
answers at every 32nd pixel of a larger picture: a heat map of where the objects are. Only the two dense
layers are trained and ship; below them are the original's convolutions, as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runtime, training
from course_utils.datasets import LabelledImages, scenes
from course_utils.datasets.labelled import IGNORED
from course_utils.networks import gradients, heads, pretrained, weight_files
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

SIDE = 64
CLASS_NAMES: tuple[str, ...] = ("background", *scenes.class_names)


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        dropout: between the two layers.
        units: of the first layer.
        pictures: scenes of 128x128 pixels, each cut into windows.
    """

    dropout: float = 0.5
    units: int = 128
    pictures: int = 150


# --- windows --------------------------------------------------------------------------------------------


def windows(pictures: LabelledImages, side: int = SIDE, step: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Cut pictures into windows, and say what is in each.

    A window is of an object's class if it holds at least 70 % of that object's pixels, and less than a tenth
    of any other's; it is background if it holds less than 3 % of every object. What lies between is left
    out: nobody can be judged by half an object.

    Returns:
        uint8 (n, side, side, 3), and int64 (n,): 0 background, else 1 + the class.
    """
    height, width = pictures.masks.shape[1:]
    x, y = [], []
    for i in range(len(pictures)):
        count = pictures.classes.shape[1]
        whole = np.bincount(pictures.instances[i].ravel(), minlength=count + 1)[1:]
        for top in range(0, height - side + 1, step):
            for left in range(0, width - side + 1, step):
                place = np.s_[i, top : top + side, left : left + side]
                inside = np.bincount(pictures.instances[place].ravel(), minlength=count + 1)[1:]
                label = _label(inside / np.maximum(whole, 1), pictures.classes[i])
                if label != IGNORED:
                    x.append(pictures.images[place])
                    y.append(label)
    return np.stack(x), np.array(y, np.int64)


def _label(shares: np.ndarray, classes: np.ndarray) -> int:
    """The class of a window that holds these shares of the objects; 255 if it is hard to say."""
    if (shares < 0.03).all():
        return 0
    best = int(shares.argmax())
    others = np.delete(shares, best)
    return int(classes[best]) + 1 if shares[best] >= 0.7 and (others < 0.1).all() else IGNORED


def some_of_each(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices, in order, that leave out what the background has more than twice the mean of the others."""
    counts = np.bincount(y, minlength=len(CLASS_NAMES))
    most = int(2 * counts[1:].mean())
    ground = np.flatnonzero(y == 0)
    return np.sort(np.concatenate([np.flatnonzero(y > 0), rng.permutation(ground)[:most]]))


# --- the network ----------------------------------------------------------------------------------------


def build(backbone: keras.Model | None = None, units: int = 128, dropout: float = 0.0) -> keras.Model:
    """The classifier: (N, 64, 64, 3), BGR minus the mean -> softmax (N, 7).

    Args:
        backbone: a VGG-16 for 64x64 pixels without a top; default the original's.
    """
    from keras import Model, layers

    backbone = backbone or _trunk()
    x = layers.Flatten(name="flatten")(backbone.output)
    return Model(backbone.input, _head(x, units, dropout), name="scenes_dense")


def _trunk() -> keras.Model:
    return pretrained.load_vgg16(include_top=False, input_shape=(SIDE, SIDE, 3))


def _head(x: Any, units: int, dropout: float) -> Any:
    from keras import layers

    x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name="fc1")(x)
    x = layers.Dropout(dropout, name="fc1_dropout")(x) if dropout else x
    return layers.Dense(len(CLASS_NAMES), activation="softmax", dtype="float32", name="predictions")(x)


def load(weights: str | Path = "scenes_dense") -> keras.Model:
    """The trained classifier; `convert.dense_to_convolutional` makes it answer on larger pictures.

    Args:
        weights: the name of weights that ship, or a path.

    Raises:
        FileNotFoundError: there are none.
        ValueError: they were trained on another trunk.
    """
    values, card = heads.read(weights)
    model = build(units=values["fc1_bias"].shape[0])
    weight_files.put(model, values, weights, only=("fc1", "predictions"))
    title = str(card["title"])
    return pretrained.remember(
        model,
        pretrained.About(
            name=title, weights=str(weights), class_names=CLASS_NAMES, input_size=SIDE, card=card
        ),
    )


def features(backbone: keras.Model, x: np.ndarray, batch: int = 64) -> np.ndarray:
    """Block 5 of windows, flattened: uint8 (n, 64, 64, 3) -> float32 (n, values)."""
    return gradients.forward(backbone, x, batch, before=images.preprocess).reshape(len(x), -1)


# --- the run --------------------------------------------------------------------------------------------


def _counts(recipe: Recipe) -> dict[str, int]:
    return {
        "train": recipe.pictures,
        "validation": max(12, recipe.pictures // 6),
        "test": max(12, recipe.pictures // 4),
    }


def _windows(split: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of scenes with one or two objects each about as large as a window."""
    x, y = windows(scenes(n, size=128, seed=seed, objects=(1, 2), split=split, longest=(0.3, 0.6)))
    pick = some_of_each(y, np.random.default_rng(seed))
    return x[pick], y[pick]


def _compiled(recipe: Recipe, values: int) -> keras.Model:
    """The dense layers alone, on the maps of block 5."""
    from keras import Input, Model, optimizers

    inputs = Input((values,), name="maps")
    model = Model(inputs, _head(inputs, recipe.units, recipe.dropout), name="dense_layers")
    optimizer = optimizers.AdamW(recipe.rate, weight_decay=recipe.decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=runtime.xla())
    return model


def _batches(recipe: Recipe, maps: np.ndarray, labels: np.ndarray) -> training.Batches:
    def one_epoch(epoch: int) -> Iterator[training.Batch]:
        rng = np.random.default_rng([recipe.seed, epoch])
        for pick in training.shuffled(len(labels), recipe.batch, rng):
            yield maps[pick], labels[pick]

    return one_epoch


class ScenesDense(training.Trainer[Recipe]):
    """The two dense layers, trained on the windows' maps and judged on new places."""

    command = "scenes-dense"
    largest_mb = 2.0

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, "scenes_dense")

    def load(self) -> None:
        backbone = _trunk()
        self.parts = {
            split: _windows(split, n, self.recipe.seed) for split, n in _counts(self.recipe).items()
        }
        self.maps = {split: features(backbone, x) for split, (x, _) in self.parts.items()}
        windows = {split: len(y) for split, (_, y) in self.parts.items()}
        self.data = {"name": "scenes", "sha256": _fingerprint(self.parts), "windows": windows}

    def build(self) -> keras.Model:
        return _compiled(self.recipe, self.maps["train"].shape[1])

    def steps(self) -> int:
        return training.steps_in(len(self.parts["train"][1]), self.recipe.batch)

    def batches(self) -> training.Batches:
        return _batches(self.recipe, self.maps["train"], self.parts["train"][1])

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"trunk": heads.trunk_hash()}

    def validate(self, model: keras.Model) -> dict[str, float]:
        answer = gradients.forward(model, self.maps["validation"]).argmax(-1)
        return {"val_accuracy": float((answer == self.parts["validation"][1]).mean())}

    def judge(self, path: Path) -> training.Judgement:
        model = build(units=self.recipe.units)
        weight_files.put(model, weight_files.read(path), path, only=("fc1", "predictions"))
        x, y = self.parts["test"]
        answer = features(model, x).argmax(-1)
        by_class = {
            name: float((answer == i)[y == i].mean()) for i, name in enumerate(CLASS_NAMES) if (y == i).any()
        }
        majority = np.bincount(self.parts["train"][1]).argmax()
        metrics = {"test_accuracy": float((answer == y).mean()), "test_accuracy_by_class": by_class}
        baselines = {"majority_class": float((y == majority).mean()), "chance": 1 / len(CLASS_NAMES)}
        card = {
            "title": "a dense head on the original VGG-16: objects of scenes",
            "class_names": list(CLASS_NAMES),
            "input_size": SIDE,
            "data": "scenes: six objects from photographs that the installed packages carry; other "
            "backgrounds for training, choosing and testing, but the same objects.",
            "trunk": heads.trunk_hash(),
            "limits": "Answers with background or one of six objects, one photograph of each.",
        }
        return training.Judgement(metrics, baselines, card)


def _fingerprint(parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    whole = hashlib.sha256()
    for x, y in parts.values():
        whole.update(x.tobytes() + y.tobytes())
    return whole.hexdigest()
