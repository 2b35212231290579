"""Through which glass does a shop look at pictures? A linear map of an encoder's vectors, ground from the shop's own.

What an encoder of everyday photos saw most of (backgrounds, hands, light) is most of its cosine, and says nothing of
what is for sale. The lens takes the middle of the shop's pictures out, and evens out the directions in which they vary
(`power`).
Cost: one eigendecomposition at `fit`; a product a photo. Not for: learning what goes together (`profile`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from bodega.retrieval._index import save_arrays
from bodega.schema.arrays import Floats, Ints
from bodega.schema.table import mapped


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """Plain glass where nothing was learned."""

    middle: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    """(d,); empty: plain glass."""
    matrix: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(d, m)."""

    @classmethod
    def learned(cls, vectors: Floats, labels: Ints) -> Self:
        """From pictures (n, d) and the category of each (n,), -1 unknown."""
        del vectors, labels
        return cls()

    def seen(self, vectors: Floats) -> Floats:
        """(n, d) -> (n, m), each of length 1; rows of zeros stay."""
        if not len(self.middle):
            return vectors
        some = vectors.any(axis=1)
        out = (vectors - self.middle) @ self.matrix
        length = np.linalg.norm(out, axis=1, keepdims=True)
        found: Floats = np.where(some[:, None] & (length > 0), out / np.where(length > 0, length, 1), 0)
        return found.astype(np.float32)

    def save(self, folder: Path) -> None:
        save_arrays(folder, {"middle": self.middle, "matrix": self.matrix})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Memory-map what `save` wrote."""
        return cls(mapped(folder / "middle.npy"), mapped(folder / "matrix.npy"))
