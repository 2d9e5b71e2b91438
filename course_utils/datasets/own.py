"""A reader's own pictures: with a table of boxes, or with a folder of masks. Notebooks 04 and 05.

Everything that is wrong with the files is told at once, line by line, not one thing a run.
"""

from __future__ import annotations

import csv
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from course_utils.datasets.labelled import IGNORED, LabelledImages, unlabelled
from course_utils.pictures import images
from course_utils.pictures.resampling import resize_mask

SHOWN = 25  # problems in one message
SLACK = 1.0  # pixels by which a hand-drawn box may leave its picture; it is clipped

Size = int | tuple[int, int] | None


class _Problems:
    """What is wrong, gathered, to be told in one error or one warning."""

    def __init__(self, about: str) -> None:
        self.about = about
        self.found: list[tuple[str, str | None]] = []

    def add(self, text: str, picture: str | None = None) -> None:
        """Note a problem; with one of no single picture nothing can be done without it."""
        self.found.append((text, picture))

    def settle(self, skip: bool = False) -> set[str]:
        """Raise an error that tells all, or warn and return the pictures to leave out."""
        if not self.found:
            return set()
        more = len(self.found) - SHOWN
        lines = [text for text, _ in self.found[:SHOWN]] + ([f"and {more} more"] if more > 0 else [])
        count = "1 problem" if len(self.found) == 1 else f"{len(self.found)} problems"
        message = f"{self.about}: {count}\n" + "\n".join(f"  {line}" for line in lines)
        pictures = {picture for _, picture in self.found if picture is not None}
        if not skip or any(picture is None for _, picture in self.found):
            raise ValueError(
                message + ("" if skip else "\nskip=True leaves these pictures out" * bool(pictures))
            )
        warnings.warn(f"left out {len(pictures)} of the pictures. {message}", stacklevel=3)
        return pictures


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
        skip: leave pictures with problems out, with one warning that names them, instead of the error.

    Returns:
        `LabelledImages` with the pictures in the order of the table, `files` and original `sizes`; masks
        are all ignored, key points empty.

    Raises:
        FileNotFoundError: no such folder or table.
        ValueError: naming every missing or damaged picture, every box that is empty or reaches out of its
            picture, every unknown class and every line that can't be read.

    Notebook 04.
    """
    folder, table = _folder(folder), Path(csv_file)
    if not table.is_file():
        raise FileNotFoundError(f"no file {table}")
    problems = _Problems(str(table))
    rows = _rows(folder, table, problems)
    names = tuple(class_names) if class_names is not None else tuple(sorted({row.label for row in rows}))
    by_file: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        by_file[row.file].append(row)
    pictures, sizes = _pictures(folder, list(by_file), size, problems)
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


def _rows(folder: Path, table: Path, problems: _Problems) -> list[_Row]:
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


def _row(
    folder: Path, line: int, cells: list[str], heads: dict[str, int], problems: _Problems
) -> _Row | None:
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


def _check_row(row: _Row, size: tuple[int, int] | None, names: tuple[str, ...], problems: _Problems) -> None:
    file = row.file
    where = f"line {row.line} ({file})"
    x, y, w, h = row.box
    if row.label not in names:
        problems.add(f"{where}: unknown class {row.label!r}; known are {', '.join(names)}", file)
    if not all(map(np.isfinite, row.box)):
        problems.add(f"{where}: the box {row.box} is not finite", file)
    elif w <= 0 or h <= 0:
        problems.add(f"{where}: the box is {w:g} wide and {h:g} high", file)
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
    skip: bool = False,
) -> LabelledImages:
    """Pictures in one folder, their masks, of the same names, in another.

    Args:
        images_folder: pictures of any format.
        masks_folder: for each `NAME.jpg` there a `NAME.png`, grey or with a palette: the grey value, or
            the number of the palette's colour, is the class.
        class_names: what the values 0, 1, … mean; by default their numbers. A value beyond is an error.
        ignore: values that nobody shall be judged by, besides 255 (as in PASCAL VOC); they become 255.
        size: pictures and masks are resized to it (a number, or height and width): the pictures
            bilinearly, the masks by nearest neighbour. Needed where they are not all of one size.
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
    problems = _Problems(f"{first} and {second}")
    pairs = _pairs(first, second, problems)
    pictures, sizes = _pictures(first, list(pairs), size, problems)
    ignored = {IGNORED, *ignore}
    masks = {file: _mask(path, file, sizes.get(file), problems) for file, path in pairs.items()}
    values = {file: sorted(set(np.unique(mask).tolist()) - ignored) for file, mask in masks.items()}
    names = tuple(class_names) if class_names is not None else _numbers(values)
    for file, found in values.items():
        if unknown := [str(value) for value in found if value >= len(names)]:
            problems.add(
                f"{pairs[file].name}: unknown labels {', '.join(unknown)}; known are 0 to {len(names) - 1}",
                file,
            )
    if names == ("0",) and any((mask == IGNORED).any() for mask in masks.values()):
        problems.add("the masks hold only 0 and 255, and 255 means ignored: save the object's pixels as 1")
    _check_sizes(sizes, size, problems)
    bad = problems.settle(skip)
    good = [file for file in pairs if file not in bad]
    stack = _stacked({file: pictures[file] for file in good})
    labels = np.stack([resize_mask(masks[file], stack.shape[1:3]) for file in good])
    labels[np.isin(labels, list(ignored))] = IGNORED
    original = np.array([sizes[file] for file in good])
    return unlabelled(stack, masks=labels, mask_names=names, files=tuple(good), sizes=original)


