"""`course run`: the notebooks from top to bottom, without a browser."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils import files
from course_utils.cli import _notebooks

MATHJAX = _notebooks.ROOT / "docs" / "static" / "mathjax" / "tex-svg.js"


def register(app: typer.Typer) -> None:
    """Add `course run`."""
    app.command("run")(run)


def run(
    notebooks: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NN… | all]", help="Numbers, or paths of notebooks; default all."),
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="DIR", help="Write each as a web page, too.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that one cell may take.")] = 600,
) -> None:
    """Run notebooks from top to bottom; one line each with minutes and peak memory.

    They run as copies in a temporary folder: the course's own stay as they are. The exit status is 1 when a
    cell fails; the line says which.
    """
    import nbformat

    failed = False
    for path in _notebooks.find(notebooks or (), anywhere=True):
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory(prefix="course-") as folder, progress(path.stem) as on_cell:
            outcome = _notebooks.execute(notebook, folder, timeout=timeout, on_cell=on_cell)
        typer.echo(line(path.stem, outcome))
        failed |= outcome.failure is not None
        if html:
            typer.echo(f"{'':24}{write_html(notebook, html / f'{path.stem}.html')}")
    if failed:
        raise typer.Exit(1)


def line(name: str, outcome: _notebooks.Outcome) -> str:
    """A notebook's outcome on one line."""
    facts = f"{name:24} {outcome.seconds / 60:5.1f} min {outcome.peak_mb:7,.0f} MB  "
    return facts + (f"failed in {outcome.failure}" if outcome.failure else "ok")


@contextlib.contextmanager
def progress(name: str) -> Any:
    """A bar over a notebook's cells, on stderr and only in a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def write_html(notebook: Any, path: Path) -> Path:
    """A notebook as one web page that needs no network; returns its path."""
    try:
        from nbconvert import HTMLExporter
    except ImportError:
        raise ModuleNotFoundError("--html needs nbconvert: pip install -e .[lab]") from None
    from course_utils.pictures.plots import with_alt_text

    body, _ = HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": path.stem}})
    formulas = any(cell.cell_type == "markdown" and "$$" in cell.source for cell in notebook.cells)
    body = _offline(with_alt_text(body, notebook), formulas)
    with files.replacing(path, text=True) as file:
        file.write(body)
    return path


def _offline(page: str, formulas: bool) -> str:
    """A page without the scripts that it would fetch; formulas are set by our own copy of MathJax, inside."""
    page = re.sub(r'<script[^>]* src="https?://[^>]*>\s*</script>', "", page)
    page = re.sub(r'<script type="module">((?!</script>).)*?mermaid.*?</script>', "", page, flags=re.DOTALL)
    if not formulas or not MATHJAX.is_file():
        return page
    script = MATHJAX.read_text(encoding="utf-8").replace("</script", "<\\/script")
    settings = 'MathJax = { tex: { inlineMath: [["$", "$"]], processEscapes: true } };'
    return page.replace("</head>", f"<script>{settings}</script><script>{script}</script></head>", 1)
