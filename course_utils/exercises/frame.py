"""What all exercises share: the `Exercise` itself, its judge, and the few helpers that checks are made of.

How to add one: in the notebook's module (`nb01.py` is the pattern) write

* the solution as a plain function, or as a few lines of text that set a variable;
* a check: a function of the learner's answer that raises `Mistake` (through `expect`, `match`, `call`,
  `number`, `array`) with a sentence about *this* mistake, and returns when the answer is right;
* `wrong`: a function that returns at least five plausible wrong answers, each under the words that its
  message must contain; `right`: a function that returns at least two variants that must be accepted;

and in the notebook a cell tagged `exercise-01.2` that holds the stub (`size = ...`, or a function that says
`return ...`) and `check("01.2", name)` as its last line, nothing else.
Nothing heavy is imported here, and a check imports what it needs inside.
"""

from __future__ import annotations

import ast
import html
import importlib
import inspect
import pkgutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from course_utils import progress


class Mistake(Exception):
    """What is wrong with an answer, in a sentence for the learner."""


class NotAttempted(Exception):
    """The answer is still `...`."""


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: "01.2": notebook, dot, number.
        title: as in the notebook's heading, without the number.
        name: the variable or function that the learner writes, as in `check("01.2", name)`.
        hint: one or two sentences that point the way without giving the answer.
        after: what is said after "right."; the idea in one sentence.
        check: takes the answer; raises `Mistake` when it is wrong, returns when it is right.
        solution: a function called `name`, or the text of lines that set `name`. It stands on its own,
            given the imports of its notebook's first cells.
        wrong: returns plausible wrong answers, each under words that its message contains.
        right: returns variants to be accepted, beside the solution.
    """

    id: str
    title: str
    name: str
    hint: str
    after: str
    check: Callable[[Any], None]
    solution: Callable[..., Any] | str
    wrong: Callable[[], Mapping[str, Any]]
    right: Callable[[], Sequence[Any]]

    def source(self) -> str:
        """The solution as text, ready to be put in place of the stub."""
        if isinstance(self.solution, str):
            return textwrap.dedent(self.solution).strip() + "\n"
        return textwrap.dedent(inspect.getsource(self.solution))


@dataclass(frozen=True)
class Verdict:
    """What `judge` found: `state` is "right", "close", "not attempted" or "unknown"."""

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
    print(verdict)
    if verdict.state == "right":
        progress.note(verdict.id)


def hint(id: str) -> None:
    """Print one step towards the answer of an exercise such as "01.2"."""
    exercise = find(id)
    print(f"{id} hint. {exercise.hint}" if exercise else unknown(id))


def solution(id: str) -> None:
    """Show a solution of an exercise such as "01.2": code that the course's tests run."""
    exercise = find(id)
    if exercise is None:
        print(unknown(id))
    else:
        display_code(f"# {id} {exercise.title}: one of several ways\n{exercise.source()}")


def show_source(function: Any, docstring: bool = False) -> None:
    """Show the source of one of the course's functions or classes, highlighted in a notebook.

    Args:
        function: a function, class or module of Python code.
        docstring: show the whole docstring; otherwise only its first line.
    """
    function = inspect.unwrap(function)
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        print(f"There is no Python source to show for {function!r}.")
        return
    if not docstring and not inspect.ismodule(function):
        source = shorten_docstring(source)
    display_code(f"# {getattr(function, '__module__', None) or function.__name__}\n{source}")


# --- finding and judging -------------------------------------------------------------------------------


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


def judge(id: str, answer: Any) -> Verdict:
    """Judge an answer without printing; what `check` prints, and what the tests read."""
    exercise = find(id)
    if exercise is None:
        return Verdict(str(id), "unknown", unknown(id))
    try:
        if blank(answer):
            raise NotAttempted
        exercise.check(answer)
    except NotAttempted:
        text = f'{id} not attempted yet. A hint is one call away: hint("{id}")'
        return Verdict(id, "not attempted", text)
    except Mistake as mistake:
        return Verdict(id, "close", f"{id} close. {mistake}")
    except Exception as error:  # an answer so odd that the check itself stumbled: still no traceback
        text = f"This answer, {describe(answer)}, could not be judged: {type(error).__name__}: {error}"
        return Verdict(id, "close", f"{id} close. {text}")
    return Verdict(id, "right", f"{id} right. {exercise.after}")


