"""Other people's networks: tapped, maximized and measured like the course's, or told why not."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from course_utils import filters, runtime
from course_utils.features.maps import feature_maps, tap
from course_utils.features.receptive_field import receptive_field, receptive_fields
from course_utils.networks import gradients, graphs, pretrained, vgg16
from course_utils.networks.pretrained import About

IMAGE = np.random.default_rng(0).uniform(0, 255, (64, 64, 3)).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def keras() -> Any:
    runtime.start(0)
    return runtime.load_keras()


@pytest.fixture
def plain(keras: Any) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((64, 64, 3)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="first"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(5, 3, name="second"),
        ]
    )
    return pretrained.remember(model, About(preprocess=lambda x: np.asarray(x) / 255))


@pytest.fixture
def nested(keras: Any) -> Any:
    trunk = vgg16.build(1 / 16, include_top=False, until="block2_conv2")
    last = keras.layers.Conv2D(5, 3, name="last")
    inner = keras.Sequential([keras.Input((64, 64, 3)), trunk, last], name="inner")
    return keras.Sequential([keras.Input((64, 64, 3)), inner, keras.layers.ReLU(name="end")])


def test_a_sequential_plain_and_loaded_again(plain: Any, keras: Any, tmp_path: Path) -> None:
    plain.save(tmp_path / "own.keras")
    again = pretrained.remember(keras.models.load_model(tmp_path / "own.keras"), pretrained.about(plain))
    whole = gradients.forward(plain, IMAGE[None] / 255)[0]
    for model in (plain, again):
        maps = feature_maps(model, IMAGE, ["first", "second"])
        assert {name: each.shape for name, each in maps.items()} == {
            "first": (64, 64, 4),
            "second": (30, 30, 5),
        }
        np.testing.assert_allclose(maps["second"], whole, atol=1e-5)
        found = filters.maximize(model, "second", [0, 3], size=24, recipe="blog", steps=2)
        assert found.images.shape == (2, 24, 24, 3)
        assert receptive_field(model, "second").size == 3 + 1 + 2 * 2


def test_a_network_in_a_network(nested: Any) -> None:
    x = pretrained.about(nested).preprocess(IMAGE)[None]
    trunk = nested.layers[0].layers[0]
    for name in ("block1_conv2", "block2_conv2"):
        np.testing.assert_allclose(
            feature_maps(nested, IMAGE, name)[name],
            gradients.forward(tap(trunk, name), x)[0][0],
            atol=1e-4,
        )
    np.testing.assert_allclose(
        feature_maps(nested, IMAGE, "end")["end"], gradients.forward(nested, x)[0], atol=1e-4
    )
    assert receptive_field(nested, "last").size == receptive_field(None, "block2_conv2").size + 4
    assert filters.maximize(nested, "block2_conv1", [1], size=24, recipe="blog", steps=1).alive.shape == (1,)
    negative = feature_maps(nested, IMAGE, "block1_conv1", before_relu=True)["block1_conv1"]
    assert negative.min() < 0


def seen_by(model: Any, name: str, side: int) -> int:
    """The side of the square of pixels that move the middle value of a layer, measured."""
    part = tap(model, name)
    row = graphs.of(model).steps[name].output.shape[1] // 2

    def value(x: Any) -> Any:
        return part(x, training=False)[0][0, row, row]

    x = np.random.default_rng(1).normal(size=(1, side, side, 3)).astype(np.float32)
    _, gradient = gradients.value_and_gradient(value, compile=False)(x)
    places = np.flatnonzero(np.abs(np.asarray(gradient)[0]).sum((1, 2)))
    return int(places[-1] - places[0] + 1)


def branched(keras: Any, side: int) -> Any:
    """Two ways of unlike reach that meet twice, as in a residual network."""
    layers = keras.layers
    x = first = keras.Input((side, side, 3))
    for i, (kernel, stride) in enumerate([(3, 1), (5, 2)]):
        way = layers.Conv2D(4, kernel, stride, padding="same", name=f"long{i}")(x)
        way = layers.DepthwiseConv2D(3, padding="same", name=f"deep{i}")(way)
        short = layers.Conv2D(4, 1, stride, padding="same", name=f"short{i}")(x)
        x = layers.Add(name=f"add{i}")([way, short])
    return keras.Model(first, x + layers.Conv2D(4, (1, 7), padding="same", name="flat")(x))


def test_where_branches_meet_the_largest_field_counts(keras: Any) -> None:
    model = branched(keras, 63)
    for name in ("short0", "add0", "short1", "long1", "add1", "flat"):
        field = receptive_field(model, name)
        if name != "flat":
            assert field.size == seen_by(model, name, 63), name
    assert receptive_field(model, "add0").size == 5 and receptive_field(model, "short1").size == 5
    assert receptive_field(model, "flat").size == receptive_field(model, "add1").size + 6 * 2


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("MobileNetV2", "block_2_add", 19),
        ("ResNet50", "conv2_block1_add", 19),
        ("ResNet50", "conv3_block1_add", 51),
    ],
)
def test_networks_of_keras_applications(keras: Any, name: str, layer: str, size: int) -> None:
    """Sizes by hand: 3 + 2*2 + 2*2 + 2*4; and 7 + 2*2 (the pool) + 3 times 2*4 + 2*8."""
    build = getattr(keras.applications, name)
    model = build(weights=None, include_top=False, input_shape=(64, 64, 3))
    assert receptive_field(model, layer).size == size
    with pytest.warns(UserWarning, match="RGB 0..255 as it is"):
        maps = feature_maps(model, IMAGE, layer)[layer]
    assert maps.ndim == 3 and np.isfinite(maps).all()


def test_what_is_scaled_by_a_mean_over_all_sees_everything(keras: Any) -> None:
    model = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(64, 64, 3))
    assert receptive_field(model, "block1a_dwconv").size == 3 + 2 * 2
    with pytest.raises(ValueError, match=r"block1a_project_conv.*block1a_se_squeeze sees the whole picture"):
        receptive_field(model, "block1a_project_conv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert feature_maps(model, IMAGE, "block2a_expand_conv")["block2a_expand_conv"].shape[2] == 96
        found = filters.maximize(model, "block2a_expand_conv", [0], size=64, recipe="blog", steps=1)
    assert found.images.shape == (1, 64, 64, 3)


def test_what_can_not_be_looked_into_is_told(keras: Any) -> None:
    layers = keras.layers
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    two = keras.Model([left, right], layers.Add(name="sum")([left, right]))

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv = layers.Conv2D(3, 3, name="conv")

        def call(self, x: Any) -> Any:
            return self.conv(x)

    own = Own()
    own(IMAGE[None])
    unbuilt = keras.Sequential([layers.Conv2D(3, 3, name="conv")])
    inside = keras.Sequential([keras.Input((64, 64, 3)), Own()])
    for model, words in (
        (two, "takes 2 inputs .left, right."),
        (own, "subclassed model .Own."),
        (inside, "subclassed model .Own."),
        (unbuilt, r"begin it with keras.Input"),
    ):
        for ask in (
            lambda: feature_maps(model, IMAGE, "conv"),  # noqa: B023
            lambda: receptive_fields(model),  # noqa: B023
            lambda: filters.maximize(model, "conv", [0], steps=1),  # noqa: B023
        ):
            with pytest.raises(ValueError, match=words):
                ask()
    with pytest.raises(ValueError, match="there is no layer 'nowhere'; there are"):
        feature_maps(keras.Sequential([keras.Input((8, 8, 3)), layers.ReLU()]), IMAGE, "nowhere")
    plain = vgg16.build(1 / 64, include_top=False)
    assert graphs.of(plain).names == [layer.name for layer in plain.layers]


# --- what is known of a model that comes back from a file -----------------------------------------------


@pytest.mark.parametrize("load", [lambda: pretrained.load_vgg16("course"), pretrained.load_all_cnn])
def test_a_saved_network_of_the_course_is_recognized(load: Any, keras: Any, tmp_path: Path) -> None:
    model = load()
    model.save(tmp_path / "saved.keras")
    again = keras.models.load_model(tmp_path / "saved.keras")
    facts, found = pretrained.about(model), pretrained.about(again)
    assert found.class_names == facts.class_names and found.wnids == facts.wnids and found.class_names
    assert (found.name, found.weights, found.input_size) == (facts.name, facts.weights, facts.input_size)
    np.testing.assert_array_equal(found.preprocess(IMAGE), facts.preprocess(IMAGE))
    assert pretrained.classify(again, IMAGE)[0][0].name == pretrained.classify(model, IMAGE)[0][0].name


def test_of_a_foreign_network_nothing_is_assumed(keras: Any) -> None:
    layers = keras.layers
    foreign = keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(4)])
    facts = pretrained.about(foreign)
    assert facts.weights == "unknown" and facts.class_names == () and facts.input_size == 32
    with pytest.warns(UserWarning, match="pretrained.remember"):
        np.testing.assert_array_equal(facts.preprocess(IMAGE), IMAGE)
    with pytest.raises(ValueError, match=r"not known here. Say it: pretrained.remember"):
        pretrained.classify(foreign, IMAGE)
    said = About(preprocess=lambda x: np.asarray(x) / 255, class_names=("a", "b", "c", "d"), input_size=32)
    assert pretrained.classify(pretrained.remember(foreign, said), IMAGE)[0][0].name in "abcd"
