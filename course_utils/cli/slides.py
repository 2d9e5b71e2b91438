"""`course slides`: the core path of a notebook as slides, one file that needs no network."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Annotated, Any

import typer

from course_utils import files
from course_utils.cli import _notebooks

REVEAL = _notebooks.ROOT / "docs" / "static" / "reveal"  # reveal.js 6.0.2, MIT
LONGEST_CODE = 14  # lines that a slide still holds at a size that the last row can read
LONGEST_LEAD = 220  # characters of prose above a figure

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>$css
.reveal { font: 30px/1.35 system-ui, sans-serif; color: #1b1b1b; background: #fff }
.reveal h1 { font-size: 1.9em; line-height: 1.15 } .reveal h2 { font-size: 1.15em; margin: 0 0 .35em }
.reveal .slides section { height: 100%; text-align: left }
.reveal section > img { display: block; margin: .3em auto 0; max-width: 100%; object-fit: contain }
.reveal p { margin: .3em 0 } .reveal pre { font-size: .68em; white-space: pre-wrap; margin: .5em 0;
  padding: .6em .8em; background: #f3f3f1; border-left: .25em solid #2a6f97 }
.reveal pre.printed { background: none; border-color: #bbb }
.reveal .long pre { font-size: .5em }
.reveal .turn { border-top: .25em solid #c1121f; padding-top: .4em }
.reveal img.formula { height: 1.9em; vertical-align: -.7em }
.reveal table { font-size: .55em; border-collapse: collapse } .reveal td, .reveal th { padding: .2em .6em }
</style></head>
<body><div class="reveal"><div class="slides">
$slides
</div></div>
<script>$reveal</script><script>$notes</script>
<script>Reveal.initialize({ width: 1280, height: 720, margin: 0.04, center: false, hash: true,
  transition: "none", slideNumber: "c/t", plugins: [RevealNotes] });</script>
</body></html>
""")


@dataclass
class Slide:
    """One idea: a heading, what stands under it as HTML, and what the speaker reads."""

    title: str
    body: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    level: int = 2
    kind: str = ""


def register(app: typer.Typer) -> None:
    """Add `course slides`."""
    app.command("slides")(slides)


def slides(
    notebooks: Annotated[list[str], typer.Argument(metavar="NN…", help="Numbers of notebooks, or all.")],
    out: Annotated[Path, typer.Option(help="Folder for NN_name.html.")] = Path("out/slides"),
) -> None:
    """Make slides of a notebook's core path: figures large, the prose as speaker notes (key S)."""
    for source in _notebooks.find(notebooks):
        made = deck(json.loads(source.read_text(encoding="utf-8"))["cells"])
        target = out / f"{source.stem}.html"
        with files.replacing(target, text=True) as file:
            file.write(page(made))
        typer.echo(f"{target}: {len(made)} slides")


def deck(cells: list[dict[str, Any]]) -> list[Slide]:
    """The slides of a notebook's core cells; of all its cells where none is marked as core.

    Prose belongs to the code cell below it: it is read aloud, and its first sentence stands on the slide.
    """
    marked = any("core" in _tags(cell) for cell in cells)
    made: list[Slide] = []
    waiting: list[str] = []
    heading = ""
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            if text.startswith("# "):
                made.append(_title(text))
                heading = made[-1].title
                continue
            found = re.match(r"#{2,3} (.+)\n?", text)
            if found:
                heading, waiting, text = found[1], [], text[found.end() :]
            waiting.append(_without_asides(text))
        elif "install" not in _tags(cell) and ("core" in _tags(cell) or not marked):
            made += _of_code(heading, "\n\n".join(waiting).strip(), text, cell)
            waiting = []
    return made


def _tags(cell: dict[str, Any]) -> list[str]:
    return list(cell["metadata"].get("tags", ()))


def _title(text: str) -> Slide:
    """The first slide: the notebook's name and what one will make."""
    name = text.splitlines()[0].removeprefix("# ")
    promise = re.search(r"\*\*What you will make:\*\*(.+)", text)
    made = promise[1].strip() if promise else ""
    return Slide(name, [_prose(made[:1].upper() + made[1:])], [_plain(text)], level=1)


def _without_asides(text: str) -> str:
    """Without "then and now" boxes and what is folded away; they are for reading."""
    return re.sub(r"^>.*\n?|<details>.*?</details>", "", text, flags=re.MULTILINE | re.DOTALL).strip()


