"""PASCAL VOC's own colours."""

from __future__ import annotations

import numpy as np

from course_utils.datasets import voc


def test_palette_is_pascal_vocs() -> None:
    known = {0: (0, 0, 0), 1: (128, 0, 0), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
    table = voc.palette()
    assert {i: tuple(table[i].tolist()) for i in known} == known
    assert tuple(table[255].tolist()) == (224, 224, 192) and len(np.unique(table, axis=0)) == 256
