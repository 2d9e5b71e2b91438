"""How much the feature maps know of classes they were not trained for: a linear probe. Notebook 02.

Maps of 6,000 CIFAR-10 pictures, averaged to 2x2, and a logistic regression on them (Alain and Bengio
2016). Beside them the same network with random weights, and the raw pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runs, runtime
from course_utils.datasets import augment, cifar10
from course_utils.features.maps import tap
from course_utils.networks import gradients, pretrained, vgg16, weight_files
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


def run(cifar: str | Path | None, original: str | Path | None = None, seed: int = 0) -> runs.Run:
    """Probe the course's network, a random one, the original's first blocks if given, and the pixels.

    Args:
        cifar: folder with CIFAR-10's binary files; None: the cache.
        original: a weights file of full width, such as the original's first three blocks.
        seed: chooses the pictures (5,000 to train, 1,000 to test) and the random weights.

    Returns:
        The record "vgg16_probe", written to `data/runs`.
    """
    import time

    runtime.start(seed, "float32")
    began = time.monotonic()
    data, folder = cifar10.load(cifar), cifar10.find(cifar)
    (x, y), (x_test, y_test) = (_some(split, n, seed) for split, n in ((data.train, 5000), (data.test, 1000)))
    both = np.concatenate([x, x_test])

    def probe_all(model: keras.Model, layers: tuple[str, ...]) -> dict[str, float]:
        maps = pooled_maps(model, both, layers)
        return {k: probe((v[: len(y)], y), (v[len(y) :], y_test)) for k, v in maps.items()}

    metrics: dict[str, Mapping[str, float]] = {"course": probe_all(pretrained.load_vgg16("course"), LAYERS)}
    random = vgg16.build(0.5, include_top=False)
    baselines: dict[str, Any] = {"random weights": probe_all(random, LAYERS)}
    if original is not None:
        model = pretrained.load_vgg16(original, until="block3_conv3")
        metrics["original"] = probe_all(model, LAYERS[:3])
        wide = vgg16.build(1.0, until="block3_conv3")
        baselines["random weights, full width"] = probe_all(wide, LAYERS[:3])
    pixels = both.reshape(len(both), -1).astype(np.float32)
    baselines["raw pixels"] = probe((pixels[: len(y)], y), (pixels[len(y) :], y_test))
    baselines["majority class"] = float(np.bincount(y_test).max() / len(y_test))
    figures = [_save_sheet(original)] if original is not None else []
    return runs.record(
        "vgg16_probe",
        command="course probe --cifar DIR" + (" --original FILE" if original else ""),
        seed=seed,
        precision="float32",
        minutes=(time.monotonic() - began) / 60,
        data={"name": "CIFAR-10, 5,000 and 1,000 pictures", "sha256": runs.fingerprint(folder or "")},
        metrics=metrics,
        baselines=baselines,
        figures=figures,
    )


def kernel_sheet(kernel: np.ndarray, columns: int = 16, zoom: int = 14) -> np.ndarray:
    """First-layer kernels (3, 3, 3, C), BGR, as a picture: each stretched to full brightness, uint8 RGB."""
    kernel = kernel[:, :, ::-1] / np.abs(kernel).max((0, 1, 2))
    tiles = np.moveaxis(127.5 + 127.5 * kernel, -1, 0).repeat(zoom, 1).repeat(zoom, 2)
    tiles = np.pad(tiles, ((0, -len(tiles) % columns), (2, 2), (2, 2), (0, 0)), constant_values=255)
    side = tiles.shape[1]
    sheet = tiles.reshape(-1, columns, side, side, 3).swapaxes(1, 2)
    return sheet.reshape(-1, columns * side, 3).round().astype(np.uint8)


def _save_sheet(weights: str | Path) -> Path:
    import tempfile

    kernel = weight_files.read(weights)["block1_conv1_kernel"]
    path = Path(tempfile.mkdtemp()) / "original_first_layer.png"
    images.save(path, kernel_sheet(kernel))
    return path


def _some(split: tuple[np.ndarray, np.ndarray], n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    pick = np.random.default_rng(seed).permutation(len(split[1]))[:n]
    return split[0][pick], split[1][pick]
