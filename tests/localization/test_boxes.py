"""Boxes against plain counting of pixels, scikit-learn and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from course_utils.localization import boxes

side = st.integers(0, 12)
box = st.tuples(st.integers(-5, 12), st.integers(-5, 12), side, side)
real = st.tuples(*[st.floats(-50, 50)] * 2, *[st.floats(0.5, 60)] * 2)


def pixels(b):
    """The set of unit squares that a box with whole coordinates covers."""
    x, y, w, h = b
    return {(i, j) for i in range(x, x + w) for j in range(y, y + h)}


@given(st.lists(box, max_size=4), st.lists(box, max_size=4))
def test_iou_counts_pixels(first, second):
    out = boxes.iou(np.array(first), np.array(second))
    assert out.shape == (len(first), len(second))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            union = pixels(a) | pixels(b)
            expected = len(pixels(a) & pixels(b)) / len(union) if union else 0
            assert out[i, j] == pytest.approx(expected)


@given(st.lists(real, min_size=1, max_size=5))
def test_round_trips(some):
    b = np.array(some)
    np.testing.assert_allclose(boxes.from_corners(boxes.to_corners(b)), b, atol=1e-9)
    anchors = np.roll(b, 1, axis=0)
    np.testing.assert_allclose(boxes.decode(boxes.encode(b, anchors), anchors, largest=10), b, atol=1e-6)


def test_encode_by_hand():
    targets = boxes.encode([[10, 10, 20, 40]], [[0, 0, 10, 20]])
    np.testing.assert_allclose(targets, [[(20 - 5) / 10, (30 - 10) / 20, np.log(2), np.log(2)]])


def test_boxes_without_area_and_outside():
    assert boxes.iou([[3, 3, 0, 5]], [[3, 3, 0, 5]])[0, 0] == 0
    with pytest.raises(ValueError, match="above 0"):
        boxes.encode([[0, 0, 0, 1]], [[0, 0, 1, 1]])
    np.testing.assert_array_equal(boxes.clip([[-5, -5, 10, 10]], 8, 4), [[0, 0, 4, 5]])
    assert boxes.area(boxes.clip([[100, 100, 5, 5]], 8, 8))[0] == 0
    assert np.isfinite(boxes.decode([[0, 0, 1000, 1000]], [[0, 0, 1, 1]])).all()


def test_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        boxes.iou([1, 2, 3], [[0, 0, 1, 1]])


def test_empty_sets():
    none = np.zeros((0, 4))
    assert boxes.iou(none, [[0, 0, 1, 1]]).shape == (0, 1)
    assert len(boxes.non_maximum_suppression(none, [])) == 0
    merged, scores = boxes.greedy_merge(none, [])
    assert merged.shape == (0, 4) and len(scores) == 0


@given(st.lists(real, min_size=1, max_size=12), st.floats(0.1, 0.9), st.randoms(use_true_random=False))
def test_suppression_keeps_a_maximal_set_of_separate_boxes(some, overlap, random):
    b = np.array(some)
    scores = np.array([random.random() for _ in some])
    kept = boxes.non_maximum_suppression(b, scores, overlap)
    assert kept[0] == np.argmax(scores) and (np.diff(scores[kept]) <= 0).all()
    among = boxes.iou(b[kept], b[kept]) - np.eye(len(kept)) * 2
    assert (among <= overlap).all()
    for dropped in set(range(len(b))) - set(kept.tolist()):
        better = kept[scores[kept] >= scores[dropped]]
        assert (boxes.iou(b[dropped], b[better]) > overlap).any()


def test_merging_averages_by_score_and_leaves_others():
    merged, scores = boxes.greedy_merge([[0, 0, 10, 10], [2, 0, 10, 10], [50, 50, 5, 5]], [3, 1, 2], 0.5)
    np.testing.assert_allclose(merged, [[0.5, 0, 10, 10], [50, 50, 5, 5]])
    np.testing.assert_allclose(scores, [4, 2])


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 1000)), min_size=1, max_size=30, unique_by=lambda t: t[1]
    )
)
def test_average_precision_is_an_independent_computation(answers):
    """One true box a picture, found or missed by one detection: then recall counts all of them."""
    hits = np.array([hit for hit, _ in answers])
    scores = [np.array([s / 1000]) for _, s in answers]
    truth = [np.array([[0, 0, 10, 10.0]])] * len(answers)
    detections = [t if hit else t + [100, 0, 0, 0] for hit, t in zip(hits, truth, strict=True)]
    curve = boxes.precision_recall(detections, scores, truth)
    order = np.argsort([-s[0] for s in scores])
    assert curve.recall[-1] == pytest.approx(hits.mean())
    best = 0.0  # area under the envelope, rectangle by rectangle
    for n, hit in enumerate(hits[order], start=1):
        later = [hits[order][:m].mean() for m in range(n, len(hits) + 1)]
        best += hit / len(hits) * max(later)
    assert curve.average_precision == pytest.approx(best)
    if hits.any() and (np.diff(curve.precision[hits[order]]) <= 0).all():  # then no envelope is needed
        plain = average_precision_score(hits, [s[0] for s in scores]) * hits.mean()
        assert curve.average_precision == pytest.approx(plain)


def test_a_second_detection_of_the_same_box_is_wrong():
    truth = [np.array([[0, 0, 10, 10.0]])]
    curve = boxes.precision_recall(
        [np.array([[0, 0, 10, 10], [1, 0, 10, 10.0]])], [np.array([0.5, 0.9])], truth
    )
    np.testing.assert_allclose(curve.precision, [1, 0.5])
    np.testing.assert_allclose(curve.recall, [1, 1])


def test_without_detections_or_without_truth():
    none = np.zeros((0, 4))
    assert boxes.precision_recall([none], [np.zeros(0)], [np.ones((1, 4))]).average_precision == 0
    assert np.isnan(boxes.precision_recall([np.ones((1, 4))], [np.ones(1)], [none]).average_precision)


def test_windows_and_back():
    rng = np.random.default_rng(0)
    found, windows = (rng.uniform(1, 50, (9, 4)) for _ in range(2))
    there = boxes.to_window(found, windows)
    np.testing.assert_allclose(boxes.from_window(there, windows), found)
    np.testing.assert_allclose(boxes.to_window(windows, windows), [[0, 0, 1, 1]] * 9, atol=1e-12)
    wide = boxes.enlarged(windows, 1.5)
    np.testing.assert_allclose(wide[:, :2] + wide[:, 2:] / 2, windows[:, :2] + windows[:, 2:] / 2)
    np.testing.assert_allclose(wide[:, 2:], windows[:, 2:] * 1.5)


def test_median_boxes_are_medians_of_borders():
    found = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [6, 0, 10, 30], [4, 4, 2, 2.0]])
    # the left borders are 0 0 4 6, the right ones 6 10 10 16
    np.testing.assert_allclose(boxes.median_box(found), [2, 0, 8, 10])
    each = boxes.class_median_boxes(found, np.array([0, 0, 0, 1]), 3)
    np.testing.assert_allclose(each, [[0, 0, 10, 10], [4, 4, 2, 2], [2, 0, 8, 10]])
    with pytest.raises(ValueError, match="no box"):
        boxes.median_box(np.zeros((0, 4)))


def test_pairs_have_the_diagonal_of_the_table():
    rng = np.random.default_rng(0)
    first, second = (rng.uniform(0, 9, (20, 4)) for _ in range(2))
    np.testing.assert_array_equal(boxes.pair_iou(first, second), np.diag(boxes.iou(first, second)))
    assert boxes.pair_iou(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0,)
