"""Which samples help: what the sets hold, and what is written down."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import fcn_samples

PLAN = fcn_samples.Plan(counts=(4, 8), base=4, steps=1, seeds=(0, 1), tested=3, size=48)


def test_the_sets_differ_as_their_names_say():
    made = dict(fcn_samples.sets(PLAN, 0))
    first = "4 pictures, 4 more: "
    assert list(made) == ["4 pictures", "8 pictures", *(first + kind for kind in fcn_samples.kinds(PLAN))]
    assert [len(x) for x, _ in made.values()] == [4, 8, 8, 8, 8, 8]
    rocket = fcn_samples.NAMES.index("rocket")
    assert set(np.unique(made[first + "rocket only"][1][4:])) <= {0, rocket, 255}
    assert rocket not in made[first + "no rocket"][1][4:]
    for x, y in made.values():
        np.testing.assert_array_equal(x[:4], made["4 pictures"][0])
        np.testing.assert_array_equal(y[:4], made["4 pictures"][1])
    share = {name: np.isin(y[4:], range(1, 7)).mean() for name, (_, y) in made.items() if len(y) > 4}
    assert share[first + "small objects"] < 0.5 * share["8 pictures"]


def test_a_pixel_counts_the_same_in_every_training(monkeypatch):
    asked = []
    monkeypatch.setattr(fcn_samples, "train", lambda pair, weights, steps, seed: asked.append(weights))
    monkeypatch.setattr(fcn_samples, "built", lambda: None)
    monkeypatch.setattr(fcn_samples.quick, "prepare", lambda *_: None)
    monkeypatch.setattr(
        fcn_samples.quick, "answer", lambda *_: np.eye(7)[fcn_samples.judged_by(PLAN).masks % 7]
    )
    for seed in PLAN.seeds:
        found = fcn_samples.one_seed(PLAN, seed)
        assert all(np.trace(matrix) == matrix.sum() > 0 for matrix in found.values())
    assert len(asked) == 12
    for weights in asked:
        np.testing.assert_array_equal(weights, asked[0])


def test_figures_are_means_and_seeds_stay_apart():
    nothing = np.zeros((7, 7), int)
    nothing[:, 0] = 1  # background everywhere: no precision for what is never said
    found = fcn_samples.measured([np.eye(7, dtype=int), nothing])
    assert found["mean_iu_by_seed"] == [1, pytest.approx(1 / 49)]
    assert found["mean_iu"] == pytest.approx((1 + 1 / 49) / 2)
    assert found["recall_by_seed"]["rocket"] == [1, 0] and found["recall"]["rocket"] == 0.5
    assert found["precision_by_seed"]["rocket"] == [1] and found["precision"]["rocket"] == 1
