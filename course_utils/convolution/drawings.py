"""The drawings of notebook 00: small matrices, windows on them, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_utils.convolution.convolution import convolve, directions
from course_utils.convolution.pooling import pool
from course_utils.pictures import plots

Parts = list[tuple[Any, dict[str, Any]]]  # matrices, each with what `plots.numbers` should know
LIGHT = (-4.0, 10.0)  # grey values 0..9 between dark grey and nearly white
WINDOW = plots.PALETTE[1]


def outline(ax: Axes, top: float, left: float, size: float, colour: str = WINDOW, width: float = 2.2) -> None:
    """Draw the border of a window whose first pixel is (top, left)."""
    place = (left - 0.5, top - 0.5)
    ax.add_patch(Rectangle(place, size, size, fill=False, edgecolor=colour, linewidth=width, zorder=5))


def strip(parts: Parts, signs: Sequence[str], cell: float, gap: float = 0.36) -> tuple[Figure, list[Axes]]:
    """Small matrices in one line with signs between them, all with cells of the same size (inches)."""
    head = 0.22
    shapes = [np.shape(values) for values, _ in parts]
    width = sum(shape[1] for shape in shapes) * cell + gap * (len(parts) - 1)
    tall = max(shape[0] for shape in shapes) * cell
    figure, left, axes = Figure(figsize=(width, tall + head)), 0.0, []
    for (values, style), (rows, columns), sign in zip(parts, shapes, [*signs, ""], strict=True):
        bottom = (tall - rows * cell) / 2
        place = (left / width, bottom / (tall + head), columns * cell / width, rows * cell / (tall + head))
        axes.append(figure.add_axes(place))
        plots.numbers(axes[-1], values, **style)
        left += columns * cell
        middle = ((left + gap / 2) / width, tall / 2 / (tall + head))
        figure.text(*middle, sign, ha="center", va="center", fontsize=13, color=plots.SOFT)
        left += gap
    return figure, axes


def draw_goal(photo: Any, filters: Sequence[Any]) -> Figure | None:
    """The first screen of notebook 00: a photograph, two filters, and the edges that they find."""
    grey = np.asarray(photo, np.float32).mean(axis=-1)
    standing, lying = (convolve(grey, kernel) for kernel in filters)
    small, gap, aspect = 0.72, 0.34, grey.shape[0] / grey.shape[1]
    side = plots.fitting(2.9, 1, aspect)
    width, head = 2 * side + small + 2 * gap, 0.2
    height = side * aspect + head
    figure = Figure(figsize=(width, height))
    for left, image, title in [
        (0.0, photo, "a photograph"),
        (width - side, directions(lying, standing), "where its brightness changes, and which way"),
    ]:
        ax = figure.add_axes((left / width, 0, side / width, 1 - head / height))
        plots.picture(ax, image)
        ax.set_axis_off()
        ax.set_title(title, fontsize=8.5, pad=4)
    for kernel, bottom in zip(
        filters, (side * aspect / 2 + 0.1, side * aspect / 2 - 0.1 - small), strict=True
    ):
        place = ((side + gap) / width, bottom / height, small / width, small / height)
        plots.numbers(figure.add_axes(place), kernel, cmap="signed", limits=(-2, 2), fontsize=7.5)
    for left in (side + gap / 2, width - side - gap / 2):
        text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 13, "color": plots.SOFT}
        figure.text(left / width, side * aspect / 2 / height, "→", **text)
    return plots.publish(
        figure,
        "A photograph; two filters of three by three numbers, one with -1, 0, 1 in each row, the other the "
        "same turned on its side; and, on black, the edges they find, coloured by the direction in which it "
        "gets brighter.",
    )


def draw_patch(patch: Any) -> Figure | None:
    """A few pixels of a grey picture, enlarged, and beside them their values. Notebook 00."""
    rows, columns = np.shape(patch)
    figure, (seen, read) = plots.panels(2, 2, aspect=rows / columns, gap=0.3, width=6.4)
    plots.picture(seen, patch, cmap="gray", limits=(0, 255))
    plots.numbers(read, patch, limits=(0, 255), fontsize=7)
    alt = f"{rows} by {columns} grey pixels of the photograph, enlarged; beside them the same as numbers."
    return plots.publish(figure, alt)


def draw_picture_and_filter(picture: Any, kernel: Any) -> Figure | None:
    """The picture and the filter beside it, every number in its cell. Notebook 00."""
    parts: Parts = [
        (picture, {"limits": LIGHT, "fontsize": 11}),
        (kernel, {"cmap": "signed", "limits": (-2, 2)}),
    ]
    figure, axes = strip(parts, [""], 0.42)
    axes[0].set_title(f"picture, {len(picture)} by {len(picture[0])}")
    axes[1].set_title(f"filter, {len(kernel)} by {len(kernel)}")
    listed = [
        ", ".join("[" + " ".join(f"{v:.0f}" for v in line) + "]" for line in part)
        for part in (picture, kernel)
    ]
    return plots.publish(
        figure, f"A picture with the rows {listed[0]}, and a filter with the rows {listed[1]}."
    )


def draw_step(picture: Any, kernel: Any, row: int, column: int) -> Figure | None:
    """One place of the filter: the window, times the filter, the nine products, the answer. Notebook 00."""
    picture, kernel = np.asarray(picture, float), np.asarray(kernel, float)
    size, answers = len(kernel), convolve(picture, kernel)
    products = picture[row : row + size, column : column + size] * kernel
    answers = np.where(
        np.arange(answers.size).reshape(answers.shape) <= row * answers.shape[1] + column, answers, np.nan
    )
    top = np.abs(convolve(picture, kernel)).max() or 1
    parts: Parts = [
        (picture, {"limits": LIGHT}),
        (kernel, {"cmap": "signed", "limits": (-2, 2)}),
        (products, {"cmap": "signed", "limits": (-18, 18)}),
        (answers, {"cmap": "signed", "limits": (-1.5 * top, 1.5 * top)}),
    ]
    figure, axes = strip(parts, ["×", "=", "→"], 0.4)
    for ax, title in zip(axes, ["window", "filter", "products", "their sum"], strict=True):
        ax.set_title(title)
    outline(axes[0], row, column, size)
    outline(axes[3], row, column, 1)
    total = f"{products.sum():.0f}"
    return plots.publish(
        figure,
        f"The {size} by {size} window at row {row}, column {column} of the picture, times the filter, gives "
        f"{size * size} products; their sum, {total}, stands at row {row}, column {column} of the answer.",
    )


def draw_block(block: Any, kernel: Any) -> Figure | None:
    """A window of three channels times a filter of three channels: 27 products, one number. Notebook 00.

    Args:
        block, kernel: (3, 3, 3), rows, columns and channels red, green, blue.
    """
    block, kernel = np.asarray(block, float), np.asarray(kernel, float)
    products, total = block * kernel, float((block * kernel).sum())
    side, gap, head = 1.02, 0.34, 0.24
    width, height = 3 * side + 3 * gap + 1.0, 3 * (side + 0.14) + head
    figure = Figure(figsize=(width, height))
    widest = float(np.abs(kernel).max()), float(np.abs(products).max())
    sign: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 13, "color": plots.SOFT}
    for channel, tone in enumerate(("Reds_r", "Greens_r", "Blues_r")):
        bottom = height - head - (channel + 1) * (side + 0.14) + 0.07
        parts: Parts = [
            (block[..., channel], {"cmap": tone, "limits": (-60, 300), "form": "{:.0f}"}),
            (kernel[..., channel], {"cmap": "signed", "limits": (-2 * widest[0], 2 * widest[0])}),
            (
                products[..., channel],
                {"form": "{:.0f}", "cmap": "signed", "limits": (-2 * widest[1], 2 * widest[1])},
            ),
        ]
        for place, (values, style) in enumerate(parts):
            left = place * (side + gap)
            ax = figure.add_axes((left / width, bottom / height, side / width, side / height))
            plots.numbers(ax, values, **{"form": "{:.2g}", "fontsize": 8, **style})
            if channel == 0:
                ax.set_title(["window", "filter", "products"][place])
            text = ("×", "=", "}" if channel == 1 else "")[place]
            middle = (left + side + gap / 2) / width, (bottom + side / 2) / height
            figure.text(*middle, text, **{**sign, "fontsize": 44 if place == 2 else 13})
    ax = figure.add_axes(
        ((width - 0.96) / width, (height - head - 0.96) / 2 / height, 0.96 / width, 0.96 / height)
    )
    plots.numbers(
        ax, [[total]], form="{:.0f}", cmap="signed", limits=(-2 * abs(total), 2 * abs(total)), fontsize=13
    )
    ax.set_title("their sum", fontsize=8.5)
    alt = (
        "A window of 3 by 3 pixels in red, green and blue, times a filter of as many numbers: 27 products. "
        f"Their sum is one number, {total:.0f}."
    )
    return plots.publish(figure, alt)


def draw_sheet(picture: Any, kernel: Any) -> Figure | None:
    """All places of the filter, one drawing each: contact sheet of the whole convolution. Notebook 00."""
    picture, kernel = np.asarray(picture, float), np.asarray(kernel, float)
    answers, size = convolve(picture, kernel), len(kernel)
    height, width = answers.shape
    aspect = len(picture) / len(picture[0])
    figure, axes = plots.panels(answers.size, width, aspect=aspect, width=6.0, gap=0.3, head=0.18)
    for ax, (row, column) in zip(axes, np.ndindex(height, width), strict=True):
        plots.numbers(ax, picture, limits=LIGHT, fontsize=8)
        outline(ax, row, column, size)
        for (i, j), weight in np.ndenumerate(kernel):
            if weight:
                sign = f"×{weight:.0f}".replace("-", "\N{MINUS SIGN}")
                tone = WINDOW if picture[row + i, column + j] > 3 else "#ffc08f"
                style: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 6, "color": tone}
                ax.text(column + j + 0.45, row + i + 0.46, sign, **style)
        answer = f"{answers[row, column]:.0f}".replace("-", "\N{MINUS SIGN}")
        ax.set_title(f"row {row}, column {column}:  {answer}", fontsize=8.5, pad=4)
    listed = "; ".join(", ".join(f"{value:.0f}" for value in line) for line in answers)
    return plots.publish(
        figure, f"The window at each of its {answers.size} places; the answers, row by row: {listed}."
    )


def draw_matrix(matrix: Any, picture: Any, answers: Any) -> Figure | None:
    """A convolution as one matrix product: (places, pixels) times the picture in one column. Notebook 00."""
    cell = 0.2
    small = {"form": "{:.0f}", "fontsize": 6}
    column, result = np.reshape(picture, (-1, 1)), np.reshape(answers, (-1, 1))
    top = float(np.abs(result).max()) or 1
    parts: Parts = [
        (matrix, {"cmap": "signed", "limits": (-2, 2), **small}),
        (column, {"limits": LIGHT, **small}),
        (result, {"cmap": "signed", "limits": (-1.5 * top, 1.5 * top), **small}),
    ]
    figure, axes = strip(parts, ["×", "="], cell)
    axes[0].set_title(f"the filter as a matrix, {matrix.shape[0]} by {matrix.shape[1]}")
    for ax, title in zip(axes[1:], ["picture", "answer"], strict=True):
        ax.set_title(title, loc="center")
    return plots.publish(
        figure,
        f"A matrix of {matrix.shape[0]} rows and {matrix.shape[1]} columns: each row holds the filter's "
        "numbers, moved on by one place, and zeros elsewhere. Times the picture in one column: the answers.",
    )


def draw_pools(block: Any, size: int = 2) -> Figure | None:
    """A small map in its blocks, and what max and average pooling keep of them. Notebook 00."""
    largest, means = pool(block, size), pool(block, size, "average")
    light = {"limits": LIGHT, "fontsize": 10}
    parts: Parts = [(block, light), (largest, light), (means, {**light, "form": "{:.2f}"})]
    figure, axes = strip(parts, ["→", ""], 0.5, gap=0.6)
    for ax, title in zip(axes, ["a map", "largest of each", "mean of each"], strict=True):
        ax.set_title(title)
    for row, column in np.ndindex(largest.shape):
        outline(axes[0], row * size, column * size, size)
    kept = [", ".join(f"{value:g}" for value in np.ravel(part)) for part in (largest, means)]
    alt = f"A map in blocks of {size} by {size}; the largest of each block: {kept[0]}; the means: {kept[1]}."
    return plots.publish(figure, alt)


def draw_reach(reached: dict[int, Any]) -> Figure | None:
    """For each number of layers, how strongly each pixel reaches the middle; empty where not. Notebook 00."""
    figure, axes = plots.panels(len(reached), len(reached), gap=0.25, head=0.2)
    sides = []
    for ax, (layers, strength) in zip(axes, reached.items(), strict=True):
        strength = np.asarray(strength, float)
        plots.numbers(ax, np.where(strength > 0, strength, np.nan), cmap="viridis", fontsize=8)
        sides.append(f"{int((strength > 0).any(axis=0).sum())} by {int((strength > 0).any(axis=1).sum())}")
        ax.set_title(f"{layers} layer{'s' if layers > 1 else ''}: {sides[-1]}")
    seen = ", ".join(f"{layers}: {side}" for layers, side in zip(reached, sides, strict=True))
    alt = f"The pixels that reach the middle value, by number of layers: {seen}. The central ones weigh most."
    return plots.publish(figure, alt)


def draw_guesses(guesses: Sequence[Any], errors: Sequence[float], steps: Sequence[int]) -> Figure | None:
    """A filter at some steps of its search, with the error of each. Notebook 00."""
    size = int(np.sqrt(np.size(guesses[0])))
    figure, axes = plots.panels(len(steps), len(steps), gap=0.2, head=0.36)
    for ax, step in zip(axes, steps, strict=True):
        kernel = np.reshape(guesses[step], (size, size))
        plots.numbers(ax, kernel, form="{:.2f}", cmap="signed", limits=(-2, 2), fontsize=8)
        ax.set_title(f"step {step:,}\nerror {errors[step]:.2g}", fontsize=8.5)
    last = ", ".join(f"{value:.2f}" for value in np.ravel(guesses[steps[-1]]))
    alt = f"The filter at steps {', '.join(map(str, steps))}; the random numbers turn into {last}."
    return plots.publish(figure, alt)
