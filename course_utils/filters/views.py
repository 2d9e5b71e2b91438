"""Optima side by side: sheet, atlas, poster; kernels; what filters like in photographs. Notebook 08."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from course_utils import runs
from course_utils.features.layers import layer_name
from course_utils.features.maps import tap
from course_utils.features.receptive_field import ReceptiveField, receptive_field
from course_utils.filters.ascent import maximize
from course_utils.filters.losses import affine
from course_utils.filters.optima import Array, Optima
from course_utils.filters.targets import Target, evenly
from course_utils.networks import gradients, pretrained
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

STRIP = 13  # pixels for a line of text
INK, PAPER, FAINT = (28, 33, 40), (255, 255, 255), (216, 221, 227)


@dataclass(frozen=True)
class Region:
    """A place in a photograph that excites a filter.

    Attributes:
        photo: which of the photographs.
        box: x, y, w, h of the receptive field in pixels; it may reach over the edge.
        activation: the filter's value there, after the ReLU.
        picture: (h, w, 3) what the filter sees, grey beyond the edge.
    """

    photo: int
    box: tuple[int, int, int, int]
    activation: float
    picture: Array


def sheet(
    pictures: Optima | Array | Sequence[Array],
    columns: int = 8,
    *,
    margin: int = 5,
    labels: Sequence[str] | None = None,
    marks: Sequence[str] | None = None,
) -> Array:
    """Pictures of one size on a white sheet, with margins and a label under each.

    Args:
        pictures: `Optima` (labels and marks are known then), or (N, H, W, 3), RGB 0..255.
        columns: to a row.
        margin: in pixels, around each.
        labels: one for each; none are drawn if empty.
        marks: a word for each whose picture is not to be trusted, "" for the others; "silent" ones are
            hatched instead, because their picture shows nothing that the filter wants.

    Returns:
        (height, width, 3) float32 RGB 0..255.
    """
    if isinstance(pictures, Optima):
        labels = pictures.titles if labels is None else labels
        marks, pictures = pictures.marks, pictures.shown
    tiles = np.asarray(pictures)
    count, height, width = tiles.shape[:3]
    columns = max(1, min(columns, count))
    text = STRIP if labels else 0
    across, down = width + margin, height + margin + text
    page = Image.new(
        "RGB", (columns * across + margin, math.ceil(count / columns) * down + margin), "#ffffff"
    )
    draw = ImageDraw.Draw(page)
    for k in range(count):
        x, y = margin + k % columns * across, margin + k // columns * down
        page.paste(Image.fromarray(images.to_uint8(tiles[k])), (x, y))
        if marks is not None and marks[k]:
            _mark(page, (x, y, width, height), marks[k])
        if labels:
            draw.text((x, y + height), _shortened(draw, str(labels[k]), width), INK, _font())
    return np.asarray(page, np.float32)


def _font() -> Any:
    return ImageFont.load_default(size=10)


def _shortened(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    while len(text) > 1 and draw.textlength(text, _font()) > width:
        text = text[:-2].rstrip() + "…" if len(text) > 2 else text[:1]
    return text


def _mark(page: Image.Image, box: tuple[int, int, int, int], word: str) -> None:
    """A word on a strip of paper over the tile; over a silent one slanted lines as well."""
    x, y, width, height = box
    if word == "silent":
        tile = Image.new("RGB", (width, height), PAPER)
        lines = ImageDraw.Draw(tile)
        for at in range(-height, width, 8):
            lines.line((at, height, at + height, 0), FAINT)
        page.paste(tile, (x, y))
    draw = ImageDraw.Draw(page)
    draw.rectangle((x, y + height - STRIP, x + width - 1, y + height - 1), PAPER)
    draw.text((x + 3, y + height - STRIP), _shortened(draw, word, width - 3), INK, _font())


def atlas(model: keras.Model, layer: str | int, *, columns: int | None = None, **options: Any) -> Array:
    """All filters of a layer on one sheet, in the order of their indices; `options` as in `maximize`."""
    optima = maximize(model, layer, **options)
    return sheet(optima, columns or max(8, math.ceil(math.sqrt(len(optima)))))


def poster(
    model: keras.Model,
    layers: Sequence[str],
    *,
    columns: int = 8,
    recipe: str = "clear",
    tile: int = 88,
    **options: Any,
) -> Array:
    """One row for each layer, from the first to the last: what its filters want to see. Notebook 08.

    Filters are taken evenly from the layer. Each picture is as large as the receptive field (at least
    `tile`); of larger ones the middle is shown, at full scale, so that sizes can be compared.

    Args:
        layers: names, from shallow to deep.
        columns: filters to a row.
        tile: side of the shown squares in pixels.
        options: as in `maximize`.

    Returns:
        (height, width, 3) float32 RGB 0..255.
    """
    rows = []
    for layer in layers:
        target = Target.of(model, layer)
        field = receptive_field(model, target.name).size
        chosen = evenly(target.channels, columns)
        size = max(tile, field)
        optima = maximize(model, target.name, chosen, recipe=recipe, size=size, **options)
        edge = (size - tile) // 2
        cut = optima.shown[:, edge : edge + tile, edge : edge + tile]
        row = sheet(cut, columns, marks=optima.marks)
        rows.append(headed(row, f"{target.name}   {target.channels} filters, each sees {field} x {field}"))
    width = max(row.shape[1] for row in rows)
    blank = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(blank)


def from_atlas(layer: str) -> tuple[Array, tuple[int, ...]]:
    """A layer's tiles in the recorded atlas of the original VGG-16: pictures, and their filters. Notebook 08.

    Returns:
        (32, 72, 72, 3) float32 RGB 0..255, each stretched to more contrast, at most twice as much; indices.

    Raises:
        ValueError: no such layer in the atlas.
    """
    record = runs.load("filters_atlas")
    places = json.loads(record.figures["tiles"].read_text(encoding="utf-8"))
    own = [place for place in places if place["layer"] == layer]
    if not own:
        known = dict.fromkeys(place["layer"] for place in places)
        raise ValueError(f"the atlas has no layer {layer!r}; it has {', '.join(known)}")
    page = images.read(record.figures["poster"]).astype(np.float32)
    tiles = [page[p["y"] : p["y"] + p["size"], p["x"] : p["x"] + p["size"]] for p in own]
    return np.stack(tiles), tuple(place["filter"] for place in own)


def headed(row: Array, text: str) -> Array:
    """A row with a line of text above it."""
    head = Image.new("RGB", (row.shape[1], STRIP + 4), PAPER)
    ImageDraw.Draw(head).text((5, 4), text, INK, _font())
    return np.concatenate([np.asarray(head, np.float32), row])


def kernels(model: keras.Model, layer: str = "block1_conv1") -> Array:
    """The first layer's kernels as pictures: (N, k, k, 3) RGB, 127.5 where a weight is 0, each stretched.

    Raises:
        ValueError: the layer is not fed by the picture itself: its kernels have no colours.
    """
    red_first = rgb_kernels(model, layer)
    largest = np.abs(red_first).max(axis=(1, 2, 3), keepdims=True)
    return (127.5 + 127.5 * red_first / np.maximum(largest, 1e-12)).astype(np.float32)


def rgb_kernels(model: keras.Model, layer: str = "block1_conv1") -> Array:
    """The first layer's kernels as they act on RGB 0..255, whatever the preprocessing: (N, k, k, 3)."""
    target = Target.of(model, layer)
    if target.dense or target.layer.kernel.shape[2] != 3:
        raise ValueError(
            f"the kernels of {target.name} act on maps, not on colours: they can't be drawn as such"
        )
    matrix, _ = affine(model)
    return np.einsum("ijcn,rc->nijr", np.asarray(target.layer.kernel, np.float32), matrix)


