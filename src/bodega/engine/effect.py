"""What would this rule have done to the searches of the last weeks? Measured before it is published.

Every query of the log that the rule takes part in is asked twice, with the rules as they are and with the draft, as
nobody in particular. What the shoppers of those weeks chose is looked up on both pages:

    mrr, ndcg@10, found@10   a case is a search that led to a choice, its own or (where it led to nothing) a later one
                             of the same visit; grades 1 clicked, 2 basket, 3 bought; paired bootstrap, 95 %
    orders                   of what was bought through these searches: moved up, down, onto or off the first ten
    expected                 orders and revenue gained or lost if attention falls as 1 / log2(1 + place)

The first two are facts of the log; the last is an estimate, and says so. What would have been bought instead, nobody
knows: an experiment tells. A query is named from `people` different people on, and counted below that.
Cost: two searches a query, at most 100 queries, the most searched first (.5 to 2 s). Not for: lists without words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from bodega.engine.preview import Ask
from bodega.engine.searched import Asked, SearchLog
from bodega.evaluation.significance import paired
from bodega.ranking.rules import Facts, RuleBook, in_force, shown_at
from bodega.schema import Item, Page, Request, Rule
from bodega.schema.arrays import Doubles

DEPTH = 100
"""Hits of each page in which choices are looked up."""
FIRST = 10
QUERIES = 100
LOOKED_AT = 20_000
"""Queries of the log that are compared with the rule, the most searched first."""
NAMED = 20
"""Queries whose pages are told."""
SEED = 11


class EffectMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """A mean over cases with and without the rule; `low` to `high` is the 95 % interval of the difference."""

    before: float
    after: float
    difference: float
    low: float
    high: float


class EffectOrders(msgspec.Struct, frozen=True, kw_only=True):
    """What was bought through the searches that change, and where it stands now."""

    bought: int
    up: int
    down: int
    entered: int
    """Onto the first ten."""
    left: int
    """Off the first ten."""
    redirected: int
    """Bought after searches that would now be sent elsewhere."""


class EffectExpected(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate: gained (or lost, below 0) over those weeks, with its 95 % interval."""

    total: float
    low: float
    high: float


