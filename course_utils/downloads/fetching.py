"""One address, one file: a download that goes on where it stopped.

`assets` decides what to fetch from where, and checks what came.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
from pathlib import Path
from typing import Any

from course_utils import certificates

AGENT = "course_utils (teaching material)"
CHUNK = 64 * 1024  # bytes
WEB_PAGE = "it sent a web page instead of the file (perhaps the sign-in page of this network)"


class Failed(Exception):
    """One source did not deliver. `again`: trying it once more may help. `offline`: nobody answered."""

    def __init__(self, reason: str, *, again: bool = False, offline: bool = False) -> None:
        super().__init__(reason)
        self.again = again
        self.offline = offline


def download(url: str, part: Path, *, size: int | None, timeout: float, label: str | None) -> None:
    """Fetch `url` into `part`; when `part` exists, ask for the rest of it only.

    Args:
        url: http or https.
        part: an unfinished file; it stays when the download breaks off, so that the next try continues.
        size: bytes that the whole file must have, where known.
        timeout: seconds without a byte after which the source is given up.
        label: shown beside a progress bar with the time left; None for no bar.

    Raises:
        Failed: this source did not deliver, in words. OSError: the disk did not take it.
    """
    import requests  # comes with pooch
    import urllib3

    trouble = certificates.missing()
    if trouble:
        raise Failed(trouble)
    have = _already_there(part, size)
    if size is not None and have == size:
        return
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with requests.Session() as session:
            session.mount("https://", _adapter())
            with session.get(url, headers=headers, stream=True, timeout=timeout) as answer:
                start, whole = _checked(answer, part, have, size)
                _store(answer.raw, part, start, whole, label)
    except requests.exceptions.SSLError as error:
        raise Failed(certificates.UNTRUSTED) from error
    except requests.exceptions.ProxyError as error:
        raise Failed(
            f"the proxy does not let it through ({_innermost(error)}): the variables HTTPS_PROXY and "
            "NO_PROXY say which one is used",
            offline=True,
        ) from error
    except (requests.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
        raise Failed(f"it sent nothing for {timeout:g} seconds", again=True, offline=True) from error
    except requests.ConnectionError as error:
        raise Failed(f"no connection ({_innermost(error)})", again=False, offline=True) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Failed(f"the connection broke off ({_innermost(error)})", again=True) from error


def _adapter() -> Any:
    """Trusts what this system trusts, beside the certificates that `requests` brings."""
    from requests.adapters import HTTPAdapter

    class SystemsTrust(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, **options, ssl_context=ssl.create_default_context())

        def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
            return super().proxy_manager_for(*arguments, **options, ssl_context=ssl.create_default_context())

    return SystemsTrust()


def _already_there(part: Path, size: int | None) -> int:
    have = part.stat().st_size if part.is_file() else 0
    if size is not None and have > size:
        part.unlink()
        return 0
    return have


def _checked(answer: Any, part: Path, have: int, size: int | None) -> tuple[int, int | None]:
    """Where the answer's bytes belong, and how long the whole file will be; Failed when it is no good."""
    if answer.status_code == 416:  # there is nothing after what we have: start anew
        part.unlink(missing_ok=True)
        raise Failed("it could not continue", again=True)
    if answer.status_code not in (200, 206):
        busy = answer.status_code in (408, 429) or answer.status_code >= 500
        raise Failed(f"it answered {answer.status_code} {answer.reason}", again=busy)
    if "html" in answer.headers.get("Content-Type", ""):
        raise Failed(WEB_PAGE)
    continues = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(
        f"bytes {have}-"
    )
    start = have if continues else 0
    length = answer.headers.get("Content-Length", "")
    whole = start + int(length) if re.fullmatch(r"\d+", length) else None
    if size is not None and whole is not None and whole != size:
        raise Failed(f"it offers {whole:,} bytes, where {size:,} were expected")
    return start, whole if whole is not None else size


def _store(body: Any, part: Path, start: int, whole: int | None, label: str | None) -> None:
    """Write the body at `start`, with a progress bar, and check how much came."""
    from tqdm import tqdm

    bar = tqdm(total=whole, initial=start, unit="B", unit_scale=True, desc=label, leave=False,
               disable=label is None, file=sys.stderr, mininterval=0.5)  # fmt: skip
    got = start
    with bar, part.open("ab" if start else "wb") as file:
        for chunk in body.stream(CHUNK, decode_content=False):
            if got == 0 and chunk.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
                raise Failed(WEB_PAGE)
            file.write(chunk)
            got += len(chunk)
            bar.update(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    if whole is not None and got != whole:
        raise Failed(f"the connection broke off after {got:,} of {whole:,} bytes", again=got < whole)


def _innermost(error: BaseException) -> str:
    """The plain reason at the bottom of a chain of network errors."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
