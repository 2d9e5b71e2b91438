"""Neural style on the original VGG-16: the loop that most readers would write, and ours.

The usual loop is that of the public examples: float32, Adam, the full size from the start, one `apply` a
step. Its rate is that of TensorFlow's tutorial, .02 of the range from black to white, which also clips the
picture after each step. Ours may take any way to the float32 loss, at full size, that the usual loop has
after its 200 steps: a start in the artwork's colours, L-BFGS, half of the work for the Gram matrices,
bfloat16 where the processor has it.
With `--full`, and where torch is installed, the loop of PyTorch's tutorial races, too.
The other cases take a few steps each at one size, for ours with the targets, which the usual loop has before
the clock starts. `matrix` multiplies two float32 matrices of 4096 x 4096:
`python -m benchmarks.style` prints which share of that rate a step of ours reaches.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Bench, Skip
from course_utils import style
from course_utils.features.maps import tap
from course_utils.networks import gradients, pretrained, vgg16
from course_utils.pictures import images

Case = dict[str, Any]
ALPHA, BETA, RATE = 1.0, 2e6, 0.02 * 255
CONTENT, STYLE = style.CONTENT_LAYERS[0], style.STYLE_LAYERS
MATRIX = 4096


def network() -> Any:
    """The original, averaging instead of taking the largest, every filter's mean brought to 1."""
    return style.normalize(pretrained.load_vgg16(until="block5_conv1", pooling="average"))


def pair(size: int) -> tuple[np.ndarray, np.ndarray]:
    """A square photograph, and an artwork whose longer side is as long."""
    return images.resize(images.sample("astronaut"), size), images.fit(style.artwork("starry_night"), size)


def goal_of(case: Case) -> Path:
    """Where the usual loop leaves its last loss for ours; both are processes of the same parent."""
    return Path(tempfile.gettempdir()) / f"bench_style_{os.getppid()}_{case['size']}.txt"


def usual_loss(net: Any, photo: np.ndarray, art: np.ndarray) -> Callable[[Any], Any]:
    """The paper's loss as one writes it down."""
    from keras import ops

    part = tap(net, [CONTENT, *STYLE])

    def gram(maps: Any) -> Any:
        places = ops.reshape(maps, (-1, maps.shape[-1]))
        return ops.matmul(ops.transpose(places), places) / (maps.shape[1] * maps.shape[2])

    wanted = part(images.preprocess(photo)[None])[0]
    grams = [gram(maps) for maps in part(images.preprocess(art)[None])[1:]]

    def loss(x: Any) -> Any:
        content, *maps = part(x)
        total = ALPHA * 0.5 * ops.sum(ops.square(content - wanted))
        for each, goal in zip(maps, grams, strict=True):
            difference = ops.sum(ops.square(gram(each) - goal)) / (4 * each.shape[-1] ** 2)
            total = total + BETA / len(maps) * difference
        return total

    return loss


def usual(case: Case) -> Callable[[], object]:
    """One `apply` of Adam a step, at full size, in float32."""
    import keras

    photo, art = pair(case["size"])
    step = gradients.value_and_gradient(usual_loss(network(), photo, art))
    low, high = np.sort(images.preprocess(np.array([[[0.0] * 3], [[255.0] * 3]])), axis=0)[:, None, None]

    def loop() -> object:
        picture = keras.Variable(images.preprocess(photo)[None])
        adam = keras.optimizers.Adam(RATE)
        for _ in range(case["steps"]):
            _, gradient = step(picture.value)
            adam.apply([gradient], [picture])
            picture.assign(keras.ops.clip(picture.value, low, high))
        if case["race"]:
            goal_of(case).write_text(str(float(step(picture.value)[0])))
        return np.asarray(picture.value)

    return loop


def ours(case: Case) -> Callable[[], object]:
    """`style.transfer`, until the loss is reached or the steps are done."""
    net, (photo, art) = network(), pair(case["size"])
    settings = style.Settings(
        size=case["size"],
        alpha=ALPHA,
        beta=BETA,
        precision=case["precision"],
        coarse_to_fine=False,
        start=style.match_colours(photo, art) if case["race"] else "photo",
    )
    if not case["race"]:
        return lambda: style.transfer(net, photo, art, settings, steps=case["steps"])
    goal = float(goal_of(case).read_text())

    def run() -> object:
        result = style.transfer(net, photo, art, settings, steps=220, stop_at=goal)
        if result.ended != "reached":
            raise RuntimeError(
                f"{result.loss:.0f} after {len(result.history['step'])} steps; goal {goal:.0f}"
            )
        return result.image

    return run


def torch_input(image: np.ndarray) -> Any:
    """A picture as PyTorch takes it: (1, 3, h, w)."""
    import torch

    return torch.from_numpy(images.preprocess(image)[None]).permute(0, 3, 1, 2).contiguous()


