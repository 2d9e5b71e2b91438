"""The recipe of `streets`: maps computed once, a head learnt from them, judged as it will be used."""

from __future__ import annotations

import numpy as np

from course_utils import segmentation
from course_utils.networks import fcn_head, weight_files
from course_utils.pictures import images
from course_utils.training import fcn, streets


def _pictures(folder):
    """Dark sky above a bright road: learnt in a few steps."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 10), ("val", 3)):
        for i in range(n):
            labels = np.zeros((24, 32), np.uint8)
            labels[int(rng.integers(6, 18)) :] = 3
            seen = np.where(labels[..., None] == 3, 220, 40) + rng.integers(0, 20, (24, 32, 3))
            labels[:, :2] = streets.UNLABELLED
            images.save(folder / part / f"{i}.png", seen.astype(np.uint8))
            segmentation.write_mask(folder / f"{part}annot" / f"{i}.png", labels)
    return folder


def test_streets_learns_from_kept_maps(tmp_path, monkeypatch):
    data = _pictures(tmp_path / "camvid")
    nothing = np.zeros((3, 24, 32), np.uint8)  # the patches that it is compared with have their own test
    monkeypatch.setattr(fcn, "patch_wise", lambda *_: nothing)
    recipe = streets.Recipe(epochs=6, batch=2, passes=2, side=32, rate=3e-3, balance=0, mirror=False)
    card = streets.Streets(recipe, data, tmp_path / "maps").run(tmp_path / "out", say=lambda line: None)
    assert card and card["megabytes"] < 2 and card["side"] == 32 and card["pictures"]["train"] == 10
    assert card["metrics"]["pixel_accuracy"] > card["baselines"]["majority_class"]["pixel_accuracy"] + 0.1
    values = weight_files.read(tmp_path / "out" / "weights.npz")
    assert fcn_head.is_head(weight_files.layers(values))
    model = segmentation.load(tmp_path / "out" / "weights.npz")
    labels = segmentation.label_map(model, images.read(data / "val" / "0.png"))
    assert labels[0, 16] == 0 and labels[-1, 16] == 3
    monkeypatch.setattr(streets.fcn_head, "reduction", lambda *_: 1 / 0)  # nothing is computed again
    held = streets.Streets(
        streets.Recipe(epochs=1, passes=2, side=32, hold_out=True), data, tmp_path / "maps"
    )
    held.load()
    assert len(held.learnt) == 8 and len(held.judged[0]) == len(held.judged_pair[1]) == 2
