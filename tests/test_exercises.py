"""Every exercise of every notebook: wrong answers are refused with a reason, right ones accepted."""

from __future__ import annotations

import html
import importlib
import itertools
import re
import sys
from typing import Any
from unittest import mock

import numpy as np
import pytest

from course_utils import exercises as public
from course_utils.exercises import answers, frame, showing

ALL = [each for number in frame.notebooks() for each in frame.exercises(number)]
RETIRED = {"02.2", "02.3", "06.4"}  # replaced by other exercises; a number is never used again
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
    numbers = [f"{number}.{place}" for place in range(1, len(ids) + len(RETIRED) + 1)]
    assert len(ids) >= 4
    assert ids == [each for each in numbers if each not in RETIRED][: len(ids)]


@each_exercise
def test_wrong_answers_are_refused_each_with_its_own_reason(exercise: frame.Exercise) -> None:
    wrong = exercise.wrong_answers()
    assert len(wrong) >= 5
    messages = []
    for words, answer in wrong.items():
        verdict = frame.judge(exercise.id, answer)
        assert verdict.state in ("close", "wrong"), (words, verdict)
        assert words in verdict.message
        assert "could not be judged" not in verdict.message
        messages.append(verdict.message)
    assert len(set(messages)) == len(messages)


@each_exercise
def test_right_answers_are_accepted(exercise: frame.Exercise) -> None:
    assert len(exercise.right) >= 2
    for answer in [solve(exercise), *exercise.right]:
        assert str(frame.judge(exercise.id, answer)) == f"{exercise.id} right. {exercise.after}"


@each_exercise
def test_the_stub_is_not_attempted(exercise: frame.Exercise) -> None:
    def returns_dots(*_: Any, **__: Any) -> Any:
        unfinished = ...
        return unfinished

    stubs = [...]
    if callable(solve(exercise)):
        stubs += [returns_dots, answers._stub, answers._documented_stub]
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

    junk = [None, 3, "x", np.full((2, 3), np.nan), [], {}, {1}, object(), int, np.array(["a"]), 10**5000]
    junk += [mock.Mock(), mock.MagicMock(), np.zeros((2, 2), object), b"x", 1j, ["a", [1]]]
    junk += [fails, leaves, never_ends, *(lambda *_, item=item: item for item in junk)]
    for answer in junk:
        verdict = frame.judge(exercise.id, answer)
        assert verdict.message.startswith(exercise.id) and verdict.state != "right"


@each_exercise
def test_an_answer_that_remembers_its_first_call_does_not_pass(exercise: frame.Exercise) -> None:
    answer = solve(exercise)
    if exercise.inputs is not None:
        kept: list[Any] = []

        def remembers(*arguments: Any, **named: Any) -> Any:
            kept.append(kept[0] if kept else answer(*arguments, **named))
            return kept[-1]

        assert frame.judge(exercise.id, remembers).state != "right"


@each_exercise
def test_the_expected_shape_alone_does_not_pass(exercise: frame.Exercise) -> None:
    answer = solve(exercise)
    shape_only = (lambda *a, **k: empty(answer(*a, **k))) if callable(answer) else empty(answer)
    assert frame.judge(exercise.id, shape_only).state != "right"


@each_exercise
def test_texts_are_there(exercise: frame.Exercise) -> None:
    for text in (exercise.title, exercise.hint, exercise.after):
        assert len(text) > 10
    assert exercise.name in exercise.source()


def test_the_four_calls_print(capsys: pytest.CaptureFixture[str]) -> None:
    public.check("01.2", 3)
    public.check("01.1", 320)
    public.hint("01.2")
    public.solution("01.2")
    public.show_source(frame.number)
    printed = capsys.readouterr().out
    assert "01.2: The check needs the function itself" in printed
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
    assert frame.judge("01.2", lambda size, inputs, filters: 3).state == "wrong"


def unfinished(image: np.ndarray) -> np.ndarray:
    turned = image[..., ::-1]
    return turned - ...


def two_ellipses(image: np.ndarray) -> np.ndarray:
    return image[..., ::-1, ...]


def leftover(image: np.ndarray) -> np.ndarray:
    ...
    return image[..., ::-1] - np.array([103.939, 116.779, 123.68])


def test_dots_are_unfinished_where_a_value_belongs() -> None:
    assert frame.judge("01.4", unfinished).state == "not attempted"
    assert frame.judge("01.4", two_ellipses).state == "wrong"
    assert frame.judge("01.4", leftover).state == "right"


