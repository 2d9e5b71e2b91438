"""How much the feature maps know of classes they were not trained for: a linear probe. Notebook 01.

    python -m experiments.probe --cifar DIR

Maps of 6,000 CIFAR-10 pictures, averaged to 2x2, and a logistic regression on them (Alain and Bengio
2016). Beside them the same network with random weights, and the raw pixels.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runs, runtime
from course_utils.datasets import augment, cifar10
from course_utils.features.maps import tap
from course_utils.networks import gradients, pretrained, vgg16
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

LAYERS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3")


def pool(maps: np.ndarray, cells: int = 2) -> np.ndarray:
    """Average maps (N, H, W, C) over a grid of cells x cells -> (N, cells * cells * C)."""
    n, height, width, channels = maps.shape
    maps = maps[:, : height // cells * cells, : width // cells * cells]
    maps = maps.reshape(n, cells, height // cells, cells, width // cells, channels)
    return maps.mean((2, 4)).reshape(n, -1)


def pooled_maps(
    model: keras.Model, pictures: np.ndarray, layers: tuple[str, ...], size: int = 32
) -> dict[str, np.ndarray]:
    """The 2x2-averaged maps of some layers for many pictures, uint8 (N, 32, 32, 3)."""
    part = tap(model, list(layers))

    def ready(some: np.ndarray) -> np.ndarray:
        return images.preprocess(augment.enlarge(some, size))

    def pooled(maps: list[np.ndarray]) -> list[np.ndarray]:
        return [pool(each) for each in maps]

    found = gradients.forward(part, pictures, 250, before=ready, after=pooled)
    return dict(zip(layers, found, strict=True))


def probe(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    """Test accuracy of a logistic regression on standardized values (N, D)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=300))
    return float(classifier.fit(*train).score(*test))


def run(cifar: str | Path | None, seed: int = 0) -> runs.Run:
    """Probe the original and the half-width network, each beside random weights of its width, and the pixels.

    Args:
        cifar: folder with CIFAR-10's binary files; None: the cache.
        seed: chooses the pictures (5,000 to train, 1,000 to test) and the random weights.

    Returns:
        The record "vgg16_probe", written to `data/runs`.
    """
    runtime.start(seed, "float32")
    began = time.monotonic()
    data, folder = cifar10.load(cifar), cifar10.find(cifar)
    (x, y), (x_test, y_test) = (_some(split, n, seed) for split, n in ((data.train, 5000), (data.test, 1000)))
    both = np.concatenate([x, x_test])

    def probe_all(model: keras.Model) -> dict[str, float]:
        maps = pooled_maps(model, both, LAYERS)
        return {k: probe((v[: len(y)], y), (v[len(y) :], y_test)) for k, v in maps.items()}

    metrics: dict[str, Mapping[str, float]] = {
        "original": probe_all(pretrained.load_vgg16(until=LAYERS[-1])),
        "course": probe_all(pretrained.load_vgg16("course", until=LAYERS[-1])),
    }
    baselines: dict[str, Any] = {
        "random weights, full width": probe_all(vgg16.build(1.0, until=LAYERS[-1])),
        "random weights": probe_all(vgg16.build(0.5, until=LAYERS[-1])),
    }
    pixels = both.reshape(len(both), -1).astype(np.float32)
    baselines["raw pixels"] = probe((pixels[: len(y)], y), (pixels[len(y) :], y_test))
    baselines["majority class"] = float(np.bincount(y_test).max() / len(y_test))
    return runs.record(
        "vgg16_probe",
        command="python -m experiments.probe --cifar DIR",
        seed=seed,
        precision="float32",
        minutes=(time.monotonic() - began) / 60,
        data={"name": "CIFAR-10, 5,000 and 1,000 pictures", "sha256": runs.fingerprint(folder or "")},
        metrics=metrics,
        baselines=baselines,
    )


def _some(split: tuple[np.ndarray, np.ndarray], n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    pick = np.random.default_rng(seed).permutation(len(split[1]))[:n]
    return split[0][pick], split[1][pick]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What do feature maps know of classes that are new to them?")
    parser.add_argument("--cifar", type=Path, help="folder with CIFAR-10's binary files; else the cache")
    found = run(parser.parse_args().cifar)
    print(found.metrics, found.baselines)
