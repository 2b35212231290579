"""What would mend this query? What shoppers did next, and rules that follow from it, ready to be measured.

    instead    visits that found nothing here searched this next, and found something: search that instead
    alike      a query that is written nearly the same and is answered: most likely a slip of the keyboard
    synonyms   two phrases that lead to the same items (`understanding.query.synonyms`), one of them in this query
    category   most of what was chosen lies in one category: lift it
    shelf      nothing is found and most of what was chosen lies in one category: send the shopper there
    pin        one item is chosen again and again and does not stand on top

Nothing acts by itself: each fix is a draft of a rule with the figures it follows from; `effect` measures it, a person
publishes it. Evidence counts from `people` different visits on. Cost: two searches. Not for: guessing without a log.
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from bodega.engine.mining import synonym_rule
from bodega.engine.searched import Asked, SearchLog
from bodega.schema import (
    Boost,
    Filter,
    Item,
    Page,
    Phrase,
    Pin,
    Redirect,
    Replace,
    Rule,
    When,
)
from bodega.schema.table import PATH_SEPARATOR
from bodega.understanding.query.synonyms import Proposal

NEAR = 0.8
"""Likeness of spelling (difflib's ratio) from which two queries are taken to be one."""
MAJORITY = 0.6
OFTEN = 0.3
SHOWN = 10
FIXES = 8
CATEGORY_FACTOR = 3.0


class NextQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What the same visits searched next."""

    query: str
    visits: int
    answered: float
    """Part of the visits with that query that chose something."""


class ChosenItem(msgspec.Struct, frozen=True, kw_only=True):
    """What visits with this query chose."""

    item: str
    title: str
    visits: int
    bought: float
    later: int
    """Visits that found it only after searching something else."""
    position: int | None
    """Where it stands on the page now, from 1."""


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that may mend a query, and what it follows from."""

    kind: str
    """See the top of the file."""
    rule: Rule
    visits: int
    share: float
    """How sure it is, 0 to 1: part of the visits (or agreement, likeness) that speak for it."""
    facts: dict[str, str] = {}
    """What a text about it names."""


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the people who asked one query, and what may mend it."""

    query: str
    days: int
    searches: int
    answered: int
    """Searches that led to a choice on their results."""
    total: int
    """What is found now."""
    corrected: str
    relaxed: tuple[str, ...]
    rules: tuple[str, ...]
    next: tuple[NextQuery, ...]
    chosen: tuple[ChosenItem, ...]
    fixes: tuple[Fix, ...]
    bought: float = 0.0
    """Pieces bought after it."""
    revenue: float = 0.0
    """What these cost, in the catalog's prices."""
    withheld: bool = False
    """Too few people asked it to tell what they did."""


@dataclass(frozen=True, slots=True)
class Mending:
    """What fixes are found with."""

    log: SearchLog
    page: Page
    """The page of the query as it is."""
    item: Callable[[str], Item | None]
    people: int
    proposals: Sequence[Proposal] = ()


def story(made: Mending, query: str) -> Story:
    """What became of a query, and what may mend it."""
    asked = made.log.of(query)
    told = len(asked.people) >= made.people
    sold = _sold(made, asked) if told else (0.0, 0.0)
    return Story(
        query=query,
        days=made.log.days,
        searches=len(asked.visits) if told else 0,
        answered=asked.answered if told else 0,
        total=made.page.total,
        corrected=made.page.corrected,
        relaxed=made.page.relaxed,
        rules=made.page.rules,
        next=_next(made, asked) if told else (),
        chosen=_chosen(made, asked) if told else (),
        fixes=_fixes(made, asked, query, told=told),
        bought=sold[0],
        revenue=sold[1],
        withheld=not told and bool(asked.visits),
    )


def _sold(made: Mending, asked: Asked) -> tuple[float, float]:
    """(pieces bought after the query, what they cost)."""
    pieces: dict[str, float] = {}
    for chosen in asked.visits.values():
        for each in chosen.values():
            pieces[each.item] = pieces.get(each.item, 0.0) + each.bought
    held = {name: made.item(name) for name, count in pieces.items() if count}
    prices = {name: item.price or 0.0 for name, item in held.items() if item is not None}
    return sum(pieces.values()), round(sum(pieces[name] * price for name, price in prices.items()), 2)


def _next(made: Mending, asked: Asked) -> tuple[NextQuery, ...]:
    out = []
    for name, visits in sorted(asked.next.items(), key=lambda each: (-each[1], each[0])):
        other = made.log.of(name)
        if len(other.people) >= made.people:
            out.append(NextQuery(query=name, visits=visits, answered=round(other.answered / len(other.visits), 4)))
    return tuple(out[:SHOWN])


def _chosen(made: Mending, asked: Asked) -> tuple[ChosenItem, ...]:
    at = {name: n for n, name in enumerate(made.page.ids, 1)}
    bought: Counter[str] = Counter()
    later: Counter[str] = Counter()
    for chosen in asked.visits.values():
        for each in chosen.values():
            bought[each.item] += each.bought  # type: ignore[assignment]
            later[each.item] += not each.own
    out = []
    for name, visits in sorted(asked.chosen().items(), key=lambda each: (-each[1], each[0]))[:SHOWN]:
        held = made.item(name)
        if held is not None:
            out.append(
                ChosenItem(
                    item=name,
                    title=held.title,
                    visits=visits,
                    bought=float(bought[name]),
                    later=later[name],
                    position=at.get(name),
                )
            )
    return tuple(out)


def _fixes(made: Mending, asked: Asked, query: str, *, told: bool) -> tuple[Fix, ...]:
    found = [*_alike(made, asked, query), *_synonyms(made, query)]
    if told:
        found += [*_instead(made, asked, query), *_mapped(made, asked, query), *_pinned(made, asked, query)]
    once: dict[str, Fix] = {}
    for each in sorted(found, key=lambda fix: (-fix.share, fix.rule.id)):
        once.setdefault(each.facts.get("to", "") or each.rule.id, each)
    return tuple(once.values())[:FIXES]


def _instead(made: Mending, asked: Asked, query: str) -> list[Fix]:
    """What those who found nothing here searched next, and found."""
    out = []
    for each in _next(made, asked):
        lost = len(asked.visits) - asked.answered
        share = each.visits / max(lost, each.visits) * each.answered
        if each.visits >= min(made.people, max(2, lost)) and each.answered >= OFTEN and share >= OFTEN / 2:
            rule = _rule("instead", query, f"{query} → {each.query}", Replace(by=each.query))
            facts = {"from": query, "to": each.query}
            out.append(Fix(kind="instead", rule=rule, visits=each.visits, share=round(share, 4), facts=facts))
    return out[:3]


def _alike(made: Mending, asked: Asked, query: str) -> list[Fix]:
    """A known query that is spelled nearly the same; only where this one is not answered by itself."""
    if asked.answered * 2 > len(asked.visits) > 0 or made.page.corrected:
        return []
    known = [each.query for each in made.log.most()[:5_000] if len(each.people) >= made.people and each.answered]
    out = []
    for name in difflib.get_close_matches(asked.query, [each for each in known if each != asked.query], 2, NEAR):
        likeness = difflib.SequenceMatcher(None, asked.query, name).ratio()
        rule = _rule("alike", query, f"{query} → {name}", Replace(by=name))
        visits = len(made.log.of(name).visits)
        facts = {"from": query, "to": name}
        out.append(Fix(kind="alike", rule=rule, visits=visits, share=round(likeness * OFTEN, 4), facts=facts))
    return out


def _synonyms(made: Mending, query: str) -> list[Fix]:
    """Mined pairs of phrases, one of which stands in the query."""
    words = f" {query.casefold()} "
    out = []
    for each in made.proposals:
        if f" {each.one} " in words or f" {each.other} " in words:
            rule = msgspec.structs.replace(synonym_rule(each), enabled=True)
            facts = {"from": each.one, "to": each.other}
            out.append(Fix(kind="synonyms", rule=rule, visits=each.people, share=round(each.agreement, 4), facts=facts))
    return out[:3]


def _mapped(made: Mending, asked: Asked, query: str) -> list[Fix]:
    """The category in which most of what was chosen lies."""
    chosen = [chosen for chosen in asked.visits.values() if chosen]
    if len(chosen) < made.people:
        return []
    paths: Counter[str] = Counter()
    for each in chosen:
        held = [item.category for name in each if (item := made.item(name)) is not None]
        paths.update({PATH_SEPARATOR.join(path[:n]) for path in held for n in range(1, len(path) + 1)})
    sure = [
        (path.count(PATH_SEPARATOR), count, path) for path, count in paths.items() if count >= MAJORITY * len(chosen)
    ]
    if not sure:
        return []
    _, visits, path = max(sure)
    share, where = round(visits / len(chosen), 4), (Filter(field="category", values=(path,)),)
    facts = {"category": path}
    if not made.page.total:
        url = f"/search?f.category={quote(path, safe='')}"
        rule = _rule("shelf", query, f"{query} → {path}", Redirect(url))
        return [Fix(kind="shelf", rule=rule, visits=visits, share=share, facts=facts)]
    rule = _rule("category", query, f"{query}: {path}", Boost(filters=where, factor=CATEGORY_FACTOR))
    return [Fix(kind="category", rule=rule, visits=visits, share=round(share * OFTEN, 4), facts=facts)]


def _pinned(made: Mending, asked: Asked, query: str) -> list[Fix]:
    """One item that is chosen again and again and does not stand on top."""
    chosen = _chosen(made, asked)
    visits = sum(1 for each in asked.visits.values() if each)
    if not chosen or chosen[0].visits < max(made.people, OFTEN * visits) or chosen[0].position == 1:
        return []
    best = chosen[0]
    rule = _rule("pin", query, f"{query}: {best.title}", Pin(best.item, 1))
    facts = {"item": best.item, "title": best.title}
    return [Fix(kind="pin", rule=rule, visits=best.visits, share=round(best.visits / visits, 4), facts=facts)]


def _rule(kind: str, query: str, name: str, action: Replace | Redirect | Boost | Pin) -> Rule:
    digest = hashlib.sha256(f"{kind}\0{query}\0{name}".encode()).hexdigest()[:8]
    plain = "".join(char if char.isascii() and char.isalnum() else "-" for char in query.casefold())[:30].strip("-")
    return Rule(
        id=f"fix-{kind}-{plain}-{digest}" if plain else f"fix-{kind}-{digest}",
        name=name[:200],
        when=When(queries=(Phrase(query[:200]),)),
        then=(action,),
    )
