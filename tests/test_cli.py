"""The commands around the notebooks, tried on tiny ones: lab, reset, run, render, test, lock."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import queue
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import nbformat
import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from course_utils import cli, runtime
from course_utils.cli import _notebooks, lab, run
from course_utils.cli import test as testing
from tools import render, timetable

HEAD = "# {title}\n<!-- badge --><!-- /badge -->\n\nText. <!-- measured --><!-- /measured -->"


def course(*arguments: str) -> Result:
    return CliRunner().invoke(cli.build(), list(arguments))


def notebook(*sources: str, title: str = "A title") -> Any:
    """A notebook with the head, the install cell, and cells of code."""
    cells = [nbformat.v4.new_markdown_cell(HEAD.format(title=title))]
    cells += [nbformat.v4.new_code_cell("", metadata={"tags": ["install"]})]
    return nbformat.v4.new_notebook(cells=cells + [nbformat.v4.new_code_cell(source) for source in sources])


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small course: two notebooks and a README with their table."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(notebook("a = 6", "a * 7"), folder / "00_good.ipynb")
    bad = notebook("x = 1", "# a comment\nx / 0", "print('not reached')")
    nbformat.write(bad, folder / "01_bad.ipynb")
    rows = "| 00 | Good | nothing | | |\n| 01 | Bad | less | | |\n| 02 | Later | more | | |\n"
    (tmp_path / "README.md").write_text(f"# The course\n\n{rows}\nThe end.\n")
    monkeypatch.setattr(_notebooks, "FOLDER", folder)
    monkeypatch.setattr(render, "README", tmp_path / "README.md")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# ---- the command -----------------------------------------------------------------------------------------


def test_help_loads_no_framework_and_lists_the_commands() -> None:
    code = (
        "import sys; sys.argv = ['course', '--help']\n"
        "from course_utils.cli import main\n"
        "try: main()\n"
        "except SystemExit: print({'keras', 'tensorflow', 'matplotlib'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.rstrip().endswith("set()")
    for command in ("lab", "reset", "run", "test", "render", "bench", "train", "lock"):
        assert f" {command} " in shown


@pytest.mark.parametrize("command", sorted(c.name for c in cli.build().registered_commands if c.name))
def test_every_command_has_help(command: str) -> None:
    shown = course(command, "--help")
    assert shown.exit_code == 0
    assert len(shown.output.split("Usage:")[1].split()) > 10


def test_errors_are_one_line() -> None:
    command = [sys.executable, "-m", "course_utils.cli", "bench", "no_such_bench"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 1
    assert found.stderr.startswith("course: no bench ") and found.stderr.count("\n") == 1


def test_a_place_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    from course_utils import files

    (tmp_path / "file").write_text("x")
    for below in ("file/a.csv", "file/a/b.csv"):
        with pytest.raises(OSError) as caught, files.replacing(tmp_path / below):
            pass
        told = cli._told(caught.value)
        assert told.startswith(f"could not write {tmp_path / below}: ") and "Errno" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    try:
        (tmp_path / "none").read_text()
    except OSError as error:
        assert cli._told(error) == f"{tmp_path / 'none'}: No such file or directory"


# ---- finding notebooks -----------------------------------------------------------------------------------


def test_find(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = house / "notebooks" / "00_good.ipynb", house / "notebooks" / "01_bad.ipynb"
    assert _notebooks.find() == _notebooks.find(["all"]) == [good, bad]
    for word in ("1", "01", "01_bad", str(bad)):
        assert _notebooks.find([word]) == [bad]
    assert _notebooks.find(["1", "0", "00"]) == [good, bad]
    with pytest.raises(ValueError, match="no notebook '7'; there are: 00_good, 01_bad"):
        _notebooks.find(["7"])
    monkeypatch.setattr(_notebooks, "FOLDER", house / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"the one with course\.py"):
        _notebooks.find()


# ---- run -------------------------------------------------------------------------------------------------


def test_run_reports_each_and_names_the_failing_cell(house: Path) -> None:
    before = contents(house)
    result = course("run", "--html", str(house / "out"))
    good, _, bad, _ = result.output.splitlines()
    assert good.startswith("00_good ") and good.endswith("MB  ok")
    assert bad.startswith("01_bad ")
    assert bad.endswith("failed in cell 4 of 5 (“# a comment”): ZeroDivisionError: division by zero")
    assert result.exit_code == 1
    after = contents(house)
    assert {path: after[path] for path in before} == before
    page = (house / "out" / "00_good.html").read_text()
    assert "A title" in page and "42" in page
    assert not re.search(r"https?://[^\s\"']*(cdn|mathjax|require|mermaid)", page), (
        "something would be fetched"
    )


def test_memory_time_and_folder_of_a_run(tmp_path: Path) -> None:
    book = notebook(
        "import os, time; from pathlib import Path",
        "block = b'x' * 300_000_000; time.sleep(0.5); del block",
        "Path('made.txt').write_text(os.environ['A_VARIABLE'])",
    )
    seen: list[tuple[int, int]] = []
    outcome = _notebooks.execute(book, tmp_path, {"A_VARIABLE": "7"}, on_cell=lambda *done: seen.append(done))
    assert outcome.failure is None
    assert 300 < outcome.peak_mb < 900 and outcome.seconds > 0.5
    assert (tmp_path / "made.txt").read_text() == "7"
    assert seen == [(done, 5) for done in range(6)]


def test_a_dead_or_endless_cell_is_named(tmp_path: Path) -> None:
    dead = _notebooks.execute(notebook("import os", "os._exit(9)"), tmp_path)
    assert dead.failure == "cell 4 of 4 (“os._exit(9)”): the kernel died (out of memory?)"
    endless = _notebooks.execute(notebook("while True: pass"), tmp_path, timeout=1)
    assert endless.failure == "cell 3 of 3 (“while True: pass”): took longer than 1 s"


def test_a_message_that_nobody_announced_is_found_all_the_same() -> None:
    """A channel whose poll sees what has come only when its time is over, as after a lost wake-up."""

    class Channel:
        arrives = 3
        asked: ClassVar[list[float]] = []

        async def get_msg(self, timeout: float) -> str:
            self.asked.append(timeout)
            if len(self.asked) < self.arrives:
                raise queue.Empty
            return "a message"

    channel = Channel()
    _notebooks._look_again(channel)
    assert asyncio.run(channel.get_msg(timeout=600)) == "a message" and channel.asked == [1, 1, 1]
    channel.asked.clear()
    assert asyncio.run(channel.get_msg(timeout=None)) == "a message" and channel.asked == [1, 1, 1]
    channel.arrives = 99
    with pytest.raises(queue.Empty):
        asyncio.run(channel.get_msg(timeout=0.5))


@pytest.mark.parametrize(
    ("seconds", "megabytes", "minutes", "gigabytes"),
    [(5, 90, 1, 0.1), (60, 1000, 1, 1.0), (61, 1001, 2, 1.1), (299, 1349, 5, 1.4)],
)
def test_figures_are_rounded_up(seconds: float, megabytes: float, minutes: int, gigabytes: float) -> None:
    outcome = _notebooks.Outcome(seconds, megabytes, None)
    assert (outcome.minutes, outcome.gigabytes) == (minutes, pytest.approx(gigabytes))


# ---- lab and reset ---------------------------------------------------------------------------------------


def test_copies_are_made_once_and_never_overwritten(house: Path) -> None:
    mine = house / "my"
    assert lab.copy(_notebooks.find(), mine) == ["00_good.ipynb", "01_bad.ipynb"]
    (mine / "00_good.ipynb").write_text("what I wrote")
    (mine / "01_bad.ipynb").unlink()
    assert lab.copy(_notebooks.find(), mine) == ["01_bad.ipynb"]
    assert (mine / "00_good.ipynb").read_text() == "what I wrote"
    names = sorted(path.name for path in mine.iterdir())
    assert names == [lab.LOCK, lab.STARTED, "00_good.ipynb", "01_bad.ipynb"]


def test_reset_keeps_every_old_copy(house: Path) -> None:
    mine = house / "my"
    lab.copy(_notebooks.find(), mine)
    for text in ("first", "second"):
        (mine / "00_good.ipynb").write_text(text)
        assert course("reset", "0", "--folder", str(mine)).exit_code == 0
    kept = sorted((mine / "old").rglob("*.ipynb"))
    assert [path.read_text() for path in kept] == ["first", "second"]
    assert (mine / "00_good.ipynb").read_bytes() == (house / "notebooks" / "00_good.ipynb").read_bytes()
    assert not [path for path in kept if path.name.startswith("01")]


def test_the_next_group_inherits_nothing(house: Path) -> None:
    mine = house / "my"
    lab.copy(_notebooks.find(), mine)
    (mine / "progress.json").write_text("{}")
    (mine / "holiday.jpg").write_bytes(b"")
    assert course("reset", "all", "--next-group", "--folder", str(mine)).exit_code == 0
    assert sorted(path.name for path in mine.iterdir()) == [
        lab.LOCK,
        lab.STARTED,
        "00_good.ipynb",
        "01_bad.ipynb",
        "old",
    ]
    put_away = {path.name for path in (mine / "old").rglob("*") if path.is_file()}
    assert put_away == {"00_good.ipynb", "01_bad.ipynb", "progress.json", "holiday.jpg"}


def test_a_newer_notebook_is_announced_a_rendered_one_is_not(house: Path) -> None:
    lab.copy(_notebooks.find(), house / "my")
    good = house / "notebooks" / "00_good.ipynb"
    book = nbformat.read(good, 4)
    book.cells[-1].outputs = [nbformat.v4.new_output("stream", text="42")]
    nbformat.write(book, good)
    assert lab.outdated(house / "my") == []
    book.cells[-1].source = "a * 8"
    nbformat.write(book, good)
    assert lab.outdated(house / "my") == ["00_good"]


def test_lab_starts_jupyterlab_on_the_copies(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labapp = pytest.importorskip("jupyterlab.labapp")
    started: list[list[str]] = []
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(labapp, "main", lambda: started.append(list(sys.argv)))
    mine = house / "my"
    course("lab", "--folder", str(mine), "--no-browser", "--port", "9", "--IdentityProvider.token=x")
    root, first = f"--ServerApp.root_dir={mine}", "--LabApp.default_url=/lab/tree/00_good.ipynb"
    ours = [argument for argument in started[0] if argument not in (*lab.SETTINGS, "--allow-root")]
    assert ours == ["jupyter-lab", root, first, "--no-browser", "--port=9", "--IdentityProvider.token=x"]
    assert set(lab.SETTINGS) <= set(started[0])


def test_lab_for_a_projector_shows_figures_larger(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labapp = pytest.importorskip("jupyterlab.labapp")
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(labapp, "main", lambda: None)
    monkeypatch.setenv("COURSE_SCALE", "")
    course("lab", "--folder", str(house / "my"))
    assert not os.environ["COURSE_SCALE"]
    course("lab", "--folder", str(house / "my"), "--projector")
    code = (
        "from course_utils.pictures import plots as p; figure = p.canvas()[0]; print(p.compact(figure)[2][0])"
    )
    widths = [
        int(subprocess.check_output([sys.executable, "-c", code], env={**os.environ, "COURSE_SCALE": scale}))
        for scale in ("", os.environ["COURSE_SCALE"])
    ]
    assert widths[1] == pytest.approx(float(lab.PROJECTOR) * widths[0], abs=3) and widths[1] > 1100


# ---- render ----------------------------------------------------------------------------------------------


def picture(kind: str) -> bytes:
    """A PNG that compresses badly: a noisy photograph, or a drawing in few colours."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:300, :400]
    if kind == "photograph":
        smooth = np.stack([rows / 300, columns / 400, (rows + columns) / 700], axis=-1)
        pixels = np.clip(smooth * 230 + rng.normal(0, 4, (300, 400, 3)), 0, 255)
    else:
        pixels = np.stack([rng.integers(0, 4, (300, 400)) * 60] * 3, axis=-1)
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "PNG", compress_level=1)
    return out.getvalue()


