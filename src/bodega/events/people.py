"""What a store of people must do: who is the same shopper, what they agreed to, who was forgotten.

One of the verbs (`protocols`), beside what it is about. Not for: what links and words mean (`identity`, `consent`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bodega.protocols import Steps
from bodega.schema.people import Link, Word


@dataclass(frozen=True, slots=True)
class PeopleState:
    """How far identities, consents and erasures have come: cheap to ask, equal while nothing changed."""

    changes: int = 0
    """Counts every change."""
    identities: int = 0
    """Number of the newest change of an identity."""
    erasures: int = 0
    """Counts erasures."""
    linked: bool = False
    """Is any identity kept?"""
    spoken: bool = False
    """Is any word about consent kept?"""
    buried: bool = False
    """Was anybody ever forgotten?"""


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """One line of the audit trail: who said that two subjects are one shopper (`link`), or not (`apart`)."""

    id: int
    time: datetime
    who: str
    what: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure, or the end of a retention, removed: rows by table, and which span of time they covered."""

    rows: dict[str, int]
    first: float | None = None
    last: float | None = None
    """Seconds since 1970, of the events among them."""


class PeopleStore(Protocol):
    """Who is the same shopper, what they agreed to, who was forgotten: durably. Subjects are `user:...`, `session:...`.

    Contract: what is said twice counts once; whatever order links and words come in, the same is held in the end; a
    change and its line in the trail are one transaction; nothing of a forgotten subject is left in any table.
    """

    def state(self) -> PeopleState: ...

    def link(self, links: Sequence[Link], *, who: str) -> int:
        """Say that subjects are one, or apart: the newest of both holds. Returns how many that changed."""
        ...

    def links_of(self, subjects: Sequence[str]) -> list[Link]:
        """The links that touch any of the subjects."""
        ...

    def links(self) -> list[Link]: ...

    def trail(self, subjects: Sequence[str] = (), *, since: int = 0, limit: int = 100) -> list[IdentityChange]:
        """The newest changes first: those that touch the subjects (all where none are named), after `since`."""
        ...

    def say(self, words: Sequence[Word]) -> None:
        """Keep the newest word of each subject on each purpose; of two at one moment the denial."""
        ...

    def said(self, subjects: Sequence[str]) -> list[Word]: ...

    def words(self) -> list[Word]: ...

    def users_of(self, sessions: Sequence[str]) -> dict[str, frozenset[str]]:
        """{session: users that events carry beside it}; sessions of guests only are left out."""
        ...

    def sessions_of(self, users: Sequence[str], *, limit: int, guests: bool = False) -> list[str]:
        """The newest sessions that events carry beside these users, at most `limit`; `guests`: only those on which
        something was done without a user, too."""
        ...

    def guests_among(self, sessions: Sequence[str]) -> set[str]:
        """Those of the sessions on which something was done without a user."""
        ...

    def guest_steps(self, sessions: Sequence[str], *, limit: int) -> Steps:
        """The newest steps (at most three times `limit`) that guests took on these visits, oldest first."""
        ...

    def bury(self, subjects: Sequence[str], *, time: float, erasure: str) -> None:
        """Keep the keyed digests of who was forgotten: nothing that they did up to `time` comes in again."""
        ...

    def buried(self, subjects: Sequence[str]) -> dict[str, float]:
        """{subject: time} of those among the keyed digests that were forgotten."""
        ...

    def names(self) -> tuple[list[str], list[str]]:
        """(all ids of users, all ids of sessions) that any row carries."""
        ...

    def erase(self, users: Sequence[str], sessions: Sequence[str]) -> Erased:
        """Remove every row of these users, and of these sessions where nobody was signed in."""
        ...

    def expire(self, before: float) -> Erased:
        """Remove events, letters and decisions older than that (seconds since 1970)."""
        ...

    def claim(self, name: str, now: float, every: float) -> bool:
        """May this process do that chore now? True for one of all that ask, once in `every` seconds."""
        ...

    def put_receipt(self, receipt: str, *, time: float, state: str, payload: bytes) -> None:
        """Keep a receipt, or what became of it."""
        ...

    def receipts(self, *, state: str = "", limit: int = 100) -> list[tuple[str, bytes]]:
        """[(id, payload)], newest first."""
        ...

    def receipt(self, receipt: str) -> bytes | None: ...
