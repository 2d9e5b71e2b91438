"""The head `boxes`: name and box one object on the frozen trunk of the original VGG-16. Notebook 04.

The pictures and their views are the localizer's (`training.localizer`). But the trunk never changes, so the
maps of a few thousand views are computed once, and only the head learns from them, again and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import files, runs, training
from course_utils.datasets.own import Drawn
from course_utils.localization import regression
from course_utils.localization.losses import compile_localizer
from course_utils.networks import gradients, heads, localizer, pretrained, vgg16, weight_files
from course_utils.training import localizer as pictures

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        passes: views of each photograph whose maps are computed.
        size: pixels of a view.
        channels: that a convolution reduces the maps to.
        units: of the dense layer.
        dropout: before the two answers.
        loss: of the box, see `box_loss`.
        box_weight: of the box against the class.
        hold_out: judge on a tenth of what is left to train on, to choose settings.
    """

    epochs: int = 40
    batch: int = 64
    rate: float = 5e-4
    decay: float = 3e-2
    passes: int = 8
    size: int = 128
    channels: int = 64
    units: int = 192
    dropout: float = 0.3
    loss: str = "iou_l1"
    box_weight: float = 1.5
    hold_out: bool = False


class Boxes(training.Trainer[Recipe]):
    """From photographs of one object each to a head that names and boxes it.

    Args:
        recipe: all settings.
        data: folder with the pictures.
        table, drawn: see `localizer.load`.
        maps: folder that keeps the maps for another run; otherwise they stay in memory.
    """

    command = "boxes"
    largest_mb = 2.0

    def __init__(
        self,
        recipe: Recipe,
        data: str | Path,
        table: str | Path | None = None,
        maps: Path | None = None,
        drawn: Drawn = "",
    ) -> None:
        super().__init__(recipe, "boxes", "--data DIR")
        self.folder, self.table, self.kept, self.drawn = data, table, maps, drawn

    def load(self) -> None:
        """Pictures, a fifth of every class kept apart, and the maps of the others' views."""
        known, self.test = pictures.split(pictures.load(self.folder, self.table, self.drawn))
        self.used, self.part = known, "test"
        if self.recipe.hold_out:
            self.used, self.test = pictures.split(known, 0.1, seed=1)
            self.part = "validation"
        self.data = {"name": "photographs with one box each", "sha256": runs.fingerprint(self.folder)}
        self.seen = [self._pass(number) for number in range(self.recipe.passes)]

    def _pass(self, number: int) -> tuple[np.ndarray, ...]:
        """Maps float16 (n, h, w, 512), classes one-hot, and (n, 5) class and box, of a view of each "
        "photograph."""
        path = None if self.kept is None else Path(self.kept) / f"{number:03d}.npz"
        if path is not None and path.is_file():
            with files.reading_npz(path) as arrays:
                return arrays["maps"], arrays["y0"], arrays["y1"]
        trunk = pretrained.load_vgg16(until=vgg16.LAYERS[-1])
        views = pictures.Recipe(size=self.recipe.size, seed=self.recipe.seed)
        parts = [
            (gradients.forward(trunk, x).astype(np.float16), *truth)
            for x, truth in pictures.batches(views, self.used)(number)
        ]
        maps, y0, y1 = (np.concatenate(each) for each in zip(*parts, strict=True))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.replacing(path) as file:
                np.savez(file, maps=maps, y0=y0, y1=y1)
        return maps, y0, y1

    def build(self) -> keras.Model:
        """The head alone, compiled."""
        from keras import optimizers

        recipe, (maps, *_) = self.recipe, self.seen[0]
        self.scale = float(1 / np.sqrt(np.square(maps[:100], dtype=np.float32).mean()))
        shape = localizer.Heads("dense", False, recipe.channels, recipe.units, recipe.dropout)
        model = localizer.build_heads(maps.shape[1:], len(self.used.class_names), shape, self.scale)
        optimizer = optimizers.AdamW(recipe.rate, weight_decay=recipe.decay, global_clipnorm=1.0)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return compile_localizer(model, optimizer, recipe.loss, recipe.box_weight)

    def steps(self) -> int:
        """An epoch sees the maps of every view once."""
        return sum(len(maps) for maps, *_ in self.seen) // self.recipe.batch

    def batches(self) -> training.Batches:
        """Maps of all passes, shuffled."""
        places = [(i, row) for i, (maps, *_) in enumerate(self.seen) for row in range(len(maps))]

        def one_epoch(epoch: int) -> Iterator[tuple[np.ndarray, Any]]:
            order = np.random.default_rng([self.recipe.seed, 3, epoch]).permutation(len(places))
            for start in range(0, self.steps() * self.recipe.batch, self.recipe.batch):
                some = [places[k] for k in order[start : start + self.recipe.batch]]
                maps, y0, y1 = (np.stack([self.seen[i][part][row] for i, row in some]) for part in range(3))
                yield maps.astype(np.float32), [y0, y1]

        return one_epoch

    def weights(self, model: keras.Model) -> dict[str, np.ndarray]:
        """The head's layers, for maps as the trunk gives them."""
        return localizer.reduced(weight_files.of(model), self.scale)

    def judge(self, path: Path) -> training.Judgement:
        """On photographs kept apart, as they are and on canvases."""
        card = {
            "title": "boxes on the original VGG-16",
            "input_size": self.recipe.size,
            "class_names": list(self.used.class_names),
            "trunk": heads.trunk_hash(),
            "data": f"{len(self.used)} photographs with one box each, a fifth of every class kept apart; "
            "Caltech-101 (Fei-Fei, Fergus and Perona 2004), CC BY 4.0, where it was caltech_boxes. "
            "No picture ships.",
            "asked": pictures.LOOKS,
            "limits": "Answers with one of its classes and one box, also where there is none of them.",
        }
        model = regression.attached(weight_files.read(path), card, str(path))
        canvases = pictures.on_canvases(self.test)
        metrics: dict[str, Any] = {}
        for name, asked in ((self.part, self.test), (f"{self.part}_canvas", canvases)):
            metrics |= {f"{name}_{k}": v for k, v in pictures.measure(model, asked).items()}
            one = pictures.measure(model, asked, looks=1, mirror=False)
            metrics |= {f"{name}_one_look_{k}": one[k] for k in ("mean_iou", "over_half")}
        baselines = {
            self.part: pictures.trivial(self.used, self.test),
            f"{self.part}_canvas": pictures.trivial(pictures.on_canvases(self.used, 1), canvases),
        }
        return training.Judgement(metrics, baselines, card)
