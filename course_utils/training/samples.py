"""Which samples help? FCN-8s learnt from fewer and from other pictures of one's own. Notebook 05.

A part of the pictures is kept out and judges every network. The others are learnt from: a quarter, a half,
all of them; and, for a class, as many as a half with many pictures of it, or with few. What changes is the
sample alone: each network takes the same number of steps, a pixel of a class counts the same in all of
them, and each is trained with several seeds, which draw other pictures and another start. Differences
smaller than between two seeds say nothing.

The trunk stays as it is, so its maps are computed once for all.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from course_utils import files, runtime, segmentation
from course_utils.networks import fcn, pretrained
from course_utils.segmentation import quick
from course_utils.training.fcn import class_weights

FIGURES = ("precision", "recall", "iu")
COLUMNS = ("set", "pictures", "class", *(f"{name}{of}" for name in FIGURES for of in ("", "_low", "_high")))


@dataclass(frozen=True)
class Plan:
    """What is tried.

    Attributes:
        shares: of the pictures to learn from.
        asked: classes whose pictures are added or left out; empty: all but the first.
        steps: of each training, with 8 pictures each; rate: where Adam's learning rate begins.
        seeds: of each training.
        hold_out: share of the pictures that judges.
        balance: how much rare classes count, see `fcn.class_weights`.
    """

    shares: tuple[float, ...] = (0.25, 0.5, 1.0)
    asked: tuple[str, ...] = ()
    steps: int = 100
    rate: float = 3e-4
    seeds: tuple[int, ...] = (0, 1, 2)
    hold_out: float = 0.3
    balance: float = 0.4


@dataclass(frozen=True)
class Tried:
    """One set of samples.

    Attributes:
        name: what it holds; pictures: how many.
        judged: for each seed, precision, recall and IU by class, and mean IU.
    """

    name: str
    pictures: int
    judged: tuple[segmentation.Quality, ...]

    def mean_iu(self) -> tuple[float, float, float]:
        """The mean over the seeds, the lowest and the highest."""
        values = [each.mean_iu for each in self.judged]
        return float(np.mean(values)), min(values), max(values)

    def of_class(self, figure: str, number: int) -> tuple[float, float, float]:
        """Mean, lowest and highest of a class's precision, recall or IU; NaN where none is defined."""
        values = np.array([getattr(each, figure)[number] for each in self.judged])
        known = values[np.isfinite(values)]
        if not len(known):
            return float("nan"), float("nan"), float("nan")
        return float(known.mean()), float(known.min()), float(known.max())


def divided(n: int, hold_out: float) -> tuple[np.ndarray, np.ndarray]:
    """Pictures to learn from and to judge by, as indices: the same for every seed.

    Raises:
        ValueError: fewer than six pictures.
    """
    if n < 6:
        raise ValueError(f"{n} pictures: to compare samples at least six are needed, better some dozens")
    order = np.random.default_rng(0).permutation(n)
    cut = min(max(2, round(n * hold_out)), n - 4)
    return np.sort(order[cut:]), np.sort(order[:cut])


def sets(masks: np.ndarray, names: Sequence[str], plan: Plan, seed: int) -> dict[str, np.ndarray]:
    """The sets of one seed: what is in them -> indices of pictures.

    Args:
        masks: of the pictures to learn from, (N, H, W).
        names: of the classes.
    """
    rng, n = np.random.default_rng(seed), len(masks)
    order = rng.permutation(n)
    counts = [max(1, round(share * n)) for share in plan.shares]
    found = {f"{count} of {n} pictures": order[:count] for count in counts}
    half = max(1, n // 2)
    for name in plan.asked or tuple(names[1:]):
        there = (masks[order] == names.index(name)).any(axis=(1, 2))
        with_it, without = order[there], order[~there]
        if len(with_it) and len(without):
            found[f"{half} pictures, many with {name}"] = np.concatenate([with_it, without])[:half]
            found[f"{half} pictures, few with {name}"] = np.concatenate([without, with_it])[:half]
    return found


def compare(
    pictures: np.ndarray,
    masks: np.ndarray,
    names: Sequence[str],
    plan: Plan | None = None,
    backbone: Any = None,
    say: Callable[[str], None] = print,
) -> list[Tried]:
    """Train on every set with every seed.

    Args:
        pictures: uint8 (N, H, W, 3), RGB; masks: uint8 (N, H, W), 255 ignored.
        names: of the classes.
        backbone: a VGG-16 without a top; default the original.
        say: receives a line for each training.

    Raises:
        ValueError: fewer than six pictures, or an unknown class.
    """
    plan = plan or Plan()
    if unknown := [name for name in plan.asked if name not in names]:
        raise ValueError(f"no class {', '.join(unknown)}: there are {', '.join(names)}")
    learnt, out = divided(len(pictures), plan.hold_out)
    runtime.start(0)
    backbone = backbone or pretrained.load_vgg16(include_top=False)
    say(f"{len(learnt)} pictures to learn from, {len(out)} to judge by; their maps are computed once")
    first = fcn.build(len(names), "8s", backbone=backbone)
    ready = quick.prepare(first, pictures[learnt], masks[learnt])
    judged = quick.prepare(first, pictures[out], masks[out])
    weights = class_weights(masks[learnt], len(names), plan.balance)
    found: dict[str, list[segmentation.Quality]] = {}
    todo = [(seed, *each) for seed in plan.seeds for each in sets(masks[learnt], names, plan, seed).items()]
    began = time.monotonic()
    for number, (seed, name, chosen) in enumerate(todo, start=1):
        runtime.start(seed)
        net = fcn.build(len(names), "8s", backbone=backbone)
        quick.learn(net, ready.some(chosen), plan.steps, plan.rate, weights, batch=8, seed=seed)
        labels = quick.answer(net, judged).argmax(-1)
        table = segmentation.confusion_matrix(judged.masks, labels, len(names))
        found.setdefault(name, []).append(segmentation.quality(table))
        left = (time.monotonic() - began) / number * (len(todo) - number) / 60
        say(f"seed {seed}, {name}: mean IU {found[name][-1].mean_iu:.2f}  about {left:.0f} min left")
    sizes = {name: len(chosen) for _, name, chosen in todo}
    return [Tried(name, sizes[name], tuple(each)) for name, each in found.items()]


def rows(tried: Sequence[Tried], names: Sequence[str]) -> list[tuple[Any, ...]]:
    """A row for each set and class, in the order of `COLUMNS`; empty where nothing is defined."""
    found = []
    for each in tried:
        for number, name in enumerate(names):
            values = [v for figure in FIGURES for v in each.of_class(figure, number)]
            shown = ["" if np.isnan(v) else f"{v:.3f}" for v in values]
            found.append((each.name, each.pictures, name, *shown))
    return found


def write(path: Path, tried: Sequence[Tried], names: Sequence[str]) -> None:
    """Write the rows as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows(tried, names))
    with files.replacing(path, text=True) as out:
        out.write(text.getvalue())
