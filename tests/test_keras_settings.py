"""An old keras.json breaks nothing: the course passes it over, and the doctor names it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from course_utils import runtime
from course_utils.cli import doctor

OLD = {"floatx": "float16", "epsilon": 1e-07, "backend": "theano", "image_data_format": "channels_first"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    runtime.load_keras()  # with this process's own settings, before they are exchanged
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("COURSE_KERAS_HOME", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "odd"),
    [
        (OLD, {"floatx", "backend", "image_data_format"}),
        ({"backend": "tensorflow", "floatx": "float32", "epsilon": 1e-7}, set()),
        ({"image_dim_ordering": "th", "backend": "tensorflow"}, set()),
        ({"image_data_format": "th"}, {"image_data_format"}),
        ({"epsilon": 1}, {"epsilon"}),
        ([1], {"settings"}),
    ],
)
def test_what_is_odd(home: Path, settings: Any, odd: set[str]) -> None:
    (home / "keras.json").write_text(json.dumps(settings))
    assert set(runtime.odd_settings()) == odd


def test_none_or_a_broken_file_is_not_odd(home: Path) -> None:
    assert runtime.odd_settings() == {}
    (home / "keras.json").write_text("{")
    assert runtime.odd_settings() == {}


def test_keras_starts_with_what_the_course_needs(home: Path) -> None:
    (home / "keras.json").write_text(json.dumps(OLD))
    code = (
        "from course_utils.networks import vgg16; import keras; from course_utils import runtime;"
        "model = vgg16.build(1 / 64, include_top=False, until='block1_pool', input_shape=(8, 8, 3));"
        "print(keras.backend.backend(), keras.config.floatx(), model.output_shape, model.compute_dtype);"
        "print(runtime.keras_home(), sorted(runtime.odd_settings()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.splitlines() == [
        "tensorflow float32 (None, 4, 4, 1) float32",
        f"{home} ['backend', 'floatx', 'image_data_format']",
    ], done.stderr
    assert json.loads((home / "keras.json").read_text()) == OLD


def test_the_doctor_names_the_file_and_the_plugin(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "keras.json").write_text(json.dumps(OLD))
    known = doctor.version_of
    monkeypatch.setattr(doctor, "version_of", lambda name: "1" if name == "tensorflow-metal" else known(name))
    notes = [each for each in doctor.check_backend() if each.state == "note"]
    assert str(home / "keras.json") in notes[0].detail and "floatx float16" in notes[0].detail
    assert "tensorflow-metal" in notes[1].detail and notes[1].todo == "pip uninstall tensorflow-metal"


@pytest.mark.parametrize(
    ("backend", "gpus", "compiled"),
    [
        ("tensorflow", [], False),
        ("tensorflow", ["gpu:0"], True),
        ("jax", [], True),
        ("torch", ["cuda:0"], False),
    ],
)
def test_steps_are_compiled_by_xla_where_that_serves(
    backend: str, gpus: list[str], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras = SimpleNamespace(backend=SimpleNamespace(backend=lambda: backend))
    monkeypatch.setattr(runtime, "load_keras", lambda: keras)
    monkeypatch.setattr(runtime, "gpus", lambda: gpus)
    assert runtime.xla() is compiled


def test_no_recipe_decides_by_itself_whether_steps_are_compiled() -> None:
    own = re.compile(r"jit_compile=(?!runtime\.xla\(\))")
    package = Path(runtime.__file__).parent
    sources = [*package.rglob("*.py"), *(package.parent / "experiments").glob("*.py")]
    found = [path.name for path in sources if own.search(path.read_text(encoding="utf-8"))]
    assert found == ["gradients.py"]  # which knows its backend


def test_a_gpu_is_called_by_its_name(monkeypatch):
    """JAX says what it is; TensorFlow's tensors know only where they are."""
    named = SimpleNamespace(devices=lambda: [SimpleNamespace(device_kind="NVIDIA H100 80GB HBM3")])
    for tensor, name in ((named, "NVIDIA H100 80GB HBM3"), (SimpleNamespace(device="…"), "gpu:0")):
        ops = SimpleNamespace(zeros=lambda n, tensor=tensor: tensor)
        monkeypatch.setattr(runtime, "load_keras", lambda ops=ops: SimpleNamespace(ops=ops))
        monkeypatch.setattr(runtime, "gpus", lambda: ["gpu:0"])
        assert runtime.device() == name
        monkeypatch.setattr(runtime, "gpus", lambda: ["gpu:0", "gpu:1"])
        assert runtime.device() == f"2 x {name}"
