"""A line under a cell that keeps its reader waiting: how long it has worked, and about how long it will.

`runtime.start` begins it in every notebook. The line comes after five seconds and goes when the cell is done,
so that it is never kept with the notebook. How long a cell takes is known where `course render` measured it
and the notebook's file can be found (not in Colab): seconds on two cores, so "about".
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

PATIENCE = 5.0
"""Seconds after which a cell says that it is at work."""


def wanted() -> bool:
    """Whether a reader waits here: not where notebooks are tested or rendered."""
    return os.environ.get("COURSE_PROGRESS") != "off" and "PYTEST_VERSION" not in os.environ


@cache
def begin() -> None:
    """Watch every cell from now on; nothing outside a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or getattr(shell, "kernel", None) is None or not wanted():
        return
    line = Line()
    shell.events.register("pre_run_cell", line.start)
    shell.events.register("post_run_cell", line.stop)


def text(seconds: float, measured: float | None) -> str:
    """What the line says: "at work for 12 s, about 8 s left"."""
    at_work = f"at work for {seconds:.0f} s"
    if measured is None:
        return at_work
    if measured > seconds:
        return f"{at_work}, about {measured - seconds:.0f} s left"
    return f"{at_work}, about {measured:.0f} s elsewhere"


def measured(cell_id: str | None) -> float | None:
    """Seconds that a cell took when the notebook was rendered; None if that can't be known."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        name = os.environ["JPY_SESSION_NAME"]  # Jupyter's server sets it: the notebook's file
        facts = json.loads(Path(name).read_text(encoding="utf-8"))["metadata"]["course"]
        return float(facts["waits"][cell_id])
    return None


class Line:
    """The line of the cell that runs."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.thread: threading.Thread | None = None

    def start(self, info: Any) -> None:
        """A cell begins."""
        self.stop()
        self.done = threading.Event()
        context = contextvars.copy_context()  # so that the line appears under this cell
        work = (self.done, getattr(info, "cell_id", None))
        self.thread = threading.Thread(target=context.run, args=(self._watch, *work), daemon=True)
        self.thread.start()

    def stop(self, result: Any = None) -> None:
        """It is done."""
        self.done.set()
        if self.thread:
            self.thread.join()
            self.thread = None

    def _watch(self, done: threading.Event, cell_id: str | None) -> None:
        if done.wait(PATIENCE):
            return
        from IPython.display import HTML, display

        began, whole = time.monotonic() - PATIENCE, measured(cell_id)
        handle = display(HTML(""), display_id=True)
        while not done.is_set():
            said = text(time.monotonic() - began, whole)
            handle.update(HTML(f'<small style="opacity: 0.7">{said}</small>'))
            done.wait(1)
        handle.update(HTML(""))
