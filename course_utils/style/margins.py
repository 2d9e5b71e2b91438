"""A margin around a picture while it is painted: mirrored, and cut off again.

Convolutions pad with zeros, which no picture has inside, so at a border the maps of photograph, artwork and
result say less than they should, and what is painted there looks it. Notebook 07.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .problem import fitted
from .settings import Settings

Array = np.ndarray


def widened(content: Array | None, settings: Settings) -> tuple[Array | None, Settings]:
    """The photograph with its margin, and settings under which the part inside comes out as asked for.

    Args:
        content: (H, W, 3), or None: a texture simply becomes larger.

    Returns:
        The photograph, `settings.margin` times its longer side wider on each side, and settings with a larger
        size and masks and start widened alike, the artwork's own size unchanged.
    """
    share = settings.margin
    if share == 0:
        return content, settings
    wider = {
        "size": round(settings.size * (1 + 2 * share)),
        "style_scale": settings.style_scale / (1 + 2 * share),
        "masks": None if settings.masks is None else [_mirrored(mask, share) for mask in settings.masks],
        "start": settings.start if isinstance(settings.start, str) else _mirrored(settings.start, share),
    }
    return (None if content is None else _mirrored(content, share)), replace(settings, **wider)  # type: ignore[arg-type]


def _mirrored(image: Array, share: float) -> Array:
    """An array continued on its first two axes by a share of the longer one, as in a mirror."""
    image = np.asarray(image)
    pad = round(share * max(image.shape[:2]))
    return np.pad(image, [(pad, pad), (pad, pad), *[(0, 0)] * (image.ndim - 2)], mode="symmetric")


def cut(image: Array, content: Array | None, settings: Settings) -> Array:
    """The middle of a painted picture (or of a thumbnail of it), as large as it was asked for."""
    if settings.margin == 0:
        return image
    long = round(max(image.shape[:2]) / (1 + 2 * settings.margin))
    shape = (long, long) if content is None else fitted(content, long)
    top, left = ((image.shape[i] - shape[i]) // 2 for i in (0, 1))
    return image[top : top + shape[0], left : left + shape[1]]
