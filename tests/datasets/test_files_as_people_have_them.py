"""Masks and boxes as people have them: each works, or is named with its file and what to do, all at once."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from course_utils import datasets
from course_utils.cli import train as train_cli
from course_utils.datasets import voc
from course_utils.pictures import images, orientation
from course_utils.training import fcn, localizer

SHAPES = {"wide": (24, 36), "square": (30, 30)}


def scene(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture whose colours tell its mask: ground, and a bright thing off the middle."""
    mask = np.zeros(shape, np.uint8)
    mask[2:9, 4:20] = 1
    return np.where(mask[..., None] == 1, np.uint8([220, 60, 40]), np.uint8([40, 140, 60])), mask


def save_turned(path: Path, stored: np.ndarray, turn: int) -> None:
    """A PNG with the pixels as they are and a note how to turn them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[orientation.TAG] = turn
    Image.fromarray(stored).save(path, exif=exif)


def save_mask(path: Path, mask: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path, **options)


def pair(folder: Path) -> tuple[Path, Path]:
    return folder / "images", folder / "masks"


def agreement(data: datasets.LabelledImages) -> float:
    """The share of pixels whose colour tells the class that the mask says."""
    return float(((data.images[..., 0] > 130) == (data.masks == 1)).mean())


# --- turned by EXIF ---------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", range(1, 9))
def test_labels_turn_as_pillow_turns_pictures(turn: int) -> None:
    stored = np.arange(24).reshape(4, 6).astype(np.uint8)
    picture = Image.fromarray(stored)
    picture.getexif()[orientation.TAG] = turn
    want = np.asarray(ImageOps.exif_transpose(picture))
    assert (orientation.upright(stored, turn) == want).all()
    assert orientation.stored_size(want.shape, turn) == stored.shape
    thing = np.zeros((4, 6), bool)
    thing[1:3, 3:6] = True
    x, y, w, h = map(int, orientation.upright_box((3, 1, 3, 2), turn, want.shape))
    again = np.zeros(want.shape, bool)
    again[y : y + h, x : x + w] = True
    assert (again == orientation.upright(thing, turn)).all()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("turn", range(2, 9))
def test_masks_on_stored_pixels_turn_along_or_are_named(tmp_path: Path, turn: int, shape: tuple) -> None:
    picture, mask = scene(shape)
    for name in ("a", "b"):
        save_turned(tmp_path / "images" / f"{name}.png", picture, turn)
        save_mask(tmp_path / "masks" / f"{name}.png", mask)
    if turn in orientation.LYING and shape[0] != shape[1]:
        assert agreement(datasets.masks_from_folders(*pair(tmp_path))) == 1
    else:
        with pytest.raises(ValueError, match=rf"2 problems\n  a.png: .*orientation {turn}\).*--drawn"):
            datasets.masks_from_folders(*pair(tmp_path))
    assert agreement(datasets.masks_from_folders(*pair(tmp_path), drawn="stored")) == 1


@pytest.mark.parametrize("turn", [3, 6])
def test_masks_on_upright_pictures_stay(tmp_path: Path, turn: int) -> None:
    picture, mask = scene((24, 36))
    save_turned(tmp_path / "images" / "a.png", picture, turn)
    save_mask(tmp_path / "masks" / "a.png", orientation.upright(mask, turn))
    assert agreement(datasets.masks_from_folders(*pair(tmp_path), drawn="shown")) == 1
    if turn == 6:
        assert agreement(datasets.masks_from_folders(*pair(tmp_path))) == 1


def test_what_one_mask_tells_holds_for_all(tmp_path: Path) -> None:
    """Orientation 6 tells by its size on which form the masks of a set were drawn; 3 does not."""
    picture, mask = scene((24, 36))
    for name, turn in (("a", 6), ("b", 3), ("c", 1)):
        save_turned(tmp_path / "images" / f"{name}.png", picture, turn)
        save_mask(tmp_path / "masks" / f"{name}.png", mask)
    assert agreement(datasets.masks_from_folders(*pair(tmp_path), size=32)) > 0.95


def test_a_mask_with_exif_data_of_its_own(tmp_path: Path) -> None:
    picture, mask = scene((24, 36))
    save_turned(tmp_path / "images" / "a.png", picture, 6)
    save_turned(tmp_path / "masks" / "a.png", mask, 6)
    assert agreement(datasets.masks_from_folders(*pair(tmp_path))) == 1


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("turn", range(2, 9))
def test_boxes_on_stored_pixels_turn_along_or_are_named(tmp_path: Path, turn: int, shape: tuple) -> None:
    picture, _ = scene(shape)
    for name in ("a", "b"):
        save_turned(tmp_path / f"{name}.png", picture, turn)
    plain, stated = tmp_path / "boxes.csv", tmp_path / "stated.csv"
    plain.write_text("file,class,x,y,w,h\na.png,thing,4,2,16,7\nb.png,other,4,2,16,7\n")
    size = f"{shape[1]},{shape[0]}"
    stated.write_text(f"thing,a.png,4,2,20,9,{size}\nother,b.png,4,2,20,9,{size}\n")

    def right(table: Path, **how: object) -> None:
        data = datasets.boxes_from_csv(tmp_path, table, **how)
        for image, (x, y, w, h) in zip(data.images, data.boxes[:, 0].astype(int), strict=True):
            bright = image[..., 0] > 130
            assert bright[y : y + h, x : x + w].all() and bright.sum() == w * h

    for table in (plain, stated):
        right(table, drawn="stored")
    with pytest.raises(ValueError, match=rf"2 problems\n  a.png is stored turned .*{turn}\).*the box was"):
        datasets.boxes_from_csv(tmp_path, plain)
    if turn in orientation.LYING and shape[0] != shape[1]:
        right(stated)


def test_where_boxes_fit_tells_how_they_were_drawn(tmp_path: Path) -> None:
    picture, _ = scene((24, 36))
    for name, turn in (("a", 6), ("b", 3)):
        save_turned(tmp_path / f"{name}.png", picture, turn)
    table = tmp_path / "boxes.csv"
    table.write_text("file,class,x,y,w,h\na.png,thing,4,2,30,7\nb.png,other,4,2,16,7\n")
    data = datasets.boxes_from_csv(tmp_path, table, size=36)
    assert data.files == ("a.png", "b.png")
    table.write_text("file,class,x,y,w,h\na.png,thing,2,4,7,30\nb.png,other,4,2,16,7\n")
    shown = datasets.boxes_from_csv(tmp_path, table, size=36)
    np.testing.assert_allclose(shown.boxes[1, 0], [4, 3, 16, 10.5])
    np.testing.assert_allclose(data.boxes[1, 0], [16, 22.5, 16, 10.5])


def test_the_trainers_name_and_turn_them(tmp_path: Path) -> None:
    picture, mask = scene((24, 36))
    for i in range(5):
        save_turned(tmp_path / "images" / f"{i}.png", picture, 3)
        save_mask(tmp_path / "masks" / f"{i}.png", mask)
    with pytest.raises(ValueError, match="--drawn"):
        fcn.from_folders(pair(tmp_path))
    samples = fcn.from_folders(pair(tmp_path), drawn="stored")
    assert ((samples.train[0][..., 0] > 130) == (samples.train[1] == 1)).all()
    table = tmp_path / "images" / "boxes.csv"
    rows = [f"{i}.png,{('thing', 'other')[i % 2]},4,2,16,7\n" for i in range(5)]
    table.write_text("file,class,x,y,w,h\n" + "".join(rows))
    with pytest.warns(UserWarning, match="--drawn"), pytest.raises(ValueError, match="no picture is left"):
        localizer.load(tmp_path / "images")
    found = localizer.load(tmp_path / "images", drawn="stored")
    assert (found.boxes[:, 0, 0] > found.images.shape[2] / 3).all()
    with pytest.raises(ValueError, match="--drawn sideways"):
        train_cli.way_up("sideways")


def test_pascals_masks_lie_on_pixels_as_stored(tmp_path: Path) -> None:
    picture, mask = scene((24, 36))
    save_turned(tmp_path / "JPEGImages" / "a.jpg", picture, 8)
    save_mask(tmp_path / "SegmentationClass" / "a.png", mask)
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    data = voc.load(tmp_path, size=(36, 24))
    assert agreement(data) > 0.97


# --- what masks are made of ----------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, np.ndarray]:
    picture, mask = scene((24, 36))
    for name in "abc":
        images.save(tmp_path / "images" / f"{name}.png", picture)
        save_mask(tmp_path / "masks" / f"{name}.png", mask)
    return *pair(tmp_path), mask


def test_hidden_files_and_folders_are_passed_over(folders: tuple) -> None:
    first, second, mask = folders
    for place in (first, second):
        for name in ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
            (place / name).write_bytes(b"\0\5\26\7")
        for name in (".ipynb_checkpoints", ".thumbnails", "old.png"):
            (place / name).mkdir()
            (place / name / "x.png").write_bytes(b"")
    data = datasets.masks_from_folders(first, second)
    assert data.files == ("a.png", "b.png", "c.png") and (data.masks == mask).all()


def test_names_as_programs_give_them(folders: tuple) -> None:
    first, second, mask = folders
    (first / "a.png").rename(first / "a.PNG")
    (second / "a.png").rename(second / "a.PNG")
    (second / "b.png").rename(second / "b_mask.PNG")
    (second / "c.png").rename(second / "c.png.png")
    images.save(first / "d_mask.png", images.read(first / "b.png"))
    save_mask(second / "d_mask.png", mask)
    data = datasets.masks_from_folders(first, second)
    assert data.files == ("a.PNG", "b.png", "c.png", "d_mask.png") and (data.masks == mask).all()
    with pytest.raises(ValueError, match="a folder of their own"):
        datasets.masks_from_folders(first, first)


def test_forms_that_mean_the_same(folders: tuple) -> None:
    first, second, mask = folders
    palette = Image.fromarray(mask)
    palette.putpalette([(i * 37) % 256 for i in range(768)])
    forms = {
        "a": Image.fromarray(mask.astype(bool)),
        "b": Image.fromarray(np.dstack([mask] * 3 + [np.full_like(mask, 128)])),
        "c": Image.fromarray(mask.astype(np.uint16)),
    }
    for name, picture in forms.items():
        picture.save(second / f"{name}.png")
    for name, suffix, picture in (
        ("d", "tif", Image.fromarray(mask.astype(np.float32))),
        ("e", "gif", palette),
    ):
        images.save(first / f"{name}.png", images.read(first / "a.png"))
        picture.save(second / f"{name}.{suffix}")
    assert (datasets.masks_from_folders(first, second).masks == mask).all()


def test_black_and_white_with_two_names(folders: tuple) -> None:
    first, second, mask = folders
    for name in "abc":
        save_mask(second / f"{name}.png", mask * 255)
    data = datasets.masks_from_folders(first, second, class_names=("ground", "thing"))
    assert (data.masks == mask).all()
    for names in (None, ("ground", "thing", "sky")):
        with pytest.raises(ValueError, match=r"1 problem\n.*only 0 and 255.*name two classes"):
            datasets.masks_from_folders(first, second, class_names=names)


def test_what_cannot_be_read_hides_nothing_and_adds_nothing(folders: tuple) -> None:
    """Masks that can't be used are no reason to say that the others hold only 0 and 255."""
    first, second, mask = folders
    Image.fromarray(mask * 255).save(second / "a.jpg", quality=90)
    (second / "a.png").unlink()
    save_mask(second / "b.png", mask.astype(np.uint16) * 65535)
    colours = np.dstack([mask * 128, mask * 0, mask * 0])
    save_mask(second / "c.png", colours)
    with pytest.raises(ValueError) as caught:
        datasets.masks_from_folders(first, second)
    said = str(caught.value)
    assert "3 problems" in said and "only 0 and 255" not in said
    for words in (
        "a.jpg: a JPEG, whose compression changes labels; save masks as PNG",
        "b.png: labels from 0 to 65535; they must be whole numbers from 0 to 255: save it with 8 bits",
        "c.png: holds colours (2 of them), not class numbers; save it as a grey or palette PNG",
    ):
        assert words in said, said


