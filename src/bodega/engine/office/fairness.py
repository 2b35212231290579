"""`shop.office.fairness`: exposure and quality by group, computed as a job over the last weeks of the log.

Pages come from the log of answers, from impressions where that log is empty. Groups of items are the columns of the
catalog: seller, brand, top category, how wanted an item was in those weeks' events, and one attribute that is chosen.
Only what may be learned from is read (consent), and only shares leave here: no ids, no group of fewer than `FEWEST`
shoppers in the table of quality. Cost: 5 s for 100,000 pages. Not for: enforcing anything (rules and quotas do).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from bodega.engine.office.jobs import Job, JobState
from bodega.engine.office.shop import OfficeShop, engine_of, newest_event
from bodega.errors import BadRequest
from bodega.insight.exposure import (
    ByWeek,
    Concentration,
    Exposed,
    Quality,
    by_week,
    concentration,
    exposure_by,
    popularity_deciles,
    quality_by,
)
from bodega.insight.shown_pages import Pages, pages_of, pages_shown
from bodega.protocols import AnswerStore, EventRows, Progress
from bodega.schema import ACTIVE, EVENT_CODES, ItemTable
from bodega.schema.arrays import Ints

DAYS, MOST_DAYS = 28, 366
BEFORE = 60
"""Days before the pages in which it is looked up whether a shopper is new."""
FEWEST = 5
"""Shoppers below which a group's quality is not told."""
STANDARD = ("popularity", "seller", "brand", "category")
DECILES = tuple(f"{number * 10}-{number * 10 + 10} %" for number in range(10))
_DAY = 86_400.0
_WANTED = [EVENT_CODES[name] for name in ACTIVE]


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """One way to divide the catalog."""

    by: str
    groups: tuple[Exposed, ...]
    weeks: tuple[ByWeek, ...]


class FairnessReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    time: float
    seconds: float
    days: int
    since: float
    until: float
    of: str
    """`answers` or `impressions`: what the pages were made of."""
    pages: int
    shoppers: int
    attribute: str
    attributes: tuple[str, ...]
    """What could be chosen."""
    dimensions: tuple[Dimension, ...] = ()
    silent: tuple[str, ...] = ()
    """Divisions that say nothing here: fewer than two groups."""
    concentration: Concentration | None = None
    quality: tuple[Quality, ...] = ()


class Fairness:
    """Exposure and quality of one shop, for a console."""

    def __init__(self, shop: OfficeShop, home: Path) -> None:
        self._shop = shop
        self._job = Job(home, "fairness", FairnessReport)

    def state(self) -> JobState:
        return self._job.state()

    def result(self) -> FairnessReport | None:
        """The last report."""
        return self._job.result()

    def attributes(self) -> tuple[str, ...]:
        """Columns by which the catalog can be divided."""
        return _divisible(self._table())

    def start(self, days: int = DAYS, attribute: str = "") -> bool:
        """Begin; False where one is under way. Raises BadRequest, StoreError."""
        if attribute and attribute not in self.attributes():
            raise BadRequest(
                "items cannot be divided by that", code="fairness.by",
                where="attribute", allowed=", ".join(self.attributes()) or "none",
                got=attribute[:40], next="choose one of them",
            )  # fmt: skip
        return self._job.start(lambda progress: self.report(progress, days, attribute))

    def run(self, days: int = DAYS, attribute: str = "") -> FairnessReport | None:
        """The same, waited for."""
        return self._job.run(lambda progress: self.report(progress, days, attribute))

    def report(self, progress: Progress, days: int = DAYS, attribute: str = "") -> FairnessReport:
        """Read and count. Same log, same report (only the times differ)."""
        began, table = time.time(), self._table()
        until = newest_event(self._shop)
        since = until - days * _DAY
        progress.start("read the pages")
        pages = self._pages(table, since)
        progress.finish()
        rng = np.random.default_rng(7)
        progress.start("count exposure", len(STANDARD) + 2)
        dimensions, silent = [], []
        for by in dict.fromkeys((*STANDARD, *((attribute,) if attribute else ()))):
            group, names = self._groups(table, by, since)
            if len({number for number in np.unique(group).tolist() if number >= 0}) < 2:
                silent.append(by)
            elif len(pages.time):
                found = tuple(exposure_by(pages, group, names, rng))
                dimensions.append(Dimension(by=by, groups=found, weeks=tuple(by_week(pages, group, names, len(table)))))
            progress.advance()
        uneven = concentration(pages, len(table), rng) if len(pages.time) else None
        progress.advance()
        quality = tuple(one for one in quality_by(pages, rng) if one.shoppers >= FEWEST)
        progress.finish()
        return FairnessReport(
            time=time.time(),
            seconds=round(time.time() - began, 1),
            days=days,
            since=since,
            until=until,
            of=pages.of,
            pages=len(pages.time),
            shoppers=int(pages.unit.max(initial=-1)) + 1,
            attribute=attribute,
            attributes=_divisible(table),
            dimensions=tuple(dimensions),
            silent=tuple(silent),
            concentration=uneven,
            quality=quality,
        )

    def _table(self) -> ItemTable:
        engine = engine_of(self._shop)
        return engine.shelf.base if engine is not None else ItemTable.of(self._shop.stores.catalog.scan())

    def _events(self, since: float) -> Iterator[EventRows]:
        yield from self._shop.privacy.learnable(self._shop.stores.events.since(since))

    def _pages(self, table: ItemTable, since: float) -> Pages:
        store: AnswerStore | None = getattr(self._shop.stores, "answers", None)
        if store is not None:
            # answers may be newer than the newest event: what is asked for now is a page, too
            found = pages_of(store.scan(since), self._events(since - BEFORE * _DAY), table.index)
            if len(found.time):
                return found
        return pages_shown(self._events(since), self._events(since - BEFORE * _DAY), table.index)

    def _groups(self, table: ItemTable, by: str, since: float) -> tuple[Ints, Sequence[str]]:
        if by == "popularity":
            wanted = np.zeros(len(table), np.int64)
            for rows in self._events(since):
                own = np.isin(rows.type, _WANTED)
                found = table.rows([name for name, kept in zip(rows.item, own.tolist(), strict=True) if kept])
                wanted += np.bincount(found, minlength=len(table))
            return popularity_deciles(wanted), DECILES
        column = table.coded[by]
        return column.first(), list(column.vocabulary)


def _divisible(table: ItemTable) -> tuple[str, ...]:
    """Columns of two to 5,000 values."""
    return tuple(
        sorted(
            name
            for name, column in table.coded.items()
            if name not in STANDARD and 2 <= len(column.vocabulary) <= 5_000
        )
    )
