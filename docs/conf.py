"""Sphinx's settings. `course book` puts this folder, the notebooks and generated pages together."""

import hashlib
import tomllib
from pathlib import Path

from docutils import nodes

HERE = Path(__file__).parent
COURSE = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["course"]

project = "What convolutional networks see and do"
author = "The course's authors"
copyright = "the course's authors. Code MIT, text CC BY 4.0"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["README.md"]

# What is shown is what `course render` has executed and committed.
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # each widget has a static twin; nothing is fetched from elsewhere
myst_enable_extensions = ["deflist", "colon_fence", "dollarmath"]
mathjax_path = "mathjax/tex-svg.js"  # MathJax 3.2.2 (Apache-2.0), one file: formulas need no network
myst_heading_anchors = 3
# ref.python: every recipe is called `Recipe`, and which one a signature means its page says.
suppress_warnings = ["mystnb.unknown_mime_type", "misc.highlighting_failure", "ref.python"]

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

viewcode_follow_imported_members = False

html_theme = "sphinx_book_theme"
html_title = project
html_show_sourcelink = False
html_static_path = ["static"]
html_css_files = ["book.css"]
html_theme_options = {
    "repository_url": COURSE["repository"],
    "repository_branch": COURSE["branch"],
    "path_to_docs": "",
    "use_repository_button": True,
    "use_download_button": True,
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "navbar_persistent": [],
    "show_navbar_depth": 1,
    "show_toc_level": 2,
}


def alt_texts() -> dict[str, str]:
    """What each figure shows, by the SHA-256 of its file: notebooks keep it in their outputs' metadata."""
    import base64

    import nbformat

    found = {}
    for path in (HERE / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, 4).cells:
            for output in cell.get("outputs", ()):
                for mime in ("image/png", "image/jpeg"):
                    alt = output.get("metadata", {}).get(mime, {}).get("alt")
                    if alt and mime in output.get("data", {}):
                        content = base64.b64decode("".join(output["data"][mime]))
                        found[hashlib.sha256(content).hexdigest()] = alt
    return found


def describe(app, doctree) -> None:
    """Put the alt texts on the figures."""
    for image in doctree.findall(nodes.image):
        alt = app.alt_texts.get(Path(image.get("uri", "")).stem)
        if alt:
            image["alt"] = alt


def setup(app) -> None:
    app.alt_texts = alt_texts()
    app.connect("doctree-read", describe)
