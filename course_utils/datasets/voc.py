"""PASCAL VOC's segmentation pictures, in the layout of the official archive. Notebook 05.

`VOC2012/JPEGImages/NAME.jpg`, `SegmentationClass/NAME.png` (palette, 255 around the objects) and
`ImageSets/Segmentation/{train,val,trainval}.txt` (Everingham et al. 2010). The course downloads none of it.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from course_utils.datasets.labelled import LabelledImages, unlabelled
from course_utils.pictures import images, orientation

CLASS_NAMES: tuple[str, ...] = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "dining table", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train",
    "tv monitor",
)  # fmt: skip


def palette(colours: int = 256) -> np.ndarray:
    """PASCAL VOC's colours, uint8 (colours, 3): neighbouring numbers get colours far apart.

    The bits of the number are dealt out to red, green and blue in turn, highest first.
    """
    numbers = np.arange(colours)[:, None]
    table = np.zeros((colours, 3), np.int64)
    for i in range(8):
        table |= ((numbers >> (3 * i + np.arange(3))) & 1) << (7 - i)
    return table.astype(np.uint8)


def names(folder: str | Path, split: str = "train") -> list[str]:
    """The names of a split's pictures, in the official order.

    Raises:
        FileNotFoundError: there is no such list.
    """
    path = Path(folder) / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not path.is_file():
        raise FileNotFoundError(
            f"no list {path}: give the folder that holds JPEGImages, such as VOCdevkit/VOC2012"
        )
    return path.read_text(encoding="utf-8").split()


def load(folder: str | Path, split: str = "train", size: tuple[int, int] = (256, 256)) -> LabelledImages:
    """Pictures and masks of a split, each fitted into one size.

    Args:
        folder: holds JPEGImages, SegmentationClass and ImageSets.
        split: "train", "val" or "trainval".
        size: height and width. A picture keeps its proportions (bilinear; its mask by nearest neighbour) and
            lies in the upper left corner; the rest is the mean colour, and 255 in the mask.

    Returns:
        `LabelledImages` with `mask_names`, `files` and original `sizes`; no boxes.

    A picture without a mask, as most of the archive are, is left out; a warning says how many.

    Raises:
        FileNotFoundError: a list or picture is missing, or all masks are.
        ValueError: a mask is no palette PNG, not as large as its picture, or has unknown labels.
    """
    folder = Path(folder)
    chosen = _with_masks(folder, split)
    pictures = np.empty((len(chosen), *size, 3), np.uint8)
    pictures[:] = images.to_uint8(images.BGR_MEAN[::-1])
    masks = np.full((len(chosen), *size), 255, np.uint8)
    sizes = np.empty((len(chosen), 2), np.int64)
    for i, name in enumerate(chosen):
        path = folder / "JPEGImages" / f"{name}.jpg"
        picture, turn = images.read(path), orientation.of(path)
        mask = _mask(folder / "SegmentationClass" / f"{name}.png", picture.shape[:2], turn)
        sizes[i] = mask.shape
        scale = min(size[0] / mask.shape[0], size[1] / mask.shape[1])
        height, width = (max(1, round(n * scale)) for n in mask.shape)
        pictures[i, :height, :width] = images.to_uint8(images.resize(picture, (height, width)))
        rows, columns = (((np.arange(n) + 0.5) / scale).astype(int) for n in (height, width))
        rows, columns = np.minimum(rows, mask.shape[0] - 1), np.minimum(columns, mask.shape[1] - 1)
        masks[i, :height, :width] = mask[rows[:, None], columns]
    return unlabelled(pictures, masks=masks, mask_names=CLASS_NAMES, files=tuple(chosen), sizes=sizes)


def _with_masks(folder: Path, split: str) -> list[str]:
    """The names of a split that have a mask."""
    listed = names(folder, split)
    masks = folder / "SegmentationClass"
    there = [name for name in listed if (masks / f"{name}.png").is_file()]
    if not there:
        raise FileNotFoundError(f"no mask in {masks} of any picture that {split}.txt lists")
    if len(there) < len(listed):
        first = next(name for name in listed if name not in set(there))
        warnings.warn(
            f"{len(listed) - len(there)} of {len(listed)} pictures in {split}.txt are left out: they have no "
            f"mask in {masks}, such as {first}",
            stacklevel=3,
        )
    return there


def _mask(path: Path, size: tuple[int, int], turn: int) -> np.ndarray:
    """The labels, turned as EXIF data turn the picture: the official tools draw on pixels as stored."""
    with Image.open(path) as picture:
        mask = np.asarray(picture)
    if mask.ndim != 2:
        raise ValueError(f"{path} holds colours, not class numbers: the official masks are palette PNGs")
    if mask.shape == orientation.stored_size(size, turn):
        mask = orientation.upright(mask, turn)
    if mask.shape != size:
        raise ValueError(f"{path} is {mask.shape[1]} x {mask.shape[0]}, its picture {size[1]} x {size[0]}")
    unknown = sorted(set(np.unique(mask).tolist()) - {*range(len(CLASS_NAMES)), 255})
    if unknown:
        raise ValueError(f"{path} has labels {', '.join(map(str, unknown))}; known are 0 to 20 and 255")
    return mask.astype(np.uint8)
