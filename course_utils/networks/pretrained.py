"""Networks with weights, what one must know about them, and their answers to a photograph. Notebook 01.

Every VGG-16 takes the original's input, BGR minus 103.939/116.779/123.68, whoever trained it. `about(model)`
holds what the model itself does not know: how to prepare a picture, the names of the classes, the card.
"""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from course_utils import files, runtime
from course_utils.networks import foreign, gradients, heads, vgg16, weight_files
from course_utils.pictures import images as pictures

if TYPE_CHECKING:
    import keras

IMAGENET, IMAGENET_NO_TOP = "vgg16", "vgg16_no_top"  # names in `assets`
NAMES = "names"  # the head that ships
CLASSES = "imagenet_classes.json"  # ships
HEADS = ("fc1", "fc2", "predictions")
AROUND = 70_000_000  # bytes for a moment, beside a network's numbers, while it is loaded: measured


@dataclass(frozen=True)
class About:
    """What one must know about a model.

    Attributes:
        name: the weights in a few words, such as "the course's own VGG-16 (half width)".
        weights: "original", "imagenet", "course", "random", "unknown" or a path.
        preprocess: pictures (…, 3) RGB 0..255 -> the model's input, float32.
        deprocess: its inverse.
        wnids, class_names: one for each output, empty where they are not known.
        input_size: side in pixels at which the model classifies best.
        card: the model card (data and its terms, recipe, accuracy …), empty where there is none.
    """

    name: str = "a network of your own"
    weights: str = "random"
    preprocess: Callable[[np.ndarray], np.ndarray] = pictures.preprocess
    deprocess: Callable[[np.ndarray], np.ndarray] = pictures.deprocess
    wnids: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    input_size: int = 224
    card: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Prediction:
    """One guess: rank 1 is the best; `probability` is the softmax value, 0..1."""

    rank: int
    wnid: str
    name: str
    probability: float


_ABOUT: weakref.WeakKeyDictionary[Any, About] = weakref.WeakKeyDictionary()


def remember(model: keras.Model, facts: About) -> keras.Model:
    """Attach facts to a model, for `about`; returns the model."""
    _ABOUT[model] = facts
    return gradients.at_rest(model)


UNKNOWN = "unknown"  # the weights of a network that is not the course's


def about(model: keras.Model) -> About:
    """What is known about a model.

    One that was saved and loaded again is recognized by its weights; a VGG-16 of any other weights gets the
    input that all of them take. Of a network of another kind nothing is known: its pictures stay RGB 0..255,
    with a warning, and `remember` says it better.
    """
    return _ABOUT.get(model) or _recognized(model)


def _recognized(model: keras.Model) -> About:
    """The facts of a model that this module did not make."""
    size = _fixed_size(model) or 224
    layers = _with_weights(model)
    first = _kernel(layers, vgg16.LAYERS[0])
    if first is None or first.ndim != 4 or not getattr(layers[vgg16.LAYERS[0]], "use_bias", False):
        return _all_cnn_again(layers) or About(UNKNOWN_NAME, UNKNOWN, _as_it_is, _clipped, input_size=size)
    for kind, name in (("original", heads.TRUNK), ("course", "vgg16_course")):
        path = weight_files.shipped(name)
        if not _same(first, path, f"{vgg16.LAYERS[0]}_kernel"):
            continue
        card, top = weight_files.card(path), _kernel(layers, "predictions")
        if kind == "original" and top is not None:
            values, of_head = heads.read(NAMES)
            if np.array_equal(np.squeeze(top), np.squeeze(values["predictions_kernel"])):
                card = card | {"head": of_head}
        known = {} if top is None else {"predictions_kernel": top}
        return _facts(kind, path, known, first.shape[-1] / vgg16.CHANNELS[vgg16.LAYERS[0]], card)
    return About(input_size=size)


UNKNOWN_NAME = "a network of your own, whose input is not known"


def _with_weights(model: keras.Model) -> dict[str, Any]:
    """The layers by name, those of models inside it too."""
    import keras

    found: dict[str, Any] = {}
    for layer in getattr(model, "layers", ()):
        inside = _with_weights(layer) if isinstance(layer, keras.Model) else {layer.name: layer}
        found = inside | found
    return found


def _kernel(layers: Mapping[str, Any], name: str) -> np.ndarray | None:
    kernel = getattr(layers.get(name), "kernel", None)
    return None if kernel is None else weight_files.as_numpy(kernel)


