"""An FCN in a minute: VGG-16 stays as it is, and its maps are computed once. Notebook 05.

`prepare` runs the frozen trunk once for each picture; `learn` trains what lies above pools 3, 4 and 5, which
costs next to nothing; `answer` labels from the same maps. `training.fcn` is the thorough way: other views in
every epoch, more blocks, records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runtime
from course_utils.networks import fcn, gradients
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Prepared:
    """Labelled pictures as the frozen trunk sees them.

    Attributes:
        maps: of pools 3, 4 and 5, float32 (N, h, w, channels); masks: uint8 (N, H, W).
    """

    maps: tuple[np.ndarray, np.ndarray, np.ndarray]
    masks: np.ndarray

    def inputs(self, pick: Any, count: int) -> list[np.ndarray]:
        """What the part above the trunk takes: blank pictures of the right size, and the last maps."""
        chosen = [maps[pick] for maps in self.maps[3 - count :]]
        return [np.zeros((*chosen[0].shape[:1], *self.masks.shape[1:], 3), np.float32), *chosen]

    def some(self, pick: np.ndarray) -> Prepared:
        """Those of some pictures, by their numbers."""
        pool3, pool4, pool5 = self.maps
        return Prepared((pool3[pick], pool4[pick], pool5[pick]), self.masks[pick])


def prepare(model: keras.Model, pictures: np.ndarray, masks: np.ndarray, batch: int = 8) -> Prepared:
    """Run the trunk on pictures.

    Args:
        model: an FCN; what it is prepared with serves every FCN on the same trunk.
        pictures: (N, H, W, 3), RGB 0..255; masks: (N, H, W), class indices, 255 ignored.
    """
    below, _ = fcn.split(model)
    pool3, pool4, pool5 = gradients.forward(below, pictures, batch, before=images.preprocess)
    return Prepared((pool3, pool4, pool5), masks)


def learn(
    model: keras.Model,
    ready: Prepared,
    steps: int,
    rate: float = 1e-3,
    weights: np.ndarray | None = None,
    *,
    batch: int = 16,
    seed: int = 0,
) -> list[float]:
    """Train what lies above the trunk, with Adam and a learning rate that falls to zero.

    Args:
        model: an FCN on the trunk that `ready` was prepared with; it is changed.
        ready: from `prepare`.
        steps: batches in all.
        rate: learning rate at the beginning.
        weights: how much a pixel of each class counts, see `fcn.pixel_loss`.

    Returns:
        The loss of every step.
    """
    from keras import optimizers

    _, above = fcn.split(model)
    falling: Any = optimizers.schedules.CosineDecay(rate, steps)
    above.compile(optimizers.Adam(falling), fcn.pixel_loss(weights), jit_compile=runtime.xla())
    rng = np.random.default_rng(seed)
    rounds = -(-steps * batch // len(ready.masks))
    order = np.concatenate([rng.permutation(len(ready.masks)) for _ in range(rounds)])
    losses = []
    for step in range(steps):
        pick = order[step * batch : (step + 1) * batch]
        x = ready.inputs(pick, len(above.inputs) - 1)
        losses.append(float(np.squeeze(above.train_on_batch(x, ready.masks[pick]))))
    return losses


def answer(model: keras.Model, ready: Prepared, batch: int = 16) -> np.ndarray:
    """The logits of every pixel of prepared pictures: float32 (N, H, W, classes)."""
    _, above = fcn.split(model)
    inputs = ready.inputs(slice(None), len(above.inputs) - 1)
    parts = [
        above.predict_on_batch([each[start : start + batch] for each in inputs])
        for start in range(0, len(ready.masks), batch)
    ]
    return np.concatenate(parts)
