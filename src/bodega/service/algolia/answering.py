"""One query of Algolia's, answered by the engine: parameters -> Request -> page -> Algolia's answer.

Lists of values and ranges that must all hold (what a shopper ticks) become `Request.filters`, all other conditions
`Request.where`. Facets are counted among the hits that meet *every* condition (`narrowed`), as Algolia counts them: a
client that wants the others too (InstantSearch does, for its refinement lists) asks once more without that one.
Paging ends at 1,000 hits, as there; `nbHits` counts all.
Cost: what the engine takes, plus about 60 us a hit for records and highlighting. A query with `hitsPerPage=0` makes
neither. Not for: more than one query (`handlers.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bodega.errors import BadRequest
from bodega.schema import Page, Request, Sort
from bodega.service.algolia import filters
from bodega.service.algolia.conditions import every, ticked, where
from bodega.service.algolia.counts import counted, facet_fields, statistics
from bodega.service.algolia.fields import Attributes, Fielded
from bodega.service.algolia.highlight import Wanted
from bodega.service.algolia.hits import hit
from bodega.service.algolia.parameters import EVERY, MOST_HITS, Asked
from bodega.settings import Algolia

ANONYMOUS = "anonymous-"
"""How Algolia's clients begin the token of somebody who has not signed in: it names a visit, not a person."""

NAMING = frozenset({"spelling", "synonym", "brand", "colour"})
"""Kinds of meanings whose values are other ways to write what was typed: they are highlighted too."""


class UnknownIndex(BadRequest):
    """No index of that name."""

    status = 404


@dataclass(frozen=True, slots=True)
class Indexes:
    """Which names does the shop answer to, and in which order are their hits?"""

    orders: Mapping[str, Sort]

    @classmethod
    def of(cls, settings: Algolia) -> Indexes:
        """`{index}` in a name stands for the shop's own."""
        first = settings.index.partition(",")[0].strip()
        names = (
            (settings.newest, Sort.NEWEST),
            (settings.price_desc, Sort.PRICE_DOWN),
            (settings.price_asc, Sort.PRICE_UP),
            (settings.index, Sort.RELEVANCE),
        )
        return cls(
            {
                name.strip().replace("{index}", first): order
                for listed, order in names
                for name in listed.split(",")
                if name.strip()
            }
        )

    def order(self, name: str) -> Sort:
        """Raises UnknownIndex."""
        order = self.orders.get(name)
        if order is None:
            raise UnknownIndex(f"Index {name[:200]} does not exist", allowed=", ".join(self.orders), got=name)
        return order


@dataclass(frozen=True, slots=True)
class Question:
    """One query on one index, ready for the engine."""

    index: str
    asked: Asked
    request: Request | None
    """None where no item can meet the conditions: then nothing needs to be asked."""
    facets: tuple[str, ...] = ()
    """The facets to answer, in Algolia's names; `*` where all useful ones are wanted."""


def question(index: str, order: Sort, asked: Asked, shop: Fielded) -> Question:
    """Translate a query. Raises BadRequest."""
    attributes = Attributes(shop)
    chosen, rest = ticked(
        every(
            (
                filters.facet_filters(asked.facet_filters, attributes),
                filters.numeric_filters(asked.numeric_filters, attributes),
                filters.tag_filters(asked.tag_filters, attributes),
            )
        )
    )
    condition = every((filters.parsed(asked.filters, attributes), rest))
    if condition is False:
        return Question(index, asked, None, asked.facets)
    user, session = whose(asked.user)
    reachable = max(0, min(asked.length, MOST_HITS - asked.offset))
    request = Request(
        place="search" if asked.query.strip() or asked.image else "category",
        query=asked.query,
        image=asked.image,
        user=user,
        session=session,
        k=max(1, reachable),
        offset=asked.offset if reachable else 0,
        filters=chosen,
        facets=facet_fields(asked.facets, attributes),
        narrowed=True,
        sort=order,
        language=asked.language,
        personal=asked.personal,
        where=where(condition),
        verbatim=asked.verbatim,
        segments=asked.segments,
    )
    return Question(index, asked, request, asked.facets)


