"""Ascent on the input: it rises, it is the same alone and in company, it finds what is known beforehand."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from typer.testing import CliRunner

from course_utils import filters, runs, runtime
from course_utils.features.maps import tap
from course_utils.filters import ascent, moves, recipes
from course_utils.filters.targets import Target
from course_utils.networks import pretrained, vgg16
from course_utils.pictures import images

SIZE = 24


@pytest.fixture(autouse=True)
def float32() -> None:
    runtime.start(seed=0)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A narrow VGG-16 without training, with biases that are not zero."""
    runtime.start(seed=0)
    made = vgg16.build(1 / 16, include_top=False)
    rng = np.random.default_rng(0)
    for layer in made.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, rng.normal(0, 0.1, bias.shape)])
    return made


def gabor(frequency: float, angle: float, side: int = 11) -> np.ndarray:
    """A hand-made filter that answers to one wave: (side, side, 3, 1), mean 0."""
    y, x = np.mgrid[:side, :side] - side // 2
    along = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    wave = np.exp(-(x**2 + y**2) / (2 * (side / 4) ** 2)) * np.cos(2 * np.pi * frequency * along)
    return np.repeat((wave - wave.mean())[..., None, None], 3, axis=2) / 100


def one_layer(kernel: np.ndarray, bias: float = 0.0) -> keras.Model:
    picture = keras.Input((None, None, 3))
    layer = layers.Conv2D(kernel.shape[-1], kernel.shape[0], padding="same", activation="relu", name="only")
    made = keras.Model(picture, layer(picture))
    layer.set_weights([kernel, np.full(kernel.shape[-1], bias)])
    return pretrained.remember(made, pretrained.About())  # its input is VGG's


def activation(model: keras.Model, layer: str, picture: np.ndarray, index: int) -> float:
    """Mean activation, computed without the module under test."""
    part = keras.Model(model.input, model.get_layer(layer).output)
    return float(np.asarray(part(images.preprocess(picture)[None]))[0, ..., index].mean())


# --- the ascent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["blog", "clear"])
def test_activation_rises_and_is_what_the_network_says(model: keras.Model, recipe: str) -> None:
    found = filters.maximize(
        model, "block2_conv1", recipe=recipe, size=SIZE, steps=10, precision="float32", restarts=0
    )
    awake = found.alive
    assert awake.sum() >= 3
    assert (found.history[-1] >= found.history[0])[awake].all()
    assert (found.history[-1] > found.history[0] + 1e-3)[awake].mean() > 0.7
    for k in np.flatnonzero(awake)[:3]:
        expected = activation(model, "block2_conv1", found.images[k], int(found.filters[k]))
        assert found.activation[k] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_blog_recipe_against_a_loop_written_out(model: keras.Model) -> None:
    import tensorflow as tf

    start = 128 + 20 * (np.random.default_rng(1).random((1, SIZE, SIZE, 3)).astype(np.float32) - 0.5)
    part = keras.Model(model.input, model.get_layer("block2_conv2").output)
    index = int(np.asarray(part(images.preprocess(start))).mean((0, 1, 2)).argmax())
    x = tf.constant(images.preprocess(start))
    for _ in range(5):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_mean(part(x)[..., index])
        gradient = tape.gradient(loss, x)
        x = x + gradient / (tf.sqrt(tf.reduce_mean(tf.square(gradient))) + 1e-5)
    found = filters.maximize(model, "block2_conv2", [index], steps=5, start=start, precision="float32")
    np.testing.assert_allclose(images.preprocess(found.images), x, atol=0.2)


def test_alone_and_in_company_are_the_same(model: keras.Model) -> None:
    options = {"size": SIZE, "steps": 4, "precision": "float32"}
    company = filters.maximize(model, "block1_conv2", [0, 2, 1, 3, 2], batch=2, **options)
    alone = filters.maximize(model, "block1_conv2", [3], **options)
    np.testing.assert_allclose(company.images[3], alone.images[0], atol=1e-2)
    np.testing.assert_allclose(company.images[1], company.images[4], atol=1e-2)
    assert company.images.shape == (5, SIZE, SIZE, 3) and company.history.shape == (5, 5)


def test_one_filter_each_against_the_whole_convolution() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(4, 7, 9, 5)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 5, 6)).astype(np.float32)
    bias, picks = rng.normal(size=6).astype(np.float32), [5, 0, 3, 3]
    whole = np.asarray(keras.ops.conv(maps, kernel, 1, "same")) + bias
    own = filters.one_filter_each(maps, kernel[..., picks], bias[picks])
    for k, pick in enumerate(picks):
        np.testing.assert_allclose(np.asarray(own)[k], whole[k, ..., pick], atol=1e-4)


