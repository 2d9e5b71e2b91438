"""FCN-8s in one drawing. Notebook 05."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.patches import Rectangle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRIDES = {"picture": 1, "pool 3": 8, "pool 4": 16, "pool 5": 32}
GAP = 2.2


def network(ax: Axes, side: int = 224) -> None:
    """Draw FCN-8s: pools 3, 4 and 5 above, a score map below each, and the way back from right to left.

    Args:
        side: of the picture, in pixels; the maps are labelled with theirs.
    """
    for column, (name, stride) in enumerate(STRIDES.items()):
        x, size = column * GAP, f"{side // stride} x {side // stride}"
        _square(ax, x, 3.6, name, size, side // stride if column else 1, "tab:blue")
        if column:
            _arrow(ax, (x - GAP + 0.55, 3.6), (x - 0.55, 3.6), "")
            _arrow(ax, (x, 3.05), (x, 2.32), "3 x 3, 1 x 1" if column == 3 else "1 x 1")
            _square(ax, x, 1.8, "", "scores", side // stride, "tab:orange")
    ax.plot([3 * GAP, 3 * GAP], [0, 1.25], color="0.3", linewidth=1.0)
    for column, factor in ((3, 2), (2, 2), (1, 8)):
        x, joined = column * GAP, column < 3
        if joined:
            _arrow(ax, (x, 1.25), (x, 0.22), "")
            ax.text(x, 0, "+", ha="center", va="center", fontsize=16)
        _arrow(ax, (x - 0.2 * joined, 0), (x - GAP + (0.2 if column > 1 else 0.55), 0), f"x {factor}")
    _square(ax, 0, 0, "a class for each pixel", "", 1, "tab:green")
    ax.set_xlim(-1, 3 * GAP + 1)
    ax.set_ylim(-0.9, 4.6)
    ax.set_aspect("equal")
    ax.set_axis_off()


def _square(ax: Axes, x: float, y: float, name: str, size: str, cells: int, colour: str) -> None:
    """A map with its cells, its name above and its size below."""
    ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, alpha=0.25, edgecolor="none"))
    for k in range(cells + 1):
        place = -0.5 + k / cells
        ax.plot([x + place, x + place], [y - 0.5, y + 0.5], color=colour, linewidth=0.8)
        ax.plot([x - 0.5, x + 0.5], [y + place, y + place], color=colour, linewidth=0.8)
    ax.text(x, y + 0.62, name, ha="center", va="bottom", fontsize=9)
    ax.text(x + 0.1, y - 0.6, size, ha="left", va="top", fontsize=8)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], words: str) -> None:
    style = {"arrowstyle": "->", "color": "0.3", "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=style)
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    across = abs(start[0] - end[0]) > 0.1
    ax.text(
        x + (0 if across else -0.1),
        y + (0.12 if across else 0),
        words,
        ha="center" if across else "right",
        va="bottom" if across else "center",
        fontsize=9,
    )
