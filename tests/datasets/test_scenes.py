"""Scenes: exact labels, the same everywhere, honest splits."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from course_utils.datasets import backgrounds, cutouts, scenes
from course_utils.datasets.labelled import PER_PICTURE
from course_utils.pictures import images, resampling

FEW = {"seed": 7, "objects": (1, 3)}


@pytest.fixture(scope="module")
def few():
    return scenes(24, **FEW)


def box_by_loops(mask):
    """A tight box, written as slowly and plainly as possible."""
    places = [(x, y) for y in range(mask.shape[0]) for x in range(mask.shape[1]) if mask[y, x]]
    if not places:
        return [0, 0, 0, 0]
    xs, ys = zip(*places, strict=True)
    return [min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1]


# --- what comes out -----------------------------------------------------------------------------


def test_shapes_and_types(few):
    expected = {
        "images": ((24, 96, 96, 3), np.uint8),
        "boxes": ((24, 3, 4), np.float32),
        "classes": ((24, 3), np.int64),
        "masks": ((24, 96, 96), np.uint8),
        "keypoints": ((24, 3, 5, 2), np.float32),
        "visible": ((24, 3, 5), bool),
        "instances": ((24, 96, 96), np.uint8),
    }
    assert {name: (getattr(few, name).shape, getattr(few, name).dtype) for name in expected} == expected
    assert len(few) == 24
    assert few.class_names == scenes.class_names
    assert few.mask_names == ("background", *scenes.class_names)
    assert all(len(names) == 5 for names in few.point_names)


def test_the_box_is_the_tight_box_of_the_visible_mask(few):
    for i in range(len(few)):
        for j, label in enumerate(few.classes[i]):
            mine = few.instances[i] == j + 1
            assert few.boxes[i, j].tolist() == box_by_loops(mine)
            assert (few.masks[i][mine] == label + 1).all()
            assert mine.any() == (label >= 0)


def test_a_picture_of_one_object_needs_no_instances():
    alone = scenes(12, seed=3, split="validation")
    for mask, box, label in zip(alone.masks, alone.boxes[:, 0], alone.classes[:, 0], strict=True):
        assert box.tolist() == box_by_loops(mask == label + 1)


def test_the_seam_is_the_ring_around_the_objects(few):
    cross = ndimage.generate_binary_structure(2, 1)
    for mask, owner in zip(few.masks, few.instances, strict=True):
        touching = ndimage.binary_dilation(owner > 0, cross) & (owner == 0)
        assert (mask[touching] == 255).all()
        assert (mask[owner == 0] % 255 == 0).all()
        hidden = (mask == 255) & ~touching  # a ring whose own object lies under another
        assert hidden.sum() <= 0.2 * (mask == 255).sum()


def test_how_many_objects_and_in_which_order(few):
    count = (few.classes >= 0).sum(axis=1)
    assert set(count) == {1, 2, 3}
    for boxes, classes in zip(few.boxes, few.classes, strict=True):
        present = classes >= 0
        assert (np.diff(present.astype(int)) <= 0).all()  # the empty places come last
        assert (np.diff(boxes[present, 0]) >= 0).all()
        assert not boxes[~present].any()
    assert ((scenes(8, objects=4).classes >= 0).sum(axis=1) == 4).all()


def test_visible_points_lie_on_their_object(few):
    for i, j, p in np.argwhere(few.visible):
        x, y = np.floor(few.keypoints[i, j, p]).astype(int)
        assert few.instances[i, y, x] == j + 1
    assert few.visible[few.classes >= 0].mean() > 0.6


def test_pictures_vary(few):
    assert len({image.tobytes() for image in few.images}) == 24
    assert set(range(6)) == set(scenes(40, size=32).classes.ravel())
    areas = few.boxes[..., 2:].prod(axis=-1)[few.classes >= 0]
    assert areas.max() > 4 * areas.min()


# --- the same pictures again --------------------------------------------------------------------


def test_fewer_are_the_first_of_more(few):
    first = scenes(5, **FEW)
    assert all((getattr(first, name) == getattr(few, name)[:5]).all() for name in PER_PICTURE)


def test_processes_make_the_same(few):
    parallel = scenes(24, **FEW, workers=2)
    assert all((getattr(parallel, name) == getattr(few, name)).all() for name in PER_PICTURE)


def test_seed_and_split_matter(few):
    for other in (scenes(3, seed=8, objects=(1, 3)), scenes(3, split="test", **FEW)):
        assert not (other.boxes == few.boxes[:3]).all()


def test_the_bits_are_those_of_every_machine():
    """A digest made once: NumPy's generator and IEEE arithmetic promise it anywhere."""
    digest = hashlib.sha256()
    for split in scenes.splits:
        made = scenes(6, size=64, seed=0, objects=(1, 2), split=split)
        for name in ("images", "masks", "boxes", "keypoints"):
            digest.update(getattr(made, name).tobytes())
    assert digest.hexdigest() == "073cba41ac2b024916ea11c9001e6709080c3d5787e997ac071b9aaa29357043"


