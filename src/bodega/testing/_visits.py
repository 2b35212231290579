"""What happens in the generated shop: trips for what has run out, lists that are looked at from the top, searches.

One `Diary` collects the events of all shoppers. Everything a shopper does follows from the true affinity, the
rhythms, the complements and the examination of positions, plus a known share of noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from bodega.schema import Event, EventType, Item
from bodega.testing._shelves import Kind

DAY = 86_400.0
LIST = 8
"""Places of a shown list."""

CLICK_AT = 1.5
"""Affinity at which an examined item is clicked every second time."""

FOLLOWS = 0.45
"""Chance that the complement follows an item into the basket."""

HABIT_AT = 2.0
"""Affinity above which a household takes up the rhythm of a kind."""

Place = tuple[str, str]
"""(place, query)."""


@dataclass(frozen=True, slots=True)
class Shop:
    """What all shoppers meet: the shelves and the habits of the place."""

    items: list[Item]
    kinds: tuple[Kind, ...]
    members: tuple[NDArray[np.int64], ...]
    """Item rows of each kind."""
    kind_of: NDArray[np.int32]
    followers: dict[int, tuple[int, ...]]
    """Kind -> kinds that follow it into the basket."""
    shown: NDArray[np.float64]
    """Log weight of each item in the home list."""
    trending: NDArray[np.int64]
    examination: NDArray[np.float64]
    opening: float
    days: float
    noise: float


@dataclass(slots=True)
class Diary:
    """Collects rows (time, type, user, session, item row or -1, query, place, position or -1, value)."""

    rows: list[tuple[float, EventType, str, str, int, str, str, int, float]] = field(default_factory=list)

    def note(self, visit: Visit, kind: EventType, item: int, place: Place = ("", ""), position: int = -1) -> None:
        visit.clock += 7.0
        self.rows.append((visit.clock, kind, visit.user, visit.session, item, place[1], place[0], position, 0.0))

    def rate(self, visit: Visit, item: int, stars: float) -> None:
        self.rows.append((visit.clock + DAY, EventType.RATING, visit.user, visit.session, item, "", "", -1, stars))

    def events(self, items: list[Item], until: float) -> list[Event]:
        """All notes as events in time order, those from `until` on left out."""
        kept = sorted((row for row in self.rows if row[0] < until), key=lambda row: row[0])
        return [_event(number, row, items) for number, row in enumerate(kept)]


@dataclass(slots=True)
class Visit:
    user: str
    session: str
    clock: float


def _event(number: int, row: tuple[float, EventType, str, str, int, str, str, int, float], items: list[Item]) -> Event:
    time, kind, user, session, item, query, place, position, value = row
    bought = kind is EventType.PURCHASE
    return Event(
        id=f"e{number:07d}",
        type=kind,
        time=datetime.fromtimestamp(round(time, 3), UTC),
        user=user,
        session=session,
        item=items[item].id if item >= 0 else "",
        query=query,
        place=place,
        position=position if position >= 0 else None,
        price=items[item].price if bought else None,
        currency=items[item].currency if bought else "",
        value=value or None,
    )


class Shopper:
    """One household: `taste` is its true affinity for every item, (n_items,)."""

    def __init__(self, shop: Shop, name: str, taste: NDArray[np.float32], rng: np.random.Generator) -> None:
        self.shop, self.name, self.rng = shop, name, rng
        self.taste = taste.astype(np.float64)
        self.appeal = np.exp(self.taste - self.taste.max())
        self.chinese = bool(rng.random() < 0.15)
        self.visits = 0

    def live(self, diary: Diary, visits_per_day: float, guest_share: float) -> None:
        """All that this household does from the opening on."""
        for moment, due in self._trips():
            visit = self._enter(moment, guest=False)
            for item in due:
                self._buy(diary, visit, item)
            if self.rng.random() < 0.5:
                self._buy(diary, visit, self._fancy())
        for moment in self._moments(visits_per_day):
            visit = self._enter(moment, guest=bool(self.rng.random() < guest_share))
            self._browse(diary, visit)
            if self.rng.random() < 0.5:
                self._search(diary, visit)

    def _enter(self, moment: float, *, guest: bool) -> Visit:
        self.visits += 1
        return Visit("" if guest else self.name, f"{'g' if guest else 's'}-{self.name}-{self.visits}", moment)

    def _trips(self) -> list[tuple[float, list[int]]]:
        """When which favourites have run out: [(time, items)]; what is due within a day is fetched together."""
        shop, due = self.shop, []
        for row, kind in enumerate(shop.kinds):
            favourite = int(shop.members[row][np.argmax(self.taste[shop.members[row]])])
            if kind.rhythm and self.taste[favourite] > HABIT_AT and self.rng.random() < 0.7:
                gaps = kind.rhythm * np.clip(self.rng.normal(1.0, 0.12, int(shop.days / kind.rhythm) + 2), 0.5, 1.5)
                days = self.rng.uniform(0.0, kind.rhythm) + np.concatenate([[0.0], np.cumsum(gaps)])
                due += [(day, favourite) for day in days.tolist() if day < shop.days]
        trips: list[tuple[float, list[int]]] = []
        for day, item in sorted(due):
            if trips and day - trips[-1][0] < 1.0:
                trips[-1][1].append(item)
            else:
                trips.append((day, [item]))
        return [(shop.opening + day * DAY, items) for day, items in trips]

    def _moments(self, per_day: float) -> list[float]:
        count = int(self.rng.poisson(per_day * self.shop.days))
        days: list[float] = np.sort(self.rng.uniform(0.0, self.shop.days, count)).tolist()
        return [self.shop.opening + day * DAY for day in days]

    def _fancy(self, among: NDArray[np.int64] | None = None) -> int:
        """An item drawn by taste (or, with the share of noise, by nothing)."""
        rows = np.arange(len(self.taste)) if among is None else among
        weights = np.ones(len(rows)) if self.rng.random() < self.shop.noise else self.appeal[rows]
        heap = np.cumsum(weights)
        return int(rows[np.searchsorted(heap, self.rng.random() * heap[-1])])

    def _buy(self, diary: Diary, visit: Visit, item: int) -> None:
        """Into the basket, with its complements; some purchases are rated, unloved ones may come back."""
        basket = [item]
        for bought in basket:  # grows: what follows may have followers of its own (there are no circles)
            diary.note(visit, EventType.PURCHASE, bought)
            followers = self.shop.followers.get(int(self.shop.kind_of[bought]), ())
            basket += [self._fancy(self.shop.members[one]) for one in followers if self.rng.random() < FOLLOWS]
        draw = self.rng.random()
        if draw < 0.04:
            diary.rate(visit, item, float(np.clip(np.round(2.5 + self.taste[item]), 1, 5)))
        elif draw > 0.97 and self.taste[item] < 0.0:
            diary.note(visit, EventType.RETURN, item)

    def _browse(self, diary: Diary, visit: Visit) -> None:
        """The home list: popular goods and chance, the trending ones more and more often."""
        shop = self.shop
        weight = shop.shown + self.rng.gumbel(size=len(shop.items))
        age = (visit.clock - shop.opening) / DAY - (shop.days - 10.0)
        if age > 0:
            weight[shop.trending] += 0.5 * age
        rows = np.argpartition(-weight, min(LIST, len(weight) - 1))[:LIST]
        self._look(diary, visit, rows[np.argsort(-weight[rows])], ("home", ""))

    def _search(self, diary: Diary, visit: Visit) -> None:
        """A query for something liked; the answer lists the kind in chance order."""
        wanted = self._fancy()
        row = int(self.shop.kind_of[wanted])
        query = self._words(self.shop.kinds[row], self.shop.items[wanted].brand)
        diary.note(visit, EventType.SEARCH, -1, ("search", query))
        self._look(diary, visit, self.rng.permutation(self.shop.members[row])[:LIST], ("search", query))

    def _words(self, kind: Kind, brand: str) -> str:
        if self.chinese:
            return kind.chinese
        words = f"{brand.lower()} {kind.name}" if self.rng.random() < 0.2 else kind.name
        if self.rng.random() < 0.08:
            cut = int(self.rng.integers(1, len(words) - 1))
            words = words[:cut] + words[cut + 1] + words[cut] + words[cut + 2 :]
        return words

    def _look(self, diary: Diary, visit: Visit, rows: NDArray[np.int64], place: Place) -> None:
        """Show a list: examined from the top, clicked by affinity, some clicks become purchases."""
        shop = self.shop
        seen = self.rng.random(len(rows)) < shop.examination[: len(rows)]
        liked = self.rng.random(len(rows)) < 1.0 / (1.0 + np.exp(CLICK_AT - self.taste[rows]))
        clicked = seen & (liked | (self.rng.random(len(rows)) < shop.noise * 0.1))
        for position, item in enumerate(rows.tolist()):
            diary.note(visit, EventType.IMPRESSION, item, place, position)
            if clicked[position]:
                diary.note(visit, EventType.CLICK, item, place, position)
                diary.note(visit, EventType.VIEW, item)
                if self.rng.random() < 0.4:
                    diary.note(visit, EventType.CART, item)
                    self._buy(diary, visit, item)
            elif seen[position] and self.taste[item] < -2.0 and self.rng.random() < 0.02:
                diary.note(visit, EventType.DISMISS, item, place, position)
