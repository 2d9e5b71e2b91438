"""Numbers in prose: each that docs/claims.toml lists stands in the text, and is what its source says."""

from __future__ import annotations

import ast
import json
import operator
import re
import tomllib
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
CLAIMS = tomllib.loads((ROOT / "docs" / "claims.toml").read_text(encoding="utf-8"))["claim"]
WORDS = {
    "half": 0.5, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "nine": 9, "ten": 10, "eleven": 11,
    "two hundred": 200, "sixty-four": 64, "a hundred and forty-four": 144,
}  # fmt: skip
each_claim = pytest.mark.parametrize("claim", CLAIMS, ids=lambda each: each["text"][:40])


def prose(path: Path) -> str:
    """The text of a page, or of a notebook's markdown cells, with single spaces."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return " ".join(re.sub(r"^> ?", "", text, flags=re.MULTILINE).split())


def numbers(text: str) -> list[float]:
    """The numbers that a text states: 50,176 · 138 million · 45 % · half."""
    found = []
    pattern = r"(?<![\w.])(\d[\d,]*(?:\.\d+)?)\s*(million|thousand|%|percent)?"
    for digits, unit in re.findall(pattern, text):
        scale = {"million": 1e6, "thousand": 1e3, "%": 0.01, "percent": 0.01}.get(unit, 1)
        found.append(float(digits.replace(",", "")) * scale)
    lower = f" {text.lower()} "
    return found + [value for word, value in WORDS.items() if re.search(rf"\b{word}\b", lower)]


def looked_up(content: Any, key: str) -> float:
    """The value under a path such as `metrics.scenes.RGB`, or the number of what is there."""
    steps = [step for step in key.removesuffix(".length").split(".") if step]
    found = reduce(lambda inside, step: inside[int(step) if step.isdigit() else step], steps, content)
    return len(found) if key.endswith(".length") else float(found)


OPERATIONS: dict[type, Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Pow: operator.pow,
}  # fmt: skip


def counted(expression: str) -> float:
    """The value of an expression of numbers and + - * / // ** alone."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.BinOp):
            return OPERATIONS[type(node.op)](value(node.left), value(node.right))
        assert isinstance(node, ast.Constant) and isinstance(node.value, (int, float))
        return node.value

    return value(ast.parse(expression, mode="eval").body)


@each_claim
def test_it_stands_in_the_text(claim: dict[str, Any]) -> None:
    path = ROOT / claim["file"]
    assert " ".join(claim["text"].split()) in prose(path), f"{claim['file']} no longer says this"
    assert claim["value"] in [pytest.approx(number) for number in numbers(claim["text"])]


@each_claim
def test_its_source_says_so(claim: dict[str, Any]) -> None:
    sources = {"record", "counted", "paper"} & set(claim)
    assert sources, "a record, an expression or a paper must hold it"
    assert ("key" in claim) == ("record" in claim)
    within = claim.get("tolerance", 0)
    if "record" in claim:
        content = json.loads((ROOT / claim["record"]).read_text(encoding="utf-8"))
        assert looked_up(content, claim["key"]) == pytest.approx(claim["value"], abs=within)
    if "counted" in claim:
        assert counted(claim["counted"]) == pytest.approx(claim["value"], abs=within)


def test_numbers_are_read_as_a_reader_does() -> None:
    assert numbers("half of 50,176, or 138 million; 45 % and 0.25") == [50176, 138e6, 0.45, 0.25, 0.5]
    assert numbers("block5_conv3 has none") == []


def test_a_claim_stands_once() -> None:
    assert len({(claim["file"], claim["text"], claim["value"]) for claim in CLAIMS}) == len(CLAIMS)
