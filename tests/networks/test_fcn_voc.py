"""The paper's own FCN: equal to plain NumPy on the same numbers, pixel by pixel, at any size."""

from __future__ import annotations

from pathlib import Path

import caffe_files
import numpy as np
import plain_nets as plain
import pytest
from voc_nets import STEPS, weights

from course_utils import runtime
from course_utils.networks import caffe, fcn_voc, gradients, pretrained


@pytest.fixture(autouse=True)
def started() -> None:
    runtime.start(seed=0)


def plain_answer(values: dict[str, list[np.ndarray]], x: np.ndarray, variant: str) -> np.ndarray:
    """Logits (classes, H, W) of x (3, H, W)."""
    maps = plain.vgg16_maps(values, x, pad=100)
    y = plain.relu(plain.convolve(maps["pool5"], *values["fc6"]))
    y = plain.relu(plain.convolve(y, *values["fc7"]))
    y = plain.convolve(y, *values["score_fr"])
    steps, (last, stride, offset) = STEPS[variant]
    for name, skip, crop in steps:
        y = plain.spread(y, values[name][0], 2)
        y = y + plain.crop(plain.convolve(maps[skip], *values[f"score_{skip}"]), y, crop)
    return plain.crop(plain.spread(y, values[last][0], stride), x, offset)


@pytest.mark.parametrize("variant", ["32s", "16s", "8s"])
def test_equal_to_plain_numpy_at_any_size(tmp_path: Path, variant: fcn_voc.fcn.Variant) -> None:
    values = weights(variant, classes=4)
    model = fcn_voc.load_fcn(caffe_files.write(tmp_path / f"fcn{variant}.caffemodel", values))
    for height, width in ((33, 47), (32, 32), (50, 21), (64, 95), (1, 1))[: 5 if variant == "8s" else 2]:
        image = np.random.default_rng(height).uniform(0, 255, (height, width, 3)).astype(np.float32)
        x = image[..., ::-1] - [104.00698793, 116.66876762, 122.67891434]
        expected = plain_answer(values, x.transpose(2, 0, 1), variant).transpose(1, 2, 0)
        found = gradients.forward(model, pretrained.about(model).preprocess(image)[None])[0]
        assert found.shape == (height, width, 4)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("variant", ["32s", "16s", "8s"])
def test_a_value_lies_in_the_middle_of_what_it_saw(variant: fcn_voc.fcn.Variant) -> None:
    """Cell 6 of pool5 sees rows 93 to 124 of the picture; enlarged, its answer is centred on them."""
    model = fcn_voc.build(2, variant, width=1 / 64, dense=(2, 2))
    for layer in model.layers:
        if layer.name.startswith(("conv", "fc", "score_")) and layer.weights:
            kernel = np.zeros(layer.kernel.shape, np.float32)
            middle = kernel.shape[0] // 2
            kernel[middle, middle, 0] = "score_pool" not in layer.name  # passes the first map on
            layer.set_weights([kernel, np.zeros(kernel.shape[-1], np.float32)])
    x = np.zeros((1, 224, 224, 3), np.float32)
    x[:, 93:125, 61:93] = 1
    seen = np.asarray(model(x))[0, ..., 0]
    rows, columns = (np.average(np.arange(224), weights=seen.sum(axis)) for axis in (1, 0))
    assert (rows, columns) == (pytest.approx(108.5, abs=0.01), pytest.approx(76.5, abs=0.01))


def test_the_papers_form() -> None:
    model = fcn_voc.build(initializer="zeros")
    shapes = {
        layer.name: tuple(layer.kernel.shape)
        for layer in model.layers
        if getattr(layer, "kernel", None) is not None
    }
    assert shapes["fc6"] == (7, 7, 512, 4096) and shapes["fc7"] == (1, 1, 4096, 4096)
    assert shapes["score_fr"] == (1, 1, 4096, 21) and shapes["upscore8"] == (16, 16, 21, 21)
    assert model.count_params() == 14_714_688 + 102_764_544 + 16_781_312 + 86_037 + 10_773 + 5_397 + 127_008
    with pytest.raises(ValueError, match="32s, 16s, 8s"):
        fcn_voc.build(variant="4s")


def test_nets_trained_at_once_scale_their_skips(tmp_path: Path) -> None:
    values = weights()
    scaled = {
        f"scale_{pool}": [np.full(values[f"score_{pool}"][0].shape[1], 0.01, np.float32)]
        for pool in ("pool4", "pool3")
    }
    model = fcn_voc.load_fcn(caffe_files.write(tmp_path / "atonce.caffemodel", values | scaled))
    for pool in ("pool4", "pool3"):
        expected = 0.01 * values[f"score_{pool}"][0].transpose(2, 3, 1, 0)
        np.testing.assert_allclose(model.get_layer(f"score_{pool}").get_weights()[0], expected, rtol=1e-6)


def test_what_is_no_fcn(tmp_path: Path) -> None:
    good = weights()

    def file(name: str, changed: dict[str, list[np.ndarray]]) -> Path:
        return caffe_files.write(tmp_path / f"{name}.caffemodel", changed)

    def without(name: str) -> dict[str, list[np.ndarray]]:
        return {key: value for key, value in good.items() if key != name}

    vgg = {name: arrays for name, arrays in good.items() if name.startswith("conv")}
    swapped = good | {"conv4_2": good["conv4_1"]}
    flat = good | {"fc7": [np.zeros((4, 5), np.float32)]}
    cases = {
        file("vgg", vgg): "another network than an FCN: no score_fr",
        file("headless", without("fc7")): "expected a layer fc7, found conv1_1",
        file("gap", without("conv4_2")): "these layers are missing: conv4_2",
        file("up", without("upscore8")): "these layers are missing: upscore8",
        file("shape", swapped): r"conv4_2_kernel: expected \(3, 3, 32, 32\), found \(3, 3, 16, 32\)",
        file("flat", flat): r"fc7: expected a kernel of four dimensions, found \(4, 5\)",
    }  # fmt: skip
    for path, words in cases.items():
        with pytest.raises(ValueError, match=words) as caught:
            fcn_voc.load_fcn(path)
        assert path.name in str(caught.value)


def test_what_is_known_about_it(tmp_path: Path) -> None:
    facts = pretrained.about(
        fcn_voc.load_fcn(caffe_files.write(tmp_path / "fcn8s-heavy-pascal.caffemodel", weights()))
    )
    assert facts.class_names[8] == "cat" and facts.name == "FCN-8s, fcn8s-heavy-pascal.caffemodel"
    grey = np.full((2, 2, 3), 100, np.float32)
    np.testing.assert_allclose(facts.preprocess(grey)[0, 0], 100 - caffe.MEAN)