def test_a_mix_of_one_filter_is_that_filter(model: keras.Model) -> None:
    options = {"size": SIZE, "steps": 3, "precision": "float32"}
    start = 128 + np.random.default_rng(0).normal(0, 10, (1, SIZE, SIZE, 3)).astype(np.float32)
    mix = filters.together([[2]], 4)
    np.testing.assert_array_equal(mix, [[0, 0, 1, 0]])
    single = filters.maximize(model, "block1_conv1", [2], start=start, **options)
    mixed = filters.maximize(model, "block1_conv1", mix, start=start, **options)
    np.testing.assert_allclose(mixed.images, single.images, atol=1e-2)
    assert mixed.titles == ("mix",) and mixed.filters[0] == -1


def test_between_ends_at_its_filters_and_keeps_its_length() -> None:
    mixes = filters.between(1, 3, 5, 6)
    np.testing.assert_allclose(mixes[[0, -1]], np.eye(6)[[1, 3]], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(mixes, axis=1), 1, rtol=1e-5)


def test_a_class_score_rises() -> None:
    made = vgg16.build(1 / 32, head="average", classes=5)
    found = filters.maximize(made, "predictions", [1, 4], size=32, steps=6, step=5.0, precision="float32")
    assert (found.history[-1] > found.history[0]).all() and found.alive.all()


def test_weights_that_change_afterwards_count() -> None:
    made = one_layer(gabor(0.2, 0))
    before = filters.maximize(made, "only", size=SIZE, steps=3, precision="float32")
    made.get_layer("only").set_weights([gabor(0.2, 90), np.zeros(1)])
    after = filters.maximize(made, "only", size=SIZE, steps=3, precision="float32")
    assert np.abs(before.images - after.images).max() > 1


def test_bfloat16_climbs_as_high() -> None:
    made = vgg16.build(1 / 4, until="block3_conv1")
    options = {"size": 32, "steps": 10}
    exact = filters.maximize(made, "block3_conv1", range(32), precision="float32", **options)
    quick = filters.maximize(made, "block3_conv1", range(32), precision="mixed_bfloat16", **options)
    assert quick.activation.mean() == pytest.approx(exact.activation.mean(), rel=0.02)


# --- the recipe "clear" ----------------------------------------------------------------------------------


def test_jitter_and_turns_keep_size_and_come_back() -> None:
    batch = np.random.default_rng(0).uniform(0, 255, (2, 20, 30, 3)).astype(np.float32)
    rule = filters.Recipe("moved", jitter=6)
    moved, back = moves.moved(batch, rule, np.random.default_rng(3))
    assert moved.shape == batch.shape and np.abs(moved - batch).max() > 1
    np.testing.assert_array_equal(back(moved), batch)
    smooth = images.resize(batch, (20, 30)) * 0 + np.linspace(0, 100, 30)[None, None, :, None].astype(
        np.float32
    )
    rule = filters.Recipe("turned", turn=5.0)
    moved, back = moves.moved(smooth, rule, np.random.default_rng(3))
    assert moved.shape == smooth.shape
    np.testing.assert_allclose(back(moved)[:, 6:-6, 6:-6], smooth[:, 6:-6, 6:-6], atol=1.0)


def test_variation_against_finite_differences() -> None:
    rng = np.random.default_rng(0)
    picture = rng.uniform(0, 255, (1, 5, 6, 3))

    def total(values: np.ndarray) -> float:
        return sum(np.sqrt(np.diff(values, axis=axis) ** 2 + 4).sum() for axis in (1, 2))

    slope = moves.variation(picture)
    for _ in range(5):
        direction = rng.normal(size=picture.shape)
        rise = (total(picture + 1e-4 * direction) - total(picture - 1e-4 * direction)) / 2e-4
        assert (slope * direction).sum() == pytest.approx(rise, rel=1e-4)


def test_clear_pictures_are_pictures(model: keras.Model) -> None:
    found = filters.maximize(model, "block1_conv2", [0, 1], recipe="clear", size=(20, 28), steps=5)
    assert found.images.shape == (2, 20, 28, 3)
    assert found.images.min() >= 0 and found.images.max() <= 255
    np.testing.assert_array_equal(found.shown, found.images)


