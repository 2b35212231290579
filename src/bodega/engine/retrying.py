"""Can what was put aside be used now? Dead events are parsed again; those that pass are stored and leave the box.

An event "from the future" passes once its time has come, an "old" one after `ingest.oldest_days` was changed, an
unknown spelling after an upgrade. A letter leaves the box only after its event is on disk: killed in between, it is
tried again and found stored. Conflicts stay: the first delivery is kept. Rows longer than a letter keeps (10,000
characters) stay too; those of a stream are read again from their place (`bodega consume --replay`).
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import msgspec

from bodega.events import EventReader, Refusal
from bodega.events.clock import Clock
from bodega.protocols import DeadLetterBox, Written
from bodega.schema import DeadLetter, Event
from bodega.settings import Settings

BATCH = 1_000


class Takes(Protocol):
    """`shop.events`, as far as it is needed here."""

    def submit(self, events: list[Event]) -> Future[Written]: ...


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of the letters."""

    tried: int = 0
    stored: int = 0
    known: int = 0
    """Stored before, by another delivery."""
    left: int = 0


def retry(events: Takes, dead: DeadLetterBox, settings: Settings, *, reason: str = "", limit: int = 10_000) -> Retried:
    """Try the newest `limit` dead events again. Raises StoreError."""
    reader, now = EventReader(settings), Clock().now()
    letters = dead.list(kind="event", reason=reason, limit=limit)
    stored = known = 0
    for start in range(0, len(letters), BATCH):
        mended = [(one, event) for one in letters[start : start + BATCH] if (event := _event(one, reader, now))]
        if not mended:
            continue
        written = events.submit([event for _, event in mended]).result()
        refused = set(written.conflicts)
        dead.remove([one for one, event in mended if event.id not in refused])
        stored += written.added
        known += written.unchanged
    return Retried(len(letters), stored, known, len(letters) - stored - known)


def _event(letter: DeadLetter, reader: EventReader, now: float) -> Event | None:
    """The event that the letter's row is now, if it is one."""
    if letter.reason == Refusal.CONFLICT:
        return None
    try:
        row = msgspec.json.decode(letter.raw)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    found = reader.read(row, now=now, source=letter.source, line=letter.line) if isinstance(row, dict) else None
    return found if isinstance(found, Event) else None
