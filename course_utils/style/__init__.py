"""Neural style: a new picture with the content of one and the style of another. Notebook 07.

Gatys, Ecker and Bethge (2015), "A Neural Algorithm of Artistic Style". The content of a picture is what one
layer makes of it; its style, which maps of several layers are active together, wherever that happens (Gram
matrices). No weight is trained: the picture itself is changed until both fit.

Every filter is first rescaled so that its mean activation is 1, as Gatys did (`normalize`): only then do
alpha and beta mean the same thing for networks with different weights.
"""

from .artworks import ARTWORKS, PAINTINGS, PICTURES, artwork
from .colours import keep_colours, lightness, match_colours
from .losses import NORMALIZATIONS, Normalization, gram, mean_gram, total_variation
from .networks import chain, mean_activations, normalize, twin
from .optimizers import adam, curved, lbfgs
from .painting import deepest, invert, loss, texture, transfer
from .presets import PRESETS, Preset, preset
from .problem import memory_needed, pose
from .settings import CONTENT_LAYERS, STYLE_LAYERS, Result, Settings, check_settings

__all__ = [
    "ARTWORKS",
    "CONTENT_LAYERS",
    "NORMALIZATIONS",
    "PAINTINGS",
    "PICTURES",
    "PRESETS",
    "STYLE_LAYERS",
    "Normalization",
    "Preset",
    "Result",
    "Settings",
    "adam",
    "artwork",
    "chain",
    "check_settings",
    "curved",
    "deepest",
    "gram",
    "invert",
    "keep_colours",
    "lbfgs",
    "lightness",
    "loss",
    "match_colours",
    "mean_activations",
    "mean_gram",
    "memory_needed",
    "normalize",
    "pose",
    "preset",
    "texture",
    "total_variation",
    "transfer",
    "twin",
]
