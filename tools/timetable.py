"""How long a notebook's sections take: running as `course render` measured it, the rest estimated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

WORDS, LINES, EXERCISE = 130, 10, 7
"""Estimates: words of prose and lines of code that a group reads in a minute; minutes for an exercise."""


@dataclass
class Section:
    """What stands under one heading.

    Attributes:
        title: the heading, without its number signs.
        cells: the places of its cells in the notebook.
        words, lines, exercises: all of them, and those of the core path.
    """

    title: str
    cells: list[int]
    words: tuple[int, int] = (0, 0)
    lines: tuple[int, int] = (0, 0)
    exercises: tuple[int, int] = (0, 0)

    def minutes(self, core: bool = False) -> tuple[float, float]:
        """Estimated minutes for reading and for the exercises; of the core path alone if asked for."""
        return self.words[core] / WORDS + self.lines[core] / LINES, float(EXERCISE * self.exercises[core])


def sections(cells: Sequence[Any]) -> list[Section]:
    """The sections of a notebook's cells; the first one is what comes before any `##`.

    Prose belongs to the code below it, or to the code above where none follows: it is core if that is.
    """
    core = _core(cells)
    found: list[Section] = []
    for index, cell in enumerate(cells):
        text = "".join(cell["source"])
        heading = re.match(r"##? (.+)", text) if cell["cell_type"] == "markdown" else None
        if heading or not found:
            found.append(Section(heading[1] if heading else "Opening", []))
        section = found[-1]
        section.cells.append(index)
        tags = cell["metadata"].get("tags", ())
        if cell["cell_type"] == "markdown":
            prose = re.sub(r"<!--.*?-->|\]\([^)]*\)", "", text, flags=re.DOTALL)
            section.words = _add(section.words, len(re.findall(r"\w+", prose)), core[index])
        elif "install" not in tags:
            section.lines = _add(section.lines, len(text.splitlines()), core[index])
            exercise = any(tag.startswith("exercise-") for tag in tags)
            section.exercises = _add(section.exercises, int(exercise), core[index])
    return found


def _add(counts: tuple[int, int], more: int, core: bool) -> tuple[int, int]:
    return counts[0] + more, counts[1] + more * core


def _core(cells: Sequence[Any]) -> list[bool]:
    """Whether each cell is on the core path."""
    marked: list[bool | None] = []
    for cell in cells:
        tags = cell["metadata"].get("tags", ())
        decides = cell["cell_type"] == "code" and "install" not in tags
        marked.append("core" in tags if decides else None)
    for order in (reversed(range(len(cells))), range(len(cells))):
        last: bool | None = None
        for index in order:
            title = "".join(cells[index]["source"]).startswith("## ")
            last = marked[index] if marked[index] is not None else last
            marked[index] = last
            if title:
                last = None
    return [bool(each) for each in marked]


def running(cells: Sequence[Any], seconds: Sequence[float]) -> dict[str, int]:
    """Seconds of each section, from those of each cell."""
    return {section.title: round(sum(seconds[i] for i in section.cells)) for section in sections(cells)}


def page(notebooks: Iterable[tuple[str, Any]]) -> str:
    """The page for teachers: (address, notebook) of each."""
    lines = [
        "# Minutes, section by section\n",
        "*Running* is measured: seconds on two cores of a laptop's kind, no GPU. *Reading* and *exercises* "
        f"are estimates: {WORDS} words of prose or {LINES} lines of code a minute, {EXERCISE} minutes for "
        "each exercise. Your group will be faster or slower, but much the same in every section. *Core* is "
        "what a section takes on the core path; running is not counted, since it goes on while you read.\n",
    ]
    for address, notebook in notebooks:
        found = sections(notebook["cells"])
        measured = notebook["metadata"].get("course", {}).get("seconds", {})
        lines += [f"## [{found[0].title}]({address})\n"]
        lines += [
            "| section | running, s | reading, min | exercises, min | core, min |\n|---|---|---|---|---|"
        ]
        for section in found:
            reading, solving = section.minutes()
            core = sum(section.minutes(core=True))
            title = section.title if section is not found[0] else "Opening"
            lines.append(
                f"| {title.replace('|', '/')} | {measured.get(section.title, '–')} "
                f"| {reading:.0f} | {solving:.0f} | {core:.0f} |"
            )
        all_, core = (sum(sum(section.minutes(core)) for section in found) for core in (False, True))
        lines.append(f"| **all** | {sum(measured.values()) or '–'} | {all_:.0f} together | | {core:.0f} |\n")
    return "\n".join(lines)
