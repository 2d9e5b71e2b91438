"""A small Flatten and Dense classifier on the course's VGG-16, to be made convolutional. Notebook 05.

64x64 pixels -> block 5, 2x2x256 -> 128 -> background or one of the six objects of `scenes`. Converted, it
answers at every 32nd pixel of a larger picture: a heat map of where the objects are. Only the two dense
layers are trained and ship; below them is `load_vgg16("course")`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runs, runtime
from course_utils.datasets import LabelledImages, scenes
from course_utils.datasets.labelled import IGNORED
from course_utils.networks import gradients, pretrained, weight_files
from course_utils.pictures import images
from course_utils.training import fit as training
from course_utils.training import shipping as recipes

if TYPE_CHECKING:
    import keras

SIDE = 64
LARGEST_MB = 1.0
CLASS_NAMES: tuple[str, ...] = ("background", *scenes.class_names)


@dataclass(frozen=True)
class Recipe:
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        pictures: scenes of 128x128 pixels, each cut into windows.
        rate: highest learning rate (Adam); decay: of the kernels.
    """

    epochs: int = 30
    batch: int = 128
    rate: float = 1e-3
    decay: float = 1e-2
    dropout: float = 0.5
    units: int = 128
    pictures: int = 1200
    seed: int = 0
    precision: str = "float32"


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
        backbone: a VGG-16 for 64x64 pixels without a top; default the course's own.
    """
    from keras import Model, layers

    if backbone is None:
        backbone = pretrained.load_vgg16("course", include_top=False, input_shape=(SIDE, SIDE, 3))
    x = layers.Flatten(name="flatten")(backbone.output)
    return Model(backbone.input, _head(x, units, dropout), name="dense_head")


def _head(x: Any, units: int, dropout: float) -> Any:
    from keras import layers

    x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name="fc1")(x)
    x = layers.Dropout(dropout, name="fc1_dropout")(x) if dropout else x
    return layers.Dense(len(CLASS_NAMES), activation="softmax", dtype="float32", name="predictions")(x)


def load(weights: str | Path = "dense_head") -> keras.Model:
    """The trained classifier; `convert.dense_to_convolutional` makes it answer on larger pictures.

    Args:
        weights: the name of weights that ship, or a path.

    Raises:
        FileNotFoundError: there are none.
        ValueError: they were trained on another backbone than the course's present one.
    """
    named = not str(weights).endswith(".npz")
    path = weight_files.shipped(str(weights)) if named else Path(weights)
    card = weight_files.card(path)
    if card and card["backbone_sha256"] != _backbone_sha256():
        raise ValueError(f"{path} belongs to other weights of the course's VGG-16: `course train dense-head`")
    values = weight_files.read(path)
    model = build(units=values["fc1_bias"].shape[0])
    weight_files.put(model, values, path, only=("fc1", "predictions"))
    title = str(card.get("title", path.name))
    return pretrained.remember(
        model,
        pretrained.About(
            name=title, weights=str(weights), class_names=CLASS_NAMES, input_size=SIDE, card=card
        ),
    )


def _backbone_sha256() -> str:
    return runs.fingerprint(weight_files.shipped("vgg16_course"))


def features(backbone: keras.Model, x: np.ndarray, batch: int = 128) -> np.ndarray:
    """Block 5 of windows, flattened: uint8 (n, 64, 64, 3) -> float32 (n, values)."""
    ready = (images.preprocess(x[i : i + batch]) for i in range(0, len(x), batch))
    return np.concatenate([gradients.forward(backbone, part).reshape(len(part), -1) for part in ready])


# --- the run --------------------------------------------------------------------------------------------


def train(
    out: str | Path,
    recipe: Recipe,
    *,
    minutes: float | None = None,
    resume: bool = False,
    ship: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, Any] | None:
    """Train the two dense layers on the windows' maps, and write weights, card and record.

    Args:
        out: folder of the run.
        recipe: all settings.
        minutes, resume: see `training.fit`.
        ship: put the result into `data/` of the checkout.
        say: receives the lines of progress.

    Returns:
        The model card, or None when the run was stopped early.
    """
    runtime.start(recipe.seed, recipe.precision)
    backbone = pretrained.load_vgg16("course", include_top=False, input_shape=(SIDE, SIDE, 3))
    parts = {split: _windows(split, n, recipe.seed) for split, n in _counts(recipe).items()}
    maps = {split: features(backbone, x) for split, (x, _) in parts.items()}
    labels = {split: y for split, (_, y) in parts.items()}
    model = _compiled(recipe, maps["train"].shape[1])
    progress = training.fit(
        model,
        _batches(recipe, maps["train"], labels["train"]),
        steps=lambda epoch: len(labels["train"]) // recipe.batch,
        epochs=recipe.epochs,
        out=out,
        rate=training.one_cycle(recipe.rate),
        settings=asdict(recipe) | {"backbone": _backbone_sha256()},
        validate=lambda net: {"val_accuracy": _accuracy(net, maps["validation"], labels["validation"])},
        resume=resume,
        minutes=minutes,
        say=say,
    )
    if not progress.finished:
        return None
    return _finish(Path(out), recipe, weight_files.of(model), parts, progress.minutes, ship)


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
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    return model


def _batches(
    recipe: Recipe, maps: np.ndarray, labels: np.ndarray
) -> Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]]:
    def one_epoch(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(labels))
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            pick = order[start : start + recipe.batch]
            yield maps[pick], labels[pick]

    return one_epoch


def _accuracy(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    return float((gradients.forward(model, x).argmax(-1) == y).mean())


def _finish(
    out: Path,
    recipe: Recipe,
    weights: dict[str, np.ndarray],
    parts: dict[str, tuple[np.ndarray, np.ndarray]],
    minutes: float,
    ship: bool,
) -> dict[str, Any]:
    """Measure the whole network as it ships (float16 weights, run in float32) on new places."""
    runtime.start(recipe.seed, "float32")
    path = weight_files.save(out / "weights.npz", weights)
    if path.stat().st_size > LARGEST_MB * 1e6:
        raise ValueError(f"{path} has {path.stat().st_size / 1e6:.1f} MB; at most {LARGEST_MB:g} MB ship")
    model = build(units=recipe.units)
    weight_files.put(model, weight_files.read(path), path, only=("fc1", "predictions"))
    x, y = parts["test"]
    answer = features(model, x).argmax(-1)
    by_class = {
        name: float((answer == i)[y == i].mean()) for i, name in enumerate(CLASS_NAMES) if (y == i).any()
    }
    majority = np.bincount(parts["train"][1]).argmax()
    card = {
        "title": "a dense head on the course's VGG-16: objects of scenes",
        "class_names": list(CLASS_NAMES),
        "input_size": SIDE,
        "data": "scenes: six objects from photographs that the installed packages carry; other backgrounds "
        "for training, choosing and testing, but the same objects.",
        "recipe": asdict(recipe),
        "backbone_sha256": _backbone_sha256(),
    }
    record = {
        "command": command(recipe),
        "seed": recipe.seed,
        "precision": recipe.precision,
        "minutes": minutes,
        "data": {
            "name": "scenes",
            "sha256": _fingerprint(parts),
            "windows": {k: len(v[1]) for k, v in parts.items()},
        },
        "metrics": {"test_accuracy": float((answer == y).mean()), "test_accuracy_by_class": by_class},
        "baselines": {"majority_class": float((y == majority).mean()), "chance": 1 / len(CLASS_NAMES)},
        "history": out / "history.csv",
    }
    return recipes.finish(out, "dense_head", weights=weights, card=card, record=record, ship=ship)


def _fingerprint(parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    import hashlib

    whole = hashlib.sha256()
    for x, y in parts.values():
        whole.update(x.tobytes() + y.tobytes())
    return whole.hexdigest()


def command(recipe: Recipe) -> str:
    """What to type for this recipe: the settings that differ from the defaults."""
    plain = Recipe()
    names = ("epochs", "seed", "precision")
    changed = [f"--{n} {getattr(recipe, n)}" for n in names if getattr(recipe, n) != getattr(plain, n)]
    return " ".join(["course train dense-head", *changed])
