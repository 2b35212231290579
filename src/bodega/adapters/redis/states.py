"""How do several servers share a shopper's state? Each keeps a copy; a small Redis stream a shopper says what is new.

    entry {w: steps}   everything the event store knew when it was written
    entry {s: steps}   what any server has taken in since

A server remembers the id of the last entry it has read (the `version`) and asks for what lies from there on, that entry
included: if it is not the first of the answer, something was trimmed or lost, and the whole stream is read. Steps are
taken in any order and any number of times without changing the state, so nothing is locked.
Every key carries an *epoch*, read with each question. A server that could not tell (time out, restart) raises it as
soon as Redis is back, and at its own start: all states are then read anew from the event store. So a state is there and
complete, or missing; never in part. Keys expire after `state.hours` without an event.
Cost: one round trip a request (.2 ms on this machine), a second one for a shopper nobody had; 3-12 kB a shopper.
Not for: anything that must not be lost: the event store holds it. A replica that takes over without the last writes of
its master lacks what was told last; raise the epoch then (INCR bodega:...:epoch), or restart a server.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from bodega import failpoints
from bodega.adapters.redis.breaker import Breaker
from bodega.errors import BadSettings, MissingExtra
from bodega.protocols import Caught, Person, StateLost, Steps
from bodega.settings import State

LOGGER = logging.getLogger("bodega.state")
PASSWORD = "BODEGA_STATE_PASSWORD"  # noqa: S105 - the name of the variable that holds it
REWRITTEN = 300
"""Entries after which a shopper's stream is written anew as one."""
BOUND = 20_000
"""Entries that one shopper's stream never exceeds: whoever finds it cut reads the store."""

_Kept = tuple[list[float], list[int], list[str], list[str], list[float | None]]
Entries = list[tuple[str, dict[bytes, bytes]]]
SLOW = 3.0
"""Time limits after which an answer that did come counts as none: Redis is left alone then."""

T = TypeVar("T")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


class Garbage(Exception):
    """Redis answered what we never wrote."""


def open_states(settings: State, shop: str) -> RedisStates:
    """The states at `state.url`; `shop` keeps several shops in one Redis apart. Raises BadSettings, MissingExtra."""
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise MissingExtra.named("redis", needed_for="states in Redis") from error
    seconds = settings.timeout_ms / 1000
    url, password = settings.url, os.environ.get(PASSWORD)
    try:
        client = redis.Redis.from_url(
            _with_password(url, password),
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            health_check_interval=0,
        )
    except ValueError as error:
        raise BadSettings(
            "this address of shared states cannot be used",
            where=f"state.url = {url.rpartition('@')[2]!r}",
            allowed="redis://host:port/0, rediss://..., unix:///path",
            got=str(error),
            next="correct state.url; a password belongs into the environment variable BODEGA_STATE_PASSWORD",
        ) from error
    return RedisStates(client, settings, shop)


