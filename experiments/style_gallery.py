"""Pictures of notebook 07 that take minutes: the gallery, the row of ratios, backbones, depths, the finale.

    python -m experiments.style_gallery gallery --work FOLDER
    python -m experiments.style_gallery ratios|depths|textures|backbones|finale --work FOLDER

Each picture is kept in FOLDER as soon as it is done; run again, it goes on where it stopped. When none is
missing the record `style_gallery`, `style_ratios`, … is written. All of it is done with the original VGG-16.
The gallery takes a quarter of an hour on two cores, the others a few minutes each.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_utils import runs, runtime, style
from course_utils.features.maps import feature_maps
from course_utils.networks.pretrained import load_all_cnn, load_vgg16, one_line
from course_utils.pictures import images

if TYPE_CHECKING:
    import keras

Array = np.ndarray
Pictures = Mapping[str, Callable[[], style.Result]]  # a name, and what paints it
MODULE = "experiments.style_gallery"
HELD_OUT = ("block1_conv2", "block2_conv2", "block3_conv2", "block4_conv3")
"""Layers of the blind test: none of them is looked at while painting."""
RATIOS = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)  # four below the paper's, and the paper's four
DEPTHS = ("block1_conv2", "block2_conv2", "block3_conv2", "block4_conv2", "block5_conv2")


def original(until: str = "block5_conv1") -> keras.Model:
    """The original's convolutions, averaging as in the paper, every filter's mean activation 1."""
    return style.normalize(load_vgg16("original", until=until, pooling="average"))


# --- the gallery and its blind test ------------------------------------------------------------------------


def gallery(size: int, steps: int) -> Pictures:
    """Each of the thirteen artworks with its photograph and its settings."""
    net = original()

    def painter(name: str) -> Callable[[], style.Result]:
        photo = images.sample(style.PRESETS[name].photo)
        return lambda: style.transfer(
            net, photo, style.artwork(name), style.preset(name, size=size, steps=steps)
        )

    return {name: painter(name) for name in style.PRESETS}


def judged(paintings: Mapping[str, Array]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The blind test: whose style is nearest to each painting's? And to pictures that nobody painted.

    Two networks look: the original with layers that played no part in painting, and the course's own, of
    half width and trained on other pictures. Every picture is looked at with its longer side at 192.

    Returns:
        For each network, {artwork: rank of the right one, from 1}; the same for the photographs as they are
        and for the photographs in the artwork's colours, which take no painting.
    """
    plain = {name: images.sample(style.PRESETS[name].photo) for name in paintings}
    tinted = {name: style.match_colours(plain[name], style.artwork(name)) for name in paintings}
    networks = {
        "held_out_layers": original("block4_conv3"),
        "second_network": style.normalize(load_vgg16("course", until="block4_conv3", pooling="average")),
    }
    metrics: dict[str, Any] = {}
    baselines: dict[str, Any] = {"photographs": {}, "recoloured_photographs": {}}
    for who, net in networks.items():
        known = {name: grams(net, style.artwork(name)) for name in style.ARTWORKS}
        metrics[who] = ranks(net, paintings, known)
        baselines["photographs"][who] = ranks(net, plain, known)
        baselines["recoloured_photographs"][who] = ranks(net, tinted, known)
    return metrics, baselines


def grams(net: keras.Model, image: Array) -> list[Array]:
    """Mean Gram matrices of the held-out layers."""
    maps = feature_maps(net, images.fit(image, 192), list(HELD_OUT))
    return [np.asarray(style.mean_gram(each)) for each in maps.values()]


def distance(own: Sequence[Array], other: Sequence[Array]) -> float:
    """How far two styles are apart, 0 to 1: each layer counts the same, and so does a quiet picture."""
    norm = np.linalg.norm
    return float(np.mean([norm(a - b) / (norm(a) + norm(b)) for a, b in zip(own, other, strict=True)]))


