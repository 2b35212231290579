"""What comes in: events and items, in batches. An answer of 200 means: on disk, and part of the next list.

A batch with bad rows keeps its good ones; every bad row is named in the answer and kept in the dead letter box. An
event that was delivered before counts once; the same id with another payload is refused (422) while the rest is stored.
Cost: a batch of 100 events is one group commit; see `bodega bench serve`, `events.per_second`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, delete, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from bodega import failpoints
from bodega.errors import BadRequest, Conflict, Overloaded, UnknownItem
from bodega.events import EventReader, Refusal
from bodega.events.clock import Clock
from bodega.events.consent import is_consent, read_consents
from bodega.protocols import Written
from bodega.schema import DeadLetter, Event, Item
from bodega.service import asking
from bodega.service.desk import Desk, Visit, as_json, visit_of
from bodega.service.gate import item_id
from bodega.service.problems import MEDIA_TYPE, problem_of
from bodega.service.reading import body_of

Http = Request[Any, Any, Any]
UNDERWAY_LIMIT = 50_000
"""Events that may wait for their commit at one moment."""
STAMPS = 10_000
RAW_LIMIT = 10_000


class Stamps:
    """When did an event arrive that brought no time? Remembered by id, so that sending it again is the same event."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, str] = OrderedDict()

    def time_of(self, event: str, now: float) -> str:
        stamp = self._seen.setdefault(event, datetime.fromtimestamp(now, UTC).isoformat()) if event else ""
        if len(self._seen) > STAMPS:
            self._seen.popitem(last=False)
        return stamp or datetime.fromtimestamp(now, UTC).isoformat()


