"""What if all shoppers share what is tried? One arm for everybody, block of time after block of time.

Stock that one arm's shoppers buy is gone for the other's; a price seen by half of them is talked of by all. So the
unit is a block of time (`Experiment.by = "time"`), and a block's mean is one value. The first minutes of a block still
show what the one before left behind and are not counted (`burn_in`). Few blocks: a t interval (Welch), read once.
Source: Bojinov, Simchi-Levi & Zhao, "Design and analysis of switchback experiments", Management Science 2023.
"""

from __future__ import annotations

import numpy as np

from bodega.evaluation.experiments.anytime import Effect
from bodega.evaluation.experiments.once import welch
from bodega.schema.arrays import Doubles, Flags, Longs

FEWEST = 5
"""Blocks of each arm below which nothing is said."""


def block_means(values: Doubles, times: Doubles, block_seconds: float, burn_in: float = 0.0) -> tuple[Longs, Doubles]:
    """(numbers of the blocks, mean value of each) of things that happened at `times` (seconds), (n,) both."""
    numbers = np.floor(times / block_seconds).astype(np.int64)
    kept = times - numbers * block_seconds >= burn_in
    blocks, row = np.unique(numbers[kept], return_inverse=True)
    sums = np.bincount(row, weights=values[kept], minlength=len(blocks))
    return blocks, sums / np.maximum(np.bincount(row, minlength=len(blocks)), 1)


def switchback(means: Doubles, treated: Flags, alpha: float = 0.05) -> Effect:
    """The effect over blocks: `means` (m,) of each, and whether it was treated."""
    arm, control = means[treated], means[~treated]
    base = float(control.mean()) if len(control) else 0.0
    if min(len(arm), len(control)) < FEWEST:
        return Effect(float(arm.mean()) - base if len(arm) else 0.0, -np.inf, np.inf, base, len(means))
    found = welch(arm, control, alpha)
    return Effect(found.difference, found.low, found.high, base, len(means))
