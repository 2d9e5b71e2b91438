"""`course lock`: requirements.lock from pyproject.toml."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from course_utils.cli import _notebooks

LOCK = _notebooks.ROOT / "requirements.lock"
# All extras, all platforms, every version with its hashes, and no word about where they were fetched from.
OPTIONS = ("--universal", "--generate-hashes", "--no-header", "--all-extras", "--python-version", "3.11")


def register(app: typer.Typer) -> None:
    """Add `course lock`."""
    app.command("lock")(lock)


def lock(
    check: Annotated[bool, typer.Option("--check", help="Only say whether it is current.")] = False,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Take the newest versions.")] = False,
) -> None:
    """Write requirements.lock from pyproject.toml; versions stay as they are where they can. For maintainers.

    New releases elsewhere don't make it out of date, a change of pyproject.toml does.
    """
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        fresh = Path(shutil.copy(LOCK, folder))
        command = [_uv(), "pip", "compile", "--quiet", *OPTIONS, "pyproject.toml", "-o", str(fresh)]
        command += ["--upgrade"] if upgrade else []
        if subprocess.run(command, cwd=LOCK.parent).returncode != 0:
            raise typer.Exit(1)
        if fresh.read_bytes() == LOCK.read_bytes():
            return
        if check:
            raise ValueError("requirements.lock is out of date; `course lock` writes it")
        shutil.copyfile(fresh, LOCK)


def _uv() -> str:
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
        if not found:
            raise FileNotFoundError("uv is not installed here: pip install -e .[test]") from None
        return found