def test_a_larger_picture_shows_the_same_scene():
    small, large = scenes(16, size=64, seed=2), scenes(16, size=128, seed=2)
    assert (small.classes == large.classes).all()
    np.testing.assert_allclose(large.boxes / 2, small.boxes, atol=1.6)
    np.testing.assert_allclose(large.keypoints / 2, small.keypoints, atol=1e-3)


def test_nothing_of_the_global_generators_is_used():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = scenes(2, seed=1)
    cv2.setRNGSeed(5)
    assert (scenes(2, seed=1).images == first.images).all()
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


# --- what can be asked for ----------------------------------------------------------------------


def test_sizes_and_classes():
    made = scenes(6, size=(40, 100), classes=["flower", "cat"], objects=2)
    assert made.images.shape == (6, 40, 100, 3)
    assert made.class_names == ("flower", "cat")
    assert set(made.classes.ravel()) == {0, 1}
    assert made.boxes[..., 0].max() > 50
    empty = scenes(0, objects=(1, 3))
    assert empty.images.shape == (0, 96, 96, 3) and empty.keypoints.shape == (0, 3, 5, 2)


def test_many_objects_still_show_enough():
    crowded = scenes(3, size=96, seed=0, objects=10)
    assert (crowded.classes >= 0).all()
    assert (crowded.boxes[..., 2:] > 0).all()


def test_thumbnails():
    small = scenes.thumbnails(60, seed=1, split="test")
    assert small.images.shape == (60, 32, 32, 3)
    assert small.classes.shape == (60, 1)
    assert np.median(small.boxes[:, 0, 2:].max(axis=1)) > 20
    assert set(small.classes.ravel()) == set(range(6))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n": -1}, "n is -1"),
        ({"size": 8}, "at least 16"),
        ({"seed": -3}, "seed is -3"),
        ({"objects": (2, 1)}, "fewest, most"),
        ({"objects": 0}, "fewest, most"),
        ({"objects": (1, 99)}, "fewest, most"),
        ({"split": "dev"}, "train, validation, test"),
        ({"classes": ["cat", "dog"]}, "no class 'dog'"),
        ({"classes": []}, "classes is empty"),
        ({"classes": ["cat", "cat"]}, "twice"),
        ({"longest": (0.9, 0.2)}, "longest"),
    ],
)
def test_what_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        scenes(**{"n": 1, **wrong})


def test_all_complaints_come_at_once():
    with pytest.raises(ValueError, match=r"size is .*split is .*no class"):
        scenes(1, size=2, split="x", classes=["dog"])


def test_subset(few):
    part = few.subset([3, 1])
    assert (part.images == few.images[[3, 1]]).all() and (part.boxes == few.boxes[[3, 1]]).all()
    assert part.class_names == few.class_names
    assert len(few.subset(few.classes[:, 1] >= 0)) == (few.classes[:, 1] >= 0).sum()
    assert len(few.subset(slice(2, 6))) == 4


