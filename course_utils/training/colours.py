"""The head that colours grey photographs, trained on sampled hypercolumns of a frozen trunk. Notebook 09.

All answers learn from the same pixels: the regression's error is a pseudo-Huber one (a squared error would
let the few vivid pixels decide), the bins' a cross-entropy, in the second set of them with rare colours
counting more (Zhang, Isola and Efros 2016, section 2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import colour, runs, runtime
from course_utils.colour import measures
from course_utils.colour.head import SCALE, UNIT
from course_utils.networks import gradients, pretrained, weight_files
from course_utils.training import colour_samples as samples
from course_utils.training import fit as training
from course_utils.training import shipping

if TYPE_CHECKING:
    import keras

LARGEST_MB = 2.0
WAYS: tuple[colour.Way, ...] = ("careful", "vivid", "regression")
BEND = 10.0
"""Distance in ab at which the regression's error turns from squared to plain."""


@dataclass(frozen=True)
class Recipe:
    """All settings of a run; two runs with equal recipes are the same run.

    Attributes:
        units, hidden: of the two layers.
        rate: highest learning rate (AdamW); decay: of the kernels; dropout: see
            `colour.build`.
        pixels: of each photograph, at most; neighbours say nearly the same.
        share: of each set of bins' error beside the regression's.
        balance: how far rare colours count more; see `Bins.weights`.
    """

    epochs: int = 10
    batch: int = 2048
    rate: float = 1e-3
    decay: float = 1e-2
    dropout: float = 0.3
    pixels: int = 40
    units: int = 256
    hidden: int = 128
    share: float = 0.3
    balance: float = 0.5
    seed: int = 0
    precision: str = "float32"


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


def train(
    data: str | Path,
    out: str | Path,
    recipe: Recipe,
    *,
    minutes: float | None = None,
    resume: bool = False,
    ship: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, Any] | None:
    """Sample pixels of photographs, train the head on them, and write weights, card and record.

    Args:
        data: folder with photographs, in colour.
        out: folder of the run; the sampled pixels are kept in `out/samples`.
        recipe: all settings.
        minutes, resume: see `training.fit`; photographs that were sampled are not sampled again.
        ship: put the result into `data/` of the checkout.
        say: receives the lines of progress.

    Returns:
        The model card, or None when the run was stopped early.
    """
    runtime.start(recipe.seed, recipe.precision)
    trunk = colour.load_trunk()
    paths = samples.collect(data, Path(out) / "samples", trunk, recipe.seed, say=say)
    kept = samples.collect(data, Path(out) / "samples", trunk, recipe.seed, kept_out=True, say=say)
    pool, held = Pool.of(samples.load(paths), recipe.pixels), Pool.of(samples.load(kept))
    say(f"{len(pool.ab):,} pixels of {len(pool.means):,} photographs; {len(held.means)} are kept out")
    bins = colour.Bins.of(pool.ab)
    shift, scale = _spread(pool, recipe.seed)
    model = _compiled(recipe, len(bins))
    progress = training.fit(
        model,
        _batches(recipe, pool, bins, shift, scale),
        steps=lambda epoch: max(1, len(pool.ab) // recipe.batch),
        epochs=recipe.epochs,
        out=out,
        rate=training.one_cycle(recipe.rate),
        settings=asdict(recipe) | {"pixels": len(pool.ab), "photographs": len(pool.means)},
        validate=lambda net: judged(_folded(net, shift, scale, bins), held, bins),
        resume=resume,
        minutes=minutes,
        say=say,
    )
    if not progress.finished:
        return None
    weights = weight_files.of(_folded(model, shift, scale, bins))
    facts = {"photographs": len(pool.means), "pixels": len(pool.ab), "kept_out": len(held.means)}
    return _finish(Path(out), Path(data), recipe, weights, bins, held, facts, progress.minutes, ship)


def _spread(pool: Pool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the head's inputs, over some of the pixels."""
    rng = np.random.default_rng(seed)
    some = pool.inputs(np.sort(rng.choice(len(pool.ab), min(len(pool.ab), 40_000), replace=False)))
    deviation = some.std(axis=0)
    return some.mean(axis=0), deviation + 1e-3 * deviation.mean()


def _compiled(recipe: Recipe, bins: int) -> keras.Model:
    from keras import optimizers

    model = colour.build(bins, recipe.units, recipe.hidden, recipe.dropout)
    optimizer = optimizers.AdamW(recipe.rate, weight_decay=recipe.decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, loss(recipe.share), jit_compile=False)
    return model


def _batches(
    recipe: Recipe, pool: Pool, bins: colour.Bins, shift: np.ndarray, scale: np.ndarray
) -> Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]]:
    wanted = targets(pool.ab, bins, recipe.balance)
    batch = min(recipe.batch, len(wanted))

    def one_epoch(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(wanted))
        for start in range(0, len(order) - batch + 1, batch):
            pick = order[start : start + batch]
            yield (pool.inputs(pick) - shift) * (UNIT / scale), wanted[pick]

    return one_epoch


