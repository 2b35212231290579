"""Which item next, when likeness costs? Greedy orders of one short list: MMR, DPP, and caps on both.

All functions take the relevance of n items, 0 to 1, best first, and return an order of all of them: nothing is ever
left out, what is too alike only comes later. Ties go to the item that was ahead.

    mmr   (1 - s) relevance - s x likeness to the nearest item above       Carbonell & Goldstein 1998
    dpp   (1 - s) relevance + s x log of what the item adds to the volume  Chen, Zhang & Zhou 2018, greedy MAP

DPP's kernel is q (.8 S + .2 I) q with q = exp((1 - s) relevance / 2s), so that s means the same for both: 0 the plain
order, 1 likeness alone. MMR asks for the one nearest item, DPP for all above together: three items that are each half
alike weigh more than one.
Cost: 50 items .4 ms (mmr), .5 ms (dpp). Not for: long lists (quadratic).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodega.schema.arrays import Doubles, Flags, Floats, Ints, Longs

COUNTED = 0.8
"""Part of the likeness that DPP's kernel keeps off its diagonal. A copy of one item above then costs 1.02 x the
strength (log of 1 - .8^2), as with MMR; with all of it a copy's volume is 0 and its cost without end: the supermarket's
many equal titles lost 2 % of NDCG@10 at strength .05 already, as much as at .3 with MMR (docs/decisions/0026)."""


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` items of one label among the first `within` places; label -1 is never counted."""

    labels: Ints
    """(n,) small integers from -1."""
    most: int
    within: int


class _Left:
    """What may still take a place: the worth of items that are taken, or that the caps keep out for now, is -inf."""

    def __init__(self, caps: Sequence[Cap], n: int) -> None:
        self._caps = caps
        self._out = np.zeros(n)
        """-inf where an item is taken."""
        self._counts = [np.zeros(int(cap.labels.max(initial=-1)) + 1, np.int64) for cap in caps]
        self._full = [np.zeros(n) for _ in caps]
        """-inf where the item's label has as many places as it may have."""

    def best(self, values: Doubles, place: int) -> int:
        """The item for this place; where the caps allow nothing that is left, they allow everything."""
        values = values + self._out
        for cap, full in zip(self._caps, self._full, strict=True):
            if place < cap.within:
                inside = values + full
                values = inside if inside.max() > -np.inf else values
        item = int(values.argmax())
        self._out[item] = -np.inf
        for cap, count, full in zip(self._caps, self._counts, self._full, strict=True):
            label = int(cap.labels[item])
            if label >= 0:
                count[label] += 1
                if count[label] == cap.most:
                    full[cap.labels == label] = -np.inf
        return item


def capped(relevance: Doubles, caps: Sequence[Cap]) -> Longs:
    """By relevance, inside the caps."""
    left = _Left(caps, len(relevance))
    return np.array([left.best(relevance, place) for place in range(len(relevance))], np.int64)


def mmr(relevance: Doubles, alike: Floats, strength: float, caps: Sequence[Cap] = ()) -> Longs:
    """Maximal marginal relevance. `alike` (n, n), 0 to 1.

    >>> alike = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float32)
    >>> mmr(np.array([1.0, 0.9, 0.5]), alike, 0.5).tolist()
    [0, 2, 1]
    """
    n = len(relevance)
    left, order = _Left(caps, n), np.empty(n, np.int64)
    worth = (1 - strength) * relevance
    price = strength * alike.astype(np.float64)
    nearest = np.zeros(n)
    """What the nearest item above costs each."""
    for place in range(n):
        item = order[place] = left.best(worth - nearest, place)
        np.maximum(nearest, price[item], out=nearest)
    return order


def dpp(relevance: Doubles, alike: Floats, strength: float, caps: Sequence[Cap] = ()) -> Longs:
    """The greedy most likely order under a determinantal point process. `alike` (n, n) positive semidefinite.

    >>> alike = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]], np.float32)
    >>> dpp(np.array([1.0, 0.9, 0.5]), alike, 0.5).tolist()
    [0, 2, 1]
    """
    n = len(relevance)
    left, order = _Left(caps, n), np.empty(n, np.int64)
    worth = (1 - strength) * relevance
    kernel = COUNTED * alike.astype(np.float64)
    np.fill_diagonal(kernel, 1)
    adds = np.ones(n)
    """What each item would add: 1 - what the ones above already span of it (d squared in the paper)."""
    spans = np.zeros((n, n))
    """Row i: how much of item i each of the ones above spans (c in the paper)."""
    for place in range(n):
        item = order[place] = left.best(worth + strength * np.log(adds), place)
        new = spans[:, :place] @ spans[item, :place]
        np.subtract(kernel[item], new, out=new)
        new /= adds[item] ** 0.5
        spans[:, place] = new
        adds -= new * new
        np.maximum(adds, 1 - COUNTED, out=adds)  # it is never less but for rounding, and where an item is taken
    return order


def kept_in_place(order: Longs, fixed: Flags) -> Longs:
    """An order of n places in which the items where `fixed` holds stand where they stood.

    `order` names all items that are not fixed, in their new order.
    """
    out: NDArray[np.int64] = np.arange(len(fixed))
    out[~fixed] = order
    return out
