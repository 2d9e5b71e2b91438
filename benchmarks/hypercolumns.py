"""Clustering hypercolumns: as the post of 2016 did, as one would today, and without building them.

Chelsea at 224x224, layers 3, 8, 15, 22, 29, two clusters, He-initialized weights of seed 0. All ways get the
same feature maps, computed before the clock starts, and the same k-means++ starts; they run until no pixel
changes (tol=0). `document` resizes map by map, then scikit-learn's KMeans with ten starts; `plain` resizes
each layer at once, then KMeans with one start; `ours` gets as many starts as the way it stands beside.
Larger pictures are clustered by `ours` alone, forward pass included. `forward` is the network's own pass,
with zeros around its maps, beside the maps that `ours` computes strip by strip, mirrored at the edge.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.harness import Bench, Skip
from course_utils import hypercolumns
from course_utils.features.maps import feature_maps
from course_utils.pictures import images

LAYERS = [3, 8, 15, 22, 29]
CLUSTERS = 2


@dataclass(frozen=True)
class Case:
    """Width of the network, side of the picture, number of starts, and whether the forward pass counts.

    No starts: the forward pass alone.
    """

    width: float
    side: int
    starts: int
    forward: bool = False


def network(width: float):
    """VGG-16 with He-initialized weights of seed 0."""
    import keras

    from course_utils.networks import vgg16

    keras.utils.set_random_seed(0)
    return vgg16.build(width, include_top=False)


def chelsea(side: int) -> np.ndarray:
    """The photograph as a square."""
    return images.resize(images.sample("chelsea"), side)


@functools.cache
def prepared(case: Case) -> tuple[hypercolumns.Factored, np.ndarray]:
    """The feature maps, and the starts: the same in every process."""
    factored = hypercolumns.Factored.from_model(network(case.width), chelsea(case.side), LAYERS)
    return factored, hypercolumns.plus_plus(factored, CLUSTERS, n_init=case.starts, seed=0)


def by_scikit_learn(flat: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Labels of KMeans from the pixels `starts`, (n, k)."""
    from sklearn.cluster import KMeans

    following = itertools.cycle(starts)

    def init(x, n_clusters, random_state):
        return x[next(following)]

    return KMeans(CLUSTERS, init=init, n_init=len(starts), tol=0).fit(flat).labels_


def document(case: Case) -> Callable[[], object]:
    """One resize for each map, stacked as (maps, H, W), turned, and clustered from ten starts."""
    import cv2

    if case.forward or case.starts < 2:
        raise Skip("the post takes ten starts, at 224x224")
    factored, starts = prepared(case)
    stacks = list(factored.maps.values())

    def run() -> np.ndarray:
        columns = []
        for maps in stacks:
            for i in range(maps.shape[-1]):
                columns.append(cv2.resize(maps[..., i], (case.side, case.side)))
        cube = np.asarray(columns)
        return by_scikit_learn(cube.transpose(1, 2, 0).reshape(case.side * case.side, -1), starts)

    return run


def plain(case: Case) -> Callable[[], object]:
    """One resize for each layer, joined, and clustered from one start."""
    if case.forward or case.starts > 1:
        raise Skip("beside one start, at 224x224")
    import keras

    factored, starts = prepared(case)
    stacks = list(factored.maps.values())

    def run() -> np.ndarray:
        size = (case.side, case.side)
        layers = [keras.ops.image.resize(maps, size, "bilinear") for maps in stacks]
        dense = keras.ops.convert_to_numpy(keras.ops.concatenate(layers, axis=-1))
        return by_scikit_learn(dense.reshape(case.side * case.side, -1), starts)

    return run


def ours(case: Case) -> Callable[[], object]:
    """k-means on the maps as they are."""
    if case.forward:
        model, image = network(case.width), chelsea(case.side)
        if not case.starts:
            return lambda: hypercolumns.Factored.from_model(model, image, LAYERS)

        def run() -> np.ndarray:
            factored = hypercolumns.Factored.from_model(model, image, LAYERS)
            return hypercolumns.kmeans(factored, CLUSTERS, n_init=case.starts).labels

        return run
    factored, starts = prepared(case)

    def cluster() -> np.ndarray:
        fresh = hypercolumns.Factored(
            factored.maps, (case.side, case.side)
        )  # nothing remembered from the last run
        return hypercolumns.kmeans(fresh, CLUSTERS, starts=starts).labels

    return cluster


def forward(case: Case) -> Callable[[], object]:
    """The network's own pass to the same layers."""
    if case.starts:
        raise Skip("a pass does not cluster")
    model, image = network(case.width), chelsea(case.side)
    return lambda: feature_maps(model, image, LAYERS)


CASES = {
    f"{name} width, 224, {starts} start{'s' * (starts > 1)}": Case(width, 224, starts)
    for name, width in (("full", 1.0), ("half", 0.5))
    for starts in (10, 1)
}
CASES |= {
    "full width, 512, with forward pass": Case(1.0, 512, 1, True),
    "full width, 1024, forward pass alone": Case(1.0, 1024, 0, True),
}

BENCH = Bench(
    "hypercolumns",
    cases=CASES,
    ways={"document": document, "plain": plain, "forward": forward, "ours": ours},
    imports=("cv2", "sklearn.cluster"),
)
