"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data(project: Path) -> Path:
    """The development data beside the checkout; the test is skipped where there is none."""
    folder = project.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the development data, absent here: {folder}")
    return folder


@pytest.fixture(scope="module")
def backbone() -> Any:
    """A tiny VGG-16 up to its last convolution."""
    from course_utils import runtime
    from course_utils.networks import vgg16

    runtime.start(0)
    return vgg16.build(1 / 32, until="block5_conv3")


@pytest.fixture(scope="module")
def photographs() -> Any:
    """Bright rectangles on noise, of two classes: red and blue."""
    import numpy as np

    from course_utils.datasets.labelled import unlabelled

    rng = np.random.default_rng(0)
    stack = rng.integers(0, 40, (24, 40, 60, 3)).astype(np.uint8)
    found = np.zeros((24, 1, 4), np.float32)
    for i, image in enumerate(stack):
        x, y = rng.integers(2, 25), rng.integers(2, 15)
        w, h = rng.integers(15, 32), rng.integers(12, 22)
        image[y : y + h, x : x + w, 2 * (i % 2)] = 240
        found[i, 0] = x, y, w, h
    classes = (np.arange(24) % 2)[:, None]
    return unlabelled(stack, boxes=found, classes=classes, class_names=("red", "blue"))
