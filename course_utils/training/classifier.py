"""The recipe of a small classifier of one's own pictures: folders are classes. Notebook 05.

The original VGG-16's convolutions stay as they are; their last maps, averaged, are computed once for each
picture and its mirror image, and one dense layer learns from them. `networks.convert` makes of it a network
that says where each class is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runtime, training
from course_utils.datasets.problems import Problems
from course_utils.networks import gradients, heads, pretrained, weight_files
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        side: pixels of the square that the network sees of each picture, whole.
        hold_out: share of each class that is kept out and judged by.
    """

    epochs: int = 60
    batch: int = 32
    rate: float = 1e-2
    side: int = 128
    hold_out: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side < 32 or not 0 < self.hold_out < 1:
            raise ValueError(f"side {self.side}, hold_out {self.hold_out}: at least 32; between 0 and 1")


# --- pictures -------------------------------------------------------------------------------------------


def in_folders(folder: str | Path) -> dict[str, list[Path]]:
    """Class -> its pictures: the folders in a folder, in order of their names.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: fewer than two classes, or a class with fewer than two pictures.
    """
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise FileNotFoundError(f"no folder {place}")
    found = {
        each.name: sorted(
            path
            for path in each.iterdir()
            if path.suffix.lower() in images.SUFFIXES and path.is_file() and not path.name.startswith(".")
        )
        for each in sorted(place.iterdir())
        if each.is_dir() and not each.name.startswith(".")
    }
    if len(found) < 2:
        raise ValueError(f"{place} holds {len(found)} folders: one for each class is needed, two at least")
    few = [f"{name} ({len(paths)})" for name, paths in found.items() if len(paths) < 2]
    if few:
        raise ValueError(f"{place}: at least two pictures of each class, one to judge by: {', '.join(few)}")
    return found


def read(found: dict[str, list[Path]], side: int) -> tuple[np.ndarray, np.ndarray]:
    """All pictures of the classes as squares, uint8 (n, side, side, 3), and the number of each one's class.

    Raises:
        ValueError: naming every picture that can't be read.
    """
    pictures, labels, problems = [], [], Problems("pictures")
    for number, paths in enumerate(found.values()):
        for path in paths:
            try:
                pictures.append(images.to_uint8(images.resize(images.read(path), side)))
                labels.append(number)
            except (OSError, ValueError) as error:
                problems.add(str(error))
    problems.settle()
    return np.stack(pictures), np.array(labels)


