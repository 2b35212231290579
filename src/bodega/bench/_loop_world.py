"""Shoppers who click on what a shop really answers, by a generated world's truth; and two ways to spoil its learning.

Every page is answered by the shop itself (`shop.answer`), clicked by the true chance of its places and items, bought
from by some, and recorded as events in simulated time. So a shop that learns better is clicked more, and what it learns
from depends on what it showed: the loop is closed. The utility of a page is its expected clicks, without the noise; the
same shoppers ask the same at the same moments in every shop, so that shops are compared page by page.
Not for: claims about real shops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bodega.bench._loop_tastes import DAY, Tastes
from bodega.engine.answer import Engine
from bodega.engine.learn import Opened
from bodega.engine.loop.contest import verdict
from bodega.engine.loop.state import ContestReading
from bodega.engine.shelf import Shelf
from bodega.engine.shop import Shop
from bodega.evaluation.experiments import debiased_credit, preference, team_draft
from bodega.evaluation.experiments.interleaving import coins, weights
from bodega.protocols import EventRows, EventStore
from bodega.ranking.explore import examination
from bodega.schema import Event, EventType, Request
from bodega.settings import Settings

K = 8
"""As many places as the truth says how they are looked at."""
BUYS = 0.3
"""Part of clicks after which the item is bought."""
SEARCHES = 0.25
"""Part of pages that are searches for a kind of goods; what is of another kind is not clicked there."""
FAKES, PUSHED = 40, 4
"""Accounts of the attack, and items that they push."""


@dataclass(eq=False)
class Bazaar:
    """One shop and its simulated shoppers. Who comes when for what, and what chance says of each item, is drawn from
    the seed, the day and the number of the page: it is the same however the shop is run."""

    tastes: Tastes
    shop: Shop
    seed: int
    pages: int
    """Pages a day."""
    contest: DraftedContest | None = None
    day: int = 0
    utility: list[float] = field(default_factory=list)
    """Mean expected clicks a page of each day, over the pages that shoppers got."""
    best: list[float] = field(default_factory=list)
    """The same by the truth: the best list for each of these pages."""
    pushed: list[float] = field(default_factory=list)
    """Part of the places that pushed items held on each day."""
    targets: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.world = self.tastes.world
        truth = self.world.truth
        self._row = {item: column for column, item in enumerate(truth.items)}
        self._kinds = np.array(truth.kinds)
        self._names = sorted(set(truth.kinds))
        self._looks = np.asarray(truth.examination[:K])

    def live(self) -> None:
        """A day: goods arrive, pages are answered, looked at, clicked, recorded."""
        arrived = self.tastes.arrivals(self.day)
        if arrived:
            self.shop.catalog.upsert(arrived)
        self._liking, self._for_sale = self.tastes.liking(self.day), self.tastes.for_sale(self.day)
        start, shoppers = self.world.end + self.day * DAY, len(self.world.truth.shoppers)
        rng = np.random.default_rng([self.seed, 3, self.day])
        moments = np.sort(rng.random(self.pages)) * DAY * 0.9 + start
        turns = np.concatenate([rng.permutation(shoppers) for _ in range(1 + self.pages // shoppers)])
        worth = np.zeros((self.pages, 3))
        made = list[Event]()
        for number, moment in enumerate(moments.tolist()):
            events, worth[number] = self._visit(int(turns[number]), moment, number)
            made += events
        self.shop.events.record(made)
        self.day += 1
        for kept, value in zip((self.utility, self.best, self.pushed), worth.mean(axis=0).tolist(), strict=True):
            kept.append(value)

    def attack(self) -> None:
        """Fake accounts push what shoppers like least, beside what many want, so that models couple the two."""
        start = self.world.end + self.day * DAY
        rng = np.random.default_rng([self.seed, 5, self.day])
        mean = np.where(self.tastes.arrives < 0, self.tastes.liking(self.day).mean(axis=0), np.nan)
        order = np.argsort(mean, kind="stable")[: int(np.isfinite(mean).sum())]
        items = self.world.truth.items
        self.targets = frozenset(items[row] for row in order[:PUSHED].tolist())
        lures, made = [items[row] for row in order[-8:].tolist()], list[Event]()
        for fake in range(FAKES):
            for visit in range(3):
                moment, session = start - DAY * rng.random(), f"x{self.day}-{fake}-{visit}"
                for step, item in enumerate([lures[(fake + visit) % 8], *sorted(self.targets)]):
                    kinds = (EventType.CLICK, EventType.CART, EventType.PURCHASE) if item in self.targets else ()
                    for offset, kind in enumerate((EventType.VIEW, *kinds)):
                        at = moment + 60 * step + 5 * offset
                        made.append(_event(kind, at, (f"fake{self.day}-{fake}", session), item))
        self.shop.events.record(sorted(made, key=lambda event: event.time))

    def _visit(self, shopper: int, moment: float, number: int) -> tuple[list[Event], tuple[float, float, float]]:
        """(what was recorded, (expected clicks, those of the best list, part of places that pushed items hold))."""
        rng = np.random.default_rng([self.seed, 4, self.day, number])
        name = f"d{self.day}-{number}"
        user, session = self.world.truth.shoppers[shopper], f"v{name}"
        query = self._names[int(rng.integers(len(self._names)))] if rng.random() < SEARCHES else ""
        chance, buys = rng.random((2, len(self._row)))
        request = Request(
            place="search" if query else "home",
            query=query,
            user=user,
            session=session,
            k=K,
            time=datetime.fromtimestamp(moment, UTC),
        )
        ids = self.contest.page(request, name) if self.contest is not None and self.contest.on else None
        shown = [item for item in (self.shop.answer(request).ids if ids is None else ids) if item in self._row][:K]
        wanted = self._liking[shopper] * (self._kinds == query) if query else self._liking[shopper]
        rows = np.array([self._row[item] for item in shown], np.int64)
        looks = self._looks[: len(rows)]
        best = -np.sort(-(wanted * self._for_sale))[:K]
        clicked = np.flatnonzero(chance[rows] < wanted[rows] * looks).tolist()
        made = [_event(EventType.IMPRESSION, moment, (user, session), item, query, at) for at, item in enumerate(shown)]
        for place in clicked:
            at = moment + 10.0 * (place + 1)
            made.append(_event(EventType.CLICK, at, (user, session), shown[place], query, place))
            if buys[rows[place]] < BUYS:
                made.append(_event(EventType.PURCHASE, at + 120.0, (user, session), shown[place], query))
        if self.contest is not None and ids is not None:
            self.contest.heard(name, [shown[place] for place in clicked])
        held = sum(item in self.targets for item in shown) / max(len(shown), 1)
        return made, (float(wanted[rows] @ looks), float(best @ self._looks[: len(best)]), held)


def _event(
    kind: EventType, moment: float, who: tuple[str, str], item: str, query: str = "", place: int | None = None
) -> Event:
    return Event(
        type=kind,
        time=datetime.fromtimestamp(moment, UTC),
        user=who[0],
        session=who[1],
        item=item,
        query=query,
        position=place,
    )


class DraftedContest:
    """Implements `loop.Contest` with pages drafted here: in simulated time, by the functions that the service uses."""

    def __init__(self, shop: Shop, settings: Settings) -> None:
        self._shop, self._settings = shop, settings
        self._engines: tuple[Engine, Engine] | None = None
        self._pages: dict[str, dict[str, float]] = {}
        self._credit: list[float] = []
        self._clicked = 0
        self._looks = np.asarray(examination(range(K)), np.float64)

    @property
    def on(self) -> bool:
        """Is a contest under way?"""
        return self._engines is not None

    def begin(self, run: int, served: str, candidate: str) -> str:
        self._engines = (self._engine(served), self._engine(candidate))
        self._pages, self._credit, self._clicked = {}, [], 0
        return f"drafted-{run}"

    def read(self, name: str, began: float) -> ContestReading:
        del name, began
        effect = preference(np.asarray(self._credit), self._settings.loop.contest_pages)
        return verdict(len(self._credit), self._clicked, effect, self._settings.loop)

    def end(self, name: str, why: str) -> None:
        del name, why
        self._engines = None

    def page(self, request: Request, name: str) -> list[str]:
        """One list drafted from current (first) and candidate (second)."""
        assert self._engines is not None
        lists = [engine.answer(request).ids for engine in self._engines]
        names = list(dict.fromkeys(item for each in lists for item in each))
        row = {item: number for number, item in enumerate(names)}
        current, candidate = ([row[item] for item in each] for each in lists)
        draft = team_draft(current, candidate, K, coins(name, K // 2))
        counts = weights(candidate, current, self._looks)
        self._pages[name] = {names[item]: counts.get(item, 0.0) for item in draft.items.tolist()}
        return [names[item] for item in draft.items.tolist()]

    def heard(self, name: str, clicked: list[str]) -> None:
        """The clicks of a drafted page."""
        own = self._pages.pop(name)
        numbered = dict(enumerate(own.values()))
        at = [place for place, item in enumerate(own) if item in set(clicked)]
        self._credit.append(debiased_credit(numbered, at))
        self._clicked += bool(clicked)

    def _engine(self, snapshot: str) -> Engine:
        opened: Opened = self._shop.workshop.opened(snapshot)
        return Engine(opened.learned, Shelf.of(opened.items), self._shop.shoppers, self._shop.settings)


class Shuffled:
    """An event store whose rows name items by chance: what a broken import or a wrong join makes of labels."""

    def __init__(self, events: EventStore, rng: np.random.Generator) -> None:
        self._events, self._rng = events, rng

    def scan(self, *, chunk: int = 100_000, since: int | None = None, searched: bool = False) -> Iterator[EventRows]:
        for rows in self._events.scan(chunk=chunk, since=since, searched=searched):
            order = self._rng.permutation(len(rows.item)).tolist()
            yield EventRows(
                time=rows.time,
                type=rows.type,
                user=rows.user,
                session=rows.session,
                item=[rows.item[n] for n in order],
                query=rows.query,
                quantity=rows.quantity,
                value=rows.value,
                position=rows.position,
            )


def settled(folder: Path, opened: Callable[[Path], Shop], tastes: Tastes, toml: str) -> Shop:
    """A shop in this folder that has been told the world's past."""
    folder.mkdir(parents=True)
    (folder / "bodega.toml").write_text(toml, "utf-8")
    shop = opened(folder)
    items, events = tastes.start()
    shop.catalog.upsert(items)
    shop.events.record(events)
    return shop
