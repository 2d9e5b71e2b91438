"""Reading what a learner gives: call it safely, turn it into numbers, say in words what it is."""

from __future__ import annotations

import ast
import contextlib
import ctypes
import inspect
import itertools
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

LIMIT = 20.0  # seconds that one call of a learner's function may take
MANY = 100_000  # values that are taken from a generator, at most


class Mistake(Exception):
    """What is wrong with an answer, in a sentence for the learner; `close` where little is missing."""

    def __init__(self, message: str, close: bool = False) -> None:
        super().__init__(message)
        self.close = close


class Endless(Mistake):
    """A call that did not come back in time: no further one is tried."""


class NotAttempted(Exception):
    """The answer is still `...`."""


class TooLong(BaseException):
    """The time for a call is over. No `Exception`, so that a learner's own `except` seldom swallows it."""


# --- calling -------------------------------------------------------------------------------------------


def call(function: Any, *arguments: Any, **named: Any) -> Any:
    """Call the learner's function on copies of the arguments, lists and what is in them included.

    Returns what it returns; a generator as a list. Raises `Mistake` when it is no function, fails, takes too
    long, returns nothing or writes into an array that it was given; `NotAttempted` when a `...` is left.
    """
    if not callable(function):
        kind = describe(function)
        raise Mistake(
            f"The check needs the function itself, without parentheses after its name; it got {kind}."
        )
    given, names = fresh(arguments), fresh(named)
    kept = list(zip(arrays([given, names]), arrays([arguments, named]), strict=True))
    try:
        with time_limit(LIMIT):
            result = function(*given, **names)
            if isinstance(result, Iterator):
                result = list(itertools.islice(result, MANY))
    except KeyboardInterrupt:
        raise
    except TooLong:
        text = f"Your function was still running after {LIMIT:g} seconds. Does one of its loops never end?"
        raise Endless(text) from None
    except BaseException as error:
        explain(error, function, arguments)
    if blank(result) and not callable(result):
        raise NotAttempted
    expect(result is not None, "Your function returns None. Is the `return` missing?")
    expect(
        all(np.array_equal(now, before) for now, before in kept),
        "Your function writes into the array that it is given, so whoever calls it loses the original. "
        "Work on a copy, without += or [...] = on it.",
    )
    return result


def fresh(value: Any) -> Any:
    """A copy down to the arrays in lists, tuples and dictionaries; other objects are handed on."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple):
        return type(value)(map(fresh, value))
    if type(value) is dict:
        return {key: fresh(item) for key, item in value.items()}
    return value


def arrays(value: Any) -> list[np.ndarray]:
    """All arrays in nested lists, tuples and dictionaries, in order."""
    if isinstance(value, np.ndarray):
        return [value]
    items = list(value.values()) if type(value) is dict else value if type(value) in (list, tuple) else []
    return [found for item in items for found in arrays(item)]


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TooLong` in this thread after so many seconds of Python code, and again until it is heard."""
    thread, lock, done = ctypes.c_ulong(threading.get_ident()), threading.Lock(), threading.Event()

    def watch() -> None:
        wait = seconds
        while not done.wait(wait):
            with lock:
                if not done.is_set():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TooLong))
            wait = 0.5

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with lock:  # from here on nothing is raised any more, and what is on its way is called back
            done.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, None)


def explain(error: BaseException, function: Any, arguments: Sequence[Any]) -> NoReturn:
    """Turn an error inside the learner's function into a `Mistake` that says where and with what."""
    said = in_words(error)
    if "ellipsis" in said.lower() and not isinstance(error, IndexError):
        raise NotAttempted from None
    code = getattr(function, "__code__", None)
    steps, traceback = [], error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code is code:
            steps.append(traceback.tb_lineno - code.co_firstlineno + 1)
        traceback = traceback.tb_next
    where = f" in its line {steps[-1]}" if steps else ""
    given = ", ".join(map(describe, arguments)) or "nothing"
    text = f"Your function stopped{where} with {type(error).__name__}: {said}. It was given {given}."
    raise Mistake(text) from None


def in_words(error: BaseException) -> str:
    """An error's own text, on one line."""
    try:
        return " ".join(str(error).split())[:300]
    except Exception:
        return "without a text"


# --- still to be written ---------------------------------------------------------------------------------


def _stub() -> None: ...


def _documented_stub() -> None:
    """Do nothing."""


def blank(answer: Any) -> bool:
    """Whether an answer is still to be written: `...`, a container with `...`, a function without a body."""
    if answer is ...:
        return True
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, np.ndarray) and answer.dtype == object:
        answer = list(answer.flat)
    if isinstance(answer, (list, tuple)):
        return any(item is ... for item in answer)
    code = getattr(answer, "__code__", None)
    if not inspect.iscode(code) or code.co_code not in (
        _stub.__code__.co_code,
        _documented_stub.__code__.co_code,
    ):
        return False
    return all(constant in (None, ..., answer.__doc__) for constant in code.co_consts)