def test_smoothed_masks_and_other_sizes_are_named(folders: tuple) -> None:
    first, second, mask = folders
    shades = (
        Image.fromarray(mask * 200)
        .resize((36, 24))
        .resize((12, 8))
        .resize((36, 24), Image.Resampling.BICUBIC)
    )
    shades.save(second / "a.png")
    save_mask(second / "b.png", mask[::2, ::2])
    save_mask(second / "c.webp", mask, quality=50)
    (second / "c.png").unlink()
    with pytest.raises(ValueError) as caught:
        datasets.masks_from_folders(first, second, class_names=("ground", "thing"))
    said = str(caught.value)
    assert "3 problems" in said and "save the mask without smoothing" in said
    assert "b.png: the mask is 18 x 12, its picture 36 x 24; save it in the picture's size" in said
    assert "c.webp: a WEBP" in said


def test_a_label_that_swallows_most_is_named(folders: tuple) -> None:
    first, second, mask = folders
    for name in "abc":
        save_mask(second / f"{name}.png", np.where(mask == 1, 255, 0).astype(np.uint8) + (mask == 9))
    border = mask.copy()
    border[12:20, 4:30] = 255
    save_mask(second / "a.png", border)
    with pytest.warns(UserWarning, match=r"255, which is not judged, covers \d\d% of all pixels"):
        datasets.masks_from_folders(first, second, class_names=("ground", "thing"))
    narrow = mask.copy()
    narrow[9, 4:20] = 255
    for name in "abc":
        save_mask(second / f"{name}.png", narrow)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        datasets.masks_from_folders(first, second, class_names=("ground", "thing"))


