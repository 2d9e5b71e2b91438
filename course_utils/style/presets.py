"""How each artwork is best painted with: one table, found by looking at the results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .settings import Settings


@dataclass(frozen=True)
class Preset:
    """What is particular to an artwork; everything else is in `preset`.

    Attributes:
        photo: the photograph that goes with it in the gallery, a name of `images.SAMPLES`.
        strength: of the style, see `Settings`.
        style_scale: how large its strokes become, see `Settings`.
        variation: weight of the total variation: little for strokes, more for flat colours.
    """

    photo: str
    strength: float = 100.0
    style_scale: float = 1.0
    variation: float = 4e-3


PRESETS: dict[str, Preset] = {
    "starry_night": Preset("astronaut", strength=80.0, style_scale=1.2, variation=1e-2),
    "mosaic": Preset("chelsea", style_scale=1.5),
    "stained_glass": Preset("flower"),
    "ink": Preset("chelsea", variation=8e-3),
    "great_wave": Preset("chelsea", strength=60.0, variation=1e-2),
    "the_scream": Preset("china", style_scale=1.5),
    "woodcut_wave": Preset("coffee", strength=50.0, variation=1e-2),
    "composition_vii": Preset("motorcycle", strength=150.0, style_scale=1.5, variation=8e-3),
    "geometry": Preset("coffee"),
    "night_wind": Preset("rocket", strength=40.0, style_scale=1.3),
    "watercolour": Preset("flower", strength=40.0),
    "dots": Preset("china", strength=60.0),
    "shipwreck": Preset("china"),
}
"""By artwork (`style.ARTWORKS`)."""


def preset(name: str, **changes: Any) -> Settings:
    """The settings for one of `ARTWORKS`, or sensible ones for any other artwork.

    The photograph takes the artwork's colours first, so that the steps are free for strokes. Notebook 07.

    Args:
        name: in `PRESETS`; any other name gives the defaults of `Preset`.
        changes: of `Settings`, such as size=512.
    """
    own = PRESETS.get(name, Preset(""))
    known: dict[str, Any] = {
        "size": 320,
        "steps": 52,
        "colours": "recoloured",
        "margin": 0.02,
        "strength": own.strength,
        "style_scale": own.style_scale,
        "variation": own.variation,
    }
    return Settings(**{**known, **changes})
