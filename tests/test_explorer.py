"""The explorer: its page in Chromium beside course_utils, its arithmetic in node, the command that serves."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from course_utils import colour, hypercolumns, runtime, segmentation
from course_utils.cli import _explorer as explore
from course_utils.colour import lab
from course_utils.features import maps as features
from course_utils.localization import regression
from course_utils.networks import gradients, pretrained
from course_utils.pictures import images, palette

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NODE = shutil.which("node")
LAYERS = ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"]
# The answer to a question of the page's worker: every array as bytes in base64, with its type.
ASK = """async ([what, question]) => {
    const answer = await explorer.ask(what, question);
    const pack = async (value) => {
        if (ArrayBuffer.isView(value)) {
            const reader = new FileReader();
            const read = new Promise((resolve) => (reader.onload = () => resolve(reader.result)));
            reader.readAsDataURL(new Blob([value]));
            return { kind: value.constructor.name, data: (await read).split(",")[1] ?? "" };
        }
        if (Array.isArray(value)) return Promise.all(value.map(pack));
        if (value && typeof value === "object") {
            const parts = Object.entries(value).map(async ([name, part]) => [name, await pack(part)]);
            return Object.fromEntries(await Promise.all(parts));
        }
        return value;
    };
    return pack(answer);
}"""
# How many parts of the page a screen reader could not name.
UNNAMED = """[...document.querySelectorAll('button, input, canvas[role=img], img')].filter(
    (part) => !(part.ariaLabel || part.alt || part.textContent.trim() || part.labels?.length
        || part.querySelector('[alt], [aria-label]'))).length"""
# Move a finger over the photograph until it was lit three times on the way.
DRAG = """() => new Promise((resolve) => {
    const stage = document.getElementById("stage"), box = stage.getBoundingClientRect();
    let [lit, moves] = [0, 0];
    document.getElementById("light").addEventListener("painted", () => lit++);
    const moving = setInterval(() => {
        const across = (moves++ % 40 + 1) * box.width / 42;
        const place = { clientX: box.left + across, clientY: box.top + box.height / 2 };
        stage.dispatchEvent(new PointerEvent("pointermove", { ...place, buttons: 1 }));
        if (lit < 3 && moves < 3000) return;
        clearInterval(moving);
        resolve(lit);
    }, 10);
})"""
# All that has stood under the photograph.
CAPTIONS = """globalThis.captions = [];
document.addEventListener("DOMContentLoaded", () => {
    const caption = document.getElementById("caption");
    new MutationObserver(() => captions.push(caption.textContent)).observe(caption, { childList: true });
});"""
KINDS = {"Float32Array": np.float32, "Float64Array": np.float64, "Uint8Array": np.uint8}


def unpack(value: Any) -> Any:
    if isinstance(value, dict) and "kind" in value:
        return np.frombuffer(base64.b64decode(value["data"]), KINDS[value["kind"]])
    if isinstance(value, list):
        return [unpack(part) for part in value]
    return {name: unpack(part) for name, part in value.items()} if isinstance(value, dict) else value


class Page:
    """The explorer in a browser, with what it asked for and complained about."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.address, self.requests, self.errors = address, [], []
        self.tab = browser.new_page(**options)
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, view: str = "") -> Page:
        self.tab.goto(f"{self.address}#{view}")
        return self.look(1)

    def look(self, times: int) -> Page:
        """Wait until so many pictures have been looked at."""
        self.tab.wait_for_selector(f"body[data-ready='{times}']", timeout=120_000)
        return self

    @property
    def looks(self) -> int:
        return int(self.tab.locator("body").get_attribute("data-ready") or 0)

    def ask(self, what: str, **question: Any) -> Any:
        return unpack(self.tab.evaluate(ASK, [what, question]))

    def show(self, image: np.ndarray) -> None:
        """Look at a picture (h, w, 3) without showing it."""
        values = image.astype(float).ravel().tolist()
        question = {"values": values, "h": image.shape[0], "w": image.shape[1]}
        assert self.ask("look", **question)["seconds"] > 0

    def give(self, name: str, content: bytes) -> None:
        self.tab.set_input_files("#file", {"name": name, "mimeType": "", "buffer": content})

    @property
    def status(self) -> str:
        return self.tab.inner_text("#status")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with explore.server(explore.site(), port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    reason = "playwright: pip install --group browser"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    with playwright.sync_playwright() as engine:
        found = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def trunk() -> Any:
    runtime.start(seed=0)
    return pretrained.load_vgg16(runtime.shipped("weights/vgg16.npz"), include_top=False)


def picture(name: str, side: int) -> np.ndarray:
    """A photograph as the page would hand it to the network, about side x side pixels."""
    image = images.sample(name)
    scale = side / np.sqrt(image.shape[0] * image.shape[1])
    return images.resize(image, tuple(16 * round(length * scale / 16) for length in image.shape[:2]))


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, as a share of the largest value."""
    return float(np.abs(ours.reshape(theirs.shape) - theirs).max() / np.abs(theirs).max())


def compare(page: Page, trunk: Any, image: np.ndarray) -> None:
    """What the page and course_utils make of a picture: maps, names, similarity, groups, colours, streets."""
    page.show(image)
    maps = features.feature_maps(trunk, image, LAYERS)
    for name, stack in maps.items():
        answer = page.ask("raw", layer=name)
        assert (answer["h"], answer["w"], answer["c"]) == stack.shape
        assert apart(answer["values"], stack) < 2e-3, name
    head = runtime.shipped("weights/names.npz")
    if head.is_file():
        values = {name: value.astype(np.float32) for name, value in np.load(head).items()}
        logits = maps[LAYERS[4]].mean(axis=(0, 1)) @ values["predictions_kernel"] + values["predictions_bias"]
        shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        guesses = page.ask("names")
        assert [guess["index"] for guess in guesses] == np.argsort(-shares)[:5].tolist()
        assert [guess["probability"] for guess in guesses] == pytest.approx(np.sort(shares)[:-6:-1], abs=2e-3)
    columns = hypercolumns.Factored(maps, image.shape[:2]).standardized()
    row, column = image.shape[0] // 3, image.shape[1] // 2
    touched = page.ask("touch", row=row, column=column, block=0)
    assert apart(touched["likeness"], columns.similarity(row, column)) < 2e-3
    found = page.ask("groups", k=4, block=0)
    ours = hypercolumns.kmeans(columns, 4, starts=np.array(found["starts"]))
    assert (found["labels"] == ours.labels.ravel()).mean() >= 0.995
    compare_colours(page, trunk, image)
    compare_streets(page, image)
    compare_boxes(page, image)
    again = page.ask("raw", layer=LAYERS[4])["values"]  # the colours took memory beside the maps
    assert apart(again, maps[LAYERS[4]]) < 2e-3


def compare_colours(page: Page, trunk: Any, image: np.ndarray) -> None:
    """The colours that the head guesses, and how far they are from the picture's own."""
    if not runtime.shipped("weights/colours.npz").is_file():
        return
    found, head = page.ask("colours"), colour.load()
    bins = colour.bins_of(head)
    said = colour.answer(head, colour.columns(trunk, image))
    for way in ("careful", "vivid"):
        ours = colour.chosen(said, bins, way)
        assert tuple(found[way][key] for key in "hwc") == ours.shape
        theirs = found[way]["values"].reshape(ours.shape)
        assert np.abs(theirs - ours).max() < 0.3 and np.abs(theirs - ours).mean() < 0.02
    true = lab.to_lab(images.resize(image, colour.working_size(image.shape[:2], 224)))[..., 1:]
    grey = np.linalg.norm(hypercolumns.stretch(true, ours.shape[:2]), axis=-1).mean()
    assert found["away"][2] == pytest.approx(grey, rel=0.05)


def compare_streets(page: Page, image: np.ndarray) -> None:
    """The class of each pixel, in one pass without the mirrored picture."""
    if not runtime.shipped("weights/streets.npz").is_file():
        return
    model = segmentation.load("streets")
    scores = gradients.forward(model, images.preprocess(image)[None])[0]
    assert (page.ask("streets")["labels"] == scores.argmax(-1).ravel()).mean() >= 0.995


def compare_boxes(page: Page, image: np.ndarray) -> None:
    """Name and box of one object, as notebook 04 asks for them: as the head's card says."""
    if not runtime.shipped("weights/boxes.npz").is_file():
        return
    found, model = page.ask("boxes"), regression.load("boxes")
    ours = regression.locate(model, [image], **pretrained.about(model).card["asked"])
    assert np.abs(np.array(found["box"]) - ours.boxes[0]).max() < 2e-3 * max(image.shape)
    assert found["odds"] == pytest.approx(ours.probabilities[0].tolist(), abs=2e-3)


# --- in the plain test ----------------------------------------------------------------------------------


def test_the_page_opens_and_is_equal_to_python(browser: Any, address: str, trunk: Any) -> None:
    page = Page(browser, address).open("touch")
    assert page.tab.evaluate("self.crossOriginIsolated")
    light = "document.getElementById('light').toDataURL()"
    page.tab.wait_for_selector(".maps canvas")
    before = page.tab.evaluate(light)
    page.tab.focus("#stage")
    for _ in range(6):
        page.tab.keyboard.press("Shift+ArrowRight")
    page.tab.wait_for_timeout(1500)
    assert page.tab.evaluate(light) != before
    assert page.tab.evaluate(DRAG) >= 3
    compare(page, trunk, picture("coffee", 96))
    assert all(url.startswith((address, f"blob:{address}")) for url in page.requests)
    assert not page.errors
    page.tab.close()


@pytest.mark.skipif(NODE is None, reason="no node on this machine")
def test_arithmetic_in_node(project: Path) -> None:
    command = [str(NODE), "--test", *map(str, (project / "tests" / "explorer").glob("*.test.mjs"))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.mark.skipif(NODE is None, reason="no node on this machine")
def test_resizing_is_that_of_course_utils(project: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(3).integers(0, 256, (37, 52, 3)).astype(np.float32)
    (tmp_path / "in.bin").write_bytes(image.tobytes())
    code = f"""
        import {{ readFileSync, writeFileSync }} from "node:fs";
        import {{ resize }} from {json.dumps((project / "docs/explorer/arithmetic.js").as_uri())};
        const all = new Float32Array(Uint8Array.from(readFileSync("in.bin")).buffer);
        for (const [h, w] of [[16, 32], [80, 52]])
            writeFileSync(`${{h}}.bin`, resize({{ values: all, h: 37, w: 52, c: 3 }}, [h, w]).values);
    """
    (tmp_path / "run.mjs").write_text(code)
    subprocess.run([str(NODE), "run.mjs"], cwd=tmp_path, check=True, timeout=60)
    for size in ((16, 32), (80, 52)):
        theirs = np.frombuffer((tmp_path / f"{size[0]}.bin").read_bytes(), np.float32)
        assert apart(theirs, images.resize(image, size)) < 1e-5


def test_the_engine_was_built_from_its_source(project: Path) -> None:
    source = hashlib.sha256((project / "docs" / "explorer" / "engine.c").read_bytes()).hexdigest()
    for name in ("engine.wasm", "engine_threads.wasm"):
        content = (project / "docs" / "explorer" / name).read_bytes()
        assert content.startswith(b"\0asm") and source.encode() in content, "run tools/explorer_engine.py"


def test_the_server_gives_what_the_page_needs_and_nothing_else(address: str) -> None:
    with urllib.request.urlopen(address) as answer:
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        text = answer.read().decode()
    assert not re.search(r"(src|href)=\"https?:", text)
    about = json.load(urllib.request.urlopen(f"{address}site.json"))
    assert [photograph["name"] for photograph in about["photographs"]] == list(images.SAMPLES)
    assert len(about["classes"]) == 1000 and len(about["atlas"]["layers"]) == 13
    for wrong in ("engine.c", "../pyproject.toml", "%2e%2e/pyproject.toml", "weights/vgg16.npz", "docs"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(address + wrong)


def test_the_server_needs_nothing_installed_and_reads_on_old_pythons(project: Path) -> None:
    text = Path(explore.__file__).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    modules = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in modules} <= set(sys.stdlib_module_names)
    command = [sys.executable, "-S", "-I", explore.__file__, "--help"]
    assert "--lan" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_streets_have_the_colours_of_the_notebooks() -> None:
    text = (explore.PAGE / "pictures.js").read_text(encoding="utf-8")
    names = json.loads(runtime.shipped("weights/streets.json").read_text(encoding="utf-8"))["class_names"]
    colours = " ".join(each.removeprefix("#") for each in palette.class_colours(names))
    assert f'STREET = colours("{colours}", 200)' in text


@pytest.mark.parametrize("name", ["names", "boxes", "colours", "streets"])
def test_weights_as_the_page_reads_them(name: str) -> None:
    files: dict[str, Any] = {}
    told = explore.add_weights(files, explore.WEIGHTS / f"{name}.npz")
    numbers = np.frombuffer(files[f"weights/{name}.bin"], "<f2")
    assert told["bytes"] == numbers.nbytes
    for key, shape in told["arrays"]:
        size = int(np.prod(shape))
        mine, numbers = numbers[:size].reshape(shape), numbers[size:]
        np.testing.assert_array_equal(mine, np.load(explore.WEIGHTS / f"{name}.npz")[key])
    assert not numbers.size


def test_photographs_are_those_of_the_notebooks_with_their_credits() -> None:
    listed = json.loads((explore.PAGE / "photographs.json").read_text(encoding="utf-8"))
    assert [photograph["name"] for photograph in listed] == list(images.SAMPLES)
    for photograph in listed:
        assert photograph["credit"] == images.credit(photograph["name"]) and photograph["text"]
        ours = images.resize(images.read(explore.PAGE / photograph["file"]), (48, 64))
        assert np.abs(ours - images.resize(images.sample(photograph["name"]), (48, 64))).mean() < 2


@pytest.mark.skipif(NODE is None, reason="no node on this machine")
def test_lab_is_that_of_course_utils(project: Path, tmp_path: Path) -> None:
    rgb = np.random.default_rng(4).uniform(0, 256, (500, 3)).astype(np.float32).clip(0, 255)
    rgb[:9] = 3 * np.arange(9)[:, None]  # where both curves are straight
    (tmp_path / "in.bin").write_bytes(rgb.tobytes())
    code = f"""
        import {{ readFileSync, writeFileSync }} from "node:fs";
        import {{ toLab, recolour }} from {json.dumps((project / "docs/explorer/arithmetic.js").as_uri())};
        const all = new Float32Array(Uint8Array.from(readFileSync("in.bin")).buffer);
        writeFileSync("lab.bin", toLab(all));
        writeFileSync("grey.bin", recolour({{ values: all }}).values);
    """
    (tmp_path / "run.mjs").write_text(code)
    subprocess.run([str(NODE), "run.mjs"], cwd=tmp_path, check=True, timeout=60)
    theirs = {name: np.fromfile(tmp_path / f"{name}.bin", np.float32) for name in ("lab", "grey")}
    np.testing.assert_allclose(theirs["lab"], lab.to_lab(rgb).ravel(), atol=2e-3)
    np.testing.assert_allclose(theirs["grey"], lab.grey(rgb).ravel(), atol=2e-3)


def test_notebooks_lead_to_their_views(project: Path) -> None:
    text = (explore.PAGE / "index.html").read_text(encoding="utf-8")
    views = re.findall(r'<form id="view-(\w+)".*?href="(\w+)\.html"', text, re.DOTALL)
    assert len(views) == 8
    for view, name in views:
        assert f"explorer/#{view})" in (project / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")


def test_written_for_any_web_server(tmp_path: Path) -> None:
    explore.write(tmp_path, explore.site())
    assert (tmp_path / "index.html").is_file() and (tmp_path / "photographs" / "china.jpg").is_file()
    assert (tmp_path / "weights" / "vgg16.bin").stat().st_size > 25_000_000


def test_a_code_for_the_room_can_be_read() -> None:
    import cv2

    rows = explore.qr_code("http://192.168.1.23:8460/").split("\n")
    halves = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
    bright = np.array([[[halves[sign][i] for sign in row] for i in (0, 1)] for row in rows], np.uint8)
    code = np.kron(bright.reshape(-1, len(rows[0])) * 255, np.ones((8, 8), np.uint8))
    assert cv2.QRCodeDetector().detectAndDecode(code)[0] == "http://192.168.1.23:8460/"


# --- slow ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["astronaut", "china", "flower"])
def test_equal_on_three_photographs(browser: Any, address: str, trunk: Any, name: str) -> None:
    page = Page(browser, address).open()
    compare(page, trunk, picture(name, 224))
    page.tab.close()


@pytest.mark.slow
def test_one_thread_where_pages_may_not_share_memory(browser: Any, tmp_path: Path, trunk: Any) -> None:
    explore.write(tmp_path, explore.site())
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = Page(browser, f"http://127.0.0.1:{server.server_port}/").open()
        assert page.ask("memory")["threads"] == 1
        compare(page, trunk, picture("rocket", 128))
        page.tab.close()
        server.shutdown()


@pytest.mark.slow
def test_there_are_maps_to_see_while_the_network_arrives(
    browser: Any, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(source: Any, target: Any, _: int) -> None:
        while part := source.read(1 << 20):
            target.write(part)
            time.sleep(0.15)

    monkeypatch.setattr(shutil, "copyfileobj", slowly)
    page = Page(browser, address)
    page.tab.add_init_script(CAPTIONS)
    page.open("names")
    captions = page.tab.evaluate("captions")
    maps, names = (
        [i for i, text in enumerate(captions) if text.startswith(f"Bright: {start}")]
        for start in ("where", "what")
    )
    assert maps and names and maps[-1] < names[0]
    page.tab.close()


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.slow
def test_any_file_gets_a_picture_or_a_sentence(browser: Any, address: str) -> None:
    page = Page(browser, address).open()
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    large = encoded(Image.fromarray(noise).resize((4000, 3000)), "JPEG", exif=exif)
    clear = encoded(Image.new("RGBA", (60, 40), (255, 0, 0, 0)), "PNG")
    wide = encoded(Image.new("RGB", (20_000, 700), (90, 120, 30)), "JPEG")
    for name, content, shape in (("a.jpg", large, 0.75), ("b.png", clear, 1.5), ("c.jpg", wide, 28)):
        before = page.looks
        page.give(name, content)
        page.look(before + 1)
        size = page.tab.evaluate("[photo.width, photo.height]")
        assert size[0] / size[1] == pytest.approx(shape, rel=0.05), name
        if name == "b.png":
            assert page.tab.evaluate("[...photo.getContext('2d').getImageData(5, 5, 1, 1).data]") == [255] * 4
    sentences = {
        "d.jpg": (b"this is text", "not a picture"),
        "e.jpg": (b"", "empty"),
        "f.png": (clear[:60], "damaged"),
    }
    sentences["g.jpg"] = (b"<!DOCTYPE html><html>", "web page")
    for name, (content, words) in sentences.items():
        page.give(name, content)
        page.tab.wait_for_selector("#status.wrong", timeout=20_000)
        assert name in page.status and words in page.status
        page.tab.evaluate("explorer.say('')")
    assert not page.errors
    page.tab.close()


@pytest.mark.slow
def test_memory_does_not_grow_over_fifty_photographs(browser: Any, address: str) -> None:
    page = Page(browser, address).open("names")
    page.tab.select_option("#side", "128")
    rng, sizes = np.random.default_rng(1), []
    for i in range(50):
        before = page.looks
        page.give(f"{i}.png", encoded(Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)), "PNG"))
        page.look(before + 1)
        sizes.append(page.ask("memory")["bytes"])
    assert sizes[-1] == sizes[5]
    page.tab.close()


@pytest.mark.slow
@pytest.mark.parametrize("width, height", [(360, 740), (820, 1180), (1920, 1080)])
def test_fits_the_screen_and_can_be_used_without_a_mouse(
    browser: Any, address: str, width: int, height: int
) -> None:
    page = Page(browser, address, viewport={"width": width, "height": height}).open()
    for view in ("names", "touch", "layers", "groups", "boxes", "colours", "streets", "magnifier"):
        page.tab.focus("#views [aria-current=page]")
        if view != "names":
            page.tab.keyboard.press("Tab")
            page.tab.keyboard.press("Enter")
        page.tab.wait_for_selector(f"#view-{view}:visible")
        page.tab.wait_for_timeout(800)
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
        assert page.tab.evaluate(UNNAMED) == 0
    assert not page.errors
    page.tab.close()
