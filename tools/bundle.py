"""`course bundle`: everything a room of laptops needs, in one folder, for installing without a network."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from course_utils import runtime
from course_utils.cli import _notebooks
from tools import book

ROOT = _notebooks.ROOT
COURSE = (
    *("README.md", "LICENSE", "LICENSE-text", "course.py", "pyproject.toml", "requirements.lock"),
    *(
        "course_utils",
        "data",
        "notebooks",
        "docs",
    ),  # docs: the teachers' page, and what explorer and slides need
)
# Name of a system -> sys.platform, os.name, platform.system(), its machine, and pip's names for it: the
# oldest that all packages have wheels for, as a laptop may be older than the machine that makes the bundle.
SYSTEMS: dict[str, tuple[str, str, str, str, tuple[str, ...]]] = {
    "linux": (
        *("linux", "posix", "Linux", "x86_64"),
        (*(f"manylinux_2_{minor}_x86_64" for minor in range(28, 16, -1)), "manylinux2014_x86_64"),
    ),
    "linux-arm": (
        *("linux", "posix", "Linux", "aarch64"),
        (*(f"manylinux_2_{minor}_aarch64" for minor in range(28, 16, -1)), "manylinux2014_aarch64"),
    ),
    "macos": ("darwin", "posix", "Darwin", "arm64", ("macosx_14_0_arm64",)),
    "windows": ("win32", "nt", "Windows", "AMD64", ("win_amd64",)),
}
PYTHONS = tuple(runtime.project()["pythons"])
TITLES = {
    "linux": "Linux (glibc 2.28 or later)",
    "linux-arm": "Linux on ARM (glibc 2.28 or later)",
    "macos": "macOS 14 or later on an Apple processor",
    "windows": "Windows",
}
PAGE = """# Installing the course without a network

For {system}, with Python {python}: exactly this one, and not part of the folder; where it is missing,
install it first. Copy the folder onto the laptop, open a terminal in it, and:

    {python_command} -m venv env
    {pip} install --no-index --find-links wheels --no-deps --require-hashes -r requirements.txt
    {pip} install --no-index --no-deps --no-build-isolation -e course
    {course} lab

The last line opens JupyterLab; it is the one to repeat on another day. `{course} doctor` says whether all is
well, and `{course} run all` runs every notebook once. The course as pages to read, those for teachers
among them, begins at book/index.html. Where only the package is wanted, without the notebooks, install
the `course_utils` wheel of wheels/ instead of the folder `course`.

`SHA256SUMS` holds the sum of every file: {check}

Weights and data that were fetched on another machine are a folder, too: `course doctor` there says which.
Copy it, and let the variable COURSE_UTILS_CACHE name it.
"""


def register(app: typer.Typer) -> None:
    """Add `course bundle`."""
    app.command("bundle")(bundle)


def bundle(
    out: Annotated[Path, typer.Option(help="A new folder, about 1 GB.")],
    platform: Annotated[str, typer.Option(help=f"{', '.join(SYSTEMS)}.")] = "linux",
    python: Annotated[str, typer.Option(help=f"{', '.join(PYTHONS)}.")] = "3.12",
) -> None:
    """Collect all packages, the course and its notebooks for laptops without a network.

    One bundle for each kind of system and Python in the room; any machine with a network can make it.
    """
    if platform not in SYSTEMS or python not in PYTHONS:
        raise ValueError(f"--platform is one of {', '.join(SYSTEMS)}, --python one of {', '.join(PYTHONS)}")
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"--out {out}: there is something in it; name a new folder")
    wheels = out / "wheels"
    wheels.mkdir(parents=True)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    (out / "requirements.txt").write_text(chosen(lock, platform, python), encoding="utf-8")
    for command in commands(out, platform, python):
        if subprocess.run(command, cwd=ROOT).returncode != 0:
            raise OSError(f"this did not work, the reason stands above: {' '.join(command[:4])} …")
    (out / "course").mkdir()
    for name in COURSE:
        place, ignored = ROOT / name, shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "_build")
        if place.is_dir():
            shutil.copytree(place, out / "course" / name, ignore=ignored)
        else:
            shutil.copy(place, out / "course" / name)
    book.book(out / "book")
    (out / "INSTALL.md").write_text(page(platform, python), encoding="utf-8")
    (out / "SHA256SUMS").write_text(sums(out), encoding="utf-8")
    typer.echo(
        f"{out}: {len(list(wheels.iterdir()))} packages for {platform}, Python {python}; see INSTALL.md"
    )


def chosen(lock: str, platform: str, python: str) -> str:
    """The lines of the lock that a system needs, versions and hashes, without their conditions."""
    from packaging.markers import Marker

    sys_platform, os_name, system, machine, _ = SYSTEMS[platform]
    environment = {
        "sys_platform": sys_platform, "os_name": os_name, "platform_system": system,
        "platform_machine": machine, "python_version": python, "python_full_version": f"{python}.0",
        "implementation_name": "cpython", "platform_python_implementation": "CPython", "extra": "",
    }  # fmt: skip
    kept = []
    for found in re.finditer(
        r"^(\S+==[^\s;]+)(?: ; ([^\\\n]+))? \\\n((?: +--hash=.*\n)+)", lock, re.MULTILINE
    ):
        name, marker, hashes = found.groups()
        if not marker or Marker(marker.strip()).evaluate(environment):
            kept.append(f"{name} \\\n{hashes}")
    return "".join(kept)


def commands(out: Path, platform: str, python: str) -> list[list[str]]:
    """What is run: pip fetches the wheels, by hash, from where it is set to; hatchling builds ours."""
    from tools import lock

    out = out.resolve()
    tags = [word for tag in SYSTEMS[platform][-1] for word in ("--platform", tag)]
    download = [lock._uv(), "tool", "run", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    download += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python, *tags]
    download += ["--dest", str(out / "wheels"), "--requirement", str(out / "requirements.txt")]
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out / "wheels")]
    return [download, build]


def page(platform: str, python: str) -> str:
    """How to install from the folder, for the system that it is for."""
    windows = platform == "windows"
    tools = "env\\Scripts\\" if windows else "env/bin/"
    check = "`Get-FileHash FILE` shows one." if windows else "`shasum -a 256 -c SHA256SUMS` compares."
    return PAGE.format(
        system=TITLES[platform],
        python=python,
        python_command=f"py -{python}" if windows else f"python{python}",
        pip=f"{tools}python -m pip",
        course=f"{tools}course",
        check=check,
    )


def sums(folder: Path) -> str:
    """The SHA-256 of every file in a folder, a line each, as `sha256sum` writes them."""
    lines = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / "SHA256SUMS":
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    return "".join(lines)
