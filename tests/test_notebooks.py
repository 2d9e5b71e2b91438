"""The notebooks as documents: their form, and once they are rendered, their outputs."""

from __future__ import annotations

import ast
import json
import re
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course_utils.cli import _notebooks
from course_utils.exercises import frame
from tools import render

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
# Things that differ from machine to machine: folders, addresses of objects.
LOCAL = re.compile(
    r"(?<![\w.:/])/(?:home|root|Users|tmp|usr|opt|var|private|content|work)/\w|[A-Z]:\\\w|\bat 0x[0-9a-f]+"
)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def rendered(path: Path) -> Any:
    notebook = read(path)
    if "course" not in notebook.metadata:
        pytest.skip(f"{path.name} has not been rendered yet (`course render {path.name[:2]}`)")
    return notebook


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: Any) -> str:
    """The text without code, formulas, links' targets and comments."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(
        r"```.*?```|\$\$.*?\$\$|<!-- badge -->.*?<!-- /badge -->|<!--.*?-->", " ", text, flags=re.DOTALL
    )
    return re.sub(r"`[^`]*`|\$[^$\n]*\$|\]\([^)]*\)|\]\[[^\]]*\]", " ", text)


def test_each_has_a_number_of_its_own() -> None:
    numbers = [re.match(r"\d\d_", path.name) for path in PATHS]
    assert PATHS and None not in numbers
    assert len({found[0] for found in numbers if found}) == len(PATHS)


@each_notebook
def test_format(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert path.stat().st_size <= (2_000_000 if path.name[:2] in ("07", "08") else 1_000_000)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    assert path.read_text(encoding="utf-8").endswith("}\n")


@each_notebook
def test_opening(path: Path) -> None:
    notebook = read(path)
    first, install = notebook.cells[:2]
    assert first.source.startswith(f"# {path.name[:2]} ")
    assert "**What you will make" in first.source and "**What you need" in first.source
    assert install.metadata.get("tags") == ["install"]
    assert any("runtime.start(seed=0" in cell.source for cell in code(notebook)[1:3])
    assert re.search(
        r"^my_photo = None\b", "\n".join(cell.source for cell in code(notebook)[:6]), re.MULTILINE
    )


@each_notebook
def test_closing(path: Path) -> None:
    titles = [line.strip("# ") for line in headings(read(path))]
    wanted = [
        next((i for i, title in enumerate(titles) if word in title), -1) for word in ("take away", "Sources")
    ]
    assert -1 not in wanted, titles
    assert any("Break it" in title for title in titles), titles


def headings(notebook: Any) -> list[str]:
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return re.findall(r"^#{1,6} .+$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)


@each_notebook
def test_headings_go_down_one_step_at_a_time(path: Path) -> None:
    levels = [len(line.split()[0]) for line in headings(read(path))]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


@each_notebook
def test_small_steps(path: Path) -> None:
    """design: median 5 lines of code, none over 25, about 40 cells; 40 to 80 words for each of them.

    What installs the course and what asks its questions at the end are no steps.
    """
    notebook = read(path)
    aside = ("find_spec(", "import quiz")
    cells = [cell for cell in code(notebook) if not any(words in cell.source for words in aside)]
    lengths = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in cells]
    assert max(lengths) <= 25 and median(lengths) <= 8
    assert len(cells) <= 48
    words = len(prose(notebook).split())
    assert 30 <= words / len(cells) <= 100


@each_notebook
def test_every_exercise_has_its_cell(path: Path) -> None:
    tags = [tag for cell in code(read(path)) for tag in cell.metadata.get("tags", ())]
    exercises = [tag.removeprefix("exercise-") for tag in tags if tag.startswith("exercise-")]
    assert len(exercises) >= 4
    assert sorted(exercises) == [each.id for each in frame.exercises(path.name[:2])]
    assert set(tags) <= {"core", "install", "nbval-check-output", "raises-exception"} | {
        f"exercise-{e}" for e in exercises
    }


@each_notebook
def test_todays_names(path: Path) -> None:
    sources = "\n".join(cell.source for cell in code(read(path)))
    assert not re.search(r"""["']jet["']|cm\.jet|tf\.keras|import tensorflow|nbval-skip""", sources)


@each_notebook
def test_links_resolve(path: Path) -> None:
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://", "#", "attachment:")):
            assert (path.parent / target.split("#")[0]).exists(), target
    assert not [url for url in re.findall(r"https?://[^\s)>\]]+", text) if "localhost" in url]


@each_notebook
def test_descriptions_of_figures_stay_out_of_the_code(path: Path) -> None:
    """They stand in the cell's metadata (`alt`), from where `course render` writes them into the outputs."""
    for cell in code(read(path)):
        if "install" in cell.metadata.get("tags", ()):
            continue
        for call in (node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)):
            named = {keyword.arg for keyword in call.keywords}
            function = ast.unparse(call.func)
            assert "alt" not in named and function != "plt.show", ast.unparse(call)
            assert function != "plots.publish" or len(call.args) == 1, ast.unparse(call)


ROOT = FOLDER.parent
ROOMS = {path.stem for path in ROOT.glob("course_utils/**/*") if path.suffix in ("", ".py")}
KNOWN = {"check", "hint", "solution", "show_source", "np", "keras", *ROOMS}


