"""`course colourize`: give colour to grey photographs and films."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils.cli import _outputs


def register(app: typer.Typer) -> None:
    """Add `course colourize`."""
    app.command("colourize")(colourize)


def colourize(
    sources: Annotated[
        list[str],
        typer.Argument(help="Photographs (files or http(s) addresses), or one film.", metavar="PICTURE…"),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for STEM.png; for a film the file to write: .mp4, .avi, .webm, .mkv.")
    ] = Path("out/colourize"),
    vivid: Annotated[
        bool, typer.Option("--vivid", help="Rare colours count more: livelier, riskier.")
    ] = False,
    temperature: Annotated[
        float, typer.Option(min=0.01, max=5, help="Of --vivid: lower is livelier.")
    ] = 0.38,
    hints: Annotated[
        list[str] | None,
        typer.Option(help="ROW,COLUMN,COLOUR: shares 0..1 and #rrggbb or a name. Can be repeated."),
    ] = None,
    side: Annotated[
        int, typer.Option(min=64, max=1024, help="Longer side at which the network looks.")
    ] = 224,
    keep: Annotated[
        float,
        typer.Option(min=0, max=0.99, help="Film: share of the colour carried along; 0: each frame anew."),
    ] = 0.92,
    weights: Annotated[
        str, typer.Option(help="colours, or weights.npz of `course train colour`.")
    ] = "colours",
    overwrite: _outputs.Overwrite = False,
) -> None:
    """Give colour to grey photographs, or to a film.

    Photographs keep their size and their lightness. A picture that can't be read is named on the way, the
    others are coloured, and the exit status is 1. A film that was stopped goes on with the same command.
    """
    from course_utils.colour import hints as hinting

    wanted = [hinting.parse(text) for text in hints or []]
    options = {
        "way": "vivid" if vivid else "careful",
        "temperature": temperature,
        "hints": wanted,
        "side": side,
    }
    if out.suffix.lower() in _suffixes():
        if len(sources) > 1:
            raise ValueError(f"--out {out} is one film, but {len(sources)} are given: colour one at a time")
        out = _outputs.file(out, inputs=sources, overwrite=overwrite)
        _film(sources[0], out, weights, {**options, "keep": keep})
        return
    films = [source for source in sources if Path(source).suffix.lower() in _suffixes()]
    if films:
        raise ValueError(
            f"{films[0]} is a film: say what to write, such as --out {Path(films[0]).stem}_colour.mp4"
        )
    names = [f"{stem}.png" for stem in _stems(sources)]
    out = _outputs.folder(out, names, inputs=sources, overwrite=overwrite)
    _pictures(sources, out, weights, options)


def _suffixes() -> tuple[str, ...]:
    from course_utils.pictures import video

    return (*video.CODECS, ".mpg", ".mpeg", ".m4v", ".wmv", ".ogv", ".flv")


def _networks(weights: str) -> tuple[Any, Any]:
    from course_utils import colour, runtime

    runtime.start()
    return colour.load(weights), colour.load_trunk()


def _film(source: str, out: Path, weights: str, options: dict[str, Any]) -> None:
    from course_utils import colour
    from course_utils.pictures import video

    film = video.look(source)
    video.check(out, (film.height, film.width), film.rate)
    head, trunk = _networks(weights)
    colour.colourize_film(head, trunk, source, out, colour.FilmSettings(**options))


def _stems(sources: list[str]) -> list[str]:
    """The names of the answers: those of the pictures without folder and suffix, each once."""
    stems = [Path(source.split("?")[0].rstrip("/")).stem or "picture" for source in sources]
    twice = sorted(stem for stem, n in Counter(stems).items() if n > 1)
    if twice:
        raise ValueError(f"several pictures are called {twice[0]}: their answers would overwrite each other")
    return stems


def _pictures(sources: list[str], out: Path, weights: str, options: dict[str, Any]) -> None:
    from course_utils import colour
    from course_utils.pictures import images

    head, trunk = _networks(weights)
    bad = 0
    for source, stem in zip(sources, _stems(sources), strict=True):
        try:
            picture = images.read(source)
        except (OSError, ValueError) as error:
            text = str(error)
            print(f"course: {text if source in text else f'{source}: {text}'}", file=sys.stderr)
            bad += 1
            continue
        path = images.save(out / f"{stem}.png", colour.colourize(head, trunk, picture, **options))
        print(f"{source} -> {path}")
    if bad:
        print(f"course: {bad} of {len(sources)} pictures could not be read", file=sys.stderr)
        raise typer.Exit(1)
