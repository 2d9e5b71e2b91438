"""Training that can be stopped at any moment and resumed exactly. Notebook 06.

`fit` is the loop under every `course train` command: batches that depend only on (seed, epoch,
step), a checkpoint of everything after each epoch, written beside and then renamed, one row of
history.csv an epoch. What an interrupted run lost is at most one epoch, and after `resume` it ends
with the same weights, bit for bit in float32 on a CPU, as if nothing had happened.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils.training import checkpoints
from course_utils.training.checkpoints import Progress
from course_utils.training.devices import Devices, Step

if TYPE_CHECKING:
    import keras

NOTHING_YET = "a state is kept at the end of each epoch, so there is none yet"

Batch = tuple[np.ndarray, Any]
"""Inputs and targets of one step."""

Batches = Callable[[int], Iterable[Batch]]
"""Epoch -> its batches."""


def one_cycle(peak: float, warm_up: float = 0.15, final: float = 0.0) -> Callable[[float], float]:
    """A learning rate that rises linearly, then falls along a cosine (Smith 2018).

    Returns:
        A function from progress in 0..1 to the learning rate.
    """

    def rate(progress: float) -> float:
        if progress < warm_up:
            return peak * max(progress / warm_up, 0.02)
        fall = (progress - warm_up) / (1 - warm_up)
        return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * min(fall, 1.0)))

    return rate


def steps_in(n: int, batch: int) -> int:
    """How many batches `shuffled` makes of n examples."""
    return n // min(n, batch) if n else 0


def shuffled(n: int, batch: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The examples of each step of an epoch: indices (batch,) in random order.

    What would not fill a last batch waits for another epoch. Fewer examples than a batch are one step: nobody
    needs a batch's worth of data to train.
    """
    order, size = rng.permutation(n), min(n, batch)
    for step in range(steps_in(n, batch)):
        yield order[step * size : (step + 1) * size]


