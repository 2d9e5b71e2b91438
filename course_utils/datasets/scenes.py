"""Pictures with exact boxes, masks and key points, made from a handful of photographs.

Objects cut out of photographs are pasted on other photographs and textures, turned, scaled, mirrored,
lit and partly covered: *cut, paste and learn* (Dwibedi, Misra and Hebert, 2017), later *copy-paste*
(Ghiasi et al., 2021). There are six objects, one photograph each, so scenes test new places, scales and
backgrounds, not new objects. Notebooks 03 to 06.

    from course_utils.datasets import scenes

    few = scenes(8, size=96, seed=0, objects=(1, 3))
    small = scenes.thumbnails(1000, seed=0, split="test")

Picture i depends on the seed, the split and i alone: fewer pictures are the first of more, several
processes make the same as one, and every machine makes the same bits.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

from course_utils.datasets import backgrounds
from course_utils.datasets.cutouts import PhotoObject, shipped_objects
from course_utils.datasets.labelled import IGNORED, PER_PICTURE, LabelledImages, tight_box
from course_utils.pictures import resampling
from course_utils.pictures.resampling import Placement

SPLITS = ("train", "validation", "test")
CLASS_NAMES: tuple[str, ...] = ("cat", "cup", "rocket", "motorcycle", "astronaut", "flower")
MOST_OBJECTS = 16
MOST_COVERED = 0.6  # share of an object that may lie outside the picture or behind another
TURN = 20.0  # degrees, either way


@dataclass(frozen=True)
class _Sprite:
    """An object ready for pasting: its colours times its opacity, and the opacity, in all sizes."""

    name: str
    colours: list[np.ndarray]
    opacity: list[np.ndarray]
    border: int
    size: tuple[int, int]
    mean: np.ndarray
    points: np.ndarray
    mirror: tuple[int, ...]


@dataclass(frozen=True)
class _Settings:
    height: int
    width: int
    seed: int
    objects: tuple[int, int]
    split: str
    classes: tuple[str | PhotoObject, ...]
    longest: tuple[float, float]
    """Of the picture's shorter side: how long an object alone in the picture is."""
    recolour: bool = False


@dataclass(frozen=True)
class _Pasted:
    """One object in one picture."""

    index: int
    placed: Placement
    window: tuple[int, int, int, int]
    opacity: np.ndarray
    """float32 (h, w), 0..1, of the whole object, also of what lies outside the picture."""


# --- what is called -----------------------------------------------------------------------------


