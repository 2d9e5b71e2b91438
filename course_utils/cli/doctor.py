"""`course doctor`: can the course run here, with what, and what to do if not."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import typer

from course_utils import runtime

DISTRIBUTION = "course-utils"
MEMORY_NEEDED, MEMORY_WISHED = 1.5e9, 3e9  # bytes
DISK_NEEDED, DISK_WISHED = 50e6, 1e9


@dataclass(frozen=True)
class Finding:
    """One line of the report. `state`: "ok", "note" (the course runs all the same) or "missing"."""

    state: str
    what: str
    detail: str
    todo: str = ""


def register(app: typer.Typer) -> None:
    """Add `course doctor`."""
    app.command("doctor")(doctor)


def doctor() -> None:
    """Versions, device, weights, data, memory and disk: what is there, what is missing, what to do.

    The exit status is 0 when the course can run here.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    colours = {"ok": "green", "note": "yellow", "missing": "bold red"}
    missing = 0
    for finding in examine():
        missing += finding.state == "missing"
        line = Text(f"{finding.state:<8}", style=colours[finding.state])
        console.print(line.append(f"{finding.what:<12}{finding.detail}", style="default"))
        if finding.todo:
            console.print(f"{'':20}→ {finding.todo}", markup=False)
    if missing:
        things = "one thing is" if missing == 1 else f"{missing} things are"
        console.print(f"\nThe course can't run here yet: {things} missing, see above.")
        raise typer.Exit(1)
    console.print("\nThe course can run here.")


def examine() -> Iterator[Finding]:
    """All findings, one check after another; a check that breaks is a finding, too."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:  # whatever is wrong with this machine, the other checks still help
            name = check.__name__.removeprefix("check_")
            yield Finding("missing", name, f"{type(error).__name__}: {error}", "install the course again")


def check_python() -> Iterator[Finding]:
    """The version of Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    pythons = runtime.project()["pythons"]
    if ".".join(map(str, sys.version_info[:2])) in pythons:
        yield Finding("ok", "python", f"{version} ({sys.executable})")
    else:
        yield Finding("missing", "python", version, f"install Python {' or '.join(pythons)}")


def check_packages() -> Iterator[Finding]:
    """Every dependency against its floor; those of the [lab] extra are wishes."""
    from packaging.requirements import Requirement  # comes with pooch

    here = f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}"
    good, bad = 0, False
    for text in metadata.requires(DISTRIBUTION) or []:
        wanted = Requirement(text)
        optional = wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})
        if optional and not (wanted.marker and wanted.marker.evaluate({"extra": "lab"})):
            continue
        found = version_of(wanted.name)
        if found is not None and wanted.specifier.contains(found, prereleases=True):
            good += 1
            continue
        other = wanted.name == "tensorflow" and os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow"
        state = "note" if optional or other else "missing"
        bad |= state == "missing"
        detail = f"{wanted.name} {found or 'is not installed'}, {wanted.specifier} is needed"
        todo = (
            f'pip install "{wanted.name}{wanted.specifier}", or delete .venv and run python3 course.py doctor'
        )
        yield Finding(state, "packages", detail, todo)
    if not bad:
        yield Finding("ok", "packages", f"{here}; {good} dependencies are new enough")


def version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_backend() -> Iterator[Finding]:
    """Keras and its backend: import them, compute a convolution, name the device and the precision."""

    try:
        keras = runtime.load_keras()
        ones = keras.ops.ones((1, 3, 3, 1))
        nine = float(
            keras.ops.convert_to_numpy(keras.ops.conv(ones, keras.ops.ones((3, 3, 1, 1))))[0, 0, 0, 0]
        )
        backend = keras.backend.backend()
    except Exception as error:  # ImportError mostly, but a broken GPU driver can raise anything
        advice = "set KERAS_BACKEND to one of tensorflow, jax, torch that is installed, or install tensorflow"
        yield Finding("missing", "backend", f"{type(error).__name__}: {error}", advice)
        return
    if abs(nine - 9) > 1e-3:
        yield Finding("missing", "backend", f"{backend} computes {nine} instead of 9", "install it again")
        return
    if odd := runtime.odd_settings():
        asked = ", ".join(f"{name} {value}" for name, value in odd.items())
        path = runtime.keras_home() / "keras.json"
        told = f"{path} asks for {asked}; the course passes it over and uses Keras's defaults"
        yield Finding("note", "backend", told, "delete that file unless another program needs it")
    for name in ("tensorflow-metal", "tensorflow-macos"):
        if version_of(name):
            told = f"{name} is installed: with it some layers compute wrong results without a word"
            yield Finding("note", "backend", told, f"pip uninstall {name}")
    detail = f"keras {keras.__version__} on {backend} {version_of(backend) or ''}".rstrip()
    yield Finding("ok", "backend", detail)
    yield Finding(
        "ok", "device", f"{runtime.device()}; best precision for training: {runtime.best_precision()}"
    )


