"""The network with two heads, untrained and on stored maps."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import runtime
from course_utils.localization import regression
from course_utils.networks import localizer, weight_files


@pytest.fixture(scope="module", autouse=True)
def keras():
    return runtime.load_keras()


@pytest.fixture(autouse=True)
def float32():
    runtime.start(0)


@pytest.mark.parametrize("head", localizer.HEADS)
@pytest.mark.parametrize("per_class", [False, True])
def test_an_untrained_network_answers_with_the_middle(backbone, head, per_class):
    heads = localizer.Heads(head, per_class, channels=4, units=8)
    model = localizer.build(backbone, 3, heads, size=48)
    x = np.random.default_rng(0).normal(0, 0.1, (2, 48, 48, 3)).astype("f4")
    odds, found = regression.ask(model, x)
    assert odds.shape == (2, 3) and odds.sum(1) == pytest.approx(1)
    assert model.output_shape[1] == (None, 12 if per_class else 4)
    np.testing.assert_allclose(found, np.tile(localizer.CENTRAL, (2, 1)), atol=0.25)
    assert ("fc" in [layer.name for layer in model.layers]) == (head == "dense")


def test_the_backbone_is_copied_and_can_be_frozen(backbone):
    before = backbone.get_layer("block1_conv1").get_weights()[0].copy()
    model = localizer.build(backbone, 2, localizer.Heads(channels=2, units=4), size=32, train_backbone=False)
    np.testing.assert_array_equal(model.get_layer("block1_conv1").get_weights()[0], before)
    assert {v.path.split("/")[0] for v in model.trainable_variables} == {"reduce", "fc", "classes", "box"}
    model.get_layer("block1_conv1").kernel.assign(before * 0)
    np.testing.assert_array_equal(backbone.get_layer("block1_conv1").get_weights()[0], before)


def test_map_scale_goes_into_the_next_kernel(backbone):
    x = np.random.default_rng(0).normal(0, 60, (4, 32, 32, 3)).astype("f4")
    scale = localizer.map_scale(backbone, x)
    assert np.mean((backbone.predict_on_batch(x) * scale) ** 2) == pytest.approx(1, rel=1e-3)
    heads = localizer.Heads(channels=4, units=8)
    model = localizer.build(backbone, 2, heads, size=32, scale=scale)
    plain = localizer.build(backbone, 2, heads, size=32)
    weight_files.put(plain, localizer.reduced(weight_files.of(model), scale), "weights")
    for a, b in zip(model.predict_on_batch(x), plain.predict_on_batch(x), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_heads_on_stored_maps_are_the_same_heads(backbone):
    x = np.random.default_rng(0).normal(0, 60, (2, 32, 32, 3)).astype("f4")
    heads = localizer.Heads(channels=4, units=8)
    alone = localizer.build_heads((2, 2, 16), 2, heads)
    model = localizer.build(backbone, 2, heads, size=32)
    weight_files.put(model, weight_files.of(alone), "weights", only=["reduce", "fc", "classes", "box"])
    for a, b in zip(
        alone.predict_on_batch(backbone.predict_on_batch(x)), model.predict_on_batch(x), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_what_heads_refuse(backbone):
    with pytest.raises(ValueError, match="'convolution' and 'dense'"):
        localizer.Heads("average")
    with pytest.raises(ValueError, match="at least 2"):
        localizer.build(backbone, 1, size=32)
