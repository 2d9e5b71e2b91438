"""Data: pictures made on the fly, a reader's own, and two public sets.

scenes              pictures with boxes, masks and key points, made from installed photographs
puppets             jointed figures drawn on photographs, their joints known exactly
boxes_from_csv      a reader's own pictures and a table of boxes
masks_from_folders  a reader's own pictures and a folder of masks
cutouts             objects cut out of photographs, for scenes of one's own
contact_sheet       any of these on one sheet, with the labels drawn in
cifar10, tiny_imagenet
"""

from course_utils.datasets.contact_sheet import contact_sheet
from course_utils.datasets.labelled import LabelledImages
from course_utils.datasets.own import boxes_from_csv, masks_from_folders
from course_utils.datasets.scenes import scenes

__all__ = ["LabelledImages", "boxes_from_csv", "contact_sheet", "masks_from_folders", "scenes"]
