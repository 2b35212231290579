"""Who pushed what climbed? Items that win places in the lists while their new supporters are too few or too new.

A shop grows by newcomers, too; so what is suspected is not that an item's supporters are new, but that surely more of
them are than of all others'. Three signs, each by its own test on the events since the served snapshot:

    new hands    most supporters without a past: binomial test against half again the shop's usual part, p < 1e-4
    few hands    at least `MANY` events of which three people gave most
    one mind     supporters that do next to nothing else: half of them or more, on at least `FEWEST` people

Only an item that climbs (its part of the exposure grows by more than `CLIMB`) can be suspected: attacks that move
nothing harm nobody. Cost: a sort of the new events. Not for: fake reviews (`understanding.reviews.spam`), bots that are
fast (`events.bots` left them out before). Detecting by target: Mehta & Nejdl 2009, Williams et al. 2007.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import scipy

from bodega.evaluation.splits import interest
from bodega.protocols import EventRows
from bodega.schema import INTEREST, Log
from bodega.schema.arrays import NO_INTS, Doubles, Flags, Ints, Longs
from bodega.schema.nouns import EVENT_CODES

CLIMB = 0.002
"""Part of all exposure that an item must have won."""
CHANCE = 1e-4
USUAL = 1.5
FEWEST = 5
MAINLY = 0.5
"""Part of an item's supporters that must be new: an advertisement brings some, an attack most."""
MANY = 20
FEW = 3
MOST = 0.8
"""Part of an item's events that three people give at most."""
ALONE = 0.5
"""Part of a person's events that go to suspected items."""
_WANTED = frozenset(EVENT_CODES[name] for name in INTEREST)


@dataclass(frozen=True, slots=True, eq=False)
class Attack:
    """What is suspected."""

    items: Ints
    """Rows, most exposure won first."""
    moved: float
    """Part of all exposure that these won."""
    since: float
    """Seconds since 1970: from when on."""


def suspicious(log: Log, won: Doubles, since: float) -> Attack:
    """`won` (n_items,): exposure of the candidate less that of the served snapshot, as parts of the whole."""
    climbed = won > CLIMB
    fresh = interest(log) & (log.time > since)
    rows = np.flatnonzero(fresh)
    if not climbed.any() or not len(rows):
        return Attack(NO_INTS, 0.0, since)
    seen = np.zeros(log.n_users, np.bool_)
    seen[log.user[log.time <= since]] = True
    pairs, count = np.unique(
        np.column_stack([log.item[rows], log.user[rows]]).astype(np.int64), axis=0, return_counts=True
    )
    newcomer = ~seen[pairs[:, 1]] if seen.any() else np.zeros(len(pairs), np.bool_)
    usual = float(newcomer.mean())
    mine = np.bincount(log.user[rows], minlength=log.n_users)
    suspected = [
        item
        for item in np.flatnonzero(climbed).tolist()
        if _pushed(_Support.of(item, pairs, count, newcomer, mine), usual)
    ]
    order = sorted(suspected, key=lambda item: -float(won[item]))
    return Attack(np.array(order, np.int32), float(sum(won[item] for item in order)), since)


@dataclass(frozen=True, slots=True, eq=False)
class _Support:
    """Who wanted one item lately. All arrays (n_people,)."""

    events: Longs
    newcomer: Flags
    alone: Doubles
    """Part of each one's events that this item got."""

    @classmethod
    def of(cls, item: int, pairs: Longs, count: Longs, newcomer: Flags, mine: Longs) -> _Support:
        own = slice(*np.searchsorted(pairs[:, 0], [item, item + 1]).tolist())
        events = count[own].astype(np.int64)
        return cls(events, newcomer[own], events / np.maximum(mine[pairs[own, 1]], 1))


def _pushed(support: _Support, usual: float) -> bool:
    people = len(support.events)
    if people == 0:
        return False
    new = int(support.newcomer.sum())
    expected = min(1.0, USUAL * usual)
    mainly = people >= FEWEST and new >= MAINLY * people
    by_new = mainly and expected < 1 and float(scipy.stats.binom.sf(new - 1, people, max(expected, 0.02))) < CHANCE
    total = int(support.events.sum())
    by_few = total >= MANY and float(np.sort(support.events)[-FEW:].sum()) / total > MOST
    by_mind = people >= 2 * FEWEST and float((support.alone >= ALONE).mean()) >= 0.5 and new > 0
    return bool(by_new or by_few or by_mind)


def accounts_behind(chunks: Iterable[EventRows], items: frozenset[str], since: float) -> tuple[str, ...]:
    """Users without a past before `since` (or with none but these items) whose wishes go to `items` by half or more.

    What the next candidate learns without; the events stay, and a person may decide otherwise.
    """
    first: dict[str, float] = {}
    total: dict[str, int] = {}
    own: dict[str, int] = {}
    for rows in chunks:
        for time, kind, user, item in zip(rows.time.tolist(), rows.type.tolist(), rows.user, rows.item, strict=True):
            if not user:
                continue
            first.setdefault(user, time)
            if time > since and kind in _WANTED:
                total[user] = total.get(user, 0) + 1
                own[user] = own.get(user, 0) + (item in items)
    return tuple(
        sorted(name for name, count in own.items() if count and first[name] > since and count >= ALONE * total[name])
    )
