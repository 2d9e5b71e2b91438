"""Weight files: reading them safely, and putting them into a network, with errors for readers. Notebook 01.

The course's own files are `.npz` with the keys `LAYER_kernel` and `LAYER_bias`; Keras's `.h5` and `.keras`
are read, too. Inside, weights are always a dict of such keys and float32 arrays. Any network can use this.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import files, runtime

if TYPE_CHECKING:
    import keras

PARTS = ("kernel", "bias")
SUFFIXES = (".npz", ".h5", ".hdf5", ".keras")


def read(path: str | Path, *, as_stored: bool = False) -> dict[str, np.ndarray]:
    """Read a weight file.

    Args:
        path: `.npz` (keys `LAYER_kernel`, `LAYER_bias`; never pickles), `.h5` or `.keras`.
        as_stored: leave an `.npz` file's float16 as it is, which takes half the memory; `put` takes it.

    Returns:
        `{"LAYER_kernel": (kh, kw, in, out) or (in, out), "LAYER_bias": (out,), …}`, float32.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another suffix; truncated, damaged, or not a weight file; values that are not finite.
    """
    path = Path(path).expanduser()
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: weight files end in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise FileNotFoundError(f"no weight file {path}")
    if path.suffix == ".npz":
        weights = _read_npz(path, as_stored)
    else:
        weights = _read_keras(path) if path.suffix == ".keras" else _read_h5(path)
    if not weights:
        raise ValueError(f"{path} holds no weights: no LAYER_kernel and LAYER_bias were found in it")
    for key, value in weights.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{path}: {key} has values that are not finite; get or make the file again")
    return weights


def _read_npz(path: Path, as_stored: bool) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no .npz file, or only a part of one; get or make it again")
    try:
        with files.reading_npz(path) as arrays:
            names = [key for key in arrays.files if key.endswith(tuple(f"_{part}" for part in PARTS))]
            return {key: _floats(arrays[key], as_stored) for key in names}
    except (zlib.error, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); get or make it again") from error
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise ValueError(
            f"{path} holds pickled objects, which are never loaded; save plain arrays"
        ) from error


def _floats(values: np.ndarray, as_stored: bool) -> np.ndarray:
    """Float32, or float16 that is to stay as it is."""
    return values if as_stored and values.dtype == np.float16 else np.asarray(values, dtype=np.float32)


def _read_h5(path: Path) -> dict[str, np.ndarray]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "layers" in file and "layer_names" not in file.attrs:
                return _keras3_h5(file["layers"])
            return _keras2_h5(file.get("model_weights", file))
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path} is damaged or no .h5 file ({error}); get or make it again") from error


def _keras2_h5(root: Any) -> dict[str, np.ndarray]:
    """A group a layer, named after it; inside, at any depth, its kernel (rank 2 to 4) and bias (rank 1)."""
    weights: dict[str, np.ndarray] = {}
    for layer, group in root.items():
        arrays: list[Any] = []
        group.visititems(lambda _, item, found=arrays: found.append(item) if hasattr(item, "shape") else None)
        for item in arrays:
            if item.ndim in (1, 2, 4):
                part = "bias" if item.ndim == 1 else "kernel"
                weights.setdefault(f"{layer}_{part}", np.asarray(item, dtype=np.float32))
    return weights


def _keras3_h5(root: Any) -> dict[str, np.ndarray]:
    """`save_weights` of Keras 3: groups named after classes, each layer's own name as an attribute."""
    weights: dict[str, np.ndarray] = {}
    for group in root.values():
        values, name = group.get("vars"), group.attrs.get("name")
        name = name if name is not None or values is None else values.attrs.get("name")
        if values is None or name is None or "0" not in values:
            continue
        for part, key in zip(PARTS, ("0", "1"), strict=True):
            if key in values:
                weights[f"{name}_{part}"] = np.asarray(values[key], dtype=np.float32)
    return weights


def _read_keras(path: Path) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no .keras file, or only a part of one; get or make it again")
    from keras import saving

    try:
        model = saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} can't be read as a Keras model: {error}") from error
    return of(model)


