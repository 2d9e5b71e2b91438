"""The campaign of faults, in small: the course's way to write a file loses nothing, a plain one does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("fills a disk by a limit that Windows does not have", allow_module_level=True)

from course_utils import runs
from experiments import faults


def test_the_courses_way_loses_nothing_and_a_plain_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "POINTS", 6)
    for name, (file, write) in faults.WAYS.items():
        (tmp_path / name).mkdir()
        found = faults.writing(tmp_path / name, file, write).told()
        assert found["trials"] == 15 and found["interrupted"] and found["refused"], name
        assert found["lost"] == found["half_written"] == found["tracebacks"] == 0, (name, found)
    (tmp_path / "plain").mkdir()
    assert faults.writing(tmp_path / "plain", "a.bin", faults._plain).told()["half_written"] > 0


def test_what_was_recorded() -> None:
    run = runs.load("faults")
    for name, found in run.metrics.items():
        assert found["lost"] == found["half_written"] == found["tracebacks"] == 0, name
    assert run.baselines["plain_open"]["half_written"] > 0
