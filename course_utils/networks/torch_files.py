"""PyTorch's weight files, `.pth` and `.safetensors`: the tensors by name, without PyTorch. Notebook 01.

A `.pth` describes its tensors in a pickle. A pickle is a program, and loading one with `pickle.load` runs
whatever it was written to run. Here nothing of it is run: the few instructions that describe a dict of
tensors are read one by one (`_described`), and any other one ends the reading.
"""

from __future__ import annotations

import io
import json
import math
import mmap
import pickletools
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SUFFIXES = (".pth", ".pt", ".safetensors")
OLD_MAGIC = 0x1950A86A20F9469CFC6C
"""How files from before 2020 begin; torchvision's are still of that kind."""


class _Name(str):
    """What a pickle calls a function or a class: "module name". It stays a name."""


class _Storage(NamedTuple):
    dtype: str
    key: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


DTYPES = {  # of the storages and of `.safetensors`; bfloat16 is the upper half of a float32
    "torch FloatStorage": "<f4",
    "torch HalfStorage": "<f2",
    "torch DoubleStorage": "<f8",
    "torch BFloat16Storage": "bfloat16",
    "torch LongStorage": "<i8",
    "F32": "<f4",
    "F16": "<f2",
    "F64": "<f8",
    "BF16": "bfloat16",
    "I64": "<i8",
}


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Read the tensors of a `.pth`, `.pt` or `.safetensors`.

    Args:
        path: a `state_dict`, as `torch.save` or safetensors writes it.

    Returns:
        Name -> float32 array in PyTorch's order: of a convolution (out, in, height, width), of a dense
        layer (out, in). Whole numbers, such as the counters of batch normalization, are left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: damaged, of another kind, or with a pickle that describes more than tensors.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no weight file {path}")
    try:
        if path.suffix == ".safetensors":
            tensors = _read_safetensors(path)
        else:
            tensors = _read_zip(path) if zipfile.is_zipfile(path) else _read_old(path)
    except _Refused as error:
        raise ValueError(f"{path} {error}") from error
    except (
        *(ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RuntimeError),
        *(OSError, EOFError, struct.error, zipfile.BadZipFile),
    ) as error:
        raise ValueError(
            f"{path} is damaged or no {path.suffix} file ({error}); get or make it again"
        ) from error
    return {name: value for name, value in tensors.items() if value.dtype == np.float32}


class _Refused(ValueError):
    """The file is whole, but not what is read here."""


