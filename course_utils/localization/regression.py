"""Localization by regression: one network answers what is in a picture and where, with four numbers.

Idea 1 of notebook 04. Boxes are x, y, w, h, in shares of the picture inside the network, in its pixels
outside. The backbone stays as it came; its maps are stored once, and both heads learn from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.datasets.labelled import LabelledImages
from course_utils.localization.boxes import clip, enlarged, from_window, pair_iou
from course_utils.localization.losses import compile_localizer, targets
from course_utils.localization.views import view, whole
from course_utils.networks import box_head, gradients, localizer, pretrained, vgg16, weight_files
from course_utils.networks import heads as trunk
from course_utils.pictures import images as pictures

if TYPE_CHECKING:
    import keras

HEADS = localizer.Heads("dense", channels=32, units=256, dropout=0.3)


@dataclass(frozen=True)
class Located:
    """What a localizer says of n pictures.

    Attributes:
        classes: int (n,), the most probable class; scores: (n,), its softmax value.
        boxes: float64 (n, 4), x, y, w, h in pixels of each picture, inside it.
        probabilities: (n, classes).
    """

    classes: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    probabilities: np.ndarray


# --- heads on stored maps -------------------------------------------------------------------------------


def maps_of(backbone: keras.Model, images: np.ndarray, batch: int = 50) -> np.ndarray:
    """The backbone's maps of images (N, H, W, 3), RGB 0..255: float32 (N, h, w, c)."""
    return gradients.forward(backbone, images, batch, before=pictures.preprocess)


def mirrored(data: LabelledImages) -> tuple[np.ndarray, np.ndarray]:
    """The pictures turned left to right, and their boxes (N, 4)."""
    boxes = data.boxes[:, 0].copy()
    boxes[:, 0] = data.images.shape[2] - boxes[:, 0] - boxes[:, 2]
    return data.images[:, :, ::-1], boxes


def learned_maps(backbone: keras.Model, data: LabelledImages) -> tuple[np.ndarray, ...]:
    """Maps, classes and boxes in shares of scenes and their mirror images."""
    turned, boxes = mirrored(data)
    maps = maps_of(backbone, np.concatenate([data.images, turned]))
    side = data.images.shape[1]
    return maps, np.tile(data.classes[:, 0], 2), np.concatenate([data.boxes[:, 0], boxes]) / side


