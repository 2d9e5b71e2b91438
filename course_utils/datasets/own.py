"""A reader's own pictures: with a table of boxes, or with a folder of masks. Notebooks 04 and 05.

Everything that is wrong with the files is told at once, line by line, not one thing a run.
"""

from __future__ import annotations

import csv
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from course_utils.datasets import mask_files
from course_utils.datasets.labelled import IGNORED, LabelledImages, unlabelled
from course_utils.datasets.problems import Problems
from course_utils.pictures import images, orientation
from course_utils.pictures.resampling import resize_mask

SLACK = 1.0  # pixels by which a hand-drawn box may leave its picture; it is clipped

Size = int | tuple[int, int] | None
Drawn = Literal["", "shown", "stored"]
"""On which form of a photograph that EXIF turns the labels were drawn; "" to tell by the sizes."""


# --- boxes --------------------------------------------------------------------------------------

_HEADS = {
    "file": ("file", "filename", "image", "path"),
    "class": ("class", "label", "category", "name"),
    "x": ("x", "left"),
    "y": ("y", "top"),
    "x1": ("x1", "xmin"),
    "y1": ("y1", "ymin"),
    "x2": ("x2", "xmax"),
    "y2": ("y2", "ymax"),
    "w": ("w",),
    "h": ("h",),
    "width": ("width",),
    "height": ("height",),
}
_WITHOUT_HEADER = ("class", "file", "x1", "y1", "x2", "y2", "width", "height")


@dataclass(frozen=True)
class _Row:
    line: int
    file: str
    label: str
    box: tuple[float, float, float, float]
    size: tuple[float, float] | None
    """Width and height of the picture, where the table states them."""


def boxes_from_csv(
    folder: str | Path,
    csv_file: str | Path,
    *,
    size: Size = None,
    class_names: Sequence[str] | None = None,
    drawn: Drawn = "",
    skip: bool = False,
) -> LabelledImages:
    """Pictures in a folder with the boxes that a table gives them.

    Args:
        folder: where the pictures are; a picture is looked for as `file` and as `class/file`.
        csv_file: one line for each box. With a header: `file`, `class` and either `x,y,w,h` or
            `x1,y1,x2,y2` (`xmin` … too), other columns are left alone: what `course localize` writes.
            Without one, eight columns: class, file, x1, y1, x2, y2, width and height of the picture.
        size: the pictures are resized to it (a number, or height and width), the boxes with them; needed
            where they are not all of one size.
        class_names: the classes that may occur, in the order wanted; by default those of the table, sorted.
        drawn: the labels of photographs that EXIF turns lie on the picture as "shown" or as "stored"; what
            was drawn on stored pixels is turned with them. By default the sizes tell; where they can't, that
            is a problem.
        skip: leave pictures with problems out, with one warning that names them, instead of the error.

    Returns:
        `LabelledImages` with the pictures in the order of the table, `files` and original `sizes`; masks
        are all ignored, key points empty.

    Raises:
        FileNotFoundError: no such folder or table.
        ValueError: naming every missing or damaged picture, every box that is empty or reaches out of its
            picture, every unknown class and every line that can't be read; a table in shares of the picture.

    Notebook 04.
    """
    folder, table = _folder(folder), Path(csv_file)
    if not table.is_file():
        raise FileNotFoundError(f"no file {table}")
    problems = Problems(str(table))
    rows = _rows(folder, table, problems)
    names = tuple(class_names) if class_names is not None else tuple(sorted({row.label for row in rows}))
    by_file: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        by_file[row.file].append(row)
    pictures, sizes = _pictures(folder, list(by_file), size, problems)
    _check_unit(rows, problems)
    by_file = _turned_along(folder, by_file, sizes, drawn, problems)
    for file in by_file:
        for row in by_file[file]:
            _check_row(row, sizes.get(file), names, problems)
    _check_sizes(sizes, size, problems)
    bad = problems.settle(skip)
    good = {file: rows for file, rows in by_file.items() if file not in bad}
    return _with_boxes({file: pictures[file] for file in good}, sizes, good, names)


