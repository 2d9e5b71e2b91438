"""A street drawn from nothing, to ask a network about: sky, houses, trees, a road, two cars. Notebook 05."""

from __future__ import annotations

import cv2
import numpy as np

SIZE = (360, 480)


def drawn(seed: int = 0) -> np.ndarray:
    """A street in one-point perspective, seen from the middle of the road.

    Returns:
        uint8 (360, 480, 3), RGB.
    """
    rng = np.random.default_rng(seed)
    height, width = SIZE
    picture = np.linspace((150, 185, 225), (225, 232, 238), height)[:, None].repeat(width, axis=1)
    picture = np.ascontiguousarray(picture, np.float32)
    horizon, middle = 190, 250
    for side in (-1, 1):
        for k in range(4):  # the farthest house first
            near, far = 262 / (4 - k), 262 / (5 - k)
            _house(picture, rng, middle + side * far, middle + side * near, (far, near), horizon)
    corners = np.array([[-240, height], [middle - 14, horizon], [middle + 14, horizon], [720, height]])
    cv2.fillPoly(picture, [_points(corners)], (150, 146, 142))  # pavements
    cv2.fillPoly(picture, [_points(corners + [[140, 0], [8, 0], [-8, 0], [-140, 0]])], (92, 92, 96))  # road
    for k in range(6):
        near = horizon + 165 / 1.6**k
        cv2.line(picture, (middle, int(near)), (middle, int(near - 30 / 1.6**k)), (215, 215, 205), 4 - k // 2)
    for x, base, size in ((70, 262, 95), (128, 232, 52), (418, 250, 78)):
        _tree(picture, rng, x, base, size)
    _car(picture, 330, 268, 74, (140, 30, 34))
    _car(picture, 196, 232, 36, (40, 60, 120))
    grain = cv2.GaussianBlur(rng.normal(0, 22, picture.shape).astype(np.float32), (0, 0), 1.1)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.8) + grain, 0, 255).astype(np.uint8)


def _points(corners: np.ndarray) -> np.ndarray:
    return np.rint(corners).astype(np.int32)


def _house(
    picture: np.ndarray,
    rng: np.random.Generator,
    far_x: float,
    near_x: float,
    scale: tuple[float, float],
    horizon: int,
) -> None:
    """A front that recedes, with rows of windows; `scale` is the distance from the middle, far and near."""
    wall = rng.uniform(105, 190) * np.array([1, rng.uniform(0.82, 0.95), rng.uniform(0.7, 0.88)])
    tall = rng.uniform(0.62, 0.95)

    def corner(share: float, up: float) -> tuple[float, float]:
        here = scale[0] + (scale[1] - scale[0]) * share
        return far_x + (near_x - far_x) * share, horizon + 0.345 * here - up * tall * (
            0.3 * here + 0.5 * here
        )

    front = [corner(0, 0), corner(0, 1), corner(1, 1), corner(1, 0)]
    cv2.fillPoly(picture, [_points(np.array(front))], wall.tolist())
    for floor in (0.12, 0.42, 0.72):
        for share in (0.15, 0.42, 0.69):
            pane = [corner(share, floor), corner(share, floor + 0.18)]
            pane += [corner(share + 0.15, floor + 0.18), corner(share + 0.15, floor)]
            cv2.fillPoly(picture, [_points(np.array(pane))], (wall * 0.4).tolist())


def _tree(picture: np.ndarray, rng: np.random.Generator, x: int, base: int, size: int) -> None:
    """A trunk, and leaves as many small discs, lighter above."""
    cv2.line(picture, (x, base), (x, base - size), (70, 55, 45), max(2, size // 12))
    for _ in range(10 * size):
        away, turn = abs(rng.normal(0, 0.28)) * size, rng.uniform(0, 2 * np.pi)
        at = x + away * np.cos(turn), base - 1.25 * size + away * np.sin(turn)
        shade = 70 + 40 * rng.random() - 35 * np.sin(turn)
        cv2.circle(
            picture, (int(at[0]), int(at[1])), max(1, size // 28), (shade * 0.62, shade, shade * 0.4), -1
        )


def _car(picture: np.ndarray, x: int, base: int, size: int, colour: tuple[int, int, int]) -> None:
    """A car from behind: shadow, wheels, body, window, lights."""

    def block(left: float, top: float, right: float, bottom: float, paint: tuple[int, int, int]) -> None:
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) * size + [x, base]
        cv2.fillPoly(picture, [_points(corners)], paint)

    block(-0.5, -0.06, 0.55, 0.04, (48, 48, 50))
    block(-0.44, -0.2, -0.3, 0, (20, 20, 20))
    block(0.3, -0.2, 0.44, 0, (20, 20, 20))
    block(-0.48, -0.45, 0.48, -0.12, colour)
    block(-0.38, -0.75, 0.38, -0.4, colour)
    block(-0.32, -0.7, 0.32, -0.47, (60, 72, 80))
    block(-0.46, -0.42, -0.34, -0.33, (230, 60, 40))
    block(0.34, -0.42, 0.46, -0.33, (230, 60, 40))