# --- geometry -----------------------------------------------------------------------------------


def patient(examples):
    """Hypothesis without a clock: a busy machine is no failure."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


placements = st.builds(
    resampling.placement,
    centre=st.tuples(st.floats(0, 40), st.floats(0, 30)),
    goes_to=st.tuples(st.floats(10, 60), st.floats(10, 60)),
    scale=st.floats(0.1, 4),
    degrees=st.floats(-180, 180),
    mirrored_at=st.sampled_from([None, 40.0]),
)


@patient(60)
@given(placements, st.floats(-50, 90), st.floats(-50, 90))
def test_there_and_back(placed, x, y):
    there = placed.forward(np.array([[x, y]]))[0]
    back = placed.backward(there[0], there[1])
    np.testing.assert_allclose(back, (x, y), atol=1e-6)


@patient(60)
@given(
    centre=st.tuples(st.floats(0, 40), st.floats(0, 30)),
    goes_to=st.tuples(st.floats(-9, 60), st.floats(-9, 60)),
    scale=st.floats(0.1, 4),
    degrees=st.floats(-180, 180),
    mirrored_at=st.sampled_from([None, 40.0]),
)
def test_placement_keeps_its_promises(centre, goes_to, scale, degrees, mirrored_at):
    placed = resampling.placement(centre, goes_to, scale, degrees, mirrored_at)
    start, right, down = placed.forward(np.array([centre, np.add(centre, (1, 0)), np.add(centre, (0, 1))]))
    np.testing.assert_allclose(start, goes_to, atol=1e-6)
    angle, side = np.deg2rad(degrees), -1 if mirrored_at else 1
    np.testing.assert_allclose(
        right - start, side * scale * np.array([np.cos(angle), np.sin(angle)]), atol=1e-6
    )
    np.testing.assert_allclose(down - start, scale * np.array([-np.sin(angle), np.cos(angle)]), atol=1e-6)


@patient(60)
@given(st.integers(-5, 12), st.integers(-5, 12), st.booleans())
def test_whole_shifts_and_mirroring_lose_nothing(left, top, mirrored):
    picture = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    placed = resampling.placement((0, 0), (left, top), 1.0)
    if mirrored:
        placed = resampling.placement((11, 0), (left, top), 1.0, 0.0, 11)
    got = resampling.sample(resampling.pyramid(picture), placed, (left, top, 11, 9))
    assert (got == (picture[:, ::-1] if mirrored else picture)).all()


@patient(25)
@given(st.floats(-30, 30), st.floats(0.7, 1.4), st.booleans(), st.floats(20, 44), st.floats(20, 44))
def test_warping_agrees_with_scipy(degrees, scale, mirrored, x, y):
    noise = np.random.default_rng(1).random((40, 50))
    picture = np.uint8(255 * ndimage.gaussian_filter(noise, 3, mode="constant") / 0.6)
    placed = resampling.placement((25, 20), (x, y), scale, degrees, 50 if mirrored else None)
    got = resampling.sample([picture[..., None]], placed, (0, 0, 64, 64))[..., 0]
    inverse = np.linalg.inv(scale * _turned(degrees))
    source = picture[:, ::-1] if mirrored else picture
    offset = np.array([20, 25]) - 0.5 - inverse @ (np.array([y, x]) - 0.5)
    want = ndimage.affine_transform(source.astype(float), inverse, offset, (64, 64), order=1, mode="nearest")
    np.testing.assert_allclose(got, want, atol=0.05)


def _turned(degrees):
    """Clockwise on the screen, for (row, column)."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, s], [-s, c]])