def _with_boxes(
    pictures: dict[str, np.ndarray],
    sizes: dict[str, tuple[int, int]],
    by_file: dict[str, list[_Row]],
    names: tuple[str, ...],
) -> LabelledImages:
    stack = _stacked(pictures)
    boxes = np.zeros((len(stack), max(map(len, by_file.values())), 4), np.float32)
    classes = np.full(boxes.shape[:2], -1, np.int64)
    for i, (file, rows) in enumerate(by_file.items()):
        height, width = sizes[file]
        factors = np.array([stack.shape[2] / width, stack.shape[1] / height] * 2)
        for j, row in enumerate(rows):
            x, y, w, h = row.box
            left, top = max(x, 0), max(y, 0)
            clipped = left, top, min(x + w, width) - left, min(y + h, height) - top
            boxes[i, j] = np.array(clipped) * factors
            classes[i, j] = names.index(row.label)
    original = np.array([sizes[file] for file in by_file])
    return unlabelled(
        stack, boxes=boxes, classes=classes, class_names=names, files=tuple(by_file), sizes=original
    )


def _rows(folder: Path, table: Path, problems: Problems) -> list[_Row]:
    """The lines of the table that can be read."""
    text = table.read_text(encoding="utf-8-sig", errors="replace")
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    lines = [
        (i, [c.strip() for c in cells])
        for i, cells in enumerate(csv.reader(text.splitlines(), delimiter=delimiter), start=1)
        if any(cell.strip() for cell in cells)
    ]
    heads = _heads(lines[0][1]) if lines else {}
    if heads:
        lines = lines[1:]
    else:
        heads = {name: i for i, name in enumerate(_WITHOUT_HEADER)}
    if not lines:
        problems.add("there is no line with a box")
    rows = [_row(folder, line, cells, heads, problems) for line, cells in lines]
    if not any(rows):
        problems.settle()
    return [row for row in rows if row is not None]


def _heads(cells: list[str]) -> dict[str, int]:
    """Where each column is; empty if the line is no header; an error if it is an unusable one."""
    heads = {name: i for i, c in enumerate(cells) for name, words in _HEADS.items() if c.lower() in words}
    if len(heads) < 3:
        return {}
    if "x" in heads:  # beside x and y, "width" is that of the box
        heads = {{"width": "w", "height": "h"}.get(name, name): i for name, i in heads.items()}
    corners, sides = {"x1", "y1", "x2", "y2"}, {"x", "y", "w", "h"}
    missing = {"file", "class"} - set(heads)
    if missing or not (corners <= set(heads) or sides <= set(heads)):
        raise ValueError(
            f"the table's header is {', '.join(cells)}; needed are file, class and either x, y, w, h or "
            "x1, y1, x2, y2"
        )
    return heads


def _row(folder: Path, line: int, cells: list[str], heads: dict[str, int], problems: Problems) -> _Row | None:
    if len(cells) <= max(heads.values()):
        problems.add(f"line {line}: {len(cells)} columns, {max(heads.values()) + 1} expected", f"line {line}")
        return None

    label = cells[heads["class"]]
    file = _found(folder, cells[heads["file"]], label)

    def numbers(*names: str) -> tuple[float, ...]:
        return tuple(float(cells[heads[name]]) for name in names)

    try:
        if "x" in heads:
            x, y, w, h = numbers("x", "y", "w", "h")
        else:
            x, y, x2, y2 = numbers("x1", "y1", "x2", "y2")
            w, h = x2 - x, y2 - y
        stated = numbers("width", "height") if {"width", "height"} <= set(heads) else None
    except ValueError as error:
        problems.add(f"line {line} ({file}): {error}", file)
        return None
    size = (stated[0], stated[1]) if stated else None
    return _Row(line, file, label, (x, y, w, h), size)


def _found(folder: Path, file: str, label: str) -> str:
    """The picture's path below the folder: `file`, or `class/file` where only that is there."""
    nested = f"{label}/{file}"
    return nested if not (folder / file).is_file() and (folder / nested).is_file() else file


