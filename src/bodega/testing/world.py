"""A shop whose right answers are known: catalog, shoppers with true tastes, and everything they did.

The generator draws who likes what, which goods go together, what runs out when and how far down a list people look;
then it lets them shop. `truth` keeps all of it, so that a test can ask whether a source came near the ideal ranking,
and not only whether it ran. Deterministic by seed; 400 items, 300 shoppers and 60 days take about a second and give
about 65,000 events. No seasons. Not for: claims about real shops (`bodega bench` measures those).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bodega.schema import ACTIVE, EVENT_CODES, TURNED_AWAY, Context, Event, Item, ItemTable, Log, World
from bodega.testing._shelves import COMPLEMENTS
from bodega.testing._stock import Goods, affinity, stock
from bodega.testing._visits import CLICK_AT, LIST, Diary, Shop, Shopper

TRENDING = 5
"""Items that rise in the last ten days."""


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """How large the world is and what it is drawn from."""

    n_items: int = 400
    n_shoppers: int = 300
    days: float = 60.0
    seed: int = 7
    visits_per_day: float = 0.15
    """Browsing visits of one shopper; trips for what ran out come on top."""
    guests: float = 0.1
    """Share of browsing visits without a user id."""
    noise: float = 0.05
    """Share of choices made by chance instead of taste."""
    opening: datetime = datetime(2025, 1, 6, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Truth:
    """What a perfect model would know. Rows are in the order of `shoppers`, columns in the order of `items`."""

    shoppers: tuple[str, ...]
    items: tuple[str, ...]
    affinity: NDArray[np.float32]
    """(n_shoppers, n_items): the higher, the sooner chosen; the odds of a choice are exp(difference)."""
    kinds: tuple[str, ...]
    """The kind of each item: the word a shopper would type."""
    complements: tuple[tuple[str, str], ...]
    """(kind, kind that follows it into the basket)."""
    rhythm: dict[str, float]
    """{kind: days between two purchases of a household that has taken it up}."""
    trending: tuple[str, ...]
    """Items shown more and more often in the last ten days."""
    examination: tuple[float, ...]
    """Chance that a shopper looks at each place of a list."""

    def ideal(self, user: str) -> list[str]:
        """All items, best first, for this shopper: no ranking can be better."""
        row = self.affinity[self.shoppers.index(user)]
        return [self.items[column] for column in np.argsort(-row, kind="stable")]

    def click_chance(self, user: str, item: str, position: int) -> float:
        """Chance of a click (without the noise): examination of the place times attraction of the item."""
        liking = float(self.affinity[self.shoppers.index(user), self.items.index(item)])
        return self.examination[position] / (1.0 + float(np.exp(CLICK_AT - liking)))

    def of_kind(self, kind: str) -> list[str]:
        """The items of a kind: the right answers to the query of that name."""
        return [item for item, name in zip(self.items, self.kinds, strict=True) if name == kind]


@dataclass(frozen=True, eq=False)
class GeneratedWorld:
    """Items in catalog order, events in (time, id) order, and the truth behind them."""

    spec: WorldSpec
    items: list[Item]
    events: list[Event]
    truth: Truth

    @property
    def end(self) -> float:
        """The moment after everything, in seconds since 1970 UTC."""
        return (self.spec.opening + timedelta(days=self.spec.days)).timestamp()

    @cached_property
    def table(self) -> ItemTable:
        return ItemTable.of(self.items)

    @cached_property
    def log(self) -> Log:
        """The events as columns; user codes are rows of `truth.shoppers`, guests come after them by session."""
        return as_log(self.events, self.table, self.truth.shoppers)

    def world(self, until: float | None = None) -> World:
        """What a source may learn from: everything before `until` (default: everything)."""
        moment = self.end if until is None else until
        return World(self.table, self.log.before(moment), moment)

    def context(self, user: str, until: float | None = None, place: str = "home") -> Context:
        """The request of a shopper at `until` (default: the end); an unknown shopper has an empty history."""
        now = self.end if until is None else until
        if user not in self.truth.shoppers:
            return Context(place=place, now=now)
        log = self.log
        mine = (log.user == self.truth.shoppers.index(user)) & (log.item >= 0) & (log.time < now)
        active = mine & np.isin(log.type, [EVENT_CODES[name] for name in ACTIVE]) & ~(log.value < 3.0)
        away = mine & np.isin(log.type, [EVENT_CODES[name] for name in TURNED_AWAY])
        return Context(
            place=place,
            now=now,
            history=log.item[active],
            times=log.time[active],
            actions=log.type[active],
            disliked=np.unique(log.item[away]),
        )


def make_world(spec: WorldSpec = WorldSpec()) -> GeneratedWorld:
    """Draw a world; the same spec gives the same world, event by event.

    >>> world = make_world(WorldSpec(n_items=40, n_shoppers=10, days=20))
    >>> len(world.items), world.truth.affinity.shape
    (40, (10, 40))
    """
    rng = np.random.default_rng(spec.seed)
    goods = stock(spec.n_items, spec.opening, rng)
    tastes = affinity(goods, spec.n_shoppers, rng)
    shop = _shop(spec, goods, rng)
    diary = Diary()
    names = tuple(f"u{number:04d}" for number in range(spec.n_shoppers))
    for name, taste, own in zip(names, tastes, rng.spawn(spec.n_shoppers), strict=True):
        Shopper(shop, name, taste, own).live(diary, spec.visits_per_day, spec.guests)
    events = diary.events(goods.items, shop.opening + spec.days * 86_400.0)
    return GeneratedWorld(spec, goods.items, events, _truth(goods, shop, names, tastes))


def as_log(events: list[Event], table: ItemTable, shoppers: tuple[str, ...]) -> Log:
    """Events (in order) as columns: known shoppers coded by their row, other users and guests after them."""
    codes = {name: row for row, name in enumerate(shoppers)}
    sessions: dict[str, int] = {}
    queries: dict[str, int] = {}
    users = [codes.setdefault(event.user or f"\0{event.session}", len(codes)) for event in events]
    visits = [sessions.setdefault(event.session or f"\0{event.user}", len(sessions)) for event in events]
    asked = [queries.setdefault(event.query, len(queries)) if event.query else -1 for event in events]
    return Log(
        time=np.array([event.time.timestamp() for event in events], np.float64),
        type=np.array([EVENT_CODES[event.type] for event in events], np.int8),
        user=np.array(users, np.int32),
        session=np.array(visits, np.int32),
        item=np.array([table.index.get(event.item, -1) for event in events], np.int32),
        quantity=np.array([event.quantity for event in events], np.float32),
        value=np.array([event.value for event in events], np.float32),
        query=np.array(asked, np.int32),
        position=np.array([-1 if event.position is None else event.position for event in events], np.int32),
        n_users=len(codes),
        n_sessions=len(sessions),
        queries=tuple(queries),
    )


def without_truth(world: World, items: NDArray[np.int32]) -> World:
    """The world as if the events of these items had never been seen: cold items."""
    return replace(world, log=world.log.where(~np.isin(world.log.item, items)))


def _shop(spec: WorldSpec, goods: Goods, rng: np.random.Generator) -> Shop:
    row_of = {kind.name: row for row, kind in enumerate(goods.kinds)}
    followers: dict[int, tuple[int, ...]] = {}
    for first, second in COMPLEMENTS:
        if first in row_of and second in row_of:
            followers[row_of[first]] = (*followers.get(row_of[first], ()), row_of[second])
    return Shop(
        items=goods.items,
        kinds=goods.kinds,
        members=tuple(np.flatnonzero(goods.kind_of == row) for row in range(len(goods.kinds))),
        kind_of=goods.kind_of,
        followers=followers,
        shown=rng.normal(0.0, 1.0, len(goods.items)),
        trending=rng.choice(len(goods.items), min(TRENDING, len(goods.items)), replace=False),
        examination=np.arange(1, LIST + 1, dtype=np.float64) ** -0.7,
        opening=spec.opening.timestamp(),
        days=spec.days,
        noise=spec.noise,
    )


def _truth(goods: Goods, shop: Shop, names: tuple[str, ...], tastes: NDArray[np.float32]) -> Truth:
    return Truth(
        shoppers=names,
        items=tuple(item.id for item in goods.items),
        affinity=tastes,
        kinds=tuple(goods.kinds[row].name for row in goods.kind_of),
        complements=tuple(
            (goods.kinds[first].name, goods.kinds[second].name)
            for first, followers in shop.followers.items()
            for second in followers
        ),
        rhythm={kind.name: kind.rhythm for kind in goods.kinds if kind.rhythm},
        trending=tuple(goods.items[row].id for row in shop.trending),
        examination=tuple(shop.examination.tolist()),
    )
