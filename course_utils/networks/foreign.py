"""Other people's weight files for the networks of the course, in their names and layouts. Notebooks 01, 06.

Four worlds wrote the same VGG-16 down, each in its own order:

- `.caffemodel` (the authors' own): kernels (out, in, h, w), fc1 reads (C, H, W), pictures BGR minus mean;
- `vgg16_weights.h5` of 2015 (Keras 0.x on Theano): the same, its kernels turned by 180 degrees;
- `.pth`, `.safetensors` (torchvision, timm): (out, in, h, w), (C, H, W), RGB / 255, normalized;
- Keras's `.h5`, `.keras`, the course's `.npz`: (h, w, in, out), (H, W, C), BGR minus mean.

Here the first three become the last, which `weight_files` reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from course_utils.networks import caffe, torch_files, vgg16

CAFFE: dict[str, str] = {name: name.replace("block", "conv").replace("_conv", "_") for name in vgg16.LAYERS}
CAFFE |= {"fc1": "fc6", "fc2": "fc7", "predictions": "fc8"}
"""The course's names -> Caffe's: block1_conv1 is conv1_1 there."""
THEANO: dict[str, int] = {name: i for i, name in vgg16.OLD_INDEX.items() if name in vgg16.LAYERS}
THEANO |= {"fc1": 32, "fc2": 34, "predictions": 36}
TORCH: dict[str, tuple[str, ...]] = {
    name: (f"features.{i}",)
    for name, i in zip(vgg16.LAYERS, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), strict=True)
}
TORCH |= {
    "fc1": ("classifier.0", "pre_logits.fc1"),
    "fc2": ("classifier.3", "pre_logits.fc2"),
    "predictions": ("classifier.6", "head.fc"),
}
"""torchvision's names and, of the dense layers, timm's."""
TORCH_MEAN, TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What torchvision subtracts from RGB / 255, and divides by."""
SUFFIXES = (".caffemodel", *torch_files.SUFFIXES)

Pairs = dict[str, tuple[np.ndarray, np.ndarray]]
"""Layer -> kernel and bias, in the file's own order of axes."""


# --- VGG-16 ---------------------------------------------------------------------------------------------


def read_vgg16(path: str | Path) -> dict[str, np.ndarray] | None:
    """Read a VGG-16 that Theano, Caffe or PyTorch wrote, in the names and layout of `weight_files.read`.

    Args:
        path: `.caffemodel`, `.pth`, `.pt`, `.safetensors`, or an `.h5` whose groups are called layer_0,
            layer_1, … It may hold the first layers only, and be of any width.

    Returns:
        `{"block1_conv1_kernel": (3, 3, 3, 64), "block1_conv1_bias": (64,), …}`, float32, for pictures as BGR
        minus 103.939/116.779/123.68; or None, if the file is of another kind. PyTorch's scaling and order
        of colours are folded into block1_conv1. So is its slightly different mean (by at most half a grey
        level): exact everywhere but in the outermost pixels, beside which PyTorch's padding is its mean.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or of another network: the message names layer, expected and found.
    """
    path = Path(path).expanduser()
    if path.suffix == ".caffemodel":
        return _vgg16(_by_name(caffe.read(path), CAFFE, path), path)
    if path.suffix in torch_files.SUFFIXES:
        return _for_bgr(_vgg16(_torch_pairs(torch_files.read(path), path), path))
    numbered = _numbered_groups(path) if path.suffix in (".h5", ".hdf5") and path.is_file() else None
    if numbered is None:
        return None
    pairs = _by_name(numbered, {name: f"layer_{i}" for name, i in THEANO.items()}, path)
    turned = {name: (k[..., ::-1, ::-1] if k.ndim == 4 else k.T, bias) for name, (k, bias) in pairs.items()}
    return _vgg16(turned, path)


def _vgg16(pairs: Pairs, path: Path) -> dict[str, np.ndarray]:
    return converted(pairs, ("fc1", "fc2", "predictions"), vgg16.LAYERS[-1], path)