def test_lists_may_be_used_up_arrays_not_be_written_into() -> None:
    stack, given = [np.ones(3)], np.ones(3)

    def uses_up(values: list[np.ndarray]) -> np.ndarray:
        return values.pop()

    def writes(values: np.ndarray) -> np.ndarray:
        values += 1
        return values

    assert answers.call(uses_up, stack).tolist() == [1, 1, 1] and len(stack) == 1
    with pytest.raises(frame.Mistake, match="writes into the array"):
        answers.call(writes, given)
    assert given.tolist() == [1, 1, 1]


def test_a_loop_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(size: int, inputs: int, filters: int) -> None:
        while True:
            size += 1

    monkeypatch.setattr(answers, "LIMIT", 0.1)
    verdict = frame.judge("01.2", endless)
    assert verdict.state == "wrong" and "never end" in verdict.message
    assert frame.judge("01.2", frame.find("01.2").solution).state == "right"


def test_close_is_said_of_what_is_close_only() -> None:
    assert frame.judge("01.2", lambda size, inputs, filters: size * size * inputs * filters).state == "close"
    assert frame.judge("01.2", lambda size, inputs, filters: size).state == "wrong"
    assert answers.apart(5.21, 5.23) == ("5.21", "5.23")
    assert answers.apart(5.2, 5.2000001) == ("5.2", "5.2000001")


def test_an_answer_that_changes_from_call_to_call_is_named() -> None:
    seen: set[tuple[int, ...]] = set()

    def counts(size: int, inputs: int, filters: int) -> int:
        again = (size, inputs, filters) in seen
        seen.add((size, inputs, filters))
        return (size * size * inputs + 1) * filters + again

    assert "Asked the same once more" in frame.judge("01.2", counts).message


def test_verdicts_differ_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display

    shown: list[dict[str, str]] = []
    monkeypatch.setattr(showing, "_in_notebook", lambda: True)
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: shown.append(data))
    public.check("01.1", 320)
    public.check("01.1", 7)
    public.check("01.1", ...)
    public.solution("01.2")
    pages = [data["text/html"] for data in shown]
    assert len({re.search("solid (#\\w+)", page)[1] for page in pages[:3]}) == 3
    assert shown[0]["text/plain"].startswith("01.1 right.")
    assert "white-space: pre;" in pages[3] and "color: #202020" in pages[3]  # readable in a dark theme, too
    code = html.unescape(re.sub("<[^>]*>", "", pages[3]))
    assert code.strip() == shown[3]["text/plain"].strip()


def test_source_is_shown_without_the_long_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    public.show_source(answers.call)
    short = capsys.readouterr().out
    public.show_source(answers.call, docstring=True)
    assert len(short) < len(capsys.readouterr().out)
    assert (
        '"""Call the learner\'s function on copies of the arguments, lists and what is in them included."""'
        in short
    )
    assert short.startswith("# course_utils.exercises.answers\ndef call(")
    compile(short, "shown", "exec")


def test_source_of_something_without_source(capsys: pytest.CaptureFixture[str]) -> None:
    public.show_source(len)
    public.show_source(3)
    assert capsys.readouterr().out.count("There is no Python source") == 2


def _largest(scores):
    return scores.max()


@pytest.mark.parametrize("wrong", [104_861_697, 104_861_695, 104_861_696.5, np.float32(104_861_704)])
def test_a_large_number_is_asked_for_exactly(wrong: Any) -> None:
    """Beyond 2^24 float32 rounds, and only what it makes of the right number is let through for it."""
    assert frame.judge("04.2", np.float32(104_861_696)).state == "right"
    assert frame.judge("04.2", wrong).state != ("right" if isinstance(wrong, int | float) else "")


def test_what_a_call_did_is_said_in_whole_sentences() -> None:
    """Where a known mistake is one of the frame's own (it writes, returns nothing), its words are enough."""
    for id, words in (("06.3", "writes into the array"), ("06.5", "Two things are asked for")):
        exercise = frame.find(id)
        assert exercise is not None
        answer = next(v for k, v in exercise.wrong_answers().items() if words in k)
        message = frame.judge(id, answer).message
        assert message.count(words) == 1 and message.endswith(".") and "With " not in message


def _asked(inputs: Any, mistakes: dict[str, Any]) -> frame.Exercise:
    """An exercise that asks for the largest score."""
    return frame.Exercise(
        id="99.1",
        title="",
        name="_largest",
        hint="",
        after="",
        solution=_largest,
        inputs=inputs,
        mistakes=mistakes,
        right=[],
    )


