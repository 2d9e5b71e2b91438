"""How right are the colours, beside grey, a mean colour, ridge regression, nearest neighbours? Notebook 09.

`python -m experiments.colour_compare out/colour` takes the sampled pixels of a run of `course train colour`:
ridge regression and nearest neighbours learn from the same hypercolumns as the head, all are judged on the
pixels of the photographs that were kept out. It writes the record `colours_compared`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from course_utils import colour, runs, runtime
from course_utils.colour import measures
from course_utils.networks import gradients
from course_utils.training import colour_samples as samples
from course_utils.training.colours import WAYS, Pool

RIDGE_PIXELS, NEIGHBOUR_PIXELS, PER_PICTURE = 60_000, 8_000, 100


def trivial(pool: Pool, held: Pool) -> dict[str, np.ndarray]:
    """Answers that do not look at the picture: (N, 2) for the held pixels."""
    return {"grey": 0 * held.ab, "one mean colour": 0 * held.ab + pool.ab.mean(axis=0)}


def ridge(pool: Pool, held: Pool, rng: np.random.Generator, strength: float = 1e-2) -> np.ndarray:
    """Ridge regression of a and b on standardized hypercolumns, in closed form."""
    pick = rng.permutation(len(pool.ab))[:RIDGE_PIXELS]
    x, y = pool.columns[pick].astype(np.float32), pool.ab[pick]
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-3
    x = (x - mean) / scale
    square = x.T @ x / len(x) + strength * np.eye(x.shape[1], dtype=np.float32)
    weights = np.linalg.solve(square, x.T @ (y - y.mean(axis=0)) / len(x))
    return (held.columns.astype(np.float32) - mean) / scale @ weights + y.mean(axis=0)


def neighbours(pool: Pool, held: Pool, rng: np.random.Generator) -> np.ndarray:
    """The colour of the training pixel whose standardized hypercolumn has the largest cosine."""
    pick = rng.permutation(len(pool.ab))[:NEIGHBOUR_PIXELS]
    x = pool.columns[pick].astype(np.float32)
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-3
    x = (x - mean) / scale
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    out = np.empty_like(held.ab)
    for start in range(0, len(out), 4096):
        part = (held.columns[start : start + 4096].astype(np.float32) - mean) / scale
        out[start : start + 4096] = pool.ab[pick[(part @ x.T).argmax(axis=1)]]
    return out


def ours(head: object, held: Pool, bins: colour.Bins) -> dict[str, np.ndarray]:
    """The three answers of a head."""
    parts = [
        gradients.forward(head, held.inputs(np.arange(i, min(i + 4096, len(held.ab)))))  # type: ignore[arg-type]
        for i in range(0, len(held.ab), 4096)
    ]
    whole, half = np.concatenate(parts), 2 + len(bins)
    said = colour.Answer(whole[:, :2] * 30, whole[:, 2:half], whole[:, half:])
    return {way: colour.chosen(said, bins, way) for way in WAYS}


def judged(ab: np.ndarray, held: Pool, bins: colour.Bins) -> dict[str, float]:
    """All measures of one way."""
    errors, before = (_errors(each, held) for each in (ab, 0 * ab))
    decibels = [10 * np.log10(255**2 / np.maximum(each, 0.3)) for each in (errors, before)]
    return {
        "gain": float(10 * np.log10(before.mean() / errors.mean())),
        "gain_by_picture": float((decibels[0] - decibels[1]).mean()),
        "psnr": float(decibels[0].mean()),
        "ab_rmse": measures.ab_rmse(ab, held.ab),
        "area": measures.area(ab, held.ab),
        "balanced": measures.area(ab, held.ab, bins),
        "chroma": float(np.linalg.norm(ab, axis=1).mean()),
    }


def _errors(ab: np.ndarray, held: Pool) -> np.ndarray:
    """Mean squared error in RGB of each photograph."""
    wrong = np.square(
        colour.with_colour(held.lightness, ab) - colour.with_colour(held.lightness, held.ab)
    ).mean(axis=1)
    return np.bincount(held.picture, wrong) / np.bincount(held.picture)


def main(run: str) -> None:
    """Compare, print, record."""
    runtime.start()
    began = time.monotonic()
    folder = Path(run)
    files = sorted((folder / "samples").glob("*.npz"))
    kept = [path for path in files if path.name.startswith("kept_")]
    pool = Pool.of(samples.load([path for path in files if path not in kept]), 40)
    held = Pool.of(samples.load(kept), PER_PICTURE)
    head = colour.load(folder / "weights.npz")
    bins, rng = colour.bins_of(head), np.random.default_rng(0)
    answers = trivial(pool, held) | {
        "ridge": ridge(pool, held, rng),
        "nearest neighbour": neighbours(pool, held, rng),
    }
    baselines = {way: judged(ab, held, bins) for way, ab in answers.items()}
    found = ours(head, held, bins)
    metrics = {way: judged(ab, held, bins) for way, ab in found.items()}
    truth = float(np.linalg.norm(held.ab, axis=1).mean())
    curves = {
        way.replace(" ", "_"): measures.within(np.linalg.norm(ab - held.ab, axis=1)).round(5)
        for way, ab in (answers | found).items()
    }
    runs.record(
        "colours_compared",
        command="python -m experiments.colour_compare out/colour",
        seed=0,
        precision="float32",
        minutes=(time.monotonic() - began) / 60,
        data={
            "name": "sampled pixels of photographs that were kept out",
            "sha256": runs.fingerprint(folder / "weights.npz"),
            "photographs": len(held.means),
            "pixels": len(held.ab),
            "true_chroma": truth,
        },
        metrics=metrics,
        baselines=baselines,
        history=curves,
    )
    for way, values in (baselines | metrics).items():
        print(f"{way:>18}", *(f"{key} {value:.3f}" for key, value in values.items()))


if __name__ == "__main__":
    main(sys.argv[1])