def kept_out(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which are judged by, bool (n,): of each class that share, one at least and not all."""
    rng, out = np.random.default_rng(seed), np.zeros(len(labels), bool)
    for value in np.unique(labels):
        here = rng.permutation(np.flatnonzero(labels == value))
        out[here[: min(max(1, round(share * len(here))), len(here) - 1)]] = True
    return out


# --- the network ----------------------------------------------------------------------------------------


def build(classes: int, side: int) -> keras.Model:
    """The classifier: (N, side, side, 3), BGR minus the mean -> softmax (N, classes), on the original."""
    from keras import Model, layers

    trunk = pretrained.load_vgg16(include_top=False, input_shape=(side, side, 3))
    x = layers.GlobalAveragePooling2D(name="average")(trunk.output)
    x = layers.Dense(classes, activation="softmax", dtype="float32", name="predictions")(x)
    return Model(trunk.input, x, name="classifier")


def load(weights: str | Path) -> keras.Model:
    """A trained classifier from its `weights.npz`.

    Raises:
        FileNotFoundError: there is none. ValueError: it is of another network, or of another trunk.
    """
    values, card = heads.read(weights)
    if card.get("name") != "classifier":
        raise ValueError(f"{weights} is no classifier of `course train classifier`")
    names, side = tuple(card["class_names"]), int(card["input_size"])
    model = build(len(names), side)
    weight_files.put(model, values, weights, only=("predictions",))
    facts = pretrained.About(
        name=str(card["title"]), weights=str(weights), class_names=names, input_size=side, card=card
    )
    return pretrained.remember(model, facts)


class Classifier(training.Trainer[Recipe]):
    """One dense layer on averages of the last maps, standardized while it learns."""

    command = "classifier"

    def __init__(self, recipe: Recipe, folder: str | Path) -> None:
        super().__init__(recipe, "classifier")
        self.found = in_folders(folder)
        self.names = tuple(self.found)

    def load(self) -> None:
        pictures, self.labels = read(self.found, self.recipe.side)
        self.out = kept_out(self.labels, self.recipe.hold_out, self.recipe.seed)
        shape = (self.recipe.side, self.recipe.side, 3)
        trunk = pretrained.load_vgg16(include_top=False, input_shape=shape)
        self.maps = [averages(trunk, each) for each in (pictures, pictures[:, :, ::-1])]
        learnt = self.maps[0][~self.out]
        self.middle, self.spread = learnt.mean(axis=0), learnt.std(axis=0) + 1e-3
        whole = hashlib.sha256(pictures.tobytes() + self.labels.tobytes())
        counts = {name: len(paths) for name, paths in self.found.items()}
        self.data = {"name": "folders of pictures", "sha256": whole.hexdigest(), "pictures": counts}

    def build(self) -> keras.Model:
        from keras import Input, Model, layers, optimizers

        inputs = Input((len(self.middle),), name="averages")
        x = layers.Dense(len(self.names), activation="softmax", name="predictions")(inputs)
        model = Model(inputs, x)
        optimizer = optimizers.AdamW(self.recipe.rate, weight_decay=self.recipe.decay)
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=runtime.xla())
        return model

    def steps(self) -> int:
        return training.steps_in(2 * int((~self.out).sum()), self.recipe.batch)

    def batches(self) -> training.Batches:
        x = np.concatenate([(maps[~self.out] - self.middle) / self.spread for maps in self.maps])
        y = np.tile(self.labels[~self.out], 2)

        def one_epoch(epoch: int) -> Iterator[training.Batch]:
            rng = np.random.default_rng([self.recipe.seed, epoch])
            for pick in training.shuffled(len(y), self.recipe.batch, rng):
                yield x[pick], y[pick]

        return one_epoch

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"trunk": heads.trunk_hash(), "pictures": self.data["sha256"]}

    def weights(self, model: keras.Model) -> dict[str, np.ndarray]:
        """The dense layer for averages as they are: standardizing is linear, so it goes into the layer."""
        kernel, bias = model.get_layer("predictions").get_weights()
        kernel = kernel / self.spread[:, None]
        return {"predictions_kernel": kernel, "predictions_bias": bias - self.middle @ kernel}

    def judge(self, path: Path) -> training.Judgement:
        values = weight_files.read(path)
        scores = self.maps[0] @ values["predictions_kernel"] + values["predictions_bias"]
        y, answer = self.labels[self.out], scores.argmax(axis=-1)[self.out]
        by_class = {
            name: float((answer[y == i] == i).mean()) for i, name in enumerate(self.names) if (y == i).any()
        }
        majority = np.bincount(self.labels[~self.out]).argmax()
        metrics = {"accuracy": float((answer == y).mean()), "accuracy_by_class": by_class}
        baselines = {"majority_class": float((y == majority).mean()), "chance": 1 / len(self.names)}
        self._whole(values, path.with_name("classifier.keras"))
        card = {
            "title": f"a classifier on the original VGG-16: {', '.join(self.names)}",
            "class_names": list(self.names),
            "input_size": self.recipe.side,
            "pictures": {"train": int((~self.out).sum()), "judged": len(y)},
            "trunk": heads.trunk_hash(),
        }
        return training.Judgement(metrics, baselines, card)

    def _whole(self, values: dict[str, np.ndarray], path: Path) -> None:
        """Write the network with its convolutions, for Keras and for `course convert`."""
        model = build(len(self.names), self.recipe.side)
        weight_files.put(model, values, path, only=("predictions",))
        beside = path.with_name(f".part-{path.name}")
        model.save(beside)
        beside.replace(path)


def averages(trunk: keras.Model, pictures: np.ndarray, batch: int = 16) -> np.ndarray:
    """The last maps of pictures, averaged over all places: uint8 (n, side, side, 3) -> float32 (n, maps)."""

    def mean(maps: np.ndarray) -> np.ndarray:
        return maps.mean(axis=(1, 2))

    return gradients.forward(trunk, pictures, batch, before=images.preprocess, after=mean)
