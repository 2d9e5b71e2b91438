"""Answers that need no learning, on scenes."""

from __future__ import annotations

import pytest

from course_utils import runs
from experiments import scene_baselines


def test_baselines_answer_every_question():
    rows = scene_baselines.measure("test", n=24, made_from=60)
    by_name = {(row.pictures, row.answer): row for row in rows}
    assert len(by_name) == len(rows)
    blob = by_name["scenes", "largest colour blob"]
    assert 0.3 < blob.mean_iou < 0.9
    background = by_name["scenes", "every pixel background"]
    assert background.mean_iu == pytest.approx(1 / 7, abs=0.06)
    for row in rows:
        shares = [row.mean_iou, row.over_half, row.accuracy, row.mean_iu, row.pck]
        assert any(share is not None for share in shares)
        assert all(share is None or 0 <= share < 1 for share in shares)


def test_one_name_means_one_answer_on_one_set_of_scenes() -> None:
    """Notebook 04 prints both records: the same answer must not come out differently."""
    here = runs.load("scenes_baselines").baselines
    there = runs.load("localization_methods").baselines["methods"]
    for name in ("one box for all (median)", "largest colour blob"):
        facts = there[name]
        for figure in ("mean_iou", "over_half"):
            assert here[f"scenes: {name}"][figure] == pytest.approx(facts[figure], abs=0.0006), name
