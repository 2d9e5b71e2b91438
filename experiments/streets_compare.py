"""Real streets on the frozen original: what do the skips bring, and what would tuning block 5? Notebook 05.

`python -m experiments.streets_compare --data DIR` trains on CamVid, with two seeds each, above the thirteen
convolutions of the original VGG-16. First FCN-32s, 16s and 8s, one out of the other; beside them 32s and
16s that go on for as long, also with a fresh learning rate. Then the head `streets`, by its recipe; and
from there on twice for as long again, once as before and once with the three convolutions of block 5
learning, too (14 MB that would have to ship). It writes the record `streets_compare`; with `--keep DIR`,
the heads, too. A few minutes on a GPU, where `--workers 2` trains the seeds side by side; on two cores take
fewer pictures, views and epochs.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runs, runtime, segmentation, training
from course_utils.networks import fcn, fcn_head, gradients, pretrained, weight_files
from course_utils.pictures import images
from course_utils.segmentation import answers
from course_utils.training import fcn as pictures
from course_utils.training import loop, streets
from experiments import seeds

if TYPE_CHECKING:
    import keras

CLASSES = len(streets.CLASS_NAMES)
TUNED = ("block5_conv1", "block5_conv2", "block5_conv3")
Found = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Plan:
    """What is tried.

    Attributes:
        views: of each picture that are made; an epoch draws one of each. The first is the picture as it is.
        pictures: to learn from; 0: all.
        epochs: of FCN-32s and of the head; finer: of each that grows or goes on.
        rate: where the learning rate begins for those; finer_rate: for 16s and 8s, whose maps are larger;
            tuned_rate: for the head that goes on, with block 5 or without.
        every: epochs from one look at the validation pictures to the next.
    """

    views: int = 8
    pictures: int = 0
    epochs: int = 24
    finer: int = 12
    batch: int = 8
    rate: float = 1.5e-3
    finer_rate: float = 4e-4
    tuned_rate: float = 1e-4
    every: int = 4
    seeds: tuple[int, ...] = (0, 1)


RECIPE = streets.Recipe(rate=1.5e-3, dropout=0.15)
"""What the head that ships was trained by."""


def load(folder: Path, plan: Plan) -> pictures.Samples:
    """CamVid's training and validation pictures."""
    given = [(folder / part, folder / f"{part}annot") for part in ("train", "val")]
    samples = pictures.from_folders(
        *given, class_names=streets.CLASS_NAMES, ignore=[streets.UNLABELLED], name="camvid"
    )
    return pictures.fewer(samples, plan.pictures, 0)


