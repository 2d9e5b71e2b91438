"""The recipe of an FCN on one's own pictures and masks, or on scenes. Notebook 05.

The backbone comes trained; everything learns together with Adam. Each epoch shows every picture once: at
another scale, place and colour, perhaps mirrored. At the end what will be used (rounded to float16, run in
float32) is measured beside a patch-wise classifier and beside answers that look at no picture.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from course_utils import runtime, segmentation, training
from course_utils.datasets import augment, masks_from_folders, scenes, voc
from course_utils.datasets.labelled import IGNORED, LabelledImages
from course_utils.datasets.own import Drawn
from course_utils.networks import convert, fcn, gradients, pretrained, vgg16, weight_files
from course_utils.pictures import images
from course_utils.segmentation import answers, patches

if TYPE_CHECKING:
    import keras

Pair = tuple[np.ndarray, np.ndarray]
"""Pictures uint8 (N, H, W, 3), RGB, and masks uint8 (N, H, W)."""


@dataclass(frozen=True)
class Samples:
    """Labelled pictures to train and to judge on."""

    train: Pair
    validation: Pair
    class_names: tuple[str, ...]
    name: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        variant: how fine: 32s, 16s or 8s.
        backbone: weights of VGG-16: course, imagenet, auto, or a file.
        start: go on from the weights.npz of a run, also of a coarser FCN; then no backbone.
        frozen: blocks of VGG-16 that stay as they are: edges and colours are the same everywhere.
        dropout: behind each of the dense layers.
        balance: 0 counts all pixels alike, 1 all classes; between: frequency to the power of -balance.
        zoom: pictures are enlarged so much before the network sees them, in training and afterwards.
        jitter: training scales by a factor between 1 / jitter and jitter.
        crop: longest side of what one training step sees of a picture.
        pictures: train on so many only; 0: all.
        patches: for the patch-wise baseline, how many patches it learns from; 0: none.
    """

    variant: fcn.Variant = "8s"
    backbone: str = "course"
    start: str = ""
    epochs: int = 80
    batch: int = 8
    frozen: int = 2
    rate: float = 2e-4
    dropout: float = 0.3
    balance: float = 0.4
    zoom: float = 1.0
    jitter: float = 1.5
    crop: int = 256
    pictures: int = 0
    patches: int = 40_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.balance <= 1 and 0.25 <= self.zoom <= 4 and self.pictures >= 0):
            raise ValueError(
                f"balance {self.balance}, zoom {self.zoom}, pictures {self.pictures}: balance is 0 to 1, "
                "zoom .25 to 4, and pictures not negative"
            )


# --- data -----------------------------------------------------------------------------------------------


def from_folders(
    train: tuple[str | Path, str | Path],
    validation: tuple[str | Path, str | Path] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    ignore: Sequence[int] = (),
    size: int | tuple[int, int] | None = None,
    drawn: Drawn = "",
    hold_out: float = 0.2,
    seed: int = 0,
    name: str = "",
) -> Samples:
    """Pictures and masks of a reader, in two folders, or in two and two.

    Args:
        train, validation: (folder of pictures, folder of masks). Without the second, every fifth picture or
            so of the first is kept out, chosen by the seed.
        class_names, ignore, size, drawn: see `datasets.masks_from_folders`.
        hold_out: share that is kept out.
        name: of the data, for the record.

    Raises:
        FileNotFoundError, ValueError: telling all that is wrong with the files; fewer than two pictures.
    """
    options: Any = {"ignore": ignore, "size": size, "drawn": drawn}
    whole = masks_from_folders(*train, class_names=class_names, **options)
    names = whole.mask_names if class_names is None else tuple(class_names)
    if validation is not None:
        options["size"] = size or whole.images.shape[1:3]
        held = masks_from_folders(*validation, class_names=class_names or names, **options)
        parts: tuple[np.ndarray, ...] = (whole.images, whole.masks, held.images, held.masks)
    else:
        parts = _divided(whole, hold_out, seed, train[0])
    _two_classes(parts[1], names)
    return _samples(parts, names, name or Path(train[0]).resolve().name)


def _divided(whole: LabelledImages, hold_out: float, seed: int, source: str | Path) -> tuple[np.ndarray, ...]:
    """Pictures and masks to learn from, and those kept out, chosen by the seed."""
    if len(whole) < 2:
        raise ValueError(f"{source}: one picture can't be learnt from and judged by; at least two are needed")
    order = np.random.default_rng(seed).permutation(len(whole))
    cut = min(max(1, round(len(whole) * hold_out)), len(whole) - 1)
    out, keep = np.sort(order[:cut]), np.sort(order[cut:])
    return whole.images[keep], whole.masks[keep], whole.images[out], whole.masks[out]


