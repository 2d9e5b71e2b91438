"""What goes wrong while files are made: broken downloads, full disks, folders that are gone, Ctrl-C.

    python -m experiments.faults --ship

Every fault is met by each of the course's ways to write a file, again and again at other places; afterwards
the old file must be there whole, or the new one, nothing under a final name may be half-written, and whatever
was raised must be a sentence for a reader. Beside it: the same faults with a plain `open(path, "wb")`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.server
import io
import multiprocessing
import os
import re
import resource
import signal
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from course_utils import files, runs, runtime
from course_utils.downloads import assets, fetching
from course_utils.networks import weight_files
from course_utils.pictures import images, video
from course_utils.training import fit

CONTENT = hashlib.sha256(b"a file").digest() * 6_000  # 192,000 bytes
HALF = len(CONTENT) // 2
POINTS = 20  # places at which Ctrl-C is pressed, or the disk is full
DOWNLOADS = (
    "missing", "busy", "page", "typed", "wrong", "short",
    "long", "cut", "stall", "nobody", "garbled", "forgetful",
)  # fmt: skip


class _Counts(Counter[str]):
    """Trials, and what of them came out badly."""

    def told(self) -> dict[str, int]:
        names = ("trials", "lost", "half_written", "tracebacks", "interrupted", "refused", "done")
        return {name: self[name] for name in names}


# --- a server that misbehaves --------------------------------------------------------------------------


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        fault = self.path.strip("/")
        if fault in ("missing", "busy"):
            return self.send_error(404 if fault == "missing" else 503)
        if fault == "garbled":
            self.wfile.write(b"this is no HTTP\r\n\r\n")
            return None
        wanted = self.headers.get("Range")
        start = int(wanted[6:-1]) if wanted and fault != "forgetful" else 0
        body = CONTENT[start:]
        if fault == "page":
            body = b"<!DOCTYPE html><html>Sign in</html>".ljust(len(CONTENT))
        body = {"wrong": body[:-1] + b"?", "short": body[:HALF], "long": body + b"more"}.get(fault, body)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Type", "text/html" if fault == "typed" else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:HALF] if fault in ("cut", "stall", "forgetful") else body)
        if fault == "stall":
            time.sleep(1.5)
        return None

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def _server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}/"
        running.shutdown()


def _at(url: str) -> None:
    """Let the only file that can be fetched lie at this address."""
    digest = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    asset = assets.Asset("thing", "a trial", "thing.bin", (url,), "MIT", "", digest, len(CONTENT))
    assets.REGISTRY = MappingProxyType({"thing": asset})


# --- ways to write a file, and what a trial is -------------------------------------------------------------


def _plain(path: Path, content: bytes) -> None:
    """What one would otherwise write."""
    with path.open("wb") as file:
        for place in range(0, len(content), 20_000):
            file.write(content[place : place + 20_000])


def _whole(path: Path, content: bytes) -> None:
    with files.replacing(path) as file:
        for place in range(0, len(content), 20_000):
            file.write(content[place : place + 20_000])


def _picture(path: Path, content: bytes) -> None:
    images.save(path, np.frombuffer(content, np.uint8)[: 60_000 * 3].reshape(200, 300, 3))


def _weights(path: Path, content: bytes) -> None:
    weight_files.save(path, {"layer_kernel": np.frombuffer(content, np.uint8).astype(np.float32)})


def _film(path: Path, content: bytes) -> None:
    frames = np.frombuffer(content, np.uint8)[: 40 * 32 * 48 * 3].reshape(40, 32, 48, 3)
    with video.Writer(path, (32, 48), 25) as film:
        for frame in frames:
            film.write(frame)


WAYS: dict[str, tuple[str, Callable[[Path, bytes], None]]] = {
    "file": ("a.bin", _whole),
    "picture": ("a.png", _picture),
    "weights": ("a.npz", _weights),
    "film": ("a.mp4", _film),
}


def _trial(counts: _Counts, act: Callable[[], Any], path: Path, good: set[bytes]) -> None:
    """Act; then count what became of the file, of which only these contents are whole."""
    counts["trials"] += 1
    before = path.exists()
    try:
        act()
        counts["done"] += 1
    except KeyboardInterrupt:
        counts["interrupted"] += 1
    except (OSError, ValueError) as error:
        counts["refused"] += 1
        if not re.search(r"[a-z]{3,} [a-z]{2,}", str(error)):
            counts["tracebacks"] += 1
    except Exception:  # what a reader would see as a traceback
        counts["tracebacks"] += 1
    if before and not path.exists():
        counts["lost"] += 1
    if path.exists() and path.read_bytes() not in good:
        counts["half_written"] += 1


@contextlib.contextmanager
def _room(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: what a full disk looks like to a program."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def _interrupted(at: int) -> Iterator[None]:
    """Ctrl-C in the `at`-th call that writes, closes, renames or removes a file; and again in the next."""
    seen = 0

    def watch(frame: Any, event: str, what: Any) -> None:
        nonlocal seen
        names = ("write", "close", "flush", "fsync", "replace", "rename", "unlink")
        if event == "c_call" and getattr(what, "__name__", "") in names:
            seen += 1
            if seen in (at, at + 1):
                raise KeyboardInterrupt

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


# --- the campaign ----------------------------------------------------------------------------------------


def downloads(folder: Path) -> _Counts:
    """Each of twelve faults, then the same file from a healthy server."""
    counts = _Counts()
    final = folder / "cache" / "thing" / "thing.bin"
    with _server() as url:
        for fault in DOWNLOADS:
            _at("http://127.0.0.1:9/" if fault == "nobody" else url + fault)
            _trial(counts, lambda: assets.fetch("thing", progress=False, timeout=0.5), final, {CONTENT})
            _at(url + "good")
            assets.fetch("thing", progress=False, timeout=5)
            counts["half_written"] += final.read_bytes() != CONTENT
            final.unlink()
        rng = np.random.default_rng(0)
        for _ in range(POINTS):
            with _interrupted(int(rng.integers(1, 60))):
                _trial(counts, lambda: assets.fetch("thing", progress=False, timeout=5), final, {CONTENT})
            assets.fetch("thing", progress=False, timeout=5)
            counts["half_written"] += final.read_bytes() != CONTENT
            final.unlink()
        for size in np.linspace(0, len(CONTENT) - 1, POINTS).astype(int):
            with _room(int(size)):
                _trial(counts, lambda: assets.fetch("thing", progress=False, timeout=5), final, {CONTENT})
    return counts


def writing(folder: Path, name: str, write: Callable[[Path, bytes], None]) -> _Counts:
    """A file replaced while the disk fills, while Ctrl-C is pressed twice, and where its folder is none."""
    counts, path = _Counts(), folder / name
    old, new = CONTENT, CONTENT[::-1]
    write(path, new)
    wanted = path.read_bytes()
    write(path, old)
    good = {path.read_bytes(), wanted}
    longest = max(map(len, good))
    for size in np.linspace(0, longest - 1, POINTS).astype(int):
        with _room(int(size)):
            _trial(counts, lambda: write(path, new), path, good)
        write(path, old)
    for at in range(1, POINTS + 1):
        with _interrupted(at):
            _trial(counts, lambda: write(path, new), path, good)
        write(path, old)
    (folder / "file").write_bytes(b"no folder")
    gone = folder / "gone"
    gone.mkdir(exist_ok=True)
    for place in (folder / "file" / name, Path("/proc") / name, gone / name):
        if place.parent == gone:
            gone.rmdir()  # it vanishes; the course makes it again
        _trial(counts, lambda: write(place, new), place, good)  # noqa: B023
    counts["half_written"] += sum(1 for left in folder.glob(".*.part*"))
    return counts


# --- a training that is killed ---------------------------------------------------------------------------

EPOCHS = 300


def small_run(out: Path, told: Any = None) -> None:
    """A training of epochs so short that what happens to it often falls into the writing."""
    runtime.start(0)
    keras = runtime.load_keras()
    layers = [keras.layers.Dense(16, "relu"), keras.layers.Dropout(0.2), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((8,)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])

    def batches(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng([0, epoch])
        for _ in range(2):
            yield rng.normal(size=(8, 8)).astype(np.float32), rng.integers(0, 4, 8)

    say = told.send if told else lambda line: None
    with contextlib.suppress(KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        fit(model, batches, steps=2, epochs=EPOCHS, out=out, rate=lambda _: 1e-3, settings={},
            best="accuracy", resume=True, say=say)  # fmt: skip

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C now would meet the command, not `fit`


def _left(out: Path) -> dict[str, Any]:
    """Everything that a run has kept, but for the seconds; raises where a file is not whole."""
    found: dict[str, Any] = {}
    for path in sorted((out / "state").glob("*.npz")):
        with np.load(path) as saved:
            found |= {f"{path.name} {key}": saved[key].tobytes() for key in saved.files if key != "state"}
    history = runs.read_history(out / "history.csv")
    return found | {key: column.tobytes() for key, column in history.items() if key != "seconds"}


def training(folder: Path, kills: int = POINTS, seed: int = 0) -> dict[str, int]:
    """Killed at random moments, or Ctrl-C twice in a row, and resumed: does it end with the same bits?

    Each run is a copy (fork) of this process, which has loaded Keras and computed nothing.
    """
    import keras  # noqa: F401

    counts, rng, context = _Counts(), np.random.default_rng(seed), multiprocessing.get_context("fork")
    whole, out = folder / "whole", folder / "out"
    undisturbed = context.Process(target=small_run, args=(whole,))
    undisturbed.start()
    undisturbed.join()
    while counts["trials"] < kills:
        here, there = context.Pipe(duplex=False)
        run = context.Process(target=small_run, args=(out, there))
        run.start()
        here.recv()  # it has begun
        run.join(float(rng.uniform(0, 0.5)))
        if not run.is_alive():
            break
        counts["trials"] += 1
        _stop(run, twice=counts["trials"] % 4 == 0)
        counts["interrupted"] += 1
        counts["tracebacks"] += run.exitcode not in (0, -signal.SIGKILL)
        counts["lost"] += not (out / "history.csv").is_file()
        try:
            _left(out)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            counts["half_written"] += 1
    last = context.Process(target=small_run, args=(out,))
    last.start()
    last.join()
    counts["done"] += last.exitcode == 0
    return counts.told() | {"other_bits": int(_left(whole) != _left(out))}


def _stop(run: Any, twice: bool) -> None:
    """Kill a process; or press Ctrl-C, and once more at once."""
    if twice:
        for _ in range(2):
            os.kill(run.pid, signal.SIGINT)
            time.sleep(0.001)
        run.join(20)
    if run.is_alive():
        run.kill()
        run.join()


def campaign() -> dict[str, dict[str, int]]:
    """All of it, in a folder of its own."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        os.environ |= {"COURSE_UTILS_CACHE": str(folder / "cache"), "NO_PROXY": "127.0.0.1"}
        assets.PAUSE = 0
        found = {"training": training(folder / "training")}
        found["download"] = downloads(folder).told()
        for name, (file, write) in WAYS.items():
            (folder / name).mkdir()
            found[name] = writing(folder / name, file, write).told()
        (folder / "plain").mkdir()
        with contextlib.redirect_stderr(io.StringIO()):
            found["plain"] = writing(folder / "plain", "a.bin", _plain).told()
    return found


def main() -> None:
    """Print the counts; with `--ship`, record them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ship", action="store_true", help="write data/runs/faults")
    ship, began = parser.parse_args().ship, time.monotonic()
    found = campaign()
    for name, counts in found.items():
        print(f"{name:>10}  " + "  ".join(f"{what} {count}" for what, count in counts.items()))
    assert len(CONTENT) > fetching.CHUNK, "a download of several pieces"
    if ship:
        plain = found.pop("plain")
        runs.record(
            "faults",
            command="python -m experiments.faults --ship",
            seed=0,
            precision="float32",
            minutes=(time.monotonic() - began) / 60,
            data={"name": "192,000 bytes", "sha256": hashlib.sha256(CONTENT).hexdigest()},
            metrics=found,
            baselines={"plain_open": plain},
        )


if __name__ == "__main__":
    main()
