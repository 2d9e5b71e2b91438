"""`course bundle`, without a network: what it would run, and what it writes."""

from __future__ import annotations

import hashlib
import re
import runpy
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from course_utils import cli
from course_utils.cli import _explorer, _notebooks, slides
from tools import bundle

LOCK = (bundle.ROOT / "requirements.lock").read_text(encoding="utf-8")
each_system = pytest.mark.parametrize("system", bundle.SYSTEMS)


def names(requirements: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+)==", requirements, re.MULTILINE))


def test_a_condition_decides_by_the_system_it_is_for() -> None:
    lock = (
        "everywhere==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via course-utils\n"
        "mac==2 ; sys_platform == 'darwin' \\\n    --hash=sha256:cc\n"
        "old==3 ; python_full_version < '3.12' \\\n    --hash=sha256:dd\n"
        "posix==4 ; os_name != 'nt' or (sys_platform != 'emscripten' and sys_platform != 'win32') \\\n"
        "    --hash=sha256:ee\n"
    )
    assert names(bundle.chosen(lock, "macos", "3.12")) == {"everywhere", "mac", "posix"}
    assert names(bundle.chosen(lock, "windows", "3.11")) == {"everywhere", "old"}
    first = bundle.chosen(lock, "windows", "3.13")
    assert first == "everywhere==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"


@each_system
def test_the_lock_is_taken_whole_but_for_other_systems(system: str) -> None:
    conditional = set(re.findall(r"^([\w.-]+)==\S+ ;", LOCK, re.MULTILINE))
    chosen = names(bundle.chosen(LOCK, system, "3.12"))
    assert names(LOCK) - conditional <= chosen <= names(LOCK)
    assert {"tensorflow", "keras", "jupyterlab", "hatchling"} <= chosen
    assert ("appnope" in chosen) == (system == "macos")


@each_system
def test_the_command_lines(system: str, tmp_path: Path) -> None:
    download, build = bundle.commands(tmp_path / "a folder", system, "3.13")
    assert download[1:5] == ["tool", "run", "pip", "download"]
    for word in ("--no-deps", "--require-hashes", "--only-binary=:all:"):
        assert word in download
    assert download[download.index("--python-version") + 1] == "3.13"
    tags = {download[i + 1] for i, word in enumerate(download) if word == "--platform"}
    assert tags == set(bundle.SYSTEMS[system][-1])
    assert download[download.index("--dest") + 1] == build[-1] == str(tmp_path / "a folder" / "wheels")
    assert not re.search(r"://|--index|--extra", " ".join([*download, *build])), "it names no host"


