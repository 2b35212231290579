"""How do stored events become the arrays that models learn from? One streamed pass that codes ids, then vector steps.

A person is coded by the user id, a guest by the session id. Where a feed gives no session, visits are cut from the
person's events at gaps of 30 minutes. Bots and echoes (`bots.py`) are left out and counted. Events of items that the
table does not hold stay in the log with item -1 and are counted: when the item arrives and the log is built again,
they are linked.
Cost: 2-3 s for 1.47 million events beside reading them. Same events, same arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodega.events.bots import echoes, too_fast
from bodega.events.gathering import People, gathered, persons
from bodega.protocols import EventRows
from bodega.schema import EventType, ItemTable, Log
from bodega.schema.arrays import Flags, Ints
from bodega.settings import Ingest

SESSION_GAP = 1_800.0
"""Seconds without an event after which a new visit begins (the usual 30 minutes)."""

_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What `build_log` met: printed by `learn`, asserted by tests."""

    events: int = 0
    """Events read from the store."""
    kept: int = 0
    """Events in the log."""
    unknown_items: int = 0
    """Kept events of items that the catalog does not hold (yet)."""
    unknown_ids: tuple[str, ...] = ()
    """The first few of those items."""
    bots: int = 0
    """Users and guest sessions taken for bots."""
    bot_events: int = 0
    echoes: int = 0
    """Repeats of the same event within a second, left out."""
    users: int = 0
    sessions: int = 0
    cut_sessions: int = 0
    """Sessions cut from gaps because the feed gave none."""
    joined: int = 0
    """Events of guests that belong to a shopper who was signed in on the same visit."""
    withheld: int = 0
    """Events of shoppers who did not agree to learning."""
    types: dict[str, int] = field(default_factory=dict)
    """{event type: kept events}."""


class _Codes:
    """Text -> small integer, in order of first appearance."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}

    def __call__(self, names: Sequence[str]) -> Ints:
        of = self.of
        return np.fromiter((of.setdefault(name, len(of)) for name in names), np.int32, len(names))


def build_log(
    chunks: Iterable[EventRows], items: ItemTable, settings: Ingest, who: People | None = None
) -> tuple[Log, LogFacts]:
    """The log of all events, coded against `items`, and what was met on the way. Chunks come in (time, id) order.

    `who` says which ids are one shopper, and who may be learned from (None: every id is one, and all may).
    """
    people, visits, names, words = _Codes(), _Codes(), _Codes(), _Codes()
    visits(["", ""][:1])  # code 0 stands for "no session given"
    words([""])  # code 0 stands for "no query"
    named = who.persons if who is not None else persons
    parts = [_no_columns(), *(_coded(chunk, (people, visits, names, words), named) for chunk in chunks)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found = gathered(columns["user"], columns["session"], people.of, visits.of, who) if who is not None else None
    if found is not None:
        columns["user"] = found.user
        columns = {name: column[found.keep] for name, column in columns.items()}
    name_of: Ints = columns.pop("name")
    log = Log(**columns, n_users=len(people.of), n_sessions=len(visits.of), queries=tuple(words.of)[1:])
    log, cut = _cut_sessions(log)

    repeats = echoes(log, name_of)
    bots = too_fast(log, settings.bot_events_per_minute)
    by_bot = np.isin(log.user, bots)
    keep = ~(repeats | by_bot)
    known, unknown_ids = _linked(names, name_of[keep], items)
    kept = replace(log.where(keep), item=known)
    facts = LogFacts(
        events=len(log),
        kept=len(kept),
        unknown_items=int(np.count_nonzero((kept.item < 0) & (name_of[keep] != names.of.get("", -1)))),
        unknown_ids=unknown_ids,
        bots=len(bots),
        bot_events=int(by_bot.sum()),
        echoes=int((repeats & ~by_bot).sum()),
        cut_sessions=cut,
        joined=found.joined if found is not None else 0,
        withheld=found.withheld if found is not None else 0,
        types={kind.value: count for code, kind in enumerate(EventType) if (count := int((kept.type == code).sum()))},
    )
    return _compact(kept, facts)


def _coded(
    rows: EventRows,
    codes: tuple[_Codes, _Codes, _Codes, _Codes],
    named: Callable[[Sequence[str], Sequence[str]], list[str]],
) -> dict[str, NDArray[Any]]:
    people, visits, names, words = codes
    return {
        "time": rows.time,
        "type": rows.type,
        "user": people(named(rows.user, rows.session)),
        "session": visits(rows.session) - np.int32(1),
        "item": np.full(len(rows.item), -1, np.int32),
        "name": names(rows.item),
        "quantity": rows.quantity,
        "value": rows.value,
        "query": words(rows.query) - np.int32(1),
        "position": rows.position,
    }


def _no_columns() -> dict[str, NDArray[Any]]:
    whole = ("user", "session", "item", "name", "query", "position")
    columns: dict[str, NDArray[Any]] = {name: np.empty(0, np.int32) for name in whole}
    columns |= {"time": np.empty(0), "type": np.empty(0, np.int8)}
    return columns | {name: np.empty(0, np.float32) for name in ("quantity", "value")}


def _cut_sessions(log: Log) -> tuple[Log, int]:
    """Give every event without a session one: a new visit after each gap in the person's own events."""
    open_rows = np.flatnonzero(log.session < 0)
    given = log.n_sessions - 1  # code 0 was "none"
    if not len(open_rows):
        return replace(log, n_sessions=given), 0
    order = open_rows[np.argsort(log.user[open_rows], kind="stable")]
    user, time = log.user[order], log.time[order]
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (user[1:] != user[:-1]) | (time[1:] - time[:-1] > SESSION_GAP)
    session = log.session.copy()
    session[order] = given + np.cumsum(starts, dtype=np.int32) - 1
    cut = int(starts.sum())
    return replace(log, session=session, n_sessions=given + cut), cut


