"""The all convolutional net: the paper's sizes, and the pieces of its recipe."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from course_utils import runs, runtime, training
from course_utils.datasets import augment, cifar10, whitening
from course_utils.features.maps import tap
from course_utils.networks import all_cnn, folding, pretrained, weight_files
from course_utils.training import all_cnn as recipe
from experiments import all_cnn_compare as compare


@pytest.fixture(scope="module", autouse=True)
def keras():
    runtime.start(0)


def test_striding_adds_parameters_to_model_c():
    """Two 3x3 convolutions, 96 -> 96 and 192 -> 192: what replaces the poolings is not free."""
    count = {name: all_cnn.build(name).count_params() for name in all_cnn.VARIANTS}
    added = (9 * 96 * 96 + 96) + (9 * 192 * 192 + 192)
    assert added == 83_040 + 331_968
    assert count["all"] - count["c"] == added
    assert count["strided"] == count["c"] and count["convpool"] == count["all"] == 1_369_738


@pytest.mark.parametrize(("padding", "places"), [("valid", 6), ("same", 8)])
@pytest.mark.parametrize("variant", list(all_cnn.VARIANTS))
def test_places_that_are_averaged(variant, padding, places):
    model = all_cnn.build(variant, padding=padding)
    assert model.get_layer("average_pool").input.shape[1:] == (places, places, 10)
    assert model.output_shape == (None, 10)


def test_any_input_size_and_unknown_variants():
    assert all_cnn.build("all", input_shape=(None, None, 3)).predict_on_batch(
        np.zeros((1, 64, 48, 3))
    ).shape == (1, 10)
    with pytest.raises(ValueError, match="there are c, strided"):
        all_cnn.build("vgg")


def test_shift_and_flip_moves_whole_pictures():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8, 9, 2)).astype(np.float32)
    out = recipe.shift_and_flip(x, np.random.default_rng(1), most=2)
    assert out.shape == x.shape
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    seen = set()
    for picture, wide in zip(out, padded, strict=True):
        views = {
            (i, j, flip): wide[i : i + 8, j : j + 9][:, :: -1 if flip else 1]
            for i in range(5)
            for j in range(5)
            for flip in (False, True)
        }
        fits = [key for key, view in views.items() if np.array_equal(view, picture)]
        assert len(fits) == 1
        seen.add(fits[0])
    assert {f for *_, f in seen} == {True, False} and len({i for i, *_ in seen}) == 5


def test_disturbed_pictures_keep_most_of_what_they_show():
    x = np.full((40, 32, 32, 3), 100, np.uint8)
    x[..., 1] = 180
    out = augment.disturbed(x, np.random.default_rng(0))
    again = augment.disturbed(x, np.random.default_rng(0))
    assert out.shape == x.shape and out.dtype == np.uint8
    np.testing.assert_array_equal(out, again)
    common = [np.unique(p.reshape(-1, 3), axis=0, return_counts=True)[1].max() / 1024 for p in out]
    assert 0.5 < np.mean(common) < 0.95  # the rest is a piece of another picture, and a rectangle
    grey = [(np.median(p.reshape(-1, 3), 0).max() - np.median(p.reshape(-1, 3), 0).min()) < 1 for p in out]
    assert 4 <= sum(grey) <= 24


def test_normalized_pictures_have_zero_mean():
    grey = np.tile(recipe.MEAN, (2, 4, 4, 1))
    np.testing.assert_allclose(recipe.normalize(grey), 0, atol=1e-5)


def test_batches_are_reproducible():
    x = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), np.uint8)
    y = np.arange(50) % 10
    one, two = (next(recipe.batches(recipe.Recipe(batch=16), x, y)(4)) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
    assert one[1].shape == (16, 10) and (one[1].sum(1) == 1).all()


def test_folded_batch_normalization_changes_nothing():
    rng = np.random.default_rng(0)
    trained = all_cnn.build("all", dropout=(0, 0), batch_norm=training.batch_normalization())
    for layer in trained.layers:
        if layer.name.endswith("_bn"):
            layer.set_weights([rng.uniform(0.5, 2, v.shape) for v in layer.get_weights()])
    plain = all_cnn.build("all", dropout=(0, 0))
    weight_files.put(plain, folding.folded(trained), "here")
    assert plain.count_params() == 1_369_738
    x = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    logits = [tap(m, ["average_pool"])(x)[0] for m in (trained, plain)]
    assert np.std(logits[1]) > 0.1
    np.testing.assert_allclose(logits[1], logits[0], rtol=1e-4, atol=1e-5)


# --- weights, records, short trainings ------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """CIFAR-10's files with 20 pictures each, of which 20 are held out: enough for every step to run."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures" / cifar10.FOLDER
    folder.mkdir(parents=True)
    for name in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE):
        records = rng.integers(0, 256, (20, cifar10.RECORD), np.uint8)
        records[:, 0] = np.arange(20) % 10
        (folder / name).write_bytes(records.tobytes())
    plain = cifar10.load
    monkeypatch.setattr(cifar10, "load", lambda place: plain(place, validation=20))
    return tmp_path / "pictures"


