"""A reader's own pictures: tables of boxes, folders of masks, and everything that can be wrong."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from course_utils import datasets
from course_utils.datasets import labelled
from course_utils.pictures import images

NAMES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)


def save(path, width=40, height=30, value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(path)


@pytest.fixture
def pictures(tmp_path):
    """Two pictures of 40 x 30 in class folders, one of 80 x 60 beside them."""
    save(tmp_path / "cat" / "a.png")
    save(tmp_path / "dog" / "a.png", value=50)
    save(tmp_path / "b.png", 80, 60)
    return tmp_path


def table(folder, text):
    path = folder / "boxes.csv"
    path.write_text(text, encoding="utf-8")
    return path


# --- boxes --------------------------------------------------------------------------------------


def test_a_table_without_header(pictures):
    path = table(pictures, "dog,a.png,4,6,20,26,40,30\ncat,a.png,0,0,40,30,40,30\n")
    data = datasets.boxes_from_csv(pictures, path)
    assert data.files == ("dog/a.png", "cat/a.png")
    assert data.class_names == ("cat", "dog")
    assert data.classes.tolist() == [[1], [0]]
    assert data.boxes[:, 0].tolist() == [[4, 6, 16, 20], [0, 0, 40, 30]]
    assert data.boxes.dtype == np.float32 and data.images.dtype == np.uint8
    assert data.images[0, 0, 0].tolist() == [50, 50, 50]
    assert (data.masks == 255).all() and data.keypoints.shape == (2, 1, 0, 2)


def test_a_table_with_header_several_objects_and_resizing(pictures):
    text = "\ufefffile,class,score,x,y,w,h\nb.png,cat,.9,8,12,40,30\n"
    text += "cat/a.png,cat,.5,0,0,40,30\nb.png,dog,.2,0,0,80,60\n"
    data = datasets.boxes_from_csv(pictures, table(pictures, text), size=(30, 20))
    assert data.images.shape == (2, 30, 20, 3)
    assert data.files == ("b.png", "cat/a.png")
    assert data.sizes.tolist() == [[60, 80], [30, 40]]
    assert data.classes.tolist() == [[0, 1], [0, -1]]
    np.testing.assert_allclose(data.boxes[0], [[2, 6, 10, 15], [0, 0, 20, 30]])
    np.testing.assert_allclose(data.boxes[1], [[0, 0, 20, 30], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("head", "cells"),
    [
        ("label;filename;xmin;ymin;xmax;ymax", "cat;b.png;8;12;48;42"),
        ("Image,X,Y,Width,Height,Label", "b.png,8,12,40,30,cat"),
        ("file,class,x1,y1,x2,y2,width,height", "b.png,cat,8,12,48,42,80,60"),
    ],
)
def test_spellings_of_the_header(pictures, head, cells):
    data = datasets.boxes_from_csv(pictures, table(pictures, f"{head}\n{cells}\n"))
    assert data.boxes.tolist() == [[[8, 12, 40, 30]]]


def test_a_box_drawn_a_little_over_the_border_is_clipped(pictures):
    data = datasets.boxes_from_csv(
        pictures, table(pictures, "file,class,x,y,w,h\nb.png,cat,-0.5,0,81,60.4\n")
    )
    assert data.boxes.tolist() == [[[0, 0, 80, 60]]]


BAD = """file,class,x,y,w,h
b.png,cat,8,12,40,30
missing.png,cat,0,0,5,5
b.png,cow,1,1,5,5
b.png,cat,70,12,40,30
b.png,dog,8,12,0,30
b.png,dog,8,twelve,4,30
b.png,dog,8
torn.png,dog,0,0,5,5
b.png,dog,nan,0,5,5
"""


def test_everything_wrong_is_named_at_once(pictures):
    (pictures / "torn.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(ValueError) as caught:
        datasets.boxes_from_csv(pictures, table(pictures, BAD), class_names=("cat", "dog"))
    said = str(caught.value)
    for words in (
        "8 problems",
        "missing.png",
        "line 4 (b.png): unknown class 'cow'",
        "line 5 (b.png): the box goes from (70, 12) to (110, 42), the picture is 80 wide and 60 high",
        "line 6 (b.png): the box is 0 wide",
        "line 7 (b.png): could not convert string to float: 'twelve'",
        "line 8: 3 columns, 6 expected",
        "torn.png",
        "line 10 (b.png)",
    ):
        assert words in said, (words, said)


def test_pictures_with_problems_can_be_left_out(pictures):
    text = "file,class,x,y,w,h\nb.png,cat,8,12,40,30\nmissing.png,cat,0,0,5,5\ncat/a.png,cat,1,1,-4,4\n"
    with pytest.warns(UserWarning, match=r"left out 2 of the pictures.*\n.*missing") as caught:
        data = datasets.boxes_from_csv(pictures, table(pictures, text), skip=True)
    assert data.files == ("b.png",)
    assert "line 4 (cat/a.png): the box is -4 wide" in str(caught[0].message)


def test_the_table_states_another_size_than_the_picture_has(pictures):
    with pytest.raises(ValueError, match=r"line 1 \(b.png\): the table says 40 x 30, the picture is 80 x 60"):
        datasets.boxes_from_csv(pictures, table(pictures, "cat,b.png,1,1,5,5,40,30\n"))


def test_different_sizes_need_a_size(pictures):
    path = table(pictures, "file,class,x,y,w,h\nb.png,cat,1,1,5,5\ncat/a.png,cat,1,1,5,5\n")
    with pytest.raises(ValueError, match=r"2 sizes, such as 40 x 30 and 80 x 60.*size=96"):
        datasets.boxes_from_csv(pictures, path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no line with a box"),
        ("file,class,x,y,w,h\n", "no line with a box"),
        ("file,x,y,w,h\nb.png,1,1,2,2\n", "needed are file, class"),
        ("file,class,x1,y1\nb.png,cat,1,1\n", "needed are file, class"),
        ("cat,b.png,1,1,5,5\n", "line 1: 6 columns, 8 expected"),
    ],
)
def test_useless_tables(pictures, text, words):
    with pytest.raises(ValueError, match=words):
        datasets.boxes_from_csv(pictures, table(pictures, text))


def test_long_lists_of_problems_are_cut(pictures):
    path = table(pictures, "file,class,x,y,w,h\n" + "".join(f"m{i}.png,cat,0,0,1,1\n" for i in range(60)))
    with pytest.raises(ValueError, match="and 35 more"):
        datasets.boxes_from_csv(pictures, path)


def test_missing_folder_or_table(pictures):
    with pytest.raises(FileNotFoundError, match="no folder"):
        datasets.boxes_from_csv(pictures / "nowhere", pictures / "boxes.csv")
    with pytest.raises(FileNotFoundError, match="no file"):
        datasets.boxes_from_csv(pictures, pictures / "none.csv")


# --- masks --------------------------------------------------------------------------------------


def save_mask(path, mask, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(mask, np.uint8))
    if palette:
        picture.putpalette([(i * 37) % 256 for i in range(768)])
    picture.save(path)


@pytest.fixture
def folders(tmp_path):
    """Three pictures of 40 x 30 and masks with labels 0, 1, 2 and 255."""
    mask = np.zeros((30, 40))
    mask[5:20, 5:25] = 1
    mask[10:15, 10:15] = 2
    mask[20, :] = 255
    for i, name in enumerate("abc"):
        save(tmp_path / "pictures" / f"{name}.jpg")
        save_mask(tmp_path / "masks" / f"{name}.png", mask, palette=i > 0)
    return tmp_path / "pictures", tmp_path / "masks", mask.astype(np.uint8)


def test_grey_and_palette_masks(folders):
    first, second, mask = folders
    data = datasets.masks_from_folders(first, second, class_names=("background", "cat", "eye"))
    assert data.files == ("a.jpg", "b.jpg", "c.jpg")
    assert (data.masks == mask).all() and data.masks.dtype == np.uint8
    assert data.mask_names == ("background", "cat", "eye")
    assert data.boxes.shape == (3, 0, 4) and data.class_names == ()
    assert datasets.masks_from_folders(first, second).mask_names == ("0", "1", "2")


def test_ignored_labels_become_255(folders):
    first, second, mask = folders
    data = datasets.masks_from_folders(first, second, class_names=("background", "cat"), ignore=(2,))
    assert (data.masks[0] == np.where(mask == 2, 255, mask)).all()


def test_masks_are_resized_by_nearest_neighbour(folders):
    first, second, mask = folders
    data = datasets.masks_from_folders(first, second, size=(15, 80))
    assert data.images.shape == (3, 15, 80, 3)
    want = Image.fromarray(mask).resize((80, 15), Image.Resampling.NEAREST)
    assert (data.masks[0] == np.asarray(want)).all()
    assert data.sizes.tolist() == [[30, 40]] * 3


def test_grey_saved_in_colour_is_grey(folders):
    first, second, mask = folders
    save_mask(second / "a.png", np.repeat(mask[..., None], 3, axis=-1))
    Image.fromarray(np.dstack([mask] * 3 + [np.full_like(mask, 255)])).save(second / "b.png")
    assert (datasets.masks_from_folders(first, second).masks == mask).all()


def test_all_problems_with_masks_are_named_at_once(folders):
    first, second, mask = folders
    save(first / "d.jpg")
    save_mask(second / "e.png", mask)
    save_mask(second / "a.png", mask[:20])
    save_mask(second / "b.png", np.where(mask == 2, 9, mask))
    save_mask(second / "c.png", np.dstack([mask, mask, 0 * mask]))
    for name in "fgh":
        save(first / f"{name}.jpg")
    (second / "f.png").write_bytes(b"nothing")
    Image.fromarray(mask).save(second / "g.jpg")
    save_mask(second / "h.png", mask)
    save(first / "h.png")
    with pytest.raises(ValueError) as caught:
        datasets.masks_from_folders(first, second, class_names=("background", "cat", "eye"))
    said = str(caught.value)
    for words in (
        "8 problems",
        "d.jpg: no mask d.png",
        "e.png: a mask without a picture",
        "a.png: the mask is 40 x 20, its picture 40 x 30",
        "b.png: unknown labels 9; known are 0 to 2",
        "c.png: holds colours",
        "f.png: can't be read",
        "g.jpg: a JPEG",
        "h.png: there is h.jpg already",
    ):
        assert words in said, (words, said)


def test_masks_with_problems_can_be_left_out(folders):
    first, second, mask = folders
    save_mask(second / "a.png", mask[:20])
    with pytest.warns(UserWarning, match="left out 1 of the pictures"):
        data = datasets.masks_from_folders(first, second, skip=True)
    assert data.files == ("b.jpg", "c.jpg") and (data.masks == mask).all()


def test_black_and_white_masks_are_explained(folders):
    first, second, mask = folders
    for name in "abc":
        save_mask(second / f"{name}.png", np.where(mask == 1, 255, 0))
    with pytest.raises(ValueError, match="only 0 and 255"):
        datasets.masks_from_folders(first, second)


def test_folders_without_pairs(folders, tmp_path):
    first = folders[0]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no picture has a mask of its name"):
        datasets.masks_from_folders(first, tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="no folder"):
        datasets.masks_from_folders(first, tmp_path / "nowhere")


def test_scenes_written_to_folders_come_back(tmp_path):
    made = datasets.scenes(3, size=48, objects=2)
    (tmp_path / "masks").mkdir()
    for i in range(3):
        images.save(tmp_path / "pictures" / f"{i}.png", made.images[i])
        Image.fromarray(made.masks[i]).save(tmp_path / "masks" / f"{i}.png")
    back = datasets.masks_from_folders(tmp_path / "pictures", tmp_path / "masks", class_names=made.mask_names)
    assert (back.images == made.images).all() and (back.masks == made.masks).all()
    assert back.mask_names == made.mask_names


def test_tight_box_of_nothing():
    assert labelled.tight_box(np.zeros((4, 5), bool)) == (0, 0, 0, 0)


def test_contact_sheet():
    data = datasets.scenes(5, size=40, objects=(1, 2), seed=3)
    plain = datasets.contact_sheet(data, columns=3, scale=1, labels=False)
    assert plain.shape == (84, 128, 3) and plain.dtype == np.uint8
    assert (plain[44:, 44:84] == data.images[4]).all()
    assert (plain[40:44] == 255).all() and (plain[44:, 88:] == 255).all()
    drawn = datasets.contact_sheet(data, columns=3, scale=1)
    labelled_pixels = data.masks[4] > 0
    changed = (drawn[44:, 44:84] != data.images[4]).any(axis=-1)
    assert changed[labelled_pixels].mean() > 0.95
    x, y, w, h = data.boxes[4, 0].astype(int)
    assert changed[y, x : x + w].all() and changed[y : y + h, x + w - 1].all()
    with pytest.raises(ValueError, match="no picture"):
        datasets.contact_sheet(data.subset([]))


def test_contact_sheet_of_pictures_without_masks(pictures):
    data = datasets.boxes_from_csv(pictures, table(pictures, "cat,b.png,8,12,48,42,80,60\n"))
    drawn = datasets.contact_sheet(data, scale=1)
    changed = (drawn != data.images[0]).any(axis=-1)
    assert changed[12, 8:48].all() and changed.sum() == 2 * 40 + 2 * 28


# --- the development data -----------------------------------------------------------------------


@pytest.mark.shared
def test_caltech_boxes(shared_data, tmp_path):
    folder = shared_data / "caltech_boxes"
    lines = (folder / "boxes.csv").read_text().splitlines()
    few = table(tmp_path, "\n".join(lines[80:92] + lines[::120]))
    with pytest.warns(UserWarning, match=r"image_0118.jpg\): the box is 21.4 wide and 0 high"):
        data = datasets.boxes_from_csv(folder, few, size=64, skip=True)
    assert data.class_names == ("airplane", "face", "motorcycle")
    assert data.images.shape[1:] == (64, 64, 3)
    assert (data.boxes[..., 2:] > 0).all() and ((data.boxes[..., :2] + data.boxes[..., 2:]) <= 64.01).all()


@pytest.mark.shared
def test_camvid(shared_data):
    folder = shared_data / "camvid"
    data = datasets.masks_from_folders(folder / "val", folder / "valannot", class_names=NAMES, ignore=(11,))
    assert data.images.shape == (101, 180, 240, 3)
    assert set(np.unique(data.masks)) == {*range(11), 255}
