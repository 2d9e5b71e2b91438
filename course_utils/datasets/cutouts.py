"""Objects cut out of photographs: a rough outline, refined by GrabCut. Notebook 05 explains it.

`cutout` is all that a person needs for photographs of their own; `photo_object` adds a name and key
points, so that `scenes(…, classes=[…])` can paste the object. The course's own six are drawn in
`data/outlines/objects.json`; the refined masks lie beside it, because GrabCut's floating-point results
differ in a few pixels from one machine to another, and the scenes must not.
`refine_shipped()` makes them again.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_utils import runtime
from course_utils.pictures import images

Outline = Sequence[Sequence[float]] | np.ndarray


@dataclass(frozen=True)
class PhotoObject:
    """An object of a photograph, with its mask and its named points."""

    name: str
    image: np.ndarray
    """uint8 (h, w, 3) RGB: the part of the photograph around the object."""
    mask: np.ndarray
    """bool (h, w): the object; it touches all four sides."""
    points: np.ndarray
    """float64 (K, 2): x, y of the key points; pixel i reaches from i to i + 1."""
    point_names: tuple[str, ...]
    skeleton: tuple[tuple[int, int], ...]
    """Pairs of points that a drawing joins."""
    mirror: tuple[int, ...]
    """Which point takes the place of each in a mirrored picture: the left eye becomes the right one."""


def cutout(
    image: np.ndarray,
    outline: Outline,
    *,
    holes: Sequence[Outline] = (),
    margin: float | None = None,
    iterations: int = 5,
) -> np.ndarray:
    """Turn a rough outline into a mask: GrabCut decides in a band along the outline, and only there.

    Args:
        image: (H, W, 3) RGB, 0..255.
        outline: at least three corners (x, y) in pixels, in order around the object.
        holes: outlines of places inside the object where the background shows.
        margin: how far the outline may be wrong, in pixels; by default 2 % of the object's longer side.
        iterations: of GrabCut.

    Returns:
        bool (H, W), true on the object.

    Raises:
        ValueError: the outline has too few corners, encloses nothing, or lies outside the picture.

    Rother, Kolmogorov and Blake (2004). Notebook 05.
    """
    import cv2

    pixels = images.to_uint8(images.read(image))
    inside = _filled(outline, pixels.shape[:2])
    for hole in holes:
        inside &= ~_filled(hole, pixels.shape[:2])
    if margin is None:
        margin = 0.02 * float(np.ptp(np.asarray(outline, dtype=float), axis=0).max())
    labels = _band(inside, margin)
    rows, columns = _window(labels != cv2.GC_BGD, round(2 * margin) + 4)
    part = np.ascontiguousarray(labels[rows, columns])
    bgr = np.ascontiguousarray(pixels[rows, columns, ::-1])
    cv2.setRNGSeed(0)  # GrabCut's clustering draws from OpenCV's global generator
    behind, front = np.zeros((1, 65)), np.zeros((1, 65))
    unused = (0, 0, 1, 1)  # a rectangle, where there is no mask
    cv2.grabCut(bgr, part, unused, behind, front, iterations, cv2.GC_INIT_WITH_MASK)
    mask = np.zeros(inside.shape, bool)
    mask[rows, columns] = (part == cv2.GC_FGD) | (part == cv2.GC_PR_FGD)
    return _tidy(mask)


def _filled(outline: Outline, shape: tuple[int, int]) -> np.ndarray:
    """The polygon's pixels, bool (H, W); a useless outline is an error."""
    import cv2

    corners = check(outline, shape)
    filled = np.zeros(shape, np.uint8)
    # OpenCV's whole numbers are pixel centres, ours are pixel edges; four bits of fraction
    cv2.fillPoly(filled, [np.round((corners - 0.5) * 16).astype(np.int32)], 1, shift=4)
    if filled.sum() < 16:
        raise ValueError("the outline encloses fewer than 16 pixels: are its corners in order?")
    return filled.astype(bool)


def check(outline: Outline, shape: tuple[int, int]) -> np.ndarray:
    """The corners of an outline, float (n, 2), that lie in a picture of this height and width.

    Raises:
        ValueError: there are fewer than three, or some leave the picture.
    """
    corners = np.asarray(outline, dtype=float)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ValueError(f"an outline is a list of at least three corners [x, y], not {corners.shape}")
    height, width = shape
    if not np.isfinite(corners).all() or (corners < -1).any() or (corners > [width + 1, height + 1]).any():
        raise ValueError(
            f"the outline leaves the picture, which is {width} wide and {height} high: "
            f"x goes from {corners[:, 0].min():g} to {corners[:, 0].max():g}, "
            f"y from {corners[:, 1].min():g} to {corners[:, 1].max():g}"
        )
    return corners


