"""The head `parts`: eleven joints of a puppet on the frozen trunk of the original VGG-16. Notebook 04.

Puppets are drawn, so every joint is exact. The head looks twice, at the whole picture and then at a window
around what it found, as DeepPose does (Toshev and Szegedy 2014, section 3.2): so it learns from both kinds of
views. The trunk never changes; its maps are computed once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runtime, training
from course_utils.datasets import puppets
from course_utils.localization import losses, parts
from course_utils.localization.views import window_maps
from course_utils.networks import heads, localizer, pretrained, weight_files

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        pictures: puppets to learn from; a fifth as many are judged on.
        looks: windows around each puppet, besides the whole picture.
        size: pixels of a view.
        channels: of the head.
    """

    epochs: int = 20
    batch: int = 16
    rate: float = 2e-3
    pictures: int = 320
    looks: int = 1
    size: int = 96
    channels: int = 64


class Parts(training.Trainer[Recipe]):
    """From drawn puppets to a head that finds their joints."""

    command = "parts"
    largest_mb = 0.5

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, "parts")

    def load(self) -> None:
        """Puppets, and the maps of all views of those to learn from."""
        recipe = self.recipe
        counts = {"train": recipe.pictures, "test": max(8, recipe.pictures // 5)}
        self.dolls = {
            split: puppets.puppets(n, size=recipe.size, seed=recipe.seed, split=split)
            for split, n in counts.items()
        }
        digest = hashlib.sha256()
        for each in self.dolls.values():
            digest.update(each.images.tobytes() + each.joints.tobytes())
        self.data = {"name": "puppets on photographs", "sha256": digest.hexdigest()}
        learn = self.dolls["train"]
        rng = np.random.default_rng([recipe.seed, 1])
        windows = [np.tile([0.0, 0.0, recipe.size, recipe.size], (len(learn.images), 1))]
        for _ in range(recipe.looks):
            windows.append(parts.shaken(parts.point_windows(learn.joints), rng))
        trunk = pretrained.load_vgg16(until=parts.LAYER)
        seen = [window_maps(trunk, learn.images, each, recipe.size) for each in windows]
        self.scale = float(1 / np.sqrt(np.mean(np.square(seen[0]))))
        self.maps = np.concatenate(seen).astype(np.float16)
        self.points = np.concatenate([parts.points_to_window(learn.joints, each) for each in windows])

    def build(self) -> keras.Model:
        """The head alone, compiled."""
        from keras import optimizers

        model = localizer.build_part_maps(self.maps.shape[1:], len(puppets.JOINTS), self.recipe.channels)
        optimizer = optimizers.AdamW(self.recipe.rate, weight_decay=self.recipe.decay, global_clipnorm=1.0)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        model.compile(optimizer, losses.point_distance, jit_compile=runtime.xla())
        return model

    def steps(self) -> int:
        """An epoch sees every view once."""
        return training.steps_in(len(self.maps), self.recipe.batch)

    def batches(self) -> training.Batches:
        """Maps of all views, shuffled."""

        def one_epoch(epoch: int) -> Iterator[training.Batch]:
            rng = np.random.default_rng([self.recipe.seed, 2, epoch])
            for pick in training.shuffled(len(self.maps), self.recipe.batch, rng):
                yield self.maps[pick].astype(np.float32) * self.scale, self.points[pick].astype(np.float32)

        return one_epoch

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"trunk": heads.trunk_hash()}

    def weights(self, model: keras.Model) -> dict[str, np.ndarray]:
        """The head's layers, for maps as the trunk gives them."""
        return localizer.reduced(weight_files.of(model), self.scale)

    def judge(self, path: Path) -> training.Judgement:
        """On puppets before other backgrounds, with one look and with two."""
        recipe, (learn, asked) = self.recipe, (self.dolls["train"], self.dolls["test"])
        card = {
            "title": "parts of puppets on the original VGG-16",
            "class_names": list(puppets.JOINTS),
            "input_size": recipe.size,
            "trunk": heads.trunk_hash(),
            "data": f"{recipe.pictures} puppets drawn by the course, on photographs that the installed "
            "packages carry; judged on others, on other backgrounds.",
            "limits": "Knows puppets, one in a picture, all of it inside. It never saw a person, and answers "
            "with eleven joints whatever the picture shows.",
        }
        model = parts.attached(weight_files.read(path), card, str(path))
        one, two = parts.pose(model, asked.images)
        middle = np.tile(np.median(learn.joints, axis=0), (len(asked.images), 1, 1))
        seen = np.ones(asked.joints.shape[:2], bool)
        near = [parts.pck(found, asked.joints, seen, asked.boxes) for found in (one, two, middle)]
        off = float(np.linalg.norm(two - asked.joints, axis=-1).mean())
        metrics = {"test_pck_one_look": near[0], "test_pck": near[1], "test_pixels_off": off}
        return training.Judgement(
            {**metrics, "action": self._actions(two)},
            {
                "median_joints": {"pck": near[2]},
                "dense_layer": {"pck": self._dense()},
                "majority_action": {"accuracy": 1 / len(puppets.ACTIONS)},
            },
            card,
        )

    def _dense(self) -> float:
        """What a dense layer over all places reaches, as DeepPose has it, from the same maps as long."""
        from keras import optimizers

        head = localizer.build_points(self.maps.shape[1:], len(puppets.JOINTS))
        steps = self.recipe.epochs * self.steps()
        head.compile(optimizers.Adam(optimizers.schedules.CosineDecay(1e-3, steps)), losses.point_distance)
        for epoch in range(self.recipe.epochs):
            for x, y in self.batches()(epoch):
                head.train_on_batch(x, y)
        asked, trunk = self.dolls["test"], pretrained.load_vgg16(until=parts.LAYER)
        found = parts.locate_points(trunk, [head, head], asked.images, self.recipe.size, self.scale)[-1]
        return parts.pck(found, asked.joints, np.ones(asked.joints.shape[:2], bool), asked.boxes)

    def _actions(self, found: np.ndarray) -> dict[str, float]:
        """How often a linear classifier tells what a puppet does: by its joints, and by the picture's maps.

        Args:
            found: joints of the test's puppets.
        """
        from sklearn.linear_model import LogisticRegression

        learn, asked = self.dolls["train"], self.dolls["test"]
        trunk = pretrained.load_vgg16(until=parts.LAYER)
        everywhere = np.tile([0.0, 0.0, self.recipe.size, self.recipe.size], (len(asked.images), 1))
        seen = window_maps(trunk, asked.images, everywhere, self.recipe.size) * self.scale
        average = self.maps[: len(learn.images)].mean(axis=(1, 2), dtype=np.float32) * self.scale
        by_joints = LogisticRegression(C=10, max_iter=2000).fit(parts.in_box(learn.joints), learn.actions)
        by_maps = LogisticRegression(C=1, max_iter=2000).fit(average, learn.actions)
        return {
            "from the joints found": by_joints.score(parts.in_box(found), asked.actions),
            "from the picture's maps, averaged": by_maps.score(seen.mean(axis=(1, 2)), asked.actions),
            "from the true joints": by_joints.score(parts.in_box(asked.joints), asked.actions),
        }
