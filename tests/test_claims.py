"""Numbers in prose: each stands in docs/claims.toml, and is what its source says."""

from __future__ import annotations

import ast
import csv
import json
import math
import operator
import re
import tomllib
from functools import cache, reduce
from pathlib import Path
from typing import Any

import prose_numbers
import pytest

from tools import book

ROOT = prose_numbers.ROOT
LISTED = tomllib.loads((ROOT / "docs" / "claims.toml").read_text(encoding="utf-8"))
CLAIMS, PLAIN = LISTED["claim"], LISTED["plain"]
page = cache(prose_numbers.page)
each_page = pytest.mark.parametrize("name", prose_numbers.pages())


def as_list(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def numbers(text: str) -> list[float]:
    """The numbers that a text states, and half: 50,176 · 138 million · 45 % · half · three quarters."""
    half = [0.5] if re.search(r"\bhalf\b", text.lower()) else []
    return [each.value for each in prose_numbers.numbers(text)] + half


def among(value: float, values: list[float]) -> bool:
    return any(math.isclose(value, each, rel_tol=1e-6) for each in values)


# --- what holds a claim ---------------------------------------------------------------------------------


def read_record(path: Path) -> Any:
    """A record: JSON, or a history (a list of rows)."""
    text = path.read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines())) if path.suffix == ".csv" else json.loads(text)


def looked_up(content: Any, key: str) -> list[float]:
    """What stands under a path as `metrics.scenes.RGB`: a number, those of a text, or how many there are."""
    steps = [step for step in key.removesuffix(".length").split(".") if step]
    found = reduce(lambda inside, step: inside[int(step) if step.isdigit() else step], steps, content)
    if key.endswith(".length"):
        return [len(found)]
    return numbers(found) if isinstance(found, str) else [float(found)]


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


def operands(claim: dict[str, Any]) -> list[float]:
    """What a claim's number is counted from."""
    return [number for expression in as_list(claim.get("counted", [])) for number in numbers(expression)]


@cache
def code(name: str) -> str:
    """A file's code, of a notebook that of its cells and what they printed, in single spaces."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".ipynb"):
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        printed = [
            out.get("text") or out.get("data", {}).get("text/plain", "")
            for c in cells
            for out in c["outputs"]
        ]
        text = "\n".join("".join(lines) for lines in [*(cell["source"] for cell in cells), *printed])
    return " ".join(text.split())


def contradictions(claim: dict[str, Any], root: Path = ROOT) -> list[str]:
    """What a claim's sources say against it."""
    values, found = as_list(claim["value"]), []
    if "record" in claim:
        content = read_record(root / claim["record"])
        found += [(key, looked_up(content, key)) for key in as_list(claim["key"])]
    if "counted" in claim:
        found += [(each, [counted(each)]) for each in as_list(claim["counted"])]
    assert len(found) in (0, len(values)), "one key or expression for each value"
    within = claim.get("tolerance", 0)
    wrong = [
        f"{value:g} is stated, {source} gives {said}"
        for value, (source, said) in zip(values, found, strict=False)
        if not any(math.isclose(value, each, rel_tol=1e-6, abs_tol=within) for each in said)
    ]
    if "code" in claim:
        said = numbers(claim["code"])
        if " ".join(claim["code"].split()) not in code(claim.get("where", claim["file"])):
            wrong.append(f"{claim['code']!r} is no longer in the code")
        if "counted" not in claim:
            wrong += [f"{value:g} is not in {claim['code']!r}" for value in values if value not in said]
        elif not set(said) & set(operands(claim)):
            wrong.append(f"nothing is counted from {claim['code']!r}")
    return wrong


KEYS = {"file", "text", "value", "tolerance", "record", "key", "counted", "paper", "code", "where"}
SOURCES = {"record", "counted", "paper", "code"}


