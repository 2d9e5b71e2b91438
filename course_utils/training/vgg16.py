"""The recipe of the course's own VGG-16: half width, 200 classes, thumbnails of many sizes. Notebook 01."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from course_utils import runtime, training
from course_utils.datasets import augment, tiny_imagenet
from course_utils.networks import gradients, pretrained, vgg16
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

SCALE = 1 / 58.0
"""Training multiplies BGR-minus-mean with this, near unit variance; `vgg16.fold` puts it in the kernel."""

SIZES = (32, 40, 48, 56, 64, 72, 80, 96)
"""Input sizes that the finished network is tried at, on the validation pictures."""


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        smoothing: of the labels.
        width: factor on every number of filters; 1 is the original.
    """

    epochs: int = 32
    rate: float = 0.1
    decay: float = 3e-3
    smoothing: float = 0.05
    width: float = 0.5

    def sizes(self, epoch: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Side lengths that an epoch mixes, and how often each: small and quick first."""
        share = epoch / self.epochs
        if share < 0.5:
            return (32,), (1.0,)
        if share < 0.6875:
            return (48, 32), (0.8, 0.2)
        return (64, 96, 32), (0.8, 0.1, 0.1)


def build(recipe: Recipe) -> keras.Model:
    """The network in its training form (with batch normalization), compiled."""
    from keras import losses, metrics, optimizers

    model = vgg16.build(
        recipe.width,
        classes=200,
        head="average",
        batch_norm=training.batch_normalization(),
    )
    optimizer = optimizers.SGD(recipe.rate, momentum=0.9, nesterov=True, weight_decay=recipe.decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(
        optimizer,
        losses.CategoricalCrossentropy(label_smoothing=recipe.smoothing),
        metrics=[metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=runtime.xla(),
    )
    return model


def batches(recipe: Recipe, x: np.ndarray, y: np.ndarray) -> training.Batches:
    """Shuffled, augmented batches that depend only on the recipe's seed and the epoch."""
    targets = np.eye(200, dtype=np.float32)

    def one_epoch(epoch: int) -> Iterator[training.Batch]:
        rng = np.random.default_rng([recipe.seed, epoch])
        sizes, shares = recipe.sizes(epoch)
        for pick in map(np.sort, training.shuffled(len(y), recipe.batch, rng)):
            pictures = augment.augment(x[pick], int(rng.choice(sizes, p=shares)), rng)
            yield images.preprocess(pictures) * SCALE, targets[y[pick]]

    return one_epoch


def accuracy(
    model: keras.Model, x: np.ndarray, y: np.ndarray, size: int, scale: float = 1.0, batch: int = 250
) -> dict[str, float]:
    """Top-1 and top-5 accuracy on thumbnails enlarged to `size`."""

    def ready(part: np.ndarray) -> np.ndarray:
        return images.preprocess(augment.enlarge(part, size)) * scale

    order = np.argsort(-gradients.forward(model, x, batch, before=ready), axis=1)[:, :5]
    right = order == y[:, None]
    return {"top1": float(right[:, 0].mean()), "top5": float(right.sum() / len(y))}


class Vgg16(training.Trainer[Recipe]):
    """From thumbnails to the course's own VGG-16.

    Args:
        recipe: all settings.
        data: folder with `tiny_imagenet_32.npz`.
    """

    command = "vgg16"

    def __init__(self, recipe: Recipe, data: str | Path) -> None:
        super().__init__(recipe, "vgg16_course", "--data DIR")
        self.folder = data

    def load(self) -> None:
        self.pictures = tiny_imagenet.load(self.folder, seed=0)
        self.data = {"name": "Tiny-ImageNet-200 at 32x32", "sha256": self.pictures.fingerprint}

    def build(self) -> keras.Model:
        return build(self.recipe)

    def steps(self) -> int:
        return training.steps_in(len(self.pictures.train[1]), self.recipe.batch)

    def batches(self) -> training.Batches:
        return batches(self.recipe, *self.pictures.train)

    def validate(self, model: keras.Model) -> dict[str, float]:
        small, large = (accuracy(model, *self.pictures.validation, size, SCALE) for size in (32, 64))
        return {"val_top1_32": small["top1"], "val_top1_64": large["top1"], "val_top5_64": large["top5"]}

    def weights(self, model: keras.Model) -> dict[str, np.ndarray]:
        return vgg16.fold(model, scale=SCALE)

    def judge(self, path: Path) -> training.Judgement:
        model = pretrained.load_vgg16(path)
        by_size = {size: accuracy(model, *self.pictures.validation, size) for size in SIZES}
        best = max(by_size, key=lambda size: by_size[size]["top1"])
        metrics = {
            "validation_top1_by_size": {str(size): by_size[size]["top1"] for size in SIZES},
            **{
                f"{name}_{k}": v
                for name, xy in self.pictures.test.items()
                for k, v in accuracy(model, *xy, best).items()
            },
        }
        untrained = vgg16.build(self.recipe.width, classes=200, head="average")
        chance = accuracy(untrained, *self.pictures.test["val"], best)
        baselines = {
            "majority_class_top1": 1 / 200,
            "majority_class_top5": 5 / 200,
            "random_weights_top1": chance["top1"],
            "random_weights_top5": chance["top5"],
        }
        return training.Judgement(metrics, baselines, CARD | {"input_size": best} | _photographs(model, best))


CARD = {
    "title": "the course's own VGG-16 (half width)",
    "classes": "tiny_imagenet_classes.json",
    "data": "Tiny-ImageNet-200 (ImageNet, Deng et al. 2009; Le and Yang 2015) reduced to 32x32: 88,000 "
    "pictures to train, 2,000 to choose settings; `val` and `val_sharp`, 5,000 each, looked at once. "
    "For research and teaching only; no picture ships.",
    "limits": "Trained on thumbnails of 200 classes. It has never seen a person, a motorcycle, a temple "
    "or a flower under their own names, and answers with the nearest thing it knows.",
}


def _photographs(model: keras.Model, size: int) -> dict[str, dict[str, list[str]]]:
    """For the card: what it says of the photographs that come with the installed packages, best first."""
    facts = pretrained.About(input_size=size, class_names=tiny_imagenet.class_names()[1])
    pretrained.remember(model, facts)
    answers = pretrained.classify(model, [images.sample(name) for name in images.SAMPLES], top=5)
    said = {
        name: [f"{p.name} {p.probability:.2f}" for p in answer]
        for name, answer in zip(images.SAMPLES, answers, strict=True)
    }
    return {"photographs": said}
