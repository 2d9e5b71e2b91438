"""Downloads against a local server that misbehaves in every way, and archives that do."""

from __future__ import annotations

import errno
import hashlib
import http.server
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from course_utils import files
from course_utils.cli import fetch as fetch_command
from course_utils.downloads import archives, assets
from course_utils.downloads import fetching as downloads

CONTENT = hashlib.sha256(b"seed").digest() * 10_000  # 320,000 bytes
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
HALF = 160_000


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; the first part of the path says what goes wrong. Remembers each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.release = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        first = sum(path == self.path for path, _ in self.server.asked) == 1
        start = int(wanted[6:-1]) if wanted and self.path not in ("/forgetful", "/cut") else 0
        body = CONTENT[start:]
        if self.path == "/missing" or (self.path == "/busy" and first):
            self.send_error(404 if self.path == "/missing" else 503)
            return
        if self.path == "/exhausted" and wanted:
            self.send_error(416)
            return
        if self.path == "/page":
            body = b"<!DOCTYPE html><html>Please sign in</html>".ljust(len(CONTENT))
        if self.path == "/wrong":
            body = body[:-1] + b"?"
        if self.path == "/short":
            body = body[:HALF]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Type", "text/html" if self.path == "/typed" else "application/octet-stream")
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.write(
            body,
            breaks=self.path == "/cut" or (first and self.path in ("/breaks", "/forgetful", "/exhausted")),
        )

    def write(self, body: bytes, breaks: bool) -> None:
        if breaks:
            body = body[:HALF]
        if self.path == "/stall":
            self.wfile.write(body[: max(0, len(body) - HALF)])  # never the second half
            self.server.release.wait(10)
        elif self.path == "/slow":
            for place in range(0, len(body), 40_000):
                self.wfile.write(body[place : place + 40_000])
                if self.server.release.wait(0.2):
                    return
        else:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.release.set()
        running.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own cache and Keras folder for each test, and no pause between tries."""
    monkeypatch.setenv("COURSE_UTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(assets, "PAUSE", 0)
    return tmp_path / "cache"


@pytest.fixture
def thing(server: Server, monkeypatch: pytest.MonkeyPatch) -> Thing:
    return Thing(server, monkeypatch)


class Thing:
    """The asset called "thing", at the addresses that a test chooses."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.monkeypatch = server, monkeypatch
        self.asset = assets.Asset("thing", "a test", "thing.bin", (), "MIT", "", SHA256, len(CONTENT))

    def at(self, *paths: str, **changes: object) -> None:
        urls = tuple(path if "//" in path else self.server.url(path) for path in paths)
        self.asset = replace(self.asset, urls=urls, **changes)
        self.monkeypatch.setattr(assets, "REGISTRY", MappingProxyType({"thing": self.asset}))

    def fetch(self, **options: object) -> Path:
        return assets.fetch("thing", progress=False, **({"timeout": 5} | options))


def finished_files(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.glob("thing/*") if p.is_file() and p.name != ".lock")


def assert_nothing_usable(cache: Path) -> None:
    assert assets.find("thing") is None
    assert finished_files(cache) == []


# --- going well -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hash_", [SHA256, MD5])
@pytest.mark.parametrize("path", ["good", "unsized"])
def test_fetch_once_then_never_again(thing: Thing, cache: Path, path: str, hash_: str) -> None:
    thing.at(path, hash=hash_)
    assert assets.find("thing") is None
    got = thing.fetch()
    assert got == cache / "thing" / "thing.bin" and got.read_bytes() == CONTENT
    assert got.stat().st_mode & 0o044 == 0o044  # others may use a shared cache
    thing.server.shutdown()
    assert thing.fetch() == got == assets.find("thing") == assets.locate("thing")
    assert len(thing.server.asked) == 1
    assert not (cache / "thing" / "unfinished").exists()
    record = json.loads((cache / "thing" / "record.json").read_text())
    assert record["sha256"] == SHA256 and record["source"] == thing.server.url(path)


