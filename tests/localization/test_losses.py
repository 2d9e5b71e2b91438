"""Losses for boxes and points, by hand and by their gradients."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.localization import boxes as box_tools
from course_utils.localization.losses import (
    LOSSES,
    box_loss,
    compile_localizer,
    generalized_iou,
    point_loss,
    targets,
)
from course_utils.networks import gradients, localizer
from course_utils.pictures import images


def random_boxes(n, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.uniform(0, 0.5, (n, 2)), rng.uniform(0.1, 0.5, (n, 2))], axis=1)


def value(kind, answer, truth, classes=1, labels=None):
    labels = np.zeros((len(truth), 1)) if labels is None else labels[:, None]
    y = np.concatenate([labels, truth], axis=1).astype(np.float32)
    return np.asarray(box_loss(kind, classes)(y, answer.astype(np.float32)))


def test_l2_and_smooth_l1_by_hand():
    truth, answer = np.array([[0.2, 0.2, 0.5, 0.5]]), np.array([[0.2, 0.23, 0.5, 0.9]])
    assert value("l2", answer, truth)[0] == pytest.approx(0.03**2 + 0.4**2)
    assert value("smooth_l1", answer, truth)[0] == pytest.approx(0.5 * 0.03**2 / 0.05 + 0.4 - 0.025, rel=1e-5)


def test_generalized_iou_against_boxes():
    first, second = random_boxes(40, 1), random_boxes(40, 2)
    found = np.asarray(generalized_iou(first.astype("f4"), second.astype("f4")))
    for a, b, g in zip(first, second, found, strict=True):
        low, high = np.minimum(a[:2], b[:2]), np.maximum(a[:2] + a[2:], b[:2] + b[2:])
        iou = box_tools.iou(a, b)[0, 0]
        union = (box_tools.area(a) + box_tools.area(b))[0] / (1 + iou)
        around = np.prod(high - low)
        assert g == pytest.approx(iou - (around - union) / around, abs=1e-5)


def test_every_loss_is_least_at_the_truth_and_pulls_towards_it(keras):
    truth = random_boxes(12, 3)
    for kind in LOSSES:
        assert value(kind, truth, truth) == pytest.approx(np.zeros(12), abs=1e-5)
        y = np.concatenate([np.zeros((12, 1)), truth], axis=1).astype("f4")
        loss = box_loss(kind)
        step = gradients.value_and_gradient(
            lambda b, loss=loss, y=y: keras.ops.sum(loss(y, b)), compile=False
        )
        answer = random_boxes(12, 4).astype("f4")
        before, slope = step(answer)
        after, _ = step(answer - np.asarray(slope) * 1e-3)
        assert float(after) < float(before), kind


def test_the_iou_loss_climbs_from_boxes_that_do_not_touch(keras):
    truth, answer = np.array([[0.1, 0.1, 0.2, 0.2]]), np.array([[0.6, 0.6, 0.2, 0.2]], "f4")
    y = np.concatenate([[[0.0]], truth], axis=1).astype("f4")
    loss = box_loss("iou")
    _, slope = gradients.value_and_gradient(lambda b: keras.ops.sum(loss(y, b)), compile=False)(answer)
    assert (np.asarray(slope)[0, :2] > 0).all()  # downhill is to the left and up


def test_of_several_boxes_that_of_the_true_class_counts():
    truth, labels = random_boxes(5, 5), np.array([0, 2, 1, 1, 0])
    answer = random_boxes(15, 6).reshape(5, 3, 4)
    chosen = answer[np.arange(5), labels]
    np.testing.assert_allclose(
        value("l2", answer.reshape(5, 12), truth, 3, labels), ((chosen - truth) ** 2).sum(1), rtol=1e-5
    )


def test_unknown_loss():
    with pytest.raises(ValueError, match="l2, smooth_l1, iou, iou_l1"):
        box_loss("l3")


def test_a_few_steps_of_sgd_lower_both_losses(backbone, keras, photographs):
    x = images.preprocess(images.resize(photographs.images, 32))
    maps = backbone.predict_on_batch(x)
    maps /= np.sqrt(np.mean(maps**2))
    model = localizer.build_heads(maps.shape[1:], 2, localizer.Heads(channels=8, units=32))
    compile_localizer(model, keras.optimizers.SGD(0.05, momentum=0.9), "l2")
    y = targets(photographs.classes, photographs.boxes[:, 0], 2, 40, 60)
    losses = [model.train_on_batch(maps, y, return_dict=True) for _ in range(25)]
    for name in ("classes_loss", "box_loss"):
        assert losses[-1][name] < 0.8 * losses[0][name]


def test_hidden_points_teach_nothing(keras):
    truth = np.random.default_rng(0).uniform(0, 1, (3, 4, 3)).astype("f4")
    truth[..., 2] = [[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
    answer = truth[..., :2].copy()
    answer[0, 2:] += 9
    answer[1, 0, 0] += 2
    np.testing.assert_allclose(np.asarray(point_loss(truth, answer)), [0, 1, 0], atol=1e-6)
    model = localizer.build_points((3, 3, 8), 4, units=16)
    np.testing.assert_allclose(model.predict_on_batch(np.zeros((2, 3, 3, 8))), 0.5)
