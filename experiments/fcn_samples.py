"""Which samples help? Precision and recall of an FCN, by how many pictures and by what kind. Notebook 05.

`python -m experiments.fcn_samples` trains FCN-8s on scenes again and again, always for the same
number of steps, and writes the record `fcn_samples`. First with 10, 25, … 200 pictures. Then with 50
pictures and 50 more: of one class only, or of all classes but that one. Each is done with three seeds,
which change the scenes, the network's start and the order. How much a pixel of each class counts is the same
for all sets of a seed: taken from each set, more rockets would also be worth less.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_utils import runs, runtime, segmentation
from course_utils.datasets import scenes
from course_utils.networks import fcn, pretrained
from course_utils.segmentation import quick
from course_utils.training.fcn import Pair, class_weights

COMMAND = "python -m experiments.fcn_samples"
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
    """

    counts: tuple[int, ...] = (10, 25, 50, 100, 200)
    base: int = 50
    asked: str = "rocket"
    steps: int = 200
    seeds: tuple[int, ...] = (0, 1, 2)
    tested: int = 200
    size: int = 96


def some(n: int, size: int, seed: int, classes: tuple[str, ...] = scenes.class_names) -> Pair:
    """n scenes with one to three objects of some classes, the masks in the numbers of `NAMES`."""
    made = scenes(n, size=size, seed=seed, objects=(1, 3), classes=classes)
    number = np.arange(256, dtype=np.uint8)
    number[1 : 1 + len(classes)] = [NAMES.index(name) for name in classes]
    return made.images, number[made.masks]


def sets(plan: Plan, seed: int) -> Iterator[tuple[str, Pair]]:
    """The training sets: a name and what is in it."""
    x, y = some(max(plan.counts), plan.size, seed)
    for n in plan.counts:
        yield f"{n} pictures", (x[:n], y[:n])
    others = tuple(name for name in scenes.class_names if name != plan.asked)
    for title, classes in ((f"{plan.asked} only", (plan.asked,)), (f"no {plan.asked}", others)):
        more = some(plan.base, plan.size, 1000 + seed, classes)
        pair = tuple(np.concatenate([old[: plan.base], new]) for old, new in zip((x, y), more, strict=True))
        yield f"{plan.base} pictures, {plan.base} more with {title}", (pair[0], pair[1])


def built() -> Any:
    """An FCN-8s that knows nothing yet, above the course's convolutions."""
    return fcn.build(len(NAMES), "8s", backbone=pretrained.load_vgg16("course", include_top=False))


def train(pair: Pair, weights: np.ndarray, steps: int, seed: int) -> Any:
    """An FCN-8s, trained at once, above the course's convolutions, which stay as they are."""
    runtime.start(seed)
    model = built()
    quick.learn(model, quick.prepare(model, *pair), steps, weights=weights, seed=seed)
    return model


def measured(found: segmentation.Quality) -> dict[str, Any]:
    """Mean IU, and precision, recall and IU by class."""
    values = {key: getattr(found, key) for key in ("precision", "recall", "iu")}
    by_class = {
        key: {name: float(v) for name, v in zip(NAMES, value, strict=True) if np.isfinite(v)}
        for key, value in values.items()
    }
    return {"mean_iu": found.mean_iu, "pixel_accuracy": found.pixel_accuracy, **by_class}


def run(plan: Plan | None = None, say: Any = print) -> dict[str, dict[str, Any]]:
    """Train on every set with every seed; all test pixels of all seeds count together.

    Returns:
        Name of the set -> mean IU and figures by class, and the lowest and highest mean IU of a seed.
    """
    plan = plan or Plan()
    made = scenes(plan.tested, size=plan.size, seed=0, objects=(1, 3), split="test")
    runtime.start(0)
    asked = quick.prepare(built(), made.images, made.masks)
    totals: dict[str, list[np.ndarray]] = {}
    for seed in plan.seeds:
        weights = class_weights(some(max(plan.counts), plan.size, seed)[1], len(NAMES), 0.5)
        for name, pair in sets(plan, seed):
            labels = quick.answer(train(pair, weights, plan.steps, seed), asked).argmax(-1)
            total = segmentation.confusion_matrix(made.masks, labels, len(NAMES))
            totals.setdefault(name, []).append(total)
            found = segmentation.quality(totals[name][-1])
            say(f"seed {seed}, {name}: mean IU {found.mean_iu:.3f}")
    judged = {name: [segmentation.quality(one) for one in each] for name, each in totals.items()}
    return {
        name: measured(segmentation.quality(np.sum(each, axis=0)))
        | {"lowest_mean_iu": min(q.mean_iu for q in judged[name])}
        | {"highest_mean_iu": max(q.mean_iu for q in judged[name])}
        for name, each in totals.items()
    }


def main() -> None:
    """Run the plan and write the record."""
    plan, start = Plan(), time.perf_counter()
    metrics = run(plan)
    made = scenes(plan.tested, size=plan.size, seed=0, objects=(1, 3), split="test")
    nothing = segmentation.confusion_matrix(made.masks, np.zeros_like(made.masks), len(NAMES))
    runs.record(
        "fcn_samples",
        command=COMMAND,
        seed=plan.seeds[0],
        precision="float32",
        minutes=(time.perf_counter() - start) / 60,
        data={
            "name": f"scenes {plan.size}x{plan.size}, judged on {plan.tested} of the test split",
            "sha256": hashlib.sha256(made.images.tobytes() + made.masks.tobytes()).hexdigest(),
            "asked": plan.asked,
            "steps": plan.steps,
        },
        metrics=metrics,
        baselines={"every pixel background": segmentation.quality(nothing).figures()},
    )


if __name__ == "__main__":
    main()
