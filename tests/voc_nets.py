"""A small FCN for PASCAL VOC in plain numbers, under the names of the authors' prototxt."""

from __future__ import annotations

import numpy as np
import plain_nets as plain

CLASSES = 21
# variant -> enlargement, skip and its crop, …; last enlargement, its stride and crop: the authors' prototxt
STEPS = {
    "32s": ([], ("upscore", 32, 19)),
    "16s": ([("upscore2", "pool4", 5)], ("upscore16", 16, 27)),
    "8s": ([("upscore2", "pool4", 5), ("upscore_pool4", "pool3", 9)], ("upscore8", 8, 31)),
}


def weights(
    variant: str = "8s", width: int = 4, units: tuple[int, int] = (24, 20), classes: int = CLASSES
) -> dict[str, list[np.ndarray]]:
    """Random ones; the enlargements are not bilinear, so that a turned or transposed kernel shows."""
    rng = np.random.default_rng(3)
    found = {name: arrays for name, arrays in plain.vgg16_weights(rng, width).items() if name[0] == "c"}
    steps, (last, stride, _) = STEPS[variant]
    deep = 8 * width
    for name, shape in {
        "fc6": (units[0], deep, 7, 7),
        "fc7": (units[1], units[0], 1, 1),
        "score_fr": (classes, units[1], 1, 1),
        **{f"score_{skip}": (classes, deep if skip == "pool4" else deep // 2, 1, 1) for _, skip, _ in steps},
    }.items():
        scale = (2 / np.prod(shape[1:])) ** 0.5
        found[name] = [rng.normal(0, scale, shape), rng.normal(0, 0.2, shape[0])]
    for name, n in [*((step[0], 2) for step in steps), (last, stride)]:
        found[name] = [rng.normal(0, 0.2, (classes, classes, 2 * n, 2 * n))]
    return {name: [a.astype(np.float32) for a in arrays] for name, arrays in found.items()}
