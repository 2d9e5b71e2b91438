"""Style: losses against NumPy, rescaled weights that change no answer, optimizers, pyramids, bad input."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from course_utils import cli, runtime, style
from course_utils.cli import stylize
from course_utils.networks import pretrained, vgg16
from course_utils.pictures import images
from course_utils.style import networks, optimizers, painting, recorder

CONTENT, STYLE = "block2_conv2", ("block1_conv1", "block2_conv1")
SMALL: dict[str, Any] = {
    "size": 48,
    "steps": 12,
    "content_layers": (CONTENT,),
    "style_layers": STYLE,
    "coarse_to_fine": False,
    "precision": "float32",
}
RNG = np.random.default_rng(0)
PHOTO = images.resize(images.sample("chelsea"), (36, 48))
ART = images.resize(images.sample("coffee"), (40, 48))


@pytest.fixture(scope="module")
def vgg() -> Any:
    """The first two blocks of a narrow VGG-16 with random weights."""
    runtime.start(seed=0)
    return vgg16.build(1 / 16, until="block2_conv2", pooling="average")


@pytest.fixture(scope="module")
def net(vgg: Any) -> Any:
    return style.normalize(vgg, [PHOTO])


def all_maps(model: Any, image: np.ndarray, layers: Any) -> list[np.ndarray]:
    """Feature maps by Keras alone: the independent way."""
    import keras

    part = keras.Model(model.input, [model.get_layer(layer).output for layer in layers])
    found = part(images.preprocess(image)[None])
    return [np.asarray(maps, np.float64)[0] for maps in (found if isinstance(found, list) else [found])]


def maps_of(model: Any, image: np.ndarray, layer: str) -> np.ndarray:
    return all_maps(model, image, [layer])[0]


# --- representations --------------------------------------------------------------------------------------


def test_gram_against_two_loops() -> None:
    maps = RNG.normal(size=(4, 5, 3)).astype(np.float32)
    expected = [[sum(maps[..., i].ravel() * maps[..., j].ravel()) for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(style.gram(maps), expected, rtol=1e-5)
    np.testing.assert_allclose(style.gram(maps[None]), expected, rtol=1e-5)
    np.testing.assert_allclose(style.mean_gram(maps), np.array(expected) / 20, rtol=1e-5)


def test_gram_does_not_see_where() -> None:
    maps = RNG.normal(size=(6, 7, 4)).astype(np.float32)
    shuffled = RNG.permutation(maps.reshape(-1, 4)).reshape(7, 6, 4)
    assert not np.allclose(maps.reshape(7, 6, 4), shuffled)
    np.testing.assert_allclose(style.gram(maps), style.gram(shuffled), rtol=1e-5)


def test_total_variation_against_numpy() -> None:
    image = RNG.normal(size=(5, 6, 3)).astype(np.float32)
    expected = (np.diff(image, axis=0) ** 2).sum() + (np.diff(image, axis=1) ** 2).sum()
    assert float(style.total_variation(image)) == pytest.approx(expected, rel=1e-5)
    assert float(style.total_variation(np.full((1, 4, 4, 3), 7.0, np.float32))) == 0


def published(name: str, own: np.ndarray, other: np.ndarray, pixels: int, what: str) -> float:
    """Losses of one layer as the sources write them, from maps (h, w, n) of equal size, in NumPy."""
    n, m = own.shape[-1], own.shape[0] * own.shape[1]
    f, p = own.reshape(m, n).T, other.reshape(m, n).T
    g, a = f @ f.T, p @ p.T
    if what == "content":
        squares = (f - p) ** 2
        return {"paper": squares.sum() / 2, "keras": squares.sum()}.get(name, squares.mean())
    return {
        "paper": ((g - a) ** 2).sum() / (4 * n**2 * m**2),
        "mean": ((g / m - a / m) ** 2).mean(),
        "keras": ((g - a) ** 2).sum() / (4 * 3**2 * pixels**2),
        "pytorch": ((g / (n * m) - a / (n * m)) ** 2).mean(),
    }[name]


@pytest.mark.parametrize("name", style.NORMALIZATIONS)
def test_losses_are_those_that_were_published(net: Any, name: str) -> None:
    art = images.resize(ART, PHOTO.shape[:2])
    other = images.resize(images.sample("rocket"), PHOTO.shape[:2])
    found = style.loss(net, other, PHOTO, art, **{**SMALL, "normalization": name, "alpha": 2.0, "beta": 3.0})
    args = (PHOTO.shape[0] * PHOTO.shape[1],)
    content = published(name, maps_of(net, other, CONTENT), maps_of(net, PHOTO, CONTENT), *args, "content")
    strokes = np.mean(
        [published(name, maps_of(net, other, x), maps_of(net, art, x), *args, "style") for x in STYLE]
    )
    assert found["content"] == pytest.approx(2 * content, rel=1e-3)
    assert found["style"] == pytest.approx(3 * strokes, rel=1e-3)
    assert found["total"] == pytest.approx(2 * content + 3 * strokes, rel=1e-3)


def test_layers_can_have_weights_and_artworks_shares(net: Any) -> None:
    def strokes(art: Any, layers: Any) -> float:
        changes = {**SMALL, "style_layers": layers, "beta": 1.0}
        return style.loss(net, PHOTO, PHOTO, art, **changes)["style"]

    alone = [strokes(ART, (layer,)) for layer in STYLE]
    weighted = strokes(ART, {STYLE[0]: 0.5, STYLE[1]: 2.0})
    assert weighted == pytest.approx(0.5 * alone[0] + 2 * alone[1], rel=1e-4)
    assert strokes([(ART, 2.0)], STYLE) == pytest.approx(strokes(ART, STYLE), rel=1e-5)
    # half of the photograph's own Gram matrices: the difference is halved, its square quartered
    assert strokes([(ART, 1), (PHOTO, 1)], STYLE) == pytest.approx(strokes(ART, STYLE) / 4, rel=1e-3)


def test_masks_compare_each_artwork_with_its_own_region(net: Any) -> None:
    other = images.resize(images.sample("rocket"), (36, 48))
    mask = np.zeros((36, 48), np.float32)
    mask[:, :16] = 1  # thirds of 48, so that the border lies on the pooled grid, too
    settings = {**SMALL, "style_layers": ("block1_conv1",), "beta": 1.0}
    found = style.loss(net, PHOTO, PHOTO, [(ART, 1), (other, 1)], **settings, masks=[mask, 1 - mask])["style"]

    def grams(image: np.ndarray, columns: slice) -> np.ndarray:
        places = maps_of(net, image, "block1_conv1")[:, columns]
        return np.einsum("hwi,hwj->ij", places, places) / places[..., 0].size

    everything, expected = slice(None), 0.0
    for share, art, columns in [(1 / 3, ART, slice(0, 16)), (2 / 3, other, slice(16, 48))]:
        gap = grams(PHOTO, columns) - grams(art, everything)
        expected += share * (gap**2).sum() / (4 * len(gap) ** 2)
    assert found == pytest.approx(expected, rel=1e-3)


def test_one_mask_of_ones_is_no_mask(net: Any) -> None:
    plain = style.loss(net, PHOTO, PHOTO, ART, **SMALL)["style"]
    assert style.loss(net, PHOTO, PHOTO, ART, **SMALL, masks=[np.ones((9, 12))])["style"] == pytest.approx(
        plain, rel=1e-4
    )


def test_a_mask_leaves_what_lies_far_outside(net: Any) -> None:
    mask = np.zeros(PHOTO.shape[:2])
    mask[:, :12] = 1
    alone = {**SMALL, "alpha": 0.0, "beta": 1.0}
    painted = style.transfer(net, PHOTO, ART, **alone, masks=[mask]).image
    changed = np.abs(painted - PHOTO).mean(axis=(0, 2))
    assert changed[:8].min() > 1 and changed[30:].max() < 0.01


def test_the_gradient_is_that_of_the_loss(net: Any) -> None:
    problem = style.pose(net, PHOTO, ART, style.Settings(**SMALL, variation=1e-3))
    evaluate, x = problem.at(48), problem.base(48)
    _, gradient = evaluate(x)
    gradient = np.asarray(gradient)
    direction = gradient / np.linalg.norm(gradient)
    ahead, behind = (float(np.sum(evaluate(x + sign * 0.5 * direction)[0])) for sign in (1, -1))
    assert ahead - behind == pytest.approx(np.linalg.norm(gradient), rel=0.02)


# --- rescaled weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("head", ["average", "dense"])
def test_normalize_changes_activations_but_no_answer(pooling: Any, head: Any) -> None:
    runtime.start(seed=1)
    model = vgg16.build(1 / 32, head=head, input_shape=(64, 64, 3), classes=7, pooling=pooling)
    for layer in model.layers:  # biases that are not zero, as trained ones
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, RNG.uniform(-0.1, 0.4, bias.shape)])
    photos = [images.resize(images.sample(name), 64) for name in ("chelsea", "rocket")]
    new = style.normalize(model, photos)
    x = images.preprocess(np.stack(photos))
    np.testing.assert_allclose(new(x), model(x), rtol=2e-3, atol=1e-6)
    both = [
        [np.mean(stack, axis=(0, 1, 2)) for stack in zip(*maps, strict=True)]
        for maps in ([all_maps(each, photo, vgg16.LAYERS) for photo in photos] for each in (model, new))
    ]
    for before, after in zip(*both, strict=True):
        alive = before > networks.DEAD * before.mean()
        np.testing.assert_allclose(after[alive], 1, rtol=1e-3)
        assert (after[~alive] <= networks.DEAD * 1.001).all()


def test_normalize_takes_all_cnn_whose_relus_are_layers() -> None:
    from course_utils.networks import all_cnn, pretrained

    runtime.start(seed=2)
    model = all_cnn.build("all", input_shape=(None, None, 3))
    pretrained.remember(model, pretrained.About(input_size=32))  # else its pictures stay as they are
    photos = [images.resize(images.sample(name), 32) for name in ("coffee", "rocket", "flower")]
    new = style.normalize(model, photos)
    x = images.preprocess(np.stack(photos))
    np.testing.assert_allclose(new(x), model(x), rtol=2e-3, atol=1e-6)
    before, after = (
        np.mean([all_maps(net, photo, ["conv4_relu"])[0].mean((0, 1)) for photo in photos], axis=0)
        for net in (model, new)
    )
    alive = before > networks.DEAD * before.mean()
    assert alive.sum() > 50
    np.testing.assert_allclose(after[alive], 1, atol=1e-3)
    layers = {"content_layers": ("conv5_relu",), "style_layers": ("conv1_relu", "conv4_relu")}
    result = style.transfer(model, PHOTO, ART, **{**SMALL, **layers})
    assert result.loss < 0.6 * result.history["total"][0]


def test_normalize_skips_dead_filters_and_keeps_the_original(vgg: Any) -> None:
    model = style.twin(vgg)
    kernel, bias = model.get_layer("block1_conv2").get_weights()
    bias[1] = -1e6
    model.get_layer("block1_conv2").set_weights([kernel, bias])
    before = [value.copy() for value in model.get_weights()]
    new = style.normalize(model, [PHOTO])
    assert all(np.isfinite(value).all() for value in new.get_weights())
    assert (maps_of(new, PHOTO, "block1_conv2")[..., 1] == 0).all()
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert pretrained.about(new) is pretrained.about(model) or pretrained.about(new) == pretrained.about(
        model
    )


def test_normalize_refuses_what_it_can_not_rescale(vgg: Any) -> None:
    with pytest.raises(ValueError, match="fold batch normalization"):
        style.normalize(vgg16.build(1 / 32, until="block1_conv2", batch_norm=True), [PHOTO])
    broken = style.twin(vgg)
    kernel, bias = broken.get_layer("block2_conv1").get_weights()
    broken.get_layer("block2_conv1").set_weights([kernel * np.nan, bias])
    with pytest.raises(ValueError, match="not finite in block2_conv1"):
        style.normalize(broken, [PHOTO])
    with pytest.raises(ValueError, match="not finite in block2_conv1"):
        style.transfer(broken, PHOTO, ART, **SMALL, normalized=False)


def test_a_twin_gives_the_same_maps_at_any_size(vgg: Any) -> None:
    fixed = vgg16.build(1 / 16, input_shape=(64, 64, 3), classes=5)
    part = style.twin(fixed, until="block3_conv1")
    np.testing.assert_allclose(
        part(images.preprocess(PHOTO)[None])[0], maps_of(part, PHOTO, "block3_conv1"), rtol=1e-5
    )
    square = images.resize(PHOTO, 64)
    np.testing.assert_allclose(
        maps_of(fixed, square, "block3_conv1"), part(images.preprocess(square)[None])[0], rtol=1e-4, atol=1e-3
    )
    import keras

    branched = keras.Model(vgg.input, keras.layers.Add()([vgg.output, vgg.output]))
    with pytest.raises(ValueError, match="not a plain chain"):
        style.twin(branched)


# --- the way down -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("start", ["photo", "artwork", "noise"])
def test_the_loss_falls_from_every_start(net: Any, optimizer: Any, start: str) -> None:
    settings = style.Settings(
        **{**SMALL, "steps": 25, "optimizer": optimizer, "rate": 8.0, "start": start, "variation": 1e-4}
    )
    result = style.transfer(net, PHOTO, ART, settings)
    total = result.history["total"]
    assert result.ended == "finished" and len(total) == 25
    assert result.image.shape == PHOTO.shape and result.image.dtype == np.float32
    assert result.image.min() >= 0 and result.image.max() <= 255
    assert result.loss == total.min() < 0.6 * total[0]
    seen = style.loss(net, result.image, PHOTO, ART, settings)["total"]
    assert seen == pytest.approx(
        result.loss, rel=1e-3
    )  # what is returned is what was judged: no late clipping
    parts = result.history["content"] + result.history["style"] + result.history["variation"]
    np.testing.assert_allclose(total, parts, rtol=1e-6)


def test_curved_is_what_the_whole_matrix_gives() -> None:
    """The two loops beside the update of the whole inverse Hessian (Nocedal and Wright 2006, 6.17)."""
    spread = np.diag(RNG.uniform(1, 9, 12))
    steps = RNG.normal(size=(5, 12))
    pairs = [(step, spread @ step) for step in steps]
    scale, slope = RNG.uniform(0.5, 2, 12), RNG.normal(size=12)
    step, change = pairs[-1]
    inverse = np.diag(scale) * (step @ change) / (change @ (scale * change))
    for step, change in pairs:
        rest = np.eye(12) - np.outer(step, change) / (step @ change)
        inverse = rest @ inverse @ rest.T + np.outer(step, step) / (step @ change)
    np.testing.assert_allclose(style.curved(slope, pairs, scale), inverse @ slope, rtol=1e-9)
    np.testing.assert_array_equal(style.curved(slope, [], scale), scale * slope)


@pytest.mark.parametrize("start", ["photo", "artwork"])
def test_lbfgs_that_knows_how_steep_it_is_where_gets_further(
    net: Any, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    settings = style.Settings(**{**SMALL, "steps": 25, "start": start})
    known = style.transfer(net, PHOTO, ART, settings)
    monkeypatch.setattr(optimizers, "_squares", np.ones_like)
    assert known.loss < style.transfer(net, PHOTO, ART, settings).loss


def test_lbfgs_finds_the_bottom_of_a_valley_within_its_limits() -> None:
    """A quadratic, a hundred times steeper in some directions than in others; SciPy's answer beside ours."""
    from scipy import optimize

    weights = np.geomspace(1, 100, 48).reshape(1, 4, 4, 3)
    centre = RNG.uniform(-60, 60, weights.shape)
    limits = np.array([-40.0, 40.0]).reshape(2, 1, 1, 1) * np.ones((1, 1, 1, 3))
    seen: list[float] = []

    def evaluate(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gap = np.asarray(x, np.float64) - centre
        coupled = weights * gap + 5 * (gap - gap.mean())
        return np.array([0.5 * (gap * coupled).sum()]), coupled.astype(np.float32)

    found: dict[str, Any] = {}

    def note(losses: np.ndarray, x: np.ndarray) -> float:
        seen.append(float(losses.sum()))
        found["x"] = x if seen[-1] <= min(seen) else found["x"]
        assert (np.abs(x) <= 40).all()
        if len(seen) == 200:
            raise KeyboardInterrupt
        return seen[-1]

    with contextlib.suppress(KeyboardInterrupt):
        style.lbfgs(evaluate, np.zeros(weights.shape, np.float32), limits, note)
    best = optimize.minimize(
        lambda flat: float(evaluate(flat.reshape(weights.shape))[0].sum()),
        np.zeros(48), bounds=[(-40, 40)] * 48, method="L-BFGS-B", options={"maxfun": 10**5},
    )  # fmt: skip
    assert min(seen) == pytest.approx(best.fun, rel=1e-3)
    np.testing.assert_allclose(found["x"].ravel(), best.x, atol=0.5)


def test_the_same_seed_gives_the_same_picture(net: Any) -> None:
    pair = [style.transfer(net, PHOTO, ART, **SMALL, start="noise", seed=seed).image for seed in (3, 3, 4)]
    np.testing.assert_array_equal(pair[0], pair[1])
    assert not np.array_equal(pair[0], pair[2])


def test_from_coarse_to_fine(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painting, "COARSEST", 12)
    result = style.transfer(
        net, PHOTO, ART, **{**SMALL, "steps": 20, "coarse_to_fine": True, "thumbnails": 5}
    )
    assert list(np.unique(result.history["size"])) == [12, 24, 48]
    assert (np.diff(result.history["size"]) >= 0).all()
    assert result.image.shape == PHOTO.shape
    assert [step for step, _ in result.thumbnails] == [1, 2, 6, 12, 20]
    assert all(thumbnail.dtype == np.uint8 for _, thumbnail in result.thumbnails)
    fine = result.history["total"][result.history["size"] == 48]
    alone = style.transfer(net, PHOTO, ART, **{**SMALL, "steps": len(fine)})
    assert fine[0] < alone.history["total"][0] and result.loss < alone.loss


def test_style_equal_to_content_is_left_alone(net: Any) -> None:
    result = style.transfer(net, PHOTO, PHOTO, **SMALL)
    np.testing.assert_allclose(result.image, PHOTO, atol=2.0)


def test_content_alone_and_style_alone(net: Any) -> None:
    small = {key: SMALL[key] for key in ("size", "coarse_to_fine", "precision")} | {"steps": 40}
    inverted = style.invert(net, PHOTO, "block1_conv2", **small)
    assert inverted.loss < 0.5 * inverted.history["total"][0] and not inverted.history["style"].any()
    surface = style.texture(net, ART, ["block1_conv1"], **small)
    assert surface.image.shape == (48, 48, 3) and not surface.history["content"].any()
    assert surface.loss < surface.history["total"][0]


def test_it_ends_when_the_loss_is_low_enough(net: Any) -> None:
    long = style.transfer(net, PHOTO, ART, **SMALL)
    goal = float(np.sort(long.history["total"])[4])
    short = style.transfer(net, PHOTO, ART, **SMALL, stop_at=goal)
    assert short.ended == "reached" and len(short.history["step"]) < len(long.history["step"])
    assert style.loss(net, short.image, PHOTO, ART, **SMALL)["total"] <= goal * 1.0001


def test_an_interrupted_run_gives_the_best_so_far(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painting, "COARSEST", 12)
    for stop in (0, 5, 9, 11, 17, 18):  # before the first step, while coarse, between sizes, at full size
        calls = 0
        step = recorder.Recorder.step

        def interrupted(self: Any, losses: Any, x: Any, stop: int = stop, step: Any = step) -> float:
            nonlocal calls
            calls += 1
            if calls > stop:
                raise KeyboardInterrupt
            return step(self, losses, x)

        with monkeypatch.context() as patch:
            patch.setattr(recorder.Recorder, "step", interrupted)
            result = style.transfer(net, PHOTO, ART, **{**SMALL, "steps": 20, "coarse_to_fine": True})
        assert result.ended == "interrupted" and len(result.history["step"]) == stop
        assert result.image.shape == PHOTO.shape and np.isfinite(result.image).all()
        assert stop == 0 or np.abs(result.image - PHOTO).mean() > 0.5


def test_a_run_that_diverges_keeps_its_best(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(evaluate: Any, x: np.ndarray, limits: Any, note: Any, *rest: Any) -> None:
        for losses in ([3.0, 2.0, 0.0], [1.0, 1.0, 0.0], [np.nan, 1.0, 0.0]):
            note(losses, x)

    monkeypatch.setattr(optimizers, "lbfgs", explode)
    result = style.transfer(net, PHOTO, ART, **SMALL)
    assert result.ended == "diverged" and result.loss == 2.0 and np.isfinite(result.image).all()


def test_progress_says_how_long_it_takes(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0, 1000, 3.0))
    time = SimpleNamespace(perf_counter=lambda: float(next(clock)))
    for module in (recorder, painting):
        monkeypatch.setattr(module, "time", time)
    lines: list[str] = []
    style.transfer(net, PHOTO, ART, **SMALL, say=lines.append)
    assert lines and all("s left" in line and "48 px" in line for line in lines)
    left = [float(line.split("about ")[1].split(" s")[0]) for line in lines]
    assert left == sorted(left, reverse=True)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_bfloat16_inside_finds_nearly_the_same_picture(net: Any, precision: str) -> None:
    exact = style.transfer(net, PHOTO, ART, **SMALL)
    result = style.transfer(net, PHOTO, ART, **{**SMALL, "precision": precision})
    seen = style.loss(net, result.image, PHOTO, ART, **SMALL)["total"]
    assert seen < exact.history["total"][0] * 0.7
    assert result.image.dtype == np.float32


# --- colours ----------------------------------------------------------------------------------------------


def test_matched_colours_have_the_other_picture_s_mean_and_covariance() -> None:
    soft = 110 + 0.2 * (ART - ART.mean((0, 1)))
    matched = style.match_colours(PHOTO, soft).reshape(-1, 3)
    np.testing.assert_allclose(matched.mean(0), soft.reshape(-1, 3).mean(0), atol=0.2)
    np.testing.assert_allclose(np.cov(matched.T), np.cov(soft.reshape(-1, 3).T), rtol=0.05, atol=2)


def test_matched_colours_of_a_grey_picture_are_finite() -> None:
    grey = np.repeat(ART.mean(-1, keepdims=True), 3, -1)
    for pair in ((PHOTO, grey), (grey, PHOTO), (np.full_like(ART, 9), PHOTO)):
        assert np.isfinite(style.match_colours(*pair)).all()


def test_kept_colours() -> None:
    lighter = np.clip(PHOTO * 0.5 + 60, 0, 255)
    kept = style.keep_colours(lighter, PHOTO)
    inside = ((kept > 0) & (kept < 255)).all(-1)
    np.testing.assert_allclose(style.lightness(kept)[inside], style.lightness(lighter)[inside], atol=0.05)
    difference = (kept - PHOTO)[inside]
    np.testing.assert_allclose(difference - difference[:, :1], 0, atol=0.05)


def test_luminance_keeps_the_photograph_s_colours(net: Any) -> None:
    def chroma(image: np.ndarray) -> np.ndarray:
        return (image - style.lightness(image)).reshape(-1, 3).mean(0)

    free, kept = (
        style.transfer(net, PHOTO, ART, **{**SMALL, "beta": 1e4, "colours": colours}).image
        for colours in ("artwork", "luminance")
    )
    assert np.abs(chroma(kept) - chroma(PHOTO)).max() < np.abs(chroma(free) - chroma(PHOTO)).max()
    matched = style.transfer(net, PHOTO, ART, **{**SMALL, "colours": "matched"})
    assert np.isfinite(matched.image).all()


# --- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 8}, "size=8"),
        ({"steps": 0}, "steps=0"),
        ({"beta": -1.0}, "beta=-1.0"),
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"start": "photograph"}, "choose one of photo, artwork, noise"),
        ({"normalization": "gatys"}, "choose one of paper"),
        ({"normalization": "mean"}, "needs a beta"),
        ({"optimizer": "sgd"}, "choose one of lbfgs, adam"),
        ({"colours": "mine"}, "choose one of artwork"),
        ({"style_scale": 0.0}, "greater than 0"),
        ({"style_layers": ("block9_conv1",)}, "block9_conv1"),
        ({"content_layers": ()}, "layer"),
        ({"masks": [np.ones((4, 4)), np.ones((4, 4))]}, "2 for 1 artworks"),
        ({"masks": [np.ones((4, 4, 1))]}, "mask 0 has shape"),
        ({"masks": [np.zeros((4, 4))]}, "not all be 0"),
        ({"masks": [np.full((4, 4), 255)]}, "between 0 and 1"),
    ],
)
def test_settings_that_make_no_sense(net: Any, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        style.transfer(net, PHOTO, ART, **{**SMALL, **changes})


@pytest.mark.parametrize(
    ("content", "art", "words"),
    [
        (None, None, "give a photograph, an artwork, or both"),
        (PHOTO[..., 0], ART, "the photograph has shape"),
        (PHOTO, ART[None], "the artwork has shape"),
        (PHOTO * np.nan, ART, "the photograph holds values that are not finite"),
        (PHOTO[:1], ART, "needs 2: choose size=96"),
        (PHOTO, np.repeat(ART[:1], 60, 1), "choose size="),
    ],
)
def test_pictures_that_can_not_be_used(net: Any, content: Any, art: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        style.transfer(net, content, art, **SMALL)


def test_unlike_proportions_and_sizes(net: Any) -> None:
    wide = images.resize(images.sample("china"), (20, 100))
    tall = images.resize(images.sample("rocket"), (90, 12))
    result = style.transfer(net, wide, tall, **{**SMALL, "steps": 3, "start": "artwork"})
    assert result.image.shape == (10, 48, 3)
    one = style.transfer(net, np.full((1, 1, 3), 90.0), ART, **{**SMALL, "steps": 2})  # a single pixel
    assert one.image.shape == (48, 48, 3)
    huge = np.broadcast_to(np.float32(90), (1500, 2500, 3))
    assert style.transfer(net, huge, huge, **{**SMALL, "steps": 2}).image.shape == (29, 48, 3)


def test_what_does_not_fit_into_memory_says_what_does(net: Any) -> None:
    with pytest.raises(ValueError, match=r"GB are free: size=\d+ fits") as failure:
        style.transfer(net, PHOTO, ART, **{**SMALL, "size": 60_000})
    fits = int(str(failure.value).split("size=")[-1].split()[0])
    assert 500 < fits < 60_000 and fits % 16 == 0


@pytest.mark.parametrize("share", [0.1, 0.07])
def test_a_margin_is_cut_off_again(net: Any, share: float) -> None:
    result = style.transfer(net, PHOTO, ART, **{**SMALL, "steps": 2, "margin": share, "thumbnails": 2})
    assert result.image.shape == PHOTO.shape
    start, ratio = result.thumbnails[0][1], PHOTO.shape[0] / PHOTO.shape[1]
    assert abs(start.shape[0] / start.shape[1] - ratio) < 0.05
    untouched = images.resize(PHOTO, start.shape[:2])
    assert np.abs(start - untouched).mean() < 12  # the photograph itself, where it was, to a pixel


def test_with_a_margin_the_border_is_painted_as_the_inside_is(net: Any) -> None:
    """Zero padding darkens the rim of what is painted; a mirrored margin, cut off again, does not."""
    flat = np.full((40, 48, 3), 130.0)
    settings = {**SMALL, "steps": 60, "optimizer": "adam", "beta": 0.0, "start": "noise"}

    def rim(share: float) -> float:
        painted = style.transfer(net, flat, None, **settings, margin=share).image
        return float(abs(painted[:2].mean() - painted[8:-8, 8:-8].mean()))

    assert rim(0.15) < 0.5 * rim(0.0)


def test_recoloured_starts_from_the_photograph_in_the_artworks_colours(net: Any) -> None:
    settings = style.Settings(**SMALL, colours="recoloured")
    problem = style.pose(net, PHOTO, ART, settings)
    seen = problem.picture(problem.base(48))
    assert np.abs(seen - style.match_colours(PHOTO, ART)).mean() < 1
    assert np.abs(seen.mean((0, 1)) - ART.mean((0, 1))).max() < 6


def test_a_picture_can_be_the_start(net: Any) -> None:
    problem = style.pose(net, PHOTO, ART, style.Settings(**SMALL, start=ART))
    assert np.abs(problem.picture(problem.base(48)) - images.resize(ART, (36, 48))).mean() < 1


def test_strength_is_the_style_s_weight(net: Any) -> None:
    one, two = (style.pose(net, PHOTO, ART, style.Settings(**SMALL, strength=k)).beta() for k in (10, 30))
    assert two == pytest.approx(3 * one)


# --- presets and the recorded pictures ---------------------------------------------------------------------


def test_every_artwork_has_a_preset_and_a_photograph() -> None:
    assert set(style.PRESETS) == set(style.ARTWORKS)
    for name, own in style.PRESETS.items():
        assert own.photo in images.SAMPLES
        settings = style.preset(name, size=96)
        style.check_settings(settings)
        assert (settings.size, settings.strength, settings.style_scale) == (96, own.strength, own.style_scale)
    assert style.preset("anything else").strength == style.Preset("").strength


def test_the_blind_test_ranks_by_distance() -> None:
    from experiments import style_gallery

    one, two = [np.eye(3), np.ones((2, 2))], [np.eye(3) * 5, np.ones((2, 2))]
    assert style_gallery.distance(one, one) == 0
    assert style_gallery.distance(one, two) == pytest.approx((4 / 6) / 2)
    assert style_gallery.distance(two, one) == style_gallery.distance(one, two)


def test_the_gallery_is_kept_picture_by_picture_and_recorded(
    net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from course_utils import runs
    from experiments import style_gallery

    calls: list[int] = []

    def paint() -> style.Result:
        calls.append(1)
        return style.transfer(net, PHOTO, ART, **{**SMALL, "steps": 2})

    monkeypatch.setitem(style_gallery.KINDS, "depths", (lambda size, steps: {"block 1": paint}, 48, 2))
    monkeypatch.setattr(runs, "_root", lambda root: tmp_path / "runs")
    for _ in range(2):
        run = style_gallery.run("depths", tmp_path / "work", say=lambda line: None)
    assert len(calls) == 1 and run.data["titles"] == {"block_1": "block 1"}
    assert images.read(run.figures["block_1"]).shape[1] == 48


# --- the pictures and the command -------------------------------------------------------------------------


@pytest.mark.parametrize("name", style.ARTWORKS)
def test_style_pictures_ship_and_are_small(name: str) -> None:
    path = runtime.shipped(f"styles/{name}.jpg")
    assert path.stat().st_size <= 240_000
    art = style.artwork(name)
    assert art.std() > 30
    if name in style.PICTURES:
        assert art.shape == (512, 640, 3)
    else:
        assert max(art.shape) == 768


def test_an_unknown_style_picture_is_named() -> None:
    with pytest.raises(ValueError, match="there are night_wind"):
        style.artwork("mona_lisa")


def test_the_script_that_drew_them_draws_them_again(tmp_path: Path) -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "make_styles", Path(__file__).parents[2] / "tools" / "make_styles.py"
    )
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert tuple(script.PICTURES) == style.PICTURES
    script.draw("stained_glass", tmp_path)
    drawn = np.asarray(Image.open(tmp_path / "stained_glass.jpg"), np.float32)
    assert np.abs(drawn - style.artwork("stained_glass")).mean() < 2


def course(*arguments: str) -> Any:
    return CliRunner().invoke(cli.build(), ["stylize", *arguments])


LAYERS = ("--content-layers", "block1_conv2", "--style-layers", "block1_conv1, block1_conv2")


def test_course_stylize(tmp_path: Path) -> None:
    out = tmp_path / "result.png"
    done = course(
        "chelsea", "ink", "--out", str(out), "--size", "40", "--steps", "4", *LAYERS, "--weights", "course"
    )
    assert done.exit_code == 0, done.output
    assert images.read(out).shape == (27, 40, 3)
    assert "40 x 27, 4 steps" in done.output


def test_course_stylize_keeps_what_was_painted_before_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: Any, **kwargs: Any) -> style.Result:
        return style.Result(PHOTO, 1.0, {"step": np.arange(3)}, (), 1.0, "interrupted")

    monkeypatch.setattr(style, "transfer", stopped)
    done = course("chelsea", "ink", "--out", str(tmp_path / "a.jpg"), *LAYERS)
    assert done.exit_code == 130 and "best picture so far" in done.output
    assert images.read(tmp_path / "a.jpg").shape == PHOTO.shape


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("chelsea", "ink", "--out", "{tmp}/a.txt"), "so that the format is clear"),
        (("chelsea", "ink", "--out", "{tmp}"), "so that the format is clear"),
        (("chelsea", "nothing.jpg", "--out", "{tmp}/a.png"), "no file nothing.jpg"),
        (("chelsea", "woodcut", "--out", "{tmp}/a.png"), "artworks night_wind, woodcut_wave"),
        (("chelsea", "ink", "--out", "{tmp}/a.png", "--size", "3"), "size=3"),
        (("chelsea", "ink", "--out", "{tmp}/a.png", "--init", "grey"), "start='grey'"),
        (("chelsea", "ink", "--out", "{tmp}/a.png", "--style-layers", "block9"), "no layer 'block9'"),
        (("chelsea", "ink", "--out", "{tmp}/a.png", "--pooling", "min"), "average and max exist"),
    ],
)
def test_course_stylize_refuses_before_it_works(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "transfer", lambda *args, **kwargs: pytest.fail("it set to work"))
    done = course(*(each.replace("{tmp}", str(tmp_path)) for each in arguments))
    assert done.exit_code != 0 and words in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_names_with_commas() -> None:
    assert stylize.names(" a, b ,,c") == ("a", "b", "c") and stylize.names("") == ()


def test_the_original_paints() -> None:
    runtime.start(seed=0)
    vgg = pretrained.load_vgg16(until="block3_conv1", pooling="average")
    result = style.transfer(
        vgg, images.sample("chelsea"), style.artwork("great_wave"), size=64, steps=8,
        content_layers=("block3_conv1",), style_layers=("block1_conv1", "block2_conv1", "block3_conv1"),
    )  # fmt: skip
    assert result.loss < 0.7 * result.history["total"][0]