@patient(40)
@given(st.floats(0.3, 3), st.floats(30, 60), st.floats(30, 60), st.integers(12, 30), st.integers(12, 30))
def test_the_box_of_a_warped_rectangle_is_the_warped_box(scale, x, y, width, height):
    mask = np.zeros((90, 90, 1), np.uint8)
    mask[30 : 30 + height, 30 : 30 + width] = 255
    centre = (30 + width / 2, 30 + height / 2)
    placed = resampling.placement(centre, (x, y), scale)
    warped = resampling.sample(resampling.pyramid(mask), placed, (-60, -60, 220, 220))[..., 0] >= 127.5
    want = [x - scale * width / 2 + 60, y - scale * height / 2 + 60, scale * width, scale * height]
    np.testing.assert_allclose(box_by_loops(warped), want, atol=1.01)


def two_spots():
    """A grey square with a red spot on its left and a blue one on its right."""
    photograph = np.full((120, 140, 3), 128, np.uint8)
    cv2.circle(photograph, (45, 60), 9, (255, 0, 0), -1)
    cv2.circle(photograph, (90, 70), 9, (0, 0, 255), -1)
    mask = np.zeros((120, 140), bool)
    mask[20:105, 20:115] = True
    points = {"left": (45.5, 60.5), "right": (90.5, 70.5)}
    return cutouts.photo_object("square", photograph, mask, points=points, mirror=(1, 0))


def test_key_points_follow_the_object():
    made = scenes(30, size=128, seed=5, classes=[two_spots()], longest=(0.5, 0.8))
    mirrored = 0
    for i in np.flatnonzero(made.visible[:, 0].all(axis=1)):
        mine = made.instances[i] == 1
        red, green, blue = np.moveaxis(made.images[i].astype(int), -1, 0)
        spots = mine & (red - np.maximum(green, blue) > 60), mine & (blue - np.maximum(red, green) > 60)
        centres = [np.flip(ndimage.center_of_mass(spot)) + 0.5 for spot in spots]
        points = made.keypoints[i, 0]
        assert points[0, 0] < points[1, 0]  # "left" is on the left, mirrored or not
        swapped = centres[0][0] > centres[1][0]
        mirrored += swapped
        np.testing.assert_allclose(points[::-1] if swapped else points, centres, atol=1.0)
    assert made.visible.all(axis=(1, 2)).sum() > 20
    assert 3 < mirrored < 27


# --- backgrounds --------------------------------------------------------------------------------


def test_no_background_is_in_two_splits():
    names = [background.name for background in backgrounds.BACKGROUNDS]
    assert len(set(names)) == len(names)
    photographs = {}
    for background in backgrounds.BACKGROUNDS:
        assert background.split in scenes.splits
        source = background.file or f"texture {background.name}"
        assert photographs.setdefault(source, background.split) == background.split
    assert all(len(backgrounds.of_split(split)) >= 5 for split in scenes.splits)


def test_background_regions_hold_none_of_the_objects():
    for background in backgrounds.BACKGROUNDS:
        for drawn in cutouts.outlines():
            if drawn["photograph"] == background.file:
                mask = images.read(cutouts.runtime.shipped(f"outlines/{drawn['name']}.png"))[..., 0] > 0
                assert background.regions
                for x, y, w, h in background.regions:
                    assert mask[y : y + h, x : x + w].shape == (h, w)
                    assert not mask[y : y + h, x : x + w].any(), background.name


@pytest.mark.parametrize("background", backgrounds.BACKGROUNDS, ids=lambda b: b.name)
def test_every_background_can_be_painted(background):
    painted = [
        backgrounds.paint(np.random.Generator(np.random.PCG64(seed)), background, 40, 56)
        for seed in (0, 0, 1)
    ]
    assert painted[0].shape == (40, 56, 3)
    assert (painted[0] == painted[1]).all() and not (painted[0] == painted[2]).all()
    assert painted[0].min() >= 0 and painted[0].max() <= 256
    assert painted[0].std() > 0.5


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="no split"):
        backgrounds.of_split("dev")


# --- cut-outs -----------------------------------------------------------------------------------


