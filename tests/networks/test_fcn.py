"""FCN-32s, 16s and 8s: exact interpolation, alignment at any size, growing, the loss."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import runtime
from course_utils.networks import fcn, vgg16
from course_utils.pictures import images

NARROW = {"width": 1 / 16, "dense": ((8, 3),)}


@pytest.fixture(scope="module", autouse=True)
def keras():
    runtime.start(0)
    return runtime.load_keras()


def _x(height, width, n=1, seed=0):
    return np.random.default_rng(seed).normal(0, 50, (n, height, width, 3)).astype(np.float32)


def _random_scores(model, seed=0):
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.name.startswith("score_"):
            layer.set_weights([rng.normal(0, 0.05, w.shape) for w in layer.get_weights()])
    return model


@pytest.mark.parametrize("stride", [2, 8, 32])
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_enlarging_is_exactly_bilinear_up_to_the_border(keras, stride, size):
    """`images.resize` is written another way: sparse matrices with half-pixel centres."""
    x = keras.Input((*size, 2))
    like = keras.Input((None, None, 3))
    model = keras.Model([x, like], fcn._enlarged(x, stride, like, "up"))
    scores = np.random.default_rng(0).normal(size=(2, *size, 2)).astype(np.float32)
    height, width = size[0] * stride, size[1] * stride
    out = model.predict_on_batch([scores, np.zeros((2, height, width, 3))])
    np.testing.assert_allclose(out, images.resize(scores, (height, width)), atol=1e-5)
    cut = model.predict_on_batch([scores, np.zeros((2, height - 1, width - 1, 3))])
    np.testing.assert_array_equal(cut, out[:, :-1, :-1])


def test_bilinear_kernel_adds_up_and_keeps_channels_apart():
    kernel = fcn.bilinear_kernel(4, 3)
    assert kernel.shape == (8, 8, 3, 3) and not kernel[..., ~np.eye(3, dtype=bool)].any()
    # each output pixel is made from the values one stride apart, whose weights add up to 1
    sums = sum(kernel[i : i + 4, j : j + 4, 0, 0] for i in (0, 4) for j in (0, 4))
    np.testing.assert_allclose(sums, 1, atol=1e-6)
    with pytest.raises(ValueError, match="even"):
        fcn.bilinear_kernel(3)


@pytest.mark.parametrize("variant", fcn.VARIANTS)
@pytest.mark.parametrize("size", [(64, 96), (45, 70), (180, 240), (33, 1)])
def test_any_size_gives_scores_for_every_pixel(variant, size):
    model = fcn.build(5, variant, **NARROW)
    out = model.predict_on_batch(_x(*size))
    assert out.shape == (1, *size, 5) and out.dtype == np.float32
    np.testing.assert_array_equal(out, 0)  # score layers begin at zero


@pytest.mark.parametrize("variant", fcn.VARIANTS)
def test_scores_lie_where_their_pixels_are(variant):
    """Scores that copy "how bright is this 32x32 cell" must come out centred on the bright cell."""
    model = fcn.build(2, variant, width=1 / 16, dense=())
    for name in vgg16.LAYERS:  # every convolution passes its first channel on
        kernel, bias = (np.zeros_like(w) for w in model.get_layer(name).get_weights())
        kernel[1, 1, 0, 0] = 1
        model.get_layer(name).set_weights([kernel, bias])
    for name in ("score_fr", *(f"score_{skip}" for skip in fcn.SKIPS[variant])):
        kernel, bias = (np.zeros_like(w) for w in model.get_layer(name).get_weights())
        kernel[..., 0, 1] = 1
        model.get_layer(name).set_weights([kernel, bias])
    x = np.zeros((1, 160, 192, 3), np.float32)
    x[:, 64:96, 96:128] = 1
    heat = model.predict_on_batch(x)[0, ..., 1]
    weights = heat / heat.sum()
    rows, columns = np.mgrid[:160, :192] + 0.5
    assert (weights * rows).sum() == pytest.approx(80, abs=1e-3)
    assert (weights * columns).sum() == pytest.approx(112, abs=1e-3)
    np.testing.assert_allclose(heat[64:96, 96:128], heat[64:96, 96:128][::-1, ::-1], atol=1e-5)


def test_a_side_that_is_no_multiple_of_32_only_loses_what_is_over():
    """Far from the right and lower border the answer is that of the larger picture."""
    model = _random_scores(fcn.build(3, "8s", width=1 / 16, dense=()))
    x = _x(480, 480)
    whole, cut = model.predict_on_batch(x), model.predict_on_batch(x[:, :461, :477])
    assert cut.shape == (1, 461, 477, 3)
    np.testing.assert_allclose(cut[:, :224, :224], whole[:, :224, :224], atol=1e-3)


def test_backbone_is_copied(keras):
    backbone = vgg16.build(1 / 16, include_top=False)
    model = fcn.build(4, backbone=backbone)
    for name in vgg16.LAYERS:
        np.testing.assert_array_equal(
            model.get_layer(name).get_weights()[0], backbone.get_layer(name).get_weights()[0]
        )
    x = _x(64, 64)
    maps = keras.Model(model.input, model.get_layer("block5_pool").output)
    np.testing.assert_allclose(maps.predict_on_batch(x), backbone.predict_on_batch(x), rtol=1e-4, atol=1e-4)


def test_dense_layers_become_fc6_and_fc7():
    backbone = vgg16.build(1 / 16, input_shape=(64, 64, 3), classes=3)
    model = fcn.build(4, backbone=backbone, dense=((256, 2), (256, 1)))
    kernel = backbone.get_layer("fc1").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("fc6").get_weights()[0].reshape(kernel.shape), kernel)
    kernel = backbone.get_layer("fc2").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("fc7").get_weights()[0][0, 0], kernel)


def test_growing_keeps_the_answer_and_shares_nothing(keras):
    coarse = _random_scores(fcn.build(3, "32s", **NARROW))
    before = coarse.get_weights()
    x = _x(96, 96)
    model = coarse
    for variant in ("16s", "8s"):
        finer = fcn.grow(model)
        assert finer.name == f"fcn{variant}" and fcn.variant_of([la.name for la in finer.layers]) == variant
        old, new = model.predict_on_batch(x), finer.predict_on_batch(x)
        assert np.abs(old - new).max() < 0.25 * np.ptp(old)
        assert (old.argmax(-1) == new.argmax(-1)).mean() > 0.9
        model = finer
    model.compile(keras.optimizers.SGD(0.01), fcn.pixel_loss())
    model.train_on_batch(x, np.ones((1, 96, 96)))
    assert (
        np.abs(
            model.get_layer("score_fr").get_weights()[0] - coarse.get_layer("score_fr").get_weights()[0]
        ).max()
        > 0
    )
    for one, other in zip(before, coarse.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="finest"):
        fcn.grow(model)


def test_last_enlargement_stays_bilinear_the_others_learn(keras):
    model = fcn.build(3, "8s", **NARROW)
    names = [v.path for v in model.trainable_variables]
    assert any("upscore_pool4" in n for n in names) and not any("upscore8" in n for n in names)


@pytest.mark.parametrize("variant", fcn.VARIANTS)
def test_split_parts_are_the_network(keras, variant):
    model = _random_scores(fcn.build(3, variant, **NARROW))
    below, above = fcn.split(model)
    x = _x(64, 96, 2)
    maps = below.predict_on_batch(x)
    assert [one.shape[1:3] for one in maps] == [(8, 12), (4, 6), (2, 3)]
    parts = above.predict_on_batch([x, *maps[-1 - len(fcn.SKIPS[variant]) :]])
    np.testing.assert_allclose(parts, model.predict_on_batch(x), rtol=1e-4, atol=1e-4)
    assert above.get_layer("fc6") is model.get_layer("fc6")


def test_quick_training_leaves_the_trunk_and_learns_the_rest(keras):
    from course_utils.segmentation import quick

    rng = np.random.default_rng(0)
    masks = np.zeros((6, 64, 64), np.uint8)
    masks[:, :, 32:] = 1
    masks[0, 0, 0] = 255
    pictures = (np.where(masks[..., None] == 1, 200, 40) + rng.integers(0, 20, (6, 64, 64, 3))).astype(
        np.uint8
    )
    model = fcn.build(2, "8s", width=1 / 8, dense=((16, 3),))
    before = {layer.name: layer.get_weights() for layer in model.layers}
    ready = quick.prepare(model, pictures, masks)
    assert [maps.shape for maps in ready.maps] == [(6, 8, 8, 32), (6, 4, 4, 64), (6, 2, 2, 64)]
    losses = quick.learn(model, ready, 25, 1e-2, batch=4)
    assert len(losses) == 25 and np.mean(losses[-3:]) < 0.5 * losses[0]
    for name, changes in (("block5_conv3", False), ("score_pool3", True), ("fc6", True)):
        assert np.array_equal(before[name][0], model.get_layer(name).get_weights()[0]) is not changes
    whole = model.predict_on_batch(images.preprocess(pictures))
    np.testing.assert_allclose(quick.answer(model, ready, batch=4), whole, rtol=1e-3, atol=1e-3)


def _loss_by_hand(truth, logits, weights=None, ignored=255):
    total = count = 0.0
    for label, scores in zip(truth.ravel(), logits.reshape(-1, logits.shape[-1]), strict=True):
        if label != ignored:
            weight = 1.0 if weights is None else weights[label]
            total += weight * (np.log(np.exp(scores).sum()) - scores[label])
            count += weight
    return total / count if count else 0.0


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.2, 3.0])])
def test_loss_leaves_ignored_pixels_out(keras, weights):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
    truth = rng.choice([0, 1, 2, 255], (2, 5, 4))
    loss = fcn.pixel_loss(weights)
    value = float(loss(truth, keras.ops.convert_to_tensor(logits)))
    assert value == pytest.approx(_loss_by_hand(truth, logits, weights), rel=1e-5)
    other = np.where((truth == 255)[..., None], 9.0, logits)
    assert float(loss(truth, keras.ops.convert_to_tensor(other))) == pytest.approx(value, rel=1e-6)
    assert float(loss(np.full_like(truth, 255), keras.ops.convert_to_tensor(logits))) == 0


def test_a_few_steps_learn_a_colour(keras):
    keras.utils.set_random_seed(0)
    truth = np.zeros((1, 32, 32), np.uint8)
    truth[:, 8:24, 8:24] = 1
    truth[:, :4] = 255
    x = np.where(truth[..., None] == 1, 60.0, -60.0) * np.ones(3, np.float32)
    model = fcn.build(2, "8s", width=1 / 8, dense=())
    model.compile(keras.optimizers.Adam(5e-3), fcn.pixel_loss(), jit_compile=False)
    losses = [float(model.train_on_batch(x, truth)) for _ in range(25)]
    assert losses[0] == pytest.approx(np.log(2), abs=1e-4) and losses[-1] < 0.45
    known = truth != 255
    assert (model.predict_on_batch(x).argmax(-1) == truth)[known].mean() > 0.85


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="4s"):
        fcn.build(3, "4s")
    with pytest.raises(ValueError, match="score_fr"):
        fcn.variant_of(["block1_conv1"])
