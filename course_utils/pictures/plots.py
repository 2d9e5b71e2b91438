"""Every figure of the course: one quiet style, alt text on each picture, small files.

Importing this module applies the style to matplotlib, so a reader's own figures share it. Figures are drawn
without pyplot; in a notebook each function displays its figure and returns None, in a script or a test it
returns the matplotlib Figure. Pictures are RGB 0..255, maps are 2-D arrays. All notebooks use it.
"""

from __future__ import annotations

import html
import io
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image, ImageChops, ImageFile

from course_utils.pictures.palette import PALETTE, class_colours, colours, label_colours

INK, SOFT, FAINT = "#1c2128", "#5c6773", "#d8dde3"
WIDTH = 7.2  # inches; a notebook's column
SCALE = float(os.environ.get("COURSE_SCALE") or 1)  # `course lab --projector` sets it
SHOWN_DPI, DRAWN_DPI = 100 * SCALE, 160 * SCALE  # pixels to an inch; drawn finer, for sharp screens
LARGE = 40_000  # bytes above which a drawing is stored as JPEG, too
SMALL = (
    24_000  # bytes that a JPEG should not exceed, if one of these qualities at the page's resolution does it:
)
QUALITIES = (85, 78, 70, 62, 54)

STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "figure.dpi": SHOWN_DPI,
    "savefig.facecolor": "white",
    "savefig.dpi": SHOWN_DPI,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 6,
    "axes.titlecolor": INK,
    "axes.labelsize": 8.5,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": "#aab2bb",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e9ecef",
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "image.cmap": "viridis",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
matplotlib.rcParams.update(STYLE)  # type: ignore[arg-type]

# Blue below zero, white at zero, orange above: for filters and their answers, with limits (-x, x).
SIGNED = LinearSegmentedColormap.from_list("signed", [PALETTE[0], "white", PALETTE[1]])
if "signed" not in matplotlib.colormaps:
    matplotlib.colormaps.register(SIGNED)


# ---- publishing ------------------------------------------------------------------------------------------


def in_notebook() -> bool:
    """Whether IPython runs us, so that figures are displayed rather than returned."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def publish(figure: Figure, alt: str | None = None) -> Figure | None:
    """Display any matplotlib figure as a small picture with alt text, and close it.

    Args:
        figure: from this module, `plt.subplots` or `Figure`.
        alt: what the figure shows, in one or two sentences, for those who can't see it. It goes into the
            output's metadata (under the picture's type, and once more above it) and is the plain-text form.
            Without it these are the figure's own titles. A notebook of the course keeps its descriptions
            in the metadata of its cells (`alt`), and `course render` writes them into the outputs.

    Returns:
        None in a notebook, where the picture is displayed; elsewhere the figure itself, carrying `.alt`.

    Raises:
        ValueError: for an alt text that is empty or only names the thing ("figure", "plot").
    """
    alt = titles_of(figure) if alt is None else checked_alt(alt)
    figure.alt = alt  # type: ignore[attr-defined]
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)
    if not in_notebook():
        return figure
    from IPython.display import display

    data, metadata = bundle(figure, alt)
    display(data, metadata=metadata, raw=True)
    return None


def titles_of(figure: Figure) -> str:
    """The words that a figure itself shows above its parts."""
    titles = [figure.get_suptitle(), *(ax.get_title(loc) for ax in figure.axes for loc in ("left", "center"))]
    return "; ".join(" ".join(title.split()) for title in titles if title.strip()) or "A figure"


def checked_alt(alt: str) -> str:
    """The alt text on one line; ValueError if it says nothing."""
    alt = " ".join(alt.split()) if isinstance(alt, str) else ""
    if len(alt) < 12:
        raise ValueError(
            f"alt={alt!r} says too little: describe in a sentence what a reader should see in this figure"
        )
    return alt


def bundle(figure: Figure, alt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A figure as notebook output: `(data, metadata)`, small, its alt text where readers look."""
    mime, content, (width, height) = compact(figure)
    shown = {"alt": alt, "width": width, "height": height}
    return {mime: content, "text/plain": alt}, {mime: shown, "alt": alt}


