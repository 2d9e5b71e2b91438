"""The recipe of the course's VGG-16, from thumbnails to weights, card and record, on very few pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from course_utils import runs
from course_utils.datasets import tiny_imagenet
from course_utils.networks import pretrained, weight_files
from course_utils.training import vgg16
from experiments import probe


@pytest.fixture(scope="module")
def thumbnails(tmp_path_factory):
    """Twelve noisy pictures of one colour a class: enough for every step to run."""
    rng = np.random.default_rng(0)
    wnids, _ = tiny_imagenet.class_names()
    y = np.repeat(np.arange(200, dtype=np.uint8), 12)
    x = (rng.integers(0, 256, (200, 1, 1, 3))[y] * 0.8 + rng.integers(0, 50, (len(y), 32, 32, 3))).astype(
        np.uint8
    )
    folder = tmp_path_factory.mktemp("thumbnails")
    np.savez(
        folder / "tiny_imagenet_32.npz",
        x_train=x,
        y_train=y,
        x_val=x[::6],
        y_val=y[::6],
        wnids=np.array(wnids),
    )
    return folder


def test_sizes_grow_during_the_run():
    recipe = vgg16.Recipe()
    means = [np.dot(*recipe.sizes(epoch)) for epoch in range(recipe.epochs)]
    assert means == sorted(means) and means[0] == 32 and means[-1] > 60
    for epoch in range(recipe.epochs):
        assert sum(recipe.sizes(epoch)[1]) == pytest.approx(1)


def test_batches_depend_on_the_seed_and_the_epoch_only():
    x = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    y = np.arange(40)
    first, again, other_epoch, other_seed = (
        next(vgg16.batches(vgg16.Recipe(batch=8, seed=seed), x, y)(epoch))
        for seed, epoch in ((0, 3), (0, 3), (0, 4), (1, 3))
    )
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other_epoch[1])
    assert not np.array_equal(first[1], other_seed[1])
    assert abs(first[0].mean()) < 1 and 0.5 < first[0].std() < 2  # near unit variance


def test_a_run_writes_weights_card_history_and_record(thumbnails, tmp_path, monkeypatch):
    monkeypatch.setattr(vgg16, "SIZES", (32,))
    recipe = vgg16.Recipe(epochs=1, batch=80, width=1 / 16)
    assert vgg16.Vgg16(recipe, thumbnails).run(tmp_path, say=lambda line: None)
    card = json.loads((tmp_path / "card.json").read_text())
    run = runs.load("vgg16_course", root=tmp_path / "runs")
    assert card["sha256"] == runs.fingerprint(tmp_path / "weights.npz")
    assert card["metrics"] == run.metrics and 0 <= run.metrics["val_top1"] <= run.metrics["val_top5"] <= 1
    assert run.baselines["majority_class_top1"] == pytest.approx(0.005)
    assert run.command.startswith("course train vgg16") and len(run.history["loss"]) == 1
    assert set(card["photographs"]) >= {"chelsea", "coffee", "rocket"}
    model = pretrained.load_vgg16(tmp_path / "weights.npz")
    assert model.output_shape == (None, 200)
    assert weight_files.read(tmp_path / "weights.npz")["block1_conv1_kernel"].shape == (3, 3, 3, 4)


def test_pooling_to_a_grid_is_a_mean():
    maps = np.random.default_rng(0).normal(size=(2, 5, 4, 3))
    pooled = probe.pool(maps).reshape(2, 2, 2, 3)
    np.testing.assert_allclose(pooled[1, 0, 1], maps[1, :2, 2:4].mean((0, 1)))


def test_the_probe_finds_what_is_linear_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = rng.normal(size=(300, 8)) + np.eye(8)[y] * 4
    assert probe.probe((x[:200], y[:200]), (x[200:], y[200:])) > 0.9
    noise = rng.normal(size=(300, 8))
    assert probe.probe((noise[:200], y[:200]), (noise[200:], y[200:])) < 0.55
