"""The recipe of the localizer: the course's VGG-16 fine-tuned to name and box one object. Notebook 04.

In most photographs of such sets the object lies in the middle and fills the picture: a network that only
sees those learns to answer with the median box. So training shows each at many places and sizes, often on
another background, and as close as the second look (`regression.locate`) will.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from course_utils import runs, training
from course_utils.datasets import LabelledImages, augment, backgrounds, boxes_from_csv
from course_utils.datasets.own import Drawn
from course_utils.localization import regression
from course_utils.localization.boxes import class_median_boxes, from_window, median_box, to_window
from course_utils.localization.losses import compile_localizer, targets
from course_utils.networks import localizer, pretrained, weight_files
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

SOURCE = (160, 240)
"""Height and width that all photographs are resized to for training; overlap does not mind the shape."""

LOOKS = {"looks": 2, "mirror": True, "context": 1.6}
"""How the finished network is asked."""

WHOLE, CANVAS, NEAR = range(3)


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        loss: of the box: l2, smooth_l1, iou or iou_l1.
        box_weight: what the loss of the box counts beside that of the class.
        size: side in pixels of what the network sees.
        head: convolution (behind the last one), or dense (behind one more layer).
        per_class: one box for each class.
        channels: of the 1x1 convolution that makes the maps few.
        units: of the dense layer.
        dropout: before the heads.
        views: how often the whole photograph, on a canvas, a near view.
        backgrounds: how many are painted for the canvases.
        backbone: weights of VGG-16, as `load_vgg16` takes them.
        frozen: blocks that keep their weights: Adam's steps have one size for all, and the first kernel, made
            for unscaled pixels, is so small that they would destroy it.
        hold_out: keep a tenth to choose settings on.
    """

    epochs: int = 60
    batch: int = 32
    rate: float = 2e-4
    loss: Literal["l2", "smooth_l1", "iou", "iou_l1"] = "iou_l1"
    box_weight: float = 1.5
    size: int = 128
    head: Literal["convolution", "dense"] = "dense"
    per_class: bool = False
    channels: int = 16
    units: int = 192
    dropout: float = 0.2
    views: tuple[float, float, float] = (0.3, 0.4, 0.3)
    backgrounds: int = 400
    backbone: str = "course"
    frozen: tuple[str, ...] = ("block1",)
    hold_out: bool = False

    @property
    def heads(self) -> localizer.Heads:
        """What is built on the backbone."""
        return localizer.Heads(self.head, self.per_class, self.channels, self.units, self.dropout)


# --- data -----------------------------------------------------------------------------------------------


def split(data: LabelledImages, share: float = 0.2, seed: int = 0) -> tuple[LabelledImages, LabelledImages]:
    """Take a share of every class away, at random: (the rest, the share)."""
    rng = np.random.default_rng(seed)
    away = np.zeros(len(data), bool)
    for number in range(len(data.class_names)):
        members = rng.permutation(np.flatnonzero(data.classes[:, 0] == number))
        away[members[: round(share * len(members))]] = True
    return data.subset(~away), data.subset(away)


def place_on_canvas(rng: np.random.Generator, low: float = 0.4, high: float = 0.9) -> np.ndarray:
    """Where a scaled photograph lies on a canvas of its own size: x, y, w, h in shares."""
    side = rng.uniform(low, high)
    x, y = rng.random(2) * (1 - side)
    return np.array([x, y, side, side])


def on_canvases(data: LabelledImages, seed: int = 0, part: str = "test") -> LabelledImages:
    """Each photograph scaled by .4 to .9, at a random place on a photographic background of its own size.

    Args:
        data: one object a picture; seed: of places and backgrounds; picture i depends on it and i alone.
        part: the split whose backgrounds are taken.
    """
    height, width = data.images.shape[1:3]
    photographs = [each for each in backgrounds.of_split(part) if each.file]
    pictures, boxes = np.empty_like(data.images), data.boxes.copy()
    for i, image in enumerate(data.images):
        rng = np.random.default_rng([seed, i])
        x, y, w, h = np.rint(place_on_canvas(rng) * [width, height, width, height]).astype(int)
        canvas = backgrounds.paint(rng, photographs[rng.integers(len(photographs))], height, width)
        canvas[y : y + h, x : x + w] = images.resize(image, (h, w))
        pictures[i] = images.to_uint8(canvas)
        boxes[i, 0] = _moved(boxes[i, 0], (x, y, w, h), (height, width))
    return dataclasses.replace(data, images=pictures, boxes=boxes)


