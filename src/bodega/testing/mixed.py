"""A shop that mixes kinds, with known tastes: gear, articles, videos, music, people, groups and topics about hobbies.

Every item is about one hobby, whatever its kind; every shopper cares for two of them. What people look at is drawn from
their hobbies (a little by chance), across kinds, so a perfect model shows a runner what is about running: shoes, plans,
films, clubs. Only gear is sold; the rest has neither price nor stock, and profile fields of its own. Deterministic by
seed; 280 items, 120 shoppers and 40 days take .2 s. Not for: baskets, rhythms, positions (`world` has those).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from bodega.schema import Event, EventType, Item
from bodega.schema.nouns import AttributeValue

HOBBIES: dict[str, tuple[str, ...]] = {
    "running": ("trail", "marathon", "sprint", "pace"),
    "cooking": ("pasta", "bread", "curry", "knife"),
    "camping": ("tent", "campfire", "forest", "stove"),
    "cycling": ("gravel", "climb", "wheel", "helmet"),
    "painting": ("canvas", "brush", "watercolour", "easel"),
    "gardening": ("seeds", "compost", "tomato", "pruning"),
    "chess": ("opening", "endgame", "gambit", "clock"),
}
"""{hobby: words of it}; no word stands for two."""

KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "product": ("{word} {hobby} kit", ("colour",)),
    "article": ("How to: {word} for {hobby}", ("author", "minutes")),
    "video": ("Watch: {hobby} and {word}", ("channel", "minutes")),
    "music": ("{word} songs for {hobby}", ("artist",)),
    "person": ("{name}, who loves {word}", ("city",)),
    "group": ("{hobby} friends of {city}", ("city", "members")),
    "topic": ("All about {word} in {hobby}", ()),
}
"""{kind: (title, its profile fields)}."""

_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana")
_CITIES = ("Oslo", "Lyon", "Porto", "Graz")
_COLOURS = ("red", "blue", "green", "black")


@dataclass(frozen=True, slots=True)
class MixedSpec:
    """How large the mixed shop is."""

    of_each: int = 6
    """Items of each hobby and kind; products twice as many."""
    n_shoppers: int = 120
    days: float = 40.0
    visits: int = 12
    """Visits of a shopper; four looks each."""
    noise: float = 0.1
    """Share of looks by chance."""
    seed: int = 7
    opening: datetime = datetime(2025, 1, 6, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MixedWorld:
    """Items, events in order of time, and the truth: what each item is about, what each shopper cares for."""

    items: list[Item]
    events: list[Event]
    about: dict[str, str]
    """{item: hobby}."""
    cares: dict[str, tuple[str, ...]]
    """{shopper: hobbies}."""

    def of(self, kind: str, hobby: str) -> list[str]:
        """The items of a kind about a hobby."""
        return [item.id for item in self.items if item.kind == kind and self.about[item.id] == hobby]


def make_mixed(spec: MixedSpec = MixedSpec()) -> MixedWorld:
    """Draw a shop of seven kinds; the same spec gives the same shop.

    >>> world = make_mixed(MixedSpec(of_each=1, n_shoppers=2, visits=1))
    >>> sorted({item.kind for item in world.items})
    ['article', 'group', 'music', 'person', 'product', 'topic', 'video']
    """
    rng = np.random.default_rng(spec.seed)
    items, about = _items(spec, rng)
    names = list(HOBBIES)
    by_hobby = {name: [item.id for item in items if about[item.id] == name] for name in names}
    cares = {
        f"m{number:03d}": tuple(names[at] for at in rng.choice(len(names), 2, replace=False).tolist())
        for number in range(spec.n_shoppers)
    }
    events = [
        event
        for user, hobbies in cares.items()
        for event in _visits(user, [by_hobby[name] for name in hobbies], [item.id for item in items], spec, rng)
    ]
    events.sort(key=lambda event: (event.time, event.id))
    return MixedWorld(items, events, about, cares)


def _items(spec: MixedSpec, rng: np.random.Generator) -> tuple[list[Item], dict[str, str]]:
    items: list[Item] = []
    about: dict[str, str] = {}
    for kind, (title, fields) in KINDS.items():
        for hobby, words in HOBBIES.items():
            for number in range(spec.of_each * (2 if kind == "product" else 1)):
                word, city = words[number % len(words)], _CITIES[int(rng.integers(len(_CITIES)))]
                name = _NAMES[int(rng.integers(len(_NAMES)))]
                values: dict[str, AttributeValue] = {
                    "colour": _COLOURS[number % len(_COLOURS)],
                    "author": name,
                    "channel": f"{name} {hobby}",
                    "artist": name,
                    "city": city,
                    "minutes": float(rng.integers(3, 60)),
                    "members": float(rng.integers(5, 900)),
                }
                item = Item(
                    id=f"{kind}-{hobby}-{number}",
                    kind=kind,
                    title=title.format(word=word, hobby=hobby, name=name, city=city).capitalize(),
                    description=f"{hobby}: {word}, number {number}.",
                    category=(hobby.capitalize(),),
                    price=round(float(rng.uniform(5, 90)), 2) if kind == "product" else None,
                    currency="EUR" if kind == "product" else "",
                    stock=int(rng.integers(1, 50)) if kind == "product" else None,
                    attributes={field: values[field] for field in fields},
                    created=spec.opening - timedelta(days=int(rng.integers(1, 300))),
                )
                items.append(item)
                about[item.id] = hobby
    return items, about


def _visits(
    user: str, liked: list[list[str]], everything: list[str], spec: MixedSpec, rng: np.random.Generator
) -> list[Event]:
    """What one shopper looks at: each visit is about one of their hobbies."""
    out: list[Event] = []
    for visit in range(spec.visits):
        start = spec.opening + timedelta(days=float(rng.uniform(0, spec.days)))
        own = liked[int(rng.integers(len(liked)))]
        for step in range(4):
            chosen = everything if rng.random() < spec.noise else own
            out.append(
                Event(
                    type=EventType.VIEW,
                    time=start + timedelta(seconds=40 * step),
                    id=f"{user}-{visit}-{step}",
                    user=user,
                    session=f"{user}-{visit}",
                    item=chosen[int(rng.integers(len(chosen)))],
                )
            )
    return out
