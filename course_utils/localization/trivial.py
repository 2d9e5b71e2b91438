"""Answers without a network, beside which those of networks stand. Notebook 04."""

from __future__ import annotations

import numpy as np

from course_utils.datasets.labelled import tight_box


def largest_blob(image: np.ndarray) -> tuple[int, int, int, int]:
    """The box around the largest patch whose colour differs from the picture's border.

    Args:
        image: uint8 (H, W, 3).

    Returns:
        x, y, w, h; "differs" means beyond Otsu's threshold (Otsu, 1979) of the distances in colour.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    pixels = image.astype(np.float64)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    distance = np.sqrt(((pixels - np.median(border, axis=0)) ** 2).sum(axis=-1))
    patches, count = ndimage.label(distance > threshold_otsu(distance))
    if not count:
        return 0, 0, image.shape[1], image.shape[0]
    return tight_box(patches == 1 + np.argmax(np.bincount(patches.ravel())[1:]))
