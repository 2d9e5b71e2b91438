"""The head `boxes`: name and box one object on the frozen trunk of the original VGG-16. Notebook 04.

The pictures and their views are the localizer's (`training.localizer`). But the trunk never changes, so what
it says of a few views of each photograph is computed once and kept on disk; only the head learns from it
(`networks.box_head`), epoch after epoch. Of the 512 maps of block 4 the 128 directions that are strongest are
kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import files, runs, runtime, training
from course_utils.datasets import LabelledImages
from course_utils.datasets.own import Drawn
from course_utils.localization import losses, regression
from course_utils.localization.boxes import pair_iou
from course_utils.networks import box_head, fcn_head, gradients, heads, pretrained, weight_files
from course_utils.pictures import images
from course_utils.training import localizer as pictures

if TYPE_CHECKING:
    import keras

PART = 64  # views in a file of maps
DIRECTIONS = 128  # of block 4 that are kept
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        passes: views of each photograph whose maps are computed.
        size: pixels of a view.
        dropout: of whole maps, before the head.
        box_weight: of the box, against the class.
        border_weight: of the places of its borders, against the class.
        hold_out: judge on a tenth of what is left to train on, to choose settings.
    """

    epochs: int = 12
    batch: int = 32
    rate: float = 2e-3
    decay: float = 5e-2
    passes: int = 3
    size: int = 128
    dropout: float = 0.1
    box_weight: float = 1.5
    border_weight: float = 1.0
    hold_out: bool = False


