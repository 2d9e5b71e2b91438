"""`course filters`: a sheet of what a layer's filters want to see."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils.cli import _outputs


def register(app: typer.Typer) -> None:
    """Add `course filters`."""
    app.command("filters")(filters)


def filters(
    layer: Annotated[str, typer.Argument(help="Such as block3_conv3, a number of 2016, or predictions.")],
    out: Annotated[Path, typer.Option(help="The sheet: .png, .jpg or .webp.")] = Path("filters.png"),
    recipe: Annotated[str, typer.Option(help="blog: as in 2016; clear: slower, easier to read.")] = "blog",
    which: Annotated[
        str | None, typer.Option("--filters", help="Indices such as 0,5,17; without it the best.")
    ] = None,
    best: Annotated[int, typer.Option(min=1, help="How many of the best to show.")] = 64,
    columns: Annotated[int, typer.Option(min=1, help="Pictures to a row.")] = 8,
    size: Annotated[int, typer.Option(min=1, help="Height and width of each, in pixels.")] = 128,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's own number.")] = None,
    weights: Annotated[
        str, typer.Option(help="original, course, or a weight file (.npz, .h5, .keras).")
    ] = "original",
    seed: Annotated[int, typer.Option(help="Of the noise at the start.")] = 0,
    overwrite: _outputs.Overwrite = False,
) -> None:
    """Find the pictures that excite a layer's filters most, and put them on one sheet."""
    from course_utils import filters as package
    from course_utils import runtime
    from course_utils.networks import pretrained
    from course_utils.pictures import images

    out = _outputs.file(out, suffixes=tuple(images.FORMATS), overwrite=overwrite)
    runtime.start(seed=seed)
    model = _model(weights, layer)
    changes: dict[str, Any] = {} if steps is None else {"steps": steps}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        optima = package.maximize(
            model,
            int(layer) if layer.isdigit() else layer,
            _indices(which),
            recipe=recipe,
            size=size,
            seed=seed,
            progress=True,
            **changes,
        )
    for each in said:
        print(f"note: {each.message}")
    chosen = optima if which else optima.best(best)
    images.save(out, package.sheet(chosen, columns))
    print(optima.note)
    print(f"{len(chosen)} of them, best first, in {out}" if not which else f"Written to {out}")
    print(pretrained.one_line(model, data="none: the pictures grow from noise"))


def _model(weights: str, layer: str):  # type: ignore[no-untyped-def]
    """The network, without its top where the layer does not need it, so that half a file will do."""
    from course_utils.features.layers import layer_name
    from course_utils.networks import pretrained, vgg16

    name = vgg16.OLD_INDEX.get(int(layer), layer) if layer.isdigit() else layer
    until = name if name in vgg16.LAYERS else None
    if until is None and name not in ("predictions", "fc1", "fc2"):
        layer_name(layer)  # says which there are
    return pretrained.load_vgg16(weights, until=until)


def _indices(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(each) for each in text.split(",")]
    except ValueError as error:
        raise ValueError(f"--filters {text}: give indices such as 0,5,17") from error
