"""What do clicks on pages that were just shown say against the frozen order? Small steps, taken between two learns.

    page shown to somebody   its items, their features as they were served, remembered by request id    `shown`
    click on one of them     the items above it were seen and passed over, this one was wanted          `observe`
    -> a step of the place's `Correction`, judged before it is learned from    ranking/learned/online.py
    next page                moved by it, at most half a deviation of its scores, while the guard is open

Features are those of serving: they are kept with the page, not made again when the click comes. What a place is clicked
whatever stands there is the correction's offset, of pages that were clicked at all: how far a shopper read is known
from the click only.
Several workers of one shop: the one that showed a page takes the step and tells it to the others, so all take the same
steps; servers on other machines take their own. A snapshot brings a new order, so steps begin anew with it; a restart
reads them from `steps/` in the shop's folder, where they are written every few hundred. Somebody is forgotten: all
steps are, since a weight does not say whose clicks it is made of.
Cost: 60 us a page (features of 200 candidates and 20 remembered), 20 us a step, 15 MB for 5,000 pages. Off by default
(docs/decisions/0033). Not for: places whose list the shopper sorted, pages for nobody in particular.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from bodega.engine.shelf import GONE, Shelf
from bodega.errors import SnapshotCorrupt
from bodega.ranking.learned.online import Correction, Guard
from bodega.schema import Candidates, Context, Contribution, Event, Request
from bodega.schema.arrays import Floats, Ints, Longs

WANTED = frozenset({"click", "cart", "purchase"})
"""Events that answer a page. (A view may have come from anywhere.)"""
REACH = 200
"""Best candidates that can be moved; nobody reads further."""
PAGES = 5_000
"""Newest pages that are remembered by each worker; a click on an older one teaches nothing."""
DEEPEST = 50
"""Items of a page that are remembered."""
SAVE_EVERY = 500
"""Correcting between two writes to the disk."""
NEW_DAYS = 30.0
OWN: tuple[str, ...] = ("new", "known")
"""Features beside the part of the score that each source gave: how new an item is, whether the snapshot knows it."""
NAME = "steps"
FOLDER = "steps"
"""In the shop's folder."""
LOGGER = logging.getLogger("bodega.steps")


