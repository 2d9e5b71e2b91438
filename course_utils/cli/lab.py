"""`course lab` and `course reset`: the learner's own copies of the notebooks."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from course_utils import files
from course_utils.cli import _notebooks

MY = _notebooks.ROOT / "my"
OLD = "old"  # the folder, beside the copies, of what was put away
LOCK = ".lock"  # held while copies are made or put away
STARTED = ".started.json"  # name of a notebook -> what the course's version was when it was copied
SETTINGS = (
    "--LabApp.news_url=None",  # no pop-up over the first text, and no question to a server
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--MappingKernelManager.cull_idle_timeout=7200",  # a kernel holds 1 to 3 GB; two idle hours are enough
    "--MappingKernelManager.cull_connected=True",
)
PROJECTOR = "1.7"  # a figure's 736 pixels become 1250, nearly the width of a projected page
Folder = Annotated[Path, typer.Option(help="Where your copies are.")]


def register(app: typer.Typer) -> None:
    """Add `course lab` and `course reset`."""
    app.command("lab", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(lab)
    app.command("reset")(reset)


def lab(
    context: typer.Context,
    folder: Folder = MY,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
    port: Annotated[int | None, typer.Option(help="Where the server listens.")] = None,
    projector: Annotated[bool, typer.Option("--projector", help="Show figures larger, for a wall.")] = False,
) -> None:
    """Open JupyterLab on your own copies of the notebooks, in my/.

    A copy is made once and never overwritten. Further options go to JupyterLab.
    """
    new = copy(_notebooks.find(), folder)
    for name in outdated(folder):
        typer.echo(f"{name} has changed in the course; `course reset {name[:2]}` gets it and keeps yours.")
    try:
        from jupyterlab import labapp
    except ImportError:
        raise ModuleNotFoundError("JupyterLab is not installed here: pip install -e .[lab]") from None
    arguments = [f"--ServerApp.root_dir={folder.resolve()}", *SETTINGS]
    arguments += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # in a container
    arguments += [f"--LabApp.default_url=/lab/tree/{new[0]}"] if new else []
    arguments += [] if browser else ["--no-browser"]
    arguments += [f"--port={port}"] if port else []
    if projector:
        os.environ["COURSE_SCALE"] = PROJECTOR  # read by `pictures.plots` in every kernel
    sys.argv = ["jupyter-lab", *arguments, *context.args]
    sys.exit(labapp.main())


def reset(
    notebooks: Annotated[list[str], typer.Argument(metavar="NN…", help="Numbers of notebooks, or all.")],
    folder: Folder = MY,
    next_group: Annotated[
        bool,
        typer.Option("--next-group", help="Put away all else there, too: solved marks, pictures."),
    ] = False,
) -> None:
    """Begin a notebook again: your copy goes to my/old/DATE/, and a fresh one takes its place."""
    sources = _notebooks.find(notebooks)
    names = [source.name for source in sources]
    with _alone(folder):
        if next_group:
            names = sorted(path.name for path in folder.iterdir() if path.name not in (OLD, STARTED, LOCK))
        away = [folder / name for name in names if (folder / name).exists()]
        if away:
            place = put_away(away, folder / OLD)
            typer.echo(f"{len(away)} put away in {place}")
        _copy(sources, folder)
    typer.echo(f"fresh in {folder}: {', '.join(source.stem for source in sources)}")


def copy(sources: list[Path], folder: Path) -> list[str]:
    """Copy those notebooks that aren't there yet; returns their names.

    Raises:
        OSError: the folder can't be written, or the disk is full; what was there before is kept.
    """
    with _alone(folder):
        return _copy(sources, folder)


def _copy(sources: list[Path], folder: Path) -> list[str]:
    started, new = _started(folder), []
    for source in sources:
        if not (folder / source.name).exists():
            with files.replacing(folder / source.name) as out:
                out.write(source.read_bytes())
            started[source.name] = version(source)
            new.append(source.name)
    if new:
        with files.replacing(folder / STARTED, text=True) as out:
            out.write(json.dumps(started, indent=1))
    return new


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make the folder, and let one command at a time change what is in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with files.lock(folder / LOCK):
            yield
    except PermissionError as error:
        raise PermissionError(
            error.errno, f"{folder} can't be written to: choose another place with --folder"
        ) from error


def outdated(folder: Path) -> list[str]:
    """Names of notebooks whose text or code changed in the course since they were copied."""
    started = _started(folder)
    return [path.stem for path in _notebooks.find() if started.get(path.name, now := version(path)) != now]


def version(path: Path) -> str:
    """A hash of a notebook's text and code, whatever its outputs."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return hashlib.sha256("\0".join("".join(cell["source"]) for cell in cells).encode()).hexdigest()


def put_away(paths: list[Path], old: Path) -> Path:
    """Move files into a new folder named after the moment; returns that folder."""
    moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    tries = (old / (moment if not i else f"{moment}_{i}") for i in count())
    place = next(path for path in tries if not path.exists())
    place.mkdir(parents=True)
    for path in paths:
        path.rename(place / path.name)
    return place


def _started(folder: Path) -> dict[str, str]:
    try:
        return json.loads((folder / STARTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
