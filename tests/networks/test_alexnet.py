"""AlexNet: Caffe's sizes and count, and plain NumPy's answers on the same numbers."""

from __future__ import annotations

from pathlib import Path

import caffe_files
import numpy as np
import plain_nets as plain
import pytest

from course_utils import runtime
from course_utils.networks import alexnet, caffe, gradients, pretrained

WIDTH = 1 / 24
# filters at full width, size, and how many maps a filter sees at this width: in halves, half of them
LAYERS = {
    "conv1": (96, 11, 3),
    "conv2": (256, 5, 2),
    "conv3": (384, 3, 10),
    "conv4": (384, 3, 8),
    "conv5": (256, 3, 8),
}


@pytest.fixture(autouse=True)
def started() -> None:
    runtime.start(seed=0)


def scaled(n: int) -> int:
    return 2 * round(n * WIDTH / 2)


def weights(classes: int = 7) -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(4)
    shapes = {name: (scaled(filters), seen, size, size) for name, (filters, size, seen) in LAYERS.items()}
    units = scaled(4096)
    shapes |= {"fc6": (units, 36 * scaled(256)), "fc7": (units, units), "fc8": (classes, units)}
    return {
        name: [
            rng.normal(0, (0.01 if name == "fc8" else 1) * (2 / np.prod(shape[1:])) ** 0.5, shape).astype(
                np.float32
            ),
            rng.normal(0, 0.1, shape[0]).astype(np.float32),
        ]
        for name, shape in shapes.items()
    }


def normalized(x: np.ndarray) -> np.ndarray:
    """Local response normalization over five maps, map by map."""
    out = np.empty_like(x)
    for i in range(len(x)):
        around = x[max(0, i - 2) : i + 3]
        out[i] = x[i] / (1 + 1e-4 / 5 * (around**2).sum(0)) ** 0.75
    return out


def plain_answer(values: dict[str, list[np.ndarray]], x: np.ndarray) -> np.ndarray:
    x = plain.relu(plain.convolve(x, *values["conv1"], stride=4))
    x = plain.pool(normalized(x), 3, 2)
    x = plain.relu(plain.convolve(x, *values["conv2"], pad=2, groups=2))
    x = plain.pool(normalized(x), 3, 2)
    x = plain.relu(plain.convolve(x, *values["conv3"], pad=1))
    x = plain.relu(plain.convolve(x, *values["conv4"], pad=1, groups=2))
    x = plain.relu(plain.convolve(x, *values["conv5"], pad=1, groups=2))
    x = plain.pool(x, 3, 2).ravel()
    for name in ("fc6", "fc7"):
        x = plain.relu(values[name][0] @ x + values[name][1])
    return plain.softmax(values["fc8"][0] @ x + values["fc8"][1])


def test_sizes_and_count_are_caffes() -> None:
    model = alexnet.build(initializer="zeros")
    sizes = {layer.name: layer.output.shape[1:] for layer in model.layers}
    assert sizes["conv1"] == (55, 55, 96) and sizes["pool1"] == (27, 27, 96)
    assert sizes["conv2"] == (27, 27, 256) and sizes["pool2"] == (13, 13, 256)
    assert sizes["conv3"] == sizes["conv4"] == (13, 13, 384) and sizes["conv5"] == (13, 13, 256)
    assert sizes["pool5"] == (6, 6, 256) and sizes["fc8"] == (1000,)
    assert model.count_params() == 60_965_224
    assert model.get_layer("conv2").kernel.shape == (5, 5, 48, 256)


@pytest.mark.parametrize("old", [False, True])
def test_caffes_file(tmp_path: Path, old: bool) -> None:
    values = weights()
    model = alexnet.load_alexnet(caffe_files.write(tmp_path / "bvlc_alexnet.caffemodel", values, old))
    image = np.random.default_rng(0).uniform(0, 255, (227, 227, 3)).astype(np.float32)
    expected = plain_answer(values, caffe.preprocess(image).transpose(2, 0, 1).astype(float))
    found = gradients.forward(model, pretrained.about(model).preprocess(image)[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert 0.2 < expected.max() < 0.9  # an answer that could differ


def test_without_its_classifier_at_another_size(tmp_path: Path) -> None:
    values = {name: arrays for name, arrays in weights().items() if name.startswith("conv")}
    model = alexnet.load_alexnet(caffe_files.write(tmp_path / "first.caffemodel", values), include_top=False)
    assert model(np.zeros((1, 131, 99, 3), np.float32)).shape == (1, 3, 2, scaled(256))


def test_a_copy_of_its_chain_answers_alike() -> None:
    """As style transfer copies a network: the normalization is a layer like others."""
    from course_utils.style import networks

    model = alexnet.build(width=WIDTH, include_top=False)
    copy = networks.twin(model, until="conv3")
    x = np.random.default_rng(0).normal(0, 50, (1, 131, 131, 3)).astype(np.float32)
    assert copy.layers[-1].name == "conv3"
    part = networks.twin(model, until="norm1")
    found = gradients.forward(part, x)[0].transpose(2, 0, 1)
    maps = gradients.forward(networks.twin(model, until="conv1"), x)[0].transpose(2, 0, 1)
    np.testing.assert_allclose(found, normalized(maps), rtol=1e-4, atol=1e-4)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"alexnet-owt\.pth: torchvision's AlexNet is another network"):
        alexnet.load_alexnet(tmp_path / "alexnet-owt.pth")
    vgg = caffe_files.write(tmp_path / "vgg.caffemodel", plain.vgg16_weights(np.random.default_rng(0)))
    with pytest.raises(ValueError, match="another network than AlexNet: no conv1 in it, but conv1_1"):
        alexnet.load_alexnet(vgg)
    values = weights()
    whole = {**values, "conv2": [np.repeat(values["conv2"][0], 2, axis=1), values["conv2"][1]]}
    with pytest.raises(ValueError, match=r"conv2_kernel: expected \(5, 5, 2, 10\), found \(5, 5, 4, 10\)"):
        alexnet.load_alexnet(caffe_files.write(tmp_path / "whole.caffemodel", whole))
