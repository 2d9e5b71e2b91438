"""VGG-16 and All-CNN from other people's files: the same answers as plain NumPy gives on the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import caffe_files
import numpy as np
import plain_nets as plain
import pytest
import torch_writing

from course_utils import runtime
from course_utils.networks import foreign, gradients, pretrained, vgg16
from course_utils.networks.pretrained import load_all_cnn, load_vgg16

Weights = Mapping[str, list[np.ndarray]]
TORCH = {foreign.CAFFE[name]: keys for name, keys in foreign.TORCH.items()}


@pytest.fixture(autouse=True)
def started() -> None:
    runtime.start(seed=0)


def weights(side: int = 1, **options) -> dict[str, list[np.ndarray]]:
    return plain.vgg16_weights(np.random.default_rng(5), side=side, **options)


def picture(side: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (side, side, 3)).astype(np.float32)


def caffe_input(image: np.ndarray) -> np.ndarray:
    """BGR minus the mean, maps first."""
    return (image[..., ::-1] - [103.939, 116.779, 123.68]).transpose(2, 0, 1)


def torch_input(image: np.ndarray) -> np.ndarray:
    """RGB / 255, normalized, maps first."""
    return ((image / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(2, 0, 1)


def torch_names(values: Weights, dense: int = 0) -> dict[str, np.ndarray]:
    """torchvision's names, or timm's (dense=1), whose dense layers are convolutions."""
    tensors = {}
    for name, (kernel, bias) in values.items():
        key = TORCH[name][min(dense, len(TORCH[name]) - 1)]
        if key.startswith("pre_logits"):
            side = 2 if name == "fc6" else 1
            kernel = kernel.reshape(len(kernel), -1, side, side)
        tensors |= {f"{key}.weight": kernel, f"{key}.bias": bias}
    return tensors


def answer(model, image: np.ndarray) -> np.ndarray:
    return gradients.forward(model, pretrained.about(model).preprocess(image)[None])[0]


# --- VGG-16 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [False, True])
def test_a_caffemodel(tmp_path: Path, old: bool) -> None:
    values = weights(side=2)
    model = load_vgg16(caffe_files.write(tmp_path / "VGG_ILSVRC_16_layers.caffemodel", values, old))
    assert model.input_shape == (None, 64, 64, 3) and model.get_layer("block3_conv1").filters == 16
    expected = plain.vgg16(values, caffe_input(picture(64)))
    np.testing.assert_allclose(answer(model, picture(64)), expected, atol=1e-4 * expected.max())
    assert 0.2 < expected.max() < 0.9  # an answer that could differ


def test_the_theano_file_of_2015(tmp_path: Path) -> None:
    """Kernels turned, because Theano convolves where others correlate; groups numbered through all layers."""
    import h5py

    values, path = weights(side=2), tmp_path / "vgg16_weights.h5"
    at = dict(zip(plain.VGG, (1, 3, 6, 8, 11, 13, 15, 18, 20, 22, 25, 27, 29), strict=True))
    at |= {"fc6": 32, "fc7": 34, "fc8": 36}
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = 37
        for i in range(37):
            file.create_group(f"layer_{i}").attrs["nb_params"] = 2 * (i in at.values())
        for name, (kernel, bias) in values.items():
            group = file[f"layer_{at[name]}"]
            group["param_0"] = kernel.T if kernel.ndim == 2 else np.rot90(kernel, 2, (2, 3))
            group["param_1"] = bias
    model = load_vgg16(path)
    expected = plain.vgg16(values, caffe_input(picture(64)))
    np.testing.assert_allclose(answer(model, picture(64)), expected, atol=1e-4 * expected.max())


def written(folder: Path, kind: str, tensors: Mapping[str, np.ndarray], monkeypatch) -> Path:
    if kind == "safetensors":
        return torch_writing.write_safetensors(folder / "vgg16.safetensors", tensors)
    return torch_writing.write_pth(folder / "vgg16.pth", tensors, monkeypatch, old=kind == "old pth")


@pytest.mark.parametrize(
    ("kind", "dense"), [("pth", 0), ("old pth", 0), ("safetensors", 0), ("safetensors", 1)]
)
def test_torchvisions_file(tmp_path: Path, kind: str, dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = weights(side=2)
    model = load_vgg16(written(tmp_path, kind, torch_names(values, dense), monkeypatch))
    expected = plain.vgg16(values, torch_input(picture(64)))
    np.testing.assert_allclose(answer(model, picture(64)), expected, atol=1e-4)


def test_torchs_scaling_is_in_the_first_layer(tmp_path: Path) -> None:
    """Exactly, up to the outermost pixels, whose padding is another grey there: by half a level at most."""
    values = {name: arrays for name, arrays in weights().items() if name.startswith("conv1")}
    path = torch_writing.write_safetensors(tmp_path / "first.safetensors", torch_names(values))
    model = load_vgg16(path, until="block1_conv1")
    maps = answer(model, picture(40))
    expected = plain.relu(plain.convolve(torch_input(picture(40)), *values["conv1_1"], pad=1)).transpose(
        1, 2, 0
    )
    np.testing.assert_allclose(maps[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-4 * expected.max())
    assert 0 < np.abs(maps - expected).max() < 0.01 * expected.max()


def test_only_the_first_blocks_and_no_classifier(tmp_path: Path) -> None:
    values = {name: arrays for name, arrays in weights().items() if name[4:5] in "12" and name[0] == "c"}
    model = load_vgg16(caffe_files.write(tmp_path / "first.caffemodel", values), until="block2_pool")
    expected = plain.vgg16_maps(weights(), caffe_input(picture(32)))["pool2"].transpose(1, 2, 0)
    np.testing.assert_allclose(answer(model, picture(32)), expected, atol=1e-4 * expected.max())
    with pytest.raises(ValueError, match="missing: block3_conv1"):
        load_vgg16(tmp_path / "first.caffemodel")


def test_vgg19_is_not_taken_for_vgg16(tmp_path: Path) -> None:
    """It has all of VGG-16's names, and three more."""
    import h5py

    keras, theano = tmp_path / "vgg19.h5", tmp_path / "vgg19_weights.h5"
    with h5py.File(keras, "w") as file:
        for name in (*vgg16.LAYERS, "block3_conv4"):
            file[f"{name}/{name}_W_1:0"] = np.zeros((3, 3, 3, 4), np.float32)
            file[f"{name}/{name}_b_1:0"] = np.zeros(4, np.float32)
    with h5py.File(theano, "w") as file:
        for i in (1, 3, 6, 8, 11, 13, 15, 17, 20):
            file[f"layer_{i}/param_0"], file[f"layer_{i}/param_1"] = np.zeros((4, 3, 3, 3)), np.zeros(4)
    with pytest.raises(
        ValueError, match=r"vgg19\.h5 holds another network than VGG-16: it has .*block3_conv4"
    ):
        load_vgg16(keras)
    with pytest.raises(ValueError, match=r"expected layer_1 … layer_29, found layer_17"):
        load_vgg16(theano)


