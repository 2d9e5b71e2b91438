"""The explorer's files, and a small server for them. Standard library only, and old Pythons too.

So that `python3 course.py explore` shows the page before anything is installed: `course.py` then runs this
file by itself. `cli/explore.py` is the command of the installed course.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import json
import shutil
import socket
import webbrowser
import zipfile
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

TITLE = b"<title>See what a network sees</title>"  # by which our page is known
PORT = 8460
PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = (PACKAGE / "_data").is_dir()
DATA = PACKAGE / "_data" if INSTALLED else PACKAGE.parent / "data"
WEIGHTS = DATA / "weights"
PAGE = DATA / "explorer" if INSTALLED else PACKAGE.parent / "docs" / "explorer"
TYPES = {
    ".bin": "application/octet-stream",
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
}

if TYPE_CHECKING:
    Files = dict[str, Path | bytes]


def run(lan: bool = False, browser: bool = True, port: int | None = None, out: Path | None = None) -> None:
    """What `course explore` does; see there."""
    files = site()
    if out is not None:
        write(out, files)
        print(f"{len(files)} files in {out}; any web server can publish them")
        return
    with server(files, "0.0.0.0" if lan else "127.0.0.1", port) as running:
        address = f"http://127.0.0.1:{running.server_port}/"
        print(f"The explorer is at {address} (Ctrl+C ends it)", flush=True)
        if lan:
            elsewhere = f"http://{own_address()}:{running.server_port}/"
            print(f"In this room: {elsewhere}\n{qr_code(elsewhere)}", flush=True)
        if browser:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):
            running.serve_forever()


# --- what the page consists of --------------------------------------------------------------------------


def site(notebooks: str = "") -> Files:
    """Everything that the page asks for: {path in the address: the file, or its content}.

    Args:
        notebooks: where the book's pages of the notebooks are, seen from the page; "" if nowhere.

    Raises:
        FileNotFoundError: the trunk of the network or the page itself is missing.
    """
    for needed in (WEIGHTS / "vgg16.npz", PAGE / "index.html"):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} is missing: get the course again")
    files: Files = {
        path.relative_to(PAGE).as_posix(): path for path in PAGE.rglob("*") if path.suffix in TYPES
    }
    about: dict[str, Any] = {
        "classes": [],
        "centres": [],
        "street": [],
        "notebooks": notebooks,
        "weights": {},
    }
    about["photographs"] = read(PAGE / "photographs.json")
    for name in ("vgg16", "names", "boxes", "colours", "streets"):
        if (WEIGHTS / f"{name}.npz").is_file():
            about["weights"][name] = add_weights(files, WEIGHTS / f"{name}.npz")
    if "names" in about["weights"]:
        listed = DATA / read(WEIGHTS / "names.json")["classes"]
        about["classes"] = [name for _, name in read(listed)]
    if "colours" in about["weights"]:
        about["centres"] = read(WEIGHTS / "colours.json")["bins"]["centres"]
    if "boxes" in about["weights"]:
        card = read(WEIGHTS / "boxes.json")
        about["boxes"] = {key: card[key] for key in ("class_names", "input_size", "asked")}
    if "streets" in about["weights"]:
        about["street"] = read(WEIGHTS / "streets.json")["class_names"]
    about["atlas"] = atlas(files)
    files["site.json"] = json.dumps(about).encode()
    return files


def atlas(files: Files) -> dict[str, Any] | None:
    """What filters want to see most (notebook 08): the poster, and where each tile stands on it."""
    folder = DATA / "runs" / "filters_atlas" / "figures"
    if not (folder / "tiles.json").is_file():
        return None
    files["atlas/poster.webp"] = folder / "poster.webp"
    layers: dict[str, dict[str, list[int]]] = {}
    for tile in read(folder / "tiles.json"):
        layers.setdefault(tile["layer"], {})[tile["filter"]] = [tile["x"], tile["y"], tile["size"]]
    return {"file": "atlas/poster.webp", "layers": layers}


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def add_weights(files: Files, path: Path) -> dict[str, Any]:
    """Add an npz of float16 arrays as the page reads it while it arrives: their numbers, one after another.

    Returns:
        Its address, another one for each version (tablets fetch it once and keep it); how many bytes; and
        each array's name and shape.

    Raises:
        ValueError: an array holds something else.
    """
    arrays, parts = [], []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            start = 10 + int.from_bytes(content[8:10], "little")  # npy format, version 1.0
            head = ast.literal_eval(content[10:start].decode("latin1"))
            if head["descr"] != "<f2":
                raise ValueError(f"{path.name}: {name} is not float16")
            arrays.append([name[: -len(".npy")], head["shape"]])
            numbers = content[start:]
            parts.append(last_axis_first(numbers, head["shape"]) if head["fortran_order"] else numbers)
    address = f"weights/{path.stem}.bin"
    files[address] = content = b"".join(parts)
    version = hashlib.sha256(content).hexdigest()[:12]
    return {"file": f"{address}?{version}", "bytes": len(content), "arrays": arrays}


def last_axis_first(numbers: bytes, shape: tuple[int, ...]) -> bytes:
    """Numbers of two bytes in Fortran's order, where the first axis runs fastest, in C's."""
    values = memoryview(numbers).cast("H")
    steps = [1]
    for length in shape[:-1]:
        steps.append(steps[-1] * length)
    starts = product(*(range(0, n * step, step) for n, step in zip(shape[:-1], steps)))  # noqa: B905
    return b"".join(values[sum(start) :: steps[-1]].tobytes() for start in starts)


def write(out: Path, files: Files) -> None:
    """Write all files below a folder, each whole or not at all.

    Raises:
        OSError: there is another page in the folder, it can't be written, or the disk is full.
    """
    page = out / "index.html"
    if page.is_file() and TITLE not in page.read_bytes():
        raise FileExistsError(f"{page} is another page: choose another folder with --out")
    for address, content in files.items():
        path = out / address
        beside = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
            beside.replace(path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            raise OSError(
                f"could not write {path} ({error.strerror}): make room, or choose another folder with --out"
            ) from error


# --- serving them ---------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Answers with the files of `site` and nothing else; the headers let the page use threads."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, files: Files) -> None:
        self.files = files
        super().__init__(*arguments)

    def handle(self) -> None:
        """Answer the requests of one connection, until the browser ends it, also rudely."""
        with suppress(ConnectionError):
            super().handle()

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
    """A QR code of a text for a terminal, two rows a line; "" before OpenCV is installed."""
    try:
        import cv2
        import numpy as np
    except ImportError:
        return ""
    modules = np.pad(cv2.QRCodeEncoder.create().encode(text) > 0, 2, constant_values=True)
    rows = [*modules, np.ones(modules.shape[1], bool)]
    pairs = zip(rows[::2], rows[1::2])  # noqa: B905 (old Pythons)
    signs = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
    return "\n".join("".join(signs[bool(a), bool(b)] for a, b in zip(*pair)) for pair in pairs)  # noqa: B905


def main(arguments: list[str] | None = None) -> None:
    """The command before the course is installed."""
    parser = argparse.ArgumentParser(prog="course.py explore")
    parser.add_argument("--lan", action="store_true", help="for other devices in the room, too")
    parser.add_argument("--no-browser", action="store_true", help="open no browser window")
    parser.add_argument("--port", type=int, help="where the server listens")
    parser.add_argument("--out", type=Path, help="write the pages there, for any web server")
    asked = parser.parse_args(arguments)
    try:
        run(asked.lan, not asked.no_browser, asked.port, asked.out)
    except OSError as error:
        parser.exit(1, f"course: {error}\n")


if __name__ == "__main__":
    main()
