"""Training: exact resume, damaged and foreign checkpoints, and the pieces of the VGG-16 recipe."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from course_utils import files, runtime, training
from course_utils.datasets import augment
from course_utils.networks import vgg16
from course_utils.training import checkpoints


def _model():
    runtime.start(3)
    import keras

    model = vgg16.build(
        0.03, classes=4, head="average", batch_norm=training.batch_normalization(), dropout=0.3
    )
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=1e-3),
        "categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _batches(epoch):
    rng = np.random.default_rng(epoch)
    for _ in range(3):
        yield (
            rng.normal(size=(8, 32, 32, 3)).astype(np.float32),
            np.eye(4, dtype=np.float32)[np.arange(8) % 4],
        )


def _fit(out, epochs=3, **kwargs):
    model = _model()
    settings = kwargs.pop("settings", {"seed": 3})
    progress = training.fit(
        model,
        kwargs.pop("batches", _batches),
        steps=kwargs.pop("steps", 3),
        epochs=epochs,
        out=out,
        rate=training.one_cycle(0.1),
        settings=settings,
        say=lambda line: None,
        **kwargs,
    )
    return model, progress


def _weights(model):
    return [np.asarray(v) for v in model.get_weights()]


def test_resumed_run_equals_uninterrupted_run(tmp_path):
    whole, _ = _fit(tmp_path / "whole")
    _, first = _fit(tmp_path / "parts", minutes=0)
    assert (first.epoch, first.finished) == (1, False)
    parts, last = _fit(tmp_path / "parts", resume=True)
    assert last.finished and last.epoch == 3
    for a, b in zip(_weights(whole), _weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)
    rows = [list(csv.DictReader((tmp_path / d / "history.csv").open())) for d in ("whole", "parts")]
    for a, b in zip(*rows, strict=True):
        assert {k: a[k] for k in a if k != "seconds"} == {k: b[k] for k in b if k != "seconds"}


def test_ctrl_c_keeps_the_last_whole_epoch(tmp_path):
    def interrupted(epoch):
        yield from _batches(epoch)
        if epoch == 1:
            raise KeyboardInterrupt

    _, progress = _fit(tmp_path, batches=interrupted)
    assert (progress.epoch, progress.finished) == (1, False)
    resumed, _ = _fit(tmp_path, resume=True)
    whole, _ = _fit(tmp_path / "whole")
    for a, b in zip(_weights(whole), _weights(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_existing_run_is_not_overwritten(tmp_path):
    _fit(tmp_path, epochs=1)
    with pytest.raises(ValueError, match="--resume"):
        _fit(tmp_path, epochs=1)


def test_checkpoint_of_other_settings_or_damaged(tmp_path):
    _fit(tmp_path, epochs=1)
    with pytest.raises(ValueError, match="other settings"):
        _fit(tmp_path, resume=True, settings={"seed": 4})
    path = tmp_path / "state" / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="damaged"):
        _fit(tmp_path, resume=True)


@pytest.mark.parametrize("where", ["x", "y"])
def test_a_run_that_diverges_keeps_the_checkpoint(tmp_path, where):
    def poisoned(epoch):
        for x, y in _batches(epoch):
            bad = np.float32(np.nan if epoch == 1 else 1)
            yield (x * bad, y) if where == "x" else (x, y * bad)

    with pytest.raises(FloatingPointError, match="last good checkpoint"):
        _fit(tmp_path, batches=poisoned)
    assert (
        checkpoints.load_checkpoint(
            tmp_path / "state" / "checkpoint.npz", _compiled(), checkpoints.settings_tag({"seed": 3})
        ).epoch
        == 1
    )


def _compiled():
    model = _model()
    model.optimizer.build(model.trainable_variables)
    return model


def test_nothing_to_train_on_is_said(tmp_path):
    with pytest.raises(ValueError, match="nothing to train on"):
        _fit(tmp_path, steps=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("n", "batch", "sizes"), [(10, 4, [4, 4]), (3, 4, [3]), (4, 4, [4]), (0, 4, [])])
def test_fewer_examples_than_a_batch_are_one_step(n, batch, sizes):
    picks = list(training.shuffled(n, batch, np.random.default_rng(0)))
    assert [len(pick) for pick in picks] == sizes and training.steps_in(n, batch) == len(sizes)
    seen = np.concatenate([*picks, np.zeros(0, int)])
    assert len(set(seen.tolist())) == len(seen) == sum(sizes)


def test_an_error_in_the_data_reaches_the_caller():
    def broken():
        yield np.zeros(1), np.zeros(1)
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        list(training.prefetch(broken()))


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"), files.replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_one_cycle_rises_then_falls_to_zero():
    rate = training.one_cycle(0.2, warm_up=0.25)
    values = [rate(p) for p in np.linspace(0, 1, 101)]
    assert np.argmax(values) == 25 and values[25] == pytest.approx(0.2)
    assert values[-1] == pytest.approx(0, abs=1e-9) and all(v >= 0 for v in values)


def test_folded_network_answers_like_the_trained_one():
    model = _compiled()
    for x, y in _batches(0):
        model.train_on_batch(x, y)
    plain = vgg16.build(0.03, classes=4, head="average")
    weights = vgg16.fold(model, scale=0.5)
    for name in (*vgg16.LAYERS, "predictions"):
        plain.get_layer(name).set_weights([weights[f"{name}_kernel"], weights[f"{name}_bias"]])
    x = np.random.default_rng(9).normal(size=(4, 40, 48, 3)).astype(np.float32)
    np.testing.assert_allclose(plain.predict_on_batch(2 * x), model.predict_on_batch(x), rtol=1e-4, atol=1e-5)


def test_fused_batch_normalization_is_batch_normalization():
    runtime.start(0)
    import keras

    x = np.random.default_rng(0).normal(2, 3, (16, 6, 5, 4)).astype(np.float32)
    fused = training.batch_normalization()(momentum=0.9, epsilon=1e-3)
    plain = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)
    np.testing.assert_allclose(fused(x, training=True), plain(x, training=True), atol=1e-4)
    np.testing.assert_allclose(fused.moving_mean, plain.moving_mean, atol=1e-5)
    n = x.size / 4  # the fused kernel keeps the unbiased variance
    unbiased = 0.9 + (np.asarray(plain.moving_variance) - 0.9) * n / (n - 1)
    np.testing.assert_allclose(fused.moving_variance, unbiased, rtol=1e-4)


def test_enlarge_is_bilinear_as_in_opencv():
    x = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    for size in (32, 48, 64):
        expected = np.stack([cv2.resize(i.astype(np.float32), (size, size)) for i in x])
        np.testing.assert_allclose(augment.enlarge(x, size), expected, atol=1e-3)


def test_a_negative_extent_mirrors():
    x = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    centre, extent, still = np.array([4.0]), np.array([8.0]), np.zeros(1)
    rows = augment.axis_matrices(centre, extent, 8, 8, still)
    mirrored = augment.axis_matrices(centre, -extent, 8, 8, still)
    np.testing.assert_allclose(augment.resample(x, rows, mirrored)[0], x[0, :, ::-1], atol=1e-4)


@pytest.mark.parametrize("size", [32, 64])
def test_augmented_pictures_stay_pictures(size):
    x = np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3), np.uint8)
    views = augment.augment(x, size, np.random.default_rng(1))
    again = augment.augment(x, size, np.random.default_rng(1))
    assert views.shape == (32, size, size, 3) and views.dtype == np.float32
    assert views.min() >= 0 and views.max() <= 255
    np.testing.assert_array_equal(views, again)


def test_thumbnails_are_split_without_overlap(tmp_path: Path):
    from course_utils.datasets import tiny_imagenet

    wnids, _ = tiny_imagenet.class_names()
    y = np.repeat(np.arange(200, dtype=np.uint8), 12)
    x = np.arange(len(y), dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    pictures = np.zeros((len(y), 32, 32, 3), np.uint8)
    pictures[:, 0, 0, :2] = x  # each picture carries its own number
    np.savez(
        tmp_path / "tiny_imagenet_32.npz",
        x_train=pictures, y_train=y, x_val=pictures[:3], y_val=y[:3], wnids=np.array(wnids),
    )  # fmt: skip
    data = tiny_imagenet.load(tmp_path)
    numbers = [
        set(p[:, 0, 0, :2].copy().view(np.uint16).ravel().tolist())
        for p in (data.train[0], data.validation[0])
    ]
    assert len(numbers[0]) == 400 and len(numbers[1]) == 2000 and not numbers[0] & numbers[1]
    assert (np.bincount(data.validation[1]) == 10).all()
    with pytest.raises(FileNotFoundError):
        tiny_imagenet.load(tmp_path / "nowhere")
