"""Does a network that sees more label better? Patches against FCN-32s, 16s and 8s. Notebook 05.

`python -m experiments.fcn_context` makes scenes of 192x192 pixels whose objects' colours are mixed anew
each time, so that a patch of colour does not tell the class, and labels them in these ways: patches of
15x15 pixels and of about the widths of Ning et al. (40) and Cireşan et al. (65 and 95); FCN-32s, 16s and 8s
above the original VGG-16, which stays as it is; and, as controls, FCN-32s and 16s trained on, with a fresh
learning rate, for as long as those that grew out of them. Each with three seeds, which change scenes, start
and order. It writes the record `fcn_context`. `--size` makes scenes of another size; a few minutes on a
GPU, where `--workers 3` trains the seeds side by side, and hours on two cores.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_utils import runs, runtime, segmentation
from course_utils.datasets import LabelledImages, scenes
from course_utils.datasets.labelled import IGNORED
from course_utils.networks import fcn, gradients, pretrained
from course_utils.segmentation import patches, quick
from course_utils.training.fcn import class_weights
from experiments import seeds

NAMES: tuple[str, ...] = ("background", *scenes.class_names)
Figures = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """What is tried.

    Attributes:
        pictures: scenes to train on; tested: scenes of the test split, with other backgrounds.
        size: of the scenes, in pixels.
        sides: of the patches, in pixels; patches: how many their classifiers learn from, three times each.
        asked: so many test pixels of each scene, on a grid, the wide patches answer for.
        steps: of training FCN-32s, with 8 pictures each; finer: of each that grows from it.
        rate: where the learning rate begins for 32s; finer_rate: for those that grow, whose maps are larger.
    """

    pictures: int = 160
    tested: int = 48
    size: int = 192
    sides: tuple[int, ...] = (patches.SIDE, 41, 65, 95)
    patches: int = 12_000
    asked: int = 144
    steps: int = 200
    finer: int = 120
    rate: float = 1e-3
    finer_rate: float = 4e-4
    seeds: tuple[int, ...] = (0, 1, 2)


def made(n: int, plan: Plan, seed: int, split: str) -> LabelledImages:
    """Scenes with one or two large objects in colours of their own."""
    longest = (0.5, 0.95)
    return scenes(n, size=plan.size, seed=seed, objects=(1, 2), split=split, longest=longest, recolour=True)


def judge(truth: np.ndarray, labels: np.ndarray) -> Figures:
    """Pixel accuracy, mean IU and so on."""
    return segmentation.quality(segmentation.confusion_matrix(truth, labels, len(NAMES))).figures()


def by_patches(train: LabelledImages, test: LabelledImages, side: int, plan: Plan, seed: int) -> Figures:
    """A patch classifier's figures, on a grid of test pixels."""
    rng = np.random.default_rng(seed)
    x, y = patches.sample(train.images, train.masks, plan.patches, rng, side)
    model = patches.build(len(NAMES)) if side == patches.SIDE else patches.build_wide(len(NAMES), side)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=runtime.xla())
    model.fit(x, y, batch_size=128, epochs=3, verbose=0)
    per_side = round(plan.asked**0.5)
    places = ((np.arange(per_side) + 0.5) * plan.size / per_side).astype(int)
    rows, columns = (grid.ravel() for grid in np.meshgrid(places, places, indexing="ij"))
    labels = [
        gradients.forward(model, patches.around(patches.normalize(one), rows, columns, side)).argmax(-1)
        for one in test.images
    ]
    return judge(test.masks[:, rows, columns], np.stack(labels))