def test_a_run_writes_what_can_be_loaded(archive, tmp_path):
    small = recipe.Recipe(epochs=1, batch=20, rate=0.01, hold_out=True)
    card = recipe.AllCnn(small, archive).run(tmp_path / "run", say=lambda line: None)
    assert card and 0 <= card["metrics"]["validation_accuracy"] <= 1
    confusion = np.array(card["metrics"]["confusion"])
    assert confusion.sum() == 20 and (confusion.sum(1) == 2).all()
    assert np.trace(confusion) == round(20 * card["metrics"]["validation_accuracy"])
    assert (tmp_path / "run" / "state" / "best.npz").is_file()

    model = pretrained.load_all_cnn(tmp_path / "run" / "weights.npz")
    facts = pretrained.about(model)
    assert facts.class_names == cifar10.CLASS_NAMES and facts.input_size == 32
    x, y = cifar10.load(archive).validation
    said = [each[0].name for each in pretrained.classify(model, x, top=1)]
    right = np.mean([cifar10.CLASS_NAMES[k] == name for k, name in zip(y, said, strict=True)])
    assert right == pytest.approx(card["metrics"]["validation_accuracy"])


def test_measure_counts_rows_as_truth():
    class Always:
        def __call__(self, x, training):
            return np.eye(10)[np.full(len(x), 3)]

    y = np.array([3, 3, 5, 9])
    found = recipe.measure(Always(), np.zeros((4, 32, 32, 3), np.uint8), y)
    assert found["accuracy"] == 0.5
    assert found["class_accuracy"]["cat"] == 1 and found["class_accuracy"]["dog"] == 0
    confusion = np.array(found["confusion"])
    assert confusion[3, 3] == 2 and confusion[5, 3] == 1 and confusion[9, 3] == 1 and confusion.sum() == 4


def test_weights_of_any_place_and_none(tmp_path, monkeypatch):
    """From a file, random, shipped, missing, and of another network."""
    model = pretrained.load_all_cnn(None)
    path = weight_files.save(tmp_path / "weights" / "all_cnn.npz", weight_files.of(model), "float32")
    again = pretrained.load_all_cnn(path)
    photo = np.random.default_rng(0).uniform(0, 255, (40, 50, 3))
    one, two = (pretrained.classify(each, photo)[0] for each in (model, again))
    assert one == two and {guess.name for guess in one} <= set(cifar10.CLASS_NAMES)
    facts = pretrained.about(again)
    np.testing.assert_allclose(facts.deprocess(facts.preprocess(photo)), photo, atol=1e-3)
    np.testing.assert_allclose(facts.preprocess(photo), recipe.normalize(photo), atol=1e-6)

    monkeypatch.setattr(runtime, "shipped", lambda relative="": tmp_path / relative)
    assert pretrained.about(pretrained.load_all_cnn()).weights == "course"
    path.rename(tmp_path / "elsewhere.npz")
    with pytest.raises(FileNotFoundError, match="ships with the course"):
        pretrained.load_all_cnn()
    with pytest.raises(ValueError, match="another network than All-CNN-C"):
        pretrained.load_all_cnn(weight_files.save(tmp_path / "other.npz", {"fc1_kernel": np.zeros((2, 2))}))
    with pytest.raises(ValueError, match="conv9_kernel: expected"):
        many = all_cnn.build(classes=100)
        pretrained.load_all_cnn(weight_files.save(tmp_path / "hundred.npz", weight_files.of(many)))


def test_width_and_layers_without_relu():
    half = all_cnn.build(width=0.5)
    assert half.get_layer("conv4").filters == 96 and half.get_layer("conv9").filters == 10
    names = {layer.name for layer in all_cnn.build(linear=("conv3", "conv6")).layers}
    assert {"conv1_relu", "conv5_relu"} <= names and not {"conv3_relu", "conv6_relu"} & names