def torch_maps(x: Any, layers: list[tuple[str, list[Any]]]) -> dict[str, Any]:
    """The maps of all layers; a layer without weights is an average pooling."""
    from torch.nn import functional

    found = {}
    for name, weights in layers:
        if weights:
            kernel, bias = weights
            x = functional.relu(functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding=1))
        else:
            x = functional.avg_pool2d(x, 2)
        found[name] = x
    return found


def torch_loss(photo: np.ndarray, art: np.ndarray) -> Callable[[Any], Any]:
    """The loss of `usual_loss`, in PyTorch's own operations."""
    import torch

    def gram(maps: Any) -> Any:
        places = maps[0].flatten(1)
        return places @ places.T / places.shape[1]

    kept = network().layers[1:]
    layers = [(each.name, [torch.from_numpy(np.asarray(w)) for w in each.get_weights()]) for each in kept]
    wanted, strokes = torch_maps(torch_input(photo), layers)[CONTENT], torch_maps(torch_input(art), layers)
    goals = {name: gram(strokes[name]) for name in STYLE}

    def loss(x: Any) -> Any:
        found = torch_maps(x, layers)
        total = ALPHA * 0.5 * (found[CONTENT] - wanted).square().sum()
        for name, goal in goals.items():
            difference = (gram(found[name]) - goal).square().sum() / (4 * len(goal) ** 2)
            total = total + BETA / len(goals) * difference
        return total

    return loss


def pytorch(case: Case) -> Callable[[], object]:
    """The loop of PyTorch's tutorial: its L-BFGS, and a picture clipped before each evaluation.

    To the goal, but no longer than the tutorial's 300 evaluations; it says on stderr how far it came.
    """
    try:
        import torch
    except ImportError:
        raise Skip("torch is not installed") from None
    photo, art = pair(case["size"])
    loss, start = torch_loss(photo, art), torch_input(photo)
    low, high = (torch_input(np.full((1, 1, 3), value)) for value in (0.0, 255.0))
    most, goal = (300, float(goal_of(case).read_text())) if case["race"] else (case["steps"], 0.0)

    def run() -> object:
        x, seen = start.clone().requires_grad_(), []
        optimizer = torch.optim.LBFGS([x])

        def closure() -> Any:
            with torch.no_grad():
                x.copy_(torch.minimum(torch.maximum(x, low), high))
            optimizer.zero_grad()
            value = loss(x)
            value.backward()
            seen.append(float(value.detach()))
            if seen[-1] <= goal or len(seen) >= most:
                raise StopIteration
            return value

        with contextlib.suppress(StopIteration):
            while True:
                optimizer.step(closure)
        print(f"PyTorch: loss {seen[-1]:.0f} after {len(seen)} evaluations; goal {goal:.0f}", file=sys.stderr)
        return seen

    return run


def matrix(case: Case) -> Callable[[], object]:
    """The processor's matrix rate."""
    if case["race"]:
        raise Skip("the rate does not depend on the loss")
    from keras import ops

    random = np.random.default_rng(0)
    a, b = (ops.convert_to_tensor(random.random((MATRIX, MATRIX), np.float32)) for _ in range(2))
    return lambda: ops.convert_to_numpy(ops.matmul(a, b))


def multiplications(size: int) -> int:
    """Of one step at a size: the convolutions up to block5_conv1, forward and back to the picture."""
    total, before = 0, 3
    for name, channels in vgg16.CHANNELS.items():
        side = size // 2 ** (int(name[5]) - 1)
        total += side * side * 9 * before * channels
        before = channels
        if name == STYLE[-1]:
            break
    return 2 * total


def shares(rows: list[dict[str, Any]]) -> dict[str, float]:
    """For each case with a number of steps the multiplications a second of ours, as a share of that rate."""
    found = {}
    for name, case in BENCH.cases.items():
        seconds = {row["way"]: row["seconds"] for row in rows if row["case"] == name}
        if "matrix" in seconds:
            rate = MATRIX**3 / seconds["matrix"]
            found[name] = case["steps"] * multiplications(case["size"]) / seconds["ours"] / rate
    return found


RACE = {"size": 128, "steps": 200, "race": True}
BENCH = Bench(
    "style",
    cases={
        "128 px, to the same loss": {**RACE, "precision": "auto"},
        "256 px, 4 steps": {"size": 256, "steps": 4, "race": False, "precision": "auto"},
        "512 px, 2 steps": {"size": 512, "steps": 2, "race": False, "precision": "auto"},
    },
    ways={"usual": usual, "ours": ours, "matrix": matrix},
    full={"pytorch": pytorch},
)

if __name__ == "__main__":
    import json

    from benchmarks import harness

    recorded = json.loads((harness.FOLDER / "results" / "style.json").read_text(encoding="utf-8"))["rows"]
    for name, share in shares(recorded).items():
        print(f"{name}: {share:.0%} of the processor's matrix rate, targets included")
