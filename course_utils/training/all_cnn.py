"""The recipe of the all convolutional net on CIFAR-10: flips, shifts, one cycle. Notebook 06."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from course_utils import runs, runtime, training
from course_utils.datasets import cifar10
from course_utils.networks import all_cnn, folding, gradients, weight_files

if TYPE_CHECKING:
    import keras

MEAN = np.array(cifar10.MEAN, np.float32)
DEVIATION = np.array(cifar10.DEVIATION, np.float32)


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        variant: which network: all, or what it is compared with: c, strided or convpool.
        augment: of the pictures: paper (flips, shifts up to 5 pixels) or none.
        dropout: on the picture, and after each reduction.
        batch_norm: in training; folded into the convolutions afterwards.
        padding: of the seventh convolution: valid or same.
        last_relu: a ReLU after the last convolution.
        hold_out: keep 5,000 pictures to choose settings on.
    """

    variant: Literal["all", "c", "strided", "convpool"] = "all"
    augment: Literal["paper", "none"] = "paper"
    epochs: int = 60
    rate: float = 0.1
    decay: float = 5e-3
    dropout: tuple[float, float] = (0.0, 0.1)
    batch_norm: bool = True
    padding: Literal["valid", "same"] = "valid"
    last_relu: bool = False
    hold_out: bool = False


def as_in_the_paper(recipe: Recipe) -> Recipe:
    """The same without batch normalization, with the paper's dropout and one of its learning rates."""
    return replace(recipe, batch_norm=False, dropout=(0.2, 0.5), rate=0.05)


def normalize(pictures: np.ndarray) -> np.ndarray:
    """uint8 or float RGB 0..255 -> float32, zero mean and unit deviation for each channel."""
    return (np.asarray(pictures, np.float32) - MEAN) / DEVIATION


def shift_and_flip(pictures: np.ndarray, rng: np.random.Generator, most: int = 5) -> np.ndarray:
    """Mirror half of the pictures and move each by up to `most` pixels; what comes in is grey (zeros).

    Args:
        pictures: normalized, (N, H, W, C).
        rng: all randomness comes from here.
    """
    n, height, width, _ = pictures.shape
    padded = np.pad(pictures, ((0, 0), (most, most), (most, most), (0, 0)))
    top, left = rng.integers(0, 2 * most + 1, (2, n, 1))
    rows = (top + np.arange(height))[:, :, None]
    columns = left + np.arange(width)
    columns = np.where(rng.random((n, 1)) < 0.5, columns[:, ::-1], columns)[:, None, :]
    return padded[np.arange(n)[:, None, None], rows, columns]


