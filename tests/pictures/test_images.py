"""Pictures of every kind a person has, and of the kinds that are broken."""

from __future__ import annotations

import http.server
import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from course_utils.pictures import images


def gradient(height: int = 12, width: int = 18) -> np.ndarray:
    """A small smooth picture, uint8, whose three channels and four corners all differ."""
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    return np.stack([x * 220, y * 240, 255 - x * 100 - y * 90], axis=-1).astype(np.uint8)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A valid, tiny PNG whose header promises a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


# --- what can be read ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".webp", ".bmp", ".tif"])
def test_lossless_files_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == ".webp" else {}
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(gradient()).save(path, **options)
    for source in (path, str(path), path.read_bytes(), memoryview(path.read_bytes()), path.open("rb")):
        found = images.read(source)
        assert found.dtype == np.float32 and found.shape == (12, 18, 3)
        np.testing.assert_array_equal(found, gradient())


def test_jpeg_is_near() -> None:
    found = images.read(encoded(Image.fromarray(gradient(48, 20)), "JPEG", quality=95, subsampling=0))
    assert np.abs(found - gradient(48, 20)).mean() < 3


# What a viewer must do with the stored rows and columns, written out from the EXIF standard's table.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_turn(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = images.read(encoded(Image.fromarray(gradient()), "PNG", exif=exif))
    np.testing.assert_array_equal(found, UPRIGHT[orientation](gradient()))


def test_damaged_exif_does_not_hide_the_picture() -> None:
    content = encoded(
        Image.fromarray(gradient()), "PNG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff\x01\x12"
    )
    np.testing.assert_array_equal(images.read(content), gradient())


def test_alpha_lies_over_white() -> None:
    alpha = np.linspace(0, 255, 12 * 18).reshape(12, 18).astype(np.uint8)
    rgba = np.dstack([gradient(), alpha])
    share = alpha[..., None] / 255
    expected = gradient() * share + 255 * (1 - share)
    np.testing.assert_allclose(images.read(encoded(Image.fromarray(rgba), "PNG")), expected, atol=1e-3)
    np.testing.assert_allclose(images.read(rgba), expected, atol=1e-3)


def test_palette_with_and_without_transparency() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    np.testing.assert_array_equal(images.read(encoded(palette, "PNG"))[0], [[10, 20, 30], [200, 100, 50]])
    see_through = images.read(encoded(palette, "PNG", transparency=1))
    np.testing.assert_array_equal(see_through[0], [[10, 20, 30], [255, 255, 255]])


def test_grey_and_grey_with_alpha() -> None:
    grey = gradient()[..., 0]
    np.testing.assert_array_equal(images.read(encoded(Image.fromarray(grey), "PNG")), np.dstack([grey] * 3))
    both = Image.merge("LA", [Image.fromarray(grey), Image.new("L", (18, 12), 0)])
    assert (images.read(encoded(both, "PNG")) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits(kind: str) -> None:
    deep = (np.arange(6).reshape(2, 3) * 13107).astype(np.uint16)  # 0 .. 65535
    found = images.read(encoded(Image.fromarray(deep), kind))
    np.testing.assert_allclose(found, np.dstack([np.arange(6).reshape(2, 3) * 51.0] * 3), atol=1e-3)


def test_floating_tiff() -> None:
    values = np.array([[0.0, 0.5, 1.0]], np.float32)
    np.testing.assert_allclose(
        images.read(encoded(Image.fromarray(values), "TIFF"))[0, :, 0], [0, 127.5, 255]
    )
    with pytest.raises(ValueError, match="values from"):
        images.read(encoded(Image.fromarray(values - 5), "TIFF"))


def test_cmyk() -> None:
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[...] = (200, 100, 0, 30)
    found = images.read(encoded(Image.fromarray(inks, "CMYK"), "JPEG", quality=100))
    expected = [(255 - ink) * (255 - 30) / 255 for ink in (200, 100, 0)]
    np.testing.assert_allclose(found[4, 4], expected, atol=4)


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(images.read(content)[0, 0], [255, 0, 0])


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "I", "F"]
)
def test_every_mode_of_pillow(mode: str) -> None:
    found = images.read(Image.new(mode, (5, 4)))
    assert found.shape == (4, 5, 3) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 255


