"""Answers that need no learning, on scenes."""

from __future__ import annotations

import pytest

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
