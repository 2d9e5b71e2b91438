"""The head `names`: a thousand classes on the frozen trunk of the original VGG-16. Notebook 01.

The average of block5_conv3 over all positions and one dense layer, so that a class activation map is one
product. The trunk never changes, so its averages are computed once for each crop and kept; what remains is
linear and takes a minute:

    logits = what a linear map foretells of a teacher's logits + for some classes, their log odds

The first is a ridge regression. It knows all thousand classes, also those of which there is no picture,
because a teacher says of every picture how much it looks like each (Hinton et al., 2015). Each class is
divided by a power of its spread, or else classes with many pictures would win. The second is a logistic
regression of the true classes that have enough pictures, against one class "other".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from course_utils import files, runs, runtime
from course_utils.networks import gradients, heads, pretrained, vgg16, weight_files
from course_utils.pictures import images
from course_utils.training import checkpoints, shipping
from course_utils.training.devices import Devices
from course_utils.training.trainer import changed

if TYPE_CHECKING:
    import keras

Network = Callable[[np.ndarray], np.ndarray]

SHEETS: dict[str, int | None] = {"imagenette": 144, "mini": 84, "one_a_class": None}
"""Folders of pictures, a file a class: sheets of square tiles of so many pixels, or one whole photograph."""
PASSES: dict[str, int] = {"imagenette": 1, "mini": 1, "one_a_class": 3}
SIDES: dict[str, tuple[int, ...]] = {
    "imagenette": (144, 160, 192, 224),
    "mini": (112, 128, 128, 160),
    "one_a_class": (128, 160, 192, 224),
}
CHUNK = 100
ALONE = Devices()
FEW = 5
"""Classes with fewer pictures learn from the teacher alone."""
ROUNDS = 35  # of L-BFGS


@dataclass(frozen=True)
class Recipe:
    """All settings of a run.

    Attributes:
        crops: so many of the plan's are looked at.
        ridge: penalty on the map to the teacher's logits, on standardized averages.
        spread: power of each class's spread that its logits are divided by.
        odds: weight of the log odds of true classes.
        penalty: on the squares of the logistic regression's weights.
        others: weight, in it, of pictures whose class has too few.
        bonus: given to the classes that learn from true labels.
        input_size: pixels at which `classify` looks at pictures.
        judged: pictures of each folder on which the figures are measured, at most.
        seed: of the plan and of what is kept out.
        precision: of the trunk and the teacher: float32, mixed_bfloat16, or auto.
    """

    crops: int = 13500
    ridge: float = 700.0
    spread: float = 0.5
    odds: float = 0.6
    penalty: float = 2e-3
    others: float = 2.0
    bonus: float = 1.75
    input_size: int = 224
    judged: int = 500
    seed: int = 0
    precision: str = "float32"


@dataclass(frozen=True)
class Crop:
    """A square part of a picture, and how the trunk sees it.

    Attributes:
        folder, picture: which one; pictures of a folder are numbered class by class.
        y, x, part: of the square: its corner as a share 0..1 of what is free, its side as a share of the
            picture's shorter side.
        mirrored: left and right exchanged.
        side: pixels that the trunk sees.
        detail: reduced to so many pixels first, as thumbnails are; 0: not.
    """

    folder: str
    picture: int
    y: float
    x: float
    part: float
    mirrored: bool
    side: int
    detail: int


def plan(counts: dict[str, int], seed: int = 0) -> list[Crop]:
    """Which crops are looked at; every beginning of the list has its share of each folder.

    The first pass through a folder shows each picture whole (its middle square), later ones random squares.
    A third of the larger photographs lose their detail, so that blur does not become a class.
    """
    places: list[tuple[float, Crop]] = []
    for number, (folder, count) in enumerate(sorted(counts.items())):
        random = np.random.default_rng([seed, number])
        total = count * PASSES[folder]
        for turn in range(PASSES[folder]):
            for k, picture in enumerate(random.permutation(count)):
                crop = _crop(folder, int(picture), turn, random)
                places.append(((turn * count + k) / total, crop))
    return [crop for _, crop in sorted(places, key=lambda place: place[0])]


def _crop(folder: str, picture: int, turn: int, random: np.random.Generator) -> Crop:
    sharp = SHEETS[folder] is None or SHEETS[folder] > 100  # type: ignore[operator]
    y, x = random.random(2)
    part = float(np.sqrt(random.uniform(0.3, 1.0)))
    side = int(random.choice(SIDES[folder]))
    mirrored = bool(random.random() < 0.5)
    detail = int(random.integers(64, 112)) if sharp and random.random() < 0.33 else 0
    if turn == 0:
        y, x, part = 0.5, 0.5, 1.0
        if folder == "one_a_class":
            side, detail = 224, 0
    return Crop(folder, picture, float(y), float(x), part, mirrored, side, detail)


def pictures_of(data: str | Path, folder: str) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """The pictures of a folder.

    Returns:
        uint8 (H, W, 3) each; the number of each picture's class; the classes' WordNet ids.
    """
    tile = SHEETS[folder]
    found: list[np.ndarray] = []
    labels: list[int] = []
    files = sorted((Path(data) / folder).glob("*.webp"))
    for label, path in enumerate(files):
        sheet = np.asarray(Image.open(path).convert("RGB"))
        tiles = [sheet] if tile is None else list(_tiles(sheet, tile))
        found += tiles
        labels += [label] * len(tiles)
    return found, np.array(labels), [path.stem for path in files]


def _tiles(sheet: np.ndarray, tile: int) -> Iterator[np.ndarray]:
    for y in range(0, sheet.shape[0], tile):
        for x in range(0, sheet.shape[1], tile):
            yield sheet[y : y + tile, x : x + tile]


def cut(picture: np.ndarray, crop: Crop) -> np.ndarray:
    """The square that a crop means, uint8 RGB, in the picture's own resolution."""
    height, width = picture.shape[:2]
    side = max(16, round(min(height, width) * crop.part))
    top, left = round((height - side) * crop.y), round((width - side) * crop.x)
    square = picture[top : top + side, left : left + side]
    return square[:, ::-1] if crop.mirrored else square


