"""Snapshots that nobody is served from: learned apart, opened beside the served one, promoted or thrown away.

The loop learns a candidate here, the gate and the relevance report open what they compare here. A candidate lies in the
shop's folder of snapshots (and in the shared one, so that every server can show it in an experiment), but the pointer
does not name it. Cost: that of `learn`, of opening a snapshot (one hash pass over its files).
Not for: what is served (`snapshot`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from bodega.engine.answer import Engine, Learned
from bodega.engine.finding import Finder
from bodega.engine.judged.report import DEPTH, Ranks
from bodega.engine.learn import Knows, LearnReport, Opened, Parts, learn, open_learned
from bodega.engine.online import Shoppers
from bodega.engine.places import PLACES
from bodega.engine.shelf import Shelf
from bodega.engine.snapshot import SnapshotInfo, Snapshots
from bodega.engine.whose import rows_at
from bodega.errors import NotLearned
from bodega.events.gathering import People
from bodega.protocols import CatalogStore, EventRows, EventStore, Progress
from bodega.ranking.fuse import gather, scored
from bodega.retrieval.lexical import Lexical
from bodega.schema import Candidates, Context, ItemTable, Request
from bodega.settings import Settings


class Apart(Snapshots):
    """The same folder, but what is published is pointed at by nobody, and nothing is pruned."""

    def _point_at(self, name: str) -> None:
        pointer = self.depot.pointer() if self.depot is not None else None
        if pointer is not None and self.depot is not None:
            self._send(name, pointer, self.depot)

    def prune(self, keep: int = 0) -> list[str]:
        del keep
        return []


class Before:
    """The events of a store up to a moment, some shoppers left out: what `learn` reads of it."""

    def __init__(self, events: EventStore, until: float, without: frozenset[str] = frozenset()) -> None:
        self._events, self._until, self._without = events, until, without

    def scan(self, *, chunk: int = 100_000, since: int | None = None, searched: bool = False) -> Iterator[EventRows]:
        for rows in self._events.scan(chunk=chunk, since=since, searched=searched):
            last = int(np.searchsorted(rows.time, self._until, "left"))
            if self._without:
                kept = [n for n in range(last) if rows.user[n] not in self._without]
                yield rows_at(rows, np.array(kept, np.int64))
            elif last == len(rows.time):
                yield rows
            elif last:
                yield rows_at(rows, np.arange(last))
            if last < len(rows.time):
                return


@dataclass(slots=True, eq=False)
class Contestant:
    """An opened snapshot that ranks any context, as its shop would without rules, filters and counts since."""

    opened: Opened
    settings: Settings
    _finder: Finder = field(init=False)

    def __post_init__(self) -> None:
        learned = self.opened.learned
        self._finder = Finder(learned.sources, Shelf.of(self.opened.items), learned.understanding)

    @property
    def learned(self) -> Learned:
        return self.opened.learned

    @property
    def items(self) -> ItemTable:
        return self.opened.items

    def rank(self, context: Context) -> Candidates:
        """The candidates of the context's place, best first; rows of this snapshot's items."""
        place, learned, per_source = PLACES[context.place], self.learned, self.settings.answer.candidates
        if place.proposes:
            found = self._finder.find(self._finder.read(context.query, context.language), context)
            rows = np.sort(found.rows[: 2 * per_source])
            every = [learned.sources[name] for name in place.among(learned.sources)]
            return learned.ordering.rank(found.context, scored(every, found.context, rows))
        ranker = learned.ordering.rankers.get(place.name)
        if ranker is not None:
            few = gather([learned.sources[name] for name in ranker.recipe.sources], context, per_source)
            if ranker.serves(few):
                return ranker.rank(context, few)
        every = [learned.sources[name] for name in place.among(learned.sources)]
        return learned.ordering.rank(context, gather(every, context, per_source))


@dataclass(frozen=True, slots=True)
class Bench:
    """What the workshop works with."""

    catalog: CatalogStore
    events: EventStore
    people: Callable[[], People | None]
    known: Knows | None
    parts: Parts
    """How sources are made and opened."""
    taught: Callable[[Parts], Parts]
    """The same with what the shop learns from beside the log: reviews, judgments."""
    shoppers: Shoppers
    settings: Settings


class Workshop:
    """Learns apart, opens beside, promotes nothing by itself."""

    def __init__(self, snapshots: Snapshots, bench: Bench) -> None:
        self._snapshots, self._bench = snapshots, bench
        self.events = bench.events
        """What candidates learn from; benchmarks and tests plant bad labels here."""

    @property
    def settings(self) -> Settings:
        return self._bench.settings

    def current(self) -> str:
        """The served snapshot. Raises NotLearned."""
        name = self._snapshots.current()
        if not name:
            raise NotLearned(
                "this shop has not learned yet", where=str(self._snapshots.folder), next="run `bodega learn`"
            )
        return name

    def infos(self) -> list[SnapshotInfo]:
        """The published snapshots, newest last."""
        return self._snapshots.infos()

    def info(self, name: str) -> SnapshotInfo:
        """What a published snapshot says of itself. Raises NotLearned."""
        for info in self.infos():
            if info.id == name:
                return info
        raise NotLearned("there is no such snapshot", where="snapshots", got=name, next="bodega snapshots")

    def people(self) -> People | None:
        """Who is one shopper, and who may be learned from."""
        return self._bench.people()

    def learn(self, progress: Progress, *, until: float, without: frozenset[str] = frozenset()) -> LearnReport:
        """Learn from the events before `until`, these shoppers left out, and publish it for nobody."""
        bench, apart = self._bench, Apart(self._snapshots.folder, self._snapshots.depot)
        events: EventStore = Before(self.events, until, without)  # type: ignore[assignment]  # learn scans, no more
        return learn(
            bench.catalog, events, apart, bench.taught(bench.parts), progress, who=bench.people(), known=bench.known
        )

    def opened(self, name: str) -> Opened:
        """A snapshot, every byte verified. Raises NotLearned, SnapshotCorrupt."""
        return open_learned(self._snapshots, self._bench.parts, name)

    def contestant(self, name: str) -> Contestant:
        """A snapshot that ranks contexts."""
        return Contestant(self.opened(name), self.settings)

    def ranks(self, opened: Opened) -> Ranks:
        """How this snapshot answers a query: without a shopper, rules, and counts since."""
        engine = Engine(opened.learned, Shelf.of(opened.items), self._bench.shoppers, self.settings)
        return lambda query: engine.answer(Request(place="search", query=query, k=DEPTH, personal=False)).ids

    def systems(self) -> tuple[Mapping[str, Ranks], str, str]:
        """({`served`, `before` where there is one, `bm25`: ranks}, the served snapshot, the one before it)."""
        served = self.current()
        known = [info.id for info in self.infos()]
        before = known[known.index(served) - 1] if served in known and known.index(served) > 0 else ""
        now = self.opened(served)
        found: dict[str, Ranks] = {"served": self.ranks(now)}
        if before:
            found["before"] = self.ranks(self.opened(before))
        return {**found, "bm25": by_words(now)}, served, before

    def drop(self, name: str) -> None:
        """Delete a candidate that nobody is going to be served from; a published snapshot stays."""
        if name in self._snapshots.beside():
            shutil.rmtree(self._snapshots.folder / name, ignore_errors=True)


def by_words(opened: Opened) -> Ranks:
    """The plain baseline: the word index alone (BM25F), no meaning, no behaviour."""
    words = opened.learned.sources[Lexical.name]

    def ranks(query: str) -> list[str]:
        found = words.retrieve(Context(place="search", query=query), DEPTH)
        return [opened.items.ids[row] for row in found.items]

    return ranks
