"""The head `names`: a thousand classes on the frozen trunk of the original VGG-16. Notebook 01.

The average of block5_conv3 over all positions and one dense layer, so that a class activation map is one
product. The trunk never changes, so its averages are computed once for each crop and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from course_utils.pictures import images

SHEETS: dict[str, int | None] = {"imagenette": 144, "mini": 84, "one_a_class": None}
"""Folders of pictures, a file a class: sheets of square tiles of so many pixels, or one whole photograph."""
PASSES: dict[str, int] = {"imagenette": 2, "mini": 1, "one_a_class": 10}
SIDES: dict[str, tuple[int, ...]] = {
    "imagenette": (144, 160, 192, 224),
    "mini": (112, 128, 128, 160),
    "one_a_class": (128, 160, 192, 224),
}
CHUNK = 100


@dataclass(frozen=True)
class Crop:
    """A square part of a picture, and how the trunk sees it.

    Attributes:
        folder, picture: which one; pictures of a folder are numbered class by class.
        y, x, part: of the square: its corner as a share 0..1 of what is free, its side as a share of the
            picture's shorter side.
        mirrored: left and right exchanged.
        side: pixels that the trunk sees.
        detail: reduced to so many pixels first, as thumbnails are; 0: not.
    """

    folder: str
    picture: int
    y: float
    x: float
    part: float
    mirrored: bool
    side: int
    detail: int


def plan(counts: dict[str, int], seed: int = 0) -> list[Crop]:
    """Which crops are looked at; every beginning of the list has its share of each folder.

    The first pass through a folder shows each picture whole (its middle square), later ones random squares.
    A third of the larger photographs lose their detail, so that blur does not become a class.
    """
    places: list[tuple[float, Crop]] = []
    for number, (folder, count) in enumerate(sorted(counts.items())):
        random = np.random.default_rng([seed, number])
        total = count * PASSES[folder]
        for turn in range(PASSES[folder]):
            for k, picture in enumerate(random.permutation(count)):
                crop = _crop(folder, int(picture), turn, random)
                places.append(((turn * count + k) / total, crop))
    return [crop for _, crop in sorted(places, key=lambda place: place[0])]


def _crop(folder: str, picture: int, turn: int, random: np.random.Generator) -> Crop:
    sharp = SHEETS[folder] is None or SHEETS[folder] > 100  # type: ignore[operator]
    y, x = random.random(2)
    part = float(np.sqrt(random.uniform(0.3, 1.0)))
    side = int(random.choice(SIDES[folder]))
    mirrored = bool(random.random() < 0.5)
    detail = int(random.integers(64, 112)) if sharp and random.random() < 0.33 else 0
    if turn == 0:
        y, x, part = 0.5, 0.5, 1.0
        if folder == "one_a_class":
            side, detail = 224, 0
    return Crop(folder, picture, float(y), float(x), part, mirrored, side, detail)


def pictures_of(data: str | Path, folder: str) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """The pictures of a folder.

    Returns:
        uint8 (H, W, 3) each; the number of each picture's class; the classes' WordNet ids.
    """
    tile = SHEETS[folder]
    found: list[np.ndarray] = []
    labels: list[int] = []
    files = sorted((Path(data) / folder).glob("*.webp"))
    for label, path in enumerate(files):
        sheet = np.asarray(Image.open(path).convert("RGB"))
        tiles = [sheet] if tile is None else list(_tiles(sheet, tile))
        found += tiles
        labels += [label] * len(tiles)
    return found, np.array(labels), [path.stem for path in files]


def _tiles(sheet: np.ndarray, tile: int) -> Iterator[np.ndarray]:
    for y in range(0, sheet.shape[0], tile):
        for x in range(0, sheet.shape[1], tile):
            yield sheet[y : y + tile, x : x + tile]


def cut(picture: np.ndarray, crop: Crop) -> np.ndarray:
    """The square that a crop means, uint8 RGB, in the picture's own resolution."""
    height, width = picture.shape[:2]
    side = max(16, round(min(height, width) * crop.part))
    top, left = round((height - side) * crop.y), round((width - side) * crop.x)
    square = picture[top : top + side, left : left + side]
    return square[:, ::-1] if crop.mirrored else square


def seen(square: np.ndarray, crop: Crop) -> np.ndarray:
    """The square as the trunk sees it, float32 RGB (side, side, 3)."""
    if crop.detail and crop.detail < min(square.shape[0], crop.side):
        square = images.resize(square, crop.detail)
    return images.resize(square, crop.side)
