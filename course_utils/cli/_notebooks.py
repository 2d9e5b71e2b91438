"""Finding the course's notebooks and running them; used by `run`, `render`, `lab` and `reset`."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from course_utils import files

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"


@dataclass(frozen=True)
class Outcome:
    """What running a notebook gave: seconds, also of each cell; its kernel's highest memory; the failure."""

    seconds: float
    peak_mb: float
    failure: str | None
    cells: tuple[float, ...] = ()

    @property
    def minutes(self) -> int:
        """Whole minutes, rounded up."""
        return max(1, math.ceil(self.seconds / 60))

    @property
    def gigabytes(self) -> float:
        """Rounded up to one decimal."""
        return math.ceil(self.peak_mb / 100) / 10


def find(wanted: Sequence[str] = (), anywhere: bool = False) -> list[Path]:
    """The notebooks that are asked for, in their order.

    Args:
        wanted: numbers ("2", "02"), names ("02_feature_maps"), or "all"; nothing means all.
        anywhere: take a path of any notebook, too, such as "my/02_feature_maps.ipynb".

    Raises:
        FileNotFoundError: there are none, as in an installation without the checkout.
        ValueError: no notebook has that number or name; lists those there are.
    """
    there = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
    if not there:
        raise FileNotFoundError(
            f"no notebooks in {FOLDER}: this command works in the course's folder (the one with course.py)"
        )
    if not wanted or list(wanted) == ["all"]:
        return there
    found = []
    for word in wanted:
        path = Path(word)
        if path.suffix == ".ipynb" or len(path.parts) > 1:
            found.append(_by_path(path, there, anywhere))
            continue
        name = path.stem
        hits = [path for path in there if name == path.stem or name.zfill(2) == path.stem[:2]]
        if not hits:
            raise ValueError(f"no notebook {word!r}; there are: {', '.join(path.stem for path in there)}")
        found += hits
    return sorted(set(found))


def _by_path(path: Path, there: Sequence[Path], anywhere: bool) -> Path:
    """A notebook that is named by its path: that very file, not one that is called the same."""
    if not path.is_file():
        raise FileNotFoundError(f"no notebook {path}: check the spelling and the folder")
    own = [each for each in there if each.samefile(path)]
    if not own and not anywhere:
        raise ValueError(f"{path} is not one of the course's own notebooks, which this command is for")
    return own[0] if own else path


def save(notebook: Any, path: Path) -> None:
    """Write a notebook whole or not at all."""
    import nbformat

    nbformat.validate(notebook)
    with files.replacing(path, text=True) as out:
        nbformat.write(notebook, out)


def execute(
    notebook: Any,
    folder: str | Path,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
    on_cell: Callable[[int, int], None] = lambda done, of: None,
) -> Outcome:
    """Run a notebook's cells in a fresh kernel; the outputs go into the notebook itself.

    Args:
        notebook: an `nbformat` notebook, changed in place.
        folder: the kernel's working folder.
        environment: variables for the kernel, on top of those of this process.
        timeout: seconds for one cell.
        on_cell: called with the number of cells done and of all cells.

    Returns:
        The `Outcome`; its `failure` names the cell and what went wrong, or is None.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # no warnings of the kernel's own
        shutdown_kernel="immediate",
    )
    started, index, failure = time.perf_counter(), 0, None
    ends = [started]
    variables = {**os.environ, "COURSE_PROGRESS": "off", **(environment or {})}
    with client.setup_kernel(env=variables), _memory_of(client) as peak:
        assert client.kc is not None  # made by setup_kernel
        _look_again(client.kc.shell_channel, client.kc.iopub_channel)
        try:
            for index, cell in enumerate(notebook.cells):
                on_cell(index, len(notebook.cells))
                client.execute_cell(cell, index)
                ends.append(time.perf_counter())
            on_cell(len(notebook.cells), len(notebook.cells))
        except CellExecutionError as error:
            failure = f"{error.ename}: {_plain(error.evalue)}"
        except CellTimeoutError:
            failure = f"took longer than {timeout:g} s"
        except DeadKernelError:
            failure = "the kernel died (out of memory?)"
        seconds = time.perf_counter() - started
        if failure:
            failure = f"{where(notebook, index)}: {failure}"
        _drop_widgets(notebook)
        describe(notebook)
        return Outcome(seconds, peak(), failure, tuple(b - a for a, b in pairwise(ends)))


def _look_again(*channels: Any, every: float = 1.0) -> None:
    """Let a kernel's channels look for messages anew each second.

    ZeroMQ tells an event loop only once that a message has come. When that is lost, which is rare, pyzmq
    finds the message at the end of the time that it was given: ten minutes later.
    """

    def patient(get_msg: Callable[..., Any]) -> Callable[..., Any]:
        async def wait(timeout: float | None = None) -> Any:
            end = math.inf if timeout is None else time.monotonic() + timeout
            while True:
                left = max(0.0, end - time.monotonic())
                try:
                    return await get_msg(timeout=min(every, left))
                except queue.Empty:
                    if left <= every:
                        raise

        return wait

    for channel in channels:
        channel.get_msg = patient(channel.get_msg)


def _drop_widgets(notebook: Any) -> None:
    """Without a kernel a slider is dead: leave what the output says beside it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]


def describe(notebook: Any) -> None:
    """Write each cell's own `alt` into its figures: as their alt text, and as what a terminal shows.

    The metadata hold one text, or a list with one for each figure of the cell. `{shown}` in it stands for
    what the figure says about itself: its titles, or the values of its bars.
    """
    for cell in notebook.cells:
        texts = cell.metadata.get("alt", [])
        texts = [texts] if isinstance(texts, str) else texts
        for output, text in zip(filter(pictures, cell.get("outputs", ())), texts, strict=False):
            shown = " ".join(output.data.get("text/plain", "").split()).rstrip(".")
            text = text.replace("{shown}", shown)
            output.data["text/plain"] = output.metadata["alt"] = text
            for mime in pictures(output):
                output.metadata.setdefault(mime, {})["alt"] = text


def pictures(output: Any) -> list[str]:
    """The media types of an output's picture; none for text."""
    return [mime for mime in output.get("data", ()) if mime.startswith("image/")]


def where(notebook: Any, index: int) -> str:
    """A cell in words: its number and its first line of code."""
    lines = [line for line in notebook.cells[index].source.splitlines() if line.strip()]
    return f"cell {index + 1} of {len(notebook.cells)} (“{lines[0].strip()[:60] if lines else ''}”)"


def _plain(text: str) -> str:
    """An error's text on one line, without terminal colours."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())[:300]


@contextlib.contextmanager
def _memory_of(client: Any) -> Iterator[Callable[[], float]]:
    """Watch the kernel and its children; gives a function that returns their highest memory in MB."""
    import psutil

    done, highest = threading.Event(), 0.0
    kernel = psutil.Process(client.km.provisioner.process.pid)

    def resident() -> float:
        total = 0
        with contextlib.suppress(psutil.Error):
            for process in [kernel, *kernel.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
        return total / 1e6

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.2):
            highest = max(highest, resident())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: max(highest, resident(), _highest_ever(kernel.pid))
    finally:
        done.set()
        thread.join()


def _highest_ever(process: int) -> float:
    """What Linux noted as a process's highest resident memory, in MB; 0 elsewhere."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return int(found[1]) * 1024 / 1e6 if found else 0.0
    return 0.0
