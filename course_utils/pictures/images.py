"""Pictures: reading whatever a person has, resizing, and the form that VGG weights expect.

Inside the course a picture is always a NumPy array (height, width, 3), float32, RGB, 0 to 255.
`read` makes that of nearly anything; `preprocess` turns it into what a VGG network was trained on.
Notebook 01 explains the preprocessing.
"""

from __future__ import annotations

import difflib
import http.client
import importlib.util
import io
import os
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from course_utils import certificates, files
from course_utils.pictures.resampling import tent

# Mean of the ImageNet training set in BGR order, as the VGG authors subtracted it (Simonyan and
# Zisserman, 2014, section 2.1; the figures are those of their released models). In float32, so that
# subtracting and adding it again gives whole values back exactly.
BGR_MEAN = np.array([103.939, 116.779, 123.68], dtype=np.float32)

MAX_PIXELS = 120_000_000  # as float32 RGB this is already 1.4 GB
MAX_DOWNLOAD = 60_000_000  # bytes of a picture behind a URL
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
SOFTWARE = 305  # the EXIF tag of the program that made a picture
MAKER = "course_utils"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


# --- reading ------------------------------------------------------------------------------------


def read(source: Any, *, timeout: float = 20.0) -> np.ndarray:
    """Read a picture, whatever form it comes in.

    Args:
        source: a path, an http(s) URL, the bytes of a file, an open file, an upload of ipywidgets,
            a Pillow picture, or an array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) with values 0..255
            (uint16: 0..65535, bool: 0 and 1).
        timeout: seconds without an answer after which a URL is given up.

    Returns:
        (H, W, 3) float32, RGB, 0..255: turned upright as its EXIF data says, transparency laid over
        white, 16-bit values divided by 257, of an animation the first frame.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError, OSError: the file or URL can't be read.
        ValueError: it is empty, damaged, no picture, or has more than `MAX_PIXELS` pixels.
        TypeError: the source is none of the above.
    """
    source = _unwrap_upload(source)
    if isinstance(source, Image.Image):
        return _guarded(source, "the picture", b"")
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(io.BytesIO(bytes(source)), f"the {len(source):,} bytes given")
    if isinstance(source, str) and source.lower().startswith(("http://", "https://")):
        return _decode(io.BytesIO(_download(source, timeout)), source)
    if isinstance(source, str | os.PathLike):
        path = _checked_path(Path(source).expanduser())
        with path.open("rb") as file:
            return _decode(file, str(path))
    if hasattr(source, "read"):
        return _decode(io.BytesIO(source.read()), str(getattr(source, "name", "the open file")))
    if hasattr(source, "__array__"):
        return _from_array(np.asarray(source))
    raise TypeError(
        f"a picture can't be read from {type(source).__name__}: give a path, a URL, bytes or an array"
    )


def _unwrap_upload(source: Any) -> Any:
    """The bytes inside an ipywidgets upload (version 8: a tuple of mappings; 7: a mapping by name)."""
    if hasattr(source, "value") and hasattr(source, "accept"):  # the widget itself
        if not source.value:
            raise ValueError("nothing was uploaded yet: press the button, choose a picture, run this again")
        source = source.value
    if isinstance(source, tuple | list) and source and isinstance(source[0], Mapping):
        source = source[0]
    if isinstance(source, Mapping) and "content" not in source and source:
        source = next(iter(source.values()))
    return source["content"] if isinstance(source, Mapping) and "content" in source else source


def _checked_path(path: Path) -> Path:
    """The path itself when it is a readable file that holds something; otherwise a clear error."""
    try:
        if path.is_dir():
            inside = sorted(p.name for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            advice = f"pick a picture in it, such as {inside[0]}" if inside else "there is no picture in it"
            raise IsADirectoryError(f"{path} is a folder, not a picture: {advice}")
        if not path.exists():
            raise FileNotFoundError(f"no file {path} (looked from {Path.cwd()}){_similar_name(path)}")
        if not path.is_file():
            raise OSError(f"{path} is not a regular file: give the path of a picture")
        if path.stat().st_size == 0:
            raise ValueError(f"{path} is empty (0 bytes): the copy or download failed; fetch it again")
        with path.open("rb"):
            return path
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read by you: change its permissions or copy it") from error
    except OSError as error:
        if error.errno is None:  # one of ours
            raise
        raise OSError(f"{path} can't be read ({error.strerror}): check the name and the disk") from error


def _similar_name(path: Path) -> str:
    names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    return f": did you mean {close[0]}?" if close else ": check the spelling and the folder"


def _download(url: str, timeout: float) -> bytes:
    """The bytes behind a URL, at most `MAX_DOWNLOAD` of them."""
    address = urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]")  # a space in it, an accent
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (course_utils)"})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            content = answer.read(MAX_DOWNLOAD + 1)
    except urllib.error.HTTPError as error:
        raise OSError(f"{url}: the server says {error.code} {error.reason}: check the address") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        if reason := certificates.told(error):
            raise OSError(f"{url} can't be fetched: {reason}") from error
        below = getattr(error, "reason", error)  # what urllib has wrapped
        why = getattr(below, "strerror", None) or below
        raise OSError(
            f"{url} can't be fetched ({why}): check the network, or save it and give its path"
        ) from error
    if len(content) > MAX_DOWNLOAD:
        raise ValueError(
            f"{url} is larger than {MAX_DOWNLOAD // 10**6} MB: save it, make it smaller, give its path"
        )
    return content


