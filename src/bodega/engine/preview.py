"""Which queries would a rule move? Pages with and without it, side by side, before anybody sees them.

Every page is asked twice of the shop's own engine, as nobody in particular: with the rules as they are, and with the
rule as drafted. A switched-off rule is looked at as if it were on, a scheduled one at a moment of its schedule, one for
a segment as its members see it. Where no queries are given, the rule's own phrases and the most asked ones are looked
at; a query counts as asked when at least `settings.understand.people` different people did (k-anonymity): the preview
must not show what a single shopper typed.

Cost: two searches a query; reading the log for the most asked ones 2 s a million events, remembered for ten minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from bodega.protocols import EventStore
from bodega.ranking.rules import RuleBook, in_force, shown_at
from bodega.schema import Filter, Page, Request, Rule, When
from bodega.schema.rules import EVERYWHERE, SEARCH_PLACES
from bodega.understanding.language import fold

Ask = Callable[[Request, RuleBook], Page]
"""A page of the shop under this rule book instead of its own."""

OPEN_PLACES = ("home", "popular", "trending")
"""Lists that need neither words nor items: where a rule without words can be looked at."""


class Move(msgspec.Struct, frozen=True):
    """An item that changed its place; positions count from 1."""

    item: str
    before: int
    after: int


class PreviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """One page before and after."""

    query: str = ""
    place: str = "search"
    category: str = ""
    changed: bool = False
    before: tuple[str, ...] = ()
    """Ids of the first k hits."""
    after: tuple[str, ...] = ()
    moved: tuple[Move, ...] = ()
    entered: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    total_before: int = 0
    total_after: int = 0
    redirect: str = ""
    banners: tuple[str, ...] = ()
    """Texts of the banners that the rule would add."""
    applies: bool = False
    """Does the rule take part in the page after?"""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule would do to a set of pages."""

    rule: str
    rows: tuple[PreviewRow, ...]
    changed: int
    """How many of the pages differ."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Looking:
    """How much a preview looks at."""

    queries: tuple[str, ...] = ()
    k: int = 20
    """Hits of a page that are compared."""


def preview(ask: Ask, book: RuleBook, rule: Rule, looking: Looking, now: float | None = None) -> Preview:
    """The pages of `looking` (and the browse pages and lists the rule is about) with and without the rule."""
    moment = shown_at(rule, time.time() if now is None else now)
    draft = in_force(rule)
    notes = []
    if rule.when.segments:
        draft = msgspec.structs.replace(draft, when=msgspec.structs.replace(draft.when, segments=()))
        notes.append("as a shopper of the rule's segments sees it")
    if abs(moment - (time.time() if now is None else now)) > 1:
        notes.append(f"as of {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(moment))}, when the rule is in force")
    if not rule.enabled:
        notes.append("the rule is switched off; shown as if it were on")
    changed = book.with_rule(draft)
    rows = [
        _compared(request, ask(request, book), ask(request, changed), draft.id)
        for request in _requests(rule, looking, moment)
    ]
    return Preview(rule=rule.id, rows=tuple(rows), changed=sum(row.changed for row in rows), notes=tuple(notes))


def most_asked(events: EventStore, people: int, limit: int = 50) -> list[str]:
    """The queries that at least so many different people (or visits of guests) asked, most people first."""
    asked: dict[str, set[str]] = {}
    for rows in events.scan():
        for query, user, session in zip(rows.query, rows.user, rows.session, strict=True):
            if query:
                asked.setdefault(fold(query).strip(), set()).add(user or session)
    counts = sorted((-len(who), query) for query, who in asked.items() if len(who) >= people and query)
    return [query for _, query in counts[:limit]]


def _requests(rule: Rule, looking: Looking, moment: float) -> list[Request]:
    when: When = rule.when
    language = when.languages[0] if when.languages else ""
    stamp = datetime.fromtimestamp(moment, UTC)

    def asking(place: str, query: str = "", category: str = "") -> Request:
        filters = (Filter(field="category", values=(category,)),) if category else ()
        return Request(
            place=place, query=query, filters=filters, k=looking.k, personal=False, language=language, time=stamp
        )

    places = when.places or SEARCH_PLACES
    everywhere = EVERYWHERE in places
    made = [asking("search", query) for query in looking.queries if query.strip()]
    if everywhere or "category" in places:
        made += [asking("category", category=path) for path in when.categories]
    made += [asking(place) for place in OPEN_PLACES if place in places or everywhere]
    return made


def _compared(request: Request, before: Page, after: Page, rule: str) -> PreviewRow:
    old = {item: number for number, item in enumerate(before.ids, 1)}
    new = {item: number for number, item in enumerate(after.ids, 1)}
    moved = tuple(Move(item, old[item], at) for item, at in new.items() if item in old and old[item] != at)
    had = {(banner.text, banner.rule) for banner in before.banners}
    row = PreviewRow(
        query=request.query,
        place=request.place,
        category=request.filters[0].values[0] if request.filters else "",
        before=tuple(before.ids),
        after=tuple(after.ids),
        moved=moved,
        entered=tuple(item for item in new if item not in old),
        left=tuple(item for item in old if item not in new),
        total_before=before.total,
        total_after=after.total,
        redirect=after.redirect if after.redirect != before.redirect else "",
        banners=tuple(banner.text for banner in after.banners if (banner.text, banner.rule) not in had),
        applies=rule in after.rules,
    )
    differs = row.before != row.after or row.total_before != row.total_after or row.redirect or row.banners
    return msgspec.structs.replace(row, changed=bool(differs))
