"""`course render`: execute the committed notebooks in place, and fill in what is generated."""

from __future__ import annotations

import base64
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils import files, runtime, waiting
from course_utils.cli import _notebooks
from course_utils.cli import run as runner
from tools import timetable

README = _notebooks.ROOT / "README.md"
LARGE = 40_000  # bytes above which a figure is made smaller
COLAB = "https://colab.research.google.com"


def register(app: typer.Typer) -> None:
    """Add `course render`."""
    app.command("render")(render)


def render(
    notebooks: Annotated[list[str] | None, typer.Argument(metavar="[NN… | all]", help="Default all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say what is out of date.")] = False,
    links: Annotated[bool, typer.Option("--links", help="Only badges and install cells.")] = False,
    laptop: Annotated[
        bool, typer.Option(help="Compute as on a laptop's processor (AVX2) and note minutes and memory.")
    ] = True,
    timeout: Annotated[float, typer.Option(help="Seconds that one cell may take.")] = 600,
) -> None:
    """Execute the course's notebooks and store their outputs, small and free of what changes by itself.

    They see an empty cache, so they show what a newcomer sees. Badges, install cells, and the minutes and
    memory in the headers and in README.md are generated. Where a cell fails the file stays as it was.
    """
    import nbformat

    failed = False
    for path in _notebooks.find(notebooks or ()):
        notebook = nbformat.read(path, as_version=4)
        stale = refresh(notebook, path.name)
        if check:
            failed |= _said(path.name, stale)
            continue
        if not links:
            outcome = _execute(path, notebook, laptop, timeout)
            typer.echo(runner.line(path.stem, outcome))
            if outcome.failure:
                failed = True
                continue
            if laptop:
                note(notebook, outcome)
            tidy(notebook)
        _notebooks.save(notebook, path)
    failed |= _readme(check)
    if failed:
        raise typer.Exit(1)


def _said(name: str, stale: list[str]) -> bool:
    for what in stale:
        typer.echo(f"{name}: {what} is out of date; `course render --links` writes it")
    return bool(stale)


def _execute(path: Path, notebook: Any, laptop: bool, timeout: float) -> _notebooks.Outcome:
    environment = {"COURSE_SCALE": "1", **({"ONEDNN_MAX_CPU_ISA": "AVX2"} if laptop else {})}
    with tempfile.TemporaryDirectory(prefix="course-") as folder, runner.progress(path.stem) as on_cell:
        cache, work = Path(folder, "cache"), Path(folder, "work")
        cache.mkdir()
        work.mkdir()
        environment["COURSE_UTILS_CACHE"] = str(cache)
        return _notebooks.execute(notebook, work, environment, timeout, on_cell)


# ---- what is generated -----------------------------------------------------------------------------------


def refresh(notebook: Any, name: str) -> list[str]:
    """Put the current badge, install cell and measured line into a notebook; returns what was out of date.

    Raises:
        ValueError: a place for one of them is missing.
    """
    before = [cell.source for cell in notebook.cells]
    install = [cell for cell in notebook.cells if "install" in cell.metadata.get("tags", ())]
    if len(install) != 1:
        raise ValueError(f"{name}: exactly one code cell must be tagged `install`, not {len(install)}")
    install[0].source = install_cell()
    fill(notebook, name, "badge", badge(name))
    fill(notebook, name, "measured", measured(notebook.metadata.get("course")))
    changed = [cell for cell, old in zip(notebook.cells, before, strict=True) if cell.source != old]
    return ["the install cell" if cell is install[0] else "the first cell" for cell in changed]


def fill(notebook: Any, name: str, mark: str, text: str) -> None:
    """Write a text between `<!-- mark -->` and `<!-- /mark -->`."""
    pattern = re.compile(rf"(<!-- {mark} -->).*?(<!-- /{mark} -->)", re.DOTALL)
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and pattern.search(cell.source):
            cell.source = pattern.sub(lambda found: f"{found[1]}{text}{found[2]}", cell.source)
            return
    raise ValueError(f"{name}: no place for it, `<!-- {mark} --><!-- /{mark} -->`")


def install_cell() -> str:
    """Installs the course where a notebook is opened alone (Colab, Kaggle); does nothing elsewhere."""
    project = runtime.project()
    return (
        "# Where the course is not installed yet, as in Colab: its package. What it needs is there already.\n"
        "from importlib.util import find_spec\n\n"
        'if find_spec("course_utils") is None:\n'
        f"    %pip install -q --no-deps git+{project['repository']}@{project['branch']}\n"
        'if find_spec("course_utils") is None:\n'
        "    raise ModuleNotFoundError(\n"
        '        "The course did not come. Upload its wheel, course_utils-….whl, to "\n'
        '        "this notebook\'s files, and run: %pip install --no-deps course_utils-*.whl"\n'
        "    )"
    )


def badge(name: str) -> str:
    """The link that opens a notebook in Colab: text, since a picture from elsewhere is broken offline."""
    # On a line of its own: what follows a comment on its line is not read as Markdown.
    return f"\n[Open in Colab]({colab(name)})\n"


