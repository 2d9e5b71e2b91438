"""Networks that read what passes, as those of schools and firms do, and what to say about them.

Such a network answers with a certificate of its own, which the machine must be told to trust.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
UNTRUSTED = (
    "its certificate is not trusted on this machine: the network seems to read what passes (schools and "
    "firms do so), or the clock is wrong. Ask whoever runs the network for its certificate, and let "
    "SSL_CERT_FILE and REQUESTS_CA_BUNDLE name that file"
)


def missing() -> str | None:
    """The sentence where a variable names a certificate file that is not there."""
    for name in VARIABLES:
        path = os.environ.get(name)
        if path and not Path(path).exists():
            return f"{name} names {path}, which does not exist: correct it, or unset it"
    return None


def told(error: BaseException) -> str | None:
    """The sentence for an error that comes from a certificate; None for any other."""
    below: BaseException | None = error
    for _ in range(10):
        if below is None:
            return None
        if isinstance(below, ssl.SSLError):
            return missing() or UNTRUSTED
        reason = getattr(below, "reason", None)  # of urllib's URLError
        below = reason if isinstance(reason, BaseException) else below.__cause__ or below.__context__
    return None