def _decode(file: Any, name: str) -> np.ndarray:
    """Decode an open file; every failure becomes a ValueError that names it."""
    start = file.read(512)
    file.seek(0)
    if not start:
        raise ValueError(f"{name} is empty: the copy or download failed; fetch it again")
    return _guarded(file, name, start)


def _guarded(source: Any, name: str, start: bytes) -> np.ndarray:
    """Open (unless it is a picture already) and convert, with Pillow's complaints put into our words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's hints on size and metadata; we check ourselves
            if isinstance(source, Image.Image):
                return _to_rgb(source, name)
            with Image.open(source) as picture:
                return _to_rgb(picture, name)
    except Image.DecompressionBombError as error:
        raise ValueError(_too_large(name)) from error
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{name} {_what_it_is(start)}") from error
    except _Refused as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise ValueError(f"{name} is damaged or cut short ({error}): copy or download it again") from error


class _Refused(ValueError):
    """A refusal of ours that is finished, message and all."""


def _check_size(size: tuple[int, int], name: str) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise _Refused(_too_large(name, f" ({size[0]:,} x {size[1]:,} pixels)"))
    if min(size) < 1:
        raise _Refused(f"{name} has no pixels ({size[0]} x {size[1]})")


def _too_large(name: str, size: str = "") -> str:
    limit = f"{MAX_PIXELS // 10**6} million pixels"
    return f"{name} is too large{size}: at most {limit}; make it smaller in a picture editor first"


def _what_it_is(start: bytes) -> str:
    """The end of the sentence for a file that is no picture Pillow knows, from its first bytes."""
    text = start.lstrip().lower()
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "is a HEIC photograph, which can't be read here: export it as JPEG (phones do so when sharing)"
    if text.startswith((b"<!doctype html", b"<html")):
        return "is a web page, not a picture: open it, then save the picture itself or copy its address"
    if b"<svg" in text:
        return "is an SVG drawing, which has no pixels: export it as PNG"
    if start.startswith(b"%PDF"):
        return "is a PDF: export the page as PNG"
    return "is not a picture that can be read here: give a JPEG, PNG, WebP, GIF, BMP or TIFF"


def _to_rgb(picture: Image.Image, name: str) -> np.ndarray:
    """A Pillow picture of any mode as (H, W, 3) float32, 0..255, upright."""
    _check_size(picture.size, name)
    picture.load()
    with suppress(Exception):  # damaged EXIF data is common and no reason to refuse the pixels
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        return _grey(np.asarray(picture, dtype=np.float32) / 257)
    if picture.mode in ("I", "F"):
        return _grey(_wide_values(np.asarray(picture, dtype=np.float32), name))
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        if picture.mode == "La":  # Pillow converts it to LA alone
            picture = picture.convert("LA")
        return _over_white(np.asarray(picture.convert("RGBA"), dtype=np.float32))
    return np.asarray(picture.convert("RGB"), dtype=np.float32)


def _wide_values(values: np.ndarray, name: str) -> np.ndarray:
    """Grey values of a 32-bit file on the scale 0..255: they were 0..1, 0..255 or 0..65535."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 65535:
        raise _Refused(f"{name} holds values from {low:g} to {high:g}: save it as an 8-bit or 16-bit picture")
    return values * 255 if high <= 1 else values if high <= 255 else values / 257


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values.astype(np.float32)[..., None], 3, axis=-1)


def _over_white(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:] / 255
    return (rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.float32)


