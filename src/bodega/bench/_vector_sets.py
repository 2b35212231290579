"""Vectors that nobody had to learn, for measuring an index: without structure, and with that of a real encoder.

`clustered` imitates what encoders of products give: groups of unequal size within larger ones, and variance that falls
off from direction to direction. Not for: claims about a real encoder (those are measured on its own vectors).
"""

from __future__ import annotations

import numpy as np

from bodega.schema.arrays import Floats

LARGE = 40
"""Groups of groups."""
A_GROUP = 200
"""Rows in a group, on average."""


def directions(rng: np.random.Generator, count: int, dimensions: int) -> Floats:
    """Uniform on the sphere, (count, dimensions): the hardest case, nothing is near anything."""
    return _unit(rng.standard_normal((count, dimensions), np.float32))


def clustered(count: int, dimensions: int, questions: int, seed: int) -> tuple[Floats, Floats]:
    """(rows, questions), both drawn from the same groups."""
    rng = np.random.default_rng(seed)
    groups = max(50, count // A_GROUP)
    large = rng.standard_normal((LARGE, dimensions), np.float32)
    middle = 0.8 * large[rng.integers(0, LARGE, groups)] + 0.8 * rng.standard_normal((groups, dimensions), np.float32)
    falling = (1 / np.sqrt(np.arange(1, dimensions + 1))).astype(np.float32)
    turned = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))[0].astype(np.float32)
    size = rng.pareto(1.2, groups) + 0.2

    def draw(rows: int) -> Floats:
        chosen = middle[rng.choice(groups, rows, p=size / size.sum())]
        chosen += np.float32(0.6) * rng.standard_normal((rows, dimensions), np.float32)
        return _unit((chosen * falling) @ turned)

    return draw(count), draw(questions)


def _unit(rows: Floats) -> Floats:
    made: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made
