"""Localization by regression: losses for boxes and key points, and asking a network where things are.

Idea 1 of notebook 04: one network answers what is in the picture and where, with four numbers. Losses are
Keras functions; boxes inside them are x, y, w, h in shares of the picture, outside in its pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.datasets import augment
from course_utils.localization import boxes as box_tools
from course_utils.pictures import images as pictures

if TYPE_CHECKING:
    import keras

LOSSES = ("l2", "smooth_l1", "iou", "iou_l1")


# --- losses ---------------------------------------------------------------------------------------------


def box_loss(kind: str = "l2", classes: int = 1) -> Callable[[Any, Any], Any]:
    """A Keras loss between true and answered boxes.

    Args:
        kind: "l2", the squares of the four differences, as in the 2016 document; "smooth_l1", squares
            near 0 and absolute values beyond (Girshick 2015), less impressed by outliers; "iou", 1 minus
            the generalized IoU (Rezatofighi et al. 2019), which is what boxes are judged by;
            "iou_l1", both as in Carion et al. (2020).
        classes: 1 for one box for all classes, else their number: then the box of the true class counts.

    Returns:
        A function of y_true (N, 5): class, x, y, w, h, and y_pred (N, 4 * classes) -> (N,).

    Raises:
        ValueError: an unknown kind.
    """
    from keras import ops

    if kind not in LOSSES:
        raise ValueError(f"loss {kind!r}: there are {', '.join(LOSSES)}")

    def loss(y_true: Any, y_pred: Any) -> Any:
        truth, answer = ops.cast(y_true[:, 1:], y_pred.dtype), y_pred
        if classes > 1:
            chosen = ops.one_hot(ops.cast(y_true[:, 0], "int32"), classes, dtype=y_pred.dtype)
            answer = ops.sum(ops.reshape(y_pred, (-1, classes, 4)) * chosen[:, :, None], axis=1)
        return _LOSS[kind](answer, truth)

    loss.__name__ = f"{kind}_loss"
    return loss


def _l2(answer: Any, truth: Any) -> Any:
    from keras import ops

    return ops.sum(ops.square(answer - truth), axis=-1)


def _smooth_l1(answer: Any, truth: Any, knee: float = 0.05) -> Any:
    from keras import ops

    apart = ops.abs(answer - truth)
    small = 0.5 * ops.square(apart) / knee
    return ops.sum(ops.where(apart < knee, small, apart - knee / 2), axis=-1)


def _iou(answer: Any, truth: Any) -> Any:
    return 1 - generalized_iou(answer, truth)


def _iou_l1(answer: Any, truth: Any) -> Any:
    return 2 * _iou(answer, truth) + 2.5 * _smooth_l1(answer, truth, 0.01)


_LOSS = {"l2": _l2, "smooth_l1": _smooth_l1, "iou": _iou, "iou_l1": _iou_l1}


def generalized_iou(first: Any, second: Any) -> Any:
    """IoU of box i with the other box i, less the share of the box around both that is in neither.

    Unlike the IoU it says how far apart two boxes are that do not touch, so there is a way to climb.

    Args:
        first, second: tensors (N, 4), x, y, w, h; a negative width or height counts as nearly none.

    Returns:
        (N,), -1..1.

    Rezatofighi et al. (2019), algorithm 1. Notebook 04.
    """
    from keras import ops

    def corners(b: Any) -> tuple[Any, Any]:
        return b[:, :2], b[:, :2] + ops.maximum(b[:, 2:], 1e-4)

    (low1, high1), (low2, high2) = corners(first), corners(second)
    shared = ops.prod(ops.maximum(ops.minimum(high1, high2) - ops.maximum(low1, low2), 0), axis=-1)
    union = ops.prod(high1 - low1, axis=-1) + ops.prod(high2 - low2, axis=-1) - shared
    around = ops.prod(ops.maximum(high1, high2) - ops.minimum(low1, low2), axis=-1)
    return shared / (union + 1e-9) - (around - union) / (around + 1e-9)


def point_loss(y_true: Any, y_pred: Any) -> Any:
    """Mean squared distance of the points that count.

    y_true (N, K, 3) as x, y, weight; y_pred (N, K, 2) -> (N,).
    """
    from keras import ops

    apart = ops.sum(ops.square(y_pred - y_true[..., :2]), axis=-1) * y_true[..., 2]
    return ops.sum(apart, axis=-1) / ops.maximum(ops.sum(y_true[..., 2], axis=-1), 1.0)


def compile_localizer(
    model: keras.Model,
    optimizer: Any = "sgd",
    kind: str = "l2",
    box_weight: float = 1.0,
    smoothing: float = 0.0,
) -> keras.Model:
    """Compile both heads: cross-entropy for the class, `box_loss` for the box, one weighted sum.

    Args:
        model: built by `models.localizer`.
        optimizer: a name or a Keras optimizer.
        kind: of the box loss.
        box_weight: of the box against the class.
        smoothing: of the class labels.

    Returns:
        The model.
    """
    from keras import losses, metrics

    from course_utils import runtime

    classes, numbers = model.output_shape[0][1], model.output_shape[1][1]
    model.compile(
        optimizer,
        loss=[
            losses.CategoricalCrossentropy(label_smoothing=smoothing),
            box_loss(kind, classes if numbers > 4 else 1),
        ],
        loss_weights=[1.0, box_weight],
        metrics=[[metrics.CategoricalAccuracy(name="accuracy")], []],
        jit_compile=bool(runtime.gpus()),
    )
    return model


def targets(
    classes: np.ndarray, boxes: np.ndarray, count: int, height: float = 1.0, width: float = 1.0
) -> list[np.ndarray]:
    """What `compile_localizer` trains on: one-hot classes (N, count), and (N, 5) class, box in shares.

    Args:
        classes: int (N,); boxes: (N, 4) in pixels of pictures of this height and width.
    """
    labels = np.asarray(classes).reshape(-1)
    shares = np.asarray(boxes, np.float32) / np.array([width, height, width, height], np.float32)
    return [
        np.eye(count, dtype=np.float32)[labels],
        np.concatenate([labels[:, None].astype(np.float32), shares], axis=1),
    ]


# --- windows of pictures --------------------------------------------------------------------------------


def view(image: np.ndarray, window: np.ndarray, size: int, mirrored: bool = False) -> np.ndarray:
    """A window of a picture, squeezed into a square; beyond the picture its edge is repeated.

    Args:
        image: (H, W, 3); window: x, y, w, h in its pixels.

    Returns:
        float32 (size, size, 3).
    """
    x, y, w, h = (np.array([v], np.float64) for v in window)
    plain = np.zeros(1)
    rows = augment.axis_matrices(y + h / 2, h, size, image.shape[0], plain)
    columns = augment.axis_matrices(x + w / 2, -w if mirrored else w, size, image.shape[1], plain)
    return augment.resample(image[None], rows, columns)[0]


def whole(image: np.ndarray) -> np.ndarray:
    """The window that is all of a picture: x, y, w, h."""
    return np.array([0.0, 0.0, image.shape[1], image.shape[0]])


def enlarged(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes (N, 4) with the same centres and sides longer by a factor: the thing and what is around it."""
    b = np.asarray(boxes, np.float64)
    sides = b[:, 2:] * factor
    return np.concatenate([b[:, :2] + (b[:, 2:] - sides) / 2, sides], axis=1)


