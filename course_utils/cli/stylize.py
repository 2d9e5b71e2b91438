"""`course stylize`: paint a photograph in the style of an artwork."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from course_utils.cli import _outputs

if TYPE_CHECKING:
    import numpy as np


def register(app: typer.Typer) -> None:
    """Add `course stylize`."""
    app.command("stylize")(stylize)


def stylize(
    content: Annotated[str, typer.Argument(help="The photograph: a file, an address, or a sample's name.")],
    style: Annotated[str, typer.Argument(help="The artwork: a file, an address, or one of ours.")],
    out: Annotated[Path, typer.Option(help="The picture to write (.png, .jpg, .webp).")],
    size: Annotated[int, typer.Option(help="Longer side of the result in pixels.")] = 384,
    steps: Annotated[int, typer.Option(help="How often the picture is changed.")] = 100,
    alpha: Annotated[float, typer.Option(help="Weight of the content.")] = 1.0,
    beta: Annotated[
        float | None, typer.Option(help="Weight of the style; found by itself if left out.")
    ] = None,
    variation: Annotated[
        float | None, typer.Option(help="Weight of the total variation (smoothness); a little if left out.")
    ] = None,
    init: Annotated[str, typer.Option(help="Start from photo, artwork or noise.")] = "photo",
    content_layers: Annotated[str, typer.Option(help="Names, with commas between.")] = "",
    style_layers: Annotated[str, typer.Option(help="Names, with commas between.")] = "",
    colours: Annotated[
        str, typer.Option(help="recoloured or artwork; matched or luminance keep the photograph's.")
    ] = "recoloured",
    style_scale: Annotated[
        float | None, typer.Option(help="Smaller makes finer strokes; the artwork's own if left out.")
    ] = None,
    optimizer: Annotated[str, typer.Option(help="lbfgs or adam.")] = "lbfgs",
    normalization: Annotated[str, typer.Option(help="paper, mean, keras or pytorch.")] = "paper",
    weights: Annotated[str, typer.Option(help="original, course, or a weight file.")] = "original",
    pooling: Annotated[str, typer.Option(help="average, as in the paper, or max.")] = "average",
    precision: Annotated[str, typer.Option(help="auto, float32 or mixed_bfloat16.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    overwrite: _outputs.Overwrite = False,
) -> None:
    """Paint a photograph in the style of an artwork (Gatys et al., 2015).

    Ours: night_wind, woodcut_wave, mosaic, ink, geometry, watercolour, stained_glass, dots. Paintings:
    starry_night, the_scream, great_wave, composition_vii, shipwreck. Each has settings of its own
    (`style.PRESETS`); what you give on the command line goes before them.
    Ctrl-C ends early and writes the best picture so far.
    """
    from course_utils.pictures import images

    out = _outputs.file(out, inputs=[content, style], suffixes=tuple(images.FORMATS), overwrite=overwrite)
    from course_utils import style as styles

    if variation is None and normalization != "paper":
        variation = 0.0  # the presets' weights count by the paper's rule
    changes: dict[str, Any] = {
        "size": size, "steps": steps, "alpha": alpha, "beta": beta, "variation": variation, "start": init,
        "colours": colours, "style_scale": style_scale, "optimizer": optimizer,
        "normalization": normalization, "precision": precision, "seed": seed,
    }  # fmt: skip
    changes |= {"content_layers": names(content_layers), "style_layers": names(style_layers)}
    given = {key: value for key, value in changes.items() if value is not None and value != ()}
    settings = styles.preset(style, **given)
    styles.check_settings(settings)
    paint(picture(content), picture(style), settings, out, weights, pooling)


def paint(
    photo: np.ndarray, artwork: np.ndarray, settings: Any, out: Path, weights: str, pooling: str
) -> None:
    """Load the network, paint, and write what came of it."""
    from course_utils import runtime, style
    from course_utils.networks import pretrained
    from course_utils.pictures import images

    if pooling not in ("average", "max"):
        raise ValueError(f"--pooling {pooling}: average and max exist")
    runtime.start(seed=settings.seed)
    until = style.deepest([*settings.content_layers, *settings.style_layers])
    model = pretrained.load_vgg16(weights, until=until, pooling=pooling)  # type: ignore[arg-type]
    print(pretrained.one_line(model, data="your two pictures"))
    result = style.transfer(model, photo, artwork, settings, say=lambda line: print(line, flush=True))
    images.save(out, result.image)
    height, width = result.image.shape[:2]
    print(f"{out}: {width} x {height}, {len(result.history['step'])} steps, {result.seconds:.0f} s")
    if result.ended in ("interrupted", "diverged"):
        print(f"{result.ended}: this is the best picture so far")
    if result.ended == "interrupted":
        raise typer.Exit(130)


def picture(source: str) -> np.ndarray:
    """A picture by the name of a sample or of a style picture, else from a file or an address.

    Raises:
        FileNotFoundError: neither; what looks like a misspelt name is answered with the names there are.
    """
    from course_utils import style
    from course_utils.pictures import images

    if source in images.SAMPLES:
        return images.sample(source)
    if source in style.ARTWORKS:
        return style.artwork(source)
    if not Path(source).suffix and not Path(source).exists():
        ours = f"photographs {', '.join(images.SAMPLES)}; artworks {', '.join(style.ARTWORKS)}"
        raise FileNotFoundError(f"no file {source}, and none of our pictures has that name: {ours}")
    return images.read(source)


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
