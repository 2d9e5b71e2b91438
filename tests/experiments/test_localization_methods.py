"""The table of notebook 04."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import runs, runtime
from course_utils.datasets import scenes
from course_utils.localization import rcnn, windows
from course_utils.localization.boxes import Found
from experiments import localization_costs as costs
from experiments import localization_methods as methods


@pytest.fixture(autouse=True)
def float32():
    runtime.start(0)


@pytest.fixture(scope="module")
def made():
    return scenes(6, size=48, seed=0)


def answered(made):
    """The right box of every scene, first, and a wrong one."""
    wrong = np.array([[0, 0, 2, 2.0]])
    return [
        Found(np.concatenate([boxes, wrong]), np.full(2, kinds[0]), np.array([0.9, 0.1]))
        for boxes, kinds in zip(made.boxes, made.classes, strict=True)
    ]


def test_answers_are_judged_by_the_best_box(made):
    found = answered(made)
    facts = methods.judge(found, made)
    assert facts["mean_iou"] == facts["over_half"] == facts["map"] == 1
    found[0] = Found(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    assert methods.judge(found, made)["over_half"] == pytest.approx(5 / 6)
    blind = methods.trivial(made, made)
    assert 0 < blind["one box for all (median)"]["mean_iou"] < 1


def test_without_names_one_box_an_object_is_left(made):
    box = np.array([[4, 4, 20, 20], [5, 5, 20, 20], [30, 30, 9, 9.0]])
    found = methods.nameless(Found(box, np.array([2, 1, 0]), np.array([0.5, 0.9, 0.1])))
    np.testing.assert_array_equal(found.boxes, box[[1, 2]])
    assert (found.classes == 0).all() and found.scores.tolist() == [0.9, 0.1]
    mixed = [Found(f.boxes, (f.classes + 1) % 6, f.scores) for f in answered(made)]
    assert methods.precision(mixed, made)["map_0.5"] < 0.1
    assert methods.precision(mixed, made, named=False) == {"map_0.5": 1, "map_0.7": 1}


def test_scenes_to_learn_from_have_their_true_boxes_in_front(made):
    boxes, squares = methods.propose(made.images[0], 5, made.boxes[0])
    np.testing.assert_array_equal(boxes[0], made.boxes[0, 0])
    assert squares.shape == (len(boxes), rcnn.WINDOW, rcnn.WINDOW, 3) and squares.dtype == np.uint8
    exact = rcnn.warped(made.images[0], boxes, rcnn.WINDOW)
    assert np.abs(squares - exact).max() <= 0.5


def test_cropped_windows_are_those_of_one_pass(monkeypatch):
    """A network that sees one pixel of its window: both ways agree, box by box."""
    from keras import Input, Model, layers

    from course_utils.networks import pretrained

    monkeypatch.setattr(costs, "SCALES", (0.5, 0.8))
    x = inputs = Input((48, 48, 3))
    for step in range(3):
        x = layers.MaxPooling2D(2, name=f"pool{step}")(x)
    flat = layers.Flatten(name="flat")(x)
    outputs = [layers.Dense(n, name=f"dense{n}")(flat) for n in (7, 4)]
    model = pretrained.remember(Model(inputs, outputs), pretrained.About(input_size=48))
    pictures = np.random.default_rng(0).integers(0, 255, (2, 96, 96, 3), dtype=np.uint8)
    slides = [windows.slider(windows.branch(model, i)) for i in (0, 1)]
    expected = windows.scan_all(slides[0], pictures, (0.5, 0.8), slides[1])
    for given, wanted in zip(costs.crop_scan(model, pictures), expected, strict=True):
        np.testing.assert_allclose(given, wanted, rtol=1e-3, atol=0.05)


def test_a_round_has_every_table(monkeypatch):
    """Features that tell class and nothing apart: R-CNN finds what it was shown; both kinds of SVM answer."""
    monkeypatch.setattr(costs, "CORES", 1)
    size = methods.Size(rounds=2)
    data = scenes(40, size=48, seed=0)
    rng = np.random.default_rng(0)

    def shown(boxes, kinds):
        beside = boxes + np.array([[30, 30, 0, 0]])
        told = np.concatenate([np.eye(7)[kinds], np.eye(7)[[6] * len(kinds)]])
        noisy = (told + rng.normal(0, 0.01, told.shape)).astype(np.float32)
        return rcnn.Regions(np.concatenate([boxes, beside]).astype(float), noisy)

    def learned(trunk, size, seed, tests):
        truth = rcnn.truth_of(data)
        seen = [shown(*each) for each in zip(*truth, strict=True)]
        best = methods.one_box(data.boxes[:, 0], data.classes[:, 0], np.ones(len(data)))
        return {"two heads": (best, None)}, {"": [seen] * 3}, truth

    monkeypatch.setattr(methods, "learned", learned)
    asked = methods.Asked(data, [], [])
    rounds = list(methods.all_rounds(None, size, (asked, asked), 0.0, 1e9))
    assert len(rounds) == 2 and rounds[0]["methods"]["two heads"]["mean_iou"] == 1
    assert "two heads" not in rounds[0]["detection"]
    for name in ("R-CNN", "R-CNN with box regression"):
        assert rounds[1]["detection"][name]["map_0.5"] > 0.95
    assert set(rounds[0]["svms"]) == {"one SVM a class", "one SVM, object or not"}
    assert rounds[0]["svms"]["one SVM, object or not"]["map_0.7"] > 0.95
    assert len(list(methods.all_rounds(None, size, (asked, asked), -1e9, 1))) == 1  # out of time: one round


def test_the_record_stands_beside_answers_without_a_network() -> None:
    record = runs.load("localization_methods")
    blob = record.baselines["methods"]["largest colour blob"]["mean_iou"]
    assert max(facts["mean_iou"] for facts in record.metrics["methods"].values()) > blob + 0.1
