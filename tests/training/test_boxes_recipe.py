"""The head `boxes`: maps computed once, a head that ships without the trunk, and goes on no other."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_utils.localization import regression
from course_utils.networks import box_head, gradients, heads, pretrained, weight_files
from course_utils.pictures import images
from course_utils.training import boxes
from course_utils.training import localizer as pictures


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures of a red or a blue rectangle."""
    folder, rng = tmp_path_factory.mktemp("boxes"), np.random.default_rng(0)
    with (folder / "boxes.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        for i in range(20):
            picture, name = rng.integers(0, 90, (40, 60, 3), np.uint8), ("blue", "red")[i % 2]
            left, top = rng.integers(0, 30), rng.integers(0, 20)
            picture[top : top + 15, left : left + 22, 2 * (i % 2)] = 230
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(picture).save(folder / name / f"{i}.png")
            rows.writerow([name, f"{i}.png", left, top, left + 22, top + 15, 60, 40])
    return folder


@pytest.fixture(scope="module")
def few_backgrounds() -> Iterator[None]:
    """Eight of them instead of four hundred."""
    plain = pictures.bank
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "bank", lambda data, recipe: plain(data, replace(recipe, backgrounds=8)))
        yield


def test_a_head_is_trained_on_kept_maps_and_loads_on_the_trunk(
    data: Path, few_backgrounds: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = boxes.Recipe(epochs=4, batch=8, passes=2, size=64)
    trainer = boxes.Boxes(recipe, data, maps=tmp_path / "maps")
    card = trainer.run(tmp_path / "out", say=lambda line: None)
    assert card is not None and card["trunk"] == heads.trunk_hash() and card["class_names"] == ["blue", "red"]
    assert card["megabytes"] < 2 and card["input_size"] == 64
    assert set(card["metrics"]) > {"test_mean_iou", "test_canvas_mean_iou"}
    with (tmp_path / "out" / "history.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.9 * losses[0]
    model = regression.load(tmp_path / "out" / "weights.npz")
    assert model.input_shape == (None, 64, 64, 3) and pretrained.about(model).class_names == ("blue", "red")

    monkeypatch.setattr(boxes, "_tapped", lambda: 1 / 0)  # nothing is computed again
    held = boxes.Boxes(replace(recipe, hold_out=True), data, maps=tmp_path / "maps")
    held.load()
    assert len(held.used) + len(held.test) == len(held.known) == 16 and len(held.test) == 2
    assert 0 <= held.validate(held.build())["val_view_iou"] <= 1
    x, (named, boxed, borders) = next(iter(held.batches()(0)))
    assert len(x) == 2 and len(named) == len(boxed) == len(borders) == 8
    seen = np.concatenate([places for *_, (*_, places) in held.batches()(0)])
    assert seen.shape == (24, 10, 4) and held.steps() == 3  # 28 views in whole batches


def test_a_view_and_its_maps_belong_together(data: Path, few_backgrounds: None, tmp_path: Path) -> None:
    """What is learnt from is what the whole network sees: the view, reduced, with its box and class."""
    trainer = boxes.Boxes(boxes.Recipe(passes=1, size=64), data, maps=tmp_path / "maps")
    trainer.load()
    known, views = trainer.known, pictures.Recipe(size=64)
    pick = trainer.truth["p"]
    assert sorted(pick) == list(range(16)) and (pick != np.arange(16)).any()
    shares = known.boxes[pick, 0] / np.array([240, 160, 240, 160])
    rng = np.random.default_rng([0, 3, 0, 0])
    x, truth = pictures.views(known.images[pick], shares, pictures.bank(known, views), views, rng)
    ours = gradients.forward(box_head.reduction(64, trainer.components), images.preprocess(x[5:6]))
    kept, (named, boxed, _) = trainer._batch(np.array([5]))
    for one, other in zip(kept, ours, strict=True):
        np.testing.assert_allclose(one, other, atol=0.02 * np.abs(other).max())
    assert named.argmax() == boxed[0, 0] == known.classes[pick[5], 0]
    np.testing.assert_allclose(boxed[0, 1:], truth[5], atol=1e-6)


def test_a_head_of_another_trunk_is_refused(tmp_path: Path) -> None:
    values = {f"reduce_{layer}_kernel": np.ones((1, 1, 512, n)) for layer, n in box_head.COMPONENTS.items()}
    values |= {f"{word}_score_kernel": np.ones((5, 64, 2)) for word in ("columns", "rows")}
    path = weight_files.save(tmp_path / "weights.npz", values)
    (tmp_path / "card.json").write_text(json.dumps({"trunk": "f" * 64}))
    with pytest.raises(ValueError, match="head of another trunk: its card says ffffffffffffffff"):
        regression.load(path)
