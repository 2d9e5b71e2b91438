"""The recipes of the all convolutional net on CIFAR-10: the paper's, Mate Labs', and ours. Notebook 06."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from course_utils import files, runs, runtime, training
from course_utils.datasets import cifar10, whitening
from course_utils.networks import all_cnn, folding, gradients, weight_files
from course_utils.training.trainer import changed

if TYPE_CHECKING:
    import keras

MEAN = np.array(cifar10.MEAN, np.float32)
DEVIATION = np.array(cifar10.DEVIATION, np.float32)
FALLS = (200 / 350, 250 / 350, 300 / 350)
"""When the paper divides its rate by ten, as shares of the run."""

Prepare = Callable[[np.ndarray], np.ndarray]
"""Pictures, RGB 0..255 -> what the network gets."""


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        recipe: where all others start from: short, paper or matelabs.
        decay: of the weights, as Keras counts it: a share of the rate, taken off outside the momentum.
        variant: which network: all, or what it is compared with: c, strided or convpool.
        width: share of the paper's filters.
        pictures: of the training set, to learn from; 0 takes all.
        look: of the pictures: normalized (a channel's mean 0, deviation 1), raw (0..255) or whitened.
        shift: pixels that a picture is moved by in training, at most.
        flip: mirror half of the pictures.
        border: what comes in where a picture is moved: grey, or its edge again.
        schedule: of the rate: cycle (up, then down to 0), steps (as in the paper) or constant.
        momentum: of the optimizer.
        nesterov: look ahead with the momentum.
        dropout: on the picture, and after each reduction.
        norm: in training: batch, folded into the convolutions afterwards, or none.
        initializer: of the kernels: he_normal, glorot_uniform (Keras's default) or pytorch.
        padding: of the seventh convolution: valid or same.
        strided_relu: a ReLU after the strided convolutions.
        last_relu: a ReLU after the last convolution.
        hold_out: keep 5,000 pictures to choose settings and the best epoch on.
    """

    recipe: Literal["short", "paper", "matelabs"] = "short"
    variant: Literal["all", "c", "strided", "convpool"] = "all"
    width: float = 1.0
    pictures: int = 0
    epochs: int = 60
    rate: float = 0.1
    decay: float = 5e-3
    look: Literal["normalized", "raw", "whitened"] = "normalized"
    shift: int = 5
    flip: bool = True
    border: Literal["grey", "edge"] = "grey"
    schedule: Literal["cycle", "steps", "constant"] = "cycle"
    momentum: float = 0.9
    nesterov: bool = True
    dropout: tuple[float, float] = (0.0, 0.1)
    norm: Literal["batch", "none"] = "batch"
    initializer: Literal["he_normal", "glorot_uniform", "pytorch"] = "he_normal"
    padding: Literal["valid", "same"] = "valid"
    strided_relu: bool = True
    last_relu: bool = False
    hold_out: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.shift < 32 and self.pictures >= 0 and self.width > 0):
            raise ValueError(
                f"shift {self.shift}, pictures {self.pictures}, width {self.width:g}: "
                "0 to 31 pixels, 0 or more pictures, a width above 0"
            )

    @classmethod
    def named(cls, recipe: str = "short", **changes: Any) -> Recipe:
        """One of the three recipes, with changes."""
        return cls(**{"recipe": recipe, **RECIPES.get(recipe, {}), **changes})


RECIPES: dict[str, dict[str, Any]] = {
    "short": {},
    "paper": {  # its decay of .001 goes through the momentum, which makes ten times as much of it
        **{"epochs": 350, "rate": 0.05, "schedule": "steps", "nesterov": False, "decay": 1e-2},
        **{"look": "whitened", "dropout": (0.2, 0.5), "norm": "none"},
    },
    "matelabs": {  # what the program does, not what it means to do: its own optimizer is never used
        **{"epochs": 350, "batch": 32, "rate": 0.01, "schedule": "constant", "decay": 0.0},
        **{"momentum": 0.0, "nesterov": False, "look": "raw", "shift": 3, "flip": False, "border": "edge"},
        **{"dropout": (0.0, 0.5), "norm": "none", "initializer": "glorot_uniform", "padding": "same"},
        **{"strided_relu": False, "hold_out": True},  # the program looks at the test pictures instead
    },
}
"""What each recipe changes of the short one, which made the weights that ship."""


def normalize(pictures: np.ndarray) -> np.ndarray:
    """uint8 or float RGB 0..255 -> float32, zero mean and unit deviation for each channel."""
    return (np.asarray(pictures, np.float32) - MEAN) / DEVIATION


