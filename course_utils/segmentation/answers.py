"""Label maps from a network: for a picture of any size, in tiles where memory would not do. Notebook 05."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.networks import fcn, fcn_head, fcn_voc, gradients, heads, pretrained, weight_files
from course_utils.pictures import images
from course_utils.segmentation import smoothing

if TYPE_CHECKING:
    import keras

LIMIT_MB = 1500.0
"""A picture for which a network's maps would need more than this is cut into tiles."""

Answer = Callable[[np.ndarray], np.ndarray]


def load(weights: str | Path = "streets") -> keras.Model:
    """An FCN from a weight file; variant, width and classes are those of its layers.

    A file that holds a head alone (`networks.fcn_head`) is put on the original's convolutions.

    Args:
        weights: the `.npz` of `course train fcn` (with `card.json` or `NAME.json` beside it), the name of
            one that ships, or the authors' own for PASCAL VOC, such as `fcn8s-heavy-pascal.caffemodel`.

    Returns:
        The model; `pretrained.about(model)` has its class names and card.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or of another network; or a head of another trunk.
    """
    path = weight_files.find(weights)
    if path.suffix == ".caffemodel":
        return fcn_voc.load_fcn(path)
    values, card = weight_files.read(path), weight_files.card(path)
    if fcn_head.is_head(weight_files.layers(values)):
        heads.check(card, path)
        model = fcn_head.build(values, str(path))
    else:
        model = _whole(values, path)
    names = tuple(card.get("class_names", ()))
    facts = pretrained.About(
        name=str(card.get("title", path.name)),
        weights=str(weights),
        class_names=names if len(names) == model.output_shape[-1] else (),
        card=MappingProxyType(card),
    )
    return pretrained.remember(model, facts)


def _whole(values: dict[str, np.ndarray], path: Path) -> keras.Model:
    """An FCN with all its layers from one file."""
    try:
        model = fcn.like({n: values[f"{n}_kernel"].shape for n in weight_files.layers(values)})
    except ValueError as error:
        raise ValueError(
            f"{path} holds the weights of another network ({error}): `course train fcn` makes fitting ones"
        ) from error
    return weight_files.put(model, values, path)


def scores(model: keras.Model, image: np.ndarray, zoom: float | None = None) -> np.ndarray:
    """The logits of every pixel in one pass, or in two where the card says `mirror`.

    Args:
        model: an FCN. Its card may say by how much a picture is enlarged first (`zoom`), or to how many
            pixels its shorter side (`side`); the scores are brought back to the picture's size.
        image: (H, W, 3), RGB 0..255, any size.
        zoom: instead of the card's.

    Returns:
        float32 (H, W, classes).
    """
    facts = pretrained.about(model)
    size = (image.shape[0], image.shape[1])
    inner = zoomed(size, zoom_of(model, size) if zoom is None else zoom)
    x = facts.preprocess(images.resize(image, inner) if inner != size else image)[None]
    logits = gradients.forward(model, x)[0]
    if facts.card.get("mirror"):
        logits = (logits + gradients.forward(model, x[:, :, ::-1])[0, :, ::-1]) / 2
    return logits if inner == size else images.resize(logits, size)


def zoom_of(model: keras.Model, size: tuple[int, int]) -> float:
    """By how much a network wants a picture of this height and width enlarged."""
    card = pretrained.about(model).card
    return card["side"] / min(size) if "side" in card else float(card.get("zoom", 1.0))


def zoomed(size: tuple[int, int], zoom: float) -> tuple[int, int]:
    """Height and width of an enlarged picture."""
    return max(1, round(size[0] * zoom)), max(1, round(size[1] * zoom))


SMOOTHINGS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "none": lambda logits, image: logits.argmax(-1),
    "superpixels": lambda logits, image: smoothing.superpixel_vote(smoothing.probabilities(logits), image),
    "guided": lambda logits, image: smoothing.guided_filter(smoothing.probabilities(logits), image).argmax(
        -1
    ),
}
"""Ways from logits to labels."""


