"""The verbs of what keeps decisions of people: keys, rules, facts of items, reviews.

Not for: what the shop observes (`stores`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bodega.protocols.stores import Written
from bodega.schema import Rule
from bodega.schema.experiments import Doing, Experiment, ExperimentChange, Exposure, KeptExperiment, State
from bodega.schema.facts import Fact, FactCount, FactDecision, FactKey, FactQuery
from bodega.schema.judgments import Judgment, JudgmentCount, Origin
from bodega.schema.reviews import KeptReview, Review, ReviewSort, ReviewStats, Verdict


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What the store knows of an API key: never the key itself, only its hash."""

    id: str
    label: str
    scopes: tuple[str, ...]
    """Of `search`, `events`, `admin`."""
    created: datetime
    revoked: bool = False


class KeyStore(Protocol):
    """Who may ask? Keys by their hash; a key is shown once, when it is made."""

    def create(self, label: str, scopes: Sequence[str]) -> str:
        """A new key in plain text, shown this once."""
        ...

    def find(self, key: str) -> KeyInfo | None:
        """The key's facts, or None when it is unknown or revoked."""
        ...

    def list(self) -> list[KeyInfo]: ...

    def revoke(self, id: str) -> bool:  # noqa: A002 - the noun of the column
        """Refuse this key from now on; False when there is none (or it was revoked before)."""
        ...


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One line of the audit trail: who made which rule what, and when."""

    id: int
    """Number of the change; the rule that came of it carries it as its version."""
    time: datetime
    who: str
    """Label of the API key, or `cli`."""
    what: str
    """`create`, `change`, `delete` or `undo`."""
    rule: str
    """Id of the rule."""
    before: Rule | None
    after: Rule | None
    undoes: int = 0
    """`undo`: number of the change that was taken back."""


class RuleStore(Protocol):
    """What merchandisers decided, durably, with an audit trail that is never rewritten.

    Contract: a write and its line in the trail are one transaction; an equal rule written again is no change;
    `expected` guards against writing over somebody else's change (0: there must be no such rule yet).
    """

    def list(self) -> list[Rule]:
        """All rules, by id."""
        ...

    def get(self, rule: str) -> Rule | None: ...

    def put(self, rules: Sequence[Rule], *, who: str, expected: int | None = None) -> Sequence[Rule]:
        """Add or replace, all or none; returns them as stored. Raises Stale, LimitError (too many rules)."""
        ...

    def delete(self, rule: str, *, who: str, expected: int | None = None) -> bool:
        """False when there is none. Raises Stale."""
        ...

    def undo(self, change: int, *, who: str) -> RuleChange:
        """Make the rule what it was before that change. Raises Stale when it was changed again since, BadRequest."""
        ...

    def history(self, *, rule: str = "", limit: int = 50, before: int = 0) -> Sequence[RuleChange]:
        """The newest changes first, of this rule where given, older than the change `before` where given."""
        ...

    def cursor(self) -> int:
        """The number of the newest change: cheap to ask, equal while nothing changed."""
        ...


class ExperimentStore(Protocol):
    """What is compared on shoppers, durably, with an audit trail that is never rewritten.

    Contract: a write and its line in the trail are one transaction; only a draft can be changed or deleted; states go
    as `schema.experiments.MOVES` says; what runs never shares buckets of a layer with what is started (Conflict).
    """

    def list(self) -> list[KeptExperiment]:
        """All of them, by id."""
        ...

    def get(self, experiment: str) -> KeptExperiment | None: ...

    def put(self, experiment: Experiment, *, who: str, expected: int | None = None) -> KeptExperiment:
        """Add or replace a draft; an equal one is no change. `expected`: the version it replaces (0: there is none).

        Raises Stale, Conflict (it is no draft any more), LimitError (too many).
        """
        ...

    def move(self, experiment: str, state: State, *, who: str, why: str = "", promoted: str = "") -> KeptExperiment:
        """Start, stop or finish. Raises BadRequest (404, or buckets are taken), Conflict (not from its state)."""
        ...

    def delete(self, experiment: str, *, who: str) -> bool:
        """Remove a draft; False where there is none. Raises Conflict."""
        ...

    def history(self, *, experiment: str = "", limit: int = 50, before: int = 0) -> Sequence[ExperimentChange]:
        """The newest changes first, of this experiment where given, older than the change `before` where given."""
        ...

    def cursor(self) -> int:
        """The number of the newest change: cheap to ask, equal while nothing changed."""
        ...

    def exposures(self, users: Sequence[str], sessions: Sequence[str], since: float) -> Sequence[Exposure]:
        """What the log of answers says these people (and guests of these visits) saw first since then, once for each
        experiment and unit."""
        ...

    def doings(self, since: float) -> Iterator[Doing]:
        """All events since then in order of time, streamed, as experiments read them."""
        ...


class FactStore(Protocol):
    """What was mined of items, and what merchants decided of it, durably.

    Contract: facts are replaced item by item; decisions are touched by nobody but `decide`, so they hold however often
    the catalog is mined. A fact's status is the decision on it, else the one on its value for every item.
    """

    def replace(self, items: Sequence[str] | None, facts: Sequence[Fact]) -> None:
        """These are now all the facts of these items (None: of the whole shop)."""
        ...

    def stream(self) -> Iterator[Fact]:
        """All facts in the order of their keys, whatever was decided (status `mined`)."""
        ...

    def counts(self) -> Sequence[FactCount]:
        """By attribute, in its order."""
        ...

    def decide(self, keys: Sequence[FactKey], accepted: bool | None, *, who: str) -> int:
        """Accept or reject (None: take the decision back); returns how many decisions changed. Items that are touched
        count as changed in the catalog (at most `TOUCHED`), so that every process shows them anew."""
        ...

    def decisions(self) -> Sequence[FactDecision]:
        """All decisions, in the order of their keys."""
        ...

    def cursor(self) -> int:
        """Equal while no decision changed; it grows by one more than the items that were marked as changed."""
        ...

    def list(self, query: FactQuery) -> list[Fact]:
        """Facts with their status, in the order of their keys."""
        ...


class ReviewStore(Protocol):
    """What shoppers wrote of items, durably, each once.

    Contract: a review written again with another content replaces the older one, its place in the order of arrival
    kept; what is flagged or hidden is in no count and on no page unless asked for; pages are without gaps or repeats.
    """

    def upsert(self, reviews: Sequence[Review], *, own: bool = False, now: float | None = None) -> Written:
        """Add or replace. `own`: a review of the same id that another user (or nobody in particular) wrote is left
        alone and named in `conflicts`. `now`: the time of those that name none (seconds since 1970; default: ours)."""
        ...

    def get(self, ids: Sequence[str]) -> dict[str, KeptReview]: ...

    def delete(self, ids: Sequence[str]) -> int:
        """Remove; returns how many were there."""
        ...

    def page(
        self, item: str, *, sort: ReviewSort = "newest", stars: int = 0, limit: int = 10, offset: int = 0
    ) -> tuple[int, list[KeptReview]]:
        """(how many there are, these of them): the shown reviews of an item, of so many stars where asked for."""
        ...

    def stats(self, item: str) -> ReviewStats: ...

    def scan(self) -> Iterator[KeptReview]:
        """All reviews, by item, then by time: streamed, as they were when the scan began."""
        ...

    def texts(self) -> Iterator[tuple[str, str]]:
        """(item id, title and text) of every shown review that has words, by item, then by time."""
        ...

    def flagged(self, *, limit: int = 50, offset: int = 0) -> list[KeptReview]:
        """Those with flags or a verdict, newest first."""
        ...

    def flag(self, flags: Mapping[str, Sequence[str]]) -> int:
        """{review id: why it may be no honest review (empty: nothing)}; returns how many changed."""
        ...

    def decide(self, ids: Sequence[str], verdict: Verdict) -> int:
        """What the merchant decides; returns how many changed."""
        ...

    def of_user(self, users: Sequence[str]) -> list[KeptReview]:
        """Everything these users wrote, oldest first."""
        ...

    def count(self) -> int: ...

    def cursor(self) -> int:
        """The number of the newest change: cheap to ask, equal while nothing changed."""
        ...


class JudgmentStore(Protocol):
    """Who says how well which item answers which query, durably.

    Contract: one opinion a (query, item, origin, who); a newer one takes the place of the older; `replace` makes the
    given ones all that a judge says. Nothing here names a shopper.
    """

    def put(self, judgments: Sequence[Judgment]) -> Written:
        """Add or replace; an equal grade and note given again is no change."""
        ...

    def replace(self, origin: Origin, who: str, judgments: Sequence[Judgment]) -> Written:
        """These are now all opinions of this judge, in one transaction."""
        ...

    def delete(self, keys: Sequence[tuple[str, str, str, str]]) -> int:
        """Remove by key; returns how many were there."""
        ...

    def list(
        self, *, query: str = "", origin: str = "", who: str = "", limit: int = 100, offset: int = 0
    ) -> Sequence[Judgment]:
        """In the order of their keys."""
        ...

    def scan(self) -> Iterator[Judgment]:
        """All of them in the order of their keys, streamed."""
        ...

    def counts(self) -> Sequence[JudgmentCount]:
        """By origin and judge, in that order."""
        ...
