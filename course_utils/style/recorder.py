"""Who watches the steps: the best picture so far, the losses, thumbnails, the time left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from course_utils.pictures import images as pictures

Array = np.ndarray
Say = Callable[[str], None]
COLUMNS = ("step", "size", "total", "content", "style", "variation", "seconds")  # of a history


class Enough(Exception):
    """Raised inside an optimizer to end it: all steps are used, or the loss is low enough."""


@dataclass
class Recorder:
    """Sees every step: keeps the best picture, the history and thumbnails, and says how long it takes."""

    picture: Callable[[Any], Array]  # x -> RGB 0..255
    work: float  # of the whole run: pixels times steps
    keep_at: set[int]
    say: Say | None
    enough: Callable[[float, Any], bool] | None = None
    reached: bool = False
    size: int = 0
    budget: int = 0  # steps left at this size
    done: float = 0.0
    loss: float = math.inf
    best: Any = None
    rows: list[tuple[float, ...]] = field(default_factory=list)
    thumbnails: list[tuple[int, Array]] = field(default_factory=list)
    began: float = field(default_factory=lambda: time.perf_counter())
    spoke: float = field(default_factory=lambda: time.perf_counter())

    def level(self, size: int, steps: int) -> None:
        """A new size begins: losses of another size don't compare."""
        self.size, self.budget = size, steps
        self.loss, self.best = math.inf, None

    def step(self, losses: Any, x: Any) -> float:
        """Take note of the losses at x; returns their sum. Raises `Enough` at the end."""
        parts = [float(part) for part in np.asarray(losses)]
        total = sum(parts)
        if not math.isfinite(total):
            raise FloatingPointError("the loss is no longer finite")
        self.rows.append((len(self.rows) + 1, self.size, total, *parts, time.perf_counter() - self.began))
        self.done += self.size**2
        self.budget -= 1
        if total < self.loss:
            self.loss, self.best = total, np.array(x, np.float32)
        if len(self.rows) in self.keep_at:
            self.thumbnails.append((len(self.rows), _thumbnail(self.picture(x))))
        self._progress(total)
        self.reached = self.enough is not None and self.enough(total, x)
        if self.budget <= 0 or self.reached:
            raise Enough
        return total

    def _progress(self, total: float) -> None:
        now = time.perf_counter()
        if self.say and now - self.spoke > 5:
            self.spoke = now
            left = (now - self.began) * (self.work / self.done - 1)
            self.say(f"step {len(self.rows)} at {self.size} px, loss {total:.4g}, about {left:.0f} s left")

    def history(self) -> dict[str, Array]:
        """The rows as columns."""
        columns = np.array(self.rows, np.float64).reshape(-1, len(COLUMNS)).T
        return dict(zip(COLUMNS, columns, strict=True))


def _thumbnail(image: Array, side: int = 128) -> Array:
    return pictures.to_uint8(pictures.fit(image, min(side, max(image.shape[:2]))))
