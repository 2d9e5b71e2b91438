"""Caffe's weight files: the arrays of a `.caffemodel` by layer, without Caffe. Notebook 05.

A `.caffemodel` is a protocol buffer. On disk that is a chain of fields: a key (number of the field, and how
its value is written), then the value. Of Caffe's hundreds of fields five matter here: the list of layers, a
layer's name, its arrays, an array's shape and its numbers. All others are skipped unread.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# field of the layer in the network -> fields of name and arrays in the layer; 2 is the format before 2015
LAYERS: dict[int, tuple[int, int]] = {100: (1, 7), 2: (4, 6)}
SHAPE, FLOATS, DOUBLES, OLD_SHAPE = 7, 5, 8, (1, 2, 3, 4)
MEAN = np.array([104.00698793, 116.66876762, 122.67891434], np.float32)
"""Of ImageNet's training pictures, BGR, as Caffe's own models (AlexNet, FCN) subtract it."""
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5


def preprocess(images: np.ndarray) -> np.ndarray:
    """Pictures (…, 3), RGB 0..255, as Caffe's models take them: float32, BGR minus `MEAN`."""
    return np.asarray(images, np.float32)[..., ::-1] - MEAN


def deprocess(x: np.ndarray) -> np.ndarray:
    """The inverse of `preprocess`."""
    return (np.asarray(x, np.float32) + MEAN)[..., ::-1]


def read(path: str | Path) -> dict[str, list[np.ndarray]]:
    """Read a `.caffemodel`.

    Args:
        path: the file. It is mapped, not copied: an array costs memory only where it is used.

    Returns:
        For each layer that has arrays its name and those, float32 in Caffe's order: of a convolution
        (out, in, height, width) and (out,), of a transposed one (in, out, height, width), of a dense
        layer (out, in). Files from before 2015 give four dimensions to each, with ones in front.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, no `.caffemodel`, or holds no weights.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no weight file {path}")
    try:
        with path.open("rb") as file:
            whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        layers = dict(_layer(value, *LAYERS[field]) for field, value in _fields(whole) if field in LAYERS)
    except (ValueError, TypeError, IndexError, struct.error) as error:
        raise ValueError(
            f"{path} is damaged or no .caffemodel file ({error}); get or make it again"
        ) from error
    layers = {name: arrays for name, arrays in layers.items() if arrays}
    if not layers:
        raise ValueError(f"{path} holds no weights: no layer in it has arrays")
    return layers


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """The fields of a message: number, and an int or the bytes of the value."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind not in (EIGHT_BYTES, BYTES, FOUR_BYTES) or not number:
            raise ValueError(f"byte {at} begins no field")
        length = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(kind, 0)
        if kind == BYTES:
            length, at = _varint(data, at)
        if at + length > len(data):
            raise ValueError("it ends too early")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A whole number, seven bits a byte, lowest first, and where it ends."""
    value = shift = 0
    while shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError(f"byte {at} belongs to no number")


def _layer(data: memoryview, name: int, arrays: int) -> tuple[str, list[np.ndarray]]:
    fields = list(_fields(data))
    names = [bytes(value).decode("utf-8") for field, value in fields if field == name]
    return "".join(names[-1:]), [_array(value) for field, value in fields if field == arrays]


def _array(data: memoryview) -> np.ndarray:
    """One array; its numbers lie in one piece, or each is a field of its own."""
    shape: list[int] | None = None
    old = dict.fromkeys(OLD_SHAPE, 0)
    pieces: list[np.ndarray] = []
    for field, value in _fields(data):
        if field == SHAPE:
            shape = [size for part in _fields(value) for size in _numbers(part[1])]
        elif field in old:
            old[field] = value
        elif field in (FLOATS, DOUBLES):
            pieces.append(np.frombuffer(value, "<f4" if field == FLOATS else "<f8"))
    numbers = pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0), *pieces])
    return numbers.astype(np.float32, copy=False).reshape(list(old.values()) if shape is None else shape)


def _numbers(value: int | memoryview) -> list[int]:
    """Whole numbers that are written alone or in one piece."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(number)
    return found
