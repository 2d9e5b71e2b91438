"""One photograph through all nine notebooks, on one sheet: `course poster`. The end of the course.

Each part does in a few lines what its notebook explains. A part whose weights are not installed is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.pictures import images

if TYPE_CHECKING:
    import keras
    from PIL import ImageDraw, ImageFont

PAPER, INK, SOFT, ACCENT = "#f6f3ec", "#1c2128", "#6b6f76", "#c2410c"
TILE, GAP, CAPTION, RIM = 480, 36, 92, 72  # pixels
STYLE = "night_wind"
SHEET_LAYERS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3")


@dataclass(frozen=True)
class Part:
    """One tile: the notebook's number, what was done, what came out in words, (H, W, 3) RGB 0..255."""

    number: str
    title: str
    text: str
    image: np.ndarray


@dataclass(frozen=True)
class Tools:
    """What the parts share: the network, how large they work (longer side), how long they optimize."""

    vgg: keras.Model
    size: int = 320
    steps: int = 100
    style: str = STYLE


def edges(photo: np.ndarray, tools: Tools) -> Part:
    """Where brightness changes, and which way. Notebook 00."""
    from course_utils.convolution.convolution import convolve, directions

    grey = images.fit(photo, 480).mean(axis=-1) / 255
    sobel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], np.float32)
    across, down = (convolve(grey, kernel) for kernel in (sobel, sobel.T))
    return Part("00", "Edges", "from two times nine numbers", directions(down, across))


def named(photo: np.ndarray, tools: Tools) -> Part:
    """The network's best five names as bars over the photograph. Notebook 01."""
    from PIL import Image, ImageDraw

    from course_utils.networks import pretrained

    guesses = pretrained.classify(tools.vgg, photo, top=5)[0]
    shown = images.fit(photo, 720)
    sheet = Image.fromarray(images.to_uint8(shown * 0.25 + 255 * 0.75))
    draw, (width, height) = ImageDraw.Draw(sheet), sheet.size
    step, rim = height / 5.6, width * 0.06
    for place, guess in enumerate(guesses):
        y = step * (place + 0.3)
        long = max(3, (width - 2 * rim) * guess.probability / max(guesses[0].probability, 1e-9))
        draw.rectangle((rim, y + step * 0.52, rim + long, y + step * 0.74), fill=ACCENT if not place else INK)
        name = guess.name.split(",")[0]
        _text(draw, (rim, y), f"{name}  {guess.probability:.0%}", step * 0.34, INK, width - 2 * rim)
    best = guesses[0].name.split(",")[0]
    return Part("01", "Named", f"“{best}”, with {guesses[0].probability:.0%}", np.asarray(sheet, np.float32))


def mapped(photo: np.ndarray, tools: Tools) -> Part:
    """Nine feature maps, from fine to coarse. Notebook 02."""
    from matplotlib import colormaps

    from course_utils.features.maps import feature_maps

    small = images.fit(photo, tools.size)
    found = feature_maps(tools.vgg, small, SHEET_LAYERS)
    wanted = dict(zip(SHEET_LAYERS, (2, 2, 3, 2), strict=True))
    tiles = [one for layer, count in wanted.items() for one in _liveliest(found[layer], count)]
    side = small.shape[0] // 2, small.shape[1] // 2
    coloured = [colormaps["viridis"](images.resize(each, side)[..., 0])[..., :3] for each in tiles]
    rim = 4
    framed = [np.pad(each, ((rim, rim), (rim, rim), (0, 0)), constant_values=0.96) for each in coloured]
    sheet = np.concatenate([np.concatenate(framed[i : i + 3], axis=1) for i in (0, 3, 6)])
    return Part("02", "Mapped", "nine maps, four blocks", 255 * sheet[rim:-rim, rim:-rim])


