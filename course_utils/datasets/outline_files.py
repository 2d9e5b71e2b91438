"""Rough outlines as people keep them, and the masks that GrabCut makes of them. Notebook 05.

The file is JSON: a list with one entry for each object,

    {"file": "cat.jpg", "class": "cat", "outline": [[12, 40], [80, 35], [90, 120]]}

with "holes" (outlines) and "margin" (pixels) where they are wanted. What labelme writes is read, too: one of
its files, or a folder of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from course_utils.datasets import cutouts
from course_utils.datasets.problems import Problems

BACKGROUND = "background"


@dataclass(frozen=True)
class Drawn:
    """One outline.

    Attributes:
        file: the picture's name.
        label: the object's class.
        outline: (n, 2), x and y in pixels of the upright picture; holes: the same of what is not object.
        margin: how far the outline may be wrong, in pixels; None: 2 % of the object.
    """

    file: str
    label: str
    outline: np.ndarray
    holes: tuple[np.ndarray, ...] = ()
    margin: float | None = None


def read(path: str | Path) -> list[Drawn]:
    """Read all outlines of a file, or of the `.json` files of a folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: telling every entry that can't be used.
    """
    place = Path(path)
    files = sorted(place.glob("*.json")) if place.is_dir() else [place]
    if not files or not files[0].is_file():
        raise FileNotFoundError(f"no outlines at {place}: give a JSON file, or a folder of labelme's")
    problems, found = Problems(str(place)), []
    for file in files:
        for number, entry in enumerate(_entries(file, problems), start=1):
            try:
                found.append(_drawn(entry))
            except (KeyError, TypeError, ValueError) as error:
                told = f"no {error}" if isinstance(error, KeyError) else str(error)
                problems.add(f"{file.name}, entry {number}: {told}")
    problems.settle()
    if not found:
        raise ValueError(f"{place} holds no outline")
    return found


def _entries(file: Path, problems: Problems) -> list[dict[str, Any]]:
    """The entries of a file in the course's words."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        problems.add(f"{file.name} is no JSON ({error})")
        return []
    if isinstance(content, dict) and "shapes" in content:  # labelme
        picture = PureWindowsPath(str(content.get("imagePath", ""))).name
        return [
            {"file": picture, "class": shape.get("label"), "outline": shape.get("points")}
            for shape in content["shapes"]
            if shape.get("shape_type", "polygon") == "polygon"
        ]
    if not isinstance(content, list):
        problems.add(f'{file.name}: expected a list of {{"file": …, "class": …, "outline": [[x, y], …]}}')
        return []
    return content


def _drawn(entry: dict[str, Any]) -> Drawn:
    file, label = str(entry["file"]), str(entry["class"])
    if not file or not label or label == BACKGROUND or Path(label).name != label:
        raise ValueError(f"file {file!r} and class {label!r}: two names, and the class is not {BACKGROUND}")
    margin = entry.get("margin")
    holes = tuple(_corners(hole) for hole in entry.get("holes", ()))
    return Drawn(file, label, _corners(entry["outline"]), holes, None if margin is None else float(margin))


def _corners(points: Any) -> np.ndarray:
    corners = np.asarray(points, dtype=float)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ValueError("an outline is a list of at least three corners [x, y]")
    return corners


def classes(drawn: Sequence[Drawn]) -> tuple[str, ...]:
    """The background and then the classes that occur, sorted: what a mask's values mean."""
    return (BACKGROUND, *sorted({each.label for each in drawn}))


def mask(image: np.ndarray, drawn: Sequence[Drawn], names: Sequence[str], scale: float = 1.0) -> np.ndarray:
    """The mask of a picture: GrabCut for each outline; what comes later lies in front.

    Args:
        image: (H, W, 3), RGB 0..255.
        drawn: the picture's outlines.
        names: what the mask's values mean.
        scale: of the picture, compared with the one that the outlines were drawn on.

    Returns:
        uint8 (H, W).

    Raises:
        ValueError: an outline leaves the picture, or encloses nothing.
    """
    labels = np.zeros(image.shape[:2], np.uint8)
    for each in drawn:
        margin = None if each.margin is None else each.margin * scale
        holes = [hole * scale for hole in each.holes]
        found = cutouts.cutout(image, each.outline * scale, holes=holes, margin=margin)
        labels[found] = names.index(each.label)
    return labels