def compose(
    n: int,
    size: int | tuple[int, int] = 96,
    seed: int = 0,
    objects: int | tuple[int, int] = (1, 1),
    split: str = "train",
    classes: Sequence[str | PhotoObject] | None = None,
    workers: int = 1,
    longest: tuple[float, float] = (0.34, 0.85),
    recolour: bool = False,
) -> LabelledImages:
    """Make n pictures with exact boxes, masks and key points; `scenes(n, …)` is this function.

    Args:
        n: how many.
        size: of the square pictures, or (height, width), in pixels; at least 16.
        seed: 0 or more; the same seed gives the same pictures on every machine.
        objects: how many objects a picture holds, at most 16, or (fewest, most).
        split: "train", "validation" or "test": each has backgrounds of its own.
        classes: names out of `CLASS_NAMES`, in the order wanted, or objects of your own
            (`cutouts.photo_object`); by default all six.
        workers: processes; the pictures are the same. Worth it for some hundreds of pictures.
        longest: how long the longer side of an object is that has the picture to itself, as a share of
            the picture's shorter side: (least, most).
        recolour: mix the colours of each object anew, so that a colour does not tell the class.

    Returns:
        `LabelledImages`, objects from left to right. A box is the tight box of the object's visible
        pixels; these have the mask value 1 + class, and the pixels around them, where the seam is
        blended, have 255. At least 40 % of every object can be seen.

    Raises:
        ValueError: an argument is out of range, or so many objects do not fit.

    Dwibedi, Misra and Hebert (2017), section 3. Notebook 04.
    """
    settings = _checked(n, size, seed, objects, split, classes, longest)
    settings = dataclasses.replace(settings, recolour=recolour)
    if workers <= 1 or n < 2:
        return _finished(settings, [_some(settings, 0, n)])
    from joblib import Parallel, delayed

    cuts = [n * i // workers for i in range(workers + 1)]
    parts = Parallel(n_jobs=workers)(
        delayed(_some)(settings, a, b) for a, b in itertools.pairwise(cuts) if a < b
    )
    return _finished(settings, parts)


def thumbnails(
    n: int, seed: int = 0, split: str = "train", size: int = 32, workers: int = 1
) -> LabelledImages:
    """n small pictures of one object each that nearly fills them: something to classify. Notebook 06.

    Returns:
        `LabelledImages`: images uint8 (n, size, size, 3), and `classes[:, 0]` the labels 0..5.

    Raises:
        ValueError: as `compose`.
    """
    return compose(n, size=size, seed=seed, split=split, workers=workers, longest=(0.65, 1.0))


def _checked(
    n: int,
    size: int | tuple[int, int],
    seed: int,
    objects: int | tuple[int, int],
    split: str,
    classes: Sequence[str | PhotoObject] | None,
    longest: tuple[float, float],
) -> _Settings:
    height, width = (size, size) if isinstance(size, int | np.integer) else size
    fewest, most = (objects, objects) if isinstance(objects, int | np.integer) else objects
    chosen = tuple(CLASS_NAMES if classes is None else classes)
    unknown = [c for c in chosen if isinstance(c, str) and c not in CLASS_NAMES]
    names = [c if isinstance(c, str) else c.name for c in chosen]
    complaints = {
        f"n is {n}: it must be 0 or more": n < 0,
        f"size is {height} x {width}: it must be at least 16 x 16": min(height, width) < 16,
        f"seed is {seed}: it must be 0 or more": seed < 0,
        f"objects is {objects}: (fewest, most) out of 1 to {MOST_OBJECTS}": not (
            1 <= fewest <= most <= MOST_OBJECTS
        ),
        f"split is {split!r}: it must be one of {', '.join(SPLITS)}": split not in SPLITS,
        f"no class {', '.join(map(repr, unknown))}: there are {', '.join(CLASS_NAMES)}": bool(unknown),
        "classes is empty or names a class twice": not names or len(set(names)) < len(names),
        f"longest is {longest}: (least, most) above 0, at most 1": not (0 < longest[0] <= longest[1] <= 1),
    }
    wrong = [text for text, holds in complaints.items() if holds]
    if wrong:
        raise ValueError("; ".join(wrong))
    return _Settings(
        int(height), int(width), int(seed), (int(fewest), int(most)), split, chosen, (longest[0], longest[1])
    )


# --- objects ------------------------------------------------------------------------------------


def _prepared(item: PhotoObject) -> _Sprite:
    """Opacity with a soft edge inside the mask (the photograph's own background is left out)."""
    height, width = item.mask.shape
    border = max(height, width) // 3 + 2
    hard = np.pad(item.mask, border).astype(np.int16)
    rows = hard[:-2] + 2 * hard[1:-1] + hard[2:]
    soft = np.pad(rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:], 1)  # 0..16
    opacity = np.clip(soft * 32 - 256, 0, 255).astype(np.int64)[..., None]
    colours = np.pad(item.image, ((border, border), (border, border), (0, 0))).astype(np.int64)
    total = int(opacity.sum())
    mean = [int((colours[..., i] * opacity[..., 0]).sum()) / max(total, 1) for i in range(3)]
    return _Sprite(
        name=item.name,
        colours=resampling.pyramid(((colours * opacity + 127) // 255).astype(np.uint8)),
        opacity=resampling.pyramid(opacity.astype(np.uint8)),
        border=border,
        size=(height, width),
        mean=np.array(mean),
        points=item.points + border,
        mirror=item.mirror,
    )


@functools.cache
def _shipped_sprites() -> dict[str, tuple[PhotoObject, _Sprite]]:
    return {item.name: (item, _prepared(item)) for item in shipped_objects()}


def _sprites(settings: _Settings) -> list[_Sprite]:
    return [_shipped_sprites()[c][1] if isinstance(c, str) else _prepared(c) for c in settings.classes]


# --- placing ------------------------------------------------------------------------------------


def _uniform(rng: Generator, low: float, high: float) -> float:
    return low + (high - low) * rng.random()


def _place(rng: Generator, settings: _Settings, sprites: list[_Sprite], count: int, shrink: float) -> _Pasted:
    """One object somewhere, without a look at the others."""
    index = int(rng.random() * len(sprites))
    sprite = sprites[index]
    low, high = (share / np.sqrt(count) for share in settings.longest)
    share = _uniform(rng, max(low, min(0.2, high)), high) * shrink
    height, width = sprite.size
    scale = share * min(settings.height, settings.width) / max(height, width)
    degrees = _uniform(rng, -TURN, TURN)
    whole_width = width + 2 * sprite.border
    mirrored = whole_width if rng.random() < 0.5 else None
    centre = sprite.border + width / 2, sprite.border + height / 2
    at_zero = resampling.placement(centre, (0.0, 0.0), scale, degrees, mirrored)
    half_width, half_height = _extent(at_zero, width / 2, height / 2)
    over = 0.5 if rng.random() < 0.25 else 0.0  # a quarter may reach over the border
    x = _inside(rng, half_width, settings.width, over)
    y = _inside(rng, half_height, settings.height, over)
    placed = dataclasses.replace(at_zero, left=at_zero.left + x, top=at_zero.top + y)
    left, top = int(np.floor(x - half_width)) - 2, int(np.floor(y - half_height)) - 2
    window = left, top, int(2 * half_width) + 6, int(2 * half_height) + 6
    opacity = resampling.sample(sprite.opacity, placed, window)[..., 0] / np.float32(255)
    return _Pasted(index, placed, window, opacity)


def _extent(placed: Placement, half_width: float, half_height: float) -> tuple[float, float]:
    """Half the sides of the box around a turned rectangle."""
    a, b = abs(placed.a), abs(placed.b)
    return a * half_width + b * half_height, b * half_width + a * half_height


def _inside(rng: Generator, half: float, side: int, over: float) -> float:
    """A centre such that an object of half-length `half` lies in the picture, or partly so."""
    low, high = half * (1 - over), side - half * (1 - over)
    return _uniform(rng, low, high) if low < high else side / 2 + _uniform(rng, -0.05, 0.05) * side


def _arranged(
    rng: Generator, settings: _Settings, sprites: list[_Sprite]
) -> tuple[list[_Pasted], np.ndarray]:
    """Objects, back to front, of which enough can be seen, and whose pixels are whose.

    Returns:
        The objects, and int16 (H, W): -1 background, -2 seam, else the object's place in the list.
    """
    fewest, most = settings.objects
    count = fewest + int(rng.random() * (most - fewest + 1))
    shrink = 1.0
    for attempt in range(120):
        pasted = [_place(rng, settings, sprites, count, shrink) for _ in range(count)]
        owner = np.full((settings.height, settings.width), -1, np.int16)
        for i, item in enumerate(pasted):
            _claim(owner, item, i)
        seen = np.bincount(owner[owner >= 0], minlength=count)
        whole = [int((item.opacity >= 0.5).sum()) for item in pasted]
        if all(s >= max(1, (1 - MOST_COVERED) * w) for s, w in zip(seen, whole, strict=True)):
            return pasted, owner
        shrink *= 0.93 if attempt >= 8 else 1.0
    raise ValueError(
        f"{count} objects do not fit into {settings.height} x {settings.width} pixels: "
        "ask for fewer, or for larger pictures"
    )


def _overlap(
    window: tuple[int, int, int, int], height: int, width: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a window inside the picture: its slices in the picture, and in the window."""
    left, top, w, h = window
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + w), min(height, top + h)
    x1, y1 = max(x0, x1), max(y0, y1)
    return (slice(y0, y1), slice(x0, x1)), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))


def _claim(owner: np.ndarray, item: _Pasted, number: int) -> None:
    """Give the object its pixels, and the seam the ring of pixels around them."""
    hard = item.opacity >= 0.5
    grown = hard.copy()
    grown[1:] |= hard[:-1]
    grown[:-1] |= hard[1:]
    grown[:, 1:] |= hard[:, :-1]
    grown[:, :-1] |= hard[:, 1:]
    in_picture, in_window = _overlap(item.window, *owner.shape)
    part = owner[in_picture]
    part[grown[in_window]] = -2
    part[hard[in_window]] = number


# --- painting -----------------------------------------------------------------------------------


def _painted(
    rng: Generator, settings: _Settings, sprites: list[_Sprite], pasted: list[_Pasted]
) -> np.ndarray:
    """The picture, uint8 (H, W, 3): background, shadows, objects, light, grain."""
    choices = backgrounds.of_split(settings.split)
    behind = choices[int(rng.random() * len(choices))]
    canvas = backgrounds.paint(rng, behind, settings.height, settings.width)
    tone = _uniform(rng, 0.75, 1.15) * (1 + 0.12 * (rng.random(3) - 0.5))
    canvas = np.clip(canvas * tone.astype(np.float32), 0, 255)
    around = np.rint(canvas).astype(np.int64).reshape(-1, 3).sum(axis=0) / (canvas.size // 3)
    light = rng.random(2) - 0.5
    for item in pasted:
        _shade(rng, canvas, sprites[item.index], item, light)
        _paste(rng, canvas, sprites[item.index], item, around, _mixture(rng) if settings.recolour else None)
    x = (np.arange(settings.width) + 0.5) / settings.width - 0.5
    y = (np.arange(settings.height) + 0.5) / settings.height - 0.5
    slope = 1 - 0.5 * (light[0] * x[None] + light[1] * y[:, None])
    grain = (rng.random(canvas.shape) + rng.random(canvas.shape) - 1) * (6 * rng.random())
    return np.clip(np.rint(canvas * slope[..., None] + grain), 0, 255).astype(np.uint8)


def _shade(rng: Generator, canvas: np.ndarray, sprite: _Sprite, item: _Pasted, light: np.ndarray) -> None:
    """A soft shadow on the side away from the light."""
    strength = _uniform(rng, 0.1, 0.45)
    length = item.placed.scale * max(sprite.size)
    away = light * (0.2 * length)
    moved = dataclasses.replace(
        item.placed, left=item.placed.left + away[0], top=item.placed.top + away[1] + 0.02 * length
    )
    wider = int(0.25 * length) + 2
    left, top, width, height = item.window
    window = left - wider, top - wider, width + 2 * wider, height + 2 * wider
    in_picture, in_window = _overlap(window, *canvas.shape[:2])
    blurred = resampling.sample(sprite.opacity, moved, window, blur=max(1.5, 0.08 * length))
    canvas[in_picture] *= 1 - blurred[in_window] * np.float32(strength / 255)


def _mixture(rng: Generator) -> np.ndarray:
    """A matrix (3, 3) from colours to other colours: each is made of two of the three, in random shares."""
    order, share = rng.permutation(3), 0.5 * rng.random()
    mixed = (1 - share) * np.eye(3)[order] + share * np.eye(3)[np.roll(order, 1)]
    return (mixed * (0.6 + 0.8 * rng.random((3, 1)))).astype(np.float32)


def _paste(
    rng: Generator,
    canvas: np.ndarray,
    sprite: _Sprite,
    item: _Pasted,
    around: np.ndarray,
    mixture: np.ndarray | None = None,
) -> None:
    """The object itself, drawn some way towards the light and colour around it, then changed at random."""
    bright, brightness = around.sum() / 3 + 1, sprite.mean.sum() / 3 + 1
    towards_light = 1 + 0.4 * (min(max(bright / brightness, 0.5), 1.6) - 1)
    cast = np.clip((around + 1) / bright, 0.7, 1.3)
    gain = towards_light * (1 + 0.25 * (cast - 1)) * (1 + 0.16 * (rng.random(3) - 0.5))
    gain *= _uniform(rng, 0.8, 1.2)
    saturation = np.float32(_uniform(rng, 0.7, 1.2))
    colours = resampling.sample(sprite.colours, item.placed, item.window)
    if mixture is not None:
        colours = sum(colours[..., i : i + 1] * mixture[:, i] for i in range(3))
    grey = (colours[..., :1] + 2 * colours[..., 1:2] + colours[..., 2:]) * np.float32(0.25)
    colours = (grey + (colours - grey) * saturation) * gain.astype(np.float32)
    opacity = item.opacity[..., None]
    colours = np.clip(colours, 0, 255 * opacity)
    in_picture, in_window = _overlap(item.window, *canvas.shape[:2])
    canvas[in_picture] = canvas[in_picture] * (1 - opacity[in_window]) + colours[in_window]


# --- labels -------------------------------------------------------------------------------------


def _one(settings: _Settings, sprites: list[_Sprite], i: int) -> dict[str, np.ndarray]:
    """Picture i of the split with everything that is known of it."""
    rng = Generator(PCG64(SeedSequence([settings.seed, SPLITS.index(settings.split), i])))
    pasted, owner = _arranged(rng, settings, sprites)
    image = _painted(rng, settings, sprites, pasted)
    boxes = [tight_box(owner == j) for j in range(len(pasted))]
    order = sorted(range(len(pasted)), key=lambda j: (*boxes[j], j))
    k = settings.objects[1]
    points = max((len(sprite.points) for sprite in sprites), default=0)
    labels: dict[str, np.ndarray] = {
        "boxes": np.zeros((k, 4), np.float32),
        "classes": np.full(k, -1, np.int64),
        "keypoints": np.zeros((k, points, 2), np.float32),
        "visible": np.zeros((k, points), bool),
        "masks": np.where(owner == -2, IGNORED, 0).astype(np.uint8),
        "instances": np.zeros(owner.shape, np.uint8),
    }
    for slot, j in enumerate(order):
        sprite = sprites[pasted[j].index]
        labels["boxes"][slot] = boxes[j]
        labels["classes"][slot] = pasted[j].index
        labels["masks"][owner == j] = 1 + pasted[j].index
        labels["instances"][owner == j] = 1 + slot
        places = _points(sprite, pasted[j].placed)
        labels["keypoints"][slot, : len(places)] = places
        labels["visible"][slot, : len(places)] = _seen(places, owner, j)
    return {"images": image, **labels}


def _points(sprite: _Sprite, placed: Placement) -> np.ndarray:
    """Where the key points lie; in a mirrored picture the left eye is again the one on the left."""
    places = placed.forward(sprite.points)
    return places if placed.mirrored_at is None else places[list(sprite.mirror)]


def _seen(places: np.ndarray, owner: np.ndarray, number: int) -> np.ndarray:
    """Which points lie on pixels of object `number`."""
    column, row = np.floor(places).astype(np.int64).T
    height, width = owner.shape
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    found = owner[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)] == number
    return inside & found


def _some(settings: _Settings, first: int, last: int) -> dict[str, np.ndarray]:
    """Pictures first … last - 1, stacked; what a worker process does."""
    sprites = _sprites(settings)
    pictures = [_one(settings, sprites, i) for i in range(first, last)]
    if not pictures:  # the shapes are those of a picture
        return {name: np.stack([value])[:0] for name, value in _one(settings, sprites, 0).items()}
    return {name: np.stack([picture[name] for picture in pictures]) for name in PER_PICTURE}


def _finished(settings: _Settings, parts: list[dict[str, np.ndarray]]) -> LabelledImages:
    items = [_shipped_sprites()[c][0] if isinstance(c, str) else c for c in settings.classes]
    names = tuple(item.name for item in items)
    together: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in PER_PICTURE}
    return LabelledImages(
        **together,
        class_names=names,
        mask_names=("background", *names),
        point_names=tuple(item.point_names for item in items),
        skeletons=tuple(item.skeleton for item in items),
    )


# --- one name for all of it ---------------------------------------------------------------------


class _Scenes:
    """`scenes(n, …)` makes pictures, `scenes.thumbnails(n, …)` small ones."""

    class_names = CLASS_NAMES
    splits = SPLITS
    backgrounds = backgrounds.BACKGROUNDS
    __call__ = staticmethod(compose)
    thumbnails = staticmethod(thumbnails)


scenes = _Scenes()
