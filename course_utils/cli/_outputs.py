"""Where a command writes: all that can be refused is refused before any work, and nobody's file is lost.

A command may write over what the course itself wrote before (`images.made_here` knows its pictures, the
first line knows its tables). Over anything else only with `--overwrite`, and over its own input never.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Write over files that the course did not make.")
]
LONGEST = 240  # bytes of a file's name; Linux and Windows end at 255, and a part file needs some of them
LEAST_FREE_MB = 20
RUN_FILES = ("weights.npz", "card.json", "history.csv", "best.npz")  # what a training leaves in its folder


def file(
    out: Path,
    *,
    inputs: Iterable[str | Path] = (),
    suffixes: Sequence[str] = (),
    overwrite: bool = False,
    option: str = "--out",
    first_line: str = "",
) -> Path:
    """Check a file that a command is about to write; returns its path without `~`.

    Args:
        inputs: what the command reads (files or addresses); none of them is ever written over.
        suffixes: those that name a format, such as (".png", ".jpg"); empty for any.
        overwrite: allow a file there that the course did not make.
        option: how the reader calls it, for the message.
        first_line: what a table of ours begins with; a file with this line may be replaced.

    Raises:
        ValueError: the suffix, the length of the name, an input of that name.
        OSError: a folder of that name, a file that is not ours, no folder that can be written, a full disk.
    """
    target = out.expanduser()
    if suffixes and target.suffix.lower() not in suffixes:
        raise ValueError(f"{option} {out}: name it {', '.join(suffixes)}, so that the format is clear")
    if len(os.fsencode(target.name)) > LONGEST:
        raise ValueError(
            f"{option}: the name has {len(target.name)} letters; at most {LONGEST} bytes will do"
        )
    if target.is_dir():
        raise IsADirectoryError(f"{option} {out} is a folder; give the name of a file")
    _roomy(target.parent, option, out)
    if not target.exists():
        return target
    if any(_same(target, each) for each in inputs):
        raise ValueError(f"{option} {out} is the picture that is read; choose another name or folder")
    if not overwrite and not _ours(target, first_line):
        raise FileExistsError(
            f"{option} {out} is there already, and not made by this course: choose another name, "
            "or allow it with --overwrite"
        )
    return target


def folder(
    out: Path, names: Iterable[str], *, inputs: Iterable[str | Path] = (), overwrite: bool = False
) -> Path:
    """Check a folder in which a command is about to write files of these names; returns its path without `~`.

    Raises:
        as `file`, for each of the names. NotADirectoryError: `out` is a file.
    """
    target, inputs = out.expanduser(), list(inputs)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"--out {out} is a file; give the name of a folder")
    for name in names:
        file(target / name, inputs=inputs, overwrite=overwrite)
    return target


def stems(pictures: Sequence[str]) -> list[str]:
    """What answers are named after: the pictures without folder and suffix.

    Raises:
        ValueError: two of them are called alike.
    """
    found = [Path(picture.split("?")[0].rstrip("/")).stem or "picture" for picture in pictures]
    twice = sorted(stem for stem, n in Counter(found).items() if n > 1)
    if twice:
        raise ValueError(f"several pictures are called {twice[0]}: their answers would overwrite each other")
    return found


def run(out: Path) -> Path:
    """Check the folder of a training; returns its path without `~`.

    Raises:
        OSError: it is a file, can't be written or is full; or it holds files that no training has left there.
    """
    target = out.expanduser()
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"--out {out} is a file; give the name of a folder")
    _roomy(target, "--out", out)
    for name in () if (target / "state").is_dir() else RUN_FILES:
        if (target / name).exists():
            raise FileExistsError(
                f"--out {out}: {name} is there already, and no training has left it; choose another folder"
            )
    return target


def _roomy(place: Path, option: str, out: Path) -> None:
    """Refuse a place that can't be made, written to, or is full."""
    above = place.resolve()
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise NotADirectoryError(f"{option} {out}: {above} is a file, not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(f"{option} {out}: {above} can't be written to; choose another folder")
    free = shutil.disk_usage(above).free / 1e6
    if free < LEAST_FREE_MB:
        raise OSError(
            f"{option} {out}: {free:.0f} MB are free in {above}; make room or choose another folder"
        )


def _same(target: Path, source: str | Path) -> bool:
    """Whether a command's input is this very file, by whatever path."""
    other = Path(source)
    try:
        return other.exists() and other.samefile(target)
    except (OSError, ValueError):  # an address, or a name that no file can have
        return False


def _ours(path: Path, first_line: str) -> bool:
    """Whether the course wrote a file."""
    if first_line:
        with path.open("rb") as content:
            return content.readline().strip() == first_line.encode()
    from course_utils.pictures import images

    return images.made_here(path)
