"""Shoppers who click on what a shop really answers, by a generated world's truth; and two ways to spoil its learning.

Every page is answered by the shop itself (`shop.answer`), clicked by the true chance of its places and items, bought
from by some, and recorded as events in simulated time. So a shop that learns better is clicked more, and what it learns
from depends on what it showed: the loop is closed. The utility of a page is its expected clicks, without the noise.
Not for: claims about real shops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

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
from bodega.testing._visits import CLICK_AT
from bodega.testing.world import GeneratedWorld

K = 8
"""As many places as the truth says how they are looked at."""
DAY = 86_400.0
BUYS = 0.3
"""Part of clicks after which the item is bought."""
SEARCHES = 0.35
"""Part of pages that are searches for a kind of goods."""
PANEL = 60
"""Pages on which utility is measured every day: three home pages to a search."""
FAKES, PUSHED = 40, 4
"""Accounts of the attack, and items that they push."""


@dataclass(eq=False)
class Bazaar:
    """One shop and its simulated shoppers."""

    world: GeneratedWorld
    shop: Shop
    rng: np.random.Generator
    pages: int
    """Pages a day."""
    contest: DraftedContest | None = None
    day: int = 0
    utility: list[float] = field(default_factory=list)
    """Mean expected clicks a page of each day, over the same panel of pages for every way to run the shop."""
    pushed: list[float] = field(default_factory=list)
    """Part of the exposure that pushed items got on each day."""
    targets: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        truth = self.world.truth
        self._row = {item: column for column, item in enumerate(truth.items)}
        self._liking = 1.0 / (1.0 + np.exp(CLICK_AT - truth.affinity.astype(np.float64)))
        self._looks = np.asarray(truth.examination[:K])

    def live(self) -> None:
        """A day: pages are answered, looked at, clicked, recorded."""
        start = self.world.end + self.day * DAY
        made = list[Event]()
        moments = np.sort(self.rng.random(self.pages)) * DAY * 0.9 + start
        for number, moment in enumerate(moments.tolist()):
            shopper = int(self.rng.integers(len(self.world.truth.shoppers)))
            made += self._visit(shopper, moment, f"d{self.day}-{number}")
        self.shop.events.record(made)
        self.day += 1
        worth, pushed = self._panel()
        self.utility.append(worth)
        self.pushed.append(pushed)

    def _panel(self) -> tuple[float, float]:
        """(expected clicks a page, part of places that pushed items hold) of a fixed panel, answered as it is now."""
        truth, when = self.world.truth, datetime.fromtimestamp(self.world.end + self.day * DAY, UTC)
        kinds = list(dict.fromkeys(truth.kinds))
        home, found, held, places = list[float](), list[float](), 0, 0
        for number in range(PANEL):
            shopper, query = number % len(truth.shoppers), kinds[number % len(kinds)] if number % 4 == 3 else ""
            request = Request(
                place="search" if query else "home", query=query, user=truth.shoppers[shopper], k=K, time=when
            )
            shown = [item for item in self.shop.answer(request).ids if item in self._row][:K]
            liking = np.array([self._liking[shopper, self._row[item]] for item in shown])
            (found if query else home).append(float(liking @ self._looks[: len(shown)]) if len(shown) else 0.0)
            held, places = held + sum(item in self.targets for item in shown), places + len(shown)
        return (1 - SEARCHES) * float(np.mean(home)) + SEARCHES * float(np.mean(found)), held / max(places, 1)

    def oracle(self) -> float:
        """Mean expected clicks of a page by the truth, for home pages and searches as they are mixed here."""
        truth = self.world.truth
        kinds, looks = np.array(truth.kinds), self._looks
        names = list(dict.fromkeys(truth.kinds))
        home, found = list[float](), list[float]()
        for number in range(PANEL):
            liking = self._liking[number % len(truth.shoppers)]
            if number % 4 == 3:
                own = -np.sort(-liking[kinds == names[number % len(names)]])[:K]
                found.append(float(own @ looks[: len(own)]))
            else:
                home.append(float(-np.sort(-liking)[:K] @ looks))
        return (1 - SEARCHES) * float(np.mean(home)) + SEARCHES * float(np.mean(found))

    def attack(self) -> None:
        """Fake accounts push what shoppers like least, beside what many want, so that models couple the two."""
        mean = self._liking.mean(axis=0)
        order = np.argsort(mean, kind="stable")
        items = self.world.truth.items
        self.targets = frozenset(items[row] for row in order[:PUSHED].tolist())
        lures, made, start = [items[row] for row in order[-8:].tolist()], list[Event](), self.world.end + self.day * DAY
        for fake in range(FAKES):
            for visit in range(3):
                moment, session = start - DAY * self.rng.random(), f"x{self.day}-{fake}-{visit}"
                for step, item in enumerate([lures[(fake + visit) % 8], *sorted(self.targets)]):
                    kinds = (EventType.CLICK, EventType.CART, EventType.PURCHASE) if item in self.targets else ()
                    for offset, kind in enumerate((EventType.VIEW, *kinds)):
                        at = moment + 60 * step + 5 * offset
                        made.append(_event(kind, at, (f"fake{self.day}-{fake}", session), item))
        self.shop.events.record(sorted(made, key=lambda event: event.time))

    def _visit(self, shopper: int, moment: float, name: str) -> list[Event]:
        truth, session = self.world.truth, f"v{name}"
        user = truth.shoppers[shopper]
        kinds = sorted(set(truth.kinds))
        query = kinds[int(self.rng.integers(len(kinds)))] if self.rng.random() < SEARCHES else ""
        request = Request(
            place="search" if query else "home",
            query=query,
            user=user,
            session=session,
            k=K,
            time=datetime.fromtimestamp(moment, UTC),
        )
        ids = self.contest.page(request, name) if self.contest is not None and self.contest.on else None
        shown = self.shop.answer(request).ids if ids is None else ids
        shown = [item for item in shown if item in self._row][:K]
        liking = np.array([self._liking[shopper, self._row[item]] for item in shown])
        looks = self._looks[: len(shown)]
        clicked = self.rng.random(len(shown)) < liking * looks
        made = []
        for place, item in enumerate(shown):
            made.append(_event(EventType.IMPRESSION, moment, (user, session), item, query, place))
        for place in np.flatnonzero(clicked).tolist():
            at = moment + 10.0 * (place + 1)
            made.append(_event(EventType.CLICK, at, (user, session), shown[place], query, place))
            if self.rng.random() < BUYS:
                made.append(_event(EventType.PURCHASE, at + 120.0, (user, session), shown[place], query))
        if self.contest is not None and ids is not None:
            self.contest.heard(name, [shown[place] for place in np.flatnonzero(clicked).tolist()])
        return made


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


def settled(folder: Path, opened: Callable[[Path], Shop], world: GeneratedWorld, toml: str) -> Shop:
    """A shop in this folder that has learned the world's past."""
    folder.mkdir(parents=True)
    (folder / "bodega.toml").write_text(toml, "utf-8")
    shop = opened(folder)
    shop.catalog.upsert(world.items)
    shop.events.record([msgspec.structs.replace(event, request_id="") for event in world.events])
    return shop
