"""The head `names`: which crops, what is kept of them, the closed form, calibration, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_utils import runs, runtime
from course_utils.networks import heads, pretrained, weight_files
from course_utils.training import names

WNIDS, _ = weight_files.class_table(pretrained.CLASSES)


# --- which crops ----------------------------------------------------------------------------------------


def test_every_beginning_of_the_plan_has_its_share_of_each_folder() -> None:
    counts = {"imagenette": 20, "mini": 100, "one_a_class": 5}
    crops = names.plan(counts)
    assert len(crops) == sum(count * names.PASSES[name] for name, count in counts.items())
    assert crops == names.plan(counts) != names.plan(counts, seed=1)
    half = crops[: len(crops) // 2]
    for folder, count in counts.items():
        assert sum(crop.folder == folder for crop in half) == pytest.approx(
            count * names.PASSES[folder] / 2, abs=1
        )
    first = [crop for crop in crops if crop.folder == "mini"]
    assert {crop.picture for crop in first} == set(range(100)) and {crop.part for crop in first} == {1.0}


def test_a_crop_lies_inside_and_is_mirrored_and_blurred_as_it_says() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    plain = names.Crop("one_a_class", 0, 1.0, 0.0, 0.5, False, 32, 0)
    square = names.cut(picture, plain)
    np.testing.assert_array_equal(square, picture[30:60, :30])
    mirrored = names.cut(picture, names.Crop("one_a_class", 0, 1.0, 0.0, 0.5, True, 32, 0))
    np.testing.assert_array_equal(mirrored, square[:, ::-1])
    sharp = names.seen(square, plain)
    blurred = names.seen(square, names.Crop("one_a_class", 0, 1.0, 0.0, 0.5, False, 32, 8))
    assert sharp.shape == blurred.shape == (32, 32, 3)
    assert np.abs(np.diff(blurred, axis=0)).mean() < 0.5 * np.abs(np.diff(sharp, axis=0)).mean()


# --- averages, kept -------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes of ten thumbnails each, and ten photographs of other classes."""
    random = np.random.default_rng(0)

    def write(path: Path, height: int, width: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path, lossless=True)

    for wnid in WNIDS[:2]:
        write(tmp_path / "data" / "mini" / f"{wnid}.webp", 84, 840)
    for wnid in WNIDS[1:11]:
        write(tmp_path / "data" / "one_a_class" / f"{wnid}.webp", 90, 120)
    return tmp_path / "data"


def test_what_was_computed_is_kept_and_what_is_missing_is_made(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "CHUNK", 20)
    photographs = names.read(data)
    assert {name: len(folder.pictures) for name, folder in photographs.items()} == {
        "mini": 20,
        "one_a_class": 10,
    }
    assert photographs["mini"].labels.tolist() == [0] * 10 + [1] * 10
    calls: list[tuple[int, ...]] = []

    def features(x: np.ndarray) -> np.ndarray:
        calls.append(x.shape)
        return np.repeat(x.mean((1, 2))[:, :1], 512, 1)

    networks = {"features": features, "teacher": lambda x: np.repeat(x.mean((1, 2))[:, :1], 1000, 1)}
    crops = names.plan({name: len(folder.pictures) for name, folder in photographs.items()})
    quiet = {"say": lambda line: None}
    first = names.look(photographs, crops, networks, tmp_path / "state", **quiet)  # type: ignore[arg-type]
    assert len(first.crops) == len(first.features) == len(first.labels) == 50
    for crop, value in zip(first.crops[:20], first.features[:20, 0], strict=True):
        wanted = names.seen(names.cut(photographs[crop.folder].pictures[crop.picture], crop), crop)
        assert value == pytest.approx(wanted[..., 0].mean(), abs=1e-3)
    done = len(calls)
    (tmp_path / "state" / "000020.npz").unlink()
    second = names.look(photographs, crops, networks, tmp_path / "state", **quiet)  # type: ignore[arg-type]
    assert done < len(calls) < 2 * done
    np.testing.assert_array_equal(first.features, second.features)


def test_classes_kept_out_have_no_picture_elsewhere(data: Path) -> None:
    photographs = names.read(data)
    masks = names.held_out(photographs, seed=0)
    kept_out = photographs["one_a_class"].labels[masks["one_a_class"]]
    assert len(kept_out) == 1 and not set(kept_out) & set(photographs["mini"].labels)
    assert masks["mini"].sum() == 2


def test_data_of_other_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="one_a_class"):
        names.read(tmp_path)
    (tmp_path / "mini").mkdir()
    Image.new("RGB", (84, 84)).save(tmp_path / "mini" / "n00000001.webp")
    with pytest.raises(ValueError, match=r"n00000001\.webp is named after no class"):
        names.read(tmp_path)


# --- the closed form ------------------------------------------------------------------------------------


def make_believe(n: int = 3000) -> names.Seen:
    """Averages from which a teacher's logits follow by a linear map; the last 500 classes have no picture."""
    random = np.random.default_rng(0)
    features = random.normal(size=(n, 512)).astype(np.float32)
    teacher = (features[:, :40] + 3) @ random.normal(size=(40, 1000)).astype(np.float32)
    teacher[:, 500:] += 1e-3
    labels = teacher[:, :500].argmax(1)
    crops = [names.Crop("mini", i, 0.5, 0.5, 1.0, False, 128, 0) for i in range(n)]
    return names.Seen(crops, features, teacher, labels)


