"""What a photograph is called at each size: the arithmetic, on a trunk that the test knows."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.training import names
from experiments import input_sizes


def test_each_size_is_judged_by_its_own_averages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that sees class 0 in whatever is small: right for half of the pictures, until they grow."""
    seen = []

    def averages(trunk, pictures, side):
        seen.append((len(pictures), side))
        large = np.array([[side > 100 and picture.mean() > 0] for picture in pictures], np.float32)
        return np.concatenate([1 - large, large], axis=1)

    monkeypatch.setattr(input_sizes, "averages", averages)
    monkeypatch.setattr(input_sizes, "SIDES", (64, 128))
    pictures = [np.full((9, 9, 3), value, np.uint8) for value in (0, 200, 0, 200, 7)]
    folder = names.Folder(pictures, np.array([0, 1, 0, 1, 0]))
    head = np.eye(2, dtype=np.float32), np.zeros(2, np.float32)
    found = input_sizes.by_side(None, head, folder, np.arange(4))
    assert found == {"64": 0.5, "128": 1.0}
    assert seen == [(4, 64), (4, 128)]


def test_the_head_saw_no_picture_that_is_judged(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    photographs = {"imagenette": names.Folder([np.zeros((4, 4, 3), np.uint8)] * 20, np.zeros(20, int))}
    crops = names.plan({"imagenette": 20})
    known = names.Seen(
        crops, np.zeros((20, 512), np.float32), np.zeros((20, 1000), np.float32), np.zeros(20, int)
    )
    monkeypatch.setattr(names, "look", lambda *_: known)
    learnt = []
    monkeypatch.setattr(names, "fit", lambda seen, recipe: learnt.extend(c.picture for c in seen.crops))
    input_sizes.head_without(photographs, tmp_path, names.Recipe())
    assert sorted(learnt) == [number for number in range(20) if number % 10 != 9]
