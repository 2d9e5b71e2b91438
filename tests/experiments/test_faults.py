"""The campaign of faults, in small: the course's way to write a file loses nothing, a plain one does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("fills a disk by a limit that Windows does not have", allow_module_level=True)

from course_utils import runs

SMALL = """
import sys
from pathlib import Path

from experiments import faults

faults.POINTS = 6
folder = Path(sys.argv[1])
for name, (file, write) in faults.WAYS.items():
    (folder / name).mkdir()
    found = faults.writing(folder / name, file, write).told()
    assert found["trials"] == 15 and found["interrupted"] and found["refused"], name
    assert found["lost"] == found["half_written"] == found["tracebacks"] == 0, (name, found)
(folder / "plain").mkdir()
assert faults.writing(folder / "plain", "a.bin", faults._plain).told()["half_written"] > 0
print("as it should be")
"""


def test_the_courses_way_loses_nothing_and_a_plain_one_does(project: Path, tmp_path: Path) -> None:
    """In a process of its own: a Ctrl-C must not hit what runs the tests."""
    command = [sys.executable, "-c", SMALL, str(tmp_path)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0 and "as it should be" in done.stdout, done.stderr


def test_what_was_recorded() -> None:
    run = runs.load("faults")
    for name, found in run.metrics.items():
        assert found["lost"] == found["half_written"] == found["tracebacks"] == 0, name
    assert run.baselines["plain_open"]["half_written"] > 0
