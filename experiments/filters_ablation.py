"""One habit after the other: what each entry of the recipe "clear" does to a filter's picture. Notebook 08.

    python -m experiments.filters_ablation

Two filters of the original, the same start, the same number of steps; every variant has one entry more than
the one before. The last two have the habits of lucid (Olah et al. 2017) and tf-keras-vis as far as the
recipe's entries go: their optimizers and their 512 and 200 steps are left out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from course_utils import filters, runs, runtime
from course_utils.networks import pretrained
from course_utils.pictures import images

LAYER, FILTERS, SIZE, STEPS = "block3_conv3", (25, 33), 80, 20
ENTRIES = (  # name, what it adds
    ("steps of one length", {}),
    ("+ jitter", {"jitter": 6}),
    ("+ small turns", {"turn": 4.0}),
    ("+ 1/f", {"smooth": 1.0}),
    ("+ coarse to fine", {"coarse": 0.5}),
    ("+ colours of photographs", {"colours": True}),
    ("+ before the ReLU", {"leak": 0.1}),
    ("+ total variation", {"variation": 0.15}),
)
OTHERS = (
    ("habits of lucid", {"jitter": 8, "turn": 10.0, "smooth": 1.0, "colours": True, "leak": 1.0}),
    ("habits of tf-keras-vis", {"jitter": 4, "turn": 1.0, "variation": 0.3}),
)


def variants() -> list[tuple[str, filters.Recipe]]:
    """Names and recipes, each with one entry more than the one before; then the two others."""
    plain = {"steps": STEPS, "step": 6.0, "legal": True}
    rules, entries = [], dict(plain)
    for name, more in ENTRIES:
        entries |= more
        rules.append((name, filters.Recipe(name, **entries)))
    return rules + [(name, filters.Recipe(name, **plain, **entries)) for name, entries in OTHERS]


def run(weights: str, name: str = "filters_ablation", seed: int = 0) -> runs.Run:
    """Climb with every variant and record pictures and activations."""
    begun = time.perf_counter()
    model = pretrained.load_vgg16(weights, until=LAYER)
    rows, activation = [], {}
    for title, rule in variants():
        found = filters.maximize(
            model, LAYER, FILTERS, recipe=rule, size=SIZE, seed=seed, precision="float32"
        )
        rows.append(found.images)
        activation[title] = {
            str(k): round(float(v), 2) for k, v in zip(FILTERS, found.activation, strict=True)
        }
        print(title, activation[title], flush=True)
    noise = filters.maximize(model, LAYER, FILTERS, size=SIZE, seed=seed, steps=0, precision="float32")
    photograph = images.fit(images.sample("chelsea"), 128)
    start = np.stack([photograph] * len(FILTERS))
    seen = filters.maximize(model, LAYER, FILTERS, start=start, steps=0, precision="float32")
    with tempfile.TemporaryDirectory() as folder:
        figure = Path(folder) / "tiles.webp"  # one row for each filter, one column for each variant
        tiles = np.concatenate([np.concatenate(list(row), axis=1) for row in np.stack(rows, axis=1)])
        images.save(figure, tiles, quality=85)
        return runs.record(
            name,
            command="python -m experiments.filters_ablation",
            seed=seed,
            precision="float32",
            minutes=(time.perf_counter() - begun) / 60,
            data={"name": "none: the pictures grow from noise", "sha256": "none"},
            metrics={"layer": LAYER, "size": SIZE, "steps": STEPS, "activation": activation},
            baselines={
                "noise": _named(noise),
                "a photograph": _named(seen),
            },
            figures=[figure],
        )


def _named(found: filters.Optima) -> dict[str, float]:
    return {
        title: round(float(value), 2) for title, value in zip(found.titles, found.activation, strict=True)
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One habit after the other.")
    parser.add_argument("--weights", default="original")
    given = parser.parse_args()
    runtime.start(seed=0)
    print(run(given.weights).folder)
