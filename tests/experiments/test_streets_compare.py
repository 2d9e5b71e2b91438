"""Streets: what learns, what is judged, what is written down."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.pictures import images
from course_utils.training import fcn as pictures
from experiments import streets_compare
from experiments.seeds import by_seed, options, typed

PLAN = streets_compare.Plan(views=2, batch=2, every=1)


@pytest.fixture
def lessons():
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 11, (3, 15, 20)).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    seen = np.repeat(masks[..., None] * 20, 3, axis=-1).astype(np.uint8)
    samples = pictures.Samples((seen, masks), (seen, masks), tuple("abcdefghijk"), "small", "0")
    return streets_compare.Lessons(samples, PLAN, 0)


def test_views_keep_picture_and_labels_together(lessons):
    assert lessons.seen.shape == (2, 3, 240, 320, 3) and lessons.labels.shape == (2, 3, 240, 320)
    middles = np.index_exp[0, :, 8::16, 8::16]
    np.testing.assert_array_equal(lessons.seen[(*middles, 0)], 20 * lessons.labels[middles])
    assert 255 not in lessons.labels[0] and not np.array_equal(lessons.seen[0], lessons.seen[1])
    x, half = next(iter(lessons.batches(0, 2)))
    again, whole = next(iter(lessons.batches(0, 1)))
    np.testing.assert_array_equal(x, again)
    assert x.dtype == np.float32 and half.shape == (2, 120, 160)
    np.testing.assert_array_equal(half, whole[:, ::2, ::2])


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_truth_gets_full_marks(lessons, monkeypatch, mirrored):
    """Each answer at its own picture, mirrored back, and only the pictures that there are."""
    asked = []

    def truth(model, numbers, batch, *, before, after):
        ready = before(numbers)
        turned = bool(asked)
        asked.append(ready.shape)
        shown = images.resize(lessons.samples.validation[0][numbers], (240, 320))
        np.testing.assert_allclose(ready, images.preprocess(shown)[:, :, :: -1 if turned else 1])
        logits = np.eye(11, dtype=np.float32)[lessons.samples.validation[1][numbers]]
        return after(logits[:, :, ::-1] if turned else logits)

    monkeypatch.setattr(streets_compare.gradients, "forward", truth)
    assert lessons.judge(None, mirrored).mean_iu == 1
    assert asked == [(8, 240, 320, 3)] * (1 + mirrored)


def test_what_learns():
    model = streets_compare.fcn.build(11, "32s", width=1 / 64)
    learning = {w.path.split("/")[0] for w in streets_compare.frozen(model).trainable_weights}
    assert learning == {"fc6", "score_fr"}
    tuned = streets_compare.frozen(model, streets_compare.TUNED).trainable_weights
    assert {w.path.split("/")[0] for w in tuned} == learning | set(streets_compare.TUNED)


def test_figures_are_means_and_seeds_stay_apart():
    each = [
        {"mean_iu": v, "pixel_accuracy": 0.9, "iu": {"sky": v, "pole": 0.0}, "course": [0.1, v]}
        for v in (0.4, 0.6)
    ]
    found = streets_compare.summed_up(each)
    assert found["mean_iu"] == pytest.approx(0.5) and found["iu"] == {"sky": pytest.approx(0.5), "pole": 0}
    assert found["mean_iu_by_seed"] == [0.4, 0.6] and found["course_by_seed"] == [[0.1, 0.4], [0.1, 0.6]]


def test_seeds_one_after_the_other_and_side_by_side():
    for workers in (1, 2):
        assert dict(by_seed(abs, (3, -4), workers)) == {3: 3, -4: 4}


def test_the_command_says_what_was_changed():
    numbers = {"size": 192, "steps": 200}
    given = options("…", numbers).parse_args(["--size", "160", "--workers", "3"])
    assert typed("fcn_context", given, numbers) == "python -m experiments.fcn_context --size 160"
