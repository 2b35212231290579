"""Is this row an event? Any spelling in, exactly one clean `Event` or one `DeadLetter` with a reason out.

Which column feeds which field is planned once for each set of column names and kept, so a row costs about 8 us.
Decisions a reader may wonder about:
- a time without a zone is UTC; more than `ingest.future_seconds` ahead or before 1990 is refused;
- NaN, an empty cell and null all mean "not given": a NaN price is no price, the event counts;
- a negative quantity on a purchase is a `return` of that many; a quantity of zero (nothing changed hands) is refused;
- quantities of other types than cart, purchase and return are ignored: a view has no quantity.
Not for: deciding who is a bot by behaviour (`bots.py`), nor for storing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from bodega.events.bots import says_robot
from bodega.events.reasons import TEACHING, Refusal
from bodega.events.spelling import FIELD_OF, event_type, is_unused
from bodega.feeds.mapping import plain
from bodega.feeds.surprises import Surprises
from bodega.feeds.values import parse_number, parse_price, parse_time
from bodega.schema import DeadLetter, Event, EventType
from bodega.settings import Ingest, Settings

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
ID_LIMIT = 512
QUERY_LIMIT = 1_000
RAW_LIMIT = 10_000
NUMBER_LIMIT = 1e9
"""Largest quantity and rating: sums over a log of them stay far from where 32-bit numbers end (3.4e38)."""
POSITION_LIMIT = 1_000_000
_PLANS = 1_000
_IDS = frozenset({"id", "user", "session", "item", "place", "request_id", "channel", "currency"})
_COUNTED = (EventType.CART, EventType.PURCHASE, EventType.RETURN)

Plan = tuple[tuple[str, tuple[str, ...]], ...]
"""((field, columns that may hold it, best first), ...)."""


class _Refused(Exception):
    def __init__(self, reason: Refusal, got: object = "") -> None:
        self.reason, self.got = reason, got


class EventReader:
    """Reads the rows of one feed: `mapping` ({our field: their column}) wins over the names we know."""

    def __init__(self, settings: Settings, *, mapping: Mapping[str, str] | None = None, default_type: str = "") -> None:
        self._ahead = settings.ingest.future_seconds
        self._back = settings.ingest.oldest_days * 86_400 or math.inf
        self._currency = settings.currency
        self._mapping = dict(mapping or {})
        self._default_type = default_type
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._surprises = Surprises()

    def read(
        self, values: Mapping[str, object], *, now: float, source: str = "http", line: int = 0
    ) -> Event | DeadLetter:
        """One row. `now` is our clock, in seconds since 1970. Never raises for what is in the row."""
        try:
            flat = _flat(values) if dict in map(type, values.values()) else values
            return self._event(self._given(flat), now)
        except _Refused as refused:
            return letter(refused.reason, refused.got, raw=values, source=source, line=line)
        except Exception as error:
            return letter(Refusal.FAILED, self._surprises.note(error, line), raw=values, source=source, line=line)

    def check(self, event: Event, *, now: float, source: str = "rows", line: int = 0) -> Event | DeadLetter:
        """The same rules for an event that is one already."""
        try:
            self._check_time(event.time, now)
            return _checked(event)
        except _Refused as refused:
            return letter(refused.reason, refused.got, raw=msgspec.to_builtins(event), source=source, line=line)

    def plan(self, columns: tuple[str, ...]) -> Plan:
        """Which columns feed which field, best first."""
        plan = self._plans.get(columns)
        if plan is None:
            if len(self._plans) >= _PLANS:  # clients may send any names: do not grow without end
                self._plans.clear()
            plan = self._plans[columns] = _planned(columns, self._mapping)
        return plan

    def _given(self, values: Mapping[str, object]) -> dict[str, Any]:
        """{field: first value that is given}."""
        given: dict[str, Any] = {}
        for field, columns in self.plan(tuple(values)):
            for column in columns:
                value = values[column]
                if value is not None and value != "" and value == value:
                    given[field] = _text(value) if field in _IDS else value
                    break
        return given

    def _event(self, given: dict[str, Any], now: float) -> Event:
        get = given.get
        kind = self._type(given)
        time = _time(get("time"))
        self._check_time(time, now)
        quantity = _quantity(get("quantity"), kind) if kind in _COUNTED and "quantity" in given else 1.0
        if quantity < 0:
            kind, quantity = EventType.RETURN, -quantity
        price, currency = _price(given, kind, quantity, self._currency)
        event = Event(
            type=kind,
            time=time,
            id=get("id", ""),
            user=get("user", ""),
            session=get("session", ""),
            item=get("item", "") if kind != "search" else "",
            query=_text(get("query", ""), cut=QUERY_LIMIT),
            place=get("place", ""),
            position=_position(get("position")),
            request_id=get("request_id", ""),
            price=price,
            currency=currency,
            quantity=quantity,
            channel=get("channel") or "web",
            value=_stars(get("value")) if kind == "rating" else None,
        )
        return _checked(event)

    def _check_time(self, time: datetime, now: float) -> None:
        if time.tzinfo is None:
            raise _Refused(Refusal.BAD_TIME, f"{time.isoformat()} without a time zone")
        if time < EARLIEST:
            raise _Refused(Refusal.ABSURD_TIME, time.isoformat())
        if time.timestamp() > now + self._ahead:
            raise _Refused(Refusal.FUTURE_TIME, time.isoformat())
        if time.timestamp() < now - self._back:
            raise _Refused(Refusal.OLD_TIME, time.isoformat())

    def _type(self, given: dict[str, Any]) -> EventType:
        name = str(given.get("type") or self._default_type).strip()
        if not name:
            if "query" in given and "item" not in given:  # a search log names no type and no item
                return EventType.SEARCH
            raise _Refused(Refusal.NO_TYPE)
        kind = event_type(name)
        if kind is None:
            raise _Refused(Refusal.UNUSED_TYPE if is_unused(name) else Refusal.UNKNOWN_TYPE, name)
        return kind


def parse_event(values: Mapping[str, object], *, now: float, settings: Settings) -> Event | DeadLetter:
    """One row in any spelling; `now` in seconds since 1970. Never raises for what is in the row.

    >>> event = parse_event({"ts": 1763805600, "event": "add_to_cart", "sku": 7, "customer_id": "u1"},
    ...                     now=1763805700.0, settings=Settings())
    >>> (event.type.value, event.item, event.user, event.time.isoformat())
    ('cart', '7', 'u1', '2025-11-22T10:00:00+00:00')
    """
    return _reader(settings.ingest, settings.currency).read(values, now=now)


@lru_cache(maxsize=16)
def _reader(ingest: Ingest, currency: str) -> EventReader:
    """One reader for all settings that say the same of events (settings as a whole are no key: they hold tables)."""
    return EventReader(Settings(ingest=ingest, currency=currency))


def letter(reason: Refusal, got: object, *, raw: object, source: str, line: int) -> DeadLetter:
    """The dead letter of a row: reason, teaching, what was got, and the row itself."""
    shown = f"; got: {str(got)[:200]}" if got != "" else ""
    return DeadLetter(
        kind="event", reason=reason.value, message=TEACHING[reason] + shown, source=source, line=line, raw=raw_text(raw)
    )


def raw_text(raw: object) -> str:
    """A row as JSON, cut at 10,000 characters; what JSON does not know becomes text."""
    try:
        text = msgspec.json.encode(raw, enc_hook=str).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        text = repr(raw)
    return text[:RAW_LIMIT]


def _planned(columns: tuple[str, ...], mapping: Mapping[str, str]) -> Plan:
    taken = set(mapping.values())
    ranked: dict[str, list[tuple[int, str]]] = {
        field: [(-1, name)] for field, name in mapping.items() if name in columns
    }
    for column in columns:
        field, rank = FIELD_OF.get(plain(column), ("", 0)) if column not in taken else ("", 0)
        if field:
            ranked.setdefault(field, []).append((rank, column))
    return tuple((field, tuple(column for _, column in sorted(found))) for field, found in ranked.items())


def _flat(values: Mapping[str, object], depth: int = 0) -> dict[str, object]:
    """Leaves of nested objects by their own names; what stands higher up wins."""
    flat: dict[str, object] = {}
    nested: list[Mapping[str, object]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            nested.append(value)
        else:
            flat[str(name)] = value
    for inner in nested if depth < 4 else ():
        for name, value in _flat(inner, depth + 1).items():
            if flat.get(name) in (None, ""):
                flat[name] = value
    return flat


def _checked(event: Event) -> Event:
    if not (event.user or event.session):
        raise _Refused(Refusal.NOBODY)
    if event.type == "search":
        if not event.query:
            raise _Refused(Refusal.NO_QUERY)
    elif not event.item:
        raise _Refused(Refusal.NO_ITEM)
    if not 0 < event.quantity <= NUMBER_LIMIT:
        raise _Refused(Refusal.BAD_QUANTITY, event.quantity)
    if event.type == "rating" and (event.value is None or not abs(event.value) <= NUMBER_LIMIT):
        raise _Refused(Refusal.BAD_VALUE, event.value)
    if says_robot(event.channel):
        raise _Refused(Refusal.BOT, event.channel)
    return event


def _time(value: object) -> datetime:
    if value is None:
        raise _Refused(Refusal.NO_TIME)
    if isinstance(value, str) and value.endswith((" UTC", " GMT")):
        value = value[:-4]  # as rees46 writes it; without the zone's name it is ISO, 100 times faster to read
    try:
        return parse_time(value)
    except ValueError as error:
        raise _Refused(Refusal.BAD_TIME, str(error)) from None


def _text(value: object, *, cut: int = 0) -> str:
    """An id, or a text that may be cut: whole numbers without a decimal point (pandas writes 7 as 7.0)."""
    if type(value) is int:
        return str(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value.strip() if isinstance(value, str) else str(value)
    if cut:
        text = text[:cut]
    surrogates = not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text[:QUERY_LIMIT])
    if surrogates or "\0" in text or (len(text) > ID_LIMIT and not cut):
        raise _Refused(Refusal.BAD_TEXT, text[:60])
    return text


def _quantity(value: object, kind: EventType) -> float:
    try:
        quantity = parse_number(value)
    except ValueError:
        raise _Refused(Refusal.BAD_QUANTITY, value) from None
    if quantity == 0 or (quantity < 0 and kind != "purchase"):
        raise _Refused(Refusal.BAD_QUANTITY, value)
    return quantity


def _price(given: dict[str, Any], kind: EventType, quantity: float, shop: str) -> tuple[float | None, str]:
    """What one unit cost, and the currency where the row says one."""
    value, parts = given.get("price"), 1.0
    if value is None:
        value, parts = given.get("total"), quantity
    currency = given.get("currency", "").upper()
    if value is None:
        return None, currency
    try:
        price, sign = parse_price(value, currency=currency or shop)
    except ValueError:
        if str(value).strip().casefold() in ("nan", "null", "none", "n/a", "na", "-"):
            return None, currency
        raise _Refused(Refusal.BAD_PRICE, value) from None
    if price < 0 and kind != "return":  # a return's money flows back
        raise _Refused(Refusal.BAD_PRICE, value)
    return abs(price) / parts, currency or sign


def _position(value: object) -> int | None:
    if value is None:
        return None
    try:
        position = parse_number(value)
    except ValueError:
        raise _Refused(Refusal.BAD_POSITION, value) from None
    if not (0 <= position <= POSITION_LIMIT and position.is_integer()):
        raise _Refused(Refusal.BAD_POSITION, value)
    return int(position)


def _stars(value: object) -> float:
    try:
        return parse_number(value)
    except ValueError:
        raise _Refused(Refusal.BAD_VALUE, value) from None
