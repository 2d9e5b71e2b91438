"""Short trainings of the all convolutional net side by side. Notebook 06.

    python -m experiments.all_cnn_compare --data DIR --study all_cnn_faults

- `all_cnn_faults`: what Mate Labs' program does (`course train allcnn --recipe matelabs`), and the same with
  each of its faults undone alone, three seeds each; on two classes, shrunk to 8 by 8 pixels.
- `all_cnn_augment`: the short recipe with and without flips and shifts, two seeds each.
- `all_cnn_matelabs`: Mate Labs' recipe beside the one that ships, full width, one seed.
- `all_cnn_starts`: three ways to draw the first weights, one seed.
- `all_cnn_variants`: the paper's four networks, one seed.

Each training is a run of the recipe in a folder of its own below --out, with a checkpoint after every epoch:
the same command goes on where it was stopped, and writes the record when nothing is left to do. Such short
runs tell what learns and what doesn't. They do not repeat the paper's table, which took 350 epochs each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from course_utils import runs
from course_utils.networks import all_cnn
from course_utils.training.all_cnn import AllCnn, Recipe, accuracy, build


@dataclass(frozen=True)
class Study:
    """Some recipes with the same budget.

    Attributes:
        trials: what each is called, and its recipe; the first is what the others are compared with.
        judged: pictures of the held-out part that each is judged on after every epoch.
        seeds: each trial is repeated so often.
        says: what was done, for the record.
        classes: of CIFAR-10, whose pictures alone are used; the network keeps its ten answers.
        side: of the pictures in pixels, 32 or a part of it: so many are averaged into one.
        learned: judge on training pictures, too, as they are.
    """

    trials: Mapping[str, Recipe]
    judged: int
    seeds: int
    says: str
    classes: tuple[int, ...] = tuple(range(10))
    side: int = 32
    learned: bool = False


def changed(start: Recipe, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Recipe]:
    """{name: the recipe with changes}"""
    return {name: replace(start, **dict(each)) for name, each in changes.items()}


PROGRAM = Recipe.named("matelabs", pictures=1000, epochs=3, shift=1)  # a tenth of 8 pixels
OWN_SGD: dict[str, Any] = {"rate": 0.1, "momentum": 0.9, "nesterov": True}
MENDED: dict[str, Any] = {"look": "normalized", "strided_relu": True, **OWN_SGD, "decay": 1e-2}
FAULTS = changed(
    PROGRAM,
    {
        "the program": {},
        "its own SGD used": OWN_SGD,
        "pictures scaled": {"look": "normalized"},
        "a ReLU after striding": {"strided_relu": True},
        "all undone": MENDED,
        "all undone, He's start": {**MENDED, "initializer": "he_normal", "rate": 0.02},
    },
)
"""Weight decay alone is not among them: in so few steps it takes less than a thousandth off the weights."""
SMALL = Recipe(width=0.25, pictures=500, epochs=12, batch=32, rate=0.05, decay=1e-3, hold_out=True)
AUGMENT = changed(SMALL, {"flips and shifts": {}, "as they are": {"flip": False, "shift": 0}})
BARE = Recipe(
    width=0.5,
    pictures=20_000,
    epochs=5,
    batch=32,
    rate=0.01,
    schedule="constant",
    decay=1e-3,
    dropout=(0.0, 0.2),
    norm="none",
    hold_out=True,
)
VARIANTS = changed(BARE, {title: {"variant": name} for name, title in all_cnn.TITLES.items()})
FEW: dict[str, Any] = {"pictures": 1500, "epochs": 6}
BOTH = {
    "Mate Labs' recipe": Recipe.named("matelabs", **FEW),
    "the short recipe": Recipe(batch=32, rate=0.05, hold_out=True, **FEW),
}
STARTS = changed(
    replace(BARE, pictures=10_000, rate=0.02, padding="same"),
    {
        "He et al.": {},
        "Keras's default": {"initializer": "glorot_uniform"},
        "PyTorch's kernels": {"initializer": "pytorch"},
    },
)
STUDIES = {
    "all_cnn_faults": Study(
        FAULTS,
        300,
        3,
        "Mate Labs' program, each fault undone alone; frogs and ships, shrunk to 8 by 8 pixels",
        classes=(6, 8),
        side=8,
    ),
    "all_cnn_augment": Study(
        AUGMENT, 500, 2, "a quarter of the width, with flips and shifts and without", learned=True
    ),
    "all_cnn_matelabs": Study(BOTH, 1000, 1, "full width, two recipes on the same 1,500 pictures"),
    "all_cnn_starts": Study(STARTS, 4000, 1, "half width, three initializations"),
    "all_cnn_variants": Study(VARIANTS, 5000, 1, "half width, four networks"),
}


class Trial(AllCnn):
    """A run of a study: judged on few pictures, and it leaves no weights."""

    def __init__(self, recipe: Recipe, data: str | Path | None, study: Study) -> None:
        super().__init__(recipe, data)
        self.study = study

    def load(self) -> None:
        super().load()
        self.x, self.y = self.some(*self.pictures.train, self.recipe.pictures)
        self.held = self.some(*self.pictures.validation, self.study.judged)

    def some(self, x: np.ndarray, y: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first pictures of the study's classes, in its size."""
        picked = np.flatnonzero(np.isin(y, self.study.classes))[:count]
        x, side = x[picked], self.study.side
        if side < 32:
            x = x.reshape(len(x), side, 32 // side, side, 32 // side, 3).mean((2, 4))
        return x, y[picked]

    def build(self) -> Any:
        return build(self.recipe, self.study.side)

    def validate(self, model: Any) -> dict[str, float]:
        clean = (self.x[: self.study.judged], self.y[: self.study.judged])
        found = {"val_accuracy": accuracy(model, *self.held, self.prepare)}
        if self.study.learned:
            found["train_accuracy"] = accuracy(model, *clean, self.prepare)
        return found

    def finish(self, out: Path, *_: Any, **__: Any) -> dict[str, Any]:
        (out / "done").write_text(f"{out.name}\n", encoding="utf-8")
        return {}


def units(study: Study, out: Path) -> list[tuple[str, int, Path]]:
    """(trial, seed, folder) of all trainings, the first seed of every trial first."""
    names = {name: "".join(c if c.isalnum() else "_" for c in name) for name in study.trials}
    return [(t, s, out / f"{names[t]}-{s}") for s in range(study.seeds) for t in study.trials]


def train(recipe: Recipe, folder: Path, data: Path | None, study: Study, **how: Any) -> bool:
    """Train one, or go on with it; says whether it is done, as one that diverges is, too."""
    try:
        Trial(recipe, data, study).run(folder, resume=True, **how)
    except FloatingPointError as error:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "done").write_text(f"diverged: {error}\n", encoding="utf-8")
    return (folder / "done").is_file()


