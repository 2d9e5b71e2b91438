"""What the learner sees: verdicts with a coloured bar, highlighted code. Plain text outside a notebook."""

from __future__ import annotations

import ast
import html
import inspect
import sys
import textwrap
from typing import Any

BARS = {"right": "#1f8a3b", "close": "#e0a100", "wrong": "#c0392b"}  # of a verdict; grey for all others


def show_text(text: str, state: str = "") -> None:
    """Print a text; in a notebook with a bar at its left, in the colour of the verdict's state."""
    bar = f"border-left: 5px solid {BARS.get(state, '#94a4a2')}; padding: 2px 10px; white-space: pre-wrap"
    _display(f'<div style="{bar}">{html.escape(text)}</div>', text)


def show_page(page: str, text: str) -> None:
    """Show HTML in a notebook, and the text elsewhere and to screen readers that ask for it."""
    _display(page, text)


def show_code(source: str) -> None:
    """Print Python code; in a notebook highlighted, its lines unbroken."""
    source = source.rstrip()
    if not _in_notebook():
        print(source)
        return
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    # Names have no colour of their own, and would be white on light grey in a dark theme.
    style = "color: #202020; font-family: monospace; white-space: pre; overflow-x: auto; padding: 6px 10px"
    form = HtmlFormatter(noclasses=True, prestyles=style)
    _display(highlight(source, PythonLexer(), form), source)


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
    show_code(f"# {getattr(function, '__module__', None) or function.__name__}\n{source}")


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


def _in_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")


def _display(page: str, plain: str) -> None:
    if not _in_notebook():
        print(plain)
        return
    from IPython.display import display

    display({"text/html": page, "text/plain": plain}, raw=True)