def test_the_middle_alone_is_climbed(model: keras.Model) -> None:
    options = {"size": 32, "steps": 8, "step": 4.0, "leak": 0.1, "precision": "float32"}
    middle = filters.maximize(model, "block2_conv2", middle=True, **options)
    whole = filters.maximize(model, "block2_conv2", **options)
    start = filters.maximize(model, "block2_conv2", **options | {"steps": 0})
    part = keras.Model(model.input, model.get_layer("block2_conv2").output)
    own = np.arange(len(middle))
    centre, usual = (
        np.asarray(part(images.preprocess(found.images)))[own, 8, 8, own] for found in (middle, whole)
    )
    np.testing.assert_allclose(middle.activation, centre, rtol=1e-3, atol=1e-4)
    assert centre.sum() > 1.1 * usual.sum()
    out_of_sight = np.abs(middle.images - start.images)[:, :5, :5]
    assert out_of_sight.max() < 1e-3 < np.abs(middle.images - start.images).max()


def test_octaves_share_the_work_and_end_at_full_size(model: keras.Model) -> None:
    rule = recipes.chosen("clear", {"steps": 23, "octaves": 3})
    plan = recipes.stages(rule, (224, 224))
    assert [size for size, _ in plan] == [(100, 100), (149, 149), (224, 224)]
    assert [steps for _, steps in plan] == [14, 6, 3]
    found = filters.maximize(model, "block2_conv1", [0], recipe="clear", size=48, steps=8, octaves=3)
    assert found.images.shape == (1, 48, 48, 3) and found.history.shape == (9, 1)
    with pytest.raises(ValueError, match="no place to look at"):
        filters.maximize(model, "block4_conv1", [0], size=16, octaves=3)


def test_diverse_pictures_differ_more(model: keras.Model) -> None:
    strongest = int(filters.maximize(model, "block2_conv2", size=32, steps=0).activation.argmax())

    def likeness(diverse: float) -> float:
        options = {"steps": 20, "step": 6.0, "diverse": diverse, "precision": "float32"}
        start = np.random.default_rng(0).uniform(100, 156, (4, 32, 32, 3)).astype(np.float32)
        found = filters.maximize(model, "block2_conv2", [strongest] * 4, start=start, **options)
        part = keras.Model(model.input, model.get_layer("block2_conv1").output)
        maps = np.asarray(part(images.preprocess(found.images))).reshape(4, -1, 8)
        grams = np.einsum("npc,npd->ncd", maps, maps).reshape(4, -1)
        grams /= np.linalg.norm(grams, axis=1, keepdims=True)
        return float((grams @ grams.T).mean())

    assert likeness(10.0) < likeness(0.0) - 0.1


# --- silent filters --------------------------------------------------------------------------------------


def test_a_dead_filter_is_marked_and_a_sleeping_one_woken() -> None:
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 1, (3, 3, 3, 3)) - 0.0
    kernel -= kernel.mean((0, 1, 2))
    made = one_layer(kernel)
    made.get_layer("only").set_weights([kernel, np.array([0.0, -150.0, -1e6])])
    found = filters.maximize(made, "only", size=SIZE, precision="float32")
    assert found.alive.tolist() == [True, True, False]
    assert found.restarts[0] == 0 and found.restarts[1] >= 1 and found.restarts[2] == 3
    assert "1 silent" in found.note and found.best(2).filters.tolist() != [2]
    once = filters.maximize(made, "only", size=SIZE, restarts=0, precision="float32")
    assert once.alive.tolist() == [True, False, False]
    leaky = filters.maximize(made, "only", size=SIZE, restarts=0, leak=0.1, step=5.0, precision="float32")
    assert leaky.alive.tolist() == [True, True, False]


def test_a_filter_without_slope_or_with_its_border_only_shows_noise() -> None:
    kernel = np.zeros((3, 3, 3, 2))
    kernel[..., 1] = -1.0  # positive nowhere but where the padding is
    made = one_layer(kernel)
    made.get_layer("only").set_weights([kernel, np.array([1.0, 0.0])])
    start = np.full((2, SIZE, SIZE, 3), 250.0)
    found = filters.maximize(made, "only", [0, 1], start=start, steps=2, restarts=0, precision="float32")
    assert found.activation[0] > 0 and found.alive.tolist() == [False, False]


def test_plain_and_clipped_pictures_are_marked() -> None:
    rng = np.random.default_rng(0)
    loud = rng.choice([0.0, 255.0], (9, 9, 3))
    pictures = np.stack([np.full((9, 9, 3), 90.0), loud, rng.uniform(50, 200, (9, 9, 3)), loud])
    rows = np.ones((4, 1))
    alive = np.array([True, True, True, False])
    found = filters.Optima(
        "only", np.arange(4), tuple("abcd"), pictures, rows[:, 0], rows.T, alive, alive, filters.Recipe("x")
    )
    assert found.marks == ("plain", "clipped", "", "silent")


