"""Make the style pictures of notebook 07: `python tools/make_styles.py [NAME …] [--out DIR]`.

Every picture is drawn by the code below from a fixed seed, with NumPy, SciPy, OpenCV and Pillow only:
no photograph and nobody's painting went in. They are drawn at twice their size and then reduced.
The techniques have names worth looking up: curved brush strokes of several sizes (Hertzmann, 1998),
mosaics as centroidal Voronoi diagrams in an oriented city-block distance (Hausner, 2001), engraving by lines
whose width follows the tone, and watercolour as many transparent, randomly deformed polygons.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy import interpolate

HEIGHT, WIDTH = 1024, 1280  # drawn at this size, shipped at half of it
PIXELS = (HEIGHT, WIDTH)
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
Array = np.ndarray


# ---------------------------------------------------------------- tools that several pictures share


def rgb(text: str) -> Array:
    """Colours written as hexadecimal words -> (n, 3) float32, 0..255."""
    return np.array([[int(word[i : i + 2], 16) for i in (0, 2, 4)] for word in text.split()], np.float32)


def blend(stops: Array, t: Array) -> Array:
    """The colour at `t` (0..1) on the way from the first stop to the last."""
    place = np.clip(t, 0, 1) * (len(stops) - 1)
    low = np.minimum(place.astype(int), len(stops) - 2)
    part = (place - low)[..., None]
    return stops[low] * (1 - part) + stops[low + 1] * part


def step(edge0: float, edge1: float, value: Array) -> Array:
    """A smooth step from 0 at `edge0` to 1 at `edge1`."""
    t = np.clip((value - edge0) / (edge1 - edge0), 0, 1)
    return t * t * (3 - 2 * t)


def clouds(rng: np.random.Generator, size: float, octaves: int = 4, stretch: float = 1.0) -> Array:
    """Smooth noise in 0..1; `size` is that of its largest features in pixels, `stretch` widens them."""
    total, weight = np.zeros(PIXELS, np.float32), 1.0
    for octave in range(octaves):
        cell = size / 2**octave
        shape = (int(HEIGHT / cell) + 3, int(WIDTH / (cell * stretch)) + 3)
        grid = rng.standard_normal(shape).astype(np.float32)
        total += weight * cv2.resize(grid, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        weight *= 0.5
    low, high = np.percentile(total, (1, 99))
    return np.clip((total - low) / (high - low), 0, 1).astype(np.float32)


def blur(image: Array, sigma: float) -> Array:
    """Gaussian blur."""
    return cv2.GaussianBlur(image, (0, 0), sigma)


def along(field: Array) -> Array:
    """The direction, in radians, of the lines on which `field` is constant."""
    down, right = np.gradient(blur(field.astype(np.float32), 2))
    return np.arctan2(-right, down)


def lit(canvas: Array, height: Array, strength: float, sigma: float = 1.2) -> Array:
    """Light from the upper left on a canvas whose paint stands `height` (0..255) high."""
    smooth = blur(height.astype(np.float32), sigma)
    slope = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) + cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    shade = np.tanh(slope / 160) * strength
    return canvas * (1 + shade[..., None])


def paper(rng: np.random.Generator, strength: float) -> Array:
    """The grain of paper as a factor around 1, (H, W, 1)."""
    grain = blur(rng.standard_normal(PIXELS).astype(np.float32), 1.6)
    rough = grain / grain.std() * 0.7 + (clouds(rng, 12, 2) - 0.5) * 2
    return (1 + strength * rough)[..., None].astype(np.float32)


def finish(image: Array) -> Array:
    """Reduce to the shipped size -> (512, 640, 3) uint8."""
    half = cv2.resize(image.astype(np.float32), (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    return np.clip(half + 0.5, 0, 255).astype(np.uint8)


# ---------------------------------------------------------------- a brush


def trails(points: Array, angle: Array, length: Array, steps: int = 14) -> Array:
    """Follow the direction field from every point -> (n, steps, 2) of x, y."""
    path = np.empty((len(points), steps, 2), np.float32)
    here = points.astype(np.float32).copy()
    stride = (length / steps)[:, None]
    for i in range(steps):
        path[:, i] = here
        column = np.clip(here[:, 0], 0, WIDTH - 1).astype(int)
        row = np.clip(here[:, 1], 0, HEIGHT - 1).astype(int)
        turn = angle[row, column]
        here = here + stride * np.stack([np.cos(turn), np.sin(turn)], 1)
    return path - (path[:, steps // 2] - points)[:, None]  # the point becomes the stroke's middle


def bristles(path: Array, width: float, rng: np.random.Generator) -> list[Array]:
    """One stroke as parallel hairs, some of which run dry early; fixed-point coordinates for OpenCV."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-6
    normal = np.stack([-along[:, 1], along[:, 0]], 1)
    count = max(3, round(width / 1.7))
    taper = np.sin(np.linspace(0.18, np.pi - 0.12, len(path)))[:, None] ** 0.4
    hairs = []
    for offset in np.linspace(-0.5, 0.5, count):
        last = len(path) - int(rng.integers(0, 4))
        line = path + normal * (width * offset * taper)
        hairs.append(np.round(line[int(rng.integers(0, 2)) : last] * 16).astype(np.int32)[:, None])
    return hairs


