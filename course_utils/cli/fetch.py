"""`course fetch`: what can be downloaded, and downloading it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add `course fetch`."""
    app.command("fetch")(fetch)


def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="What to get; without it, what there is.")
    ] = None,
    accept_unverified: Annotated[
        bool, typer.Option(help="Take a file that nobody published a hash of; what comes is recorded.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Begin without a question.")] = False,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take it from this file instead.")
    ] = None,
) -> None:
    """Download the original weights and the real data sets. The course runs without any of them.

    Every file is compared with its hash. A download that was stopped goes on where it was.
    """
    from course_utils.downloads import assets

    if not names:
        _list()
        return
    for name in names:
        assets.lookup(name)  # a wrong name is told before anything is fetched
    if source is not None:
        if len(names) != 1:
            raise ValueError("--from takes the one file of one name")
        _tell(names[0], assets.add(names[0], source))
        return
    wanted = [name for name in names if assets.locate(name) is None]
    if wanted and not yes and not _agreed(wanted):
        print("Nothing was fetched. With --yes there is no question.", file=sys.stderr)
        raise typer.Exit(1)
    try:
        for name in names:
            _tell(name, assets.fetch(name, accept_unverified=accept_unverified))
    except KeyboardInterrupt:
        print("Stopped. What came is kept; the same command goes on from there.", file=sys.stderr)
        raise typer.Exit(130) from None


def _agreed(names: list[str]) -> bool:
    """Say how large each is and under which terms, and ask."""
    from course_utils.downloads import assets

    for name in names:
        asset = assets.lookup(name)
        typer.echo(f"{name}: {asset.size}. {asset.about}\n  Licence: {asset.licence}")
    if not sys.stdin or not sys.stdin.isatty():
        return False
    return typer.confirm(f"Download into {assets.cache_dir()}?", default=True)


def _tell(name: str, path: Path) -> None:
    from course_utils.downloads import assets

    asset = assets.lookup(name)
    print(f"{name}: {path}\n  {asset.about}\n  Licence: {asset.licence}\n  Cite: {asset.citation}")


def _list() -> None:
    """A table of everything, with size, licence, and whether it is on this machine."""
    from rich.console import Console
    from rich.table import Table

    from course_utils.downloads import assets

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "here", "size", "what", "licence"):
        right = column == "size"
        table.add_column(column, justify="right" if right else "left", no_wrap=column in ("name", "size"))
    for name, asset in assets.REGISTRY.items():
        table.add_row(name, "yes" if assets.locate(name) else "–", asset.size, asset.about, asset.licence)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"\nDownloads lie in {assets.cache_dir()}", soft_wrap=True)
    console.print("Get one: course fetch NAME")
