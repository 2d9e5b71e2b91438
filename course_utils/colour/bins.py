"""Colours as classes: a grid over the ab plane, soft labels, rebalancing and the annealed mean. Notebook 09.

After Zhang, Isola and Efros (2016), *Colorful image colorization*; with soft labels shared bilinearly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

STEP = 10.0
"""Distance of neighbouring bins in a and b."""
REACH = 110.0
"""a and b of what screens show lie within -REACH and REACH."""
SIDE = round(2 * REACH / STEP) + 1


@dataclass(frozen=True)
class Bins:
    """The colours that occur, on a grid of `STEP` in a and b, and how often each does.

    Attributes:
        centres: (Q, 2) float32, a and b.
        prior: (Q,) float32, the share of each among the pixels of the training pictures; adds up to 1.
    """

    centres: np.ndarray
    prior: np.ndarray

    @classmethod
    def of(cls, ab: np.ndarray, rarest: float = 2e-6) -> Bins:
        """The bins of these colours.

        Args:
            ab: (N, 2) pixels.
            rarest: bins with a smaller share of the pixels are left out; their colours count for the
                nearest bin that stays.
        """
        places, shares = _corners(ab)
        counts = np.bincount(places.ravel(), shares.ravel(), SIDE * SIDE) / len(ab)
        kept = np.flatnonzero(counts > rarest)
        prior = counts[kept] / counts[kept].sum()
        return cls(_grid()[kept], prior.astype(np.float32))

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Bins:
        """The bins that a model card lists."""
        return cls(*(np.array(card["bins"][key], np.float32) for key in ("centres", "prior")))

    def for_card(self) -> dict[str, Any]:
        """The bins as a model card lists them."""
        return {
            "centres": self.centres.astype(int).tolist(),
            "prior": [float(f"{p:.3g}") for p in self.prior],
        }

    def __len__(self) -> int:
        return len(self.centres)

    @cached_property
    def _numbers(self) -> np.ndarray:
        """For each place of the whole grid the number of its bin, or of the nearest one."""
        away = _grid()[:, None] - self.centres
        return np.square(away).sum(axis=-1).argmin(axis=1)

    def share(self, ab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Soft labels: a colour belongs to the four bins around it, as a stretched value to four small ones.

        Args:
            ab: (N, 2).

        Returns:
            bins int64 (N, 4) and their shares float32 (N, 4), which add up to 1. The mean of the four
            centres, weighed so, is the colour itself.
        """
        places, shares = _corners(ab)
        return self._numbers[places], shares

    def weights(self, balance: float = 0.5) -> np.ndarray:
        """How much a pixel of each colour shall count, so that rare colours are not drowned.

        Args:
            balance: 1: each colour counts as much in all as any other; 0: each pixel counts alike.

        Returns:
            (Q,) float32, 1 on average over the pixels: one over a mixture of the prior and of a uniform
            distribution (section 2.2 of the paper, there also with 1/2).
        """
        mixture = balance * self.prior + (1 - balance) / len(self)
        weights = 1 / mixture
        return (weights / (weights @ self.prior)).astype(np.float32)

    def rarity(self, ab: np.ndarray, balance: float = 0.5) -> np.ndarray:
        """The weight of each pixel (N, 2): float32 (N,)."""
        numbers, shares = self.share(ab)
        return (self.weights(balance)[numbers] * shares).sum(axis=1)

    def annealed_mean(self, scores: np.ndarray, temperature: float = 0.38) -> np.ndarray:
        """One colour from the scores of all: the mean of the distribution, made sharper first.

        Args:
            scores: (…, Q) logits.
            temperature: 1: the mean itself, which is careful and grey; towards 0: the colour with the
                highest score, vivid and spotty (section 2.3 of the paper, there .38).

        Returns:
            (…, 2) float32, a and b.
        """
        if temperature <= 0:
            raise ValueError(f"temperature {temperature}: it must be above 0")
        power = scores / temperature
        power = np.exp(power - power.max(axis=-1, keepdims=True))
        return (power @ self.centres) / power.sum(axis=-1, keepdims=True)


def _grid() -> np.ndarray:
    """(SIDE * SIDE, 2) float32: a and b of every place."""
    axis = np.arange(SIDE, dtype=np.float32) * STEP - REACH
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)


def _corners(ab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four places of the grid around each colour (N, 2), and the share that each has of it."""
    place = np.clip((np.asarray(ab, np.float64) + REACH) / STEP, 0, SIDE - 1)
    low = np.minimum(place.astype(np.int64), SIDE - 2)
    t = place - low
    first, second = low[:, 0] * SIDE + low[:, 1], (low[:, 0] + 1) * SIDE + low[:, 1]
    places = np.stack([first, first + 1, second, second + 1], axis=1)
    near = (1 - t[:, 0], t[:, 0])
    shares = [a * b for a in near for b in (1 - t[:, 1], t[:, 1])]
    return places, np.stack(shares, axis=1).astype(np.float32)
