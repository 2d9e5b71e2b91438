"""`course book`: the web pages of the course, from the notebooks as they were committed."""

from __future__ import annotations

import ast
import json
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from functools import reduce
from importlib.util import find_spec
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils.cli import _explorer, _notebooks
from tools import timetable

ROOT = _notebooks.ROOT
BUILD = ROOT / "docs" / "_build"


def register(app: typer.Typer) -> None:
    """Add `course book`."""
    app.command("book")(book)


def book(
    out: Annotated[Path, typer.Option(help="Folder for the pages.")] = BUILD / "html",
) -> None:
    """Build the course's web pages, with search and without anything fetched from elsewhere."""
    missing = [name for name in ("sphinx", "myst_nb", "sphinx_book_theme") if not find_spec(name)]
    if missing:
        raise ModuleNotFoundError(f"the book needs {', '.join(missing)}: pip install -e '.[docs]'")
    source = BUILD / "source"
    gather(source)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    if subprocess.run([*command, "-d", BUILD / "doctrees", source, out]).returncode != 0:
        raise typer.Exit(1)
    _explorer.write(out / "explorer", _explorer.site(notebooks="../notebooks/"))
    print(f"Open {out / 'index.html'}")


def gather(source: Path) -> None:
    """Put docs/, the notebooks and the generated pages into one folder."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("_build", "explorer"))
    shutil.copy(ROOT / "pyproject.toml", source)
    (source / "notebooks").mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = for_reading(json.loads(path.read_text(encoding="utf-8")))
        (source / "notebooks" / path.name).write_text(json.dumps(page), encoding="utf-8")
    devices = source / "devices.md"  # it shows code, whose path is seen from docs/
    moved = devices.read_text(encoding="utf-8").replace("literalinclude} ../", "literalinclude} ../../../")
    devices.write_text(moved, encoding="utf-8")
    home = source / "index.md"
    home.write_text(home.read_text(encoding="utf-8").replace("<!-- table -->", table()), encoding="utf-8")
    pages = {
        "wrong_answers.md": wrong_answers(),
        "benchmarks.md": benchmarks(),
        "weights.md": weights(),
        "minutes.md": minutes(),
        "papers_and_we.md": papers_and_we(),
        **api(),
    }
    for name, text in pages.items():
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")


def for_reading(notebook: dict[str, Any]) -> dict[str, Any]:
    """A notebook as a page: without badge, install cell, and widgets (each has a static twin)."""
    cells = [c for c in notebook["cells"] if "install" not in c["metadata"].get("tags", ())]
    for cell in cells:
        text = "".join(cell["source"])
        text = re.sub(r"<!-- badge -->.*?<!-- /badge -->\n*", "", text, flags=re.DOTALL)
        cell["source"] = text.replace("](../docs/", "](../")  # in the book those pages lie one folder higher
        if "outputs" in cell:
            cell["outputs"] = [
                o for o in cell["outputs"] if not any("widget" in k for k in o.get("data", ()))
            ]
    return {**notebook, "cells": cells}


# --- pages that are generated ---------------------------------------------------------------------------


def table() -> str:
    """README's table of notebooks, with minutes and memory."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [
        line
        for line in readme.splitlines()
        if re.match(r"\| (\d\d )?\| ?(notebook|\[)|\|---\|---\|---\|---", line)
    ]
    return "\n".join(rows)


def minutes() -> str:
    """What each section of each notebook takes."""
    return timetable.page(
        (f"notebooks/{path.name}", json.loads(path.read_text(encoding="utf-8"))) for path in _notebooks.find()
    )


