"""One window at every place: by crops, in one pass, and merged."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import runtime
from course_utils.datasets import scenes
from course_utils.localization import boxes as box_tools
from course_utils.localization import windows
from course_utils.localization.boxes import (
    from_window,
)
from course_utils.networks import convert, localizer, pretrained


@pytest.fixture(scope="module")
def unpadded():
    """A small classifier without padding: 14 x 14 windows, stride 2."""
    from keras import Input, Model, layers

    runtime.start(1)
    x = inputs = Input((14, 14, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="c1")(x)
    x = layers.MaxPooling2D(2, name="p1")(x)
    x = layers.Conv2D(5, 3, activation="relu", name="c2")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(7, activation="relu", name="d1")(x)
    return Model(inputs, layers.Dense(3, activation="softmax", name="d2")(x), name="window")


def test_one_pass_gives_the_numbers_of_the_crops(unpadded):
    slide = windows.slider(unpadded)
    assert (slide.window, slide.stride) == (14, 2)
    x = np.random.default_rng(0).normal(size=(31, 40, 3)).astype("f4")
    crops = convert.crop_scores(unpadded, x, slide.stride)
    assert crops.shape == (9, 14, 3)
    np.testing.assert_allclose(windows.slide_scores(slide, x), crops, atol=1e-5)


def test_dense_layers_as_convolutions_have_as_many_parameters(unpadded):
    """The document counts 4,069 after the 1x1 convolution: the count does not change, the work is shared."""
    assert windows.slider(unpadded).model.count_params() == unpadded.count_params()


def test_places_are_those_of_the_crops(unpadded):
    slide = windows.slider(unpadded)
    assert windows.places(2, 3, slide)[[0, 1, 3]].tolist() == [
        [0, 0, 14, 14],
        [2, 0, 14, 14],
        [0, 2, 14, 14],
    ]


def test_padding_makes_a_difference(keras):
    from keras import Input, Model, layers

    x = inputs = Input((12, 12, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="c1")(x)
    x = layers.MaxPooling2D(2, name="p1")(x)
    model = Model(inputs, layers.Dense(3, name="d")(layers.Flatten(name="f")(x)), name="padded")
    slide = windows.slider(model)
    x = np.random.default_rng(0).normal(size=(20, 20, 3)).astype("f4")
    apart = np.abs(windows.slide_scores(slide, x) - convert.crop_scores(model, x, 2))
    assert apart[1:-1, 1:-1].max() > 1e-3


def red_finder():
    """A classifier made by hand: class 1 is the share of red in the middle of an 8 x 8 window."""
    from keras import Input, Model, layers

    x = inputs = Input((8, 8, 3))
    x = layers.AveragePooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flat")(x)
    model = Model(inputs, layers.Dense(2, name="dense")(x))
    kernel = np.zeros((4, 4, 3, 2), "f4")
    kernel[..., 2, 1] = 1 / 16 / 255  # BGR: the last is red
    model.get_layer("dense").set_weights([kernel.reshape(48, 2), np.array([0, 123.68 / 255], "f4")])
    return pretrained.remember(model, pretrained.About(input_size=8))  # else its pictures stay RGB


def test_detection_at_several_scales_merges_what_agrees():
    image = np.zeros((32, 40, 3), np.float32)
    image[4:12, 6:14, 0] = 255
    image[18:22, 30:34, 0] = 255  # half as large: found where the picture is twice as large
    slide = windows.slider(red_finder())
    found = windows.detect(slide, image, (1.0, 2.0), background=0, least=0.8, merge=0.5)
    assert (found.classes == 1).all() and (np.diff(found.scores) <= 0).all()
    overlap = box_tools.iou(np.array([[6, 4, 8, 8], [30, 18, 4, 4.0]]), found.boxes).max(axis=1)
    assert (overlap > 0.5).all()
    one = windows.detect(slide, image, (1.0,), background=0, least=0.8)
    assert box_tools.iou(np.array([[30, 18, 4, 4.0]]), one.boxes).max(initial=0) < 0.5


def test_nothing_found_and_too_small():
    slide = windows.slider(red_finder())
    empty = windows.detect(slide, np.zeros((20, 20, 3)), (1.0,), background=0)
    assert empty.boxes.shape == (0, 4)
    with pytest.raises(ValueError, match="at no scale"):
        windows.detect(slide, np.zeros((20, 20, 3)), (0.1,))
    with pytest.raises(ValueError, match="smaller than the window"):
        windows.slide_scores(slide, np.zeros((6, 20, 3), "f4"))


def test_a_localizer_slides_with_both_heads(backbone):
    model = localizer.build(backbone, 2, localizer.Heads(channels=2, units=4), size=32, scale=1e-3)
    slides = [windows.slider(windows.branch(model, i)) for i in (0, 1)]
    boxes, scores = windows.scan(slides[0], np.zeros((48, 64, 3)), (1.0,), slides[1])
    assert boxes.shape == (2 * 3, 4) and scores.shape == (6, 2)
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    expected = windows.places(2, 3, slides[0])[:, :2] + 16
    np.testing.assert_allclose(centres, expected, atol=6)


def test_training_windows_hold_the_object_or_hardly_any_of_it():
    made = scenes(8, size=48, seed=0)
    number, around, labels, shares = windows.training_windows(made)
    assert len(around) == len(labels) == len(shares) and set(number) == set(range(8))
    positive = labels < 6
    assert 0 < positive.sum() < len(labels) and (labels[~positive] == 6).all()
    back = from_window(shares[positive], around[positive])
    np.testing.assert_allclose(back, made.boxes[number[positive], 0], atol=1e-3)
    assert (shares >= -1e-9).all() and (shares[:, :2] + shares[:, 2:] <= 1 + 1e-9).all()
    assert (shares[positive, 2:].max(axis=1) >= 0.5).all()
    assert (labels[positive] == made.classes[number[positive], 0]).all()
    boxes, beside = made.boxes[number[~positive], 0], around[~positive]  # nothing: a part at most
    whole = (boxes[:, :2] >= beside[:, :2]) & (boxes[:, :2] + boxes[:, 2:] <= beside[:, :2] + beside[:, 2:])
    assert not whole.all(axis=1).any()
    touched = np.diag(box_tools.iou(boxes, beside)) > 0
    assert touched.sum() >= 16  # two parts of an object in each scene


def test_hard_windows_hold_no_object():
    """A finder of red: a red patch beside the object is a hard negative, the object itself is none."""
    made = scenes(2, size=96, seed=0)
    made.images[:] = 0
    for image, box in zip(made.images, made.boxes[:, 0], strict=True):
        x, y, w, h = box.astype(int)
        image[y : y + h, x : x + w, 0] = 255
    slide = windows.Slider(windows.slider(red_finder()).model, 8, 2)
    boxes, scores = windows.scan_all(slide, made.images, windows.SCALES)
    assert scores.shape[:2] == boxes.shape[:2] and len(boxes) == 2
    for each, image in zip(zip(boxes, scores, strict=True), made.images, strict=True):
        for several, alone in zip(each, windows.scan(slide, image, windows.SCALES), strict=True):
            np.testing.assert_allclose(several, alone, rtol=1e-4, atol=1e-4)
    number, around, labels, shares = windows.hard_windows(slide, made, most=3)
    assert set(number) == {0, 1} and len(around) == 6 and (labels == 6).all()
    assert (shares == [0, 0, 1, 1]).all()
    for i, window in zip(number, around, strict=True):
        box = made.boxes[i, 0]
        low = np.maximum(box[:2], window[:2])
        high = np.minimum(box[:2] + box[2:], window[:2] + window[2:])
        assert np.prod(np.maximum(high - low, 0)) < 0.4 * np.prod(box[2:])
