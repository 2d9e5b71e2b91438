"""`course quiz`: a notebook's five questions to print, the answers on a page of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from course_utils import files

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 11pt/1.4 serif; max-width: 42em; margin: 2em auto }}
li {{ break-inside: avoid }} .key {{ break-before: page; font-size: 10pt }}</style></head>
<body><h1>{title}</h1><p>Name:</p>{questions}
<div class="key"><h1>{title}: answers</h1>{key}</div></body></html>
"""


def register(app: typer.Typer) -> None:
    """Add `course quiz`."""
    app.command("quiz")(quiz)


def quiz(
    notebooks: Annotated[
        list[str] | None, typer.Argument(metavar="[NN… | all]", help="Numbers of notebooks; default all.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for quiz_NN.html.")] = Path("out/quiz"),
) -> None:
    """Write the five questions of a notebook as a page to print, and the answers as another."""
    from course_utils.exercises import frame, questions

    known = [number for number in frame.notebooks() if questions.questions(number)]
    wanted = [word.zfill(2) for word in notebooks or ["all"]]
    unknown = [word for word in wanted if word not in (*known, "all")]
    if unknown:
        raise ValueError(f"there is no quiz {', '.join(unknown)}; there are: {', '.join(known)}")
    for number in known if "all" in wanted else wanted:
        asked = questions.questions(number)
        target = out / f"quiz_{number}.html"
        page = PAGE.format(
            title=f"Notebook {number}", questions=questions.page(asked), key=questions.key(asked)
        )
        with files.replacing(target, text=True) as file:
            file.write(page)
        typer.echo(f"{target}: {len(asked)} questions")
