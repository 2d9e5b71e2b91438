"""The head of an FCN on the frozen original: its components, its parts, and the whole."""

from __future__ import annotations

import json

import numpy as np
import pytest

from course_utils import runtime, segmentation
from course_utils.networks import fcn_head, heads, pretrained, weight_files
from course_utils.pictures import images

SIZE = (45, 61)  # odd at every pooling


@pytest.fixture(scope="module", autouse=True)
def keras():
    runtime.start(0)
    return runtime.load_keras()


@pytest.fixture(scope="module")
def head():
    """A random head of few components."""
    rng = np.random.default_rng(0)
    channels = dict(zip(fcn_head.COMPONENTS, (128, 256, 512, 512), strict=True))
    found = {}
    for layer, n in channels.items():
        found[f"reduce_{layer}_kernel"] = rng.normal(0, 1e-3, (1, 1, n, 6)).astype(np.float32)
        found[f"reduce_{layer}_bias"] = rng.normal(size=6).astype(np.float32)
    values = weight_files.of(fcn_head.decoder(3, [6] * 4, (4, 5, 6, 7)))
    return found | {key: rng.normal(0, 0.2, value.shape).astype(np.float32) for key, value in values.items()}


def test_components_are_principal():
    rng = np.random.default_rng(0)
    maps = (rng.normal(size=(7, 9, 11, 3)) * [5, 2, 0.5]) @ rng.normal(size=(3, 6)) + rng.normal(size=6)
    kernel, bias = fcn_head.principal(maps, 3)
    found = (maps @ kernel[0, 0] + bias).reshape(-1, 3)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-3)
    spread = np.cov(found, rowvar=False)
    np.testing.assert_allclose(spread - np.diag(np.diag(spread)), 0, atol=1e-3)
    assert spread[0, 0] == pytest.approx(1, abs=1e-3) and (np.diff(np.diag(spread)) < 0).all()
    whole = maps.reshape(-1, 6)
    explained, *_ = np.linalg.lstsq(np.c_[found, np.ones(len(found))], whole, rcond=None)
    np.testing.assert_allclose(np.c_[found, np.ones(len(found))] @ explained, whole, atol=1e-3)


def test_the_whole_is_its_parts(head):
    x = images.preprocess(images.resize(images.sample("china"), SIZE))[None]
    maps = fcn_head.reduction(head).predict_on_batch(x)
    assert [each.shape[1:3] for each in maps] == [(23, 31), (12, 16), (6, 8), (3, 4)]
    decoder = fcn_head.decoder(3, [6] * 4, (4, 5, 6, 7))
    logits = weight_files.put(decoder, head, "head").predict_on_batch(maps)
    whole = fcn_head.build(head).predict_on_batch(x)
    assert whole.shape == (1, *SIZE, 3)
    larger = images.resize(logits[0], (46, 62))[: SIZE[0], : SIZE[1]]
    np.testing.assert_allclose(whole[0], larger, rtol=1e-3, atol=1e-3)


def test_a_head_is_loaded_by_its_card_and_asked_as_that_says(head, tmp_path):
    path = weight_files.save(tmp_path / "weights.npz", head)
    card = {"trunk": heads.trunk_hash(), "class_names": ["a", "b", "c"], "side": 32, "mirror": True}
    (tmp_path / "card.json").write_text(json.dumps(card))
    model = segmentation.load(path)
    assert pretrained.about(model).class_names == ("a", "b", "c")
    picture = images.resize(images.sample("china"), (48, 80))
    assert segmentation.answers.zoom_of(model, (48, 80)) == pytest.approx(2 / 3)
    scores = segmentation.scores(model, picture)
    assert scores.shape == (48, 80, 3)
    np.testing.assert_allclose(segmentation.scores(model, picture[:, ::-1])[:, ::-1], scores, atol=1e-3)
    np.testing.assert_array_equal(segmentation.label_map(model, picture), scores.argmax(-1))
    (tmp_path / "card.json").write_text(json.dumps(card | {"trunk": "another"}))
    with pytest.raises(ValueError, match="head of another trunk"):
        segmentation.load(path)
