"""The head `parts`: joints of puppets learnt from kept maps, loaded on the trunk, drawn by `course pose`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from course_utils.cli import build
from course_utils.datasets.puppets import JOINTS, puppets
from course_utils.localization import parts
from course_utils.networks import gradients, heads, localizer, pretrained, weight_files
from course_utils.pictures import images
from course_utils.training import parts as recipes


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run."""
    out = tmp_path_factory.mktemp("parts")
    recipe = recipes.Recipe(epochs=6, batch=8, pictures=24, size=48, channels=8)
    card = recipes.Parts(recipe).run(out, say=lambda line: None)
    assert card is not None and card["trunk"] == heads.trunk_hash() and tuple(card["class_names"]) == JOINTS
    assert card["megabytes"] < 0.5 and set(card["metrics"]["action"]) == {
        "from the joints found",
        "from the picture's maps, averaged",
        "from the true joints",
    }
    assert set(card["baselines"]) == {"median_joints", "dense_layer", "majority_action"}
    return out


def test_what_is_learnt_answers_on_the_trunk(run: Path) -> None:
    with (run / "history.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.95 * losses[0]
    model, dolls = parts.load(run / "weights.npz"), puppets(2, 48, seed=3)
    assert pretrained.about(model).class_names == JOINTS
    values = weight_files.read(run / "weights.npz")
    maps = gradients.forward(pretrained.load_vgg16(until=parts.LAYER), dolls.images, before=images.preprocess)
    head = weight_files.put(localizer.build_part_maps(maps.shape[1:], 11, 8), values, "test")
    one, two = parts.pose(model, dolls.images)
    np.testing.assert_allclose(one, gradients.forward(head, maps) * 48, atol=0.01)
    assert two.shape == (2, 11, 2) and np.abs(two - one).max() > 0.01


def test_every_place_votes() -> None:
    """The answer is the mean of all places' middles under a softmax of their scores."""
    model = localizer.build_part_maps((3, 5, 4), 2, channels=6)
    maps = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
    scores = gradients.forward(_scores(model), maps).astype(np.float64)
    odds = np.exp(scores) / np.exp(scores).sum(axis=(1, 2), keepdims=True)
    x = (odds * ((np.arange(5) + 0.5) / 5)[None, None, :, None]).sum(axis=(1, 2))
    y = (odds * ((np.arange(3) + 0.5) / 3)[None, :, None, None]).sum(axis=(1, 2))
    np.testing.assert_allclose(gradients.forward(model, maps), np.stack([x, y], axis=-1), atol=1e-5)


def _scores(model):  # type: ignore[no-untyped-def]
    from keras import Model

    return Model(model.input, model.get_layer("points").output)


def test_joints_in_their_box_forget_place_and_size() -> None:
    joints = puppets(3, 48, seed=1).joints
    found = parts.in_box(joints)
    np.testing.assert_allclose(parts.in_box(3 * joints + [7, -2]), found)
    assert found.shape == (3, 22) and found.min() == 0 and found.max() == 1


def test_course_pose_draws_and_writes_a_table(run: Path, tmp_path: Path) -> None:
    dolls = puppets(1, 48, seed=2)
    picture, other, out = tmp_path / "doll.png", tmp_path / "none.png", tmp_path / "out"
    images.save(picture, dolls.images[0])
    typed = ["pose", str(picture), str(other), "--weights", str(run / "weights.npz"), "--out", str(out)]
    result = CliRunner().invoke(build(), typed)
    assert result.exit_code == 1 and "1 of 2 pictures could not be read" in result.stderr
    assert images.read(out / "doll_pose.png").shape == (320, 320, 3)
    with (out / "pose.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["joint"] for row in rows] == list(JOINTS)
    expected = parts.pose(parts.load(run / "weights.npz"), dolls.images)[-1][0]
    np.testing.assert_allclose([[float(row["x"]), float(row["y"])] for row in rows], expected, atol=0.06)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = weight_files.save(tmp_path / "weights.npz", {"reduce_kernel": np.ones((1, 1, 4, 4))})
    (tmp_path / "card.json").write_text(json.dumps({"trunk": "f" * 64}))
    with pytest.raises(
        ValueError, match="no finder of joints: these layers are missing: look, around, points"
    ):
        parts.load(path)
