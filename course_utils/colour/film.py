"""Black-and-white film in, colour film out: in batches, steady, going on where it stopped. Notebook 09.

First the network colours every frame, in batches; its answers, small maps of a and b, are kept in files.
Then the film is read again, the colours are carried along the motion, laid over the frames and written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from course_utils import files, hypercolumns
from course_utils.networks import pretrained
from course_utils.pictures import images, video

from . import head as heads
from . import lab
from .colourizing import VIVID, Way, chosen, paint
from .hints import Hint, Hints
from .steady import Steady

if TYPE_CHECKING:
    import keras

BATCH = 4
GRID = 2


@dataclass(frozen=True)
class FilmSettings:
    """How a film is coloured; see `colourize`.

    Attributes:
        way, temperature, hints, side: as for a photograph; hints are places in the first frame, and speak
            for what looks like them in all frames.
        keep: of `Steady`; 0 colours frame by frame.
    """

    way: Way = "careful"
    temperature: float = VIVID
    hints: Sequence[Hint] = ()
    side: int = 192
    keep: float = 0.92


def colourize_film(
    head: keras.Model,
    trunk: keras.Model,
    source: str | Path,
    target: str | Path,
    settings: FilmSettings | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Colour a film. Stopped at any time, the same call goes on where it was.

    Args:
        head, trunk: of `load` and `load_trunk`.
        source: any video that OpenCV reads.
        target: .mp4, .avi, .webm, .mkv or .mov; written whole or not at all.
        say: receives lines of progress.

    Returns:
        The number of frames written.

    Raises:
        FileNotFoundError, ValueError: see `video.look` and `video.Writer`.
    """
    settings = settings or FilmSettings()
    film, target = video.look(source), Path(target).expanduser()
    video.check(target, (film.height, film.width), film.rate)
    folder = target.with_name(f".{target.name}.{_tag(film, head, settings)}")
    _colour_all(head, trunk, film, settings, folder, say)
    written = _write(film, target, _kept(folder), settings.keep)
    shutil.rmtree(folder, ignore_errors=True)
    say(f"{target}  {written} frames of {film.width} x {film.height} at {film.rate:g} a second")
    say(video.copy_sound(film.path, target))
    return written


def steadied(
    frames: Iterable[np.ndarray], colours: Iterable[np.ndarray], keep: float
) -> Iterator[np.ndarray]:
    """Colours of successive frames, carried along the motion.

    Args:
        frames: (H, W, 3) RGB 0..255 each.
        colours: (h, w, 2) each, what the network says about it.
        keep: of `Steady`.

    Yields:
        (h', w', 2) float32, a little larger than `colours`.
    """
    steady = Steady(keep)
    for frame, ab in zip(frames, colours, strict=True):
        size = (ab.shape[0] * GRID, ab.shape[1] * GRID)
        yield steady(images.to_uint8(images.resize(lab.lightness(frame) * 2.55, size)), ab)


def _tag(film: video.Film, head: keras.Model, settings: FilmSettings) -> str:
    """A fingerprint of everything that the colours depend on."""
    facts = film.path.stat()
    weights = pretrained.about(head).card.get("sha256", pretrained.about(head).weights)
    what = [str(film.path.resolve()), facts.st_size, facts.st_mtime_ns, weights]
    what += [settings.way, settings.temperature, [list(hint) for hint in settings.hints], settings.side]
    return hashlib.sha256(json.dumps(what, default=str).encode()).hexdigest()[:12]


def _colour_all(
    head: keras.Model,
    trunk: keras.Model,
    film: video.Film,
    settings: FilmSettings,
    folder: Path,
    say: Callable[[str], None],
) -> None:
    """Keep what the network says about each frame in files of the folder; what is there is not done again."""
    size = heads.working_size((film.height, film.width), settings.side)
    began = told = time.monotonic()
    done = fresh = 0
    hints: Hints | None = None
    for number, frames in enumerate(_batches(film.path)):
        path = folder / f"{number:06d}.npz"
        wanted = not path.is_file()
        if wanted or (settings.hints and not number):
            small = np.stack([images.resize(frame, size) for frame in frames])
            several = _columns(trunk, small)
            hints = Hints.on(several[0], settings.hints) if settings.hints and not number else hints
        if wanted:
            ab = np.stack([_colours(head, factored, settings, hints) for factored in several])
            with files.replacing(path) as file:
                np.savez(file, ab=ab.astype(np.float16))
            fresh += len(frames)
        done += len(frames)
        if time.monotonic() - told > 5:
            told = time.monotonic()
            say(_progress(done, fresh, film.frames, told - began))


def _batches(path: Path) -> Iterator[list[np.ndarray]]:
    """The frames of a film, `BATCH` at a time."""
    batch: list[np.ndarray] = []
    for _, frame in video.frames(path):
        batch.append(frame)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _columns(trunk: keras.Model, frames: np.ndarray) -> list[hypercolumns.Factored]:
    size = (frames.shape[1] // GRID, frames.shape[2] // GRID)
    return [heads.on_grid(maps, size) for maps in heads.maps_of(trunk, frames)]


def _colours(
    head: keras.Model, factored: hypercolumns.Factored, settings: FilmSettings, hints: Hints | None
) -> np.ndarray:
    """(h, w, 2) for one frame."""
    said = heads.answer(head, factored)
    ab = chosen(said, heads.bins_of(head), settings.way, settings.temperature)
    return hints(ab, factored) if hints else ab


def _kept(folder: Path) -> Iterator[np.ndarray]:
    """The colours in the files of a folder, frame by frame."""
    for path in sorted(folder.glob("*.npz")):
        with files.reading_npz(path) as kept:
            ab = kept["ab"]
        yield from ab.astype(np.float32)


def _progress(done: int, fresh: int, count: int | None, seconds: float) -> str:
    if not fresh or count is None or count < done:
        return f"{done} frames"
    left = (count - done) * seconds / fresh
    return f"{done} of {count} frames, {fresh / seconds:.1f} a second, about {left / 60:.0f} min left"


def _write(film: video.Film, target: Path, colours: Iterable[np.ndarray], keep: float) -> int:
    """Carry the colours along the motion, and write the film."""
    pictures = (frame for _, frame in video.frames(film.path))
    steady = steadied(pictures, colours, keep)
    with video.Writer(target, (film.height, film.width), film.rate) as out:
        for (seconds, frame), ab in zip(video.frames(film.path), steady, strict=True):
            out.write(paint(frame.astype(np.float32), ab), seconds)
        return out.written
