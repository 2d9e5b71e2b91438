"""Files that are either whole or not there: write beside, then rename."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


@contextlib.contextmanager
def replacing(path: str | Path, text: bool = False) -> Iterator[Any]:
    """Open a file for writing that takes the place of `path` only when all went well.

    Args:
        path: where the file shall be; missing folders are made.
        text: UTF-8 text instead of bytes.

    Raises:
        OSError: the disk is full or the folder can't be written; `path` is as it was before.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"encoding": "utf-8", "newline": ""} if text else {}
        with beside.open("w" if text else "wb", **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise OSError(
            error.errno, f"could not write {path}: {error.strerror}. What was there before is kept"
        ) from error
    finally:
        with contextlib.suppress(NotADirectoryError):
            beside.unlink(missing_ok=True)


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
