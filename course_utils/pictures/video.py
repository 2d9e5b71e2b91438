"""Films: frames in, frames out, by OpenCV; the sound by ffmpeg where it is installed. Notebook 09."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from course_utils import files, runtime

CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80", ".mkv": "FFV1", ".mov": "mp4v"}
"""What is written for each suffix: codecs that every build of OpenCV's packages carries."""


@dataclass(frozen=True)
class Film:
    """What is known about a film before its frames are read.

    Attributes:
        path: its file.
        height, width: of a frame, in pixels.
        rate: frames a second; 25 where the file does not say.
        frames: how many there are, as the file says; None if it does not.
    """

    path: Path
    height: int
    width: int
    rate: float
    frames: int | None


def look(path: str | Path) -> Film:
    """Open a film and read its first frame.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty or damaged, has no picture (only sound), or needs a codec that is not there.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"no film {path} (looked from {Path.cwd()}): check the spelling and the folder"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty (0 bytes): the copy or download failed; fetch it again")
    with runtime.quiet_stderr():
        film = cv2.VideoCapture(str(path))
        try:
            good, frame = film.read() if film.isOpened() else (False, None)
            rate, count = film.get(cv2.CAP_PROP_FPS), film.get(cv2.CAP_PROP_FRAME_COUNT)
        finally:
            film.release()
    if not good or frame is None:
        raise ValueError(
            f"{path} holds no frame that can be read here: it may be sound only, damaged, or coded in a way "
            "that OpenCV does not know; if a player shows it, let the player or ffmpeg save it as mp4"
        )
    rate = rate if np.isfinite(rate) and 0.1 <= rate <= 1000 else 25.0
    known = int(count) if np.isfinite(count) and 1 <= count < 1e8 else None
    return Film(path, frame.shape[0], frame.shape[1], float(rate), known)


def frames(path: str | Path) -> Iterator[tuple[float, np.ndarray]]:
    """The frames of a film, one after the other.

    Args:
        path: of a film that `look` can open.

    Yields:
        (seconds from the start, (H, W, 3) uint8 RGB). A file that breaks off ends there.
    """
    film = look(path)
    with runtime.quiet_stderr():
        source = cv2.VideoCapture(str(film.path))
    number, before = 0, -1.0
    try:
        while True:
            good, frame = source.read()
            if not good or frame is None:
                return
            seconds = source.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not np.isfinite(seconds) or seconds <= before:  # some containers keep no times
                seconds = number / film.rate if before < 0 else before + 1 / film.rate
            yield seconds, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            number, before = number + 1, seconds
    finally:
        source.release()


class Writer:
    """Write a film; the file is whole or not there.

    Use it in a `with` block: at its end the file gets its name; after an error it is removed.

    Args:
        path: ends in .mp4, .avi, .webm, .mkv or .mov.
        size: (height, width) of the frames.
        rate: frames a second.

    Raises:
        ValueError: another suffix, or this OpenCV has no codec for it.
        OSError: the folder can't be made; at the end, the disk is full.
    """

    def __init__(self, path: str | Path, size: tuple[int, int], rate: float) -> None:
        self.path, self.size, self.rate = Path(path).expanduser(), size, rate
        suffix = self.path.suffix.lower()
        if suffix not in CODECS:
            raise ValueError(f"{self.path}: films are written as {', '.join(CODECS)}")
        self.part = self.path.with_name(f".{self.path.stem}.{os.getpid()}.part{suffix}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.part.touch()  # OpenCV would say nothing
        except OSError as error:
            raise files.could_not_write(self.path, error) from error
        self.written = 0
        try:
            self._open(suffix)
        except BaseException:  # also Ctrl-C, before there is a `with` that would clean up
            self.part.unlink(missing_ok=True)
            raise

    def _open(self, suffix: str) -> None:
        code = cv2.VideoWriter.fourcc(*CODECS[suffix])
        with runtime.quiet_stderr():
            self.out = cv2.VideoWriter(str(self.part), code, self.rate, self.size[::-1])
        if not self.out.isOpened():
            self._takes_more()
            others = ", ".join(each for each in CODECS if each != suffix)
            raise ValueError(
                f"this OpenCV can't write {suffix} ({CODECS[suffix]}) of {self.size[1]} x {self.size[0]} "
                f"pixels: try {others}"
            )

    def __enter__(self) -> Writer:
        return self

    def write(self, frame: np.ndarray, seconds: float | None = None) -> None:
        """Add a frame.

        Args:
            frame: (H, W, 3) RGB 0..255, of the film's size.
            seconds: when it is due: a film of uneven rate is written at an even one, frames that last
                longer more than once, so that picture and sound stay together. None: right after the last.
        """
        if frame.shape != (*self.size, 3):
            raise ValueError(f"a frame of {frame.shape} in a film of {self.size}")
        due = self.written if seconds is None else round(seconds * self.rate)
        ready = cv2.cvtColor(np.clip(np.rint(frame), 0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
        for _ in range(max(1, due + 1 - self.written)):
            self.out.write(ready)
            self.written += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.out.release()
        try:
            if kind is None and self.written:
                self._is_whole()
                self.part.replace(self.path)
        finally:
            self.part.unlink(missing_ok=True)

    def _takes_more(self) -> None:
        """Raise where the disk does not take one byte more."""
        try:
            with self.part.open("ab") as file:
                whole = file.tell()
                file.write(b"?")
                file.flush()
                os.fsync(file.fileno())
                file.truncate(whole)
        except OSError as error:
            raise files.could_not_write(self.path, error) from error

    def _is_whole(self) -> None:
        """Raise where something is missing: OpenCV goes on without a word when the disk is full."""
        self._takes_more()
        with runtime.quiet_stderr():
            film = cv2.VideoCapture(str(self.part))
            known, found = film.get(cv2.CAP_PROP_FRAME_COUNT), 0
            while film.grab():
                found += 1
            film.release()
        if found != self.written or known <= 0:
            error = OSError(errno.ENOSPC, f"{found} of {self.written} frames were taken, the disk seems full")
            raise files.could_not_write(self.path, error)


def check(path: str | Path, size: tuple[int, int], rate: float) -> None:
    """Raise what `Writer` would, before the long work; nothing is left behind."""
    with Writer(path, size, rate):
        pass


def copy_sound(source: Path, target: Path) -> str:
    """Put the sound of one film into another, if ffmpeg is installed.

    Returns:
        A sentence about what happened. The target is as it was unless all went well.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        return "The film is silent: to copy the sound, install ffmpeg."
    part = target.with_name(f".{target.stem}.{os.getpid()}.sound{target.suffix}")
    command = [program, "-v", "error", "-y", "-i", str(target), "-i", str(source)]
    command += ["-map", "0:v", "-map", "1:a?", "-c:v", "copy", str(part)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode == 0 and part.is_file():
        part.replace(target)
        return "Its sound, if it has one, was copied by ffmpeg."
    part.unlink(missing_ok=True)
    return f"The film is silent: ffmpeg could not copy the sound ({done.stderr.strip()[-200:]})."