def test_arrays() -> None:
    wanted = gradient().astype(np.float32)
    for dtype in (np.uint8, np.int64, np.float32, np.float64):
        np.testing.assert_array_equal(images.read(gradient().astype(dtype)), wanted)
    np.testing.assert_array_equal(images.read(gradient().astype(np.uint16) * 257), wanted)
    np.testing.assert_array_equal(images.read(gradient()[..., :1]), np.repeat(wanted[..., :1], 3, -1))
    np.testing.assert_array_equal(images.read(np.array([[True, False]]))[0, :, 0], [255, 0])
    assert (images.read(np.zeros((2, 2), np.float32)) == 0).all()


def test_reading_an_array_copies_it() -> None:
    source = gradient().astype(np.float32)
    images.read(source)[:] = 0
    np.testing.assert_array_equal(source, gradient())


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 4, 4, 3)), "batch"),
        (np.zeros((4, 4, 2)), "no picture"),
        (np.zeros((0, 4, 3)), "no pixels"),
        (np.zeros(4), "no picture"),
        (np.full((4, 4, 3), np.nan), "not finite"),
        (np.full((4, 4, 3), 0.5), "multiply it by 255"),
        (images.preprocess(gradient()), "deprocess"),
        (np.full((4, 4), "a"), "expected numbers"),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        images.read(array)


def test_uploads_of_both_widget_versions() -> None:
    content = encoded(Image.fromarray(gradient()), "PNG")
    np.testing.assert_array_equal(
        images.read(({"name": "a.png", "content": memoryview(content)},)), gradient()
    )
    np.testing.assert_array_equal(images.read({"a.png": {"metadata": {}, "content": content}}), gradient())
    for nothing in ((), {}, None, 3):
        with pytest.raises(TypeError, match="give a path"):
            images.read(nothing)


# --- what is broken -----------------------------------------------------------------------------


def test_missing_file_suggests_a_near_name(tmp_path: Path) -> None:
    images.save(tmp_path / "holiday.png", gradient())
    with pytest.raises(FileNotFoundError, match=r"did you mean holiday\.png"):
        images.read(tmp_path / "holyday.png")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        images.read("/no/such/folder/nowhere.png")


def test_folder_names_a_picture_in_it(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="no picture in it"):
        images.read(tmp_path)
    images.save(tmp_path / "cat.jpg", gradient())
    with pytest.raises(IsADirectoryError, match=r"such as cat\.jpg"):
        images.read(tmp_path)