def test_long_cells_are_noted_with_their_seconds() -> None:
    cells = [nbformat.v4.new_code_cell(source, id=f"c{k}") for k, source in enumerate(("quick()", "long(1)"))]
    head = nbformat.v4.new_markdown_cell("<!-- measured --><!-- /measured -->")
    notebook = nbformat.v4.new_notebook(cells=[head, *cells])
    render.note(notebook, _notebooks.Outcome(50, 900, None, (0.0, 0.1, 12.2)))
    assert notebook.metadata["course"]["waits"] == {"c1": 12}


def test_render_executes_in_place_and_fills_in(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = house / "notebooks" / "00_good.ipynb", house / "notebooks" / "01_bad.ipynb"
    book = nbformat.read(good, 4)
    book.cells[2].source = "import os; from pathlib import Path; import ipywidgets"
    book.cells[3].source = (
        "cache = list(Path(os.environ['COURSE_UTILS_CACHE']).iterdir())\n"
        "print('\\x1b[1m' + os.environ['ONEDNN_MAX_CPU_ISA'] + '\\x1b[0m', cache)\n"
        "number = ipywidgets.IntSlider()\n"
        "shown = ipywidgets.interactive_output(lambda number: print(number), {'number': number})\n"
        "ipywidgets.VBox([number, shown])"
    )
    nbformat.write(book, good)
    monkeypatch.setenv("COURSE_UTILS_CACHE", str(house))
    untouched = bad.read_bytes()
    result = course("render")
    assert result.exit_code == 1 and "failed in cell 4" in result.output
    assert bad.read_bytes() == untouched

    after = nbformat.read(good, 4)
    assert [cell.id for cell in after.cells] == [cell.id for cell in book.cells]
    assert after.cells[1].source == render.install_cell() and after.cells[1].outputs == []
    facts = after.metadata.course
    assert facts.minutes >= 1 and 0 < facts.memory_gb < 1
    assert list(facts.seconds) == [timetable.sections(after.cells)[0].title]
    assert render.badge("00_good.ipynb") in after.cells[0].source
    assert render.measured(facts) in after.cells[0].source
    stream, slider = after.cells[3].outputs
    assert stream.text == "AVX2 []\n"
    assert list(slider.data) == ["text/plain"] and "IntSlider" in slider.data["text/plain"]
    assert set(after.metadata) == {"kernelspec", "language_info", "course"}
    assert all("execution" not in cell.metadata for cell in after.cells)
    readme = (house / "README.md").read_text()
    figures = f"{facts.minutes} | {facts.memory_gb:g} GB"
    row = f"| nothing | – | {figures} | [open]({render.colab('00_good.ipynb')}) |"
    assert f"| 00 | [Good](notebooks/00_good.ipynb) {row}\n" in readme
    assert "| 02 | Later | more | | coming | | |\n\nThe end." in readme


@pytest.mark.parametrize(
    ("head", "numbers"),
    [
        ("**What you need:** Python (notebooks 01 and 00), maps (notebook 02).", "00, 01, 02"),
        ("After notebook 03. **What you need:** nothing.", ""),
    ],
)
def test_what_comes_before_is_read_from_the_first_cell(head: str, numbers: str) -> None:
    assert render.needs(head) == numbers


def test_minutes_and_memory_in_words() -> None:
    assert render.measured(None) == ""
    assert "takes less than a minute and 0.4 GB" in render.measured({"minutes": 1, "memory_gb": 0.4})
    assert "takes about 2 minutes and 1 GB" in render.measured({"minutes": 2, "memory_gb": 1.0})


def test_render_check_runs_nothing_and_says_what_is_old(house: Path) -> None:
    (house / "notebooks" / "01_bad.ipynb").unlink()
    before = contents(house)
    stale = course("render", "--check")
    assert stale.exit_code == 1 and contents(house) == before
    assert "00_good.ipynb: the install cell is out of date" in stale.output
    assert "README.md: minutes and memory are out of date" in stale.output
    assert course("render", "--links").exit_code == 0
    fresh = course("render", "--check")
    assert (fresh.exit_code, fresh.output) == (0, "")
    assert nbformat.read(house / "notebooks" / "00_good.ipynb", 4).cells[-1].execution_count is None


@pytest.mark.parametrize("missing", ["install", "badge", "measured"])
def test_a_place_that_is_missing_is_named(missing: str) -> None:
    book = notebook("1")
    if missing == "install":
        del book.cells[1]
    else:
        book.cells[0].source = book.cells[0].source.replace(f"<!-- {missing} -->", "")
    with pytest.raises(ValueError, match=f"09_x.ipynb: .*{missing}"):
        render.refresh(book, "09_x.ipynb")


def test_the_install_cell_installs_where_the_course_is_missing() -> None:
    from IPython.core.inputtransformer2 import TransformerManager

    code = TransformerManager().transform_cell(render.install_cell())
    called: list[str] = []

    class Shell:
        def run_line_magic(self, name: str, line: str) -> None:
            called.append(f"{name} {line}")

    exec(code, {"get_ipython": Shell})
    assert called == []  # it is installed here
    answers = iter([None, object()])
    missing = code.replace("from importlib.util import find_spec\n", "")
    exec(missing, {"get_ipython": Shell, "find_spec": lambda name: next(answers)})
    assert [line.split("@")[0] for line in called] == [
        f"pip install -q --no-deps git+{runtime.project()['repository']}"
    ]
    with pytest.raises(ModuleNotFoundError, match="Upload its wheel"):
        exec(missing, {"get_ipython": Shell, "find_spec": lambda name: None})


@pytest.mark.parametrize(("kind", "expected"), [("photograph", "image/jpeg"), ("drawing", "image/png")])
def test_figures_become_small_and_keep_their_alt_text(kind: str, expected: str) -> None:
    png = picture(kind)
    data = {"image/png": base64.b64encode(png).decode(), "text/plain": "a figure"}
    metadata = {"image/png": {"alt": "What it shows.", "width": 400}}
    output = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
    render.shrink(output)
    assert set(output.data) == {expected, "text/plain"}
    assert output.metadata == {expected: {"alt": "What it shows.", "width": 400}}
    small = base64.b64decode(output.data[expected])
    assert len(small) < len(png) / 2
    pixels = [np.asarray(Image.open(io.BytesIO(one)).convert("RGB"), float) for one in (png, small)]
    assert np.abs(pixels[0] - pixels[1]).mean() < 4


def test_a_small_figure_stays_as_it_is() -> None:
    tiny = io.BytesIO()
    Image.new("RGB", (4, 4)).save(tiny, "PNG")
    data = {"image/png": base64.b64encode(tiny.getvalue()).decode()}
    output = nbformat.v4.new_output("display_data", data=dict(data))
    render.shrink(output)
    assert output.data == data


def test_transparent_figures_are_put_on_white() -> None:
    noise = Image.open(io.BytesIO(picture("photograph"))).convert("RGBA")
    noise.putalpha(0)
    out = io.BytesIO()
    noise.save(out, "PNG")
    mime, small = render.smallest(out.getvalue())
    assert mime == "image/png" and len(small) < 2000
    assert Image.open(io.BytesIO(small)).convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_table_is_stable(house: Path) -> None:
    once = render.table((house / "README.md").read_text())
    assert "[Bad](notebooks/01_bad.ipynb)" in once
    assert render.table(once) == once


# ---- test and lock ---------------------------------------------------------------------------------------


def test_the_test_command_is_one_pytest_run() -> None:
    words = testing.arguments([], everything=False)
    assert words[-1 - len(_notebooks.find()) :] == [
        "tests",
        *(f"notebooks/{p.name}" for p in _notebooks.find()),
    ]
    assert words[words.index("-m") + 1] == "not slow"
    assert "-m" not in testing.arguments([], everything=True)
    chosen = testing.arguments(["tests/test_cli.py::test_find", "-k", "find"], everything=False)
    assert "tests" not in chosen and chosen[-3:] == ["tests/test_cli.py::test_find", "-k", "find"]


def test_the_test_command_passes_pytests_answer_on() -> None:
    command = [sys.executable, "-m", "course_utils.cli", "test", "tests/test_bench.py", "-n", "0"]
    found = subprocess.run([*command, "-k", "no_such_test"], capture_output=True, text=True)
    assert found.returncode == 5  # pytest's own: nothing was selected
    assert "deselected in" in found.stdout.splitlines()[-1]


def test_lock_check_compares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools import lock

    target = tmp_path / "requirements.lock"
    target.write_text("old")
    uv = tmp_path / "uv"
    uv.write_text(
        '#!/bin/sh\nfor last; do :; done\n[ "$ANSWER" = fail ] && exit 2\nprintf "$ANSWER" > "$last"\n'
    )
    uv.chmod(0o755)
    monkeypatch.setattr(lock, "LOCK", target)
    monkeypatch.setattr(lock, "_uv", lambda: str(uv))
    monkeypatch.setenv("ANSWER", "old")
    lock.lock(check=True)
    monkeypatch.setenv("ANSWER", "fail")
    with pytest.raises(typer.Exit):
        lock.lock()
    monkeypatch.setenv("ANSWER", "new")
    with pytest.raises(ValueError, match="out of date"):
        lock.lock(check=True)
    assert target.read_text() == "old"
    lock.lock()
    assert target.read_text() == "new"


def test_bench_prints_one_json_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import harness as bench
    from course_utils import runs

    declared = "from benchmarks.harness import Bench\ndef ours(case): return lambda: None\n"
    declared += "BENCH = Bench('toy', {'a': 1}, {'ours': ours}, framework=False)\n"
    (tmp_path / "toy.py").write_text(declared)
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    monkeypatch.setattr(runs, "environment", lambda: {"device": "an abacus"})
    result = course("bench", "toy", "--json")
    printed = json.loads(result.stdout)
    assert set(printed) == {"bench", "rows"} and printed["rows"][0]["way"] == "ours"
    assert json.loads((tmp_path / "results" / "toy.json").read_text())["rows"] == printed["rows"]
    (tmp_path / "results" / "toy.json").unlink()
    course("bench", "toy", "--repeats", "1")
    assert not (tmp_path / "results" / "toy.json").exists()
    assert "toy: not recorded yet" in course("bench").output


def test_line() -> None:
    assert run.line("00_x", _notebooks.Outcome(90, 1234, None)).split() == [
        "00_x",
        "1.5",
        "min",
        "1,234",
        "MB",
        "ok",
    ]
