"""The chain as commands: outlines, crops, a classifier, its conversion, samples; on tiny pictures."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from course_utils import runtime, segmentation
from course_utils.cli import _chain_report, chain, convert, cutouts, samples
from course_utils.cli import build as build_cli
from course_utils.datasets import outline_files
from course_utils.datasets.crops import crops
from course_utils.networks import pretrained, vgg16, weight_files
from course_utils.pictures import images
from course_utils.pictures.palette import class_colours
from course_utils.training import classifier, fcn
from course_utils.training import samples as comparing

NAMES = ("background", "plum", "sky")
BOX = {"plum": (20, 30, 40, 36), "sky": (90, 30, 40, 36)}  # x, y, width, height


def _picture(seed: int) -> np.ndarray:
    """Green ground with a red and a blue rectangle, 96x160."""
    rng = np.random.default_rng(seed)
    seen = np.full((96, 160, 3), (70, 130, 60)) + rng.integers(-12, 12, (96, 160, 3))
    for (x, y, w, h), colour in zip(BOX.values(), ((190, 30, 50), (60, 90, 220)), strict=True):
        seen[y : y + h, x : x + w] = colour + rng.integers(-12, 12, (h, w, 3))
    return seen.astype(np.uint8)


def _outline(name: str, wrong: int = 3) -> list[list[int]]:
    x, y, w, h = BOX[name]
    x, y, w, h = x - wrong, y - wrong, w + 2 * wrong, h + 2 * wrong
    return [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Pictures with rough outlines of two classes."""
    folder = tmp_path_factory.mktemp("own")
    entries = []
    for i in range(6):
        images.save(folder / "images" / f"p{i}.png", _picture(i))
        entries += [
            {"file": f"p{i}.png", "class": name, "outline": _outline(name), "margin": 6} for name in BOX
        ]
    (folder / "outlines.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A VGG-16 of 1/16 width with random weights, as a file."""
    runtime.start(0)
    path = tmp_path_factory.mktemp("weights") / "narrow.npz"
    return weight_files.save(path, weight_files.of(vgg16.build(1 / 16, include_top=False)))


@pytest.fixture
def on_narrow(narrow, monkeypatch):
    """While this lasts, the original's convolutions are the narrow ones."""
    real = pretrained.load_vgg16
    monkeypatch.setattr(pretrained, "load_vgg16", lambda *_, **options: real(narrow, **options))
    return narrow


def _course(*words, code=0):
    result = CliRunner().invoke(build_cli(), list(map(str, words)))
    if result.exit_code != code:
        raise AssertionError(f"exit {result.exit_code}: {result.output}") from result.exception
    return result.output


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


# --- outlines -----------------------------------------------------------------------------------------------


def test_rough_outlines_become_masks_and_crops(own, tmp_path):
    out = tmp_path / "cut"
    say = _course("cutouts", own / "images", "--outlines", own / "outlines.json", "--out", out)
    assert "6/6 p5.png" in say and "s left" in say
    assert (out / "classes.txt").read_text().split() == list(NAMES)
    mask = segmentation.read_mask(out / "masks" / "p2.png")
    for number, name in enumerate(NAMES[1:], start=1):
        x, y, w, h = BOX[name]
        truth = np.zeros(mask.shape, bool)
        truth[y : y + h, x : x + w] = True
        assert _iou(mask == number, truth) > 0.97  # the outline alone: .73
    np.testing.assert_array_equal(images.read(out / "images" / "p2.png"), _picture(2))
    counts = {name: len(list((out / "crops" / name).glob("*.png"))) for name in NAMES}
    assert counts["plum"] == counts["sky"] == 6 and counts["background"] > 6
    assert images.read(out / "contact_sheet.jpg").shape[1] > 4 * 300
    before = sorted(path.name for path in (out / "crops").rglob("*.png"))
    _course("cutouts", own / "images", "--outlines", own / "outlines.json", "--out", out)
    assert sorted(path.name for path in (out / "crops").rglob("*.png")) == before


def test_large_pictures_are_made_smaller_with_their_outlines(own, tmp_path):
    cutouts.make(own / "images", own / "outlines.json", tmp_path, side=80)
    mask = segmentation.read_mask(tmp_path / "masks" / "p0.png")
    assert mask.shape == (48, 80) and mask[24, 20] == 1 and mask[24, 55] == 2 and mask[24, 38] == 0


def test_what_labelme_writes_is_read(tmp_path):
    shape = {"label": "plum", "points": _outline("plum"), "shape_type": "polygon"}
    dot = {"label": "plum", "points": [[1, 1]], "shape_type": "point"}
    content = {"imagePath": "..\\photos\\p0.png", "shapes": [shape, dot]}
    (tmp_path / "p0.json").write_text(json.dumps(content))
    (found,) = outline_files.read(tmp_path)
    assert (found.file, found.label, found.outline.shape) == ("p0.png", "plum", (4, 2))
    assert outline_files.classes([found]) == ("background", "plum")


def test_outlines_that_cannot_be_used_are_told_before_any_work(own, tmp_path):
    good = {"file": "p0.png", "class": "plum", "outline": _outline("plum")}
    bad = [
        good,
        {**good, "class": "background"},
        {"file": "p0.png", "outline": []},
        {**good, "outline": [[1, 2], [3, 4]]},
    ]
    (tmp_path / "bad.json").write_text(json.dumps(bad))
    with pytest.raises(ValueError, match=r"(?s)3 problems.*entry 2.*entry 3: no 'class'.*three corners"):
        outline_files.read(tmp_path / "bad.json")
    (tmp_path / "none.json").write_text("{")
    with pytest.raises(ValueError, match="no JSON"):
        outline_files.read(tmp_path / "none.json")
    away = [{**good, "file": "gone.png"}]
    (tmp_path / "away.json").write_text(json.dumps(away))
    with pytest.raises(ValueError, match=r"gone\.png: no such picture"):
        cutouts.make(own / "images", tmp_path / "away.json", tmp_path / "out", 640)
    beyond = [{**good, "holes": [[[0, 0], [500, 0], [500, 9]]]}]
    (tmp_path / "beyond.json").write_text(json.dumps(beyond))
    with pytest.raises(ValueError, match=r"p0\.png: the outline leaves the picture"):
        cutouts.make(own / "images", tmp_path / "beyond.json", tmp_path / "out", 640)
    assert not (tmp_path / "out").exists()


def test_crops_hold_their_class():
    mask = np.zeros((60, 80), np.uint8)
    mask[10:30, 10:50], mask[50:, 70:] = 1, 2
    mask[0, 0] = 1  # a speck is no object
    mask[:, 79] = 255
    found = list(crops(mask, mask, np.random.default_rng(0)))
    by_class = {c: [crop for label, crop in found if label == c] for c in (0, 1, 2)}
    (one,), (two,) = by_class[1], by_class[2]
    assert (one == 1).sum() == 800 and one.shape == (48, 56)  # a square of 56, cut off at the top
    assert (two == 2).sum() == 90 and len(by_class[0]) == 2
    assert all((crop == 0).mean() > 0.97 and crop.shape[0] == crop.shape[1] for crop in by_class[0])
    full = np.ones((60, 80), np.uint8)
    assert [label for label, _ in crops(full, full, np.random.default_rng(0))] == [1]


# --- a classifier of crops ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folders")
    for i in range(8):
        seen = _picture(i)
        for name, (x, y, w, h) in BOX.items():
            images.save(folder / name / f"{i}.png", seen[y : y + h, x : x + w])
    images.save(folder / "plum" / "9.png", _picture(9)[30:60, 22:58])
    (folder / ".cache").mkdir()
    return folder


def test_classifier_learns_folders_and_converts(in_folders, on_narrow, tmp_path):
    out = tmp_path / "run"
    words = ["train", "classifier", "--images", in_folders, "--out", out, "--epochs", 12, "--side", 64]
    say = _course(*words, "--batch", 8)
    assert "accuracy" in say
    card = json.loads((out / "card.json").read_text())
    assert card["class_names"] == ["plum", "sky"] and card["pictures"] == {"train": 13, "judged": 4}
    assert card["metrics"]["accuracy"] == 1 and card["baselines"] == {"majority_class": 0.5, "chance": 0.5}
    assert weight_files.layers(weight_files.read(out / "weights.npz")) == ["predictions"]

    model = classifier.load(out / "weights.npz")
    x = images.preprocess(images.resize(_picture(3)[30:66, 20:60], 64))[None]
    assert model.predict_on_batch(x)[0].argmax() == 0 and pretrained.about(model).input_size == 64

    target = tmp_path / "converted.keras"
    say = _course("convert", out / "classifier.keras", "--out", target)
    assert re.search(r"predictions: \(32, 2\) -> \(1, 1, 32, 2\)", say)
    converted = convert._loaded(target)
    np.testing.assert_allclose(converted.predict_on_batch(x)[:, 0, 0], model.predict_on_batch(x), atol=1e-4)
    assert converted.predict_on_batch(np.zeros((1, 96, 160, 3), np.float32)).shape == (1, 2, 4, 2)
    with pytest.raises(FileExistsError, match="--overwrite"):
        convert.make(out / "classifier.keras", target)
    with pytest.raises(ValueError, match="a network that Keras saved"):
        convert.make(out / "weights.npz", target)
    (tmp_path / "broken.keras").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"broken\.keras can't be read as a network"):
        convert.make(tmp_path / "broken.keras", tmp_path / "new.keras")