def _from_array(array: np.ndarray) -> np.ndarray:
    """An array of one picture as (H, W, 3) float32, 0..255."""
    if array.ndim == 4:
        raise ValueError(f"an array of shape {array.shape} is a batch: give one picture, such as images[0]")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ValueError(
            f"an array of shape {array.shape} is no picture: expected (H, W), (H, W, 3) or (H, W, 4)"
        )
    if array.size == 0:
        raise ValueError(f"an array of shape {array.shape} has no pixels")
    values = _array_values(array)
    if values.ndim == 2 or values.shape[2] == 1:
        return _grey(values.reshape(values.shape[:2]))
    return _over_white(values) if values.shape[2] == 4 else values


def _array_values(array: np.ndarray) -> np.ndarray:
    """The array as float32 on the scale 0..255 (a copy); its dtype tells the scale it came on."""
    if array.dtype.kind not in "buif":
        raise ValueError(f"an array of {array.dtype} is no picture: expected numbers from 0 to 255")
    values = array.astype(np.float32)
    if array.dtype == bool:
        return values * 255
    if array.dtype == np.uint16:
        return values / 257
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("the array holds values that are not finite (NaN or infinity)")
    if low < -1 or high > 256:
        raise ValueError(
            f"the array holds values from {low:g} to {high:g}, not 0 to 255: "
            "if it was preprocessed, use deprocess"
        )
    if array.dtype.kind == "f" and 0 < high <= 1:
        raise ValueError("the array's values lie between 0 and 1: multiply it by 255 first")
    return np.clip(values, 0, 255)


# --- photographs that are always there ----------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """A photograph that an installed package carries: where it lies, and whose it is."""

    package: str
    file: str
    credit: str


_SAMPLES = {
    "chelsea": Sample("skimage", "data/chelsea.png", "Stéfan van der Walt, CC0"),
    "astronaut": Sample("skimage", "data/astronaut.png", "NASA, public domain"),
    "coffee": Sample("skimage", "data/coffee.png", "Rachel Michetti, Pikolo Espresso Bar, CC0"),
    "rocket": Sample("skimage", "data/rocket.jpg", "SpaceX, CC0"),
    "motorcycle": Sample("skimage", "data/motorcycle_left.png", "Scharstein et al., 2014, CC0"),
    "china": Sample("sklearn", "datasets/images/china.jpg", "danielbuechele, CC BY 2.0"),
    "flower": Sample("sklearn", "datasets/images/flower.jpg", "vultilion, CC BY 2.0"),
    "grace_hopper": Sample("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "US Navy, public domain"),
}
SAMPLES: tuple[str, ...] = tuple(_SAMPLES)


def sample_path(name: str) -> Path:
    """The file of a sample photograph, inside the installed package that carries it (no download).

    Raises:
        ValueError: no sample has that name.
        FileNotFoundError: the package isn't installed, or came without its pictures.
    """
    if name not in _SAMPLES:
        close = difflib.get_close_matches(str(name), SAMPLES, n=1)
        guess = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"no sample {name!r}: {guess}There are {', '.join(SAMPLES)}")
    wanted = _SAMPLES[name]
    spec = importlib.util.find_spec(wanted.package)  # finds the folder without importing the package
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        if (path := Path(folder) / wanted.file).is_file():
            return path
    where = folders[0] if folders else "not installed"
    raise FileNotFoundError(f"the sample {name!r} ({wanted.file}) is missing from {wanted.package} ({where})")


def sample(name: str) -> np.ndarray:
    """A sample photograph by name, one of `SAMPLES`: (H, W, 3) float32, RGB, 0..255."""
    return read(sample_path(name))


def credit(name: str) -> str:
    """Whose photograph a sample is, and its licence."""
    sample_path(name)
    return _SAMPLES[name].credit


# --- size ---------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _weights(before: int, after: int) -> Any:
    """Bilinear weights along one axis as a sparse (after, before) matrix; rows add up to 1.

    Half-pixel centres: the middle of output pixel i is (i + 0.5) * before / after. When shrinking,
    the triangle is as wide as two output pixels, so that every input pixel counts.
    """
    from scipy.sparse import csr_array

    scale = before / after
    reach = max(scale, 1.0)
    centres = (np.arange(after) + 0.5) * scale
    first = np.floor(centres - reach).astype(int)
    columns = first[:, None] + np.arange(int(np.ceil(2 * reach)) + 2)
    inside = (columns >= 0) & (columns < before)
    weights = tent(np.where(inside, columns + 0.5 - centres[:, None], np.inf), reach)
    rows, places = np.nonzero(weights)
    entries = (weights[rows, places].astype(np.float32), (rows, columns[rows, places]))
    return csr_array(entries, shape=(after, before))