# --- .safetensors ---------------------------------------------------------------------------------------


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Eight bytes: length of a JSON text; the text: dtype, shape and place of each tensor; the numbers."""
    data = np.memmap(path, np.uint8, "r")
    (length,) = struct.unpack("<Q", data[:8].tobytes())
    if length > len(data) - 8:
        raise ValueError("it ends too early")
    table = json.loads(data[8 : 8 + length].tobytes())
    tensors = {}
    for name, entry in table.items():
        if name != "__metadata__" and entry["dtype"] in DTYPES:
            first, last = entry["data_offsets"]
            numbers = _numbers(data[8 + length :][first:last].tobytes(), DTYPES[entry["dtype"]])
            tensors[name] = numbers.reshape(entry["shape"])
    return tensors


def _numbers(data: bytes, dtype: str) -> np.ndarray:
    """Floating-point numbers as float32, whole ones as they are."""
    if dtype == "bfloat16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    numbers = np.frombuffer(data, dtype)
    return numbers if numbers.dtype.kind == "i" else numbers.astype(np.float32, copy=False)


# --- .pth -----------------------------------------------------------------------------------------------


def _read_zip(path: Path) -> dict[str, np.ndarray]:
    """Since 2020: an archive of data.pkl, which describes, and a member for each storage."""
    with zipfile.ZipFile(path) as archive:
        (root,) = (name[: -len("data.pkl")] for name in archive.namelist() if name.endswith("/data.pkl"))
        described = _tensors(_described(io.BytesIO(archive.read(f"{root}data.pkl"))))
        return {
            name: _array(tensor, archive.read(f"{root}data/{tensor.storage.key}"))
            for name, tensor in described.items()
        }


def _read_old(path: Path) -> dict[str, np.ndarray]:
    """Before: pickles one after the other (magic number, version, machine, tensors, keys), then storages."""
    with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as file:
        if _described(file) != OLD_MAGIC:
            raise _Refused("holds a pickle that PyTorch did not write; only tensors are read")
        _described(file), _described(file)
        described = _tensors(_described(file))
        storages: dict[str, bytes] = {}
        sizes = {t.storage.key: np.dtype(_plain(t.storage.dtype)).itemsize for t in described.values()}
        for key in _described(file):
            (count,) = struct.unpack("<q", file.read(8))
            if not 0 <= count * sizes[key] <= len(file) - file.tell():
                raise ValueError("it ends too early")
            storages[key] = file.read(count * sizes[key])
    return {name: _array(tensor, storages[tensor.storage.key]) for name, tensor in described.items()}


def _plain(dtype: str) -> str:
    return "<u2" if dtype == "bfloat16" else dtype


def _tensors(described: Any) -> dict[str, _Tensor]:
    """The description, if it is a dict of tensors by name and nothing else."""
    if not isinstance(described, dict) or not described:
        raise _Refused("holds no dict of tensors: save model.state_dict()")
    for name, value in described.items():
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            kind = type(value).__name__.strip("_").lower()
            raise _Refused(
                f"holds more than tensors ({name!r}, a value of type {kind}): save model.state_dict() alone"
            )
    return described


def _array(tensor: _Tensor, data: bytes) -> np.ndarray:
    """The part of its storage that a tensor shows."""
    numbers = _numbers(data, tensor.storage.dtype)
    steps = [(n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True)]
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0:
        raise ValueError("a tensor with negative sizes")
    if math.prod(tensor.shape) and tensor.offset + sum(steps) >= len(numbers):
        raise ValueError("it ends too early")
    strides = [step * numbers.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)


class _Description:
    """What one pickle describes: numbers, texts, tuples, lists, dicts, and tensors as `_Tensor`."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def read(self, file: Any) -> Any:
        for operation, argument, _ in pickletools.genops(file):
            name = operation.name
            if name in LITERALS:
                self.stack.append(argument)
            elif name in PUSHED:
                self.stack.append(PUSHED[name]())
            elif name not in ("PROTO", "STOP"):
                self.step(name, argument)
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "GLOBAL":
                stack.append(_Name(argument))
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE" | "NEWOBJ":
                arguments = stack.pop()
                stack.append(_called(stack.pop(), arguments))
            case "BUILD":  # attributes of a dict, such as the versions of its modules
                stack.pop()
            case "MARK":
                self.marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(self.since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack[-int(name[-1]) :] = [tuple(stack[-int(name[-1]) :])]
            case "SETITEM" | "SETITEMS":
                pairs = self.since_mark() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
                stack[-1].update(zip(pairs[::2], pairs[1::2], strict=True))
            case "APPEND" | "APPENDS":
                items = self.since_mark() if name == "APPENDS" else [stack.pop()]
                stack[-1].extend(items)
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case _:
                raise _Refused(
                    f"holds a pickle with {name}, which no file of tensors needs; it is not loaded"
                )


def _described(file: Any) -> Any:
    return _Description().read(file)


PUSHED: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
LITERALS = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "BINFLOAT")


def _storage(mark: Any) -> _Storage:
    """("storage", its type, its key, the device, how many numbers, …)"""
    kind, key = mark[1], mark[2]
    if mark[0] != "storage" or kind not in DTYPES:
        raise _Refused(f"holds tensors of a type that is not read ({kind})")
    return _Storage(DTYPES[kind], str(key))


def _called(function: Any, arguments: tuple[Any, ...]) -> Any:
    """The three functions that describe a dict of tensors; nothing is called."""
    if function == "torch._utils _rebuild_tensor_v2":
        return _Tensor(*arguments[:4])
    if function == "torch._utils _rebuild_parameter":
        return arguments[0]
    if function == "collections OrderedDict":
        return dict(*arguments)
    raise _Refused(
        f"holds a pickle that would call {str(function).replace(' ', '.')}: only tensors are read, save "
        "model.state_dict()"
    )
