"""The table of notebook 04."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import runtime
from course_utils.datasets import scenes
from course_utils.localization.boxes import (
    Found,
)
from experiments import localization_methods as methods


@pytest.fixture(autouse=True)
def float32():
    runtime.start(0)


def test_a_way_is_judged_by_its_best_box():
    made = scenes(6, size=48, seed=0)
    answers = iter([made.images[0], *made.images])  # the first is asked twice, to warm up
    place = iter([0, *range(6)])

    def way(image):
        assert (image == next(answers)).all()
        i = next(place)
        wrong = np.array([[0, 0, 2, 2.0]])
        both = np.concatenate([made.boxes[i], wrong])
        return Found(both, np.full(2, made.classes[i, 0]), np.array([0.9, 0.1]))

    facts = methods.judge(way, made, passes=3)
    assert facts["mean_iou"] == facts["over_half"] == facts["map"] == 1 and facts["passes"] == 3
    blind = methods.trivial(made, made)
    assert 0 < blind["one box for all (median)"]["mean_iou"] < 1