def train_heads(
    maps: np.ndarray,
    classes: np.ndarray,
    boxes: np.ndarray,
    count: int,
    *,
    loss: str = "iou_l1",
    heads: localizer.Heads = HEADS,
    epochs: int = 30,
    rate: float = 1e-3,
    box_weight: float = 1.5,
    plain: bool = False,
    batch: int = 32,
) -> keras.Model:
    """Both heads, trained on stored maps; `boxes` (N, 4) are in shares of the pictures.

    By Adam with weight decay, or, if `plain`, by stochastic gradient descent with momentum.
    """
    from keras import optimizers

    model = localizer.build_heads(maps.shape[1:], count, heads)
    schedule = optimizers.schedules.CosineDecay(rate, epochs * -(-len(maps) // batch))
    if plain:
        optimizer = optimizers.SGD(schedule, momentum=0.9)
    else:
        optimizer = optimizers.AdamW(schedule, weight_decay=0.01)
    compile_localizer(model, optimizer, loss, box_weight)
    model.fit(maps, targets(classes, boxes, count), epochs=epochs, batch_size=batch, verbose=0)
    return model


def located(model: keras.Model, maps: np.ndarray, side: float) -> Located:
    """What heads say of maps; boxes in pixels of square pictures with this side."""
    odds, shares = ask(model, maps)
    return Located(odds.argmax(axis=1), odds.max(axis=1), shares * side, odds)


# --- a trained localizer --------------------------------------------------------------------------------


def load(path: str | Path) -> keras.Model:
    """A trained localizer from its weights file; the shapes in it say how the heads look.

    Args:
        path: `weights.npz` as `course train localizer` or `course train boxes` writes it, with its card
            beside (`card.json`, or the same name with `.json`), which names the classes.

    Returns:
        The model; `pretrained.about` knows its class names and input size.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged or holds another network.
    """
    path = weight_files.find(path)
    values, card = weight_files.read(path), weight_files.card(path)
    own = ("block1_conv1", "reduce", "classes", "box")
    needed = () if box_head.is_head(weight_files.layers(values)) else own
    if missing := [n for n in needed if f"{n}_kernel" not in values]:
        raise ValueError(
            f"{path} holds no localizer: these layers are missing: {', '.join(missing)}. "
            "Give weights.npz of `course train boxes` or of `course train localizer`"
        )
    return attached(values, card, str(path))


def attached(values: Mapping[str, np.ndarray], card: Mapping[str, Any], source: str) -> keras.Model:
    """The model of a localizer's weights, on the shipped trunk where it has no convolutions of its own."""
    if box_head.is_head(weight_files.layers(values)):
        trunk.check(card, source)
        model = box_head.build(values, int(card["input_size"]))
    else:
        width = values["block1_conv1_kernel"].shape[-1] / vgg16.CHANNELS["block1_conv1"]
        backbone = vgg16.build(width, until="block5_conv3", initializer="zeros")
        heads, _, side = _heads_of(values)
        model = localizer.build(backbone, len(values["classes_bias"]), heads, size=side)
        weight_files.put(model, values, source)
    classes, size = model.output_shape[0][1], model.input_shape[1]
    names = tuple(card.get("class_names", ())) or tuple(f"class {i}" for i in range(classes))
    if len(names) != classes:
        raise ValueError(
            f"{source} tells {classes} classes apart, the card beside it names {len(names)}: "
            "it belongs to another file"
        )
    facts = pretrained.About(
        str(card.get("title", Path(source).name)), source, class_names=names, input_size=size, card=card
    )
    return pretrained.remember(model, facts)


def _heads_of(values: Mapping[str, np.ndarray]) -> tuple[Any, int, int]:
    """Heads, number of classes and input size that a file's shapes tell."""
    channels, classes = values["reduce_kernel"].shape[-1], values["classes_kernel"].shape[-1]
    head = "dense" if "fc_kernel" in values else "convolution"
    flat = values["fc_kernel" if head == "dense" else "classes_kernel"].shape[0]
    units = values["fc_kernel"].shape[-1] if head == "dense" else 0
    per_class = values["box_kernel"].shape[-1] > 4
    heads = localizer.Heads(head, per_class, channels, units)  # type: ignore[arg-type]
    return heads, classes, 16 * math.isqrt(flat // channels)


def locate(
    model: keras.Model,
    images: Sequence[np.ndarray] | np.ndarray,
    *,
    looks: int = 1,
    mirror: bool = False,
    context: float = 1.6,
    batch: int = 32,
) -> Located:
    """Class and box of the one object in each picture.

    Args:
        model: built by `models.localizer.build`.
        images: pictures of any sizes, RGB 0..255.
        looks: 1: at the whole picture; 2: then once more at the answered box and what is around it.
        mirror: also look at the mirrored picture and take the mean of both answers.
        context: how much longer than the box the sides of the second look are.
        batch: pictures at a time.

    Raises:
        ValueError: `looks` is less than 1.
    """
    if looks < 1:
        raise ValueError(f"looks={looks}: look at least once")
    windows = np.array([whole(image) for image in images]).reshape(-1, 4)
    limits = windows.copy()
    odds = np.zeros((len(windows), model.output_shape[0][1]))
    for look in range(looks):
        seen, shares = _look(model, images, windows, mirror, batch)
        odds += seen / looks
        found = from_window(shares, windows)
        found = np.array([_inside(b, *w[:1:-1]) for b, w in zip(found, limits, strict=True)]).reshape(-1, 4)
        if look + 1 < looks:
            windows = enlarged(found, context)
    best = odds.argmax(axis=1)
    return Located(best, odds[np.arange(len(best)), best], found, odds)


def _inside(box: np.ndarray, height: float, width: float, least: float = 2.0) -> np.ndarray:
    """The box cut at the picture's border; never smaller than two pixels each way."""
    x, y, w, h = clip(box[None], int(height), int(width))[0]
    w, h = max(w, min(least, width)), max(h, min(least, height))
    return np.array([min(x, width - w), min(y, height - h), w, h])


def _look(
    model: keras.Model,
    images: Sequence[np.ndarray] | np.ndarray,
    windows: np.ndarray,
    mirror: bool,
    batch: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, classes) and boxes in shares of the windows (N, 4)."""
    odds, shares = [], []
    for i in range(0, len(windows), batch):
        some = [(images[j], windows[j]) for j in range(i, min(i + batch, len(windows)))]
        sums = [np.zeros(1), np.zeros(1)]
        for flipped in (False, True) if mirror else (False,):
            x = np.stack([view(image, w, model.input_shape[1], flipped) for image, w in some])
            seen, found = ask(model, pictures.preprocess(x))
            if flipped:
                found[:, 0] = 1 - found[:, 0] - found[:, 2]
            sums = [sums[0] + seen, sums[1] + found]
        odds.append(sums[0] / (1 + mirror))
        shares.append(sums[1] / (1 + mirror))
    return np.concatenate(odds), np.concatenate(shares)


def ask(model: keras.Model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One pass: probabilities (N, classes) and boxes (N, 4) in shares; of several, the best class's box."""
    seen, numbers = (np.asarray(each, np.float64) for each in model.predict_on_batch(x))
    if numbers.shape[1] == 4:
        return seen, numbers
    every = numbers.reshape(len(numbers), -1, 4)
    return seen, every[np.arange(len(every)), seen.argmax(axis=1)]


def quality(
    found: Located | np.ndarray, boxes: np.ndarray, classes: np.ndarray, names: Sequence[str]
) -> dict[str, float]:
    """How good answers are: mean IoU, share over one half, of each class the mean IoU, class accuracy.

    Args:
        found: answers, or boxes (N, 4) alone, which have no accuracy.
        boxes, classes: the truth, (N, 4) and int (N,).
        names: of the classes.
    """
    answered = found.boxes if isinstance(found, Located) else np.asarray(found)
    overlap = pair_iou(answered, boxes)
    facts = {"mean_iou": float(overlap.mean()), "over_half": float((overlap >= 0.5).mean())}
    for number, name in enumerate(names):
        if (classes == number).any():
            facts[f"mean_iou_{name}"] = float(overlap[classes == number].mean())
    if isinstance(found, Located):
        facts["accuracy"] = float((found.classes == classes).mean())
    return facts
