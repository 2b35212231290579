"""The verbs: what each exchangeable part must do. A part fits when it passes `bodega.testing`'s contract checks.

Sources and stages compute on arrays and know no store; stores keep bytes and know no model; `wiring` picks one of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bodega.schema import EVENT_CODES, Candidates, Context, DeadLetter, Event, Item, ItemTable, Rule, World
from bodega.schema.facts import Fact, FactCount, FactDecision, FactKey, FactQuery
from bodega.schema.people import Word
from bodega.schema.reviews import KeptReview, Review, ReviewSort, ReviewStats, Verdict


@runtime_checkable
class Source(Protocol):
    """Which few hundred items could be right? One idea, one file in `retrieval/`, one name everywhere.

    Contract: unknown shopper, unknown item, empty history or empty query give no candidates (or popular ones),
    never an exception; an item the source knows nothing about scores NaN; the same context gives the same answer
    whatever was asked before; `retrieve(context, k)` are the k best of `score(context, all items)`, best first,
    without repeats, all finite; ties are broken by the lower item index.
    """

    name: str

    def fit(self, world: World) -> Self:
        """Learn from the world; returns itself. Same world, same result, whatever the number of threads."""
        ...

    def retrieve(self, context: Context, k: int) -> Candidates:
        """At most k candidates, best first, with one score column named `self.name`."""
        ...

    def score(self, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """This source's score of the given items, shape (len(items),); NaN where it has no opinion."""
        ...

    def save(self, folder: Path) -> None:
        """Write flat arrays and JSON into the (existing, empty) folder: equal models give equal bytes, never pickle."""
        ...

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        """Memory-map what `save` wrote."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A source that can tell which of the seeds led it to an item."""

    def because(self, context: Context, items: NDArray[np.int32], limit: int) -> NDArray[np.int32]:
        """For each item the seeds (of anchors or history) that gave it its score: (len(items), limit).

        Strongest first; -1 where there are fewer.
        """
        ...


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """Which encoder is it? Shown wherever its vectors are used, and written into every snapshot that holds them."""

    name: str
    """E.g. `static`, `e5-small`, `minilm-l6`, `hub:BAAI/bge-small-en-v1.5`, `endpoint:text-embedding-3-small`."""
    dimensions: int
    digest: str
    """SHA-256 of the weights (first 16 hex digits); "" where they lie behind an endpoint."""
    languages: tuple[str, ...] = ("en",)
    origin: str = ""
    """Where the weights come from, for people: "learned from this shop's catalog and clicks", a package, a hub name."""


class Encoder(Protocol):
    """What do these texts mean, as vectors? Near in meaning = near in direction.

    Contract: rows have length 1 (float32), a text without any known word gives a row of zeros, the same text gives the
    same row whatever else is in the batch (to 1e-5), never an exception for any text; hostile length is cut.
    """

    info: EncoderInfo

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        """(len(texts), info.dimensions); `query` says that the texts are questions, where the encoder cares."""
        ...


Pixels = NDArray[np.uint8]
"""One picture as encoders see it: (height, width, 3), red, green and blue, upright, nothing transparent left."""


