"""From a reader's own pictures to weights, and from weights to segmented pictures, all tiny."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from course_utils import runs, runtime, segmentation
from course_utils.cli import build as build_cli
from course_utils.cli import segment as segment_cli
from course_utils.cli import train as train_cli
from course_utils.datasets import scenes, voc
from course_utils.networks import convert, pretrained, vgg16, weight_files
from course_utils.pictures import images
from course_utils.training import fcn, scenes_dense

NAMES = ("ground", "thing", "sky")


@pytest.fixture(scope="module", autouse=True)
def keras():
    runtime.start(0)
    return runtime.load_keras()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Six pictures 40x56 whose colours tell the class, with grey masks that have a void of 9."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    for i in range(6):
        mask = np.zeros((40, 56), np.uint8)
        mask[:12] = 2
        top, left = rng.integers(12, 22), rng.integers(0, 38)
        mask[top : top + 18, left : left + 18] = 1
        picture = np.array([[60, 140, 60], [220, 60, 40], [120, 170, 240]])[mask] + rng.normal(
            0, 8, (40, 56, 3)
        )
        mask[-2:] = 9
        images.save(folder / "images" / f"p{i}.png", picture)
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(folder / "masks" / f"p{i}.png")
    return folder


@pytest.fixture(scope="module")
def narrow(tmp_path_factory, keras):
    """A VGG-16 of 1/16 width with random weights, as a file."""
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "narrow.npz"
    return weight_files.save(path, weight_files.of(vgg16.build(1 / 16, include_top=False)))


def _samples(folders, **options):
    pair = folders / "images", folders / "masks"
    return fcn.from_folders(pair, class_names=NAMES, ignore=[9], **options)


# ---- views -----------------------------------------------------------------------------------------------


def test_pictures_are_kept_out_by_the_seed(folders):
    one, again, other = (_samples(folders, hold_out=0.34, seed=seed) for seed in (0, 0, 1))
    assert len(one.train[0]) == 4 and len(one.validation[0]) == 2
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert set(np.unique(one.train[1])) == {0, 1, 2, 255}
    assert len(fcn.fewer(one, 2, seed=0).train[0]) == 2 and fcn.fewer(one, 0, 0) is one


def test_a_view_keeps_picture_and_mask_together():
    """The mask is painted into the picture; at any scale and place they still agree, up to the borders."""
    rng = np.random.default_rng(0)
    mask = (rng.random((6, 8)) < 0.5).astype(np.uint8).repeat(10, 0).repeat(10, 1)
    picture = (mask[..., None] * np.uint8(200) + np.zeros(3, np.uint8)).astype(np.uint8)
    same, labels = fcn.view(picture, mask, (60, 80), 1.0, (0, 0))
    np.testing.assert_array_equal(same, picture)
    np.testing.assert_array_equal(labels, mask)
    for zoom, at in ((1.4, (7.3, 11.8)), (0.8, (-4.0, -9.0)), (2.0, (20.0, 30.0))):
        seen, labels = fcn.view(picture, mask, (50, 70), zoom, at)
        known = labels != 255
        inner = np.abs(seen[..., 0] - 100) > 60  # not on a border between two colours
        assert ((seen[..., 0] > 100) == labels)[known & inner].all() and (known & inner).mean() > 0.5
    assert (labels != 255).all()  # zoom 2 stays inside
    outside = fcn.view(picture, mask, (50, 70), 0.5, (-10.0, -10.0))
    np.testing.assert_allclose(outside[0][0, 0], images.BGR_MEAN[::-1], atol=0.5)
    assert outside[1][0, 0] == 255


def test_batches_depend_on_the_seed_and_the_epoch_only(folders):
    samples = _samples(folders)
    recipe = fcn.Recipe(batch=4, zoom=1.5)
    first, again, later = (list(fcn.batches(recipe, samples)(epoch)) for epoch in (2, 2, 3))
    assert len(first) == fcn.steps(recipe, samples) == 2
    assert first[0][0].shape == (4, 60, 84, 3) and first[0][1].shape == (4, 60, 84)
    for (x, y), (x2, y2) in zip(first, again, strict=True):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)
    assert not np.array_equal(first[0][1], later[0][1])


def test_class_weights_go_from_pixels_to_classes():
    masks = np.repeat(np.uint8([0, 1, 255]), [900, 100, 50])
    np.testing.assert_allclose(fcn.class_weights(masks, 2, 0.0), 1)
    equal = fcn.class_weights(masks, 2, 1.0)
    assert equal[1] * 100 == pytest.approx(equal[0] * 900) and equal[0] * 0.9 + equal[
        1
    ] * 0.1 == pytest.approx(1)
    assert fcn.class_weights(masks, 2, 0.5)[1] / fcn.class_weights(masks, 2, 0.5)[0] == pytest.approx(3)
    rare = fcn.class_weights(np.repeat(np.uint8([0, 1]), [99_999, 1]), 3, 1.0)
    assert rare[1] / rare[0] == pytest.approx(20) and rare[2] == rare[1]


def test_pascal_voc_in_its_official_layout(tmp_path):
    rng = np.random.default_rng(0)
    for name, (height, width) in {"2007_000001": (40, 60), "2007_000002": (50, 30)}.items():
        mask = rng.choice([0, 15, 20, 255], (height // 10, width // 10)).astype(np.uint8)
        mask = mask.repeat(10, 0).repeat(10, 1)
        segmentation.write_mask(tmp_path / "SegmentationClass" / f"{name}.png", mask)
        colours = voc.palette()[mask]
        images.save(tmp_path / "JPEGImages" / f"{name}.jpg", colours, quality=100)
    (tmp_path / "JPEGImages" / "unlisted.jpg").write_bytes(b"")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("2007_000002\n2007_000001\n")
    found = voc.load(tmp_path, "val", size=(40, 60))
    assert found.files == ("2007_000002", "2007_000001") and found.mask_names[15] == "person"
    np.testing.assert_array_equal(found.sizes, [[50, 30], [40, 60]])
    np.testing.assert_array_equal(
        found.masks[1], segmentation.read_mask(tmp_path / "SegmentationClass" / "2007_000001.png")
    )
    assert (found.masks[0, :, 24:] == 255).all() and set(np.unique(found.masks[0])) <= {0, 15, 20, 255}
    with pytest.raises(FileNotFoundError, match="VOC2012"):
        voc.load(tmp_path, "train")
    segmentation.write_mask(tmp_path / "SegmentationClass" / "2007_000001.png", np.full((40, 60), 21))
    with pytest.raises(ValueError, match="labels 21"):
        voc.load(tmp_path, "val")


# ---- the chain -------------------------------------------------------------------------------------------


def test_from_pictures_to_segmented_pictures(folders, narrow, tmp_path, monkeypatch):
    """`course train fcn` on folders, 32s; then 8s from it; then `course segment` on new pictures."""
    monkeypatch.setattr(fcn.patches, "build", lambda n, real=fcn.patches.build: real(n, filters=(2, 2, 4)))
    where = ["--images", folders / "images", "--masks", folders / "masks", "--ignore", 9]
    where += ["--classes", ",".join(NAMES), "--precision", "float32", "--backbone", narrow, "--patches", 300]
    coarse, fine = tmp_path / "coarse", tmp_path / "fine"
    say = _course("train", "fcn", *where, "--out", coarse, "--variant", "32s", "--epochs", 1)
    assert "5 pictures to train, 1 to judge by, 3 classes" in say
    _course("train", "fcn", *where, "--out", fine, "--start", coarse / "weights.npz", "--epochs", 1)
    card = json.loads((fine / "card.json").read_text())
    assert card["class_names"] == list(NAMES) and card["recipe"]["variant"] == "8s"
    run = runs.load("fcn8s", root=fine / "runs")
    assert set(run.baselines) == {"majority_class", "position_prior", "patch_wise_15x15"}
    assert {"mean_iu", "mean_iu_guided", "mean_iu_superpixels", "iu", "recall"} <= set(run.metrics)
    assert len(run.history["val_mean_iu"]) == 1 and run.command.startswith("course train fcn --images DIR")
    assert "score_pool3_kernel" in weight_files.read(fine / "weights.npz")

    new = tmp_path / "new.jpg"
    images.save(new, images.read(folders / "images" / "p0.png")[:33])
    say = _course("segment", new, "--weights", fine / "weights.npz", "--out", tmp_path / "answers")
    mask = segmentation.read_mask(tmp_path / "answers" / "new.png")
    expected = segmentation.label_map(segmentation.load(fine / "weights.npz"), images.read(new))
    np.testing.assert_array_equal(mask, expected)
    assert images.read(tmp_path / "answers" / "new_overlay.jpg").shape == (33, 56, 3) and "%" in say


def _course(*words, code=0):
    typed = list(map(str, words))
    before, sys.argv = sys.argv, ["course", *typed]
    try:
        result = CliRunner().invoke(build_cli(), typed)
    finally:
        sys.argv = before
    if result.exit_code != code:
        raise AssertionError(f"exit {result.exit_code}: {result.output}") from result.exception
    return result.output


def test_pictures_that_cannot_be_segmented_are_named(folders, tmp_path, keras):
    model = fcn.fcn.build(3, width=1 / 16, dense=())
    weight_files.save(tmp_path / "weights.npz", weight_files.of(model))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    good = folders / "images" / "p0.png"
    say = _course(
        "segment",
        tmp_path / "broken.png",
        good,
        "--weights",
        tmp_path / "weights.npz",
        "--out",
        tmp_path / "out",
        code=1,
    )
    assert "1 of 2 pictures could not be read" in say and (tmp_path / "out" / "p0.png").is_file()
    assert not (tmp_path / "out" / "broken_overlay.jpg").exists()
    told = f"{tmp_path / 'broken.png'} is not a picture"
    assert say.count(f"{tmp_path / 'broken.png'}") == 1 and told in say and "Data: 1 picture." in say
    with pytest.raises(ValueError, match="called p0"):
        segment_cli._outputs.stems([str(good), f"elsewhere/{good.name}"])


def test_weights_that_do_not_fit_are_named(tmp_path, keras):
    from course_utils.segmentation import load

    with pytest.raises(FileNotFoundError, match=r"no weights .mine.: give the file"):
        load("mine")
    with pytest.raises(FileNotFoundError, match=r"no weight file .*mine\.npz"):
        load(tmp_path / "mine.npz")
    (tmp_path / "picture.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"picture\.jpg: weight files end in"):
        load(tmp_path / "picture.jpg")
    weight_files.save(tmp_path / "other.npz", {"conv_kernel": np.zeros((3, 3, 3, 4), np.float32)})
    with pytest.raises(ValueError, match=r"other\.npz holds the weights of another network.*no FCN"):
        load(str(tmp_path / "other.npz"))


def test_settings_as_they_are_typed(tmp_path):
    (tmp_path / "names.txt").write_text("sky\nroad\n")
    assert (
        train_cli.class_list(str(tmp_path / "names.txt"))
        == train_cli.class_list("sky, road")
        == ["sky", "road"]
    )
    assert train_cli.class_list("") is None and train_cli.pixels("") is None
    assert train_cli.pixels("96") == 96 and train_cli.pixels("180x240") == (180, 240)
    with pytest.raises(ValueError, match="0x3"):
        train_cli.pixels("0x3")
    with pytest.raises(FileNotFoundError, match="no such file"):
        train_cli.class_list("names.tx")


def test_the_first_blocks_stay_the_others_learn(folders, narrow):
    recipe = fcn.Recipe(backbone=str(narrow), batch=2, frozen=2, rate=1e-3)
    samples = _samples(folders)
    model = fcn.build(recipe, samples)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.startswith("score_"):
            layer.set_weights([rng.normal(0, 0.1, w.shape) for w in layer.get_weights()])
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.train_on_batch(*next(fcn.batches(recipe, samples)(0)))
    moved = {
        name: np.abs(model.get_layer(name).get_weights()[0] - old[0]).max()
        for name, old in before.items()
        if old
    }
    assert moved["block1_conv1"] == moved["block2_conv2"] == moved["upscore8"] == 0
    assert min(moved["block3_conv1"], moved["block5_conv3"], moved["score_pool3"], moved["upscore_pool4"]) > 0


def test_folders_as_they_are_typed(tmp_path):
    a, b, c, d = (tmp_path / name for name in "abcd")
    assert train_cli.folders(None, None, None, None, None) == (None, None)
    assert train_cli.folders(a, b, None, None, None) == ((a, b), None)
    assert train_cli.folders(a, b, c, d, None) == ((a, b), (c, d))
    assert train_cli.folders(None, None, None, None, a) == (
        (a / "train", a / "trainannot"),
        (a / "val", a / "valannot"),
    )
    for wrong in ((a, None, None, None, None), (a, b, None, None, c), (None, None, c, d, None)):
        with pytest.raises(ValueError):
            train_cli.folders(*wrong)


def test_wrong_starts_are_named(folders, tmp_path, keras):
    model = fcn.fcn.build(5, "8s", width=1 / 16, dense=())
    path = str(weight_files.save(tmp_path / "w.npz", weight_files.of(model)))
    samples = _samples(folders)
    with pytest.raises(ValueError, match="knows 5 classes, the masks 3"):
        fcn.build(fcn.Recipe(start=path), samples)
    model = fcn.fcn.build(3, "8s", width=1 / 16, dense=())
    weight_files.save(path, weight_files.of(model))
    with pytest.raises(ValueError, match="finer than 16s"):
        fcn.build(fcn.Recipe(start=path, variant="16s"), samples)


# ---- the dense head --------------------------------------------------------------------------------------


def test_windows_are_labelled_by_what_they_hold():
    pictures = scenes(4, size=128, seed=0, objects=(1, 2), longest=(0.3, 0.6))
    x, y = scenes_dense.windows(pictures, step=32)
    assert x.shape[1:] == (64, 64, 3) and x.dtype == np.uint8 and len(x) == len(y)
    assert (y == 0).any() and (y > 0).any() and y.max() <= 6
    whole = scenes(1, size=64, seed=1, longest=(0.5, 0.6))
    _, label = scenes_dense.windows(whole)
    assert label.tolist() == [int(whole.classes[0, 0]) + 1]
    assert scenes_dense._label(np.array([0.9, 0.2]), np.array([2, 3])) == 255  # two objects
    assert scenes_dense._label(np.array([0.5, 0.0]), np.array([2, 3])) == 255  # half an object
    assert scenes_dense._label(np.array([0.02, 0.0]), np.array([2, -1])) == 0


def test_background_is_thinned_only():
    y = np.repeat([0, 1, 2, 3, 4, 5, 6], [100, 5, 5, 5, 5, 5, 5])
    kept = y[scenes_dense.some_of_each(y, np.random.default_rng(0))]
    assert np.bincount(kept).tolist() == [10, 5, 5, 5, 5, 5, 5]


def test_dense_head_learns_ships_and_becomes_convolutional(narrow, tmp_path, monkeypatch):
    real = pretrained.load_vgg16
    monkeypatch.setattr(scenes_dense.pretrained, "load_vgg16", lambda **options: real(narrow, **options))
    recipe = scenes_dense.Recipe(epochs=2, batch=16, pictures=12, units=16)
    card = scenes_dense.ScenesDense(recipe).run(tmp_path, say=lambda line: None)
    assert card and card["megabytes"] < 1 and 0 <= card["metrics"]["test_accuracy"] <= 1
    assert set(weight_files.layers(weight_files.read(tmp_path / "weights.npz"))) == {"fc1", "predictions"}
    model = scenes_dense.load(tmp_path / "weights.npz")
    converted = convert.dense_to_convolutional(model)
    x = np.random.default_rng(0).normal(0, 50, (1, 96, 160, 3)).astype(np.float32)
    assert converted.predict_on_batch(x).shape == (1, 2, 4, 7)
    np.testing.assert_allclose(
        converted.predict_on_batch(x[:, :64, :64])[:, 0, 0], model.predict_on_batch(x[:, :64, :64]), atol=1e-5
    )
    monkeypatch.setattr(scenes_dense.heads, "trunk_hash", lambda: "another")
    with pytest.raises(ValueError, match="head of another trunk"):
        scenes_dense.load(tmp_path / "weights.npz")
