"""Jointed puppets on photographic backgrounds, drawn here, so that every joint is known exactly. Notebook 04.

    few = puppets(8, seed=0)
    few.images.shape, few.joints.shape  # (8, 96, 96, 3), (8, 11, 2)

A puppet is ten limbs that hang on one another, each turned by an angle. The angles follow one of four
actions, with some freedom. Left limbs are light and right ones dark: a front view would not tell them apart.
Picture i depends on the seed, the split and i alone.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from course_utils.datasets import backgrounds
from course_utils.pictures import images

JOINTS = (
    *("hip", "neck", "head", "left elbow", "left hand", "right elbow", "right hand"),
    *("left knee", "left foot", "right knee", "right foot"),
)
LIMBS = ((0, 1), (1, 2), (1, 3), (3, 4), (1, 5), (5, 6), (0, 7), (7, 8), (0, 9), (9, 10))
"""Each limb from the joint that it hangs on to the joint that it ends in, those nearer to the hip first."""
ACTIONS = ("stand", "sit", "wave", "run")

LENGTHS = (0.31, 0.15, 0.17, 0.17, 0.17, 0.17, 0.24, 0.24, 0.24, 0.24)
"""Of the limbs, as shares of the puppet's height."""
POSES = {  # degrees from straight down, forward positive, in the order of LIMBS
    "stand": (180, 180, 12, 8, -12, -8, 6, 3, -6, -3),
    "sit": (184, 176, 25, 65, 20, 60, 88, 0, 82, -4),
    "wave": (180, 182, 140, 172, -14, -6, 7, 3, -7, -3),
    "run": (168, 165, 52, 118, -52, 24, 52, -12, -32, -84),
}
FREE = 9.0  # degrees: standard deviation of every angle
FINE = 4  # times as many pixels each way while drawing


@dataclass(frozen=True)
class Puppets:
    """n pictures of one puppet each.

    Attributes:
        images: uint8 (n, size, size, 3).
        joints: float64 (n, 11, 2), x and y in pixels, in the order of `JOINTS`; all inside the picture.
        actions: int (n,), places in `ACTIONS`.
        boxes: float64 (n, 4), x, y, w, h around all joints.
    """

    images: np.ndarray
    joints: np.ndarray
    actions: np.ndarray
    boxes: np.ndarray


def puppets(n: int, size: int = 96, seed: int = 0, split: str = "train") -> Puppets:
    """Draw n puppets, the actions in turn.

    Args:
        size: side of the pictures in pixels, at least 32.
        split: "train", "validation" or "test": each has backgrounds of its own.

    Raises:
        ValueError: an argument is out of range.
    """
    if n < 1 or size < 32:
        raise ValueError(f"{n} pictures of {size} pixels: at least one of at least 32 pixels")
    behind = [each for each in backgrounds.of_split(split) if each.file]
    number = ("train", "validation", "test").index(split)
    drawn, joints = [], []
    for i in range(n):
        rng = np.random.default_rng([seed, number, i])
        points = _placed(rng, limbs_of(rng, ACTIONS[i % 4]), size)
        canvas = backgrounds.paint(rng, behind[rng.integers(len(behind))], size, size)
        drawn.append(_drawn(rng, points, canvas))
        joints.append(points)
    found = np.stack(joints)
    low, high = found.min(axis=1), found.max(axis=1)
    boxes = np.concatenate([low, high - low], axis=1)
    return Puppets(np.stack(drawn), found, np.arange(n) % 4, boxes)


def limbs_of(rng: np.random.Generator, action: str) -> np.ndarray:
    """Joints (11, 2) of a puppet of height about 1, its hip at 0, y downwards; facing left or right."""
    angles = np.radians(np.array(POSES[action]) + rng.normal(0, FREE, len(LIMBS)) + rng.normal(0, 5))
    lengths = np.array(LENGTHS) * rng.uniform(0.9, 1.1, len(LIMBS))
    facing = rng.choice([-1, 1])
    joints = np.zeros((len(JOINTS), 2))
    for (start, end), angle, length in zip(LIMBS, angles, lengths, strict=True):
        joints[end] = joints[start] + length * np.array([facing * np.sin(angle), np.cos(angle)])
    return joints


