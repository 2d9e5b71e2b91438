"""A grey photograph in, a colour photograph out; with hints if there are any. Notebook 09."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from course_utils import hypercolumns
from course_utils.pictures import images

from . import head as heads
from . import lab
from .bins import Bins
from .hints import Hint, Hints

if TYPE_CHECKING:
    import keras

Way = Literal["careful", "vivid", "regression"]
VIVID = 0.38
"""The temperature of Zhang, Isola and Efros (2016)."""


def colourize(
    head: keras.Model,
    trunk: keras.Model,
    picture: np.ndarray,
    *,
    way: Way = "careful",
    temperature: float = VIVID,
    hints: Sequence[Hint] = (),
    side: int = 224,
) -> np.ndarray:
    """Give colour to a photograph.

    Args:
        head, trunk: of `colour.load` and `colour.load_trunk`.
        picture: (H, W, 3) RGB 0..255 or (H, W) grey; of a colour picture only the lightness is used, and the
            result has exactly that lightness where the screen can show it.
        way: see `chosen`.
        temperature: of the vivid colours.
        hints: pixels whose colour is known, see `Hints`.
        side: the longer side at which the network sees the picture; it learnt at 96 to 224.

    Returns:
        (H, W, 3) float32, RGB 0..255, as large as the picture.
    """
    picture = images.read(picture)
    factored = heads.columns(trunk, picture, side)
    said = heads.answer(head, factored)
    ab = chosen(said, heads.bins_of(head), way, temperature)
    if hints:
        ab = Hints.on(factored, hints)(ab, factored)
    return paint(picture, ab)


def chosen(said: heads.Answer, bins: Bins, way: Way = "careful", temperature: float = VIVID) -> np.ndarray:
    """One colour for each place, of the three that the head offers.

    Args:
        said: of `answer`.
        bins: of `bins_of`.
        way: "careful": the mean of the scores' distribution, which errs least; "vivid": the annealed mean of
            the distribution in which rare colours counted more; "regression": what a squared error makes.
        temperature: of "vivid".

    Returns:
        (h, w, 2) float32, a and b.
    """
    if way == "regression":
        return said.ab
    if way == "careful":
        return bins.annealed_mean(said.scores, 1.0)
    if way == "vivid":
        return bins.annealed_mean(said.vivid, temperature)
    raise ValueError(f"way={way!r}: careful, vivid and regression exist")


def paint(picture: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """Lay small maps of colour over the lightness of a large picture.

    Args:
        picture: (H, W, 3) RGB 0..255.
        ab: (h, w, 2), stretched bilinearly: the eye, as every JPEG knows, sees colour less sharply than
            lightness.

    Returns:
        (H, W, 3) float32, RGB 0..255.
    """
    return lab.with_colour(lab.lightness(picture), hypercolumns.stretch(ab, picture.shape[:2]))
