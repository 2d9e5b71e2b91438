"""The atlas: what 32 filters of each of the thirteen layers of the original VGG-16 want to see. Notebook 08.

    python -m experiments.filters_atlas --layer block3_conv1      # one layer; again where it was stopped
    python -m experiments.filters_atlas --finish                  # posters, record

Every layer climbs with the recipe "clear", from small pictures to large ones (`STAGES`): what is large in a
picture is found where a step is cheap, and details are added where it is dear. Filters are picked evenly by
their index, none is left out. Early layers see a few pixels, so their pictures are smaller.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np

from course_utils import filters, runtime
from course_utils.networks import pretrained, vgg16
from course_utils.pictures import images

COUNT, BATCH = 32, 8
STAGES = {  # block -> (size in pixels, steps, length of a step) one after the other
    "block1": ((80, 40, 6.0),),
    "block2": ((80, 40, 6.0),),
    "block3": ((53, 14, 7.0), (80, 7, 5.0)),
    "block4": ((80, 10, 10.0), (160, 2, 6.0)),
    "block5": ((96, 10, 10.0), (224, 2, 6.0)),
}


def climb(layer: str, weights: str | Path, work: Path, stage: int, seed: int = 0) -> None:
    """One stage of a layer's optima, eight at a time; what is there already is kept."""
    work.mkdir(parents=True, exist_ok=True)
    model = None
    which = filters.evenly(vgg16.CHANNELS[layer], COUNT)
    for first in range(0, COUNT, BATCH):
        part = _part(work, layer, first, stage)
        if part.exists():
            continue
        model = model or pretrained.load_vgg16(weights, until=layer)
        begun = time.perf_counter()
        picture = None if stage == 0 else np.load(_part(work, layer, first, stage - 1))["images"]
        found = _climbed(model, layer, which[first : first + BATCH], STAGES[layer[:6]][stage], picture, seed)
        seconds = time.perf_counter() - begun
        rows = {name: getattr(found, name) for name in ("filters", "activation", "alive")}
        beside = part.with_suffix(".part.npz")
        np.savez(beside, images=images.to_uint8(found.images), seconds=seconds, **rows)
        beside.rename(part)
        print(f"{layer} {first:2d} stage {stage}: {seconds:.0f} s, {found.note}", flush=True)


def _part(work: Path, layer: str, first: int, stage: int) -> Path:
    return work / f"{layer}_{first:02d}_{stage}.npz"


def _climbed(
    model: object, layer: str, which: np.ndarray, stage: tuple, picture: np.ndarray | None, seed: int
) -> filters.Optima:
    size, steps, step = stage
    later = {} if picture is None else {"coarse": 0.0, "start": images.resize(picture, (size, size))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # small pictures are what the first stage is for
        return filters.maximize(
            model,
            layer,
            which,
            recipe="clear",
            size=size,
            seed=seed,
            batch=BATCH,
            precision="float32",
            steps=steps,
            step=step,
            **later,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", choices=vgg16.LAYERS)
    parser.add_argument("--stage", type=int, default=0, help="0 first; see STAGES")
    parser.add_argument("--weights", default="original")
    parser.add_argument("--work", type=Path, default=Path("out/filters_atlas"))
    options = parser.parse_args()
    runtime.start(seed=0)
    if options.layer:
        climb(options.layer, options.weights, options.work, options.stage)


if __name__ == "__main__":
    main()
