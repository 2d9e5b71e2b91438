"""Training that can be stopped at any moment and resumed exactly. Notebook 06.

`fit` is the loop under every `course train` command: batches that depend only on (seed, epoch,
step), a checkpoint of everything after each epoch, written beside and then renamed, one row of
history.csv an epoch. What an interrupted run lost is at most one epoch, and after `resume` it ends
with the same weights, bit for bit in float32 on a CPU, as if nothing had happened.

`spread` makes several devices, or processes on several hosts, share each batch; docs/devices.md.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import files, runtime

if TYPE_CHECKING:
    import keras

Batch = tuple[np.ndarray, np.ndarray]
Step = Callable[[np.ndarray, np.ndarray], dict[str, Any]]


@dataclass
class Progress:
    """Where a training run stands: the next epoch, the rows so far, minutes spent, and if it is done."""

    epoch: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    minutes: float = 0.0
    finished: bool = False


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


def _variables(model: keras.Model) -> list[Any]:
    """Everything a step may change: weights, statistics, dropout's random state, the optimizer."""
    return [*model.variables, *model.optimizer.variables]


def save_checkpoint(path: Path, model: keras.Model, progress: Progress, tag: str) -> None:
    """Write the whole state of a run in one file, or leave the old file as it was.

    Args:
        path: the `.npz`; its folder is made if need be.
        tag: says which run this is; `load_checkpoint` refuses another one's file.
    """
    from keras import ops

    arrays = {f"v{i}": ops.convert_to_numpy(v.value) for i, v in enumerate(_variables(model))}
    state = {"epoch": progress.epoch, "rows": progress.rows, "minutes": progress.minutes, "tag": tag}
    arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    with files.replacing(path) as file:
        np.savez(file, **arrays)


def load_checkpoint(path: Path, model: keras.Model, tag: str) -> Progress:
    """Put a saved state back into a model that was built and compiled the same way.

    Raises:
        ValueError: the file is damaged, or belongs to another network or other settings.
    """
    with files.reading_npz(path) as saved:
        state = json.loads(bytes(saved["state"]))
        variables = _variables(model)
        arrays = [saved[f"v{i}"] for i in range(len(saved.files) - 1)]
    if state["tag"] != tag:
        raise ValueError(
            f"{path} was written with other settings ({state['tag']}) than these ({tag}). "
            "Use the same settings, or another --out folder."
        )
    if [a.shape for a in arrays] != [tuple(v.shape) for v in variables]:
        raise ValueError(f"{path} is a checkpoint of another model: the shapes of its weights differ.")
    for variable, value in zip(variables, arrays, strict=True):
        variable.assign(value)
    return Progress(state["epoch"], state["rows"], state["minutes"])