def prefetch(batches: Iterable[Batch], depth: int = 4) -> Iterator[Batch]:
    """Make the next batches in a thread while the network works on this one; order is kept."""
    box: queue.Queue[Any] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def fill() -> None:
        try:
            for batch in batches:
                while not stop.is_set():
                    try:
                        box.put(batch, timeout=0.5)
                        break
                    except queue.Full:
                        continue
                if stop.is_set():
                    return
            box.put(None)
        except BaseException as error:  # handed to the loop below, which raises it
            box.put(error)

    threading.Thread(target=fill, daemon=True).start()
    try:
        while (item := box.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()


def run_epoch(
    model: keras.Model, batches: Iterable[Batch], rates: list[float], step: Step | None = None
) -> dict[str, float]:
    """Train on one batch for each learning rate; returns the mean of each compiled metric over the epoch.

    Args:
        step: what to do with a batch instead of `train_on_batch`; see `Devices.step`.

    Raises:
        FloatingPointError: the loss is not a number (the caller still has the last checkpoint).
    """
    step = step or Devices().step(model)
    sums: dict[str, float] = {}
    count = 0
    for number, (x, y) in enumerate(prefetch(batches)):
        model.optimizer.learning_rate = rates[number]
        logs = {k: float(v) for k, v in step(x, y).items()}
        for key, value in logs.items():  # a step starts its metrics anew
            sums[key] = sums.get(key, 0.0) + value * len(x)
        count += len(x)
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(
                _diverged(f"the loss became {logs['loss']} at step {number + 1} of {len(rates)}")
            )
    if not all(np.isfinite(w).all() for w in model.get_weights()):  # a ReLU can hide it from the loss
        raise FloatingPointError(_diverged("some weights are no longer finite"))
    return {key: value / count for key, value in sums.items()}


def _diverged(what: str) -> str:
    return (
        f"{what}; the last good checkpoint is kept. A smaller learning rate or float32 usually helps: "
        "start again with it in another --out folder."
    )


def fit(
    model: keras.Model,
    batches: Batches,
    *,
    steps: int,
    epochs: int,
    out: str | Path,
    rate: Callable[[float], float],
    settings: dict[str, Any],
    validate: Callable[[keras.Model], dict[str, float]] | None = None,
    best: str | None = None,
    devices: Devices | None = None,
    resume: bool = False,
    minutes: float | None = None,
    say: Callable[[str], None] = print,
) -> Progress:
    """Train a compiled model with a checkpoint after every epoch.

    Args:
        model: compiled; its metrics become columns of the history.
        batches: epoch -> the batches (x, y) of that epoch; must depend on nothing but the epoch
            and what `settings` names, or a resumed run is not exact.
        steps: number of batches in an epoch.
        epochs: when to end.
        out: folder for `history.csv` and `state/checkpoint.npz`, and `state/best.npz` with `best`.
        rate: progress 0..1 (in steps of the whole run) -> learning rate.
        settings: what defines the run; a checkpoint of other settings is refused.
        validate: called after each epoch; its numbers join the history.
        best: a column of the history; the state of the epoch with its highest value is kept, too.
        devices: what `spread` returned; the model was built inside its `scope()`.
        resume: go on from `out/state` when there is one.
        minutes: stop at the end of the epoch in which this much time is used up.
        say: receives one line an epoch, with the time left.

    Returns:
        `Progress`; `finished` is False when `minutes` or Ctrl-C ended the run early.

    Raises:
        ValueError: there is nothing to train on; `out` holds a run and `resume` is not set, or the run has
            other settings.
        FloatingPointError: the loss is not a number.
        OSError: the disk is full; the checkpoint before is untouched. Or another host is gone.
    """
    if steps < 1:
        raise ValueError("nothing to train on: an epoch needs one step at least, and this one has none")
    devices = devices or Devices()
    checkpoint = Path(out) / "state" / "checkpoint.npz"
    tag = checkpoints.settings_tag(settings)
    with devices.scope():
        model.optimizer.build(model.trainable_variables)
    progress = checkpoints.where_it_was(checkpoint, model, tag, resume, devices.writes)
    if progress.epoch:
        say(f"Resumed after epoch {progress.epoch} of {epochs} ({progress.minutes:.0f} minutes so far).")
    step, began = devices.step(model), time.monotonic()
    try:
        while progress.epoch < epochs:
            epoch, start = progress.epoch, time.monotonic()
            _begin(int(tag, 16) + epoch)
            rates = [rate((epoch * steps + i) / (epochs * steps)) for i in range(steps)]
            logs = run_epoch(model, batches(epoch), rates, step)
            logs |= validate(model) if validate else {}
            seconds = time.monotonic() - start
            done = progress.after(logs, seconds)
            if devices.writes:
                checkpoints.keep(checkpoint, model, done, tag, best)
            progress = done
            say(_line(epoch + 1, epochs, logs, seconds))
            if minutes is not None and (time.monotonic() - began) / 60 >= minutes:
                break
    except KeyboardInterrupt:
        what = f"{checkpoint} holds the end of epoch {progress.epoch}" if progress.epoch else NOTHING_YET
        say(f"Stopped in epoch {progress.epoch + 1}; {what}.")
    progress.finished = progress.epoch >= epochs
    return progress


def _begin(seed: int) -> None:
    """PyTorch's dropout draws from a generator that no checkpoint holds: it begins anew with each epoch."""
    import keras

    if keras.backend.backend() == "torch":
        import torch

        torch.manual_seed(seed)


def _line(epoch: int, epochs: int, logs: dict[str, float], seconds: float) -> str:
    """What is said after an epoch."""
    numbers = "  ".join(f"{name} {value:.3f}" for name, value in logs.items())
    left = seconds * (epochs - epoch) / 60
    return f"epoch {epoch}/{epochs}  {numbers}  {seconds:.0f} s  about {left:.0f} min left"
