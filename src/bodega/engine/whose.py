"""Who is behind an id, and which words bind them? The parts of privacy that need no store.

Not for: finding out (`privacy.py`), or what words mean (`events.consent`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodega.events.identity import USER
from bodega.protocols import EventRows, Steps
from bodega.schema.people import Link, Word


@dataclass(frozen=True, slots=True)
class Person:
    """Who is behind an id: all ids of the shopper (the first is the key), or () for a guest."""

    users: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()
    shared: bool = False
    """A visit of several shoppers."""

    @property
    def key(self) -> str:
        return self.users[0] if self.users else ""


def accounts(link: Link) -> bool:
    """Does this link say of two accounts that they are one person's?"""
    return link.left.startswith(USER) and not link.apart


def rows_where(rows: EventRows, keep: NDArray[np.bool_]) -> EventRows:
    """The rows where `keep` is true."""
    return rows_at(rows, np.flatnonzero(keep))


def rows_at(rows: EventRows, at: NDArray[np.integer[Any]]) -> EventRows:
    """The rows at these places, in their order."""
    kept = at.tolist()
    return EventRows(
        time=rows.time[at],
        type=rows.type[at],
        user=[rows.user[row] for row in kept],
        session=[rows.session[row] for row in kept],
        item=[rows.item[row] for row in kept],
        query=[rows.query[row] for row in kept],
        quantity=rows.quantity[at],
        value=rows.value[at],
        position=rows.position[at],
    )


def is_others(person: Person, visit: Person) -> bool:
    """Does this visit belong to somebody else, too?"""
    return visit.shared or visit.key not in ("", person.key)


def words_of(user: str, person: Person, visit: Person) -> tuple[Word, ...]:
    """What holds for this user on this visit: what others said on a visit of theirs does not bind who is signed in."""
    return person.words if user and is_others(person, visit) else (*person.words, *visit.words)


def merged(parts: Sequence[Steps]) -> Steps:
    """All steps in order of time."""
    rows = [row for part in parts for row in zip(part.time, part.code, part.item, part.query, part.value, strict=True)]
    rows.sort(key=lambda row: (row[0], row[1], row[2], row[3]))
    time, code, item, query, value = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return Steps(list(time), list(code), list(item), list(query), list(value))
