"""Variants of the two heads, and two objects by one regression."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import runs, runtime
from experiments import localization_heads as heads


def test_spread_is_largest_less_smallest() -> None:
    facts = heads.with_spread([{"mean_iou": 0.5}, {"mean_iou": 0.8}, {"mean_iou": 0.8}])
    assert facts == pytest.approx({"mean_iou": 0.7, "mean_iou_spread": 0.3})


def test_two_boxes_are_judged_in_the_better_order() -> None:
    truth = np.array([[[0, 0, 10, 10], [30, 0, 10, 10]]], float)
    assert heads.pair_quality(truth[:, ::-1], truth) == {"mean_iou": 1.0, "both_over_half": 1.0}
    half = truth.copy()
    half[0, 1, 0] = 80
    assert heads.pair_quality(half, truth) == {"mean_iou": 0.5, "both_over_half": 0.0}


def test_the_matched_loss_does_not_mind_the_order() -> None:
    runtime.start(0)
    rng = np.random.default_rng(0)
    truth, said = rng.random((2, 5, 8)).astype(np.float32)
    turned = np.concatenate([truth[:, 4:], truth[:, :4]], axis=1)
    first, second = (np.asarray(heads.matched(each, said)) for each in (truth, turned))
    np.testing.assert_allclose(first, second, rtol=1e-6)
    straight, crossed = (np.asarray(heads.as_given(each, said)) for each in (truth, turned))
    np.testing.assert_allclose(first, np.minimum(straight, crossed), rtol=1e-6)
    off = np.array([[0.01, 0.2, 0, 0, 0, 0, 0, 0]], np.float32)
    assert float(heads.as_given(off, 0 * off)[0]) == pytest.approx(0.01**2 / 0.1 + 0.2 - 0.025)


def test_every_place_learns_to_answer() -> None:
    """Maps that show a bright square of one of two kinds: name and box are found."""
    runtime.start(0)
    rng = np.random.default_rng(0)
    maps, boxes = np.zeros((64, 8, 8, 2), np.float32), np.zeros((64, 4), np.float32)
    classes = rng.integers(0, 2, 64)
    for i, kind in enumerate(classes):
        (left, top), (wide, high) = rng.integers(0, 4, 2), rng.integers(2, 5, 2)
        maps[i, top : top + high, left : left + wide, kind] = 3
        boxes[i] = np.array([left, top, wide, high]) / 8
    found = heads.by_place(maps, classes, boxes, maps[:20], 25)
    facts = heads.quality(found, boxes[:20] * heads.SIDE, classes[:20], ())
    assert facts["accuracy"] > 0.9 and facts["mean_iou"] > 0.6


def test_the_record_stands_beside_answers_without_a_network() -> None:
    record = runs.load("localization_heads")
    blob = record.baselines["largest colour blob"]["mean_iou"]
    assert record.metrics["heads"]["a box from every place, L1"]["mean_iou"] > blob + 0.05