def test_claims_are_complete() -> None:
    for claim in CLAIMS:
        assert set(claim) <= KEYS and set(claim) & SOURCES, claim["text"]
        assert ("key" in claim) == ("record" in claim), claim["text"]
        assert claim["file"] in prose_numbers.pages(), claim["text"]
        alone = [each for each in as_list(claim.get("counted", [])) if re.fullmatch(r"[\d.]+", each)]
        assert not alone or {"paper", "code"} & set(claim), (
            f"{claim['text']}: {alone} is counted from nothing"
        )
    assert len({(claim["file"], claim["text"], str(claim["value"])) for claim in CLAIMS}) == len(CLAIMS)


@each_page
def test_claims_stand_in_the_text(name: str) -> None:
    text = page(name)
    here = [claim for claim in CLAIMS if claim["file"] == name]
    assert [claim["text"] for claim in here if claim["text"] not in text] == [], f"{name} no longer says this"
    for claim in here:
        assert all(among(value, numbers(claim["text"])) for value in as_list(claim["value"])), claim["text"]


@each_page
def test_sources_say_so(name: str) -> None:
    wrong = {claim["text"]: contradictions(claim) for claim in CLAIMS if claim["file"] == name}
    assert {text: found for text, found in wrong.items() if found} == {}


def test_papers_stand_beside_records() -> None:
    for entry in LISTED["beside"]:
        file, quoted = entry["file"], entry["text"]
        assert quoted in code(file) or quoted in page(file), quoted
        assert entry["value"] in numbers(quoted), quoted
        content = read_record(ROOT / entry["record"])
        (ours,), (trivial,) = looked_up(content, entry["key"]), looked_up(content, entry["trivial"])
        assert 0 < trivial < 1 and 0 < ours < 1, quoted


def test_the_page_shows_all_of_it() -> None:
    text = book.papers_and_we()
    assert text.count("\n### ") == len({claim["file"] for claim in CLAIMS})
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) - text.count("\n|---") == len(CLAIMS) + len(LISTED["beside"])
    assert all(row.count("|") - row.count(r"\|") in (3, 7) for row in rows)


# --- no number without a claim --------------------------------------------------------------------------


COVERED: dict[str, list[tuple[str, list[float]]]] = {name: [] for name in prose_numbers.pages()}
for each in CLAIMS:
    COVERED[each["file"]].append((each["text"], as_list(each["value"]) + operands(each)))


def unclaimed(name: str, text: str) -> list[str]:
    """The numbers of a text that no claim and no plain entry covers, each with its sentence."""
    places: list[tuple[int, int, list[float] | None]] = []
    for quoted, values in [*COVERED[name], *((entry["text"], None) for entry in PLAIN)]:
        if quoted in text:
            found = re.finditer(rf"(?<!\w){re.escape(quoted)}(?!\w)", text)
            places += [(*match.span(), values) for match in found]
    return [
        f"{name}: {number.value:g} in “{prose_numbers.sentence(text, number)}”"
        for number in prose_numbers.stated(text)
        if not any(
            start <= number.start and number.end <= end and (values is None or among(number.value, values))
            for start, end, values in places
        )
    ]


@each_page
def test_no_number_without_a_claim(name: str) -> None:
    found = unclaimed(name, page(name))
    assert not found, "no claim in docs/claims.toml covers\n" + "\n".join(found)


def test_what_is_plain_is_short_and_in_use() -> None:
    texts = [page(name) for name in prose_numbers.pages()]
    assert len(PLAIN) < len(CLAIMS) / 5
    for entry in PLAIN:
        assert set(entry) == {"text", "reason"} and len(entry["text"].split()) < 10
        assert numbers(entry["text"]), f"{entry['text']} has no number"
        assert any(entry["text"] in text for text in texts), f"{entry['text']} stands nowhere"


# --- the test itself ------------------------------------------------------------------------------------


@each_page
def test_another_digit_in_the_text_is_found(name: str) -> None:
    """Change a digit of each number in turn: the passage around it has a number too many."""
    text = page(name)
    for number in prose_numbers.stated(text):
        passage = text[max(number.start - 300, 0) : number.end + 300]
        place = number.start - max(number.start - 300, 0)
        old = passage[place : place + number.end - number.start]
        new = re.sub(r"[1-9]", lambda digit: str((int(digit[0]) + 3) % 9 + 1), old, count=1)
        changed = passage[:place] + new + passage[place + len(old) :]
        assert new == old or len(unclaimed(name, changed)) > len(unclaimed(name, passage)), changed


