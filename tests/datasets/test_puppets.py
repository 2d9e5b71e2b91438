"""Puppets: joints where the limbs are, four actions that differ, the same pictures everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.datasets import puppets as module
from course_utils.datasets.puppets import ACTIONS, JOINTS, LIMBS, puppets

PLACE = {name: i for i, name in enumerate(JOINTS)}


def test_fewer_are_the_first_of_more_and_splits_differ() -> None:
    some, more = puppets(4, seed=3), puppets(6, seed=3)
    assert np.array_equal(some.images, more.images[:4]) and np.array_equal(some.joints, more.joints[:4])
    assert more.actions.tolist() == [0, 1, 2, 3, 0, 1]
    for other in (puppets(4, seed=4), puppets(4, seed=3, split="test")):
        assert not np.array_equal(other.joints, some.joints)
    with pytest.raises(ValueError, match="at least 32 pixels"):
        puppets(2, size=20)


def test_joints_lie_inside_on_the_puppet_and_limbs_keep_their_lengths() -> None:
    made = puppets(24, size=64, seed=0)
    assert made.images.dtype == np.uint8 and made.images.shape == (24, 64, 64, 3)
    assert (made.joints > 0).all() and (made.joints < 64).all()
    np.testing.assert_allclose(made.boxes[:, :2], made.joints.min(axis=1))
    np.testing.assert_allclose(made.boxes[:, :2] + made.boxes[:, 2:], made.joints.max(axis=1))
    for joints in made.joints:
        _, opacity = module.painted(joints, 64, np.full((10, 3), 200.0))
        x, y = joints.astype(int).T
        assert (opacity[y, x, 0] > 0.5).all()
        sides = np.array([np.linalg.norm(joints[a] - joints[b]) for a, b in LIMBS])
        shares = sides / sides[0] / (np.array(module.LENGTHS) / module.LENGTHS[0])
        assert (shares > 0.8).all() and (shares < 1.25).all()


def test_the_colours_are_those_of_the_limbs() -> None:
    joints = puppets(1, seed=1).joints[0]
    paints = np.zeros((10, 3))
    paints[7] = [255, 0, 0]  # the left shin, from knee to foot
    colours, opacity = module.painted(joints, 96, paints)
    x, y = joints[PLACE["left foot"]].astype(int)
    np.testing.assert_allclose(colours[y, x], [255, 0, 0], atol=1)
    assert colours[..., 0].max() > 250 and colours[..., 1:].max() == 0 and opacity.max() == 1


def test_what_an_action_is() -> None:
    made = puppets(200, seed=0)
    joints = made.joints / made.boxes[:, None, 2:].max(axis=-1, keepdims=True)
    x, y = ({name: joints[:, place, axis] for name, place in PLACE.items()} for axis in (0, 1))

    def usual(condition: np.ndarray, action: str) -> float:
        return float(condition[made.actions == ACTIONS.index(action)].mean())

    raised, apart = y["left hand"] < y["head"], np.abs(x["left foot"] - x["right foot"]) > 0.3
    assert (y["head"] < y["hip"]).all()  # y grows downwards
    assert usual(raised, "wave") > 0.9 and usual(raised, "stand") < 0.1
    assert usual(y["left knee"] - y["hip"] < 0.12, "sit") > 0.9
    assert usual(apart, "run") > 0.9 and usual(apart, "stand") < 0.1
