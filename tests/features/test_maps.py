"""Feature maps are what the layers give; receptive fields are where the gradient is not zero."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils import runtime
from course_utils.features.layers import layer_name
from course_utils.features.maps import feature_maps, tap
from course_utils.features.receptive_field import ReceptiveField, patch, receptive_field
from course_utils.networks import gradients, pretrained, vgg16
from course_utils.pictures import images

FIVE = ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"]


@pytest.fixture(autouse=True)
def float32() -> None:
    runtime.start(seed=0)


@pytest.fixture(scope="module")
def model():
    runtime.start(seed=0)
    return vgg16.build(1 / 16, head="average", classes=4)


PHOTO = np.random.default_rng(0).uniform(0, 255, (70, 53, 3)).astype(np.float32)


# --- layers by name and by number -----------------------------------------------------------------------


def test_old_numbers() -> None:
    assert [layer_name(i) for i in (3, 8, 15, 22, 29)] == FIVE
    assert layer_name(np.int64(30)) == "block5_pool"
    assert layer_name("block2_pool") == "block2_pool"


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (2, "number 2 is a padding layer, the one before block1_conv2"),
        (28, "a padding layer, the one before block5_conv3"),
        (31, "number 31 is no layer.*29 block5_conv3"),
        (-1, "number -1 is no layer"),
        ("conv3_3", "no layer 'conv3_3'; there are block1_conv1, .*block5_pool"),
        (True, "no layer True"),
        (None, "no layer None"),
        (3.0, r"no layer 3\.0"),
    ],
)
def test_layers_that_do_not_exist(layer, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        layer_name(layer)


def test_a_models_own_layers(model) -> None:
    assert layer_name("predictions", model) == "predictions"
    short = vgg16.build(1 / 16, until="block2_conv1")
    with pytest.raises(ValueError, match=r"no layer 'block3_conv3'; there are image, .*block2_conv1$"):
        layer_name(15, short)


# --- maps -----------------------------------------------------------------------------------------------


def by_hand(model, image: np.ndarray) -> dict[str, np.ndarray]:
    """Every layer's output, layer after layer."""
    x, outputs = images.preprocess(image)[None], {}
    for layer in model.layers[1:]:
        x = layer(x)
        outputs[layer.name] = np.asarray(x)[0]
    return outputs


def test_maps_are_what_the_layers_give(model) -> None:
    expected = by_hand(model, PHOTO)
    maps = feature_maps(model, PHOTO, [29, "block1_pool", 3])
    assert list(maps) == ["block5_conv3", "block1_pool", "block1_conv2"]
    assert [each.shape for each in maps.values()] == [(4, 3, 32), (35, 26, 4), (70, 53, 4)]
    for name, each in maps.items():
        assert each.dtype == np.float32 and each.max() > 0
        np.testing.assert_allclose(each, expected[name], rtol=1e-5, atol=1e-4 * each.max())


def test_one_layer_and_a_size(model) -> None:
    maps = feature_maps(model, PHOTO, 8, size=(64, 48))
    expected = by_hand(model, images.resize(PHOTO, (64, 48)))["block2_conv2"]
    np.testing.assert_allclose(maps["block2_conv2"], expected, rtol=1e-5, atol=1e-4 * expected.max())
    assert feature_maps(model, PHOTO, "block2_conv2", size=32)["block2_conv2"].shape == (16, 16, 8)


def test_dense_layers_are_maps_of_one_pixel(model) -> None:
    maps = feature_maps(model, PHOTO, ["predictions", "average_pool"])
    assert maps["predictions"].shape == (1, 1, 4) and maps["average_pool"].shape == (1, 1, 32)
    assert maps["predictions"].sum() == pytest.approx(1, abs=1e-5)


def test_before_the_relu(model) -> None:
    sums = feature_maps(model, PHOTO, FIVE, before_relu=True)
    after = feature_maps(model, PHOTO, FIVE)
    for name in FIVE:
        assert sums[name].min() < 0
        np.testing.assert_allclose(np.maximum(sums[name], 0), after[name], rtol=1e-5, atol=1e-4)
    with pytest.raises(ValueError, match="block1_pool is no convolution"):
        tap(model, "block1_pool", before_relu=True)


def test_a_tap_always_gives_a_list_and_shares_the_weights() -> None:
    model = vgg16.build(1 / 16, until="block2_conv1")
    x = images.preprocess(PHOTO)[None]
    one, two = tap(model, 3), tap(model, ["block1_conv1", 6])
    assert [len(one(x)), len(two(x))] == [1, 2]
    assert isinstance(one(x), list) and one(x)[0].shape == (1, 70, 53, 4)
    model.get_layer("block1_conv1").kernel.assign(np.zeros((3, 3, 3, 4)))
    assert np.asarray(two(x)[0]).max() == 0


def test_preprocessing_of_the_models_own(model) -> None:
    twin = vgg16.build(1 / 16, head="average", classes=4)
    twin.set_weights(model.get_weights())
    pretrained.remember(twin, pretrained.About(preprocess=lambda image: images.preprocess(image) * 0))
    assert feature_maps(twin, PHOTO, 1)["block1_conv1"].max() == 0
    assert feature_maps(model, PHOTO, 1)["block1_conv1"].max() > 0


