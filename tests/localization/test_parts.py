"""Key points and their windows."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.localization import parts


def test_pck_by_hand():
    truth = np.zeros((2, 3, 2))
    found = truth + np.array([[[0, 0], [3, 4], [6, 8]], [[5, 0], [0, 0], [0, 99]]])
    visible = np.array([[True, True, True], [True, True, False]])
    boxes = np.array([[0, 0, 50, 20], [0, 0, 10, 49.0]])
    assert parts.pck(found, truth, visible, boxes) == pytest.approx(3 / 5)
    assert np.isnan(parts.pck(found, truth, ~np.ones_like(visible), boxes))


def test_points_and_their_windows():
    points = np.random.default_rng(0).uniform(0, 90, (7, 5, 2))
    windows = parts.point_windows(points, context=1.5)
    shares = parts.points_to_window(points, windows)
    np.testing.assert_allclose(shares.min(axis=1).min(axis=1), (1 - 1 / 1.5) / 2)
    np.testing.assert_allclose(parts.points_from_window(shares, windows), points)
    assert (parts.point_windows(points[:, :1])[:, 2:] == 16).all()


class PointOracle:
    """Stands for a head: answers with the brightest place of its maps, up to a constant error."""

    def __init__(self, error):
        self.error = error

    def predict_on_batch(self, maps):
        places = maps[..., 0].reshape(len(maps), -1).argmax(axis=1)
        rows, columns = np.unravel_index(places, maps.shape[1:3])
        xy = np.stack([columns + 0.5, rows + 0.5], axis=1) / maps.shape[1]
        return (xy + self.error)[:, None]


def test_a_second_stage_refines_points(keras):
    from keras import Input, Model, layers

    inputs = Input((None, None, 3))
    backbone = Model(inputs, layers.AveragePooling2D(1, name="same")(inputs))
    image = np.zeros((90, 120, 3), np.float32)
    image[30:34, 70:74, 2] = 255  # blue comes first after preprocessing
    stages = [PointOracle(0.05), PointOracle(0.05)]
    first, second = parts.locate_points(backbone, stages, [image, image], 32)
    assert first.shape == second.shape == (2, 1, 2)
    apart = [np.abs(found - [72, 32]).max() for found in (first, second)]
    assert apart[1] < 0.5 * apart[0]


def test_shaken_windows_stay_near():
    windows = np.tile([10.0, 20, 40, 40], (500, 1))
    moved = parts.shaken(windows, np.random.default_rng(0), 0.1)
    assert np.ptp(moved[:, 0]) > 10 and (moved[:, 2] == moved[:, 3]).all()
    np.testing.assert_allclose((moved[:, :2] + moved[:, 2:] / 2).mean(0), [30, 40], atol=1)
    assert (moved[:, 2] / 40 < np.exp(0.151)).all() and (moved[:, 2] / 40 > np.exp(-0.151)).all()
