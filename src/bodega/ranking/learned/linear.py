"""A weighted sum of standardised features: logistic regression, as it is served.

Answers: how likely is this item?  Needs: a few hundred cases.  Good for: shops with little data, a plain yardstick.
Not for: what depends on something else (a source that is right only for rare items): trees see that.
Cost: one product of a vector and a matrix, 10 us for 500 items.  Relations: fitted by `fitting.logistic`.
Paper: Cox 1958.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from bodega.ranking.learned._arrays import read, write
from bodega.ranking.learned.model import Table
from bodega.schema.arrays import Floats

CLIP = 6.0
"""Standardised features are cut here: a value that training never saw must not outweigh everything."""


@dataclass(frozen=True, eq=False)
class Linear:
    """score = base + sum of weight x clipped (value - mean) / deviation; contributions are those summands."""

    weights: Floats
    mean: Floats
    scale: Floats
    """1 / deviation, 0 for a column that never changed."""
    intercept: Floats
    """(1,)"""
    kind: ClassVar[str] = "logistic"
    exact: ClassVar[bool] = True

    @property
    def base(self) -> float:
        return float(self.intercept[0])

    def score(self, table: Table) -> Floats:
        out: Floats = self.weights @ self.standard(table.values) + self.intercept[0]
        return out

    def contributions(self, table: Table) -> Floats:
        out: Floats = self.standard(table.values).T * self.weights
        return out

    def standard(self, values: Floats) -> Floats:
        """(n_columns, n) standardised and clipped."""
        out: Floats = np.clip((values - self.mean[:, None]) * self.scale[:, None], -CLIP, CLIP)
        return out

    def save(self, folder: Path) -> None:
        write(folder, {name: getattr(self, name) for name in ("weights", "mean", "scale", "intercept")})

    @classmethod
    def load(cls, folder: Path, n_columns: int) -> Self:
        """Raises SnapshotCorrupt for NaN or a wrong shape."""
        shapes = {"weights": (n_columns,), "mean": (n_columns,), "scale": (n_columns,), "intercept": (1,)}
        return cls(**read(folder, shapes))
