"""The convolutions of the original VGG-16 on pictures of 224x224, one and eight at a time, in float32.

`predict` and `call` are what a reader would write with `keras.applications.VGG16(include_top=False)`:
`model.predict(x)`, and `model(x)`, which has less around it. `ours` is `gradients.frozen`: one graph with the
weights as constants. All have the same weights and give the same maps, to rounding (a test holds it).
`matrix` multiplies two float32 matrices of 4096 x 4096 with the same library, for the rate the processor
reaches: `python benchmarks/vgg16.py` prints which share of it the convolutions use.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import Bench, Skip
from course_utils.networks import gradients, pretrained, weight_files
from course_utils.pictures import images

SIDE = 224
MULTIPLICATIONS = 15_346_630_656  # of the thirteen convolutions at 224x224, each with an addition
MATRIX = 4096


def pictures(count: int) -> np.ndarray:
    """Photographs that the installed packages carry, as the network wants them."""
    names = [*images.SAMPLES][:count]
    return np.stack([images.preprocess(images.resize(images.sample(name), SIDE)) for name in names])


def usual() -> Any:
    """The network of `keras.applications`, with the weights that ship."""
    import keras

    model = keras.applications.VGG16(include_top=False, weights=None)
    return weight_files.put(model, weight_files.read(weight_files.shipped("vgg16")), "vgg16.npz")


def predict(count: int) -> Callable[[], np.ndarray]:
    """The documented way."""
    model, x = usual(), pictures(count)
    return lambda: model.predict(x, verbose=0)


def call(count: int) -> Callable[[], np.ndarray]:
    """Without the loop around it."""
    model, x = usual(), pictures(count)
    return lambda: np.asarray(model(x, training=False))


def ours(count: int) -> Callable[[], np.ndarray]:
    """One graph, the weights as constants."""
    x = pictures(count)
    run = gradients.frozen(pretrained.load_vgg16(include_top=False), x.shape)
    return lambda: run(x)


def matrix(count: int) -> Callable[[], object]:
    """The processor's matrix rate."""
    if count > 1:
        raise Skip("the rate does not depend on the batch")
    from keras import ops

    a, b = (
        ops.convert_to_tensor(np.random.default_rng(i).random((MATRIX, MATRIX), np.float32)) for i in (0, 1)
    )
    return lambda: ops.convert_to_numpy(ops.matmul(a, b))


def shares(rows: list[dict[str, Any]]) -> dict[str, float]:
    """For each case the multiplications a second of `ours`, as a share of the matrix rate."""
    (rate,) = (MATRIX**3 / row["seconds"] for row in rows if row["way"] == "matrix")
    ours = {row["case"]: row["seconds"] for row in rows if row["way"] == "ours"}
    return {case: BENCH.cases[case] * MULTIPLICATIONS / seconds / rate for case, seconds in ours.items()}


BENCH = Bench(
    "vgg16",
    cases={"224x224, one picture": 1, "224x224, eight pictures": 8},
    ways={"predict": predict, "call": call, "ours": ours, "matrix": matrix},
)

if __name__ == "__main__":
    import json

    from benchmarks import harness

    recorded = json.loads((harness.FOLDER / "results" / "vgg16.json").read_text(encoding="utf-8"))["rows"]
    for name, share in shares(recorded).items():
        print(f"{name}: {share:.0%} of the processor's matrix rate")
