"""`course chain`: from pictures and outlines to a network that segments, in one go, with a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils.cli import _chain_report, _outputs, convert, cutouts, samples, segment
from course_utils.cli.train import class_list

STEPS = ("cutouts", "train classifier", "convert", "train fcn", "segment", "samples")


@dataclass(frozen=True)
class Source:
    """What a folder brings.

    Attributes:
        images: folder of pictures; masks: of their masks, or None.
        outlines: file or folder of outlines, where there are no masks.
        new: pictures to segment at the end.
        names: of the classes, where a file says them.
    """

    images: Path
    masks: Path | None
    outlines: Path | None
    new: list[Path]
    names: list[str] | None


@dataclass(frozen=True)
class Settings:
    """How long and how large; see the command's options."""

    size: int = 160
    epochs: int = 40
    steps: int = 100
    seeds: int = 3
    backbone: str = "original"
    ignore: tuple[int, ...] = ()


def register(app: typer.Typer) -> None:
    """Add `course chain`."""
    app.command("chain")(chain)


def chain(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Holds images/ and outlines.json (or outlines/, or masks/); new/ to segment.",
            metavar="DIR",
            exists=True,
            file_okay=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for all that is made; new or empty.")] = Path("out/chain"),
    size: Annotated[int, typer.Option(min=64, help="Pictures are looked at as squares of this side.")] = 160,
    epochs: Annotated[int, typer.Option(min=1, help="Of training the FCN.")] = 40,
    steps: Annotated[int, typer.Option(min=1, help="Of each training that compares samples.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each set of samples.")] = 3,
    ignore: Annotated[list[int] | None, typer.Option(help="A label of masks/ that is not judged.")] = None,
) -> None:
    """Cut out, classify, convert, train, segment, compare samples: the whole chain, and OUT/report.html.

    Runs `course cutouts`, `course train classifier`, `course convert`, `course train fcn`, `course segment`
    and `course samples` one after the other, each as it would run by itself with its defaults. With masks
    instead of outlines the first is left out. Masks' numbers are named by DIR/classes.txt, one a line.
    Twelve pictures took eight minutes of one core's time.
    """
    settings = Settings(size, epochs, steps, seeds, ignore=tuple(ignore or ()))
    run(look(folder), fresh(out), settings)


def look(folder: Path) -> Source:
    """What is there to work with.

    Raises:
        FileNotFoundError: there are no pictures, or neither outlines nor masks.
    """
    from course_utils.pictures import images

    places = {name: folder / name for name in ("images", "masks", "outlines", "new")}
    if not places["images"].is_dir():
        raise FileNotFoundError(f"{folder} holds no folder images")
    masks = places["masks"] if places["masks"].is_dir() else None
    drawn = [each for each in (folder / "outlines.json", places["outlines"]) if each.exists()]
    if masks is None and not drawn:
        raise FileNotFoundError(f"{folder}: neither outlines.json, nor a folder outlines or masks")
    new = sorted(each for each in places["new"].glob("*") if each.suffix.lower() in images.SUFFIXES)
    names = class_list(str(folder / "classes.txt")) if (folder / "classes.txt").is_file() else None
    return Source(places["images"], masks, None if masks else drawn[0], new, names)


def fresh(out: Path) -> Path:
    """The folder, if it is new or empty: what an earlier run left would be mixed in."""
    target = out.expanduser()
    if target.is_dir() and any(target.iterdir()):
        raise FileExistsError(f"--out {out} holds something already: choose another folder, or empty it")
    return _outputs.folder(out, ["report.html"])


def run(source: Source, out: Path, settings: Settings) -> Path:
    """All steps; returns the report."""
    report = _chain_report.Report(out)
    for number, name in enumerate(STEPS, start=1):
        print(f"\n{number}/{len(STEPS)}  course {name}")
        source = _STEP[name](source, out, settings, report)
    path = report.write()
    print(f"\n{path}: open it in a browser")
    return path


