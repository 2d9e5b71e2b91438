"""The recipe of the all convolutional net on CIFAR-10: flips, shifts, one cycle. Notebook 06."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runs, runtime
from course_utils.datasets import cifar10
from course_utils.networks import all_cnn, folding, weight_files
from course_utils.training import fit as training
from course_utils.training import shipping as recipes

if TYPE_CHECKING:
    import keras

MEAN = np.array(cifar10.MEAN, np.float32)
DEVIATION = np.array(cifar10.DEVIATION, np.float32)


@dataclass(frozen=True)
class Recipe:
    """All settings of a run; two runs with equal recipes are the same run."""

    variant: str = "all"
    augment: str = "paper"  # or "none"
    epochs: int = 60
    batch: int = 128
    rate: float = 0.1
    decay: float = 5e-3
    dropout: tuple[float, float] = (0.0, 0.1)
    batch_norm: bool = True  # in training; folded into the convolutions afterwards
    padding: str = "valid"
    last_relu: bool = False
    everything: bool = True  # train on all 50,000, or keep 5,000 to choose settings on
    seed: int = 0
    precision: str = "float32"


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
        recipe.variant,  # type: ignore[arg-type]
        padding=recipe.padding,  # type: ignore[arg-type]
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


def batches(
    recipe: Recipe, x: np.ndarray, y: np.ndarray
) -> Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]]:
    """Shuffled batches that depend only on the recipe's seed and the epoch."""
    targets = np.eye(10, dtype=np.float32)

    def one_epoch(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng([recipe.seed, epoch])
        order = rng.permutation(len(y))
        for start in range(0, len(y) - recipe.batch + 1, recipe.batch):
            pick = order[start : start + recipe.batch]
            pictures = normalize(x[pick])
            if recipe.augment == "paper":
                pictures = shift_and_flip(pictures, rng)
            yield pictures, targets[y[pick]]

    return one_epoch


def answers(model: keras.Model, x: np.ndarray, batch: int = 500) -> np.ndarray:
    """The model's softmax values (N, 10) for pictures, uint8 (N, 32, 32, 3) RGB."""
    parts = [np.asarray(model.predict_on_batch(normalize(x[i : i + batch]))) for i in range(0, len(x), batch)]
    return np.concatenate(parts)


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


def train(
    data: str | Path | None,
    out: str | Path,
    recipe: Recipe,
    *,
    minutes: float | None = None,
    resume: bool = False,
    ship: bool = False,
    devices: int = 1,
    hosts: Sequence[str] = (),
    host: int = 0,
    say: Callable[[str], None] = print,
) -> dict[str, Any] | None:
    """Train as the recipe says, and write weights, card and record.

    Args:
        data: folder with CIFAR-10's binary files; None: the cache.
        out: folder of the run.
        recipe: all settings.
        minutes, resume: see `training.fit`.
        ship: put the result into `data/` of the checkout.
        devices, hosts, host: who shares each batch, see `training.spread`.
        say: receives the lines of progress.

    Returns:
        The model card, or None when the run was stopped early, and on every host but the first.
    """
    if recipe.augment not in ("paper", "none"):
        raise ValueError(
            f"augment={recipe.augment!r}: 'paper' (flips, shifts up to 5 pixels) and 'none' exist"
        )
    shared = training.spread(devices, hosts, host)  # before anything else of the framework
    if recipe.batch % shared.count:
        raise ValueError(f"{shared.count} devices can't share batches of {recipe.batch} equally")
    runtime.start(recipe.seed, recipe.precision)
    pictures = cifar10.load(data)
    x, y = pictures.train
    if recipe.everything:
        x, y = (np.concatenate(both) for both in zip(pictures.train, pictures.validation, strict=True))
    fingerprint = runs.fingerprint(cifar10.find(data))  # type: ignore[arg-type]
    with shared.scope():
        model = build(recipe)
    judge = build(recipe) if shared.strategy else model  # a copy on one device, to be measured
    held = None if recipe.everything else pictures.validation

    def validate(net: keras.Model) -> dict[str, float]:
        if held is None:
            return {}
        if judge is not net:
            judge.set_weights(net.get_weights())
        return {"val_accuracy": accuracy(judge, *held)}

    progress = training.fit(
        model,
        batches(recipe, x, y),
        steps=lambda epoch: len(y) // recipe.batch,
        epochs=recipe.epochs,
        out=out,
        rate=training.one_cycle(recipe.rate),
        settings=asdict(recipe) | {"data": fingerprint},
        validate=validate,
        best=None if held is None else "val_accuracy",
        devices=shared,
        resume=resume,
        minutes=minutes,
        say=say,
    )
    if not (progress.finished and shared.writes):
        return None
    return _finish(Path(out), recipe, folding.folded(model), pictures, fingerprint, progress.minutes, ship)


def _finish(
    out: Path,
    recipe: Recipe,
    weights: dict[str, np.ndarray],
    pictures: cifar10.Cifar10,
    fingerprint: str,
    minutes: float,
    ship: bool,
    made_in: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure what will ship (rounded to float16, run in float32) and write everything."""
    runtime.start(recipe.seed, "float32")
    path = weight_files.save(out / "weights.npz", weights)
    plain = all_cnn.build(recipe.variant, padding=recipe.padding, last_relu=recipe.last_relu)  # type: ignore[arg-type]
    weight_files.put(plain, weight_files.read(path), path)
    part, held = ("test", pictures.test) if recipe.everything else ("validation", pictures.validation)
    found = measure(plain, *held)
    card = {
        "title": f"{all_cnn.TITLES[recipe.variant]} on CIFAR-10",
        "input_size": 32,
        "class_names": list(cifar10.CLASS_NAMES),
        "data": "CIFAR-10 (Krizhevsky 2009); no picture ships.",
        "recipe": asdict(recipe),
        "mean": MEAN.tolist(),
        "deviation": DEVIATION.tolist(),
    }
    record = {
        "command": command(recipe),
        "seed": recipe.seed,
        "precision": recipe.precision,
        "minutes": minutes,
        "data": {"name": "CIFAR-10", "sha256": fingerprint},
        "metrics": {f"{part}_accuracy": found.pop("accuracy"), **found},
        "baselines": {"majority_class": 0.1},
        "history": out / "history.csv",
        "made_in": made_in,
    }
    return recipes.finish(out, name_of(recipe), weights=weights, card=card, record=record, ship=ship)


def name_of(recipe: Recipe) -> str:
    """Of the weights and the record."""
    return "all_cnn" if recipe.variant == "all" else f"all_cnn_{recipe.variant}"


def remeasure(out: str | Path, data: str | Path | None, *, ship: bool = False) -> dict[str, Any]:
    """Measure the weights of a finished run again, and write its card and record anew.

    Args:
        out: folder of the run, with `weights.npz`, `card.json`, `history.csv` and its record.
        data: as for `train`.
        ship: put the result into `data/` of the checkout.

    Raises:
        FileNotFoundError: the folder holds no finished run.
        ValueError: the record says other pictures than these.
    """
    out = Path(out)
    weights = weight_files.read(out / "weights.npz")
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    settings = card["recipe"] | {"dropout": tuple(card["recipe"]["dropout"])}
    recipe = Recipe(**settings)
    run = runs.load(name_of(recipe), out / "runs")
    pictures = cifar10.load(data)
    fingerprint = runs.fingerprint(cifar10.find(data))  # type: ignore[arg-type]
    if run.data["sha256"] != fingerprint:
        raise ValueError(f"{out} was trained on other pictures than those in {data}")
    made_in = {key: getattr(run, key) for key in ("commit", "backend", "device", "versions", "machine")}
    return _finish(out, recipe, weights, pictures, fingerprint, run.minutes, ship, made_in)


def command(recipe: Recipe) -> str:
    """What to type for this recipe: the settings that differ from the defaults."""
    plain = Recipe()
    names = ("variant", "augment", "epochs", "seed", "precision")
    changed = [f"--{n} {getattr(recipe, n)}" for n in names if getattr(recipe, n) != getattr(plain, n)]
    held = [] if recipe.everything else ["--hold-out"]
    paper = [] if recipe.batch_norm else ["--paper"]
    return " ".join(["course train allcnn --data DIR", *changed, *paper, *held])


if __name__ == "__main__":
    from typing import Annotated

    import typer

    app = typer.Typer(help="A finished run of `course train allcnn`.")
    app.callback()(lambda: None)

    @app.command("measure")
    def _measure(
        out: Path,
        data: Annotated[Path, typer.Option(help="Folder with CIFAR-10's binary files.")],
        ship: Annotated[bool, typer.Option("--ship", help="Put the result into data/.")] = False,
    ) -> None:
        """Measure the run in OUT on the pictures in DATA again, and write its card and record anew."""
        print(remeasure(out, data, ship=ship)["metrics"])

    app()
