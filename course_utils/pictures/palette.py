"""The course's colours: one for each class, the same in every figure, mask file and overlay. All notebooks.

Petroff (2021), "Accessible color sequences for data visualization": ten colours that stay apart, here with
the two most distant hues first.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np

PALETTE: tuple[str, ...] = (
    *("#3f90da", "#e76300", "#832db6", "#bd1f01", "#94a4a2"),
    *("#ffa90e", "#a96b59", "#717581", "#92dadd", "#b9ac70"),
)
BACKGROUND, UNLABELLED = "#000000", "#ffffff"
NATURAL: dict[str, str] = {
    "background": BACKGROUND,
    **{"sky": "#92dadd", "building": "#a96b59", "pole": "#ffa90e", "road": "#717581", "pavement": "#b9ac70"},
    **{"tree": "#2e8b3d", "sign": "#f5d800", "fence": "#e76300", "car": "#3f90da", "pedestrian": "#bd1f01"},
    "bicyclist": "#832db6",
}
"""What everybody expects in a colour: trees are green."""


def colours(count: int) -> list[str]:
    """`count` colours for categories: petroff10, then further hues of the same lightness."""
    extra = range(max(0, count - len(PALETTE)))
    more = [colorsys.hsv_to_rgb(k * 0.618034 % 1, 0.55, 0.75) for k in extra]
    return [*PALETTE, *(f"#{''.join(f'{round(255 * part):02x}' for part in rgb)}" for rgb in more)][:count]


def class_colours(class_names: Sequence[str]) -> list[str]:
    """A colour for each class: of `NATURAL`, where it is there, else one that no other of them takes.

    So a class has its colour whether or not a background is counted before it.
    """
    taken = {NATURAL[name] for name in class_names if name in NATURAL}
    rest = (each for each in colours(len(class_names) + len(taken)) if each not in taken)
    return [NATURAL[name] if name in NATURAL else next(rest) for name in class_names]


def label_colours(labels: Sequence[str], class_names: Sequence[str] = ()) -> list[str]:
    """A colour for each label: that of the class it begins with ("cat .93"), else one for each kind."""
    by_class = dict(zip(class_names, class_colours(class_names), strict=True))
    begins = [max((n for n in by_class if label.startswith(n)), key=len, default=None) for label in labels]
    kinds = dict.fromkeys(label for label, name in zip(labels, begins, strict=True) if name is None)
    by_kind = dict(zip(kinds, colours(len(kinds)), strict=True))
    return [
        by_kind[label] if name is None else by_class[name] for label, name in zip(labels, begins, strict=True)
    ]


def mask_palette(class_names: Sequence[str] = ()) -> np.ndarray:
    """The colours of a mask's values, uint8 (256, 3); 255, which belongs to no class, is white.

    Args:
        class_names: of the values 0, 1, …; values beyond get further colours.
    """
    names = [*class_names, *(f"class {i}" for i in range(len(class_names), 255))]
    table = [*class_colours(names), UNLABELLED]
    return np.array([tuple(bytes.fromhex(colour[1:])) for colour in table], np.uint8)
