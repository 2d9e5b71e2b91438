"""Files that are either whole or not there: write beside, then rename. And a lock for two at once."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def replacing(path: str | Path, text: bool = False) -> Iterator[Any]:
    """Open a file for writing that takes the place of `path` only when all went well.

    Args:
        path: where the file shall be; missing folders are made.
        text: UTF-8 text instead of bytes.

    Raises:
        OSError: the disk is full or the folder can't be written; `path` is as it was before.
    """
    options: dict[str, Any] = {"encoding": "utf-8", "newline": ""} if text else {}
    with beside(path) as part, part.open("w" if text else "wb", **options) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def beside(path: str | Path, suffix: str = "") -> Iterator[Path]:
    """A name beside `path` under which a file is written; it takes the place of `path` when all went well.

    Args:
        suffix: for who tells a format by it, such as ".keras".

    Raises:
        OSError: as `replacing`.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part{suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise could_not_write(path, error) from error
    finally:
        with contextlib.suppress(NotADirectoryError):
            part.unlink(missing_ok=True)


def could_not_write(path: Path, error: OSError) -> OSError:
    """The error of a file or folder that can't be written, for a reader: which one, why, and what to do."""
    step = "make room" if error.errno in FULL else "choose another folder"
    text = f"could not write {path}: {error.strerror or error}. What was there before is kept; {step}"
    return OSError(error.errno, text)


@contextlib.contextmanager
def reading_npz(path: str | Path) -> Iterator[Any]:
    """Open an `.npz` safely (no pickles), with errors for readers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an `.npz`, it is damaged, or it holds pickled objects.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except (zipfile.BadZipFile, EOFError, KeyError) as error:
        raise ValueError(
            f"{path} is damaged or not what it should be ({error}); get or make it again"
        ) from error


@contextlib.contextmanager
def lock(path: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock file, against other processes and threads; the system releases it when one is killed.

    Args:
        path: the lock file; it stays, empty.
        on_wait: called once when somebody else holds it; what it raises ends the waiting.

    Raises:
        OSError: the file can't be made.
    """
    with path.open("a+b") as file:
        waited = False
        while not _take(file):
            if not waited and on_wait is not None:
                on_wait()
            waited = True
            time.sleep(0.1)
        try:
            yield
        finally:
            _release(file)


def _take(file: Any) -> bool:
    """Try to take the lock. On a file system without locks there is nothing to wait for."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
    return True


def _release(file: Any) -> None:
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_UN)
