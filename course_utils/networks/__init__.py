"""The networks of the course, each written out layer by layer, and the ways to load them with weights.

`from course_utils.networks import load_vgg16, classify` and the like reach into `pretrained`. Loads no
framework.
"""

from course_utils.networks.pretrained import (
    About,
    Prediction,
    about,
    classify,
    load_all_cnn,
    load_vgg16,
    one_line,
    prepare,
    remember,
)

__all__ = [
    "About",
    "Prediction",
    "about",
    "classify",
    "load_all_cnn",
    "load_vgg16",
    "one_line",
    "prepare",
    "remember",
]
