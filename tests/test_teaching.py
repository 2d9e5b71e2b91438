"""What teachers and learners have beside the notebooks: solved copies, progress, a gallery."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from course_utils import cli, progress
from course_utils.exercises import frame


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "my" / "progress.json"
    monkeypatch.setenv("COURSE_PROGRESS", str(place))
    return place


def course(*arguments: str) -> str:
    outcome = CliRunner().invoke(cli.build(), arguments, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def answer(id: str) -> object:
    return frame.find(id).solution


# ---- solved notebooks ------------------------------------------------------------------------------------


def test_solutions_writes_a_solved_notebook(tmp_path: Path) -> None:
    said = course("solutions", "3", "--out", str(tmp_path))
    assert "exercises solved" in said
    path = tmp_path / "03_hypercolumns_solved.ipynb"
    solved = nbformat.read(path, as_version=4)
    nbformat.validate(solved)
    cells = {tag: cell for cell in solved.cells for tag in cell.metadata.get("tags", ())}
    for exercise in frame.exercises("03"):
        cell = cells[f"exercise-{exercise.id}"]
        assert exercise.source() in cell.source and "..." not in cell.source
        assert cell.source.endswith(f'check("{exercise.id}", {exercise.name})')
        assert not cell.outputs


def test_solutions_leaves_the_course_as_it_is(tmp_path: Path) -> None:
    from course_utils.cli import _notebooks

    before = {path: path.read_bytes() for path in _notebooks.find(["00"])}
    course("solutions", "00", "--out", str(tmp_path))
    assert all(path.read_bytes() == content for path, content in before.items())


# ---- progress --------------------------------------------------------------------------------------------


def test_a_right_answer_is_noted_once(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    id = next(each.id for each in frame.exercises("00") if callable(each.solution))
    frame.check(id, answer(id))
    assert list(progress.solved()) == [id]
    first = notes.read_bytes()
    frame.check(id, answer(id))
    assert notes.read_bytes() == first
    assert capsys.readouterr().out.count(f"{id} right.") == 2


def test_other_verdicts_are_not_noted(notes: Path) -> None:
    frame.check("00.1", ...)
    frame.check("00.1", "nonsense")
    frame.check("77.7", 1)
    assert not notes.exists()


def test_two_notebooks_share_the_file(notes: Path) -> None:
    progress.note("03.1")
    progress.note("00.2")
    assert list(json.loads(notes.read_text())["solved"]) == ["00.2", "03.1"]


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"solved": 3}', b'{"other": {}}'])
def test_a_damaged_file_is_begun_again(notes: Path, content: bytes) -> None:
    notes.parent.mkdir()
    notes.write_bytes(content)
    assert progress.solved() == {}
    progress.note("00.1")
    assert list(progress.solved()) == ["00.1"]


def test_a_failing_disk_does_not_disturb_a_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "file" / "progress.json"))
    id = next(each.id for each in frame.exercises("00") if callable(each.solution))
    frame.check(id, answer(id))
    said = capsys.readouterr()
    assert said.out.startswith(f"{id} right.") and not said.err


def test_nothing_is_noted_in_tests_and_renders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    assert progress.path() is None  # here, under pytest
    monkeypatch.delenv("PYTEST_VERSION", raising=False)
    assert progress.path() is not None and progress.path().name == "progress.json"
    monkeypatch.setenv("COURSE_PROGRESS", "off")
    assert progress.path() is None


def test_progress_tells_what_is_done_and_what_is_next(notes: Path) -> None:
    progress.note("00.1")
    lines = course("progress").splitlines()
    first, second = frame.exercises("00")[:2]
    assert lines[0].startswith("00  ●○") and lines[0].endswith(f"next: {second.id} {second.title}")
    total = sum(len(frame.exercises(number)) for number in frame.notebooks())
    assert f"1 of {total} exercises solved" in lines
    assert str(notes) in lines[-1] and first.id not in lines[0]


# ---- the gallery -----------------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[1]
GALLERY = sorted((ROOT / "docs" / "gallery").glob("*.jpg"))


def test_the_gallery_is_small_and_shown_with_words() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[(.*?)\]\((docs/gallery/.*?)\)", readme)
    shown = {target: alt for alt, target in pictures}
    assert sorted(shown) == [f"docs/gallery/{path.name}" for path in GALLERY]
    assert 4 <= len(GALLERY) <= 9
    assert all(path.stat().st_size < 60_000 for path in GALLERY)
    assert all(len(alt.split()) >= 6 for alt in shown.values())


def test_the_gallery_is_what_its_script_makes() -> None:
    source = (ROOT / "tools" / "make_gallery.py").read_text(encoding="utf-8")
    made = {path.stem for path in GALLERY if f'"{path.stem}": (poster_parts.' in source}
    made |= {f"colour_{name}" for name in ("grey", "true", "vivid") if f'"{name}"' in source}
    assert made == {path.stem for path in GALLERY}


# ---- minutes ---------------------------------------------------------------------------------------------


def test_minutes_by_section() -> None:
    from tools import timetable

    def cell(kind: str, source: str, *tags: str) -> dict[str, object]:
        return {"cell_type": kind, "source": source, "metadata": {"tags": [*tags]}}

    cells = [
        cell("markdown", "# A title\nfour words stand here <!-- and not these -->"),
        cell("code", "pip\ninstall", "install"),
        cell("code", "one\ntwo", "core"),
        cell("markdown", "## First\n" + "word " * 259),
        cell("code", "x = ...", "exercise-42.1", "core"),
        cell("markdown", "still core"),
        cell("markdown", "## Second"),
        cell("code", "\n".join("abcdefghij"), "exercise-42.2"),
    ]
    opening, first, second = timetable.sections(cells)
    assert [each.title for each in (opening, first, second)] == ["A title", "First", "Second"]
    assert opening.words == (6, 6) and opening.lines == (2, 2)
    assert first.words == (262, 262) and first.exercises == (1, 1)
    assert second.exercises == (1, 0) and second.words == (1, 0) and second.minutes(core=True) == (0, 0)
    assert second.minutes()[1] == timetable.EXERCISE and second.minutes()[0] == pytest.approx(1, abs=0.02)
    seconds = timetable.running(cells, [0, 9, 1.2, 0, 3, 0, 0, 7.9])
    assert seconds == {"A title": 10, "First": 3, "Second": 8}
    page = timetable.page(
        [("notebooks/42.ipynb", {"cells": cells, "metadata": {"course": {"seconds": seconds}}})]
    )
    assert "| Opening | 10 | 0 | 0 | 0 |" in page and "| Second | 8 | 1 | 7 | 0 |" in page
    assert "| **all** | 21 |" in page
    unmeasured = timetable.page([("notebooks/42.ipynb", {"cells": cells, "metadata": {}})])
    assert "| Second | – | 1 | 7 | 0 |" in unmeasured


def test_links_of_the_teachers_page_are_alive_in_the_repository() -> None:
    text = (ROOT / "docs" / "teachers.md").read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-")
        for h in re.findall(r"^#+ (.*)$", text, re.M)
    }
    targets = re.findall(r"\[([^\]]*)\]\(([^)]*)\)", text)
    assert targets
    for words, target in targets:
        assert words, f"a link to {target} has no words outside the book"
        if target.startswith("#"):
            assert target[1:] in headings
        elif not target.startswith("https://"):
            assert (ROOT / "docs" / target).is_file()
