"""`course localize`: what is in your pictures, and where."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils.cli import _outputs

COLUMNS = ("file", "class", "score", "x", "y", "w", "h")
TOGETHER = 16  # pictures in memory at once
SHIPPED = "boxes"  # knows airplane, face, motorcycle
Row = tuple[str, ...]


def register(app: typer.Typer) -> None:
    """Add `course localize`."""
    app.command("localize")(localize)


def localize(
    folder: Annotated[Path, typer.Argument(help="Pictures of one object each; also in folders below.")],
    csv_file: Annotated[Path, typer.Option("--csv", help=f"Write {', '.join(COLUMNS)} to this file.")],
    weights: Annotated[
        Path, typer.Option(help="A shipped name, or weights.npz of `course train`.", dir_okay=False)
    ] = Path(SHIPPED),
    looks: Annotated[int, typer.Option(min=1, max=4, help="2: look again at the box found.")] = 2,
    mirror: Annotated[bool, typer.Option(help="Look at each mirrored, too.")] = True,
    overwrite: _outputs.Overwrite = False,
) -> None:
    """Name the one object in each picture and box it: x, y, w, h in pixels of the picture as it is.

    A picture that can't be read is named on the way, the others are answered, and the exit status is 1.
    """
    files = pictures_in(folder)
    csv_file = _outputs.file(csv_file, overwrite=overwrite, option="--csv", first_line=",".join(COLUMNS))
    from course_utils import runtime
    from course_utils.localization import regression
    from course_utils.networks import pretrained

    runtime.start()
    model = regression.load(weights)
    rows, bad = [], 0
    for answer in _answers(model, folder, files, looks, mirror):
        if isinstance(answer, Exception):
            print(f"course: {answer}", file=sys.stderr)
            bad += 1
        else:
            rows.append(answer)
    write(csv_file, rows)
    print(pretrained.one_line(model, data=f"{len(rows)} picture{'s' * (len(rows) != 1)}"))
    print(f"{csv_file}: {len(rows)} boxes")
    if bad:
        print(f"course: {bad} of {len(files)} pictures could not be read", file=sys.stderr)
        raise typer.Exit(1)


def pictures_in(folder: Path) -> list[str]:
    """The pictures of a folder and the folders in it, as paths below it, in order.

    Raises:
        FileNotFoundError: no such folder. ValueError: there is no picture in it.
    """
    from course_utils.pictures import images

    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in images.SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)  # thumbnails and such
    )
    if not found:
        raise ValueError(f"{folder} holds no pictures ({', '.join(images.SUFFIXES)})")
    return [path.relative_to(folder).as_posix() for path in found]


def _answers(
    model: Any, folder: Path, files: Sequence[str], looks: int, mirror: bool
) -> Iterator[Row | Exception]:
    """One row for each picture, or the reason why there is none, a few pictures at a time."""
    from course_utils.localization import regression
    from course_utils.networks import pretrained
    from course_utils.pictures import images

    names = pretrained.about(model).class_names
    for start in range(0, len(files), TOGETHER):
        good, read = [], []
        for file in files[start : start + TOGETHER]:
            try:
                read.append(images.read(folder / file))
                good.append(file)
            except (OSError, ValueError) as error:
                yield error
        if not good:
            continue
        found = regression.locate(model, read, looks=looks, mirror=mirror)
        for file, label, score, box in zip(good, found.classes, found.scores, found.boxes, strict=True):
            yield (file, names[label], f"{score:.4f}", *(f"{value:.1f}" for value in box))


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write the answers as CSV; the file is whole or not there."""
    from course_utils import files

    with files.replacing(path, text=True) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
