"""Ways down: Adam whose steps shrink, and L-BFGS; both keep every value between black and white."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray
Evaluate = Callable[[Any], tuple[Any, Any]]
Limits = np.ndarray  # (2, 1, 1, 3): what black and white are in each channel of x
QUIET = 0.03  # of the mean square slope: where nothing wants to change, steps stay finite
MEMORY = 20  # steps that L-BFGS remembers
FIRST = 3.0  # grey levels by which its first step changes a picture


def adam(
    evaluate: Evaluate, x: Array, limits: Limits, note: Callable[..., float], steps: int, rate: float = 25.0
) -> None:
    """Minimize with Adam, whose step starts at `rate` grey levels for every value and shrinks to nothing.

    The shrinking matters: at a constant rate the picture ends up trembling around what it could be. With few
    steps to go, both averages forget quickly, too (.8 instead of .9 and .999). All stays on the device.
    Arguments as in `lbfgs`; `steps` is known in advance.

    Kingma and Ba (2015), algorithm 1. Notebook 07.
    """
    from keras import ops

    low, high = (ops.convert_to_tensor(limit.astype(np.float32)) for limit in limits)
    unit, keep = grey_level(limits), 0.8
    here = ops.clip(ops.convert_to_tensor(x, "float32"), low, high)
    mean = square = ops.zeros_like(here)
    for step in range(1, steps + 1):
        losses, slope = evaluate(here)
        note(losses, here)
        mean = keep * mean + (1 - keep) * slope
        square = keep * square + (1 - keep) * slope * slope
        size = unit * rate * (1 - (step - 1) / steps) / math.sqrt(1 - keep**step)
        here = ops.clip(here - size * mean / (ops.sqrt(square) + 1e-20), low, high)


def lbfgs(evaluate: Evaluate, x: Array, limits: Limits, note: Callable[..., float]) -> None:
    """Minimize with L-BFGS, which learns from its last gradients how the loss curves; no step size to choose.

    What it starts from is Adam's idea, for the diagonal of Nocedal and Wright (2006, section 7.2): where
    slopes are steep around a pixel, the loss is taken to curve as much. On pictures that saves steps.

    Args:
        evaluate: x -> (losses, gradient of their sum).
        x: where to start, (1, h, w, 3).
        limits: what black and white are in each channel of x; no value leaves them, and those that would
            stay out of the search (as in SciPy's L-BFGS-B, which takes longer over it than the network).
        note: is told (losses, x) of each evaluation, returns their sum, and ends it all by raising.

    Returns when no step lowers the loss any more. Nocedal (1980); the paper uses L-BFGS, too. Notebook 07.
    """
    low, high = limits.astype(np.float32)
    here = np.clip(x, low, high).astype(np.float32)
    losses, slope = evaluate(here)
    value, slope = note(losses, here), np.asarray(slope)
    pairs: list[tuple[Any, Any]] = []
    square = _squares(slope)
    while True:
        scale = 1 / np.sqrt(square / square.mean() + QUIET)
        stuck = ((here <= low) & (slope > 0)) | ((here >= high) & (slope < 0))
        way = np.where(stuck, 0, -curved(np.where(stuck, 0, slope), pairs, scale))
        if not pairs:  # nothing is known of the curve: a first step of about FIRST grey levels
            way *= FIRST * grey_level(limits) / (np.abs(way).mean() + 1e-30)
        for shrink in (1.0, 0.3, 0.1, 0.03, 0.01, 0.001):
            there = np.clip(here + np.float32(shrink) * way, low, high)
            losses, ahead = evaluate(there)
            new, step = note(losses, there), there - here
            if new <= value + 1e-4 * np.vdot(slope, step):
                break
        else:
            if not pairs:
                return
            pairs = []
            continue
        change = np.where(step == 0, 0, np.asarray(ahead) - slope)
        if np.vdot(step, change) > 0:
            pairs = [*pairs, (step, change)][-MEMORY:]
        here, slope, value = there, np.asarray(ahead), new
        square = (square + _squares(slope)) / 2


def curved(slope: Array, pairs: Sequence[tuple[Array, Array]], scale: Any = 1.0) -> Array:
    """The gradient, corrected for how the gradient changed over the last steps (the two loops of L-BFGS).

    Args:
        slope: the gradient.
        pairs: (step, change of the gradient along it), oldest first.
        scale: how far each value may go before anything is known of the curve, as a factor of its slope;
            of any size. Without pairs the gradient times this returns.

    Nocedal and Wright (2006), algorithm 7.4.
    """
    shares = []
    for step, change in reversed(pairs):
        share = np.vdot(step, slope) / np.vdot(step, change)
        slope = slope - share * change
        shares.append(share)
    slope = slope * scale
    if pairs:
        step, change = pairs[-1]
        slope = slope * (np.vdot(step, change) / np.vdot(change, scale * change))
    for (step, change), share in zip(pairs, reversed(shares), strict=True):
        slope = slope + (share - np.vdot(change, slope) / np.vdot(step, change)) * step
    return slope


def _squares(slope: Array) -> Array:
    """The mean square of a gradient around each pixel, (1, h, w, 3)."""
    from keras import ops

    around = ops.average_pool(slope * slope, 3, strides=1, padding="same", data_format="channels_last")
    return ops.convert_to_numpy(around) + 1e-30


def grey_level(limits: Limits) -> float:
    """One grey level of 256 in the network's input (1 for VGG)."""
    return float(np.ptp(limits, axis=0).mean()) / 255
