"""How many of a kind may, and must, stand on one page? Articles among products, videos among articles.

A quota bounds a kind on every page of a place: at least so many (while there are any), at most so many (while there is
anything else). The list is walked once in its order: each place takes the first item that its page may still take, and
the last places of a page are kept for what it still owes. Nothing is lost and nothing is added: what a bound keeps back
stands on the next page, so totals, filters and facets stay what they are.
Cost: 1 us a place of the pages up to the one that is shown. Not for: likeness inside a kind (`ranking.diversify`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bodega.schema.arrays import NO_INTS, Ints, Longs


@dataclass(frozen=True, slots=True)
class Quota:
    """Bounds on one kind on each page."""

    least: int = 0
    most: int | None = None
    """None: any number."""


@dataclass(frozen=True, slots=True)
class Arranged:
    """A list inside its quotas."""

    order: Longs
    """(n,) the new order, as places in the old one."""
    lifted: Ints = field(default_factory=lambda: NO_INTS)
    """Places in the old list of what stands further up because its page owed it."""


def arranged(labels: Ints, quotas: Mapping[int, Quota], page: int, reach: int) -> Arranged:
    """The list of n items inside the quotas.

    `labels` (n,) the kind of each, -1 for kinds without a quota; `quotas` by label; `page` places a page; only the
    pages before the place `reach` are arranged, the rest keeps its order behind them.

    >>> arranged(np.array([0, 0, 0, 1, -1], np.int32), {0: Quota(most=1), 1: Quota(least=1)}, 2, 2).order.tolist()
    [0, 3, 1, 2, 4]
    """
    n, labels = len(labels), np.where(np.isin(labels, list(quotas)), labels, -1)
    reach = min(-(-min(reach, n) // page) * page, n)
    queues = {label: np.flatnonzero(labels == label).tolist() for label in (-1, *quotas)}
    heads = dict.fromkeys(queues, 0)
    taken: list[int] = []
    lifted: list[int] = []
    counts: dict[int, int] = {}

    def first(among: list[int]) -> int | None:
        """The kind whose next item stands first."""
        there = [label for label in among if heads[label] < len(queues[label])]
        return min(there, key=lambda label: queues[label][heads[label]], default=None)

    for place in range(reach):
        if place % page == 0:
            counts = dict.fromkeys(queues, 0)
        owed = {
            label: min(quota.least - counts[label], len(queues[label]) - heads[label])
            for label, quota in quotas.items()
            if quota.least > counts[label] and heads[label] < len(queues[label])
        }
        allowed = [label for label in queues if label < 0 or not _full(quotas[label], counts[label])]
        plain = first(allowed)
        pressed = bool(owed) and sum(owed.values()) >= page - place % page
        chosen = first(list(owed)) if pressed else plain
        if chosen is None:  # only what has its most is left: it is shown all the same
            chosen = first(list(queues))
        assert chosen is not None
        row = queues[chosen][heads[chosen]]
        if pressed and chosen != plain:
            lifted.append(row)
        heads[chosen] += 1
        counts[chosen] += 1
        taken.append(row)
    left = np.ones(n, np.bool_)
    left[taken] = False
    order = np.concatenate([np.asarray(taken, np.int64), np.flatnonzero(left)])
    return Arranged(order, np.asarray(lifted, np.int32))


def _full(quota: Quota, count: int) -> bool:
    return quota.most is not None and count >= quota.most