def from_window(shares: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) in shares of windows (N, 4) -> in pixels."""
    sides = np.asarray(windows)[:, [2, 3, 2, 3]]
    return np.asarray(shares) * sides + np.pad(np.asarray(windows)[:, :2], ((0, 0), (0, 2)))


def to_window(boxes: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) in pixels -> in shares of windows (N, 4); the inverse of `from_window`."""
    moved = np.asarray(boxes) - np.pad(np.asarray(windows)[:, :2], ((0, 0), (0, 2)))
    return moved / np.asarray(windows)[:, [2, 3, 2, 3]]


# --- weights --------------------------------------------------------------------------------------------


def load(path: str | Path) -> keras.Model:
    """A trained localizer from its weights file; the shapes in it say how the heads look.

    Args:
        path: `weights.npz` as `course train localizer` writes it, with its card beside (`card.json`, or
            the same name with `.json`), which names the classes.

    Returns:
        The model; `pretrained.about` knows its class names and input size.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged or holds another network.
    """
    from course_utils.networks import localizer, pretrained, vgg16, weight_files

    path = Path(path).expanduser()
    values = weight_files.read(path)
    needed = ("block1_conv1", "reduce", "classes", "box")
    if missing := [n for n in needed if f"{n}_kernel" not in values]:
        raise ValueError(
            f"{path} holds no localizer: these layers are missing: {', '.join(missing)}. "
            "Give weights.npz of `course train localizer`"
        )
    width = values["block1_conv1_kernel"].shape[-1] / vgg16.CHANNELS["block1_conv1"]
    backbone = vgg16.build(width, until="block5_conv3", initializer="zeros")
    heads, classes, size = _heads_of(values)
    model = localizer.build(backbone, classes, heads, size=size)
    weight_files.put(model, values, path)
    card = weight_files.card(path) or weight_files.card(path.with_name("card.npz"))
    names = tuple(card.get("class_names", ())) or tuple(f"class {i}" for i in range(classes))
    if len(names) != classes:
        raise ValueError(
            f"{path} tells {classes} classes apart, the card beside it names {len(names)}: "
            "it belongs to another file"
        )
    facts = pretrained.About(
        str(card.get("title", path.name)), str(path), class_names=names, input_size=size, card=card
    )
    return pretrained.remember(model, facts)