def from_voc(
    folder: str | Path, split: str = "train", size: tuple[int, int] = (256, 256), seed: int = 0
) -> Samples:
    """PASCAL VOC in its official layout, see `datasets.voc`; judged by its list "val", where there is one.

    Args:
        folder: such as VOCdevkit/VOC2012.
        split: the list to learn from. "trainval" and "val" hold the pictures of "val": a fifth is kept out.
        size: height and width that every picture is fitted into.

    Raises:
        FileNotFoundError, ValueError: see `datasets.voc.load`; fewer than two pictures.
    """
    whole = voc.load(folder, split, size)
    judged = Path(folder) / "ImageSets" / "Segmentation" / "val.txt"
    if split in ("val", "trainval") or not judged.is_file():
        parts = _divided(whole, 0.2, seed, folder)
    else:
        held = voc.load(folder, "val", size)
        parts = whole.images, whole.masks, held.images, held.masks
    _two_classes(parts[1], voc.CLASS_NAMES)
    return _samples(parts, voc.CLASS_NAMES, f"{Path(folder).resolve().name} {split}")


def from_scenes(n: int = 600, size: int = 96, seed: int = 0) -> Samples:
    """Scenes with one to three objects: what there is without any download."""
    train = scenes(n, size=size, seed=seed, objects=(1, 3))
    held = scenes(max(2, n // 6), size=size, seed=seed, objects=(1, 3), split="validation")
    return _samples((train.images, train.masks, held.images, held.masks), train.mask_names, "scenes")


def _samples(parts: tuple[np.ndarray, ...], names: Sequence[str], name: str) -> Samples:
    whole = hashlib.sha256("\n".join(names).encode())
    for part in parts:
        whole.update(repr(part.shape).encode() + np.ascontiguousarray(part).tobytes())
    if len(names) < 2:
        raise ValueError(f"the masks know one class only ({names[0]}): at least two are needed")
    return Samples((parts[0], parts[1]), (parts[2], parts[3]), tuple(names), name, whole.hexdigest())


def _two_classes(masks: np.ndarray, names: Sequence[str]) -> None:
    """ValueError where all judged pixels are of one class."""
    used = np.setdiff1d(masks, [IGNORED])
    if len(used) < 2:
        only = f"the class {names[used[0]]}" if len(used) else "255, which is not judged"
        raise ValueError(f"the masks to learn from hold {only} only: at least two classes are needed")


def fewer(samples: Samples, n: int, seed: int) -> Samples:
    """The same with only n training pictures (0: all), to see what more would bring."""
    x, y = samples.train
    if not n or n >= len(x):
        return samples
    pick = np.sort(np.random.default_rng(seed).permutation(len(x))[:n])
    parts = x[pick], y[pick], *samples.validation
    return _samples(parts, samples.class_names, f"{samples.name}, {n} pictures")


# --- batches --------------------------------------------------------------------------------------------


def view(
    image: np.ndarray, mask: np.ndarray, size: tuple[int, int], zoom: float, at: tuple[float, float]
) -> Pair:
    """A window of a picture and of its mask, enlarged by `zoom`.

    Args:
        image: uint8 (H, W, 3); mask: uint8 (H, W).
        size: height and width of the result.
        at: row and column where the window begins, in pixels of the picture; it may reach beyond it.

    Returns:
        float32 (h, w, 3), bilinear, with the mean colour beyond the border; and uint8 (h, w), nearest, with
        255 there.
    """
    top, left = at
    half = 0.5 / zoom - 0.5  # from corners of pixels to their middles
    matrix = np.array([[1 / zoom, 0, left + half], [0, 1 / zoom, top + half]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    ground = images.BGR_MEAN[::-1].tolist()
    seen = cv2.warpAffine(
        image, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=ground
    )
    rows = np.floor(top + (np.arange(size[0]) + 0.5) / zoom).astype(int)
    columns = np.floor(left + (np.arange(size[1]) + 0.5) / zoom).astype(int)
    inside = ((rows >= 0) & (rows < mask.shape[0]))[:, None] & ((columns >= 0) & (columns < mask.shape[1]))
    rows, columns = np.clip(rows, 0, mask.shape[0] - 1), np.clip(columns, 0, mask.shape[1] - 1)
    labels = np.where(inside, mask[rows[:, None], columns], IGNORED)
    return seen.astype(np.float32), labels.astype(np.uint8)


def views(
    x: np.ndarray, y: np.ndarray, size: tuple[int, int], recipe: Recipe, rng: np.random.Generator
) -> Pair:
    """A random view of each picture: scale, place, flip, colour; see `view`."""
    seen, labels = [], []
    for image, mask in zip(x, y, strict=True):
        zoom = recipe.zoom * math.exp(rng.uniform(-1, 1) * math.log(recipe.jitter))
        room = [n - s / zoom for n, s in zip(mask.shape, size, strict=True)]
        one, its = view(image, mask, size, zoom, (room[0] * rng.random(), room[1] * rng.random()))
        turn = -1 if rng.random() < 0.5 else 1
        seen.append(one[:, ::turn])
        labels.append(its[:, ::turn])
    return augment.colours(np.stack(seen), rng, 0.15), np.stack(labels)


def crop_size(recipe: Recipe, samples: Samples) -> tuple[int, int]:
    """Height and width of what a training step sees."""
    height, width = (min(recipe.crop, round(n * recipe.zoom)) for n in samples.train[1].shape[1:])
    return height, width


def batches(recipe: Recipe, samples: Samples) -> training.Batches:
    """Shuffled views that depend only on the recipe's seed and the epoch; the last batch is filled up."""
    x, y = samples.train
    size = crop_size(recipe, samples)

    def one_epoch(epoch: int) -> Iterator[training.Batch]:
        rng = np.random.default_rng([recipe.seed, epoch])
        order = rng.permutation(len(x))
        order = np.resize(order, steps(recipe, samples) * recipe.batch)
        for start in range(0, len(order), recipe.batch):
            pick = order[start : start + recipe.batch]
            seen, labels = views(x[pick], y[pick], size, recipe, rng)
            yield images.preprocess(seen), labels

    return one_epoch


def steps(recipe: Recipe, samples: Samples) -> int:
    """Batches in an epoch."""
    return math.ceil(len(samples.train[0]) / recipe.batch)


def class_weights(masks: np.ndarray, classes: int, balance: float) -> np.ndarray:
    """How much a pixel of each class counts: float32 (classes,), 1 for the average pixel.

    A class that is absent counts like the rarest; no class counts more than 20 times the most frequent.
    """
    counts = np.array([(masks == c).sum() for c in range(classes)], np.float64)
    there = counts > 0
    counts[~there] = counts[there].min() if there.any() else 1
    weights = counts**-balance
    weights = np.minimum(weights, 20 * weights.min())
    return (weights / ((weights * counts).sum() / counts.sum())).astype(np.float32)


# --- the run --------------------------------------------------------------------------------------------


def build(recipe: Recipe, samples: Samples) -> keras.Model:
    """The network in its training form (with dropout), compiled.

    Raises:
        FileNotFoundError, ValueError: the weights are missing, of other classes, or of a finer variant.
    """
    from keras import optimizers

    classes = len(samples.class_names)
    if recipe.start:
        model = _started(recipe, classes)
    else:
        backbone = pretrained.load_vgg16(recipe.backbone, include_top=False)
        model = fcn.build(classes, recipe.variant, backbone=backbone, dropout=recipe.dropout)
    for layer in model.layers:
        layer.trainable &= not layer.name.startswith(tuple(f"block{i + 1}_" for i in range(recipe.frozen)))
    optimizer = optimizers.AdamW(recipe.rate, weight_decay=recipe.decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    weights = class_weights(samples.train[1], classes, recipe.balance)
    model.compile(optimizer, fcn.pixel_loss(weights), jit_compile=runtime.xla())
    return model


def _started(recipe: Recipe, classes: int) -> keras.Model:
    """A trained FCN, grown to the variant that is asked for."""
    model = answers.load(recipe.start)
    if model.output_shape[-1] != classes:
        raise ValueError(f"{recipe.start} knows {model.output_shape[-1]} classes, the masks {classes}")
    order = fcn.VARIANTS
    found = fcn.variant_of([layer.name for layer in model.layers])
    if order.index(found) > order.index(recipe.variant):
        raise ValueError(f"{recipe.start} is an FCN-{found}, finer than {recipe.variant}")
    for _ in range(order.index(recipe.variant) - order.index(found)):
        model = fcn.grow(model)
    values = weight_files.of(model)
    shapes = {name: values[f"{name}_kernel"].shape for name in weight_files.layers(values)}
    return weight_files.put(fcn.like(shapes, dropout=recipe.dropout), values, recipe.start)


def confusion(model: keras.Model, pair: Pair, classes: int, zoom: float = 1.0, batch: int = 8) -> np.ndarray:
    """The confusion matrix of a model on pictures of one size, in batches."""
    x, y = pair
    size = (x.shape[1], x.shape[2])
    inner = answers.zoomed(size, zoom)

    def ready(part: np.ndarray) -> np.ndarray:
        return images.preprocess(part if inner == size else images.resize(part, inner))

    def labels(logits: np.ndarray) -> np.ndarray:
        return (logits if inner == size else images.resize(logits, size)).argmax(-1)

    found = gradients.forward(model, x, batch, before=ready, after=labels)
    return segmentation.confusion_matrix(y, found, classes)


class Fcn(training.Trainer[Recipe]):
    """From labelled pictures to an FCN.

    Args:
        recipe: all settings.
        samples: from `from_folders` or `from_scenes`.
        name: of the weights and the record; default "fcn8s" and so on.
        terms: what the pictures are and may be used for, for the card.
    """

    command = "fcn"

    def __init__(self, recipe: Recipe, samples: Samples, *, name: str = "", terms: str = "") -> None:
        super().__init__(recipe, name or f"fcn{recipe.variant}")
        self.samples, self.terms = samples, terms

    def load(self) -> None:
        self.samples = fewer(self.samples, self.recipe.pictures, self.recipe.seed)
        self.data = {"name": self.samples.name, "sha256": self.samples.fingerprint}

    def build(self) -> keras.Model:
        model = build(self.recipe, self.samples)
        self.began_with = _fingerprint(model)
        return model

    def steps(self) -> int:
        return steps(self.recipe, self.samples)

    def batches(self) -> training.Batches:
        return batches(self.recipe, self.samples)

    def rate(self) -> Callable[[float], float]:
        return training.one_cycle(self.recipe.rate, warm_up=0.08)

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"weights": self.began_with}

    def validate(self, model: keras.Model) -> dict[str, float]:
        classes = len(self.samples.class_names)
        found = segmentation.quality(confusion(model, self.samples.validation, classes, self.recipe.zoom))
        return {"val_mean_iu": found.mean_iu, "val_pixel_accuracy": found.pixel_accuracy}

    def judge(self, path: Path) -> training.Judgement:
        model, samples = answers.load(path), self.samples
        pretrained.remember(model, pretrained.About(card={"zoom": self.recipe.zoom}))
        card = {
            "title": f"FCN-{self.recipe.variant} on {samples.name}",
            "class_names": list(samples.class_names),
            "zoom": self.recipe.zoom,
            "data": self.terms or samples.name,
            "pictures": {"train": len(samples.train[0]), "validation": len(samples.validation[0])},
            "began_with": self.began_with,
        }
        return training.Judgement(measure(model, samples), baselines(samples, self.recipe), card)


def _fingerprint(model: keras.Model) -> str:
    """SHA-256 of a network's VGG-16, as it is now."""
    whole = hashlib.sha256()
    for name in vgg16.LAYERS:
        for value in model.get_layer(name).get_weights():
            whole.update(np.ascontiguousarray(value, np.float32).tobytes())
    return whole.hexdigest()


# --- what came out --------------------------------------------------------------------------------------


def measure(model: keras.Model, samples: Samples) -> dict[str, Any]:
    """The four figures on the validation pictures, by class, and what each smoothing changes."""
    names = samples.class_names
    totals = {how: np.zeros((len(names), len(names)), np.int64) for how in answers.SMOOTHINGS}
    for image, mask in zip(*samples.validation, strict=True):
        picture = image.astype(np.float32)
        logits = answers.scores(model, picture)
        for how, labels in answers.SMOOTHINGS.items():
            totals[how] += segmentation.confusion_matrix(mask, labels(logits, picture), len(names))
    found = segmentation.quality(totals["none"])
    by_class = {
        key: {c: float(v) for c, v in zip(names, getattr(found, key), strict=True) if np.isfinite(v)}
        for key in ("iu", "precision", "recall")
    }
    smoothed = {
        f"mean_iu_{how}": segmentation.quality(t).mean_iu for how, t in totals.items() if how != "none"
    }
    return found.figures() | smoothed | by_class


def baselines(samples: Samples, recipe: Recipe) -> dict[str, Any]:
    """What answers reach that look at no picture, or at 15x15 pixels of it."""
    classes = len(samples.class_names)
    truth = samples.validation[1]

    def judged(answer: np.ndarray) -> dict[str, float]:
        answer = np.broadcast_to(answer, truth.shape)
        return segmentation.quality(segmentation.confusion_matrix(truth, answer, classes)).figures()

    counts = [(samples.train[1] == c).sum() for c in range(classes)]
    prior = segmentation.position_prior(samples.train[1], classes)
    found = {"majority_class": judged(np.array(np.argmax(counts))), "position_prior": judged(prior)}
    if recipe.patches:
        found["patch_wise_15x15"] = judged(patch_wise(samples, recipe.patches, recipe.seed))
    return found


def patch_wise(samples: Samples, n: int, seed: int, epochs: int = 3) -> np.ndarray:
    """Train the patch-wise classifier on n patches; its labels for the validation pictures."""
    from keras import optimizers

    x, y = patches.sample(*samples.train, n, np.random.default_rng(seed))
    model = patches.build(len(samples.class_names))
    model.compile(optimizers.Adam(1e-3), "sparse_categorical_crossentropy", jit_compile=runtime.xla())
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=0)
    converted = convert.dense_to_convolutional(model)
    answer = [patches.in_one_pass(converted, one).argmax(-1) for one in samples.validation[0]]
    return np.stack(answer).astype(np.uint8)