def compact(figure: Figure) -> tuple[str, bytes, tuple[int, int]]:
    """Render a figure to few bytes: `(mime type, bytes, (width, height) on the page in pixels)`.

    A drawing becomes a PNG of at most 256 colours; what is photographic, a JPEG: drawn finely if it stays
    small, else at the page's own resolution, with ever more compression, as long as it still looks clean.
    """
    buffer = io.BytesIO()
    options: dict[str, Any] = {
        "bbox_inches": "tight",
        "pad_inches": 0.08,
        "pil_kwargs": {"compress_level": 1},
    }
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=DRAWN_DPI, **options)
    drawn = Image.open(buffer).convert("RGB")
    scale = SHOWN_DPI / DRAWN_DPI
    size = (max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale)))
    if (png := _palette(drawn)) is not None:
        return "image/png", png, size
    shown = drawn.resize(size, Image.Resampling.LANCZOS)
    for image, quality in ((drawn, 85), (drawn, 75), *((shown, quality) for quality in QUALITIES)):
        jpeg = _jpeg(image, quality)
        if len(jpeg) <= SMALL:
            break
    return "image/jpeg", jpeg, size


def _palette(image: Image.Image) -> bytes | None:
    """A drawing as a PNG of 64 colours, or of 256 where that shows; None for a photograph or a large one."""
    thinned = image.resize((image.width // 2 + 1, image.height // 2 + 1), Image.Resampling.NEAREST)
    if thinned.getcolors(4096) is None:
        return None
    for count in (64, 256):
        palette = image.quantize(count, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        off = ImageChops.difference(image, palette.convert("RGB")).convert("L")
        if sum(off.histogram()[16:]) <= off.width * off.height // 500:
            break
    png = io.BytesIO()
    palette.save(png, format="PNG", optimize=True)
    return png.getvalue() if png.tell() <= LARGE else None


def _jpeg(image: Image.Image, quality: int) -> bytes:
    # Pillow's buffer is too small for what is nearly noise.
    ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, 4 * image.width * image.height)
    jpeg = io.BytesIO()
    image.save(jpeg, format="JPEG", quality=quality, subsampling=2, optimize=True, progressive=True)
    return jpeg.getvalue()


def with_alt_text(page: str, notebook: Any) -> str:
    """A notebook's web page with the alt text that its outputs carry put on the pictures.

    nbconvert's page for JupyterLab leaves out the metadata in which alt texts are kept.

    Args:
        page: the HTML that nbconvert made, its pictures embedded.
        notebook: the notebook it was made of.
    """
    found = {}
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        for mime in ("image/png", "image/jpeg"):
            alt = output.get("metadata", {}).get(mime, {}).get("alt")
            if alt and mime in output.get("data", {}):
                content = "".join(output["data"][mime].split())
                found[f"data:{mime};base64,{content}"] = alt

    def described(tag: re.Match[str]) -> str:
        source = re.search(r'\ssrc="([^"]*)"', tag[0])
        alt = found.get("".join(source[1].split())) if source else None
        if alt is None:
            return tag[0]
        plain = re.sub(r'\salt="[^"]*"', "", tag[0])
        return plain.replace("<img", f'<img alt="{html.escape(alt)}"', 1)

    return re.sub(r"<img\b[^>]*>", described, page)


# ---- canvases --------------------------------------------------------------------------------------------


def canvas(width: float = WIDTH, height: float = 3.0) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes; sizes in inches. Draw, then `publish(figure, alt)`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def panels(
    count: int,
    columns: int,
    *,
    aspect: float = 1.0,
    width: float = WIDTH,
    gap: float = 0.12,
    head: float = 0.0,
) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels without axes, row by row.

    Args:
        count, columns: how many, and how many to a row.
        aspect: height / width of one panel.
        width, gap, head: whole width, space between panels, space above each for a title; in inches.
    """
    columns = max(1, min(columns, count))
    rows = math.ceil(count / columns)
    cell = (width - gap * (columns - 1)) / columns
    tall = cell * aspect
    height = rows * (tall + head) + gap * (rows - 1)
    figure = Figure(figsize=(width, height))
    axes = []
    for index in range(count):
        row, column = divmod(index, columns)
        left, top = column * (cell + gap), row * (tall + head + gap) + head
        place = (left / width, 1 - (top + tall) / height, cell / width, tall / height)
        axes.append(figure.add_axes(place))
        axes[-1].set_axis_off()
    return figure, axes


def fitting(width: float, columns: int, aspect: float, tallest: float = 4.2) -> float:
    """The width of a figure, narrower where its panels would be more than `tallest` inches high."""
    return min(width, columns * tallest / aspect)


def picture(ax: Axes, image: Any, *, cmap: str = "viridis", limits: tuple[float, float] | None = None) -> Any:
    """Put one picture or map on axes: (H, W, 3) RGB 0..255, or (H, W) through a colour map.

    Raises:
        ValueError: for any other shape.
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim == 3 and image.shape[-1] == 3:
        return ax.imshow(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    if image.ndim != 2:
        raise ValueError(f"a picture is (height, width, 3) or (height, width), this is {image.shape}")
    low, high = limits if limits else (None, None)
    return ax.imshow(image.astype(float), cmap=cmap, vmin=low, vmax=high)


# ---- pictures and maps -----------------------------------------------------------------------------------


def show(
    image: Any, title: str | None = None, *, alt: str | None = None, size: float = 3.6, **style: Any
) -> Figure | None:
    """One picture, `size` inches wide. `style`: `cmap` and `limits` for a map (see `picture`)."""
    return grid([image], 1, [title] if title else None, alt=alt, width=size, **style)


def row(
    images: Sequence[Any],
    titles: Sequence[str] | None = None,
    *,
    alt: str | None = None,
    size: float | None = None,
    **style: Any,
) -> Figure | None:
    """Pictures or maps side by side, each `size` inches wide (default: they share the column)."""
    width = WIDTH if size is None else min(WIDTH, size * len(images))
    return grid(images, len(images), titles, alt=alt, width=width, **style)


def grid(
    images: Sequence[Any],
    columns: int,
    titles: Sequence[str] | None = None,
    *,
    alt: str | None = None,
    width: float = WIDTH,
    **style: Any,
) -> Figure | None:
    """Pictures or maps in rows of `columns`, with a title above each.

    Raises:
        ValueError: for no images, or titles that don't match them in number.
    """
    if not len(images):
        raise ValueError("no images to show")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"{len(images)} images but {len(titles)} titles")
    aspect = max(np.shape(image)[0] / np.shape(image)[1] for image in images)
    width = fitting(width, min(columns, len(images)), aspect)
    lines = max((title.count("\n") + 1 for title in titles), default=0) if titles else 0
    figure, axes = panels(len(images), columns, aspect=aspect, width=width, head=0.17 * lines)
    for ax, image, title in zip(axes, images, titles or [""] * len(images), strict=True):
        picture(ax, image, **style)
        ax.set_anchor("NW")
        ax.set_title(title, pad=4, fontsize=8.5)
    return publish(figure, alt)


def maps(
    stack: Any,
    channels: Sequence[int] | None = None,
    columns: int = 8,
    *,
    alt: str | None = None,
    title: str | None = None,
    shared: bool = False,
    cmap: str = "viridis",
) -> Figure | None:
    """A sheet of feature maps, each numbered.

    Args:
        stack: (height, width, channels).
        channels: which ones; by default the first 64.
        shared: one colour scale for all; otherwise each map has its own, lowest to highest value.
    """
    stack = np.asarray(stack, np.float32)
    if stack.ndim != 3:
        raise ValueError(f"a stack of maps is (height, width, channels), this is {stack.shape}")
    chosen = list(range(min(64, stack.shape[-1]))) if channels is None else list(channels)
    limits = (float(stack.min()), float(stack.max())) if shared else None
    aspect, columns = stack.shape[0] / stack.shape[1], min(columns, len(chosen))
    width = fitting(min(WIDTH, 1.6 * columns), columns, aspect, tallest=1.6)
    figure, axes = panels(len(chosen), columns, aspect=aspect, width=width, gap=0.05, head=0.12)
    for ax, channel in zip(axes, chosen, strict=True):
        picture(ax, stack[..., channel], cmap=cmap, limits=limits)
        ax.set_title(str(channel), fontsize=6, pad=1.5, color=SOFT)
    if title:
        figure.suptitle(title, x=0, y=1 + 0.06 / figure.get_figheight(), ha="left", va="bottom", fontsize=9.5)
    return publish(figure, alt)


def numbers(
    ax: Axes,
    values: Any,
    *,
    form: str = "{:.0f}",
    cmap: str = "gray",
    limits: tuple[float, float] | None = None,
    fontsize: float = 9,
) -> None:
    """A small matrix as a picture with each value written in its cell; NaN is an empty cell. Notebook 00."""
    values = np.asarray(values, float)
    filled = values[~np.isnan(values)]
    low, high = limits or ((filled.min(), filled.max()) if filled.size else (0, 1))
    tone = matplotlib.colormaps[cmap].with_extremes(bad="white")
    ax.imshow(np.ma.masked_invalid(values), cmap=tone, vmin=low, vmax=high)
    for (y, x), value in np.ndenumerate(values):
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=FAINT, linewidth=0.8))
        if np.isnan(value):
            continue
        shade = tone((value - low) / ((high - low) or 1))
        dark = 0.299 * shade[0] + 0.587 * shade[1] + 0.114 * shade[2] < 0.55
        text = form.format(value + 0.0).replace("-", "\N{MINUS SIGN}")
        ax.text(x, y, text, ha="center", va="center", fontsize=fontsize, color="white" if dark else INK)
    ax.set(xlim=(-0.55, values.shape[1] - 0.45), ylim=(values.shape[0] - 0.45, -0.55))
    ax.set_axis_off()


