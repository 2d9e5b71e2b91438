"""CIFAR-10 from the official binary archive, never from pickles (Krizhevsky 2009). Notebook 06.

Five files of 10,000 records to train and one to test; a record is one label byte and 3,072 pixel bytes,
the red, green and blue planes of a 32x32 picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN, DEVIATION = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)
"""Of the training pictures, RGB 0..255, for each channel."""
RECORD = 1 + 3 * 32 * 32
FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST_FILE = "test_batch.bin"


@dataclass(frozen=True)
class Cifar10:
    """Pictures uint8 (N, 32, 32, 3) RGB with labels int64 (N,) 0..9, in three splits."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    """Split off the training files, equally many a class: what settings are chosen on."""
    test: tuple[np.ndarray, np.ndarray]


def find(folder: str | Path | None = None) -> Path | None:
    """The folder with the six files, in `folder` or the cache of `course fetch cifar10`; None if absent."""
    if folder is None:
        from course_utils.downloads import assets

        if assets.find("cifar10") is None:
            return None
        folder = assets.unpack("cifar10")
    folder = Path(folder)
    for place in (folder, folder / FOLDER):
        if (place / TEST_FILE).is_file():
            return place
    return None


def load(folder: str | Path | None = None, validation: int = 5000, seed: int = 0) -> Cifar10:
    """Read the archive's files and split them.

    Args:
        folder: holds the files, or `cifar-10-batches-bin/` with them; by default the cache.
        validation: pictures to split off the training files, a tenth of them from each class.
        seed: of that split.

    Raises:
        FileNotFoundError: the files are not there; says how to get them.
        ValueError: a file is short or has labels beyond 9; names it.
    """
    place = find(folder)
    if place is None:
        where = f"in {folder}" if folder is not None else "in the cache"
        raise FileNotFoundError(f"CIFAR-10 is not {where}: `course fetch cifar10` gets it (170 MB)")
    parts = [read_batch(place / name) for name in TRAIN_FILES]
    x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    held = _some_of_each(y, validation // 10, seed)
    return Cifar10((x[~held], y[~held]), (x[held], y[held]), read_batch(place / TEST_FILE))


def read_batch(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one binary file: pictures uint8 (N, 32, 32, 3) RGB and labels int64 (N,).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: its length is no multiple of a record's, it is empty, or a label is not 0..9.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: `course fetch cifar10` gets all six files")
    data = np.fromfile(path, np.uint8)
    if not len(data) or len(data) % RECORD:
        raise ValueError(
            f"{path} has {len(data)} bytes, not a multiple of {RECORD}: it is cut short or another file. "
            "Delete it and run `course fetch cifar10`"
        )
    records = data.reshape(-1, RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        raise ValueError(
            f"{path} has labels up to {labels.max()}, not 0..9: it is not CIFAR-10 or it is damaged"
        )
    pictures = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pictures), labels


def _some_of_each(labels: np.ndarray, each: int, seed: int) -> np.ndarray:
    counts = np.bincount(labels, minlength=10)
    if counts.min() < each:
        raise ValueError(
            f"class {CLASS_NAMES[counts.argmin()]} has {counts.min()} pictures; {each} are asked for"
        )
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    for c in range(10):
        held[rng.choice(np.flatnonzero(labels == c), each, replace=False)] = True
    return held
