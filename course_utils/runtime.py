"""Where the course runs: seeds, device, precision, a quiet start of the framework, and what ships.

Every notebook begins with `runtime.start(seed=0)`. Nothing heavy is imported before that.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import random
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from course_utils import waiting


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send file descriptor 2 to nowhere for a moment.

    TensorFlow prints lines before its own logger starts, so no log level silences them.
    """
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no real stderr (some embedded consoles)
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)


# --- Keras's own settings -----------------------------------------------------------------------------

BACKENDS = ("tensorflow", "jax", "torch")
_HOME_BEFORE = "COURSE_KERAS_HOME"  # where Keras would look, for this process and those that it starts


def keras_home() -> Path:
    """The folder of Keras's settings and downloads: `KERAS_HOME`, or `~/.keras`."""
    named = os.environ.get(_HOME_BEFORE) or os.environ.get("KERAS_HOME")
    return Path(named or "~/.keras").expanduser()


def odd_settings() -> dict[str, Any]:
    """What `keras.json` asks for and the course can't work with, often left there by an old Keras."""
    try:
        found = json.loads((keras_home() / "keras.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or one that Keras passes over itself
        return {}
    if not isinstance(found, dict):
        return {"settings": found}
    wanted = {"floatx": "float32", "image_data_format": "channels_last"}
    odd = {name: found[name] for name, value in wanted.items() if found.get(name, value) != value}
    if not isinstance(found.get("epsilon", 1e-7), float):
        odd["epsilon"] = found["epsilon"]
    backend = found.get("backend", "tensorflow")
    if "KERAS_BACKEND" not in os.environ and not _usable(backend):
        odd["backend"] = backend
    return odd


def _usable(backend: Any) -> bool:
    return backend in BACKENDS and importlib.util.find_spec(backend) is not None


def pass_over_odd_settings() -> None:
    """Let Keras begin with its defaults where its file asks for what breaks the course.

    The file stays as it is: other programs may need it. Nothing is done once Keras is imported.
    """
    if "keras" in sys.modules or not (odd := odd_settings()):
        return
    before = keras_home()
    if not {"backend", "settings"} & set(odd):  # the backend that is asked for is there
        settings = json.loads((before / "keras.json").read_text(encoding="utf-8"))
        os.environ.setdefault("KERAS_BACKEND", settings.get("backend", "tensorflow"))
    os.environ[_HOME_BEFORE] = str(before)
    os.environ["KERAS_HOME"] = str(before / "course")


@cache
def load_keras() -> Any:
    """Import Keras and its backend without their start-up lines; returns the `keras` module."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    with quiet_stderr():
        import keras

        keras.config.set_floatx("float32")  # whoever imported it before us may have other settings
        keras.config.set_image_data_format("channels_last")
        keras.ops.zeros(1) + 0.0  # the first operation is the one that prints
    # After the import, which sets a level of its own. Hints on retracing help no learner.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return keras


def start(seed: int = 0, precision: str = "float32") -> None:
    """Import Keras quietly, seed everything, and choose a precision; in a notebook, watch long cells.

    Args:
        seed: for Python's, NumPy's and the backend's generators.
        precision: "float32", "mixed_bfloat16", or "auto" (`best_precision()`).
    """
    keras = load_keras()
    waiting.begin()
    if precision == "auto":
        precision = best_precision()
    if precision not in ("float32", "mixed_bfloat16"):
        raise ValueError(f"precision {precision!r} is not one of 'float32', 'mixed_bfloat16', 'auto'")
    keras.config.set_dtype_policy(precision)
    random.seed(seed)
    keras.utils.set_random_seed(seed)


@cache
def cpu_flags() -> frozenset[str]:
    """The processor's feature flags in lower case (Linux; empty elsewhere)."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    found = next((line for line in lines if line.startswith(("flags", "Features"))), ":")
    return frozenset(found.split(":", 1)[1].lower().split())


def gpus() -> list[str]:
    """Names of the accelerators that the backend sees."""
    keras = load_keras()
    if keras.backend.backend() == "torch":  # `keras.distribution` does not know it
        where = str(keras.ops.zeros(1).device)
        return [where] if where.startswith("cuda") else []
    with quiet_stderr():
        return [str(name) for name in keras.distribution.list_devices() if "cpu" not in str(name).lower()]


def xla() -> bool:
    """What `compile` is given as `jit_compile`: whether XLA compiles the steps of a training.

    JAX knows no other way to compile, and without it each operation runs by itself; on a GPU it serves
    TensorFlow too. On a CPU it makes TensorFlow's convolutions several times slower, and PyTorch's own
    compiler would take longer than these trainings.
    """
    backend = load_keras().backend.backend()
    return backend == "jax" or (backend == "tensorflow" and bool(gpus()))


def best_precision() -> str:
    """`mixed_bfloat16` where it is faster (a GPU, or a CPU with AMX or AVX512-BF16), else `float32`.

    Never float16 on a CPU: it is emulated there, and tens of times slower.
    """
    if gpus():
        return "mixed_bfloat16"
    limited = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    allowed = not limited or "AMX" in limited or "BF16" in limited
    return "mixed_bfloat16" if allowed and cpu_flags() & {"amx_bf16", "avx512_bf16"} else "float32"


def device() -> str:
    """The device in a few words, such as "CPU (2 cores)"."""
    found = gpus()
    if found:
        name = _kind() or found[0]
        return f"{len(found)} x {name}" if len(found) > 1 else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"CPU ({cores} cores)"


def _kind() -> str:
    """What the accelerator calls itself, such as "NVIDIA H100 80GB HBM3", where the backend says (JAX)."""
    devices = getattr(load_keras().ops.zeros(1), "devices", None)
    return str(next(iter(devices())).device_kind) if devices else ""


def shipped(relative: str = "") -> Path:
    """Where something that ships lies: in `data/` of a checkout, or inside the installed package.

    Args:
        relative: a path below `data/`, such as "weights/vgg16_course.npz"; it need not exist.
    """
    package = Path(__file__).resolve().parent
    installed = package / "_data"
    root = installed if installed.is_dir() else package.parent / "data"
    return root / relative


@cache
def project() -> dict[str, Any]:
    """The `[tool.course]` table of pyproject.toml: the repository's address and branch."""
    beside = Path(__file__).resolve().parents[1] / "pyproject.toml"
    path = beside if beside.is_file() else shipped("pyproject.toml")
    return dict(tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["course"])
