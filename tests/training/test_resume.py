"""Runs that are killed, interrupted, out of disk, or shared by several devices: what they leave and reach."""

from __future__ import annotations

import csv
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_run

from course_utils import training
from course_utils.datasets import cifar10
from course_utils.training import checkpoints, loop

SCRIPT = Path(small_run.__file__)


def started(*arguments: Any) -> subprocess.Popen[str]:
    """`small_run.py` in a process of its own."""
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="")
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def ended(process: subprocess.Popen[str], status: int = 0) -> str:
    """Wait for a process, hold its exit status to what was expected, and return what it printed."""
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == status, errors
    return printed


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as saved:
        return {key: saved[key] for key in saved.files if key != "state"}


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_same_run(one: Path, other: Path) -> None:
    """Last and best state equal in every bit, and the histories in every number."""
    assert rows(one) == rows(other)
    for name in ("checkpoint.npz", "best.npz"):
        a, b = arrays(one / "state" / name), arrays(other / "state" / name)
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_array_equal(a[key], b[key], err_msg=f"{name} {key}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    assert small_run.run(out)[1].finished
    return out


def test_killed_at_several_points_and_resumed_is_the_same_run(whole, tmp_path):
    checkpoint = tmp_path / "state" / "checkpoint.npz"
    ended(started(tmp_path, "step", 5), -signal.SIGKILL)  # in epoch 2
    assert len(rows(tmp_path)) == 1
    ended(started(tmp_path, "writing", 1), -signal.SIGKILL)  # half of epoch 2's state is written
    assert list(checkpoint.parent.glob(".*.part")) and checkpoint.is_file()
    ended(started(tmp_path, "history", 2), -signal.SIGKILL)  # epoch 2's state is there, not its row
    assert len(rows(tmp_path)) == 1 and not list(checkpoint.parent.glob(".*.part"))
    printed = ended(started(tmp_path, "ctrl-c", 2))
    assert "Resumed after epoch 2 of 4" in printed and "Stopped in epoch 3" in printed
    assert printed.endswith("not finished\n")
    assert ended(started(tmp_path)).endswith("\nfinished\n")
    assert_same_run(whole, tmp_path)


def test_ctrl_c_in_the_first_epoch_says_what_there_is(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    lines: list[str] = []
    with monkeypatch.context() as changed:
        changed.setattr(loop, "run_epoch", interrupted)
        _, progress = small_run.run(tmp_path, say=lines.append)
    assert not progress.finished and not (tmp_path / "state").exists()
    assert lines == [f"Stopped in epoch 1; {loop.NOTHING_YET}."]


@pytest.mark.slow
def test_killed_from_outside_at_any_time(tmp_path):
    """A fifth of a second further at every start, until it gets through."""
    whole, parts, kills = tmp_path / "whole", tmp_path / "parts", 0
    assert small_run.run(whole, epochs=8)[1].finished
    while True:
        process = started(parts, "--epochs", 8)
        first = process.stdout.readline()
        assert first.startswith(("Resumed after", "epoch 1/8"))
        time.sleep(0.2 * kills)
        if process.poll() is None and kills < 6:
            process.kill()
            kills += 1
        printed = process.communicate(timeout=120)[0]
        if process.returncode == 0:
            break
    assert kills >= 3 and printed.endswith("finished\n")
    assert_same_run(whole, parts)


def test_finished_but_for_the_last_row(whole, tmp_path):
    """Killed between the last state and its row in the history: to resume is to write that row."""
    small_run.run(tmp_path)
    (tmp_path / "history.csv").unlink()
    _, progress = small_run.run(tmp_path)
    assert progress.finished
    assert_same_run(whole, tmp_path)


@pytest.mark.parametrize("full_at", [3, 4])
def test_a_full_disk_loses_nothing_earlier(whole, tmp_path, monkeypatch, full_at):
    """The disk fills while the third or fourth file is written, a best state or a last one."""
    calls, plain = [], checkpoints.np.savez

    def savez(file, **arrays):
        calls.append(1)
        if len(calls) == full_at:
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(file, **arrays)

    monkeypatch.setattr(checkpoints.np, "savez", savez)
    with pytest.raises(OSError, match=r"No space left on device.*What was there before is kept"):
        small_run.run(tmp_path)
    kept = len(rows(tmp_path))
    assert 1 <= kept < 4 and not list((tmp_path / "state").glob(".*.part"))
    lines: list[str] = []
    assert small_run.run(tmp_path, say=lines.append)[1].finished
    assert lines[0].startswith(f"Resumed after epoch {kept} of 4")
    assert_same_run(whole, tmp_path)


def test_the_best_state_is_that_of_the_best_epoch(whole):
    values = [float(row["val_accuracy"]) for row in rows(whole)]
    model, _ = small_run.run(whole)
    tag = checkpoints.settings_tag({"seed": 0, "plain": False, "epochs": 4})
    progress = checkpoints.load_checkpoint(whole / "state" / "best.npz", model, tag)
    assert progress.epoch == 1 + int(np.argmax(values))


def test_checkpoint_of_another_model(whole, tmp_path):
    import keras

    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    other.optimizer.build(other.trainable_variables)
    before = other.get_weights()
    tag = checkpoints.settings_tag({"seed": 0, "plain": False, "epochs": 4})
    with pytest.raises(ValueError, match="checkpoint of another model"):
        checkpoints.load_checkpoint(whole / "state" / "checkpoint.npz", other, tag)
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# --- several devices ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The state of a run on one device, without dropout and batch normalization."""
    out = tmp_path_factory.mktemp("alone")
    assert small_run.run(out, plain=True, epochs=2)[1].finished
    return out


def assert_like(alone: Path, shared: Path) -> None:
    """The same weights to 1e-5, the same loss and accuracy to four digits."""
    a, b = arrays(alone / "state" / "checkpoint.npz"), arrays(shared / "state" / "checkpoint.npz")
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_allclose(a[key], b[key], atol=1e-5, err_msg=key)
    for one, other in zip(rows(alone), rows(shared), strict=True):
        for name in ("loss", "accuracy"):
            assert float(one[name]) == pytest.approx(float(other[name]), abs=1e-4)


def test_two_devices_reach_the_weights_of_one(alone, tmp_path):
    ended(started(tmp_path, "--plain", "--devices", 2, "--epochs", 2))
    assert_like(alone, tmp_path)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed(alone, tmp_path):
    """One of two dies in epoch 2; both are started again and reach the weights of one device."""

    def pair(*event: Any) -> list[subprocess.Popen[str]]:
        hosts = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
        common = ("--plain", "--epochs", 2, "--hosts", hosts)
        return [
            started(tmp_path, *common, "--host", 0),
            started(tmp_path, *event, *common, "--host", 1),
        ]

    first, second = pair("step", 5)
    ended(second, -signal.SIGKILL)
    assert len(rows(tmp_path)) == 1
    first.kill()
    first.communicate()
    first, second = pair()
    assert "Resumed after epoch 1 of 2" in ended(first)
    assert ended(second).endswith("\nfinished\n")
    assert_like(alone, tmp_path)


def test_impossible_devices_are_refused():
    with pytest.raises(ValueError, match="no such thing"):
        training.spread(0)
    with pytest.raises(ValueError, match="no such thing"):
        training.spread(1, ["127.0.0.1:2000"], 1)
    with pytest.raises(ValueError, match="leave the number out"):
        training.spread(2, ["127.0.0.1:2000"], 0)
    assert training.spread(1) == training.Devices()


RECIPE = """
import sys
import small_run
from course_utils.datasets import cifar10
from course_utils.training import all_cnn

plain = cifar10.load
cifar10.load = lambda folder: plain(folder, validation=20)
recipe = all_cnn.Recipe(epochs=1, batch=20, rate=0.01, hold_out=True)
with small_run.narrow():
    card = all_cnn.AllCnn(recipe, sys.argv[1], devices=2).run(sys.argv[2])
print(card["metrics"]["validation_accuracy"])
"""


@pytest.mark.slow
def test_the_whole_recipe_on_two_devices(tmp_path):
    """With dropout, batch normalization, validation and the final measurement."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures" / cifar10.FOLDER
    folder.mkdir(parents=True)
    for name in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE):
        records = rng.integers(0, 256, (20, cifar10.RECORD), np.uint8)
        records[:, 0] = np.arange(20) % 10
        (folder / name).write_bytes(records.tobytes())
    command = [sys.executable, "-c", RECIPE, str(tmp_path / "pictures"), str(tmp_path / "out")]
    beside = os.pathsep.join([str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="", PYTHONPATH=beside)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180)
    assert done.returncode == 0, done.stderr
    said = float(done.stdout.splitlines()[-1])
    assert float(rows(tmp_path / "out")[0]["val_accuracy"]) == pytest.approx(said, abs=0.051)
    assert (tmp_path / "out" / "state" / "best.npz").is_file()
