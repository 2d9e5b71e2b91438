"""What can be chosen for a picture in a style, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .losses import NORMALIZATIONS

Array = np.ndarray
CONTENT_LAYERS: tuple[str, ...] = ("block4_conv2",)
STYLE_LAYERS: tuple[str, ...] = tuple(f"block{i}_conv1" for i in range(1, 6))
STRENGTH = 10.0  # beta / alpha for each value of the content layers, where nothing else was asked for


@dataclass(frozen=True)
class Settings:
    """What can be chosen for `transfer`.

    Attributes:
        size: longer side of the result in pixels.
        steps: how often the picture is changed (evaluations of loss and gradient, over all sizes).
        alpha, beta: weight of content and style; only their ratio matters. beta=None takes `strength` for
            each value of the content layers, so that results look alike at every size and width.
        strength: see beta.
        variation: weight of the total variation; 0 in the paper.
        content_layers, style_layers: names; a mapping gives weights, otherwise they share 1.
        normalization: a name in `NORMALIZATIONS`.
        start: "photo", "artwork", "noise", or a picture.
        optimizer: "lbfgs" as in the paper, or "adam", whose steps shrink.
        rate: Adam's first step in grey levels; halved for each size after the second.
        coarse_to_fine: begin at an eighth, a quarter or half of the size: large strokes for little time.
        colours: "artwork"; "recoloured" gives the photograph the (first) artwork's colours before the first
            step, which is then free for strokes; or the photograph's: "matched" gives the artwork the
            photograph's colours first, "luminance" takes only lightness from the result (Gatys et al. 2016,
            sections 3 and 4).
        masks: where each artwork's style is wanted: for each (H, W), from 0 to 1, of any size. Then the Gram
            matrices are those of regions (Gatys et al. 2017, section 4.1), and shares play no part.
        style_scale: longer side of the artwork as a multiple of `size`; smaller makes finer strokes.
        margin: share of the longer side by which the photograph is continued on each side, mirrored, while it
            is painted; it is cut off again. Convolutions pad with zeros, and that shows at a border.
        normalized: `normalize` the network first.
        precision: inside the network: "auto" (bfloat16 where it is faster), "float32", "mixed_bfloat16".
        thumbnails: how many pictures on the way to keep.
        stop_at: end when the float32 loss at full size is no greater than this, or after `steps` there.
        seed: of the noise.
    """

    size: int = 256
    steps: int = 150
    alpha: float = 1.0
    beta: float | None = None
    strength: float = STRENGTH
    variation: float = 0.0
    content_layers: Sequence[str] | Mapping[str, float] = CONTENT_LAYERS
    style_layers: Sequence[str] | Mapping[str, float] = STYLE_LAYERS
    normalization: str = "paper"
    start: str | Array = "photo"
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    rate: float = 25.0
    coarse_to_fine: bool = True
    colours: Literal["artwork", "recoloured", "matched", "luminance"] = "artwork"
    masks: Sequence[Array] | None = None
    style_scale: float = 1.0
    margin: float = 0.0
    normalized: bool = True
    precision: str = "auto"
    thumbnails: int = 0
    stop_at: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """A finished (or interrupted) picture.

    Attributes:
        image: (H, W, 3) float32 RGB 0..255: the best at full size.
        loss: its loss, as the optimizer saw it.
        history: columns step, size, total, content, style, variation, seconds; one row a step.
        thumbnails: (step, (h, w, 3) uint8) on the way.
        seconds: from the first step to the last.
        ended: "finished", "interrupted", "reached" (see `stop_at`) or "diverged".
    """

    image: Array
    loss: float
    history: dict[str, Array]
    thumbnails: tuple[tuple[int, Array], ...]
    seconds: float
    ended: str


def check_settings(settings: Settings) -> None:
    """Refuse names and numbers that make no sense.

    Raises:
        ValueError: says which, and what there is to choose from.
    """
    choices: dict[str, tuple[str, ...]] = {
        "normalization": tuple(NORMALIZATIONS),
        "optimizer": ("lbfgs", "adam"),
        "colours": ("artwork", "recoloured", "matched", "luminance"),
        "precision": ("auto", "float32", "mixed_bfloat16"),
    }
    if isinstance(settings.start, str):
        choices["start"] = ("photo", "artwork", "noise")
    for name, known in choices.items():
        if getattr(settings, name) not in known:
            raise ValueError(f"{name}={getattr(settings, name)!r}: choose one of {', '.join(known)}")
    leasts = {"size": 16, "steps": 1, "alpha": 0, "beta": 0, "strength": 0, "variation": 0, "thumbnails": 0}
    for name, least in leasts.items():
        value = getattr(settings, name)
        if value is not None and not (math.isfinite(value) and value >= least):
            raise ValueError(f"{name}={value}: it must be a number of at least {least}")
    if not settings.style_scale > 0 or not settings.rate > 0:
        raise ValueError("style_scale and rate must be greater than 0")
    if not 0 <= settings.margin <= 0.5:
        raise ValueError(f"margin={settings.margin}: a share of the longer side, from 0 to 0.5")
    if not settings.content_layers or not settings.style_layers:
        raise ValueError("content_layers and style_layers need at least one layer each")
    if settings.beta is None and settings.normalization != "paper":
        raise ValueError(f"normalization={settings.normalization!r} needs a beta: its scale is another one")


def check_pictures(
    content: Array | None, style: Any, settings: Settings
) -> tuple[Array | None, list[tuple[Array, float]]]:
    """The pictures as float32, the artworks with their shares."""
    styles = shares(style)
    if content is None and not styles:
        raise ValueError("give a photograph, an artwork, or both")
    if isinstance(settings.start, str) and settings.start == "artwork" and not styles:
        raise ValueError('start="artwork" needs an artwork')
    for name, image in [("the photograph", content), *(("the artwork", image) for image, _ in styles)]:
        if image is None:
            continue
        if np.ndim(image) != 3 or np.shape(image)[-1] != 3 or min(np.shape(image)) < 1:
            raise ValueError(f"{name} has shape {np.shape(image)}; expected (height, width, 3), RGB 0 to 255")
        if not np.isfinite(image).all():
            raise ValueError(f"{name} holds values that are not finite (NaN or infinity)")
    return None if content is None else np.asarray(content, np.float32), styles


def check_masks(masks: Sequence[Array] | None, artworks: int) -> None:
    """Refuse masks that can't say where each artwork's style is wanted.

    Raises:
        ValueError: says what is wrong with which.
    """
    if masks is None:
        return
    if len(masks) != artworks:
        raise ValueError(f"masks: {len(masks)} for {artworks} artworks; give one for each")
    for k, mask in enumerate(masks):
        values = np.asarray(mask, np.float32)
        if values.ndim != 2:
            raise ValueError(f"mask {k} has shape {values.shape}; expected (height, width)")
        if not (values.min() >= 0 and values.max() <= 1 and values.any()):
            raise ValueError(f"mask {k}: values must lie between 0 and 1, and not all be 0")


def shares(style: Any) -> list[tuple[Array, float]]:
    """The artworks with their shares: one picture, or a sequence of (picture, share)."""
    if style is None:
        return []
    pairs = [(style, 1.0)] if isinstance(style, np.ndarray) else [(image, float(w)) for image, w in style]
    total = sum(share for _, share in pairs)
    return [(np.asarray(image, np.float32), share / total) for image, share in pairs]
