"""`course poster`: one photograph through nine of the notebooks, on one sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from course_utils.cli import _outputs


def register(app: typer.Typer) -> None:
    """Add `course poster`."""
    app.command("poster")(poster)


def poster(
    photo: Annotated[str, typer.Argument(help="A file, an address, or a sample's name such as chelsea.")],
    out: Annotated[Path, typer.Option(help="The sheet: .jpg, .png or .webp.")] = Path("poster.jpg"),
    title: Annotated[str, typer.Option(help="The line at the top.")] = "What a network saw",
    style: Annotated[str, typer.Option(help="The artwork to paint after: a file or one of ours.")] = "",
    size: Annotated[int, typer.Option(min=96, help="Longer side at which the network works.")] = 320,
    steps: Annotated[int, typer.Option(min=1, help="Of painting; a tenth of them of dreaming.")] = 100,
    weights: Annotated[str, typer.Option(help="original, course, or a weight file.")] = "original",
    overwrite: _outputs.Overwrite = False,
) -> None:
    """Take a photograph through all notebooks: named, mapped, clustered, boxed, segmented, painted, dreamt.

    What needs weights that aren't installed is left out, and said.
    """
    from course_utils.cli.stylize import picture
    from course_utils.pictures import images

    out = _outputs.file(out, inputs=[photo], suffixes=tuple(images.FORMATS), overwrite=overwrite)
    image = picture(photo)
    from course_utils import runtime
    from course_utils.cli import poster_parts, poster_sheet
    from course_utils.networks import pretrained

    runtime.start()
    vgg = pretrained.load_vgg16(weights)
    tools = poster_parts.Tools(vgg, size, steps, style or poster_parts.STYLE)
    parts, missing = poster_parts.make(image, tools, say=typer.echo)
    for line in missing:
        typer.echo(line)
    images.save(out, poster_sheet.sheet(image, parts, title))
    typer.echo(pretrained.one_line(vgg, data="your photograph"))
    typer.echo(f"Written to {out}")
