"""`course cutouts`: from rough outlines to masks, crops and a sheet to review them on."""

from __future__ import annotations

import glob
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from course_utils.cli import _outputs

if TYPE_CHECKING:
    from course_utils.datasets.outline_files import Drawn

TILE = 320  # pixels of a picture's longer side on the sheet


def register(app: typer.Typer) -> None:
    """Add `course cutouts`."""
    app.command("cutouts")(cutouts)


def cutouts(
    pictures: Annotated[
        Path, typer.Argument(help="Folder with the pictures.", metavar="IMAGES", exists=True, file_okay=False)
    ],
    outlines: Annotated[
        Path, typer.Option(help="JSON file, or a folder of labelme's: file, class, corners.", exists=True)
    ],
    out: Annotated[Path, typer.Option(help="Folder for images/, masks/, crops/ and the sheet.")] = Path(
        "out/cutouts"
    ),
    side: Annotated[
        int, typer.Option(min=64, help="Pictures with a longer side than this are made smaller.")
    ] = 640,
    overwrite: _outputs.Overwrite = False,
) -> None:
    """Refine rough outlines by GrabCut: a mask for each picture, crops of each class, a sheet to review.

    OUT/images and OUT/masks are what `course train fcn` and `course samples` take, OUT/crops what
    `course train classifier` takes, and OUT/classes.txt says what the masks' numbers mean. Look at
    OUT/contact_sheet.jpg first: where a mask is wrong, mend its outline or its "margin", and run this again.
    An outline is {"file": "cat.jpg", "class": "cat", "outline": [[x, y], ...]} in a list.
    """
    make(pictures, outlines, out, side, overwrite)


def make(pictures: Path, outlines: Path, out: Path, side: int, overwrite: bool = False) -> tuple[str, ...]:
    """What the command does; returns the names of the classes, the background first."""
    from course_utils.datasets import outline_files

    drawn = outline_files.read(outlines)
    names = outline_files.classes(drawn)
    by_file = _by_file(pictures, drawn)
    written = [f"{part}/{Path(name).stem}.png" for name in by_file for part in ("images", "masks")]
    out = _outputs.folder(out, [*written, "contact_sheet.jpg"], overwrite=overwrite)
    read = _read(pictures, by_file, side)
    _write(out, read, by_file, names)
    print(f"{out / 'contact_sheet.jpg'}: look at the masks of {len(read)} pictures before you go on")
    return names


def _by_file(folder: Path, drawn: Sequence[Drawn]) -> dict[str, list[Drawn]]:
    """Picture -> its outlines; what is missing, or called alike, is told at once."""
    from course_utils.datasets.problems import Problems

    problems = Problems(str(folder))
    found: dict[str, list[Drawn]] = {}
    for each in drawn:
        found.setdefault(each.file, []).append(each)
    stems: dict[str, str] = {}
    for file in found:
        if not (folder / file).is_file():
            problems.add(f"{file}: no such picture")
        if stems.setdefault(Path(file).stem, file) != file:
            problems.add(f"{file} and {stems[Path(file).stem]}: their masks would have the same name")
    problems.settle()
    return found


def _read(folder: Path, by_file: dict[str, list[Drawn]], side: int) -> dict[str, tuple[Any, float]]:
    """The pictures, no longer than `side`, and their scale; each outline is tried for its place."""
    from course_utils.datasets import cutouts
    from course_utils.datasets.problems import Problems
    from course_utils.pictures import images

    problems, found = Problems(str(folder)), {}
    for file, drawn in by_file.items():
        try:
            picture = images.read(folder / file)
            for corners in (part for each in drawn for part in (each.outline, *each.holes)):
                cutouts.check(corners, picture.shape[:2])
        except (OSError, ValueError) as error:
            problems.add(f"{file}: {error}")
            continue
        scale = min(1.0, side / max(picture.shape[:2]))
        found[file] = (images.to_uint8(images.fit(picture, side) if scale < 1 else picture), scale)
    problems.settle()
    return found


def _write(
    out: Path,
    read: dict[str, tuple[Any, float]],
    by_file: dict[str, list[Drawn]],
    names: tuple[str, ...],
) -> None:
    """Masks, pictures, crops and the sheet; a line for each picture, with the time left."""
    import numpy as np

    from course_utils import files, segmentation
    from course_utils.datasets import outline_files
    from course_utils.datasets.contact_sheet import sheet
    from course_utils.pictures import images

    tiles, began = [], time.monotonic()
    for number, (file, (picture, scale)) in enumerate(read.items(), start=1):
        stem, mask = Path(file).stem, outline_files.mask(picture, by_file[file], names, scale)
        images.save(out / "images" / f"{stem}.png", picture)
        segmentation.write_mask(out / "masks" / f"{stem}.png", mask, names)
        write_crops(out / "crops", stem, picture, mask, names)
        seen = segmentation.overlay(picture, mask, names)
        tiles.append(images.to_uint8(images.fit(_outlined(seen, by_file[file], scale), TILE)))
        left = (time.monotonic() - began) / number * (len(read) - number)
        shares = ", ".join(f"{names[c]} {(mask == c).mean():.0%}" for c in np.unique(mask) if c)
        print(f"{number}/{len(read)} {file}: {shares or 'nothing found'}  about {left:.0f} s left")
    images.save(out / "contact_sheet.jpg", sheet(tiles, 4))
    with files.replacing(out / "classes.txt", text=True) as text:
        text.write("\n".join(names) + "\n")


def write_crops(out: Path, stem: str, picture: Any, mask: Any, names: Sequence[str]) -> None:
    """The crops of a picture, each in the folder of its class, in place of those of an earlier run."""
    import numpy as np

    from course_utils.datasets.crops import crops
    from course_utils.pictures import images

    for old in out.glob(f"*/{glob.escape(stem)}_*.png"):
        if images.made_here(old):
            old.unlink()
    rng = np.random.default_rng(0)
    for number, (label, crop) in enumerate(crops(picture, mask, rng)):
        images.save(out / names[label] / f"{stem}_{number}.png", crop)


def _outlined(picture: Any, drawn: Sequence[Drawn], scale: float) -> Any:
    """The picture with its rough outlines as white lines."""
    import numpy as np
    from PIL import Image, ImageDraw

    seen = Image.fromarray(picture)
    pen = ImageDraw.Draw(seen)
    for each in drawn:
        for corners in (each.outline, *each.holes):
            around = [tuple(map(float, xy)) for xy in np.vstack([corners, corners[:1]]) * scale]
            pen.line(around, fill="white", width=2)
    return np.asarray(seen)
