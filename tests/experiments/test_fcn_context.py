"""Patches against FCNs: what is written down of it."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.segmentation import patches
from experiments import fcn_context

PLAN = fcn_context.Plan(pictures=3, tested=2, size=32, patches=40, asked=4, seeds=(0, 1))


def test_figures_are_means_and_seeds_stay_apart():
    test = fcn_context.made(PLAN.tested, PLAN, 0, "test")
    found = {"a": [{"mean_iu": 0.2, "pixel_accuracy": 0.6}, {"mean_iu": 0.4, "pixel_accuracy": 0.8}]}
    metrics, trivial = fcn_context.summed_up(PLAN, test, found)
    assert metrics["a"]["mean_iu"] == pytest.approx(0.3) and metrics["a"]["mean_iu_by_seed"] == [0.2, 0.4]
    background = (test.masks == 0).sum() / (test.masks != 255).sum()
    assert trivial["background everywhere"]["pixel_accuracy"] == pytest.approx(background)


def test_patches_are_judged_on_a_grid_of_pixels(monkeypatch):
    train, test = (fcn_context.made(n, PLAN, 0, split) for n, split in ((3, "train"), (2, "test")))
    asked = []

    def truth(model, x):
        asked.append(x.shape)
        return np.eye(7)[test.masks[len(asked) - 1, [8, 8, 24, 24], [8, 24, 8, 24]] % 7]

    monkeypatch.setattr(fcn_context.gradients, "forward", truth)
    figures = fcn_context.by_patches(train, test, patches.SIDE, PLAN, 0)
    assert asked == [(4, 15, 15, 3)] * 2 and figures["pixel_accuracy"] == 1


def test_a_wide_patch_is_seen_as_a_whole():
    model = patches.build_wide(7)
    assert model.input_shape == (None, 63, 63, 3) and model.output_shape == (None, 7)


def test_mixed_colours_leave_the_masks():
    few = {"size": 48, "seed": 3, "objects": (1, 2)}
    plain, mixed = (fcn_context.scenes(4, **few, recolour=on) for on in (False, True))
    np.testing.assert_array_equal(plain.masks, mixed.masks)
    inside = (plain.masks > 0) & (plain.masks < 255)
    apart = np.abs(plain.images.astype(int) - mixed.images).mean(-1)
    assert apart[inside].mean() > 3 * apart[~inside & (plain.masks == 0)].mean()
