"""How the networks that ship were trained: one module for each `course train` command. Notebook 06."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from course_utils import files, runs, runtime
from course_utils.networks import weight_files

LARGEST_MB = 8.0
"""What ships stays below this, so that a clone stays small."""
FACTS = ("command", "seed", "device", "precision", "minutes", "backend", "commit", "metrics", "baselines")
"""What a card repeats of the record."""


def finish(
    out: str | Path,
    name: str,
    *,
    weights: Mapping[str, np.ndarray],
    card: Mapping[str, Any],
    record: Mapping[str, Any],
    ship: bool = False,
) -> dict[str, Any]:
    """Write what every trainer leaves: `weights.npz` (float16), `card.json` and the record of the run.

    Args:
        out: the run's folder; the record goes to `out/runs/NAME`.
        name: of the weights and of the record.
        weights: `{"LAYER_kernel": …, "LAYER_bias": …}`.
        card: title, data and its terms, recipe, …; what the record knows (command, seed, device,
            precision, minutes, metrics, baselines) is added here, and the file's SHA-256 and size.
        record: arguments of `runs.record`.
        ship: put weights, card and record into the checkout's `data/`, too (for maintainers).

    Returns:
        The card.

    Raises:
        ValueError: with `ship`, and the file is larger than what may ship.
    """
    path = write(out, weights, ship=ship)
    return describe(path, name, card=card, record=record, ship=ship)


def write(
    out: str | Path, weights: Mapping[str, np.ndarray], *, largest_mb: float = LARGEST_MB, ship: bool = False
) -> Path:
    """Write `out/weights.npz` in float16; returns its path. See `finish`."""
    path = weight_files.save(Path(out) / "weights.npz", weights)
    megabytes = path.stat().st_size / 1e6
    if ship and megabytes > largest_mb:
        raise ValueError(f"{path} has {megabytes:.1f} MB; at most {largest_mb:g} MB ship")
    return path


def describe(
    path: Path, name: str, *, card: Mapping[str, Any], record: Mapping[str, Any], ship: bool = False
) -> dict[str, Any]:
    """Write the record of a run and the card of its weights, beside them; returns the card. See `finish`."""
    out = path.parent
    run = runs.record(name, root=out / "runs", **record)
    facts = {key: getattr(run, key) for key in FACTS}
    facts |= {"sha256": runs.fingerprint(path), "megabytes": round(path.stat().st_size / 1e6, 2)}
    full = {"name": name, **card, **facts}
    with files.replacing(out / "card.json", text=True) as file:
        file.write(json.dumps(full, indent=1, ensure_ascii=False) + "\n")
    if ship:
        _ship(out, name)
    return full


def _ship(out: Path, name: str) -> None:
    """Copy a finished run into `data/`."""
    for made, shipped in (("weights.npz", f"{name}.npz"), ("card.json", f"{name}.json")):
        target = runtime.shipped(f"weights/{shipped}")
        with files.replacing(target) as file:
            file.write((out / made).read_bytes())
    target = runtime.shipped(f"runs/{name}")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(out / "runs" / name, target)
