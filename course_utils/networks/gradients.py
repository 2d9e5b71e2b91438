"""Value and gradient of a loss on TensorFlow, JAX or PyTorch: the one switch between them. Notebooks 07, 08.

Keras 3 computes the same thing on three backends, but has no common way to ask for a gradient. Everything
in the course that optimizes a picture asks here, and contains no backend code itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

Loss = Callable[..., Any]


def value_and_gradient(loss: Loss, *, compile: bool = True) -> Callable[..., tuple[Any, Any]]:
    """Turn a loss into a function that returns its value and its gradient.

    Args:
        loss: `loss(x, *rest)` -> a scalar tensor, or a tensor of any shape, which is summed (so a batch of
            independent losses gives each picture its own gradient). Written with `keras.ops` and models.
        compile: build a graph once for each shape of the arguments (TensorFlow without XLA on a CPU, where
            it is slower; JAX with `jit`; PyTorch runs as it is). False for looking inside.

    Returns:
        `fn(x, *rest) -> (value, gradient)`, tensors of the backend: `value` is what the loss returned,
        `gradient` has x's shape and dtype. x and the rest may be NumPy arrays or tensors; no gradient flows
        to the rest.

    Raises:
        ValueError: when called, if the loss does not depend on x (JAX returns zeros instead).
        NotImplementedError: the backend is none of the three.
    """
    import keras

    switch = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    backend = keras.backend.backend()
    if backend not in switch:
        raise NotImplementedError(f"no gradients on the backend {backend!r}: use {', '.join(switch)}")
    return switch[backend](loss, compile)


def _tensorflow(loss: Loss, compile: bool) -> Callable[..., tuple[Any, Any]]:
    import tensorflow as tf

    def both(x: Any, *rest: Any) -> tuple[Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            value = loss(x, *rest)
        gradient = tape.gradient(value, x)
        if gradient is None:
            raise ValueError("the loss does not depend on x: is a NumPy call cutting it off?")
        return value, gradient

    # XLA on a CPU makes convolutions several times slower; on a GPU plain graphs are fast enough.
    compiled = tf.function(both, jit_compile=False, autograph=False) if compile else both
    return lambda x, *rest: compiled(*map(tf.convert_to_tensor, (x, *rest)))


def _jax(loss: Loss, compile: bool) -> Callable[..., tuple[Any, Any]]:
    import jax
    import jax.numpy as jnp

    def total(x: Any, *rest: Any) -> tuple[Any, Any]:
        value = loss(x, *rest)
        return jnp.sum(value), value

    def both(x: Any, *rest: Any) -> tuple[Any, Any]:
        (_, value), gradient = jax.value_and_grad(total, has_aux=True)(x, *rest)
        return value, gradient

    compiled = jax.jit(both) if compile else both
    return lambda x, *rest: compiled(*map(jnp.asarray, (x, *rest)))


def _torch(loss: Loss, compile: bool) -> Callable[..., tuple[Any, Any]]:
    import torch
    from keras import ops

    def both(x: Any, *rest: Any) -> tuple[Any, Any]:
        x = ops.convert_to_tensor(x).detach().clone().requires_grad_(True)
        with torch.enable_grad():
            value = loss(x, *map(ops.convert_to_tensor, rest))
        if not value.requires_grad:
            raise ValueError("the loss does not depend on x: is a NumPy call cutting it off?")
        (gradient,) = torch.autograd.grad(value.sum(), x, allow_unused=True)
        if gradient is None:
            raise ValueError("the loss does not depend on x: is a NumPy call cutting it off?")
        return value.detach(), gradient

    return both


def at_rest(model: keras.Model) -> keras.Model:
    """A network that is looked at, not trained: what it says can be read as a NumPy array.

    On PyTorch an answer that depends on weights which may still change keeps what their gradient needs, and
    `np.asarray(model(x))` is refused. Whoever trains it after all sets `layer.trainable`, as everywhere.
    """
    import keras

    if keras.backend.backend() == "torch":
        for variable in model.variables:
            variable.value.requires_grad_(False)
    return model


def forward(
    model: keras.Model,
    x: np.ndarray,
    batch: int = 32,
    *,
    before: Callable[[np.ndarray], np.ndarray] | None = None,
    after: Callable[[Any], Any] | None = None,
) -> Any:
    """Run a model, so many pictures at a time, without keeping what a gradient would need.

    Args:
        model: with one output or a list of outputs.
        x: its input, a NumPy array (N, …); or what `before` makes it from.
        batch: pictures in one pass.
        before: what each part of x goes through first, such as `images.preprocess`; so pictures stay uint8,
            or x is a row of numbers, and each part of the input is made when its turn comes.
        after: what each part of the output goes through before all are joined, such as an argmax.

    Returns:
        The output as a float32 NumPy array, or a list of them; with `after`, what that returned, joined.
    """
    parts = []
    for start in range(0, max(len(x), 1), batch):
        part = x[start : start + batch]
        answer = _one_pass(model, part if before is None else before(part))
        parts.append(answer if after is None else after(answer))
    if isinstance(parts[0], list):
        return [np.concatenate(each) for each in zip(*parts, strict=True)]
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _one_pass(model: keras.Model, x: np.ndarray) -> Any:
    import keras
    from keras import ops

    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            outputs = model(x, training=False)
    else:
        outputs = model(x, training=False)
    several = isinstance(outputs, list | tuple)
    arrays = [
        ops.convert_to_numpy(ops.cast(output, "float32")) for output in (outputs if several else [outputs])
    ]
    return arrays if several else arrays[0]


def frozen(model: keras.Model, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """A model as a function for inputs of one shape, with its weights as constants.

    A processor wants kernels in an order of its own. Weights that may change are brought into it at every
    call, constants only once; for a single picture this takes VGG-16 in float32 nearly as long as the
    convolutions themselves (TensorFlow; on other backends this is `forward`). Later training does not reach
    the function.

    Args:
        model: with one input and one output, and at most some tens of millions of weights: TensorFlow keeps
            several copies of constants.
        shape: of the inputs, with the batch.

    Returns:
        `fn(x) -> float32 array`. Notebook 05.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return lambda x: forward(model, x)
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    graph = tf.function(lambda x: model(x, training=False), autograph=False)
    fixed = convert_variables_to_constants_v2(graph.get_concrete_function(tf.TensorSpec(shape, "float32")))

    def run(x: np.ndarray) -> np.ndarray:
        (answer,) = fixed(tf.convert_to_tensor(x, "float32"))
        return np.asarray(tf.cast(answer, "float32"))

    return run