def test_silent_filters_are_hatched_on_the_sheet() -> None:
    tiles = np.full((2, 20, 20, 3), 90.0)
    page = filters.sheet(tiles, marks=["", "silent"], labels=["a", "b"])
    left, right = page[5:25, 5:25], page[5:25, 30:50]
    assert (left == 90).all() and (right > 90).mean() > 0.5
    assert page.shape == (5 + 20 + 13 + 5, 5 + 2 * 25, 3)


# --- measures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frequency", "angle"), [(0.2, 30.0), (0.15, 90.0), (0.25, 135.0)])
def test_a_hand_made_filter_wants_its_own_wave(frequency: float, angle: float) -> None:
    kernel = gabor(frequency, angle)
    found = filters.maximize(one_layer(kernel), "only", size=48, steps=60, step=2.0, precision="float32")
    for wave in (filters.spectrum_peak(found.images[0]), filters.spectrum_peak(kernel[..., 0], plain=True)):
        assert wave.frequency == pytest.approx(frequency, abs=0.03)
        assert filters.angle_between(wave.angle, angle) < 8


def test_spectrum_of_a_known_wave_and_of_a_plain_kernel() -> None:
    y, x = np.mgrid[:64, :64]
    wave = filters.spectrum_peak(np.cos(2 * np.pi * (0.1 * x + 0.2 * y)))
    assert wave.frequency == pytest.approx(np.hypot(0.1, 0.2), abs=0.02)
    assert wave.angle == pytest.approx(np.degrees(np.arctan2(0.2, 0.1)), abs=3)
    assert wave.share > 0.9
    assert filters.spectrum_peak(np.ones((3, 3, 3)), plain=True).frequency == 0
    assert filters.angle_between(2, 179) == pytest.approx(3)


def test_regions_find_a_planted_patch() -> None:
    kernel = gabor(0.25, 0)
    x = np.arange(11) - 5
    photo = np.full((60, 80, 3), 128.0, np.float32)
    photo[20:31, 50:61] += 60 * np.cos(2 * np.pi * 0.25 * x)[:, None]
    (found,) = filters.regions(one_layer(kernel), "only", [0], [np.full_like(photo, 128.0), photo], count=2)
    assert found[0].photo == 1 and found[0].picture.shape == (11, 11, 3)
    assert abs(found[0].box[0] - 50) <= 4 and abs(found[0].box[1] - 20) <= 4
    assert found[0].activation >= found[-1].activation


def test_a_filter_prefers_its_optimum_to_photographs_of_nothing(model: keras.Model) -> None:
    found = filters.maximize(model, "block2_conv1", range(4), recipe="clear", size=SIZE)
    grey = np.full((40, 40, 3), 128, np.float32)
    facts = filters.selectivity(model, found, [grey])
    assert facts.ratio.shape == facts.rank.shape == (4,)
    assert (facts.on_optimum[found.alive] > 0).all()


def test_matched_networks_have_the_same_mean_and_spread(model: keras.Model) -> None:
    blank = vgg16.build(1 / 16, until="block2_conv1")
    photographs = [images.sample("coffee"), images.sample("chelsea")]
    filters.matched(blank, model, photographs)
    x = images.preprocess(np.stack([images.resize(photo, 96) for photo in photographs]))
    for name in ("block1_conv2", "block2_conv1"):
        own, goal = (np.asarray(tap(network, name, before_relu=True)(x)[0]) for network in (blank, model))
        np.testing.assert_allclose(own.mean((0, 1, 2)), goal.mean((0, 1, 2)), rtol=1e-2, atol=1e-2)
        np.testing.assert_allclose(own.std((0, 1, 2)), goal.std((0, 1, 2)), rtol=1e-2)


def test_the_atlas_is_addressed_by_layer_and_filter() -> None:
    tiles, indices = filters.from_atlas("block5_conv3")
    assert tiles.shape == (32, 72, 72, 3) and indices[0] == 0 and indices[-1] == 511
    assert all(tile.std() > 5 and (tile < 250).mean() > 0.5 for tile in tiles)  # no white margin, no hatching
    figures = runs.load("filters_atlas").figures
    places = json.loads(figures["tiles"].read_text())
    assert len(places) == 416 and figures["poster"].stat().st_size < 1.5e6
    with pytest.raises(ValueError, match="it has block1_conv1"):
        filters.from_atlas("conv1")


