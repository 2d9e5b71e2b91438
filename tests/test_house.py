"""The house: what is installed where, and that its papers agree with one another."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from course_utils import __version__, runtime
from course_utils.cli import build
from tools import render

PYTHONS = tuple(runtime.project()["pythons"])


@pytest.fixture(scope="session")
def pyproject(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def pins(project: Path) -> list[tuple[Requirement, str]]:
    """Each pinned version of requirements.lock, and the comment that says who needs it."""
    text = (project / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    return [(Requirement(entry.split("\\\n")[0].strip()), entry) for entry in entries]


@pytest.fixture(scope="session")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    code = f"import hatchling.build as b; print(b.build_wheel({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=project, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


# ---- dependencies ----------------------------------------------------------------------------------------


def test_colab_keeps_its_own_versions(project: Path, pyproject: dict[str, Any]) -> None:
    lines = (project / ".ci" / "colab.txt").read_text(encoding="utf-8").splitlines()
    there = dict(line.replace(".*", ".0").split("==") for line in lines if not line.startswith("#"))
    for line in pyproject["project"]["dependencies"]:
        needed = Requirement(line)
        assert needed.name in there, f"{needed.name} is not in Colab: not for the core"
        assert needed.specifier.contains(Version(there[needed.name])), line
        assert not needed.extras and not needed.marker


def test_pythons(pyproject: dict[str, Any], project: Path) -> None:
    allowed = Requirement(f"python{pyproject['project']['requires-python']}").specifier
    assert [f"3.{minor}" for minor in range(8, 17) if allowed.contains(f"3.{minor}")] == list(PYTHONS)
    for python in PYTHONS:
        assert f"Programming Language :: Python :: {python}" in pyproject["project"]["classifiers"]
    (conda,) = re.findall(r"python=([\d.]+)", (project / "environment.yml").read_text())
    assert conda in PYTHONS
    for name in ("course.py", "README.md", ".github/workflows/ci.yml", "docs/teachers.md"):
        named = re.findall(r"\b3\.1\d\b", (project / name).read_text(encoding="utf-8"))
        assert set(named) <= {*PYTHONS, f"3.{int(PYTHONS[-1][2:]) + 1}"}, name


def test_one_version(pyproject: dict[str, Any], project: Path) -> None:
    """`course_utils/__init__.py` has it; the citation repeats it, the changes begin with what is new."""
    assert pyproject["project"]["dynamic"] == ["version"]
    assert f"version: {__version__}\n" in (project / "CITATION.cff").read_text(encoding="utf-8")
    first = re.findall(r"^## (.+)$", (project / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[0]
    assert first == "Unreleased" or first.startswith(f"{__version__} (20")


def test_conda_installs_the_project_and_nothing_of_its_own(project: Path) -> None:
    lines = (project / "environment.yml").read_text().split("dependencies:")[1].split("\n")
    assert [line.strip() for line in lines if line.strip()] == [
        "- python=3.12",
        "- pip",
        "- pip:",
        "- -e .[lab,test]",
    ]


def test_lock_holds_what_the_project_asks_for(
    pyproject: dict[str, Any], pins: list[tuple[Requirement, str]]
) -> None:
    """Without a network; `course lock --check` says whether it would be written the same again."""
    extras = pyproject["project"]["optional-dependencies"].values()
    asked = [Requirement(line) for lines in (pyproject["project"]["dependencies"], *extras) for line in lines]
    direct = {pin.name for pin, entry in pins if "course-utils (pyproject.toml)" in entry}
    assert direct == {requirement.name for requirement in asked}
    for requirement in asked:
        versions = [_version(pin) for pin, _ in pins if pin.name == requirement.name]
        assert versions and all(requirement.specifier.contains(version) for version in versions), requirement


def test_lock_pins_with_hashes_and_names_no_host(project: Path, pins: list[tuple[Requirement, str]]) -> None:
    assert len(pins) > 100
    for pin, entry in pins:
        assert _version(pin) and re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert not re.search(r"://|--index|--find-links|file:", (project / "requirements.lock").read_text())


def test_lock_has_every_python_and_system(pins: list[tuple[Requirement, str]]) -> None:
    """Each pin applies somewhere, and TensorFlow's applies everywhere that the course runs."""
    systems = [("linux", "Linux"), ("darwin", "Darwin"), ("win32", "Windows")]
    where = [
        {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": system}
        | {"platform_system": name, "platform_machine": "arm64" if system == "darwin" else "x86_64"}
        for python in PYTHONS
        for system, name in systems
    ]
    for place in where:
        names = [pin.name for pin, _ in pins if not pin.marker or pin.marker.evaluate(place)]
        assert {"tensorflow", "keras", "numpy", "jupyterlab", "pytest"} <= set(names), place
        assert len(set(names)) == len(names), place


def _version(pin: Requirement) -> Version:
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    return Version(specifier.version)


# ---- course.py -------------------------------------------------------------------------------------------


def test_course_py_reads_on_old_pythons_and_needs_nothing(project: Path) -> None:
    text = (project / "course.py").read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert modules <= set(sys.stdlib_module_names)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 100


UV = """#!/bin/sh
echo "$@" >>"$UV_LOG"
case "$*" in
    *fail*) ;;
    "python find"*) [ -n "$UV_FOUND" ] && echo "$UV_FOUND"; exit 0 ;;
    venv*) for last; do :; done
        mkdir -p "$last/bin"
        printf '#!/bin/sh\\necho "course $@"' >"$last/bin/course"
        chmod +x "$last/bin/course" ;;
    *--require-hashes*) exit "${UV_FAILS:-0}" ;;
esac
"""


@pytest.fixture
def checkout(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with course.py and what it reads, and a `uv` that only writes down what it is asked for."""
    folder = tmp_path / "a ché́ckout"
    folder.mkdir()
    for name in ("course.py", "requirements.lock", "pyproject.toml"):
        (folder / name).write_bytes((project / name).read_bytes())
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "uv").write_text(UV)
    (tools / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("UV_LOG", str(tmp_path / "log"))
    return folder


def start(checkout: Path, *arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    command = [python, str(checkout / "course.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd="/")


def asked(checkout: Path) -> list[str]:
    """What `uv` was asked for since the last look."""
    log = checkout.parent / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line.split()[0] for line in lines if line != "--version"]


posix = pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a shell script")


@posix
def test_installs_once_then_only_runs(checkout: Path) -> None:
    assert start(checkout).stdout == "course lab\n"
    assert asked(checkout) == ["venv", "pip", "pip"]
    assert start(checkout, "run", "a b").stdout == "course run a b\n"
    assert start(checkout, "exec", "sh", "-c", "echo $VIRTUAL_ENV").stdout == f"{checkout / '.venv'}\n"
    assert start(checkout, "exec", "sh", "-c", "exit 7").returncode == 7
    assert asked(checkout) == []
    nothing = start(checkout, "exec", "no-such-thing")
    assert nothing.returncode == 1 and "no-such-thing: no such command" in nothing.stderr


def test_a_folder_that_is_too_deep_for_windows_is_told(project: Path) -> None:
    course = runpy.run_path(str(project / "course.py"), run_name="read")
    folder = "C:\\Users\\Zoé Müller\\OneDrive - A School\\Desktop\\course"
    deep = folder + "\\lessons" * 3
    assert f"has {len(deep)} letters" in course["long_path"](deep)
    assert course["long_path"]("C:\\course") == ""
    below = ".venv\\Lib\\site-packages\\"
    files = importlib.metadata.distribution("tensorflow").files or ()
    assert len(below) + max(len(str(file)) for file in files) < course["DEEPEST"]


def test_every_name_is_one_on_every_system(project: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=project, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git here")
    names = [name for name in listed.stdout.split("\0") if name]
    reserved = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$|.*[<>:\"|?*\\]|.*[. ]$", re.IGNORECASE)
    parts = {part for name in names for part in name.split("/")}
    assert [part for part in parts if reserved.match(part)] == []
    assert len({name.lower() for name in names}) == len(names) > 300
    assert max(map(len, names)) < 100


@posix
def test_explore_needs_no_installation(checkout: Path) -> None:
    page = checkout / "course_utils" / "cli" / "_explorer.py"
    page.parent.mkdir(parents=True)
    page.write_text("import sys; print(*sys.argv[1:])")
    assert start(checkout, "explore", "--lan").stdout == "--lan\n"
    assert asked(checkout) == []
    start(checkout)
    assert start(checkout, "explore", "--lan").stdout == "course explore --lan\n"


@posix
def test_installs_again_when_it_must(checkout: Path) -> None:
    start(checkout)
    asked(checkout)
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    start(checkout)
    assert asked(checkout) == ["pip"]  # only the project itself
    with (checkout / "requirements.lock").open("a") as file:
        file.write("# changed\n")
    start(checkout)
    assert asked(checkout) == ["venv", "pip", "pip"]
    moved = checkout.rename(checkout.with_name("elsewhere"))
    start(moved)
    assert asked(moved) == ["venv", "pip", "pip"]


@posix
def test_an_interrupted_installation_is_repaired(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(checkout)
    monkeypatch.setenv("UV_FAILS", "2")
    with (checkout / "requirements.lock").open("a") as file:
        file.write("# changed\n")
    for _ in range(2):
        asked(checkout)
        failed = start(checkout)
        assert failed.returncode == 1 and "The same command again repairs it" in failed.stderr
        assert asked(checkout) == ["venv", "pip"]
    monkeypatch.delenv("UV_FAILS")
    assert start(checkout).stdout == "course lab\n"
    assert asked(checkout) == ["venv", "pip", "pip"]


@posix
def test_without_uv_and_without_pip_says_what_to_do(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (checkout / "pip.py").write_text("raise SystemExit('no pip here')")
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    found = start(checkout)
    assert found.returncode == 1
    assert "uv could not be installed" in found.stderr and "apt install python3-pip" in found.stderr


# ---- the package -----------------------------------------------------------------------------------------


def test_importing_the_package_loads_no_framework() -> None:
    heavy = "('numpy', 'keras', 'tensorflow', 'matplotlib')"
    code = f"import sys, course_utils; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_wheel_carries_what_data_ships(project: Path, wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(["git", "ls-files", "data"], cwd=project, capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        assert f"course_utils/_data/{line.removeprefix('data/')}" in names
    assert all(name.startswith(("course_utils/", "course_utils-")) for name in names)
    assert "course_utils/_data/pyproject.toml" in names
    assert {f"course_utils/_data/explorer/{name}" for name in ("index.html", "engine.wasm")} <= set(names)
    assert wheel.stat().st_size < 60e6


def test_installed_from_the_wheel_it_finds_its_data(wheel: Path, tmp_path: Path) -> None:
    """As in Colab: the package somewhere in site-packages, no checkout anywhere near."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import json, course_utils\n"
        "from course_utils import runtime\n"
        "classes = json.loads(runtime.shipped('tiny_imagenet_classes.json').read_text())\n"
        "print(json.dumps([course_utils.__file__, len(classes), runtime.project()['repository']]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    file, classes, repository = json.loads(found.stdout)
    assert Path(file).is_relative_to(tmp_path / "site")
    assert classes == 200 and repository.startswith("https://")


def test_readme_names_the_repository_and_its_notebooks(project: Path, pyproject: dict[str, Any]) -> None:
    text = (project / "README.md").read_text(encoding="utf-8")
    assert pyproject["tool"]["course"]["repository"] in text
    assert render.table(text) == text, "`course render --links` writes README's table"
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (project / target).exists(), target
    commands = set(re.findall(r"(?:^|`)(?:python3 course\.py|course) ([a-z][a-z-]*)", text, re.MULTILINE))
    assert {"lab", "run", "test"} <= commands
    assert commands <= {command.name for command in build().registered_commands}


def test_no_address_of_a_workplace_in_committed_files(project: Path) -> None:
    """Paths and hosts of whoever wrote a file help no reader."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=project, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    readable = {".py", ".md", ".toml", ".ipynb", ".json", ".yml", ".csv", ".lock", ".cfg"}
    home = re.compile(rb"/(root|home/[a-z]+|Users/[A-Za-z]+|work)/[\w.]")
    for name in filter(None, listed.stdout.split("\0")):
        path = project / name
        if path.is_file() and path.suffix in readable:
            found = home.search(path.read_bytes())
            assert not found or path == Path(__file__), (name, found)


def test_photographs_under_cc_by_name_their_authors_where_they_are_shown(project: Path) -> None:
    from course_utils.pictures import images

    credits = [images.credit(name) for name in images.SAMPLES if "CC BY" in images.credit(name)]
    assert len(credits) == 2
    for page in ("README.md", "docs/index.md", "docs/explorer/photographs.json"):
        text = (project / page).read_text(encoding="utf-8")
        for credit in credits:
            assert credit.split(",")[0] in text and "CC BY 2.0" in text, (page, credit)