class Boxes(training.Trainer[Recipe]):
    """From photographs of one object each to a head that names and boxes it.

    Args:
        recipe: all settings.
        data: folder with the pictures.
        table, drawn: see `localizer.load`.
        maps: folder that keeps the maps; with the same pictures, `size` and `seed` they serve another run,
            or one that was interrupted.
    """

    command = "boxes"
    largest_mb = 2.0

    def __init__(
        self,
        recipe: Recipe,
        data: str | Path,
        table: str | Path | None = None,
        maps: str | Path = "out/boxes_maps",
        drawn: Drawn = "",
    ) -> None:
        super().__init__(recipe, "boxes", "--data DIR")
        self.folder, self.table, self.kept, self.drawn = data, table, Path(maps), drawn

    def load(self) -> None:
        """Pictures, a fifth of every class kept apart, and the maps of the others' views."""
        self.known, self.test = pictures.split(pictures.load(self.folder, self.table, self.drawn))
        self.used, self.part = self.known, "test"
        if self.recipe.hold_out:
            self.used, self.test = pictures.split(self.known, 0.1, seed=1)
            self.part = "validation"
        self.data = {"name": "photographs with one box each", "sha256": runs.fingerprint(self.folder)}
        seen = self._begin()
        parts = [part for number in range(self.recipe.passes) for part in self._pass(number, seen)]
        every = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        self.truth = {key: every[key] for key in "cbp"}
        self.learnt = np.isin(every["p"], np.flatnonzero(np.isin(self.known.files, self.used.files)))
        self.components, self.maps = _reduced(every["m4"], every["m5"], self.basis, self.recipe.seed)

    # --- what is computed once --------------------------------------------------------------------------

    def _begin(self) -> Callable[[np.ndarray, list[int]], Arrays]:
        """The directions of block 4, and a function from photographs and a key to what is seen of them."""
        seed, known = self.recipe.seed, self.known
        views = pictures.Recipe(size=self.recipe.size, seed=seed)
        shares = known.boxes[:, 0].astype(np.float64) / np.array([*known.images.shape[2:0:-1]] * 2)
        behind = pictures.bank(known, views)

        @functools.cache
        def trunk() -> keras.Model:
            return _tapped()

        def seen(pick: np.ndarray, key: list[int]) -> Arrays:
            rng = np.random.default_rng(key)
            x, boxes = pictures.views(known.images[pick], shares[pick], behind, views, rng)
            m4, m5 = gradients.forward(trunk(), images.preprocess(x))
            return {"m4": m4, "m5": m5, "c": known.classes[pick, 0], "b": boxes, "p": pick}

        some = np.arange(len(known))[: PART * 8 : 8]
        make: Callable[[], Arrays] = lambda: {"basis": _directions(seen(some, [7])["m4"])}  # noqa: E731
        self.basis = self._stored("basis", make)["basis"]
        return seen

    def _pass(self, number: int, seen: Callable[[np.ndarray, list[int]], Arrays]) -> Iterator[Arrays]:
        """One view of every photograph: maps m4 and m5, class c, box b in shares, photograph p."""
        seed, known = self.recipe.seed, self.known

        def small(pick: np.ndarray, key: list[int]) -> Arrays:
            found = seen(pick, key)
            return found | {k: v.astype(np.float16) for k, v in _kept(found, self.basis).items()}

        order = np.random.default_rng([seed, 2, number]).permutation(len(known))
        for start in range(0, len(order), PART):
            make = functools.partial(small, order[start : start + PART], [seed, 3, number, start])
            yield self._stored(f"{number:03d}_{start:04d}", make)

    def _stored(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """Arrays from the folder of maps, or made, and kept there."""
        path = self.kept / f"{name}.npz"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            made = make()
            with files.replacing(path) as file:
                np.savez(file, **made)  # type: ignore[arg-type]
        with files.reading_npz(path) as arrays:
            return {key: arrays[key] for key in arrays.files}

    # --- the run ----------------------------------------------------------------------------------------

    def build(self) -> keras.Model:
        """The decoder alone, compiled."""
        from keras import optimizers

        recipe = self.recipe
        model = box_head.decoder(len(self.used.class_names), recipe.size, recipe.dropout)
        optimizer = optimizers.AdamW(recipe.rate, weight_decay=recipe.decay, global_clipnorm=1.0)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        model.compile(
            optimizer,
            loss=["categorical_crossentropy", losses.box_loss("iou_l1"), losses.border_loss],
            loss_weights=[1.0, recipe.box_weight, recipe.border_weight],
            jit_compile=runtime.xla(),
        )
        return model

    def steps(self) -> int:
        """An epoch sees the maps of every view once."""
        return training.steps_in(int(self.learnt.sum()), self.recipe.batch)

    def batches(self) -> training.Batches:
        """Maps of all passes, shuffled."""
        rows = np.flatnonzero(self.learnt)

        def one_epoch(epoch: int) -> Iterator[training.Batch]:
            rng = np.random.default_rng([self.recipe.seed, 3, epoch])
            for pick in training.shuffled(len(rows), self.recipe.batch, rng):
                yield self._batch(rows[pick])

        return one_epoch

    def _batch(self, rows: np.ndarray) -> Any:
        """Maps and truth of some views."""
        maps = [each[rows].astype(np.float32) for each in self.maps]
        classes, boxes = self.truth["c"][rows], self.truth["b"][rows]
        named, boxed = losses.targets(classes, boxes, len(self.known.class_names))
        return maps, [named, boxed, box_head.between(boxes, maps[0].shape[1])]

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"trunk": heads.trunk_hash()}

    def validate(self, model: keras.Model) -> dict[str, float]:
        """With `hold_out`, on the views of the photographs that were kept apart."""
        rows = np.flatnonzero(~self.learnt)
        overlaps = []
        for some in np.array_split(rows, -(-len(rows) // PART)) if len(rows) else []:
            maps, (_, boxed, _) = self._batch(some)
            overlaps.append(pair_iou(np.asarray(model.predict_on_batch(maps)[1]), boxed[:, 1:]))
        return {"val_view_iou": float(np.concatenate(overlaps).mean())} if overlaps else {}

    def weights(self, model: keras.Model) -> Arrays:
        """The reduction and the decoder; the trunk ships by itself."""
        return self.components | weight_files.of(model)

    def judge(self, path: Path) -> training.Judgement:
        """On photographs kept apart, as they are and on canvases, through the whole network."""
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
        return training.Judgement(
            self._measured(model, self.test, self.part)
            | self._measured(model, canvases, f"{self.part}_canvas"),
            {
                self.part: pictures.trivial(self.used, self.test),
                f"{self.part}_canvas": pictures.trivial(pictures.on_canvases(self.used, 1), canvases),
            },
            card,
        )

    def _measured(self, model: keras.Model, asked: LabelledImages, name: str) -> dict[str, float]:
        return {f"{name}_{k}": v for k, v in pictures.measure(model, asked).items()}


def _tapped() -> keras.Model:
    """The trunk with the maps of blocks 4 and 5 as its outputs."""
    from keras import Model

    trunk = pretrained.load_vgg16(until=list(box_head.COMPONENTS)[-1])
    return Model(trunk.input, [trunk.get_layer(name).output for name in box_head.COMPONENTS])


def _directions(maps: np.ndarray) -> np.ndarray:
    """The directions (channels, DIRECTIONS) in which maps are largest: principal ones without a mean."""
    flat = maps.reshape(-1, maps.shape[-1]).astype(np.float64)
    _, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    return np.asarray(vectors[:, ::-1][:, :DIRECTIONS], np.float32)


def _kept(found: Arrays, basis: np.ndarray) -> Arrays:
    return {"m4": found["m4"] @ basis, "m5": found["m5"]}


def _reduced(
    m4: np.ndarray, m5: np.ndarray, basis: np.ndarray, seed: int, places: int = 40_000
) -> tuple[Arrays, list[np.ndarray]]:
    """The reduction's weights, for maps as the trunk gives them, and the components of all views, float16."""
    rng = np.random.default_rng([seed, 4])
    weights: Arrays = {}
    maps: list[np.ndarray] = []
    for (layer, n), each in zip(box_head.COMPONENTS.items(), (m4, m5), strict=True):
        flat = each.reshape(-1, each.shape[-1])
        some = flat[rng.choice(len(flat), min(places, len(flat)), replace=False)]
        kernel, bias = fcn_head.principal(some, n)
        parts = [
            view.astype(np.float32) @ kernel[0, 0] + bias
            for view in np.array_split(each, -(-len(each) // PART))
        ]
        maps.append(np.concatenate([part.astype(np.float16) for part in parts]))
        whole = kernel if each is m5 else (basis @ kernel[0, 0])[None, None]
        weights |= {f"reduce_{layer}_kernel": whole, f"reduce_{layer}_bias": bias}
    return weights, maps
