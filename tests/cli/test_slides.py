"""`course slides`: one idea a slide, everything in one file, nothing left out of the core path."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from course_utils.cli import _notebooks, slides

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def code(source: str, *tags: str, **data: str) -> dict[str, Any]:
    outputs = [{"output_type": "display_data", "data": {key.replace("_", "/"): data[key]}} for key in data]
    return {"cell_type": "code", "source": source, "metadata": {"tags": [*tags]}, "outputs": outputs}


CELLS = [
    text("# 42 A title\n\n**What you will make:** a dot.\n\n**What you need:** patience."),
    code("%pip install it", "install", text_plain="noise"),
    text("## First\nTold aloud. A [link](there.md) and $\\sum_i x_i$.\n\n> **Then and now.** Old days."),
    code("show(1)", "core", image_png=DOT),
    text("A further thing."),
    code("show(2)", image_png=DOT),
    text("### Your turn 42.1: do it\nDo `it`."),
    code("x = ...\n\ncheck('42.1', x)", "exercise-42.1", "core"),
    code("shape(y)", "core", text_plain="(3, <4>)"),
    code("import os", "core"),
]


def test_the_core_path_one_idea_a_slide() -> None:
    made = slides.deck(CELLS)
    assert [slide.title for slide in made] == ["42 A title", "First", "Your turn 42.1: do it"] + [
        "Your turn 42.1: do it"
    ]
    _, first, turn, printed = made
    assert DOT in "".join(first.body) and "show(1)" in first.notes
    spoken = " ".join(first.notes)
    assert "Told aloud. A link" in spoken and "Old days" not in spoken
    assert turn.kind == "turn" and "check(" in turn.body[1]
    assert "(3, &lt;4&gt;)" in "".join(printed.body)
    assert "A further thing" not in str(made) and "noise" not in str(made)


def test_without_a_core_path_every_figure() -> None:
    cells = [json.loads(json.dumps(cell)) for cell in CELLS]
    for cell in cells:
        cell["metadata"].pop("tags", None) if "core" in cell["metadata"].get("tags", ()) else None
    assert sum(DOT in "".join(slide.body) for slide in slides.deck(cells)) == 2


def test_formulas_are_pictures_and_odd_ones_their_source() -> None:
    made = slides._prose(r"Here $\sum_i x_i$, there $\begin{cases} 1 \end{cases}$, and 5 \$ or $6.")
    assert made.count('class="formula"') == 1 and "<code>" in made and "5 $ or $6" in made


@pytest.mark.parametrize("source", _notebooks.find(), ids=lambda path: path.stem)
def test_a_notebook_as_slides(source: Path) -> None:
    """Every figure of the core path is there once, and nothing comes from elsewhere."""
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    made = slides.deck(cells)
    core = [cell for cell in cells if "core" in cell["metadata"].get("tags", ())] or cells
    outputs = [output for cell in core if cell["cell_type"] == "code" for output in cell["outputs"]]
    figures = sum(bool(slides._figure(output)) for output in outputs)
    shown = sum("<img alt" in part and "r-stretch" in part for slide in made for part in slide.body)
    assert shown == figures and all(slide.title for slide in made)
    page = slides.page(made)
    head = page.split("<script>")[0]
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)|@import|url\((?!data:)""", head)


def test_reveal_is_what_was_published() -> None:
    """The files of reveal.js 6.0.2 as npm has them."""
    sums = {
        line.split()[1]: line.split()[0] for line in (slides.REVEAL / "SHA256SUMS").read_text().splitlines()
    }
    assert set(sums) == {"LICENSE", "reveal.css", "reveal.js", "notes.js"}
    for name, wanted in sums.items():
        assert hashlib.sha256((slides.REVEAL / name).read_bytes()).hexdigest() == wanted


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("number", ["03", "07", "09"])
def test_slides_fit_a_projector(number: str, tmp_path: Path) -> None:
    """At 1280x720 nothing runs out of its slide, and pictures keep their proportions."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright: pip install --group browser")
    (source,) = _notebooks.find([number])
    target = tmp_path / "deck.html"
    made = slides.deck(json.loads(source.read_text(encoding="utf-8"))["cells"])
    target.write_text(slides.page(made), encoding="utf-8")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(target.as_uri())
        page.wait_for_function("Reveal.isReady()")
        for k in range(len(made)):
            page.evaluate(f"Reveal.slide({k})")
            page.wait_for_timeout(100)
            off = page.evaluate(
                """() => { const slide = Reveal.getCurrentSlide(), box = slide.getBoundingClientRect();
                return [...slide.querySelectorAll("img, p, pre, h1, h2")].filter(each => {
                  const at = each.getBoundingClientRect();
                  const bent = each.naturalWidth && getComputedStyle(each).objectFit == "fill" &&
                    Math.abs(at.width / at.height / (each.naturalWidth / each.naturalHeight) - 1) > .02;
                  return bent || at.bottom > 722 || at.right > 1282 })
                .map(each => each.outerHTML.slice(0, 80)) }"""
            )
            assert not off, (k, made[k].title, off)
        browser.close()
    assert all(url.startswith(("file:", "data:", "blob:", "about:")) for url in asked)