def seen(square: np.ndarray, crop: Crop) -> np.ndarray:
    """The square as the trunk sees it, float32 RGB (side, side, 3)."""
    if crop.detail and crop.detail < min(square.shape[0], crop.side):
        square = images.resize(square, crop.detail)
    return images.resize(square, crop.side)


# --- averages and the teacher's answers, once for each crop ---------------------------------------------


def averages(trunk: keras.Model) -> Network:
    """RGB (n, side, side, 3) -> the averages of the trunk's last maps, float32 (n, 512)."""
    return lambda x: gradients.forward(trunk, images.preprocess(x)).mean((1, 2))


def teacher_of(path: str | Path) -> Network:
    """The logits of a teacher: RGB (n, 224, 224, 3) -> (n, 1000).

    Args:
        path: a Python file with `build()`, which returns a Keras model for (RGB - 127) / 128.
    """
    import runpy

    model = runpy.run_path(str(path))["build"]()
    return lambda x: gradients.forward(model, ((x - 127) / 128).astype(np.float32))


@dataclass(frozen=True)
class Seen:
    """What is known of each crop: trunk's averages (n, 512), teacher's logits (n, 1000), class (n,)."""

    crops: Sequence[Crop]
    features: np.ndarray
    teacher: np.ndarray
    labels: np.ndarray

    def part(self, keep: np.ndarray) -> Seen:
        """Those crops where `keep` is true."""
        crops = [crop for crop, kept in zip(self.crops, keep, strict=True) if kept]
        return Seen(crops, self.features[keep], self.teacher[keep], self.labels[keep])


@dataclass(frozen=True)
class Folder:
    """The pictures of a folder, and each one's class among the thousand."""

    pictures: Sequence[np.ndarray]
    labels: np.ndarray


def read(data: str | Path) -> dict[str, Folder]:
    """Every folder of photographs that `data` has.

    Raises:
        FileNotFoundError: none of the folders is there.
        ValueError: a file is named after no class.
    """
    wnids, _ = weight_files.class_table(pretrained.CLASSES)
    number = {wnid: i for i, wnid in enumerate(wnids)}
    found = {}
    for folder in SHEETS:
        pictures, labels, ids = pictures_of(data, folder)
        strange = [wnid for wnid in ids if wnid not in number]
        if strange:
            raise ValueError(f"{Path(data) / folder}: {strange[0]}.webp is named after no class of ImageNet")
        if pictures:
            found[folder] = Folder(pictures, np.array([number[wnid] for wnid in ids])[labels])
    if not found:
        raise FileNotFoundError(f"{data} holds no WNID.webp in folders {', '.join(SHEETS)}")
    return found


