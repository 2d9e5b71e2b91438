"""Window scores at every place of a picture: crop by crop, beside one pass of the converted network."""

from collections.abc import Callable

import numpy as np

from benchmarks.harness import Bench
from course_utils.localization import windows
from course_utils.networks import convert, localizer, pretrained
from course_utils.pictures import images


def prepared(case: dict[str, int]) -> tuple:
    """The class branch of an untrained localizer on the half-width network, and a photograph: time does not
    depend on what was learned."""
    backbone = pretrained.load_vgg16("course", until="block5_conv3")
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
        "windows of 96 in 224x224": {"window": 96, "picture": 224},
        "windows of 96 in 384x384": {"window": 96, "picture": 384},
    },
    ways={"crops": crops, "ours": ours},
)
