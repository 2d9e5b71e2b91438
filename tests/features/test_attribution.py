"""Maps of what an answer rests on: known answers, agreement between methods, and the sanity checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from course_utils.features import attribution
from course_utils.networks import gradients

keras = pytest.importorskip("keras")
RNG = np.random.default_rng(5)
X = RNG.normal(size=(1, 12, 16, 3)).astype(np.float32)


def averaged(activation: str | None = "softmax") -> Any:
    """Two convolutions, the average, one dense layer."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(5, 3, padding="same", activation="relu", name="first")(inputs)
    x = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="last")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(4, activation=activation, name="answers")(x))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
def test_cam_is_grad_cam_for_an_average_head(activation: str | None) -> None:
    model = averaged(activation)
    maps = gradients.forward(keras.Model(model.input, model.get_layer("last").output), X)[0]
    kernel = model.get_layer("answers").kernel.numpy()
    for k in range(4):
        cam = attribution.class_activation_map(maps, kernel, k)
        grad = attribution.grad_cam(model, X, "last", k)
        np.testing.assert_allclose(grad, np.maximum(cam, 0) / cam.size, atol=1e-7)
    assert model.get_layer("answers").activation.__name__ == (activation or "linear")


def test_the_mean_of_the_cam_is_the_score() -> None:
    model = averaged(None)
    maps = gradients.forward(keras.Model(model.input, model.get_layer("last").output), X)[0]
    head = model.get_layer("answers")
    scores = gradients.forward(model, X)[0]
    for k in range(4):
        cam = attribution.class_activation_map(maps, head.kernel.numpy(), k)
        assert cam.mean() + float(head.bias.numpy()[k]) == pytest.approx(scores[k], abs=1e-6)


def reference(model: Any, layer: str, k: int) -> np.ndarray:
    """Grad-CAM by the model cut in two at the layer, with scores."""
    model.layers[-1].activation = keras.activations.linear
    lower = keras.Model(model.input, model.get_layer(layer).output)
    upper = keras.Model(model.get_layer(layer).output, model.output)
    maps = gradients.forward(lower, X)
    _, slope = gradients.value_and_gradient(lambda m: upper(m)[0, k], compile=False)(maps)
    weights = np.asarray(slope).mean((1, 2), keepdims=True)
    return np.maximum((weights * maps).sum(-1)[0], 0)


def sequential(tmp_path: Path) -> Any:
    functional = averaged()
    layers = [keras.Input((None, None, 3)), *functional.layers[1:]]
    return keras.Sequential(layers)


def nested(tmp_path: Path) -> Any:
    inner = averaged()
    body = keras.Model(inner.input, inner.layers[-2].output, name="body")
    return keras.Sequential([keras.Input((None, None, 3)), body, inner.layers[-1]])


def reloaded(tmp_path: Path) -> Any:
    averaged().save(tmp_path / "model.keras")
    return keras.models.load_model(tmp_path / "model.keras")


def separate_softmax(tmp_path: Path) -> Any:
    scores = averaged(None)
    return keras.Model(scores.input, keras.layers.Softmax()(scores.output))


@pytest.mark.parametrize("make", [sequential, nested, reloaded, separate_softmax])
def test_any_kind_of_model(make: Callable[[Path], Any], tmp_path: Path) -> None:
    for layer in ("first", "last"):
        expected = reference(averaged(), layer, 2)
        found = attribution.grad_cam(make(tmp_path), X, layer, 2)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_layer_that_a_branch_goes_around(tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 3))
    body = keras.layers.Conv2D(3, 1, name="branch")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.add([inputs, body]))
    model = keras.Model(inputs, keras.layers.Dense(2)(pooled))
    heat = attribution.grad_cam(model, X[:, :8, :8], "branch", 1)
    maps = gradients.forward(keras.Model(inputs, body), X[:, :8, :8])[0]
    expected = attribution.class_activation_map(maps, model.layers[-1].kernel.numpy(), 1) / 64
    np.testing.assert_allclose(heat, np.maximum(expected, 0), atol=1e-6)


def test_gradient_of_a_network_that_looks_at_one_pixel() -> None:
    inputs = keras.Input((6, 5, 3))
    picked = keras.layers.Flatten()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(picked))
    kernel = np.zeros((90, 2), np.float32)
    kernel[(2 * 5 + 3) * 3 + 1, 0] = -4.0  # row 2, column 3, green
    model.layers[-1].set_weights([kernel])
    heat = attribution.gradient_map(model, np.ones((1, 6, 5, 3), np.float32), 0)
    assert heat[2, 3] == 4.0 and heat.sum() == 4.0


def test_occlusion_of_a_network_that_looks_at_a_corner() -> None:
    """Its score is the mean of the top left 4 x 4: hiding it costs, hiding anything else does not."""
    image = np.full((12, 16, 3), 100.0, np.float32)
    image[:4, :4] = 200.0
    heat = attribution.occlusion_map(lambda some: some[:, :4, :4].mean((1, 2, 3)), image, 4, 4, batch=5)
    grey = image.mean()
    expected = np.zeros((12, 16))
    expected[:4, :4] = 200 - grey
    np.testing.assert_allclose(heat, expected, atol=1e-3)


def test_occlusion_reaches_every_pixel_and_refuses_what_would_not() -> None:
    image = RNG.uniform(0, 255, (11, 13, 3)).astype(np.float32)
    heat = attribution.occlusion_map(lambda some: some.mean((1, 2, 3)), image, 4, 3)
    assert heat.shape == (11, 13) and np.isfinite(heat).all()
    for side, stride in ((20, 4), (4, 5), (0, 1), (4, 0)):
        with pytest.raises(ValueError, match="does not fit"):
            attribution.occlusion_map(lambda some: some.mean((1, 2, 3)), image, side, stride)


def test_maps_change_when_the_weights_are_random() -> None:
    """Adebayo et al. 2018: a method whose maps stay, shows the picture and not the network."""
    model = averaged()
    before = [attribution.grad_cam(model, X, "last", 1), attribution.gradient_map(model, X, 1)]
    for layer in model.layers:
        layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
    after = [attribution.grad_cam(model, X, "last", 1), attribution.gradient_map(model, X, 1)]
    for one, other in zip(before, after, strict=True):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.6


def test_pointing_game() -> None:
    heat = np.zeros((7, 7))
    heat[1, 5] = 1.0
    x, y = attribution.peak(heat, (70, 140))
    assert abs(x - 110) <= 10 and abs(y - 15) <= 5
    assert attribution.points_at(heat, np.array([100, 5, 30, 20]), (70, 140))
    assert not attribution.points_at(heat, np.array([0, 0, 60, 60]), (70, 140))


def test_layers_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"no layer 'block9'; there are .*first"):
        attribution.grad_cam(averaged(), X, "block9")
    with pytest.raises(ValueError, match="needs maps"):
        attribution.grad_cam(averaged(), X, "answers")
