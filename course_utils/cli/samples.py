"""`course samples`: which samples help, of your own pictures and masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from course_utils.cli import _outputs
from course_utils.cli.train import class_list, pixels

if TYPE_CHECKING:
    from course_utils.training.samples import Tried

FIRST_LINE = "set,pictures,class,precision,precision_low,precision_high,recall,recall_low,recall_high,iu,"
FIRST_LINE += "iu_low,iu_high"


def register(app: typer.Typer) -> None:
    """Add `course samples`."""
    app.command("samples")(samples)


def samples(
    images: Annotated[Path, typer.Option(help="Folder with pictures.", exists=True, file_okay=False)],
    masks: Annotated[
        Path,
        typer.Option(help="Folder with their masks, PNGs of the same names.", exists=True, file_okay=False),
    ],
    out: Annotated[Path, typer.Option(help="Folder for samples.csv and samples.png.")] = Path("out/samples"),
    classes: Annotated[str, typer.Option(help="Names, one a line in a file, or with commas.")] = "",
    about: Annotated[
        list[str] | None, typer.Option(help="A class whose pictures are added or left out; default each.")
    ] = None,
    ignore: Annotated[list[int] | None, typer.Option(help="A label that is not judged, besides 255.")] = None,
    size: Annotated[str, typer.Option(help="Resize all to N or HEIGHTxWIDTH pixels.")] = "160",
    steps: Annotated[int, typer.Option(min=1, help="Of each training, with 8 pictures each.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each set.")] = 3,
    overwrite: _outputs.Overwrite = False,
) -> None:
    """Which samples help? Precision and recall of each class, by number and kind of samples.

    Trains FCN-8s on a quarter, a half and all of the pictures, and on halves with many or few pictures of a
    class, always for the same number of steps and with the same weight for a pixel of each class, and judges
    on pictures that are kept out. Each three times; beside each mean stand the lowest and the highest. About
    ten seconds a training on two cores.
    """
    given = {"asked": tuple(about or ()), "steps": steps, "seeds": tuple(range(seeds))}
    make((images, masks), out, class_list(classes), ignore or (), pixels(size), given, overwrite)


def make(
    folders: tuple[Path, Path],
    out: Path,
    classes: Sequence[str] | None,
    ignore: Sequence[int],
    size: Any,
    plan: dict[str, Any],
    overwrite: bool = False,
) -> list[Tried]:
    """What the command does; returns what was tried."""
    target = _outputs.folder(out, ["samples.png"], overwrite=overwrite)
    table = _outputs.file(out / "samples.csv", overwrite=overwrite, first_line=FIRST_LINE)
    from course_utils.datasets import masks_from_folders
    from course_utils.pictures import images
    from course_utils.training import samples as comparing

    read = masks_from_folders(*folders, class_names=classes, ignore=ignore, size=size)
    names = read.mask_names
    found = comparing.compare(read.images, read.masks, names, comparing.Plan(**plan), say=typer.echo)
    comparing.write(table, found, names)
    images.save(target / "samples.png", chart(found, names))
    for each in found:
        mean, low, high = each.mean_iu()
        typer.echo(f"{each.name:>36}  mean IU {mean:.2f} ({low:.2f} to {high:.2f})")
    typer.echo(f"{table}: precision, recall and IU of each class")
    return found


def chart(found: Sequence[Tried], names: Sequence[str]) -> Any:
    """Precision and recall of each class but the background, for every set, with the spread of the seeds.

    Returns:
        The drawing, uint8 (h, w, 3).
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from course_utils.pictures import palette

    figure = Figure(figsize=(10, 1.6 + 0.4 * len(found)), dpi=120, layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    colours, rows = palette.class_colours(names), np.arange(len(found))
    for ax, title in zip(axes, ("precision", "recall"), strict=True):
        for number, name in enumerate(names):
            if name == "background":
                continue
            values = np.array([each.of_class(title, number) for each in found])
            heights = rows + 0.6 * (number / len(names) - 0.5)
            spread = np.abs(values[:, :1] - values[:, 1:]).T
            ax.errorbar(values[:, 0], heights, xerr=spread, fmt="o", ms=5, color=colours[number], label=name)
        ax.set_title(title)
        ax.set_xlim(-0.03, 1.03)
    axes[0].set_yticks(rows, [each.name for each in found])
    axes[0].invert_yaxis()
    figure.suptitle("mean of the seeds, and from the lowest to the highest", fontsize=10)
    key = axes[0].get_legend_handles_labels()
    figure.legend(*key, loc="outside lower center", ncols=min(6, len(key[1])), fontsize=9)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