def by_networks(
    train: LabelledImages, judged: quick.Prepared, plan: Plan, seed: int
) -> Iterator[tuple[str, Figures]]:
    """The figures of FCN-32s, 16s and 8s, and of the first two trained on."""
    net = fcn.build(len(NAMES), "32s", backbone=pretrained.load_vgg16(include_top=False))
    ready = quick.prepare(net, train.images, train.masks)
    weights = class_weights(np.where(train.masks == IGNORED, 0, train.masks), len(NAMES), 0.25)

    def trained(model: Any, steps: int, rate: float = plan.rate) -> Figures:
        quick.learn(model, ready, steps, rate, weights, batch=8, seed=seed)
        return judge(judged.masks, quick.answer(model, judged).argmax(-1))

    yield "FCN-32s", trained(net, plan.steps)
    finer = fcn.grow(net)
    yield "FCN-32s, trained on", trained(net, 2 * plan.finer)
    yield "FCN-16s", trained(finer, plan.finer, plan.finer_rate)
    finest = fcn.grow(finer)
    yield "FCN-16s, trained on", trained(finer, plan.finer, plan.finer_rate)
    yield "FCN-8s", trained(finest, plan.finer, plan.finer_rate)


def ways(plan: Plan, test: LabelledImages, seed: int) -> Iterator[tuple[str, Figures]]:
    """Each way's name and figures, for one seed."""
    train = made(plan.pictures, plan, seed, "train")
    for side in plan.sides:
        runtime.start(seed)
        yield f"patches of {side}", by_patches(train, test, side, plan, seed)
    runtime.start(seed)
    trunk = pretrained.load_vgg16(include_top=False)
    judged = quick.prepare(fcn.build(len(NAMES), "32s", backbone=trunk), test.images, test.masks)
    yield from by_networks(train, judged, plan, seed)


def one_seed(plan: Plan, seed: int) -> dict[str, Figures]:
    """Way -> figures."""
    found, test = {}, made(plan.tested, plan, 0, "test")
    for name, figures in ways(plan, test, seed):
        found[name] = figures
        print(f"seed {seed}, {name}: mean IU {figures['mean_iu']:.3f}", flush=True)
    return found


def summed_up(
    plan: Plan, test: LabelledImages, found: dict[str, list[Figures]]
) -> tuple[dict[str, dict[str, Any]], dict[str, Figures]]:
    """Way -> the mean of each figure over the seeds and the mean IU of each; and the trivial answers."""
    metrics = {
        name: {key: float(np.mean([one[key] for one in each])) for key in each[0]}
        | {"mean_iu_by_seed": [one["mean_iu"] for one in each]}
        for name, each in found.items()
    }
    prior = segmentation.position_prior(made(plan.pictures, plan, 0, "train").masks, len(NAMES))
    trivial = {
        "background everywhere": judge(test.masks, np.zeros_like(test.masks)),
        "position prior": judge(test.masks, np.broadcast_to(prior, test.masks.shape)),
    }
    return metrics, trivial


def record(plan: Plan, command: str, found: dict[int, dict[str, Figures]], minutes: float) -> None:
    """Write the record of the seeds that are done."""
    test, order = made(plan.tested, plan, 0, "test"), sorted(found)
    by_way = {name: [found[seed][name] for seed in order] for name in found[order[0]]}
    metrics, trivial = summed_up(plan, test, by_way)
    runs.record(
        "fcn_context",
        command=command,
        seed=order[0],
        precision="float32",
        minutes=minutes,
        data={
            "name": f"scenes {plan.size}x{plan.size} with mixed colours, {plan.pictures} to train on, "
            f"judged on {plan.tested} of the test split",
            "sha256": hashlib.sha256(test.images.tobytes() + test.masks.tobytes()).hexdigest(),
            "size": plan.size,
            "seeds": order,
            "steps": plan.steps,
            "finer": plan.finer,
            "patches": plan.patches,
        },
        metrics=metrics,
        baselines=trivial,
    )


def main() -> None:
    """Run the plan and write the record, again after each seed."""
    numbers = {
        name: getattr(Plan(), name) for name in ("size", "pictures", "tested", "patches", "steps", "finer")
    }
    given = seeds.options("Patches against FCN-32s, 16s and 8s.", numbers).parse_args()
    plan = Plan(**{name: getattr(given, name) for name in numbers}, seeds=tuple(given.seeds or Plan().seeds))
    start, found = time.perf_counter(), {}
    for seed, its in seeds.by_seed(functools.partial(one_seed, plan), plan.seeds, given.workers):
        found[seed] = its
        minutes = (time.perf_counter() - start) / 60
        record(plan, seeds.typed("fcn_context", given, numbers), found, minutes)


if __name__ == "__main__":
    main()
