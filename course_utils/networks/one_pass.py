"""Several heads, one pass through the trunk. Notebooks 01 and 05.

The convolutions take nearly all the time, and they are the same for every head. `classify` and
`segmentation.scores` show each head the part and the size that it learned from, a pass each; here all look at
the same maps of the whole picture, which costs one pass and a little accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from course_utils.networks import fcn_head, gradients, heads, vgg16, weight_files
from course_utils.pictures import images

Maps = Mapping[str, np.ndarray]
LAST = vgg16.LAYERS[-1]


def run(image: np.ndarray, which: Sequence[str], side: int = 224) -> dict[str, np.ndarray]:
    """What several heads say about one picture.

    Args:
        image: (H, W, 3), RGB 0..255.
        which: of "names", the probabilities of the thousand classes, (1000,), and "streets", the logits of
            its eleven classes at every other pixel, (h / 2, w / 2, 11).
        side: pixels of the shorter side that the trunk sees; both sides are rounded to multiples of 32.

    Returns:
        Head -> its answer, float32.

    Raises:
        ValueError: there is no such head.
    """
    strange = [name for name in which if name not in HEADS]
    if strange:
        raise ValueError(f"{strange[0]!r}: the heads that share a pass are {', '.join(HEADS)}")
    maps = _maps(image, side)
    return {name: HEADS[name](maps) for name in which}


def _maps(image: np.ndarray, side: int) -> Maps:
    """The maps of four blocks, (h, w, channels) each."""
    zoom = side / min(image.shape[:2])
    height, width = (max(32, 32 * round(length * zoom / 32)) for length in image.shape[:2])
    x = images.preprocess(images.resize(image, (height, width)))[None]
    found = gradients.forward(fcn_head.reduction(), x)
    return {layer: maps[0] for layer, maps in zip(fcn_head.COMPONENTS, found, strict=True)}


def _names(maps: Maps) -> np.ndarray:
    """The average of the last maps, one dense layer, a softmax."""
    values, _ = heads.read("names")
    scores = maps[LAST].mean((0, 1)) @ values["predictions_kernel"] + values["predictions_bias"]
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def _streets(maps: Maps) -> np.ndarray:
    values, _ = heads.read("streets")
    model = fcn_head.on_maps(values, str(weight_files.shipped("streets")))
    return np.asarray(model.predict_on_batch([maps[layer][None] for layer in fcn_head.COMPONENTS])[0])


HEADS: Mapping[str, Callable[[Maps], np.ndarray]] = {"names": _names, "streets": _streets}
"""Heads that take maps of any size; `colours` would ask for a grey picture."""