def look(
    photographs: Mapping[str, Folder],
    crops: Sequence[Crop],
    networks: Mapping[str, Network],
    cache: str | Path,
    *,
    until: float | None = None,
    say: Callable[[str], None] = print,
) -> Seen:
    """Compute what is not yet in the cache, a hundred crops at a time, and read the rest.

    Args:
        networks: "features" and "teacher", see `averages` and `teacher_of`.
        until: stop computing at this time (`time.monotonic()`); what follows in the plan is left out.
    """
    cache = Path(cache)
    cache.mkdir(parents=True, exist_ok=True)
    features, teacher = [], []
    for start in range(0, len(crops), CHUNK):
        path, chunk = cache / f"{start:06d}.npz", crops[start : start + CHUNK]
        if not path.is_file():
            if until is not None and time.monotonic() > until:
                break
            _compute(photographs, chunk, networks, path)
            say(f"{start + len(chunk)} of {len(crops)} crops")
        with files.reading_npz(path) as arrays:
            features.append(arrays["features"][: len(chunk)].astype(np.float32))
            teacher.append(arrays["teacher"][: len(chunk)].astype(np.float32))
    if not features:
        raise ValueError("no crop was looked at: give it more minutes")
    count = sum(map(len, features))
    labels = np.array([photographs[crop.folder].labels[crop.picture] for crop in crops[:count]])
    return Seen(crops[:count], np.concatenate(features), np.concatenate(teacher), labels)


def _compute(
    photographs: Mapping[str, Folder], crops: Sequence[Crop], networks: Mapping[str, Network], path: Path
) -> None:
    """The trunk sees each crop at its own size, the teacher always at 224 pixels and unblurred."""
    features, teacher = np.zeros((len(crops), 512), np.float32), []
    squares = [cut(photographs[crop.folder].pictures[crop.picture], crop) for crop in crops]
    for side in sorted({crop.side for crop in crops}):
        rows = [i for i, crop in enumerate(crops) if crop.side == side]
        for some in (rows[i : i + 8] for i in range(0, len(rows), 8)):
            features[some] = networks["features"](np.stack([seen(squares[i], crops[i]) for i in some]))
    for i in range(0, len(crops), 20):
        large = np.stack([images.resize(square, 224) for square in squares[i : i + 20]])
        teacher.append(networks["teacher"](large).astype(np.float16))
    with files.replacing(path) as file:
        np.savez(file, features=features, teacher=np.concatenate(teacher))


# --- the head -------------------------------------------------------------------------------------------


