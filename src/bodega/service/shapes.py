"""What do bodies and answers look like that no single handler owns? Types for the document of the API.

Handlers of lists, events, items and health read bytes and write bytes; these are the shapes that they keep to.
Not for: types that a handler decodes itself, which stand beside it.
"""

from __future__ import annotations

import msgspec

from bodega.schema import Completion, Event, Facet, Item


class Events(msgspec.Struct):
    """A batch of events. `time` may be left out: the server stamps what has none."""

    events: list[Event]


class Items(msgspec.Struct):
    """A batch of items."""

    items: list[Item]


class Dead(msgspec.Struct):
    """A row that could not be used."""

    index: int
    reason: str
    message: str


class EventsTaken(msgspec.Struct):
    """What became of a batch of events; everything accepted is on disk."""

    accepted: int
    duplicates: int
    conflicts: list[str]
    dead: list[Dead]
    withheld: int = 0
    """Events that may not be kept: the shopper did not agree, or was forgotten since."""
    words: int = 0
    """Words about consent."""


class ItemsTaken(msgspec.Struct):
    """What became of a batch of items."""

    added: int
    changed: int
    unchanged: int
    conflicts: list[str]
    dead: list[Dead]


class Deleted(msgspec.Struct):
    deleted: int


class Completions(msgspec.Struct):
    suggestions: list[Completion]


class Faceted(msgspec.Struct):
    """The values of one facet among the matches; `total` counts the matches."""

    facet: Facet
    total: int
    corrected: str
    degraded: list[str]


class Alive(msgspec.Struct):
    alive: bool


class Ready(msgspec.Struct):
    ready: bool
    state: str
    """`ok`; `degraded`: it answers, but something is missing; `not ready`: there is nothing to answer from."""
    store: str
    snapshot: str
    dependencies: dict[str, str] = {}
    """What it depends on: {name: "ok", or what is wrong}."""
    encoders: dict[str, str] = {}
    """Which encoder each source that goes by meaning uses: {source: name}."""
    next: str = ""


class ProblemDocument(msgspec.Struct):
    """An error (RFC 9457), with what taught us: where, what was allowed, what came, what to do next."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    where: str = ""
    allowed: str = ""
    got: str = ""
    next: str = ""
    id: str = ""


class AlgoliaAsked(msgspec.Struct):
    """A body of Algolia's protocol: see docs/algolia.md. Unknown parameters are ignored there."""


class AlgoliaTold(msgspec.Struct):
    """An answer of Algolia's protocol: see docs/algolia.md."""


class AlgoliaError(msgspec.Struct):
    """An error as Algolia's clients expect it."""

    message: str
    status: int
