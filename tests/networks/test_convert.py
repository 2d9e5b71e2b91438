"""Conversion between dense layers and convolutions: same weights, same answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from course_utils import runtime
from course_utils.networks import convert, vgg16


@pytest.fixture(scope="module")
def keras():
    runtime.start(0)
    return runtime.load_keras()


def _pictures(n, height, width, seed=0):
    return np.random.default_rng(seed).normal(0, 50, (n, height, width, 3)).astype(np.float32)


def _randomize_biases(model):
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
    return model


@pytest.mark.parametrize("head", ["dense", "average"])
def test_same_answer_on_the_original_size(keras, head):
    model = _randomize_biases(vgg16.build(1 / 16, head=head, classes=7, input_shape=(64, 64, 3), dropout=0.2))
    converted = convert.dense_to_convolutional(model)
    x = _pictures(2, 64, 64)
    out = converted.predict_on_batch(x)
    assert out.shape == (2, 1, 1, 7)
    np.testing.assert_allclose(out[:, 0, 0], model.predict_on_batch(x), atol=1e-5)
    assert converted.count_params() == model.count_params()  # shared computation, not fewer parameters


@pytest.mark.parametrize("changed", [0, 1])
def test_neither_network_follows_what_happens_to_the_other(keras, changed):
    model = vgg16.build(1 / 16, classes=5, input_shape=(64, 64, 3))
    pair = (model, convert.dense_to_convolutional(model))
    kernels = [each.get_layer("fc1").kernel for each in pair]
    before = np.array(kernels[1 - changed])
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.apply([keras.ops.ones(kernels[changed].shape)], [kernels[changed]])
    kernels[changed].assign_add(keras.ops.ones(kernels[changed].shape))
    np.testing.assert_array_equal(np.array(kernels[1 - changed]), before)
    assert not np.array_equal(np.array(kernels[changed]).ravel(), before.ravel())


def test_a_larger_picture_gives_a_map(keras):
    model = vgg16.build(1 / 16, classes=5, input_shape=(64, 64, 3))
    converted = convert.dense_to_convolutional(model)
    assert converted.predict_on_batch(_pictures(1, 128, 160)).shape == (1, 3, 4, 5)
    assert converted.get_layer("fc1").kernel.shape[:2] == (2, 2)
    assert converted.get_layer("fc2").kernel.shape[:2] == (1, 1)


@pytest.mark.parametrize("size", [(64, 64), (96, 128)])
def test_large_kernels_are_multiplied_as_they_lie(keras, monkeypatch, size):
    model = _randomize_biases(vgg16.build(1 / 16, classes=5, input_shape=(64, 64, 3)))
    x = _pictures(2, *size)
    plain = convert.dense_to_convolutional(model)
    monkeypatch.setattr(convert, "LARGE", 0)
    as_it_lies = convert.dense_to_convolutional(model)
    assert type(plain.get_layer("fc1")) is keras.layers.Conv2D
    assert type(as_it_lies.get_layer("fc1")) is convert.kernel_as_it_lies()
    assert type(as_it_lies.get_layer("fc2")) is keras.layers.Conv2D
    np.testing.assert_allclose(as_it_lies.predict_on_batch(x), plain.predict_on_batch(x), atol=1e-5)


def _without_padding(keras, head):
    """A network without padding: 22 -> 20 -> 10 -> 8 -> 4, so its stride is 4."""
    layers = keras.layers
    join = layers.Flatten() if head == "dense" else layers.GlobalAveragePooling2D()
    model = keras.Sequential(
        [
            keras.Input((22, 22, 3)),
            layers.Conv2D(6, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            join,
            layers.Dense(10, activation="relu"),
            layers.Dense(4, activation="softmax"),
        ]
    )
    return _randomize_biases(model)


@pytest.mark.parametrize("head", ["dense", "average"])
def test_one_pass_equals_every_crop_without_padding(keras, head):
    model = _without_padding(keras, head)
    converted = convert.dense_to_convolutional(model)
    x = _pictures(1, 34, 30)
    out = converted.predict_on_batch(x)
    assert out.shape == (1, 4, 3, 4)
    for i in range(4):
        for j in range(3):
            crop = x[:, 4 * i : 4 * i + 22, 4 * j : 4 * j + 22]
            np.testing.assert_allclose(out[:, i, j], model.predict_on_batch(crop), atol=1e-5)


def test_zero_padding_makes_crops_differ_from_one_pass(keras):
    keras.utils.set_random_seed(0)
    model = vgg16.build(1 / 8, classes=5, input_shape=(64, 64, 3))
    converted = convert.dense_to_convolutional(model)
    x = _pictures(1, 96, 96) / 50  # small values, so that the softmax is not one-hot
    one_pass, crop = converted.predict_on_batch(x)[0, 0, 0], model.predict_on_batch(x[:, :64, :64])[0]
    assert np.abs(one_pass - crop).max() > 1e-3


def test_the_original_keeps_its_weights(keras):
    model = vgg16.build(1 / 16, classes=5, input_shape=(32, 32, 3))
    before = [w.copy() for w in model.get_weights()]
    converted = convert.dense_to_convolutional(model)
    converted.set_weights([w * 0 for w in converted.get_weights()])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_cannot_be_converted_is_named(keras):
    with pytest.raises(ValueError, match="has no Flatten"):
        convert.dense_to_convolutional(vgg16.build(1 / 16, include_top=False))
    with pytest.raises(ValueError, match="any input size"):
        convert.dense_to_convolutional(vgg16.build(1 / 16, head="average", classes=5))
    inputs = keras.Input((8, 8, 3))
    a = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    b = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Add()([a, b])))
    with pytest.raises(ValueError, match="no chain"):
        convert.dense_to_convolutional(keras.Model(inputs, x))


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3),
    st.integers(3, 6), st.integers(3, 6), st.sampled_from(["valid", "same"]),
)  # fmt: skip
def test_a_convolution_is_a_dense_layer(kh, kw, channels, filters, height, width, padding):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(kh, kw, channels, filters))
    x = rng.normal(size=(height, width, channels))
    matrix = convert.convolution_to_dense(kernel, height, width, padding)
    padded = x
    if padding == "same":
        before = ((kh - 1) // 2, kh // 2), ((kw - 1) // 2, kw // 2), (0, 0)
        padded = np.pad(x, before)
    expected = np.stack([correlate(padded, kernel[..., f], "valid")[..., 0] for f in range(filters)], axis=-1)
    np.testing.assert_allclose(x.reshape(-1) @ matrix, expected.reshape(-1), atol=1e-9)


def test_the_matrix_is_mostly_zeros_with_shared_entries():
    kernel = np.arange(1.0, 10).reshape(3, 3, 1, 1)
    matrix = convert.convolution_to_dense(kernel, 4, 4)
    assert matrix.shape == (16, 4) and np.count_nonzero(matrix) == 4 * 9 and len(np.unique(matrix)) == 10
    with pytest.raises(ValueError, match="does not fit"):
        convert.convolution_to_dense(kernel, 2, 4)


def test_frozen_answers_alike_and_keeps_its_weights(keras):
    from course_utils.networks import gradients

    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3, name="conv")])
    x = _pictures(2, 12, 10)
    call = gradients.frozen(model, x.shape)
    before = model.predict_on_batch(x)
    np.testing.assert_allclose(call(x), before, rtol=1e-5, atol=1e-4)
    model.get_layer("conv").set_weights([0 * w for w in model.get_layer("conv").get_weights()])
    np.testing.assert_allclose(call(x), before, rtol=1e-5, atol=1e-4)


def test_the_copy_holds_its_dense_part_in_the_precision_that_it_computes_in(keras):
    """A kernel of a hundred million values is not turned into bfloat16 at every call."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layers = [keras.layers.Flatten(), keras.layers.Dense(5, name="fc")]
        layers += [keras.layers.Dense(3, dtype="float32", name="predictions")]
        model = keras.Sequential([keras.Input((6, 6, 2)), *layers])
        converted = convert.dense_to_convolutional(model)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("fc").kernel.dtype == "float32"
    assert converted.get_layer("fc").kernel.dtype == "bfloat16"
    assert converted.get_layer("predictions").kernel.dtype == "float32"
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype(np.float32)
    one, other = model.predict_on_batch(x), converted.predict_on_batch(x)[:, 0, 0]
    np.testing.assert_allclose(other, one, atol=0.05)
    assert other.std() > 0.3
