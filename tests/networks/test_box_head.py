"""The head `boxes`: borders as places, and the whole network against its parts."""

from __future__ import annotations

import numpy as np
import pytest

from course_utils.networks import box_head, gradients, weight_files


@pytest.fixture(scope="module")
def head() -> dict[str, np.ndarray]:
    """A decoder with random weights, and random components."""
    rng, values = np.random.default_rng(0), {}
    for layer, n in box_head.COMPONENTS.items():
        values[f"reduce_{layer}_kernel"] = rng.normal(0, 0.01, (1, 1, 512, n)).astype(np.float32)
        values[f"reduce_{layer}_bias"] = rng.normal(0, 0.1, n).astype(np.float32)
    return values | weight_files.of(box_head.decoder(3, 64))


def test_borders_are_shared_by_the_two_places_that_they_lie_between() -> None:
    boxes = np.array([[0.25, 0.5, 0.5, 0.2], [0.0, 0.0, 1.0, 1.0], [0.13, 0.41, 0.6, 0.3]])
    truth = box_head.between(boxes, 8)
    assert truth.shape == (3, 10, 4) and ((truth > 0).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(truth.sum(axis=1), 1, atol=1e-6)
    place = (truth * box_head.middles(8)[:, None]).sum(axis=1)
    x, y, w, h = boxes.T
    np.testing.assert_allclose(place, np.stack([x, x + w, y, y + h], axis=1), atol=1e-6)
    np.testing.assert_allclose(truth[0, :, 0], np.eye(10)[2] / 2 + np.eye(10)[3] / 2)  # two columns of eight


def test_the_whole_network_is_reduction_and_decoder(head: dict[str, np.ndarray]) -> None:
    x = np.random.default_rng(1).normal(0, 50, (2, 64, 64, 3)).astype(np.float32)
    decoder = weight_files.put(box_head.decoder(3, 64), head, "test")
    maps = gradients.forward(box_head.reduction(64, head), x)
    assert [each.shape for each in maps] == [(2, 8, 8, 128), (2, 4, 4, 192)]
    odds, boxes, scores = gradients.forward(decoder, maps)
    for ours, whole in zip((odds, boxes), gradients.forward(box_head.build(head, 64), x), strict=True):
        np.testing.assert_allclose(whole, ours, atol=1e-5)
    np.testing.assert_allclose(odds.sum(axis=1), 1, atol=1e-5)
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    place = (share / share.sum(axis=1, keepdims=True) * box_head.middles(8)[:, None]).sum(axis=1)
    found = np.stack([place[:, 0], place[:, 2], place[:, 1] - place[:, 0], place[:, 3] - place[:, 2]], axis=1)
    np.testing.assert_allclose(boxes, found, atol=1e-5)


def test_columns_answer_for_columns_and_rows_for_rows(head: dict[str, np.ndarray]) -> None:
    """Maps turned over their diagonal, with the weights of rows and columns exchanged, turn the box over."""
    decoder = weight_files.put(box_head.decoder(3, 64), head, "test")
    rng = np.random.default_rng(2)
    maps = [
        rng.normal(size=(2, 8 // 2**k, 8 // 2**k, n)).astype(np.float32)
        for k, n in enumerate(box_head.COMPONENTS.values())
    ]

    def exchanged(name: str) -> str:
        first, *rest = name.split("_")
        return "_".join([{"rows": "columns", "columns": "rows"}.get(first, first), *rest])

    turned = {
        exchanged(name): value.transpose(1, 0, 2, 3) if value.ndim == 4 else value
        for name, value in head.items()
    }
    other = weight_files.put(box_head.decoder(3, 64), turned, "test")
    straight = gradients.forward(decoder, maps)[1]
    found = gradients.forward(other, [each.transpose(0, 2, 1, 3) for each in maps])[1]
    np.testing.assert_allclose(found[:, [1, 0, 3, 2]], straight, atol=1e-5)
    assert np.abs(found - straight).max() > 1e-3
