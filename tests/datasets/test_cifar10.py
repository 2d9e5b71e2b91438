"""CIFAR-10's binary files: layout, split, damaged files."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.datasets import cifar10


@pytest.fixture
def folder(tmp_path):
    """Six files of twenty records: picture n of a file has red = n, green = its label, blue = row number."""
    place = tmp_path / cifar10.FOLDER
    place.mkdir()
    for number, name in enumerate((*cifar10.TRAIN_FILES, cifar10.TEST_FILE)):
        records = bytearray()
        for n in range(20):
            label = n % 10
            planes = np.zeros((3, 32, 32), np.uint8)
            planes[0], planes[1], planes[2] = 20 * number + n, label, np.arange(32)[:, None]
            records += bytes([label]) + planes.tobytes()
        (place / name).write_bytes(records)
    return tmp_path


def test_pictures_labels_and_splits(folder):
    data = cifar10.load(folder, validation=30, seed=1)
    assert data.train[0].shape == (70, 32, 32, 3) and data.test[0].shape == (20, 32, 32, 3)
    for x, y in (data.train, data.validation, data.test):
        assert x.dtype == np.uint8
        np.testing.assert_array_equal(x[:, 5, 7, 1], y)
        np.testing.assert_array_equal(x[0, :, 3, 2], np.arange(32))
    assert (np.bincount(data.validation[1]) == 3).all()
    numbers = [set(x[:, 0, 0, 0].tolist()) for x, _ in (data.train, data.validation)]
    assert not numbers[0] & numbers[1] and len(numbers[0] | numbers[1]) == 100
    again = cifar10.load(folder, validation=30, seed=1)
    np.testing.assert_array_equal(data.validation[0], again.validation[0])


def test_missing_short_and_foreign_files_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="course fetch cifar10"):
        cifar10.load(tmp_path / "nowhere")
    place = folder / cifar10.FOLDER
    (place / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_3"):
        cifar10.load(folder)
    (place / "data_batch_3.bin").write_bytes(b"\0" * 5000)
    with pytest.raises(ValueError, match=r"data_batch_3.bin has 5000 bytes"):
        cifar10.load(folder)
    (place / "data_batch_3.bin").write_bytes(b"\x0b" * cifar10.RECORD)
    with pytest.raises(ValueError, match="labels up to 11"):
        cifar10.load(folder)


def test_too_large_a_validation_set(folder):
    with pytest.raises(ValueError, match="are asked for"):
        cifar10.load(folder, validation=2000)


@pytest.mark.shared
def test_the_development_data_are_whole(shared_data):
    """The sheets beside the checkout hold 6,000 pictures of each class."""
    names = {p.name.rsplit("_", 1)[0] for p in (shared_data / "cifar10" / "train").glob("*.webp")}
    assert names == set(cifar10.CLASS_NAMES)
