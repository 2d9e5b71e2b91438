"""Figures: alt text always there and found, files small, numbers in the right places."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import matplotlib
import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from course_utils.pictures import plots

ALT = "A test picture with something to see."
PHOTO = np.random.default_rng(0).integers(0, 256, (30, 45, 3)).astype(np.float32)
FIGURES: dict[str, Any] = {
    "show": lambda alt: plots.show(PHOTO, "title", alt=alt),
    "row": lambda alt: plots.row([PHOTO, PHOTO[..., 0]], ["a", "b"], alt=alt),
    "grid": lambda alt: plots.grid([PHOTO] * 5, 3, alt=alt),
    "maps": lambda alt: plots.maps(PHOTO, alt=alt, title="three maps", shared=True),
    "bars": lambda alt: plots.bars(["cat", "dog"], [0.9, 0.1], alt=alt, title="t", xlabel="x", highlight=[0]),
    "curves": lambda alt: plots.curves({"a": [3, 2, 1], "b": ([0, 2], [1, 1])}, alt=alt, title="t", log=True),
    "boxes": lambda alt: plots.boxes(PHOTO, [[1, 2, 9, 9]], ["cat"], truth=[[0, 0, 9, 9]], alt=alt),
    "boxes_row": lambda alt: plots.boxes_row(
        [PHOTO, PHOTO], [[[1, 2, 9, 9]], []], titles=["a", "b"], alt=alt
    ),
    "masks": lambda alt: plots.masks(PHOTO, np.eye(30, 45, dtype=int), ["background", "cat"], alt=alt),
    "publish": lambda alt: plots.publish(plots.canvas()[0], alt),
}


class Shell:
    """Stands in for IPython's shell, and keeps what is displayed."""

    def __init__(self) -> None:
        self.shown: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def display(self, data: dict[str, Any], *, raw: bool, metadata: dict[str, Any] | None = None) -> None:
        assert raw
        self.shown.append((data, metadata or {}))


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    import IPython.display

    shell = Shell()
    monkeypatch.setattr(plots, "in_notebook", lambda: True)
    monkeypatch.setattr(IPython.display, "display", shell.display)
    yield shell


@pytest.mark.parametrize("name", FIGURES)
def test_outside_a_notebook_a_figure_comes_back_with_its_alt_text(name: str) -> None:
    figure = FIGURES[name](f"  {ALT}\n")
    assert isinstance(figure, Figure)
    assert figure.alt == ALT


@pytest.mark.parametrize("name", FIGURES)
def test_in_a_notebook_it_is_displayed_with_the_alt_text_where_readers_look(name: str, shell: Shell) -> None:
    assert FIGURES[name](ALT) is None
    [(data, metadata)] = shell.shown
    assert data["text/plain"] == ALT
    assert metadata["alt"] == ALT
    [mime] = {"image/png", "image/jpeg"} & set(data)
    assert metadata[mime]["alt"] == ALT
    with Image.open(io.BytesIO(data[mime])) as picture:
        assert picture.format == mime[6:].upper()
        assert picture.width >= metadata[mime]["width"] > 50
        assert picture.width / picture.height == pytest.approx(
            metadata[mime]["width"] / metadata[mime]["height"], rel=0.02
        )


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("alt", ["", "   ", "figure", 3])
def test_an_empty_alt_text_is_refused(name: str, alt: Any) -> None:
    with pytest.raises(ValueError, match="says too little"):
        FIGURES[name](alt)


def test_a_drawing_is_a_small_palette_png() -> None:
    mime, content, _ = plots.compact(FIGURES["curves"](ALT))
    assert mime == "image/png"
    assert len(content) < 20_000
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.mode == "P"


def test_photographs_become_a_small_jpeg() -> None:
    from course_utils.pictures import images

    cat = images.sample("chelsea")
    mime, content, (width, _) = plots.compact(plots.row([cat] * 3, alt=ALT))
    assert mime == "image/jpeg"
    assert len(content) <= plots.SMALL
    assert width < 760


