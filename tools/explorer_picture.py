"""The README's picture of the explorer, docs/static/explorer.jpg: `python tools/explorer_picture.py`.

Needs Chromium and playwright (`pip install --group browser`).
"""

from __future__ import annotations

import io
import shutil
import threading
from pathlib import Path

from course_utils.cli import _explorer
from course_utils.pictures import images

OUT = Path(__file__).resolve().parents[1] / "docs" / "static" / "explorer.jpg"


def main() -> None:
    """Open the page, touch the cat's eye, and save what is seen."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with _explorer.server(_explorer.site(), port=0) as server, sync_playwright() as engine:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1240, "height": 810}, color_scheme="light")
        page.goto(f"http://127.0.0.1:{server.server_port}/#touch")
        page.wait_for_selector("body[data-ready='1']", timeout=120_000)
        page.select_option("#side", "320")
        page.wait_for_selector("body[data-ready='2']", timeout=120_000)
        page.evaluate("explorer.say('')")  # the seconds on this machine
        page.wait_for_timeout(5000)
        images.save(OUT, images.read(io.BytesIO(page.screenshot())), quality=84)
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
