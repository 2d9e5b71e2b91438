"""Writes `.pth` and `.safetensors` files as PyTorch and safetensors do, without either."""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from course_utils.networks import torch_files


class _Storage:
    """Stands for a storage; the pickler writes a mark in its place."""

    def __init__(self, key: str, numbers: np.ndarray, kind: type) -> None:
        self.key, self.numbers, self.kind = key, numbers, kind


class _Tensor:
    def __init__(self, storage: _Storage, offset: int, shape: tuple, strides: tuple) -> None:
        self.parts = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.parts


class _Pickler(pickle.Pickler):
    def __init__(self, file: Any, old: bool) -> None:
        super().__init__(file, protocol=2)
        self.extra = (None,) if old else ()

    def persistent_id(self, thing: Any) -> Any:
        if isinstance(thing, _Storage):
            return ("storage", thing.kind, thing.key, "cpu", thing.numbers.size, *self.extra)
        return None


def _modules(monkeypatch: Any) -> types.ModuleType:
    """A `torch` that has the names which a file of tensors mentions."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "HalfStorage", "LongStorage", "BFloat16Storage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def rebuild(*_parts: Any) -> None:
        raise AssertionError("a reader of tensors calls nothing")

    rebuild.__module__, rebuild.__name__ = "torch._utils", "_rebuild_tensor_v2"
    rebuild.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return torch


def _described(tensors: Mapping[str, np.ndarray], torch: types.ModuleType) -> tuple[Any, list[_Storage]]:
    """The state_dict; every second tensor is a transposed view into a storage with room in front."""
    kinds = {"f4": torch.FloatStorage, "f2": torch.HalfStorage, "i8": torch.LongStorage}
    described, storages = OrderedDict(), []
    for i, (name, array) in enumerate(tensors.items()):
        own = array.T if i % 2 else array
        numbers = np.concatenate([np.zeros(3 * (i % 2), array.dtype), own.ravel()])
        storages.append(_Storage(str(i), numbers, kinds[array.dtype.str[1:]]))
        strides = [s // array.itemsize for s in np.empty(own.shape, array.dtype).strides]
        described[name] = _Tensor(
            storages[-1], 3 * (i % 2), array.shape, tuple(strides[::-1] if i % 2 else strides)
        )
    described._metadata = OrderedDict({"": {"version": 1}})
    return described, storages


def write_pth(path: Path, tensors: Mapping[str, np.ndarray], monkeypatch: Any, old: bool = False) -> Path:
    """A `.pth` of today's kind, or of the kind before 2020 (torchvision's own files)."""
    described, storages = _described(tensors, _modules(monkeypatch))
    buffer = io.BytesIO()
    if old:
        for each in (torch_files.OLD_MAGIC, 1001, {"protocol_version": 1001, "little_endian": True}):
            pickle.dump(each, buffer, protocol=2)
        _Pickler(buffer, old).dump(described)
        pickle.dump([each.key for each in storages], buffer, protocol=2)
        for each in storages:
            buffer.write(struct.pack("<q", each.numbers.size) + each.numbers.tobytes())
        path.write_bytes(buffer.getvalue())
        return path
    _Pickler(buffer, old).dump(described)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", buffer.getvalue())
        for each in storages:
            archive.writestr(f"{path.stem}/data/{each.key}", each.numbers.tobytes())
        archive.writestr(f"{path.stem}/version", "3\n")
    return path


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    names = {"f4": "F32", "f2": "F16", "i8": "I64"}
    table: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in tensors.items():
        end = len(data) + array.nbytes
        table[name] = {
            "dtype": names[array.dtype.str[1:]],
            "shape": list(array.shape),
            "data_offsets": [len(data), end],
        }
        data += array.tobytes()
    head = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)
    return path
