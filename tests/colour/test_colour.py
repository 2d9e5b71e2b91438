"""Colour from grey: Lab, bins, the head without hypercolumns, hints, films, training, commands."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from course_utils import cli, colour
from course_utils.networks import gradients, heads, pretrained, weight_files
from course_utils.pictures import images, video
from course_utils.training import colour_samples, colours


@pytest.fixture(scope="module")
def trunk() -> Any:
    """VGG-16 with random weights."""
    import keras

    keras.utils.set_random_seed(0)
    return pretrained.load_vgg16(None, until=colour.LAYERS[-1])


@pytest.fixture(scope="module")
def some_bins() -> colour.Bins:
    return colour.Bins.of(np.random.default_rng(0).normal(5, 20, (5000, 2)), rarest=1e-3)


@pytest.fixture(scope="module")
def head_file(tmp_path_factory: pytest.TempPathFactory, some_bins: colour.Bins) -> Path:
    """A head with random weights, as a run leaves it."""
    import keras

    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("head") / "weights.npz"
    weight_files.save(path, weight_files.of(colour.build(len(some_bins), 12, 8)), "float32")
    path.with_name("card.json").write_text(
        json.dumps({"title": "a trial", "trunk": heads.trunk_hash(), "bins": some_bins.for_card()})
    )
    return path


@pytest.fixture(scope="module")
def head(head_file: Path) -> Any:
    return colour.load(head_file)


@pytest.fixture
def photo() -> np.ndarray:
    return images.resize(images.sample("chelsea"), (48, 64))


# --- Lab and bins -----------------------------------------------------------------------------------------


def test_lab_is_that_of_scikit_image_and_comes_back(photo: np.ndarray) -> None:
    lab = colour.to_lab(photo)
    assert np.abs(lab - rgb2lab(photo / 255)).max() < 0.02
    assert np.abs(colour.to_rgb(lab) - photo).max() < 0.02
    assert np.abs(colour.lightness(colour.grey(photo)) - lab[..., 0]).max() < 0.05
    assert np.ptp(colour.grey(photo), axis=-1).max() < 0.2


def test_soft_labels_add_up_to_the_colour(some_bins: colour.Bins) -> None:
    ab = np.random.default_rng(1).normal(5, 8, (200, 2))
    numbers, shares = some_bins.share(ab)
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.allclose((some_bins.centres[numbers] * shares[..., None]).sum(axis=1), ab, atol=1e-3)
    far, _ = some_bins.share(np.array([[109.0, -109.0]]))
    nearest = np.square(some_bins.centres - [110, -110]).sum(axis=1).argmin()
    assert nearest in far


def test_weights_are_1_on_average_and_balance_says_how_far(some_bins: colour.Bins) -> None:
    for balance in (0.0, 0.5, 1.0):
        assert some_bins.weights(balance) @ some_bins.prior == pytest.approx(1, abs=1e-5)
    assert np.allclose(some_bins.weights(0.0), 1)
    each = some_bins.weights(1.0) * some_bins.prior
    assert np.allclose(each, each[0], rtol=1e-4)


def test_annealed_mean_lies_between_mean_and_favourite(some_bins: colour.Bins) -> None:
    scores = np.random.default_rng(2).normal(0, 3, (4, 5, len(some_bins)))
    assert np.allclose(
        some_bins.annealed_mean(scores, 1.0), softmax(scores, axis=-1) @ some_bins.centres, atol=1e-3
    )
    assert np.allclose(
        some_bins.annealed_mean(scores, 1e-3), some_bins.centres[scores.argmax(axis=-1)], atol=1e-2
    )
    with pytest.raises(ValueError, match="above 0"):
        some_bins.annealed_mean(scores, 0)


def test_measures_agree_with_others(photo: np.ndarray, some_bins: colour.Bins) -> None:
    other = np.clip(photo + np.random.default_rng(0).normal(0, 9, photo.shape), 0, 255)
    assert colour.psnr(other, photo) == pytest.approx(
        peak_signal_noise_ratio(photo, other, data_range=255), abs=1e-4
    )
    distances = np.random.default_rng(3).exponential(20, 500)
    brute = [(distances <= t).mean() for t in range(151)]
    assert np.allclose(colour.within(distances), brute)
    ab = colour.to_lab(photo)[..., 1:].reshape(-1, 2)
    assert colour.area(ab, ab) == colour.area(ab, ab, some_bins) == 1
    assert colour.area(0 * ab, ab, some_bins) < colour.area(0 * ab, ab) < 1


# --- the head ---------------------------------------------------------------------------------------------


def test_answer_is_that_of_the_network_on_dense_hypercolumns(
    head: Any, trunk: Any, photo: np.ndarray
) -> None:
    factored = colour.columns(trunk, photo, side=64)
    said = colour.answer(head, factored)
    whole = gradients.forward(head, factored.dense().reshape(-1, factored.shape[-1]))
    assert said.ab.shape == (*factored.size, 2)
    assert np.allclose(said.ab.reshape(-1, 2), whole[:, :2] * 30, atol=1e-3 * np.abs(said.ab).max())
    scores = np.concatenate([said.scores, said.vivid], axis=-1).reshape(len(whole), -1)
    assert np.allclose(scores, whole[:, 2:], atol=1e-3 * np.abs(whole).max())


def test_the_trunk_sees_lightness_alone(trunk: Any, photo: np.ndarray) -> None:
    grey, coloured = (colour.maps_of(trunk, each[None])[0] for each in (colour.grey(photo), photo))
    for name, values in grey.items():
        assert np.allclose(values, coloured[name], atol=1e-2 * values.max()), name
    last = grey[colour.LAYERS[-1]]
    assert np.allclose(grey[colour.WHOLE], last.mean(axis=(0, 1)), atol=1e-5 * last.max())


@pytest.mark.parametrize("shape", [(40, 90, 3), (33, 21, 3), (17, 300, 3)])
def test_colourize_keeps_size_and_lightness(head: Any, trunk: Any, shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).uniform(60, 200, shape).astype(np.float32)
    ways: tuple[colour.Way, ...] = ("careful", "vivid", "regression")
    for way in ways:
        out = colour.colourize(head, trunk, picture, way=way, side=64)
        assert out.shape == shape
        inside = ((out > 0.5) & (out < 254.5)).all(axis=-1)
        assert np.abs(colour.lightness(out) - colour.lightness(picture))[inside].max() < 0.5
    assert colour.colourize(head, trunk, picture[..., 0], side=64).shape == shape


def test_a_file_without_a_head_is_refused(tmp_path: Path) -> None:
    path = weight_files.save(tmp_path / "w.npz", {"other_kernel": np.ones((2, 2)), "other_bias": np.ones(2)})
    path.with_name("card.json").write_text(json.dumps({"trunk": heads.trunk_hash()}))
    with pytest.raises(ValueError, match="no head that colours"):
        colour.load(path)


def test_hints_speak_by_cosine_and_own_their_pixel(trunk: Any, photo: np.ndarray) -> None:
    factored = colour.columns(trunk, photo, side=64)
    places = [(0.3, 0.4), (0.9, 0.1)]
    wanted = [(200.0, 40.0, 40.0), (40.0, 80.0, 200.0)]
    hints = colour.Hints.on(factored, [(*place, rgb) for place, rgb in zip(places, wanted, strict=True)])
    voices = hints.voices(factored)
    flat = StandardScaler().fit_transform(factored.dense().reshape(-1, factored.shape[-1]).astype(np.float64))
    height, width = factored.size
    own = [int(r * height) * width + int(c * width) for r, c in places]
    cosine = cosine_similarity(flat, flat[own])
    assert np.allclose(np.log(voices).reshape(-1, 2), 10 * (cosine - 0.25), atol=0.1)
    ab = hints(np.zeros((*factored.size, 2), np.float32), factored)
    for place, rgb in zip(own, wanted, strict=True):
        target = colour.to_lab(np.array([rgb], np.float32))[0, 1:]
        assert np.linalg.norm(ab.reshape(-1, 2)[place] - target) < 0.2 * np.linalg.norm(target)
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        colour.Hints.on(factored, [(1.2, 0.5, (0, 0, 0))])


# --- films ------------------------------------------------------------------------------------------------


def moving(count: int = 6, size: tuple[int, int] = (64, 96), step: int = 2) -> list[np.ndarray]:
    """A photograph that moves to the left, a few pixels a frame."""
    wide = images.to_uint8(images.resize(images.sample("china"), (size[0], size[1] + step * count)))
    return [wide[:, step * i : step * i + size[1]] for i in range(count)]


def test_flow_finds_a_shift_and_a_cut_has_no_confidence() -> None:
    first, second = (images.to_uint8(colour.lightness(each) * 2.55) for each in moving(2, step=3))
    motion = colour.flow(second, first)
    middle = np.s_[8:-8, 8:-8]
    assert np.median(motion[middle][..., 0]) == pytest.approx(3, abs=0.4)
    assert np.abs(colour.carried(first, motion) - second)[middle].mean() < 4
    assert colour.confidence(second, first, motion)[middle].mean() > 0.7
    other = images.to_uint8(colour.lightness(images.resize(images.sample("chelsea"), second.shape)) * 2.55)
    assert colour.confidence(other, first, colour.flow(other, first)).mean() < 0.35


def test_steady_colours_flicker_less_than_half_as_much() -> None:
    step, frames = 2, moving(10)
    rng = np.random.default_rng(0)
    truth = [colour.to_lab(frame)[..., 1:] for frame in frames]
    said = [each + rng.normal(0, 8, (1, 1, 2)) for each in truth]
    motion = np.zeros((len(frames) - 1, *frames[0].shape[:2], 2), np.float32)
    motion[..., 0] = step
    sure = np.zeros(motion.shape[:3], bool)
    sure[:, 8:-8, 8:-8] = True
    ways = {}
    for keep in (0.0, 0.92):
        steady = colour.Steady(keep)
        greys = [images.to_uint8(colour.lightness(frame) * 2.55) for frame in frames]
        ways[keep] = np.stack([steady(grey, ab) for grey, ab in zip(greys, said, strict=True)])
    flicker = {keep: colour.flicker(each, motion, sure) for keep, each in ways.items()}
    assert flicker[0.92] < 0.5 * flicker[0.0]


def write_film(path: Path, frames: list[np.ndarray], rate: float = 10) -> Path:
    with video.Writer(path, frames[0].shape[:2], rate) as out:
        for frame in frames:
            out.write(frame)
    return path


@pytest.mark.parametrize("suffix", video.CODECS)
def test_a_film_comes_back(tmp_path: Path, suffix: str) -> None:
    frames = moving(5)
    path = write_film(tmp_path / f"film{suffix}", frames)
    film = video.look(path)
    assert (film.height, film.width, film.rate) == (64, 96, 10)
    back = list(video.frames(path))
    assert len(back) == 5
    assert np.allclose([seconds for seconds, _ in back], np.arange(5) / 10, atol=0.02)
    assert max(np.abs(a.astype(float) - b).mean() for a, (_, b) in zip(frames, back, strict=True)) < 12
    assert not list(tmp_path.glob(".*"))


def test_uneven_times_keep_their_length(tmp_path: Path) -> None:
    frames = moving(3)
    with video.Writer(tmp_path / "film.avi", (64, 96), 10) as out:
        for frame, seconds in zip(frames, (0.0, 0.5, 0.6), strict=True):
            out.write(frame, seconds)
    assert len(list(video.frames(tmp_path / "film.avi"))) == 7


def test_what_is_no_film_is_told_in_a_sentence(tmp_path: Path) -> None:
    for name, content in {"empty.mp4": b"", "broken.mp4": b"no film" * 99}.items():
        (tmp_path / name).write_bytes(content)
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    for name, words in {"empty.mp4": "is empty", "broken.mp4": "no frame", "sound.wav": "sound only"}.items():
        with pytest.raises(ValueError, match=words):
            video.look(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no film"):
        video.look(tmp_path / "none.mp4")
    with pytest.raises(ValueError, match=r"\.mp4, \.avi"):
        video.Writer(tmp_path / "film.gif", (64, 96), 10)


def test_a_failed_film_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), video.Writer(tmp_path / "film.mp4", (64, 96), 10) as out:
        out.write(moving(1)[0])
        raise RuntimeError("on purpose")
    assert not list(tmp_path.iterdir())


def test_a_stopped_film_goes_on(
    tmp_path: Path, head: Any, trunk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_film(tmp_path / "grey.avi", moving(6))
    settings = colour.FilmSettings(side=64, hints=[(0.5, 0.5, (220.0, 60.0, 60.0))])
    whole, parts = tmp_path / "whole.mkv", tmp_path / "parts.mkv"
    colour.colourize_film(head, trunk, source, whole, settings, say=lambda line: None)
    plain, calls = colour.film.heads.maps_of, []

    def stops(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(colour.film.heads, "maps_of", stops)
    with pytest.raises(KeyboardInterrupt):
        colour.colourize_film(head, trunk, source, parts, settings, say=lambda line: None)
    assert not parts.exists()
    assert colour.colourize_film(head, trunk, source, parts, settings, say=lambda line: None) == 6
    first, second = ([frame for _, frame in video.frames(path)] for path in (whole, parts))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grey.avi", "parts.mkv", "whole.mkv"]


# --- training and commands --------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for i, name in enumerate((*images.SAMPLES, "chelsea", "coffee", "rocket")):
        images.save(folder / f"{i:02d}.png", images.resize(images.sample(name), (40, 48)))
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, trunk: Any) -> None:
    monkeypatch.setattr(colour, "load_trunk", lambda *_: trunk)
    monkeypatch.setattr(colour_samples, "OWN", colour_samples.Group("own", ".", side=32, pixels=30))


RECIPE = colours.Recipe(epochs=2, batch=64, units=8, hidden=6)


@pytest.mark.usefixtures("small")
def test_a_stopped_training_ends_with_the_same_weights(tmp_path: Path, pictures: Path) -> None:
    lines: list[str] = []
    card = colours.Colours(RECIPE, pictures).run(tmp_path / "whole", say=lines.append)
    assert card is not None and card["megabytes"] < 0.2
    assert "300 pixels of 10 photographs; 1 are kept out" in lines
    assert colours.Colours(RECIPE, pictures).run(tmp_path / "parts", minutes=0, say=lines.append) is None
    assert colours.Colours(RECIPE, pictures).run(tmp_path / "parts", resume=True, say=lines.append)
    first, second = (weight_files.read(tmp_path / each / "weights.npz") for each in ("whole", "parts"))
    for name, values in first.items():
        assert np.array_equal(values, second[name]), name
    head = colour.load(tmp_path / "whole" / "weights.npz")
    assert len(colour.bins_of(head)) == len(card["bins"]["prior"])


@pytest.mark.usefixtures("small")
def test_folding_the_standardization_changes_no_answer(some_bins: colour.Bins) -> None:
    rng = np.random.default_rng(0)
    x = rng.exponential(30, (50, 1984)).astype(np.float32)
    shift, scale = x.mean(axis=0), x.std(axis=0)
    model = colour.build(len(some_bins), 8, 6)
    folded = colours.folded(model, shift, scale, some_bins)
    expected = gradients.forward(model, (x - shift) * (64 / scale))
    assert np.allclose(gradients.forward(folded, x), expected, atol=1e-3)


def test_kept_out_pictures_are_in_no_training(tmp_path: Path) -> None:
    sheet = np.concatenate(
        [
            np.concatenate([np.full((84, 84, 3), 10 * row + column) for column in range(10)], axis=1)
            for row in range(10)
        ]
    )
    images.save(tmp_path / "mini" / "n1.png", sheet)
    ((group, folder),) = colour_samples.groups(tmp_path)
    parts = [
        np.concatenate([x for _, x in colour_samples.shards(group, folder, kept)]) for kept in (False, True)
    ]
    seen = [set(part[:, 0, 0, 0].tolist()) for part in parts]
    assert len(seen[0]) == 30 and seen[1] == {99} and not seen[0] & seen[1]
    with pytest.raises(FileNotFoundError, match="no pictures"):
        colour_samples.groups(tmp_path / "mini" / "nothing")


def command(*words: Any) -> Any:
    return CliRunner().invoke(cli.build(), [str(word) for word in words], catch_exceptions=True)


@pytest.mark.usefixtures("small")
def test_the_command_colours_what_it_can_read(
    tmp_path: Path, pictures: Path, head_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    good = pictures / "00.png"
    done = command(
        "colourize", good, tmp_path / "broken.png", "--out", tmp_path / "out", "--weights", head_file
    )
    assert done.exit_code == 1
    assert images.read(tmp_path / "out" / "00.png").shape == (40, 48, 3)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00.png"]
    hinted = command(
        "colourize",
        good,
        "--out",
        tmp_path / "two",
        "--weights",
        head_file,
        "--vivid",
        "--hints",
        "0.5,0.5,red",
    )
    assert hinted.exit_code == 0
    film = write_film(tmp_path / "film.mp4", moving(3))
    refused = command("colourize", film, "--out", tmp_path / "three", "--weights", head_file)
    assert isinstance(refused.exception, ValueError) and "say what to write" in str(refused.exception)


@pytest.mark.parametrize("text", ["0.5,red", "a,b,c", "0.1,0.2,nocolour"])
def test_an_odd_hint_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="row, column and colour"):
        colour.hints.parse(text)
