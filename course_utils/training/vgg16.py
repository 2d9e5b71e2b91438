"""The recipe of the course's own VGG-16: half width, 200 classes, thumbnails of many sizes. Notebook 01."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runtime
from course_utils.datasets import augment, tiny_imagenet
from course_utils.networks import pretrained, vgg16, weight_files
from course_utils.pictures import images
from course_utils.training import fit as training
from course_utils.training import shipping as recipes

if TYPE_CHECKING:
    import keras

SCALE = 1 / 58.0
"""Training multiplies BGR-minus-mean with this, near unit variance; `vgg16.fold` puts it in the kernel."""

SIZES = (32, 40, 48, 56, 64, 72, 80, 96)
"""Input sizes that the finished network is tried at, on the validation pictures."""


@dataclass(frozen=True)
class Recipe:
    """All settings of a run; two runs with equal recipes are the same run."""

    epochs: int = 32
    batch: int = 128
    rate: float = 0.1
    decay: float = 3e-3
    smoothing: float = 0.05
    width: float = 0.5
    seed: int = 0
    precision: str = "float32"

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
        jit_compile=bool(runtime.gpus()),
    )
    return model


def batches(
    recipe: Recipe, x: np.ndarray, y: np.ndarray
) -> Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]]:
    """Shuffled, augmented batches that depend only on the recipe's seed and the epoch."""
    targets = np.eye(200, dtype=np.float32)

    def one_epoch(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng([recipe.seed, epoch])
        order = rng.permutation(len(y))
        sizes, shares = recipe.sizes(epoch)
        for start in range(0, len(y) - recipe.batch + 1, recipe.batch):
            pick = np.sort(order[start : start + recipe.batch])
            pictures = augment.augment(x[pick], int(rng.choice(sizes, p=shares)), rng)
            yield images.preprocess(pictures) * SCALE, targets[y[pick]]

    return one_epoch


def accuracy(
    model: keras.Model, x: np.ndarray, y: np.ndarray, size: int, scale: float = 1.0, batch: int = 250
) -> dict[str, float]:
    """Top-1 and top-5 accuracy on thumbnails enlarged to `size`."""
    hits = np.zeros(2)
    for i in range(0, len(y), batch):
        inputs = images.preprocess(augment.enlarge(x[i : i + batch], size)) * scale
        order = np.argsort(-np.asarray(model.predict_on_batch(inputs)), axis=1)[:, :5]
        right = order == y[i : i + batch, None]
        hits += right[:, 0].sum(), right.sum()
    return {"top1": hits[0] / len(y), "top5": hits[1] / len(y)}


def train(
    data: str | Path,
    out: str | Path,
    recipe: Recipe,
    *,
    minutes: float | None = None,
    resume: bool = False,
    ship: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, Any] | None:
    """Train as the recipe says, fold, measure, and write weights, card and record.

    Args:
        data: folder with `tiny_imagenet_32.npz`.
        out: folder of the run.
        recipe: all settings.
        minutes, resume: see `training.fit`.
        ship: put the result into `data/` of the checkout.
        say: receives the lines of progress.

    Returns:
        The model card, or None when the run was stopped early.
    """
    runtime.start(recipe.seed, recipe.precision)
    pictures = tiny_imagenet.load(data, seed=0)
    x, y = pictures.train
    model = build(recipe)
    progress = training.fit(
        model,
        batches(recipe, x, y),
        steps=lambda epoch: len(y) // recipe.batch,
        epochs=recipe.epochs,
        out=out,
        rate=training.one_cycle(recipe.rate),
        settings=asdict(recipe) | {"data": pictures.fingerprint},
        validate=lambda net: _validate(net, pictures),
        resume=resume,
        minutes=minutes,
        say=say,
    )
    if not progress.finished:
        return None
    return _finish(Path(out), recipe, vgg16.fold(model, scale=SCALE), pictures, progress.minutes, ship)


def _validate(model: keras.Model, pictures: tiny_imagenet.Thumbnails) -> dict[str, float]:
    small, large = (accuracy(model, *pictures.validation, size, SCALE) for size in (32, 64))
    return {"val_top1_32": small["top1"], "val_top1_64": large["top1"], "val_top5_64": large["top5"]}


def _finish(
    out: Path,
    recipe: Recipe,
    weights: dict[str, np.ndarray],
    pictures: tiny_imagenet.Thumbnails,
    minutes: float,
    ship: bool,
) -> dict[str, Any]:
    """Measure what will ship (folded, rounded to float16, run in float32) and write everything."""
    runtime.start(recipe.seed, "float32")
    path = weight_files.save(out / "weights.npz", weights)
    plain = pretrained.load_vgg16(path)
    by_size = {size: accuracy(plain, *pictures.validation, size) for size in SIZES}
    best = max(by_size, key=lambda size: by_size[size]["top1"])
    metrics = {
        "validation_top1_by_size": {str(size): by_size[size]["top1"] for size in SIZES},
        **{
            f"{name}_{k}": v
            for name, xy in pictures.test.items()
            for k, v in accuracy(plain, *xy, best).items()
        },
    }
    untrained = vgg16.build(recipe.width, classes=200, head="average")
    chance = accuracy(untrained, *pictures.test["val"], best)
    card = {
        "title": "the course's own VGG-16 (half width)",
        "input_size": best,
        "classes": "tiny_imagenet_classes.json",
        "data": "Tiny-ImageNet-200 (ImageNet, Deng et al. 2009; Le and Yang 2015) reduced to 32x32: 88,000 "
        "pictures to train, 2,000 to choose settings; `val` and `val_sharp`, 5,000 each, looked at once. "
        "For research and teaching only; no picture ships.",
        "recipe": asdict(recipe),
        "limits": "Trained on thumbnails of 200 classes. It has never seen a person, a motorcycle, a temple "
        "or a flower under their own names, and answers with the nearest thing it knows.",
        "photographs": _photographs(plain, best),
    }
    record = {
        "command": command(recipe),
        "seed": recipe.seed,
        "precision": recipe.precision,
        "minutes": minutes,
        "data": {"name": "Tiny-ImageNet-200 at 32x32", "sha256": pictures.fingerprint},
        "metrics": metrics,
        "baselines": {
            "majority_class_top1": 1 / 200,
            "majority_class_top5": 5 / 200,
            "random_weights_top1": chance["top1"],
            "random_weights_top5": chance["top5"],
        },
        "history": out / "history.csv",
    }
    return recipes.finish(out, "vgg16_course", weights=weights, card=card, record=record, ship=ship)


def _photographs(model: keras.Model, size: int) -> dict[str, list[str]]:
    """What it says of the photographs that come with the installed packages, best first."""
    facts = pretrained.About(input_size=size, class_names=tiny_imagenet.class_names()[1])
    pretrained.remember(model, facts)
    answers = pretrained.classify(model, [images.sample(name) for name in images.SAMPLES], top=5)
    return {
        name: [f"{p.name} {p.probability:.2f}" for p in answer]
        for name, answer in zip(images.SAMPLES, answers, strict=True)
    }


def command(recipe: Recipe) -> str:
    """What to type for this recipe: the settings that differ from the defaults."""
    changed = [
        f"--{name} {value}"
        for name, value in asdict(recipe).items()
        if name in ("epochs", "seed", "precision") and value != getattr(Recipe(), name)
    ]
    return " ".join(["course train vgg16 --data DIR", *changed])