def test_a_drawing_of_many_colours_gets_more_than_64() -> None:
    many = np.random.default_rng(0).integers(0, 256, (8, 20, 3)).repeat(10, axis=0).repeat(10, axis=1)
    mime, content, _ = plots.compact(plots.show(many, alt=ALT))
    with Image.open(io.BytesIO(content)) as stored:
        pixels = np.asarray(stored.convert("RGB").crop(stored.getbbox())).reshape(-1, 3)
    assert mime == "image/png"
    nearest = [
        np.abs(pixels.astype(int) - colour).max(axis=-1).min() for colour in many[::10, ::10].reshape(-1, 3)
    ]
    assert np.mean(nearest) < 8


def test_colours_survive_storage() -> None:
    stripes = np.zeros((40, 120, 3), np.float32)
    stripes[:, :40], stripes[:, 40:80, 1], stripes[:, 80:, 2] = (255, 0, 0), 255, 255
    mime, content, _ = plots.compact(plots.show(stripes, alt=ALT))
    with Image.open(io.BytesIO(content)) as picture:
        middle = np.asarray(picture.convert("RGB"))[picture.height // 2]
    assert mime == "image/png"
    for at, colour in [(1 / 6, (255, 0, 0)), (1 / 2, (0, 255, 0)), (5 / 6, (0, 0, 255))]:
        assert np.abs(middle[int(at * len(middle))].astype(int) - colour).max() < 12
    assert middle[1].tolist() == [255, 255, 255]


def test_a_published_pyplot_figure_is_closed() -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figure, ax = plt.subplots()
    ax.plot([1, 2])
    plots.publish(figure, ALT)
    assert plt.get_fignums() == before


def test_the_style_holds_for_a_readers_own_figures() -> None:
    assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"] == list(plots.PALETTE)
    assert set(plots.PALETTE) == {
        matplotlib.colors.to_hex(c) for c in matplotlib.color_sequences["petroff10"]
    }
    assert matplotlib.rcParams["image.cmap"] == "viridis"
    zero = matplotlib.colormaps["signed"](0.5)
    assert min(zero[:3]) > 0.98


def test_pictures_and_maps_are_told_apart() -> None:
    _, ax = plots.canvas()
    shown = plots.picture(ax, np.full((4, 5, 3), 300.0))
    assert shown.get_array().dtype == np.uint8
    assert shown.get_array().max() == 255
    assert plots.picture(ax, np.ones((4, 5, 1)), limits=(0, 2)).get_clim() == (0, 2)
    for wrong in (np.zeros(3), np.zeros((2, 2, 4)), np.zeros((1, 2, 2, 3))):
        with pytest.raises(ValueError, match="a picture is"):
            plots.picture(ax, wrong)


def test_panels_keep_their_aspect() -> None:
    figure, axes = plots.panels(5, 3, aspect=0.5, width=6, gap=0.3, head=0.2)
    assert len(axes) == 5
    for ax in axes:
        place = ax.get_position()
        width, height = place.width * figure.get_figwidth(), place.height * figure.get_figheight()
        assert (width, height) == pytest.approx((1.8, 0.9))
    assert axes[0].get_position().y0 > axes[3].get_position().y0
    assert axes[3].get_position().y0 == pytest.approx(0)


@pytest.mark.parametrize("name", ["show", "row", "maps", "boxes", "masks"])
def test_a_portrait_does_not_make_a_figure_too_tall(name: str) -> None:
    tall = np.zeros((900, 300, 3))
    figure = {
        "show": lambda: plots.show(tall, alt=ALT),
        "row": lambda: plots.row([tall] * 2, alt=ALT),
        "maps": lambda: plots.maps(tall, alt=ALT),
        "boxes": lambda: plots.boxes(tall, [], alt=ALT),
        "masks": lambda: plots.masks(tall, tall[..., 0], ["background"], alt=ALT),
    }[name]()
    assert figure.get_figheight() < 4.5
    place = figure.axes[0].get_position()
    shape = place.height * figure.get_figheight() / (place.width * figure.get_figwidth())
    assert shape == pytest.approx(3)


def test_maps_take_the_channels_asked_for() -> None:
    stack = np.stack([np.full((4, 4), k) + np.eye(4) for k in range(70)], axis=-1)
    assert len(plots.maps(stack, alt=ALT).axes) == 64
    chosen = plots.maps(stack, [69, 3], alt=ALT)
    assert [ax.get_title(loc="left") for ax in chosen.axes] == ["69", "3"]
    assert chosen.axes[0].images[0].get_array().max() == 70
    assert plots.maps(stack, [3], shared=True, alt=ALT).axes[0].images[0].get_clim() == (0, 70)


def test_numbers_are_written_readably_in_their_cells() -> None:
    _, ax = plots.canvas()
    plots.numbers(ax, [[0, -5], [np.nan, 9]], limits=(0, 9))
    assert [text.get_text() for text in ax.texts] == ["0", "\N{MINUS SIGN}5", "9"]
    assert [text.get_position() for text in ax.texts] == [(0, 0), (1, 0), (1, 1)]
    assert ax.texts[0].get_color() == "white"
    assert ax.texts[2].get_color() == plots.INK


def test_bars_are_in_order_with_their_values() -> None:
    figure = plots.bars(["a", "b", "c"], [3, 2, 1], alt=ALT, highlight=[1], form="{:.1f}")
    [ax] = figure.axes
    assert [bar.get_width() for bar in ax.patches] == [3, 2, 1]
    assert [text.get_text() for text in ax.texts] == ["3.0", "2.0", "1.0"]
    assert matplotlib.colors.to_hex(ax.patches[1].get_facecolor()) == plots.PALETTE[0]
    assert matplotlib.colors.to_hex(ax.patches[0].get_facecolor()) == plots.FAINT


def test_names_of_curves_stand_apart() -> None:
    figure = plots.curves({name: [1.0, 0.5] for name in "abc"} | {"gap": [2.0, np.nan]}, alt=ALT)
    [ax] = figure.axes
    heights = sorted(ax.transData.transform(text.xy)[1] for text in ax.texts if text.get_text() in "abc")
    assert np.diff(heights).min() > 10
    assert {text.get_text() for text in ax.texts} == {"a", "b", "c", "gap"}


@pytest.mark.parametrize(("x", "whole"), [(np.arange(3), True), (np.array([0.0, 0.5, 1.0]), False)])
def test_epochs_have_no_halves(x: np.ndarray, whole: bool) -> None:
    figure = plots.curves({"loss": (x, x**2)}, alt=ALT)
    ticks = figure.axes[0].get_xticks()
    assert bool((ticks == np.round(ticks)).all()) == whole


def test_a_mask_shows_the_share_of_each_class() -> None:
    mask = np.zeros((10, 10), int)
    mask[:5], mask[9] = 1, 255
    figure = plots.masks(np.zeros((10, 10, 3)), mask, ["background", "cat", "dog"], alt=ALT)
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == ["background  44 %", "cat  56 %"]
    over = figure.axes[0].images[1].get_array()
    assert over[7, 0, 3] == 0
    assert over[0, 0, 3] > 0.3
    with pytest.raises(ValueError, match="class 2"):
        plots.masks(np.zeros((2, 2, 3)), np.full((2, 2), 2), ["background", "cat"], alt=ALT)
    with pytest.raises(ValueError, match="the mask is"):
        plots.masks(np.zeros((2, 3, 3)), np.zeros((2, 2)), ["background"], alt=ALT)


@pytest.mark.parametrize("box", [(0, 20, 30, 30), (70, 20, 30, 30), (90, 20, 40, 30)])
def test_the_name_of_a_box_stays_in_its_picture(box: tuple[int, int, int, int]) -> None:
    photo = np.zeros((100, 100, 3))
    figure = plots.boxes_row([photo, photo], [[box], []], [["motorcycle"], []], alt=ALT)
    figure.canvas.draw()
    picture, name = figure.axes[0].get_window_extent(), figure.axes[0].texts[0].get_window_extent()
    assert picture.x0 - 3 < name.x0 and name.x1 < picture.x1 + 3


def test_boxes_lie_where_they_should() -> None:
    found, names, truth = [[1, 2, 9, 8], [5, 5, 4, 4]], ["cat", "cup"], [[0, 1, 7, 6]]
    figure = plots.boxes(PHOTO, found, names, truth=truth, alt=ALT)
    beside = plots.boxes_row([PHOTO, PHOTO], [[], found], [[], names], np.array([truth, truth]), alt=ALT)
    assert [len(ax.patches) for ax in beside.axes] == [2, len(figure.axes[0].patches)]
    assert [patch.get_bbox().bounds for patch in beside.axes[1].patches] == [
        patch.get_bbox().bounds for patch in figure.axes[0].patches
    ]
    places = [(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in figure.axes[0].patches]
    assert places == [(0, 1, 7, 6), (0, 1, 7, 6), (1, 2, 9, 8), (5, 5, 4, 4)]
    assert [text.get_text() for text in figure.axes[0].texts] == ["cat", "cup"]
    assert (
        plots.boxes(PHOTO, [], alt=ALT).axes[0].patches == []
        or not plots.boxes(PHOTO, [], alt=ALT).axes[0].patches
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: plots.grid([], 2, alt=ALT),
        lambda: plots.row([PHOTO], ["a", "b"], alt=ALT),
        lambda: plots.maps(PHOTO[..., 0], alt=ALT),
        lambda: plots.bars(["a"], [1, 2], alt=ALT),
        lambda: plots.boxes(PHOTO, [[1, 2, 3, 4]], ["a", "b"], alt=ALT),
        lambda: plots.boxes_row([PHOTO, PHOTO], [[[1, 2, 3, 4]]], alt=ALT),
        lambda: plots.table([[1, 2]], ["one"]),
    ],
)
def test_what_does_not_match_is_refused(call: Any) -> None:
    with pytest.raises(ValueError):
        call()


def test_a_table_lines_numbers_up() -> None:
    rows = [["VGG-16", 138357544, 0.71312, 12345.6], ["half", 3500, 0.0275, 0.5]]
    assert plots.table(rows, ["model", "numbers", "share", "time"]).splitlines() == [
        "model       numbers  share    time",
        "VGG-16  138,357,544  0.713  12,346",
        "half          3,500  0.028       0",
    ]
    assert plots.table([[4.0], [12.5]], ["x"]).splitlines() == ["    x", " 4.00", "12.50"]
    assert plots.table([], ["x"]) == "x"


def test_a_table_in_a_notebook_is_html_with_text_beside_it(shell: Shell) -> None:
    assert plots.table([["<b>", 1, True]], ["a & b", "n", "ok"]) is None
    [(data, _)] = shell.shown
    assert "&lt;b&gt;" in data["text/html"]
    assert "a &amp; b" in data["text/html"]
    assert "yes" in data["text/plain"]


def test_colours_for_many_classes_differ() -> None:
    assert plots.colours(3) == list(plots.PALETTE[:3])
    assert len(set(plots.colours(32))) == 32


def test_alt_texts_get_into_the_web_page(shell: Shell) -> None:
    nbconvert = pytest.importorskip("nbconvert")
    alt = 'Two "bars" & a <line>, described.'
    plots.bars(["a", "b"], [1, 2], alt=alt)
    FIGURES["show"](ALT)
    outputs = []
    for data, metadata in shell.shown:
        plain = {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in data.items()}
        outputs.append(nbformat.v4.new_output("display_data", plain, metadata=metadata))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=outputs)])
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    described = plots.with_alt_text(page, notebook)
    assert 'alt="Two &quot;bars&quot; &amp; a &lt;line&gt;, described."' in described
    assert f'alt="{ALT}"' in described
    assert "No description has been provided" not in described
    assert described.count("<img") == page.count("<img") == described.count(" alt=")


def test_what_is_nearly_noise_can_be_stored() -> None:
    """Pillow's own buffer is too small for it."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3))
    figure = plots.row([noise, noise], size=3.0, alt="Two pictures of noise.")
    mime, content, _ = plots.compact(figure)  # type: ignore[arg-type]
    assert mime == "image/jpeg" and len(content) > 10_000
