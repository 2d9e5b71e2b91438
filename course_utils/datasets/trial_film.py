"""A film whose motions are all known: over a photograph, with a cut-out that flies past. Notebook 09."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course_utils.datasets import cutouts
from course_utils.pictures import images
from course_utils.pictures.resampling import Placement, placement, pyramid, sample


@dataclass(frozen=True)
class TrialFilm:
    """Frames, and where each pixel came from.

    Attributes:
        frames: uint8 (N, H, W, 3) RGB.
        motions: float32 (N - 1, H, W, 2): x and y by which a pixel of frame i + 1 lay elsewhere in frame i.
        known: bool (N - 1, H, W): False where it was hidden or outside the picture in frame i.
    """

    frames: np.ndarray
    motions: np.ndarray
    known: np.ndarray


def trial_film(
    count: int = 72,
    size: tuple[int, int] = (144, 192),
    photograph: str = "china",
    cut_out: str = "astronaut",
) -> TrialFilm:
    """Make the film; three seconds of it at 24 frames a second by default.

    Args:
        count: frames.
        size: (height, width) of each.
        photograph: a sample's name, the background.
        cut_out: one of the course's six objects.
    """
    wide = images.to_uint8(images.fit(images.sample(photograph), 3 * size[1]))
    thing = next(each for each in cutouts.shipped_objects() if each.name == cut_out)
    rgba = np.dstack([thing.image, 255 * thing.mask.astype(np.uint8)])
    levels = pyramid(wide), pyramid(rgba)
    placed = [_placements(i / max(count - 1, 1), wide.shape[:2], rgba.shape[:2], size) for i in range(count)]
    frames, masks = zip(*(_frame(levels, each, size) for each in placed), strict=True)
    motions = [
        _motion(now, before, mask)
        for now, before, mask in zip(placed[1:], placed[:-1], masks[1:], strict=True)
    ]
    known = [
        _known(motion, now, before)
        for motion, now, before in zip(motions, masks[1:], masks[:-1], strict=True)
    ]
    return TrialFilm(np.stack(frames), np.stack(motions), np.stack(known))


def _placements(
    t: float, wide: tuple[int, int], thing: tuple[int, int], size: tuple[int, int]
) -> tuple[Placement, Placement]:
    """Where background and cut-out lie at the time t, 0..1."""
    height, width = size
    scale = height / ((0.75 - 0.2 * t) * wide[0])
    looked_at = ((0.37 + 0.25 * t) * wide[1], (0.5 + 0.03 * np.sin(2 * np.pi * t)) * wide[0])
    background = placement(looked_at, (width / 2, height / 2), scale)
    goes_to = ((1.05 - 1.1 * t) * width, (0.66 - 0.12 * np.sin(np.pi * t)) * height)
    flying = placement(
        (thing[1] / 2, thing[0] / 2), goes_to, 0.55 * height / thing[0], degrees=12 * (t - 0.5)
    )
    return background, flying


def _frame(
    levels: tuple[list[np.ndarray], list[np.ndarray]],
    placed: tuple[Placement, Placement],
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """One frame, uint8, and where the cut-out is, bool."""
    window = (0, 0, size[1], size[0])
    picture, over = (
        sample(each, place, window, blur=1.0) for each, place in zip(levels, placed, strict=True)
    )
    height, width = levels[1][0].shape[:2]
    x, y = _grid(size)
    u, v = placed[1].backward(x, y)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    share = np.where(inside, over[..., 3], 0)[..., None] / 255
    return images.to_uint8(picture * (1 - share) + over[..., :3] * share), share[..., 0] > 0.5


def _grid(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the middles of the pixels, (H, W) each."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return x, y


def _motion(
    now: tuple[Placement, Placement], before: tuple[Placement, Placement], mask: np.ndarray
) -> np.ndarray:
    """(H, W, 2): what belongs to the cut-out has its motion, the rest the background's."""
    x, y = _grid(mask.shape)
    out = np.empty((*mask.shape, 2), np.float32)
    for here, there, where in zip(now, before, (~mask, mask), strict=True):
        points = np.stack(here.backward(x, y), axis=-1).reshape(-1, 2)
        moved = there.forward(points).reshape(out.shape) - np.stack([x, y], axis=-1)
        out[where] = moved[where]
    return out


def _known(motion: np.ndarray, now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Whether a pixel shows in the frame before what it shows now; edges of the cut-out are left out."""
    height, width = now.shape
    x, y = _grid(now.shape)
    column = np.floor(x + motion[..., 0]).astype(int)
    row = np.floor(y + motion[..., 1]).astype(int)
    inside = (column >= 1) & (column < width - 1) & (row >= 1) & (row < height - 1)
    same = before[row.clip(0, height - 1), column.clip(0, width - 1)] == now
    return inside & same
