"""Filters of the original's block3_conv3 and block5_conv3, 20 steps at 128x128: one by one, and all at once.

`one_by_one` is written like the public Keras example (a compiled step, called in a loop for one filter after
the other), with the recipe of the course's document. A number in its signature makes TensorFlow trace the
step anew for each filter, which is part of what its reader waits for; in the second case those graphs exist
already. `ours` is `filters.maximize`. Both climb from the same noise; `python benchmarks/filters.py` compares
the mean activation of the pictures, in float32.
"""

from collections.abc import Callable

import numpy as np

from benchmarks.harness import Bench
from course_utils import filters
from course_utils.networks import pretrained

SIZE, STEPS = 128, 20
RATE = (SIZE * SIZE * 3) ** 0.5  # of a gradient of norm 1: a step whose root mean square is 1


def noise(count: int) -> np.ndarray:
    """The same grey starts for both ways, RGB 0..255."""
    random = np.random.default_rng(0).random((count, SIZE, SIZE, 3), dtype=np.float32)
    return 128 + (random - 0.5) * 20


def public_example(extractor: object) -> Callable[[np.ndarray, int], np.ndarray]:
    """One filter's picture as the example finds it: (1, H, W, 3) of the network's input."""
    import tensorflow as tf

    def compute_loss(picture, filter_index):
        return tf.reduce_mean(extractor(picture)[:, :, :, filter_index])

    @tf.function
    def gradient_ascent_step(picture, filter_index, rate):
        with tf.GradientTape() as tape:
            tape.watch(picture)
            loss = compute_loss(picture, filter_index)
        gradient = tape.gradient(loss, picture)
        return loss, picture + rate * tf.math.l2_normalize(gradient)

    def visualize(picture, filter_index):
        picture = tf.constant(picture)
        for _ in range(STEPS):
            _, picture = gradient_ascent_step(picture, filter_index, RATE)
        return picture.numpy()

    return visualize


def one_by_one(case: dict) -> Callable[[], np.ndarray]:
    """The public example's way."""
    extractor = pretrained.load_vgg16(until=case["layer"])
    starts = pretrained.about(extractor).preprocess(noise(case["count"]))
    kept = public_example(extractor)

    def call() -> np.ndarray:
        visualize = kept if case["traced"] else public_example(extractor)
        return np.concatenate([visualize(starts[k : k + 1], k) for k in range(case["count"])])

    return call


def ours(case: dict) -> Callable[[], np.ndarray]:
    """All at once."""
    import keras

    model = pretrained.load_vgg16(until=case["layer"])
    starts, which = noise(case["count"]), range(case["count"])

    def call() -> np.ndarray:
        fresh = model if case["traced"] else keras.Model(model.input, model.output)  # traced anew
        return filters.maximize(
            fresh, case["layer"], which, size=SIZE, start=starts, restarts=0, steps=STEPS
        ).images

    return call


def agreement(case: dict) -> float:
    """Mean activation of ours divided by that of the public example's pictures, both in float32."""
    model = pretrained.load_vgg16(until=case["layer"])
    pictures = [one_by_one(case)(), pretrained.about(model).preprocess(ours(case)())]
    theirs, our = (
        np.mean([np.asarray(model(x[k : k + 1]))[..., k].mean() for k in range(case["count"])])
        for x in pictures
    )
    return float(our / theirs)


BENCH = Bench(
    "filters",
    cases={
        "4 of block3_conv3, 128x128": {"layer": "block3_conv3", "count": 4, "traced": True},
        "2 of block5_conv3, 128x128": {"layer": "block5_conv3", "count": 2, "traced": True},
        "4 of block3_conv3, new graphs": {"layer": "block3_conv3", "count": 4, "traced": False},
    },
    ways={"one_by_one": one_by_one, "ours": ours},
)

if __name__ == "__main__":
    from course_utils import runtime

    runtime.start(seed=0)
    for name, case in BENCH.cases.items():
        print(f"{name}: mean activation, ours / one_by_one: {agreement(case):.4f}")
