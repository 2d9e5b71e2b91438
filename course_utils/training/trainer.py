"""One run from pictures to what ships: `Trainer`, under every `course train` command. Notebook 06.

A recipe is a `Recipe` with the settings of its own; a trainer says what is particular about it:

    class Names(Trainer[Recipe]):
        command = "names"                # of `course train`; its options come from the recipe's fields

        def load(self): ...              # sets self.data = {"name": …, "sha256": …} and what it needs
        def build(self): ...             # the network, compiled
        def steps(self): ...             # of an epoch: steps_in(n, self.recipe.batch)
        def batches(self): ...           # epoch -> (x, y), (x, y), …; draws from [seed, epoch] alone
        def judge(self, path): ...       # weights as they ship -> metrics, trivial answers, the card's text

    card = Names(Recipe(epochs=4), "names").run("out/names")
"""

from __future__ import annotations

import contextlib
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np

from course_utils import runtime
from course_utils.networks import weight_files
from course_utils.training import checkpoints, shipping
from course_utils.training.devices import Devices
from course_utils.training.loop import Batches, fit, one_cycle

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        epochs: length of the run; the schedule fits itself to it.
        batch: pictures in one step.
        rate: highest learning rate.
        decay: of the weights.
        seed: of every random generator.
        precision: of the numbers: auto, float32 or mixed_bfloat16.
    """

    epochs: int = 30
    batch: int = 128
    rate: float = 1e-3
    decay: float = 1e-2
    seed: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ValueError(f"epochs {self.epochs}, batch {self.batch}: both are at least 1")
        for name, hint in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if get_origin(hint) is Literal and value not in get_args(hint):
                raise ValueError(f"{name}={value!r}: there are {', '.join(get_args(hint))}")


@dataclass(frozen=True)
class Judgement:
    """What is said about weights: measured, reached by trivial answers, and for the card in words."""

    metrics: Mapping[str, Any]
    baselines: Mapping[str, Any]
    card: Mapping[str, Any] = field(default_factory=dict)


R = TypeVar("R", bound=Recipe)


class Trainer(ABC, Generic[R]):
    """A run of a recipe: load, fit, judge, record, and ship.

    Attributes:
        command: the word after `course train`.
        best: a column of the history; the state of the epoch with its highest value is kept, too.
        largest_mb: more does not ship.
        recipe: all settings.
        name: of the weights and the record.
        arguments: what else was typed, for the record, such as "--data DIR".
        data: name and sha256 of the pictures, and what else the record should know; set by `load`.
        devices: who shares each batch.
    """

    command: ClassVar[str]
    best: str | None = None
    largest_mb: ClassVar[float] = 8.0

    def __init__(self, recipe: R, name: str, arguments: str = "") -> None:
        self.recipe, self.name, self.arguments = recipe, name, arguments
        self.data: dict[str, Any] = {}
        self.devices = Devices()

    # --- what each trainer says -------------------------------------------------------------------------

    @abstractmethod
    def load(self) -> None:
        """Read the pictures; sets `data`."""

    @abstractmethod
    def build(self) -> keras.Model:
        """The network in its training form, compiled."""

    @abstractmethod
    def steps(self) -> int:
        """How many batches an epoch has."""

    @abstractmethod
    def batches(self) -> Batches:
        """Epoch -> its batches, which depend on nothing but the recipe, the pictures and the epoch."""

    @abstractmethod
    def judge(self, path: Path) -> Judgement:
        """Measure weights as they will be used: rounded to float16, run in float32."""

    def rate(self) -> Callable[[float], float]:
        """Progress 0..1 -> learning rate."""
        return one_cycle(self.recipe.rate)

    def settings(self) -> dict[str, Any]:
        """What must agree for a resume to be exact."""
        return asdict(self.recipe) | {"data": self.data["sha256"]}

    def validate(self, model: keras.Model) -> dict[str, float]:
        """Numbers for the history, after each epoch."""
        return {}

    def weights(self, model: keras.Model) -> dict[str, np.ndarray]:
        """What ships of the trained model: `{"LAYER_kernel": …, "LAYER_bias": …}`."""
        return weight_files.of(model)

    # --- the run ----------------------------------------------------------------------------------------

    def run(
        self,
        out: str | Path,
        *,
        minutes: float | None = None,
        resume: bool = False,
        ship: bool = False,
        say: Callable[[str], None] = print,
    ) -> dict[str, Any] | None:
        """Train as the recipe says, and leave `weights.npz`, `card.json`, `history.csv` and a record.

        Args:
            out: folder of the run; the record goes to `out/runs/NAME`.
            minutes, resume: see `fit`.
            ship: put weights, card and record into the checkout's `data/`, too (for maintainers).
            say: receives the lines of progress.

        Returns:
            The model card; None when the run was stopped early, and on every host but the first.

        Raises:
            ValueError: there is nothing to train on; see `fit`; with `ship`, too large a file.
            OSError: another run is writing into `out`, or it can't be written.
        """
        self.start()
        with checkpoints.alone(Path(out)) if self.devices.writes else contextlib.nullcontext():
            self.load()
            with self.devices.scope():
                model = self.build()
            progress = fit(
                model,
                self.batches(),
                steps=self.steps(),
                epochs=self.recipe.epochs,
                out=out,
                rate=self.rate(),
                settings=self.settings(),
                validate=self.validate,
                best=self.best,
                devices=self.devices,
                resume=resume,
                minutes=minutes,
                say=say,
            )
            if not (progress.finished and self.devices.writes):
                return None
            return self.finish(Path(out), self.weights(model), progress.minutes, ship)

    def start(self) -> None:
        """Start the framework with the recipe's seed and precision."""
        if self.recipe.precision == "auto":
            self.recipe = replace(self.recipe, precision=runtime.best_precision())
        runtime.start(self.recipe.seed, self.recipe.precision)

    def finish(
        self, out: Path, weights: Mapping[str, np.ndarray], minutes: float, ship: bool = False
    ) -> dict[str, Any]:
        """Write the weights, judge them as they will be used, and write card and record; returns the card."""
        runtime.start(self.recipe.seed, "float32")
        path = shipping.write(out, weights, largest_mb=self.largest_mb, ship=ship)
        judged = self.judge(path)
        card = {**judged.card, "recipe": asdict(self.recipe)}
        record = {
            "command": self.typed(),
            "seed": self.recipe.seed,
            "precision": self.recipe.precision,
            "minutes": minutes,
            "data": self.data,
            "metrics": judged.metrics,
            "baselines": judged.baselines,
            "history": out / "history.csv",
        }
        return shipping.describe(path, self.name, card=card, record=record, ship=ship)

    def typed(self) -> str:
        """What to type to do it again: the data, and the settings that differ from the defaults."""
        return " ".join(
            ["course train", self.command, *filter(None, [self.arguments]), *changed(self.recipe)]
        )


def changed(recipe: Recipe, base: Recipe | None = None) -> list[str]:
    """The settings that differ from the defaults, or from another recipe, as options; folders as DIR."""
    words = []
    for each in fields(recipe):
        value, option = getattr(recipe, each.name), f"--{each.name.replace('_', '-')}"
        if value == (getattr(base, each.name) if base else each.default):
            continue
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        elif isinstance(value, tuple) and isinstance(each.default, tuple) and _of_text(each.default):
            words += [f"{option} {part}" for part in value]
        elif isinstance(value, tuple):
            words.append(" ".join([option, *map(str, value)]))
        else:
            text = "DIR" if Path(str(value)).is_absolute() else shlex.quote(str(value))
            words.append(f"{option} {text}")
    return words


def _of_text(values: tuple[Any, ...]) -> bool:
    return all(isinstance(value, str) for value in values)
