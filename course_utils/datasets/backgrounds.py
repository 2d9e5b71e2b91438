"""What lies behind the objects of a scene: photographs without them, and textures made here.

`BACKGROUNDS` is the one table of them. Each belongs to one split only, so a network tested on scenes
has seen the objects, but none of the places. Photographs from which an object was cut lend only the
regions where it isn't. Notebook 05.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course_utils.pictures import images, resampling

Region = tuple[int, int, int, int]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Background:
    """A photograph that an installed package carries, or a texture: with neither file nor regions."""

    name: str
    split: str
    what: str
    file: str | None = None
    """A name of `images.SAMPLES`, or a file of scikit-image's `data` folder."""
    regions: tuple[Region, ...] = ()
    """x, y, w, h of the parts that are used; none: the whole picture."""
    tint: tuple[Colour, Colour] | None = None
    """What black and white become, for grey photographs."""


BACKGROUNDS: tuple[Background, ...] = (
    Background("lake", "train", "pavilion, lake, sky and trees", "china"),
    Background("table", "train", "the wood beside the cup", "coffee", ((484, 0, 116, 400),)),
    Background("bricks", "train", "a brick pavement", "brick.png", tint=((64, 28, 22), (226, 176, 146))),
    Background("meadow", "train", "grass and leaves", "grass.png", tint=((16, 32, 10), (186, 212, 122))),
    Background("galaxies", "train", "the Hubble deep field", "hubble_deep_field.jpg"),
    Background("tissue", "train", "stained tissue under a microscope", "ihc.png"),
    Background("clouds", "train", "texture: noise in several sizes"),
    Background("planks", "train", "texture: boards with a grain"),
    Background(
        "garage",
        "validation",
        "walls, shelves and floor around the motorcycle",
        "motorcycle",
        ((0, 0, 330, 142), (590, 0, 151, 262), (0, 310, 118, 190)),
    ),
    Background("gravel", "validation", "gravel", "gravel.png", tint=((38, 36, 36), (226, 220, 210))),
    Background("retina", "validation", "the back of an eye", "retina.jpg", ((250, 250, 900, 900),)),
    Background("lights", "validation", "texture: discs of light, out of focus"),
    Background("pebbles", "validation", "texture: the cells around random points"),
    Background(
        "launch pad", "test", "evening sky and masts", "rocket", ((0, 0, 264, 427), (378, 0, 262, 427))
    ),
    Background(
        "leaves", "test", "blurred leaves around the flower", "flower", ((0, 0, 165, 427), (450, 0, 190, 360))
    ),
    Background("flag", "test", "flag and wall", "grace_hopper", ((0, 0, 148, 330), (378, 0, 134, 320))),
    Background(
        "campus",
        "test",
        "lawn and skyline beside the cameraman",
        "camera.png",
        ((405, 150, 107, 362), (335, 0, 177, 240)),
        ((20, 26, 34), (240, 236, 226)),
    ),
    Background("moon", "test", "the moon's surface", "moon.png", tint=((26, 26, 30), (230, 222, 206))),
    Background("ripples", "test", "texture: bent waves"),
    Background("tiles", "test", "texture: tiles in two colours"),
)


def of_split(split: str) -> tuple[Background, ...]:
    """The backgrounds of "train", "validation" or "test"."""
    found = tuple(background for background in BACKGROUNDS if background.split == split)
    if not found:
        raise ValueError(f"no split {split!r}: there are 'train', 'validation' and 'test'")
    return found


def paint(rng: np.random.Generator, background: Background, height: int, width: int) -> np.ndarray:
    """A background drawn at random: a window of the photograph, or the texture.

    Args:
        rng: where chance comes from.
        background: of `BACKGROUNDS`.
        height, width: of the result, in pixels.

    Returns:
        float32 (height, width, 3), RGB, 0..255.
    """
    if background.file is None:
        return TEXTURES[background.name](rng, height, width)
    parts = _parts(background)
    levels = parts[int(rng.random() * len(parts))]
    rows, columns = levels[0].shape[:2]
    largest = min(columns / width, rows / height)  # pixels of the photograph for one of ours
    step = largest * (0.45 + 0.55 * rng.random())
    x = rng.random() * (columns - step * width)
    y = rng.random() * (rows - step * height)
    mirrored = columns if rng.random() < 0.5 else None
    centre = (x + step * width / 2, y + step * height / 2)
    placed = resampling.placement(centre, (width / 2, height / 2), 1 / step, 0.0, mirrored)
    blur = 1 + 2 * max(0.0, rng.random() - 0.4)  # backgrounds are often out of focus
    return resampling.sample(levels, placed, (0, 0, width, height), blur)


