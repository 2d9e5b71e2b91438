"""Weights: every kind of file, every way in which it can be wrong, and the answers to pictures."""

from __future__ import annotations

import csv
import pickle
import re
import socket
import zipfile
from dataclasses import FrozenInstanceError
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from course_utils import runtime
from course_utils.cli import classify as command
from course_utils.downloads import assets
from course_utils.networks import pretrained, vgg16, weight_files
from course_utils.networks.pretrained import load_vgg16
from course_utils.pictures import images

SMALL = 1 / 32


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, and no network: whoever tries to connect fails the test."""
    runtime.start(seed=0)
    monkeypatch.setenv(assets.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))

    def refuse(*_arguments, **_options):
        raise AssertionError("something tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(assets, "fetch", refuse)


def small(**options):
    """A little VGG-16 with random weights, biases too."""
    model = vgg16.build(SMALL, **({"head": "average", "classes": 5} | options))
    rng = np.random.default_rng(3)
    for layer in model.layers:
        if layer.weights:
            layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
    return model


def x(side: int = 32) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 50, (2, side, side, 3)).astype(np.float32)


def exact(path: Path, values: dict[str, np.ndarray]) -> Path:
    """Weights as the shared files have them: plain `np.savez`, float32."""
    np.savez(path, **values)
    return path


# --- what loads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npz", ".keras", ".weights.h5", ".h5"])
def test_the_same_answers_from_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    model = small()
    path = tmp_path / f"net{suffix}"
    if suffix == ".npz":
        weight_files.save(path, weight_files.of(model), dtype="float32")
    elif suffix == ".weights.h5":
        model.save_weights(path)
    else:
        model.save(path)
    loaded = load_vgg16(path)
    np.testing.assert_array_equal(np.asarray(loaded(x())), np.asarray(model(x())))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    assert pretrained.about(loaded).weights == str(path)


@pytest.mark.parametrize("full", [True, False])
def test_files_of_keras_applications(tmp_path: Path, full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout of the original download: a group a layer, arrays called LAYER_W_1:0 and LAYER_b_1:0."""
    import h5py

    model = vgg16.build(SMALL, include_top=full, classes=1000)
    path = tmp_path / "vgg16_weights.h5"
    with h5py.File(path, "w") as file:
        names = [layer.name for layer in model.layers]
        file.attrs["layer_names"] = [name.encode() for name in names]
        for layer in model.layers:
            group = file.create_group(layer.name)
            for letter, variable in zip("Wb", layer.weights, strict=False):
                group[f"{layer.name}_{letter}_1:0"] = np.asarray(variable)
    here = {"vgg16" if full else "vgg16_no_top": path}
    monkeypatch.setattr(assets, "find", here.get)
    loaded = load_vgg16("imagenet", include_top=None if full else False)
    side = 224 if full else 64
    np.testing.assert_array_equal(np.asarray(loaded(x(side))), np.asarray(model(x(side))))
    facts = pretrained.about(loaded)
    assert facts.weights == "imagenet" and facts.input_size == 224
    if full:
        assert facts.class_names[281] == "tabby" and facts.wnids[-1] == "n15075141"
        assert pretrained.about(load_vgg16("auto")).weights == "imagenet"
        assert load_vgg16("auto", until="block1_conv2").output_shape == (None, None, None, 2)
    else:  # with a classifier asked for, and only the convolutions fetched, "auto" takes what ships
        assert pretrained.about(load_vgg16("auto")).weights == "original"
        assert pretrained.about(load_vgg16("auto", include_top=False)).weights == "imagenet"


def test_the_original_is_in_the_box() -> None:
    """Bit for bit what the file holds; the head is the average of block 5 and one layer."""
    model = load_vgg16()
    facts = pretrained.about(model)
    assert facts.weights == pretrained.about(load_vgg16("auto")).weights == "original"
    assert model.output_shape == (None, 1000) and len(set(facts.wnids)) == len(facts.class_names) == 1000
    with np.load(pretrained.weight_files.shipped("vgg16"), allow_pickle=False) as arrays:
        for layer in vgg16.LAYERS:
            np.testing.assert_array_equal(
                np.asarray(model.get_layer(layer).kernel), arrays[f"{layer}_kernel"]
            )
            assert arrays[f"{layer}_bias"].dtype == np.float16
    assert [layer.name for layer in model.layers[-3:]] == ["block5_conv3", "average_pool", "predictions"]
    assert load_vgg16(include_top=False).layers[-1].name == "block5_pool"
    assert load_vgg16(until="block4_conv3").output_shape == (None, None, None, 512)


