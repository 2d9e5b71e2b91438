"""Answers without a network."""

from __future__ import annotations

import numpy as np

from course_utils.localization.trivial import largest_blob


def test_the_largest_blob():
    image = np.full((40, 50, 3), 90, np.uint8)
    image[10:30, 5:20] = [200, 40, 40]
    image[33:36, 40:44] = [200, 40, 40]
    assert largest_blob(image) == (5, 10, 15, 20)
    assert largest_blob(np.full((9, 9, 3), 7, np.uint8)) == (0, 0, 9, 9)