def test_names_that_no_disk_accepts() -> None:
    for name in ("x" * 5000 + ".png", "a\x00b.png", ""):
        with pytest.raises((OSError, ValueError)):
            images.read(name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"just words, no picture", "not a picture"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "HEIC"),
        (png_claiming(50_000, 50_000), "too large"),
        (png_claiming(12_000, 12_000), "12,000 x 12,000"),
    ],
)
def test_no_pictures(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "mine.png"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=words) as caught:
            images.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_truncated(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    whole = encoded(Image.fromarray(noise), kind)
    path = tmp_path / "mine"
    for share in (0.02, 0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ValueError, match=r"damaged or cut short|not a picture"):
            images.read(path)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_damage_gives_a_picture_or_a_clear_error(kind: str, flips: list[tuple[float, int]]) -> None:
    content = bytearray(encoded(Image.fromarray(gradient()), kind))
    for place, value in flips:
        content[int(place * len(content))] = value
    try:
        found = images.read(bytes(content))
    except ValueError as error:
        assert "bytes given" in str(error)
    else:
        assert found.ndim == 3 and found.shape[2] == 3 and found.dtype == np.float32
        assert found.min() >= 0 and found.max() <= 255


# --- behind a URL -------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    content = encoded(Image.fromarray(gradient()), "PNG")
    release = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/stall":
                release.wait(5)
                return
            self.send_response(200 if self.path != "/gone" else 404)
            self.end_headers()
            self.wfile.write(b"<html>sign in</html>" if self.path == "/page" else content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        release.set()
        running.shutdown()


def test_url(server: str) -> None:
    np.testing.assert_array_equal(images.read(f"{server}/cat.png"), gradient())
    with pytest.raises(OSError, match="404"):
        images.read(f"{server}/gone")
    with pytest.raises(ValueError, match="/page is a web page"):
        images.read(f"{server}/page")
    with pytest.raises(OSError, match="check the network"):
        images.read(f"{server}/stall", timeout=0.2)
    with pytest.raises(OSError, match="check the network") as refused:
        images.read("http://127.0.0.1:9/closed.png", timeout=1)
    assert "urlopen" not in str(refused.value) and "Errno" not in str(refused.value)


def test_url_too_large(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_DOWNLOAD", 20)
    with pytest.raises(ValueError, match="larger than"):
        images.read(f"{server}/cat.png")


# --- samples ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", images.SAMPLES)
def test_samples_are_photographs_with_a_credit(name: str) -> None:
    photo = images.sample(name)
    assert photo.shape[2] == 3 and min(photo.shape[:2]) >= 300 and photo.std() > 20
    assert "CC" in images.credit(name) or "public domain" in images.credit(name)


def test_unknown_or_absent_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="did you mean 'chelsea'"):
        images.sample("chelsae")
    monkeypatch.setitem(images._SAMPLES, "chelsea", images.Sample("no_such_package", "a.png", ""))
    with pytest.raises(FileNotFoundError, match="not installed"):
        images.sample("chelsea")


# --- size ---------------------------------------------------------------------------------------


def resized_slowly(line: np.ndarray, after: int) -> np.ndarray:
    """One line, one output at a time: a triangle around the half-pixel centre, wider when shrinking."""
    scale = len(line) / after
    reach = max(scale, 1.0)
    out = []
    for i in range(after):
        weights = [max(0.0, 1 - abs(j + 0.5 - (i + 0.5) * scale) / reach) for j in range(len(line))]
        out.append(sum(w * v for w, v in zip(weights, line, strict=True)) / sum(weights))
    return np.array(out)


@pytest.mark.parametrize("size", [(5, 7), (12, 18), (31, 18), (12, 40), (1, 1), (40, 3)])
def test_resize_against_loops(size: tuple[int, int]) -> None:
    source = np.random.default_rng(1).normal(size=(12, 18, 5))
    rows = np.apply_along_axis(resized_slowly, 0, source, size[0])
    expected = np.apply_along_axis(resized_slowly, 1, rows, size[1])
    found = images.resize(source, size)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(images.resize(np.stack([source] * 2), size)[1], expected, atol=1e-5)
    np.testing.assert_allclose(images.resize(source[..., 2], size), expected[..., 2], atol=1e-5)


@pytest.mark.parametrize("size", [(7, 9), (30, 25)])
def test_resize_agrees_with_pillow(size: tuple[int, int]) -> None:
    grey = gradient()[..., 0].astype(np.float32)
    pillow = np.asarray(Image.fromarray(grey).resize(size[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_allclose(images.resize(grey, size), pillow, atol=1e-3)


def test_resize_refuses_nonsense() -> None:
    for size in (0, (4, -1)):
        with pytest.raises(ValueError, match="at least 1"):
            images.resize(gradient(), size)
    for shape in ((4,), (0, 4, 3)):
        with pytest.raises(ValueError, match="can't resize an array"):
            images.resize(np.zeros(shape), 4)


@pytest.mark.parametrize(
    ("shape", "expected"), [((100, 50), (64, 32)), ((50, 100), (32, 64)), ((1000, 1), (64, 1))]
)
def test_fit_keeps_the_aspect(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert images.fit(np.zeros((*shape, 3)), 64).shape == (*expected, 3)


# --- preprocessing ------------------------------------------------------------------------------


def test_preprocess_is_what_the_weights_expect() -> None:
    x = images.preprocess(np.array([[[10.0, 20.0, 30.0]]]))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0, 0], [30 - 103.939, 20 - 116.779, 10 - 123.68], rtol=1e-6)


def test_round_trip_is_exact_for_every_whole_value() -> None:
    every = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=-1)
    back = images.deprocess(images.preprocess(every))
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, every)
    fractions = np.random.default_rng(2).uniform(0, 255, (2, 9, 9, 3)).astype(np.float32)
    np.testing.assert_allclose(images.deprocess(images.preprocess(fractions)), fractions, atol=2e-5)


def test_deprocess_clips_and_both_want_three_channels() -> None:
    assert images.deprocess(np.full((1, 1, 3), 999.0)).max() == 255
    assert images.deprocess(np.full((1, 1, 3), -999.0)).min() == 0
    for function in (images.preprocess, images.deprocess):
        with pytest.raises(ValueError, match="three channels"):
            function(np.zeros((3, 4, 4)))


# --- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp"])
def test_save_and_read_again(tmp_path: Path, suffix: str) -> None:
    path = images.save(tmp_path / "new" / f"picture{suffix}", gradient(40, 20).astype(np.float32) + 0.2)
    tolerance = 0 if suffix == ".png" else 6
    assert np.abs(images.read(path) - gradient(40, 20)).mean() <= tolerance
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = images.save(tmp_path / "picture.png", gradient())
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match=r"picture\.png.*No space left"):
        images.save(path, np.zeros((2, 2, 3)))
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_save_refuses_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="choose another folder"):
        images.save(tmp_path / "file" / "a.png", gradient())
    with pytest.raises(ValueError, match="name it"):
        images.save(tmp_path / "a.heic", gradient())
    with pytest.raises(ValueError, match="expected"):
        images.save(tmp_path / "a.png", np.zeros((2, 4, 4, 3)))
    with pytest.raises(ValueError, match="not finite"):
        images.save(tmp_path / "a.png", np.full((4, 4, 3), np.inf))


