"""What do people search: most, more than before, and in vain?

A query is asked once where a results page was answered for it (its first page; what was typed on the way to it counts
as one with it), or, in shops whose pages are not logged, where a `search` event says so. It was clicked where something
wanted names that page, or the same shopper wanted something "of this query" within the window; it was refined where
nothing was, and the next query came within two minutes.

    top      asked most
    rising   a larger share of all searches than in the weeks before: exact binomial test, Holm-corrected over every
             query that was asked often enough to be looked at, p < .05
    failing  surely (95 % intervals) found empty, left unclicked or refined more than the shop's queries usually are,
             those first that cost the most shoppers

Shown is only what enough different people asked (`understand.people`): a rare query may name somebody.
Cost: 60 us a search, with the pages and events around it. Not for: what to do about it (the console measures that).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.insight.attribution import WANTED, Happened, Logbook, Rule
from bodega.insight.batch import Agreed, everybody
from bodega.insight.counting import DAY, MINUTE, rate
from bodega.insight.reports import Asked
from bodega.schema import EVENT_CODES

Kind = Literal["top", "rising", "failing"]
SEARCH = EVENT_CODES["search"]
TYPING = 10_000_000
"""A query that is the beginning of the next one, this soon before it, was only being typed."""
REFINED = 2 * MINUTE
NEXT = 5 * MINUTE
SAME = 5 * MINUTE
"""A search event this near to a page of the same query and shopper speaks of that page."""
WEEKS_BEFORE = 28
"""Days before the window that a query is compared with."""
RISES = 5
"""A query asked less often than this does not rise."""
SURE = 0.05
FOLLOWERS = 3
LONGEST = 200
"""Characters of a query that are told."""


@dataclass(slots=True)
class Ask:
    """Somebody searched."""

    at: int
    who: str
    """The shopper, "" for nobody."""
    query: str
    zero: bool
    request: str = ""
    clicked: bool = False
    refined: bool = False
    next: str = ""


@dataclass(slots=True)
class Tallied:
    """What a query came to."""

    asked: int = 0
    zero: int = 0
    clicked: int = 0
    refined: int = 0
    people: set[str] = field(default_factory=set)
    next: Counter[str] = field(default_factory=Counter)


def normal(query: str) -> str:
    """Queries that differ in case and spaces only are one."""
    return " ".join(query.casefold().split())[:LONGEST]


def asks(logbook: Logbook, rule: Rule, since: int, until: int, agreed: Agreed = everybody) -> list[Ask]:
    """Every search of [since, until), in order of time, with what came of it."""
    found: list[Ask] = []
    for page in logbook.pages(since, until):
        if page.query and page.place == "search" and not page.offset and (query := normal(page.query)):
            who = page.user or (page.session and f" {page.session}")
            found.append(Ask(round(page.time * 1e6), who, query, page.total == 0, page.request_id))
    by_request = {ask.request: ask for ask in found}
    of_person: dict[str, list[Ask]] = defaultdict(list)
    for ask in found:
        if ask.who:
            of_person[ask.who].append(ask)
    for chunk in logbook.happened(since, until, (SEARCH,)):
        found += _searched(chunk, agreed, of_person, by_request)
    for mine in of_person.values():
        mine.sort(key=lambda ask: ask.at)
    for chunk in logbook.happened(since, until, WANTED):
        _clicked(chunk, agreed, of_person, by_request, rule)
    typed = {id(ask) for mine in of_person.values() for ask in _followed(mine)}
    return sorted((ask for ask in found if id(ask) not in typed), key=lambda ask: (ask.at, ask.who, ask.query))


def _rows(chunk: Happened, agreed: Agreed) -> Iterable[int]:
    may = agreed(chunk.user, chunk.session)
    return range(len(chunk)) if may is None else np.flatnonzero(may).tolist()


def _whose(chunk: Happened, row: int) -> tuple[str, ...]:
    session = chunk.session[row]
    return tuple(name for name in (chunk.user[row], session and f" {session}") if name)


def _searched(
    chunk: Happened, agreed: Agreed, of_person: dict[str, list[Ask]], by_request: dict[str, Ask]
) -> list[Ask]:
    """Searches that only an event tells of: no logged page of the same query and shopper is near."""
    found = []
    for row in _rows(chunk, agreed):
        query, at, whose = normal(chunk.query[row]), int(chunk.time[row]), _whose(chunk, row)
        if not query or not whose or chunk.request[row] in by_request:
            continue
        near = (ask for name in whose for ask in of_person.get(name, ()))
        if any(ask.request and ask.query == query and abs(ask.at - at) <= SAME for ask in near):
            continue
        ask = Ask(at, whose[0], query, zero=False)
        of_person[ask.who].append(ask)
        found.append(ask)
    return found


def _clicked(
    chunk: Happened, agreed: Agreed, of_person: dict[str, list[Ask]], by_request: dict[str, Ask], rule: Rule
) -> None:
    for row in _rows(chunk, agreed):
        named = by_request.get(chunk.request[row])
        if named is not None:
            named.clicked = True
            continue
        query, at = normal(chunk.query[row]), int(chunk.time[row])
        if query:
            for name in _whose(chunk, row):
                mine = of_person.get(name, [])
                for ask in reversed(mine[: bisect_left(mine, at + 1, key=lambda each: each.at)]):
                    if ask.at < at - rule.window:
                        break
                    if ask.query == query:
                        ask.clicked = True
                        break


def _followed(mine: Sequence[Ask]) -> list[Ask]:
    """Say of each search of one shopper what came next; returns those that were only being typed."""
    typed = []
    for ask, after in pairwise(mine):
        gap = after.at - ask.at
        if ask.query == after.query or ask.clicked:
            continue
        if gap <= TYPING and after.query.startswith(ask.query):
            typed.append(ask)
            continue
        ask.refined = gap <= REFINED
        ask.next = after.query if gap <= NEXT else ""
    return typed


def tallied(found: Iterable[Ask]) -> dict[str, Tallied]:
    """{query: what it came to}."""
    out: dict[str, Tallied] = {}
    for ask in found:
        held = out.setdefault(ask.query, Tallied())
        held.asked += 1
        held.zero += ask.zero
        held.clicked += ask.clicked
        held.refined += ask.refined
        if ask.who:
            held.people.add(ask.who)
        if ask.next:
            held.next[ask.next] += 1
    return out


def total(held: Iterable[Tallied]) -> Tallied:
    """All queries together (people and what came next are left out)."""
    out = Tallied()
    for each in held:
        out.asked += each.asked
        out.zero += each.zero
        out.clicked += each.clicked
        out.refined += each.refined
    return out


def top(now: dict[str, Tallied], people: int, limit: int) -> list[Asked]:
    """The queries that were asked most."""
    whole = total(now.values())
    shown = [(query, held) for query, held in now.items() if len(held.people) >= people]
    shown.sort(key=lambda each: (-each[1].asked, each[0]))
    return [_line(query, held, whole, now, people) for query, held in shown[:limit]]


def rising(now: dict[str, Tallied], before: dict[str, Tallied], people: int, limit: int) -> list[Asked]:
    """The queries whose share of all searches is surely larger than before, the steepest first.

    Under the null hypothesis that a query's share did not change, of the `n` times that it was asked in both windows
    those of the newer one are binomial with the newer window's part of all searches (Przyborowski & Wilenski 1940).
    """
    from scipy.stats import binom  # .4 s at the first use

    whole, then = total(now.values()), total(before.values())
    if not then.asked or not whole.asked:
        return []
    part = whole.asked / (whole.asked + then.asked)
    looked = [query for query, held in now.items() if held.asked >= RISES and len(held.people) >= people]
    if not looked:
        return []
    counts = np.array([now[query].asked for query in looked])
    others = np.array([before[query].asked if query in before else 0 for query in looked])
    chances = holm(np.asarray(binom.sf(counts - 1, counts + others, part), float))
    found = []
    for query, chance, was in zip(looked, chances.tolist(), others.tolist(), strict=True):
        share = now[query].asked / whole.asked
        if chance < SURE and share > was / then.asked:
            line = _line(query, now[query], whole, now, people)
            ratio = round(share / (was / then.asked), 3) if was else None
            found.append(msgspec.structs.replace(line, before=int(was), ratio=ratio, p=float(f"{chance:.3g}")))
    found.sort(key=lambda line: (-(line.ratio or float("inf")), -line.asked, line.query))
    return found[:limit]


def holm(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values corrected for having looked at all of them (Holm 1979).

    >>> [round(float(value), 3) for value in holm(np.array([0.01, 0.04, 0.03]))]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(chances, kind="stable")
    steps = chances[order] * (len(chances) - np.arange(len(chances)))
    out = np.empty(len(chances))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out


def failing(now: dict[str, Tallied], people: int, limit: int) -> list[Asked]:
    """The queries that surely find less, or are taken less, than the shop's queries usually are."""
    whole = total(now.values())
    if not whole.asked:
        return []
    usual = {"zero": whole.zero / whole.asked, "clicks": whole.clicked / whole.asked,
             "refined": whole.refined / whole.asked}  # fmt: skip
    found = []
    for query, held in now.items():
        if len(held.people) < people:
            continue
        empty, taken, left = (rate(count, held.asked) for count in (held.zero, held.clicked, held.refined))
        if empty is None or taken is None or left is None:
            continue
        why = [name for name, sure in (("zero", empty.low > max(usual["zero"], 0.2)),
                                       ("clicks", taken.high < usual["clicks"]),
                                       ("refined", left.low > usual["refined"])) if sure]  # fmt: skip
        if why:
            lost = {"zero": empty.value - usual["zero"], "clicks": usual["clicks"] - taken.value,
                    "refined": left.value - usual["refined"]}  # fmt: skip
            line = _line(query, held, whole, now, people)
            vain = round(held.asked * max(lost[name] for name in why), 2)
            found.append(msgspec.structs.replace(line, why=tuple(why), lost=vain))
    found.sort(key=lambda line: (-line.lost, line.query))
    return found[:limit]


def _line(query: str, held: Tallied, whole: Tallied, now: dict[str, Tallied], people: int) -> Asked:
    taken = rate(held.clicked, held.asked)
    known = [(name, count) for name, count in held.next.items() if name in now and len(now[name].people) >= people]
    known.sort(key=lambda each: (-each[1], each[0]))
    return Asked(
        query=query,
        asked=held.asked,
        people=len(held.people),
        zero=held.zero,
        clicked=held.clicked,
        refined=held.refined,
        share=round(held.asked / max(whole.asked, 1), 6),
        click_low=taken.low if taken else 0.0,
        click_high=taken.high if taken else 1.0,
        next=tuple(known[:FOLLOWERS]),
    )


def window(days: int, newest: int) -> tuple[int, int]:
    """[since, until) of so many days up to the newest row, microseconds."""
    until = newest + 1
    return max(until - days * DAY, 0), until
