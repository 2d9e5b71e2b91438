"""Networks that read what passes: what is said where a certificate is not trusted, or its file is missing."""

from __future__ import annotations

import http.server
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from course_utils import certificates
from course_utils.downloads import fetching
from course_utils.pictures import images


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that nobody has signed but itself, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl, to make a certificate")
    folder = tmp_path_factory.mktemp("firm")
    made, key = folder / "firm.pem", folder / "firm.key"
    options = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", made]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return made, key


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = images_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def images_bytes() -> bytes:
    return images.sample_path("flower").read_bytes()


@pytest.fixture
def server(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server with that certificate."""
    for name in (*certificates.VARIABLES, "SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    here = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    here.socket = context.wrap_socket(here.socket, server_side=True)
    threading.Thread(target=here.serve_forever, daemon=True).start()
    yield f"https://localhost:{here.server_address[1]}/flower.jpg"
    here.shutdown()


def fetch(url: str, folder: Path) -> Path:
    part = folder / "part"
    fetching.download(url, part, size=None, timeout=5, label=None)
    return part


def test_an_unknown_certificate_is_told_with_what_to_set(server: str, tmp_path: Path) -> None:
    for ask in (lambda: fetch(server, tmp_path), lambda: images.read(server)):
        with pytest.raises((fetching.Failed, OSError), match=r"not trusted .*schools.*SSL_CERT_FILE"):
            ask()


def test_the_systems_certificates_are_trusted(
    server: str, certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert fetch(server, tmp_path).read_bytes() == images_bytes()
    assert images.read(server).shape == images.sample("flower").shape


@pytest.mark.parametrize("name", certificates.VARIABLES)
def test_a_missing_certificate_file_is_told_as_such(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(tmp_path / "gone.pem"))
    with pytest.raises(fetching.Failed, match=rf"{name} names .*gone.pem, which does not exist"):
        fetch(server, tmp_path)
    with pytest.raises(OSError, match=r"gone.pem, which does not exist"):
        images.read(server)


def test_a_proxy_that_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(fetching.Failed, match=r"the proxy does not let it through.*HTTPS_PROXY"):
        fetch("https://example.invalid/x", tmp_path)


def test_other_errors_are_none_of_this() -> None:
    assert certificates.told(ValueError("no")) is None
