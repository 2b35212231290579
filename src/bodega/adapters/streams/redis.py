"""How is a Redis (Valkey) stream read? As one consumer of a group; what a dead consumer held is claimed by the others.

A stream has no partitions: entries go to whoever asks first, so "everything before this id is stored" is not simply the
last id. After each read one look at the group (pending entries, last delivered id: one MULTI) tells the id before which
nothing is open but what we hold; that is the offset stored with the batch. Should Redis lose the group, it is made
again at that id. Entries that a member read and did not acknowledge within `CLAIM_SECONDS` are claimed and read again.
Entries: a field `event` (or `events`, `data`, `json`, `value`) with JSON, or the event's own fields one by one.
Cost: two round trips a read. Not for: keeping the stream short; whoever writes it says MAXLEN.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import msgspec

from bodega.adapters.streams._told import translated
from bodega.adapters.streams.address import Address
from bodega.errors import BadRequest, MissingExtra, StreamFailed
from bodega.protocols import Offset, Polled, Record

try:
    import redis
except ImportError as error:  # pragma: no cover - the development environment has it
    raise MissingExtra.named("redis", needed_for="a Redis stream") from error

CLAIM_SECONDS = 15.0
"""An entry that another consumer has held for longer than this is taken over."""
SOCKET_SECONDS = 5.0
FIELDS = (b"event", b"events", b"data", b"json", b"value")

_Id = tuple[int, int]


class RedisStream:
    """Implements `protocols.Stream`."""

    def __init__(
        self,
        address: Address,
        stored: Callable[[str], Mapping[int, Offset]],
        *,
        claim_seconds: float = CLAIM_SECONDS,
    ) -> None:
        self.name = address.name
        self.lost = 0
        """Entries that were trimmed away after they were delivered and before they were stored."""
        self._address = address
        self._stored = stored
        self._claim_ms = int(claim_seconds * 1000)
        self._claim_from = "0-0"
        self._claimed_at = -1e9
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._server = connected(address)
        self._ready = False
        self._anew = False
        """The stream was made anew: its ids lie before what is stored."""

    def poll(self, limit: int, seconds: float) -> Polled:
        """Entries that nobody has, or that a dead consumer left. Raises StreamFailed."""
        with self._told("poll"):
            if not self._ready:
                self._prepare()
            try:
                found = self._claimed(limit) or self._fresh(limit, seconds)
                offset = self._reached([id_ for id_, _ in found]) if found else None
            except redis.exceptions.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                self._ready = False  # Redis came back without its data: the group is made again at the store's place
                return Polled([], [])
        records = [Record(_body(fields), id_.decode(), _parsed(id_)[0] / 1000) for id_, fields in found]
        return Polled(records, [offset] if offset is not None else [])

    def commit(self, polled: Polled) -> None:
        """Take them off the list of what is open. Losing this call has them read, and found stored, again."""
        self._anew = False
        if polled.records:
            with self._told("commit"):
                self._server.xack(self._address.topic, self._address.group, *(each.place for each in polled.records))

    def lag(self) -> dict[int, int]:
        """Entries that are not stored yet: not delivered, and delivered but open."""
        with self._told("lag"):
            group = self._group()
            if group is None:
                return {0: int(self._server.xlen(self._address.topic))}
            behind = group.get("lag")
            if behind is None:  # unknown to Redis after entries were deleted in the middle
                behind = int(self._server.xlen(self._address.topic))
            return {0: int(behind) + int(group["pending"])}

    def replay(self, start: str, *, limit: int = 1_000) -> Iterator[Sequence[Record]]:
        """Entries from `start` to today's end, outside of the group."""
        first = _first_of(start)
        with self._told("replay"):
            newest = self._server.xrevrange(self._address.topic, count=1)
        if not newest:
            return
        last = newest[0][0].decode()
        while True:
            with self._told("replay"):
                found = self._server.xrange(self._address.topic, first, last, count=limit)
            if not found:
                return
            yield [Record(_body(fields), id_.decode(), _parsed(id_)[0] / 1000) for id_, fields in found]
            first = f"({found[-1][0].decode()}"

    def source(self, record: Record) -> str:
        return self._address.source(record.place)

    def close(self) -> None:
        """Leave the group where nothing of ours is open; what is open is claimed by the others."""
        try:
            mine = [each for each in self._consumers() if each["name"] == self._consumer.encode()]
            if mine and not mine[0]["pending"]:
                self._server.xgroup_delconsumer(self._address.topic, self._address.group, self._consumer)
        except redis.exceptions.RedisError:
            pass
        self._server.close()

    # -- the group -------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """The group is there, and no further than the store."""
        held = self._stored(self.name).get(0)
        start = _before((held.position, held.minor)) if held is not None else "0-0"
        newest = self._newest()
        if held is not None and newest is not None and newest < _parsed(start):
            start, self._anew = "0-0", True
        try:
            self._server.xgroup_create(self._address.topic, self._address.group, start, mkstream=True)
        except redis.exceptions.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
            group = self._group()
            if group is not None and held is not None and _parsed(start) < _parsed(group["last-delivered-id"]):
                self._rewind(group, start)
        self._ready = True

    def _rewind(self, group: Mapping[str, Any], start: str) -> None:
        """A store that was put back from a backup is behind the group: what it lacks is read again.

        Only where nothing is open: else the store is behind because other members are at work.
        """
        if int(group["pending"]) == 0 and not any(int(each["idle"]) < self._claim_ms for each in self._consumers()):
            self._server.xgroup_setid(self._address.topic, self._address.group, start)

    def _claimed(self, limit: int) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """Entries that their consumer did not acknowledge in time; looked for at most twice in that time."""
        now = time.monotonic()
        if now - self._claimed_at < self._claim_ms / 2000 and self._claim_from == "0-0":
            return []
        self._claimed_at = now
        answer = self._server.xautoclaim(
            self._address.topic, self._address.group, self._consumer, self._claim_ms, self._claim_from, count=limit
        )
        self._claim_from = answer[0].decode()
        self.lost += len(answer[2]) if len(answer) > 2 else 0
        return [(id_, fields) for id_, fields in answer[1] if fields is not None]

    def _fresh(self, limit: int, seconds: float) -> list[tuple[bytes, dict[bytes, bytes]]]:
        wait = max(int(min(seconds, SOCKET_SECONDS / 2) * 1000), 1)
        answer = self._server.xreadgroup(
            self._address.group, self._consumer, {self._address.topic: ">"}, count=limit, block=wait
        )
        streams = list(answer.values()) if isinstance(answer, dict) else [found for _, found in answer or ()]
        entries = streams[0] if streams else []
        if entries and isinstance(entries[0], list) and entries[0] and isinstance(entries[0][0], tuple):
            entries = entries[0]  # RESP3 wraps once more
        return [(id_, fields) for id_, fields in entries]

    def _reached(self, own: Sequence[bytes]) -> Offset | None:
        """How far everything is stored once our entries are: up to the oldest open entry that is not among them."""
        with self._server.pipeline(transaction=True) as pipe:
            pipe.xpending(self._address.topic, self._address.group)
            pipe.xinfo_groups(self._address.topic)
            pending, groups = pipe.execute()
        group = next((each for each in groups if each["name"] == self._address.group.encode()), None)
        if group is None:
            return None
        if int(pending["pending"]) <= len(own):  # all that is open is ours
            position, minor = _parsed(group["last-delivered-id"])
            return Offset(self.name, 0, position, minor + 1, self._anew)
        position, minor = _parsed(pending["min"])
        return Offset(self.name, 0, position, minor, self._anew)

    def _group(self) -> Mapping[str, Any] | None:
        try:
            groups: Any = self._server.xinfo_groups(self._address.topic)
        except redis.exceptions.ResponseError as error:
            if "no such key" in str(error):
                return None
            raise
        return next((each for each in groups if each["name"] == self._address.group.encode()), None)

    def _consumers(self) -> list[dict[str, Any]]:
        found: Any = self._server.xinfo_consumers(self._address.topic, self._address.group)
        return list(found)

    def _newest(self) -> _Id | None:
        found: Any = self._server.xrevrange(self._address.topic, count=1)
        return _parsed(found[0][0]) if found else None

    def _told(self, doing: str) -> AbstractContextManager[None]:
        return translated(
            (redis.exceptions.RedisError, OSError, UnicodeError), lambda error: self._failed(doing, error)
        )

    def _failed(self, doing: str, error: object) -> StreamFailed:
        return failed(self._address, doing, error)


