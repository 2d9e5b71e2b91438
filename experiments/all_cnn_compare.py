"""Short trainings side by side: the paper's four networks, and the bugs of the 2016 code. Notebook 06.

    python -m experiments.all_cnn_compare --data DIR

trains every one for a few epochs on some thousand pictures of CIFAR-10, in half width and without batch
normalization, and records the accuracy: of the variants on validation pictures, because one of them is chosen
(`all_cnn_variants`), of the bugs on test pictures (`all_cnn_bugs`). Such short runs tell what learns and what
doesn't; they do not repeat the paper's table, which took 350 epochs each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runs, runtime, training
from course_utils.datasets import cifar10
from course_utils.networks import all_cnn, gradients
from course_utils.training.all_cnn import normalize, shift_and_flip

if TYPE_CHECKING:
    import keras

Pictures = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Trial:
    """One short training; the defaults are how it should be done."""

    network: dict[str, Any] = field(default_factory=dict)  # arguments of `all_cnn.build`
    rate: float = 0.02
    momentum: float = 0.9
    decay: float = 1e-3
    scaled: bool = True  # zero mean and unit deviation, or 0..255 as it is
    channels_first: bool = False  # the bug: (3, 32, 32) given to a network that has channels last


@dataclass(frozen=True)
class Budget:
    """What every trial gets."""

    pictures: int = 10_000
    epochs: int = 5
    batch: int = 32
    judged: int = 4000
    part: str = "test"  # whose pictures these are; "validation" where the outcome is a choice
    width: float = 0.5
    dropout: tuple[float, float] = (0.0, 0.2)
    seed: int = 0


CHOICE = Budget(pictures=20_000, epochs=5, judged=5000, part="validation")
VARIANTS = {  # max pooling passes on larger values: at .02 a network with poolings may break off
    "Model C": Trial({"variant": "c"}, rate=0.01),
    "Strided-CNN-C": Trial({"variant": "strided"}, rate=0.01),
    "ConvPool-CNN-C": Trial({"variant": "convpool"}, rate=0.01),
    "All-CNN-C": Trial(rate=0.01),
    "All-CNN-C, 8x8 averaged": Trial({"padding": "same"}, rate=0.01),
    "All-CNN-C, ReLU at the end": Trial({"last_relu": True}, rate=0.01),
}
AS_IT_SHOULD_BE = "as it should be"
BUGS = {
    AS_IT_SHOULD_BE: Trial({"padding": "same"}),
    "input (3, 32, 32)": Trial({"padding": "same", "input_shape": (3, 32, 32)}, channels_first=True),
    "no ReLU after striding": Trial({"padding": "same", "linear": ("conv3", "conv6")}),
    "the optimizer as a string": Trial({"padding": "same"}, rate=0.01, momentum=0.0, decay=0.0),
    "pictures not scaled": Trial({"padding": "same"}, scaled=False),
    "no weight decay": Trial({"padding": "same"}, decay=0.0),
    "Keras's default initialization": Trial({"padding": "same", "initializer": "glorot_uniform"}),
    "PyTorch's default initialization": Trial({"padding": "same", "initializer": all_cnn.PYTORCH_DEFAULT}),
}


def prepare(trial: Trial, pictures: np.ndarray) -> np.ndarray:
    """Pictures as this trial gives them to its network."""
    x = normalize(pictures) if trial.scaled else np.asarray(pictures, np.float32)
    return x.transpose(0, 3, 1, 2) if trial.channels_first else x


def build(trial: Trial, budget: Budget) -> keras.Model:
    """The network of a trial, compiled."""
    from keras import metrics, optimizers

    settings: dict[str, Any] = {"dropout": budget.dropout, "width": budget.width}
    model = all_cnn.build(**settings | trial.network)
    optimizer = optimizers.SGD(
        trial.rate, momentum=trial.momentum, nesterov=trial.momentum > 0, weight_decay=trial.decay or None
    )
    if trial.decay:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    accuracy = metrics.CategoricalAccuracy(name="accuracy")
    model.compile(optimizer, "categorical_crossentropy", metrics=[accuracy], jit_compile=bool(runtime.gpus()))
    return model


def batches(trial: Trial, budget: Budget, train: Pictures, epoch: int) -> Iterator[Pictures]:
    """Shuffled, mirrored, shifted by up to 5 pixels; the same for every trial."""
    rng = np.random.default_rng([budget.seed, epoch])
    order, targets = rng.permutation(len(train[1])), np.eye(10, dtype=np.float32)
    for start in range(0, len(order) - budget.batch + 1, budget.batch):
        pick = order[start : start + budget.batch]
        pictures = shift_and_flip(train[0][pick], rng)
        yield prepare(trial, pictures), targets[train[1][pick]]


def first_answers(model: keras.Model, trial: Trial, pictures: np.ndarray) -> np.ndarray:
    """The class (N,) that the model thinks most likely."""
    answers = gradients.forward(model, pictures, 500, before=lambda some: prepare(trial, some))
    return answers.argmax(1)


def run(
    trial: Trial, budget: Budget, train: Pictures, judged: Pictures, say: Callable[[str], None]
) -> dict[str, Any]:
    """Train one and look at the pictures that judge after every epoch.

    Returns:
        "answers" (epochs, N), "loss" of each epoch, "parameters", "seconds" of training, and "ended": what
        stopped it early, or "".
    """
    runtime.start(budget.seed, runtime.best_precision())
    model = build(trial, budget)
    rates = [trial.rate] * (len(train[1]) // budget.batch)
    found: dict[str, Any] = {"parameters": model.count_params(), "ended": "", "answers": [], "loss": []}
    seconds = 0.0
    for epoch in range(budget.epochs):
        start = time.perf_counter()
        try:
            logs = training.run_epoch(model, batches(trial, budget, train, epoch), rates)
        except FloatingPointError as error:
            found["ended"] = f"epoch {epoch + 1}: {str(error).split(';')[0]}"
            say(found["ended"])
            break
        seconds += time.perf_counter() - start
        found["answers"].append(first_answers(model, trial, judged[0]))
        found["loss"].append(logs["loss"])
        accuracy = (found["answers"][-1] == judged[1]).mean()
        say(f"epoch {epoch + 1}/{budget.epochs}  loss {logs['loss']:.3f}  accuracy {accuracy:.3f}")
    return found | {"seconds": seconds}


def summary(found: dict[str, Any], labels: np.ndarray, epochs: int) -> tuple[dict[str, Any], list[float]]:
    """What goes into the record: numbers after the last epoch, and the accuracy of each epoch.

    A training that broke off answers nothing sensible: its accuracy is that of one fixed class.
    """
    curve = [round(float((row == labels).mean()), 4) for row in found["answers"]]
    curve += [0.1] * (epochs - len(curve))
    numbers = {
        "accuracy": curve[-1],
        "parameters": found["parameters"],
        "seconds": round(found["seconds"], 1),
        "ended": found["ended"],
    }
    return numbers, curve


def flattery(answers: np.ndarray, labels: np.ndarray, part: int = 500) -> dict[str, float]:
    """What is gained on paper when the pictures that judge also choose the epoch.

    The test pictures are cut into parts. Each part chooses the epoch that is best on itself; the accuracy
    there is what would be reported, the accuracy of that epoch on all others is what is true.

    Returns:
        "reported" and "true", each a mean over the parts.
    """
    right, both = np.asarray(answers) == labels, []
    part = min(part, len(labels) // 2)
    for start in range(0, len(labels) - part + 1, part):
        inside = np.zeros(len(labels), bool)
        inside[start : start + part] = True
        scores = right[:, inside].mean(1)
        both.append((scores.max(), right[scores.argmax(), ~inside].mean()))
    reported, true = np.mean(both, axis=0)
    return {"reported": round(float(reported), 4), "true": round(float(true), 4)}


def compare(
    name: str,
    trials: dict[str, Trial],
    data: str | Path | None,
    *,
    budget: Budget | None = None,
    root: Path | None = None,
    say: Callable[[str], None] = print,
) -> runs.Run:
    """Run trials one after the other and record them.

    Args:
        name: of the record.
        trials: by name.
        data: folder with CIFAR-10's binary files; None: the cache.
        budget: of each.
        root: where the record goes; None: `data/runs`.

    Returns:
        The record: `metrics` {name: {"accuracy", "parameters", "seconds", "ended"}}, with `AS_IT_SHOULD_BE`
        among the trials also "chosen on the test set" {"reported", "true"}; `history` a column of accuracies
        for each trial.
    """
    began, budget = time.perf_counter(), budget or Budget()
    pictures = cifar10.load(data)
    train = (pictures.train[0][: budget.pictures], pictures.train[1][: budget.pictures])
    x, labels = getattr(pictures, budget.part)
    judged = (x[: budget.judged], labels[: budget.judged])
    metrics: dict[str, Any] = {}
    history: dict[str, Any] = {"epoch": list(range(1, budget.epochs + 1))}
    for each, trial in trials.items():
        say(each)
        found = run(trial, budget, train, judged, lambda line: say(f"  {line}"))
        metrics[each], history[each] = summary(found, judged[1], budget.epochs)
        if each == AS_IT_SHOULD_BE:
            metrics["chosen on the test set"] = flattery(found["answers"], judged[1])
    judges = f"{budget.judged:,} {budget.part} pictures"
    return runs.record(
        name,
        command="python -m experiments.all_cnn_compare --data DIR",
        seed=budget.seed,
        precision=runtime.best_precision(),
        minutes=(time.perf_counter() - began) / 60,
        data={
            "name": f"CIFAR-10, {budget.pictures:,} pictures to train, judged on {judges}",
            "sha256": runs.fingerprint(cifar10.find(data)),  # type: ignore[arg-type]
            "budget": asdict(budget),
        },
        metrics=metrics,
        baselines={"majority_class": 0.1},
        history=history,
        root=root,
    )


if __name__ == "__main__":
    from typing import Annotated

    import typer

    def main(
        data: Annotated[Path, typer.Option(help="Folder with CIFAR-10's binary files.")],
        only: Annotated[str, typer.Option(help="all_cnn_variants or all_cnn_bugs.")] = "",
    ) -> None:
        """Write the records all_cnn_variants and all_cnn_bugs, or only one of them."""
        all_of_them = (("all_cnn_variants", VARIANTS, CHOICE), ("all_cnn_bugs", BUGS, Budget()))
        for name, trials, budget in all_of_them:
            if only in ("", name):
                compare(name, trials, data, budget=budget)

    typer.run(main)
