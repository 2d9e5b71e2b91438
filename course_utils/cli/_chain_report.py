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
img {{ max-width: 100%; margin: .3rem .3rem .3rem 0; }} .few img {{ width: 31%; }}
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

    # --- what each step leaves --------------------------------------------------------------------------

    def cutouts(self, sheet: Path, names: Sequence[str]) -> None:
        """The contact sheet of outlines and masks."""
        text = f"GrabCut's masks of {', '.join(names[1:])}; the white lines are the rough outlines."
        self.add(
            "Samples",
            "course cutouts IMAGES --outlines FILE",
            text,
            self.image(sheet, "Pictures with their outlines and masks"),
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

    def heat_maps(self, converted: Any, picture: Any, names: Sequence[str]) -> None:
        """The converted classifier's answer to a whole picture, laid over it, class by class."""
        from course_utils.datasets.contact_sheet import sheet
        from course_utils.pictures import images

        seen = images.fit(picture, 384)
        maps = converted.predict_on_batch(images.preprocess(seen)[None])[0]
        tiles = [images.to_uint8(seen), *(laid_over(seen, maps[..., c]) for c in range(len(names)))]
        path = images.save(self.out / "heat_maps.jpg", sheet(tiles, 3))
        self.add(
            "The same weights as convolutions",
            "course convert classifier.keras",
            f"Now it answers at {maps.shape[0]} x {maps.shape[1]} places of one picture. First the picture, "
            f"then how sure it is of {', '.join(names)}.",
            self.image(path, "A picture, and a map for each class"),
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

    def segmented(self, overlays: Sequence[Path], new: bool) -> None:
        """The answers laid over their pictures."""
        whose = "pictures that it has never seen" if new else "the pictures that it learnt from, mostly"
        images = [self.image(path, path.stem.removesuffix("_overlay")) for path in overlays[:24]]
        self.add(
            "Answers",
            "course segment PICTURE",
            f"The network on {whose}.",
            f'<div class="few">{"".join(images)}</div>',
        )

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


def laid_over(picture: Any, scores: Any) -> Any:
    """A map of 0..1 as colours over a picture, uint8, as large as the picture."""
    from matplotlib import colormaps

    from course_utils.pictures import images

    large = images.resize(scores, picture.shape[:2])
    return images.to_uint8(0.4 * picture + 0.6 * 255 * colormaps["viridis"](large.clip(0, 1))[..., :3])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table."""
    cells = ["".join(f"<th>{html.escape(word)}</th>" for word in head)]
    cells += ["".join(f"<td>{html.escape(word)}</td>" for word in row) for row in rows]
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
