"""Segmentation: metrics beside scikit-learn's, masks and palettes, tiles, shifts, patches, smoothing."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn import metrics as sk

from course_utils import runtime, segmentation
from course_utils.networks import convert, fcn, pretrained, weight_files
from course_utils.pictures import images
from course_utils.pictures.palette import class_colours, mask_palette
from course_utils.segmentation import answers, masks, patches, shifts, smoothing
from course_utils.segmentation.metrics import confusion_matrix, position_prior, quality


@pytest.fixture(scope="module")
def keras():
    runtime.start(0)
    return runtime.load_keras()


# ---- metrics ---------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_metrics_equal_scikit_learns(seed, classes):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (3, 7, 9))
    answer = np.where(rng.random(truth.shape) < 0.5, truth, rng.integers(0, classes, truth.shape))
    truth[rng.random(truth.shape) < 0.2] = 255
    t, a = truth[truth != 255], answer[truth != 255]
    confusion = sum(confusion_matrix(x, y, classes) for x, y in zip(truth, answer, strict=True))
    np.testing.assert_array_equal(confusion, sk.confusion_matrix(t, a, labels=range(classes)))
    found = quality(confusion)
    there = np.union1d(t, a)
    assert found.pixel_accuracy == pytest.approx(sk.accuracy_score(t, a))
    assert found.mean_accuracy == pytest.approx(sk.recall_score(t, a, labels=np.unique(t), average="macro"))
    assert found.mean_iu == pytest.approx(sk.jaccard_score(t, a, labels=there, average="macro"))
    weighted = sk.jaccard_score(t, a, average="weighted")
    assert found.frequency_weighted_iu == pytest.approx(weighted)


def test_absent_and_imagined_classes():
    """Of five classes, 3 is nowhere, 2 is only imagined."""
    truth = np.array([0, 0, 0, 1, 1, 4, 255, 255])
    answer = np.array([0, 0, 2, 1, 1, 4, 3, 3])
    found = quality(confusion_matrix(truth, answer, 5))
    np.testing.assert_allclose(found.iu, [2 / 3, 1, 0, np.nan, 1])
    assert found.mean_iu == pytest.approx((2 / 3 + 1 + 0 + 1) / 4)
    assert found.mean_accuracy == pytest.approx((2 / 3 + 1 + 1) / 3)
    np.testing.assert_allclose(found.precision, [1, 1, 0, np.nan, 1])
    np.testing.assert_array_equal(found.pixels, [3, 2, 0, 0, 1])
    assert set(found.figures()) == {"pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu"}


def test_what_cannot_be_judged_is_said():
    with pytest.raises(ValueError, match="all are ignored"):
        quality(confusion_matrix(np.full(4, 255), np.zeros(4, int), 3))
    with pytest.raises(ValueError, match=r"the truth is \(4,\), the answer \(5,\)"):
        confusion_matrix(np.zeros(4, int), np.zeros(5, int), 3)
    with pytest.raises(ValueError, match="answer has labels from 0 to 3"):
        confusion_matrix(np.zeros(4, int), np.arange(4), 3)


def test_position_prior_is_the_most_frequent_class_at_each_place():
    truth = np.array([[[0, 1, 255]], [[0, 1, 255]], [[1, 2, 255]]], np.uint8)
    np.testing.assert_array_equal(position_prior(truth, 3), [[0, 1, 1]])


@pytest.mark.shared
def test_position_prior_on_camvid(shared_data):
    """The figure that the data's own notes state: 16.7 % mean IU."""

    def read(folder):
        paths = sorted((shared_data / "camvid" / folder).glob("*.png"))
        labels = np.stack([masks.read_mask(path) for path in paths])
        return np.where(labels == 11, 255, labels)

    prior, truth = position_prior(read("trainannot"), 11), read("valannot")
    found = quality(confusion_matrix(truth, np.broadcast_to(prior, truth.shape), 11))
    assert found.mean_iu == pytest.approx(0.167, abs=0.0005)


# ---- masks -----------------------------------------------------------------------------------------------


def test_masks_come_back_as_written(tmp_path):
    mask = np.random.default_rng(0).choice([0, 3, 11, 255], (9, 14)).astype(np.uint8)
    path = masks.write_mask(tmp_path / "deep" / "m.png", mask)
    np.testing.assert_array_equal(masks.read_mask(path), mask)
    with Image.open(path) as picture:
        assert picture.mode == "P" and picture.size == (14, 9)
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), mask_palette()[mask])
    Image.fromarray(mask).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(masks.read_mask(tmp_path / "grey.png"), mask)


