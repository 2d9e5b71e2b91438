"""Asking a network where things are, and judging its answers."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.datasets import scenes
from course_utils.localization import regression
from course_utils.localization.boxes import (
    pair_iou,
)
from course_utils.networks import localizer
from course_utils.pictures import images


class Oracle:
    """Stands for a network that sees exactly where red is, up to a constant error in the view."""

    input_shape = (None, 32, 32, 3)
    output_shape = ((None, 2), (None, 4))

    def __init__(self, error=0.0):
        self.error, self.views = error, []

    def predict_on_batch(self, x):
        self.views.append(images.deprocess(x))
        found = []
        for image in images.deprocess(x):
            rows, columns = np.nonzero(image[..., 0] > 150)
            found.append((columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1))
        answer = np.array(found) / 32 + [self.error, 0, 0, 0]
        return [np.tile([0.3, 0.7], (len(x), 1)), answer]


@pytest.fixture
def red():
    """A large picture with a red rectangle of 30 x 20 at (70, 40)."""
    image = np.zeros((128, 160, 3), np.float32)
    image[40:60, 70:100, 0] = 255
    return image


def test_a_second_look_is_sharper(red):
    one, two = (regression.locate(Oracle(0.05), [red], looks=n) for n in (1, 2))
    truth = np.array([[70.0, 40, 30, 20]])
    assert abs(one.boxes[0, 0] - 70 - 0.05 * 160) < 5.1  # one pixel of the view is five of the picture
    first, second = (pair_iou(each.boxes, truth)[0] for each in (one, two))
    assert second > first + 0.1 and second > 0.8
    assert two.classes.tolist() == [1] and two.scores[0] == pytest.approx(0.7)


def test_a_mirrored_look_undoes_a_bias(red):
    assert regression.locate(Oracle(0.08), [red], mirror=True).boxes[0, 0] == pytest.approx(70, abs=2.6)


def test_boxes_stay_inside_whatever_the_network_says(red):
    found = regression.locate(Oracle(0.9), [red, red[:, :90]]).boxes
    assert (found[:, :2] >= 0).all() and (found[:, 2:] >= 2).all()
    assert (found[:, 0] + found[:, 2] <= [160, 90]).all()
    with pytest.raises(ValueError, match="at least once"):
        regression.locate(Oracle(), [red], looks=0)


def test_quality_of_boxes_and_answers():
    truth, classes = np.random.default_rng(0).uniform(5, 25, (6, 4)), np.array([0, 0, 1, 1, 1, 1])
    moved = truth.copy()
    moved[0, 0] += 100
    answers = regression.Located(np.array([0, 1, 1, 1, 1, 1]), np.ones(6), moved, np.eye(6))
    facts = regression.quality(answers, truth, classes, ("a", "b", "c"))
    assert facts == pytest.approx(
        {"mean_iou": 5 / 6, "over_half": 5 / 6, "mean_iou_a": 0.5, "mean_iou_b": 1.0, "accuracy": 5 / 6}
    )
    assert "accuracy" not in regression.quality(moved, truth, classes, ("a", "b"))


def test_mirrored_scenes_and_their_boxes():
    made = scenes(4, size=48, seed=0)
    pictures, found = regression.mirrored(made)
    for image, there, (x, y, w, h) in zip(pictures, made.images, found, strict=True):
        box = made.boxes[(made.images == there).all(axis=(1, 2, 3)).argmax(), 0]
        old = there[int(box[1]) : int(box[1] + box[3]), int(box[0]) : int(box[0] + box[2])]
        np.testing.assert_array_equal(image[int(y) : int(y + h), int(x) : int(x + w)], old[:, ::-1])


def test_scenes_are_localized_by_the_same_functions(backbone):
    made = scenes(3, size=48, seed=0)
    model = localizer.build(backbone, 6, localizer.Heads(channels=2, units=4), size=48)
    found = regression.locate(model, made.images, looks=2, mirror=True)
    assert found.boxes.shape == (3, 4) and set(found.classes) <= set(range(6))