def curve(folder: Path, epochs: int, fixed: float = 0.0, column: str = "val_accuracy") -> list[float]:
    """A column of a training's history; after it diverged, what a fixed answer reaches."""
    found = [round(float(value), 4) for value in runs.read_history(folder / "history.csv").get(column, [])]
    return found + [fixed] * (epochs - len(found))


def result(study: Study, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metrics of a finished study, and its history: the mean over the seeds for each trial."""
    epochs, fixed = next(iter(study.trials.values())).epochs, 1 / len(study.classes)
    metrics: dict[str, Any] = {}
    history: dict[str, Any] = {"epoch": list(range(1, epochs + 1))}
    for trial in study.trials:
        folders = [folder for name, _, folder in units(study, out) if name == trial]
        curves = np.array([curve(folder, epochs, fixed) for folder in folders])
        broke = ["diverged" in (folder / "done").read_text(encoding="utf-8") for folder in folders]
        last = curves[:, -1]
        metrics[trial] = {
            **{"accuracy": round(float(last.mean()), 4), "lowest": float(last.min())},
            **{"highest": float(last.max()), "seeds": last.tolist(), "diverged": int(sum(broke))},
        }
        history[trial] = curves.mean(0).round(4).tolist()
        if study.learned:
            seen = np.array([curve(folder, epochs, fixed, "train_accuracy") for folder in folders])
            metrics[trial]["train_accuracy"] = round(float(seen[:, -1].mean()), 4)
            history[f"{trial}, training pictures"] = seen.mean(0).round(4).tolist()
    return metrics, history


def run(
    name: str,
    data: Path | None,
    out: Path,
    *,
    minutes: float = 1e9,
    study: Study | None = None,
    root: Path | None = None,
    say: Callable[[str], None] = print,
) -> runs.Run | None:
    """Train what is left of a study; returns its record, or None while something is left.

    Args:
        name: of the study and the record.
        data: folder with CIFAR-10's binary files; None: the cache.
        out: where the trainings lie.
        minutes: stop at the end of the epoch after so long.
        study: another one than `STUDIES[name]`.
        root: where the record goes; None: `data/runs`.
    """
    study, began = study or STUDIES[name], time.monotonic()
    trial = Trial(next(iter(study.trials.values())), data, study)
    for each, seed, folder in units(study, out):
        if (folder / "done").is_file():
            continue
        left = minutes - (time.monotonic() - began) / 60
        say(f"{each}, seed {seed}")
        recipe = replace(study.trials[each], seed=seed)
        if left <= 0 or not train(recipe, folder, data, study, minutes=left, say=say):
            say("time is up; the same command goes on")
            return None
    metrics, history = result(study, out)
    first = next(iter(study.trials.values()))
    trial.load()
    seconds = sum(sum(curve(folder, 0, column="seconds")) for _, _, folder in units(study, out))
    about = f"{first.pictures:,} pictures, {first.epochs} epochs of batches of {first.batch}"
    return runs.record(
        name,
        command=f"python -m experiments.all_cnn_compare --data DIR --study {name}",
        seed=0,
        precision=first.precision,
        minutes=seconds / 60,
        data={
            "name": f"CIFAR-10: {study.says}; {about}, judged on {study.judged:,} held out",
            "sha256": trial.data["sha256"],
            "recipes": {each: asdict(recipe) for each, recipe in study.trials.items()},
            **{"judged": study.judged, "classes": list(study.classes), "side": study.side},
        },
        metrics=metrics,
        baselines={"majority_class": 1 / len(study.classes)},
        history=history,
        root=root,
    )


if __name__ == "__main__":
    from typing import Annotated

    import typer

    def main(
        data: Annotated[Path, typer.Option(help="Folder with CIFAR-10's binary files.")],
        study: Annotated[str, typer.Option(help=", ".join(STUDIES))],
        out: Annotated[Path, typer.Option(help="Folder of the trainings.")] = Path("out"),
        minutes: Annotated[float, typer.Option(help="Stop at the end of the epoch after so long.")] = 1e9,
    ) -> None:
        """Train what is left of a study, and write its record."""
        run(study, data, out / study, minutes=minutes)

    typer.run(main)
