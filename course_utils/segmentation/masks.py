"""Label maps as files and as colours: palette PNGs and overlays, a class in the same colour. Notebook 05."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from course_utils import files
from course_utils.pictures import images
from course_utils.pictures.palette import mask_palette


def write_mask(path: str | Path, mask: np.ndarray, class_names: Sequence[str] = ()) -> Path:
    """Write a label map as a palette PNG, as PASCAL VOC does: the number of a pixel's colour is its class.

    Args:
        path: ends in .png.
        mask: (H, W), whole numbers 0..255.
        class_names: of the values, which choose the colours (`palette.mask_palette`).

    Raises:
        ValueError: another shape, suffix or range.
    """
    path, mask = Path(path), np.asarray(mask)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path.name}: masks are PNGs, since other formats change labels")
    if mask.ndim != 2 or mask.dtype.kind not in "ui" or mask.min(initial=0) < 0 or mask.max(initial=0) > 255:
        raise ValueError(f"a mask is (H, W) of whole numbers 0 to 255, not {mask.dtype} {mask.shape}")
    picture = Image.fromarray(mask.astype(np.uint8)).convert("L")
    picture.putpalette(mask_palette(class_names).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True, exif=images.mark())
    with files.replacing(path) as file:
        file.write(buffer.getvalue())
    return path


def read_mask(path: str | Path) -> np.ndarray:
    """Read a label map, uint8 (H, W), from a PNG with a palette or in grey.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds colours instead of class numbers, or is no picture.
    """
    path = Path(path)
    try:
        with Image.open(path) as picture:
            array = np.asarray(picture)
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{path} is no picture") from error
    if array.ndim != 2 or array.min(initial=0) < 0 or array.max(initial=0) > 255:
        raise ValueError(f"{path} holds colours, not class numbers; save it as a grey or palette PNG")
    return array.astype(np.uint8)


def overlay(
    image: np.ndarray, mask: np.ndarray, class_names: Sequence[str] = (), strength: float = 0.55
) -> np.ndarray:
    """A picture with its label map laid over, each class in the colour that it has everywhere.

    Args:
        image: (H, W, 3), RGB 0..255.
        mask: (H, W) class indices; 255, which belongs to no class, becomes white.
        class_names: of the indices; "background" stays uncoloured.
        strength: 0..1, how much of the colour.

    Returns:
        uint8 (H, W, 3).
    """
    image, mask = np.asarray(image, np.float32), np.asarray(mask)
    if image.shape[:2] != mask.shape:
        raise ValueError(f"the mask is {mask.shape}, the picture {image.shape[:2]}")
    clear = [i for i, name in enumerate(class_names) if name == "background"]
    share = np.where(np.isin(mask, clear), 0, strength)[..., None]
    return images.to_uint8(image * (1 - share) + mask_palette(class_names)[mask] * share)
