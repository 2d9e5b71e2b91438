"""Finds the numbers that README, the pages and the notebooks' prose state (tests/test_claims.py).

A number is digits (also 50,176 · 1e-5 · 138 million · 45 %), or words: from eleven up ("two hundred", "fifty
thousand"), shares ("three quarters"; not "half") and multiples ("three times the pictures"). What is no
statement of the author's is left out by these rules, and by no list of files:

- code, in fences and in spans; link targets, HTML comments and mathematics;
- what `course render` measures and writes: minutes and memory in headers and in README's table;
- lists of sources, and in the text years (1950 to 2039, but for 2000);
- what only numbers something or refers to it: headings, list items, notebooks and exercises (03, 03.2),
  tables, sections, lines, blocks, layers, a table's first column;
- names with a number in them (VGG-16, Caltech-101), and versions (Keras 3);
- shapes in parentheses, kernels and windows of a few places (3 by 3, 1 x 1), and the ends of scales, 0 and 1.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ONES = """zero one two three four five six seven eight nine ten
eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"""
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
SMALL = {word: n for n, word in enumerate(ONES.split())} | {
    word: 10 * n for n, word in enumerate(TENS.split(), 2)
}
LARGE = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
UNITS = {"million": 1e6, "thousand": 1e3, "%": 0.01, "percent": 0.01, "per cent": 0.01}

BLOCKS = (
    (r"^> ?", re.MULTILINE),
    (r"^(```|~~~).*?^\1$", re.MULTILINE | re.DOTALL),  # fences
    (r"<!-- (measured|badge) -->.*?<!-- /\1 -->", re.DOTALL),
    (r"^## Sources$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL),
    (r"^#+ (\d+ · |\d\d |Your turn \d\d\.\d: )", re.MULTILINE),
    (r"^\d+\. ", re.MULTILINE),
    (r"\| \d+ \| [\d.]+ GB (?=\|)", 0),  # README's table: minutes, memory
    (r"^\| \d[\d, ]*(?=\|)", re.MULTILINE),  # a table's first column
)
SIDE = "height|width|channels|filters|units|pictures|values|[a-z]"
NO_STATEMENT = re.compile(
    r"`[^`]+`|\]\([^)]*\)|<!--.*?-->|\$[^$]+\$"  # spans, targets, comments, mathematics
    rf"|\((?:{SIDE}|\d)(?:, (?:{SIDE}|\d)){{1,3}}\)"  # shapes
    r"|\b\d(?:(?: by | ?x )\d)+\b|\b\dx\d\b"  # kernels and windows: 3 by 3, 1 x 1
    r"|(?<![\w.,-])[01](?![\w,-]*\d|\.\d)(?! (?:%|per|GB))"  # ends of scales
    r"|\b\d+[a-zA-Z]\b(?!-\d)"  # 2h and 16s
    r"|(?<!\.)\b0\d(?:\.\d)?\b"  # notebooks and exercises
    r"|\b(?:19[5-9]\d|20(?:0[1-9]|[1-3]\d))\b"  # years
    r"|\b(?i:section|table|figure|equation|chapter|appendix|line|notebook|report|arXiv|block|layer|number|idea)s?"
    r" \d+(?:\.\d+)*(?: (?:to|and) \d+)?"
    r"|\b(?:Python|Keras|TensorFlow|BY) \d+(?:\.\d+)*"  # versions
    r"|\b[A-Za-z]\w*[-@.]\d[\w.]*|\b[A-Za-z_]+\d\w*|\b\d+_\d+\b",  # names
    re.DOTALL,
)
WORD = "|".join([*SMALL, *LARGE])
SMALLEST = "|".join(ONES.split())
SHARES = {"third": 3, "quarter": 4, "fifth": 5, "tenth": 10, "hundredth": 100}
SHARE = re.compile(
    rf"\b(?P<count>a|{SMALLEST}) (?P<part>{'|'.join(SHARES)})(?:s\b|\b(?= of| less| more|[.,;:)]|$))"
    rf"|\b(?P<times>{SMALLEST}) times (?:the|as|more|larger|smaller|faster|longer)\b",
    re.IGNORECASE,
)
AND = "(?:(?<=hundred)|(?<=thousand)|(?<=million))"
NUMBER = re.compile(
    r"(?P<digits>(?<![\w.,])\.?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?<!,))"
    r"(?:\s*(?P<unit>(?:million|thousand|per ?cent)\b|%))?"
    rf"|\b(?P<words>(?:a )?(?:{WORD})(?:(?:{AND} and |-| )(?:{WORD}))*)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Stated:
    """A number as a text states it: its value and its place."""

    value: float
    start: int
    end: int


def pages() -> list[str]:
    """README, the pages that somebody wrote, and the notebooks."""
    found = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def prose(text: str, notebook: bool = False) -> str:
    """A page, or a notebook's markdown cells, without what no author states, in single spaces."""
    if notebook:
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    for pattern, flags in BLOCKS:
        text = re.sub(pattern, "", text, flags=flags)
    return " ".join(text.split())


def page(name: str) -> str:
    """The prose of a file of the project."""
    path = ROOT / name
    return prose(path.read_text(encoding="utf-8"), path.suffix == ".ipynb")


def in_words(text: str) -> float:
    """The value of number words: a hundred and forty-four, fifty thousand."""
    total, below = 0, 0
    for word in re.findall(r"[a-z]+", text.lower()):
        if word in SMALL:
            below += SMALL[word]
        elif word == "hundred":
            below = max(below, 1) * 100
        elif word in LARGE:
            total, below = total + max(below, 1) * LARGE[word], 0
    return float(total + below)


def stated(text: str) -> list[Stated]:
    """The numbers that a text states, in order: in digits all, in words from eleven up, shares, multiples."""
    return numbers(blanked(NO_STATEMENT, text), smallest=11)


def numbers(text: str, smallest: float = 0) -> list[Stated]:
    """All numbers of a text, in order, whatever they are there for; in words only from `smallest` up."""
    found = []
    for match in SHARE.finditer(text):
        count = 1 if match["count"] in ("a", "A") else in_words(match["count"] or match["times"])
        found.append(Stated(count / SHARES.get((match["part"] or "").lower(), 1), *match.span()))
    for match in NUMBER.finditer(blanked(SHARE, text)):
        if match["digits"]:
            unit = UNITS.get((match["unit"] or "").lower(), 1)
            found.append(Stated(float(match["digits"].replace(",", "")) * unit, *match.span()))
        elif (value := in_words(match["words"])) >= smallest:
            found.append(Stated(value, *match.span()))
    return sorted(found, key=lambda each: each.start)


def blanked(pattern: re.Pattern[str], text: str) -> str:
    """The text with underscores in place of what a pattern finds."""
    return pattern.sub(lambda match: "_" * len(match[0]), text)


def sentence(text: str, at: Stated) -> str:
    """The sentence around a number, for a message."""
    start = max((match.end() for match in re.finditer(r"[.:?!|] ", text[: at.start])), default=0)
    end = re.search(r"[.:?!|]( |$)", text[at.end :])
    return text[start : at.end + (end.start() + 1 if end else len(text))]
