"""Records of real runs: what was trained or measured, how, where, and how well.

A record is a folder `data/runs/NAME/` with `run.json`, `history.csv` and `figures/`. Notebooks, README and
docs take every recorded number from here: `load("all_cnn").metrics["accuracy"]`. Notebook 06.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from course_utils import files, runtime

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "opencv-python-headless", "scikit-learn")


@dataclass(frozen=True)
class Run:
    """One recorded run; `history` and `figures` are empty where it has none."""

    name: str
    folder: Path
    command: str
    commit: str | None
    seed: int
    backend: str
    device: str
    precision: str
    versions: dict[str, str]
    minutes: float
    data: dict[str, Any]
    metrics: dict[str, Any]
    baselines: dict[str, Any]
    machine: dict[str, Any] = field(default_factory=dict)
    history: dict[str, np.ndarray] = field(default_factory=dict)
    figures: dict[str, Path] = field(default_factory=dict)


def names(root: Path | None = None) -> list[str]:
    """The names of all records."""
    return sorted(path.parent.name for path in _root(root).glob("[!.]*/run.json"))


def load(name: str, root: Path | None = None) -> Run:
    """Read a record.

    Args:
        name: the record's folder below `data/runs`.
        root: another place than `data/runs`.

    Returns:
        The `Run`; a column of its history is float64 where all its values are numbers, text otherwise.

    Raises:
        FileNotFoundError: there is no such record; names those there are.
        ValueError: its run.json is damaged.
    """
    folder = _root(root) / name
    if not (folder / "run.json").is_file():
        there = ", ".join(names(root)) or "none"
        raise FileNotFoundError(f"no record {name!r} in {_root(root)}; there are: {there}")
    try:
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        facts["history"] = read_history(folder / "history.csv")
        facts["figures"] = {path.stem: path for path in sorted((folder / "figures").glob("[!.]*"))}
        return Run(name=name, folder=folder, **facts)
    except (TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder / 'run.json'} is damaged: {error}") from error


def record(
    name: str,
    *,
    command: str,
    seed: int,
    precision: str,
    minutes: float,
    data: Mapping[str, Any],
    metrics: Mapping[str, Any],
    baselines: Mapping[str, Any],
    history: str | Path | Mapping[str, Sequence[Any]] | None = None,
    figures: Iterable[str | Path] = (),
    made_in: Mapping[str, Any] | None = None,
    root: Path | None = None,
) -> Run:
    """Write a record; one of the same name is replaced when the new one is complete.

    Args:
        name: lower case letters, digits and `_`.
        command: what to type to do it again.
        seed: of every random generator.
        precision: "float32" or "mixed_bfloat16".
        minutes: wall-clock time of the run.
        data: at least "name" and "sha256" (`fingerprint`).
        metrics: numbers, or dictionaries of numbers.
        baselines: what trivial answers reach, by name; needed as soon as there are metrics.
        history: a CSV file, or columns of equal length.
        figures: picture files, copied.
        made_in: the `environment()` of the run, if it happened elsewhere; default the present one.
        root: another place than `data/runs`.

    Raises:
        ValueError: something of the above is missing, or a number is not finite.
        OSError: the folder can't be written; what was there before is kept.
    """
    _check(name, data, metrics, baselines)
    facts = {"command": _portable(command), "seed": int(seed), "precision": precision}
    facts |= {"minutes": round(float(minutes), 2), **(made_in or environment())}
    facts |= {"data": dict(data), "metrics": dict(metrics), "baselines": dict(baselines)}
    text = _as_json(name, facts)

    def fill(folder: Path) -> None:
        (folder / "run.json").write_text(text, encoding="utf-8")
        if isinstance(history, Mapping):
            _write_history(folder / "history.csv", history)
        elif history is not None:
            shutil.copyfile(history, folder / "history.csv")
        for figure in map(Path, figures):
            (folder / "figures").mkdir(exist_ok=True)
            shutil.copyfile(figure, folder / "figures" / figure.name)

    _replace_folder(_root(root) / name, fill)
    return load(name, root)


def _check(name: str, data: Mapping[str, Any], metrics: Any, baselines: Any) -> None:
    """Refuse a record that nobody could find, repeat or judge."""
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise ValueError(f"{name!r}: a record's name has lower case letters, digits and _ only")
    missing = [key for key in ("name", "sha256") if not data.get(key)]
    if missing:
        raise ValueError(f"record {name}: data lacks {missing[0]!r}")
    if metrics and not baselines:
        raise ValueError(f"record {name}: metrics without baselines; what do trivial answers reach?")


def _as_json(name: str, facts: dict[str, Any]) -> str:
    try:
        return json.dumps(facts, indent=1, default=_plain, allow_nan=False, ensure_ascii=False) + "\n"
    except ValueError as error:
        raise ValueError(f"record {name}: {error}") from error


def environment() -> dict[str, Any]:
    """Where and with what this process computes: commit, backend, device, versions, machine."""
    keras = runtime.load_keras()
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "commit": commit(),
        "backend": keras.backend.backend(),
        "device": runtime.device(),
        "versions": versions,
        "machine": _machine(),
    }


def commit() -> str | None:
    """The checkout's commit, with `+` behind it where tracked files differ; None outside a checkout."""
    try:
        git = ["git", "-C", str(ROOT)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True).returncode != 0
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed else "")


def fingerprint(path: str | Path) -> str:
    """SHA-256 of a file, or of a folder: its files' names and contents in order, without hidden ones."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {path}")
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for member in sorted(path.rglob("*"), key=lambda found: found.relative_to(path).as_posix()):
        hidden = any(part.startswith(".") for part in member.relative_to(path).parts)
        if member.is_file() and not hidden:
            whole.update(f"{member.relative_to(path).as_posix()}\0{fingerprint(member)}\n".encode())
    return whole.hexdigest()


def _machine() -> dict[str, Any]:
    import psutil

    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
        processor = found[1].strip() if found else processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = {"system": platform.system(), "processor": processor, "cores": cores}
    facts["memory_gb"] = round(psutil.virtual_memory().total / 1e9)
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return facts | ({"ONEDNN_MAX_CPU_ISA": limit} if limit else {})


def _root(root: Path | None) -> Path:
    return Path(root) if root else runtime.shipped("runs")


def _portable(command: str) -> str:
    """The command without this machine's folders."""
    for folder, short in ((str(ROOT) + os.sep, ""), (str(Path.home()), "~")):
        command = command.replace(folder, short)
    return command


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays for JSON."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise ValueError(f"{value!r} can't be written as JSON")


def read_history(path: Path) -> dict[str, np.ndarray]:
    """The columns of a history.csv; empty where there is none. Numbers are float64, all else is text."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        heads, *rows = list(csv.reader(file)) or [[]]
    return {head: _column([row[i] for row in rows]) for i, head in enumerate(heads)}


def _column(values: list[str]) -> np.ndarray:
    try:
        return np.array([float(value) if value else np.nan for value in values])
    except ValueError:
        return np.array(values)


def _write_history(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    if len({len(values) for values in columns.values()}) > 1:
        lengths = ", ".join(f"{head} {len(values)}" for head, values in columns.items())
        raise ValueError(f"the history's columns differ in length: {lengths}")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _replace_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside `target`, then put it in its place."""
    beside, old = (target.with_name(f".{target.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    try:
        beside.mkdir(parents=True)
        fill(beside)
        if target.exists():
            target.rename(old)
        beside.rename(target)
    except OSError as error:
        raise files.could_not_write(target, error) from error
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for leftover in (beside, old):
            shutil.rmtree(leftover, ignore_errors=True)
