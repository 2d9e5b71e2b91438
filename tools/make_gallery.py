"""Make README's gallery, docs/gallery/*.jpg, from the photographs, style pictures and weights that ship.

    python tools/make_gallery.py [NAME…]

Some minutes on two cores. Each picture is one tile of `course poster`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from course_utils import colour, runtime
from course_utils.cli import poster_parts
from course_utils.networks import pretrained
from course_utils.pictures import images

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "gallery"
SIZE = 480, 320
PICTURES = {  # name -> which part of the poster, the photograph, the picture to paint after
    "edges": (poster_parts.edges, "chelsea", ""),
    "maps": (poster_parts.mapped, "astronaut", ""),
    "clusters": (poster_parts.clustered, "flower", ""),
    "box": (poster_parts.boxed, "motorcycle", ""),
    "painted": (poster_parts.painted, "chelsea", "mosaic"),
    "dream": (poster_parts.dreamt, "coffee", ""),
}


def make(name: str) -> Path:
    """Make one picture and write it; returns where."""
    part, photo, style = PICTURES[name]
    tools = poster_parts.Tools(pretrained.load_vgg16(), size=480, steps=90, style=style or poster_parts.STYLE)
    picture = Image.fromarray(images.to_uint8(part(three_to_two(images.sample(photo)), tools).image))
    path = FOLDER / f"{name}.jpg"
    path.parent.mkdir(exist_ok=True)
    ImageOps.fit(picture, SIZE, Image.Resampling.LANCZOS).save(path, quality=82, optimize=True)
    return path


def make_colours() -> list[Path]:
    """A photograph in grey, in the vivid colours of notebook 09, and in its own; returns where."""
    head, trunk = colour.load(), colour.load_trunk()
    photo = images.fit(three_to_two(images.sample("china")), SIZE[0])
    pictures = {"grey": colour.grey(photo), "true": photo}
    pictures["vivid"] = colour.colourize(head, trunk, photo, way="vivid")
    return [images.save(FOLDER / f"colour_{name}.jpg", each, quality=82) for name, each in pictures.items()]


def three_to_two(photo: np.ndarray) -> np.ndarray:
    """The largest part of a photograph that has the gallery's proportions, not quite at the top."""
    height, width = photo.shape[:2]
    rows, columns = min(height, round(width * 2 / 3)), min(width, round(height * 3 / 2))
    top, left = (height - rows) // 3, (width - columns) // 2
    return photo[top : top + rows, left : left + columns]


if __name__ == "__main__":
    runtime.start(seed=0)
    for wanted in sys.argv[1:] or [*PICTURES, "colours"]:
        for done in make_colours() if wanted == "colours" else [make(wanted)]:
            print(f"{done}: {done.stat().st_size / 1000:.0f} kB", flush=True)