@functools.cache
def _parts(background: Background) -> tuple[list[np.ndarray], ...]:
    """The pyramids of a photograph's regions."""
    picture = images.to_uint8(images.read(_path(background.file or "")))
    if background.tint:
        dark, light = (np.array(colour, np.int64) for colour in background.tint)
        grey = picture[..., :1].astype(np.int64)
        picture = ((dark * (255 - grey) + light * grey + 127) // 255).astype(np.uint8)
    regions = background.regions or ((0, 0, picture.shape[1], picture.shape[0]),)
    return tuple(resampling.pyramid(picture[y : y + h, x : x + w]) for x, y, w, h in regions)


def _path(file: str) -> Path:
    if file in images.SAMPLES:
        return images.sample_path(file)
    spec = importlib.util.find_spec("skimage")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / "data" / file).is_file():
            return path
    raise FileNotFoundError(f"scikit-image's data/{file} is missing: install scikit-image again")


# --- textures -----------------------------------------------------------------------------------
# Each is drawn in units of the longer side, so that a larger picture shows the same texture.


def _colour(rng: np.random.Generator) -> np.ndarray:
    """A colour that is neither very dark nor very saturated, float32 (3,)."""
    grey = 50 + 150 * rng.random()
    return np.clip(grey + 90 * (rng.random(3) - 0.5), 0, 255).astype(np.float32)