def _placed(rng: np.random.Generator, joints: np.ndarray, size: int, margin: float = 0.07) -> np.ndarray:
    """The joints scaled and moved to some place of a picture, in its pixels."""
    scaled = joints * rng.uniform(0.5, 0.85) * size
    low, room = scaled.min(axis=0), (1 - 2 * margin) * size - np.ptp(scaled, axis=0)
    if (room < 0).any():
        scaled *= (1 - 2 * margin) * size / np.ptp(scaled, axis=0).max()
        low, room = scaled.min(axis=0), np.maximum((1 - 2 * margin) * size - np.ptp(scaled, axis=0), 0)
    return np.asarray(scaled - low + margin * size + rng.random(2) * room)


def _drawn(rng: np.random.Generator, joints: np.ndarray, canvas: np.ndarray) -> np.ndarray:
    """A puppet on a background, uint8: right limbs behind the trunk, left ones before it."""
    colours, opacity = painted(joints, canvas.shape[0], _paints(rng))
    return images.to_uint8(colours * opacity + canvas * (1 - opacity))


def painted(joints: np.ndarray, size: int, paints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours (size, size, 3), 0..255, and opacity (size, size, 1), 0..1, of a puppet alone.

    Args:
        paints: (10, 3), a colour for each limb; the head has that of the second.
    """
    sheet = Image.new("RGBA", (size * FINE, size * FINE))
    pen, fine = ImageDraw.Draw(sheet), joints * FINE
    unit = FINE * float(np.linalg.norm(joints[1] - joints[0]))  # of the trunk
    for k in (4, 5, 8, 9, 1, 0, 6, 7, 2, 3):
        (start, end), thick = LIMBS[k], unit * (0.36 if k == 0 else 0.2)
        colour = (*(int(v) for v in paints[k]), 255)
        pen.line([tuple(fine[start]), tuple(fine[end])], fill=colour, width=max(2, round(thick)))
        for x, y in (fine[start], fine[end]):
            pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=colour)
    x, y = fine[2]
    pen.ellipse(
        (x - 0.24 * unit, y - 0.24 * unit, x + 0.24 * unit, y + 0.24 * unit),
        fill=(*(int(v) for v in paints[1]), 255),
    )
    layer = np.asarray(sheet, np.float32).reshape(size, FINE, size, FINE, 4)
    opacity = layer[..., 3:].mean(axis=(1, 3)) / 255
    colours = (layer[..., :3] * layer[..., 3:]).mean(axis=(1, 3)) / np.maximum(opacity * 255, 1e-3)
    return colours, opacity


def with_skeleton(image: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """A picture with the limbs between joints (11, 2) drawn in white and outlined: uint8 (H, W, 3).

    What lies outside the picture is not drawn. A small picture is enlarged to 320 pixels first.
    """
    factor = max(1.0, 320 / min(image.shape[:2]))
    height, width = (round(side * factor) for side in image.shape[:2])
    sheet = Image.fromarray(images.to_uint8(images.resize(image, (height, width))))
    pen, unit = ImageDraw.Draw(sheet), max(2, round(min(height, width) / 160))
    points = [tuple(point) for point in np.asarray(joints) * factor]
    for colour, width in (((0, 0, 0), 2 * unit), ((255, 255, 255), unit)):
        for start, end in LIMBS:
            pen.line([points[start], points[end]], fill=colour, width=width)
        for x, y in points:
            pen.ellipse((x - width, y - width, x + width, y + width), fill=colour)
    return np.asarray(sheet)


def _paints(rng: np.random.Generator) -> np.ndarray:
    """A shirt, trousers and skin; left limbs light, right ones dark: (10, 3), 0..255."""
    shirt, trousers = rng.random(2)
    skin = (0.07 + 0.03 * rng.random(), 0.35 + 0.3 * rng.random())

    def paint(hue: float, saturation: float, value: float) -> list[float]:
        return [255 * v for v in colorsys.hsv_to_rgb(hue, saturation, value)]

    light, dark = rng.uniform(0.85, 1.0), rng.uniform(0.35, 0.5)
    rows = [paint(shirt, 0.7, 0.7), paint(*skin, 0.85)]
    rows += [paint(shirt, 0.5, light), paint(*skin, light), paint(shirt, 0.9, dark), paint(*skin, dark)]
    rows += [paint(trousers, 0.4, light)] * 2 + [paint(trousers, 0.9, dark)] * 2
    return np.array(rows)
