"""What does a score promise? Scores become probabilities by isotonic regression on cases the model never saw.

Kept as knots (score, probability) between which it is straight: monotone, so the order stays the model's.
Cost: one `interp`. Not for: absolute truth where what is shown changes what is taken.
Papers: Zadrozny & Elkan 2002 (isotonic); Platt 1999 (the fallback with few positives: a sigmoid, stored as knots too).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from bodega.errors import SnapshotCorrupt
from bodega.ranking.learned._arrays import read, write
from bodega.schema.arrays import Doubles, Floats

KNOTS: Final = 200
"""At most this many."""

FEWEST: Final = 200
"""Below this many positives a sigmoid with two numbers is all that can be known."""


def _sigmoid_knots() -> NDArray[np.float32]:
    return np.linspace(-12, 12, 97, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Straight lines between knots; constant beyond them. The default is the plain sigmoid."""

    at: Floats = field(default_factory=_sigmoid_knots)
    chance: Floats = field(default_factory=lambda: (1 / (1 + np.exp(-_sigmoid_knots()))).astype(np.float32))

    def probability(self, score: Floats) -> Floats:
        """Chance of each score, 0 to 1."""
        return np.interp(score, self.at, self.chance).astype(np.float32)

    @classmethod
    def fit(cls, score: Floats, happened: Floats, weight: Floats) -> Self:
        """All (n,): scores of held-out rows, 1 where it was taken, how many rows each stands for."""
        if not len(score) or not (happened > 0).any():
            return cls()
        if np.count_nonzero(happened > 0) < FEWEST:
            return cls._platt(score.astype(np.float64), happened.astype(np.float64), weight.astype(np.float64))
        order = np.argsort(score, kind="stable")
        means, weights, ats = _pooled(score[order], happened[order], weight[order])
        keep = np.unique(np.linspace(0, len(means) - 1, min(KNOTS, len(means))).astype(np.int64))
        del weights
        at = np.maximum.accumulate(ats[keep].astype(np.float32))
        return cls(at, means[keep].astype(np.float32))

    @classmethod
    def _platt(cls, score: Doubles, happened: Doubles, weight: Doubles) -> Self:
        """Newton's method for the two numbers of a sigmoid; Platt's smoothed targets keep it from 0 and 1."""
        positive, negative = (weight * happened).sum(), (weight * (1 - happened)).sum()
        target = np.where(happened > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
        mean, deviation = float(np.average(score, weights=weight)), float(score.std()) or 1.0
        x = (score - mean) / deviation
        slope, shift = 0.0, float(np.log((positive + 1) / (negative + 1)))
        for _ in range(50):
            p = 1 / (1 + np.exp(-np.clip(slope * x + shift, -30, 30)))
            curve, gap = weight * p * (1 - p), weight * (target - p)
            hessian = np.array([[curve @ (x * x) + 1e-3, curve @ x], [curve @ x, curve.sum() + 1e-9]])
            step = np.linalg.solve(hessian, np.array([gap @ x - 1e-3 * slope, gap.sum()]))
            slope, shift = slope + float(step[0]), shift + float(step[1])
            if np.abs(step).max() < 1e-8:
                break
        at = np.linspace(score.min(), score.max() + 1e-6, 64)
        chance = 1 / (1 + np.exp(-np.clip(max(slope, 0.0) * (at - mean) / deviation + shift, -30, 30)))
        return cls(at.astype(np.float32), chance.astype(np.float32))

    def save(self, folder: Path) -> None:
        write(folder, {"calibration.at": self.at, "calibration.chance": self.chance})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises SnapshotCorrupt for NaN, or chances that are none."""
        held = read(folder, {"calibration.at": (None,), "calibration.chance": (None,)})
        at, chance = held["calibration.at"], held["calibration.chance"]
        if len(at) != len(chance) or not len(at) or (np.diff(at) < 0).any() or (np.diff(chance) < 0).any():
            raise SnapshotCorrupt(
                "a calibration cannot be used",
                where=str(folder / "calibration.at.npy"),
                allowed="rising knots, one chance each",
                got=f"{len(at)} knots, {len(chance)} chances",
                next="bodega learn",
            )
        return cls(at, np.clip(chance, 0, 1))


def _pooled(score: Floats, happened: Floats, weight: Floats) -> tuple[Doubles, Doubles, Doubles]:
    """Pool adjacent violators of ascending scores: (mean of each block, its weight, its mean score), means rising."""
    blocks: list[list[float]] = []
    ends = np.flatnonzero(np.diff(score, append=np.inf) > 0) + 1  # equal scores are one block from the start
    starts = np.concatenate([[0], ends[:-1]])
    total = np.add.reduceat(weight.astype(np.float64), starts)
    taken = np.add.reduceat((weight * happened).astype(np.float64), starts)
    where = np.add.reduceat((weight * score).astype(np.float64), starts)
    for size, hits, place in zip(total.tolist(), taken.tolist(), where.tolist(), strict=True):
        blocks.append([size, hits, place])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][0] >= blocks[-1][1] * blocks[-2][0]:
            size, hits, place = blocks.pop()
            last = blocks[-1]
            last[0], last[1], last[2] = last[0] + size, last[1] + hits, last[2] + place
    held = np.array(blocks)
    return held[:, 1] / held[:, 0], held[:, 0], held[:, 2] / held[:, 0]
