"""`course check-room`: the code tells two rooms apart, and a laptop that is not ready says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from course_utils import runtime
from course_utils.cli import _notebooks, check_room, doctor


def run(*words: str) -> tuple[int, str]:
    app = typer.Typer()
    check_room.register(app)
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.output


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights of its own, one file."""
    (tmp_path / "a.npz").write_bytes(b"one")
    monkeypatch.setattr(runtime, "shipped", lambda name: tmp_path)
    monkeypatch.setattr(doctor, "examine", lambda: iter(()))
    return tmp_path


def outcome(monkeypatch: pytest.MonkeyPatch, failure: str | None) -> None:
    monkeypatch.setattr(
        _notebooks, "execute", lambda *given, **more: _notebooks.Outcome(61.0, 812.0, failure)
    )


def test_the_same_laptop_says_the_same_code(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome(monkeypatch, None)
    status, first = run()
    assert status == 0
    assert f"READY {check_room.code('00_convolution_basics')}" in first
    assert "00 ran in 2 min, 0.9 GB" in first
    assert run()[1] == first


def test_other_weights_another_notebook_other_packages_another_code(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = {check_room.code("00_convolution_basics"), check_room.code("01_vgg16")}
    (weights / "a.npz").write_bytes(b"two")
    codes.add(check_room.code("00_convolution_basics"))
    monkeypatch.setattr(doctor, "version_of", lambda name: "0.0")
    codes.add(check_room.code("00_convolution_basics"))
    assert len(codes) == 4


def test_not_ready(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome(monkeypatch, "cell 3 of 9: MemoryError")
    status, said = run()
    assert status == 1 and "NOT READY" in said and "cell 3 of 9" in said and "READY " not in said[:5]
    outcome(monkeypatch, None)
    lacking = doctor.Finding("missing", "disk", "0.0 GB free", "make room")
    monkeypatch.setattr(doctor, "examine", lambda: iter([lacking]))
    status, said = run()
    assert status == 1 and "missing: disk" in said and "make room" in said