def _linked(names: _Codes, name_of: Ints, items: ItemTable) -> tuple[Ints, tuple[str, ...]]:
    """Item row of each event (-1 unknown), and the first unknown ids."""
    index = items.index
    row_of = np.fromiter((index.get(name, -1) for name in names.of), np.int32, len(names.of))
    if not len(row_of):
        return np.empty(0, np.int32), ()
    used = np.zeros(len(row_of), np.bool_)
    used[name_of] = True
    unknown = (name for name, row, seen in zip(names.of, row_of, used, strict=True) if seen and row < 0 and name)
    return row_of[name_of], tuple(name for _, name in zip(range(_SAMPLES), unknown, strict=False))


def _compact(log: Log, facts: LogFacts) -> tuple[Log, LogFacts]:
    """Close the gaps that left-out events leave in the codes of users, sessions and queries."""
    user, n_users = _renumbered(log.user, log.n_users)
    session, n_sessions = _renumbered(log.session, log.n_sessions)
    asked = log.query >= 0
    seen = np.zeros(len(log.queries), np.bool_)
    seen[log.query[asked]] = True
    query = np.where(asked, _new_codes(seen)[log.query] if len(seen) else log.query, -1).astype(np.int32)
    queries = tuple(text for text, used in zip(log.queries, seen, strict=True) if used)
    compact = replace(
        log, user=user, session=session, query=query, n_users=n_users, n_sessions=n_sessions, queries=queries
    )
    return compact, replace(facts, users=n_users, sessions=n_sessions)


def _renumbered(codes: Ints, n: int) -> tuple[Ints, int]:
    seen = np.zeros(n, np.bool_)
    seen[codes] = True
    return _new_codes(seen)[codes], int(seen.sum())


def _new_codes(seen: Flags) -> Ints:
    return (np.cumsum(seen, dtype=np.int32) - 1).astype(np.int32)
