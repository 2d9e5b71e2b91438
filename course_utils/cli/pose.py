"""`course pose`: the joints of a puppet, and its skeleton drawn."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils.cli import _outputs

TABLE = "pose.csv"
COLUMNS = ("file", "joint", "x", "y")


def register(app: typer.Typer) -> None:
    """Add `course pose`."""
    app.command("pose")(pose)


def pose(
    pictures: Annotated[list[str], typer.Argument(help="Files or http(s) addresses.", metavar="PICTURE")],
    weights: Annotated[
        str, typer.Option(help="A shipped name, or weights.npz of `course train parts`.")
    ] = "parts",
    out: Annotated[Path, typer.Option(help=f"Folder for STEM_pose.png and {TABLE}.")] = Path("out/pose"),
    looks: Annotated[int, typer.Option(min=1, max=4, help="2: look again around the joints found.")] = 2,
    overwrite: _outputs.Overwrite = False,
) -> None:
    """Find the eleven joints of a puppet in pictures, and draw its skeleton.

    The head learned from drawn puppets; it never saw a person, and draws a skeleton into anything. pose.csv
    has x and y of each joint in pixels of the picture. A picture that can't be read is named on the way, the
    others are answered, and the exit status is 1.
    """
    stems = _outputs.stems(pictures)
    written = [f"{stem}_pose.png" for stem in stems]
    out = _outputs.folder(out, written, inputs=pictures, overwrite=overwrite)
    _outputs.file(out / TABLE, overwrite=overwrite, first_line=",".join(COLUMNS))
    from course_utils import runtime
    from course_utils.localization import parts
    from course_utils.networks import pretrained

    runtime.start()
    model = parts.load(weights)
    rows: list[tuple[str, ...]] = []
    bad = 0
    for picture, stem in zip(pictures, stems, strict=True):
        found = _one(model, picture, out / f"{stem}_pose.png", looks)
        bad += not found
        rows += found
    _write(out / TABLE, rows)
    good = len(pictures) - bad
    print(pretrained.one_line(model, data=f"{good} picture{'s' * (good != 1)}"))
    if bad:
        print(f"course: {bad} of {len(pictures)} pictures could not be read", file=sys.stderr)
        raise typer.Exit(1)


def _one(model: Any, picture: str, target: Path, looks: int) -> list[tuple[str, ...]]:
    """Answer one picture: its rows; none, with the reason told, if it can't be read."""
    from course_utils.datasets import puppets
    from course_utils.localization import parts
    from course_utils.networks import pretrained
    from course_utils.pictures import images

    try:
        image = images.read(picture)
    except (OSError, ValueError) as error:
        text = f"{error}"
        print(f"course: {text if picture in text else f'{picture}: {text}'}", file=sys.stderr)
        return []
    points = parts.pose(model, [image], looks)[-1][0]
    images.save(target, puppets.with_skeleton(image, points))
    print(f"{picture} -> {target}")
    names = pretrained.about(model).class_names
    return [(picture, name, f"{x:.1f}", f"{y:.1f}") for name, (x, y) in zip(names, points, strict=True)]


def _write(path: Path, rows: list[tuple[str, ...]]) -> None:
    """The table, whole or not there."""
    from course_utils import files

    with files.replacing(path, text=True) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