def test_a_study_goes_on_and_records_also_what_diverges(archive, tmp_path):
    few = {"width": 0.1, "pictures": 16, "epochs": 2, "batch": 8}
    trials = {"the program": dataclasses.replace(compare.PROGRAM, **few)}
    trials["too fast"] = dataclasses.replace(trials["the program"], rate=1e30)
    study, said = compare.Study(trials, 20, 2, "a test", classes=(3, 5), side=16, learned=True), []
    given = {"study": study, "root": tmp_path / "runs", "say": said.append}
    assert compare.run("all_cnn_faults", archive, tmp_path / "out", minutes=0, **given) is None
    run = compare.run("all_cnn_faults", archive, tmp_path / "out", **given)
    assert run.metrics["too fast"]["diverged"] == 2 and run.metrics["too fast"]["seeds"] == [0.5, 0.5]
    found = run.metrics["the program"]
    assert found["lowest"] <= found["accuracy"] <= found["highest"] and len(found["seeds"]) == 2
    assert run.history["the program"][-1] == pytest.approx(found["accuracy"], abs=1e-3)
    assert run.data["recipes"]["the program"]["look"] == "raw"
    assert run.baselines["majority_class"] == 0.5 and "train_accuracy" in found
    said.clear()
    compare.run("all_cnn_faults", archive, tmp_path / "out", **given)
    assert said == []  # nothing was left to train


def test_the_program_and_its_faults():
    """What the 2017 program does, by the layers and the optimizer that it really has."""
    model = recipe.build(compare.PROGRAM)
    names = [layer.name for layer in model.layers]
    assert "drop_image" not in names and not {"conv3_relu", "conv6_relu"} & set(names)
    assert model.get_layer("average_pool").input.shape[1:] == (8, 8, 10)
    text = model.optimizer
    assert (float(text.learning_rate), text.momentum, text.nesterov) == (pytest.approx(0.01), 0.0, False)
    assert not text.weight_decay
    mended = recipe.build(compare.FAULTS["all undone"])
    assert "conv3_relu" in [layer.name for layer in mended.layers]
    assert (float(mended.optimizer.learning_rate), mended.optimizer.nesterov) == (pytest.approx(0.1), True)
    for name, other in compare.FAULTS.items():
        differ = {f.name for f in dataclasses.fields(other)} - {
            f.name
            for f in dataclasses.fields(other)
            if getattr(other, f.name) == getattr(compare.PROGRAM, f.name)
        }
        assert (len(differ) == 0) == (name == "the program")


def test_the_papers_rate_falls_three_times():
    rate = recipe.stepped(0.05)
    at = [rate(epoch / 350) for epoch in (0, 199, 200, 249, 250, 299, 300, 349)]
    assert at == pytest.approx([5e-2, 5e-2, 5e-3, 5e-3, 5e-4, 5e-4, 5e-5, 5e-5])


@pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")
def test_edges_come_in_as_image_data_generator_had_them():
    """The class of old, which Keras still carries for old programs, moves by whole pixels as ours does."""
    old = pytest.importorskip("keras.src.legacy.preprocessing.image")
    generator = old.ImageDataGenerator(width_shift_range=0.1, height_shift_range=0.1)
    x = np.random.default_rng(0).uniform(0, 255, (12, 8, 9, 3)).astype(np.float32)
    ours = recipe.shift_and_flip(x, np.random.default_rng(3), most=3, flip=False, border="edge")
    down, right = np.random.default_rng(3).integers(0, 7, (2, 12, 1)) - 3
    for picture, moved, ty, tx in zip(x, ours, down[:, 0], right[:, 0], strict=True):
        np.testing.assert_allclose(generator.apply_transform(picture, {"tx": tx, "ty": ty}), moved, atol=1e-3)


