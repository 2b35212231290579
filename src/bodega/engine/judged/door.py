"""`shop.judgments`: who says how well items answer queries, and what is made of it.

    from_clicks   the log says it, places taken out, thin evidence silent
    queue, put    people of the shop say it
    ask           a language model says it, marked as such and believed only once it has proved itself
    agreement     how far they agree
    report        whether the served snapshot answers judged queries worse than the one before
    gold          one grade a pair: what `learn` and the gate of the loop go by

Nothing of this happens while a page is answered. Cost: stated at each. Not for: keeping bytes
(`protocols.JudgmentStore`).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from bodega.engine.judged import report as reports
from bodega.engine.judged.clicks import ClickReport, asked_by, judged_by_clicks, search_log
from bodega.engine.judged.lesson import JudgedLesson
from bodega.engine.judged.llm import Judges, LlmJudge
from bodega.engine.judged.queue import QueueEntry, queue
from bodega.engine.judged.report import FOLDER, Ranks, RelevanceReport
from bodega.errors import BadRequest, NotLearned
from bodega.evaluation.judgments import Compared, Gold, agreements, judge_name, merged
from bodega.evaluation.judgments.grading import Model
from bodega.events.gathering import People
from bodega.protocols import CatalogStore, EventStore, JudgmentStore, NoProgress, Progress, Written
from bodega.schema import Item, ItemTable, Log
from bodega.schema.answers import Answered
from bodega.schema.judgments import Judgment, JudgmentCount, fold_query
from bodega.settings import Settings

ASKED = "queries.json"
DAY = 86_400.0
PATIENT = 0.5
"""Seconds that a page waits for queries that are being counted: of 1.7 million events with few searches all of .3."""
LOGGER = logging.getLogger("bodega.judgments")
AT_ONCE = 1_000
"""Judgments taken in one call."""


class Stores(Protocol):
    """What judgments are made of and kept in."""

    @property
    def catalog(self) -> CatalogStore: ...
    @property
    def events(self) -> EventStore: ...
    @property
    def judgments(self) -> JudgmentStore: ...


@dataclass(frozen=True, slots=True)
class JudgedDoors:
    """What `Judgments` asks of its shop."""

    folder: Path
    stores: Stores
    settings: Settings
    people: Callable[[], People | None]
    search: Callable[[str, int], Sequence[str]]
    """Ids of the first k items for a query, as served."""
    systems: Callable[[], tuple[Mapping[str, Ranks], str, str]]
    """({`served`, `before` where there is one, `bm25`: ranks}, the served snapshot, the one before)."""
    answers: Callable[[float], Iterable[Answered]] = lambda _: ()
    """What was answered since a moment."""
    now: Callable[[], float] = time.time


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """How far judging has come."""

    counts: tuple[JudgmentCount, ...]
    queries: int
    """Judged queries that count."""
    pairs: int
    origins: dict[str, int]
    asked: int
    """Queries that enough people asked."""
    llm: bool
    """Does the language model count?"""
    needed: int
    """From so many judged queries on `learn` uses them."""
    counting: bool = False
    """Is somebody still counting who asked what? Then `asked` is of the last time, or 0."""


class Judgments:
    """The door; see above."""

    def __init__(self, doors: JudgedDoors) -> None:
        self._doors = doors
        self.folder = doors.folder
        self._store = doors.stores.judgments
        self._settings = doors.settings
        self._asked: list[tuple[str, int]] | None = None
        self._counted = 0.0
        """When that was, seconds since 1970; 0: not known yet."""
        self._counting: threading.Thread | None = None
        self._lock = threading.Lock()

    def renew(self, settings: Settings) -> None:
        """Judge by these from now on."""
        self._settings = settings

    # -- judges ---------------------------------------------------------------------------------------------------

    def from_clicks(self, model: Model | None = None, progress: Progress | None = None) -> ClickReport:
        """Grade what shoppers clicked; the judgments of the same model are made anew. Cost: one read of the log."""
        said, chosen = progress or NoProgress(), self._settings.judgments
        said.start("read the log")
        log, items, answered = self._log()
        said.finish()
        said.start("grade the clicks")
        people = self._settings.understand.people
        found, report = judged_by_clicks(log, items, people, model or chosen.model, from_answers=answered)
        self._remember(asked_by(log, people))
        held = sum(
            each.judgments for each in self._store.counts() if (each.origin, each.who) == ("clicks", report.model)
        )
        told = self._store.replace("clicks", report.model, found)
        said.finish()
        removed = held - told.changed - told.unchanged
        return replace(report, added=told.added, changed=told.changed, removed=removed)

    def put(self, judgments: Sequence[Judgment], *, who: str) -> Written:
        """What a person says. Raises BadRequest for more than 1,000 at once, or an item that was never for sale."""
        if len(judgments) > AT_ONCE:
            raise BadRequest(
                "too many judgments at once",
                code="judgments.too_many",
                where="judgments",
                allowed=f"{AT_ONCE:,}",
                got=f"{len(judgments):,}",
            )
        named = [msgspec.structs.replace(each, origin="human", who=who) for each in judgments]
        self._known(named)
        return self._store.put([_folded(each) for each in named])

    def take(self, judgments: Sequence[Judgment]) -> Written:
        """Opinions of whatever judge, as `export` wrote them."""
        return self._store.put([_folded(each) for each in judgments])

    def delete(self, query: str, item: str, *, who: str) -> int:
        """Take an opinion of one's own back."""
        return self._store.delete([(fold_query(query), item, "human", who)])

    def ask(self, limit: int = 50, *, judge: Judges | None = None, progress: Progress | None = None) -> Written:
        """Let the language model judge the first ten of the most asked queries that it has not judged yet.

        Raises BadSettings (none is set), MissingExtra, EndpointFailed. Cost: one request a query.
        """
        asked, judge, said = self.asked(), judge or LlmJudge(self._settings), progress or NoProgress()
        done = {
            (each.query, each.item) for each in self._store.scan() if (each.origin, each.who) == ("llm", judge.model)
        }
        added, left = Written(), limit
        said.start(f"ask {judge.model}", limit)
        for query, _ in asked:
            items = [item for item in self._items(query) if (query, item.id) not in done]
            if not items:
                continue
            told = self._store.put(judge.judge(query, items))
            added = Written(added.added + told.added, added.changed + told.changed, added.unchanged + told.unchanged)
            said.advance()
            left -= 1
            if left == 0:
                break
        said.finish()
        return added

    # -- what they say --------------------------------------------------------------------------------------------

    def find(
        self, *, query: str = "", origin: str = "", who: str = "", limit: int = 100, offset: int = 0
    ) -> Sequence[Judgment]:
        """In the order of queries and items."""
        wanted = fold_query(query)
        return self._store.list(query=wanted, origin=origin, who=who, limit=limit, offset=offset)

    def scan(self) -> Iterator[Judgment]:
        """Everything, in order."""
        return self._store.scan()

    def gold(self) -> Gold:
        """One grade a pair."""
        return merged(self._store.scan(), self._rng())

    def lesson(self) -> JudgedLesson:
        """What `learn` may weigh the search by: what people (and a proven model) said; it grades clicks itself."""
        chosen = self._settings.judgments
        held = list(self._store.scan())
        gold = merged(held, self._rng(), apart="clicks")
        return JudgedLesson(gold.grades, chosen.model, self._settings.understand.people, chosen.queries)

    def agreement(self) -> list[Compared]:
        """How far judges agree: Cohen's kappa of every two, with intervals."""
        return agreements(list(self._store.scan()), self._rng())

    def progress(self) -> Judged:
        """How far judging has come."""
        gold, (asked, counting) = self.gold(), self.asked_soon()
        return Judged(
            counts=tuple(self._store.counts()),
            queries=len(gold.grades),
            pairs=len(gold),
            origins=dict(gold.origins),
            asked=len(asked),
            llm=gold.llm,
            needed=self._settings.judgments.queries,
            counting=counting,
        )

    def queue(self, who: str, limit: int = 10) -> list[QueueEntry]:
        """What is worth this person's judgment, of the queries that are counted by now."""
        return queue(self.asked_soon()[0], self._store.scan(), self._items, who, limit)

    def asked(self) -> list[tuple[str, int]]:
        """(query, people) of queries that enough people asked, as of the last count. Cost: reads the searches of the
        log where they were never counted."""
        if self._asked is None and not self._recalled():
            self._count()
        return self._asked or []

    @property
    def counting(self) -> bool:
        """Is somebody counting who asked what?"""
        return self._counting is not None and self._counting.is_alive()

    def asked_soon(self) -> tuple[list[tuple[str, int]], bool]:
        """The same for who cannot wait, and whether somebody is still counting: what is not known, or a day old, is
        counted beside."""
        with self._lock:
            known = self._asked is not None or self._recalled()
            thread = self._counting
            if (not known or time.time() - self._counted > DAY) and not self.counting:
                thread = threading.Thread(target=self._counted_beside, name="bodega-asked", daemon=True)
                self._counting = thread
                thread.start()
        if thread is not None and not known:
            thread.join(PATIENT)
        return self._asked or [], self.counting

    # -- what is made of it ---------------------------------------------------------------------------------------

    def report(self, progress: Progress | None = None) -> RelevanceReport:
        """The served snapshot on every judged query, against the one before and plain words; kept in the folder.

        Raises NotLearned.
        """
        said, gold = progress or NoProgress(), self.gold()
        said.start("open the snapshots")
        systems, snapshot, before = self._doors.systems()
        said.finish()
        found = reports.relevance(gold, systems, said, self._settings.learn.seed)
        other = "before" if "before" in systems else "bm25"
        report = RelevanceReport(
            time=self._doors.now(),
            snapshot=snapshot,
            before=before,
            queries=len(found.queries),
            judgments=len(gold),
            origins=dict(gold.origins),
            figures=found.figures(),
            changes={name: found.change(name) for name in systems if name != "served"},
            unjudged=round(found.unjudged, 4),
            worst=found.moved(other, 1.0),
            best=found.moved(other, -1.0),
        )
        reports.keep(report, self.folder)
        return report

    def reports(self, limit: int = reports.KEPT) -> list[RelevanceReport]:
        """Those of the last nights, newest first."""
        return reports.kept(self.folder, limit)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _log(self, items: ItemTable | None = None) -> tuple[Log, ItemTable, bool]:
        stores, days = self._doors.stores, self._settings.judgments.days
        items = ItemTable.of(stores.catalog.scan()) if items is None else items
        answers = self._doors.answers(0.0)
        log, answered = search_log(stores.events, items, self._settings, who=self._doors.people(), answers=answers)
        if len(log):  # the newest days of the log, not of the calendar: a shop that was imported has a past, too
            log = log.where(log.time >= log.time[-1] - days * DAY)
        return log, items, answered

    def _items(self, query: str) -> list[Item]:
        try:
            ids = list(self._doors.search(query, 10))
        except NotLearned:
            return []
        held = self._doors.stores.catalog.get(ids)
        return [held[name] for name in ids if name in held]

    def _known(self, judgments: Sequence[Judgment]) -> None:
        ids = list({each.item for each in judgments})
        held = self._doors.stores.catalog.get(ids)
        missing = next((name for name in ids if name not in held), None)
        if missing is not None:
            raise BadRequest(
                "the catalog holds no such item", code="judgments.no_item", where="judgments.item", got=missing[:200]
            )

    def _recalled(self) -> bool:
        """Was it counted before, by whichever process?"""
        path = self.folder / FOLDER / ASKED
        try:
            self._asked = msgspec.json.decode(path.read_bytes(), type=list[tuple[str, int]])
            self._counted = path.stat().st_mtime
        except (OSError, msgspec.MsgspecError):
            return False
        return True

    def _count(self) -> None:
        """Who asked what? Needs no items: what was wanted is not asked."""
        log, _, _ = self._log(ItemTable.of(()))
        self._remember(asked_by(log, self._settings.understand.people))

    def _counted_beside(self) -> None:
        try:
            self._count()
        except Exception as error:  # the page says what is known; the next look tries again
            LOGGER.error("searches could not be counted for judging", exc_info=error)

    def _remember(self, asked: list[tuple[str, int]]) -> None:
        self._asked, self._counted = asked, time.time()
        own = self.folder / FOLDER
        own.mkdir(parents=True, exist_ok=True)
        made = own / f".{ASKED}.{os.getpid()}"
        made.write_bytes(msgspec.json.encode(asked))
        made.replace(own / ASKED)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self._settings.learn.seed)


def _is(count: JudgmentCount, origin: str, who: str) -> bool:
    return (count.origin, count.who) == (origin, who)


def _folded(judgment: Judgment) -> Judgment:
    return msgspec.structs.replace(judgment, query=fold_query(judgment.query))


__all__ = ["ClickReport", "Judged", "JudgedDoors", "Judgments", "judge_name"]