# --- the steps: each takes what is known, does its part, and returns what is known then ------------------


def _cutouts(source: Source, out: Path, settings: Settings, report: Any) -> Source:
    if source.outlines is None:
        names = _crops_of_masks(source, out / "crops", settings)
        print("There are masks already; only the crops are cut.")
        return Source(source.images, source.masks, None, source.new, list(names))
    names = cutouts.make(source.images, source.outlines, out / "cutouts", side=640)
    (out / "cutouts" / "crops").rename(out / "crops")
    report.cutouts(out / "cutouts" / "contact_sheet.jpg", names)
    made = out / "cutouts"
    return Source(made / "images", made / "masks", None, source.new, list(names))


def _crops_of_masks(source: Source, out: Path, settings: Settings) -> tuple[str, ...]:
    """Cut crops of each class from pictures that have masks."""
    from course_utils.datasets import masks_from_folders

    assert source.masks
    known: Any = {"class_names": source.names, "ignore": settings.ignore, "size": 2 * settings.size}
    read = masks_from_folders(source.images, source.masks, **known)
    for file, picture, mask in zip(read.files, read.images, read.masks, strict=True):
        cutouts.write_crops(out, Path(file).stem, picture, mask, read.mask_names)
    return read.mask_names


def _classifier(source: Source, out: Path, settings: Settings, report: Any) -> Source:
    from course_utils.training.classifier import Classifier, Recipe

    card = Classifier(Recipe(), out / "crops").run(out / "classifier")
    report.classifier(card)
    return source


def _convert(source: Source, out: Path, settings: Settings, report: Any) -> Source:
    from course_utils.networks import weight_files
    from course_utils.pictures import images

    converted = convert.make(out / "classifier" / "classifier.keras", out / "convolutional.keras")
    card = weight_files.card(out / "classifier" / "weights.npz")
    first = images.read(sorted(each for each in source.images.iterdir() if not each.name.startswith("."))[0])
    report.heat_maps(converted, first, card)
    return source


def _fcn(source: Source, out: Path, settings: Settings, report: Any) -> Source:
    from course_utils.training.fcn import Fcn, Recipe, from_folders

    assert source.masks
    pair, size = (source.images, source.masks), settings.size
    named: Any = {"class_names": source.names, "ignore": settings.ignore, "name": "your pictures"}
    known = from_folders(pair, size=size, **named)
    frozen: Any = {"backbone": settings.backbone, "frozen": 5, "batch": 4, "rate": 3e-4, "patches": 4000}
    recipe = Recipe(epochs=settings.epochs, crop=size, **frozen)
    report.fcn(Fcn(recipe, known).run(out / "fcn"))
    return source


def _segment(source: Source, out: Path, settings: Settings, report: Any) -> Source:
    from course_utils.networks import weight_files
    from course_utils.pictures import images

    asked = source.new or sorted(p for p in source.images.iterdir() if p.suffix.lower() in images.SUFFIXES)
    typed, weights = [str(each) for each in asked], str(out / "fcn" / "weights.npz")
    segment.segment(typed, weights, out / "segmented", smooth="none", limit_mb=1500.0, overwrite=False)
    names = weight_files.card(out / "fcn" / "weights.npz")["class_names"]
    report.segmented(sorted((out / "segmented").glob("*_overlay.jpg")), names, bool(source.new))
    return source


def _samples(source: Source, out: Path, settings: Settings, report: Any) -> Source:
    assert source.masks
    plan = {"steps": settings.steps, "seeds": tuple(range(settings.seeds))}
    folders = (source.images, source.masks)
    found = samples.make(folders, out / "samples", source.names, settings.ignore, settings.size, plan)
    report.samples(out / "samples" / "samples.png", found)
    return source


_STEP = dict(zip(STEPS, (_cutouts, _classifier, _convert, _fcn, _segment, _samples), strict=True))
