"""The state of a training run on disk: what makes a stopped run go on exactly. Notebook 06."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import files

if TYPE_CHECKING:
    import keras


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold the folder of a run, so that no second one writes into it.

    Raises:
        OSError: another run holds it, or it can't be made.
    """

    def refuse() -> None:
        raise BlockingIOError(
            f"another training is writing into {out}: wait until it ends, or choose another --out folder"
        )

    try:
        (out / "state").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise files.could_not_write(out, error) from error
    with files.lock(out / "state" / ".lock", refuse):
        yield


@dataclass
class Progress:
    """Where a training run stands: the next epoch, the rows so far, minutes spent, and if it is done."""

    epoch: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    minutes: float = 0.0
    finished: bool = False

    def after(self, logs: dict[str, float], seconds: float) -> Progress:
        """Where it stands one epoch later, with a row of what that epoch brought."""
        row = {"epoch": self.epoch + 1, **logs, "seconds": round(seconds, 1)}
        row = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
        return Progress(self.epoch + 1, [*self.rows, row], self.minutes + seconds / 60)


def _variables(model: keras.Model) -> list[Any]:
    """Everything a step may change: weights, statistics, dropout's random state, the optimizer."""
    return [*model.variables, *model.optimizer.variables]


def save_checkpoint(path: Path, model: keras.Model, progress: Progress, tag: str) -> None:
    """Write the whole state of a run in one file, or leave the old file as it was.

    Args:
        path: the `.npz`; its folder is made if need be.
        tag: says which run this is; `load_checkpoint` refuses another one's file.
    """
    from keras import ops

    arrays = {f"v{i}": ops.convert_to_numpy(v.value) for i, v in enumerate(_variables(model))}
    state = {"epoch": progress.epoch, "rows": progress.rows, "minutes": progress.minutes, "tag": tag}
    arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    with files.replacing(path) as file:
        np.savez(file, **arrays)


def load_checkpoint(path: Path, model: keras.Model, tag: str) -> Progress:
    """Put a saved state back into a model that was built and compiled the same way.

    Raises:
        ValueError: the file is damaged, or belongs to another network or other settings.
    """
    with files.reading_npz(path) as saved:
        state = json.loads(bytes(saved["state"]))
        variables = _variables(model)
        arrays = [saved[f"v{i}"] for i in range(len(saved.files) - 1)]
    if state["tag"] != tag:
        raise ValueError(
            f"{path} was written with other settings ({state['tag']}) than these ({tag}). "
            "Use the same settings, or another --out folder."
        )
    if [a.shape for a in arrays] != [tuple(v.shape) for v in variables]:
        raise ValueError(f"{path} is a checkpoint of another model: the shapes of its weights differ.")
    for variable, value in zip(variables, arrays, strict=True):
        variable.assign(value)
    return Progress(state["epoch"], state["rows"], state["minutes"])


def write_history(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write history.csv, one row an epoch, whole or not at all."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with files.replacing(path, text=True) as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def settings_tag(settings: dict[str, Any]) -> str:
    """A short fingerprint of a run's settings: what must agree for a resume to be exact."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def where_it_was(checkpoint: Path, model: keras.Model, tag: str, resume: bool, writes: bool) -> Progress:
    """The state of an earlier run, put into the model; a new `Progress` where there is none."""
    if not checkpoint.exists():
        return Progress()
    if not resume:
        raise ValueError(f"{checkpoint} exists: add --resume to go on, or choose another --out folder.")
    progress = load_checkpoint(checkpoint, model, tag)
    if writes:  # a run that was killed may have left half a file, or a history without its last row
        for part in checkpoint.parent.glob(".*.part"):
            part.unlink()
        write_history(checkpoint.parent.parent / "history.csv", progress.rows)
    return progress


def keep(checkpoint: Path, model: keras.Model, progress: Progress, tag: str, best: str | None) -> None:
    """Write the state of an epoch, first as the best one if it is that, then as the last; and the history."""
    if best and progress.rows[-1][best] > max((row[best] for row in progress.rows[:-1]), default=-math.inf):
        save_checkpoint(checkpoint.with_name("best.npz"), model, progress, tag)
    save_checkpoint(checkpoint, model, progress, tag)
    write_history(checkpoint.parent.parent / "history.csv", progress.rows)