def brush(
    canvas: Array, height: Array, colours: Array, angle: Array, rng: np.random.Generator,
    *, width: float, length: float, count: int, broken: float = 14.0, where: Array | None = None,
) -> None:  # fmt: skip
    """Paint `count` strokes on `canvas` (uint8), and their thickness on `height` (uint8), in place."""
    points = rng.uniform((0, 0), (WIDTH, HEIGHT), (count, 2)).astype(np.float32)
    if where is not None:
        keep = rng.uniform(size=count) < where[points[:, 1].astype(int), points[:, 0].astype(int)]
        points = points[keep]
    paths = trails(points, angle, length * rng.uniform(0.6, 1.3, len(points)))
    for point, path in zip(points.astype(int), paths, strict=True):
        base = colours[point[1], point[0]] + rng.normal(0, broken * 0.6, 3) + rng.normal(0, broken)
        for hair in bristles(path, width * rng.uniform(0.7, 1.25), rng):
            colour = np.clip(base + rng.normal(0, broken * 0.6), 0, 255)
            cv2.polylines(canvas, [hair], False, colour.tolist(), 2, cv2.LINE_AA, 4)
            cv2.polylines(height, [hair], False, float(rng.uniform(90, 255)), 2, cv2.LINE_AA, 4)


# ---------------------------------------------------------------- the pictures


def hills(levels: Sequence[float], rng: np.random.Generator, rough: float) -> list[Array]:
    """Outlines of rolling hills, one (W,) array of heights in pixels for each level."""
    x = np.linspace(0, 1, WIDTH)
    lines = []
    for level in levels:
        wave = sum(
            rng.uniform(0.3, 1) / k * np.sin(2 * np.pi * (k * x * 0.8 + rng.uniform())) for k in (1, 2, 3)
        )
        lines.append((level * HEIGHT + rough * HEIGHT * wave).astype(np.float32))
    return lines


def night_wind(rng: np.random.Generator) -> Array:
    """Swirling strokes: a windy night over hills."""
    stars = [(230, 190, 62), (470, 110, 36), (1010, 200, 92), (700, 330, 40), (370, 420, 44), (1180, 430, 38),
             (90, 400, 34), (830, 90, 34)]  # fmt: skip
    eddies = [(600, 300, 150, 1.0), (370, 330, 105, -1.0), (880, 420, 120, -0.9), (140, 300, 90, 0.8)]
    flow = ROWS * 0.9 + 70 * np.sin(COLUMNS / 190 + 0.6) + 60 * clouds(rng, 420, 2)
    for x, y, radius, sign in eddies + [(x, y, 1.5 * r, 0.9) for x, y, r in stars]:
        distance = np.hypot(COLUMNS - x, ROWS - y)
        flow += sign * 2.6 * radius * np.exp(-((distance / (1.25 * radius)) ** 2))
    tone = 0.5 + 0.34 * np.sin(flow / 23) + 0.25 * np.sin(flow / 61 + 1) - 0.12
    colours = blend(rgb("0b1644 14307c 1f55a8 4a8cc8 9cc7d8 e3e6c4"), 0.12 + 0.72 * tone)
    for x, y, radius in stars:
        distance = np.hypot(COLUMNS - x, ROWS - y) / radius
        halo = np.exp(-((distance / 1.15) ** 2)) * (0.82 + 0.18 * np.cos(distance * 9))
        warm = blend(rgb("dba52c f3c63f f9e38a fff6d0"), 1.15 - distance * 0.55)
        colours += (warm - colours) * np.clip(halo * 1.25, 0, 1)[..., None]
    angle = along(flow)
    greens = ("0d2236 17445a 2b6a66 7b9a5a", "0b1c30 123a4a 2c6250 93a24e", "09131f 10303a 2a5138 b08f3a")
    for line, stops in zip(hills((0.70, 0.79, 0.90), rng, 0.035), greens, strict=True):
        depth = ROWS - line[None]
        stripe = (
            0.42
            + 0.3 * np.sin(depth / 19 + 3 * clouds(rng, 260, 2))
            + 0.75 * np.exp(-depth / 26)
            - depth / 420
        )
        inside = depth > 0
        colours[inside] = blend(rgb(stops), stripe)[inside]
        slope = np.broadcast_to(np.arctan(np.gradient(line))[None], PIXELS)
        angle[inside] = slope[inside] + 0.5 * (clouds(rng, 200, 2)[inside] - 0.5)
    canvas = np.full((*PIXELS, 3), (16, 26, 62), np.uint8)
    height = np.zeros(PIXELS, np.uint8)
    for width, length, count in ((30, 130, 2600), (17, 90, 6500), (10, 62, 7000)):
        brush(canvas, height, colours, angle, rng, width=width, length=length, count=count)
    return lit(canvas, height, 0.33)


def curve(words: str, count: int = 400) -> Array:
    """A smooth open curve through points "x,y x,y …" in shipped pixels -> (count, 2) at drawing size."""
    points = np.array([[float(v) for v in word.split(",")] for word in words.split()]) * 2
    spline, _ = interpolate.splprep(points.T, s=0, k=3)
    return np.stack(interpolate.splev(np.linspace(0, 1, count), spline), 1)


