"""What is compared: Gram matrices, total variation, and the rules by which sums become losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


def gram(maps: Any) -> Any:
    """The Gram matrix of feature maps: which of them are active in the same places.

    Args:
        maps: (h, w, c) or (1, h, w, c), array or tensor.

    Returns:
        (c, c) float32 tensor: entry (i, j) is the sum over all places of map i times map j. Moving the places
        around changes nothing.

    Gatys et al. (2015), equation 3. Notebook 07.
    """
    from keras import ops

    maps = ops.cast(maps, "float32")
    places = ops.reshape(maps, (-1, ops.shape(maps)[-1]))
    half = ops.matmul(ops.transpose(ops.stop_gradient(places)), places)
    # By symmetry either factor has half of the gradient: one product instead of two on the way back.
    return 2 * half - ops.stop_gradient(half)


def mean_gram(maps: Any, mask: Any = None) -> Any:
    """The Gram matrix divided by the number of places, so that pictures of two sizes compare: (c, c).

    With a mask, (h, w, 1) and 0..1, each place counts as much as the mask says, and the places are those
    inside (Gatys et al. 2017, section 4.1).
    """
    from keras import ops

    if mask is not None:
        return gram(ops.cast(maps, "float32") * ops.sqrt(mask)) / ops.sum(mask)
    height, width = ops.shape(maps)[-3:-1]
    return gram(maps) / ops.cast(height * width, "float32")


def total_variation(image: Any) -> Any:
    """The sum of squared differences between neighbours, down and across: large where a picture is noisy.

    Args:
        image: (H, W, 3) or (1, H, W, 3), array or tensor.

    Returns:
        A scalar tensor.

    Mahendran and Vedaldi (2015), section 3.2, with beta = 2. Notebook 07.
    """
    from keras import ops

    down = image[..., 1:, :, :] - image[..., :-1, :, :]
    across = image[..., :, 1:, :] - image[..., :, :-1, :]
    return ops.sum(ops.square(down)) + ops.sum(ops.square(across))


@dataclass(frozen=True)
class Normalization:
    """How a published implementation scales its sums of squared differences.

    Attributes:
        source: whose it is.
        content: (channels, places, pixels) -> factor of the sum over a layer's maps.
        style: the same for the sum over the entries of a layer's mean Gram matrix.
    """

    source: str
    content: Callable[[int, int, int], float]
    style: Callable[[int, int, int], float]


NORMALIZATIONS: dict[str, Normalization] = {
    "paper": Normalization(
        "Gatys et al. (2015), equations 1 and 4", lambda n, m, p: 0.5, lambda n, m, p: 1 / (4 * n**2)
    ),
    "mean": Normalization(
        "mean squared errors: Gatys' later code, Johnson et al. (2016)",
        lambda n, m, p: 1 / (n * m),
        lambda n, m, p: 1 / n**2,
    ),
    "keras": Normalization(
        "the example on keras.io", lambda n, m, p: 1.0, lambda n, m, p: m**2 / (4 * 9 * p**2)
    ),
    "pytorch": Normalization(
        "the PyTorch tutorial", lambda n, m, p: 1 / (n * m), lambda n, m, p: 1 / n**4
    ),
}  # fmt: skip
"""By name. A weight published with one of them is millions off with another."""


def weigh(
    maps: Any, factors: Any, targets: Sequence[Any], count: int, masks: Sequence[Any] = ()
) -> tuple[Any, Any]:
    """Content and style loss: factors times sums of squared differences.

    Args:
        maps: feature maps (1, h, w, c); the first `count` are content layers, the others style layers.
        factors: one for each, a float32 vector.
        targets: the maps of the photograph, then the mean Gram matrices of the artwork: (c, c), or with
            masks (regions, c, c).
        masks: where each artwork's style is wanted: for each style layer (regions, h, w, 1), or nothing.
    """
    from keras import ops

    content, style = ops.zeros(()), ops.zeros(())  # never `+=`: a torch tensor would change in place
    for i, (each, target) in enumerate(zip(maps, targets, strict=True)):
        if i < count:
            content = content + factors[i] * ops.sum(ops.square(ops.cast(each, "float32") - target))
        elif masks:
            style = style + factors[i] * _by_region(each, target, masks[i - count])
        else:
            style = style + factors[i] * ops.sum(ops.square(mean_gram(each) - target))
    return content, style


def _by_region(maps: Any, targets: Any, masks: Any) -> Any:
    """Squared differences of Gram matrices, region by region, each weighed by its share of the picture."""
    from keras import ops

    total = ops.zeros(())
    for region in range(masks.shape[0]):
        found = mean_gram(maps, masks[region])
        total = total + ops.mean(masks[region]) * ops.sum(ops.square(found - targets[region]))
    return total
