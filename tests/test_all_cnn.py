"""The all convolutional net: the paper's sizes, and the pieces of its recipe."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import features, runtime, training, weight_files
from course_utils.models import all_cnn, folding
from course_utils.recipes import all_cnn as recipe


@pytest.fixture(scope="module", autouse=True)
def keras():
    runtime.start(0)


def test_striding_adds_parameters_to_model_c():
    """Two 3x3 convolutions, 96 -> 96 and 192 -> 192: what replaces the poolings is not free."""
    count = {name: all_cnn.build(name).count_params() for name in all_cnn.VARIANTS}
    added = (9 * 96 * 96 + 96) + (9 * 192 * 192 + 192)
    assert added == 83_040 + 331_968
    assert count["all"] - count["c"] == added
    assert count["strided"] == count["c"] and count["convpool"] == count["all"] == 1_369_738


@pytest.mark.parametrize(("padding", "places"), [("valid", 6), ("same", 8)])
@pytest.mark.parametrize("variant", list(all_cnn.VARIANTS))
def test_places_that_are_averaged(variant, padding, places):
    model = all_cnn.build(variant, padding=padding)
    assert model.get_layer("average_pool").input.shape[1:] == (places, places, 10)
    assert model.output_shape == (None, 10)


def test_any_input_size_and_unknown_variants():
    assert all_cnn.build("all", input_shape=(None, None, 3)).predict_on_batch(
        np.zeros((1, 64, 48, 3))
    ).shape == (1, 10)
    with pytest.raises(ValueError, match="there are c, strided"):
        all_cnn.build("vgg")


def test_shift_and_flip_moves_whole_pictures():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8, 9, 2)).astype(np.float32)
    out = recipe.shift_and_flip(x, np.random.default_rng(1), most=2)
    assert out.shape == x.shape
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    seen = set()
    for picture, wide in zip(out, padded, strict=True):
        views = {
            (i, j, flip): wide[i : i + 8, j : j + 9][:, :: -1 if flip else 1]
            for i in range(5)
            for j in range(5)
            for flip in (False, True)
        }
        fits = [key for key, view in views.items() if np.array_equal(view, picture)]
        assert len(fits) == 1
        seen.add(fits[0])
    assert {f for *_, f in seen} == {True, False} and len({i for i, *_ in seen}) == 5


def test_normalized_pictures_have_zero_mean():
    grey = np.tile(recipe.MEAN, (2, 4, 4, 1))
    np.testing.assert_allclose(recipe.normalize(grey), 0, atol=1e-5)


def test_batches_are_reproducible():
    x = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), np.uint8)
    y = np.arange(50) % 10
    one, two = (next(recipe.batches(recipe.Recipe(batch=16), x, y)(4)) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
    assert one[1].shape == (16, 10) and (one[1].sum(1) == 1).all()


def test_folded_batch_normalization_changes_nothing():
    rng = np.random.default_rng(0)
    trained = all_cnn.build("all", dropout=(0, 0), batch_norm=training.batch_normalization())
    for layer in trained.layers:
        if layer.name.endswith("_bn"):
            layer.set_weights([rng.uniform(0.5, 2, v.shape) for v in layer.get_weights()])
    plain = all_cnn.build("all", dropout=(0, 0))
    weight_files.put(plain, folding.folded(trained), "here")
    assert plain.count_params() == 1_369_738
    x = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    logits = [features.tap(m, ["average_pool"])(x)[0] for m in (trained, plain)]
    assert np.std(logits[1]) > 0.1
    np.testing.assert_allclose(logits[1], logits[0], rtol=1e-4, atol=1e-5)