def build(recipe: Recipe) -> keras.Model:
    """The network, compiled."""
    from keras import metrics, optimizers

    model = all_cnn.build(
        recipe.variant,
        padding=recipe.padding,
        last_relu=recipe.last_relu,
        dropout=recipe.dropout,
        batch_norm=training.batch_normalization() if recipe.batch_norm else False,
    )
    optimizer = optimizers.SGD(recipe.rate, momentum=0.9, nesterov=True, weight_decay=recipe.decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer,
        "categorical_crossentropy",
        metrics=[metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=bool(runtime.gpus()),
    )
    return model


def batches(recipe: Recipe, x: np.ndarray, y: np.ndarray) -> training.Batches:
    """Shuffled batches that depend only on the recipe's seed and the epoch."""
    targets = np.eye(10, dtype=np.float32)

    def one_epoch(epoch: int) -> Iterator[training.Batch]:
        rng = np.random.default_rng([recipe.seed, epoch])
        for pick in training.shuffled(len(y), recipe.batch, rng):
            pictures = normalize(x[pick])
            if recipe.augment == "paper":
                pictures = shift_and_flip(pictures, rng)
            yield pictures, targets[y[pick]]

    return one_epoch


def answers(model: keras.Model, x: np.ndarray, batch: int = 500) -> np.ndarray:
    """The model's softmax values (N, 10) for pictures, uint8 (N, 32, 32, 3) RGB."""
    return gradients.forward(model, x, batch, before=normalize)


def accuracy(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    """Share of pictures, uint8 (N, 32, 32, 3), whose label is the model's first answer."""
    return float((answers(model, x).argmax(1) == y).mean())


def measure(model: keras.Model, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """How good a model is on pictures, and what it takes for what.

    Returns:
        "accuracy"; "class_accuracy", a share for each class; "confusion", a list of rows: how many pictures
        of the row's class got the column's class as first answer.
    """
    first = answers(model, x).argmax(1)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (y, first), 1)
    each = np.diag(confusion) / np.maximum(confusion.sum(1), 1)
    return {
        "accuracy": float((first == y).mean()),
        "class_accuracy": {
            name: round(float(v), 4) for name, v in zip(cifar10.CLASS_NAMES, each, strict=True)
        },
        "confusion": confusion.tolist(),
    }


class AllCnn(training.Trainer[Recipe]):
    """From CIFAR-10 to All-CNN-C, or to one of the networks it is compared with.

    Args:
        recipe: all settings.
        data: folder with CIFAR-10's binary files; None: the cache.
        devices, hosts, host: who shares each batch, see `training.spread`.
    """

    command = "allcnn"

    def __init__(
        self,
        recipe: Recipe,
        data: str | Path | None = None,
        *,
        devices: int = 1,
        hosts: Sequence[str] = (),
        host: int = 0,
    ) -> None:
        name = "all_cnn" if recipe.variant == "all" else f"all_cnn_{recipe.variant}"
        super().__init__(recipe, name, "--data DIR")
        self.folder, self.asked = data, (devices, hosts, host)
        self.alone: keras.Model | None = None
        self.best = "val_accuracy" if recipe.hold_out else None

    def start(self) -> None:
        self.devices = training.spread(*self.asked)  # before anything else of the framework
        if self.recipe.batch % self.devices.count:
            raise ValueError(
                f"{self.devices.count} devices can't share batches of {self.recipe.batch} equally"
            )
        super().start()

    def load(self) -> None:
        self.pictures = cifar10.load(self.folder)
        self.x, self.y = self.pictures.train
        if not self.recipe.hold_out:
            both = zip(self.pictures.train, self.pictures.validation, strict=True)
            self.x, self.y = (np.concatenate(parts) for parts in both)
        self.data = {"name": "CIFAR-10", "sha256": runs.fingerprint(cifar10.find(self.folder))}  # type: ignore[arg-type]

    def build(self) -> keras.Model:
        return build(self.recipe)

    def steps(self) -> int:
        return training.steps_in(len(self.y), self.recipe.batch)

    def batches(self) -> training.Batches:
        return batches(self.recipe, self.x, self.y)

    def validate(self, model: keras.Model) -> dict[str, float]:
        if not self.recipe.hold_out:
            return {}
        if self.devices.strategy:  # measured on one device
            self.alone = self.alone or build(self.recipe)
            self.alone.set_weights(model.get_weights())
            model = self.alone
        return {"val_accuracy": accuracy(model, *self.pictures.validation)}

    def weights(self, model: keras.Model) -> dict[str, np.ndarray]:
        return folding.folded(model)

    def judge(self, path: Path) -> training.Judgement:
        recipe = self.recipe
        plain = all_cnn.build(recipe.variant, padding=recipe.padding, last_relu=recipe.last_relu)
        weight_files.put(plain, weight_files.read(path), path)
        part, held = ("test", self.pictures.test)
        if recipe.hold_out:
            part, held = ("validation", self.pictures.validation)
        found = measure(plain, *held)
        card = {
            "title": f"{all_cnn.TITLES[recipe.variant]} on CIFAR-10",
            "input_size": 32,
            "class_names": list(cifar10.CLASS_NAMES),
            "data": "CIFAR-10 (Krizhevsky 2009); no picture ships.",
            "mean": MEAN.tolist(),
            "deviation": DEVIATION.tolist(),
        }
        metrics = {f"{part}_accuracy": found.pop("accuracy"), **found}
        return training.Judgement(metrics, {"majority_class": 0.1}, card)
