"""Caffe's files: what Google's own protocol buffers write is what is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from caffe_files import messages, write

from course_utils.networks import caffe


def weights() -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    return {
        "conv1": [rng.normal(size=(4, 3, 5, 5)).astype(np.float32), rng.normal(size=4).astype(np.float32)],
        "up": [rng.normal(size=(4, 2, 4, 4)).astype(np.float32)],
        "fc": [rng.normal(size=(300, 8)).astype(np.float32), rng.normal(size=300).astype(np.float32)],
    }


@pytest.mark.parametrize("old", [False, True])
def test_both_formats(tmp_path: Path, old: bool) -> None:
    found = caffe.read(write(tmp_path / "net.caffemodel", weights(), old))
    assert list(found) == ["conv1", "up", "fc"]  # the layer without arrays is left out
    for name, arrays in weights().items():
        for one, expected in zip(found[name], arrays, strict=True):
            shape = (1,) * (4 - expected.ndim) * old + expected.shape
            assert one.shape == shape and one.dtype == np.float32
            np.testing.assert_array_equal(one, expected.reshape(shape))


def test_double_numbers_and_numbers_one_by_one(tmp_path: Path) -> None:
    net = messages()["NetParameter"]()
    blob = net.layer.add(name="precise").blobs.add(double_data=[0.5, -2, 3])
    blob.shape.dim[:] = [3]
    unpacked = bytes([7 << 3 | 2, 4, 1 << 3, 1, 1 << 3, 2])  # shape: 1, 2, a field each
    for value in (1.5, -4.0):
        unpacked += bytes([5 << 3 | 5]) + np.float32(value).tobytes()
    layer = b"\x0a\x03one" + bytes([7 << 3 | 2, len(unpacked)]) + unpacked
    path = tmp_path / "net.caffemodel"
    path.write_bytes(net.SerializeToString() + b"\xa2\x06" + bytes([len(layer)]) + layer)
    found = caffe.read(path)
    np.testing.assert_array_equal(found["precise"][0], np.float32([0.5, -2, 3]))
    np.testing.assert_array_equal(found["one"][0], np.float32([[1.5, -4]]))


def test_what_is_no_caffemodel(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.caffemodel", weights()).read_bytes()
    contents = {
        "cut": (whole[: len(whole) // 2], "ends too early"),
        "page": (b"<!DOCTYPE html><html>not found</html>", "damaged or no .caffemodel"),
        "empty": (b"", "damaged or no .caffemodel"),
        "bits": (b"\xff" * 40, "damaged or no .caffemodel"),
        "bare": (messages()["NetParameter"](name="bare").SerializeToString(), "holds no weights"),
        "shape": (whole.replace(bytes([4, 3, 5, 5]), bytes([4, 3, 5, 6]), 1), "reshape"),
    }
    for name, (content, words) in contents.items():
        path = tmp_path / f"{name}.caffemodel"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=words) as caught:
            caffe.read(path)
        assert path.name in str(caught.value)
    with pytest.raises(FileNotFoundError, match="no weight file"):
        caffe.read(tmp_path / "gone.caffemodel")


def test_pictures() -> None:
    picture = np.random.default_rng(0).uniform(0, 255, (4, 5, 3)).astype(np.float32)
    x = caffe.preprocess(picture)
    np.testing.assert_allclose(x[..., 0], picture[..., 2] - 104.00698793, atol=1e-4)
    np.testing.assert_allclose(caffe.deprocess(x), picture, atol=1e-4)
