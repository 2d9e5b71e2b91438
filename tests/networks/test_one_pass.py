"""One pass for several heads: each says what it says alone about the same picture."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import segmentation
from course_utils.networks import one_pass, pretrained
from course_utils.networks.gradients import forward
from course_utils.pictures import images


def test_each_head_answers_as_it_does_alone() -> None:
    picture = images.resize(images.sample("coffee"), (96, 128))
    found = one_pass.run(picture, ["names", "streets"], side=96)
    x = images.preprocess(picture)[None]
    names = forward(pretrained.load_vgg16(), x)[0]
    streets = forward(segmentation.load("streets"), x)[0]
    assert found["names"] == pytest.approx(names, abs=1e-4)
    assert found["streets"].shape == (48, 64, 11)
    fine = images.resize(found["streets"], (96, 128))
    assert np.abs(fine - streets).max() < 1e-3 * np.abs(streets).max()


def test_a_head_that_cannot_share_is_named() -> None:
    with pytest.raises(ValueError, match=r"'boxes': the heads that share a pass are names, streets"):
        one_pass.run(np.zeros((32, 32, 3)), ["boxes"])
