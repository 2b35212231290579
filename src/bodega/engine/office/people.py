"""`shop.office.people`: one (pseudonymous) shopper as an operator may see them, and a trace of every look.

    found      ids of whom something is known lately, or the one that is asked for
    state      interests now and over time, brands, prices, what this visit seems to be about, arms, ids, consent
    timeline   what they did, newest first
    lists      what each list would show them and why, beside the same list without personalisation

Interests are shares of decayed weights: an event counts `WEIGHTS` (a purchase as much as ten views), halved every
`SHORT` days (what they are at now) or `LONG` days (what they like). They describe; no list is made from them.
Every method writes a line to the audit trail *before* it answers, and answers nothing where that fails.
Cost: one read of the shopper's newest steps; a list costs two pages. Not for: exporting and forgetting (`access`,
`erasure`), which go through their own doors.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bodega.engine.office.shop import OfficeShop, looked_at, newest_event
from bodega.engine.office.trail import Trail, TrailLine
from bodega.engine.places import PLACES
from bodega.errors import BadRequest
from bodega.evaluation.experiments import assigned
from bodega.events.identity import SESSION, USER
from bodega.protocols import Steps
from bodega.schema import EVENT_CODES, Event, Item, Page, Request

SHORT, LONG = 2.0, 90.0
"""Half-lives in days."""
WEIGHTS = {"view": 1.0, "click": 1.0, "cart": 4.0, "purchase": 10.0, "rating": 4.0}
VISIT = 1_800.0
"""Seconds without an event after which a visit is over."""
STEPS = 2_000
TOP = 8
LISTED = 200
SPAN = 7.0
"""Days before the newest event in which recent shoppers are looked for."""
PERSONAL = tuple(name for name, place in PLACES.items() if not place.anchored and name not in ("category", "search"))
_DAY = 86_400.0
_NAMES = {code: name for name, code in EVENT_CODES.items()}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who did something lately."""

    id: str
    kind: str
    """`user`, or `session` for a guest."""
    last: float
    events: int
    purchases: int


class Share(msgspec.Struct, frozen=True):
    """What part of somebody's interest."""

    name: str
    share: float


class Prices(msgspec.Struct, frozen=True):
    """What they pay: quartiles of the prices of what they bought (or wanted, where they bought nothing)."""

    low: float
    middle: float
    high: float
    of: str
    count: int


class Evidence(msgspec.Struct, frozen=True):
    """One link between ids, and why it is believed."""

    left: str
    right: str
    evidence: str
    apart: bool
    time: float


class Told(msgspec.Struct, frozen=True):
    """One word about consent."""

    subject: str
    purpose: str
    granted: bool
    time: float
    source: str


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """The newest visit, and what it seems to be about."""

    began: float
    ended: float
    events: int
    searches: tuple[str, ...] = ()
    categories: tuple[Share, ...] = ()
    stage: str = ""
    """`looking`, `comparing`, `buying` or `done`: the furthest step that was taken."""


class ShopperState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a shopper now."""

    id: str
    kind: str
    known: bool
    """Is anything?"""
    first: float = 0.0
    last: float = 0.0
    counts: dict[str, int] = {}
    """{event type: how many of the newest steps}."""
    now: tuple[Share, ...] = ()
    """Categories, half-life of two days."""
    always: tuple[Share, ...] = ()
    """Categories, half-life of ninety days."""
    brands: tuple[Share, ...] = ()
    prices: Prices | None = None
    visit: Visit | None = None
    arms: dict[str, str] = {}
    ids: tuple[str, ...] = ()
    """All ids of this shopper."""
    links: tuple[Evidence, ...] = ()
    personalisation: bool = True
    learning: bool = True
    words: tuple[Told, ...] = ()


class Moment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event, with the title of its item."""

    time: float
    type: str
    item: str = ""
    title: str = ""
    query: str = ""
    place: str = ""
    position: int | None = None
    quantity: float = 1.0
    price: float | None = None
    session: str = ""
    user: str = ""
    request_id: str = ""


class Timeline(msgspec.Struct, frozen=True):
    """Events, newest first; `more`: there are older ones than these."""

    events: tuple[Moment, ...]
    more: bool


class ListLine(msgspec.Struct, frozen=True):
    """One place of a list."""

    id: str
    title: str
    score: float
    why: tuple[str, ...]
    sources: tuple[Share, ...]
    plain: int | None
    """Its place (from 0) without personalisation; none where it is not among the first."""


