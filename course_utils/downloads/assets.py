"""What can be downloaded: where from, what it must be, where it lies, and what to do without it.

The list is `registry.toml`. Nothing in it is needed to run the course. A file in the cache is
always whole and checked: it is fetched into `unfinished/` beside its place, compared with its hash by
pooch, and only then moved. `course fetch` is this module on the command line.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import json
import logging
import os
import shutil
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import platformdirs
import pooch

from course_utils import files, runtime
from course_utils.downloads import archives
from course_utils.downloads import fetching as downloads

CACHE_VARIABLE = "COURSE_UTILS_CACHE"
FULL = (errno.ENOSPC, errno.EDQUOT)
MAY_TRY = 2  # tries in a row that bring nothing, before a source is given up
PAUSE = 1.0  # seconds between them


@dataclass(frozen=True)
class Asset:
    """One downloadable file: its name, addresses, size in bytes, hash, terms and where Keras keeps it."""

    name: str
    about: str
    file: str
    urls: tuple[str, ...]
    licence: str
    citation: str
    hash: str | None = None  # "sha256:…" or "md5:…"
    bytes: int | None = None
    keras: str | None = None

    @property
    def size(self) -> str:
        """The size for people, such as "59 MB"."""
        if self.bytes is None:
            return "not stated"
        return f"{self.bytes / 1e6:,.0f} MB" if self.bytes >= 1e6 else f"{self.bytes / 1e3:,.0f} kB"


def read_registry(path: Path) -> dict[str, Asset]:
    """The assets that a registry file lists, by name."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        name: Asset(name=name, **table | {"urls": tuple(table["urls"])}) for name, table in tables.items()
    }


REGISTRY = MappingProxyType(read_registry(Path(__file__).with_name("registry.toml")))


def cache_dir() -> Path:
    """The folder of finished downloads: `COURSE_UTILS_CACHE`, or the platform's place for caches."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return (
        Path(chosen).expanduser()
        if chosen
        else Path(platformdirs.user_cache_dir("course_utils", appauthor=False))
    )


def lookup(name: str) -> Asset:
    """The registry's entry; ValueError with a near name when there is none."""
    if name in REGISTRY:
        return REGISTRY[name]
    close = difflib.get_close_matches(str(name), REGISTRY, n=1)
    guess = f"did you mean {close[0]!r}? There" if close else "there"
    raise ValueError(f"nothing called {name!r} can be fetched: {guess} are {', '.join(REGISTRY)}")


# --- what is there --------------------------------------------------------------------------------------


def places(asset: Asset) -> list[Path]:
    """Where a file may lie: our cache, then Keras's own."""
    mine = cache_dir() / asset.name / asset.file
    return [mine, runtime.keras_home() / asset.keras] if asset.keras else [mine]


def locate(name: str) -> Path | None:
    """A file that has the right name and size, without reading it (for tables; `find` checks the hash)."""
    asset = lookup(name)
    fitting = (
        path for path in places(asset) if path.is_file() and asset.bytes in (None, path.stat().st_size)
    )
    return next(fitting, None)


def find(name: str) -> Path | None:
    """The file if it is on this machine, whole and checked; None otherwise. Never downloads.

    A file that `fetch` got, that Keras got, or that was put into the cache folder by hand is hashed once;
    after that its size and time of change are compared with the record of that.

    Raises:
        ValueError: nothing has that name.
    """
    asset = lookup(name)
    return next((path for path in places(asset) if _is_right(asset, path)), None)


def _is_right(asset: Asset, path: Path) -> bool:
    """Whether the file has the hash of the registry, or the one that was once accepted."""
    try:
        status = path.stat()
    except OSError:
        return False
    if asset.bytes not in (None, status.st_size):
        return False
    record = _read_record(asset)
    wanted = asset.hash or record.get("accepted")
    if wanted is None:
        return False
    seen = {"path": str(path), "bytes": status.st_size, "changed": status.st_mtime_ns, "hash": wanted}
    if all(record.get(key) == value for key, value in seen.items()):
        return True
    if not _matches(path, wanted):
        return False
    with contextlib.suppress(OSError):  # a cache that others fill may be read-only: hash again next time
        _write_record(asset, record | seen)
    return True


def _matches(path: Path, wanted: str) -> bool:
    algorithm, _, digest = wanted.partition(":")
    return pooch.file_hash(str(path), alg=algorithm) == digest


