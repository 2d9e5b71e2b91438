"""The sheet of `course poster`: a photograph and the parts made of it, laid out for printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.pictures import images

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

PAPER, INK, SOFT, ACCENT = "#f6f3ec", "#1c2128", "#6b6f76", "#c2410c"
TILE, GAP, CAPTION, RIM = 480, 36, 92, 72  # pixels


@dataclass(frozen=True)
class Part:
    """One tile: the notebook's number, what was done, what came out in words, (H, W, 3) RGB 0..255."""

    number: str
    title: str
    text: str
    image: np.ndarray


def cut(photo: np.ndarray) -> np.ndarray:
    """The middle of a picture, at most one and a half times as long as wide; float32."""
    height, width = photo.shape[:2]
    rows, columns = min(height, round(width * 1.5)), min(width, round(height * 1.5))
    top, left = (height - rows) // 2, (width - columns) // 2
    return np.asarray(photo[top : top + rows, left : left + columns], np.float32)


def sheet(photo: np.ndarray, parts: Sequence[Part], title: str = "What a network saw") -> np.ndarray:
    """The poster: the photograph large, a tile for each part, three to a row.

    Args:
        photo: (H, W, 3) RGB 0..255. parts: see `make`; at least one.
        title: the line at the top.

    Returns:
        uint8 (H, W, 3).
    """
    from PIL import Image, ImageDraw

    photo = cut(photo)
    aspect = photo.shape[0] / photo.shape[1]
    tall, wide = round(TILE * aspect), (3 * TILE + GAP) // 2  # of a tile; a row may hold two wider ones
    rows = [(count, TILE if count != 2 else wide) for count in in_rows(len(parts) - 1)]
    height = 2 * (RIM + tall + CAPTION) + sum(round(side * aspect) + CAPTION for _, side in rows)
    page = Image.new("RGB", (2 * RIM + 3 * TILE + 2 * GAP, height - CAPTION // 3), PAPER)
    draw, y = ImageDraw.Draw(page), RIM + tall + CAPTION
    page.paste(_fitted(photo, 2 * TILE + GAP, tall + CAPTION + tall), (RIM + TILE + GAP, RIM))
    _heading(draw, title, tall)
    _tile(page, draw, parts[0], RIM, y, TILE, tall)
    rest, y = iter(parts[1:]), y + tall + CAPTION
    for count, side in rows:
        for column in range(count):
            _tile(page, draw, next(rest), RIM + column * (side + GAP), y, side, round(side * aspect))
        y += round(side * aspect) + CAPTION
    return np.asarray(page)


def in_rows(count: int) -> list[int]:
    """How many tiles each row holds: three, and two in the last rows where three don't come out even."""
    if count < 3:
        return [count] if count else []
    twos = -count % 3
    return [3] * ((count - 2 * twos) // 3) + [2] * twos


def _tile(page: Any, draw: ImageDraw.ImageDraw, part: Part, x: int, y: int, width: int, height: int) -> None:
    page.paste(_fitted(part.image, width, height), (x, y))
    write(draw, (x, y + height + 12), part.number, 24, ACCENT, width, bold=True)
    write(draw, (x + 44, y + height + 12), part.title, 24, INK, width - 44, bold=True)
    write(draw, (x + 44, y + height + 44), part.text, 19, SOFT, width - 44)


def _heading(draw: ImageDraw.ImageDraw, title: str, tall: int) -> None:
    """The title and a sentence, in the first tile's place."""
    y = RIM - 12
    words, lines = title.split(), [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if len(longer) <= 10 else [*lines, word]
    size = min(76, tall / (1.2 * len(lines) + 2))
    for line in filter(None, lines):
        write(draw, (RIM, y), line, size, INK, TILE, serif=True)
        y += round(size * 1.14)
    draw.rectangle((RIM, y + 18, RIM + 64, y + 22), fill=ACCENT)
    said = ("One photograph through a convolutional", "network, as the course's notebooks do it.")
    for place, line in enumerate(said):
        write(draw, (RIM, y + 40 + 28 * place), line, 20, SOFT, TILE)


def _fitted(picture: np.ndarray, width: int, height: int) -> Any:
    """A picture that fills a place, cut where it is too long."""
    from PIL import Image, ImageOps

    whole = Image.fromarray(images.to_uint8(picture))
    return ImageOps.fit(whole, (width, height), Image.Resampling.LANCZOS)


def write(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: float, colour: str, width: float,
    bold: bool = False, serif: bool = False,
) -> None:  # fmt: skip
    """One line of text, smaller where it would be wider than its place."""
    font = _font(round(size), bold, serif)
    if (long := draw.textlength(text, font)) > width:
        font = _font(int(size * width / long), bold, serif)
    draw.text(at, text, colour, font)


def _font(size: int, bold: bool, serif: bool) -> ImageFont.FreeTypeFont:
    """A face that matplotlib brings along, so that every machine has it."""
    import matplotlib
    from PIL import ImageFont

    name = "STIXGeneralBol" if serif else "DejaVuSans-Bold" if bold else "DejaVuSans"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")), size)
