"""PyTorch's files: tensors are read, and nothing else is ever run."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from torch_writing import write_pth, write_safetensors

from course_utils.networks import torch_files


def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "features.0.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "features.0.bias": rng.normal(size=4).astype(np.float32),
        "half": rng.normal(size=(2, 5)).astype(np.float16),
        "dense.weight": rng.normal(size=(6, 7)).astype(np.float32),
        "counter": np.array(7, np.int64),
    }


@pytest.mark.parametrize("kind", ["pth", "old pth", "safetensors"])
def test_tensors_come_back(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"net.{kind.split()[-1]}"
    if kind == "safetensors":
        write_safetensors(path, tensors())
    else:
        write_pth(path, tensors(), monkeypatch, old=kind.startswith("old"))
    found = torch_files.read(path)
    assert list(found) == ["features.0.weight", "features.0.bias", "half", "dense.weight"]
    for name, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, tensors()[name])


def test_bfloat16(tmp_path: Path) -> None:
    head = b'{"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}'
    path = tmp_path / "net.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head + struct.pack("<HH", 0x3F80, 0xC040))
    np.testing.assert_array_equal(torch_files.read(path)["a"], np.float32([1, -3]))


class Trap:
    """Unpickled, it would make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("old", [False, True])
def test_a_pickle_is_never_run(tmp_path: Path, protocol: int, old: bool) -> None:
    path, target = tmp_path / "trap.pth", tmp_path / "sprung"
    content = pickle.dumps({"features.0.weight": Trap(target)}, protocol=protocol)
    if old:
        path.write_bytes(pickle.dumps(torch_files.OLD_MAGIC, 2) + content * 3)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("trap/data.pkl", content)
    with pytest.raises(ValueError, match=r"trap\.pth holds a pickle"):
        torch_files.read(path)
    assert not target.exists()


def test_what_holds_no_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def zipped(name: str, thing: object) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", pickle.dumps(thing, 2))
        return path

    whole = write_pth(tmp_path / "whole.pth", tensors(), monkeypatch, old=True).read_bytes()
    cut, page = tmp_path / "cut.pth", tmp_path / "page.pth"
    cut.write_bytes(whole[: len(whole) - 20])
    page.write_bytes(b"<!DOCTYPE html>")
    short = tmp_path / "short.safetensors"
    short.write_bytes(write_safetensors(tmp_path / "s.safetensors", tensors()).read_bytes()[:-40])
    broken = {
        zipped(
            "numbers.pth", {"epoch": 3, "state_dict": {}}
        ): "more than tensors .'epoch', a value of type int.*state_dict",
        zipped("list.pth", [1, 2]): "no dict of tensors",
        zipped("model.pth", Trap(tmp_path)): "would call .*only tensors are read",
        cut: "damaged or no .pth file",
        page: "damaged or no .pth file",
        short: "damaged or no .safetensors file",
    }
    for path, words in broken.items():
        with pytest.raises(ValueError, match=words) as caught:
            torch_files.read(path)
        assert path.name in str(caught.value)
    with pytest.raises(FileNotFoundError):
        torch_files.read(tmp_path / "gone.pth")


def test_a_view_beyond_its_storage_is_refused() -> None:
    storage = torch_files._Storage("<f4", "0")
    data = np.arange(6, dtype="<f4").tobytes()
    good = torch_files._array(torch_files._Tensor(storage, 1, (2, 2), (1, 2)), data)
    np.testing.assert_array_equal(good, [[1, 3], [2, 4]])
    for offset, shape, strides in ((2, (2, 2), (1, 3)), (0, (7,), (1,)), (3, (2,), (-1,)), (-1, (2,), (1,))):
        with pytest.raises(ValueError, match=r"ends too early|negative"):
            torch_files._array(torch_files._Tensor(storage, offset, shape, strides), data)