def test_one_class_only_is_named_and_not_learnt_from(folders: tuple) -> None:
    first, second, mask = folders
    for name in "abc":
        save_mask(second / f"{name}.png", np.ones_like(mask))
    with pytest.warns(UserWarning, match="all judged pixels are of one class, thing"):
        datasets.masks_from_folders(first, second, class_names=("ground", "thing"))
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="hold the class thing only"):
        fcn.from_folders((first, second), class_names=("ground", "thing"))


# --- shares instead of pixels ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "file,class,x,y,w,h\na.png,cat,.5,.5,.4,.3\nb.png,dog,.9,.2,.2,.2\n",
        "file,class,x1,y1,x2,y2\na.png,cat,.1,.1,.9,1\nb.png,dog,0,0,1,1\n",
        "cat,a.png,.1,.1,.9,1,36,24\n",
    ],
)
def test_boxes_in_shares_are_named(folders: tuple, text: str) -> None:
    first, *_ = folders
    table = first / "boxes.csv"
    table.write_text(text)
    for skip in (False, True):
        with pytest.raises(ValueError, match="shares of the picture, not pixels"):
            datasets.boxes_from_csv(first, table, skip=skip)


def test_one_box_in_shares_among_others_is_named(folders: tuple) -> None:
    first, *_ = folders
    table = first / "boxes.csv"
    table.write_text("file,class,x,y,w,h\na.png,cat,1,1,20,10\nb.png,dog,.5,.5,.4,.3\nc.png,dog,0,0,1,1\n")
    with pytest.raises(ValueError, match=r"1 problem\n  line 3 \(b.png\): the box is less than a pixel"):
        datasets.boxes_from_csv(first, table)