# ---- values ----------------------------------------------------------------------------------------------


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    alt: str | None = None,
    title: str | None = None,
    xlabel: str | None = None,
    form: str = "{:.2f}",
    highlight: Sequence[int] | None = None,
    log: bool = False,
) -> Figure | None:
    """Horizontal bars, first on top, each with its value; `highlight` picks those to colour."""
    if len(labels) != len(values):
        raise ValueError(f"{len(labels)} labels but {len(values)} values")
    figure, ax = canvas(WIDTH * 0.8, 0.55 + 0.26 * len(labels) + (0.2 if xlabel else 0))
    chosen = set(range(len(labels)) if highlight is None else highlight)
    tint = [PALETTE[0] if index in chosen else FAINT for index in range(len(labels))]
    drawn = ax.barh(range(len(labels)), values, color=tint, height=0.68, log=log)
    ax.bar_label(drawn, [form.format(value) for value in values], padding=4, fontsize=8.5, color=SOFT)
    ax.set_yticks(range(len(labels)), labels, fontsize=8.5, color=INK)
    ax.invert_yaxis()
    ax.grid(False)
    ax.spines[["bottom", "left"]].set_visible(False)
    ax.tick_params(axis="x", which="both", length=0, labelbottom=False)
    ax.margins(x=0.12)
    ax.set_xlabel(xlabel or "", loc="left")
    ax.set_title(title or "")
    shown = ", ".join(f"{label} {form.format(value)}" for label, value in zip(labels, values, strict=True))
    return publish(figure, f"{title or 'Bars'}: {shown}" if alt is None else alt)