def ranks(
    net: keras.Model, pictures: Mapping[str, Array], known: Mapping[str, Sequence[Array]]
) -> dict[str, int]:
    """For each picture, which place its own artwork has among all, from 1."""
    found = {}
    for name, image in pictures.items():
        own = grams(net, image)
        order = sorted(known, key=lambda each: distance(own, known[each]))
        found[name] = order.index(name) + 1
    return found


# --- rows ----------------------------------------------------------------------------------------------


def ratios(size: int, steps: int) -> Pictures:
    """The document's figure: content against style, by the paper's own formulas and filters of mean 1."""
    net, photo, art = original(), images.sample("astronaut"), style.artwork("starry_night")

    def painter(ratio: float) -> Callable[[], style.Result]:
        settings = style.Settings(size=size, steps=steps, beta=1 / ratio, margin=0.02)
        return lambda: style.transfer(net, photo, art, settings)

    return {f"{ratio:.0e}": painter(ratio) for ratio in RATIOS}


def backbones(size: int, steps: int) -> Pictures:
    """Networks with other eyes, their losses balanced first."""
    photo, art = images.sample("chelsea"), style.artwork("starry_night")
    original_net = original()
    small = {
        "content_layers": ("conv5_relu",),
        "style_layers": ("conv1_relu", "conv2_relu", "conv4_relu", "conv5_relu"),
    }
    networks: dict[str, tuple[keras.Model, dict[str, Any]]] = {
        "the original": (original_net, {}),
        "half width, thumbnails": (load_vgg16("course", until="block5_conv1", pooling="average"), {}),
        "random": (load_vgg16(None, until="block5_conv1", pooling="average"), {}),
        "All-CNN": (load_all_cnn(), small),
    }

    def painter(net: keras.Model, changes: dict[str, Any]) -> Callable[[], style.Result]:
        settings = style.Settings(
            size=size, steps=steps, variation=4e-3, margin=0.04, colours="recoloured", **changes
        )
        return lambda: style.transfer(net, photo, art, settings, beta=balanced(net, photo, art, settings))

    return {name: painter(net, changes) for name, (net, changes) in networks.items()}


BALANCE = 8.0
"""How much more the photograph's style loss weighs than the artwork's content loss."""


def balanced(net: keras.Model, photo: Array, art: Array, settings: style.Settings) -> float:
    """The beta at which the photograph's style loss is `BALANCE` times the artwork's content loss."""
    shape = photo.shape[:2]
    far = style.loss(net, images.resize(art, shape), photo, art, settings, beta=1.0)["content"]
    return BALANCE * far / style.loss(net, photo, photo, art, settings, beta=1.0)["style"]


def depths(size: int, steps: int) -> Pictures:
    """What is left of a photograph in each block, with a price on noise."""
    net, photo = original("block5_conv2"), images.sample("chelsea")

    def painter(layer: str) -> Callable[[], style.Result]:
        settings = {"size": size, "steps": steps, "variation": 4e-3}
        return lambda: style.invert(net, photo, layer, **settings)

    return {layer: painter(layer) for layer in DEPTHS}


def textures(size: int, steps: int) -> Pictures:
    """Squares with nothing but the artwork's style, by more and more layers."""
    net, art, layers = original(), style.artwork("starry_night"), style.STYLE_LAYERS

    def painter(count: int) -> Callable[[], style.Result]:
        settings = {"size": size, "steps": steps, "beta": 1e7, "variation": 4e-3, "margin": 0.06}
        return lambda: style.texture(net, art, layers[:count], coarse_to_fine=count > 3, **settings)

    return {f"to block {count}": painter(count) for count in (1, 3, 5)}


def finale(size: int, steps: int) -> Pictures:
    """One picture, large."""
    net, name = original(), "starry_night"
    photo = images.sample(style.PRESETS[name].photo)
    settings = style.preset(name, size=size, steps=steps)
    return {name: lambda: style.transfer(net, photo, style.artwork(name), settings)}


KINDS: dict[str, tuple[Callable[[int, int], Pictures], int, int]] = {
    "gallery": (gallery, 320, 100),
    "ratios": (ratios, 192, 60),
    "depths": (depths, 192, 70),
    "textures": (textures, 192, 60),
    "backbones": (backbones, 224, 60),
    "finale": (finale, 512, 160),
}
"""Name -> what paints, the longer side, and the steps."""


