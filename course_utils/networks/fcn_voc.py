"""The paper's own FCN for PASCAL VOC, as its Caffe files have it, to the pixel. Notebook 05.

`fcn.build` lets every map begin at the picture's first pixel. The authors did otherwise: the first
convolution pads the picture by 100 pixels, so that even a small one leaves something for the 7x7 convolution
fc6, which pads nothing; maps then begin somewhere in the padding, and a crop with an offset puts one over
the other. The offsets follow from the padding (Long, Shelhamer and Darrell 2015, and its prototxt):
19 for FCN-32s; 5 and 27 for 16s; 5, 9 and 31 for 8s.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.networks import caffe, fcn, foreign, pretrained, vgg16, weight_files

if TYPE_CHECKING:
    import keras

PADDING = 100
# variant -> (skip, offset of its crop), …; offset of the last crop
CROPS: dict[fcn.Variant, tuple[tuple[tuple[str, int], ...], int]] = {
    "32s": ((), 19),
    "16s": ((("pool4", 5),), 27),
    "8s": ((("pool4", 5), ("pool3", 9)), 31),
}


def build(
    classes: int = 21,
    variant: fcn.Variant = "8s",
    *,
    width: float = 1.0,
    dense: tuple[int, int] = (4096, 4096),
    initializer: str = "he_normal",
) -> keras.Model:
    """Build FCN-32s, 16s or 8s in the paper's form, with random weights.

    Args:
        classes: 21 for VOC's twenty and the background.
        variant: see `fcn.build`.
        width: of VGG-16's convolutions; 1 is the original.
        dense: filters of fc6 (7x7) and fc7 (1x1), VGG-16's dense layers as convolutions.
        initializer: of the kernels; "zeros" is quicker where a file's weights follow.

    Returns:
        A model from float32 (N, H, W, 3), BGR minus `caffe.MEAN`, any H and W, to float32 logits
        (N, H, W, classes). Its layers have the names of the authors' prototxt: conv1_1, …, fc6, fc7,
        score_fr, upscore2, score_pool4, fuse_pool4, upscore_pool4, score_pool3, fuse_pool3, upscore8, score.

    Raises:
        ValueError: an unknown variant, or fewer than two classes.

    Long, Shelhamer and Darrell (2015), section 4. Notebook 05.
    """
    from keras import Input, Model, layers

    if variant not in CROPS or classes < 2:
        raise ValueError(f"variant={variant!r}, classes={classes}: {', '.join(CROPS)}, and 2 or more")
    inputs = Input((None, None, 3), name="data")
    maps = _poolings(inputs, width, initializer)
    x = maps["pool5"]
    options: Any = {"kernel_initializer": initializer}
    for name, filters, size in (("fc6", dense[0], 7), ("fc7", dense[1], 1)):
        x = layers.Conv2D(filters, size, activation="relu", name=name, **options)(x)
        x = layers.Dropout(0.5, name=name.replace("fc", "drop"))(x)
    x = layers.Conv2D(classes, 1, name="score_fr", **options)(x)
    skips, offset = CROPS[variant]
    stride, name = 32, "upscore2"
    for pool, crop in skips:
        x = _enlarged(x, 2, name)
        finer = layers.Conv2D(classes, 1, name=f"score_{pool}", **options)(maps[pool])
        finer = fcn.crop_like()(crop, name=f"score_{pool}c")([finer, x])
        x = layers.Add(name=f"fuse_{pool}")([x, finer])
        stride, name = stride // 2, f"upscore_{pool}"
    x = _enlarged(x, stride, _last_name(variant))
    x = fcn.crop_like()(offset, name="score", dtype="float32")([x, inputs])
    return Model(inputs, x, name=f"voc_fcn{variant}")


def _last_name(variant: str) -> str:
    """The prototxt calls FCN-32s' only enlargement upscore, the others' last one upscore16 and upscore8."""
    return "upscore" if variant == "32s" else f"upscore{variant.removesuffix('s')}"


def _poolings(x: Any, width: float, initializer: str) -> dict[str, Any]:
    """VGG-16's convolutions under Caffe's names, with the padding of 100; poolings round up."""
    from keras import layers

    maps: dict[str, Any] = {}
    x = layers.ZeroPadding2D(PADDING, name="padding")(x)
    for layer in vgg16.stops_in_order():
        if layer.endswith("_pool"):
            name = layer.replace("block", "pool").removesuffix("_pool")
            x = maps[name] = layers.MaxPooling2D(2, strides=2, padding="same", name=name)(x)
            continue
        x = layers.Conv2D(
            vgg16.channels_of(layer, width),
            3,
            padding="valid" if layer == vgg16.LAYERS[0] else "same",
            activation="relu",
            kernel_initializer=initializer,
            name=foreign.CAFFE[layer],
        )(x)
    return maps


def _enlarged(x: Any, stride: int, name: str) -> Any:
    """x times `stride` by a bilinear transposed convolution; the crop that follows puts it in its place."""
    from keras import layers, ops

    classes = x.shape[-1]
    kernel = fcn.bilinear_kernel(stride, classes)
    return layers.Conv2DTranspose(
        classes,
        2 * stride,
        strides=stride,
        use_bias=False,
        kernel_initializer=lambda shape, dtype=None: ops.convert_to_tensor(kernel, dtype),
        name=name,
    )(x)


def load_fcn(path: str | Path) -> keras.Model:
    """The authors' network from its Caffe file, such as `fcn8s-heavy-pascal.caffemodel`.

    Args:
        path: `.caffemodel` of voc-fcn32s, 16s or 8s. Sizes and variant are those of its layers.

    Returns:
        The model; `about(model)` prepares pictures and names VOC's classes. `segmentation.label_map` answers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or of another network: the message names layer, expected and found.
    """
    from course_utils.datasets import voc

    path = Path(path).expanduser()
    arrays = caffe.read(path)
    weights = _weights(arrays, path)
    convolutions = {name: weights[f"{name}_kernel"].shape for name in weight_files.layers(weights)}
    try:
        variant = fcn.variant_of(list(convolutions))
    except ValueError as error:
        found = ", ".join(list(arrays)[-5:])
        raise ValueError(f"{path} holds another network than an FCN: no score_fr, but … {found}") from error
    missing = [name for name in ("conv1_1", "fc6", "fc7") if name not in convolutions]
    if missing:
        raise ValueError(f"{path}: expected a layer {missing[0]}, found {', '.join(convolutions)}")
    classes, dense = convolutions["score_fr"][-1], (convolutions["fc6"][-1], convolutions["fc7"][-1])
    width = convolutions["conv1_1"][-1] / vgg16.CHANNELS[vgg16.LAYERS[0]]
    model = build(classes, variant, width=width, dense=dense, initializer="zeros")
    weight_files.put(model, weights, path.name)
    facts = pretrained.About(
        name=f"FCN-{variant}, {path.name}",
        weights=str(path),
        preprocess=caffe.preprocess,
        deprocess=caffe.deprocess,
        class_names=voc.CLASS_NAMES if classes == len(voc.CLASS_NAMES) else (),
        input_size=500,
    )
    return pretrained.remember(model, facts)


def _weights(arrays: Mapping[str, list[np.ndarray]], path: Path) -> dict[str, np.ndarray]:
    """Kernels (out, in, h, w) become (h, w, in, out); transposed ones (in, out, h, w) become (h, w, out, in).

    The nets trained "at once" multiply pool4 and pool3 by small numbers first: these go into the kernels.
    """
    weights: dict[str, np.ndarray] = {}
    scales = {
        name.replace("scale", "score"): values[0]
        for name, values in arrays.items()
        if name.startswith("scale_")
    }
    for name, (kernel, *bias) in arrays.items():
        if name.startswith("scale_"):
            continue
        if name in scales:
            kernel = kernel * scales[name].reshape(1, -1, 1, 1)
        if kernel.ndim != 4:
            raise ValueError(f"{path}: {name}: expected a kernel of four dimensions, found {kernel.shape}")
        weights[f"{name}_kernel"] = kernel.transpose(2, 3, 1, 0)
        if bias:
            weights[f"{name}_bias"] = bias[0].ravel()
    return weights
