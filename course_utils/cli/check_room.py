"""`course check-room`: is this laptop ready for the lesson? One line to read out, alike in the whole room."""

from __future__ import annotations

import hashlib
import platform
import tempfile
from typing import Annotated

import typer

from course_utils import __version__, runtime
from course_utils.cli import _notebooks, doctor

# What may differ between two laptops without a word: the system. What may not: these.
PACKAGES = ("keras", "tensorflow", "numpy", "jupyterlab")


def register(app: typer.Typer) -> None:
    """Add `course check-room`."""
    app.command("check-room")(check_room)


def check_room(
    notebook: Annotated[str, typer.Option(help="The notebook that is run.")] = "00",
) -> None:
    """Check this laptop before a lesson: the doctor, the weights' hashes, one notebook run to its end.

    The last line is to be read out: laptops with the same course, packages and weights say the same code.
    """
    import nbformat

    missing = [finding for finding in doctor.examine() if finding.state == "missing"]
    for finding in missing:
        typer.echo(f"missing: {finding.what}: {finding.detail}. {finding.todo}")
    (source,) = _notebooks.find([notebook])
    typer.echo(f"Running notebook {source.stem[:2]}, a minute or two…")
    with tempfile.TemporaryDirectory(prefix="course-room-") as folder:
        outcome = _notebooks.execute(nbformat.read(source, as_version=4), folder, timeout=600)
    if outcome.failure:
        typer.echo(f"{source.stem} failed in {outcome.failure}")
    if missing or outcome.failure:
        typer.echo("NOT READY: see above; `python3 course.py doctor` says more.")
        raise typer.Exit(1)
    facts = f"{source.stem[:2]} ran in {outcome.minutes} min, {outcome.gigabytes} GB"
    typer.echo(f"READY {code(source.stem)}  course {__version__}, Python {_python()}, {facts}")


def code(passed: str) -> str:
    """Eight letters and digits that say which course, packages and weights there are, and what has run.

    Args:
        passed: name of the notebook that ran.
    """
    seen = [__version__, _python(), passed]
    seen += [f"{name} {doctor.version_of(name)}" for name in PACKAGES]
    seen += [
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(runtime.shipped("weights").glob("*.npz"))
    ]
    found = hashlib.sha256("\n".join(seen).encode()).hexdigest().upper()
    return f"{found[:4]}-{found[4:8]}"


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])