def test_a_progress_bar_with_the_time_left(thing: Thing, capsys: pytest.CaptureFixture[str]) -> None:
    thing.at("slow", bytes=None)
    assets.fetch("thing")
    shown = capsys.readouterr().err
    assert "thing.bin" in shown and "kB/s" in shown and "<00:0" in shown


def test_the_registry_is_complete() -> None:
    for name, asset in assets.REGISTRY.items():
        assert (
            asset.urls
            and all(url.startswith("http") for url in asset.urls)
            and asset.licence
            and asset.citation
        )
        assert asset.hash is None or asset.hash.split(":")[0] in ("sha256", "md5")
        assert (
            asset.hash is None
            or len(asset.hash.split(":")[1]) == {"sha256": 64, "md5": 32}[asset.hash.split(":")[0]]
        )
        assert asset.name == name and Path(asset.file).name == asset.file
    assert {"vgg16", "vgg16_no_top", "imagenet_classes", "cifar10", "camvid", "caltech101", "voc2012"} <= set(
        assets.REGISTRY
    )


def test_the_weights_have_the_addresses_and_hashes_of_keras() -> None:
    source = Path(__import__("importlib.util").util.find_spec("keras").origin).parent / "src" / "applications"
    text = (source / "vgg16.py").read_text() + (source / "imagenet_utils.py").read_text()
    text = text.replace('"\n    "', "")
    for name in ("vgg16", "vgg16_no_top", "imagenet_classes"):
        asset = assets.REGISTRY[name]
        assert asset.urls[0] in text
        assert asset.hash.removeprefix("md5:") in text


def test_unknown_name() -> None:
    for function in (assets.fetch, assets.find, assets.locate, assets.unpack):
        with pytest.raises(ValueError, match="did you mean 'cifar10'"):
            function("cifar")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_UTILS_CACHE", "~/shared")
    assert assets.cache_dir() == Path.home() / "shared"
    monkeypatch.delenv("COURSE_UTILS_CACHE")
    assert assets.cache_dir().name == "course_utils"


# --- sources that do not deliver ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("wrong", "hash does not match"),
        ("short", "offers 160,000 bytes, where 320,000"),
        ("cut", "broke off"),
        ("page", "web page"),
        ("typed", "web page"),
        ("missing", "404"),
    ],
)
def test_a_bad_source_is_named_then_the_second_one_is_used(
    thing: Thing, cache: Path, path: str, words: str
) -> None:
    thing.at(path)
    with pytest.raises(OSError, match=words) as caught:
        thing.fetch()
    message = str(caught.value)
    for part in ("thing.bin", str(cache / "thing"), thing.server.url(path), "course fetch thing --from FILE"):
        assert part in message
    assert "no network" not in message
    assert_nothing_usable(cache)
    thing.at(path, "good")
    assert thing.fetch().read_bytes() == CONTENT


def test_a_short_body_of_unknown_length(thing: Thing, cache: Path) -> None:
    thing.at("short", bytes=None)
    with pytest.raises(OSError, match="hash does not match"):
        thing.fetch()
    assert_nothing_usable(cache)


@pytest.mark.parametrize("path", ["breaks", "forgetful", "exhausted", "busy"])
def test_a_broken_connection_is_taken_up_again(thing: Thing, path: str) -> None:
    thing.at(path)
    assert thing.fetch().read_bytes() == CONTENT
    ranges = [wanted for _, wanted in thing.server.asked]
    assert ranges[:2] == [None, None if path == "busy" else f"bytes={HALF}-"]


def test_what_came_is_kept_and_continued_next_time(thing: Thing, cache: Path) -> None:
    thing.at("stall")
    with pytest.raises(OSError, match=r"sent nothing for 0\.2 seconds"):
        thing.fetch(timeout=0.2)
    assert_nothing_usable(cache)
    thing.at("good")
    assert thing.fetch().read_bytes() == CONTENT
    assert thing.server.asked[-1][1] is not None


