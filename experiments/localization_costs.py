"""What the ways of notebook 04 cost: how many boxes must be asked to reach the objects, and how long.

Part of `python -m experiments.localization_methods`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.datasets import LabelledImages
from course_utils.localization import proposals, rcnn, windows
from course_utils.localization.boxes import from_window
from course_utils.localization.rcnn import WINDOW, truth_of
from course_utils.localization.windows import SCALES
from course_utils.networks import gradients, pretrained
from course_utils.pictures import images
from experiments.localization_heads import SIDE

if TYPE_CHECKING:
    import keras

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BATCH = 100
COUNTS = (1, 3, 10, 20, 30, 50, 75, 100, 150, 200, 300)


def spread_out(
    work: Callable[..., Any], each: Sequence[tuple[Any, ...]], how: str = "processes"
) -> list[Any]:
    """The same work on many things, on all cores."""
    from joblib import Parallel, delayed

    return Parallel(n_jobs=CORES, prefer=how)(delayed(work)(*args) for args in each)


def crop_scan(model: keras.Model, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same windows as `windows.scan_all`, each cropped: boxes (P, N, 4) and scores (P, N, classes)."""
    preprocess, every = pretrained.about(model).preprocess, []
    for side in [round(SIDE * scale) for scale in SCALES]:
        corners = range(0, side - WINDOW + 1, 8)
        at = np.array([(x, y, WINDOW, WINDOW) for y in corners for x in corners], float)
        large = np.stack([images.resize(image, side) for image in pictures])
        crops = np.stack([large[:, y : y + WINDOW, x : x + WINDOW] for y in corners for x in corners], 1)
        odds, shares = gradients.forward(
            model, crops.reshape(-1, WINDOW, WINDOW, 3), BATCH, before=preprocess
        )
        moved = from_window(shares, np.tile(at, (len(pictures), 1))) * SIDE / side
        every.append((moved.reshape(len(pictures), -1, 4), odds.reshape(len(pictures), len(at), -1)))
    return tuple(np.concatenate(parts, axis=1) for parts in zip(*every, strict=True))  # type: ignore[return-value]


def recalls(data: LabelledImages, searched: Sequence[np.ndarray]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The share of objects that the first n proposals reach; the same for boxes that need no picture."""
    boxes, _ = truth_of(data)
    edges = spread_out(proposals.edge_boxes, [(image, COUNTS[-1]) for image in data.images])
    blind = {"grid": proposals.grid, "random boxes": proposals.random_boxes}
    seen = {"selective search": searched, "edge boxes": edges}
    unseen = {
        name: {n: proposals.recall([make(n, SIDE, SIDE)] * len(data), boxes, [n])[n] for n in COUNTS}
        for name, make in blind.items()
    }
    return {name: proposals.recall(found, boxes, COUNTS) for name, found in seen.items()}, unseen


def equal(
    trunk: keras.Model,
    learn: LabelledImages,
    data: LabelledImages,
    searched: Sequence[np.ndarray],
    epochs: int,
    timed: int,
) -> dict[str, dict[str, float]]:
    """What windows cost, and as many proposals as reach as many objects; one scene at a time.

    Milliseconds are of this machine, where small passes cost mostly their start. `pictures` are the pixels
    that go through the network, in whole scenes: what a slow machine feels.
    """
    boxes, _ = truth_of(data)
    model, slide, move = windows.train_window(trunk, learn, epochs)
    wide = windows.scan_all(slide, data.images, SCALES, move)[0]
    count = wide.shape[1]
    reached = proposals.recall(list(wide), boxes, [count])[count]
    every = proposals.recall(list(searched), boxes, range(1, COUNTS[-1] + 1))
    most = next((n for n, share in every.items() if share >= reached), COUNTS[-1])
    few = data.images[:timed]

    def propose_only(image: np.ndarray) -> np.ndarray:
        return proposals.selective_search(image, most)

    def regions(image: np.ndarray) -> rcnn.Regions:
        return rcnn.regions(trunk, image, np.resize(propose_only(image), (most, 4)), WINDOW, batch=most)

    def pixels(passes: int) -> float:
        return passes * WINDOW**2 / SIDE**2

    once = sum((round(SIDE * scale) / SIDE) ** 2 for scale in SCALES)
    looks = milliseconds(lambda image: windows.scan(slide, image, SCALES, move), few)
    crops = milliseconds(lambda image: crop_scan(model, image[None]), few)
    network, asking = milliseconds(regions, few), milliseconds(propose_only, few)
    facts = {
        "windows, cropped": (count, reached, count, pixels(count), crops, 0),
        "windows, one pass a size and head": (count, reached, 2 * len(SCALES), 2 * once, looks, 0),
        "proposals, warped": (most, every[most], most, pixels(most), network, asking),
    }
    keys = ("boxes", "recall", "passes", "pictures", "milliseconds", "of these proposing")
    return {name: dict(zip(keys, row, strict=True)) for name, row in facts.items()}


def milliseconds(work: Callable[[np.ndarray], Any], pictures: np.ndarray) -> float:
    """The median time for one picture, after one that warms up."""
    times = []
    for image in (pictures[0], *pictures):
        start = time.perf_counter()
        work(image)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times[1:]))
