"""`shop.knowledge`: what is known of items beside what the shop typed in, and what merchants decided of it.

`learn` mines what changed in the catalog, keeps the facts, and puts those in force into the columns it learns from; an
item that comes in between two snapshots is mined at once. What mentions are worth is learned anew only when a good part
of the catalog has changed (`knowledge.refit_share`). A merchant's decision is durable, holds however often the catalog
is mined, and acts with the next answer of every process.
Cost: see `understanding.facts.Miner`; a new item takes .1 to 1 ms. Not for: reading texts, or rules of merging.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import msgspec

from bodega import __version__
from bodega.catalog.doctor import Finding
from bodega.catalog.knowledge import fact_findings, in_force, merged
from bodega.errors import BadRequest
from bodega.protocols import CatalogStore, FactStore, NoProgress, Progress, ReviewStore
from bodega.schema import Item, ItemTable
from bodega.schema.facts import EVERY_ITEM, Fact, FactCount, FactDecision, FactKey, FactQuery
from bodega.settings import Knowledge as Chosen
from bodega.understanding.facts import Miner
from bodega.understanding.facts.miner import Told

LOGGER = logging.getLogger("bodega.knowledge")
FOLDER = "knowledge"
"""In a shop's folder the miner and how far it has come; in a snapshot the miner that new items are mined by."""
STATE = "state.json"
REMEMBERED = 20_000
"""New items whose facts are remembered."""
DECIDED = 100_000
"""Facts of one decision, at most."""
AT_ONCE = 5_000
REVIEWS = 5
"""Texts of one item that are read."""


class Stores(Protocol):
    """What mining reads and writes."""

    @property
    def catalog(self) -> CatalogStore: ...
    @property
    def facts(self) -> FactStore: ...
    @property
    def reviews(self) -> ReviewStore: ...


class _State(msgspec.Struct):
    """How far mining has come."""

    cursor: int
    """Of the catalog."""
    fitted: int
    """Items that the miner was fitted on."""
    changed: int
    """Items that changed since."""
    facts: int
    decided: int
    """Of the decisions: items that were only decided on did not change."""
    reviews: int
    """Of the reviews: whoever takes one back takes back what was read in it."""
    code: str = __version__


@dataclass(frozen=True, slots=True)
class MineReport:
    """What mining did."""

    items: int
    """Items that were mined."""
    facts: int
    """Facts of those items."""
    anew: bool
    """Was what mentions are worth learned anew?"""
    failed: int = 0
    """Items that could not be mined; the log says why."""
    counts: Sequence[FactCount] = ()
    seconds: float = 0.0


@dataclass(slots=True)
class _Mined:
    """What one pass found."""

    facts: list[Fact] = field(default_factory=list)
    failed: int = 0


