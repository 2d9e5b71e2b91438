"""`course classify`: what the network sees in your pictures."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from course_utils.cli import _outputs

if TYPE_CHECKING:
    from course_utils.networks.pretrained import Prediction

COLUMNS = ("file", "rank", "wnid", "class", "probability")
TOGETHER = 16  # pictures in memory at once
Answer = tuple[str, list["Prediction"] | Exception]


def register(app: typer.Typer) -> None:
    """Add `course classify`."""
    app.command("classify")(classify)


def classify(
    pictures: Annotated[list[str], typer.Argument(help="Files or http(s) addresses.", metavar="PICTURE")],
    top: Annotated[int, typer.Option(min=1, help="How many guesses for each picture.")] = 5,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help=f"Write {', '.join(COLUMNS)} to this file.")
    ] = None,
    weights: Annotated[
        str,
        typer.Option(help="original, imagenet (if fetched), auto (the better of both), course, or a file."),
    ] = "auto",
    how: Annotated[
        str, typer.Option(help="crop: the square in the middle; squash: all of it, squeezed.")
    ] = "crop",
    overwrite: _outputs.Overwrite = False,
) -> None:
    """Name what is in pictures, with VGG-16.

    A picture that can't be read is named on the way, the others are answered, and the exit status is 1.
    """
    if csv_file:
        line = ",".join(COLUMNS)
        csv_file = _outputs.file(
            csv_file, inputs=pictures, overwrite=overwrite, option="--csv", first_line=line
        )
    if how not in ("crop", "squash"):
        raise ValueError(f"--how {how}: crop and squash exist")
    from course_utils import runtime
    from course_utils.networks import pretrained

    runtime.start()
    model = pretrained.load_vgg16(weights)
    answers = []
    for answer in _answers(model, pictures, top, how):
        answers.append(answer)
        _tell(*answer)
    bad = sum(isinstance(found, Exception) for _, found in answers)
    good = len(answers) - bad
    print(pretrained.one_line(model, data=f"{good} picture{'s' * (good != 1)}"))
    if csv_file:
        write(csv_file, answers)
    if bad:
        print(f"course: {bad} of {len(answers)} pictures could not be read", file=sys.stderr)
        raise typer.Exit(1)


def _answers(model: Any, names: Sequence[str], top: int, how: str) -> Iterator[Answer]:
    """Each picture's guesses, or the reason why there are none, a few pictures at a time."""
    from course_utils.networks import pretrained
    from course_utils.pictures import images

    for start in range(0, len(names), TOGETHER):
        some = names[start : start + TOGETHER]
        read: dict[int, Any] = {}
        for i, name in enumerate(some):
            try:
                read[i] = images.read(name)
            except (OSError, ValueError) as error:
                read[i] = error
        good = [i for i, each in read.items() if not isinstance(each, Exception)]
        guesses = pretrained.classify(model, [read[i] for i in good], top, how)  # type: ignore[arg-type]
        read |= dict(zip(good, guesses, strict=True))
        yield from ((name, read[i]) for i, name in enumerate(some))


def _tell(name: str, found: list[Prediction] | Exception) -> None:
    if isinstance(found, Exception):
        print(f"course: {found}", file=sys.stderr)  # it names the picture
        return
    print(name)
    for guess in found:
        print(f"  {guess.probability:6.1%}  {guess.name}")


def write(path: Path, answers: Sequence[Answer]) -> None:
    """Write the guesses as CSV; the file is whole or not there."""
    from course_utils import files

    with files.replacing(path, text=True) as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for name, found in answers:
            if not isinstance(found, Exception):
                rows.writerows(
                    (name, each.rank, each.wnid, each.name, f"{each.probability:.6f}") for each in found
                )