def label_map(
    model: keras.Model,
    image: np.ndarray,
    smooth: str = "none",
    limit_mb: float = LIMIT_MB,
    on_tile: Callable[[int, int], None] = lambda done, of: None,
) -> np.ndarray:
    """The class of every pixel.

    Args:
        model: an FCN.
        image: (H, W, 3), RGB 0..255, any size.
        smooth: "none", "superpixels" or "guided", see `smoothing`.
        limit_mb: a picture whose maps would need more is answered in overlapping tiles.
        on_tile: called with the number of tiles done and of all tiles.

    Returns:
        uint8 (H, W).

    Raises:
        ValueError: an unknown smoothing.
    """
    if smooth not in SMOOTHINGS:
        raise ValueError(f"smooth={smooth!r}: there are {', '.join(SMOOTHINGS)}")

    def answer(part: np.ndarray) -> np.ndarray:
        return SMOOTHINGS[smooth](scores(model, part, zoom), part).astype(np.uint8)

    zoom = zoom_of(model, (image.shape[0], image.shape[1]))
    needed = memory_mb(model, *zoomed((image.shape[0], image.shape[1]), zoom))
    if needed <= limit_mb:
        return answer(image)
    side = math.sqrt(limit_mb / memory_mb(model, 512, 512)) * 512 / zoom
    tile = max(64, int(side) // 32 * 32)
    return tiled(answer, image, tile, min(128, tile // 4), on_tile)


def tiled(
    answer: Answer,
    image: np.ndarray,
    tile: int = 512,
    margin: int = 128,
    on_tile: Callable[[int, int], None] = lambda done, of: None,
) -> np.ndarray:
    """Label a large picture tile by tile; each tile only answers for its middle.

    Tiles begin at multiples of 32, so that the network's grid lies where it would lie in one pass: if
    `margin` is as large as half a receptive field, the answer is the same as in one pass.

    Args:
        answer: (h, w, 3) -> (h, w) labels.
        image: (H, W, 3).
        tile: side of a tile, a multiple of 32.
        margin: how far each tile looks beyond what it answers for, a multiple of 16.
        on_tile: called with the number of tiles done and of all tiles.

    Returns:
        Labels (H, W), dtype of the answers.

    Raises:
        ValueError: the tile is no multiple of 32, or not larger than two margins.
    """
    if tile % 32 or margin < 0 or tile - 2 * margin < 32:
        raise ValueError(
            f"tile={tile}, margin={margin}: a multiple of 32, and at least 32 more than 2 margins"
        )
    rows, columns = (_spans(length, tile, margin) for length in image.shape[:2])
    out: np.ndarray | None = None
    places = list(product(rows, columns))
    for done, ((top, bottom, first_row, last_row), (left, right, first, last)) in enumerate(places, 1):
        part = answer(image[top:bottom, left:right])
        out = np.empty(image.shape[:2], part.dtype) if out is None else out
        out[first_row:last_row, first:last] = part[
            first_row - top : last_row - top, first - left : last - left
        ]
        on_tile(done, len(places))
    assert out is not None
    return out


def _spans(length: int, tile: int, margin: int) -> list[tuple[int, int, int, int]]:
    """Along one side, for each tile: where it begins and ends, and the part that it answers for."""
    step = (tile - 2 * margin) // 32 * 32
    count = 1 + max(0, math.ceil((length - tile) / step))
    starts = [i * step for i in range(count)]
    ends = [min(start + tile, length) for start in starts]
    cuts = [0, *((a + b) // 2 for a, b in zip(starts[1:], ends[:-1], strict=True)), length]
    return list(zip(starts, ends, cuts[:-1], cuts[1:], strict=True))


def memory_mb(model: keras.Model, height: int, width: int, batch: int = 1, training: bool = False) -> float:
    """About how much memory a picture of a size needs: all maps of one pass, and the weights.

    Nothing is freed before the pass ends, so the maps add up. Training keeps a gradient for each of them, and
    for each weight its gradient and the two running means of Adam.

    Args:
        height, width: of the picture; a network with `zoom` sees it enlarged.

    Returns:
        MB (10**6 bytes), from shapes alone.
    """
    import keras

    bytes_each = 2 if keras.config.dtype_policy().compute_dtype in ("bfloat16", "float16") else 4
    sizes = {id(model.inputs[0]): (batch, height, width, model.inputs[0].shape[-1])}
    total = math.prod(sizes[id(model.inputs[0])])
    for operation in model.operations[1:]:
        inputs = [keras.KerasTensor(sizes[id(t)]) for t in _tensors(operation.input)]
        output = operation.compute_output_spec(inputs if len(inputs) > 1 else inputs[0])
        sizes[id(operation.output)] = output.shape
        total += math.prod(output.shape)
    maps = total * bytes_each * (2 if training else 1)
    return (maps + model.count_params() * 4 * (4 if training else 1)) / 1e6


def _tensors(inputs: Any) -> list[Any]:
    return list(inputs) if isinstance(inputs, list | tuple) else [inputs]