def test_a_bundle_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip and hatchling would fetch and build is a file of ours here."""
    asked = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        (tmp_path / "out" / "wheels" / f"part{len(asked)}.whl").write_bytes(b"wheel")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(bundle.subprocess, "run", run)
    monkeypatch.setattr(bundle.book, "book", lambda place: (place.mkdir(), (place / "index.html").touch()))
    monkeypatch.setattr(bundle, "COURSE", ("README.md", "course.py", "pyproject.toml", "notebooks"))
    out = tmp_path / "out"
    CliRunner().invoke(cli.build(), ["bundle", "--out", str(out)], catch_exceptions=False)
    assert len(asked) == 2
    listed = dict(reversed(line.split("  ")) for line in (out / "SHA256SUMS").read_text().splitlines())
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert set(listed) == files - {"SHA256SUMS"}
    assert {
        "INSTALL.md",
        "requirements.txt",
        "wheels/part1.whl",
        "course/course.py",
        "book/index.html",
    } <= files
    for name in ("INSTALL.md", "wheels/part2.whl"):
        assert listed[name] == hashlib.sha256((out / name).read_bytes()).hexdigest()


def test_a_bundle_has_what_the_commands_for_a_room_need() -> None:
    needed = [_explorer.PAGE, slides.REVEAL, bundle.ROOT / "docs" / "teachers.md", _notebooks.FOLDER]
    assert [path for path in needed if path.relative_to(bundle.ROOT).parts[0] not in bundle.COURSE] == []


@each_system
def test_the_page_speaks_to_its_system(system: str) -> None:
    text = bundle.page(system, "3.11")
    assert "://" not in text and "{" not in text
    assert ("env\\Scripts\\" in text) == ("py -3.11" in text) == (system == "windows")


def test_mistakes_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments in (["--platform", "beos"], ["--python", "3.9"]):
        outcome = CliRunner().invoke(cli.build(), ["bundle", "--out", str(tmp_path / "new"), *arguments])
        assert isinstance(outcome.exception, ValueError)
    outcome = CliRunner().invoke(cli.build(), ["bundle", "--out", str(tmp_path)])
    assert isinstance(outcome.exception, FileExistsError)


# ---- the project's own checks ----------------------------------------------------------------------------


def test_the_workflow_covers_systems_and_versions() -> None:
    jobs = yaml.safe_load((bundle.ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]
    systems = jobs["systems"]["strategy"]["matrix"]
    assert tuple(systems["python"]) == bundle.PYTHONS
    assert {name.split("-")[0] for name in systems["os"]} == {"ubuntu", "macos", "windows"}
    others = {each["versions"]: each["python"] for each in jobs["versions"]["strategy"]["matrix"]["include"]}
    known = runpy.run_path(str(bundle.ROOT / ".ci" / "versions"))["PYTHON"]
    assert others == {name: python for name, python in known.items() if name != "next"}
    weekly = yaml.safe_load((bundle.ROOT / ".github" / "workflows" / "weekly.yml").read_text("utf-8"))
    assert set(weekly["jobs"]["versions"]["strategy"]["matrix"]["versions"]) == set(known)
    lines = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    for line in (".ci/run", "python course.py test", "python .ci/versions ${{ matrix.versions }}"):
        assert line in lines


def test_the_next_python_may_install_a_copy(tmp_path: Path) -> None:
    """For `.ci/versions next` alone: the upper bound is left out, the checkout keeps it."""
    opened = runpy.run_path(str(bundle.ROOT / ".ci" / "versions"))["opened"]
    opened.__globals__["ROOT"] = tmp_path / "small"
    (tmp_path / "small").mkdir()
    settings = (bundle.ROOT / "pyproject.toml").read_text("utf-8")
    (tmp_path / "small" / "pyproject.toml").write_text(settings, "utf-8")
    copy = opened(tmp_path / "copy") / "pyproject.toml"
    assert re.findall(r'^requires-python = "(.+)"', copy.read_text("utf-8"), re.MULTILINE) == [">=3.11"]
    assert ",<3." in settings


def test_a_wheel_is_looked_at_before_it_is_published(tmp_path: Path) -> None:
    faults = runpy.run_path(str(bundle.ROOT / ".ci" / "wheel"))
    look, needed = faults["faults"], faults["NEEDED"]
    assert look(tmp_path, "0.2.0") == [f"0 wheels in {tmp_path}, one is asked for"]
    with zipfile.ZipFile(tmp_path / "course_utils-0.2.0-py3-none-any.whl", "w") as wheel:
        for name in needed:
            wheel.writestr(f"course_utils/_data/{name}", "")
    assert look(tmp_path, "0.2.0") == []
    assert "is not version 0.3.0" in look(tmp_path, "0.3.0")[0]
    with zipfile.ZipFile(tmp_path / "course_utils-0.2.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tools/bench.py", "")
    found = look(tmp_path, "0.2.0")
    assert len(found) == len(needed) + 1 and "tools/bench.py is not for readers" in found
    steps = yaml.safe_load((bundle.ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8"))["jobs"]
    lines = [step.get("run", "") for step in steps["build"]["steps"]]
    assert ".ci/run" in lines and any(".ci/wheel dist" in line for line in lines)
    assert steps["publish"]["permissions"] == {"id-token": "write"}


def test_the_hooks_are_what_ci_checks() -> None:
    """Each hook of ours stands in .ci/run, or is a variant of a command there; spelling is codespell's."""
    checked = (bundle.ROOT / ".ci" / "run").read_text("utf-8")
    config = yaml.safe_load((bundle.ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    spelling, ours = config["repos"]
    assert spelling["repo"].endswith("/codespell") and ours["repo"] == "local"
    hooks = ours["hooks"]
    assert hooks
    for hook in hooks:
        command = hook["entry"].removeprefix("python3 course.py ").removesuffix(" --force-exclude")
        assert f"check {command}" in checked