def _liveliest(stack: np.ndarray, count: int) -> list[np.ndarray]:
    """The channels that vary most for their size and differ from one another, as (h, w, 1) in 0..1."""
    flat = stack.reshape(-1, stack.shape[-1]).astype(np.float64)
    centred = flat - flat.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-9)
    worth = flat.std(0) * np.median(flat.std(0) > 0)
    chosen: list[int] = []
    for _ in range(count):
        likeness = np.abs(unit.T @ unit[:, chosen]).max(1) if chosen else np.zeros(len(worth))
        chosen.append(int((worth * (1 - likeness)).argmax()))
    tops = [max(np.percentile(flat[:, c], 99.5), 1e-9) for c in chosen]
    return [np.clip(stack[..., c, None] / top, 0, 1) for c, top in zip(chosen, tops, strict=True)]


def clustered(photo: np.ndarray, tools: Tools, clusters: int = 6) -> Part:
    """Regions of like hypercolumns, each in its mean colour. Notebook 03."""
    from course_utils import hypercolumns

    small = images.fit(photo, min(tools.size, 256))
    columns = hypercolumns.Factored.from_model(tools.vgg, small, [3, 8, 15, 22, 29]).standardized()
    labels = hypercolumns.kmeans(columns, clusters, n_init=2, max_iter=40, tol=1e-3).labels
    labels = np.asarray(labels).reshape(small.shape[:2])
    means = np.array([small[labels == k].mean(0) if (labels == k).any() else 0 * small[0, 0]
                      for k in range(clusters)])  # fmt: skip
    vivid = np.clip(means.mean(-1, keepdims=True) + 1.7 * (means - means.mean(-1, keepdims=True)), 0, 255)
    large = np.kron(labels, np.ones((3, 3), int))
    return Part("03", "Clustered", f"its pixels in {clusters} piles", vivid[large])


def boxed(photo: np.ndarray, tools: Tools) -> Part:
    """One box, and one of the localizer's names. Notebook 04."""
    from PIL import Image, ImageDraw

    from course_utils import runtime
    from course_utils.localization import regression
    from course_utils.networks import pretrained

    model = regression.load(runtime.shipped("weights/localizer_caltech.npz"))
    shown = images.fit(photo, 720)
    answer = regression.locate(model, [shown], looks=2, mirror=True)
    names = pretrained.about(model).class_names
    sheet = Image.fromarray(images.to_uint8(shown))
    x, y, w, h = (float(value) for value in answer.boxes[0])
    ImageDraw.Draw(sheet).rectangle((x, y, x + w, y + h), outline=ACCENT, width=7)
    said = f"“{names[int(answer.classes[0])]}”, of {len(names)} names it knows"
    return Part("04", "Boxed", said, np.asarray(sheet, np.float32))


def segmented(photo: np.ndarray, tools: Tools) -> Part:
    """A class for every pixel, of those of a street. Notebook 05."""
    from course_utils import segmentation
    from course_utils.networks import pretrained

    model = segmentation.load("fcn8s_camvid")
    shown = images.fit(photo, tools.size)
    labels = segmentation.label_map(model, shown)
    names = pretrained.about(model).class_names
    counts = np.bincount(labels.ravel(), minlength=len(names))
    most = [names[c] for c in np.argsort(-counts)[:3] if counts[c] > 0.01 * labels.size]
    large = np.kron(labels, np.ones((2, 2), labels.dtype))
    picture = segmentation.overlay(images.resize(shown, large.shape), large, 0.6)
    return Part("05", "Segmented", f"as if a street: {', '.join(most)}", np.asarray(picture, np.float32))


def at_32_pixels(photo: np.ndarray, tools: Tools) -> Part:
    """What the all convolutional net is given, and what it says. Notebook 06."""
    from course_utils.networks import pretrained

    model = pretrained.load_all_cnn()
    guess = pretrained.classify(model, photo, top=1)[0][0]
    height, width = photo.shape[:2]
    rows = max(1, round(32 * height / min(height, width)))
    columns = max(1, round(32 * width / min(height, width)))
    tiny = images.resize(photo, (rows, columns))
    large = np.repeat(np.repeat(tiny, 20, axis=0), 20, axis=1)
    return Part("06", "At 32 pixels", f"“{guess.name}”, of ten names", large)


