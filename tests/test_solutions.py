"""The notebooks and their exercises belong together; with the solutions put in, every notebook runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

from course_utils.cli import _notebooks
from course_utils.cli.solutions import exercise_cells, solve
from course_utils.exercises import frame

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def printed(cell: nbformat.NotebookNode) -> str:
    """What a cell has printed."""
    return "".join(out.get("text", "") or out.get("data", {}).get("text/plain", "") for out in cell.outputs)


def test_every_exercise_module_has_its_notebook() -> None:
    assert frame.notebooks() == [path.stem[:2] for path in NOTEBOOKS if frame.exercises(path.stem[:2])]


@each_notebook
def test_the_notebook_holds_its_exercises(path: Path) -> None:
    cells = exercise_cells(nbformat.read(path, as_version=4))
    registered = {each.id: each for each in frame.exercises(path.stem[:2])}
    assert sorted(cells) == sorted(registered)  # an appendix may hold an early one
    for id, exercise in registered.items():
        source = cells[id].source
        assert source.splitlines()[-1] == f'check("{id}", {exercise.name})'
        assert "..." in source, "the committed cell holds the stub, not an answer"


def names_in(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell reads, and those that it sets."""
    code = re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)  # %pip and the like
    nodes = list(ast.walk(ast.parse(code)))
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    defined = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    return read, stored | defined | {node.arg for node in nodes if isinstance(node, ast.arg)}


@each_notebook
def test_no_other_cell_uses_a_learners_answer(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    own = [id(cell) for cell in exercise_cells(notebook).values()]
    answers = {exercise.name for exercise in frame.exercises(path.stem[:2])}
    for cell in notebook.cells:
        if cell.cell_type == "code" and id(cell) not in own:
            # `yours_or_ours(…)` takes ours where an answer is missing or wrong
            read, own_names = names_in(re.sub(r"yours_or_ours\([^)]*\)", "()", cell.source))
            assert not (read - own_names) & answers, cell.source


@pytest.mark.slow
@each_notebook
def test_the_solutions_run_in_the_notebook(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    solve(notebook)
    assert _notebooks.execute(notebook, tmp_path, timeout=300).failure is None
    for id, cell in exercise_cells(notebook).items():
        assert printed(cell).startswith(f"{id} right.")
