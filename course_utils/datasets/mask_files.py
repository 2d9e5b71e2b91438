"""Masks as people save them: which file belongs to which picture, and what its pixels mean. Notebook 05.

A mask is a grey or palette PNG whose pixels are class numbers. What else comes is read where its meaning is
certain, and named where it is not, with what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from course_utils.datasets.labelled import IGNORED
from course_utils.datasets.problems import Problems
from course_utils.pictures import images, orientation

_ENDINGS = re.compile(
    r"[ ._-]+(?:mask|masks|seg|segmentation|label|labels|annotation|gt|l|jpe?g|png)$", re.IGNORECASE
)
"""What programs hang on a picture's name when they save its mask: holiday_mask.png, holiday.jpg.png."""
MANY = 12  # unknown labels of one mask; more of them are no class numbers but shades
SHADES = 200  # classes without names; the largest public sets have 150


# --- which mask ------------------------------------------------------------------------------------


def pairs(first: Path, second: Path, problems: Problems) -> dict[str, Path]:
    """For each picture's file name its mask: the same stem, or that with an ending such as `_mask`.

    Args:
        first, second: the folders of pictures and masks. Hidden files and folders are passed over.
    """
    if first.resolve() == second.resolve():
        raise ValueError(f"{first} holds pictures and masks alike: put the masks into a folder of their own")
    pictures, masks = _by_stem(first, problems), _by_stem(second, problems)
    for stem in sorted(set(masks) - set(pictures)):
        bare = _ENDINGS.sub("", stem)
        if bare in pictures and bare not in masks:
            masks[bare] = masks.pop(stem)
    for stem in sorted(set(pictures) - set(masks)):
        problems.add(f"{pictures[stem].name}: no mask {stem}.png in {second}", pictures[stem].name)
    for stem in sorted(set(masks) - set(pictures)):
        problems.add(f"{masks[stem].name}: a mask without a picture in {first}", masks[stem].name)
    found = {pictures[stem].name: masks[stem] for stem in sorted(set(pictures) & set(masks))}
    if not found:
        problems.found.insert(0, ("no picture has a mask of its name", None))
        problems.settle()
    return found


def _by_stem(folder: Path, problems: Problems) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in images.SUFFIXES or path.is_dir():
            continue
        if path.stem in found:
            problems.add(f"{path.name}: there is {found[path.stem].name} already", path.name)
        found.setdefault(path.stem, path)
    return found


# --- its pixels --------------------------------------------------------------------------------------


def read(path: Path, file: str, problems: Problems) -> np.ndarray | None:
    """A mask's labels, uint8 (H, W), turned as its own EXIF data say; None where it can't be used.

    Args:
        file: the picture's name, under which the reason is noted.
    """
    try:
        with Image.open(path) as opened:
            form, lossy = opened.format, _lossy(path, opened)
            picture = ImageOps.exif_transpose(opened)
            mode, array = picture.mode, np.asarray(picture)
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        problems.add(f"{path.name}: can't be read ({error})", file)
        return None
    if array.ndim == 3 and (array[..., :1] == array[..., : len(mode.rstrip("Aa"))]).all():
        array = array[..., 0]  # a grey picture saved in colour
    if lossy:
        reason = f"a {form}, whose compression changes labels; save masks as PNG"
    elif array.ndim != 2:
        colours = len(np.unique(array.reshape(-1, array.shape[-1]), axis=0))
        reason = (
            f"holds colours ({colours} of them), not class numbers; save it as a grey or palette PNG whose "
            "pixels are 0, 1, 2, …"
        )
    elif array.max(initial=0) > 255 or array.min(initial=0) < 0 or _broken(array):
        reason = (
            f"labels from {array.min():g} to {array.max():g}; they must be whole numbers from 0 to 255: "
            "save it with 8 bits"
        )
    else:
        return array.astype(np.uint8)
    problems.add(f"{path.name}: {reason}", file)
    return None


def _lossy(path: Path, picture: Image.Image) -> bool:
    """Whether the format may have changed the numbers."""
    if picture.format == "WEBP":
        return b"VP8L" not in path.read_bytes()[:4096]
    return picture.format in ("JPEG", "MPO", "JPEG2000", "AVIF")


def _broken(array: np.ndarray) -> bool:
    """Whether some of the numbers are not whole."""
    return array.dtype.kind == "f" and (not np.isfinite(array).all() or bool((array % 1).any()))