def _check_unit(rows: list[_Row], problems: Problems) -> None:
    """A table whose numbers all lie between 0 and 1 holds no pixels."""
    small = all(min(row.box) >= 0 and max(row.box) <= 1 for row in rows)
    if small and any(value % 1 for row in rows for value in row.box):
        problems.add(
            "all boxes lie between 0 and 1: they are shares of the picture, not pixels. Multiply x and w by "
            "the picture's width, y and h by its height (in YOLO's files x and y are the middle of the box, "
            "not its corner)"
        )


def _turned_along(
    folder: Path,
    by_file: dict[str, list[_Row]],
    sizes: dict[str, tuple[int, int]],
    drawn: Drawn,
    problems: Problems,
) -> dict[str, list[_Row]]:
    """The rows with boxes on upright pictures: those drawn on pixels as stored are turned."""
    turns = {file: orientation.of(folder / file) for file in by_file if file in sizes}
    turns = {file: turn for file, turn in turns.items() if turn != orientation.UPRIGHT}
    told = {file: _stored(by_file[file], turn, sizes[file]) for file, turn in turns.items()}
    most = mask_files.decided([each for each in told.values() if each is not None])
    found = dict(by_file)
    for file, turn in turns.items():
        stored = drawn == "stored" if drawn else most if told[file] is None else told[file]
        if stored is None:
            problems.add(mask_files.asked(file, turn, "box"), file)
        elif stored:
            found[file] = [_turned(row, turn, sizes[file]) for row in by_file[file]]
    return found


def _stored(rows: list[_Row], turn: int, size: tuple[int, int]) -> bool | None:
    """Whether boxes lie on the picture as stored: by the size the table states, or where they fit."""
    lying = orientation.stored_size(size, turn)
    if lying == size:
        return None

    def fits(height: float, width: float) -> bool:
        stated = all(row.size in (None, (width, height)) for row in rows)
        ends = [(row.box[0] + row.box[2] - SLACK, row.box[1] + row.box[3] - SLACK) for row in rows]
        return stated and all(x <= width and y <= height for x, y in ends)

    shown, stored = fits(*size), fits(*lying)
    return stored if shown != stored else None


def _turned(row: _Row, turn: int, size: tuple[int, int]) -> _Row:
    """A row on stored pixels as one on the upright picture."""
    stated = row.size
    if stated and turn in orientation.LYING:
        stated = stated[1], stated[0]
    return replace(row, box=orientation.upright_box(row.box, turn, size), size=stated)


def _check_row(row: _Row, size: tuple[int, int] | None, names: tuple[str, ...], problems: Problems) -> None:
    file = row.file
    where = f"line {row.line} ({file})"
    x, y, w, h = row.box
    if row.label not in names:
        problems.add(f"{where}: unknown class {row.label!r}; known are {', '.join(names)}", file)
    if not all(map(np.isfinite, row.box)):
        problems.add(f"{where}: the box {row.box} is not finite", file)
    elif w <= 0 or h <= 0:
        problems.add(f"{where}: the box is {w:g} wide and {h:g} high", file)
    elif max(w, h) < 1:
        problems.add(f"{where}: the box is less than a pixel; is it a share of the picture?", file)
    if size is None:  # the picture could not be read, which has been said
        return
    height, width = size
    if min(x, y) < -SLACK or x + w > width + SLACK or y + h > height + SLACK:
        problems.add(
            f"{where}: the box goes from ({x:g}, {y:g}) to ({x + w:g}, {y + h:g}), "
            f"the picture is {width} wide and {height} high",
            file,
        )
    if row.size and row.size != (width, height):
        stated = f"{row.size[0]:g} x {row.size[1]:g}"
        problems.add(f"{where}: the table says {stated}, the picture is {width} x {height}", file)


# --- masks --------------------------------------------------------------------------------------


