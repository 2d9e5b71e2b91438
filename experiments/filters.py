"""What training data do to filters: the same layers of two networks and of an untrained one. Notebook 08.

    python -m experiments.filters ORIGINAL.npz

puts optima of the course's VGG-16 beside those of another one's first blocks, and records the sheet with
three measures for each layer; the same measures of random weights are the baseline.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import filters, runs, runtime
from course_utils.networks import pretrained, vgg16
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

LAYERS = ("block1_conv2", "block2_conv2", "block3_conv1", "block3_conv3")
COLUMNS, TILE = 6, 72


def run(other: Path, *, weights: str = "course", seed: int = 0, name: str = "filters_compare") -> runs.Run:
    """Compare and record.

    Args:
        other: weights of the original, at least up to block3_conv3.
        weights: the course's side.

    Returns:
        The record: `metrics` {"course" or "original": {layer: {"ratio", "rank", "share"}}}, the same for
        "random" in `baselines`, and the figure `side_by_side`.
    """
    start = time.perf_counter()
    models = {
        "course": pretrained.load_vgg16(weights, until=LAYERS[-1]),
        "original": pretrained.load_vgg16(other, until=LAYERS[-1]),
        "random": vgg16.build(0.5, until=LAYERS[-1]),
    }
    found = {key: {layer: _look(model, layer, seed) for layer in LAYERS} for key, model in models.items()}
    measures = {key: {layer: each[1] for layer, each in rows.items()} for key, rows in found.items()}
    with tempfile.TemporaryDirectory() as folder:
        figure = Path(folder) / "side_by_side.jpg"
        sheets = [_column(found[key]) for key in ("course", "original")]
        images.save(figure, np.concatenate(sheets, axis=1), quality=72)
        return runs.record(
            name,
            command="python -m experiments.filters ORIGINAL.npz",
            seed=seed,
            precision=runtime.best_precision(),
            minutes=(time.perf_counter() - start) / 60,
            data={"name": Path(other).name, "sha256": runs.fingerprint(other)},
            metrics={key: measures[key] for key in ("course", "original")},
            baselines={"random": measures["random"]},
            figures=[figure],
        )


def _look(model: keras.Model, layer: str, seed: int) -> tuple[filters.Optima, dict[str, Any]]:
    """Optima of a layer, evenly picked, and what they measure."""
    count = model.get_layer(layer).filters
    chosen = np.linspace(0, count - 1, 2 * COLUMNS).round().astype(int)
    optima = filters.maximize(model, layer, chosen, recipe="clear", size=96, seed=seed)
    photographs = [images.fit(images.sample(each), 256) for each in images.SAMPLES]
    facts = filters.selectivity(model, optima, photographs)
    finite = facts.ratio[np.isfinite(facts.ratio)]
    waves = [filters.spectrum_peak(picture).share for picture in optima.images]
    return optima, {
        "ratio": round(float(np.median(finite)), 2) if finite.size else 0.0,
        "rank": round(float(facts.rank.mean() / count), 3),
        "share": round(float(np.mean(waves)), 3),
    }


def _column(rows: dict[str, tuple[filters.Optima, dict[str, Any]]]) -> np.ndarray:
    """One network's sheet, a row for each layer."""
    edge = (96 - TILE) // 2
    parts = []
    for optima, _ in rows.values():
        cut = optima.shown[:: len(optima) // COLUMNS, edge : edge + TILE, edge : edge + TILE][:COLUMNS]
        parts.append(filters.sheet(cut, COLUMNS, margin=3))
    return np.pad(np.concatenate(parts), ((0, 0), (0, 12), (0, 0)), constant_values=255)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description="Filters of the course's network and of another VGG-16.")
    parser.add_argument("other", type=Path, help="weights of the other one's first blocks")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    runtime.start(seed=given.seed)
    print(run(given.other, seed=given.seed).folder)