# --- painting and recording --------------------------------------------------------------------------------


def run(
    kind: str,
    work: Path,
    *,
    size: int | None = None,
    steps: int | None = None,
    minutes: float = math.inf,
    say: Callable[[str], None] = print,
) -> runs.Run:
    """Paint what is missing in `work`, then record all of it as `style_KIND`.

    Args:
        minutes: no new picture is begun after that; what is there then is recorded.
    """
    start = time.perf_counter()
    make, *usual = KINDS[kind]
    changed = [f" --{key} {n}" for key, n in (("size", size), ("steps", steps)) if n]
    size, steps = size or usual[0], steps or usual[1]
    work.mkdir(parents=True, exist_ok=True)
    pictures = make(size, steps)
    facts = {}
    for name, paint in pictures.items():
        stem = _file(name)
        if (work / f"{stem}.json").exists() or time.perf_counter() - start < 60 * minutes:
            facts[name] = _painted(work, stem, paint, say)
    files = {name: work / f"{_file(name)}.png" for name in facts}
    shown = {
        name: images.save(work / f"{_file(name)}.jpg", images.read(files[name]), quality=85) for name in files
    }
    metrics, baselines = _metrics(kind, {name: images.read(file) for name, file in files.items()}, facts)
    return runs.record(
        f"style_{kind}",
        command=f"python -m {MODULE} {kind}{''.join(changed)} --work FOLDER",
        seed=0,
        precision=runtime.best_precision(),
        minutes=sum(each["seconds"] for each in facts.values()) / 60,
        data={
            "name": "artworks of data/styles, photographs that installed packages carry",
            "sha256": runs.fingerprint(runtime.shipped("styles")),
            "network": one_line(load_vgg16("original", until="block5_conv1")),
            "size": size,
            "steps": steps,
            "titles": {_file(name): name for name in facts},
        },
        metrics=metrics,
        baselines=baselines,
        figures=list(shown.values()),
    )  # fmt: skip


def _file(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def _painted(
    work: Path, stem: str, paint: Callable[[], style.Result], say: Callable[[str], None]
) -> dict[str, Any]:
    """What is known of a picture, painted now unless it lies in `work`."""
    note = work / f"{stem}.json"
    if not note.exists():
        start = time.perf_counter()
        result = paint()
        images.save(work / f"{stem}.png", result.image)
        history = {name: float(values[-1]) for name, values in result.history.items()}
        note.write_text(json.dumps({**history, "seconds": time.perf_counter() - start, "loss": result.loss}))
        say(f"{stem}: {history}")
    facts: dict[str, Any] = json.loads(note.read_text())
    return facts


def _metrics(
    kind: str, pictures: Mapping[str, Array], facts: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is measured of the pictures, beside what takes no painting."""
    if kind == "gallery":
        return judged(pictures)
    found = {
        _file(name): {key: each[key] for key in ("content", "style", "step", "seconds")}
        for name, each in facts.items()
    }
    if kind != "ratios":
        return found, {"the photograph itself": {"content": 0.0}}
    net, photo, art = original(), images.sample("astronaut"), style.artwork("starry_night")
    other = images.resize(art, photo.shape[:2])
    size = max(next(iter(pictures.values())).shape[:2])
    ends = {
        "the photograph itself": style.loss(net, photo, photo, art, size=size, beta=1.0),
        "the artwork itself": style.loss(net, other, photo, art, size=size, beta=1.0),
    }
    return found, {name: {key: loss[key] for key in ("content", "style")} for name, loss in ends.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Paint and record pictures of notebook 07.")
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--size", type=int, help="Longer side in pixels.")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float, default=math.inf)
    arguments = parser.parse_args()
    runtime.start(seed=0)
    run(
        arguments.kind,
        arguments.work,
        size=arguments.size,
        steps=arguments.steps,
        minutes=arguments.minutes,
        say=lambda line: print(line, flush=True),
    )
