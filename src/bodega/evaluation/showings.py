"""Which of the items that stood on a page were taken? Cases of pages that were really shown, places taken out.

What a shop's lists showed is what its shoppers could take: a case "what did they take, of everything there is?" says
that the lists were right which happened to be shown, and a candidate that would have shown other things is wrong by
construction. Here only items of one page compete, so the question is fair to every order of them. Places are taken out
by inverse propensity: of what was taken at a place that is looked at twice as often, every second one is a case (drawn
by seed), so that standing above is no merit.

Cost: a sort of the window's impressions. Not for: what no list showed (nothing is known of that here; shoppers are
asked by an interleaving), logs without places.
Paper: Joachims, Swaminathan & Schnabel 2017 (unbiased learning to rank with biased feedback).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bodega.evaluation.case import Case
from bodega.evaluation.splits import CaseOptions, Past, Window, interest
from bodega.schema import EVENT_CODES, Log
from bodega.schema.arrays import Doubles, Floats, Ints, Longs

PAUSE = 2.0
"""Seconds between two showings of a visit from which on they are of two pages."""
ANSWERED = 1_800.0
"""Seconds after a showing within which it is taken."""
LEAST = 0.1
"""Looks below this, beside the first place, are taken for it: single clicks far down must not decide alone."""
FEWEST = 3
"""Items that a page must have shown."""
_SHOWN = EVENT_CODES["impression"]


@dataclass(frozen=True, slots=True, eq=False)
class Showing:
    """A case whose only relevant item stood among `shown`; what else was taken from the page is left out."""

    case: Case
    shown: Ints
    """Rows of items, ascending, the relevant one among them."""

    def masked(self, n_items: int) -> Case:
        """The same case with all that was not shown masked."""
        return replace(self.case, masked=np.setdiff1d(np.arange(n_items, dtype=np.int32), self.shown))


def showings(log: Log, place: str, window: Window, looks: Floats, options: CaseOptions) -> list[Showing]:
    """What was taken of pages that no query asked for, in seeded order; `looks` (n_places,): chance that each place is
    looked at, beside the first."""
    rows = np.flatnonzero((log.type == _SHOWN) & (log.item >= 0) & (log.query < 0) & (log.position >= 0))
    rows = rows[(log.time[rows] >= window.start) & (log.time[rows] < window.end)]
    past, rng = Past(log, options), np.random.default_rng([options.seed, 101])
    least = max(float(looks.min(initial=1.0)), LEAST)
    kept = np.minimum(least / np.maximum(np.asarray(looks, np.float64), LEAST), 1.0)
    found: list[Showing] = []
    pages = list(_pages(log, rows))
    wanted = _Wanted(log)
    for number in rng.permutation(len(pages)):
        found += _of_page(past, place, pages[number], wanted, (kept, rng))
        if options.limit and len(found) >= options.limit:
            return found[: options.limit]
    return found


def _pages(log: Log, rows: Longs) -> Iterator[Longs]:
    """Rows of one page together."""
    order = rows[np.lexsort((log.position[rows], log.time[rows], log.session[rows]))]
    new = (np.diff(log.session[order]) != 0) | (np.diff(log.time[order]) > PAUSE)
    for page in np.split(order, np.flatnonzero(new) + 1):
        if len(page) >= FEWEST:
            yield page


class _Wanted:
    """When was an item wanted on a visit?"""

    def __init__(self, log: Log) -> None:
        self._when: dict[tuple[int, int], list[float]] = {}
        rows = np.flatnonzero(interest(log))
        columns = (log.session[rows].tolist(), log.item[rows].tolist(), log.time[rows].tolist())
        for session, item, time in zip(*columns, strict=True):
            self._when.setdefault((session, item), []).append(time)

    def after(self, session: int, item: int, time: float) -> bool:
        return any(time <= each <= time + ANSWERED for each in self._when.get((session, item), ()))


def _of_page(
    past: Past, place: str, rows: Longs, wanted: _Wanted, chance: tuple[Doubles, np.random.Generator]
) -> list[Showing]:
    log, (kept, rng) = past.log, chance
    session, now, user = int(log.session[rows[0]]), float(log.time[rows[0]]), int(log.user[rows[0]])
    items, first = np.unique(log.item[rows], return_index=True)
    taken = np.array([wanted.after(session, item, now) for item in items.tolist()], np.bool_)
    draws = rng.random(len(items))  # always drawn: what is kept of one page does not move the next
    if not taken.any() or taken.all():
        return []
    at = np.minimum(log.position[rows[first]], len(kept) - 1)
    chosen = np.flatnonzero(taken & (draws < kept[at]))
    if not len(chosen):
        return []
    shown, when = past.shown(user, now, session)
    context = replace(past.context(place, user, now), shown=shown, shown_times=when)
    left = items[~taken]
    return [Showing(Case(context, items[[n]], user=user), np.union1d(left, items[[n]])) for n in chosen.tolist()]
