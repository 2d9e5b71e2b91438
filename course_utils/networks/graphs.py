"""Any Keras model as one chain of steps from picture to answer, whatever it is built from.

The functional API keeps the graph at hand; a `Sequential` hides it, and a model inside a model hides its own.
Here all of them become one list of layers with the tensors that go in and come out.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Step:
    """A layer (or another operation), and the symbolic tensors before and after it."""

    layer: Any
    inputs: tuple[Any, ...]
    output: Any


@dataclass(frozen=True)
class Graph:
    """From the picture's tensor through all steps, in order, by the layers' names."""

    input: Any
    steps: dict[str, Step]

    @property
    def names(self) -> list[str]:
        """Of the layers, without operations such as an addition written with `+`."""
        import keras

        return [name for name, step in self.steps.items() if isinstance(step.layer, keras.Layer)]


_EXPANDED: weakref.WeakKeyDictionary[Any, Graph] = weakref.WeakKeyDictionary()


def of(model: keras.Model) -> Graph:
    """The graph of a model that looks at one picture.

    Raises:
        ValueError: a subclassed model, which keeps its layers inside `call`; a `Sequential` that does not
            know its input yet; several inputs.
    """
    _check(model)
    plain = _plain(model)
    if plain is not None:
        return plain
    if model not in _EXPANDED:
        _EXPANDED[model] = _expanded(model)
    return _EXPANDED[model]


def _check(model: keras.Model) -> None:
    import keras

    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(
            f"{model.name} does not know what comes in: begin it with keras.Input((None, None, 3)), or show "
            "it a picture once"
        )
    inputs = None if isinstance(model, keras.Sequential) else getattr(model, "inputs", None)
    if inputs is None and not isinstance(model, keras.Sequential):
        raise ValueError(
            f"{model.name} is a subclassed model ({type(model).__name__}): what its layers do stands in its "
            "call(), where nothing can be tapped. Give a keras.Sequential or a functional model, or one that "
            "is inside it"
        )
    if inputs is not None and len(inputs) != 1:
        names = ", ".join(each.name for each in inputs)
        raise ValueError(f"{model.name} takes {len(inputs)} inputs ({names}); one picture is given here")


def _plain(model: keras.Model) -> Graph | None:
    """The graph of a functional model without others inside it; None for any other."""
    import keras
    from keras import tree

    if isinstance(model, keras.Sequential):
        return None
    steps: dict[str, Step] = {}
    known: set[int] = set()
    for operation in model.operations:
        if isinstance(operation, keras.Model):
            return None
        before = [] if isinstance(operation, keras.layers.InputLayer) else tree.flatten(operation.input)
        if not all(id(tensor) in known for tensor in before):
            return None  # the layer was used elsewhere first, and its tensors are of that graph
        output = tree.flatten(operation.output)[0]
        known.add(id(output))
        steps[operation.name] = Step(operation, tuple(before), output)
    return Graph(model.inputs[0], steps)


def _expanded(model: keras.Model) -> Graph:
    """Every layer called once more, on the way noting what goes in and out; models inside are entered."""
    import keras

    x = keras.Input(batch_shape=model.input_shape)
    first = x._keras_history.operation
    walk = _Walk({first.name: Step(first, (), x)})
    walk.through(model, x)
    return Graph(x, walk.steps)


@dataclass
class _Walk:
    """A walk through a model, which notes its steps."""

    steps: dict[str, Step]

    def through(self, inner: keras.Model, x: Any) -> Any:
        """Call all layers of a model, in their order; returns what comes out."""
        import keras
        from keras import tree

        _check(inner)
        if isinstance(inner, keras.Sequential):
            for layer in inner.layers:
                x = self.call(layer, x)
            return x
        last, found = inner.outputs[0]._keras_history.operation, [x]

        def noted(operation: Any, *arguments: Any, **options: Any) -> Any:
            output = self.call(operation, *arguments, **options)
            if operation is last:
                found.append(tree.flatten(output)[0])
            return output

        keras.models.clone_model(
            inner,
            input_tensors=tree.pack_sequence_as(inner.input, [x]),
            clone_function=lambda layer: layer,
            call_function=noted,
        )
        return found[-1]

    def call(self, operation: Any, *arguments: Any, **options: Any) -> Any:
        """Call a layer and note it, or walk through a model."""
        import keras
        from keras import tree

        if isinstance(operation, keras.Model):
            return self.through(operation, arguments[0])
        output = operation(*arguments, **options)
        before = tuple(t for t in tree.flatten((arguments, options)) if isinstance(t, keras.KerasTensor))
        name = operation.name
        while name in self.steps:  # two models inside have a layer of this name
            name = f"{name}_again"
        self.steps[name] = Step(operation, before, tree.flatten(output)[0])
        return output
