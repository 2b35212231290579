"""Who sees which arm on this page, and what does an arm answer from?

    taken(raw, asked)   which running experiments this request takes part in, and by which arm; None for most shops
    page(taken, ...)    the page of those arms: an engine over the same models with other dials, or over another
                        snapshot; or one list drafted from two arms

Nobody takes part who is nobody in particular, asked for no personalisation, or did not agree that statistics are made
of what they do. Arms are told to no shopper; the log of answers has them. Changes made by other processes on the same
store are noticed by comparing one number, at most once a second while requests come in.
Cost: nothing when nothing runs (one look at the clock); 1 us a page for three experiments once a shopper is known.
Not for: what people do with experiments (`experiments`), nor what came of them (`insight.trying`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bodega.engine.answer import Engine
from bodega.engine.deadline import TooLate
from bodega.engine.deadline import now as clock
from bodega.engine.dials import settings_of
from bodega.engine.experiments.beside import Beside
from bodega.engine.experiments.mixing import LONGEST, Mixed, mixed, whole
from bodega.engine.experiments.sticky import Sticky
from bodega.engine.hearing import Kind
from bodega.engine.intake import Stores
from bodega.engine.learn import Parts
from bodega.engine.online import Shoppers
from bodega.engine.patience import STORE, Line
from bodega.engine.privacy import Privacy
from bodega.engine.rulebooks import Rules
from bodega.engine.snapshot import Snapshots
from bodega.engine.trials import Trials
from bodega.errors import BodegaError, NotLearned
from bodega.evaluation.experiments import assigned
from bodega.protocols import ExperimentStore
from bodega.schema import Event, Page, Request
from bodega.schema.experiments import Arm, KeptExperiment
from bodega.settings import Settings

LOOK_EVERY = 1.0
"""Seconds between two looks at what other processes changed."""
FRESH = 60.0
"""Seconds for which it is remembered who decides for a shopper."""
KEPT = 50_000
ENGINES = 64
BOTH = "interleaved"
"""What the log calls the arm of a list that both drafted."""
LOGGER = logging.getLogger("bodega.experiments")
Decided = tuple[KeptExperiment, Arm]
Turned = tuple[tuple[str, str], ...]
"""((experiment, arm), ...) of the arms on a page that change anything."""


class Around(Protocol):
    """What the experiments of a shop stand in; `Shop` fits."""

    folder: Path
    settings: Settings
    privacy: Privacy
    rules: Rules
    shoppers: Shoppers
    trials: Trials | None

    @property
    def stores(self) -> Stores: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def learned(self) -> bool: ...
    def told(self, kind: Kind, body: bytes = b"") -> None: ...
    def turn(self, turned: Mapping[str, float | str | bool]) -> None: ...
    def rollback(self, snapshot: str = "") -> str: ...


@dataclass(frozen=True, slots=True)
class Taken:
    """The part a request takes in what runs."""

    unit: str
    arms: dict[str, str]
    """{experiment: arm}, of the experiments that are no interleaving."""
    turned: Turned
    mixed: KeptExperiment | None = None
    """The interleaving that this list is drafted for."""

    @property
    def logged(self) -> dict[str, str]:
        """The arms as the log of answers keeps them."""
        return self.arms if self.mixed is None else {**self.arms, self.mixed.id: BOTH}


class Serving:
    """Which arm answers a page. Safe from several threads."""

    def __init__(self, around: Around, snapshots: Snapshots, parts: Parts | None) -> None:
        self._around = around
        self._snapshots = snapshots
        self._parts = parts
        self._cursor = -1
        self._looked = -LOOK_EVERY
        self._running: tuple[KeptExperiment, ...] = ()
        self._known: dict[str, KeptExperiment] = {}
        self._beside: dict[str, Beside] = {}
        self._failed: dict[str, str] = {}
        """{snapshot that could not be opened: why}."""
        self._engines: OrderedDict[Turned, tuple[Engine, Any, Engine, Trials | None]] = OrderedDict()
        self._trials: dict[Turned, Trials] = {}
        self._decided: OrderedDict[tuple[str, str], tuple[Decided, ...]] = OrderedDict()
        self._decided_since = 0.0
        self._over = ""
        """The current snapshot when it was last looked what can be served."""
        self._lock = threading.RLock()
        self.line: Line | None = None
        """The way to a store on another machine."""
        self.sticky = Sticky(self._store)
        snapshots.needed = self._needed

    @property
    def _store(self) -> ExperimentStore:
        return self._around.stores.experiments

    # -- on a page ------------------------------------------------------------------------------------------------

    @property
    def running(self) -> tuple[KeptExperiment, ...]:
        """What runs and can be served here; a second behind other processes, never behind this one."""
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            if self.line is not None and self._cursor >= 0:
                self.line.behind("experiments", self.refresh)
            else:
                self._look()
        return self._running

    def _look(self) -> None:
        try:
            clock().remotely(STORE, self.refresh)
        except TooLate:
            pass
        except BodegaError as error:
            LOGGER.error("%s", error.what, extra={"facts": error.as_dict()})
        except Exception as error:  # a page is never refused for its experiments
            LOGGER.error("the experiments could not be read", exc_info=error)

    def taken(self, raw: Request, asked: Request) -> Taken | None:
        """What a request takes part in. `raw` is as it came, `asked` under the shopper's key (`Privacy.asked`)."""
        running = self.running
        if not running or not raw.personal or not (asked.user or asked.session):
            return None
        unit = f"u:{asked.user}" if asked.user else f"s:{asked.session}"
        now = time.time()
        arms: dict[str, str] = {}
        turned: list[tuple[str, str]] = []
        drafted: KeptExperiment | None = None
        for kept, fixed in self._arms(unit, asked, raw):
            each = kept.experiment
            if each.places and asked.place not in each.places:
                continue
            if each.kind == "interleaving":
                if drafted is None and asked.offset + asked.k <= LONGEST:
                    drafted = kept
                continue
            arm = fixed if each.by == "shopper" else assigned(each, unit, now)
            if arm is not None:
                arms[each.id] = arm.name
                if arm.settings or arm.snapshot:
                    turned.append((each.id, arm.name))
        if not arms and drafted is None:
            return None
        if arms:
            self.sticky.note(unit, arms, now)
        return Taken(unit, arms, tuple(turned), drafted)

    def _arms(self, unit: str, asked: Request, raw: Request) -> tuple[Decided, ...]:
        """(experiment, arm) of all that this shopper is in, remembered for a minute."""
        moment = time.monotonic()
        if moment - self._decided_since > FRESH:
            self._decided, self._decided_since = OrderedDict(), moment
        key = (unit, raw.session if asked.user else "")
        held = self._decided.get(key)
        if held is None:
            held = self._decided[key] = self._decide(unit, asked, raw)
            if len(self._decided) > KEPT:
                self._decided.popitem(last=False)
        return held

    def _decide(self, unit: str, asked: Request, raw: Request) -> tuple[Decided, ...]:
        privacy, running = self._around.privacy, self._running
        session = privacy.border.name("session", raw.session) if raw.session else ""
        try:
            if not privacy.standing(asked.user, asked.session).learning:
                return ()
            first: dict[str, str] = {}
            if asked.user:
                users = privacy.of_user(asked.user).users or (asked.user,)
                first = self.sticky.first(users, session, min(each.started for each in running))
        except BodegaError as error:  # whoever it is takes no part while that is not known
            LOGGER.error("%s", error.what, extra={"facts": error.as_dict()})
            return ()
        found = []
        for kept in running:
            shown = next((arm for arm in kept.experiment.arms if arm.name == first.get(kept.id)), None)
            arm = shown or assigned(kept.experiment, unit, time.time())
            if arm is not None:
                found.append((kept, arm))
        return tuple(found)

    def page(self, taken: Taken, request: Request) -> tuple[Page, Mixed | None]:
        """The page of these arms. Raises BadRequest, NotLearned."""
        if taken.mixed is None:
            return self._page(taken.turned, request), None
        each, asked = taken.mixed.experiment, whole(request)
        first, second = ((*taken.turned, (each.id, arm.name)) for arm in each.arms)
        control = self._page(self._acting(first), asked, tries=False)
        other = self._page(self._acting(second), asked, tries=False)
        made = mixed(request, control, other, f"{each.id}\0{taken.unit}")
        return made.page, made

    def _page(self, turned: Turned, request: Request, *, tries: bool = True) -> Page:
        """What these arms answer. A list that is drafted from tries nothing out: nobody sees it as it is."""
        around = self._around
        engine, trials = self._engine(turned) if turned else (around.engine, around.trials)
        return engine.answer(request, around.rules.book, trials if tries else None)

    def _acting(self, turned: Turned) -> Turned:
        """Those of the arms that change anything."""
        return tuple(each for each in turned if (arm := self._arm(each)).settings or arm.snapshot)

    def _arm(self, named: tuple[str, str]) -> Arm:
        return next(arm for arm in self._known[named[0]].experiment.arms if arm.name == named[1])

    def _engine(self, turned: Turned) -> tuple[Engine, Trials | None]:
        """The engine of these arms, over what the shop serves now; made when it is first asked for."""
        base = self._around.engine
        arms = [self._arm(each) for each in turned]
        name = next((arm.snapshot for arm in arms if arm.snapshot), "")
        beside = self._beside.get(name) if name and name != base.learned.snapshot else None
        over = beside.shelf if beside is not None else base
        held = self._engines.get(turned)
        if held is not None and held[0] is base and held[1] is over:
            return held[2], held[3]
        with self._lock:
            settings = base.settings
            for arm in arms:
                settings = settings_of(settings, arm.settings)
            learned, shelf = (base.whole, base.shelf) if beside is None else (beside.learned, beside.shelf)
            engine = Engine(learned, shelf, base.shoppers, settings)
            trials = self._trials_of(turned, settings)
            self._engines[turned] = (base, over, engine, trials)
            if len(self._engines) > ENGINES:
                self._engines.popitem(last=False)
            return engine, trials

    def _trials_of(self, turned: Turned, settings: Settings) -> Trials | None:
        """What an arm tries out: the shop's own beliefs, unless it tries out something else."""
        if settings.explore == self._around.settings.explore:
            return self._around.trials
        if settings.explore.off:
            return None
        if turned not in self._trials:
            self._trials[turned] = Trials(self._around.stores.decisions, settings.explore)
        return self._trials[turned]

    # -- what else goes on ----------------------------------------------------------------------------------------

    def observe(self, events: Sequence[Event], learnable: Sequence[Event]) -> None:
        """What became durable, and what of it may be learned from."""
        for trials in list(self._trials.values()):
            trials.observe(events)
        for beside in list(self._beside.values()):
            beside.observe(learnable)

    def restock(self) -> None:
        """Take over what changed in the store and in the catalog, and another current snapshot."""
        self.refresh()
        if self._running and self._current() != self._over:
            with self._lock:
                self._serve()
        for beside in list(self._beside.values()):
            beside.restock(self._around.stores.catalog)

    def refresh(self) -> bool:
        """Take over what changed in the store; was there anything? Raises StoreError."""
        with self._lock:
            self._looked = time.monotonic()
            cursor = self._store.cursor()
            if cursor == self._cursor:
                return False
            before, known = self._known, {each.id: each for each in self._store.list()}
            first, self._known = self._cursor < 0, known
            self._cursor = cursor
            self._serve()
        for each in known.values():
            was = before.get(each.id)
            if not first and was is not None and was.state != "finished" and each.state == "finished":
                self._adopt(each)
        return True

    def _serve(self) -> None:
        """Answer from now on by what is known. What needs a snapshot that is not open yet waits for a thread."""
        self._over = self._current()
        wanted = {each.id: each for each in self._known.values() if each.state == "running"}
        missing = {name for each in wanted.values() for name in self._missing(each)}
        ready = [each for each in wanted.values() if not self._missing(each)]
        self._running = tuple(sorted(ready, key=lambda each: each.id))
        self._decided, self._decided_since = OrderedDict(), time.monotonic()
        needed = {arm.snapshot for each in wanted.values() for arm in each.experiment.arms if arm.snapshot}
        self._beside = {name: held for name, held in self._beside.items() if name in needed}
        running = {each.id for each in ready}
        self._engines = OrderedDict(
            (key, held) for key, held in self._engines.items() if all(name in running for name, _ in key)
        )
        for key in [key for key in self._trials if not all(name in running for name, _ in key)]:
            self._trials.pop(key).close()
        if not wanted:
            self.sticky.clear()
        for name in missing - set(self._failed):
            threading.Thread(target=self._open, args=(name,), name="bodega-beside", daemon=True).start()

    def _current(self) -> str:
        """The snapshot that the shop itself answers from."""
        return self._around.engine.learned.snapshot if self._around.learned else ""

    def _missing(self, kept: KeptExperiment) -> list[str]:
        """Snapshots that this experiment needs and that are not open here."""
        current = self._current()
        return [
            arm.snapshot
            for arm in kept.experiment.arms
            if arm.snapshot and arm.snapshot != current and arm.snapshot not in self._beside
        ]

    def _open(self, name: str) -> None:
        """Open a snapshot and let its experiments run; on a thread of its own."""
        around = self._around
        try:
            if self._parts is None:
                raise NotLearned("this shop has no models", code="experiment.no_models", where=name)
            beside = Beside(name, self._snapshots, self._parts)
            beside.follow(around.stores.events, around.privacy, around.shoppers, around.settings)
            beside.restock(around.stores.catalog)
        except Exception as error:
            self._failed[name] = str(error)
            LOGGER.error(
                "an experiment's snapshot could not be opened", extra={"facts": {"snapshot": name}}, exc_info=error
            )
            return
        with self._lock:
            self._beside[name] = beside
            self._serve()

    def unserved(self) -> dict[str, str]:
        """{running experiment that this process cannot serve: why}."""
        out = {}
        for each in self._known.values():
            broken = [name for name in self._missing(each) if name in self._failed] if each.state == "running" else []
            if broken:
                out[each.id] = f"snapshot {broken[0]} cannot be opened: {self._failed[broken[0]]}"
        return out

    def _needed(self) -> set[str]:
        """Snapshots that running experiments answer from: they are not cleared away."""
        held = [each for each in self._store.list() if each.state == "running"]
        return {arm.snapshot for each in held for arm in each.experiment.arms if arm.snapshot}

    def _adopt(self, kept: KeptExperiment) -> None:
        """Everybody gets the promoted arm from now on."""
        arm = next((each for each in kept.experiment.arms if each.name == kept.promoted), None)
        if arm is None:
            return
        if arm.settings:
            self._around.turn(arm.settings)
        if arm.snapshot and arm.snapshot != self._snapshots.current():
            self._around.rollback(arm.snapshot)
        LOGGER.info("promoted", extra={"facts": {"experiment": kept.id, "arm": arm.name}})

    def close(self) -> None:
        for trials in self._trials.values():
            trials.close()
