"""The `course` command. One module a group of commands; each has `register(app)` and is found by itself.

These modules load no framework when they are imported, so that `course --help` answers at once:
what is heavy is imported inside the commands.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys

import typer

FIRST = ("lab", "run", "doctor", "test")  # in the order of `course --help`

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def course() -> None:
    """What convolutional networks see and do: nine notebooks and the tools under them."""


def build() -> typer.Typer:
    """The application with the commands of every module of this package registered."""
    if not app.registered_commands:
        modules = (found.name for found in pkgutil.iter_modules(__path__))
        for name in sorted(modules, key=lambda name: (FIRST.index(name) if name in FIRST else 9, name)):
            if not name.startswith("_"):
                register = getattr(importlib.import_module(f"{__name__}.{name}"), "register", None)
                if register:
                    register(app)
    return app


def main() -> None:
    """Run the `course` command; an error is told in one line, with COURSE_TRACEBACK=1 in full."""
    try:
        build()()
    except (ValueError, OSError, ModuleNotFoundError) as error:
        if os.environ.get("COURSE_TRACEBACK"):
            raise
        print(f"course: {_told(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _told(error: Exception) -> str:
    """An error's text, without the system's number of it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
