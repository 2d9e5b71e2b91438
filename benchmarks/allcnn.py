"""Training All-CNN-C: 20 batches of 128 pictures with the paper's augmentation, one step each.

`keras` is what a reader would write: float32, `fit` on a `tf.data` pipeline with Keras's RandomFlip and
RandomTranslation layers, compiled with Keras's default or without XLA, whichever is faster on this machine.
`ours` is the recipe: mixed_bfloat16 where the machine has it, augmentation in NumPy, batches made in a
thread while the network works. `pipeline` makes ours' batches and trains nothing: it must be far below
`ours`. All train the paper's network, without batch normalization. Pictures a second are 2,560 / seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.harness import Bench
from course_utils import runtime, training
from course_utils.training import all_cnn

BATCH, STEPS, PICTURES = 128, 20, 5120
RATE = 1e-4  # there is nothing to learn in noise


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Noise of CIFAR-10's shape: speed does not depend on what is in the pictures."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (PICTURES, 32, 32, 3), np.uint8), rng.integers(0, 10, PICTURES)


def recipe(precision: str) -> all_cnn.Recipe:
    return all_cnn.as_in_the_paper(all_cnn.Recipe(batch=BATCH, precision=precision))


def usual(case: dict, jit: str | bool) -> Callable[[], object]:
    """Keras's own way, compiled with or without XLA."""
    import keras
    import tensorflow as tf

    x, y = pictures()
    augment = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomTranslation(5 / 32, 5 / 32, fill_mode="constant"),
        ]
    )

    def prepare(x, y):
        x = (tf.cast(x, tf.float32) - all_cnn.MEAN) / all_cnn.DEVIATION
        return augment(x, training=True), tf.one_hot(y, 10)

    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(PICTURES).repeat().batch(BATCH)
    data = data.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    model = all_cnn.build(recipe("float32"))
    optimizer = keras.optimizers.SGD(RATE, momentum=0.9, weight_decay=1e-3)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"], jit_compile=jit)
    return lambda: model.fit(data, steps_per_epoch=case["steps"], epochs=1, verbose=0, shuffle=False)


def keras(case: dict) -> Callable[[], object]:
    """The faster of Keras's default and `jit_compile=False`, found by two short runs."""
    found: dict[float, str | bool] = {}
    for jit in ("auto", False):
        call = usual({"steps": 1}, jit)
        call()
        start = time.perf_counter()
        call()
        found[time.perf_counter() - start] = jit
    return usual(case, found[min(found)])


def endless(settings: all_cnn.Recipe) -> Callable[[int], list[tuple[np.ndarray, np.ndarray]]]:
    """The recipe's batches, so many of them, made as they are asked for."""
    make = all_cnn.batches(settings, *pictures())

    def some(steps: int):
        epoch = 0
        while steps > 0:
            for batch in make(epoch):
                if steps <= 0:
                    return
                yield batch
                steps -= 1
            epoch += 1

    return some


def ours(case: dict) -> Callable[[], object]:
    """The recipe of `course train allcnn`."""
    settings = recipe(runtime.best_precision())
    runtime.start(0, settings.precision)
    model, batches = all_cnn.build(settings), endless(settings)
    return lambda: training.run_epoch(model, batches(case["steps"]), [RATE] * case["steps"])


def pipeline(case: dict) -> Callable[[], object]:
    """Ours without the network."""
    batches = endless(recipe("float32"))
    return lambda: [x.shape for x, _ in training.prefetch(batches(case["steps"]))]


BENCH = Bench(
    "allcnn",
    cases={"20 batches of 128": {"steps": STEPS}},
    ways={"keras": keras, "ours": ours, "pipeline": pipeline},
)
