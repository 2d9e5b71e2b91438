"""The `course` command. One module a group of commands; each has `register(app)` and is found by itself.

Commands for maintainers live in `tools/` beside the package and are found in the same way; an installed
wheel has no `tools/`, and says so.

These modules load no framework when they are imported, so that `course --help` answers at once:
what is heavy is imported inside the commands.
"""

from __future__ import annotations

import codecs
import importlib
import io
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

import typer

FIRST = ("lab", "run", "doctor", "test")  # in the order of `course --help`
MAINTAINERS = ("bench", "book", "bundle", "lock", "probe", "render")
TOOLS = Path(__file__).resolve().parents[2] / "tools"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def course() -> None:
    """What convolutional networks see and do: ten notebooks and the tools under them."""


def build() -> typer.Typer:
    """The application with the commands of every module of this package, and of `tools/`, registered."""
    if not app.registered_commands:
        modules = {
            found.name: f"{__name__}.{found.name}"
            for found in pkgutil.iter_modules(__path__)
            if not found.name.startswith("_")
        }
        if TOOLS.is_dir():
            modules |= {name: f"tools.{name}" for name in MAINTAINERS}
        for name in sorted(modules, key=lambda name: (FIRST.index(name) if name in FIRST else 9, name)):
            register = getattr(importlib.import_module(modules[name]), "register", None)
            if register:
                register(app)
        if not TOOLS.is_dir():
            for name in MAINTAINERS:
                _only_in_a_checkout(name)
    return app


def _only_in_a_checkout(name: str) -> None:
    """A command of `tools/` where there is no `tools/`: it says what it needs."""

    @app.command(
        name, hidden=True, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )
    def refuse(context: typer.Context) -> Any:
        raise FileNotFoundError(
            f"course {name} is for those who change the course: it needs a checkout "
            "(git clone, then python3 course.py), not the installed package"
        )


TOLD = (ValueError, OSError, ModuleNotFoundError, FloatingPointError, MemoryError)
"""Errors whose text says all that a reader needs."""


def main() -> None:
    """Run the `course` command; an error is told in one line, with COURSE_TRACEBACK=1 in full."""
    _say_it_anyway()
    try:
        build()()
    except TOLD as error:
        if os.environ.get("COURSE_TRACEBACK"):
            raise
        print(f"course: {_told(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


PLAIN = {"●": "*", "○": ".", "…": "...", "“": '"', "”": '"', "’": "'", "–": "-", "×": "x", "→": "->"}


def _say_it_anyway() -> None:
    """Where the terminal's encoding lacks a character (cp1252, cp437), a plain one takes its place."""

    def plain(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        missing = error.object[error.start : error.end]
        return "".join(PLAIN.get(each, "?") for each in missing), error.end

    codecs.register_error("course", plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="course")


def _told(error: Exception) -> str:
    """An error's text, without the system's number of it."""
    if isinstance(error, MemoryError):
        return f"there is not enough memory ({error}): close other programs, or take smaller pictures"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
