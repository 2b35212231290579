"""What the cold-start benchmark asks, made of either kind of data: cold items, strangers, a shop on its first day.

*Cold items*: leave-last-out (or the file's own split), only the cases whose answer has at most `RARE` training events.
*Strangers*: shoppers of whom nothing was learned, known by one click. *First day*: the same clicks as product pages of
a shop in which nothing has happened. Every draw is seeded. Not for: figures over all targets (`bench recommend`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from bodega.bench._office import cases as office_cases
from bodega.bench._office import history_log, is_office, read_office
from bodega.bench._sequences import Sequences, read_sequences
from bodega.errors import BadRequest
from bodega.evaluation import Case, check_no_leak, leave_last_out
from bodega.evaluation.splits import sequence_log
from bodega.schema import EVENT_CODES, Context, ItemTable, Log
from bodega.schema.arrays import Flags, Ints

RARE: Final = 5
"""An item with at most this many events is cold."""
CHOSEN_ON: Final = 4_000
"""Validation cases, however few are tested: on 600 of Beauty's no fusion was sure enough to be served."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What may be learned from, and what is asked then."""

    log: Log
    cases: list[Case]
    """At most as many as asked for, a seeded draw; every answer is cold (but for strangers)."""
    among: int
    """How many cases there are in all."""
    cold: Flags
    """(n_items,): at most RARE events in `log`."""
    counts: Ints
    """(n_items,) events in `log`."""


@dataclass(frozen=True, slots=True, eq=False)
class ColdSet:
    """One data set."""

    items: ItemTable
    valid: Asked
    """Any answer: weights come from here, as a shop's do."""
    choosing: Asked
    """Cold answers of the validation split: what a list of rare items is chosen on."""
    test: Asked
    """Cold answers."""
    everyone: Asked
    """The same split, any answer."""
    strangers: Asked
    hides: bool
    """Does nobody take an item twice here? Then what a shopper has is left out of every list."""
    digest: str
    notes: tuple[str, ...]


def read_cold(folder: Path, *, limit: int, seed: int) -> ColdSet:
    """Amazon Office where its three files lie, else sequences. Raises BadFeed, BadRequest, LeakFound."""
    return _office(folder, limit, seed) if is_office(folder) else _sequences(folder, limit, seed)


def first_day(cases: Sequence[Case]) -> list[Case]:
    """The same clicks as product pages: the newest item is the anchor, nothing else is known."""
    made = []
    for case in cases:
        anchor = case.context.history[-1:]
        if not np.isin(anchor, case.relevant).any():
            made.append(Case(Context(place="similar", now=case.context.now, items=anchor), case.relevant))
    return made


def _office(folder: Path, limit: int, seed: int) -> ColdSet:
    data = read_office(folder, seed=seed)
    before, after = history_log(data.valid, targets=False), history_log(data.valid, targets=True)
    known = {row.user for row in data.valid}
    strange = [row for row in data.test if row.user not in known]
    notes = (
        f"items through the catalog import: {data.imported.added:,} of {data.imported.rows:,} rows, "
        f"{data.imported.dead:,} unusable",
        "validation learns from each user's first window of valid.csv, the test from all of it; nothing is masked",
    )
    return ColdSet(
        items=data.items,
        valid=_asked(before, office_cases(data.valid), len(data.items), (CHOSEN_ON, seed), every=True),
        choosing=_asked(before, office_cases(data.valid), len(data.items), (CHOSEN_ON, seed + 4), some=False),
        test=_asked(after, office_cases(data.test), len(data.items), (limit, seed + 1)),
        everyone=_asked(after, office_cases(data.test), len(data.items), (limit, seed + 3), every=True),
        strangers=_asked(after, office_cases(strange, first_only=True), len(data.items), (limit, seed + 2), every=True),
        hides=False,
        digest=data.digest,
        notes=notes,
    )


def _sequences(folder: Path, limit: int, seed: int) -> ColdSet:
    data = read_sequences(folder, seed=seed)
    n_items = len(data.items)
    before, earlier = _last(data, 1)
    after, later = _last(data, 0)
    log, cases = _strangers(data, limit, seed)
    return ColdSet(
        items=data.items,
        valid=_asked(before, earlier, n_items, (CHOSEN_ON, seed), every=True),
        choosing=_asked(before, earlier, n_items, (CHOSEN_ON, seed + 4), some=False),
        test=_asked(after, later, n_items, (limit, seed + 1)),
        everyone=_asked(after, later, n_items, (limit, seed + 3), every=True),
        strangers=_asked(log, cases, n_items, (limit, seed + 2), every=True),
        hides=not data.repeats,
        digest=data.digest,
        notes=("leave-last-out; what a shopper has is left out of every list",),
    )


def _last(data: Sequences, back: int) -> tuple[Log, list[Case]]:
    """The last item but `back` of every shopper, proved free of leaks."""
    log, cases = leave_last_out([own for own in data.sequences if len(own) > back + 1], back=back, mask_seen=False)
    check_no_leak(log, cases)
    return log, cases


def _strangers(data: Sequences, limit: int, seed: int) -> tuple[Log, list[Case]]:
    """At most `limit` shoppers, and a fifth of all, of whom nothing is learned: their first item is known, their second
    is asked for."""
    count = min(limit, max(1, len(data.sequences) // 5))
    drawn = np.random.default_rng([seed, 3]).permutation(len(data.sequences))[:count]
    out = set(drawn.tolist())
    log = sequence_log([own[:-1] for user, own in enumerate(data.sequences) if user not in out])
    now = float(log.time[-1]) + 60.0
    made = []
    for user in drawn.tolist():
        own = data.sequences[user]
        if len(own) > 1 and own[0] != own[1]:
            clicked = Context(
                now=now + 60.0,
                history=own[:1],
                times=np.array([now]),
                actions=np.array([EVENT_CODES["purchase"]], np.int8),
            )
            made.append(Case(clicked, own[1:2]))
    return log, made


def _asked(
    log: Log, cases: list[Case], n_items: int, draw: tuple[int, int], *, every: bool = False, some: bool = True
) -> Asked:
    """At most `limit` cases with a cold answer, everything warm masked; `every`: with any answer, nothing masked;
    `some`: there must be one."""
    limit, seed = draw
    counts = np.bincount(log.item, minlength=n_items).astype(np.int32)
    cold = counts <= RARE
    kept = [case for case in cases if every or cold[case.relevant].all()]
    if some and not kept:
        raise BadRequest("this data has no case whose answer is cold", where="bench cold", allowed="some rare items")
    warm = np.flatnonzero(~cold).astype(np.int32)
    order = np.random.default_rng(seed).permutation(len(kept))[:limit]
    drawn = [kept[row] if every else replace(kept[row], masked=warm) for row in order]
    return Asked(log, drawn, len(kept), cold, counts)
