"""The whole shop behind one door: put items and events in, let it learn, ask it.

`Shop` owns no bytes and picks no parts (`wiring` does): it takes open stores and keeps one engine in memory that is
replaced, never changed, when the catalog changes or a new snapshot is published. Calls are safe from several threads.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bodega import failpoints
from bodega.engine import browse
from bodega.engine.answer import Engine
from bodega.engine.answering_log import AnsweringLog
from bodega.engine.asking import Asks
from bodega.engine.changed import drift_of
from bodega.engine.deadline import Clock, is_timed, timed
from bodega.engine.drifting import DriftReport, keep, kept
from bodega.engine.erasure import Erasures
from bodega.engine.experiments.door import Experiments, Taken
from bodega.engine.experiments.promoting import promoted
from bodega.engine.front import Front
from bodega.engine.gallery import Gallery
from bodega.engine.hearing import Hearing, Kind
from bodega.engine.insights import Insight
from bodega.engine.intake import Catalog, Events, Stores
from bodega.engine.judged.door import Judgments
from bodega.engine.knowledge import Knowledge
from bodega.engine.learn import LearnReport, Opened, Parts, learn
from bodega.engine.loop.door import Loop
from bodega.engine.office import Office
from bodega.engine.online import Shoppers
from bodega.engine.patience import Patience, line_of, patiently
from bodega.engine.photo import Photos
from bodega.engine.preview import most_asked
from bodega.engine.privacy import Doors, Privacy
from bodega.engine.profiles import ItemProfile, profile_of
from bodega.engine.relations import Connection, Relations, connections, relations_of
from bodega.engine.renewing import merged
from bodega.engine.reviews import Reviews
from bodega.engine.rulebooks import Rules
from bodega.engine.served import Served
from bodega.engine.snapshot import SnapshotInfo, Snapshots
from bodega.engine.steering import Steering, around
from bodega.engine.studying import Studies
from bodega.engine.suggesting import suggested
from bodega.engine.trials import Trials, shown_to
from bodega.engine.vitals import dependencies, standing, vitals
from bodega.engine.why_not import WhyNot, why_not
from bodega.events import build_log
from bodega.events.border import Border
from bodega.events.consuming import Consuming
from bodega.events.pseudonyms import Secrets
from bodega.protocols import KeyStore, News, NoProgress, Progress, Summarises
from bodega.schema import Completion, Event, ItemTable, Page, Request
from bodega.settings import Settings
from bodega.understanding.query.synonyms import Proposal, mine

LOGGER = logging.getLogger("bodega.engine")


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
        self._parts, self._snapshots = parts, Snapshots.of(folder, settings.snapshots.url)
        self.erasures = Erasures(folder, self.privacy, self._snapshots, reset=self.recount)
        """Forget somebody, and prove it."""
        self.steering = Steering(around(self, self._snapshots, parts))
        """How pages come about, and what rules would have done."""
        self.experiments = Experiments(self, self._snapshots, parts)
        """What is compared on shoppers, and which arm a page is answered by."""
        self.experiments.line = line
        self.served = Served(self, self._snapshots, lambda: self._parts)
        """The engine that answers, and how another one takes its place."""
        studies = Studies.of(self, self._snapshots, (parts, self._taught))
        self.workshop = studies.workshop
        self.judgments: Judgments = studies.judgments
        self.loop: Loop = studies.loop
        """Who says how well items answer queries; the shop that learns by itself."""
        self.office = Office(self)
        """What the people who run the shop look at."""
        self._equip()

    def _equip(self) -> None:
        """What others put in: `wiring`, other processes."""
        self.gallery: Gallery | None = None
        """The pictures of items; `wiring` gives it."""
        self.photos = Photos(None)
        """What looks at photos; `wiring` gives it an encoder."""
        self.consuming: Consuming | None = None
        """What reads the shop's stream while it is served; None without one. `consuming.lag()` for metrics."""
        self._hearing: Hearing | None = None
        """The shop's other processes; None where this one is alone."""

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
        return self.served.reload(opened)

    def restock(self) -> None:
        """Take in what changed in the catalog and the rules since they were last looked at."""
        self.rules.refresh()
        self.privacy.refresh()
        self.knowledge.refresh()
        self.experiments.restock()
        self.served.restock()

    def observe(self, events: Sequence[Event]) -> None:
        """Take in events that are durable: the next answer knows them."""
        if failpoints.ON:
            failpoints.reach("events.observe")
        self.shoppers.observe(self.privacy.known(events))
        fresh = self.served.fresh(events)
        if self.trials is not None:
            self.trials.observe(events)
        fresh, durable = list(self.privacy.taught(fresh)), fresh
        self.experiments.observe(durable, fresh)
        self.insight.observe(fresh)
        self.served.observe(fresh)

    def stepped(self, told: bytes) -> None:
        """Another process of this shop took these steps: take them, too."""
        if self.served.correcting is not None:
            self.served.correcting.heard(told)

    def stored_before(self, ids: Sequence[str]) -> None:
        """These events were delivered again: whatever counts has them already."""
        self.served.stored_before(ids)

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
        self.served.forget_steps()

    def recount(self) -> None:
        """Count again what happened since the snapshot, from the stored events as they are now (people may have been
        erased, events imported). Cost: 20 microseconds an event since the snapshot."""
        self.served.recount()

    @property
    def learned(self) -> bool:
        """Is there a snapshot to answer from?"""
        return self.served.now is not None or bool(self._snapshots.infos())

    @property
    def engine(self) -> Engine:
        """The engine over the current snapshot, opened at the first use. Raises NotLearned, SnapshotCorrupt."""
        return self.served.engine

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
        return suggested(self, prefix, k, Request(place="search", user=user, session=session) if personal else None)

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
        with self.served.lock:
            self._act_by(promoted(self.folder, self.settings, dials))

    def renew(self, fresh: Settings) -> bool:
        """Act by settings that were changed since the start, as far as they need no restart (`engine.renewing`)."""
        with self.served.lock:
            chosen = merged(self.settings, fresh)
            if chosen == self.settings:
                return False
            self._act_by(chosen)
        self.answering.renew(chosen.answers)
        self.judgments.renew(chosen)
        self.experiments.guard.renew(chosen)
        return True

    def _act_by(self, chosen: Settings) -> None:
        explores, self.settings = self.settings.explore, chosen
        if chosen.explore != explores:
            held = self.trials
            self.trials = None if chosen.explore.off else Trials(self.stores.decisions, chosen.explore)
            if held is not None:
                held.close()
        self.served.turned()

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
        return dependencies(self.shoppers, self.consuming, self.served.now)

    def vitals(self) -> dict[str, Mapping[str, float]]:
        """What metrics show of the shop, by kind and label, from memory."""
        told = vitals(self.shoppers, self.consuming, self.served.now)
        return told | {"experiments": self.experiments.vitals(), "answers": self.answering.vitals()}

    def standing(self) -> dict[str, Any]:
        """Facts for `/readyz`, all from memory: snapshot, encoders {source: EncoderInfo}, warnings, what waits."""
        return standing(self.served.now, len(self.served.waiting), self.drifted())

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
        self.served.close()
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