def test_what_is_no_vgg16(tmp_path: Path) -> None:
    def caffe(name: str, changed: Weights) -> Path:
        return caffe_files.write(tmp_path / f"{name}.caffemodel", changed)

    def torch(name: str, changed: Mapping[str, np.ndarray]) -> Path:
        return torch_writing.write_safetensors(tmp_path / f"{name}.safetensors", changed)

    good, zeros = weights(), np.zeros(4, np.float32)
    vgg19 = {**good, "conv3_4": good["conv3_3"]}
    alexnet = {"features.0.weight": np.zeros((64, 3, 11, 11), np.float32), "features.3.weight": zeros}
    tensors = torch_names(good)
    norm = {name.replace(".2.", ".3."): value for name, value in tensors.items()} | {
        "features.1.running_mean": zeros
    }
    fewer = {name: value for name, value in tensors.items() if name != "features.5.bias"}
    wide = {**good, "fc6": [np.zeros((256, 33), np.float32), good["fc6"][1]]}
    shape = {**good, "conv4_2": good["conv4_1"]}
    cases = {
        caffe("vgg19", vgg19): "expected conv1_1 … conv5_3, found conv3_4",
        caffe("alexnet", {"conv1": good["conv1_1"]}): "another network than VGG-16: .*found conv1 …",
        caffe("bias", {**good, "conv2_1": good["conv2_1"][:1]}): "conv2_1: expected a kernel and a bias",
        caffe("flat", {**good, "conv2_1": [zeros, zeros]}): "block2_conv1: expected a kernel of four",
        caffe("wide", wide): "fc1: expected 32 maps times a square of places, found 33 inputs",
        caffe("shape", shape): r"block4_conv2_kernel: expected \(3, 3, 32, 32\), found",
        torch("alexnet", alexnet): r"than torchvision's VGG-16: .*found features\.0, features\.3",
        torch("norm", norm): "with batch normalization",
        torch("resnet", {"layer1.0.weight": zeros}): r"found layer1\.0\.weight",
        torch("fewer", fewer): r"features\.5: expected a weight and a bias",
    }  # fmt: skip
    for path, words in cases.items():
        with pytest.raises(ValueError, match=words) as caught:
            load_vgg16(path)
        assert path.name in str(caught.value), caught.value


# --- All-CNN --------------------------------------------------------------------------------------------

NINE = {  # filters, size, stride, padding, ReLU, as Mate Labs' program has them
    "conv1": (96, 3, 1, 1, True),
    "conv2": (96, 3, 1, 1, True),
    "conv3": (96, 3, 2, 1, False),
    "conv4": (192, 3, 1, 1, True),
    "conv5": (192, 3, 1, 1, True),
    "conv6": (192, 3, 2, 1, False),
    "conv7": (192, 3, 1, 1, True),
    "conv8": (192, 1, 1, 0, True),
    "conv9": (10, 1, 1, 0, False),
}