def fit(known: Seen, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """The dense layer: kernel (512, 1000) and bias (1000,), float32, before the temperature."""
    mean, deviation = known.features.mean(0), known.features.std(0) + 0.01
    x = (known.features - mean) / deviation
    wanted = known.teacher - known.teacher.mean(1, keepdims=True)
    taught = _ridge(x, wanted - wanted.mean(0), recipe.ridge)
    spread = (x @ taught).std(0) + 1e-6
    kernel = taught * (spread.mean() / spread) ** recipe.spread
    rich = np.flatnonzero(with_many_pictures(known))
    odds, shift = _log_odds(x, known.labels, rich, recipe)
    kernel[:, rich] += recipe.odds * odds
    bias = np.zeros(kernel.shape[1], np.float32)
    bias[rich] = recipe.odds * shift + recipe.bonus
    kernel /= deviation[:, None]
    return kernel, bias - mean @ kernel


def _log_odds(
    x: np.ndarray, labels: np.ndarray, rich: np.ndarray, recipe: Recipe
) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression: of each rich class the log odds against "other", kernel and bias."""
    from scipy import optimize

    others = len(rich)
    place = np.full(int(labels.max(initial=0)) + 1, others)
    place[rich[rich < len(place)]] = np.arange(others)
    wanted = place[labels]
    weight = np.where(wanted == others, recipe.others, 1).astype(np.float32)
    weight /= weight.sum()
    split = x.shape[1] * (others + 1)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        values = values.astype(np.float32)
        kernel, bias = values[:split].reshape(x.shape[1], -1), values[split:]
        slope = _softmax(x @ kernel + bias)
        chosen = slope[np.arange(len(x)), wanted]
        value = -(weight * np.log(chosen + 1e-12)).sum() + recipe.penalty / 2 * np.square(kernel).sum()
        slope[np.arange(len(x)), wanted] -= 1
        slope *= weight[:, None]
        parts = (x.T @ slope + recipe.penalty * kernel).ravel(), slope.sum(0)
        return float(value), np.concatenate(parts).astype(np.float64)

    start = np.zeros(split + others + 1)
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS}).x
    kernel, bias = found[:split].reshape(x.shape[1], -1).astype(np.float32), found[split:].astype(np.float32)
    return kernel[:, :others] - kernel[:, others:], bias[:others] - bias[others]


def with_many_pictures(known: Seen) -> np.ndarray:
    """For each class 1 if it has `FEW` pictures or more, else 0."""
    pictures = {(crop.folder, crop.picture): i for i, crop in enumerate(known.crops)}
    counts = np.bincount(known.labels[list(pictures.values())], minlength=known.teacher.shape[1])
    return (counts >= FEW).astype(np.float32)


def _ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """The matrix w with the least |x w - y|^2 + penalty |w|^2."""
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1], dtype=x.dtype), x.T @ y)


def rates(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Share of pictures whose class is the first, and among the first five."""
    rank = (logits > logits[np.arange(len(labels)), labels][:, None]).sum(1)
    return {"first": float((rank < 1).mean()), "first_five": float((rank < 5).mean())}


# --- calibration ----------------------------------------------------------------------------------------


def reliability(logits: np.ndarray, labels: np.ndarray, bins: int = 15) -> list[dict[str, float]]:
    """What first guesses of a certain probability are worth: a calibration curve. Notebook 01.

    Returns:
        For each bin of the first guess's probability that has pictures: how many `pictures`, their mean
        probability (`shown`), and the share of them that is `right`.
    """
    probability = _softmax(logits)
    shown, right = probability.max(1), probability.argmax(1) == labels
    place = np.minimum((shown * bins).astype(int), bins - 1)
    return [
        {"pictures": int(some.sum()), "shown": float(shown[some].mean()), "right": float(right[some].mean())}
        for some in (place == i for i in range(bins))
        if some.any()
    ]


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017): how far mean probability and share right are
    apart in the bins of `reliability`, averaged with their numbers of pictures as weights.
    """
    curve = reliability(logits, labels, bins)
    gaps = [each["pictures"] * abs(each["shown"] - each["right"]) for each in curve]
    return float(sum(gaps) / len(labels))


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The one number to divide logits by, so that the true classes become most probable (Guo et al. 2017)."""
    from scipy import optimize

    def loss(log_t: float) -> float:
        chosen = _softmax(logits / np.exp(log_t))[np.arange(len(labels)), labels]
        return float(-np.log(chosen + 1e-12).mean())

    return float(np.exp(optimize.minimize_scalar(loss, bounds=(-4, 3), method="bounded").x))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


# --- the run --------------------------------------------------------------------------------------------


