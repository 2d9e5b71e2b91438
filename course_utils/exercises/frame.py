"""What all exercises share: how one is declared, and how an answer is judged.

An exercise that asks for a function is declared by its solution, by `inputs`, which draws arguments afresh
each time, and by one table of mistakes, {message: mistaken function}. An answer is right when it does what
the solution does, for all of these inputs and for the first of them once more. If it isn't, and does exactly
what one of the mistaken functions does, it hears that message; otherwise the first difference is named. The
tests give each mistaken function as an answer, so the table is at once the diagnosis and its test.
`nb00.py` is the pattern. An exercise that asks for a value has no `inputs` and a table of values; where many
values are right, `check` judges instead, and the table holds answers under words of the messages.

In the notebook a cell tagged `exercise-01.2` holds the stub (`size = ...`, or a function that says
`return ...`) and `check("01.2", name)` as its last line, nothing else.
Nothing heavy is imported here, and a check imports what it needs inside.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_utils import progress
from course_utils.exercises.answers import (
    Endless,
    Mistake,
    NotAttempted,
    apart,
    array,
    blank,
    call,
    describe,
    expect,
    fresh,
    in_digits,
    in_words,
    listed,
    near,
    number,
    same,
    to_numpy,
    unfinished,
    with_gaps,
)
from course_utils.exercises.showing import show_code, show_source, show_text

__all__ = [
    "Exercise",
    "Mistake",
    "NotAttempted",
    "Verdict",
    "array",
    "call",
    "check",
    "describe",
    "exercises",
]
__all__ += ["expect", "find", "fresh", "hint", "judge", "notebooks", "number", "show_source"]
__all__ += ["solution", "solved", "to_numpy", "unknown", "with_gaps"]


DRAWS = 12  # of inputs, at most, to tell two mistakes apart
CONSTANT = "Your function gives the same answer whatever it is given."
SURE = 3  # draws in which an answer does what a mistake does, before it is told so


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: "01.2": notebook, dot, number. A replaced exercise gets a new number.
        title: as in the notebook's heading, without the number.
        name: the variable or function that the learner writes, as in `check("01.2", name)`.
        hint: one or two sentences that point the way without giving the answer.
        after: what is said after "right."; the idea in one sentence.
        solution: a function called `name`, or the text of lines that set `name`. It stands on its own,
            given the imports of its notebook's first cells.
        mistakes: message -> the answer that makes this mistake; at least five. With a `check`, words of the
            message will do.
        right: variants to be accepted, beside the solution; at least two.
        inputs: draws the arguments of some calls, as tuples, from a generator of random numbers; simple ones
            first, varied in all that the text leaves open. None where the answer is a value.
        read: turns what the learner's function returns (or the value) into a number or an array, or raises
            `Mistake`. By default `number` or `array`, as the solution has it.
        within: difference that still counts as equal, as a share of the largest value; admits float32.
        check: takes the answer; raises `Mistake` when it is wrong. Only where many answers are right.
    """

    id: str
    title: str
    name: str
    hint: str
    after: str
    solution: Callable[..., Any] | str
    right: Sequence[Any]
    mistakes: Mapping[str, Any] | None = None
    inputs: Callable[[np.random.Generator], Iterable[tuple[Any, ...]]] | None = None
    read: Callable[[Any], Any] | None = None
    within: float = 1e-4
    check: Callable[[Any], None] | None = None

    def source(self) -> str:
        """The solution as text, ready to be put in place of the stub."""
        if isinstance(self.solution, str):
            return textwrap.dedent(self.solution).strip() + "\n"
        return textwrap.dedent(inspect.getsource(self.solution))

    def wrong_answers(self) -> Mapping[str, Any]:
        """Words of a message -> an answer that must hear it."""
        return self.mistakes or {}

    def result(self, *arguments: Any) -> Any:
        """What the solution gives: its value, or what the function returns for copies of these arguments."""
        if callable(self.solution):
            return self.solution(*fresh(arguments))
        namespace: dict[str, Any] = {"np": np}
        exec(self.source(), namespace)
        return namespace[self.name]


@dataclass(frozen=True)
class Verdict:
    """What `judge` found: `state` is "right", "close", "wrong", "not attempted" or "unknown"."""

    id: str
    state: str
    message: str

    def __str__(self) -> str:
        return self.message


# --- for the learner -----------------------------------------------------------------------------------


def check(id: str, answer: Any = ...) -> None:
    """Say whether an answer is right, and if not what is wrong with it. Never raises.

    Every verdict on a learner's answer passes through here and nowhere else.

    Args:
        id: the exercise, such as "01.2".
        answer: what the exercise asks for: a value, or the function itself, without parentheses.
    """
    verdict = judge(id, answer)
    show_text(verdict.message, verdict.state)
    if verdict.state == "right":
        progress.note(verdict.id)