def test_another_value_is_found() -> None:
    for claim in CLAIMS:
        if {"record", "counted", "code"} & set(claim):
            other = [1.1 * value + 2 * claim.get("tolerance", 0) + 0.1 for value in as_list(claim["value"])]
            assert len(contradictions({**claim, "value": other})) >= len(other), claim["text"]


def test_another_number_in_a_record_is_found(tmp_path: Path) -> None:
    record = tmp_path / "run.json"
    claim = {"value": 0.62, "record": "run.json", "key": "metrics.mean_iu", "tolerance": 0.005}
    for said, right in [(0.6162, True), (0.6262, False), ("62 % of all", True), ("61 % of all", False)]:
        record.write_text(json.dumps({"metrics": {"mean_iu": said}}))
        assert (contradictions(claim, tmp_path) == []) == right, said
    (tmp_path / "history.csv").write_text("epoch,loss\n1,0.5\n2,0.25\n")
    epochs = {"record": "history.csv", "key": ".length"}
    assert contradictions({"value": 2, **epochs}, tmp_path) == []
    assert contradictions({"value": 3, **epochs}, tmp_path) != []


def test_other_arithmetic_and_other_code_are_found() -> None:
    assert contradictions({"value": [9, 25], "counted": ["3 * 3", "5 * 5"]}) == []
    assert contradictions({"value": 26, "counted": "5 * 5"}) == ["26 is stated, 5 * 5 gives [25]"]
    here = {"file": "tests/test_claims.py", "code": "FRACTIONS"}
    assert contradictions({"value": 2, **here}) == ["2 is not in 'FRACTIONS'"]
    assert contradictions({"value": 2, "file": here["file"], "code": "no such " + "code 2"}) != []


def test_numbers_are_read_as_a_reader_does() -> None:
    assert numbers("half of 50,176, or 138 million; 45 % and 0.25") == [50176, 138e6, 0.45, 0.25, 0.5]
    assert numbers("a hundred and forty-four, fifty thousand; .7 and 1e-5") == [144, 50000, 0.7, 1e-5]


STATED = [
    ("Thirteen layers, 7 of them wide, reach 92.2 % after 1e-5.", [13, 7, 0.922, 1e-5]),
    ("block5_conv3 of VGG-16 in `feature_maps(x, 3)`; a 3 by 3 kernel, (height, width, 3) and 1 x 1.", []),
    ("See notebook 03, exercise 03.2, section 4.2 and [figure](a/12.png) of Long et al. (2015).", []),
    ("With Keras 3 and Python 3.12 it sums to 1 or 0, and takes 3.12 seconds.", [3.12]),
    ("One, ten and eleven; two hundred and half a million.", [11, 200, 1e6]),
    ("A third loss, three quarters of all, a fifth less; three times the rate, three times.", [0.75, 0.2, 3]),
]


@pytest.mark.parametrize(("text", "values"), STATED)
def test_what_counts_as_a_number(text: str, values: list[float]) -> None:
    assert [each.value for each in prose_numbers.stated(text)] == pytest.approx(values)


def test_what_is_left_out_of_a_page() -> None:
    source = (
        "# 03 Title\n\n> Read 12.\n>\n> ```python\n> a = 99\n> ```\n\n"
        "1. one <!-- measured -->7 GB<!-- /measured -->\n\n"
        "### Your turn 03.1: 40 more\n\n## Sources\n- A. Author (2015). 5, 6.\n"
    )
    text = prose_numbers.prose(source)
    assert [each.value for each in prose_numbers.stated(text)] == [12, 40]
    first = prose_numbers.stated("Nothing here. Of 64 entries 28 are zeros. Nor here.")[1]
    assert prose_numbers.sentence("Nothing here. Of 64 entries 28 are zeros. Nor here.", first) == (
        "Of 64 entries 28 are zeros."
    )
