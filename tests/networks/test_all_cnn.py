"""The all convolutional net: the paper's sizes, and the pieces of its recipe."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import runs, runtime, training
from course_utils.datasets import cifar10
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


def test_trials_are_recorded_also_those_that_break_off(archive, tmp_path):
    budget = compare.Budget(pictures=64, epochs=2, batch=16, judged=20, width=0.1)
    trials = {name: compare.BUGS[name] for name in (compare.AS_IT_SHOULD_BE, "input (3, 32, 32)")}
    trials["diverges"] = compare.Trial({"padding": "same"}, rate=1e30)
    run = compare.compare(
        "all_cnn_bugs", trials, archive, budget=budget, root=tmp_path, say=lambda line: None
    )
    assert run.metrics["diverges"]["ended"].startswith("epoch 1: ")
    assert run.metrics["diverges"]["accuracy"] == 0.1
    assert run.metrics["chosen on the test set"].keys() == {"reported", "true"}
    assert all(len(run.history[name]) == 2 for name in trials)
    assert run.metrics["input (3, 32, 32)"]["ended"] == ""
    assert run.data["name"].endswith("judged on 20 test pictures")


def test_a_choice_is_made_on_validation_pictures(archive, tmp_path, monkeypatch):
    asked = []

    def run(trial, budget, train, judged, say):
        asked.append(judged[0])
        return {"parameters": 1, "ended": "", "answers": [judged[1]], "loss": [1.0], "seconds": 0.0}

    monkeypatch.setattr(compare, "run", run)
    budget = compare.Budget(pictures=8, epochs=1, judged=5, part=compare.CHOICE.part)
    compare.compare("all_cnn_variants", {"one": compare.Trial()}, archive, budget=budget, root=tmp_path)
    pictures = compare.cifar10.load(archive)
    np.testing.assert_array_equal(asked[0], pictures.validation[0][:5])
    assert not np.array_equal(asked[0], pictures.test[0][:5])


def test_the_six_bugs_change_what_they_say():
    x = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    turned = compare.prepare(compare.BUGS["input (3, 32, 32)"], x)
    np.testing.assert_array_equal(turned[:, 1], recipe.normalize(x)[..., 1])
    np.testing.assert_array_equal(compare.prepare(compare.BUGS["pictures not scaled"], x), x)
    budget = compare.Budget(width=0.1)
    plain, bare = (
        compare.build(compare.BUGS[n], budget) for n in (compare.AS_IT_SHOULD_BE, "no weight decay")
    )
    assert plain.optimizer.weight_decay == 1e-3 and not bare.optimizer.weight_decay
    text = compare.build(compare.BUGS["the optimizer as a string"], budget).optimizer
    assert (float(text.learning_rate), text.momentum, text.nesterov) == (pytest.approx(0.01), 0.0, False)


def test_choosing_on_what_judges_flatters():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 2000)
    right = rng.random((8, 2000)) < 0.6  # all epochs equally good
    answers = np.where(right, labels, (labels + 1) % 10)
    found = compare.flattery(answers, labels, part=100)
    assert found["reported"] > 0.63 and found["true"] == pytest.approx(0.6, abs=0.02)


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
