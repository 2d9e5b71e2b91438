"""Files that are whole or not there, and two of everything at once."""

from __future__ import annotations

import ast
import errno
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from course_utils import files, progress
from course_utils.cli import _explorer, _notebooks, lab
from course_utils.pictures import video
from course_utils.training import checkpoints


def at_once(*tasks: Callable[[], Any]) -> list[BaseException]:
    """Run tasks in threads; returns what they raised."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(tasks))

    def guarded(task: Callable[[], Any]) -> None:
        start.wait()
        try:
            task()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three notebooks, and a course that has no others."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(_notebooks, "FOLDER", folder)
    for number in range(3):
        (folder / f"0{number}_name.ipynb").write_text('{"cells": []}')
    return sorted(folder.iterdir())


@pytest.mark.parametrize(
    ("number", "step"), [(errno.ENOSPC, "make room"), (errno.EACCES, "choose another folder")]
)
def test_what_cannot_be_written_is_named_with_the_next_step(tmp_path: Path, number: int, step: str) -> None:
    path = tmp_path / "a.bin"
    path.write_text("old")
    said = rf"could not write .*a\.bin: .*\. What was there .* kept; {step}$"
    with pytest.raises(OSError, match=said), files.replacing(path) as file:
        file.write(b"new")
        raise OSError(number, os.strerror(number))
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_file_that_somebody_else_writes_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.keras"
    with files.beside(path, ".keras") as part:
        assert part.suffix == ".keras" and part != path
        part.write_text("whole")
    with pytest.raises(RuntimeError), files.beside(path, ".keras") as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "whole" and list(path.parent.iterdir()) == [path]


def test_two_trainings_in_one_folder(tmp_path: Path) -> None:
    with (
        checkpoints.alone(tmp_path),
        pytest.raises(OSError, match=r"another training is writing into .*another --out folder"),
        checkpoints.alone(tmp_path),
    ):
        pass
    with checkpoints.alone(tmp_path):  # free again
        pass
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OSError, match=r"could not write .*file.*another folder"),
        checkpoints.alone(tmp_path / "file"),
    ):
        pass


def test_two_labs_and_two_resets_at_once(tmp_path: Path, sources: list[Path]) -> None:
    my = tmp_path / "my"
    assert not at_once(*[lambda: lab.copy(sources, my)] * 4)
    assert sorted(path.name for path in my.glob("*.ipynb")) == [path.name for path in sources]
    assert set(lab._started(my)) == {path.name for path in sources}
    (my / sources[0].name).write_text("mine")
    assert not at_once(*[lambda: lab.reset(["all"], my)] * 3)
    kept = [path.read_text() for path in (my / lab.OLD).rglob(sources[0].name)]
    assert kept.count("mine") == 1 and len(kept) == 3
    assert {path.name for path in my.glob("*.ipynb")} == {path.name for path in sources}


def test_a_full_disk_while_notebooks_are_copied(
    tmp_path: Path, sources: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    my, calls = tmp_path / "my", []

    def fsync(number: int) -> None:
        calls.append(number)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", fsync)
    with pytest.raises(OSError, match=r"could not write .*01_name\.ipynb: No space left.*make room"):
        lab.copy(sources, my)
    assert [path.name for path in my.glob("*.ipynb")] == [sources[0].name] and not list(my.glob("*.part"))
    assert lab.copy(sources, my) == [path.name for path in sources[1:]]


def test_exercises_solved_in_two_notebooks_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "new" / "progress.json"))
    ids = [f"0{number}.1" for number in range(8)]
    assert not at_once(*[lambda id=id: progress.note(id) for id in ids])
    assert list(progress.solved()) == ids


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_film_that_lacks_a_frame_is_not_kept(tmp_path: Path, suffix: str) -> None:
    """OpenCV goes on without a word when the disk is full."""
    path, frame = tmp_path / f"a{suffix}", np.zeros((32, 48, 3), np.uint8)
    for lost in (0, 1):
        try:
            with video.Writer(path, frame.shape[:2], 25) as film:
                for _ in range(5):
                    film.write(frame)
                film.written += lost
        except OSError as error:
            assert lost and "5 of 6 frames" in str(error) and "make room" in str(error)
        else:
            assert not lost
            before = path.read_bytes()
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_pages_of_the_explorer_are_whole_and_over_no_other_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {"index.html": b"1 " + _explorer.TITLE, "a/b.bin": Path(__file__)}
    _explorer.write(tmp_path, pages)
    _explorer.write(tmp_path, pages | {"index.html": b"2 " + _explorer.TITLE})
    assert (tmp_path / "index.html").read_bytes().startswith(b"2 ")

    def full(path: Path, content: bytes) -> None:
        path.open("wb").write(content[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as changed:
        changed.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match=r"could not write .*index\.html \(No space left.*make room"):
            _explorer.write(tmp_path, pages)
    assert (tmp_path / "index.html").read_bytes().startswith(b"2 ") and not list(tmp_path.glob(".*"))
    (tmp_path / "index.html").write_text("my own page")
    with pytest.raises(FileExistsError, match="another page"):
        _explorer.write(tmp_path, pages)


def test_a_film_in_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"could not write .*a\.avi: .*choose another folder"):
        video.Writer(tmp_path / "file" / "a.avi", (32, 48), 25)


WRITERS = {
    "files.py": "the one way to write",
    "pictures/video.py": "tries whether the disk takes one byte more",
    "runs.py": "fills a folder that takes the place of the old one when it is complete",
    "training/shipping.py": "copies a record that is whole, for maintainers",
    "downloads/fetching.py": "a download that goes on where it stopped",
    "downloads/assets.py": "a copy in the folder for unfinished things",
    "downloads/archives.py": "unpacks into a folder that is renamed when it is complete",
    "cli/_explorer.py": "runs before anything is installed, on the standard library alone",
}
CALLS = {
    "write_text",
    "write_bytes",
    "copyfile",
    "copytree",
    "copy2",
    "imwrite",
    "tofile",
    "savetxt",
    "savefig",
}


def written_at(path: Path) -> list[str]:
    """The calls in a module that write a file by themselves."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        words = [word for word in ast.walk(node) if isinstance(word, ast.Constant)]
        modes = [word.value for word in words if re.fullmatch(r"[wax]b?\+?", str(word.value))]
        if name in CALLS or (name == "open" and modes):
            found.append(f"{path.name}:{node.lineno} {name}")
    return found


def test_every_file_is_written_through_files() -> None:
    """So that what holds for it (whole or not there, a sentence on a full disk) holds for all commands."""
    package = Path(files.__file__).parent
    found = {path.relative_to(package).as_posix(): written_at(path) for path in package.rglob("*.py")}
    assert not {name: calls for name, calls in found.items() if calls and name not in WRITERS}
    assert found["runs.py"] and found["cli/_explorer.py"]  # the search finds what there is