class Lesson(msgspec.Struct, frozen=True, array_like=True):
    """One impression that was answered, or passed over on the way to the answer."""

    place: str
    item: int
    """Row of the snapshot, -1 for what came later."""
    x: tuple[float, ...]
    position: int
    clicked: bool
    person: str


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """What one worker tells the others."""

    snapshot: str
    names: tuple[str, ...]
    steps: tuple[Lesson, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """The head of a list, as the steps order it, and what they saw of it."""

    ranked: Candidates
    names: tuple[str, ...] = ()
    x: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """(n, n_features) of the first n candidates."""
    items: Ints = field(default_factory=lambda: np.empty(0, np.int32))
    """(n,) rows of the snapshot, -1 for what came later."""
    by: Floats = field(default_factory=lambda: np.empty(0, np.float32))
    """(n,) what each one's score was moved by."""

    def told(self, parts: Sequence[tuple[Contribution, ...]], places: Longs) -> list[tuple[Contribution, ...]]:
        """Contributions of the hits with what the steps added; `places`: where each hit stands in the head."""
        return [
            _with(own, float(self.by[at])) if 0 <= at < len(self.by) else own
            for own, at in zip(parts, places.tolist(), strict=True)
        ]


@dataclass(slots=True, eq=False)
class _Page:
    place: str
    person: str
    names: tuple[str, ...]
    ids: tuple[str, ...]
    positions: tuple[int, ...]
    items: Ints
    x: Floats
    read: int = 0
    """Items from the top that were judged already."""


class Correcting:
    """The corrections of one snapshot's orders, and the pages that clicks may still answer. Safe from threads."""

    def __init__(self, snapshot: str, folder: Path | None = None) -> None:
        self.snapshot = snapshot
        self._folder = folder
        self._lock = threading.RLock()
        self._corrections: dict[tuple[str, tuple[str, ...]], Correction] = {}
        self._pages: OrderedDict[str, _Page] = OrderedDict()
        self._unsaved = 0
        self.taken = 0
        """Impressions learned from since this process began."""
        self.tell: Callable[[bytes], None] = lambda _: None
        """Lets the shop's other workers know of the steps taken here."""

    # -- while answering ------------------------------------------------------------------------------------------

    def moved(self, context: Context, ranked: Candidates, shares: Floats, shelf: Shelf) -> Moved:
        """The head moved by what was learned; the very same order while the guard of its place is shut."""
        n = min(len(ranked), REACH)
        if n < 2:
            return Moved(ranked)
        names = (*OWN, *ranked.sources)
        rows = ranked.items[:n]
        known = shelf.known_as[rows]
        age = np.maximum(np.nan_to_num((context.now - shelf.created[rows]) / 86_400.0, nan=np.inf), 0.0)
        fresh = np.where(known == GONE, 1.0, np.exp(-age / NEW_DAYS))
        x = np.column_stack([fresh, known != GONE, shares[:n]]).astype(np.float32)
        items = np.where(known == GONE, -1, known).astype(np.int32)
        correction = self._of(context.place, names)
        if not correction.guard.open:
            return Moved(ranked, names, x, items, np.zeros(n, np.float32))
        by = (correction.of(items, x) * np.float32(ranked.score[:n].std())).astype(np.float32)
        score = ranked.score.copy()
        score[:n] += by
        order = np.concatenate([np.argsort(-score[:n], kind="stable"), np.arange(n, len(ranked))])
        first = order[:n]
        head = Candidates(ranked.items[order], ranked.scores[order], score[order], ranked.sources)
        return Moved(head, names, x[first], items[first], by[first])

    def shown(self, request: Request, name: str, ids: Sequence[str], places: Longs, moved: Moved) -> None:
        """Remember a page under its request id; `places`: where each of its items stands in the moved head."""
        who = f"u{request.user}" if request.user else f"s{request.session}" if request.session else ""
        if not who or not request.personal:
            return
        kept = [n for n, at in enumerate(places.tolist()[:DEEPEST]) if 0 <= at < len(moved.x)]
        if not kept:
            return
        at = places[kept]
        page = _Page(
            place=request.place,
            person=who,
            names=moved.names,
            ids=tuple(ids[n] for n in kept),
            positions=tuple(request.offset + n for n in kept),
            items=moved.items[at],
            x=moved.x[at],
        )
        with self._lock:
            self._pages[name] = page
            while len(self._pages) > PAGES:
                self._pages.popitem(last=False)

    # -- learning -------------------------------------------------------------------------------------------------

    def observe(self, events: Iterable[Event]) -> None:
        """Durable events that may teach: those that answer a page shown here are learned from, and told."""
        told: dict[tuple[str, ...], list[Lesson]] = {}
        with self._lock:
            for event in events:
                page = self._pages.get(event.request_id) if event.request_id else None
                if page is None or event.type.value not in WANTED or event.item not in page.ids:
                    continue
                steps = _answered(page, page.ids.index(event.item))
                self.learn(page.names, steps)
                told.setdefault(page.names, []).extend(steps)
        for names, made in told.items():
            if made:
                self.tell(msgspec.msgpack.encode(Taken(self.snapshot, names, tuple(made))))

    def heard(self, body: bytes) -> None:
        """Correcting that another worker took; those of another snapshot are not ours."""
        told = msgspec.msgpack.decode(body, type=Taken)
        if told.snapshot == self.snapshot:
            self.learn(told.names, told.steps)

    def learn(self, names: tuple[str, ...], steps: Sequence[Lesson]) -> None:
        """Take these steps, in this order; `names` of the features."""
        with self._lock:
            for step in steps:
                x = np.asarray(step.x, np.float32)
                self._of(step.place, names).learn(step.item, x, step.position, clicked=step.clicked, person=step.person)
            self.taken += len(steps)
            self._unsaved += len(steps)
            if self._unsaved >= SAVE_EVERY:
                self.save()

    def _of(self, place: str, names: tuple[str, ...]) -> Correction:
        key = (place, names)
        held = self._corrections.get(key)
        if held is None:
            with self._lock:
                held = self._corrections.get(key) or self._corrections.setdefault(key, self._opened(place, names))
        return held

    # -- operating ------------------------------------------------------------------------------------------------

    def vitals(self) -> dict[str, float]:
        """What metrics show: {label: number} of each place that took steps."""
        out = {"taken": float(self.taken), "pages": float(len(self._pages))}
        for (place, _), each in sorted(self._corrections.items()):
            out[f"{place}.used"] = float(each.guard.open)
            out[f"{place}.rolled_back"] = float(each.guard.rolled_back)
        return out

    def guards(self, place: str) -> list[Guard]:
        """The guard of each order of a place that took steps."""
        return [each.guard for (name, _), each in self._corrections.items() if name == place]

    def let_go(self) -> None:
        """Forget what was read, as long as nothing was learned here: it is read again when it is needed."""
        with self._lock:
            if not self._unsaved:
                self._corrections.clear()
                self._pages.clear()

    def reset(self) -> None:
        """As if no step had ever been taken, here and on the disk."""
        with self._lock:
            self._corrections.clear()
            self._pages.clear()
            self._unsaved = 0
            if self._folder is not None:
                for path in self._folder.glob("*.json"):
                    path.unlink(missing_ok=True)

    def save(self) -> None:
        """Write what was learned; a disk that refuses costs the steps since the last time, no more."""
        if self._folder is None:
            return
        with self._lock:
            self._unsaved = 0
            try:
                self._folder.mkdir(exist_ok=True)
                for (place, _), correction in self._corrections.items():
                    path = self._path(place)
                    correction.save(path.with_suffix(".part"))
                    path.with_suffix(".part").replace(path)
            except OSError as error:
                LOGGER.warning("steps are not written down", extra={"facts": {"error": str(error)}})

    def close(self) -> None:
        if self._unsaved:
            self.save()

    def _path(self, place: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{place}.{self.snapshot}.json"

    def _opened(self, place: str, names: tuple[str, ...]) -> Correction:
        """What was learned on top of this snapshot before; older snapshots' steps are removed."""
        if self._folder is None:
            return Correction(names)
        path = self._path(place)
        for old in self._folder.glob(f"{place}.*.json"):
            if old != path:
                with suppress(OSError):
                    old.unlink()
        if path.exists():
            try:
                return Correction.load(path, names)
            except SnapshotCorrupt as error:
                LOGGER.warning("steps begin anew", extra={"facts": error.as_dict()})
        return Correction(names)


def forget_corrections(folder: Path, held: Correcting | None) -> None:
    """Somebody is forgotten: no step is left, in memory or in the shop's folder."""
    if held is not None:
        held.reset()
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _answered(page: _Page, at: int) -> list[Lesson]:
    """From where the page was read to before, down to the item that was wanted; nothing where that was judged."""
    steps = [
        Lesson(
            place=page.place,
            item=int(page.items[n]),
            x=tuple(page.x[n].tolist()),
            position=page.positions[n],
            clicked=n == at,
            person=page.person,
        )
        for n in range(page.read, at + 1)
    ]
    page.read = max(page.read, at + 1)
    return steps


def _with(parts: tuple[Contribution, ...], by: float) -> tuple[Contribution, ...]:
    """The same contributions and one of the steps; shares still sum to 1."""
    if not by or not parts:
        return parts
    total = sum(abs(each.value) for each in parts) / max(sum(each.share for each in parts), 1e-9) + abs(by)
    own = Contribution(name=NAME, value=float(f"{by:.5g}"), share=round(abs(by) / total, 4), exact=True)
    rest = [msgspec.structs.replace(each, share=round(abs(each.value) / total, 4)) for each in parts]
    return tuple(sorted([*rest, own], key=lambda each: -each.share))