def test_a_teacher_carries_over_to_classes_without_a_picture() -> None:
    known = make_believe(1500)
    kernel, bias = names.fit(known, names.Recipe(ridge=1.0, spread=0.0, odds=0.0, bonus=0.0))
    assert kernel.shape == (512, 1000) and bias.shape == (1000,)
    answer = known.features @ kernel + bias
    centred = known.teacher - known.teacher.mean(1, keepdims=True)
    np.testing.assert_allclose(answer, centred - centred.mean(0), atol=0.05 * centred.std())


def test_true_classes_add_to_the_teacher() -> None:
    """A class that the teacher does not know, and that one feature gives away."""
    known = make_believe(600)
    known.labels[:60], known.labels[60:] = 7, np.arange(540) % 400 + 500  # the others have one or two each
    known.features[:60, 100] += 4
    rich = names.with_many_pictures(known)
    assert np.flatnonzero(rich).tolist() == [7]
    recipe = names.Recipe(odds=0.0, bonus=0.0)
    plain, true, more = (
        names.fit(known, replace(recipe, odds=odds, bonus=bonus)) for odds, bonus in ((0, 0), (5, 0), (5, 2))
    )
    logits = [known.features[:60] @ kernel + bias for kernel, bias in (plain, true)]
    first = [names.rates(each, known.labels[:60])["first"] for each in logits]
    assert first[0] < 0.5 < 0.9 < first[1]
    np.testing.assert_allclose(more[1] - true[1], 2 * rich, atol=1e-4)
    np.testing.assert_array_equal(more[0], true[0])


# --- calibration ----------------------------------------------------------------------------------------


def test_temperature_undoes_a_scale_and_mends_the_calibration() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(size=(20000, 5)) * 2
    chances = np.exp(honest) / np.exp(honest).sum(1, keepdims=True)
    labels = (chances.cumsum(1) < random.random((20000, 1))).sum(1)
    assert names.temperature(3 * honest, labels) == pytest.approx(3, rel=0.05)
    assert names.calibration_error(honest, labels) < 0.02 < 0.1 < names.calibration_error(3 * honest, labels)
    assert names.rates(honest, honest.argmax(1)) == {"first": 1.0, "first_five": 1.0}
    curve = [each for each in names.reliability(honest, labels) if each["pictures"] > 400]
    assert len(curve) >= 8 and all(abs(each["shown"] - each["right"]) < 0.06 for each in curve)


def test_the_recorded_calibration_curve_has_the_recorded_error() -> None:
    metrics = runs.load("names").metrics
    curve, total = metrics["calibration"].values(), sum(metrics["judged"].values())
    assert sum(each["pictures"] for each in curve) == total
    error = sum(each["pictures"] * abs(each["shown"] - each["right"]) for each in curve) / total
    assert error == pytest.approx(metrics["calibration_error"]["after"], abs=1e-6)


# --- heads on the trunk ---------------------------------------------------------------------------------


def test_a_head_of_ones_own_and_one_of_another_trunk(tmp_path: Path) -> None:
    runtime.start(0)
    random = np.random.default_rng(0)
    values = {
        "predictions_kernel": random.normal(0, 0.02, (512, 7)),
        "predictions_bias": random.normal(size=7),
    }
    path = weight_files.save(tmp_path / "weights.npz", values)
    with pytest.raises(ValueError, match="head of another trunk"):
        pretrained.load_vgg16(path)
    card = {"trunk": heads.trunk_hash(), "title": "seven things"}
    (tmp_path / "card.json").write_text(json.dumps(card))
    model = pretrained.load_vgg16(path)
    assert model.output_shape == (None, 7) and "seven things" in pretrained.about(model).name
    x = random.normal(size=(1, 32, 32, 3)).astype(np.float32) * 40
    maps = np.asarray(pretrained.load_vgg16(until="block5_conv3")(x)).mean((1, 2))
    logits = maps @ values["predictions_kernel"].astype(np.float16) + values["predictions_bias"]
    answer = np.asarray(model(x))
    wanted = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(answer, wanted / wanted.sum(1, keepdims=True), atol=5e-3)


def test_a_layer_that_differs_from_the_fetched_file_is_named(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    layers = ("block4_conv1", "block4_conv2")
    values = {f"{layer}_kernel": random.normal(size=(3, 3, 4, 4)).astype(np.float32) for layer in layers}
    values |= {f"{layer}_bias": random.normal(size=4).astype(np.float32) for layer in layers}
    shipped = weight_files.save(tmp_path / "shipped.npz", values)
    fetched = weight_files.save(tmp_path / "fetched.npz", values, dtype="float32")
    assert heads.differing_layers(shipped, fetched) == []
    values["block4_conv2_kernel"][0, 0, 0, 0] += 1
    weight_files.save(fetched, values, dtype="float32")
    assert heads.differing_layers(shipped, fetched) == ["block4_conv2"]
