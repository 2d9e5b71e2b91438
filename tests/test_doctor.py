"""The doctor: a sound machine passes, and each thing that can be wrong is named with what to do."""

from __future__ import annotations

import shutil
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import psutil
import pytest
import typer
from typer.testing import CliRunner

from course_utils import runtime
from course_utils.cli import doctor
from course_utils.downloads import assets
from course_utils.pictures import images


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_UTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def run() -> tuple[int, str]:
    app = typer.Typer()
    doctor.register(app)
    result = CliRunner().invoke(app, [])
    return result.exit_code, result.output


def the_only(check: Callable[[], Iterator[doctor.Finding]], state: str) -> doctor.Finding:
    findings = [finding for finding in check() if finding.state == state]
    assert len(findings) == 1
    return findings[0]


def test_this_machine(tmp_path: Path) -> None:
    code, output = run()
    for what in (
        "python",
        "packages",
        "backend",
        "device",
        "pictures",
        "weights",
        "downloads",
        "memory",
        "disk",
    ):
        assert f" {what} " in output
    assert code == 0 and "The course can run here." in output, output
    assert not (tmp_path / "cache").exists()  # looking changes nothing


def test_the_exit_status_follows_the_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    def good() -> Iterator[doctor.Finding]:
        yield doctor.Finding("ok", "one", "[fine]")
        yield doctor.Finding("note", "two", "so so", "do [this]")

    def bad() -> Iterator[doctor.Finding]:
        yield doctor.Finding("missing", "three", "gone", "fetch it")

    def check_broken() -> Iterator[doctor.Finding]:
        raise RuntimeError("boom")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (good,))
    code, output = run()
    assert code == 0 and "[fine]" in output and "→ do [this]" in output
    monkeypatch.setattr(doctor, "CHECKS", (good, bad))
    code, output = run()
    assert code == 1 and "→ fetch it" in output and "one thing is missing" in output
    monkeypatch.setattr(doctor, "CHECKS", (check_broken, bad))
    code, output = run()
    assert code == 1 and "RuntimeError: boom" in output and "2 things are missing" in output


def test_python(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, state in (
        ((3, 10, 9), "missing"),
        ((3, 11, 0), "ok"),
        ((3, 13, 9), "ok"),
        ((3, 14, 0), "missing"),
    ):
        monkeypatch.setattr(sys, "version_info", version)
        the_only(doctor.check_python, state)


def test_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"numpy": "1.26.0", "keras": None, "jupyterlab": None, "sphinx": None}
    real = doctor.version_of
    monkeypatch.setattr(
        doctor, "version_of", lambda name: installed[name] if name in installed else real(name)
    )
    findings = list(doctor.check_packages())
    found = {finding.detail.split()[0]: finding for finding in findings}
    assert found["numpy"].state == found["keras"].state == "missing" and found["jupyterlab"].state == "note"
    assert "1.26.0" in found["numpy"].detail and "pip install" in found["numpy"].todo
    assert "sphinx" not in found and not any(finding.state == "ok" for finding in findings)


def test_tensorflow_is_not_needed_beside_another_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.version_of
    monkeypatch.setattr(doctor, "version_of", lambda name: None if name == "tensorflow" else real(name))
    assert "tensorflow" in the_only(doctor.check_packages, "missing").detail
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert "tensorflow" in the_only(doctor.check_packages, "note").detail


def test_not_installed_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    monkeypatch.setattr(doctor, "CHECKS", (doctor.check_packages,))
    code, output = run()
    assert code == 1 and "course-utils" in output


def test_backend_that_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("no module named tensorflow")

    monkeypatch.setattr(runtime, "load_keras", broken)
    finding = the_only(doctor.check_backend, "missing")
    assert "no module named tensorflow" in finding.detail and "KERAS_BACKEND" in finding.todo


def test_pictures_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(images._SAMPLES, "coffee", images.Sample("skimage", "data/gone.png", ""))
    finding = the_only(doctor.check_pictures, "missing")
    assert "coffee" in finding.detail and "scikit-image" in finding.todo


def test_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "shipped", lambda relative="": tmp_path / relative)
    assert "vgg16.npz" in the_only(doctor.check_weights, "missing").detail
    (tmp_path / "weights").mkdir()
    path = tmp_path / "weights" / "vgg16.npz"
    np.savez(path, kernel=np.arange(1000.0))
    assert "vgg16" in the_only(doctor.check_weights, "ok").detail
    path.write_bytes(path.read_bytes()[:2000])
    assert str(path) in the_only(doctor.check_weights, "missing").detail


def test_downloads_damaged_or_unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [finding.state for finding in doctor.check_downloads()] == ["ok"]
    asset = assets.lookup("imagenet_classes")
    folder = tmp_path / "cache" / asset.name
    folder.mkdir(parents=True)
    (folder / asset.file).write_bytes(b"?" * asset.bytes)
    finding = the_only(doctor.check_downloads, "note")
    assert "damaged" in finding.detail and "course fetch imagenet_classes" in finding.todo
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_UTILS_CACHE", str(tmp_path / "file" / "cache"))
    assert "COURSE_UTILS_CACHE" in the_only(doctor.check_downloads, "note").todo


@pytest.mark.parametrize(
    ("available", "total", "state"),
    [(8e9, 16e9, "ok"), (2e9, 4e9, "note"), (1e9, 8e9, "note"), (0.5e9, 1e9, "missing")],
)
def test_memory(monkeypatch: pytest.MonkeyPatch, available: float, total: float, state: str) -> None:
    memory = namedtuple("memory", "available total")(available, total)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    the_only(doctor.check_memory, state)


@pytest.mark.parametrize(
    ("free", "states"), [(9e9, ["ok", "ok"]), (0.5e9, ["note", "note"]), (1e6, ["missing", "note"])]
)
def test_disk(monkeypatch: pytest.MonkeyPatch, free: float, states: list[str]) -> None:
    usage = namedtuple("usage", "total used free")(1e12, 0, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert [finding.state for finding in doctor.check_disk()] == states
