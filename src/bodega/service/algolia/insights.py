"""What did shoppers do with the hits? Events as Algolia's clients report them, as events of the shop.

    click                          click       `positions` count from 1 there, from 0 here
    conversion addToCart           cart        with price and quantity of `objectData`
    conversion purchase            purchase    with price and quantity of `objectData`
    conversion, nothing said       by its name: purchase, order, checkout -> purchase; anything else -> cart
    view of "Hits Viewed", or of several items   impression
    view of one item               view        (a product page)
    events about filters only, and InstantSearch's about its own widgets ("instantsearch")   accepted, not kept

`userToken` is the shopper: a token that begins with `anonymous-` names a visit, any other a person (and
`authenticatedUserToken` does always). `queryID` becomes the event's `request_id`; while the server remembers the query
that the id answered, the event carries its words too, and the first click or purchase after a query records that query
as a search. Everything answered with 200 is on disk. Not for: dropping bad events in silence; they are named.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bodega.errors import BadRequest, TooLarge
from bodega.service import asking
from bodega.service.algolia.answering import ANONYMOUS

REMEMBERED = 50_000
"""Queries remembered by their id: about 10 MB, some hours of a busy shop."""
OBJECTS = 200
"""Items of one event (Algolia: 20)."""
HITS_VIEWED = "Hits Viewed"
"""What InstantSearch calls the event that its hits were on the screen."""
USAGE = "instantsearch"
"""Type of the events in which InstantSearch tells Algolia which widgets a page has: nothing a shopper did."""
_BOUGHT = re.compile(r"purchas|bought|order|checkout|paid|购买|下单", re.I)
_TOKEN = 128
PLACE = {"place": "search"}

Row = dict[str, Any]


class Queries:
    """Which words did an answer belong to? Remembered for the newest answers."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._asked: OrderedDict[str, str] = OrderedDict()
        self._recorded: OrderedDict[str, None] = OrderedDict()

    def remember(self, query_id: str, query: str) -> None:
        if query_id and query.strip():
            _kept(self._asked, query_id, query.strip(), self._most)

    def words(self, query_id: str) -> str:
        """The query that this id answered; "" when it had none or is forgotten."""
        return self._asked.get(query_id, "")

    def first(self, query_id: str) -> bool:
        """Is this the first event after that answer? True once an id."""
        new = query_id not in self._recorded
        _kept(self._recorded, query_id, None, self._most)
        return new


def _kept(held: OrderedDict[str, Any], name: str, value: Any, most: int) -> None:
    held[name] = value
    if len(held) > most:
        held.popitem(last=False)


def rows_of(body: Any, queries: Queries, now: float) -> list[Row]:
    """The events as rows that the shop's event reader knows. Raises BadRequest naming the event that is none."""
    events = body.get("events") if isinstance(body, Mapping) else None
    if not isinstance(events, list) or not all(isinstance(each, dict) for each in events):
        raise BadRequest("there are no events", where="body", allowed='{"events": [{...}, ...]}')
    if len(events) > asking.BATCH_LIMIT:
        raise TooLarge("too many events", where="events", allowed=f"{asking.BATCH_LIMIT:,}", got=f"{len(events):,}")
    rows: list[Row] = []
    for number, event in enumerate(events):
        rows.extend(_rows(event, f"events[{number}]", queries, now))
    if len(rows) > 10 * asking.BATCH_LIMIT:
        raise TooLarge("too many items in one batch of events", where="events", got=f"{len(rows):,}")
    return rows


def _rows(event: Row, where: str, queries: Queries, now: float) -> Iterator[Row]:
    """One row an item, before them the search that they followed."""
    if event.get("eventType") == USAGE:
        return
    kind = _kind(event, where)
    time = datetime.fromtimestamp(_seconds(event, where, now), UTC).isoformat()
    shopper = _shopper(event, where)
    objects = _list(event, "objectIDs", where)
    if not objects:
        if not _list(event, "filters", where):
            raise BadRequest("an event names items or filters", where=where, allowed="objectIDs, filters")
        return
    if len(objects) > OBJECTS or not all(isinstance(each, str) and each for each in objects):
        raise BadRequest("objectIDs cannot be read", where=where, allowed=f"1 to {OBJECTS} ids", got=len(objects))
    positions = _list(event, "positions", where)
    data = _list(event, "objectData", where)
    for number, item in enumerate(objects):
        details = data[number] if number < len(data) and isinstance(data[number], dict) else {}
        query_id = _text(details, "queryID", where) or _text(event, "queryID", where)
        words = queries.words(query_id)
        if words and kind != "impression" and queries.first(query_id):
            yield {"type": "search", "id": f"search-{query_id}", "time": time, "query": words, **PLACE, **shopper}
        yield {
            "type": kind,
            "time": time,
            "item": item,
            **shopper,
            **({"query": words} if words else {}),
            **({"request_id": query_id, **PLACE} if query_id else {}),
            **_position(positions, number, where),
            **_bought(event, details, kind),
        }


def _kind(event: Row, where: str) -> str:
    name = _text(event, "eventName", where)
    kind = event.get("eventType")
    if kind == "click":
        return "click"
    if kind == "view":
        objects = event.get("objectIDs")
        several = isinstance(objects, list) and len(objects) > 1
        return "impression" if several or name == HITS_VIEWED else "view"
    if kind == "conversion":
        told = {"addToCart": "cart", "purchase": "purchase"}.get(_text(event, "eventSubtype", where))
        return told or ("purchase" if _BOUGHT.search(name) else "cart")
    raise BadRequest("unknown eventType", where=where, allowed="click, conversion, view", got=kind)


def _shopper(event: Row, where: str) -> Row:
    token = _text(event, "userToken", where)
    person = _text(event, "authenticatedUserToken", where)
    if not token and not person:
        raise BadRequest("userToken is required", where=where, allowed=f"1 to {_TOKEN} characters")
    if len(token) > _TOKEN or len(person) > _TOKEN:
        raise BadRequest("userToken is too long", where=where, allowed=f"1 to {_TOKEN} characters")
    if person:
        return {"user": person, **({"session": token} if token else {})}
    return {"session": token} if token.startswith(ANONYMOUS) else {"user": token}


def _seconds(event: Row, where: str, now: float) -> float:
    """When it happened, in seconds; milliseconds there."""
    stamp = event.get("timestamp")
    if stamp is None:
        return now
    if isinstance(stamp, bool) or not isinstance(stamp, int | float) or not 0 < stamp < 1e14:
        raise BadRequest("timestamp cannot be read", where=where, allowed="milliseconds since 1970", got=stamp)
    return stamp / 1000


def _position(positions: list[Any], number: int, where: str) -> Row:
    if number >= len(positions):
        return {}
    place = positions[number]
    if isinstance(place, bool) or not isinstance(place, int) or not 1 <= place <= 1_000_000:
        raise BadRequest("positions count from 1", where=where, allowed="1, 2, 3, ...", got=place)
    return {"position": place - 1}


def _bought(event: Row, details: Row, kind: str) -> Row:
    """Price and quantity, where the event tells."""
    if kind not in ("cart", "purchase"):
        return {}
    told = {"price": details.get("price"), "quantity": details.get("quantity"), "currency": event.get("currency")}
    return {name: value for name, value in told.items() if isinstance(value, int | float | str) and value != ""}


def _text(row: Row, name: str, where: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise BadRequest(f"{name} is a text", where=where, got=value)
    return str(value)


def _list(row: Row, name: str, where: str) -> list[Any]:
    value = row.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRequest(f"{name} is a list", where=where, got=value)
    return value
