"""Proposals: selective search and edge boxes against slow, plain versions, and against chance."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.datasets import scenes
from course_utils.localization import boxes, edge_boxes, proposals, selective_search

COUNTS = (10, 50, 100, 300)


@pytest.fixture(scope="module")
def few():
    return scenes(8, size=96, seed=1, split="test", objects=(1, 3))


@pytest.fixture(scope="module")
def truth(few):
    return [b[c >= 0] for b, c in zip(few.boxes, few.classes, strict=True)]


@pytest.fixture
def quarters():
    """Four coloured squares, the two on the left nearly alike."""
    image = np.zeros((64, 64, 3), np.float32)
    image[:32, :32], image[32:, :32] = (200, 40, 40), (190, 50, 40)
    image[:32, 32:], image[32:, 32:] = (30, 60, 220), (40, 200, 60)
    return image


# --- recall, and what needs no picture ----------------------------------------------------------


def recall_by_loops(found, truth, count, overlap):
    """Share of objects reached, counted one by one."""
    hits = [
        any(boxes.iou(p, t)[0, 0] >= overlap for p in each[:count])
        for each, objects in zip(found, truth, strict=True)
        for t in objects
    ]
    return sum(hits) / len(hits)


def test_recall_is_a_count(truth):
    found = [proposals.random_boxes(40, 96, 96, seed=i) for i in range(len(truth))]
    measured = proposals.recall(found, truth, (3, 10, 40))
    assert measured == {n: pytest.approx(recall_by_loops(found, truth, n, 0.5)) for n in (3, 10, 40)}
    assert list(measured.values()) == sorted(measured.values())


def test_recall_of_nothing():
    nothing = np.zeros((0, 4))
    assert proposals.recall([nothing], [np.array([[1, 2, 3, 4]])], [10]) == {10: 0.0}
    assert np.isnan(proposals.recall([nothing], [nothing], [10])[10])
    with pytest.raises(ValueError, match="1 pictures, true boxes for 2"):
        proposals.recall([nothing], [nothing, nothing])


@pytest.mark.parametrize("count", [0, 1, 10, 57, 300])
def test_grid_and_random_boxes_are_so_many_and_inside(count):
    for made in (proposals.grid(count, 60, 90), proposals.random_boxes(count, 60, 90)):
        assert made.shape == (count, 4)
        assert (made[:, 2:] > 0).all() and (made[:, :2] >= 0).all()
        assert (made[:, 0] + made[:, 2] <= 90 + 1e-9).all() and (made[:, 1] + made[:, 3] <= 60 + 1e-9).all()
        assert len(np.unique(made.round(6), axis=0)) == count


def test_a_smaller_grid_is_the_start_of_a_larger_one():
    assert (proposals.grid(40, 96, 96) == proposals.grid(200, 96, 96)[:40]).all()


@pytest.mark.parametrize("way", [proposals.selective_search, proposals.edge_boxes])
def test_better_than_a_grid_and_chance_at_every_count(way, few, truth):
    found = proposals.recall([way(image, 300) for image in few.images], truth, COUNTS)
    for other in (proposals.grid, proposals.random_boxes):
        for count in COUNTS:
            blind = [other(count, 96, 96)] * len(few)
            assert found[count] > proposals.recall(blind, truth, [count])[count]


@pytest.mark.parametrize("way", [proposals.selective_search, proposals.edge_boxes])
def test_proposals_are_inside_apart_and_the_same_again(way, few):
    image = few.images[3]
    found = way(image, 60)
    assert 20 < len(found) <= 60 and (found == way(image, 60)).all()
    assert (found[:, 2:] > 0).all() and (found[:, :2] >= 0).all()
    assert ((found[:, :2] + found[:, 2:]) <= 96 + 1e-9).all()
    overlaps = boxes.iou(found, found) - np.eye(len(found))
    assert overlaps.max() <= 0.8


@pytest.mark.parametrize("way", [proposals.selective_search, proposals.edge_boxes])
@pytest.mark.parametrize("shape", [(64, 64), (40, 90)])
def test_an_empty_wall_is_no_error(way, shape):
    found = way(np.full((*shape, 3), 128.0), 20)
    assert found.ndim == 2 and found.shape[1] == 4


# --- selective search ---------------------------------------------------------------------------


def test_alike_neighbours_merge_first(quarters):
    grouping = selective_search.group(quarters, selective_search.Strategy("rgb"))
    three = grouping.after(len(grouping.merges) - 2)
    corners = [three[r, c] for r, c in ((8, 8), (50, 8), (8, 50), (50, 50))]
    assert corners[0] == corners[1] and len(set(corners)) == 3
    assert boxes.iou(grouping.boxes[corners[0]], np.array([[0, 0, 32, 64]]))[0, 0] > 0.85
    assert grouping.boxes[-1].tolist() == [0, 0, 64, 64]


def test_growth_can_be_shown(few):
    grouping = selective_search.group(few.images[0])
    small = grouping.labels.max() + 1
    assert len(grouping.merges) == small - 1 and len(grouping.boxes) == 2 * small - 1
    for merges in (0, 1, small // 2, small - 1):
        labels = grouping.after(merges)
        assert len(np.unique(labels)) == small - merges
        for region in np.unique(labels):
            rows, columns = np.nonzero(labels == region)
            tight = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert grouping.boxes[region].tolist() == tight


def test_histograms_are_shares_of_pixels():
    rng = np.random.default_rng(0)
    values, labels = rng.random((9, 7, 2)), rng.integers(0, 3, (9, 7))
    found = selective_search.histograms(values, labels, 5, 1.0)
    for region in range(3):
        plain = np.concatenate(
            [np.histogram(values[labels == region, c], bins=5, range=(0, 1))[0] for c in range(2)]
        )
        np.testing.assert_allclose(found[region], plain / plain.sum())


def test_merged_regions_are_as_if_they_had_been_one(few):
    """Histograms, sizes and boxes are carried on without a look at the pixels."""
    values = selective_search.in_colours(few.images[0], "rgb")
    labels = np.repeat(np.repeat(np.arange(9).reshape(3, 3), 32, 0), 32, 1)
    regions = selective_search._Regions(values, labels, selective_search.MEASURES)
    regions.merge(0, 1)
    regions.merge(0, 4)
    joined = np.unique(np.where(np.isin(labels, [1, 4]), 0, labels), return_inverse=True)[1].reshape(96, 96)
    afresh = selective_search._Regions(values, joined, ["size"])
    assert regions.sizes[0] == afresh.sizes[0] and (regions.corners[0] == afresh.corners[0]).all()
    whole = selective_search.histograms(values, joined, selective_search.COLOUR_BINS, 1.0)
    np.testing.assert_allclose(regions.shares["colour"][0], whole[0])


def test_the_four_measures(quarters):
    labels = np.repeat(np.repeat(np.arange(4).reshape(2, 2), 32, 0), 32, 1)

    def alike(*measures):
        return selective_search._Regions(quarters / 255, labels, measures).alike(0, np.array([1, 2, 3]))

    assert alike("colour")[1] > alike("colour")[0]
    np.testing.assert_allclose(alike("size"), 0.5)
    np.testing.assert_allclose(alike("fill"), [1, 1, 0.5])  # across the corner half the box stays empty
    np.testing.assert_allclose(
        alike(*selective_search.MEASURES), sum(alike(name) for name in selective_search.MEASURES)
    )


def test_strategies_add_proposals(few):
    one = proposals.selective_search(few.images[2], strategies=selective_search.STRATEGIES[:1])
    assert len(proposals.selective_search(few.images[2])) > 1.5 * len(one)


def test_what_selective_search_refuses(quarters):
    with pytest.raises(ValueError, match="rgb, lab, hsv, rgi and grey"):
        selective_search.group(quarters, selective_search.Strategy("cmyk"))
    with pytest.raises(ValueError, match="no measure taste"):
        selective_search.group(quarters, selective_search.Strategy(measures=("taste",)))


# --- edge boxes ---------------------------------------------------------------------------------


@pytest.fixture
def square():
    """A light square on dark ground, from 20 to 60, cut by nothing."""
    image = np.full((96, 96, 3), 40.0)
    image[20:60, 20:60] = 220
    return image


def test_thin_edges_of_a_square(square):
    strength, direction = edge_boxes.thin_edges(square)
    rows, columns = np.nonzero(strength)
    near = np.minimum(np.abs(rows - 19.5), np.abs(rows - 59.5)) < 1.1
    near |= np.minimum(np.abs(columns - 19.5), np.abs(columns - 59.5)) < 1.1
    assert near.all()
    assert (strength[:, 30:50] > 0).sum() <= 3 * 20  # the two horizontal sides, thin
    assert edge_boxes.turn(direction[20, 40], 0) < 0.1 or edge_boxes.turn(direction[19, 40], 0) < 0.1


def test_turns_have_no_sense():
    a, b = np.array([0.0, 0.1, 3.1, 1.5]), np.array([np.pi, 3.1, 0.1, 0.2])
    expected = [min(abs(x - y + k * np.pi) for k in (-1, 0, 1)) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(edge_boxes.turn(a, b), expected)


def test_groups_follow_lines_and_end_at_bends():
    strength, direction = np.zeros((30, 30)), np.zeros((30, 30))
    strength[5, 3:27] = 1
    strength[20, 3:15] = 1
    strength[6:20, 26], direction[6:20, 26] = 1, np.pi / 2
    labels = edge_boxes.follow(strength, direction, bend=1.0)
    assert len(np.unique(labels[5, 3:27])) == 1 and len(np.unique(labels[20, 3:15])) == 1
    assert labels[5, 5] != labels[20, 5]
    assert ((labels >= 0) == (strength > 0)).all()


def test_the_square_scores_above_everything_else(square):
    best = proposals.edge_boxes(square, 5)[0]
    assert boxes.iou(best, np.array([[20, 20, 40, 40]]))[0, 0] > 0.85
    found = edge_boxes.groups(square)
    whole, half = edge_boxes.scores(found, np.array([[19.0, 19, 42, 42], [19, 19, 21, 42]]))
    assert whole > 2 * half


def test_a_chain_that_goes_on_outside_does_not_count(square):
    """The same outline with a line that leaves the box on one side scores less."""
    tied = square.copy()
    tied[38:42, 60:90] = 220
    box = np.array([[18.0, 18, 44, 44]])
    free, bound = (edge_boxes.scores(edge_boxes.groups(each), box)[0] for each in (square, tied))
    assert bound < free


def test_scores_by_loops(few):
    found = edge_boxes.groups(few.images[1])
    some = proposals.random_boxes(12, 96, 96, seed=3)
    expected = []
    for x, y, w, h in some:
        total = 0.0
        inside, cut = [], []
        for g, (x1, y1, x2, y2) in enumerate(found.corners):
            if x1 >= x - 0.5 and y1 >= y - 0.5 and x2 <= x + w + 0.5 and y2 <= y + h + 0.5:
                inside.append(g)
            elif x1 < x + w and x2 > x and y1 < y + h and y2 > y:
                cut.append(g)
        for g in inside:
            total += found.mass[g] * (1 - max([found.affinity[g, c] for c in cut], default=0))
        x1, x2, y1, y2 = (round(v) for v in (x + w / 4, x + 0.75 * w, y + h / 4, y + 0.75 * h))
        total -= found.strength[y1:y2, x1:x2].sum()
        expected.append(total / (2 * (w + h)) ** 1.5)
    np.testing.assert_allclose(edge_boxes.scores(found, some), expected, atol=1e-9)
    assert (edge_boxes.scores(found, some, chains=False) >= np.array(expected) - 1e-5).all()


def test_chains_are_the_best_products():
    rng = np.random.default_rng(0)
    links = np.where(rng.random((7, 7)) < 0.4, rng.uniform(0.3, 1, (7, 7)), 0)
    links = np.maximum(links, links.T)
    found = edge_boxes._chains(links)
    best = links.copy()
    for _ in range(7):  # longer and longer chains
        best = np.maximum(best, (best[:, :, None] * links[None]).max(axis=1))
    off = ~np.eye(7, dtype=bool)
    np.testing.assert_allclose(found[off], best[off])


def test_windows_lie_so_close_that_no_box_is_far_from_all():
    every = edge_boxes.windows(80, 120)
    some = proposals.random_boxes(60, 80, 120, seed=5)
    assert boxes.iou(some, every).max(axis=1).min() > 0.6