def test_half_precision_is_read_as_it_is_stored_where_that_was_asked_for() -> None:
    path = pretrained.weight_files.shipped("names")
    plain, stored = (pretrained.weight_files.read(path, as_stored=each) for each in (False, True))
    assert {value.dtype for value in plain.values()} == {np.dtype(np.float32)}
    assert {value.dtype for value in stored.values()} == {np.dtype(np.float16)}
    for name, value in plain.items():
        np.testing.assert_array_equal(value, stored[name].astype(np.float32))


def test_too_little_memory_is_said_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=20_000_000))
    with pytest.raises(ValueError, match=r"vgg16.npz needs about 1\d\d MB of memory, and 20 MB are free"):
        load_vgg16()


def test_the_courses_own_has_two_hundred_names() -> None:
    model = load_vgg16("course")
    facts = pretrained.about(model)
    assert facts.weights == "course"
    assert model.output_shape == (None, 200) == (None, len(facts.class_names)) == (None, len(facts.wnids))
    assert "espresso" in facts.class_names and all(re.fullmatch(r"n\d{8}", each) for each in facts.wnids)
    kernel = np.asarray(model.get_layer("block5_conv3").kernel)
    assert kernel.shape == (3, 3, 256, 256) and kernel.std() > 0
    shipped = pretrained.weight_files.shipped("vgg16_course")
    assert shipped.stat().st_size <= 8_000_000
    with np.load(shipped, allow_pickle=False) as arrays:
        assert {arrays[key].dtype for key in arrays.files} == {np.dtype("float16")}


def test_random_weights_in_any_width() -> None:
    model = load_vgg16(None, width=SMALL, head="average", classes=3)
    assert model.output_shape == (None, 3) and model.get_layer("block3_conv1").filters == 8
    assert pretrained.about(model).name == f"random weights (width {SMALL:g})"
    twin = load_vgg16(None, width=SMALL, head="average", classes=3)
    assert not np.array_equal(model.get_weights()[0], twin.get_weights()[0])


def test_only_the_first_blocks(tmp_path: Path) -> None:
    model = small()
    kept = {k: v for k, v in weight_files.of(model).items() if k.startswith(("block1", "block2"))}
    path = exact(tmp_path / "first.npz", kept)
    loaded = load_vgg16(path, until="block2_pool")
    whole = vgg16.build(SMALL, until="block2_pool")
    whole.set_weights(loaded.get_weights())
    assert loaded.output_shape == (None, None, None, 4)
    with pytest.raises(ValueError, match=r"missing: block3_conv1, block3_conv2\. .*until=\"block2_conv2\""):
        load_vgg16(path, until="block3_conv2")
    with pytest.raises(ValueError, match=r"missing: block3_conv1, .*, block5_conv3\. "):
        load_vgg16(path)


@pytest.mark.shared
def test_the_real_first_blocks(shared_data: Path) -> None:
    path = shared_data / "vgg16_imagenet.npz"
    model = load_vgg16(path, until="block3_conv3")
    assert model.output_shape == (None, None, None, 256)
    assert model.count_params() == 1_735_488
    maps = np.asarray(model(images.preprocess(images.resize(images.sample("chelsea"), 64))[None]))
    assert 0.2 < (maps > 0).mean() < 0.8  # a trained network on the input that it was trained on


def test_dense_head_of_another_input_size(tmp_path: Path) -> None:
    model = small(head="dense", input_shape=(64, 64, 3))
    path = exact(tmp_path / "dense.npz", weight_files.of(model))
    loaded = load_vgg16(path)
    assert loaded.input_shape == (None, 64, 64, 3)
    np.testing.assert_array_equal(np.asarray(loaded(x(64))), np.asarray(model(x(64))))
    assert load_vgg16(path, include_top=False).input_shape == (None, None, None, 3)


def test_average_pooling_with_given_weights() -> None:
    model = load_vgg16("course", until="block2_conv1", pooling="average")
    assert type(model.get_layer("block1_pool")).__name__ == "AveragePooling2D"


# --- what does not --------------------------------------------------------------------------------------


