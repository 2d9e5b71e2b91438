"""Training All-CNN-C: a few batches of 128 pictures with the paper's augmentation, one step each.

`keras` is what a reader would write: float32, `fit` on a `tf.data` pipeline with Keras's RandomFlip and
RandomTranslation layers, compiled with Keras's default or without XLA, whichever is faster on this machine.
`ours` is the recipe: mixed_bfloat16 where the machine has it, augmentation in NumPy, batches made in a
thread while the network works. `pipeline` makes ours' batches and trains nothing: it must be far below
`ours`. `matrices` does as many multiplications and additions as the training in plain products of large
matrices, in ours' precision: its ratio is the share of the machine's rate that training reaches. All train
the paper's network, without batch normalization. Under `--full` PyTorch joins: bfloat16, channels last.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import Bench, Skip
from course_utils import runtime, training
from course_utils.training import all_cnn

BATCH, STEPS, PICTURES = 128, 4, 1024
RATE = 1e-4  # there is nothing to learn in noise
OPERATIONS = 1.6e9
"""Multiplications and additions for one picture, forward and backward: six for each weight and place."""
SIDE = 2048


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Noise of CIFAR-10's shape: speed does not depend on what is in the pictures."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (PICTURES, 32, 32, 3), np.uint8), rng.integers(0, 10, PICTURES)


def recipe(precision: str) -> all_cnn.Recipe:
    plain: dict[str, Any] = {"norm": "none", "dropout": (0.2, 0.5), "rate": 0.05}
    return all_cnn.Recipe(batch=BATCH, precision=precision, **plain)


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


def matrices(case: dict) -> Callable[[], object]:
    """As many operations in products of large matrices."""
    from keras import ops, random

    kind = "bfloat16" if "bfloat16" in runtime.best_precision() else "float32"
    a, b = (ops.cast(random.normal((SIDE, SIDE), seed=seed), kind) for seed in (0, 1))
    count = round(case["steps"] * BATCH * OPERATIONS / (2 * SIDE**3))
    return lambda: [float(ops.matmul(a, b)[0, 0]) for _ in range(count)]


def torch(case: dict) -> Callable[[], object]:
    """A plain loop in PyTorch 2: bfloat16, channels last, the same network and batches."""
    try:
        import torch as t
    except ImportError:
        raise Skip("torch is not installed") from None

    layers: list[t.nn.Module] = [t.nn.Dropout(0.2)]
    maps = 3
    for filters, size, stride, pad in SHAPES:
        layers += [t.nn.Conv2d(maps, filters, size, stride, pad), t.nn.ReLU()]
        layers += [t.nn.Dropout(0.5)] * (stride == 2)
        maps = filters
    model = t.nn.Sequential(*layers[:-1]).to(memory_format=t.channels_last)
    optimizer = t.optim.SGD(model.parameters(), RATE, momentum=0.9, weight_decay=1e-3)
    batches = endless(recipe("float32"))

    def run() -> float:
        for x, y in training.prefetch(batches(case["steps"])):
            pictures = t.from_numpy(x).permute(0, 3, 1, 2)  # channels last already
            with t.autocast("cpu", t.bfloat16):
                scores = model(pictures).mean((2, 3))
            loss = t.nn.functional.cross_entropy(scores.float(), t.from_numpy(y))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(loss)

    return run


SHAPES = [
    *((96, 3, 1, 1), (96, 3, 1, 1), (96, 3, 2, 1), (192, 3, 1, 1), (192, 3, 1, 1), (192, 3, 2, 1)),
    *((192, 3, 1, 0), (192, 1, 1, 0), (10, 1, 1, 0)),
]
"""All-CNN-C for PyTorch: filters, size, stride, padding."""
BENCH = Bench(
    "allcnn",
    cases={f"{STEPS} batches of {BATCH}": {"steps": STEPS}},
    ways={"keras": keras, "ours": ours, "pipeline": pipeline, "matrices": matrices},
    full={"torch": torch},
)
