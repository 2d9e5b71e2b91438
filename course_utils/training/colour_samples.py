"""Pixels to learn colour from: sampled hypercolumns of grey photographs, and their true colours. Notebook 09.

The trunk never changes, so each photograph passes through it once. Of its hypercolumns a few pixels are kept,
in float16, in files of a few hundred photographs each; a stopped run goes on behind the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from course_utils import colour, files
from course_utils.hypercolumns import Axis
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

BATCH = 8


@dataclass(frozen=True)
class Group:
    """Photographs of one kind, and how they are shown.

    Attributes:
        name: of the files that hold their pixels.
        folder: its name, somewhere below the data folder.
        side: in pixels, of the square in the middle that the trunk sees.
        pixels: sampled from each.
        tile: of a folder of contact sheets: the side of one picture; 0 for single pictures.
        first: so many pictures of each sheet are trained on.
        kept: so many at the end of each sheet are kept out; of single pictures every tenth is.
        sheets: sheets in one file.
        starts: the first sheet of each file that is learnt from; () for all.
        most: at most so many of the single pictures.
        shard: so many of them in one file.
    """

    name: str
    folder: str
    side: int = 144
    pixels: int = 100
    tile: int = 0
    first: int = 190
    kept: int = 10
    sheets: int = 1
    starts: tuple[int, ...] = ()
    shard: int = 150
    most: int = 100_000


GROUPS = (
    Group("nette", "imagenette", tile=144),
    Group("one160", "one_a_class", side=160, most=150),
    Group(
        "mini", "mini", side=96, pixels=40, tile=84, first=30, kept=1, sheets=10, starts=(0, 10, 20, 50, 60)
    ),
)
OWN = Group("own", ".")


@dataclass(frozen=True)
class Samples:
    """Pixels of photographs.

    Attributes:
        columns: (N, P, 1472) float16, hypercolumns of P pixels of each.
        means: (N, 512) float16, the mean of the last maps over each photograph.
        ab: (N, P, 2) float16, the true colours.
        lightness: (N, P) float16.
    """

    columns: np.ndarray
    means: np.ndarray
    ab: np.ndarray
    lightness: np.ndarray

    def __len__(self) -> int:
        return len(self.means)

    def first(self, count: int) -> Samples:
        """The first so many pixels of each photograph."""
        return Samples(self.columns[:, :count], self.means, self.ab[:, :count], self.lightness[:, :count])


def groups(data: str | Path) -> list[tuple[Group, Path]]:
    """The known groups below a folder; the folder itself as photographs of one's own where there are none.

    Raises:
        FileNotFoundError: no pictures at all.
    """
    data = Path(data)
    below = [data, *(path for path in sorted(data.rglob("*")) if path.is_dir())]
    found = [(group, path) for group in GROUPS for path in below if path.name == group.folder]
    if found:
        return found
    if not any(path.suffix.lower() in images.SUFFIXES for path in data.rglob("*")):
        raise FileNotFoundError(f"{data} holds no pictures: give a folder of colour photographs")
    return [(OWN, data)]


def shards(group: Group, folder: Path, kept_out: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """The photographs of a group, as the trunk sees them, a few hundred at a time.

    Args:
        kept_out: those that are never trained on, instead of the others.

    Yields:
        a name, and uint8 (n, side, side, 3) RGB.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in images.SUFFIXES]
    if group.tile:
        for start in range(0, len(paths), group.sheets):
            if group.starts and not kept_out and start not in group.starts:
                continue
            some = paths[start : start + group.sheets]
            part = np.s_[-group.kept :] if kept_out else np.s_[: group.first]
            pictures = [picture for path in some for picture in tiles(path, group.tile)[part]]
            name = some[0].stem if group.sheets == 1 else str(start)
            yield f"{group.name}_{name}", np.stack([square(each, group) for each in pictures])
        return
    paths = [path for i, path in enumerate(paths) if (i % 10 == 9) == kept_out][: group.most]
    for start in range(0, len(paths), group.shard):
        pictures = [images.read(path) for path in paths[start : start + group.shard]]
        name = group.name if group.shard >= len(paths) else f"{group.name}_{start}"
        yield name, np.stack([square(each, group) for each in pictures])


