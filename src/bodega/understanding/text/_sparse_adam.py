"""How are a few thousand rows of a large table changed, step after step? Adam that touches rows with a gradient only.

The first moment is kept a number, the second a row (all numbers of a row share it): a third less memory traffic, and
the length of a rare word's row does not explode from one step. Deterministic. Not for: dense layers with other shapes.
Paper: Kingma & Ba 2015; row-wise second moment as in Shazeer & Stern 2018 (Adafactor).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bodega.schema.arrays import Floats


class SparseAdam:
    """Adam over the rows of `table` (changed in place), bias-corrected by how often each row was touched."""

    def __init__(self, table: Floats, *, momentum: float = 0.9, memory: float = 0.99) -> None:
        self.table = table
        self._momentum, self._memory = np.float32(momentum), np.float32(memory)
        self._first = np.zeros_like(table)
        self._second = np.zeros(len(table), np.float32)
        self._times = np.zeros(len(table), np.float32)

    def step(self, rows: NDArray[np.integer], gradient: Floats, rate: float) -> None:
        """Move the given rows (each once) against their gradient, (len(rows), d)."""
        self._times[rows] += 1
        times = self._times[rows]
        first = self._first[rows]
        first *= self._momentum
        first += (1 - self._momentum) * gradient
        self._first[rows] = first
        square = np.einsum("ij,ij->i", gradient, gradient) / np.float32(gradient.shape[1])
        second = self._memory * self._second[rows] + (1 - self._memory) * square
        self._second[rows] = second
        size = np.sqrt(second / (1 - self._memory**times)) + np.float32(1e-12)
        first *= (np.float32(rate) / (1 - self._momentum**times) / size)[:, None]
        self.table[rows] -= first