def _of_code(heading: str, prose: str, code: str, cell: dict[str, Any]) -> list[Slide]:
    """The slides of one code cell: an exercise, its figures, or the code and what it prints."""
    notes = [_plain(prose)] if prose else []
    if any(tag.startswith("exercise-") for tag in _tags(cell)):
        stub = f"<pre>{html.escape(code.strip())}</pre>" if code.count("\n") < LONGEST_CODE else ""
        return [Slide(heading, [_prose(prose), stub], notes, kind="turn")]
    figures = [shown for output in cell.get("outputs", ()) if (shown := _figure(output))]
    if figures:
        return [
            Slide(heading, [*([_prose(_lead(prose))] if k == 0 and prose else []), shown], [*notes, code])
            for k, shown in enumerate(figures)
        ]
    printed = "".join(map(_printed, cell.get("outputs", ()))).strip()
    if not printed or code.count("\n") >= LONGEST_CODE:
        return []  # imports, definitions, long listings: nothing for the wall
    body = [_prose(_lead(prose))] if prose else []
    body.append(f"<pre>{html.escape(code)}</pre>")
    body.append(f'<pre class="printed">{html.escape(printed[:600])}</pre>')
    return [Slide(heading, body, notes, kind="long" if (code + printed).count("\n") > LONGEST_CODE else "")]


def _figure(output: dict[str, Any]) -> str:
    """An output's picture as HTML, or nothing."""
    for mime in ("image/png", "image/jpeg"):
        if mime in output.get("data", {}):
            alt = html.escape("".join(output["data"].get("text/plain", "")), quote=True)
            data = "".join(output["data"][mime]).strip().replace("\n", "")
            return f'<img alt="{alt}" src="data:{mime};base64,{data}" class="r-stretch">'
    return ""


def _printed(output: dict[str, Any]) -> str:
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    return "".join(text)


def _lead(prose: str) -> str:
    """The first sentences of the paragraph next to the code, as many as fit above a figure; whole ones."""
    lead = ""
    for sentence in re.split(r"(?<=[.!?:])\s+(?=[A-Z*`])", prose.split("\n\n")[-1]):
        if lead and len(lead) + len(sentence) > LONGEST_LEAD:
            break
        lead = f"{lead} {sentence}".strip()
    return lead.removesuffix(":") + ("." if lead.endswith(":") else "")


def _prose(text: str) -> str:
    """Markdown as HTML, formulas drawn as pictures (a slide has no network and no MathJax)."""
    from mistune import html as to_html

    formulas: list[str] = []

    def keep(found: re.Match[str]) -> str:
        formulas.append(_formula(found[1] or found[2]))
        return f"FORMULA{len(formulas) - 1}X"

    text = re.sub(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$\n]+)\$", keep, text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"FORMULA(\d+)X", lambda found: formulas[int(found[1])], str(to_html(text)))


def _formula(source: str) -> str:
    """A formula as a picture; as its source where Matplotlib cannot set it."""
    from matplotlib import mathtext

    shown = html.escape(source.strip(), quote=True)
    out = io.BytesIO()
    try:
        mathtext.math_to_image(f"${source.strip()}$", out, dpi=300, format="png")
    except ValueError:
        return f"<code>{shown}</code>"
    data = base64.b64encode(out.getvalue()).decode()
    return f'<img class="formula" alt="{shown}" src="data:image/png;base64,{data}">'


def _plain(text: str) -> str:
    """Markdown as it is read aloud."""
    text = re.sub(r"<!--.*?-->|```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"[*`#]|\n(?=\n)", "", text).strip()


def page(made: list[Slide]) -> str:
    """The file: styles, scripts, pictures, all inside."""
    sections = []
    for slide in made:
        title = f"<h{slide.level}>{html.escape(slide.title.replace('`', ''))}</h{slide.level}>"
        spoken = "".join(f"<p>{html.escape(part)}</p>" for part in slide.notes)
        body = "\n".join(slide.body)
        sections.append(
            f'<section class="{slide.kind}">{title}\n{body}\n<aside class="notes">{spoken}</aside></section>'
        )
    parts = {
        name: (REVEAL / file).read_text(encoding="utf-8")
        for name, file in {"css": "reveal.css", "reveal": "reveal.js", "notes": "notes.js"}.items()
    }
    parts = {name: text.replace("</script", "<\\/script") for name, text in parts.items()}
    return PAGE.substitute(parts, title=html.escape(made[0].title), slides="\n".join(sections))
