"""Sentences that state a recorded or published number: they stand there, and the record says the same."""

from __future__ import annotations

import csv
import json
import math
import re
import tomllib
from functools import cache, reduce
from pathlib import Path
from typing import Any

import pytest

from tools import book

ROOT = Path(__file__).resolve().parents[1]
LISTED = tomllib.loads((ROOT / "docs" / "claims.toml").read_text(encoding="utf-8"))
CLAIMS = LISTED["claim"]
IN_WORDS = re.compile(
    r"\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|sixteen|million|fif\w+|twenty|thirty|forty|sixty|"
    r"hundred|thousand|half|quarters?|thirds?|tenths?)\b",
    re.IGNORECASE,
)
each_claim = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["text"][:50])


def as_list(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


@cache
def text_of(name: str) -> str:
    """A page, or all cells of a notebook, in single spaces, without the marks of quotations."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".ipynb"):
        text = "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return " ".join(re.sub(r"^> ?", "", text, flags=re.MULTILINE).split())


def recorded(path: Path, key: str) -> float | str:
    """What stands under a path as `metrics.scenes.RGB`: a number, a text, or how many there are."""
    text = path.read_text(encoding="utf-8")
    content = list(csv.DictReader(text.splitlines())) if path.suffix == ".csv" else json.loads(text)
    steps = [step for step in key.removesuffix(".length").split(".") if step]
    found = reduce(lambda inside, step: inside[int(step) if step.isdigit() else step], steps, content)
    return len(found) if key.endswith(".length") else found


def numbers_in(text: str) -> list[float]:
    """Numbers in digits; per cent as they stand, and as shares."""
    found = re.findall(r"(?<![\w.])(\.?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?)( ?%| million)?", text)
    scale = {"%": 0.01, "million": 1e6}
    plain = [(float(digits.replace(",", "")), scale.get(unit.strip(), 1)) for digits, unit in found]
    return [value for value, _ in plain] + [value * unit for value, unit in plain]


@each_claim
def test_it_stands_in_the_text(claim: dict[str, Any]) -> None:
    assert {"record", "paper"} & set(claim) and ("key" in claim) == ("record" in claim)
    assert claim["text"] in text_of(claim["file"])
    if not IN_WORDS.search(claim["text"]):
        stated = numbers_in(claim["text"])
        assert all(
            any(math.isclose(v, each, rel_tol=1e-6) for each in stated) for v in as_list(claim["value"])
        )


@pytest.mark.parametrize(
    "claim", [claim for claim in CLAIMS if "record" in claim], ids=lambda c: c["text"][:50]
)
def test_the_record_says_so(claim: dict[str, Any]) -> None:
    values, keys = as_list(claim["value"]), as_list(claim["key"])
    assert len(values) == len(keys)
    for value, key in zip(values, keys, strict=True):
        found = recorded(ROOT / claim["record"], key)
        said = numbers_in(found) if isinstance(found, str) else [float(found)]
        within = claim.get("tolerance", 0)
        assert any(math.isclose(value, each, rel_tol=1e-6, abs_tol=within) for each in said), (key, found)


@pytest.mark.parametrize("entry", LISTED["beside"], ids=lambda entry: entry["text"][:50])
def test_papers_stand_beside_records(entry: dict[str, Any]) -> None:
    assert " ".join(entry["text"].split()) in text_of(entry["file"])
    assert entry["value"] in numbers_in(entry["text"])
    ours, trivial = (float(recorded(ROOT / entry["record"], entry[key])) for key in ("key", "trivial"))
    assert 0 < trivial < 1 and 0 < ours < 1


def test_the_page_shows_all_of_it() -> None:
    text = book.papers_and_we()
    assert text.count("\n### ") == len({claim["file"] for claim in CLAIMS})
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) - text.count("\n|---") == len(CLAIMS) + len(LISTED["beside"])
