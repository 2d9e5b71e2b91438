"""A few pixels whose colour is known, and how it spreads to all that look like them. Notebook 09."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from course_utils import hypercolumns

from . import lab

Hint = tuple[float, float, tuple[float, float, float]]
"""(row, column, (red, green, blue)): row and column as shares of height and width, 0..1, colour 0..255."""

SHARPNESS = 10.0
"""How fast a hint's voice fades with the cosine."""
REACH = 0.25
"""From this cosine on a hint is louder than the network."""


@dataclass(frozen=True)
class Hints:
    """Colours that spread along similar hypercolumns.

    Each hint speaks for a pixel the louder, the larger the cosine between their standardized hypercolumns
    is; the network's own colour speaks as one more voice, as loud everywhere as a hint with the cosine
    `REACH`. The mean of all voices is the colour. Where Levin, Lischinski and Weiss (2004) let colour spread
    between *neighbours* of like lightness, here it spreads between pixels that look alike to the network.

    Attributes:
        vectors: (K, D) standardized hypercolumns of the hints' pixels.
        colours: (K, 2) a and b.
        shift, scale: (D,), which standardize.
    """

    vectors: np.ndarray
    colours: np.ndarray
    shift: np.ndarray
    scale: np.ndarray

    @classmethod
    def on(cls, factored: hypercolumns.Factored, hints: Sequence[Hint]) -> Hints:
        """Hints on a picture.

        Args:
            factored: its hypercolumns, not standardized.
            hints: at least one.

        Raises:
            ValueError: none, or one outside the picture.
        """
        if not hints:
            raise ValueError("no hints: give at least one (row, column, colour)")
        for row, column, _ in hints:
            if not (0 <= row <= 1 and 0 <= column <= 1):
                raise ValueError(f"a hint at ({row}, {column}): rows and columns are shares from 0 to 1")
        standard = factored.standardized()
        height, width = factored.size
        rows = np.array([min(int(row * height), height - 1) for row, _, _ in hints])
        columns = np.array([min(int(column * width), width - 1) for _, column, _ in hints])
        colours = lab.to_lab(np.array([colour for *_, colour in hints], np.float32))[:, 1:]
        return cls(standard.pixels(rows, columns), colours, standard.shift, standard.scale)

    def voices(self, factored: hypercolumns.Factored) -> np.ndarray:
        """How loud each hint is at each place of a picture, beside the network's 1: (h, w, K) float32."""
        standard = factored.scaled(self.shift, self.scale)
        lengths = standard.lengths[..., None] * np.linalg.norm(self.vectors, axis=1)
        cosine = standard.dot(self.vectors.T.astype(np.float64)) / np.maximum(lengths, 1e-6)
        return np.exp(SHARPNESS * (cosine - REACH))

    def __call__(self, ab: np.ndarray, factored: hypercolumns.Factored) -> np.ndarray:
        """The colours (h, w, 2) of a picture, with the hints heard."""
        voices = self.voices(factored)
        return (ab + voices @ self.colours) / (1 + voices.sum(axis=-1, keepdims=True))


def parse(text: str) -> Hint:
    """A hint as it is typed: "ROW,COLUMN,#RRGGBB" with shares 0..1, or a colour's English name.

    Raises:
        ValueError: it is not of that form.
    """
    from matplotlib.colors import to_rgb

    try:
        row, column, colour = text.split(",")
        red, green, blue = (255 * value for value in to_rgb(colour.strip()))
        return float(row), float(column), (red, green, blue)
    except ValueError as error:
        raise ValueError(
            f"hint {text!r}: row, column and colour are wanted, such as 0.4,0.55,#c08050 or 0.1,0.5,skyblue"
        ) from error