def _between(dark: np.ndarray, light: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) from dark (share 0) to light (share 1)."""
    return dark + (light - dark) * share[..., None]


def _places(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """x (1, W) and y (H, 1) of the pixel centres, in units of the longer side, float32."""
    long = max(height, width)
    x = (np.arange(width) + 0.5) / long
    y = (np.arange(height) + 0.5) / long
    return x.astype(np.float32)[None], y.astype(np.float32)[:, None]


def noise(
    rng: np.random.Generator, height: int, width: int, across: int, down: int | None = None
) -> np.ndarray:
    """Smooth value noise, float32 (H, W), 0..1, with so many cells along the longer side each way."""
    down = across if down is None else down
    grid = rng.random((down + 1, across + 1)).astype(np.float32)
    x, y = _places(height, width)
    (columns, u), (rows, v) = (_cell(x[0], across), _cell(y[:, 0], down))
    upper = grid[rows][:, columns] * (1 - u) + grid[rows][:, columns + 1] * u
    lower = grid[rows + 1][:, columns] * (1 - u) + grid[rows + 1][:, columns + 1] * u
    return upper + (lower - upper) * v[:, None]


def _cell(place: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """The cell of each place and the smoothed share of the way through it."""
    scaled = place * np.float32(cells)
    index = np.minimum(scaled.astype(np.int64), cells - 1)
    share = scaled - index.astype(np.float32)
    return index, share * share * (3 - 2 * share)


def _clouds(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    share: np.ndarray = np.zeros((height, width), np.float32)
    for cells, weight in ((2, 0.5), (5, 0.25), (11, 0.15), (23, 0.1)):
        share = share + np.float32(weight) * noise(rng, height, width, cells)
    return _between(_colour(rng), _colour(rng), np.clip(2 * share - np.float32(0.5), 0, 1))


def _planks(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    _, y = _places(height, width)
    boards = 3 + int(rng.random() * 6)
    board = y * np.float32(boards)
    index = board.astype(np.int64)[:, 0]
    tone = rng.random(boards + 1).astype(np.float32)[index][:, None]
    grain = noise(rng, height, width, 4, 60)
    gap = np.where(np.abs(board - index[:, None] - np.float32(0.5)) > 0.46, np.float32(0.5), 1)
    share = np.float32(0.5) * tone + np.float32(0.5) * grain
    colour = np.array([150, 110, 70], np.float32) + np.float32(60) * (rng.random(3).astype(np.float32) - 0.5)
    return _between(colour * np.float32(0.55), colour * np.float32(1.25), share) * gap[..., None]


def _lights(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    x, y = _places(height, width)
    dark = _colour(rng) * np.float32(0.4)
    picture = _between(dark, dark * np.float32(1.8), noise(rng, height, width, 2))
    for _ in range(8 + int(rng.random() * 16)):
        column, row, radius, strength = rng.random(4).astype(np.float32)
        radius = np.float32(0.02) + np.float32(0.08) * radius
        apart = (x - column) * (x - column) + (y - row) * (y - row)
        inside = np.clip((radius * radius - apart) / (radius * radius) * 4, 0, 1)
        share = inside * (np.float32(0.2) + np.float32(0.5) * strength)
        picture = picture + (_colour(rng) * np.float32(1.3) - picture) * share[..., None]
    return np.clip(picture, 0, 255)


def _pebbles(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Each pixel belongs to the nearest of points jittered about a grid (Worley, 1996)."""
    x, y = _places(height, width)
    cells = 6 + int(rng.random() * 10)
    points = rng.random((cells + 2, cells + 2, 3)).astype(np.float32)
    u, v = np.broadcast_arrays(x * np.float32(cells), y * np.float32(cells))
    column, row = u.astype(np.int64), v.astype(np.int64)
    nearest = np.full((height, width), np.float32(9))
    second, tone = nearest, nearest
    for i in (0, 1, 2):
        for j in (0, 1, 2):
            point = points[row + i, column + j]
            du = (column + (j - 1)).astype(np.float32) + point[..., 0] - u
            dv = (row + (i - 1)).astype(np.float32) + point[..., 1] - v
            apart = du * du + dv * dv
            second = np.minimum(second, np.maximum(apart, nearest))
            tone = np.where(apart < nearest, point[..., 2], tone)
            nearest = np.minimum(nearest, apart)
    edge = np.clip((second - nearest) * 4, 0, 1) * np.float32(0.8) + np.float32(0.2)
    colour = _colour(rng)
    return _between(colour * np.float32(0.6), colour * np.float32(1.2), tone) * edge[..., None]


def _ripples(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    x, y = _places(height, width)
    across, down, bend = (rng.random(3) - 0.5).astype(np.float32)
    phase = 24 * (across * x + down * y) + 6 * bend * noise(rng, height, width, 3)
    phase = phase + noise(rng, height, width, 9)
    wave = np.abs(2 * (phase - np.floor(phase)) - 1)
    return _between(_colour(rng), _colour(rng), wave * wave * (3 - 2 * wave))


def _tiles(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    x, y = _places(height, width)
    tiles = 3 + int(rng.random() * 7)
    u, v = x * np.float32(tiles), y * np.float32(tiles)
    column, row = u.astype(np.int64), v.astype(np.int64)
    tone = rng.random((tiles + 1, tiles + 1)).astype(np.float32)[row, column]
    chequered = ((row + column) % 2).astype(np.float32) * np.float32(0.7) + tone * np.float32(0.3)
    inside = np.minimum(np.abs(u - np.floor(u) - np.float32(0.5)), 1) < 0.46
    inside = inside & (np.abs(v - np.floor(v) - np.float32(0.5)) < 0.46)
    picture = _between(_colour(rng), _colour(rng), chequered)
    picture = picture * (np.float32(0.85) + np.float32(0.3) * noise(rng, height, width, 12))[..., None]
    return np.clip(np.where(inside[..., None], picture, np.float32(110)), 0, 255)


TEXTURES: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "clouds": _clouds,
    "planks": _planks,
    "lights": _lights,
    "pebbles": _pebbles,
    "ripples": _ripples,
    "tiles": _tiles,
}
