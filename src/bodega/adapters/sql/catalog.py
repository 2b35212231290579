"""What is for sale, durably: items as JSON under their id, in order of first arrival, with a trail of changes.

Every change gets the next number of one counter, raised in the same transaction: whoever remembers a number can ask
what changed since. An item whose JSON equals the stored one is left alone, so importing a catalog again costs one
read an item and moves nothing. A deleted item leaves an empty row: followers learn of it, and should it come back it
has its old place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, func, select, update

from bodega.adapters.sql.database import AT_ONCE, Database
from bodega.adapters.sql.tables import ITEMS, META
from bodega.errors import BadRequest
from bodega.protocols import Written
from bodega.schema import Item

_SCAN = 5_000
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(Item).decode


class SqlCatalog:
    """Implements `protocols.CatalogStore`. Every write is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def upsert(self, items: Sequence[Item]) -> Written:
        """Add or replace; of several with one id the last counts. Raises BadRequest for an item without an id."""
        rows = {item.id: _payload(item) for item in items}
        return self._database.write(lambda connection: self._upsert(connection, rows, len(items)))

    def delete(self, ids: Sequence[str]) -> int:
        """Remove; returns how many were there."""
        return self._database.write(lambda connection: self._delete(connection, list(dict.fromkeys(ids))))

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        """The items that are there, by id."""
        columns = (ITEMS.c.id, ITEMS.c.payload)
        with self._database.reading(AT_ONCE) as connection:
            rows = self._database.look_up(connection, columns, ITEMS.c.id, ids)
            return {name: _decode(payload) for name, payload in rows if payload}  # a deleted item has no payload

    def scan(self) -> Iterator[Item]:
        """All items in order of first arrival, streamed, as they were when the scan began."""
        query = select(ITEMS.c.payload).where(ITEMS.c.deleted.is_(False)).order_by(ITEMS.c.first_seq)
        for rows in self._database.stream(query, _SCAN):
            for (payload,) in rows:
                yield _decode(payload)

    def count(self) -> int:
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).where(ITEMS.c.deleted.is_(False))) or 0

    def changes(self, since: int) -> tuple[int, list[tuple[str, Item | None]]]:
        """(new cursor, [(id, item; None when deleted)]) after the cursor `since`, each id once, in order of change."""
        query = select(ITEMS.c.id, ITEMS.c.payload, ITEMS.c.deleted, ITEMS.c.change_seq)
        query = query.where(ITEMS.c.change_seq > since).order_by(ITEMS.c.change_seq)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        changed = [(name, None if deleted else _decode(payload)) for name, payload, deleted, _ in rows]
        return (rows[-1].change_seq if rows else since), changed

    def cursor(self) -> int:
        """The cursor of the newest change; 0 before the first."""
        with self._database.reading(AT_ONCE) as connection:
            return connection.scalar(select(META.c.value).where(META.c.name == "item_seq")) or 0

    def _upsert(self, connection: Connection, rows: dict[str, bytes], given: int) -> Written:
        added, changed = [], []
        held = self._held(connection, list(rows))
        for name, payload in rows.items():
            digest = blake2b(payload, digest_size=16).digest()
            known = held.get(name)
            if known is None:
                added.append((name, payload, digest))
            elif known[1] or known[0] != digest:
                changed.append((name, payload, digest, known[1]))
        newest = _number(connection, len(added) + len(changed))
        first = newest - len(added) - len(changed) + 1
        fresh = [(*row, first + n, first + n, False) for n, row in enumerate(added)]
        self._database.insert_new(connection, ITEMS, fresh)
        _update(connection, [row[:3] for row in changed], first + len(added), deleted=False)
        back = sum(was_deleted for *_, was_deleted in changed)
        unchanged = given - len(added) - len(changed)
        return Written(added=len(added) + back, changed=len(changed) - back, unchanged=unchanged)

    def _delete(self, connection: Connection, ids: list[str]) -> int:
        held = self._held(connection, ids)
        gone = [(name, b"", b"") for name, (_, deleted) in held.items() if not deleted]
        newest = _number(connection, len(gone))
        _update(connection, gone, newest - len(gone) + 1, deleted=True)
        return len(gone)

    def _held(self, connection: Connection, ids: list[str]) -> dict[str, tuple[bytes, bool]]:
        """{id: (digest, deleted)} of those that are or were there, in order of `ids`."""
        columns = (ITEMS.c.id, ITEMS.c.digest, ITEMS.c.deleted)
        rows = self._database.look_up(connection, columns, ITEMS.c.id, ids)
        found = {name: (digest, bool(deleted)) for name, digest, deleted in rows}
        return {name: found[name] for name in ids if name in found}


def _payload(item: Item) -> bytes:
    try:
        if item.id and "\0" not in item.id:
            return _encode(item)
        got: object = "an id with a NUL character" if item.id else "an empty id"
    except (TypeError, ValueError, OverflowError) as error:
        got = error
    raise BadRequest(
        "this item cannot be kept",
        where=f"item {item.id!r}",
        allowed="an id that is not empty, and text in Unicode",
        got=str(got),
        next="mend the item, or import it through shop.catalog.add, which keeps bad rows apart",
    )


def _number(connection: Connection, changes: int) -> int:
    """Take the next `changes` numbers; returns the last of them."""
    if changes:
        counter = update(META).where(META.c.name == "item_seq").values(value=META.c.value + changes)
        connection.execute(counter)
    return int(connection.scalar(select(META.c.value).where(META.c.name == "item_seq")) or 0)


def _update(connection: Connection, rows: Sequence[tuple[Any, ...]], first: int, *, deleted: bool) -> None:
    if not rows:
        return
    statement = (
        update(ITEMS)
        .where(ITEMS.c.id == bindparam("of"))
        .values(payload=bindparam("to"), digest=bindparam("as"), change_seq=bindparam("at"), deleted=deleted)
    )
    values = [
        {"of": name, "to": payload, "as": digest, "at": first + n} for n, (name, payload, digest) in enumerate(rows)
    ]
    connection.execute(statement, values)
