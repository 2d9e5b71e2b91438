"""What every trainer has in common: options from recipes, the command of a record, and very little data."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from course_utils import runs, runtime
from course_utils.cli import _recipe_options, build
from course_utils.cli import train as train_cli
from course_utils.networks import vgg16, weight_files
from course_utils.training import Recipe, all_cnn, fcn, localizer
from course_utils.training.trainer import changed


@pytest.mark.parametrize("name", train_cli.COMMANDS)
def test_every_setting_of_a_recipe_is_an_explained_option(name):
    recipe = importlib.import_module(f"course_utils.training.{train_cli.COMMANDS[name][1]}").Recipe
    options = {option for parameter in train_cli._command(name).params for option in parameter.opts}
    assert {"--out", "--minutes", "--resume", "--ship"} <= options
    for each in dataclasses.fields(recipe):
        assert f"--{each.name.replace('_', '-')}" in options
        assert _recipe_options.explained(recipe)[each.name], f"{each.name} stands in no docstring"
    defaults = {each.name: each.default for each in _recipe_options.of(recipe)}
    assert defaults.pop("precision") == "auto"
    assert _recipe_options.settings(recipe, defaults | {"precision": "float32"}) == recipe()


def test_settings_come_back_as_they_were_given():
    given = {each.name: each.default for each in dataclasses.fields(localizer.Recipe)}
    given |= {"frozen": ["block1", "block2"], "views": (0.5, 0.5, 0.0), "per_class": True, "other": 1}
    recipe = _recipe_options.settings(localizer.Recipe, given)
    assert recipe == localizer.Recipe(frozen=("block1", "block2"), views=(0.5, 0.5, 0.0), per_class=True)
    assert given == {"other": 1}


def test_a_record_names_what_matters():
    words = changed(localizer.Recipe(frozen=("block1", "block2"), per_class=True, views=(0.5, 0.5, 0.0)))
    assert words == ["--per-class", "--views 0.5 0.5 0.0", "--frozen block1", "--frozen block2"]
    plain = all_cnn.Recipe(norm="none", dropout=(0.2, 0.5), rate=0.05, flip=False)
    assert changed(plain) == ["--rate 0.05", "--no-flip", "--dropout 0.2 0.5", "--norm none"]
    paper = all_cnn.AllCnn(all_cnn.Recipe.named("paper", epochs=60), None)
    assert paper.typed() == "course train allcnn --data DIR --recipe paper --epochs 60"
    assert changed(fcn.Recipe(backbone="/here/w.npz", zoom=1.5)) == ["--backbone DIR", "--zoom 1.5"]

    parameters = train_cli._parameters(train_cli.fcn)
    given = {each.name: each.default for each in parameters}
    given |= {
        "images": Path("/here"),
        "classes": "a,b",
        "ignore": [9, 10],
        "split": "val",
        "terms": "t",
        "name": "n",
    }
    said = train_cli.typed(parameters, given)
    assert said == "--images DIR --set val --classes a,b --ignore 9 --ignore 10"


def test_what_is_typed_changes_a_named_recipe_and_nothing_else(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(all_cnn.AllCnn, "run", lambda self, out, **how: seen.append(self))
    command = train_cli._command("allcnn")
    words = ["--recipe", "matelabs", "--batch", "128", "--no-flip", "--precision", "float32"]
    words += ["--save", str(tmp_path / "mine.keras")]
    command.main(words, standalone_mode=False)
    command.main(["--dropout", "0", "0.3"], standalone_mode=False)
    first, second = seen
    assert first.recipe == all_cnn.Recipe.named("matelabs", batch=128)  # 128 is the short recipe's, and typed
    assert first.save == tmp_path / "mine.keras"
    assert first.typed() == "course train allcnn --recipe matelabs --batch 128"
    assert second.recipe == all_cnn.Recipe(dropout=(0.0, 0.3), precision="auto")
    with pytest.raises(ValueError, match=r"name it \.keras, \.h5"):
        command.main(["--save", "mine.pth"], standalone_mode=False)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="there are all, c, strided, convpool"):
        all_cnn.Recipe(variant="vgg")
    with pytest.raises(ValueError, match="both are at least 1"):
        Recipe(epochs=0)
    with pytest.raises(ValueError, match="balance 2"):
        fcn.Recipe(balance=2)


def test_twenty_pictures_train_a_localizer(tmp_path):
    """What docs/teachers.md sets as homework: sixteen are left to train on, half a batch."""
    rng = np.random.default_rng(0)
    with (tmp_path / "boxes.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        for i in range(20):
            picture, name = rng.integers(0, 90, (40, 60, 3), np.uint8), ("blue", "red")[i % 2]
            left, top = rng.integers(0, 30), rng.integers(0, 20)
            picture[top : top + 15, left : left + 22, 2 * (i % 2)] = 230
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / name / f"{i}.png")
            rows.writerow([name, f"{i}.png", left, top, left + 22, top + 15, 60, 40])
    runtime.start(0)
    narrow = weight_files.save(
        tmp_path / "w" / "narrow.npz", weight_files.of(vgg16.build(1 / 32, include_top=False))
    )
    small = ["--size", 32, "--channels", 2, "--units", 8, "--backgrounds", 4, "--backbone", narrow]
    words = ["train", "localizer", "--data", tmp_path, "--out", tmp_path / "out", "--epochs", 1, *small]
    result = CliRunner().invoke(build(), [str(word) for word in words])
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["recipe"]["batch"] == 32 and card["data"].startswith("16 photographs")
    run = runs.load("localizer_caltech", tmp_path / "out" / "runs")
    assert run.command.startswith("course train localizer --data DIR --epochs 1 --size 32")
