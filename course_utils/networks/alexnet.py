"""AlexNet as Caffe has it (Krizhevsky, Sutskever and Hinton 2012). Notebook 07.

Five convolutions, three of them in two halves that do not see each other (the authors trained on two GPUs);
after the first two, each value is divided by what its neighbours among the maps make of the same place.
Maps of 55, 27 and 13 pixels a side from a picture of 227. 60,965,224 weights, most of them in fc6.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.networks import caffe, foreign, pretrained, torch_files, weight_files

if TYPE_CHECKING:
    import keras

# name: filters, size, stride, padding, groups
CONVOLUTIONS: dict[str, tuple[int, int, int, str, int]] = {
    "conv1": (96, 11, 4, "valid", 1),
    "conv2": (256, 5, 1, "same", 2),
    "conv3": (384, 3, 1, "same", 1),
    "conv4": (384, 3, 1, "same", 2),
    "conv5": (256, 3, 1, "same", 2),
}
NORMALIZED, POOLED = ("conv1", "conv2"), ("conv1", "conv2", "conv5")
DENSE = {"fc6": 4096, "fc7": 4096}


@cache
def response_normalization() -> type[keras.layers.Layer]:
    """The layer class `ResponseNormalization`: x / (1 + 1e-4 / 5 * sum of squares of five maps) ** .75."""
    import keras
    from keras import ops

    @keras.saving.register_keras_serializable("course")
    class ResponseNormalization(keras.layers.Layer):
        """Loud maps quieten their neighbours: two before, two behind (2012 paper, section 3.3)."""

        def call(self, x: Any) -> Any:
            squares = ops.pad(ops.square(x), [[0, 0], [0, 0], [0, 0], [2, 2]])
            total = sum(squares[..., i : i + x.shape[-1]] for i in range(5))
            return x / (1 + 1e-4 / 5 * total) ** 0.75

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    return ResponseNormalization


def build(
    classes: int = 1000,
    *,
    width: float = 1.0,
    include_top: bool = True,
    initializer: str = "he_normal",
) -> keras.Model:
    """Build AlexNet with random weights.

    Args:
        classes: of the softmax.
        width: factor on every number of filters; 1 is the original.
        include_top: with the three dense layers, for pictures of 227x227; without, for any size.
        initializer: of the kernels; "zeros" is quicker where a file's weights follow.

    Returns:
        A model from float32 (N, H, W, 3), BGR minus `caffe.MEAN`, to softmax values (N, classes) or to
        the maps of pool5 (N, 6, 6, 256). Layers are named as in Caffe: conv1, norm1, pool1, …, fc8.
    """
    from keras import Input, Model, layers

    def scaled(filters: int) -> int:
        return max(2, 2 * round(filters * width / 2))  # a whole number in each half

    x = inputs = Input((227, 227, 3) if include_top else (None, None, 3), name="image")
    options: Any = {"kernel_initializer": initializer}
    for name, (filters, size, stride, padding, groups) in CONVOLUTIONS.items():
        x = layers.Conv2D(
            scaled(filters), size, stride, padding, groups=groups, activation="relu", name=name, **options
        )(x)
        if name in NORMALIZED:
            x = response_normalization()(name=name.replace("conv", "norm"))(x)
        if name in POOLED:
            x = layers.MaxPooling2D(3, 2, name=name.replace("conv", "pool"))(x)
    if include_top:
        x = layers.Flatten(name="flatten")(x)
        for name, units in DENSE.items():
            x = layers.Dense(scaled(units), activation="relu", name=name, **options)(x)
            x = layers.Dropout(0.5, name=name.replace("fc", "drop"))(x)
        x = layers.Dense(classes, activation="softmax", dtype="float32", name="fc8", **options)(x)
    return Model(inputs, x, name="alexnet")


def load_alexnet(path: str | Path, *, include_top: bool = True) -> keras.Model:
    """AlexNet with the weights of a Caffe file, such as `bvlc_alexnet.caffemodel`.

    Args:
        path: `.caffemodel`. The course ships none: none could be had under terms that allow it.
        include_top: see `build`.

    Returns:
        The model; `about(model)` prepares pictures for it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or of another network, torchvision's AlexNet for one: the message names
            layer, expected and found.
    """
    path = Path(path).expanduser()
    if path.suffix in torch_files.SUFFIXES:
        raise ValueError(
            f"{path}: torchvision's AlexNet is another network (Krizhevsky 2014: 64 filters in the first "
            "layer instead of 96, no halves, no response normalization); the .caffemodel of 2012 is needed"
        )
    arrays = caffe.read(path)
    wanted = (*CONVOLUTIONS, *DENSE, "fc8") if include_top else tuple(CONVOLUTIONS)
    missing = [name for name in wanted if len(arrays.get(name, ())) != 2]
    if missing:
        found = ", ".join(list(arrays)[:5])
        raise ValueError(f"{path} holds another network than AlexNet: no {missing[0]} in it, but {found} …")
    pairs = {name: (arrays[name][0], arrays[name][1].ravel()) for name in wanted}
    weights = foreign.converted(pairs, (*DENSE, "fc8"), "conv5", path)
    classes = weights["fc8_bias"].size if include_top else 1000
    width = weights["conv1_bias"].size / CONVOLUTIONS["conv1"][0]
    model = build(classes, width=width, include_top=include_top, initializer="zeros")
    weight_files.put(model, weights, path.name)
    facts = pretrained.About(
        name=f"AlexNet, {path.name}",
        weights=str(path),
        preprocess=caffe.preprocess,
        deprocess=caffe.deprocess,
        input_size=227,
    )
    return pretrained.remember(model, facts)