class ImageEncoder(Protocol):
    """What do these pictures show, as vectors? Near in looks = near in direction. The twin of `Encoder`.

    Contract: rows have length 1 (float32), a picture without any content (one colour) gives some row and never NaN, the
    same picture gives the same row whatever else is in the batch (to 1e-5), any height and width from 1 on is taken.
    """

    info: EncoderInfo

    def encode(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(len(images), info.dimensions)."""
        ...


class PictureVectors(Protocol):
    """What the picture job knows of the pictures that items name: one vector each, kept until the encoder changes."""

    @property
    def info(self) -> EncoderInfo | None:
        """The encoder; None where no picture was ever looked at."""
        ...

    def of(self, references: Sequence[str]) -> NDArray[np.float32]:
        """(len(references), info.dimensions) for entries of `Item.images`; rows of zeros for what was not read."""
        ...


class Stage(Protocol):
    """In what order? Takes candidates, returns candidates (fewer, or in another order, with `score` set)."""

    def rank(self, context: Context, candidates: Candidates) -> Candidates: ...


class Progress(Protocol):
    """How long work tells where it is. `NoProgress` is silent; the command line draws bars with rich."""

    def start(self, task: str, total: float | None = None) -> None: ...

    def advance(self, amount: float = 1.0) -> None: ...

    def finish(self) -> None: ...


class NoProgress:
    """A `Progress` that says nothing."""

    def start(self, task: str, total: float | None = None) -> None:
        del task, total

    def advance(self, amount: float = 1.0) -> None:
        del amount

    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Training:
    """What a fit of minutes may use beside the world. None of it may change what is learned, but for `previous`:
    whoever starts warm says so in its `notes`."""

    progress: Progress = field(default_factory=NoProgress)
    checkpoint: Path | None = None
    """A folder of its own, where a fit that was killed finds what it had done; None: it begins anew."""
    previous: Path | None = None
    """What `save` wrote when the last snapshot was learned: a warm start. None: begin from nothing."""
    known: ItemTable | None = None
    """The items of `previous`, in its order."""


@runtime_checkable
class Trainable(Protocol):
    """A source whose fit takes minutes: `learn` sets `training` before it."""

    training: Training


@dataclass(frozen=True, slots=True)
class Written:
    """What a store did with a batch. Everything counted here is durable: it survives kill -9 and power loss."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    """Delivered before with the same content: counted once."""
    conflicts: tuple[str, ...] = ()
    """Ids that were delivered before with *another* content: refused, not stored."""
    repeated: tuple[str, ...] = field(default=(), compare=False)
    """Ids of events that were stored before this batch with the same content (`unchanged`): counters hold them."""
    withheld: int = 0
    """Events that may not be kept: their shopper did not agree, or was forgotten since."""


@dataclass(frozen=True, slots=True)
class Told:
    """One record of `News`."""

    kind: int
    """See `bodega.engine.hearing`."""
    body: bytes


class News(Protocol):
    """What other processes of the same shop did a moment ago. Everything told is durable before it is told.

    Contract: what one process told before an answer is seen by every other one before its next answer; a record is
    never read twice, in part, or by who told it; whoever cannot be given everything any more is told so.
    """

    def tell(self, kind: int, body: bytes) -> None:
        """When this returns, every other process finds it `waiting`."""
        ...

    def waiting(self) -> bool:
        """Is there anything that was not read yet? Asked before every answer: some tenths of a microsecond."""
        ...

    def read(self) -> Sequence[Told] | None:
        """What others told since the last call, oldest first; None where some of it is lost."""
        ...

    def close(self) -> None: ...


class CatalogStore(Protocol):
    """What is for sale, durably. Order of first arrival is kept: it becomes the item index."""

    def upsert(self, items: Sequence[Item]) -> Written: ...

    def delete(self, ids: Sequence[str]) -> int:
        """Remove; returns how many were there."""
        ...

    def get(self, ids: Sequence[str]) -> dict[str, Item]: ...

    def scan(self) -> Iterator[Item]:
        """All items in order of first arrival, streamed."""
        ...

    def count(self) -> int: ...

    def changes(self, since: int) -> tuple[int, list[tuple[str, Item | None]]]:
        """(new cursor, [(id, item or None when deleted)]) after the cursor `since` (0 = from the start)."""
        ...

    def cursor(self) -> int:
        """The cursor of the newest change."""
        ...


@dataclass(frozen=True, slots=True)
class EventRows:
    """A chunk of stored events as plain columns (text ids), in (time, id) order. All lists have the same length."""

    time: NDArray[np.float64]
    type: NDArray[np.int8]
    user: list[str]
    session: list[str]
    item: list[str]
    query: list[str]
    quantity: NDArray[np.float32]
    value: NDArray[np.float32]
    position: NDArray[np.int32]


@dataclass(frozen=True, slots=True, order=True)
class Offset:
    """How far a stream is stored: everything in this partition before (`position`, `minor`) is."""

    stream: str
    """Which stream, for which group: `kafka:clicks?group=bodega`."""
    partition: int
    """0 where the stream has none (Redis)."""
    position: int
    """Kafka: the offset to read next. Redis: the milliseconds of the id to read next."""
    minor: int = 0
    """Redis: the number of that id inside its millisecond."""
    anew: bool = False
    """Written even where it lies before what is stored: the stream was made anew and counts from its beginning."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message of a stream, as it came."""

    value: bytes
    place: str
    """Where it lies: `3@1047` (Kafka: partition, offset), `1795344824503-0` (Redis)."""
    time: float
    """When the broker took it, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What one look at a stream brought."""

    records: Sequence[Record]
    offsets: Sequence[Offset]
    """How far the stream is stored once these records are."""


class Stream(Protocol):
    """A log of events that others write, read by one member of a group.

    Contract: every record is polled by some member of the group at least once, whatever member dies when; a record that
    was polled and not committed is polled again, by this or another member; a member starts where the *store* says it
    is (`EventStore.offsets`), not where the broker believes. Calls come from one thread.
    """

    name: str
    """What the store knows it by: `kafka:clicks?group=bodega`."""

    def poll(self, limit: int, seconds: float) -> Polled:
        """At most `limit` new records; waits up to `seconds` for the first. Raises StreamFailed."""
        ...

    def commit(self, polled: Polled) -> None:
        """These are stored: tell the broker. Losing this call loses nothing."""
        ...

    def lag(self) -> dict[int, int]:
        """{partition: records that are not stored yet}, of the partitions this member reads. Raises StreamFailed."""
        ...

    def replay(self, start: str, *, limit: int = 1_000) -> Iterator[Sequence[Record]]:
        """Records from `start` to where the stream ends now, outside of the group: nobody's place changes.

        `start`: `earliest`, a time (ISO 8601), or a place as dead letters name it. Raises BadRequest, StreamFailed.
        """
        ...

    def source(self, record: Record) -> str:
        """What a dead letter says of where a record lies."""
        ...

    def close(self) -> None: ...


class Publisher(Protocol):
    """Writes into a stream."""

    def publish(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """(key, value) each; on the broker when this returns. One key keeps its order. Raises StreamFailed."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Along:
    """What a store keeps in the same transaction as a batch of events: all of it, or nothing of either."""

    offsets: Sequence[Offset] = ()
    letters: Sequence[DeadLetter] = ()
    conflict: Callable[[Event], DeadLetter] | None = None
    """Makes the dead letter of an event whose id was delivered before with another content."""
    said: Sequence[tuple[int, Sequence[Word]]] = ()
    """(events of the batch before it, what was said about consent then): kept like `PeopleStore.say` does."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The newest doings of one shopper as plain columns, oldest first: what a state is made of. Equal lengths."""

    time: list[float] = field(default_factory=list)
    """Seconds since 1970."""
    code: list[int] = field(default_factory=list)
    """See `schema.EVENT_CODES`."""
    item: list[str] = field(default_factory=list)
    query: list[str] = field(default_factory=list)
    value: list[float | None] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        """The same of whole events."""
        rows = [(one.time.timestamp(), EVENT_CODES[one.type], one.item, one.query, one.value) for one in events]
        return cls(*(list(column) for column in zip(*rows, strict=True))) if rows else cls()


Person = tuple[str, str]
"""Whose state: ("user", id), or ("session", id) of a guest."""


class StateLost(Exception):
    """The server of shared states does not answer, or answers nonsense: read the store."""


@dataclass(frozen=True, slots=True)
class Caught:
    """What others have taken in of one shopper."""

    version: str
    """Handed in with the next question."""
    steps: tuple[Steps, ...] = ()
    whole: bool = False
    """Is that everything? Else it is what came since the version that was handed in."""
    missing: bool = False
    """Nothing is kept there: read the store, then `keep`."""


class StateStore(Protocol):
    """The shoppers' states where several servers share them. Each server keeps what it knows, and asks what is new.

    Contract: what one server told before an answer is caught by every other one before its next answer; whatever is
    told twice, or in another order, gives the same state; whoever cannot vouch for that raises StateLost.
    """

    def tell(self, steps: Mapping[Person, Steps]) -> None:
        """These are durable. Never raises: a server that could not be told is mended before it is asked again."""
        ...

    def catch(self, asked: Mapping[Person, str]) -> dict[Person, Caught]:
        """What is new since these versions ("": nothing is known): one round trip. Raises StateLost."""
        ...

    def keep(self, person: Person, steps: Steps, version: str) -> Caught:
        """Leave everything the store knows (read after `version` was caught) for others; returns all there is now."""
        ...

    def forget(self, people: Sequence[Person] = ()) -> None:
        """Drop what is kept of them, or (of nobody in particular) of all."""
        ...

    def close(self) -> None: ...


class EventStore(Protocol):
    """What happened, durably and once. When `append` returns, the batch is on disk (one transaction)."""

    def append(self, events: Sequence[Event], *, along: Along | None = None) -> Written: ...

    def scan(self, *, chunk: int = 100_000, since: int | None = None) -> Iterator[EventRows]:
        """All events in (time, id) order, streamed in chunks; only those from `since` on (microseconds since 1970)."""
        ...

    def recent(self, *, user: str, session: str, limit: int) -> list[Event]:
        """The newest `limit` events of this user or this session, oldest first."""
        ...

    def submit(self, events: Sequence[Event], *, along: Along | None = None) -> Future[Written]:
        """Like `append`, without waiting: many callers share one transaction (group commit)."""
        ...

    def steps(self, *, user: str, session: str, limit: int) -> Steps:
        """What this user did, or (without a user) this session as a guest: the newest `limit` of each of three kinds:
        what tells of interest, what was shown, what was searched for."""
        ...

    def since(self, time: float, *, chunk: int = 100_000) -> Iterator[EventRows]:
        """The events later than `time` (seconds since 1970), in (time, id) order, streamed in chunks."""
        ...

    def offsets(self, stream: str) -> dict[int, Offset]:
        """{partition: how far it is stored}. A place only moves on: an older one that comes late changes nothing."""
        ...

    def count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class EventSummary:
    """The shop in numbers, over the last `days` before the newest event."""

    events: int
    days: int
    per_day: tuple[tuple[str, str, int], ...]
    """(day, event type, events), oldest first."""
    top_items: tuple[tuple[str, int, int], ...]
    """(item id, views and clicks, purchases), most purchased first."""
    funnel: dict[str, int]
    """Visits that saw, put into the basket, bought: {"seen": ..., "cart": ..., "purchase": ...}."""
    top_queries: tuple[tuple[str, int], ...]
    """(query, visits that searched for it)."""
    unanswered: tuple[tuple[str, int], ...]
    """Queries after which no visit clicked, carted or bought anything found by them: what the shop does not have, or
    does not find. (Event feeds do not say how many results a search had.)"""


class Summarises(Protocol):
    """Questions over all events at once."""

    def summary(self, *, days: int = 30) -> EventSummary:
        """The last `days` days before the newest event."""
        ...


class DeadLetterBox(Protocol):
    """Rows that could not be used, with the reason, for mending."""

    def put(self, letters: Sequence[DeadLetter]) -> None: ...

    def remove(self, letters: Sequence[DeadLetter]) -> int:
        """Take letters out, once what they hold is mended; returns how many were there."""
        ...

    def list(self, *, kind: str = "", reason: str = "", limit: int = 50) -> list[DeadLetter]: ...

    def counts(self) -> dict[tuple[str, str], int]:
        """{(kind, reason): how many}."""
        ...


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


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did; printed by the command line, returned by `shop.catalog.add` and `shop.events.add`."""

    source: str
    kind: str
    """`items`, `events` or `reviews`."""
    format: str
    """What the file was taken for: `csv`, `jsonl`, `parquet`, `shopify`, ..."""
    rows: int
    added: int
    changed: int
    unchanged: int
    dead: int
    """Rows in the dead letter box."""
    reasons: dict[str, int] = field(default_factory=dict)
    """{reason code: rows}."""
    mapping: dict[str, str] = field(default_factory=dict)
    """{field of ours: column of theirs}, as inferred or told."""
    notes: tuple[str, ...] = ()
    """Cleaning in words: "312 prices in cents turned into units", "41 items without a category"."""
    seconds: float = 0.0


Rows = Iterable[dict[str, object]]
"""Raw rows as a feed gives them: column name -> value as read."""
