"""How do events get from a stream into the store, each counted once? Poll, parse, store with the place, then commit.

    records -> events, dead letters -> ONE transaction: events + letters + how far the stream is -> commit to the broker

The order is everything. A consumer that is killed anywhere in it starts again where the *store* says it is: records
that were polled and not stored are polled again; those that were stored are not, and would be found stored if they were
(an event is known by its id, or by its content). At-least-once delivery, exactly-once effect.
A word about consent among the records holds from there on: what came before it is stored first, what comes after it is
judged by it, wherever a batch happens to end. Said again it changes nothing: its time is its own, or the broker's.
A record that cannot be used is a dead letter that names its place, so it can be replayed. A store that does not take a
batch (full disk, restarting server) is asked again with the *same* batch until it does: nothing is ever skipped.
Cost: 20-30 us of CPU an event, most of it parsing; one transaction a poll. Not for: knowing brokers (`adapters`).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from bodega import failpoints
from bodega.errors import BadRequest, BodegaError, LimitError, StoreError
from bodega.events.clock import Clock
from bodega.events.consent import is_consent, read_words
from bodega.events.parse import EventReader, letter
from bodega.events.reasons import Refusal
from bodega.protocols import Along, Polled, Record, Stream, Written
from bodega.schema import DeadLetter, Event
from bodega.schema.people import Word
from bodega.settings import Settings, Streams

LOGGER = logging.getLogger("bodega.streams")
POLL_SECONDS = 0.5
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two tries while the store or the broker is away, doubling."""

JOIN_SECONDS = 60.0
"""How long a group may take to give a member its partitions; a dead member's are free after its session's time."""

Submit = Callable[[Sequence[Event], Along], Future[Written]]
"""Stores events, and what comes along, in one transaction: `shop.events.submit`."""


@dataclass(slots=True)
class Consumed:
    """What a consumer has done so far."""

    records: int = 0
    added: int = 0
    unchanged: int = 0
    """Events that were stored before."""
    dead: int = 0
    """Events or records in the dead letter box."""
    words: int = 0
    """Words about consent that were kept."""
    withheld: int = 0
    """Events that their shoppers did not agree to."""
    retries: int = 0
    """Batches that the store did not take at once."""
    lag: dict[int, int] = field(default_factory=dict)
    """{partition: records that are not stored yet}, a few seconds old."""
    trouble: str = ""
    """What the consumer waits for at the moment; "" while it runs."""
    newest: float = 0.0
    """When the broker took the newest record that is stored, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """Records as events and dead letters."""

    events: list[Event]
    places: list[tuple[str, int]]
    """(source, number inside the record) of each event."""
    letters: list[DeadLetter]
    words: list[tuple[int, list[Word]]] = field(default_factory=list)
    """(events before it, what was said) of every record about consent, in the stream's order."""

    def conflict(self, refused: Event) -> DeadLetter:
        """The letter of an event that was delivered before with another content, with its own place."""
        same = [n for n, event in enumerate(self.events) if event is refused]
        at = same[0] if same else max(n for n, event in enumerate(self.events) if event.id == refused.id)
        source, line = self.places[at]
        return letter(Refusal.CONFLICT, refused.id, raw=msgspec.to_builtins(refused), source=source, line=line)