def of(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of a model's convolutions and dense layers, as `read` returns them."""
    return {
        f"{layer.name}_{part}": np.asarray(as_numpy(getattr(layer, part)), dtype=np.float32)
        for layer in model.layers
        for part in PARTS
        if getattr(layer, part, None) is not None
    }


def as_numpy(variable: Any) -> np.ndarray:
    """A variable's values, float32."""
    from keras import ops

    # "+ 0": of a sum NumPy makes an array without the warning that it has for TensorFlow's variables.
    return ops.convert_to_numpy(ops.cast(variable, "float32") + 0)


def save(path: str | Path, weights: Mapping[str, np.ndarray], dtype: str = "float16") -> Path:
    """Write weights as an `.npz` that `read` takes back; the file is whole or not there.

    Args:
        path: ends in `.npz`.
        weights: as `read` or `of` return them.
        dtype: "float16" halves the size and costs VGG-16 no accuracy; or "float32".
    """
    path = Path(path)
    with files.replacing(path) as file:
        arrays: dict[str, Any] = {key: np.asarray(value, dtype) for key, value in weights.items()}
        np.savez_compressed(file, **arrays)
    return path


def layers(weights: Mapping[str, np.ndarray]) -> list[str]:
    """The names of the layers that have a kernel, in the file's order."""
    return [key.removesuffix("_kernel") for key in weights if key.endswith("_kernel")]


def put(
    model: keras.Model,
    weights: Mapping[str, np.ndarray],
    source: str | Path,
    only: Iterable[str] | None = None,
) -> keras.Model:
    """Put weights into the layers of a model that have the same names; returns the model.

    Args:
        model: every convolution and dense layer of it is filled.
        weights: as `read` returns them; more layers than the model has are allowed.
        source: the file's name, for messages.
        only: names of the layers to fill, if not all.

    Raises:
        ValueError: a layer is missing in the file, or a shape differs: the message names the layer, what
            was expected and what was found. The model is unchanged then.
    """
    wanted = [layer for layer in model.layers if getattr(layer, "kernel", None) is not None]
    if only is not None:
        wanted = [layer for layer in wanted if layer.name in set(only)]
    missing = [layer.name for layer in wanted if f"{layer.name}_kernel" not in weights]
    if missing:
        raise ValueError(f"{source}: these layers are missing: {', '.join(missing)}")
    pairs = []
    for layer in wanted:
        for part in PARTS:
            variable, key = getattr(layer, part, None), f"{layer.name}_{part}"
            if variable is None:
                continue
            found = tuple(weights[key].shape) if key in weights else "nothing"
            if found != tuple(variable.shape):
                raise ValueError(f"{source}: {key}: expected {tuple(variable.shape)}, found {found}")
            pairs.append((variable, weights[key]))
    for variable, value in pairs:
        variable.assign(value)
    return model


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); get or make it again") from error


def card(path: str | Path) -> dict[str, Any]:
    """The model card of a weight file: `NAME.json` beside it, or `card.json` of its run; or an empty one."""
    path = Path(path)
    found = [each for each in (path.with_suffix(".json"), path.with_name("card.json")) if each.is_file()]
    return dict(_json(found[0])) if found else {}


def find(weights: str | Path) -> Path:
    """The file that is meant: a path, or a bare name of weights that ship, such as "all_cnn".

    Raises:
        FileNotFoundError: a name that does not ship; the message says which do.
    """
    path = Path(weights).expanduser()
    if path.suffix or path.name != str(weights) or path.exists():
        return path
    there = runtime.shipped(f"weights/{weights}.npz")
    if not there.is_file():
        names = ", ".join(sorted(each.stem for each in there.parent.glob("*.npz")))
        raise FileNotFoundError(
            f"no weights {str(weights)!r}: give the file that `course train` wrote, or one of {names}"
        )
    return there


def shipped(name: str) -> Path:
    """The path of weights that ship, such as "vgg16_course".

    Raises:
        FileNotFoundError: the installation lacks them.
    """
    path = runtime.shipped(f"weights/{name}.npz")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: it ships with the course; install or clone it again")
    return path


@cache
def class_table(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """WordNet ids and names of the classes from a shipped list such as "tiny_imagenet_classes.json"."""
    path = runtime.shipped(name)
    if not path.is_file():
        raise FileNotFoundError(f"the class names {path} are missing: install or clone the course again")
    wnids, names = zip(*_json(path), strict=True)
    return wnids, names