def whose(token: str) -> tuple[str, str]:
    """(user, session) of a user token."""
    return ("", token) if token.startswith(ANONYMOUS) else (token, "")


def answer(question: Question, page: Page | None, milliseconds: float) -> dict[str, Any]:
    """Algolia's answer; `page` None where nothing had to be asked."""
    asked = question.asked
    total = page.total if page is not None else 0
    made: dict[str, Any] = {
        "hits": _hits(question, page),
        "nbHits": total,
        "page": asked.page,
        "nbPages": math.ceil(min(total, MOST_HITS) / asked.length) if asked.length else 0,
        "hitsPerPage": asked.length,
        **({"offset": asked.offset, "length": asked.length} if asked.by_offset else {}),
        "exhaustiveNbHits": True,
        "exhaustiveTypo": True,
        "exhaustive": {"nbHits": True, "typo": True},
        "query": asked.query,
        "params": asked.said,
        "index": question.index,
        "renderingContent": {},
        "processingTimeMS": max(1, round(milliseconds)),
    }
    if question.facets:
        found = page.facets if page is not None else ()
        made["facets"] = counted(question.facets, found, asked.facet_values)
        made["facets_stats"] = statistics(found)
        made["exhaustiveFacetsCount"] = True
        made["exhaustive"]["facetsCount"] = True
        if EVERY in question.facets:
            order = {"order": list(made["facets"])}
            made["renderingContent"] = {"facetOrdering": {"facets": order, "values": {}}}
    if page is not None:
        made.update(_said_by_rules(page, made["renderingContent"]))
        made["bodega"] = _beside(page)
        if asked.click_analytics:
            made["queryID"] = page.request_id
    return _only(made, asked.fields)


def _hits(question: Question, page: Page | None) -> list[dict[str, Any]]:
    """Records of the page; none where counts alone were asked, or what lies beyond the reachable."""
    asked = question.asked
    if page is None or asked.length == 0 or asked.offset >= MOST_HITS:
        return []
    meant = [each for each in page.understood if each.kind in NAMING and not each.excludes]
    wanted = Wanted.of(asked.query, page.corrected, *(value for each in meant for value in each.values))
    made = [hit(found, asked, wanted) for found in page.hits]
    if asked.click_analytics:
        for each in made:
            each["queryID"] = page.request_id
    return made


def _said_by_rules(page: Page, content: Mapping[str, Any]) -> dict[str, Any]:
    """What merchandising rules add: where to go instead, what to show above, which rules did."""
    made: dict[str, Any] = {}
    if page.redirect:
        made["renderingContent"] = {**content, "redirect": {"url": page.redirect}}
    if page.banners:
        made["userData"] = [msgspec.to_builtins(each) for each in page.banners]
    if page.rules:
        made["appliedRules"] = [{"objectID": each} for each in page.rules]
    return made


def _beside(page: Page) -> dict[str, Any]:
    """What our own clients may want to know; Algolia's ignore it."""
    facts = {
        "corrected": page.corrected,
        "understood": [msgspec.to_builtins(each) for each in page.understood],
        "relaxed": list(page.relaxed),
        "degraded": list(page.degraded),
        "snapshot": page.snapshot,
        "request_id": page.request_id,
    }
    return {name: value for name, value in facts.items() if value}


def _only(made: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """The keys that `responseFields` names."""
    return made if EVERY in wanted else {name: value for name, value in made.items() if name in wanted}


def unprocessed(question: Question) -> dict[str, Any]:
    """The answer of a query that was not needed any more (`strategy: stopIfEnoughMatches`)."""
    made = answer(question, None, 0.0)
    return {**made, "processed": False}
