"""The head that colours grey photographs, trained on sampled hypercolumns of a frozen trunk. Notebook 09.

All answers learn from the same pixels: the regression's error is a pseudo-Huber one (a squared error would
let the few vivid pixels decide), the bins' a cross-entropy, in the second set of them with rare colours
counting more (Zhang, Isola and Efros 2016, section 2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import colour, runs, runtime, training
from course_utils.colour import measures
from course_utils.colour.head import SCALE, UNIT
from course_utils.networks import gradients, heads, weight_files
from course_utils.training import colour_samples as samples

if TYPE_CHECKING:
    import keras

WAYS: tuple[colour.Way, ...] = ("careful", "vivid", "regression")
BEND = 10.0
"""Distance in ab at which the regression's error turns from squared to plain."""


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        batch: pixels in one step.
        pixels: of each photograph, at most; neighbours say nearly the same.
        units: of the first layer.
        hidden: units of the second layer.
        dropout: of the means over the picture, and behind the first layer.
        share: of each set of bins' error beside the regression's.
        balance: how far rare colours count more, 0 to 1; see `Bins.weights`.
    """

    epochs: int = 8
    batch: int = 2048
    pixels: int = 40
    units: int = 256
    hidden: int = 128
    dropout: float = 0.3
    share: float = 0.3
    balance: float = 0.5


@dataclass(frozen=True)
class Pool:
    """All sampled pixels, one behind the other.

    Attributes:
        columns: (N, 1472) float16; means: (pictures, 512) float16; picture: (N,), which one a pixel is of.
        ab: (N, 2) float32; lightness: (N,) float32.
    """

    columns: np.ndarray
    means: np.ndarray
    picture: np.ndarray
    ab: np.ndarray
    lightness: np.ndarray

    @classmethod
    def of(cls, parts: list[samples.Samples], most: int = 1000) -> Pool:
        """Lay files of samples behind one another, at most so many pixels of each photograph."""
        parts = [part.first(most) for part in parts]
        counts = np.concatenate([np.full(len(part), part.ab.shape[1]) for part in parts])
        return cls(
            np.concatenate([part.columns.reshape(-1, part.columns.shape[-1]) for part in parts]),
            np.concatenate([part.means for part in parts]),
            np.repeat(np.arange(len(counts)), counts),
            np.concatenate([part.ab.reshape(-1, 2) for part in parts]).astype(np.float32),
            np.concatenate([part.lightness.ravel() for part in parts]).astype(np.float32),
        )

    def inputs(self, pick: np.ndarray | slice) -> np.ndarray:
        """What the head gets for some pixels: (n, 1984) float32."""
        means = self.means[self.picture[pick]]
        return np.concatenate([self.columns[pick], means], axis=1).astype(np.float32)


def targets(ab: np.ndarray, bins: colour.Bins, balance: float) -> np.ndarray:
    """What the loss compares with, float32 (N, 11): a and b, four bins, their shares, the pixel's weight."""
    numbers, shares = bins.share(ab)
    weights = (bins.weights(balance)[numbers] * shares).sum(axis=1, keepdims=True)
    return np.concatenate([ab, numbers, shares, weights], axis=1).astype(np.float32)


def loss(share: float) -> Callable[[Any, Any], Any]:
    """The error of all three answers, for `targets` and the head's output."""
    from keras import ops

    def all_three(y: Any, answer: Any) -> Any:
        away = ops.sum(ops.square(answer[:, :2] * SCALE - y[:, :2]), axis=-1)
        regression = ops.sqrt(away / BEND**2 + 1) - 1
        numbers = ops.cast(y[:, 2:6], "int32")
        for logits, weight in zip(ops.split(answer[:, 2:], 2, axis=1), (1.0, y[:, 10]), strict=True):
            chosen = ops.take_along_axis(ops.log_softmax(logits), numbers, axis=1)
            regression -= share * weight * ops.sum(chosen * y[:, 6:10], axis=-1)
        return regression

    return all_three


# --- the run --------------------------------------------------------------------------------------------