def curves(
    series: Mapping[str, Any],
    *,
    alt: str | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    log: bool = False,
    size: tuple[float, float] = (WIDTH * 0.86, 3.0),
) -> Figure | None:
    """Lines in one plot, each named at its right end.

    Args:
        series: label -> y, or label -> (x, y) as a tuple; x counts from 0 otherwise.
        log: logarithmic y axis.
    """
    figure, ax = canvas(*size)
    ends, whole = [], True
    for colour, (label, values) in zip(colours(len(series)), series.items(), strict=True):
        x, y = values if isinstance(values, tuple) else (np.arange(len(values)), values)
        ax.plot(x, y, color=colour)
        whole &= bool(np.all(np.asarray(x) == np.round(np.asarray(x, float))))
        known = np.flatnonzero(np.isfinite(np.asarray(y, float)))
        if known.size:
            ends.append((label, colour, float(np.asarray(x)[known[-1]]), float(np.asarray(y)[known[-1]])))
    if log:
        ax.set_yscale("log")
    if whole:  # epochs and steps have no halves
        ax.locator_params(axis="x", integer=True)
    ax.grid(axis="y")
    ax.margins(x=0.01)
    ax.set_xlabel(xlabel or "", loc="left")
    ax.set_title(ylabel or "", fontsize=8.5, color=SOFT)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.5)
    _name_ends(ax, ends)
    shown = ", ".join(f"{label} {last:.3g} at the end" for label, _, _, last in ends)
    return publish(figure, f"{title or ylabel or 'Curves'}: {shown}" if alt is None else alt)


