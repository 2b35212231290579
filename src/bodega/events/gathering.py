"""Whose events are these when a shop learns? Ids of one shopper become one person, and who did not agree is left out.

The log is coded first (one number a person, guests by their visit) and regrouped here with array steps: a visit whose
events belong to one shopper gives its guest events to that shopper, linked accounts were coded as one already. Then
the rows of persons who did not agree to `learning` go, and those that were kept without an id.
Cost: .15 s a million events; nothing but one pass over the visits where nobody spoke about consent and nothing is
linked. The same links, words and events give the same codes. Not for: one shopper at request time (`engine.privacy`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bodega.events.consent import NOBODY, standing
from bodega.events.identity import SESSION, USER, Stitched
from bodega.schema.arrays import Flags, Ints
from bodega.schema.people import Link, Word
from bodega.settings import Privacy

GUEST = "\0"
"""How the name of a guest begins among the names of persons; the visit's id follows."""


@dataclass(frozen=True, slots=True)
class People:
    """What learning must know of who is who and who agreed."""

    settings: Privacy = field(default_factory=Privacy)
    who: Stitched = field(default_factory=Stitched)
    links: Sequence[Link] = ()
    words: Sequence[Word] = ()

    def persons(self, users: Sequence[str], sessions: Sequence[str]) -> list[str]:
        """The names that the persons of these rows are coded by."""
        key_of = self.who.key_of
        if key_of:
            users = [key_of.get(user, user) for user in users]
        return persons(users, sessions)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The persons of the rows, which rows may be learned from, and how many were regrouped or left out."""

    user: Ints
    keep: Flags
    joined: int = 0
    withheld: int = 0


def persons(users: Sequence[str], sessions: Sequence[str]) -> list[str]:
    """The user of each row, or the visit of a guest."""
    return [user or f"{GUEST}{session}" for user, session in zip(users, sessions, strict=True)]


def gathered(user: Ints, session: Ints, persons: dict[str, int], visits: dict[str, int], who: People) -> Gathered:
    """Regroup coded rows: `user` and `session` are codes (-1: no visit), `persons` and `visits` name them.

    `visits` counts from 1, as `build_log` codes them; code 0 there is "no visit". Both grow by those who are linked and
    did nothing: two visits of one shopper are one person even where that shopper never acted under the own id.
    """
    for link in who.links:
        for side in (link.left, link.right):
            kind, _, name = side.partition(":")
            held, key = (visits, name) if kind == "session" else (persons, who.who.key(name))
            held.setdefault(key, len(held))
    names = list(persons)
    home, owner = np.arange(len(names), dtype=np.int32), np.full(len(visits), -1, np.int32)
    joined = 0
    if who.settings.stitch:
        home, owner = _homes(user, session, (persons, visits), who)
        joined = int(np.count_nonzero(home[user] != user)) if len(user) else 0
    user = home[user] if len(user) else user
    owner_of = {name: int(owner[code - 1]) for name, code in visits.items() if code and owner[code - 1] >= 0}
    agreed = _agreed(names, home, owner_of if who.words else {}, who)
    keep = agreed[user] if len(user) else np.zeros(0, np.bool_)
    return Gathered(user, keep, joined, int(np.count_nonzero(~keep)))


def _homes(
    user: Ints, session: Ints, codes: tuple[Mapping[str, int], Mapping[str, int]], who: People
) -> tuple[Ints, Ints]:
    """(for each person the person it is, for each visit its one shopper or -1).

    The guest of a visit of exactly one shopper is that shopper.
    """
    persons, visits = codes
    home, owner = np.arange(len(persons), dtype=np.int32), np.full(len(visits), -1, np.int32)
    guest_of = np.full(len(visits), -1, np.int32)
    is_guest = np.zeros(len(persons), np.bool_)
    for name, code in persons.items():
        if name.startswith(GUEST):
            is_guest[code] = True
            guest_of[visits[name[1:]] - 1] = code
    seen = (session >= 0) & ~is_guest[user] if len(user) else np.zeros(0, np.bool_)
    said = [_codes(link, persons, visits, who) for link in who.links if link.left.startswith(SESSION)]
    told = np.array([pair for pair, apart in said if pair is not None and not apart], np.int64).reshape(-1, 2)
    refused = {pair for pair, apart in said if pair is not None and apart}
    pairs = np.unique(np.concatenate([told, np.column_stack([session[seen], user[seen]]).astype(np.int64)]), axis=0)
    if refused:
        pairs = pairs[[tuple(pair) not in refused for pair in pairs.tolist()]]
    owners = np.bincount(pairs[:, 0], minlength=len(visits))
    sure = pairs[owners[pairs[:, 0]] == 1]
    owner[sure[:, 0]] = sure[:, 1]
    joined = sure[guest_of[sure[:, 0]] >= 0]
    home[guest_of[joined[:, 0]]] = joined[:, 1]
    return home, owner


def _codes(
    link: Link, persons: Mapping[str, int], visits: Mapping[str, int], who: People
) -> tuple[tuple[int, int] | None, bool]:
    """((visit, person) of a link, apart); None where either did nothing."""
    visit = visits.get(link.left[len(SESSION) :])
    person = persons.get(who.who.key(link.right[len(USER) :]))
    return (None if visit is None or person is None else (visit - 1, person)), link.apart


def _agreed(names: Sequence[str], home: Ints, owner_of: Mapping[str, int], who: People) -> Flags:
    """May what this person did be learned from? (len(names),)."""
    default = who.settings.learning == "granted"
    agreed = np.full(len(names), default, np.bool_)
    for code, name in enumerate(names):
        if name.startswith(GUEST + NOBODY):
            agreed[code] = False
    if who.words:
        said: dict[int, list[Word]] = {}
        code_of = {name: code for code, name in enumerate(names)}
        for word in who.words:
            kind, _, name = word.subject.partition(":")
            own = code_of.get(GUEST + name if kind == "session" else who.who.key(name), -1)
            person = owner_of.get(name, own) if kind == "session" else own
            if person >= 0:
                said.setdefault(int(home[person]), []).append(word)
        for person, words in said.items():
            agreed[person] = standing(words, who.settings).learning
    return agreed