def test_to_uint8_rounds_and_clips() -> None:
    np.testing.assert_array_equal(
        images.to_uint8(np.array([-3.0, 0.4, 0.6, 254.6, 300.0])), [0, 0, 1, 255, 255]
    )


def test_addresses_as_people_type_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A space is no reason for a traceback, nor is an answer that is no HTTP."""
    import http.client
    import urllib.request

    asked = []

    def answer(request: urllib.request.Request, timeout: float) -> None:
        asked.append(request.full_url)
        raise http.client.BadStatusLine("SSH-2.0-OpenSSH")

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    with pytest.raises(OSError, match="can't be fetched"):
        images.read("http://localhost/my photo é.jpg")
    assert asked == ["http://localhost/my%20photo%20%C3%A9.jpg"]
    with pytest.raises(OSError, match="can't be fetched"):
        images.read("http://[broken/x.jpg")


def test_upload_button_itself_can_be_read() -> None:
    ipywidgets = pytest.importorskip("ipywidgets")
    from course_utils.pictures import widgets

    button = widgets.upload()
    with pytest.raises(ValueError, match="nothing was uploaded yet"):
        images.read(button)
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), (10, 20, 30)).save(buffer, "PNG")
    if int(ipywidgets.__version__.split(".")[0]) < 8:
        pytest.skip("in version 7 only the browser fills a button")
    file = {"name": "a.png", "type": "image/png", "size": 1, "content": memoryview(buffer.getvalue())}
    button.value = ({**file, "last_modified": __import__("datetime").datetime.now()},)
    assert images.read(button).shape == (2, 3, 3)
