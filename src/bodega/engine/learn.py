"""How does a shop learn? Read, split by time, fit, weigh, judge, fit again on everything, publish.

The log is cut at two moments for everybody. Sources learn from what lies before the first, weights are fitted per
place on the window between, figures are taken on the window after the second, which nothing was chosen on. The models
that are judged see neither window, so the printed figures are those of a shop that last learned some weeks ago: the
published models, fitted on everything, are fresher. A leak check runs on every set of cases.
Cost: two fits of the sources that learn from events and one of the others; see `bodega demo --check`.
Not for: public data sets with their own protocol (`bodega bench recommend`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np

from bodega import __version__, failpoints
from bodega.engine.answer import Learned
from bodega.engine.choosing import choose_rare
from bodega.engine.finding import Rewords, Understands
from bodega.engine.judged.lesson import JudgedLesson
from bodega.engine.judging import PlaceReport, Trial, judge_place, judge_rewording, weigh_place
from bodega.engine.places import DEFAULT_WEIGHTS, PLACES
from bodega.engine.reviews import Learnt, Lesson, save_opinions
from bodega.engine.snapshot import Snapshots
from bodega.errors import EndpointFailed, MissingExtra, NotLearned
from bodega.evaluation import TimeSplit, by_time
from bodega.events import LogFacts, build_log
from bodega.events.gathering import People
from bodega.features import State
from bodega.protocols import CatalogStore, EncoderInfo, EventStore, Progress, Source, Trainable, Training
from bodega.ranking.fit import FEWEST
from bodega.ranking.fuse import Fusion
from bodega.ranking.learned import Ordering
from bodega.schema import ItemTable, Log, World
from bodega.settings import Settings

UNDERSTANDING = "understanding"
ORDERING = "ordering"
"""Folders of a snapshot."""


@runtime_checkable
class Understanding(Understands, Protocol):
    """What takes queries apart, and can be kept."""

    def save(self, folder: Path) -> None: ...


class Unneeded(Exception):
    """Raised by a maker of `Parts`: this shop has nothing for this source to learn from. Not worth a word."""


class Knows(Protocol):
    """What is known of items beside what the shop typed in."""

    def enrich(self, items: ItemTable, progress: Progress) -> ItemTable:
        """The catalog to learn from, empty columns filled from the items' own texts."""
        ...

    def save(self, folder: Path) -> None:
        """Put into a snapshot what new items are mined by."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The sources a shop uses: how a fresh one is made, how a saved one is opened."""

    make: Mapping[str, Callable[[], Source]]
    load: Mapping[str, Callable[[Path, ItemTable], Source]]
    timeless: tuple[str, ...]
    """Those that learn from the catalog alone: no split by time concerns them, so they are fitted once."""
    settings: Settings
    asking: tuple[str, ...] = ()
    """Those that learn from the catalog and from what was searched: timeless where the log holds too few searches to
    be weighed on."""
    optional: tuple[str, ...] = ()
    """Those that a shop may switch on later: a snapshot without them is served, and says so."""
    quiet: tuple[str, ...] = ()
    """Those of the optional ones whose absence is not worth a word: the shop has nothing for them."""
    understand: Callable[[World], Understanding] | None = None
    """Learns to take queries apart; None: a query is its words."""
    reopen: Callable[[Path, ItemTable], Understanding] | None = None
    """Opens what `Understanding.save` wrote."""
    reviews: Lesson | None = None
    """Reads what shoppers wrote of items; None: nobody did."""
    judged: JudgedLesson | None = None
    """What people of the shop and clicks say of answers to queries; None: nobody is asked."""
    rewords: Callable[[], Rewords] | None = None
    """Opens the language model that may word lost queries anew; it is judged before it may."""


