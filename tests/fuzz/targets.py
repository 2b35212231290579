"""Everything that parses what somebody else wrote: bytes in, an answer or one of our errors out, nothing else ever.

`TARGETS` names each parser with a function of bytes and a few seeds to begin from. A target returns for whatever it
understands or refuses in words (`BodegaError`), and lets everything else out: that is a crash. Used by
`run_atheris.py`, which looks for such bytes with coverage, and by the tests, which replay seeds, mutations and every
crash that was ever found.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from bodega.engine.expression import parse as parse_expression
from bodega.engine.snapshot import Snapshots
from bodega.errors import BodegaError
from bodega.events import EventReader
from bodega.events.border import Border
from bodega.events.consuming import Records
from bodega.feeds import open_feed
from bodega.feeds.surprises import FAILED
from bodega.protocols import Record
from bodega.schema import DeadLetter, Event, Request
from bodega.schema.rules import read_rule, rule_json
from bodega.service import asking
from bodega.service.algolia.parameters import read as read_algolia
from bodega.service.intake import as_item
from bodega.settings import FILE, Settings, load
from bodega.testing.world import WorldSpec, make_world
from bodega.understanding.query import Understanding

NOW = 1_780_000_000.0
ROWS = 200
"""Rows of a feed that are looked at: a feed is a stream, and a fuzzer's time is short."""


@dataclass(frozen=True)
class Target:
    """One parser."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    suffix: str = ""


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="bodega-fuzz-"))


def _feed(name: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        path = folder() / name
        path.write_bytes(data)
        with contextlib.suppress(BodegaError), contextlib.closing(iter(open_feed(path))) as rows:
            for number, row in enumerate(rows):
                assert row.line >= 0
                if number > ROWS:
                    break

    return run


@cache
def _reader() -> EventReader:
    return EventReader(Settings())


def event(data: bytes) -> None:
    """A row of events as HTTP takes it; what is understood can be stored and read back."""
    try:
        row = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if not isinstance(row, dict):
        return
    found = _reader().read(row, now=NOW)
    if isinstance(found, Event):
        assert msgspec.json.decode(msgspec.json.encode(found), type=Event) == found
        assert found.user or found.session
    else:
        assert isinstance(found, DeadLetter)
        assert found.reason
        assert found.reason != FAILED, found.message


def item(data: bytes) -> None:
    """A row of items as HTTP takes it."""
    try:
        row = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if isinstance(row, dict):
        as_item(row, 0)


def expression(data: bytes) -> None:
    """A filter expression; one that is understood reads the same when written out."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(BodegaError):
        found = parse_expression(text)
        again = parse_expression(str(found))
        assert str(again) == str(found), (text, str(found), str(again))


def rule(data: bytes) -> None:
    with contextlib.suppress(BodegaError):
        found = read_rule(data)
        assert read_rule(rule_json(found)) == found


@cache
def _understanding() -> Understanding:
    return Understanding().fit(make_world(WorldSpec(n_items=80, n_shoppers=20, days=20)).world(), Settings())


def query(data: bytes) -> None:
    """Whatever is typed is answered, and what is said of it lies where it says."""
    text = data.decode("utf-8", "replace")
    found = _understanding().understand(text)
    for meaning in found.meanings:
        assert 0 <= meaning.start <= meaning.end <= len(text), meaning


def address(data: bytes) -> None:
    """The parameters of a request."""
    for allowed in (asking.SEARCH, asking.FACETS):
        with contextlib.suppress(BodegaError):
            asking.parameters(data, allowed)
    with contextlib.suppress(BodegaError):
        asking.bounded(asking.from_parameters(data, asking.SEARCH), Settings())


def body(data: bytes) -> None:
    """The body of a search."""
    with contextlib.suppress(BodegaError):
        asking.bounded(asking.decoded(data, Request), Settings())


def algolia(data: bytes) -> None:
    """One query in Algolia's protocol."""
    try:
        given = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if isinstance(given, dict):
        with contextlib.suppress(BodegaError):
            read_algolia(given)


def settings(data: bytes) -> None:
    """A settings file."""
    (folder() / FILE).write_bytes(data)
    with contextlib.suppress(BodegaError):
        load(folder(), {})


def manifest(data: bytes) -> None:
    """A snapshot whose manifest is as damaged as it may be, under the name that its bytes deserve."""
    root = folder() / "snapshots"
    name = hashlib.sha256(data).hexdigest()[:16]
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "manifest.json").write_bytes(data)
    pointer = {"current": name, "history": [{"id": name, "time": "2026-01-01T00:00:00Z"}]}
    (root / "CURRENT").write_text(json.dumps(pointer))
    shelf = Snapshots(root)
    with contextlib.suppress(BodegaError):
        shelf.open()
    with contextlib.suppress(BodegaError):
        shelf.infos()
    (root / name / "manifest.json").unlink()
    (root / name).rmdir()


def pointer(data: bytes) -> None:
    """The file that says which snapshot is served."""
    root = folder() / "pointer"
    root.mkdir(exist_ok=True)
    (root / "CURRENT").write_bytes(data)
    shelf = Snapshots(root)
    for ask in (shelf.open, shelf.infos):
        with contextlib.suppress(BodegaError):
            ask()


@cache
def _records() -> Records:
    return Records(Settings(), lambda record: f"kafka:events:{record.place}")