def _same(kernel: np.ndarray, path: Path, key: str) -> bool:
    """Whether a shipped file holds this very kernel."""
    if not path.is_file():
        return False
    with files.reading_npz(path) as arrays:
        stored = arrays[key] if key in arrays.files else np.zeros(0)
    return stored.shape == kernel.shape and bool((stored.astype(kernel.dtype) == kernel).all())


def _all_cnn_again(layers: Mapping[str, Any]) -> About | None:
    """The facts of the network of notebook 06, if its kernels are these."""
    path = weight_files.shipped("all_cnn")
    first = _kernel(layers, "conv1")
    if first is None or not _same(first, path, "conv1_kernel"):
        return None
    return _all_cnn_facts(weight_files.card(path), path.name, "course")


def _as_it_is(images: np.ndarray) -> np.ndarray:
    """Pictures 0..255 as they are, with a word that this is a guess."""
    warnings.warn(
        "what this network takes is not known here, so it gets RGB 0..255 as it is. Say it with "
        "pretrained.remember(model, About(preprocess=…, deprocess=…, class_names=…, input_size=…))",
        stacklevel=3,
    )
    return np.asarray(images, np.float32)


def _clipped(x: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(x, np.float32), 0, 255)


def _fixed_size(model: keras.Model) -> int | None:
    shape = getattr(model, "input_shape", ())
    return shape[1] if isinstance(shape, tuple) and len(shape) == 4 else None


# --- loading --------------------------------------------------------------------------------------------


def load_vgg16(
    weights: str | Path | None = "original",
    *,
    until: str | None = None,
    include_top: bool | None = None,
    pooling: Literal["max", "average"] = "max",
    input_shape: tuple[int | None, int | None, int] | None = None,
    width: float = 1.0,
    head: Literal["dense", "average"] = "dense",
    classes: int = 1000,
) -> keras.Model:
    """VGG-16 with weights. Nothing is ever downloaded: `course fetch vgg16` gets the original's.

    Args:
        weights: "original": the thirteen ImageNet convolutions that ship, and above them the course's own
            head `names` (1000 classes); "imagenet": all sixteen layers of the original, if they were fetched;
            "auto": those, else "original"; "course": half width, 200 classes, an experiment; None: random
            (He-normal); a path to an `.npz`, `.h5`, `.keras`, a `.caffemodel`, torchvision's `.pth` or
            `.safetensors`, or the Theano-ordered `.h5` of 2015, which may hold only the first layers, or to a
            head that `course train names` made.
        until: stop after this layer, such as "block3_conv3"; then any input size fits.
        include_top: with the classifier; by default where the weights have one and `until` is not given.
        pooling: "max", or "average" as Gatys et al. (2015) prefer for style.
        input_shape: (H, W, 3), H and W may be None; needed by no usual call.
        width, head, classes: only for random weights; otherwise the file says them.

    Returns:
        A plain Keras model from x, float32 (N, H, W, 3), BGR minus the mean, to softmax values
        (N, classes) or to the last maps. `about(model)` tells what they mean.

    Raises:
        FileNotFoundError: no such file, or the ImageNet weights were not fetched.
        ValueError: a file that is damaged, of another network, or lacks layers that were asked for; or less
            memory is free than the network takes.
    """
    build: dict[str, Any] = {"until": until, "pooling": pooling, "input_shape": input_shape}
    if weights is None:
        top = include_top is not False
        model = vgg16.build(width, include_top=top, head=head, classes=classes, **build)
        size = 224 if width == 1 else 64
        return remember(model, About(f"random weights (width {width:g})", input_size=size))
    needs_top = until is None and include_top is not False
    path, kind = _locate(weights, needs_top)
    values = foreign.read_vgg16(path) or weight_files.read(path, as_stored=True)
    card = weight_files.card(path)
    if heads.is_head(values):
        trunk = weight_files.shipped(heads.TRUNK)
        values, card, path = *_with_head(weight_files.read(trunk, as_stored=True), path, needs_top), trunk
    elif kind == "original":
        values, card = _with_head(values, NAMES, needs_top)
    _only_vgg16(values, path)
    return _from_weights(values, path, kind, include_top, build, card)