def _stub() -> None: ...


def _documented_stub() -> None:
    """Do nothing."""


def blank(answer: Any) -> bool:
    """Whether an answer is still to be written: `...`, a container with `...`, a function without a body."""
    if answer is ...:
        return True
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, (list, tuple)):
        return any(item is ... for item in answer)
    code = getattr(answer, "__code__", None)
    if code is None or code.co_code not in (_stub.__code__.co_code, _documented_stub.__code__.co_code):
        return False
    return all(constant in (None, ..., answer.__doc__) for constant in code.co_consts)


# --- what checks are made of ---------------------------------------------------------------------------


def expect(condition: Any, message: str) -> None:
    """Raise `Mistake(message)` unless the condition holds."""
    if not condition:
        raise Mistake(message)


def match(given: Any, right: Any, mistakes: Mapping[str, Any], otherwise: str, within: float = 1e-4) -> None:
    """Return when `given` is `right`; else say which of the known mistakes was made.

    Args:
        given: a number or an array, already through `number` or `array`.
        right: what is asked for, of the same shape.
        mistakes: the message for each known wrong result, and that result.
        otherwise: the message for any other result.
        within: absolute difference that still counts as equal.
    """

    def same(other: Any) -> bool:
        return np.shape(given) == np.shape(other) and np.allclose(given, other, rtol=1e-5, atol=within)

    if not same(right):
        raise Mistake(next((message for message, wrong in mistakes.items() if same(wrong)), otherwise))


def call(function: Any, *arguments: Any, **named: Any) -> Any:
    """Call the learner's function on copies of the arguments.

    Returns what it returns. Raises `Mistake` when it is no function, fails, or returns nothing;
    `NotAttempted` when a `...` is left in it.
    """
    if not callable(function):
        kind = describe(function)
        raise Mistake(
            f"The check needs the function itself, without parentheses after its name; it got {kind}."
        )
    try:
        result = function(*map(fresh, arguments), **{key: fresh(value) for key, value in named.items()})
    except (Exception, SystemExit) as error:
        explain(error, arguments)
    if blank(result) and not callable(result):
        raise NotAttempted
    expect(result is not None, "Your function returns None. Is the `return` missing?")
    return result


def explain(error: BaseException, arguments: Sequence[Any]) -> NoReturn:
    """Turn an error inside the learner's function into a `Mistake` that says where and with what."""
    if "ellipsis" in str(error).lower():
        raise NotAttempted from None
    frames = [frame for frame in walk(error.__traceback__) if frame[0] != __file__]
    where = f" in its line {frames[-1][1]}" if frames else ""
    given = ", ".join(map(describe, arguments)) or "nothing"
    text = f"Your function stopped{where} with {type(error).__name__}: {error}. It was given {given}."
    raise Mistake(text) from None


def walk(traceback: Any) -> list[tuple[str, int]]:
    """File and line, relative to the first line of the function, of each step of a traceback."""
    steps = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        steps.append((code.co_filename, traceback.tb_lineno - code.co_firstlineno + 1))
        traceback = traceback.tb_next
    return steps


def number(value: Any, what: str = "Your answer") -> float:
    """The value as a float; `Mistake` for anything that is not one finite number."""
    if value is ...:
        raise NotAttempted
    plain = to_numpy(value)
    if plain is None or plain.size != 1 or plain.dtype.kind not in "iuf":
        raise Mistake(f"{what} should be one number; it is {describe(value)}.")
    result = float(plain.reshape(()))
    expect(np.isfinite(result), f"{what} is {result}, which is no number to count with.")
    return result


