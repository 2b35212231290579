"""What is known of n items (or queries, or photos), one block a modality? Missing parts are rows of zeros.

    text         the vector of a passage or a query by the shop's encoder        dense
    words        the words themselves                                            sparse (`bags`)
    attributes   brand, category levels, attributes, price step                  sparse (`bags`)
    image        the vector of the first picture by the shop's image encoder     dense
    behaviour    where the item stands among what is wanted together             dense

`strength` says how much stands behind a modality where that differs: how many events, words, values.
Not for: what the numbers mean for the shop (`model`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.schema.arrays import Flags, Floats

MODALITIES = ("text", "words", "attributes", "image", "behaviour")
DENSE = ("text", "image", "behaviour")
SPARSE = ("words", "attributes")
_PLACE = {name: place for place, name in enumerate(MODALITIES)}

Rows = NDArray[np.integer]


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """n rows; a modality that nobody has may be left out of `dense` and `bags`."""

    size: int
    dense: Mapping[str, Floats]
    """{modality: (n, d)}; a row of zeros: not there."""
    bags: Mapping[str, sparse.csr_matrix]
    """{modality: (n, features)}; an empty row: not there."""
    strength: Floats
    """(n, modalities)."""

    @classmethod
    def of(
        cls,
        size: int,
        dense: Mapping[str, Floats],
        bags: Mapping[str, sparse.csr_matrix],
        events: NDArray[np.integer] | None = None,
    ) -> Inputs:
        """`events` (n,): how often anything was done with each item; None: never."""
        strength = np.zeros((size, len(MODALITIES)), np.float32)
        for name, rows in bags.items():
            strength[:, _PLACE[name]] = np.log1p(np.diff(rows.indptr)) / 3
        if events is not None:
            strength[:, _PLACE["behaviour"]] = np.log1p(events) / 3
        return cls(size, dense, bags, strength)

    def __len__(self) -> int:
        return self.size

    @property
    def present(self) -> Flags:
        """(n, modalities): what is there."""
        out = np.zeros((self.size, len(MODALITIES)), np.bool_)
        for name, rows in self.dense.items():
            out[:, _PLACE[name]] = rows.any(axis=1)
        for name, bags in self.bags.items():
            out[:, _PLACE[name]] = np.diff(bags.indptr) > 0
        return out

    def take(self, rows: Rows) -> Inputs:
        """These rows, in this order."""
        return Inputs(
            len(rows),
            {name: held[rows] for name, held in self.dense.items()},
            {name: held[rows] for name, held in self.bags.items()},
            self.strength[rows],
        )

    def only(self, *names: str) -> Inputs:
        """Nothing but these modalities."""
        return Inputs(
            self.size,
            {name: held for name, held in self.dense.items() if name in names},
            {name: held for name, held in self.bags.items() if name in names},
            self.strength,
        )

    def place(self, name: str) -> int:
        return _PLACE[name]
