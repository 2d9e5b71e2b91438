"""Benches: a heavy routine beside what a reader would otherwise write or use, in one run, as a ratio.

A bench is a file `benchmarks/NAME.py` that declares `BENCH`::

    import numpy as np
    from benchmarks.harness import Bench

    def plain(size):                            # the preparation is not timed:
        stack = np.ones((size, size, 64))       # data, models, compilation
        return lambda: [stack[..., i] for i in range(64)]   # this call is; it ends with real values
                                                # (for tensors: np.asarray(…)), not with promised ones
    def ours(size): ...

    BENCH = Bench("split", cases={"224": 224, "448": 448}, ways={"plain": plain, "ours": ours})

`course bench split` then runs each way of each case in a process of its own: imports (`imports`, and the
framework through `runtime.start(seed=0)` unless `framework=False`), then the preparation, then once as a
warm-up, then in turns with the other ways, and takes the median. Where a way can't do a case it raises
`Skip("why")` in the preparation. The results go to `benchmarks/results/NAME.json`.
`course bench NAME --case CASE --repeats 1` tries one case and records nothing.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from course_utils import files, runtime

FOLDER = Path(__file__).resolve().parent


class Skip(Exception):
    """Raised by a way's preparation: this way can't do this case (not enough memory, a missing package)."""


@dataclass(frozen=True)
class Bench:
    """What is measured.

    Attributes:
        name: the file's name without `.py`.
        cases: names of cases, and what each way is called with.
        ways: names of ways; each a function from a case's value to a prepared call without arguments.
        ours: the way that the ratios refer to (ratio = that way's seconds / ours).
        imports: modules that are imported before memory is measured.
        framework: whether Keras and its backend are started before memory is measured.
        repeats: timed runs after the warm-up; the median counts.
        full: further ways, which are measured when asked for: slow ones, and other libraries.
    """

    name: str
    cases: Mapping[str, Any]
    ways: Mapping[str, Callable[[Any], Callable[[], object]]]
    ours: str = "ours"
    imports: tuple[str, ...] = ()
    framework: bool = True
    repeats: int = 3
    full: Mapping[str, Callable[[Any], Callable[[], object]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ours not in self.ways:
            raise ValueError(f"bench {self.name}: no way is called {self.ours!r}, which ratios refer to")


def names() -> list[str]:
    """The benches of this checkout."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "harness"))


def load(path: str | Path) -> Bench:
    """The `BENCH` that a file declares.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it declares no `BENCH`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no bench {path}; here are: {', '.join(names()) or 'none'}")
    spec = importlib.util.spec_from_file_location(f"bench_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, "BENCH", None)
    if not isinstance(found, Bench):
        raise ValueError(f"{path} declares no BENCH = Bench(…)")
    return found


def run(
    path: str | Path,
    cases: list[str] | None = None,
    repeats: int | None = None,
    say: Callable[[str], None] = lambda line: None,
    full: bool = False,
) -> list[dict[str, Any]]:
    """Measure a bench.

    Args:
        path: the bench's file.
        cases: names of cases, default all.
        repeats: timed runs of each way, default what the bench says.
        say: is told, line by line, what goes on.
        full: measure the bench's further ways as well.

    Returns:
        Rows `{"case", "way", "seconds", "peak_mb", "ratio"}`: the median time; the highest resident memory
        above that after the imports, in MB (10**6 bytes); the time as a multiple of ours.

    Raises:
        ValueError: an unknown case.
        ChildProcessError: a way failed; says which, its traceback is on stderr.
    """
    bench = load(path)
    unknown = sorted(set(cases or ()) - set(bench.cases))
    if unknown:
        raise ValueError(f"bench {bench.name} has no case {unknown[0]!r}; it has {', '.join(bench.cases)}")
    rows = []
    for case in cases or bench.cases:
        ways = [*bench.ways, *(bench.full if full else ())]
        rows += _measure(Path(path), bench, case, repeats or bench.repeats, say, ways)
    return rows


def record(name: str, rows: list[dict[str, Any]], folder: Path | None = None) -> Path:
    """Write `results/NAME.json`: the rows and what machine they come from; returns its path."""
    from course_utils import runs

    target = (folder or FOLDER / "results") / f"{name}.json"
    with files.replacing(target, text=True) as out:
        json.dump({"bench": name, "rows": rows, "environment": runs.environment()}, out, indent=1)
        out.write("\n")
    return target


def _measure(
    path: Path, bench: Bench, case: str, repeats: int, say: Callable[[str], None], ways: list[str]
) -> list[dict[str, Any]]:
    """One case: all ways prepared and warmed up one after the other, then timed in turns."""
    with contextlib.ExitStack() as stack:
        workers = {}
        for way in ways:
            say(f"{bench.name} {case}: preparing {way}")
            worker = stack.enter_context(_Worker(path, case, way))
            skipped = worker.ask()["skip"]
            if skipped:
                say(f"{bench.name} {case}: {way} left out: {skipped}")
            else:
                workers[way] = worker
        seconds: dict[str, list[float]] = {way: [] for way in workers}
        for turn in range(repeats):
            for way, worker in workers.items():
                seconds[way].append(worker.ask("time")["seconds"])
                say(f"{bench.name} {case}: {way} {turn + 1}/{repeats}: {seconds[way][-1]:.3g} s")
        peaks = {way: worker.ask("peak")["peak_mb"] for way, worker in workers.items()}
    median = {way: statistics.median(values) for way, values in seconds.items()}
    return [
        {
            "case": case,
            "way": way,
            "seconds": float(f"{median[way]:.4g}"),
            "peak_mb": round(peaks[way], 1),
            "ratio": float(f"{median[way] / median[bench.ours]:.3g}") if bench.ours in median else None,
        }
        for way in workers
    ]


class _Worker:
    """A process in which one way of one case is prepared, and run when asked to."""

    def __init__(self, path: Path, case: str, way: str) -> None:
        self.label = f"bench {path.stem}, case {case}, way {way}"
        command = [sys.executable, "-m", "benchmarks.harness", str(path.resolve()), case, way]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *failure: object) -> None:
        if failure[0]:
            self.process.kill()
        with contextlib.suppress(OSError):
            self.process.communicate()  # closes its stdin, at which it ends

    def ask(self, question: str = "") -> dict[str, Any]:
        """Send a question and wait for the answer."""
        assert self.process.stdin and self.process.stdout
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            if question:
                self.process.stdin.write(question + "\n")
                self.process.stdin.flush()
            answer = self.process.stdout.readline()
        if not answer:
            raise ChildProcessError(f"{self.label} failed (exit status {self.process.wait()})")
        return json.loads(answer)


@contextlib.contextmanager
def _peak_memory() -> Iterator[Callable[[], float]]:
    """Watch this process; gives a function that returns its highest resident memory since, in MB.

    Linux keeps that figure itself, and forgets it on request; elsewhere a thread looks 200 times a second.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
        start = _status_mb("VmRSS")
    except (OSError, StopIteration):
        with _watched_memory() as peak:
            yield peak
    else:
        yield lambda: max(0.0, _status_mb("VmHWM") - start)


def _status_mb(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024 / 1e6


@contextlib.contextmanager
def _watched_memory() -> Iterator[Callable[[], float]]:
    """`_peak_memory` without the system's help."""
    import psutil

    process, done = psutil.Process(), threading.Event()
    start = highest = process.memory_info().rss / 1e6

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.005):
            highest = max(highest, process.memory_info().rss / 1e6)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield lambda: highest - start
    finally:
        done.set()


def _work(path: str, case: str, way: str, answers: TextIO) -> None:
    """The other side of `_Worker`: answers one JSON line to each question on stdin."""

    def answer(**facts: Any) -> None:
        print(json.dumps(facts), file=answers, flush=True)

    bench = load(path)
    for module in bench.imports:
        importlib.import_module(module)
    if bench.framework:
        runtime.start(seed=0)
    with _peak_memory() as peak:
        try:
            call = {**bench.ways, **bench.full}[way](bench.cases[case])
            call()
        except Skip as reason:
            answer(skip=str(reason) or "no reason given")
            return
        answer(skip=None)
        for question in sys.stdin:
            if question.strip() == "peak":
                answer(peak_mb=peak())
            else:
                start = time.perf_counter()
                call()
                answer(seconds=time.perf_counter() - start)


if __name__ == "__main__":
    # What a way prints goes to stderr: stdout is for the answers.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # By its full name: `Bench` and `Skip` of a bench file are that module's, not those of `__main__`.
    importlib.import_module("benchmarks.harness")._work(*sys.argv[1:], answers=out)
