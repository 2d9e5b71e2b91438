"""Key points by regression, refined stage by stage (Toshev and Szegedy 2014). Notebook 04."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.localization.views import view, whole, window_maps
from course_utils.networks import gradients, heads, localizer, pretrained, weight_files
from course_utils.pictures import images as pictures

if TYPE_CHECKING:
    import keras

LAYER = "block4_conv3"
"""The trunk's maps that the head `parts` reads."""


def load(path: str | Path = "parts") -> keras.Model:
    """A trained finder of joints: a shipped name, or the `weights.npz` of `course train parts`.

    Returns:
        A model from x (N, size, size, 3), BGR minus the mean, to points (N, K, 2), x and y in shares of the
        picture; `pretrained.about` knows their names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged, or holds another network.
    """
    path = weight_files.find(path)
    return attached(weight_files.read(path), weight_files.card(path), str(path))


def attached(values: Mapping[str, np.ndarray], card: Mapping[str, Any], source: str) -> keras.Model:
    """The model of a head's weights on the shipped trunk."""
    from keras import Input, Model

    if missing := [n for n in ("reduce", "look", "around", "points") if f"{n}_kernel" not in values]:
        raise ValueError(
            f"{source} holds no finder of joints: these layers are missing: {', '.join(missing)}. "
            "Give weights.npz of `course train parts`"
        )
    heads.check(card, source)
    size, names = int(card["input_size"]), tuple(card["class_names"])
    trunk = pretrained.load_vgg16(until=LAYER)
    inputs = Input((size, size, 3), name="image")
    maps = trunk(inputs)
    channels = values["reduce_kernel"].shape[-1]
    head = weight_files.put(localizer.build_part_maps(maps.shape[1:], len(names), channels), values, source)
    model = Model(inputs, head(maps), name="parts")
    facts = pretrained.About(
        str(card.get("title", Path(source).name)), source, class_names=names, input_size=size, card=card
    )
    return pretrained.remember(model, facts)


def pose(model: keras.Model, images: Sequence[np.ndarray] | np.ndarray, looks: int = 2) -> list[np.ndarray]:
    """The joints in pictures, one look after the other (Toshev and Szegedy 2014, section 3.2).

    Args:
        model: see `load`.
        images: (H, W, 3) each, of any sizes, RGB 0..255.
        looks: 1: at the whole picture; each further one at a window around what was found.

    Returns:
        For each look the points so far, (N, K, 2) in pixels of the pictures.
    """
    windows, answers = np.array([whole(image) for image in images]), []
    for _ in range(looks):
        squares = np.stack([view(i, w, model.input_shape[1]) for i, w in zip(images, windows, strict=True)])
        shares = gradients.forward(model, squares, before=pictures.preprocess)
        answers.append(points_from_window(shares, windows))
        windows = point_windows(answers[-1])
    return answers


def in_box(points: np.ndarray) -> np.ndarray:
    """Points (N, K, 2) in shares of the box around them, the longer side counting 1: (N, 2 K).

    So they say how a body stands, not where or how large it is.
    """
    low, extent = points.min(axis=1, keepdims=True), np.ptp(points, axis=1).max(axis=1)
    return ((points - low) / extent[:, None, None]).reshape(len(points), -1)


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


def locate_points(
    backbone: keras.Model,
    stages: Sequence[keras.Model],
    images: Sequence[np.ndarray] | np.ndarray,
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
