"""What the first blocks of the original VGG-16 paint, with artworks in the public domain. Notebook 07.

    python -m experiments.style_original --weights BLOCKS.npz --art FOLDER

paints a photograph in the style of each picture in FOLDER with style block1_conv1 to block3_conv1 and content
block3_conv3, and records the results with their losses as `style_original_blocks`, beside the losses that
photograph and artwork have without any painting. The weights are those of the original, up to block3_conv3.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runs, runtime, style
from course_utils.networks import pretrained
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

MODULE = "experiments.style_original"
PHOTOS: dict[str, str] = {
    "starry_night": "rocket",
    "the_scream": "chelsea",
    "great_wave": "china",
    "composition_vii": "coffee",
    "shipwreck": "flower",
}
"""The photograph that goes with each artwork; Chelsea with any other."""

SETTINGS = style.Settings(
    size=256,
    steps=120,
    content_layers=("block3_conv3",),
    style_layers=("block1_conv1", "block2_conv1", "block3_conv1"),
)
STYLE_FIRST = 10.0  # times the beta that `transfer` finds: with content at block 3 strokes need more weight


def run(
    weights: Path,
    art: Path,
    settings: style.Settings = SETTINGS,
    *,
    name: str = "style_original_blocks",
    say: Callable[[str], None] = print,
) -> runs.Run:
    """Paint all pictures of a folder, and record them.

    Args:
        weights: a file that `load_vgg16` takes, at least up to block3_conv3.
        art: a folder with .jpg files.

    Returns:
        The record: `metrics` {artwork: {"content", "style"}}, the same for the untouched photograph and for
        the artwork itself in `baselines`; a figure for each artwork, named like its file.

    Raises:
        FileNotFoundError: no weights, or no .jpg in the folder.
    """
    start = time.perf_counter()
    files = sorted(art.glob("*.jpg"))
    if not files:
        raise FileNotFoundError(f"no .jpg files in {art}")
    vgg = pretrained.load_vgg16(weights, until="block3_conv3", pooling="average")
    measured: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        figures = []
        for file in files:
            painted, measured[file.stem] = paint(vgg, file, settings)
            figures.append(Path(folder) / f"{file.stem}.jpg")
            images.save(figures[-1], painted, quality=80)
            say(f"{file.stem}: {measured[file.stem]}")
        return runs.record(
            name,
            command=f"python -m {MODULE} --weights {weights.name} --art {art.name}",
            seed=settings.seed,
            precision=runtime.best_precision() if settings.precision == "auto" else settings.precision,
            minutes=(time.perf_counter() - start) / 60,
            data=_about(weights, files, settings),
            metrics={key: each["painting"] for key, each in measured.items()},
            baselines={
                f"the {what} itself": {key: each[what] for key, each in measured.items()}
                for what in ("photograph", "artwork")
            },
            figures=figures,
        )


def _about(weights: Path, files: list[Path], settings: style.Settings) -> dict[str, Any]:
    """What was painted with what, for the record."""
    return {
        "name": f"{weights.name}, {len(files)} artworks, photographs that installed packages carry",
        "sha256": runs.fingerprint(weights),
        "photographs": {file.stem: photo_of(file) for file in files},
        "size": settings.size,
        "steps": settings.steps,
    }


def photo_of(file: Path) -> str:
    """The name of the photograph that goes with an artwork."""
    return PHOTOS.get(file.stem, "chelsea")


def paint(vgg: keras.Model, file: Path, settings: style.Settings) -> tuple[np.ndarray, dict[str, Any]]:
    """The painting, and the two losses of it, of the untouched photograph and of the artwork."""
    photo, art = images.sample(photo_of(file)), images.read(file)
    beta = STYLE_FIRST * style.pose(vgg, photo, art, settings).beta()
    settings = replace(settings, beta=beta)
    painted = style.transfer(vgg, photo, art, settings).image
    looked_at = {"painting": painted, "photograph": photo, "artwork": art}
    losses = {what: style.loss(vgg, each, photo, art, settings) for what, each in looked_at.items()}
    return painted, {
        what: {part: float(f"{each[part]:.4g}") for part in ("content", "style")}
        for what, each in losses.items()
    }


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description="Paint with the original's first blocks, and record it.")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--art", type=Path, required=True)
    arguments = parser.parse_args()
    runtime.start(seed=0)
    run(arguments.weights, arguments.art)
