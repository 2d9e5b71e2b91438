"""The page that `course chain` leaves: what each step made, in pictures and a few numbers."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course_utils.training.samples import Tried

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>From outlines to answers</title>
<style>
body {{ font: 17px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
img {{ max-width: 100%; margin: .3rem .3rem .3rem 0; }}
.few {{ display: flex; flex-wrap: wrap; gap: .6rem; }} figure {{ width: 31%; margin: 0; }}
figure img {{ width: 100%; }}
figcaption, .key {{ font-size: .9em; }} .key i {{ display: inline-block; width: .8em; height: .8em; }}
code {{ background: #f0f0f0; padding: .1rem .3rem; }} td, th {{ padding: .1rem .8rem .1rem 0; }}
th {{ text-align: left; }} td + td {{ text-align: right; font-variant-numeric: tabular-nums; }}
</style></head><body><h1>From outlines to answers</h1>
{parts}
</body></html>
"""


class Report:
    """A page that grows with the steps; its pictures lie beside it in the same folder."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.parts: list[str] = []

    def write(self) -> Path:
        """Write `report.html`."""
        from course_utils import files

        with files.replacing(self.out / "report.html", text=True) as page:
            page.write(PAGE.format(parts="\n".join(self.parts)))
        return self.out / "report.html"

    def add(self, title: str, command: str, text: str, *inside: str) -> None:
        """A section: what was typed, what came out, and what there is to see."""
        head = f"<h2>{html.escape(title)}</h2>\n<p><code>{html.escape(command)}</code></p>"
        self.parts.append("\n".join([head, f"<p>{html.escape(text)}</p>", *inside]))

    def image(self, path: Path, alt: str) -> str:
        """The tag of a picture below the page's folder."""
        place = path.relative_to(self.out).as_posix()
        return f'<img src="{html.escape(place)}" alt="{html.escape(alt)}">'

    def figures(self, shown: Sequence[tuple[str, Path]]) -> str:
        """Pictures side by side, each with what it is below it."""
        each = [
            f"<figure>{self.image(path, name)}<figcaption>{html.escape(name)}</figcaption></figure>"
            for name, path in shown
        ]
        return f'<div class="few">{"".join(each)}</div>'

    # --- what each step leaves --------------------------------------------------------------------------

    def cutouts(self, sheet: Path, names: Sequence[str]) -> None:
        """The contact sheet of outlines and masks."""
        text = f"GrabCut's masks of {', '.join(names[1:])}; the white lines are the rough outlines."
        self.add(
            "Samples",
            "course cutouts IMAGES --outlines FILE",
            text,
            self.image(sheet, "Pictures with their outlines and masks"),
            key(names),
        )

    def classifier(self, card: dict[str, Any]) -> None:
        """What the classifier of crops reaches, beside the most frequent class."""
        accuracy, by_class = card["metrics"]["accuracy"], card["metrics"]["accuracy_by_class"]
        most = card["baselines"]["majority_class"]
        text = f"{accuracy:.0%} of {card['pictures']['judged']} crops kept out are named right"
        text += f"; the most frequent class everywhere would reach {most:.0%}."
        rows = [(name, f"{value:.2f}") for name, value in by_class.items()]
        self.add(
            "A classifier of crops",
            "course train classifier --images crops",
            text,
            table(("class", "share named right"), rows),
        )

    def heat_maps(self, converted: Any, picture: Any, card: dict[str, Any]) -> None:
        """The converted classifier's answer to a whole picture, laid over it, class by class."""
        from course_utils.pictures import images

        names, window = card["class_names"], card["input_size"]
        seen = images.fit(picture, 3 * window)
        maps = converted.predict_on_batch(images.preprocess(seen)[None])[0]
        tiles = [images.to_uint8(seen), *(laid_over(seen, maps[..., c], window) for c in range(len(names)))]
        paths = [images.save(self.out / "heat_maps" / f"{i}.jpg", tile) for i, tile in enumerate(tiles)]
        self.add(
            "The same weights as convolutions",
            "course convert classifier.keras",
            f"Now it answers at {maps.shape[0]} x {maps.shape[1]} places of one picture, each the middle "
            f"of a window of {window} x {window} pixels: how sure it is of each class, from blue to yellow.",
            self.figures(list(zip(("the picture", *names), paths, strict=True))),
        )

    def fcn(self, card: dict[str, Any]) -> None:
        """The figures of FCN-8s, below those of trivial answers."""
        keys = ("pixel_accuracy", "mean_iu")
        rows = [
            (name.replace("_", " "), *(f"{found[key]:.3f}" for key in keys))
            for name, found in {**card["baselines"], "FCN-8s": card["metrics"]}.items()
        ]
        judged = card["pictures"]["validation"]
        self.add(
            "A class for every pixel",
            "course train fcn --images images --masks masks",
            f"Judged on {judged} pictures that it did not learn from: so few say little. Above the network "
            "stand answers that look at no picture, or at 15 x 15 pixels of it.",
            table(("", "pixel accuracy", "mean IU"), rows),
        )

    def segmented(self, overlays: Sequence[Path], names: Sequence[str], new: bool) -> None:
        """The answers laid over their pictures."""
        whose = "pictures that it has never seen" if new else "the pictures that it learnt from, mostly"
        shown = [(path.stem.removesuffix("_overlay"), path) for path in overlays[:24]]
        text = f"The network on {whose}."
        self.add("Answers", "course segment PICTURE", text, self.figures(shown), key(names))

    def samples(self, chart: Path, found: Sequence[Tried]) -> None:
        """What each set of samples led to."""
        rows = []
        for each in found:
            mean, low, high = each.mean_iu()
            rows.append((each.name, f"{mean:.2f}", f"{low:.2f} to {high:.2f}"))
        self.add(
            "Which samples help?",
            "course samples --images images --masks masks",
            "Equally many steps and the same weight for each class; only the samples differ. A difference "
            "smaller than the one between two seeds says nothing.",
            table(("learnt from", "mean IU", "seeds"), rows),
            self.image(chart, "Precision and recall of each class for every set of samples"),
        )


def laid_over(picture: Any, scores: Any, window: int, stride: int = 32) -> Any:
    """A map of 0..1 as colours over a picture, where its places lie: the middles of windows.

    Args:
        picture: (H, W, 3), RGB 0..255.
        scores: (h, w), of windows that begin at the picture's first pixel, `stride` apart.
        window: their side.

    Returns:
        uint8, as large as the picture, whose border is left as it is.
    """
    import numpy as np
    from matplotlib import colormaps

    from course_utils.pictures import images

    first = (window - stride) // 2
    rows, columns = scores.shape
    large = images.resize(scores, (stride * rows, stride * columns)).clip(0, 1)
    out = np.array(picture, np.float32)
    under = out[first : first + large.shape[0], first : first + large.shape[1]]
    under *= 0.4
    under += 0.6 * 255 * colormaps["viridis"](large)[: under.shape[0], : under.shape[1], :3]
    return images.to_uint8(out)


def key(names: Sequence[str]) -> str:
    """Which colour is which class."""
    from course_utils.pictures.palette import mask_palette

    colours = zip(names, mask_palette(names)[: len(names)], strict=True)
    each = [f'<i style="background: rgb{tuple(map(int, c))}"></i> {html.escape(name)}' for name, c in colours]
    return f'<p class="key">{" &ensp; ".join(each)}</p>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table."""
    cells = ["".join(f"<th>{html.escape(word)}</th>" for word in head)]
    cells += ["".join(f"<td>{html.escape(word)}</td>" for word in row) for row in rows]
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
