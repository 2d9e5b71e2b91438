"""`course convert`: a classifier with dense layers as a network of convolutions only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils.cli import _outputs

SUFFIXES = (".keras", ".h5")


def register(app: typer.Typer) -> None:
    """Add `course convert`."""
    app.command("convert")(convert)


def convert(
    weights: Annotated[
        Path,
        typer.Argument(
            help="A Keras classifier, .keras or .h5: a chain that ends in Flatten or an average, and Dense.",
            metavar="WEIGHTS.keras",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file to write, .keras or .h5.")] = Path(
        "out/convolutional.keras"
    ),
    overwrite: _outputs.Overwrite = False,
) -> None:
    """Make the dense layers of a classifier convolutions, with the same weights.

    The new network takes pictures of any size from the old one's on and answers at many places in one pass:
    a map of where each class is. On a picture of the old size both give the same answer, which is checked
    before anything is written.
    """
    make(weights, out, overwrite)


def make(weights: Path, out: Path, overwrite: bool = False) -> Any:
    """What the command does; returns the converted network."""
    if weights.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{weights}: a network that Keras saved is needed, {' or '.join(SUFFIXES)}")
    out = _outputs.file(out, inputs=[weights], suffixes=SUFFIXES, overwrite=overwrite)
    import numpy as np

    from course_utils import runtime
    from course_utils.networks import convert as converting

    runtime.start()
    model = _loaded(weights)
    converted = converting.dense_to_convolutional(model)
    for name, before, after in _kernels(model, converted):
        print(f"{name}: {before} -> {after}")
    height, width, channels = model.input_shape[1:]
    x = np.random.default_rng(0).normal(0, 60, (1, height, width, channels)).astype(np.float32)
    apart = float(np.abs(model.predict_on_batch(x) - converted.predict_on_batch(x)[:, 0, 0]).max())
    if apart > 1e-2:
        raise ValueError(f"{weights}: the converted network answers differently, by {apart:.2g}")
    print(f"On a picture of {height} x {width} the answers differ by {apart:.1g} at most.")
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".part-{out.name}")
    converted.save(beside)
    beside.replace(out)
    print(f"{out}: give it pictures of at least {height} x {width}, prepared as before")
    return converted


def _loaded(path: Path) -> Any:
    """The network; only layers of Keras itself, no code of the file's."""
    import keras

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise ValueError(f"{path} can't be read as a network: {str(error).splitlines()[0]}") from error


def _kernels(before: Any, after: Any) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Of each dense layer its name, and its kernel's shape then and now."""
    new = {layer.name: layer for layer in after.layers}
    return [
        (layer.name, tuple(layer.kernel.shape), tuple(new[layer.name].kernel.shape))
        for layer in before.layers
        if type(layer).__name__ == "Dense"
    ]