class Colours(training.Trainer[Recipe]):
    """The head, trained on sampled pixels and judged on photographs that were kept out."""

    command = "colour"
    largest_mb = 2.0

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        super().__init__(recipe, "colours")
        self.folder = folder
        self.say: Callable[[str], None] = print

    def run(
        self,
        out: str | Path,
        *,
        minutes: float | None = None,
        resume: bool = False,
        ship: bool = False,
        say: Callable[[str], None] = print,
    ) -> dict[str, Any] | None:
        """As every trainer; the sampled pixels are kept in `out/samples`, and none is made twice."""
        self.samples, self.say = Path(out) / "samples", say
        return super().run(out, minutes=minutes, resume=resume, ship=ship, say=say)

    def load(self) -> None:
        trunk = colour.load_trunk()
        pools = []
        for kept_out, most in ((False, self.recipe.pixels), (True, 1000)):
            files = samples.collect(
                self.folder, self.samples, trunk, self.recipe.seed, kept_out=kept_out, say=self.say
            )
            pools.append(Pool.of(samples.load(files), most))
        self.pool, self.held = pools
        self.bins = colour.Bins.of(self.pool.ab)
        self.shift, self.scale = _spread(self.pool, self.recipe.seed)
        facts = {"photographs": len(self.pool.means), "pixels": len(self.pool.ab)}
        self.data = {"name": "photographs, sampled pixels", "sha256": runs.fingerprint(self.folder)}
        self.data |= facts | {"kept_out": len(self.held.means)}
        self.say(
            f"{facts['pixels']:,} pixels of {facts['photographs']:,} photographs; "
            f"{len(self.held.means)} are kept out"
        )

    def build(self) -> keras.Model:
        from keras import optimizers

        recipe = self.recipe
        model = colour.build(len(self.bins), recipe.units, recipe.hidden, recipe.dropout)
        optimizer = optimizers.AdamW(recipe.rate, weight_decay=recipe.decay)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        model.compile(optimizer, loss(recipe.share), jit_compile=runtime.xla())
        return model

    def steps(self) -> int:
        return training.steps_in(len(self.pool.ab), self.recipe.batch)

    def batches(self) -> training.Batches:
        wanted = targets(self.pool.ab, self.bins, self.recipe.balance)

        def one_epoch(epoch: int) -> Iterator[training.Batch]:
            rng = np.random.default_rng([self.recipe.seed, epoch])
            for pick in training.shuffled(len(wanted), self.recipe.batch, rng):
                yield (self.pool.inputs(pick) - self.shift) * (UNIT / self.scale), wanted[pick]

        return one_epoch

    def validate(self, model: keras.Model) -> dict[str, float]:
        found = judged(folded(model, self.shift, self.scale, self.bins), self.held, self.bins)
        return {f"val_{name}": value for name, value in found.items()}

    def weights(self, model: keras.Model) -> dict[str, np.ndarray]:
        return weight_files.of(folded(model, self.shift, self.scale, self.bins))

    def judge(self, path: Path) -> training.Judgement:
        model = colour.build(len(self.bins), self.recipe.units, self.recipe.hidden)
        weight_files.put(model, weight_files.read(path), path)
        true = self.held.ab
        grey = {"area": measures.area(0 * true, true), "balanced": measures.area(0 * true, true, self.bins)}
        card = {
            "title": "colours for the original VGG-16: a regression and bins, from hypercolumns",
            "data": "photographs of ImageNet (research and teaching only) and Caltech-101 (CC BY 4.0), "
            "reduced; pixels of none ship.",
            "trunk": heads.trunk_hash(),
            "bins": self.bins.for_card(),
            "input": "hypercolumns of the grey picture in three equal channels, and behind them the mean of "
            f"block 5; divided by {UNIT:g}",
            "kept_out": "of each contact sheet the last pictures, of single pictures every tenth",
        }
        return training.Judgement(judged(model, self.held, self.bins), {"grey": grey}, card)


def _spread(pool: Pool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the head's inputs, over some of the pixels."""
    rng = np.random.default_rng(seed)
    some = pool.inputs(np.sort(rng.choice(len(pool.ab), min(len(pool.ab), 40_000), replace=False)))
    deviation = some.std(axis=0)
    return some.mean(axis=0), deviation + 1e-3 * deviation.mean()


def folded(model: keras.Model, shift: np.ndarray, scale: np.ndarray, bins: colour.Bins) -> keras.Model:
    """The head as it ships: for hypercolumns as they are, the standardization folded into its first layer."""
    values = dict(weight_files.of(model))
    kernel = values["mix_kernel"] * (UNIT / scale)[:, None]
    values["mix_bias"] = values["mix_bias"] - (shift / UNIT) @ kernel
    values["mix_kernel"] = kernel
    plain = colour.build(len(bins), values["mix_bias"].size, values["hidden_bias"].size)
    return weight_files.put(plain, values, "the trained head")


def judged(model: keras.Model, held: Pool, bins: colour.Bins, most: int = 40_000) -> dict[str, float]:
    """Measures of all answers on pixels of photographs that were kept out."""
    pick = np.random.default_rng(0).permutation(len(held.ab))[:most]
    answer = np.concatenate(
        [gradients.forward(model, held.inputs(pick[i : i + 4096])) for i in range(0, len(pick), 4096)]
    )
    half = 2 + len(bins)
    said = colour.Answer(answer[:, :2] * SCALE, answer[:, 2:half], answer[:, half:])
    true, lightness = held.ab[pick], held.lightness[pick]
    before, out = _error(0 * true, true, lightness), {}
    for way in WAYS:
        ab = colour.chosen(said, bins, way)
        out[f"{way}_gain"] = float(10 * np.log10(before / _error(ab, true, lightness)))
        out[f"{way}_area"] = measures.area(ab, true)
        out[f"{way}_balanced"] = measures.area(ab, true, bins)
    return out


def _error(ab: np.ndarray, true: np.ndarray, lightness: np.ndarray) -> float:
    """Mean squared error in RGB."""
    pictures = [colour.with_colour(lightness, each) for each in (ab, true)]
    return float(np.square(pictures[0] - pictures[1]).mean())
