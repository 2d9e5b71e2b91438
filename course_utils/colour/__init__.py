"""Colour from grey: photographs and film, by hypercolumns of VGG-16 and a small head. Notebook 09."""

from .bins import Bins
from .colourizing import VIVID, Way, chosen, colourize, paint
from .film import FilmSettings, colourize_film, steadied
from .head import (
    LAYERS,
    WHOLE,
    Answer,
    answer,
    bins_of,
    build,
    columns,
    load,
    load_trunk,
    maps_of,
    on_grid,
    working_size,
)
from .hints import Hint, Hints
from .lab import grey, lightness, to_lab, to_rgb, with_colour
from .measures import ab_rmse, area, judge, psnr, within
from .steady import Steady, carried, confidence, flicker, flow

__all__ = [
    "LAYERS",
    "VIVID",
    "WHOLE",
    "Answer",
    "Bins",
    "FilmSettings",
    "Hint",
    "Hints",
    "Steady",
    "Way",
    "ab_rmse",
    "answer",
    "area",
    "bins_of",
    "build",
    "carried",
    "chosen",
    "colourize",
    "colourize_film",
    "columns",
    "confidence",
    "flicker",
    "flow",
    "grey",
    "judge",
    "lightness",
    "load",
    "load_trunk",
    "maps_of",
    "on_grid",
    "paint",
    "psnr",
    "steadied",
    "to_lab",
    "to_rgb",
    "with_colour",
    "within",
    "working_size",
]
