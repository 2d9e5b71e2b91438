"""`course probe`: how much the feature maps know, measured with a linear classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add `course probe`."""
    app.command()(probe)


def probe(
    cifar: Annotated[Path | None, typer.Option(help="Folder with CIFAR-10's binary files.")] = None,
) -> None:
    """A linear probe on CIFAR-10: both VGG-16s beside random weights of their widths, and raw pixels."""
    from experiments import probe as recipe

    run = recipe.run(cifar)
    for group in (run.metrics, run.baselines):
        for name, value in group.items():
            pairs = value.items() if isinstance(value, dict) else [("", value)]
            for layer, accuracy in pairs:
                typer.echo(f"{name:>28}  {layer:<14} {accuracy:.3f}")