def unfinished(answer: Any) -> bool:
    """Whether a function's source has a `...` where a value belongs; `image[..., 0]` is no such place."""
    try:
        nodes = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(answer)))))
    except Exception:  # no function, no source, or a piece of a line
        return False
    fine = {id(part) for node in nodes if isinstance(node, ast.Subscript) for part in ast.walk(node.slice)}
    fine |= {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return any(
        isinstance(node, ast.Constant) and node.value is ... and id(node) not in fine for node in nodes
    )


# --- numbers ---------------------------------------------------------------------------------------------


def expect(condition: Any, message: str) -> None:
    """Raise `Mistake(message)` unless the condition holds."""
    if not condition:
        raise Mistake(message)


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
    form = f"has shape {plain.shape}" if plain.ndim else "is one number"
    expect(shape is None or plain.shape == shape, f"{what} {form}; shape {shape} is asked for.")
    return plain


def with_gaps(value: Any, what: str = "Your answer") -> np.ndarray:
    """As `array`, but values that are not finite are let through as NaN: for mistakes that overflow."""
    plain = to_numpy(value)
    if plain is None or plain.dtype.kind != "f":
        return array(value, what=what)
    return np.where(np.isfinite(plain), plain, np.nan)


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


def same(given: Any, right: Any, within: float) -> bool:
    """Whether two results agree: whole numbers as such, others up to `within` times the largest.

    A whole number beyond 2^24 may have been rounded as float32 does; one off by less is another number.
    NaN, which only `with_gaps` lets in, is the same as NaN.
    """
    if np.shape(given) != np.shape(right):
        return False
    right = np.asarray(right)
    whole = right.dtype.kind in "biu" or bool(np.all(right == np.rint(right)))
    span = float(np.nan_to_num(np.abs(right)).max(initial=0))
    given = np.asarray(given, float)
    with np.errstate(over="ignore"):
        rounded = span < 3e38 and np.array_equal(given, given.astype(np.float32))
    margin = 1e-3 + 1e-7 * span * rounded if whole else within * span + 1e-12
    return bool(np.allclose(given, right, rtol=0, atol=margin, equal_nan=True))


def near(given: Any, right: Any) -> bool:
    """Whether a result is a tenth off at most, taken over all its values."""
    if isinstance(given, Mistake) or np.shape(given) != np.shape(right):
        return False
    off = np.asarray(given, float) - np.asarray(right, float)
    return bool(np.linalg.norm(off.ravel()) <= 0.1 * np.linalg.norm(np.asarray(right, float).ravel()))


def apart(a: float, b: float) -> tuple[str, str]:
    """Two different numbers with enough digits to tell them apart."""
    if float(a).is_integer() and float(b).is_integer() and max(abs(a), abs(b)) < 1e15:
        return in_digits(a), in_digits(b)
    for digits in (4, 6, 9, 17):
        one, other = f"{a:.{digits}g}", f"{b:.{digits}g}"
        if one != other:
            break
    return one, other


def in_digits(value: float) -> str:
    """A number for a message: whole ones in full, others with six digits."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"


# --- words -----------------------------------------------------------------------------------------------


def describe(value: Any) -> str:
    """A value in a few words: "a string", "an array of shape (3, 3)", "the function blur"."""
    try:
        return _describe(value)
    except Exception:  # objects that answer oddly to every question
        return f"a {type(value).__name__}"


def _describe(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, bool):
        return f"{value}"
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a whole number of about {int(value.bit_length() * 0.30103) + 1:,} digits"
    if isinstance(value, (int, float, np.number)):
        return f"the number {value}"
    if isinstance(value, str):
        return "the text " + repr(value if len(value) < 30 else value[:30] + "…")
    if inspect.isroutine(value):
        return f"the function {getattr(value, '__name__', 'without a name')}"
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if isinstance(value, (list, tuple, dict, set)):
        return f"a {type(value).__name__} of {len(value)}"
    if hasattr(value, "shape"):
        return f"an array of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def listed(names: Sequence[str], values: Sequence[Any]) -> str:
    """Arguments in words: "size 28, layers [(3, 1)], picture of shape (4, 6)"."""
    return ", ".join(f"{name} {_short(value)}" for name, value in zip(names, values, strict=False))


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        few = value.ndim == 1 and 0 < value.size <= 6 and value.dtype.kind in "iuf"
        return f"[{', '.join(f'{item:.4g}' for item in value)}]" if few else f"of shape {value.shape}"
    if callable(value):
        return "(a function)"
    if isinstance(value, (int, float, str, np.number)):
        return f"{value:g}" if isinstance(value, float) else f"{value}"
    text = repr(value)
    return text if len(text) <= 60 and "array" not in text else f"({describe(value)})"
