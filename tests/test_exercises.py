"""Every exercise of every notebook: wrong answers are refused with a reason, right ones accepted."""

from __future__ import annotations

import html
import importlib
import re
import sys
from typing import Any

import numpy as np
import pytest

from course_utils import exercises as public
from course_utils.exercises import frame

ALL = [each for number in frame.notebooks() for each in frame.exercises(number)]
each_exercise = pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)


def solve(exercise: frame.Exercise) -> Any:
    """The answer that a learner gets by typing the printed solution in."""
    from course_utils import runtime

    namespace: dict[str, Any] = {"np": np}
    if "keras" in exercise.source():
        namespace["keras"] = runtime.load_keras()
    if "hypercolumns" in exercise.source():
        namespace["hypercolumns"] = importlib.import_module("course_utils.hypercolumns")
    if "box_tools" in exercise.source():
        namespace["box_tools"] = importlib.import_module("course_utils.localization.boxes")
    exec(exercise.source(), namespace)
    return namespace[exercise.name]


def empty(value: Any) -> Any:
    """Something of the same kind and shape that holds no answer."""
    if isinstance(value, dict):
        return {key: empty(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(empty(item) for item in value)
    plain = frame.to_numpy(value)
    return None if plain is None else np.zeros_like(plain)


@pytest.mark.parametrize("number", frame.notebooks())
def test_a_notebook_has_enough_exercises_in_order(number: str) -> None:
    ids = [each.id for each in frame.exercises(number)]
    assert len(ids) >= 4
    assert ids == [f"{number}.{place}" for place in range(1, len(ids) + 1)]


@each_exercise
def test_wrong_answers_are_refused_each_with_its_own_reason(exercise: frame.Exercise) -> None:
    wrong = exercise.wrong()
    assert len(wrong) >= 5
    messages = []
    for words, answer in wrong.items():
        verdict = frame.judge(exercise.id, answer)
        assert verdict.state == "close", (words, verdict)
        assert words in verdict.message
        assert "could not be judged" not in verdict.message
        messages.append(verdict.message)
    assert len(set(messages)) == len(messages)


@each_exercise
def test_right_answers_are_accepted(exercise: frame.Exercise) -> None:
    variants = exercise.right()
    assert len(variants) >= 2
    for answer in [solve(exercise), *variants]:
        assert str(frame.judge(exercise.id, answer)) == f"{exercise.id} right. {exercise.after}"


@each_exercise
def test_the_stub_is_not_attempted(exercise: frame.Exercise) -> None:
    def returns_dots(*_: Any, **__: Any) -> Any:
        unfinished = ...
        return unfinished

    stubs = [...]
    if callable(solve(exercise)):
        stubs += [returns_dots, frame._stub, frame._documented_stub]
    for answer in stubs:
        verdict = frame.judge(exercise.id, answer)
        text = f'{exercise.id} not attempted yet. A hint is one call away: hint("{exercise.id}")'
        assert (verdict.state, str(verdict)) == ("not attempted", text)


@each_exercise
def test_junk_never_raises(exercise: frame.Exercise) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("on purpose")

    def leaves(*_: Any, **__: Any) -> None:
        sys.exit(1)

    def never_ends(*a: Any, **k: Any) -> Any:
        return never_ends(*a, **k)

    junk = [
        None,
        3,
        "x",
        fails,
        leaves,
        never_ends,
        np.full((2, 3), np.nan),
        [],
        {},
        object(),
        int,
        np.array(["a"]),
    ]
    junk += [lambda *_, item=item: item for item in junk]
    for answer in junk:
        assert frame.judge(exercise.id, answer).message.startswith(exercise.id)


@each_exercise
def test_the_expected_shape_alone_does_not_pass(exercise: frame.Exercise) -> None:
    answer = solve(exercise)
    shape_only = (lambda *a, **k: empty(answer(*a, **k))) if callable(answer) else empty(answer)
    assert frame.judge(exercise.id, shape_only).state != "right"


@each_exercise
def test_texts_are_there(exercise: frame.Exercise) -> None:
    for text in (exercise.title, exercise.hint, exercise.after):
        assert len(text) > 10
        assert "!" not in text
    assert exercise.name in exercise.source()


def test_the_four_calls_print(capsys: pytest.CaptureFixture[str]) -> None:
    public.check("01.2", 3)
    public.check("01.1", 320)
    public.hint("01.2")
    public.solution("01.2")
    public.show_source(frame.number)
    printed = capsys.readouterr().out
    assert "01.2 close. The check needs the function itself" in printed
    assert "01.1 right." in printed
    assert "01.2 hint." in printed
    assert "def parameters(size, inputs, filters):" in printed
    assert "def number(" in printed


@pytest.mark.parametrize("id", ["01.99", "77.1", "", None, 1.2, "nb01"])
def test_an_unknown_exercise_is_named(id: Any, capsys: pytest.CaptureFixture[str]) -> None:
    public.check(id, 1)
    public.hint(id)
    public.solution(id)
    assert capsys.readouterr().out.count(f"There is no exercise {id!r}") == 3


def test_an_error_in_the_answer_says_where_and_with_what() -> None:
    def divides(size: int, inputs: int, filters: int) -> float:
        zero = 0
        return size / zero

    message = frame.judge("01.2", divides).message
    assert "in its line 3 with ZeroDivisionError: division by zero" in message
    assert "the number 3, the number 64, the number 128" in message


def test_a_half_written_answer_is_not_attempted() -> None:
    assert frame.judge("01.2", lambda size, inputs, filters: ... + 1).state == "not attempted"
    assert frame.judge("01.4", lambda image: ...).state == "not attempted"
    assert frame.judge("01.2", lambda size, inputs, filters: 3).state == "close"


def test_an_answer_may_write_into_what_it_is_given() -> None:
    given = np.ones(3)

    def writes(values: np.ndarray) -> np.ndarray:
        values += 1
        return values

    assert frame.call(writes, given).tolist() == [2, 2, 2]
    assert given.tolist() == [1, 1, 1]


def test_source_is_shown_without_the_long_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    public.show_source(frame.call)
    short = capsys.readouterr().out
    public.show_source(frame.call, docstring=True)
    assert len(short) < len(capsys.readouterr().out)
    assert '"""Call the learner\'s function on copies of the arguments."""' in short
    assert short.startswith("# course_utils.exercises.frame\ndef call(")
    compile(short, "shown", "exec")


def test_source_of_something_without_source(capsys: pytest.CaptureFixture[str]) -> None:
    public.show_source(len)
    public.show_source(3)
    assert capsys.readouterr().out.count("There is no Python source") == 2


def test_highlighted_code_is_the_same_code() -> None:
    source = 'def f(a):\n    """<b>"""\n    return a if a < 2 else 1.5  # & so on\n'
    shown = frame.highlighted(source)
    assert html.unescape(re.sub("<[^>]*>", "", shown)) == source
    assert "var(--jp-mirror-editor-keyword-color" in shown
