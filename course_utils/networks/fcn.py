"""Fully convolutional networks for segmentation: FCN-32s, 16s and 8s on VGG-16 of any width. Notebook 05.

VGG's poolings leave one value for each 32x32 pixels. FCN scores the classes there with a 1x1 convolution
and interpolates back to the picture's size with transposed convolutions that start as exactly bilinear
ones; 16s and 8s add the scores of earlier, finer maps (Long, Shelhamer and Darrell 2015, sections 3 and 4).

How things stay aligned. A map of stride s has its value i over the pixels s*i … s*i + s - 1, in the middle
of them. Enlarging a map by f must keep that: `_enlarged` repeats the edge once, so that nothing falls off
towards zeros there, lets a transposed convolution spread each value over 2f pixels, and crops 3f/2 at each
end, which is half a kernel and the repeated edge. Poolings round up, so every map covers the whole picture,
and reaches over its right and lower border where a side is no multiple of 32; `CropLike` cuts off what is
over, and since every map begins at the picture's first pixel, it cuts there alone.
(The original pads the picture by 100 pixels and crops with offsets instead: 19, 5, 9 or 31.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from course_utils.networks import vgg16

if TYPE_CHECKING:
    import keras

Variant = Literal["32s", "16s", "8s"]
VARIANTS: tuple[Variant, ...] = ("32s", "16s", "8s")
SKIPS: dict[str, tuple[str, ...]] = {"32s": (), "16s": ("pool4",), "8s": ("pool4", "pool3")}
COURSE_DENSE: tuple[tuple[int, int], ...] = ((96, 3),)
"""Filters and size of the convolutions above block 5: one that sees a good part of a small picture."""
ORIGINAL_DENSE: tuple[tuple[int, int], ...] = ((4096, 7), (4096, 1))
"""VGG-16's two dense layers as convolutions."""
IGNORED = 255


# --- transposed convolutions ----------------------------------------------------------------------------


def bilinear_kernel(stride: int, channels: int = 1) -> np.ndarray:
    """The kernel with which a transposed convolution interpolates bilinearly.

    Args:
        stride: factor of enlargement, even.
        channels: each is enlarged by itself.

    Returns:
        float32 (2 * stride, 2 * stride, channels, channels): a tent of width 2 * stride for a channel on
        itself, zeros between channels.

    Raises:
        ValueError: an odd stride: half a kernel would be no whole number of pixels.

    Long, Shelhamer and Darrell (2015), section 3.3. Notebook 05.
    """
    if stride < 2 or stride % 2:
        raise ValueError(f"stride={stride}: an even number of at least 2 is needed")
    tent = 1 - np.abs((np.arange(2 * stride) + 0.5) / stride - 1)
    return np.multiply.outer(np.outer(tent, tent), np.eye(channels)).astype(np.float32)


@cache
def crop_like() -> type[keras.layers.Layer]:
    """The layer class `CropLike`: (x, like) -> the part of x that lies over `like`."""
    import keras

    @keras.saving.register_keras_serializable("course")
    class CropLike(keras.layers.Layer):
        """Cut the first input to the height and width of the second, from its pixel (offset, offset) on."""

        def __init__(self, offset: int = 0, **options: Any) -> None:
            super().__init__(**options)
            self.offset = offset

        def call(self, inputs: Any) -> Any:
            x, like = inputs
            size, first = keras.ops.shape(like), self.offset
            return x[:, first : first + size[1], first : first + size[2]]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "offset": self.offset}

        def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
            x, like = input_shape
            return (x[0], like[1], like[2], x[3])

    return CropLike