def check_pictures() -> Iterator[Finding]:
    """The photographs that come with the installed packages."""
    from course_utils.pictures import images

    for name in images.SAMPLES:
        try:
            images.sample(name)
        except (OSError, ValueError) as error:
            package = {"skimage": "scikit-image", "sklearn": "scikit-learn"}
            source = images._SAMPLES[name].package
            yield Finding("missing", "pictures", str(error), f"install {package.get(source, source)} again")
            return
    yield Finding("ok", "pictures", f"{len(images.SAMPLES)} photographs: {', '.join(images.SAMPLES)}")


def check_weights() -> Iterator[Finding]:
    """The weights that ship: the original's convolutions must be there and readable, others are named."""
    from course_utils import files, runtime

    folder = runtime.shipped("weights")
    found = sorted(folder.glob("*.npz"))
    for path in found:
        try:
            with files.reading_npz(path) as arrays:
                for key in arrays.files:
                    arrays[key]
        except (OSError, ValueError) as error:
            yield Finding("missing", "weights", str(error), "install the course again")
    if "vgg16" not in [path.stem for path in found]:
        yield Finding("missing", "weights", f"vgg16.npz is not in {folder}", "install the course again")
    if found:
        names = ", ".join(f"{path.stem} ({path.stat().st_size / 1e6:.1f} MB)" for path in found)
        yield Finding("ok", "weights", names)


def check_trunk() -> Iterator[Finding]:
    """Where the original's file was fetched: the convolutions that ship are that file's, in float16."""
    from course_utils.downloads import assets
    from course_utils.networks import heads, weight_files

    fetched = next((path for name in ("vgg16_no_top", "vgg16") if (path := assets.find(name))), None)
    if fetched is None:
        return
    differing = heads.differing_layers(weight_files.shipped(heads.TRUNK), fetched)
    if differing:
        detail = f"vgg16.npz differs from {fetched.name} in {', '.join(differing)}"
        yield Finding("missing", "weights", detail, "install the course again, or fetch the file again")
    else:
        yield Finding("ok", "weights", f"vgg16.npz is {fetched.name} rounded to float16, layer by layer")


def check_downloads() -> Iterator[Finding]:
    """What was downloaded, checked; none of it is needed."""
    from course_utils.downloads import assets

    right = []
    for name in assets.REGISTRY:
        if (path := assets.find(name)) is not None:
            right.append(f"{name} ({path.parent})")
        elif (path := assets.locate(name)) is not None and assets.lookup(name).hash is not None:
            detail = f"{path} is damaged: its hash is not that of {name}"
            yield Finding("note", "downloads", detail, f"delete it, or: course fetch {name}")
    if right:
        yield Finding("ok", "downloads", ", ".join(right))
    else:
        yield Finding("ok", "downloads", "none; the course does not need any (course fetch lists them)")
    if not _may_write(assets.cache_dir()):
        detail = f"the cache folder {assets.cache_dir()} can't be written, so nothing can be downloaded"
        yield Finding("note", "downloads", detail, f"set {assets.CACHE_VARIABLE} to a folder of yours")


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _may_write(path: Path) -> bool:
    existing = _existing(path)
    return existing.is_dir() and os.access(existing, os.W_OK)


def check_memory() -> Iterator[Finding]:
    """Memory that is free for a notebook."""
    import psutil

    memory = psutil.virtual_memory()
    detail = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB are free"
    if memory.available < MEMORY_NEEDED:
        todo = "close other programs, or use a machine with more memory"
        yield Finding("missing" if memory.total < MEMORY_NEEDED else "note", "memory", detail, todo)
    elif memory.available < MEMORY_WISHED:
        yield Finding("note", "memory", detail, "run one notebook at a time")
    else:
        yield Finding("ok", "memory", detail)


def check_disk() -> Iterator[Finding]:
    """Space where the course works and where downloads go."""
    from course_utils.downloads import assets

    for what, folder in (("here", Path.cwd()), ("for downloads", assets.cache_dir())):
        free = shutil.disk_usage(_existing(folder)).free
        detail = f"{free / 1e9:.1f} GB free {what} ({folder})"
        if free < DISK_NEEDED:
            state = "missing" if what == "here" else "note"
            yield Finding(state, "disk", detail, "make room")
        elif free < DISK_WISHED:
            yield Finding("note", "disk", detail, "enough for the course, not for the large data sets")
        else:
            yield Finding("ok", "disk", detail)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_backend,
    check_pictures,
    check_weights,
    check_trunk,
    check_downloads,
    check_memory,
    check_disk,
)