def wrong_answers() -> str:
    """What `check` says about the wrong answers that the course knows, by exercise."""
    from course_utils.exercises import frame

    lines = [
        "# Wrong answers, and what is said to them\n",
        "For each exercise: the hint, what `check` says to the wrong answers that its tests hold, and the "
        "idea behind it. Solutions: `course solutions NN`.\n",
    ]
    for number in frame.notebooks():
        lines.append(f"## Notebook {number}\n")
        for exercise in frame.exercises(number):
            lines.append(f"**{exercise.id} {exercise.title}** {exercise.hint}\n")
            told = list(exercise.mistakes or {})
            if exercise.check is not None:
                said = [
                    frame.judge(exercise.id, answer).message for answer in exercise.wrong_answers().values()
                ]
                told = [re.sub(r"^\S+( close\.|:)\s+", "", text) for text in said]
            lines += [f"- {_plain(text)}" for text in dict.fromkeys(told)]
            lines.append(f"\n*The idea:* {_plain(exercise.after)}\n")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text in which Markdown finds nothing to set."""
    return re.sub(r"([\\`*_{}\[\]<>#$|])", r"\\\1", text)


def benchmarks() -> str:
    """Recorded runs of `course bench`, as tables."""
    lines = [
        "# Benchmarks\n",
        "Each heavy routine beside what one would otherwise write or use, in one run: every way in a process "
        "of its own, the ways in turn, the median of three after a warm-up. *Times ours* is that way's time "
        "divided by ours; memory is what a way needs beyond its imports. `course bench NAME` repeats it.\n",
    ]
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        lines.append(f"## {path.stem.replace('_', ' ')}\n")
        lines.append("| case | way | seconds | MB | times ours |\n|---|---|---|---|---|")
        for row in result["rows"]:
            memory = row.get("peak_mb")
            cells = [_figure(row.get("seconds")), "–" if memory is None else f"{memory:,.0f}"]
            cells.append(_figure(row.get("ratio")))
            lines.append(f"| {row['case']} | {row['way']} | {' | '.join(cells)} |")
        lines.append("")
    if len(lines) == 2:
        lines.append("None has been recorded yet.\n")
    return "\n".join(lines)


def _figure(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def weights() -> str:
    """The model cards of the weights that ship."""
    lines = [
        "# The weights that ship\n",
        "The original's convolutions as their authors released them; the rest trained by this project, each "
        "with the command that repeats the run. What a trivial answer reaches stands under *baselines*.\n",
    ]
    for path in sorted((ROOT / "data" / "weights").glob("*.json")):
        card = json.loads(path.read_text(encoding="utf-8"))
        lines.append(f"## {card['name']}\n")
        lines.append(f"{_plain(card['title'])}. {_plain(card['data'])}\n")
        if "command" not in card:  # not trained here
            lines += [
                f"{_plain(card[fact])}\n" for fact in ("authors", "paper", "licence", "changes", "provenance")
            ]
            continue
        lines.append(f"    {card['command']}\n")
        facts = [f"{card['megabytes']} MB", card["device"], card["precision"], f"{card['minutes']} minutes"]
        lines.append(f"{', '.join(facts)}, seed {card['seed']}.\n")
        for kind in ("metrics", "baselines"):
            lines += [f"*{kind}*\n", *_nested(card[kind]), ""]
    return "\n".join(lines)


def _nested(values: dict[str, Any], depth: int = 0) -> list[str]:
    """Numbers in a dict of dicts as a list; long lists of numbers are left to the record."""
    lines = []
    for key, value in values.items():
        lead = f"{'  ' * depth}- {_plain(str(key).replace('_', ' '))}"
        if isinstance(value, dict):
            lines += [lead, *_nested(value, depth + 1)]
        elif not isinstance(value, list):
            lines.append(f"{lead}: {_figure(value)}")
    return lines


def papers_and_we() -> str:
    """What papers reached beside what we did; then the claims of each page, and what holds them."""
    listed = tomllib.loads((ROOT / "docs" / "claims.toml").read_text(encoding="utf-8"))
    lines = [
        "# The papers and we\n",
        "## Side by side\n",
        "Per cent, from records of runs that ship. Ours are small runs, so read the last column before you "
        "compare; the trivial answer is the most frequent class, or that of each position.\n",
        "| what | paper | ours | trivial answer | published | what differs |\n|---|---|---|---|---|---|",
        *(_beside(entry) for entry in listed["beside"]),
        "\n## Sentences and their sources\n",
        "What README, these pages and the notebooks state of recorded runs and of papers. The tests hold "
        "each number of ours against its record.\n",
    ]
    for file, claims in groupby(listed["claim"], key=itemgetter("file")):
        title = re.search(r"# ([^\"\\\n]+)", (ROOT / file).read_text(encoding="utf-8"))
        lines += [
            f"\n### {title[1] if title and '/' in file else file}\n",
            "| the words | where the number comes from |\n|---|---|",
        ]
        lines += [f"| {_plain(claim['text'])} | {_held_by(claim)} |" for claim in claims]
    return "\n".join(lines) + "\n"


def _beside(entry: dict[str, Any]) -> str:
    """A paper's figure, ours and the trivial answer's, in per cent."""
    record = json.loads((ROOT / entry["record"]).read_text(encoding="utf-8"))
    ours, trivial = (
        100 * reduce(lambda inside, step: inside[step], entry[key].split("."), record)
        for key in ("key", "trivial")
    )
    paper = 100 - entry["value"] if entry.get("error") else entry["value"]
    cells = [entry["what"], f"{paper:.1f}", f"{ours:.1f}", f"{trivial:.1f}", entry["published"]]
    return f"| {' | '.join(_plain(cell) for cell in [*cells, entry['difference']])} |"


def _held_by(claim: dict[str, Any]) -> str:
    """The sources of a claim in words; code and keys as such."""
    parts = [_plain(claim["paper"])] if "paper" in claim else []
    if "record" in claim:
        keys = claim["key"] if isinstance(claim["key"], list) else [claim["key"]]
        parts.append(", ".join([f"`{claim['record']}`", *(f"`{key}`" for key in keys)]))
    return "; ".join(parts)


def api() -> dict[str, str]:
    """A page for each module, from its docstrings, and an index that says what each is for."""
    import course_utils

    root = Path(course_utils.__path__[0])
    index = ["# The package\n", "One module an idea; each says which notebook explains it.\n"]
    index += ["| module | what it is for |\n|---|---|"]
    pages = {}
    for found in pkgutil.iter_modules([str(root)]):
        if found.name.startswith("_") or found.name in ("cli", "exercises"):
            continue
        inner = [m.name for m in pkgutil.iter_modules([str(root / found.name)])] if found.ispkg else []
        for name in (found.name, *(f"{found.name}.{m}" for m in inner if not m.startswith("_"))):
            shown = "   :no-members:\n" if name == found.name and inner else ""
            directive = f".. automodule:: course_utils.{name}\n{shown}"
            pages[f"api/{name}.md"] = f"# {name}\n\n```{{eval-rst}}\n{directive}```\n"
            label = f"**[{name}]({name}.md)**" if name == found.name else f"[{name}]({name}.md)"
            index.append(f"| {label} | {_plain(summary(root, name))} |")
    listed = [page.removeprefix("api/").removesuffix(".md") for page in pages]
    toctree = ["", "```{toctree}", ":maxdepth: 1", ":hidden:", "", *listed, "```", ""]
    return pages | {"api/index.md": "\n".join([*index, *toctree])}


def summary(root: Path, name: str) -> str:
    """The first line of a module's docstring, read without importing it."""
    path = root.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n\n")[0].replace("\n", " ")
