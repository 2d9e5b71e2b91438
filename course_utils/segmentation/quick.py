"""An FCN in a minute: the first blocks stay as they are, and their maps are computed once. Notebook 05.

Edges and colours are the same everywhere, so VGG-16's first three blocks can stay as they came. They are also
where most of the computation is. `prepare` runs them once for each picture and its mirror image; `learn`
trains what lies above. `recipes.fcn` is the thorough way: other views in every epoch, more blocks, records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.networks import fcn, gradients
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

AFTER = "block3_pool"


@dataclass(frozen=True)
class Prepared:
    """Training pictures with what the frozen blocks make of them.

    Attributes:
        pictures: float32 (N, H, W, 3), preprocessed; maps: (N, h, w, channels); masks: uint8 (N, H, W).
    """

    pictures: np.ndarray
    maps: np.ndarray
    masks: np.ndarray


def prepare(model: keras.Model, pictures: np.ndarray, masks: np.ndarray, batch: int = 32) -> Prepared:
    """Run the first three blocks on pictures and on their mirror images.

    Args:
        model: an FCN.
        pictures: (N, H, W, 3), RGB 0..255; masks: (N, H, W), class indices, 255 ignored.
    """
    below, _ = fcn.split(model, AFTER)
    x = images.preprocess(np.concatenate([pictures, pictures[:, :, ::-1]]))
    y = np.concatenate([masks, masks[:, :, ::-1]])
    return Prepared(x, gradients.forward(below, x, batch), y)


def learn(
    model: keras.Model,
    ready: Prepared,
    steps: int,
    rate: float = 5e-4,
    weights: np.ndarray | None = None,
    *,
    batch: int = 16,
    seed: int = 0,
) -> list[float]:
    """Train what lies above the frozen blocks, with Adam and a learning rate that falls to zero.

    Args:
        model: the FCN that `ready` was prepared with, or one grown from it; it is changed.
        ready: from `prepare`.
        steps: batches in all.
        rate: learning rate at the beginning.
        weights: how much a pixel of each class counts, see `fcn.pixel_loss`.

    Returns:
        The loss of every step.
    """
    from keras import optimizers

    _, above = fcn.split(model, AFTER)
    falling: Any = optimizers.schedules.CosineDecay(rate, steps)
    above.compile(optimizers.Adam(falling), fcn.pixel_loss(weights), jit_compile=False)
    rng = np.random.default_rng(seed)
    rounds = -(-steps * batch // len(ready.masks))
    order = np.concatenate([rng.permutation(len(ready.masks)) for _ in range(rounds)])
    losses = []
    for step in range(steps):
        pick = order[step * batch : (step + 1) * batch]
        x = [ready.pictures[pick], ready.maps[pick]]
        losses.append(float(np.squeeze(above.train_on_batch(x, ready.masks[pick]))))
    return losses
