"""The atlas: what 32 filters of each of the thirteen layers of the original VGG-16 want to see. Notebook 08.

    python -m experiments.filters_atlas --layer block3_conv1      # one layer; again where it was stopped
    python -m experiments.filters_atlas --finish                  # posters, record

Every layer climbs with the recipe "clear", in one or two stages (`STAGES`): what is large in a
picture is found where a step is cheap, and details are added where it is dear. Filters are picked evenly by
their index, none is left out. Early layers see a few pixels, so their pictures are smaller.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course_utils import filters, runs, runtime
from course_utils.features.maps import tap
from course_utils.features.receptive_field import receptive_field
from course_utils.networks import pretrained, vgg16
from course_utils.networks.gradients import forward
from course_utils.pictures import images

COUNT, BATCH, EIGHT = 32, 8, 8
TILE, MARGIN, COLUMNS = 72, 2, 16
STAGES = {  # block -> (size in pixels, steps, length of a step) one after the other
    "block1": ((80, 40, 6.0),),
    "block2": ((80, 40, 6.0),),
    "block3": ((53, 14, 7.0), (80, 7, 5.0)),
    "block4": ((80, 10, 10.0), (160, 4, 6.0)),
    "block5": ((96, 10, 10.0), (224, 4, 6.0)),
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


@dataclass(frozen=True)
class Layer:
    """A layer's part of the atlas: its filters, their pictures (32, S, S, 3), and what they measure."""

    name: str
    filters: np.ndarray
    pictures: np.ndarray
    activation: np.ndarray
    alive: np.ndarray
    steps: int
    minutes: float

    @classmethod
    def read(cls, work: Path, name: str) -> Layer:
        """From its last stage, as far as that is there for all filters."""
        for last in reversed(range(len(STAGES[name[:6]]))):
            files = [_part(work, name, first, last) for first in range(0, COUNT, BATCH)]
            if all(file.exists() for file in files):
                break
        parts = [dict(np.load(file)) for file in files]
        filters_, pictures, activation, alive = (
            np.concatenate([part[key] for part in parts])
            for key in ("filters", "images", "activation", "alive")
        )
        steps = sum(steps for _, steps, _ in STAGES[name[:6]][: last + 1])
        earlier = [_part(work, name, first, k) for first in range(0, COUNT, BATCH) for k in range(last + 1)]
        seconds = sum(float(np.load(file)["seconds"]) for file in earlier)
        return cls(name, filters_, pictures, activation, alive, steps, seconds / 60)

    @property
    def tiles(self) -> np.ndarray:
        """The pictures' middle: 72 pixels at full scale, or nine tenths of a larger one, reduced."""
        side = self.pictures.shape[1]
        kept = TILE if side <= 80 else round(0.9 * side)
        edge = (side - kept) // 2
        cut = images.resize(self.pictures[:, edge : edge + kept, edge : edge + kept], TILE)
        return np.stack([_stretched(tile) for tile in cut])


def _stretched(tile: np.ndarray) -> np.ndarray:
    """More contrast where a picture has little, at most twice as much, around its own mean."""
    low, high = np.percentile(tile, (1, 99))
    gain = np.clip(220 / max(high - low, 1.0), 1.0, 2.0)
    return np.clip(tile.mean() + gain * (tile - tile.mean()), 0, 255)