def _name_ends(ax: Axes, ends: list[tuple[str, str, float, float]]) -> None:
    """Write each curve's name at its right end, moved apart where they would overlap."""
    ax.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]  # settles the layout
    gap, last = 11.5 / 72 * SHOWN_DPI, -math.inf
    heights = [float(ax.transData.transform((x, y))[1]) for _, _, x, y in ends]
    for at, (label, colour, x, _) in sorted(zip(heights, ends, strict=True)):
        last = max(at, last + gap)
        y = float(ax.transData.inverted().transform((0, last))[1])
        style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 8.5}
        ax.annotate(label, (x, y), xytext=(6, 0), color=colour, annotation_clip=False, **style)


def table(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> str | None:
    """A small table: HTML in a notebook, with the plain text beside it; elsewhere the text is returned.

    Numbers stand to the right, thousands separated; the floats of a column have equally many decimals, at
    most three.
    """
    if any(len(line) != len(columns) for line in rows):
        raise ValueError(f"every row needs {len(columns)} entries, one for each of {list(columns)}")
    digits = [_decimals([line[k] for line in rows]) for k in range(len(columns))]
    cells = [[_entry(value, d) for value, d in zip(line, digits, strict=True)] for line in rows]
    right = [
        bool(rows) and all(isinstance(line[k], (int, float, np.number)) for line in rows)
        for k in range(len(columns))
    ]
    widths = [max(len(line[k]) for line in [list(columns), *cells]) for k in range(len(columns))]
    text = "\n".join(
        "  ".join(
            e.rjust(w) if r else e.ljust(w) for e, w, r in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [list(columns), *cells]
    )
    if not in_notebook():
        return text
    from IPython.display import display

    display({"text/html": _html_table(cells, columns, right), "text/plain": text}, raw=True)
    return None


def _decimals(values: Sequence[Any]) -> int:
    """How many decimals a column needs for three digits of its smallest float; none above 1000."""
    sizes = [abs(float(value)) for value in values if isinstance(value, (float, np.floating)) and value]
    if not sizes or max(sizes) >= 1000:
        return 0
    return int(np.clip(2 - math.floor(math.log10(min(sizes))), 0, 3))


def _entry(value: Any, decimals: int) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    return f"{float(value):,.{decimals}f}" if isinstance(value, (float, np.floating)) else str(value)


def _html_table(cells: list[list[str]], columns: Sequence[str], right: list[bool]) -> str:
    def line(tag: str, entries: Sequence[str]) -> str:
        marks = ["right" if r else "left" for r in right]
        inner = "".join(
            f'<{tag} style="text-align:{mark}">{html.escape(entry)}</{tag}>'
            for entry, mark in zip(entries, marks, strict=True)
        )
        return f"<tr>{inner}</tr>"

    body = "".join(line("td", entries) for entries in cells)
    return f"<table><thead>{line('th', columns)}</thead><tbody>{body}</tbody></table>"


# ---- answers on pictures ---------------------------------------------------------------------------------


def boxes(
    image: Any,
    boxes: Any,
    labels: Sequence[str] | None = None,
    truth: Any = None,
    *,
    class_names: Sequence[str] = (),
    alt: str | None = None,
    title: str | None = None,
    size: float = 4.2,
) -> Figure | None:
    """Boxes on a picture: found ones in colour with their labels, true ones dashed white.

    Args:
        image: (H, W, 3), RGB 0..255.
        boxes, truth: (N, 4) as x, y, w, h in pixels of the image.
        labels: one for each box.
        class_names: labels that begin with one of them get the colour that the class has everywhere.
    """
    aspect = np.shape(image)[0] / np.shape(image)[1]
    figure, (ax,) = panels(1, 1, aspect=aspect, width=fitting(size, 1, aspect))
    _outline(ax, image, boxes, labels, truth, class_names)
    ax.set_title(title or "")
    return publish(figure, alt)


def boxes_row(
    images: Sequence[Any],
    boxes: Sequence[Any],
    labels: Sequence[Sequence[str]] | None = None,
    truths: Sequence[Any] | None = None,
    titles: Sequence[str] | None = None,
    *,
    class_names: Sequence[str] = (),
    alt: str | None = None,
    size: float | None = None,
) -> Figure | None:
    """Boxes on several pictures side by side, each `size` inches wide; for each the arguments of `boxes`.

    Raises:
        ValueError: boxes, labels, truths or titles are not as many as the images.
    """
    for name, given in {"boxes": boxes, "labels": labels, "truths": truths, "titles": titles}.items():
        if given is not None and len(given) != len(images):
            raise ValueError(f"{len(images)} images but {len(given)} {name}")
    count = len(images)
    aspect = max(np.shape(image)[0] / np.shape(image)[1] for image in images)
    width = fitting(WIDTH if size is None else min(WIDTH, size * count), count, aspect)
    figure, axes = panels(count, count, aspect=aspect, width=width, head=0.17 if titles else 0.0)
    for i, ax in enumerate(axes):
        names, truth = (given if given is None else given[i] for given in (labels, truths))
        _outline(ax, images[i], boxes[i], names, truth, class_names)
        ax.set_anchor("NW")
        ax.set_title(titles[i] if titles else "", pad=4, fontsize=8.5)
    return publish(figure, alt)


def _outline(
    ax: Axes, image: Any, boxes: Any, labels: Sequence[str] | None, truth: Any, class_names: Sequence[str]
) -> None:
    """A picture with boxes on axes: found ones in colour, each class or label in one; true ones dashed."""
    found = np.asarray(boxes, float).reshape(-1, 4)
    if labels is not None and len(labels) != len(found):
        raise ValueError(f"{len(found)} boxes but {len(labels)} labels")
    picture(ax, image)
    for x, y, w, h in np.asarray([] if truth is None else truth, float).reshape(-1, 4):
        ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=INK, linewidth=2.6))
        ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor="white", linewidth=1.4, linestyle="--"))
    names = list(labels) if labels is not None else [""] * len(found)
    tint = label_colours(names, class_names)
    for (x, y, w, h), name, colour in zip(found, names, tint, strict=True):
        ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=2))
        if name:
            tag = {"facecolor": colour, "edgecolor": "none", "pad": 1.5}
            wide = np.shape(image)[1]
            # On the right a name ends where its box does, or it would run over the next picture.
            at, end = (min(x + w, wide), "right") if x + w / 2 > 0.6 * wide else (x, "left")
            ax.text(at, y, name, ha=end, color="white", fontsize=7.5, va="bottom", bbox=tag)