def test_pictures_that_do_not_fit(model) -> None:
    with pytest.raises(ValueError, match="20 x 12 is too small for block5_conv3: it needs 16 pixels"):
        feature_maps(model, np.zeros((20, 12, 3)), [3, 29])
    assert feature_maps(model, np.zeros((16, 17, 3)), 29)["block5_conv3"].shape == (1, 1, 32)
    with pytest.raises(ValueError, match=r"expected one picture .*found shape \(1, 70, 53, 3\)"):
        feature_maps(model, PHOTO[None], 3)
    with pytest.raises(ValueError, match="no layers"):
        feature_maps(model, PHOTO, [])
    fixed = vgg16.build(1 / 64, input_shape=(64, 64, 3), classes=2)
    with pytest.raises(ValueError, match="takes pictures of 64 x 64, this one has 70 x 53: give size=64"):
        feature_maps(fixed, PHOTO, 3)
    assert feature_maps(fixed, PHOTO, 3, size=64)["block1_conv2"].shape == (64, 64, 1)


# --- receptive fields -----------------------------------------------------------------------------------


def seen(model, layer: str, side: int, row: int, column: int) -> tuple[int, int, int, int]:
    """The box of input pixels with a non-zero gradient of one value, found without any formula.

    All weights are positive and nothing is cut off by a ReLU or lost in a maximum, so that every path counts.
    """
    for each in model.layers:
        if each.weights:
            each.kernel.assign(np.full(each.kernel.shape, 1 / np.prod(each.kernel.shape[:-1])))
            each.bias.assign(np.ones(each.bias.shape))
    part = tap(model, layer)
    fn = gradients.value_and_gradient(lambda x: part(x)[0][0, row, column, 0])
    gradient = np.asarray(fn(np.ones((1, side, side, 3), np.float32))[1])[0].max(axis=-1)
    rows, columns = np.flatnonzero(gradient.any(axis=1)), np.flatnonzero(gradient.any(axis=0))
    return columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1


def clipped(box: tuple[int, int, int, int], side: int) -> tuple[int, int, int, int]:
    x, y, w, h = box
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, side), min(y + h, side)
    return left, top, right - left, bottom - top


@pytest.mark.parametrize("layer", [*vgg16.LAYERS[:-1:3], "block1_pool", "block3_pool", *FIVE])
def test_the_field_is_where_the_gradient_is_not_zero(layer: str) -> None:
    """Whole fields in the middle, and fields that reach over the edges."""
    model = vgg16.build(1 / 64, until=layer, pooling="average")
    field = receptive_field(model, layer)
    side = max(field.size + 2 * field.stride, 32)
    cells = side // field.stride
    for row, column in [(cells // 2, cells // 2), (0, cells - 1)]:
        expected = clipped(field.box(row, column), side)
        assert seen(model, layer, side, row, column) == expected
    assert field == receptive_field(None, layer)


def test_the_fields_that_are_well_known() -> None:
    sizes = {1: 3, 3: 5, 6: 10, 8: 14, 15: 40, 22: 92, 29: 196, 30: 212}
    assert {i: receptive_field(None, i).size for i in sizes} == sizes
    strides = {3: 1, 4: 2, 9: 4, 29: 16, 30: 32}
    assert {i: receptive_field(None, i).stride for i in strides} == strides


def test_centre_and_box_agree() -> None:
    field = receptive_field(None, "block4_conv3")
    x, y, w, h = field.box(3, 5)
    row, column = field.centre(3, 5)
    assert (y + (h - 1) / 2, x + (w - 1) / 2) == (row, column)
    assert field.centre(4, 5)[0] - row == field.stride == 8


@pytest.mark.parametrize("seed", range(12))
def test_fields_of_any_chain(seed: int) -> None:
    """Random kernels, strides, paddings, dilations and sizes, odd ones too; fields that reach no edge."""
    from keras import Input, Model, layers

    rng = np.random.default_rng(seed)
    side = int(rng.integers(60, 90))
    x = inputs = Input((side, side, 3))
    for i in range(5):
        padding = str(rng.choice(["same", "valid"]))
        kind = rng.integers(0, 4)
        if kind == 0:
            x = layers.AveragePooling2D(int(rng.integers(2, 4)), strides=2, padding=padding)(x)
        elif kind == 1:
            x = layers.ZeroPadding2D(int(rng.integers(1, 3)))(x)
        elif kind == 2:
            x = layers.Conv2D(1, 3, dilation_rate=2, padding=padding)(x)
        else:
            size, step = int(rng.choice([1, 3, 4, 5])), int(rng.integers(1, 3))
            x = layers.Conv2D(1, size, strides=step, padding=padding, activation="relu")(x)
        x = layers.Dropout(0.5, name=f"step{i}")(x)
    chain = Model(inputs, x)
    field, cells = receptive_field(chain, "step4"), x.shape[1]
    for row, column in [(cells // 2, cells // 2), (cells // 2 - 1, cells // 2 + 1)]:
        box = field.box(row, column)
        assert box == clipped(box, side)
        assert seen(chain, "step4", side, row, column) == box


def test_a_dense_layer_sees_everything(model) -> None:
    with pytest.raises(ValueError, match="average_pool sees the whole picture"):
        receptive_field(model, "predictions")


def test_a_patch_is_what_a_value_has_seen() -> None:
    field = ReceptiveField(size=5, stride=2, offset=0.0)
    image = np.arange(9 * 8 * 3, dtype=np.float32).reshape(9, 8, 3)
    np.testing.assert_array_equal(patch(image, field, 2, 1), image[2:7, 0:5])
    corner = patch(image, field, 0, 0)
    assert corner.shape == (5, 5, 3) and (corner[:2] == 128).all() and (corner[:, :2] == 128).all()
    np.testing.assert_array_equal(corner[2:, 2:], image[:3, :3])
    assert patch(image, receptive_field(None, 29), 0, 0).shape == (196, 196, 3)
