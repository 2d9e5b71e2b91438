"""The course's web pages: what is generated for them, and (slow) that they build without a warning."""

from __future__ import annotations

import ast
import json
import re
import shutil

import pytest

from course_utils import runtime
from course_utils.exercises import frame
from tools import book

ROOT = book.ROOT


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    runtime.start(0)
    folder = tmp_path_factory.mktemp("book") / "source"
    book.gather(folder)
    return folder


def test_every_page_of_the_contents_exists(source):
    for folder in (source, source / "api"):
        text = (folder / "index.md").read_text(encoding="utf-8")
        blocks = re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        listed = [line for line in lines if line and not line.startswith(":") and "*" not in line]
        assert len(listed) > 5
        assert [name for name in listed if not (folder / f"{name}.md").exists()] == []


def test_wrong_answers_lists_every_exercise(source):
    text = (source / "wrong_answers.md").read_text(encoding="utf-8")
    for number in frame.notebooks():
        for exercise in frame.exercises(number):
            assert f"**{exercise.id} {exercise.title}**" in text
    assert text.count("\n- ") > 5 * text.count("**0")


def test_cards_and_benches_are_shown(source):
    cards = (source / "weights.md").read_text(encoding="utf-8")
    for path in (ROOT / "data" / "weights").glob("*.json"):
        assert f"## {path.stem}" in cards
    benches = (source / "benchmarks.md").read_text(encoding="utf-8")
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        assert all(row["way"] in benches for row in json.loads(path.read_text())["rows"])


def test_a_page_has_neither_badge_nor_widgets():
    widget = {"data": {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "x"}}
    figure = {"data": {"image/png": "AA=="}}
    cells = [
        {"metadata": {}, "source": ["# Title\n", "<!-- badge -->[!](https://x)<!-- /badge -->\n", "\nText"]},
        {"metadata": {"tags": ["install"]}, "source": "!pip"},
        {"metadata": {}, "source": "x", "outputs": [widget, figure]},
    ]
    found = book.for_reading({"cells": cells, "nbformat": 4})
    assert found["cells"][0]["source"] == "# Title\nText"
    assert len(found["cells"]) == 2 and found["cells"][1]["outputs"] == [figure]


def test_home_has_the_notebooks_with_their_minutes(source):
    home = (source / "index.md").read_text(encoding="utf-8")
    for path in sorted((source / "notebooks").glob("*.ipynb")):
        minutes = json.loads(path.read_text(encoding="utf-8"))["metadata"]["course"]["minutes"]
        assert re.search(rf"\(notebooks/{path.name}\) .*\| {minutes} \| [\d.]+ GB", home)


def test_the_index_of_modules_says_what_each_is_for(source):
    index = (source / "api" / "index.md").read_text(encoding="utf-8")
    for page in (source / "api").glob("*.md"):
        if page.stem != "index":
            assert re.search(rf"\({re.escape(page.name)}\)(\*\*)? \| \S.{{20,}}", index), page.name


def test_without_sphinx_the_book_says_what_to_install(monkeypatch):
    monkeypatch.setattr(book, "find_spec", lambda name: None if name == "sphinx" else name)
    with pytest.raises(ModuleNotFoundError, match=r"needs sphinx: pip install -e '\.\[docs\]'"):
        book.book()


def test_docstrings_hold_nothing_that_the_book_would_stumble_over():
    """Sphinx reads words between bars as a substitution, and Markdown's tables so."""
    for path in (ROOT / "course_utils").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                if getattr(node, "name", "").startswith("_"):
                    continue  # not in the book
                text = re.sub(r"`[^`]*`", "", ast.get_docstring(node) or "")
                found = re.search(r"(?<!\w)\|\S[^|\n]*\S\||^\|", text, re.MULTILINE)
                assert not found, (path.name, getattr(node, "name", "module"), found[0])


def test_code_that_a_page_shows_is_there(source):
    for page in source.glob("*.md"):
        for path in re.findall(r"\{literalinclude\} (\S+)", page.read_text(encoding="utf-8")):
            assert (book.BUILD / "source" / path).resolve().is_file(), (page.name, path)


@pytest.mark.slow
def test_the_book_builds_without_a_warning(tmp_path):
    pytest.importorskip("myst_nb")
    book.book(tmp_path / "html")
    page = (tmp_path / "html" / "notebooks" / "00_convolution_basics.html").read_text(encoding="utf-8")
    figures = re.findall(r'<img [^>]*src="\.\./_images/[^>]*>', page)
    assert figures and all(re.search(r'alt="[^"]{20,}"', tag) for tag in figures)
    fetched = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="https?://[^"]*"', page)
    assert not [tag for tag in fetched if 'rel="canonical"' not in tag]
    index = (tmp_path / "html" / "searchindex.js").read_text(encoding="utf-8")
    found = set(json.loads(re.search(r'"docnames":\s*(\[.*?\])', index)[1]))
    pages = {
        path.relative_to(tmp_path / "html").with_suffix("") for path in (tmp_path / "html").rglob("*.html")
    }
    lists = {
        "genindex",
        "search",
        "py-modindex",
    }  # of other pages; _modules is code, _static scraps of the theme
    written = {page.as_posix() for page in pages if page.parts[0] not in ("_modules", "_static", "explorer")}
    assert written - lists == found
    looked_at(tmp_path / "html")


def looked_at(book_folder):
    """In a browser: figures keep their proportions, formulas are set, nothing is fetched from elsewhere."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright: pip install --group browser")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    bent = """[...document.querySelectorAll('article img')].filter((each) => each.naturalWidth && Math.abs(
        each.width / each.height / (each.naturalWidth / each.naturalHeight) - 1) > 0.02).length"""
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width in (390, 1280):
            page = browser.new_page(viewport={"width": width, "height": 800})
            asked = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto((book_folder / "notebooks" / "07_neural_style.html").as_uri())
            page.wait_for_selector("mjx-container svg", state="attached", timeout=30_000)
            assert page.evaluate("document.querySelectorAll('article img').length") > 10
            assert page.evaluate(bent) == 0
            assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        browser.close()
