"""Hypercolumns (Hariharan et al. 2015): all that a network says about each pixel. Notebook 03.

`extract` builds the dense array; `Factored` is the same object without building it, and `kmeans`, `pca`,
`ridge` and `logistic` work on that.
"""

from course_utils.pictures.resampling import Axis, stretch

from .clustering import Clusters, best_iou, kmeans, plus_plus
from .dense import extract
from .factored import Factored
from .linear import Components, LinearMap, PixelClassifier, logistic, pca, ridge
from .marks import likeness_map, match, nearest_stroke, scribble, show_likeness

__all__ = [
    "Axis",
    "Clusters",
    "Components",
    "Factored",
    "LinearMap",
    "PixelClassifier",
    "best_iou",
    "extract",
    "kmeans",
    "likeness_map",
    "logistic",
    "match",
    "nearest_stroke",
    "pca",
    "plus_plus",
    "ridge",
    "scribble",
    "show_likeness",
    "stretch",
]