class ListBeside(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shows this shopper, and what it shows anybody."""

    place: str
    personal: tuple[ListLine, ...]
    plain: tuple[ListLine, ...]
    overlap: float
    """Share of the first that both have."""
    degraded: tuple[str, ...] = ()


class People:
    """Shoppers, one at a time."""

    def __init__(self, shop: OfficeShop, trail: Trail) -> None:
        self._shop = shop
        self._trail = trail

    def note(self, who: str, what: str, shopper: tuple[str, str], detail: str = "") -> TrailLine:
        """Write down that `who` does `what` with ("user" or "session", id). Raises StoreError."""
        kind, name = shopper
        border = self._shop.privacy.border
        return self._trail.write(who, what, border.digest(kind, border.name(kind, name)), detail)

    def looks(self, shopper: tuple[str, str] | None = None, limit: int = 100) -> list[TrailLine]:
        """Who looked at this shopper (or at anybody), newest first."""
        acts = ("look", "list", "export", "forget")
        if shopper is None:
            return self._trail.read(what=acts, limit=limit)
        border = self._shop.privacy.border
        kind, name = shopper
        return self._trail.read(about=border.digest(kind, border.name(kind, name)), what=acts, limit=limit)

    def recent(self, who: str, text: str = "", limit: int = 50) -> list[Known]:
        """Who did something in the last days before the newest event, the latest first; ids that begin with the text
        first. Raises StoreError."""
        self._trail.write(who, "list")
        newest = newest_event(self._shop)
        held: dict[tuple[str, str], list[float]] = {}
        bought = EVENT_CODES["purchase"]
        for rows in self._shop.stores.events.since(newest - SPAN * _DAY):
            for at, code, user, session in zip(
                rows.time.tolist(), rows.type.tolist(), rows.user, rows.session, strict=True
            ):
                person = ("user", user) if user else ("session", session)
                if text and text not in person[1]:
                    continue
                tally = held.setdefault(person, [0.0, 0, 0])
                tally[0] = max(tally[0], at)
                tally[1] += 1
                tally[2] += code == bought
        ranked = sorted(
            held.items(), key=lambda one: (not one[0][1].startswith(text), one[0][0] != "user", -one[1][0], one[0])
        )
        return [
            Known(id=name, kind=kind, last=last, events=int(events), purchases=int(purchases))
            for (kind, name), (last, events, purchases) in ranked[:limit]
            if name
        ]

    def state(self, who: str, shopper: tuple[str, str]) -> ShopperState:
        """What is known of this shopper. Raises StoreError."""
        self.note(who, "look", shopper, "state")
        kind, user, session = self._named(shopper)
        privacy = self._shop.privacy
        steps = privacy.steps(user, session, STEPS)
        person = privacy.of_user(user) if user else privacy.of_session(session)
        told = privacy.standing(user, session)
        subjects = [USER + name for name in person.users or ((user,) if user else ())]
        subjects += [SESSION + session] if session else []
        links = privacy.store.links_of(subjects) if subjects else []
        return ShopperState(
            id=shopper[1],
            kind=kind,
            known=bool(steps.time),
            **self._interests(steps),
            arms=self._arms(user, session),
            ids=person.users,
            links=tuple(Evidence(one.left, one.right, one.evidence, one.apart, one.time) for one in links[:LISTED]),
            personalisation=told.personalisation,
            learning=told.learning,
            words=tuple(Told(one.subject, one.purpose, one.granted, one.time, one.source) for one in person.words),
        )

    def timeline(self, who: str, shopper: tuple[str, str], limit: int = 100) -> Timeline:
        """What they did, newest first. Raises StoreError."""
        self.note(who, "look", shopper, "timeline")
        _, user, session = self._named(shopper)
        events = self._shop.stores.events
        users = self._shop.privacy.of_user(user).users if user else ()
        found: list[Event] = []
        for name in users:
            found += events.recent(user=name, session="", limit=limit + 1)
        if session:
            found += [one for one in events.recent(user="", session=session, limit=limit + 1) if not one.user]
        found.sort(key=lambda one: (one.time, one.id), reverse=True)
        shown = found[:limit]
        items = self._shop.stores.catalog.get(sorted({one.item for one in shown if one.item}))
        return Timeline(tuple(_moment(one, items) for one in shown), len(found) > limit)

    def lists(self, who: str, shopper: tuple[str, str], place: str = "home", k: int = 10) -> ListBeside:
        """What a list shows them and why, beside the same without personalisation. Raises BadRequest, NotLearned."""
        if place not in PERSONAL:
            raise BadRequest(
                "this list cannot be shown for a shopper alone", code="shoppers.place",
                where="place", allowed=", ".join(PERSONAL),
                got=place[:40], next="the inspector shows searches and lists around an item",
            )  # fmt: skip
        self.note(who, "look", shopper, f"list {place}")
        _, user, session = self._named(shopper)
        asked = Request(place=place, user=user, session=session, k=k, language=self._shop.settings.language)
        own = looked_at(self._shop, asked)
        plain = looked_at(self._shop, msgspec.structs.replace(asked, user="", session="", personal=False))
        ranks = {name: rank for rank, name in enumerate(plain.ids)}
        mine = {name: rank for rank, name in enumerate(own.ids)}
        both = len(ranks.keys() & mine.keys())
        return ListBeside(
            place=place,
            personal=_lines(own, ranks),
            plain=_lines(plain, mine),
            overlap=round(both / max(len(mine), 1), 4),
            degraded=own.degraded,
        )

    def _named(self, shopper: tuple[str, str]) -> tuple[str, str, str]:
        """(kind, user, session), as they are kept here."""
        kind, name = shopper
        kept = self._shop.privacy.border.name(kind, name)
        return (kind, kept, "") if kind == "user" else (kind, "", kept)

    def _arms(self, user: str, session: str) -> dict[str, str]:
        """{running experiment: arm}: the one this shopper saw first, else the one they would see. Nothing is noted."""
        tried = getattr(self._shop, "experiments", None)
        running = tuple(getattr(tried, "running", ()))
        privacy = self._shop.privacy
        if tried is None or not running or not privacy.standing(user, session).learning:
            return {}
        users = privacy.of_user(user).users or ((user,) if user else ())
        first: dict[str, str] = tried.sticky.first(users, session, min(each.started for each in running))
        unit = f"u:{user}" if user else f"s:{session}"
        found = {}
        for kept in running:
            arm = assigned(kept.experiment, unit, time.time())
            if kept.id in first or arm is not None:
                found[str(kept.id)] = first.get(kept.id) or (arm.name if arm is not None else "")
        return found

    def _interests(self, steps: Steps) -> dict[str, Any]:
        """The part of a state that events tell."""
        if not steps.time:
            return {}
        items = self._shop.stores.catalog.get(sorted({name for name in steps.item if name}))
        newest = max(steps.time)
        rows = list(zip(steps.time, (_NAMES[code] for code in steps.code), steps.item, steps.query, strict=True))
        return {
            "first": min(steps.time),
            "last": newest,
            "counts": dict(sorted(Counter(name for _, name, _, _ in rows).items())),
            "now": _shares(rows, items, newest, SHORT, _category),
            "always": _shares(rows, items, newest, LONG, _category),
            "brands": _shares(rows, items, newest, LONG, lambda item: item.brand),
            "prices": _prices(rows, items),
            "visit": _visit(rows, items),
        }


Row = tuple[float, str, str, str]
"""(seconds, event type, item, words)."""


def _category(item: Item) -> str:
    return " > ".join(item.category)


def _shares(
    rows: Sequence[Row], items: Mapping[str, Item], newest: float, half_life: float, of: Any
) -> tuple[Share, ...]:
    """The largest parts of what was wanted, decayed."""
    held: dict[str, float] = defaultdict(float)
    for at, name, item, _ in rows:
        value = of(items[item]) if item in items else ""
        if value and name in WEIGHTS:
            held[value] += WEIGHTS[name] * 2.0 ** (-(newest - at) / (half_life * _DAY))
    total = sum(held.values())
    ranked = sorted(held.items(), key=lambda one: (-one[1], one[0]))[:TOP]
    return tuple(Share(name, round(weight / total, 4)) for name, weight in ranked) if total else ()


def _prices(rows: Sequence[Row], items: Mapping[str, Item]) -> Prices | None:
    for name in ("purchase", "cart", "view", "click"):
        found = sorted(
            price for _, kind, item, _ in rows if kind == name and item in items
            and (price := items[item].price) is not None
        )  # fmt: skip
        if found:
            low, middle, high = (found[min(len(found) - 1, int(part * len(found)))] for part in (0.25, 0.5, 0.75))
            return Prices(low, middle, high, name, len(found))
    return None


def _visit(rows: Sequence[Row], items: Mapping[str, Item]) -> Visit:
    """The newest visit: the steps behind the last gap."""
    ordered = sorted(rows)
    first = len(ordered) - 1
    while first and ordered[first][0] - ordered[first - 1][0] <= VISIT:
        first -= 1
    own = ordered[first:]
    kinds = {name for _, name, _, _ in own}
    stage = "done" if "purchase" in kinds else "buying" if "cart" in kinds else "looking"
    views = [item for _, name, item, _ in own if name in ("view", "click")]
    if (
        stage == "looking"
        and len(set(views)) >= 3
        and len({_category(items[one]) for one in views if one in items}) == 1
    ):
        stage = "comparing"
    return Visit(
        began=own[0][0],
        ended=own[-1][0],
        events=len(own),
        searches=tuple(dict.fromkeys(words for _, _, _, words in own if words))[-TOP:],
        categories=_shares(own, items, own[-1][0], SHORT, _category),
        stage=stage,
    )


def _moment(event: Event, items: Mapping[str, Item]) -> Moment:
    held = items.get(event.item)
    return Moment(
        time=event.time.timestamp(),
        type=str(event.type),
        item=event.item,
        title=held.title if held is not None else "",
        query=event.query,
        place=event.place,
        position=event.position,
        quantity=event.quantity,
        price=event.price,
        session=event.session,
        user=event.user,
        request_id=event.request_id,
    )


def _lines(page: Page, other: Mapping[str, int]) -> tuple[ListLine, ...]:
    return tuple(
        ListLine(
            hit.id,
            hit.item.title,
            round(hit.score, 4),
            tuple(reason.text for reason in hit.why),
            tuple(Share(reason.source, round(reason.share, 4)) for reason in hit.why),
            other.get(hit.id),
        )
        for hit in page.hits
    )