class Intake:
    """The events that are under way to the disk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._reader = EventReader(desk.settings)
        self._stamps = Stamps()
        self._clock = Clock()
        self.underway = 0
        """Events that wait for their commit."""

    async def events(self, rows: list[dict[str, Any]], visit: Visit) -> ASGIResponse:
        """Parse, store, answer when durable."""
        written, bad = await self.taken(rows, gpc=visit.gpc)
        if failpoints.ON:
            failpoints.reach("intake.answer")
        accepted = written.added + written.changed
        counted = {
            "accepted": accepted,
            "duplicates": written.unchanged,
            "conflicts": list(written.conflicts),
            "dead": [{"index": n, "reason": each.reason, "message": each.message} for n, each in bad],
            "withheld": written.withheld,
            "words": sum(is_consent(row) for row in rows) - sum(is_consent(rows[n]) for n, _ in bad),
        }
        return acknowledged(counted, visit, total=len(rows))

    async def taken(
        self, rows: list[dict[str, Any]], *, gpc: bool = False
    ) -> tuple[Written, list[tuple[int, DeadLetter]]]:
        """Parse and store: (what is on disk now, the rows that could not be used).

        Words about consent among the rows hold at once, for the other rows too; `gpc`: the sender's browser objects.
        """
        words, unclear = read_consents(rows, self._clock.now())
        if words:
            await asyncio.to_thread(self._desk.shop.privacy.say, words)
        good, bad = self._sorted_out(rows)
        bad = sorted([*bad, *unclear], key=lambda pair: pair[0])
        agreed = await asyncio.to_thread(self._desk.shop.privacy.admitted, good, gpc=True) if gpc else good
        await self._bury([letter for _, letter in bad])
        written = await self._stored(agreed)
        written = replace(written, withheld=written.withheld + len(good) - len(agreed))
        self._desk.telemetry.took(written, good, [letter for _, letter in bad])
        return written, bad

    def _sorted_out(self, rows: list[dict[str, Any]]) -> tuple[list[Event], list[tuple[int, DeadLetter]]]:
        now = self._clock.now()
        good: list[Event] = []
        bad: list[tuple[int, DeadLetter]] = []
        for number, row in enumerate(rows):
            if is_consent(row):
                continue
            parsed = self._reader.read(row, now=now, line=number + 1)
            if isinstance(parsed, DeadLetter) and parsed.reason == Refusal.NO_TIME:
                name = row.get("id")
                stamped = {**row, "time": self._stamps.time_of(name if isinstance(name, str) else "", now)}
                parsed = self._reader.read(stamped, now=now, line=number + 1)
            if isinstance(parsed, DeadLetter):
                bad.append((number, parsed))
            else:
                good.append(parsed)
        return good, bad

    async def _stored(self, events: list[Event]) -> Written:
        if not events:
            return Written()
        if self.underway + len(events) > UNDERWAY_LIMIT:
            raise Overloaded(
                "events arrive faster than they can be stored", where="events", next="send again after Retry-After"
            )
        begun = time.perf_counter()
        self.underway += len(events)
        try:
            if failpoints.ON:
                failpoints.reach("intake.submit")
            return await asyncio.wrap_future(self._desk.shop.events.submit(events))
        finally:
            self.underway -= len(events)
            self._desk.telemetry.stored("append", time.perf_counter() - begun)

    async def _bury(self, letters: list[DeadLetter]) -> None:
        if letters:
            await asyncio.to_thread(self._desk.shop.stores.dead.put, letters)

    async def items(self, rows: list[dict[str, Any]], visit: Visit) -> ASGIResponse:
        """Add or replace items; unusable rows are named and kept aside."""
        good: list[Item] = []
        bad: list[tuple[int, DeadLetter]] = []
        for number, row in enumerate(rows):
            parsed = as_item(row, number)
            if isinstance(parsed, DeadLetter):
                bad.append((number, parsed))
            else:
                good.append(parsed)
        await self._bury([letter for _, letter in bad])
        written = await asyncio.to_thread(self._desk.shop.catalog.upsert, good) if good else Written()
        counted = {
            "added": written.added,
            "changed": written.changed,
            "unchanged": written.unchanged,
            "conflicts": list(written.conflicts),
            "dead": [{"index": n, "reason": each.reason, "message": each.message} for n, each in bad],
        }
        return acknowledged(counted, visit, total=len(rows))


def as_item(row: dict[str, Any], number: int) -> Item | DeadLetter:
    """A row as an Item, strictly: the HTTP API knows one schema and infers nothing."""
    try:
        item = msgspec.convert(row, Item)
        if not 1 <= len(item.id) <= asking.ID_LIMIT or not item.id.strip():
            raise msgspec.ValidationError(f"an id has 1 to {asking.ID_LIMIT:,} characters - at `$.id`")
        if item.price is not None and item.price < 0:
            raise msgspec.ValidationError("a price is not negative - at `$.price`")
    except msgspec.ValidationError as error:
        raw = as_json(row).decode()[:RAW_LIMIT]
        return DeadLetter(
            kind="item",
            reason="bad_item",
            message=str(error),
            source="http",
            line=number + 1,
            raw=raw,
            time=datetime.now(UTC),
        )
    return item


def acknowledged(counted: dict[str, Any], visit: Visit, *, total: int) -> ASGIResponse:
    """200 with the counts; 422 with the same counts where an id clashed, or where no row at all could be used."""
    if counted["conflicts"]:
        error: BadRequest | Conflict = Conflict(
            "these ids were delivered before with another payload; the rest is stored",
            where="conflicts",
            got=", ".join(counted["conflicts"][:10]),
            next="send a correction as a new event with a new id",
        )
    elif total and len(counted["dead"]) == total:
        error = BadRequest("no row of the batch could be used", where="body", next="see `dead` for each row's reason")
        error.status = 422
    else:
        return ASGIResponse(body=as_json(counted))
    problem = problem_of(error, visit, extra=counted)
    return ASGIResponse(body=problem.body, status_code=problem.status, media_type=MEDIA_TYPE)


def intake_handlers(desk: Desk, intake: Intake) -> list[HTTPRouteHandler]:
    """The handlers of this page."""

    @post("/v1/events", opt={"scope": "events"}, name="events")
    async def events(request: Http) -> ASGIResponse:
        body = await body_of(request, limit=desk.settings.serve.events_limit)
        rows = asking.rows_of(body, "events")
        return await intake.events(rows, visit_of(request.scope))

    @post("/v1/items", opt={"scope": "admin"}, name="items_upsert")
    async def upsert(request: Http) -> ASGIResponse:
        rows = asking.rows_of(await body_of(request), "items")
        return await intake.items(rows, visit_of(request.scope))

    @delete("/v1/items/{segment:str}", opt={"scope": "admin"}, name="item_delete", status_code=200)
    async def remove(request: Http) -> ASGIResponse:
        name = item_id(request.scope)
        if not await asyncio.to_thread(desk.shop.catalog.delete, [name]):
            raise UnknownItem("the catalog holds no such item", where="address", got=name)
        return ASGIResponse(body=as_json({"deleted": 1}))

    @delete("/v1/items", opt={"scope": "admin"}, name="items_delete", status_code=200)
    async def remove_many(request: Http) -> ASGIResponse:
        ids = asking.decoded(await body_of(request), Ids).ids
        if len(ids) > asking.BATCH_LIMIT:
            raise BadRequest("too many ids", where="ids", allowed=f"{asking.BATCH_LIMIT:,}", got=f"{len(ids):,}")
        return ASGIResponse(body=as_json({"deleted": await asyncio.to_thread(desk.shop.catalog.delete, ids)}))

    return [events, upsert, remove, remove_many]


class Ids(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The items to delete."""

    ids: list[str]