def test_whitened_pictures_are_uncorrelated(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.normal(size=(400, 4, 4, 1)) @ np.ones((1, 3)) * 40 + rng.normal(size=(400, 4, 4, 3)) * 20
    pictures = np.clip(base + 128, 0, 255)
    found = whitening.fit(pictures)
    flat = found(pictures).reshape(400, -1)
    covariance = np.cov(flat.T)
    plain = np.cov(whitening.contrast_normalized(pictures).reshape(400, -1).T)
    off = ~np.eye(48, dtype=bool)
    assert np.abs(covariance[off]).max() < 0.3 * np.abs(plain[off]).max()
    np.testing.assert_allclose(flat.mean(0), 0, atol=1e-4)
    whitening.save(tmp_path / "whitening.npz", found)
    again = whitening.load(tmp_path / "whitening.npz")
    np.testing.assert_array_equal(again(pictures[:3]), found(pictures[:3]))
    with pytest.raises(ValueError, match="whitened for pictures of shape"):
        found(np.zeros((1, 5, 4, 3)))


def test_the_papers_recipe_leaves_what_its_weights_need(archive, tmp_path, monkeypatch):
    """Whitened pictures: the weights come with their whitening, and `about` uses it."""
    half = whitening.Whitening(np.full((32, 32, 3), 0.1, np.float32), 0.5 * np.eye(3072, dtype=np.float32))
    monkeypatch.setattr(whitening, "fit", lambda pictures: half)  # the real one takes half a minute
    small = recipe.Recipe.named("paper", epochs=1, width=0.1, hold_out=True, batch=20, pictures=60)
    small = dataclasses.replace(small, rate=0.01)
    card = recipe.AllCnn(small, archive).run(tmp_path / "run", say=lambda line: None)
    x, y = cifar10.load(archive).validation
    model = pretrained.load_all_cnn(tmp_path / "run" / "best.npz")
    prepared = pretrained.about(model).preprocess(x.astype(np.float32))
    np.testing.assert_allclose(prepared, whitening.load(tmp_path / "run" / "whitening.npz")(x), atol=1e-5)
    right = (np.asarray(model(prepared)).argmax(1) == y).mean()
    assert right == pytest.approx(card["metrics"]["validation_accuracy"])
    (tmp_path / "run" / "whitening.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"whitening\.npz"):
        pretrained.load_all_cnn(tmp_path / "run" / "best.npz")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_what_is_saved_for_keras_is_loaded_again(archive, tmp_path, suffix):
    small = recipe.Recipe.named("matelabs", epochs=1, pictures=20, batch=20, width=0.1)
    trainer = recipe.AllCnn(small, archive, save=tmp_path / f"mine{suffix}")
    card = trainer.run(tmp_path / "run", say=lambda line: None)
    assert "validation_accuracy" in card["metrics"]
    x = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    import keras

    saved = keras.saving.load_model(tmp_path / f"mine{suffix}", compile=False)
    best = pretrained.load_all_cnn(tmp_path / "run" / "best.npz")  # of one epoch, so the same
    np.testing.assert_allclose(saved(x), best(pretrained.about(best).preprocess(x)), atol=1e-2)
    assert saved.get_layer("conv9").filters == 10


def test_the_best_file_is_that_of_the_best_epoch(archive, tmp_path, monkeypatch):
    """Chosen on the pictures held out; a later, worse epoch does not replace it, also after a resume."""
    scores = iter([0.3, 0.6, 0.5, 0.4])
    monkeypatch.setattr(recipe, "accuracy", lambda *_: next(scores))
    small = recipe.Recipe(epochs=4, width=0.1, batch=20, pictures=20, rate=0.01, hold_out=True)
    kept = []

    def say(line):
        kept.append(weight_files.card(tmp_path / "run" / "best.npz")["val_accuracy"])

    recipe.AllCnn(small, archive).run(tmp_path / "run", minutes=0, say=say)
    for _ in range(3):
        recipe.AllCnn(small, archive).run(tmp_path / "run", minutes=0, resume=True, say=say)
    assert kept[0] == 0.3 and set(kept[-2:]) == {0.6}


# --- what ships -----------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not runtime.shipped("weights/all_cnn.npz").is_file(), reason="the weights are not in this checkout"
)
def test_what_ships_agrees_with_its_record():
    path = runtime.shipped("weights/all_cnn.npz")
    card, run = weight_files.card(path), runs.load("all_cnn")
    assert path.stat().st_size <= 3e6 and card["sha256"] == runs.fingerprint(path)
    for key in ("command", "seed", "device", "precision", "minutes", "metrics", "baselines"):
        assert card[key] == getattr(run, key)
    assert len(run.history["epoch"]) == card["recipe"]["epochs"]
    confusion = np.array(run.metrics["confusion"])
    assert (confusion.sum(1) == 1000).all()
    assert np.trace(confusion) / 10_000 == pytest.approx(run.metrics["test_accuracy"])
    assert run.metrics["test_accuracy"] > 8 * run.baselines["majority_class"]
    model = pretrained.load_all_cnn()
    assert model.count_params() == 1_369_738
    assert "Weights: All-CNN-C on CIFAR-10" in pretrained.one_line(model)