def _folded(model: keras.Model, shift: np.ndarray, scale: np.ndarray, bins: colour.Bins) -> keras.Model:
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
        out[f"val_{way}_gain"] = float(10 * np.log10(before / _error(ab, true, lightness)))
        out[f"val_{way}_area"] = measures.area(ab, true)
        out[f"val_{way}_balanced"] = measures.area(ab, true, bins)
    return out


def _error(ab: np.ndarray, true: np.ndarray, lightness: np.ndarray) -> float:
    """Mean squared error in RGB."""
    pictures = [colour.with_colour(lightness, each) for each in (ab, true)]
    return float(np.square(pictures[0] - pictures[1]).mean())


def _finish(
    out: Path,
    data: Path,
    recipe: Recipe,
    weights: dict[str, np.ndarray],
    bins: colour.Bins,
    held: Pool,
    facts: dict[str, int],
    minutes: float,
    ship: bool,
) -> dict[str, Any]:
    """Measure the head as it ships (float16 weights, run in float32) on photographs that were kept out."""
    runtime.start(recipe.seed, "float32")
    path = weight_files.save(out / "weights.npz", weights)
    if path.stat().st_size > LARGEST_MB * 1e6:
        raise ValueError(f"{path} has {path.stat().st_size / 1e6:.1f} MB; at most {LARGEST_MB:g} MB ship")
    model = colour.build(len(bins), recipe.units, recipe.hidden)
    weight_files.put(model, weight_files.read(path), path)
    metrics = {key.removeprefix("val_"): value for key, value in judged(model, held, bins).items()}
    grey = {
        "area": measures.area(0 * held.ab, held.ab),
        "balanced": measures.area(0 * held.ab, held.ab, bins),
    }
    card = {
        "title": "colours for the original VGG-16: a regression and bins, from hypercolumns",
        "data": "photographs of ImageNet (research and teaching only) and Caltech-101 (CC BY 4.0), reduced; "
        "pixels of none ship.",
        "recipe": asdict(recipe),
        "trunk": pretrained.about(colour.load_trunk()).name,
        "bins": bins.for_card(),
        "input": f"hypercolumns of the grey picture in three equal channels, and behind them the mean of "
        f"block 5; divided by {UNIT:g}",
        "kept_out": "of each class of contact sheets the last pictures, of single pictures every tenth",
    }
    record = {
        "command": command(recipe),
        "seed": recipe.seed,
        "precision": recipe.precision,
        "minutes": minutes,
        "data": {"name": "photographs, sampled pixels", "sha256": runs.fingerprint(data), **facts},
        "metrics": metrics,
        "baselines": {"grey": grey},
        "history": out / "history.csv",
    }
    return shipping.finish(out, "colours", weights=weights, card=card, record=record, ship=ship)


def command(recipe: Recipe) -> str:
    """What to type for this recipe: the settings that differ from the defaults."""
    plain = Recipe()
    names = ("epochs", "seed", "precision")
    changed = [f"--{n} {getattr(recipe, n)}" for n in names if getattr(recipe, n) != getattr(plain, n)]
    return " ".join(["course train colour --data DIR", *changed])