class Knowledge:
    """The facts of one shop."""

    def __init__(self, folder: Path, stores: Stores, chosen: Chosen) -> None:
        self._folder = folder / FOLDER
        self._stores = stores
        self._chosen = chosen
        self._miner: Miner | None = None
        """What new items are mined by: that of the snapshot."""
        self._working: Miner | None = None
        """What the next snapshot will have."""
        self._verdicts: Mapping[FactKey, bool] = {}
        self._cursor = -1
        self._fresh: dict[str, tuple[bytes, list[Fact]]] = {}

    # -- asking and deciding --------------------------------------------------------------------------------------

    def facts(self, query: FactQuery | None = None) -> list[Fact]:
        """Facts with their evidence and status, in the order of their keys."""
        return self._stores.facts.list(query or FactQuery())

    def counts(self) -> Sequence[FactCount]:
        """How many facts there are of each attribute."""
        return self._stores.facts.counts()

    def decisions(self) -> Sequence[FactDecision]:
        """What was decided."""
        return self._stores.facts.decisions()

    def all_of(self, query: FactQuery) -> Iterator[Fact]:
        """Every fact that the query asks for, page by page."""
        page = msgspec.structs.replace(query, limit=AT_ONCE)
        while found := self._stores.facts.list(page):
            yield from found
            page = msgspec.structs.replace(page, after=found[-1].key)

    def decide(self, keys: Sequence[FactKey], accepted: bool | None, *, who: str) -> int:
        """Accept, reject, or (None) take the decision back; returns how many decisions changed. Raises BadRequest."""
        if len(keys) > DECIDED:
            raise BadRequest(
                "too many facts at once", code="facts.too_many",
                where="knowledge.decide", allowed=f"{DECIDED:,}", got=f"{len(keys):,}",
                next="name an attribute or a value",
            )  # fmt: skip
        return self._stores.facts.decide(keys, accepted, who=who)

    def decide_all(self, query: FactQuery, accepted: bool | None, *, who: str, every_item: bool = False) -> int:
        """The same for every fact that the query asks for. `every_item`: for this value of every item, also of those
        that are mined later; the query must name attribute and value. Raises BadRequest."""
        if every_item:
            if not (query.attribute and query.value):
                raise BadRequest(
                    "a decision for every item needs a value",
                    code="facts.no_value",
                    where="knowledge.decide",
                    allowed="an attribute and a value",
                    got=f"attribute {query.attribute!r}, value {query.value!r}",
                    next="name both",
                )
            return self.decide([FactKey(EVERY_ITEM, query.attribute, query.value)], accepted, who=who)
        return self.decide([fact.key for fact in self.all_of(query)], accepted, who=who)

    def findings(self, n_items: int) -> tuple[Finding, ...]:
        """What the doctor should say."""
        counts = self.counts()
        if not counts:
            return ()
        conflicts = self.facts(FactQuery(conflicts=True, status="mined", limit=5))
        missing = [
            fact
            for count in counts
            for fact in self.facts(FactQuery(attribute=count.attribute, conflicts=False, limit=5))
        ]
        return fact_findings(counts, conflicts, missing, n_items)

    # -- mining ---------------------------------------------------------------------------------------------------

    def mine(
        self, progress: Progress | None = None, *, anew: bool = False, items: ItemTable | None = None
    ) -> MineReport:
        """Mine what changed since the last time (or everything), and keep it."""
        started, said = time.perf_counter(), progress or NoProgress()
        cursor, state = self._stores.catalog.cursor(), self._state()
        told = self._reviewed()
        changes: list[tuple[str, Item | None]] = []
        if state is not None and not anew:
            _, changes = self._stores.catalog.changes(state.cursor)
            anew = self._changed(state, len(changes)) > self._chosen.refit_share * state.fitted
        if state is None or anew:
            report = self._mine_all(items, cursor, told, said)
        else:
            report = self._mine_changes(changes, msgspec.structs.replace(state, cursor=cursor), told, said)
        return replace(report, counts=self.counts(), seconds=time.perf_counter() - started)

    def _mine_all(self, items: ItemTable | None, cursor: int, told: Told | None, progress: Progress) -> MineReport:
        table = ItemTable.of(self._stores.catalog.scan()) if items is None else items
        progress.start("mine facts: what mentions are worth")
        miner = Miner().fit(table, told)
        progress.finish()
        progress.start("mine facts: every item", float(len(table)))
        mined = _mine(miner, (table.item(row) for row in range(len(table))), told, progress)
        self._stores.facts.replace(None, mined.facts)
        progress.finish()
        shutil.rmtree(self._folder, ignore_errors=True)
        miner.save(self._folder)
        stores = self._stores
        self._keep(_State(cursor, len(table), 0, len(mined.facts), stores.facts.cursor(), stores.reviews.cursor()))
        self._working = miner
        return MineReport(len(table), len(mined.facts), True, mined.failed)

    def _mine_changes(
        self, changes: Sequence[tuple[str, Item | None]], state: _State, told: Told | None, progress: Progress
    ) -> MineReport:
        if self._working is None:
            self._working = Miner.load(self._folder)
        progress.start("mine facts: what changed", float(len(changes)))
        mined = _mine(self._working, (item for _, item in changes if item is not None), told, progress)
        if changes:
            self._stores.facts.replace([name for name, _ in changes], mined.facts)
        progress.finish()
        changed, decided = self._changed(state, len(changes)), self._stores.facts.cursor()
        self._keep(
            msgspec.structs.replace(state, changed=changed, facts=state.facts + len(mined.facts), decided=decided)
        )
        return MineReport(len(changes), len(mined.facts), False, mined.failed)

    def _reviewed(self) -> Told | None:
        """What shoppers wrote of each item, the first few texts; None without reviews."""
        if not self._stores.reviews.cursor():
            return None
        held: dict[str, list[str]] = {}
        for item, text in self._stores.reviews.texts():
            own = held.setdefault(item, [])
            if len(own) < REVIEWS:
                own.append(text)
        return lambda item: held.get(item.id, ())

    def _changed(self, state: _State, changes: int) -> int:
        """Items that changed since the miner was fitted; what merchants decided on counts as changed in the catalog
        only so that it is shown anew."""
        decided = self._stores.facts.cursor() - state.decided
        return state.changed + max(0, changes - decided)

    def _state(self) -> _State | None:
        """How far mining has come; None where it must begin."""
        try:
            state = msgspec.json.decode((self._folder / STATE).read_bytes(), type=_State)
        except (OSError, msgspec.MsgspecError):
            return None
        lost = state.facts > 0 and not self._stores.facts.list(FactQuery(limit=1))
        reread = state.reviews != self._stores.reviews.cursor()
        if state.code != __version__ or state.cursor > self._stores.catalog.cursor() or lost or reread:
            return None
        return state

    def _keep(self, state: _State) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / (STATE + ".draft")
        draft.write_bytes(msgspec.json.encode(state))
        draft.replace(self._folder / STATE)

    # -- learning and serving -------------------------------------------------------------------------------------

    def enrich(self, items: ItemTable, progress: Progress) -> ItemTable:
        """The catalog that is learned from: with the facts that are in force."""
        if not self._chosen.mine:
            self._working = None
            return items
        self.mine(progress, items=items)
        self.refresh()
        acting = (
            fact for fact in self._stores.facts.stream() if in_force(fact, self._verdicts, self._chosen.threshold)
        )
        return merged(items, acting)

    def save(self, folder: Path) -> None:
        """Put the miner into a snapshot; nothing where nothing is mined."""
        if self._working is not None and self._chosen.mine:
            self._working.save(folder / FOLDER)

    def open(self, snapshot: Path) -> None:
        """Mine new items by the miner of this snapshot from now on."""
        kept = snapshot / FOLDER
        self._miner = Miner.load(kept) if self._chosen.mine and kept.is_dir() else None
        self._fresh = {}

    def refresh(self) -> None:
        """Take over decisions that were made since they were last looked at."""
        if not self._chosen.mine:
            return
        cursor = self._stores.facts.cursor()
        if cursor != self._cursor:
            self._verdicts = {one.key: one.accepted for one in self._stores.facts.decisions()}
            self._cursor = cursor

    def fill(self, delta: ItemTable, base: ItemTable) -> ItemTable:
        """What came in since the snapshot, with the facts of its texts in the columns that the snapshot has."""
        miner = self._miner
        if miner is None or not len(delta):
            return delta
        if len(self._fresh) > REMEMBERED:
            self._fresh = {}
        facts: list[Fact] = []
        for row in range(len(delta)):
            name, document = delta.ids[row], delta.documents.raw(row)
            held = self._fresh.get(name)
            if held is None or held[0] != document:
                held = self._fresh[name] = document, _mine(miner, [delta.item(row)], None).facts
            facts += held[1]
        acting = (fact for fact in facts if in_force(fact, self._verdicts, self._chosen.threshold))
        return merged(delta, acting, {*base.coded, *base.numbers}, least=len(delta) + 1)


def _mine(miner: Miner, items: Iterable[Item], told: Told | None, progress: Progress | None = None) -> _Mined:
    """The facts of these items; an item that breaks mining is counted and left out."""
    found = _Mined()
    for number, item in enumerate(items, 1):
        try:
            found.facts += miner.mine(item, told)
        except Exception as error:  # a text that nobody thought of costs its own facts, nothing else
            found.failed += 1
            if found.failed <= 3:
                LOGGER.error("an item could not be mined", exc_info=error, extra={"facts": {"item": item.id[:80]}})
        if progress is not None and number % 1_000 == 0:
            progress.advance(1_000)
    return found