def masks_from_folders(
    images_folder: str | Path,
    masks_folder: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    ignore: Iterable[int] = (),
    size: Size = None,
    drawn: Drawn = "",
    skip: bool = False,
) -> LabelledImages:
    """Pictures in one folder, their masks, of the same names, in another.

    Args:
        images_folder: pictures of any format.
        masks_folder: for each `NAME.jpg` there a `NAME.png` (or `NAME_mask.png` and the like), grey or with
            a palette: the grey value, or the number of the palette's colour, is the class.
        class_names: what the values 0, 1, … mean; by default their numbers. A value beyond is an error. Of
            masks that hold only 0 and 255, 255 is the second of two classes.
        ignore: values that nobody shall be judged by, besides 255 (as in PASCAL VOC); they become 255.
        size: pictures and masks are resized to it (a number, or height and width): the pictures
            bilinearly, the masks by nearest neighbour. Needed where they are not all of one size.
        drawn: the labels of photographs that EXIF turns lie on the picture as "shown" or as "stored"; what
            was drawn on stored pixels is turned with them. By default the sizes tell; where they can't, that
            is a problem.
        skip: leave pictures with problems out, with one warning that names them, instead of the error.

    Returns:
        `LabelledImages` in the order of the names, with `mask_names`, `files` and original `sizes`; there
        are no boxes (k is 0).

    Raises:
        FileNotFoundError: no such folder.
        ValueError: naming every picture without a mask and mask without a picture, every wrong size,
            every unknown label and every damaged file.

    Notebook 05.
    """
    first, second = _folder(images_folder), _folder(masks_folder)
    problems = Problems(f"{first} and {second}")
    pairs = mask_files.pairs(first, second, problems)
    pictures, sizes = _pictures(first, list(pairs), size, problems)
    ignored = {IGNORED, *ignore}
    read = {file: mask_files.read(path, file, problems) for file, path in pairs.items()}
    if mask_files.white_is_one({file: mask for file, mask in read.items() if mask is not None}, class_names):
        read = {file: mask if mask is None else (mask > 0).astype(np.uint8) for file, mask in read.items()}
    turns = {file: orientation.of(first / file) for file in pairs}
    called = {file: path.name for file, path in pairs.items()}
    masks = mask_files.turned_along(read, sizes, turns, called, drawn, problems)
    names = mask_files.check_values(masks, class_names, ignored, pairs, problems)
    _check_sizes(sizes, size, problems)
    bad = problems.settle(skip)
    good = [file for file in pairs if file not in bad]
    stack = _stacked({file: pictures[file] for file in good})
    for doubt in mask_files.doubts({file: masks[file] for file in good}, names, ignored):
        warnings.warn(f"{second}: {doubt}", stacklevel=2)
    labels = np.stack([resize_mask(masks[file], stack.shape[1:3]) for file in good])
    labels[np.isin(labels, list(ignored))] = IGNORED
    original = np.array([sizes[file] for file in good])
    return unlabelled(stack, masks=labels, mask_names=names, files=tuple(good), sizes=original)


# --- pictures -----------------------------------------------------------------------------------


def _folder(path: str | Path) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    return folder


def _pictures(
    folder: Path, files: list[str], size: Size, problems: Problems
) -> tuple[dict[str, np.ndarray], dict[str, tuple[int, int]]]:
    """By file: the pictures that can be read as uint8, and their original heights and widths."""
    pictures: dict[str, np.ndarray] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for file in files:
        try:
            picture = images.read(folder / file)
        except (OSError, ValueError) as error:
            problems.add(str(error), file)
            continue
        sizes[file] = picture.shape[0], picture.shape[1]
        pictures[file] = images.to_uint8(picture if size is None else images.resize(picture, size))
    return pictures, sizes


def _check_sizes(sizes: dict[str, tuple[int, int]], size: Size, problems: Problems) -> None:
    bad = {picture for _, picture in problems.found}
    found = {shape for file, shape in sizes.items() if file not in bad}
    if size is None and len(found) > 1:
        low, high = min(found), max(found)
        problems.add(
            f"the pictures have {len(found)} sizes, such as {low[1]} x {low[0]} and {high[1]} x {high[0]}: "
            "say to which they shall be resized, such as size=96"
        )


def _stacked(pictures: dict[str, np.ndarray]) -> np.ndarray:
    if not pictures:
        raise ValueError("no picture is left")
    return np.stack(list(pictures.values()))
