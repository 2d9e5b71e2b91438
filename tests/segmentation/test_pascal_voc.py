"""PASCAL VOC: the authors' file answers a picture, and a network learns from the archive as it comes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import caffe_files
import numpy as np
import pytest
from typer.testing import CliRunner
from voc_nets import weights

from course_utils import runtime, segmentation
from course_utils.cli import build as build_cli
from course_utils.datasets import voc
from course_utils.networks import gradients, vgg16, weight_files
from course_utils.networks.fcn_voc import load_fcn
from course_utils.networks.pretrained import about
from course_utils.pictures import images
from course_utils.training import fcn as recipe


@pytest.fixture(autouse=True)
def started() -> None:
    runtime.start(seed=0)


def course(monkeypatch: pytest.MonkeyPatch, *words: object) -> str:
    typed = list(map(str, words))
    monkeypatch.setattr(sys, "argv", ["course", *typed])
    result = CliRunner().invoke(build_cli(), typed)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VOCdevkit/VOC2012 with five pictures; 2007_000003 has no mask."""
    folder, rng = tmp_path_factory.mktemp("VOCdevkit") / "VOC2012", np.random.default_rng(0)
    for i, (height, width) in enumerate([(40, 60), (50, 30), (60, 60), (33, 50), (48, 48)], start=1):
        mask = rng.choice([0, 15, 20, 255], (height // 10 + 1, width // 10 + 1)).astype(np.uint8)
        mask = mask.repeat(10, 0).repeat(10, 1)[:height, :width]
        if i != 3:
            segmentation.write_mask(folder / "SegmentationClass" / f"2007_00000{i}.png", mask)
        images.save(folder / "JPEGImages" / f"2007_00000{i}.jpg", voc.palette()[mask])
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for name, numbers in {"train": (1, 3, 2), "val": (4, 5), "trainval": (1, 2, 3, 4, 5)}.items():
        (lists / f"{name}.txt").write_text("".join(f"2007_00000{i}\n" for i in numbers))
    return folder


def test_the_documents_inference(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six lines as in the Chinese article; `course segment` writes the same."""
    path = caffe_files.write(tmp_path / "fcn8s-heavy-pascal.caffemodel", weights())
    picture = archive / "JPEGImages" / "2007_000003.jpg"

    model = load_fcn(path)
    image = images.read(picture)
    x = about(model).preprocess(image)[None]
    scores = gradients.forward(model, x)[0].transpose(2, 0, 1)
    labels = scores.argmax(axis=0)
    colours = voc.palette()[labels]

    assert scores.shape == (21, *image.shape[:2]) and colours.shape == image.shape
    assert len(np.unique(labels)) > 1
    say = course(monkeypatch, "segment", picture, "--weights", path, "--out", tmp_path / "out")
    np.testing.assert_array_equal(segmentation.read_mask(tmp_path / "out" / "2007_000003.png"), labels)
    assert voc.CLASS_NAMES[np.bincount(labels.ravel()).argmax()] in say
    assert "FCN-8s, fcn8s-heavy-pascal.caffemodel" in say


def test_train_on_the_archive(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = tmp_path / "narrow.npz"
    weight_files.save(narrow, weight_files.of(vgg16.build(1 / 16, include_top=False)))
    monkeypatch.setattr(recipe, "patch_wise", lambda samples, *_: np.zeros_like(samples.validation[1]))
    options = ["--size", 64, "--epochs", 1, "--backbone", narrow, "--precision", "float32"]
    say = course(monkeypatch, "train", "fcn", "--voc", archive, *options, "--out", tmp_path / "out")
    assert "note: 1 of 3 pictures in train.txt are left out" in say and "2007_000003" in say
    assert "2 pictures to train, 2 to judge by, 21 classes" in say
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["class_names"] == list(voc.CLASS_NAMES)
    assert weight_files.read(tmp_path / "out" / "weights.npz")["score_fr_kernel"].shape[-1] == 21


@pytest.mark.filterwarnings("ignore:1 of")
def test_which_pictures_judge(archive: Path) -> None:
    samples = recipe.from_voc(archive, size=(32, 48))
    assert samples.train[0].shape == (2, 32, 48, 3) and len(samples.validation[0]) == 2
    both = recipe.from_voc(archive, "trainval")
    assert (len(both.train[0]), len(both.validation[0])) == (3, 1) and both.name == "VOC2012 trainval"
    with pytest.raises(FileNotFoundError, match=r"no list .*test\.txt"):
        recipe.from_voc(archive, "test")


def test_no_masks_at_all(archive: Path, tmp_path: Path) -> None:
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000001\n")
    with pytest.raises(FileNotFoundError, match=r"no mask in .*SegmentationClass"):
        voc.load(tmp_path)