class EffectRow(msgspec.Struct, frozen=True, kw_only=True):
    """One query of the log that the rule takes part in."""

    query: str
    searches: int
    cases: int
    changed: bool
    total_before: int
    total_after: int
    mrr_before: float | None
    """Over its cases; none without any."""
    mrr_after: float | None
    redirect: str
    before: tuple[str, ...]
    """Ids of the first ten."""
    after: tuple[str, ...]


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule would have done to the searches of the last weeks."""

    rule: str
    days: int
    searches: int
    """All of them."""
    touched: int
    """Searches that the rule takes part in."""
    changed: int
    """Searches whose first ten, number of results or address it changes."""
    queries: int
    """Different queries that the rule takes part in."""
    cases: int
    measures: dict[str, EffectMeasure]
    orders: EffectOrders
    expected_orders: EffectExpected | None
    expected_revenue: EffectExpected | None
    """In the catalog's prices."""
    empty_before: int
    """Searches without any result."""
    empty_after: int
    rows: tuple[EffectRow, ...]
    """The most searched of those that enough people asked, the changed ones first."""
    titles: dict[str, str]
    """{item id: title} of all that the rows name."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measuring:
    """What an effect is measured with."""

    ask: Ask
    book: RuleBook
    log: SearchLog
    people: int
    """Different people who must have asked a query before it is named."""
    item: Callable[[str], Item | None]


@dataclass(frozen=True, slots=True)
class _Compared:
    """One query with its two pages."""

    asked: Asked
    before: Page
    after: Page

    @property
    def differs(self) -> bool:
        first, then = self.before, self.after
        return first.ids[:FIRST] != then.ids[:FIRST] or first.total != then.total or first.redirect != then.redirect

    @property
    def sent_away(self) -> bool:
        return bool(self.after.redirect) and self.after.redirect != self.before.redirect


@dataclass(frozen=True, slots=True)
class _Case:
    """A search that led to a choice: per side (reciprocal rank, ndcg@10, found@10), and what it may gain."""

    before: tuple[float, float, float]
    after: tuple[float, float, float]
    orders: float
    revenue: float


def effect(made: Measuring, rule: Rule, queries: Sequence[str] = (), now: float | None = None) -> Effect:
    """`queries` are looked at first, whether or not the log knows them."""
    draft, moment, notes = _drafted(rule, time.time() if now is None else now)
    changed = made.book.with_rule(draft)
    language = rule.when.languages[0] if rule.when.languages else ""
    chosen, touched = _touched(made, changed, draft, (moment, language), queries)
    if touched > len(chosen):
        notes.append(f"the {len(chosen)} most searched of {touched} queries were measured")

    def asking(query: str) -> Request:
        return Request(place="search", query=query, k=DEPTH, personal=False, language=language)

    pages = [
        _Compared(each, made.ask(asking(each.query), made.book), made.ask(asking(each.query), changed))
        for each in chosen
    ]
    cases = [case for each in pages if not each.sent_away for case in _cases(each, made.item)]
    rows = _rows(pages, made.people, queries)
    named = dict.fromkeys(item for row in rows for item in (*row.before, *row.after))
    titles = {name: held.title for name in named if (held := made.item(name)) is not None}
    return Effect(
        rule=rule.id,
        days=made.log.days,
        searches=sum(len(each.visits) for each in made.log.queries.values()),
        touched=sum(len(each.asked.visits) for each in pages),
        changed=sum(len(each.asked.visits) for each in pages if each.differs),
        queries=touched,
        cases=len(cases),
        measures=_measures(cases),
        orders=_orders(pages),
        expected_orders=_expected([case.orders for case in cases]),
        expected_revenue=_expected([case.revenue for case in cases]),
        empty_before=sum(len(each.asked.visits) for each in pages if not each.before.total),
        empty_after=sum(len(each.asked.visits) for each in pages if not each.after.total),
        rows=rows,
        titles=titles,
        notes=tuple(notes),
    )


def _drafted(rule: Rule, now: float) -> tuple[Rule, float, list[str]]:
    """(the rule as if switched on, in its schedule and for its segments; that moment; what to say of it)."""
    moment, draft, notes = shown_at(rule, now), in_force(rule), []
    if rule.when.segments:
        draft = msgspec.structs.replace(draft, when=msgspec.structs.replace(draft.when, segments=()))
        notes.append("as a shopper of the rule's segments sees it")
    if rule.when.start or rule.when.end or rule.when.weekdays:
        when = msgspec.structs.replace(draft.when, start=None, end=None, weekdays=())
        draft = msgspec.structs.replace(draft, when=when)
        notes.append("as if the rule had been in force all the time")
    return draft, moment, notes


def _touched(
    made: Measuring, book: RuleBook, draft: Rule, when: tuple[float, str], first: Sequence[str]
) -> tuple[list[Asked], int]:
    """(the queries to measure, how many the rule takes part in)."""
    moment, language = when
    named = [made.log.of(query) for query in first if query.strip()]
    known = {each.query for each in named}
    found = []
    for each in made.log.most()[:LOOKED_AT]:
        if each.query in known:
            continue
        facts = Facts(place="search", query=each.query, language=language, now=moment)
        if draft.id in book.plan(facts).rules:
            found.append(each)
    return [*named, *found][:QUERIES], len(named) + len(found)


def _cases(pair: _Compared, item: Callable[[str], Item | None]) -> list[_Case]:
    """The searches of one query that led to a choice."""
    places = [{name: n for n, name in enumerate(page.ids, 1)} for page in (pair.before, pair.after)]
    out = []
    for chosen in pair.asked.visits.values():
        own = [each for each in chosen.values() if each.own]
        held = own or list(chosen.values())
        if not held:
            continue
        gains = {each.item: each.gain for each in held}
        orders = revenue = 0.0
        for each in held:
            if each.own and each.bought and each.item in places[0]:
                seen = places[1].get(each.item)
                gained = (_attention(seen) if seen else 0.0) / _attention(places[0][each.item]) - 1.0
                sold = item(each.item)
                orders += gained
                revenue += gained * each.bought * ((sold.price if sold is not None else None) or 0.0)
        out.append(_Case(_scored(gains, places[0]), _scored(gains, places[1]), orders, revenue))
    return out


def _attention(place: int) -> float:
    return float(1.0 / np.log2(1 + place))


def _scored(gains: dict[str, int], places: dict[str, int]) -> tuple[float, float, float]:
    """(reciprocal rank of the best placed choice, graded ndcg@10, any among the first ten)."""
    found = [places[name] for name in gains if name in places]
    first = min(found, default=0)
    ideal = sum((2**gain - 1) * _attention(n) for n, gain in enumerate(sorted(gains.values(), reverse=True)[:FIRST], 1))
    got = sum(
        (2**gain - 1) * _attention(places[name]) for name, gain in gains.items() if places.get(name, FIRST + 1) <= FIRST
    )
    return (1 / first if first else 0.0, got / ideal, float(0 < first <= FIRST))


def _measures(cases: Sequence[_Case]) -> dict[str, EffectMeasure]:
    if not cases:
        return {}
    before, after = (np.array([getattr(case, side) for case in cases], np.float64) for side in ("before", "after"))
    out = {}
    for column, name in enumerate(("mrr", "ndcg@10", "found@10")):
        a, b = after[:, column], before[:, column]
        gap = paired(a, b, np.random.default_rng(SEED))
        out[name] = EffectMeasure(
            before=_short(b.mean()),
            after=_short(a.mean()),
            difference=_short(gap.mean),
            low=_short(gap.low),
            high=_short(gap.high),
        )
    return out


def _expected(values: Sequence[float]) -> EffectExpected | None:
    """The sum over the cases with its interval; None without cases."""
    if not values:
        return None
    each: Doubles = np.asarray(values, np.float64)
    gap = paired(each, np.zeros(len(each)), np.random.default_rng(SEED))
    n = len(each)
    return EffectExpected(total=_short(gap.mean * n), low=_short(gap.low * n), high=_short(gap.high * n))


def _orders(pages: Sequence[_Compared]) -> EffectOrders:
    counted = dict.fromkeys(("bought", "up", "down", "entered", "left", "redirected"), 0)
    for pair in pages:
        old, new = ({name: n for n, name in enumerate(page.ids, 1)} for page in (pair.before, pair.after))
        for chosen in pair.asked.visits.values():
            for each in chosen.values():
                if not each.bought:
                    continue
                counted["bought"] += 1
                if pair.sent_away:
                    counted["redirected"] += 1
                    continue
                was, now = old.get(each.item, DEPTH + 1), new.get(each.item, DEPTH + 1)
                counted["up"] += now < was
                counted["down"] += now > was
                counted["entered"] += now <= FIRST < was
                counted["left"] += was <= FIRST < now
    return EffectOrders(**counted)


def _rows(pages: Sequence[_Compared], people: int, first: Sequence[str]) -> tuple[EffectRow, ...]:
    """The queries that may be named: those that enough people asked, and those that were asked for."""
    typed = {query.strip().casefold() for query in first}
    named = [
        each
        for n, each in enumerate(pages)
        if len(each.asked.people) >= people or each.asked.query.casefold() in typed or n < len(typed)
    ]
    named.sort(key=lambda each: not each.differs)
    return tuple(_row(each, told=len(each.asked.people) >= people) for each in named[:NAMED])


def _row(pair: _Compared, *, told: bool) -> EffectRow:
    """`told`: may it be said what the shoppers did who asked it?"""
    cases = _cases(pair, lambda _: None) if told else []
    mean = (lambda side: _short(float(np.mean([getattr(case, side)[0] for case in cases])))) if cases else None
    return EffectRow(
        query=pair.asked.query,
        searches=len(pair.asked.visits) if told else 0,
        cases=len(cases),
        changed=pair.differs,
        total_before=pair.before.total,
        total_after=pair.after.total,
        mrr_before=mean("before") if mean else None,
        mrr_after=mean("after") if mean else None,
        redirect=pair.after.redirect if pair.sent_away else "",
        before=tuple(pair.before.ids[:FIRST]),
        after=tuple(pair.after.ids[:FIRST]),
    )


def _short(value: float) -> float:
    return round(float(value), 5) + 0.0
