"""Convolution, pooling and the drawings of notebook 00, against SciPy and plain loops."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.ndimage import maximum_filter, uniform_filter
from scipy.signal import correlate, correlate2d

from course_utils.convolution.convolution import as_matrix, convolve, directions, windows
from course_utils.convolution.drawings import (
    draw_block,
    draw_goal,
    draw_guesses,
    draw_matrix,
    draw_patch,
    draw_picture_and_filter,
    draw_pools,
    draw_reach,
    draw_sheet,
    draw_step,
)
from course_utils.convolution.pooling import pool


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(5, 5), (7, 4), (9, 12)])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_convolve_is_a_cross_correlation(
    shape: tuple[int, int], size: int, padding: int, stride: int
) -> None:
    picture, kernel = numbers(*shape), numbers(size, size, seed=1)
    expected = correlate2d(np.pad(picture, padding), kernel, mode="valid")[::stride, ::stride]
    found = convolve(picture, kernel, padding, stride)
    assert found.shape == expected.shape
    assert found.shape[0] == (shape[0] + 2 * padding - size) // stride + 1
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_channels_are_summed_and_filters_kept_apart() -> None:
    picture, kernel = numbers(8, 6, 3), numbers(3, 3, 3, 5, seed=1)
    found = convolve(picture, kernel)
    expected = [correlate(picture, kernel[..., f], mode="valid")[..., 0] for f in range(5)]
    np.testing.assert_allclose(found, np.stack(expected, axis=-1), atol=1e-5)
    np.testing.assert_allclose(convolve(picture, kernel[..., 2]), expected[2], atol=1e-5)


@pytest.mark.parametrize(
    ("picture", "kernel", "words"),
    [
        ((5, 5), (3, 2), "a kernel is square"),
        ((5, 5), (3, 3, 1), r"needs a \(k, k\) kernel"),
        ((5, 5, 3), (3, 3, 4), "has 3 channels"),
        ((5, 5, 3), (3, 3), "has 3 channels|the kernel is"),
        ((2, 5), (3, 3), "does not fit"),
    ],
)
def test_convolve_says_what_does_not_fit(picture: tuple, kernel: tuple, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        convolve(np.zeros(picture), np.zeros(kernel))


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("shape", [(6, 6), (7, 8), (5, 9, 3)])
def test_pool_keeps_the_largest_or_the_mean_of_each_block(shape: tuple[int, ...], size: int) -> None:
    picture = numbers(*shape)
    rows, columns = shape[0] // size, shape[1] // size
    for how, over in [("max", np.max), ("average", np.mean)]:
        found = pool(picture, size, how)
        assert found.shape == (rows, columns, *shape[2:])
        for row, column in np.ndindex(rows, columns):
            block = picture[row * size : (row + 1) * size, column * size : (column + 1) * size]
            np.testing.assert_allclose(found[row, column], over(block, axis=(0, 1)), atol=1e-6)


def test_pool_agrees_with_scipy() -> None:
    picture = numbers(12, 9)
    largest = maximum_filter(picture, size=3)[1::3, 1::3]
    np.testing.assert_array_equal(pool(picture, 3), largest)
    mean = uniform_filter(picture.astype(float), size=3)[1::3, 1::3]
    np.testing.assert_allclose(pool(picture, 3, "average"), mean, atol=1e-6)


def test_pool_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="neither 'max' nor 'average'"):
        pool(np.zeros((4, 4)), 2, "min")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="does not fit"):
        pool(np.zeros((4, 4)), 5)


def test_windows_are_views_with_channels_last() -> None:
    picture = numbers(6, 7, 3)
    view = windows(picture, 3, stride=2)
    assert view.shape == (2, 3, 3, 3, 3)
    assert np.shares_memory(view, picture)
    np.testing.assert_array_equal(view[1, 2], picture[2:5, 4:7])
    for wrong in ({"size": 0}, {"size": 3, "stride": 0}, {"size": 7}):
        with pytest.raises(ValueError):
            windows(picture, **wrong)


def test_a_convolution_is_a_dense_layer() -> None:
    picture, kernel = numbers(5, 7), numbers(3, 3, seed=1)
    matrix = as_matrix(kernel, 5, 7)
    assert matrix.shape == (15, 35)
    assert np.count_nonzero(matrix) == 15 * 9
    answer = convolve(picture, kernel)
    np.testing.assert_allclose((matrix @ picture.ravel()).reshape(answer.shape), answer, atol=1e-5)


def test_directions_have_their_hue_and_brightness() -> None:
    lying, standing = np.array([[0.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 0.0]])
    colours = directions(lying, standing, strongest=1.0)
    assert colours.shape == (1, 3, 3)
    hues = [colorsys.rgb_to_hsv(*pixel)[0] for pixel in colours[0, :2] / 255]
    assert hues == pytest.approx([0.0, 0.25], abs=1e-3)
    assert colours[0, 2].tolist() == [0, 0, 0]
    assert colours.max() <= 255
    assert np.isfinite(directions(np.zeros((3, 3)), np.zeros((3, 3)))).all()


PICTURE = np.array([[0, 0, 9, 9, 9]] * 3 + [[0] * 5] * 2)
STANDING = np.array([[-1, 0, 1]] * 3)
DRAWINGS: dict[str, tuple[Any, str]] = {
    "step": (lambda: draw_step(PICTURE, STANDING, 1, 1), "their sum, 18, stands at row 1, column 1"),
    "sheet": (lambda: draw_sheet(PICTURE, STANDING), "27, 27, 0; 18, 18, 0; 9, 9, 0"),
    "filter": (lambda: draw_picture_and_filter(PICTURE, STANDING), "[-1 0 1], [-1 0 1], [-1 0 1]"),
    "patch": (lambda: draw_patch(numbers(4, 6)), "4 by 6 grey pixels"),
    "goal": (lambda: draw_goal(numbers(20, 30, 3), [STANDING, STANDING.T]), "two filters"),
    "pools": (lambda: draw_pools(np.arange(16).reshape(4, 4)), "5, 7, 13, 15; the means: 2.5, 4.5"),
    "matrix": (
        lambda: draw_matrix(as_matrix(STANDING, 5, 5), PICTURE, np.zeros((3, 3))),
        "9 rows and 25 columns",
    ),
    "block": (
        lambda: draw_block(np.full((3, 3, 3), 2.0), np.ones((3, 3, 3)) * [1, -1, 3]),
        "27 products. Their sum is one number, 54.",
    ),
    "reach": (lambda: draw_reach({1: np.eye(3)[:, :2], 2: np.ones((3, 3))}), "1: 2 by 2, 2: 3 by 3"),
    "guesses": (
        lambda: draw_guesses([np.zeros(9), STANDING.ravel()], [1.0, 0.0], [0, 1]),
        "turn into -1.00, 0.00, 1.00",
    ),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_says_in_its_alt_text_what_it_shows(name: str) -> None:
    draw, words = DRAWINGS[name]
    figure = draw()
    assert isinstance(figure, Figure)
    assert words in figure.alt