class RedisPublisher:
    """Implements `protocols.Publisher`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._server = connected(address)

    def publish(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """All of them are in the stream when this returns. Raises StreamFailed."""
        try:
            with self._server.pipeline(transaction=False) as pipe:
                for _, value in rows:
                    pipe.xadd(self._address.topic, {"event": value})
                pipe.execute()
        except (redis.exceptions.RedisError, OSError) as error:
            raise failed(self._address, "publish", error) from error

    def close(self) -> None:
        self._server.close()


def connected(address: Address) -> Any:
    """A client of that server; it connects when it is first used."""
    host, _, port = address.hosts.partition(":")
    more: dict[str, Any] = {"ssl": True} if address.scheme == "rediss" else {}
    return redis.Redis(
        host=host,
        port=int(port or 6379),
        db=address.database,
        username=address.user or None,
        password=address.password or None,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        protocol=2,
        **more,
    )


def failed(address: Address, doing: str, error: object) -> StreamFailed:
    return StreamFailed(
        "the server of the stream did not answer, or refused",
        where=f"{address.server}/{address.topic} ({doing})",
        got=str(error),
        next="check streams.url and the server; reading goes on where the store is once it answers",
    )


def _body(fields: Mapping[bytes, bytes]) -> bytes:
    """The entry as JSON: the one field that holds it, or the fields themselves."""
    for name in FIELDS:
        if name in fields and (len(fields) == 1 or fields[name].lstrip()[:1] in (b"{", b"[")):
            return fields[name]
    return msgspec.json.encode({k.decode("utf-8", "replace"): v.decode("utf-8", "replace") for k, v in fields.items()})


def _parsed(id_: bytes | str) -> _Id:
    text = id_.decode() if isinstance(id_, bytes) else id_
    moment, _, number = text.partition("-")
    return int(moment), int(number or 0)


def _before(place: _Id) -> str:
    """The id before this one: a group made there is given this one next."""
    if place[1] > 0:
        return f"{place[0]}-{place[1] - 1}"
    return f"{place[0] - 1}-{2**64 - 1}" if place[0] > 0 else "0-0"


def _first_of(start: str) -> str:
    """The id to read from. Raises BadRequest."""
    if start == "earliest":
        return "-"
    place = start.rpartition("/")[2]
    if place.replace("-", "", 1).isdigit() and len(place) > 10:
        return place
    try:
        moment = datetime.fromisoformat(start)
    except ValueError as error:
        raise BadRequest(
            "this is no place in the stream",
            where="replay from",
            allowed="earliest, a time (2026-11-22T10:00:00Z), or an id (1795344824503-0)",
            got=start,
            next="take the place from a dead letter's source, or name a time",
        ) from error
    return str(int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000))