def tiles(sheet: Path, side: int) -> list[np.ndarray]:
    """The pictures of a contact sheet, row by row."""
    whole = images.read(sheet)
    rows, columns = whole.shape[0] // side, whole.shape[1] // side
    return [
        whole[y * side : (y + 1) * side, x * side : (x + 1) * side]
        for y in range(rows)
        for x in range(columns)
    ]


def square(picture: np.ndarray, group: Group) -> np.ndarray:
    """The square in the middle of a picture, uint8 (side, side, 3)."""
    height, width = picture.shape[:2]
    scale = group.side / min(height, width)
    size = (max(group.side, round(height * scale)), max(group.side, round(width * scale)))
    picture = images.resize(picture, size)
    top, left = (size[0] - group.side) // 2, (size[1] - group.side) // 2
    return images.to_uint8(picture[top : top + group.side, left : left + group.side])


def sample(trunk: keras.Model, pictures: np.ndarray, pixels: int, rng: np.random.Generator) -> Samples:
    """Hypercolumns and colours of random pixels.

    Args:
        trunk: of `colour.load_trunk`.
        pictures: uint8 (N, side, side, 3) RGB.
        pixels: from each.
    """
    side = pictures.shape[1]
    parts = []
    for start in range(0, len(pictures), BATCH):
        batch = pictures[start : start + BATCH]
        rows, columns = rng.integers(0, side, (2, len(batch), pixels))
        true = np.stack([colour.to_lab(picture) for picture in batch])
        maps = colour.maps_of(trunk, batch)
        places = zip(maps, rows, columns, strict=True)
        read = np.stack([_read(each, row, column, side) for each, row, column in places])
        means = np.stack([each[colour.WHOLE] for each in maps])
        here = true[np.arange(len(batch))[:, None], rows, columns]
        parts.append((read, means, here[..., 1:], here[..., 0]))
    whole = (np.concatenate(part).astype(np.float16) for part in zip(*parts, strict=True))
    return Samples(*whole)


def _read(maps: dict[str, np.ndarray], rows: np.ndarray, columns: np.ndarray, side: int) -> np.ndarray:
    """Hypercolumns at some pixels, (P, 1472)."""
    out = []
    for layer in colour.LAYERS:
        axis = Axis(side, len(maps[layer]))
        t, u = axis.weight[rows, None], axis.weight[columns, None]
        top, low, left, right = axis.lower[rows], axis.upper[rows], axis.lower[columns], axis.upper[columns]
        above = maps[layer][top, left] * (1 - u) + maps[layer][top, right] * u
        below = maps[layer][low, left] * (1 - u) + maps[layer][low, right] * u
        out.append(above * (1 - t) + below * t)
    return np.concatenate(out, axis=-1)


def collect(
    data: str | Path,
    out: str | Path,
    trunk: keras.Model,
    seed: int = 0,
    kept_out: bool = False,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Pass all photographs through the trunk and keep their sampled pixels in files.

    Args:
        data: folder with photographs; see `groups`.
        out: folder for the files; those that are there are not made again.
        kept_out: the photographs that are never trained on.

    Returns:
        The files, in order.
    """
    made = []
    for group, folder in groups(data):
        for name, pictures in shards(group, folder, kept_out):
            path = Path(out) / f"{'kept_' if kept_out else ''}{name}.npz"
            made.append(path)
            if path.is_file():
                continue
            rng = np.random.default_rng([seed + 1, sum(path.stem.encode())])
            found = sample(trunk, pictures, group.pixels, rng)
            with files.replacing(path) as file:
                np.savez(file, F=found.columns, G=found.means, AB=found.ab, L=found.lightness)
            say(f"{name}: {len(found)} photographs")
    return made


def load(paths: list[Path]) -> list[Samples]:
    """Read files of `collect`."""
    out = []
    for path in paths:
        with files.reading_npz(path) as kept:
            out.append(Samples(kept["F"], kept["G"], kept["AB"], kept["L"]))
    return out
