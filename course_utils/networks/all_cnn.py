"""The all convolutional net and its three relatives (Springenberg et al. 2015). Notebook 06.

Model C is a plain network for CIFAR-10 with two max poolings. Strided-CNN-C drops each pooling and gives
the convolution before it a stride of 2; ConvPool-CNN-C keeps the pooling and adds a convolution before it;
All-CNN-C replaces each pooling with a strided convolution. All end in global average pooling (table 1 and 2
of the paper, arXiv 1412.6806). The paper's networks have no batch normalization; here training may use it,
and `folding.folded` turns the result into the paper's network.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import keras

# (name, filters, kernel size, stride); "pool" is 3x3 max pooling, stride 2; dropout follows each reduction.
VARIANTS: dict[str, list[tuple[str, int, int, int] | str]] = {
    "c": [
        ("conv1", 96, 3, 1),
        ("conv2", 96, 3, 1),
        "pool",
        ("conv4", 192, 3, 1),
        ("conv5", 192, 3, 1),
        "pool",
    ],
    "strided": [
        ("conv1", 96, 3, 1),
        ("conv2", 96, 3, 2),
        "drop",
        ("conv4", 192, 3, 1),
        ("conv5", 192, 3, 2),
        "drop",
    ],
    "convpool": [
        *(("conv1", 96, 3, 1), ("conv2", 96, 3, 1), ("conv3", 96, 3, 1), "pool"),
        *(("conv4", 192, 3, 1), ("conv5", 192, 3, 1), ("conv6", 192, 3, 1), "pool"),
    ],
    "all": [
        *(("conv1", 96, 3, 1), ("conv2", 96, 3, 1), ("conv3", 96, 3, 2), "drop"),
        *(("conv4", 192, 3, 1), ("conv5", 192, 3, 1), ("conv6", 192, 3, 2), "drop"),
    ],
}
TITLES = {"c": "Model C", "strided": "Strided-CNN-C", "convpool": "ConvPool-CNN-C", "all": "All-CNN-C"}
PYTORCH_KERNELS = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1 / 3, "mode": "fan_in", "distribution": "uniform"},
}
"""As PyTorch draws the kernels of convolutions: a sixth of the variance that He et al. (2015) give a ReLU
layer. (It draws biases at random, too; here they start at zero.)"""


def strided(variant: str) -> tuple[str, ...]:
    """The names of a variant's convolutions with a stride."""
    return tuple(step[0] for step in VARIANTS[variant] if isinstance(step, tuple) and step[3] > 1)


def build(
    variant: Literal["c", "strided", "convpool", "all"] = "all",
    *,
    classes: int = 10,
    padding: Literal["valid", "same"] = "valid",
    last_relu: bool = False,
    dropout: tuple[float, float] = (0.2, 0.5),
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    initializer: str | dict[str, Any] = "he_normal",
    batch_norm: bool | type[keras.layers.Layer] = False,
    width: float = 1.0,
    linear: Collection[str] = (),
) -> keras.Model:
    """Build one of the paper's networks of group C with random weights.

    Args:
        variant: "all" is All-CNN-C; the others are what it is compared with.
        classes: of the softmax.
        padding: of the seventh convolution. "valid" as in the paper averages 6x6 places, "same" as in
            the 2016 code 8x8.
        last_relu: a ReLU after the last convolution, as in the paper's table, or none.
        dropout: rates on the picture and after each reduction; .2 and .5 in the paper, 0 leaves it out.
        input_shape: (H, W, 3); H and W may be None.
        initializer: of the kernels, a name or a configuration. With "glorot_uniform", Keras's default, the
            signal fades through nine ReLU layers and training starts late or stays at 90 % error.
        batch_norm: normalize before each ReLU, for training only; may be a layer class that behaves
            like Keras's.
        width: share of the paper's filters, for short trainings.
        linear: names of convolutions without a ReLU; ("conv3", "conv6") in the 2016 code.

    Returns:
        A functional model from float32 (N, H, W, 3), normalized pictures, to softmax values (N, classes).

    Raises:
        ValueError: an unknown variant or padding.
    """
    from keras import Input, Model, layers

    if variant not in VARIANTS or padding not in ("valid", "same"):
        raise ValueError(
            f"variant={variant!r}, padding={padding!r}: there are {', '.join(VARIANTS)} and 'valid', 'same'"
        )

    def convolve(x: Any, name: str, filters: int, size: int, stride: int = 1, pad: str = "same") -> Any:
        answers = name == "conv9"
        norm = False if answers and not last_relu else batch_norm
        relu = name not in linear and (last_relu or not answers)
        filters = filters if answers else max(1, round(filters * width))
        plain = {"padding": pad, "kernel_initializer": initializer}
        return _convolution(x, name, (filters, size, stride), plain, relu, norm)

    x = inputs = Input(input_shape, name="image")
    if dropout[0]:
        x = layers.Dropout(dropout[0], name="drop_image")(x)
    for index, step in enumerate(VARIANTS[variant]):
        if isinstance(step, tuple):
            x = convolve(x, *step)
            continue
        if step == "pool":
            x = layers.MaxPooling2D(3, 2, "same", name=f"pool{index}")(x)
        if dropout[1]:
            x = layers.Dropout(dropout[1], name=f"drop{index}")(x)
    x = convolve(x, "conv7", 192, 3, pad=padding)
    x = convolve(x, "conv8", 192, 1)
    x = convolve(x, "conv9", classes, 1)
    x = layers.GlobalAveragePooling2D(name="average_pool")(x)
    x = layers.Activation("softmax", dtype="float32", name="predictions")(x)
    return Model(inputs, x, name=f"{variant}_cnn_c" if variant != "c" else "model_c")


def _convolution(
    x: Any, name: str, shape: tuple[int, int, int], plain: dict[str, Any], relu: bool, norm: Any
) -> Any:
    """A convolution of (filters, size, stride), normalized if asked, with a ReLU or without."""
    from keras import layers

    x = layers.Conv2D(*shape, name=name, use_bias=not norm, **plain)(x)
    if norm:
        norm = layers.BatchNormalization if norm is True else norm
        x = norm(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x