def test_masks_that_are_none_are_refused(tmp_path):
    for mask, path in (
        (np.zeros((2, 2)), "a.png"),
        (np.full((2, 2), 300), "a.png"),
        (np.zeros((2, 2), int), "a.jpg"),
    ):
        with pytest.raises(ValueError):
            masks.write_mask(tmp_path / path, mask)
    assert not list(tmp_path.iterdir())
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)).save(tmp_path / "c.png")
    with pytest.raises(ValueError, match="colours"):
        masks.read_mask(tmp_path / "c.png")
    (tmp_path / "t.png").write_text("no picture")
    with pytest.raises(ValueError, match="no picture"):
        masks.read_mask(tmp_path / "t.png")


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(1, 30))
def test_resized_masks_hold_no_new_labels(height, width, new_height, new_width):
    mask = np.random.default_rng(0).choice([0, 7, 255], (height, width))
    out = segmentation.resize_mask(mask, (new_height, new_width))
    assert out.shape == (new_height, new_width) and set(np.unique(out)) <= set(np.unique(mask))
    np.testing.assert_array_equal(segmentation.resize_mask(mask, (3 * height, 2 * width))[1::3, ::2], mask)
    np.testing.assert_array_equal(
        segmentation.resize_mask(np.stack([mask, mask]), (new_height, new_width))[1], out
    )


def test_bilinear_resizing_would_invent_labels():
    """Why masks have their own resizing: between 0 and 6 lies 3, which is another class."""
    mask = np.zeros((4, 4), np.uint8)
    mask[:, 2:] = 6
    assert set(np.unique(images.resize(mask, (7, 7)).round())) - {0, 6}
    assert set(np.unique(segmentation.resize_mask(mask, (7, 7)))) == {0, 6}


def test_overlay_colours_all_but_the_clear_class():
    image = np.full((2, 2, 3), 100.0)
    out = masks.overlay(image, np.array([[0, 1], [255, 0]]), ("background", "cat"), strength=0.5)
    np.testing.assert_array_equal(out[[0, 1], [0, 1]], 100)
    cat = bytes.fromhex(class_colours(["cat"])[0][1:])
    np.testing.assert_array_equal(out[0, 1], np.rint((np.array([*cat]) + 100) / 2))
    np.testing.assert_array_equal(out[1, 0], np.rint([(255 + 100) / 2] * 3))
    with pytest.raises(ValueError, match="the mask is"):
        masks.overlay(image, np.zeros((3, 2), int))


# ---- answers ---------------------------------------------------------------------------------------------


def _network(seed=0, **options):
    """A narrow FCN with random score layers, so that its answers differ from place to place."""
    model = fcn.build(4, width=1 / 16, dense=((8, 3),), **options)
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.name.startswith("score_"):
            layer.set_weights([rng.normal(0, 0.1, w.shape) for w in layer.get_weights()])
    return model


