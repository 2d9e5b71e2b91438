"""The poster: its parts, its sheet, the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from course_utils import cli
from course_utils.cli import poster_parts, poster_sheet
from course_utils.pictures import images


def course(*arguments: str) -> str:
    outcome = CliRunner().invoke(cli.build(), arguments, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def test_where_most_channels_are_silent_the_lively_ones_are_shown() -> None:
    stack = np.zeros((6, 6, 40), np.float32)
    stack[2:4, 1:5, 23] = 3
    stack[:, 4, 31] = 5
    first, second = poster_parts._liveliest(stack, 2)
    np.testing.assert_array_equal(first[..., 0] > 0, stack[..., 31] > 0)
    np.testing.assert_array_equal(second[..., 0] > 0, stack[..., 23] > 0)


def test_a_map_that_answers_to_the_border_alone_is_not_lively() -> None:
    stack = np.zeros((20, 20, 3), np.float32)
    stack[[0, 1, -2, -1], :, 0] = 9
    stack[5:9, 5:9, 1] = 1
    (first,) = poster_parts._liveliest(stack, 1)
    np.testing.assert_array_equal(first[..., 0] > 0, stack[..., 1] > 0)


def test_rows_of_the_poster_leave_no_hole() -> None:
    assert [poster_sheet.in_rows(count) for count in range(10)] == [
        [], [1], [2], [3], [2, 2], [3, 2], [3, 3], [3, 2, 2], [3, 3, 2], [3, 3, 3],
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(60, 90), (200, 30)])
@pytest.mark.parametrize("count", [1, 8])
def test_every_tile_has_a_place_of_its_own(shape: tuple[int, int], count: int) -> None:
    """Each part in a colour of its own: all are seen, and none of them twice."""
    colours = [(200 - 20 * i, 30, 25 * i) for i in range(count)]
    parts = [
        poster_sheet.Part(f"{i:02}", "Title", "text", np.full((40, 60, 3), c)) for i, c in enumerate(colours)
    ]
    page = poster_sheet.sheet(np.full((*shape, 3), 128.0), parts, "A title of several words")
    areas = [(page == np.array(colour)).all(-1).sum() for colour in colours]
    height, width = poster_sheet.cut(np.zeros((*shape, 3))).shape[:2]
    tall = round(poster_sheet.TILE * height / width)
    assert min(areas) >= poster_sheet.TILE * tall
    assert max(areas) <= 2.4 * poster_sheet.TILE * tall
    assert (page == 128).all(-1).sum() > 4 * poster_sheet.TILE * tall


def test_a_part_without_weights_is_left_out() -> None:
    def absent(photo: np.ndarray, tools: poster_parts.Tools) -> poster_sheet.Part:
        raise FileNotFoundError("no file weights.npz")

    photo = np.random.default_rng(0).uniform(0, 255, (40, 60, 3))
    parts, missing = poster_parts.make(photo, poster_parts.Tools(None), [poster_parts.edges, absent])
    assert [part.number for part in parts] == ["00"]
    assert missing == ["absent is left out: no file weights.npz"]


def test_the_poster_of_a_photograph(tmp_path: Path) -> None:
    said = course("poster", "coffee", "--out", str(tmp_path / "p.png"), "--size", "96", "--steps", "2")
    for number in ("00", "01", "02", "03", "07", "08"):
        assert f"\n{number} " in f"\n{said}"
    page = images.read(tmp_path / "p.png")
    assert page.shape[1] == 1656 and page.shape[0] > 1500


def test_a_poster_that_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(cli.build(), ["poster", "chelsea", "--out", str(tmp_path / "p.pdf")])
    assert isinstance(outcome.exception, ValueError) and "00 Edges" not in outcome.output