class Records:
    """Reads records: JSON as the HTTP API takes it (an event, a list, {"events": [...]}), in any spelling."""

    def __init__(self, settings: Settings, source: Callable[[Record], str], clock: Clock | None = None) -> None:
        self._reader = EventReader(settings)
        self._limit = settings.streams.record_limit
        self._source = source
        self._clock = clock or Clock()

    def read(self, records: Sequence[Record]) -> Parsed:
        """Every row becomes an event or a letter. Never raises for what is in a record."""
        parsed = Parsed([], [], [])
        now = self._clock.now()
        for record in records:
            source = self._source(record)
            try:
                rows = self._rows(record)
            except _Unusable as unusable:
                raw = record.value[:10_000].decode("utf-8", "replace")
                text = letter(unusable.reason, unusable.got, raw="", source=source, line=0)
                parsed.letters.append(msgspec.structs.replace(text, raw=raw))
                continue
            single = len(rows) == 1
            for number, row in enumerate(rows, 1):
                line = 0 if single else number
                if isinstance(row, dict) and is_consent(row):
                    self._hear(row, min(record.time, now) if record.time > 0 else now, (source, line), parsed)
                    continue
                found = self._event(row, record, now, (source, line))
                if isinstance(found, DeadLetter):
                    parsed.letters.append(found)
                else:
                    parsed.events.append(found)
                    parsed.places.append((source, line))
        return parsed

    def _hear(self, row: dict[str, Any], now: float, place: tuple[str, int], parsed: Parsed) -> None:
        """A row about consent; `now`: when the broker took it, so that delivered again it is the same word."""
        source, line = place
        try:
            parsed.words.append((len(parsed.events), read_words(row, now, source)))
        except BadRequest as error:
            parsed.letters.append(letter(Refusal.BAD_VALUE, error.what, raw=row, source=source, line=line))

    def _event(self, row: object, record: Record, now: float, place: tuple[str, int]) -> Event | DeadLetter:
        source, line = place
        if not isinstance(row, dict):
            return letter(Refusal.UNREADABLE, type(row).__name__, raw=row, source=source, line=line)
        found = self._reader.read(row, now=now, source=source, line=line)
        if isinstance(found, DeadLetter) and found.reason == Refusal.NO_TIME:
            # The broker's time, not ours: delivered again it is the same event.
            stamp = datetime.fromtimestamp(record.time, UTC).isoformat()
            found = self._reader.read({**row, "time": stamp}, now=now, source=source, line=line)
        return found

    def _rows(self, record: Record) -> list[Any]:
        if len(record.value) > self._limit:
            raise _Unusable(Refusal.TOO_LARGE, f"{len(record.value):,} bytes")
        try:
            body = msgspec.json.decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _Unusable(Refusal.UNREADABLE, str(error)) from None
        if isinstance(body, dict) and isinstance(body.get("events"), list):
            body = body["events"]
        return body if isinstance(body, list) else [body]


class _Unusable(Exception):
    def __init__(self, reason: Refusal, got: str) -> None:
        self.reason, self.got = reason, got


