"""VGG-16 on a 384x384 picture: 36 crops of 224x224 in one batch, beside one pass of the converted network.

Full width, random weights, the same precision on both sides. Counted in multiplications one pass needs 11.3
times fewer: the crops overlap, and each layer up to block 5 is computed once instead of 36 times.
"""

from collections.abc import Callable

import numpy as np
import psutil

from benchmarks.harness import Bench, Skip
from course_utils import runtime

SIDE, CROP, STRIDE = 384, 224, 32
NEEDED_GB = 5.0


def picture() -> np.ndarray:
    """Noise as large as a preprocessed picture: what is in it changes no time."""
    return np.random.default_rng(0).normal(0, 60, (SIDE, SIDE, 3)).astype(np.float32)


def network(precision: str):
    """VGG-16 with its dense layers, random weights."""
    if precision != "float32" and runtime.best_precision() != precision:
        raise Skip("this processor has no fast bfloat16")
    if psutil.virtual_memory().available < NEEDED_GB * 1e9:
        raise Skip(f"needs {NEEDED_GB:g} GB of free memory")
    from course_utils.networks import vgg16

    runtime.start(0, precision)
    return vgg16.build()


def prepared(model, x: np.ndarray) -> Callable[[], np.ndarray]:
    """The model as graphs, in both ways alike: the convolutions with fixed weights, then the dense part."""
    import keras

    from course_utils.networks import gradients

    middle = model.get_layer("block5_pool").output
    maps = gradients.frozen(keras.Model(model.input, middle), x.shape)
    top = keras.Model(middle, model.output)
    return lambda: np.asarray(top.predict_on_batch(maps(x)))


def crops(precision: str) -> Callable[[], np.ndarray]:
    """What one would otherwise do: cut out every crop, and classify them in one batch."""
    x = picture()
    places = range(0, SIDE - CROP + 1, STRIDE)
    batch = np.stack([x[i : i + CROP, j : j + CROP] for i in places for j in places])
    return prepared(network(precision), batch)


def ours(precision: str) -> Callable[[], np.ndarray]:
    """The converted network on the whole picture."""
    from course_utils.networks import convert

    return prepared(convert.dense_to_convolutional(network(precision)), picture()[None])


BENCH = Bench(
    "fcn",
    cases={"384x384, float32": "float32", "384x384, mixed_bfloat16": "mixed_bfloat16"},
    ways={"crops": crops, "ours": ours},
    imports=("psutil",),
)