def _with_head(
    trunk: dict[str, np.ndarray], head: str | Path, needs_top: bool
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The trunk's weights with those of a head, and the trunk's card with the head's in it."""
    card = weight_files.card(weight_files.shipped(heads.TRUNK))
    if not needs_top:
        return trunk, card
    values, of_head = heads.read(head)
    return trunk | values, card | {"head": of_head}


def _locate(source: str | Path, needs_top: bool) -> tuple[Path, str]:
    """The file that a source means, and "original", "imagenet", "course" or the path as text."""
    if source in ("auto", "imagenet"):
        path = _fetched(needs_top)
        if path is not None:
            return path, "imagenet"
        if source == "imagenet":
            raise FileNotFoundError(
                "the dense layers of ImageNet's VGG-16 are not in the cache: `course fetch vgg16` gets them, "
                "and "
                "says how large they are; load_vgg16() has its convolutions, and works now"
            )
        source = "original"
    if source == "original":
        return weight_files.shipped(heads.TRUNK), "original"
    if source == "course":
        return weight_files.shipped("vgg16_course"), "course"
    return Path(source).expanduser(), str(source)


def _fetched(needs_top: bool) -> Path | None:
    """The original's weights if they are in the cache."""
    from course_utils.downloads import assets

    small = None if needs_top else assets.find(IMAGENET_NO_TOP)
    return small or assets.find(IMAGENET)


def _only_vgg16(values: Mapping[str, np.ndarray], path: Path) -> None:
    """Refuse another network's file."""
    names = weight_files.layers(values)
    if not set(names) & set(vgg16.LAYERS):
        found = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        raise ValueError(f"{path} holds another network than VGG-16: its layers are {found}")
    if vgg16.LAYERS[0] not in names:
        raise ValueError(f"{path}: these layers are missing: {vgg16.LAYERS[0]} (found {', '.join(names)})")
    more = [name for name in names if "_conv" in name and name not in vgg16.LAYERS]
    if more:
        raise ValueError(
            f"{path} holds another network than VGG-16: it has a layer {', '.join(more)} as well"
        )


def _from_weights(
    values: Mapping[str, np.ndarray],
    path: Path,
    kind: str,
    include_top: bool | None,
    build: dict[str, Any],
    card: Mapping[str, Any],
) -> keras.Model:
    """Build the network that the file's shapes describe, and fill it."""
    names = weight_files.layers(values)
    width = values[f"{vgg16.LAYERS[0]}_kernel"].shape[-1] / vgg16.CHANNELS[vgg16.LAYERS[0]]
    if include_top is None:
        include_top = "predictions" in names and build["until"] is None
    _complete(names, path, include_top, build["until"])
    if include_top and build["until"] is None:
        build = build | _top(values, path, width, build["input_shape"])
        if "head" in card:
            build["head"] = "average_conv"
    _check_memory(values, path)
    model = vgg16.build(width, include_top=include_top, initializer="zeros", **build)
    weight_files.put(model, values, path.name)
    return remember(model, _facts(kind, path, values, width, card))


def _check_memory(values: Mapping[str, np.ndarray], path: Path) -> None:
    """Refuse to load what the memory can't hold: the system would end the program without a word."""
    import psutil

    needed = 4 * sum(value.size for value in values.values()) + AROUND
    free = psutil.virtual_memory().available
    if needed > free:
        raise ValueError(
            f"{path.name} needs about {needed / 1e6:.0f} MB of memory, and {free / 1e6:.0f} MB are free: "
            "shut down other notebooks or programs, and load it again"
        )


def _complete(names: Sequence[str], path: Path, include_top: bool, until: str | None) -> None:
    """Say which layers are missing, and how much there is."""
    order = [layer for layer in vgg16.stops_in_order() if layer in vgg16.LAYERS or layer == until]
    wanted = order[: order.index(until) + 1] if until in order else order
    wanted = [layer for layer in wanted if layer in vgg16.LAYERS]
    missing = [layer for layer in wanted if layer not in names]
    if missing:
        last = vgg16.LAYERS[vgg16.LAYERS.index(missing[0]) - 1]
        raise ValueError(
            f"{path.name}: these layers are missing: {', '.join(missing)}. "
            f'What it holds from the start can be used with until="{last}"'
        )
    if include_top and until is None and "predictions" not in names:
        raise ValueError(f"{path.name} has no classifier (predictions): load it with include_top=False")


def _top(
    values: Mapping[str, np.ndarray], path: Path, width: float, input_shape: tuple[int | None, ...] | None
) -> dict[str, Any]:
    """Which head the file has, for how many classes, and at which input size."""
    kernel = values["predictions_kernel"]
    options: dict[str, Any] = {"head": "average", "classes": kernel.shape[-1]}
    if "fc1_kernel" in values:
        places = values["fc1_kernel"].shape[0] / vgg16.channels_of(vgg16.LAYERS[-1], width)
        side = math.isqrt(max(0, int(places)))
        if side < 1 or side * side != places:
            raise ValueError(f"{path.name}: fc1_kernel: {values['fc1_kernel'].shape} fits no square input")
        options |= {"head": "dense", "input_shape": input_shape or (32 * side, 32 * side, 3)}
    return options


def _facts(
    kind: str, path: Path, values: Mapping[str, np.ndarray], width: float, card: Mapping[str, Any]
) -> About:
    head = card.get("head", {})
    classes = values["predictions_kernel"].shape[-1] if "predictions_kernel" in values else 0
    wnids, names = _class_names(head or card, classes)
    text = (
        "the original ImageNet weights of VGG-16" if kind == "imagenet" else f"{path.name} (width {width:g})"
    )
    title = str(card.get("title", text)) + (f", {head['title']}" if "title" in head else "")
    return About(
        name=title + (", stand-in" if card.get("stand_in") else ""),
        weights=kind,
        wnids=wnids,
        class_names=names,
        input_size=int(head.get("input_size") or card.get("input_size", 224)),
        card=MappingProxyType(dict(card)),
    )


def _class_names(card: Mapping[str, Any], classes: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """WordNet ids and names, where a list of the right length is known."""
    table = card.get("classes", CLASSES if classes == 1000 else None)
    if not isinstance(table, str):
        return (), ()
    wnids, names = weight_files.class_table(table)
    return (wnids, names) if len(names) == classes or not classes else ((), ())


def load_all_cnn(
    weights: str | Path | None = "course",
    *,
    variant: Literal["c", "strided", "convpool", "all"] = "all",
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
) -> keras.Model:
    """The all convolutional net for CIFAR-10's ten classes, with weights. Notebook 06.

    Args:
        weights: "course": trained by this project on CIFAR-10, shipped; None: random (He-normal); a path to
            the `weights.npz` of a run of `course train allcnn`, or to the `.h5` of Mate Labs' program.
        variant: which of the paper's networks, where no card beside the weights says it.
        input_shape: (H, W, 3); by default any size from about 16 pixels on, though it knows 32 best.

    Returns:
        A plain Keras model from x, float32 (N, H, W, 3), RGB with zero mean and unit deviation, to softmax
        values (N, 10). `about(model)` prepares pictures and names classes, `classify` takes photographs.

    Raises:
        FileNotFoundError: no such file, or no `whitening.npz` beside weights that were trained with it.
        ValueError: a file that is damaged or of another network.
    """
    from course_utils.datasets import whitening
    from course_utils.networks import all_cnn

    values, card, title = _all_cnn_file(weights)
    settings = card.get("recipe", {})
    variant = settings.get("variant", variant)
    model = all_cnn.build(
        variant,
        padding=settings.get("padding", "valid"),
        last_relu=settings.get("last_relu", False),
        linear=() if settings.get("strided_relu", True) else all_cnn.strided(variant),
        width=settings.get("width", 1.0),
        input_shape=input_shape,
    )
    if values:
        weight_files.put(model, values, title if weights is None else Path(weights).name)
    facts = _all_cnn_facts(card, title, "random" if weights is None else str(weights))
    if weights is not None and settings.get("look") == "whitened":
        whitened = whitening.load(Path(weights).expanduser().with_name("whitening.npz"))
        facts = replace(facts, preprocess=whitened)
    return remember(model, facts)


def _all_cnn_facts(card: Mapping[str, Any], title: str, weights: str) -> About:
    from course_utils.datasets import cifar10

    mean = np.array(card.get("mean", cifar10.MEAN), np.float32)
    deviation = np.array(card.get("deviation", cifar10.DEVIATION), np.float32)
    return About(
        name=str(card.get("title", title)),
        weights=weights,
        preprocess=lambda images: (np.asarray(images, np.float32) - mean) / deviation,
        deprocess=lambda x: np.asarray(x, np.float32) * deviation + mean,
        class_names=tuple(card.get("class_names", cifar10.CLASS_NAMES)),
        input_size=int(card.get("input_size", 32)),
        card=MappingProxyType(dict(card)),
    )


def _all_cnn_file(weights: str | Path | None) -> tuple[Mapping[str, np.ndarray], dict[str, Any], str]:
    """The weights, their card, and what they are called where the card does not say it."""
    if weights is None:
        return {}, {}, "random weights (All-CNN-C)"
    path = weight_files.shipped("all_cnn") if weights in ("course", "auto") else Path(weights).expanduser()
    values, card = foreign.read_matelabs(path) or {}, weight_files.card(path)
    card = foreign.MATELABS | card if values else card
    values = values or weight_files.read(path)
    if "conv9_kernel" not in values:
        raise ValueError(f"{path} holds another network than All-CNN-C: it has no layer conv9")
    return values, card, path.name


# --- answers --------------------------------------------------------------------------------------------


def prepare(
    model: keras.Model, images: np.ndarray | Sequence[np.ndarray], how: Literal["crop", "squash"] = "crop"
) -> np.ndarray:
    """Pictures as `classify` shows them to the model.

    Args:
        images: one picture (H, W, 3), a batch (N, H, W, 3) or a list of pictures of any sizes, RGB 0..255.
        how: "crop": the square in the middle, which keeps the proportions that the network learnt;
            "squash": the whole picture, squeezed into a square, so that nothing at its edges is lost.

    Returns:
        x, float32 (N, S, S, 3), preprocessed; S is the model's own size or
        `about(model).input_size`.
    """
    if how not in ("crop", "squash"):
        raise ValueError(f"how={how!r}: 'crop' and 'squash' exist")
    facts = about(model)
    size = _fixed_size(model) or facts.input_size
    batch: list[Any] = [images] if getattr(images, "ndim", 0) == 3 else list(images)
    squares = [_middle(image) if how == "crop" else image for image in batch]
    ready = [facts.preprocess(pictures.resize(square, size)) for square in squares]
    return np.stack(ready) if ready else np.zeros((0, size, size, 3), np.float32)


def _middle(image: np.ndarray) -> np.ndarray:
    """The largest square in the middle of a picture."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def classify(
    model: keras.Model,
    images: np.ndarray | Sequence[np.ndarray],
    top: int = 5,
    how: Literal["crop", "squash"] = "crop",
) -> list[list[Prediction]]:
    """What a model sees in pictures; the one way to predict. Notebook 01.

    Args:
        model: with a classifier on top.
        images: one picture (H, W, 3), a batch or a list of pictures of any sizes, RGB 0..255.
        top: how many guesses for each.
        how: "crop" or "squash", see `prepare`.

    Returns:
        For each picture its guesses, best first. A single picture gives a list of one list.

    Raises:
        ValueError: the model has no classifier, or `top` is less than 1, or nothing is known of the model.
    """
    if len(model.output_shape) != 2:
        raise ValueError("this model ends in feature maps, not in classes: load it with include_top=True")
    if top < 1:
        raise ValueError(f"top={top}: ask for at least one guess")
    if about(model).weights == UNKNOWN:
        raise ValueError(
            "what this network takes and answers is not known here. Say it: pretrained.remember(model, "
            "pretrained.About(preprocess=…, class_names=…, input_size=…)), where preprocess turns pictures "
            "RGB 0..255 into its input"
        )

    batch: list[Any] = [images] if getattr(images, "ndim", 0) == 3 else list(images)

    def ready(some: np.ndarray) -> np.ndarray:
        return prepare(model, [batch[i] for i in some], how)

    answers = gradients.forward(model, np.arange(len(batch)), 16, before=ready) if batch else []
    return [_ranked(row, about(model), top) for row in answers]


def _ranked(probabilities: np.ndarray, facts: About, top: int) -> list[Prediction]:
    order = np.argsort(-probabilities, kind="stable")[:top]
    names = facts.class_names or tuple(f"class {i}" for i in range(len(probabilities)))
    wnids = facts.wnids or ("",) * len(probabilities)
    return [
        Prediction(rank, wnids[i], names[i], float(probabilities[i])) for rank, i in enumerate(order, start=1)
    ]


def one_line(model: keras.Model, data: str = "photographs that the installed packages carry") -> str:
    """The line that every notebook prints: which weights, which data, which device."""
    return f"Weights: {about(model).name}. Data: {data}. Device: {runtime.device()}."