def hint(id: str) -> None:
    """Print one step towards the answer of an exercise such as "01.2"."""
    exercise = find(id)
    show_text(f"{id} hint. {exercise.hint}" if exercise else unknown(id))


def solution(id: str) -> None:
    """Show a solution of an exercise such as "01.2": code that the course's tests run."""
    exercise = find(id)
    if exercise is None:
        show_text(unknown(id))
    else:
        show_code(f"# {id} {exercise.title}: one of several ways\n{exercise.source()}")


# --- finding -------------------------------------------------------------------------------------------


def notebooks() -> list[str]:
    """The numbers of the notebooks that have exercises: ["00", "01", …]."""
    package = importlib.import_module("course_utils.exercises")
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return sorted(name[2:] for name in names if name.startswith("nb") and name[2:].isdigit())


def exercises(notebook: str) -> tuple[Exercise, ...]:
    """The exercises of one notebook ("01"), in order; empty where there are none."""
    if notebook not in notebooks():
        return ()
    return tuple(importlib.import_module(f"course_utils.exercises.nb{notebook}").EXERCISES)


def find(id: str) -> Exercise | None:
    """The exercise with this id, or None."""
    return next((each for each in exercises(str(id).partition(".")[0]) if each.id == id), None)


def unknown(id: Any) -> str:
    """What to say about an id that does not exist."""
    known = [each.id for each in exercises(str(id).partition(".")[0])]
    among = (
        f"this notebook has {', '.join(known)}" if known else f'an id looks like "01.2", with quotes: {id!r}'
    )
    return f"There is no exercise {id!r}: {among}."


def solved(cell: str, exercise: Exercise) -> str:
    """The source of an exercise cell with the solution in place of the stub."""
    kept = [line for line in cell.splitlines() if line.startswith("check(")]
    return f"{exercise.source()}\n" + "\n".join(kept)


# --- judging -------------------------------------------------------------------------------------------


def judge(id: str, answer: Any) -> Verdict:
    """Judge an answer without printing; what `check` prints, and what the tests read."""
    exercise = find(id)
    if exercise is None:
        return Verdict(str(id), "unknown", unknown(id))
    try:
        _judge(exercise, answer)
    except NotAttempted:
        return _not_attempted(id)
    except Mistake as mistake:
        if unfinished(answer):
            return _not_attempted(id)
        if mistake.close:
            return Verdict(id, "close", f"{id} close. {mistake}")
        return Verdict(id, "wrong", f"{id}: {mistake}")
    except Exception as error:  # an answer so odd that the check itself stumbled: still no traceback
        text = f"this answer, {describe(answer)}, could not be judged"
        return Verdict(id, "wrong", f"{id}: {text}: {type(error).__name__}: {in_words(error)}")
    return Verdict(id, "right", f"{id} right. {exercise.after}")


def _not_attempted(id: str) -> Verdict:
    return Verdict(id, "not attempted", f'{id} not attempted yet. A hint is one call away: hint("{id}")')


def _judge(exercise: Exercise, answer: Any) -> None:
    """Return when the answer is right."""
    if blank(answer):
        raise NotAttempted
    if exercise.check is not None:
        exercise.check(answer)
        if callable(answer):  # a function that is right once only
            exercise.check(answer)
    elif exercise.inputs is None:
        _compare_value(exercise, answer)
    else:
        compare_function(exercise, answer)


def _read(exercise: Exercise, value: Any, right: Any) -> Any:
    """A result as numbers, or a `Mistake`."""
    if exercise.read is not None:
        return exercise.read(value)
    return number(value) if np.ndim(right) == 0 else array(value)


def _compare_value(exercise: Exercise, answer: Any) -> None:
    right = exercise.result()
    given, right = _read(exercise, answer, right), np.asarray(_read(exercise, right, right))
    if same(given, right, exercise.within):
        return
    for message, wrong in (exercise.mistakes or {}).items():
        if same(given, np.asarray(wrong), exercise.within):
            raise Mistake(message, near(given, right))
    text = f"It is not {in_digits(float(given))}." if np.ndim(given) == 0 else "That is not it."
    raise Mistake(text, near(given, right))


