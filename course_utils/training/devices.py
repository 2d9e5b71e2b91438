"""Several devices, or processes on several hosts, that share each batch; docs/devices.md. Notebook 06."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runtime

if TYPE_CHECKING:
    import keras

Step = Callable[[np.ndarray, np.ndarray], dict[str, Any]]


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