def test_tiles_answer_as_one_pass_would(keras):
    """With a margin as large as half the receptive field the grid and the answers are the same."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="a")(inputs)
    x = keras.layers.MaxPooling2D(4, padding="same")(x)
    x = keras.layers.Conv2D(3, 3, padding="same", name="b")(x)
    model = keras.Model(inputs, keras.layers.UpSampling2D(4)(x))
    picture = np.random.default_rng(0).normal(size=(212, 148, 3)).astype(np.float32)

    def answer(part):
        return np.asarray(model(part[None])).argmax(-1)[0].astype(np.uint8)

    whole = answer(picture)
    assert len(np.unique(whole)) > 1
    np.testing.assert_array_equal(segmentation.tiled(answer, picture, tile=96, margin=16), whole)
    np.testing.assert_array_equal(segmentation.tiled(answer, picture, tile=256, margin=16), whole)
    assert (segmentation.tiled(answer, picture, tile=64, margin=0) != whole).any()  # the seams show
    with pytest.raises(ValueError, match="margin=40"):
        segmentation.tiled(answer, picture, tile=96, margin=40)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 2000), st.sampled_from([(64, 16), (128, 32), (512, 128), (96, 0)]))
def test_tiles_cover_a_side_once(length, sizes):
    tile, margin = sizes
    spans = answers._spans(length, tile, margin)
    assert spans[0][2] == 0 and spans[-1][3] == length
    for before, after in pairwise(spans):
        assert before[3] == after[2] and after[0] % 32 == 0
    for start, end, first, last in spans:
        assert start <= first < last <= end <= length and end - start <= tile
        assert first - start >= margin or start == 0
        assert end - last >= margin or end == length


def test_a_picture_too_large_is_tiled_not_refused(keras, monkeypatch):
    model = _network()
    picture = np.random.default_rng(0).uniform(0, 255, (150, 230, 3)).astype(np.float32)
    seen = []
    real = answers.scores
    monkeypatch.setattr(
        answers, "scores", lambda net, part, *more: seen.append(part.shape) or real(net, part, *more)
    )
    whole = segmentation.label_map(model, picture)
    assert seen == [(150, 230, 3)] and whole.shape == (150, 230) and whole.dtype == np.uint8
    parts = segmentation.label_map(model, picture, limit_mb=segmentation.memory_mb(model, 128, 128))
    assert len(seen) > 3 and max(max(shape[:2]) for shape in seen[1:]) <= 128
    assert (parts == whole).mean() > 0.6


def test_memory_grows_with_the_picture_and_counts_the_maps(keras):
    model = _network()
    maps = keras.Model(model.input, [layer.output for layer in model.layers])
    x = np.zeros((1, 96, 64, 3), np.float32)
    counted = sum(np.asarray(one).nbytes for one in maps(x)) + 4 * model.count_params()
    assert segmentation.memory_mb(model, 96, 64) == pytest.approx(counted / 1e6, rel=0.05)
    small, large = (segmentation.memory_mb(model, s, s) for s in (512, 1024))
    assert 3.5 < large / small < 4.01
    assert segmentation.memory_mb(model, 512, 512, training=True) > 1.9 * small


def test_loaded_network_answers_alike_and_zoom_is_honoured(keras, tmp_path):
    model = _network(variant="16s")
    weight_files.save(tmp_path / "weights.npz", weight_files.of(model), "float32")
    card = {"title": "a try", "class_names": ["a", "b", "c", "d"], "zoom": 1.0}
    (tmp_path / "card.json").write_text(json.dumps(card))
    picture = np.random.default_rng(0).uniform(0, 255, (70, 45, 3)).astype(np.float32)
    again = segmentation.load(tmp_path / "weights.npz")
    assert pretrained.about(again).class_names == ("a", "b", "c", "d") and again.name == "fcn16s"
    plain = segmentation.scores(again, picture)
    np.testing.assert_allclose(plain, segmentation.scores(model, picture), atol=1e-4)
    (tmp_path / "card.json").write_text(json.dumps(card | {"zoom": 2.0}))
    zoomed = segmentation.scores(segmentation.load(tmp_path / "weights.npz"), picture)
    expected = images.resize(segmentation.scores(model, images.resize(picture, (140, 90))), (70, 45))
    np.testing.assert_allclose(zoomed, expected, atol=1e-4)
    with pytest.raises(ValueError, match="no FCN"):
        np.savez(tmp_path / "other.npz", fc1_kernel=np.zeros((2, 2)), fc1_bias=np.zeros(2))
        segmentation.load(tmp_path / "other.npz")


def test_unknown_smoothing_is_named(keras):
    with pytest.raises(ValueError, match="there are none, superpixels, guided"):
        segmentation.label_map(_network(), np.zeros((32, 32, 3)), smooth="crf")


# ---- smoothing -------------------------------------------------------------------------------------------


def _noisy():
    """A disc on a ground of another colour, and probabilities that are right more often than not."""
    rows, columns = np.mgrid[:60, :80]
    truth = ((rows - 30) ** 2 + (columns - 40) ** 2 < 18**2).astype(int)
    rng = np.random.default_rng(0)
    picture = np.where(truth[..., None] == 1, [200.0, 60, 40], [40.0, 90, 160]) + rng.normal(
        0, 4, (60, 80, 3)
    )
    scores = np.eye(2)[truth] * 0.4 + rng.normal(0.3, 0.35, (60, 80, 2))
    return truth, np.clip(picture, 0, 255), scores


@pytest.mark.parametrize("how", ["superpixels", "guided"])
def test_smoothing_follows_the_picture(how):
    truth, picture, scores = _noisy()
    raw = (scores.argmax(-1) == truth).mean()
    if how == "superpixels":
        smooth = smoothing.superpixel_vote(scores, picture)
    else:
        smooth = smoothing.guided_filter(scores, picture).argmax(-1)
    assert raw < 0.85 and (smooth == truth).mean() > 0.97
    edge = np.zeros_like(truth, bool)
    edge[1:-1, 1:-1] = (truth[1:-1, 1:-1] != truth[2:, 1:-1]) | (truth[1:-1, 1:-1] != truth[1:-1, 2:])
    assert (smooth == truth)[edge].mean() > 0.85  # no blurring across the border


def test_guided_filter_on_an_even_picture_is_a_mean():
    scores = np.random.default_rng(0).normal(size=(12, 14, 2))
    out = smoothing.guided_filter(scores, np.full((12, 14, 3), 90.0), radius=1)
    padded = np.pad(scores, ((2, 2), (2, 2), (0, 0)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1)).mean((-1, -2))
    twice = np.lib.stride_tricks.sliding_window_view(windows, (3, 3), axis=(0, 1)).mean((-1, -2))
    np.testing.assert_allclose(out, twice, atol=1e-5)
    with pytest.raises(ValueError, match="do not belong"):
        smoothing.guided_filter(scores, np.zeros((5, 5, 3)))


# ---- shifts ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_padding(keras):
    """A classifier of 22x22 crops without padding, of stride 4, and the same one converted."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((22, 22, 3)),
            layers.Conv2D(6, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="relu"),
            layers.Dense(4),
        ]
    )
    return model, convert.dense_to_convolutional(model)


