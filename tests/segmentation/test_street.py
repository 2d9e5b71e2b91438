"""The drawn street."""

from __future__ import annotations

import numpy as np

from course_utils.segmentation import street


def test_a_street_is_drawn():
    picture = street.drawn()
    assert picture.shape == (360, 480, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, street.drawn())
    assert not np.array_equal(picture, street.drawn(1))
    sky, tree, road = (
        picture[:40].mean((0, 1)),
        picture[130:160, 55:85].mean((0, 1)),
        picture[-30:, 200:240].mean((0, 1)),
    )
    assert sky[2] > sky[0] + 30 and tree[1] > tree[2] + 20 and np.ptp(road) < 12