def resize(images: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Resize one picture or a batch: bilinear, half-pixel centres, antialiased when shrinking.

    Args:
        images: (H, W), (H, W, C) or (N, H, W, C), any numbers and any C: feature maps too.
        size: (height, width), or one number for a square; the aspect is not kept (see `fit`).

    Returns:
        float32 of the same rank, with the new height and width.
    """
    height, width = (size, size) if isinstance(size, int | np.integer) else size
    if height < 1 or width < 1:
        raise ValueError(f"can't resize to {height} x {width}: both must be at least 1")
    images = np.asarray(images, dtype=np.float32)
    if images.ndim not in (2, 3, 4) or 0 in images.shape:
        raise ValueError(f"can't resize an array of shape {images.shape}: expected (H, W, C) or (N, H, W, C)")
    if images.ndim == 4:
        return np.stack([resize(image, (height, width)) for image in images])
    rows = _along_rows(images, int(height))
    return np.ascontiguousarray(_along_rows(rows.swapaxes(0, 1), int(width)).swapaxes(0, 1))


def _along_rows(image: np.ndarray, after: int) -> np.ndarray:
    """Resize the first axis."""
    if image.shape[0] == after:
        return image
    return (_weights(image.shape[0], after) @ image.reshape(image.shape[0], -1)).reshape(
        after, *image.shape[1:]
    )


def fit(image: np.ndarray, long_side: int) -> np.ndarray:
    """Resize one picture so that its longer side is `long_side`, keeping the aspect.

    Args:
        image: (H, W) or (H, W, C). A smaller picture is enlarged.
        long_side: pixels.
    """
    height, width = np.shape(image)[:2]
    scale = long_side / max(height, width)
    return resize(image, (max(1, round(height * scale)), max(1, round(width * scale))))


# --- the form that VGG weights expect -----------------------------------------------------------


def preprocess(images: np.ndarray) -> np.ndarray:
    """Pictures as VGG weights expect them: BGR, the mean of ImageNet subtracted, not scaled.

    Args:
        images: (..., 3) RGB 0..255, one picture or a batch; the rank is kept.

    Returns:
        float32, BGR, about -124 to 151. `deprocess` undoes it: exactly for whole values, within 2e-5 for
        others.

    Simonyan and Zisserman (2014), section 2.1. Notebook 01.
    """
    images = _three_channels(images)
    return images[..., ::-1] - BGR_MEAN


def deprocess(x: np.ndarray) -> np.ndarray:
    """Undo `preprocess`: (..., 3) BGR minus the mean -> float32 RGB, clipped to 0..255. Notebook 01."""
    x = _three_channels(x)
    return np.clip((x + BGR_MEAN)[..., ::-1], 0, 255)


def _three_channels(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images, dtype=np.float32)
    if images.ndim == 0 or images.shape[-1] != 3:
        raise ValueError(f"expected three channels in the last axis, found shape {images.shape}")
    return images


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Round to whole values and clip to 0..255: uint8 of the same shape, for showing and saving.

    Raises:
        ValueError: the array holds NaN or infinity.
    """
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    if not np.isfinite(image).all():
        raise ValueError("the picture holds values that are not finite (NaN or infinity)")
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


# --- writing ------------------------------------------------------------------------------------


def save(path: str | os.PathLike[str], image: np.ndarray, *, quality: int = 92) -> Path:
    """Write a picture as PNG, JPEG or WebP (by the suffix); a reader never finds half a file.

    Args:
        path: where to; missing folders are made, a file of that name is replaced.
        image: (H, W, 3), or (H, W) for grey, 0..255; rounded and clipped by `to_uint8`.
        quality: of JPEG and WebP, 1 to 100.

    Returns:
        The path.

    Raises:
        ValueError: another suffix or shape. OSError: the folder can't be written.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path.name}: name it {', '.join(FORMATS)}, so that the format is clear")
    pixels = to_uint8(image)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(f"can't save an array of shape {pixels.shape}: expected (H, W, 3) or (H, W)")
    kind = FORMATS[path.suffix.lower()]
    options: dict[str, Any] = {} if kind == "PNG" else {"quality": quality}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, exif=mark(), **options)
    with files.replacing(path) as file:
        file.write(buffer.getvalue())
    return path


def mark() -> Image.Exif:
    """What says in a picture that the course made it."""
    exif = Image.Exif()
    exif[SOFTWARE] = MAKER
    return exif


def made_here(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a picture that `save` wrote."""
    try:
        with Image.open(path) as picture:
            return picture.getexif().get(SOFTWARE) == MAKER
    except (OSError, ValueError, SyntaxError):  # no picture, or a damaged one
        return False
