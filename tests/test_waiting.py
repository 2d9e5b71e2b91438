"""The line under a cell that keeps its reader waiting."""

from __future__ import annotations

import json
from pathlib import Path

import nbclient
import nbformat
import pytest

from course_utils import waiting


def test_what_it_says() -> None:
    assert waiting.text(7.4, None) == "at work for 7 s"
    assert waiting.text(7, 20) == "at work for 7 s, about 13 s left"
    assert waiting.text(30, 20) == "at work for 30 s, about 20 s elsewhere"


def test_seconds_come_from_the_notebook_where_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert waiting.measured("one") is None
    path = tmp_path / "x.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    assert waiting.measured("one") is None
    path.write_text(json.dumps({"metadata": {"course": {"waits": {"one": 12}}}}))
    assert waiting.measured("one") == 12
    assert waiting.measured("two") is None
    path.write_text("[]")
    assert waiting.measured("one") is None


def test_no_line_where_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not waiting.wanted()  # pytest runs
    monkeypatch.delenv("PYTEST_VERSION")
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    assert waiting.wanted()
    monkeypatch.setenv("COURSE_PROGRESS", "off")
    assert not waiting.wanted()


def test_a_long_cell_has_the_line_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_VERSION")
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    sources = [
        "from course_utils import waiting; waiting.PATIENCE = 0.3; waiting.begin()",
        "import time; time.sleep(1)",
        "print('quick')",
        "1 / 0",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in sources])
    said: list[str] = []

    class Client(nbclient.NotebookClient):
        def process_message(self, msg, cell, cell_index):  # type: ignore[no-untyped-def]
            if msg["msg_type"] == "update_display_data":
                said.append(msg["content"]["data"]["text/html"])
            return super().process_message(msg, cell, cell_index)

    Client(notebook, kernel_name="python3", allow_errors=True).execute()
    first, long, quick, wrong = notebook.cells
    assert any("at work for" in each for each in said) and said[-1] == ""
    assert [output["data"]["text/html"] for output in long.outputs] == [""]
    assert not first.outputs and [each.output_type for each in quick.outputs] == ["stream"]
    assert [each.output_type for each in wrong.outputs] == ["error"]