class Lessons:
    """Pictures as a network sees them: views made once, batches drawn from them, answers judged.

    Attributes:
        seen: uint8 (views, n, h, w, 3); labels: uint8 (views, n, h, w).
    """

    def __init__(self, samples: pictures.Samples, plan: Plan, seed: int) -> None:
        self.samples, self.plan, self.seed = samples, plan, seed
        shape = samples.train[1].shape[1:]
        self.size = answers.zoomed(shape, RECIPE.side / min(shape))
        self.weights = pictures.class_weights(samples.train[1], CLASSES, RECIPE.balance)
        places = [(v, i) for v in range(plan.views) for i in range(len(samples.train[0]))]
        self.seen = np.empty((plan.views, len(samples.train[0]), *self.size, 3), np.uint8)
        self.labels = np.empty(self.seen.shape[:-1], np.uint8)
        with ThreadPoolExecutor() as pool:
            for (v, i), (picture, mask) in zip(places, pool.map(self._view, places), strict=True):
                self.seen[v, i], self.labels[v, i] = picture, mask

    def _view(self, place: tuple[int, int]) -> pictures.Pair:
        (number, i), (x, y) = place, self.samples.train
        if not number:
            return images.to_uint8(images.resize(x[i], self.size)), segmentation.resize_mask(y[i], self.size)
        recipe = pictures.Recipe(zoom=self.size[0] / y.shape[1], jitter=RECIPE.jitter)
        rng = np.random.default_rng([self.seed, number, i])
        seen, labels = pictures.views(x[i][None], y[i][None], self.size, recipe, rng)
        return images.to_uint8(seen[0]), labels[0]

    def batches(self, epoch: int, step: int) -> Iterator[training.Batch]:
        """A view drawn for each picture, with every `step`th label."""
        rng = np.random.default_rng([self.seed, 3, epoch])
        for pick in training.shuffled(self.seen.shape[1], self.plan.batch, rng):
            view = rng.integers(self.plan.views, size=len(pick))
            yield images.preprocess(self.seen[view, pick]), self.labels[view, pick][:, ::step, ::step]

    def judge(self, model: keras.Model, mirrored: bool = True) -> segmentation.Quality:
        """On the validation pictures; mirrored: the mean of the answers to a picture and its mirror image."""
        x, y = self.samples.validation
        whole = np.resize(np.arange(len(x)), -(-len(x) // 8) * 8)  # batches of one size: compiled once

        def ready(some: np.ndarray) -> np.ndarray:
            return images.preprocess(images.resize(x[some], self.size))

        def labels(logits: np.ndarray) -> np.ndarray:
            return images.resize(logits, y.shape[1:])

        scores = gradients.forward(model, whole, 8, before=ready, after=labels)
        if mirrored:
            turned = gradients.forward(model, whole, 8, before=lambda s: ready(s)[:, :, ::-1], after=labels)
            scores = scores + turned[:, :, ::-1]
        return segmentation.quality(segmentation.confusion_matrix(y, scores[: len(x)].argmax(-1), CLASSES))

    def teach(self, model: keras.Model, epochs: int, rate: float, step: int = 1) -> dict[str, Any]:
        """Train with the recipe's optimizer.

        Args:
            step: every so many pixels along a side there is a score.

        Returns:
            The figures and the IU by class at the end; and as `course` mean IU on the way, not mirrored.
        """
        from keras import optimizers

        optimizer = optimizers.AdamW(rate, weight_decay=RECIPE.decay, global_clipnorm=1.0)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        model.compile(optimizer, fcn.pixel_loss(self.weights), jit_compile=runtime.xla())
        rates, course = training.one_cycle(rate), []
        steps = training.steps_in(self.seen.shape[1], self.plan.batch)
        for epoch in range(epochs):
            now = [rates((epoch * steps + i) / (epochs * steps)) for i in range(steps)]
            loop.run_epoch(model, self.batches(epoch, step), now)
            if (epoch + 1) % self.plan.every == 0:
                course.append(self.judge(model, mirrored=False).mean_iu)
        found = self.judge(model)
        by_class = dict(zip(streets.CLASS_NAMES, map(float, found.iu), strict=True))
        return {**found.figures(), "iu": by_class, "course": course}


def skips(lessons: Lessons) -> Iterator[tuple[str, dict[str, Any]]]:
    """FCN-32s, 16s and 8s on the frozen trunk, and those before them trained on: names and figures."""
    plan = lessons.plan
    net = fcn.build(CLASSES, "32s", backbone=pretrained.load_vgg16(include_top=False), dropout=RECIPE.dropout)
    yield "FCN-32s", lessons.teach(frozen(net), plan.epochs, plan.rate)
    finer = fcn.grow(net, RECIPE.dropout)
    yield "FCN-32s, trained on", lessons.teach(net, 2 * plan.finer, plan.rate)
    yield "FCN-16s", lessons.teach(frozen(finer), plan.finer, plan.finer_rate)
    finest = fcn.grow(finer, RECIPE.dropout)
    yield "FCN-16s, trained on", lessons.teach(finer, plan.finer, plan.finer_rate)
    yield "FCN-8s", lessons.teach(frozen(finest), plan.finer, plan.finer_rate)


def frozen(model: keras.Model, learning: tuple[str, ...] = ()) -> keras.Model:
    """The model with VGG-16's layers as they are, but for those that shall learn."""
    for layer in model.layers:
        if layer.name.startswith("block"):
            layer.trainable = layer.name in learning
    return model


def head(lessons: Lessons, keep: Path | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The head `streets` on the frozen trunk; trained on; and trained on with block 5: names and figures."""
    from keras import Model

    plan, source = lessons.plan, weight_files.shipped("streets")
    reduce = {name: value for name, value in weight_files.read(source).items() if name.startswith("reduce_")}
    below = fcn_head.reduction(reduce)
    above = fcn_head.decoder(CLASSES, list(fcn_head.COMPONENTS.values()), dropout=RECIPE.dropout)
    model = frozen(Model(below.input, above(below.outputs)))
    yield "streets", lessons.teach(model, plan.epochs, plan.rate, step=2)
    begin = model.get_weights()
    yield "streets, trained on", lessons.teach(model, 2 * plan.finer, plan.tuned_rate, step=2)
    if keep:
        weight_files.save(keep / f"streets_{lessons.seed}.npz", reduce | weight_files.of(above))
    model.set_weights(begin)
    frozen(model, TUNED)
    megabytes = sum(2 * np.prod(w.shape) for w in model.trainable_weights) / 1e6
    tuned = lessons.teach(model, 2 * plan.finer, plan.tuned_rate, step=2)
    yield "streets, block 5 tuned", {**tuned, "megabytes": float(megabytes)}


def one_seed(folder: Path, keep: Path | None, plan: Plan, seed: int) -> Found:
    """Way -> figures."""
    runtime.start(seed)
    lessons, found = Lessons(load(folder, plan), plan, seed), {}
    for ways in (head(lessons, keep), skips(lessons)):
        for name, figures in ways:
            found[name] = figures
            reached = f"mean IU {figures['mean_iu']:.3f}, pixel accuracy {figures['pixel_accuracy']:.3f}"
            print(f"seed {seed}, {name}: {reached}", flush=True)
    return found


def summed_up(each: list[dict[str, Any]]) -> dict[str, Any]:
    """The means over the seeds, and mean IU, pixel accuracy and the course of each."""
    numbers = [key for key, value in each[0].items() if isinstance(value, float)]
    mean: dict[str, Any] = {key: float(np.mean([one[key] for one in each])) for key in numbers}
    mean["iu"] = {name: float(np.mean([one["iu"][name] for one in each])) for name in each[0]["iu"]}
    for key in ("mean_iu", "pixel_accuracy", "course"):
        mean[f"{key}_by_seed"] = [one[key] for one in each]
    return mean


def record(folder: Path, plan: Plan, command: str, found: dict[int, Found], minutes: float) -> None:
    """Write the record of the seeds that are done."""
    samples, order = load(folder, plan), sorted(found)
    runs.record(
        "streets_compare",
        command=command,
        seed=order[0],
        precision="float32",
        minutes=minutes,
        data={
            "name": samples.name,
            "sha256": samples.fingerprint,
            "pictures": len(samples.train[0]),
            "seeds": order,
            "epochs": plan.epochs,
            "finer": plan.finer,
            "views": plan.views,
            "every": plan.every,
        },
        metrics={name: summed_up([found[seed][name] for seed in order]) for name in found[order[0]]},
        baselines=pictures.baselines(samples, pictures.Recipe(patches=0)),
    )


def main() -> None:
    """Run the plan and write the record, again after each seed."""
    numbers = {name: getattr(Plan(), name) for name in ("pictures", "views", "epochs", "finer", "every")}
    parser = seeds.options("Real streets: the skips, and block 5 tuned.", numbers)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of CamVid: train, trainannot, val, valannot"
    )
    parser.add_argument("--keep", type=Path, help="folder for the trained heads")
    given = parser.parse_args()
    plan = Plan(**{name: getattr(given, name) for name in numbers}, seeds=tuple(given.seeds or Plan().seeds))
    command = seeds.typed("streets_compare", given, numbers) + " --data DIR"
    work = functools.partial(one_seed, given.data, given.keep, plan)
    start, found = time.perf_counter(), {}
    for seed, its in seeds.by_seed(work, plan.seeds, given.workers):
        found[seed] = its
        record(given.data, plan, command, found, (time.perf_counter() - start) / 60)


if __name__ == "__main__":
    main()