@pytest.mark.parametrize("step", [4, 2, 1])
@pytest.mark.parametrize("size", [(38, 41), (25, 30)])
def test_shift_and_stitch_equals_every_shifted_crop(without_padding, step, size):
    model, converted = without_padding
    x = np.random.default_rng(0).normal(size=(*size, 3)).astype(np.float32)
    direct = convert.crop_scores(model, x, step)
    stitched = shifts.shift_and_stitch(converted, x, stride=4, step=step)
    assert stitched.shape == ((size[0] - 22) // step + 1, (size[1] - 22) // step + 1, 4)
    np.testing.assert_allclose(stitched, direct, atol=1e-5)


def test_impossible_shifts_are_named(without_padding):
    model, converted = without_padding
    with pytest.raises(ValueError, match="does not divide"):
        shifts.shift_and_stitch(converted, np.zeros((30, 30, 3), np.float32), 4, 3)
    with pytest.raises(ValueError, match="no crop"):
        convert.crop_scores(model, np.zeros((20, 30, 3), np.float32), 4)


def test_averaged_scores_are_the_mean_over_the_places(without_padding):
    _, converted = without_padding
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    out = shifts.averaged_scores(converted, pictures, 30)
    x = pretrained.about(converted).preprocess(images.resize(pictures, 30))
    np.testing.assert_allclose(out, converted.predict_on_batch(x).mean((1, 2)), rtol=1e-4, atol=1e-4)


# ---- patches ---------------------------------------------------------------------------------------------


def test_patches_are_the_pixels_around():
    picture = np.random.default_rng(0).normal(size=(20, 22, 3))
    out = patches.around(picture, np.array([10, 0]), np.array([9, 21]), side=5)
    np.testing.assert_array_equal(out[0], picture[8:13, 7:12])
    np.testing.assert_array_equal(out[1, 2, 2], picture[0, 21])
    np.testing.assert_array_equal(out[1, 0], out[1, 4])  # mirrored at the upper border
    with pytest.raises(ValueError, match="odd"):
        patches.around(picture, np.array([1]), np.array([1]), side=4)


def test_patch_wise_equals_one_pass(keras):
    keras.utils.set_random_seed(0)
    model = patches.build(3, filters=(4, 4, 6))
    picture = np.random.default_rng(0).uniform(0, 255, (18, 21, 3)).astype(np.float32)
    converted = convert.dense_to_convolutional(model)
    slow, quick = patches.pixel_by_pixel(model, picture, batch=100), patches.in_one_pass(converted, picture)
    assert slow.shape == quick.shape == (18, 21, 3)
    np.testing.assert_allclose(slow, quick, atol=1e-5)


def test_cost_of_patches(keras):
    model = patches.build(2, filters=(2, 3, 4))
    found = patches.cost(model, 10, 20)
    one = 11 * 11 * (25 * 3 * 2) + 7 * 7 * (25 * 2 * 3) + 49 * 3 * 4 + 4 * 2
    assert found.patch_wise == 200 * one and found.patches_mb == pytest.approx(225 * found.picture_mb)
    assert found.one_pass == 200 * (25 * 3 * 2 + 25 * 2 * 3 + 49 * 3 * 4 + 4 * 2)


def test_sampled_patches_have_their_middles_labels():
    truth = np.zeros((2, 30, 30), np.uint8)
    truth[0, 10:12, 10:12], truth[1, 20:] = 4, 255
    pictures = np.where(truth[..., None] == 4, 250.0, 20.0) * np.ones(3)
    x, y = patches.sample(pictures, truth, 200, np.random.default_rng(0))
    assert x.shape == (200, 15, 15, 3) and set(y) == {0, 4} and 60 < (y == 4).sum() < 140
    np.testing.assert_array_equal(x[:, 7, 7, 0] > 0, y == 4)
