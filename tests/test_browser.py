"""Every slider in a real browser: JupyterLab runs the notebook, a handle is moved, the picture changes.

Needs Chromium and playwright (`pip install --group browser`); left out where they are missing.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = [
    path.name
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    if "widgets.slider(" in path.read_text(encoding="utf-8")
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# The figure that the last slider of the page draws: the last picture inside a widget.
PICTURE = "[...document.querySelectorAll('.jupyter-widgets img')].at(-1)?.src"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def jupyter(tmp_path):
    """A JupyterLab on copies of the notebooks: its address."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "my")
    settings = tmp_path / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"windowingMode": "none"}', encoding="utf-8")  # cells out of sight exist, too
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [
        "--IdentityProvider.token=",
        "--expose-app-in-browser",
        f"--ServerApp.root_dir={tmp_path / 'my'}",
    ]
    environment = dict(
        os.environ,
        HOME=str(tmp_path),
        JUPYTER_CONFIG_DIR=str(tmp_path / "config"),
        JUPYTERLAB_SETTINGS_DIR=str(tmp_path / "settings"),
    )
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=2)
                break
            except OSError:
                time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_slider_changes_its_picture(jupyter, name):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright: pip install --group browser")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.goto(f"{jupyter}/lab/tree/{name}")
        idle = ".jp-Notebook-ExecutionIndicator[data-status='idle']"
        page.wait_for_selector(idle, timeout=120_000)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(
            timeout=120_000
        )  # else JupyterLab asks which
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells'); 0")
        page.wait_for_function(f"document.querySelector({json.dumps(idle)}) === null", timeout=60_000)
        page.wait_for_selector(idle, timeout=600_000)
        handle = page.locator(".jupyter-widgets .noUi-handle").last
        handle.scroll_into_view_if_needed()
        page.wait_for_function(f"{PICTURE} !== undefined", timeout=60_000)
        before = page.evaluate(PICTURE)
        handle.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"{PICTURE} !== {json.dumps(before)}", timeout=60_000)
        browser.close()
