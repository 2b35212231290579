"""What is watched for drift, read from the stored events: what people ask, want, pay and click, and what is new.

    queries       the mix of what is searched                    categories   the mix of what is wanted
    prices        of what is wanted (logarithm)                  scores       how popular the snapshot thinks it is
    clicks.search clicked or only shown, on results pages        clicks.lists the same on all other lists
    places        at which place of a list is clicked            new_items    wanted, and newer than the snapshot

The window is the last day (or as asked) of the log, the reference the weeks before it; when it is an alarm, says
`evaluation.drift`. The last report is kept in the shop's folder, so that a server warns of what a timer found.
Cost: reads the window and the reference from the store: a second for 300,000 events. Not for: each request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bodega.evaluation.drift import Sample, Signal, watch
from bodega.events import build_log
from bodega.protocols import EventRows, Source
from bodega.retrieval.popular import Popular
from bodega.schema import EVENT_CODES, INTEREST, ItemTable, Log
from bodega.schema.arrays import Flags, Floats, Ints, Longs
from bodega.schema.said import Said
from bodega.settings import Ingest

DAY = 86_400.0
FILE = "drift.json"
"""In the shop's folder: the last report."""
_CLICK, _SHOWN, _SEARCH = (EVENT_CODES[name] for name in ("click", "impression", "search"))
_WANTED = [EVENT_CODES[name] for name in INTEREST]


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What was compared, and what drifted."""

    until: float
    """End of the window, seconds since 1970 UTC."""
    days: int
    """Length of the window."""
    reference_days: int
    signals: tuple[Signal, ...]
    silent: tuple[str, ...]
    """What had too few events to be judged."""

    @property
    def alarms(self) -> tuple[Signal, ...]:
        return tuple(signal for signal in self.signals if signal.drifted)

    @property
    def warnings(self) -> tuple[str, ...]:
        """For `/readyz` and `bodega doctor`, one line an alarm."""
        return tuple(each.text for each in self.said)

    @property
    def said(self) -> tuple[Said, ...]:
        """The same with their codes."""
        return tuple(
            Said(
                "drift",
                f"drift: {each.name} ({each.measure} {each.value:.3g}, usually below {each.limit:.3g}; "
                f"{'; '.join(each.moved[:1])}); next: bodega drift, then bodega learn",
                {
                    "signal": f"@said.signal_{each.name}",
                    "measure": each.measure,
                    "value": float(f"{each.value:.3g}"),
                    "limit": float(f"{each.limit:.3g}"),
                },
            )
            for each in self.alarms
        )

    @property
    def levels(self) -> dict[str, float]:
        """{signal: value / limit}, for metrics: 1 and more is an alarm."""
        return {each.name: round(each.level, 4) for each in self.signals}


@dataclass(frozen=True, slots=True)
class Watching:
    """What a report is made of."""

    items: ItemTable
    sources: Mapping[str, Source]
    ingest: Ingest
    seed: int = 7


def since_of(until: float, days: int, reference: int) -> int:
    """From where on events are needed, in microseconds since 1970."""
    return int((until - (days + reference) * DAY) * 1e6)


def drift(chunks: Iterable[EventRows], made: Watching, *, days: int = 1, reference: int = 28) -> DriftReport:
    """Compare the last `days` of these events with the `reference` days before. Same events, same report."""
    log, _ = build_log(chunks, made.items, made.ingest)
    until = float(log.time[-1]) if len(log) else 0.0
    log = log.where(log.time > until - (days + reference) * DAY)
    rng = np.random.default_rng(made.seed)
    signals: list[Signal] = []
    silent: list[str] = []
    for sample in _samples(log, until, made):
        found = watch(sample, days, rng)
        if found is None:
            silent.append(sample.name)
        else:
            signals.append(found)
    return DriftReport(until, days, reference, tuple(signals), tuple(silent))


def _samples(log: Log, until: float, made: Watching) -> Iterable[Sample]:
    day = np.floor((until - log.time) / DAY).astype(np.int32)

    def of(name: str, rows: Flags, values: np.ndarray[Any, Any], labels: tuple[str, ...] = ()) -> Sample:
        return Sample(name, values[rows], log.session[rows], day[rows], labels)

    wanted = np.isin(log.type, _WANTED) & (log.item >= 0)
    leaf = _with_last(made.items.leaf_category, -1)[log.item]
    yield of("queries", _asked(log), log.query, log.queries)
    categories = tuple(made.items.coded["category"].vocabulary) if "category" in made.items.coded else ()
    yield of("categories", wanted & (leaf >= 0), leaf, categories)
    price = np.append(made.items.numbers["price"], np.nan)[log.item].astype(np.float64)
    known = np.isfinite(price) & (price > 0)
    yield of("prices", wanted & known, np.log(np.where(known, price, 1.0)))
    level = _levels(made)[log.item].astype(np.float64)
    yield of("scores", wanted & np.isfinite(level), level)
    looked = (log.type == _SHOWN) | ((log.type == _CLICK) & (log.position >= 0))
    clicked = (log.type == _CLICK).astype(np.int64)
    words = log.query >= 0
    yield of("clicks.search", looked & words, clicked, ("shown", "clicked"))
    yield of("clicks.lists", looked & ~words, clicked, ("shown", "clicked"))
    place = np.minimum(np.maximum(log.position, 0), 49).astype(np.int64)
    at = tuple(f"place {number}" for number in range(50))
    yield of("places", (log.type == _CLICK) & (log.position >= 0), place, at)
    newer = _newer(log, made)
    yield of("new_items", np.isin(log.type, _WANTED), newer, ("known", "new"))


def _asked(log: Log) -> Flags:
    """Searches; in a log without search events, everything that names its query."""
    searches: Flags = (log.type == _SEARCH) & (log.query >= 0)
    return searches if searches.any() else log.query >= 0


def _newer(log: Log, made: Watching) -> Longs:
    """1 where an item was first wanted in the week before the event, or is newer than the table."""
    first = np.full(len(made.items) + 1, np.inf)
    np.minimum.at(first, log.item, log.time)
    begun = float(log.time[0]) if len(log) else 0.0
    fresh = (log.time - first[log.item] < 7 * DAY) & (first[log.item] > begun + 7 * DAY)
    found: Longs = (fresh | (log.item < 0)).astype(np.int64)
    return found


def _levels(made: Watching) -> Floats:
    popular = made.sources.get("popular")
    known = isinstance(popular, Popular) and len(popular.level) == len(made.items)
    level = popular.level if isinstance(popular, Popular) and known else np.full(len(made.items), np.nan, np.float32)
    return np.append(level, np.float32(np.nan)).astype(np.float32)


def _with_last(codes: Ints, last: int) -> Ints:
    return np.append(codes, last).astype(np.int32)


def keep(report: DriftReport, folder: Path) -> None:
    """Write the report into the shop's folder."""
    made = folder / f".{FILE}.new"
    made.write_bytes(msgspec.json.encode(report))
    made.replace(folder / FILE)


def kept(folder: Path) -> DriftReport | None:
    """The last report; None where there is none, or none that can be read."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=DriftReport)
    except (OSError, msgspec.MsgspecError):
        return None