def intersection_over_union(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("drawn", cutouts.outlines(), ids=lambda drawn: drawn["name"])
def test_outlines_give_the_masks_that_ship(drawn):
    photograph = images.sample(drawn["photograph"])
    mask = cutouts.cutout(photograph, drawn["outline"], holes=drawn.get("holes", ()), margin=drawn["margin"])
    shipped = images.read(cutouts.runtime.shipped(f"outlines/{drawn['name']}.png"))[..., 0] > 127
    assert intersection_over_union(mask, shipped) > 0.98


@pytest.mark.parametrize("item", cutouts.shipped_objects(), ids=lambda item: item.name)
def test_key_points_lie_on_the_object(item):
    columns, rows = np.floor(item.points).astype(int).T
    assert item.mask[rows, columns].all()
    assert [item.mirror[i] for i in item.mirror] == list(range(len(item.points)))
    assert all(0 <= a < len(item.points) and 0 <= b < len(item.points) for a, b in item.skeleton)
    assert item.mask[0].any() and item.mask[-1].any() and item.mask[:, 0].any() and item.mask[:, -1].any()


def ellipse_photograph():
    """A textured ellipse on another texture, with its true mask and an outline that is 3 pixels off."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:120, :160] + 0.5
    truth = ((x - 80) / 50) ** 2 + ((y - 60) / 35) ** 2 <= 1
    colours = np.where(truth[..., None], [190, 90, 60], [60, 110, 150])
    photograph = np.clip(colours + rng.normal(0, 12, (120, 160, 3)), 0, 255).astype(np.float32)
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    wobble = 3 * np.where(np.arange(24) % 2, 1, -1)
    outline = np.stack([80 + (50 + wobble) * np.cos(turns), 60 + (35 + wobble) * np.sin(turns)], axis=-1)
    return photograph, truth, outline


def test_grabcut_improves_a_rough_outline():
    photograph, truth, outline = ellipse_photograph()
    mask = cutouts.cutout(photograph, outline, margin=6)
    assert mask.dtype == bool
    assert intersection_over_union(mask, truth) > 0.985
    drawn = np.zeros(truth.shape, np.uint8)
    cv2.fillPoly(drawn, [np.round(outline).astype(np.int32)], 1)
    assert intersection_over_union(mask, truth) > intersection_over_union(drawn > 0, truth)


def test_a_cutout_is_the_same_every_time():
    photograph, _, outline = ellipse_photograph()
    first = cutouts.cutout(photograph, outline)
    cv2.setRNGSeed(99)
    np.random.default_rng(0)
    assert (cutouts.cutout(photograph, outline) == first).all()


def test_holes_stay_open():
    photograph, _, outline = ellipse_photograph()
    photograph[50:70, 70:90] = [60, 110, 150]
    hole = [(70, 50), (90, 50), (90, 70), (70, 70)]
    assert not cutouts.cutout(photograph, outline, holes=[hole])[55:65, 75:85].any()


@pytest.mark.parametrize(
    ("outline", "words"),
    [
        ([(1, 1), (5, 5)], "at least three"),
        ([(10, 10), (500, 10), (20, 90)], "leaves the picture"),
        ([(10, 10), (11, 10), (11, 11)], "fewer than 16"),
        ([(10, 10), (float("nan"), 10), (11, 11)], "leaves the picture"),
    ],
)
def test_useless_outlines_are_refused(outline, words):
    with pytest.raises(ValueError, match=words):
        cutouts.cutout(ellipse_photograph()[0], outline)


def test_a_mask_must_fit_its_photograph():
    with pytest.raises(ValueError, match="thing"):
        cutouts.photo_object("thing", np.zeros((20, 20, 3), np.uint8), np.ones((10, 10), bool))
    with pytest.raises(ValueError, match="empty"):
        cutouts.photo_object("thing", np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), bool))


def test_an_object_of_ones_own():
    photograph, _, outline = ellipse_photograph()
    mine = cutouts.photo_object("stone", photograph, outline)
    made = scenes(6, classes=["cat", mine], objects=2, seed=1)
    assert made.class_names == ("cat", "stone")
    assert made.keypoints.shape == (6, 2, 5, 2)
    assert not made.visible[made.classes == 1].any()
