"""One definition of bilinear: every way to the weights gives the same ones."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.datasets import augment
from course_utils.pictures import images, resampling


def of_windows(before: int, after: int) -> np.ndarray:
    middle, whole = np.array([before / 2]), np.array([float(before)])
    return augment.axis_matrices(middle, whole, after, before, np.zeros(1))[0]


@pytest.mark.parametrize(("before", "after"), [(7, 7), (5, 12), (12, 5), (9, 4), (2, 11), (1, 3)])
def test_windows_and_whole_pictures_have_the_same_weights(before: int, after: int) -> None:
    whole = images._weights(before, after).toarray()
    np.testing.assert_allclose(of_windows(before, after), whole, atol=1e-6)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("before", "after"), [(7, 7), (5, 12), (2, 11), (1, 3)])
def test_enlarged_maps_have_them_too(before: int, after: int) -> None:
    matrix = resampling.Axis(after, before).matrix.toarray()
    np.testing.assert_allclose(matrix, images._weights(before, after).toarray(), atol=1e-6)
    maps = np.random.default_rng(0).normal(size=(before, before, 3)).astype(np.float32)
    found = resampling.stretch(maps, (after, after))
    np.testing.assert_allclose(found, images.resize(maps, after), atol=1e-5)


def test_turned_by_nothing_a_picture_is_resized() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    placed = resampling.placement((0.0, 0.0), (0.0, 0.0), 2.0)
    found = resampling.sample([picture], placed, (0, 0, 12, 12))
    np.testing.assert_allclose(found, images.resize(picture, 12), atol=1e-3)


def test_a_tent_by_hand() -> None:
    np.testing.assert_allclose(resampling.tent(np.array([-0.25, 0.75, 1.75])), [0.75, 0.25, 0])
    np.testing.assert_allclose(resampling.tent(np.array([0.5, -0.5, np.inf]), 2.0), [0.5, 0.5, 0])