def turned_along(
    masks: Mapping[str, np.ndarray | None],
    sizes: Mapping[str, tuple[int, int]],
    turns: Mapping[str, int],
    names: Mapping[str, str],
    drawn: str,
    problems: Problems,
) -> dict[str, np.ndarray]:
    """The masks that fit their pictures, those drawn on pixels as stored turned upright.

    Args:
        masks: by the picture's file name.
        sizes: height and width of the upright pictures.
        turns: EXIF's number of each picture.
        names: of the masks' files.
        drawn: "shown", "stored", or "" to tell by the sizes.
    """
    usable = {file: mask for file, mask in masks.items() if mask is not None and file in sizes}
    lying = {
        file: mask.shape == orientation.stored_size(sizes[file], turns[file])
        for file, mask in usable.items()
        if turns[file] in orientation.LYING and sizes[file][0] != sizes[file][1]
    }
    found: dict[str, np.ndarray] = {}
    for file, mask in usable.items():
        turn, size = turns[file], sizes[file]
        stored = drawn == "stored"
        if turn != orientation.UPRIGHT and not drawn:
            told = lying.get(file, decided(list(lying.values())))
            if told is None:
                problems.add(f"{names[file]}: {asked(file, turn, 'mask')}", file)
                continue
            stored = told
        mask = orientation.upright(mask, turn) if stored else mask
        if mask.shape == size:
            found[file] = mask
            continue
        was, wanted = (f"{shape[1]} x {shape[0]}" for shape in (mask.shape, size))
        problems.add(
            f"{names[file]}: the mask is {was}, its picture {wanted}; save it in the picture's size", file
        )
    return found


def decided(told: Sequence[bool]) -> bool | None:
    """What all that can be told agree on: True for labels on pixels as stored; None without agreement."""
    return told[0] if told and len(set(told)) == 1 else None


def asked(file: str, turn: int, what: str) -> str:
    """The sentence for labels of which nothing tells on which way up they were drawn."""
    return (
        f"{file} is stored turned (EXIF orientation {turn}), and nothing tells whether the {what} was drawn "
        f"on it as shown or as stored: give drawn='shown' or 'stored' (course train: --drawn), or save the "
        "picture upright"
    )


# --- what the values mean ------------------------------------------------------------------------------


def white_is_one(masks: Mapping[str, np.ndarray], names: Sequence[str] | None) -> bool:
    """Whether 0 and 255 are the only values and there are two classes: 255 is the second then."""
    values = {value for mask in masks.values() for value in np.unique(mask).tolist()}
    return values == {0, IGNORED} and names is not None and len(names) == 2


def check_values(
    masks: Mapping[str, np.ndarray],
    names: Sequence[str] | None,
    ignored: set[int],
    paths: Mapping[str, Path],
    problems: Problems,
) -> tuple[str, ...]:
    """The names of the classes; labels without a name, and what can't be learnt from, are noted."""
    counts = {file: np.bincount(mask.ravel(), minlength=256) for file, mask in masks.items()}
    whole = np.sum(list(counts.values()), axis=0) if counts else np.zeros(256, int)
    used = [int(value) for value in np.flatnonzero(whole) if value not in ignored]
    found = tuple(names) if names is not None else tuple(str(i) for i in range(max(used, default=0) + 1))
    for file, count in counts.items():
        beyond = np.flatnonzero(count[len(found) :]) + len(found)
        if unknown := [int(value) for value in beyond if value not in ignored]:
            problems.add(_unknown(paths[file].name, unknown, len(found)), file)
    if used == [0] and whole[IGNORED] and IGNORED in ignored:
        problems.add(
            "the masks hold only 0 and 255, and 255 means ignored: save the object's pixels as 1, or name "
            "two classes, and 255 is the second"
        )
    return found


def _unknown(name: str, labels: Sequence[int], known: int) -> str:
    if len(labels) > MANY:
        return (
            f"{name}: {len(labels)} unknown labels from {labels[0]} to {labels[-1]}; known are 0 to "
            f"{known - 1}. These are shades, not class numbers: save the mask without smoothing"
        )
    return f"{name}: unknown labels {', '.join(map(str, labels))}; known are 0 to {known - 1}"


def doubts(masks: Mapping[str, np.ndarray], names: Sequence[str], ignored: set[int]) -> list[str]:
    """Sentences on masks that can be read, but from which little can be learnt."""
    whole = np.sum([np.bincount(mask.ravel(), minlength=256) for mask in masks.values()], axis=0)
    used = [int(value) for value in np.flatnonzero(whole) if value not in ignored]
    left_out = {value: int(whole[value]) for value in sorted(ignored) if value < 256 and whole[value]}
    said = []
    if len(used) == 1:
        said.append(f"all judged pixels are of one class, {names[used[0]]}: nothing can be learnt from them")
    if len(names) > SHADES and all(name.isdigit() for name in names):
        said.append(f"{len(names)} labels, up to {names[-1]}: if these are shades, save without smoothing")
    things = int(whole[1:].sum())  # what is not background
    for value, count in left_out.items():
        if count > things / 2:
            said.append(
                f"the label {value}, which is not judged, covers {count / things:.0%} of all pixels that are "
                "not 0: if it is a class, give it a number of its own"
            )
    return said