def test_effective_field_lies_inside_the_receptive_field(model: keras.Model) -> None:
    field = filters.effective_field(model, "block2_conv1", size=20)
    assert field.sum() == pytest.approx(1, rel=1e-4)
    rows = np.flatnonzero(field.sum(1) > 0)
    assert rows[-1] - rows[0] + 1 <= 10  # the receptive field of block2_conv1
    assert filters.width_of(field, 0.9) <= filters.width_of(field, 1.0 - 1e-6) <= 20


def test_kernels_are_drawn_in_rgb() -> None:
    kernel = np.zeros((3, 3, 3, 1))
    kernel[1, 1, 0] = 1.0  # blue comes first in the network's input
    drawn = filters.kernels(one_layer(kernel), "only")[0]
    assert drawn[1, 1].tolist() == [127.5, 127.5, 255.0] and (drawn[0] == 127.5).all()


def test_dream_keeps_size_and_raises_the_energy(model: keras.Model) -> None:
    photo = images.fit(images.sample("coffee"), 48)
    dreamt = filters.dream(model, photo, "block2_conv1", steps=4, octaves=2)
    assert dreamt.shape == photo.shape and dreamt.min() >= 0 and dreamt.max() <= 255
    part = keras.Model(model.input, model.get_layer("block2_conv1").output)

    def energy(picture: np.ndarray) -> float:
        return float(np.mean(np.square(part(images.preprocess(picture)[None]))))

    assert energy(dreamt) > 1.2 * energy(photo)


# --- bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "chosen", "options", "words"),
    [
        ("block1_pool", [0], {}, "has no filters of its own"),
        ("block9_conv1", [0], {}, "there is no layer"),
        ("block1_conv1", [4], {}, "0 to 3; there is no filter 4"),
        ("block1_conv1", [-1], {}, "there is no filter -1"),
        ("block1_conv1", [], {}, "give indices"),
        ("block1_conv1", [0.5], {}, "give indices"),
        ("block1_conv1", np.ones((1, 7)), {}, r"\(N, 4\)"),
        ("block5_conv1", [0], {"size": 12}, "no place to look at: 16"),
        ("block1_conv1", [0], {"recipe": "best"}, "blog, clear"),
        ("block1_conv1", [0], {"stepp": 3}, "no entry 'stepp'"),
        ("block1_conv1", [0], {"leak": 3.0}, "no ascent"),
        ("block1_conv1", [0], {"start": np.zeros((2, 9, 9, 3))}, r"expected \(1, height"),
    ],
)
def test_bad_input_is_refused(model: keras.Model, layer, chosen, options, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=words):
        filters.maximize(model, layer, chosen, **{"size": SIZE, **options})


def test_a_picture_smaller_than_the_receptive_field_is_said(model: keras.Model) -> None:
    with pytest.warns(UserWarning, match="looks at 40 x 40 pixels"):
        filters.maximize(model, "block3_conv3", [0], size=24, steps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filters.maximize(model, "block3_conv3", [0], size=40, steps=1)


def test_gradients_that_are_not_finite_are_said() -> None:
    made = one_layer(np.full((3, 3, 3, 1), np.nan))
    with pytest.raises(ValueError, match="not finite"):
        filters.maximize(made, "only", [0], size=SIZE)


def test_a_batch_that_does_not_fit_is_split(model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    class Short:
        available = 4_000_000

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Short)
    target = Target.of(model, "block1_conv2")
    assert ascent.affordable(target, (512, 512)) == 1
    assert 1 < ascent.affordable(target, (48, 48)) < 16
    assert [len(part) for part in ascent._batches(5, 2, False)] == [2, 2, 2]


# --- the command -----------------------------------------------------------------------------------------


def test_the_command_writes_a_sheet(tmp_path: Path) -> None:
    from course_utils import cli

    out = tmp_path / "sheet.png"
    options = ["--size", "24", "--steps", "2", "--filters", "0,3,5", "--out", str(out)]
    done = CliRunner().invoke(cli.build(), ["filters", "block1_conv2", *options], catch_exceptions=False)
    assert done.exit_code == 0 and "3 filters of block1_conv2" in done.output
    assert images.read(out).shape[1] == 5 + 3 * 29
    wrong = CliRunner().invoke(cli.build(), ["filters", "block1_conv2", "--filters", "one"])
    assert isinstance(wrong.exception, ValueError)
