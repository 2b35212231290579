"""Can this row be used now that somebody mended it? One dead letter, one corrected row, the way it first came.

An event is read and submitted as any other; a row of a catalog is cleaned as an import cleans it. The letter leaves the
box only once what it holds is on disk; a row that is still wrong is refused with its reason, and the letter stays.
Not for: many letters at once that need no change (`retrying`).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from hashlib import blake2b
from typing import Any, Protocol, cast

import msgspec

from bodega.catalog import ItemOptions, import_items
from bodega.errors import BadRequest, Conflict
from bodega.events import EventReader
from bodega.events.clock import Clock
from bodega.protocols import CatalogStore, DeadLetterBox, Written
from bodega.schema import DeadLetter, Event, Item
from bodega.settings import Settings


class TakesEvents(Protocol):
    """`shop.events`, as far as it is needed here."""

    def submit(self, events: Sequence[Event]) -> Future[Written]: ...


class TakesItems(Protocol):
    """`shop.catalog`, as far as it is needed here."""

    def upsert(self, items: Sequence[Item]) -> Written: ...


class Doors(Protocol):
    """Where rows come in."""

    @property
    def events(self) -> TakesEvents: ...
    @property
    def catalog(self) -> TakesItems: ...
    @property
    def settings(self) -> Settings: ...


def letter_id(letter: DeadLetter) -> str:
    """A name for a letter, made of what it holds: equal letters are one."""
    held = msgspec.msgpack.encode((letter.kind, letter.reason, letter.source, letter.line, letter.raw))
    return blake2b(held, digest_size=12).hexdigest()


def mend(shop: Doors, dead: DeadLetterBox, letter: DeadLetter, row: dict[str, Any]) -> Written:
    """Take the row in and the letter out. Raises BadRequest (still no row of ours), Conflict, StoreError."""
    if letter.kind == "event":
        written = _event(shop, letter, row)
    elif letter.kind == "item":
        written = _item(shop, letter, row)
    else:
        raise BadRequest(
            "letters of this kind are mended where they came from",
            code="letters.elsewhere",
            where="kind",
            got=letter.kind,
        )
    dead.remove([letter])
    return written


def _event(shop: Doors, letter: DeadLetter, row: dict[str, Any]) -> Written:
    read = EventReader(shop.settings).read(row, now=Clock().now(), source=letter.source, line=letter.line)
    if isinstance(read, DeadLetter):
        raise BadRequest(read.message or "this is no event yet", where="row", got=read.reason, next="mend what it says")
    written = shop.events.submit([read]).result()
    if written.conflicts:
        raise Conflict(
            "an event with this id was delivered before, with another content",
            code="letters.twice",
            where="id",
            got=read.id,
            next="give the correction a new id",
        )
    return written


class _Box:
    """A dead letter box that only remembers why."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.letters += letters


def _item(shop: Doors, letter: DeadLetter, row: dict[str, Any]) -> Written:
    box = _Box()
    report = import_items(
        [row],
        cast(CatalogStore, shop.catalog),
        cast(DeadLetterBox, box),
        ItemOptions(settings=shop.settings, source=letter.source, limit=1.0),
    )
    if box.letters:
        wrong = box.letters[0]
        raise BadRequest(
            wrong.message or "this is no item yet", where="row", got=wrong.reason, next="mend what it says"
        )
    return Written(added=report.added, changed=report.changed, unchanged=report.unchanged)