def test_a_spoilt_part_is_thrown_away(thing: Thing, cache: Path) -> None:
    part = cache / "thing" / "unfinished" / "thing.bin.part"
    for spoilt in (b"?" * 1000, b"?" * len(CONTENT), b"?" * (len(CONTENT) + 5)):
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(spoilt)
        thing.at("good")
        assert thing.fetch().read_bytes() == CONTENT
        (cache / "thing" / "thing.bin").unlink()


def test_no_network(thing: Thing, cache: Path) -> None:
    thing.at("http://127.0.0.1:9/thing.bin", "http://no-such-host.invalid/thing.bin")
    with pytest.raises(OSError, match="no network") as caught:
        thing.fetch(timeout=1)
    assert "127.0.0.1:9" in str(caught.value) and "The course runs without it" in str(caught.value)
    assert_nothing_usable(cache)


# --- a file without a hash ------------------------------------------------------------------------------


def test_without_a_hash_only_what_was_accepted_once(
    thing: Thing, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thing.at("breaks", hash=None, bytes=None)
    with pytest.raises(ValueError, match="--accept-unverified"):
        thing.fetch()
    assert thing.server.asked == []
    got = thing.fetch(accept_unverified=True)
    assert SHA256 in capsys.readouterr().out and got.read_bytes() == CONTENT
    assert thing.fetch() == got
    got.write_bytes(b"another")
    assert assets.find("thing") is None
    assert all(wanted is None for _, wanted in thing.server.asked)  # unverifiable pieces are never joined


# --- the disk -------------------------------------------------------------------------------------------


def test_unwritable_cache(thing: Thing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_UTILS_CACHE", str(tmp_path / "file"))
    thing.at("good")
    with pytest.raises(OSError, match="set COURSE_UTILS_CACHE to a folder of yours") as caught:
        thing.fetch()
    assert str(tmp_path / "file" / "thing") in str(caught.value)
    assert thing.server.asked == []


def test_a_read_only_cache_that_is_filled_works(
    thing: Thing, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing.at("good")
    (cache / "thing").mkdir(parents=True)
    (cache / "thing" / "thing.bin").write_bytes(CONTENT)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(assets, "_write_record", refuse)
    assert thing.fetch() == cache / "thing" / "thing.bin"
    assert finished_files(cache) == ["thing.bin"] and thing.server.asked == []


def test_too_little_space_is_told_before_the_download(
    thing: Thing, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing.at("good")
    usage = shutil.disk_usage(cache.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=len(CONTENT) - 1))
    with pytest.raises(OSError, match=r"disk is full: thing\.bin.*COURSE_UTILS_CACHE") as caught:
        thing.fetch()
    assert caught.value.errno == errno.ENOSPC and thing.server.asked == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_disk_full_in_the_middle(thing: Thing, cache: Path) -> None:
    part = cache / "thing" / "unfinished" / "thing.bin.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    thing.at("good", "good")
    with pytest.raises(OSError, match="disk is full"):
        thing.fetch()
    assert_nothing_usable(cache)
    assert not part.is_symlink() and len(thing.server.asked) == 1
    assert thing.fetch().read_bytes() == CONTENT


def test_a_file_that_rots_is_not_used_and_is_fetched_again(thing: Thing) -> None:
    thing.at("good")
    got = thing.fetch()
    got.write_bytes(CONTENT[:-1] + b"?")
    assert assets.locate("thing") == got and assets.find("thing") is None
    got.write_bytes(CONTENT[:-1])
    assert assets.locate("thing") is None and assets.find("thing") is None
    assert thing.fetch().read_bytes() == CONTENT


def test_a_finished_download_survives_what_comes_after(thing: Thing, cache: Path) -> None:
    thing.at("good")
    got = thing.fetch()
    (cache / "thing" / "record.json").write_text("{ spoilt")
    (cache / "thing" / "unfinished").mkdir()
    (cache / "thing" / "unfinished" / "tmpabc").write_text("of a killed process")
    thing.at("missing")
    assert thing.fetch() == got and assets.find("thing") == got


# --- files from elsewhere -------------------------------------------------------------------------------


def test_what_keras_has_is_used_if_it_is_right(thing: Thing, tmp_path: Path) -> None:
    theirs = tmp_path / "keras" / "models" / "thing.bin"
    theirs.parent.mkdir(parents=True)
    thing.at("good", keras="models/thing.bin")
    theirs.write_bytes(CONTENT[:-1] + b"?")  # Keras leaves a file with a wrong hash where it is
    assert assets.find("thing") is None
    theirs.write_bytes(CONTENT)
    assert assets.find("thing") == theirs == thing.fetch()
    assert thing.server.asked == []


def test_add_takes_a_file_from_a_stick(thing: Thing, cache: Path, tmp_path: Path) -> None:
    thing.at("missing")
    stick = tmp_path / "stick.bin"
    with pytest.raises(FileNotFoundError, match=r"stick\.bin"):
        assets.add("thing", stick)
    stick.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match="not kept"):
        assets.add("thing", stick)
    assert_nothing_usable(cache)
    stick.write_bytes(CONTENT)
    assert assets.add("thing", stick) == assets.find("thing") == cache / "thing" / "thing.bin"
    assert stick.exists()


# --- more than one process ------------------------------------------------------------------------------

CHILD = """
import json, sys
from types import MappingProxyType
from course_utils.downloads import assets
entry = json.loads(sys.argv[1])
assets.REGISTRY = MappingProxyType({"thing": assets.Asset(**entry | {"urls": tuple(entry["urls"])})})
print(assets.fetch("thing", progress=False, timeout=5))
"""


def start_child(thing: Thing) -> subprocess.Popen[str]:
    entry = {field: getattr(thing.asset, field) for field in thing.asset.__dataclass_fields__}
    arguments = [sys.executable, "-c", CHILD, json.dumps(entry)]
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )


def wait_until(condition: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_in_the_middle_then_continued(thing: Thing, cache: Path) -> None:
    thing.at("slow")
    child = start_child(thing)
    part = cache / "thing" / "unfinished" / "thing.bin.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 0)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert_nothing_usable(cache)
    thing.at("good")
    assert thing.fetch().read_bytes() == CONTENT
    assert thing.server.asked[-1][1].startswith("bytes=")
    assert not (cache / "thing" / "unfinished").exists()


def test_two_processes_at_once_download_once(thing: Thing, cache: Path) -> None:
    thing.at("slow")
    children = [start_child(thing) for _ in range(2)]
    wait_until(lambda: thing.server.asked)
    outputs = [child.communicate(timeout=60) for child in children]
    assert [out.strip() for out, _ in outputs] == [str(cache / "thing" / "thing.bin")] * 2
    assert len(thing.server.asked) == 1


def test_the_lock_excludes_and_says_so(tmp_path: Path) -> None:
    told, order = [], []
    with files.lock(tmp_path / ".lock"):

        def second() -> None:
            with files.lock(tmp_path / ".lock", lambda: told.append("waiting")):
                order.append("second")

        thread = threading.Thread(target=second)
        thread.start()
        wait_until(lambda: told)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"] and told == ["waiting"]


# --- archives -------------------------------------------------------------------------------------------


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), "/etc/passwd"
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_unpack(tmp_path: Path, name: str) -> None:
    members = {"set/1.bin": b"one", "set/deep/2.bin": CONTENT, "./readme": b""}
    make = make_zip if name == "a.zip" else make_tar
    folder = archives.unpack(make(tmp_path / name, members), tmp_path / "out")
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        "set/1.bin",
        "set/deep/2.bin",
        "readme",
    }
    assert (folder / "set/deep/2.bin").read_bytes() == CONTENT