def _heads_of(values: Mapping[str, np.ndarray]) -> tuple[Any, int, int]:
    """Heads, number of classes and input size that a file's shapes tell."""
    from course_utils.networks import localizer

    channels, classes = values["reduce_kernel"].shape[-1], values["classes_kernel"].shape[-1]
    head = "dense" if "fc_kernel" in values else "convolution"
    flat = values["fc_kernel" if head == "dense" else "classes_kernel"].shape[0]
    units = values["fc_kernel"].shape[-1] if head == "dense" else 0
    per_class = values["box_kernel"].shape[-1] > 4
    heads = localizer.Heads(head, per_class, channels, units)  # type: ignore[arg-type]
    return heads, classes, 16 * math.isqrt(flat // channels)


# --- asking ---------------------------------------------------------------------------------------------


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


@dataclass(frozen=True)
class Found:
    """What a detector finds in one picture, best first (modules `sliding_window` and `rcnn`).

    Attributes:
        boxes: (N, 4) in pixels of the picture; classes: int (N,); scores: (N,).
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


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
    x, y, w, h = box_tools.clip(box[None], int(height), int(width))[0]
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


def pair_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of box i with the other box i, (N, 4) each -> (N,)."""
    return np.array([box_tools.iou(a, b)[0, 0] for a, b in zip(first, second, strict=True)])


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


# --- parts ----------------------------------------------------------------------------------------------


def point_windows(points: np.ndarray, context: float = 1.8, least: float = 16.0) -> np.ndarray:
    """Where to look again: square windows around answered points (N, K, 2), in pixels -> (N, 4).

    DeepPose refines each joint in a window whose size follows the pose (Toshev and Szegedy 2014, section
    3.2); here one window holds all points, so that one more pass is enough.
    """
    low, high = points.min(axis=1), points.max(axis=1)
    side = np.maximum((high - low).max(axis=1) * context, least)[:, None]
    return np.concatenate([(low + high) / 2 - side / 2, side, side], axis=1)


def shaken(windows: np.ndarray, rng: np.random.Generator, share: float = 0.12) -> np.ndarray:
    """Windows moved and scaled at random: a refinement must learn from windows as wrong as those it gets."""
    sides = windows[:, 2:] * np.exp(rng.uniform(-1.5, 1.5, (len(windows), 1)) * share)
    centres = windows[:, :2] + windows[:, 2:] / 2 + rng.normal(0, share, (len(windows), 2)) * windows[:, 2:]
    return np.concatenate([centres - sides / 2, sides], axis=1)


def window_maps(
    backbone: keras.Model, images: Sequence[np.ndarray], windows: np.ndarray, size: int, batch: int = 32
) -> np.ndarray:
    """The maps of a window of each picture, (N, h, w, c) float32; the windows are squeezed to size x size."""
    from course_utils.networks import gradients

    found = []
    for i in range(0, len(windows), batch):
        some = range(i, min(i + batch, len(windows)))
        x = pictures.preprocess(np.stack([view(images[j], windows[j], size) for j in some]))
        found.append(gradients.forward(backbone, x))
    return np.concatenate(found)


def locate_points(
    backbone: keras.Model,
    stages: Sequence[keras.Model],
    images: Sequence[np.ndarray],
    size: int,
    scale: float = 1.0,
) -> list[np.ndarray]:
    """Key points by regression, refined stage by stage (Toshev and Szegedy 2014, section 3.2).

    Args:
        backbone: from x (N, size, size, 3) to maps.
        stages: heads built by `models.localizer.build_points`: the first was trained on maps of the whole
            picture, each further one on maps of windows around the points (`point_windows`, `shaken`).
        images: (H, W, 3) each, RGB 0..255.
        scale: the maps are multiplied by it, as in training (`models.localizer.map_scale`).

    Returns:
        For each stage the points so far, (N, K, 2) in pixels of the pictures.
    """
    windows, answers = np.array([whole(image) for image in images]), []
    for head in stages:
        shares = np.asarray(head.predict_on_batch(window_maps(backbone, images, windows, size) * scale))
        answers.append(points_from_window(shares, windows))
        windows = point_windows(answers[-1])
    return answers


def points_to_window(points: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Points (N, K, 2) in pixels -> in shares of windows (N, 4)."""
    return (points - windows[:, None, :2]) / windows[:, None, 2:]


def points_from_window(shares: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """The inverse of `points_to_window`."""
    return shares * windows[:, None, 2:] + windows[:, None, :2]


def pck(
    found: np.ndarray, truth: np.ndarray, visible: np.ndarray, boxes: np.ndarray, share: float = 0.1
) -> float:
    """Share of visible points answered within `share` of the box's longer side (Yang and Ramanan 2013).

    Args:
        found, truth: (N, K, 2); visible: bool (N, K); boxes: (N, 4).

    Returns:
        0..1, or not a number where nothing is visible.
    """
    apart = np.linalg.norm(np.asarray(found, np.float64) - truth, axis=-1)
    near = apart <= share * np.asarray(boxes)[:, None, 2:].max(axis=-1)
    return float(near[visible].mean()) if np.any(visible) else float("nan")