def write_history(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write history.csv, one row an epoch, whole or not at all."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with files.replacing(path, text=True) as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def settings_tag(settings: dict[str, Any]) -> str:
    """A short fingerprint of a run's settings: what must agree for a resume to be exact."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
    batches: Callable[[int], Iterable[Batch]],
    *,
    steps: Callable[[int], int],
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
        steps: epoch -> number of batches.
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
        ValueError: `out` holds a run and `resume` is not set, or the run has other settings.
        FloatingPointError: the loss is not a number.
        OSError: the disk is full; the checkpoint before is untouched. Or another host is gone.
    """
    devices = devices or Devices()
    checkpoint = Path(out) / "state" / "checkpoint.npz"
    tag = settings_tag(settings)
    with devices.scope():
        model.optimizer.build(model.trainable_variables)
    progress = _where_it_was(checkpoint, model, tag, resume, devices.writes)
    if progress.epoch:
        say(f"Resumed after epoch {progress.epoch} of {epochs} ({progress.minutes:.0f} minutes so far).")
    total = sum(steps(e) for e in range(epochs))
    step, began = devices.step(model), time.monotonic()
    try:
        while progress.epoch < epochs:
            epoch, start = progress.epoch, time.monotonic()
            before = sum(steps(e) for e in range(epoch))
            rates = [rate((before + i) / total) for i in range(steps(epoch))]
            logs = run_epoch(model, batches(epoch), rates, step)
            logs |= validate(model) if validate else {}
            seconds = time.monotonic() - start
            row = {"epoch": epoch + 1, **logs, "seconds": round(seconds, 1)}
            row = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
            done = Progress(epoch + 1, [*progress.rows, row], progress.minutes + seconds / 60)
            if devices.writes:
                _keep(checkpoint, model, done, tag, best)
            progress = done
            left = seconds / steps(epoch) * (total - before - steps(epoch)) / 60
            numbers = "  ".join(f"{k} {v:.3f}" for k, v in logs.items())
            say(f"epoch {epoch + 1}/{epochs}  {numbers}  {seconds:.0f} s  about {left:.0f} min left")
            if minutes is not None and (time.monotonic() - began) / 60 >= minutes:
                break
    except KeyboardInterrupt:
        say(f"Stopped in epoch {progress.epoch + 1}; {checkpoint} holds the end of epoch {progress.epoch}.")
    progress.finished = progress.epoch >= epochs
    return progress


def _where_it_was(checkpoint: Path, model: keras.Model, tag: str, resume: bool, writes: bool) -> Progress:
    """The state of an earlier run, put into the model; a new `Progress` where there is none."""
    if not checkpoint.exists():
        return Progress()
    if not resume:
        raise ValueError(f"{checkpoint} exists: add --resume to go on, or choose another --out folder.")
    progress = load_checkpoint(checkpoint, model, tag)
    if writes:  # a run that was killed may have left half a file, or a history without its last row
        for part in checkpoint.parent.glob(".*.part"):
            part.unlink()
        write_history(checkpoint.parent.parent / "history.csv", progress.rows)
    return progress


def _keep(checkpoint: Path, model: keras.Model, progress: Progress, tag: str, best: str | None) -> None:
    """Write the state of an epoch, first as the best one if it is that, then as the last; and the history."""
    if best and progress.rows[-1][best] > max((row[best] for row in progress.rows[:-1]), default=-math.inf):
        save_checkpoint(checkpoint.with_name("best.npz"), model, progress, tag)
    save_checkpoint(checkpoint, model, progress, tag)
    write_history(checkpoint.parent.parent / "history.csv", progress.rows)


# --- several devices ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Devices:
    """Who shares the work on a batch: by default one device alone. `spread` makes others.

    Attributes:
        strategy: of `tf.distribute`, None for one device.
        count: how many devices, over all processes.
        writes: whether this process writes the checkpoints.
    """

    strategy: Any = None
    count: int = 1
    writes: bool = True

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Where the model is built and compiled, so that each device has a copy of its variables."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def step(self, model: keras.Model) -> Step:
        """(x, y) -> metrics: one step of training, in which each device takes an equal part of the batch.

        The devices' gradients are added up before the weights change (Keras's optimizer does it), and
        each part's loss is divided by their number: the sum is the gradient of the whole batch.
        """
        if self.strategy is None:
            return lambda x, y: model.train_on_batch(x, y, return_dict=True)
        import tensorflow as tf

        @tf.function
        def together(parts: Any) -> dict[str, Any]:
            logs = self.strategy.run(model.train_step, args=(parts,))
            mean = tf.distribute.ReduceOp.MEAN
            return {name: self.strategy.reduce(mean, value, axis=None) for name, value in logs.items()}

        def step(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
            def part(context: Any) -> tuple[Any, Any]:
                mine = slice(context.replica_id_in_sync_group, None, self.count)
                return tf.constant(x[mine]), tf.constant(y[mine])

            if len(x) % self.count:
                raise ValueError(f"a batch of {len(x)} can't be shared equally by {self.count} devices")
            model.reset_metrics()
            try:
                return together(self.strategy.experimental_distribute_values_from_function(part))
            except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
                raise ConnectionError(
                    f"another process is gone ({type(error).__name__}): start all again with --resume"
                ) from error

        return step


def spread(devices: int = 1, hosts: Sequence[str] = (), host: int = 0) -> Devices:
    """Make several devices share each batch; call it before anything else of the framework.

    Args:
        devices: on this machine: the first GPUs, or, without any, that many equal shares of the CPU.
        hosts: addresses HOST:PORT of all processes, the same list in each of them.
        host: which of these this process is, from 0; number 0 writes the checkpoints. All read them, so
            `out` is a folder that all see.

    Raises:
        ValueError: an impossible number, more devices than there are, or not on TensorFlow.
        RuntimeError: the framework has started already.
    """
    if devices < 1 or (hosts and not 0 <= host < len(hosts)):
        raise ValueError(f"{devices} devices, host {host} of {len(hosts)}: there is no such thing")
    if devices == 1 and not hosts:
        return Devices()
    if hosts and devices > 1:
        raise ValueError("with several hosts each process uses its own devices: leave the number out")
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise ValueError("several devices are shared through TensorFlow: set KERAS_BACKEND=tensorflow")
    with runtime.quiet_stderr():
        return _hosts(hosts, host) if hosts else _on_this_machine(devices)


def _on_this_machine(count: int) -> Devices:
    """Data parallelism over GPUs, or over virtual devices of the CPU (to try it: not faster)."""
    import tensorflow as tf

    names = [f"GPU:{i}" for i in range(len(tf.config.list_physical_devices("GPU")))]
    if names and len(names) < count:
        raise ValueError(f"--devices {count}, but this machine has {len(names)} GPUs")
    if not names:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
        names = [f"CPU:{i}" for i in range(count)]
    return Devices(tf.distribute.MirroredStrategy(names[:count]), count)


def _hosts(addresses: Sequence[str], number: int) -> Devices:
    """Data parallelism over processes, which find each other through TF_CONFIG."""
    import tensorflow as tf

    task = {"type": "worker", "index": number}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": list(addresses)}, "task": task})
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    return Devices(strategy, strategy.num_replicas_in_sync, writes=number == 0)


# --- a layer --------------------------------------------------------------------------------------------


def batch_normalization() -> type[keras.layers.BatchNormalization]:
    """Keras's batch normalization, with TensorFlow's fused kernel where TensorFlow is the backend.

    The public layer computes mean, variance and output in separate float32 passes; the fused kernel
    does it in one pass and stays in bfloat16. Same formula, same variables.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return keras.layers.BatchNormalization
    import tensorflow as tf

    class FusedBatchNormalization(keras.layers.BatchNormalization):
        """Batch normalization over the last axis of (N, H, W, C), in one pass."""

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            if not training:
                return super().call(inputs, training=False)
            gamma, beta = tf.cast(self.gamma, tf.float32), tf.cast(self.beta, tf.float32)
            out, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                inputs, gamma, beta, epsilon=self.epsilon, is_training=True
            )
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + tf.cast(now, moving.dtype) * (1 - self.momentum))
            return out

    return FusedBatchNormalization
