"""Which ids are one shopper? A union of what was said and seen, the same whatever came first, with limits.

Evidence is a set of links between subjects (`user:...` an account, a loyalty card, an app's id; `session:...` a visit
or device). An account may be linked to an account (said: `identify`), a visit to an account (said, or seen: an event
that carries both). Then

    1  linked accounts are one shopper, named by the lowest of their ids; more than `limit` ids are a crowd (a shared
       terminal, a test account): none of them are merged;
    2  a visit belongs to the one shopper that it is linked to; a visit of two shoppers (a kiosk, a family's tablet)
       belongs to nobody, and what was done there without signing in is nobody's;
    3  `apart` says that two are *not* one, against any evidence: how a wrong merge is undone.

All three look at the whole set, never at its order. Cost: near linear (union-find with path halving).
Not for: guessing from names or addresses; keeping links (`protocols.PeopleStore`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bodega.schema.people import Link

USER, SESSION = "user:", "session:"


@dataclass(frozen=True, slots=True)
class Stitched:
    """Who is who."""

    key_of: Mapping[str, str] = field(default_factory=dict)
    """{id of a user: id that its shopper goes by}, for shoppers of several ids."""
    home_of: Mapping[str, str] = field(default_factory=dict)
    """{id of a visit: id that its shopper goes by}."""
    shared: frozenset[str] = frozenset()
    """Visits of several shoppers."""
    crowds: tuple[tuple[str, ...], ...] = ()
    """Ids that were said to be one, and are too many to be."""

    def key(self, user: str) -> str:
        return self.key_of.get(user, user)


def stitched(links: Iterable[Link], limit: int) -> Stitched:
    """Who is who, by these links.

    >>> found = stitched([Link.of("user:card", "user:ann"), Link.of("session:s", "user:card")], limit=20)
    >>> found.key("card"), found.home_of["s"]
    ('ann', 'ann')
    """
    held = list(links)
    pairs = {(link.left, link.right) for link in held if not link.apart}
    apart = {(link.left, link.right) for link in held if link.apart}
    accounts = [(one[len(USER) :], other[len(USER) :]) for one, other in pairs - apart if one.startswith(USER)]
    key_of, crowds = united(accounts, limit)
    visits = [(one[len(SESSION) :], other[len(USER) :]) for one, other in pairs if one.startswith(SESSION)]
    refused = [(one[len(SESSION) :], other[len(USER) :]) for one, other in apart if one.startswith(SESSION)]
    home_of, shared = homes(visits, refused, key_of)
    return Stitched(key_of, home_of, shared, crowds)


def united(pairs: Iterable[tuple[str, str]], limit: int) -> tuple[dict[str, str], tuple[tuple[str, ...], ...]]:
    """({user: the lowest of its shopper's ids}, crowds) by union-find."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    members: dict[str, list[str]] = {}
    for name in parent:
        members.setdefault(root(name), []).append(name)
    crowds = tuple(sorted(tuple(sorted(names)) for names in members.values() if len(names) > limit))
    kept = {name: min(names) for names in members.values() if len(names) <= limit for name in names}
    return kept, crowds


def homes(
    visits: Iterable[tuple[str, str]], apart: Iterable[tuple[str, str]], key_of: Mapping[str, str]
) -> tuple[dict[str, str], frozenset[str]]:
    """({visit: its shopper}, visits of several shoppers) from (visit, user) pairs.

    A visit that is `apart` from any id of a shopper is apart from the shopper.
    """
    owners: dict[str, set[str]] = {}
    for visit, user in visits:
        owners.setdefault(visit, set()).add(key_of.get(user, user))
    for visit, user in apart:
        owners.get(visit, set()).discard(key_of.get(user, user))
    found = {visit: next(iter(names)) for visit, names in owners.items() if len(names) == 1}
    return found, frozenset(visit for visit, names in owners.items() if len(names) > 1)
