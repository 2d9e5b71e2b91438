"""Losses for boxes and key points, as Keras functions. Notebook 04.

Boxes inside them are x, y, w, h in shares of the picture. What boxes are judged by is `boxes.iou`; the
generalized IoU here is another thing: a loss, which still has a slope where two boxes do not touch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

LOSSES = ("l2", "smooth_l1", "iou", "iou_l1")


def box_loss(kind: str = "l2", classes: int = 1) -> Callable[[Any, Any], Any]:
    """A Keras loss between true and answered boxes.

    Args:
        kind: "l2", the squares of the four differences, as in the 2016 document; "smooth_l1", squares
            near 0 and absolute values beyond (Girshick 2015), less impressed by outliers; "iou", 1 minus
            the generalized IoU (Rezatofighi et al. 2019), which is what boxes are judged by;
            "iou_l1", both as in Carion et al. (2020).
        classes: 1 for one box for all classes, else their number: then the box of the true class counts.

    Returns:
        A function of y_true (N, 5): class, x, y, w, h, and y_pred (N, 4 * classes) -> (N,).

    Raises:
        ValueError: an unknown kind.
    """
    from keras import ops

    if kind not in LOSSES:
        raise ValueError(f"loss {kind!r}: there are {', '.join(LOSSES)}")

    def loss(y_true: Any, y_pred: Any) -> Any:
        truth, answer = ops.cast(y_true[:, 1:], y_pred.dtype), y_pred
        if classes > 1:
            chosen = ops.one_hot(ops.cast(y_true[:, 0], "int32"), classes, dtype=y_pred.dtype)
            answer = ops.sum(ops.reshape(y_pred, (-1, classes, 4)) * chosen[:, :, None], axis=1)
        return _LOSS[kind](answer, truth)

    loss.__name__ = f"{kind}_loss"
    return loss


def _l2(answer: Any, truth: Any) -> Any:
    from keras import ops

    return ops.sum(ops.square(answer - truth), axis=-1)


def _smooth_l1(answer: Any, truth: Any, knee: float = 0.05) -> Any:
    from keras import ops

    apart = ops.abs(answer - truth)
    small = 0.5 * ops.square(apart) / knee
    return ops.sum(ops.where(apart < knee, small, apart - knee / 2), axis=-1)


def _iou(answer: Any, truth: Any) -> Any:
    return 1 - generalized_iou(answer, truth)


def _iou_l1(answer: Any, truth: Any) -> Any:
    return 2 * _iou(answer, truth) + 2.5 * _smooth_l1(answer, truth, 0.01)


_LOSS = {"l2": _l2, "smooth_l1": _smooth_l1, "iou": _iou, "iou_l1": _iou_l1}


def generalized_iou(first: Any, second: Any) -> Any:
    """IoU of box i with the other box i, less the share of the box around both that is in neither.

    Unlike the IoU it says how far apart two boxes are that do not touch, so there is a way to climb.

    Args:
        first, second: tensors (N, 4), x, y, w, h; a negative width or height counts as nearly none.

    Returns:
        (N,), -1..1.

    Rezatofighi et al. (2019), algorithm 1. Notebook 04.
    """
    from keras import ops

    def corners(b: Any) -> tuple[Any, Any]:
        return b[:, :2], b[:, :2] + ops.maximum(b[:, 2:], 1e-4)

    (low1, high1), (low2, high2) = corners(first), corners(second)
    shared = ops.prod(ops.maximum(ops.minimum(high1, high2) - ops.maximum(low1, low2), 0), axis=-1)
    union = ops.prod(high1 - low1, axis=-1) + ops.prod(high2 - low2, axis=-1) - shared
    around = ops.prod(ops.maximum(high1, high2) - ops.minimum(low1, low2), axis=-1)
    return shared / (union + 1e-9) - (around - union) / (around + 1e-9)


def border_loss(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy of four borders, each one of n places: y_true (N, n, 4), y_pred scores (N, n, 4) -> (N,).

    A truth between two places is shared by them (Li et al. 2020, Generalized focal loss, section 3).
    """
    from keras import ops

    logs = ops.log_softmax(y_pred, axis=1)
    return -ops.mean(ops.sum(ops.cast(y_true, logs.dtype) * logs, axis=1), axis=-1)


def point_loss(y_true: Any, y_pred: Any) -> Any:
    """Mean squared distance of the points that count.

    y_true (N, K, 3) as x, y, weight; y_pred (N, K, 2) -> (N,).
    """
    from keras import ops

    apart = ops.sum(ops.square(y_pred - y_true[..., :2]), axis=-1) * y_true[..., 2]
    return ops.sum(apart, axis=-1) / ops.maximum(ops.sum(y_true[..., 2], axis=-1), 1.0)


def point_distance(y_true: Any, y_pred: Any) -> Any:
    """How far points lie apart, x and y by themselves: y_true and y_pred (N, K, 2) -> (N,)."""
    from keras import ops

    return ops.mean(ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred), axis=(1, 2))


def compile_localizer(
    model: keras.Model,
    optimizer: Any = "sgd",
    kind: str = "l2",
    box_weight: float = 1.0,
    smoothing: float = 0.0,
) -> keras.Model:
    """Compile both heads: cross-entropy for the class, `box_loss` for the box, one weighted sum.

    Args:
        model: built by `models.localizer`.
        optimizer: a name or a Keras optimizer.
        kind: of the box loss.
        box_weight: of the box against the class.
        smoothing: of the class labels.

    Returns:
        The model.
    """
    from keras import losses, metrics

    from course_utils import runtime

    classes, numbers = model.output_shape[0][1], model.output_shape[1][1]
    model.compile(
        optimizer,
        loss=[
            losses.CategoricalCrossentropy(label_smoothing=smoothing),
            box_loss(kind, classes if numbers > 4 else 1),
        ],
        loss_weights=[1.0, box_weight],
        metrics=[[metrics.CategoricalAccuracy(name="accuracy")], []],
        jit_compile=runtime.xla(),
    )
    return model


def targets(
    classes: np.ndarray, boxes: np.ndarray, count: int, height: float = 1.0, width: float = 1.0
) -> list[np.ndarray]:
    """What `compile_localizer` trains on: one-hot classes (N, count), and (N, 5) class, box in shares.

    Args:
        classes: int (N,); boxes: (N, 4) in pixels of pictures of this height and width.
    """
    labels = np.asarray(classes).reshape(-1)
    shares = np.asarray(boxes, np.float32) / np.array([width, height, width, height], np.float32)
    return [
        np.eye(count, dtype=np.float32)[labels],
        np.concatenate([labels[:, None].astype(np.float32), shares], axis=1),
    ]