def _by_name(arrays: Mapping[str, list[np.ndarray]], names: Mapping[str, str], path: Path) -> Pairs:
    """Kernel and bias of each layer that VGG-16 has, under the course's name.

    Raises:
        ValueError: a convolution that VGG-16 does not have, or a layer without its two arrays.
    """
    ours = {theirs: name for name, theirs in names.items()}
    first = names[vgg16.LAYERS[0]]
    more = [name for name in arrays if name.startswith(("conv", "layer_")) and name not in ours]
    if first not in arrays or more:
        found = ", ".join((more or list(arrays))[:5])
        raise ValueError(
            f"{path} holds another network than VGG-16: expected {first} … {names[vgg16.LAYERS[-1]]}, "
            f"found {found} …"
        )
    pairs: Pairs = {}
    for name, values in arrays.items():
        if name in ours:
            if len(values) != 2:
                raise ValueError(f"{path}: {name}: expected a kernel and a bias, found {len(values)} arrays")
            pairs[ours[name]] = (values[0], values[1].ravel())
    return pairs


def _torch_pairs(tensors: Mapping[str, np.ndarray], path: Path) -> Pairs:
    """The same from PyTorch's names. Other networks use them, too, so the numbers must be VGG-16's."""
    convolutions = [f"features.{i}" for i in range(60) if f"features.{i}.weight" in tensors]
    expected = [TORCH[name][0] for name in vgg16.LAYERS]
    kernel = tensors.get("features.0.weight", np.zeros(()))
    if not convolutions or convolutions != expected[: len(convolutions)]:
        norm = " (with batch normalization)" if any("running_mean" in name for name in tensors) else ""
        raise ValueError(
            f"{path} holds another network than torchvision's VGG-16{norm}: expected kernels in "
            f"{', '.join(expected[:5])} …, found {', '.join((convolutions or list(tensors))[:5])} …"
        )
    if kernel.shape[1:] != (3, 3, 3):
        raise ValueError(f"{path}: features.0.weight: expected (64, 3, 3, 3), found {kernel.shape}")
    pairs: Pairs = {}
    for name, theirs in TORCH.items():
        for key in theirs:
            if f"{key}.weight" in tensors:
                if f"{key}.bias" not in tensors:
                    raise ValueError(f"{path}: {key}: expected a weight and a bias, found no bias")
                pairs[name] = (tensors[f"{key}.weight"], tensors[f"{key}.bias"])
    return pairs


def _numbered_groups(path: Path) -> dict[str, list[np.ndarray]] | None:
    """The arrays of groups layer_0, layer_1, …, as Keras 0.x saved them; None where there are none."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "layer_1" not in file or "param_0" not in file["layer_1"]:
                return None
            return {
                name: [np.asarray(group[key], np.float32) for key in sorted(group)]
                for name, group in file.items()
                if len(group)
            }
    except (OSError, RuntimeError, KeyError, TypeError):
        return None  # `weight_files.read` says what is wrong with it


def converted(pairs: Pairs, dense: Sequence[str], before: str, path: Path) -> dict[str, np.ndarray]:
    """Weights in the layout of `weight_files.read` from kernels that have their outputs first.

    Args:
        pairs: of convolutions (out, in, h, w), of dense layers (out, in) or (1, 1, out, in).
        dense: names of the dense layers in their order; the first reads the maps of a convolution,
            map by map there, place by place in Keras.
        before: that convolution's name.
        path: for messages.

    Raises:
        ValueError: naming the layer, what was expected and what was found.
    """
    weights: dict[str, np.ndarray] = {}
    for name, (kernel, bias) in pairs.items():
        if name in dense:
            if kernel.size % bias.size:
                raise ValueError(f"{path}: {name}: expected {bias.size} outputs, found {kernel.shape}")
            kernel = kernel.reshape(bias.size, -1)
            maps = pairs[before][1].size if name == dense[0] and before in pairs else 0
            kernel = _rows_by_place(kernel, maps, f"{path}: {name}") if maps else kernel.T
        elif kernel.ndim != 4:
            raise ValueError(f"{path}: {name}: expected a kernel of four dimensions, found {kernel.shape}")
        else:
            kernel = kernel.transpose(2, 3, 1, 0)
        weights[f"{name}_kernel"] = np.ascontiguousarray(kernel, np.float32)
        weights[f"{name}_bias"] = np.asarray(bias, np.float32)
    return weights


def _rows_by_place(kernel: np.ndarray, maps: int, where: str) -> np.ndarray:
    """(out, C * H * W) -> (H * W * C, out)"""
    side = math.isqrt(kernel.shape[1] // maps)
    if not side or side * side * maps != kernel.shape[1]:
        raise ValueError(
            f"{where}: expected {maps} maps times a square of places, found {kernel.shape[1]} inputs"
        )
    return kernel.reshape(-1, maps, side, side).transpose(2, 3, 1, 0).reshape(kernel.shape[1], -1)


def _for_bgr(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights for RGB / 255, normalized, as weights for BGR minus the original's mean."""
    from course_utils.pictures.images import BGR_MEAN

    name = vgg16.LAYERS[0]
    mean, deviation = (np.array(v[::-1]) for v in (TORCH_MEAN, TORCH_DEVIATION))
    kernel = weights[f"{name}_kernel"][:, :, ::-1] / deviation[:, None]
    shift = np.einsum("hwio,i->o", kernel, np.asarray(BGR_MEAN) / 255 - mean)
    return weights | {
        f"{name}_kernel": (kernel / 255).astype(np.float32),
        f"{name}_bias": (weights[f"{name}_bias"] + shift).astype(np.float32),
    }