def test_folders_that_are_no_classes_are_named(in_folders, tmp_path):
    assert {name: len(paths) for name, paths in classifier.in_folders(in_folders).items()} == {
        "plum": 9,
        "sky": 8,
    }
    with pytest.raises(ValueError, match="holds 0 folders"):
        classifier.in_folders(tmp_path)
    images.save(tmp_path / "a" / "1.png", _picture(0))
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match=r"a \(1\), b \(0\)"):
        classifier.in_folders(tmp_path)
    (tmp_path / "b" / "2.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"2\.png is empty"):
        classifier.read({"b": [tmp_path / "b" / "2.png"]}, 32)
    with pytest.raises(ValueError, match="no classifier"):
        classifier.load("names")


def test_some_of_each_class_judge():
    labels = np.repeat([0, 1, 2], [8, 2, 40])
    out = classifier.kept_out(labels, 0.25, 0)
    assert np.bincount(labels[out]).tolist() == [2, 1, 10]
    np.testing.assert_array_equal(out, classifier.kept_out(labels, 0.25, 0))
    assert (out != classifier.kept_out(labels, 0.25, 1)).any()


# --- which samples help -------------------------------------------------------------------------------------


def test_sets_differ_as_their_names_say():
    masks = np.zeros((8, 4, 4), np.uint8)
    masks[:3, 0, 0] = 1  # three pictures hold plums
    made = comparing.sets(masks, NAMES, comparing.Plan(), seed=0)
    assert list(made) == [
        "2 of 8 pictures",
        "4 of 8 pictures",
        "8 of 8 pictures",
        "4 pictures, many with plum",
        "4 pictures, few with plum",
    ]  # no picture holds sky
    assert all(len(set(chosen)) == len(chosen) for chosen in made.values())
    assert sorted(made["8 of 8 pictures"]) == list(range(8))
    assert set(made["2 of 8 pictures"]) <= set(made["4 of 8 pictures"])
    assert {0, 1, 2} <= set(made["4 pictures, many with plum"])
    assert not {0, 1, 2} & set(made["4 pictures, few with plum"])
    other = comparing.sets(masks, NAMES, comparing.Plan(), seed=1)
    assert list(other["2 of 8 pictures"]) != list(made["2 of 8 pictures"])


def test_every_set_is_judged_by_the_same_pictures(own, on_narrow, tmp_path, monkeypatch):
    """Three seeds, their spread, and precision apart from recall."""
    cutouts.make(own / "images", own / "outlines.json", tmp_path / "cut", 96)
    asked = []

    def answer(net, judged):
        asked.append(judged.masks)
        labels = np.where(judged.masks == 1, 1, 0)  # plums are found, the sky never
        if len(asked) <= 3:  # the first seed's: too much is called a plum
            labels[:, :6] = 1
        return np.eye(3)[labels]

    weighed = []
    monkeypatch.setattr(comparing.quick, "learn", lambda *given, **_: weighed.append(given[4]))
    monkeypatch.setattr(comparing.quick, "answer", answer)
    words = ["samples", "--images", tmp_path / "cut" / "images", "--masks", tmp_path / "cut" / "masks"]
    words += ["--classes", ",".join(NAMES), "--size", 32, "--out", tmp_path / "out"]
    say = _course(*words)
    assert "4 pictures to learn from, 2 to judge by" in say and "min left" in say
    assert all(np.array_equal(each, asked[0]) for each in asked) and len(asked) == 9
    assert all(np.array_equal(each, weighed[0]) for each in weighed)
    with (tmp_path / "out" / "samples.csv").open() as file:
        rows = {(row["set"], row["class"]): row for row in csv.DictReader(file)}
    assert ",".join(comparing.COLUMNS) == samples.FIRST_LINE
    plum, sky = rows["2 of 4 pictures", "plum"], rows["2 of 4 pictures", "sky"]
    assert float(plum["recall"]) == 1 and float(plum["precision_low"]) < 1 == float(plum["precision_high"])
    assert float(sky["recall"]) == 0 and sky["precision"] == ""
    assert images.read(tmp_path / "out" / "samples.png").shape[1] > 800
    with pytest.raises(ValueError, match="no class pear"):
        comparing.compare(asked[0], asked[0], NAMES, comparing.Plan(asked=("pear",)))
    with pytest.raises(ValueError, match="at least six"):
        comparing.divided(5, 0.3)


# --- all of it ----------------------------------------------------------------------------------------------


def test_the_chain_leaves_a_report(own, on_narrow, tmp_path, monkeypatch):
    """Each step for real but for the last, which has a test of its own."""
    monkeypatch.setattr(comparing, "compare", lambda x, y, names, *_, **__: _as_if(names))
    monkeypatch.setattr(fcn.patches, "build", lambda n, real=fcn.patches.build: real(n, filters=(2, 2, 4)))
    images.save(own / "new" / "n.png", _picture(17))
    settings = chain.Settings(size=64, epochs=1, seeds=1, backbone=str(on_narrow))
    page = chain.run(chain.look(own), chain.fresh(tmp_path / "out"), settings)
    text = page.read_text()
    for name in chain.STEPS:
        assert f"course {name}" in text
    shown = re.findall(r'<img src="([^"]+)" alt="([^"]+)"', text)
    assert all((page.parent / place).is_file() and alt for place, alt in shown)
    heat = [alt for place, alt in shown if place.startswith("heat_maps/")]
    assert heat[:2] == ["the picture", "background"] and len(shown) == 3 + len(heat)
    assert "n_overlay.jpg" in text and "majority class" in text and "2 of 4 pictures" in text
    with pytest.raises(FileExistsError, match="holds something already"):
        chain.fresh(tmp_path / "out")


def test_the_chart_shows_a_first_class_that_is_no_background():
    names = ("sky", "plum")
    drawn = samples.chart(_as_if(names), names)
    sky = np.array(tuple(bytes.fromhex(class_colours(names)[0][1:])))
    assert (drawn == sky).all(-1).sum() > 100  # its dots and its key


def test_masks_may_hold_a_label_that_is_not_judged(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(2):
        images.save(tmp_path / "images" / f"{i}.png", rng.integers(0, 255, (64, 64, 3)).astype(np.uint8))
        mask = np.zeros((64, 64), np.uint8)
        mask[8:40, 8:40], mask[60:] = 1, 7
        segmentation.write_mask(tmp_path / "masks" / f"{i}.png", mask)
    (tmp_path / "classes.txt").write_text("sky\nplum\n")
    source = chain.look(tmp_path)
    with pytest.raises(ValueError, match="7"):
        chain._crops_of_masks(source, tmp_path / "crops", chain.Settings(size=32))
    assert chain._crops_of_masks(source, tmp_path / "crops", chain.Settings(size=32, ignore=(7,))) == (
        "sky",
        "plum",
    )
    assert {each.name for each in (tmp_path / "crops").iterdir()} == {"sky", "plum"}


def test_heat_maps_lie_over_the_middles_of_their_windows():
    picture = np.full((130, 170, 3), 255.0)
    painted = _chain_report.laid_over(
        picture, np.zeros((3, 4)), window=64
    )  # the last window ends at 128, 160
    changed = (painted != 255).any(-1)
    assert changed[16:112, 16:144].all() and changed.sum() == 96 * 128
    one = np.zeros((3, 4))
    one[1, 2] = 1
    brightest = _chain_report.laid_over(0 * picture, one, window=64).sum(-1)
    rows, columns = np.nonzero(brightest == brightest.max())
    assert abs(rows.mean() + 0.5 - (32 + 32)) < 1 and abs(columns.mean() + 0.5 - (64 + 32)) < 1


def _as_if(names):
    table = segmentation.quality(np.diag(np.arange(1, len(names) + 1)))
    return [comparing.Tried("2 of 4 pictures", 2, (table, table))]


def test_a_folder_without_samples_is_refused(own, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder images"):
        chain.look(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(FileNotFoundError, match="neither outlines"):
        chain.look(tmp_path)
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.txt").write_text("ground\nthing\n")
    found = chain.look(tmp_path)
    assert found.masks and found.outlines is None and found.names == ["ground", "thing"]
    assert chain.look(own).outlines == own / "outlines.json"
