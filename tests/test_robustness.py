"""The cheapest notebook where a room full of laptops might put it: offline, read-only, in odd places, twice.

The memory that notebooks need is held by what `course render` measured.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
RUN = [sys.executable, "-m", "course_utils.cli", "run", "00"]
slow = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what running needs, in a folder whose name has spaces and letters beyond ASCII."""
    folder = tmp_path / "Kurs für Zoë – erster Tag"
    folder.mkdir()
    for name in ("course_utils", "data", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def settings(folder: Path, **changes: str | None) -> dict[str, str]:
    """The environment in which `folder` is the course, with an empty cache beside it."""
    values = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "COURSE_UTILS_CACHE": str(folder.parent / "cache"),
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


def runs(command: list[str], folder: Path, **changes: str | None) -> None:
    """Run a command in a folder; its one line must end in "ok"."""
    done = subprocess.run(
        command, cwd=folder, env=settings(folder, **changes), capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.strip().endswith("ok"), done.stdout + done.stderr


def in_namespace(kind: str, before: str) -> list[str]:
    """The command in a namespace of its own, after some shell commands in it; skips where that is refused."""
    command = ["unshare", "-r", kind, "sh", "-e", "-c"]
    if not shutil.which("unshare") or subprocess.run([*command, before], capture_output=True).returncode != 0:
        pytest.skip("needs Linux that lets users make namespaces")
    return [*command, f"{before}\nexec {shlex.join(RUN)}"]


def test_who_needs_more_than_four_gigabytes_is_named_to_teachers() -> None:
    """A machine of four gigabytes has 3.4 for a notebook; the system and a browser need the rest."""
    page = (ROOT / "docs" / "teachers.md").read_text(encoding="utf-8")
    measured = {
        path.name[:2]: nbformat.read(path, as_version=4).metadata["course"]["memory_gb"]
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    }
    large = [number for number, memory in measured.items() if memory > 3.4]
    found = re.search(r"Notebooks? ((?:\d\d(?:, | and )?)*) needs? a machine with eight", page)
    assert (re.findall(r"\d\d", found[1]) if found else []) == large


class TestRunning:
    pytestmark = slow

    def test_in_a_folder_with_spaces_without_home(self, checkout: Path) -> None:
        runs(RUN, checkout, HOME=None, USERPROFILE=None)

    def test_three_times_in_a_row_from_a_dirty_state(self, checkout: Path) -> None:
        (checkout / "my").mkdir()
        (checkout / "my" / "00_convolution_basics.ipynb").write_text("{not a notebook", encoding="utf-8")
        (checkout.parent / "cache").mkdir()
        (checkout.parent / "cache" / "half.part").write_bytes(b"\0" * 100)
        for _ in range(3):
            runs(RUN, checkout)

    def test_two_at_once(self, checkout: Path) -> None:
        both = [
            subprocess.Popen(RUN, cwd=checkout, env=settings(checkout), stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        said = [process.communicate()[0].strip() for process in both]
        assert all(text.endswith("ok") for text in said), said

    def test_without_a_network(self, checkout: Path) -> None:
        if not shutil.which("ip"):
            pytest.skip("needs `ip` to bring up the loopback alone")
        runs(in_namespace("-n", "ip link set lo up"), checkout)

    def test_in_a_read_only_checkout(self, checkout: Path) -> None:
        place = shlex.quote(str(checkout))
        before = f"mount --bind {place} {place}\nmount -o remount,ro,bind {place}\ncd {place}"
        runs(in_namespace("-m", f"{before}\n! touch new 2>/dev/null"), checkout)
