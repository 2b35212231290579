"""What do the rankers' counters know after a restart? What the snapshot holds, and every stored event since.

The counters of a snapshot end with its newest event; what came later was written into memory only. So when a snapshot
is opened the store is read from there on. Events that are acknowledged meanwhile may or may not be among those that the
store gave: they are told apart by what they say, and each counts once.
Cost: 1M events in about 4 CPU seconds, nearly all of it reading them. Not for: late events (older than the snapshot's
newest, stored after it was learned): they count until the next restart, and again after the next `learn`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bodega.engine.learn import Opened
from bodega.protocols import EventRows
from bodega.ranking.learned import Ordering
from bodega.schema import EVENT_CODES, Event

NEAR = 900.0
"""Seconds before the reading began: events that arrive during it are told apart from those this new or newer."""

_Key = tuple[float, int, str, str, str]


@dataclass(slots=True)
class Remembered:
    """What was read, as far as events that arrived meanwhile have to be compared with it."""

    events: int = 0
    seconds: float = 0.0
    newest: set[_Key] = field(default_factory=set)

    def add(self, ordering: Ordering, opened: Opened, arrived: Sequence[Event]) -> None:
        """Write those of the events that came meanwhile and were not read."""
        index = opened.items.index
        for event in arrived:
            key = (event.time.timestamp(), EVENT_CODES[event.type], event.item, event.user, event.session)
            row = index.get(event.item, -1)
            if row >= 0 and key not in self.newest:
                ordering.writes(row, key[1], key[0], math.nan if event.value is None else event.value)


def remember(ordering: Ordering, opened: Opened, chunks: Iterable[EventRows]) -> Remembered:
    """Write every stored event since the snapshot into the counters; nothing where no ranker has any."""
    found = Remembered()
    if ordering.state is None:
        return found
    began, near = time.perf_counter(), time.time() - NEAR
    row_of = opened.items.index.get
    for rows in chunks:
        items = np.fromiter((row_of(name, -1) for name in rows.item), np.int32, len(rows.item))
        ordering.absorbs(items, rows.type, rows.time, rows.value)
        found.events += len(rows.item)
        for at in np.flatnonzero(rows.time >= near).tolist():
            key = (float(rows.time[at]), int(rows.type[at]), rows.item[at], rows.user[at], rows.session[at])
            found.newest.add(key)
    found.seconds = time.perf_counter() - began
    return found
