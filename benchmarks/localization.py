"""Window scores at every place of a picture: crop by crop, beside one pass of the converted network."""

from collections.abc import Callable

import numpy as np

from benchmarks.harness import Bench
from course_utils.localization import windows
from course_utils.networks import convert, localizer, pretrained
from course_utils.pictures import images


def prepared(case: dict[str, int]) -> tuple:
    """The class branch of an untrained localizer on the original network, and a photograph.

    As in notebook 04; time does not depend on what was learned.
    """
    backbone = pretrained.load_vgg16(until="block4_conv3")
    model = localizer.build(backbone, 6, size=case["window"])
    photograph = images.resize(images.sample("chelsea"), case["picture"])
    return windows.branch(model, 0), images.preprocess(photograph)


def crops(case: dict[str, int]) -> Callable[[], np.ndarray]:
    """Each window cropped."""
    model, x = prepared(case)
    return lambda: convert.crop_scores(model, x, windows.stride_of(model))


def ours(case: dict[str, int]) -> Callable[[], np.ndarray]:
    """All windows in one pass."""
    model, x = prepared(case)
    slide = windows.slider(model)
    return lambda: windows.slide_scores(slide, x)


BENCH = Bench(
    "localization",
    cases={
        "windows of 48 in 144x144": {"window": 48, "picture": 144},
        "windows of 96 in 224x224": {"window": 96, "picture": 224},
    },
    ways={"crops": crops, "ours": ours},
)
