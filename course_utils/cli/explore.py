"""`course explore`: the page that runs the network in a browser. Its own files lie in docs/explorer."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import socket
import webbrowser
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import typer

PORT = 8460
PHOTOGRAPHS = {  # of those that the installed packages carry: what they show
    "chelsea": "A tabby cat looks into the camera",
    "astronaut": "An astronaut in an orange suit, smiling",
    "coffee": "A cup of coffee with a spoon on its saucer",
    "rocket": "A rocket takes off at night",
    "motorcycle": "A red motorcycle in a garage",
    "china": "A Chinese temple under a blue sky",
    "flower": "A red flower",
    "grace_hopper": "Portrait of Grace Hopper in uniform",
}
TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".npz": "application/zip",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
}
Files = dict[str, Path | bytes]


def register(app: typer.Typer) -> None:
    """Add `course explore`."""
    app.command("explore")(explore)


def explore(
    lan: Annotated[bool, typer.Option(help="For other devices in the room, too.")] = False,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
    port: Annotated[int | None, typer.Option(help="Where the server listens.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the pages there, for any web server.")] = None,
) -> None:
    """Open the explorer: the network in a page, on your own photographs; nothing leaves your devices.

    With --lan, an address and its QR code for the tablets and phones in the room.
    """
    files = site()
    if out is not None:
        write(out, files)
        typer.echo(f"{len(files)} files in {out}; any web server can publish them")
        return
    with server(files, "0.0.0.0" if lan else "127.0.0.1", port) as running:
        address = f"http://127.0.0.1:{running.server_port}/"
        typer.echo(f"The explorer is at {address} (Ctrl+C ends it)")
        if lan:
            elsewhere = f"http://{own_address()}:{running.server_port}/"
            typer.echo(f"In this room: {elsewhere}\n{qr_code(elsewhere)}")
        if browser:
            webbrowser.open(address)
        running.serve_forever()


# --- what the page consists of --------------------------------------------------------------------------


def folder() -> Path:
    """Where the page's own files lie, in a checkout and in the installed package."""
    from course_utils import runtime

    installed = runtime.shipped("explorer")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "docs" / "explorer"


def site(notebooks: str = "") -> Files:
    """Everything that the page asks for: {path in the address: the file, or its content}.

    Args:
        notebooks: where the book's pages of the notebooks are, seen from the page; "" if nowhere.

    Raises:
        FileNotFoundError: the trunk of the network or a part of the page is missing.
    """
    from course_utils import runtime
    from course_utils.pictures import images

    trunk = runtime.shipped("weights/vgg16.npz")
    if not trunk.is_file() or not (folder() / "index.html").is_file():
        missing = f"{trunk.name} or {folder() / 'index.html'}"
        raise FileNotFoundError(f"{missing} is missing: get the course again")
    files: Files = {path.name: path for path in folder().iterdir() if path.suffix in TYPES}
    photographs = []
    for name, text in PHOTOGRAPHS.items():
        path = images.sample_path(name)
        address = f"photographs/{name}{path.suffix}"
        files[address] = path
        photographs.append({"name": name, "file": address, "text": text, "credit": images.credit(name)})
    files["weights/vgg16.npz"] = trunk
    about: dict[str, Any] = {"photographs": photographs, "trunk": versioned(trunk), "notebooks": notebooks}
    files["site.json"] = json.dumps(about | names(files)).encode()
    return files


def names(files: Files) -> dict[str, Any]:
    """The head that gives names, and the names; empty where it is not installed."""
    from course_utils import runtime
    from course_utils.networks import weight_files

    head = runtime.shipped("weights/names.npz")
    if not head.is_file():
        return {"names": None, "classes": []}
    files["weights/names.npz"] = head
    classes = weight_files.class_table(str(weight_files.card(head)["classes"]))[1]
    return {"names": versioned(head), "classes": classes}


def versioned(path: Path) -> str:
    """The address of a file of weights, another one for each version: tablets fetch it once and keep it."""
    return f"weights/{path.name}?{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def write(out: Path, files: Files) -> None:
    """Write all files below a folder."""
    for address, content in files.items():
        path = out / address
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copyfile(content, path)


# --- serving them ---------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Answers with the files of `site` and nothing else; the headers let the page use threads."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, files: Files) -> None:
        self.files = files
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Send a file."""
        address = self.path.partition("?")[0].lstrip("/") or "index.html"
        content = self.files.get(address)
        if content is None:
            self.send_error(404)
            return
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        self.send_response(200)
        self.send_header("Content-Type", TYPES[Path(address).suffix])
        self.send_header("Content-Length", str(size))
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "max-age=604800" if "?" in self.path else "no-cache")
        self.end_headers()
        opened = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
        with opened as file, suppress(ConnectionError):  # the page was closed or reloaded meanwhile
            shutil.copyfileobj(file, self.wfile, 1 << 20)

    def log_message(self, format: str, *values: Any) -> None:
        """Say nothing of each request."""


def server(files: Files, host: str = "127.0.0.1", port: int | None = None) -> ThreadingHTTPServer:
    """A server of the files, not started: at the port, or at `PORT` or any free one.

    Raises:
        OSError: the port is taken.
    """
    handler = partial(Handler, files=files)
    if port is None:
        try:
            return ThreadingHTTPServer((host, PORT), handler)
        except OSError:  # somebody else listens there
            port = 0
    return ThreadingHTTPServer((host, port), handler)


def own_address() -> str:
    """This machine's address in its network, found without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation; no packet is sent
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostbyname(socket.gethostname())


def qr_code(text: str) -> str:
    """A QR code of a text for a terminal, dark on light, two rows a line."""
    import cv2
    import numpy as np

    encoder = cv2.QRCodeEncoder.create()
    modules = np.pad(encoder.encode(text) > 0, 2, constant_values=True)
    rows = [*modules, np.ones(modules.shape[1], bool)]
    pairs = zip(rows[::2], rows[1::2], strict=False)
    signs = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
    return "\n".join("".join(signs[bool(a), bool(b)] for a, b in zip(*pair, strict=True)) for pair in pairs)
