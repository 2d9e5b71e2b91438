"""A short run of the All-CNN recipe on invented pictures, in a process of its own; not a test itself.

    python small_run.py OUT [step|writing|history|ctrl-c N] [--devices N | --hosts A,B --host N] [--epochs N]

ends itself with SIGKILL (Ctrl-C: SIGINT) at the Nth step, half through writing the Nth checkpoint, or before
the Nth writing of the history. `--plain` leaves out dropout and batch normalization, which see a part of the
batch differently from the whole. The last line says whether the run is finished.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from course_utils import runtime, training
from course_utils.networks import all_cnn as network
from course_utils.training import all_cnn, checkpoints

BATCH, STEPS = 8, 3


class Counted:
    """A function that is called as before, but the Nth time something else happens first."""

    def __init__(self, function: Callable[..., Any], number: int, instead: Callable[..., Any]) -> None:
        self.function, self.left, self.instead = function, number, instead

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            self.instead(*arguments, **named)
        return self.function(*arguments, **named)


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def half_a_file(file: Any, **arrays: np.ndarray) -> None:
    whole = io.BytesIO()
    np.savez_compressed(whole, **arrays)
    file.write(whole.getvalue()[: whole.tell() // 2])
    file.flush()
    die()


def plan(event: str, number: int) -> None:
    """Let it happen."""
    if event == "writing":
        checkpoints.np = type("numpy", (), {**vars(np), "savez": Counted(np.savez, number, half_a_file)})
    elif event == "history":
        checkpoints.write_history = Counted(checkpoints.write_history, number, die)
    elif event:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is born deaf to it
        plain, what = training.Devices.step, {"step": die, "ctrl-c": interrupt}[event]
        training.Devices.step = lambda self, model: Counted(plain(self, model), number, what)


def narrow() -> Any:
    """While this context lasts, the recipe builds a network of an eighth of its width."""
    return patch.object(network, "build", partial(network.build, width=1 / 8))


def run(
    out: Path,
    *,
    shared: training.Devices | None = None,
    epochs: int = 4,
    plain: bool = False,
    resume: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Any, training.Progress]:
    """Train; returns the model and where the run stands."""
    shared = shared or training.Devices()
    runtime.start(0, "float32")
    recipe = all_cnn.Recipe(batch=BATCH, epochs=epochs, rate=0.01, dropout=(0.1, 0.2))
    if plain:
        recipe = all_cnn.Recipe(batch=BATCH, epochs=epochs, rate=0.01, dropout=(0, 0), norm="none")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (BATCH * STEPS, 32, 32, 3), np.uint8), np.arange(BATCH * STEPS) % 10
    with shared.scope(), narrow():
        model = all_cnn.build(recipe)

    def validate(net: Any) -> dict[str, float]:
        return {"val_accuracy": all_cnn.accuracy(net, x, y)}

    return model, training.fit(
        model,
        all_cnn.batches(recipe, x, y),
        steps=STEPS,
        epochs=epochs,
        out=out,
        rate=training.one_cycle(recipe.rate),
        settings={"seed": 0, "plain": plain, "epochs": epochs},
        validate=None if shared.strategy else validate,
        best=None if shared.strategy else "val_accuracy",
        devices=shared,
        resume=resume,
        say=say,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("event", nargs="?", default="")
    parser.add_argument("number", nargs="?", type=int, default=0)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--hosts", default="")
    parser.add_argument("--host", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--plain", action="store_true")
    given = parser.parse_args()
    plan(given.event, given.number)
    shared = training.spread(given.devices, [a for a in given.hosts.split(",") if a], given.host)
    _, progress = run(
        given.out,
        shared=shared,
        epochs=given.epochs,
        plain=given.plain,
        say=lambda line: print(line, flush=True),
    )
    print("finished" if progress.finished else "not finished", flush=True)