def compare_function(exercise: Exercise, answer: Any) -> None:
    """Return when the answer does what the solution does for all inputs; else say what is wrong with it."""
    assert exercise.inputs is not None and callable(exercise.solution)
    if not callable(answer):
        call(answer)  # says so
    cases, rights = _drawn(exercise)
    cases.append(cases[0])  # once more: nothing may be kept from call to call
    rights.append(rights[0])
    given = [_outcome(exercise, answer, *pair) for pair in zip(cases, rights, strict=True)]
    good = [_agree(*pair, exercise.within) for pair in zip(given, rights, strict=True)]
    if all(good):
        return
    close = 2 * sum(good[:-1]) >= len(cases) - 1 or all(map(near, given, rights))
    first = good.index(False)
    constant = all(_agree(one, given[0], 1e-9) for one in given)
    yours, right = given[first], rights[first]
    case = "With " + listed([*inspect.signature(exercise.solution).parameters], cases[first])
    message = _which_mistake(exercise, answer, cases, rights, given)
    if message is not None and not (isinstance(yours, Mistake) and message in str(yours)):
        raise Mistake(f"{case}{_seen(yours, right)} {message}", close)
    if isinstance(yours, Mistake):  # where others went well, it helps to know which one did not
        bare = "It was given" in str(yours) or not any(good)
        raise Mistake(str(yours) if bare else f"{case}: {yours}", close)
    if first == len(cases) - 1:
        raise Mistake("Asked the same once more, your function answers something else. What does it keep?")
    if constant and np.shape(yours) == np.shape(right):
        raise Mistake(CONSTANT)
    raise Mistake(f"{case} {_difference(yours, right)}{f' {CONSTANT}' if constant else ''}", close)


def _which_mistake(
    exercise: Exercise, answer: Any, cases: list[Any], rights: list[Any], given: list[Any]
) -> str | None:
    """The message of the known mistake that this answer makes, or None.

    Two mistakes may look alike for one draw of the inputs (the largest of two scores is now and then the last
    one), and a mistake that is in no table like one that is: fresh inputs decide.
    """
    fitting = dict(exercise.mistakes or {})
    for draw in range(1, DRAWS + 1):
        fitting = {
            message: mistaken
            for message, mistaken in fitting.items()
            if all(
                _agree(yours, _outcome(exercise, mistaken, case, right), exercise.within)
                for yours, case, right in zip(given, cases, rights, strict=True)
            )
        }
        if not fitting or (len(fitting) == 1 and draw >= SURE):
            break
        cases, rights = _drawn(exercise)
        given = [_outcome(exercise, answer, *pair) for pair in zip(cases, rights, strict=True)]
    return next(iter(fitting), None)


def _drawn(exercise: Exercise) -> tuple[list[Any], list[Any]]:
    """Fresh inputs of an exercise, and what its solution says of them."""
    assert exercise.inputs is not None
    cases = list(exercise.inputs(np.random.default_rng()))
    rights = [exercise.result(*case) for case in cases]
    return cases, [right if np.ndim(right) == 0 else _read(exercise, right, right) for right in rights]


def _outcome(exercise: Exercise, answer: Any, case: tuple[Any, ...], right: Any) -> Any:
    """What a function gives for one input: a number, an array, or a `Mistake`."""
    try:
        return _read(exercise, call(answer, *case), right)
    except Endless:
        raise
    except Mistake as mistake:
        return mistake


def _agree(given: Any, other: Any, within: float) -> bool:
    """Whether two outcomes are the same; failures are when they say the same."""
    if isinstance(given, Mistake) or isinstance(other, Mistake):
        return isinstance(given, Mistake) and isinstance(other, Mistake) and _what(given) == _what(other)
    return same(given, other, within)


def _what(mistake: Mistake) -> str:
    """A mistake's text without the line that it happened in."""
    return str(mistake).partition(" with ")[2] or str(mistake)


def _seen(given: Any, right: Any) -> str:
    """The clause on the answer itself: a number, or the shape where that is wrong."""
    if isinstance(given, Mistake):
        return ":"
    if np.ndim(right) == 0:
        return f" your answer is {in_digits(float(given))}."
    return f" your answer {_form(given)}." if np.shape(given) != np.shape(right) else ":"


def _form(value: Any) -> str:
    """What a result looks like: one number, the numbers of a few things, or a shape."""
    plain = np.asarray(value)
    if plain.ndim == 1 and plain.dtype.kind in "iu" and plain.size <= 12:
        return f"is {plain.tolist()}"
    return f"has shape {plain.shape}" if plain.ndim else "is one number"


def _difference(given: Any, right: Any) -> str:
    """What is to be said of an answer that makes none of the known mistakes."""
    if np.shape(given) != np.shape(right):
        wanted = _form(right)
        wanted = f"it should be {wanted[3:]}" if "[" in wanted else f"shape {np.shape(right)} is asked for"
        return f"your answer {_form(given)}; {wanted}."
    off = np.abs(np.asarray(given, float) - np.asarray(right, float))
    place = np.unravel_index(int(off.argmax()), off.shape)
    yours, wanted = apart(float(np.asarray(given)[place]), float(np.asarray(right)[place]))
    where = f"at {[int(i) for i in place]} " if place else ""
    return f"your answer {where}is {yours}; it should be {wanted}."