def filled(points: Array) -> Array:
    """A polygon as a soft mask in 0..1."""
    mask = np.zeros(PIXELS, np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def away_from(points: Array) -> Array:
    """Distance of every pixel from a polyline."""
    mask = np.full(PIXELS, 255, np.uint8)
    cv2.polylines(mask, [np.round(points).astype(np.int32)], False, 0, 2)
    return cv2.distanceTransform(mask, cv2.DIST_L2, 5)


def over(canvas: Array, colour: Array, mask: Array) -> Array:
    """`colour` (3,) or (H, W, 3) laid over the canvas where the mask (0..1) says so."""
    return canvas + (colour - canvas) * mask[..., None]


def print_sky(rng: np.random.Generator) -> Array:
    """The sky of the woodcut: a graded block with cut lines, and a sun behind bars of cloud."""
    warp = ROWS + 16 * np.sin(COLUMNS / 150) + 26 * (clouds(rng, 300, 3, 3.0) - 0.5)
    sky = blend(rgb("31557b 7fa3ad d9cba2 eec98c e39a5f"), ROWS / 800)
    distance = np.hypot(COLUMNS - 1010, ROWS - 330)
    rings = np.sin(distance / 6.5 + 1.5 * clouds(rng, 120, 2))
    lines = np.where(distance < 400, rings, np.sin(warp / 5))
    tone = 0.3 + 0.8 * clouds(rng, 190, 3, 3.0) + 0.25 * np.clip(1 - distance / 400, 0, 1)
    sky = over(sky, rgb("233a5e")[0], 0.75 * step(tone - 0.12, tone + 0.12, lines))
    sun = step(152, 149, distance) * step(-0.75, -0.45, np.sin(warp / 17) + (ROWS < 330) * 2)
    return over(sky, rgb("cf3d2a")[0], sun)


def swell(canvas: Array, rng: np.random.Generator, level: float, size: float, stops: Array) -> Array:
    """A row of pointed waves, filled with carved lines that follow the crest."""
    x = np.arange(WIDTH) / size + rng.uniform(0, 3)
    crest = np.abs(np.sin(x + 0.35 * np.sin(2 * x))) ** 0.72
    line = level + size * 0.55 * (crest - 0.5) + 10 * np.sin(x * 0.37)
    depth = ROWS - line[None].astype(np.float32)
    body = step(-1.5, 1.5, depth)
    wobble = depth + 7 * (clouds(rng, 90, 3, 2.5) - 0.5)
    tone = np.clip(depth / (size * 0.85), 0, 1) * 1.7 - 0.95 + 0.8 * (clouds(rng, 70, 2, 4.0) - 0.5)
    canvas = over(canvas, blend(stops, np.clip(depth / size, 0, 1)), body)
    cut = step(-0.2, 0.2, tone - np.cos(wobble / 2.3))
    canvas = over(canvas, rgb("1a2748")[0], body * cut * step(7, 10, depth))
    return over(canvas, rgb("1a2748")[0], step(3.4, 2.0, np.abs(depth)))


def foam(canvas: Array, rng: np.random.Generator, points: Array, size: float) -> Array:
    """Foam as a printer cuts it: paper-white rounds with an outline, in clusters along a line."""
    canvas = np.clip(canvas, 0, 255).astype(np.uint8)
    for x, y in points:
        for _ in range(3):
            dx, dy = rng.normal(0, size * 0.62, 2)
            centre, radius = (int(x + dx), int(y + dy)), int(size * rng.uniform(0.25, 0.8))
            cv2.circle(canvas, centre, radius + 3, (26, 39, 72), -1, cv2.LINE_AA)
            cv2.circle(canvas, centre, radius, (244, 236, 214), -1, cv2.LINE_AA)
            if radius > 9:
                cv2.ellipse(
                    canvas, centre, (radius - 5, radius - 5), 0, 20, 160, (120, 160, 180), 2, cv2.LINE_AA
                )
    return canvas.astype(np.float32)


def woodcut_wave(rng: np.random.Generator) -> Array:
    """A breaking wave as a coloured woodcut: carved lines, five inks, foam left as paper."""
    canvas = print_sky(rng)
    canvas = swell(canvas, rng, 640, 90, rgb("d9dfc9 86aab0 4d7f9c"))
    canvas = swell(canvas, rng, 700, 150, rgb("e9e6cf 6f9cad 3a6b90"))
    outer = curve("-40,330 20,275 70,205 130,130 205,78 290,58 370,80 425,130 446,196")
    inner = curve("446,196 418,158 372,136 318,146 278,188 262,250 284,322 345,380 440,408 545,404 690,352")
    far, near = away_from(outer), away_from(inner)
    body = filled(np.concatenate([outer, inner, [[1400, 1100], [-100, 1100]]]))
    share = far / (far + near + 1e-3) + 0.025 * (clouds(rng, 150, 3) - 0.5)
    bands = np.sin(share * 2 * np.pi * 7)
    ink = blend(
        rgb("16264c 20406f 2f6390 8db4bb efe9d2"), 0.5 + 0.62 * bands + 0.35 * (near < 60) * (1 - near / 60)
    )
    canvas = over(canvas, ink, body)
    fine = np.cos(share * 2 * np.pi * 35) + 0.35 * (clouds(rng, 40, 2) - 0.5)
    wide = np.clip((far + near) / 130, 0.25, 1) * (0.55 + 0.6 * clouds(rng, 130, 3))
    canvas = over(canvas, rgb("f3ecd6")[0], body * step(0.72, 0.9, fine) * step(0.1, -0.3, bands) * wide)
    canvas = over(canvas, rgb("1c2c58")[0], body * step(0.72, 0.9, -fine) * step(0.0, 0.4, bands) * wide)
    canvas = over(canvas, rgb("14203f")[0], step(5.5, 3.5, np.minimum(far, near)))
    canvas = foam(canvas, rng, outer[140::7], 24)
    canvas = foam(canvas, rng, inner[:130:6], 20)
    canvas = foam(canvas, rng, outer[399:] + rng.normal(0, 70, (26, 2)) + (30, 60), 13)
    canvas = swell(canvas, rng, 940, 210, rgb("efe9d2 7fabb5 28588a"))
    return canvas * paper(rng, 0.035)


def fish(centre: tuple[float, float], length: float, turn: float) -> tuple[Array, Array, Array]:
    """Coordinates of a fish -> (u along it, v across it, distance-like field: below 0 inside)."""
    x, y = COLUMNS - centre[0], ROWS - centre[1]
    u = (x * np.cos(turn) + y * np.sin(turn)) / length
    v = (-x * np.sin(turn) + y * np.cos(turn)) / length - 0.06 * np.sin(2.6 * u)
    reach = ((u - 0.05) / 0.98) ** 2
    body = np.abs(v) - 0.36 * np.clip(1 - reach, 0, None) ** 0.75 + 0.8 * np.clip(reach - 1, 0, None)
    tail = np.maximum(
        np.abs(v) - 0.06 - 0.62 * np.clip(-0.78 - u, 0, None),
        np.maximum(-1.35 - u + 0.5 * np.abs(v), u + 0.75),
    )
    fin = np.maximum(np.abs(u + 0.05 + 0.5 * (np.abs(v) - 0.3)) - 0.24, np.abs(v) - 0.47)
    return u, v, np.minimum(np.minimum(body, tail), fin)


def shoal(rng: np.random.Generator) -> tuple[Array, Array]:
    """Colours and a field whose level lines the tiles follow: three fish among waves."""
    wave = ROWS + 34 * np.sin(COLUMNS / 105) + 18 * np.sin(COLUMNS / 47 + ROWS / 130)
    colours = blend(
        rgb("f2e6c6 e7d3a2 9fcfc4 4aa3a8 1f7a92 155a7c"), ROWS / HEIGHT + 0.16 * np.sin(wave / 21)
    )
    field = wave.copy()
    schemes = (
        "1c3f77 2f6fb0 f0ece0 e98a2b d65a1f",
        "7d1f2b c63b2c f4c75b f6ead0 d9862b",
        "173b3f 1f7f74 8fd0b0 f4ecd2 e7b53c",
    )
    for place, stops in zip(
        ((480, 300, 330, 0.2), (900, 590, 310, np.pi - 0.3), (400, 830, 260, -0.12)), schemes, strict=True
    ):
        u, v, outside = fish(place[:2], place[2], place[3])
        far = outside * place[2]
        near = np.exp(-np.clip(far, 0, None) / 60)
        field = field * (1 - near) + far * near * 1.0
        inside = outside < 0
        scales = 0.5 + 0.95 * v + 0.10 * np.sin(u * 20)
        colours[inside] = blend(rgb(stops), scales)[inside]
        gill = inside & (np.abs(u - 0.5 - 0.25 * v * v * 8) < 0.035)
        colours[gill | (np.abs(far) < 10)] = rgb("1b2530")[0]
        colours[(far > 10) & (far < 34)] = rgb("f3ead2")[0]
        eye = np.hypot(u - 0.7, v + 0.07) * place[2]
        colours[eye < 24] = rgb("f6efe0")[0]
        colours[eye < 12] = rgb("14181f")[0]
        field = np.where(inside, far * 1.0, field)
    return colours, field


def tiles(angle: Array, size: float, rng: np.random.Generator, rounds: int = 24) -> tuple[Array, Array]:
    """Hausner's mosaic: sites that settle into rows along `angle` -> (owner of each pixel, sites x, y)."""
    count = int(HEIGHT * WIDTH / size**2)
    sites = rng.uniform((0, 0), (WIDTH - 1, HEIGHT - 1), (count, 2))
    reach = int(size * 2)
    for _ in range(rounds):
        best, owner = np.full(PIXELS, np.inf, np.float32), np.zeros(PIXELS, np.int32)
        for i, (x, y) in enumerate(sites):
            left, top = max(0, int(x) - reach), max(0, int(y) - reach)
            window = slice(top, int(y) + reach), slice(left, int(x) + reach)
            dx, dy = COLUMNS[window] - x, ROWS[window] - y
            turn = angle[int(y), int(x)]
            c, s = np.cos(turn), np.sin(turn)
            distance = np.abs(dx * c + dy * s) + np.abs(dy * c - dx * s)
            closer = distance < best[window]
            best[window][closer] = distance[closer]
            owner[window][closer] = i
        area = np.maximum(np.bincount(owner.ravel(), minlength=count), 1)
        sites[:, 0] = np.bincount(owner.ravel(), COLUMNS.ravel(), count) / area
        sites[:, 1] = np.bincount(owner.ravel(), ROWS.ravel(), count) / area
    return owner, sites


def mosaic(rng: np.random.Generator) -> Array:
    """Fish in a Roman sea: square tiles of stone and glass, laid along the outlines."""
    colours, field = shoal(rng)
    angle = along(blur(field.astype(np.float32), 6))
    owner, sites = tiles(angle, 20.0, rng)
    column, row = sites[:, 0].astype(int), sites[:, 1].astype(int)
    turn = angle[row, column] + rng.normal(0, 0.05, len(sites))
    tint = colours[row, column] * (1 + rng.normal(0, 0.085, (len(sites), 1))) + rng.normal(
        0, 5, (len(sites), 3)
    )
    dx, dy = COLUMNS - sites[owner, 0], ROWS - sites[owner, 1]
    u = dx * np.cos(turn)[owner] + dy * np.sin(turn)[owner]
    v = dy * np.cos(turn)[owner] - dx * np.sin(turn)[owner]
    half = (9.0 * rng.uniform(0.9, 1.08, len(sites)))[owner]
    edge = half - (np.abs(u) ** 6 + np.abs(v) ** 6) ** (1 / 6)
    tilt = rng.normal(0, 0.010, (len(sites), 2))[owner]
    shine = 1 + u * tilt[..., 0] + v * tilt[..., 1] + 0.14 * step(2.6, 0.4, edge) * np.sign(-dx - dy)
    stone = tint[owner] * shine[..., None]
    grout = rgb("574c43")[0] * paper(rng, 0.04)
    return over(grout, stone, step(-0.6, 0.8, edge))


def wash(canvas: Array, ink: Array, strength: Array) -> Array:
    """Transparent ink: each colour channel lets through less light where `strength` (0..) is high."""
    return canvas * np.exp(-strength[..., None] * (1 - ink / 255) * 1.25)


def range_of_hills(rng: np.random.Generator, level: float, rough: float) -> Array:
    """The outline of a mountain range, (W,) rows."""
    x = np.arange(WIDTH, dtype=np.float32)
    line = np.zeros(WIDTH, np.float32)
    for size, height in ((620, 1.0), (270, 0.55), (90, 0.16), (34, 0.07), (13, 0.03)):
        knots = rng.standard_normal(int(WIDTH / size) + 5)
        line += height * interpolate.CubicSpline(np.arange(len(knots)) * size - size, knots)(x)
    return level - rough * line


def mountain(canvas: Array, rng: np.random.Generator, level: float, rough: float, dark: float) -> Array:
    """A range in ink: a dark ridge, dry strokes down its flanks, and mist at its foot."""
    line = range_of_hills(rng, level, rough)
    depth = ROWS - line[None]
    inside = step(-1, 2, depth + 3 * (clouds(rng, 14, 2) - 0.5))
    folds = clouds(rng, 90, 4) + 0.4 * np.sin((depth * 0.5 + COLUMNS) / 15 + 7 * clouds(rng, 150, 3))
    dry = step(0.55, 0.95, folds) * np.exp(-depth.clip(0) / (rough * 1.5))
    mist = np.exp(-depth.clip(0) / (rough * 1.25))
    ridge = np.exp(-(((depth - 4) / 6) ** 2)) * (0.5 + 0.9 * clouds(rng, 50, 3))
    tone = inside * (0.55 * mist * (0.6 + 0.8 * clouds(rng, 110, 4)) + 0.9 * dry + ridge)
    return wash(canvas, rgb("20262c")[0], dark * tone)


def stalk(
    canvas: Array, rng: np.random.Generator, foot: float, head: float, width: float, dark: float
) -> Array:
    """A bamboo stalk: one push of a flat, half-dry brush for each segment."""
    streaks = clouds(rng, 9, 2, 0.5)[:, :1]
    joints = np.sort(np.append(np.arange(-60, HEIGHT + 200, 190) + rng.normal(0, 16, 7), [1200]))
    middle = foot + (head - foot) * (1 - ROWS / HEIGHT) + 14 * np.sin(ROWS / 330)
    across = (COLUMNS - middle) / width
    hairs = interpolate.CubicSpline(np.linspace(-3, 3, 61), rng.uniform(0.25, 1, 61))(
        np.clip(across * 2, -3, 3)
    )
    segment = np.searchsorted(joints, ROWS[:, 0])
    gap = np.abs(ROWS[:, :1] - joints[np.minimum(segment, len(joints) - 1)][:, None])
    gap = np.minimum(gap, np.abs(ROWS[:, :1] - joints[np.maximum(segment - 1, 0)][:, None]))
    body = step(1.0, 0.9, np.abs(across) * (1 - 0.12 * np.exp(-gap / 16) * -1)) * step(3, 8, gap)
    dry = step(0.1, 0.55, hairs + 0.5 * clouds(rng, 60, 4) + 0.2 * streaks - 0.25)
    knot = np.exp(-(((gap - 9) / 4) ** 2)) * step(1.12, 1.0, np.abs(across)) * 0.9
    tone = body * dry * (0.5 + 0.5 * np.abs(across) ** 2 + 0.3 * np.exp(-gap / 40)) + knot
    return wash(canvas, rgb("14181c")[0], dark * tone)


def leaf(tip: tuple[float, float], turn: float, length: float, width: float) -> Array:
    """A bamboo leaf as a polygon: pressed down, then lifted off to a point."""
    t = np.linspace(0, 1, 30)
    half = width * np.sin(np.pi * t**0.62) * (1 - 0.25 * t)
    bend = 0.10 * length * t**2
    x = t * length
    outline = np.concatenate([np.stack([x, bend + half], 1), np.stack([x, bend - half], 1)[::-1]])
    c, s = np.cos(turn), np.sin(turn)
    return outline @ np.array([[c, s], [-s, c]]) + tip


def ink(rng: np.random.Generator) -> Array:
    """Bamboo before mountains in mist: black ink on rice paper, and one red seal."""
    canvas = (
        rgb("f0e8d6")[0] * np.ones((*PIXELS, 1), np.float32) * (0.95 + 0.07 * clouds(rng, 500, 3)[..., None])
    )
    for level, rough, dark in ((430, 95, 0.45), (600, 120, 0.75), (800, 105, 1.1), (985, 70, 1.6)):
        canvas = mountain(canvas, rng, level, rough, dark)
    for foot, head, width, dark in (
        (1130, 1050, 20, 0.7),
        (120, 210, 18, 0.6),
        (975, 1110, 30, 1.9),
        (240, 120, 24, 1.5),
    ):
        canvas = stalk(canvas, rng, foot, head, width, dark)
    clusters = [
        (1050, 170),
        (950, 330),
        (1130, 420),
        (1020, 560),
        (210, 120),
        (130, 300),
        (270, 420),
        (820, 130),
        (380, 200),
    ]
    for x, y in clusters:
        for _ in range(int(rng.integers(6, 10))):
            start = (x + rng.normal(0, 36), y + rng.normal(0, 30))
            blade = leaf(start, np.pi / 2 + rng.normal(0, 0.75), rng.uniform(110, 230), rng.uniform(9, 15))
            dry = 0.75 + 0.5 * step(0.25, 0.7, clouds(rng, 22, 2, 0.4))
            canvas = wash(canvas, rgb("12161a")[0], filled(blade) * dry * rng.choice([0.7, 1.6, 2.6]))
    seal = filled(np.array([[596, 112], [668, 110], [670, 186], [594, 184]]))
    mark = (np.abs(ROWS - 148) < 30) & (np.abs(COLUMNS - 632) < 28)
    mark &= np.sin(ROWS / 5.2) * np.sin(COLUMNS / 7.4 + (ROWS > 145)) > 0.3
    canvas = over(canvas, rgb("b5301f")[0], seal * (1 - mark) * (0.75 + 0.25 * clouds(rng, 9, 2)))
    return canvas * paper(rng, 0.03)


def disc(
    rng: np.random.Generator, x: float, y: float, rings: Sequence[float], sectors: int, stops: Array
) -> Array:
    """Concentric rings cut into sectors, every piece with a colour of its own -> (H, W, 3)."""
    distance, around = np.hypot(COLUMNS - x, ROWS - y), np.arctan2(ROWS - y, COLUMNS - x)
    ring = np.searchsorted(np.asarray(rings), distance)
    sector = (
        np.floor((around / (2 * np.pi) + 0.5) * sectors + 0.001 + 0.25 * (ring % 2)).astype(int) % sectors
    )
    table = stops[rng.integers(0, len(stops), (len(rings) + 1, sectors))]
    inner = np.concatenate([[0], rings])[ring]
    return table[ring, sector] * (0.86 + 0.22 * np.clip((distance - inner) / 60, 0, 1))[..., None]


def geometry(rng: np.random.Generator) -> Array:
    """Discs, beams and bars whose colours change where they cross, painted with a dry brush."""
    stops = rgb("e63b2e f2a51d f6d64a 1f4e9e 2aa0a4 0f2547 e9e2cf d9668c 5b2a6e 7cb342 f07f2d 89c4e1")
    canvas = disc(rng, 340, 260, (70, 130, 200, 270, 350, 440, 540, 660, 800, 960, 1200), 8, stops)
    for x, y, size, sectors in (
        (930, 640, 330, 6),
        (1110, 190, 210, 4),
        (250, 830, 220, 4),
        (610, 480, 120, 8),
    ):
        layer = disc(rng, x, y, np.linspace(0.18, 1, 6) * size, sectors, stops)
        canvas = over(canvas, layer, step(size + 1, size - 1, np.hypot(COLUMNS - x, ROWS - y)))
    beams = (
        [[0, 1024], [760, 60], [860, 1024]],
        [[1280, 1000], [560, 700], [1280, 420]],
        [[420, 0], [700, 0], [180, 560]],
    )
    for points, tint in zip(beams, rgb("f6d64a e63b2e 89c4e1"), strict=True):
        mask = filled(np.array(points, float)) * (0.35 + 0.4 * clouds(rng, 500, 1))
        canvas = over(canvas, tint, mask)
    checks = ((COLUMNS // 44 + ROWS // 44) % 2 > 0) * filled(
        np.array([[820, 820], [1180, 700], [1270, 900], [900, 1010]])
    )
    canvas = over(canvas, rgb("14161c")[0], checks * 0.92)
    canvas = canvas * (0.9 + 0.16 * clouds(rng, 26, 2, 5.0) + 0.1 * clouds(rng, 16, 2, 0.25))[..., None]
    lines = np.clip(canvas, 0, 255).astype(np.uint8)
    for x, y, size in ((340, 260, 440), (930, 640, 330), (1110, 190, 210), (610, 480, 120), (250, 830, 132)):
        cv2.circle(lines, (x, y), size, (16, 18, 24), 9, cv2.LINE_AA)
    bars = ((0, 60, 1280, 900, 7), (140, 1024, 900, 0, 11), (0, 700, 1280, 560, 5))
    bars += ((1000, 0, 1180, 1024, 7), (40, 640, 420, 1000, 16), (700, 90, 1000, 60, 16))
    for x0, y0, x1, y1, size in bars:
        cv2.line(lines, (x0, y0), (x1, y1), (16, 18, 24), size, cv2.LINE_AA)
    for x, y, size in ((700, 170, 26), (770, 240, 15), (1180, 560, 30), (500, 930, 22), (100, 560, 18)):
        cv2.circle(lines, (x, y), size, (232, 224, 205), -1, cv2.LINE_AA)
        cv2.circle(lines, (x, y), size, (16, 18, 24), 6, cv2.LINE_AA)
    return lines * paper(rng, 0.03)


def stain(
    rng: np.random.Generator, x: float, y: float, size: float, rough: float = 0.5, sides: int = 9
) -> Array:
    """A deformed polygon as watercolour spreads: every edge is split at a random place, again and again."""
    turn = np.sort(rng.uniform(0, 2 * np.pi, sides))
    points = np.stack([np.cos(turn), np.sin(turn)], 1) * size * rng.uniform(0.8, 1.15, (sides, 1)) + (x, y)
    for _ in range(4):
        following = np.roll(points, -1, axis=0)
        side = following - points
        length = np.linalg.norm(side, axis=1, keepdims=True)
        middle = points + side * rng.uniform(0.35, 0.65, (len(points), 1))
        middle += rng.normal(0, 1, points.shape) * length * rough * 0.42
        points = np.stack([points, middle], 1).reshape(-1, 2)
        rough *= 0.88
    return points


def pour(
    canvas: Array,
    rng: np.random.Generator,
    ink: Array,
    outlines: Sequence[Array],
    strength: float,
    grain: Array,
) -> Array:
    """A wash of several layers: soft, darker along its edge where the pigment dries, grainy inside."""
    cover = np.mean([filled(points) for points in outlines], axis=0).astype(np.float32)
    rim = np.clip(cover - blur(cover, 7), 0, 1) * 2.0 + np.clip(
        blur(cover, 2) * (1 - blur(cover, 2)) * 1.1, 0, 1
    )
    return wash(canvas, ink, strength * (cover * grain + 0.5 * rim))


def watercolour(rng: np.random.Generator) -> Array:
    """A poppy field under a wet sky, in transparent washes on rough paper."""
    canvas = rgb("faf5ea")[0] * np.ones((*PIXELS, 1), np.float32)
    grain = 0.45 + 0.75 * clouds(rng, 190, 5) + 0.16 * (clouds(rng, 5, 1) - 0.5)
    inks = rgb("3f86c4 7fb2dd 5a6fb5 9a8cc7 f0b27a")
    for _ in range(26):
        x, y, size = rng.uniform(0, WIDTH), rng.uniform(-60, 480), rng.uniform(110, 300)
        kind = inks[rng.choice(5, p=(0.34, 0.3, 0.16, 0.12, 0.08))]
        canvas = pour(canvas, rng, kind, [stain(rng, x, y, size) for _ in range(4)], 0.36, grain)
    for i, ink in enumerate(rgb("a9bd7c 8fb25a b4cc4e 7fae62 9cc04a 86b83e")):
        for x in np.arange(0, WIDTH + 1, 150):
            outline = [
                stain(rng, x + rng.normal(0, 40), 560 + i * 90, rng.uniform(60, 110)) for _ in range(3)
            ]
            canvas = pour(canvas, rng, ink, outline, 0.62, grain)
    for _ in range(260):
        x, y = rng.uniform(0, WIDTH), rng.uniform(620, 1090)
        blade = leaf((x, y), -np.pi / 2 + rng.normal(0, 0.3), rng.uniform(60, 210), rng.uniform(2.5, 6))
        canvas = wash(
            canvas, rgb("2f6a3a 6c8f2e 20504a")[rng.integers(3)], filled(blade) * rng.uniform(0.25, 0.9)
        )
    for depth in np.linspace(0, 1, 44) ** 0.8:
        x, y, size = rng.uniform(0, WIDTH), 570 + 400 * depth + rng.normal(0, 20), 13 + 62 * depth**1.4
        ink = rgb("e0301e d4213d f0562a e8433f c81d3a")[rng.integers(5)]
        petals = [
            stain(rng, x + rng.normal(0, size * 0.4), y + rng.normal(0, size * 0.28), size, 0.45)
            for _ in range(5)
        ]
        cover = np.max([filled(points) for points in petals], axis=0)
        canvas = over(
            canvas, rgb("fbeee0")[0], 0.93 * cover
        )  # a painter leaves the paper white for the petals
        canvas = pour(canvas, rng, ink, petals, 1.25, grain)
        canvas = pour(canvas, rng, ink, petals[:2], 0.5, grain)
        canvas = wash(canvas, rgb("2a1526")[0], filled(stain(rng, x, y, size * 0.24, 0.6)) * 1.5)
    spots = np.stack([rng.uniform(0, WIDTH, 260), rng.uniform(0, HEIGHT, 260)], 1)
    for (x, y), size in zip(spots, rng.exponential(3.0, 260), strict=True):
        canvas = wash(
            canvas,
            rgb("d4213d 3f86c4 5f8a4a")[rng.integers(3)],
            filled(stain(rng, x, y, size + 1, 0.3)) * 0.7,
        )
    return canvas * paper(rng, 0.028)


def stained_glass(rng: np.random.Generator) -> Array:
    """A window: sun, rays, hills and water in panes of coloured glass between strips of lead."""
    lead = np.zeros(PIXELS, np.uint8)
    sun = (800, 330)
    for radius in (110, 190, 290, 410, 560, 740):
        cv2.circle(lead, sun, radius, 255, 9, cv2.LINE_AA)
    for k in range(28):
        turn, start = 2 * np.pi * (k + 0.5) / 28, (110, 190, 290)[k % 3 if k % 2 else 0]
        near = (int(sun[0] + start * np.cos(turn)), int(sun[1] + start * np.sin(turn)))
        cv2.line(
            lead,
            near,
            (int(sun[0] + 1500 * np.cos(turn)), int(sun[1] + 1500 * np.sin(turn))),
            255,
            8,
            cv2.LINE_AA,
        )
    levels = hills((0.56, 0.66, 0.76, 0.84, 0.91), rng, 0.045)
    land = levels[0][None] < ROWS
    lead[land] = 0
    for line in levels:
        points = np.stack([np.arange(WIDTH), line], 1).astype(np.int32)
        cv2.polylines(lead, [points], False, 255, 9, cv2.LINE_AA)
    for upper, lower in zip(levels, [*levels[1:], np.full(WIDTH, HEIGHT + 20)], strict=True):
        for x in np.arange(rng.uniform(0, 60), WIDTH, 105):
            foot = int(np.clip(x + rng.normal(0, 45), 0, WIDTH - 1))
            cv2.line(lead, (int(x), int(upper[int(x)])), (foot, int(lower[foot])), 255, 7, cv2.LINE_AA)
    _, pane = cv2.connectedComponents((lead < 128).astype(np.uint8), connectivity=4)
    area = np.maximum(np.bincount(pane.ravel()), 1)
    x, y = np.bincount(pane.ravel(), COLUMNS.ravel()) / area, np.bincount(pane.ravel(), ROWS.ravel()) / area
    reach = np.hypot(x - sun[0], y - sun[1])
    sky = blend(
        rgb("fff3b0 ffd23f f99b2b ef5b3c b83a7a 5a3d9c 2a4fa8 1c3f86"),
        reach / 850 + rng.normal(0, 0.045, len(x)),
    )
    depth = (y / HEIGHT - 0.52) * 2.1
    ground = blend(rgb("bfd94a 4fb05a 1d8f6e 147f96 1b5fa8 23308a"), depth + rng.normal(0, 0.06, len(x)))
    ground[rng.uniform(size=len(x)) < 0.08] = rgb("e2453c")[0]
    colour = np.where((y > np.interp(x, np.arange(WIDTH), levels[0]))[:, None], ground, sky)
    streaks = clouds(rng, 130, 5, 2.2)[..., None] * 0.5 + clouds(rng, 40, 3)[..., None] * 0.3 + 0.55
    glass = colour[pane] * streaks * (1 + 0.35 * blur((pane > 0).astype(np.float32), 16)[..., None] - 0.15)
    metal = rgb("17171b")[0] * (1 + 0.9 * blur((lead > 128).astype(np.float32), 3)[..., None] ** 6)
    return over(glass, lit(metal * 1.3, lead, 0.9, 2.0), blur(lead.astype(np.float32) / 255, 1))


def harbour(rng: np.random.Generator) -> Array:
    """The view that `dots` is painted after: boats on still water at dusk -> (H, W, 3)."""
    horizon, sun = 560, (820, 440)
    sky = blend(rgb("3c4a9c 7a6fc0 c98bb8 f2a98a f8cf76 fbe6a0"), ROWS / horizon)
    glow = np.exp(-((np.hypot((COLUMNS - sun[0]) / 1.5, ROWS - sun[1]) / 170) ** 2))
    sky = over(sky, rgb("ffe27a")[0], glow * 0.8)
    sky = over(sky, rgb("e9798a")[0], 0.6 * step(0.62, 0.85, clouds(rng, 260, 3, 4.0)))
    sky = over(sky, rgb("fff4c8")[0], step(62, 56, np.hypot(COLUMNS - sun[0], ROWS - sun[1])))
    coast = range_of_hills(rng, horizon - 40, 26)
    sky = over(sky, rgb("5a5aa6")[0], step(0, 3, ROWS - coast[None]))
    for x, size, sail in (
        (300, 330, "f3e6d0"),
        (560, 170, "e8965a"),
        (1080, 250, "f7d9b0"),
        (960, 110, "d65f4f"),
    ):
        base = horizon + size * 0.22
        sky = over(
            sky,
            rgb(sail)[0],
            filled(np.array([[x, base - size], [x, base - 26], [x + size * 0.42, base - 26]])),
        )
        sky = over(
            sky,
            rgb(sail)[0] * 0.75,
            filled(np.array([[x - 9, base - size * 0.9], [x - 9, base - 26], [x - size * 0.3, base - 26]])),
        )
        hull = np.array(
            [
                [x - size * 0.36, base - 18],
                [x + size * 0.46, base - 18],
                [x + size * 0.3, base + size * 0.08],
                [x - size * 0.26, base + size * 0.08],
            ]
        )
        sky = over(sky, rgb("37245c")[0], filled(hull))
    ripple = 15 * np.sin(ROWS / 7 + 3 * clouds(rng, 150, 3, 5.0)) * (ROWS - horizon) / 260
    mirror = np.clip(2 * horizon + 46 - ROWS, 0, HEIGHT - 1).astype(np.float32)
    water = cv2.remap(
        sky.astype(np.float32),
        COLUMNS + ripple.astype(np.float32),
        mirror,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    water = water * (0.66, 0.7, 0.84) + rgb("10305c")[0] * 0.25
    path = np.exp(-(((COLUMNS - sun[0]) / (26 + (ROWS - horizon) * 0.3).clip(20)) ** 2))
    water = over(
        water,
        rgb("ffd873")[0],
        path * step(-0.1, 0.5, np.sin(ROWS / 9 + 4 * clouds(rng, 120, 2, 4.0))) * 0.85,
    )
    boat = step(0, 4, ROWS - horizon) * (
        1 - step(0.5, 0.6, (np.abs(sky - rgb("37245c")[0]).sum(-1) < 6).astype(np.float32))
    )
    return over(sky, water, boat)


def dots(rng: np.random.Generator) -> Array:
    """A harbour at dusk in dots of unmixed colour, each among some of its complement."""
    scene = harbour(rng)
    canvas = np.empty((*PIXELS, 3), np.uint8)
    canvas[:] = (226, 205, 170)
    for size, spread in ((22, 30), (17, 30), (13, 26), (10, 22)):
        rows, columns = np.mgrid[0 : HEIGHT + size : size * 1.45, 0 : WIDTH + size : size * 1.45]
        points = np.stack([columns.ravel(), rows.ravel()], 1) + rng.normal(0, size * 0.45, (rows.size, 2))
        points = np.clip(points, 0, (WIDTH - 1, HEIGHT - 1)).astype(int)
        colours = scene[points[:, 1], points[:, 0]]
        mean = colours.mean(1, keepdims=True)
        opposite = rng.uniform(size=(len(points), 1)) < 0.09
        colours = np.where(opposite, 0.6 * mean + 0.4 * (255 - colours), mean + 1.4 * (colours - mean))
        colours = np.clip(colours + rng.normal(0, spread * 0.5, colours.shape), 0, 255)
        for k in rng.permutation(len(points)):
            radius = int(size * 16 * rng.uniform(0.42, 0.66))
            cv2.circle(canvas, (points[k] * 16).tolist(), radius, colours[k].tolist(), -1, cv2.LINE_AA, 4)
    return canvas * paper(rng, 0.02)


PICTURES: dict[str, Callable[[np.random.Generator], Array]] = {
    "night_wind": night_wind,
    "woodcut_wave": woodcut_wave,
    "mosaic": mosaic,
    "ink": ink,
    "geometry": geometry,
    "watercolour": watercolour,
    "stained_glass": stained_glass,
    "dots": dots,
}


def store(picture: Array, path: Path, limit: int = 120_000) -> int:
    """Write the best JPEG that stays below the limit; returns its size in bytes."""
    for quality in range(90, 49, -2):
        Image.fromarray(picture).save(path, quality=quality, optimize=True)
        if path.stat().st_size <= limit:
            break
    return path.stat().st_size


def draw(name: str, folder: Path) -> int:
    """Draw one picture from its own seed and store it; returns its size in bytes."""
    picture = finish(PICTURES[name](np.random.default_rng([7, len(name), ord(name[0])])))
    return store(picture, folder / f"{name}.jpg")


def main() -> None:
    """Draw the pictures named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "data" / "styles")
    options = parser.parse_args()
    for name in options.names or PICTURES:
        print(f"{name}: {draw(name, options.out) // 1000} kB")


if __name__ == "__main__":
    main()
