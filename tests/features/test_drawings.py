"""Maps laid over photographs, and the drawing of VGG-16."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.features.drawings import draw_vgg16, scaled, spotlight


def test_scaled_is_not_led_by_one_high_value() -> None:
    one = np.linspace(0, 1, 1000, dtype=np.float32).reshape(20, 50)
    one[3, 4] = 100
    drawn = scaled(one, 99)
    assert drawn[3, 4] == 1 and drawn.min() == 0
    np.testing.assert_allclose(drawn[one < 0.9], one[one < 0.9] / np.percentile(one, 99), rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_scaled_maps_that_are_the_same_everywhere(value: float) -> None:
    assert np.array_equal(scaled(np.full((4, 5), value)), np.full((4, 5), float(value > 0)))


def test_scaled_a_map_with_a_single_value() -> None:
    one = np.zeros((30, 30))
    one[2, 3] = 5  # its percentile is 0
    assert np.array_equal(scaled(one), one / 5)


def test_spotlight_is_bright_where_the_map_is_strong() -> None:
    photo = np.full((40, 60, 3), (200.0, 100.0, 50.0), np.float32)
    one = np.zeros((4, 6))
    one[:, 3:] = 2
    lit = spotlight(photo, one, dark=0.2)
    assert lit.shape == photo.shape
    np.testing.assert_allclose(lit[20, 55], photo[20, 55])
    np.testing.assert_allclose(lit[20, 5], 0.2 * photo[20, 5])


def test_vgg16_is_drawn_with_all_its_layers() -> None:
    figure = draw_vgg16(np.random.default_rng(0).uniform(0, 255, (30, 50, 3)))
    assert figure is not None
    (ax,) = figure.axes
    assert len(ax.patches) == 3 * (13 + 5 + 3)  # three sides of each convolution, pool and dense layer
    said = " ".join(text.get_text() for text in ax.texts)
    assert all(f"{maps} maps\n{side} × {side}" in said for maps, side in [(64, 224), (256, 56), (512, 14)])
    assert "3 of 512 maps of 14 by 14" in figure.alt