def record(data: bytes) -> None:
    """A message of a stream: every row becomes an event or a letter; a letter can be read again, and masked."""
    parsed = _records().read([Record(value=data, place="0@1", time=NOW)])
    for each in parsed.events:
        assert msgspec.json.decode(msgspec.json.encode(each), type=Event) == each
    for each in parsed.letters:
        assert each.reason
        assert each.reason != FAILED, each.message
        border = Border(SimpleNamespace(pseudonyms=None), pseudonyms=True)  # type: ignore[arg-type]
        with contextlib.suppress(AttributeError):  # the canned secrets hold no key: only rows with ids ask for one
            border.letter(each)


def _parquet() -> bytes:
    """A small Parquet file."""
    import duckdb

    path = folder() / "seed.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 'i1' AS id, 'Trail shoe' AS title, 9.5 AS price) TO '{path}' (FORMAT PARQUET)"
        )
    return path.read_bytes()


def _json(*values: Any) -> tuple[bytes, ...]:
    return tuple(json.dumps(value).encode() for value in values)


EVENTS = _json(
    {"type": "view", "time": "2026-02-01T10:00:00Z", "user": "u1", "item": "i1"},
    {"event": "purchase", "ts": 1769940000, "sku": 7, "customer_id": 42, "quantity": -1, "price": "1.234,50 €"},
    {"type": "rating", "time": 1769940000000, "session": "s", "item": "i", "value": 4.5, "position": 3},
    {"type": "search", "query": "trail shoe", "time": "2026-02-01", "user": {"id": "u", "email": "a@b"}},
)

TARGETS: dict[str, Target] = {
    "csv": Target(
        _feed("rows.csv"),
        (b"id,title,price\n1,Shoe,9.5\n", b'"a";"b"\r\n"x ""y""";"1,5"\r\n', b"\xff\xfea\x00,\x00b\x00\n\x00"),
    ),
    "json_rows": Target(
        _feed("rows.jsonl"),
        (b'{"id": 1}\n{"id": "2", "t": [1]}\n', b'[{"id": 1}, {"id": 2}]', b'{"items": [{"id": 1}]}'),
    ),
    "xml": Target(
        _feed("rows.xml"),
        (
            b'<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>1</g:id><title>Shoe</title></item></channel></rss>',
            b'<?xml version="1.0" encoding="latin-1"?><feed><entry><id>1</id></entry></feed>',
        ),
    ),
    "parquet": Target(_feed("rows.parquet"), ()),
    "event": Target(event, EVENTS),
    "record": Target(record, (*EVENTS, b'{"events": [' + EVENTS[0] + b"]}", b"[" + b",".join(EVENTS) + b"]")),
    "item": Target(
        item, _json({"id": "1", "title": "Shoe", "price": 9.5, "category": ["A", "B"], "attributes": {"a": "b"}})
    ),
    "expression": Target(
        expression,
        (
            b'brand = "Acme" AND (price < 50 OR tags = sale)',
            b"NOT price BETWEEN 1 AND 2",
            b"color IN (red, 'dark blue')",
            b"rating >= 4.5",
        ),
    ),
    "rule": Target(
        rule,
        _json(
            {"id": "r", "when": {"query": "tv"}, "then": [{"do": "pin", "item": "1", "position": 1}]},
            {"then": [{"do": "hide", "items": ["2"]}]},
        ),
    ),
    "query": Target(
        query,
        (
            b"blue dreses under 80 not silk",
            "红色 连衣裙 100元以下".encode(),
            b"tv 55 inch between 200 and 300",
            b"size xl -wool",
        ),
    ),
    "address": Target(
        address,
        (
            b"q=trail+shoe&filter=brand:Nike&price=10..50&facets=brand,price&sort=price_up",
            b"field=brand&text=n%C3%A9&k=3",
        ),
    ),
    "body": Target(
        body, _json({"query": "shoe", "k": 3, "filters": [{"field": "price", "low": 5}], "facets": ["brand"]})
    ),
    "algolia": Target(
        algolia,
        _json(
            {"params": "query=tv&hitsPerPage=20&facets=%5B%22brand%22%5D"},
            {"query": "tv", "filters": "brand:Acme AND price > 5", "numericFilters": [["a=1"]]},
        ),
    ),
    "settings": Target(
        settings, (b'name = "A"\n[learn]\nseed = 3\n[serve]\nport = 80\n', b"[diversity.home]\nmmr = 0.5\n")
    ),
    "manifest": Target(
        manifest,
        _json(
            {"format": 1, "code": "1", "facts": {}, "files": [{"path": "a", "sha256": "0", "size": 1}]},
            {"format": 1, "code": "1", "facts": {"learned": 1}, "files": []},
        ),
    ),
    "pointer": Target(
        pointer,
        _json({"current": "0123456789abcdef", "history": [{"id": "0123456789abcdef", "time": "2026-01-01T00:00:00Z"}]}),
    ),
}


def planted(data: bytes) -> None:
    """A parser with a bug in it, to see that the search finds one."""
    text = io.BytesIO(data)
    if text.read(1) == b"{" and b"}" in data:
        raise ZeroDivisionError("planted")


def seeds_of(name: str) -> tuple[bytes, ...]:
    """What to begin from."""
    return (_parquet(),) if name == "parquet" else TARGETS[name].seeds
