"""Gradients agree with finite differences, with pencil and paper, and between the backends."""

from __future__ import annotations

import os

import numpy as np
import pytest

from course_utils import runtime
from course_utils.features.maps import tap
from course_utils.networks import gradients, vgg16

BY_DEFAULT = os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"


@pytest.fixture(autouse=True)
def float32() -> None:
    runtime.start(seed=0)


def both(loss, x, *rest, **options) -> tuple[np.ndarray, np.ndarray]:
    value, gradient = gradients.value_and_gradient(loss, **options)(x, *rest)
    return np.asarray(value), np.asarray(gradient)


@pytest.mark.parametrize("compile", [True, False])
def test_against_pencil_and_paper(compile: bool) -> None:
    from keras import ops

    x = np.array([1.0, -2.0, 3.0], np.float32)
    value, gradient = both(lambda x: ops.sum(x**3), x, compile=compile)
    assert value == 20 and gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, 3 * x**2)


def test_a_loss_for_each_picture_gives_each_its_own_gradient() -> None:
    from keras import ops

    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    value, gradient = both(lambda x: ops.sum(x**2, axis=1), x)
    np.testing.assert_allclose(value, [5, 50])
    np.testing.assert_allclose(gradient, 2 * x)


def test_further_arguments_get_no_gradient() -> None:
    from keras import ops

    x, goal = np.array([1.0, 2.0], np.float32), np.array([4.0, 0.0], np.float32)
    fn = gradients.value_and_gradient(lambda x, goal: ops.sum((x - goal) ** 2))
    for target in (goal, -goal):  # the second call must not have the first goal built in
        value, gradient = fn(x, target)
        assert float(value) == pytest.approx(((x - target) ** 2).sum())
        np.testing.assert_allclose(gradient, 2 * (x - target))


@pytest.mark.skipif(not BY_DEFAULT, reason="float64 models are TensorFlow's")
def test_against_finite_differences_through_a_network() -> None:
    import keras
    from keras import ops

    try:
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        model = vgg16.build(1 / 32, until="block3_conv2", pooling="average")
    finally:
        keras.config.set_floatx("float32")
    part = tap(model, ["block1_conv2", "block3_conv2"], before_relu=True)

    def loss(x):
        early, late = part(x)
        return ops.mean(ops.tanh(early / 50)) + ops.mean(ops.square(late / 100))

    rng = np.random.default_rng(0)
    x = rng.normal(0, 50, (1, 16, 16, 3))
    fn = gradients.value_and_gradient(loss)
    value, gradient = fn(x)
    assert np.asarray(gradient).dtype == np.float64
    for _ in range(5):
        direction = rng.normal(size=x.shape)
        step = 1e-5
        slope = (float(fn(x + step * direction)[0]) - float(fn(x - step * direction)[0])) / (2 * step)
        assert slope == pytest.approx(float(np.sum(direction * np.asarray(gradient))), rel=1e-4)
    assert float(loss(x)) == pytest.approx(float(value))


@pytest.mark.skipif(not BY_DEFAULT, reason="JAX returns zeros")
def test_a_loss_that_does_not_depend_on_x() -> None:
    from keras import ops

    with pytest.raises(ValueError, match="does not depend on x"):
        gradients.value_and_gradient(lambda x: ops.ones(()))(np.zeros(3, np.float32))


def test_forward_gives_arrays() -> None:
    model = vgg16.build(1 / 32, until="block1_pool")
    x = np.random.default_rng(0).normal(0, 50, (2, 8, 8, 3)).astype(np.float32)
    answer = gradients.forward(model, x)
    assert isinstance(answer, np.ndarray) and answer.shape == (2, 4, 4, 2) and answer.dtype == np.float32
    several = gradients.forward(tap(model, ["block1_conv1", "block1_pool"]), x)
    assert isinstance(several, list)
    np.testing.assert_array_equal(several[1], answer)


def test_forward_in_parts_is_forward_at_once() -> None:
    """Input made part by part from a row of numbers, output joined; several outputs alike; nothing at all."""
    model = vgg16.build(1 / 32, include_top=False)
    x = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    at_once = gradients.forward(model, x.astype(np.float32))
    asked = []

    def some(numbers: np.ndarray) -> np.ndarray:
        asked.append(len(numbers))
        return x[numbers].astype(np.float32)

    parts = gradients.forward(model, np.arange(5), 2, before=some)
    np.testing.assert_allclose(parts, at_once, rtol=1e-4, atol=1e-5)
    assert asked == [2, 2, 1]
    best = gradients.forward(model, np.arange(5), 2, before=some, after=lambda maps: maps.argmax(-1))
    np.testing.assert_array_equal(best, parts.argmax(-1))
    two = gradients.forward(tap(model, ["block1_conv1", "block1_pool"]), x.astype(np.float32), 2)
    assert [len(each) for each in two] == [5, 5]
    assert gradients.forward(model, np.zeros((0, 32, 32, 3), np.float32)).shape[0] == 0


def test_mixed_precision_keeps_the_inputs_type() -> None:
    from keras import ops

    runtime.start(seed=0, precision="mixed_bfloat16")
    model = vgg16.build(1 / 32, until="block1_conv2")
    x = np.random.default_rng(0).normal(0, 50, (1, 8, 8, 3)).astype(np.float32)
    _, gradient = both(lambda x: ops.mean(ops.cast(model(x), "float32")), x)
    assert gradient.dtype == np.float32 and np.abs(gradient).max() > 0
    assert gradients.forward(model, x).dtype == np.float32
