"""One photograph through all notebooks, part by part: what `course poster` shows. The end of the course.

Each part does in a few lines what its notebook explains. A part whose weights are not installed is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from course_utils.cli.poster_sheet import ACCENT, INK, Part, cut, write
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

STYLE = "night_wind"
SHEET_LAYERS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3")


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
        write(draw, (rim, y), f"{name}  {guess.probability:.0%}", step * 0.34, INK, width - 2 * rim)
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
    """The channels that vary most and differ from one another, as (h, w, 1) in 0..1.

    The rim does not count: some maps answer to nothing but the zeros beyond the edge.
    """
    rim = min(stack.shape[:2]) // 10
    inner = stack[rim : len(stack) - rim, rim : stack.shape[1] - rim]
    flat = inner.reshape(-1, stack.shape[-1]).astype(np.float64)
    centred = flat - flat.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-9)
    worth = flat.std(0)
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

    from course_utils.localization import regression
    from course_utils.networks import pretrained

    model = regression.load("boxes")
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

    model = segmentation.load("streets")
    shown = images.fit(photo, tools.size)
    labels = segmentation.label_map(model, shown)
    names = pretrained.about(model).class_names
    counts = np.bincount(labels.ravel(), minlength=len(names))
    most = [names[c] for c in np.argsort(-counts)[:3] if counts[c] > 0.01 * labels.size]
    large = np.kron(labels, np.ones((2, 2), labels.dtype))
    picture = segmentation.overlay(images.resize(shown, large.shape), large, names, 0.6)
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

    settings = style.preset(tools.style, size=tools.size, steps=tools.steps)
    until = style.deepest([*settings.content_layers, *settings.style_layers])
    model = pretrained.load_vgg16(until=until, pooling="average")
    artwork = style.artwork(tools.style) if tools.style in style.ARTWORKS else images.read(tools.style)
    result = style.transfer(model, photo, artwork, settings)
    said = f"after {tools.style.replace('_', ' ')}" if tools.style in style.ARTWORKS else "after an artwork"
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