def array(value: Any, shape: tuple[int, ...] | None = None, what: str = "Your answer") -> np.ndarray:
    """The value as a NumPy array; `Mistake` for no numbers, numbers that are not finite, another shape."""
    plain = to_numpy(value)
    if plain is None or plain.dtype.kind not in "biuf":
        raise Mistake(f"{what} should be an array of numbers; it is {describe(value)}.")
    expect(np.isfinite(plain).all(), f"{what} has values that are not finite (NaN or infinite).")
    expect(shape is None or plain.shape == shape, f"{what} has shape {plain.shape}; {shape} is asked for.")
    return plain


def to_numpy(value: Any) -> np.ndarray | None:
    """Numbers, lists, arrays and tensors of any backend as an array; None for everything else."""
    if value is None or isinstance(value, (str, bytes, dict, set)) or callable(value):
        return None
    try:
        if hasattr(value, "detach"):  # a torch tensor
            value = value.detach().cpu()
        plain = np.asarray(value)
    except Exception:
        return None
    return None if plain.dtype.kind in "OUS" else plain


def describe(value: Any) -> str:
    """A value in a few words: "a string", "an array of shape (3, 3)", "the function blur"."""
    if value is None:
        return "None"
    if isinstance(value, (bool, int, float, np.number)):
        return f"the number {value}" if not isinstance(value, bool) else f"{value}"
    if isinstance(value, str):
        return "the text " + repr(value if len(value) < 30 else value[:30] + "…")
    if inspect.isroutine(value):
        return f"the function {getattr(value, '__name__', 'without a name')}"
    if isinstance(value, (list, tuple, dict, set)):
        return f"a {type(value).__name__} of {len(value)}"
    if hasattr(value, "shape"):
        return f"an array of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def fresh(value: Any) -> Any:
    """A copy of an array, so that a learner's function may write into what it is given."""
    return value.copy() if isinstance(value, np.ndarray) else value


# --- showing code --------------------------------------------------------------------------------------


TINTS = {  # pygments' token -> JupyterLab's colour of its theme, and one that reads on white and on black
    "Comment": ("comment", "#7f8c8d"),
    "Keyword": ("keyword", "#1f8a3b"),
    "Literal.Number": ("number", "#1f8a3b"),
    "Literal.String": ("string", "#c0392b"),
    "Name.Function": ("def", "#2f6fd6"),
    "Name.Class": ("def", "#2f6fd6"),
    "Operator": ("operator", "#a333c8"),
}


def display_code(source: str) -> None:
    """Print Python code; in a notebook as highlighted code."""
    source = source.rstrip()
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel"):
        print(source)
        return
    from IPython.display import display

    display({"text/html": f"<pre><code>{highlighted(source)}</code></pre>", "text/plain": source}, raw=True)


def highlighted(source: str) -> str:
    """Python code as HTML that takes its colours from the notebook's theme."""
    from pygments.lexers import PythonLexer

    pieces = []
    for token, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens(source):
        name = ".".join(token)
        tint = next((tint for start, tint in TINTS.items() if name.startswith(start)), None)
        text = html.escape(text, quote=False)
        if tint and text.strip():
            text = f'<span style="color:var(--jp-mirror-editor-{tint[0]}-color,{tint[1]})">{text}</span>'
        pieces.append(text)
    return "".join(pieces)


def shorten_docstring(source: str) -> str:
    """The same code with the docstring of its first definition cut to its first line."""
    definition: Any = ast.parse(source).body[0]
    text = ast.get_docstring(definition) if hasattr(definition, "body") else None
    if not text:
        return source
    node = definition.body[0]
    lines = source.splitlines()
    quoted = f'{" " * node.col_offset}"""{text.splitlines()[0]}"""'
    return "\n".join([*lines[: node.lineno - 1], quoted, *lines[node.end_lineno :]])


def solved(cell: str, exercise: Exercise) -> str:
    """The source of an exercise cell with the solution in place of the stub."""
    kept = [line for line in cell.splitlines() if line.startswith("check(")]
    return f"{exercise.source()}\n" + "\n".join(kept)