def test_two_mistakes_that_often_look_alike_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one draw of eight the first of two scores is the smaller one three times: fresh ones tell."""
    mistakes = {"The smallest, not the largest.": lambda scores: scores.min()}
    mistakes["The first, not the largest."] = lambda scores: scores[0]
    asked = _asked(lambda random: [(pair,) for pair in random.normal(size=(3, 2))], mistakes)
    monkeypatch.setattr(frame, "find", lambda _: asked)
    for _ in range(40):
        verdict = frame.judge("99.1", mistakes["The first, not the largest."])
        assert verdict.state == "right" or "The first" in verdict.message
        assert "The smallest" in frame.judge("99.1", mistakes["The smallest, not the largest."]).message


@pytest.mark.parametrize(
    ("id", "change"),
    [
        ("04.1", lambda right, a, b: 1.0 if tuple(a[:2]) == tuple(b[:2]) else right),
        ("04.5", lambda right, boxes, scores, overlap: [i for i in right if scores[i] > 0]),
        ("05.5", lambda right, s: right if s % 2 == 0 else 1 - abs(np.arange(2 * s) - s + 1) / s),
        ("08.3", lambda right, pictures, gradient, step: pictures + (right - pictures) * int(step) / step),
        ("09.5", lambda right, ab, voices, colours: np.clip(right, -50, 50)),
    ],
)
def test_an_answer_that_is_right_for_some_inputs_only_does_not_pass(id: str, change: Any) -> None:
    exercise = frame.find(id)
    assert exercise is not None
    almost = frame.judge(id, lambda *given: change(exercise.result(*given), *given))
    assert almost.state in ("close", "wrong")


@pytest.mark.parametrize(
    "way",
    [
        lambda maps, tall, wide: [tall @ maps[..., k] @ wide.T for k in range(maps.shape[-1])],
        lambda maps, tall, wide: np.einsum("Hh,hwc,Ww->cHW", tall, maps, wide),
        lambda maps, tall, wide: np.moveaxis(np.tensordot(tall, wide @ maps, 1), -1, 0),
    ],
)
def test_maps_stretched_in_whatever_way_are_stretched_maps(way: Any) -> None:
    verdict = frame.judge(
        "03.6",
        lambda maps, mask, tall, wide: [float(one[mask].mean()) for one in way(maps, tall, wide)],
    )
    assert "a stretched map was made" in verdict.message


@pytest.mark.parametrize("id", ["02.4", "02.5", "02.7", "04.4", "04.5", "06.5", "09.3"])
def test_a_generator_is_as_good_as_a_list(id: str) -> None:
    exercise = frame.find(id)
    assert exercise is not None and callable(exercise.solution)
    assert frame.judge(id, lambda *given: (item for item in exercise.solution(*given))).state == "right"


def test_a_generator_without_end_is_cut_off() -> None:
    assert len(answers.call(itertools.count)) == answers.MANY


def test_what_is_no_number_is_called_so() -> None:
    message = frame.judge("01.5", lambda scores: scores * np.nan).message
    assert "is nan; it should be" in message


def test_the_input_for_which_nothing_comes_back_is_named() -> None:
    exercise = frame.find("04.5")
    assert exercise is not None
    verdict = frame.judge("04.5", lambda *given: exercise.result(*given) or None)
    assert verdict.message.startswith("04.5 close. With boxes of shape (0, 4)")
    assert "returns None" in verdict.message


def test_whole_numbers_short_arrays_and_functions_are_told_readably() -> None:
    by_one = frame.judge("01.2", lambda size, inputs, filters: (size**2 * inputs + 1) * filters + 1)
    assert "your answer is 73857; it should be 73856." in by_one.message
    assert "It is not 104861699." in frame.judge("04.2", 104_861_699).message
    assert "slope (a function), steps 6" in frame.judge("08.5", lambda image, *_: image).message
    assert answers.listed(["box"], [np.array([4, 6.5, 10, 20])]) == "box [4, 6.5, 10, 20]"
    exercise = frame.find("04.5")
    assert exercise is not None
    first = frame.judge("04.5", lambda *given: exercise.result(*given)[:3])
    assert re.search(r"your answer is (\[\d, \d, \d\]); it should be \[\d, \d, \d, \d\]\.", first.message)
    assert "your answer is one number; shape (" in frame.judge("00.6", lambda *_: 3.0).message


def test_an_answer_that_looks_like_a_mistake_once_is_not_accused_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the first draw the first of two scores is the smaller one; later it isn't."""
    drawn: list[int] = []

    def draws(random: np.random.Generator) -> list[tuple[np.ndarray]]:
        drawn.append(1)
        return [(np.array([1.0, 2.0]) if len(drawn) == 1 else np.array([5.0, 3.0, 7.0]),)] * 3

    asked = _asked(draws, {"The smallest, not the largest.": lambda scores: scores.min()})
    monkeypatch.setattr(frame, "find", lambda _: asked)
    assert "The smallest" not in frame.judge("99.1", lambda scores: scores[0]).message
    assert "The smallest" in frame.judge("99.1", lambda scores: scores.min()).message
