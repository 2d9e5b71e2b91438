"""The weights that ship: whole, small, described by their cards, and right about real photographs."""

from __future__ import annotations

import hashlib
import json

import cv2
import numpy as np
import pytest

from course_utils import runs, runtime
from course_utils.networks import pretrained, vgg16
from course_utils.pictures import images

NAMED = {
    "chelsea": {"Egyptian cat", "tabby, tabby cat", "Persian cat"},
    "coffee": {"espresso"},
    "grace_hopper": {"military uniform"},
    "rocket": {"projectile, missile"},
}


@pytest.fixture(scope="module")
def course():
    runtime.start(0)
    return pretrained.load_vgg16("course")


SHIPPED = sorted(path.stem for path in runtime.shipped("weights").glob("*.npz"))
TRAINED = [name for name in SHIPPED if name != "vgg16"]  # the trunk is not ours: it has no run
LARGEST_MB = {"streets": 2, "all_cnn": 3, "names": 2, "boxes": 2, "scenes_dense": 2}


@pytest.mark.parametrize("name", TRAINED)
def test_file_card_and_record_agree(name):
    path = runtime.shipped(f"weights/{name}.npz")
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    run = runs.load(name)
    assert path.stat().st_size <= 1e6 * LARGEST_MB.get(name, 8)
    assert card["sha256"] == runs.fingerprint(path)
    for key in ("command", "seed", "device", "precision", "minutes", "metrics", "baselines"):
        assert card[key] == getattr(run, key)
    assert {"title", "data", "recipe"} <= set(card)
    if "epochs" in card["recipe"]:
        assert len(run.history["epoch"]) == card["recipe"]["epochs"]


def test_the_trunk_is_the_file_that_its_card_describes():
    path = runtime.shipped("weights/vgg16.npz")
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["sha256"] == runs.fingerprint(path)
    assert {"authors", "licence", "source", "changes", "provenance"} <= set(card)
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays.files) == {f"{k}_{part}" for k in vgg16.LAYERS for part in ("kernel", "bias")}
        for layer in vgg16.LAYERS:
            both = [arrays[f"{layer}_{part}"] for part in ("kernel", "bias")]
            assert {each.dtype for each in both} == {np.dtype("<f2")}
            whole = hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in both))
            assert whole.hexdigest() == card["layers"][layer], layer


def test_what_ships_stays_small():
    sizes = {name: runtime.shipped(f"weights/{name}.npz").stat().st_size / 1e6 for name in SHIPPED}
    experiments = {"vgg16_course", "all_cnn"}  # on or beside the half-width network
    assert sum(size for name, size in sizes.items() if name not in experiments) <= 40
    assert sum(sizes.values()) <= 50


def test_the_course_network_is_far_above_a_constant_answer():
    run = runs.load("vgg16_course")
    assert run.metrics["val_top1"] > 10 * run.baselines["majority_class_top1"]


def test_plain_arrays_of_a_plain_network():
    with np.load(runtime.shipped("weights/vgg16_course.npz"), allow_pickle=False) as arrays:
        assert {a.dtype for a in arrays.values()} == {np.dtype(np.float16)}
        names = {f"{layer}_{part}" for layer in (*vgg16.LAYERS, "predictions") for part in ("kernel", "bias")}
        assert set(arrays.files) == names
        assert arrays["block5_conv3_kernel"].shape == (3, 3, 256, 256)


def test_names_of_classes_are_known(course):
    names = set(pretrained.about(course).class_names)
    assert set.union(*NAMED.values()) <= names and len(names) == 200


def test_real_photographs_are_named(course):
    """At least three of four have a fitting class among the first three."""
    answers = pretrained.classify(course, [images.sample(name) for name in NAMED], top=3)
    hits = [bool({p.name for p in a} & NAMED[n]) for n, a in zip(NAMED, answers, strict=True)]
    assert sum(hits) >= 3, {n: [p.name for p in a] for n, a in zip(NAMED, answers, strict=True)}


def test_views_of_the_photographs_beat_random_weights(course):
    """A small generated set: mirrored, brighter, softer and cropped views of the four."""
    views, labels = [], []
    for label, name in enumerate(NAMED):
        photo = images.resize(images.sample(name), 128)
        for picture in (photo, photo[:, ::-1], np.clip(photo * 1.2, 0, 255), photo[6:-6, 6:-6]):
            views += [picture, cv2.GaussianBlur(picture, (0, 0), 1.0)]
            labels += [label] * 2
    wanted = [NAMED[list(NAMED)[label]] for label in labels]

    def top5(model):
        answers = pretrained.classify(model, views, top=5)
        return np.mean([bool({p.name for p in a} & w) for a, w in zip(answers, wanted, strict=True)])

    random = pretrained.load_vgg16(None, width=0.5, head="average", classes=200)
    pretrained.remember(random, pretrained.about(course))
    assert top5(course) >= 0.6 and top5(random) <= 0.25


@pytest.mark.shared
def test_accuracy_on_thumbnails_is_what_the_card_says(course, shared_data):
    """Every fifth picture of `val`, as the training saw them: within three points of the card."""
    from course_utils.datasets import augment

    card = pretrained.about(course).card
    classes = json.loads((shared_data / "tiny_imagenet_32" / "classes.json").read_text())
    hits, n = 0, 0
    for label, entry in enumerate(classes):
        sheet = cv2.imread(str(shared_data / "tiny_imagenet_32" / "val" / f"{entry['wnid']}.jpg"))[..., ::-1]
        rows, columns = sheet.shape[0] // 32, sheet.shape[1] // 32
        tiles = sheet.reshape(rows, 32, columns, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)[::5]
        x = images.preprocess(augment.enlarge(tiles, card["input_size"]))
        hits += int((np.asarray(course.predict_on_batch(x)).argmax(1) == label).sum())
        n += len(tiles)
    assert hits / n == pytest.approx(card["metrics"]["val_top1"], abs=0.03)