# --- All-CNN --------------------------------------------------------------------------------------------

MATELABS: dict[str, Any] = {
    "title": "Mate Labs' All-CNN-C",
    "recipe": {"variant": "all", "padding": "same", "last_relu": False, "strided_relu": False},
    "mean": (0.0, 0.0, 0.0),
    "deviation": (1.0, 1.0, 1.0),
}
"""What their file does not say: their network, and that it takes pictures as they are, 0..255."""


def read_matelabs(path: str | Path) -> dict[str, np.ndarray] | None:
    """Read the `keras_allconv.h5` of Mate Labs' program, in the course's names. Notebook 06.

    Their nine convolutions have no names of their own, so their order counts. Keras 1 wrote kernels as
    (3, 3, in, out) or, under image_dim_ordering "th", which `input_shape=(3, 32, 32)` asks for, as
    (out, in, 3, 3); what `make_parallel` wrapped lies one group deeper.

    Args:
        path: an `.h5` of `model.save` or of `ModelCheckpoint`.

    Returns:
        `{"conv1_kernel": (3, 3, 3, 96), "conv1_bias": (96,), …, "conv9_bias": (10,)}`, float32; or None for
        a file of another kind, such as one whose layers bear the course's names.

    Raises:
        ValueError: other than nine convolutions.
    """
    path = Path(path).expanduser()
    arrays = _in_order(path) if path.suffix in (".h5", ".hdf5") and path.is_file() else []
    kernels = [i for i, array in enumerate(arrays[:-1]) if array.ndim == 4]
    if not kernels:
        return None
    if len(kernels) != 9:
        raise ValueError(f"{path}: expected the nine convolutions of All-CNN-C, found {len(kernels)}")
    maps_first = arrays[kernels[0]].shape[1:] == (3, 3, 3)
    weights: dict[str, np.ndarray] = {}
    for number, i in enumerate(kernels, start=1):
        kernel = arrays[i].transpose(2, 3, 1, 0) if maps_first else arrays[i]
        weights |= {f"conv{number}_kernel": kernel, f"conv{number}_bias": arrays[i + 1]}
    return weights


def _in_order(path: Path) -> list[np.ndarray]:
    """All arrays of an `.h5` of Keras 1 or 2 in the order of its layers; none where a layer is conv1."""
    import h5py

    def names(group: Any, key: str) -> list[str]:
        return [n.decode() if isinstance(n, bytes) else str(n) for n in group.attrs.get(key, ())]

    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            layers = names(root, "layer_names")
            if "conv1" in layers:
                return []
            return [
                np.asarray(root[layer][name], np.float32)
                for layer in layers
                for name in names(root[layer], "weight_names")
            ]
    except (OSError, RuntimeError, KeyError, TypeError):
        return []  # `weight_files.read` says what is wrong with it
