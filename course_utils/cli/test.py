"""`course test`: the unit tests and every notebook, in one pytest run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from typing import Annotated

import typer

from course_utils.cli import _notebooks

ROOT = _notebooks.ROOT
# Notebooks run as they are; only cells tagged `nbval-check-output` are compared. A file stays in one process.
OPTIONS = (
    *("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"),
    *("--nbval-sanitize-with", "tests/nbval_sanitize.cfg"),
    *("-n", "2", "--dist", "loadfile"),
)


def register(app: typer.Typer) -> None:
    """Add `course test`."""
    app.command("test", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(test)


def test(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="With the slow ones, too.")] = False,
) -> None:
    """Run the tests and all notebooks. Further arguments go to pytest: `course test -k boxes`.

    Without a file among them, everything is tested: tests/ and notebooks/.
    """
    if not importlib.util.find_spec("nbval"):
        raise ModuleNotFoundError("pytest and nbval are not installed here: pip install -e .[lab,test]")
    with tempfile.TemporaryDirectory(prefix="course-cache-") as cache:
        environment = dict(os.environ, COURSE_UTILS_CACHE=cache, **_environment())
        command = [sys.executable, "-m", "pytest", *arguments(context.args, everything)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment)
        while True:  # Ctrl-C reaches pytest too, which ends by itself and says where it was
            try:
                raise typer.Exit(process.wait())
            except KeyboardInterrupt:
                continue


def _environment() -> dict[str, str]:
    """Half of the cores for each of the two workers: with more, their threads mostly wait for one another.

    And memory that is freed is kept for the next feature maps (glibc's malloc; others ignore it): asking the
    system for the same pages again and again took an eighth of the time.
    """
    half = str(max(1, (os.cpu_count() or 2) // 2))
    wanted = {
        "TF_NUM_INTRAOP_THREADS": half,
        "OMP_NUM_THREADS": half,
        "MALLOC_MMAP_THRESHOLD_": str(2**28),
        "MALLOC_TRIM_THRESHOLD_": str(2**29),
    }
    return {name: os.environ.get(name, value) for name, value in wanted.items()}


def arguments(extra: list[str], everything: bool) -> list[str]:
    """What pytest is called with."""
    chosen = [word for word in extra if not word.startswith("-") and (ROOT / word.split("::")[0]).exists()]
    notebooks = (path.relative_to(ROOT) for path in sorted(_notebooks.FOLDER.glob("*.ipynb")))
    targets = [] if chosen else ["tests", *map(str, notebooks)]
    slow = [] if everything else ["-m", "not slow"]
    return [*OPTIONS, *slow, *extra, *targets]
