"""The whole shop behind one door: put items and events in, let it learn, ask it.

`Shop` owns no bytes and picks no parts (`wiring` does): it takes open stores and keeps one engine in memory that is
replaced, never changed, when the catalog changes or a new snapshot is published. Calls are safe from several threads.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bodega import failpoints
from bodega.engine import browse
from bodega.engine.answer import Engine
from bodega.engine.answering_log import AnsweringLog
from bodega.engine.asking import Asks
from bodega.engine.changed import drift_of
from bodega.engine.correcting import FOLDER as CORRECTIONS
from bodega.engine.correcting import Correcting, forget_corrections
from bodega.engine.deadline import Clock, is_timed, timed
from bodega.engine.drifting import DriftReport, keep, kept
from bodega.engine.erasure import Erasures
from bodega.engine.experiments.door import Experiments, Taken
from bodega.engine.experiments.promoting import promoted
from bodega.engine.experiments.reading import log_of
from bodega.engine.front import Front
from bodega.engine.gallery import Gallery
from bodega.engine.hearing import Hearing, Kind
from bodega.engine.insights import Insight
from bodega.engine.intake import Catalog, Events, Stores
from bodega.engine.judged.door import JudgedDoors, Judgments
from bodega.engine.knowledge import Knowledge
from bodega.engine.learn import Encoded, LearnReport, Opened, Parts, learn, open_learned
from bodega.engine.live import Overlay
from bodega.engine.loop.contest import Interleaved
from bodega.engine.loop.door import Loop, LoopDoors
from bodega.engine.office import Office
from bodega.engine.online import Shoppers
from bodega.engine.patience import Patience, line_of, patiently
from bodega.engine.photo import Photos
from bodega.engine.preview import most_asked
from bodega.engine.privacy import Doors, Privacy
from bodega.engine.profiles import ItemProfile, profile_of
from bodega.engine.relations import Connection, Relations, connections, relations_of
from bodega.engine.remembering import remember
from bodega.engine.reviews import Reviews, load_opinions
from bodega.engine.rulebooks import Rules
from bodega.engine.shelf import Shelf
from bodega.engine.snapshot import SnapshotInfo, Snapshots
from bodega.engine.steering import Steering, around
from bodega.engine.trials import Trials, shown_to
from bodega.engine.vitals import dependencies, vitals, warned
from bodega.engine.warming import ask_around
from bodega.engine.why_not import WhyNot, why_not
from bodega.engine.workshop import Bench, Workshop
from bodega.errors import NotLearned
from bodega.events import build_log
from bodega.events.border import Border
from bodega.events.consuming import Consuming
from bodega.events.pseudonyms import Secrets
from bodega.protocols import EventRows, KeyStore, News, NoProgress, Progress, Summarises
from bodega.schema import Completion, Context, Event, ItemTable, Page, Request
from bodega.settings import Settings
from bodega.understanding.query.synonyms import Proposal, mine

LOGGER = logging.getLogger("bodega.engine")
COUNTED = 100_000
"""Newest events whose second delivery is told apart by counters in memory (the store tells all)."""
DELTA_LIMIT = 20_000
"""More catalog changes than this since the snapshot wait for the next `learn` (only deletions act at once)."""


class Shop(Asks):
    """One shop: `catalog`, `events`, `learn`, and every list on its pages. Open one with `bodega.open(folder)`."""

    def __init__(self, folder: Path, settings: Settings, stores: Stores, parts: Parts, analytics: Summarises) -> None:
        self.folder = folder
        self.settings = settings
        self.stores = stores
        self.analytics = analytics
        self.catalog = Catalog(self)
        self.events = Events(self)
        self.rules = Rules(
            stores.rules,
            ask=lambda request, book: self.engine.answer(request, book),
            asked=lambda: most_asked(stores.events, settings.understand.people),
        )
        self.knowledge = Knowledge(folder, stores, settings.knowledge)
        """What is known of items beside what the shop typed in."""
        keys = Secrets(folder)
        doors = Doors(
            stores.people,
            stores.events,
            keys,
            Border(keys, pseudonyms=settings.privacy.pseudonyms),
            forget=self._forget_states,
            recount=self.recount,
            tell=lambda states: self.told(Kind.FORGET if states else Kind.RESTOCK),
            reviews=stores.reviews,
        )
        self.privacy = Privacy(doors, settings.privacy)
        """Who asks, and what they agreed to."""
        line = line_of(settings)
        self.privacy.patience = Patience("identity", line)
        self.rules.line = line
        self.reviews = Reviews(stores, self.privacy, settings)
        """What shoppers write of items."""
        self.front = Front(lambda: self.engine, stores.reviews, settings)
        """What a shop front asks beside lists."""
        self.shoppers = Shoppers(patiently(self.privacy.steps, line), limit=settings.answer.history)
        self.trials = None if settings.explore.off else Trials(stores.decisions, settings.explore)
        """What is tried out, and what came of it; None while every dial is off."""
        if self.trials is not None:
            self.trials.keeps = lambda each: not self.privacy.is_buried(shown_to(each))
        self.answering = AnsweringLog.of(stores.answers, settings.answers, self.privacy)
        self.insight = Insight.of(self)
        """What happens in the shop, by day, live and by query."""
        self._parts = parts
        self._snapshots = Snapshots.of(folder, settings.snapshots.url)
        self.erasures = Erasures(folder, self.privacy, self._snapshots, reset=self.recount)
        """Forget somebody, and prove it."""
        self.steering = Steering(around(self, self._snapshots, parts))
        """How pages come about, and what rules would have done."""
        self.experiments = Experiments(self, self._snapshots, parts)
        """What is compared on shoppers, and which arm a page is answered by."""
        self.experiments.line = line
        self._study(parts)
        self._empty()

    def _empty(self) -> None:
        self._engine: Engine | None = None
        self._catching: Overlay | None = None
        """Counts that are being made from the stored events."""
        self._cursor = 0
        self._waiting: set[str] = set()
        """Items whose newest state waits for the next `learn`."""
        self._counted: OrderedDict[str, None] = OrderedDict()
        """Ids of the newest events that counters hold: one that is delivered twice counts once."""
        self._arriving: list[Event] | None = None
        """Events that came while a snapshot was being opened."""
        self._lock = threading.RLock()
        self.gallery: Gallery | None = None
        """The pictures of items; `wiring` gives it."""
        self.photos = Photos(None)
        """What looks at photos; `wiring` gives it an encoder."""
        self.consuming: Consuming | None = None
        """What reads the shop's stream while it is served; None without one. `consuming.lag()` for metrics."""
        self._hearing: Hearing | None = None
        """The shop's other processes; None where this one is alone."""
        self.office = Office(self)
        """What the people who run the shop look at."""

    def _study(self, parts: Parts) -> None:
        """What learns beside the pages: candidates, judgments, the loop."""
        stores, settings, folder, people = self.stores, self.settings, self.folder, self.privacy.people
        taught = (parts, self._taught)
        bench = Bench(stores.catalog, stores.events, people, self.knowledge, *taught, self.shoppers, settings)
        self.workshop = Workshop(self._snapshots, bench)

        def found(query: str, k: int) -> list[str]:
            return self.engine.answer(Request(place="search", query=query, k=k, personal=False)).ids

        doors = (people, found, self.workshop.systems, stores.answers.scan)
        self.judgments = Judgments(JudgedDoors(folder, stores, settings, *doors))
        """Who says how well items answer queries, and what is made of it."""
        looped = LoopDoors(folder, settings, stores.events, self.workshop, self.judgments, promote=self.promote)
        contest = Interleaved(lambda: self.experiments, lambda: log_of(stores, self.privacy), settings.loop)
        self.loop = Loop(replace(looped, contest=contest))
        """The shop learns by itself, and serves what proved itself."""

    # -- learning -------------------------------------------------------------------------------------------------

    def learn(self, progress: Progress | None = None) -> LearnReport:
        """Train, evaluate, publish a snapshot and serve it (or refuse, and say why in the report)."""
        forgotten, who = self.erasures.waiting(), self.privacy.people()
        stores, said = self.stores, progress or NoProgress()
        if self.gallery is not None and self.settings.pictures.learn:
            self.gallery.look(said)
        parts = self._taught(self._parts)
        report = learn(stores.catalog, stores.events, self._snapshots, parts, said, who=who, known=self.knowledge)
        self.office.models.learned(report)
        if report.published:
            self.reload()
            self.erasures.followed(forgotten, report.snapshot)
        return report

    def _taught(self, parts: Parts) -> Parts:
        """The parts with what is learned from beside catalog and log."""
        return replace(parts, reviews=self.reviews.lesson(), judged=self.judgments.lesson())

    def reload(self, opened: Opened | None = None) -> str:
        """Serve the current snapshot (verified); the swap is atomic, requests in flight finish on the old one.

        `opened` is one that was opened before; it is used if it is the current one still.
        """
        with self._lock:
            if opened is None or opened.learned.snapshot != self._snapshots.current():
                opened = open_learned(self._snapshots, self._parts)
            arriving: list[Event] = []
            self._arriving = arriving
            try:
                learned = replace(
                    opened.learned, live=self._counted_since(opened), correcting=self._corrected_since(opened)
                )
                remembered = remember(learned.ordering, opened, self._stored_since(opened))
            except BaseException:
                self._arriving = self._catching = None
                raise
            engine = Engine(learned, Shelf.of(opened.items), self.shoppers, self.settings)
            browse.prepare(engine.shelf)
            self.reviews.opinions = load_opinions(self._snapshots.folder / opened.learned.snapshot)
            if failpoints.ON:
                failpoints.reach("shop.reload")
            if self._engine is not None:
                ask_around(engine)  # somebody is answered from the old one meanwhile
            self._engine, self._cursor, self._waiting, self._catching = engine, opened.cursor, set(), None
            self._arriving = None
            self.knowledge.open(opened.folder)
            remembered.add(learned.ordering, opened, arriving)
            self.restock()
            return opened.learned.snapshot

    def _counted_since(self, opened: Opened) -> Overlay | None:
        """What happened since the snapshot, counted from the stored events; None where that is switched off.

        What is acknowledged meanwhile is counted too: the counts are told of it before they are served.
        """
        if not self.settings.updates.counts:
            return None
        live = Overlay(opened.learned.sources, opened.items, opened.until, self.settings)
        self._catching = live
        live.replay(self.privacy.learnable(self.stores.events.scan(chunk=20_000, since=live.since)))
        return live

    def _corrected_since(self, opened: Opened) -> Correcting | None:
        """The small steps that were taken on top of this snapshot; None where they are switched off."""
        if not self.settings.updates.steps:
            return None
        if self._engine is not None and self._engine.learned.correcting is not None:
            self._engine.learned.correcting.close()
        correcting = Correcting(opened.learned.snapshot, self.folder / CORRECTIONS)
        correcting.tell = lambda body: self.told(Kind.STEPS, body)
        return correcting

    def _stored_since(self, opened: Opened) -> Iterable[EventRows]:
        """The events later than the snapshot's newest one that models may be made of."""
        since = -math.inf if opened.until is None else opened.until
        return self.privacy.learnable(self.stores.events.since(since, chunk=50_000))

    def restock(self) -> None:
        """Take in what changed in the catalog and the rules since they were last looked at."""
        self.rules.refresh()
        self.privacy.refresh()
        self.knowledge.refresh()
        self.experiments.restock()
        with self._lock:
            if self._engine is None:
                return
            if failpoints.ON:
                failpoints.reach("catalog.restock")
            cursor, changes = self.stores.catalog.changes(self._cursor)
            if not changes:
                return
            engine, waiting = self._engine, set(self._waiting)
            if len(engine.shelf.changed) + len(changes) > DELTA_LIMIT:
                waiting.update(name for name, item in changes if item is not None)
                changes = [change for change in changes if change[1] is None]
            waiting.difference_update(name for name, _ in changes)
            told = warned(engine.learned.warnings, len(self._waiting), len(waiting), DELTA_LIMIT)
            engine = Engine(
                replace(engine.whole, warnings=told),
                engine.shelf.with_changes(changes, self.knowledge.fill), self.shoppers, self.settings,
            )  # fmt: skip
            self._engine, self._cursor, self._waiting = engine, cursor, waiting

    def observe(self, events: Sequence[Event]) -> None:
        """Take in events that are durable: the next answer knows them."""
        if failpoints.ON:
            failpoints.reach("events.observe")
        self.shoppers.observe(self.privacy.known(events))
        fresh = [event for event in events if not event.id or event.id not in self._counted]
        for event in fresh:
            self._counted[event.id] = None
        while len(self._counted) > COUNTED:
            self._counted.popitem(last=False)
        if self.trials is not None:
            self.trials.observe(events)
        fresh, durable = list(self.privacy.taught(fresh)), fresh
        self.experiments.observe(durable, fresh)
        self.insight.observe(fresh)
        if self._catching is not None:
            self._catching.observe(fresh)
        if self._arriving is not None:
            self._arriving.extend(fresh)
        if self._engine is not None:
            self._engine.observe(fresh)
            if self._engine.learned.correcting is not None:
                self._engine.learned.correcting.observe(fresh)

    def stepped(self, told: bytes) -> None:
        """Another process of this shop took these steps: take them, too."""
        if self._engine is not None and self._engine.learned.correcting is not None:
            self._engine.learned.correcting.heard(told)

    def stored_before(self, ids: Sequence[str]) -> None:
        """These events were delivered again: whatever counts has them already."""
        self._counted.update(dict.fromkeys(ids))

    def join(self, news: News) -> None:
        """Tell the shop's other processes what is taken in here, and hear them before every answer."""
        self._hearing = Hearing(news, self)

    def catch_up(self) -> None:
        """Take in what other processes did; every answer does it first."""
        if self._hearing is not None:
            self._hearing.catch_up()

    def acknowledged(self, events: Sequence[Event]) -> None:
        """These events are durable: known to the next answer of every process of this shop when this returns."""
        try:
            self.observe(events)
        finally:
            if self.shoppers.shared:
                self.shoppers.share(self.privacy.known(events))
            if self._hearing is not None:
                self._hearing.tell_events(events)

    def told(self, kind: Kind, body: bytes = b"") -> None:
        """Let the other processes know of a change that is no event."""
        if self._hearing is not None:
            self._hearing.tell(kind, body)

    def forget(self) -> None:
        """Drop the states of all shoppers; they are read again from the store when they come. What was counted since
        the snapshot is counted again."""
        self.privacy.refresh()
        self._forget_states()
        threading.Thread(target=self.recount, name="recount", daemon=True).start()

    def _forget_states(self, users: Sequence[str] = (), sessions: Sequence[str] = ()) -> None:
        if users or sessions:
            self.shoppers.forget(users=users, sessions=sessions)
        else:
            self.shoppers.forget_all()
        self.insight.forget()
        self.answering.flush(2.0)  # a line that was judged before somebody was forgotten lies in the store, then
        self.steering.forget()
        if self.trials is not None:
            self.trials.reload()
        forget_corrections(self.folder, self._engine.learned.correcting if self._engine is not None else None)

    def recount(self) -> None:
        """Count again what happened since the snapshot, from the stored events as they are now (people may have been
        erased, events imported). Cost: 20 microseconds an event since the snapshot."""
        engine = self._engine
        forget_corrections(self.folder, engine.learned.correcting if engine is not None else None)
        held = engine.learned.live if engine is not None else None
        if held is None:
            return
        self._catching = live = held.anew()
        live.replay(self.privacy.learnable(self.stores.events.scan(chunk=20_000, since=live.since)))
        with self._lock:
            engine = self._engine
            if engine is not None and engine.learned.live is held:  # else another snapshot came, with its own counts
                self._engine = engine.counting(live)
            if self._catching is live:
                self._catching = None

    @property
    def learned(self) -> bool:
        """Is there a snapshot to answer from?"""
        return self._engine is not None or bool(self._snapshots.infos())

    @property
    def engine(self) -> Engine:
        """The engine over the current snapshot, opened at the first use. Raises NotLearned, SnapshotCorrupt."""
        engine = self._engine
        if engine is None:
            self.reload()
            engine = self._engine
        if engine is None:
            raise NotLearned("this shop has not learned yet", where=str(self.folder), next="run `bodega learn`")
        return engine

    # -- answering ------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Page:
        """One page. Raises BadRequest, NotLearned."""
        self.catch_up()
        asked = self.photographed(self.privacy.asked(request))
        taken = self.experiments.taken(request, asked)
        if is_timed():
            return self._noted(asked, taken)
        chosen = self.settings.answer
        with timed(Clock(chosen.deadline_ms or math.inf, chosen.remote_ms)):
            return self._noted(asked, taken)

    def _noted(self, request: Request, taken: Taken | None) -> Page:
        """The page, by the arms that this shopper is in; the log of answers keeps both."""
        if taken is None:
            page = self.engine.answer(request, self.rules.book, self.trials)
            self.answering.note(request, page)
            return page
        page, drafted = self.experiments.page(taken, request)
        teams, credit = (drafted.teams, drafted.credit) if drafted is not None else ((), ())
        self.answering.note(request, page, arms=taken.logged, teams=teams, credit=credit)
        return page

    def photographed(self, request: Request) -> Request:
        """The request with its photo looked at. Raises BadPicture, BadRequest, TooLarge, Overloaded."""
        return self.photos.asked(request, self.engine.learned.sources.get("pictures")) if request.image else request

    def why_not(self, request: Request, item: str) -> WhyNot:
        """At which step of answering this request the item falls out, in words; changes nothing.

        Raises BadRequest, NotLearned.
        """
        self.catch_up()
        request = self.photographed(self.privacy.asked(request))
        return why_not(self.engine, request, item, self.rules.book)

    def suggest(
        self, prefix: str, k: int = 8, *, user: str = "", session: str = "", personal: bool = True
    ) -> list[Completion]:
        """Completions of what was typed so far; among near-equals, those near this shopper's history come first."""
        self.catch_up()
        engine, context = self.engine, None
        if personal and (user or session):
            try:
                who = self.privacy.asked(Request(place="search", user=user, session=session))
                history = self.shoppers.history(who.user, who.session, engine.shelf.base)
                context = Context(place="search", history=history.items)
            except Exception as error:  # a store that is away takes the shopper's history from a suggestion, no more
                LOGGER.warning("suggested without a history", extra={"facts": {"why": type(error).__name__}})

        def completed() -> list[Completion]:
            if failpoints.ON:
                failpoints.reach("suggest.complete")
            return engine.completing.complete(prefix, k, context=context)

        return engine.health.ask("suggestions", completed, lambda: engine.ladder.complete(prefix, k))

    def synonyms(self, people: int | None = None) -> list[Proposal]:
        """Words that shoppers seem to use for the same thing, mined from the whole log, the surest first: for review.

        `people`: different people that must have asked on each side (default: `understand.people`). Nothing changes
        until one becomes a rule (`bodega rules mine --add`). Cost: reads the catalog and the log as `learn` does.
        """
        items = ItemTable.of(self.stores.catalog.scan())
        log, _ = build_log(self.stores.events.scan(), items, self.settings.ingest, self.privacy.people())
        return mine(log, people=self.settings.understand.people if people is None else people)

    def relations(self, item: str, *, relation: str = "", k: int = 10) -> Relations:
        """What an item is, and what others are to it: variants, substitutes, upgrades, complements, accessories, what
        the shop links. Raises BadRequest (also where `learn.knowledge` is off), UnknownItem, NotLearned."""
        self.catch_up()
        return relations_of(self.engine, item, relation=relation, k=k)

    def connections(self, one: str, other: str, *, language: str = "", k: int = 5) -> list[Connection]:
        """How two items hang together, in words, the strongest way first. Raises as `relations`."""
        return connections(self.engine, one, other, language=language or self.settings.language, k=k)

    def profile(self, item: str, *, k: int = 10) -> ItemProfile:
        """How much each part of what is known of an item counts, and what it is near to. Raises BadRequest (also where
        no profiles were learned), UnknownItem, NotLearned."""
        self.catch_up()
        return profile_of(self.engine, item, k=k)

    def fields(self) -> list[str]:
        """What can be filtered and counted here, sorted."""
        shelf = self.engine.shelf
        return browse.fields(shelf.base, shelf.delta)

    def values(self, field: str) -> list[str]:
        """Every value that a text field takes in the catalog (paths for `category`), sorted; none for other fields."""
        shelf = self.engine.shelf
        columns = [table.coded[field] for table in (shelf.base, shelf.delta) if field in table.coded]
        return sorted({value for column in columns for value in column.vocabulary})

    # -- operating ------------------------------------------------------------------------------------------------

    @property
    def keys(self) -> KeyStore:
        """API keys: create, list, revoke."""
        return self.stores.keys

    def published(self) -> str:
        """Id of the snapshot that ought to be served, "" where there is none. One small file is read."""
        return self._snapshots.current()

    def snapshots(self) -> list[SnapshotInfo]:
        return self._snapshots.infos()

    def share(self, snapshot: str = "") -> str:
        """Send a snapshot (default: the newest of this folder) to the shared folder and serve it everywhere."""
        chosen = self._snapshots.share(snapshot)
        self.reload()
        return chosen

    def turn(self, dials: Mapping[str, float | str | bool]) -> None:
        """Turn dials of the settings (`engine.dials`) for good: in the file, and for the very next page."""
        with self._lock:
            explores, self.settings = self.settings.explore, promoted(self.folder, self.settings, dials)
            if self.settings.explore != explores:
                held, chosen = self.trials, self.settings.explore
                self.trials = None if chosen.off else Trials(self.stores.decisions, chosen)
                if held is not None:
                    held.close()
            if self._engine is not None:
                self._engine = Engine(self._engine.whole, self._engine.shelf, self.shoppers, self.settings)

    def promote(self, snapshot: str, began: float) -> str:
        """Serve a candidate of the loop whose learning began at that moment; erasures from before it are followed."""
        forgotten = [receipt for receipt in self.erasures.waiting() if receipt.time.timestamp() <= began]
        chosen = self.share(snapshot)
        self.erasures.followed(forgotten, chosen)
        return chosen

    def rollback(self, snapshot: str = "") -> str:
        """Serve an older snapshot (default: the one before); returns its id."""
        chosen = self._snapshots.rollback(snapshot)
        self.reload()
        return chosen

    def health(self) -> dict[str, Any]:
        """Facts for `bodega doctor`: how much there is, and `standing`. Counts tables: not for every second."""
        return {"items": self.catalog.count(), "events": self.events.count(), **self.standing()}

    def ping(self) -> None:
        """Ask the store for next to nothing. Raises StoreError when it does not answer."""
        self.stores.catalog.cursor()

    def dependencies(self) -> dict[str, str]:
        """{what it leans on beside the store: "ok", or what is wrong}, from memory."""
        return dependencies(self.shoppers, self.consuming, self._engine)

    def vitals(self) -> dict[str, Mapping[str, float]]:
        """What metrics show of the shop, by kind and label, from memory."""
        told = vitals(self.shoppers, self.consuming, self._engine)
        return told | {"experiments": self.experiments.vitals(), "answers": self.answering.vitals()}

    def standing(self) -> dict[str, Any]:
        """Facts for `/readyz`, all from memory: snapshot, encoders {source: EncoderInfo}, warnings, what waits."""
        engine = self._engine
        sources = engine.learned.sources if engine else {}
        infos = {name: source.info for name, source in sources.items() if isinstance(source, Encoded)}
        return {
            "snapshot": engine.learned.snapshot if engine else "",
            "warnings": [*engine.learned.warnings, *self._alarms(engine)] if engine else [],
            "changes_since_snapshot": len(engine.shelf.changed) if engine else 0,
            "changes_waiting": len(self._waiting),
            "encoders": {name: asdict(info) for name, info in infos.items() if info is not None},
            "ready": engine is not None,
        }

    def _alarms(self, engine: Engine) -> tuple[str, ...]:
        """What else an operator should know: bounds of the counts since the snapshot, and what has drifted."""
        report = self.drifted()
        return (*(engine.live.warnings if engine.live else ()), *(report.warnings if report else ()))

    def drift(self, *, days: int = 1, reference: int = 28) -> DriftReport:
        """Is the shop still the one that was learned from? The last `days` of the log against the weeks before.

        The report is kept in the shop's folder: `health` warns of its alarms. Cost: reads those weeks of events.
        """
        asked = (self.settings.ingest, days, reference)
        report = drift_of(self.engine, self.stores.events, self.privacy.learnable, asked)
        keep(report, self.folder)
        return report

    def drifted(self) -> DriftReport | None:
        """The last report of `drift`, by whichever process; None where there was none."""
        return kept(self.folder)

    def close(self) -> None:
        self.answering.close()
        self.insight.close()
        self.experiments.close()
        if self.trials is not None:
            self.trials.close()
        if self._engine is not None and self._engine.learned.correcting is not None:
            self._engine.learned.correcting.close()
        if self.consuming is not None:
            self.consuming.stop()
        self.shoppers.close()
        self.stores.close()
        if self._hearing is not None:
            self._hearing.close()

    def __enter__(self) -> Shop:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
