"""Studies of short trainings: their list, and the arithmetic of their records."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from course_utils.training.all_cnn import Recipe
from experiments import all_cnn_compare


def test_the_studies_are_those_that_the_page_names() -> None:
    named = re.findall(r"^- `(\w+)`:", str(all_cnn_compare.__doc__), re.M)
    assert set(named) == set(all_cnn_compare.STUDIES)


def test_a_fault_is_undone_alone() -> None:
    """Each trial but the last two differs from the program in what its name says, and in nothing else."""
    program = all_cnn_compare.PROGRAM
    alone = {"its own SGD used": {"rate", "momentum", "nesterov"}, "pictures scaled": {"look"}}
    alone["a ReLU after striding"] = {"strided_relu"}
    for name, settings in alone.items():
        trial = all_cnn_compare.FAULTS[name]
        changed = {key for key in vars(program) if getattr(trial, key) != getattr(program, key)}
        assert changed == settings


def test_one_that_diverged_counts_as_a_fixed_answer(tmp_path: Path) -> None:
    recipe = Recipe(epochs=2)
    study = all_cnn_compare.Study({"a": recipe, "b": recipe}, 10, 2, "said", classes=(0, 1))
    for trial, seed, folder in all_cnn_compare.units(study, tmp_path):
        folder.mkdir()
        broke = (trial, seed) == ("b", 1)
        rows = ["epoch,val_accuracy", "1,0.5"] + ([] if broke else [f"2,0.{6 + seed}"])
        (folder / "history.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        (folder / "done").write_text("diverged: nan" if broke else folder.name, encoding="utf-8")
    metrics, history = all_cnn_compare.result(study, tmp_path)
    assert metrics["a"]["seeds"] == [0.6, 0.7] and metrics["a"]["diverged"] == 0
    assert metrics["b"]["seeds"] == [0.6, 0.5] and metrics["b"]["diverged"] == 1
    assert metrics["b"]["accuracy"] == pytest.approx(0.55)
    assert history["a"] == [0.5, 0.65]
