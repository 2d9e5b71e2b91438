"""Unpack an archive that came from elsewhere, without trusting the names in it."""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from gzip import BadGzipFile
from pathlib import Path
from typing import IO

# What the standard library raises for an archive that is damaged, cut short or encrypted.
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    BadGzipFile,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a tar (plain, gz, bz2, xz) or zip archive; the folder is whole or not there.

    Args:
        archive: the file.
        folder: must not exist yet; its parents are made.

    Returns:
        The folder.

    Raises:
        ValueError: it is no archive, it is damaged, or a name in it leads out of the folder.
        OSError: the disk does not take it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        staging.chmod(0o755)
        for name, content in _members(archive):
            target = staging / _safe(name, archive)
            if content is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
        staging.rename(folder)
    except DAMAGED as error:
        raise ValueError(
            f"{archive} is damaged or cut short ({error}): delete it and fetch it again"
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise OSError(error.errno, f"{archive.name} can't be unpacked into {folder}: {reason}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Name and open content of every member; None for a folder. Links and devices are refused."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if stat.S_ISLNK(info.external_attr >> 16):
                    raise ValueError(_refusal(archive, info.filename))
                yield info.filename, None if info.is_dir() else opened.open(info)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as packed:
            for member in packed:
                if not (member.isfile() or member.isdir()):
                    raise ValueError(_refusal(archive, member.name))
                yield member.name, packed.extractfile(member) if member.isfile() else None
            while packed.fileobj and packed.fileobj.read(1 << 20):
                pass  # gzip compares its checksum at the very end
    else:
        raise ValueError(f"{archive} is not a tar or zip archive: delete it and fetch it again")


def _safe(name: str, archive: Path) -> Path:
    """A member's name as a relative path; ValueError when it would lead out of the folder."""
    parts = re.split(r"[/\\]", name)
    if ".." in parts or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise ValueError(_refusal(archive, name))
    return Path(*[part for part in parts if part not in ("", ".")])


def _refusal(archive: Path, name: str) -> str:
    return f"{archive} was not unpacked: its member {name!r} would lead out of the folder. Do not trust it"
