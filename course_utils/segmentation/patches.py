"""The patch-wise way: a small classifier sees the 15x15 pixels around each pixel. Notebook 05.

Ning et al. (2005) and Cireşan et al. (2012) segmented like this. It has three faults, which `cost` counts:
every pixel is stored 225 times, neighbouring patches repeat nearly all of their computation, and the
network sees no farther than its patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.networks import gradients
from course_utils.pictures import images
from course_utils.segmentation.metrics import IGNORED

if TYPE_CHECKING:
    import keras

SIDE = 15


def build(classes: int, side: int = SIDE, filters: tuple[int, int, int] = (16, 24, 48)) -> keras.Model:
    """A classifier of patches without padding or pooling: (N, side, side, 3) -> (N, classes) softmax.

    Its stride is 1, so that, converted, it answers for every pixel of a picture in one pass
    (`in_one_pass`), and equals the patch-wise answer exactly.
    """
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((side, side, 3), name="patch"),
            layers.Conv2D(filters[0], 5, activation="relu", kernel_initializer="he_normal", name="conv1"),
            layers.Conv2D(filters[1], 5, activation="relu", kernel_initializer="he_normal", name="conv2"),
            layers.Flatten(name="flatten"),
            layers.Dense(filters[2], activation="relu", kernel_initializer="he_normal", name="fc1"),
            layers.Dense(classes, activation="softmax", dtype="float32", name="predictions"),
        ],
        name="patch_classifier",
    )


def build_wide(classes: int, side: int = 63) -> keras.Model:
    """A classifier that sees much more, with poolings, as Cireşan et al. (2012) had it for 65 and 95 pixels.

    Three convolutions of 4x4, 5x5 and 5x5, each with a 2x2 max pooling, then two dense layers:
    (N, side, side, 3) -> (N, classes) softmax.
    """
    from keras import Input, Sequential, layers

    model = Sequential([Input((side, side, 3), name="patch")], name="wide_patch_classifier")
    for filters, size in ((16, 4), (24, 5), (32, 5)):
        model.add(layers.Conv2D(filters, size, activation="relu", kernel_initializer="he_normal"))
        model.add(layers.MaxPooling2D(2))
    model.add(layers.Flatten())
    model.add(layers.Dense(64, activation="relu", kernel_initializer="he_normal"))
    model.add(layers.Dense(classes, activation="softmax", dtype="float32"))
    return model


def around(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The patches around some pixels; beyond the border the picture is mirrored.

    Args:
        picture: (H, W, 3).
        rows, columns: (n,) of the pixels in the middle.
        side: odd.

    Returns:
        (n, side, side, 3), the picture's dtype.
    """
    return _windows(picture, side)[rows, columns].transpose(0, 2, 3, 1)


def _windows(picture: np.ndarray, side: int) -> np.ndarray:
    """A view (H, W, 3, side, side) of all patches: nothing is copied yet."""
    if side % 2 == 0:
        raise ValueError(f"side={side}: a patch with a middle has an odd side")
    half = side // 2
    padded = np.pad(picture, ((half, half), (half, half), (0, 0)), mode="reflect")
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(0, 1))


def normalize(pixels: np.ndarray) -> np.ndarray:
    """RGB 0..255 -> float32 around zero, about unit variance."""
    return images.preprocess(pixels) / np.float32(64)


def sample(
    pictures: np.ndarray, masks: np.ndarray, n: int, rng: np.random.Generator, side: int = SIDE
) -> tuple[np.ndarray, np.ndarray]:
    """n patches from labelled pictures, all classes alike, and the classes of their middles.

    Args:
        pictures: (N, H, W, 3) RGB 0..255; masks: (N, H, W), 255 ignored.

    Returns:
        float32 (n, side, side, 3) normalized, and int64 (n,).
    """
    present = [c for c in np.unique(masks) if c != IGNORED]
    labels = rng.choice(present, n)
    x = np.empty((n, side, side, 3), np.float32)
    places = {c: np.flatnonzero(masks == c) for c in present}
    flat = np.array([places[c][rng.integers(len(places[c]))] for c in labels])
    which, rows, columns = np.unravel_index(flat, masks.shape)
    for i in np.unique(which):
        here = which == i
        x[here] = around(normalize(pictures[i]), rows[here], columns[here], side)
    return x, labels.astype(np.int64)


def pixel_by_pixel(model: keras.Model, picture: np.ndarray, batch: int = 4096) -> np.ndarray:
    """Every pixel's probabilities, patch by patch: (H, W, 3) RGB 0..255 -> float32 (H, W, classes)."""
    height, width = picture.shape[:2]
    windows = _windows(normalize(picture), model.input_shape[1])
    rows, columns = (grid.ravel() for grid in np.mgrid[:height, :width])

    def cut(some: np.ndarray) -> np.ndarray:
        return windows[rows[some], columns[some]].transpose(0, 2, 3, 1)

    answers = gradients.forward(model, np.arange(height * width), batch, before=cut)
    return answers.reshape(height, width, -1)


def in_one_pass(converted: keras.Model, picture: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The same answer as `pixel_by_pixel`, with nothing computed twice.

    Args:
        converted: `networks.convert.dense_to_convolutional` of the classifier.
        picture: (H, W, 3), RGB 0..255.
        side: of the classifier's patches.
    """
    half = side // 2
    padded = np.pad(normalize(picture), ((half, half), (half, half), (0, 0)), mode="reflect")
    return gradients.forward(converted, padded[None])[0]


@dataclass(frozen=True)
class Cost:
    """What a picture costs patch by patch, and in one pass.

    Attributes:
        picture_mb, patches_mb: storage of the picture, and of all its patches, as float32.
        patch_wise, one_pass: multiplications.
    """

    picture_mb: float
    patches_mb: float
    patch_wise: int
    one_pass: int


def cost(model: keras.Model, height: int, width: int) -> Cost:
    """Storage and multiplications for a picture, counted from the model's shapes."""
    side = model.input_shape[1]
    pixels = height * width
    one, shared = 0, 0
    for layer in model.layers:
        kernel: Any = getattr(layer, "kernel", None)
        if kernel is not None:
            size = int(np.prod(kernel.shape))
            places = int(np.prod(layer.output.shape[1:-1]))  # of a dense layer: 1
            one += size * places
            shared += size * pixels  # at every pixel once (and a few more at the border)
    megabyte = pixels * 3 * 4 / 1e6
    return Cost(megabyte, megabyte * side * side, one * pixels, shared)