def held_out(photographs: Mapping[str, Folder], seed: int) -> dict[str, np.ndarray]:
    """For each folder a mask of the pictures that settings are chosen on.

    Of folders with one picture a class, a hundred classes (a fifth, where there are fewer) of which no other
    folder has pictures; of the others, every tenth picture.
    """
    random = np.random.default_rng([seed, 77])
    masks = {}
    for name, folder in photographs.items():
        if SHEETS[name] is not None:
            masks[name] = np.arange(len(folder.labels)) % 10 == 9
            continue
        elsewhere = [other.labels for key, other in photographs.items() if key != name]
        alone = np.setdiff1d(folder.labels, np.concatenate([*elsewhere, np.zeros(0, int)]))
        masks[name] = np.isin(folder.labels, random.permutation(alone)[: min(100, len(alone) // 5)])
    return masks


def _judged(
    photographs: Mapping[str, Folder], masks: Mapping[str, np.ndarray], most: int
) -> dict[str, np.ndarray]:
    """Numbers of the pictures that are judged: of those kept out, `most` from each folder, evenly spread."""
    found = {name: np.flatnonzero(mask) for name, mask in masks.items()}
    return {name: rows[:: max(1, len(rows) // most)][:most] for name, rows in found.items() if len(rows)}


@dataclass
class Names:
    """What `course train names` runs: no epochs, but averages that are computed once.

    Attributes:
        recipe: all settings.
        data: folder with `one_a_class`, `imagenette`, `mini`, or some of them.
        teacher: see `teacher_of`.
        arguments: what was typed, for the record.
        devices: this process alone.
    """

    recipe: Recipe
    data: Path
    teacher: Path
    arguments: str = "--data DIR --teacher FILE"
    devices: Devices = ALONE

    def run(
        self,
        out: str | Path,
        *,
        minutes: float | None = None,
        resume: bool = False,
        ship: bool = False,
        say: Callable[[str], None] = print,
    ) -> dict[str, Any]:
        """Compute averages, solve for the dense layer, measure it, and write weights, card and record.

        Measured is a head that saw none of the pictures kept out; the one that is written saw all.

        Args:
            out: folder of the run; the averages stay in `out/state`, so another run is quick.
            minutes: stop looking at crops after so long, and go on with those that there are.
            resume: makes no difference: what is in `out/state` is never computed again.
            ship: put the result into `data/` of the checkout.
            say: receives the lines of progress.

        Returns:
            The model card.
        """
        if self.recipe.precision == "auto":
            self.recipe = replace(self.recipe, precision=runtime.best_precision())
        with checkpoints.alone(Path(out)):
            return self._run(Path(out), minutes, ship, say)

    def _run(
        self, out: Path, minutes: float | None, ship: bool, say: Callable[[str], None]
    ) -> dict[str, Any]:
        recipe, began = self.recipe, time.monotonic()
        runtime.start(recipe.seed, recipe.precision)
        photographs = read(self.data)
        counts = {name: len(folder.pictures) for name, folder in photographs.items()}
        trunk = _trunk(recipe)
        networks = {"features": averages(trunk), "teacher": teacher_of(self.teacher)}
        until = None if minutes is None else began + 60 * minutes
        crops, state = plan(counts, recipe.seed)[: recipe.crops], out / "state"
        known = look(photographs, crops, networks, state, until=until, say=say)
        masks = held_out(photographs, recipe.seed)
        kept = np.array([bool(masks[crop.folder][crop.picture]) for crop in known.crops])
        views = {
            name: (_views(trunk, photographs[name], rows, state / f"judged_{name}.npz"), rows)
            for name, rows in _judged(photographs, masks, recipe.judged).items()
        }
        metrics, scale = measure(fit(known.part(~kept), recipe), photographs, views)
        kernel, bias = fit(known, recipe)
        weights = {"predictions_kernel": kernel / scale, "predictions_bias": bias / scale}
        facts = {"crops": len(known.crops), "pictures": counts}
        done = (time.monotonic() - began) / 60
        return self._finish(out, weights, metrics, _baselines(photographs, views), facts, done, ship)

    def _finish(
        self,
        out: Path,
        weights: Mapping[str, np.ndarray],
        metrics: Mapping[str, Any],
        baselines: Mapping[str, Any],
        facts: Mapping[str, Any],
        minutes: float,
        ship: bool,
    ) -> dict[str, Any]:
        """Write weights, card and record."""
        recipe = asdict(self.recipe)
        card = CARD | {"input_size": recipe["input_size"], "recipe": recipe}
        card |= {"trunk": heads.trunk_hash()}
        settings = changed(self.recipe)  # type: ignore[arg-type]
        record = {
            "command": " ".join(["course train names", self.arguments, *settings]),
            "seed": self.recipe.seed,
            "precision": self.recipe.precision,
            "minutes": minutes,
            "data": {"name": "photographs of ImageNet", "sha256": runs.fingerprint(self.data), **facts},
            "metrics": metrics,
            "baselines": baselines,
        }
        return shipping.finish(out, "names", weights=weights, card=card, record=record, ship=ship)


def _trunk(recipe: Recipe) -> keras.Model:
    """The convolutions, which are shown pictures at the size that the head will ask for."""
    trunk = pretrained.load_vgg16("original", until=vgg16.LAYERS[-1])
    return pretrained.remember(trunk, replace(pretrained.about(trunk), input_size=recipe.input_size))


def _views(trunk: keras.Model, folder: Folder, rows: np.ndarray, cache: Path) -> np.ndarray:
    """Averages of whole pictures as `classify` shows them, float32 (n, 512)."""
    if cache.is_file():
        with files.reading_npz(cache) as arrays:
            if np.array_equal(arrays["rows"], rows):
                return np.asarray(arrays["features"])
    parts = []
    for i in range(0, len(rows), 8):
        some = [folder.pictures[row] for row in rows[i : i + 8]]
        parts.append(gradients.forward(trunk, pretrained.prepare(trunk, some)).mean((1, 2)))
    features = np.concatenate(parts)
    with files.replacing(cache) as file:
        np.savez(file, features=features, rows=rows)
    return features


Views = Mapping[str, tuple[np.ndarray, np.ndarray]]


def measure(
    head: tuple[np.ndarray, np.ndarray], photographs: Mapping[str, Folder], views: Views
) -> tuple[dict[str, Any], float]:
    """How often the head is right on the pictures kept out, its calibration, and the temperature."""
    kernel, bias = head
    logits = {name: features @ kernel + bias for name, (features, _) in views.items()}
    labels = {name: photographs[name].labels[rows] for name, (_, rows) in views.items()}
    metrics: dict[str, Any] = {name: rates(logits[name], labels[name]) for name in logits}
    together, wanted = np.concatenate(list(logits.values())), np.concatenate(list(labels.values()))
    scale = temperature(together, wanted)
    metrics["calibration_error"] = {
        "before": calibration_error(together, wanted),
        "after": calibration_error(together / scale, wanted),
    }
    curve = reliability(together / scale, wanted)
    metrics["calibration"] = {f"bin {i}": each for i, each in enumerate(curve, start=1)}
    return metrics | {"temperature": scale, "judged": {k: len(v) for k, v in labels.items()}}, scale


def _baselines(photographs: Mapping[str, Folder], views: Views) -> dict[str, Any]:
    """The commonest class, and the half-width network on pictures of classes that it knows."""
    labels = {name: photographs[name].labels[rows] for name, (_, rows) in views.items()}
    majority = {name: float(np.bincount(each).max() / len(each)) for name, each in labels.items()}
    course = pretrained.load_vgg16("course")
    wnids, _ = weight_files.class_table(pretrained.CLASSES)
    known = set(pretrained.about(course).wnids)
    half: dict[str, Any] = {}
    for name, (_, rows) in views.items():
        asked = [row for row in rows if wnids[photographs[name].labels[row]] in known]
        if not asked:
            continue
        found = pretrained.classify(course, [photographs[name].pictures[row] for row in asked], top=5)
        wanted = [wnids[photographs[name].labels[row]] for row in asked]
        right = [[guess.wnid == wnid for guess in five] for five, wnid in zip(found, wanted, strict=True)]
        first = float(np.mean([each[0] for each in right]))
        half[name] = {"pictures": len(asked), "first": first, "first_five": float(np.mean(np.any(right, 1)))}
    return {"majority class": majority, "half-width network, of the 200 classes it knows": half}


CARD: dict[str, Any] = {
    "title": "names by a distilled head",
    "classes": pretrained.CLASSES,
    "data": "12,500 photographs of ImageNet (Russakovsky et al. 2015): 500 classes with one each, ten with "
    "200 "
    "(imagenette), a hundred with 100 of 84 pixels (mini-ImageNet). For research and teaching; no picture "
    "ships.",
    "teacher": "EfficientNet-Lite0 (Tan and Le 2019, Apache-2.0), 75.1 % of ImageNet's validation pictures "
    "right by "
    "its authors' count; it does not ship.",
    "limits": "These names are not VGG-16's own answers: its dense layers are not in the box. A small head "
    "learned "
    "them from a teacher and from true labels, on few pictures; never set its figures beside the 71.3 / 90.1 "
    "of "
    "the original. Trunk and teacher were trained on ImageNet, to which the pictures belong: "
    '"unseen" means unseen by the head. Settings and temperature were chosen on the pictures kept out. '
    "It knows no person and no face; it answers with the nearest of a thousand names.",
}
