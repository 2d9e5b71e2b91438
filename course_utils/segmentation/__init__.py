"""Segmentation: a class for every pixel, how good it is, and how it is written down. Notebook 05.

`metrics` judges label maps, `answers` gets them from a network for pictures of any size, `smoothing` improves
them, `masks` writes and reads them, `shifts` makes a coarse network's answer dense, `patches` is the slow
way that all this replaces.
"""

from course_utils.pictures.resampling import resize_mask
from course_utils.segmentation.answers import label_map, load, memory_mb, scores, tiled
from course_utils.segmentation.masks import overlay, read_mask, write_mask
from course_utils.segmentation.metrics import Quality, confusion_matrix, position_prior, quality
from course_utils.segmentation.shifts import averaged_scores, shift_and_stitch
from course_utils.segmentation.smoothing import guided_filter, superpixel_vote

__all__ = [
    "Quality",
    "averaged_scores",
    "confusion_matrix",
    "guided_filter",
    "label_map",
    "load",
    "memory_mb",
    "overlay",
    "position_prior",
    "quality",
    "read_mask",
    "resize_mask",
    "scores",
    "shift_and_stitch",
    "superpixel_vote",
    "tiled",
    "write_mask",
]