def broken_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Bad weight files, each with words that the message must hold."""
    good = weight_files.of(small())
    whole = exact(folder / "whole.npz", good).read_bytes()
    cases: dict[str, tuple[Path, str]] = {}

    def put(name: str, content: bytes, words: str) -> None:
        (folder / name).write_bytes(content)
        cases[name] = (folder / name, words)

    def arrays(name: str, changed: dict[str, np.ndarray], words: str) -> None:
        cases[name] = (exact(folder / name, changed), words)

    put("truncated.npz", whole[: len(whole) // 2], "only a part of one")
    put("empty.npz", b"", "no .npz file")
    put("page.npz", b"<!DOCTYPE html><html>not found</html>", "no .npz file")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    put("flipped.npz", bytes(flipped), "damaged")
    put("page.h5", b"<!DOCTYPE html>", "no .h5 file")
    put("page.keras", b"<!DOCTYPE html>", "no .keras file")
    put("net.pt", b"PK", "no .pt file")
    put("net.txt", b"PK", "weight files end in .npz")
    put("pickled.npz", b"", "")
    np.savez(folder / "pickled.npz", block1_conv1_kernel=np.array([{"a": 1}], dtype=object))
    cases["pickled.npz"] = (folder / "pickled.npz", "pickled objects, which are never loaded")
    with zipfile.ZipFile(folder / "other.keras", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    cases["other.keras"] = (folder / "other.keras", "can't be read as a Keras model")
    arrays("nothing.npz", {"data": np.zeros(3)}, "holds no weights")
    arrays("another.npz", {"conv_1_kernel": np.zeros((3, 3, 3, 96))}, "another network than VGG-16.*conv_1")
    arrays("no_start.npz", {k: v for k, v in good.items() if "block1" not in k}, "missing: block1_conv1")
    wrong = good | {"block3_conv2_kernel": np.zeros((3, 3, 8, 9), np.float32)}
    arrays("shape.npz", wrong, r"block3_conv2_kernel: expected \(3, 3, 8, 8\), found \(3, 3, 8, 9\)")
    arrays("rank.npz", good | {"block1_conv1_kernel": np.zeros(3)}, r"block1_conv1_kernel: .*found \(3,\)")
    five = good | {"block1_conv1_kernel": np.zeros((5, 5, 3, 2), np.float32)}
    arrays("five.npz", five, r"block1_conv1_kernel: expected \(3, 3, 3, 2\), found \(5, 5, 3, 2\)")
    arrays("no_bias.npz", {k: v for k, v in good.items() if k != "block4_conv1_bias"}, "found nothing")
    nan = good | {"block2_conv1_bias": np.full(4, np.nan, np.float32)}
    arrays("nan.npz", nan, "block2_conv1_bias has values that are not finite")
    head = good | {"fc1_kernel": np.zeros((16 * 5, 9), np.float32)}
    arrays("fc1.npz", head, r"fc1_kernel: \(80, 9\) fits no square input")
    return cases


def test_wrong_files_say_what_is_wrong(tmp_path: Path) -> None:
    for name, (path, words) in broken_files(tmp_path).items():
        with pytest.raises(ValueError, match=words) as caught:
            load_vgg16(path)
        assert name in str(caught.value), caught.value


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weight file .*none\.npz"):
        load_vgg16(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match="course fetch vgg16"):
        load_vgg16("imagenet")


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    path = tmp_path / "trap.npz"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=r"no \.npz file"):
        load_vgg16(path)
    np.savez(path, block1_conv1_kernel=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match="pickled"):
        load_vgg16(path)
    assert not (tmp_path / "sprung").exists()


def test_put_changes_nothing_when_a_shape_is_wrong() -> None:
    model, values = small(), weight_files.of(small())
    before = model.get_weights()
    values["predictions_bias"] = np.zeros(6, np.float32)
    with pytest.raises(ValueError, match=r"net: predictions_bias: expected \(5,\), found \(6,\)"):
        weight_files.put(model, values, "net")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_no_classifier_in_the_file(tmp_path: Path) -> None:
    path = exact(tmp_path / "headless.npz", weight_files.of(small(include_top=False)))
    assert load_vgg16(path).output_shape == (None, None, None, 16)
    with pytest.raises(ValueError, match="has no classifier"):
        load_vgg16(path, include_top=True)


# --- answers --------------------------------------------------------------------------------------------


def test_predictions_are_the_softmax_ranked() -> None:
    model = load_vgg16("course")
    photo = images.sample("coffee")
    (guesses,) = pretrained.classify(model, photo, top=200)
    assert [guess.rank for guess in guesses] == list(range(1, 201))
    assert sum(guess.probability for guess in guesses) == pytest.approx(1, abs=1e-4)
    assert sorted(guesses, key=lambda guess: -guess.probability) == guesses
    facts = pretrained.about(model)
    square = photo[:, 100:500]  # coffee is 400 x 600
    row = np.asarray(model(images.preprocess(images.resize(square, facts.input_size))[None]))[0]
    best = int(row.argmax())
    assert (guesses[0].name, guesses[0].wnid) == (facts.class_names[best], facts.wnids[best])
    assert guesses[0].probability == pytest.approx(row.max(), rel=1e-3)


def test_pictures_alone_in_lists_and_in_batches_agree() -> None:
    model = small()
    batch = np.random.default_rng(0).uniform(0, 255, (19, 40, 40, 3)).astype(np.float32)
    many = pretrained.classify(model, batch, top=2)
    assert len(many) == 19 and all(len(guesses) == 2 for guesses in many)
    (alone,) = pretrained.classify(model, batch[18], top=2)
    assert alone[0].name == many[18][0].name == f"class {alone[0].name[6:]}"
    assert alone[0].probability == pytest.approx(many[18][0].probability, rel=1e-4)
    mixed = pretrained.classify(model, [batch[0], batch[1, :30]], top=1)
    assert mixed[0][0].probability == pytest.approx(many[0][0].probability, rel=1e-4)
    assert pretrained.classify(model, []) == []
    assert len(pretrained.classify(model, batch[0], top=99)[0]) == 5


def test_crop_and_squash() -> None:
    model = small()
    picture = np.zeros((20, 60, 3), np.float32)
    picture[:, 20:40] = 200
    cropped, squashed = (
        images.deprocess(pretrained.prepare(model, picture, how)) for how in ("crop", "squash")
    )
    assert cropped.shape == squashed.shape == (1, 224, 224, 3)
    np.testing.assert_allclose(cropped, 200, atol=1e-3)
    assert squashed.mean() == pytest.approx(200 / 3, rel=0.02)


def test_what_classify_refuses() -> None:
    photo = np.zeros((40, 40, 3), np.float32)
    with pytest.raises(ValueError, match="ends in feature maps"):
        pretrained.classify(small(include_top=False), photo)
    with pytest.raises(ValueError, match="at least one"):
        pretrained.classify(small(), photo, top=0)
    with pytest.raises(ValueError, match="'crop' and 'squash'"):
        pretrained.classify(small(), photo, how="stretch")


def test_about_a_network_of_ones_own() -> None:
    facts = pretrained.about(vgg16.build(SMALL))
    assert (facts.weights, facts.class_names, facts.input_size) == ("random", (), 224)
    picture = np.full((2, 2, 3), 100.0)
    np.testing.assert_allclose(facts.deprocess(facts.preprocess(picture)), picture)
    with pytest.raises(FrozenInstanceError):
        facts.name = "mine"
    model = pretrained.remember(small(), pretrained.About(name="mine"))
    assert pretrained.one_line(model, data="none").startswith("Weights: mine. Data: none. Device: ")


# --- course classify ------------------------------------------------------------------------------------


def test_course_classify(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import typer

    good, bad, gone = images.sample_path("coffee"), tmp_path / "bad.jpg", tmp_path / "gone.png"
    bad.write_text("no picture")
    table = tmp_path / "sub" / "answers.csv"
    app = typer.Typer()
    command.register(app)
    app.command("other")(lambda: None)
    pictures = [str(good), str(bad), str(gone), str(images.sample_path("rocket"))]
    result = CliRunner().invoke(app, ["classify", *pictures, "--top", "3", "--csv", str(table)])
    assert result.exit_code == 1, result.output
    assert "bad.jpg is not a picture" in result.output and "gone.png" in result.output
    assert "2 of 4 pictures could not be read" in result.output
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "rank", "wnid", "class", "probability"]
    assert [(row["file"], row["rank"]) for row in rows] == [
        (file, str(rank)) for file in (pictures[0], pictures[3]) for rank in (1, 2, 3)
    ]
    expected = pretrained.classify(load_vgg16(), images.read(good), top=3)[0]
    assert [row["class"] for row in rows[:3]] == [guess.name for guess in expected]
    assert float(rows[0]["probability"]) == pytest.approx(expected[0].probability, abs=2e-3)
    assert list(table.parent.iterdir()) == [table]
    assert CliRunner().invoke(app, ["classify", str(good)]).exit_code == 0
