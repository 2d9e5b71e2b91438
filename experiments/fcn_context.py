"""Does a network that sees more label better? Patches against FCN-32s, 16s and 8s. Notebook 05.

`python -m experiments.fcn_context` makes scenes of 128x128 pixels whose objects' colours are mixed anew each
time, so that a patch of colour does not tell the class, and labels them in six ways: patches of 15x15 and of
63x63 pixels, FCN-32s, 16s and 8s above the original VGG-16, which stays as it is, and FCN-32s trained on for
as long as the two others together, with a fresh learning rate. Each with three seeds, which change scenes,
start and order. It writes the record `fcn_context`.
"""

from __future__ import annotations

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

COMMAND = "python -m experiments.fcn_context"
NAMES: tuple[str, ...] = ("background", *scenes.class_names)


@dataclass(frozen=True)
class Plan:
    """What is tried.

    Attributes:
        pictures: scenes to train on; tested: scenes of the test split, with other backgrounds.
        patches: how many the patch classifiers learn from, three times each.
        asked: so many test pixels of each scene, on a grid, the wide patches answer for.
        steps: of training FCN-32s, with 8 pictures each; finer: of each that grows from it.
        rate: where the learning rate begins for 32s; finer_rate: for those that grow, whose maps are larger.
    """

    pictures: int = 72
    tested: int = 24
    size: int = 128
    patches: int = 5_000
    asked: int = 144
    steps: int = 100
    finer: int = 60
    rate: float = 1e-3
    finer_rate: float = 4e-4
    seeds: tuple[int, ...] = (0, 1, 2)


def made(n: int, plan: Plan, seed: int, split: str) -> LabelledImages:
    """Scenes with one or two large objects in colours of their own."""
    longest = (0.5, 0.95)
    return scenes(n, size=plan.size, seed=seed, objects=(1, 2), split=split, longest=longest, recolour=True)


def judge(truth: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Pixel accuracy, mean IU and so on."""
    return segmentation.quality(segmentation.confusion_matrix(truth, labels, len(NAMES))).figures()


def by_patches(
    train: LabelledImages, test: LabelledImages, side: int, plan: Plan, seed: int
) -> dict[str, float]:
    """A patch classifier's figures, on a grid of test pixels."""
    rng = np.random.default_rng(seed)
    x, y = patches.sample(train.images, train.masks, plan.patches, rng, side)
    model = patches.build(len(NAMES)) if side == patches.SIDE else patches.build_wide(len(NAMES), side)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
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
    train: LabelledImages, judged: quick.Prepared, plan: Plan, seed: int, ready: quick.Prepared | None = None
) -> Iterator[tuple[str, dict[str, float]]]:
    """The figures of FCN-32s, of 32s trained on, of 16s and of 8s."""
    net = fcn.build(len(NAMES), "32s", backbone=pretrained.load_vgg16(include_top=False))
    ready = ready or quick.prepare(net, train.images, train.masks)
    weights = class_weights(np.where(train.masks == IGNORED, 0, train.masks), len(NAMES), 0.25)

    def trained(model: Any, steps: int, rate: float = plan.rate) -> dict[str, float]:
        quick.learn(model, ready, steps, rate, weights, batch=8, seed=seed)
        return judge(judged.masks, quick.answer(model, judged).argmax(-1))

    yield "FCN-32s", trained(net, plan.steps)
    grown = fcn.grow(net)
    yield "FCN-32s, trained on", trained(net, 2 * plan.finer)
    yield "FCN-16s", trained(grown, plan.finer, plan.finer_rate)
    yield "FCN-8s", trained(fcn.grow(grown), plan.finer, plan.finer_rate)


def ways(
    plan: Plan, test: LabelledImages, judged: quick.Prepared, seed: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """Each way's name and figures, for one seed."""
    train = made(plan.pictures, plan, seed, "train")
    for side in (patches.SIDE, 63):
        runtime.start(seed)
        yield f"patches of {side}", by_patches(train, test, side, plan, seed)
    runtime.start(seed)
    yield from by_networks(train, judged, plan, seed)


def run(plan: Plan, say: Any = print) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, float]], str]:
    """All ways with all seeds.

    Returns:
        Way -> the mean of each figure over the seeds, and the mean IU of each seed; the trivial answers; and
        the hash of the test scenes.
    """
    test = made(plan.tested, plan, 0, "test")
    runtime.start(0)
    trunk = pretrained.load_vgg16(include_top=False)
    judged = quick.prepare(fcn.build(len(NAMES), "32s", backbone=trunk), test.images, test.masks)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in plan.seeds:
        for name, figures in ways(plan, test, judged, seed):
            found.setdefault(name, []).append(figures)
            say(f"seed {seed}, {name}: mean IU {figures['mean_iu']:.3f}")
    return *summed_up(plan, test, found), found_hash(test)


def found_hash(test: LabelledImages) -> str:
    """Of what is judged on."""
    return hashlib.sha256(test.images.tobytes() + test.masks.tobytes()).hexdigest()


def summed_up(
    plan: Plan, test: LabelledImages, found: dict[str, list[dict[str, float]]]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, float]]]:
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


def record(plan: Plan, outcome: tuple[Any, Any, str], minutes: float) -> None:
    """Write the record."""
    metrics, trivial, sha256 = outcome
    runs.record(
        "fcn_context",
        command=COMMAND,
        seed=plan.seeds[0],
        precision="float32",
        minutes=minutes,
        data={
            "name": f"scenes {plan.size}x{plan.size} with mixed colours, {plan.pictures} to train on, "
            f"judged on {plan.tested} of the test split",
            "sha256": sha256,
            "steps": plan.steps,
        },
        metrics=metrics,
        baselines=trivial,
    )


def main() -> None:
    """Run the plan and write the record."""
    plan, start = Plan(), time.perf_counter()
    outcome = run(plan)
    record(plan, outcome, (time.perf_counter() - start) / 60)


if __name__ == "__main__":
    main()
