"""Which samples help? Precision and recall of an FCN, by how many pictures and by what kind. Notebook 05.

`python -m experiments.fcn_samples` trains FCN-8s above the original VGG-16, which stays as it is, again and
again, always for the same number of steps, and writes the record `fcn_samples`. First with 10, 25, … 200
scenes in mixed colours. Then with 50 of these and 50 more of one kind: of one class only, of all classes
but that one, of small objects, or in the objects' own colours. Each is done with three seeds, which change
the scenes, the network's start and the order. How much a pixel of each class counts is the same in all
trainings: taken from each set, more rockets would also be worth less. About forty minutes on two cores, a
few on a GPU, where `--workers 3` trains the seeds side by side.
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
from course_utils.networks import fcn, pretrained
from course_utils.segmentation import quick
from course_utils.training.fcn import Pair, class_weights
from experiments import seeds

NAMES: tuple[str, ...] = ("background", *scenes.class_names)


@dataclass(frozen=True)
class Plan:
    """What is tried.

    Attributes:
        counts: how many pictures.
        base: how many the kinds are added to; `counts` holds it, and twice as many.
        asked: the class whose samples are added or left out.
        steps: of training, of 16 pictures each, the same for all.
        tested: scenes of the test split, with other backgrounds, to judge by.
        size: of the scenes, in pixels.
    """

    counts: tuple[int, ...] = (10, 25, 50, 100, 200)
    base: int = 50
    asked: str = "rocket"
    steps: int = 200
    seeds: tuple[int, ...] = (0, 1, 2)
    tested: int = 160
    size: int = 128


def some(n: int, size: int, seed: int, classes: tuple[str, ...] = scenes.class_names, **changed: Any) -> Pair:
    """n scenes with one or two large objects of some classes, the masks in the numbers of `NAMES`."""
    options: dict[str, Any] = {"objects": (1, 2), "longest": (0.5, 0.95), "recolour": True, **changed}
    made = scenes(n, size=size, seed=seed, classes=classes, **options)
    number = np.arange(256, dtype=np.uint8)
    number[1 : 1 + len(classes)] = [NAMES.index(name) for name in classes]
    return made.images, number[made.masks]


def kinds(plan: Plan) -> dict[str, dict[str, Any]]:
    """What the pictures that are added have of their own: name -> arguments of `some`."""
    others = tuple(name for name in scenes.class_names if name != plan.asked)
    return {
        f"{plan.asked} only": {"classes": (plan.asked,)},
        f"no {plan.asked}": {"classes": others},
        "small objects": {"longest": (0.2, 0.45)},
        "their own colours": {"recolour": False},
    }


def sets(plan: Plan, seed: int) -> Iterator[tuple[str, Pair]]:
    """The training sets: a name and what is in it."""
    x, y = some(max(plan.counts), plan.size, seed)
    for n in plan.counts:
        yield f"{n} pictures", (x[:n], y[:n])
    for title, options in kinds(plan).items():
        more = some(plan.base, plan.size, 1000 + seed, **options)
        pair = tuple(np.concatenate([old[: plan.base], new]) for old, new in zip((x, y), more, strict=True))
        yield f"{plan.base} pictures, {plan.base} more: {title}", (pair[0], pair[1])


def judged_by(plan: Plan) -> LabelledImages:
    """The test scenes."""
    options: Any = {"objects": (1, 2), "longest": (0.5, 0.95), "recolour": True}
    return scenes(plan.tested, size=plan.size, seed=0, split="test", **options)


def fixed_weights(plan: Plan) -> np.ndarray:
    """How much a pixel of each class counts, in every training alike."""
    return class_weights(some(max(plan.counts), plan.size, 0)[1], len(NAMES), 0.25)


def built() -> Any:
    """An FCN-8s that knows nothing yet, above the original's convolutions."""
    return fcn.build(len(NAMES), "8s", backbone=pretrained.load_vgg16(include_top=False))


def train(pair: Pair, weights: np.ndarray, steps: int, seed: int) -> Any:
    """An FCN-8s, trained at once, above the original's convolutions, which stay as they are."""
    runtime.start(seed)
    model = built()
    quick.learn(model, quick.prepare(model, *pair), steps, weights=weights, seed=seed)
    return model


def one_seed(plan: Plan, seed: int) -> dict[str, np.ndarray]:
    """Name of the set -> confusion matrix of the test scenes."""
    test, weights, found = judged_by(plan), fixed_weights(plan), {}
    runtime.start(0)
    asked = quick.prepare(built(), test.images, test.masks)
    for name, pair in sets(plan, seed):
        labels = quick.answer(train(pair, weights, plan.steps, seed), asked).argmax(-1)
        found[name] = segmentation.confusion_matrix(test.masks, labels, len(NAMES))
        print(f"seed {seed}, {name}: mean IU {segmentation.quality(found[name]).mean_iu:.3f}", flush=True)
    return found


def measured(matrices: list[np.ndarray]) -> dict[str, Any]:
    """Means over the seeds, and the figures of each seed.

    Returns:
        `mean_iu` and `mean_iu_by_seed`; and for precision, recall and IU class -> the mean, and under
        `precision_by_seed` and so on class -> one figure a seed. A seed in which nothing was called by a
        class's name has no precision for it, and is left out there.
    """
    each = [segmentation.quality(matrix) for matrix in matrices]
    figures: dict[str, Any] = {"mean_iu": float(np.mean([one.mean_iu for one in each]))}
    figures["mean_iu_by_seed"] = [float(one.mean_iu) for one in each]
    figures["pixel_accuracy"] = float(np.mean([one.pixel_accuracy for one in each]))
    for key in ("precision", "recall", "iu"):
        by_class = {
            name: [float(value) for value in values if np.isfinite(value)]
            for name, values in zip(NAMES, np.array([getattr(one, key) for one in each]).T, strict=True)
        }
        figures[key] = {name: float(np.mean(values)) for name, values in by_class.items() if values}
        figures[f"{key}_by_seed"] = by_class
    return figures


def record(plan: Plan, command: str, found: dict[int, dict[str, np.ndarray]], minutes: float) -> None:
    """Write the record of the seeds that are done."""
    test, order = judged_by(plan), sorted(found)
    nothing = segmentation.confusion_matrix(test.masks, np.zeros_like(test.masks), len(NAMES))
    runs.record(
        "fcn_samples",
        command=command,
        seed=order[0],
        precision="float32",
        minutes=minutes,
        data={
            "name": f"scenes {plan.size}x{plan.size} with mixed colours, {plan.tested} to judge by",
            "sha256": hashlib.sha256(test.images.tobytes() + test.masks.tobytes()).hexdigest(),
            "asked": plan.asked,
            "base": plan.base,
            "steps": plan.steps,
            "seeds": order,
        },
        metrics={name: measured([found[seed][name] for seed in order]) for name in found[order[0]]},
        baselines={"every pixel background": segmentation.quality(nothing).figures()},
    )


def main() -> None:
    """Run the plan and write the record, again after each seed."""
    numbers = {name: getattr(Plan(), name) for name in ("size", "tested", "steps")}
    given = seeds.options("Which samples help an FCN?", numbers).parse_args()
    plan = Plan(**{name: getattr(given, name) for name in numbers}, seeds=tuple(given.seeds or Plan().seeds))
    start, found = time.perf_counter(), {}
    for seed, its in seeds.by_seed(functools.partial(one_seed, plan), plan.seeds, given.workers):
        found[seed] = its
        record(plan, seeds.typed("fcn_samples", given, numbers), found, (time.perf_counter() - start) / 60)


if __name__ == "__main__":
    main()
