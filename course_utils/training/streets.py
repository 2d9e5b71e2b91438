"""The head `streets`: eleven classes of CamVid on the frozen trunk of the original VGG-16. Notebook 05.

The trunk never changes, so what it says of a few views of each picture is computed once, reduced to principal
components (`networks.fcn_head`) and kept on disk; only the head learns from it, epoch after epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import files, runtime, segmentation, training
from course_utils.networks import fcn, fcn_head, gradients, heads, pretrained, weight_files
from course_utils.pictures import images
from course_utils.segmentation import answers
from course_utils.training import fcn as pictures

if TYPE_CHECKING:
    import keras

CLASS_NAMES: tuple[str, ...] = ("sky", "building", "pole", "road", "pavement", "tree")
CLASS_NAMES += ("sign", "fence", "car", "pedestrian", "bicyclist")
UNLABELLED = 11
Maps = tuple[list[np.ndarray], np.ndarray]
"""Components of each block, float16 (n, h, w, c), and labels uint8 (n, h, w) at the finest one's places."""


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        passes: views of each picture whose maps are computed; the first is the picture as it is.
        side: pixels of the shorter side that a picture is enlarged to.
        jitter: views are scaled by a factor between 1 / jitter and jitter.
        dropout: of whole maps, before the head.
        balance: 0 counts all pixels alike, 1 all classes; between: frequency to the power of -balance.
        mirror: at the end, answer the picture and its mirror image, and take the mean.
        hold_out: judge on a fifth of the training pictures, to choose settings.
    """

    epochs: int = 16
    batch: int = 8
    rate: float = 1e-3
    decay: float = 5e-2
    passes: int = 3
    side: int = 240
    jitter: float = 1.35
    dropout: float = 0.1
    balance: float = 0.4
    mirror: bool = True
    hold_out: bool = False


class Streets(training.Trainer[Recipe]):
    """From street scenes and masks to a head that labels every pixel.

    Args:
        recipe: all settings.
        data: folder with train, trainannot, val and valannot; labels 0 to 10, 11 is not judged.
        maps: folder that keeps the maps; with the same `side`, `jitter` and `seed` they serve another run.
    """

    command = "streets"
    largest_mb = 2.0

    def __init__(self, recipe: Recipe, data: str | Path, maps: Path) -> None:
        super().__init__(recipe, "streets", "--data DIR")
        self.folder, self.kept = Path(data), maps

    def load(self) -> None:
        """Pictures, the components, and the maps of all views."""
        folder = self.folder
        given = (folder / "train", folder / "trainannot"), (folder / "val", folder / "valannot")
        samples = pictures.from_folders(
            *given, class_names=CLASS_NAMES, ignore=[UNLABELLED], name=folder.resolve().name
        )
        self.samples, train = samples, samples.train
        self.components = self._principal(train[0][::9])
        self.learnt = np.arange(len(train[0]))
        if self.recipe.hold_out:
            held = self.learnt * 10 // len(train[0]) % 5 == 4  # two stretches of drives
            self.learnt, judged = self.learnt[~held], self.learnt[held]
            self.judged_pair = train[0][judged], train[1][judged]
        else:
            self.judged_pair = samples.validation
        self.seen = [self._pass(f"{i:03}", train, i) for i in range(self.recipe.passes)]
        if self.recipe.hold_out:
            self.judged: list[np.ndarray] = [block[judged] for block in self.seen[0][0]]
        else:
            self.judged = self._pass("validation", samples.validation, 0)[0]
        self.data = {"name": samples.name, "sha256": samples.fingerprint}

    # --- what is computed once --------------------------------------------------------------------------

    def _zoom(self) -> float:
        return self.recipe.side / min(self.samples.train[1].shape[1:])

    def _size(self) -> tuple[int, int]:
        return answers.zoomed(self.samples.train[1].shape[1:], self._zoom())

    def _principal(self, some: np.ndarray) -> dict[str, np.ndarray]:
        """The reduction's weights, from a few hundred places of some pictures."""
        path, rng = self.kept / "components.npz", np.random.default_rng(self.recipe.seed)
        if path.is_file():
            return weight_files.read(path)
        trunk = fcn_head.reduction()
        drawn: dict[str, list[np.ndarray]] = {layer: [] for layer in fcn_head.COMPONENTS}
        for picture in some:
            x = images.preprocess(images.resize(picture, self._size()))[None]
            for layer, maps in zip(drawn, gradients.forward(trunk, x), strict=True):
                values = maps.reshape(-1, maps.shape[-1])
                drawn[layer].append(values[rng.integers(len(values), size=300)])
        found: dict[str, np.ndarray] = {}
        for layer, n in fcn_head.COMPONENTS.items():
            kernel, bias = fcn_head.principal(np.concatenate(drawn[layer]), n)
            found |= {f"reduce_{layer}_kernel": kernel, f"reduce_{layer}_bias": bias}
        path.parent.mkdir(parents=True, exist_ok=True)
        return weight_files.read(weight_files.save(path, found))  # rounded, as they will ship

    def _pass(self, name: str, pair: pictures.Pair, number: int) -> Maps:
        """The maps of one view of each picture, from disk where they are there already."""
        folder = self.kept / name
        paths = [folder / f"{layer}.npy" for layer in fcn_head.COMPONENTS]
        if not (folder / "labels.npy").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            self._compute(paths, folder / "labels.npy", pair, number)
        return [np.load(path, mmap_mode="r") for path in paths], np.load(folder / "labels.npy")

    def _compute(self, paths: list[Path], last: Path, pair: pictures.Pair, number: int) -> None:
        """Write the maps; the labels last, so that they are there only when all is."""
        model, (x, y) = fcn_head.reduction(self.components), pair
        opened: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        for i in range(len(x)):
            seen, mask = self.view(x[i], y[i], number, i)
            labels.append(mask)
            maps = gradients.forward(model, images.preprocess(seen)[None])
            if not opened:
                opened = [
                    _opened(path, (len(x), *each.shape[1:])) for path, each in zip(paths, maps, strict=True)
                ]
            for whole, each in zip(opened, maps, strict=True):
                whole[i] = each[0]
        del opened
        with files.replacing(last) as file:
            np.save(file, np.stack(labels))

    def view(self, image: np.ndarray, mask: np.ndarray, number: int, i: int) -> pictures.Pair:
        """Picture i enlarged, in pass 0 as it is; and its labels at the places of the finest maps."""
        size = self._size()
        if not number:
            half = (-(-size[0] // 2), -(-size[1] // 2))
            return images.resize(image, size), segmentation.resize_mask(mask, half)
        views = pictures.Recipe(zoom=self._zoom(), jitter=self.recipe.jitter)
        rng = np.random.default_rng([self.recipe.seed, number, i])
        seen, labels = pictures.views(image[None], mask[None], size, views, rng)
        return seen[0], labels[0, ::2, ::2]

    # --- the run ----------------------------------------------------------------------------------------

    def build(self) -> keras.Model:
        """The decoder alone, compiled."""
        from keras import optimizers

        recipe, channels = self.recipe, list(fcn_head.COMPONENTS.values())
        model = fcn_head.decoder(len(CLASS_NAMES), channels, dropout=recipe.dropout)
        optimizer = optimizers.AdamW(recipe.rate, weight_decay=recipe.decay, global_clipnorm=1.0)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        weights = pictures.class_weights(self.samples.train[1], len(CLASS_NAMES), recipe.balance)
        model.compile(optimizer, fcn.pixel_loss(weights), jit_compile=runtime.xla())
        return model

    def steps(self) -> int:
        """An epoch sees one view of each picture."""
        return training.steps_in(len(self.learnt), self.recipe.batch)

    def batches(self) -> training.Batches:
        """Maps of a view drawn for each picture."""

        def one_epoch(epoch: int) -> Iterator[training.Batch]:
            rng = np.random.default_rng([self.recipe.seed, 3, epoch])
            for pick in training.shuffled(len(self.learnt), self.recipe.batch, rng):
                places = [(int(rng.integers(len(self.seen))), i) for i in self.learnt[pick]]
                blocks = range(len(fcn_head.COMPONENTS))
                maps = [np.stack([self.seen[v][0][b][i] for v, i in places]) for b in blocks]
                labels = np.stack([self.seen[v][1][i] for v, i in places])
                yield [each.astype(np.float32) for each in maps], labels  # type: ignore

        return one_epoch

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"trunk": heads.trunk_hash()}

    def validate(self, model: keras.Model) -> dict[str, float]:
        """On the pictures that are judged by, as they are."""
        found, truth = [], self.judged_pair[1]
        for start in range(0, len(truth), 8):
            maps = [block[start : start + 8].astype(np.float32) for block in self.judged]
            logits = np.asarray(model.predict_on_batch(maps))
            found.append(images.resize(logits, truth.shape[1:]).argmax(-1))
        total = segmentation.confusion_matrix(truth, np.concatenate(found), len(CLASS_NAMES))
        quality = segmentation.quality(total)
        return {"val_mean_iu": quality.mean_iu, "val_pixel_accuracy": quality.pixel_accuracy}

    def weights(self, model: keras.Model) -> dict[str, np.ndarray]:
        """The reduction and the decoder; the trunk ships by itself."""
        return self.components | weight_files.of(model)

    def judge(self, path: Path) -> training.Judgement:
        """Through the whole network, picture by picture, as `course segment` does it."""
        card = {
            "title": "streets on the original VGG-16",
            "class_names": list(CLASS_NAMES),
            "side": self.recipe.side,
            "mirror": self.recipe.mirror,
            "trunk": heads.trunk_hash(),
            "data": "CamVid (Brostow, Fauqueur and Cipolla 2009), 240x180, 11 classes, CC BY-NC 4.0; "
            "no picture ships.",
            "pictures": {"train": len(self.learnt), "validation": len(self.judged_pair[0])},
            "limits": "Knows eleven words, from one town: whatever it sees must be one of them.",
        }
        model = fcn_head.build(weight_files.read(path), str(path))
        pretrained.remember(model, pretrained.About(class_names=CLASS_NAMES, card=card))
        judged = pictures.Samples(
            (self.samples.train[0][self.learnt], self.samples.train[1][self.learnt]),
            self.judged_pair,
            CLASS_NAMES,
            self.samples.name,
            self.samples.fingerprint,
        )
        plain = pictures.Recipe(seed=self.recipe.seed)
        return training.Judgement(pictures.measure(model, judged), pictures.baselines(judged, plain), card)


def _opened(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A new array on disk."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