def colab(name: str) -> str:
    """Where Colab opens a notebook."""
    project = runtime.project()
    place = project["repository"].removeprefix("https://github.com/")
    return f"{COLAB}/github/{place}/blob/{project['branch']}/notebooks/{name}"


def measured(facts: dict[str, Any] | None) -> str:
    """What a notebook takes, in words; nothing as long as it was not measured."""
    if not facts:
        return ""
    minutes = "less than a minute" if facts["minutes"] == 1 else f"about {facts['minutes']} minutes"
    return f"Running all of it takes {minutes} and {facts['memory_gb']:g} GB of memory on two cores, no GPU."


def note(notebook: Any, outcome: _notebooks.Outcome) -> None:
    """Keep minutes, memory, and the seconds of sections and long cells; say the first two in its header."""
    facts: dict[str, Any] = {"minutes": outcome.minutes, "memory_gb": outcome.gigabytes}
    if len(outcome.cells) == len(notebook.cells):
        facts["seconds"] = timetable.running(notebook.cells, outcome.cells)
        each = zip(notebook.cells, outcome.cells, strict=True)
        facts["waits"] = {cell.id: round(took) for cell, took in each if took > waiting.PATIENCE}
    notebook.metadata["course"] = facts
    fill(notebook, "", "measured", measured(notebook.metadata["course"]))


def _readme(check: bool) -> bool:
    """Bring README's table of notebooks up to date; returns whether it is to be said that it is not."""
    old = README.read_text(encoding="utf-8")
    new = table(old)
    if new == old:
        return False
    if check:
        typer.echo("README.md: minutes and memory are out of date; `course render --links` writes them")
        return True
    with files.replacing(README, text=True) as out:
        out.write(new)
    return False


def table(readme: str) -> str:
    """README with its table brought up to date.

    A row has number, title, what you make, the notebooks to know before, minutes, memory, a link to Colab.
    """

    def row(found: re.Match[str]) -> str:
        number, title, makes = found.groups()
        path = next(_notebooks.FOLDER.glob(f"{number}_*.ipynb"), None)
        if path is None:
            return f"| {number} | {title} | {makes} | | coming | | |"
        notebook = json.loads(path.read_text(encoding="utf-8"))
        facts = notebook["metadata"].get("course")
        figures = f"{facts['minutes']} | {facts['memory_gb']:g} GB" if facts else " | "
        before = needs("".join(notebook["cells"][0]["source"])) or "–"
        head = f"| {number} | [{title}](notebooks/{path.name}) | {makes} | {before}"
        return f"{head} | {figures} | [open]({colab(path.name)}) |"

    return re.sub(r"^\| (\d\d) \| \[?([^|\]]+?)(?:\]\(.*?\))? \| ([^|]+?) \|.*$", row, readme, flags=re.M)


def needs(head: str) -> str:
    """The numbers of the notebooks that a first cell names under "What you need"."""
    named = re.findall(r"\bnotebooks? ((?:\d\d(?:, | and )?)+)", head.partition("**What you need:**")[2])
    return ", ".join(sorted({number for words in named for number in re.findall(r"\d\d", words)}))


# ---- outputs ---------------------------------------------------------------------------------------------


def tidy(notebook: Any) -> None:
    """Make figures small; drop what is different each time and what only lives with a kernel."""
    course = notebook.metadata.get("course")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    } | ({"course": course} if course else {})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            if "data" in output:
                shrink(output)
            elif "text" in output:
                output.text = re.sub(r"\x1b\[[0-9;]*m", "", output.text)  # colours of a terminal


def shrink(output: Any) -> None:
    """Store a large PNG as the smallest of itself, 256 colours and JPEG; its alt text goes along."""
    content = output.data.get("image/png")
    if not isinstance(content, str) or len(content) * 3 // 4 <= LARGE:
        return
    mime, small = smallest(base64.b64decode(content))
    del output.data["image/png"]
    output.data[mime] = base64.b64encode(small).decode()
    if "image/png" in output.metadata:
        output.metadata[mime] = output.metadata.pop("image/png")


def smallest(png: bytes) -> tuple[str, bytes]:
    """The smallest good form of a PNG: `(media type, bytes)`.

    JPEG is for photographs: it is taken only where it is less than half as large as 256 colours.
    """
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        flat = Image.new("RGB", image.size, "white")
        flat.paste(image, mask=image.convert("RGBA").getchannel("A"))
    palette, jpeg = io.BytesIO(), io.BytesIO()
    flat.quantize(256, method=Image.Quantize.MEDIANCUT).save(palette, "PNG", optimize=True)
    flat.save(jpeg, "JPEG", quality=85, optimize=True, progressive=True)
    if jpeg.tell() * 2 < min(palette.tell(), len(png)):
        return "image/jpeg", jpeg.getvalue()
    return "image/png", min(palette.getvalue(), png, key=len)