def painted(photo: np.ndarray, tools: Tools) -> Part:
    """The photograph in the strokes of another picture. Notebook 07."""
    from course_utils import style
    from course_utils.networks import pretrained

    settings = style.Settings(size=tools.size, steps=tools.steps, variation=2e-3, precision="auto")
    until = style.deepest([*settings.content_layers, *settings.style_layers])
    model = pretrained.load_vgg16("auto", until=until, pooling="average")
    artwork = style.artwork(tools.style) if tools.style in style.PICTURES else images.read(tools.style)
    result = style.transfer(model, photo, artwork, settings)
    said = f"after {tools.style.replace('_', ' ')}" if tools.style in style.PICTURES else "after an artwork"
    return Part("07", "Painted", said, result.image)


def dreamt(photo: np.ndarray, tools: Tools) -> Part:
    """More of what the network saw in it. Notebook 08."""
    from course_utils import filters

    small = images.fit(photo, tools.size)
    picture = filters.dream(tools.vgg, small, "block4_conv3", steps=max(1, tools.steps // 10), step=3.0)
    return Part("08", "Dreamt", "more of what block 4 saw", picture)


PARTS: tuple[Callable[[np.ndarray, Tools], Part], ...] = (
    edges, named, mapped, clustered, boxed, segmented, at_32_pixels, painted, dreamt,
)  # fmt: skip


def make(
    photo: np.ndarray,
    tools: Tools,
    parts: Sequence[Callable[[np.ndarray, Tools], Part]] = PARTS,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[Part], list[str]]:
    """The parts of a photograph's poster, and why others are left out.

    Args:
        photo: (H, W, 3) RGB 0..255; very long ones are cut to 3:2 or 2:3 around the middle.
        tools: network and settings.
        parts: which to make.
        say: is told each part's title as it is done.

    Returns:
        The parts in order; a sentence for each that needs weights which aren't installed.
    """
    photo, made, missing = cut(photo), [], []
    for part in parts:
        try:
            made.append(part(photo, tools))
        except FileNotFoundError as error:
            missing.append(f"{part.__name__.replace('_', ' ')} is left out: {error}")
        else:
            say(f"{made[-1].number} {made[-1].title}: {made[-1].text}")
    return made, missing


def cut(photo: np.ndarray) -> np.ndarray:
    """The middle of a picture, at most one and a half times as long as wide; float32."""
    height, width = photo.shape[:2]
    rows, columns = min(height, round(width * 1.5)), min(width, round(height * 1.5))
    top, left = (height - rows) // 2, (width - columns) // 2
    return np.asarray(photo[top : top + rows, left : left + columns], np.float32)


# ---- the sheet -------------------------------------------------------------------------------------------


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
    _text(draw, (x, y + height + 12), part.number, 24, ACCENT, width, bold=True)
    _text(draw, (x + 44, y + height + 12), part.title, 24, INK, width - 44, bold=True)
    _text(draw, (x + 44, y + height + 44), part.text, 19, SOFT, width - 44)


def _heading(draw: ImageDraw.ImageDraw, title: str, tall: int) -> None:
    """The title and a sentence, in the first tile's place."""
    y = RIM - 12
    words, lines = title.split(), [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if len(longer) <= 10 else [*lines, word]
    size = min(76, tall / (1.2 * len(lines) + 2))
    for line in filter(None, lines):
        _text(draw, (RIM, y), line, size, INK, TILE, serif=True)
        y += round(size * 1.14)
    draw.rectangle((RIM, y + 18, RIM + 64, y + 22), fill=ACCENT)
    said = ("One photograph through a convolutional", "network, as the course's notebooks do it.")
    for place, line in enumerate(said):
        _text(draw, (RIM, y + 40 + 28 * place), line, 20, SOFT, TILE)


def _fitted(picture: np.ndarray, width: int, height: int) -> Any:
    """A picture that fills a place, cut where it is too long."""
    from PIL import Image, ImageOps

    whole = Image.fromarray(images.to_uint8(picture))
    return ImageOps.fit(whole, (width, height), Image.Resampling.LANCZOS)


def _text(
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
