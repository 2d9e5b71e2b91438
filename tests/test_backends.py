"""The promise of three backends: what TensorFlow computes, JAX and PyTorch compute, where they are installed.

Every engine of the notebooks once, on a network so small that two processes need a few seconds.
The slow tests run whole notebooks.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import sys, warnings
import numpy as np
from course_utils import filters, runtime, style, training
from course_utils.features import attribution
from course_utils.features.maps import feature_maps, tap
from course_utils.networks import gradients, pretrained, vgg16
from course_utils.pictures import images

warnings.simplefilter("ignore")
runtime.start(0)
keras = runtime.load_keras()
ops, rng = keras.ops, np.random.default_rng(0)


def drawn(model):
    "The same weights on every backend."
    for variable in model.weights:
        shape = tuple(variable.shape)
        variable.assign(rng.normal(0, (2 / max(1, np.prod(shape[:-1]))) ** 0.5, shape))
    return model


keep = {}
small = {"initializer": "zeros", "input_shape": (None, None, 3)}
model = drawn(vgg16.build(1 / 16, until="block2_conv2", include_top=False, **small))
named = drawn(vgg16.build(1 / 16, head="average", classes=4, **small))
picture, other = (rng.uniform(0, 255, (40, 48, 3)).astype("float32") for _ in range(2))

looked_at = drawn(pretrained.load_vgg16(None, width=1 / 16, until="block2_conv1"))
keep["looked at"] = np.asarray(looked_at(picture[None]))

part = tap(model, [3, "block2_conv1"], before_relu=True)
loss = lambda x, goal: ops.mean(ops.square(part(x)[1]), axis=(1, 2, 3)) + ops.mean(part(x)[0] - goal)
value, gradient = gradients.value_and_gradient(loss)(picture[None], np.float32(3))
keep |= {"value": ops.convert_to_numpy(value), "gradient": ops.convert_to_numpy(gradient)}
keep |= {f"maps {name}": maps for name, maps in feature_maps(model, picture, [3, 8]).items()}

for recipe, more in (("blog", {}), ("clear", {"jitter": 0, "turn": 0.0})):
    found = filters.maximize(model, "block2_conv1", [0, 1], recipe=recipe, size=32, steps=3, **more)
    keep |= {f"filters {recipe}": found.images, f"climbed {recipe}": found.history}
keep["class"] = filters.maximize(named, "predictions", [2], size=32, steps=2).images
keep["field"] = filters.effective_field(model, "block2_conv1", 32, looks=4)
keep["dream"] = filters.dream(model, picture, "block2_conv1", steps=2, octaves=2)

settings = {"content_layers": ("block2_conv2",), "style_layers": ("block1_conv1", "block2_conv1")}
for optimizer in ("adam", "lbfgs"):
    painted = style.transfer(model, picture, other, size=48, steps=4, optimizer=optimizer, **settings)
    keep |= {f"{optimizer} {name}": painted.history[name] for name in ("content", "style", "total")}
    keep[f"{optimizer} painted"] = painted.image

x = images.preprocess(picture)[None]
keep["grad_cam"] = attribution.grad_cam(named, x, "block3_conv3", 1)
keep["gradient_map"] = attribution.gradient_map(named, x, 1)
score = lambda batch: gradients.forward(model, images.preprocess(batch)).mean((1, 2, 3))
keep["occlusion"] = attribution.occlusion_map(score, picture, 24, 12)

start = [rng.normal(size=shape) for shape in ((6, 5), (5,), (5, 3), (3,))]


def batches(epoch):
    for k in range(3):
        own = np.random.default_rng([epoch, k])
        yield own.normal(size=(8, 6)).astype("float32"), own.integers(0, 3, 8)


def trained(out, dropout, *lengths):
    "The weights and losses of a run that is stopped after so many epochs, and resumed by another process."
    for epochs in lengths:
        keras.utils.set_random_seed(epochs)
        layers = [keras.layers.Dense(5, "relu"), keras.layers.Dropout(dropout), keras.layers.Dense(3)]
        net = keras.Sequential([keras.Input((6,)), *layers])
        net.set_weights(start)
        error = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        net.compile(keras.optimizers.Adam(0.01), error)
        if dropout:
            layers[1].seed_generator.state.assign([0, 7])
        done = training.fit(net, batches, steps=3, epochs=epochs, out=f"{sys.argv[2]}/{out}", settings={},
                            rate=lambda _: 0.01, resume=True, say=lambda line: None)
    return np.concatenate([w.ravel() for w in net.get_weights()]), [row["loss"] for row in done.rows]


keep["trained"], keep["losses"] = trained("plain", 0.0, 1, 3)
whole, parts = (trained(name, 0.5, *lengths)[0] for name, lengths in (("whole", [3]), ("parts", [1, 3])))
assert (whole == parts).all(), "resumed with other bits"
np.savez(sys.argv[1], **{key: np.asarray(each) for key, each in keep.items()})
print(keras.backend.backend())
"""
LOOSE = {"lbfgs painted": 2e-2, "filters clear": 1e-2, "dream": 1e-2}
"""Shares of the largest value by which the ends of longer ascents may differ; 1e-3 elsewhere."""


def environment(backend: str) -> dict[str, str]:
    return os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}


def run_on(backend: str, folder: Path) -> dict[str, np.ndarray]:
    """What the program computes on a backend, in a process of its own."""
    out = folder / f"{backend}.npz"
    command = [sys.executable, "-c", PROGRAM, str(out), str(folder / backend)]
    done = subprocess.run(command, env=environment(backend), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == backend, done.stdout
    with np.load(out) as arrays:
        return {key: arrays[key] for key in arrays.files}


@pytest.fixture(scope="module")
def on_tensorflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return run_on("tensorflow", tmp_path_factory.mktemp("backends"))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_backends_agree(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed here")
    expected = request.getfixturevalue("on_tensorflow")
    found = run_on(backend, tmp_path)
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert np.abs(value).max() > 0, key
        off = np.abs(found[key] - value).max() / np.abs(value).max()
        assert off <= LOOSE.get(key, 1e-3), f"{backend}: {key} is off by {off:.1e} of its largest value"
    for optimizer in ("adam", "lbfgs"):  # the two losses are two, and the total is their sum
        assert not np.allclose(found[f"{optimizer} content"], found[f"{optimizer} style"], rtol=0.1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", ["01", "02", "03", "07", "08"])
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_notebooks_run_on(backend: str, number: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed here")
    command = [sys.executable, "-m", "course_utils.cli", "run", number]
    done = subprocess.run(command, env=environment(backend), capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.rstrip().endswith(" ok"), done.stdout + done.stderr[-3000:]
