"""`course segment`: a class for every pixel of your pictures."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from course_utils.cli import _outputs
from course_utils.cli.run import progress


def register(app: typer.Typer) -> None:
    """Add `course segment`."""
    app.command("segment")(segment)


def segment(
    pictures: Annotated[list[str], typer.Argument(help="Files or http(s) addresses.", metavar="PICTURE")],
    weights: Annotated[
        str,
        typer.Option(
            help="weights.npz of `course train fcn`, a .caffemodel of FCN, or the name of weights that ship."
        ),
    ] = "streets",
    out: Annotated[Path, typer.Option(help="Folder for STEM.png and STEM_overlay.jpg.")] = Path(
        "out/segment"
    ),
    smooth: Annotated[str, typer.Option(help="none, superpixels or guided.")] = "none",
    limit_mb: Annotated[
        float, typer.Option(min=50, help="Cut a picture into tiles where its maps would need more.")
    ] = 1500.0,
    overwrite: _outputs.Overwrite = False,
) -> None:
    """Label every pixel of pictures with an FCN.

    Writes STEM.png, as large as the picture, whose pixels are class numbers (a palette PNG), and
    STEM_overlay.jpg to look at. A picture that can't be read is named on the way, the others are answered,
    and the exit status is 1.
    """
    stems = _outputs.stems(pictures)
    written = [name for stem in stems for name in (f"{stem}.png", f"{stem}_overlay.jpg")]
    out = _outputs.folder(out, written, inputs=pictures, overwrite=overwrite)
    from course_utils import runtime, segmentation
    from course_utils.networks import pretrained

    runtime.start()
    if smooth not in segmentation.answers.SMOOTHINGS:
        raise ValueError(f"--smooth {smooth}: there are {', '.join(segmentation.answers.SMOOTHINGS)}")
    model = segmentation.load(weights)
    bad = 0
    for picture, stem in zip(pictures, stems, strict=True):
        bad += not _one(model, picture, out / stem, smooth, limit_mb)
    good = len(pictures) - bad
    print(pretrained.one_line(model, data=f"{good} picture{'s' * (good != 1)}"))
    if bad:
        print(f"course: {bad} of {len(pictures)} pictures could not be read", file=sys.stderr)
        raise typer.Exit(1)


def _one(model: Any, picture: str, target: Path, smooth: str, limit_mb: float) -> bool:
    """Answer one picture; False, with the reason told, if it can't be read."""
    from course_utils import segmentation
    from course_utils.pictures import images

    try:
        image = images.read(picture)
    except (OSError, ValueError) as error:
        text = f"{error}"
        print(f"course: {text if picture in text else f'{picture}: {text}'}", file=sys.stderr)
        return False
    with progress(picture) as on_tile:
        labels = segmentation.label_map(model, image, smooth, limit_mb, on_tile)
    path = segmentation.write_mask(target.with_name(f"{target.name}.png"), labels, _names(model))
    laid_over = segmentation.overlay(image, labels, _names(model))
    images.save(target.with_name(f"{target.name}_overlay.jpg"), laid_over)
    told = Text(f"{picture} -> {path}  ").append_text(_shares(labels, _names(model)))
    Console(highlight=False).print(told, soft_wrap=True)
    return True


def _names(model: Any) -> tuple[str, ...]:
    from course_utils.networks import pretrained

    return pretrained.about(model).class_names or tuple(f"class {i}" for i in range(model.output_shape[-1]))


def _shares(labels: Any, names: tuple[str, ...], most: int = 4) -> Text:
    """The most frequent classes, in percent of the picture; on a terminal in the overlay's colours."""
    from course_utils.pictures.palette import mask_palette

    told, colours = Text(), mask_palette(names)
    for c, n in Counter(labels.ravel().tolist()).most_common(most):
        told.append(", " if told else "").append("■ ", "rgb({},{},{})".format(*colours[c]))
        told.append(f"{names[c]} {n / labels.size:.0%}")
    return told