def nine_kernels() -> dict[str, list[np.ndarray]]:
    rng, before, found = np.random.default_rng(2), 3, {}
    for name, (filters, size, *_) in NINE.items():
        kernel = rng.normal(0, (2 / (size * size * before)) ** 0.5, (filters, before, size, size))
        found[name] = [kernel.astype(np.float32), rng.normal(0, 0.1, filters).astype(np.float32)]
        before = filters
    return found


def matelabs_answer(values: Weights, image: np.ndarray) -> np.ndarray:
    x = image.transpose(2, 0, 1).astype(float)
    for name, (_, _, stride, pad, relu) in NINE.items():
        if stride == 2:  # TensorFlow's "same": an even side is padded on one side only, at its end
            x = plain.convolve(np.pad(x, ((0, 0), (0, 1), (0, 1))), *values[name], stride=2)
        else:
            x = plain.convolve(x, *values[name], pad=pad)
        x = plain.relu(x) if relu else x
    return plain.softmax(x.mean(axis=(1, 2)))


def write_keras1(path: Path, values: Weights, order: str, wrapped: bool) -> Path:
    """As Keras 1 saved: a group a layer (one for all in a wrapper), arrays NAME_W and NAME_b."""
    import h5py

    turn: Callable = (lambda k: k) if order == "th" else (lambda k: k.transpose(2, 3, 1, 0))
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        layers = ["lambda_1", "sequential_1", "merge_1"] if wrapped else []
        for number, (kernel, bias) in enumerate(values.values(), start=12):
            name = f"convolution2d_{number}"
            if not wrapped:
                layers += [name, f"activation_{number}"]
            group = root.require_group("sequential_1" if wrapped else name)
            group[f"{name}_W:0"], group[f"{name}_b:0"] = turn(kernel), bias
            before = list(group.attrs.get("weight_names", ()))
            group.attrs["weight_names"] = np.array([*before, f"{name}_W:0", f"{name}_b:0"], "S")
        for layer in layers:
            root.require_group(layer)
        root.attrs["layer_names"] = [layer.encode() for layer in layers]
    return path


@pytest.mark.parametrize(("order", "wrapped"), [("tf", False), ("th", False), ("th", True)])
def test_mate_labs_file(tmp_path: Path, order: str, wrapped: bool) -> None:
    values = nine_kernels()
    model = load_all_cnn(write_keras1(tmp_path / "keras_allconv.h5", values, order, wrapped))
    image = picture(32) / 255
    expected = matelabs_answer(values, image)
    np.testing.assert_allclose(answer(model, image), expected, atol=1e-4)
    assert pretrained.about(model).name == "Mate Labs' All-CNN-C"
    assert pretrained.about(model).class_names[3] == "cat"


def test_the_same_program_with_keras_3(tmp_path: Path) -> None:
    """What Keras of today writes when the program is typed in with its names."""
    from keras import Sequential, layers

    steps: list = [layers.Input((32, 32, 3))]
    for filters, size, stride, _, relu in NINE.values():
        steps.append(layers.Conv2D(filters, size, stride, padding="same", bias_initializer="normal"))
        steps += [layers.Activation("relu")] if relu else []
    program = Sequential([*steps, layers.GlobalAveragePooling2D(), layers.Activation("softmax")])
    program.save(tmp_path / "keras_allconv.h5")
    found = answer(load_all_cnn(tmp_path / "keras_allconv.h5"), picture(32))
    np.testing.assert_allclose(found, gradients.forward(program, picture(32)[None])[0], atol=1e-5)


def test_an_all_cnn_of_the_course_as_h5_keeps_its_names(tmp_path: Path) -> None:
    from course_utils.networks import all_cnn

    model = all_cnn.build(input_shape=(None, None, 3))
    model.save(tmp_path / "mine.h5")
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    loaded = load_all_cnn(tmp_path / "mine.h5")
    np.testing.assert_array_equal(gradients.forward(loaded, x), gradients.forward(model, x))


def test_another_number_of_convolutions(tmp_path: Path) -> None:
    values = nine_kernels()
    del values["conv8"]
    with pytest.raises(ValueError, match="nine convolutions of All-CNN-C, found 8"):
        load_all_cnn(write_keras1(tmp_path / "eight.h5", values, "tf", False))
    with pytest.raises(ValueError, match="damaged"):
        bad = tmp_path / "bad.h5"
        bad.write_bytes(b"nothing")
        load_all_cnn(bad)


def test_names_of_layers() -> None:
    assert foreign.CAFFE["block5_conv3"] == "conv5_3" and list(foreign.CAFFE)[:13] == list(vgg16.LAYERS)
    assert foreign.THEANO["block5_conv3"] == 29
