"""Windows of pictures."""

from __future__ import annotations

import numpy as np

from course_utils.localization import views
from course_utils.pictures import images


def test_a_view_is_a_crop_and_a_resize():
    image = np.random.default_rng(0).uniform(0, 255, (40, 60, 3)).astype("f4")
    np.testing.assert_allclose(views.view(image, [0, 0, 60, 40], 24), images.resize(image, 24), atol=0.5)
    np.testing.assert_allclose(views.view(image, [10, 5, 16, 16], 16), image[5:21, 10:26], atol=1e-2)
    mirrored = views.view(image, [10, 5, 16, 16], 16, mirrored=True)
    np.testing.assert_allclose(mirrored, image[5:21, 25:9:-1], atol=1e-2)
    beyond = views.view(image, [-8, 0, 16, 16], 16)
    np.testing.assert_allclose(beyond[:, :8], np.repeat(image[:16, :1], 8, axis=1), atol=1e-2)