def _band(inside: np.ndarray, margin: float) -> np.ndarray:
    """GrabCut's four labels: sure and probable, on both sides of the outline."""
    import cv2

    # a border of its own, so that an object may touch the picture's border without being eroded there
    padded = np.pad(inside.astype(np.uint8), 1, mode="edge")
    to_outside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    to_inside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    labels = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    labels[to_inside > margin] = cv2.GC_BGD
    labels[to_outside > margin] = cv2.GC_FGD
    return labels.astype(np.uint8)


def _window(where: np.ndarray, border: int) -> tuple[slice, slice]:
    """Rows and columns of the true pixels, with a border around them."""
    sides = []
    for axis in (1, 0):
        places = np.flatnonzero(where.any(axis=axis))
        sides.append(slice(max(0, int(places[0]) - border), int(places[-1]) + 1 + border))
    return sides[0], sides[1]


def _tidy(mask: np.ndarray) -> np.ndarray:
    """Drop islands under 2 % of the largest piece, and fill holes under 0.2 % of it."""
    from scipy import ndimage

    for value, share in ((True, 0.02), (False, 0.002)):
        pieces, count = ndimage.label(mask == value)
        if count:
            sizes = np.bincount(pieces.ravel())[1:]
            whole = sizes.max() if value else mask.sum()
            small = np.flatnonzero(sizes < share * whole) + 1
            mask = np.where(np.isin(pieces, small), not value, mask)
    return mask


def photo_object(
    name: str,
    image: np.ndarray,
    outline: Outline,
    *,
    points: Mapping[str, Sequence[float]] | None = None,
    skeleton: Sequence[Sequence[int]] = (),
    mirror: Sequence[int] | None = None,
    holes: Sequence[Outline] = (),
    margin: float | None = None,
) -> PhotoObject:
    """Cut an object out of a photograph, ready for `scenes(…, classes=["cat", it])`.

    Args:
        name: of the class.
        image: (H, W, 3) RGB, 0..255, or whatever `images.read` takes.
        outline: see `cutout`; or a finished mask, bool (H, W).
        points: name -> (x, y) in pixels of the photograph.
        skeleton: pairs of points that a drawing joins.
        mirror: which point takes the place of each when the picture is mirrored; by default each its own.
        holes, margin: see `cutout`.

    Raises:
        ValueError: as `cutout`; or the mask is empty or has another size than the photograph.
    """
    pixels = images.to_uint8(images.read(image))
    if isinstance(outline, np.ndarray) and outline.dtype == bool:
        mask = outline
    else:
        mask = cutout(pixels, outline, holes=holes, margin=margin)
    if mask.shape != pixels.shape[:2] or not mask.any():
        raise ValueError(f"{name}: the mask {mask.shape} is empty or does not fit {pixels.shape[:2]}")
    rows, columns = _window(mask, 0)
    named = dict(points or {})
    places = np.array(list(named.values()), dtype=np.float64).reshape(-1, 2)
    return PhotoObject(
        name=name,
        image=np.ascontiguousarray(pixels[rows, columns]),
        mask=np.ascontiguousarray(mask[rows, columns]),
        points=places - [columns.start, rows.start],
        point_names=tuple(named),
        skeleton=tuple((int(a), int(b)) for a, b in skeleton),
        mirror=tuple(range(len(named)) if mirror is None else mirror),
    )


def outlines() -> list[dict[str, Any]]:
    """What `data/outlines/objects.json` says of the course's objects, in the order of their classes."""
    return json.loads(runtime.shipped("outlines/objects.json").read_text(encoding="utf-8"))


@functools.cache
def shipped_objects() -> tuple[PhotoObject, ...]:
    """The course's six objects, one photograph each, with the masks that ship."""
    return tuple(_shipped(drawn) for drawn in outlines())


def _shipped(drawn: dict[str, Any]) -> PhotoObject:
    mask = images.read(runtime.shipped(f"outlines/{drawn['name']}.png"))[..., 0] > 127
    details = {key: drawn[key] for key in ("points", "skeleton", "mirror")}
    return photo_object(drawn["name"], images.sample(drawn["photograph"]), mask, **details)


def refine_shipped() -> None:
    """Make the masks in `data/outlines/` again from the outlines there."""
    from PIL import Image

    for drawn in outlines():
        photograph = images.sample(drawn["photograph"])
        mask = cutout(photograph, drawn["outline"], holes=drawn.get("holes", ()), margin=drawn["margin"])
        path = runtime.shipped(f"outlines/{drawn['name']}.png")
        Image.fromarray(mask).save(path, optimize=True)
        print(f"{path.name}: {int(mask.sum()):,} of {mask.size:,} pixels")