def poster(layers: list[Layer], folder: Path) -> tuple[Path, Path]:
    """All tiles on one sheet, and where each stands: `poster.webp`, `tiles.json`."""
    rows, places, top = [], [], 0
    for layer in layers:
        title = f"{layer.name}   each filter sees {_field(layer.name)} x {_field(layer.name)}"
        marks = ["" if alive else "silent" for alive in layer.alive]
        row = filters.headed(filters.sheet(layer.tiles, COLUMNS, margin=MARGIN, marks=marks), title)
        head = row.shape[0] - (COUNT // COLUMNS) * (TILE + MARGIN) - MARGIN
        for k, index in enumerate(layer.filters):
            x = MARGIN + k % COLUMNS * (TILE + MARGIN)
            y = top + head + MARGIN + k // COLUMNS * (TILE + MARGIN)
            places.append({"layer": layer.name, "filter": int(index), "x": x, "y": y, "size": TILE})
        rows.append(row)
        top += row.shape[0]
    images.save(folder / "poster.webp", np.concatenate(rows), quality=82)
    (folder / "tiles.json").write_text(json.dumps(places, separators=(",", ":")) + "\n", encoding="utf-8")
    return folder / "poster.webp", folder / "tiles.json"


def beside_photographs(layers: list[Layer], model: object, folder: Path) -> tuple[Path, dict[str, float]]:
    """Eight filters a layer, each with the three regions that excite it most: `regions.webp`."""
    part = tap(model, [layer.name for layer in layers])
    found = {layer.name: [[] for _ in range(EIGHT)] for layer in layers}
    for number, name in enumerate(images.SAMPLES):
        photo = images.fit(images.sample(name), 256)
        outputs = forward(part, pretrained.about(model).preprocess(photo)[None])
        for layer, maps in zip(layers, outputs, strict=True):
            chosen = layer.filters[:: COUNT // EIGHT]
            field = receptive_field(model, layer.name)
            new = filters.regions_of(maps[0][..., chosen], field, photo, number, 3)
            for known, more in zip(found[layer.name], new, strict=True):
                known += more
    rows = [_row_of_regions(layer, found[layer.name]) for layer in layers]
    images.save(folder / "regions.webp", np.concatenate(rows), quality=80)
    best = {name: max(r.activation for each in rows for r in each) for name, rows in found.items()}
    return folder / "regions.webp", {name: round(value, 1) for name, value in best.items()}


def _row_of_regions(layer: Layer, found: list[list[filters.Region]]) -> np.ndarray:
    tiles = []
    for k, regions in enumerate(found):
        strongest = sorted(regions, key=lambda region: -region.activation)[:3]
        cuts = [images.resize(region.picture, TILE) for region in strongest]
        blank = [np.full((TILE, TILE, 3), 255.0)] * (3 - len(cuts))
        tiles += [layer.tiles[k * (COUNT // EIGHT)], *cuts, *blank]
    title = f"{layer.name}   the optimum, then three places in photographs; eight filters"
    return filters.headed(filters.sheet(np.stack(tiles), COLUMNS, margin=MARGIN), title)


def _field(layer: str) -> int:
    return receptive_field(None, layer).size


def finish(weights: str | Path, work: Path, name: str = "filters_atlas") -> runs.Run:
    """Both sheets and the record."""
    layers = [Layer.read(work, each) for each in vgg16.LAYERS]
    model = pretrained.load_vgg16(weights, until=vgg16.LAYERS[-1])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        figures = list(poster(layers, folder))
        sheet, best = beside_photographs(layers, model, folder)
        facts = {
            layer.name: {
                "size": layer.pictures.shape[1],
                "steps": layer.steps,
                "silent": int((~layer.alive).sum()),
                "activation": round(float(np.median(layer.activation)), 2),
                "minutes": round(layer.minutes, 1),
            }
            for layer in layers
        }
        return runs.record(
            name,
            command="python -m experiments.filters_atlas --layer LAYER --stage K, --finish",
            seed=0,
            precision="float32",
            minutes=sum(layer.minutes for layer in layers),
            data={"name": "none: the pictures grow from noise", "sha256": "none"},
            metrics={"filters": COUNT * len(layers), "layers": facts},
            baselines={"strongest value on the photographs": best},
            figures=[*figures, sheet],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", choices=vgg16.LAYERS)
    parser.add_argument("--stage", type=int, default=0, help="0 first; see STAGES")
    parser.add_argument("--finish", action="store_true", help="write the sheets and the record")
    parser.add_argument("--weights", default="original")
    parser.add_argument("--work", type=Path, default=Path("out/filters_atlas"))
    options = parser.parse_args()
    runtime.start(seed=0)
    if options.finish:
        print(finish(options.weights, options.work).folder)
    elif options.layer:
        climb(options.layer, options.weights, options.work, options.stage)


if __name__ == "__main__":
    main()
