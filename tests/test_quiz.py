"""The quiz at a notebook's end: every choice is answered, whatever is typed, and the page for a class."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from course_utils import cli
from course_utils.exercises import frame, questions, quiz

NUMBERS = frame.notebooks()


@pytest.mark.parametrize("number", NUMBERS)
def test_five_questions_and_each_choice_has_its_own_answer(number: str) -> None:
    asked = questions.questions(number)
    assert len(asked) == 5 and len({each.ask for each in asked}) == 5
    assert len({each.right for each in asked}) >= 3  # no pattern to guess by
    for each in asked:
        choices, said = zip(*each.choices.values(), strict=True)
        assert tuple(each.choices) == tuple("abcd") and each.right in each.choices
        assert len(set(choices)) == len(set(said)) == 4
        assert all(len(text.split()) >= 4 and text[-1] in ".?" for text in said), each.ask
        right = each.choices[each.right][0]
        others = [len(choice) for choice in choices if choice != right]
        assert len(right) <= 1.6 * max(others), "the longest choice must not give it away"


def test_right_and_wrong_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    asked = questions.questions("03")
    letters = "".join(each.right for each in asked)
    quiz("03", letters)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 5 and all("Right." in line for line in said)
    wrong = "a" if letters[1] != "a" else "b"
    quiz("03", f".{wrong.upper()}...")
    said = capsys.readouterr().out.splitlines()
    assert said == [f"2{wrong} {asked[1].choices[wrong][1]}"]


@pytest.mark.parametrize("nothing", ["", ".....", " ..... "])
def test_unanswered_it_asks(nothing: str, capsys: pytest.CaptureFixture[str]) -> None:
    quiz("00", nothing)
    said = capsys.readouterr().out
    assert said.count("  a) ") == 5 and "1. " in said and "Right." not in said


@pytest.mark.parametrize("odd", ["abc", "abcde", "aaaaaa", "12345", None, 7, ["a"] * 5, object(), ...])
def test_odd_answers_are_met_with_a_sentence(odd: Any, capsys: pytest.CaptureFixture[str]) -> None:
    quiz("00", odd)
    assert "Answer with 5 letters from a to d" in capsys.readouterr().out


@pytest.mark.parametrize("odd", ["42", None, 3.5, ""])
def test_no_such_quiz(odd: Any, capsys: pytest.CaptureFixture[str]) -> None:
    quiz(odd)
    assert "There is no quiz" in capsys.readouterr().out


def test_a_page_to_print(tmp_path: Path) -> None:
    run = CliRunner().invoke(cli.build(), ["quiz", "3", "07", "--out", str(tmp_path)])
    assert run.exit_code == 0, run.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quiz_03.html", "quiz_07.html"]
    page = (tmp_path / "quiz_03.html").read_text(encoding="utf-8")
    front, back = page.split('class="key"')
    asked = questions.questions("03")
    assert front.count("<li ") == 5 and not re.search("<b>|Right", front)
    assert re.findall(r"<b>([a-d])</b>", back) == [each.right for each in asked]
    run = CliRunner().invoke(cli.build(), ["quiz", "42", "--out", str(tmp_path)])
    assert run.exit_code == 1 and "there is no quiz 42" in str(run.exception)


@pytest.mark.parametrize("number", NUMBERS)
def test_each_notebook_ends_with_its_quiz(number: str) -> None:
    (path,) = (Path(__file__).parents[1] / "notebooks").glob(f"{number}_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    places = [i for i, cell in enumerate(cells) if f'quiz("{number}"' in "".join(cell["source"])]
    assert len(places) == 1 and places[0] >= len(cells) - 3
