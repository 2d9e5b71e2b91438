"""`course solutions` and `course progress`: notebooks with their answers, and how far a learner is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils.cli import _notebooks


def register(app: typer.Typer) -> None:
    """Add `course solutions` and `course progress`."""
    app.command("solutions")(solutions)
    app.command("progress")(progress)


def solutions(
    notebooks: Annotated[list[str], typer.Argument(metavar="NN…", help="Numbers of notebooks, or all.")],
    out: Annotated[Path, typer.Option(help="Folder for NN_name_solved.ipynb.")] = Path("out/solutions"),
) -> None:
    """Write notebooks with every exercise solved, for teachers."""
    import nbformat

    for source in _notebooks.find(notebooks):
        notebook = nbformat.read(source, as_version=4)
        count = len(solve(notebook))
        target = out / f"{source.stem}_solved.ipynb"
        _notebooks.save(notebook, target)
        typer.echo(f"{target}: {count} exercises solved")


def exercise_cells(notebook: Any) -> dict[str, Any]:
    """The cells tagged `exercise-01.2`, by the exercise's id, in order."""
    tagged = [(tag, cell) for cell in notebook.cells for tag in cell.metadata.get("tags", ())]
    start = "exercise-"
    return {tag.removeprefix(start): cell for tag, cell in tagged if tag.startswith(start)}


def solve(notebook: Any) -> dict[str, Any]:
    """Put the solutions in place of the stubs; returns the changed cells by the exercise's id.

    Raises:
        ValueError: a cell names an exercise that does not exist.
    """
    from course_utils.exercises import frame

    cells = exercise_cells(notebook)
    for id, cell in cells.items():
        exercise = frame.find(id)
        if exercise is None:
            raise ValueError(frame.unknown(id))
        cell.source = frame.solved(cell.source, exercise)
        cell.outputs, cell.execution_count = [], None
    return cells


def progress() -> None:
    """Show which exercises you have solved: what `check` called right in your notebooks."""
    from course_utils import progress as notes
    from course_utils.exercises import frame

    solved, all_of_them, done = notes.solved(), 0, 0
    for number in frame.notebooks():
        exercises = frame.exercises(number)
        marks = "".join("●" if each.id in solved else "○" for each in exercises)
        open_ones = [f"{each.id} {each.title}" for each in exercises if each.id not in solved]
        typer.echo(f"{number}  {marks:<8} {'next: ' + open_ones[0] if open_ones else 'all solved'}")
        all_of_them += len(exercises)
        done += len(exercises) - len(open_ones)
    typer.echo(f"{done} of {all_of_them} exercises solved")
    if place := notes.path():
        typer.echo(f"Kept in {place}, on this machine alone; delete the file to begin again.")