def _enlarged(x: Any, stride: int, like: Any, name: str, last: bool = False) -> Any:
    """x times `stride`, cut to the size of `like`. The last one stays bilinear, and in float32."""
    from keras import layers, ops

    channels = x.shape[-1]
    kernel = bilinear_kernel(stride, channels)
    x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="symmetric")
    x = layers.Conv2DTranspose(
        channels,
        2 * stride,
        strides=stride,
        use_bias=False,
        kernel_initializer=lambda shape, dtype=None: ops.convert_to_tensor(kernel, dtype),
        trainable=not last,
        dtype="float32" if last else None,
        name=name,
    )(x)
    x = layers.Cropping2D(3 * stride // 2, name=f"{name}_crop", dtype=x.dtype)(x)
    return crop_like()(name=f"{name}_like", dtype=x.dtype)([x, like])


# --- the network ----------------------------------------------------------------------------------------


def build(
    classes: int,
    variant: Variant = "8s",
    *,
    backbone: keras.Model | None = None,
    width: float = 1.0,
    dense: Sequence[tuple[int, int]] = COURSE_DENSE,
    dropout: float = 0.0,
    name: str | None = None,
) -> keras.Model:
    """Build an FCN.

    Args:
        classes: number of classes, at least 2.
        variant: "32s", "16s" (adds the scores of pool4) or "8s" (of pool4 and pool3).
        backbone: a VGG-16 whose convolutions are copied (`pretrained.load_vgg16(include_top=False)`); its
            dense layers, too, where `dense` fits them. Without one, random weights.
        width: of VGG-16 without a backbone.
        dense: (filters, size) of each convolution between block 5 and the scores, named fc6, fc7, …
        dropout: rate behind each of these.
        name: default "fcn8s" and so on.

    Returns:
        A model from float32 (N, H, W, 3), BGR minus the mean, any H and W, to float32 logits
        (N, H, W, classes). Its score layers begin at zero: the first answer is the same for all classes.

    Raises:
        ValueError: an unknown variant, or fewer than two classes.

    Long, Shelhamer and Darrell (2015), section 4.2. Notebook 05.
    """
    from keras import Input, Model

    if variant not in VARIANTS or classes < 2:
        raise ValueError(f"variant={variant!r}, classes={classes}: {', '.join(VARIANTS)}, and 2 or more")
    if backbone is not None:
        first = vgg16.LAYERS[0]
        width = backbone.get_layer(first).filters / vgg16.CHANNELS[first]
    inputs = Input((None, None, 3), name="image")
    maps = trunk(inputs, width)
    logits = _scores(maps, inputs, classes, variant, dense, dropout)
    model = Model(inputs, logits, name=name or f"fcn{variant}")
    if backbone is not None:
        _copy_backbone(model, backbone)
    return model


def trunk(x: Any, width: float, until: str = "block5_pool") -> dict[str, Any]:
    """VGG-16's maps as they are for any size: poolings round up (see above).

    Args:
        x: the picture's tensor.
        width: of VGG-16.
        until: the last layer.

    Returns:
        Name -> tensor: of each convolution ("block4_conv3"), and of each pooling ("pool4").
    """
    from keras import layers

    maps: dict[str, Any] = {}
    for layer in vgg16.stops_in_order():
        if layer.endswith("_pool"):
            x = layers.MaxPooling2D(2, strides=2, padding="same", name=layer)(x)
            maps[layer.replace("block", "pool").removesuffix("_pool")] = x
        else:
            filters = vgg16.channels_of(layer, width)
            options: Any = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
            x = maps[layer] = layers.Conv2D(filters, 3, name=layer, **options)(x)
        if layer == until:
            break
    return maps


def _scores(
    maps: dict[str, Any],
    inputs: Any,
    classes: int,
    variant: str,
    dense: Sequence[tuple[int, int]],
    rate: float,
) -> Any:
    """Class scores of the coarsest map, with finer ones added, at the size of the picture."""
    from keras import layers

    def score(x: Any, name: str) -> Any:
        return layers.Conv2D(classes, 1, kernel_initializer="zeros", name=name)(x)

    x = maps["pool5"]
    for i, (filters, size) in enumerate(dense, start=6):
        options: Any = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
        x = layers.Conv2D(filters, size, name=f"fc{i}", **options)(x)
        x = layers.Dropout(rate, name=f"fc{i}_dropout")(x) if rate else x
    x, stride = score(x, "score_fr"), 32
    for skip in SKIPS[variant]:
        finer = score(maps[skip], f"score_{skip}")
        x = _enlarged(x, 2, finer, f"upscore_{skip}")
        x, stride = layers.Add(name=f"fuse_{skip}")([x, finer]), stride // 2
    return _enlarged(x, stride, inputs, f"upscore{stride}", last=True)


def _copy_backbone(model: keras.Model, backbone: keras.Model) -> None:
    """Copy the convolutions, and dense layers of the same shape, from a VGG-16."""
    for name in vgg16.LAYERS:
        model.get_layer(name).set_weights(backbone.get_layer(name).get_weights())
    present = {layer.name: layer for layer in backbone.layers}
    own = {layer.name: layer for layer in model.layers}
    for old, new in (("fc1", "fc6"), ("fc2", "fc7")):
        if old in present and new in own:
            kernel, bias = present[old].get_weights()
            if kernel.size == np.prod(own[new].kernel.shape):
                own[new].set_weights([kernel.reshape(own[new].kernel.shape), bias])


# --- from one to the next -------------------------------------------------------------------------------


def variant_of(names: Sequence[str]) -> Variant:
    """Which FCN has these layers.

    Raises:
        ValueError: they are of another network.
    """
    if "score_fr" not in names:
        raise ValueError("no FCN: it has no layer score_fr")
    return "8s" if "score_pool3" in names else "16s" if "score_pool4" in names else "32s"


def like(
    shapes: dict[str, tuple[int, ...]], variant: Variant | None = None, dropout: float = 0.0
) -> keras.Model:
    """Build an FCN with random weights whose sizes are those of given kernels.

    Args:
        shapes: layer name -> shape of its kernel.
        variant: default the one whose layers are there.

    Raises:
        ValueError: the layers are of another network.
    """
    found = variant_of(list(shapes))
    dense = [(shapes[f"fc{i}"][-1], shapes[f"fc{i}"][0]) for i in range(6, 10) if f"fc{i}" in shapes]
    first = vgg16.LAYERS[0]
    if first not in shapes:
        raise ValueError(f"no FCN: it has no layer {first}")
    width = shapes[first][-1] / vgg16.CHANNELS[first]
    return build(shapes["score_fr"][-1], variant or found, width=width, dense=dense, dropout=dropout)


def grow(model: keras.Model, dropout: float = 0.0) -> keras.Model:
    """The next finer FCN, with what the coarser one has learnt: 32s -> 16s -> 8s.

    Everything is copied, the score layers, too, so that training the new network leaves the old one as it
    is (score layers shared between the three are a known trap). The new skip starts at zero: at first the
    answer is nearly the old one, since two bilinear steps are nearly one.

    Raises:
        ValueError: an 8s, or no FCN.
    """
    kernels = {
        la.name: tuple(la.kernel.shape) for la in model.layers if getattr(la, "kernel", None) is not None
    }
    variant = variant_of(list(kernels))
    if variant == "8s":
        raise ValueError("FCN-8s is the finest of the three")
    finer = like(kernels, VARIANTS[VARIANTS.index(variant) + 1], dropout)
    own = {layer.name for layer in finer.layers}
    for layer in model.layers:
        if layer.name in own and getattr(layer, "kernel", None) is not None:
            finer.get_layer(layer.name).set_weights(layer.get_weights())
    return finer


def split(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The network in two parts: of a trunk that stays as it is, the maps need only be computed once.

    Args:
        model: an FCN.

    Returns:
        (below, above), made of the model's own layers: `below` from pictures to a list of the maps of pools
        3, 4 and 5, and `above` from [pictures, maps…] to the logits. Of the pictures only the size counts,
        and of the maps it takes those that its variant scores, the finest first: pool 5 alone for a 32s.
    """
    from keras import Model

    maps = {f"pool{i}": model.get_layer(f"block{i}_pool").output for i in (3, 4, 5)}
    scored = SKIPS[variant_of([layer.name for layer in model.layers])]
    above = [maps[name] for name in (*scored[::-1], "pool5")]
    return Model(model.input, list(maps.values())), Model([model.input, *above], model.output)


# --- the loss -------------------------------------------------------------------------------------------


def pixel_loss(class_weights: np.ndarray | None = None, ignored: int = IGNORED) -> Callable[[Any, Any], Any]:
    """Softmax cross-entropy of every pixel, without those that nobody may be judged by.

    Args:
        class_weights: (classes,), how much a pixel of each class counts; default all the same.
        ignored: the label that is left out.

    Returns:
        `loss(truth, logits)` with truth (N, H, W) class indices, any dtype, and logits (N, H, W, classes)
        -> the weighted mean over the pixels that count; 0 where none does.
    """
    from keras import ops

    def loss(truth: Any, logits: Any) -> Any:
        truth = ops.cast(truth, "int32")
        classes = logits.shape[-1]
        counts = ops.cast(ops.not_equal(truth, ignored), "float32")
        targets = ops.one_hot(ops.where(truth == ignored, 0, truth), classes, dtype="float32")
        if class_weights is not None:
            counts = counts * ops.sum(targets * ops.convert_to_tensor(class_weights, "float32"), axis=-1)
        logits = ops.cast(logits, "float32")
        missed = -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
        return ops.sum(missed * counts) / ops.maximum(ops.sum(counts), 1e-6)

    return loss