class Consumer:
    """One member of a group, from its stream into a store."""

    def __init__(self, open_stream: Callable[[], Stream], submit: Submit, settings: Settings) -> None:
        self.done = Consumed()
        self._open = open_stream
        self._submit = submit
        self._settings = settings
        self._options: Streams = settings.streams
        self._clock = Clock()
        self._stream: Stream | None = None
        self._asked_lag = -math.inf

    def step(self, stop: threading.Event | None = None) -> int:
        """One poll, stored and committed; returns its records (0: nothing came). Raises StreamFailed, StoreError."""
        stream = self._opened()
        polled = stream.poll(self._options.batch, POLL_SECONDS)
        if polled.records or polled.offsets:
            if failpoints.ON:
                failpoints.reach("stream.polled")
            parsed = Records(self._settings, stream.source, self._clock).read(polled.records)
            if not self._stored(parsed, polled, stop or threading.Event()):
                return 0
            if failpoints.ON:
                failpoints.reach("stream.stored")
            stream.commit(polled)
            self.done.newest = max([self.done.newest, *(record.time for record in polled.records)])
        self._look_at_lag(stream)
        return len(polled.records)

    def run(self, stop: threading.Event) -> None:
        """Step until told to stop; a broker that is away is opened again, with longer and longer pauses."""
        pause = FIRST_PAUSE
        while not stop.is_set():
            try:
                self.step(stop)
                self.done.trouble, pause = "", FIRST_PAUSE
            except BodegaError as error:
                self._complain(error)
                self._drop()
                stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            except Exception as error:
                LOGGER.error("stream: the consumer failed and starts again", exc_info=error)
                self.done.trouble = type(error).__name__
                self._drop()
                stop.wait(LONGEST_PAUSE)
        self._drop()

    def drain(self, *, quiet: float = 3.0) -> Consumed:
        """Step until nothing came for `quiet` seconds and nothing lags. Raises StreamFailed, StoreError.

        A member that is given no partition (all have another reader) ends after `JOIN_SECONDS`.
        """
        began = heard = time.monotonic()
        try:
            while True:
                if self.step():
                    heard = time.monotonic()
                elif time.monotonic() - heard >= quiet:
                    lag = self.lag()
                    if not any(lag.values()) and (lag or time.monotonic() - began >= JOIN_SECONDS):
                        return self.done
        finally:
            self._drop()

    def replay(self, start: str) -> Consumed:
        """Read again from `start` to where the stream ends now; what is stored already counts once."""
        stream = self._opened()
        try:
            for records in stream.replay(start, limit=self._options.batch):
                parsed = Records(self._settings, stream.source, self._clock).read(records)
                self._stored(parsed, Polled(records, ()), threading.Event())
        finally:
            self._drop()
        return self.done

    def lag(self) -> dict[int, int]:
        """{partition: records that are not stored yet}, asked now. Raises StreamFailed."""
        self.done.lag = self._opened().lag()
        return self.done.lag

    def close(self) -> None:
        self._drop()

    def _stored(self, parsed: Parsed, polled: Polled, stop: threading.Event) -> bool:
        """Store the batch, however often it takes; False when told to stop before it is."""
        pause = FIRST_PAUSE
        while True:
            try:
                along = Along(polled.offsets, parsed.letters, parsed.conflict, parsed.words)
                written = self._submit(parsed.events, along).result()
                break
            except (StoreError, LimitError, OSError) as error:
                self._complain(error)
                self.done.retries += 1
            except BadRequest:
                parsed = self._without_unkept(parsed)
                continue
            if stop.wait(pause):
                return False
            pause = min(2 * pause, LONGEST_PAUSE)
        self.done.trouble = ""
        self.done.records += len(polled.records)
        self.done.added += written.added
        self.done.unchanged += written.unchanged
        self.done.withheld += written.withheld
        self.done.words += sum(len(words) for _, words in parsed.words)
        known = written.added + written.unchanged + written.withheld
        self.done.dead += len(parsed.letters) + len(parsed.events) - known
        return True

    def _without_unkept(self, parsed: Parsed) -> Parsed:
        """The batch with what no store can keep as letters: found by asking for each alone, without storing it."""
        kept = Parsed([], [], list(parsed.letters))
        said = list(parsed.words)
        for number, (event, (source, line)) in enumerate(zip(parsed.events, parsed.places, strict=True)):
            before = []
            while said and said[0][0] <= number:
                before += said.pop(0)[1]
            kept.words.append((len(kept.events), before))
            try:
                self._submit([event], Along(said=[(0, before)])).result()
            except BadRequest as error:
                raw = msgspec.to_builtins(event)
                kept.letters.append(letter(Refusal.BAD_TEXT, str(error), raw=raw, source=source, line=line))
                continue
            kept.events.append(event)
            kept.places.append((source, line))
        kept.words.extend((len(kept.events), words) for _, words in said)
        return kept

    def _look_at_lag(self, stream: Stream) -> None:
        if time.monotonic() - self._asked_lag < 5.0:
            return
        self._asked_lag = time.monotonic()
        with suppress(BodegaError):
            self.done.lag = stream.lag()

    def _complain(self, error: Exception) -> None:
        what = error.what if isinstance(error, BodegaError) else str(error)
        if what != self.done.trouble:
            facts = error.as_dict() if isinstance(error, BodegaError) else {"error": str(error)}
            LOGGER.warning("stream: waiting, nothing is skipped", extra={"facts": facts})
        self.done.trouble = what

    def _opened(self) -> Stream:
        if self._stream is None:
            self._stream = self._open()
        return self._stream

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(Exception):
                stream.close()


class Consuming:
    """Consumers that run beside a server: started and stopped with it; `lag` is what its metrics show."""

    def __init__(self, consumer: Callable[[], Consumer], name: str) -> None:
        self.name = name
        self._make = consumer
        self._consumer: Consumer | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to read, in a thread of its own; starting twice is once."""
        if self._thread is None:
            self._stop.clear()
            self._consumer = self._make()
            self._thread = threading.Thread(
                target=self._consumer.run, args=(self._stop,), name="bodega-stream", daemon=True
            )
            self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Finish the batch at hand, leave the group."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(seconds)

    @property
    def done(self) -> Consumed:
        """What was read so far."""
        return self._consumer.done if self._consumer is not None else Consumed()

    def lag(self) -> dict[tuple[str, int], int]:
        """{(stream, partition): records that are not stored yet}, a few seconds old."""
        return {(self.name, number): count for number, count in self.done.lag.items()}