def masks(
    image: Any,
    mask: Any,
    class_names: Sequence[str],
    *,
    alt: str | None = None,
    title: str | None = None,
    size: float = 4.2,
    unlabelled: int = 255,
) -> Figure | None:
    """A label map laid over its picture, with a key of the classes present and their share of the pixels.

    Args:
        image: (H, W, 3), RGB 0..255.
        mask: (H, W) of class indices; `unlabelled` pixels are greyed and left out of the shares. A class
            named "background" stays clear.
    """
    mask = np.asarray(mask)
    if mask.shape != np.shape(image)[:2]:
        raise ValueError(f"the mask is {mask.shape}, the image {np.shape(image)[:2]}")
    over, key = np.zeros((*mask.shape, 4)), []
    over[mask == unlabelled] = (0.5, 0.5, 0.5, 0.75)
    known, tint = max(1, int((mask != unlabelled).sum())), class_colours(class_names)
    for index in [int(value) for value in np.unique(mask) if value != unlabelled]:
        if not 0 <= index < len(class_names):
            raise ValueError(f"the mask holds class {index}, but there are {len(class_names)} class names")
        rgb = to_rgb(tint[index])
        clear = class_names[index] == "background"
        over[mask == index] = (*rgb, 0 if clear else 0.6)
        share = f"{class_names[index]}  {100 * (mask == index).sum() / known:.0f} %"
        key.append(Rectangle((0, 0), 1, 1, facecolor="white" if clear else rgb, edgecolor=FAINT, label=share))
    aspect = mask.shape[0] / mask.shape[1]
    figure, (ax,) = panels(1, 1, aspect=aspect, width=fitting(size, 1, aspect))
    picture(ax, image)
    ax.imshow(over, interpolation="nearest")
    ax.legend(handles=key, loc="upper left", bbox_to_anchor=(1.01, 1.02), handlelength=1, handleheight=1)
    ax.set_title(title or "")
    return publish(figure, alt)