EVIL = ["../evil", "set/../../evil", "/tmp/evil", "..\\evil", "C:\\evil", "C:evil", "\\\\server\\evil"]


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("name", EVIL)
def test_names_that_lead_out_are_refused(tmp_path: Path, make: object, name: str) -> None:
    archive = make(tmp_path / "set.archive", {"good.txt": b"good", name: b"evil"})
    (tmp_path / "box").mkdir()
    with pytest.raises(ValueError, match="lead out of the folder") as caught:
        archives.unpack(archive, tmp_path / "box" / "out")
    assert str(archive) in str(caught.value)
    assert list((tmp_path / "box").iterdir()) == [] and not (tmp_path / "evil").exists()


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        with pytest.raises(ValueError, match="Do not trust"):
            archives.unpack(make_tar(tmp_path / "a.tar", {"link": b""}, kind), tmp_path / "out")
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="Do not trust"):
        archives.unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_damaged_archives(tmp_path: Path, name: str) -> None:
    noise = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(256))
    whole = (make_zip if name == "a.zip" else make_tar)(
        tmp_path / name, {"1": noise, "2": noise}
    ).read_bytes()
    spoilt = bytearray(whole)
    spoilt[len(whole) // 3 : len(whole) // 3 + 1000] = b"?" * 1000
    for content in (
        b"",
        b"no archive",
        whole[: len(whole) // 2],
        *([bytes(spoilt)] if name != "a.tar" else []),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="fetch it again"):
            archives.unpack(tmp_path / name, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_unpack_an_asset_once(thing: Thing, cache: Path, tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "thing.bin", {"a/b.txt": b"hello"})
    thing.at("missing", bytes=None, hash="sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest())
    assets.add("thing", archive)
    (cache / "thing" / ".unpacked.killed").mkdir()
    folder = assets.unpack("thing")
    assert (folder / "a" / "b.txt").read_bytes() == b"hello"
    assert not (cache / "thing" / ".unpacked.killed").exists()
    (cache / "thing" / "thing.bin").unlink()
    assert assets.unpack("thing") == folder


# --- the command ----------------------------------------------------------------------------------------


def run_fetch(*arguments: str) -> Result:
    app = typer.Typer()
    fetch_command.register(app)
    return CliRunner().invoke(app, list(arguments))


def test_command_without_a_name_lists_everything(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = run_fetch()
    assert result.exit_code == 0 and str(cache) in result.output
    for name, asset in assets.REGISTRY.items():
        assert any(line.startswith(f"{name} ") and asset.size in line for line in result.output.splitlines())
    assert "yes" not in result.output


def test_command_fetches_and_tells_the_licence(thing: Thing, cache: Path, tmp_path: Path) -> None:
    thing.at("good")
    asked = run_fetch("thing")
    assert asked.exit_code == 1 and "Licence: MIT" in asked.output and "--yes" in asked.output
    assert assets.locate("thing") is None
    result = run_fetch("thing", "--yes")
    assert result.exit_code == 0 and str(cache / "thing" / "thing.bin") in result.output
    assert "Licence: MIT" in result.output
    assert "yes" in run_fetch().output


def test_command_takes_a_file(thing: Thing, cache: Path, tmp_path: Path) -> None:
    thing.at("missing")
    (tmp_path / "mine").write_bytes(CONTENT)
    assert run_fetch("thing", "--from", str(tmp_path / "mine")).exit_code == 0
    assert assets.find("thing") == cache / "thing" / "thing.bin"
    assert isinstance(run_fetch("thing", "thing", "--from", "x").exception, ValueError)


def test_command_with_unverified_files_and_wrong_names(thing: Thing) -> None:
    thing.at("good", hash=None)
    assert isinstance(run_fetch("thing", "--yes").exception, ValueError)
    assert isinstance(run_fetch("thing", "nonsense", "--accept-unverified").exception, ValueError)
    assert thing.server.asked == []
    result = run_fetch("thing", "--yes", "--accept-unverified")
    assert result.exit_code == 0 and SHA256 in result.output


def test_command_interrupted(thing: Thing, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    thing.at("good")
    monkeypatch.setattr(downloads, "download", interrupt)
    result = run_fetch("thing", "--yes")
    assert result.exit_code == 130 and "goes on from there" in result.output