def as_they_are(pictures: np.ndarray) -> np.ndarray:
    """uint8 or float RGB 0..255 -> the same as float32."""
    return np.asarray(pictures, np.float32)


def shift_and_flip(
    pictures: np.ndarray,
    rng: np.random.Generator,
    most: int = 5,
    *,
    flip: bool = True,
    border: Literal["grey", "edge"] = "grey",
) -> np.ndarray:
    """Mirror half of the pictures and move each by up to `most` pixels.

    Args:
        pictures: normalized, (N, H, W, C).
        rng: all randomness comes from here.
        most: pixels up, down, left or right.
        flip: False mirrors none.
        border: what comes in at the border: zeros, which is grey, or the picture's edge again.
    """
    n, height, width, _ = pictures.shape
    mode: Any = "edge" if border == "edge" else "constant"
    padded = np.pad(pictures, ((0, 0), (most, most), (most, most), (0, 0)), mode)
    top, left = rng.integers(0, 2 * most + 1, (2, n, 1))
    rows = (top + np.arange(height))[:, :, None]
    columns = left + np.arange(width)
    if flip:
        columns = np.where(rng.random((n, 1)) < 0.5, columns[:, ::-1], columns)
    return padded[np.arange(n)[:, None, None], rows, columns[:, None, :]]


def stepped(peak: float) -> Callable[[float], float]:
    """The paper's rate: constant, then divided by ten at each of `FALLS`. From progress 0..1 to the rate."""
    return lambda progress: peak * 0.1 ** sum(progress >= fall for fall in FALLS)


def build(recipe: Recipe, side: int = 32) -> keras.Model:
    """The network for pictures of so many pixels, compiled."""
    from keras import metrics, optimizers

    model = plain(recipe, dropout=recipe.dropout, norm=recipe.norm == "batch", side=side)
    optimizer = optimizers.SGD(
        recipe.rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.decay or None,
    )
    if recipe.decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer,
        "categorical_crossentropy",
        metrics=[metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=runtime.xla(),
    )
    return model


def plain(
    recipe: Recipe, dropout: tuple[float, float] = (0.0, 0.0), norm: bool = False, side: int = 32
) -> keras.Model:
    """The network of a recipe as it answers, not compiled; with dropout and norm as it learns."""
    return all_cnn.build(
        recipe.variant,
        padding=recipe.padding,
        last_relu=recipe.last_relu,
        dropout=dropout,
        initializer=all_cnn.PYTORCH_KERNELS if recipe.initializer == "pytorch" else recipe.initializer,
        batch_norm=training.batch_normalization() if norm else False,
        width=recipe.width,
        input_shape=(side, side, 3),
        linear=() if recipe.strided_relu else all_cnn.strided(recipe.variant),
    )


def batches(recipe: Recipe, x: np.ndarray, y: np.ndarray, prepare: Prepare = normalize) -> training.Batches:
    """Shuffled batches that depend only on the recipe's seed and the epoch."""
    targets = np.eye(10, dtype=np.float32)

    def one_epoch(epoch: int) -> Iterator[training.Batch]:
        rng = np.random.default_rng([recipe.seed, epoch])
        for pick in training.shuffled(len(y), recipe.batch, rng):
            pictures = prepare(x[pick])
            if recipe.shift or recipe.flip:
                pictures = shift_and_flip(pictures, rng, recipe.shift, flip=recipe.flip, border=recipe.border)
            yield pictures, targets[y[pick]]

    return one_epoch


def answers(model: keras.Model, x: np.ndarray, batch: int = 500, prepare: Prepare = normalize) -> np.ndarray:
    """The model's softmax values (N, 10) for pictures, uint8 (N, 32, 32, 3) RGB."""
    return gradients.forward(model, x, batch, before=prepare)


def accuracy(model: keras.Model, x: np.ndarray, y: np.ndarray, prepare: Prepare = normalize) -> float:
    """Share of pictures, uint8 (N, 32, 32, 3), whose label is the model's first answer."""
    return float((answers(model, x, prepare=prepare).argmax(1) == y).mean())


