"""The explorer's page in Chromium beside TensorFlow in Python, on the same machine and the same photograph.

Cases: from opening the page, with nothing kept from before, to the first names (the network is fetched from
this machine's disk and looks at 128 x 128 pixels); from a click on a photograph (chelsea, about 128 x 128
and 224 x 224 pixels, its proportions kept) to the maps of all thirteen convolutions; and from a touch to
the light on the photograph (similarity over five layers at 224). `ours` is the page, WebAssembly with as
many threads as there are cores, at most four: its time includes decoding, resizing and drawing. `python` is
`load_vgg16` and `classify` (its import of TensorFlow is not counted), `feature_maps`, and
`Factored.similarity`.
The browser's memory is not counted: peak_mb of `ours` is that of the program which steers it.
"""

import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks.harness import Bench, Skip
from course_utils import hypercolumns, runtime
from course_utils.cli import _explorer as explore
from course_utils.features import maps as features
from course_utils.networks import pretrained, vgg16
from course_utils.pictures import images

COLUMN = ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"]
CLICK = """() => new Promise((resolve) => {
    new MutationObserver((_, observer) => { observer.disconnect(); resolve(); })
        .observe(document.body, { attributes: true, attributeFilter: ["data-ready"] });
    document.querySelector("#tray button").click();
})"""
TOUCH = """() => new Promise((resolve) => {
    const stage = document.getElementById("stage"), box = stage.getBoundingClientRect();
    document.getElementById("light").addEventListener("painted", resolve, { once: true });
    globalThis.turn = ((globalThis.turn ?? 0) + 1) % 7;
    const place = { clientX: box.left + (turn + 1) * box.width / 9, clientY: box.top + box.height / 2 };
    stage.dispatchEvent(new PointerEvent("pointermove", { ...place, buttons: 1 }));
})"""


class Case(NamedTuple):
    """Side of the picture; whether it is touched rather than looked at; whether the page is opened for it."""

    side: int
    touch: bool = False
    opened: bool = False


def ours(case: Case) -> Callable[[], object]:
    """The page in headless Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise Skip("playwright is not installed: pip install --group browser") from None
    if chromium is None:
        raise Skip("there is no Chromium")
    held = ExitStack()
    server = held.enter_context(explore.server(explore.site(), port=0))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    engine = held.enter_context(sync_playwright())
    browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    address = f"http://127.0.0.1:{server.server_port}/"

    def opened() -> None:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector(".names button")
        page.close()

    if case.opened:
        opened.held = held  # type: ignore[attr-defined]
        return opened
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.goto(f"{address}#{'touch' if case.touch else 'magnifier'}")
    page.wait_for_selector("body[data-ready='1']", timeout=120_000)
    page.select_option("#side", str(case.side))
    page.wait_for_selector("body[data-ready='2']", timeout=120_000)

    def call() -> None:
        page.evaluate(TOUCH if case.touch else CLICK)

    call.held = held  # type: ignore[attr-defined]  # the browser lives as long as the call
    return call


def python(case: Case) -> Callable[[], object]:
    """TensorFlow, eager, float32."""
    original = images.sample("chelsea")
    if case.opened:
        return lambda: pretrained.classify(pretrained.load_vgg16(), [original])
    trunk = pretrained.load_vgg16(runtime.shipped("weights/vgg16.npz"), include_top=False)
    scale = case.side / (original.shape[0] * original.shape[1]) ** 0.5
    image = images.resize(original, tuple(16 * round(length * scale / 16) for length in original.shape[:2]))
    layers = [name for name in vgg16.LAYERS if name.startswith("block")]
    if not case.touch:
        return lambda: features.feature_maps(trunk, image, layers)
    columns = hypercolumns.Factored.from_model(trunk, image, COLUMN).standardized()
    return lambda: columns.similarity(image.shape[0] // 2, image.shape[1] // 3)


BENCH = Bench(
    "explorer",
    cases={
        "opened, 128": Case(128, opened=True),
        "128": Case(128),
        "224": Case(224),
        "touch, 224": Case(224, touch=True),
    },
    ways={"python": python, "ours": ours},
    imports=("cv2",),
)
