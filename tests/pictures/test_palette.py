"""A class has one colour: on contact sheets, in boxes, masks, mask files and overlays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from course_utils import segmentation
from course_utils.datasets import contact_sheet, labelled
from course_utils.pictures import palette, plots

NAMES = ("cat", "cup", "catfish")
MASK = np.repeat(np.array([[0, 1, 2, 3]], np.uint8), 4, axis=0)  # background, cat, cup, catfish
BLACK = np.zeros((4, 4, 3), np.uint8)


def hexes(pixels: np.ndarray) -> list[str]:
    return [to_hex(pixel / 255) for pixel in np.asarray(pixels, float)]


def test_a_class_has_one_colour_in_every_figure(tmp_path: Path) -> None:
    wanted = palette.class_colours(NAMES)
    assert len(set(wanted)) == 3
    with_background = ("background", *NAMES)
    assert palette.class_colours(with_background)[1:] == wanted

    overlay = segmentation.overlay(BLACK, MASK, with_background, strength=1)
    assert hexes(overlay[0]) == ["#000000", *wanted]
    with Image.open(segmentation.write_mask(tmp_path / "m.png", MASK, with_background)) as picture:
        assert hexes(np.asarray(picture.convert("RGB"))[0, 1:]) == wanted

    box = [[0, 0, 3, 3]]
    for name, colour in zip(NAMES, wanted, strict=True):
        figure = plots.boxes(BLACK, box, [f"{name} .93"], class_names=NAMES, alt="a box on a black square")
        assert to_hex(figure.axes[0].patches[-1].get_edgecolor()) == colour
    figure = plots.masks(BLACK, MASK, with_background, alt="four stripes on a black square")
    shown = [to_hex(handle.get_facecolor()) for handle in figure.axes[0].get_legend().legend_handles]
    assert shown[1:] == wanted

    data = labelled.unlabelled(
        BLACK[None], boxes=np.array([[[0, 0, 4, 4]]], np.float32), classes=np.array([[2]]), class_names=NAMES
    )
    assert hexes(contact_sheet(data, scale=1)[0, :1]) == [wanted[2]]


def test_labels_without_a_class_get_a_colour_for_each_kind() -> None:
    found = palette.label_colours(["left", "right", "left", "cup .5"], NAMES)
    assert found[0] == found[2] != found[1] and found[3] == palette.class_colours(NAMES)[1]


@pytest.mark.parametrize("count", [3, 10, 254])
def test_colours_stay_apart(count: int) -> None:
    assert len(set(palette.colours(count))) == count
    table = palette.mask_palette([f"class {i}" for i in range(count)])
    assert table.shape == (256, 3) and (table[255] == 255).all()


def test_trees_are_green_and_no_street_class_shares_a_colour():
    names = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian")
    found = palette.class_colours((*names, "bicyclist", "lamp", "dog"))
    assert len(set(found)) == 13
    red, green, blue = palette.mask_palette(names)[names.index("tree")].astype(int)
    assert green > 1.5 * red and green > 1.5 * blue
