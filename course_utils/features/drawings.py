"""Feature maps laid over their photograph, and VGG-16 as a row of slabs. Notebooks 01 and 02."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.transforms import Affine2D

from course_utils.networks import vgg16
from course_utils.pictures import images, plots

TONES = ("#4477aa", "#228b8d", "#5b9a43", "#c98a1b", "#b4464b")  # the five blocks
SLOPE = (0.25, 0.2)  # how far a slab's back is moved, to the right and up, for each unit of its height


def scaled(one: Any, percent: float = 98) -> np.ndarray:
    """A map as 0..1 for drawing: 1 from the value on that `percent` per cent of all lie below. Notebook 02.

    One single high value would leave all others dark on a scale that reaches up to it.

    Args:
        one: (height, width), 0 or more, as behind a ReLU.

    Returns:
        (height, width) float32; zeros for a map that is 0 everywhere.
    """
    one = np.asarray(one, np.float32)
    top = float(np.percentile(one, percent)) or float(one.max())
    return np.clip(one / top, 0, 1) if top > 0 else np.zeros_like(one)


def spotlight(image: np.ndarray, one: Any, percent: float = 98, dark: float = 0.15) -> np.ndarray:
    """A photograph, bright where a map is strong and nearly dark elsewhere. Notebook 02.

    Args:
        image: (H, W, 3) RGB 0..255.
        one: (h, w), one map of it; stretched to the photograph's size.
        percent: see `scaled`.
        dark: what is left of the light where the map is 0.

    Returns:
        (H, W, 3) float32.
    """
    light = images.resize(scaled(one, percent), image.shape[:2])
    return np.asarray(image, np.float32) * (dark + (1 - dark) * light)[..., None]


def slab(ax: Axes, x: float, thick: float, high: float, colour: str, deep: float | None = None) -> float:
    """Draw a box around height 0, its back moved to the right and up; return where its front ends.

    Args:
        x, thick, high: left edge, thickness and height of the front.
        deep: how far it goes back; as far as it is high, if None.
    """
    right, up = (part * (high if deep is None else deep) for part in SLOPE)
    low, top, end = -(high + up) / 2, (high - up) / 2, x + thick
    front = [(x, low), (end, low), (end, top), (x, top)]
    lid = [(x, top), (end, top), (end + right, top + up), (x + right, top + up)]
    side = [(end, low), (end + right, low + up), (end + right, top + up), (end, top)]
    for corners, white in ((front, 0.0), (lid, 0.5), (side, 0.25)):
        tone = white + (1 - white) * np.array(to_rgb(colour))
        ax.add_patch(Polygon(corners, facecolor=tone, edgecolor="white", linewidth=0.7, joinstyle="round"))
    return end


def _lean(ax: Axes, photo: np.ndarray, high: float) -> None:
    """The middle square of the photograph as the first sheet of the row, leaning as the slabs do."""
    right, up = SLOPE[0] * high, SLOPE[1] * high
    height, width, _ = photo.shape
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = images.resize(photo[top : top + edge, left : left + edge], 224) / 255
    lean = Affine2D(np.array([[right, 0, 0], [up, high, -(high + up) / 2], [0, 0, 1]]))
    shown = ax.imshow(np.clip(square, 0, 1), extent=(0, 1, 0, 1), aspect="auto")
    shown.set_transform(lean + ax.transData)


def draw_vgg16(photo: np.ndarray) -> Figure | None:
    """VGG-16 as a row of slabs: as high as the maps of a layer, as thick as they are many. Notebook 01.

    Args:
        photo: (H, W, 3) RGB 0..255, the picture that goes in.

    Heights and thicknesses go with the square root of what they stand for, or block 5 could not be seen.
    """
    figure, ax = plots.canvas(height=3.0)
    high, side, x = 3.3, 224, 1.25
    _lean(ax, photo, high)
    labels = [(0.42, f"a picture\n3 colours\n{side} × {side}")]
    for number, (convolutions, filters) in enumerate(vgg16.BLOCKS.values(), start=1):
        start, thick = x, 0.026 * filters**0.5
        for _ in range(convolutions):
            x = slab(ax, x, thick, high, TONES[number - 1]) + 0.09
        end = x + SLOPE[0] * high
        labels.append(((start + end) / 2, f"block {number}\n{filters} maps\n{side} × {side}"))
        side, high = side // 2, high / 2**0.5
        slab(ax, x + 0.03, 0.07, high, plots.SOFT)
        x = end + 0.32
    for label, values in [("dense\n4,096", 4096), ("dense\n4,096", 4096), ("names\n1,000", 1000)]:
        slab(ax, x, 0.14, 0.04 * values**0.5, plots.INK, deep=0.4)
        labels.append((x + 0.12, label))
        x += 0.72
    for place, label in labels:
        ax.text(place, -2.15, label, ha="center", va="top", fontsize=6.8, color=plots.INK, linespacing=1.4)
    ax.set(xlim=(-0.1, x - 0.2), ylim=(-3.05, 2.05), aspect="equal")
    ax.set_axis_off()
    return plots.publish(figure, _told())


def _told() -> str:
    """The drawing in words."""
    blocks = ", ".join(
        f"{convolutions} of {filters} maps of {224 >> k} by {224 >> k}"
        for k, (convolutions, filters) in enumerate(vgg16.BLOCKS.values())
    )
    return (
        f"A photograph, then VGG-16 as a row of slabs that get lower and thicker. Convolutions: {blocks}; a "
        "thin pool behind each block halves the height. At the end three dense layers: 4,096, 4,096, 1,000."
    )
