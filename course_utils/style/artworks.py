"""The pictures to borrow a style from: eight that the course drew, five paintings in the public domain."""

from __future__ import annotations

import numpy as np

from course_utils import runtime
from course_utils.pictures import images as pictures

PICTURES: tuple[str, ...] = (
    "night_wind",
    "woodcut_wave",
    "mosaic",
    "ink",
    "geometry",
    "watercolour",
    "stained_glass",
    "dots",
)
PAINTINGS: dict[str, str] = {
    "starry_night": "Vincent van Gogh, The Starry Night, 1889",
    "the_scream": "Edvard Munch, The Scream, 1893",
    "great_wave": "Katsushika Hokusai, The Great Wave off Kanagawa, about 1831",
    "composition_vii": "Wassily Kandinsky, Composition VII, 1913",
    "shipwreck": "J. M. W. Turner, The Shipwreck of the Minotaur, about 1810",
}
"""The five that Gatys et al. (2015) and those after them painted with; who, what and when."""
ARTWORKS: tuple[str, ...] = (*PICTURES, *PAINTINGS)


def artwork(name: str) -> np.ndarray:
    """A picture to borrow a style from (`ARTWORKS`), float32 RGB 0..255, longer side 640 or 768.

    Raises:
        ValueError: there is none of that name; any other picture comes in through `images.read`.
    """
    if name not in ARTWORKS:
        raise ValueError(f"there is no style picture {name!r}; there are {', '.join(ARTWORKS)}")
    return pictures.read(runtime.shipped(f"styles/{name}.jpg"))
