"""Through which glass does a shop look at pictures? A map of an encoder's vectors, ground from the shop's own pictures.

What an encoder of everyday photos saw most of (backgrounds, hands, light) is most of its cosine, and says nothing
of what is for sale. The lens takes the middle of the shop's pictures out and keeps the directions in which they differ
most (principal components); beside these it sees the few directions that tell the shop's own categories apart
(discriminant analysis, the scatter inside categories shrunk towards a ball). A quarter of a likeness is theirs: on
training photos of clothing precision@10 .734 -> .805 for categories it was ground with, .726 -> .733 for categories
that it never saw; with half of the likeness .83 and .67 (docs/decisions/0040-image-search.md).
Cost: an eigendecomposition at `fit` (2 s); a product a photo. Not for: what goes together (`profile`).
Papers: Fisher 1936; Jegou & Chum 2012 (centring and whitening of image descriptors).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from bodega.retrieval._index import save_arrays
from bodega.schema.arrays import Doubles, Floats, Ints
from bodega.schema.table import mapped

KEPT = 256
"""Directions in which pictures differ that are kept."""
TOLD = 64
"""Directions that tell categories apart, at most; else one fewer than there are categories."""
SHARE = 0.25
"""Part of a likeness that the latter decide: .25 helps unseen categories, too; .4 and more costs them."""
SHRUNK = 0.1
"""How far the scatter inside categories is taken for a ball: .05 to .6 were tried."""
ENOUGH = 64
"""Pictures below which a shop has no middle of its own."""
OF_EACH = 8
"""Pictures of a category from which it takes part."""
READ = 20_000
"""Pictures that are looked at to grind, evenly spread."""


def _none() -> Floats:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """Plain glass where nothing was learned."""

    middle: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    """(d,); empty: plain glass."""
    axes: Floats = field(default_factory=_none)
    """(d, m): the directions in which pictures differ."""
    telling: Floats = field(default_factory=_none)
    """(m, c): of those, the ones that tell categories apart; empty where there are too few."""

    @classmethod
    def learned(cls, vectors: Floats, labels: Ints) -> Self:
        """From pictures (n, d) and the category of each (n,), -1 unknown. Plain below `ENOUGH` pictures."""
        if len(vectors) < ENOUGH:
            return cls()
        some = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), READ)).astype(np.int64))
        rows, own = vectors[some].astype(np.float64), labels[some]
        middle = rows.mean(axis=0)
        apart = rows - middle
        spread, axes = np.linalg.eigh(apart.T @ apart / len(apart))
        order = np.argsort(-spread, kind="stable")[:KEPT]
        axes = axes[:, order[spread[order] > 1e-9 * max(float(spread.max()), 1e-12)]]
        if not axes.shape[1]:
            return cls()
        telling = _telling(apart @ axes, own)
        return cls(middle.astype(np.float32), axes.astype(np.float32), telling.astype(np.float32))

    def seen(self, vectors: Floats) -> Floats:
        """(n, d) -> (n, m + c), each of length 1; rows of zeros stay."""
        if not len(self.middle):
            return vectors
        some = np.asarray(vectors.any(axis=1))
        apart = np.asarray((vectors - self.middle) @ self.axes, np.float32)
        found = _unit(apart)
        if self.telling.size:
            told = _unit(np.asarray(apart @ self.telling, np.float32))
            found = np.hstack([np.float32((1 - SHARE) ** 0.5) * found, np.float32(SHARE**0.5) * told])
        found[~some] = 0
        return found

    def save(self, folder: Path) -> None:
        save_arrays(folder, {"middle": self.middle, "axes": self.axes, "telling": self.telling})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Memory-map what `save` wrote."""
        return cls(*(mapped(folder / f"{name}.npy") for name in ("middle", "axes", "telling")))


def _telling(rows: Doubles, labels: Ints) -> Doubles:
    """(m, c) the directions in which the middles of categories lie apart, measured by the scatter inside them."""
    names, counts = np.unique(labels[labels >= 0], return_counts=True)
    names = names[counts >= OF_EACH]
    width = rows.shape[1]
    if len(names) < 2:
        return np.zeros((0, 0))
    inside, total = np.zeros((width, width)), 0
    for name in names.tolist():
        own = rows[labels == name]
        own = own - own.mean(axis=0)
        inside += own.T @ own
        total += len(own)
    inside /= total
    ball = float(np.trace(inside)) / width
    spread, turned = np.linalg.eigh((1 - SHRUNK) * inside + SHRUNK * ball * np.eye(width))
    even: Doubles = turned / np.sqrt(np.maximum(spread, 1e-12))
    known = rows[np.isin(labels, names)] @ even
    known = known - known.mean(axis=0)
    spread, axes = np.linalg.eigh(known.T @ known / len(known))
    order = np.argsort(-spread, kind="stable")[: min(TOLD, len(names) - 1)]
    found: Doubles = even @ axes[:, order]
    return found


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1), np.float32)
