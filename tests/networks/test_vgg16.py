"""VGG-16 is the paper's: layers, parameters, the 2016 numbering, and Keras's own answers."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import runtime
from course_utils.networks import vgg16


@pytest.fixture(autouse=True)
def float32() -> None:
    runtime.start(seed=0)


def randomize(model, seed: int = 0) -> list[np.ndarray]:
    """Random weights of a scale that keeps activations alive; returned in the model's order."""
    rng = np.random.default_rng(seed)
    values = []
    for variable in model.weights:
        fan_in = np.prod(variable.shape[:-1]) or 1
        scale = np.sqrt(12 / fan_in) * np.sqrt(2) if len(variable.shape) > 1 else 0.1
        uniform = rng.random(tuple(variable.shape), dtype=np.float32) - 0.5
        values.append((uniform * scale).astype(np.float32))
        variable.assign(values[-1])
    return values


def test_parameters_of_the_original_and_the_same_answers_as_keras() -> None:
    from keras import applications, initializers

    ours = vgg16.build(initializer="zeros")
    assert ours.count_params() == 138_357_544
    values = randomize(ours)
    x = np.random.default_rng(1).normal(0, 50, (1, 224, 224, 3)).astype(np.float32)
    answer = np.asarray(ours(x))
    del ours
    with pytest.MonkeyPatch.context() as patch:  # its random start alone would take ten seconds
        patch.setattr(initializers.GlorotUniform, "__call__", _zeros)
        theirs = applications.VGG16(weights=None)
    for variable, value in zip(theirs.weights, values, strict=True):
        variable.assign(value)
    assert answer.shape == (1, 1000)
    assert answer.max() > 2e-3  # not the uniform answer of a dead network
    np.testing.assert_allclose(answer, np.asarray(theirs(x)), rtol=1e-5, atol=1e-6)


def _zeros(_self, shape, dtype=None, **_options):
    from keras import ops

    return ops.zeros(shape, dtype)


def test_same_maps_as_keras_without_the_top() -> None:
    from keras import Model, applications

    ours = vgg16.build(include_top=False, initializer="zeros")
    theirs = applications.VGG16(weights=None, include_top=False)
    for variable, value in zip(theirs.weights, randomize(ours), strict=True):
        variable.assign(value)
    names = [*vgg16.LAYERS, *(f"block{i}_pool" for i in range(1, 6))]
    x = np.random.default_rng(1).normal(0, 50, (1, 70, 45, 3)).astype(np.float32)
    mine = Model(ours.input, [ours.get_layer(name).output for name in names])(x)
    other = Model(theirs.input, [theirs.get_layer(name).output for name in names])(x)
    for name, a, b in zip(names, mine, other, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.max() > 0, name
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * a.max(), err_msg=name)


def test_parameters_without_the_top_and_in_half_width() -> None:
    convolutions = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)]
    convolutions += [(256, 512)] + 5 * [(512, 512)]
    by_hand = sum(9 * before * after + after for before, after in convolutions)
    assert by_hand == 14_714_688
    assert vgg16.build(include_top=False, initializer="zeros").count_params() == by_hand
    half = [(before if before == 3 else before // 2, after // 2) for before, after in convolutions]
    course = vgg16.build(0.5, head="average", classes=200, initializer="zeros")
    assert course.count_params() == sum(9 * a * b + b for a, b in half) + 256 * 200 + 200


def test_numbers_of_the_2016_post() -> None:
    """The post's Sequential model, retold as a list: what stands at which place."""
    listed: list[str] = []
    for block, convolutions in enumerate((2, 2, 3, 3, 3), start=1):
        for i in range(1, convolutions + 1):
            listed += ["padding", f"block{block}_conv{i}"]
        listed.append(f"block{block}_pool")
    assert {i: name for i, name in enumerate(listed) if name != "padding"} == vgg16.OLD_INDEX
    ends = {3: "block1_conv2", 8: "block2_conv2", 15: "block3_conv3", 22: "block4_conv3", 29: "block5_conv3"}
    assert ends.items() <= vgg16.OLD_INDEX.items()


@pytest.mark.parametrize("until", ["block1_conv1", "block2_pool", "block3_conv3", "block5_conv3"])
def test_until_stops_there(until: str) -> None:
    model = vgg16.build(1 / 32, until=until)
    assert model.layers[-1].name == until
    pools = int(until[5]) - (0 if until.endswith("pool") else 1)
    assert model(np.zeros((1, 64, 48, 3), np.float32)).shape[1:3] == (64 >> pools, 48 >> pools)


def test_average_pooling_is_the_mean_of_four() -> None:
    model = vgg16.build(1 / 16, until="block1_pool", pooling="average")
    inner = vgg16.build(1 / 16, until="block1_conv2")
    inner.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(0, 50, (1, 8, 6, 3)).astype(np.float32)
    maps = np.asarray(inner(x))[0]
    means = maps.reshape(4, 2, 3, 2, -1).mean(axis=(1, 3))
    np.testing.assert_allclose(np.asarray(model(x))[0], means, rtol=1e-5, atol=1e-4)


def test_folding_batch_normalization_changes_nothing() -> None:
    from keras import Model

    trained = vgg16.build(1 / 16, head="average", classes=7, batch_norm=True)
    rng = np.random.default_rng(0)
    for variable in trained.weights:
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        elif variable.path.endswith(("beta", "moving_mean")):
            variable.assign(rng.normal(0, 0.3, variable.shape))
    folded = vgg16.fold(trained, scale=1 / 58)
    plain = vgg16.build(1 / 16, head="average", classes=7)
    for layer in plain.layers:
        if layer.weights:
            layer.set_weights([folded[f"{layer.name}_kernel"], folded[f"{layer.name}_bias"]])
    x = rng.normal(0, 58, (3, 48, 32, 3)).astype(np.float32)
    before, after = (Model(m.input, m.get_layer("average_pool").output) for m in (trained, plain))
    expected = np.asarray(before(x / 58, training=False))
    assert np.ptp(expected, axis=0).max() > 0.02 * expected.max() > 0
    np.testing.assert_allclose(np.asarray(after(x)), expected, rtol=1e-4, atol=1e-5 * expected.max())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"until": "conv3"}, "no layer of VGG-16"),
        ({"head": "big"}, "head='big'.*dense, average"),
        ({"pooling": "min"}, "pooling='min'.*max, average"),
        ({"input_shape": (None, None, 3)}, "fixed input size"),
    ],
)
def test_what_cannot_be_built(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        vgg16.build(1 / 16, **options)