def _numbers(values: dict[str, list[int]]) -> tuple[str, ...]:
    largest = max((found[-1] for found in values.values() if found), default=0)
    return tuple(str(i) for i in range(largest + 1))


def _pairs(first: Path, second: Path, problems: _Problems) -> dict[str, Path]:
    """For each picture's file name the mask of the same stem, in order."""
    pictures, masks = _by_stem(first, problems), _by_stem(second, problems)
    for stem in sorted(set(pictures) - set(masks)):
        problems.add(f"{pictures[stem].name}: no mask {stem}.png in {second}", pictures[stem].name)
    for stem in sorted(set(masks) - set(pictures)):
        problems.add(f"{masks[stem].name}: a mask without a picture in {first}", masks[stem].name)
    pairs = {pictures[stem].name: masks[stem] for stem in sorted(set(pictures) & set(masks))}
    if not pairs:
        problems.found.insert(0, ("no picture has a mask of its name", None))
        problems.settle()
    return pairs


def _by_stem(folder: Path, problems: _Problems) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in images.SUFFIXES:
            continue
        if path.stem in found:
            problems.add(f"{path.name}: there is {found[path.stem].name} already", path.name)
        found.setdefault(path.stem, path)
    return found


def _mask(path: Path, file: str, size: tuple[int, int] | None, problems: _Problems) -> np.ndarray:
    """A mask's labels, uint8 (H, W); one all ignored where it can't be used, with the reason noted."""
    nothing = np.full((1, 1), IGNORED, np.uint8)
    try:
        with Image.open(path) as picture:
            form, mode = picture.format, picture.mode
            array = np.asarray(picture)
    except (OSError, ValueError, SyntaxError) as error:
        problems.add(f"{path.name}: can't be read ({error})", file)
        return nothing
    if array.ndim == 3 and (array[..., :1] == array[..., : len(mode.rstrip("Aa"))]).all():
        array = array[..., 0]  # a grey picture saved in colour
    if form == "JPEG":
        reason = "a JPEG, whose compression changes labels; save masks as PNG"
    elif array.ndim != 2:
        reason = "holds colours, not class numbers; save it as a grey or palette PNG"
    elif size and array.shape != size:
        reason = f"the mask is {array.shape[1]} x {array.shape[0]}, its picture {size[1]} x {size[0]}"
    elif array.max(initial=0) > 255 or array.min(initial=0) < 0:
        reason = f"labels from {array.min()} to {array.max()}; they must be 0 to 255"
    else:
        return array.astype(np.uint8)
    problems.add(f"{path.name}: {reason}", file)
    return nothing


# --- pictures -----------------------------------------------------------------------------------


def _folder(path: str | Path) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    return folder


def _pictures(
    folder: Path, files: list[str], size: Size, problems: _Problems
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


def _check_sizes(sizes: dict[str, tuple[int, int]], size: Size, problems: _Problems) -> None:
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