def regions(
    model: keras.Model, layer: str, filters: Sequence[int], photographs: Sequence[Array], count: int = 4
) -> list[list[Region]]:
    """Where in real photographs filters are excited most: their receptive fields, best first. Notebook 08.

    Args:
        filters: indices.
        photographs: pictures (H, W, 3) of any sizes, RGB 0..255.
        count: regions for each filter; no two of one photograph overlap by more than half a side.

    Returns:
        For each filter a list of `Region`; fewer than `count` where it is silent elsewhere.
    """
    name = layer_name(layer, model)
    field, part = receptive_field(model, name), tap(model, name)
    found: list[list[Region]] = [[] for _ in filters]
    for number, photo in enumerate(photographs):
        x = pretrained.about(model).preprocess(np.asarray(photo, np.float32))[None]
        maps = gradients.forward(part, x)[0][0][..., list(filters)]
        for known, new in zip(found, regions_of(maps, field, photo, number, count), strict=True):
            known += new
    return [sorted(each, key=lambda region: -region.activation)[:count] for each in found]


def regions_of(
    maps: Array, field: ReceptiveField, photo: Array, number: int, count: int
) -> list[list[Region]]:
    """The strongest places of each map (h, w, N) of one photograph, as `Region` with this photo's number."""
    apart = max(1, field.size // (2 * field.stride))
    return [
        [
            Region(number, field.box(*place), float(maps[(*place, k)]), _cut(photo, field.box(*place)))
            for place in _peaks(np.maximum(maps[..., k], 0), count, apart)
        ]
        for k in range(maps.shape[-1])
    ]


def _peaks(values: Array, count: int, apart: int) -> list[tuple[int, int]]:
    """The largest positive values, each at least `apart` places from the others."""
    values = values.copy()
    places: list[tuple[int, int]] = []
    while len(places) < count and values.max() > 0:
        row, column = np.unravel_index(values.argmax(), values.shape)
        places.append((int(row), int(column)))
        values[max(0, row - apart) : row + apart + 1, max(0, column - apart) : column + apart + 1] = 0
    return places


def _cut(photo: Array, box: tuple[int, int, int, int]) -> Array:
    """A box of a photograph, grey where it reaches over the edge."""
    x, y, width, height = box
    cut = np.full((height, width, 3), 128, np.float32)
    top, left = max(0, y), max(0, x)
    inside = photo[top : max(top, y + height), left : max(left, x + width)]
    cut[top - y : top - y + inside.shape[0], left - x : left - x + inside.shape[1]] = inside
    return cut
