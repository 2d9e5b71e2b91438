"""Small heads on the one frozen trunk, the original VGG-16's convolutions. Notebooks 01, 04, 05.

A head is a few layers that this project trained; its file holds these alone, and its card says on which trunk
(by the SHA-256 of its file). On other convolutions its numbers mean nothing, so it is refused there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from course_utils import files
from course_utils.networks import weight_files

TRUNK = "vgg16"  # the shipped file


def trunk_hash() -> str:
    """SHA-256 of the shipped trunk's file, as its card has it."""
    return str(weight_files.card(weight_files.shipped(TRUNK))["sha256"])


def read(head: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A head's weights and its card.

    Args:
        head: a shipped one's name ("names"), or the `weights.npz` of a run of `course train`.

    Returns:
        `{"LAYER_kernel": …, "LAYER_bias": …}` float32, and the card.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or was trained on another trunk.
    """
    path = weight_files.find(head)
    values, card = weight_files.read(path), weight_files.card(path)
    check(card, path)
    return values, card


def check(card: Mapping[str, Any], path: str | Path) -> None:
    """Refuse a head whose card does not name the trunk that ships."""
    found, expected = str(card.get("trunk", "no trunk")), trunk_hash()
    if found != expected:
        raise ValueError(
            f"{path} is the head of another trunk: its card says {found[:16]}, the shipped convolutions are "
            f"{expected[:16]}. Train it again on them, or take the head that ships"
        )


def differing_layers(shipped: str | Path, fetched: str | Path) -> list[str]:
    """The convolutions in which the file that ships is not the fetched one, rounded to float16."""
    with files.reading_npz(Path(shipped)) as arrays:
        ours = {key: arrays[key] for key in arrays.files}
    theirs = weight_files.read(fetched)
    rounded = {key: theirs[key].astype(np.float16) for key in ours if key in theirs}
    layers = dict.fromkeys(key.rsplit("_", 1)[0] for key in ours)
    same = {key: key in rounded and np.array_equal(rounded[key], ours[key]) for key in ours}
    return [layer for layer in layers if not all(same[f"{layer}_{part}"] for part in weight_files.PARTS)]


def is_head(values: Mapping[str, np.ndarray]) -> bool:
    """Whether a file holds a classifier and no convolutions of VGG-16."""
    return weight_files.layers(values) == ["predictions"]
