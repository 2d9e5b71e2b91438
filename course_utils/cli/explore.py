"""`course explore`: the page that runs the network in a browser. It lies in docs/explorer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from course_utils.cli import _explorer


def register(app: typer.Typer) -> None:
    """Add `course explore`."""
    app.command("explore")(explore)


def explore(
    lan: Annotated[bool, typer.Option("--lan", help="For other devices in the room, too.")] = False,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
    port: Annotated[int | None, typer.Option(help="Where the server listens.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the pages there, for any web server.")] = None,
) -> None:
    """See what a network sees: VGG-16 in a web page, on your own photographs, which stay on your device.

    With --lan, an address and its QR code for the tablets and phones in the room.
    """
    _explorer.run(lan, browser, port, out)