def _record_path(asset: Asset) -> Path:
    return cache_dir() / asset.name / "record.json"


def _read_record(asset: Asset) -> dict[str, Any]:
    try:
        record = json.loads(_record_path(asset).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write_record(asset: Asset, record: dict[str, Any]) -> None:
    with files.replacing(_record_path(asset), text=True) as file:
        json.dump(record, file, indent=1)


# --- fetching -------------------------------------------------------------------------------------------


def fetch(
    name: str, *, accept_unverified: bool = False, timeout: float = 20.0, progress: bool = True
) -> Path:
    """The file, downloaded if it is not here yet.

    Args:
        name: one of `REGISTRY`.
        accept_unverified: take a file whose hash nobody published; what came is printed and recorded, and
            is the only thing accepted from then on.
        timeout: seconds of silence after which a source is given up.
        progress: show a bar with the time left.

    Returns:
        Its path, in our cache or in Keras's.

    Raises:
        ValueError: no such name, or a file without a hash that was not accepted.
        OSError: no source delivered it, or the cache can't be written; nothing unfinished looks finished.
    """
    asset = lookup(name)
    if (found := find(name)) is not None:
        return found
    if asset.hash is None and not accept_unverified:
        raise ValueError(
            f"nobody published a hash of {name} ({asset.file}), so what comes can't be checked. If you trust "
            f"{asset.urls[0]}, run: course fetch {name} --accept-unverified"
        )
    with _working_folder(asset) as staging:
        if (found := find(name)) is not None:  # somebody else fetched it while we waited
            return found
        _check_space(asset, staging)
        finished, source = _from_any_source(asset, staging, timeout, progress)
        return _finish(asset, finished, source)


def add(name: str, path: str | Path) -> Path:
    """Take a file from a disk or a stick into the cache, checked as a download is.

    Args:
        name: one of `REGISTRY`; one without a hash is accepted as it is, and recorded.
        path: the file; it is copied.

    Raises:
        FileNotFoundError: there is no such file. ValueError: it is another file. OSError: it can't be copied.
    """
    asset, path = lookup(name), Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: give the {asset.file} that you have")
    with path.open("rb") as source, _working_folder(asset) as staging:
        _check_space(asset, staging)
        copy = staging / asset.file
        with files.replacing(copy) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        if asset.hash is not None and not _matches(copy, asset.hash):
            copy.unlink()
            raise ValueError(f"{path} is not {asset.file}: its hash is not {asset.hash}. It was not kept")
        return _finish(asset, copy, str(path))


def unpack(name: str, **options: Any) -> Path:
    """Fetch an archive and unpack it once, beside it in the cache.

    Args:
        name: one of `REGISTRY`.
        options: of `fetch`.

    Returns:
        The folder, which is whole.

    Raises:
        ValueError, OSError: as `fetch`; the archive is damaged or a name in it leads out of the folder.
    """
    asset = lookup(name)
    folder = cache_dir() / asset.name / "unpacked"
    if folder.is_dir():
        return folder
    archive = fetch(name, **options)
    with _working_folder(asset):
        for left in folder.parent.glob(".unpacked.*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        return folder if folder.is_dir() else archives.unpack(archive, folder)


@contextlib.contextmanager
def _working_folder(asset: Asset) -> Iterator[Path]:
    """The asset's folder for unfinished things, locked; errors of the disk say what to do."""
    staging = cache_dir() / asset.name / "unfinished"

    def waiting() -> None:
        print(f"Another process is fetching {asset.name}; waiting for it.", file=sys.stderr)

    try:
        staging.parent.mkdir(parents=True, exist_ok=True)
        with files.lock(staging.parent / ".lock", waiting):
            staging.mkdir(exist_ok=True)
            for left in staging.glob("*"):
                if left.suffix != ".part":  # of a process that was killed
                    left.unlink()
            try:
                yield staging
            finally:
                with contextlib.suppress(OSError):  # it stays when a part is left
                    staging.rmdir()
    except _Explained:
        raise
    except OSError as error:
        raise OSError(error.errno, _disk_trouble(asset, error)) from error


class _Explained(OSError):
    """An error whose message is complete."""


def _disk_trouble(asset: Asset, error: OSError) -> str:
    folder = cache_dir() / asset.name
    if error.errno in FULL:
        return (
            f"the disk is full: {asset.file} ({asset.size}) does not fit into {folder}. Free some space, or "
            f"set {CACHE_VARIABLE} to a folder on a larger disk; the course runs without this file"
        )
    return (
        f"the cache folder {folder} can't be written ({error.strerror or error}): set {CACHE_VARIABLE} to a "
        "folder of yours; the course runs without this file"
    )


def _check_space(asset: Asset, staging: Path) -> None:
    part = staging / f"{asset.file}.part"
    needed = (asset.bytes or 0) - (part.stat().st_size if part.is_file() else 0)
    if shutil.disk_usage(staging).free < needed:
        raise OSError(errno.ENOSPC, "not enough space")


def _from_any_source(asset: Asset, staging: Path, timeout: float, progress: bool) -> tuple[Path, str]:
    """Try every address in turn; the file, checked, and the address that delivered it."""
    troubles = []
    for url in asset.urls:
        try:
            return _from_one_source(asset, url, staging, timeout, progress), url
        except downloads.Failed as failure:
            troubles.append((url, failure))
        except OSError as error:
            if error.errno in FULL:  # give the space back; on other faults the next try goes on from here
                (staging / f"{asset.file}.part").unlink(missing_ok=True)
            raise
    raise _Explained(_nobody_delivered(asset, troubles))


def _from_one_source(asset: Asset, url: str, staging: Path, timeout: float, progress: bool) -> Path:
    """Download from one address, trying again as long as that brings something; then compare the hash."""
    part = staging / f"{asset.file}.part"
    label = asset.file if progress and (asset.bytes or 1 << 30) > 1_000_000 else None
    in_vain, most = 0, 0
    while True:
        if asset.hash is None:
            part.unlink(missing_ok=True)  # nobody would notice that pieces of two versions were joined
        before = part.stat().st_size if part.is_file() else 0
        most = max(most, before)
        try:
            get = partial(_into_pooch, part=part, size=asset.bytes, timeout=timeout, label=label)
            with _quiet_pooch():
                return Path(pooch.retrieve(url, asset.hash, asset.file, staging, downloader=get))
        except ValueError as error:  # pooch: the hash is another one, the file is gone
            if before == 0:
                raise downloads.Failed("it sent another file (the hash does not match)") from error
        except downloads.Failed as failure:
            grown = part.is_file() and part.stat().st_size > most
            most = part.stat().st_size if grown else most
            in_vain = 0 if grown else in_vain + 1
            if not failure.again or in_vain >= MAY_TRY:
                raise
            time.sleep(PAUSE)


def _into_pooch(url: str, temporary: str, _pooch: Any, *, part: Path, **options: Any) -> None:
    """A downloader for pooch that continues `part`, and hands it over when it is complete."""
    downloads.download(url, part, **options)
    part.replace(temporary)


@contextlib.contextmanager
def _quiet_pooch() -> Iterator[None]:
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _finish(asset: Asset, finished: Path, source: str) -> Path:
    """Record what came from where, then move the checked file to its place."""
    place, status = cache_dir() / asset.name / asset.file, finished.stat()
    sha256 = f"sha256:{pooch.file_hash(str(finished))}"
    record = {"path": str(place), "bytes": status.st_size, "changed": status.st_mtime_ns}
    record |= {"hash": asset.hash or sha256, "sha256": sha256, "source": source}
    record["fetched"] = datetime.now(UTC).isoformat(timespec="seconds")
    if asset.hash is None:
        _write_record(asset, record | {"accepted": sha256})
        print(f"Accepted unverified: {asset.file}, {status.st_size:,} bytes, {sha256}, from {source}")
    else:
        with contextlib.suppress(OSError):  # the file explains itself by its hash
            _write_record(asset, record)
    finished.replace(place)
    return place


def _nobody_delivered(asset: Asset, troubles: list[tuple[str, downloads.Failed]]) -> str:
    """What each source said, and what to do now."""
    lines = [f"{asset.file} could not be fetched."]
    lines += [f"  {url}: {failure}" for url, failure in troubles]
    if all(failure.offline for _, failure in troubles):
        lines.append("No source answered: this machine seems to have no network, or a proxy is in the way.")
    lines.append(
        "Try again later (what came, if anything, is kept), or get the file elsewhere and run: "
        f"course fetch {asset.name} --from FILE. It would lie in {cache_dir() / asset.name}. "
        "The course runs without it."
    )
    return "\n".join(lines)
