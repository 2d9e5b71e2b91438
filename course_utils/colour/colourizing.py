"""A grey photograph in, a colour photograph out; with hints if there are any. Notebook 09."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from course_utils import hypercolumns
from course_utils.pictures import images

from . import head as heads
from . import lab
from .hints import Hint, Hints

if TYPE_CHECKING:
    import keras

VIVID = 0.38
"""The temperature of Zhang, Isola and Efros (2016)."""


def colourize(
    head: keras.Model,
    trunk: keras.Model,
    picture: np.ndarray,
    *,
    vivid: bool = False,
    temperature: float = VIVID,
    hints: Sequence[Hint] = (),
    side: int = 224,
) -> np.ndarray:
    """Give colour to a photograph.

    Args:
        head, trunk: of `colour.load` and `colour.load_trunk`.
        picture: (H, W, 3) RGB 0..255 or (H, W) grey; of a colour picture only the lightness is used, and the
            result has exactly that lightness where the screen can show it.
        vivid: the rebalanced bins and their annealed mean instead of the careful regression.
        temperature: of that mean.
        hints: pixels whose colour is known, see `Hints`.
        side: the longer side at which the network sees the picture; it learnt at 96 to 224.

    Returns:
        (H, W, 3) float32, RGB 0..255, as large as the picture.
    """
    picture = images.read(picture)
    factored = heads.columns(trunk, picture, side)
    said = heads.answer(head, factored)
    ab = heads.bins_of(head).annealed_mean(said.scores, temperature) if vivid else said.ab
    if hints:
        ab = Hints.on(factored, hints)(ab, factored)
    return paint(picture, ab)


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