def measure(model: keras.Model, x: np.ndarray, y: np.ndarray, prepare: Prepare = normalize) -> dict[str, Any]:
    """How good a model is on pictures, and what it takes for what.

    Returns:
        "accuracy"; "class_accuracy", a share for each class; "confusion", a list of rows: how many pictures
        of the row's class got the column's class as first answer.
    """
    first = answers(model, x, prepare=prepare).argmax(1)
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

    Beside what every trainer leaves: with `hold_out`, `best.npz`, the weights of the epoch that was best on
    the validation pictures so far; with whitened pictures `whitening.npz`, without which nobody can use them.

    Args:
        recipe: all settings.
        data: folder with CIFAR-10's binary files; None: the cache.
        save: a file that Keras writes the trained network to, `.keras` or `.h5`.
        devices, hosts, host: who shares each batch, see `training.spread`.
    """

    command = "allcnn"

    def __init__(
        self,
        recipe: Recipe,
        data: str | Path | None = None,
        *,
        save: Path | None = None,
        devices: int = 1,
        hosts: Sequence[str] = (),
        host: int = 0,
    ) -> None:
        name = "all_cnn" if recipe.variant == "all" else f"all_cnn_{recipe.variant}"
        super().__init__(recipe, name, "--data DIR")
        self.folder, self.save, self.asked = data, save, (devices, hosts, host)
        self.alone: keras.Model | None = None
        self.prepare: Prepare = normalize
        self.best = "val_accuracy" if recipe.hold_out else None

    def run(self, out: str | Path, *, resume: bool = False, **how: Any) -> dict[str, Any] | None:
        self.out, self.highest = Path(out), -1.0
        if resume:
            self.highest = weight_files.card(self.out / "best.npz").get("val_accuracy", -1.0)
        return super().run(out, resume=resume, **how)

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
        if self.recipe.pictures:
            self.x, self.y = self.x[: self.recipe.pictures], self.y[: self.recipe.pictures]
        self.data = {"name": "CIFAR-10", "sha256": runs.fingerprint(cifar10.find(self.folder))}  # type: ignore[arg-type]
        if self.recipe.look == "raw":
            self.prepare = as_they_are
        elif self.recipe.look == "whitened":
            found = whitening.fit(self.x)
            self.prepare = found
            if self.devices.writes:
                whitening.save(self.out / "whitening.npz", found)

    def build(self) -> keras.Model:
        return build(self.recipe)

    def rate(self) -> Callable[[float], float]:
        if self.recipe.schedule == "cycle":
            return super().rate()
        return stepped(self.recipe.rate) if self.recipe.schedule == "steps" else lambda _: self.recipe.rate

    def steps(self) -> int:
        return training.steps_in(len(self.y), self.recipe.batch)

    def batches(self) -> training.Batches:
        return batches(self.recipe, self.x, self.y, self.prepare)

    def validate(self, model: keras.Model) -> dict[str, float]:
        if not self.recipe.hold_out:
            return {}
        if self.devices.strategy:  # measured on one device
            self.alone = self.alone or build(self.recipe)
            self.alone.set_weights(model.get_weights())
            model = self.alone
        found = accuracy(model, *self.pictures.validation, self.prepare)
        if self.devices.writes and found > self.highest:
            self.highest = found
            weight_files.save(self.out / "best.npz", self.weights(model))
            with files.replacing(self.out / "best.json", text=True) as file:
                file.write(json.dumps({**self.card(), "val_accuracy": found}, indent=1) + "\n")
        return {"val_accuracy": found}

    def weights(self, model: keras.Model) -> dict[str, np.ndarray]:
        return folding.folded(model)

    def card(self) -> dict[str, Any]:
        """What whoever loads the weights must know."""
        raw = self.recipe.look != "normalized"
        return {
            "title": f"{all_cnn.TITLES[self.recipe.variant]} on CIFAR-10",
            "input_size": 32,
            "class_names": list(cifar10.CLASS_NAMES),
            "data": "CIFAR-10 (Krizhevsky 2009); no picture ships.",
            "recipe": asdict(self.recipe),
            "mean": [0.0] * 3 if raw else MEAN.tolist(),
            "deviation": [1.0] * 3 if raw else DEVIATION.tolist(),
        }

    def judge(self, path: Path) -> training.Judgement:
        model = plain(self.recipe)
        weight_files.put(model, weight_files.read(path), path)
        part, held = ("test", self.pictures.test)
        if self.recipe.hold_out:
            part, held = ("validation", self.pictures.validation)
        found = measure(model, *held, self.prepare)
        if self.save:
            with files.beside(self.save, self.save.suffix) as target:
                model.save(target)
        metrics = {f"{part}_accuracy": found.pop("accuracy"), **found}
        return training.Judgement(metrics, {"majority_class": 0.1}, self.card())

    def typed(self) -> str:
        name = self.recipe.recipe
        words = ["course train", self.command, *filter(None, [self.arguments])]
        words += [f"--recipe {name}"] * (name != "short")
        return " ".join(words + changed(self.recipe, Recipe.named(name)))
