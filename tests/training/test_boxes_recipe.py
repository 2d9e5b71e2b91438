"""The head `boxes`: maps computed once, a head that ships without the trunk, and goes on no other."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_utils import runtime
from course_utils.localization import regression
from course_utils.networks import heads, pretrained, weight_files
from course_utils.training import boxes


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


def test_a_head_is_trained_on_kept_maps_and_loads_on_the_trunk(data: Path, tmp_path: Path) -> None:
    runtime.start(0)
    recipe = boxes.Recipe(epochs=2, batch=8, passes=2, size=64, channels=4, units=8)
    trainer = boxes.Boxes(recipe, data, maps=tmp_path / "maps")
    card = trainer.run(tmp_path / "out", say=lambda line: None)
    assert card is not None and card["trunk"] == heads.trunk_hash() and card["class_names"] == ["blue", "red"]
    assert set(card["metrics"]) > {"test_mean_iou", "test_canvas_mean_iou"}
    values = weight_files.read(tmp_path / "out" / "weights.npz")
    assert set(weight_files.layers(values)) == {"reduce", "fc", "classes", "box"}
    with np.load(tmp_path / "maps" / "001.npz") as kept:
        assert kept["maps"].shape == (16, 4, 4, 512) and kept["y1"].shape == (16, 5)

    model = regression.load(tmp_path / "out" / "weights.npz")
    assert model.input_shape == (None, 64, 64, 3) and pretrained.about(model).class_names == ("blue", "red")
    x = np.random.default_rng(0).normal(0, 50, (2, 64, 64, 3)).astype(np.float32)
    maps = np.asarray(pretrained.load_vgg16(until="block5_conv3")(x))
    reduced = np.maximum(maps @ values["reduce_kernel"][0, 0] + values["reduce_bias"], 0).reshape(2, -1)
    hidden = np.maximum(reduced @ values["fc_kernel"] + values["fc_bias"], 0)
    found = np.asarray(model.predict_on_batch(x)[1])
    np.testing.assert_allclose(found, hidden @ values["box_kernel"] + values["box_bias"], atol=1e-3)


def test_a_head_of_another_trunk_is_refused(tmp_path: Path) -> None:
    shapes = {"reduce": (1, 1, 512, 4), "fc": (16, 8), "classes": (8, 2), "box": (8, 4)}
    values = {f"{name}_kernel": np.ones(shape) for name, shape in shapes.items()}
    values |= {f"{name}_bias": np.ones(shape[-1]) for name, shape in shapes.items()}
    path = weight_files.save(tmp_path / "weights.npz", values)
    (tmp_path / "card.json").write_text(json.dumps({"trunk": "f" * 64}))
    with pytest.raises(ValueError, match="head of another trunk: its card says ffffffffffffffff"):
        regression.load(path)