def _moved(box: np.ndarray, place: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """A box of a picture of this size, when the picture is squeezed into a place of it."""
    height, width = size
    shares = np.asarray(box) / np.array([width, height, width, height])
    return from_window(shares[None], np.array([place], np.float64))[0]


# --- views ----------------------------------------------------------------------------------------------


def windows(boxes: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random window for each picture, and which kind it is.

    Args:
        boxes: (N, 4) in shares of the picture.

    Returns:
        float64 (N, 4) x, y, w, h in shares of the picture, which may reach far beyond it, and the kinds
        WHOLE, CANVAS or NEAR (N,).
    """
    n = len(boxes)
    kinds = rng.choice(3, n, p=recipe.views)[:, None]
    aspect = np.exp(rng.uniform(-0.15, 0.15, (n, 1)) * [1, -1])
    sides = rng.uniform(0.88, 1.14, (n, 2))
    sides = np.where(kinds == CANVAS, aspect / rng.uniform(0.35, 0.95, (n, 1)), sides)
    near = boxes[:, 2:] / np.clip(rng.uniform(0.45, 0.9, (n, 1)) * aspect, 0.4, 0.95)
    sides = np.where(kinds == NEAR, near, sides)
    place = rng.random((n, 2))
    low = -place * (sides - 1)
    low = np.where(kinds == NEAR, boxes[:, :2] - place * (sides - boxes[:, 2:]), low)
    return np.concatenate([low, sides], axis=1), kinds[:, 0]


def coverage(start: np.ndarray, extent: np.ndarray, size: int) -> np.ndarray:
    """How much of each pixel of a view lies in the picture, along one axis: float32 (N, size), 0..1.

    Args:
        start, extent: (N,) of the window, in shares of the picture.
    """
    edges = start[:, None] + extent[:, None] * np.arange(size + 1) / size
    inside = np.clip(edges[:, 1:], 0, 1) - np.clip(edges[:, :-1], 0, 1)
    return (inside / (extent[:, None] / size)).astype(np.float32)


def views(
    pictures: np.ndarray, boxes: np.ndarray, behind: np.ndarray, recipe: Recipe, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Random views of photographs, with their boxes.

    Args:
        pictures: uint8 (N, H, W, 3); boxes: (N, 4) in shares of them.
        behind: uint8 (B, size, size, 3), backgrounds to choose from.

    Returns:
        float32 (N, size, size, 3), RGB 0..255, and boxes (N, 4) in shares of the views, cut at their borders.
    """
    n, (height, width), size = len(pictures), pictures.shape[1:3], recipe.size
    window, kinds = windows(boxes, recipe, rng)
    mirrored = rng.random(n) < 0.5
    sharpness = np.where(rng.random(n) < 0.4, rng.uniform(-0.6, 0.8, n), 0)
    middle = window[:, :2] + window[:, 2:] / 2
    rows = augment.axis_matrices(middle[:, 1] * height, window[:, 3] * height, size, height, sharpness)
    columns = augment.axis_matrices(middle[:, 0] * width, window[:, 2] * width, size, width, sharpness)
    out = augment.resample(pictures, rows, columns)
    other = behind[rng.integers(len(behind), size=n)].astype(np.float32) * rng.uniform(0.7, 1.2, (n, 1, 1, 1))
    filled = (kinds == CANVAS) | ((kinds == NEAR) & (rng.random(n) < 0.5))
    across, down = (coverage(window[:, i], window[:, 2 + i], size) for i in (0, 1))
    share = np.where(filled[:, None, None], down[:, :, None] * across[:, None, :], 1)[..., None]
    out = (share * out + (1 - share) * other).astype(np.float32)
    out[mirrored] = out[mirrored, :, ::-1]
    found = to_window(boxes, window)
    found[mirrored, 0] = 1 - found[mirrored, 0] - found[mirrored, 2]
    corners = np.clip(np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1), 0, 1)
    corners[:, 2:] -= corners[:, :2]
    return augment.colours(np.clip(out, 0, 255), rng, 0.15), corners


def bank(data: LabelledImages, recipe: Recipe) -> np.ndarray:
    """What may lie behind a photograph: half painted backgrounds, half pieces of others without an object.

    Returns:
        uint8 (B, size, size, 3).
    """
    rng = np.random.default_rng([recipe.seed, 1])
    choices = [*backgrounds.of_split("train"), *backgrounds.of_split("validation")]
    found = []
    for i in range(recipe.backgrounds):
        strip = None
        if i % 2:
            pick = int(rng.integers(len(data)))
            strip = beside(data.images[pick], data.boxes[pick, 0])
        if strip is None:
            strip = backgrounds.paint(rng, choices[rng.integers(len(choices))], recipe.size, recipe.size)
        found.append(images.to_uint8(images.resize(strip, recipe.size)))
    return np.stack(found)


def beside(image: np.ndarray, box: np.ndarray, least: float = 0.2) -> np.ndarray | None:
    """The largest strip of a picture left, right, above or below its box; None if all are narrow."""
    height, width = image.shape[:2]
    x, y, w, h = np.asarray(box).astype(int)
    strips = {
        x / width: image[:, :x],
        (width - x - w) / width: image[:, x + w + 1 :],
        y / height: image[:y],
        (height - y - h) / height: image[y + h + 1 :],
    }
    share = max(strips)
    return strips[share] if share >= least and min(strips[share].shape[:2]) >= 8 else None


def batches(recipe: Recipe, data: LabelledImages) -> training.Batches:
    """Shuffled views that depend only on the recipe's seed and the epoch."""
    height, width = data.images.shape[1:3]
    shares = data.boxes[:, 0].astype(np.float64) / np.array([width, height, width, height])
    behind = bank(data, recipe)

    def one_epoch(epoch: int) -> Iterator[training.Batch]:
        rng = np.random.default_rng([recipe.seed, 2, epoch])
        for pick in training.shuffled(len(data), recipe.batch, rng):
            x, boxes = views(data.images[pick], shares[pick], behind, recipe, rng)
            truth = targets(data.classes[pick, 0], boxes, len(data.class_names))
            yield images.preprocess(x), truth

    return one_epoch


# --- training -------------------------------------------------------------------------------------------


def build(recipe: Recipe, data: LabelledImages) -> tuple[keras.Model, float]:
    """The network, compiled, and its `map_scale`."""
    from keras import optimizers

    backbone = pretrained.load_vgg16(recipe.backbone, until="block5_conv3")
    some = images.preprocess(images.resize(data.images[:8], recipe.size))
    scale = localizer.map_scale(backbone, some)
    model = localizer.build(backbone, len(data.class_names), recipe.heads, size=recipe.size, scale=scale)
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(recipe.frozen)
    optimizer = optimizers.AdamW(recipe.rate, weight_decay=recipe.decay, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return compile_localizer(model, optimizer, recipe.loss, recipe.box_weight), scale


def load(data: str | Path, csv_file: str | Path | None = None, drawn: Drawn = "") -> LabelledImages:
    """Pictures and boxes, all in one size; pictures with a useless box are left out with a warning.

    Args:
        data, csv_file, drawn: see `boxes_from_csv`; the table is `boxes.csv` in the folder by default.

    Raises:
        ValueError: pictures with several boxes: this network answers with one.
    """
    found = boxes_from_csv(data, csv_file or Path(data) / "boxes.csv", size=SOURCE, drawn=drawn, skip=True)
    if found.boxes.shape[1] > 1:
        several = [found.files[i] for i in np.flatnonzero((found.classes >= 0).sum(axis=1) > 1)]
        raise ValueError(
            f"{len(several)} pictures have several boxes, such as {several[0]}: a localizer answers with one"
        )
    if len(found.class_names) < 2:
        raise ValueError(f"all boxes are of one class, {found.class_names[0]}: at least two are needed")
    return found


def measure(model: keras.Model, data: LabelledImages, **how: Any) -> dict[str, float]:
    """`regression.quality` of a model on pictures of one object."""
    found = regression.locate(model, data.images, **(LOOKS | how))
    return regression.quality(found, data.boxes[:, 0], data.classes[:, 0], data.class_names)


def trivial(used: LabelledImages, asked: LabelledImages) -> dict[str, dict[str, float]]:
    """What the median box, and the median box of the (given) class, reach."""
    truth, labels, names = asked.boxes[:, 0], asked.classes[:, 0], asked.class_names
    one = median_box(used.boxes[:, 0])
    each = class_median_boxes(used.boxes[:, 0], used.classes[:, 0], len(names))
    answers = {"median_box": np.tile(one, (len(truth), 1)), "class_median_box": each[labels]}
    facts = {name: regression.quality(found, truth, labels, names) for name, found in answers.items()}
    share = np.bincount(labels, minlength=len(names))[np.bincount(used.classes[:, 0]).argmax()] / len(labels)
    return facts | {"majority_class": {"accuracy": float(share)}}


class Localizer(training.Trainer[Recipe]):
    """From photographs of one object each to a network that names and boxes it.

    Args:
        recipe: all settings.
        data: folder with the pictures.
        table, drawn: see `load`.
    """

    command = "localizer"

    def __init__(
        self, recipe: Recipe, data: str | Path, table: str | Path | None = None, drawn: Drawn = ""
    ) -> None:
        super().__init__(recipe, "localizer_caltech", "--data DIR")
        self.folder, self.table, self.drawn = data, table, drawn
        self.held: LabelledImages | None = None

    def load(self) -> None:
        known, self.test = split(load(self.folder, self.table, self.drawn))
        self.used, self.held = known, None
        if self.recipe.hold_out:
            self.used, self.held = split(known, 0.1, seed=1)
        self.data = {"name": "photographs with one box each", "sha256": runs.fingerprint(self.folder)}

    def build(self) -> keras.Model:
        model, self.scale = build(self.recipe, self.used)
        return model

    def steps(self) -> int:
        return training.steps_in(len(self.used), self.recipe.batch)

    def batches(self) -> training.Batches:
        return batches(self.recipe, self.used)

    def validate(self, model: keras.Model) -> dict[str, float]:
        if self.held is None:
            return {}
        asked = (self.held, on_canvases(self.held, 1))
        plain, moved = (measure(model, each, looks=1, mirror=False) for each in asked)
        return {
            "val_mean_iou": plain["mean_iou"],
            "val_accuracy": plain["accuracy"],
            "val_canvas_iou": moved["mean_iou"],
        }

    def weights(self, model: keras.Model) -> dict[str, np.ndarray]:
        return localizer.reduced(weight_files.of(model), self.scale)

    def judge(self, path: Path) -> training.Judgement:
        model = regression.load(path)
        part, pictures = ("test", self.test) if self.held is None else ("validation", self.held)
        canvases = on_canvases(pictures)
        metrics: dict[str, Any] = {}
        for name, asked in ((part, pictures), (f"{part}_canvas", canvases)):
            metrics |= {f"{name}_{k}": v for k, v in measure(model, asked).items()}
            one = measure(model, asked, looks=1, mirror=False)
            metrics |= {f"{name}_one_look_{k}": one[k] for k in ("mean_iou", "over_half")}
        baselines = {
            part: trivial(self.used, pictures),
            f"{part}_canvas": trivial(on_canvases(self.used, 1), canvases),
        }
        card = {
            "title": "VGG-16 (half width) with a head for the class and one for the box",
            "input_size": self.recipe.size,
            "class_names": list(self.used.class_names),
            "data": f"{len(self.used)} photographs with one box each, a fifth of every class kept apart; "
            "Caltech-101 (Fei-Fei, Fergus and Perona 2004), CC BY 4.0, where it was caltech_boxes. "
            "No picture ships.",
            "asked": LOOKS,
            "limits": "Answers with one of its classes and one box, also where there is none of them.",
        }
        return training.Judgement(metrics, baselines, card)
