"""Colouring a photograph: by dense hypercolumns at its own size, and as the course does it.

Chelsea, its longer side 256 and 480 pixels, the head that ships on the original VGG-16; both ways begin with
the grey picture and end with RGB of its size. `plain` runs the network at the picture's size, stretches all
maps, joins them, and runs the head as a network on every pixel. `ours` runs the network at a longer side of
224, takes the head's first layer on the small maps, has one place for each two by two pixels, and stretches
the colours. A second is what a frame of a film needs without the motion: frames a second are its inverse.
"""

from collections.abc import Callable

import numpy as np

from benchmarks.harness import Bench
from course_utils import colour, hypercolumns
from course_utils.networks import gradients
from course_utils.pictures import images


def prepared(side: int):
    """Head, trunk, and the grey picture."""
    picture = images.fit(images.sample("chelsea"), side)
    height, width = (n // 16 * 16 for n in picture.shape[:2])
    return colour.load(), colour.load_trunk(), colour.grey(picture[:height, :width])


def plain(side: int) -> Callable[[], object]:
    """All hypercolumns in one array, and the head on it, in batches of pixels."""
    head, trunk, grey = prepared(side)
    bins, size = colour.bins_of(head), grey.shape[:2]

    def run() -> np.ndarray:
        maps = colour.maps_of(trunk, grey[None])[0]
        layers = [
            hypercolumns.stretch(each if each.ndim == 3 else each[None, None], size) for each in maps.values()
        ]
        dense = np.concatenate(layers, axis=-1).reshape(size[0] * size[1], -1)
        parts = [gradients.forward(head, dense[i : i + 8192]) for i in range(0, len(dense), 8192)]
        ab = bins.annealed_mean(np.concatenate(parts)[:, 2 : 2 + len(bins)], 1.0)
        return colour.with_colour(colour.lightness(grey), ab.reshape(*size, 2))

    return run


def ours(side: int) -> Callable[[], object]:
    """As `course colourize` does it."""
    head, trunk, grey = prepared(side)
    return lambda: colour.colourize(head, trunk, grey)


BENCH = Bench(
    "colour",
    cases={"256": 256, "480": 480},
    ways={"plain": plain, "ours": ours},
    imports=("scipy.sparse",),
)