@dataclass(frozen=True, slots=True)
class LearnReport:
    """What was learned, how good it is, and whether it is served."""

    published: bool
    verdict: str
    snapshot: str = ""
    places: tuple[PlaceReport, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A snapshot, open."""

    learned: Learned
    items: ItemTable
    cursor: int
    """Catalog changes after this one are not in it."""
    until: float | None = None
    """Seconds since 1970 of the newest event that is in it; None without any."""
    folder: Path = Path()
    """Where it lies."""


def learn(  # noqa: PLR0913 - one argument a thing that is learned from or with
    catalog: CatalogStore,
    events: EventStore,
    snapshots: Snapshots,
    parts: Parts,
    progress: Progress,
    *,
    who: People | None = None,
    known: Knows | None = None,
) -> LearnReport:
    """Train, evaluate, publish. Refuses (published=False) an empty catalog. Raises LeakFound.

    `who` says which ids are one shopper, and who may be learned from (None: every id is one, and all may); `known`
    fills columns from texts.
    """
    started = time.perf_counter()
    cursor = catalog.cursor()
    progress.start("read the catalog")
    items = ItemTable.of(catalog.scan())
    progress.finish()
    if len(items) == 0:
        return LearnReport(False, "not published: the catalog is empty; next: bodega import items")
    if known is not None:
        items = known.enrich(items, progress)
    told = _reviewed(parts, items, snapshots, progress)
    items = items if told is None else told.items
    progress.start("read the events")
    log, log_facts = build_log(events.scan(), items, parts.settings.ingest, who)
    progress.finish()
    if failpoints.ON:
        failpoints.reach("learn.read")
    whole = World(items, log, until=_after(log), ratings=None if told is None else told.ratings)
    timeless = (*parts.timeless, *(() if _searched(log) else parts.asking))
    shutil.rmtree(snapshots.workbench / "earlier", ignore_errors=True)  # of a learn that was killed
    fits = _Fits(parts, progress, snapshots.workbench)
    sources = fits.of((name for name in parts.make if name in timeless), whole)
    trial, reports, notes = _weighed(whole, sources, fits)
    sources |= fits.of((name for name in parts.make if name not in sources), whole)
    # without a query there is nothing newer to understand than what was understood before the windows: 6 s saved
    early = trial.understanding if not whole.log.queries else None
    understanding = early if isinstance(early, Understanding) else _understood(parts, whole, progress)
    weights = {**DEFAULT_WEIGHTS, **trial.weights}
    fusion = Fusion(weights, backup=DEFAULT_WEIGHTS, factors=trial.factors, enough=trial.enough)
    facts = _facts(whole, log_facts, trial, cursor) | _encoders(sources) | {"sources": sorted(sources)}
    facts |= _gates(sources) | _curves(sources)
    facts |= {} if told is None else {"reviews": msgspec.to_builtins(told.opinions.facts)}
    made = _Made(items, sources, understanding, _ordering(trial, fusion, whole), reports, known)
    progress.start("publish the snapshot")
    snapshot = snapshots.publish(lambda folder: _kept(told, folder) | made.write(folder, facts), code=__version__)
    snapshots.prune()
    if parts.reviews is not None and told is not None:
        parts.reviews.settle(told)
    shutil.rmtree(snapshots.workbench, ignore_errors=True)
    progress.finish()
    verdict = f"published snapshot {snapshot}: {len(items):,} items, {len(log):,} events"
    seconds = time.perf_counter() - started
    return LearnReport(
        True, verdict, snapshot, reports, facts, (*notes, *fits.lost.values(), *_log_notes(log_facts)), seconds
    )


def _ordering(trial: Trial, fusion: Fusion, whole: World) -> Ordering:
    """What ranks each place: a learned ranker where one surely is better, knowing what everything tells of items."""
    chosen = {place: found.ranker for place, found in trial.ranked.items() if found.ranker is not None}
    if not chosen:
        return Ordering(fusion)
    state = State.fit(whole)
    rankers = {
        place: replace(ranker, recipe=replace(ranker.recipe, fusion=fusion, state=state))
        for place, ranker in chosen.items()
    }
    return Ordering(fusion, rankers, state)


def open_learned(snapshots: Snapshots, parts: Parts, name: str = "") -> Opened:
    """Open the current snapshot (or the named one), every byte verified. Raises NotLearned (an older version's too),
    SnapshotCorrupt."""
    folder, manifest, warnings = snapshots.open(name)
    absent = sorted(set(parts.load) - set(manifest.facts.get("sources", ())))
    missing = [name for name in absent if name not in parts.optional]
    if missing:
        raise NotLearned(
            "this snapshot was learned by a version of Bodega without some of the sources of this one",
            where=str(folder),
            allowed=f"a snapshot of version {__version__} with {', '.join(parts.load)}",
            got=f"version {manifest.code} without {', '.join(missing)}",
            next="bodega learn",
        )
    items = ItemTable.load(folder / "items")
    sources = _loaded(parts, folder, items, absent)
    fusion = Fusion.from_json((folder / "fusion.json").read_bytes())
    ordering = Ordering.load(folder / ORDERING, fusion, items).with_blank()
    saved = folder / UNDERSTANDING
    understanding = parts.reopen(saved, items) if parts.reopen is not None and saved.is_dir() else None
    notes = (note for source in sources.values() if isinstance(source, Notes) for note in source.notes)
    later = (
        f"{name}: not in this snapshot; searched without it; next: bodega learn"
        for name in absent
        if name not in parts.quiet
    )
    llm = manifest.facts.get("llm") or {}
    proven = llm.get("kept") and llm.get("model") == parts.settings.understand.llm
    learned = Learned(
        sources,
        ordering,
        bool(manifest.facts["repeats"]),
        folder.name,
        (*warnings, *notes, *later),
        understanding,
        parts.rewords() if proven and parts.rewords is not None else None,
    )
    return Opened(learned, items, int(manifest.facts["catalog_cursor"]), manifest.facts.get("until"), folder)


def _loaded(parts: Parts, folder: Path, items: ItemTable, absent: Container[str]) -> dict[str, Source]:
    """The sources of a snapshot. Raises NotLearned where one was kept by a version that kept less of it."""
    try:
        wanted = {name: load for name, load in parts.load.items() if name not in absent}
        return {name: load(folder / "sources" / name, items) for name, load in wanted.items()}
    except FileNotFoundError as error:  # every file that was kept has been verified: this one never was
        raise NotLearned(
            "this snapshot was learned by a version of Bodega that kept less than this one needs",
            where=str(folder),
            allowed=f"a snapshot of version {__version__}",
            got=f"none of {Path(error.filename).relative_to(folder) if error.filename else error}",
            next="bodega learn",
        ) from error


@runtime_checkable
class Notes(Protocol):
    """A source that can say why it is silent."""

    notes: tuple[str, ...]


@runtime_checkable
class Encoded(Protocol):
    """A source whose vectors are an encoder's."""

    info: EncoderInfo | None


def _encoders(sources: Mapping[str, Source]) -> dict[str, Any]:
    """Which encoder each dense source uses: part of the manifest."""
    infos = {name: source.info for name, source in sources.items() if isinstance(source, Encoded)}
    return {"encoders": {name: asdict(info) for name, info in infos.items() if info is not None}}


def _reviewed(parts: Parts, items: ItemTable, snapshots: Snapshots, progress: Progress) -> Learnt | None:
    """What reviews say; None where there are none."""
    if parts.reviews is None:
        return None
    progress.start("read the reviews")
    found = parts.reviews.read(items, snapshots)
    progress.finish()
    return found


def _kept(told: Learnt | None, folder: Path) -> dict[str, Any]:
    """Put what reviews say into a snapshot."""
    if told is not None:
        save_opinions(told.opinions, folder)
    return {}


@runtime_checkable
class Gated(Protocol):
    """A source that mixes what is known of items, and tells how."""

    def mixed(self) -> dict[str, Any]: ...


def _gates(sources: Mapping[str, Source]) -> dict[str, Any]:
    """How much each part of what is known counts, on average: part of the manifest."""
    return {name: source.mixed() for name, source in sources.items() if isinstance(source, Gated)}


@runtime_checkable
class Curved(Protocol):
    """A source that is learned by epochs, and tells how that went."""

    curve: dict[str, tuple[float, ...]]


def _curves(sources: Mapping[str, Source]) -> dict[str, Any]:
    """{"curves": {source: {"loss": [one number an epoch]}}} of what was learned by epochs: part of the manifest."""
    found = {name: source.curve for name, source in sources.items() if isinstance(source, Curved) and source.curve}
    return {"curves": found} if found else {}


def _understood(parts: Parts, world: World, progress: Progress) -> Understanding | None:
    if parts.understand is None:
        return None
    progress.start("learn: what queries say")
    found = parts.understand(world)
    progress.finish()
    return found


@dataclass(frozen=True, slots=True)
class _Fits:
    """Fits sources. One that a shop may do without, and whose encoder or library is missing, is left out and named.

    A source whose fit takes minutes finds what it had done where a learn was killed, and its second fit, on everything,
    starts from the first, which saw all but the windows.
    """

    parts: Parts
    progress: Progress
    workbench: Path
    """A folder for what only this learn needs."""
    lost: dict[str, str] = field(default_factory=dict)

    def of(self, names: Iterable[str], world: World) -> dict[str, Source]:
        found: dict[str, Source] = {}
        for name in names:
            if name in self.lost:
                continue
            try:
                found[name] = self._fitted(name, self.parts.make[name](), world)
            except Unneeded:
                continue
            except (MissingExtra, EndpointFailed) as error:
                if name not in self.parts.optional:
                    raise
                self.lost[name] = f"{name}: left out, {error.what}; next: {error.next}"
        return found

    def _fitted(self, name: str, source: Source, world: World) -> Source:
        if failpoints.ON:
            failpoints.reach("learn.fit")
        if not isinstance(source, Trainable):
            self.progress.start(f"learn: {name}")
            try:
                return source.fit(world)
            finally:
                self.progress.finish()
        earlier = self.workbench / "earlier" / name
        known = earlier.is_dir()
        source.training = Training(
            self.progress,
            self.workbench / "checkpoints" / name,
            earlier if known else None,
            world.items if known else None,
        )
        fitted: Source = source.fit(world)
        if not known:
            earlier.mkdir(parents=True)
            fitted.save(earlier)
        return fitted


def _weighed(
    whole: World, ready: Mapping[str, Source], fits: _Fits
) -> tuple[Trial, tuple[PlaceReport, ...], tuple[str, ...]]:
    """Weights per place from the validation window, figures from the test window."""
    parts, progress = fits.parts, fits.progress
    if len(whole.log) == 0:
        trial = Trial(dict(ready), None, parts.settings, repeats=False, weights={})
        return trial, (), ("no events yet: nothing to evaluate, default weights are served",)
    if failpoints.ON:
        failpoints.reach("learn.weigh")
    split = _split(whole.log, parts.settings)
    past = World(whole.items, split.train, until=split.valid.start)
    needed = dict.fromkeys(name for place in PLACES.values() if place.fitted for name in place.among(parts.make))
    sources = {**ready, **fits.of((name for name in needed if name not in ready), past)}
    trial = Trial.begin(sources, whole, split, parts.settings)
    trial.understanding = _understood(parts, past, progress)
    trial.lesson = parts.judged
    for place in PLACES.values():
        if place.fitted:
            weigh_place(trial, place, progress)
    rare = choose_rare(trial, progress)
    if parts.rewords is not None:
        trial.verdict = judge_rewording(trial, parts.settings.understand.llm, parts.rewords())
    reports = tuple(judge_place(trial, place, progress) for place in PLACES.values() if place.fitted)
    reports = (*reports, rare)
    notes = tuple(str(each) for each in (trial.verdict, trial.taught) if each is not None)
    return trial, tuple(report for report in reports if report.cases), notes


def _searched(log: Log) -> bool:
    """Did enough searches lead somewhere to weigh and judge a search on them?"""
    return int(np.count_nonzero((log.query >= 0) & (log.item >= 0))) >= FEWEST


def _split(log: Log, settings: Settings) -> TimeSplit:
    day = 86_400.0
    return by_time(log, validation=settings.learn.validation_days * day, test=settings.learn.test_days * day)


def _after(log: Log) -> float:
    """The moment after the newest event: "now" for everything that decays."""
    return float(np.nextafter(log.time[-1], np.inf)) if len(log) else 0.0


@dataclass(frozen=True, slots=True)
class _Made:
    """Everything that a snapshot holds."""

    items: ItemTable
    sources: Mapping[str, Source]
    understanding: Understanding | None
    ordering: Ordering
    reports: tuple[PlaceReport, ...]
    known: Knows | None = None

    def write(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        self.items.save(folder / "items")
        for name, source in self.sources.items():
            own = folder / "sources" / name
            own.mkdir(parents=True)
            source.save(own)
        if self.understanding is not None:
            (folder / UNDERSTANDING).mkdir()
            self.understanding.save(folder / UNDERSTANDING)
        if self.known is not None:
            self.known.save(folder)
        (folder / "fusion.json").write_bytes(self.ordering.fusion.to_json())
        (folder / ORDERING).mkdir()
        self.ordering.save(folder / ORDERING)
        reports = msgspec.to_builtins(self.reports, str_keys=True)  # curves have numbers as keys, which are not sorted
        (folder / "evaluation.json").write_bytes(msgspec.json.encode(reports, order="sorted"))
        return facts


def _facts(whole: World, log_facts: LogFacts, trial: Trial, cursor: int) -> dict[str, Any]:
    """What the manifest says of the snapshot: nothing that depends on the clock."""
    log = whole.log
    return {
        "items": len(whole.items),
        "events": len(log),
        "users": log.n_users,
        "from": float(log.time[0]) if len(log) else None,
        "until": float(log.time[-1]) if len(log) else None,
        "catalog_cursor": cursor,
        "repeats": trial.repeats,
        "weights": trial.weights,
        "factors": trial.factors,
        "rare": trial.rare or None,
        "llm": asdict(trial.verdict) if trial.verdict is not None else None,
        "judged": asdict(trial.taught) if trial.taught is not None else None,
        "log": msgspec.to_builtins(log_facts),
    }


def _log_notes(facts: LogFacts) -> tuple[str, ...]:
    """What the log held that a person should know of."""
    notes = {
        f"{facts.unknown_items:,} events of items that the catalog does not hold yet": facts.unknown_items,
        f"{facts.bot_events:,} events of {facts.bots:,} bots were not learned from": facts.bots,
        f"{facts.echoes:,} repeats within a second counted once": facts.echoes,
        f"{facts.cut_sessions:,} sessions were cut from gaps of 30 minutes": facts.cut_sessions,
    }
    return tuple(note for note, count in notes.items() if count)
