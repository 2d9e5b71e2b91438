"""Pooling written out in NumPy. Notebook 00."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from course_utils.convolution.convolution import windows


def pool(picture: Any, size: int = 2, how: Literal["max", "average"] = "max") -> np.ndarray:
    """Keep one value of each `size` x `size` block: the largest, or the mean. Notebook 00.

    Args:
        picture: (H, W) or (H, W, C). Rows and columns that fill no block are dropped.

    Returns:
        (H // size, W // size) or with C behind.
    """
    if how not in ("max", "average"):
        raise ValueError(f"how={how!r} is neither 'max' nor 'average'")
    blocks = windows(picture, size, stride=size)
    return blocks.max(axis=(2, 3)) if how == "max" else blocks.mean(axis=(2, 3))