class RedisStates:
    """Implements `protocols.StateStore` on any client that speaks Redis' commands."""

    def __init__(self, client: Any, settings: State, shop: str) -> None:
        self._client = client
        self._prefix = f"bodega:{blake2b(shop.encode(), digest_size=6).hexdigest()}"
        self._ttl = int(settings.hours * 3_600)
        self.breaker = Breaker(settings.heal_seconds)
        self._lock = threading.Lock()
        self._epoch = -1
        """The epoch that our versions belong to; -1: not known yet."""
        self._stale = True
        """Is there something that Redis should know and does not? Then the epoch is raised first."""
        self._seconds = settings.timeout_ms / 1000
        self._closed = threading.Event()
        self._mender: threading.Thread | None = None
        self.trips = 0
        """Round trips so far."""

    def tell(self, steps: Mapping[Person, Steps]) -> None:
        """One pipeline for a batch; what cannot be told makes all states be read anew once Redis is back."""
        if not steps:
            return
        if not self.breaker.may():
            self._owe()
            return
        try:
            if self._stale or self._epoch < 0:
                self._mend()
            now = self._told(steps, self._epoch)
            if now != self._epoch:  # somebody raised it: tell again where it is read
                self._epoch = now
                if self._told(steps, now) != now:
                    self._stale = True
                    self._mend()
            self.breaker.worked()
        except Exception as error:
            self._broke(error)

    def _told(self, steps: Mapping[Person, Steps], epoch: int) -> int:
        """Write them under this epoch; answers the epoch that is read now."""
        with self._client.pipeline(transaction=False) as pipe:
            for person, theirs in steps.items():
                key = self._key(person, epoch)
                pipe.xadd(key, {"s": _blob(theirs)}, maxlen=BOUND, approximate=True)
                pipe.expire(key, self._ttl)
            pipe.get(self._epoch_key)
            return _epoch(self._executed(pipe)[-1])

    def catch(self, asked: Mapping[Person, str]) -> dict[Person, Caught]:
        """What is new since these versions: one round trip, two where a version is no longer there."""
        return self._guarded(lambda: self._caught(asked))

    def keep(self, person: Person, steps: Steps, version: str) -> Caught:
        """Write what the store knows; answers everything the stream holds, ours included."""
        return self._guarded(lambda: self._kept(person, steps, version))

    def forget(self, people: Sequence[Person] = ()) -> None:
        """Delete what is kept of them, and raise the epoch: who read the store before they were gone keeps nothing.

        Never raises; where Redis is away the epoch is raised when it is back, and what is left expires.
        """
        self._stale = True
        if not self.breaker.may():
            self._owe()
            return
        try:
            if people:
                epoch = _epoch(self._client.get(self._epoch_key))
                self._client.unlink(*(self._key(person, epoch) for person in people))
            self._mend()
            self.breaker.worked()
        except Exception as error:
            self._broke(error)

    def close(self) -> None:
        self._closed.set()
        self._client.close()

    # -- asking ----------------------------------------------------------------------------------------------------

    def _guarded(self, ask: Callable[[], T]) -> T:
        """Ask, unless Redis is left alone; whatever goes wrong is StateLost."""
        if not self.breaker.may():
            raise StateLost(self.breaker.why)
        begun = time.perf_counter()
        try:
            if self._stale or self._epoch < 0:
                self._mend()
            if failpoints.ON:
                failpoints.reach("state.ask")
            answer = ask()
        except Exception as error:
            self._broke(error)
            raise StateLost(self.breaker.why) from error
        if time.perf_counter() - begun > SLOW * self._seconds:  # byte after byte, each in time
            self.breaker.failed("slow")
        else:
            self.breaker.worked()
        return answer

    def _caught(self, asked: Mapping[Person, str]) -> dict[Person, Caught]:
        epoch = self._epoch
        now, found = self._ranges(epoch, {person: _id_of(version, epoch) for person, version in asked.items()})
        if now != epoch:  # somebody raised it: nothing of what we hold may be vouched for
            self._epoch = epoch = now
            _, found = self._ranges(epoch, dict.fromkeys(asked, ""))
        known = {person: _id_of(version, epoch) for person, version in asked.items()}
        lost = [person for person, id_ in known.items() if id_ and (not found[person] or found[person][0][0] != id_)]
        if lost:
            found |= self._ranges(epoch, dict.fromkeys(lost, ""))[1]
            known |= dict.fromkeys(lost, "")
        return {person: _new(entries, known[person], epoch) for person, entries in found.items()}

    def _kept(self, person: Person, steps: Steps, version: str) -> Caught:
        epoch = self._epoch
        key, before = self._key(person, epoch), _id_of(version, epoch)
        with self._client.pipeline(transaction=True) as pipe:
            if before:  # what came before it was durable before the store was read: it is in `steps`
                pipe.xtrim(key, minid=before, approximate=False)
            pipe.xadd(key, {"w": _blob(steps)}, maxlen=BOUND, approximate=True)
            pipe.expire(key, self._ttl)
            pipe.xrange(key)
            answers = self._executed(pipe)
        entries = _entries(answers[-1])
        return Caught(f"{epoch}:{entries[-1][0]}", tuple(_steps(fields) for _, fields in entries), whole=True)

    def _ranges(self, epoch: int, first: Mapping[Person, str]) -> tuple[int, dict[Person, Entries]]:
        """(epoch now, {person: entries from this id on})."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.get(self._epoch_key)
            for person, id_ in first.items():
                pipe.xrange(self._key(person, epoch), id_ or "-")
            answers = self._executed(pipe)
        found = {person: _entries(answer) for person, answer in zip(first, answers[1:], strict=True)}
        return _epoch(answers[0]), found

    def _executed(self, pipe: Any) -> list[Any]:
        self.trips += 1
        return list(pipe.execute())

    # -- when it fails ---------------------------------------------------------------------------------------------

    def _mend(self) -> None:
        """Raise the epoch where somebody was not told something; else find out which it is."""
        with self._lock:
            stale, self._stale = self._stale, False
            try:
                answer = self._client.incr(self._epoch_key) if stale else self._client.get(self._epoch_key)
                self._epoch = _epoch(answer)
            except BaseException:
                self._stale = self._stale or stale
                raise

    def _broke(self, error: Exception) -> None:
        first = not self.breaker.why
        self.breaker.failed(type(error).__name__)
        self._owe()
        if first:
            LOGGER.warning(
                "shared states: Redis failed, the event store is read instead",
                extra={"facts": {"error": f"{type(error).__name__}: {str(error)[:200]}"}},
            )

    def _owe(self) -> None:
        """Something was not told: see to it that the epoch is raised when Redis is back, even if nobody asks here."""
        with self._lock:
            self._stale = True
            if self._mender is None:
                self._mender = threading.Thread(target=self._keep_mending, name="bodega-state", daemon=True)
                self._mender.start()

    def _keep_mending(self) -> None:
        while not self._closed.wait(self.breaker.heal_seconds):
            try:
                if self._stale:
                    self._mend()
                self.breaker.worked()
            except Exception:
                LOGGER.debug("shared states: Redis is still away")
                continue
            with self._lock:
                if not self._stale:
                    self._mender = None
                    return

    @property
    def _epoch_key(self) -> str:
        return f"{self._prefix}:epoch"

    def _key(self, person: Person, epoch: int) -> str:
        kind, name = person
        return f"{self._prefix}:{epoch}:{kind[0]}:{name}"


def _epoch(answer: Any) -> int:
    epoch = 0 if answer is None else int(answer)
    if epoch < 0:
        raise Garbage(f"epoch {epoch}")
    return epoch


def _new(entries: Entries, known: str, epoch: int) -> Caught:
    """What these entries say to somebody who knows the stream until `known` ("": not at all)."""
    last = entries[-1][0] if entries else ""
    if known:
        return Caught(f"{epoch}:{last}", tuple(_steps(fields) for _, fields in entries[1:]))
    if not any(b"w" in fields for _, fields in entries) or len(entries) > REWRITTEN:
        return Caught(f"{epoch}:{last}" if last else "", missing=True)
    return Caught(f"{epoch}:{last}", tuple(_steps(fields) for _, fields in entries), whole=True)


def _id_of(version: str, epoch: int) -> str:
    """The id of the last entry read, where it belongs to this epoch."""
    of, _, id_ = version.partition(":")
    return id_ if of == str(epoch) else ""


def _entries(answer: Any) -> Entries:
    if not isinstance(answer, list):
        raise Garbage(f"entries are {type(answer).__name__}")
    return [(id_.decode(), fields) for id_, fields in answer]


def _blob(steps: Steps) -> bytes:
    return _encode((steps.time, steps.code, steps.item, steps.query, steps.value))


def _steps(fields: Mapping[bytes, bytes]) -> Steps:
    """The steps of an entry. Raises what msgspec raises for garbage, and Garbage."""
    blob = fields.get(b"s") or fields.get(b"w")
    if blob is None:
        raise Garbage(f"an entry with the fields {sorted(fields)[:5]}")
    columns = _decode(blob)
    if len({len(column) for column in columns}) != 1:
        raise Garbage("columns of different lengths")
    return Steps(*columns)


def _with_password(url: str, password: str | None) -> str:
    parts = urlsplit(url)
    if not password or parts.password is not None:
        return url
    user, host = quote(parts.username or "", safe=""), parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))
