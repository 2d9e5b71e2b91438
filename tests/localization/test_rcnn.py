"""R-CNN on features that tell what it needs."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.localization import boxes as box_tools
from course_utils.localization import rcnn


@pytest.fixture(scope="module")
def solved():
    """Proposals whose features say the class and how far the box is off: what R-CNN must learn to read."""
    rng = np.random.default_rng(0)
    pictures, truth, labels = [], [], []
    for _ in range(30):
        here = np.array([[10.0, 12, 30, 24], [55, 50, 24, 30]]) + rng.uniform(-4, 4, (2, 4))
        names = rng.integers(0, 2, 2)
        shifts = rng.uniform(-0.25, 0.25, (2, 8, 2))
        near = [
            np.concatenate([b[:2] + s * b[2:], b[2:]])
            for b, many in zip(here, shifts, strict=True)
            for s in many
        ]
        proposals = np.concatenate([np.array(near), rng.uniform(0, 60, (20, 4)) + [0, 0, 5, 5], here])
        overlap = box_tools.iou(proposals, here)
        best = overlap.argmax(1)
        strength = np.clip(overlap.max(1) * 2 - 0.6, 0, 1)
        offset = (here[best, :2] - proposals[:, :2]) / proposals[:, 2:] * (strength > 0)[:, None]
        features = np.concatenate([np.eye(2)[names[best]] * strength[:, None], offset], axis=1)
        pictures.append(rcnn.Regions(proposals, features + rng.normal(0, 0.02, features.shape)))
        truth.append(here)
        labels.append(names)
    return pictures, truth, labels


def test_rcnn_finds_what_its_features_tell(solved):
    pictures, truth, labels = solved
    detector = rcnn.train(pictures[:20], truth[:20], labels[:20], 2)
    results = {}
    for name, regress in (("before", False), ("after", True)):
        found = [rcnn.detect(detector, each, 96, 96, regress=regress) for each in pictures[20:]]
        results[name], each = rcnn.mean_average_precision(found, truth[20:], labels[20:], 2, overlap=0.75)
        assert each.shape == (2,)
    assert results["after"] >= results["before"] and results["after"] > 0.85
    largest = [rcnn.largest(detector, each) for each in pictures[20:]]
    assert rcnn.mean_average_precision(largest, truth[20:], labels[20:], 2)[0] < results["after"]


def test_box_regression_moves_boxes_towards_the_truth(solved):
    pictures, truth, labels = solved
    detector = rcnn.train(pictures[:20], truth[:20], labels[:20], 2)
    gains = []
    for each, here in zip(pictures[20:], truth[20:], strict=True):
        near = rcnn.Regions(each.boxes[:16], each.features[:16])
        for regress in (False, True):
            found = rcnn.detect(detector, near, 96, 96, regress=regress, least=-9, overlap=0.99)
            gains.append(box_tools.iou(found.boxes, here).max(axis=1).mean())
    assert np.mean(gains[1::2]) > np.mean(gains[::2]) + 0.1


def test_suppression_leaves_one_box_an_object(solved):
    pictures, truth, labels = solved
    detector = rcnn.train(pictures[:20], truth[:20], labels[:20], 2)
    found = rcnn.detect(detector, pictures[25], 96, 96, regress=False)
    for number in range(2):
        mine = found.boxes[found.classes == number]
        assert (box_tools.iou(mine, mine) - np.eye(len(mine))).max(initial=0) <= 0.3
    assert (np.diff(found.scores) <= 0).all()


def test_hard_negatives_are_added():
    """Negatives along one axis are easy; a few hard ones decide, and must have been found."""
    rng = np.random.default_rng(1)
    easy, hard = rng.normal(-3, 0.3, (3000, 2)), rng.normal((1.0, -0.6), 0.1, (12, 2))
    good = rng.normal((1.0, 0.6), 0.1, (30, 2))
    x = np.concatenate([easy, hard, good, np.zeros((0, 2))])
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    is_good = np.arange(len(x)) >= 3012
    wrong = [
        int(((x @ rcnn._svm(x, is_good, ~is_good, rounds, np.random.default_rng(0)))[3000:3012] > 0).sum())
        for rounds in (0, 2)
    ]
    assert wrong[0] > wrong[1] == 0


def test_features_of_warped_crops(backbone, photographs):
    image, box = photographs.images[0], photographs.boxes[0]
    crops = rcnn.warped(image, box, 32, context=1.0)
    assert crops.shape == (1, 32, 32, 3) and crops[0, 8:24, 8:24, 0].min() > 150
    found = rcnn.regions(backbone, image, np.concatenate([box, box]), size=32)
    assert found.features.shape == (2, 4 * 16)
    np.testing.assert_allclose(
        found.features[0], found.features[1], rtol=1e-4
    )  # a batch rounds each differently
    assert rcnn.regions(backbone, image, np.zeros((0, 4)), size=32).features.shape == (0, 64)


def test_pooled_is_a_mean_of_parts():
    maps = np.random.default_rng(0).normal(size=(3, 5, 4, 2))
    found = rcnn.pooled(maps).reshape(3, 2, 2, 2)
    np.testing.assert_allclose(found[1, 0, 1], maps[1, :3, 2:].mean((0, 1)))


def test_average_precision_skips_classes_without_objects(solved):
    nothing = [rcnn.Found(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))]
    mean, each = rcnn.mean_average_precision(nothing, [np.array([[1, 1, 5, 5]])], [np.array([1])], 3)
    assert mean == 0 and np.isnan(each[[0, 2]]).all()
    with pytest.raises(ValueError, match="class 2"):
        rcnn.train(*solved, 3)