def names_told(path: Path) -> set[str]:
    """Functions and modules in code font that the prose, a hint or a check's message tells to use."""
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|^> \*\*Then and now.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    module = ROOT / "course_utils" / "exercises" / f"nb{path.name[:2]}.py"
    if module.is_file():
        nodes = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        said = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        text += "".join(
            f" `{name}.x` " for one in said for name in re.findall(r"\b([a-z]\w*)\.[a-z]\w*", one)
        )
    roots = {
        found
        for span in re.findall(r"`([^`\n]+)`", text)
        for found in re.findall(r'^([a-z]\w*)[.(][\w"]', span)
    }
    return roots & KNOWN


@each_notebook
def test_what_a_learner_is_told_to_use_is_imported(path: Path) -> None:
    there: set[str] = set()
    for cell in code(read(path)):
        if "install" not in cell.metadata.get("tags", ()):
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    there |= {(one.asname or one.name).partition(".")[0] for one in node.names}
                    assert not ast.unparse(node).startswith(("from experiments", "from tools")), path.name
                elif isinstance(node, ast.FunctionDef):  # the learner's own, or its arguments
                    there |= {node.name, *(each.arg for each in node.args.args)}
    assert {"check", "hint", "solution"} <= there
    assert names_told(path) <= there, names_told(path) - there


@each_notebook
def test_references_resolve(path: Path) -> None:
    """Notebooks and exercises that the text names exist; links within a page lead somewhere."""
    notebook = read(path)
    text = prose(notebook)
    numbers = {number for group in re.findall(r"[Nn]otebooks? ((?:\d\d(?:, | and |–| to )?)+)", text)
               for number in re.findall(r"\d\d", group)}  # fmt: skip
    assert numbers <= {f"{number:02}" for number in range(10)}
    exercises = set(re.findall(r"\b(0\d\.\d)\b(?!\d| ?%)", text))
    known = {each.id for number in {id[:2] for id in exercises} for each in frame.exercises(number)}
    notebooks = {one.name[:2] for one in PATHS}
    assert {id for id in exercises if id[:2] in notebooks} <= known
    anchors = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ")).strip().replace(" ", "-") for line in headings(notebook)
    }
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    inside = set(re.findall(r"\]\(#([^)\s]+)\)", source))
    assert {each.lower() for each in inside} <= {each.lower() for each in anchors}


@each_notebook
def test_what_is_drawn_has_no_jet(path: Path) -> None:
    """Nor any other map whose brightness goes up and down."""
    names = "jet|rainbow|hsv|gist_rainbow|nipy_spectral|turbo|gist_ncar|prism|flag"
    sources = "\n".join(cell.source for cell in code(read(path)))
    assert not re.search(
        rf"""cmap\s*=\s*["'](?:{names})(?:_r)?["']|colormaps\[["'](?:{names})|cm\.(?:{names})\b""", sources
    )


# ---- once rendered ---------------------------------------------------------------------------------------


@each_notebook
def test_generated_parts_are_current(path: Path) -> None:
    assert render.refresh(rendered(path), path.name) == []


@each_notebook
def test_outputs_are_those_of_one_run(path: Path) -> None:
    counts = [cell.execution_count for cell in code(rendered(path)) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_no_errors_and_no_noise(path: Path) -> None:
    for cell in code(rendered(path)):
        for output in cell.outputs:
            assert output.output_type != "error" or "raises-exception" in cell.metadata.get("tags", ())
            assert output.get("name") != "stderr", output.text
            shown = output.get("text", "") + json.dumps(output.get("data", {}).get("text/plain", ""))
            assert not LOCAL.search(shown), shown
            assert "\r" not in shown and "\x1b[" not in shown


@each_notebook
def test_every_picture_has_alt_text(path: Path) -> None:
    seen = 0
    for cell in code(rendered(path)):
        drawn = [output for output in cell.outputs if _notebooks.pictures(output)]
        texts = cell.metadata.get("alt", [])
        assert not drawn or not texts or len(drawn) == (1 if isinstance(texts, str) else len(texts)), cell.id
        for output in drawn:
            seen += 1
            for mime in _notebooks.pictures(output):
                assert len(output.metadata.get(mime, {}).get("alt", "").split()) >= 4, cell.id
    assert seen >= 5


def test_descriptions_reach_the_outputs() -> None:
    def figure(said: str) -> Any:
        return new_output("display_data", data={"image/png": "", "text/plain": said}, metadata={})

    cells = [
        new_code_cell("bars", outputs=[figure("cat 0.9, dog 0.1")], metadata={"alt": "Two bars: {shown}."}),
        new_code_cell("two", outputs=[figure("a"), figure("b")], metadata={"alt": ["One.", "Two: {shown}."]}),
        new_code_cell("none", outputs=[new_output("stream", text="text")], metadata={"alt": "Not drawn."}),
        new_code_cell("own", outputs=[figure("says it all by itself")]),
    ]
    _notebooks.describe(new_notebook(cells=cells))
    said = [output.metadata["image/png"]["alt"] for cell in cells[:2] for output in cell.outputs]
    assert said == ["Two bars: cat 0.9, dog 0.1.", "One.", "Two: b."]
    assert cells[0].outputs[0].data["text/plain"] == said[0]
    assert cells[2].outputs[0].text == "text" and not cells[3].outputs[0].metadata


@each_notebook
def test_it_takes_six_minutes_at_most(path: Path) -> None:
    assert rendered(path).metadata.course.minutes <= 6
