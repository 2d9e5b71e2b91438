"""Nothing that a command writes may cost a person a file, and what can be refused is refused at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from course_utils import cli
from course_utils.cli import _notebooks, _outputs, train
from course_utils.pictures import images
from course_utils.segmentation import write_mask

GREY = np.full((8, 8, 3), 90.0, np.float32)


def photograph(path: Path) -> Path:
    """A picture that the course did not make."""
    Image.fromarray(GREY.astype(np.uint8)).save(path)
    return path


def test_pictures_of_ours_are_known(tmp_path: Path) -> None:
    for suffix in images.FORMATS:
        assert images.made_here(images.save(tmp_path / f"ours{suffix}", GREY))
        assert not images.made_here(photograph(tmp_path / f"theirs{suffix}"))
    assert images.made_here(write_mask(tmp_path / "mask.png", np.zeros((4, 4), np.uint8)))
    (tmp_path / "text.png").write_text("no picture")
    assert not images.made_here(tmp_path / "text.png")


def test_over_ours_only(tmp_path: Path) -> None:
    theirs, ours = photograph(tmp_path / "a.png"), images.save(tmp_path / "b.png", GREY)
    assert _outputs.file(ours) == ours
    with pytest.raises(FileExistsError, match="--overwrite"):
        _outputs.file(theirs)
    assert _outputs.file(theirs, overwrite=True) == theirs


def test_never_over_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = photograph(tmp_path / "holiday.png")
    monkeypatch.chdir(tmp_path)
    for named in ("holiday.png", str(photo), "./holiday.png"):
        with pytest.raises(ValueError, match="is the picture that is read"):
            _outputs.folder(tmp_path, ["holiday.png", "holiday_overlay.jpg"], inputs=[named], overwrite=True)
    assert _outputs.folder(tmp_path / "new", ["holiday.png"], inputs=["https://a.b/holiday.png"])


def test_tables_of_ours_are_known(tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text("file,class\r\na.png,cat\r\n")
    assert _outputs.file(table, first_line="file,class") == table
    with pytest.raises(FileExistsError, match="not made by this course"):
        _outputs.file(table, first_line="file,rank")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("x.gif", ValueError, r"name it \.png, \.jpg"),
        ("x" * 250 + ".png", ValueError, "at most 240 bytes"),
        ("folder.png", IsADirectoryError, "is a folder"),
        ("file/x.png", NotADirectoryError, "is a file, not a folder"),
    ],
)
def test_refused_at_once(tmp_path: Path, name: str, error: type[Exception], message: str) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match=message):
        _outputs.file(tmp_path / name, suffixes=(".png", ".jpg"))


def test_full_disk_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 3e6})
    monkeypatch.setattr(_outputs.shutil, "disk_usage", lambda place: usage)
    with pytest.raises(OSError, match="3 MB are free"):
        _outputs.file(tmp_path / "x.png")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="can't be written to"):
        _outputs.file(tmp_path / "new" / "x.png")


def test_a_notebook_by_its_path_is_that_file(tmp_path: Path) -> None:
    copy = tmp_path / _notebooks.find(["01"])[0].name
    with pytest.raises(FileNotFoundError, match="no notebook"):
        _notebooks.find([str(copy)], anywhere=True)
    copy.write_bytes(_notebooks.find(["01"])[0].read_bytes())
    assert _notebooks.find([str(copy)], anywhere=True) == [copy]
    with pytest.raises(ValueError, match="not one of the course's own"):
        _notebooks.find([str(copy)])


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_old_terminals_get_an_answer(encoding: str) -> None:
    for command in (["progress"], ["--help"]):
        code = f"import sys; sys.argv = ['course', *{command!r}]; from course_utils.cli import main; main()"
        found = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": encoding},
        )
        assert found.returncode == 0, found.stderr.decode(encoding)
        assert found.stdout


def test_a_training_is_refused_before_it_reads_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    own = tmp_path / "own"
    own.mkdir()
    (own / "weights.npz").write_text("of somebody else")

    def prepare(recipe: Any) -> Any:
        raise AssertionError("it has begun to work")

    monkeypatch.setitem(train.COMMANDS, "fcn", (prepare, "fcn"))
    for out, error, words in (
        (tmp_path / "file", NotADirectoryError, "is a file"),
        (tmp_path / "file" / "run", NotADirectoryError, "is a file, not a folder"),
        (own, FileExistsError, "no training has left it; choose another folder"),
        (tmp_path / "new", AssertionError, "begun to work"),
    ):
        done = CliRunner().invoke(cli.build(), ["train", "fcn", "--out", str(out)])
        assert isinstance(done.exception, error) and words in str(done.exception)
    (own / "state").mkdir()  # one of ours
    assert _outputs.run(own) == own


def test_what_a_stopped_training_has_left_is_said(tmp_path: Path) -> None:
    assert "begins anew" in train._stopped(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / ".lock").touch()
    assert "begins anew" in train._stopped(tmp_path)
    (tmp_path / "state" / "checkpoint.npz").touch()
    assert "--resume goes on" in train._stopped(tmp_path)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FloatingPointError("the loss became nan"), "the loss became nan"),
        (MemoryError("2 GB"), "there is not enough memory (2 GB)"),
    ],
)
def test_more_errors_are_told_in_one_line(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(cli, "build", lambda: fails)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1 and capsys.readouterr().err.startswith(f"course: {told}")
