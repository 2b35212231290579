"""What is other than when the served snapshot was made? Items, rules, settings, drift, events, warnings.

Cost: one look at the trail of the rules and at the settings file, and a count of the events since (1 us each).
Not for: what to do about it; `bodega learn` takes all of it in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bodega.engine.answer import Engine
from bodega.engine.drifting import DriftReport, Watching, drift, since_of
from bodega.engine.intake import Stores
from bodega.engine.privacy import Privacy
from bodega.engine.rulebooks import Rules
from bodega.engine.snapshot import SnapshotInfo
from bodega.insight.attribution import Logbook
from bodega.insight.counting import DAY
from bodega.insight.reports import Change, iso
from bodega.protocols import EventRows, EventStore
from bodega.schema.said import Said
from bodega.settings import FILE as SETTINGS
from bodega.settings import Ingest, Settings

_COUNTED = (
    ("items", "changes_since_snapshot", "{count} items changed and already count"),
    ("waiting", "changes_waiting", "{count} changed items wait for the next learn"),
)
TOLD = 20
"""Details of one kind that are named."""
FAR = 36_500 * DAY


class Watched(Protocol):
    """The shop, as far as it is told of; `engine.shop.Shop` fits."""

    folder: Path
    settings: Settings
    privacy: Privacy
    rules: Rules

    @property
    def stores(self) -> Stores: ...
    def snapshots(self) -> list[SnapshotInfo]: ...
    def standing(self) -> dict[str, Any]: ...
    def drifted(self) -> DriftReport | None: ...


def changes_of(shop: Watched, logbook: Logbook) -> tuple[str, str, list[Change]]:
    """(snapshot, when it was made, what is other since)."""
    current = next((info for info in shop.snapshots() if info.current), None)
    if current is None:
        return "", "", []
    made, standing = current.time.timestamp(), shop.standing()
    found: list[Change] = []
    for what, key, text in _COUNTED:
        if count := int(standing.get(key, 0)):
            found.append(Change(what, count, text.format(count=f"{count:,}")))
    rules = [line for line in shop.rules.history(limit=200) if line.time.timestamp() > made]
    if rules:
        names = tuple(f"{line.what} {line.rule} ({line.who})" for line in rules[:TOLD])
        found.append(Change("rules", len(rules), f"{len(rules)} changes of merchandising rules", names))
    file = shop.folder / SETTINGS
    if file.is_file() and file.stat().st_mtime > made:
        found.append(Change("settings", 1, f"{SETTINGS} was written at {iso(int(file.stat().st_mtime * 1e6))}"))
    report = shop.drifted()
    if report is not None and report.until > float(current.facts.get("from") or 0.0) and report.alarms:
        names = tuple(alarm.name for alarm in report.alarms)
        said = tuple(Said(f"signal_{name}", name) for name in names)
        text = f"{len(names)} signals are no longer what was learned from"
        found.append(Change("drift", len(names), text, names, said))
    until = current.facts.get("until")
    if isinstance(until, int | float):
        since = int(until * 1e6) + 1
        count = sum(events for _, events in logbook.rows(since, since + FAR).values())
        if count:
            found.append(Change("events", count, f"{count:,} events since the newest one that was learned from"))
    warned = [msgspec.convert(each, Said) for each in standing.get("said", ())[:TOLD]]
    found += [Change("warning", 1, each.text, said=(each,)) for each in warned]
    return current.id, iso(int(made * 1e6)), found


Learnable = Callable[[Iterable[EventRows]], Iterable[EventRows]]


def drift_of(engine: Engine, events: EventStore, learnable: Learnable, asked: tuple[Ingest, int, int]) -> DriftReport:
    """The last days against the weeks before, of what this engine learned from; `asked`: (ingest, days, reference)."""
    (ingest, days, reference), newest = asked, time.time()
    if engine.learned.live is not None:
        engine.learned.live.settle()
        newest = engine.learned.live.newest
    newest = newest if math.isfinite(newest) else time.time()
    made = Watching(engine.shelf.base, engine.learned.sources, ingest)
    chunks = events.scan(since=since_of(newest, days, reference))
    return drift(learnable(chunks), made, days=days, reference=reference)
